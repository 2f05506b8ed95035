/**
 * High Precision Event Timer (IA-PC HPET specification 1.0a): a 64-bit counter of 10 MHz and three timers, each 32- or 64-bit,
 * one-shot or periodic, edge or level, with legacy replacement. Left out: delivery as front-side-bus messages (not offered).
 *
 * 64-bit values are (low, high) pairs of unsigned words; distances are doubles.
 */
import { Oscillator, Timer, type Clock } from '../machine/clock';
import { HPET_HZ } from '../machine/layout';
import type { Device, IrqLine, MmioHandler } from './device';

const TIMERS = 3;
const WORD_SPAN = 0x100000000;

// Register offsets
const CAPABILITIES = 0x00, PERIOD = 0x04, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, TIMER_BASE = 0x100, TIMER_STRIDE = 0x20;
// Within a timer
const TIMER_CONFIG = 0x00, TIMER_ROUTES = 0x04, TIMER_COMPARE = 0x08;
// General configuration
const ENABLE = 1, LEGACY = 2;
// Timer configuration
const T_LEVEL = 2, T_INTERRUPT = 4, T_PERIODIC = 8, T_SET_ACCUMULATOR = 0x40, T_32BIT = 0x100, T_WRITABLE = 0x3f4e;
/** Periodic and 64-bit capable. */
const T_CAPABILITIES = 0x30;
/** IOAPIC inputs that a timer may be routed to: 20-23. */
export const HPET_ROUTES = 0x00f00000;
/** Low word of the capabilities (the ACPI HPET table repeats it): vendor 8086h, legacy replacement, 64 bits, number of the last timer, revision 1. */
export const HPET_CAPABILITIES = 0x80860000 | 0x8000 | 0x2000 | ((TIMERS - 1) << 8) | 1;
const FEMTOSECONDS_PER_TICK = 1e15 / HPET_HZ;

export interface HpetTimerState {
  config: number;
  compareLow: number;
  compareHigh: number;
  periodLow: number;
  periodHigh: number;
}

export interface HpetState {
  config: number;
  status: number;
  baseLow: number;
  baseHigh: number;
  baseTick: number;
  timers: HpetTimerState[];
}

/** Where the interrupts of the HPET go. */
export interface HpetWiring {
  /** Takes IRQ 0 and IRQ 8 away from the 8254 and the RTC. */
  legacyReplacement(active: boolean): void;
  /** IRQ 0 and IRQ 8, for timers 0 and 1 in legacy replacement. */
  legacyLines: readonly [IrqLine, IrqLine];
  /** IOAPIC inputs. */
  pin(pin: number, level: boolean): void;
}

class HpetTimer {
  config = 0;
  compareLow = 0xffffffff;
  compareHigh = 0xffffffff;
  periodLow = 0;
  periodHigh = 0;
  readonly timer: Timer;

  constructor(expired: () => void) {
    this.timer = new Timer(expired);
  }
}

export class Hpet implements Device<HpetState>, MmioHandler {
  readonly name = 'hpet';
  private config = 0;
  private status = 0;
  /** Counter value at oscillator tick `baseTick` (while halted: the value). */
  private baseLow = 0;
  private baseHigh = 0;
  private baseTick = 0;
  private readonly timers: HpetTimer[] = [];
  private readonly clock: Clock;
  private readonly oscillator: Oscillator;
  private readonly wiring: HpetWiring;
  /** Counter as sampled by sampleCounter(). */
  private counterLow = 0;
  private counterHigh = 0;

  constructor(clock: Clock, wiring: HpetWiring) {
    this.clock = clock;
    this.oscillator = new Oscillator(clock, HPET_HZ);
    this.wiring = wiring;
    for (let i = 0; i < TIMERS; i++) this.timers.push(new HpetTimer(() => this.expired(i)));
  }

  read(offset: number, size: number): number {
    const value = this.readWord(offset & ~3) >> ((offset & 3) * 8);
    return size === 4 ? value | 0 : size === 2 ? value & 0xffff : value & 0xff;
  }

  /** Only aligned 32-bit writes (and pairs of them) are defined. */
  write(offset: number, size: number, value: number): void {
    if (size !== 4 || offset & 3) return;
    if (offset >= TIMER_BASE) {
      this.writeTimer(offset, value);
      return;
    }
    switch (offset) {
      case CONFIG: this.writeConfig(value); break;
      case STATUS: this.clearStatus(value); break;
      case COUNTER:
      case COUNTER + 4:
        this.rebase();
        if (offset === COUNTER) this.baseLow = value >>> 0;
        else this.baseHigh = value >>> 0;
        this.rescheduleAll();
        break;
    }
  }

  reset(): void {
    for (let i = 0; i < TIMERS; i++) {
      this.setLine(i, false);
      const t = this.timers[i];
      t.config = 0;
      t.compareLow = t.compareHigh = 0xffffffff;
      t.periodLow = t.periodHigh = 0;
      this.clock.cancel(t.timer);
    }
    this.config = this.status = 0;
    this.baseLow = this.baseHigh = this.baseTick = 0;
    this.wiring.legacyReplacement(false);
  }

  save(): HpetState {
    const { config, status, baseLow, baseHigh, baseTick } = this;
    const timers = this.timers.map(({ config, compareLow, compareHigh, periodLow, periodHigh }) => ({ config, compareLow, compareHigh, periodLow, periodHigh }));
    return { config, status, baseLow, baseHigh, baseTick, timers };
  }

  restore(state: HpetState): void {
    this.config = state.config;
    this.status = state.status;
    this.baseLow = state.baseLow;
    this.baseHigh = state.baseHigh;
    this.baseTick = state.baseTick;
    state.timers.forEach((saved, i) => Object.assign(this.timers[i], saved));
    this.wiring.legacyReplacement((state.config & LEGACY) !== 0);
    // A comparator that equals the counter has fired already.
    for (let i = 0; i < TIMERS; i++) this.schedule(i, false);
  }

  private get running(): boolean {
    return (this.config & ENABLE) !== 0;
  }

  private readWord(offset: number): number {
    if (offset >= TIMER_BASE) return this.readTimer(offset);
    switch (offset) {
      case CAPABILITIES: return HPET_CAPABILITIES;
      case PERIOD: return FEMTOSECONDS_PER_TICK;
      case CONFIG: return this.config;
      case STATUS: return this.status;
      case COUNTER:
        this.sampleCounter();
        return this.counterLow;
      case COUNTER + 4:
        this.sampleCounter();
        return this.counterHigh;
      default: return 0;
    }
  }

  private readTimer(offset: number): number {
    const index = (offset - TIMER_BASE) / TIMER_STRIDE | 0;
    if (index >= TIMERS) return 0;
    const t = this.timers[index];
    switch ((offset - TIMER_BASE) % TIMER_STRIDE) {
      case TIMER_CONFIG: return t.config | T_CAPABILITIES;
      case TIMER_ROUTES: return HPET_ROUTES;
      case TIMER_COMPARE: return t.compareLow;
      case TIMER_COMPARE + 4: return t.config & T_32BIT ? 0 : t.compareHigh;
      default: return 0;
    }
  }

  private writeConfig(value: number): void {
    this.rebase();
    // Lines that are about to belong to others are left low.
    if ((value ^ this.config) & LEGACY) for (let i = 0; i < 2; i++) this.setLine(i, false);
    this.config = value & (ENABLE | LEGACY);
    this.wiring.legacyReplacement((value & LEGACY) !== 0);
    this.rescheduleAll();
  }

  /** Writing ones clears the interrupts of level-triggered timers. */
  private clearStatus(value: number): void {
    for (let i = 0; i < TIMERS; i++) {
      if (value & this.status & (1 << i)) this.setLine(i, false);
    }
    this.status &= ~value;
  }

  private writeTimer(offset: number, value: number): void {
    const index = (offset - TIMER_BASE) / TIMER_STRIDE | 0;
    if (index >= TIMERS) return;
    const t = this.timers[index];
    switch ((offset - TIMER_BASE) % TIMER_STRIDE) {
      case TIMER_CONFIG: {
        if (this.status & (1 << index)) this.setLine(index, false);
        t.config = value & T_WRITABLE;
        if (t.config & T_32BIT) t.compareHigh = t.periodHigh = 0;
        // A level-triggered interrupt that is still pending follows the new enable and route.
        if (this.status & (1 << index) && t.config & T_INTERRUPT && t.config & T_LEVEL) this.setLine(index, true);
        break;
      }
      case TIMER_COMPARE:
        if (!(t.config & T_PERIODIC) || t.config & T_SET_ACCUMULATOR) t.compareLow = value >>> 0;
        t.periodLow = value >>> 0;
        // The bit that opens the accumulator closes by itself; a 64-bit write arrives as two halves, the low one first.
        if (t.config & T_32BIT) t.config &= ~T_SET_ACCUMULATOR;
        break;
      case TIMER_COMPARE + 4:
        if (t.config & T_32BIT) break;
        if (!(t.config & T_PERIODIC) || t.config & T_SET_ACCUMULATOR) t.compareHigh = value >>> 0;
        t.periodHigh = value >>> 0;
        t.config &= ~T_SET_ACCUMULATOR;
        break;
      default: return;
    }
    this.schedule(index, true);
  }

  private sampleCounter(): void {
    const elapsed = this.running ? this.oscillator.now() - this.baseTick : 0;
    const low = this.baseLow + (elapsed % WORD_SPAN);
    this.counterLow = low % WORD_SPAN;
    this.counterHigh = (this.baseHigh + Math.floor(elapsed / WORD_SPAN) + (low >= WORD_SPAN ? 1 : 0)) % WORD_SPAN;
  }

  /** Makes the present value the base. */
  private rebase(): void {
    this.sampleCounter();
    this.baseLow = this.counterLow;
    this.baseHigh = this.counterHigh;
    this.baseTick = this.oscillator.now();
  }

  private rescheduleAll(): void {
    for (let i = 0; i < TIMERS; i++) this.schedule(i, true);
  }

  /** Ticks from the counter to the comparator; `now` says whether equality counts as now or as a whole turn away. */
  private distance(t: HpetTimer, now: boolean): number {
    this.sampleCounter();
    let low = t.compareLow - this.counterLow;
    let high = t.config & T_32BIT ? 0 : t.compareHigh - this.counterHigh;
    if (low < 0) {
      low += WORD_SPAN;
      high--;
    }
    if (t.config & T_32BIT) return low === 0 && !now ? WORD_SPAN : low;
    if (high < 0) high += WORD_SPAN;
    const distance = high * WORD_SPAN + low;
    return distance === 0 && !now ? WORD_SPAN * WORD_SPAN : distance;
  }

  private schedule(index: number, equalIsNow: boolean): void {
    const t = this.timers[index];
    if (!this.running) {
      this.clock.cancel(t.timer);
      return;
    }
    const distance = this.distance(t, equalIsNow);
    // Beyond 2^52 ticks (a century) nothing happens.
    if (distance > 2 ** 52) this.clock.cancel(t.timer);
    else this.clock.schedule(t.timer, this.oscillator.cycleOf(this.oscillator.now() + distance));
  }

  private expired(index: number): void {
    const t = this.timers[index];
    if (t.config & T_PERIODIC && (t.periodLow !== 0 || t.periodHigh !== 0)) this.advance(t);
    this.schedule(index, false);
    if (t.config & T_LEVEL) this.status |= 1 << index;
    if (!(t.config & T_INTERRUPT)) return;
    if (!(t.config & T_LEVEL)) this.setLine(index, false);
    this.setLine(index, true);
  }

  /** Adds the period to the comparator until it lies ahead of the counter. */
  private advance(t: HpetTimer): void {
    this.sampleCounter();
    const span = t.config & T_32BIT ? WORD_SPAN : WORD_SPAN * WORD_SPAN;
    const period = (t.periodHigh * WORD_SPAN + t.periodLow) % span;
    const low = this.counterLow - t.compareLow;
    let late = t.config & T_32BIT ? low : (this.counterHigh - t.compareHigh) * WORD_SPAN + low;
    if (late < 0) late += span;
    const step = period * (Math.floor(late / period) + 1);
    const sum = t.compareLow + (step % WORD_SPAN);
    t.compareLow = sum % WORD_SPAN;
    if (!(t.config & T_32BIT)) t.compareHigh = (t.compareHigh + Math.floor(step / WORD_SPAN) + (sum >= WORD_SPAN ? 1 : 0)) % WORD_SPAN;
  }

  private setLine(index: number, level: boolean): void {
    if (index < 2 && this.config & LEGACY) {
      this.wiring.legacyLines[index](level);
      return;
    }
    const pin = (this.timers[index].config >> 9) & 31;
    if (HPET_ROUTES & (1 << pin)) this.wiring.pin(pin, level);
  }
}
