/**
 * Builds the guests of the bench with gcc: the workloads for 64 and 32 bits as multiboot kernels, each also inside the monitor that
 * runs it as its guest, and the loader of Bochs' disks.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.mjs';
import { flatHeader } from './flat-functions.mjs';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const FLAGS = [
  '-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-fno-builtin', '-mgeneral-regs-only', '-fno-pic', '-fno-pie', '-fcf-protection=none',
  '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fno-tree-vectorize', '-fno-tree-loop-distribute-patterns', '-fno-strict-aliasing', '-mno-red-zone',
];
const COMMON = ['main.c', 'library.c', 'memory.c', 'kernel-sha.c', 'kernel-lz.c', 'kernel-qsort.c', 'kernel-hash.c', 'kernel-tree.c', 'kernel-sm.c', 'kernel-arith.c', 'kernel-flat.c'];
const WORKLOADS = {
  64: ['start64.S', 'system-entries.S', 'image64.c', 'paging64.c', 'system.c', 'exits.c', ...COMMON],
  32: ['start32.S', 'division32.c', ...COMMON],
};
const MONITOR = ['start64.S', 'monitor.c', 'ept.c', 'shadow.c', 'library.c'];

/**
 * @typedef {{ kern64: string, kern32: string, mon64: string, mon32: string, loader: string }} GuestFiles paths; kern runs bare, mon as a guest
 */

/** @param {string} program @param {string[]} args */
function run(program, args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) throw new BenchError(`${program} is needed to build the guests of the bench (${error.message}); on Debian: apt-get install gcc binutils`);
  if (status !== 0) throw new BenchError(`${program} ${args.join(' ')}\n${stderr}`);
}

/**
 * @param {string} folder where objects and images go
 * @returns {GuestFiles}
 */
export function buildGuests(folder) {
  /** @param {string} name */
  const out = (name) => join(folder, name);
  const files = { kern64: out('kern64.elf'), kern32: out('kern32.elf'), mon64: out('mon64.elf'), mon32: out('mon32.elf'), loader: out('disk-loader.bin') };
  if (isUpToDate(Object.values(files))) return files;
  process.stderr.write('building the guests\n');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(out('flat.h'), flatHeader());

  /** @param {string} source @param {number} bits @param {string} prefix @param {string[]} more */
  const compile = (source, bits, prefix, ...more) => {
    const object = out(`${prefix}-${source}.o`);
    run('gcc', [`-m${bits}`, ...(source.endsWith('.c') ? FLAGS : []), `-I${folder}`, ...more, '-c', join(SOURCES, source), '-o', object]);
    return object;
  };
  /** @param {string} script @param {number} bits @param {string[]} objects @param {string} image */
  const link = (script, bits, objects, image) => {
    run('ld', ['-m', bits === 64 ? 'elf_x86_64' : 'elf_i386', '-n', '-z', 'noexecstack', '--no-warn-rwx-segments', '-T', join(SOURCES, script), '-o', image, ...objects]);
    // QEMU takes multiboot kernels only as 32-bit ELF files.
    if (bits === 64) run('objcopy', ['-O', 'elf32-i386', image]);
  };
  for (const bits of /** @type {const} */ ([64, 32])) {
    link('image.ld', bits, WORKLOADS[bits].map((source) => compile(source, bits, `kern${bits}`)), files[`kern${bits}`]);
    run('objcopy', ['-O', 'binary', files[`kern${bits}`], out(`kern${bits}.bin`)]);
  }
  const monitor = MONITOR.map((source) => compile(source, 64, 'mon'));
  for (const bits of /** @type {const} */ ([64, 32])) {
    const entries = compile('monitor-entries.S', 64, `mon${bits}`, `-DPAYLOAD_FILE="${out(`kern${bits}.bin`)}"`);
    link('monitor.ld', 64, [...monitor, entries], files[`mon${bits}`]);
  }
  const loader = out('disk-loader.o');
  run('gcc', ['-m32', '-c', join(SOURCES, '..', 'peers', 'disk-loader.S'), '-o', loader]);
  run('ld', ['-m', 'elf_i386', '-Ttext=0x7c00', '--oformat', 'binary', '-o', files.loader, loader]);
  return files;
}

/** Newer than every source. @param {string[]} files */
function isUpToDate(files) {
  const sources = [...readdirSync(SOURCES).map((name) => join(SOURCES, name)), join(SOURCES, '..', 'peers', 'disk-loader.S')];
  const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
  return files.every((path) => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest);
}

/** @param {string} path */
export function readGuest(path) {
  return new Uint8Array(readFileSync(path));
}
