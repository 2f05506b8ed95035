/**
 * Not a test: pictures of every page, panel and dialog at 1440x900 and 390x844 in both themes, to be looked at. `npm run screenshots` writes them to
 * dist/screenshots, and the two of the README with NESTBOX_README=1.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { launchChromium, servePage } from './page';
import { tour } from './tour';

const OUT = 'dist/screenshots';

describe.runIf(process.env.NESTBOX_SCREENSHOTS !== undefined)('screenshots', () => {
  it('of everything', { timeout: 600_000 }, async () => {
    mkdirSync(OUT, { recursive: true });
    const served = await servePage({ isolate: false }), browser = await launchChromium();
    let count = 0;
    try {
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const [width, height] of [[1440, 900], [390, 844]]) {
          const page = await browser.newPage({ colorScheme, viewport: { width, height }, reducedMotion: 'reduce', hasTouch: width < 760 });
          await page.goto(`${served.url}#demo=builtin`);
          await tour(page, width < 760, async (name) => {
            await page.waitForTimeout(400);
            await page.screenshot({ path: join(OUT, `${name}-${width}x${height}-${colorScheme}.png`) });
            count++;
          });
          await page.close();
        }
      }
    } finally {
      await browser.close();
      served.close();
    }
    expect(count).toBeGreaterThanOrEqual(32);
  });
});
