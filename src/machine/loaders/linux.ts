/**
 * Linux kernels: bzImage by the 32-bit or 64-bit boot protocol (Documentation/arch/x86/boot.rst, 2.06 or later) and bare
 * ELF kernels entered with boot_params. The kernel decompresses itself. The 16-bit entry and EFI are not used.
 */
import type { BootRequest } from './boot-request';
import { onlyInitrd, placeBootParams, placeInitrd } from './boot-params';
import type { Elf } from './elf';
import { findNote, loadElfSegments, physicalEntry } from './elf';
import type { EntryState } from './entry-state';
import { flatProtectedEntry, GDT_CODE32, GDT_CODE64, GDT_DATA, longModeEntry, placeGdt, placeIdentityTables } from './entry-state';
import type { ImageReader } from './image-reader';
import type { Placement } from './placement';
import { LOW_STRUCTURES, LOW_STRUCTURES_END } from './placement';

const SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, BOOT_FLAG = 0x1fe, JUMP_LENGTH = 0x201, HEADER_MAGIC = 0x202, VERSION = 0x206;
const LOADFLAGS = 0x211, INITRD_ADDR_MAX = 0x22c, XLOADFLAGS = 0x236, CMDLINE_SIZE = 0x238, INIT_SIZE = 0x260, PREF_ADDRESS = 0x258;
const RELOCATABLE = 0x234;
const HDRS = 0x53726448;
const LOADED_HIGH = 1, XLF_KERNEL_64 = 1;

/** Where protected-mode code of a bzImage goes (boot.rst, "loading the rest of the kernel"). */
const KERNEL_AT = 0x100000;
/** Selectors that the boot protocol prescribes: __BOOT_CS and __BOOT_DS. */
const BOOT_CS = 0x10, BOOT_DS = 0x18;
/** COMMAND_LINE_SIZE of x86, less the terminating zero. */
const ELF_CMDLINE_MAX = 2047;
const NOTE_BUILD_SALT = 0x100;

export function isBzImage(image: ImageReader): boolean {
  return image.length >= 0x206 && image.u16(BOOT_FLAG, '') === 0xaa55 && image.u32(HEADER_MAGIC, '') === HDRS;
}

function bootGdt(placement: Placement, code: bigint): { base: number; limit: number } {
  return placeGdt(placement, [0n, 0n, code, GDT_DATA], LOW_STRUCTURES, LOW_STRUCTURES_END);
}

/** Loads a bzImage; the 64-bit entry is taken where the kernel has one, since it spares the way through 32-bit code. */
export function loadBzImage(image: ImageReader, request: BootRequest, placement: Placement): EntryState {
  const what = 'the Linux setup header';
  const version = image.u16(VERSION, what);
  if (version < 0x206) image.fail(`a Linux kernel of boot protocol ${version >> 8}.${version & 255}; 2.6 is the oldest supported`);
  if ((image.u8(LOADFLAGS, what) & LOADED_HIGH) === 0) image.fail('a Linux zImage, which loads low; only bzImage is supported');
  const headerEnd = HEADER_MAGIC + image.u8(JUMP_LENGTH, what);
  const setupHeader = image.slice(SETUP_SECTS, headerEnd - SETUP_SECTS, what);
  const setupBytes = ((image.u8(SETUP_SECTS, what) || 4) + 1) * 512;
  const kernelBytes = image.u32(SYSSIZE, what) * 16;
  // syssize counts whole paragraphs; the last one need not be complete in the file.
  if (setupBytes + kernelBytes > image.length + 15) {
    image.fail(`truncated: the header announces ${setupBytes + kernelBytes} bytes, the file has ${image.length}`);
  }
  const code = image.slice(setupBytes, image.length - setupBytes, 'the kernel');
  if (code.length < 0x400) image.fail('truncated: no protected-mode code');

  // The kernel moves itself to its preferred place and uses init_size bytes from there until it has its own memory map.
  const initSize = version >= 0x20a ? image.u32(INIT_SIZE, what) : code.length * 4;
  const preferred = version >= 0x20a ? image.u64(PREF_ADDRESS, what) : KERNEL_AT;
  const runsAt = image.u8(RELOCATABLE, what) !== 0 ? Math.max(preferred, KERNEL_AT) : preferred;
  placement.claim(KERNEL_AT, code.length, 'the kernel');
  placement.claim(runsAt, initSize, 'the memory that the kernel unpacks itself into');
  placement.write(KERNEL_AT, code);

  const initrd = placeInitrd(onlyInitrd(request), placement, { low: KERNEL_AT, addressMax: image.u32(INITRD_ADDR_MAX, what) });
  const zeroPage = placeBootParams(request, placement, setupHeader, initrd, image.u32(CMDLINE_SIZE, what));
  if (version >= 0x20c && (image.u16(XLOADFLAGS, what) & XLF_KERNEL_64) !== 0) {
    const cr3 = placeIdentityTables(placement, LOW_STRUCTURES, LOW_STRUCTURES_END);
    return longModeEntry(KERNEL_AT + 0x200, BOOT_CS, BOOT_DS, cr3, bootGdt(placement, GDT_CODE64), { rsi: zeroPage });
  }
  return flatProtectedEntry(KERNEL_AT, BOOT_CS, BOOT_DS, bootGdt(placement, GDT_CODE32), { rsi: zeroPage });
}

/** A vmlinux, by the note that every Linux has (LINUX_ELFNOTE_BUILD_SALT). */
export function isElfLinux(image: ImageReader, elf: Elf): boolean {
  return findNote(image, elf, 'Linux', NOTE_BUILD_SALT) !== null;
}

/** Loads a vmlinux by boot_params: 32-bit kernels start at startup_32, 64-bit ones at startup_64. */
export function loadElfLinux(image: ImageReader, elf: Elf, request: BootRequest, placement: Placement): EntryState {
  const end = loadElfSegments(image, elf, placement);
  const initrd = placeInitrd(onlyInitrd(request), placement, { low: Math.ceil(end / 4096) * 4096, addressMax: elf.is64 ? 0x7fffffff : 0x37ffffff });
  const zeroPage = placeBootParams(request, placement, new Uint8Array(0), initrd, ELF_CMDLINE_MAX);
  const entry = physicalEntry(image, elf);
  if (elf.is64) {
    const cr3 = placeIdentityTables(placement, LOW_STRUCTURES, LOW_STRUCTURES_END);
    return longModeEntry(entry, BOOT_CS, BOOT_DS, cr3, bootGdt(placement, GDT_CODE64), { rsi: zeroPage });
  }
  return flatProtectedEntry(entry, BOOT_CS, BOOT_DS, bootGdt(placement, GDT_CODE32), { rsi: zeroPage });
}
