/**
 * The virtual processors of the machine. One of them has its state in R (state.ts); the others wait in copies of that buffer.
 * Signals (state word SIGNALS) reach a vCPU wherever its state is.
 */
import {
  R, RF64, STATE, STATE_BYTES, ACTIVITY, BUD, EFLAGS, F_RF, INHIBIT, INHIBIT_AT, SIGNALS, SIG_INIT, SIG_INTR, SIG_SIPI, SIPI_VECTOR, VCPU,
} from './state';
import { clockNow } from './clock';
import { updateMode } from './modes';
import { flushEverything } from './mmu/tlb';
import { resetCpu } from './reset';
import { settleResumeFlag, startResumeFlag } from './resume-flag';
import { QUANTUM_END, ROTATION, TURN, TURN_END, URGENT, wakeVcpu } from './turn';
import { ENTERED_AT } from '../vmx/state';

/** State of each vCPU while it is not the running one; the entry of the running one is stale. */
export const vcpuStates: ArrayBuffer[] = [];
const words: Int32Array[] = [];
const doubles: Float64Array[] = [];
const switchListeners: (() => void)[] = [];

/** Powers on `count` vCPUs. vCPU 0 is the running one. Only at a block boundary. */
export function resetVcpus(count: number): void {
  vcpuStates.length = words.length = doubles.length = 0;
  const budget = R[BUD];
  for (let vcpu = count - 1; vcpu >= 0; vcpu--) {
    resetCpu(vcpu);
    vcpuStates[vcpu] = STATE.slice(0);
    words[vcpu] = new Int32Array(vcpuStates[vcpu]);
    doubles[vcpu] = new Float64Array(vcpuStates[vcpu]);
  }
  R[BUD] = budget;
  flushEverything();
  TURN[TURN_END] = count === 1 ? Infinity : 0;
  TURN[ROTATION] = TURN[QUANTUM_END] = TURN[URGENT] = 0;
}

export function vcpuCount(): number {
  return vcpuStates.length;
}

/** Makes vCPU `index` the running one. Only at a block boundary; the slice in progress goes on with it. */
export function switchVcpu(index: number): void {
  const current = R[VCPU];
  if (index === current) return;
  const budget = R[BUD];
  suspendStamps();
  words[current].set(R);
  R.set(words[index]);
  R[BUD] = budget;
  resumeStamps();
  for (const listener of switchListeners) listener();
  updateMode();
}

/** What holds at the present boundary only holds, for a vCPU that waits, at the boundary where it goes on. Here the stamps that say so are judged ... */
function suspendStamps(): void {
  const now = clockNow();
  if (RF64[INHIBIT_AT >> 1] !== now) R[INHIBIT] = 0;
  settleResumeFlag();
  RF64[ENTERED_AT >> 1] = RF64[ENTERED_AT >> 1] === now ? Infinity : 0;
}

/** ... and here they are renewed. */
function resumeStamps(): void {
  const now = clockNow();
  RF64[INHIBIT_AT >> 1] = now;
  if (R[EFLAGS] & F_RF) startResumeFlag();
  if (RF64[ENTERED_AT >> 1] === Infinity) RF64[ENTERED_AT >> 1] = now;
}

/** Registers what else has to follow the running vCPU (address translation does: vmx/vcpu.ts); called after its state is in R. */
export function onVcpuSwitch(listener: () => void): void {
  switchListeners.push(listener);
}

/** State words of a vCPU, running or not. */
export function vcpuWords(index: number): Int32Array {
  return index === R[VCPU] ? R : words[index];
}

/** True while some vCPU executes, rather than sleeps. */
export function someVcpuActive(): boolean {
  for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) if (vcpuWords(vcpu)[ACTIVITY] === 0) return true;
  return false;
}

/** The same state as doubles, for the stamps in it. */
export function vcpuDoubles(index: number): Float64Array {
  return index === R[VCPU] ? RF64 : doubles[index];
}

/** Raises SIG_NMI, SIG_INIT or SIG_SIPI (with its vector) at a vCPU. */
export function signalVcpu(index: number, bits: number, vector: number): void {
  const target = vcpuWords(index);
  // A start-up IPI that came before INIT finds no processor waiting for it.
  if (bits & SIG_INIT) target[SIGNALS] &= ~SIG_SIPI;
  if (bits & SIG_SIPI) target[SIPI_VECTOR] = vector;
  target[SIGNALS] |= bits;
  wakeVcpu(index);
}

/** Drives the INTR input of a vCPU. */
export function setVcpuIntr(index: number, level: boolean): void {
  const target = vcpuWords(index);
  if (!level) {
    target[SIGNALS] &= ~SIG_INTR;
  } else if (!(target[SIGNALS] & SIG_INTR)) {
    target[SIGNALS] |= SIG_INTR;
    wakeVcpu(index);
  }
}

/** For snapshots. */
export interface VcpusState {
  running: number;
  /** State words of each. */
  states: Uint8Array[];
  /** Whose turn it is (turn.ts), without the end of the turn where it has none. */
  turn: number[];
}

export function saveVcpus(): VcpusState {
  words[R[VCPU]].set(R);
  const turn = [...TURN];
  if (turn[TURN_END] === Infinity) turn[TURN_END] = 0;
  return { running: R[VCPU], states: vcpuStates.map((state) => new Uint8Array(state.slice(0))), turn };
}

/** Takes over saved states of as many vCPUs as there are. */
export function restoreVcpus(saved: VcpusState): void {
  saved.states.forEach((bytes, vcpu) => new Uint8Array(vcpuStates[vcpu]).set(bytes.subarray(0, STATE_BYTES)));
  R.set(words[saved.running]);
  TURN.set(saved.turn);
  if (vcpuCount() === 1) TURN[TURN_END] = Infinity;
  for (const listener of switchListeners) listener();
  updateMode();
}
