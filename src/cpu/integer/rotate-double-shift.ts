/**
 * RCL, RCR, SHLD, SHRD (SDM 2B). The engine lowers the other shifts and rotates itself.
 *
 * OF is defined for counts of one only; larger counts set it by the same formula, as Intel processors do. A 16-bit
 * double shift by more than 16 (undefined) shifts destination : source : destination, as P6 and later do. A count of
 * zero changes no flag, but a 32-bit register destination is still zero-extended.
 */
import type { Handler } from '../record';
import { R, R8, MEMHI, RCX, F_CF, F_OF } from '../state';
import { recImmediate, recOperandSize, recReg } from '../record';
import { changeStatusFlags, getCf, setResultFlags } from '../flags';
import { commit8, commitV, modify8, modifyV } from './read-modify-write';

/** Value being rotated, low word first. */
const VALUE = new Int32Array(2);
const CL = 4 * RCX; // index into R8

function signExtend(value: number, bits: number): number {
  return (value << (32 - bits)) >> (32 - bits);
}

/** Rotates VALUE left through `carry` by `count` within `bits` (8-64) bits; returns the new carry. Counts are nearly always one. */
function rotateLeft(bits: number, count: number, carry: number): number {
  let lo = VALUE[0], hi = VALUE[1], cf = carry;
  for (let i = 0; i < count; i++) {
    const out = bits === 64 ? hi >>> 31 : (lo >>> (bits - 1)) & 1;
    hi = (hi << 1) | (lo >>> 31);
    lo = (lo << 1) | cf;
    cf = out;
  }
  VALUE[0] = lo;
  VALUE[1] = hi;
  return cf;
}

/** Rotates VALUE right through `carry`; returns the new carry. */
function rotateRight(bits: number, count: number, carry: number): number {
  let lo = VALUE[0], hi = VALUE[1], cf = carry;
  for (let i = 0; i < count; i++) {
    const out = lo & 1;
    if (bits === 64) {
      lo = (lo >>> 1) | (hi << 31);
      hi = (hi >>> 1) | (cf << 31);
    } else {
      // The bits above `bits` must not come in from the top.
      lo = bits === 32 ? lo >>> 1 : (lo & ((1 << bits) - 1)) >>> 1;
      lo |= cf << (bits - 1);
    }
    cf = out;
  }
  VALUE[0] = lo;
  VALUE[1] = hi;
  return cf;
}

/** Rotates VALUE and sets CF and OF. */
function rotate(bits: number, count: number, left: boolean): void {
  const carry = left ? rotateLeft(bits, count, getCf()) : rotateRight(bits, count, getCf());
  const top = bits === 64 ? VALUE[1] : VALUE[0] << (32 - bits);
  const overflow = left ? (top >>> 31) ^ carry : (top ^ (top << 1)) >>> 31;
  changeStatusFlags(F_CF | F_OF, carry | (overflow ? F_OF : 0));
}

function rotateByte(p: number, count: number, left: boolean): void {
  VALUE[0] = modify8(p);
  const turns = (count & 31) % 9;
  if (turns === 0) return;
  rotate(8, turns, left);
  commit8(p, VALUE[0]);
}

function rotateV(p: number, count: number, left: boolean): void {
  const size = recOperandSize(p);
  VALUE[0] = modifyV(p);
  VALUE[1] = R[MEMHI];
  const turns = size === 2 ? count & 63 : size === 1 ? count & 31 : (count & 31) % 17;
  if (turns !== 0) rotate(16 << size, turns, left);
  commitV(p, VALUE[0], VALUE[1]);
}

/** Shifts the 16-bit destination through source and destination again, by 1 to 31. */
function doubleShift16(p: number, count: number, left: boolean): void {
  const destination = modifyV(p) & 0xffff, source = R[2 * recReg(p)] & 0xffff;
  const shift = count > 16 ? count - 16 : count;
  // The pair the last `shift` positions come out of, destination side first.
  const outer = count > 16 ? source : destination, inner = count > 16 ? destination : source;
  let result: number, carry: number;
  if (left) {
    result = ((outer << shift) | (inner >>> (16 - shift))) & 0xffff;
    carry = (outer >>> (16 - shift)) & 1;
  } else {
    result = ((outer >>> shift) | (inner << (16 - shift))) & 0xffff;
    carry = (outer >>> (shift - 1)) & 1;
  }
  commitV(p, result, 0);
  const overflow = left ? (result >>> 15) ^ carry : ((result >>> 15) ^ (result >>> 14)) & 1;
  const extended = signExtend(result, 16);
  setResultFlags(extended, extended, carry | (overflow ? F_OF : 0));
}

function doubleShift(p: number, countByte: number, left: boolean): void {
  const size = recOperandSize(p);
  const count = countByte & (size === 2 ? 63 : 31);
  const lo = modifyV(p), hi = R[MEMHI];
  if (count === 0) {
    commitV(p, lo, hi);
    return;
  }
  if (size === 0) {
    doubleShift16(p, count, left);
    return;
  }
  const reg = 2 * recReg(p);
  let resultLo: number, resultHi: number, carry: number;
  if (size === 1) {
    const source = R[reg];
    // JavaScript shifts by 32 - count with 1 <= count <= 31 are exact.
    resultLo = left ? (lo << count) | (source >>> (32 - count)) : (lo >>> count) | (source << (32 - count));
    carry = left ? (lo >>> (32 - count)) & 1 : (lo >>> (count - 1)) & 1;
    resultHi = resultLo;
  } else {
    // Four words in a row, shifted as one: destination then source (left), or source above destination (right).
    const sourceLo = R[reg], sourceHi = R[reg + 1];
    const bits = count & 31, far = count >= 32;
    if (left) {
      const w2 = far ? lo : hi, w1 = far ? sourceHi : lo, w0 = far ? sourceLo : sourceHi;
      resultHi = bits === 0 ? w2 : (w2 << bits) | (w1 >>> (32 - bits));
      resultLo = bits === 0 ? w1 : (w1 << bits) | (w0 >>> (32 - bits));
      const at = 64 - count;
      carry = ((at >= 32 ? hi : lo) >>> (at & 31)) & 1;
    } else {
      const w0 = far ? hi : lo, w1 = far ? sourceLo : hi, w2 = far ? sourceHi : sourceLo;
      resultLo = bits === 0 ? w0 : (w0 >>> bits) | (w1 << (32 - bits));
      resultHi = bits === 0 ? w1 : (w1 >>> bits) | (w2 << (32 - bits));
      const at = count - 1;
      carry = ((at >= 32 ? hi : lo) >>> (at & 31)) & 1;
    }
  }
  commitV(p, resultLo, resultHi);
  const overflow = left ? (resultHi >>> 31) ^ carry : (resultHi ^ (resultHi << 1)) >>> 31;
  setResultFlags(resultLo, resultHi, carry | (overflow ? F_OF : 0));
}

export const rotateDoubleShiftHandlers: Record<string, Handler> = {
  rclb1: (p) => rotateByte(p, 1, true),
  rcl1: (p) => rotateV(p, 1, true),
  rclbc: (p) => rotateByte(p, R8[CL], true),
  rclc: (p) => rotateV(p, R8[CL], true),
  rclbi: (p) => rotateByte(p, recImmediate(p), true),
  rcli: (p) => rotateV(p, recImmediate(p), true),
  rcrb1: (p) => rotateByte(p, 1, false),
  rcr1: (p) => rotateV(p, 1, false),
  rcrbc: (p) => rotateByte(p, R8[CL], false),
  rcrc: (p) => rotateV(p, R8[CL], false),
  rcrbi: (p) => rotateByte(p, recImmediate(p), false),
  rcri: (p) => rotateV(p, recImmediate(p), false),
  shldi: (p) => doubleShift(p, recImmediate(p), true),
  shldc: (p) => doubleShift(p, R8[CL], true),
  shrdi: (p) => doubleShift(p, recImmediate(p), false),
  shrdc: (p) => doubleShift(p, R8[CL], false),
};
