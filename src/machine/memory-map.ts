/**
 * RAM of the machine and the map that firmware reports (E820): RAM from 0 with the VGA hole, up to the PCI hole at 3 GiB, the
 * rest from 4 GiB. C0000h-FFFFFh is RAM, where firmware would put shadowed ROMs and its tables.
 */
import { setUpRam, unmapMemory } from '../cpu/mmu/physical';
import { FOUR_GIB, IOAPIC_BASE, ONE_MIB, PCI_HOLE_START, VGA_HOLE_END, VGA_HOLE_START } from './layout';
import type { MemoryRange } from './loaders/boot-request';

const RAM = 1, RESERVED = 2;
/** The extended BIOS data area: the last KiB of base memory. */
export const EBDA_START = 0x9fc00;
const FIRMWARE_START = 0xf0000;

/** Allocates and maps `bytes` of RAM (a multiple of 4 KiB, at least 1 MiB), and allocates video memory. */
export function buildMemoryMap(bytes: number, videoBytes: number): void {
  setUpRam(bytes, PCI_HOLE_START, videoBytes);
  unmapMemory(VGA_HOLE_START, VGA_HOLE_END - VGA_HOLE_START);
}

/** The E820 map of a machine with `bytes` of RAM, ascending. */
export function e820Map(bytes: number): MemoryRange[] {
  const low = Math.min(bytes, PCI_HOLE_START);
  const map: MemoryRange[] = [
    { start: 0, length: EBDA_START, type: RAM },
    { start: EBDA_START, length: VGA_HOLE_START - EBDA_START, type: RESERVED },
    { start: FIRMWARE_START, length: ONE_MIB - FIRMWARE_START, type: RESERVED },
    { start: ONE_MIB, length: low - ONE_MIB, type: RAM },
    { start: IOAPIC_BASE, length: FOUR_GIB - IOAPIC_BASE, type: RESERVED },
  ];
  if (bytes > low) map.push({ start: FOUR_GIB, length: bytes - low, type: RAM });
  return map;
}

/** RAM below and above 4 GiB, in bytes. */
export function ramSplit(bytes: number): { low: number; high: number } {
  const low = Math.min(bytes, PCI_HOLE_START);
  return { low, high: bytes - low };
}
