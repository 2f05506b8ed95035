/**
 * The chipset's PCI functions: i440FX host bridge (Intel 82441FX datasheet 290549) with the memory attribute registers, PIIX3 ISA bridge (82371SB,
 * 290550) with the interrupt routing registers, and PIIX4 power management (82371AB, 290562).
 */
import { IRQ_SCI, PCI_HOST_BRIDGE_SLOT, PCI_PIIX_SLOT, PIRQ_DEFAULT_ROUTE, PM_BASE } from '../machine/layout';
import { PciFunction, type PciBus } from './pci';

/** PIIX3: routing of PIRQA#-PIRQD#; bit 7 = not routed, bits 3:0 the ISA interrupt. */
const PIRQ_ROUTE = 0x60;

/** Host bridge: memory attributes. */
const PAM = 0x59, PAM_REGISTERS = 7;
/** PIIX4 function 3: power-management base and enable; device activity B, whose bit 25 lets writes to B2h raise SMIs: they do what firmware would. */
const PM_BASE_REGISTER = 0x40, PM_ENABLE_REGISTER = 0x80, DEVICE_ACTIVITY_B = 0x58;

export interface ChipsetWiring {
  /** PIRQ 0-3 goes to this ISA interrupt (-1: none). Called whenever software may have changed it. */
  routed(pirq: number, irq: number): void;
  /** Values of PAM0-PAM6. */
  memoryAttributes(registers: Uint8Array): void;
  /** First port of the power-management block; -1: off. */
  powerManagement(base: number): void;
}

/** Adds the three functions; returns the host bridge. */
export function addChipset(bus: PciBus, wiring: ChipsetWiring): PciFunction {
  const hostBridge = new PciFunction({ vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000 });
  hostBridge.preset(0x04, 0x06);
  hostBridge.writable.fill(0xff, 0x50, 0x73);
  hostBridge.changed = (offset, size) => {
    if (offset < PAM + PAM_REGISTERS && offset + size > PAM) wiring.memoryAttributes(hostBridge.config.subarray(PAM, PAM + PAM_REGISTERS));
  };
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
      wiring.routed(pirq, route & 0x80 ? -1 : route & 15);
    }
  };
  bus.add(PCI_PIIX_SLOT, 0, isaBridge);

  const power = new PciFunction({ vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1 });
  power.preset(0x04, 0x01);
  power.preset(0x3c, IRQ_SCI);
  // As firmware leaves it; firmware of its own may move it.
  power.config[PM_BASE_REGISTER] = 1;
  power.allow(PM_BASE_REGISTER, 2, 0xffc0);
  power.preset(PM_BASE_REGISTER + 1, PM_BASE >> 8);
  power.allow(PM_ENABLE_REGISTER, 1, 1);
  power.preset(PM_ENABLE_REGISTER, 1);
  power.config[DEVICE_ACTIVITY_B + 3] = 2;
  power.changed = (offset, size) => {
    const isBase = offset < PM_BASE_REGISTER + 2 && offset + size > PM_BASE_REGISTER;
    const isEnable = offset <= PM_ENABLE_REGISTER && offset + size > PM_ENABLE_REGISTER;
    if (isBase || isEnable) wiring.powerManagement(power.config[PM_ENABLE_REGISTER] & 1 ? power.read(PM_BASE_REGISTER, 2) & 0xffc0 : -1);
  };
  bus.add(PCI_PIIX_SLOT, 3, power);
  isaBridge.changed(0, 256);
  return hostBridge;
}
