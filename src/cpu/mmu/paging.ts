/**
 * Linear-address translation (SDM 3A chapter 4): no paging, 32-bit paging with 4 MiB pages and PSE-36, PAE, 4-level paging with 2 MiB
 * and 1 GiB pages; through EPT where that is on. The accessed flag is set in every entry that the walk goes through, in the last one, with
 * the dirty flag for writes, once the access is known to be permitted. Left out: 5-level paging, protection keys.
 */
import {
  R, CR0, CR3, CR4, EFER, LMA, PDPTE, TLBB, CR0_WP, CR4_PSE, CR4_PAE, CR4_PGE, CR4_SMEP, CR4_SMAP, EFER_NXE,
} from '../state';
import { raiseGp, raisePf } from '../fault';
import { mem32, ramPages } from './memory';
import { PHYSICAL_WIDTH, pageCode } from './physical';
import {
  EPT, EPT_ENABLED, EPT_READ, EPT_RESULT, EPT_WRITE, FOR_FINAL_ACCESS, FOR_PAGE_WALK, FOR_PDPTE_LOAD, HOST_PAGE,
  LINEAR_EXECUTE_DISABLE, LINEAR_HI, LINEAR_LO, LINEAR_RIGHTS, LINEAR_USER, LINEAR_WRITABLE, RIGHTS, fetchRight, translateGuestPhysical,
} from './ept';
import { CACHED_DIRTY } from './ept-cache';
import { ACTIVE, APIC_ACCESS_PAGE, PAGE_GLOBAL, PAGE_HUGE, PAGE_LARGE, SMAP_BANK, dropFaultingPage } from './tlb';
import { APIC_ACCESS_PHYSICAL, exitForApicAccess } from '../../vmx/apic-virtualization';
import { PAGE_HAS_CODE, invalidateCode } from '../engine/blocks';

// An access is described by the bits it has in a page-fault error code (SDM 3A 4.7).
export const ACCESS_WRITE = 2, ACCESS_USER_MODE = 4, ACCESS_FETCH = 16;
const PF_PRESENT = 1, PF_RESERVED = 8;

/** Page code beside those of physical.ts: the APIC-access page of SDM 3C 29.4. */
export const PAGE_APIC_ACCESS = -3;

/** In the result flags, beside PAGE_GLOBAL, PAGE_LARGE and PAGE_HUGE: stores need no further walk. */
export const PAGE_STORABLE = 32;

/** What the last translation found: [0] flags PAGE_*, [1] host-physical page number. */
export const WALK = new Int32Array(2);
export const WALK_FLAGS = 0, WALK_HOST_PAGE = 1;

// Entry flags.
const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100;

/** Optional features; they must agree with CPUID. */
export const pagingCapabilities = { page1G: true };

// Entries used by the present walk, by level from the last (0 = PTE): place in mem32 (-1 outside memory) and guest-physical address.
const entryAt = new Int32Array(4), entryLo = new Int32Array(4), entryHi = new Int32Array(4);

/**
 * Translates a linear address for an access, with A and D updates. Returns the page code (physical.ts, or PAGE_APIC_ACCESS) of the page and
 * fills WALK. Raises #PF, #GP(0) for a non-canonical address, or abandons with an EPT exit.
 */
export function translate(lo: number, hi: number, access: number): number {
  if (EPT[EPT_ENABLED]) {
    EPT_RESULT[LINEAR_LO] = lo;
    EPT_RESULT[LINEAR_HI] = hi;
  }
  if (R[CR0] >= 0) return translatePhysical(lo, 0, access, PAGE_STORABLE | LINEAR_USER | LINEAR_WRITABLE);
  if (R[LMA]) {
    if (hi >> 15 !== 0 && hi >> 15 !== -1) raiseGp(0);
    return walk4Level(lo, hi, access);
  }
  return R[CR4] & CR4_PAE ? walkPae(lo, access) : walk32(lo, access);
}

/** Puts the index into mem32 of the paging-structure entry at a guest-physical address into entryAt[level]. */
function locateEntry(level: number, lo: number, hi: number): void {
  entryLo[level] = lo;
  entryHi[level] = hi;
  const code = EPT[EPT_ENABLED] ? guestTable(lo, hi, FOR_PAGE_WALK) : pageCode(lo, hi);
  entryAt[level] = code >= 0 ? (code << 10) | ((lo >>> 2) & 0x3ff) : -1;
}

/** Page code of a guest paging structure under EPT. On the APIC-access page that is a guest-physical access, which exits (SDM 3C 30.4.6.1). */
function guestTable(lo: number, hi: number, purpose: number): number {
  const code = translateGuestPhysical(lo, hi, EPT_READ, purpose);
  if (EPT_RESULT[HOST_PAGE] === ACTIVE[APIC_ACCESS_PAGE]) exitForApicAccess(lo & 0xfff, APIC_ACCESS_PHYSICAL);
  return code;
}

/** Low word of the entry found; from outside memory come ones. */
function readLow(level: number): number {
  const at = entryAt[level];
  return at >= 0 ? mem32[at] : -1;
}

function readHigh(level: number): number {
  const at = entryAt[level];
  return at >= 0 ? mem32[at + 1] : -1;
}

function walk4Level(lo: number, hi: number, access: number): number {
  const reservedHi = PHYSICAL_WIDTH[1] | (R[EFER] & EFER_NXE ? 0 : -0x80000000);
  let tableLo = R[CR3] & -4096, tableHi = R[CR3 + 1] & 0xfffff;
  let level = 3, rights = US | RW, noExecute = 0, low = 0, high = 0;
  for (; ; level--) {
    const offset = level === 3 ? (hi >>> 4) & 0xff8 : level === 2 ? ((hi << 5) | (lo >>> 27)) & 0xff8 : level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8;
    locateEntry(level, tableLo | offset, tableHi);
    low = readLow(level);
    high = readHigh(level);
    if ((low & P) === 0) pageFault(lo, hi, access, 0);
    if ((high & reservedHi) !== 0) pageFault(lo, hi, access, PF_PRESENT | PF_RESERVED);
    rights &= low;
    noExecute |= high;
    if (level === 0) break;
    if (low & PS) {
      if (level === 3) pageFault(lo, hi, access, PF_PRESENT | PF_RESERVED);
      if (level === 2 && (!pagingCapabilities.page1G || (low & 0x3fffe000) !== 0)) pageFault(lo, hi, access, PF_PRESENT | PF_RESERVED);
      if (level === 1 && (low & 0x1fe000) !== 0) pageFault(lo, hi, access, PF_PRESENT | PF_RESERVED);
      break;
    }
    if ((low & A) === 0) setEntryFlags(level, A);
    tableLo = low & -4096;
    tableHi = high & 0xfffff;
  }
  const flags = permit(lo, hi, access, rights, noExecute, low) | (level === 0 ? 0 : level === 1 ? PAGE_LARGE : PAGE_HUGE);
  updateLeaf(level, access);
  const offsetMask = level === 0 ? 0xfff : level === 1 ? 0x1fffff : 0x3fffffff;
  return translatePhysical((low & ~offsetMask) | (lo & offsetMask), high & 0xfffff, access, flags);
}

function walkPae(lo: number, access: number): number {
  // Bits 62:52 are reserved here, unlike in 4-level paging.
  const reservedHi = PHYSICAL_WIDTH[1] | 0x7ff00000 | (R[EFER] & EFER_NXE ? 0 : -0x80000000);
  const pdpte = PDPTE + ((lo >>> 30) << 1);
  if ((R[pdpte] & P) === 0) pageFault(lo, 0, access, 0);
  let tableLo = R[pdpte] & -4096, tableHi = R[pdpte + 1] & 0xfffff;
  let level = 1, rights = US | RW, noExecute = 0, low = 0, high = 0;
  for (; ; level--) {
    locateEntry(level, tableLo | (level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8), tableHi);
    low = readLow(level);
    high = readHigh(level);
    if ((low & P) === 0) pageFault(lo, 0, access, 0);
    if ((high & reservedHi) !== 0) pageFault(lo, 0, access, PF_PRESENT | PF_RESERVED);
    rights &= low;
    noExecute |= high;
    if (level === 0) break;
    if (low & PS) {
      if ((low & 0x1fe000) !== 0) pageFault(lo, 0, access, PF_PRESENT | PF_RESERVED);
      break;
    }
    if ((low & A) === 0) setEntryFlags(level, A);
    tableLo = low & -4096;
    tableHi = high & 0xfffff;
  }
  const flags = permit(lo, 0, access, rights, noExecute, low) | (level === 0 ? 0 : PAGE_LARGE);
  updateLeaf(level, access);
  const offsetMask = level === 0 ? 0xfff : 0x1fffff;
  return translatePhysical((low & ~offsetMask) | (lo & offsetMask), high & 0xfffff, access, flags);
}

function walk32(lo: number, access: number): number {
  locateEntry(1, (R[CR3] & -4096) | ((lo >>> 20) & 0xffc), 0);
  let low = readLow(1);
  if ((low & P) === 0) pageFault(lo, 0, access, 0);
  if (low & PS && R[CR4] & CR4_PSE) {
    // PSE-36: bits 20:13 are address bits 39:32, as far as the processor has them; bit 21 is reserved.
    const high = (low >>> 13) & 0xff;
    if ((low & 0x200000) !== 0 || (high & PHYSICAL_WIDTH[1]) !== 0) pageFault(lo, 0, access, PF_PRESENT | PF_RESERVED);
    const flags = permit(lo, 0, access, low & (US | RW), 0, low) | PAGE_LARGE;
    updateLeaf(1, access);
    return translatePhysical((low & -0x400000) | (lo & 0x3fffff), high, access, flags);
  }
  if ((low & A) === 0) setEntryFlags(1, A);
  let rights = low & (US | RW);
  locateEntry(0, (low & -4096) | ((lo >>> 10) & 0xffc), 0);
  low = readLow(0);
  if ((low & P) === 0) pageFault(lo, 0, access, 0);
  rights &= low;
  const flags = permit(lo, 0, access, rights, 0, low);
  updateLeaf(0, access);
  return translatePhysical((low & -4096) | (lo & 0xfff), 0, access, flags);
}

/** Access rights (SDM 3A 4.6): raises #PF or returns the PAGE_* and LINEAR_* flags. `rights` are US and RW of all levels, `leaf` the last entry. */
function permit(lo: number, hi: number, access: number, rights: number, noExecute: number, leaf: number): number {
  let flags = leaf & G && R[CR4] & CR4_PGE ? PAGE_GLOBAL : 0;
  if (rights & US) flags |= LINEAR_USER;
  if (rights & RW) flags |= LINEAR_WRITABLE;
  if (noExecute < 0) flags |= LINEAR_EXECUTE_DISABLE;
  let storable = (rights & RW) !== 0;
  let allowed = true;
  if (access & ACCESS_USER_MODE) {
    allowed = (rights & US) !== 0;
  } else {
    if ((R[CR0] & CR0_WP) === 0) storable = true;
    if (rights & US) {
      if (access & ACCESS_FETCH) allowed = (R[CR4] & CR4_SMEP) === 0;
      // Explicit accesses with EFLAGS.AC select a bank of their own; implicit ones ignore AC.
      else if (R[CR4] & CR4_SMAP) allowed = R[TLBB] === SMAP_BANK;
    }
  }
  if ((access & ACCESS_WRITE) !== 0 && !storable) allowed = false;
  if ((access & ACCESS_FETCH) !== 0 && noExecute < 0) allowed = false;
  if (!allowed) pageFault(lo, hi, access, PF_PRESENT);
  return storable && ((leaf & D) !== 0 || (access & ACCESS_WRITE) !== 0) ? flags | PAGE_STORABLE : flags;
}

/** Sets A in the last entry, and D for a write. */
function updateLeaf(leaf: number, access: number): void {
  const wanted = access & ACCESS_WRITE ? A | D : A;
  if ((readLow(leaf) & wanted) !== wanted) setEntryFlags(leaf, wanted);
}

function setEntryFlags(level: number, flags: number): void {
  if (EPT[EPT_ENABLED]) translateGuestPhysical(entryLo[level], entryHi[level], EPT_READ | EPT_WRITE, FOR_PAGE_WALK);
  const at = entryAt[level];
  if (at < 0 || at >>> 10 >= ramPages) return;
  mem32[at] |= flags;
  if (PAGE_HAS_CODE[at >>> 10]) invalidateCode(at * 4, 4);
}

/** The last step: from guest-physical to the page code, through EPT if on. */
function translatePhysical(lo: number, hi: number, access: number, flags: number): number {
  let code: number, hostPage: number;
  if (EPT[EPT_ENABLED]) {
    const linearRights = flags & (LINEAR_USER | LINEAR_WRITABLE | LINEAR_EXECUTE_DISABLE);
    EPT_RESULT[LINEAR_RIGHTS] = linearRights;
    const need = access & ACCESS_FETCH ? fetchRight(linearRights) : access & ACCESS_WRITE ? EPT_WRITE : EPT_READ;
    code = translateGuestPhysical(lo, hi, need, FOR_FINAL_ACCESS);
    hostPage = EPT_RESULT[HOST_PAGE];
    const rights = EPT_RESULT[RIGHTS];
    if ((rights & (EPT_WRITE | CACHED_DIRTY)) !== (EPT_WRITE | CACHED_DIRTY)) flags &= ~PAGE_STORABLE;
  } else {
    code = pageCode(lo, hi);
    hostPage = (hi << 20) | (lo >>> 12);
  }
  WALK[WALK_FLAGS] = flags;
  WALK[WALK_HOST_PAGE] = hostPage;
  return hostPage === ACTIVE[APIC_ACCESS_PAGE] ? PAGE_APIC_ACCESS : code;
}

function pageFault(lo: number, hi: number, access: number, bits: number): never {
  // I/D is reported only where a fetch can be told from a read (SDM 3A 4.7).
  const fetch = (R[CR4] & CR4_SMEP) !== 0 || ((R[CR4] & CR4_PAE) !== 0 && (R[EFER] & EFER_NXE) !== 0);
  dropFaultingPage(lo, hi, (access & ACCESS_FETCH) !== 0);
  raisePf(lo, hi, bits | (access & (ACCESS_WRITE | ACCESS_USER_MODE)) | (fetch ? access & ACCESS_FETCH : 0));
}

/**
 * Loads the four PDPTEs of PAE paging from the table at CR3 (SDM 3A 4.4.1), through EPT if on. False, with nothing loaded, if a present one has a reserved
 * bit set: the caller raises #GP(0) or fails the VM entry.
 */
export function loadPdptes(cr3Lo: number): boolean {
  const base = cr3Lo & -32;
  const code = EPT[EPT_ENABLED] ? guestTable(base, 0, FOR_PDPTE_LOAD) : pageCode(base, 0);
  // Outside memory the bus floats: all ones are four PDPTEs with reserved bits set.
  if (code < 0) return false;
  const at = (code << 10) | ((base >>> 2) & 0x3ff);
  for (let n = 0; n < 8; n += 2) {
    const low = mem32[at + n], high = mem32[at + n + 1];
    if ((low & P) !== 0 && ((low & 0x1e6) !== 0 || (high & (PHYSICAL_WIDTH[1] | -0x100000)) !== 0)) return false;
  }
  for (let n = 0; n < 8; n++) R[PDPTE + n] = mem32[at + n];
  return true;
}
