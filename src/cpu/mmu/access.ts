/**
 * Memory accesses by linear address (lo, hi) for instruction handlers, at the privilege in R[ACCESS_USER]; each checks the TLB inline and
 * goes to slow.ts on a miss. Segment checks come before (operands.ts). Any access may cross pages.
 */
import { R, MEMHI, TLBB, ACCESS_USER } from '../state';
import { mem8, memView } from './memory';
import { ACTIVE, ACTIVE_BANK, T, activeBank } from './tlb';
import { checkAlignment, probe, readOffset, write128, write16, write32, write64, write8 } from './slow';
import { ACCESS_WRITE } from './paging';

/** Host offset of `size` bytes: straight from the TLB, or wherever the slow path put them. */
function readAt(lo: number, hi: number, size: number): number {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i] === ((lo + size - 1) & -4096) && T[i + 1] === hi) return (T[i + 2] + lo) >>> 0;
  return readOffset(lo, hi, size);
}

/** Zero-extended. */
export function load8(lo: number, hi: number): number {
  return mem8[readAt(lo, hi, 1)];
}

/** Zero-extended. */
export function load16(lo: number, hi: number): number {
  return memView.getUint16(readAt(lo, hi, 2), true);
}

/** Signed word. */
export function load32(lo: number, hi: number): number {
  return memView.getInt32(readAt(lo, hi, 4), true);
}

/** Returns the low word; the high word is in R[MEMHI]. */
export function load64(lo: number, hi: number): number {
  const at = readAt(lo, hi, 8);
  R[MEMHI] = memView.getInt32(at + 4, true);
  return memView.getInt32(at, true);
}

/** Loads 16 bytes into four words of R from `word`. */
export function load128(lo: number, hi: number, word: number): void {
  const at = readAt(lo, hi, 16);
  R[word] = memView.getInt32(at, true);
  R[word + 1] = memView.getInt32(at + 4, true);
  R[word + 2] = memView.getInt32(at + 8, true);
  R[word + 3] = memView.getInt32(at + 12, true);
}

export function store8(lo: number, hi: number, value: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i + 3] === (lo & -4096) && T[i + 1] === hi) mem8[(T[i + 2] + lo) >>> 0] = value;
  else write8(lo, hi, value);
}

export function store16(lo: number, hi: number, value: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i + 3] === ((lo + 1) & -4096) && T[i + 1] === hi) memView.setInt16((T[i + 2] + lo) >>> 0, value, true);
  else write16(lo, hi, value);
}

export function store32(lo: number, hi: number, value: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i + 3] === ((lo + 3) & -4096) && T[i + 1] === hi) memView.setInt32((T[i + 2] + lo) >>> 0, value, true);
  else write32(lo, hi, value);
}

export function store64(lo: number, hi: number, valueLo: number, valueHi: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i + 3] === ((lo + 7) & -4096) && T[i + 1] === hi) {
    const at = (T[i + 2] + lo) >>> 0;
    memView.setInt32(at, valueLo, true);
    memView.setInt32(at + 4, valueHi, true);
  } else write64(lo, hi, valueLo, valueHi);
}

/** Stores 16 bytes from four words of R from `word`. */
export function store128(lo: number, hi: number, word: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (T[i + 3] === ((lo + 15) & -4096) && T[i + 1] === hi) {
    const at = (T[i + 2] + lo) >>> 0;
    memView.setInt32(at, R[word], true);
    memView.setInt32(at + 4, R[word + 1], true);
    memView.setInt32(at + 8, R[word + 2], true);
    memView.setInt32(at + 12, R[word + 3], true);
  } else write128(lo, hi, word);
}

export { checkAlignment };

/** Raises what a write of an operand of `bytes` bytes (1, 2, 4, 8 or 16) would raise, #AC included. */
export function probeOperand(lo: number, hi: number, bytes: number): void {
  checkAlignment(lo, hi, bytes);
  probeWrite(lo, hi, bytes);
}

/** Raises what a write of `bytes` bytes (any number) would raise; alignment is not checked. */
export function probeWrite(lo: number, hi: number, bytes: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (bytes > 4096 || T[i + 3] !== ((lo + bytes - 1) & -4096) || T[i + 1] !== hi) probe(lo, hi, bytes, ACCESS_WRITE);
}

/** Raises what a read of `bytes` bytes (any number) would raise; alignment is not checked. */
export function probeRead(lo: number, hi: number, bytes: number): void {
  const i = ((lo >>> 10) & 4092) | R[TLBB];
  if (bytes > 4096 || T[i] !== ((lo + bytes - 1) & -4096) || T[i + 1] !== hi) probe(lo, hi, bytes, 0);
}

// --- Implicit supervisor accesses: descriptor tables, TSS, stacks of an inner level (SDM 3A 4.6.1) ---

/**
 * Makes accesses supervisor accesses until endSupervisor(saved). A fault thrown in between leaves them so: whoever catches FAULT calls
 * updateMode(), which derives the privilege anew.
 */
export function beginSupervisor(): number {
  const saved = R[ACCESS_USER] | (R[TLBB] << 1);
  R[ACCESS_USER] = 0;
  R[TLBB] = activeBank();
  return saved;
}

export function endSupervisor(saved: number): void {
  R[ACCESS_USER] = saved & 1;
  R[TLBB] = saved >> 1;
}

/** Host offset of `size` bytes read with supervisor privilege. */
function readSysAt(lo: number, hi: number, size: number): number {
  const i = ((lo >>> 10) & 4092) | ACTIVE[ACTIVE_BANK];
  if (T[i] === ((lo + size - 1) & -4096) && T[i + 1] === hi) return (T[i + 2] + lo) >>> 0;
  const saved = beginSupervisor();
  try {
    return readOffset(lo, hi, size);
  } finally {
    endSupervisor(saved);
  }
}

/** Zero-extended. */
export function loadSys8(lo: number, hi: number): number {
  return mem8[readSysAt(lo, hi, 1)];
}

/** Zero-extended. */
export function loadSys16(lo: number, hi: number): number {
  return memView.getUint16(readSysAt(lo, hi, 2), true);
}

/** Signed word. */
export function loadSys32(lo: number, hi: number): number {
  return memView.getInt32(readSysAt(lo, hi, 4), true);
}

/** Returns the low word; the high word is in R[MEMHI]. */
export function loadSys64(lo: number, hi: number): number {
  const at = readSysAt(lo, hi, 8);
  R[MEMHI] = memView.getInt32(at + 4, true);
  return memView.getInt32(at, true);
}

export function storeSys8(lo: number, hi: number, value: number): void {
  const saved = beginSupervisor();
  try {
    store8(lo, hi, value);
  } finally {
    endSupervisor(saved);
  }
}

export function storeSys16(lo: number, hi: number, value: number): void {
  const saved = beginSupervisor();
  try {
    store16(lo, hi, value);
  } finally {
    endSupervisor(saved);
  }
}

export function storeSys32(lo: number, hi: number, value: number): void {
  const saved = beginSupervisor();
  try {
    store32(lo, hi, value);
  } finally {
    endSupervisor(saved);
  }
}

export function storeSys64(lo: number, hi: number, valueLo: number, valueHi: number): void {
  const saved = beginSupervisor();
  try {
    store64(lo, hi, valueLo, valueHi);
  } finally {
    endSupervisor(saved);
  }
}
