/**
 * Linux's boot_params ("zero page", Documentation/arch/x86/zero-page.rst) and what surrounds it: command line and initrd.
 * There is no setup_data.
 */
import type { BootModule, BootRequest } from './boot-request';
import { LoadError } from './load-error';
import type { Placement } from './placement';
import { LOW_STRUCTURES, LOW_STRUCTURES_END } from './placement';
import { cString } from './image-reader';
import { writeScreenInfo } from './screen-info';

const ACPI_RSDP_ADDR = 0x070, EXT_RAMDISK_IMAGE = 0x0c0, EXT_RAMDISK_SIZE = 0x0c4;
const E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0, E820_MAX = 128;
const BOOT_FLAG = 0x1fe, HEADER = 0x202, VERSION = 0x206, TYPE_OF_LOADER = 0x210;
const RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, CMD_LINE_PTR = 0x228;
const SETUP_HEADER = 0x1f1;

/** Loader without an assigned number (boot.rst, type_of_loader). */
const LOADER_UNDEFINED = 0xff;

export interface InitrdLimits {
  /** Lowest place that the kernel leaves alone. */
  low: number;
  /** Highest address that the kernel accepts for the initrd's last byte. */
  addressMax: number;
}

/** Puts the initrd as high as the kernel accepts; returns its place. */
export function placeInitrd(initrd: BootModule | undefined, placement: Placement, limits: InitrdLimits): { start: number; size: number } {
  if (initrd === undefined) return { start: 0, size: 0 };
  const high = Math.min(placement.lowMemoryEnd(), limits.addressMax + 1);
  const start = placement.allocateHigh(initrd.bytes.length, 4096, limits.low, high, `the initrd ${initrd.name}`);
  placement.write(start, initrd.bytes);
  return { start, size: initrd.bytes.length };
}

/** The one module that Linux can take. */
export function onlyInitrd(request: BootRequest): BootModule | undefined {
  if (request.modules.length > 1) {
    throw new LoadError(request.kernel.name, `a Linux kernel takes one initrd, ${request.modules.length} modules were given`);
  }
  return request.modules[0];
}

/**
 * Writes the zero page and the command line and returns the zero page's address. `setupHeader` is the kernel's own header
 * from offset 1F1h on (empty for a bare ELF kernel, which gets the few fields that it reads).
 */
export function placeBootParams(
  request: BootRequest, placement: Placement, setupHeader: Uint8Array, initrd: { start: number; size: number }, cmdlineMax: number,
): number {
  const cmdline = cString(request.cmdline);
  if (cmdline.length - 1 > cmdlineMax) {
    throw new LoadError(request.kernel.name, `takes a command line of ${cmdlineMax} bytes, it has ${cmdline.length - 1}`);
  }
  const cmdlineAt = placement.put(cmdline, 16, LOW_STRUCTURES, LOW_STRUCTURES_END, 'the command line');
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  page.set(setupHeader, SETUP_HEADER);
  if (setupHeader.length === 0) {
    view.setUint16(BOOT_FLAG, 0xaa55, true);
    view.setUint32(HEADER, 0x53726448, true); // "HdrS"
    view.setUint16(VERSION, 0x20c, true);
  }
  if (request.screen !== null) writeScreenInfo(view, request.screen);
  page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
  view.setUint32(ACPI_RSDP_ADDR, request.rsdp, true);
  view.setUint32(RAMDISK_IMAGE, initrd.start % 0x100000000, true);
  view.setUint32(RAMDISK_SIZE, initrd.size, true);
  view.setUint32(EXT_RAMDISK_IMAGE, Math.floor(initrd.start / 0x100000000), true);
  view.setUint32(EXT_RAMDISK_SIZE, 0, true);
  view.setUint32(CMD_LINE_PTR, cmdlineAt, true);
  const entries = placement.e820.slice(0, E820_MAX);
  page[E820_ENTRIES] = entries.length;
  entries.forEach((range, n) => {
    const at = E820_TABLE + 20 * n;
    view.setUint32(at, range.start % 0x100000000, true);
    view.setUint32(at + 4, Math.floor(range.start / 0x100000000), true);
    view.setUint32(at + 8, range.length % 0x100000000, true);
    view.setUint32(at + 12, Math.floor(range.length / 0x100000000), true);
    view.setUint32(at + 16, range.type, true);
  });
  return placement.put(page, 4096, LOW_STRUCTURES, LOW_STRUCTURES_END, 'the Linux zero page');
}
