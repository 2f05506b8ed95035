/**
 * The font that this machine's firmware loads into plane 2 in text mode, and that L0 shows an observed guest's text in whose own font it has not seen: code page 437 in
 * cells of 8 by 16. Our own drawing; line graphics are constructed.
 */
import { ASCII, CAPITAL_TOP, LATIN, MARKS, MATHEMATICS, SYMBOLS } from './font-glyphs';

export const FONT_HEIGHT = 16;
const CELLS = 256;

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

/** A row of five dots as a row of the cell, its strokes widened to two dots. */
function widen(digit: string): number {
  const dots = Number.parseInt(digit, 32) << 2;
  return (dots | (dots >> 1)) & 0xff;
}

function drawRows(font: Uint8Array, code: number, firstRow: number, rows: string): void {
  let row = firstRow;
  for (const digit of rows) if (row < FONT_HEIGHT) font[code * FONT_HEIGHT + row++] |= widen(digit);
}

/** Draws `ROW:ROWS` or `ROWS`. */
function drawGlyph(font: Uint8Array, code: number, glyph: string): void {
  const [first, second] = glyph.split(':');
  if (second === undefined) drawRows(font, code, CAPITAL_TOP, first);
  else drawRows(font, code, CAPITAL_TOP + Number(first === '' ? 0 : first), second);
}

/** A letter with a mark: above small letters the mark stands where capitals begin. */
function drawMarked(font: Uint8Array, code: number, letter: string, mark: string): void {
  const base = letter.charCodeAt(0) * FONT_HEIGHT;
  font.copyWithin(code * FONT_HEIGHT, base, base + FONT_HEIGHT);
  const isSmall = letter >= 'a';
  if (mark === ',') {
    drawRows(font, code, CAPITAL_TOP + 9, MARKS[mark]);
    return;
  }
  // The dot of the i gives way.
  if (letter === 'i') font.fill(0, code * FONT_HEIGHT, code * FONT_HEIGHT + CAPITAL_TOP + 3);
  drawRows(font, code, isSmall ? CAPITAL_TOP : 0, MARKS[mark]);
}

// --- Line graphics ---

/** Arms of each character from B3h to DAh: up, down, left, right, each 0 none, 1 single, 2 double. */
const ARMS = words(`1100 1110 1120 2210 0210 0120 2220 2200 0220 2020 2010 1020 0110 1001 1011 0111 1101 0011 1111 1102 2201 2002 0202
  2022 0222 2202 0022 2222 1022 2011 0122 0211 2001 1002 0102 0201 2211 1122 1010 0101`);
const MIDDLE_ROW = 7;
const SINGLE_COLUMNS = 0x18, DOUBLE_COLUMNS = 0x66, LEFT_EDGE = 0x60, RIGHT_EDGE = 0x06;

/** Dots from the left edge up to and including `columns`' rightmost, or mirrored. */
function span(columns: number, toLeft: boolean): number {
  let dots = columns;
  for (let n = 0; n < 8; n++) dots |= toLeft ? dots << 1 : dots >> 1;
  return dots & 0xff;
}

function drawLines(font: Uint8Array, code: number, arms: string): void {
  const [up, down, left, right] = Array.from(arms, Number);
  const at = code * FONT_HEIGHT;
  const vertical = Math.max(up, down), horizontal = Math.max(left, right);
  const top = horizontal === 2 ? MIDDLE_ROW - 1 : MIDDLE_ROW, bottom = horizontal === 2 ? MIDDLE_ROW + 1 : MIDDLE_ROW;
  const columns = vertical === 2 ? DOUBLE_COLUMNS : SINGLE_COLUMNS;
  // Upright lines, through the joint as far as the lines across.
  const firstRow = up > 0 ? 0 : top, lastRow = down > 0 ? FONT_HEIGHT - 1 : bottom;
  if (vertical > 0) for (let row = firstRow; row <= lastRow; row++) font[at + row] |= columns;
  // Lines across, from the edge to the upright lines, or to the middle.
  const across = (left > 0 ? span(right > 0 || vertical < 2 ? SINGLE_COLUMNS : LEFT_EDGE, true) : 0) | (right > 0 ? span(left > 0 || vertical < 2 ? SINGLE_COLUMNS : RIGHT_EDGE, false) : 0);
  if (horizontal === 1) font[at + MIDDLE_ROW] |= across;
  if (horizontal !== 2) return;
  for (const row of [top, bottom]) {
    const isTop = row === top;
    const open = isTop ? up > 0 : down > 0;
    // Between two double upright lines the near line breaks; at a corner the far one goes round.
    const inner = vertical === 2 && !(left > 0 && right > 0 && !open) ? ~0x18 : -1;
    const round = vertical === 2 && !open ? (left > 0 ? span(RIGHT_EDGE, true) : 0) | (right > 0 ? span(LEFT_EDGE, false) : 0) : across;
    font[at + row] |= vertical === 2 && !open && !(left > 0 && right > 0) ? round : across & inner;
  }
  // Nothing between the lines of a double joint.
  if (vertical === 2) font[at + MIDDLE_ROW] &= up > 0 && down > 0 ? (left > 0 ? (right > 0 ? 0 : RIGHT_EDGE) : LEFT_EDGE) : left > 0 && right > 0 ? 0 : left > 0 ? RIGHT_EDGE : LEFT_EDGE;
}

function drawBlocks(font: Uint8Array): void {
  const rows = (code: number, dots: (row: number) => number): void => {
    for (let row = 0; row < FONT_HEIGHT; row++) font[code * FONT_HEIGHT + row] = dots(row);
  };
  rows(0xb0, (row) => (row & 1 ? 0x44 : 0x11));
  rows(0xb1, (row) => (row & 1 ? 0xaa : 0x55));
  rows(0xb2, (row) => (row & 1 ? 0xbb : 0xee));
  rows(0xdb, () => 0xff);
  rows(0xdc, (row) => (row >= FONT_HEIGHT / 2 ? 0xff : 0));
  rows(0xdd, () => 0xf0);
  rows(0xde, () => 0x0f);
  rows(0xdf, (row) => (row < FONT_HEIGHT / 2 ? 0xff : 0));
}

/** 256 glyphs of 16 rows, the leftmost dot in bit 7. */
export function builtinFont(): Uint8Array {
  const font = new Uint8Array(CELLS * FONT_HEIGHT);
  words(SYMBOLS).forEach((glyph, n) => drawGlyph(font, 1 + n, glyph));
  words(ASCII).forEach((glyph, n) => drawGlyph(font, 0x20 + n, glyph));
  words(LATIN).forEach((glyph, n) => {
    const marked = /^([A-Za-z])(["'`^~,o])$/.exec(glyph);
    if (marked !== null) drawMarked(font, 0x80 + n, marked[1], marked[2]);
    else drawGlyph(font, 0x80 + n, glyph);
  });
  words(MATHEMATICS).forEach((glyph, n) => drawGlyph(font, 0xe0 + n, glyph));
  ARMS.forEach((arms, n) => drawLines(font, 0xb3 + n, arms));
  drawBlocks(font);
  return font;
}

