/** Reproducible random machine state: integers, floating-point numbers and images chosen so that special cases are common. */

/** Small fast generator with 128 bits of state. */
export class Rng {
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  /** Starts the sequence that belongs to (seed, stream). */
  start(seed: number, stream: number): this {
    this.a = seed | 0;
    this.b = stream | 0;
    this.c = 0x9e3779b9 | 0;
    this.d = 1;
    for (let i = 0; i < 12; i++) this.word();
    return this;
  }

  /** 32 bits, signed. */
  word(): number {
    const t = (this.a + this.b + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t | 0;
    return t;
  }

  /** 0 to n - 1. */
  below(n: number): number {
    return ((this.word() >>> 0) % n);
  }

  /** True in `percent` of a hundred cases. */
  chance(percent: number): boolean {
    return (this.word() >>> 0) < percent * 42949672.96;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const EDGES = [0, 1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x99, 0x9a, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff];

/** A 32-bit word, signed: edges, their negatives, powers of two, or anything. */
export function word32(rng: Rng): number {
  switch (rng.below(8)) {
    case 0: case 1: return rng.pick(EDGES);
    case 2: return -rng.pick(EDGES) | 0;
    case 3: return 1 << rng.below(32);
    case 4: return rng.word() >> rng.below(32);
    default: return rng.word();
  }
}

/** High word to go with a low word: mostly its sign, or anything. */
export function highWord(rng: Rng, lo: number): number {
  switch (rng.below(5)) {
    case 0: return 0;
    case 1: return lo >> 31;
    case 2: return word32(rng);
    default: return rng.word();
  }
}

const FLOATS = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00001, 0xffc00000, 0x7f800001, 0xffa00000, 1, 0x7fffff, 0x80000001, 0x800000, 0x7f7fffff, 0x4b000000,
  0x4f000000, 0xcf000000, 0x5f000000, 0xdf000000, 0x3f000000, 0x3fc00000, 0x40200000, 0x4effffff,
];

/** Bits of a float32. */
export function float32Bits(rng: Rng): number {
  switch (rng.below(5)) {
    case 0: return rng.pick(FLOATS) | 0;
    case 1: return rng.word();
    case 2: return (rng.word() & 0x80000000) | ((110 + rng.below(40)) << 23) | (rng.word() & (-1 << rng.below(23)) & 0x7fffff);
    default: return (rng.word() & 0x807fffff) | ((118 + rng.below(20)) << 23);
  }
}

const DOUBLES_HIGH = [
  0, 0x80000000, 0x3ff00000, 0xbff00000, 0x7ff00000, 0xfff00000, 0x7ff80000, 0xfff80000, 0x7ff40000, 0x000fffff, 0x00100000, 0x7fefffff, 0x41dfffff, 0x41e00000, 0xc1e00000,
  0x43dfffff, 0x43e00000, 0xc3e00000, 0x3fe00000, 0x3ff80000, 0x40040000, 0x43300000, 0x380fffff, 0x36a00000, 0x47efffff, 0x47f00000,
];
const DOUBLES_LOW = [0, 0, 0, 1, 0xffffffff, 0x80000000, 0xe0000000, 0xffc00000, 0x10000000];

/** Writes a float64. */
export function putFloat64(rng: Rng, view: DataView, at: number): void {
  let lo = rng.word(), hi = rng.word();
  switch (rng.below(5)) {
    case 0:
      lo = rng.pick(DOUBLES_LOW);
      hi = rng.pick(DOUBLES_HIGH);
      break;
    case 1: break;
    case 2:
      lo = 0;
      hi = (hi & 0x800f0000) | ((1013 + rng.below(40)) << 20);
      break;
    default: hi = (hi & 0x800fffff) | ((1013 + rng.below(20)) << 20);
  }
  view.setInt32(at, lo, true);
  view.setInt32(at + 4, hi, true);
}

const EXPONENTS = [0, 0, 1, 2, 0x7ffe, 0x7fff, 0x7fff, 0x3fff, 0x4000, 0x3ffe, 0x403e, 0x403d, 0x401e, 0x400e, 0x3f81, 0x3c01, 0x407e, 0x43fe, 0x3f6a, 0x3bcd];
const HALVES = [0, 0x80000000, 0xffffffff, 0xc0000000, 1, 0x800, 0x400, 0x7ff, 0xfffff800, 0x40000000];

/** Writes an 80-bit number, special encodings included. */
export function putExtended(rng: Rng, view: DataView, at: number): void {
  let lo = rng.word(), hi = rng.word(), exponent = rng.word() & 0xffff;
  switch (rng.below(8)) {
    case 0:
      exponent = (exponent & 0x8000) | rng.pick(EXPONENTS);
      lo = rng.pick(HALVES);
      hi = rng.pick(HALVES);
      break;
    case 1:
      exponent = (exponent & 0x8000) | rng.pick(EXPONENTS);
      hi |= 0x80000000;
      break;
    case 2:
      exponent = (exponent & 0x8000) | (0x3fff + rng.below(64));
      hi |= 0x80000000;
      lo = 0;
      break;
    case 3:
      exponent = (exponent & 0x8000) | rng.below(3);
      hi >>>= rng.below(32);
      break;
    case 4:
      lo = rng.pick(HALVES);
      hi |= 0x80000000;
      exponent = (exponent & 0x8000) | (0x3ff0 + rng.below(32));
      break;
    case 5: break;
    default:
      exponent = (exponent & 0x8000) | (0x3fff - 40 + rng.below(80));
      hi |= 0x80000000;
  }
  view.setInt32(at, lo, true);
  view.setInt32(at + 4, hi, true);
  view.setUint16(at + 8, exponent, true);
}

/** Writes 16 bytes of one kind of data. */
export function putVector(rng: Rng, view: DataView, at: number): void {
  switch (rng.below(8)) {
    case 0: case 1:
      for (let i = 0; i < 16; i += 4) view.setInt32(at + i, float32Bits(rng), true);
      break;
    case 2: case 3:
      putFloat64(rng, view, at);
      putFloat64(rng, view, at + 8);
      break;
    case 4:
      for (let i = 0; i < 16; i += 4) view.setInt32(at + i, word32(rng), true);
      break;
    case 5: {
      // Text with an end, for the string comparisons.
      const base = rng.below(2) === 0 ? 0x61 : rng.below(256), spread = 1 + rng.below(6), end = rng.below(20);
      for (let i = 0; i < 16; i++) view.setUint8(at + i, i === end ? 0 : (base + rng.below(spread)) & 255);
      break;
    }
    case 6: {
      const edges = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x81];
      for (let i = 0; i < 16; i++) view.setUint8(at + i, rng.pick(edges));
      break;
    }
    default:
      for (let i = 0; i < 16; i += 4) view.setInt32(at + i, rng.word(), true);
  }
}

/** x87 control word: mostly the usual one; `unmasked`: some exceptions enabled. */
export function controlWord(rng: Rng, unmasked: boolean): number {
  const masks = unmasked ? rng.below(64) : 0x3f;
  if (!unmasked && rng.chance(50)) return 0x37f;
  return 0x40 | masks | (rng.below(4) << 8) | (rng.below(4) << 10);
}

/** MXCSR: mostly the usual one. */
export function mxcsr(rng: Rng, unmasked: boolean): number {
  const masks = unmasked ? rng.below(64) : 0x3f;
  if (!unmasked && rng.chance(40)) return 0x1f80;
  const flags = rng.below(2) === 0 ? 0 : rng.below(64);
  return (masks << 7) | flags | (rng.chance(25) ? 0x40 : 0) | (rng.chance(25) ? 0x8000 : 0) | (rng.below(4) << 13);
}

/** Status word that goes with a control word: sometimes with an unmasked exception pending. */
export function statusWord(rng: Rng, control: number): number {
  let flags = rng.below(3) === 0 ? rng.below(128) : 0;
  if (!rng.chance(10)) flags &= control | 0x40;
  const pending = (flags & ~control & 0x3f) !== 0 ? 0x8080 : 0;
  return flags | pending | (rng.word() & 0x7f00);
}

/** Writes a 512-byte FXSAVE image. */
export function putFxImage(rng: Rng, view: DataView, at: number, unmasked: boolean): void {
  const control = controlWord(rng, unmasked && rng.chance(50));
  view.setUint16(at, control, true);
  view.setUint16(at + 2, statusWord(rng, control), true);
  const tags = rng.below(4);
  view.setUint8(at + 4, tags === 0 ? rng.below(256) : tags === 1 ? 0xff : rng.below(256) & rng.below(256) & rng.below(256) ^ (tags === 2 ? 0 : 255));
  view.setUint8(at + 5, 0);
  view.setUint16(at + 6, 0, true);
  for (let i = 8; i < 24; i += 4) view.setInt32(at + i, 0, true);
  view.setUint32(at + 24, mxcsr(rng, unmasked), true);
  view.setUint32(at + 28, 0xffff, true);
  for (let i = 0; i < 8; i++) {
    putExtended(rng, view, at + 32 + 16 * i);
    view.setUint16(at + 42 + 16 * i, 0, true);
    view.setInt32(at + 44 + 16 * i, 0, true);
  }
  for (let i = 0; i < 16; i++) putVector(rng, view, at + 160 + 16 * i);
  for (let i = 416; i < 512; i += 4) view.setInt32(at + i, 0, true);
}

/** What lies where in the state page. */
export const FX_SLOTS = 4, ENV32_AT = 0x800, ENV32_SLOTS = 8, ENV16_AT = 0xc00, ENV16_SLOTS = 4, ENV_STRIDE = 128;
export const MXCSR_AT = 0xe00, MXCSR_SLOTS = 32, FCW_AT = 0xe80, FCW_SLOTS = 32, SELECTORS_AT = 0xdf4, SELECTOR_SLOTS = 6, BCD_AT = 0xf00, BCD_SLOTS = 16;

/** Fills the state page. */
export function putStatePage(rng: Rng, view: DataView, at: number): void {
  for (let i = 0; i < FX_SLOTS; i++) putFxImage(rng, view, at + 512 * i, i === 3);
  for (let i = 0; i < ENV32_SLOTS + ENV16_SLOTS; i++) {
    const wide = i < ENV32_SLOTS, slot = at + ENV32_AT + ENV_STRIDE * i, step = wide ? 4 : 2;
    const control = controlWord(rng, rng.chance(20));
    view.setUint16(slot, control, true);
    view.setUint16(slot + step, statusWord(rng, control), true);
    view.setUint16(slot + 2 * step, rng.word() & (rng.chance(50) ? 0xffff : 0), true);
    for (let n = 0; n < 8; n++) putExtended(rng, view, slot + 7 * step + 10 * n);
  }
  for (let i = 0; i < MXCSR_SLOTS; i++) view.setUint32(at + MXCSR_AT + 4 * i, mxcsr(rng, rng.chance(20)) | (i < 2 ? 0x10000 << rng.below(15) & ~0x20000 : 0), true);
  for (let i = 0; i < FCW_SLOTS; i++) view.setUint16(at + FCW_AT + 2 * i, controlWord(rng, rng.chance(20)), true);
  for (let i = 0; i < BCD_SLOTS; i++) {
    const digits = rng.below(19);
    for (let n = 0; n < 9; n++) view.setUint8(at + BCD_AT + 16 * i + n, (2 * n < digits ? rng.below(10) : 0) | ((2 * n + 1 < digits ? rng.below(10) : 0) << 4));
    view.setUint8(at + BCD_AT + 16 * i + 9, rng.below(2) << 7);
  }
}
