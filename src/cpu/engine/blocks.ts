/**
 * Decoded code, kept by physical page.
 *
 * A block is a run of records in C that starts at one guest instruction and ends at a control transfer, an instruction
 * that can change how code is found or timed, or the end of the page. Blocks know their host offset and decoding
 * mode, not their linear address: RIP inside a block is IPB + page offset, so one block serves every mapping of its page.
 *
 * Words before a block's first record P:
 *   C[P-1] instructions   C[P-2] mode | BLOCK_* flags   C[P-3] host offset of the first byte
 *   C[P-4] next block of the page   C[P-5] end of the records   C[P-6] bytes of code   C[P-7] samples (tiering.ts)
 *   C[P-8] host offset of the second page of a crossing block, -1 outside RAM
 */
import { R, RU, RIP, IPB, CODE_BANK, CURP, MODE, CODE64, CS, SEG_BASE, SEG_LIMIT, ENGINE_STATE } from '../state';
import { C, CODE_WORDS, INFO, MODE_STEP } from '../record';
import { abandon, FK_RETRY, raiseGp } from '../fault';
import { protectCodePage, T } from '../mmu/tlb';
import { translateFetch } from '../mmu/slow';
import { dropRegionsOf, forgetRegions } from './regions';
import { decodeBlock, decodeCrossing } from './translate';

export const BLOCK_HEADER = 8;
/** The block's only instruction crosses into another page (it is right only where that one follows), or lies outside RAM (it is never found again). */
export const BLOCK_CROSSING = 0x100;
export const BLOCK_DEAD = 0x200;
/** The block may not be linked to (segment limit nearby). */
export const BLOCK_UNLINKED = 0x400;
/** Mode bits that make up a block's identity. */
const BLOCK_MODE_MASK = 0xff;

/** Host offset of the page whose code executes. */
export const CURRENT_PAGE = ENGINE_STATE;
/** MODE_STEP while executing single-step blocks, else 0. */
const STEPPING = ENGINE_STATE + 1;

/** Per page of the memory buffer: 1 if some block was decoded from it. */
export let PAGE_HAS_CODE = new Uint8Array(1);
/** First block of a page. */
let pageBlocks = new Int32Array(1);
/** Two words per page: which 64-byte lines hold code. */
let pageLines = new Int32Array(2);
/** Crossing blocks by their second page. */
const secondPages = new Map<number, number[]>();
/** Host offsets of instructions that were seen to touch MMIO: decoding ends a block after each. */
const endAfter = new Set<number>();

const HASH_SIZE = 1 << 19;
const hash = new Int32Array(HASH_SIZE);
let used = 1 + BLOCK_HEADER;
let hashed = 0;
/** Incremented whenever the whole code array is thrown away. */
export let codeEpoch = 0;

const RECENT_ENTRIES = 1 << 16;
/** Blocks found lately, by host offset and mode. Physical, so that it outlives changes of address space. */
const recent = new Int32Array(RECENT_ENTRIES);

/** Makes room for a memory buffer of `bytes` bytes and forgets all code. */
export function initBlocks(bytes: number): void {
  const pages = Math.ceil(bytes / 4096) + 1;
  PAGE_HAS_CODE = new Uint8Array(pages);
  pageBlocks = new Int32Array(pages);
  pageLines = new Int32Array(2 * pages);
  secondPages.clear();
  endAfter.clear();
  forgetAll();
}

/** Throws all decoded code away (the code array is full, or the machine is being replaced). */
function forgetAll(): void {
  hash.fill(0);
  recent.fill(0);
  PAGE_HAS_CODE.fill(0);
  pageBlocks.fill(0);
  pageLines.fill(0);
  secondPages.clear();
  INFO.fill(0, 0, used);
  used = 1 + BLOCK_HEADER;
  hashed = 0;
  codeEpoch++;
  forgetRegions();
}

/** True when an instruction at this host offset must end its block. */
export function mustEndAfter(hostOffset: number): boolean {
  return endAfter.size !== 0 && endAfter.has(hostOffset);
}

/** Words that the translator may need at most for one block. */
const BLOCK_RESERVE = 4096;

/** Record index at which the next block is to be built. */
export function reserveBlock(): number {
  if (used + BLOCK_RESERVE > CODE_WORDS || hashed > HASH_SIZE * 0.7) forgetAll();
  return used + BLOCK_HEADER;
}

/** Copies a record of `words` words, with `first` as its first word, to a place of its own; 0 if there is no room. It lives until all code is thrown away. */
export function copyRecord(at: number, first: number, words: number): number {
  if (used + words + BLOCK_RESERVE > CODE_WORDS) return 0;
  const copy = used;
  C.copyWithin(copy, at, at + words);
  C[copy] = first;
  INFO[copy] = INFO[at];
  used += words;
  return copy;
}

/** Enters the block built at P (records up to `end`) for code bytes [hostOffset, hostOffset + bytes). */
export function commitBlock(P: number, end: number, count: number, hostOffset: number, bytes: number, modeFlags: number, secondPage = -1): void {
  C[P - 1] = count;
  C[P - 2] = modeFlags;
  C[P - 3] = hostOffset;
  C[P - 5] = end;
  C[P - 6] = bytes;
  C[P - 7] = 0;
  C[P - 8] = secondPage;
  used = end;
  // Code outside RAM belongs to no page, and is never found again.
  if (bytes === 0) return;
  const page = hostOffset >>> 12;
  C[P - 4] = pageBlocks[page];
  pageBlocks[page] = P;
  const first = (hostOffset & 4095) >>> 6, last = Math.min((hostOffset & 4095) + bytes - 1, 4095) >>> 6;
  for (let line = first; line <= last; line++) pageLines[2 * page + (line >>> 5)] |= 1 << (line & 31);
  if (PAGE_HAS_CODE[page] === 0) {
    PAGE_HAS_CODE[page] = 1;
    protectCodePage(page);
  }
  let slot = hashSlot(hostOffset, modeFlags);
  while (hash[slot] !== 0 && (C[hash[slot] - 2] & BLOCK_DEAD) === 0) slot = (slot + 1) & (HASH_SIZE - 1);
  if (hash[slot] === 0) hashed++;
  hash[slot] = P;
  if (secondPage >= 0) noteSecondPage(P, secondPage >>> 12);
}

/** Makes writes to a crossing block's second page kill it. */
function noteSecondPage(P: number, page: number): void {
  const list = secondPages.get(page);
  if (list === undefined) secondPages.set(page, [P]);
  else list.push(P);
  pageLines[2 * page] |= 1;
  if (PAGE_HAS_CODE[page] === 0) {
    PAGE_HAS_CODE[page] = 1;
    protectCodePage(page);
  }
}

function hashSlot(hostOffset: number, mode: number): number {
  return (Math.imul(hostOffset ^ ((mode & BLOCK_MODE_MASK) << 13), 0x9e3779b1) >>> 13) & (HASH_SIZE - 1);
}

/** Block decoded from this host offset in this mode, 0 if there is none. */
function findBlock(hostOffset: number, mode: number): number {
  let slot = hashSlot(hostOffset, mode);
  for (;;) {
    const P = hash[slot];
    if (P === 0) return 0;
    if (C[P - 3] === (hostOffset | 0) && (C[P - 2] & (BLOCK_MODE_MASK | BLOCK_DEAD)) === mode) return P;
    slot = (slot + 1) & (HASH_SIZE - 1);
  }
}

/** Live block decoded from this host offset in this mode, 0 if there is none. */
export function findBlockAt(hostOffset: number, mode: number): number {
  return findBlock(hostOffset, mode & BLOCK_MODE_MASK);
}

/** Every instruction of a dead block leaves for a fresh lookup (record id 0), wherever execution stands in it. */
function killBlock(P: number): void {
  dropRegionsOf(P);
  C[P - 2] |= BLOCK_DEAD;
  for (let w = P, end = C[P - 5]; w < end; w++) if (INFO[w] !== 0) C[w] = 0;
}

/**
 * RAM bytes [hostOffset, hostOffset + bytes) of a page with code are about to be written: blocks decoded from them die. May abandon the
 * writing instruction, to be executed again.
 */
export function invalidateCode(hostOffset: number, bytes: number): void {
  const last = hostOffset + bytes - 1;
  invalidatePage(hostOffset >>> 12, hostOffset & 4095, last >>> 12 === hostOffset >>> 12 ? last & 4095 : 4095);
  for (let page = (hostOffset >>> 12) + 1; page <= last >>> 12; page++) {
    if (PAGE_HAS_CODE[page] !== 0) invalidatePage(page, 0, page === last >>> 12 ? last & 4095 : 4095);
  }
}

function invalidatePage(page: number, from: number, to: number): void {
  let touched = false;
  for (let line = from >>> 6; line <= to >>> 6; line++) {
    if ((pageLines[2 * page + (line >>> 5)] & (1 << (line & 31))) !== 0) touched = true;
  }
  if (!touched) return;
  let previous = 0;
  let lines0 = 0, lines1 = 0;
  for (let P = pageBlocks[page]; P !== 0; P = C[P - 4]) {
    const first = C[P - 3] & 4095, end = Math.min(first + C[P - 6] - 1, 4095);
    if (first <= to && end >= from) {
      killBlock(P);
      if (previous === 0) pageBlocks[page] = C[P - 4];
      else C[previous - 4] = C[P - 4];
    } else {
      previous = P;
      for (let line = first >>> 6; line <= end >>> 6; line++) {
        if (line < 32) lines0 |= 1 << line;
        else lines1 |= 1 << (line - 32);
      }
    }
  }
  const crossing = secondPages.get(page);
  if (crossing !== undefined) {
    if (from < 16) {
      for (const P of crossing) killBlock(P);
      secondPages.delete(page);
    } else lines0 |= 1;
  }
  pageLines[2 * page] = lines0;
  pageLines[2 * page + 1] = lines1;
  if (pageBlocks[page] === 0 && !secondPages.has(page)) PAGE_HAS_CODE[page] = 0;
}

/**
 * Called before an access with effects in time (MMIO): returns if the instruction at record p is the last of its block, so that the clock
 * is exact; otherwise re-decodes so that it will be, and abandons the instruction to be executed again.
 */
export function requireBlockEnd(p: number): void {
  if (p === 0 || INFO[p] >>> 12 === 1) return;
  const hostOffset = RU[CURRENT_PAGE] + (INFO[p] & 4095);
  endAfter.add(hostOffset);
  const page = hostOffset >>> 12;
  pageLines[2 * page + ((hostOffset & 4095) >>> 11)] |= 1 << (((hostOffset & 4095) >>> 6) & 31);
  invalidatePage(page, hostOffset & 4095, hostOffset & 4095);
  abandon(FK_RETRY);
}

/** Switches between ordinary and single-step blocks. */
export function setStepping(on: boolean): void {
  R[STEPPING] = on ? MODE_STEP : 0;
}

/**
 * Block for the instruction at RIP in the present mode; sets IPB. Raises what the fetch raises (with RIP exact).
 *
 * Whether it walks the page tables depends on the code TLB alone, whose contents do not depend on which tier executes or which blocks it remembers.
 */
export function lookup(): number {
  R[CURP] = 0;
  const code64 = R[CODE64] !== 0;
  const lo = code64 ? R[RIP] : (R[RIP] + R[SEG_BASE + 2 * CS]) | 0;
  const hi = R[RIP + 1];
  const i = ((lo >>> 10) & 4092) | R[CODE_BANK];
  // Close to a segment limit the slow way checks every instruction.
  if (T[i] === (lo & -4096) && T[i + 1] === hi && (code64 || RU[SEG_LIMIT + CS] - RU[RIP] >= 8192)) {
    const hostOffset = T[i + 2] | (lo & 4095), mode = R[MODE] | R[STEPPING];
    const P = recent[recentSlot(hostOffset, mode)];
    if (C[P - 3] === hostOffset && C[P - 2] === mode) {
      R[IPB] = (R[RIP] - (lo & 4095)) | 0;
      R[IPB + 1] = hi;
      R[CURRENT_PAGE] = T[i + 2];
      return P;
    }
  }
  return lookupSlow(lo, hi);
}

function recentSlot(hostOffset: number, mode: number): number {
  return (hostOffset ^ (hostOffset >>> 13) ^ (mode << 6)) & (RECENT_ENTRIES - 1);
}

/** Bytes of guest code that a block was decoded from. */
export function blockBytes(P: number): number {
  return C[P - 6];
}

/** The page after the one that holds linear address (lo, hi), where a crossing block goes on: does it still lie where the block found it? */
function crossingHolds(P: number, lo: number, hi: number): boolean {
  const nextLo = ((lo & -4096) + 4096) | 0;
  const nextHi = R[CODE64] === 0 || nextLo !== 0 ? hi : (hi + 1) | 0;
  return C[P - 8] >= 0 && Math.floor(translateFetch(nextLo, nextHi) / 4096) === C[P - 8] >>> 12;
}

function lookupSlow(lo: number, hi: number): number {
  let mode = R[MODE] | R[STEPPING];
  let limited = false;
  if (R[CODE64] === 0) {
    const ip = RU[RIP], limit = RU[SEG_LIMIT + CS];
    if (ip > limit) raiseGp(0);
    if (limit - ip < 8192) {
      mode |= MODE_STEP;
      limited = limit !== 0xffffffff;
    }
  }
  R[IPB] = (R[RIP] - (lo & 4095)) | 0;
  R[IPB + 1] = hi;
  const hostOffset = translateFetch(lo, hi);
  R[CURRENT_PAGE] = hostOffset & -4096;
  let P = hostOffset < 0 ? 0 : findBlock(hostOffset, mode);
  if (P !== 0 && (C[P - 2] & BLOCK_CROSSING) !== 0 && !crossingHolds(P, lo, hi)) {
    killBlock(P);
    P = 0;
  }
  if (P === 0) {
    P = hostOffset < 0 ? 0 : decodeBlock(hostOffset, mode);
    if (P === 0) P = decodeCrossing(lo, hi, hostOffset, mode);
  }
  if (limited) {
    if (RU[RIP] + C[P - 6] - 1 > RU[SEG_LIMIT + CS]) raiseGp(0);
    C[P - 2] |= BLOCK_UNLINKED;
    return P;
  }
  if (hostOffset >= 0) recent[recentSlot(hostOffset | 0, mode)] = P;
  return P;
}
