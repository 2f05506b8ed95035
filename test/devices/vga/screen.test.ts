import { describe, expect, it } from 'vitest';
import { Screen } from '../../../src/devices/vga/screen';
import { enterTextMode } from '../../../src/devices/vga/text-mode';
import { screenLines, textScreen } from '../../../src/devices/vga/text-screen';
import type { Vga } from '../../../src/devices/vga/vga';
import { bareVga, CRTC, GRAPHICS, SEQUENCER, set, setAttribute } from './support';

const STEADY = { cursor: true, text: true };
const BLUE = 0xffaa0000 | 0, GREY = 0xffaaaaaa | 0, BLACK = 0xff000000 | 0, WHITE = 0xffffffff | 0;

function textVga(): Vga {
  const vga = bareVga();
  enterTextMode(vga);
  return vga;
}

function put(vga: Vga, row: number, column: number, text: string, attribute = 7): void {
  [...text].forEach((character, n) => vga.memory.write(0x18000 + 2 * (80 * row + column + n), 2, character.charCodeAt(0) | (attribute << 8)));
}

/** Mode 13h or 12h on top of the text mode's timing. */
function graphicsVga(shift: 'bytes' | 'planar'): Vga {
  const vga = textVga();
  set(vga, CRTC, 0x11, 0x0e);
  set(vga, GRAPHICS, 6, 0x05);
  if (shift === 'bytes') {
    set(vga, SEQUENCER, 4, 0x0e);
    set(vga, GRAPHICS, 5, 0x40);
    set(vga, CRTC, 9, 0x41);
    set(vga, CRTC, 0x14, 0x40);
    setAttribute(vga, 0x10, 0x41);
  } else {
    set(vga, SEQUENCER, 4, 0x06);
    set(vga, GRAPHICS, 5, 0x00);
    set(vga, CRTC, 9, 0x40);
    set(vga, CRTC, 0x14, 0x00);
    set(vga, CRTC, 0x17, 0xe3);
    setAttribute(vga, 0x10, 0x01);
  }
  set(vga, SEQUENCER, 1, 0x01);
  set(vga, SEQUENCER, 2, 0x0f);
  setAttribute(vga, 0x13, 0);
  vga.memory.clear(0x40000);
  return vga;
}

describe('text modes', () => {
  it('are drawn with their font, 9 dots wide, and told as text', () => {
    const vga = textVga();
    put(vga, 1, 2, 'Hi', 0x1f);
    const screen = new Screen(vga);
    expect(screen.update(STEADY)).toEqual({ top: 0, bottom: 400 });
    expect([screen.width, screen.height]).toEqual([720, 400]);
    // H: its upright strokes in white on blue; the ninth column is background.
    const row = Array.from({ length: 9 }, (_, n) => screen.pixels[(16 + 4) * 720 + 18 + n]);
    expect(row).toContain(WHITE);
    expect(row[8]).toBe(BLUE);
    expect(screenLines(textScreen(vga)!)[1]).toBe('  Hi');
  });

  it('only what changed is drawn again', () => {
    const vga = textVga();
    const screen = new Screen(vga);
    screen.update(STEADY);
    expect(screen.update(STEADY)).toBeNull();
    put(vga, 3, 0, 'x');
    put(vga, 5, 0, 'y');
    expect(screen.update(STEADY)).toEqual({ top: 48, bottom: 96 });
    // The cursor is at the upper left.
    expect(screen.update({ cursor: false, text: true })).toEqual({ top: 0, bottom: 16 });
  });

  it('the cursor shows where and as tall as it is set', () => {
    const vga = textVga();
    set(vga, CRTC, 0xf, 81);
    const screen = new Screen(vga);
    screen.update(STEADY);
    expect(textScreen(vga)!.cursor).toBe(81);
    expect(screen.pixels[(16 + 13) * 720 + 9]).toBe(GREY);
    expect(screen.pixels[(16 + 12) * 720 + 9]).toBe(BLACK);
    set(vga, CRTC, 0xa, 0x20);
    expect(textScreen(vga)!.cursor).toBe(-1);
  });

  it('start address and split screen choose the rows', () => {
    const vga = textVga();
    put(vga, 0, 0, 'fixed');
    put(vga, 10, 0, 'scrolled');
    set(vga, CRTC, 0xc, (10 * 80) >> 8);
    set(vga, CRTC, 0xd, (10 * 80) & 0xff);
    expect(screenLines(textScreen(vga)!)[0]).toBe('scrolled');
    // From line 320 on, row 20, memory begins again.
    set(vga, CRTC, 0x11, 0x0e);
    set(vga, CRTC, 0x18, 319 & 0xff);
    set(vga, CRTC, 7, 0x1f);
    set(vga, CRTC, 9, 0x0f);
    expect(screenLines(textScreen(vga)!)[20]).toBe('fixed');
  });

  it('blinking text and fonts by attribute bit 3', () => {
    const vga = textVga();
    put(vga, 0, 1, 'A', 0x87);
    const screen = new Screen(vga);
    screen.update({ cursor: false, text: false });
    const lit = (): boolean => screen.pixels.subarray(0, 16 * 720).some((pixel) => pixel === GREY);
    expect(lit()).toBe(false);
    screen.update({ cursor: false, text: true });
    expect(lit()).toBe(true);
    // Map A is the second font, which is empty.
    put(vga, 0, 1, 'A', 0x0f);
    set(vga, SEQUENCER, 3, 0x04);
    screen.update({ cursor: false, text: true });
    expect(screen.pixels.subarray(0, 16 * 720).every((pixel) => pixel === BLACK)).toBe(true);
  });
});

describe('graphics modes', () => {
  it('256 colours at 320x200, by dirty pages', () => {
    const vga = graphicsVga('bytes');
    const screen = new Screen(vga);
    expect(screen.update(STEADY)).toEqual({ top: 0, bottom: 200 });
    expect([screen.width, screen.height]).toEqual([320, 200]);
    expect(screen.update(STEADY)).toBeNull();
    vga.memory.write(100 * 320 + 7, 1, 1);
    const change = screen.update(STEADY)!;
    expect(change.top).toBeLessThanOrEqual(100);
    expect(change.bottom).toBeGreaterThan(100);
    expect(change.bottom - change.top).toBeLessThan(20);
    expect(screen.pixels[100 * 320 + 7]).toBe(BLUE);
    expect(screen.pixels[100 * 320 + 8]).toBe(BLACK);
  });

  it('16 colours from four planes, with panning', () => {
    const vga = graphicsVga('planar');
    set(vga, GRAPHICS, 5, 2);
    vga.memory.write(80, 1, 1);
    const screen = new Screen(vga);
    screen.update(STEADY);
    expect([screen.width, screen.height]).toEqual([640, 400]);
    expect(Array.from(screen.pixels.subarray(640, 649))).toEqual([...new Array<number>(8).fill(BLUE), BLACK]);
    setAttribute(vga, 0x13, 3);
    screen.update(STEADY);
    expect(Array.from(screen.pixels.subarray(640, 646))).toEqual([...new Array<number>(5).fill(BLUE), BLACK]);
  });

  it.each([[15, 0x03e0, 0xff00ff00 | 0], [16, 0xf800, 0xff0000ff | 0], [24, 0x123456, 0xff563412 | 0], [32, 0x123456, 0xff563412 | 0]])(
    '%i bits per pixel in a linear frame buffer', (bits, value, colour) => {
      const vga = textVga();
      for (const [index, setting] of [[1, 640], [2, 480], [3, bits], [4, 0x41]]) vga.writeDispi(index, setting);
      const bytes = (bits + 7) >> 3;
      const at = 10 * 640 * bytes + 5 * bytes;
      for (let n = 0; n < bytes; n++) vga.memory.bytes[at + n] = value >> (8 * n);
      const screen = new Screen(vga);
      screen.update(STEADY);
      expect(screen.pixels[10 * 640 + 5]).toBe(colour);
      expect(screen.pixels[10 * 640 + 4]).toBe(BLACK);
    });
});
