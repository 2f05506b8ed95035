/** Keeps the pieces of a boot (kernel segments, modules, information blocks) in RAM and out of each other's way. */
import { RANGE_RAM } from './boot-request';
import type { LoadMemory, MemoryRange } from './boot-request';
import { LoadError } from './load-error';

interface Span {
  start: number;
  end: number;
  what: string;
}

function hex(value: number): string {
  return `${value.toString(16).toUpperCase()}h`;
}

export class Placement {
  private readonly memory: LoadMemory;
  private readonly file: string;
  private readonly taken: Span[] = [];

  /** `file` is named in errors. */
  constructor(memory: LoadMemory, file: string) {
    this.memory = memory;
    this.file = file;
  }

  private ram(): MemoryRange[] {
    return this.memory.e820.filter((range) => range.type === RANGE_RAM);
  }

  /** Claims a range that the image prescribes; it must be RAM. Overlaps between segments of one image are the image's own affair. */
  claim(start: number, length: number, what: string): void {
    if (length === 0) return;
    const end = start + length;
    const inside = this.ram().some((range) => start >= range.start && end <= range.start + range.length);
    if (!inside) throw new LoadError(this.file, `${what} at ${hex(start)}-${hex(end - 1)} does not lie in the machine's RAM`);
    this.taken.push({ start, end, what });
  }

  /** True if the range is RAM and free. */
  isFree(start: number, length: number): boolean {
    const end = start + length;
    return (
      this.ram().some((range) => start >= range.start && end <= range.start + range.length) &&
      !this.taken.some((span) => start < span.end && end > span.start)
    );
  }

  /** Lowest free place in [low, high) aligned to `alignment`, claimed. */
  allocateLow(length: number, alignment: number, low: number, high: number, what: string): number {
    const starts = [low, ...this.ram().map((range) => range.start), ...this.taken.map((span) => span.end)];
    const fits = starts
      .map((start) => Math.ceil(Math.max(start, low) / alignment) * alignment)
      .filter((start) => start + length <= high && this.isFree(start, length))
      .sort((a, b) => a - b);
    return this.take(fits[0], length, what);
  }

  /** Highest free place in [low, high) aligned to `alignment`, claimed. */
  allocateHigh(length: number, alignment: number, low: number, high: number, what: string): number {
    const ends = [high, ...this.ram().map((range) => range.start + range.length), ...this.taken.map((span) => span.start)];
    const fits = ends
      .map((end) => Math.floor((Math.min(end, high) - length) / alignment) * alignment)
      .filter((start) => start >= low && this.isFree(start, length))
      .sort((a, b) => b - a);
    return this.take(fits[0], length, what);
  }

  private take(start: number | undefined, length: number, what: string): number {
    if (start === undefined) throw new LoadError(this.file, `no room in the machine's memory for ${what} (${length} bytes)`);
    this.taken.push({ start, end: start + length, what });
    return start;
  }

  /** Writes into RAM. */
  write(hostPhysical: number, bytes: Uint8Array): void {
    this.memory.write(hostPhysical, bytes);
  }

  /** Allocates low and writes. */
  put(bytes: Uint8Array, alignment: number, low: number, high: number, what: string): number {
    const start = this.allocateLow(bytes.length, alignment, low, high, what);
    this.memory.write(start, bytes);
    return start;
  }

  /** End of the RAM that starts at 1 MiB, or of the highest RAM range below 4 GiB. */
  lowMemoryEnd(): number {
    const below = this.ram().filter((range) => range.start < 0x100000000);
    return below.reduce((end, range) => Math.max(end, range.start + range.length), 0);
  }

  get e820(): readonly MemoryRange[] {
    return this.memory.e820;
  }
}

/** Where small structures may go: above page 0 and the real-mode vectors' neighbours, below the extended BIOS data area. */
export const LOW_STRUCTURES = 0x9000;
export const LOW_STRUCTURES_END = 0x9f000;
