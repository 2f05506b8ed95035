/**
 * The chipset's PCI functions: i440FX host bridge (Intel 82441FX datasheet 290549), PIIX3 ISA bridge (82371SB, 290550) with
 * the interrupt routing registers, and PIIX4 power management (82371AB, 290562). The memory attribute registers of the host
 * bridge are storage: C0000h-FFFFFh is always RAM here. The power-management block is always at its reset-time address.
 */
import { IRQ_SCI, PCI_HOST_BRIDGE_SLOT, PCI_PIIX_SLOT, PIRQ_DEFAULT_ROUTE, PM_BASE } from '../machine/layout';
import { PciFunction, type PciBus } from './pci';

/** PIIX3: routing of PIRQA#-PIRQD#; bit 7 = not routed, bits 3:0 the ISA interrupt. */
const PIRQ_ROUTE = 0x60;

/** Adds the three functions; `routed` is called with the ISA interrupt (-1: none) of each PIRQ 0-3 whenever software may have changed it. */
export function addChipset(bus: PciBus, routed: (pirq: number, irq: number) => void): void {
  const hostBridge = new PciFunction({ vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000 });
  hostBridge.preset(0x04, 0x06);
  hostBridge.writable.fill(0xff, 0x50, 0x73);
  bus.add(PCI_HOST_BRIDGE_SLOT, 0, hostBridge);

  const isaBridge = new PciFunction({ vendor: 0x8086, device: 0x7000, revision: 0, classCode: 0x060100, multiFunction: true });
  isaBridge.preset(0x04, 0x07);
  isaBridge.preset(0x4e, 0x03);
  isaBridge.writable.fill(0xff, 0x4c, 0x90);
  for (let pirq = 0; pirq < 4; pirq++) {
    isaBridge.writable[PIRQ_ROUTE + pirq] = 0x8f;
    isaBridge.preset(PIRQ_ROUTE + pirq, PIRQ_DEFAULT_ROUTE[pirq]);
  }
  isaBridge.changed = (offset, size) => {
    if (offset >= PIRQ_ROUTE + 4 || offset + size <= PIRQ_ROUTE) return;
    for (let pirq = 0; pirq < 4; pirq++) {
      const route = isaBridge.config[PIRQ_ROUTE + pirq];
      routed(pirq, route & 0x80 ? -1 : route & 15);
    }
  };
  bus.add(PCI_PIIX_SLOT, 0, isaBridge);

  const power = new PciFunction({ vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1 });
  power.preset(0x04, 0x01);
  power.preset(0x3c, IRQ_SCI);
  // PMBASE (an I/O range) and its enable in PMREGMISC, both fixed.
  power.set16(0x40, PM_BASE | 1);
  power.config[0x80] = 1;
  bus.add(PCI_PIIX_SLOT, 3, power);
  isaBridge.changed(0, 256);
}
