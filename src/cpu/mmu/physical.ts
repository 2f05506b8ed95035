/**
 * The physical address space of the bare machine: RAM, ROM and device regions, page-granular.
 *
 * A page code says what lies at a physical page: a buffer page (memory.ts: RAM below ramPages, ROM from there) or one of the negative
 * PAGE_* codes. Below 4 GiB the codes stand in a table; above, RAM is one run from 4 GiB. Reads from nowhere give all ones, writes to
 * nowhere or to ROM are dropped. Bytes fetched through here bypass paging and EPT: "host-physical" in the nested sense, L1-physical in L1's eyes.
 */
import { R, MEMHI } from '../state';
import { VIDEO_DIRTY, allocateRam, bufferPages, mem8, memView, placeRom, ramBytes, ramPages, videoPage } from './memory';
import { flushEverything } from './tlb';
import { PAGE_HAS_CODE, invalidateCode } from '../engine/blocks';

/** Page code: nothing answers. */
export const PAGE_UNMAPPED = -1;
/** Page code: at least one device region lies in the page. */
export const PAGE_MMIO = -2;

const PAGES_BELOW_4G = 1 << 20;
const FOUR_GIB = 0x100000000;

/** A device's memory-mapped registers. Offsets count from the start of the mapping; sizes are 1, 2 or 4 bytes. */
export interface MmioHandler {
  readonly name: string;
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

interface MmioRegion {
  readonly start: number;
  readonly bytes: number;
  readonly handler: MmioHandler;
}

/** RAM and ROM by page below 4 GiB, and the same with device regions laid over. */
const memoryCodes = new Int32Array(PAGES_BELOW_4G).fill(PAGE_UNMAPPED);
const pageCodes = new Int32Array(PAGES_BELOW_4G).fill(PAGE_UNMAPPED);
/** Device regions by physical page. */
const regionsByPage = new Map<number, MmioRegion[]>();

const PAGE_MASK = 0, HIGH_FIRST = 1, HIGH_PAGES = 2, HIGH_REGIONS = 3;
/** [0] mask for page numbers below 4 GiB (A20); [1] buffer page at 4 GiB; [2] RAM pages from there; [3] device pages above 4 GiB. */
const map = new Int32Array([PAGES_BELOW_4G - 1, 0, 0, 0]);

/** [0] MAXPHYADDR, physical address width in bits. [1] high-word mask of address bits 51:MAXPHYADDR. */
export const PHYSICAL_WIDTH = new Int32Array(2);

/** Sets MAXPHYADDR (33 to 40 bits; guest-physical page numbers must fit a word). */
export function setPhysicalWidth(bits: number): void {
  if (bits < 33 || bits > 40) throw new RangeError(`physical address width ${bits} is not supported`);
  PHYSICAL_WIDTH[0] = bits;
  PHYSICAL_WIDTH[1] = 0xfffff & (-1 << (bits - 32));
}
setPhysicalWidth(40);

// --- Building the map ---

/** Empties the map. */
export function resetPhysicalMap(): void {
  memoryCodes.fill(PAGE_UNMAPPED);
  pageCodes.fill(PAGE_UNMAPPED);
  regionsByPage.clear();
  map[PAGE_MASK] = PAGES_BELOW_4G - 1;
  map[HIGH_FIRST] = map[HIGH_PAGES] = map[HIGH_REGIONS] = 0;
  flushEverything();
}

/** Allocates RAM and maps it: at 0 up to `holeStart` at most, the rest from 4 GiB. The usual layout of a PC. Video memory is for its device to map. */
export function setUpRam(bytes: number, holeStart: number, videoBytes = 0): void {
  allocateRam(bytes, videoBytes);
  resetPhysicalMap();
  const low = Math.min(bytes, holeStart);
  mapRam(0, low, 0);
  if (bytes > low) mapRam(FOUR_GIB, bytes - low, low);
}

/** Maps RAM from host offset `ramOffset` at a physical address; above 4 GiB there is one run, which starts there. All page-aligned. */
export function mapRam(hostPhysical: number, bytes: number, ramOffset: number): void {
  if (ramOffset + bytes > ramBytes) throw new RangeError('mapping exceeds the RAM');
  if (hostPhysical >= FOUR_GIB) {
    if (hostPhysical !== FOUR_GIB) throw new RangeError('high RAM starts at 4 GiB');
    map[HIGH_FIRST] = ramOffset / 4096;
    map[HIGH_PAGES] = bytes / 4096;
  } else {
    setMemoryCodes(hostPhysical / 4096, bytes / 4096, ramOffset / 4096);
  }
  flushEverything();
}

/** Places a ROM image and maps it below 4 GiB at a page-aligned address. The same image can be mapped again with mapBufferPages. Returns its first buffer page. */
export function mapRom(hostPhysical: number, image: Uint8Array): number {
  const first = placeRom(image);
  mapBufferPages(hostPhysical, Math.ceil(image.length / 4096), first);
  return first;
}

/** Maps pages of the buffer (a placed ROM, or RAM) below 4 GiB. */
export function mapBufferPages(hostPhysical: number, pages: number, firstBufferPage: number): void {
  if (firstBufferPage + pages > bufferPages) throw new RangeError('mapping exceeds the memory buffer');
  setMemoryCodes(hostPhysical / 4096, pages, firstBufferPage);
  flushEverything();
}

/** Copies pages of the buffer, ROM pages included. */
export function copyBufferPages(from: number, to: number, pages: number): void {
  for (let n = 0; n < pages; n++) if (PAGE_HAS_CODE[to + n]) invalidateCode((to + n) * 4096, 4096);
  mem8.copyWithin(to * 4096, from * 4096, (from + pages) * 4096);
}

/** Takes RAM or ROM below 4 GiB off the map. */
export function unmapMemory(hostPhysical: number, bytes: number): void {
  for (let n = 0; n < bytes / 4096; n++) setMemoryCodes(hostPhysical / 4096 + n, 1, PAGE_UNMAPPED);
  flushEverything();
}

function setMemoryCodes(page: number, pages: number, code: number): void {
  for (let n = 0; n < pages; n++) {
    memoryCodes[page + n] = code + n;
    if (!regionsByPage.has(page + n)) pageCodes[page + n] = code + n;
  }
}

/** Maps device registers over whatever is there. Regions may share a page; where they overlap, the later one answers. */
export function mapMmio(hostPhysical: number, bytes: number, handler: MmioHandler): void {
  const region: MmioRegion = { start: hostPhysical, bytes, handler };
  const last = Math.floor((hostPhysical + bytes - 1) / 4096);
  for (let page = Math.floor(hostPhysical / 4096); page <= last; page++) {
    const here = regionsByPage.get(page);
    if (here) here.unshift(region);
    else regionsByPage.set(page, [region]);
    if (page < PAGES_BELOW_4G) pageCodes[page] = PAGE_MMIO;
    else if (!here) map[HIGH_REGIONS]++;
  }
  flushEverything();
}

/** Removes the device regions that start within the range; RAM or ROM underneath appears again. With `handler`, only that handler's regions. */
export function unmap(hostPhysical: number, bytes: number, handler?: MmioHandler): void {
  const end = hostPhysical + bytes;
  for (const [page, regions] of regionsByPage) {
    const left = regions.filter((r) => r.start < hostPhysical || r.start >= end || (handler !== undefined && r.handler !== handler));
    if (left.length === regions.length) continue;
    if (left.length > 0) regionsByPage.set(page, left);
    else {
      regionsByPage.delete(page);
      if (page < PAGES_BELOW_4G) pageCodes[page] = memoryCodes[page];
      else map[HIGH_REGIONS]--;
    }
  }
  flushEverything();
}

/** The A20 gate: while closed, physical address bit 20 reads as 0. */
export function setA20(enabled: boolean): void {
  const mask = enabled ? PAGES_BELOW_4G - 1 : (PAGES_BELOW_4G - 1) & ~0x100;
  if (map[PAGE_MASK] === mask) return;
  map[PAGE_MASK] = mask;
  flushEverything();
}

export function a20Enabled(): boolean {
  return map[PAGE_MASK] === PAGES_BELOW_4G - 1;
}

// --- Looking things up ---

/** Page code of the page at physical address (lo, hi). */
export function pageCode(lo: number, hi: number): number {
  if (hi === 0) return pageCodes[(lo >>> 12) & map[PAGE_MASK]];
  return highPageCode(((hi << 20) | (lo >>> 12)) - PAGES_BELOW_4G);
}

function highPageCode(page: number): number {
  if (page >= 0 && page < map[HIGH_PAGES]) return map[HIGH_REGIONS] !== 0 && regionsByPage.has(page + PAGES_BELOW_4G) ? PAGE_MMIO : map[HIGH_FIRST] + page;
  return map[HIGH_REGIONS] !== 0 && regionsByPage.has(page + PAGES_BELOW_4G) ? PAGE_MMIO : PAGE_UNMAPPED;
}

function codeAt(hostPhysical: number): number {
  return pageCode(hostPhysical | 0, (hostPhysical / FOUR_GIB) | 0);
}

/** Two words as one physical address. */
export function physicalAddress(lo: number, hi: number): number {
  return (lo >>> 0) + (hi >>> 0) * FOUR_GIB;
}

function regionAt(hostPhysical: number): MmioRegion | undefined {
  const regions = regionsByPage.get(Math.floor(hostPhysical / 4096));
  if (regions) for (const r of regions) if (hostPhysical >= r.start && hostPhysical < r.start + r.bytes) return r;
  return undefined;
}

/** Device read of 1, 2 or 4 bytes. */
export function mmioRead(hostPhysical: number, size: number): number {
  const region = regionAt(hostPhysical);
  if (region === undefined) return -1;
  return region.handler.read(hostPhysical - region.start, size);
}

/** Device write of 1, 2 or 4 bytes. */
export function mmioWrite(hostPhysical: number, size: number, value: number): void {
  const region = regionAt(hostPhysical);
  if (region !== undefined) region.handler.write(hostPhysical - region.start, size, value);
}

// --- Access by whole values; addresses are doubles, see physicalAddress() ---

/** Zero-extended. */
export function physRead8(hostPhysical: number): number {
  const code = codeAt(hostPhysical);
  if (code >= 0) return mem8[code * 4096 + (hostPhysical & 4095)];
  return code === PAGE_MMIO ? mmioRead(hostPhysical, 1) & 0xff : 0xff;
}

/** Zero-extended. */
export function physRead16(hostPhysical: number): number {
  const offset = hostPhysical & 4095;
  if (offset === 4095) return physRead8(hostPhysical) | (physRead8(hostPhysical + 1) << 8);
  const code = codeAt(hostPhysical);
  if (code >= 0) return memView.getUint16(code * 4096 + offset, true);
  return code === PAGE_MMIO ? mmioRead(hostPhysical, 2) & 0xffff : 0xffff;
}

/** Signed word. */
export function physRead32(hostPhysical: number): number {
  const offset = hostPhysical & 4095;
  if (offset > 4092) {
    return physRead8(hostPhysical) | (physRead8(hostPhysical + 1) << 8) | (physRead8(hostPhysical + 2) << 16) | (physRead8(hostPhysical + 3) << 24);
  }
  const code = codeAt(hostPhysical);
  if (code >= 0) return memView.getInt32(code * 4096 + offset, true);
  return code === PAGE_MMIO ? mmioRead(hostPhysical, 4) | 0 : -1;
}

/** Returns the low word; the high word is in R[MEMHI]. */
export function physRead64(hostPhysical: number): number {
  const lo = physRead32(hostPhysical);
  R[MEMHI] = physRead32(hostPhysical + 4);
  return lo;
}

export function physWrite8(hostPhysical: number, value: number): void {
  const code = codeAt(hostPhysical);
  if (code >= 0 && code < ramPages) {
    const offset = code * 4096 + (hostPhysical & 4095);
    if (PAGE_HAS_CODE[code]) invalidateCode(offset, 1);
    if (code >= videoPage) VIDEO_DIRTY[code - videoPage] = 1;
    mem8[offset] = value;
  } else if (code === PAGE_MMIO) mmioWrite(hostPhysical, 1, value & 0xff);
}

export function physWrite16(hostPhysical: number, value: number): void {
  const inPage = hostPhysical & 4095;
  if (inPage === 4095) {
    physWrite8(hostPhysical, value);
    physWrite8(hostPhysical + 1, value >> 8);
    return;
  }
  const code = codeAt(hostPhysical);
  if (code >= 0 && code < ramPages) {
    const offset = code * 4096 + inPage;
    if (PAGE_HAS_CODE[code]) invalidateCode(offset, 2);
    if (code >= videoPage) VIDEO_DIRTY[code - videoPage] = 1;
    memView.setInt16(offset, value, true);
  } else if (code === PAGE_MMIO) mmioWrite(hostPhysical, 2, value & 0xffff);
}

export function physWrite32(hostPhysical: number, value: number): void {
  const inPage = hostPhysical & 4095;
  if (inPage > 4092) {
    for (let n = 0; n < 4; n++) physWrite8(hostPhysical + n, value >> (8 * n));
    return;
  }
  const code = codeAt(hostPhysical);
  if (code >= 0 && code < ramPages) {
    const offset = code * 4096 + inPage;
    if (PAGE_HAS_CODE[code]) invalidateCode(offset, 4);
    if (code >= videoPage) VIDEO_DIRTY[code - videoPage] = 1;
    memView.setInt32(offset, value, true);
  } else if (code === PAGE_MMIO) mmioWrite(hostPhysical, 4, value | 0);
}

export function physWrite64(hostPhysical: number, lo: number, hi: number): void {
  physWrite32(hostPhysical, lo);
  physWrite32(hostPhysical + 4, hi);
}

/** Copies `bytes` bytes to `target` (device regions are read byte by byte). */
export function physReadBytes(hostPhysical: number, target: Uint8Array, at = 0, bytes = target.length - at): void {
  let done = 0;
  while (done < bytes) {
    const address = hostPhysical + done, inPage = address & 4095;
    const n = Math.min(bytes - done, 4096 - inPage);
    const code = codeAt(address);
    if (code >= 0) target.set(mem8.subarray(code * 4096 + inPage, code * 4096 + inPage + n), at + done);
    else for (let k = 0; k < n; k++) target[at + done + k] = physRead8(address + k);
    done += n;
  }
}

/** Writes the bytes of `source` from index `at`. */
export function physWriteBytes(hostPhysical: number, source: Uint8Array, at = 0, bytes = source.length - at): void {
  let done = 0;
  while (done < bytes) {
    const address = hostPhysical + done, inPage = address & 4095;
    const n = Math.min(bytes - done, 4096 - inPage);
    const code = codeAt(address);
    if (code >= 0 && code < ramPages) {
      const offset = code * 4096 + inPage;
      if (PAGE_HAS_CODE[code]) invalidateCode(offset, n);
      if (code >= videoPage) VIDEO_DIRTY[code - videoPage] = 1;
      mem8.set(source.subarray(at + done, at + done + n), offset);
    } else if (code === PAGE_MMIO) for (let k = 0; k < n; k++) mmioWrite(address + k, 1, source[at + done + k]);
    done += n;
  }
}
