/** Vite plugin: writes the service worker of the build, with the names of all files that the page needs without a network. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { minifySync } from 'vite';
import type { Plugin } from 'vite';

const SOURCE = 'src/service-worker/sw.js';
/** Beside the page, but not part of it; and what the service worker is itself. */
const OUTSIDE = ['images', 'demos', 'profiles', 'sw.js'];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

export function offline(): Plugin {
  let root = '', publicDir = '', isBuild = false;
  return {
    name: 'nestbox-offline',
    configResolved(config) {
      root = config.root;
      publicDir = config.publicDir;
      isBuild = config.command === 'build';
    },
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        if (!isBuild) return;
        const hash = createHash('sha256');
        const names = ['', 'index.html'];
        for (const [name, output] of Object.entries(bundle).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
          hash.update(name).update(output.type === 'chunk' ? output.code : output.source);
          if (!names.includes(name)) names.push(name);
        }
        for (const path of filesBelow(publicDir).toSorted()) {
          const name = relative(publicDir, path).replaceAll('\\', '/');
          if (OUTSIDE.includes(name.split('/', 1)[0])) continue;
          hash.update(name).update(readFileSync(path));
          names.push(name);
        }
        const text = readFileSync(join(root, SOURCE), 'utf8')
          .replace('__VERSION__', hash.digest('hex').slice(0, 16)).replace('/* __FILES__ */ []', JSON.stringify(names));
        this.emitFile({ type: 'asset', fileName: 'sw.js', source: minifySync(SOURCE, text).code });
      },
    },
  };
}
