/** Finds text in a terminal, scrollback included: the hit is selected and scrolled to. Case is ignored. */
import type { Terminal } from '@xterm/xterm';

interface Hit {
  /** Row of the buffer, and column, of its first cell. */
  row: number;
  column: number;
}

/** All places where the text stands, from the top. A line that was wrapped is one line. */
function findAll(terminal: Terminal, text: string): Hit[] {
  const wanted = text.toLowerCase();
  const buffer = terminal.buffer.active;
  const hits: Hit[] = [];
  for (let row = 0; row < buffer.length;) {
    const first = row;
    let line = buffer.getLine(row)?.translateToString(false) ?? '';
    for (row++; buffer.getLine(row)?.isWrapped === true; row++) line += buffer.getLine(row)?.translateToString(false) ?? '';
    const lower = line.toLowerCase();
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1)) {
      hits.push({ row: first + Math.floor(at / terminal.cols), column: at % terminal.cols });
    }
  }
  return hits;
}

export class TerminalSearch {
  private readonly terminal: Terminal;
  private text = '';
  private at: Hit | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** Goes to the next hit in this direction, round the end; says which of how many it is. */
  find(text: string, forward: boolean): { index: number; count: number } {
    if (text !== this.text) this.at = null;
    this.text = text;
    const hits = text === '' ? [] : findAll(this.terminal, text);
    if (hits.length === 0) {
      this.clear();
      return { index: -1, count: 0 };
    }
    const { at } = this;
    const after = (hit: Hit, other: Hit): boolean => hit.row > other.row || (hit.row === other.row && hit.column > other.column);
    let index = hits.length - 1;
    if (at !== null && forward) index = Math.max(0, hits.findIndex((hit) => after(hit, at)));
    else if (at !== null) {
      index = hits.findLastIndex((hit) => after(at, hit));
      if (index < 0) index = hits.length - 1;
    }
    const hit = hits[index];
    this.at = hit;
    this.terminal.select(hit.column, hit.row, text.length);
    this.terminal.scrollToLine(Math.max(0, hit.row - (this.terminal.rows >> 1)));
    return { index, count: hits.length };
  }

  clear(): void {
    this.at = null;
    this.terminal.clearSelection();
  }
}
