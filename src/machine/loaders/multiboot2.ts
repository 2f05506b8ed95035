/**
 * Multiboot 2 (Multiboot2 Specification 2.0), i386 entry: header tags for information requests, addresses, entry,
 * console flags, framebuffer (ignored), module alignment and relocation; boot information for command line, loader name,
 * modules, memory, ACPI and load base. EFI entries are not taken: there is no EFI.
 */
import type { BootRequest } from './boot-request';
import { LOADER_NAME } from './boot-request';
import type { Elf } from './elf';
import { isElf, loadElfSegments, parseElf, physicalEntry } from './elf';
import type { EntryState } from './entry-state';
import { flatProtectedEntry, GDT_CODE32, GDT_DATA, placeGdt } from './entry-state';
import type { ImageReader } from './image-reader';
import { ByteWriter, cString } from './image-reader';
import type { FlatImage, LoadedModule } from './multiboot1';
import { basicMemory, commandLine, flatImage, LENIENT_STACK, loadFlatImage, loadModules } from './multiboot1';
import type { Placement } from './placement';
import { LOW_STRUCTURES } from './placement';

const HEADER_MAGIC = 0xe85250d6, BOOT_MAGIC = 0x36d76289;
const SEARCH_BYTES = 32768;
const ARCHITECTURE_I386 = 0;

const H_END = 0, H_INFORMATION = 1, H_ADDRESS = 2, H_ENTRY = 3, H_CONSOLE = 4, H_FRAMEBUFFER = 5, H_MODULE_ALIGN = 6;
const H_EFI_BOOT_SERVICES = 7, H_ENTRY_EFI32 = 8, H_ENTRY_EFI64 = 9, H_RELOCATABLE = 10;
const TAG_OPTIONAL = 1;

const I_END = 0, I_CMDLINE = 1, I_LOADER_NAME = 2, I_MODULE = 3, I_BASIC_MEMORY = 4, I_MEMORY_MAP = 6, I_ACPI_OLD = 14, I_ACPI_NEW = 15;
const I_LOAD_BASE = 21;
/** Information tags of the specification: a kernel may require those of them that this machine does not have. */
const I_LAST = 21;

/** Offset of the header in the file, or -1. */
export function findMultiboot2(image: ImageReader): number {
  const end = Math.min(image.length, SEARCH_BYTES) - 16;
  for (let at = 0; at <= end; at += 8) {
    if (image.u32(at, '') !== HEADER_MAGIC) continue;
    const sum = HEADER_MAGIC + image.u32(at + 4, '') + image.u32(at + 8, '') + image.u32(at + 12, '');
    if ((sum >>> 0) === 0) return at;
  }
  return -1;
}

interface Relocation {
  low: number;
  high: number;
  alignment: number;
  preferHigh: boolean;
}

interface Header {
  address: { header: number; load: number; loadEnd: number; bssEnd: number } | null;
  entry: number | null;
  relocation: Relocation | null;
}

function parseHeader(image: ImageReader, at: number): Header {
  const what = 'the multiboot 2 header';
  if (image.u32(at + 4, what) !== ARCHITECTURE_I386) image.fail(`a multiboot 2 kernel for architecture ${image.u32(at + 4, what)}, not for x86`);
  const end = at + image.u32(at + 8, what);
  image.need(at, end - at, what);
  const header: Header = { address: null, entry: null, relocation: null };
  let tag = at + 16;
  while (tag + 8 <= end) {
    const type = image.u16(tag, what), flags = image.u16(tag + 2, what), size = image.u32(tag + 4, what);
    if (type === H_END) break;
    if (size < 8 || tag + size > end) image.fail(`damaged multiboot 2 header: tag ${type} of ${size} bytes`);
    parseTag(image, header, tag, type, size, (flags & TAG_OPTIONAL) !== 0);
    tag += Math.ceil(size / 8) * 8;
  }
  return header;
}

function parseTag(image: ImageReader, header: Header, tag: number, type: number, size: number, optional: boolean): void {
  const what = `multiboot 2 tag ${type}`;
  const word = (n: number): number => image.u32(tag + 8 + 4 * n, what);
  switch (type) {
    case H_INFORMATION:
      for (let n = 0; n < (size - 8) >> 2; n++) {
        if (word(n) > I_LAST && !optional) image.fail(`the multiboot 2 header requires information tag ${word(n)}, which does not exist`);
      }
      return;
    case H_ADDRESS:
      header.address = { header: word(0), load: word(1), loadEnd: word(2), bssEnd: word(3) };
      return;
    case H_ENTRY:
      header.entry = word(0);
      return;
    case H_RELOCATABLE:
      header.relocation = { low: word(0), high: word(1), alignment: Math.max(1, word(2)), preferHigh: word(3) === 2 };
      return;
    case H_CONSOLE: case H_FRAMEBUFFER: case H_MODULE_ALIGN:
    case H_EFI_BOOT_SERVICES: case H_ENTRY_EFI32: case H_ENTRY_EFI64:
      // Console and framebuffer have nothing to choose from, modules are always aligned, EFI entries are for EFI machines.
      return;
    default:
      if (!optional) image.fail(`the multiboot 2 header requires feature ${type}, which is not supported`);
  }
}

/** Distance to move an image that lies at [start, end) when it is relocatable and its own place is not free or not allowed. */
function relocationDelta(image: ImageReader, relocation: Relocation | null, start: number, end: number, placement: Placement): number {
  if (relocation === null) return 0;
  const allowed = start >= relocation.low && end - 1 <= relocation.high && start % relocation.alignment === 0;
  if (allowed && placement.isFree(start, end - start)) return 0;
  const high = Math.min(relocation.high + 1, placement.lowMemoryEnd());
  const probe = relocation.preferHigh
    ? placement.allocateHigh(end - start, relocation.alignment, relocation.low, high, `the image of ${image.name}`)
    : placement.allocateLow(end - start, relocation.alignment, Math.max(relocation.low, 0x1000), high, `the image of ${image.name}`);
  return probe - start;
}

function elfBounds(elf: Elf): { start: number; end: number } {
  return {
    start: Math.min(...elf.load.map((segment) => segment.physical)),
    end: Math.max(...elf.load.map((segment) => segment.physical + segment.memorySize)),
  };
}

interface LoadedImage {
  entry: number;
  base: number;
  end: number;
}

function loadImageOf(image: ImageReader, headerAt: number, header: Header, placement: Placement): LoadedImage {
  if (header.address !== null) {
    const { header: address, load, loadEnd, bssEnd } = header.address;
    // FFFFFFFFh as load address means: the file's first byte is the first to load.
    const loadAddress = load === 0xffffffff ? address - headerAt : load;
    const flat = flatImage(image, headerAt, address, loadAddress, loadEnd, bssEnd, header.entry ?? -1);
    if (flat.entry < 0) image.fail('a multiboot 2 kernel with load addresses but no entry address');
    const delta = relocationDelta(image, header.relocation, flat.loadAddress, flat.bssEnd, placement);
    const moved: FlatImage = { ...flat, loadAddress: flat.loadAddress + delta, bssEnd: flat.bssEnd + delta };
    return { entry: flat.entry + delta, base: moved.loadAddress, end: loadFlatImage(image, moved, placement) };
  }
  if (!isElf(image)) image.fail('a multiboot 2 kernel that is neither ELF nor has an address tag');
  const elf = parseElf(image);
  const bounds = elfBounds(elf);
  const entry = header.entry ?? physicalEntry(image, elf);
  const delta = relocationDelta(image, header.relocation, bounds.start, bounds.end, placement);
  for (const segment of elf.load) segment.physical += delta;
  const end = loadElfSegments(image, elf, placement);
  return { entry: entry + delta, base: bounds.start + delta, end };
}

function tag(info: ByteWriter, type: number, body: ByteWriter): void {
  info.align(8).u32(type).u32(8 + body.length).raw(body.done());
}

function buildInformation(
  request: BootRequest, placement: Placement, modules: readonly LoadedModule[], loadBase: number | null,
): Uint8Array {
  const info = new ByteWriter().u32(0).u32(0);
  tag(info, I_CMDLINE, new ByteWriter().raw(cString(commandLine(request.kernel.name, request.cmdline))));
  tag(info, I_LOADER_NAME, new ByteWriter().raw(cString(LOADER_NAME)));
  for (const module of modules) tag(info, I_MODULE, new ByteWriter().u32(module.start).u32(module.end).raw(cString(module.text)));
  const memory = basicMemory(placement);
  tag(info, I_BASIC_MEMORY, new ByteWriter().u32(memory.lower).u32(memory.upper));
  const map = new ByteWriter().u32(24).u32(0);
  for (const range of placement.e820) map.u64(range.start).u64(range.length).u32(range.type).u32(0);
  tag(info, I_MEMORY_MAP, map);
  if (request.rsdpBytes.length >= 20) tag(info, I_ACPI_OLD, new ByteWriter().raw(request.rsdpBytes.subarray(0, 20)));
  if (request.rsdpBytes.length >= 36) tag(info, I_ACPI_NEW, new ByteWriter().raw(request.rsdpBytes));
  if (loadBase !== null) tag(info, I_LOAD_BASE, new ByteWriter().u32(loadBase));
  tag(info, I_END, new ByteWriter());
  info.patch32(0, info.length);
  return info.done();
}

export function loadMultiboot2(image: ImageReader, headerAt: number, request: BootRequest, placement: Placement): EntryState {
  const header = parseHeader(image, headerAt);
  const loaded = loadImageOf(image, headerAt, header, placement);
  const modules = loadModules(request, placement, loaded.end);
  const information = buildInformation(request, placement, modules, header.relocation === null ? null : loaded.base);
  const high = placement.lowMemoryEnd();
  const infoAt = placement.put(information, 8, LOW_STRUCTURES, high, 'the multiboot 2 information');
  const gdtr = placeGdt(placement, [0n, GDT_CODE32, GDT_DATA], LOW_STRUCTURES, high);
  return flatProtectedEntry(loaded.entry, 0x08, 0x10, gdtr, { rax: BOOT_MAGIC, rbx: infoAt, rsp: LENIENT_STACK });
}
