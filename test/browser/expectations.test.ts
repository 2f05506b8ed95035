/** What a visitor may expect of the page, moment by moment, on the production build in headless Chromium, served as a plain static host would. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBuiltin } from '../../src/guests/builtin';
import { EMPTY_LINK, writeLink } from '../../src/ui/links/link';
import { consoleText, launchChromium, servePage, typeInto, waitForConsole } from './page';
import type { ServedPage } from './page';

const START_MS = 30_000;
/** What the page may weigh, compressed, without images: what a visit loads, and with the editors, which load when they are opened. */
const FIRST_KB = 340, ALL_KB = 410;

let served: ServedPage, browser: Browser;
beforeAll(async () => {
  served = await servePage({ isolate: false });
  browser = await launchChromium();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  served?.close();
});

async function open(
  hash: string, options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<void>, waitUntil: 'load' | 'commit' = 'load',
): Promise<Page> {
  const context = await browser.newContext(options);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  await prepare?.(page);
  await page.goto(served.url + hash, { waitUntil });
  return page;
}

/** As on a server without images. */
const noImages = async (page: Page): Promise<void> => {
  await page.route(/\/images\//, (route) => route.fulfill({ status: 404, body: 'no' }));
};

const total = (page: Page): Promise<string> => page.locator('.meter[title]').first().getAttribute('title').then((text) => text ?? '');

/** Instructions executed, once the machine rests. */
async function restingTotal(page: Page): Promise<string> {
  for (let before = '-'; ;) {
    await page.waitForTimeout(500);
    const now = await total(page);
    if (now !== '' && now === before) return now;
    before = now;
  }
}

describe('the first seconds', () => {
  it('say what this is before any program has come, and nothing jumps', { timeout: START_MS }, async () => {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => { go = resolve; });
    const page = await open('', { viewport: { width: 1440, height: 900 } }, async (one) => {
      await noImages(one);
      await one.route(/assets\/index-.*\.js/, async (route) => {
        await held;
        await route.continue();
      });
      await one.addInitScript(() => {
        const shifts: number[] = [];
        Object.assign(window, { shifts });
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) shifts.push((entry as unknown as { value: number }).value);
        }).observe({ type: 'layout-shift', buffered: true });
      });
      // The load event waits for the program.
    }, 'commit');
    await page.getByText('Nested virtualization in a browser tab').waitFor();
    expect(await page.locator('.pane').count()).toBe(2);
    go();
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: number[] }).shifts);
    expect(shifts.reduce((sum, one) => sum + one, 0)).toBeLessThan(0.1);
    await page.context().close();
  });

  it('bring the best demo to its prompt without a click', { timeout: START_MS }, async () => {
    const page = await open('', {}, noImages);
    await waitForConsole(page, 'l2', /l2#/, 20_000);
    expect(await page.locator('.pane.l1 h2').innerText()).toContain('L1');
    expect(await page.locator('.pane.l2 h2').innerText()).toContain('L2');
    const started = Date.now();
    await typeInto(page, 'l2', 'x');
    await waitForConsole(page, 'l2', /l2# x/, 5000);
    // The click and Playwright's own ways are in it.
    expect(Date.now() - started).toBeLessThan(1500);
    await page.context().close();
  });

  it('name what is downloaded, in bytes', { timeout: START_MS }, async () => {
    const page = await open('#demo=kvm-amd64', {}, async (one) => {
      await one.route(/\/images\//, async (route) => {
        const url = route.request().url();
        if (url.endsWith('manifest.json')) await route.fulfill({ json: { images: [{ name: 'vmlinux-cloud-amd64', bytes: 2e6 }, { name: 'l1-mini.cpio', bytes: 5e6 }] } });
        else if (url.endsWith('vmlinux-cloud-amd64')) await route.fulfill({ body: Buffer.alloc(2_000_000), headers: { 'content-type': 'application/octet-stream' } });
        else if (url.endsWith('progress.json')) await route.fulfill({ status: 404 });
        // The second file never comes.
      });
    });
    await expect.poll(() => page.locator('.stages').innerText(), { timeout: 20_000 }).toMatch(/Downloading vmlinux-cloud-amd64 2\.0\/2\.0 MB|Downloading l1-mini\.cpio/);
    expect(await page.locator('.stages progress').count()).toBe(1);
    await page.context().close();
  });
});

describe('consoles', () => {
  it('search, copy and paste', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.getByRole('button', { name: 'Search in L1 serial', exact: true }).click();
    await page.getByRole('searchbox').fill('vm');
    await expect.poll(() => page.locator('.search-bar').innerText()).toMatch(/\d of [3-9]/);
    await page.keyboard.press('Escape');
    expect(await page.locator('.search-bar').count()).toBe(0);

    await page.getByRole('button', { name: 'Copy from L1 serial', exact: true }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain('VMCS filled');

    const text = 'The quick brown fox jumps over the lazy dog, and so on and on.';
    await page.evaluate((words) => navigator.clipboard.writeText(words), text);
    await page.getByRole('button', { name: 'Paste into L2 serial', exact: true }).click();
    // The clipboard is read in its own time.
    await waitForConsole(page, 'l2', /and so on and on\./, 20_000);
    await page.locator('[data-console=l2]').click();
    await page.keyboard.press('Enter');
    await waitForConsole(page, 'l2', new RegExp(`you said: ${text}`), 20_000);
    await page.context().close();
  });

  it('show a ring when they have the focus, and change their font', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.locator('[data-console=l2]').click();
    expect(await page.locator('.pane.l2').evaluate((pane) => getComputedStyle(pane, '::after').borderTopWidth)).toBe('2px');
    const size = (): Promise<number> => page.locator('[data-console=l2] .xterm-rows').evaluate((rows) => Number.parseFloat(getComputedStyle(rows).fontSize));
    const before = await size();
    await page.locator('.pane.l2').getByRole('button', { name: 'Larger text' }).click();
    await expect.poll(size).toBe(before + 1);
    await page.reload();
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    expect(await size()).toBe(before + 1);
    await page.context().close();
  });

  it('show what L1 has wired to its guest, on its second port', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.getByRole('tab', { name: 'Serial 1' }).click();
    await waitForConsole(page, 'l1-1', /hello from L2/, 10_000);
    await page.context().close();
  });
});

describe('panes', () => {
  it('can be resized with the keyboard, and remember it', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin', { viewport: { width: 1440, height: 900 } });
    const width = (): Promise<number> => page.locator('.pane.l1').evaluate((pane) => pane.clientWidth);
    const bar = page.getByRole('separator', { name: 'Width of L1 and L2' });
    await bar.focus();
    const before = await width();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    // Both steps are done when the width stays.
    let after = before;
    await expect.poll(async () => {
      const last = after;
      after = await width();
      return after < before - 40 && after === last;
    }, { interval: 200 }).toBe(true);
    await page.reload();
    await expect.poll(width).toBe(after);
    await bar.focus();
    await page.keyboard.press('Enter');
    await expect.poll(width).toBe(before);
    await page.context().close();
  });

  it('are one at a time on a narrow screen, with a key bar and large enough fields', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    expect(await page.locator('.pane.l1').isVisible()).toBe(false);
    await page.locator('[data-console=l2]').tap();
    await page.keyboard.type('help');
    await page.getByRole('button', { name: 'Ctrl', exact: true }).last().tap();
    expect(await page.getByRole('button', { name: 'Ctrl-C' }).last().isVisible()).toBe(true);
    await page.getByRole('button', { name: 'Edit', exact: true }).tap();
    const fields = page.locator('.config-form input[type=text]');
    await fields.first().waitFor();
    expect(await fields.first().evaluate((field) => Number.parseFloat(getComputedStyle(field).fontSize))).toBeGreaterThanOrEqual(16);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page.context().close();
  });

  it('have reduced chrome where they are embedded', { timeout: START_MS }, async () => {
    const page = await open('?embed#demo=builtin');
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    expect(await page.getByRole('button', { name: 'Playground' }).isVisible()).toBe(false);
    expect(await page.getByRole('button', { name: 'Pause' }).isVisible()).toBe(true);
    expect(await page.getByRole('link', { name: 'Open in Nestbox' }).getAttribute('href')).toBe('/some/path/#demo=builtin');
    await page.context().close();
  });
});

describe('the playground', () => {
  it('runs a changed hypervisor; its link does the same in a fresh profile', { timeout: 3 * START_MS }, async () => {
    const page = await open('#demo=builtin&v=1&open=playground');
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await typeInto(page, 'l2', 'cpuid\n');
    await waitForConsole(page, 'l2', /the hypervisor signs as 'NestboxDemo1'/, START_MS);
    const editor = page.getByRole('textbox', { name: 'Source of the L1 hypervisor' });
    await page.locator('.cm-editor').waitFor();
    await editor.click();
    await page.keyboard.press('Control+End');
    await page.getByText('"NestboxDemo1"').click();
    await page.keyboard.press('Home');
    await page.keyboard.press('Shift+End');
    await page.keyboard.type('signature:            db "VisitorsOwn!"');
    await page.getByText('No errors.').waitFor();
    await page.keyboard.press('Control+s');
    await expect.poll(() => page.url()).toContain('x=');
    // The machine starts afresh.
    await expect.poll(() => consoleText(page, 'l2'), { timeout: START_MS }).not.toContain('NestboxDemo1');
    const session = async (one: Page): Promise<[string, string]> => {
      await waitForConsole(one, 'l2', /l2#$/, START_MS);
      const counted = await restingTotal(one);
      await typeInto(one, 'l2', 'cpuid\n');
      return [await waitForConsole(one, 'l2', /the hypervisor signs as 'VisitorsOwn!'/, START_MS), counted];
    };
    const first = await session(page);

    await page.getByRole('button', { name: 'Share' }).click();
    const link = await page.getByRole('textbox', { name: 'Link', exact: true }).inputValue();
    expect(link.length).toBeLessThan(16_000);
    const fresh = await browser.newContext();
    const other = await fresh.newPage();
    await other.goto(link);
    expect(await session(other)).toEqual(first);
    await fresh.close();
    await page.context().close();
  });

  it('runs lessons, and marks errors at their line', { timeout: 2 * START_MS }, async () => {
    const page = await open('#demo=builtin');
    await page.getByRole('button', { name: 'Playground' }).click();
    await page.getByRole('combobox', { name: 'Program' }).selectOption({ label: 'Lesson 6. A guest in real mode' });
    await page.getByText('Early VT-x').waitFor();
    await page.locator('.cm-editor').waitFor();
    await page.locator('.side-bar').getByRole('button', { name: 'Run' }).click();
    await waitForConsole(page, 'l2', /real mode, and INT 21h works/, START_MS);
    expect(page.url()).toContain('lesson=real-mode');
    await page.getByRole('tab', { name: 'L2 guest' }).click();
    await page.getByRole('textbox', { name: 'Source of the L2 guest' }).click();
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('        mov ax, nowhere\n');
    const error = page.locator('.problems').getByRole('button');
    await expect.poll(() => error.allInnerTexts(), { timeout: 10_000 }).toEqual(['L2 line 1: nowhere is not defined']);
    expect(await page.locator('.cm-problem').innerText()).toContain('nowhere is not defined');
    expect(await page.locator('.side-bar').getByRole('button', { name: 'Run' }).isDisabled()).toBe(true);
    await page.keyboard.press('Control+z');
    await page.getByText('No errors.').waitFor();
    await page.context().close();
  });
});

describe('the machine editor', () => {
  it('keeps text and form in step, and shows errors at their line', { timeout: START_MS }, async () => {
    const page = await open('#demo=builtin');
    await page.getByRole('button', { name: 'Machine', exact: true }).click();
    const memory = page.getByRole('spinbutton', { name: 'Memory' });
    await memory.waitFor();
    await page.locator('.cm-editor').waitFor();
    await memory.fill('48');
    await expect.poll(() => page.locator('.cm-content').innerText()).toContain('memory = 48');
    await page.getByText('memory = ').click();
    await page.keyboard.press('Home');
    await page.keyboard.press('Shift+End');
    await page.keyboard.type('memory = 1');
    await expect.poll(() => page.locator('.machine-text .problems').innerText()).toMatch(/Line \d+: memory: 1 is outside 2 to 3584/);
    expect(await memory.inputValue()).toBe('1');
    expect(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled()).toBe(true);
    await memory.fill('32');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    expect(page.url()).toMatch(/demo=builtin.*x=/);
    await page.context().close();
  });

  it('knows files by their content and boots them; a link carries small ones', { timeout: 2 * START_MS }, async () => {
    const images = buildBuiltin();
    if (!images.ok) throw new Error('the built-in demo does not assemble');
    const page = await open('#demo=builtin');
    await page.getByRole('button', { name: 'Machine', exact: true }).click();
    const input = page.locator('input[type=file]');
    await input.setInputFiles({ name: 'my kernel.bin', mimeType: 'application/octet-stream', buffer: Buffer.from(images.kernel) });
    await page.getByText('is a multiboot 1 image').waitFor();
    await page.getByRole('button', { name: 'the kernel' }).click();
    await input.setInputFiles({ name: 'guest.bin', mimeType: 'application/octet-stream', buffer: Buffer.from(images.module) });
    await page.getByRole('button', { name: 'an initrd or module' }).click();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.getByRole('button', { name: 'Share' }).click();
    await page.getByRole('checkbox', { name: /with your files/ }).check();
    await expect.poll(() => page.getByRole('textbox', { name: 'Link', exact: true }).inputValue()).toMatch(/x=.{400}/);
    const link = await page.getByRole('textbox', { name: 'Link', exact: true }).inputValue();
    const fresh = await (await browser.newContext()).newPage();
    await fresh.goto(link);
    await waitForConsole(fresh, 'l2', /l2#/, START_MS);
    await fresh.context().close();
    await page.context().close();
  });
});

describe('errors', () => {
  const notice = async (hash: string): Promise<{ page: Page; text: string }> => {
    const page = await open(hash);
    const alert = page.getByRole('alert');
    await alert.waitFor();
    return { page, text: await alert.innerText() };
  };

  it('of L1: a triple fault names the level and what to do, and can be copied', { timeout: START_MS }, async () => {
    const crash = '%include "vmx.inc"\nmain:\n        ud2\n';
    const { page, text } = await notice(await writeLink({ ...EMPTY_LINK, demo: 'builtin', changes: 'on_reboot = "destroy"', sources: { l1: crash } }));
    expect(text).toMatch(/L1 crashed|reset and stays off/);
    expect(text).toContain('Reset');
    await page.getByRole('button', { name: 'Copy report' }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(/rip[^]*Link: http/i);
    await page.context().close();
  });

  it('of VM entry: L1 says which', { timeout: START_MS }, async () => {
    const bad = '%include "vmx.inc"\nmain:\n        call vmx_on\n        call make_guest\n        set GUEST_RFLAGS, 0\n        call run_guest\n        ret\n';
    const page = await open(await writeLink({ ...EMPTY_LINK, demo: 'builtin', sources: { l1: bad } }));
    await waitForConsole(page, 'l1', /VM entry failed, reason 21h/, START_MS);
    await expect.poll(() => page.getByRole('alert').innerText()).toMatch(/L1 could not enter L2[^]*RIP 0x[0-9a-f]{16}[^]*0x80000021[^]*inspector/);
    await page.getByRole('button', { name: 'Copy report' }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(/could not enter L2[^]*Link: http/);
    await page.context().close();
  });

  it('of sources: file, line and reason', { timeout: START_MS }, async () => {
    const { page, text } = await notice(await writeLink({ ...EMPTY_LINK, demo: 'builtin', sources: { l1: 'bits 32\nnonsense eax, 5\n' } }));
    expect(text).toMatch(/l1 line 2: unknown instruction nonsense/i);
    await page.context().close();
  });

  it('of links: newer ones, damaged ones, and those that want other hosts', { timeout: START_MS }, async () => {
    const newer = await notice('#v=9&demo=builtin');
    expect(newer.text).toMatch(/newer version[^]*version 9/);
    await newer.page.context().close();
    const cut = await notice((await writeLink({ ...EMPTY_LINK, config: 'kernel = "builtin"\nmemory = 64\n' })).slice(0, -6));
    expect(cut.text).toMatch(/cannot be read[^]*cut/);
    await cut.page.context().close();
    const requests: string[] = [];
    const page = await open(await writeLink({ ...EMPTY_LINK, config: 'kernel = "https://elsewhere.invalid/kernel"\n' }), {}, async (one) => {
      one.on('request', (request) => requests.push(request.url()));
      await Promise.resolve();
    });
    await page.getByRole('button', { name: /Download from elsewhere\.invalid/ }).waitFor();
    expect(requests.filter((url) => url.includes('elsewhere'))).toEqual([]);
    await page.getByRole('button', { name: /Download from elsewhere\.invalid/ }).click();
    await expect.poll(() => page.getByRole('alert').innerText(), { timeout: 20_000 }).toMatch(/could not be downloaded[^]*CORS/);
    await page.context().close();
  });

  it('of capability: one line that can be dismissed for good, and nothing is blocked', { timeout: START_MS }, async () => {
    const page = await open('#demo=kvm-amd64', {}, async (one) => {
      await noImages(one);
      await one.addInitScript(() => Object.defineProperty(Navigator.prototype, 'deviceMemory', { get: () => 2 }));
    });
    await page.locator('.notice.capability').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).last().click();
    await page.reload();
    await page.getByRole('alert').waitFor();
    expect(await page.locator('.notice.capability').count()).toBe(0);
    await page.context().close();
  });
});

describe('a return visit', () => {
  it('keeps theme and demo, and needs no network', { timeout: 2 * START_MS }, async () => {
    const page = await open('#demo=builtin', { colorScheme: 'light' });
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('radio', { name: 'dark' }).check();
    await page.keyboard.press('Escape');
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await page.context().setOffline(true);
    await page.goto(served.url);
    await waitForConsole(page, 'l2', /l2#/, START_MS);
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('dark');
    // The editors too.
    await page.getByRole('button', { name: 'Playground' }).click();
    await page.locator('.cm-editor').waitFor();
    await page.context().close();
  });

  it('can be installed', async () => {
    const manifest = JSON.parse(readFileSync(join(served.folder, 'manifest.webmanifest'), 'utf8')) as { icons: { src: string }[]; start_url: string };
    expect(manifest.start_url).toBe('./');
    for (const icon of manifest.icons) expect(readdirSync(served.folder)).toContain(icon.src);
    expect(readFileSync(join(served.folder, 'index.html'), 'utf8')).toContain('rel="manifest"');
  });
});

it('weighs little', () => {
  const folder = join(served.folder, 'assets');
  const sizes = readdirSync(folder).map((name) => ({ name, kB: gzipSync(readFileSync(join(folder, name)), { level: 9 }).length / 1000 }));
  const sum = (list: typeof sizes): number => list.reduce((all, { kB }) => all + kB, 0);
  const first = sizes.filter(({ name }) => /^(index|worker)-/.test(name));
  console.log(sizes.map(({ name, kB }) => `${name} ${kB.toFixed(1)} kB`).join(', '));
  expect(first.length).toBeGreaterThanOrEqual(3);
  expect(sum(first)).toBeLessThan(FIRST_KB);
  expect(sum(sizes)).toBeLessThan(ALL_KB);
});
