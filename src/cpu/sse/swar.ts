/**
 * Packed integer arithmetic on one 32-bit word holding four bytes or two 16-bit words (SIMD within a register).
 * All functions take and return int32 words; carries never cross an element.
 */

const B7F = 0x7f7f7f7f, B80 = 0x80808080 | 0, W7F = 0x7fff7fff, W80 = 0x80008000 | 0;

/** Element sign bits (0x80 or 0 per byte) to full byte masks. */
function spreadBytes(signs: number): number {
  return (signs - (signs >>> 7)) | signs;
}
/** Element sign bits (0x8000 or 0 per word) to full word masks. */
function spreadWords(signs: number): number {
  return (signs - (signs >>> 15)) | signs;
}
/** a where mask bits are set, else b. */
export function select(mask: number, a: number, b: number): number {
  return (a & mask) | (b & ~mask);
}

export function addBytes(a: number, b: number): number {
  return ((a & B7F) + (b & B7F)) ^ ((a ^ b) & B80);
}
export function addWords(a: number, b: number): number {
  return ((a & W7F) + (b & W7F)) ^ ((a ^ b) & W80);
}
export function subBytes(a: number, b: number): number {
  return ((a | B80) - (b & B7F)) ^ ((a ^ ~b) & B80);
}
export function subWords(a: number, b: number): number {
  return ((a | W80) - (b & W7F)) ^ ((a ^ ~b) & W80);
}

/** Masks of a < b, unsigned. */
export function belowBytes(a: number, b: number): number {
  return spreadBytes(((~a & b) | (~(a ^ b) & subBytes(a, b))) & B80);
}
export function belowWords(a: number, b: number): number {
  return spreadWords(((~a & b) | (~(a ^ b) & subWords(a, b))) & W80);
}
/** Masks of a > b, signed. */
export function greaterBytes(a: number, b: number): number {
  return spreadBytes(((b & ~a) | (~(a ^ b) & subBytes(b, a))) & B80);
}
export function greaterWords(a: number, b: number): number {
  return spreadWords(((b & ~a) | (~(a ^ b) & subWords(b, a))) & W80);
}
/** Masks of equality. */
export function equalBytes(a: number, b: number): number {
  const x = a ^ b;
  return spreadBytes(~(((x & B7F) + B7F) | x) & B80);
}
export function equalWords(a: number, b: number): number {
  const x = a ^ b;
  return spreadWords(~(((x & W7F) + W7F) | x) & W80);
}

export function addBytesUnsignedSaturated(a: number, b: number): number {
  const s = addBytes(a, b);
  return s | spreadBytes(((a & b) | ((a | b) & ~s)) & B80);
}
export function addWordsUnsignedSaturated(a: number, b: number): number {
  const s = addWords(a, b);
  return s | spreadWords(((a & b) | ((a | b) & ~s)) & W80);
}
export function subBytesUnsignedSaturated(a: number, b: number): number {
  return subBytes(a, b) & ~belowBytes(a, b);
}
export function subWordsUnsignedSaturated(a: number, b: number): number {
  return subWords(a, b) & ~belowWords(a, b);
}
/** 7Fh, or 80h where a is negative. */
function limitBytes(a: number): number {
  return ((a >>> 7) & 0x01010101) + B7F;
}
function limitWords(a: number): number {
  return ((a >>> 15) & 0x00010001) + W7F;
}
export function addBytesSaturated(a: number, b: number): number {
  const s = addBytes(a, b);
  return select(spreadBytes(~(a ^ b) & (a ^ s) & B80), limitBytes(a), s);
}
export function addWordsSaturated(a: number, b: number): number {
  const s = addWords(a, b);
  return select(spreadWords(~(a ^ b) & (a ^ s) & W80), limitWords(a), s);
}
export function subBytesSaturated(a: number, b: number): number {
  const d = subBytes(a, b);
  return select(spreadBytes((a ^ b) & (a ^ d) & B80), limitBytes(a), d);
}
export function subWordsSaturated(a: number, b: number): number {
  const d = subWords(a, b);
  return select(spreadWords((a ^ b) & (a ^ d) & W80), limitWords(a), d);
}

/** Unsigned averages, rounded up. */
export function averageBytes(a: number, b: number): number {
  return (a | b) - (((a ^ b) & 0xfefefefe) >>> 1);
}
export function averageWords(a: number, b: number): number {
  return (a | b) - (((a ^ b) & 0xfffefffe) >>> 1);
}

export function minBytesUnsigned(a: number, b: number): number {
  return select(belowBytes(a, b), a, b);
}
export function maxBytesUnsigned(a: number, b: number): number {
  return select(belowBytes(a, b), b, a);
}
export function minWordsUnsigned(a: number, b: number): number {
  return select(belowWords(a, b), a, b);
}
export function maxWordsUnsigned(a: number, b: number): number {
  return select(belowWords(a, b), b, a);
}
export function minBytes(a: number, b: number): number {
  return select(greaterBytes(a, b), b, a);
}
export function maxBytes(a: number, b: number): number {
  return select(greaterBytes(a, b), a, b);
}
export function minWords(a: number, b: number): number {
  return select(greaterWords(a, b), b, a);
}
export function maxWords(a: number, b: number): number {
  return select(greaterWords(a, b), a, b);
}

/** Absolute values (the most negative value stays). */
export function absBytes(a: number): number {
  const m = spreadBytes(a & B80);
  return subBytes(a ^ m, m);
}
export function absWords(a: number): number {
  const m = spreadWords(a & W80);
  return subWords(a ^ m, m);
}
/** a negated, kept or zeroed by the sign of b (PSIGN). */
export function signBytes(a: number, b: number): number {
  const m = spreadBytes(b & B80);
  return subBytes(a ^ m, m) & ~equalBytes(b, 0);
}
export function signWords(a: number, b: number): number {
  const m = spreadWords(b & W80);
  return subWords(a ^ m, m) & ~equalWords(b, 0);
}

/** Sum of the absolute differences of the four bytes. */
export function sumAbsoluteDifferences(a: number, b: number): number {
  const m = belowBytes(a, b);
  const d = subBytes(a, b);
  const x = subBytes(d ^ m, m);
  const t = (x & 0x00ff00ff) + ((x >>> 8) & 0x00ff00ff);
  return (t + (t >>> 16)) & 0xffff;
}

/** Sign bits of the four bytes as bits 3:0. */
export function signMaskBytes(a: number): number {
  return Math.imul((a >>> 7) & 0x01010101, 0x10204080) >>> 28;
}

// --- 16-bit products ---

export function multiplyLowWords(a: number, b: number): number {
  return (Math.imul(a, b) & 0xffff) | (Math.imul(a >>> 16, b >>> 16) << 16);
}
export function multiplyHighWords(a: number, b: number): number {
  return ((Math.imul((a << 16) >> 16, (b << 16) >> 16) >>> 16) & 0xffff) | (Math.imul(a >> 16, b >> 16) & 0xffff0000);
}
export function multiplyHighWordsUnsigned(a: number, b: number): number {
  return (Math.imul(a & 0xffff, b & 0xffff) >>> 16) | (Math.imul(a >>> 16, b >>> 16) & 0xffff0000);
}
/** PMADDWD: sum of the two signed products. */
export function multiplyAddWords(a: number, b: number): number {
  return (Math.imul((a << 16) >> 16, (b << 16) >> 16) + Math.imul(a >> 16, b >> 16)) | 0;
}
/** PMULHRSW: products scaled by 2^-15, rounded. */
export function multiplyRoundWords(a: number, b: number): number {
  const lo = ((Math.imul((a << 16) >> 16, (b << 16) >> 16) >> 14) + 1) >> 1;
  const hi = ((Math.imul(a >> 16, b >> 16) >> 14) + 1) >> 1;
  return (lo & 0xffff) | (hi << 16);
}
export function saturateWord(v: number): number {
  return v < -0x8000 ? -0x8000 : v > 0x7fff ? 0x7fff : v;
}
/** PMADDUBSW: bytes of a unsigned, of b signed, adjacent products added with signed saturation. */
export function multiplyAddBytes(a: number, b: number): number {
  const lo = Math.imul(a & 255, (b << 24) >> 24) + Math.imul((a >>> 8) & 255, (b << 16) >> 24);
  const hi = Math.imul((a >>> 16) & 255, (b << 8) >> 24) + Math.imul(a >>> 24, b >> 24);
  return (saturateWord(lo) & 0xffff) | (saturateWord(hi) << 16);
}

/** High word of the 64-bit product of two unsigned 32-bit words (the low one is Math.imul). */
export function multiplyHighUnsigned(a: number, b: number): number {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const ll = Math.imul(al, bl), lh = Math.imul(al, bh), hl = Math.imul(ah, bl);
  const middle = (ll >>> 16) + (lh & 0xffff) + (hl & 0xffff);
  return (Math.imul(ah, bh) + (lh >>> 16) + (hl >>> 16) + (middle >>> 16)) | 0;
}

// --- Packs: two words of elements into one ---

/** Four 16-bit words (two in each of a and b) to signed-saturated bytes. */
export function packWordsSigned(a: number, b: number): number {
  return (saturateByte((a << 16) >> 16) & 255) | ((saturateByte(a >> 16) & 255) << 8)
    | ((saturateByte((b << 16) >> 16) & 255) << 16) | (saturateByte(b >> 16) << 24);
}
function saturateByte(v: number): number {
  return v < -128 ? -128 : v > 127 ? 127 : v;
}
/** Four 16-bit words to unsigned-saturated bytes. */
export function packWordsUnsigned(a: number, b: number): number {
  return saturateByteUnsigned((a << 16) >> 16) | (saturateByteUnsigned(a >> 16) << 8)
    | (saturateByteUnsigned((b << 16) >> 16) << 16) | (saturateByteUnsigned(b >> 16) << 24);
}
function saturateByteUnsigned(v: number): number {
  return v < 0 ? 0 : v > 255 ? 255 : v;
}
/** Two doublewords to signed-saturated 16-bit words. */
export function packDoublewordsSigned(a: number, b: number): number {
  return (saturateWord(a) & 0xffff) | (saturateWord(b) << 16);
}
/** Two doublewords to unsigned-saturated 16-bit words. */
export function packDoublewordsUnsigned(a: number, b: number): number {
  return (a < 0 ? 0 : a > 0xffff ? 0xffff : a) | ((b < 0 ? 0 : b > 0xffff ? 0xffff : b) << 16);
}

// --- Shifts of 16-bit words by 0-15 ---

export function shiftLeftWords(a: number, n: number): number {
  return (a << n) & Math.imul((0xffff << n) & 0xffff, 0x10001);
}
export function shiftRightWords(a: number, n: number): number {
  return (a >>> n) & Math.imul(0xffff >>> n, 0x10001);
}
export function shiftRightWordsArithmetic(a: number, n: number): number {
  return (((a << 16) >> (16 + n)) & 0xffff) | ((a >> n) & 0xffff0000);
}
