/** The assembler against NASM: every row of the opcode table that NASM knows, in 16, 32 and 64-bit code, byte for byte. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../src/guests/assembler/assembler';
import { allLines } from './forms';
import type { Bits } from './forms';

/** Bytes NASM makes of each line, undefined for lines that it refuses. */
export function nasm(lines: readonly string[], bits: Bits): (string | undefined)[] {
  const directory = mkdtempSync(join(tmpdir(), 'nasm-'));
  const source = join(directory, 'source.asm'), output = join(directory, 'out.bin'), listing = join(directory, 'list');
  const bad = new Set<number>();
  for (let round = 0; round < 8; round++) {
    // Every line at an address divisible by 16, so that its own address is the same for both assemblers.
    const text = lines.flatMap((line, n) => (bad.has(n) ? ['', ''] : [line, 'align 16, db 0xcc']));
    writeFileSync(source, [`bits ${bits}`, 'org 0x1000', ...text].join('\n'));
    const { stderr } = spawnSync('nasm', ['-f', 'bin', '-w-all', '-o', output, '-l', listing, source], { encoding: 'utf8' });
    const before = bad.size;
    for (const found of stderr.matchAll(/:(\d+): error/g)) bad.add((Number(found[1]) - 3) >> 1);
    if (bad.size === before) break;
  }
  const bytes: string[] = [];
  for (const line of readFileSync(listing, 'utf8').split('\n')) {
    const found = /^ *(\d+) [0-9A-F]{8} ([0-9A-F()[\]-]+)/.exec(line);
    if (found !== null) bytes[Number(found[1])] = (bytes[Number(found[1])] ?? '') + found[2].replace(/[^0-9A-F]/g, '');
  }
  return lines.map((_, n) => (bad.has(n) ? undefined : bytes[3 + 2 * n]?.toLowerCase()));
}

function ours(line: string, bits: Bits, address: bigint): string {
  const result = assemble(line, { bits, origin: address });
  return result.ok ? Buffer.from(result.bytes).toString('hex') : `error: ${result.errors[0].message}`;
}

describe.each([16, 32, 64] as const)('%i-bit code', (bits) => {
  it('is assembled as NASM does', () => {
    const lines = allLines(bits);
    const theirs = nasm(lines, bits);
    const known = theirs.filter((one) => one !== undefined).length;
    expect(known).toBeGreaterThan(lines.length * 0.9);
    const differences: string[] = [];
    let address = 0x1000n;
    lines.forEach((line, n) => {
      const want = theirs[n];
      if (want === undefined) return;
      // NASM writes the waiting forms of these two.
      if (line === 'feni' || line === 'fdisi') return;
      // NASM adds REX.W, which says nothing here; not so for INVEPT and INVVPID.
      if (bits === 64 && line.startsWith('invpcid ')) return;
      const got = ours(line, bits, address);
      if (got !== want) differences.push(`${line}: ${got}, NASM ${want}`);
      address += BigInt(16 * Math.ceil(want.length / 32));
    });
    expect(differences).toEqual([]);
  });
});
