/**
 * What firmware leaves behind for software that is loaded without any: tables in F0000h-FFFFFh, interrupt vectors that return,
 * the BIOS data area (IBM PC/AT Technical Reference), MTRRs (SDM 3A 12.11). There are no BIOS services.
 */
import { MTRR_DEF_TYPE, MTRR_FIXED, MTRR_VARIABLE } from '../cpu/state';
import { cpuConfig } from '../cpu/features';
import { vcpuCount, vcpuWords } from '../cpu/vcpus';
import { physWrite16, physWrite32, physWrite8, physWriteBytes } from '../cpu/mmu/physical';
import { buildFirmwareTables } from './acpi/tables';
import type { FirmwareTableOptions, FirmwareTables } from './acpi/tables';
import { PCI_HOLE_START, SERIAL_PORTS } from './layout';
import { EBDA_START } from './memory-map';

/** Where a PC's BIOS has an IRET for interrupts that nobody handles. */
const DUMMY_IRET = 0xfff53;
const IRET = 0xcf;

const BDA = 0x400;
const BDA_EBDA_SEGMENT = 0x40e, BDA_EQUIPMENT = 0x410, BDA_MEMORY_KIB = 0x413;
/** Coprocessor, 80-column text, PS/2 mouse; the number of serial ports is in bits 11:9. */
const EQUIPMENT = 0x26;

const WRITE_BACK = 0x06060606, WRITE_PROTECTED = 0x05050505;
/** Enable, fixed ranges enable, default type write-back. */
const MTRR_DEFAULT = 0xc06;
const VARIABLE_VALID = 0x800;

function setFixedMtrr(words: Int32Array, n: number, pattern: number): void {
  words[MTRR_FIXED + 2 * n] = words[MTRR_FIXED + 2 * n + 1] = pattern;
}

/**
 * RAM is cached, VGA memory and the devices below 4 GiB are not; the same on every processor. Fixed ranges in the order of their MSRs: 64 KiB, two of
 * 16 KiB, eight of 4 KiB.
 */
function setMtrrs(words: Int32Array): void {
  setFixedMtrr(words, 0, WRITE_BACK);
  setFixedMtrr(words, 1, WRITE_BACK);
  setFixedMtrr(words, 2, 0);
  for (let n = 3; n < 11; n++) setFixedMtrr(words, n, WRITE_PROTECTED);
  words[MTRR_VARIABLE] = PCI_HOLE_START | 0;
  words[MTRR_VARIABLE + 1] = 0;
  words[MTRR_VARIABLE + 2] = PCI_HOLE_START | VARIABLE_VALID;
  words[MTRR_VARIABLE + 3] = (1 << (cpuConfig.physicalAddressBits - 32)) - 1;
  words[MTRR_DEF_TYPE] = MTRR_DEFAULT;
  words[MTRR_DEF_TYPE + 1] = 0;
}

function writeLowMemory(): void {
  physWrite8(DUMMY_IRET, IRET);
  for (let vector = 0; vector < 256; vector++) physWrite32(4 * vector, 0xf0000000 | (DUMMY_IRET & 0xffff));
  SERIAL_PORTS.forEach((port, n) => physWrite16(BDA + 2 * n, port.base));
  physWrite16(BDA_EBDA_SEGMENT, EBDA_START >> 4);
  physWrite16(BDA_EQUIPMENT, EQUIPMENT | (SERIAL_PORTS.length << 9));
  physWrite16(BDA_MEMORY_KIB, EBDA_START >> 10);
  physWrite8(EBDA_START, 1);
}

/** Prepares memory and the vCPUs, and returns the tables that it wrote. */
export function leaveFirmwareState(options: FirmwareTableOptions): FirmwareTables {
  const tables = buildFirmwareTables(options);
  writeLowMemory();
  physWriteBytes(tables.start, tables.bytes);
  for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) setMtrrs(vcpuWords(vcpu));
  return tables;
}
