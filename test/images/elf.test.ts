import { describe, expect, it } from 'vitest';
import { neededLibraries, parseElf, physicalImage, trimElf } from '../../scripts/images/elf.mjs';
import { elf } from './kernels';

const MIB = 1 << 20;

/** Bytes with `content` at the given offsets, zero elsewhere. */
function sparse(size: number, content: Record<number, string>): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [offset, text] of Object.entries(content)) bytes.write(text, Number(offset));
  return bytes;
}

describe.each([32, 64] as const)('trimElf, %i-bit', (bits) => {
  const virtual = bits === 64 ? 0xffffffff81000000n : 0xc1000000n;
  const text = sparse(2 * MIB, { 0: 'code', [MIB]: 'after a hole', [MIB + 0x2000]: 'note' });
  const data = sparse(MIB, { 0: 'data', 0x8000: 'after a short hole' });
  const kernel = elf(bits, 0x1000000, [
    { virtual, physical: 0x1000000, bytes: text },
    { virtual: virtual + 0x400000n, physical: 0x1400000, bytes: data, memorySize: 2 * MIB },
    { type: 4, virtual: virtual + BigInt(MIB) + 0x2000n, physical: 0x1000000 + MIB + 0x2000, bytes: Buffer.from('note') },
  ]);
  // The note segment points into the first one, as in a linked kernel.
  const wide = bits === 64;
  const noteHeader = (wide ? 64 : 52) + 2 * (wide ? 56 : 32);
  kernel.writeUInt32LE(0x1000 + MIB + 0x2000, noteHeader + (wide ? 8 : 4));
  const trimmed = trimElf(kernel);

  it('makes the file smaller and keeps what is in memory', () => {
    expect(trimmed.length).toBeLessThan(0x20000);
    const before = physicalImage(kernel);
    const after = physicalImage(trimmed);
    expect([after.start, after.entry, after.bits]).toEqual([before.start, before.entry, bits]);
    expect(before.bytes.subarray(0, after.bytes.length).equals(after.bytes)).toBe(true);
    expect(before.bytes.subarray(after.bytes.length).every((byte) => byte === 0)).toBe(true);
  });

  it('covers the same memory at the same addresses', () => {
    const loads = parseElf(trimmed).segments.filter(({ type }) => type === 1);
    expect(loads.length).toBe(3);
    let expected = 0x1000000;
    for (const load of loads.slice(0, 2)) {
      expect(load.physical).toBe(expected);
      expect(load.virtual).toBe(virtual + BigInt(expected - 0x1000000));
      expected += load.memorySize;
    }
    expect(expected).toBe(0x1000000 + 2 * MIB);
    expect(loads[2]).toMatchObject({ physical: 0x1400000, memorySize: 2 * MIB });
  });

  it('keeps the note where a boot loader looks for it', () => {
    const note = parseElf(trimmed).segments.find(({ type }) => type === 4);
    expect(note).toBeDefined();
    expect(trimmed.toString('latin1', note?.offset, (note?.offset ?? 0) + 4)).toBe('note');
  });
});

describe('parseElf', () => {
  it('refuses what is no ELF file and truncated ones', () => {
    expect(() => parseElf(Buffer.from('#!/bin/sh'))).toThrow('not a little-endian ELF');
    const kernel = elf(64, 0, [{ virtual: 0n, physical: 0, bytes: Buffer.alloc(0x3000, 1) }]);
    expect(() => parseElf(kernel.subarray(0, 0x2000))).toThrow('segment 0 runs out');
    expect(() => parseElf(kernel.subarray(0, 80))).toThrow('program headers run out');
  });
});

describe('neededLibraries', () => {
  it('reads the dynamic section', () => {
    const bytes = Buffer.alloc(0x1000);
    bytes.write('\0libc.so.6\0libm.so.6\0', 0x100, 'latin1');
    const dynamic = [[1, 1], [5, 0x400100], [1, 11], [0, 0], [1, 99]];
    dynamic.flat().forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), i * 8));
    const program = elf(64, 0, [
      { virtual: 0x400000n, physical: 0x400000, bytes },
      { type: 2, virtual: 0x400000n, physical: 0x400000, bytes },
      { type: 3, virtual: 0n, physical: 0, bytes: Buffer.from('/lib64/ld.so\0') },
    ]);
    expect(neededLibraries(program)).toEqual({ libraries: ['libc.so.6', 'libm.so.6'], interpreter: '/lib64/ld.so' });
  });

  it('finds nothing in a static program', () => {
    expect(neededLibraries(elf(64, 0, []))).toEqual({ libraries: [], interpreter: null });
  });
});
