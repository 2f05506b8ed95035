/**
 * Video memory and the processor's window into it at A0000h-BFFFFh (IBM PS/2 Hardware Interface Technical Reference, "Graphics Controller"
 * and "Sequencer"): four planes with latches, write modes 0 to 3, read modes 0 and 1, odd/even and chain-4 addressing.
 *
 * The four planes lie interleaved: byte 4 * offset + plane, so that a latch load is one word. The linear frame buffer of the Bochs
 * interface is the same memory byte by byte. Pages of 4 KiB that were written are noted for whoever draws.
 */
import type { MmioHandler } from '../device';

/** The planes: 64 KiB each. */
export const PLANAR_BYTES = 0x40000;
const PLANE_MASK = 0xffff;
/** The window's handler covers A0000h-BFFFFh. */
export const WINDOW_BYTES = 0x20000;

/** What VideoMemory needs to know of the registers. */
export interface AccessRegisters {
  readonly misc: number;
  readonly sequencer: Uint8Array;
  readonly graphics: Uint8Array;
  readonly dispi: { readonly enabled: boolean; readonly bitsPerPixel: number; readonly bankOffset: number };
}

const MISC_MEMORY_ENABLED = 2, MISC_ODD_PAGE = 0x20;
const MAP_MASK = 2, MEMORY_MODE = 4;
const ODD_EVEN_OFF = 4, CHAIN_4 = 8;
const SET_RESET = 0, ENABLE_SET_RESET = 1, COLOUR_COMPARE = 2, ROTATE = 3, READ_MAP = 4, GRAPHICS_MODE = 5, MISCELLANEOUS = 6, COLOUR_DONT_CARE = 7, BIT_MASK = 8;
const READ_COMPARE = 8, READ_ODD_EVEN = 0x10;

/** How the window addresses memory. */
const CLOSED = 0, PLANAR = 1, ODD_EVEN = 2, CHAINED = 3, LINEAR = 4;

/** A nibble with one bit per plane as a word with all bits of those planes. */
const PLANES = Int32Array.from({ length: 16 }, (_, n) => (n & 1 ? 0xff : 0) | (n & 2 ? 0xff00 : 0) | (n & 4 ? 0xff0000 : 0) | (n & 8 ? 0xff000000 : 0));

/** First byte and length of the window by bits 3:2 of the miscellaneous graphics register. */
const WINDOW_START = [0, 0, 0x10000, 0x18000], WINDOW_LENGTH = [0x20000, 0x10000, 0x8000, 0x8000];

export class VideoMemory implements MmioHandler {
  readonly name = 'vga';
  readonly bytes: Uint8Array;
  /** 1 for each 4 KiB page that was written since clearDirty. */
  readonly dirty: Uint8Array;
  /** Counts writes to plane 2, where fonts are. */
  fontVersion = 0;
  /** The four latches, plane 0 in the low byte. */
  latch = 0;
  registers: AccessRegisters | null = null;
  /** The same as words: one for the four planes at an offset, or for a pixel of 32 bits. */
  readonly words: Int32Array;
  private readonly dirtyCleared: () => void;
  private access = CLOSED;
  /** Sequencer map mask as a word. */
  private mapMask = 0;
  /** Writes store the processor's byte as it is. */
  private plain = false;
  private windowStart = 0;
  private windowLength = 0;

  /**
   * `bytes` has at least PLANAR_BYTES and lies on a word boundary of its buffer; `dirty` has one byte for each of its pages. `dirtyCleared` is for memory that is
   * also mapped as RAM: stores to clean pages have to be noticed again.
   */
  constructor(bytes: Uint8Array, dirty: Uint8Array, dirtyCleared: () => void) {
    this.bytes = bytes;
    this.dirty = dirty;
    this.dirtyCleared = dirtyCleared;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }

  /** Power-on. */
  reset(): void {
    this.latch = 0;
    this.clear(this.bytes.length);
  }

  /** Zeroes the first bytes. */
  clear(bytes: number): void {
    const end = Math.min(bytes, this.bytes.length);
    this.bytes.fill(0, 0, end);
    this.dirty.fill(1, 0, Math.ceil(end / 4096));
    this.fontVersion++;
  }

  /** The picture is up to date. */
  clearDirty(): void {
    this.dirty.fill(0);
    this.dirtyCleared();
  }

  /** All memory may have changed. */
  contentChanged(): void {
    this.dirty.fill(1);
    this.fontVersion++;
  }

  /** After any register changed that decides how the window works. */
  selectAccess(): void {
    const registers = this.registers;
    if (registers === null) return;
    const { sequencer, graphics, dispi } = registers;
    const map = (graphics[MISCELLANEOUS] >> 2) & 3;
    this.windowStart = WINDOW_START[map];
    this.windowLength = WINDOW_LENGTH[map];
    this.mapMask = PLANES[sequencer[MAP_MASK] & 15];
    this.plain = (graphics[GRAPHICS_MODE] & 3) === 0 && graphics[ENABLE_SET_RESET] === 0 && graphics[ROTATE] === 0 && graphics[BIT_MASK] === 0xff;
    if ((registers.misc & MISC_MEMORY_ENABLED) === 0) this.access = CLOSED;
    else if (dispi.enabled && dispi.bitsPerPixel > 4) this.access = LINEAR;
    else if (sequencer[MEMORY_MODE] & CHAIN_4) this.access = CHAINED;
    else if ((sequencer[MEMORY_MODE] & ODD_EVEN_OFF) === 0) this.access = ODD_EVEN;
    else this.access = PLANAR;
  }

  /** The window is memory in which consecutive bytes are consecutive pixels, so a hypervisor may map it. */
  get isChained(): boolean {
    return this.access === CHAINED || this.access === LINEAR;
  }

  read(offset: number, size: number): number {
    let value = 0;
    for (let n = 0; n < size; n++) value |= this.readByte(offset + n) << (8 * n);
    return value;
  }

  write(offset: number, size: number, value: number): void {
    for (let n = 0; n < size; n++) this.writeByte(offset + n, (value >>> (8 * n)) & 0xff);
  }

  /** A byte of the window by its offset from A0000h, without effect on the latches. */
  peek(offset: number): number {
    const latch = this.latch;
    const value = this.readByte(offset);
    this.latch = latch;
    return value;
  }

  // --- Reading ---

  private readByte(offset: number): number {
    const at = offset - this.windowStart;
    if (at < 0 || at >= this.windowLength) return 0xff;
    const graphics = this.registers!.graphics;
    let plane = graphics[READ_MAP] & 3;
    let index = at & PLANE_MASK;
    switch (this.access) {
      case CLOSED: return 0xff;
      case LINEAR: {
        const linear = this.registers!.dispi.bankOffset + at;
        return linear < this.bytes.length ? this.bytes[linear] : 0xff;
      }
      case CHAINED:
        plane = at & 3;
        index &= ~3;
        break;
      default:
        if (graphics[GRAPHICS_MODE] & READ_ODD_EVEN) {
          plane = (plane & 2) | (at & 1);
          index = this.oddEvenIndex(at);
        } else {
          index += this.bankIndex();
          if (index >= this.words.length) return 0xff;
        }
    }
    this.latch = this.words[index];
    if (graphics[GRAPHICS_MODE] & READ_COMPARE) return this.compare(graphics[COLOUR_COMPARE], graphics[COLOUR_DONT_CARE]);
    return this.bytes[4 * index + plane];
  }

  /** Read mode 1: a bit for each pixel whose planes that count have the colour. */
  private compare(colour: number, care: number): number {
    const differs = (this.latch ^ PLANES[colour & 15]) & PLANES[care & 15];
    return ~(differs | (differs >>> 8) | (differs >>> 16) | (differs >>> 24)) & 0xff;
  }

  // --- Writing ---

  private writeByte(offset: number, value: number): void {
    const at = offset - this.windowStart;
    if (at < 0 || at >= this.windowLength) return;
    switch (this.access) {
      case CLOSED: return;
      case LINEAR: {
        const linear = this.registers!.dispi.bankOffset + at;
        if (linear < this.bytes.length) {
          this.bytes[linear] = value;
          this.dirty[linear >>> 12] = 1;
        }
        return;
      }
      case CHAINED: this.writePlanes(at & PLANE_MASK & ~3, this.mapMask & (0xff << (8 * (at & 3))), value); return;
      // Even addresses write planes 0 and 2, odd ones 1 and 3.
      case ODD_EVEN: this.writePlanes(this.oddEvenIndex(at), this.mapMask & (at & 1 ? 0xff00ff00 : 0x00ff00ff), value); return;
      default: {
        const index = (at & PLANE_MASK) + this.bankIndex();
        if (index < this.words.length) this.writePlanes(index, this.mapMask, value);
      }
    }
  }

  /** With odd/even addressing, bit 0 chooses the plane; its place is taken by bit 16, or by the page bit in a window of 64 KiB and less. */
  private oddEvenIndex(at: number): number {
    const page = this.windowLength > 0x10000 ? at >> 16 : this.registers!.misc & MISC_ODD_PAGE ? 0 : 1;
    return (at & PLANE_MASK & ~1) | page;
  }

  /** Offset in a plane that the bank register of the Bochs interface adds in its planar modes. */
  private bankIndex(): number {
    const dispi = this.registers!.dispi;
    return dispi.enabled ? dispi.bankOffset : 0;
  }

  private writePlanes(index: number, planes: number, value: number): void {
    const memory = this.words;
    memory[index] = (memory[index] & ~planes) | ((this.plain ? everyPlane(value) : this.combine(value)) & planes);
    this.dirty[index >>> 10] = 1;
    if (planes & 0xff0000) this.fontVersion++;
  }

  /** What the graphics controller makes of the processor's byte: a word for the four planes. */
  private combine(value: number): number {
    const graphics = this.registers!.graphics, latch = this.latch;
    const mode = graphics[GRAPHICS_MODE] & 3;
    if (mode === 1) return latch;
    const turn = graphics[ROTATE] & 7;
    const rotated = ((value >> turn) | (value << (8 - turn))) & 0xff;
    const setReset = PLANES[graphics[SET_RESET] & 15];
    let data: number, mask = graphics[BIT_MASK];
    if (mode === 0) {
      const enabled = PLANES[graphics[ENABLE_SET_RESET] & 15];
      data = (everyPlane(rotated) & ~enabled) | (setReset & enabled);
    } else if (mode === 2) {
      data = PLANES[value & 15];
    } else {
      data = setReset;
      mask &= rotated;
    }
    switch ((graphics[ROTATE] >> 3) & 3) {
      case 1: data &= latch; break;
      case 2: data |= latch; break;
      case 3: data ^= latch; break;
    }
    const bits = everyPlane(mask);
    return (data & bits) | (latch & ~bits);
  }
}

/** A byte in all four bytes of a word. */
function everyPlane(byte: number): number {
  return Math.imul(byte, 0x01010101);
}
