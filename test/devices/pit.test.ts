import { describe, it, expect } from 'vitest';
import { Pit } from '../../src/devices/pit';
import { advance, Line, newClock } from './bench';
import type { Clock } from '../../src/machine/clock';

const PIT_HZ = 1193182;

function newPit(): { pit: Pit; clock: Clock; irq: Line } {
  const clock = newClock();
  const irq = new Line();
  return { pit: new Pit(clock, irq.drive), clock, irq };
}

function readCounter(pit: Pit, counter: number): number {
  const low = pit.read(0x40 + counter);
  return low | (pit.read(0x40 + counter) << 8);
}

describe('8254', () => {
  it('ticks at 1193182 Hz in mode 2', () => {
    const { pit, clock, irq } = newPit();
    pit.write(0x43, 1, 0x34);
    const divisor = 4773; // 250 Hz
    pit.write(0x40, 1, divisor & 0xff);
    pit.write(0x40, 1, divisor >> 8);
    const before = irq.rises;
    advance(clock, clock.hz);
    expect(irq.rises - before).toBe(Math.floor((PIT_HZ - 1) / divisor));
  });

  it('fires once in mode 0', () => {
    const { pit, clock, irq } = newPit();
    pit.write(0x43, 1, 0x30);
    expect(irq.level).toBe(false);
    pit.write(0x40, 1, 0xe8);
    pit.write(0x40, 1, 0x03);
    advance(clock, 830_000); // 990 pulses
    expect(irq.rises).toBe(0);
    advance(clock, 20_000);
    expect(irq.rises).toBe(1);
    advance(clock, clock.hz);
    expect(irq.rises).toBe(1);
  });

  it('calibrates a TSC the way Linux does: counter 2, mode 0, most significant byte', () => {
    const { pit, clock } = newPit();
    // quick_pit_calibrate: gate on, speaker off, count FFFFh, then watch the high byte.
    pit.write(0x61, 1, (pit.read(0x61) & ~2) | 1);
    pit.write(0x43, 1, 0xb0);
    pit.write(0x42, 1, 0xff);
    pit.write(0x42, 1, 0xff);
    const waitFor = (high: number): number => {
      let passes = 0;
      for (;;) {
        pit.read(0x42);
        if (pit.read(0x42) !== high) return passes;
        advance(clock, 100);
        passes++;
      }
    };
    expect(waitFor(0xff)).toBeGreaterThan(100);
    const start = clock.now();
    for (let i = 1; i <= 50; i++) expect(waitFor(0xff - i)).toBeGreaterThan(100);
    const tscPerTick = (clock.now() - start) / (50 * 256);
    expect(Math.abs(tscPerTick * PIT_HZ - clock.hz) / clock.hz).toBeLessThan(1e-4);
  });

  it('raises the output of counter 2 in port 61h after 50 ms (pit_calibrate_tsc)', () => {
    const { pit, clock } = newPit();
    pit.write(0x61, 1, (pit.read(0x61) & ~2) | 1);
    const latch = Math.floor(PIT_HZ / 20);
    pit.write(0x43, 1, 0xb0);
    pit.write(0x42, 1, latch & 0xff);
    pit.write(0x42, 1, latch >> 8);
    expect(pit.read(0x61) & 0x20).toBe(0);
    const start = clock.now();
    while (!(pit.read(0x61) & 0x20)) advance(clock, 1000);
    expect(Math.abs(clock.now() - start - clock.hz / 20)).toBeLessThan(3000);
  });

  it('counts only while the gate is high', () => {
    const { pit, clock } = newPit();
    pit.write(0x61, 1, 1);
    pit.write(0x43, 1, 0xb0);
    pit.write(0x42, 1, 0x00);
    pit.write(0x42, 1, 0x10);
    advance(clock, 1_000_000);
    pit.write(0x61, 1, 0);
    pit.write(0x43, 1, 0x80);
    const held = readCounter(pit, 2);
    advance(clock, 5_000_000);
    expect(readCounter(pit, 2)).toBe(held);
    pit.write(0x61, 1, 1);
    advance(clock, 1_000_000);
    expect(held - readCounter(pit, 2)).toBeGreaterThanOrEqual(1192);
  });

  it('latches count and status by read-back', () => {
    const { pit, clock } = newPit();
    pit.write(0x43, 1, 0x36);
    pit.write(0x43, 1, 0xe2); // status of counter 0
    expect(pit.read(0x40)).toBe(0x80 | 0x40 | 0x36); // output high, null count
    pit.write(0x40, 1, 0x00);
    pit.write(0x40, 1, 0x00);
    advance(clock, 10_000_000);
    pit.write(0x43, 1, 0xc2); // both
    const status = pit.read(0x40);
    expect(status & 0x7f).toBe(0x36);
    const latched = readCounter(pit, 0);
    expect(latched & 1).toBe(0); // mode 3 counts by two
    // 11931 pulses counted by two from 65536.
    expect(Math.abs(65536 - latched - 2 * 11931)).toBeLessThanOrEqual(2);
    expect(status >> 7).toBe(1);
  });

  it('counts in BCD and by single bytes', () => {
    const { pit, clock } = newPit();
    pit.write(0x43, 1, 0x31);
    pit.write(0x40, 1, 0x00);
    pit.write(0x40, 1, 0x10); // 1000
    advance(clock, 101 * 839); // 101 pulses, the first of which loads
    expect(readCounter(pit, 0)).toBe(0x0900);
    pit.write(0x43, 1, 0x10);
    pit.write(0x40, 1, 200);
    advance(clock, 838 * 51);
    expect(pit.read(0x40)).toBeGreaterThan(145);
    expect(pit.read(0x40)).toBeLessThan(152);
  });

  it('starts a mode 1 pulse at the rising gate', () => {
    const { pit, clock } = newPit();
    pit.write(0x43, 1, 0xb2);
    pit.write(0x42, 1, 100);
    pit.write(0x42, 1, 0);
    expect(pit.read(0x61) & 0x20).toBe(0x20);
    pit.write(0x61, 1, 1);
    advance(clock, 2000);
    expect(pit.read(0x61) & 0x20).toBe(0);
    advance(clock, 100_000);
    expect(pit.read(0x61) & 0x20).toBe(0x20);
  });

  it('goes on after save and restore', () => {
    const { pit, clock, irq } = newPit();
    pit.write(0x43, 1, 0x34);
    pit.write(0x40, 1, 0);
    pit.write(0x40, 1, 4);
    advance(clock, 1_500_000);
    const rises = irq.rises;
    const copyIrq = new Line();
    copyIrq.level = irq.level;
    const copy = new Pit(clock, copyIrq.drive);
    copy.restore(pit.save());
    advance(clock, 10_000_000);
    expect(copyIrq.rises).toBe(irq.rises - rises);
    expect(copy.save()).toEqual(pit.save());
  });
});
