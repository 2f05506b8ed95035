import { describe, it, expect } from 'vitest';
import {
  PRODUCT, QUOTIENT, REMAINDER, divideSigned128, divideUnsigned128, multiplySigned64, multiplyUnsigned64,
} from '../../../src/cpu/integer/wide';

const M64 = (1n << 64n) - 1n;
const word = (value: bigint, n: number): number => Number(BigInt.asIntN(32, value >> BigInt(32 * n)));
const join = (words: Int32Array): bigint => words.reduceRight((sum, w) => (sum << 32n) | BigInt(w >>> 0), 0n);

/** A repeatable generator that favours the edges of words. */
function* operands(count: number): Generator<bigint> {
  let seed = 12345;
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
  const edges = [0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x1fffffffffffffn, 0x20000000000000n,
    0x7fffffffffffffffn, 0x8000000000000000n, 0xfffffffffffffffen, M64];
  for (let i = 0; i < count; i++) {
    if (next() % 3 === 0) yield edges[next() % edges.length];
    else {
      let value = 0n;
      for (let j = 0; j < 4; j++) value = (value << 16n) | BigInt(next());
      yield value >> BigInt(next() % 64);
    }
  }
}

describe('128-bit arithmetic', () => {
  it('multiplies as BigInt does', () => {
    const values = [...operands(20000)];
    for (let i = 0; i + 1 < values.length; i++) {
      const a = values[i], b = values[i + 1];
      multiplyUnsigned64(word(a, 0), word(a, 1), word(b, 0), word(b, 1));
      if (join(PRODUCT) !== a * b) expect([a, b, join(PRODUCT)]).toEqual([a, b, a * b]);
      multiplySigned64(word(a, 0), word(a, 1), word(b, 0), word(b, 1));
      const signed = BigInt.asUintN(128, BigInt.asIntN(64, a) * BigInt.asIntN(64, b));
      if (join(PRODUCT) !== signed) expect([a, b, join(PRODUCT)]).toEqual([a, b, signed]);
    }
    expect(values.length).toBe(20000);
  });

  it('divides as BigInt does, and refuses what does not fit', () => {
    const values = [...operands(60000)];
    let fitting = 0;
    for (let i = 0; i + 2 < values.length; i++) {
      const n = i % 2 ? values[i] : (values[i] << 64n) | values[i + 1], d = values[i + 2];
      const fits = d !== 0n && n / d <= M64;
      if (fits) fitting++;
      const done = divideUnsigned128(word(n, 0), word(n, 1), word(n, 2), word(n, 3), word(d, 0), word(d, 1));
      const got = done ? [join(QUOTIENT), join(REMAINDER)] : [];
      const want = fits ? [n / d, n % d] : [];
      if (done !== fits || got[0] !== want[0] || got[1] !== want[1]) expect([n, d, ...got]).toEqual([n, d, ...want]);
    }
    expect(fitting).toBeGreaterThan(20000);
  });

  it('divides signed numbers, truncating towards zero', () => {
    const values = [...operands(60000)];
    let fitting = 0;
    for (let i = 0; i + 2 < values.length; i++) {
      const wide = i % 2 ? BigInt.asIntN(64, values[i]) : BigInt.asIntN(128, (values[i] << 64n) | values[i + 1]);
      const n = BigInt.asUintN(128, wide), d = BigInt.asIntN(64, values[i + 2]);
      const quotient = d === 0n ? 0n : wide / d;
      const fits = d !== 0n && BigInt.asIntN(64, quotient) === quotient;
      if (fits) fitting++;
      const done = divideSigned128(word(n, 0), word(n, 1), word(n, 2), word(n, 3), word(values[i + 2], 0), word(values[i + 2], 1));
      const got = done ? [BigInt.asIntN(64, join(QUOTIENT)), BigInt.asIntN(64, join(REMAINDER))] : [];
      const want = fits ? [quotient, wide % d] : [];
      if (done !== fits || got[0] !== want[0] || got[1] !== want[1]) expect([wide, d, ...got]).toEqual([wide, d, ...want]);
    }
    expect(fitting).toBeGreaterThan(20000);
  });
});
