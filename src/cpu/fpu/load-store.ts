/**
 * x87 data movement: loads, stores, constants, exchange and conditional moves (SDM 1 8.3.3, SDM 2A).
 */
import { R, LA, MEMHI, FCW, FP_EXP, FP_MANT, FTOP, FSW } from '../state';
import { recRm } from '../record';
import type { Handler } from '../record';
import { memoryAddress } from '../operands';
import { load16, load64, store16, store32, store64 } from '../mmu/access';
import { condition } from '../flags';
import {
  W, A, Z, FLAGS, DENORMAL_SOURCE, FE_INVALID, PC_64, CONTROL, isSignalingNan, roundPack, setIndefinite, setNumber,
} from './float80';
import { expandBcd, expandInt64, narrowToFloat32, narrowToFloat64, toBcd, toInteger } from './convert';
import { loadI16, loadI32, loadM32, loadM64 } from './arithmetic';
import { advance, openOperand } from './memory';
import {
  SW_C1, beginArithmetic, checkRoom, enterWaiting, freeRegister, isEmpty, loadRegister, noteInstruction, noteMemoryInstruction, pop,
  postExceptions, postStoreExceptions, push, stackUnderflow, storeRegister,
} from './stack';

const QUIET_BIT = 0x40000000;

// --- Loads ---

/** FLD of a float32 or float64: a signaling NaN is quieted, a denormal noted. */
function loadFloat(opcode: number, load: (p: number, slot: number) => void): Handler {
  return (p) => {
    enterWaiting();
    load(p, A);
    noteMemoryInstruction(p, opcode);
    if (!checkRoom()) return;
    W[FLAGS] = W[DENORMAL_SOURCE];
    if (isSignalingNan(A)) {
      W[FLAGS] = FE_INVALID;
      W[A + 1] |= QUIET_BIT;
    }
    // An unmasked denormal is reported, but loaded all the same.
    if (postExceptions() || (W[FLAGS] & FE_INVALID) === 0) push(A);
  };
}

/** FILD of 16 and 32 bits: exact. */
function loadInteger(opcode: number, load: (p: number, slot: number) => void): Handler {
  return (p) => {
    enterWaiting();
    load(p, A);
    noteMemoryInstruction(p, opcode);
    if (!checkRoom()) return;
    R[FSW] &= ~SW_C1;
    push(A);
  };
}

function loadI64(p: number, slot: number): void {
  memoryAddress(p, 8, false);
  const lo = load64(R[LA], R[LA + 1]);
  expandInt64(lo, R[MEMHI], slot);
}

/** Ten bytes of memory as three words in work operand `slot`. */
function loadTenBytes(p: number, slot: number): void {
  memoryAddress(p, 10, false);
  const lo = R[LA], hi = R[LA + 1];
  W[slot] = load64(lo, hi);
  W[slot + 1] = R[MEMHI];
  advance(lo, hi, 8);
  W[slot + 2] = load16(R[LA], R[LA + 1]);
}

function loadBcd(p: number, slot: number): void {
  loadTenBytes(p, slot);
  expandBcd(W[slot], W[slot + 1], W[slot + 2], slot);
}

/** FLD ST(i). */
function fldRegister(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  const i = recRm(p) & 7;
  if (isEmpty(i)) {
    if (stackUnderflow()) push(Z);
    return;
  }
  if (!checkRoom()) return;
  R[FSW] &= ~SW_C1;
  loadRegister(i, A);
  push(A);
}

/** Constants, rounded by the rounding control: sign|exponent, high, low, and the bits below. */
function constant(exponent: number, hi: number, lo: number, below: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    if (!checkRoom()) return;
    R[FSW] &= ~SW_C1;
    W[CONTROL] = R[FCW];
    if (exponent === 0) setNumber(Z, 0, 0, 0);
    else roundPack(0, exponent, hi | 0, lo | 0, below | 0, PC_64);
    push(Z);
  };
}

// --- Stores ---

/** Takes ST(0) into A and prepares; with ST(0) empty, A is the indefinite and the fault is posted. False when nothing may be stored. */
function beginStore(): boolean {
  if (!isEmpty(0)) {
    loadRegister(0, A);
    beginArithmetic();
    return true;
  }
  beginArithmetic();
  if (!stackUnderflow()) return false;
  setIndefinite(A);
  return true;
}

function storeM32(p: number, pops: boolean, opcode: number): void {
  enterWaiting();
  openOperand(p, 4, 4, true);
  noteMemoryInstruction(p, opcode);
  const empty = isEmpty(0);
  if (!beginStore()) return;
  const bits = narrowToFloat32();
  if (!empty && !postStoreExceptions()) return;
  store32(R[LA], R[LA + 1], bits);
  if (pops) pop();
}

function storeM64(p: number, pops: boolean, opcode: number): void {
  enterWaiting();
  openOperand(p, 8, 8, true);
  noteMemoryInstruction(p, opcode);
  const empty = isEmpty(0);
  if (!beginStore()) return;
  const lo = narrowToFloat64();
  if (!empty && !postStoreExceptions()) return;
  store64(R[LA], R[LA + 1], lo, W[Z + 1]);
  if (pops) pop();
}

function storeInteger(opcode: number, bits: number, pops: boolean, truncate: boolean): Handler {
  return (p) => {
    enterWaiting();
    openOperand(p, bits >> 3, bits >> 3, true);
    noteMemoryInstruction(p, opcode);
    const empty = isEmpty(0);
    if (!beginStore()) return;
    toInteger(bits, truncate);
    if (!empty && !postStoreExceptions()) return;
    if (bits === 16) store16(R[LA], R[LA + 1], W[Z] & 0xffff);
    else if (bits === 32) store32(R[LA], R[LA + 1], W[Z]);
    else store64(R[LA], R[LA + 1], W[Z], W[Z + 1]);
    if (pops) pop();
  };
}

/** Writes the ten bytes of work operand `slot` at (lo, hi), which is known to be writable. */
export function storeTenBytes(lo: number, hi: number, slot: number): void {
  store64(lo, hi, W[slot], W[slot + 1]);
  advance(lo, hi, 8);
  store16(R[LA], R[LA + 1], W[slot + 2] & 0xffff);
}

function fstpM80(p: number): void {
  enterWaiting();
  openOperand(p, 10, 8, true);
  const lo = R[LA], hi = R[LA + 1];
  noteMemoryInstruction(p, 3);
  const empty = isEmpty(0);
  if (!beginStore()) return;
  if (!empty) R[FSW] &= ~SW_C1;
  storeTenBytes(lo, hi, A);
  pop();
}

function fbstp(p: number): void {
  enterWaiting();
  openOperand(p, 10, 8, true);
  const lo = R[LA], hi = R[LA + 1];
  noteMemoryInstruction(p, 7);
  const empty = isEmpty(0);
  if (!beginStore()) return;
  toBcd();
  if (!empty && !postStoreExceptions()) return;
  storeTenBytes(lo, hi, Z);
  pop();
}

/** FST ST(i), FSTP ST(i). */
function storeToRegister(opcode: number, pops: boolean): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    if (isEmpty(0)) {
      if (!stackUnderflow()) return;
      storeRegister(i, Z);
    } else {
      R[FSW] &= ~SW_C1;
      loadRegister(0, A);
      storeRegister(i, A);
    }
    if (pops) pop();
  };
}

/** FSTP ST(i) by D9 D8+i, known as FSTPNCE: an empty ST(0) is no fault, it is popped and nothing stored. */
function fstpnce(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  R[FSW] &= ~SW_C1;
  if (!isEmpty(0)) {
    loadRegister(0, A);
    storeRegister(recRm(p) & 7, A);
  }
  pop();
}

// --- Exchange and conditional move ---

function fxch(opcode: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    if (isEmpty(0) || isEmpty(i)) {
      if (!stackUnderflow()) return;
      const topEmpty = isEmpty(0), otherEmpty = isEmpty(i);
      if (topEmpty) storeRegister(0, Z);
      if (otherEmpty) storeRegister(i, Z);
    } else R[FSW] &= ~SW_C1;
    const a = R[FTOP], b = (R[FTOP] + i) & 7;
    const lo = R[FP_MANT + 2 * a], hi = R[FP_MANT + 2 * a + 1], exp = R[FP_EXP + a];
    R[FP_MANT + 2 * a] = R[FP_MANT + 2 * b];
    R[FP_MANT + 2 * a + 1] = R[FP_MANT + 2 * b + 1];
    R[FP_EXP + a] = R[FP_EXP + b];
    R[FP_MANT + 2 * b] = lo;
    R[FP_MANT + 2 * b + 1] = hi;
    R[FP_EXP + b] = exp;
  };
}

/** FCMOVcc; `code`: the condition in Jcc coding. */
function conditionalMove(opcode: number, code: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    if (isEmpty(0) || isEmpty(i)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    if (condition(code) === 0) return;
    loadRegister(i, A);
    storeRegister(0, A);
  };
}

/** FFREEP: frees ST(i) and pops. */
function ffreep(p: number): void {
  enterWaiting();
  noteInstruction(p, 7);
  R[FSW] &= ~SW_C1;
  freeRegister(recRm(p) & 7);
  pop();
}

export const loadStoreHandlers: Record<string, Handler> = {
  fld_m32: loadFloat(1, loadM32),
  fld_m64: loadFloat(5, loadM64),
  fld_m80: loadInteger(3, loadTenBytes),
  fld_sti: fldRegister,
  fild_i16: loadInteger(7, loadI16),
  fild_i32: loadInteger(3, loadI32),
  fild_i64: loadInteger(7, loadI64),
  fbld: loadInteger(7, loadBcd),
  fld1: constant(0x3fff, 0x80000000, 0, 0),
  fldl2t: constant(0x4000, 0xd49a784b, 0xcd1b8afe, 0x492bf6ff),
  fldl2e: constant(0x3fff, 0xb8aa3b29, 0x5c17f0bb, 0xbe87fed0),
  fldpi: constant(0x4000, 0xc90fdaa2, 0x2168c234, 0xc4c6628b),
  fldlg2: constant(0x3ffd, 0x9a209a84, 0xfbcff798, 0x8f8959ac),
  fldln2: constant(0x3ffe, 0xb17217f7, 0xd1cf79ab, 0xc9e3b398),
  fldz: constant(0, 0, 0, 0),
  fst_m32: (p) => storeM32(p, false, 1),
  fstp_m32: (p) => storeM32(p, true, 1),
  fst_m64: (p) => storeM64(p, false, 5),
  fstp_m64: (p) => storeM64(p, true, 5),
  fstp_m80: fstpM80,
  fst_sti: storeToRegister(5, false),
  fstp_sti: storeToRegister(5, true),
  fstpnce,
  fist_i16: storeInteger(7, 16, false, false),
  fist_i32: storeInteger(3, 32, false, false),
  fistp_i16: storeInteger(7, 16, true, false),
  fistp_i32: storeInteger(3, 32, true, false),
  fistp_i64: storeInteger(7, 64, true, false),
  fisttp_i16: storeInteger(7, 16, true, true),
  fisttp_i32: storeInteger(3, 32, true, true),
  fisttp_i64: storeInteger(5, 64, true, true),
  fbstp,
  fxch: fxch(1),
  fcmovb: conditionalMove(2, 2),
  fcmove: conditionalMove(2, 4),
  fcmovbe: conditionalMove(2, 6),
  fcmovu: conditionalMove(2, 10),
  fcmovnb: conditionalMove(3, 3),
  fcmovne: conditionalMove(3, 5),
  fcmovnbe: conditionalMove(3, 7),
  fcmovnu: conditionalMove(3, 11),
  ffreep,
};
