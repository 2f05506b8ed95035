/**
 * C0000h-FFFFFh: where accesses go is chosen by the memory attribute registers of the host bridge (Intel 82441FX datasheet 290549, PAM0-PAM6, registers 59h-5Fh): for
 * reads and writes apart, to RAM, or to the ISA bus, where the firmware ROM answers in the last 128 KiB. Without firmware all of it is RAM, as firmware leaves it.
 */
import { copyBufferPages, mapBufferPages, mapMmio, unmap, unmapMemory } from '../cpu/mmu/physical';
import { mem8, placeRom } from '../cpu/mmu/memory';
import type { MmioHandler } from '../devices/device';
import { ONE_MIB, VGA_HOLE_END } from './layout';

export const FIRST_ATTRIBUTE = 0x59;
export const ATTRIBUTES = 7;
const READ = 1, WRITE = 2;
const PAGE = 4096;
const PAGES = (ONE_MIB - VGA_HOLE_END) / PAGE;

interface Segment {
  readonly start: number;
  readonly bytes: number;
  /** Attribute register, counted from FIRST_ATTRIBUTE, and the position of its bits. */
  readonly register: number;
  readonly shift: number;
  readonly handler: MmioHandler;
  attributes: number;
}

export class ShadowRam {
  private readonly segments: Segment[] = [];
  /** First buffer page of the ROM's last pages, which end at 1 MiB; and how many there are. */
  private romPage = 0;
  private romPages = 0;
  /** Buffer pages for RAM that can only be read: copies, as buffer pages below ramPages can be written. */
  private copyPage = 0;

  constructor() {
    this.addSegment(0xf0000, 0x10000, 0, 4);
    for (let n = 0; n < 12; n++) this.addSegment(VGA_HOLE_END + n * 0x4000, 0x4000, 1 + (n >> 1), 4 * (n & 1));
  }

  /** Before power-on: firmware of whole pages, which end at 1 MiB, from buffer page `first` on. */
  installRom(first: number, pages: number): void {
    this.romPage = first;
    this.romPages = pages;
    this.copyPage = placeRom(new Uint8Array(PAGES * PAGE));
  }

  /** Values of the attribute registers before any software changes them. */
  get initialAttributes(): readonly number[] {
    return new Array<number>(ATTRIBUTES).fill(this.romPages > 0 ? 0 : 0x33);
  }

  /** The registers have these values. */
  apply(registers: Uint8Array): void {
    for (const segment of this.segments) {
      const attributes = (registers[segment.register] >> segment.shift) & (READ | WRITE);
      if (attributes !== segment.attributes) this.select(segment, attributes);
    }
  }

  private addSegment(start: number, bytes: number, register: number, shift: number): void {
    this.segments.push({ start, bytes, register, shift, attributes: READ | WRITE, handler: this.writeOnlyRam(start) });
  }

  private select(segment: Segment, attributes: number): void {
    const { start, bytes } = segment;
    if (segment.attributes === WRITE) unmap(start, bytes, segment.handler);
    segment.attributes = attributes;
    const pages = bytes / PAGE;
    if (attributes === (READ | WRITE)) {
      mapBufferPages(start, pages, start / PAGE);
    } else if (attributes === READ) {
      const copy = this.copyPage + (start - VGA_HOLE_END) / PAGE;
      copyBufferPages(start / PAGE, copy, pages);
      mapBufferPages(start, pages, copy);
    } else {
      for (let n = 0; n < pages; n++) {
        const rom = this.romPageAt(start / PAGE + n);
        if (rom < 0) unmapMemory(start + n * PAGE, PAGE);
        else mapBufferPages(start + n * PAGE, 1, rom);
      }
      if (attributes === WRITE) mapMmio(start, bytes, segment.handler);
    }
  }

  /** Buffer page of the ROM that answers at a physical page; -1 if nothing does. */
  private romPageAt(page: number): number {
    const n = page - (ONE_MIB / PAGE - this.romPages);
    return n < 0 ? -1 : this.romPage + n;
  }

  /** Reads go to the ROM, writes to the RAM behind it. */
  private writeOnlyRam(start: number): MmioHandler {
    return {
      name: 'shadow RAM',
      read: (offset, size) => {
        let value = 0;
        for (let n = 0; n < size; n++) {
          const at = start + offset + n, rom = this.romPageAt(Math.floor(at / PAGE));
          value |= (rom < 0 ? 0xff : mem8[rom * PAGE + (at & (PAGE - 1))]) << (8 * n);
        }
        return value;
      },
      write: (offset, size, value) => {
        for (let n = 0; n < size; n++) mem8[start + offset + n] = value >>> (8 * n);
      },
    };
  }
}
