/** RCPPS, RCPSS, RSQRTPS, RSQRTSS: architectural error bound and special values (SDM 2B, tables 4-x of the instructions). */
import { describe, it, expect, vi } from 'vitest';
import { C } from '../../../src/cpu/record';
import { R, RF32, MXCSR, XMM } from '../../../src/cpu/state';
import { sseHandlers } from '../../../src/cpu/sse';
import { Random, enableSse } from './oracle';

vi.mock('../../../src/cpu/mmu/access', async () => (await import('./mock-access')).mockAccess());

/** Runs the packed form on four words: XMM1 = op(XMM2). */
function run(key: string, words: readonly number[]): number[] {
  enableSse();
  R[MXCSR] = 0x1f80;
  words.forEach((w, i) => { R[XMM + 8 + i] = w; });
  C[1000] = 2 << 16;
  C[1001] = 1 | (2 << 4) | (16 << 8) | (16 << 13);
  sseHandlers[key](1000);
  expect(R[MXCSR]).toBe(0x1f80);
  return [0, 1, 2, 3].map((i) => R[XMM + 4 + i] >>> 0);
}

const BOUND = 1.5 * 2 ** -12;

describe('reciprocal estimates', () => {
  it('stay within 1.5 * 2^-12 of the exact value', () => {
    const random = new Random(42);
    for (let i = 0; i < 2000; i++) {
      const word = ((2 + random.below(250)) << 23) | (random.word() & 0x7fffff);
      run('rcpps', [word, word | 0x80000000, 0, 0]);
      const x = RF32[XMM + 8];
      expect(Math.abs(RF32[XMM + 4] * x - 1)).toBeLessThanOrEqual(BOUND);
      expect(RF32[XMM + 5]).toBe(-RF32[XMM + 4]);
      run('rsqrtps', [word, word, word, word]);
      expect(Math.abs(RF32[XMM + 7] * Math.sqrt(x) - 1)).toBeLessThanOrEqual(BOUND);
    }
  });

  it('give infinities, zeros and NaNs for special operands, denormals counting as zeros', () => {
    expect(run('rcpps', [0, 0x80000000, 0x7f800000, 0xff800000])).toEqual([0x7f800000, 0xff800000, 0, 0x80000000]);
    expect(run('rcpps', [1, 0x807fffff, 0x7f800001, 0xffc12345])).toEqual([0x7f800000, 0xff800000, 0x7fc00001, 0xffc12345]);
    expect(run('rcpps', [0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000])).toEqual([0, 0x80000000, 0x3f800000, 0xbf800000]);
    expect(run('rsqrtps', [0, 0x80000000, 0x7f800000, 0xff800000])).toEqual([0x7f800000, 0xff800000, 0, 0xffc00000]);
    expect(run('rsqrtps', [1, 0x80000001, 0xbf800000, 0x7f800001])).toEqual([0x7f800000, 0xff800000, 0xffc00000, 0x7fc00001]);
  });

  it('change only the low element in the scalar forms', () => {
    R[XMM + 5] = 0x1234;
    expect(run('rcpss', [0x40000000, 1, 2, 3]).slice(0, 2)).toEqual([0x3f000000, 0x1234]);
  });
});
