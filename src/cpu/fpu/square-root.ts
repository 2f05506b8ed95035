/** Square root of the 80-bit format (FSQRT), on the work operands of float80.ts. */
import {
  W, A, Z, FLAGS, SIGN, BIAS, copyNumber, invalid, isInfinity, isZero, normalizeOperand, resultPrecision, roundPack, screenOperand,
  setInfinity,
} from './float80';

const TWO32 = 4294967296;

/** Z = square root of A. */
export function squareRoot(): void {
  const before = W[FLAGS];
  if (screenOperand()) return;
  if (isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  if (W[A + 2] & SIGN) {
    W[FLAGS] = before;
    invalid();
    return;
  }
  if (isInfinity(A)) {
    setInfinity(Z, 0);
    return;
  }
  const exp = normalizeOperand(A) - BIAS;
  const odd = exp & 1;
  // Radicand x of 128 bits with a root of 64: significand * 2^63, or 2^64 when the exponent is odd.
  let x3 = W[A + 1], x2 = W[A], x1 = 0;
  if (odd === 0) {
    x1 = x2 << 31;
    x2 = (x2 >>> 1) | (x3 << 31);
    x3 >>>= 1;
  }
  // Restoring digit recurrence, a bit a step; the remainder (m2 m1 m0) and the root (r1 r0) stay below 2^66.
  let m0 = 0, m1 = 0, m2 = 0, r0 = 0, r1 = 0;
  for (let i = 0; i < 64; i++) {
    m2 = (m2 << 2) | (m1 >>> 30);
    m1 = (m1 << 2) | (m0 >>> 30);
    m0 = (m0 << 2) | (x3 >>> 30);
    x3 = (x3 << 2) | (x2 >>> 30);
    x2 = (x2 << 2) | (x1 >>> 30);
    x1 <<= 2;
    const t0 = (r0 << 2) | 1, t1 = (r1 << 2) | (r0 >>> 30), t2 = r1 >>> 30;
    let d0 = (m0 >>> 0) - (t0 >>> 0), d1 = (m1 >>> 0) - (t1 >>> 0), d2 = m2 - t2;
    if (d0 < 0) {
      d0 += TWO32;
      d1--;
    }
    if (d1 < 0) {
      d1 += TWO32;
      d2--;
    }
    r1 = (r1 << 1) | (r0 >>> 31);
    r0 <<= 1;
    if (d2 >= 0) {
      m0 = d0 | 0;
      m1 = d1 | 0;
      m2 = d2;
      r0 |= 1;
    }
  }
  // The root lies above r + 1/2 exactly when the remainder exceeds r; it never lies on it.
  let ext = 0;
  if ((m0 | m1 | m2) !== 0) {
    const above = m2 !== 0 || m1 >>> 0 > r1 >>> 0 || (m1 === r1 && m0 >>> 0 > r0 >>> 0);
    ext = above ? 0xc0000000 | 0 : 0x40000000;
  }
  roundPack(0, ((exp - odd) >> 1) + BIAS, r1, r0, ext, resultPrecision());
}
