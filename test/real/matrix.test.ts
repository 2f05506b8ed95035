/** `nestbox matrix` as a user would call it: the cheap cell, the built-in one. Needs dist/cli (npm run build:cli). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { MatrixResults } from '../../src/matrix/results';

const folder = mkdtempSync(join(tmpdir(), 'nestbox-matrix-test-'));
const json = join(folder, 'matrix.json'), table = join(folder, 'matrix.md');

function matrix(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/cli/nestbox.js', 'matrix', '--json', json, '--table', table, ...args], { encoding: 'utf8', timeout: 60_000 });
  return { code: status, out: stdout, err: stderr };
}

function state(): MatrixResults['cells'][number] | undefined {
  const results = JSON.parse(readFileSync(json, 'utf8')) as MatrixResults;
  return results.cells.find((cell) => cell.hypervisor === 'builtin' && cell.guest === 'builtin' && cell.hap);
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('nestbox matrix', () => {
  it('boots a cell, and writes results and table', () => {
    const { code, out, err } = matrix('--only', 'builtin');
    expect(code, err).toBe(0);
    expect(out).toMatch(/^builtin\/builtin: boots, .* instructions, \d+ VM exits/m);
    expect(state()).toMatchObject({ state: 'boots', why: '', demo: 'builtin', changes: '' });
    expect(state()?.figures?.instructions.l2).toBeGreaterThan(100);
    expect(state()?.figures?.cpuSeconds).toBeGreaterThan(0);
    expect(readFileSync(table, 'utf8')).toContain('| Built-in hypervisor | 1 | Built-in guest | **boots** |');
    // Boots nothing; the cell keeps its result.
    expect(matrix('--cell', 'kvm/grub')).toMatchObject({ code: 0, out: 'kvm/grub: impossible: the small VMM has neither BIOS nor VGA\n' });
    expect(state()?.state).toBe('boots');
  }, 60_000);

  it('refuses a file that holds no results', () => {
    writeFileSync(json, '{}');
    expect(matrix('--table-only')).toMatchObject({ code: 2, err: `nestbox: ${json}: not the results of a matrix\n` });
  }, 60_000);
});
