/** Every SSE instruction form against the host CPU, with random and special operands. */
import { describe, it, expect, vi } from 'vitest';
import { parseRows, type OpcodeRow } from '../../../src/cpu/opcodes/rows';
import { SSE_ROWS } from '../../../src/cpu/opcodes/sse';
import { compareForms, formsOf, hasOracle, AT_MXCSR, AT_RAX, type Form, type Random } from './oracle';

vi.mock('../../../src/cpu/mmu/access', async () => (await import('./mock-access')).mockAccess());

const rows = parseRows(SSE_ROWS).filter((row) => row.map !== 0);


/** Instructions that this comparison leaves out, with the reason. */
const NOT_COMPARED = new Set([
  'rcpps', 'rcpss', 'rsqrtps', 'rsqrtss', // estimates differ between CPU makers: estimates.test.ts
  'ldmxcsr', // system.test.ts
  'maskmovdqu', // its memory operand is at rDI itself: system.test.ts
]);

const FLOAT_NAMES = /^(u?comis|cmp|add|sub|mul|div|sqrt|min|max|hadd|hsub|addsub|dpp|cvt|round)[a-z0-9]*$/;
function isFloat(row: OpcodeRow): boolean {
  return FLOAT_NAMES.test(row.mnemonic);
}

const SPECIAL32 = [
  0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x807fffff, 0x800000, 0x80800000, 0x800001, 0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x40000000, 0x7f7fffff,
  0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffbfffff, 0x7fffffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000,
  0x3f000000, 0x3fc00000, 0x40200000, 0x4b000001, 0x4b800001, 0x34000000, 0x33800000, 0x20000000, 0x1f800000, 0x00400000, 0x3effffff, 0x2000000, 0xd00000,
];
const SPECIAL64_HIGH = [
  0, 0x80000000, 0x000fffff, 0x00100000, 0x80100000, 0x3ff00000, 0xbff00000, 0x7fefffff, 0xffefffff, 0x7ff00000, 0xfff00000, 0x7ff80000, 0xfff80000, 0x7ff40000,
  0x41e00000, 0xc1e00000, 0x41dfffff, 0x43e00000, 0xc3e00000, 0x43dfffff, 0x3fe00000, 0x3ff80000, 0x40040000, 0x43300000, 0x3810000f, 0x380fffff, 0x36a00000, 0x47efffff,
  0x47f00000, 0x1ff00000, 0x20000000, 0x00200000, 0x43400000, 0x3ca00000,
];
const SPECIAL64_LOW = [0, 0, 1, 0xffffffff, 0x80000000, 0xe0000000, 0xffc00000, 0x10000000];

const EDGES32 = [1, 2, 3, 24, 25, 62, 63, 64, 65, 103, 104, 125, 126, 127, 128, 129, 150, 151, 188, 189, 190, 191, 192, 229, 252, 253, 254];
const EDGES64 = [1, 2, 3, 53, 54, 122, 123, 124, 510, 511, 512, 513, 897, 898, 1022, 1023, 1024, 1086, 1150, 1151, 1533, 1534, 1535, 1920, 1923, 2044, 2045, 2046];

/** A 128-bit operand made of interesting floating-point values. */
function floatOperand(view: DataView, at: number, random: Random): void {
  const wide = random.below(2) === 0;
  for (let i = 0; i < 4; i += 2) {
    if (wide) {
      switch (random.below(5)) {
        case 0:
          view.setUint32(at + 4 * i, SPECIAL64_LOW[random.below(SPECIAL64_LOW.length)], true);
          view.setUint32(at + 4 * i + 4, SPECIAL64_HIGH[random.below(SPECIAL64_HIGH.length)], true);
          break;
        case 1: // exponents close to each other
          view.setUint32(at + 4 * i + 4, ((random.word() & 0x800fffff) | ((1020 + random.below(60)) << 20)) >>> 0, true);
          break;
        case 2: // exponents whose sums and differences reach the ends of the range
          view.setUint32(at + 4 * i + 4, ((random.word() & 0x800fffff) | (EDGES64[random.below(EDGES64.length)] << 20)) >>> 0, true);
          break;
        case 3: // few significant bits
          view.setFloat64(at + 4 * i, (random.word() >> random.below(31)) / 2 ** random.below(6), true);
          break;
        default: break;
      }
    } else {
      for (let k = i; k < i + 2; k++) {
        switch (random.below(5)) {
          case 0: view.setUint32(at + 4 * k, SPECIAL32[random.below(SPECIAL32.length)], true); break;
          case 1: view.setUint32(at + 4 * k, ((random.word() & 0x807fffff) | ((124 + random.below(35)) << 23)) >>> 0, true); break;
          case 2: view.setUint32(at + 4 * k, ((random.word() & 0x807fffff) | (EDGES32[random.below(EDGES32.length)] << 23)) >>> 0, true); break;
          case 3: view.setFloat32(at + 4 * k, (random.word() >> (8 + random.below(23))) / 2 ** random.below(5), true); break;
          default: break;
        }
      }
    }
  }
}

/** Any rounding mode, DAZ, FTZ, sticky flags; in a quarter of the cases some exceptions unmasked. */
function randomMxcsr(random: Random): number {
  let v = (random.below(4) << 13) | (random.below(4) === 0 ? 0x40 : 0) | (random.below(4) === 0 ? 0x8000 : 0);
  if (random.below(2)) v &= ~0x6000;
  v |= random.below(4) === 0 ? (random.word() & 0x3f) << 7 : 0x1f80;
  if (random.below(2)) v |= random.below(2) ? 0x20 : random.word() & 0x3f;
  return v;
}

function prepareFloat(bytes: Uint8Array, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 16; at < 80; at += 16) floatOperand(view, at, random);
  if (random.below(4) === 0) view.setInt32(104 + 4 * random.below(4), random.below(9) - 4, true);
  if (random.below(4) === 0) view.setBigInt64(AT_RAX, BigInt(random.word() >> random.below(32)) << BigInt(random.below(32)), true);
  // Unmasked exceptions whose sticky flag is already set do not fault by themselves.
  view.setUint32(AT_MXCSR, randomMxcsr(random), true);
}

/** Bytes, words and doublewords near their limits, equal elements between operands, small counts. */
function prepareInteger(bytes: Uint8Array, random: Random, form: Form): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 16; at < 80; at++) {
    switch (random.below(6)) {
      case 0: bytes[at] = 0; break;
      case 1: bytes[at] = 0xff; break;
      case 2: bytes[at] = 0x7f + random.below(3); break;
      case 3: bytes[at] = bytes[32 + (at & 15)]; break;
      default: break;
    }
  }
  if (/^ps(ll|rl|ra)[wdq]$/.test(form.row.mnemonic) && random.below(4) !== 0) {
    for (const at of [48, 64]) {
      view.setUint32(at, random.below(70), true);
      view.setUint32(at + 4, 0, true);
    }
  }
}

/** Short alphabets and lengths around the element count. */
function prepareString(bytes: Uint8Array, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const alphabet = 2 + random.below(6), wide = random.below(2) === 0;
  for (let at = 16; at < 80; at++) {
    if (wide && (at & 1)) bytes[at] = 0;
    else bytes[at] = random.below(12) === 0 ? (random.below(2) ? 0 : 0xf0 + random.below(16)) : 0x61 + random.below(alphabet);
  }
  for (const at of [AT_RAX, AT_RAX + 16]) {
    if (random.below(6) === 0) continue;
    const n = random.below(40) - 20;
    view.setInt32(at, n, true);
    if (random.below(3)) view.setInt32(at + 4, n >> 31, true);
  }
}

/** The forms of the rows, with `immediates` different immediates where there is one. */
function forms(selected: readonly OpcodeRow[], immediates: (n: number) => number, count: number): Form[] {
  return selected.flatMap((row) => {
    const n = row.operands.includes('Ib') ? count : 1;
    return Array.from({ length: n }, (_, i) => formsOf(row, immediates(i))).flat();
  });
}

const compared = rows.filter((row) => !NOT_COMPARED.has(row.mnemonic));
const floats = compared.filter(isFloat);
const strings = compared.filter((row) => row.mnemonic.startsWith('pcmp') && row.operands.includes('Ib'));
const others = compared.filter((row) => !floats.includes(row) && !strings.includes(row));

describe.skipIf(!hasOracle())('SSE against the host', () => {
  it('covers the families', () => {
    expect(floats.length).toBeGreaterThan(75);
    expect(strings.length).toBe(6);
    expect(others.length).toBeGreaterThan(190);
  });

  it('moves and computes integers alike', () => {
    expect(compareForms(forms(others, (i) => (i * 37 + (i >> 3)) & 255, 24), 40, 0x1234567, prepareInteger)).toEqual([]);
  });

  it('computes floating point alike', () => {
    const immediates = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x71, 0xf1, 0x3f, 0xff, 0x31, 0x53];
    const withImmediate = floats.filter((row) => row.operands.includes('Ib'));
    const comparisons = withImmediate.filter((row) => row.mnemonic.startsWith('cmp'));
    const dots = withImmediate.filter((row) => row.mnemonic.startsWith('dp'));
    const rounds = withImmediate.filter((row) => row.mnemonic.startsWith('round'));
    expect(comparisons.length + dots.length + rounds.length).toBe(withImmediate.length);
    const plain = floats.filter((row) => !row.operands.includes('Ib'));
    expect(compareForms(forms(plain, () => 0, 1), 400, 0x7654321, prepareFloat)).toEqual([]);
    expect(compareForms(forms(comparisons, (i) => i, 8), 80, 99, prepareFloat)).toEqual([]);
    expect(compareForms(forms(dots, (i) => immediates[i], immediates.length), 100, 101, prepareFloat)).toEqual([]);
    expect(compareForms(forms(rounds, (i) => i, 16), 60, 103, prepareFloat)).toEqual([]);
  });

  it('compares strings alike', () => {
    expect(compareForms(forms(strings, (i) => i, 128), 25, 0xabcdef, prepareString)).toEqual([]);
  });
});
