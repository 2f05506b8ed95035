/**
 * A boot disk for Linux on a machine with a BIOS whose device model puts kernel and initrd into memory, as QEMU's loader device does:
 * reading 30 MB through the BIOS would cost a guest billions of instructions. The disk holds a boot sector, the real-mode
 * setup code of Debian's bzImage, and room for a command line; setup code and BIOS do what they do on every PC, and a short piece of code
 * enters the uncompressed kernel instead of a decompressor (Documentation/x86/boot.rst in Linux, "32-bit" and "64-bit boot protocol").
 */
import { parseBzImage } from './bzimage.mjs';
import { physicalImage } from './elf.mjs';

const SECTOR = 512;
/** Real-mode segment of the setup code; its stack and heap lie behind it, then the command line. */
const SETUP_SEGMENT = 0x1000;
const STACK_TOP = 0xe000;
const COMMAND_LINE_BYTES = 2048;
/** The BIOS counts whole cylinders, of 16 heads and 63 sectors here, and reads nothing from a disk without one. */
const DISK_BYTES = 16 * 63 * SECTOR;
/** Offset of the command line on the disk. */
export const COMMAND_LINE_OFFSET = SECTOR + STACK_TOP;

/** Where the entry code and the initrd are to be put: behind every kernel, within 128 MiB. */
export const ENTRY_ADDRESS = 0x5f00000;
export const INITRD_ADDRESS = 0x6000000;

const LOADER_TYPE = 0x210;
const LOADFLAGS = 0x211;
const LOADED_HIGH = 1;
const CAN_USE_HEAP = 0x80;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const HEAP_END = 0x224;
const COMMAND_LINE_POINTER = 0x228;
const OTHER_LOADER = 0xff;

/** @param {number} value */
const word = (value) => [value & 0xff, (value >>> 8) & 0xff];
/** @param {number} value */
const dword = (value) => [...word(value & 0xffff), ...word(value >>> 16)];

/**
 * @param {Buffer} image a bzImage, for its setup code
 * @param {number} initrdBytes
 * @returns {Buffer}
 */
export function bootDisk(image, initrdBytes) {
  const { setupSize } = parseBzImage(image);
  if (setupSize > STACK_TOP / 2) throw new Error(`bzImage: ${setupSize} bytes of setup code leave no room for its stack`);
  const disk = Buffer.alloc(DISK_BYTES);
  bootSector((STACK_TOP + COMMAND_LINE_BYTES) / SECTOR).copy(disk);
  const setup = disk.subarray(SECTOR);
  image.copy(setup, 0, 0, setupSize);
  setup.writeUInt8(OTHER_LOADER, LOADER_TYPE);
  setup.writeUInt8(LOADED_HIGH | CAN_USE_HEAP, LOADFLAGS);
  setup.writeUInt32LE(ENTRY_ADDRESS, CODE32_START);
  setup.writeUInt32LE(INITRD_ADDRESS, RAMDISK_IMAGE);
  setup.writeUInt32LE(initrdBytes, RAMDISK_SIZE);
  setup.writeUInt16LE(STACK_TOP - 0x200, HEAP_END);
  setup.writeUInt32LE(SETUP_SEGMENT * 16 + STACK_TOP, COMMAND_LINE_POINTER);
  return disk;
}

/**
 * Reads what follows on the disk and enters the setup code.
 * @param {number} sectors
 */
function bootSector(sectors) {
  const packet = 0x7c40;
  const code = [
    0x31, 0xc0, 0x8e, 0xd8, //                          xor ax, ax; mov ds, ax
    0x8e, 0xd0, 0xbc, ...word(0x7c00), //               mov ss, ax; mov sp, 7C00h
    0xbe, ...word(packet), 0xb4, 0x42, 0xcd, 0x13, //   mov si, packet; mov ah, 42h; int 13h
    0x73, 0x03, 0xf4, 0xeb, 0xfd, //                    jnc read; stop: hlt; jmp stop; read:
    0xfa, 0xb8, ...word(SETUP_SEGMENT), //              cli; mov ax, SETUP_SEGMENT
    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8, //  mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax
    0x8e, 0xd0, 0xbc, ...word(STACK_TOP), //            mov ss, ax; mov sp, STACK_TOP
    0xea, ...word(0), ...word(SETUP_SEGMENT + 0x20), // jmp SETUP_SEGMENT + 20h : 0
  ];
  const sector = Buffer.alloc(SECTOR);
  Buffer.from(code).copy(sector);
  // Disk address packet: size, sectors, segment:offset, first sector.
  Buffer.from([0x10, 0, ...word(sectors), ...word(0), ...word(SETUP_SEGMENT), ...dword(1), ...dword(0)]).copy(sector, packet - 0x7c00);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/**
 * What the setup code jumps to, in 32-bit mode without paging and with ESI = boot parameters: enters the kernel as a
 * decompressor would, a 64-bit one in 64-bit mode with the first GiB mapped to itself.
 * @param {Buffer} kernel ELF file
 * @returns {Buffer} to be put at ENTRY_ADDRESS
 */
export function kernelEntry(kernel) {
  const { bits, entry } = physicalImage(kernel);
  if (bits === 32) {
    return Buffer.from([
      0x31, 0xdb, 0x31, 0xed, 0x31, 0xff, // xor ebx, ebx; xor ebp, ebp; xor edi, edi
      0xb8, ...dword(entry), 0xff, 0xe0, //  mov eax, entry; jmp eax
    ]);
  }
  const tables = ENTRY_ADDRESS + 0x1000;
  const gdt = ENTRY_ADDRESS + 0x80;
  const gdtr = ENTRY_ADDRESS + 0xa0;
  const code64 = ENTRY_ADDRESS + 0xb0;
  const code32 = [
    0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, //        mov eax, cr4; or eax, PAE; mov cr4, eax
    0xb8, ...dword(tables), 0x0f, 0x22, 0xd8, //                    mov eax, tables; mov cr3, eax
    0xb9, ...dword(0xc0000080), 0x0f, 0x32, //                      mov ecx, EFER; rdmsr
    0x0d, ...dword(0x100), 0x0f, 0x30, //                           or eax, LME; wrmsr
    0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0, // mov eax, cr0; or eax, PG; mov cr0, eax
    0x0f, 0x01, 0x15, ...dword(gdtr), //                            lgdt [gdtr]
    0xea, ...dword(code64), ...word(0x10), //                       jmp 10h:code64
  ];
  const blob = Buffer.alloc(0x4000);
  Buffer.from(code32).copy(blob);
  blob.writeBigUInt64LE(0x00af9a000000ffffn, gdt - ENTRY_ADDRESS + 0x10); // 64-bit code
  blob.writeBigUInt64LE(0x00cf92000000ffffn, gdt - ENTRY_ADDRESS + 0x18); // data
  Buffer.from([...word(0x1f), ...dword(gdt)]).copy(blob, gdtr - ENTRY_ADDRESS);
  Buffer.from([
    0xb8, ...dword(0x18), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, // mov eax, 18h; mov ds, eax; mov es, eax; mov ss, eax
    0xb8, ...dword(entry), 0xff, 0xe0, //                        mov eax, entry; jmp rax
  ]).copy(blob, code64 - ENTRY_ADDRESS);
  blob.writeUInt32LE(tables + 0x1000 + 3, 0x1000);
  blob.writeUInt32LE(tables + 0x2000 + 3, 0x2000);
  for (let n = 0; n < 512; n++) blob.writeUInt32LE(n * 0x200000 + 0x83, 0x3000 + 8 * n);
  return blob;
}
