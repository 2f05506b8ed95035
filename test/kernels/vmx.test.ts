/**
 * The VMX conformance kernel in test/kernels/vmx, run on the built command line: it checks VMX as the SDM has it from the inside, prints a PASS line
 * with the number of checks for each group, a FAIL line for each check that does not hold, and ends through the debug-exit port. Left out
 * where GCC cannot build it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '..', '..');
const SOURCES = join(HERE, 'vmx');
const HAS_GCC = spawnSync('gcc', ['--version']).status === 0 && spawnSync('objcopy', ['--version']).status === 0 && process.arch === 'x64';
/** Groups that the kernel runs with one processor and with several. */
const GROUPS = 88, SMP_GROUPS = 9;

describe.skipIf(!HAS_GCC)('VMX conformance kernel', () => {
  const work = mkdtempSync(join(tmpdir(), 'nestbox-vmx-'));
  const image = join(work, 'vmx32.elf');

  beforeAll(async () => {
    await build({ root: ROOT, configFile: join(ROOT, 'vite.cli.config.ts'), logLevel: 'error', build: { outDir: work, emptyOutDir: false } });
    const sources = readdirSync(SOURCES).filter((file) => /\.[cS]$/.test(file)).map((file) => join(SOURCES, file));
    execFileSync('gcc', [
      '-m64', '-O1', '-Wall', '-Wextra', '-ffreestanding', '-nostdlib', '-static', '-fno-pic', '-no-pie', '-mno-red-zone', '-mgeneral-regs-only',
      '-fno-stack-protector', '-fno-delete-null-pointer-checks', '-fno-asynchronous-unwind-tables', `-Wl,-T,${join(SOURCES, 'link.ld')}`, '-Wl,--build-id=none',
      '-Wl,-z,max-page-size=4096', ...sources, '-o', join(work, 'vmx.elf'),
    ], { stdio: 'pipe' });
    // Multiboot loads a 32-bit ELF file; the code in it is 64-bit.
    execFileSync('objcopy', ['-O', 'elf32-i386', join(work, 'vmx.elf'), image]);
  }, 60_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  it.each([[1, GROUPS], [2, SMP_GROUPS], [4, SMP_GROUPS]])('finds every check to hold, %i processors', (vcpus, groups) => {
    const run = spawnSync(
      process.execPath,
      [join(work, 'nestbox.js'), 'run', '--kernel', image, '--memory', '512', '--vcpus', String(vcpus), '--max-instructions', '500M'],
      { encoding: 'utf8', timeout: 100_000 },
    );
    const lines = run.stdout.split('\n');
    expect(lines.filter((line) => /^(FAIL|DONE)/.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('PASS'))).toHaveLength(groups);
    expect(run.status, run.stderr).toBe(0);
  }, 120_000);
});
