/**
 * 8254 programmable interval timer (Intel 8254 datasheet 231164) at ports 40h-43h, and port 61h, which holds the gate of
 * counter 2 and shows its output. The counters are not stepped: what a counter shows follows from the clock.
 *
 * Counter 0 drives IRQ 0. In the periodic modes only the rising edge of its output is delivered (as a pulse); the falling half
 * of mode 3 matters to no edge-triggered input. Left out: parity and channel-check NMIs of port 61h (never raised).
 */
import { Oscillator, Timer, type Clock } from '../machine/clock';
import { PIT_HZ } from '../machine/layout';
import type { Device, IrqLine, PortBus, PortHandler } from './device';

/** Access modes of the control word (bits 5:4). */
const ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_WORD = 3;

export interface PitCounterState {
  /** 0-5. */
  mode: number;
  bcd: boolean;
  access: number;
  gate: boolean;
  /** Count in force, 1 to 65536 (10000 in BCD); 0 while none was written since the control word. */
  count: number;
  /** Clock pulse at which the counting element took `count`; with the gate low: pulses counted so far, see `counting`. */
  start: number;
  counting: boolean;
  /** Mode 2 and 3: a new count that takes effect at pulse `nextStart`; 0 = none. */
  nextCount: number;
  nextStart: number;
  /** Modes 1 and 5: the gate has triggered. Modes 0 and 4: a count was loaded. */
  triggered: boolean;
  writeLow: number;
  writeSecond: boolean;
  readSecond: boolean;
  latchedCount: number;
  latchedStatus: number;
}

export interface PitState {
  counters: PitCounterState[];
  speakerEnabled: boolean;
  nmiDisable: number;
}

/** One counter; times are in pulses of the 8254 clock. */
class Counter {
  s: PitCounterState = initialState();

  /** OUT pin at pulse `now`. */
  output(now: number): boolean {
    const s = this.s;
    this.settle(now);
    const elapsed = this.elapsed(now);
    switch (s.mode) {
      case 0: return s.triggered && elapsed >= s.count;
      case 1: return !s.triggered || elapsed >= s.count;
      case 2: return !s.gate || s.count === 0 || elapsed < 0 || elapsed % s.count !== s.count - 1;
      case 3: return !s.gate || s.count === 0 || elapsed < 0 || elapsed % s.count < (s.count + 1) >> 1;
      default: return !s.triggered || elapsed !== s.count;
    }
  }

  /** The counting element at pulse `now`, in binary 0-65535 (BCD: 0-9999). */
  value(now: number): number {
    const s = this.s;
    this.settle(now);
    const span = s.bcd ? 10000 : 65536;
    if (s.count === 0) return 0;
    const elapsed = Math.max(0, this.elapsed(now));
    if (s.mode === 2) return (s.count - (elapsed % s.count)) % span;
    if (s.mode === 3) {
      // Counts by two from an even number, once for each half period.
      const even = s.count & ~1;
      const high = (s.count + 1) >> 1;
      const phase = elapsed % s.count;
      return (even - 2 * (phase < high ? phase : phase - high)) % span;
    }
    return (((s.count - elapsed) % span) + span) % span;
  }

  /** Pulse of the next rising edge of OUT after `now`, Infinity if none will come by itself. */
  nextRise(now: number): number {
    const s = this.s;
    this.settle(now);
    if (s.count === 0 || !s.counting) return Infinity;
    const elapsed = this.elapsed(now);
    if (s.mode === 2 || s.mode === 3) {
      const next = s.start + s.count * (Math.floor(Math.max(0, elapsed) / s.count) + 1);
      return next;
    }
    if (!s.triggered) return Infinity;
    const rise = s.start + s.count + (s.mode >= 4 ? 1 : 0);
    return rise > now ? rise : Infinity;
  }

  control(value: number): void {
    const s = this.s;
    const mode = (value >> 1) & 7;
    s.mode = mode > 5 ? mode - 4 : mode;
    s.bcd = (value & 1) !== 0;
    s.access = (value >> 4) & 3;
    s.count = s.nextCount = 0;
    s.triggered = s.counting = s.writeSecond = s.readSecond = false;
    s.latchedCount = s.latchedStatus = -1;
  }

  latchCount(now: number): void {
    if (this.s.latchedCount < 0) this.s.latchedCount = this.encode(this.value(now));
  }

  latchStatus(now: number): void {
    const s = this.s;
    if (s.latchedStatus >= 0) return;
    const out = this.output(now);
    const null_ = s.count === 0 || s.nextCount !== 0 || (s.counting && now < s.start) || (isTriggeredMode(s.mode) && !s.triggered);
    s.latchedStatus = (out ? 0x80 : 0) | (null_ ? 0x40 : 0) | (s.access << 4) | (s.mode << 1) | (s.bcd ? 1 : 0);
  }

  read(now: number): number {
    const s = this.s;
    if (s.latchedStatus >= 0) {
      const status = s.latchedStatus;
      s.latchedStatus = -1;
      return status;
    }
    const value = s.latchedCount >= 0 ? s.latchedCount : this.encode(this.value(now));
    const high = s.access === ACCESS_HIGH || (s.access === ACCESS_WORD && s.readSecond);
    if (s.access === ACCESS_WORD) s.readSecond = !s.readSecond;
    if (s.access !== ACCESS_WORD || high) s.latchedCount = -1;
    return high ? value >> 8 : value & 0xff;
  }

  write(value: number, now: number): void {
    const s = this.s;
    if (s.access === ACCESS_LOW) this.load(value, now);
    else if (s.access === ACCESS_HIGH) this.load(value << 8, now);
    else if (!s.writeSecond) {
      s.writeLow = value;
      s.writeSecond = true;
      // Mode 0: the first byte stops counting and lowers OUT.
      if (s.mode === 0) s.triggered = s.counting = false;
    } else {
      s.writeSecond = false;
      this.load(s.writeLow | (value << 8), now);
    }
  }

  setGate(gate: boolean, now: number): void {
    const s = this.s;
    if (gate === s.gate) return;
    this.settle(now);
    const rising = gate;
    if (s.mode === 0 || s.mode === 4) {
      // The gate suspends counting.
      if (s.triggered && rising) {
        s.start = now - s.start;
        s.counting = true;
      } else if (s.triggered && s.counting) {
        s.start = now - s.start;
        s.counting = false;
      }
    } else if (isTriggeredMode(s.mode)) {
      if (rising && s.count !== 0) {
        s.triggered = s.counting = true;
        s.start = now + 1;
      }
    } else if (s.count !== 0) {
      s.counting = rising;
      s.start = rising ? now + 1 : 0;
    }
    s.gate = gate;
  }

  private load(raw: number, now: number): void {
    const s = this.s;
    let count = s.bcd ? fromBcd(raw) : raw;
    if (count === 0) count = s.bcd ? 10000 : 65536;
    this.settle(now);
    if (isTriggeredMode(s.mode)) {
      s.count = count;
      return;
    }
    if ((s.mode === 2 || s.mode === 3) && s.counting) {
      // The present period (mode 3: half period, here rounded to the whole) is completed first.
      s.nextCount = count;
      s.nextStart = now < s.start ? s.start : this.nextRise(now);
      return;
    }
    s.count = count;
    s.triggered = true;
    s.counting = s.gate;
    s.start = s.gate ? now + 1 : 0;
  }

  /** Pulses counted since the count was taken; negative before. */
  private elapsed(now: number): number {
    return this.s.counting ? now - this.s.start : this.s.start;
  }

  private settle(now: number): void {
    const s = this.s;
    if (s.nextCount !== 0 && now >= s.nextStart) {
      s.count = s.nextCount;
      s.start = s.nextStart;
      s.nextCount = 0;
    }
  }

  private encode(value: number): number {
    return this.s.bcd ? toBcd(value) : value & 0xffff;
  }
}

function isTriggeredMode(mode: number): boolean {
  return mode === 1 || mode === 5;
}

function fromBcd(raw: number): number {
  return (raw & 15) + ((raw >> 4) & 15) * 10 + ((raw >> 8) & 15) * 100 + ((raw >> 12) & 15) * 1000;
}

function toBcd(value: number): number {
  return (value % 10) | ((Math.floor(value / 10) % 10) << 4) | ((Math.floor(value / 100) % 10) << 8) | ((Math.floor(value / 1000) % 10) << 12);
}

function initialState(): PitCounterState {
  return {
    mode: 3, bcd: false, access: ACCESS_WORD, gate: true, count: 0, start: 0, counting: false, nextCount: 0, nextStart: 0, triggered: false,
    writeLow: 0, writeSecond: false, readSecond: false, latchedCount: -1, latchedStatus: -1,
  };
}

export class Pit implements Device<PitState>, PortHandler {
  private readonly counters = [new Counter(), new Counter(), new Counter()];
  private readonly oscillator: Oscillator;
  private readonly clock: Clock;
  private readonly irq: IrqLine;
  private readonly timer: Timer;
  private speakerEnabled = false;
  private nmiDisable = 0;

  constructor(clock: Clock, irq: IrqLine) {
    this.clock = clock;
    this.irq = irq;
    this.oscillator = new Oscillator(clock, PIT_HZ);
    this.timer = new Timer(() => {
      this.irq(false);
      this.updateIrq();
    });
    this.counters[2].s.gate = false;
  }

  attach(bus: PortBus): void {
    bus.map(0x40, 4, this);
    bus.map(0x61, 1, this);
  }

  /** True while the speaker is driven and its counter's output is high. */
  get speakerOn(): boolean {
    return this.speakerEnabled && this.counters[2].output(this.oscillator.now());
  }

  read(port: number): number {
    const now = this.oscillator.now();
    if (port === 0x61) return this.readPort61(now);
    return port === 0x43 ? 0xff : this.counters[port & 3].read(now);
  }

  write(port: number, _size: number, value: number): void {
    const now = this.oscillator.now();
    if (port === 0x61) {
      this.speakerEnabled = (value & 2) !== 0;
      this.nmiDisable = value & 0xc;
      this.counters[2].setGate((value & 1) !== 0, now);
      return;
    }
    if (port !== 0x43) {
      this.counters[port & 3].write(value, now);
      if (port === 0x40) this.updateIrq();
    } else if (value >> 6 === 3) {
      for (let i = 0; i < 3; i++) {
        if (!(value & (2 << i))) continue;
        if (!(value & 0x20)) this.counters[i].latchCount(now);
        if (!(value & 0x10)) this.counters[i].latchStatus(now);
      }
    } else if ((value & 0x30) === 0) {
      this.counters[value >> 6].latchCount(now);
    } else {
      this.counters[value >> 6].control(value);
      if (value >> 6 === 0) this.updateIrq();
    }
  }

  reset(): void {
    for (const counter of this.counters) counter.s = initialState();
    this.counters[2].s.gate = false;
    this.speakerEnabled = false;
    this.nmiDisable = 0;
    this.updateIrq();
  }

  save(): PitState {
    return { counters: this.counters.map((c) => ({ ...c.s })), speakerEnabled: this.speakerEnabled, nmiDisable: this.nmiDisable };
  }

  restore(state: PitState): void {
    state.counters.forEach((saved, i) => (this.counters[i].s = { ...saved }));
    this.speakerEnabled = state.speakerEnabled;
    this.nmiDisable = state.nmiDisable;
    this.schedule();
  }

  /** Bit 4 toggles with every DRAM refresh request: every 18 pulses, which firmware sets in counter 1 and old software times by. */
  private readPort61(now: number): number {
    const counter2 = this.counters[2];
    return (
      (counter2.s.gate ? 1 : 0) | (this.speakerEnabled ? 2 : 0) | this.nmiDisable | ((Math.floor(now / 18) & 1) << 4) | (counter2.output(now) ? 0x20 : 0)
    );
  }

  private updateIrq(): void {
    this.irq(this.counters[0].output(this.oscillator.now()));
    this.schedule();
  }

  private schedule(): void {
    const rise = this.counters[0].nextRise(this.oscillator.now());
    this.clock.schedule(this.timer, rise === Infinity ? Infinity : this.oscillator.cycleOf(rise));
  }
}
