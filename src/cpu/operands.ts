/**
 * Operand access for handlers written as functions over generic records: effective addresses with segmentation
 * (SDM 1 3.7, 3A 5.3), general-register and r/m reads and writes by operand size.
 */
import {
  R, R8, R16, RU, IPB, LA, EAT, MODE, SEG_AR, SEG_BASE, SEG_LIMIT, CS, SS, FS, AR_DB, AR_UNUSABLE, MEMHI, X_SS, X_GP,
} from './state';
import {
  C, INFO, MODE_FLAT, MODE_SIZE_MASK, recAddressSize, recBase, recDisplacement, recHasRex, recIndex, recIsMemory, recLength,
  recOperandSize, recRm, recScale, recSegment,
} from './record';
import { raiseError } from './fault';
import {
  load8, load16, load32, load64, store8, store16, store32, store64,
} from './mmu/access';

/** Offset of a memory operand within its segment, before the segment base: left in R[EAT], R[EAT + 1] (high word 0 unless the address size is 64). */
export function effectiveOffset(p: number): void {
  const base = recBase(p), index = recIndex(p), disp = recDisplacement(p);
  const size = recAddressSize(p);
  if (size === 2) {
    let lo = disp, hi = disp >> 31;
    if (base < 16) {
      const b = R[2 * base];
      lo = (b + disp) | 0;
      hi = (R[2 * base + 1] + hi + (lo >>> 0 < disp >>> 0 ? 1 : 0)) | 0;
    } else if (base === 17) {
      // Counted from the next instruction, whose distance from the page's start may take the sum beyond 31 bits.
      const next = (INFO[p] & 4095) + recLength(p) + disp;
      const b = R[IPB];
      lo = (b + next) | 0;
      hi = (R[IPB + 1] + (next < 0 ? -1 : 0) + (lo >>> 0 < next >>> 0 ? 1 : 0)) | 0;
    }
    if (index < 16) {
      const scale = recScale(p), xl = R[2 * index];
      const sl = xl << scale, sh = scale === 0 ? R[2 * index + 1] : (R[2 * index + 1] << scale) | (xl >>> (32 - scale));
      lo = (lo + sl) | 0;
      hi = (hi + sh + (lo >>> 0 < sl >>> 0 ? 1 : 0)) | 0;
    }
    R[EAT] = lo;
    R[EAT + 1] = hi;
    return;
  }
  let offset = disp;
  if (base < 16) offset += R[2 * base];
  else if (base === 17) offset += R[IPB] + (INFO[p] & 4095) + recLength(p);
  if (index < 16) offset += R[2 * index] << recScale(p);
  R[EAT] = size === 0 ? offset & 0xffff : offset | 0;
  R[EAT + 1] = 0;
}

/** moffs operands: the 64-bit offset stands in the record's words 2 and 3. */
export function moffsOffset(p: number): void {
  const size = recAddressSize(p);
  R[EAT] = size === 0 ? C[p + 2] & 0xffff : C[p + 2];
  R[EAT + 1] = size === 2 ? C[p + 3] : 0;
}

/**
 * Linear address of `bytes` bytes at segment offset (lo, hi), checked for limit, type and presence; left in R[LA], R[LA + 1].
 * Raises #SS(0) for SS, #GP(0) otherwise. Canonical form is checked by the access itself in 64-bit mode.
 */
export function segmentAddress(segment: number, lo: number, hi: number, bytes: number, write: boolean): void {
  const mode = R[MODE];
  if ((mode & MODE_SIZE_MASK) === 2) {
    if (segment >= FS) {
      const base = R[SEG_BASE + 2 * segment];
      const l = (base + lo) | 0;
      R[LA] = l;
      R[LA + 1] = (R[SEG_BASE + 2 * segment + 1] + hi + (l >>> 0 < base >>> 0 ? 1 : 0)) | 0;
    } else {
      R[LA] = lo;
      R[LA + 1] = hi;
    }
    return;
  }
  // In flat mode only FS, GS and a write through CS can be refused.
  if ((mode & MODE_FLAT) === 0 || segment >= FS || (write && segment === CS)) checkLegacySegment(segment, lo >>> 0, bytes, write);
  R[LA] = (R[SEG_BASE + 2 * segment] + lo) | 0;
  R[LA + 1] = 0;
}

/**
 * Limit and type check outside 64-bit mode (SDM 3A 5.3, 5.5). Where the limit is 4 GiB - 1, accesses that wrap may or may not fault:
 * here they do not, in whatever segment.
 */
function checkLegacySegment(segment: number, offset: number, bytes: number, write: boolean): void {
  const ar = R[SEG_AR + segment], limit = RU[SEG_LIMIT + segment];
  const last = offset + bytes - 1;
  let bad = (ar & AR_UNUSABLE) !== 0;
  if (ar & 8) {
    // Code segment: never writable, readable if bit 1.
    if (write || (ar & 2) === 0) bad = true;
    if (last > limit && limit !== 0xffffffff) bad = true;
  } else {
    if (write && (ar & 2) === 0) bad = true;
    if (ar & 4) {
      // Expand-down: valid offsets lie above the limit.
      if (offset <= limit || last > (ar & AR_DB ? 0xffffffff : 0xffff)) bad = true;
    } else if (last > limit && limit !== 0xffffffff) bad = true;
  }
  if (bad) raiseError(segment === SS ? X_SS : X_GP, 0);
}

/**
 * Linear address of the record's memory operand in R[LA], R[LA + 1], for an access of `bytes` bytes. In 64-bit mode a
 * non-canonical address is left for the access to report, with segment SS turned into #SS by the access functions' caller:
 * use memoryAddress() (which does so) unless the address itself is the result.
 */
export function memoryAddress(p: number, bytes: number, write: boolean): void {
  effectiveOffset(p);
  const segment = recSegment(p);
  segmentAddress(segment, R[EAT], R[EAT + 1], bytes, write);
  if ((R[MODE] & MODE_SIZE_MASK) === 2) checkCanonical(segment, R[LA], R[LA + 1], bytes);
}

/**
 * #GP(0) if the memory operand is not 16-byte aligned. Called before memoryAddress(): processors look at the alignment that an instruction
 * demands before the limit and the canonical form, so it is #GP(0) even where those would give #SS(0).
 */
export function requireAligned16(p: number): void {
  effectiveOffset(p);
  const segment = recSegment(p);
  const base = (R[MODE] & MODE_SIZE_MASK) !== 2 || segment >= FS ? R[SEG_BASE + 2 * segment] : 0;
  if (((R[EAT] + base) & 15) !== 0) raiseError(X_GP, 0);
}

/** Raises #SS(0) or #GP(0) when the first or last byte of a 64-bit linear address range is not canonical (48 bits). */
export function checkCanonical(segment: number, lo: number, hi: number, bytes: number): void {
  if (hi >> 15 !== 0 && hi >> 15 !== -1) raiseError(segment === SS ? X_SS : X_GP, 0);
  if ((lo + bytes - 1) >>> 0 < lo >>> 0 && lo < 0) {
    const h = (hi + 1) | 0;
    if (h >> 15 !== 0 && h >> 15 !== -1) raiseError(segment === SS ? X_SS : X_GP, 0);
  }
}

// --- Registers ---

/** Index into R8 of byte register `n`: without REX, 4-7 are AH CH DH BH. */
export function byteIndex(p: number, n: number): number {
  return n >= 4 && n < 8 && !recHasRex(p) ? 8 * (n - 4) + 1 : 8 * n;
}

/** Zero-extends a 32-bit result into register n. */
export function setReg32(n: number, value: number): void {
  R[2 * n] = value;
  R[2 * n + 1] = 0;
}

/** Writes register n at operand size 0 (16), 1 (32) or 2 (64 bits). */
export function setReg(n: number, operandSize: number, lo: number, hi: number): void {
  if (operandSize === 0) R16[4 * n] = lo;
  else {
    R[2 * n] = lo;
    R[2 * n + 1] = operandSize === 2 ? hi : 0;
  }
}

/** Low word of register n at operand size (16-bit values sign-extended to 32 bits). */
export function getRegLo(n: number, operandSize: number): number {
  return operandSize === 0 ? (R[2 * n] << 16) >> 16 : R[2 * n];
}

/** High word of register n: its own for 64-bit operands, the low word's copy (the narrow form flags.ts wants) otherwise. */
export function getRegHi(n: number, operandSize: number): number {
  return operandSize === 2 ? R[2 * n + 1] : getRegLo(n, operandSize);
}

// --- r/m operands of the record's operand size (or 8 bits) ---

/** Reads the 8-bit r/m operand, zero-extended. */
export function readRm8(p: number): number {
  if (!recIsMemory(p)) return R8[byteIndex(p, recRm(p))];
  memoryAddress(p, 1, false);
  return load8(R[LA], R[LA + 1]);
}

/** Reads a 16-bit r/m operand, zero-extended. */
export function readRm16(p: number): number {
  if (!recIsMemory(p)) return R16[4 * recRm(p)];
  memoryAddress(p, 2, false);
  return load16(R[LA], R[LA + 1]);
}

/** Reads a 32-bit r/m operand. */
export function readRm32(p: number): number {
  if (!recIsMemory(p)) return R[2 * recRm(p)];
  memoryAddress(p, 4, false);
  return load32(R[LA], R[LA + 1]);
}

/** Reads a 64-bit r/m operand: returns the low word, the high word is in R[MEMHI]. */
export function readRm64(p: number): number {
  if (!recIsMemory(p)) {
    R[MEMHI] = R[2 * recRm(p) + 1];
    return R[2 * recRm(p)];
  }
  memoryAddress(p, 8, false);
  return load64(R[LA], R[LA + 1]);
}

/** Reads the r/m operand at the record's operand size: low word (16-bit values sign-extended), high word in R[MEMHI] (copy of the low word below 64 bits). */
export function readRmV(p: number): number {
  const size = recOperandSize(p);
  if (size === 2) return readRm64(p);
  const v = size === 1 ? readRm32(p) : (readRm16(p) << 16) >> 16;
  R[MEMHI] = v;
  return v;
}

/** Writes the 8-bit r/m operand. */
export function writeRm8(p: number, value: number): void {
  if (!recIsMemory(p)) R8[byteIndex(p, recRm(p))] = value;
  else {
    memoryAddress(p, 1, true);
    store8(R[LA], R[LA + 1], value);
  }
}

/** Writes a 16-bit r/m operand. */
export function writeRm16(p: number, value: number): void {
  if (!recIsMemory(p)) R16[4 * recRm(p)] = value;
  else {
    memoryAddress(p, 2, true);
    store16(R[LA], R[LA + 1], value);
  }
}

/** Writes a 32-bit r/m operand (a register is zero-extended). */
export function writeRm32(p: number, value: number): void {
  if (!recIsMemory(p)) setReg32(recRm(p), value);
  else {
    memoryAddress(p, 4, true);
    store32(R[LA], R[LA + 1], value);
  }
}

/** Writes a 64-bit r/m operand. */
export function writeRm64(p: number, lo: number, hi: number): void {
  if (!recIsMemory(p)) {
    const n = 2 * recRm(p);
    R[n] = lo;
    R[n + 1] = hi;
  } else {
    memoryAddress(p, 8, true);
    store64(R[LA], R[LA + 1], lo, hi);
  }
}

/** Writes the r/m operand at the record's operand size. */
export function writeRmV(p: number, lo: number, hi: number): void {
  switch (recOperandSize(p)) {
    case 0: writeRm16(p, lo); break;
    case 1: writeRm32(p, lo); break;
    default: writeRm64(p, lo, hi); break;
  }
}
