/**
 * Timer of a local APIC (SDM 3A 10.5.4): one-shot, periodic and TSC-deadline. It counts the bus clock, here the TSC rate,
 * through the divider.
 */
import { Timer, type Clock } from '../machine/clock';

export const TIMER_ONE_SHOT = 0, TIMER_PERIODIC = 1, TIMER_DEADLINE = 2;

export interface LapicTimerState {
  mode: number;
  divideConfig: number;
  initialCount: number;
  startCycle: number;
  deadlineLow: number;
  deadlineHigh: number;
  deadlineCycle: number;
  ranOut: boolean;
}

const TWO_32 = 0x100000000;

export class LapicTimer {
  /** TIMER_*: bits 18:17 of the LVT entry. */
  private mode = TIMER_ONE_SHOT;
  private divideConfig = 0;
  private initialCount = 0;
  /** A one-shot count ended: whatever the mode becomes, nothing counts until the initial count is written. */
  private ranOut = false;
  /** Cycle at which the count was last loaded. */
  private startCycle = 0;
  /** IA32_TSC_DEADLINE, 0 = disarmed, and the cycle it stands for. */
  private deadlineLow = 0;
  private deadlineHigh = 0;
  private deadlineCycle = Infinity;
  private readonly clock: Clock;
  private readonly timer: Timer;

  constructor(clock: Clock, expired: () => void) {
    this.clock = clock;
    this.timer = new Timer((due) => {
      if (this.mode === TIMER_DEADLINE) {
        this.disarm();
      } else if (this.mode === TIMER_PERIODIC) {
        const period = this.initialCount * this.divisor;
        // Periods missed in an idle jump would find the vector still requested: skip them.
        const missed = Math.floor((this.clock.now() - due) / period);
        this.startCycle = due + missed * period;
        this.clock.schedule(this.timer, this.startCycle + period);
      }
      expired();
    });
  }

  /** Bus clocks per count. */
  private get divisor(): number {
    const code = (this.divideConfig & 3) | ((this.divideConfig >> 1) & 4);
    return code === 7 ? 1 : 2 << code;
  }

  setMode(mode: number): void {
    if (mode === this.mode) return;
    // Entering or leaving TSC-deadline mode disarms the timer.
    if (mode === TIMER_DEADLINE || this.mode === TIMER_DEADLINE) {
      this.disarm();
      this.initialCount = 0;
    } else {
      const remaining = this.currentCount();
      if (remaining !== 0) this.startCycle = this.clock.now() - (this.initialCount - remaining) * this.divisor;
      else this.ranOut = true;
    }
    this.mode = mode;
    this.schedule();
  }

  get divide(): number {
    return this.divideConfig;
  }

  /** Divide configuration register. The count in progress goes on from where it is. */
  setDivide(value: number): void {
    const remaining = this.currentCount();
    this.divideConfig = value & 0xb;
    if (remaining !== 0) this.startCycle = this.clock.now() - (this.initialCount - remaining) * this.divisor;
    this.schedule();
  }

  get initial(): number {
    return this.initialCount;
  }

  /** Initial count register (32 bits unsigned): starts the timer, 0 stops it. Ignored in TSC-deadline mode. */
  setInitial(value: number): void {
    if (this.mode === TIMER_DEADLINE) return;
    this.initialCount = value;
    this.ranOut = false;
    this.startCycle = this.clock.now();
    this.schedule();
  }

  /** Current count register. */
  currentCount(): number {
    if (this.initialCount === 0 || this.ranOut || this.mode === TIMER_DEADLINE) return 0;
    const counted = Math.floor((this.clock.now() - this.startCycle) / this.divisor);
    if (counted < this.initialCount) return this.initialCount - counted;
    return this.mode === TIMER_PERIODIC ? this.initialCount - (counted % this.initialCount) : 0;
  }

  /** Leaves IA32_TSC_DEADLINE in `value`: 0 while disarmed and in the other modes. */
  readTscDeadline(value: Int32Array): void {
    value[0] = this.deadlineLow;
    value[1] = this.deadlineHigh;
  }

  /** IA32_TSC_DEADLINE; `tscLow`, `tscHigh` = the TSC now. Ignored in the other modes. */
  writeTscDeadline(low: number, high: number, tscLow: number, tscHigh: number): void {
    if (this.mode !== TIMER_DEADLINE) return;
    this.deadlineLow = low;
    this.deadlineHigh = high;
    this.tscWritten(tscLow, tscHigh);
  }

  /** The TSC is (`tscLow`, `tscHigh`) now: the deadline comes when it reaches the value as an unsigned number, at once if it has. */
  tscWritten(tscLow: number, tscHigh: number): void {
    if ((this.deadlineLow | this.deadlineHigh) === 0) this.deadlineCycle = Infinity;
    else {
      const left = ((this.deadlineHigh >>> 0) - (tscHigh >>> 0)) * TWO_32 + ((this.deadlineLow >>> 0) - (tscLow >>> 0));
      this.deadlineCycle = this.clock.now() + Math.max(0, left);
    }
    this.schedule();
  }

  reset(): void {
    this.mode = TIMER_ONE_SHOT;
    this.divideConfig = this.initialCount = this.startCycle = 0;
    this.ranOut = false;
    this.disarm();
    this.clock.cancel(this.timer);
  }

  save(): LapicTimerState {
    const { mode, divideConfig, initialCount, startCycle, deadlineLow, deadlineHigh, ranOut } = this;
    const deadlineCycle = this.deadlineCycle === Infinity ? 0 : this.deadlineCycle;
    return { mode, divideConfig, initialCount, startCycle, deadlineLow, deadlineHigh, deadlineCycle, ranOut };
  }

  restore(state: LapicTimerState): void {
    this.mode = state.mode;
    this.divideConfig = state.divideConfig;
    this.initialCount = state.initialCount;
    this.startCycle = state.startCycle;
    this.ranOut = state.ranOut;
    this.deadlineLow = state.deadlineLow;
    this.deadlineHigh = state.deadlineHigh;
    this.deadlineCycle = (state.deadlineLow | state.deadlineHigh) === 0 ? Infinity : state.deadlineCycle;
    this.schedule();
  }

  private disarm(): void {
    this.deadlineLow = this.deadlineHigh = 0;
    this.deadlineCycle = Infinity;
  }

  private schedule(): void {
    let at = Infinity;
    if (this.mode === TIMER_DEADLINE) {
      at = this.deadlineCycle;
    } else {
      const remaining = this.currentCount();
      if (remaining !== 0) {
        const counted = Math.floor((this.clock.now() - this.startCycle) / this.divisor);
        at = this.startCycle + (counted + remaining) * this.divisor;
      }
    }
    this.clock.schedule(this.timer, at);
  }
}
