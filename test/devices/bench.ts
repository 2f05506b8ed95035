/** What device tests share: virtual time that is moved by hand, and lines that remember what happened. */
import { resetClock, skipIdle, clockNow } from '../../src/cpu/clock';
import { Clock } from '../../src/machine/clock';
import type { IrqLine } from '../../src/devices/device';

/** A clock at time 0 and a rate of `hz`. */
export function newClock(hz = 1_000_000_000): Clock {
  resetClock();
  return new Clock(hz);
}

/** Lets `cycles` pass, firing timers at their exact times. */
export function advance(clock: Clock, cycles: number): void {
  const target = clockNow() + cycles;
  while (clock.nextDeadline() <= target) {
    skipIdle(clock.nextDeadline());
    clock.runDue(clockNow());
  }
  skipIdle(target);
}

export class Line {
  level = false;
  rises = 0;
  readonly drive: IrqLine = (level) => {
    if (level && !this.level) this.rises++;
    this.level = level;
  };
}
