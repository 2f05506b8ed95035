/**
 * Delivery of interrupts and exceptions (SDM 3A chapter 6; real mode 20.1.4; virtual-8086 20.2, 20.3; IA-32e 6.14), with nested
 * faults, double and triple fault, and the hooks of VMX non-root operation (SDM 3C 26.2, 28.2).
 *
 * Left out: CET shadow stacks, user interrupts, FRED.
 */
import {
  R, RU, ACTIVITY, INHIBIT, CPL, CR0, CR0_PE, CR4, CR4_VME, CODE64, LMA, EFLAGS, F_AC, F_IF, F_IOPL, F_NT, F_RF, F_TF, F_VIF, F_VM, IDTR_BASE,
  IDTR_LIMIT, RIP, RSP, NMI_BLOCKED, PENDING_DB, DR6, DR7, DEBUGCTL, MEMHI, SEG_LIMIT, SEG_SEL, CS, DS, ES, FS, GS, SS,
  FAULT_KIND, FAULT_VECTOR, FAULT_ERROR, FAULT_HAS_ERROR, VMX_MODE, VMX_NON_ROOT,
  AR_P, AR_S, AR_L, AR_DB, X_DB, X_DF, X_DE, X_GP, X_MC, X_NP, X_PF, X_TS, X_VE,
} from './state';
import { FAULT, FK_DONE, FK_EXCEPTION, FK_VM_EXIT, commitCr2, raiseError, raiseGp } from './fault';
import { getFlags } from './flags';
import { load32, loadSys32, loadSys64 } from './mmu/access';
import { updateMode } from './modes';
import { platform } from './platform';
import { settleResumeFlag } from './resume-flag';
import { iopl } from './rflags';
import {
  alignFrame16, commitFrame, frameOnCurrentStack, frameOnLinear, frameOnSegment, framePush, pushV,
} from './stack';
import {
  SYS_INT, SYS_INT16, SYS_TASK_GATE, SYS_TRAP, SYS_TRAP16, TYPE_CODE, TYPE_CONFORMING, checkStackSegment, descriptorBase,
  descriptorLimit, descriptorRights, isCanonical, isNull, isVirtual8086, markAccessed, readDescriptor, setNullSegment, setRealModeSegment,
  setSegment, setSegmentFromDescriptor, setVirtual8086Segment,
} from './segments';
import { INNER, interruptRedirectionBit, istSlot, readInnerStack, readInnerStack64 } from './tss';
import { SOURCE_GATE, TASK, TASK_COMMITTED, taskOperandSize, taskSwitch } from './task-switch';
import {
  endDelivery, interceptException, interceptTripleFault, noteDelivery, performPendingExit,
} from '../vmx/intercepts';

/** Event types in the coding of VMX interruption information (SDM 3C table 25-15). */
export const EVENT_EXTERNAL = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFTWARE_INTERRUPT = 4;
export const EVENT_PRIVILEGED_SOFTWARE = 5, EVENT_SOFTWARE_EXCEPTION = 6;

/** DR6-shaped condition bits: access to debug registers detected, single step, task switch. */
export const DB_GENERAL_DETECT = 0x2000, DB_SINGLE_STEP = 0x4000, DB_TASK_SWITCH = 0x8000;

/** DR6: the breakpoints met (replaced by each #DB), and all conditions that #DB reports. */
const DR6_TRIGGERS = 0xf, DR6_CONDITIONS = 0xe00f;

/** DR7.GD: access to debug registers raises #DB. */
export const DR7_GD = 0x2000;

const VIRTUAL_8086_DATA = [ES, DS, FS, GS];

/** RFLAGS as the frame of the delivery in progress shows it. */
const IMAGE = new Int32Array(1);

/** RFLAGS as the event being delivered saves it. */
export function frameFlags(): number {
  return IMAGE[0];
}

// --- Double faults (SDM 3A table 6-5) ---

function isContributory(vector: number): boolean {
  return vector === X_DE || hasSelectorError(vector);
}

/** Exceptions whose error code is a selector index with the EXT bit. */
function hasSelectorError(vector: number): boolean {
  return vector >= X_TS && vector <= X_GP;
}

/** True when `second`, raised while exception `first` was being delivered, makes a double fault. */
function makesDoubleFault(first: number, second: number): boolean {
  if (isContributory(first)) return isContributory(second);
  return (first === X_PF || first === X_VE) && (isContributory(second) || second === X_PF);
}

// --- The outer loop ---

/**
 * Delivers an event through the IDT (or the real-mode table) and returns with RIP at the handler. `type` is EVENT_*; RIP words hold the start of the
 * instruction for faults, the next instruction for traps and software events, whose length is given. Completes whatever follows: nested
 * faults, double and triple fault, VM exits. Never throws guest faults. An `injected` event (VM entry) is not itself subject to the
 * exception bitmap and leaves CR2, DR6, RF and NMI blocking to the VM entry.
 */
export function deliverEvent(type: number, vector: number, hasError: boolean, errorCode: number, instructionLength: number, injected = false): void {
  const guest = R[VMX_MODE] === VMX_NON_ROOT;
  // The one #DB that is a fault of an instruction, besides instruction breakpoints.
  const generalDetect = (R[PENDING_DB] & DB_GENERAL_DETECT) !== 0;
  if (!injected) {
    if (guest && type >= EVENT_EXCEPTION && type !== EVENT_SOFTWARE_INTERRUPT
      && interceptException(vector, type, hasError, errorCode, instructionLength)) return;
    beforeDelivery(type, vector);
  }
  let setRf = !injected;
  for (;;) {
    settleResumeFlag();
    IMAGE[0] = getFlags();
    // Faults push RF = 1, so that an instruction breakpoint at the return address is not met twice; software events 0 (SDM 3B 18.3.1.1).
    if (setRf && type === EVENT_EXCEPTION && (vector === X_DB ? generalDetect : vector !== X_DF && vector !== X_MC)) IMAGE[0] |= F_RF;
    else if (!injected && type >= EVENT_SOFTWARE_INTERRUPT) IMAGE[0] &= ~F_RF;
    if (guest) noteDelivery(type, vector, hasError, errorCode, instructionLength, IMAGE[0]);
    R[ACTIVITY] = 0;
    TASK[TASK_COMMITTED] = 0;
    try {
      deliver(type, vector, hasError, errorCode);
      // A task switch may have ended in a VM exit: nothing of this event is left to do then.
      if (guest && R[VMX_MODE] !== VMX_NON_ROOT) return;
      R[INHIBIT] = 0;
      if (type === EVENT_NMI && !injected) R[NMI_BLOCKED] = 1;
      if (guest) endDelivery();
      // A software event is not followed by the single-step trap of its instruction.
      if (type >= EVENT_SOFTWARE_INTERRUPT) R[FAULT_KIND] = FK_DONE;
      return;
    } catch (thrown) {
      if (thrown !== FAULT) throw thrown;
    }
    // A fault in a supervisor access leaves the access privilege at supervisor.
    updateMode();
    // The instruction that asked for a software event will be executed again.
    if (type >= EVENT_SOFTWARE_INTERRUPT && TASK[TASK_COMMITTED] === 0) rewindRip(instructionLength);
    if (R[FAULT_KIND] === FK_VM_EXIT) {
      performPendingExit();
      return;
    }
    if (R[FAULT_KIND] !== FK_EXCEPTION) throw new Error(`fault kind ${R[FAULT_KIND]} during event delivery`);
    const nested = R[FAULT_VECTOR], nestedHasError = R[FAULT_HAS_ERROR] !== 0;
    let nestedError = R[FAULT_ERROR];
    if (type !== EVENT_SOFTWARE_INTERRUPT && type !== EVENT_SOFTWARE_EXCEPTION && hasSelectorError(nested)) nestedError |= 1;
    if (type === EVENT_NMI && !injected) R[NMI_BLOCKED] = 1;
    // The first event is still noted: a VM exit because of the second reports it as vectoring information (SDM 3C 28.2.4).
    if (guest && interceptException(nested, EVENT_EXCEPTION, nestedHasError, nestedError, 0)) return;
    beforeDelivery(EVENT_EXCEPTION, nested);
    if (guest) endDelivery();
    if (type === EVENT_EXCEPTION && vector === X_DF && (isContributory(nested) || nested === X_PF)) {
      tripleFault(nested);
      return;
    }
    if (type === EVENT_EXCEPTION && makesDoubleFault(vector, nested)) {
      vector = X_DF;
      hasError = true;
      errorCode = 0;
      if (guest && interceptException(X_DF, EVENT_EXCEPTION, true, 0, 0)) return;
    } else {
      vector = nested;
      hasError = nestedHasError;
      errorCode = nestedError;
    }
    type = EVENT_EXCEPTION;
    instructionLength = 0;
    setRf = true;
  }
}

/** Delivers the exception that the fault caught by the run loop recorded; RIP words hold the start of the instruction. */
export function handleFault(): void {
  updateMode();
  deliverEvent(EVENT_EXCEPTION, R[FAULT_VECTOR], R[FAULT_HAS_ERROR] !== 0, R[FAULT_ERROR], 0);
}

/** What an exception changes once it is certain that it will not exit: CR2, or DR6 with DR7.GD and the branch controls. */
function beforeDelivery(type: number, vector: number): void {
  if (type !== EVENT_EXCEPTION) {
    // The trap flag's part of what MOV SS held off goes with a software event; breakpoints it met follow in the handler, or join an INT1.
    if (type >= EVENT_SOFTWARE_INTERRUPT) R[PENDING_DB] &= ~DB_SINGLE_STEP;
    if (type === EVENT_PRIVILEGED_SOFTWARE) {
      R[DR6] |= R[PENDING_DB] & DR6_CONDITIONS;
      R[PENDING_DB] = 0;
    }
    return;
  }
  if (vector === X_PF) commitCr2();
  else if (vector === X_DB) {
    R[DR6] = (R[DR6] & ~DR6_TRIGGERS) | (R[PENDING_DB] & DR6_CONDITIONS);
    R[PENDING_DB] = 0;
    R[DR7] &= ~DR7_GD;
    R[DEBUGCTL] &= ~3;
  }
}

/** Moves RIP back by the length of the software-event instruction. */
function rewindRip(length: number): void {
  const lo = R[RIP];
  R[RIP] = lo - length;
  if (RU[RIP] > lo >>> 0 && R[CODE64] !== 0) R[RIP + 1]--;
}

function tripleFault(vector: number): void {
  if (R[VMX_MODE] === VMX_NON_ROOT && interceptTripleFault()) return;
  R[ACTIVITY] = 2;
  const rip = (RU[RIP + 1] * 0x100000000 + RU[RIP]).toString(16);
  platform.shutdown(`triple fault: exception ${vector} while delivering a double fault at rIP ${rip}h`);
}

function deliver(type: number, vector: number, hasError: boolean, errorCode: number): void {
  if ((R[CR0] & CR0_PE) === 0) deliverReal(vector);
  else if (R[LMA] !== 0) deliverLong(type, vector, hasError, errorCode);
  else deliverProtected(type, vector, hasError, errorCode);
}

/** INT n, INT3 and INTO: the gate's DPL is checked against CPL. */
function checksGatePrivilege(type: number): boolean {
  return type === EVENT_SOFTWARE_INTERRUPT || type === EVENT_SOFTWARE_EXCEPTION;
}

// --- Real mode (SDM 3A 20.1.4) ---

function deliverReal(vector: number): void {
  if (4 * vector + 3 > R[IDTR_LIMIT]) raiseGp(8 * vector + 2);
  const entry = loadSys32((R[IDTR_BASE] + 4 * vector) | 0, 0);
  enter8086Handler(entry);
  R[EFLAGS] &= ~(F_IF | F_TF | F_RF | F_AC);
  setRealModeSegment(CS, entry >>> 16);
  updateMode();
}

/** Pushes FLAGS, CS and IP as 16-bit words and points RIP at the offset of a real-mode vector. */
function enter8086Handler(entry: number): void {
  if ((entry & 0xffff) > RU[SEG_LIMIT + CS]) raiseGp(0);
  frameOnCurrentStack();
  framePush(0, IMAGE[0], 0);
  framePush(0, R[SEG_SEL + CS], 0);
  framePush(0, R[RIP], 0);
  commitFrame();
  R[RIP] = entry & 0xffff;
  R[RIP + 1] = 0;
}

// --- Virtual-8086 mode extensions (SDM 3A 20.3.3) ---

/** INT n in virtual-8086 mode: true when it was redirected to the 8086 program's own vector table. */
function redirectInVirtual8086(vector: number): boolean {
  const trusted = iopl() === 3;
  if ((R[CR4] & CR4_VME) === 0 || interruptRedirectionBit(vector) !== 0) {
    if (!trusted) raiseGp(0);
    return false;
  }
  const entry = load32(4 * vector, 0);
  if (!trusted) {
    IMAGE[0] = (IMAGE[0] & ~F_IF) | F_IOPL;
    if (R[EFLAGS] & F_VIF) IMAGE[0] |= F_IF;
  }
  enter8086Handler(entry);
  R[EFLAGS] &= ~(F_TF | F_NT | (trusted ? F_IF : F_VIF));
  setVirtual8086Segment(CS, entry >>> 16);
  updateMode();
  return true;
}

// --- Protected mode (SDM 3A 6.12) ---

function deliverProtected(type: number, vector: number, hasError: boolean, errorCode: number): void {
  if (type === EVENT_SOFTWARE_INTERRUPT && R[EFLAGS] & F_VM && redirectInVirtual8086(vector)) return;
  const idtError = 8 * vector + 2;
  if (8 * vector + 7 > R[IDTR_LIMIT]) raiseGp(idtError);
  const low = loadSys64((R[IDTR_BASE] + 8 * vector) | 0, 0), high = R[MEMHI];
  const kind = (high >>> 8) & 0x1f;
  if (kind !== SYS_TASK_GATE && kind !== SYS_INT && kind !== SYS_TRAP && kind !== SYS_INT16 && kind !== SYS_TRAP16) raiseGp(idtError);
  if (checksGatePrivilege(type) && ((high >>> 13) & 3) < R[CPL]) raiseGp(idtError);
  if ((high & 0x8000) === 0) raiseError(X_NP, idtError);
  const selector = low >>> 16;
  if (kind === SYS_TASK_GATE) {
    if (!taskSwitch(selector, SOURCE_GATE)) return;
    if (hasError) pushV(taskOperandSize(), errorCode, 0);
    return;
  }
  const size = kind >> 3;
  const offset = size === 0 ? low & 0xffff : (low & 0xffff) | (high & 0xffff0000);
  if (isNull(selector)) raiseGp(0);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), dpl = (ar >> 5) & 3, cpl = R[CPL];
  const code = selector & 0xfffc;
  if ((ar & (AR_S | TYPE_CODE)) !== (AR_S | TYPE_CODE) || dpl > cpl) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  const fromVirtual8086 = isVirtual8086();
  const inner = (ar & TYPE_CONFORMING) === 0 && dpl < cpl;
  // Virtual-8086 code can only be interrupted into ring 0.
  if (fromVirtual8086 && (!inner || dpl !== 0)) raiseGp(code);
  if (offset >>> 0 > descriptorLimit() >>> 0) raiseGp(0);
  const limit = descriptorLimit(), base = descriptorBase();
  markAccessed();
  const rights = descriptorRights();
  if (inner) {
    readInnerStack(dpl);
    const ss = INNER[2], esp = INNER[0];
    if ((ss & 0xfffc) === 0) raiseError(X_TS, 0);
    checkStackSegment(ss, dpl, X_TS);
    markAccessed();
    frameOnSegment(descriptorBase(), descriptorLimit(), descriptorRights(), esp, false, ss & 0xfffc);
    if (fromVirtual8086) {
      framePush(size, R[SEG_SEL + GS], 0);
      framePush(size, R[SEG_SEL + FS], 0);
      framePush(size, R[SEG_SEL + DS], 0);
      framePush(size, R[SEG_SEL + ES], 0);
    }
    framePush(size, R[SEG_SEL + SS], 0);
    framePush(size, R[RSP], 0);
    pushReturnFrame(size, hasError, errorCode);
    // Nothing can fault from here on.
    if (fromVirtual8086) for (const s of VIRTUAL_8086_DATA) setNullSegment(s, 0);
    setSegmentFromDescriptor(SS, ss);
  } else {
    frameOnCurrentStack();
    pushReturnFrame(size, hasError, errorCode);
  }
  commitFrame();
  setSegment(CS, (selector & 0xfffc) | (inner ? dpl : cpl), base, limit, rights);
  R[RIP] = offset;
  R[RIP + 1] = 0;
  R[EFLAGS] &= ~(F_TF | F_VM | F_RF | F_NT | (kind === SYS_INT || kind === SYS_INT16 ? F_IF : 0));
  updateMode();
}

function pushReturnFrame(size: number, hasError: boolean, errorCode: number): void {
  framePush(size, IMAGE[0], 0);
  framePush(size, R[SEG_SEL + CS], 0);
  framePush(size, R[RIP], R[RIP + 1]);
  if (hasError) framePush(size, errorCode, 0);
}

// --- IA-32e mode (SDM 3A 6.14) ---

function deliverLong(type: number, vector: number, hasError: boolean, errorCode: number): void {
  const idtError = 8 * vector + 2;
  if (16 * vector + 15 > R[IDTR_LIMIT]) raiseGp(idtError);
  const base = R[IDTR_BASE];
  const at = (base + 16 * vector) | 0;
  const atHigh = (R[IDTR_BASE + 1] + (at >>> 0 < base >>> 0 ? 1 : 0)) | 0;
  const low = loadSys64(at, atHigh), high = R[MEMHI];
  const upper = (at + 8) | 0;
  const offsetHigh = loadSys32(upper, (atHigh + (upper >>> 0 < 8 ? 1 : 0)) | 0);
  const kind = (high >>> 8) & 0x1f;
  if (kind !== SYS_INT && kind !== SYS_TRAP) raiseGp(idtError);
  if (checksGatePrivilege(type) && ((high >>> 13) & 3) < R[CPL]) raiseGp(idtError);
  if ((high & 0x8000) === 0) raiseError(X_NP, idtError);
  const selector = low >>> 16, code = selector & 0xfffc;
  if (code === 0) raiseGp(0);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), dpl = (ar >> 5) & 3, cpl = R[CPL];
  if ((ar & (AR_S | TYPE_CODE | AR_L | AR_DB)) !== (AR_S | TYPE_CODE | AR_L) || dpl > cpl) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  markAccessed();
  const csLimit = descriptorLimit(), csRights = descriptorRights(), csBase = descriptorBase();
  const inner = (ar & TYPE_CONFORMING) === 0 && dpl < cpl;
  const newCpl = inner ? dpl : cpl;
  const ist = high & 7;
  if (ist !== 0) readInnerStack64(istSlot(ist));
  else if (inner) readInnerStack64(dpl);
  else {
    INNER[0] = R[RSP];
    INNER[1] = R[RSP + 1];
  }
  if (!isCanonical(offsetHigh)) raiseGp(0);
  frameOnLinear(INNER[0], INNER[1], newCpl === 3);
  alignFrame16();
  framePush(2, R[SEG_SEL + SS], 0);
  framePush(2, R[RSP], R[RSP + 1]);
  pushReturnFrame(2, hasError, errorCode);
  commitFrame();
  if (inner) setNullSegment(SS, newCpl);
  setSegment(CS, code | newCpl, csBase, csLimit, csRights);
  R[RIP] = (low & 0xffff) | (high & 0xffff0000);
  R[RIP + 1] = offsetHigh;
  R[EFLAGS] &= ~(F_TF | F_VM | F_RF | F_NT | (kind === SYS_INT ? F_IF : 0));
  updateMode();
}
