/**
 * Makes `npx nestbox` find the command line in a checkout. A `bin` entry in package.json would do so too, but by way of an
 * installation of the package into npm's cache at every call.
 */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const bin = join('node_modules', '.bin');
chmodSync(join('dist', 'cli', 'nestbox.js'), 0o755);
mkdirSync(bin, { recursive: true });
if (process.platform === 'win32') {
  writeFileSync(join(bin, 'nestbox.cmd'), '@node "%~dp0\\..\\..\\dist\\cli\\nestbox.js" %*\r\n');
} else {
  rmSync(join(bin, 'nestbox'), { force: true });
  symlinkSync(join('..', '..', 'dist', 'cli', 'nestbox.js'), join(bin, 'nestbox'));
}
