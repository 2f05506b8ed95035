/** What a loader is given: files already read, and the memory of a machine that has not run yet. */
import type { BootScreen } from '../firmware-screen';

/** Type of an address range, numbered as ACPI's INT 15h E820 does: 1 RAM, 2 reserved, 3 ACPI tables, 4 ACPI NVS. */
export interface MemoryRange {
  /** First byte, host-physical. */
  start: number;
  /** Bytes. */
  length: number;
  type: number;
}

export const RANGE_RAM = 1;

/** Guest memory as a loader sees it. */
export interface LoadMemory {
  /** The memory map that the kernel is told, ascending. */
  readonly e820: readonly MemoryRange[];
  /** Writes into RAM; loaders only write inside ranges of type RANGE_RAM. RAM reads as zero until written. */
  write(hostPhysical: number, bytes: Uint8Array): void;
}

export interface BootFile {
  /** Name for messages and for the first word of module command lines. */
  name: string;
  bytes: Uint8Array;
}

export interface BootModule extends BootFile {
  /** Arguments after the module's name; may be empty. */
  args: string;
}

export interface BootRequest {
  kernel: BootFile;
  /** Kernel arguments, without the program name. */
  cmdline: string;
  /** Linux initrd, PVH modules, multiboot modules, in order. Linux takes at most one. */
  modules: readonly BootModule[];
  /** Host-physical address of the ACPI RSDP, 0 without ACPI. */
  rsdp: number;
  /** The RSDP itself, for protocols that hand over a copy; empty without ACPI. */
  rsdpBytes: Uint8Array;
  /** The screen that the kernel starts with; null without display adapter. */
  screen: BootScreen | null;
}

/** Name that boot protocols ask a loader for. */
export const LOADER_NAME = 'nestbox';
