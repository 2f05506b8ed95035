/**
 * Disks that bring a guest into Bochs, which has nothing but a BIOS: a loader of our own (disk-loader.S), and behind it the pieces of
 * memory as they have to be when the guest starts. All loading work (ELF, multiboot, PVH) is done here, before.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { BenchError } from '../errors.mjs';

const SECTOR = 512;
/** Where disk-loader.S expects the start values and the table, and how long it is. */
const START_VALUES = 0x600, LOADER_SECTORS = 8, TABLE_ENTRIES = 200;
/** Bochs derives the geometry of a disk whose size is a multiple of this. */
const CYLINDER = 16 * 63 * SECTOR;
const PAGE = 4096;

/** @typedef {{ address: number, bytes: Uint8Array }} Piece */
/** @typedef {{ pieces: Piece[], entry: number, eax: number, ebx: number }} MemoryImage */

/**
 * The loadable segments of an ELF file at their physical addresses.
 * @param {Uint8Array} bytes @param {string} name @returns {Piece[]}
 */
export function elfPieces(bytes, name) {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < 52 || file.readUInt32BE(0) !== 0x7f454c46) throw new BenchError(`${name} is not an ELF file`);
  const wide = file[4] === 2;
  const headers = wide ? Number(file.readBigUInt64LE(32)) : file.readUInt32LE(28);
  const size = file.readUInt16LE(wide ? 54 : 42), count = file.readUInt16LE(wide ? 56 : 44);
  /** @type {Piece[]} */
  const pieces = [];
  for (let n = 0; n < count; n++) {
    const at = headers + n * size;
    if (file.readUInt32LE(at) !== 1) continue;
    /** @param {number} narrowAt @param {number} wideAt */
    const field = (narrowAt, wideAt) => (wide ? Number(file.readBigUInt64LE(at + wideAt)) : file.readUInt32LE(at + narrowAt));
    const offset = field(4, 8), address = field(12, 24), length = field(16, 32);
    if (length > 0) pieces.push({ address, bytes: file.subarray(offset, offset + length) });
  }
  return pieces;
}

/**
 * A multiboot 1 kernel and its command line.
 * @param {Uint8Array} elf @param {string} name @param {string} cmdline @returns {MemoryImage}
 */
export function multibootImage(elf, name, cmdline) {
  const infoAt = 0x50000, textAt = infoAt + 256;
  const info = Buffer.alloc(256 + cmdline.length + 1);
  info.writeUInt32LE(1 << 2, 0); // the command line is valid
  info.writeUInt32LE(textAt, 16);
  info.write(cmdline, 256, 'latin1');
  const entry = Buffer.from(elf.buffer, elf.byteOffset, elf.byteLength).readUInt32LE(24);
  return { pieces: [...elfPieces(elf, name), { address: infoAt, bytes: info }], entry, eax: 0x2badb002, ebx: infoAt };
}

/**
 * A Linux ELF kernel by its PVH entry point (Xen's public/arch-x86/hvm/start_info.h).
 * @param {Uint8Array} kernel @param {Uint8Array} initrd @param {string} cmdline @param {number} memoryMb @returns {MemoryImage}
 */
export function pvhImage(kernel, initrd, cmdline, memoryMb) {
  const entry = pvhEntry(kernel);
  const memory = memoryMb * 1024 * 1024;
  const initrdAt = (memory - 0x100000 - initrd.length) & ~(PAGE - 1);
  const infoAt = 0x50000, modulesAt = infoAt + 64, mapAt = infoAt + 128, textAt = infoAt + 512;
  const info = Buffer.alloc(512 + cmdline.length + 1);
  info.writeUInt32LE(0x336ec578, 0);
  info.writeUInt32LE(1, 4);
  info.writeUInt32LE(1, 12);
  info.writeUInt32LE(modulesAt, 16);
  info.writeUInt32LE(textAt, 24);
  // RSDP: 0, Linux looks for the one of the BIOS.
  info.writeUInt32LE(mapAt, 40);
  // As Bochs' BIOS reports it: RAM, its ACPI tables at the end, its own areas.
  const map = [[0, 0x9f000, 1], [0x9f000, 0x1000, 2], [0xe8000, 0x18000, 2], [0x100000, memory - 0x110000, 1], [memory - 0x10000, 0x10000, 3], [0xfffc0000, 0x40000, 2]];
  info.writeUInt32LE(map.length, 48);
  info.writeUInt32LE(initrdAt, 64);
  info.writeUInt32LE(initrd.length, 72);
  map.forEach(([start, length, type], n) => {
    info.writeUInt32LE(start, 128 + 24 * n);
    info.writeUInt32LE(length, 128 + 24 * n + 8);
    info.writeUInt32LE(type, 128 + 24 * n + 16);
  });
  info.write(cmdline, 512, 'latin1');
  return { pieces: [...elfPieces(kernel, 'the kernel'), { address: initrdAt, bytes: initrd }, { address: infoAt, bytes: info }], entry, eax: 0, ebx: infoAt };
}

/** The 32-bit entry point in the ELF note "Xen" of type 18. @param {Uint8Array} kernel */
function pvhEntry(kernel) {
  const file = Buffer.from(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  const headers = Number(file.readBigUInt64LE(32));
  for (let n = 0; n < file.readUInt16LE(56); n++) {
    const at = headers + n * file.readUInt16LE(54);
    if (file.readUInt32LE(at) !== 4) continue;
    let note = Number(file.readBigUInt64LE(at + 8));
    const end = note + Number(file.readBigUInt64LE(at + 32));
    while (note + 12 <= end) {
      const nameBytes = (file.readUInt32LE(note) + 3) & ~3, valueBytes = (file.readUInt32LE(note + 4) + 3) & ~3;
      if (file.readUInt32LE(note + 8) === 18 && file.toString('latin1', note + 12, note + 15) === 'Xen') return file.readUInt32LE(note + 12 + nameBytes);
      note += 12 + nameBytes + valueBytes;
    }
  }
  throw new BenchError('the Linux kernel has no PVH entry point');
}

/**
 * Writes the disk.
 * @param {string} path @param {Uint8Array} loader disk-loader.S, assembled @param {MemoryImage} image
 */
export function writeDisk(path, loader, image) {
  const pieces = image.pieces.filter(({ bytes }) => bytes.length > 0);
  if (pieces.length > TABLE_ENTRIES) throw new BenchError(`too many pieces of memory for ${path}`);
  const head = Buffer.alloc(LOADER_SECTORS * SECTOR);
  head.set(loader.subarray(0, head.length));
  [image.entry, image.eax, image.ebx].forEach((value, n) => head.writeUInt32LE(value >>> 0, START_VALUES + 4 * n));
  let sector = LOADER_SECTORS;
  const file = openSync(path, 'w');
  try {
    pieces.forEach(({ address, bytes }, n) => {
      const sectors = Math.ceil(bytes.length / SECTOR), at = START_VALUES + 12 + 12 * n;
      head.writeUInt32LE(sector, at);
      head.writeUInt32LE(sectors, at + 4);
      head.writeUInt32LE(address, at + 8);
      writeSync(file, bytes, 0, bytes.length, sector * SECTOR);
      sector += sectors;
    });
    writeSync(file, head, 0, head.length, 0);
    const end = Math.ceil((sector * SECTOR) / CYLINDER) * CYLINDER;
    writeSync(file, Buffer.alloc(1), 0, 1, end - 1);
    return end / CYLINDER;
  } finally {
    closeSync(file);
  }
}
