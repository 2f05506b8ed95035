import { describe, it, expect } from 'vitest';
import { Pic } from '../../src/devices/pic';
import { Line } from './bench';

/** The initialisation Linux does: vectors 30h-3Fh, cascade on 2, normal EOI. */
function initialised(icw4 = 1): { pic: Pic; int: Line } {
  const int = new Line();
  const pic = new Pic(int.drive);
  for (const [base, vector, cascade] of [[0x20, 0x30, 4], [0xa0, 0x38, 2]]) {
    pic.write(base, 1, 0x11);
    pic.write(base + 1, 1, vector);
    pic.write(base + 1, 1, cascade);
    pic.write(base + 1, 1, icw4);
  }
  return { pic, int };
}

describe('8259 pair', () => {
  it('keeps the mask register that Linux probes for', () => {
    const { pic } = initialised();
    pic.write(0xa1, 1, 0xff);
    pic.write(0x21, 1, 0xfb);
    expect(pic.read(0x21)).toBe(0xfb);
  });

  it('delivers by priority and blocks lower levels until EOI', () => {
    const { pic, int } = initialised();
    pic.setLine(4, true);
    pic.setLine(1, true);
    expect(int.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x31);
    expect(int.level).toBe(false);
    pic.write(0x20, 1, 0x0b);
    expect(pic.read(0x20)).toBe(0x02);
    pic.write(0x20, 1, 0x20);
    expect(int.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x34);
  });

  it('serves the slave through input 2', () => {
    const { pic, int } = initialised();
    pic.setLine(8, true);
    pic.setLine(14, true);
    expect(pic.acknowledge()).toBe(0x38);
    pic.setLine(8, false);
    expect(int.level).toBe(false);
    // Specific EOI to both chips, as Linux does it.
    pic.write(0xa0, 1, 0x60);
    pic.write(0x20, 1, 0x62);
    expect(pic.acknowledge()).toBe(0x3e);
  });

  it('gives spurious interrupt 7 when the request goes away before INTA', () => {
    const { pic, int } = initialised();
    pic.setLine(5, true);
    pic.setLine(5, false);
    expect(int.level).toBe(false);
    expect(pic.acknowledge()).toBe(0x37);
    pic.write(0x20, 1, 0x0b);
    expect(pic.read(0x20)).toBe(0);
  });

  it('keeps a request that was masked for a while', () => {
    const { pic } = initialised();
    pic.setLine(10, true);
    pic.write(0xa1, 1, 0xff);
    expect(pic.interruptPending).toBe(false);
    pic.write(0xa1, 1, 0);
    expect(pic.acknowledge()).toBe(0x3a);
  });

  it('requests once per edge, and again and again on a level input', () => {
    const { pic, int } = initialised();
    pic.setLine(3, true);
    pic.acknowledge();
    pic.write(0x20, 1, 0x20);
    expect(int.level).toBe(false);
    pic.write(0x4d0, 1, 0xff);
    expect(pic.read(0x4d0)).toBe(0xf8);
    expect(int.level).toBe(true);
    pic.acknowledge();
    pic.write(0x20, 1, 0x20);
    expect(int.level).toBe(true);
    pic.setLine(3, false);
    expect(int.level).toBe(false);
  });

  it('ends by itself in automatic EOI mode', () => {
    const { pic } = initialised(3);
    pic.setLine(1, true);
    expect(pic.acknowledge()).toBe(0x31);
    pic.setLine(6, true);
    expect(pic.acknowledge()).toBe(0x36);
  });

  it('answers polls and rotates priorities', () => {
    const { pic } = initialised();
    pic.setLine(6, true);
    pic.write(0x20, 1, 0x0c);
    expect(pic.read(0x20)).toBe(0x86);
    pic.write(0x20, 1, 0xa0); // rotate on non-specific EOI: 6 becomes lowest, 7 highest
    pic.setLine(0, true);
    pic.setLine(7, true);
    expect(pic.acknowledge()).toBe(0x37);
  });

  it('lets lower levels through in special mask mode', () => {
    const { pic, int } = initialised();
    pic.setLine(1, true);
    pic.acknowledge();
    pic.setLine(5, true);
    expect(int.level).toBe(false);
    pic.write(0x21, 1, 0x02);
    pic.write(0x20, 1, 0x68);
    expect(int.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it('survives a save and restore', () => {
    const { pic } = initialised();
    pic.setLine(4, true);
    pic.acknowledge();
    pic.setLine(12, true);
    const other = initialised().pic;
    other.restore(JSON.parse(JSON.stringify(pic.save())) as ReturnType<Pic['save']>);
    expect(other.save()).toEqual(pic.save());
    other.write(0x20, 1, 0x20);
    expect(other.acknowledge()).toBe(0x3c);
  });
});
