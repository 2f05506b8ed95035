/** The DSDT: what of this PC cannot be discovered otherwise. PCI interrupts are hard-wired as the PIIX3 routes them at reset. */
import {
  HPET_BASE, HPET_SIZE, IRQ_KEYBOARD, IRQ_MOUSE, IRQ_RTC, IRQ_TIMER, PCI_HOLE_START, PCI_PIIX_SLOT, PIRQ_DEFAULT_ROUTE,
  S5_SLEEP_TYPE, SERIAL_PORTS,
} from '../layout';
import type { Aml } from './aml';
import {
  busRange, device, eisaId, integer, ioPorts, ioWindow, irq, memory32, memoryWindow, method, name, packageOf, processor,
  resources, scope, storeArgument,
} from './aml';

export interface DsdtOptions {
  vcpus: number;
  hpet: boolean;
}

/** Last byte of the window for PCI memory, below the IOAPIC. */
const PCI_WINDOW_END = 0xfebfffff;

function isaDevice(object: string, hid: string, uid: number, descriptors: readonly Aml[]): Aml {
  return device(object, [name('_HID', eisaId(hid)), name('_UID', integer(uid)), name('_CRS', resources(descriptors))]);
}

function isaDevices(): Aml[] {
  return [
    isaDevice('PIC', 'PNP0000', 0, [ioPorts(0x20, 2), ioPorts(0xa0, 2), ioPorts(0x4d0, 2)]),
    isaDevice('PIT', 'PNP0100', 0, [ioPorts(0x40, 4), irq(IRQ_TIMER)]),
    isaDevice('RTC', 'PNP0B00', 0, [ioPorts(0x70, 2), irq(IRQ_RTC)]),
    isaDevice('SPKR', 'PNP0800', 0, [ioPorts(0x61, 1)]),
    isaDevice('PS2K', 'PNP0303', 0, [ioPorts(0x60, 1), ioPorts(0x64, 1), irq(IRQ_KEYBOARD)]),
    isaDevice('PS2M', 'PNP0F13', 0, [irq(IRQ_MOUSE)]),
    ...SERIAL_PORTS.map((port, n) => isaDevice(`COM${n + 1}`, 'PNP0501', n + 1, [ioPorts(port.base, 8), irq(port.irq)])),
  ];
}

/** Interrupt routing: for each slot and pin the ISA interrupt that the PIIX3 is set to, without link devices. */
function interruptRouting(): Aml {
  const entries: Aml[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const route = PIRQ_DEFAULT_ROUTE[(slot + pin + 3) & 3];
      entries.push(packageOf([integer(slot * 0x10000 + 0xffff), integer(pin), integer(0), integer(route)]));
    }
  }
  return packageOf(entries);
}

function hostBridge(): Aml {
  return device('PCI0', [
    name('_HID', eisaId('PNP0A03')),
    name('_UID', integer(0)),
    name('_BBN', integer(0)),
    name('_CRS', resources([
      busRange(0, 0xff),
      ioPorts(0xcf8, 8),
      ioWindow(0, 0xcf7),
      ioWindow(0xd00, 0xffff),
      memoryWindow(0xa0000, 0xbffff),
      memoryWindow(PCI_HOLE_START, PCI_WINDOW_END),
    ])),
    name('_PRT', interruptRouting()),
    device('ISA', [name('_ADR', integer(PCI_PIIX_SLOT * 0x10000)), ...isaDevices()]),
  ]);
}

/** The definition block's contents, without table header. */
export function dsdtBody(options: DsdtOptions): Uint8Array {
  const sleep = [integer(S5_SLEEP_TYPE), integer(S5_SLEEP_TYPE), integer(0), integer(0)];
  const processors = Array.from({ length: options.vcpus }, (_, n) => processor(`CPU${n.toString(16).toUpperCase()}`, n));
  const hpet = device('HPET', [
    name('_HID', eisaId('PNP0103')),
    name('_UID', integer(0)),
    name('_CRS', resources([memory32(HPET_BASE, HPET_SIZE, false)])),
  ]);
  return Uint8Array.from([
    // The guest says here whether it uses the 8259s or the IOAPIC; ISA and PCI interrupts have the same numbers in both.
    ...name('PICM', integer(0)),
    ...method('_PIC', 1, [storeArgument(0, 'PICM')]),
    ...name('_S5', packageOf(sleep)),
    ...scope('_PR', processors),
    ...scope('_SB', [hostBridge(), ...(options.hpet ? [hpet] : [])]),
  ]);
}

