/**
 * A real KVM and its real Linux guest in headless Chromium. Needs Chromium and the images (npm run images); without them it fails, as
 * nothing else tells that the page does what it is for. `npm run test:page` runs it alone; NESTBOX_PICTURE=FILE keeps a picture of the page
 * at the end.
 */
import { describe, expect, it } from 'vitest';
import { launchChromium, servePage, typeInto, waitForConsole } from './page';

const DEMO = process.env.NESTBOX_DEMO ?? 'kvm-amd64';
const BOOT_MS = 900_000;
const PICTURE_SIZE = { width: 1360, height: 640 };

describe(`${DEMO} in Chromium`, () => {
  it('boots L1, KVM and L2; `uname -a` typed into the L2 pane is answered there', { timeout: 2 * BOOT_MS }, async () => {
    const served = await servePage(), browser = await launchChromium();
    try {
      const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' });
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      const started = Date.now();
      const seconds = (): string => `${((Date.now() - started) / 1000).toFixed(1)} s`;
      const meters = (): Promise<string[]> => page.locator('.meter[title]').evaluateAll((all) => all.map((meter) => meter.getAttribute('title') ?? ''));
      await page.goto(`${served.url}#demo=${DEMO}`);
      await waitForConsole(page, 'l1', /^l1#/m, BOOT_MS);
      console.log(`L1's prompt after ${seconds()}: ${(await meters()).join(', ')}`);
      await waitForConsole(page, 'l2', /^l2#/m, BOOT_MS);
      console.log(`L2's prompt after ${seconds()}: ${(await meters()).join(', ')}`);
      await typeInto(page, 'l2', 'uname -a\n');
      await waitForConsole(page, 'l2', /^Linux l2 .*Debian/m, 120_000);
      await typeInto(page, 'l1', 'uname -a; lsmod\n');
      await waitForConsole(page, 'l1', /^kvm_intel/m, 120_000);
      console.log(`both answered after ${seconds()}`);
      expect(await page.locator('.stages').innerText()).toContain('L2 running');
      if (DEMO === 'kvm-amd64') {
        // A second guest machine gets a tab of its own, and the first says that it has stopped.
        await typeInto(page, 'l2', 'reboot -f\n');
        await waitForConsole(page, 'l1', /L2 \(amd64\) has ended/, 120_000);
        await expect.poll(() => page.locator('.pane.l2 .pane-head').innerText(), { timeout: 10_000 }).toMatch(/stopped at/);
        await typeInto(page, 'l1', 'l2 i386\n');
        await page.locator('[data-console=l2-2]').waitFor({ timeout: BOOT_MS });
        await waitForConsole(page, 'l2-2', /^l2#/m, BOOT_MS);
        expect(await page.getByRole('tablist', { name: 'Guest machines' }).innerText()).toMatch(/L2 #1\s+stopped at[^]*L2 #2/);
      }
      expect(errors).toEqual([]);
      if (process.env.NESTBOX_PICTURE !== undefined) {
        await page.setViewportSize(PICTURE_SIZE);
        await page.waitForTimeout(1000);
        await page.screenshot({ path: process.env.NESTBOX_PICTURE });
      }
    } finally {
      await browser.close();
      served.close();
    }
  });
});
