/**
 * MMX data movement and rearrangement, with the SSE and SSSE3 additions on MMX registers, and EMMS (SDM 2A, 2B).
 */
import { R, LA, RDI, MEMHI, EAT, FP_VALID } from '../state';
import { recAddressSize, recImmediate, recIsMemory, recReg, recRm, recSegment } from '../record';
import type { Handler } from '../record';
import {
  checkCanonical, memoryAddress, readRm32, readRm64, segmentAddress, setReg32, writeRm32, writeRm64,
} from '../operands';
import { load16, probeOperand, store8 } from '../mmu/access';
import { packDoublewordsSigned, packWordsSigned, packWordsUnsigned, signMaskBytes } from '../sse/swar';
import { advance } from '../fpu/memory';
import { checkMmx, destination, enterMmxState, regWord, rmDestination, rmWord, source32, source64 } from './operands';

// --- Moves ---

/** MOVD mm, r/m32. */
function movdLoad(p: number): void {
  checkMmx();
  const value = readRm32(p), d = destination(p);
  R[d] = value;
  R[d + 1] = 0;
}

/** MOVQ mm, r/m64. */
function movqLoadGeneral(p: number): void {
  checkMmx();
  const lo = readRm64(p), d = destination(p);
  R[d] = lo;
  R[d + 1] = R[MEMHI];
}

/** MOVD r/m32, mm. */
function movdStore(p: number): void {
  checkMmx();
  writeRm32(p, R[regWord(p)]);
  enterMmxState();
}

/** MOVQ r/m64, mm. */
function movqStoreGeneral(p: number): void {
  checkMmx();
  const s = regWord(p);
  writeRm64(p, R[s], R[s + 1]);
  enterMmxState();
}

function movqLoad(p: number): void {
  const s = source64(p), lo = R[s], hi = R[s + 1], d = destination(p);
  R[d] = lo;
  R[d + 1] = hi;
}

/** MOVQ mm/m64, mm and MOVNTQ. */
function movqStore(p: number): void {
  if (!recIsMemory(p)) {
    checkMmx();
    const s = regWord(p), d = rmDestination(p);
    R[d] = R[s];
    R[d + 1] = R[s + 1];
    return;
  }
  movqStoreGeneral(p);
}

/** MASKMOVQ: bytes of mm (reg) whose mask byte (rm) has bit 7 set go to DS:rDI. A zero mask accesses nothing. */
function maskmovq(p: number): void {
  checkMmx();
  const s = regWord(p), m = rmWord(p);
  const mask = signMaskBytes(R[m]) | (signMaskBytes(R[m + 1]) << 4);
  const size = recAddressSize(p), segment = recSegment(p);
  R[EAT] = size === 0 ? R[RDI] & 0xffff : R[RDI];
  R[EAT + 1] = size === 2 ? R[RDI + 1] : 0;
  segmentAddress(segment, R[EAT], R[EAT + 1], 8, true);
  if (size === 2) checkCanonical(segment, R[LA], R[LA + 1], 8);
  const lo = R[LA], hi = R[LA + 1];
  probeOperand(lo, hi, 8);
  for (let i = 0; i < 8; i++) {
    if (((mask >> i) & 1) === 0) continue;
    advance(lo, hi, i);
    store8(R[LA], R[LA + 1], (R[s + (i >> 2)] >>> (8 * (i & 3))) & 255);
  }
  enterMmxState();
}

function pmovmskb(p: number): void {
  checkMmx();
  const s = rmWord(p);
  setReg32(recReg(p), signMaskBytes(R[s]) | (signMaskBytes(R[s + 1]) << 4));
  enterMmxState();
}

/** 16-bit word `index` (0-3) of the register at word `s`. */
function wordAt(s: number, index: number): number {
  return (R[s + (index >> 1)] >>> (16 * (index & 1))) & 0xffff;
}

function pinsrw(p: number): void {
  checkMmx();
  let value: number;
  if (recIsMemory(p)) {
    memoryAddress(p, 2, false);
    value = load16(R[LA], R[LA + 1]);
  } else value = R[2 * recRm(p)] & 0xffff;
  const index = recImmediate(p) & 3, shift = 16 * (index & 1), w = destination(p) + (index >> 1);
  R[w] = (R[w] & ~(0xffff << shift)) | (value << shift);
}

function pextrw(p: number): void {
  checkMmx();
  setReg32(recReg(p), wordAt(rmWord(p), recImmediate(p) & 3));
  enterMmxState();
}

function emms(): void {
  checkMmx();
  enterMmxState();
  R[FP_VALID] = 0;
}

// --- Rearrangement ---

/** mm = (low, high), each made from the four words (a, b) of mm and (c, d) of the source. */
function rearrange(
  source: (p: number) => number,
  low: (a: number, b: number, c: number, d: number) => number, high: (a: number, b: number, c: number, d: number) => number,
): Handler {
  return (p) => {
    const s = source(p), c = R[s], e = R[s + 1], w = destination(p), a = R[w], b = R[w + 1];
    R[w] = low(a, b, c, e);
    R[w + 1] = high(a, b, c, e);
  };
}

/** Bytes 1:0 of a and b interleaved. */
function interleaveBytes(a: number, b: number): number {
  return (a & 0xff) | ((b & 0xff) << 8) | ((a & 0xff00) << 8) | ((b & 0xff00) << 16);
}

function pshufw(p: number): void {
  const s = source64(p), order = recImmediate(p);
  const lo = wordAt(s, order & 3) | (wordAt(s, (order >> 2) & 3) << 16);
  const hi = wordAt(s, (order >> 4) & 3) | (wordAt(s, (order >> 6) & 3) << 16);
  const d = destination(p);
  R[d] = lo;
  R[d + 1] = hi;
}

/** Four bytes chosen from hi:lo by the four control bytes; control bit 7 gives zero. */
function chooseBytes(lo: number, hi: number, control: number): number {
  let out = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const c = control >>> shift;
    if (c & 0x80) continue;
    out |= (((c & 4 ? hi : lo) >>> (8 * (c & 3))) & 255) << shift;
  }
  return out;
}

/** Word of the 128-bit value (mm : source) that starts at byte `offset`. */
function wordFrom(a: number, b: number, c: number, d: number, offset: number): number {
  const at = offset >> 2, shift = 8 * (offset & 3);
  const low = at === 0 ? c : at === 1 ? d : at === 2 ? a : at === 3 ? b : 0;
  if (shift === 0) return low;
  const high = at === 0 ? d : at === 1 ? a : at === 2 ? b : 0;
  return (low >>> shift) | (high << (32 - shift));
}

function palignr(p: number): void {
  const s = source64(p), c = R[s], d = R[s + 1], offset = recImmediate(p) & 255;
  const w = destination(p), a = R[w], b = R[w + 1];
  R[w] = wordFrom(a, b, c, d, offset);
  R[w + 1] = wordFrom(a, b, c, d, offset + 4);
}

export const mmxMoveHandlers: Record<string, Handler> = {
  movdMmx: movdLoad,
  movdMmx64: movqLoadGeneral,
  movdMmxStore: movdStore,
  movdMmxStore64: movqStoreGeneral,
  movqMmx: movqLoad,
  movqMmxStore: movqStore,
  movntq: movqStoreGeneral,
  maskmovq, pmovmskb, pinsrw, pextrw, emms, pshufw, palignr,
  punpcklbw: rearrange(source32, (a, _b, c) => interleaveBytes(a, c), (a, _b, c) => interleaveBytes(a >>> 16, c >>> 16)),
  punpcklwd: rearrange(source32, (a, _b, c) => (a & 0xffff) | (c << 16), (a, _b, c) => (a >>> 16) | (c & 0xffff0000)),
  punpckldq: rearrange(source32, (a) => a, (_a, _b, c) => c),
  punpckhbw: rearrange(source64, (_a, b, _c, d) => interleaveBytes(b, d), (_a, b, _c, d) => interleaveBytes(b >>> 16, d >>> 16)),
  punpckhwd: rearrange(source64, (_a, b, _c, d) => (b & 0xffff) | (d << 16), (_a, b, _c, d) => (b >>> 16) | (d & 0xffff0000)),
  punpckhdq: rearrange(source64, (_a, b) => b, (_a, _b, _c, d) => d),
  packsswb: rearrange(source64, (a, b) => packWordsSigned(a, b), (_a, _b, c, d) => packWordsSigned(c, d)),
  packuswb: rearrange(source64, (a, b) => packWordsUnsigned(a, b), (_a, _b, c, d) => packWordsUnsigned(c, d)),
  packssdw: rearrange(source64, (a, b) => packDoublewordsSigned(a, b), (_a, _b, c, d) => packDoublewordsSigned(c, d)),
  pshufb: rearrange(source64, (a, b, c) => chooseBytes(a, b, c), (a, b, _c, d) => chooseBytes(a, b, d)),
};
