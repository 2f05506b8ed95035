/**
 * Events between instructions in non-root operation (SDM 3C 26.2, 26.5, 27.7): exits of the virtual APIC, monitor trap flag, pending debug
 * exceptions, VMX-preemption timer, NMI window, interrupt window, virtual interrupts. NMIs and external interrupts themselves are the run loop's.
 */
import {
  R, RF64, DR7, EFLAGS, F_IF, F_TF, INHIBIT, INHIBIT_AT, NMI_BLOCKED, PENDING_DB, SIG_ATTENTION, SIG_NMI, SIGNALS, VMX_MODE, VMX_NON_ROOT,
  MEMHI, ACTIVITY, CURP, X_DB,
} from '../cpu/state';
import { clockNow, endSliceNow, readTsc } from '../cpu/clock';
import { deliverEvent, EVENT_EXCEPTION } from '../cpu/interrupts';
import { V } from './vmcs';
import * as F from './fields';
import { PREEMPTION_TIMER_SHIFT } from './capabilities';
import {
  interruptWindowExiting, monitorTrapFlag, nmiExiting, nmiWindowExiting, preemptionTimerActive, tprShadow, tscOffsetting, tscScaling,
  virtualInterruptDelivery, virtualNmis,
} from './controls';
import {
  EXIT_REASON_INTERRUPT_WINDOW, EXIT_REASON_MTF, EXIT_REASON_NMI_WINDOW, EXIT_REASON_PREEMPTION_TIMER, EXIT_REASON_TPR_BELOW_THRESHOLD,
} from './exit-reasons';
import { exitAtBoundary } from './exit';
import {
  APIC_EXIT_QUALIFICATION, APIC_EXIT_REASON, ENTERED_ASLEEP, ENTERED_AT, IRET_UNBLOCKED_AT, MTF_PENDING, PAUSE_AT, TIMER_DEADLINE,
  VIRTUAL_INTERRUPT_RECOGNIZED, VIRTUAL_NMI_BLOCKED,
} from './state';
import { deliverVirtualInterrupt, isVirtualTprBelowThreshold } from './virtual-interrupts';

const SHADOW_STI = 1, SHADOW_MOV_SS = 2;
const SHUTDOWN = 2, WAIT_FOR_SIPI = 3;
/** Local and global enables of the four breakpoints. */
const DR7_ENABLES = 0xff;
const TWO_32 = 0x100000000;

/** Interrupt shadow in force at this boundary, or at the start of the instruction in progress: 0 none, 1 STI, 2 MOV SS. */
export function interruptShadow(): number {
  return R[INHIBIT] !== 0 && RF64[INHIBIT_AT >> 1] === clockNow() ? R[INHIBIT] : 0;
}

/** Puts an interrupt shadow in force at this boundary. */
export function setInterruptShadow(kind: number): void {
  R[INHIBIT] = kind;
  RF64[INHIBIT_AT >> 1] = clockNow();
}

// --- Time ---

/** IA32_TIME_STAMP_COUNTER as the guest's RDTSC, RDTSCP and RDMSR read it (TSC scaling and offsetting applied): low word; high word in R[MEMHI]. Outside non-root operation the plain TSC. */
export function tscWordsForGuest(): number {
  let lo = readTsc();
  if (R[VMX_MODE] !== VMX_NON_ROOT || !tscOffsetting()) return lo;
  if (tscScaling()) lo = scaleTsc(lo, R[MEMHI]);
  const sum = (lo >>> 0) + (V[F.TSC_OFFSET] >>> 0);
  R[MEMHI] = R[MEMHI] + V[F.TSC_OFFSET + 1] + (sum >= TWO_32 ? 1 : 0);
  return sum | 0;
}

/** Units of the TSC multiplier: 2^-48. */
const MULTIPLIER_ONE_HIGH = 1 << 16;

/** The TSC times the TSC multiplier, from bit 48 of the product: low word, high word in R[MEMHI]. Multiplied in 16-bit digits. */
function scaleTsc(lo: number, hi: number): number {
  const multiplierLo = V[F.TSC_MULTIPLIER], multiplierHi = V[F.TSC_MULTIPLIER + 1];
  if (multiplierLo === 0 && multiplierHi === MULTIPLIER_ONE_HIGH) return lo;
  let carry = 0, scaledLo = 0, scaledHi = 0;
  for (let digit = 0; digit < 7; digit++) {
    let sum = carry;
    for (let i = Math.max(0, digit - 3); i <= Math.min(3, digit); i++) sum += digitOf(lo, hi, i) * digitOf(multiplierLo, multiplierHi, digit - i);
    carry = Math.floor(sum / 0x10000);
    const value = sum % 0x10000;
    if (digit === 3) scaledLo = value;
    else if (digit === 4) scaledLo |= value << 16;
    else if (digit === 5) scaledHi = value;
    else if (digit === 6) scaledHi |= value << 16;
  }
  R[MEMHI] = scaledHi;
  return scaledLo;
}

function digitOf(lo: number, hi: number, n: number): number {
  const word = n < 2 ? lo : hi;
  return n & 1 ? word >>> 16 : word & 0xffff;
}

/** The same as a double modulo 2^64, exact below 2^53. */
export function tscForGuest(): number {
  const lo = tscWordsForGuest();
  return (lo >>> 0) + (R[MEMHI] >>> 0) * TWO_32;
}

/** Starts the VMX-preemption timer from the VMCS: it counts down once per change of TSC bit PREEMPTION_TIMER_SHIFT. */
export function startPreemptionTimer(): void {
  if (!preemptionTimerActive()) {
    RF64[TIMER_DEADLINE >> 1] = Infinity;
    return;
  }
  RF64[TIMER_DEADLINE >> 1] = clockNow() - cyclesIntoUnit() + (V[F.PREEMPTION_TIMER_VALUE] >>> 0) * (1 << PREEMPTION_TIMER_SHIFT);
}

/** Cycles since the VMX-preemption timer could last count. */
function cyclesIntoUnit(): number {
  return readTsc() & ((1 << PREEMPTION_TIMER_SHIFT) - 1);
}

/** What is left of the VMX-preemption timer now. */
export function preemptionTimerLeft(): number {
  return Math.max(0, Math.floor((RF64[TIMER_DEADLINE >> 1] - clockNow() + cyclesIntoUnit()) / (1 << PREEMPTION_TIMER_SHIFT)));
}

/**
 * Clock value by which vmxBoundary() must be called in non-root operation, or Infinity: the preemption timer, or the next boundary while
 * something waits for one instruction to pass.
 */
export function vmxTimerDeadline(): number {
  if (R[VMX_MODE] !== VMX_NON_ROOT) return Infinity;
  if (R[SIGNALS] & SIG_ATTENTION && R[ACTIVITY] === 0) return clockNow() + 1;
  return R[ACTIVITY] === WAIT_FOR_SIPI ? Infinity : RF64[TIMER_DEADLINE >> 1];
}

/** Asks the run loop for vmxBoundary() at the next boundary. */
export function requestAttention(): void {
  R[SIGNALS] |= SIG_ATTENTION;
  endSliceNow();
}

// --- Notes from instructions and event delivery ---

/** STI, POPF, IRET and the like set RFLAGS.IF in non-root operation. */
export function noteInterruptFlagSet(): void {
  if (interruptWindowExiting() || R[VIRTUAL_INTERRUPT_RECOGNIZED] !== 0) requestAttention();
}

/** IRET in non-root operation, instead of clearing R[NMI_BLOCKED]: what becomes unblocked depends on the NMI controls (SDM 3C 26.3). */
export function nmiUnblockedByIret(): void {
  if (virtualNmis()) {
    if (R[VIRTUAL_NMI_BLOCKED] === 0) return;
    R[VIRTUAL_NMI_BLOCKED] = 0;
    RF64[IRET_UNBLOCKED_AT >> 1] = clockNow() + 1;
    if (nmiWindowExiting()) requestAttention();
  } else if (!nmiExiting() && R[NMI_BLOCKED] !== 0) {
    R[NMI_BLOCKED] = 0;
    RF64[IRET_UNBLOCKED_AT >> 1] = clockNow() + 1;
    if (R[SIGNALS] & SIG_NMI) endSliceNow();
  }
}

/** The virtual APIC asks for a VM exit after this instruction, or after the event delivery in progress (SDM 3C 30.4.3.3). */
export function requestApicExit(reason: number, qualification: number): void {
  R[APIC_EXIT_REASON] = reason;
  R[APIC_EXIT_QUALIFICATION] = qualification;
  requestAttention();
}

/** An event was delivered in the guest: with the monitor trap flag, the exit comes before the handler's first instruction (SDM 3C 26.5.2). */
export function noteEventDelivered(): void {
  if (monitorTrapFlag()) R[MTF_PENDING] = 1;
  // The event may have ended a shutdown that held an exit back.
  if ((R[MTF_PENDING] | R[APIC_EXIT_REASON]) !== 0) requestAttention();
}

// --- At VM entry ---

/** After the guest's state was loaded, and its injected event delivered: makes the run loop look at whatever is due now or soon. */
export function armBoundaryEvents(): void {
  RF64[ENTERED_AT >> 1] = clockNow();
  R[ENTERED_ASLEEP] = R[ACTIVITY] !== 0 ? 1 : 0;
  RF64[PAUSE_AT >> 1] = -Infinity;
  if (tprShadow() && !virtualInterruptDelivery() && isVirtualTprBelowThreshold()) requestApicExit(EXIT_REASON_TPR_BELOW_THRESHOLD, 0);
  const watched = monitorTrapFlag() || nmiWindowExiting() || (interruptWindowExiting() && (R[EFLAGS] & F_IF) !== 0);
  if (watched || (R[MTF_PENDING] | R[PENDING_DB] | R[VIRTUAL_INTERRUPT_RECOGNIZED]) !== 0) R[SIGNALS] |= SIG_ATTENTION;
  // Single steps and breakpoints are the run loop's.
  const traced = (R[EFLAGS] & F_TF) !== 0 || (R[DR7] & DR7_ENABLES) !== 0;
  if (R[SIGNALS] !== 0 || R[ACTIVITY] !== 0 || traced || preemptionTimerActive()) endSliceNow();
}

// --- At the boundary ---

/**
 * The exit that the virtual APIC has asked for, which goes before INIT signals and all that vmxBoundary() deals with (27.7.7); true if there was
 * one. The shutdown and wait-for-SIPI states hold it back.
 */
export function apicExitAtBoundary(): boolean {
  return R[APIC_EXIT_REASON] !== 0 && R[ACTIVITY] < SHUTDOWN && exitAtBoundary(R[APIC_EXIT_REASON], 0, R[APIC_EXIT_QUALIFICATION]);
}

/**
 * Called at an instruction boundary (RIP exact) in non-root operation when SIG_ATTENTION is set or the deadline has come. Performs the one VM exit
 * or delivery of #DB or a virtual interrupt that has the highest priority; true if there was one. Leaves SIG_ATTENTION set while something must be looked
 * at again after the next instruction.
 */
export function vmxBoundary(): boolean {
  R[CURP] = 0;
  if (R[ACTIVITY] === WAIT_FOR_SIPI) {
    R[SIGNALS] &= ~SIG_ATTENTION;
    return false;
  }
  let again = 0;
  if (monitorTrapFlag()) {
    if (R[MTF_PENDING] !== 0 || (R[ENTERED_ASLEEP] === 0 && clockNow() > RF64[ENTERED_AT >> 1])) return exitAtBoundary(EXIT_REASON_MTF, 0);
    again = SIG_ATTENTION;
  } else if (R[MTF_PENDING] !== 0) {
    return exitAtBoundary(EXIT_REASON_MTF, 0);
  }
  const shadow = interruptShadow();
  if (R[PENDING_DB] !== 0 && R[ACTIVITY] !== SHUTDOWN) {
    if (shadow !== SHADOW_MOV_SS) {
      // The handler's first instruction is a boundary again: the timer and the windows come before it.
      deliverEvent(EVENT_EXCEPTION, X_DB, false, 0, 0);
      return true;
    }
    again = SIG_ATTENTION;
  }
  if (clockNow() >= RF64[TIMER_DEADLINE >> 1]) return exitAtBoundary(EXIT_REASON_PREEMPTION_TIMER, 0);

  if (nmiWindowExiting() && R[VIRTUAL_NMI_BLOCKED] === 0) {
    if (shadow !== SHADOW_MOV_SS) return exitAtBoundary(EXIT_REASON_NMI_WINDOW, 0);
    again = SIG_ATTENTION;
  }
  if ((interruptWindowExiting() || R[VIRTUAL_INTERRUPT_RECOGNIZED] !== 0) && (R[EFLAGS] & F_IF) !== 0 && R[ACTIVITY] !== SHUTDOWN) {
    // An NMI goes before the interrupt window and before virtual interrupts; the run loop delivers it.
    const nmiNext = (R[SIGNALS] & SIG_NMI) !== 0 && R[NMI_BLOCKED] === 0;
    if (shadow === 0 && !nmiNext) {
      if (interruptWindowExiting()) return exitAtBoundary(EXIT_REASON_INTERRUPT_WINDOW, 0);
      deliverVirtualInterrupt();
      return true;
    }
    again = SIG_ATTENTION;
  }
  R[SIGNALS] = (R[SIGNALS] & ~SIG_ATTENTION) | again;
  return false;
}

/** True if an IRET that unblocked NMIs is the instruction in progress, or (`counted`) the one that has just faulted and been counted. */
export function iretJustUnblockedNmi(counted: boolean): boolean {
  return RF64[IRET_UNBLOCKED_AT >> 1] === clockNow() + (counted ? 0 : 1);
}

/** Kinds of interruptShadow(), for VM entry. */
export function shadowFromInterruptibility(interruptibility: number): number {
  return interruptibility & 2 ? SHADOW_MOV_SS : interruptibility & 1 ? SHADOW_STI : 0;
}
