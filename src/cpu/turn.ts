/**
 * Whose turn it is to run, where a machine has several vCPUs (scheduler.ts gives out the turns). The running vCPU's turn ends early when it wakes
 * another one, and soon when it says that it is spinning. With one vCPU the turn never ends.
 */
import { clockNow, endSliceNow, shortenSlice } from './clock';
import { R, VCPU } from './state';

/**
 * [0] clock value at which the turn of the running vCPU ends, Infinity with one vCPU. [1] the vCPU that the rotation is at. [2] clock value at which its quantum
 * ends. [3] vCPUs that were signalled and are to run at once (bit mask).
 */
export const TURN = new Float64Array([Infinity, 0, 0, 0]);
export const TURN_END = 0, ROTATION = 1, QUANTUM_END = 2, URGENT = 3;

/** A vCPU that waits for another one in a loop gets this many more cycles: a switch costs about as much. */
const SPIN_CYCLES = 500;

/** A signal for vCPU `index` was raised: the slice ends after this instruction, and the turn if another one is to take the signal. */
export function wakeVcpu(index: number): void {
  endSliceNow();
  if (index === R[VCPU]) return;
  TURN[URGENT] |= 1 << index;
  TURN[TURN_END] = 0;
}

/** PAUSE: the running vCPU seems to wait for another one. */
export function noteSpinning(): void {
  const turnEnd = TURN[TURN_END];
  if (turnEnd === Infinity) return;
  const soon = clockNow() + 1 + SPIN_CYCLES;
  if (soon >= turnEnd) return;
  TURN[TURN_END] = soon;
  if (R[VCPU] === TURN[ROTATION]) TURN[QUANTUM_END] = soon;
  shortenSlice(SPIN_CYCLES);
}
