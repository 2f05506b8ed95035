import { describe, expect, it } from 'vitest';
import { Pacer } from '../../src/worker/pacer';

describe('Pacer', () => {
  it('lets a machine live no faster than real time when it idles', () => {
    const pacer = new Pacer(0);
    let virtual = 0, now = 0;
    while (now < 10_000) {
      pacer.earn(now);
      if (pacer.available > 0) {
        const step = Math.min(0.001, pacer.available);
        virtual += step;
        pacer.spend(step);
      } else {
        // Never a busy wait.
        expect(pacer.wait).toBeGreaterThanOrEqual(3);
        now += pacer.wait;
      }
    }
    // What was saved up at the start, and the last wait's, come on top.
    expect(virtual).toBeGreaterThan(9.9);
    expect(virtual).toBeLessThan(10.2);
  });

  it('does not let a slow machine rush afterwards', () => {
    const pacer = new Pacer(0);
    pacer.earn(60_000);
    expect(pacer.available).toBeLessThanOrEqual(0.1);
    pacer.spend(0.1);
    expect(pacer.wait).toBeGreaterThanOrEqual(4);
  });

  it('counts no time while paused', () => {
    const pacer = new Pacer(0);
    pacer.spend(0.2);
    pacer.resume(5000);
    pacer.earn(5000);
    expect(pacer.available).toBe(0);
    expect(pacer.wait).toBeGreaterThanOrEqual(104);
    expect(pacer.wait).toBeLessThanOrEqual(105);
  });
});
