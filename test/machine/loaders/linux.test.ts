import { describe, expect, it } from 'vitest';
import { loadImage } from '../../../src/machine/loaders';
import { applyEntryState, resetVectorEntry } from '../../../src/machine/loaders/entry-state';
import { LoadError } from '../../../src/machine/loaders/load-error';
import { loadRom } from '../../../src/machine/loaders/rom';
import { CS, R, RIP, RU, SEG_BASE, SEG_LIMIT, SEG_SEL, CODE64, LMA, RSI, CPL } from '../../../src/cpu/state';
import { Bytes, elf, request, TestMemory, words } from './images';

const initrd = { name: 'initrd.cpio', args: '', bytes: new Uint8Array(10000).fill(0x77) };

/** A bzImage of four setup sectors and 2 KiB of code. */
function bzImage(options: { version?: number; xload?: number } = {}): Bytes {
  const file = new Bytes(512 * 5 + 0x800);
  file.raw(0x1f1, [4]).u32(0x1f4, 0x80).u16(0x1fe, 0xaa55).raw(0x200, [0xeb, 0x66]).u32(0x202, 0x53726448).u16(0x206, options.version ?? 0x20f);
  file.raw(0x211, [1]).u32(0x22c, 0x1ffffff).raw(0x234, [1]).u16(0x236, options.xload ?? 1).u32(0x238, 100);
  file.u32(0x258, 0x1000000, 0).u32(0x260, 0x800000);
  file.raw(512 * 5, [0xfa, 0xfb]).raw(512 * 5 + 0x200, [0xfc]);
  return file;
}

function refused(bytes: Uint8Array, reason: RegExp, options = {}): void {
  expect(() => loadImage(request(bytes, options), new TestMemory())).toThrow(LoadError);
  expect(() => loadImage(request(bytes, options), new TestMemory())).toThrow(reason);
}

describe('Linux bzImage', () => {
  it('enters 64-bit code with page tables, zero page, command line and initrd', () => {
    const memory = new TestMemory();
    const entry = loadImage(request(bzImage().bytes, { modules: [initrd], rsdp: 0xf0000 }), memory);
    expect([entry.rip, entry.efer, entry.cr4 & 0x20, entry.cs.selector, entry.ds.selector]).toEqual([0x100200, 0x500, 0x20, 0x10, 0x18]);
    expect(memory.slice(0x100000, 2)).toEqual([0xfa, 0xfb]);
    const zeroPage = entry.registers.rsi ?? 0;
    expect(memory.u32(zeroPage + 0x202)).toBe(0x53726448);
    expect(memory.bytes[zeroPage + 0x210]).toBe(0xff);
    expect(memory.u32(zeroPage + 0x070)).toBe(0xf0000);
    expect(memory.text(memory.u32(zeroPage + 0x228))).toBe('a=1 b');
    expect([memory.bytes[zeroPage + 0x1e8], memory.u32(zeroPage + 0x2d0 + 8), memory.u32(zeroPage + 0x2d0 + 60)]).toEqual([4, 0x9fc00, 0x100000]);
    const at = memory.u32(zeroPage + 0x218), size = memory.u32(zeroPage + 0x21c);
    expect([at % 4096, size, at + size <= 0x2000000, at >= 0x1800000]).toEqual([0, 10000, true, true]);
    expect(memory.slice(at, 1)).toEqual([0x77]);
    // The page tables map a high address to itself.
    const pdpt = memory.u32(entry.cr3) & ~0xfff;
    const directory = memory.u32(pdpt + 8 * 3) & ~0xfff;
    expect((memory.u32(directory + 8 * 511) & ~0xfff) >>> 0).toBe(0xffe00000);
    // The GDT holds 64-bit code at 10h and data at 18h.
    expect(memory.u32(entry.gdtr.base + 0x14) & 0x209b00).toBe(0x209b00);
    expect(memory.u32(entry.gdtr.base + 0x1c) & 0x9300).toBe(0x9300);
  });

  it('enters 32-bit code where there is no 64-bit entry', () => {
    const entry = loadImage(request(bzImage({ version: 0x206, xload: 0 }).bytes), new TestMemory());
    expect([entry.rip, entry.efer, entry.cr0 & 0x80000001]).toEqual([0x100000, 0, 1]);
  });

  it('refuses old, truncated and overlong input', () => {
    refused(bzImage({ version: 0x205 }).bytes, /protocol 2\.5/);
    refused(bzImage().bytes.subarray(0, 3000), /truncated/);
    refused(bzImage().bytes.subarray(0, 0x220), /truncated/);
    refused(bzImage().bytes, /command line of 100 bytes, it has 200/, { cmdline: 'x'.repeat(200) });
    refused(bzImage().bytes, /one initrd, 2/, { modules: [initrd, initrd] });
    refused(bzImage().bytes, /no room .* initrd/, { modules: [{ ...initrd, bytes: new Uint8Array(40 << 20) }] });
  });
});

describe('PVH and plain ELF', () => {
  const note = [...words(4, 4, 18), 0x58, 0x65, 0x6e, 0, ...words(0x1000080)];

  it('enters a PVH kernel with hvm_start_info', () => {
    const memory = new TestMemory();
    const data = new Array<number>(0x100).fill(0x90);
    const kernel = elf(true, 0x1000000, [{ physical: 0x1000000, data, memory: 0x2000 }, { physical: 0, data: note, note: true }]);
    const entry = loadImage(request(kernel.bytes, { modules: [{ ...initrd, args: 'q' }], rsdp: 0xf0000 }), memory);
    expect([entry.rip, entry.cr0 & 0x80000001, entry.tr.limit]).toEqual([0x1000080, 1, 0x67]);
    const info = entry.registers.rbx ?? 0;
    expect([memory.u32(info), memory.u32(info + 4), memory.u32(info + 12)]).toEqual([0x336ec578, 1, 1]);
    expect(memory.text(memory.u32(info + 24))).toBe('a=1 b');
    expect(memory.u32(info + 32)).toBe(0xf0000);
    const list = memory.u32(info + 16);
    expect([memory.u32(list + 8), memory.slice(memory.u32(list), 1)[0], memory.text(memory.u32(list + 16))]).toEqual([10000, 0x77, 'q']);
    const map = memory.u32(info + 40);
    expect([memory.u32(info + 48), memory.u32(map + 8), memory.u32(map + 16)]).toEqual([4, 0x9fc00, 1]);
  });

  it('enters ELF32 kernels with boot_params in ESI', () => {
    const memory = new TestMemory();
    const kernel = elf(false, 0x1000000, [{ physical: 0x1000000, virtual: 0xc1000000, data: [1, 2] }]);
    const entry = loadImage(request(kernel.bytes, { modules: [initrd] }), memory);
    expect([entry.rip, entry.efer]).toEqual([0x1000000, 0]);
    const zeroPage = entry.registers.rsi ?? 0;
    expect([memory.u32(zeroPage + 0x202), memory.u32(zeroPage + 0x21c)]).toEqual([0x53726448, 10000]);
  });

  it('refuses foreign and damaged ELF files', () => {
    const good = () => elf(false, 0x100000, [{ physical: 0x100000, data: [1] }]);
    refused(good().u16(18, 40).bytes, /machine 40/);
    refused(good().u16(16, 1).bytes, /type 1/);
    refused(good().raw(5, [2]).bytes, /big-endian/);
    refused(good().u32(28, 0xfffffff0).bytes, /truncated/);
    refused(good().u16(44, 0).bytes, /without program headers/);
    refused(good().u32(52 + 16, 0xffffffff, 0xffffffff).bytes, /truncated/);
    refused(elf(true, 0, [{ physical: 0, data: [1] }]).u32(64 + 44, 0x7fffffff).bytes, /far outside any memory/);
    refused(good().bytes.subarray(0, 30), /truncated/);
  });
});

describe('ROM images', () => {
  it('end at 1 MiB and 4 GiB', () => {
    const rom = loadRom({ name: 'bios.bin', bytes: new Uint8Array(192 << 10).map((_, n) => n >> 16) });
    expect([rom.bytes.length, rom.isaBytes, rom.bytes[0], rom.bytes[0x2ffff]]).toEqual([0x30000, 0x20000, 0, 2]);
    const small = loadRom({ name: 'bios.bin', bytes: new Uint8Array(100).fill(1) });
    expect([small.bytes.length, small.isaBytes, small.bytes[0], small.bytes[4095]]).toEqual([4096, 4096, 0xff, 1]);
    expect([small.entry.rip, small.entry.cs.selector, small.entry.cs.base]).toEqual([0xfff0, 0xf000, 0xffff0000]);
    expect(() => loadRom({ name: 'bios.bin', bytes: new Uint8Array(3) })).toThrow(LoadError);
    expect(() => loadRom({ name: 'bios.bin', bytes: new Uint8Array(2 << 20) })).toThrow(LoadError);
  });
});

describe('applyEntryState', () => {
  it('sets the vCPU to the reset vector and to 64-bit code', () => {
    applyEntryState(resetVectorEntry());
    expect([RU[SEG_BASE + 2 * CS], R[RIP], R[SEG_SEL + CS], RU[SEG_LIMIT + CS], R[CODE64]]).toEqual([0xffff0000, 0xfff0, 0xf000, 0xffff, 0]);
    const entry = loadImage(request(bzImage().bytes), new TestMemory());
    applyEntryState(entry);
    expect([R[RIP], R[CODE64], R[LMA], R[CPL], R[RSI]]).toEqual([0x100200, 1, 1, 0, entry.registers.rsi]);
  });
});
