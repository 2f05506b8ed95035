import { describe, it, expect } from 'vitest';
import { Hpet } from '../../src/devices/hpet';
import { advance, Line, newClock } from './bench';
import type { Clock } from '../../src/machine/clock';

interface Bench {
  hpet: Hpet;
  clock: Clock;
  irq0: Line;
  irq8: Line;
  pins: Map<number, Line>;
  legacy: boolean[];
}

function bench(): Bench {
  const clock = newClock();
  const irq0 = new Line(), irq8 = new Line();
  const pins = new Map<number, Line>();
  for (let pin = 20; pin < 24; pin++) pins.set(pin, new Line());
  const legacy: boolean[] = [];
  const hpet = new Hpet(clock, {
    legacyReplacement: (active) => legacy.push(active),
    legacyLines: [irq0.drive, irq8.drive],
    pin: (pin, level) => pins.get(pin)?.drive(level),
  });
  return { hpet, clock, irq0, irq8, pins, legacy };
}

describe('HPET', () => {
  it('identifies itself: 3 timers, 64 bits, legacy replacement, 100 ns', () => {
    const { hpet } = bench();
    expect(hpet.read(0, 4) >>> 0).toBe(0x8086a201);
    expect(hpet.read(4, 4)).toBe(100_000_000);
    expect(hpet.read(0x104, 4)).toBe(0x00f00000);
    expect(hpet.read(0x100, 4)).toBe(0x30);
  });

  it('counts at 10 MHz while enabled, over 64 bits', () => {
    const { hpet, clock } = bench();
    advance(clock, 12_345);
    expect(hpet.read(0xf0, 4)).toBe(0);
    hpet.write(0xf0, 4, 0xfffffff0 | 0);
    hpet.write(0xf4, 4, 7);
    hpet.write(0x10, 4, 1);
    advance(clock, 1600);
    expect(hpet.read(0xf0, 4)).toBe(0);
    expect(hpet.read(0xf4, 4)).toBe(8);
    hpet.write(0x10, 4, 0);
    advance(clock, 1_000_000);
    expect(hpet.read(0xf0, 4)).toBe(0);
  });

  it('ticks periodically on IRQ 0 in legacy replacement, set up as Linux does', () => {
    const { hpet, clock, irq0, legacy } = bench();
    hpet.write(0x10, 4, 3);
    expect(legacy.at(-1)).toBe(true);
    // hpet_set_periodic: enable, periodic, set accumulator, 32-bit; then comparator, then period.
    const delta = 40_000;
    const cmp = hpet.read(0xf0, 4) + delta;
    hpet.write(0x100, 4, 0x14c);
    hpet.write(0x108, 4, cmp);
    advance(clock, 1000);
    hpet.write(0x108, 4, delta);
    advance(clock, 1_000_000_000 - 1000);
    expect(irq0.rises).toBe(250);
    // Leaving legacy replacement gives the line back low.
    hpet.write(0x10, 4, 1);
    expect(irq0.level).toBe(false);
  });

  it('fires one-shot at the comparator and again only after a whole turn', () => {
    const { hpet, clock, pins } = bench();
    hpet.write(0x10, 4, 1);
    hpet.write(0x120, 4, (20 << 9) | 0x104);
    hpet.write(0x128, 4, 500);
    advance(clock, 49_999);
    expect(pins.get(20)?.rises).toBe(0);
    advance(clock, 1);
    expect(pins.get(20)?.rises).toBe(1);
    advance(clock, 1_000_000_000);
    expect(pins.get(20)?.rises).toBe(1);
    advance(clock, 0x100000000 * 100);
    expect(pins.get(20)?.rises).toBe(2);
  });

  it('holds level interrupts in the status register', () => {
    const { hpet, clock, pins } = bench();
    hpet.write(0x10, 4, 1);
    hpet.write(0x140, 4, (21 << 9) | 6);
    hpet.write(0x148, 4, 10);
    hpet.write(0x14c, 4, 0);
    advance(clock, 1000);
    expect(pins.get(21)?.level).toBe(true);
    expect(hpet.read(0x20, 4)).toBe(4);
    hpet.write(0x20, 4, 4);
    expect(pins.get(21)?.level).toBe(false);
    expect(hpet.read(0x20, 4)).toBe(0);
  });

  it('goes on after save and restore', () => {
    const { hpet, clock, irq0 } = bench();
    hpet.write(0x10, 4, 3);
    hpet.write(0x100, 4, 0x14c);
    hpet.write(0x108, 4, 1000);
    hpet.write(0x108, 4, 1000);
    advance(clock, 250_000);
    const state = hpet.save();
    const now = clock.now();
    const other = bench();
    advance(other.clock, now);
    other.hpet.restore(state);
    advance(other.clock, 1_000_000);
    expect(other.irq0.rises).toBe(10);
    expect(irq0.rises).toBe(2);
  });
});
