/**
 * SSE2 packed shifts (SDM 2B PSLLW-PSRLDQ) by an immediate or by the low 64 bits of an XMM operand. Counts beyond the
 * element give zero, or the sign for arithmetic shifts. Keys ending in Imm are the 71h-73h groups.
 */
import { R } from '../state';
import { C, type Handler } from '../record';
import { copy128, enterSse, rmRegister, set128, source128, target, WORK } from './operands';
import { shiftLeftWords, shiftRightWords, shiftRightWordsArithmetic } from './swar';

/** Shift count in the low 64 bits at word s; 64 stands for anything larger. */
function countAt(s: number): number {
  const n = R[s];
  return R[s + 1] !== 0 || n >>> 0 > 63 ? 64 : n;
}

/** Begins an immediate form: returns the register (ModRM.rm). */
function immediateTarget(p: number): number {
  enterSse();
  return rmRegister(p);
}

function immediate(p: number): number {
  return C[p + 3] & 255;
}

function clear(d: number): void {
  set128(d, 0, 0, 0, 0);
}

function leftWords(d: number, n: number): void {
  if (n > 15) clear(d);
  else set128(d, shiftLeftWords(R[d], n), shiftLeftWords(R[d + 1], n), shiftLeftWords(R[d + 2], n), shiftLeftWords(R[d + 3], n));
}

function rightWords(d: number, n: number): void {
  if (n > 15) clear(d);
  else set128(d, shiftRightWords(R[d], n), shiftRightWords(R[d + 1], n), shiftRightWords(R[d + 2], n), shiftRightWords(R[d + 3], n));
}

function arithmeticWords(d: number, n: number): void {
  const k = n > 15 ? 15 : n;
  set128(
    d, shiftRightWordsArithmetic(R[d], k), shiftRightWordsArithmetic(R[d + 1], k),
    shiftRightWordsArithmetic(R[d + 2], k), shiftRightWordsArithmetic(R[d + 3], k),
  );
}

function leftDoublewords(d: number, n: number): void {
  if (n > 31) clear(d);
  else set128(d, R[d] << n, R[d + 1] << n, R[d + 2] << n, R[d + 3] << n);
}

function rightDoublewords(d: number, n: number): void {
  if (n > 31) clear(d);
  else set128(d, R[d] >>> n, R[d + 1] >>> n, R[d + 2] >>> n, R[d + 3] >>> n);
}

function arithmeticDoublewords(d: number, n: number): void {
  const k = n > 31 ? 31 : n;
  set128(d, R[d] >> k, R[d + 1] >> k, R[d + 2] >> k, R[d + 3] >> k);
}

function leftQuadword(d: number, n: number): void {
  const lo = R[d], hi = R[d + 1];
  if (n === 0) return;
  if (n < 32) {
    R[d] = lo << n;
    R[d + 1] = (hi << n) | (lo >>> (32 - n));
  } else {
    R[d] = 0;
    R[d + 1] = n > 63 ? 0 : lo << (n - 32);
  }
}

function rightQuadword(d: number, n: number): void {
  const lo = R[d], hi = R[d + 1];
  if (n === 0) return;
  if (n < 32) {
    R[d] = (lo >>> n) | (hi << (32 - n));
    R[d + 1] = hi >>> n;
  } else {
    R[d] = n > 63 ? 0 : hi >>> (n - 32);
    R[d + 1] = 0;
  }
}

function leftQuadwords(d: number, n: number): void {
  leftQuadword(d, n);
  leftQuadword(d + 2, n);
}

function rightQuadwords(d: number, n: number): void {
  rightQuadword(d, n);
  rightQuadword(d + 2, n);
}

/** Four words to `d` from byte `offset` (0-19) of the words at WORK. */
export function extractBytes(d: number, offset: number): void {
  const w = WORK + (offset >> 2), n = (offset & 3) << 3;
  if (n === 0) copy128(d, w);
  else {
    const m = 32 - n, w1 = R[w + 1], w2 = R[w + 2], w3 = R[w + 3];
    set128(d, (R[w] >>> n) | (w1 << m), (w1 >>> n) | (w2 << m), (w2 >>> n) | (w3 << m), (w3 >>> n) | (R[w + 4] << m));
  }
}

function pslldq(p: number): void {
  const d = immediateTarget(p), n = immediate(p);
  if (n > 15) {
    clear(d);
    return;
  }
  set128(WORK, 0, 0, 0, 0);
  copy128(WORK + 4, d);
  R[WORK + 8] = 0;
  extractBytes(d, 16 - n);
}

function psrldq(p: number): void {
  const d = immediateTarget(p), n = immediate(p);
  if (n > 15) {
    clear(d);
    return;
  }
  copy128(WORK, d);
  set128(WORK + 4, 0, 0, 0, 0);
  extractBytes(d, n);
}

export const shiftHandlers: Record<string, Handler> = {
  psllwXmm: (p) => { const s = source128(p); leftWords(target(p), countAt(s)); },
  psrlwXmm: (p) => { const s = source128(p); rightWords(target(p), countAt(s)); },
  psrawXmm: (p) => { const s = source128(p); arithmeticWords(target(p), countAt(s)); },
  pslldXmm: (p) => { const s = source128(p); leftDoublewords(target(p), countAt(s)); },
  psrldXmm: (p) => { const s = source128(p); rightDoublewords(target(p), countAt(s)); },
  psradXmm: (p) => { const s = source128(p); arithmeticDoublewords(target(p), countAt(s)); },
  psllqXmm: (p) => { const s = source128(p); leftQuadwords(target(p), countAt(s)); },
  psrlqXmm: (p) => { const s = source128(p); rightQuadwords(target(p), countAt(s)); },
  psllwXmmImm: (p) => leftWords(immediateTarget(p), immediate(p)),
  psrlwXmmImm: (p) => rightWords(immediateTarget(p), immediate(p)),
  psrawXmmImm: (p) => arithmeticWords(immediateTarget(p), immediate(p)),
  pslldXmmImm: (p) => leftDoublewords(immediateTarget(p), immediate(p)),
  psrldXmmImm: (p) => rightDoublewords(immediateTarget(p), immediate(p)),
  psradXmmImm: (p) => arithmeticDoublewords(immediateTarget(p), immediate(p)),
  psllqXmmImm: (p) => leftQuadwords(immediateTarget(p), immediate(p)),
  psrlqXmmImm: (p) => rightQuadwords(immediateTarget(p), immediate(p)),
  pslldq, psrldq,
};
