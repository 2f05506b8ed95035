/**
 * Multiboot 1 (Multiboot Specification 0.6.96): header within the first 8192 bytes, ELF or a.out-kludge images, modules,
 * memory map. Strict where GRUB is (unknown required flags are refused), lenient where QEMU is (header flags may be 0, a
 * video mode request is ignored, segments may load anywhere in RAM). Symbol tables, drives, APM and VBE are not offered.
 */
import type { BootRequest } from './boot-request';
import { LOADER_NAME, RANGE_RAM } from './boot-request';
import { isElf, loadElfSegments, parseElf, physicalEntry } from './elf';
import type { EntryState } from './entry-state';
import { flatProtectedEntry, GDT_CODE32, GDT_DATA, placeGdt } from './entry-state';
import type { ImageReader } from './image-reader';
import { ByteWriter, cString } from './image-reader';
import type { Placement } from './placement';
import { LOW_STRUCTURES } from './placement';

const HEADER_MAGIC = 0x1badb002, BOOT_MAGIC = 0x2badb002;
const SEARCH_BYTES = 8192;

const FLAG_VIDEO = 1 << 2, FLAG_KLUDGE = 1 << 16;
/** Flags 15:0 are requirements; these are understood: page-aligned modules, memory information, video mode (ignored). */
const KNOWN_REQUIREMENTS = 3 | FLAG_VIDEO;

const INFO_MEMORY = 1 << 0, INFO_CMDLINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MMAP = 1 << 6, INFO_LOADER_NAME = 1 << 9;
const INFO_BYTES = 116;

/** Offset of the header in the file, or -1. */
export function findMultiboot1(image: ImageReader): number {
  const end = Math.min(image.length, SEARCH_BYTES) - 12;
  for (let at = 0; at <= end; at += 4) {
    if (image.u32(at, '') !== HEADER_MAGIC) continue;
    if (((HEADER_MAGIC + image.u32(at + 4, '') + image.u32(at + 8, '')) >>> 0) === 0) return at;
  }
  return -1;
}

export interface FlatImage {
  loadAddress: number;
  fileOffset: number;
  fileBytes: number;
  /** End of the cleared memory behind it. */
  bssEnd: number;
  entry: number;
}

/**
 * Works out an image described by addresses instead of ELF headers (multiboot 1, 3.1.3; multiboot 2, 3.1.5): `loadEnd`
 * and `bssEnd` may be 0 for "to the end of the file" and "nothing to clear".
 */
export function flatImage(
  image: ImageReader, headerAt: number, headerAddress: number, loadAddress: number, loadEnd: number, bssEnd: number, entry: number,
): FlatImage {
  if (loadAddress > headerAddress) image.fail(`multiboot header at ${headerAddress.toString(16)}h lies before load address ${loadAddress.toString(16)}h`);
  const fileOffset = headerAt - (headerAddress - loadAddress);
  if (fileOffset < 0) image.fail(`multiboot load address ${loadAddress.toString(16)}h lies before the start of the file`);
  if (loadEnd !== 0 && loadEnd < loadAddress) image.fail('multiboot load end lies before the load address');
  const fileBytes = loadEnd === 0 ? image.length - fileOffset : loadEnd - loadAddress;
  image.need(fileOffset, fileBytes, 'the multiboot image');
  const end = loadAddress + fileBytes;
  if (bssEnd !== 0 && bssEnd < end) image.fail('multiboot bss end lies before the end of the loaded part');
  return { loadAddress, fileOffset, fileBytes, bssEnd: bssEnd === 0 ? end : bssEnd, entry };
}

/** Copies a flat image and clears its bss; returns its end. */
export function loadFlatImage(image: ImageReader, flat: FlatImage, placement: Placement): number {
  placement.claim(flat.loadAddress, flat.bssEnd - flat.loadAddress, 'the multiboot image');
  placement.write(flat.loadAddress, image.slice(flat.fileOffset, flat.fileBytes, 'the multiboot image'));
  return flat.bssEnd;
}

export interface LoadedModule {
  start: number;
  end: number;
  /** Name, then arguments. */
  text: string;
}

/** Last part of a path. */
function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Command line with the program's name as first word. */
export function commandLine(name: string, args: string): string {
  return args === '' ? baseName(name) : `${baseName(name)} ${args}`;
}

/** Loads the modules page-aligned behind the image, above 1 MiB. */
export function loadModules(request: BootRequest, placement: Placement, imageEnd: number): LoadedModule[] {
  return request.modules.map((module) => {
    const start = placement.allocateLow(
      module.bytes.length, 4096, Math.max(imageEnd, 0x100000), placement.lowMemoryEnd(), `the module ${module.name}`);
    placement.write(start, module.bytes);
    return { start, end: start + module.bytes.length, text: commandLine(module.name, module.args) };
  });
}

/** KiB of RAM from 0, and KiB of RAM from 1 MiB to the first hole. */
export function basicMemory(placement: Placement): { lower: number; upper: number } {
  const ram = placement.e820.filter((range) => range.type === RANGE_RAM);
  const low = ram.find((range) => range.start === 0);
  const high = ram.find((range) => range.start <= 0x100000 && range.start + range.length > 0x100000);
  return {
    lower: low === undefined ? 0 : Math.min(640, Math.floor(low.length / 1024)),
    upper: high === undefined ? 0 : Math.floor((high.start + high.length - 0x100000) / 1024),
  };
}

export function loadMultiboot1(image: ImageReader, headerAt: number, request: BootRequest, placement: Placement): EntryState {
  const flags = image.u32(headerAt + 4, 'the multiboot header');
  const unknown = flags & 0xffff & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0) image.fail(`the multiboot header requires features ${unknown.toString(16)}h, which no loader knows`);

  let entry: number;
  let end: number;
  if ((flags & FLAG_KLUDGE) !== 0) {
    const field = (n: number): number => image.u32(headerAt + 12 + 4 * n, 'the multiboot address fields');
    const flat = flatImage(image, headerAt, field(0), field(1), field(2), field(3), field(4));
    end = loadFlatImage(image, flat, placement);
    entry = flat.entry;
  } else {
    if (!isElf(image)) image.fail('a multiboot kernel that is neither ELF nor gives load addresses (header flag 16)');
    const elf = parseElf(image);
    end = loadElfSegments(image, elf, placement);
    entry = physicalEntry(image, elf);
  }

  const modules = loadModules(request, placement, end);
  const high = placement.lowMemoryEnd();
  const put = (bytes: Uint8Array, what: string): number => placement.put(bytes, 8, LOW_STRUCTURES, high, what);
  const cmdline = put(cString(commandLine(request.kernel.name, request.cmdline)), 'the command line');
  const loaderName = put(cString(LOADER_NAME), 'the loader name');
  const list = new ByteWriter();
  for (const module of modules) {
    list.u32(module.start).u32(module.end).u32(put(cString(module.text), 'module arguments')).u32(0);
  }
  const listAt = modules.length === 0 ? 0 : put(list.done(), 'the module list');
  const map = new ByteWriter();
  for (const range of placement.e820) map.u32(20).u64(range.start).u64(range.length).u32(range.type);
  const mapAt = put(map.done(), 'the memory map');

  const memory = basicMemory(placement);
  const info = new ByteWriter()
    .u32(INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER_NAME)
    .u32(memory.lower).u32(memory.upper)
    .u32(0) // boot_device
    .u32(cmdline).u32(modules.length).u32(listAt)
    .zeros(16) // symbols
    .u32(map.length).u32(mapAt)
    .zeros(12) // drives, configuration table
    .u32(loaderName);
  info.zeros(INFO_BYTES - info.length);
  const infoAt = put(info.done(), 'the multiboot information');
  const gdtr = placeGdt(placement, [0n, GDT_CODE32, GDT_DATA], LOW_STRUCTURES, high);
  return flatProtectedEntry(entry, 0x08, 0x10, gdtr, { rax: BOOT_MAGIC, rbx: infoAt, rsp: LENIENT_STACK });
}

/** The specification leaves ESP undefined; kernels written against other loaders push before they set it. */
export const LENIENT_STACK = 0x7ff0;
