/**
 * ELF executables (System V ABI, chapters 4 and 5), 32- and 64-bit little-endian x86, loaded at their physical addresses.
 * Sections are not needed to run and are ignored.
 */
import type { ImageReader } from './image-reader';
import type { Placement } from './placement';

const CLASS_64 = 2, DATA_LITTLE = 1;
const MACHINE_386 = 3, MACHINE_X86_64 = 62;
const TYPE_EXEC = 2, TYPE_DYN = 3;
const SEGMENT_LOAD = 1, SEGMENT_NOTE = 4;

export interface ElfSegment {
  fileOffset: number;
  fileSize: number;
  /** p_paddr. */
  physical: number;
  virtual: number;
  memorySize: number;
}

export interface Elf {
  is64: boolean;
  /** e_entry as it stands: virtual or physical as the image was linked. */
  entry: number;
  load: ElfSegment[];
  notes: ElfSegment[];
}

export function isElf(image: ImageReader): boolean {
  const b = image.bytes;
  return b.length >= 4 && b[0] === 0x7f && b[1] === 0x45 && b[2] === 0x4c && b[3] === 0x46;
}

/** Reads the headers; anything that is not an x86 executable is refused. */
export function parseElf(image: ImageReader): Elf {
  image.need(0, 52, 'the ELF header');
  const is64 = image.bytes[4] === CLASS_64;
  if (image.bytes[4] !== CLASS_64 && image.bytes[4] !== 1) image.fail(`not an executable: ELF class ${image.bytes[4]}`);
  if (image.bytes[5] !== DATA_LITTLE) image.fail('a big-endian ELF file, not for x86');
  const type = image.u16(16, 'the ELF header'), machine = image.u16(18, 'the ELF header');
  if (machine !== MACHINE_386 && machine !== MACHINE_X86_64) image.fail(`an ELF file for machine ${machine}, not for x86`);
  if (type !== TYPE_EXEC && type !== TYPE_DYN) image.fail(`an ELF file of type ${type}, not an executable`);
  const entry = is64 ? kernelAddress(image, 24, 'the ELF header') : image.u32(24, 'the ELF header');
  const table = is64 ? image.u64(32, 'the ELF header') : image.u32(28, 'the ELF header');
  const entrySize = image.u16(is64 ? 54 : 42, 'the ELF header');
  const count = image.u16(is64 ? 56 : 44, 'the ELF header');
  if (count === 0) image.fail('an ELF file without program headers: nothing to load');
  if (entrySize < (is64 ? 56 : 32)) image.fail(`ELF program headers of ${entrySize} bytes`);
  image.need(table, count * entrySize, 'the ELF program header table');
  const elf: Elf = { is64, entry, load: [], notes: [] };
  for (let n = 0; n < count; n++) {
    const at = table + n * entrySize;
    const kind = image.u32(at, 'an ELF program header');
    if (kind !== SEGMENT_LOAD && kind !== SEGMENT_NOTE) continue;
    const what = `ELF segment ${n}`;
    const segment: ElfSegment = is64
      ? {
          fileOffset: image.u64(at + 8, what), virtual: kernelAddress(image, at + 16, what), physical: image.u64(at + 24, what),
          fileSize: image.u64(at + 32, what), memorySize: image.u64(at + 40, what),
        }
      : {
          fileOffset: image.u32(at + 4, what), virtual: image.u32(at + 8, what), physical: image.u32(at + 12, what),
          fileSize: image.u32(at + 16, what), memorySize: image.u32(at + 20, what),
        };
    if (segment.fileSize > 0) image.need(segment.fileOffset, segment.fileSize, what);
    if (kind === SEGMENT_NOTE) {
      elf.notes.push(segment);
    } else {
      if (segment.fileSize > segment.memorySize) image.fail(`${what} is larger in the file than in memory`);
      if (segment.memorySize > 0) elf.load.push(segment);
    }
  }
  if (elf.load.length === 0) image.fail('an ELF file without a loadable segment');
  return elf;
}

/** A 64-bit virtual address as a double: high-half addresses become negative, so that small differences stay exact. */
function kernelAddress(image: ImageReader, offset: number, what: string): number {
  const low = image.u32(offset, what);
  const high = image.u32(offset + 4, what) | 0;
  return high * 0x100000000 + low;
}

/** Copies the segments to their physical addresses and clears the rest of each; returns the end of the highest. */
export function loadElfSegments(image: ImageReader, elf: Elf, placement: Placement): number {
  let end = 0;
  for (const segment of elf.load) {
    placement.claim(segment.physical, segment.memorySize, 'an ELF segment');
    placement.write(segment.physical, image.slice(segment.fileOffset, segment.fileSize, 'an ELF segment'));
    // RAM is zero before loading, but an earlier segment may have covered this one's tail.
    if (segment.memorySize > segment.fileSize) {
      placement.write(segment.physical + segment.fileSize, new Uint8Array(segment.memorySize - segment.fileSize));
    }
    end = Math.max(end, segment.physical + segment.memorySize);
  }
  return end;
}

/** Physical address of an ELF kernel's entry, which may be given as a virtual address. */
export function physicalEntry(image: ImageReader, elf: Elf): number {
  for (const segment of elf.load) {
    if (elf.entry >= segment.physical && elf.entry < segment.physical + segment.memorySize) return elf.entry;
  }
  for (const segment of elf.load) {
    if (elf.entry >= segment.virtual && elf.entry < segment.virtual + segment.memorySize) return elf.entry - segment.virtual + segment.physical;
  }
  return image.fail(`the entry point ${elf.entry.toString(16)}h lies outside every segment`);
}

/** Descriptor of the note with this owner and type, or null. Damaged notes end the search. */
export function findNote(image: ImageReader, elf: Elf, owner: string, type: number): Uint8Array | null {
  for (const segment of elf.notes) {
    let at = segment.fileOffset;
    const end = segment.fileOffset + segment.fileSize;
    while (at + 12 <= end) {
      const nameSize = image.u32(at, 'an ELF note'), size = image.u32(at + 4, 'an ELF note');
      const name = at + 12;
      const descriptor = name + Math.ceil(nameSize / 4) * 4;
      if (descriptor + size > end) break;
      const found = String.fromCharCode(...image.bytes.subarray(name, name + Math.min(nameSize, 16))).replace(/\0.*$/s, '');
      if (found === owner && image.u32(at + 8, 'an ELF note') === type) return image.slice(descriptor, size, 'an ELF note');
      at = descriptor + Math.ceil(size / 4) * 4;
    }
  }
  return null;
}
