/**
 * Draws the picture that a VGA shows: pure functions from registers and video memory to words 0xAABBGGRR, one line or one cell at a time
 * ("CRT Controller", "Attribute Controller" in the IBM PS/2 Hardware Interface Technical Reference). What has to be drawn is screen.ts's business.
 */
import type { FetchedGeometry, PackedGeometry, TextGeometry } from './mode';
import { fetchOffset, rowStep, splitLine, startAddress } from './mode';
import type { Vga } from './vga';

export interface Colours {
  /** The DAC's 256 colours. */
  readonly dac: Int32Array;
  /** The 16 of text and planar modes. */
  readonly attribute: Int32Array;
}

/** Blinking things are in their visible half. */
export interface Blink {
  readonly cursor: boolean;
  readonly text: boolean;
}

const OPAQUE = 0xff000000 | 0;
const LINE_GRAPHICS = 4, BLINKING = 8, PAN_COMPATIBLE = 0x20;

// --- Text ---

/** Byte offset in plane 2 of the font that a map-select value means. */
function fontOffset(map: number): number {
  return (map & 3) * 0x4000 + (map & 4 ? 0x2000 : 0);
}

/** Draws one cell (character in the low byte, attribute in the high one) with its upper left corner at pixel index `to`. */
export function drawCell(vga: Vga, mode: TextGeometry, colours: Colours, cell: number, blink: Blink, cursor: boolean, pixels: Int32Array, to: number): void {
  const code = cell & 0xff, attribute = cell >> 8;
  const select = vga.sequencer[3], control = vga.attribute[0x10];
  // Attribute bit 3 chooses the font of map A.
  const map = attribute & 8 ? ((select >> 2) & 3) | ((select >> 3) & 4) : (select & 3) | ((select >> 2) & 4);
  const glyph = 4 * (fontOffset(map) + 32 * code) + 2;
  const blinks = (control & BLINKING) !== 0;
  let ink = colours.attribute[attribute & 15];
  const paper = colours.attribute[(attribute >> 4) & (blinks ? 7 : 15)];
  if (blinks && attribute & 0x80 && !blink.text) ink = paper;
  const extends9 = (control & LINE_GRAPHICS) !== 0 && code >= 0xc0 && code <= 0xdf;
  const cursorStart = vga.crtc[0xa] & 0x1f, cursorEnd = vga.crtc[0xb] & 0x1f;
  const underline = (attribute & 7) === 1 ? vga.crtc[0x14] & 0x1f : -1;
  const memory = vga.memory.bytes;
  const lines = Math.min(mode.cellHeight, mode.height - Math.floor(to / mode.width));
  for (let line = 0; line < lines; line++) {
    let bits = memory[glyph + 4 * line] << 1;
    if (extends9) bits |= (bits >> 1) & 1;
    if (line === underline || (cursor && blink.cursor && line >= cursorStart && line <= cursorEnd)) bits = 0x1ff;
    let at = to + line * mode.width;
    for (let dot = 8, left = mode.cellWidth; left > 0; dot--, left--) pixels[at++] = (bits >> dot) & 1 ? ink : paper;
  }
}

// --- Lines of graphics modes ---

/** What the CRTC fetches for a line: the address counter at its left edge, the row-scan counter, and pixels to skip. */
export interface LineFetch {
  counter: number;
  scan: number;
  pan: number;
}

/** Fills `fetch` for line `line` of the picture. */
export function locateLine(vga: Vga, mode: FetchedGeometry, line: number, fetch: LineFetch): void {
  if (vga.dispi.enabled) {
    fetch.counter = vga.dispi.start + line * vga.dispi.pitch;
    fetch.scan = fetch.pan = 0;
    return;
  }
  const { crtc, attribute } = vga;
  // The picture counts repeated lines once, the line compare does not.
  const repeats = mode.scans === 1 ? (crtc[9] & 0x1f) + 1 : 1;
  const split = Math.ceil(splitLine(vga) / repeats);
  const below = line >= split;
  const inPart = below ? line - split : line + (mode.scans > 1 ? crtc[8] & 0x1f : 0);
  const row = Math.floor(inPart / mode.scans);
  fetch.scan = inPart % mode.scans;
  fetch.counter = (below ? 0 : startAddress(vga) + ((crtc[8] >> 5) & 3)) + row * rowStep(vga);
  const pan = attribute[0x13] & 15;
  fetch.pan = below && attribute[0x10] & PAN_COMPATIBLE ? 0 : mode.kind === 'bytes' ? (pan >> 1) & 3 : pan & 7;
}

/** Draws a line whose pixels are fetched through the CRTC, to pixel index `to`. */
export function drawFetchedLine(vga: Vga, mode: FetchedGeometry, colours: Colours, fetch: LineFetch, pixels: Int32Array, to: number): void {
  const memory = vga.memory.bytes;
  const perFetch = mode.kind === 'bytes' ? 4 : 8;
  const linear = vga.dispi.enabled;
  let skip = fetch.pan, done = 0;
  for (let counter = fetch.counter; done < mode.width; counter++) {
    const at = 4 * (linear ? counter : fetchOffset(vga, counter & 0xffff, fetch.scan));
    for (let n = skip; n < perFetch && done < mode.width; n++) {
      pixels[to + done++] = mode.kind === 'bytes' ? colours.dac[memory[at + n]] : colours.attribute[mode.kind === 'planar' ? planarPixel(memory, at, n) : interleavedPixel(memory, at, n)];
    }
    skip = 0;
  }
}

/** One bit of each plane, the leftmost pixel in bit 7. */
function planarPixel(memory: Uint8Array, at: number, n: number): number {
  const shift = 7 - n;
  return ((memory[at] >> shift) & 1) | (((memory[at + 1] >> shift) & 1) << 1) | (((memory[at + 2] >> shift) & 1) << 2) | (((memory[at + 3] >> shift) & 1) << 3);
}

/** CGA's four colours: two bits of plane 0 for the left four pixels, of plane 1 for the right four; planes 2 and 3 add two bits more. */
function interleavedPixel(memory: Uint8Array, at: number, n: number): number {
  const plane = n >> 2, shift = 6 - 2 * (n & 3);
  return ((memory[at + plane] >> shift) & 3) | (((memory[at + 2 + plane] >> shift) & 3) << 2);
}

/** Draws line `line` of a mode with whole pixels in linear memory; what lies beyond the memory is black. */
export function drawPackedLine(vga: Vga, mode: PackedGeometry, colours: Colours, line: number, pixels: Int32Array, to: number): void {
  const memory = vga.memory.bytes;
  const bytes = (mode.bitsPerPixel + 7) >> 3;
  let at = mode.start + line * mode.pitch;
  const fits = Math.max(0, Math.min(mode.width, Math.floor((memory.length - at) / bytes)));
  const end = to + fits;
  switch (mode.bitsPerPixel) {
    case 8:
      for (let p = to; p < end; p++) pixels[p] = colours.dac[memory[at++]];
      break;
    case 15:
      for (let p = to; p < end; p++, at += 2) {
        const value = memory[at] | (memory[at + 1] << 8);
        pixels[p] = opaque(widen5(value >> 10), widen5(value >> 5), widen5(value));
      }
      break;
    case 16:
      for (let p = to; p < end; p++, at += 2) {
        const value = memory[at] | (memory[at + 1] << 8);
        const green = (value >> 5) & 0x3f;
        pixels[p] = opaque(widen5(value >> 11), (green << 2) | (green >> 4), widen5(value));
      }
      break;
    case 32: {
      const words = vga.memory.words;
      let word = at >> 2;
      for (let p = to; p < end; p++) {
        const value = words[word++];
        pixels[p] = (value & 0xff00) | ((value >> 16) & 0xff) | ((value & 0xff) << 16) | OPAQUE;
      }
      break;
    }
    default:
      for (let p = to; p < end; p++, at += bytes) pixels[p] = opaque(memory[at + 2], memory[at + 1], memory[at]);
  }
  pixels.fill(opaque(0, 0, 0), end, to + mode.width);
}

function widen5(value: number): number {
  return ((value & 0x1f) << 3) | ((value >> 2) & 7);
}

function opaque(red: number, green: number, blue: number): number {
  return (0xff000000 | (blue << 16) | (green << 8) | red) | 0;
}
