/** Comparison of two numbers of the 80-bit format (SDM 1 8.3.6), on the work operands of float80.ts. */
import {
  W, A, B, FLAGS, FE_INVALID, FE_DENORMAL, EXP_MASK, SIGN, isDenormal, isNan, isSignalingNan, isUnsupported, isZero,
} from './float80';

export const LESS = -1, EQUAL = 0, GREATER = 1, UNORDERED = 2;

/** Relation of A to B. `quiet`: only signaling NaNs are invalid (FUCOM). */
export function compare(quiet: boolean): number {
  if (isUnsupported(A) || isUnsupported(B)) {
    W[FLAGS] |= FE_INVALID;
    return UNORDERED;
  }
  if (isNan(A) || isNan(B)) {
    if (!quiet || isSignalingNan(A) || isSignalingNan(B)) W[FLAGS] |= FE_INVALID;
    return UNORDERED;
  }
  if (isDenormal(A) || isDenormal(B)) W[FLAGS] |= FE_DENORMAL;
  if (isZero(A) && isZero(B)) return EQUAL;
  const aSign = W[A + 2] & SIGN, bSign = W[B + 2] & SIGN;
  if (aSign !== bSign) return aSign ? LESS : GREATER;
  const magnitude = compareMagnitudes();
  return aSign ? -magnitude : magnitude;
}

/** -1, 0, 1 for |A| <, =, > |B|; a pseudo-denormal equals the normal number it stands for. */
function compareMagnitudes(): number {
  const aExp = (W[A + 2] & EXP_MASK) || 1, bExp = (W[B + 2] & EXP_MASK) || 1;
  if (aExp !== bExp) return aExp < bExp ? -1 : 1;
  if (W[A + 1] !== W[B + 1]) return W[A + 1] >>> 0 < W[B + 1] >>> 0 ? -1 : 1;
  if (W[A] !== W[B]) return W[A] >>> 0 < W[B] >>> 0 ? -1 : 1;
  return 0;
}
