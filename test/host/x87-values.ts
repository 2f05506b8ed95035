/** Operands for x87 tests: special encodings, boundaries, and random numbers that make near misses likely. Deterministic. */

/** A small reproducible generator (xorshift). */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 1;
  }
  /** Unsigned 32 bits. */
  word(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }
  below(n: number): number {
    return this.word() % n;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
  bits64(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }
}

/** [sign and exponent, significand] */
export type Extended = readonly [number, bigint];

const J = 1n << 63n;

export const SPECIALS: readonly Extended[] = [
  [0, 0n], [0x3fff, J], [0x4000, J], [0x3ffe, J], [0x7fff, J], [0x7fff, J | (1n << 62n)], [0x7fff, J | (1n << 62n) | 5n], [0x7fff, J | 1n],
  [0x7fff, J | (1n << 61n)], [0x7fff, (1n << 64n) - 1n], [0x7fff, 0n], [0x7fff, 1n << 62n], [0x3fff, 1n << 62n], [1, 1n], [0, 1n], [0, J - 1n],
  [0, J], [0, J | 1n], [0, 1n << 62n], [1, J], [2, J], [0x7ffe, (1n << 64n) - 1n], [0x7ffe, J], [0x3fff, J | 1n], [0x3fff, (1n << 64n) - 1n],
  [0x403e, J], [0x403d, (1n << 64n) - 1n], [0x401e, J], [0x400e, J], [0x401d, 0xffffffff00000000n], [0x4000, 0xc90fdaa22168c235n],
  [0x3fff, 0xc90fdaa22168c235n], [0x3f81, 0xffffff8000000000n], [0x3c01, 0xfffffffffffffc00n], [0x407e, 0xffffff8000000000n],
  [0x43fe, 0xfffffffffffffc00n], [0x3f6a, J], [0x3bcd, J], [0x3ffd, 0xaaaaaaaaaaaaaaabn], [0x7fff, 0xc000000000000000n],
];

function significand(random: Random): bigint {
  switch (random.below(6)) {
    case 0: return random.bits64() | J;
    case 1: return J | (random.bits64() & 0xffffffff00000000n);
    case 2: return (random.bits64() & ~0x7ffn) | J | BigInt(random.pick([0, 0x400, 0x3ff, 0x401, 0x7ff, 1]));
    case 3: return (random.bits64() & ~0xffffffffffn) | J | BigInt(random.pick([0, 0x8000000000, 0x7fffffffff, 0x8000000001, 1]));
    case 4: return ((1n << 64n) - 1n) ^ (1n << BigInt(random.below(63)));
    default: return J | (1n << BigInt(random.below(64))) | (1n << BigInt(random.below(64)));
  }
}

/** A number, special encodings included; `spread`: exponents around one by so much. */
export function extended(random: Random, spread: number): Extended {
  const sign = random.below(2) << 15;
  const kind = random.below(10);
  if (kind < 2) {
    const [exp, mantissa] = random.pick(SPECIALS);
    return [exp | sign, mantissa];
  }
  if (kind === 2) return [sign | random.below(3), random.bits64() >> BigInt(random.below(64))];
  if (kind === 3) return [sign | random.pick([1, 2, 3, 0x7ffe, 0x7ffd, 0x7ffc, 0x5fff, 0x2000, 64, 0x3fff + 63, 0x3fff + 31]), significand(random)];
  return [sign | (0x3fff - spread + random.below(2 * spread + 1)), significand(random)];
}

export function putExtended(bytes: Uint8Array, i: number, [exp, mantissa]: Extended): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setBigUint64(10 * i, BigInt.asUintN(64, mantissa), true);
  view.setUint16(10 * i + 8, exp, true);
}

const SPECIAL_FLOAT32 = [0, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001, 0xffa00000, 1, 0x7fffff, 0x80000001, 0x800000, 0x7f7fffff, 0x4b000000];

export function float32(random: Random): number {
  return random.below(3) === 0 ? random.pick(SPECIAL_FLOAT32) : random.below(2) ? random.word() : (random.word() & 0x807fffff) | ((118 + random.below(20)) << 23);
}

/** 64 bits of a float64. */
export function float64(random: Random): bigint {
  const sign = BigInt(random.below(2)) << 63n;
  switch (random.below(4)) {
    case 0:
      return sign | random.pick([0n, 0x3ff0000000000000n, 0x7ff0000000000000n, 0x7ff8000000000001n, 0x7ff0000000000001n, 1n, 0xfffffffffffffn, 0x10000000000000n, 0x7fefffffffffffffn]);
    case 1: return random.bits64();
    default: return sign | (BigInt(1013 + random.below(20)) << 52n) | (random.bits64() & 0xfffffffffffffn);
  }
}
