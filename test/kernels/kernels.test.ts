/**
 * Freestanding test kernels: each NAME.asm here is assembled with NASM, run on the built command line, and must print
 * NAME.expected, which was checked against the SDM and against other machines. A comment line may replace the options
 * of the command line: `; run: --kernel IMAGE --vcpus 2`. Left out where NASM is missing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '..', '..');
const HAS_NASM = spawnSync('nasm', ['-v']).status === 0;
const MAX_INSTRUCTIONS = '200000000';

const kernels = readdirSync(HERE).filter((file) => file.endsWith('.asm')).map((file) => file.slice(0, -4));

describe.skipIf(!HAS_NASM)('test kernels', () => {
  const work = mkdtempSync(join(tmpdir(), 'nestbox-kernels-'));

  beforeAll(async () => {
    await build({ root: ROOT, configFile: join(ROOT, 'vite.cli.config.ts'), logLevel: 'error', build: { outDir: work, emptyOutDir: false } });
  }, 60_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  it.each(kernels)('%s', (name) => {
    const source = join(HERE, `${name}.asm`), image = join(work, `${name}.bin`), expected = join(HERE, `${name}.expected`);
    execFileSync('nasm', ['-f', 'bin', '-w-all', '-I', `${HERE}/`, source, '-o', image]);
    const options = /^; run: (.*)$/m.exec(readFileSync(source, 'utf8'))?.[1] ?? '--kernel IMAGE';
    const args = options.split(/\s+/).map((option) => (option === 'IMAGE' ? image : option));
    const run = spawnSync(process.execPath, [
      join(work, 'nestbox.js'), 'run', ...args, '--max-instructions', MAX_INSTRUCTIONS,
    ], { encoding: 'utf8', timeout: 60_000 });
    expect(existsSync(expected), `${expected} exists`).toBe(true);
    expect(run.stdout).toBe(readFileSync(expected, 'utf8'));
    expect(run.status, run.stderr).toBe(0);
  }, 60_000);
});
