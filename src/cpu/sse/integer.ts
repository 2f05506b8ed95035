/**
 * SSE2-SSE4.2 packed integer arithmetic, logic, comparison and PTEST on XMM registers (SDM 2B). Element arithmetic is
 * in swar.ts; the instructions of C string functions and memory loops are written out here. Keys of instructions that also exist on MMX registers end in Xmm.
 */
import { R, F_CF, F_ZF } from '../state';
import type { Handler } from '../record';
import { setStatusFlags } from '../flags';
import { copy128, set128, source128, target, RESULT } from './operands';
import { wordwise, wordwiseUnary } from './specialise';
import * as swar from './swar';

// --- Logic (also ANDPS, ORPD, ...) ---

function pand(p: number): void {
  const s = source128(p), d = target(p);
  R[d] &= R[s];
  R[d + 1] &= R[s + 1];
  R[d + 2] &= R[s + 2];
  R[d + 3] &= R[s + 3];
}

function pandn(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = ~R[d] & R[s];
  R[d + 1] = ~R[d + 1] & R[s + 1];
  R[d + 2] = ~R[d + 2] & R[s + 2];
  R[d + 3] = ~R[d + 3] & R[s + 3];
}

function por(p: number): void {
  const s = source128(p), d = target(p);
  R[d] |= R[s];
  R[d + 1] |= R[s + 1];
  R[d + 2] |= R[s + 2];
  R[d + 3] |= R[s + 3];
}

function pxor(p: number): void {
  const s = source128(p), d = target(p);
  R[d] ^= R[s];
  R[d + 1] ^= R[s + 1];
  R[d + 2] ^= R[s + 2];
  R[d + 3] ^= R[s + 3];
}

// --- The byte operations of string functions ---

function pcmpeqb(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = swar.equalBytes(R[d], R[s]);
  R[d + 1] = swar.equalBytes(R[d + 1], R[s + 1]);
  R[d + 2] = swar.equalBytes(R[d + 2], R[s + 2]);
  R[d + 3] = swar.equalBytes(R[d + 3], R[s + 3]);
}

function pminub(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = swar.minBytesUnsigned(R[d], R[s]);
  R[d + 1] = swar.minBytesUnsigned(R[d + 1], R[s + 1]);
  R[d + 2] = swar.minBytesUnsigned(R[d + 2], R[s + 2]);
  R[d + 3] = swar.minBytesUnsigned(R[d + 3], R[s + 3]);
}

function psubb(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = swar.subBytes(R[d], R[s]);
  R[d + 1] = swar.subBytes(R[d + 1], R[s + 1]);
  R[d + 2] = swar.subBytes(R[d + 2], R[s + 2]);
  R[d + 3] = swar.subBytes(R[d + 3], R[s + 3]);
}

// --- 32- and 64-bit elements ---

function paddd(p: number): void {
  const s = source128(p), d = target(p);
  R[d] += R[s];
  R[d + 1] += R[s + 1];
  R[d + 2] += R[s + 2];
  R[d + 3] += R[s + 3];
}

function psubd(p: number): void {
  const s = source128(p), d = target(p);
  R[d] -= R[s];
  R[d + 1] -= R[s + 1];
  R[d + 2] -= R[s + 2];
  R[d + 3] -= R[s + 3];
}

function pcmpeqd(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = R[d] === R[s] ? -1 : 0;
  R[d + 1] = R[d + 1] === R[s + 1] ? -1 : 0;
  R[d + 2] = R[d + 2] === R[s + 2] ? -1 : 0;
  R[d + 3] = R[d + 3] === R[s + 3] ? -1 : 0;
}

function pcmpgtd(p: number): void {
  const s = source128(p), d = target(p);
  R[d] = R[d] > R[s] ? -1 : 0;
  R[d + 1] = R[d + 1] > R[s + 1] ? -1 : 0;
  R[d + 2] = R[d + 2] > R[s + 2] ? -1 : 0;
  R[d + 3] = R[d + 3] > R[s + 3] ? -1 : 0;
}

function add64At(d: number, s: number): void {
  const a = R[s], lo = (R[d] + a) | 0;
  R[d + 1] = R[d + 1] + R[s + 1] + (lo >>> 0 < a >>> 0 ? 1 : 0);
  R[d] = lo;
}

function sub64At(d: number, s: number): void {
  const a = R[d], b = R[s];
  R[d + 1] = R[d + 1] - R[s + 1] - (a >>> 0 < b >>> 0 ? 1 : 0);
  R[d] = a - b;
}

function paddq(p: number): void {
  const s = source128(p), d = target(p);
  add64At(d, s);
  add64At(d + 2, s + 2);
}

function psubq(p: number): void {
  const s = source128(p), d = target(p);
  sub64At(d, s);
  sub64At(d + 2, s + 2);
}

function pcmpeqq(p: number): void {
  const s = source128(p), d = target(p);
  const a = R[d] === R[s] && R[d + 1] === R[s + 1] ? -1 : 0;
  const b = R[d + 2] === R[s + 2] && R[d + 3] === R[s + 3] ? -1 : 0;
  set128(d, a, a, b, b);
}

function greater64(d: number, s: number): number {
  const a = R[d + 1], b = R[s + 1];
  return (a === b ? R[d] >>> 0 > R[s] >>> 0 : a > b) ? -1 : 0;
}

function pcmpgtq(p: number): void {
  const s = source128(p), d = target(p);
  const a = greater64(d, s), b = greater64(d + 2, s + 2);
  set128(d, a, a, b, b);
}

function minDoubleword(a: number, b: number): number { return a < b ? a : b; }
function maxDoubleword(a: number, b: number): number { return a > b ? a : b; }
function minDoublewordUnsigned(a: number, b: number): number { return a >>> 0 < b >>> 0 ? a : b; }
function maxDoublewordUnsigned(a: number, b: number): number { return a >>> 0 > b >>> 0 ? a : b; }
function absDoubleword(a: number): number { return a < 0 ? -a | 0 : a; }
function signDoubleword(a: number, b: number): number { return b < 0 ? -a | 0 : b === 0 ? 0 : a; }

// --- Products ---

/** Unsigned 32 x 32 = 64-bit product of the even elements. */
function pmuludq(p: number): void {
  const s = source128(p), d = target(p);
  const a = R[d], b = R[s], c = R[d + 2], e = R[s + 2];
  set128(d, Math.imul(a, b), swar.multiplyHighUnsigned(a, b), Math.imul(c, e), swar.multiplyHighUnsigned(c, e));
}

function multiplyHighSigned(a: number, b: number): number {
  return (swar.multiplyHighUnsigned(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0)) | 0;
}

function pmuldq(p: number): void {
  const s = source128(p), d = target(p);
  const a = R[d], b = R[s], c = R[d + 2], e = R[s + 2];
  set128(d, Math.imul(a, b), multiplyHighSigned(a, b), Math.imul(c, e), multiplyHighSigned(c, e));
}

function psadbw(p: number): void {
  const s = source128(p), d = target(p);
  const lo = swar.sumAbsoluteDifferences(R[d], R[s]) + swar.sumAbsoluteDifferences(R[d + 1], R[s + 1]);
  const hi = swar.sumAbsoluteDifferences(R[d + 2], R[s + 2]) + swar.sumAbsoluteDifferences(R[d + 3], R[s + 3]);
  set128(d, lo, 0, hi, 0);
}

// --- Horizontal sums: elements of the target give the low half, of the source the high half ---

function sumOfPair(a: number): number { return a + (a >> 16); }
function differenceOfPair(a: number): number { return a - (a >> 16); }
/** Two signed halves of each word summed with saturation. */
function saturatedSumOfPair(a: number): number { return swar.saturateWord(((a << 16) >> 16) + (a >> 16)); }
function saturatedDifferenceOfPair(a: number): number { return swar.saturateWord(((a << 16) >> 16) - (a >> 16)); }

function horizontalWords(p: number, f: (a: number) => number): void {
  const s = source128(p), d = target(p);
  set128(
    RESULT,
    (f(R[d]) & 0xffff) | (f(R[d + 1]) << 16), (f(R[d + 2]) & 0xffff) | (f(R[d + 3]) << 16),
    (f(R[s]) & 0xffff) | (f(R[s + 1]) << 16), (f(R[s + 2]) & 0xffff) | (f(R[s + 3]) << 16),
  );
  copy128(d, RESULT);
}

function phaddd(p: number): void {
  const s = source128(p), d = target(p);
  set128(d, R[d] + R[d + 1], R[d + 2] + R[d + 3], R[s] + R[s + 1], R[s + 2] + R[s + 3]);
}

function phsubd(p: number): void {
  const s = source128(p), d = target(p);
  set128(d, R[d] - R[d + 1], R[d + 2] - R[d + 3], R[s] - R[s + 1], R[s + 2] - R[s + 3]);
}

// --- SSE4.1 ---

/** Smallest unsigned 16-bit word and its position. */
function phminposuw(p: number): void {
  const s = source128(p), d = target(p);
  let best = 0x10000, position = 0;
  for (let i = 0; i < 8; i++) {
    const v = (R[s + (i >> 1)] >>> ((i & 1) << 4)) & 0xffff;
    if (v < best) {
      best = v;
      position = i;
    }
  }
  set128(d, best | (position << 16), 0, 0, 0);
}

function ptest(p: number): void {
  const s = source128(p), d = target(p);
  const and = (R[s] & R[d]) | (R[s + 1] & R[d + 1]) | (R[s + 2] & R[d + 2]) | (R[s + 3] & R[d + 3]);
  const andNot = (R[s] & ~R[d]) | (R[s + 1] & ~R[d + 1]) | (R[s + 2] & ~R[d + 2]) | (R[s + 3] & ~R[d + 3]);
  setStatusFlags((and === 0 ? F_ZF : 0) | (andNot === 0 ? F_CF : 0));
}

export const integerHandlers: Record<string, Handler> = {
  andps: pand, andpd: pand, pandXmm: pand,
  andnps: pandn, andnpd: pandn, pandnXmm: pandn,
  orps: por, orpd: por, porXmm: por,
  xorps: pxor, xorpd: pxor, pxorXmm: pxor,
  pcmpeqbXmm: pcmpeqb, pminubXmm: pminub, psubbXmm: psubb,
  padddXmm: paddd, psubdXmm: psubd, pcmpeqdXmm: pcmpeqd, pcmpgtdXmm: pcmpgtd,
  paddqXmm: paddq, psubqXmm: psubq, pcmpeqq, pcmpgtq,
  paddbXmm: wordwise(swar.addBytes),
  paddwXmm: wordwise(swar.addWords),
  psubwXmm: wordwise(swar.subWords),
  paddsbXmm: wordwise(swar.addBytesSaturated),
  paddswXmm: wordwise(swar.addWordsSaturated),
  paddusbXmm: wordwise(swar.addBytesUnsignedSaturated),
  padduswXmm: wordwise(swar.addWordsUnsignedSaturated),
  psubsbXmm: wordwise(swar.subBytesSaturated),
  psubswXmm: wordwise(swar.subWordsSaturated),
  psubusbXmm: wordwise(swar.subBytesUnsignedSaturated),
  psubuswXmm: wordwise(swar.subWordsUnsignedSaturated),
  pcmpeqwXmm: wordwise(swar.equalWords),
  pcmpgtbXmm: wordwise(swar.greaterBytes),
  pcmpgtwXmm: wordwise(swar.greaterWords),
  pavgbXmm: wordwise(swar.averageBytes),
  pavgwXmm: wordwise(swar.averageWords),
  pmaxubXmm: wordwise(swar.maxBytesUnsigned),
  pminswXmm: wordwise(swar.minWords),
  pmaxswXmm: wordwise(swar.maxWords),
  pminsb: wordwise(swar.minBytes),
  pmaxsb: wordwise(swar.maxBytes),
  pminuw: wordwise(swar.minWordsUnsigned),
  pmaxuw: wordwise(swar.maxWordsUnsigned),
  pminsd: wordwise(minDoubleword),
  pmaxsd: wordwise(maxDoubleword),
  pminud: wordwise(minDoublewordUnsigned),
  pmaxud: wordwise(maxDoublewordUnsigned),
  pabsbXmm: wordwiseUnary(swar.absBytes),
  pabswXmm: wordwiseUnary(swar.absWords),
  pabsdXmm: wordwiseUnary(absDoubleword),
  psignbXmm: wordwise(swar.signBytes),
  psignwXmm: wordwise(swar.signWords),
  psigndXmm: wordwise(signDoubleword),
  pmullwXmm: wordwise(swar.multiplyLowWords),
  pmulhwXmm: wordwise(swar.multiplyHighWords),
  pmulhuwXmm: wordwise(swar.multiplyHighWordsUnsigned),
  pmulhrswXmm: wordwise(swar.multiplyRoundWords),
  pmaddwdXmm: wordwise(swar.multiplyAddWords),
  pmaddubswXmm: wordwise(swar.multiplyAddBytes),
  pmulld: wordwise(Math.imul),
  pmuludqXmm: pmuludq, pmuldq, psadbwXmm: psadbw,
  phaddwXmm: (p) => horizontalWords(p, sumOfPair),
  phsubwXmm: (p) => horizontalWords(p, differenceOfPair),
  phaddswXmm: (p) => horizontalWords(p, saturatedSumOfPair),
  phsubswXmm: (p) => horizontalWords(p, saturatedDifferenceOfPair),
  phadddXmm: phaddd, phsubdXmm: phsubd, phminposuw, ptest,
};
