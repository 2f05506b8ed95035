/**
 * Arithmetic of the 80-bit extended format: the work operands, rounding, addition, multiplication and division, exact to
 * IEEE 754 as the x87 does them (SDM 1 4.8, 4.9, 8.5).
 *
 * A number is three words: significand low, significand high (integer bit explicit, bit 31), sign (bit 15) and
 * biased exponent. Operations take operands A and B from the work array W, leave the result in Z and OR the
 * exceptions they met into W[FLAGS], in status-word positions; rounding up sets C1. W[CONTROL] holds rounding and
 * precision control and the exception masks in control-word positions: a masked exception gives the masked response,
 * unmasked overflow and underflow give the result scaled by 2^24576.
 *
 * Other parts: square-root.ts, compare.ts, convert.ts (formats), remainder.ts (exact remainders, scaling), transcendental.ts.
 */

/** Work operands and control of the softfloat. */
export const W = new Int32Array(32);
/** First word of operand A, operand B, result Z: [low, high, sign and exponent]. */
export const A = 0, B = 4, Z = 8;
/** Exceptions met (OR-ed), and C1 when the result was rounded up in magnitude. */
export const FLAGS = 12;
/** Control word that governs the operation. */
export const CONTROL = 13;
/** Results of shiftRightJam: high, low, extension. */
const SHIFTED_HI = 14, SHIFTED_LO = 15, SHIFTED_EXT = 16;
/** FE_DENORMAL after a float32 or float64 denormal was expanded (convert.ts): it is normal in this format. */
export const DENORMAL_SOURCE = 17;

// Exception flags, as in the status word.
export const FE_INVALID = 1, FE_DENORMAL = 2, FE_ZERO_DIVIDE = 4, FE_OVERFLOW = 8, FE_UNDERFLOW = 16, FE_INEXACT = 32;
/** Status word C1: the result was rounded up. */
export const ROUNDED_UP = 0x200;

// Rounding control (control word 11:10).
export const RC_NEAREST = 0, RC_DOWN = 1, RC_UP = 2, RC_ZERO = 3;
// Precision control (control word 9:8).
export const PC_24 = 0, PC_53 = 2, PC_64 = 3;

export const EXP_MASK = 0x7fff, SIGN = 0x8000, BIAS = 0x3fff;
const TOP_BIT = 0x80000000 | 0;
const QUIET_BIT = 0x40000000;
const TWO32 = 4294967296;
/** Exponent adjustment of unmasked overflow and underflow (SDM 1 8.5.4). */
const WRAP = 24576;

// --- Operand classes ---

/** Exponent not zero but integer bit clear: pseudo-NaN, pseudo-infinity, unnormal (SDM 1 8.2.2). */
export function isUnsupported(slot: number): boolean {
  return (W[slot + 2] & EXP_MASK) !== 0 && W[slot + 1] >= 0;
}

/** True for a NaN; the operand is not unsupported. */
export function isNan(slot: number): boolean {
  return (W[slot + 2] & EXP_MASK) === EXP_MASK && ((W[slot + 1] << 1) | W[slot]) !== 0;
}

export function isSignalingNan(slot: number): boolean {
  return isNan(slot) && (W[slot + 1] & QUIET_BIT) === 0;
}

export function isInfinity(slot: number): boolean {
  return (W[slot + 2] & EXP_MASK) === EXP_MASK && W[slot + 1] === TOP_BIT && W[slot] === 0;
}

export function isZero(slot: number): boolean {
  return (W[slot + 2] & EXP_MASK) === 0 && (W[slot] | W[slot + 1]) === 0;
}

/** Denormal or pseudo-denormal. */
export function isDenormal(slot: number): boolean {
  return (W[slot + 2] & EXP_MASK) === 0 && (W[slot] | W[slot + 1]) !== 0;
}

// --- Results ---

export function setNumber(slot: number, signExponent: number, hi: number, lo: number): void {
  W[slot] = lo;
  W[slot + 1] = hi;
  W[slot + 2] = signExponent;
}

export function setInfinity(slot: number, sign: number): void {
  setNumber(slot, sign | EXP_MASK, TOP_BIT, 0);
}

export function setZero(slot: number, sign: number): void {
  setNumber(slot, sign, 0, 0);
}

/** Copies one work operand to another. */
export function copyNumber(from: number, to: number): void {
  W[to] = W[from];
  W[to + 1] = W[from + 1];
  W[to + 2] = W[from + 2];
}

/** The QNaN floating-point indefinite. */
export function setIndefinite(slot: number): void {
  setNumber(slot, 0xffff, TOP_BIT | QUIET_BIT, 0);
}

/** Invalid operation: the masked response in Z. */
export function invalid(): void {
  W[FLAGS] |= FE_INVALID;
  setIndefinite(Z);
}

/** Z = the NaN among A and B that the rules of SDM 1 table 4-7 choose, quieted. At least one is a NaN. */
export function propagateNan(): void {
  const aNan = isNan(A), bNan = isNan(B);
  const aSignals = isSignalingNan(A), bSignals = isSignalingNan(B);
  if (aSignals || bSignals) W[FLAGS] |= FE_INVALID;
  let chosen: number;
  if (!bNan) chosen = A;
  else if (!aNan) chosen = B;
  else if (aSignals !== bSignals) chosen = aSignals ? B : A;
  else if (W[A + 1] !== W[B + 1]) chosen = W[A + 1] >>> 0 > W[B + 1] >>> 0 ? A : B;
  else if (W[A] !== W[B]) chosen = W[A] >>> 0 > W[B] >>> 0 ? A : B;
  else chosen = W[A + 2] & SIGN ? B : A;
  setNumber(Z, W[chosen + 2], W[chosen + 1] | QUIET_BIT, W[chosen]);
}

/**
 * Deals with unsupported operands and NaNs: true when Z holds the result. Otherwise notes denormals and returns false.
 */
export function screenOperands(): boolean {
  if (isUnsupported(A) || isUnsupported(B)) {
    invalid();
    return true;
  }
  if (isNan(A) || isNan(B)) {
    propagateNan();
    return true;
  }
  if (isDenormal(A) || isDenormal(B)) W[FLAGS] |= FE_DENORMAL;
  return false;
}

/** The same for operations of one operand, A. */
export function screenOperand(): boolean {
  if (isUnsupported(A)) {
    invalid();
    return true;
  }
  if (isNan(A)) {
    if (isSignalingNan(A)) W[FLAGS] |= FE_INVALID;
    setNumber(Z, W[A + 2], W[A + 1] | QUIET_BIT, W[A]);
    return true;
  }
  if (isDenormal(A)) W[FLAGS] |= FE_DENORMAL;
  return false;
}

/** Biased exponent of a finite nonzero operand after shifting its significand, in place, until the integer bit is set. May be zero or negative. */
export function normalizeOperand(slot: number): number {
  let exp = W[slot + 2] & EXP_MASK, hi = W[slot + 1], lo = W[slot];
  if (exp === 0) exp = 1;
  if (hi < 0) return exp;
  if (hi === 0) {
    hi = lo;
    lo = 0;
    exp -= 32;
  }
  const n = Math.clz32(hi);
  if (n !== 0) {
    hi = (hi << n) | (lo >>> (32 - n));
    lo <<= n;
  }
  W[slot + 1] = hi;
  W[slot] = lo;
  return exp - n;
}

// --- Rounding ---

/** Precision of results as the control word says; the reserved coding means 64 bits. */
export function resultPrecision(): number {
  const pc = (W[CONTROL] >> 8) & 3;
  return pc === 1 ? PC_64 : pc;
}

/** Shifts hi:lo:ext right by n >= 0 bits into W[SHIFTED_*]; bits lost are OR-ed into the lowest bit. */
function shiftRightJam(hi: number, lo: number, ext: number, n: number): void {
  if (n > 96) n = 97;
  while (n >= 32) {
    ext = lo | (ext !== 0 ? 1 : 0);
    lo = hi;
    hi = 0;
    n -= 32;
  }
  if (n !== 0) {
    const lost = ext << (32 - n) !== 0 ? 1 : 0;
    ext = (ext >>> n) | (lo << (32 - n)) | lost;
    lo = (lo >>> n) | (hi << (32 - n));
    hi >>>= n;
  }
  W[SHIFTED_HI] = hi;
  W[SHIFTED_LO] = lo;
  W[SHIFTED_EXT] = ext;
}

/**
 * Rounds hi:lo:ext at the precision and stores Z with exponent `exp`, one more on carry; integer bit of the significand
 * may be clear. Returns the exceptions (inexact, and C1). No range check.
 */
function roundSignificand(sign: number, exp: number, hi: number, lo: number, ext: number, precision: number): number {
  let unitHi = 0, unitLo = 1, flags = 0;
  if (precision !== PC_64) {
    if (precision === PC_53) {
      ext = (lo << 21) | (ext !== 0 ? 1 : 0);
      lo &= ~0x7ff;
      unitLo = 0x800;
    } else {
      ext = (hi << 24) | ((lo | ext) !== 0 ? 1 : 0);
      hi &= ~0xff;
      lo = 0;
      unitLo = 0;
      unitHi = 0x100;
    }
  }
  if (ext !== 0) {
    flags = FE_INEXACT;
    const rc = (W[CONTROL] >> 10) & 3;
    const up = rc === RC_NEAREST
      ? ext < 0 && (ext !== TOP_BIT || ((lo & unitLo) | (hi & unitHi)) !== 0)
      : rc !== RC_ZERO && (rc === RC_UP) === (sign === 0);
    if (up) {
      flags |= ROUNDED_UP;
      lo = (lo + unitLo) | 0;
      const before = hi;
      hi = (hi + unitHi + (lo === 0 && unitLo !== 0 ? 1 : 0)) | 0;
      if (hi === 0 && before !== 0) {
        hi = TOP_BIT;
        exp++;
      }
    }
  }
  W[Z] = lo;
  W[Z + 1] = hi;
  W[Z + 2] = exp;
  return flags;
}

/**
 * Rounds a normalized significand (integer bit set in hi, `ext` = the next 32 bits, lowest bit sticky) to `precision` and a
 * format whose exponents reach `maxExponent` (the code of infinity); `exp` is biased for that format and may be out of its
 * range. Leaves significand and sign|exponent in Z.
 */
export function roundTo(sign: number, exp: number, hi: number, lo: number, ext: number, precision: number, maxExponent: number): void {
  if (exp <= 0) {
    roundSmall(sign, exp, hi, lo, ext, precision);
    return;
  }
  const flags = roundSignificand(sign, exp, hi, lo, ext, precision);
  W[FLAGS] |= flags;
  if (W[Z + 2] >= maxExponent) overflow(sign, flags, precision, maxExponent);
  W[Z + 2] |= sign;
}

function roundSmall(sign: number, exp: number, hi: number, lo: number, ext: number, precision: number): void {
  // Tininess is detected after rounding, as if the exponent had no bound.
  let flags = roundSignificand(sign, exp, hi, lo, ext, precision);
  const tiny = W[Z + 2] <= 0;
  if ((W[CONTROL] & FE_UNDERFLOW) === 0 && tiny) {
    W[FLAGS] |= flags | FE_UNDERFLOW;
    W[Z + 2] = ((W[Z + 2] + WRAP) & EXP_MASK) | sign;
    return;
  }
  shiftRightJam(hi, lo, ext, 1 - exp);
  flags = roundSignificand(sign, 0, W[SHIFTED_HI], W[SHIFTED_LO], W[SHIFTED_EXT], precision);
  if (tiny && (flags & FE_INEXACT) !== 0) flags |= FE_UNDERFLOW;
  W[FLAGS] |= flags;
  W[Z + 2] = sign | (W[Z + 1] < 0 ? 1 : 0);
}

function overflow(sign: number, flags: number, precision: number, maxExponent: number): void {
  if ((W[CONTROL] & FE_OVERFLOW) === 0) {
    W[FLAGS] |= FE_OVERFLOW;
    W[Z + 2] -= WRAP;
    return;
  }
  W[FLAGS] = (W[FLAGS] & ~(flags & ROUNDED_UP)) | FE_OVERFLOW | FE_INEXACT;
  const rc = (W[CONTROL] >> 10) & 3;
  if (rc === RC_NEAREST || (rc !== RC_ZERO && (rc === RC_UP) === (sign === 0))) {
    W[FLAGS] |= ROUNDED_UP;
    setNumber(Z, maxExponent, TOP_BIT, 0);
  } else {
    W[Z] = precision === PC_64 ? -1 : precision === PC_53 ? ~0x7ff : 0;
    W[Z + 1] = precision === PC_24 ? ~0xff : -1;
    W[Z + 2] = maxExponent - 1;
  }
}

/** Rounds to the extended format at the given precision. */
export function roundPack(sign: number, exp: number, hi: number, lo: number, ext: number, precision: number): void {
  roundTo(sign, exp, hi, lo, ext, precision, EXP_MASK);
}

/** Normalizes hi:lo:ext (not zero) and rounds it at the precision the control word asks for. */
function normalizeRoundPack(sign: number, exp: number, hi: number, lo: number, ext: number): void {
  while (hi === 0) {
    hi = lo;
    lo = ext;
    ext = 0;
    exp -= 32;
  }
  const n = Math.clz32(hi);
  if (n !== 0) {
    hi = (hi << n) | (lo >>> (32 - n));
    lo = (lo << n) | (ext >>> (32 - n));
    ext <<= n;
    exp -= n;
  }
  roundPack(sign, exp, hi, lo, ext, resultPrecision());
}

function isOrdinary(exp: number, hi: number): boolean {
  return hi < 0 && exp !== 0 && exp !== EXP_MASK;
}

// --- Addition ---

/** Z = A + B, or A - B with `flip` = SIGN. */
export function add(flip: number): void {
  let aHi = W[A + 1], aLo = W[A], bHi = W[B + 1], bLo = W[B];
  let sign = W[A + 2] & SIGN, bSign = (W[B + 2] ^ flip) & SIGN;
  let aExp = W[A + 2] & EXP_MASK, bExp = W[B + 2] & EXP_MASK;
  if (!isOrdinary(aExp, aHi) || !isOrdinary(bExp, bHi)) {
    if (addSpecial(sign, bSign)) return;
    if (aExp === 0) aExp = 1;
    if (bExp === 0) bExp = 1;
  }
  if (aExp < bExp || (aExp === bExp && aHi >>> 0 < bHi >>> 0)) {
    let t = aHi; aHi = bHi; bHi = t;
    t = aLo; aLo = bLo; bLo = t;
    t = sign; sign = bSign; bSign = t;
    t = aExp; aExp = bExp; bExp = t;
  }
  let ext = 0;
  if (aExp !== bExp) {
    shiftRightJam(bHi, bLo, 0, aExp - bExp);
    bHi = W[SHIFTED_HI];
    bLo = W[SHIFTED_LO];
    ext = W[SHIFTED_EXT];
  }
  if (sign === bSign) {
    let lo = (aLo + bLo) | 0;
    const sum = (aHi >>> 0) + (bHi >>> 0) + (lo >>> 0 < aLo >>> 0 ? 1 : 0);
    let hi = sum | 0;
    if (sum >= TWO32) {
      ext = (ext >>> 1) | (ext & 1) | (lo << 31);
      lo = (lo >>> 1) | (hi << 31);
      hi = (hi >>> 1) | TOP_BIT;
      aExp++;
    } else if ((hi | lo | ext) === 0) {
      setZero(Z, sign);
      return;
    }
    normalizeRoundPack(sign, aExp, hi, lo, ext);
    return;
  }
  // Same exponent and high word: the low words decide who is larger.
  if (aExp === bExp && aHi === bHi && aLo >>> 0 < bLo >>> 0) {
    const t = aLo; aLo = bLo; bLo = t;
    sign = bSign;
  }
  const borrowExt = ext !== 0 ? 1 : 0;
  const lowDifference = (aLo >>> 0) - (bLo >>> 0) - borrowExt;
  const hi = (aHi - bHi - (lowDifference < 0 ? 1 : 0)) | 0;
  const lo = lowDifference | 0;
  ext = -ext | 0;
  if ((hi | lo | ext) === 0) {
    setZero(Z, ((W[CONTROL] >> 10) & 3) === RC_DOWN ? SIGN : 0);
    return;
  }
  normalizeRoundPack(sign, aExp, hi, lo, ext);
}

/** NaNs, unsupported operands and infinities of an addition. */
function addSpecial(aSign: number, bSign: number): boolean {
  if (screenOperands()) return true;
  if (isInfinity(A)) {
    if (isInfinity(B) && aSign !== bSign) invalid();
    else setInfinity(Z, aSign);
    return true;
  }
  if (isInfinity(B)) {
    setInfinity(Z, bSign);
    return true;
  }
  return false;
}

// --- Multiplication ---

/** High word of the 64-bit product of two unsigned 32-bit numbers; the double product errs by far less than half of 2^32. */
function multiplyHigh(a: number, b: number): number {
  return Math.floor((a * b - (Math.imul(a, b) >>> 0)) / TWO32 + 0.5);
}

/** Z = A * B. */
export function multiply(): void {
  const sign = (W[A + 2] ^ W[B + 2]) & SIGN;
  let aExp = W[A + 2] & EXP_MASK, bExp = W[B + 2] & EXP_MASK;
  if (!isOrdinary(aExp, W[A + 1]) || !isOrdinary(bExp, W[B + 1])) {
    if (multiplySpecial(sign)) return;
    aExp = normalizeOperand(A);
    bExp = normalizeOperand(B);
  }
  const aHi = W[A + 1] >>> 0, aLo = W[A] >>> 0, bHi = W[B + 1] >>> 0, bLo = W[B] >>> 0;
  const word0 = Math.imul(aLo, bLo);
  const sum1 = multiplyHigh(aLo, bLo) + (Math.imul(aLo, bHi) >>> 0) + (Math.imul(aHi, bLo) >>> 0);
  const sum2 = multiplyHigh(aLo, bHi) + multiplyHigh(aHi, bLo) + (Math.imul(aHi, bHi) >>> 0) + Math.floor(sum1 / TWO32);
  let hi = (multiplyHigh(aHi, bHi) + Math.floor(sum2 / TWO32)) | 0;
  let lo = sum2 | 0;
  let ext = sum1 | 0;
  let exp = aExp + bExp - BIAS + 1;
  if (hi >= 0) {
    hi = (hi << 1) | (lo >>> 31);
    lo = (lo << 1) | (ext >>> 31);
    ext = (ext << 1) | (word0 >>> 31);
    if (word0 << 1 !== 0) ext |= 1;
    exp--;
  } else if (word0 !== 0) ext |= 1;
  roundPack(sign, exp, hi, lo, ext, resultPrecision());
}

function multiplySpecial(sign: number): boolean {
  if (screenOperands()) return true;
  if (isInfinity(A) || isInfinity(B)) {
    if (isZero(A) || isZero(B)) invalid();
    else setInfinity(Z, sign);
    return true;
  }
  if (isZero(A) || isZero(B)) {
    setZero(Z, sign);
    return true;
  }
  return false;
}

// --- Division ---

/** Z = A / B. */
export function divide(): void {
  const sign = (W[A + 2] ^ W[B + 2]) & SIGN;
  let aExp = W[A + 2] & EXP_MASK, bExp = W[B + 2] & EXP_MASK;
  if (!isOrdinary(aExp, W[A + 1]) || !isOrdinary(bExp, W[B + 1])) {
    if (divideSpecial(sign)) return;
    aExp = normalizeOperand(A);
    bExp = normalizeOperand(B);
  }
  divideSignificands(sign, aExp - bExp + BIAS);
}

function divideSpecial(sign: number): boolean {
  const before = W[FLAGS];
  if (screenOperands()) return true;
  if (isInfinity(A)) {
    if (isInfinity(B)) invalid();
    else setInfinity(Z, sign);
    return true;
  }
  if (isInfinity(B)) {
    setZero(Z, sign);
    return true;
  }
  if (isZero(B)) {
    if (isZero(A)) invalid();
    else {
      // A zero divide takes precedence over the denormal operand (SDM 1 4.9.2).
      W[FLAGS] = before | FE_ZERO_DIVIDE;
      setInfinity(Z, sign);
    }
    return true;
  }
  if (isZero(A)) {
    setZero(Z, sign);
    return true;
  }
  return false;
}

/**
 * Long division of the normalized significands in A and B, 20 quotient bits a step: a step's digit times a word of the
 * divisor is exact in a double, and the estimate of the digit is wrong by one at most.
 */
function divideSignificands(sign: number, exp: number): void {
  let rHi = W[A + 1] >>> 0, rLo = W[A] >>> 0;
  const dHi = W[B + 1] >>> 0, dLo = W[B] >>> 0;
  const divisor = dHi * TWO32 + dLo;
  let integer = 0;
  if (rHi > dHi || (rHi === dHi && rLo >= dLo)) {
    integer = 1;
    rLo -= dLo;
    rHi -= dHi;
    if (rLo < 0) {
      rLo += TWO32;
      rHi--;
    }
  }
  let digit0 = 0, digit1 = 0, digit2 = 0, digit3 = 0;
  for (let step = 0; step < 4; step++) {
    let q = Math.floor(((rHi * TWO32 + rLo) / divisor) * 1048576);
    const low = q * dLo, lowCarry = Math.floor(low / TWO32);
    const shifted = rLo * 1048576, shiftedCarry = Math.floor(shifted / TWO32);
    let nLo = shifted - shiftedCarry * TWO32 - (low - lowCarry * TWO32);
    let nHi = rHi * 1048576 + shiftedCarry - (q * dHi + lowCarry);
    if (nLo < 0) {
      nLo += TWO32;
      nHi--;
    }
    if (nHi < 0) {
      q--;
      nLo += dLo;
      nHi += dHi;
      if (nLo >= TWO32) {
        nLo -= TWO32;
        nHi++;
      }
    } else if (nHi > dHi || (nHi === dHi && nLo >= dLo)) {
      q++;
      nLo -= dLo;
      nHi -= dHi;
      if (nLo < 0) {
        nLo += TWO32;
        nHi--;
      }
    }
    rHi = nHi;
    rLo = nLo;
    if (step === 0) digit0 = q;
    else if (step === 1) digit1 = q;
    else if (step === 2) digit2 = q;
    else digit3 = q;
  }
  const sticky = rHi !== 0 || rLo !== 0 ? 1 : 0;
  let hi: number, lo: number, ext: number;
  if (integer === 1) {
    hi = TOP_BIT | (digit0 << 11) | (digit1 >>> 9);
    lo = (digit1 << 23) | (digit2 << 3) | (digit3 >>> 17);
    ext = (digit3 << 15) | sticky;
  } else {
    hi = (digit0 << 12) | (digit1 >>> 8);
    lo = (digit1 << 24) | (digit2 << 4) | (digit3 >>> 16);
    ext = (digit3 << 16) | sticky;
    exp--;
  }
  roundPack(sign, exp, hi, lo, ext, resultPrecision());
}
