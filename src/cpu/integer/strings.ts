/**
 * MOVS, CMPS, SCAS, LODS, STOS with REP, REPE and REPNE (SDM 2A, 2B). INS and OUTS are with the I/O instructions.
 *
 * One execution handles many elements, and runs within a page of plain RAM go through copyWithin and fill. It ends early after 65536 elements
 * (one while something traces) with RIP back on the instruction, so that events come in between as on hardware. A fault leaves the
 * elements before it done: rCX, rSI and rDI say so. CMPS and SCAS change flags only when they end or pause, so that
 * a fault leaves the flags of the instruction's start.
 */
import type { Handler } from '../record';
import { R, R8, ES, MEMHI, RAX } from '../state';
import { recOperandSize, recRepeat, recSegment } from '../record';
import { setReg } from '../operands';
import { setSubFlags } from '../flags';
import { mem8, memView } from '../mmu/memory';
import {
  DESTINATION, SOURCE, advance, countDown, direction, elementsInPage, hostElement, hostOffset, loadElement, needsNoCheck, repeatBudget,
  resumeUnlessDone, storeElement,
} from './string-operands';

/** Shorter runs are not worth the set-up of a bulk operation. */
const MIN_RUN = 4;

const REPE = 1;

// --- MOVS ---

/** Host offset of the source element moved last, if its page may be read directly, else -1. Pages that share a TLB entry push each other out. */
const lastSource = new Float64Array([-1]);

function moveElement(p: number, bytes: number): void {
  const lo = loadElement(p, recSegment(p), SOURCE, bytes), hi = R[MEMHI];
  lastSource[0] = hostOffset(p, recSegment(p), SOURCE, false);
  storeElement(p, ES, DESTINATION, bytes, lo, hi);
}

/** Moves up to `most` elements inside the buffer; returns how many, 0 when the pages do not allow it. */
function moveRun(p: number, bytes: number, step: number, most: number): number {
  const segment = recSegment(p);
  const n = Math.min(most, elementsInPage(p, segment, SOURCE, bytes, step), elementsInPage(p, ES, DESTINATION, bytes, step));
  if (n < MIN_RUN) return 0;
  let from = hostOffset(p, segment, SOURCE, false), to = hostOffset(p, ES, DESTINATION, true);
  if (from < 0 && lastSource[0] >= 0) {
    const next = lastSource[0] + step * bytes;
    if (Math.floor(next / 4096) === Math.floor(lastSource[0] / 4096)) from = next;
  }
  if (from < 0 || to < 0) return 0;
  const length = n * bytes;
  if (step < 0) {
    from -= length - bytes;
    to -= length - bytes;
    // Walking down onto bytes still to be read: only element by element gives what the CPU gives.
    if (from > to && from < to + length) return 0;
  } else if (to > from && to < from + length) return repeatPattern(from, to, length, bytes) ? n : 0;
  mem8.copyWithin(to, from, from + length);
  return n;
}

/** An upward move onto its own source repeats the bytes between the two; false when elements themselves overlap. */
function repeatPattern(from: number, to: number, length: number, bytes: number): boolean {
  if (to - from < bytes) return false;
  const end = to + length;
  // What lies between `from` and `at` is a whole number of periods, so each copy may double it.
  for (let at = to; at < end;) {
    const piece = Math.min(at - from, end - at);
    mem8.copyWithin(at, from, from + piece);
    at += piece;
  }
  return true;
}

function movs(p: number, bytes: number): void {
  const step = direction();
  if (recRepeat(p) === 0) {
    moveElement(p, bytes);
    advance(p, SOURCE, step * bytes);
    advance(p, DESTINATION, step * bytes);
    return;
  }
  let left = repeatBudget(p);
  let mayRun = needsNoCheck(recSegment(p)) && needsNoCheck(ES);
  lastSource[0] = -1;
  while (left > 0) {
    let n = mayRun ? moveRun(p, bytes, step, left) : 0;
    if (n === 0) {
      moveElement(p, bytes);
      n = 1;
    } else lastSource[0] = -1;
    mayRun = true;
    advance(p, SOURCE, step * bytes * n);
    advance(p, DESTINATION, step * bytes * n);
    left = countDown(p, n, left);
  }
  resumeUnlessDone(p);
}

// --- STOS ---

function fillRun(p: number, bytes: number, step: number, most: number): number {
  const n = Math.min(most, elementsInPage(p, ES, DESTINATION, bytes, step));
  if (n < MIN_RUN) return 0;
  let to = hostOffset(p, ES, DESTINATION, true);
  if (to < 0) return 0;
  const length = n * bytes;
  if (step < 0) to -= length - bytes;
  const lo = R[RAX], hi = R[RAX + 1], byte = lo & 255;
  if (bytes === 1 || isRepeatedByte(lo, hi, bytes)) {
    mem8.fill(byte, to, to + length);
    return n;
  }
  if (bytes === 2) memView.setInt16(to, lo, true);
  else {
    memView.setInt32(to, lo, true);
    if (bytes === 8) memView.setInt32(to + 4, hi, true);
  }
  repeatPattern(to, to + bytes, length - bytes, bytes);
  return n;
}

function isRepeatedByte(lo: number, hi: number, bytes: number): boolean {
  const half = Math.imul(lo & 255, 0x0101);
  if ((lo & 0xffff) !== half) return false;
  return bytes === 2 || (lo >>> 16 === half && (bytes === 4 || lo === hi));
}

function stos(p: number, bytes: number): void {
  const step = direction();
  if (recRepeat(p) === 0) {
    storeElement(p, ES, DESTINATION, bytes, R[RAX], R[RAX + 1]);
    advance(p, DESTINATION, step * bytes);
    return;
  }
  let left = repeatBudget(p);
  let mayRun = needsNoCheck(ES);
  while (left > 0) {
    let n = mayRun ? fillRun(p, bytes, step, left) : 0;
    if (n === 0) {
      storeElement(p, ES, DESTINATION, bytes, R[RAX], R[RAX + 1]);
      n = 1;
    }
    mayRun = true;
    advance(p, DESTINATION, step * bytes * n);
    left = countDown(p, n, left);
  }
  resumeUnlessDone(p);
}

// --- LODS ---

function loadAccumulator(p: number, bytes: number): void {
  const lo = loadElement(p, recSegment(p), SOURCE, bytes);
  if (bytes === 1) R8[0] = lo;
  else setReg(0, bytes >> 2, lo, R[MEMHI]);
}

function lods(p: number, bytes: number): void {
  const step = direction();
  if (recRepeat(p) === 0) {
    loadAccumulator(p, bytes);
    advance(p, SOURCE, step * bytes);
    return;
  }
  for (let left = repeatBudget(p); left > 0;) {
    loadAccumulator(p, bytes);
    advance(p, SOURCE, step * bytes);
    left = countDown(p, 1, left);
  }
  resumeUnlessDone(p);
}

// --- CMPS and SCAS ---

/** The pair compared last: minuend and subtrahend, two words each, narrow ones sign-extended into both words. */
const PAIR = new Int32Array(4);

function pairEqual(): boolean {
  return PAIR[0] === PAIR[2] && PAIR[1] === PAIR[3];
}

/** Flags of minuend - subtrahend for elements of `bytes` bytes. */
function setPairFlags(bytes: number): void {
  const sizeLog = bytes === 1 ? 0 : bytes === 2 ? 1 : bytes === 4 ? 2 : 3;
  const lo = (PAIR[0] - PAIR[2]) | 0;
  if (bytes === 8) setSubFlags(3, lo, (PAIR[1] - PAIR[3] - (PAIR[0] >>> 0 < PAIR[2] >>> 0 ? 1 : 0)) | 0, PAIR[0], PAIR[1]);
  else {
    const shift = 32 - 8 * bytes, difference = (lo << shift) >> shift;
    setSubFlags(sizeLog, difference, difference, PAIR[0], PAIR[0]);
  }
}

function setMinuend(lo: number): void {
  PAIR[0] = lo;
  PAIR[1] = R[MEMHI];
}

function setSubtrahend(lo: number): void {
  PAIR[2] = lo;
  PAIR[3] = R[MEMHI];
}

function setAccumulatorMinuend(bytes: number): void {
  const shift = bytes >= 4 ? 0 : 32 - 8 * bytes;
  PAIR[0] = (R[RAX] << shift) >> shift;
  PAIR[1] = bytes === 8 ? R[RAX + 1] : PAIR[0];
}

/** The element at ES:rDI is read first: its fault goes before one of the other element's. */
function compareElement(p: number, bytes: number): void {
  setSubtrahend(loadElement(p, ES, DESTINATION, bytes));
  setMinuend(loadElement(p, recSegment(p), SOURCE, bytes));
}

/** Compares up to `most` elements of the buffer, up to and including the first whose equality is not `wanted`; returns how many, 0 when the pages do not allow it. */
function compareRun(p: number, bytes: number, step: number, most: number, wanted: boolean): number {
  const segment = recSegment(p);
  const n = Math.min(most, elementsInPage(p, segment, SOURCE, bytes, step), elementsInPage(p, ES, DESTINATION, bytes, step));
  if (n < MIN_RUN) return 0;
  const left = hostOffset(p, segment, SOURCE, false), right = hostOffset(p, ES, DESTINATION, false);
  if (left < 0 || right < 0) return 0;
  for (let i = 0; i < n; i++) {
    const at = i * step * bytes;
    setMinuend(hostElement(left + at, bytes));
    setSubtrahend(hostElement(right + at, bytes));
    if (pairEqual() !== wanted) return i + 1;
  }
  return n;
}

/** SCAS: as compareRun, against the accumulator in PAIR. */
function scanRun(p: number, bytes: number, step: number, most: number, wanted: boolean): number {
  const n = Math.min(most, elementsInPage(p, ES, DESTINATION, bytes, step));
  if (n < MIN_RUN) return 0;
  const host = hostOffset(p, ES, DESTINATION, false);
  if (host < 0) return 0;
  if (bytes === 1 && !wanted && step > 0) {
    const found = mem8.subarray(host, host + n).indexOf(PAIR[0] & 255);
    const done = found < 0 ? n : found + 1;
    setSubtrahend(hostElement(host + done - 1, 1));
    return done;
  }
  for (let i = 0; i < n; i++) {
    setSubtrahend(hostElement(host + i * step * bytes, bytes));
    if (pairEqual() !== wanted) return i + 1;
  }
  return n;
}

function compare(p: number, bytes: number, scan: boolean): void {
  const step = direction(), repeat = recRepeat(p);
  let left = repeat === 0 ? 1 : repeatBudget(p);
  if (left === 0) return;
  const wanted = repeat === REPE;
  let mayRun = needsNoCheck(ES) && (scan || needsNoCheck(recSegment(p)));
  if (scan) setAccumulatorMinuend(bytes);
  let going = true;
  while (left > 0 && going) {
    let n = 0;
    if (mayRun) n = scan ? scanRun(p, bytes, step, left, wanted) : compareRun(p, bytes, step, left, wanted);
    if (n === 0) {
      if (scan) setSubtrahend(loadElement(p, ES, DESTINATION, bytes));
      else compareElement(p, bytes);
      n = 1;
    }
    mayRun = true;
    going = pairEqual() === wanted;
    if (!scan) advance(p, SOURCE, step * bytes * n);
    advance(p, DESTINATION, step * bytes * n);
    left = repeat !== 0 ? countDown(p, n, left) : 0;
  }
  setPairFlags(bytes);
  if (repeat !== 0 && going) resumeUnlessDone(p);
}

export const stringHandlers: Record<string, Handler> = {
  movsb: (p) => movs(p, 1),
  movs: (p) => movs(p, 2 << recOperandSize(p)),
  stosb: (p) => stos(p, 1),
  stos: (p) => stos(p, 2 << recOperandSize(p)),
  lodsb: (p) => lods(p, 1),
  lods: (p) => lods(p, 2 << recOperandSize(p)),
  cmpsb: (p) => compare(p, 1, false),
  cmps: (p) => compare(p, 2 << recOperandSize(p), false),
  scasb: (p) => compare(p, 1, true),
  scas: (p) => compare(p, 2 << recOperandSize(p), true),
};
