import { describe, expect, it } from 'vitest';
import { currentMode } from '../../../src/devices/vga/mode';
import { enterTextMode } from '../../../src/devices/vga/text-mode';
import { bareVga, CRTC, set } from './support';

const INDEX = 0x1ce, DATA = 0x1cf;

describe('VGA registers', () => {
  it('the attribute controller takes index and data in turn; reading the status starts over', () => {
    const vga = bareVga();
    enterTextMode(vga);
    vga.read(0x3da);
    vga.write(0x3c0, 1, 0x33);
    vga.write(0x3c0, 1, 0x04);
    expect(vga.attribute[0x13]).toBe(4);
    vga.write(0x3c0, 1, 0x31);
    vga.read(0x3da);
    vga.write(0x3c0, 1, 0x30);
    expect(vga.read(0x3c0)).toBe(0x30);
    expect(vga.read(0x3c1)).toBe(vga.attribute[0x10]);
    // The palette is protected while it is in use.
    vga.read(0x3da);
    vga.write(0x3c0, 1, 0x21);
    vga.write(0x3c0, 1, 0x3f);
    expect(vga.attribute[1]).toBe(1);
  });

  it('the DAC counts through red, green, blue for writing and reading apart', () => {
    const vga = bareVga();
    vga.write(0x3c8, 1, 7);
    for (const value of [1, 2, 0xff, 4, 5, 6]) vga.write(0x3c9, 1, value);
    vga.write(0x3c7, 1, 7);
    expect([vga.read(0x3c7), vga.read(0x3c9), vga.read(0x3c9), vga.read(0x3c9), vga.read(0x3c9)]).toEqual([3, 1, 2, 0x3f, 4]);
    expect(vga.read(0x3c8)).toBe(9);
  });

  it('the CRTC is at 3Dxh or 3Bxh, and its timing can be protected', () => {
    const vga = bareVga();
    enterTextMode(vga);
    expect(vga.read(0x3b5)).toBe(0xff);
    set(vga, CRTC, 1, 0x27);
    expect(vga.crtc[1]).toBe(0x4f);
    set(vga, CRTC, 7, 0x00);
    expect(vga.crtc[7]).toBe(0x0f);
    set(vga, CRTC, 0x11, 0x0e);
    set(vga, CRTC, 1, 0x27);
    expect(vga.crtc[1]).toBe(0x27);
    vga.write(0x3c2, 1, 0x66);
    set(vga, 0x3b4, 0xe, 0x12);
    expect(vga.crtc[0xe]).toBe(0x12);
    expect(vga.read(0x3d5)).toBe(0xff);
  });

  it('retrace follows the clock', () => {
    let now = 0;
    const vga = bareVga();
    Object.assign(vga, { seconds: () => now });
    enterTextMode(vga);
    // Line 412 of 449 begins the retrace.
    now = 100.1 / 31469;
    expect(vga.read(0x3da) & 9).toBe(0);
    now = 412.1 / 31469;
    expect(vga.read(0x3da) & 9).toBe(9);
    now = 100.9 / 31469;
    expect(vga.read(0x3da) & 9).toBe(1);
  });

  it('save and restore give the same device', () => {
    const vga = bareVga();
    enterTextMode(vga);
    vga.write(0x3c7, 1, 3);
    vga.read(0x3c9);
    const copy = bareVga();
    copy.restore(structuredClone(vga.save()));
    expect(copy.save()).toEqual(vga.save());
    expect(currentMode(copy)).toEqual(currentMode(vga));
  });
});

describe('the Bochs interface', () => {
  function dispi(vga: ReturnType<typeof bareVga>, index: number, value: number): void {
    vga.write(INDEX, 2, index);
    vga.write(DATA, 2, value);
  }

  it('sets a mode, clears its memory unless told not to, pans, and refuses what does not fit', () => {
    const vga = bareVga();
    vga.write(INDEX, 2, 0);
    expect(vga.read(DATA)).toBe(0xb0c5);
    vga.memory.bytes[100] = 7;
    for (const [index, value] of [[1, 1024], [2, 768], [3, 32], [4, 0xc1]]) dispi(vga, index, value);
    vga.attributeIndex = 0x20;
    expect(vga.memory.bytes[100]).toBe(7);
    expect(currentMode(vga)).toEqual({ kind: 'packed', width: 1024, height: 768, bitsPerPixel: 32, pitch: 4096, start: 0 });
    // Resolutions are fixed while the mode is on.
    dispi(vga, 1, 640);
    expect(vga.dispi.width).toBe(1024);
    dispi(vga, 9, 256);
    expect(vga.dispi.start).toBe(256 * 4096);
    dispi(vga, 9, 257);
    expect(vga.dispi.start).toBe(256 * 4096);
    dispi(vga, 4, 0);
    dispi(vga, 4, 0x41);
    expect(vga.memory.bytes[100]).toBe(0);
    dispi(vga, 4, 0);
    for (const [index, value] of [[1, 1920], [2, 1200], [3, 32], [4, 0x41]]) dispi(vga, index, value);
    expect(vga.dispi.enabled).toBe(false);
  });

  it('tells what it can do', () => {
    const vga = bareVga(16 << 20);
    dispi(vga, 4, 2);
    for (const [index, value] of [[1, 1920], [2, 1200], [3, 32], [10, 256]]) {
      vga.write(INDEX, 2, index);
      expect(vga.read(DATA)).toBe(value);
    }
  });

  it('banks reach all memory through the window', () => {
    const vga = bareVga();
    vga.write(0x3c2, 1, 0x67);
    for (const [index, value] of [[1, 640], [2, 480], [3, 8], [4, 1], [5, 2]]) dispi(vga, index, value);
    vga.memory.write(0x10, 1, 0x99);
    expect(vga.memory.bytes[0x20010]).toBe(0x99);
  });
});
