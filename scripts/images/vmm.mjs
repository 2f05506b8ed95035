/** Compiles the small VMM (images/vmm) for L1: x86-64, statically linked, so that L1 needs no libraries. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hashFiles } from './cache.mjs';
import { ImageError, findTool, run } from './tools.mjs';

const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-static', '-s'];

/**
 * @param {import('./cache.mjs').StepCache} cache
 * @param {string} directory of the sources
 * @returns {Promise<import('./packages.mjs').Step>} with the file bin/minivmm
 */
export async function compileVmm(cache, directory) {
  const files = readdirSync(directory).filter((name) => /\.[ch]$/.test(name)).sort().map((name) => join(directory, name));
  const compiler = await findCompiler();
  return cache.step('minivmm', { files: hashFiles(files), flags: FLAGS, compiler }, async (result) => {
    mkdirSync(join(result, 'bin'));
    await run(compiler, [...FLAGS, '-o', join(result, 'bin/minivmm'), ...files.filter((file) => file.endsWith('.c'))]);
  });
}

/** @returns {Promise<string>} a C compiler that makes x86-64 programs */
async function findCompiler() {
  for (const compiler of ['x86_64-linux-gnu-gcc', 'gcc']) {
    if (findTool(compiler) === null) continue;
    const { stdout } = await run(compiler, ['-dumpmachine'], { allowFailure: true });
    if (stdout.toString().startsWith('x86_64')) return compiler;
  }
  throw new ImageError('missing on this machine: a C compiler for x86-64 (Debian packages gcc and libc6-dev, elsewhere gcc-x86-64-linux-gnu)');
}
