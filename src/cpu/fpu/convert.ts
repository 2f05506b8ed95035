/**
 * Conversions between the 80-bit extended format and float32, float64, integers and packed BCD (SDM 1 4.8, 4.7.2,
 * 8.1.2), on the work operands of float80.ts. Expanding is exact and raises nothing by itself: the caller asks
 * isSignalingNan() and W[DENORMAL_SOURCE]. Narrowing rounds and notes its exceptions in W[FLAGS].
 */
import {
  W, A, Z, FLAGS, CONTROL, DENORMAL_SOURCE, FE_INVALID, FE_DENORMAL, FE_INEXACT, ROUNDED_UP, EXP_MASK, SIGN, BIAS,
  PC_24, PC_53, RC_NEAREST, RC_UP, RC_ZERO, isUnsupported, isNan, isSignalingNan, isInfinity, normalizeOperand, roundTo,
  setNumber,
} from './float80';

const TOP_BIT = 0x80000000 | 0;
const QUIET_BIT = 0x40000000;

/** Work operand `slot` = the float32 with these bits. */
export function expandFloat32(bits: number, slot: number): void {
  const sign = (bits >>> 16) & SIGN, exp = (bits >>> 23) & 0xff, fraction = bits << 9;
  W[DENORMAL_SOURCE] = 0;
  if (exp === 0) {
    if (fraction === 0) setNumber(slot, sign, 0, 0);
    else {
      const n = Math.clz32(fraction);
      W[DENORMAL_SOURCE] = FE_DENORMAL;
      setNumber(slot, sign | (BIAS - 127 - n), fraction << n, 0);
    }
    return;
  }
  const wide = exp === 0xff ? EXP_MASK : exp + BIAS - 127;
  setNumber(slot, sign | wide, TOP_BIT | (fraction >>> 1), 0);
}

/** Work operand `slot` = the float64 with these bits. */
export function expandFloat64(lo: number, hi: number, slot: number): void {
  const sign = (hi >>> 16) & SIGN, exp = (hi >>> 20) & 0x7ff;
  const top = (hi << 12) | (lo >>> 20), rest = lo << 12;
  W[DENORMAL_SOURCE] = 0;
  if (exp === 0) {
    if ((top | rest) === 0) setNumber(slot, sign, 0, 0);
    else {
      W[DENORMAL_SOURCE] = FE_DENORMAL;
      setNumber(slot, 0, top, rest);
      W[slot + 2] = sign | (normalizeOperand(slot) - 1 + BIAS - 1023);
    }
    return;
  }
  const wide = exp === 0x7ff ? EXP_MASK : exp + BIAS - 1023;
  setNumber(slot, sign | wide, TOP_BIT | (top >>> 1), (top << 31) | (rest >>> 1));
}

/** Work operand `slot` = a signed 32-bit integer. */
export function expandInt32(value: number, slot: number): void {
  if (value === 0) {
    setNumber(slot, 0, 0, 0);
    return;
  }
  const magnitude = value < 0 ? -value | 0 : value;
  const n = Math.clz32(magnitude);
  setNumber(slot, (value < 0 ? SIGN : 0) | (BIAS + 31 - n), magnitude << n, 0);
}

/** Work operand `slot` = a signed 64-bit integer. */
export function expandInt64(lo: number, hi: number, slot: number): void {
  const sign = hi < 0 ? SIGN : 0;
  if (hi < 0) {
    lo = -lo | 0;
    hi = (~hi + (lo === 0 ? 1 : 0)) | 0;
  }
  if ((lo | hi) === 0) {
    setNumber(slot, 0, 0, 0);
    return;
  }
  // A significand with exponent 1 normalizes to exponent 1 - n.
  setNumber(slot, 0, hi, lo);
  W[slot + 2] = sign | (normalizeOperand(slot) - 1 + BIAS + 63);
}

/**
 * Narrows operand A to float32 (returned) and notes exceptions. When an unmasked overflow or underflow is noted the value is
 * meaningless (nothing is stored).
 */
export function narrowToFloat32(): number {
  const sign = (W[A + 2] & SIGN) << 16;
  if (!narrowFinite(PC_24, 127, 0xff)) {
    if (isUnsupported(A)) {
      W[FLAGS] |= FE_INVALID;
      return 0xffc00000 | 0;
    }
    if (isNan(A)) {
      if (isSignalingNan(A)) W[FLAGS] |= FE_INVALID;
      return sign | 0x7f800000 | ((W[A + 1] | QUIET_BIT) << 1 >>> 9);
    }
    return isInfinity(A) ? sign | 0x7f800000 : sign;
  }
  return sign | ((W[Z + 2] & 0xff) << 23) | (W[Z + 1] << 1 >>> 9);
}

/** Narrows operand A to float64: returns the low word, the high word is left in W[Z + 1]. Exceptions as narrowToFloat32. */
export function narrowToFloat64(): number {
  const sign = (W[A + 2] & SIGN) << 16;
  if (!narrowFinite(PC_53, 1023, 0x7ff)) {
    let hi = sign, lo = 0;
    if (isUnsupported(A)) {
      W[FLAGS] |= FE_INVALID;
      hi = 0xfff80000 | 0;
    } else if (isNan(A)) {
      if (isSignalingNan(A)) W[FLAGS] |= FE_INVALID;
      hi = sign | 0x7ff00000 | ((W[A + 1] | QUIET_BIT) << 1 >>> 12);
      lo = (W[A + 1] << 21) | (W[A] >>> 11);
    } else if (isInfinity(A)) hi = sign | 0x7ff00000;
    W[Z + 1] = hi;
    return lo;
  }
  const sHi = W[Z + 1], lo = (sHi << 21) | (W[Z] >>> 11);
  W[Z + 1] = sign | ((W[Z + 2] & 0x7ff) << 20) | (sHi << 1 >>> 12);
  return lo;
}

/** Rounds a finite nonzero A to a narrower format, into Z; false for everything else. */
function narrowFinite(precision: number, bias: number, maxExponent: number): boolean {
  const exp = W[A + 2] & EXP_MASK;
  if (exp === EXP_MASK || (exp !== 0 ? W[A + 1] >= 0 : (W[A] | W[A + 1]) === 0)) return false;
  const normal = normalizeOperand(A);
  roundTo(W[A + 2] & SIGN, normal - BIAS + bias, W[A + 1], W[A], 0, precision, maxExponent);
  return true;
}

/**
 * Rounds operand A to an integer by the rounding control, or toward zero: magnitude in Z (64 bits). False, with nothing noted,
 * when A is not finite, unsupported, or its magnitude does not fit 64 bits. Notes inexact and C1.
 */
export function roundToInteger(truncate: boolean): boolean {
  const exp = W[A + 2] & EXP_MASK;
  if (exp === EXP_MASK || isUnsupported(A)) return false;
  let shift = BIAS + 63 - exp;
  if (shift < 0) return false;
  let hi = W[A + 1], lo = W[A], ext = 0;
  if (shift > 65) {
    ext = (hi | lo) !== 0 ? 1 : 0;
    hi = 0;
    lo = 0;
  } else {
    while (shift >= 32) {
      ext = lo | (ext !== 0 ? 1 : 0);
      lo = hi;
      hi = 0;
      shift -= 32;
    }
    if (shift !== 0) {
      ext = (ext >>> shift) | (lo << (32 - shift)) | (ext << (32 - shift) !== 0 ? 1 : 0);
      lo = (lo >>> shift) | (hi << (32 - shift));
      hi >>>= shift;
    }
  }
  if (ext !== 0) {
    const rc = truncate ? RC_ZERO : (W[CONTROL] >> 10) & 3;
    W[FLAGS] |= FE_INEXACT;
    const up = rc === RC_NEAREST
      ? ext < 0 && (ext !== TOP_BIT || (lo & 1) !== 0)
      : rc !== RC_ZERO && (rc === RC_UP) === ((W[A + 2] & SIGN) === 0);
    if (up) {
      W[FLAGS] |= ROUNDED_UP;
      lo = (lo + 1) | 0;
      // No wrap: with bits shifted out the integer is below 2^63.
      if (lo === 0) hi = (hi + 1) | 0;
    }
  }
  W[Z] = lo;
  W[Z + 1] = hi;
  return true;
}

/**
 * Converts operand A to a signed integer of 16, 32 or 64 bits: two's complement in W[Z], W[Z + 1]. Out of range notes only an invalid
 * operation and gives the integer indefinite.
 */
export function toInteger(bits: number, truncate: boolean): void {
  const before = W[FLAGS];
  let fits = roundToInteger(truncate);
  if (fits) {
    const negative = (W[A + 2] & SIGN) !== 0;
    const hi = W[Z + 1], lo = W[Z];
    if (bits === 64) fits = hi >= 0 || (negative && hi === TOP_BIT && lo === 0);
    else {
      const limit = bits === 32 ? 0x80000000 : 0x8000;
      fits = hi === 0 && (lo >>> 0) < limit + (negative ? 1 : 0);
    }
    if (fits && negative) {
      W[Z] = -lo | 0;
      W[Z + 1] = (~hi + (lo === 0 ? 1 : 0)) | 0;
    }
  }
  if (!fits) {
    W[FLAGS] = before | FE_INVALID;
    W[Z] = bits === 64 ? 0 : bits === 32 ? TOP_BIT : -0x8000;
    W[Z + 1] = TOP_BIT;
  }
}

/** Work operand `slot` = 18 packed decimal digits and a sign byte, given as three words (the third: bytes 8 and 9). */
export function expandBcd(word0: number, word1: number, word2: number, slot: number): void {
  let value = 0n;
  for (let i = 17; i >= 0; i--) {
    const word = i >= 16 ? word2 : i >= 8 ? word1 : word0;
    value = value * 10n + BigInt((word >>> (4 * (i & 7))) & 15);
  }
  expandInt64(Number(value & 0xffffffffn) | 0, Number(value >> 32n) | 0, slot);
  W[slot + 2] |= word2 & SIGN;
}

/** Converts operand A to packed BCD: words W[Z], W[Z + 1], and bytes 8 and 9 in W[Z + 2]. Out of range: invalid, and the BCD indefinite. */
export function toBcd(): void {
  const before = W[FLAGS];
  const fits = roundToInteger(false);
  let value = fits ? (BigInt(W[Z + 1] >>> 0) << 32n) | BigInt(W[Z] >>> 0) : 0n;
  if (!fits || value >= 10n ** 18n) {
    W[FLAGS] = before | FE_INVALID;
    setNumber(Z, 0xffff, 0xc0000000 | 0, 0);
    return;
  }
  setNumber(Z, W[A + 2] & SIGN, 0, 0);
  for (let i = 0; i < 18; i++) {
    W[Z + (i >> 3)] |= Number(value % 10n) << (4 * (i & 7));
    value /= 10n;
  }
}
