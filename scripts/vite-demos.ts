/**
 * Vite plugin: the demos' configurations as the module `virtual:demos`, and the static files beside the page. The images are many
 * hundred megabytes and come and go after the page is built, so they are linked into the output, not copied; whoever uploads
 * dist/page to a host lets the upload follow the link.
 */
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Plugin } from 'vite';

const MODULE = 'virtual:demos', RESOLVED = `\0${MODULE}`;
/** The demo that needs no images comes first, the others by name. */
const FIRST = 'builtin';

function readDemos(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((file) => file.endsWith('.cfg')).map((file) => file.slice(0, -'.cfg'.length));
  names.sort((a, b) => Number(b === FIRST) - Number(a === FIRST) || (a < b ? -1 : 1));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, `${name}.cfg`), 'utf8')]));
}

function copyStaticFiles(publicDir: string, outDir: string): void {
  for (const entry of readdirSync(publicDir)) {
    if (entry !== 'images' && entry !== 'demos') cpSync(join(publicDir, entry), join(outDir, entry), { recursive: true });
  }
  const images = join(publicDir, 'images'), link = join(outDir, 'images');
  mkdirSync(images, { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(relative(outDir, images), link, 'junction');
}

export function demos(): Plugin {
  let publicDir = '', outDir = '', isBuild = false;
  return {
    name: 'nestbox-demos',
    configResolved(config) {
      publicDir = config.publicDir;
      outDir = resolve(config.root, config.build.outDir);
      isBuild = config.command === 'build';
    },
    resolveId: (id) => (id === MODULE ? RESOLVED : undefined),
    load(id) {
      if (id !== RESOLVED) return undefined;
      const folder = join(publicDir, 'demos');
      for (const file of readdirSync(folder)) this.addWatchFile(join(folder, file));
      return `export default ${JSON.stringify(readDemos(folder))};`;
    },
    writeBundle() {
      if (isBuild) copyStaticFiles(publicDir, outDir);
    },
  };
}
