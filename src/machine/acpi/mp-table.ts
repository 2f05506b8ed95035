/**
 * Intel MultiProcessor tables (MultiProcessor Specification 1.4, chapter 4), for kernels that do not read ACPI. PCI interrupts
 * are wired as the PIIX3 routes them at reset.
 */
import { ByteWriter } from '../loaders/image-reader';
import { IOAPIC_BASE, IOAPIC_ID, IOAPIC_TIMER_PIN, LAPIC_BASE, PIRQ_DEFAULT_ROUTE } from '../layout';
import { CPU_SIGNATURE } from '../../cpu/features';

const PROCESSOR = 0, BUS = 1, IOAPIC = 2, IO_INTERRUPT = 3, LOCAL_INTERRUPT = 4;
const TYPE_INT = 0, TYPE_NMI = 1, TYPE_EXTINT = 3;
/** Polarity and trigger as the bus has them, or active high and level. */
const CONFORMING = 0, LEVEL_HIGH = 0x0d;
const BUS_PCI = 0, BUS_ISA = 1;
const LAPIC_VERSION = 0x14, IOAPIC_VERSION = 0x11;
/** CPUID feature flags named by the specification: FPU, CX8, APIC. */
const FEATURE_FLAGS = 0x301;

function ascii(text: string): number[] {
  return [...text].map((c) => c.charCodeAt(0));
}

function checksumAt(bytes: Uint8Array, offset: number): Uint8Array {
  bytes[offset] = 0;
  bytes[offset] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

/** The configuration table. */
export function mpConfiguration(vcpus: number): Uint8Array {
  const table = new ByteWriter();
  let entries = 0;
  for (let cpu = 0; cpu < vcpus; cpu++, entries++) {
    table.u8(PROCESSOR).u8(cpu).u8(LAPIC_VERSION).u8(cpu === 0 ? 3 : 1).u32(CPU_SIGNATURE).u32(FEATURE_FLAGS).u32(0).u32(0);
  }
  table.u8(BUS).u8(BUS_PCI).raw(ascii('PCI   '));
  table.u8(BUS).u8(BUS_ISA).raw(ascii('ISA   '));
  table.u8(IOAPIC).u8(IOAPIC_ID).u8(IOAPIC_VERSION).u8(1).u32(IOAPIC_BASE);
  entries += 3;
  const interrupt = (type: number, flags: number, bus: number, source: number, pin: number): void => {
    table.u8(IO_INTERRUPT).u8(type).u16(flags).u8(bus).u8(source).u8(IOAPIC_ID).u8(pin);
    entries++;
  };
  const pciLines = new Set(PIRQ_DEFAULT_ROUTE);
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      interrupt(TYPE_INT, LEVEL_HIGH, BUS_PCI, (slot << 2) | pin, PIRQ_DEFAULT_ROUTE[(slot + pin + 3) & 3]);
    }
  }
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2 || pciLines.has(irq)) continue;
    interrupt(TYPE_INT, irq === 9 ? LEVEL_HIGH : CONFORMING, BUS_ISA, irq, irq === 0 ? IOAPIC_TIMER_PIN : irq);
  }
  table.u8(LOCAL_INTERRUPT).u8(TYPE_EXTINT).u16(CONFORMING).u8(BUS_ISA).u8(0).u8(0).u8(0);
  table.u8(LOCAL_INTERRUPT).u8(TYPE_NMI).u16(CONFORMING).u8(BUS_ISA).u8(0).u8(0xff).u8(1);
  entries += 2;
  const body = table.done();
  const header = new ByteWriter()
    .raw(ascii('PCMP')).u16(44 + body.length).u8(4).u8(0)
    .raw(ascii('NESTBOX ')).raw(ascii('NESTBOX PC  '))
    .u32(0).u16(0).u16(entries).u32(LAPIC_BASE).u16(0).u8(0).u8(0);
  return checksumAt(header.raw(body).done(), 7);
}

/** The floating pointer structure, to lie on a 16-byte boundary in F0000h-FFFFFh. */
export function mpFloatingPointer(configuration: number): Uint8Array {
  const pointer = new ByteWriter().raw(ascii('_MP_')).u32(configuration).u8(1).u8(4).u8(0).zeros(5);
  return checksumAt(pointer.done(), 10);
}
