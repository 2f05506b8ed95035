/**
 * Keys and pasted text on their way to the machine's serial ports: no faster than a line of 115200 baud brings them, in the machine's time, so
 * that whoever reads the port keeps up however much is pasted. A few characters at once pass without delay.
 */

/** 115200 baud, 8N1. */
const BYTES_PER_SECOND = 11_520;
/** What may arrive at once: the receiver's FIFO. */
const BURST = 16;

interface Line {
  bytes: number[];
  /** Virtual time up to which it has been fed. */
  fedAt: number;
  /** Bytes that may arrive now. */
  credit: number;
}

export class InputQueue {
  private readonly lines = new Map<number, Line>();

  add(port: number, bytes: Iterable<number>): void {
    const line = this.lines.get(port) ?? { bytes: [], fedAt: 0, credit: BURST };
    this.lines.set(port, line);
    for (const byte of bytes) line.bytes.push(byte);
  }

  /** Hands out what may arrive by `now` (virtual seconds). `still`: the machine waits for input and nothing else, so that its time stands still. */
  feed(now: number, still: boolean, send: (port: number, bytes: number[]) => void): void {
    for (const [port, line] of this.lines) {
      line.credit = still ? BURST : Math.min(BURST, line.credit + (now - line.fedAt) * BYTES_PER_SECOND);
      line.fedAt = now;
      const count = Math.min(line.bytes.length, Math.floor(line.credit));
      if (count === 0) continue;
      line.credit -= count;
      send(port, line.bytes.splice(0, count));
    }
  }

  /** Bytes that still wait. */
  get waiting(): number {
    let count = 0;
    for (const line of this.lines.values()) count += line.bytes.length;
    return count;
  }
}
