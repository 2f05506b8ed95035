/**
 * The run loop: instruction boundaries (SDM 3A 6.9: priority among simultaneous events), slices between them, faults.
 *
 * Between boundaries the interpreter runs blocks until the slice is used up; the last block that would overrun it is stepped
 * instruction by instruction, so that every event happens at its exact instruction count.
 */
import {
  R, ACCESS_USER, ACTIVITY, BUD, CPL, CURP, DEBUGCTL, DEFERRED_DB, EFLAGS, F_AC, F_IF, F_RF, F_TF, FAULT_KIND, FAULT_VECTOR, IPB, NMI_BLOCKED, PENDING_DB,
  RIP, CODE64, SIGNALS, SIG_ATTENTION, SIG_INIT, SIG_INTR, SIG_NMI, SIG_SIPI, SIPI_VECTOR, VMX_MODE, VMX_NON_ROOT, VMX_OFF, X_DB, X_NMI,
} from './state';
import { INFO } from './record';
import { FAULT, FK_DONE, FK_EXCEPTION, FK_VM_EXIT } from './fault';
import { hasInstructionBreakpoints, instructionBreakpoint } from './breakpoints';
import { beginSlice, clockNow, extendSlice, skipIdle } from './clock';
import { buildInterpreter } from './engine/interpreter';
import type { Interpret } from './engine/interpreter';
import { blockBytes, initBlocks, lookup, setStepping } from './engine/blocks';
import { sample, sampleLength } from './engine/tiering';
import { train } from './engine/training';
import { deliverEvent, handleFault, DB_SINGLE_STEP, DB_TASK_SWITCH, EVENT_EXCEPTION, EVENT_EXTERNAL, EVENT_NMI } from './interrupts';
import { mem8 } from './mmu/memory';
import { updateMode } from './modes';
import { platform } from './platform';
import { initCpu, startBySipi, SHUT_DOWN, WAIT_FOR_SIPI } from './reset';
import { settleResumeFlag } from './resume-flag';
import { SHADOW_MOV_SS } from './system/flag-control';
import { TURN, TURN_END } from './turn';
import {
  apicExitAtBoundary, interceptExternalInterrupt, interceptInit, interceptNmi, interceptSipi, performPendingExit, vmxBoundary, vmxTimerDeadline,
} from '../vmx/intercepts';
import { interruptShadow } from '../vmx/windows';

/** What the run loop needs from the machine. */
export interface Runnable {
  /** Virtual time of the next device event, Infinity if none. */
  nextDeadline(): number;
  /** Runs the device events that are due. */
  runDue(now: number): void;
  /** True once the machine has stopped (power-off, debug exit, shutdown). */
  readonly stopped: boolean;
}

/** The budget was used up. */
export const RUN_BUDGET = 0;
/** The machine stopped. */
export const RUN_STOPPED = 1;
/** The vCPU is halted and nothing is scheduled that could wake it. */
export const RUN_IDLE = 2;
/** The vCPU sleeps, and others may run (scheduler.ts). */
export const RUN_ASLEEP = 3;

const MAX_SLICE = 1 << 30;
/** IA32_DEBUGCTL: TF traps after branches only. */
const DEBUGCTL_BTF = 2;

let interpret: Interpret = () => {
  throw new Error('the engine was not built');
};

/** Builds the engine for the present memory buffer and forgets all decoded code. `kindCounts`: see buildInterpreter. */
export function buildEngine(kindCounts?: Float64Array): void {
  initBlocks(mem8.length);
  interpret = buildInterpreter(kindCounts);
  train(interpret);
}

/** Offers pending events to the CPU, highest priority first; true if one was taken and the boundary has to be looked at again. */
function takeEvent(): boolean {
  const signals = R[SIGNALS];
  const nonRoot = R[VMX_MODE] === VMX_NON_ROOT;
  // The T flag of a new task comes before everything but a reset.
  if (R[PENDING_DB] & DB_TASK_SWITCH) {
    deliverEvent(EVENT_EXCEPTION, X_DB, false, 0, 0);
    return true;
  }
  if (nonRoot && apicExitAtBoundary()) return true;
  if (signals & SIG_INIT) {
    if (nonRoot) {
      if (interceptInit()) return true;
    } else if (R[VMX_MODE] === VMX_OFF) {
      initCpu();
      return true;
    }
  }
  if (R[ACTIVITY] === WAIT_FOR_SIPI) {
    if ((signals & SIG_SIPI) === 0) return false;
    if (nonRoot) return interceptSipi(R[SIPI_VECTOR]);
    startBySipi();
    return true;
  }
  R[SIGNALS] &= nonRoot ? ~SIG_SIPI : ~(SIG_SIPI | SIG_ATTENTION);
  // The VMX-preemption timer goes before NMIs and interrupts that come at the same time.
  if (nonRoot && (signals & SIG_ATTENTION || vmxTimerDeadline() <= clockNow()) && vmxBoundary()) return true;
  const shadow = interruptShadow();
  if (R[PENDING_DB] !== 0 && shadow !== SHADOW_MOV_SS && R[ACTIVITY] !== SHUT_DOWN) {
    deliverEvent(EVENT_EXCEPTION, X_DB, false, 0, 0);
    return true;
  }
  if (R[ACTIVITY] === SHUT_DOWN && !nonRoot) return false;
  if (signals & SIG_NMI && shadow === 0) {
    if (nonRoot && interceptNmi()) return true;
    if (R[NMI_BLOCKED] === 0) {
      R[SIGNALS] &= ~SIG_NMI;
      deliverEvent(EVENT_NMI, X_NMI, false, 0, 0);
      return true;
    }
  }
  if (signals & SIG_INTR) {
    if (nonRoot && interceptExternalInterrupt()) return true;
    if (R[EFLAGS] & F_IF && shadow === 0 && R[ACTIVITY] < SHUT_DOWN) {
      deliverEvent(EVENT_EXTERNAL, platform.acknowledgeInterrupt(), false, 0, 0);
      return true;
    }
  }
  return false;
}

/** A guest fault was caught: the interrupted instruction is undone (it changed nothing), counted once if it really faulted, and the fault handled. */
function recover(): void {
  const p = R[CURP];
  const kind = R[FAULT_KIND];
  // Data breakpoints that an instruction met before it failed are not traps of anything. (A #DB raised by it brings its own condition.)
  if (kind !== FK_DONE && !(kind === FK_EXCEPTION && R[FAULT_VECTOR] === X_DB)) R[PENDING_DB] = R[DEFERRED_DB];
  // The fault may have come out of an implicit supervisor access, at CPL 3 or while EFLAGS.AC selects another bank than those use.
  if (R[ACCESS_USER] !== (R[CPL] === 3 ? 1 : 0) || R[EFLAGS] & F_AC) updateMode();
  if (p !== 0) {
    const info = INFO[p], base = R[IPB];
    R[CURP] = 0;
    const lo = (base + (info & 4095)) | 0;
    R[RIP] = lo;
    R[RIP + 1] = R[CODE64] !== 0 ? (R[IPB + 1] + (lo >>> 0 < base >>> 0 ? 1 : 0)) | 0 : 0;
    R[BUD] = R[BUD] + (info >>> 12) - (kind === FK_EXCEPTION || kind === FK_VM_EXIT ? 1 : 0);
  } else if (kind === FK_EXCEPTION && R[BUD] <= 0) {
    // The fetch of what follows the slice's last instruction: that instruction's trap and pending events come first.
    R[FAULT_KIND] = 0;
    return;
  } else if (kind === FK_EXCEPTION || kind === FK_VM_EXIT) R[BUD] = R[BUD] - 1;
  if (kind === FK_EXCEPTION) handleFault();
  else if (kind === FK_VM_EXIT) performPendingExit();
}

let secondTier = true;

/** Chooses the engine: the interpreter alone, or with compiled regions for hot code. Guests cannot tell. */
export function useSecondTier(on: boolean): void {
  secondTier = on;
}

/** Executes `cycles` cycles from a block boundary, or less if a signal or a fault needs the run loop. */
function execute(cycles: number): void {
  setStepping(false);
  let left = cycles;
  try {
    const first = secondTier ? Math.min(left, sampleLength()) : left;
    beginSlice(first);
    left -= first;
    let P = lookup();
    for (;;) {
      interpret(P);
      // RIP is exact again; the last slow path may have left its record there.
      R[CURP] = 0;
      const more = Math.min(left, sampleLength());
      if (left <= 0 || !extendSlice(more)) break;
      left -= more;
      P = lookup();
      if (sample(P)) P = lookup();
    }
    finishSlice();
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
    recover();
  }
}

/** The next block is longer than what is left of the slice: steps to its end. */
function finishSlice(): void {
  while (R[BUD] > 0) {
    setStepping(true);
    interpret(lookup());
    R[CURP] = 0;
  }
}

/** Executes one instruction. */
function executeOne(): void {
  setStepping(true);
  try {
    beginSlice(1);
    finishSlice();
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
    recover();
  }
}

/** Runs one instruction with TF set or breakpoints armed, and notes the traps it earns. */
function executeSingle(): void {
  // MOV SS and POP SS hold debug exceptions off for one instruction (SDM 3A 6.8.3).
  if (interruptShadow() !== SHADOW_MOV_SS && hasInstructionBreakpoints() && instructionBreakpoint()) return;
  const trap = (R[EFLAGS] & F_TF) !== 0;
  const onBranches = trap && (R[DEBUGCTL] & DEBUGCTL_BTF) !== 0;
  const sequential = onBranches ? (R[RIP] + bytesOfNext()) | 0 : 0;
  const before = clockNow(), vmxMode = R[VMX_MODE];
  R[FAULT_KIND] = 0;
  executeOne();
  // A VM exit inside the instruction took the guest's trap with it.
  if (!trap || R[FAULT_KIND] !== 0 || clockNow() === before || R[VMX_MODE] !== vmxMode) return;
  if (!onBranches || R[RIP] !== sequential) R[PENDING_DB] |= DB_SINGLE_STEP;
}

/** Length of the instruction at RIP; 0 if it cannot be fetched. */
function bytesOfNext(): number {
  setStepping(true);
  try {
    return blockBytes(lookup());
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
    return 0;
  }
}

/**
 * Runs the vCPU in R for up to `cycles` cycles of virtual time. Where there are several vCPUs it returns earlier: when the turn is over (RUN_BUDGET)
 * or the vCPU sleeps (RUN_ASLEEP).
 */
export function runSlice(machine: Runnable, cycles: number): number {
  const end = clockNow() + cycles;
  for (;;) {
    if (machine.stopped) return RUN_STOPPED;
    const now = clockNow();
    if (machine.nextDeadline() <= now) {
      machine.runDue(now);
      continue;
    }
    if (R[EFLAGS] & F_RF) settleResumeFlag();
    const turnEnd = TURN[TURN_END];
    if (now >= end || now >= turnEnd) return RUN_BUDGET;
    if ((R[SIGNALS] | R[PENDING_DB]) !== 0 && takeEvent()) continue;
    let until = Math.min(end, turnEnd, machine.nextDeadline());
    const nonRoot = R[VMX_MODE] === VMX_NON_ROOT;
    if (nonRoot) {
      const timer = vmxTimerDeadline();
      if (timer <= now) {
        R[SIGNALS] |= SIG_ATTENTION;
        if (takeEvent()) continue;
      } else until = Math.min(until, timer);
    }
    if (R[ACTIVITY] !== 0) {
      if (turnEnd !== Infinity) return RUN_ASLEEP;
      if (until === Infinity) return RUN_IDLE;
      if (machine.nextDeadline() === Infinity && !(nonRoot && vmxTimerDeadline() < Infinity) && end === until) return RUN_IDLE;
      skipIdle(until);
      continue;
    }
    R[DEFERRED_DB] = R[PENDING_DB];
    if (R[EFLAGS] & F_TF || hasInstructionBreakpoints()) {
      executeSingle();
      continue;
    }
    // What a shadow holds off is looked at again after one instruction.
    if (((R[SIGNALS] & (SIG_INTR | SIG_NMI)) | R[PENDING_DB]) !== 0 && interruptShadow() !== 0) until = now + 1;
    execute(Math.max(1, Math.min(until - now, MAX_SLICE)));
  }
}
