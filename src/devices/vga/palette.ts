/** The colours as the screen shows them: words 0xAABBGGRR, whose bytes in memory are red, green, blue, opaque. */
import type { Vga } from './vga';

const OPAQUE = 0xff000000 | 0;

/** The 256 colours of the DAC behind its pel mask. */
export function dacColours(vga: Vga, colours: Int32Array): void {
  const { dac, pelMask } = vga;
  const wide = vga.dispi.wideDac;
  for (let n = 0; n < 256; n++) {
    const at = 3 * (n & pelMask);
    let red = dac[at], green = dac[at + 1], blue = dac[at + 2];
    if (!wide) {
      red = (red << 2) | (red >> 4);
      green = (green << 2) | (green >> 4);
      blue = (blue << 2) | (blue >> 4);
    }
    colours[n] = OPAQUE | (blue << 16) | (green << 8) | red;
  }
}

/** The 16 colours of text and planar modes, through the attribute controller's palette ("Attribute Controller", registers 0-Fh, 10h, 12h, 14h). */
export function attributeColours(vga: Vga, dac: Int32Array, colours: Int32Array): void {
  const { attribute } = vga;
  const select = attribute[0x14];
  for (let n = 0; n < 16; n++) {
    const entry = attribute[n & attribute[0x12]];
    const index = attribute[0x10] & 0x80 ? (entry & 0x0f) | ((select & 0x0f) << 4) : (entry & 0x3f) | ((select & 0x0c) << 4);
    colours[n] = dac[index];
  }
}
