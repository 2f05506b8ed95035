/**
 * Device time: timers on the CPU's virtual clock (src/cpu/clock.ts), in cycles of the TSC, and exact conversion between that
 * clock and the oscillators of a PC. Everything that tells time derives from the one clock, so no two clocks can drift.
 *
 * Timers are objects their owners create once; scheduling one moves it in a small sorted array and allocates nothing.
 */
import { clockNow, endSliceNow } from '../cpu/clock';

/** A one-shot timer. `fire` receives the cycle at which the timer was due (the clock may be slightly later). */
export class Timer {
  /** Cycle at which it is due; Infinity when not scheduled. */
  deadline = Infinity;
  readonly fire: (dueCycles: number) => void;
  /** Breaks ties between equal deadlines: order of creation, so that a restored machine goes on in the same order. */
  readonly rank: number;

  constructor(fire: (dueCycles: number) => void) {
    this.fire = fire;
    this.rank = nextRank++;
  }
}

let nextRank = 0;

export class Clock {
  /** Cycles per second. */
  readonly hz: number;
  /** Scheduled timers, latest first, so that the next one is at the end. */
  private readonly queue: Timer[] = [];

  constructor(hz: number) {
    this.hz = hz;
  }

  /** Cycles since power-on. */
  now(): number {
    return clockNow();
  }

  /** (Re)schedules `timer` for cycle `atCycles`; Infinity cancels it. */
  schedule(timer: Timer, atCycles: number): void {
    this.cancel(timer);
    if (atCycles === Infinity) return;
    const queue = this.queue;
    timer.deadline = atCycles;
    let i = queue.length;
    queue.push(timer);
    while (i > 0 && firesBefore(queue[i - 1], timer)) {
      queue[i] = queue[i - 1];
      i--;
    }
    queue[i] = timer;
    if (i === queue.length - 1) endSliceNow();
  }

  cancel(timer: Timer): void {
    if (timer.deadline === Infinity) return;
    const queue = this.queue;
    const last = queue.length - 1;
    for (let i = queue.indexOf(timer); i < last; i++) queue[i] = queue[i + 1];
    queue.length = last;
    timer.deadline = Infinity;
  }

  /** Cycle of the next timer, Infinity if there is none. */
  nextDeadline(): number {
    const queue = this.queue;
    return queue.length === 0 ? Infinity : queue[queue.length - 1].deadline;
  }

  /** Fires everything due at or before cycle `now`, in order. */
  runDue(now: number): void {
    const queue = this.queue;
    while (queue.length > 0) {
      const timer = queue[queue.length - 1];
      const due = timer.deadline;
      if (due > now) return;
      queue.length--;
      timer.deadline = Infinity;
      timer.fire(due);
    }
  }
}

/** An oscillator of `hz` ticks per second that started with the machine: tick k happens at the first cycle >= k * clock.hz / hz. */
export class Oscillator {
  /** Reduced fraction: `ticks` ticks take exactly `cycles` cycles. */
  private readonly ticks: number;
  private readonly cycles: number;
  private readonly clock: Clock;

  constructor(clock: Clock, hz: number) {
    const divisor = gcd(clock.hz, hz);
    this.clock = clock;
    this.ticks = hz / divisor;
    this.cycles = clock.hz / divisor;
    if (this.ticks * this.cycles > Number.MAX_SAFE_INTEGER) {
      throw new Error(`a TSC of ${clock.hz} Hz has no exact ratio to ${hz} Hz: choose a rounder frequency`);
    }
  }

  /** Ticks completed up to now. */
  now(): number {
    return this.ticksAt(this.clock.now());
  }

  /** Ticks completed at a cycle. */
  ticksAt(cycle: number): number {
    const whole = Math.floor(cycle / this.cycles);
    const rest = cycle - whole * this.cycles;
    return whole * this.ticks + Math.floor((rest * this.ticks) / this.cycles);
  }

  /** First cycle at which `tick` ticks are completed. */
  cycleOf(tick: number): number {
    const whole = Math.floor(tick / this.ticks);
    const rest = tick - whole * this.ticks;
    return whole * this.cycles + Math.ceil((rest * this.cycles) / this.ticks);
  }
}

function firesBefore(a: Timer, b: Timer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.rank < b.rank);
}

function gcd(a: number, b: number): number {
  while (b !== 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
