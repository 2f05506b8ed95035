/** String instructions against a model that handles one element at a time: bulk paths, overlaps, page ends, faults, pauses. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { assemble } from '../../../src/guests/assembler/assembler';
import { ACTIVITY, EFLAGS, F_DF, F_ZF, R, RAX, RCX, RDI, RIP, RSI } from '../../../src/cpu/state';
import { getFlags } from '../../../src/cpu/flags';
import { mem8 } from '../../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../../src/cpu/mmu/physical';
import { createBareCpu, enterMode, run, shutdownReason } from '../../support/bare-cpu';

const CODE = 0x7000, SUFFIX: Record<number, string> = { 1: 'b', 2: 'w', 4: 'd', 8: 'q' };

function program(source: string, bits: 16 | 32 | 64): Uint8Array {
  const result = assemble(source, { bits });
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.bytes;
}

/** Puts a program into memory, through the check that drops decoded code, and points RIP at it. */
function loadCode(bytes: Uint8Array): void {
  physWriteBytes(CODE, bytes);
  R[RIP] = CODE;
  R[RIP + 1] = 0;
}

interface Registers {
  rax?: number;
  rcx: number;
  rsi?: number;
  rdi: number;
  down?: boolean;
}

function execute(source: string, registers: Registers, bits: 16 | 32 | 64 = 64): void {
  enterMode(bits);
  R[RAX] = registers.rax ?? 0;
  R[RAX + 1] = 0x11223344;
  R[RCX] = registers.rcx;
  R[RSI] = registers.rsi ?? 0;
  R[RDI] = registers.rdi;
  for (const r of [RCX, RSI, RDI]) R[r + 1] = 0;
  if (registers.down) R[EFLAGS] |= F_DF;
  loadCode(program(`${source}\nhlt`, bits));
  run();
}

function fillPattern(from: number, bytes: number, seed: number): void {
  for (let i = 0; i < bytes; i++) mem8[from + i] = Math.imul(i + seed, 0x9e3779b1) >>> 24;
}

/** Page walks so far: each reads the page directory's entry. */
let walked = 0;
function fillCount(): number {
  return walked;
}
vi.mock('../../../src/cpu/mmu/paging', async (original) => {
  const real = await original<typeof import('../../../src/cpu/mmu/paging')>();
  return { ...real, translate: (...args: Parameters<typeof real.translate>) => {
    walked++;
    return real.translate(...args);
  } };
});

beforeAll(() => createBareCpu(16));

describe('REP MOVS', () => {
  const cases: [number, number, number, boolean][] = [];
  for (const size of [1, 2, 4, 8]) {
    for (const distance of [-9000, -4096, -64, -8, -5, -1, 0, 1, 2, 3, 4, 7, 8, 9, 64, 4096, 5000, 100000]) {
      for (const down of [false, true]) cases.push([size, distance, 1500, down]);
    }
  }
  it.each(cases)('size %i, destination %i bytes after the source, %i elements, down %s', (size, distance, count, down) => {
    const area = 0x200000, bytes = 300000, source = area + 120000 + 13, destination = source + distance;
    fillPattern(area, bytes, 7);
    const expected = mem8.slice(area, area + bytes);
    for (let i = 0; i < count; i++) {
      const at = (down ? -i : i) * size;
      expected.copyWithin(destination - area + at, source - area + at, source - area + at + size);
    }
    execute(`rep movs${SUFFIX[size]}`, { rcx: count, rsi: source, rdi: destination, down });
    expect(shutdownReason()).toBe('');
    expect([R[RCX], R[RSI], R[RDI]]).toEqual([0, source + (down ? -1 : 1) * size * count, destination + (down ? -1 : 1) * size * count]);
    expect(Buffer.compare(mem8.subarray(area, area + bytes), expected)).toBe(0);
  });

  it('goes page by page though source and destination share a TLB entry', () => {
    const source = 0x200000, destination = source + 0x400000;
    fillPattern(source, 10000, 3);
    mem8.fill(0, destination, destination + 10000);
    const walks = fillCount();
    execute('rep movsb', { rcx: 10000, rsi: source, rdi: destination });
    expect(mem8.subarray(destination, destination + 10000)).toEqual(mem8.subarray(source, source + 10000));
    expect(R[RCX]).toBe(0);
    // Two for each of the three pages of either side, and a few for code.
    expect(fillCount() - walks).toBeLessThan(24);
  });

  it('handles more elements than one execution may', () => {
    fillPattern(0x200000, 300000, 3);
    execute('rep movsb', { rcx: 300000, rsi: 0x200000, rdi: 0x400000 });
    expect(Buffer.compare(mem8.subarray(0x200000, 0x200000 + 300000), mem8.subarray(0x400000, 0x400000 + 300000))).toBe(0);
    expect(R[RCX]).toBe(0);
  });

  it('leaves the progress when a page is missing', () => {
    const end = 16 << 20;
    execute('rep movsd', { rcx: 5000, rsi: 0x200000, rdi: end - 4002 });
    expect(shutdownReason()).not.toBe('');
    expect([R[RCX], R[RSI], R[RDI]]).toEqual([4000, 0x200000 + 4000, end - 2]);
    expect(R[ACTIVITY]).not.toBe(1);
  });

  it('wraps 16-bit offsets and checks 16-bit limits', () => {
    fillPattern(0x5000, 600, 9);
    const source = mem8.slice(0x5000, 0x5000 + 600);
    execute('rep movsb', { rcx: 600, rsi: 0x5000, rdi: 0xff00 }, 16);
    expect(shutdownReason()).toBe('');
    expect(R[RDI]).toBe((0xff00 + 600) & 0xffff);
    expect([...mem8.subarray(0xff00, 0x10000)]).toEqual([...source.subarray(0, 256)]);
    expect([...mem8.subarray(0, 344)]).toEqual([...source.subarray(256)]);
    execute('a32 rep movsd', { rcx: 100, rsi: 0x5000, rdi: 0xff82 }, 16);
    expect([R[RCX], R[RDI]]).toEqual([69, 0xfffe]);
  });

  it('uses the low registers with a 32-bit address size', () => {
    enterMode(64);
    fillPattern(0x200000, 64, 1);
    R[RCX] = 16;
    R[RCX + 1] = 5;
    R[RSI] = 0x200000;
    R[RSI + 1] = 7;
    R[RDI] = 0x300000;
    R[RDI + 1] = 9;
    loadCode(program('a32 rep movsb\nhlt', 64));
    run();
    expect([R[RCX], R[RCX + 1], R[RSI], R[RSI + 1], R[RDI], R[RDI + 1]]).toEqual([0, 0, 0x200010, 0, 0x300010, 0]);
  });
});

describe('REP STOS', () => {
  it.each([1, 2, 4, 8].flatMap((size) => [0x5a5a5a5a, 0, 0x12345678].flatMap((value) => [false, true].map((down) => [size, value, down] as const))))(
    'size %i, value %i, down %s', (size, value, down) => {
      const area = 0x300000, count = 3000, start = area + 40000 + 5;
      fillPattern(area, 100000, 5);
      const expected = mem8.slice(area, area + 100000);
      const view = new DataView(new ArrayBuffer(8));
      view.setInt32(0, value, true);
      view.setInt32(4, 0x11223344, true);
      for (let i = 0; i < count; i++) for (let b = 0; b < size; b++) expected[start - area + (down ? -i : i) * size + b] = view.getUint8(b);
      execute(`rep stos${SUFFIX[size]}`, { rax: value, rcx: count, rdi: start, down });
      expect(R[RCX]).toBe(0);
      expect(Buffer.compare(mem8.subarray(area, area + 100000), expected)).toBe(0);
    });
});

describe('SCAS and CMPS', () => {
  it.each([1, 2, 4, 8])('find an element of %i bytes across pages', (size) => {
    const start = 0x200000 + 4000, found = start + size * 1000;
    mem8.fill(0x41, start, start + 20000);
    mem8.fill(0, found, found + size);
    const source = `mov rbx, rax\n xor eax, eax\n repne scas${SUFFIX[size]}`;
    execute(source, { rcx: 100000, rdi: start });
    expect(R[RDI]).toBe(found + size);
    expect(R[RCX]).toBe(100000 - 1001);
    expect(getFlags() & F_ZF).toBe(F_ZF);
  });

  it.each([1, 2, 4, 8])('compare elements of %i bytes up to the first difference', (size) => {
    const a = 0x200000 + 100, b = 0x240000 + 7000, count = 2000, different = 1500;
    for (let i = 0; i < count * size; i++) mem8[a + i] = mem8[b + i] = i * 7;
    mem8[b + different * size] ^= 1;
    execute(`repe cmps${SUFFIX[size]}`, { rcx: count, rsi: a, rdi: b });
    expect([R[RSI], R[RDI], R[RCX]]).toEqual([a + (different + 1) * size, b + (different + 1) * size, count - different - 1]);
    expect(getFlags() & F_ZF).toBe(0);
    execute(`repe cmps${SUFFIX[size]}`, { rcx: different, rsi: a, rdi: b });
    expect(R[RCX]).toBe(0);
    expect(getFlags() & F_ZF).toBe(F_ZF);
  });

  it('leave the flags alone when the count is zero, or when an element faults', () => {
    execute('stc\n xor eax, eax\n stc\n repe cmpsb', { rcx: 0, rsi: 0x200000, rdi: 0x200100 });
    expect(getFlags() & (F_ZF | 1)).toBe(F_ZF | 1);
    const end = 16 << 20;
    mem8.fill(1, end - 100, end);
    execute('xor eax, eax\n repne scasb', { rcx: 1000, rdi: end - 100 });
    expect(shutdownReason()).not.toBe('');
    expect([R[RCX], R[RDI], getFlags() & F_ZF]).toEqual([900, end, F_ZF]);
  });
});
