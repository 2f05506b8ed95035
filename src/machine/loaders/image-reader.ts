/** Little-endian reads from a file that may be truncated or foreign: out of bounds is a LoadError, never a wrong value. */
import { LoadError } from './load-error';
import type { BootFile } from './boot-request';

export class ImageReader {
  readonly name: string;
  readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(file: BootFile) {
    this.name = file.name;
    this.bytes = file.bytes;
    this.view = new DataView(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  fail(reason: string): never {
    throw new LoadError(this.name, reason);
  }

  /** Fails unless `length` bytes exist at `offset`; `what` names them. */
  need(offset: number, length: number, what: string): void {
    if (offset < 0 || length < 0 || !(offset + length <= this.length)) {
      this.fail(`truncated: ${what} would end at byte ${offset + length}, the file has ${this.length}`);
    }
  }

  u8(offset: number, what: string): number {
    this.need(offset, 1, what);
    return this.view.getUint8(offset);
  }

  u16(offset: number, what: string): number {
    this.need(offset, 2, what);
    return this.view.getUint16(offset, true);
  }

  u32(offset: number, what: string): number {
    this.need(offset, 4, what);
    return this.view.getUint32(offset, true);
  }

  /** A 64-bit file offset, size or physical address; anything beyond 2^52 is refused. */
  u64(offset: number, what: string): number {
    this.need(offset, 8, what);
    const high = this.view.getUint32(offset + 4, true);
    if (high >= 0x100000) this.fail(`${what} is ${high.toString(16)}xxxxxxxxh, far outside any memory`);
    return high * 0x100000000 + this.view.getUint32(offset, true);
  }

  slice(offset: number, length: number, what: string): Uint8Array {
    this.need(offset, length, what);
    return this.bytes.subarray(offset, offset + length);
  }
}

/** A growing little-endian byte buffer for structures handed to kernels. */
export class ByteWriter {
  private buffer = new Uint8Array(256);
  private used = 0;

  get length(): number {
    return this.used;
  }

  private room(bytes: number): DataView {
    if (this.used + bytes > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + bytes));
      larger.set(this.buffer);
      this.buffer = larger;
    }
    return new DataView(this.buffer.buffer);
  }

  u8(value: number): this {
    this.room(1).setUint8(this.used, value);
    this.used += 1;
    return this;
  }

  u16(value: number): this {
    this.room(2).setUint16(this.used, value, true);
    this.used += 2;
    return this;
  }

  u32(value: number): this {
    this.room(4).setUint32(this.used, value, true);
    this.used += 4;
    return this;
  }

  /** A non-negative integer below 2^53. */
  u64(value: number): this {
    return this.u32(value % 0x100000000).u32(Math.floor(value / 0x100000000));
  }

  raw(bytes: Uint8Array | readonly number[]): this {
    this.room(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
    return this;
  }

  zeros(count: number): this {
    this.room(count);
    this.used += count;
    return this;
  }

  align(alignment: number): this {
    return this.zeros((alignment - (this.used % alignment)) % alignment);
  }

  /** Overwrites 32 bits already written. */
  patch32(offset: number, value: number): void {
    new DataView(this.buffer.buffer).setUint32(offset, value, true);
  }

  done(): Uint8Array {
    return this.buffer.slice(0, this.used);
  }
}

/** Bytes of a string in UTF-8 with a terminating zero. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
