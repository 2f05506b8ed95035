/**
 * SYSCALL SYSRET SYSENTER SYSEXIT, the software interrupts INT n INT3 INT1 INTO, IRET, and far CALL JMP RET (SDM vol 2).
 */
import {
  R, CODE64, CPL, CR0, CR0_PE, EFER, EFER_SCE, EFLAGS, F_IF, F_RF, F_VM, FMASK, LA, LMA, LSTAR, MEMHI, RIP, RSP, RCX, RDX, CS, SS, STAR, R11Q,
  SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, X_BP, X_DB, X_OF,
} from '../state';
import type { Handler } from '../record';
import { recImmediate, recImmediateHigh, recLength, recOperandSize } from '../record';
import { raiseGp, raiseUd } from '../fault';
import { getFlags, getOf } from '../flags';
import { farReturn, farTransfer, interruptReturn } from '../far-transfer';
import {
  deliverEvent, EVENT_PRIVILEGED_SOFTWARE, EVENT_SOFTWARE_EXCEPTION, EVENT_SOFTWARE_INTERRUPT,
} from '../interrupts';
import { load16, load32, load64 } from '../mmu/access';
import { updateMode } from '../modes';
import { memoryAddress } from '../operands';
import { writeFlags } from '../rflags';
import { isCanonical, isNull, setSegment } from '../segments';
import { requireCpl0 } from './privilege';

// Access rights that the fast system calls give CS and SS: flat, present, accessed.
const CODE64_RING0 = 0xa09b, CODE32_RING0 = 0xc09b, DATA_RING0 = 0xc093;
const CODE64_RING3 = 0xa0fb, CODE32_RING3 = 0xc0fb, DATA_RING3 = 0xc0f3;
const FLAT_LIMIT = -1;

/** CS and SS as a fast system call sets them: CS from `selector` with the given rights, SS from `stack`. */
function setFastSegments(selector: number, codeRights: number, stack: number, dataRights: number): void {
  setSegment(CS, selector & 0xffff, 0, FLAT_LIMIT, codeRights);
  setSegment(SS, stack & 0xffff, 0, FLAT_LIMIT, dataRights);
}

function setRip(lo: number, hi: number): void {
  R[RIP] = lo;
  R[RIP + 1] = hi;
}

function syscall(): void {
  // On Intel CPUs SYSCALL exists in 64-bit mode only.
  if (R[CODE64] === 0 || (R[EFER] & EFER_SCE) === 0) raiseUd();
  const flags = getFlags() & ~F_RF;
  R[RCX] = R[RIP];
  R[RCX + 1] = R[RIP + 1];
  R[R11Q] = flags;
  R[R11Q + 1] = 0;
  setRip(R[LSTAR], R[LSTAR + 1]);
  const selector = R[STAR + 1] & 0xfffc;
  setFastSegments(selector, CODE64_RING0, selector + 8, DATA_RING0);
  writeFlags(flags & ~R[FMASK], -1);
  updateMode();
}

/** RFLAGS bits that SYSRET takes from R11. */
const SYSRET_FLAGS = 0x3c7fd7;

function sysret(p: number): void {
  if (R[CODE64] === 0 || (R[EFER] & EFER_SCE) === 0) raiseUd();
  requireCpl0();
  const base = (R[STAR + 1] >>> 16) | 3;
  if (recOperandSize(p) === 2) {
    // Raised while still in ring 0, on the user's stack pointer: what real Intel CPUs do.
    if (!isCanonical(R[RCX + 1])) raiseGp(0);
    setRip(R[RCX], R[RCX + 1]);
    setFastSegments((base + 16) | 3, CODE64_RING3, (base + 8) | 3, DATA_RING3);
  } else {
    setRip(R[RCX], 0);
    setFastSegments(base, CODE32_RING3, (base + 8) | 3, DATA_RING3);
  }
  writeFlags(R[R11Q] & SYSRET_FLAGS, -1);
  updateMode();
}

function sysenter(): void {
  if ((R[CR0] & CR0_PE) === 0 || isNull(R[SYSENTER_CS])) raiseGp(0);
  const selector = R[SYSENTER_CS] & 0xfffc, long = R[LMA] !== 0;
  R[EFLAGS] &= ~(F_VM | F_IF | F_RF);
  R[RSP] = R[SYSENTER_ESP];
  R[RSP + 1] = long ? R[SYSENTER_ESP + 1] : 0;
  setRip(R[SYSENTER_EIP], long ? R[SYSENTER_EIP + 1] : 0);
  setFastSegments(selector, long ? CODE64_RING0 : CODE32_RING0, selector + 8, DATA_RING0);
  updateMode();
}

function sysexit(p: number): void {
  if ((R[CR0] & CR0_PE) === 0 || R[CPL] !== 0 || isNull(R[SYSENTER_CS])) raiseGp(0);
  const base = R[SYSENTER_CS] & 0xfffc;
  if (recOperandSize(p) === 2) {
    if (!isCanonical(R[RDX + 1]) || !isCanonical(R[RCX + 1])) raiseGp(0);
    setRip(R[RDX], R[RDX + 1]);
    R[RSP] = R[RCX];
    R[RSP + 1] = R[RCX + 1];
    setFastSegments((base + 32) | 3, CODE64_RING3, (base + 40) | 3, DATA_RING3);
  } else {
    setRip(R[RDX], 0);
    R[RSP] = R[RCX];
    R[RSP + 1] = 0;
    setFastSegments((base + 16) | 3, CODE32_RING3, (base + 24) | 3, DATA_RING3);
  }
  updateMode();
}

// --- Software interrupts ---

function int(p: number): void {
  deliverEvent(EVENT_SOFTWARE_INTERRUPT, recImmediate(p) & 0xff, false, 0, recLength(p));
}

function int3(p: number): void {
  deliverEvent(EVENT_SOFTWARE_EXCEPTION, X_BP, false, 0, recLength(p));
}

function int1(p: number): void {
  deliverEvent(EVENT_PRIVILEGED_SOFTWARE, X_DB, false, 0, recLength(p));
}

function into(p: number): void {
  if (getOf()) deliverEvent(EVENT_SOFTWARE_EXCEPTION, X_OF, false, 0, recLength(p));
}

// --- Far transfers ---

/** Far CALL and JMP to the pointer in the instruction. */
function direct(isCall: boolean): Handler {
  return (p) => farTransfer(recImmediateHigh(p) & 0xffff, recImmediate(p), 0, recOperandSize(p), isCall);
}

/** Far CALL and JMP through a pointer in memory. */
function indirect(isCall: boolean): Handler {
  return (p) => {
    const size = recOperandSize(p), bytes = 2 << size;
    memoryAddress(p, bytes + 2, false);
    const lo = R[LA], hi = R[LA + 1];
    const offsetLo = size === 2 ? load64(lo, hi) : size === 1 ? load32(lo, hi) : load16(lo, hi);
    const offsetHi = size === 2 ? R[MEMHI] : 0;
    const at = (lo + bytes) | 0;
    farTransfer(load16(at, (hi + (at >>> 0 < lo >>> 0 ? 1 : 0)) | 0), offsetLo, offsetHi, size, isCall);
  };
}

export const callHandlers: Record<string, Handler> = {
  syscall, sysret, sysenter, sysexit, int, int3, int1, into,
  iret: (p) => interruptReturn(recOperandSize(p)),
  retf: (p) => farReturn(recOperandSize(p), 0),
  retfi: (p) => farReturn(recOperandSize(p), recImmediate(p) & 0xffff),
  callfar: direct(true), jmpfar: direct(false), callfarm: indirect(true), jmpfarm: indirect(false),
};
