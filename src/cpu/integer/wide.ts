/**
 * 64 x 64 -> 128-bit multiplication and 128 / 64-bit division on pairs of 32-bit words, without BigInt and without
 * allocation. Results are left in module-level words, valid until the next call.
 */

/** Product of the last multiply: four words, low first. */
export const PRODUCT = new Int32Array(4);
/** Quotient of the last division, low word first. */
export const QUOTIENT = new Int32Array(2);
/** Remainder of the last division, low word first. */
export const REMAINDER = new Int32Array(2);

const TWO32 = 4294967296;

/** High word of the unsigned product of two words. */
export function multiplyHighUnsigned32(a: number, b: number): number {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + (middle >>> 16) + (other >>> 16)) | 0;
}

/** PRODUCT = a * b, unsigned. */
export function multiplyUnsigned64(aLo: number, aHi: number, bLo: number, bHi: number): void {
  PRODUCT[0] = Math.imul(aLo, bLo);
  const word1 = (multiplyHighUnsigned32(aLo, bLo) >>> 0) + (Math.imul(aLo, bHi) >>> 0) + (Math.imul(aHi, bLo) >>> 0);
  PRODUCT[1] = word1 % TWO32;
  const word2 = (multiplyHighUnsigned32(aLo, bHi) >>> 0) + (multiplyHighUnsigned32(aHi, bLo) >>> 0)
    + (Math.imul(aHi, bHi) >>> 0) + Math.floor(word1 / TWO32);
  PRODUCT[2] = word2 % TWO32;
  PRODUCT[3] = (multiplyHighUnsigned32(aHi, bHi) >>> 0) + Math.floor(word2 / TWO32);
}

/** PRODUCT = a * b, signed. */
export function multiplySigned64(aLo: number, aHi: number, bLo: number, bHi: number): void {
  multiplyUnsigned64(aLo, aHi, bLo, bHi);
  if (aHi < 0) subtractFromHigh(bLo, bHi);
  if (bHi < 0) subtractFromHigh(aLo, aHi);
}

function subtractFromHigh(lo: number, hi: number): void {
  const old = PRODUCT[2];
  PRODUCT[2] = old - lo;
  PRODUCT[3] = PRODUCT[3] - hi - (old >>> 0 < lo >>> 0 ? 1 : 0);
}

/**
 * One 32-bit quotient digit: divides (REMAINDER : next) by the divisor, which must be greater than REMAINDER; leaves the
 * new remainder and returns the digit. The quotient estimated in doubles is less than 2^32 and its relative error below
 * 2^-50, so it is wrong by one at most.
 */
function divideDigit(next: number, divisorLo: number, divisorHi: number, divisor: number): number {
  const remainder = (REMAINDER[1] >>> 0) * TWO32 + (REMAINDER[0] >>> 0);
  let digit = Math.floor((remainder * TWO32 + (next >>> 0)) / divisor);
  if (digit > 0xffffffff) digit = 0xffffffff;
  // (REMAINDER : next) - digit * divisor, in three words.
  const productLo = Math.imul(digit, divisorLo);
  const middle = (multiplyHighUnsigned32(digit | 0, divisorLo) >>> 0) + (Math.imul(digit, divisorHi) >>> 0);
  const productHi = (multiplyHighUnsigned32(digit | 0, divisorHi) >>> 0) + Math.floor(middle / TWO32);
  let lo = (next >>> 0) - (productLo >>> 0);
  let hi = (REMAINDER[0] >>> 0) - (middle % TWO32) + Math.floor(lo / TWO32);
  const top = (REMAINDER[1] >>> 0) - productHi + Math.floor(hi / TWO32);
  lo >>>= 0;
  hi >>>= 0;
  if (top < 0) {
    digit--;
    const sum = lo + (divisorLo >>> 0);
    lo = sum >>> 0;
    hi = (hi + (divisorHi >>> 0) + Math.floor(sum / TWO32)) >>> 0;
  } else if (top > 0 || hi > divisorHi >>> 0 || (hi === divisorHi >>> 0 && lo >= divisorLo >>> 0)) {
    digit++;
    const difference = lo - (divisorLo >>> 0);
    lo = difference >>> 0;
    hi = (hi - (divisorHi >>> 0) + Math.floor(difference / TWO32)) >>> 0;
  }
  REMAINDER[0] = lo;
  REMAINDER[1] = hi;
  return digit;
}

/**
 * Unsigned 128 / 64: QUOTIENT and REMAINDER of (w3 w2 w1 w0) by the divisor. Returns false, with nothing changed, when the
 * divisor is zero or the quotient needs more than 64 bits.
 */
export function divideUnsigned128(w0: number, w1: number, w2: number, w3: number, divisorLo: number, divisorHi: number): boolean {
  if ((divisorLo | divisorHi) === 0) return false;
  const divisor = (divisorHi >>> 0) * TWO32 + (divisorLo >>> 0);
  if ((w2 | w3) === 0 && w1 >>> 0 < 0x200000 && divisorHi >>> 0 < 0x200000) {
    // Both below 2^53: the rounded quotient of doubles never reaches the next integer.
    const dividend = w1 * TWO32 + (w0 >>> 0);
    const quotient = Math.floor(dividend / divisor), remainder = dividend - quotient * divisor;
    QUOTIENT[0] = quotient % TWO32;
    QUOTIENT[1] = quotient / TWO32;
    REMAINDER[0] = remainder % TWO32;
    REMAINDER[1] = remainder / TWO32;
    return true;
  }
  if (w3 >>> 0 > divisorHi >>> 0 || (w3 === divisorHi && w2 >>> 0 >= divisorLo >>> 0)) return false;
  REMAINDER[0] = w2;
  REMAINDER[1] = w3;
  QUOTIENT[1] = divideDigit(w1, divisorLo, divisorHi, divisor);
  QUOTIENT[0] = divideDigit(w0, divisorLo, divisorHi, divisor);
  return true;
}

/** Two words, negated in place. */
function negate(words: Int32Array): void {
  const lo = words[0];
  words[0] = -lo;
  words[1] = lo === 0 ? -words[1] : ~words[1];
}

/** Signed 128 / 64, truncating; false when the divisor is zero or the quotient does not fit 64 signed bits. */
export function divideSigned128(w0: number, w1: number, w2: number, w3: number, divisorLo: number, divisorHi: number): boolean {
  const dividendNegative = w3 < 0, divisorNegative = divisorHi < 0;
  let n0 = w0, n1 = w1, n2 = w2, n3 = w3, d0 = divisorLo, d1 = divisorHi;
  if (dividendNegative) {
    n0 = -w0 | 0;
    n1 = w0 === 0 ? -w1 | 0 : ~w1;
    n2 = (w0 | w1) === 0 ? -w2 | 0 : ~w2;
    n3 = (w0 | w1 | w2) === 0 ? -w3 | 0 : ~w3;
  }
  if (divisorNegative) {
    d1 = d0 === 0 ? -d1 | 0 : ~d1;
    d0 = -d0 | 0;
  }
  if (!divideUnsigned128(n0, n1, n2, n3, d0, d1)) return false;
  if (dividendNegative !== divisorNegative) {
    // Down to -2^63.
    if (QUOTIENT[1] < 0 && (QUOTIENT[1] !== -0x80000000 || QUOTIENT[0] !== 0)) return false;
    negate(QUOTIENT);
  } else if (QUOTIENT[1] < 0) return false;
  if (dividendNegative) negate(REMAINDER);
  return true;
}
