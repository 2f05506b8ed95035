/** Lazy flags (../flags.ts) given as values instead of in R, for regions, which keep them in locals: kind, result, operand, explicit bits. */
import { FK_ADD, FK_DEC, FK_EXPLICIT, FK_INC, FK_LOGIC, FK_SUB, PARITY } from '../flags';

type FlagFunction = (ft: number, fl: number, fh: number, sl: number, sh: number, fx: number) => number;

/** Carry flag, 0 or 1. */
export const getCf: FlagFunction = (ft, fl, fh, sl, sh, fx) => {
  switch (ft & 7) {
    case FK_ADD: return (fh === sh ? fl >>> 0 < sl >>> 0 : fh >>> 0 < sh >>> 0) ? 1 : 0;
    case FK_SUB: return (fh === sh ? sl >>> 0 < fl >>> 0 : sh >>> 0 < fh >>> 0) ? 1 : 0;
    case FK_LOGIC: return 0;
    default: return fx & 1;
  }
};

/** Sign flag, 0 or 1. */
export const getSf: FlagFunction = (ft, _fl, fh, _sl, _sh, fx) => ((ft & 7) === FK_EXPLICIT ? (fx >> 7) & 1 : fh >>> 31);

/** Parity flag, 0 or 1. */
export const getPf: FlagFunction = (ft, fl, _fh, _sl, _sh, fx) => ((ft & 7) === FK_EXPLICIT ? (fx >> 2) & 1 : PARITY[fl & 255] >> 2);

/** The operand that was not stored, with its sign in bit 31: the minuend is S for differences. */
function otherOperandSign(ft: number, fl: number, fh: number, sl: number, sh: number, minuendIsS: boolean): number {
  const size = (ft >> 8) & 3;
  if (size === 3) {
    return minuendIsS ? (sh - fh - (sl >>> 0 < fl >>> 0 ? 1 : 0)) | 0 : (fh - sh - (fl >>> 0 < sl >>> 0 ? 1 : 0)) | 0;
  }
  const other = minuendIsS ? sl - fl : fl - sl;
  return other << (size === 2 ? 0 : size === 1 ? 16 : 24);
}

/** Overflow flag, 0 or 1. */
export const getOf: FlagFunction = (ft, fl, fh, sl, sh, fx) => {
  const size = (ft >> 8) & 3;
  switch (ft & 7) {
    case FK_ADD: return ((sh ^ fh) & (otherOperandSign(ft, fl, fh, sl, sh, false) ^ fh)) >>> 31;
    case FK_SUB: return ((sh ^ otherOperandSign(ft, fl, fh, sl, sh, true)) & (sh ^ fh)) >>> 31;
    case FK_LOGIC: return 0;
    case FK_INC: return (size === 3 ? fl === 0 && fh === -0x80000000 : fl === [-0x80, -0x8000, -0x80000000][size]) ? 1 : 0;
    case FK_DEC: return (size === 3 ? fl === -1 && fh === 0x7fffffff : fl === [0x7f, 0x7fff, 0x7fffffff][size]) ? 1 : 0;
    default: return (fx >> 11) & 1;
  }
};

/** Auxiliary carry flag, 0 or 1. */
export const getAf: FlagFunction = (ft, fl, _fh, sl, _sh, fx) => {
  switch (ft & 7) {
    case FK_ADD: return (fl & 15) < (sl & 15) ? 1 : 0;
    case FK_SUB: return (sl & 15) < (fl & 15) ? 1 : 0;
    case FK_LOGIC: return 0;
    case FK_INC: return (fl & 15) === 0 ? 1 : 0;
    case FK_DEC: return (fl & 15) === 15 ? 1 : 0;
    default: return (fx >> 4) & 1;
  }
};
