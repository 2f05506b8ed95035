/**
 * The virtual clock of the machine: instructions retired plus idle time skipped, in cycles of the TSC (one instruction
 * = one cycle). The run loop gives out slices; R[BUD] counts down to the end of the current one.
 */
import { R, RU, BUD, CURP, MEMHI, TSC_ADJUST } from './state';
import { INFO } from './record';

/** [0] clock value at which the current slice ends (R[BUD] = 0). [1] instructions skipped as idle so far. [2] 1 if endSliceNow cut the slice. */
const TIME = new Float64Array(3);

/** Virtual cycles since power-on before the instruction in progress. Exact at block boundaries and in block-ending instructions. */
export function clockNow(): number {
  const p = R[CURP];
  return TIME[0] - R[BUD] - (p === 0 ? 0 : INFO[p] >>> 12);
}

/** Instructions retired since power-on. */
export function instructionCount(): number {
  return clockNow() - TIME[1];
}

/** Starts a slice of `cycles` (1 to 2^30) from the present moment. Only at a block boundary. */
export function beginSlice(cycles: number): void {
  TIME[0] = clockNow() + cycles;
  TIME[2] = 0;
  R[BUD] = cycles;
}

/** Lengthens the current slice by `cycles`, unless something has asked for its end. Only at a block boundary. */
export function extendSlice(cycles: number): boolean {
  if (TIME[2] !== 0) return false;
  TIME[0] += cycles;
  R[BUD] += cycles;
  return true;
}

/**
 * Makes the current slice end after the instruction in progress, so that the run loop looks at signals and events. Called by whatever
 * raises a signal or schedules an earlier event.
 */
export function endSliceNow(): void {
  TIME[2] = 1;
  const left = R[BUD];
  if (left > 0) {
    TIME[0] -= left;
    R[BUD] = 0;
  }
}

/** Leaves at most `cycles` of the current slice. */
export function shortenSlice(cycles: number): void {
  const surplus = R[BUD] - cycles;
  if (surplus <= 0) return;
  TIME[0] -= surplus;
  TIME[2] = 1;
  R[BUD] = cycles;
}

/** Skips idle time: the clock moves to `cycles` without executing instructions. Only at a block boundary. */
export function skipIdle(cycles: number): void {
  const now = clockNow();
  if (cycles <= now) return;
  TIME[1] += cycles - now;
  TIME[0] = cycles;
  R[BUD] = 0;
}

/** Idle cycles skipped so far. */
export function idleCycles(): number {
  return TIME[1];
}

const TWO_32 = 0x100000000;

/** IA32_TIME_STAMP_COUNTER of the running vCPU: the low word; the high word is left in R[MEMHI]. */
export function readTsc(): number {
  const now = clockNow(), high = Math.floor(now / TWO_32);
  const sum = now - high * TWO_32 + RU[TSC_ADJUST];
  R[MEMHI] = high + R[TSC_ADJUST + 1] + (sum >= TWO_32 ? 1 : 0);
  return sum | 0;
}

/** Sets IA32_TIME_STAMP_COUNTER of the running vCPU. */
export function writeTsc(lo: number, hi: number): void {
  const now = clockNow(), high = Math.floor(now / TWO_32);
  const difference = (lo >>> 0) - (now - high * TWO_32);
  R[TSC_ADJUST] = difference;
  R[TSC_ADJUST + 1] = hi - high - (difference < 0 ? 1 : 0);
}

/** Back to power-on. */
export function resetClock(): void {
  TIME.fill(0);
  R[BUD] = 0;
  R[CURP] = 0;
}

/** For snapshots: [slice end, idle cycles]. */
export function saveClock(): number[] {
  return [TIME[0], TIME[1]];
}

export function restoreClock(saved: readonly number[]): void {
  TIME[0] = saved[0];
  TIME[1] = saved[1];
}
