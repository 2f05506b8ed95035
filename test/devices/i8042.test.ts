import { describe, it, expect } from 'vitest';
import { I8042 } from '../../src/devices/i8042';
import { Line } from './bench';

interface Bench {
  i8042: I8042;
  irq1: Line;
  irq12: Line;
  a20: boolean;
  resets: number;
}

function bench(): Bench {
  const b = { irq1: new Line(), irq12: new Line(), a20: false, resets: 0 } as Bench;
  b.i8042 = new I8042({
    keyboardIrq: b.irq1.drive,
    mouseIrq: b.irq12.drive,
    setA20: (enabled) => (b.a20 = enabled),
    getA20: () => b.a20,
    reset: () => b.resets++,
  });
  return b;
}

/** Sends a controller command with data, as the Linux driver does, and returns what comes back. */
function command(i8042: I8042, code: number, ...data: number[]): number[] {
  i8042.write(0x64, 1, code);
  for (const byte of data) i8042.write(0x60, 1, byte);
  return drain(i8042);
}

function drain(i8042: I8042): number[] {
  const bytes: number[] = [];
  while (i8042.read(0x64) & 1) bytes.push(i8042.read(0x60));
  return bytes;
}

describe('i8042', () => {
  it('passes the controller checks of the Linux driver', () => {
    const { i8042, irq12 } = bench();
    expect(drain(i8042)).toEqual([]);
    expect(command(i8042, 0xaa)).toEqual([0x55]);
    const [ctr] = command(i8042, 0x20);
    command(i8042, 0x60, ctr & ~0x40);
    expect(command(i8042, 0x20)).toEqual([ctr & ~0x40]);
    // i8042_check_aux: loop-back, port test, disable and enable.
    i8042.write(0x64, 1, 0xd3);
    i8042.write(0x60, 1, 0x5a);
    expect(i8042.read(0x64) & 0x21).toBe(0x21);
    expect(i8042.read(0x60)).toBe(0x5a);
    expect(command(i8042, 0xa9)).toEqual([0]);
    command(i8042, 0xa7);
    expect(command(i8042, 0x20)[0] & 0x20).toBe(0x20);
    command(i8042, 0xa8);
    expect(command(i8042, 0x20)[0] & 0x20).toBe(0);
    // The IRQ delivery test.
    command(i8042, 0x60, 0x47);
    i8042.write(0x64, 1, 0xd3);
    i8042.write(0x60, 1, 0xa5);
    expect(irq12.level).toBe(true);
    expect(i8042.read(0x60)).toBe(0xa5);
    expect(irq12.level).toBe(false);
  });

  it('talks to the keyboard', () => {
    const { i8042 } = bench();
    command(i8042, 0x60, 0x05); // no translation
    const send = (...bytes: number[]): number[] => {
      for (const byte of bytes) i8042.write(0x60, 1, byte);
      return drain(i8042);
    };
    expect(send(0xf2)).toEqual([0xfa, 0xab, 0x83]);
    expect(send(0xed, 2)).toEqual([0xfa, 0xfa]);
    expect(i8042.leds).toBe(2);
    expect(send(0xf0, 0)).toEqual([0xfa, 0xfa, 2]);
    expect(send(0xff)).toEqual([0xfa, 0xaa]);
    expect(send(0xee)).toEqual([0xee]);
  });

  it('translates keys and interrupts for each byte', () => {
    const { i8042, irq1 } = bench();
    i8042.keys([0x1c, 0xf0, 0x1c, 0xe0, 0x75]); // A down, A up, cursor up
    expect(irq1.level).toBe(true);
    expect(drain(i8042)).toEqual([0x1e, 0x9e, 0xe0, 0x48]);
    expect(irq1.rises).toBe(4);
    expect(irq1.level).toBe(false);
    command(i8042, 0xad);
    i8042.keys([0x1c]);
    expect(i8042.read(0x64) & 1).toBe(0);
    i8042.write(0x64, 1, 0xae);
    expect(i8042.read(0x60)).toBe(0x1e);
  });

  it('talks to the mouse, with the wheel knock and packets', () => {
    const { i8042, irq12 } = bench();
    command(i8042, 0x60, 0x47);
    const mouse = (...bytes: number[]): number[] => bytes.flatMap((byte) => command(i8042, 0xd4, byte));
    expect(mouse(0xff)).toEqual([0xfa, 0xaa, 0]);
    expect(mouse(0xf2)).toEqual([0xfa, 0]);
    mouse(0xf3, 200, 0xf3, 100, 0xf3, 80);
    expect(mouse(0xf2)).toEqual([0xfa, 3]);
    expect(mouse(0xe9)).toEqual([0xfa, 0, 2, 80]);
    expect(mouse(0xf4)).toEqual([0xfa]);
    irq12.rises = 0;
    i8042.moveMouse(5, -3, 1, 1);
    expect(drain(i8042)).toEqual([0x29, 5, 0xfd, 1]);
    expect(irq12.rises).toBe(4);
  });

  it('gates A20 and resets the machine', () => {
    const b = bench();
    expect(b.a20).toBe(true);
    command(b.i8042, 0xd1, 0xdd);
    expect(b.a20).toBe(false);
    expect(command(b.i8042, 0xd0)[0] & 2).toBe(0);
    command(b.i8042, 0xd1, 0xdf);
    expect(b.a20).toBe(true);
    b.i8042.write(0x64, 1, 0xff);
    expect(b.resets).toBe(0);
    b.i8042.write(0x64, 1, 0xfe);
    expect(b.resets).toBe(1);
  });

  it('survives a save and restore', () => {
    const { i8042 } = bench();
    i8042.keys([0x1c, 0xf0, 0x1c]);
    const copy = bench().i8042;
    copy.restore(JSON.parse(JSON.stringify(i8042.save())) as ReturnType<I8042['save']>);
    expect(copy.save()).toEqual(i8042.save());
    expect(drain(copy)).toEqual([0x1e, 0x9e]);
  });
});
