import { describe, expect, it } from 'vitest';
import { Meter } from '../../src/worker/meter';

describe('Meter', () => {
  it('divides real time among levels', () => {
    const meter = new Meter(1000);
    meter.addRunning(100);
    meter.addWaiting(80);
    const sample = meter.sample(1200, { instructions: 4_000_000, l1Instructions: 1_000_000, l2Instructions: 2_000_000, exits: 50, guestSeconds: 1 });
    expect(sample.mips).toBeCloseTo(20);
    expect(sample.exitsPerSecond).toBeCloseTo(250);
    expect(sample.shares).toEqual({ l0: expect.closeTo(0.1), l1: expect.closeTo(0.125), l2: expect.closeTo(0.25), l3: expect.closeTo(0.125), idle: expect.closeTo(0.4) });
    // The next sample counts from here.
    const next = meter.sample(1300, { instructions: 4_000_000, l1Instructions: 1_000_000, l2Instructions: 2_000_000, exits: 50, guestSeconds: 1 });
    expect(next).toMatchObject({ mips: 0, exitsPerSecond: 0, shares: { l0: 1, l1: 0, l2: 0, idle: 0 } });
  });

  it('has shares that add up to one even if no time passed', () => {
    const meter = new Meter(0);
    meter.addRunning(5);
    const { shares } = meter.sample(0, { instructions: 10, l1Instructions: 10, l2Instructions: 0, exits: 0, guestSeconds: 0 });
    expect(shares.l0 + shares.l1 + shares.l2 + shares.l3 + shares.idle).toBeCloseTo(1);
  });
});
