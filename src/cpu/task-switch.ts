/**
 * Hardware task switches through TSS descriptors and task gates, 16- and 32-bit (SDM 3A chapter 8). Not in IA-32e mode, where they
 * do not exist. In VMX non-root operation every task switch exits, after the checks of the descriptor.
 */
import {
  R, RU, CR0, CR0_PG, CR0_TS, CR3, DR7, EFLAGS, F_NT, F_RF, F_VM, PENDING_DB, RIP, RAX, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL,
  CS, SS, DS, ES, FS, GS, LDTR, TR, AR_P, AR_S, FAULT_ERROR, FAULT_HAS_ERROR, FAULT_KIND, FAULT_VECTOR, X_GP, X_NP, X_TS,
  VMX_MODE, VMX_NON_ROOT,
} from './state';
import { FAULT, FK_EXCEPTION, raiseError } from './fault';
import { getFlags, setFlags } from './flags';
import { endSliceNow } from './clock';
import { beginSupervisor, endSupervisor, loadSys16, loadSys32, probeWrite, storeSys16, storeSys32 } from './mmu/access';
import { updateMode } from './modes';
import { loadCr3ForTask } from './control-registers';
import { deliverEvent, frameFlags, EVENT_EXCEPTION } from './interrupts';
import { startResumeFlag } from './resume-flag';
import {
  DESC, SYS_LDT, SYS_TSS, SYS_TSS16, SYS_TSS16_BUSY, SYS_TSS_BUSY, TYPE_CODE, TYPE_CONFORMING, checkDataSegment, checkStackSegment,
  descriptorBase, descriptorLimit, descriptorRights, isNull, markAccessed, markBusy, readDescriptor, setNullSegment, setSegmentFromDescriptor,
  setVirtual8086Segment,
} from './segments';
import { interceptTaskSwitch } from '../vmx/intercepts';

/** What initiates the switch, in the coding of the exit qualification (SDM 3C table 28-2). */
export const SOURCE_CALL = 0, SOURCE_IRET = 1, SOURCE_JMP = 2, SOURCE_GATE = 3;

/** Progress of the task switch: TASK[TASK_COMMITTED] is 1 once faults belong to the new task. */
export const TASK = new Int32Array(1);
export const TASK_COMMITTED = 0;

/** Descriptor conditions that a task's T flag raises before its first instruction (DR6.BT). */
const DB_TASK_SWITCH = 0x8000;

// Offsets in a 32-bit TSS (figure 8-2) and a 16-bit TSS (figure 8-10).
const T32_CR3 = 0x1c, T32_EIP = 0x20, T32_EFLAGS = 0x24, T32_REGISTERS = 0x28, T32_SEGMENTS = 0x48, T32_LDT = 0x60, T32_TRAP = 0x64;
const T16_IP = 0x0e, T16_FLAGS = 0x10, T16_REGISTERS = 0x12, T16_SEGMENTS = 0x22, T16_LDT = 0x2a;
const T32_LIMIT = 0x67, T16_LIMIT = 0x2b;

/** The new task's image: EIP, EFLAGS, eight registers, ES CS SS DS FS GS, LDT, CR3, trap flag. */
const NEW = new Int32Array(20);
const N_EIP = 0, N_EFLAGS = 1, N_REGISTERS = 2, N_SEGMENTS = 10, N_LDT = 16, N_CR3 = 17, N_TRAP = 18;

/** Operand size of pushes onto the new task's stack by the event that switched to it: 0 for a 16-bit TSS, 1 for a 32-bit one. */
export function taskOperandSize(): number {
  return (R[SEG_AR + TR] & 8) >> 3;
}

/**
 * Switches to the task of TSS selector `selector`; RIP words hold the old task's return address. Returns false when a VM exit took its place.
 * Raises faults: of the old task until TASK_COMMITTED is set, of the new one (whose RIP is then in place) afterwards.
 */
export function taskSwitch(selector: number, source: number): boolean {
  TASK[TASK_COMMITTED] = 0;
  const code = selector & 0xfffc;
  const vector = source === SOURCE_IRET ? X_TS : X_GP;
  if (selector & 4 || code === 0) raiseError(vector, code);
  readDescriptor(selector, vector);
  const type = descriptorRights() & 0x1f;
  const available = source !== SOURCE_IRET;
  if (available ? type !== SYS_TSS && type !== SYS_TSS16 : type !== SYS_TSS_BUSY && type !== SYS_TSS16_BUSY) raiseError(vector, code);
  if ((descriptorRights() & AR_P) === 0) raiseError(X_NP, code);
  const is32 = (type & 8) !== 0;
  if (descriptorLimit() >>> 0 < (is32 ? T32_LIMIT : T16_LIMIT)) raiseError(X_TS, code);
  if (R[VMX_MODE] === VMX_NON_ROOT && interceptTaskSwitch(selector, source)) return false;

  const newBase = descriptorBase();
  readTask(newBase, is32);
  const oldIs32 = (R[SEG_AR + TR] & 8) !== 0, oldBase = R[SEG_BASE + 2 * TR], oldSelector = R[SEG_SEL + TR];
  const nested = source === SOURCE_CALL || source === SOURCE_GATE;
  const saved = beginSupervisor();
  probeWrite(oldBase, 0, oldIs32 ? T32_SEGMENTS + 24 : T16_SEGMENTS + 8);
  if (nested) probeWrite(newBase, 0, 2);
  endSupervisor(saved);

  const newLo = DESC[0], newHi = DESC[1];
  // As in the frame of a gate (RF included); an instruction that switches tasks has ended the effect of RF.
  let oldFlags = source === SOURCE_GATE ? frameFlags() : getFlags() & ~F_RF;
  if (!nested) setOldTaskAvailable(oldSelector);
  if (source === SOURCE_IRET) oldFlags &= ~F_NT;
  saveTask(oldBase, oldIs32, oldFlags);
  if (nested) {
    storeSys16(newBase, 0, oldSelector);
    NEW[N_EFLAGS] |= F_NT;
  }
  readDescriptor(selector, vector);
  if (source !== SOURCE_IRET) markBusy(true);
  else {
    DESC[0] = newLo;
    DESC[1] = newHi;
  }
  setSegmentFromDescriptor(TR, selector);
  R[SEG_AR + TR] |= 2;
  R[CR0] |= CR0_TS;
  TASK[TASK_COMMITTED] = 1;
  loadTask(is32);
  return true;
}

/** A task switch asked for by an instruction: faults of the new task are delivered there, with its own RIP. */
export function taskSwitchByInstruction(selector: number, source: number): void {
  try {
    taskSwitch(selector, source);
  } catch (thrown) {
    if (thrown !== FAULT || TASK[TASK_COMMITTED] === 0 || R[FAULT_KIND] !== FK_EXCEPTION) throw thrown;
    updateMode();
    deliverEvent(EVENT_EXCEPTION, R[FAULT_VECTOR], R[FAULT_HAS_ERROR] !== 0, R[FAULT_ERROR], 0);
  }
}

function readTask(base: number, is32: boolean): void {
  if (is32) {
    NEW[N_EIP] = loadSys32((base + T32_EIP) | 0, 0);
    NEW[N_EFLAGS] = loadSys32((base + T32_EFLAGS) | 0, 0);
    for (let i = 0; i < 8; i++) NEW[N_REGISTERS + i] = loadSys32((base + T32_REGISTERS + 4 * i) | 0, 0);
    for (let i = 0; i < 6; i++) NEW[N_SEGMENTS + i] = loadSys16((base + T32_SEGMENTS + 4 * i) | 0, 0);
    NEW[N_LDT] = loadSys16((base + T32_LDT) | 0, 0);
    NEW[N_CR3] = loadSys32((base + T32_CR3) | 0, 0);
    NEW[N_TRAP] = loadSys16((base + T32_TRAP) | 0, 0) & 1;
    return;
  }
  NEW[N_EIP] = loadSys16((base + T16_IP) | 0, 0);
  NEW[N_EFLAGS] = loadSys16((base + T16_FLAGS) | 0, 0);
  for (let i = 0; i < 8; i++) NEW[N_REGISTERS + i] = loadSys16((base + T16_REGISTERS + 2 * i) | 0, 0) | (0xffff << 16);
  for (let i = 0; i < 6; i++) NEW[N_SEGMENTS + i] = i < 4 ? loadSys16((base + T16_SEGMENTS + 2 * i) | 0, 0) : 0;
  NEW[N_LDT] = loadSys16((base + T16_LDT) | 0, 0);
  NEW[N_TRAP] = 0;
}

function saveTask(base: number, is32: boolean, flags: number): void {
  if (is32) {
    storeSys32((base + T32_EIP) | 0, 0, R[RIP]);
    storeSys32((base + T32_EFLAGS) | 0, 0, flags);
    for (let i = 0; i < 8; i++) storeSys32((base + T32_REGISTERS + 4 * i) | 0, 0, R[RAX + 2 * i]);
    for (let s = 0; s < 6; s++) storeSys16((base + T32_SEGMENTS + 4 * s) | 0, 0, R[SEG_SEL + s]);
    return;
  }
  storeSys16((base + T16_IP) | 0, 0, R[RIP]);
  storeSys16((base + T16_FLAGS) | 0, 0, flags);
  for (let i = 0; i < 8; i++) storeSys16((base + T16_REGISTERS + 2 * i) | 0, 0, R[RAX + 2 * i]);
  for (let s = 0; s < 4; s++) storeSys16((base + T16_SEGMENTS + 2 * s) | 0, 0, R[SEG_SEL + s]);
}

function setOldTaskAvailable(selector: number): void {
  readDescriptor(selector, X_TS);
  markBusy(false);
}

/** Loads the image in NEW: first what cannot fault, then LDTR and the segment registers with their checks (SDM 3A 8.3, steps 10-13). */
function loadTask(is32: boolean): void {
  R[RIP] = NEW[N_EIP];
  R[RIP + 1] = 0;
  setFlags(NEW[N_EFLAGS] & 0x3f7fd7);
  if (R[EFLAGS] & F_RF) startResumeFlag();
  for (let i = 0; i < 8; i++) {
    R[RAX + 2 * i] = NEW[N_REGISTERS + i];
    R[RAX + 2 * i + 1] = 0;
  }
  R[DR7] &= ~0x155;
  const cs = NEW[N_SEGMENTS + CS], cpl = cs & 3;
  setNullSegment(LDTR, NEW[N_LDT]);
  // Where a check fails below, the hidden parts not loaded yet are still the old task's: #TS or #NP then has a stack. CPL is that of CS.
  for (let s = 0; s < 6; s++) R[SEG_SEL + s] = NEW[N_SEGMENTS + s];
  R[SEG_AR + SS] = (R[SEG_AR + SS] & ~0x60) | (cpl << 5);
  if (is32 && R[CR0] & CR0_PG && R[CR3] !== NEW[N_CR3]) loadCr3ForTask(NEW[N_CR3]);
  updateMode();
  if (NEW[N_TRAP]) R[PENDING_DB] |= DB_TASK_SWITCH;
  endSliceNow();

  const ldt = NEW[N_LDT];
  if (!isNull(ldt)) {
    if (ldt & 4) raiseError(X_TS, ldt & 0xfffc);
    readDescriptor(ldt, X_TS);
    if ((descriptorRights() & 0x1f) !== SYS_LDT || (descriptorRights() & AR_P) === 0) raiseError(X_TS, ldt & 0xfffc);
    setSegmentFromDescriptor(LDTR, ldt);
  }
  if (R[EFLAGS] & F_VM) {
    for (let s = 0; s < 6; s++) setVirtual8086Segment(s, NEW[N_SEGMENTS + s]);
    updateMode();
    return;
  }
  loadTaskSegments(cs, cpl);
  if (RU[RIP] > RU[SEG_LIMIT + CS]) raiseError(X_GP, 0);
  R[RSP + 1] = 0;
}

function loadTaskSegments(cs: number, cpl: number): void {
  const code = cs & 0xfffc;
  if (code === 0) raiseError(X_TS, 0);
  readDescriptor(cs, X_TS);
  const ar = descriptorRights(), dpl = (ar >> 5) & 3;
  if ((ar & (AR_S | TYPE_CODE)) !== (AR_S | TYPE_CODE)) raiseError(X_TS, code);
  if (ar & TYPE_CONFORMING ? dpl > cpl : dpl !== cpl) raiseError(X_TS, code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  markAccessed();
  setSegmentFromDescriptor(CS, cs);
  const ss = NEW[N_SEGMENTS + SS];
  checkStackSegment(ss, cpl, X_TS);
  markAccessed();
  setSegmentFromDescriptor(SS, ss);
  updateMode();
  for (const s of [ES, DS, FS, GS]) {
    const selector = NEW[N_SEGMENTS + s];
    if (isNull(selector)) {
      setNullSegment(s, selector);
      continue;
    }
    checkDataSegment(selector, cpl, X_TS);
    markAccessed();
    setSegmentFromDescriptor(s, selector);
  }
  updateMode();
}
