import { describe, it, expect } from 'vitest';
import { Rtc } from '../../src/devices/rtc';
import { DEFAULT_RTC_START } from '../../src/machine/layout';
import { advance, Line, newClock } from './bench';
import type { Clock } from '../../src/machine/clock';

/** An RTC at the very beginning of second `start`. */
function newRtc(start = DEFAULT_RTC_START): { rtc: Rtc; clock: Clock; irq: Line } {
  const clock = newClock();
  const irq = new Line();
  const rtc = new Rtc(clock, irq.drive, start - 1);
  advance(clock, clock.hz / 2);
  get(rtc, 0x0c);
  return { rtc, clock, irq };
}

function get(rtc: Rtc, index: number): number {
  rtc.write(0x70, 1, index);
  return rtc.read(0x71);
}

function set(rtc: Rtc, index: number, value: number): void {
  rtc.write(0x70, 1, index);
  rtc.write(0x71, 1, value);
}

function time(rtc: Rtc): number[] {
  return [0x32, 9, 8, 7, 4, 2, 0].map((index) => get(rtc, index));
}

describe('RTC', () => {
  it('starts at 2026-01-01, a Thursday, in BCD and 24-hour mode', () => {
    const { rtc } = newRtc();
    expect(time(rtc)).toEqual([0x20, 0x26, 0x01, 0x01, 0, 0, 0]);
    expect(get(rtc, 6)).toBe(5);
    expect(get(rtc, 0x0b)).toBe(2);
    expect(get(rtc, 0x0d)).toBe(0x80);
  });

  it('makes its first update half a second after power-on', () => {
    const clock = newClock();
    const rtc = new Rtc(clock, () => undefined, DEFAULT_RTC_START);
    advance(clock, clock.hz * 0.497);
    expect([get(rtc, 0x0a) & 0x80, get(rtc, 0)]).toEqual([0, 0]);
    advance(clock, clock.hz * 0.002);
    expect([get(rtc, 0x0a) & 0x80, get(rtc, 0)]).toEqual([0x80, 0]);
    advance(clock, clock.hz * 0.001);
    expect([get(rtc, 0x0a) & 0x80, get(rtc, 0)]).toEqual([0, 1]);
  });

  it('sets UIP before each second and only then', () => {
    const { rtc, clock } = newRtc();
    advance(clock, clock.hz * 0.99);
    expect(get(rtc, 0x0a) & 0x80).toBe(0);
    expect(get(rtc, 0)).toBe(0);
    advance(clock, clock.hz * 0.009);
    expect(get(rtc, 0x0a) & 0x80).toBe(0x80);
    advance(clock, clock.hz * 0.0015);
    expect(get(rtc, 0x0a) & 0x80).toBe(0);
    expect(get(rtc, 0)).toBe(1);
  });

  it('agrees with the calendar', () => {
    for (const iso of ['1999-12-31T23:59:59Z', '2000-02-28T23:59:59Z', '2024-02-28T23:59:59Z', '2026-07-14T11:59:59Z']) {
      const start = Date.parse(iso) / 1000;
      const { rtc, clock } = newRtc(start);
      advance(clock, clock.hz);
      const date = new Date((start + 1) * 1000);
      const bcd = (value: number): number => Number.parseInt(String(value), 16);
      const year = date.getUTCFullYear();
      expect(time(rtc)).toEqual([
        bcd(Math.floor(year / 100)), bcd(year % 100), bcd(date.getUTCMonth() + 1), bcd(date.getUTCDate()), bcd(date.getUTCHours()),
        bcd(date.getUTCMinutes()), bcd(date.getUTCSeconds()),
      ]);
      expect(get(rtc, 6)).toBe(date.getUTCDay() + 1);
    }
  });

  it('can be set while halted, also in 12-hour binary mode', () => {
    const { rtc, clock } = newRtc();
    set(rtc, 0x0b, 0x84);
    for (const [index, value] of [[0, 58], [2, 59], [4, 0x8b], [7, 31], [8, 12], [9, 29], [0x32, 0x20]]) set(rtc, index, value);
    advance(clock, clock.hz * 5);
    expect(get(rtc, 0)).toBe(58);
    set(rtc, 0x0b, 0x04);
    advance(clock, clock.hz * 2);
    expect([get(rtc, 9), get(rtc, 8), get(rtc, 7), get(rtc, 4), get(rtc, 0)]).toEqual([30, 1, 1, 12, 0]);
  });

  it('delivers periodic interrupts at the chosen rate', () => {
    const { rtc, clock, irq } = newRtc();
    set(rtc, 0x0a, 0x26); // 1024 Hz
    set(rtc, 0x0b, 0x42);
    let served = 0;
    const end = clock.now() + clock.hz / 4;
    while (clock.now() < end) {
      advance(clock, 100_000);
      if (irq.level) {
        served++;
        expect(get(rtc, 0x0c)).toBe(0xc0);
        expect(irq.level).toBe(false);
      }
    }
    expect(served).toBe(256);
  });

  it('delivers update-ended and alarm interrupts', () => {
    const { rtc, clock, irq } = newRtc();
    set(rtc, 0x0b, 0x12);
    advance(clock, clock.hz * 1.01);
    expect(irq.level).toBe(true);
    expect(get(rtc, 0x0c) & 0xb0).toBe(0x90);
    set(rtc, 1, 0x05);
    set(rtc, 3, 0xff);
    set(rtc, 5, 0xff);
    set(rtc, 0x0b, 0x22);
    advance(clock, clock.hz * 3.5);
    expect(irq.level).toBe(false);
    advance(clock, clock.hz);
    expect(irq.level).toBe(true);
    expect(get(rtc, 0x0c) & 0xa0).toBe(0xa0);
  });

  it('sets its flags without interrupts, and keeps no timer for them', () => {
    const { rtc, clock, irq } = newRtc();
    expect(clock.nextDeadline()).toBe(Infinity);
    advance(clock, clock.hz * 2);
    expect(get(rtc, 0x0c)).toBe(0x50);
    expect(get(rtc, 0x0c)).toBe(0);
    expect(irq.rises).toBe(0);
  });

  it('has battery-backed RAM in two banks', () => {
    const { rtc } = newRtc();
    set(rtc, 0x40, 0xa5);
    rtc.write(0x72, 1, 0xc0);
    rtc.write(0x73, 1, 0x5a);
    const copy = newRtc().rtc;
    copy.restore(rtc.save());
    expect(get(copy, 0x40)).toBe(0xa5);
    expect(copy.read(0x73)).toBe(0x5a);
  });
});
