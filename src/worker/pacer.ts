/**
 * Keeps the machine's time and real time together. A busy machine runs as fast as it can, and falls behind real time as it must. An
 * idle machine skips to its next event, and must not live faster than the people who watch it, nor keep a processor busy.
 *
 * Real time earns an allowance of virtual time; running spends it, by instructions and by idle time skipped alike. What may be saved
 * up is limited, so that a machine that was slow, or whose tab slept, does not rush afterwards.
 */

/** Most allowance that is kept, seconds of virtual time. */
const MOST_SECONDS = 0.1;
/** Least time to wait for: shorter waits are not worth a timer. */
const LEAST_WAIT_MS = 4;

export class Pacer {
  private allowance = MOST_SECONDS;
  private last: number;

  /** `now`: real time in milliseconds, from any origin, like all times here. */
  constructor(now: number) {
    this.last = now;
  }

  /** Credits the real time that has passed. */
  earn(now: number): void {
    this.allowance = Math.min(MOST_SECONDS, this.allowance + (now - this.last) / 1000);
    this.last = now;
  }

  spend(virtualSeconds: number): void {
    this.allowance -= virtualSeconds;
  }

  /** Virtual seconds that may pass now; 0 or less: wait. */
  get available(): number {
    return this.allowance;
  }

  /** Milliseconds until running makes sense again. */
  get wait(): number {
    return this.allowance > 0 ? 0 : Math.max(LEAST_WAIT_MS, Math.ceil(-this.allowance * 1000));
  }

  /** The machine was paused until now: no time passed for it. */
  resume(now: number): void {
    this.last = now;
  }
}
