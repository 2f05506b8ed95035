/** A walk through every page, panel and dialog of the built page: for axe, and for pictures. */
import type { Page } from 'playwright-core';
import { waitForConsole } from './page';

const START_MS = 30_000;

/** Visits each in turn; the machine is the built-in demo. */
export async function tour(page: Page, narrow: boolean, visit: (name: string) => Promise<void>): Promise<void> {
  await waitForConsole(page, 'l2', /l2#/, START_MS);
  await visit('consoles');
  await page.getByRole('button', { name: 'Playground', exact: true }).click();
  await page.locator('.playground .cm-editor').waitFor();
  await page.getByRole('combobox', { name: 'Program' }).selectOption('ept-violation');
  await page.getByText('No errors.').first().waitFor();
  await visit('playground');
  await page.getByRole('button', { name: 'Machine', exact: true }).click();
  await page.locator('.machine-editor .cm-editor').waitFor();
  await visit('machine');
  await page.getByRole('button', { name: 'Machine', exact: true }).click();
  for (const [button, name] of [[/^Demo /, 'gallery'], ['Share', 'share'], ['Settings', 'settings']] as const) {
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.getByRole('dialog').waitFor();
    await visit(name);
    if (name === 'gallery') {
      await page.getByText(/which pairs boot/).click();
      await page.getByRole('table').waitFor();
      await visit('matrix');
    }
    await page.keyboard.press('Escape');
  }
  for (const panel of await page.locator('.dock-tabs button').all()) {
    await panel.click();
    await visit((await panel.innerText()).toLowerCase().replace(/[^a-z]+/g, '-').replace(/-$/, ''));
    await panel.click();
  }
  if (narrow) await page.getByRole('button', { name: 'L1', exact: true }).click();
}

