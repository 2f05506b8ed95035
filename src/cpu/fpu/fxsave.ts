/**
 * FXSAVE, FXRSTOR and their 64-bit forms (SDM 1 10.5, SDM 2A): x87, MMX and SSE state in a 512-byte area. While
 * CR4.OSFXSR = 0 the XMM registers and MXCSR are neither saved nor restored. EFER.FFXSR (AMD) does not exist here.
 */
import {
  R, LA, MEMHI, FCW, FTOP, FOP, FIP, FDP, FCS, FDS, FP_MANT, FP_EXP, FP_VALID, XMM, MXCSR, CR0, CR0_EM, CR0_TS, CR4, CR4_OSFXSR, CODE64, X_NM,
} from '../state';
import { recOperandSize } from '../record';
import type { Handler } from '../record';
import { memoryAddress, requireAligned16 } from '../operands';
import { load16, load32, load64, load8, probeRead, probeWrite, store16, store32, store64, store8 } from '../mmu/access';
import { raise, raiseGp } from '../fault';
import { advance } from './memory';
import { setControlWord, setStatusWord, statusWord } from './stack';

/** Bits of MXCSR that may be set; DAZ included. */
export const MXCSR_MASK = 0xffff;
const AREA_BYTES = 512, REGISTERS_AT = 32, XMM_AT = 160;

let areaLo = 0, areaHi = 0;

function openArea(p: number, write: boolean): void {
  if ((R[CR0] & (CR0_EM | CR0_TS)) !== 0) raise(X_NM);
  requireAligned16(p);
  memoryAddress(p, AREA_BYTES, write);
  areaLo = R[LA];
  areaHi = R[LA + 1];
  if ((areaLo & 15) !== 0) raiseGp();
  if (write) probeWrite(areaLo, areaHi, AREA_BYTES);
  else probeRead(areaLo, areaHi, AREA_BYTES);
}

function at(offset: number): void {
  advance(areaLo, areaHi, offset);
}

function put16(offset: number, value: number): void {
  at(offset);
  store16(R[LA], R[LA + 1], value & 0xffff);
}

function put32(offset: number, value: number): void {
  at(offset);
  store32(R[LA], R[LA + 1], value);
}

function put64(offset: number, lo: number, hi: number): void {
  at(offset);
  store64(R[LA], R[LA + 1], lo, hi);
}

function get16(offset: number): number {
  at(offset);
  return load16(R[LA], R[LA + 1]);
}

function get32(offset: number): number {
  at(offset);
  return load32(R[LA], R[LA + 1]);
}

/** Two state words from `word` on. */
function get64(offset: number, word: number): void {
  at(offset);
  const lo = load64(R[LA], R[LA + 1]);
  R[word] = lo;
  R[word + 1] = R[MEMHI];
}

function fxsave(p: number): void {
  openArea(p, true);
  put16(0, R[FCW]);
  put16(2, statusWord());
  at(4);
  store8(R[LA], R[LA + 1], R[FP_VALID]);
  at(5);
  store8(R[LA], R[LA + 1], 0);
  put16(6, R[FOP]);
  if (recOperandSize(p) === 2) {
    put64(8, R[FIP], R[FIP + 1]);
    put64(16, R[FDP], R[FDP + 1]);
  } else {
    put64(8, R[FIP], R[FCS] & 0xffff);
    put64(16, R[FDP], R[FDS] & 0xffff);
  }
  for (let i = 0; i < 8; i++) {
    const n = (R[FTOP] + i) & 7;
    put64(REGISTERS_AT + 16 * i, R[FP_MANT + 2 * n], R[FP_MANT + 2 * n + 1]);
    put64(REGISTERS_AT + 16 * i + 8, R[FP_EXP + n], 0);
  }
  if ((R[CR4] & CR4_OSFXSR) === 0) return;
  put32(24, R[MXCSR]);
  put32(28, MXCSR_MASK);
  const words = R[CODE64] !== 0 ? 64 : 32;
  for (let w = 0; w < words; w += 2) put64(XMM_AT + 4 * w, R[XMM + w], R[XMM + w + 1]);
}

function fxrstor(p: number): void {
  openArea(p, false);
  const sse = (R[CR4] & CR4_OSFXSR) !== 0;
  const mxcsr = sse ? get32(24) : 0;
  if ((mxcsr & ~MXCSR_MASK) !== 0) raiseGp();
  setControlWord(get16(0));
  setStatusWord(get16(2));
  at(4);
  R[FP_VALID] = load8(R[LA], R[LA + 1]);
  R[FOP] = get16(6) & 0x7ff;
  if (recOperandSize(p) === 2) {
    get64(8, FIP);
    get64(16, FDP);
    R[FCS] = 0;
    R[FDS] = 0;
  } else {
    R[FIP] = get32(8);
    R[FIP + 1] = 0;
    R[FCS] = get16(12);
    R[FDP] = get32(16);
    R[FDP + 1] = 0;
    R[FDS] = get16(20);
  }
  for (let i = 0; i < 8; i++) {
    const n = (R[FTOP] + i) & 7;
    get64(REGISTERS_AT + 16 * i, FP_MANT + 2 * n);
    R[FP_EXP + n] = get16(REGISTERS_AT + 16 * i + 8);
  }
  if (!sse) return;
  R[MXCSR] = mxcsr;
  const words = R[CODE64] !== 0 ? 64 : 32;
  for (let w = 0; w < words; w += 2) get64(XMM_AT + 4 * w, XMM + w);
}

export const fxsaveHandlers: Record<string, Handler> = { fxsave, fxrstor };
