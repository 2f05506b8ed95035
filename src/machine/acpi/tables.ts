/**
 * The tables that firmware would leave in F0000h-FFFFFh: ACPI (ACPI 6.4, chapter 5.2; FADT revision 3, no SSDT, no MCFG)
 * and the MP table.
 */
import {
  ACPI_DISABLE_VALUE, ACPI_ENABLE_VALUE, GPE0_BLOCK, GPE0_LENGTH, HPET_BASE, IOAPIC_BASE, IOAPIC_ID, IOAPIC_TIMER_PIN, IRQ_SCI,
  LAPIC_BASE, PIRQ_DEFAULT_ROUTE, PM1A_CONTROL_BLOCK, PM1A_CONTROL_LENGTH, PM1A_EVENT_BLOCK, PM1A_EVENT_LENGTH, PM_TIMER_BLOCK,
  PM_TIMER_LENGTH, RESET_PORT, RESET_VALUE, RTC_CENTURY_INDEX, SMI_COMMAND_PORT,
} from '../layout';
import { ByteWriter } from '../loaders/image-reader';
import { dsdtBody } from './dsdt';
import { mpConfiguration, mpFloatingPointer } from './mp-table';

export interface FirmwareTableOptions {
  vcpus: number;
  /** ACPI tables at all. */
  acpi: boolean;
  /** Local APIC and IOAPIC exist: MADT and MP table. */
  apic: boolean;
  hpet: boolean;
}

export interface FirmwareTables {
  /** First byte, host-physical. */
  start: number;
  /** Contents from there; below 64 KiB. */
  bytes: Uint8Array;
  /** Host-physical address of the RSDP, 0 without ACPI. */
  rsdp: number;
  rsdpBytes: Uint8Array;
}

export const FIRMWARE_TABLES_START = 0xf0000, FIRMWARE_TABLES_SIZE = 0x10000;

const HEADER_BYTES = 36;
const FADT_BYTES = 244, FACS_BYTES = 64, RSDP_BYTES = 36;
const DESKTOP = 1;
/** No useful C2 and C3 states. */
const C2_LATENCY_NONE = 0xfff, C3_LATENCY_NONE = 0xfff;
/** WBINVD works, C1 on all processors, no fixed power and sleep button, reset register present. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 10);
/** Legacy devices, 8042 controller, no VGA. */
const BOOT_ARCHITECTURE = (1 << 0) | (1 << 1) | (1 << 2);
const SPACE_MEMORY = 0, SPACE_IO = 1;
/** MPS INTI flags: active high, level. */
const LEVEL_HIGH = 0x0d;
const HPET_HARDWARE_ID = 0x8086a201;
/** Shortest period that the HPET's counter keeps up with, in ticks. */
const HPET_MINIMUM_TICKS = 0x80;

function ascii(text: string): number[] {
  return [...text].map((c) => c.charCodeAt(0));
}

function checksum(bytes: Uint8Array, length: number, at: number): void {
  bytes[at] = 0;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += bytes[i];
  bytes[at] = -sum;
}

/** A system description table: header (5.2.6) and body. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new ByteWriter()
    .raw(ascii(signature)).u32(HEADER_BYTES + body.length).u8(revision).u8(0)
    .raw(ascii('NESTBX')).raw(ascii('NESTBXPC')).u32(1).raw(ascii('NBOX')).u32(1)
    .raw(body).done();
  checksum(bytes, bytes.length, 9);
  return bytes;
}

/** Generic address structure (5.2.3.2). */
function address(out: ByteWriter, space: number, bits: number, where: number): ByteWriter {
  return out.u8(space).u8(bits).u8(0).u8(0).u64(where);
}

function fadt(facs: number, dsdt: number): Uint8Array {
  const f = new ByteWriter();
  f.u32(facs).u32(dsdt).u8(0).u8(DESKTOP).u16(IRQ_SCI);
  f.u32(SMI_COMMAND_PORT).u8(ACPI_ENABLE_VALUE).u8(ACPI_DISABLE_VALUE).u8(0).u8(0);
  f.u32(PM1A_EVENT_BLOCK).u32(0).u32(PM1A_CONTROL_BLOCK).u32(0).u32(0).u32(PM_TIMER_BLOCK).u32(GPE0_BLOCK).u32(0);
  f.u8(PM1A_EVENT_LENGTH).u8(PM1A_CONTROL_LENGTH).u8(0).u8(PM_TIMER_LENGTH).u8(GPE0_LENGTH).u8(0).u8(0).u8(0);
  f.u16(C2_LATENCY_NONE).u16(C3_LATENCY_NONE).u16(0).u16(0).u8(0).u8(0).u8(0).u8(0).u8(RTC_CENTURY_INDEX);
  f.u16(BOOT_ARCHITECTURE).u8(0).u32(FADT_FLAGS);
  address(f, SPACE_IO, 8, RESET_PORT).u8(RESET_VALUE).zeros(3);
  f.u64(facs).u64(dsdt);
  address(f, SPACE_IO, PM1A_EVENT_LENGTH * 8, PM1A_EVENT_BLOCK);
  address(f, 0, 0, 0);
  address(f, SPACE_IO, PM1A_CONTROL_LENGTH * 8, PM1A_CONTROL_BLOCK);
  address(f, 0, 0, 0);
  address(f, 0, 0, 0);
  address(f, SPACE_IO, PM_TIMER_LENGTH * 8, PM_TIMER_BLOCK);
  address(f, SPACE_IO, GPE0_LENGTH * 8, GPE0_BLOCK);
  address(f, 0, 0, 0);
  f.zeros(FADT_BYTES - HEADER_BYTES - f.length);
  return table('FACP', 3, f.done());
}

function facs(): Uint8Array {
  return new ByteWriter().raw(ascii('FACS')).u32(FACS_BYTES).zeros(24).u8(1).zeros(31).done();
}

function madt(vcpus: number): Uint8Array {
  const m = new ByteWriter().u32(LAPIC_BASE).u32(1); // PC-compatible 8259s are present
  for (let cpu = 0; cpu < vcpus; cpu++) m.u8(0).u8(8).u8(cpu).u8(cpu).u32(1);
  m.u8(1).u8(12).u8(IOAPIC_ID).u8(0).u32(IOAPIC_BASE).u32(0);
  const override = (irq: number, pin: number, flags: number): void => {
    m.u8(2).u8(10).u8(0).u8(irq).u32(pin).u16(flags);
  };
  override(0, IOAPIC_TIMER_PIN, 0);
  for (const irq of [IRQ_SCI, ...new Set(PIRQ_DEFAULT_ROUTE)].sort((a, b) => a - b)) override(irq, irq, LEVEL_HIGH);
  m.u8(4).u8(6).u8(0xff).u16(0).u8(1); // NMI on LINT1 of every processor
  return table('APIC', 1, m.done());
}

function hpet(): Uint8Array {
  const h = new ByteWriter().u32(HPET_HARDWARE_ID);
  address(h, SPACE_MEMORY, 64, HPET_BASE).u8(0).u16(HPET_MINIMUM_TICKS).u8(0);
  return table('HPET', 1, h.done());
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = new ByteWriter()
    .raw(ascii('RSD PTR ')).u8(0).raw(ascii('NESTBX')).u8(2).u32(rsdt).u32(RSDP_BYTES).u64(xsdt).u8(0).zeros(3).done();
  checksum(bytes, 20, 8);
  checksum(bytes, RSDP_BYTES, 32);
  return bytes;
}

/** Lays the tables out; the same options give the same bytes. */
export function buildFirmwareTables(options: FirmwareTableOptions): FirmwareTables {
  const area = new ByteWriter();
  const place = (bytes: Uint8Array, alignment: number): number => {
    area.align(alignment);
    const at = FIRMWARE_TABLES_START + area.length;
    area.raw(bytes);
    return at;
  };
  // The RSDP comes first, at a fixed place; its contents are known last.
  let rsdpBytes = new Uint8Array(0);
  area.zeros(RSDP_BYTES);
  if (options.apic) {
    const configuration = place(mpConfiguration(options.vcpus), 16);
    place(mpFloatingPointer(configuration), 16);
  }
  if (options.acpi) {
    const facsAt = place(facs(), 64);
    const dsdtAt = place(table('DSDT', 1, dsdtBody(options)), 16);
    const listed = [place(fadt(facsAt, dsdtAt), 16)];
    if (options.apic) listed.push(place(madt(options.vcpus), 16));
    if (options.hpet) listed.push(place(hpet(), 16));
    const rsdt = new ByteWriter(), xsdt = new ByteWriter();
    for (const at of listed) {
      rsdt.u32(at);
      xsdt.u64(at);
    }
    rsdpBytes = rsdp(place(table('RSDT', 1, rsdt.done()), 16), place(table('XSDT', 1, xsdt.done()), 16)) as Uint8Array<ArrayBuffer>;
  }
  const bytes = area.done();
  bytes.set(rsdpBytes);
  if (bytes.length > FIRMWARE_TABLES_SIZE) throw new Error('firmware tables larger than their area');
  return { start: FIRMWARE_TABLES_START, bytes, rsdp: options.acpi ? FIRMWARE_TABLES_START : 0, rsdpBytes };
}
