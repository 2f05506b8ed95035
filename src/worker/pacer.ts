/**
 * Keeps the machine's time and real time together. A busy machine runs as fast as it can, and falls behind real time as it must. An
 * idle machine skips to its next event, and must not live faster than the people who watch it, nor keep a processor busy.
 *
 * Real time earns an allowance of virtual time; running spends it, by instructions and by idle time skipped alike. What may be saved
 * up is limited, so that a machine that was slow, or whose tab slept, does not rush afterwards. Once it is used up, some has to
 * be saved before the machine goes on: many tiny portions would be a busy wait.
 */

/** Most allowance that is kept, seconds of virtual time. */
const MOST_SECONDS = 0.1;
/** Allowance to save up after it was used up. */
const LEAST_SECONDS = 0.004;
/** Less than this counts as used up. */
const NOTHING_SECONDS = 1e-6;

export class Pacer {
  private allowance = MOST_SECONDS;
  private usedUp = false;
  private last: number;

  /** `now`: real time in milliseconds, from any origin, like all times here. */
  constructor(now: number) {
    this.last = now;
  }

  /** Credits the real time that has passed. */
  earn(now: number): void {
    this.allowance = Math.min(MOST_SECONDS, this.allowance + (now - this.last) / 1000);
    this.last = now;
    if (this.allowance >= LEAST_SECONDS) this.usedUp = false;
  }

  spend(virtualSeconds: number): void {
    this.allowance -= virtualSeconds;
    if (this.allowance < NOTHING_SECONDS) this.usedUp = true;
  }

  /** Virtual seconds that may pass now; 0: wait. */
  get available(): number {
    return this.usedUp ? 0 : this.allowance;
  }

  /** Milliseconds until running makes sense again. */
  get wait(): number {
    return this.usedUp ? Math.max(1, Math.ceil((LEAST_SECONDS - this.allowance) * 1000)) : 0;
  }

  /** The machine was paused until now: no time passed for it. */
  resume(now: number): void {
    this.last = now;
  }
}
