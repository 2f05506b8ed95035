/**
 * What every MMX instruction does around its work: availability (#UD, #NM, pending #MF), the change of the x87 state to MMX state,
 * operands (SDM 1 9.2, 9.6; SDM 3A 12.1).
 *
 * MMX register n is the significand of physical x87 register n. Every MMX instruction sets TOP to 0 and all tags valid; writing
 * a register sets its sign and exponent bits to ones.
 */
import {
  R, LA, MEMHI, SCRATCH, CR0, CR0_EM, CR0_TS, FSW, FTOP, FP_EXP, FP_MANT, FP_VALID, X_NM,
} from '../state';
import { recIsMemory, recReg, recRm } from '../record';
import { raise, raiseUd } from '../fault';
import { memoryAddress } from '../operands';
import { load32, load64 } from '../mmu/access';
import { SW_SUMMARY, reportPendingError } from '../fpu/stack';

/** Two scratch words for a memory operand. */
const MEMORY_OPERAND = SCRATCH + 24;

/** Availability checks at entry; nothing changes yet. */
export function checkMmx(): void {
  if ((R[CR0] & (CR0_EM | CR0_TS)) !== 0 || (R[FSW] & SW_SUMMARY) !== 0) unavailable();
}

function unavailable(): void {
  if ((R[CR0] & CR0_EM) !== 0) raiseUd();
  if ((R[CR0] & CR0_TS) !== 0) raise(X_NM);
  reportPendingError();
}

/** The x87 state becomes MMX state; after everything that can fault. */
export function enterMmxState(): void {
  R[FTOP] = 0;
  R[FP_VALID] = 0xff;
}

/** First word of the register in ModRM.reg. */
export function regWord(p: number): number {
  return FP_MANT + 2 * (recReg(p) & 7);
}

/** First word of the register in ModRM.rm. */
export function rmWord(p: number): number {
  return FP_MANT + 2 * (recRm(p) & 7);
}

/** Notes that MMX register ModRM.reg is written: state change, exponent of ones. Returns its first word. */
export function destination(p: number): number {
  enterMmxState();
  R[FP_EXP + (recReg(p) & 7)] = 0xffff;
  return regWord(p);
}

/** The same for ModRM.rm. */
export function rmDestination(p: number): number {
  enterMmxState();
  R[FP_EXP + (recRm(p) & 7)] = 0xffff;
  return rmWord(p);
}

/** Checks, then the 64-bit source operand: first word, in a register or loaded. */
export function source64(p: number): number {
  checkMmx();
  if (!recIsMemory(p)) return rmWord(p);
  memoryAddress(p, 8, false);
  R[MEMORY_OPERAND] = load64(R[LA], R[LA + 1]);
  R[MEMORY_OPERAND + 1] = R[MEMHI];
  return MEMORY_OPERAND;
}

/** Checks, then a source of which only the low 32 bits count (memory form reads 32 bits). */
export function source32(p: number): number {
  checkMmx();
  if (!recIsMemory(p)) return rmWord(p);
  memoryAddress(p, 4, false);
  R[MEMORY_OPERAND] = load32(R[LA], R[LA + 1]);
  return MEMORY_OPERAND;
}
