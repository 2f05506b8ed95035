/**
 * Extended page tables (SDM 3C 28.3): guest-physical to host-physical translation in VMX non-root operation, with exact EPT violations and
 * misconfigurations, page-modification logging and mode-based execute control. Memory types are checked but have no effect. Left out: sub-page
 * permissions, supervisor shadow stacks.
 */
import { FK_VM_EXIT, abandon } from '../fault';
import { EXIT_REASON_EPT_MISCONFIG, EXIT_REASON_EPT_VIOLATION } from '../../vmx/exit-reasons';
import { setPendingEptExit } from '../../vmx/intercepts';
import { logPageModification, requireLogSpace } from '../../vmx/page-modification-log';
import { raiseVirtualizationException } from '../../vmx/virtualization-exception';
import { mem32, ramPages } from './memory';
import { PHYSICAL_WIDTH, pageCode } from './physical';
import { CACHED_DIRTY, GPA_CACHE, clearGpaCache, gpaCacheIndex, gpaCacheSlot, slotModeChanged } from './ept-cache';
import { ACTIVE, APIC_ACCESS_PAGE, dropFaultingPage, inveptSingle } from './tlb';
import { PAGE_HAS_CODE, invalidateCode } from '../engine/blocks';

/** Rights in EPT entries, and what an access needs. */
export const EPT_READ = 1, EPT_WRITE = 2, EPT_EXECUTE = 4;
/**
 * Beside them in cached rights and in what an access needs, with mode-based execute control: execution at user-mode linear addresses (entry bit 10);
 * EPT_EXECUTE is for supervisor-mode ones then.
 */
export const EPT_EXECUTE_USER = 16;
/** Flags of an EPT entry. */
const ACCESSED = 0x100, DIRTY = 0x200;
/** From bit 10 of an entry to EPT_EXECUTE_USER. */
const EXECUTE_USER_SHIFT = 6, ENTRY_EXECUTE_USER = 0x400;

/** What a guest-physical access is for: qualification bits 7 (linear address valid) and 8 (final access). */
export const FOR_PDPTE_LOAD = 0, FOR_PAGE_WALK = 0x80, FOR_FINAL_ACCESS = 0x180;

/** Optional features; they must agree with IA32_VMX_EPT_VPID_CAP. */
export const eptCapabilities = { executeOnly: false, page1G: false };

/**
 * State of the running processor, set anew whenever another one runs (vmx/translation.ts): [0] 1 while guest-physical addresses go through EPT;
 * [1], [2] EPTP; [3] word offset of its slot in GPA_CACHE;
 * [4] 1 if accessed and dirty flags are on; [5] page-modification logging; [6] #VE; [7] entry bits that make an entry present.
 */
export const EPT = new Int32Array(8);
const EPTP_LO = 1, EPTP_HI = 2, CACHE_SLOT = 3, ACCESS_DIRTY = 4, LOGGING = 5, EXCEPTIONS = 6, PRESENT_BITS = 7;
/** Index into EPT. */
export const EPT_ENABLED = 0;

/**
 * What the last translation found: [0] host-physical page number, [1] rights of all levels ANDed (with CACHED_DIRTY when a write needs no flag
 * update). [2], [3]: linear address that an exit reports, [4]: rights of the linear address for the final access, in the places of qualification
 * bits 11:9; set by the page walker.
 */
export const EPT_RESULT = new Int32Array(5);
export const HOST_PAGE = 0, RIGHTS = 1, LINEAR_LO = 2, LINEAR_HI = 3, LINEAR_RIGHTS = 4;
/** LINEAR_RIGHTS: user-mode linear address, writable, execute-disable. */
export const LINEAR_USER = 1 << 9, LINEAR_WRITABLE = 1 << 10, LINEAR_EXECUTE_DISABLE = 1 << 11;

/**
 * Turns EPT on for the running logical processor, with page-modification logging, #VE and mode-based execute control or without. The TLB context is chosen
 * apart, by activateContext.
 */
export function setEptp(lo: number, hi: number, logging = false, exceptions = false, modeBasedExecute = false): void {
  EPT[EPT_ENABLED] = 1;
  EPT[EPTP_LO] = lo;
  EPT[EPTP_HI] = hi;
  EPT[ACCESS_DIRTY] = (lo >> 6) & 1;
  EPT[LOGGING] = logging ? 1 : 0;
  EPT[EXCEPTIONS] = exceptions ? 1 : 0;
  EPT[PRESENT_BITS] = modeBasedExecute ? 7 | ENTRY_EXECUTE_USER : 7;
  const ep4ta = ep4taOf(lo, hi);
  EPT[CACHE_SLOT] = gpaCacheSlot(ep4ta);
  // What is remembered under other flags would keep accesses from setting them, or allow other fetches.
  if (slotModeChanged(EPT[CACHE_SLOT], EPT[ACCESS_DIRTY] | (modeBasedExecute ? 2 : 0))) inveptSingle(ep4ta);
}

/** What a fetch from an address with these LINEAR_* bits needs. */
export function fetchRight(linearRights: number): number {
  return EPT[PRESENT_BITS] !== 7 && (linearRights & LINEAR_USER) !== 0 ? EPT_EXECUTE_USER : EPT_EXECUTE;
}

/** Turns EPT off: guest-physical addresses are host-physical. */
export function disableEpt(): void {
  EPT[EPT_ENABLED] = 0;
}

/** With accessed and dirty flags, forgets which of them are set: the next access to each page of the EPT in force looks at its entries. */
export function forgetFlagsSet(): void {
  if (EPT[ACCESS_DIRTY] !== 0) clearGpaCache(ep4taOf(EPT[EPTP_LO], EPT[EPTP_HI]));
}

export function eptEnabled(): boolean {
  return EPT[EPT_ENABLED] !== 0;
}

/** EPTP[51:12], the tag of guest-physical translations, as a page number. */
export function ep4taOf(eptpLo: number, eptpHi: number): number {
  return (eptpHi << 20) | (eptpLo >>> 12);
}

/** Names the page (host-physical page number, -1 none) whose linear accesses are virtualised (SDM 3C 29.4); it is never in the TLB. */
export function setApicAccessPage(hostPhysicalPage: number): void {
  ACTIVE[APIC_ACCESS_PAGE] = hostPhysicalPage;
}

/**
 * Translates a guest-physical address for an access (EPT_READ, EPT_WRITE, EPT_EXECUTE) with purpose FOR_*. Returns the page code (physical.ts)
 * and fills EPT_RESULT; abandons the instruction with a VM exit when the access is not allowed.
 */
export function translateGuestPhysical(lo: number, hi: number, access: number, purpose: number): number {
  const page = (hi << 20) | (lo >>> 12);
  // With accessed and dirty flags, the processor's reads of guest paging structures count as writes (28.3.3.2).
  const need = EPT[ACCESS_DIRTY] !== 0 && purpose === FOR_PAGE_WALK ? access | EPT_WRITE : access;
  const i = gpaCacheIndex(EPT[CACHE_SLOT], page);
  if (GPA_CACHE[i] === page) {
    const rights = GPA_CACHE[i + 2];
    if ((rights & need) === need && ((need & EPT_WRITE) === 0 || (rights & CACHED_DIRTY) !== 0)) {
      EPT_RESULT[HOST_PAGE] = GPA_CACHE[i + 3];
      EPT_RESULT[RIGHTS] = rights;
      return GPA_CACHE[i + 1];
    }
  }
  return walk(lo, hi, page, need, purpose, i);
}

/** Indexes into mem32 of the entries of the present walk, by level (3 = PML4); -1 outside memory. */
const entryAt = new Int32Array(4);

function walk(lo: number, hi: number, guestPage: number, access: number, purpose: number, cacheIndex: number): number {
  const reservedHi = PHYSICAL_WIDTH[1];
  let tableLo = EPT[EPTP_LO] & -4096, tableHi = EPT[EPTP_HI];
  const present = EPT[PRESENT_BITS];
  let rights = present, level = 3;
  let entryLo = 0, entryHi = 0;
  for (; ; level--) {
    const offset = level === 3 ? (hi >>> 4) & 0xff8 : level === 2 ? ((hi << 5) | (lo >>> 27)) & 0xff8 : level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8;
    const code = pageCode(tableLo, tableHi);
    if (code >= 0) {
      const at = (code << 10) | (offset >> 2);
      entryAt[level] = at;
      entryLo = mem32[at];
      entryHi = mem32[at + 1];
    } else {
      entryAt[level] = -1;
      entryLo = entryHi = -1;
    }
    if ((entryLo & present) === 0) violation(lo, hi, access, 0, entryHi, purpose, cacheIndex);
    if (isMisconfigured(level, entryLo, entryHi & reservedHi)) misconfiguration(lo, hi, cacheIndex);
    rights &= entryLo;
    if (level === 0 || (entryLo & 0x80) !== 0) break;
    tableLo = entryLo & -4096;
    tableHi = entryHi & 0xfffff;
  }
  rights = (rights & 7) | ((rights & ENTRY_EXECUTE_USER) >> EXECUTE_USER_SHIFT);
  if ((rights & access) !== access) violation(lo, hi, access, rights, entryHi, purpose, cacheIndex);
  if (EPT[ACCESS_DIRTY] === 0) rights |= CACHED_DIRTY;
  else {
    const wanted = access & EPT_WRITE ? ACCESSED | DIRTY : ACCESSED;
    if (EPT[LOGGING] !== 0 && needsFlags(level, wanted)) {
      requireLogSpace();
      if ((wanted & ~entryLo & DIRTY) !== 0) logPageModification(lo, hi);
    }
    for (let n = 3; n > level; n--) setEntryFlags(entryAt[n], ACCESSED);
    setEntryFlags(entryAt[level], wanted);
    if (((entryLo | wanted) & DIRTY) !== 0) rights |= CACHED_DIRTY;
  }
  const offsetMask = level === 0 ? 0xfff : level === 1 ? 0x1fffff : 0x3fffffff;
  const hostLo = (entryLo & ~offsetMask) | (lo & offsetMask), hostHi = entryHi & 0xfffff;
  const code = pageCode(hostLo, hostHi), hostPage = (hostHi << 20) | (hostLo >>> 12);
  GPA_CACHE[cacheIndex] = guestPage;
  GPA_CACHE[cacheIndex + 1] = code;
  GPA_CACHE[cacheIndex + 2] = rights;
  GPA_CACHE[cacheIndex + 3] = hostPage;
  EPT_RESULT[HOST_PAGE] = hostPage;
  EPT_RESULT[RIGHTS] = rights;
  return code;
}

/** Checks of a present entry (SDM 3C 28.3.3.1). `reservedHi`: bits 51:MAXPHYADDR of the high word. */
export function isMisconfigured(level: number, lo: number, reservedHi: number): boolean {
  if ((lo & 3) === EPT_WRITE) return true;
  if ((lo & EPT_READ) === 0 && !eptCapabilities.executeOnly) return true;
  if (reservedHi !== 0) return true;
  if (level === 3) return (lo & 0xf8) !== 0;
  if (level !== 0 && (lo & 0x80) === 0) return (lo & 0x78) !== 0;
  if (level === 2 && (!eptCapabilities.page1G || (lo & 0x3ffff000) !== 0)) return true;
  if (level === 1 && (lo & 0x1ff000) !== 0) return true;
  const memoryType = (lo >> 3) & 7;
  return memoryType === 2 || memoryType === 3 || memoryType === 7;
}

/** The walk that ended at `leaf` has a flag to set: accessed in the entries above, `leafFlags` in the last. */
function needsFlags(leaf: number, leafFlags: number): boolean {
  for (let n = 3; n > leaf; n--) if (entryAt[n] >= 0 && (mem32[entryAt[n]] & ACCESSED) === 0) return true;
  return entryAt[leaf] >= 0 && (mem32[entryAt[leaf]] & leafFlags) !== leafFlags;
}

/** Sets accessed or dirty flags in an EPT entry. */
function setEntryFlags(at: number, flags: number): void {
  if (at < 0 || (mem32[at] & flags) === flags) return;
  const page = at >>> 10;
  if (page >= ramPages) return;
  mem32[at] |= flags;
  if (PAGE_HAS_CODE[page]) invalidateCode(at * 4, 4);
}

/** Leaves with exit 48, or with #VE if `entryHi`, of the entry at fault, does not suppress it; the qualification is SDM 3C table 28-7. */
function violation(lo: number, hi: number, access: number, rights: number, entryHi: number, purpose: number, cacheIndex: number): never {
  forget(access, purpose, cacheIndex);
  const linear = purpose !== FOR_PDPTE_LOAD;
  const linearLo = linear ? EPT_RESULT[LINEAR_LO] : 0, linearHi = linear ? EPT_RESULT[LINEAR_HI] : 0;
  let qualification = purpose | ((rights & 7) << 3) | ((rights & EPT_EXECUTE_USER) << 2);
  qualification |= access & EPT_EXECUTE_USER ? EPT_EXECUTE : access;
  if (purpose === FOR_FINAL_ACCESS) qualification |= EPT_RESULT[LINEAR_RIGHTS];
  if (EPT[EXCEPTIONS] !== 0 && entryHi >= 0) raiseVirtualizationException(qualification, linearLo, linearHi, lo, hi);
  setPendingEptExit(EXIT_REASON_EPT_VIOLATION, qualification, linearLo, linearHi, lo, hi);
  abandon(FK_VM_EXIT);
}

/** Leaves with exit 49, which has no qualification. */
function misconfiguration(lo: number, hi: number, cacheIndex: number): never {
  GPA_CACHE[cacheIndex] = -1;
  setPendingEptExit(EXIT_REASON_EPT_MISCONFIG, 0, EPT_RESULT[LINEAR_LO], EPT_RESULT[LINEAR_HI], lo, hi);
  abandon(FK_VM_EXIT);
}

/** A violation invalidates the cached translations of its addresses (29.4.3.1). */
function forget(access: number, purpose: number, cacheIndex: number): void {
  GPA_CACHE[cacheIndex] = -1;
  if (purpose !== FOR_PDPTE_LOAD) dropFaultingPage(EPT_RESULT[LINEAR_LO], EPT_RESULT[LINEAR_HI], (access & (EPT_EXECUTE | EPT_EXECUTE_USER)) !== 0);
}
