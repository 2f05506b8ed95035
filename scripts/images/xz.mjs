/** Unpacks XZ, which Debian's i386 kernels are compressed with: by the installed `xz`, else by that of the package. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unpack } from './apt.mjs';
import { ImageError, findTool, run } from './tools.mjs';

const FLAGS = ['--decompress', '--stdout', '--single-stream'];

/**
 * @param {import('./apt.mjs').AptRoot | null} root where the package xz-utils comes from if it is not installed
 * @param {string} cache directory
 * @returns {(packed: Buffer) => Promise<Buffer>}
 */
export function xzUnpacker(root, cache) {
  return async (packed) => {
    if (findTool('xz') !== null) return (await run('xz', FLAGS, { input: packed })).stdout;
    if (root === null || process.arch !== 'x64') throw new ImageError('missing on this machine: xz (Debian package xz-utils)');
    const directory = join(cache, 'xz');
    const program = join(directory, 'usr/bin/xz');
    if (!existsSync(program)) {
      rmSync(directory, { recursive: true, force: true });
      console.log('  xz is not installed: taking it from the package xz-utils');
      for (const item of await root.find(['xz-utils', 'liblzma5'])) await unpack((await root.download(item)).path, directory);
    }
    const libraries = ['lib', 'usr/lib'].map((path) => join(directory, path, 'x86_64-linux-gnu')).join(':');
    return (await run('env', [`LD_LIBRARY_PATH=${libraries}`, program, ...FLAGS], { input: packed })).stdout;
  };
}
