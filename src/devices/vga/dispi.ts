/**
 * The Bochs display interface ("VBE DISPI", version B0C5h, described by vbe_display_api.txt of Bochs' VGA BIOS and docs/specs/standard-vga
 * of QEMU): register pairs that set resolutions with a linear frame buffer, at ports 1CEh and 1CFh.
 */
import type { VideoMemory } from './video-memory';

/** 16-bit ports. The data register also answers at the next, even, address. */
export const DISPI_INDEX = 0x1ce, DISPI_DATA = 0x1cf;

const ID = 0, X_RESOLUTION = 1, Y_RESOLUTION = 2, BITS_PER_PIXEL = 3, ENABLE = 4, BANK = 5, VIRTUAL_WIDTH = 6, VIRTUAL_HEIGHT = 7, X_OFFSET = 8;
const Y_OFFSET = 9, MEMORY_64K = 10;
const REGISTERS = 11;

// ENABLE
const ENABLED = 1, GET_CAPABILITIES = 2, WIDE_DAC = 0x20, LINEAR = 0x40, KEEP_MEMORY = 0x80;

const VERSION_OLDEST = 0xb0c0, VERSION = 0xb0c5;
/** Largest picture offered, also by GET_CAPABILITIES. */
const MOST_WIDTH = 1920, MOST_HEIGHT = 1200, MOST_BITS = 32;
const DEPTHS = [4, 8, 15, 16, 24, 32];
const BANK_BYTES = 0x10000;

export interface DispiState {
  registers: number[];
}

export class Dispi {
  private readonly memory: VideoMemory;
  private readonly registers = new Uint16Array(REGISTERS);

  constructor(memory: VideoMemory) {
    this.memory = memory;
    this.reset();
  }

  get enabled(): boolean {
    return (this.registers[ENABLE] & ENABLED) !== 0;
  }

  get width(): number {
    return this.registers[X_RESOLUTION];
  }

  get height(): number {
    return this.registers[Y_RESOLUTION];
  }

  /** 4 (planar), 8, 15, 16, 24 or 32. */
  get bitsPerPixel(): number {
    return this.registers[BITS_PER_PIXEL];
  }

  /** The DAC takes 8 bits per colour. */
  get wideDac(): boolean {
    return (this.registers[ENABLE] & WIDE_DAC) !== 0;
  }

  /** Byte offset in video memory of the window at A0000h. */
  get bankOffset(): number {
    return this.registers[BANK] * BANK_BYTES;
  }

  /** Bytes from one line to the next; in a plane for 4 bits per pixel. */
  get pitch(): number {
    return this.bytesFor(this.registers[VIRTUAL_WIDTH]);
  }

  /** Byte offset of the first pixel shown; in a plane for 4 bits per pixel. */
  get start(): number {
    return this.registers[Y_OFFSET] * this.pitch + this.bytesFor(this.registers[X_OFFSET]);
  }

  read(index: number): number {
    if (index >= REGISTERS) return 0;
    if (this.registers[ENABLE] & GET_CAPABILITIES) {
      if (index === X_RESOLUTION) return MOST_WIDTH;
      if (index === Y_RESOLUTION) return MOST_HEIGHT;
      if (index === BITS_PER_PIXEL) return MOST_BITS;
    }
    return this.registers[index];
  }

  write(index: number, value: number): void {
    const registers = this.registers;
    switch (index) {
      case ID:
        if (value >= VERSION_OLDEST && value <= VERSION) registers[ID] = value;
        break;
      case X_RESOLUTION:
      case Y_RESOLUTION:
      case BITS_PER_PIXEL:
        if (!this.enabled) this.setSize(index, value);
        break;
      case ENABLE: this.enable(value); break;
      case BANK:
        if (value * BANK_BYTES < this.memory.bytes.length) registers[BANK] = value;
        break;
      case VIRTUAL_WIDTH: this.setVirtualWidth(value); break;
      case X_OFFSET:
        if (value + registers[X_RESOLUTION] <= registers[VIRTUAL_WIDTH]) registers[X_OFFSET] = value;
        break;
      case Y_OFFSET:
        if (value + registers[Y_RESOLUTION] <= registers[VIRTUAL_HEIGHT]) registers[Y_OFFSET] = value;
        break;
    }
  }

  reset(): void {
    this.registers.fill(0);
    this.registers[ID] = VERSION;
    this.registers[BITS_PER_PIXEL] = 8;
    this.registers[MEMORY_64K] = this.memory.bytes.length / BANK_BYTES;
  }

  save(): DispiState {
    return { registers: [...this.registers] };
  }

  restore(state: DispiState): void {
    this.registers.set(state.registers);
  }

  private bytesFor(pixels: number): number {
    const bits = this.registers[BITS_PER_PIXEL];
    return bits === 4 ? pixels >> 3 : pixels * ((bits + 7) >> 3);
  }

  private setSize(index: number, value: number): void {
    if (index === X_RESOLUTION && (value === 0 || value > MOST_WIDTH || value & 7)) return;
    if (index === Y_RESOLUTION && (value === 0 || value > MOST_HEIGHT)) return;
    if (index === BITS_PER_PIXEL) {
      // 0 means 8.
      if (value === 0) value = 8;
      if (!DEPTHS.includes(value)) return;
    }
    this.registers[index] = value;
  }

  private enable(value: number): void {
    const registers = this.registers, was = this.enabled;
    registers[ENABLE] = value & (ENABLED | GET_CAPABILITIES | WIDE_DAC | LINEAR | KEEP_MEMORY);
    if (!this.enabled || was) return;
    registers[X_OFFSET] = registers[Y_OFFSET] = registers[BANK] = 0;
    this.setVirtualWidth(registers[X_RESOLUTION]);
    // A mode that the memory has no room for does not come up.
    if (registers[X_RESOLUTION] === 0 || registers[Y_RESOLUTION] === 0 || registers[VIRTUAL_HEIGHT] < registers[Y_RESOLUTION]) registers[ENABLE] &= ~ENABLED;
    else if ((value & KEEP_MEMORY) === 0) this.memory.clear(registers[Y_RESOLUTION] * this.pitch * (registers[BITS_PER_PIXEL] === 4 ? 4 : 1));
  }

  private setVirtualWidth(pixels: number): void {
    const registers = this.registers;
    const bytes = this.bytesFor(pixels);
    if (bytes === 0) return;
    const planes = registers[BITS_PER_PIXEL] === 4 ? 4 : 1;
    const lines = Math.min(0xffff, Math.floor(this.memory.bytes.length / planes / bytes));
    if (pixels < registers[X_RESOLUTION] || lines < registers[Y_RESOLUTION]) return;
    registers[VIRTUAL_WIDTH] = pixels;
    registers[VIRTUAL_HEIGHT] = lines;
  }
}
