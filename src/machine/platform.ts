/**
 * The machine as its CPUs see it: port space, interrupt acknowledge, and the local APIC of the vCPU that is running, in memory
 * and as MSRs.
 */
import type { Platform } from '../cpu/platform';
import { mapMmio, unmap } from '../cpu/mmu/physical';
import { readTsc } from '../cpu/clock';
import { MEMHI, R, VCPU } from '../cpu/state';
import type { MmioHandler } from '../devices/device';
import type { Lapic } from '../devices/lapic';
import { LAPIC_SIZE } from './layout';
import type { PortSpace } from './ports';

/** The local APIC pages: each vCPU sees its own registers at the address in its IA32_APIC_BASE. */
export class LapicWindows {
  private readonly lapics: readonly Lapic[];
  private readonly mapped = new Map<number, MmioHandler>();

  constructor(lapics: readonly Lapic[]) {
    this.lapics = lapics;
  }

  /** Maps the pages that some local APIC is at now, and no others. */
  update(): void {
    const wanted = new Set<number>();
    for (const lapic of this.lapics) if (lapic.registerPage >= 0) wanted.add(lapic.registerPage);
    for (const [page, handler] of this.mapped) {
      if (wanted.has(page)) continue;
      unmap(page, LAPIC_SIZE, handler);
      this.mapped.delete(page);
    }
    for (const page of wanted) {
      if (this.mapped.has(page)) continue;
      const handler = this.handlerFor(page);
      mapMmio(page, LAPIC_SIZE, handler);
      this.mapped.set(page, handler);
    }
  }

  private handlerFor(page: number): MmioHandler {
    const lapics = this.lapics;
    return {
      name: 'lapic',
      read(offset, size) {
        const lapic = lapics[R[VCPU]];
        return lapic.registerPage === page ? lapic.readMemory(offset, size) : -1;
      },
      write(offset, size, value) {
        const lapic = lapics[R[VCPU]];
        if (lapic.registerPage === page) lapic.writeMemory(offset, size, value);
      },
    };
  }
}

/** Builds the CPU's interface to the machine. `lapics` has one entry per vCPU. */
export function createPlatform(ports: PortSpace, lapics: readonly Lapic[], windows: LapicWindows, outside: Pick<Platform, 'shutdown' | 'unknownMsr'>): Platform {
  const msrValue = new Int32Array(2);
  const current = (): Lapic => lapics[R[VCPU]];
  return {
    msrValue,
    readPort: (port, size) => ports.read(port, size),
    writePort: (port, size, value) => ports.write(port, size, value),
    acknowledgeInterrupt: () => current().acknowledge(),
    endOfInterrupt: () => current().endOfInterrupt(),
    readCr8: () => current().cr8,
    writeCr8(value) {
      current().cr8 = value;
    },
    apicBaseWritten(lo, hi) {
      current().setBase(lo, hi);
      windows.update();
    },
    readX2apic: (index) => current().readMsr(index & 0xff, msrValue),
    writeX2apic: (index, lo, hi) => current().writeMsr(index & 0xff, lo, hi),
    readTscDeadline: () => current().readTscDeadline(msrValue),
    writeTscDeadline: (lo, hi) => current().writeTscDeadline(lo, hi, readTsc(), R[MEMHI]),
    tscWritten: () => current().tscWritten(readTsc(), R[MEMHI]),
    resetApic: () => current().init(),
    ...outside,
  };
}
