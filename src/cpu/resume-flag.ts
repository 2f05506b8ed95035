/**
 * The resume flag, RFLAGS.RF (SDM 3B 18.3.1.1): instruction breakpoints are not met while it is set, and every instruction that completes clears
 * it. No instruction spends time on that: when the bit is set, the instruction count at which it holds is noted.
 */
import { R, RF64, CURP, EFLAGS, F_RF, RF_AT } from './state';
import { instructionCount } from './clock';

/** RFLAGS.RF has just been set, by the instruction in progress or at a boundary: it holds until the next instruction completes. Whoever shows it then asks settleResumeFlag() first. */
export function startResumeFlag(): void {
  RF64[RF_AT >> 1] = instructionCount() + (R[CURP] !== 0 ? 1 : 0);
}

/** Clears RFLAGS.RF if an instruction has completed since it was set. */
export function settleResumeFlag(): void {
  if (R[EFLAGS] & F_RF && RF64[RF_AT >> 1] !== instructionCount()) R[EFLAGS] &= ~F_RF;
}

/** A repeated string instruction pauses before its last iteration: events here save RF = 1, and its breakpoint is not met again. */
export function setResumeFlagBetweenIterations(): void {
  R[EFLAGS] |= F_RF;
  startResumeFlag();
}
