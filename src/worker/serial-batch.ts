/** Collects the bytes of a console between messages. */
import type { ConsoleName } from './protocol';

const INITIAL_BYTES = 4096;

export class SerialBatch {
  readonly console: ConsoleName;
  private buffer = new Uint8Array(INITIAL_BYTES);
  private length = 0;

  constructor(console: ConsoleName) {
    this.console = console;
  }

  get size(): number {
    return this.length;
  }

  add(byte: number): void {
    if (this.length === this.buffer.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.buffer[this.length++] = byte;
  }

  /** The bytes so far, in an array of their own that can be transferred. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.buffer.slice(0, this.length);
    this.length = 0;
    return bytes;
  }
}
