/**
 * The display adapter as a PCI function, vendor 1234h device 1111h (docs/specs/standard-vga of QEMU): linear frame buffer in BAR 0, registers in BAR 2, VGA BIOS in the
 * expansion ROM, and the legacy ports and window of the VGA. Left out: EDID (the first KiB of BAR 2 reads as none), big-endian frame buffers.
 */
import type { MmioHandler, PortBus } from '../device';
import { PciFunction } from '../pci';
import type { Vga } from './vga';

/** How the function's memory gets into the machine's address space. */
export interface AddressSpace {
  /** Maps pages of the memory buffer. */
  mapPages(hostPhysical: number, pages: number, firstBufferPage: number): void;
  unmapPages(hostPhysical: number, bytes: number): void;
  mapMmio(hostPhysical: number, bytes: number, handler: MmioHandler): void;
  unmapMmio(hostPhysical: number, bytes: number, handler: MmioHandler): void;
}

/** Pages of the memory buffer. */
export interface BufferRange {
  firstPage: number;
  pages: number;
}

export interface StdVgaOptions {
  /** The video memory; its size is a power of two. */
  frameBuffer: BufferRange;
  /** The VGA BIOS as placed in the ROM area; null: none. */
  rom: BufferRange | null;
  /** Where firmware has put the ranges, and where ranges may lie: [first, end). */
  frameBufferAddress: number;
  registersAddress: number;
  windowStart: number;
  windowEnd: number;
}

const FRAME_BUFFER = 0, REGISTERS = 2;
export const REGISTERS_BYTES = 0x1000;
/** In BAR 2: the ports from 3C0h on, and the DISPI registers. */
const VGA_PORTS = 0x400, VGA_PORTS_END = 0x420, DISPI = 0x500, DISPI_END = 0x516;
const LEGACY_WINDOW = 0xa0000, LEGACY_WINDOW_BYTES = 0x20000;
/** Decodes the legacy VGA ranges and linear memory: I/O and memory space on. */
const COMMAND = 4, IO_AND_MEMORY = 3;

export class StdVga {
  readonly function: PciFunction;
  private readonly vga: Vga;
  private readonly options: StdVgaOptions;
  private readonly space: AddressSpace;
  /** Where each range is mapped at present, -1 = nowhere. */
  private frameBufferAt = -1;
  private registersAt = -1;
  private romAt = -1;
  private readonly registers: MmioHandler = {
    name: 'stdvga registers',
    read: (offset, size) => this.readRegister(offset, size),
    write: (offset, size, value) => this.writeRegister(offset, size, value),
  };

  constructor(vga: Vga, options: StdVgaOptions, space: AddressSpace) {
    this.vga = vga;
    this.options = options;
    this.space = space;
    this.function = new PciFunction({ vendor: 0x1234, device: 0x1111, revision: 2, classCode: 0x030000 });
    this.function.set16(0x2c, 0x1af4);
    this.function.set16(0x2e, 0x1100);
    this.function.preset(COMMAND, IO_AND_MEMORY);
    this.function.memoryRange(FRAME_BUFFER, options.frameBuffer.pages * 4096, options.frameBufferAddress, true);
    this.function.memoryRange(REGISTERS, REGISTERS_BYTES, options.registersAddress, false);
    if (options.rom !== null) this.function.romRange(powerOfTwo(options.rom.pages * 4096));
    this.function.changed = () => this.place();
  }

  attach(bus: PortBus): void {
    this.vga.attach(bus);
    this.space.mapMmio(LEGACY_WINDOW, LEGACY_WINDOW_BYTES, this.vga.memory);
    this.place();
  }

  /** Follows the base address registers. */
  private place(): void {
    const { options, space } = this;
    const { frameBuffer, rom } = options;
    const frameBufferAt = this.allowed(this.function.memoryAddress(FRAME_BUFFER), frameBuffer.pages * 4096);
    if (frameBufferAt !== this.frameBufferAt) {
      if (this.frameBufferAt >= 0) space.unmapPages(this.frameBufferAt, frameBuffer.pages * 4096);
      if (frameBufferAt >= 0) space.mapPages(frameBufferAt, frameBuffer.pages, frameBuffer.firstPage);
      this.frameBufferAt = frameBufferAt;
    }
    const registersAt = this.allowed(this.function.memoryAddress(REGISTERS), REGISTERS_BYTES);
    if (registersAt !== this.registersAt) {
      if (this.registersAt >= 0) space.unmapMmio(this.registersAt, REGISTERS_BYTES, this.registers);
      if (registersAt >= 0) space.mapMmio(registersAt, REGISTERS_BYTES, this.registers);
      this.registersAt = registersAt;
    }
    if (rom === null) return;
    const romAt = this.allowed(this.function.romAddress, rom.pages * 4096);
    if (romAt === this.romAt) return;
    if (this.romAt >= 0) space.unmapPages(this.romAt, rom.pages * 4096);
    if (romAt >= 0) space.mapPages(romAt, rom.pages, rom.firstPage);
    this.romAt = romAt;
  }

  /** Ranges outside the window for PCI devices, such as those that appear while software looks for their sizes, are nowhere. */
  private allowed(address: number, bytes: number): number {
    return address >= this.options.windowStart && address + bytes <= this.options.windowEnd ? address : -1;
  }

  private readRegister(offset: number, size: number): number {
    if (offset >= VGA_PORTS && offset < VGA_PORTS_END) return this.bytewise(offset, size);
    if (offset >= DISPI && offset < DISPI_END && size >= 2) {
      const low = this.vga.dispi.read((offset - DISPI) >> 1);
      return size === 4 ? low | (this.vga.dispi.read(((offset - DISPI) >> 1) + 1) << 16) : low;
    }
    return size === 4 ? -1 : 0xffff;
  }

  private bytewise(offset: number, size: number): number {
    let value = 0;
    for (let n = 0; n < size; n++) value |= this.vga.read(offset + n - VGA_PORTS + 0x3c0) << (8 * n);
    return value;
  }

  private writeRegister(offset: number, size: number, value: number): void {
    if (offset >= VGA_PORTS && offset < VGA_PORTS_END) {
      for (let n = 0; n < size; n++) this.vga.write(offset + n - VGA_PORTS + 0x3c0, 1, (value >>> (8 * n)) & 0xff);
    } else if (offset >= DISPI && offset < DISPI_END && size >= 2) {
      const index = (offset - DISPI) >> 1;
      this.vga.writeDispi(index, value & 0xffff);
      if (size === 4) this.vga.writeDispi(index + 1, value >>> 16);
    }
  }
}

function powerOfTwo(bytes: number): number {
  let size = 2048;
  while (size < bytes) size *= 2;
  return size;
}
