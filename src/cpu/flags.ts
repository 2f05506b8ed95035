/**
 * Lazy status flags. A flag-setting instruction stores its result and one operand; each flag is worked out when
 * somebody asks.
 *
 * Results narrower than 64 bits are sign-extended to 32 bits and stored in both words of FR and FS, which makes ZF,
 * SF, PF and CF independent of the operand size:
 *   ZF: both words of FR are zero.  SF: FR high < 0.  PF: parity of the low byte.
 *   ADD: CF = FR <u FS (FS = either operand).  SUB: CF = FS <u FR (FS = the minuend).
 * Only OF of narrow ADD/SUB needs the size, kept in bits 9:8 of FT (0 = 8, 1 = 16, 2 = 32, 3 = 64 bits).
 */
import { R, FT, FRL, FRH, FSL, FSH, FX, EFLAGS, F_CF, F_PF, F_OF, F_STATUS } from './state';

/** All six flags are in FX. */
export const FK_EXPLICIT = 0;
export const FK_ADD = 1;
/** Also CMP, NEG (minuend 0). */
export const FK_SUB = 2;
/** AND, OR, XOR, TEST: CF = OF = AF = 0. */
export const FK_LOGIC = 3;
/** CF is in FX. */
export const FK_INC = 4;
/** CF is in FX. */
export const FK_DEC = 5;
/** SF, ZF, PF from the result; CF, AF, OF from FX. */
export const FK_RESULT = 6;

/** PARITY[b] = F_PF if byte b has an even number of ones, else 0. */
export const PARITY = new Uint8Array(256);
for (let b = 0; b < 256; b++) {
  let x = b ^ (b >> 4);
  x ^= x >> 2;
  x ^= x >> 1;
  PARITY[b] = x & 1 ? 0 : F_PF;
}

/** Carry flag, 0 or 1. */
export function getCf(): number {
  switch (R[FT] & 7) {
    case FK_ADD: {
      const rh = R[FRH], sh = R[FSH];
      return (rh === sh ? R[FRL] >>> 0 < R[FSL] >>> 0 : rh >>> 0 < sh >>> 0) ? 1 : 0;
    }
    case FK_SUB: {
      const rh = R[FRH], sh = R[FSH];
      return (rh === sh ? R[FSL] >>> 0 < R[FRL] >>> 0 : sh >>> 0 < rh >>> 0) ? 1 : 0;
    }
    case FK_LOGIC: return 0;
    default: return R[FX] & F_CF;
  }
}

/** Zero flag, 0 or 1. */
export function getZf(): number {
  if ((R[FT] & 7) === FK_EXPLICIT) return (R[FX] >> 6) & 1;
  return (R[FRL] | R[FRH]) === 0 ? 1 : 0;
}

/** Sign flag, 0 or 1. */
export function getSf(): number {
  if ((R[FT] & 7) === FK_EXPLICIT) return (R[FX] >> 7) & 1;
  return R[FRH] >>> 31;
}

/** Parity flag, 0 or 1. */
export function getPf(): number {
  if ((R[FT] & 7) === FK_EXPLICIT) return (R[FX] >> 2) & 1;
  return PARITY[R[FRL] & 255] >> 2;
}

/** The operand of ADD (sum - FS) or SUB (FS - difference) that was not stored: the word that holds its sign bit, shifted so that the sign is bit 31. */
function otherOperandSign(minuendIsS: boolean): number {
  const size = (R[FT] >> 8) & 3;
  const rl = R[FRL], sl = R[FSL];
  if (size === 3) {
    const rh = R[FRH], sh = R[FSH];
    return minuendIsS ? (sh - rh - (sl >>> 0 < rl >>> 0 ? 1 : 0)) | 0 : (rh - sh - (rl >>> 0 < sl >>> 0 ? 1 : 0)) | 0;
  }
  const other = minuendIsS ? sl - rl : rl - sl;
  return other << (size === 2 ? 0 : size === 1 ? 16 : 24);
}

/** Overflow flag, 0 or 1. */
export function getOf(): number {
  switch (R[FT] & 7) {
    case FK_ADD: {
      const b = otherOperandSign(false), r = R[FRH], a = R[FSH];
      return ((a ^ r) & (b ^ r)) >>> 31;
    }
    case FK_SUB: {
      const b = otherOperandSign(true), r = R[FRH], a = R[FSH];
      return ((a ^ b) & (a ^ r)) >>> 31;
    }
    case FK_LOGIC: return 0;
    case FK_INC: return isSizeMinimum(R[FRL], R[FRH]) ? 1 : 0;
    case FK_DEC: return isSizeMaximum(R[FRL], R[FRH]) ? 1 : 0;
    default: return (R[FX] >> 11) & 1;
  }
}

function isSizeMinimum(lo: number, hi: number): boolean {
  switch ((R[FT] >> 8) & 3) {
    case 0: return lo === -0x80;
    case 1: return lo === -0x8000;
    case 2: return lo === -0x80000000;
    default: return lo === 0 && hi === -0x80000000;
  }
}

function isSizeMaximum(lo: number, hi: number): boolean {
  switch ((R[FT] >> 8) & 3) {
    case 0: return lo === 0x7f;
    case 1: return lo === 0x7fff;
    case 2: return lo === 0x7fffffff;
    default: return lo === -1 && hi === 0x7fffffff;
  }
}

/** Auxiliary carry flag, 0 or 1. */
export function getAf(): number {
  switch (R[FT] & 7) {
    case FK_ADD: return (R[FRL] & 15) < (R[FSL] & 15) ? 1 : 0;
    case FK_SUB: return (R[FSL] & 15) < (R[FRL] & 15) ? 1 : 0;
    case FK_LOGIC: return 0;
    case FK_INC: return (R[FRL] & 15) === 0 ? 1 : 0;
    case FK_DEC: return (R[FRL] & 15) === 15 ? 1 : 0;
    default: return (R[FX] >> 4) & 1;
  }
}

/** The six status flags in RFLAGS positions. */
export function getStatusFlags(): number {
  if ((R[FT] & 7) === FK_EXPLICIT) return R[FX] & F_STATUS;
  return getCf() | (getPf() << 2) | (getAf() << 4) | (getZf() << 6) | (getSf() << 7) | (getOf() << 11);
}

/** RFLAGS, low 32 bits (the high 32 are always 0). */
export function getFlags(): number {
  return R[EFLAGS] | getStatusFlags();
}

/** Replaces all of RFLAGS; the caller has decided which bits may change. */
export function setFlags(value: number): void {
  R[EFLAGS] = (value & ~F_STATUS) | 2;
  R[FT] = FK_EXPLICIT;
  R[FX] = value & F_STATUS;
}

/** Replaces the six status flags. */
export function setStatusFlags(value: number): void {
  R[FT] = FK_EXPLICIT;
  R[FX] = value & F_STATUS;
}

/** Replaces some status flags: those in `mask` take the value they have in `value`. */
export function changeStatusFlags(mask: number, value: number): void {
  setStatusFlags((getStatusFlags() & ~mask) | (value & mask));
}

/** Replaces CF and OF (given in RFLAGS positions) and keeps the others, as rotates do. */
export function setCarryOverflow(bits: number): void {
  if ((R[FT] & 7) === FK_EXPLICIT) R[FX] = (R[FX] & ~(F_CF | F_OF)) | bits;
  else {
    R[FX] = bits | (getAf() << 4);
    R[FT] = FK_RESULT;
  }
}

/**
 * SF, ZF, PF from a result, CF, AF, OF given in RFLAGS positions. Narrow results: sign-extend to 32 bits and pass
 * the same value as both words.
 */
export function setResultFlags(lo: number, hi: number, carryAuxOverflow: number): void {
  R[FT] = FK_RESULT;
  R[FRL] = lo;
  R[FRH] = hi;
  R[FX] = carryAuxOverflow;
}

/** Flags of a logical operation; narrow results sign-extended and passed twice. */
export function setLogicFlags(lo: number, hi: number): void {
  R[FT] = FK_LOGIC;
  R[FRL] = lo;
  R[FRH] = hi;
}

/** Flags of minuend - subtrahend = result; narrow values sign-extended and passed twice. sizeLog: 0 = 8 ... 3 = 64 bits. */
export function setSubFlags(sizeLog: number, resultLo: number, resultHi: number, minuendLo: number, minuendHi: number): void {
  R[FT] = FK_SUB | (sizeLog << 8);
  R[FRL] = resultLo;
  R[FRH] = resultHi;
  R[FSL] = minuendLo;
  R[FSH] = minuendHi;
}

/** Flags of a sum; `operand` is either addend. Narrow values sign-extended and passed twice. sizeLog: 0 = 8 ... 3 = 64 bits. */
export function setAddFlags(sizeLog: number, resultLo: number, resultHi: number, operandLo: number, operandHi: number): void {
  R[FT] = FK_ADD | (sizeLog << 8);
  R[FRL] = resultLo;
  R[FRH] = resultHi;
  R[FSL] = operandLo;
  R[FSH] = operandHi;
}

/** Condition code 0-15 (the low nibble of Jcc, SETcc, CMOVcc): 0 or 1. */
export function condition(code: number): number {
  let value: number;
  switch (code >> 1) {
    case 0: value = getOf(); break;
    case 1: value = getCf(); break;
    case 2: value = getZf(); break;
    case 3: value = getCf() | getZf(); break;
    case 4: value = getSf(); break;
    case 5: value = getPf(); break;
    case 6: value = getSf() ^ getOf(); break;
    default: value = (getSf() ^ getOf()) | getZf(); break;
  }
  return value ^ (code & 1);
}
