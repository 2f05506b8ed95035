import '../support/bare-cpu';
import { beforeEach, describe, expect, it } from 'vitest';
import { initBlocks } from '../../src/cpu/engine/blocks';
import { load32, store32, store8 } from '../../src/cpu/mmu/access';
import { mem8, VIDEO_DIRTY } from '../../src/cpu/mmu/memory';
import { physRead32, physRead8, physWrite32, physWrite8 } from '../../src/cpu/mmu/physical';
import { clearVideoDirty, T } from '../../src/cpu/mmu/tlb';
import { platform } from '../../src/cpu/platform';
import { R, TLBB } from '../../src/cpu/state';
import { createMachine, type Machine, type MachineOptions } from '../../src/machine/machine';
import { loadRom } from '../../src/machine/loaders/rom';

const FRAME_BUFFER = 0xe0000000, REGISTERS = 0xfebf0000;
const COMMAND = 4, BAR0 = 0x10, BAR2 = 0x18, ROM = 0x30;

function build(options: Partial<MachineOptions>): Machine {
  const machine = createMachine({ memoryMb: 4, videoMb: 16, ...options }, {
    serialOutput: () => undefined, debugText: () => undefined, debugExit: () => undefined, poweredOff: () => undefined, log: () => undefined,
  });
  initBlocks(mem8.length);
  return machine;
}

/** Configuration register of a function. */
function select(slot: number, register: number): void {
  platform.writePort(0xcf8, 4, 0x80000000 | (slot << 11) | register);
}

function readConfig(slot: number, register: number): number {
  select(slot, register);
  return platform.readPort(0xcfc, 4) >>> 0;
}

function writeConfig(slot: number, register: number, value: number): void {
  select(slot, register);
  platform.writePort(0xcfc, 4, value);
}

function writePam(index: number, value: number): void {
  select(0, (0x59 + index) & ~3);
  platform.writePort(0xcfc + ((0x59 + index) & 3), 1, value);
}

describe('the display adapter', () => {
  beforeEach(() => {
    build({ vgaBios: Uint8Array.of(0x55, 0xaa, 0x4e) });
  });

  it('is 1234:1111 in slot 2, with its ranges where firmware would put them', () => {
    expect(readConfig(2, 0)).toBe(0x11111234);
    expect(readConfig(2, 8) >>> 8).toBe(0x030000);
    expect(readConfig(2, BAR0)).toBe(FRAME_BUFFER + 8);
    expect(readConfig(2, BAR2)).toBe(REGISTERS);
    writeConfig(2, BAR0, -1);
    writeConfig(2, BAR2, -1);
    writeConfig(2, ROM, -2);
    expect([readConfig(2, BAR0), readConfig(2, BAR2), readConfig(2, ROM)]).toEqual([0xff000008, 0xfffff000, 0xfffff000]);
  });

  it('its frame buffer is memory, and moves with its base address register', () => {
    physWrite32(FRAME_BUFFER + 0x1234, 0x11223344);
    expect(physRead32(FRAME_BUFFER + 0x1234)).toBe(0x11223344);
    writeConfig(2, BAR0, 0xd0000000 | 0);
    expect(physRead32(FRAME_BUFFER + 0x1234)).toBe(-1);
    expect(physRead32(0xd0001234)).toBe(0x11223344);
    writeConfig(2, COMMAND, 0);
    expect(physRead32(0xd0001234)).toBe(-1);
    writeConfig(2, COMMAND, 2);
    // Not over RAM.
    writeConfig(2, BAR0, 0);
    physWrite32(0x1000, 77);
    expect(physRead32(0x1000)).toBe(77);
    expect(physRead32(0xd0001234)).toBe(-1);
  });

  it('its registers are in memory too, and its ROM can be mapped', () => {
    platform.writePort(0x3c2, 1, 0x67);
    expect(physRead8(REGISTERS + 0x40c)).toBe(0x67);
    expect(physRead32(REGISTERS + 0x500) & 0xffff).toBe(0xb0c5);
    writeConfig(2, ROM, 0xc8000001 | 0);
    expect(physRead32(0xc8000000) & 0xffffff).toBe(0x4eaa55);
    physWrite8(0xc8000000, 1);
    expect(physRead8(0xc8000000)).toBe(0x55);
  });

  it('stores to the frame buffer are noticed once per page, and again after the marks are cleared', () => {
    const page = (): number[] => [...VIDEO_DIRTY.keys()].filter((n) => VIDEO_DIRTY[n] !== 0);
    clearVideoDirty();
    const at = FRAME_BUFFER + 0x3010;
    const entry = ((at >>> 10) & 4092) | R[TLBB];
    // A read caches the page, but stores do not pass unnoticed.
    expect(load32(at | 0, 0)).toBe(0);
    expect(T[entry]).toBe((at & -4096) | 0);
    expect(T[entry + 3]).not.toBe(T[entry]);
    store32(at | 0, 0, 5);
    expect(page()).toEqual([3]);
    // From here on they go straight to memory.
    expect(T[entry + 3]).toBe(T[entry]);
    store32((at + 4) | 0, 0, 6);
    clearVideoDirty();
    expect(T[entry + 3]).not.toBe(T[entry]);
    expect(page()).toEqual([]);
    store8((at + 8) | 0, 0, 7);
    expect(page()).toEqual([3]);
    expect([load32(at | 0, 0), load32((at + 4) | 0, 0), load32((at + 8) | 0, 0)]).toEqual([5, 6, 7]);
    // Across pages, and from devices.
    clearVideoDirty();
    store32((FRAME_BUFFER + 0x5ffe) | 0, 0, -1);
    expect(page()).toEqual([5, 6]);
    physWrite32(FRAME_BUFFER + 0x8000, 1);
    expect(page()).toEqual([5, 6, 8]);
  });
});

describe('shadow RAM', () => {
  const image = new Uint8Array(0x40000).map((_, n) => n >> 12);

  it('C0000h-FFFFFh is RAM where there is no firmware', () => {
    build({});
    physWrite8(0xf1234, 9);
    expect(physRead8(0xf1234)).toBe(9);
    expect(readConfig(0, 0x58) >>> 8).toBe(0x333333);
  });

  it('reads and writes go to RAM or ROM as the memory attributes say', () => {
    build({ rom: loadRom({ name: 'rom', bytes: image }) });
    // The last 128 KiB of the ROM, and nothing at C0000h.
    expect([physRead8(0xe0000), physRead8(0xff000), physRead8(0xc0000)]).toEqual([0x20, 0x3f, 0xff]);
    physWrite8(0xf0000, 1);
    expect(physRead8(0xf0000)).toBe(0x30);
    // Writes to RAM behind the ROM.
    writePam(0, 0x20);
    physWrite8(0xf0000, 0xaa);
    expect(physRead8(0xf0000)).toBe(0x30);
    writePam(0, 0x30);
    expect(physRead8(0xf0000)).toBe(0xaa);
    physWrite8(0xf0000, 0xbb);
    // Read only.
    writePam(0, 0x10);
    physWrite8(0xf0000, 0xcc);
    expect(physRead8(0xf0000)).toBe(0xbb);
    writePam(0, 0x30);
    expect(physRead8(0xf0000)).toBe(0xbb);
    // Each half of a register has a segment of its own.
    writePam(1, 0x03);
    physWrite8(0xc0000, 1);
    physWrite8(0xc4000, 1);
    expect([physRead8(0xc0000), physRead8(0xc4000)]).toEqual([1, 0xff]);
  });
});
