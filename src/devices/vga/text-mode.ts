/**
 * The 80x25 colour text mode (mode 3) as a PC's firmware leaves it: register values of the IBM PS/2 Hardware Interface Technical Reference's mode table for 720x400,
 * the palette, and a font in plane 2.
 */
import { builtinFont, FONT_HEIGHT } from './font';
import type { Vga } from './vga';

export const TEXT_COLUMNS = 80, TEXT_ROWS = 25;

const REGISTERS = {
  misc: 0x67,
  sequencer: [0x03, 0x00, 0x03, 0x00, 0x02],
  crtc: [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
  ],
  graphics: [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff],
  attribute: [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00,
  ],
};
const BLANK_CELL = 0x0720;

/** Colours 0 to 63: bits 2:0 are red, green, blue at two thirds, bits 5:3 at one third, as on an EGA monitor. */
export function setEgaPalette(vga: Vga): void {
  for (let n = 0; n < 64; n++) {
    for (let channel = 0; channel < 3; channel++) {
      const strong = (n >> (2 - channel)) & 1, weak = (n >> (5 - channel)) & 1;
      vga.dac[3 * n + channel] = 0x2a * strong + 0x15 * weak;
    }
  }
  vga.version++;
}

/** Loads our font into map 0 of plane 2. */
export function loadFont(vga: Vga): void {
  const font = builtinFont(), memory = vga.memory.bytes;
  for (let code = 0; code < 256; code++) {
    for (let row = 0; row < FONT_HEIGHT; row++) memory[4 * (32 * code + row) + 2] = font[code * FONT_HEIGHT + row];
  }
  vga.memory.contentChanged();
}

/** Sets the mode, an empty screen with the cursor at its upper left corner. */
export function enterTextMode(vga: Vga): void {
  vga.load(REGISTERS);
  setEgaPalette(vga);
  loadFont(vga);
  for (let n = 0; n < TEXT_COLUMNS * TEXT_ROWS; n++) vga.memory.write(0x18000 + 2 * n, 2, BLANK_CELL);
}
