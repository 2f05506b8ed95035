/**
 * The interrupt message bus between local APICs and IOAPICs (SDM 3A 10.6.2, 10.8, 10.11): who a message is for and what it does.
 */
import { SIG_INIT, SIG_NMI, SIG_SIPI } from '../cpu/state';
import type { Lapic } from './lapic';
import type { IoApic } from './ioapic';

// Delivery modes (ICR, LVT, redirection table bits 10:8)
export const DELIVER_FIXED = 0, DELIVER_LOWEST = 1, DELIVER_SMI = 2, DELIVER_NMI = 4, DELIVER_INIT = 5, DELIVER_SIPI = 6, DELIVER_EXTINT = 7;
/** xAPIC physical destination of everyone. */
export const BROADCAST = 0xff;

/** How the APICs reach the processors they belong to, and the 8259 behind LINT0. */
export interface CpuLines {
  /** Drives the INTR input of a vCPU. */
  setIntr(vcpu: number, level: boolean): void;
  /** Raises SIG_NMI, SIG_INIT or SIG_SIPI (with its vector) at a vCPU. */
  signal(vcpu: number, bits: number, vector: number): void;
  /** INTA cycle to the 8259 pair: the vector. */
  acknowledge8259(): number;
}

export class ApicBus {
  readonly lapics: Lapic[] = [];
  readonly ioApics: IoApic[] = [];
  readonly lines: CpuLines;

  constructor(lines: CpuLines) {
    this.lines = lines;
  }

  /** Sends to the destination of a redirection entry, MSI or ICR without shorthand. */
  send(destination: number, logical: boolean, mode: number, vector: number, level: boolean): void {
    if (mode === DELIVER_LOWEST) {
      const target = this.lowestPriority(destination, logical);
      if (target) target.accept(vector, level);
      return;
    }
    for (const lapic of this.lapics) {
      if (lapic.matches(destination, logical)) this.deliver(lapic, mode, vector, level);
    }
  }

  /** Delivers a message to one local APIC. */
  deliver(lapic: Lapic, mode: number, vector: number, level: boolean): void {
    switch (mode) {
      case DELIVER_FIXED:
      case DELIVER_LOWEST:
        lapic.accept(vector, level);
        break;
      case DELIVER_NMI:
        this.lines.signal(lapic.vcpu, SIG_NMI, 0);
        break;
      case DELIVER_INIT:
        this.lines.signal(lapic.vcpu, SIG_INIT, 0);
        break;
      case DELIVER_SIPI:
        this.lines.signal(lapic.vcpu, SIG_SIPI, vector);
        break;
      case DELIVER_SMI: // there is no system-management mode
        break;
    }
  }

  /** A local APIC ended a level-triggered interrupt. */
  broadcastEoi(vector: number): void {
    for (const ioApic of this.ioApics) ioApic.endOfInterrupt(vector);
  }

  /** Lowest processor priority wins, then the lowest id, so that runs are reproducible. */
  private lowestPriority(destination: number, logical: boolean): Lapic | null {
    let best: Lapic | null = null;
    for (const lapic of this.lapics) {
      if (!lapic.enabled || !lapic.matches(destination, logical)) continue;
      if (best === null || lapic.processorPriority() < best.processorPriority()) best = lapic;
    }
    return best;
  }
}
