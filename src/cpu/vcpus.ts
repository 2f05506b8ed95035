/**
 * The virtual processors of the machine. One of them has its state in R (state.ts); the others wait in copies of that buffer.
 * Signals (state word SIGNALS) reach a vCPU wherever its state is.
 */
import { R, STATE, STATE_BYTES, BUD, SIGNALS, SIG_INIT, SIG_INTR, SIG_SIPI, SIPI_VECTOR, VCPU } from './state';
import { endSliceNow } from './clock';
import { updateMode } from './modes';
import { resumeContext } from './mmu/tlb';
import { resetCpu } from './reset';

/** State of each vCPU while it is not the running one; the entry of the running one is stale. */
export const vcpuStates: ArrayBuffer[] = [];
const words: Int32Array[] = [];
const switchListeners: (() => void)[] = [];

/** Powers on `count` vCPUs. vCPU 0 is the running one. Only at a block boundary. */
export function resetVcpus(count: number): void {
  vcpuStates.length = words.length = 0;
  const budget = R[BUD];
  for (let vcpu = count - 1; vcpu >= 0; vcpu--) {
    resetCpu(vcpu);
    vcpuStates[vcpu] = STATE.slice(0);
    words[vcpu] = new Int32Array(vcpuStates[vcpu]);
  }
  R[BUD] = budget;
}

export function vcpuCount(): number {
  return vcpuStates.length;
}

/** Makes vCPU `index` the running one. Only at a block boundary; the slice in progress goes on with it. */
export function switchVcpu(index: number): void {
  const current = R[VCPU];
  if (index === current) return;
  const budget = R[BUD];
  words[current].set(R);
  R.set(words[index]);
  R[BUD] = budget;
  resumeContext();
  for (const listener of switchListeners) listener();
  updateMode();
}

/** Registers what else has to follow the running vCPU; called after its state is in R. */
export function onVcpuSwitch(listener: () => void): void {
  switchListeners.push(listener);
}

/** State words of a vCPU, running or not. */
export function vcpuWords(index: number): Int32Array {
  return index === R[VCPU] ? R : words[index];
}

/** Raises SIG_NMI, SIG_INIT or SIG_SIPI (with its vector) at a vCPU. */
export function signalVcpu(index: number, bits: number, vector: number): void {
  const target = vcpuWords(index);
  // A start-up IPI that came before INIT finds no processor waiting for it.
  if (bits & SIG_INIT) target[SIGNALS] &= ~SIG_SIPI;
  if (bits & SIG_SIPI) target[SIPI_VECTOR] = vector;
  target[SIGNALS] |= bits;
  endSliceNow();
}

/** Drives the INTR input of a vCPU. */
export function setVcpuIntr(index: number, level: boolean): void {
  const target = vcpuWords(index);
  if (!level) {
    target[SIGNALS] &= ~SIG_INTR;
  } else if (!(target[SIGNALS] & SIG_INTR)) {
    target[SIGNALS] |= SIG_INTR;
    endSliceNow();
  }
}

/** For snapshots: [running vCPU, state words of each]. */
export function saveVcpus(): { running: number; states: Uint8Array[] } {
  words[R[VCPU]].set(R);
  return { running: R[VCPU], states: vcpuStates.map((state) => new Uint8Array(state.slice(0))) };
}

/** Takes over saved states of as many vCPUs as there are. */
export function restoreVcpus(saved: { running: number; states: readonly Uint8Array[] }): void {
  saved.states.forEach((bytes, vcpu) => new Uint8Array(vcpuStates[vcpu]).set(bytes.subarray(0, STATE_BYTES)));
  R.set(words[saved.running]);
  resumeContext();
  for (const listener of switchListeners) listener();
  updateMode();
}
