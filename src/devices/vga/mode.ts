/**
 * What the registers say about the picture (IBM PS/2 Hardware Interface Technical Reference, "CRT Controller"; VESA VBE for the Bochs modes): size, where
 * it lies in memory, and how pixels are stored.
 */
import type { Vga } from './vga';
import { PALETTE_ON } from './vga';

export interface Geometry {
  /** `blank`: nothing is shown. `packed`: pixels one after the other in linear memory. */
  readonly kind: 'blank' | 'text' | 'planar' | 'interleaved' | 'bytes' | 'packed';
  /** In pixels as they are drawn: lines that the hardware repeats count once. */
  readonly width: number;
  readonly height: number;
}

/** A text mode's screen: cells, and the font's cell in pixels. */
export interface TextGeometry extends Geometry {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
}

/** A mode whose lines are fetched through the CRTC's address counter. */
export interface FetchedGeometry extends Geometry {
  readonly kind: 'planar' | 'interleaved' | 'bytes';
  /** Lines on which the counter stays, told apart by the row-scan counter. */
  readonly scans: number;
}

/** A mode of the Bochs interface with 8 bits or more. */
export interface PackedGeometry extends Geometry {
  readonly kind: 'packed';
  readonly bitsPerPixel: number;
  readonly pitch: number;
  readonly start: number;
}

export type Mode = TextGeometry | FetchedGeometry | PackedGeometry | (Geometry & { readonly kind: 'blank' });

/** Registers, by their usual numbers. */
const H_DISPLAY_END = 1, OVERFLOW = 7, MAXIMUM_SCAN = 9, V_DISPLAY_END = 0x12, MODE_CONTROL = 0x17;
const SEQUENCER_RESET = 0, CLOCKING = 1, SCREEN_OFF = 0x20, EIGHT_DOTS = 1;
const GRAPHICS_MODE = 5, MISCELLANEOUS = 6;
const DOUBLE_SCAN = 0x80, CRTC_RUNS = 0x80;

/** Largest picture that is drawn. */
const MOST_PIXELS = 2048 * 2048;

const BLANK: Mode = { kind: 'blank', width: 640, height: 400 };

export function currentMode(vga: Vga): Mode {
  if ((vga.attributeIndex & PALETTE_ON) === 0) return BLANK;
  if (vga.dispi.enabled) return bochsMode(vga);
  const { crtc, sequencer, graphics } = vga;
  if ((sequencer[SEQUENCER_RESET] & 3) !== 3 || (sequencer[CLOCKING] & SCREEN_OFF) !== 0 || (crtc[MODE_CONTROL] & CRTC_RUNS) === 0) return BLANK;
  const characters = crtc[H_DISPLAY_END] + 1;
  const lines = (crtc[V_DISPLAY_END] | ((crtc[OVERFLOW] & 2) << 7) | ((crtc[OVERFLOW] & 0x40) << 3)) + 1;
  const scans = (crtc[MAXIMUM_SCAN] & 0x1f) + 1;
  const shown = crtc[MAXIMUM_SCAN] & DOUBLE_SCAN ? lines >> 1 : lines;
  if ((graphics[MISCELLANEOUS] & 1) === 0) {
    const cellWidth = sequencer[CLOCKING] & EIGHT_DOTS ? 8 : 9;
    return bounded({ kind: 'text', width: characters * cellWidth, height: shown, columns: characters, rows: Math.ceil(shown / scans), cellWidth, cellHeight: scans });
  }
  const shift = (graphics[GRAPHICS_MODE] >> 5) & 3;
  // Where the row-scan counter is no part of the address, its lines are the same.
  const addressed = (crtc[MODE_CONTROL] & 3) === 3 ? 1 : scans;
  const kind = shift === 0 ? 'planar' : shift === 1 ? 'interleaved' : 'bytes';
  return bounded({ kind, width: characters * (kind === 'bytes' ? 4 : 8), height: Math.floor((shown * addressed) / scans), scans: addressed });
}

function bochsMode(vga: Vga): Mode {
  const { width, height, bitsPerPixel, pitch, start } = vga.dispi;
  if (bitsPerPixel === 4) return bounded({ kind: 'planar', width, height, scans: 1 });
  return bounded({ kind: 'packed', width, height, bitsPerPixel, pitch, start });
}

function bounded(mode: Mode): Mode {
  return mode.width > 0 && mode.height > 0 && mode.width * mode.height <= MOST_PIXELS ? mode : BLANK;
}

export function sameMode(a: Mode, b: Mode): boolean {
  if (a.kind !== b.kind || a.width !== b.width || a.height !== b.height) return false;
  if (a.kind === 'text' && b.kind === 'text') return a.columns === b.columns && a.cellHeight === b.cellHeight;
  return true;
}

/** Address counter value of the first character or pixel group. */
export function startAddress(vga: Vga): number {
  return (vga.crtc[0xc] << 8) | vga.crtc[0xd];
}

/** How much the address counter grows from a row to the next. */
export function rowStep(vga: Vga): number {
  return 2 * vga.crtc[0x13];
}

/** Line, as scanned, after which the picture starts again at address 0 (the split screen); larger than any line where there is none. */
export function splitLine(vga: Vga): number {
  const compare = vga.crtc[0x18] | ((vga.crtc[OVERFLOW] & 0x10) << 4) | ((vga.crtc[MAXIMUM_SCAN] & 0x40) << 3);
  return (vga.crtc[MAXIMUM_SCAN] & DOUBLE_SCAN ? compare >> 1 : compare) + 1;
}

/** Offset in a plane that the CRTC fetches for a counter value: byte, word or doubleword addressing, and the row-scan counter as in CGA's modes. */
export function fetchOffset(vga: Vga, counter: number, scan: number): number {
  const control = vga.crtc[MODE_CONTROL];
  let at: number;
  if (vga.crtc[0x14] & 0x40) at = (counter << 2) | ((counter >> 14) & 3);
  else if ((control & 0x40) === 0) at = (counter << 1) | ((control & 0x20 ? counter >> 15 : counter >> 13) & 1);
  else at = counter;
  if ((control & 1) === 0) at = (at & ~0x2000) | ((scan & 1) << 13);
  if ((control & 2) === 0) at = (at & ~0x4000) | ((scan & 2) << 13);
  return at & 0xffff;
}
