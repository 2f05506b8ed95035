/**
 * MMX packed arithmetic, comparison, logic and shifts, with the SSE, SSE2 and SSSE3 additions on MMX registers
 * (SDM 2B). Element arithmetic is that of sse/swar.ts.
 */
import { R } from '../state';
import { recImmediate } from '../record';
import type { Handler } from '../record';
import * as swar from '../sse/swar';
import { checkMmx, destination, rmDestination, source64 } from './operands';

/** mm = f(mm, source) on each 32-bit half. */
function halves(f: (a: number, b: number) => number): Handler {
  return (p) => {
    const s = source64(p), d = destination(p);
    R[d] = f(R[d], R[s]);
    R[d + 1] = f(R[d + 1], R[s + 1]);
  };
}

/** mm = f(source) on each half. */
function unaryHalves(f: (a: number) => number): Handler {
  return (p) => {
    const s = source64(p), d = destination(p);
    R[d] = f(R[s]);
    R[d + 1] = f(R[s + 1]);
  };
}

/** The destination's two halves combined give the low half of the result, the source's the high half. */
function horizontal(f: (a: number, b: number) => number): Handler {
  return (p) => {
    const s = source64(p), d = destination(p);
    const high = f(R[s], R[s + 1]);
    R[d] = f(R[d], R[d + 1]);
    R[d + 1] = high;
  };
}

/** Low and high 16-bit words, sign-extended. */
function low16(a: number): number { return (a << 16) >> 16; }
function high16(a: number): number { return a >> 16; }
function join16(lo: number, hi: number): number { return (lo & 0xffff) | (hi << 16); }

function paddq(p: number): void {
  const s = source64(p), d = destination(p);
  const b = R[s], lo = (R[d] + b) | 0;
  R[d + 1] = R[d + 1] + R[s + 1] + (lo >>> 0 < b >>> 0 ? 1 : 0);
  R[d] = lo;
}

function psubq(p: number): void {
  const s = source64(p), d = destination(p);
  const a = R[d], b = R[s];
  R[d + 1] = R[d + 1] - R[s + 1] - (a >>> 0 < b >>> 0 ? 1 : 0);
  R[d] = a - b;
}

function pmuludq(p: number): void {
  const s = source64(p), d = destination(p);
  const a = R[d], b = R[s];
  R[d] = Math.imul(a, b);
  R[d + 1] = swar.multiplyHighUnsigned(a, b);
}

function psadbw(p: number): void {
  const s = source64(p), d = destination(p);
  R[d] = swar.sumAbsoluteDifferences(R[d], R[s]) + swar.sumAbsoluteDifferences(R[d + 1], R[s + 1]);
  R[d + 1] = 0;
}

// --- Shifts ---

/** Shifts the register at word `d` by `count`; 64 stands for any larger count. */
type Shift = (d: number, count: number) => void;

/** A shift of each half; `limit` is the first count that clears the elements. */
function shiftHalves(limit: number, f: (a: number, n: number) => number): Shift {
  return (d, count) => {
    R[d] = count >= limit ? 0 : f(R[d], count);
    R[d + 1] = count >= limit ? 0 : f(R[d + 1], count);
  };
}

/** An arithmetic shift: large counts fill with the sign. */
function shiftHalvesArithmetic(limit: number, f: (a: number, n: number) => number): Shift {
  return (d, count) => {
    const n = count >= limit ? limit - 1 : count;
    R[d] = f(R[d], n);
    R[d + 1] = f(R[d + 1], n);
  };
}

function shiftLeftQuadword(d: number, n: number): void {
  const lo = R[d], hi = R[d + 1];
  if (n >= 64) {
    R[d] = 0;
    R[d + 1] = 0;
  } else if (n >= 32) {
    R[d] = 0;
    R[d + 1] = lo << (n - 32);
  } else if (n > 0) {
    R[d] = lo << n;
    R[d + 1] = (hi << n) | (lo >>> (32 - n));
  }
}

function shiftRightQuadword(d: number, n: number): void {
  const lo = R[d], hi = R[d + 1];
  if (n >= 64) {
    R[d] = 0;
    R[d + 1] = 0;
  } else if (n >= 32) {
    R[d] = hi >>> (n - 32);
    R[d + 1] = 0;
  } else if (n > 0) {
    R[d] = (lo >>> n) | (hi << (32 - n));
    R[d + 1] = hi >>> n;
  }
}

/** The two forms of a shift: count in a 64-bit operand, count in an immediate (key with Imm). */
function shiftForms(name: string, shift: Shift): Record<string, Handler> {
  return {
    [name]: (p) => {
      const s = source64(p);
      const count = R[s + 1] !== 0 || R[s] >>> 0 > 63 ? 64 : R[s];
      shift(destination(p), count);
    },
    [`${name}Imm`]: (p) => {
      checkMmx();
      shift(rmDestination(p), recImmediate(p) & 255);
    },
  };
}

export const mmxArithmeticHandlers: Record<string, Handler> = {
  pand: halves((a, b) => a & b),
  pandn: halves((a, b) => ~a & b),
  por: halves((a, b) => a | b),
  pxor: halves((a, b) => a ^ b),
  paddb: halves(swar.addBytes),
  paddw: halves(swar.addWords),
  paddd: halves((a, b) => a + b),
  psubb: halves(swar.subBytes),
  psubw: halves(swar.subWords),
  psubd: halves((a, b) => a - b),
  paddsb: halves(swar.addBytesSaturated),
  paddsw: halves(swar.addWordsSaturated),
  paddusb: halves(swar.addBytesUnsignedSaturated),
  paddusw: halves(swar.addWordsUnsignedSaturated),
  psubsb: halves(swar.subBytesSaturated),
  psubsw: halves(swar.subWordsSaturated),
  psubusb: halves(swar.subBytesUnsignedSaturated),
  psubusw: halves(swar.subWordsUnsignedSaturated),
  pcmpeqb: halves(swar.equalBytes),
  pcmpeqw: halves(swar.equalWords),
  pcmpeqd: halves((a, b) => (a === b ? -1 : 0)),
  pcmpgtb: halves(swar.greaterBytes),
  pcmpgtw: halves(swar.greaterWords),
  pcmpgtd: halves((a, b) => (a > b ? -1 : 0)),
  pmullw: halves(swar.multiplyLowWords),
  pmulhw: halves(swar.multiplyHighWords),
  pmulhuw: halves(swar.multiplyHighWordsUnsigned),
  pmaddwd: halves(swar.multiplyAddWords),
  pavgb: halves(swar.averageBytes),
  pavgw: halves(swar.averageWords),
  pminub: halves(swar.minBytesUnsigned),
  pmaxub: halves(swar.maxBytesUnsigned),
  pminsw: halves(swar.minWords),
  pmaxsw: halves(swar.maxWords),
  pmulhrsw: halves(swar.multiplyRoundWords),
  pmaddubsw: halves(swar.multiplyAddBytes),
  psignb: halves(swar.signBytes),
  psignw: halves(swar.signWords),
  psignd: halves((a, b) => (b < 0 ? -a : b === 0 ? 0 : a)),
  pabsb: unaryHalves(swar.absBytes),
  pabsw: unaryHalves(swar.absWords),
  pabsd: unaryHalves((a) => (a < 0 ? -a : a)),
  phaddw: horizontal((a, b) => join16(a + high16(a), b + high16(b))),
  phaddd: horizontal((a, b) => a + b),
  phaddsw: horizontal((a, b) => join16(swar.saturateWord(low16(a) + high16(a)), swar.saturateWord(low16(b) + high16(b)))),
  phsubw: horizontal((a, b) => join16(a - high16(a), b - high16(b))),
  phsubd: horizontal((a, b) => a - b),
  phsubsw: horizontal((a, b) => join16(swar.saturateWord(low16(a) - high16(a)), swar.saturateWord(low16(b) - high16(b)))),
  paddq, psubq, pmuludq, psadbw,
  ...shiftForms('psllw', shiftHalves(16, swar.shiftLeftWords)),
  ...shiftForms('pslld', shiftHalves(32, (a, n) => a << n)),
  ...shiftForms('psllq', shiftLeftQuadword),
  ...shiftForms('psrlw', shiftHalves(16, swar.shiftRightWords)),
  ...shiftForms('psrld', shiftHalves(32, (a, n) => a >>> n)),
  ...shiftForms('psrlq', shiftRightQuadword),
  ...shiftForms('psraw', shiftHalvesArithmetic(16, swar.shiftRightWordsArithmetic)),
  ...shiftForms('psrad', shiftHalvesArithmetic(32, (a, n) => a >> n)),
};
