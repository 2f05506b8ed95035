/**
 * What the bench takes times at: in the text of guests' consoles, lines that workloads print ("@b NAME ROUND",
 * "@e NAME ROUND CHECKSUM"), and texts to wait for, in their order.
 */

/** @typedef {{ console: 'l1' | 'l2', text: string, name: string }} Wait */
/** @typedef {{ kind: 'begin' | 'end' | 'wait', name: string, round: number, checksum: string }} Mark */

const LINE = /^@([be]) (\S+) (\d+)(?: (\S+))?$/;
const MAX_LINE = 400;

export class ConsoleMarks {
  /** @param {Wait[]} waits @param {(mark: Mark) => void} emit called at the byte that completes the mark */
  constructor(waits, emit) {
    this.waits = [...waits];
    this.emit = emit;
    /** @type {Record<string, string>} */
    this.lines = { l1: '', l2: '' };
    /** A workload image says when it is done. */
    this.finished = false;
  }

  /** Every text was seen, or the workloads are done. */
  get done() {
    return this.finished;
  }

  /** @param {'l1' | 'l2'} level @param {number} byte */
  add(level, byte) {
    const line = byte === 10 ? this.lines[level] : (this.lines[level] + String.fromCharCode(byte)).slice(-MAX_LINE);
    if (byte === 10) {
      this.lines[level] = '';
      if (level === 'l1') this.endOfLine(line.trimEnd());
      return;
    }
    this.lines[level] = line;
    const wait = this.waits[0];
    if (wait === undefined || wait.console !== level || !line.endsWith(wait.text)) return;
    this.waits.shift();
    if (this.waits.length === 0) this.finished = true;
    this.emit({ kind: 'wait', name: wait.name, round: 0, checksum: '' });
  }

  /** @param {string} line */
  endOfLine(line) {
    if (line === '@done') {
      this.finished = true;
      return;
    }
    const match = LINE.exec(line);
    if (match !== null) this.emit({ kind: match[1] === 'b' ? 'begin' : 'end', name: match[2], round: Number(match[3]), checksum: match[4] ?? '' });
  }
}
