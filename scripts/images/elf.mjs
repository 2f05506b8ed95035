/**
 * ELF files (System V ABI, "Object Files" and "Program Loading"): dropping what a boot loader does not need from a
 * kernel, laying a kernel out as it lies in memory, and listing the libraries a program needs. Little-endian only.
 */

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const PT_NOTE = 4;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const PAGE = 4096;
/** Runs of zeros shorter than this stay in the file: each cut costs a program header. */
const WORTH_CUTTING = 16 * PAGE;

/**
 * @typedef {{ type: number, flags: number, offset: number, virtual: bigint, physical: number, fileSize: number, memorySize: number }} Segment
 */

/**
 * @param {Buffer} elf
 * @returns {{ bits: 32 | 64, entry: number, segments: Segment[] }} the entry is the header's, which kernels give as a
 * physical address
 */
export function parseElf(elf) {
  if (elf.length < 52 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[5] !== 1) throw new Error('not a little-endian ELF file');
  const wide = elf[4] === 2;
  const word = (/** @type {number} */ at) => (wide ? Number(elf.readBigUInt64LE(at)) : elf.readUInt32LE(at));
  const count = elf.readUInt16LE(wide ? 56 : 44);
  const size = elf.readUInt16LE(wide ? 54 : 42);
  const table = word(wide ? 32 : 28);
  if (table + count * size > elf.length) throw new Error('ELF: the program headers run out of the file');
  /** @type {Segment[]} */
  const segments = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * size;
    const segment = wide
      ? { type: elf.readUInt32LE(at), flags: elf.readUInt32LE(at + 4), offset: word(at + 8), virtual: elf.readBigUInt64LE(at + 16), physical: word(at + 24), fileSize: word(at + 32), memorySize: word(at + 40) }
      : { type: elf.readUInt32LE(at), flags: elf.readUInt32LE(at + 24), offset: word(at + 4), virtual: BigInt(elf.readUInt32LE(at + 8)), physical: word(at + 12), fileSize: word(at + 16), memorySize: word(at + 20) };
    if (segment.type !== 0 && segment.offset + segment.fileSize > elf.length) throw new Error(`ELF: segment ${i} runs out of the file`);
    segments.push(segment);
  }
  return { bits: wide ? 64 : 32, entry: word(24), segments };
}

/**
 * Rewrites a kernel without section headers and long runs of zeros: the same bytes at the same addresses, in a file
 * about half as large. Notes (the PVH entry) are kept.
 * @param {Buffer} elf
 * @returns {Buffer}
 */
export function trimElf(elf) {
  const { bits, segments } = parseElf(elf);
  const wide = bits === 64;
  /** @type {{ segment: Segment, at: number, size: number, memory: number }[]} runs of bytes that stay */
  const runs = [];
  for (const segment of segments) if (segment.type === PT_LOAD) runs.push(...cutZeros(elf, segment));
  const notes = segments.filter((segment) => segment.type === PT_NOTE);

  const headerSize = wide ? 64 : 52;
  const entrySize = wide ? 56 : 32;
  let end = pageUp(headerSize + entrySize * (runs.length + notes.length));
  const placed = runs.map((run) => {
    const offset = end;
    end = pageUp(end + run.size);
    return { ...run, offset };
  });
  const output = Buffer.alloc(end);
  elf.copy(output, 0, 0, headerSize);
  writeWord(output, wide ? 32 : 28, headerSize, wide);
  writeWord(output, wide ? 40 : 32, 0, wide); // no section headers
  output.writeUInt16LE(runs.length + notes.length, wide ? 56 : 44);
  output.fill(0, wide ? 58 : 46, headerSize);

  let header = headerSize;
  for (const { segment, at, size, memory, offset } of placed) {
    elf.copy(output, offset, segment.offset + at, segment.offset + at + size);
    writeSegment(output, header, wide, { ...segment, offset, virtual: segment.virtual + BigInt(at), physical: segment.physical + at, fileSize: size, memorySize: memory });
    header += entrySize;
  }
  for (const note of notes) {
    const home = placed.find(({ segment, at, size }) => note.offset >= segment.offset + at && note.offset + note.fileSize <= segment.offset + at + size);
    if (home === undefined) throw new Error('ELF: a note lies outside the loaded segments');
    writeSegment(output, header, wide, { ...note, offset: home.offset + note.offset - home.segment.offset - home.at });
    header += entrySize;
  }
  return output;
}

/**
 * @param {Buffer} elf
 * @param {Segment} segment
 */
function cutZeros(elf, segment) {
  const runs = [];
  const zeros = Buffer.alloc(PAGE);
  let start = 0;
  while (start < segment.memorySize) {
    // A run ends before the first long stretch of zero pages, which then counts as memory without file content.
    let size = 0;
    let next = start;
    while (next < segment.fileSize && next - (start + size) < WORTH_CUTTING) {
      const bytes = elf.subarray(segment.offset + next, segment.offset + Math.min(next + PAGE, segment.fileSize));
      next += PAGE;
      if (bytes.compare(zeros, 0, bytes.length) !== 0) size = Math.min(next, segment.fileSize) - start;
    }
    while (next < segment.fileSize) {
      const bytes = elf.subarray(segment.offset + next, segment.offset + Math.min(next + PAGE, segment.fileSize));
      if (bytes.compare(zeros, 0, bytes.length) !== 0) break;
      next += PAGE;
    }
    const memory = next >= segment.fileSize ? segment.memorySize - start : next - start;
    runs.push({ segment, at: start, size, memory });
    start += memory;
  }
  return runs;
}

/**
 * Lays a kernel out as a boot loader would.
 * @param {Buffer} elf
 * @returns {{ bits: 32 | 64, start: number, entry: number, bytes: Buffer }} guest-physical start and entry; memory
 * after the last byte is to be zero
 */
export function physicalImage(elf) {
  const { bits, entry, segments } = parseElf(elf);
  const loads = segments.filter((segment) => segment.type === PT_LOAD && segment.fileSize > 0);
  if (loads.length === 0) throw new Error('ELF: nothing to load');
  const start = Math.min(...loads.map((segment) => segment.physical));
  const end = Math.max(...loads.map((segment) => segment.physical + segment.fileSize));
  const bytes = Buffer.alloc(end - start);
  for (const { physical, offset, fileSize } of loads) elf.copy(bytes, physical - start, offset, offset + fileSize);
  return { bits, start, entry, bytes };
}

/**
 * @param {Buffer} elf a dynamically linked program or library
 * @returns {{ libraries: string[], interpreter: string | null }} its DT_NEEDED entries and its dynamic linker's path
 */
export function neededLibraries(elf) {
  const { bits, segments } = parseElf(elf);
  const wide = bits === 64;
  const word = (/** @type {number} */ at) => (wide ? Number(elf.readBigUInt64LE(at)) : elf.readUInt32LE(at));
  const interp = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter = interp === undefined ? null : textAt(elf, interp.offset);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return { libraries: [], interpreter };
  const step = wide ? 8 : 4;
  /** @type {number[]} offsets into the string table */
  const names = [];
  let strings = 0;
  for (let at = dynamic.offset; at + 2 * step <= dynamic.offset + dynamic.fileSize; at += 2 * step) {
    const tag = word(at);
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(word(at + step));
    if (tag === DT_STRTAB) strings = word(at + step);
  }
  const home = segments.find(({ type, virtual, fileSize }) => type === PT_LOAD && strings >= Number(virtual) && strings < Number(virtual) + fileSize);
  if (home === undefined) throw new Error('ELF: the dynamic string table is not loaded');
  const table = strings - Number(home.virtual) + home.offset;
  return { libraries: names.map((name) => textAt(elf, table + name)), interpreter };
}

/** @param {Buffer} elf @param {number} offset */
function textAt(elf, offset) {
  return elf.toString('latin1', offset, elf.indexOf(0, offset));
}

/** @param {number} value */
function pageUp(value) {
  return Math.ceil(value / PAGE) * PAGE;
}

/** @param {Buffer} output @param {number} at @param {number | bigint} value @param {boolean} wide */
function writeWord(output, at, value, wide) {
  if (wide) output.writeBigUInt64LE(BigInt(value), at);
  else output.writeUInt32LE(Number(value), at);
}

/** @param {Buffer} output @param {number} at @param {boolean} wide @param {Segment} segment */
function writeSegment(output, at, wide, { type, flags, offset, virtual, physical, fileSize, memorySize }) {
  const alignment = type === PT_NOTE ? 4 : PAGE;
  output.writeUInt32LE(type, at);
  output.writeUInt32LE(flags, at + (wide ? 4 : 24));
  [offset, virtual, physical, fileSize, memorySize].forEach((value, i) => writeWord(output, at + (wide ? 8 + 8 * i : 4 + 4 * i), value, wide));
  writeWord(output, at + (wide ? 48 : 28), alignment, wide);
}
