/** axe-core finds nothing on any page, panel or dialog, in both themes, wide and narrow; and every control can be reached with the keyboard. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, servePage, waitForConsole } from './page';
import { tour } from './tour';
import type { ServedPage } from './page';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const START_MS = 30_000;

interface AxeResult {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** What axe complains about, for people. */
async function complaints(page: Page): Promise<string[]> {
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(AXE);
  const { violations } = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(context: unknown, options: unknown): Promise<AxeResult> } };
    // What xterm.js draws for the eyes; its screen-reader mode makes a tree of its own.
    return await axe.run({ exclude: [['.xterm']] }, { resultTypes: ['violations'] });
  });
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`).join(' | ').slice(0, 700)}`);
}

describe('accessibility', () => {
  let served: ServedPage, browser: Browser;
  beforeAll(async () => {
    served = await servePage({ isolate: false });
    browser = await launchChromium();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    served?.close();
  });

  it.each([['light', 1440, 900], ['dark', 1440, 900], ['light', 390, 844], ['dark', 390, 844]] as const)(
    'axe is content with the %s theme at %ix%i', { timeout: 120_000 }, async (colorScheme, width, height) => {
      const page = await browser.newPage({ colorScheme, viewport: { width, height }, reducedMotion: 'reduce' });
      await page.goto(`${served.url}#demo=builtin`);
      const found: Record<string, string[]> = {};
      await tour(page, width < 760, async (name) => {
        const list = await complaints(page);
        if (list.length > 0) found[name] = list;
      });
      expect(found).toEqual({});
      await page.close();
    },
  );

  it('every button can be reached with Tab, and consoles and editors can be left', { timeout: 60_000 }, async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(`${served.url}#v=1&demo=builtin&open=playground`);
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.locator('.cm-editor').waitFor();
    const wanted = await page.locator('button:visible:not([disabled]):not([tabindex="-1"]), select:visible, [role=separator]:visible').count();
    const reached = new Set<string>();
    let left = 0;
    await page.locator('.brand').click();
    for (let n = 0; n < wanted + 30; n++) {
      await page.keyboard.press('Tab');
      const here = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement;
        element.dataset.visited ??= String(document.querySelectorAll('[data-visited]').length);
        return { id: element.dataset.visited, holds: element.closest('.xterm, .cm-editor') !== null, counts: element.matches('button, select, [role=separator]') };
      });
      if (here.counts) reached.add(here.id);
      if (here.holds) {
        await page.keyboard.press('Control+Shift+.');
        expect(await page.evaluate(() => document.activeElement?.textContent ?? '')).toMatch(/^Left /);
        left++;
      }
    }
    expect(left).toBeGreaterThanOrEqual(3);
    expect(reached.size).toBeGreaterThanOrEqual(wanted);
    await page.close();
  });
});
