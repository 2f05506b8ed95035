/** The built page in headless Chromium, served as a static host would: for tests and for the README's picture. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { listen, staticServer } from '../../scripts/serve/static-server.mjs';

const CANDIDATES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Path of a Chromium to use; undefined if there is none. */
export const CHROMIUM = CANDIDATES.find((path) => path !== undefined && existsSync(path));

export interface ServedPage {
  url: string;
  /** Where the built page lies. */
  folder: string;
  close(): void;
}

/** Builds the page into a folder of its own and serves it. `isolate`: with COOP and COEP. */
export async function servePage({ isolate = true }: { isolate?: boolean } = {}): Promise<ServedPage> {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-page-'));
  // Below a sub-path, since relative URLs must do.
  const outDir = join(folder, 'some', 'path');
  // Vitest says that this is a test; what is built shall be what visitors get.
  const environment = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  await build({ logLevel: 'error', build: { outDir, emptyOutDir: true } });
  process.env.NODE_ENV = environment;
  const server: Server = staticServer(folder, { isolate });
  const port = await listen(server, '127.0.0.1', 0);
  return {
    url: `http://127.0.0.1:${port}/some/path/`,
    folder: outDir,
    close() {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function launchChromium(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error('there is no Chromium here: install it (apt-get install chromium), or name one in CHROMIUM');
  return chromium.launch({
    executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
}

/** What a console shows, trailing spaces and empty lines left out. */
export function consoleText(page: Page, console: string): Promise<string> {
  return page.locator(`[data-console=${console}] .xterm-rows`).evaluate((rows) => (
    [...rows.children].map((row) => (row.textContent ?? '').replaceAll('\u00a0', ' ').trimEnd()).join('\n').trimEnd()
  ));
}

/** Waits until a console shows `pattern`; fails with what it shows instead. */
export async function waitForConsole(page: Page, console: string, pattern: RegExp, timeoutMs: number): Promise<string> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const text = await consoleText(page, console);
    if (pattern.test(text)) return text;
    if (Date.now() > end) {
      const notice = await page.locator('.notice').allInnerTexts();
      throw new Error(`${console} did not show ${pattern} within ${timeoutMs} ms. It shows:\n${text}\n${notice.join('\n')}`);
    }
    await page.waitForTimeout(100);
  }
}

/** Types into a console as a person does: focus by click, then keys. */
export async function typeInto(page: Page, console: string, text: string): Promise<void> {
  await page.locator(`[data-console=${console}]`).click();
  await page.keyboard.type(text, { delay: 10 });
}
