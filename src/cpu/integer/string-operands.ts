/**
 * What the string instructions share: their index and count registers, element access, and direct access to the memory buffer for runs
 * of elements whose pages are in the TLB (SDM 1 7.3.9, 2B "REP").
 */
import {
  R, R16, RU, EFLAGS, F_DF, F_TF, FS, LA, MEMHI, MODE, PENDING_DB, RCX, RDI, RIP, RSI, SEG_AR, SEG_BASE, SEG_LIMIT, TLBB,
} from '../state';
import { MODE_FLAT, MODE_SIZE_MASK, recAddressSize, recLength } from '../record';
import { segmentAddress } from '../operands';
import { load16, load32, load64, load8, store16, store32, store64, store8 } from '../mmu/access';
import { T } from '../mmu/tlb';
import { memView } from '../mmu/memory';
import { setResumeFlagBetweenIterations } from '../resume-flag';
import { monitorTrapFlag } from '../../vmx/controls';

/** Register numbers of the index registers. */
export const SOURCE = RSI >> 1, DESTINATION = RDI >> 1;
const COUNT = RCX >> 1;

/** One execution handles at most this many elements, so that interrupts wait no longer. */
const MAX_ELEMENTS = 65536;

/** -1 when the direction flag makes the instruction walk downwards, else 1. */
export function direction(): number {
  return R[EFLAGS] & F_DF ? -1 : 1;
}

/** True when something looks at every iteration: single-stepping, the monitor trap flag of a hypervisor. */
export function tracesIterations(): boolean {
  return (R[EFLAGS] & F_TF) !== 0 || monitorTrapFlag();
}

/** Elements left by rCX, at most what one execution may handle. */
export function repeatBudget(p: number): number {
  const size = recAddressSize(p);
  const count = size === 0 ? R16[4 * COUNT] : size === 2 && R[RCX + 1] !== 0 ? MAX_ELEMENTS : RU[RCX];
  const most = tracesIterations() ? 1 : MAX_ELEMENTS;
  return count < most ? count : most;
}

/** Adds a signed number of bytes to index register n, cut to the address size. */
export function advance(p: number, n: number, bytes: number): void {
  const size = recAddressSize(p);
  if (size === 0) R16[4 * n] += bytes;
  else addToRegister(n, size, bytes);
}

/**
 * Takes `elements`, done just now, from rCX. Returns what is left of this execution's budget `left`: nothing after an iteration that met a data
 * breakpoint.
 */
export function countDown(p: number, elements: number, left: number): number {
  const size = recAddressSize(p);
  if (size === 0) R16[4 * COUNT] -= elements;
  else addToRegister(COUNT, size, -elements);
  return R[PENDING_DB] !== 0 ? 0 : left - elements;
}

function addToRegister(n: number, size: number, delta: number): void {
  const old = R[2 * n], sum = (old + delta) | 0;
  R[2 * n] = sum;
  // Sign extension of delta plus the carry of the low words.
  R[2 * n + 1] = size === 2 ? R[2 * n + 1] + (delta >> 31) + (sum >>> 0 < old >>> 0 ? 1 : 0) : 0;
}

/** Sets RIP back to the instruction when rCX is not used up, so that it goes on after a look at events. */
export function resumeUnlessDone(p: number): void {
  const size = recAddressSize(p);
  const left = size === 0 ? R16[4 * COUNT] : size === 2 ? R[RCX] | R[RCX + 1] : R[RCX];
  if (left === 0) return;
  const next = R[RIP], start = (next - recLength(p)) | 0;
  const codeSize = R[MODE] & MODE_SIZE_MASK;
  R[RIP] = codeSize === 0 && start < 0 ? start & 0xffff : start;
  if (codeSize === 2 && start >>> 0 > next >>> 0) R[RIP + 1] -= 1;
  setResumeFlagBetweenIterations();
}


function offsetLo(p: number, n: number): number {
  return recAddressSize(p) === 0 ? R16[4 * n] : R[2 * n];
}

function offsetHi(p: number, n: number): number {
  return recAddressSize(p) === 2 ? R[2 * n + 1] : 0;
}

/** Loads the element that index register n points at: low word (narrow ones sign-extended), high word in R[MEMHI] (copy of the low word below 64 bits). */
export function loadElement(p: number, segment: number, n: number, bytes: number): number {
  segmentAddress(segment, offsetLo(p, n), offsetHi(p, n), bytes, false);
  const lo = R[LA], hi = R[LA + 1];
  let value: number;
  switch (bytes) {
    case 1: value = (load8(lo, hi) << 24) >> 24; break;
    case 2: value = (load16(lo, hi) << 16) >> 16; break;
    case 4: value = load32(lo, hi); break;
    default: return load64(lo, hi);
  }
  R[MEMHI] = value;
  return value;
}

/** Stores an element where index register n points. */
export function storeElement(p: number, segment: number, n: number, bytes: number, valueLo: number, valueHi: number): void {
  segmentAddress(segment, offsetLo(p, n), offsetHi(p, n), bytes, true);
  const lo = R[LA], hi = R[LA + 1];
  switch (bytes) {
    case 1: store8(lo, hi, valueLo); break;
    case 2: store16(lo, hi, valueLo); break;
    case 4: store32(lo, hi, valueLo); break;
    default: store64(lo, hi, valueLo, valueHi); break;
  }
}

// --- Runs in the memory buffer ---

/** True when accesses through this segment need no limit or type check. */
export function needsNoCheck(segment: number): boolean {
  const mode = R[MODE];
  return (mode & MODE_SIZE_MASK) === 2 || ((mode & MODE_FLAT) !== 0 && segment < FS);
}

/** Linear address of the last `locate`, low word first. */
const LINEAR = new Int32Array(2);

function locate(p: number, segment: number, n: number): void {
  const lo = offsetLo(p, n), hi = offsetHi(p, n);
  if ((R[MODE] & MODE_SIZE_MASK) !== 2) {
    LINEAR[0] = R[SEG_BASE + 2 * segment] + lo;
    LINEAR[1] = 0;
  } else if (segment >= FS) {
    const base = R[SEG_BASE + 2 * segment], sum = (base + lo) | 0;
    LINEAR[0] = sum;
    LINEAR[1] = R[SEG_BASE + 2 * segment + 1] + hi + (sum >>> 0 < base >>> 0 ? 1 : 0);
  } else {
    LINEAR[0] = lo;
    LINEAR[1] = hi;
  }
}

/**
 * How many elements, from the one at index register n on in direction `step`, lie wholly in its page, do not wrap the offset and are within
 * the segment limit. The caller has seen one access through the segment succeed, or needs no check.
 */
export function elementsInPage(p: number, segment: number, n: number, bytes: number, step: number): number {
  locate(p, segment, n);
  const inPage = LINEAR[0] & 4095;
  const offset = offsetLo(p, n) >>> 0, size = recAddressSize(p);
  let room: number;
  if (step > 0) {
    room = 4096 - inPage;
    if (size !== 2) room = Math.min(room, (size === 0 ? 0x10000 : 0x100000000) - offset);
    if (!needsNoCheck(segment)) {
      const ar = R[SEG_AR + segment];
      if ((ar & 12) === 4) return 0; // expand-down: element by element
      room = Math.min(room, RU[SEG_LIMIT + segment] - offset + 1);
    }
  } else {
    if (inPage + bytes > 4096) return 0;
    room = inPage + bytes;
    if (size !== 2) room = Math.min(room, offset + bytes);
    if (!needsNoCheck(segment) && (R[SEG_AR + segment] & 12) === 4) return 0;
  }
  return room < bytes ? 0 : Math.floor(room / bytes);
}

/** Host offset of the element at index register n if its page may be read (or written) directly, else -1. */
export function hostOffset(p: number, segment: number, n: number, write: boolean): number {
  locate(p, segment, n);
  const lo = LINEAR[0];
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[write ? i + 3 : i] !== (lo & -4096) || T[i + 1] !== LINEAR[1]) return -1;
  return (T[i + 2] + lo) >>> 0;
}

/** Reads an element of the memory buffer as loadElement does. */
export function hostElement(host: number, bytes: number): number {
  let value: number;
  switch (bytes) {
    case 1: value = memView.getInt8(host); break;
    case 2: value = memView.getInt16(host, true); break;
    case 4: value = memView.getInt32(host, true); break;
    default:
      R[MEMHI] = memView.getInt32(host + 4, true);
      return memView.getInt32(host, true);
  }
  R[MEMHI] = value;
  return value;
}
