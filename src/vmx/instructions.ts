/**
 * The VMX instructions (SDM 3C chapter 31), each with its checks in the order of the SDM: #UD, VM exit in non-root operation, #GP for
 * privilege, faults of the memory operand, then VMfail.
 *
 * Left out: the dual-monitor treatment of SMM.
 */
import { refusalObserver } from '../observe/exit-log';
import {
  R, CODE64, CPL, CR0, CR0_PE, CR4, CR4_VMXE, EFLAGS, F_CF, F_VM, F_ZF, FEATURE_CONTROL, LA, LMA, MEMHI, RAX, RCX, SIG_INIT, SIGNALS, VMX_MODE,
  VMX_NON_ROOT, VMX_OFF, VMX_ROOT,
} from '../cpu/state';
import { endSliceNow } from '../cpu/clock';
import { raiseGp, raiseUd } from '../cpu/fault';
import { setStatusFlags } from '../cpu/flags';
import { load64, store64 } from '../cpu/mmu/access';
import { a20Enabled, physRead32, physRead64, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { updateMode } from '../cpu/modes';
import {
  inveptAll, inveptSingle, invvpidAddress, invvpidAll, invvpidSingle, invvpidSingleRetainingGlobals,
} from '../cpu/mmu/tlb';
import { ep4taOf } from '../cpu/mmu/ept';
import { memoryAddress, readRm32, readRm64, writeRm32, writeRm64 } from '../cpu/operands';
import { recReg } from '../cpu/record';
import type { Handler } from '../cpu/record';
import { FIELD_DIRTY, V, clearVmcs, makeVmcsCurrent, regionRevision, releaseVmcs } from './vmcs';
import * as F from './fields';
import {
  cr0FixedBitsGood, cr4FixedBitsGood, eptOffered, FIELD_WORD, prepareVmx, SHADOW_INDICATOR, VMCS_REVISION, withinPhysicalWidth,
} from './capabilities';
import {
  FUNCTION_EPTP_SWITCHING, PROC_INTERRUPT_WINDOW, PROC_NMI_WINDOW, virtualizationExceptions, vmcsShadowing, vmFunctionsEnabled,
} from './controls';
import { enterGuest } from './entry';
import { eptPointerGood } from './entry-checks-controls';
import { exitForInstruction } from './exit';
import {
  EXIT_REASON_INVEPT, EXIT_REASON_INVVPID, EXIT_REASON_VMCALL, EXIT_REASON_VMCLEAR, EXIT_REASON_VMFUNC, EXIT_REASON_VMLAUNCH, EXIT_REASON_VMPTRLD,
  EXIT_REASON_VMPTRST, EXIT_REASON_VMREAD, EXIT_REASON_VMRESUME, EXIT_REASON_VMWRITE, EXIT_REASON_VMXOFF, EXIT_REASON_VMXON,
} from './exit-reasons';
import { DISPLACEMENT, invalidationInformation, memoryInformation, vmreadInformation } from './instruction-info';
import { CURRENT_VALID, CURRENT_VMCS, DIRTY, DIRTY_CONTROLS, VMXON_POINTER } from './state';
import { bitmapBit } from './intercepts';
import { activateGuestTranslation } from './translation';
import { interruptShadow } from './windows';

// VM-instruction errors (SDM 3C 31.4).
const ERROR_VMCALL_IN_ROOT = 1, ERROR_VMCLEAR_ADDRESS = 2, ERROR_VMCLEAR_VMXON_POINTER = 3, ERROR_VMLAUNCH_NOT_CLEAR = 4;
const ERROR_VMRESUME_NOT_LAUNCHED = 5, ERROR_VMPTRLD_ADDRESS = 9, ERROR_VMPTRLD_VMXON_POINTER = 10, ERROR_VMPTRLD_REVISION = 11;
const ERROR_UNSUPPORTED_FIELD = 12, ERROR_VMXON_IN_ROOT = 15, ERROR_ENTRY_MOV_SS = 26, ERROR_INVALIDATION_OPERAND = 28;

const FEATURE_CONTROL_LOCK = 1, FEATURE_CONTROL_VMXON = 4;
const SHADOW_MOV_SS = 2;

// --- Outcomes (31.2) ---

function vmSucceed(): void {
  setStatusFlags(0);
}

function vmFailInvalid(): void {
  setStatusFlags(F_CF);
}

/** VMfail: with an error number if there is a current VMCS to hold it. */
function vmFail(error: number): void {
  if (R[CURRENT_VALID] === 0) {
    vmFailInvalid();
    return;
  }
  V[F.INSTRUCTION_ERROR] = error;
  setStatusFlags(F_ZF);
}

// --- Common beginnings ---

/** #UD in real, virtual-8086 and compatibility mode. */
function requireMode(): void {
  if ((R[CR0] & CR0_PE) === 0 || R[EFLAGS] & F_VM || (R[LMA] !== 0 && R[CODE64] === 0)) raiseUd();
}

/** Mode and VMX operation; then in non-root operation the VM exit. True = exited. */
function exitsToHost(p: number, reason: number, info: number): boolean {
  return R[VMX_MODE] === VMX_NON_ROOT && exitForInstruction(p, reason, DISPLACEMENT[0], DISPLACEMENT[1], info);
}

function requireVmxOperation(): void {
  requireMode();
  if (R[VMX_MODE] === VMX_OFF) raiseUd();
}

function requirePrivilege(): void {
  if (R[CPL] !== 0) raiseGp(0);
}

/** Reads the 64-bit memory operand: low word, high word in R[MEMHI]. */
function readPointer(p: number): number {
  memoryAddress(p, 8, false);
  return load64(R[LA], R[LA + 1]);
}

/** 4 KiB-aligned and within MAXPHYADDR. */
function goodRegionAddress(lo: number, hi: number): boolean {
  return (lo & 0xfff) === 0 && withinPhysicalWidth(hi);
}

function isVmxonPointer(lo: number, hi: number): boolean {
  return R[VMXON_POINTER] === lo && R[VMXON_POINTER + 1] === hi;
}

/** An instruction with a memory pointer operand: checks, exit, and the operand. False = exited; else low word in `pointer[0]`. */
const pointer = new Int32Array(2);

function fetchPointer(p: number, reason: number): boolean {
  requireVmxOperation();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitsToHost(p, reason, memoryInformation(p));
    return false;
  }
  requirePrivilege();
  pointer[0] = readPointer(p);
  pointer[1] = R[MEMHI];
  return true;
}

// --- Entering and leaving VMX operation ---

function vmxon(p: number): void {
  requireMode();
  if ((R[CR4] & CR4_VMXE) === 0) raiseUd();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitsToHost(p, EXIT_REASON_VMXON, memoryInformation(p));
    return;
  }
  requirePrivilege();
  if (R[VMX_MODE] === VMX_ROOT) {
    vmFail(ERROR_VMXON_IN_ROOT);
    return;
  }
  const enabled = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON;
  if (!cr0FixedBitsGood(R[CR0], false) || !cr4FixedBitsGood(R[CR4]) || !a20Enabled() || (R[FEATURE_CONTROL] & enabled) !== enabled) raiseGp(0);
  const lo = readPointer(p), hi = R[MEMHI];
  if (!goodRegionAddress(lo, hi) || regionRevision(lo, hi) !== VMCS_REVISION) {
    vmFailInvalid();
    return;
  }
  prepareVmx();
  R[VMXON_POINTER] = lo;
  R[VMXON_POINTER + 1] = hi;
  R[CURRENT_VALID] = 0;
  R[VMX_MODE] = VMX_ROOT;
  vmSucceed();
}

function vmxoff(p: number): void {
  requireVmxOperation();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitForInstruction(p, EXIT_REASON_VMXOFF, 0, 0, 0);
    return;
  }
  requirePrivilege();
  releaseVmcs();
  R[VMX_MODE] = VMX_OFF;
  // INIT is no longer blocked.
  if (R[SIGNALS] & SIG_INIT) endSliceNow();
  vmSucceed();
}

// --- VMCS pointers ---

function vmclear(p: number): void {
  if (!fetchPointer(p, EXIT_REASON_VMCLEAR)) return;
  const lo = pointer[0], hi = pointer[1];
  if (!goodRegionAddress(lo, hi)) vmFail(ERROR_VMCLEAR_ADDRESS);
  else if (isVmxonPointer(lo, hi)) vmFail(ERROR_VMCLEAR_VMXON_POINTER);
  else {
    clearVmcs(lo, hi);
    vmSucceed();
  }
}

function vmptrld(p: number): void {
  if (!fetchPointer(p, EXIT_REASON_VMPTRLD)) return;
  const lo = pointer[0], hi = pointer[1];
  if (!goodRegionAddress(lo, hi)) vmFail(ERROR_VMPTRLD_ADDRESS);
  else if (isVmxonPointer(lo, hi)) vmFail(ERROR_VMPTRLD_VMXON_POINTER);
  else if ((regionRevision(lo, hi) & ~SHADOW_INDICATOR) !== VMCS_REVISION) vmFail(ERROR_VMPTRLD_REVISION);
  else {
    makeVmcsCurrent(lo, hi);
    vmSucceed();
  }
}

function vmptrst(p: number): void {
  requireVmxOperation();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitsToHost(p, EXIT_REASON_VMPTRST, memoryInformation(p));
    return;
  }
  requirePrivilege();
  memoryAddress(p, 8, true);
  if (R[CURRENT_VALID] !== 0) store64(R[LA], R[LA + 1], R[CURRENT_VMCS], R[CURRENT_VMCS + 1]);
  else store64(R[LA], R[LA + 1], -1, -1);
  vmSucceed();
}

// --- VMCS fields ---

/** Word index of the field that register n of the record names, or -1. */
function fieldOfRegister(n: number): number {
  const encoding = R[2 * n];
  if (encoding >>> 15 !== 0 || (R[CODE64] !== 0 && R[2 * n + 1] !== 0)) return -1;
  return FIELD_WORD[encoding];
}

/** Access to 64 bits at once: 64-bit and natural-width fields by their full encoding. */
function isWide(encoding: number): boolean {
  return (encoding & 0x2001) === 0x2000;
}

/** VMREAD or VMWRITE in a guest works on the shadow VMCS (SDM 3C 25.10): the control is on, and the bitmap has a 0 for the encoding. */
function reachesShadow(p: number, bitmapWord: number): boolean {
  if (!vmcsShadowing()) return false;
  const n = 2 * recReg(p), encoding = R[n];
  return encoding >>> 15 === 0 && (R[CODE64] === 0 || R[n + 1] === 0) && !bitmapBit(bitmapWord, 0, encoding);
}

/** No VMCS to work on: none is current, or the guest's has no shadow. */
function lacksVmcs(shadow: boolean): boolean {
  return shadow ? (V[F.VMCS_LINK_POINTER] & V[F.VMCS_LINK_POINTER + 1]) === -1 : R[CURRENT_VALID] === 0;
}

/** Physical address of a word of the shadow VMCS, which is never current and so complete in memory. */
function shadowWordAddress(word: number): number {
  return physicalAddress(V[F.VMCS_LINK_POINTER], V[F.VMCS_LINK_POINTER + 1]) + 4 * word;
}

function vmread(p: number): void {
  requireVmxOperation();
  const shadow = R[VMX_MODE] === VMX_NON_ROOT;
  if (shadow && !reachesShadow(p, F.VMREAD_BITMAP)) {
    exitsToHost(p, EXIT_REASON_VMREAD, vmreadInformation(p));
    return;
  }
  requirePrivilege();
  if (lacksVmcs(shadow)) {
    vmFailInvalid();
    return;
  }
  const n = recReg(p);
  const word = fieldOfRegister(n);
  if (word < 0) {
    vmFail(ERROR_UNSUPPORTED_FIELD);
    return;
  }
  const lo = shadow ? physRead32(shadowWordAddress(word)) : V[word];
  if (R[CODE64] === 0) writeRm32(p, lo);
  else if (!isWide(R[2 * n])) writeRm64(p, lo, 0);
  else writeRm64(p, lo, shadow ? physRead32(shadowWordAddress(word + 1)) : V[word + 1]);
  vmSucceed();
}

/** MSR 485h bit 29: exit-information fields can be written too. */
function vmwrite(p: number): void {
  requireVmxOperation();
  const shadow = R[VMX_MODE] === VMX_NON_ROOT;
  if (shadow && !reachesShadow(p, F.VMWRITE_BITMAP)) {
    exitsToHost(p, EXIT_REASON_VMWRITE, vmreadInformation(p));
    return;
  }
  requirePrivilege();
  if (lacksVmcs(shadow)) {
    vmFailInvalid();
    return;
  }
  let lo: number, hi = 0;
  if (R[CODE64] !== 0) {
    lo = readRm64(p);
    hi = R[MEMHI];
  } else lo = readRm32(p);
  const n = recReg(p), encoding = R[2 * n];
  const word = fieldOfRegister(n);
  if (word < 0) vmFail(ERROR_UNSUPPORTED_FIELD);
  else {
    const value = (encoding & 0x6000) === 0 ? lo & 0xffff : lo;
    if (shadow) {
      physWrite32(shadowWordAddress(word), value);
      if (isWide(encoding)) physWrite32(shadowWordAddress(word + 1), hi);
    } else writeField(word, encoding, value, hi);
    vmSucceed();
  }
}

function writeField(word: number, encoding: number, value: number, hi: number): void {
  const wide = isWide(encoding);
  const changed = V[word] ^ value;
  if (changed === 0 && (!wide || V[word + 1] === hi)) return;
  V[word] = value;
  if (wide) V[word + 1] = hi;
  // Opening and closing the windows is the one frequent change of controls; nothing but the controls' own checks depends on it.
  const onlyWindows = word === F.PROCESSOR_CONTROLS && (changed & ~(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW)) === 0;
  R[DIRTY] |= onlyWindows ? DIRTY_CONTROLS : FIELD_DIRTY[word];
}

// --- Entry ---

/** VMLAUNCH or VMRESUME fails; error 0: there is no current VMCS. */
function refuse(error: number): void {
  if (refusalObserver !== null) refusalObserver(error);
  if (error === 0) vmFailInvalid();
  else vmFail(error);
}

function enter(p: number, reason: number): void {
  requireVmxOperation();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitForInstruction(p, reason, 0, 0, 0);
    return;
  }
  requirePrivilege();
  if (R[CURRENT_VALID] === 0 || V[F.REGION_REVISION] & SHADOW_INDICATOR) {
    refuse(0);
    return;
  }
  if (interruptShadow() === SHADOW_MOV_SS) {
    refuse(ERROR_ENTRY_MOV_SS);
    return;
  }
  const launched = V[F.REGION_LAUNCHED] !== 0;
  if (reason === EXIT_REASON_VMLAUNCH ? launched : !launched) {
    refuse(launched ? ERROR_VMLAUNCH_NOT_CLEAR : ERROR_VMRESUME_NOT_LAUNCHED);
    return;
  }
  const error = enterGuest();
  if (error !== 0) refuse(error);
}

/** Unlike the other VMX instructions, VMCALL exits from a guest in any mode. */
function vmcall(p: number): void {
  if (R[VMX_MODE] === VMX_OFF) raiseUd();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitForInstruction(p, EXIT_REASON_VMCALL, 0, 0, 0);
    return;
  }
  requireMode();
  requirePrivilege();
  vmFail(ERROR_VMCALL_IN_ROOT);
}

// --- Invalidation ---

/** The 128-bit descriptor: [0], [1] first quadword, [2], [3] second. */
const descriptor = new Int32Array(4);

/** Checks and exit of INVEPT and INVVPID, and the type (4 for any larger one): -1 if the instruction exited. */
function fetchInvalidationType(p: number, reason: number): number {
  requireVmxOperation();
  if (!eptOffered()) raiseUd();
  if (R[VMX_MODE] === VMX_NON_ROOT) {
    exitsToHost(p, reason, invalidationInformation(p));
    return -1;
  }
  requirePrivilege();
  const n = 2 * recReg(p);
  // No type reaches bit 31, so any other value can stand for one that is too large.
  return R[n] >>> 0 > 3 || (R[CODE64] !== 0 && R[n + 1] !== 0) ? 4 : R[n];
}

/** Reads the descriptor, which happens only once the type is known to be good. */
function fetchDescriptor(p: number): void {
  memoryAddress(p, 16, false);
  const lo = R[LA], hi = R[LA + 1], second = (lo + 8) | 0;
  descriptor[0] = load64(lo, hi);
  descriptor[1] = R[MEMHI];
  descriptor[2] = load64(second, second >>> 0 < lo >>> 0 ? (hi + 1) | 0 : hi);
  descriptor[3] = R[MEMHI];
}

function invept(p: number): void {
  const type = fetchInvalidationType(p, EXIT_REASON_INVEPT);
  if (type < 0) return;
  if (type !== 1 && type !== 2) {
    vmFail(ERROR_INVALIDATION_OPERAND);
    return;
  }
  fetchDescriptor(p);
  if (type === 2) inveptAll();
  else if (eptPointerGood(descriptor[0], descriptor[1])) inveptSingle(ep4taOf(descriptor[0], descriptor[1]));
  else {
    vmFail(ERROR_INVALIDATION_OPERAND);
    return;
  }
  vmSucceed();
}

function invvpid(p: number): void {
  const type = fetchInvalidationType(p, EXIT_REASON_INVVPID);
  if (type < 0) return;
  if (type > 3) {
    vmFail(ERROR_INVALIDATION_OPERAND);
    return;
  }
  fetchDescriptor(p);
  const vpid = descriptor[0] & 0xffff;
  const top = descriptor[3] >> 15;
  const reservedClear = descriptor[0] >>> 16 === 0 && descriptor[1] === 0;
  if (!reservedClear || (type !== 2 && vpid === 0) || (type === 0 && top !== 0 && top !== -1)) {
    vmFail(ERROR_INVALIDATION_OPERAND);
    return;
  }
  switch (type) {
    case 0: invvpidAddress(vpid, descriptor[2], descriptor[3]); break;
    case 1: invvpidSingle(vpid); break;
    case 2: invvpidAll(); break;
    default: invvpidSingleRetainingGlobals(vpid); break;
  }
  vmSucceed();
}

// --- VM functions (26.5.5) ---

const EPTP_LIST_ENTRIES = 512;

/** EPTP switching: false if entry `index` of the list is not an EPT pointer that VM entry would accept. */
function switchEptp(index: number): boolean {
  if (index >= EPTP_LIST_ENTRIES) return false;
  const lo = physRead64(physicalAddress(V[F.EPTP_LIST_ADDRESS], V[F.EPTP_LIST_ADDRESS + 1]) + 8 * index), hi = R[MEMHI];
  if (!eptPointerGood(lo, hi)) return false;
  V[F.EPT_POINTER] = lo;
  V[F.EPT_POINTER + 1] = hi;
  if (virtualizationExceptions()) V[F.EPTP_INDEX] = index;
  activateGuestTranslation();
  updateMode();
  return true;
}

/** VMFUNC works at any privilege, in guests only; there cannot be more than 64 functions. */
function vmfunc(p: number): void {
  if (R[VMX_MODE] !== VMX_NON_ROOT || !vmFunctionsEnabled() || R[RAX] >>> 0 > 63) raiseUd();
  const switching = R[RAX] === 0 && (V[F.FUNCTION_CONTROLS] & FUNCTION_EPTP_SWITCHING) !== 0;
  if (!switching || !switchEptp(R[RCX] >>> 0)) exitForInstruction(p, EXIT_REASON_VMFUNC, 0, 0, 0);
}

/** Handlers by the keys of opcodes/vmx.ts. All of them end their block. */
export const vmxHandlers: Record<string, Handler> = {
  vmxon,
  vmxoff,
  vmclear,
  vmptrld,
  vmptrst,
  vmread,
  vmwrite,
  vmlaunch: (p) => enter(p, EXIT_REASON_VMLAUNCH),
  vmresume: (p) => enter(p, EXIT_REASON_VMRESUME),
  vmcall,
  invept,
  invvpid,
  vmfunc,
};
