/**
 * The I/O port space: 65536 ports, each unclaimed (floating, all ones) or owned by a handler. An access wider than the handler
 * understands is split as the ISA bus does, low address first.
 */
import { BYTE, type PortBus, type PortHandler } from '../devices/device';

export class PortSpace implements PortBus {
  /** Handler number of each port, 0 = none. */
  private readonly owner = new Uint8Array(65536);
  private readonly handlers: (PortHandler | null)[] = [null];
  private readonly widths: number[] = [0];

  map(first: number, count: number, handler: PortHandler, widths: number = BYTE): void {
    let id = this.handlers.findIndex((known, i) => known === handler && this.widths[i] === widths);
    if (id < 0) {
      id = this.handlers.length;
      if (id > 255) throw new Error('too many port handlers');
      this.handlers.push(handler);
      this.widths.push(widths);
    }
    this.owner.fill(id, first, first + count);
  }

  unmap(first: number, count: number): void {
    this.owner.fill(0, first, first + count);
  }

  /** Unsigned for sizes 1 and 2, signed for 4. */
  read(port: number, size: number): number {
    const id = this.owner[port];
    if (this.widths[id] & size) {
      const value = this.handlers[id]!.read(port, size);
      return size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value | 0;
    }
    if (size === 1) return 0xff;
    const half = size >> 1;
    const low = this.read(port, half);
    const high = this.read((port + half) & 0xffff, half);
    return low | (high << (half * 8));
  }

  write(port: number, size: number, value: number): void {
    const id = this.owner[port];
    if (this.widths[id] & size) {
      this.handlers[id]!.write(port, size, size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value | 0);
      return;
    }
    if (size === 1) return;
    const half = size >> 1;
    this.write(port, half, value);
    this.write((port + half) & 0xffff, half, value >> (half * 8));
  }
}
