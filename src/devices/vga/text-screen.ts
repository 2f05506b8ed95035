/** Text modes as text: what the page offers for selection, and tests compare. */
import { CP437 } from './cp437';
import type { TextGeometry } from './mode';
import { currentMode, fetchOffset, rowStep, splitLine, startAddress } from './mode';
import type { Vga } from './vga';

export interface TextScreen {
  columns: number;
  rows: number;
  /** Row by row: character code in the low byte, attribute in the high byte. */
  cells: Uint16Array<ArrayBuffer>;
  /** Cell index of the cursor; -1 when it is off or not on the screen. */
  cursor: number;
}

/** Index in video memory of the character byte of each cell of a row, as the CRTC would fetch it. */
export function rowCounter(vga: Vga, mode: TextGeometry, row: number): number {
  // The split starts again at 0 with the first row that begins after the line.
  const splitRow = Math.ceil(splitLine(vga) / mode.cellHeight);
  return row >= splitRow ? (row - splitRow) * rowStep(vga) : startAddress(vga) + row * rowStep(vga);
}

/** The screen's cells; null in graphics modes and while the screen is blank. */
export function textScreen(vga: Vga): TextScreen | null {
  const mode = currentMode(vga);
  if (mode.kind !== 'text') return null;
  const { columns, rows } = mode;
  const cells = new Uint16Array(columns * rows);
  readCells(vga, mode, cells);
  return { columns, rows, cells, cursor: cursorCell(vga, mode) };
}

/** Reads the cells of a text mode. */
export function readCells(vga: Vga, mode: TextGeometry, cells: Uint16Array): void {
  const memory = vga.memory.bytes;
  let n = 0;
  for (let row = 0; row < mode.rows; row++) {
    const counter = rowCounter(vga, mode, row);
    for (let column = 0; column < mode.columns; column++) {
      const at = 4 * fetchOffset(vga, (counter + column) & 0xffff, 0);
      cells[n++] = memory[at] | (memory[at + 1] << 8);
    }
  }
}

/** Cell under the cursor, -1 if it is off. */
export function cursorCell(vga: Vga, mode: TextGeometry): number {
  const { crtc } = vga;
  if ((crtc[0xa] & 0x20) !== 0 || (crtc[0xa] & 0x1f) > (crtc[0xb] & 0x1f)) return -1;
  const at = (crtc[0xe] << 8) | crtc[0xf];
  for (let row = 0; row < mode.rows; row++) {
    const column = at - rowCounter(vga, mode, row);
    if (column >= 0 && column < mode.columns) return row * mode.columns + column;
  }
  return -1;
}

/** A screen's rows as strings without trailing blanks. */
export function screenLines(screen: TextScreen): string[] {
  const lines: string[] = [];
  for (let row = 0; row < screen.rows; row++) {
    let text = '';
    for (let column = 0; column < screen.columns; column++) text += CP437[screen.cells[row * screen.columns + column] & 0xff];
    lines.push(text.trimEnd());
  }
  return lines;
}
