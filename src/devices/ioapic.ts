/**
 * IOAPIC with 24 inputs (Intel 82093AA datasheet 290566; version 20h, which adds the EOI register). Edge and level inputs,
 * remote IRR, polarity stored only: the board's inputs are handed over as asserted or not.
 */
import { IOAPIC_ID, IOAPIC_PINS } from '../machine/layout';
import { type ApicBus, DELIVER_EXTINT, DELIVER_FIXED, DELIVER_LOWEST } from './apic-bus';
import type { Device, MmioHandler } from './device';

// Memory-mapped registers
const SELECT = 0x00, WINDOW = 0x10, EOI = 0x40;
// Indirect registers
const ID = 0, VERSION = 1, ARBITRATION = 2, TABLE = 0x10;
// Redirection entry, low word
const REMOTE_IRR = 0x4000, LEVEL = 0x8000, MASKED = 0x10000, LOGICAL = 0x800;
const WRITABLE = 0x1afff;

export interface IoApicState {
  id: number;
  select: number;
  lines: number;
  /** Edges seen while an entry was masked are lost; the level of each pin is in `lines`. */
  low: number[];
  high: number[];
}

export class IoApic implements Device<IoApicState>, MmioHandler {
  readonly name = 'ioapic';
  private readonly bus: ApicBus;
  private id = IOAPIC_ID;
  private select = 0;
  /** Bit n: input n is asserted. */
  private lines = 0;
  private readonly low = new Int32Array(IOAPIC_PINS).fill(MASKED);
  private readonly high = new Int32Array(IOAPIC_PINS);

  constructor(bus: ApicBus) {
    this.bus = bus;
    bus.ioApics.push(this);
  }

  setLine(pin: number, asserted: boolean): void {
    const bit = 1 << pin;
    const was = (this.lines & bit) !== 0;
    if (was === asserted) return;
    this.lines ^= bit;
    const entry = this.low[pin];
    if (((entry >> 8) & 7) === DELIVER_EXTINT) this.driveExtInt(pin);
    else if (asserted) this.request(pin);
  }

  /** EOI message or EOI register: releases every level-triggered entry with this vector. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = this.low[pin];
      if ((entry & (REMOTE_IRR | LEVEL)) !== (REMOTE_IRR | LEVEL) || (entry & 0xff) !== vector) continue;
      this.low[pin] = entry & ~REMOTE_IRR;
      if (this.lines & (1 << pin)) this.request(pin);
    }
  }

  read(offset: number, size: number): number {
    const lane = (offset & 3) * 8;
    const value = this.readWord(offset & ~3) >> lane;
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  write(offset: number, _size: number, value: number): void {
    switch (offset) {
      case SELECT: this.select = value & 0xff; break;
      case WINDOW: this.writeIndirect(value); break;
      case EOI: this.endOfInterrupt(value & 0xff); break;
    }
  }

  reset(): void {
    this.id = IOAPIC_ID;
    this.select = 0;
    this.low.fill(MASKED);
    this.high.fill(0);
  }

  save(): IoApicState {
    const { id, select, lines } = this;
    return { id, select, lines, low: Array.from(this.low), high: Array.from(this.high) };
  }

  restore(state: IoApicState): void {
    this.id = state.id;
    this.select = state.select;
    this.lines = state.lines;
    this.low.set(state.low);
    this.high.set(state.high);
  }

  private readWord(offset: number): number {
    if (offset === SELECT) return this.select;
    if (offset !== WINDOW) return 0;
    const register = this.select;
    if (register === ID || register === ARBITRATION) return this.id << 24;
    if (register === VERSION) return 0x20 | ((IOAPIC_PINS - 1) << 16);
    const index = register - TABLE;
    if (index < 0 || index >= 2 * IOAPIC_PINS) return 0;
    return index & 1 ? this.high[index >> 1] : this.low[index >> 1];
  }

  private writeIndirect(value: number): void {
    const register = this.select;
    if (register === ID) this.id = (value >>> 24) & 15;
    const index = register - TABLE;
    if (index < 0 || index >= 2 * IOAPIC_PINS) return;
    const pin = index >> 1;
    if (index & 1) {
      this.high[pin] = value & 0xff000000;
      return;
    }
    const was = this.low[pin];
    let entry = (value & WRITABLE) | (was & REMOTE_IRR);
    // An edge-triggered entry has no remote IRR: switching the mode is how old kernels clear it.
    if (!(entry & LEVEL)) entry &= ~REMOTE_IRR;
    this.low[pin] = entry;
    if (((was >> 8) & 7) === DELIVER_EXTINT || ((entry >> 8) & 7) === DELIVER_EXTINT) this.driveExtInt(pin);
    if (entry & LEVEL && this.lines & (1 << pin)) this.request(pin);
  }

  /** Sends the entry's message unless it is masked or waits for EOI. */
  private request(pin: number): void {
    const entry = this.low[pin];
    if (entry & MASKED) return;
    const mode = (entry >> 8) & 7;
    if (mode === DELIVER_EXTINT) return;
    const level = (entry & LEVEL) !== 0 && (mode === DELIVER_FIXED || mode === DELIVER_LOWEST);
    if (level) {
      if (entry & REMOTE_IRR) return;
      this.low[pin] = entry | REMOTE_IRR;
    }
    this.bus.send(this.high[pin] >>> 24, (entry & LOGICAL) !== 0, mode, entry & 0xff, level);
  }

  /** ExtINT entry: the processors it names see the pin as their INTR line (virtual wire through the IOAPIC). */
  private driveExtInt(pin: number): void {
    const entry = this.low[pin];
    const active = (entry & MASKED) === 0 && ((entry >> 8) & 7) === DELIVER_EXTINT && (this.lines & (1 << pin)) !== 0;
    const destination = this.high[pin] >>> 24;
    for (const lapic of this.bus.lapics) lapic.setExtIntMessage(active && lapic.matches(destination, (entry & LOGICAL) !== 0));
  }
}
