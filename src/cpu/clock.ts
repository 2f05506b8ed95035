/**
 * The virtual clock of the machine: instructions retired plus idle time skipped, in cycles of the TSC (one instruction
 * = one cycle). The run loop gives out slices; R[BUD] counts down to the end of the current one.
 */
import { R, BUD, CURP, RF64, TSC_ADJUST } from './state';
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

/** IA32_TIME_STAMP_COUNTER as an integer-valued double. */
export function readTsc(): number {
  return clockNow() + RF64[TSC_ADJUST >> 1];
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
