/**
 * Exact operations on exponents and remainders of the 80-bit format: FPREM, FPREM1, FRNDINT, FSCALE, FXTRACT
 * (SDM 2A), on the work operands of float80.ts.
 */
import {
  W, A, B, Z, FLAGS, CONTROL, FE_ZERO_DIVIDE, FE_UNDERFLOW, FE_OVERFLOW, FE_INEXACT, ROUNDED_UP, EXP_MASK, SIGN, BIAS, PC_64, copyNumber, invalid,
  isDenormal, isInfinity, isZero, normalizeOperand, propagateNan, roundPack, screenOperand, screenOperands, setInfinity, setNumber,
  setZero, isUnsupported, isNan,
} from './float80';
import { expandInt32, roundToInteger } from './convert';

const TWO32 = 4294967296;

/** Three low bits of the quotient of the last remainder(), or one of the following. */
export const QUOTIENT = 18;
/** The reduction is incomplete (C2 = 1); there is no quotient (NaNs, invalid operands). */
export const INCOMPLETE = -1, NO_QUOTIENT = -2;

/**
 * Z = partial remainder of A by B: `nearest` rounds the quotient to nearest (FPREM1), else toward zero (FPREM). Exponents that differ by
 * 64 or more are reduced by 32 to 63 bits a time, so that their difference comes down to a multiple of 32 below.
 */
export function remainder(nearest: boolean): void {
  W[QUOTIENT] = NO_QUOTIENT;
  const before = W[FLAGS];
  if (screenOperands()) return;
  if (isInfinity(A) || isZero(B)) {
    // Takes precedence over a denormal operand.
    W[FLAGS] = before;
    invalid();
    return;
  }
  W[QUOTIENT] = 0;
  const sign = W[A + 2] & SIGN;
  if (isZero(A)) {
    setZero(Z, sign);
    return;
  }
  if (isInfinity(B)) {
    if (isDenormal(A)) {
      const exp = normalizeOperand(A);
      roundPack(sign, exp, W[A + 1], W[A], 0, PC_64);
    } else copyNumber(A, Z);
    return;
  }
  const aExp = normalizeOperand(A), bExp = normalizeOperand(B);
  const difference = aExp - bExp;
  let rHi = W[A + 1] >>> 0, rLo = W[A] >>> 0;
  const dHi = W[B + 1] >>> 0, dLo = W[B] >>> 0;
  if (difference < -1 || (difference < 0 && !nearest)) {
    roundPack(sign, aExp, W[A + 1], W[A], 0, PC_64);
    return;
  }
  const partial = difference >= 64;
  const steps = partial ? (difference & 31) | 32 : difference;
  let quotient = 0;
  let resultSign = sign;
  let exp = bExp;
  if (steps < 0) {
    // |A| is between a quarter of |B| and |B|: the quotient before rounding is 0, the remainder A itself, one binary place lower.
    exp = aExp;
    // Round up when 2|A| > |B|, that is when A's significand exceeds B's.
    if (rHi > dHi || (rHi === dHi && rLo > dLo)) {
      // |B| - |A| in units of A's last place: 2 * B - A, below 2^64 because A's significand exceeds B's.
      let lo = 2 * dLo - rLo, hi = 2 * dHi - rHi;
      while (lo < 0) {
        lo += TWO32;
        hi--;
      }
      while (lo >= TWO32) {
        lo -= TWO32;
        hi++;
      }
      rHi = hi;
      rLo = lo;
      quotient = 1;
      resultSign ^= SIGN;
    }
  } else {
    // Shift and subtract; the remainder needs a 65th bit for a moment, which doubles hold.
    for (let i = 0; ; i++) {
      quotient = (quotient << 1) & 7;
      if (rHi > dHi || (rHi === dHi && rLo >= dLo)) {
        rHi -= dHi;
        rLo -= dLo;
        if (rLo < 0) {
          rLo += TWO32;
          rHi--;
        }
        quotient |= 1;
      }
      if (i === steps) break;
      rLo *= 2;
      rHi *= 2;
      if (rLo >= TWO32) {
        rLo -= TWO32;
        rHi++;
      }
    }
    if (partial) exp = aExp - steps;
    else if (nearest) {
      // Compare twice the remainder with the divisor.
      const lo2 = rLo * 2, hi2 = rHi * 2 + (lo2 >= TWO32 ? 1 : 0), low = lo2 >= TWO32 ? lo2 - TWO32 : lo2;
      const above = hi2 > dHi || (hi2 === dHi && low > dLo), tie = hi2 === dHi && low === dLo;
      if (above || (tie && (quotient & 1) !== 0)) {
        rHi = dHi - rHi;
        rLo = dLo - rLo;
        if (rLo < 0) {
          rLo += TWO32;
          rHi--;
        }
        quotient++;
        resultSign ^= SIGN;
      }
    }
  }
  W[QUOTIENT] = partial ? INCOMPLETE : quotient & 7;
  if (rHi === 0 && rLo === 0) {
    setZero(Z, sign);
    return;
  }
  setNumber(Z, 0, rHi | 0, rLo | 0);
  const shifted = normalizeOperand(Z) - 1;
  roundPack(resultSign, exp + shifted, W[Z + 1], W[Z], 0, PC_64);
}

/** Z = A rounded to an integer by the rounding control. */
export function roundToIntegral(): void {
  if (screenOperand()) return;
  const exp = W[A + 2] & EXP_MASK, sign = W[A + 2] & SIGN;
  if (exp >= BIAS + 63 || isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  roundToInteger(false);
  if ((W[Z] | W[Z + 1]) === 0) {
    setZero(Z, sign);
    return;
  }
  W[Z + 2] = 0;
  W[Z + 2] = sign | (normalizeOperand(Z) - 1 + BIAS + 63);
}

/** Z = A * 2^trunc(B). */
export function scale(): void {
  if (screenOperands()) return;
  const sign = W[A + 2] & SIGN;
  if (isInfinity(B)) {
    const negative = (W[B + 2] & SIGN) !== 0;
    if (negative ? isInfinity(A) : isZero(A)) invalid();
    else if (negative) setZero(Z, sign);
    else setInfinity(Z, sign);
    return;
  }
  if (isInfinity(A) || isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  const bExp = W[B + 2] & EXP_MASK;
  let by = 0;
  if (bExp >= BIAS) by = bExp > BIAS + 16 ? 0x20000 : W[B + 1] >>> (31 - (bExp - BIAS));
  if (W[B + 2] & SIGN) by = -by;
  if (by === 0) {
    if (isDenormal(A)) {
      const exp = normalizeOperand(A);
      roundPack(sign, exp, W[A + 1], W[A], 0, PC_64);
    } else copyNumber(A, Z);
    return;
  }
  const exp = normalizeOperand(A) + by;
  roundPack(sign, exp, W[A + 1], W[A], 0, PC_64);
  // Beyond the reach of the wrapped exponent the unmasked responses are infinity and zero, inexact.
  if ((W[FLAGS] & FE_OVERFLOW & ~W[CONTROL]) !== 0 && exp - 24576 >= EXP_MASK) {
    W[FLAGS] |= FE_INEXACT | ROUNDED_UP;
    setInfinity(Z, sign);
  }
  if ((W[FLAGS] & FE_UNDERFLOW & ~W[CONTROL]) !== 0 && exp + 24576 <= 0) {
    W[FLAGS] |= FE_INEXACT;
    setZero(Z, sign);
  }
}

/** Splits A: Z = its significand as a number in [1, 2), B = its unbiased exponent. */
export function extract(): void {
  if (isUnsupported(A) || isNan(A)) {
    copyNumber(A, B);
    if (isUnsupported(A)) invalid();
    else propagateNan();
    copyNumber(Z, B);
    return;
  }
  if (isZero(A)) {
    W[FLAGS] |= FE_ZERO_DIVIDE;
    copyNumber(A, Z);
    setInfinity(B, SIGN);
    return;
  }
  screenOperand();
  if (isInfinity(A)) {
    copyNumber(A, Z);
    setInfinity(B, 0);
    return;
  }
  const exp = normalizeOperand(A);
  expandInt32(exp - BIAS, B);
  setNumber(Z, (W[A + 2] & SIGN) | BIAS, W[A + 1], W[A]);
}
