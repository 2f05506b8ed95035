/**
 * A picture kept up to date: draws only what changed since the last time, by dirty pages of video memory, changed cells of text modes, and
 * changes of registers. It only reads the VGA, but for the dirty marks: one screen per VGA.
 */
import type { Mode, TextGeometry } from './mode';
import { currentMode, fetchOffset, sameMode } from './mode';
import { attributeColours, dacColours } from './palette';
import type { Blink, Colours, LineFetch } from './render';
import { drawCell, drawFetchedLine, drawPackedLine, locateLine } from './render';
import { cursorCell, readCells } from './text-screen';
import type { Vga } from './vga';

/** Lines [top, bottom) of the picture that changed. */
export interface Change {
  top: number;
  bottom: number;
}

const BLACK = 0xff000000 | 0;
/** No cell has this value: draws the cell anew. */
const UNKNOWN = -1;

export class Screen {
  private readonly vga: Vga;
  private mode: Mode = { kind: 'blank', width: 0, height: 0 };
  private words: Int32Array<ArrayBuffer> = new Int32Array(0);
  private cells = new Uint16Array(0);
  private shown = new Int32Array(0);
  private version = -1;
  private fontVersion = -1;
  private readonly colours: Colours = { dac: new Int32Array(256), attribute: new Int32Array(16) };
  private readonly fetch: LineFetch = { counter: 0, scan: 0, pan: 0 };

  constructor(vga: Vga) {
    this.vga = vga;
  }

  get width(): number {
    return this.mode.width;
  }

  get height(): number {
    return this.mode.height;
  }

  /** The picture, row by row: words 0xAABBGGRR. */
  get pixels(): Int32Array<ArrayBuffer> {
    return this.words;
  }

  get isText(): boolean {
    return this.mode.kind === 'text';
  }

  /** Brings the picture up to date. Returns what changed; null if nothing did. Another size changes all. */
  update(blink: Blink): Change | null {
    const { vga } = this;
    const mode = currentMode(vga);
    const all = vga.version !== this.version || !sameMode(mode, this.mode);
    this.version = vga.version;
    if (all) this.adopt(mode);
    switch (mode.kind) {
      case 'blank': return all ? { top: 0, bottom: mode.height } : null;
      case 'text': return this.updateText(mode, blink, all);
      default: return this.updateLines(mode, all);
    }
  }

  /** Takes over a mode; the picture is black until it is drawn. */
  private adopt(mode: Mode): void {
    if (!sameMode(mode, this.mode) || mode.kind === 'blank') this.words = new Int32Array(mode.width * mode.height).fill(BLACK);
    this.mode = mode;
    dacColours(this.vga, this.colours.dac);
    attributeColours(this.vga, this.colours.dac, this.colours.attribute);
    if (mode.kind !== 'text') return;
    const count = mode.columns * mode.rows;
    if (this.cells.length !== count) {
      this.cells = new Uint16Array(count);
      this.shown = new Int32Array(count);
    }
    this.shown.fill(UNKNOWN);
  }

  private updateText(mode: TextGeometry, blink: Blink, all: boolean): Change | null {
    const { vga, cells, shown } = this;
    if (vga.memory.fontVersion !== this.fontVersion) {
      this.fontVersion = vga.memory.fontVersion;
      shown.fill(UNKNOWN);
    }
    readCells(vga, mode, cells);
    const cursor = cursorCell(vga, mode);
    const blinks = (vga.attribute[0x10] & 8) !== 0;
    let first = -1, last = -1;
    for (let n = 0; n < cells.length; n++) {
      const cell = cells[n], isCursor = n === cursor;
      // What is drawn follows from the cell and these two bits.
      const state = cell | (isCursor && blink.cursor ? 0x10000 : 0) | (blinks && cell & 0x8000 && blink.text ? 0x20000 : 0);
      if (shown[n] === state) continue;
      shown[n] = state;
      const row = Math.floor(n / mode.columns);
      drawCell(vga, mode, this.colours, cell, blink, isCursor, this.words, row * mode.cellHeight * mode.width + (n - row * mode.columns) * mode.cellWidth);
      if (first < 0) first = row;
      last = row;
    }
    if (all) return { top: 0, bottom: mode.height };
    return first < 0 ? null : { top: first * mode.cellHeight, bottom: Math.min(mode.height, (last + 1) * mode.cellHeight) };
  }

  private updateLines(mode: Exclude<Mode, TextGeometry | { kind: 'blank' }>, all: boolean): Change | null {
    const dirty = this.vga.memory.dirty;
    if (!all && dirty.indexOf(1) < 0) return null;
    let top = -1, bottom = 0;
    for (let line = 0; line < mode.height; line++) {
      if (!all && !this.isLineDirty(mode, line, dirty)) continue;
      if (mode.kind === 'packed') drawPackedLine(this.vga, mode, this.colours, line, this.words, line * mode.width);
      else {
        locateLine(this.vga, mode, line, this.fetch);
        drawFetchedLine(this.vga, mode, this.colours, this.fetch, this.words, line * mode.width);
      }
      if (top < 0) top = line;
      bottom = line + 1;
    }
    this.vga.memory.clearDirty();
    return top < 0 ? null : { top, bottom };
  }

  private isLineDirty(mode: Exclude<Mode, TextGeometry | { kind: 'blank' }>, line: number, dirty: Uint8Array): boolean {
    let first: number, last: number;
    if (mode.kind === 'packed') {
      first = mode.start + line * mode.pitch;
      last = first + mode.width * ((mode.bitsPerPixel + 7) >> 3) - 1;
    } else {
      locateLine(this.vga, mode, line, this.fetch);
      const { counter, scan } = this.fetch;
      const fetches = Math.ceil(mode.width / (mode.kind === 'bytes' ? 4 : 8));
      const linear = this.vga.dispi.enabled;
      first = 4 * (linear ? counter : fetchOffset(this.vga, counter & 0xffff, scan));
      last = 4 * (linear ? counter + fetches : fetchOffset(this.vga, (counter + fetches) & 0xffff, scan)) + 3;
      // The fetches wrapped around.
      if (last < first) return true;
    }
    for (let page = first >>> 12; page <= last >>> 12; page++) if (dirty[page] !== 0) return true;
    return false;
  }
}
