/**
 * What makes instructions and events of a guest exit (SDM 3C chapter 26): the hooks that instruction families, event delivery and the run
 * loop call in VMX non-root operation (docs/internals.md, "VMX hooks"). Each intercept function that returns true has performed the VM exit:
 * all state is the hypervisor's and the caller returns at once. When it returns false nothing has happened.
 *
 * Left out: the exits of features this CPU does not have (RDRAND, XSAVES, ENCLS, PCONFIG, ...).
 */
import {
  R, ACTIVITY, CPL, CR0, CR0_EM, CR0_MP, CR0_PE, CR0_TS, CR3, CR4, CURP, F_RF, INHIBIT, INHIBIT_AT, LA, NMI_BLOCKED, PENDING_DB, RAX,
  RF64, SIG_INIT, SIG_NMI, SIG_SIPI, SIGNALS, X_DB, X_DF, X_PF,
} from '../cpu/state';
import { clockNow } from '../cpu/clock';
import { PF_ADDRESS } from '../cpu/fault';
import { getFlags } from '../cpu/flags';
import { physRead8, physicalAddress } from '../cpu/mmu/physical';
import { DB_GENERAL_DETECT, EVENT_EXTERNAL, EVENT_NMI } from '../cpu/interrupts';
import { platform } from '../cpu/platform';
import { recLength } from '../cpu/record';
import { settleResumeFlag } from '../cpu/resume-flag';
import { rewindToInstruction } from '../cpu/rip';
import { SOURCE_GATE } from '../cpu/task-switch';
import { ioObserver } from '../observe/exit-log';
import { currentGuest } from '../observe/guests';
import { V } from './vmcs';
import * as F from './fields';
import {
  descriptorTableExiting, externalInterruptExiting, EXIT_ACKNOWLEDGE_INTERRUPT, INFO_HAS_ERROR, INFO_VALID, msrBitmaps, nmiExiting, pauseLoopExiting,
  PROC_CR3_LOAD, PROC_CR3_STORE, PROC_CR8_LOAD, PROC_CR8_STORE, PROC_HLT, PROC_INVLPG, PROC_IO_BITMAPS, PROC_MONITOR, PROC_MOV_DR,
  PROC_MWAIT, PROC_PAUSE, PROC_RDPMC, PROC_RDTSC, PROC_UNCONDITIONAL_IO, PROC2_WBINVD, postedInterrupts, TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI,
  TYPE_SOFTWARE_INTERRUPT, tprShadow,
} from './controls';
import { exitAtBoundary, exitForInstruction, rewindRipBy, vmExit, withNmiUnblocking } from './exit';
import {
  EXIT_REASON_APIC_ACCESS, EXIT_REASON_CR_ACCESS, EXIT_REASON_EPT_MISCONFIG, EXIT_REASON_EPT_VIOLATION, EXIT_REASON_EXCEPTION_NMI, EXIT_REASON_EXTERNAL_INTERRUPT,
  EXIT_REASON_GDTR_IDTR, EXIT_REASON_HLT, EXIT_REASON_INIT, EXIT_REASON_INVLPG, EXIT_REASON_INVPCID, EXIT_REASON_IO, EXIT_REASON_MONITOR, EXIT_REASON_MOV_DR,
  EXIT_REASON_MWAIT, EXIT_REASON_PAUSE, EXIT_REASON_PML_FULL, EXIT_REASON_RDMSR, EXIT_REASON_RDPMC, EXIT_REASON_RDTSC, EXIT_REASON_RDTSCP, EXIT_REASON_RSM,
  EXIT_REASON_SIPI, EXIT_REASON_TASK_SWITCH, EXIT_REASON_TRIPLE_FAULT, EXIT_REASON_WBINVD, EXIT_REASON_WRMSR,
} from './exit-reasons';
import { DISPLACEMENT, gdtrIdtrInformation, invalidationInformation, ldtrTrInformation, stringIoInformation } from './instruction-info';
import { APIC_ACCESS_DELIVERY, APIC_ACCESS_PHYSICAL, APIC_ACCESS_PHYSICAL_DELIVERY, readShadowedTpr, writeShadowedTpr } from './apic-virtualization';
import {
  PROC, PROC2, DELIVERY_ERROR, DELIVERY_FLAGS, DELIVERY_INFO, DELIVERY_LENGTH, PAUSE_AT, PAUSE_LOOP_FROM, PENDING_GUEST_PHYSICAL, PENDING_HAS_LINEAR,
  PENDING_LENGTH, PENDING_LINEAR, PENDING_QUALIFICATION, PENDING_REASON, PENDING_SHADOW,
} from './state';
import { processPostedInterrupts } from './virtual-interrupts';
import { interruptShadow, iretJustUnblockedNmi, noteEventDelivered } from './windows';

export { nmiUnblockedByIret, noteInterruptFlagSet, tscForGuest, tscWordsForGuest, vmxBoundary, vmxTimerDeadline, apicExitAtBoundary } from './windows';
export { addExitObserver, addIoObserver } from '../observe/exit-log';

// --- Instructions (26.1) ---

/** The instruction exits by its control; unconditional ones are the rest. */
function simpleExits(reason: number): boolean {
  const proc = R[PROC];
  switch (reason) {
    case EXIT_REASON_HLT: return (proc & PROC_HLT) !== 0;
    case EXIT_REASON_RDPMC: return (proc & PROC_RDPMC) !== 0;
    case EXIT_REASON_RDTSC: case EXIT_REASON_RDTSCP: return (proc & PROC_RDTSC) !== 0;
    case EXIT_REASON_MWAIT: return (proc & PROC_MWAIT) !== 0;
    case EXIT_REASON_MONITOR: return (proc & PROC_MONITOR) !== 0;
    case EXIT_REASON_WBINVD: return (R[PROC2] & PROC2_WBINVD) !== 0;
    // RSM is #UD outside system-management mode, in a guest too.
    case EXIT_REASON_RSM: return false;
    default: return true;
  }
}

/** Instructions without operands that matter to the exit; `reason` tells which. */
export function interceptSimple(reason: number, p: number): boolean {
  return simpleExits(reason) && exitForInstruction(p, reason, 0, 0, 0);
}

export function interceptInvlpg(linearLo: number, linearHi: number, p: number): boolean {
  return (R[PROC] & PROC_INVLPG) !== 0 && exitForInstruction(p, EXIT_REASON_INVLPG, linearLo, linearHi, 0);
}

export function interceptInvpcid(p: number): boolean {
  if ((R[PROC] & PROC_INVLPG) === 0) return false;
  const info = invalidationInformation(p);
  return exitForInstruction(p, EXIT_REASON_INVPCID, DISPLACEMENT[0], DISPLACEMENT[1], info);
}

/** PAUSE: exits by its control, or in ring 0 when it has been executed in a loop for too long (26.1.3). */
export function interceptPause(p: number): boolean {
  if (R[PROC] & PROC_PAUSE) return exitForInstruction(p, EXIT_REASON_PAUSE, 0, 0, 0);
  if (!pauseLoopExiting() || R[CPL] !== 0) return false;
  const now = clockNow(), previous = RF64[PAUSE_AT >> 1];
  RF64[PAUSE_AT >> 1] = now;
  if (now - previous > V[F.PLE_GAP] >>> 0) {
    RF64[PAUSE_LOOP_FROM >> 1] = now;
    return false;
  }
  return now - RF64[PAUSE_LOOP_FROM >> 1] > V[F.PLE_WINDOW] >>> 0 && exitForInstruction(p, EXIT_REASON_PAUSE, 0, 0, 0);
}

/** A bit of a bitmap in memory whose page address is the field at `word`. */
export function bitmapBit(word: number, byteOffset: number, bit: number): boolean {
  const base = physicalAddress(V[word], V[word + 1]);
  return ((physRead8(base + byteOffset + (bit >>> 3)) >> (bit & 7)) & 1) !== 0;
}

/** RDMSR and WRMSR of MSR `index` (26.1.3). */
export function interceptMsr(index: number, isWrite: boolean, p: number): boolean {
  if (msrBitmaps()) {
    const number = index & 0x1fff, top = index & ~0x1fff;
    const offset = (isWrite ? 2048 : 0) + (top === 0 ? 0 : 1024);
    if ((top === 0 || top === (0xc0000000 | 0)) && !bitmapBit(F.MSR_BITMAP, offset, number)) return false;
  }
  return exitForInstruction(p, isWrite ? EXIT_REASON_WRMSR : EXIT_REASON_RDMSR, 0, 0, 0);
}

/** The I/O bitmaps name one of the ports, or the access runs past port FFFFh (26.1.3). */
function ioBitmapHit(port: number, size: number): boolean {
  if (port + size > 0x10000) return true;
  for (let n = port; n < port + size; n++) {
    if (n < 0x8000 ? bitmapBit(F.IO_BITMAP_A, 0, n) : bitmapBit(F.IO_BITMAP_B, 0, n - 0x8000)) return true;
  }
  return false;
}

/** IN, OUT, INS, OUTS; string forms have the linear address of the memory operand in R[LA]. Called once per iteration of a repeated one. */
export function interceptIo(
  port: number, size: number, isIn: boolean, isString: boolean, isRep: boolean, isImmediate: boolean, p: number,
): boolean {
  const proc = R[PROC];
  if (proc & PROC_IO_BITMAPS ? !ioBitmapHit(port, size) : (proc & PROC_UNCONDITIONAL_IO) === 0) return false;
  const qualification = (size - 1) | (isIn ? 8 : 0) | (isString ? 16 : 0) | (isRep ? 32 : 0) | (isImmediate ? 64 : 0) | (port << 16);
  let info = 0;
  if (isString) {
    info = stringIoInformation(p, isIn);
    V[F.GUEST_LINEAR_ADDRESS] = R[LA];
    V[F.GUEST_LINEAR_ADDRESS + 1] = R[LA + 1];
  }
  if (ioObserver !== null) {
    const value = isString ? R[LA] : size === 4 ? R[RAX] : R[RAX] & (size === 2 ? 0xffff : 0xff);
    ioObserver(currentGuest()?.id ?? 0, port, size, isIn, value, isString, isRep);
  }
  return exitForInstruction(p, EXIT_REASON_IO, qualification, 0, info);
}

// --- Control registers (26.1.3, 26.3) ---

/** What MOV to CR leaves for the caller to write: low and high word. */
const crWriteValue = new Int32Array(2);

export function crWriteValueLo(): number { return crWriteValue[0]; }
export function crWriteValueHi(): number { return crWriteValue[1]; }

const ACCESS_MOV_TO = 0, ACCESS_MOV_FROM = 1 << 4, ACCESS_CLTS = 2 << 4, ACCESS_LMSW = 3 << 4, LMSW_MEMORY = 1 << 6;

function exitForCr(p: number, qualification: number): boolean {
  return exitForInstruction(p, EXIT_REASON_CR_ACCESS, qualification, 0, 0);
}

/** The value is one of the CR3-target values in use. */
function isCr3Target(lo: number, hi: number): boolean {
  const count = V[F.CR3_TARGET_COUNT];
  for (let n = 0; n < count; n++) {
    if (V[F.CR3_TARGET0 + 2 * n] === lo && V[F.CR3_TARGET0 + 2 * n + 1] === hi) return true;
  }
  return false;
}

/** A masked bit would get another value than the read shadow shows. */
function maskedBitChanges(maskWord: number, shadowWord: number, lo: number, hi: number): boolean {
  return ((lo ^ V[shadowWord]) & V[maskWord]) !== 0 || ((hi ^ V[shadowWord + 1]) & V[maskWord + 1]) !== 0;
}

/**
 * MOV to CR0, CR3, CR4 or CR8 from register `gpr` with value (lo, hi). False: the caller writes crWriteValueLo/Hi(). For CR8 with the TPR shadow the
 * write is done here, and true is returned without a VM exit.
 */
export function interceptMovToCr(cr: number, gpr: number, lo: number, hi: number, p: number): boolean {
  const qualification = cr | ACCESS_MOV_TO | (gpr << 8);
  crWriteValue[0] = lo;
  crWriteValue[1] = hi;
  switch (cr) {
    case 0:
    case 4: {
      const mask = cr === 0 ? F.CR0_MASK : F.CR4_MASK;
      if (maskedBitChanges(mask, cr === 0 ? F.CR0_SHADOW : F.CR4_SHADOW, lo, hi)) return exitForCr(p, qualification);
      crWriteValue[0] = (lo & ~V[mask]) | (R[cr === 0 ? CR0 : CR4] & V[mask]);
      crWriteValue[1] = hi & ~V[mask + 1];
      return false;
    }
    case 3: return (R[PROC] & PROC_CR3_LOAD) !== 0 && !isCr3Target(lo, hi) && exitForCr(p, qualification);
    default:
      if (R[PROC] & PROC_CR8_LOAD) return exitForCr(p, qualification);
      if (!tprShadow()) return false;
      writeShadowedTpr(lo, hi);
      return true;
  }
}

/**
 * MOV from CR3 or CR8 to register `gpr` (CR0 and CR4 never exit: see crReadValueLo). For CR8 with the TPR shadow the read is done here, and true is returned
 * without a VM exit.
 */
export function interceptMovFromCr(cr: number, gpr: number, p: number): boolean {
  const qualification = cr | ACCESS_MOV_FROM | (gpr << 8);
  if (cr === 3) return (R[PROC] & PROC_CR3_STORE) !== 0 && exitForCr(p, qualification);
  if (cr !== 8) return false;
  if (R[PROC] & PROC_CR8_STORE) return exitForCr(p, qualification);
  if (!tprShadow()) return false;
  R[2 * gpr] = readShadowedTpr();
  R[2 * gpr + 1] = 0;
  return true;
}

/** What the guest reads from CR0 or CR4 (also SMSW): masked bits come from the read shadow. */
export function crReadValueLo(cr: number): number {
  if (cr === 0) return (V[F.CR0_MASK] & V[F.CR0_SHADOW]) | (~V[F.CR0_MASK] & R[CR0]);
  if (cr === 4) return (V[F.CR4_MASK] & V[F.CR4_SHADOW]) | (~V[F.CR4_MASK] & R[CR4]);
  return R[CR3];
}

/** CLTS: exits if the hypervisor owns TS and shows it as 1. False with TS owned and shown as 0: CLTS leaves TS alone (crWriteValueLo() is the CR0 to write). */
export function interceptClts(p: number): boolean {
  const owned = V[F.CR0_MASK] & CR0_TS;
  if (owned !== 0 && V[F.CR0_SHADOW] & CR0_TS) return exitForCr(p, ACCESS_CLTS);
  crWriteValue[0] = owned !== 0 ? R[CR0] : R[CR0] & ~CR0_TS;
  crWriteValue[1] = 0;
  return false;
}

/** LMSW with a 16-bit source. False: the caller writes crWriteValueLo() to CR0. For a memory operand the linear address is in R[LA]. */
export function interceptLmsw(source: number, isMemory: boolean, p: number): boolean {
  const mask = V[F.CR0_MASK], shadow = V[F.CR0_SHADOW];
  const movable = CR0_MP | CR0_EM | CR0_TS;
  // PE can only be set, so it exits when it is owned, shown as 0, and the source has it.
  const setsPe = (source & CR0_PE & mask & ~shadow) !== 0;
  if (setsPe || ((source ^ shadow) & mask & movable) !== 0) {
    if (isMemory) {
      V[F.GUEST_LINEAR_ADDRESS] = R[LA];
      V[F.GUEST_LINEAR_ADDRESS + 1] = R[LA + 1];
    }
    return exitForCr(p, ACCESS_LMSW | (isMemory ? LMSW_MEMORY : 0) | (source << 16));
  }
  const writable = movable & ~mask;
  crWriteValue[0] = (R[CR0] & ~writable) | (source & (writable | (CR0_PE & ~mask)));
  crWriteValue[1] = 0;
  return false;
}

export function interceptMovDr(dr: number, gpr: number, isFrom: boolean, p: number): boolean {
  return (R[PROC] & PROC_MOV_DR) !== 0 && exitForInstruction(p, EXIT_REASON_MOV_DR, dr | (isFrom ? 16 : 0) | (gpr << 8), 0, 0);
}

/** LGDT, LIDT, SGDT, SIDT (reason 46) and LLDT, LTR, SLDT, STR (reason 47); the identity is that of the instruction information. */
export function interceptDescriptorTable(reason: number, instructionInfoIdentity: number, p: number): boolean {
  if (!descriptorTableExiting()) return false;
  const info = reason === EXIT_REASON_GDTR_IDTR ? gdtrIdtrInformation(p, instructionInfoIdentity) : ldtrTrInformation(p, instructionInfoIdentity);
  return exitForInstruction(p, reason, DISPLACEMENT[0], DISPLACEMENT[1], info);
}

// --- Exceptions, task switches, triple faults (26.2) ---

/** The exception bitmap, with the page-fault error-code filter, lets this vector exit. */
function exceptionExits(vector: number, errorCode: number): boolean {
  const selected = (V[F.EXCEPTION_BITMAP] >>> vector) & 1;
  if (vector !== X_PF) return selected !== 0;
  const matches = (errorCode & V[F.PF_ERROR_MASK]) === V[F.PF_ERROR_MATCH];
  return matches === (selected !== 0);
}

/** Bit 11 of interruption and IDT-vectoring information: never set in real mode, where nothing pushes an error code (28.2.2, 28.2.4). */
function errorCodeFlag(hasError: boolean): number {
  return hasError && R[CR0] & CR0_PE ? INFO_HAS_ERROR : 0;
}

/** The event in delivery is an external or virtual interrupt or an NMI. */
function deliversInterrupt(): boolean {
  const info = R[DELIVERY_INFO], type = (info >> 8) & 7;
  return info < 0 && (type === EVENT_EXTERNAL || type === EVENT_NMI);
}

/** Before the delivery of an exception: `type` 3 hardware, 5 INT1, 6 INT3 and INTO. */
export function interceptException(vector: number, type: number, hasError: boolean, errorCode: number, instructionLength: number): boolean {
  if (!exceptionExits(vector, errorCode)) return false;
  let qualificationLo = 0, qualificationHi = 0;
  settleResumeFlag();
  let rflags = getFlags();
  let shadow = interruptShadow();
  if (type !== TYPE_HARDWARE_EXCEPTION) rflags &= ~F_RF;
  else {
    if (vector === X_PF) {
      qualificationLo = PF_ADDRESS[0];
      qualificationHi = PF_ADDRESS[1];
    }
    if (vector === X_DB) {
      qualificationLo = R[PENDING_DB];
      R[PENDING_DB] = 0;
      if (qualificationLo & DB_GENERAL_DETECT) rflags |= F_RF;
    } else {
      if (vector !== X_DF) rflags |= F_RF;
      // The faulting instruction has been counted by now, so the shadow it ran in is one step back. An interrupt whose delivery faults came between two.
      if (!deliversInterrupt() && R[CURP] === 0 && R[INHIBIT] !== 0 && RF64[INHIBIT_AT >> 1] === clockNow() - 1) shadow = R[INHIBIT];
    }
  }
  // A double fault is not "during the delivery" of the event that led to it (28.2.4).
  if (vector === X_DF) R[DELIVERY_INFO] = 0;
  const info = withNmiUnblocking(INFO_VALID | (type << 8) | vector | errorCodeFlag(hasError));
  V[F.EXIT_INTERRUPTION_ERROR] = hasError ? errorCode : 0;
  V[F.EXIT_INSTRUCTION_LENGTH] = instructionLength;
  rewindToInstruction();
  vmExit(EXIT_REASON_EXCEPTION_NMI, qualificationLo, qualificationHi, info, rflags, shadow);
  return true;
}

/** A task switch always exits, after the checks of gate and descriptor and before any change; `source`: 0 CALL, 1 IRET, 2 JMP, 3 gate in the IDT. */
export function interceptTaskSwitch(selector: number, source: number): boolean {
  const p = R[CURP];
  const shadow = interruptShadow();
  if (p !== 0) {
    V[F.EXIT_INSTRUCTION_LENGTH] = recLength(p);
    rewindToInstruction();
  } else if (R[DELIVERY_INFO] < 0 && ((R[DELIVERY_INFO] >> 8) & 7) >= TYPE_SOFTWARE_INTERRUPT) {
    rewindRipBy(R[DELIVERY_LENGTH]);
  }
  // The RF that the old task's TSS would have got.
  const rflags = source === SOURCE_GATE ? flagsOfDelivery() : getFlags() & ~F_RF;
  vmExit(EXIT_REASON_TASK_SWITCH, (selector & 0xffff) | (source << 30), 0, 0, rflags, shadow);
  return true;
}

export function interceptTripleFault(): boolean {
  rewindToInstruction();
  R[DELIVERY_INFO] = 0;
  vmExit(EXIT_REASON_TRIPLE_FAULT, 0, 0, 0, getFlags(), interruptShadow());
  return true;
}

/** Delivery of an event begins: an exit before endDelivery() reports it as IDT-vectoring information. `flagsImage`: RFLAGS as the event saves it. */
export function noteDelivery(type: number, vector: number, hasError: boolean, errorCode: number, instructionLength: number, flagsImage: number): void {
  R[DELIVERY_INFO] = INFO_VALID | (type << 8) | vector | errorCodeFlag(hasError);
  R[DELIVERY_ERROR] = errorCode;
  R[DELIVERY_LENGTH] = instructionLength;
  R[DELIVERY_FLAGS] = flagsImage;
}

/** RFLAGS with the RF that the event under delivery would have saved (28.3.3). */
function flagsOfDelivery(): number {
  return (getFlags() & ~F_RF) | (R[DELIVERY_FLAGS] & F_RF);
}

/** Delivery is complete, or given up for another event. */
export function endDelivery(): void {
  R[DELIVERY_INFO] = 0;
  noteEventDelivered();
}

// --- Events at instruction boundaries ---

/**
 * SIG_INTR is raised. RFLAGS.IF does not matter, blocking by STI and by MOV SS does (26.2). An acknowledged interrupt is taken from the controllers,
 * otherwise it stays pending for L1. The notification of posted interrupts does not exit (30.6). True if the interrupt was dealt with.
 */
export function interceptExternalInterrupt(): boolean {
  // Shutdown and wait-for-SIPI block external interrupts.
  if (!externalInterruptExiting() || R[ACTIVITY] > 1 || interruptShadow() !== 0) return false;
  let info = 0;
  if (V[F.EXIT_CONTROLS] & EXIT_ACKNOWLEDGE_INTERRUPT) {
    const vector = platform.acknowledgeInterrupt();
    if (postedInterrupts() && vector === V[F.POSTED_INTERRUPT_VECTOR]) {
      processPostedInterrupts();
      return true;
    }
    info = INFO_VALID | (TYPE_EXTERNAL << 8) | vector;
  }
  return exitAtBoundary(EXIT_REASON_EXTERNAL_INTERRUPT, info);
}

/** SIG_NMI is raised; on an exit it is consumed, and NMIs are blocked in L1 until its next IRET. */
export function interceptNmi(): boolean {
  if (!nmiExiting() || R[NMI_BLOCKED] !== 0 || R[ACTIVITY] === 3) return false;
  R[SIGNALS] &= ~SIG_NMI;
  exitAtBoundary(EXIT_REASON_EXCEPTION_NMI, INFO_VALID | (TYPE_NMI << 8) | 2);
  R[NMI_BLOCKED] = 1;
  return true;
}

/** SIG_INIT is raised; it is consumed. */
export function interceptInit(): boolean {
  if (R[ACTIVITY] === 3) return false;
  R[SIGNALS] &= ~SIG_INIT;
  return exitAtBoundary(EXIT_REASON_INIT, 0);
}

/** SIG_SIPI in the wait-for-SIPI state; it is consumed. */
export function interceptSipi(vector: number): boolean {
  R[SIGNALS] &= ~SIG_SIPI;
  V[F.EXIT_INSTRUCTION_LENGTH] = 0;
  vmExit(EXIT_REASON_SIPI, vector, 0, 0, getFlags(), 0);
  return true;
}

// --- Exits from inside a memory access ---

function recordPending(reason: number, qualificationLo: number): void {
  const p = R[CURP];
  R[PENDING_REASON] = reason;
  R[PENDING_QUALIFICATION] = qualificationLo;
  R[PENDING_LENGTH] = p === 0 ? 0 : recLength(p);
  R[PENDING_SHADOW] = interruptShadow();
  // NMI unblocking is defined for EPT violations and full logs that are not due to event delivery.
  if ((reason === EXIT_REASON_EPT_VIOLATION || reason === EXIT_REASON_PML_FULL) && R[DELIVERY_INFO] >= 0 && iretJustUnblockedNmi(false)) R[PENDING_QUALIFICATION] |= 0x1000;
}

/** An EPT violation or misconfiguration is about to abandon the instruction. Qualification bit 7 says whether the linear address is meant. */
export function setPendingEptExit(
  reason: number, qualificationLo: number, linearLo: number, linearHi: number, guestPhysicalLo: number, guestPhysicalHi: number,
): void {
  recordPending(reason, qualificationLo);
  R[PENDING_HAS_LINEAR] = qualificationLo & 0x80 ? 1 : 0;
  R[PENDING_LINEAR] = linearLo;
  R[PENDING_LINEAR + 1] = linearHi;
  R[PENDING_GUEST_PHYSICAL] = guestPhysicalLo;
  R[PENDING_GUEST_PHYSICAL + 1] = guestPhysicalHi;
}

/** A write that has to be logged finds the page-modification log full and is about to abandon the instruction. */
export function setPendingPmlExit(): void {
  recordPending(EXIT_REASON_PML_FULL, 0);
  R[PENDING_HAS_LINEAR] = 0;
}

/** An access to the APIC-access page is about to abandon the instruction; `accessType` is that of an access outside event delivery. */
export function setPendingApicAccessExit(offset: number, accessType: number): void {
  let type = accessType;
  if (R[DELIVERY_INFO] < 0) type = accessType === APIC_ACCESS_PHYSICAL ? APIC_ACCESS_PHYSICAL_DELIVERY : APIC_ACCESS_DELIVERY;
  // The offset is defined for linear accesses only.
  recordPending(EXIT_REASON_APIC_ACCESS, (accessType === APIC_ACCESS_PHYSICAL ? 0 : offset & 0xfff) | (type << 12));
  R[PENDING_HAS_LINEAR] = 0;
}

/** After abandon(FK_VM_EXIT): performs the exit that was recorded. RIP is that of the instruction (or of the boundary the event was delivered at). */
export function performPendingExit(): void {
  const reason = R[PENDING_REASON];
  V[F.EXIT_INSTRUCTION_LENGTH] = R[PENDING_LENGTH];
  if (R[PENDING_HAS_LINEAR] !== 0) {
    V[F.GUEST_LINEAR_ADDRESS] = R[PENDING_LINEAR];
    V[F.GUEST_LINEAR_ADDRESS + 1] = R[PENDING_LINEAR + 1];
  }
  if (reason === EXIT_REASON_EPT_VIOLATION || reason === EXIT_REASON_EPT_MISCONFIG) {
    V[F.GUEST_PHYSICAL_ADDRESS] = R[PENDING_GUEST_PHYSICAL];
    V[F.GUEST_PHYSICAL_ADDRESS + 1] = R[PENDING_GUEST_PHYSICAL + 1];
  }
  rewindToInstruction();
  // Outside event delivery the saved RF is 1, so that the instruction's breakpoint is not met again (28.3.3).
  const rflags = R[DELIVERY_INFO] < 0 ? flagsOfDelivery() : getFlags() | F_RF;
  vmExit(reason, R[PENDING_QUALIFICATION], 0, 0, rflags, R[PENDING_SHADOW]);
}
