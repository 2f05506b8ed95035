import { beforeEach, describe, expect, it } from 'vitest';
import type { Vga } from '../../../src/devices/vga/vga';
import { bareVga, GRAPHICS, SEQUENCER, set } from './support';

let vga: Vga;

/** The four planes at an offset. */
function planes(offset: number): number[] {
  return [...vga.memory.bytes.subarray(4 * offset, 4 * offset + 4)];
}

describe('planar memory', () => {
  beforeEach(() => {
    vga = bareVga();
    vga.write(0x3c2, 1, 0x67);
    // As mode 12h: four planes at A0000h.
    set(vga, SEQUENCER, 2, 0x0f);
    set(vga, SEQUENCER, 4, 0x06);
    set(vga, GRAPHICS, 6, 0x05);
    set(vga, GRAPHICS, 8, 0xff);
  });

  it('write mode 0 rotates, replaces planes by set/reset, combines with the latches and masks bits', () => {
    vga.memory.write(5, 1, 0x81);
    expect(planes(5)).toEqual([0x81, 0x81, 0x81, 0x81]);
    set(vga, GRAPHICS, 3, 0x01);
    set(vga, GRAPHICS, 0, 0x02);
    set(vga, GRAPHICS, 1, 0x03);
    vga.memory.write(6, 1, 0x81);
    expect(planes(6)).toEqual([0x00, 0xff, 0xc0, 0xc0]);
    // XOR with what was latched from offset 5, in the upper nibble only.
    set(vga, GRAPHICS, 1, 0);
    set(vga, GRAPHICS, 3, 0x18);
    set(vga, GRAPHICS, 8, 0xf0);
    expect(vga.memory.read(5, 1)).toBe(0x81);
    vga.memory.write(7, 1, 0xff);
    expect(planes(7)).toEqual([0x71, 0x71, 0x71, 0x71]);
  });

  it('write mode 1 copies the latches, write mode 2 spreads a colour, write mode 3 takes the byte as mask', () => {
    set(vga, GRAPHICS, 5, 2);
    vga.memory.write(0, 1, 0x0a);
    expect(planes(0)).toEqual([0, 0xff, 0, 0xff]);
    set(vga, GRAPHICS, 5, 1);
    vga.memory.read(0, 1);
    vga.memory.write(100, 1, 0x55);
    expect(planes(100)).toEqual([0, 0xff, 0, 0xff]);
    set(vga, GRAPHICS, 5, 3);
    set(vga, GRAPHICS, 0, 0x05);
    vga.memory.write(200, 1, 0x0f);
    expect(planes(200)).toEqual([0x0f, 0xf0, 0x0f, 0xf0]);
  });

  it('the map mask protects planes', () => {
    set(vga, SEQUENCER, 2, 0x04);
    vga.memory.write(9, 1, 0xaa);
    expect(planes(9)).toEqual([0, 0, 0xaa, 0]);
  });

  it('read mode 0 selects a plane, read mode 1 compares colours', () => {
    set(vga, GRAPHICS, 5, 2);
    vga.memory.write(1, 1, 0x03);
    set(vga, GRAPHICS, 4, 1);
    expect(vga.memory.read(1, 1)).toBe(0xff);
    set(vga, GRAPHICS, 4, 2);
    expect(vga.memory.read(1, 1)).toBe(0);
    set(vga, GRAPHICS, 5, 8);
    set(vga, GRAPHICS, 2, 0x0b);
    set(vga, GRAPHICS, 7, 0x0f);
    expect(vga.memory.read(1, 1)).toBe(0);
    // Plane 3 does not count.
    set(vga, GRAPHICS, 7, 0x07);
    expect(vga.memory.read(1, 1)).toBe(0xff);
  });

  it('chain 4 and odd/even spread addresses over planes', () => {
    set(vga, SEQUENCER, 4, 0x0e);
    vga.memory.write(0x104, 4, 0x44332211);
    expect(planes(0x104)).toEqual([0x11, 0x22, 0x33, 0x44]);
    expect(vga.memory.read(0x104, 4)).toBe(0x44332211);
    set(vga, SEQUENCER, 4, 0x02);
    set(vga, SEQUENCER, 2, 0x03);
    set(vga, GRAPHICS, 5, 0x10);
    set(vga, GRAPHICS, 6, 0x0e);
    vga.memory.write(0x18000 + 0x200, 2, 0x1741);
    expect(planes(0x200)).toEqual([0x41, 0x17, 0, 0]);
    expect(vga.memory.read(0x18200, 2)).toBe(0x1741);
  });

  it('the window is where the graphics controller says, and nowhere while memory is off', () => {
    set(vga, GRAPHICS, 6, 0x0d);
    vga.memory.write(0, 1, 1);
    expect(planes(0)).toEqual([0, 0, 0, 0]);
    expect(vga.memory.read(0, 1)).toBe(0xff);
    vga.memory.write(0x18000, 1, 1);
    expect(planes(0)).toEqual([1, 1, 1, 1]);
    vga.write(0x3c2, 1, 0x65);
    vga.memory.write(0x18000, 1, 2);
    expect(planes(0)).toEqual([1, 1, 1, 1]);
    expect(vga.memory.read(0x18000, 1)).toBe(0xff);
  });

  it('marks the pages that it writes', () => {
    vga.memory.clearDirty();
    vga.memory.write(0x400, 1, 1);
    expect([...vga.memory.dirty].indexOf(1)).toBe(1);
    expect([...vga.memory.dirty].lastIndexOf(1)).toBe(1);
  });
});
