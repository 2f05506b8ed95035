/**
 * x87 control instructions: initialization, control and status words, environment, whole-state save and restore
 * (SDM 1 8.1.10, 8.3.9; SDM 2A FLDENV, FSTENV, FSAVE, FRSTOR).
 *
 * The environment has four layouts: 14 or 28 bytes by operand size, each with a selector:offset form (protected mode) and a
 * 20-bit linear form (real and virtual-8086 mode; SDM 1 figures 8-9 to 8-12).
 */
import {
  R, R16, RAX, LA, FCW, FSW, FTOP, FOP, FIP, FDP, FCS, FDS, FP_MANT, FP_EXP, CR0, CR0_MP, CR0_TS, CR0_PE, EFLAGS, F_VM, X_NM,
} from '../state';
import { recIsMemory, recOperandSize, recRm } from '../record';
import type { Handler } from '../record';
import { memoryAddress } from '../operands';
import { load16, load32, store16, store32 } from '../mmu/access';
import { raise } from '../fault';
import { advance, openOperand } from './memory';
import {
  SW_C1, clearSummary, enterControl, enterWaiting, freeRegister, initializeFpu, noteInstruction, reportPendingError, setControlWord,
  setStatusWord, setTagWord, statusWord, tagWord,
} from './stack';

/** Start of the memory image in use. */
let imageLo = 0, imageHi = 0;

function openImage(p: number, bytes: number, write: boolean): void {
  openOperand(p, bytes, recOperandSize(p) === 0 ? 2 : 4, write);
  imageLo = R[LA];
  imageHi = R[LA + 1];
}

/** A register image, in pieces small enough that its place in the whole image raises no #AC. */
function putRegister(offset: number, n: number): void {
  for (let i = 0; i < 4; i++) put16(offset + 2 * i, R16[2 * (FP_MANT + 2 * n) + i]);
  put16(offset + 8, R[FP_EXP + n]);
}

function getRegister(offset: number, n: number): void {
  for (let i = 0; i < 4; i++) R16[2 * (FP_MANT + 2 * n) + i] = get16(offset + 2 * i);
  R[FP_EXP + n] = get16(offset + 8);
}

function put16(offset: number, value: number): void {
  advance(imageLo, imageHi, offset);
  store16(R[LA], R[LA + 1], value & 0xffff);
}

function put32(offset: number, value: number): void {
  advance(imageLo, imageHi, offset);
  store32(R[LA], R[LA + 1], value);
}

function get16(offset: number): number {
  advance(imageLo, imageHi, offset);
  return load16(R[LA], R[LA + 1]);
}

function get32(offset: number): number {
  advance(imageLo, imageHi, offset);
  return load32(R[LA], R[LA + 1]);
}

function isLinearForm(): boolean {
  return (R[CR0] & CR0_PE) === 0 || (R[EFLAGS] & F_VM) !== 0;
}

function environmentBytes(p: number): number {
  return recOperandSize(p) === 0 ? 14 : 28;
}

function storeEnvironment(wide: boolean): void {
  const linear = isLinearForm();
  const ip = linear ? (R[FIP] + (R[FCS] << 4)) | 0 : R[FIP];
  const dp = linear ? (R[FDP] + (R[FDS] << 4)) | 0 : R[FDP];
  if (wide) {
    put32(0, 0xffff0000 | R[FCW]);
    put32(4, 0xffff0000 | statusWord());
    put32(8, 0xffff0000 | tagWord());
    if (linear) {
      put32(12, 0xffff0000 | (ip & 0xffff));
      put32(16, ((ip >>> 16) << 12) | R[FOP]);
      put32(20, 0xffff0000 | (dp & 0xffff));
      put32(24, (dp >>> 16) << 12);
    } else {
      put32(12, ip);
      put32(16, (R[FCS] & 0xffff) | (R[FOP] << 16));
      put32(20, dp);
      put32(24, 0xffff0000 | (R[FDS] & 0xffff));
    }
    return;
  }
  put16(0, R[FCW]);
  put16(2, statusWord());
  put16(4, tagWord());
  put16(6, ip);
  put16(8, linear ? ((ip >>> 4) & 0xf000) | R[FOP] : R[FCS]);
  put16(10, dp);
  put16(12, linear ? (dp >>> 4) & 0xf000 : R[FDS]);
}

function loadEnvironment(wide: boolean): void {
  const linear = isLinearForm();
  const step = wide ? 4 : 2;
  const control = get16(0), status = get16(step), tags = get16(2 * step);
  R[FIP + 1] = 0;
  R[FDP + 1] = 0;
  if (linear) {
    const selector = wide ? get32(16) : get16(8);
    const dataSelector = wide ? get32(24) : get16(12);
    R[FIP] = get16(3 * step) | ((selector >>> 12) << 16);
    R[FDP] = get16(5 * step) | ((dataSelector >>> 12) << 16);
    R[FOP] = selector & 0x7ff;
    R[FCS] = 0;
    R[FDS] = 0;
  } else if (wide) {
    R[FIP] = get32(12);
    R[FCS] = get16(16);
    R[FOP] = get16(18) & 0x7ff;
    R[FDP] = get32(20);
    R[FDS] = get16(24);
  } else {
    R[FIP] = get16(6);
    R[FCS] = get16(8);
    R[FOP] = 0;
    R[FDP] = get16(10);
    R[FDS] = get16(12);
  }
  setTagWord(tags);
  setControlWord(control);
  setStatusWord(status);
}

function fnstenv(p: number): void {
  enterControl();
  openImage(p, environmentBytes(p), true);
  storeEnvironment(recOperandSize(p) !== 0);
  R[FCW] |= 0x3f;
  clearSummary();
}

function fldenv(p: number): void {
  enterWaiting();
  openImage(p, environmentBytes(p), false);
  loadEnvironment(recOperandSize(p) !== 0);
}

function fnsave(p: number): void {
  enterControl();
  const start = environmentBytes(p);
  openImage(p, start + 80, true);
  storeEnvironment(start === 28);
  for (let i = 0; i < 8; i++) {
    putRegister(start + 10 * i, (R[FTOP] + i) & 7);
  }
  initializeFpu();
}

function frstor(p: number): void {
  enterWaiting();
  const start = environmentBytes(p);
  openImage(p, start + 80, false);
  loadEnvironment(start === 28);
  for (let i = 0; i < 8; i++) {
    getRegister(start + 10 * i, (R[FTOP] + i) & 7);
  }
}

function fninit(): void {
  enterControl();
  initializeFpu();
}

function fnclex(): void {
  enterControl();
  clearSummary();
  R[FSW] &= ~0x7f;
}

function fldcw(p: number): void {
  enterWaiting();
  memoryAddress(p, 2, false);
  setControlWord(load16(R[LA], R[LA + 1]));
}

function fnstcw(p: number): void {
  enterControl();
  memoryAddress(p, 2, true);
  store16(R[LA], R[LA + 1], R[FCW]);
}

function fnstsw(p: number): void {
  enterControl();
  if (!recIsMemory(p)) {
    R16[2 * RAX] = statusWord();
    return;
  }
  memoryAddress(p, 2, true);
  store16(R[LA], R[LA + 1], statusWord());
}

/** FINCSTP, FDECSTP. */
function turn(by: number): Handler {
  return (p) => {
    enterWaiting();
    noteInstruction(p, 1);
    R[FTOP] = (R[FTOP] + by) & 7;
    R[FSW] &= ~SW_C1;
  };
}

function ffree(p: number): void {
  enterWaiting();
  noteInstruction(p, 5);
  R[FSW] &= ~SW_C1;
  freeRegister(recRm(p) & 7);
}

function fnop(p: number): void {
  enterWaiting();
  noteInstruction(p, 1);
}

/** FENI, FDISI, FSETPM of the 8087 and 80287: no operation since the 80387. */
function obsolete(): void {
  enterControl();
}

/** WAIT: #NM only when CR0.MP and CR0.TS are both set. */
function fwait(): void {
  if ((R[CR0] & (CR0_MP | CR0_TS)) === (CR0_MP | CR0_TS)) raise(X_NM);
  reportPendingError();
}

export const controlHandlers: Record<string, Handler> = {
  fninit, fnclex, fldcw, fnstcw, fnstsw, fnstenv, fldenv, fnsave, frstor, ffree, fnop, fwait,
  x87_obsolete: obsolete,
  fincstp: turn(1),
  fdecstp: turn(-1),
};
