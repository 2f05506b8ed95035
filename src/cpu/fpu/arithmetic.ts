/**
 * x87 instructions that compute: basic arithmetic, comparison, sign, square root, rounding, remainder, scaling and
 * transcendentals (SDM 1 8.3.5 - 8.3.7, SDM 2A). Handler keys are mnemonic plus operand form: `_m32 _m64 _i16 _i32` memory operand,
 * `_st0` destination ST(0), `_sti` destination ST(i); names ending in p pop.
 */
import { R, LA, MEMHI, FP_EXP, FSW, FTOP, F_CF, F_PF, F_ZF, F_STATUS } from '../state';
import { recRm } from '../record';
import type { Handler } from '../record';
import { memoryAddress } from '../operands';
import { load16, load32, load64 } from '../mmu/access';
import { changeStatusFlags } from '../flags';
import {
  W, A, B, Z, FLAGS, DENORMAL_SOURCE, FE_INVALID, FE_ZERO_DIVIDE, SIGN, BIAS, add, copyNumber, divide, isNan, isUnsupported, multiply,
  setNumber,
} from './float80';
import { EQUAL, GREATER, LESS, compare } from './compare';
import { squareRoot } from './square-root';
import { expandFloat32, expandFloat64, expandInt32 } from './convert';
import { INCOMPLETE, NO_QUOTIENT, QUOTIENT, extract, remainder, roundToIntegral, scale } from './remainder';
import {
  arctangent2, cosineOf, exponentialMinusOne, isOutOfTrigonometricRange, logarithm, logarithmOfOnePlus, sine, tangent,
} from './transcendental';
import {
  SW_C0, SW_C1, SW_C2, SW_C3, SW_RELATION, beginArithmetic, enterWaiting, isEmpty, loadRegister, noteInstruction, noteMemoryInstruction,
  pop, postExceptions, push, stackOverflow, stackUnderflow, storeRegister,
} from './stack';

/** Work operand `slot` = memory operand; R[EAT] and the data registers unchanged so far. */
type MemoryLoad = (p: number, slot: number) => void;

export function loadM32(p: number, slot: number): void {
  memoryAddress(p, 4, false);
  expandFloat32(load32(R[LA], R[LA + 1]), slot);
}

export function loadM64(p: number, slot: number): void {
  memoryAddress(p, 8, false);
  const lo = load64(R[LA], R[LA + 1]);
  expandFloat64(lo, R[MEMHI], slot);
}

export function loadI16(p: number, slot: number): void {
  memoryAddress(p, 2, false);
  const value = load16(R[LA], R[LA + 1]);
  W[DENORMAL_SOURCE] = 0;
  expandInt32((value << 16) >> 16, slot);
}

export function loadI32(p: number, slot: number): void {
  memoryAddress(p, 4, false);
  const value = load32(R[LA], R[LA + 1]);
  W[DENORMAL_SOURCE] = 0;
  expandInt32(value, slot);
}

/** The denormal that a float32 or float64 operand was, unless a NaN, an invalid operation or a zero divide takes precedence. */
function noteDenormalSource(): void {
  if ((W[FLAGS] & (FE_INVALID | FE_ZERO_DIVIDE)) !== 0 || isUnsupported(A) || isNan(A) || isUnsupported(B) || isNan(B)) return;
  W[FLAGS] |= W[DENORMAL_SOURCE];
}

// --- The six basic operations ---

const subtract = (): void => add(SIGN);
const sum = (): void => add(0);

/** ST(0) = ST(0) op memory, or memory op ST(0) when reversed. */
function withMemory(opcode: number, load: MemoryLoad, compute: () => void, reversed: boolean): Handler {
  const memorySlot = reversed ? A : B, registerSlot = reversed ? B : A;
  return (p) => {
    enterWaiting();
    load(p, memorySlot);
    noteMemoryInstruction(p, opcode);
    if (isEmpty(0)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    loadRegister(0, registerSlot);
    beginArithmetic();
    compute();
    if (W[DENORMAL_SOURCE] !== 0) noteDenormalSource();
    if (postExceptions()) storeRegister(0, Z);
  };
}

/** ST(0) = ST(0) op ST(i), or ST(i) op ST(0) when reversed. */
function toTop(compute: () => void, reversed: boolean): Handler {
  const topSlot = reversed ? B : A, otherSlot = reversed ? A : B;
  return (p) => {
    enterWaiting();
    noteInstruction(p, 0);
    const i = recRm(p) & 7;
    if (isEmpty(0) || isEmpty(i)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    loadRegister(0, topSlot);
    loadRegister(i, otherSlot);
    beginArithmetic();
    compute();
    if (postExceptions()) storeRegister(0, Z);
  };
}

/** ST(i) = ST(i) op ST(0), or ST(0) op ST(i) when reversed; perhaps pops. */
function toRegister(opcode: number, compute: () => void, reversed: boolean, pops: boolean): Handler {
  const topSlot = reversed ? A : B, otherSlot = reversed ? B : A;
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    if (isEmpty(0) || isEmpty(i)) {
      if (!stackUnderflow()) return;
    } else {
      loadRegister(0, topSlot);
      loadRegister(i, otherSlot);
      beginArithmetic();
      compute();
      if (!postExceptions()) return;
    }
    storeRegister(i, Z);
    if (pops) pop();
  };
}

function family(name: string, compute: () => void, reversed: boolean): Record<string, Handler> {
  return {
    [`${name}_m32`]: withMemory(0, loadM32, compute, reversed),
    [`${name}_m64`]: withMemory(4, loadM64, compute, reversed),
    [`${name}_i16`]: withMemory(6, loadI16, compute, reversed),
    [`${name}_i32`]: withMemory(2, loadI32, compute, reversed),
    [`${name}_st0`]: toTop(compute, reversed),
    [`${name}_sti`]: toRegister(4, compute, reversed, false),
    [`${name}p`]: toRegister(6, compute, reversed, true),
  };
}

// --- Comparison ---

function relationBits(relation: number): number {
  return relation === GREATER ? 0 : relation === LESS ? SW_C0 : relation === EQUAL ? SW_C3 : SW_RELATION;
}

/** Compares A and B and puts the relation into the status word; true when the instruction takes effect. */
function compareToStatus(quiet: boolean, memory: boolean): boolean {
  beginArithmetic();
  const relation = compare(quiet);
  if (memory && W[DENORMAL_SOURCE] !== 0) noteDenormalSource();
  const effective = postExceptions();
  R[FSW] = (R[FSW] & ~SW_RELATION) | relationBits(relation);
  return effective;
}

/** Stack underflow in a comparison: the operands are unordered. */
function compareEmpty(): boolean {
  const masked = stackUnderflow();
  R[FSW] |= SW_RELATION;
  return masked;
}

function compareMemory(opcode: number, load: MemoryLoad, pops: boolean): Handler {
  return (p) => {
    enterWaiting();
    load(p, B);
    noteMemoryInstruction(p, opcode);
    let effective: boolean;
    if (isEmpty(0)) effective = compareEmpty();
    else {
      loadRegister(0, A);
      effective = compareToStatus(false, true);
    }
    if (effective && pops) pop();
  };
}

function compareRegister(opcode: number, quiet: boolean, pops: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    let effective: boolean;
    if (isEmpty(0) || isEmpty(i)) effective = compareEmpty();
    else {
      loadRegister(0, A);
      loadRegister(i, B);
      effective = compareToStatus(quiet, false);
    }
    if (!effective) return;
    if (pops > 0) pop();
    if (pops > 1) pop();
  };
}

/** FCOMI family: the relation goes to ZF, PF, CF; OF, SF, AF are cleared. */
function compareToFlags(opcode: number, quiet: boolean, pops: boolean): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, opcode);
    const i = recRm(p) & 7;
    let flags = F_ZF | F_PF | F_CF;
    if (isEmpty(0) || isEmpty(i)) {
      if (!stackUnderflow()) return;
    } else {
      loadRegister(0, A);
      loadRegister(i, B);
      beginArithmetic();
      const relation = compare(quiet);
      if (relation === GREATER) flags = 0;
      else if (relation === LESS) flags = F_CF;
      else if (relation === EQUAL) flags = F_ZF;
      if (!postExceptions()) {
        // An unmasked denormal leaves the comparison standing.
        if ((W[FLAGS] & FE_INVALID) === 0) changeStatusFlags(F_STATUS, flags);
        return;
      }
    }
    changeStatusFlags(F_STATUS, flags);
    if (pops) pop();
  };
}

// --- One operand ---

/** ST(0) = f(ST(0)). */
function unary(compute: () => void): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    if (isEmpty(0)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    loadRegister(0, A);
    beginArithmetic();
    compute();
    if (postExceptions()) storeRegister(0, Z);
  };
}

/** FCHS, FABS: sign bit only, no exceptions but stack underflow. */
function changeSign(keep: number, flip: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    if (isEmpty(0)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    R[FSW] &= ~SW_C1;
    R[FP_EXP + R[FTOP]] = (R[FP_EXP + R[FTOP]] & keep) ^ flip;
  };
}

function examine(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  loadRegister(0, A);
  const exp = W[A + 2] & 0x7fff;
  let bits = W[A + 2] & SIGN ? SW_C1 : 0;
  if (isEmpty(0)) bits |= SW_C3 | SW_C0;
  else if (exp === 0) bits |= (W[A] | W[A + 1]) === 0 ? SW_C3 : SW_C3 | SW_C2;
  else if (!isUnsupported(A)) {
    if (exp !== 0x7fff) bits |= SW_C2;
    else bits |= isNan(A) ? SW_C0 : SW_C2 | SW_C0;
  }
  R[FSW] = (R[FSW] & ~(SW_RELATION | SW_C1)) | bits;
}

function ftst(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  if (isEmpty(0)) {
    compareEmpty();
    return;
  }
  loadRegister(0, A);
  setNumber(B, 0, 0, 0);
  compareToStatus(false, false);
}

// --- Two operands, ST(0) and ST(1) ---

function partialRemainder(nearest: boolean): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    R[FSW] &= ~SW_C2;
    if (isEmpty(0) || isEmpty(1)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    loadRegister(0, A);
    loadRegister(1, B);
    beginArithmetic();
    remainder(nearest);
    const quotient = W[QUOTIENT];
    if (!postExceptions()) return;
    storeRegister(0, Z);
    if (quotient === NO_QUOTIENT) return;
    R[FSW] &= ~(SW_RELATION | SW_C1);
    if (quotient === INCOMPLETE) R[FSW] |= SW_C2;
    else R[FSW] |= (quotient & 4 ? SW_C0 : 0) | (quotient & 2 ? SW_C3 : 0) | (quotient & 1 ? SW_C1 : 0);
  };
}

function fscale(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  if (isEmpty(0) || isEmpty(1)) {
    if (stackUnderflow()) storeRegister(0, Z);
    return;
  }
  loadRegister(0, A);
  loadRegister(1, B);
  beginArithmetic();
  scale();
  if (postExceptions()) storeRegister(0, Z);
}

/** ST(1) = f(ST(0), ST(1)), pop; `first`: the slot that takes ST(0). */
function combineAndPop(compute: () => void, first: number): Handler {
  const second = first === A ? B : A;
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    if (isEmpty(0) || isEmpty(1)) {
      if (!stackUnderflow()) return;
    } else {
      loadRegister(0, first);
      loadRegister(1, second);
      beginArithmetic();
      compute();
      if (!postExceptions()) return;
    }
    storeRegister(1, Z);
    pop();
  };
}

// --- One operand, two results ---

/**
 * ST(0) empty or no room for the second result: when masked both become the indefinite. True when there is nothing more to do.
 */
function checkTwoResults(): boolean {
  let masked: boolean;
  if (isEmpty(0)) masked = stackUnderflow();
  else if (!isEmpty(7)) masked = stackOverflow();
  else return false;
  if (masked) {
    storeRegister(0, Z);
    push(Z);
  }
  return true;
}

function fxtract(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  if (checkTwoResults()) return;
  loadRegister(0, A);
  beginArithmetic();
  extract();
  if (!postExceptions()) return;
  storeRegister(0, B);
  push(Z);
}

/** True, and C2 set, when the argument of a trigonometric instruction is out of range. */
function angleTooLarge(): boolean {
  if (!isOutOfTrigonometricRange()) return false;
  R[FSW] = (R[FSW] & ~SW_C1) | SW_C2;
  return true;
}

/** What the trigonometric instructions do first. */
function enterTrigonometric(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
  R[FSW] &= ~SW_C2;
}

function trigonometric(compute: () => void): Handler {
  return (p) => {
    enterTrigonometric(p);
    if (isEmpty(0)) {
      if (stackUnderflow()) storeRegister(0, Z);
      return;
    }
    loadRegister(0, A);
    if (angleTooLarge()) return;
    beginArithmetic();
    compute();
    if (postExceptions()) storeRegister(0, Z);
  };
}

function fptan(p: number): void {
  enterTrigonometric(p);
  if (checkTwoResults()) return;
  loadRegister(0, A);
  if (angleTooLarge()) return;
  const bad = isUnsupported(A) || isNan(A);
  beginArithmetic();
  tangent();
  if (!postExceptions()) return;
  storeRegister(0, Z);
  // An invalid operand gives two NaNs.
  if (!bad && (W[FLAGS] & FE_INVALID) === 0) setNumber(Z, BIAS, 0x80000000 | 0, 0);
  push(Z);
}

function fsincos(p: number): void {
  enterTrigonometric(p);
  if (checkTwoResults()) return;
  loadRegister(0, A);
  if (angleTooLarge()) return;
  beginArithmetic();
  cosineOf();
  copyNumber(Z, B);
  loadRegister(0, A);
  // C1 is that of the last result rounded, the sine.
  W[FLAGS] &= ~SW_C1;
  sine();
  if (!postExceptions()) return;
  storeRegister(0, Z);
  push(B);
}

export const arithmeticHandlers: Record<string, Handler> = {
  ...family('fadd', sum, false),
  ...family('fmul', multiply, false),
  ...family('fsub', subtract, false),
  ...family('fsubr', subtract, true),
  ...family('fdiv', divide, false),
  ...family('fdivr', divide, true),
  fcom_m32: compareMemory(0, loadM32, false),
  fcom_m64: compareMemory(4, loadM64, false),
  fcom_i16: compareMemory(6, loadI16, false),
  fcom_i32: compareMemory(2, loadI32, false),
  fcomp_m32: compareMemory(0, loadM32, true),
  fcomp_m64: compareMemory(4, loadM64, true),
  fcomp_i16: compareMemory(6, loadI16, true),
  fcomp_i32: compareMemory(2, loadI32, true),
  fcom_sti: compareRegister(0, false, 0),
  fcomp_sti: compareRegister(0, false, 1),
  fcompp: compareRegister(6, false, 2),
  fucom: compareRegister(5, true, 0),
  fucomp: compareRegister(5, true, 1),
  fucompp: compareRegister(2, true, 2),
  fcomi: compareToFlags(3, false, false),
  fcomip: compareToFlags(7, false, true),
  fucomi: compareToFlags(3, true, false),
  fucomip: compareToFlags(7, true, true),
  fchs: changeSign(0xffff, SIGN),
  fabs: changeSign(0x7fff, 0),
  ftst,
  fxam: examine,
  fsqrt: unary(squareRoot),
  frndint: unary(roundToIntegral),
  f2xm1: unary(exponentialMinusOne),
  fprem: partialRemainder(false),
  fprem1: partialRemainder(true),
  fscale,
  fxtract,
  fyl2x: combineAndPop(logarithm, A),
  fyl2xp1: combineAndPop(logarithmOfOnePlus, A),
  fpatan: combineAndPop(arctangent2, B),
  fsin: trigonometric(sine),
  fcos: trigonometric(cosineOf),
  fsincos,
  fptan,
};
