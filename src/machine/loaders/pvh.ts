/**
 * Kernels with a PVH entry (xen/include/public/arch-x86/hvm/start_info.h, version 1, and XEN_ELFNOTE_PHYS32_ENTRY):
 * flat 32-bit protected mode, EBX = hvm_start_info.
 */
import type { BootRequest } from './boot-request';
import type { Elf } from './elf';
import { findNote, loadElfSegments } from './elf';
import type { EntryState } from './entry-state';
import { flatProtectedEntry, GDT_CODE32, GDT_DATA, placeGdt } from './entry-state';
import type { ImageReader } from './image-reader';
import { ByteWriter, cString } from './image-reader';
import type { Placement } from './placement';
import { LOW_STRUCTURES, LOW_STRUCTURES_END } from './placement';

const NOTE_PHYS32_ENTRY = 18;
const START_MAGIC = 0x336ec578, START_VERSION = 1;

/** Physical entry point from the note, or null. */
export function pvhEntry(image: ImageReader, elf: Elf): number | null {
  const note = findNote(image, elf, 'Xen', NOTE_PHYS32_ENTRY);
  if (note === null || note.length < 4) return null;
  return new DataView(note.buffer, note.byteOffset, note.byteLength).getUint32(0, true);
}

export function loadPvh(image: ImageReader, elf: Elf, entry: number, request: BootRequest, placement: Placement): EntryState {
  const end = loadElfSegments(image, elf, placement);
  if (!elf.load.some((segment) => entry >= segment.physical && entry < segment.physical + segment.memorySize)) {
    image.fail(`the PVH entry point ${entry.toString(16)}h lies outside every segment`);
  }
  // Modules go to the top: kernels take the memory behind their image without asking.
  const modules = request.modules.map((module) => {
    const start = placement.allocateHigh(
      module.bytes.length, 4096, Math.ceil(end / 4096) * 4096, placement.lowMemoryEnd(), `the module ${module.name}`);
    placement.write(start, module.bytes);
    const cmdline = module.args === '' ? 0 : placement.put(cString(module.args), 8, LOW_STRUCTURES, LOW_STRUCTURES_END, 'module arguments');
    return { start, size: module.bytes.length, cmdline };
  });
  const cmdline = placement.put(cString(request.cmdline), 8, LOW_STRUCTURES, LOW_STRUCTURES_END, 'the command line');

  const list = new ByteWriter();
  for (const module of modules) list.u64(module.start).u64(module.size).u64(module.cmdline).u64(0);
  const listAt = modules.length === 0 ? 0 : placement.put(list.done(), 8, LOW_STRUCTURES, LOW_STRUCTURES_END, 'the module list');
  const map = new ByteWriter();
  for (const range of placement.e820) map.u64(range.start).u64(range.length).u32(range.type).u32(0);
  const mapAt = placement.put(map.done(), 8, LOW_STRUCTURES, LOW_STRUCTURES_END, 'the memory map');

  const info = new ByteWriter()
    .u32(START_MAGIC).u32(START_VERSION).u32(0).u32(modules.length)
    .u64(listAt).u64(cmdline).u64(request.rsdp)
    .u64(mapAt).u32(placement.e820.length).u32(0);
  const infoAt = placement.put(info.done(), 8, LOW_STRUCTURES, LOW_STRUCTURES_END, 'hvm_start_info');
  const gdtr = placeGdt(placement, [0n, GDT_CODE32, GDT_DATA], LOW_STRUCTURES, LOW_STRUCTURES_END);
  return flatProtectedEntry(entry, 0x08, 0x10, gdtr, { rbx: infoAt });
}
