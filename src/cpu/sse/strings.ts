/**
 * SSE4.2 string comparisons PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM 2B chapter 4.1: imm8 control byte, operand
 * validity, aggregation, flags). Memory operands need no alignment.
 */
import { R, R8, R16, XMM, RAX, RCX, RDX, F_CF, F_OF, F_SF, F_ZF } from '../state';
import { C, type Handler } from '../record';
import { setReg32 } from '../operands';
import { setStatusFlags } from '../flags';
import { set128, source128Unaligned, target } from './operands';

const EQUAL_ANY = 0, RANGES = 1, EQUAL_EACH = 2;

/** Element i of the operand whose first word is w. */
function element(w: number, i: number, control: number): number {
  if (control & 1) {
    const v = R16[(w << 1) + i];
    return control & 2 ? (v << 16) >> 16 : v;
  }
  const v = R8[(w << 2) + i];
  return control & 2 ? (v << 24) >> 24 : v;
}

/** Elements before the first zero. */
function implicitLength(w: number, count: number, control: number): number {
  let n = 0;
  while (n < count && element(w, n, control) !== 0) n++;
  return n;
}

/** Absolute value of a length register, at most `count`. */
function explicitLength(register: number, wide: boolean, count: number): number {
  const lo = R[register], hi = wide ? R[register + 1] : lo >> 31;
  if (hi === 0) return lo >>> 0 < count ? lo : count;
  if (hi === -1 && lo < 0) return -lo < count ? -lo : count;
  return count;
}

/** IntRes1: bit j tells about element j of the second operand. */
function aggregate(a: number, lengthA: number, b: number, lengthB: number, count: number, control: number): number {
  let result = 0;
  switch ((control >> 2) & 3) {
    case EQUAL_ANY:
      for (let j = 0; j < lengthB; j++) {
        const v = element(b, j, control);
        for (let i = 0; i < lengthA; i++) {
          if (element(a, i, control) === v) {
            result |= 1 << j;
            break;
          }
        }
      }
      return result;
    case RANGES:
      for (let j = 0; j < lengthB; j++) {
        const v = element(b, j, control);
        for (let i = 0; i + 1 < lengthA; i += 2) {
          if (v >= element(a, i, control) && v <= element(a, i + 1, control)) {
            result |= 1 << j;
            break;
          }
        }
      }
      return result;
    case EQUAL_EACH:
      for (let j = 0; j < count; j++) {
        const same = j < lengthA && j < lengthB ? element(a, j, control) === element(b, j, control) : j >= lengthA && j >= lengthB;
        if (same) result |= 1 << j;
      }
      return result;
    default: // equal ordered: the first operand occurs in the second at j
      for (let j = 0; j < count; j++) {
        let i = 0;
        while (i < lengthA && j + i < count) {
          if (j + i >= lengthB || element(a, i, control) !== element(b, j + i, control)) break;
          i++;
        }
        if (i >= lengthA || j + i >= count) result |= 1 << j;
      }
      return result;
  }
}

/** IntRes2, with the flags set. */
function compare(a: number, lengthA: number, b: number, lengthB: number, count: number, control: number): number {
  const all = (1 << count) - 1;
  let result = aggregate(a, lengthA, b, lengthB, count, control);
  if (control & 0x10) result ^= control & 0x20 ? (1 << lengthB) - 1 : all;
  setStatusFlags(
    (result !== 0 ? F_CF : 0) | (lengthB < count ? F_ZF : 0) | (lengthA < count ? F_SF : 0) | (result & 1 ? F_OF : 0),
  );
  return result;
}

/** Index of the lowest or highest set bit to ECX; the element count if none. */
function writeIndex(result: number, count: number, control: number): void {
  let index = count;
  if (result !== 0) index = 31 - Math.clz32(control & 0x40 ? result : result & -result);
  setReg32(RCX >> 1, index);
}

/** Mask to XMM0, as bits or as whole elements. */
function writeMask(result: number, control: number): void {
  if ((control & 0x40) === 0) {
    set128(XMM, result, 0, 0, 0);
    return;
  }
  for (let k = 0; k < 4; k++) {
    let w = 0;
    if (control & 1) {
      const two = result >> (2 * k);
      w = (two & 1 ? 0xffff : 0) | (two & 2 ? 0xffff0000 : 0);
    } else {
      const four = result >> (4 * k);
      w = (four & 1 ? 0xff : 0) | (four & 2 ? 0xff00 : 0) | (four & 4 ? 0xff0000 : 0) | (four & 8 ? 0xff000000 : 0);
    }
    R[XMM + k] = w;
  }
}

function explicit(p: number, wide: boolean, index: boolean): void {
  const b = source128Unaligned(p), a = target(p), control = C[p + 3], count = control & 1 ? 8 : 16;
  const result = compare(a, explicitLength(RAX, wide, count), b, explicitLength(RDX, wide, count), count, control);
  if (index) writeIndex(result, count, control);
  else writeMask(result, control);
}

function implicit(p: number, index: boolean): void {
  const b = source128Unaligned(p), a = target(p), control = C[p + 3], count = control & 1 ? 8 : 16;
  const result = compare(a, implicitLength(a, count, control), b, implicitLength(b, count, control), count, control);
  if (index) writeIndex(result, count, control);
  else writeMask(result, control);
}

export const stringHandlers: Record<string, Handler> = {
  pcmpestri: (p) => explicit(p, false, true), pcmpestri64: (p) => explicit(p, true, true),
  pcmpestrm: (p) => explicit(p, false, false), pcmpestrm64: (p) => explicit(p, true, false),
  pcmpistri: (p) => implicit(p, true), pcmpistrm: (p) => implicit(p, false),
};
