import { describe, it, expect } from 'vitest';
import { beginSlice, clockNow, resetClock, skipIdle } from '../../src/cpu/clock';
import { BUD, R } from '../../src/cpu/state';
import { Clock, Oscillator, Timer } from '../../src/machine/clock';

describe('device clock', () => {
  it('fires timers in order of time, then of creation', () => {
    resetClock();
    const clock = new Clock(1e9);
    const fired: string[] = [];
    const a = new Timer((due) => fired.push(`a${due}`));
    const b = new Timer((due) => fired.push(`b${due}`));
    const c = new Timer((due) => {
      fired.push(`c${due}`);
      if (due < 50) clock.schedule(c, due + 20);
    });
    clock.schedule(b, 30);
    clock.schedule(a, 30);
    clock.schedule(c, 10);
    expect(clock.nextDeadline()).toBe(10);
    clock.runDue(29);
    expect(fired).toEqual(['c10']);
    clock.runDue(100);
    expect(fired).toEqual(['c10', 'a30', 'b30', 'c30', 'c50']);
    expect(clock.nextDeadline()).toBe(Infinity);
  });

  it('reschedules and cancels', () => {
    resetClock();
    const clock = new Clock(1e9);
    let fired = 0;
    const timer = new Timer(() => fired++);
    clock.schedule(timer, 10);
    clock.schedule(timer, 20);
    clock.runDue(15);
    expect(fired).toBe(0);
    clock.cancel(timer);
    clock.cancel(timer);
    clock.runDue(100);
    expect(fired).toBe(0);
  });

  it('ends the slice when a timer becomes the next one', () => {
    resetClock();
    const clock = new Clock(1e9);
    const first = new Timer(() => undefined), second = new Timer(() => undefined);
    clock.schedule(first, 500);
    beginSlice(500);
    clock.schedule(second, 900);
    expect(R[BUD]).toBe(500);
    clock.schedule(second, 100);
    expect(R[BUD]).toBe(0);
    expect(clockNow()).toBe(0);
  });
});

describe('oscillators', () => {
  it('convert exactly in both directions, also far out', () => {
    resetClock();
    const clock = new Clock(1e9);
    for (const hz of [1_193_182, 3_579_545, 10_000_000, 32_768]) {
      const oscillator = new Oscillator(clock, hz);
      for (const tick of [1, 2, 999, hz, 12345 * hz + 7, 400_000_000 * 3]) {
        const cycle = oscillator.cycleOf(tick);
        expect(oscillator.ticksAt(cycle)).toBe(tick);
        expect(oscillator.ticksAt(cycle - 1)).toBe(tick - 1);
        expect(BigInt(cycle)).toBe((BigInt(tick) * 1_000_000_000n + BigInt(hz) - 1n) / BigInt(hz));
      }
    }
  });

  it('refuse frequencies without an exact ratio', () => {
    expect(() => new Oscillator(new Clock(2_999_999_929), 10_000_000)).toThrow(/rounder/);
  });

  it('follow idle time', () => {
    resetClock();
    const oscillator = new Oscillator(new Clock(1e9), 1_193_182);
    skipIdle(2e9);
    expect(oscillator.now()).toBe(2 * 1_193_182);
  });
});
