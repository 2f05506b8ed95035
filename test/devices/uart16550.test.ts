import { describe, it, expect } from 'vitest';
import { Uart16550 } from '../../src/devices/uart16550';
import { Line } from './bench';

function newUart(): { uart: Uart16550; irq: Line; sent: number[] } {
  const irq = new Line();
  const sent: number[] = [];
  return { uart: new Uart16550(irq.drive, (byte) => sent.push(byte)), irq, sent };
}

describe('16550A', () => {
  it('is recognised as a 16550A by the probe of the Linux 8250 driver', () => {
    const { uart } = newUart();
    uart.write(1, 1, 0);
    expect(uart.read(1)).toBe(0);
    uart.write(1, 1, 0x0f);
    expect(uart.read(1)).toBe(0x0f);
    uart.write(1, 1, 0);
    uart.write(4, 1, 0x1a); // loopback, OUT2, RTS
    expect(uart.read(6) & 0xf0).toBe(0x90);
    uart.write(4, 1, 0);
    uart.write(2, 1, 1);
    expect(uart.read(2) >> 6).toBe(3);
    uart.write(7, 1, 0x5a);
    expect(uart.read(7)).toBe(0x5a);
  });

  it('sends at once and interrupts for the empty transmitter', () => {
    const { uart, irq, sent } = newUart();
    uart.write(4, 1, 0x0b);
    uart.write(1, 1, 2);
    expect(irq.level).toBe(true);
    expect(uart.read(2)).toBe(2);
    expect(irq.level).toBe(false);
    expect(uart.read(2)).toBe(1);
    uart.write(0, 1, 0x41);
    expect(sent).toEqual([0x41]);
    expect(uart.read(5)).toBe(0x60);
    expect(irq.level).toBe(true);
    expect(irq.rises).toBe(2);
    // A second byte without looking is a second edge.
    uart.write(0, 1, 0x42);
    expect(irq.rises).toBe(3);
    // Disabling and enabling again asks anew.
    uart.read(2);
    uart.write(1, 1, 0);
    uart.write(1, 1, 2);
    expect(irq.level).toBe(true);
  });

  it('drains long input through the FIFO', () => {
    const { uart, irq } = newUart();
    uart.write(4, 1, 0x0b);
    uart.write(2, 1, 0x81); // trigger level 8
    uart.write(1, 1, 1);
    const text = Array.from({ length: 40 }, (_, i) => i + 1);
    uart.input(text);
    expect(irq.level).toBe(true);
    expect(uart.read(2)).toBe(0xc4);
    expect(uart.pendingInput).toBe(40);
    const got: number[] = [];
    while (uart.read(5) & 1) {
      got.push(uart.read(0));
      if (got.length === 37) expect(uart.read(2)).toBe(0xcc); // three left: timeout
    }
    expect(got).toEqual(text);
    expect(irq.level).toBe(false);
  });

  it('holds one byte without FIFO', () => {
    const { uart } = newUart();
    uart.input([1, 2, 3]);
    expect([uart.read(0), uart.read(0), uart.read(0)]).toEqual([1, 2, 3]);
    expect(uart.read(5)).toBe(0x60);
  });

  it('loops back data and modem lines, with overrun', () => {
    const { uart, sent, irq } = newUart();
    uart.write(2, 1, 1);
    uart.write(4, 1, 0x10);
    expect(uart.read(6)).toBe(0x0b); // CTS, DSR and DCD went away
    uart.write(4, 1, 0x14);
    uart.write(4, 1, 0x10);
    expect(uart.read(6)).toBe(0x04); // trailing edge of RI
    for (let i = 0; i < 17; i++) uart.write(0, 1, i);
    expect(uart.read(5)).toBe(0x63);
    expect(uart.read(5)).toBe(0x61);
    expect(uart.read(0)).toBe(0);
    expect(sent).toEqual([]);
    expect(irq.rises).toBe(0);
  });

  it('keeps the interrupt off the bus without OUT2', () => {
    const { uart, irq } = newUart();
    uart.write(1, 1, 1);
    uart.input([1]);
    expect(irq.level).toBe(false);
    uart.write(4, 1, 8);
    expect(irq.level).toBe(true);
  });

  it('has a divisor latch and survives save and restore', () => {
    const { uart } = newUart();
    uart.write(3, 1, 0x83);
    uart.write(0, 1, 1);
    uart.write(1, 1, 2);
    expect([uart.read(0), uart.read(1)]).toEqual([1, 2]);
    uart.write(3, 1, 3);
    uart.input([9, 8, 7]);
    const copy = newUart().uart;
    copy.restore(uart.save());
    expect(copy.save()).toEqual(uart.save());
    expect(copy.read(0)).toBe(9);
  });
});
