/** The inspector in headless Chromium, on the production build: exits as they happen, a stop at a breakpoint, steps, the VMCS, and a narrow screen. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VMCS_FIELDS } from '../../src/vmx/fields';
import { launchChromium, servePage, waitForConsole } from './page';
import type { ServedPage } from './page';

const START_MS = 60_000;

describe('the inspector in Chromium', () => {
  let served: ServedPage, browser: Browser;

  beforeAll(async () => {
    served = await servePage({ isolate: false });
    browser = await launchChromium();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    served?.close();
  });

  async function openInspector(options: Parameters<Browser['newPage']>[0] = {}): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage(options);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`${served.url}#demo=builtin`);
    const narrow = page.getByRole('button', { name: 'Panel' });
    if (await narrow.isVisible()) await narrow.click();
    const opener = page.getByRole('button', { name: 'Inspector' });
    if ((await opener.getAttribute('aria-expanded')) !== 'true') await opener.click();
    return { page, errors };
  }

  const tab = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click();
  const where = (page: Page) => page.locator('.inspector .where');

  /** Adds a breakpoint at VM exits and starts the machine again, so that it stands at its first exit. */
  async function stopAtFirstExit(page: Page): Promise<void> {
    await tab(page, 'Breakpoints');
    await page.getByLabel('Stop at').selectOption('exit');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('button', { name: 'Reset' }).click();
    await expect.poll(() => where(page).innerText(), { timeout: START_MS }).toMatch(/^Breakpoint: VM exit: io/);
  }

  it('stops at the first exit, steps to the next one, and shows its VMCS with what changed', { timeout: 3 * START_MS }, async () => {
    const { page, errors } = await openInspector();
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    await stopAtFirstExit(page);
    const first = await where(page).innerText();
    await page.getByRole('button', { name: 'Next VM exit' }).click();
    await expect.poll(() => where(page).innerText(), { timeout: 10_000 }).not.toBe(first);

    await tab(page, 'Exits');
    const rows = page.locator('.exit-scroll .exit-row');
    await expect.poll(() => rows.count(), { timeout: 10_000 }).toBe(2);
    expect(await rows.first().innerText()).toMatch(/OUT port 0x3f8[^]*out dx, al/);
    await rows.first().click();
    await page.getByRole('button', { name: 'VMCS at this exit' }).click();
    const field = (name: string) => page.locator('.vmcs-field', { has: page.getByText(name, { exact: true }) });
    await field('exit qualification').waitFor();
    expect(await field('exit qualification').innerText()).toContain('OUT port 0x3f8');
    expect(await field('exit qualification').getAttribute('class')).toContain('changed');
    expect(await field('guest CR3').getAttribute('class')).not.toContain('changed');
    expect(await page.locator('.sheet .legend').first().innerText()).toContain('since exit 0');
    // Every field is there.
    expect(await page.locator('.vmcs-field').count()).toBe(VMCS_FIELDS.length);

    // Registers of the guest at that exit; then where the hypervisor stands.
    await tab(page, 'CPU');
    await expect.poll(() => page.locator('.cpu').innerText(), { timeout: 10_000 }).toMatch(/RAX[^]*CR0[^]*EFER/);
    await tab(page, 'Disassembly');
    await page.locator('.code-line.current').waitFor();
    const standing = await page.locator('.code-line.current .place').innerText();
    await page.getByRole('button', { name: 'Step', exact: true }).click();
    await expect.poll(() => page.locator('.code-line.current .place').innerText(), { timeout: 10_000 }).not.toBe(standing);
    // In the inspector letters step as well; the guest's next instruction comes after the hypervisor has entered it.
    await page.locator('.scroll.code').focus();
    await page.keyboard.press('g');
    await expect.poll(() => where(page).innerText(), { timeout: 10_000 }).toMatch(/L2, vCPU 0/);

    await tab(page, 'Page walk');
    await expect.poll(() => page.locator('.walk').innerText(), { timeout: 10_000 }).toMatch(/PML4E[^]*guest-physical[^]*EPT PML4E[^]*host-physical[^]*permitted/);
    await page.getByRole('textbox', { name: 'Linear address' }).fill('7fffff000000');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.walk').innerText(), { timeout: 10_000 }).toMatch(/#PF[^]*not present/);

    await tab(page, 'Memory');
    await page.getByRole('textbox', { name: 'Address', exact: true }).fill('10000');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.memory-row').first().innerText(), { timeout: 10_000 }).toContain('0000000000010000');

    // Without the breakpoint it runs on to where it always gets.
    await tab(page, 'Breakpoints');
    await page.getByRole('button', { name: /Remove/ }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await waitForConsole(page, 'l2', /hello from L2[^]*l2#/, START_MS);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('shows exits live, and lets the keyboard choose one', { timeout: 2 * START_MS }, async () => {
    const { page } = await openInspector();
    await page.getByRole('button', { name: 'Reset' }).click();
    await waitForConsole(page, 'l2', /hello from L2/, START_MS);
    await expect.poll(() => page.locator('.histogram').innerText(), { timeout: 10_000 }).toMatch(/io\s+99[^]*hlt\s+1/);
    await page.locator('.exit-scroll').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => page.locator('.exit-row.chosen').innerText(), { timeout: 10_000 }).toMatch(/^98\b/);
    await page.getByRole('button', { name: /^hlt/ }).click();
    await expect.poll(() => page.locator('.exit-scroll .exit-row').count(), { timeout: 10_000 }).toBe(1);
    await page.close();
  });

  it('fits a narrow screen', { timeout: 2 * START_MS }, async () => {
    const { page } = await openInspector({ viewport: { width: 390, height: 844 } });
    await stopAtFirstExit(page);
    for (const name of ['Exits', 'VMCS', 'CPU', 'Page walk', 'Disassembly', 'Memory', 'Breakpoints', 'Log']) {
      await tab(page, name);
      await page.waitForTimeout(100);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    }
    await page.close();
  });
});
