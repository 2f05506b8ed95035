/**
 * Operand access of the SSE families (SDM 1 10-12, 3A 13.1): entry checks, XMM registers as word indices into R,
 * memory sources fetched into scratch words, stores.
 *
 * A source function makes the entry checks and returns the index of the operand's first word, whether it lies in a
 * register or was loaded, so a handler reads R[s], R[s + 1], ... either way. 128-bit memory operands of legacy SSE
 * instructions must be 16-byte aligned (#GP(0)) except in the Unaligned variants (SDM 2A 2.4).
 */
import {
  R, XMM, SCRATCH, LA, MEMHI, MODE, CR0, CR4, CR0_EM, CR0_TS, CR4_OSFXSR, X_NM, FP_EXP, FP_MANT,
} from '../state';
import { C, MODE_SIZE_MASK } from '../record';
import { raise, raiseGp, raiseUd } from '../fault';
import { memoryAddress, requireAligned16 } from '../operands';
import { enterMmxState } from '../mmx/operands';
import { load8, load16, load32, load64, load128, store8, store16, store32, store64, store128 } from '../mmu/access';

/** Scratch words of the SSE families: the memory operand, the result under construction, and room for shuffles. */
export const OPERAND = SCRATCH + 32;
export const RESULT = SCRATCH + 36;
export const WORK = SCRATCH + 40; // 12 words

const IS_MEMORY = 1 << 21;

/** Raises #UD or #NM where SSE may not be executed now (SDM 3A 13.1: CR0.EM, CR0.TS, CR4.OSFXSR). */
export function enterSse(): void {
  if ((R[CR0] & (CR0_EM | CR0_TS)) !== 0 || (R[CR4] & CR4_OSFXSR) === 0) rejectSse();
}

function rejectSse(): never {
  if ((R[CR0] & CR0_EM) !== 0 || (R[CR4] & CR4_OSFXSR) === 0) raiseUd();
  raise(X_NM);
}

/** First word of the XMM register in ModRM.reg. */
export function target(p: number): number {
  return XMM + ((C[p + 1] & 15) << 2);
}

/** First word of the XMM register in ModRM.rm (register form). */
export function rmRegister(p: number): number {
  return XMM + ((C[p + 1] >> 2) & 0x3c);
}

export function isMemory(p: number): boolean {
  return (C[p] & IS_MEMORY) !== 0;
}

/** Record bits of a memory operand that linearLow() forms itself: 64-bit addresses in segments without base. */
const ADDRESS_SIZE_BITS = 3 << 16, ADDRESS_64 = 2 << 16, SEGMENT_FS_GS = 4 << 22;

/**
 * Linear address of the memory operand: returns the low word and leaves the high word in R[LA + 1] (and the low one in R[LA]). The same
 * as memoryAddress(), with a short way for 64-bit code.
 */
function linearLow(p: number, bytes: number, write: boolean, aligned: boolean): number {
  const form = C[p], registers = C[p + 1], base = (registers >> 8) & 31;
  if ((form & (ADDRESS_SIZE_BITS | SEGMENT_FS_GS)) === ADDRESS_64 && base < 16 && (R[MODE] & MODE_SIZE_MASK) === 2) {
    const displacement = C[p + 2], index = (registers >> 13) & 31;
    let lo = (R[2 * base] + displacement) | 0;
    let hi = R[2 * base + 1] + (displacement >> 31) + (lo >>> 0 < displacement >>> 0 ? 1 : 0);
    if (index < 16) {
      const scale = (registers >> 18) & 3, word = R[2 * index], scaled = word << scale;
      lo = (lo + scaled) | 0;
      // The bits shifted out of the low word: a shift by 32 - scale that gives none for scale 0.
      hi += ((R[2 * index + 1] << scale) | (word >>> 1 >>> (31 - scale))) + (lo >>> 0 < scaled >>> 0 ? 1 : 0);
    }
    hi |= 0;
    // Canonical, and not close to a 4 GiB boundary, where the last byte has another high word.
    if ((hi >> 15 === 0 || hi >> 15 === -1) && lo >>> 0 < 0xfffffff0) {
      R[LA] = lo;
      R[LA + 1] = hi;
      return lo;
    }
  }
  if (aligned) requireAligned16(p);
  memoryAddress(p, bytes, write);
  return R[LA];
}

/** Loads the 16-byte aligned memory operand into four words of state. */
export function loadAligned(p: number, word: number): void {
  const lo = linearLow(p, 16, false, true);
  if ((lo & 15) !== 0) raiseGp(0);
  load128(lo, R[LA + 1], word);
}

export function loadUnaligned(p: number, word: number): void {
  load128(linearLow(p, 16, false, false), R[LA + 1], word);
}

/** 128-bit register or aligned memory source. */
export function source128(p: number): number {
  enterSse();
  if ((C[p] & IS_MEMORY) === 0) return XMM + ((C[p + 1] >> 2) & 0x3c);
  loadAligned(p, OPERAND);
  return OPERAND;
}

/** 128-bit register or memory source without alignment requirement. */
export function source128Unaligned(p: number): number {
  enterSse();
  if ((C[p] & IS_MEMORY) === 0) return XMM + ((C[p + 1] >> 2) & 0x3c);
  loadUnaligned(p, OPERAND);
  return OPERAND;
}

/** 64-bit source: low half of a register, or memory. */
export function source64(p: number): number {
  enterSse();
  if ((C[p] & IS_MEMORY) === 0) return XMM + ((C[p + 1] >> 2) & 0x3c);
  loadMemory64(p, OPERAND);
  return OPERAND;
}

/** 32-bit source: low word of a register, or memory. */
export function source32(p: number): number {
  enterSse();
  if ((C[p] & IS_MEMORY) === 0) return XMM + ((C[p + 1] >> 2) & 0x3c);
  R[OPERAND] = loadMemory32(p);
  return OPERAND;
}

/** 16-bit source (zero-extended when it comes from memory). */
export function source16(p: number): number {
  enterSse();
  if ((C[p] & IS_MEMORY) === 0) return XMM + ((C[p + 1] >> 2) & 0x3c);
  R[OPERAND] = loadMemory16(p);
  return OPERAND;
}

/** Loads the 64-bit memory operand into two words of state. */
export function loadMemory64(p: number, word: number): void {
  R[word] = load64(linearLow(p, 8, false, false), R[LA + 1]);
  R[word + 1] = R[MEMHI];
}

export function loadMemory8(p: number): number {
  return load8(linearLow(p, 1, false, false), R[LA + 1]);
}

export function loadMemory16(p: number): number {
  return load16(linearLow(p, 2, false, false), R[LA + 1]);
}

export function loadMemory32(p: number): number {
  return load32(linearLow(p, 4, false, false), R[LA + 1]);
}

/** Stores four words of state to the 16-byte aligned memory operand. */
export function storeAligned(p: number, word: number): void {
  const lo = linearLow(p, 16, true, true);
  if ((lo & 15) !== 0) raiseGp(0);
  store128(lo, R[LA + 1], word);
}

export function storeUnaligned(p: number, word: number): void {
  store128(linearLow(p, 16, true, false), R[LA + 1], word);
}

/** Stores two words of state to the 64-bit memory operand. */
export function storeMemory64(p: number, word: number): void {
  store64(linearLow(p, 8, true, false), R[LA + 1], R[word], R[word + 1]);
}

export function storeMemory32(p: number, value: number): void {
  store32(linearLow(p, 4, true, false), R[LA + 1], value);
}

export function storeMemory16(p: number, value: number): void {
  store16(linearLow(p, 2, true, false), R[LA + 1], value);
}

export function storeMemory8(p: number, value: number): void {
  store8(linearLow(p, 1, true, false), R[LA + 1], value);
}

/** Copies four words of state. */
export function copy128(to: number, from: number): void {
  R[to] = R[from];
  R[to + 1] = R[from + 1];
  R[to + 2] = R[from + 2];
  R[to + 3] = R[from + 3];
}

/** Writes four words of state. */
export function set128(to: number, w0: number, w1: number, w2: number, w3: number): void {
  R[to] = w0;
  R[to + 1] = w1;
  R[to + 2] = w2;
  R[to + 3] = w3;
}

// --- MMX registers as operands of SSE instructions (SDM 1 9.6, 11.6) ---

/** First word of MMX register n (0-7). */
export function mmx(n: number): number {
  return FP_MANT + ((n & 7) << 1);
}

/** Writes MMX register n; its x87 exponent and sign read as ones afterwards. */
export function setMmx(n: number, lo: number, hi: number): void {
  enterMmxState();
  const w = mmx(n);
  R[w] = lo;
  R[w + 1] = hi;
  R[FP_EXP + (n & 7)] = 0xffff;
}
