/** The production build in headless Chromium: the built-in demo, the page's controls, and what it says when something is wrong. */
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMachineConfig } from '../../src/machine/config';
import { Session } from '../../src/machine/session';
import { launchChromium, servePage, typeInto, waitForConsole } from './page';
import type { ServedPage } from './page';

const START_MS = 60_000;

describe('the page in Chromium', () => {
  let served: ServedPage, browser: Browser;
  const requests: string[] = [];

  beforeAll(async () => {
    // As a plain static host serves it.
    served = await servePage({ isolate: false });
    browser = await launchChromium();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    served?.close();
  });

  async function open(hash: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage(options);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(served.url + hash);
    return { page, errors };
  }

  it('runs the built-in demo: L2 says hello and echoes what is typed', { timeout: 2 * START_MS }, async () => {
    const { page, errors } = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    await typeInto(page, 'l2', 'echo nested twice');
    await waitForConsole(page, 'l2', /nested twice/, 20_000);
    expect(await page.locator('.stages').innerText()).toContain('L2 running');
    // An idle machine is shown as idle, not as busy.
    await expect.poll(() => page.locator('.share-figures').innerText(), { timeout: 10_000 }).toMatch(/idle (9\d|100)%/);

    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('button', { name: 'Reset' }).click();
    const again = await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    expect(again).not.toContain('nested twice');
    expect(errors).toEqual([]);
    await page.close();
  });

  it('executes exactly what Node executes', { timeout: START_MS }, async () => {
    const { page } = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    const config = readMachineConfig(readFileSync('public/demos/builtin.cfg', 'utf8'), 'builtin.cfg');
    const nothing = (): void => undefined;
    const session = new Session(config, () => Promise.reject(new Error('no images')), { serial: nothing, observed: nothing, debugText: nothing, log: nothing });
    await session.boot();
    while (!session.waiting) expect(session.run(1_000_000)).toBe('running');
    const { instructions, exits } = session.stats();
    const exitCount = Object.values(exits).reduce((sum, count) => sum + count, 0);
    const shown = (): Promise<string[]> => page.locator('.meter[title]').evaluateAll((all) => all.map((meter) => meter.getAttribute('title') ?? ''));
    await expect.poll(shown, { timeout: 10_000 }).toEqual([
      `${instructions.total.toLocaleString('en')} instructions since power-on`, `${exitCount.toLocaleString('en')} VM exits since power-on`,
    ]);
    await page.close();
  });

  it('lets the keyboard out of a console', { timeout: 2 * START_MS }, async () => {
    const { page } = await open('#demo=builtin');
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? '');
    await page.locator('[data-console=l1]').click();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.className)).toContain('xterm');
    await page.keyboard.press('Control+Shift+.');
    expect(await focused()).toContain('Left the L1 serial console');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('Search in L1 serial');
    await page.locator('[data-console=l2]').click();
    await page.keyboard.press('Control+Shift+.');
    expect(await focused()).toContain('Left the L2 serial console');
    await page.close();
  });

  it('shows one console at a time on a narrow screen, without scrolling sideways', { timeout: 2 * START_MS }, async () => {
    const { page } = await open('#demo=builtin', { viewport: { width: 390, height: 844 } });
    await page.getByRole('button', { name: 'L2', exact: true }).click();
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    expect(await page.locator('.pane.l1').isVisible()).toBe(false);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page.getByRole('button', { name: 'L1', exact: true }).click();
    expect(await page.locator('.pane.l1').isVisible()).toBe(true);
    await page.close();
  });

  it('explains a link to a demo that does not exist', async () => {
    const { page } = await open('#demo=nonsense');
    const notice = page.getByRole('alert');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(/no demo “nonsense”[^]*builtin/);
    // Choosing another one from the gallery goes on from there.
    await page.getByRole('button', { name: /^Demo / }).click();
    await page.getByRole('button', { name: /Built-in/ }).click();
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    expect(await notice.count()).toBe(0);
    expect(page.url()).toContain('#demo=builtin');
    await page.close();
  }, 2 * START_MS);

  it('starts a pair from the matrix in the gallery, which says what its last run took', { timeout: 2 * START_MS }, async () => {
    const { page } = await open('#demo=nonsense');
    await page.getByRole('button', { name: /^Demo /, exact: true }).click();
    await page.getByText(/which pairs boot/).click();
    const row = page.getByRole('row', { name: /^Built-in guest/ });
    expect(await row.locator('.pair').first().getAttribute('title')).toMatch(/^With EPT: boots; .* instructions, \d+ VM exits, .*; \d{4}-\d\d-\d\d\. Start it$/);
    expect(await row.locator('.pair').nth(1).getAttribute('title')).toMatch(/^Without EPT: impossible; .*needs EPT$/);
    await row.getByRole('button').click();
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    expect(page.url()).toContain('#demo=builtin');
    await page.close();
  });

  it('explains a missing image', async () => {
    const page = await browser.newPage();
    await page.route(/\/images\//, (route) => route.fulfill({ status: 404, body: 'no' }));
    await page.goto(`${served.url}#demo=kvm-amd64`);
    const notice = page.getByRole('alert');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(/kvm-amd64[^]*needs an image[^]*npm run images/);
    await page.close();
  });

  it('explains a worker that does not load', async () => {
    const page = await browser.newPage();
    // The script of a module worker cannot be intercepted: the page asks for one that is not there.
    await page.addInitScript(() => {
      const Real = Worker;
      window.Worker = class extends Real {
        constructor(_url: string | URL, options?: WorkerOptions) {
          super('missing-worker.js', options);
        }
      };
    });
    await page.goto(`${served.url}#demo=builtin`);
    const notice = page.getByRole('alert');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(/worker could not be loaded[^]*server/);
    await page.close();
  });

  it('talks to its own server only', () => {
    expect(requests.length).toBeGreaterThan(5);
    expect(requests.filter((url) => !url.startsWith(served.url) && !url.startsWith('blob:') && !url.startsWith('data:'))).toEqual([]);
  });
});
