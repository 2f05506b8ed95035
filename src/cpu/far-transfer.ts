/**
 * Far CALL, JMP, RET and IRET in every mode, with call gates, task gates and privilege changes (SDM vol 2 CALL, JMP, RET, IRET; 3A 5.8).
 *
 * All run with RIP at the next instruction. Left out: CET shadow stacks.
 */
import {
  R, RU, CODE64, CPL, CR0, CR0_PE, CR4, CR4_VME, EFLAGS, F_IF, F_NT, F_RF, F_STATUS, F_TF, F_VIF, F_VIP, F_VM, F_AC, F_DF, F_ID, LMA, MEMHI, NMI_BLOCKED,
  RIP, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SIGNALS, CS, SS, ES, DS, FS, GS, TR, AR_DB, AR_L, AR_P, AR_S, X_GP, X_NP, X_TS, VMX_MODE, VMX_NON_ROOT,
} from './state';
import { raiseError, raiseGp } from './fault';
import { endSliceNow } from './clock';
import { loadSys16 } from './mmu/access';
import { updateMode } from './modes';
import { V86_RETURN_FLAGS, iopl, iretFlags, writeFlags } from './rflags';
import {
  commitFrame, frameOnCurrentStack, frameOnLinear, frameOnSegment, framePop, framePush, frameSkip, peekV,
} from './stack';
import {
  DESC, SYS_CALL, SYS_CALL16, SYS_TASK_GATE, SYS_TSS, SYS_TSS16, TYPE_CODE, TYPE_CONFORMING, checkStackSegment, descriptorBase,
  descriptorLimit, descriptorRights, dropPrivilegedSegments, isCanonical, isNull, isVirtual8086, markAccessed, readDescriptor,
  readDescriptorUpperHalf, setNullSegment, setRealModeSegment, setSegment, setSegmentFromDescriptor, setVirtual8086Segment,
} from './segments';
import { INNER, readInnerStack, readInnerStack64 } from './tss';
import { SOURCE_CALL, SOURCE_IRET, SOURCE_JMP, taskSwitchByInstruction } from './task-switch';
import { nmiUnblockedByIret } from '../vmx/intercepts';

/** A checked code segment on its way into CS: base, limit, access rights. */
const TARGET = new Int32Array(3);

/** Sets the accessed bit of the code descriptor in DESC and keeps it as the target, so that DESC can be used for the stack. */
function keepTarget(): void {
  markAccessed();
  TARGET[0] = descriptorBase();
  TARGET[1] = descriptorLimit();
  TARGET[2] = descriptorRights();
}

function loadTarget(selector: number, cpl: number): void {
  setSegment(CS, (selector & 0xfffc) | cpl, TARGET[0], TARGET[1], TARGET[2]);
}

/** #GP(0) unless the offset can be executed in the code segment in DESC: canonical for 64-bit code, within the limit otherwise. */
function checkOffset(lo: number, hi: number): void {
  if (R[LMA] !== 0 && descriptorRights() & AR_L) {
    if (!isCanonical(hi)) raiseGp(0);
  } else if (hi !== 0 || lo >>> 0 > descriptorLimit() >>> 0) raiseGp(0);
}

/** In IA-32e mode a code segment with both L and D is invalid. */
function checkCodeSize(ar: number, code: number): void {
  if (R[LMA] !== 0 && (ar & (AR_L | AR_DB)) === (AR_L | AR_DB)) raiseGp(code);
}

/** RIP from an offset of operand size 0, 1 or 2. */
function setRip(operandSize: number, lo: number, hi: number): void {
  R[RIP] = operandSize === 0 ? lo & 0xffff : lo;
  R[RIP + 1] = operandSize === 2 ? hi : 0;
}

/** Loads CS in real or virtual-8086 mode. */
function load8086Cs(selector: number): void {
  if (R[CR0] & CR0_PE) setVirtual8086Segment(CS, selector);
  else setRealModeSegment(CS, selector);
  updateMode();
}

// --- CALL and JMP ---

/** Far CALL (isCall) or JMP to selector:offset with operand size 0, 1 or 2. */
export function farTransfer(selector: number, offsetLo: number, offsetHi: number, operandSize: number, isCall: boolean): void {
  const lo = operandSize === 0 ? offsetLo & 0xffff : offsetLo, hi = operandSize === 2 ? offsetHi : 0;
  if ((R[CR0] & CR0_PE) === 0 || isVirtual8086()) {
    if (lo >>> 0 > RU[SEG_LIMIT + CS]) raiseGp(0);
    if (isCall) {
      frameOnCurrentStack();
      pushReturnAddress(operandSize);
      commitFrame();
    }
    setRip(operandSize, lo, 0);
    load8086Cs(selector);
    return;
  }
  if (isNull(selector)) raiseGp(0);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), code = selector & 0xfffc;
  if ((ar & AR_S) === 0) {
    throughSystemDescriptor(selector, ar, isCall);
    return;
  }
  const cpl = R[CPL], dpl = (ar >> 5) & 3;
  if ((ar & TYPE_CODE) === 0) raiseGp(code);
  if (ar & TYPE_CONFORMING ? dpl > cpl : (selector & 3) > cpl || dpl !== cpl) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  checkCodeSize(ar, code);
  checkOffset(lo, hi);
  keepTarget();
  if (isCall) {
    frameOnCurrentStack();
    pushReturnAddress(operandSize);
    commitFrame();
  }
  loadTarget(selector, cpl);
  setRip(operandSize, lo, hi);
  updateMode();
}

function pushReturnAddress(operandSize: number): void {
  framePush(operandSize, R[SEG_SEL + CS], 0);
  framePush(operandSize, R[RIP], R[RIP + 1]);
}

function throughSystemDescriptor(selector: number, ar: number, isCall: boolean): void {
  const code = selector & 0xfffc, dpl = (ar >> 5) & 3, type = ar & 15;
  const isGate = type === SYS_CALL || (R[LMA] === 0 && (type === SYS_CALL16 || type === SYS_TASK_GATE));
  const isTss = R[LMA] === 0 && (type === SYS_TSS || type === SYS_TSS16);
  if (!isGate && !isTss) raiseGp(code);
  if (dpl < R[CPL] || (selector & 3) > dpl) raiseGp(code);
  if (isTss) {
    taskSwitchByInstruction(selector, isCall ? SOURCE_CALL : SOURCE_JMP);
    return;
  }
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  if (type === SYS_TASK_GATE) taskSwitchByInstruction(DESC[0] >>> 16, isCall ? SOURCE_CALL : SOURCE_JMP);
  else if (R[LMA] !== 0) throughCallGate64(selector, isCall);
  else throughCallGate(type === SYS_CALL ? 1 : 0, isCall);
}

/** Reads and checks the code segment a call gate names; true when the call goes to an inner ring. */
function checkGateTarget(selector: number, isCall: boolean): boolean {
  const code = selector & 0xfffc;
  if (code === 0) raiseGp(0);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), dpl = (ar >> 5) & 3, cpl = R[CPL];
  if ((ar & (AR_S | TYPE_CODE)) !== (AR_S | TYPE_CODE) || dpl > cpl) raiseGp(code);
  if (!isCall && (ar & TYPE_CONFORMING) === 0 && dpl !== cpl) raiseGp(code);
  if (R[LMA] !== 0 && (ar & (AR_L | AR_DB)) !== AR_L) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  return isCall && (ar & TYPE_CONFORMING) === 0 && dpl < cpl;
}

/** Legacy call gate in DESC; size 0 = 16-bit, 1 = 32-bit. */
function throughCallGate(size: number, isCall: boolean): void {
  const selector = DESC[0] >>> 16, count = DESC[1] & 31;
  const offset = size === 0 ? DESC[0] & 0xffff : (DESC[0] & 0xffff) | (DESC[1] & 0xffff0000);
  const inner = checkGateTarget(selector, isCall);
  checkOffset(offset, 0);
  keepTarget();
  const dpl = (TARGET[2] >> 5) & 3, cpl = inner ? dpl : R[CPL];
  if (inner) {
    readInnerStack(dpl);
    const ss = INNER[2];
    if (isNull(ss)) raiseError(X_TS, 0);
    checkStackSegment(ss, dpl, X_TS);
    markAccessed();
    frameOnSegment(descriptorBase(), descriptorLimit(), descriptorRights(), INNER[0], false, ss & 0xfffc);
    framePush(size, R[SEG_SEL + SS], 0);
    framePush(size, R[RSP], 0);
    for (let i = count - 1; i >= 0; i--) framePush(size, peekV(size, i * (2 << size)), 0);
    pushReturnAddress(size);
    setSegmentFromDescriptor(SS, ss);
    commitFrame();
  } else if (isCall) {
    frameOnCurrentStack();
    pushReturnAddress(size);
    commitFrame();
  }
  loadTarget(selector, cpl);
  setRip(size, offset, 0);
  updateMode();
}

/** 64-bit call gate in DESC. */
function throughCallGate64(gate: number, isCall: boolean): void {
  readDescriptorUpperHalf(gate, X_GP);
  const selector = DESC[0] >>> 16;
  const lo = (DESC[0] & 0xffff) | (DESC[1] & 0xffff0000), hi = DESC[2];
  const inner = checkGateTarget(selector, isCall);
  checkOffset(lo, hi);
  keepTarget();
  const dpl = (TARGET[2] >> 5) & 3, cpl = inner ? dpl : R[CPL];
  if (inner) {
    readInnerStack64(dpl);
    frameOnLinear(INNER[0], INNER[1], false);
    framePush(2, R[SEG_SEL + SS], 0);
    framePush(2, R[RSP], R[RSP + 1]);
    pushReturnAddress(2);
    setNullSegment(SS, dpl);
    commitFrame();
  } else if (isCall) {
    frameOnCurrentStack();
    pushReturnAddress(2);
    commitFrame();
  }
  loadTarget(selector, cpl);
  setRip(2, lo, hi);
  updateMode();
}

// --- RET ---

/** Checks the code segment of a far return or IRET to `selector` and leaves it in DESC; raises #GP or #NP. */
function checkReturnTarget(selector: number): void {
  const code = selector & 0xfffc;
  if (code === 0) raiseGp(0);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), rpl = selector & 3, dpl = (ar >> 5) & 3;
  if ((ar & (AR_S | TYPE_CODE)) !== (AR_S | TYPE_CODE) || rpl < R[CPL]) raiseGp(code);
  if (ar & TYPE_CONFORMING ? dpl > rpl : dpl !== rpl) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  checkCodeSize(ar, code);
}

/** Checks SS for a return to privilege `rpl`: null is allowed towards 64-bit code outside ring 3. Descriptor in DESC unless null. */
function checkReturnStack(ss: number, rpl: number): void {
  if (isNull(ss) && R[LMA] !== 0 && TARGET[2] & AR_L && rpl !== 3 && (ss & 3) === rpl) return;
  checkStackSegment(ss, rpl, X_GP);
  markAccessed();
}

/** Loads CS from TARGET, then SS and RSP of the outer ring (or of the same one, for IRET in 64-bit mode). */
function loadReturnStack(ss: number, spLo: number, spHi: number): void {
  if (isNull(ss)) setNullSegment(SS, ss);
  else setSegmentFromDescriptor(SS, ss);
  if (R[LMA] !== 0 && TARGET[2] & AR_L) {
    R[RSP] = spLo;
    R[RSP + 1] = spHi;
  } else if (R[SEG_AR + SS] & AR_DB) {
    R[RSP] = spLo;
    R[RSP + 1] = 0;
  } else R[RSP] = (R[RSP] & 0xffff0000) | (spLo & 0xffff);
}

/** Far RET with operand size 0, 1 or 2, releasing `extra` bytes of parameters. */
export function farReturn(operandSize: number, extra: number): void {
  frameOnCurrentStack();
  const lo = framePop(operandSize), hi = R[MEMHI];
  const selector = framePop(operandSize) & 0xffff;
  if ((R[CR0] & CR0_PE) === 0 || isVirtual8086()) {
    if (lo >>> 0 > RU[SEG_LIMIT + CS]) raiseGp(0);
    frameSkip(extra);
    commitFrame();
    setRip(operandSize, lo, 0);
    load8086Cs(selector);
    return;
  }
  checkReturnTarget(selector);
  checkOffset(lo, hi);
  keepTarget();
  const rpl = selector & 3;
  frameSkip(extra);
  if (rpl === R[CPL]) {
    commitFrame();
    loadTarget(selector, rpl);
    setRip(operandSize, lo, hi);
    updateMode();
    return;
  }
  const spLo = framePop(operandSize), spHi = R[MEMHI];
  const ss = framePop(operandSize) & 0xffff;
  checkReturnStack(ss, rpl);
  const newLo = (spLo + extra) | 0, newHi = (spHi + (newLo >>> 0 < spLo >>> 0 ? 1 : 0)) | 0;
  loadTarget(selector, rpl);
  loadReturnStack(ss, newLo, newHi);
  setRip(operandSize, lo, hi);
  dropPrivilegedSegments(rpl);
  updateMode();
}

// --- IRET ---

/** IRET with operand size 0, 1 or 2. */
export function interruptReturn(operandSize: number): void {
  // Even an IRET that faults ends the blocking of NMIs (SDM 3A 6.7.1).
  if (R[VMX_MODE] === VMX_NON_ROOT) nmiUnblockedByIret();
  else R[NMI_BLOCKED] = 0;
  if ((R[CR0] & CR0_PE) === 0) returnIn8086(operandSize, iretFlags(operandSize));
  else if (R[EFLAGS] & F_VM) returnInVirtual8086(operandSize);
  else if (R[EFLAGS] & F_NT) {
    if (R[LMA] !== 0) raiseGp(0);
    const link = loadSys16(R[SEG_BASE + 2 * TR], 0);
    taskSwitchByInstruction(link, SOURCE_IRET);
  } else returnInProtectedMode(operandSize);
  if (R[SIGNALS] !== 0) endSliceNow();
}

function returnIn8086(operandSize: number, flagMask: number): void {
  frameOnCurrentStack();
  const ip = framePop(operandSize);
  const selector = framePop(operandSize) & 0xffff;
  const flags = framePop(operandSize);
  if (ip >>> 0 > RU[SEG_LIMIT + CS]) raiseGp(0);
  commitFrame();
  setRip(operandSize, ip, 0);
  load8086Cs(selector);
  writeFlags(flags, flagMask);
}

function returnInVirtual8086(operandSize: number): void {
  const always = F_STATUS | F_TF | F_DF | F_NT | F_AC | F_ID | F_RF;
  const narrow = operandSize === 0 ? 0xffff : -1;
  if (iopl() === 3) {
    returnIn8086(operandSize, (always | F_IF) & narrow);
    return;
  }
  if (operandSize !== 0 || (R[CR4] & CR4_VME) === 0) raiseGp(0);
  // Virtual-8086 mode extensions: IF of the image goes to VIF (SDM 3A 20.3.3.4).
  frameOnCurrentStack();
  frameSkip(4);
  const flags = framePop(0);
  if ((flags & F_IF && R[EFLAGS] & F_VIP) || flags & F_TF) raiseGp(0);
  returnIn8086(0, always & narrow);
  if (flags & F_IF) R[EFLAGS] |= F_VIF;
  else R[EFLAGS] &= ~F_VIF;
}

function returnInProtectedMode(operandSize: number): void {
  frameOnCurrentStack();
  const lo = framePop(operandSize), hi = R[MEMHI];
  const selector = framePop(operandSize) & 0xffff;
  const flags = framePop(operandSize);
  const cpl = R[CPL];
  if (operandSize === 1 && flags & F_VM && cpl === 0 && R[LMA] === 0) {
    returnToVirtual8086(lo, selector, flags);
    return;
  }
  checkReturnTarget(selector);
  checkOffset(lo, hi);
  keepTarget();
  const rpl = selector & 3;
  const flagMask = iretFlags(operandSize);
  if (rpl === cpl && R[CODE64] === 0) {
    commitFrame();
    loadTarget(selector, rpl);
    setRip(operandSize, lo, hi);
    updateMode();
    writeFlags(flags, flagMask);
    return;
  }
  const spLo = framePop(operandSize), spHi = R[MEMHI];
  const ss = framePop(operandSize) & 0xffff;
  checkReturnStack(ss, rpl);
  loadTarget(selector, rpl);
  loadReturnStack(ss, spLo, spHi);
  setRip(operandSize, lo, hi);
  if (rpl !== cpl) dropPrivilegedSegments(rpl);
  updateMode();
  writeFlags(flags, flagMask);
}

/** IRETD at ring 0 with VM = 1 in the image (SDM 3A 20.2.4). */
function returnToVirtual8086(ip: number, cs: number, flags: number): void {
  const esp = framePop(1);
  const ss = framePop(1) & 0xffff, es = framePop(1) & 0xffff, ds = framePop(1) & 0xffff, fs = framePop(1) & 0xffff, gs = framePop(1) & 0xffff;
  if (ip >>> 0 > 0xffff) raiseGp(0);
  writeFlags(flags, V86_RETURN_FLAGS);
  setVirtual8086Segment(CS, cs);
  setVirtual8086Segment(SS, ss);
  setVirtual8086Segment(ES, es);
  setVirtual8086Segment(DS, ds);
  setVirtual8086Segment(FS, fs);
  setVirtual8086Segment(GS, gs);
  R[RSP] = esp;
  R[RSP + 1] = 0;
  setRip(1, ip, 0);
  updateMode();
}
