/**
 * Interrupt wiring of the board: ISA interrupts to the 8259 pair and the IOAPIC, PCI INTx# through the chipset's routing, and the
 * lines that the HPET takes over. A line with several sources is high while any of them is.
 */
import type { IrqLine } from '../devices/device';
import type { IoApic } from '../devices/ioapic';
import type { Pic } from '../devices/pic';
import { IOAPIC_TIMER_PIN, IRQ_CASCADE, IRQ_RTC, IRQ_TIMER } from './layout';

export class IrqRouter {
  private readonly pic: Pic;
  private readonly ioApic: IoApic | null;
  /** Per ISA interrupt: bit n = source n asserts it. */
  private readonly asserted = new Int32Array(16);
  private readonly sources = new Int32Array(16);
  /** HPET legacy replacement: the 8254 and the RTC are cut off from IRQ 0 and 8. */
  private legacyReplaced = false;
  private readonly legacyLevels: [boolean, boolean] = [false, false];
  private readonly legacyLines: readonly [IrqLine, IrqLine];
  /** ISA interrupt of PIRQ 0-3, -1 = not routed; sources asserting each. */
  private readonly pirqRoute = new Int32Array(4).fill(-1);
  private readonly pirqAsserted = new Int32Array(4);
  private readonly pirqSources = new Int32Array(4);
  private readonly pirqLines: IrqLine[][] = [];

  /** `ioApic` is null on a machine without APICs. */
  constructor(pic: Pic, ioApic: IoApic | null) {
    this.pic = pic;
    this.ioApic = ioApic;
    this.legacyLines = [this.isaLine(IRQ_TIMER), this.isaLine(IRQ_RTC)];
    for (let pirq = 0; pirq < 4; pirq++) {
      const lines: IrqLine[] = [];
      for (let irq = 0; irq < 16; irq++) lines.push(this.isaLine(irq));
      this.pirqLines.push(lines);
    }
  }

  /** A new source of an ISA interrupt. */
  isaLine(irq: number): IrqLine {
    const bit = 1 << this.sources[irq]++;
    return (level) => {
      if (level === ((this.asserted[irq] & bit) !== 0)) return;
      this.asserted[irq] ^= bit;
      this.drive(irq);
    };
  }

  /** The line of the 8254 (IRQ 0) or the RTC (IRQ 8), which the HPET may replace. */
  replaceableLine(irq: typeof IRQ_TIMER | typeof IRQ_RTC): IrqLine {
    const index = irq === IRQ_TIMER ? 0 : 1;
    return (level) => {
      this.legacyLevels[index] = level;
      if (!this.legacyReplaced) this.legacyLines[index](level);
    };
  }

  setLegacyReplacement(active: boolean): void {
    if (active === this.legacyReplaced) return;
    this.legacyReplaced = active;
    for (let i = 0; i < 2; i++) this.legacyLines[i](!active && this.legacyLevels[i]);
  }

  /** Drives an IOAPIC input that is no ISA interrupt. */
  setPin(pin: number, level: boolean): void {
    this.ioApic?.setLine(pin, level);
  }

  /** A new source of a PCI interrupt: INTA# = 1 to INTD# = 4 of the device in `slot`, swizzled over the PIRQs. */
  pciLine(slot: number, pin: number): IrqLine {
    const pirq = (slot + pin - 2) & 3;
    const bit = 1 << this.pirqSources[pirq]++;
    return (level) => {
      if (level) this.pirqAsserted[pirq] |= bit;
      else this.pirqAsserted[pirq] &= ~bit;
      this.drivePirq(pirq);
    };
  }

  /** Routes a PIRQ to an ISA interrupt, -1 = nowhere. */
  routePirq(pirq: number, irq: number): void {
    const old = this.pirqRoute[pirq];
    if (old === irq) return;
    if (old >= 0) this.pirqLines[pirq][old](false);
    this.pirqRoute[pirq] = irq;
    this.drivePirq(pirq);
  }

  save(): IrqRouterState {
    return {
      asserted: Array.from(this.asserted), legacyReplaced: this.legacyReplaced, legacyLevels: [...this.legacyLevels],
      pirqRoute: Array.from(this.pirqRoute), pirqAsserted: Array.from(this.pirqAsserted),
    };
  }

  restore(state: IrqRouterState): void {
    this.asserted.set(state.asserted);
    this.legacyReplaced = state.legacyReplaced;
    this.legacyLevels[0] = state.legacyLevels[0];
    this.legacyLevels[1] = state.legacyLevels[1];
    this.pirqRoute.set(state.pirqRoute);
    this.pirqAsserted.set(state.pirqAsserted);
  }

  private drivePirq(pirq: number): void {
    const irq = this.pirqRoute[pirq];
    if (irq >= 0) this.pirqLines[pirq][irq](this.pirqAsserted[pirq] !== 0);
  }

  private drive(irq: number): void {
    if (irq === IRQ_CASCADE) return;
    const level = this.asserted[irq] !== 0;
    this.pic.setLine(irq, level);
    this.ioApic?.setLine(irq === IRQ_TIMER ? IOAPIC_TIMER_PIN : irq, level);
  }
}

export interface IrqRouterState {
  asserted: number[];
  legacyReplaced: boolean;
  legacyLevels: boolean[];
  pirqRoute: number[];
  pirqAsserted: number[];
}
