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
  deadlineTsc: number;
  deadlineCycle: number;
}

export class LapicTimer {
  /** TIMER_*: bits 18:17 of the LVT entry. */
  private mode = TIMER_ONE_SHOT;
  private divideConfig = 0;
  private initialCount = 0;
  /** Cycle at which the count was last loaded. */
  private startCycle = 0;
  /** IA32_TSC_DEADLINE, 0 = disarmed, and the cycle it stands for. */
  private deadlineTsc = 0;
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
    this.startCycle = this.clock.now();
    this.schedule();
  }

  /** Current count register. */
  currentCount(): number {
    if (this.initialCount === 0 || this.mode === TIMER_DEADLINE) return 0;
    const counted = Math.floor((this.clock.now() - this.startCycle) / this.divisor);
    if (counted < this.initialCount) return this.initialCount - counted;
    return this.mode === TIMER_PERIODIC ? this.initialCount - (counted % this.initialCount) : 0;
  }

  get tscDeadline(): number {
    return this.mode === TIMER_DEADLINE ? this.deadlineTsc : 0;
  }

  /** IA32_TSC_DEADLINE; `tscOffset` = TSC minus virtual clock. Ignored in the other modes. */
  setTscDeadline(tsc: number, tscOffset: number): void {
    if (this.mode !== TIMER_DEADLINE) return;
    this.deadlineTsc = tsc;
    this.deadlineCycle = tsc === 0 ? Infinity : tsc - tscOffset;
    this.schedule();
  }

  reset(): void {
    this.mode = TIMER_ONE_SHOT;
    this.divideConfig = this.initialCount = this.startCycle = 0;
    this.disarm();
    this.clock.cancel(this.timer);
  }

  save(): LapicTimerState {
    const { mode, divideConfig, initialCount, startCycle, deadlineTsc } = this;
    return { mode, divideConfig, initialCount, startCycle, deadlineTsc, deadlineCycle: deadlineTsc === 0 ? 0 : this.deadlineCycle };
  }

  restore(state: LapicTimerState): void {
    this.mode = state.mode;
    this.divideConfig = state.divideConfig;
    this.initialCount = state.initialCount;
    this.startCycle = state.startCycle;
    this.deadlineTsc = state.deadlineTsc;
    this.deadlineCycle = state.deadlineTsc === 0 ? Infinity : state.deadlineCycle;
    this.schedule();
  }

  private disarm(): void {
    this.deadlineTsc = 0;
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
