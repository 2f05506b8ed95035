/**
 * Memory accesses that miss the TLB's fast path: translation and fill, page crossings, devices, the APIC-access page, pages with decoded code,
 * alignment checks and data breakpoints.
 *
 * For generated code, which tests the TLB inline. `p` is the record of the instruction:
 * - slowRead(lo, hi, size, p) returns a host offset where `size` bytes can be read: in RAM, or in SCRATCH where the bytes were assembled.
 * - slowWrite8/16/32/64 do the whole store.
 * - slowRmw(lo, hi, size, p) checks that the operand can be written and returns a host offset to read it from and write the result to; if that is
 *   at or beyond SCRATCH, commitRmw() must follow the write.
 * A store that crosses pages checks both before writing. A device access first asks that its instruction end the block (requireBlockEnd),
 * so that the clock is exact when the device looks at it.
 */
import {
  R, ACCESS_USER, CODE64, CPL, CURP, DR0, DR7, LMA, PENDING_DB, SIGNALS, SIG_ATTENTION, TLBB, X_AC,
} from '../state';
import { raiseError } from '../fault';
import { endSliceNow } from '../clock';
import { PAGE_HAS_CODE, invalidateCode, requireBlockEnd } from '../engine/blocks';
import { isNonCanonical, raiseNonCanonical } from '../engine/non-canonical';
import { APIC_ACCESS_FETCH, APIC_ACCESS_READ, APIC_ACCESS_WRITE, checkVirtualApicRmw, exitForApicAccess, virtualApicRead, virtualApicWrite } from '../../vmx/apic-virtualization';
import { SCRATCH, VIDEO_DIRTY, mem8, memView, ramPages, videoPage } from './memory';
import { PAGE_MMIO, PAGE_UNMAPPED, mmioRead, mmioWrite } from './physical';
import {
  ACCESS_FETCH, ACCESS_USER_MODE, ACCESS_WRITE, PAGE_APIC_ACCESS, PAGE_STORABLE, WALK, WALK_FLAGS, WALK_HOST_PAGE, translate,
} from './paging';
import { ACTIVE, ACTIVE_BANK, CODE_BANK_OFFSET, EMPTY_BANK, T, USER_BANK_OFFSET, WATCHED, fillCode, fillData } from './tlb';

// Parts of the scratch area (bytes from SCRATCH): assembled reads, read-modify-write operands, values of stores in transit.
const RMW_AREA = 32, STORE_AREA = 64;

/** The read-modify-write in progress: operand size, bytes in the first page, then page code, host-physical page and page offset of each part. */
const rmw = new Int32Array(8);
const RMW_SIZE = 0, RMW_FIRST = 1, RMW_CODE = 2, RMW_HOST_PAGE = 3, RMW_OFFSET = 4, RMW_CODE2 = 5, RMW_HOST_PAGE2 = 6;

// --- Translation of one page, with TLB fill ---

/** Page code of the page of a data access at the current access privilege; WALK describes it. */
function dataPage(lo: number, hi: number, write: number): number {
  const bank = R[TLBB], i = ((lo >>> 10) & 4092) | bank;
  if (write !== 0 && T[i + 3] === ((lo & -4096) | WATCHED) && T[i + 1] === hi) return firstVideoStore(i);
  const code = translate(lo, hi, write | (R[ACCESS_USER] ? ACCESS_USER_MODE : 0));
  if (code >= 0) {
    const flags = WALK[WALK_FLAGS];
    if (bank !== EMPTY_BANK && !((R[DR7] & 0xff) !== 0 && isWatchedPage(lo, hi))) {
      const storable = (flags & PAGE_STORABLE) !== 0 && code < ramPages && PAGE_HAS_CODE[code] === 0;
      fillData(bank, lo, hi, code, storable, flags);
      if (code >= videoPage && storable && write === 0 && VIDEO_DIRTY[code - videoPage] === 0) T[i + 3] |= WATCHED;
    }
    if (write !== 0 && code >= videoPage && code < ramPages) VIDEO_DIRTY[code - videoPage] = 1;
  }
  return code;
}

/** A store to a clean page of video memory whose translation is cached in entry i: marks the page and returns its page code. */
function firstVideoStore(i: number): number {
  T[i + 3] &= ~WATCHED;
  const page = (T[i + 3] + T[i + 2]) >>> 12;
  VIDEO_DIRTY[page - videoPage] = 1;
  return page;
}

/** High word of the address of the page after (lo, hi): linear addresses wrap at 4 GiB outside 64-bit code. */
function nextPageHigh(lo: number, hi: number): number {
  if (lo < -4096 || lo >= 0) return hi;
  return R[CODE64] || (R[LMA] && hi !== 0) ? (hi + 1) | 0 : 0;
}

/** #AC(0) for a misaligned access to `size` bytes (a power of two); the empty bank is selected just while alignment is checked (CR0.AM, EFLAGS.AC, CPL 3). */
export function checkAlignment(lo: number, hi: number, size: number): void {
  // A non-canonical address goes first.
  if (R[TLBB] === EMPTY_BANK && (lo & (size - 1)) !== 0 && !isNonCanonical(hi)) raiseError(X_AC, 0);
}

// --- Data breakpoints (SDM 3B 17.2) ---

/** Bytes watched by breakpoint n, from LEN; 0 if it is disabled or not a data breakpoint (R/W 01 = writes, 11 = reads and writes). */
function watchedBytes(n: number): number {
  const dr7 = R[DR7];
  if (((dr7 >> (2 * n)) & 3) === 0 || ((dr7 >> (16 + 4 * n)) & 1) === 0) return 0;
  const length = (dr7 >> (18 + 4 * n)) & 3;
  return length === 2 ? 8 : length + 1;
}

function isWatchedPage(lo: number, hi: number): boolean {
  for (let n = 0; n < 4; n++) {
    if (watchedBytes(n) !== 0 && R[DR0 + 2 * n + 1] === hi && ((R[DR0 + 2 * n] ^ lo) & -4096) === 0) return true;
  }
  return false;
}

/** Records the breakpoints that an access of `size` bytes meets: traps, due after the instruction. */
function noteBreakpoints(lo: number, hi: number, size: number, write: boolean): void {
  let met = 0;
  for (let n = 0; n < 4; n++) {
    const bytes = watchedBytes(n);
    if (bytes === 0 || (!write && ((R[DR7] >> (16 + 4 * n)) & 2) === 0)) continue;
    // The watched range is aligned to its length.
    const start = R[DR0 + 2 * n] & -bytes;
    if (R[DR0 + 2 * n + 1] === hi && ((lo - start) >>> 0 < bytes || (start - lo) >>> 0 < size)) met |= 1 << n;
  }
  if (met === 0) return;
  if (R[CURP] !== 0) requireBlockEnd(R[CURP]);
  R[PENDING_DB] |= met;
  R[SIGNALS] |= SIG_ATTENTION;
  endSliceNow();
}

// --- Pieces within one page ---

/** Copies `size` bytes at a page offset to host offset `to`. */
function readPiece(code: number, hostPage: number, offset: number, size: number, to: number): void {
  if (code >= 0) {
    const from = code * 4096 + offset;
    for (let n = 0; n < size; n++) mem8[to + n] = mem8[from + n];
  } else if (code === PAGE_UNMAPPED) {
    for (let n = 0; n < size; n++) mem8[to + n] = 0xff;
  } else if (code === PAGE_APIC_ACCESS && size > 4) {
    // The virtualisation decides; accesses wider than 32 bits exit there.
    virtualApicRead(offset, size);
  } else {
    for (let n = 0; n < size;) {
      const width = size - n >= 4 ? 4 : size - n >= 2 ? 2 : 1;
      const value = code === PAGE_MMIO ? mmioRead(hostPage * 4096 + offset + n, width) : virtualApicRead(offset + n, width);
      if (width === 4) memView.setInt32(to + n, value, true);
      else if (width === 2) memView.setInt16(to + n, value, true);
      else mem8[to + n] = value;
      n += width;
    }
  }
}

/** Stores `size` bytes from host offset `from` at a page offset. */
function writePiece(code: number, hostPage: number, offset: number, size: number, from: number): void {
  if (code >= 0) {
    if (code >= ramPages) return;
    const to = code * 4096 + offset;
    if (PAGE_HAS_CODE[code]) invalidateCode(to, size);
    for (let n = 0; n < size; n++) mem8[to + n] = mem8[from + n];
  } else if (code === PAGE_APIC_ACCESS && size > 4) {
    virtualApicWrite(offset, size, memView.getInt32(from, true));
  } else if (code !== PAGE_UNMAPPED) {
    for (let n = 0; n < size;) {
      const width = size - n >= 4 ? 4 : size - n >= 2 ? 2 : 1;
      const value = width === 4 ? memView.getInt32(from + n, true) : width === 2 ? memView.getUint16(from + n, true) : mem8[from + n];
      if (code === PAGE_MMIO) mmioWrite(hostPage * 4096 + offset + n, width, value);
      else virtualApicWrite(offset + n, width, value);
      n += width;
    }
  }
}

/** True for pages whose accesses have effects outside memory. */
function isDevice(code: number): boolean {
  return code === PAGE_MMIO || code === PAGE_APIC_ACCESS;
}

/** An access that crosses into or out of the APIC-access page is never virtualised: it exits before anything is done. */
function exitIfApicAccess(code: number, offset: number, nextCode: number, accessType: number): void {
  if (code === PAGE_APIC_ACCESS) exitForApicAccess(offset, accessType);
  if (nextCode === PAGE_APIC_ACCESS) exitForApicAccess(0, accessType);
}

function beforeDevice(): void {
  if (R[CURP] !== 0) requireBlockEnd(R[CURP]);
}

// --- Reads ---

/** Host offset where the `size` bytes (1 to 16) at a linear address can be read, in RAM, ROM or SCRATCH. */
export function readOffset(lo: number, hi: number, size: number): number {
  checkAlignment(lo, hi, size);
  const offset = lo & 4095;
  const code = dataPage(lo, hi, 0);
  if (offset + size <= 4096) {
    if (R[DR7] & 0xff) noteBreakpoints(lo, hi, size, false);
    if (code >= 0) return code * 4096 + offset;
    if (isDevice(code)) beforeDevice();
    readPiece(code, WALK[WALK_HOST_PAGE], offset, size, SCRATCH);
    return SCRATCH;
  }
  const first = 4096 - offset, hostPage = WALK[WALK_HOST_PAGE];
  const nextLo = (lo + first) | 0, nextHi = nextPageHigh(lo, hi);
  const nextCode = dataPage(nextLo, nextHi, 0);
  const nextHostPage = WALK[WALK_HOST_PAGE];
  if (R[DR7] & 0xff) {
    noteBreakpoints(lo, hi, first, false);
    noteBreakpoints(nextLo, nextHi, size - first, false);
  }
  if (isDevice(code) || isDevice(nextCode)) beforeDevice();
  exitIfApicAccess(code, offset, nextCode, APIC_ACCESS_READ);
  readPiece(code, hostPage, offset, first, SCRATCH);
  readPiece(nextCode, nextHostPage, 0, size - first, SCRATCH + first);
  return SCRATCH;
}

/** See the module head. */
export function slowRead(lo: number, hi: number, size: number, p: number): number {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  return readOffset(lo, hi, size);
}

// --- Writes ---

/** Stores the `size` bytes (1 to 16) that stand at STORE_AREA. */
function storeStaged(lo: number, hi: number, size: number): void {
  checkAlignment(lo, hi, size);
  const offset = lo & 4095, from = SCRATCH + STORE_AREA;
  const code = dataPage(lo, hi, ACCESS_WRITE);
  const hostPage = WALK[WALK_HOST_PAGE];
  if (offset + size <= 4096) {
    if (R[DR7] & 0xff) noteBreakpoints(lo, hi, size, true);
    if (isDevice(code)) beforeDevice();
    writePiece(code, hostPage, offset, size, from);
    return;
  }
  const first = 4096 - offset, nextLo = (lo + first) | 0, nextHi = nextPageHigh(lo, hi);
  const nextCode = dataPage(nextLo, nextHi, ACCESS_WRITE);
  const nextHostPage = WALK[WALK_HOST_PAGE];
  if (R[DR7] & 0xff) {
    noteBreakpoints(lo, hi, first, true);
    noteBreakpoints(nextLo, nextHi, size - first, true);
  }
  if (isDevice(code) || isDevice(nextCode)) beforeDevice();
  exitIfApicAccess(code, offset, nextCode, APIC_ACCESS_WRITE);
  writePiece(code, hostPage, offset, first, from);
  writePiece(nextCode, nextHostPage, 0, size - first, from + first);
}

export function write8(lo: number, hi: number, value: number): void {
  mem8[SCRATCH + STORE_AREA] = value;
  storeStaged(lo, hi, 1);
}

export function write16(lo: number, hi: number, value: number): void {
  memView.setInt16(SCRATCH + STORE_AREA, value, true);
  storeStaged(lo, hi, 2);
}

export function write32(lo: number, hi: number, value: number): void {
  memView.setInt32(SCRATCH + STORE_AREA, value, true);
  storeStaged(lo, hi, 4);
}

export function write64(lo: number, hi: number, valueLo: number, valueHi: number): void {
  memView.setInt32(SCRATCH + STORE_AREA, valueLo, true);
  memView.setInt32(SCRATCH + STORE_AREA + 4, valueHi, true);
  storeStaged(lo, hi, 8);
}

/** Stores four words of R. */
export function write128(lo: number, hi: number, word: number): void {
  for (let n = 0; n < 4; n++) memView.setInt32(SCRATCH + STORE_AREA + 4 * n, R[word + n], true);
  storeStaged(lo, hi, 16);
}

export function slowWrite8(lo: number, hi: number, value: number, p: number): void {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  write8(lo, hi, value);
}

export function slowWrite16(lo: number, hi: number, value: number, p: number): void {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  write16(lo, hi, value);
}

export function slowWrite32(lo: number, hi: number, value: number, p: number): void {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  write32(lo, hi, value);
}

export function slowWrite64(lo: number, hi: number, valueLo: number, valueHi: number, p: number): void {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  write64(lo, hi, valueLo, valueHi);
}

// --- Read-modify-write ---

/** See the module head. */
export function slowRmw(lo: number, hi: number, size: number, p: number): number {
  R[CURP] = p;
  if (isNonCanonical(hi)) raiseNonCanonical(lo, p);
  checkAlignment(lo, hi, size);
  const offset = lo & 4095, area = SCRATCH + RMW_AREA;
  const code = dataPage(lo, hi, ACCESS_WRITE);
  const hostPage = WALK[WALK_HOST_PAGE];
  const first = offset + size <= 4096 ? size : 4096 - offset;
  let nextCode: number = PAGE_UNMAPPED, nextHostPage = 0;
  if (first < size) {
    const nextLo = (lo + first) | 0, nextHi = nextPageHigh(lo, hi);
    nextCode = dataPage(nextLo, nextHi, ACCESS_WRITE);
    nextHostPage = WALK[WALK_HOST_PAGE];
    if (R[DR7] & 0xff) noteBreakpoints(nextLo, nextHi, size - first, true);
  }
  if (R[DR7] & 0xff) noteBreakpoints(lo, hi, first, true);
  if (first === size && code >= 0 && code < ramPages && PAGE_HAS_CODE[code] === 0) return code * 4096 + offset;
  if (isDevice(code) || isDevice(nextCode)) beforeDevice();
  if (first < size) exitIfApicAccess(code, offset, nextCode, APIC_ACCESS_WRITE);
  else if (code === PAGE_APIC_ACCESS) checkVirtualApicRmw(offset, size);
  readPiece(code, hostPage, offset, first, area);
  if (first < size) readPiece(nextCode, nextHostPage, 0, size - first, area + first);
  rmw[RMW_SIZE] = size;
  rmw[RMW_FIRST] = first;
  rmw[RMW_CODE] = code;
  rmw[RMW_HOST_PAGE] = hostPage;
  rmw[RMW_OFFSET] = offset;
  rmw[RMW_CODE2] = nextCode;
  rmw[RMW_HOST_PAGE2] = nextHostPage;
  return area;
}

/** Performs the write of the read-modify-write that slowRmw sent to SCRATCH. */
export function commitRmw(): void {
  const area = SCRATCH + RMW_AREA, first = rmw[RMW_FIRST], size = rmw[RMW_SIZE];
  writePiece(rmw[RMW_CODE], rmw[RMW_HOST_PAGE], rmw[RMW_OFFSET], first, area);
  if (first < size) writePiece(rmw[RMW_CODE2], rmw[RMW_HOST_PAGE2], 0, size - first, area + first);
}

/** Raises what accesses to `bytes` bytes would raise but for #AC; `write` is 0 or ACCESS_WRITE. */
export function probe(lo: number, hi: number, bytes: number, write: number): void {
  let left = bytes;
  for (;;) {
    dataPage(lo, hi, write);
    left -= 4096 - (lo & 4095);
    if (left <= 0) return;
    const nextHi = nextPageHigh(lo, hi);
    lo = ((lo & -4096) + 4096) | 0;
    hi = nextHi;
  }
}

// --- Fetches ---

/**
 * Host offset of the code byte at a linear address, at the current privilege level; -1 if it lies outside RAM and ROM: see fetchByte. Raises #PF or
 * #GP, or abandons with an EPT exit, as an instruction fetch does.
 */
export function translateFetch(lo: number, hi: number): number {
  const bank = R[CPL] === 3 ? ACTIVE[ACTIVE_BANK] + USER_BANK_OFFSET : ACTIVE[ACTIVE_BANK];
  const i = ((lo >>> 10) & 4092) | (bank + CODE_BANK_OFFSET);
  if (T[i] === (lo & -4096) && T[i + 1] === hi) return (T[i + 2] | (lo & 4095)) >>> 0;
  const code = translate(lo, hi, R[CPL] === 3 ? ACCESS_FETCH | ACCESS_USER_MODE : ACCESS_FETCH);
  if (code === PAGE_APIC_ACCESS) {
    exitForApicAccess(lo & 4095, APIC_ACCESS_FETCH);
  }
  if (code < 0) return -1;
  fillCode(bank, lo, hi, code, WALK[WALK_FLAGS]);
  return code * 4096 + (lo & 4095);
}

/** The code byte at a linear address, wherever it lies; for code in device memory. */
export function fetchByte(lo: number, hi: number): number {
  const host = translateFetch(lo, hi);
  if (host >= 0) return mem8[host];
  // translateFetch walked just now, as it caches no device page.
  return mmioRead(WALK[WALK_HOST_PAGE] * 4096 + (lo & 4095), 1) & 0xff;
}
