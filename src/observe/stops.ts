/**
 * Stopping a machine for people: breakpoints (linear address, VM exit, port, MSR) and steps. A stop is exact to the instruction and guests cannot tell: all
 * it does is to end a portion of execution at a boundary, and portions may end anywhere.
 *
 * The run loop is given the machine behind a watch, which asks for single-instruction portions while an address or an instruction step is wanted, and
 * says that the machine has stopped where people want to look. Without breakpoints and steps it is given the machine itself.
 */
import { endSliceNow, clockNow, instructionCount } from '../cpu/clock';
import { platform } from '../cpu/platform';
import type { Runnable } from '../cpu/run';
import { ACTIVITY, CODE64, CS, R, RCX, RIP, SEG_BASE, VCPU, VMX_MODE, VMX_NON_ROOT } from '../cpu/state';
import { EXIT_REASON_IO, EXIT_REASON_RDMSR, EXIT_REASON_WRMSR } from '../vmx/exit-reasons';
import { addEntryObserver, addExitObserver, setMsrObserver } from './exit-log';
import { exitReasonName } from './exit-names';
import { msrText } from './exit-text';
import { levelNow } from './guests';
import { hex, hex64, parseHex64 } from './hex';
import type { Words64 } from './hex';

export type Breakpoint =
  /** Before the instruction at a linear address (hexadecimal digits); level null: any. */
  | { id: number; kind: 'address'; linear: string; level: number | null }
  /** After a VM exit with this basic reason, before the hypervisor's first instruction; null: any. */
  | { id: number; kind: 'exit'; reason: number | null }
  /** After an access to this port, by any level. */
  | { id: number; kind: 'port'; port: number }
  /** At RDMSR or WRMSR of this MSR: after the instruction, or after its VM exit. */
  | { id: number; kind: 'msr'; index: number };

/** `instruction`: one instruction or the delivery of one event; `exit`: to the next VM exit; `guest`: one step inside a guest, its hypervisor runs through. */
export type StepGoal = 'instruction' | 'exit' | 'guest';

/** Where and why the machine was stopped. */
export interface Stop {
  cause: 'step' | 'breakpoint' | 'pause';
  /** Id of the breakpoint that was met. */
  breakpoint: number | null;
  /** What happened, for people. */
  text: string;
  instructions: number;
  level: number;
  vcpu: number;
  /** Linear address of the next instruction, 16 digits. */
  linear: string;
}

interface AddressBreakpoint {
  id: number;
  at: Words64;
  level: number | null;
}

let breakpoints: readonly Breakpoint[] = [];
let addresses: AddressBreakpoint[] = [];
let goal: StepGoal | null = null;
/** What has been met since the last resume. */
let met: { cause: Stop['cause']; breakpoint: number | null; text: string } | null = null;
/** Boundary that execution was resumed at: its own breakpoint does not count. */
const resumed = { instructions: -1, ripLo: 0, ripHi: 0, vcpu: 0, level: 0 };
const detachers: (() => void)[] = [];

function linearNow(): Words64 {
  if (R[CODE64] !== 0) return [R[RIP], R[RIP + 1]];
  return [(R[RIP] + R[SEG_BASE + 2 * CS]) | 0, 0];
}

/** Where the machine stands, with a reason to show it. */
export function stopHere(cause: Stop['cause'], text: string, breakpoint: number | null = null): Stop {
  return { cause, breakpoint, text, instructions: instructionCount(), level: levelNow(), vcpu: R[VCPU], linear: hex64(...linearNow()) };
}

// --- Wishes ---

export function currentBreakpoints(): readonly Breakpoint[] {
  return breakpoints;
}

/** Replaces all breakpoints. Addresses that are no number are left out. */
export function setBreakpoints(list: readonly Breakpoint[]): void {
  breakpoints = list;
  addresses = [];
  for (const each of list) {
    const at = each.kind === 'address' ? parseHex64(each.linear) : null;
    if (each.kind === 'address' && at !== null) addresses.push({ id: each.id, at, level: each.level });
  }
  watchEvents();
}

/** From here on the machine runs until the goal is reached, or a breakpoint is met; null: until a breakpoint is met. */
export function resumeTowards(wanted: StepGoal | null): void {
  goal = wanted;
  met = null;
  resumed.instructions = instructionCount();
  resumed.ripLo = R[RIP];
  resumed.ripHi = R[RIP + 1];
  resumed.vcpu = R[VCPU];
  resumed.level = levelNow();
  watchEvents();
}

/** The stop that has been reached, once; null if there is none. */
export function takeStop(): Stop | null {
  if (met === null) return null;
  const stop = stopHere(met.cause, met.text, met.breakpoint);
  resumeTowards(null);
  return stop;
}

/** Forgets breakpoints and goal: another machine. */
export function resetStops(): void {
  setBreakpoints([]);
  goal = null;
  met = null;
  watchEvents();
}

// --- Events that the run loop does not see ---

function meet(cause: Stop['cause'], text: string, breakpoint: number | null): void {
  // What comes first is told.
  met ??= { cause, breakpoint, text };
  endSliceNow();
}

function meetPort(port: number, size: number, what: string): void {
  for (const each of breakpoints) {
    if (each.kind === 'port' && each.port >= port && each.port < port + size) meet('breakpoint', `${what} port 0x${hex(each.port)}`, each.id);
  }
}

function meetMsr(index: number, isWrite: boolean): void {
  for (const each of breakpoints) {
    if (each.kind === 'msr' && (each.index | 0) === (index | 0)) meet('breakpoint', `${isWrite ? 'WRMSR' : 'RDMSR'} of ${msrText(index)}`, each.id);
  }
}

function seeExit(reason: number, qualificationLo: number): void {
  const basic = reason & 0xffff;
  if (goal === 'exit') meet('step', `VM exit: ${exitReasonName(basic)}`, null);
  for (const each of breakpoints) {
    if (each.kind === 'exit' && (each.reason === null || each.reason === basic)) meet('breakpoint', `VM exit: ${exitReasonName(basic)}`, each.id);
  }
  if (reason < 0) return;
  if (basic === EXIT_REASON_IO) meetPort(qualificationLo >>> 16, (qualificationLo & 7) + 1, 'guest access to');
  if (basic === EXIT_REASON_RDMSR || basic === EXIT_REASON_WRMSR) meetMsr(R[RCX], basic === EXIT_REASON_WRMSR);
}

/** Puts a function between processor and ports; returns how to take it out. */
function watchPorts(): () => void {
  const { readPort, writePort } = platform;
  const watchedRead = (port: number, size: number): number => {
    meetPort(port, size, 'IN from');
    return readPort(port, size);
  };
  const watchedWrite = (port: number, size: number, value: number): void => {
    meetPort(port, size, 'OUT to');
    writePort(port, size, value);
  };
  platform.readPort = watchedRead;
  platform.writePort = watchedWrite;
  return () => {
    // Another machine may have been attached meanwhile.
    if (platform.readPort === watchedRead) platform.readPort = readPort;
    if (platform.writePort === watchedWrite) platform.writePort = writePort;
  };
}

/** Installs exactly the observers that breakpoints and goal need. */
function watchEvents(): void {
  for (const detach of detachers.splice(0).reverse()) detach();
  const has = (kind: Breakpoint['kind']): boolean => breakpoints.some((each) => each.kind === kind);
  if (goal === 'exit' || has('exit') || has('port') || has('msr')) detachers.push(addExitObserver(seeExit));
  if (has('port')) detachers.push(watchPorts());
  if (has('msr')) {
    setMsrObserver(meetMsr);
    detachers.push(() => setMsrObserver(null));
  }
  // The portion ends where the watch has to look at single instructions from then on.
  if (goal === 'guest' || addresses.length > 0) {
    detachers.push(addEntryObserver(endSliceNow));
    detachers.push(addExitObserver(endSliceNow));
  }
}

// --- At boundaries ---

/** Something was executed or delivered since execution was resumed. */
function hasMoved(): boolean {
  return instructionCount() !== resumed.instructions || R[RIP] !== resumed.ripLo || R[RIP + 1] !== resumed.ripHi || R[VCPU] !== resumed.vcpu || levelNow() !== resumed.level;
}

/** Looks whether people want to see this boundary. */
function lookAtBoundary(): void {
  if (R[ACTIVITY] !== 0 || !hasMoved()) return;
  if (goal === 'instruction') meet('step', 'one step', null);
  else if (goal === 'guest' && R[VMX_MODE] === VMX_NON_ROOT) meet('step', 'one step in the guest', null);
  if (addresses.length === 0) return;
  const [lo, hi] = linearNow();
  for (const { id, at, level } of addresses) {
    if (at[0] === lo && at[1] === hi && (level === null || level === levelNow())) meet('breakpoint', `linear address 0x${hex64(lo, hi)}`, id);
  }
}

/** The next boundary has to be looked at. */
function everyInstructionMatters(): boolean {
  if (goal === 'instruction') return true;
  if (goal === 'guest' && R[VMX_MODE] === VMX_NON_ROOT) return true;
  for (const { level } of addresses) if (level === null || level === levelNow()) return true;
  return false;
}

class Watch implements Runnable {
  private readonly machine: Runnable;

  constructor(machine: Runnable) {
    this.machine = machine;
  }

  nextDeadline(): number {
    const deadline = this.machine.nextDeadline();
    // A sleeping processor has no next instruction: its idle time is skipped as always.
    return R[ACTIVITY] === 0 && everyInstructionMatters() ? Math.min(deadline, clockNow() + 1) : deadline;
  }

  runDue(now: number): void {
    this.machine.runDue(now);
  }

  get stopped(): boolean {
    if (this.machine.stopped || met !== null) return true;
    lookAtBoundary();
    return met !== null;
  }
}

/** The machine as the run loop should see it: itself while nobody wants it to stop. */
export function watched(machine: Runnable): Runnable {
  return goal === null && breakpoints.length === 0 ? machine : new Watch(machine);
}
