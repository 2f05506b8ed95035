/** Samples the machine's counters and tells how fast it goes and where its time went. */
import type { Statistics } from './protocol';

/** Totals since power-on. */
export interface Counters {
  instructions: number;
  /** Instructions of level 1, and of level 2. */
  l1Instructions: number;
  l2Instructions: number;
  exits: number;
  guestSeconds: number;
}

const NONE: Counters = { instructions: 0, l1Instructions: 0, l2Instructions: 0, exits: 0, guestSeconds: 0 };

export class Meter {
  private before = NONE;
  private sampledAt: number;
  private running = 0;
  private waiting = 0;

  /** `now`: real time in milliseconds, like all times here. */
  constructor(now: number) {
    this.sampledAt = now;
  }

  /** The guest executed for so long. */
  addRunning(ms: number): void {
    this.running += ms;
  }

  /** The worker slept for so long because the guest had nothing to do. */
  addWaiting(ms: number): void {
    this.waiting += ms;
  }

  /** Milliseconds since the last sample. */
  age(now: number): number {
    return now - this.sampledAt;
  }

  /** Nothing that happened before counts: after a pause. */
  restart(now: number, counters: Counters): void {
    this.before = counters;
    this.sampledAt = now;
    this.running = 0;
    this.waiting = 0;
  }

  sample(now: number, counters: Counters): Statistics {
    const elapsed = Math.max(now - this.sampledAt, this.running + this.waiting, 1e-3);
    const instructions = counters.instructions - this.before.instructions;
    const l1 = instructions === 0 ? 1 : (counters.l1Instructions - this.before.l1Instructions) / instructions;
    const l2 = instructions === 0 ? 0 : (counters.l2Instructions - this.before.l2Instructions) / instructions;
    const running = this.running / elapsed, idle = this.waiting / elapsed;
    const statistics: Statistics = {
      mips: instructions / elapsed / 1000,
      exitsPerSecond: ((counters.exits - this.before.exits) / elapsed) * 1000,
      shares: { l0: Math.max(0, 1 - running - idle), l1: running * l1, l2: running * l2, l3: running * Math.max(0, 1 - l1 - l2), idle },
      instructions: counters.instructions,
      exits: counters.exits,
      guestSeconds: counters.guestSeconds,
    };
    this.restart(now, counters);
    return statistics;
  }
}
