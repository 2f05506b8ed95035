/** Hand-made kernels and a memory to load them into. */
import type { BootRequest, LoadMemory, MemoryRange } from '../../../src/machine/loaders/boot-request';

export const E820: readonly MemoryRange[] = [
  { start: 0, length: 0x9fc00, type: 1 },
  { start: 0x9fc00, length: 0x400, type: 2 },
  { start: 0xf0000, length: 0x10000, type: 2 },
  { start: 0x100000, length: 0x3f00000, type: 1 },
];

/** 64 MiB of RAM. */
export class TestMemory implements LoadMemory {
  readonly e820 = E820;
  readonly bytes = new Uint8Array(64 << 20);
  private readonly view = new DataView(this.bytes.buffer);

  write(hostPhysical: number, bytes: Uint8Array): void {
    if (hostPhysical < 0 || hostPhysical + bytes.length > this.bytes.length) throw new Error('write outside RAM');
    this.bytes.set(bytes, hostPhysical);
  }

  u32(hostPhysical: number): number {
    return this.view.getUint32(hostPhysical, true);
  }

  text(hostPhysical: number): string {
    return new TextDecoder().decode(this.bytes.subarray(hostPhysical, this.bytes.indexOf(0, hostPhysical)));
  }

  slice(hostPhysical: number, length: number): number[] {
    return [...this.bytes.subarray(hostPhysical, hostPhysical + length)];
  }
}

export function request(kernel: Uint8Array, options: Partial<BootRequest> = {}): BootRequest {
  return { kernel: { name: 'dir/kernel.bin', bytes: kernel }, cmdline: 'a=1 b', modules: [], rsdp: 0, rsdpBytes: new Uint8Array(0), screen: null, ...options };
}

export class Bytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  u16(at: number, ...values: number[]): this {
    values.forEach((value, n) => this.view.setUint16(at + 2 * n, value, true));
    return this;
  }

  u32(at: number, ...values: number[]): this {
    values.forEach((value, n) => this.view.setUint32(at + 4 * n, value, true));
    return this;
  }

  raw(at: number, values: readonly number[]): this {
    this.bytes.set(values, at);
    return this;
  }
}

export interface Segment {
  physical: number;
  virtual?: number;
  data: readonly number[];
  memory?: number;
  note?: boolean;
}

/** An ELF executable; the segments' data start at file offset 1000h, 1000h apart. */
export function elf(is64: boolean, entry: number, segments: readonly Segment[]): Bytes {
  const file = new Bytes(0x1000 * (segments.length + 1));
  file.raw(0, [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1]);
  file.u16(16, 2, is64 ? 62 : 3);
  const table = is64 ? 64 : 52, size = is64 ? 56 : 32;
  if (is64) file.u32(24, entry).u32(32, table).u16(54, size, segments.length);
  else file.u32(24, entry).u32(28, table).u16(42, size, segments.length);
  segments.forEach((segment, n) => {
    const at = table + n * size, offset = 0x1000 * (n + 1), memory = segment.memory ?? segment.data.length;
    const virtual = segment.virtual ?? segment.physical;
    file.u32(at, segment.note ? 4 : 1).raw(offset, segment.data);
    if (is64) file.u32(at + 8, offset).u32(at + 16, virtual).u32(at + 24, segment.physical).u32(at + 32, segment.data.length).u32(at + 40, memory);
    else file.u32(at + 4, offset, virtual, segment.physical, segment.data.length, memory);
  });
  return file;
}

export function words(...values: number[]): number[] {
  return values.flatMap((value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]);
}

export const MULTIBOOT1 = 0x1badb002;
export function multiboot1Header(flags: number, ...rest: number[]): number[] {
  return words(MULTIBOOT1, flags, -(MULTIBOOT1 + flags), ...rest);
}
