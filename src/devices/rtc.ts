/**
 * MC146818A real-time clock with 256 bytes of CMOS RAM (ports 70h-73h), IRQ 8. Motorola MC146818A datasheet; 24/12-hour and
 * BCD/binary modes, alarm, periodic and update-ended interrupts, update-in-progress, SET and divider reset.
 * The date follows the machine's clock from a configured start. Left out: daylight saving (DSE is stored only).
 */
import { Oscillator, Timer, type Clock } from '../machine/clock';
import { RTC_CENTURY_INDEX, RTC_HZ } from '../machine/layout';
import type { Device, IrqLine, PortBus, PortHandler } from './device';

const SECONDS = 0, SECONDS_ALARM = 1, MINUTES = 2, MINUTES_ALARM = 3, HOURS = 4, HOURS_ALARM = 5, WEEKDAY = 6, DAY = 7, MONTH = 8, YEAR = 9;
const REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13;

// Register A
const A_UIP = 0x80, A_RATE = 15;
// Register B
const B_SET = 0x80, B_UIE = 0x10, B_BINARY = 4, B_24H = 2;
// Register C (interrupt flags; the enable bits in register B have the same positions)
const C_IRQ = 0x80, C_PERIODIC = 0x40, C_ALARM = 0x20, C_UPDATE = 0x10;

/** Crystal ticks for which UIP is set before the time changes: 244 us of warning and 1984 us of update. */
const UIP_TICKS = 73;
/** The first update comes half a second after the divider was released; the machine powers on as if that happened then. */
const FIRST_UPDATE_TICKS = RTC_HZ / 2;
const DAY_SECONDS = 86400;

export interface RtcState {
  /** All 256 bytes; the time registers hold the time at which updating stopped, if it is stopped. */
  cmos: number[];
  index: number;
  extendedIndex: number;
  /** Crystal tick of second 0 of `epoch`, and that second, since 1970. */
  originTick: number;
  epoch: number;
  /** Tick up to which periodic boundaries were accounted for in register C, and second up to which updates were. */
  periodicSeen: number;
  updateSeen: number;
}

export class Rtc implements Device<RtcState>, PortHandler {
  private readonly cmos = new Uint8Array(256);
  private readonly oscillator: Oscillator;
  private readonly clock: Clock;
  private readonly irq: IrqLine;
  private readonly updateTimer: Timer;
  private readonly periodicTimer: Timer;
  private index = 0;
  private extendedIndex = 0;
  private originTick = -FIRST_UPDATE_TICKS;
  private epoch: number;
  private periodicSeen = 0;
  private updateSeen: number;

  /** `start`: time at power-on in seconds since 1970 (UTC). */
  constructor(clock: Clock, irq: IrqLine, start: number) {
    this.clock = clock;
    this.irq = irq;
    this.oscillator = new Oscillator(clock, RTC_HZ);
    this.epoch = this.updateSeen = start;
    this.updateTimer = new Timer(() => this.collectFlags());
    this.periodicTimer = new Timer(() => this.collectFlags());
    this.cmos[REG_A] = 0x26;
    this.cmos[REG_B] = B_24H;
    this.cmos[REG_D] = 0x80;
    this.schedule();
  }

  attach(bus: PortBus): void {
    bus.map(0x70, 4, this);
  }

  /** True while NMI is masked through bit 7 of port 70h. */
  get nmiMasked(): boolean {
    return (this.index & 0x80) !== 0;
  }

  /** Sets a CMOS byte above the clock registers, as firmware would. */
  setCmos(index: number, value: number): void {
    this.cmos[index] = value;
  }

  getCmos(index: number): number {
    return this.cmos[index];
  }

  read(port: number): number {
    switch (port) {
      case 0x71: return this.readRegister(this.index & 0x7f);
      case 0x72: return this.extendedIndex;
      case 0x73: return this.readRegister(this.extendedIndex);
      default: return 0xff;
    }
  }

  write(port: number, _size: number, value: number): void {
    switch (port) {
      case 0x70: this.index = value; break;
      case 0x71: this.writeRegister(this.index & 0x7f, value); break;
      case 0x72: this.extendedIndex = value; break;
      case 0x73: this.writeRegister(this.extendedIndex, value); break;
    }
  }

  /** A bus reset clears interrupt enables and flags; time and RAM are on battery. */
  reset(): void {
    this.cmos[REG_B] &= 0x87;
    this.cmos[REG_C] = 0;
    this.index = 0;
    this.irq(false);
    this.schedule();
  }

  save(): RtcState {
    const { index, extendedIndex, originTick, epoch, periodicSeen, updateSeen } = this;
    return { cmos: Array.from(this.cmos), index, extendedIndex, originTick, epoch, periodicSeen, updateSeen };
  }

  restore(state: RtcState): void {
    this.cmos.set(state.cmos);
    this.index = state.index;
    this.extendedIndex = state.extendedIndex;
    this.originTick = state.originTick;
    this.epoch = state.epoch;
    this.periodicSeen = state.periodicSeen;
    this.updateSeen = state.updateSeen;
    this.schedule();
  }

  /** The date is being counted: the divider runs and SET is clear. */
  private get running(): boolean {
    return (this.cmos[REG_B] & B_SET) === 0 && this.dividerRuns;
  }

  private get dividerRuns(): boolean {
    return (this.cmos[REG_A] & 0x60) !== 0x60;
  }

  /** Seconds since 1970. */
  private time(): number {
    return this.epoch + Math.floor((this.oscillator.now() - this.originTick) / RTC_HZ);
  }

  private readRegister(register: number): number {
    if (this.running && (register <= YEAR || register === RTC_CENTURY_INDEX)) this.timeToRegisters();
    switch (register) {
      case REG_A: return this.cmos[REG_A] | (this.updateInProgress() ? A_UIP : 0);
      case REG_C: {
        this.collectFlags();
        const flags = this.cmos[REG_C];
        this.cmos[REG_C] = 0;
        this.irq(false);
        return flags;
      }
      default: return this.cmos[register];
    }
  }

  private writeRegister(register: number, value: number): void {
    switch (register) {
      case REG_A: this.writeA(value & 0x7f); break;
      case REG_B: this.writeB(value); break;
      case REG_C:
      case REG_D: break;
      default:
        if (isTime(register)) {
          if (this.running) this.timeToRegisters();
          this.cmos[register] = value;
          if (this.running) this.registersToTime(this.phase());
        } else {
          if (register <= HOURS_ALARM) this.collectFlags();
          this.cmos[register] = value;
        }
    }
  }

  private writeA(value: number): void {
    const wasRunning = this.running;
    const divided = this.dividerRuns;
    this.collectFlags();
    if (wasRunning) this.timeToRegisters();
    this.cmos[REG_A] = value;
    if (!divided && this.dividerRuns) this.registersToTime(RTC_HZ - FIRST_UPDATE_TICKS);
    this.periodicSeen = this.oscillator.now();
    this.schedule();
  }

  private writeB(value: number): void {
    const wasRunning = this.running;
    const phase = this.phase();
    this.collectFlags();
    if (wasRunning) this.timeToRegisters();
    // SET also clears UIE.
    this.cmos[REG_B] = value & B_SET ? value & ~B_UIE : value;
    if (!wasRunning && this.running) this.registersToTime(phase);
    this.updateIrq();
    this.schedule();
  }

  /** Crystal ticks since the present second began. */
  private phase(): number {
    const ticks = this.oscillator.now() - this.originTick;
    return ticks - Math.floor(ticks / RTC_HZ) * RTC_HZ;
  }

  private updateInProgress(): boolean {
    return this.running && this.phase() >= RTC_HZ - UIP_TICKS;
  }

  /** Crystal ticks per periodic interrupt; 0 = none. */
  private periodicTicks(): number {
    const rate = this.cmos[REG_A] & A_RATE;
    if (rate === 0 || !this.dividerRuns) return 0;
    return 1 << (rate <= 2 ? rate + 6 : rate - 1);
  }

  /** Brings the flags of register C up to date. They are set whether or not they may interrupt; timers run only when they may. */
  private collectFlags(): void {
    const period = this.periodicTicks();
    const now = this.oscillator.now();
    if (period !== 0 && Math.floor((now - this.originTick) / period) > Math.floor((this.periodicSeen - this.originTick) / period)) {
      this.cmos[REG_C] |= C_PERIODIC;
    }
    this.periodicSeen = now;
    if (this.running) {
      const time = this.time();
      if (time > this.updateSeen) this.cmos[REG_C] |= C_UPDATE;
      // A day has every time of day.
      for (let second = Math.max(this.updateSeen + 1, time - DAY_SECONDS + 1); second <= time; second++) {
        if (!this.alarmMatches(second % DAY_SECONDS)) continue;
        this.cmos[REG_C] |= C_ALARM;
        break;
      }
      this.updateSeen = time;
    }
    this.updateIrq();
    this.schedule();
  }

  /** `second` counts from midnight. Alarm bytes C0h-FFh mean "any". */
  private alarmMatches(second: number): boolean {
    const { cmos } = this;
    const seconds = cmos[SECONDS_ALARM], minutes = cmos[MINUTES_ALARM], hours = cmos[HOURS_ALARM];
    return (
      (seconds >= 0xc0 || this.decode(seconds) === second % 60) && (minutes >= 0xc0 || this.decode(minutes) === Math.floor(second / 60) % 60) &&
      (hours >= 0xc0 || this.decodeHour(hours) === Math.floor(second / 3600))
    );
  }

  private updateIrq(): void {
    const active = (this.cmos[REG_B] & this.cmos[REG_C] & (C_PERIODIC | C_ALARM | C_UPDATE)) !== 0;
    this.cmos[REG_C] = (this.cmos[REG_C] & ~C_IRQ) | (active ? C_IRQ : 0);
    this.irq(active);
  }

  private schedule(): void {
    const now = this.oscillator.now();
    if (this.running && this.cmos[REG_B] & (C_UPDATE | C_ALARM)) {
      const next = this.originTick + (Math.floor((now - this.originTick) / RTC_HZ) + 1) * RTC_HZ;
      this.clock.schedule(this.updateTimer, this.oscillator.cycleOf(next));
    } else {
      this.clock.cancel(this.updateTimer);
    }
    const period = this.periodicTicks();
    if (period !== 0 && this.cmos[REG_B] & C_PERIODIC) {
      const next = this.originTick + (Math.floor((now - this.originTick) / period) + 1) * period;
      this.clock.schedule(this.periodicTimer, this.oscillator.cycleOf(next));
    } else {
      this.clock.cancel(this.periodicTimer);
    }
  }

  private timeToRegisters(): void {
    const time = this.time();
    const days = Math.floor(time / DAY_SECONDS);
    const seconds = time - days * DAY_SECONDS;
    const { year, month, day } = civilFromDays(days);
    const cmos = this.cmos;
    cmos[SECONDS] = this.encode(seconds % 60);
    cmos[MINUTES] = this.encode(Math.floor(seconds / 60) % 60);
    cmos[HOURS] = this.encodeHour(Math.floor(seconds / 3600));
    cmos[WEEKDAY] = this.encode(((days + 4) % 7) + 1);
    cmos[DAY] = this.encode(day);
    cmos[MONTH] = this.encode(month);
    cmos[YEAR] = this.encode(year % 100);
    cmos[RTC_CENTURY_INDEX] = toBcd(Math.floor(year / 100));
  }

  /** Takes the registers as the time, `phase` crystal ticks into that second. */
  private registersToTime(phase: number): void {
    const cmos = this.cmos;
    const year = fromBcd(cmos[RTC_CENTURY_INDEX]) * 100 + this.decode(cmos[YEAR]);
    const days = daysFromCivil(year, this.decode(cmos[MONTH]), this.decode(cmos[DAY]));
    this.epoch = days * DAY_SECONDS + this.decodeHour(cmos[HOURS]) * 3600 + this.decode(cmos[MINUTES]) * 60 + this.decode(cmos[SECONDS]);
    this.originTick = this.oscillator.now() - phase;
    this.updateSeen = this.epoch;
  }

  private encode(value: number): number {
    return this.cmos[REG_B] & B_BINARY ? value : toBcd(value);
  }

  private decode(value: number): number {
    return this.cmos[REG_B] & B_BINARY ? value : fromBcd(value);
  }

  private encodeHour(hour: number): number {
    if (this.cmos[REG_B] & B_24H) return this.encode(hour);
    return this.encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0);
  }

  private decodeHour(value: number): number {
    if (this.cmos[REG_B] & B_24H) return this.decode(value);
    return (this.decode(value & 0x7f) % 12) + (value & 0x80 ? 12 : 0);
  }
}

function isTime(register: number): boolean {
  return register === RTC_CENTURY_INDEX || (register <= YEAR && register !== SECONDS_ALARM && register !== MINUTES_ALARM && register !== HOURS_ALARM);
}

function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | value % 10;
}

function fromBcd(value: number): number {
  return (value >> 4) * 10 + (value & 15);
}

/** Days since 1970-01-01 in the Gregorian calendar; the year is counted from March so that leap days come last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const marchMonth = (month + 9) % 12;
  const dayOfYear = Math.floor((153 * marchMonth + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719468;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1 };
}
