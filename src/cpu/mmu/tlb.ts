/**
 * The translation caches of the MMU (SDM 3A 4.10, 3C 29.4): linear page -> place in the memory buffer, for reads, writes and fetches.
 *
 * A context is what the architecture tags translations with: logical processor, root or non-root operation, VPID, PCID and EP4TA. Each
 * context has four direct-mapped banks in T: supervisor data, user data, supervisor code, user code. Switching contexts changes an offset;
 * only flushing costs, and as much as was filled. Rights are baked into the entries, so a context is also flushed when a control bit that
 * they depend on has changed since it was used.
 *
 * With SMAP the supervisor bank holds no user pages. While EFLAGS.AC lets explicit supervisor accesses reach them, another bank is in use, one
 * for the machine: it belongs to one context at a time and is emptied by any flush of that context.
 *
 * Pages larger than 4 KiB are cached in 4 KiB pieces; INVLPG finds the pieces by scanning when its neighbourhood holds any.
 */
import {
  R, VCPU, CR0, CR3, CR4, EFER, LMA, DR0, DR7, EFLAGS, F_AC, CR0_PG, CR0_WP, CR0_AM, CR4_PSE, CR4_PAE, CR4_PGE, CR4_PCIDE,
  CR4_SMEP, CR4_SMAP, EFER_NXE,
} from '../state';
import { clearAllGpaCaches, clearGpaCache } from './ept-cache';
import { VIDEO_DIRTY, ramPages, videoPage } from './memory';

const CONTEXTS = 16;
const BANK_WORDS = 4096;
const CONTEXT_WORDS = 4 * BANK_WORDS;
const CONTEXT_ENTRIES = CONTEXT_WORDS >> 2;
/** From a context's supervisor bank to its user bank, in words. */
export const USER_BANK_OFFSET = BANK_WORDS;
/** From a data bank to the code bank of the same privilege, in words. */
export const CODE_BANK_OFFSET = 2 * BANK_WORDS;
/** A bank that never holds anything: selected while alignment checking is on, so that every access takes the slow path. */
export const EMPTY_BANK = CONTEXTS * CONTEXT_WORDS;
/** A bank that only the training of compiled code uses. */
export const TRAINING_BANK = EMPTY_BANK + BANK_WORDS;
/** Data bank of explicit supervisor accesses while CR4.SMAP and EFLAGS.AC are set. */
export const SMAP_BANK = TRAINING_BANK + BANK_WORDS;
/** The code bank of that training. */
export const TRAINING_CODE_BANK = SMAP_BANK + BANK_WORDS;

/** Generated code masks its indexes with this, so that V8 need not check them against the length of T. */
export const TLB_MASK = (1 << 19) - 1;
if (TRAINING_CODE_BANK + BANK_WORDS > TLB_MASK) throw new Error('the TLB banks do not fit under the mask');

/**
 * Entries of four words. Data: read tag (linear page, low word), linear page high word, host offset minus linear low word, write tag (equal to the read
 * tag if stores may go straight to RAM). Code: tag, high word, host offset of the page, unused. A tag of 1 matches nothing. A write tag with WATCHED
 * belongs to a clean page of video memory: its first store comes to slow.ts, which marks the page and takes WATCHED away. The translation stays
 * the one that was cached, so that nobody inside can tell whether someone draws.
 */
export const T = new Int32Array(TLB_MASK + 4).fill(1);

/** See T. */
export const WATCHED = 2;

// Per entry: what kind of translation it holds and which lists name it.
const ENTRY_LOCAL_LIST = 1, ENTRY_GLOBAL_LIST = 2;
/** The translation is global (CR4.PGE and the G flag). */
export const PAGE_GLOBAL = 4;
/** It comes from a 2 MiB or 4 MiB page. */
export const PAGE_LARGE = 8;
/** It comes from a 1 GiB page. */
export const PAGE_HUGE = 16;
const PAGE_KIND = PAGE_GLOBAL | PAGE_LARGE | PAGE_HUGE;
const entryFlags = new Uint8Array(CONTEXTS * CONTEXT_ENTRIES);

// Per context: entries (numbers within the context) filled since the last flush, in two lists so that MOV CR3 only visits the local ones.
const localList = new Uint16Array(CONTEXTS * CONTEXT_ENTRIES);
const globalList = new Uint16Array(CONTEXTS * CONTEXT_ENTRIES);
const localCount = new Int32Array(CONTEXTS);
const globalCount = new Int32Array(CONTEXTS);
/** Entries of the SMAP bank that hold something; [0] how many, [1] the context they belong to, -1 none. */
const smapList = new Uint16Array(BANK_WORDS >> 2);
const smap = new Int32Array([0, -1]);
const SMAP_COUNT = 0, SMAP_OWNER = 1;
/** Per context, 4 MiB regions (low word bits 31:22) with pieces of large pages. */
const largeRegions = new Uint8Array(CONTEXTS << 10);
const hasHuge = new Uint8Array(CONTEXTS);

// What each context stands for; K_VCPU is -1 for a free one.
const K_VCPU = 0, K_ROOT = 1, K_VPID = 2, K_PCID = 3, K_EP4TA = 4, K_MODE = 5, K_DEBUG = 6, K_APIC_PAGE = 7;
const key = new Int32Array(CONTEXTS * 8).fill(-1);
const lastUse = new Float64Array(CONTEXTS);
/** [0] activations so far. */
const useClock = new Float64Array(1);
/** [0] the context in use, [1] the word offset of its supervisor data bank, [2] host-physical page that is the APIC-access page, -1 none. */
export const ACTIVE = new Int32Array([0, 0, -1]);
const ACTIVE_CONTEXT = 0;
/** Indexes into ACTIVE. */
export const ACTIVE_BANK = 1, APIC_ACCESS_PAGE = 2;

// --- Contexts ---

/**
 * Makes the context of this logical processor with the given tags the active one. `ep4ta` is EPTP >>> 12, or -1 without EPT;
 * `root` is true outside VMX non-root operation. Returns the word offset of its supervisor bank.
 */
export function activateContext(vpid: number, ep4ta: number, root: boolean): number {
  const vcpu = R[VCPU], rootKey = root ? 1 : 0, pcid = currentPcid();
  useClock[0]++;
  let victim = 0, found = -1;
  for (let c = 0; c < CONTEXTS; c++) {
    const k = c << 3;
    if (key[k + K_VCPU] === vcpu && key[k + K_ROOT] === rootKey && key[k + K_VPID] === vpid && key[k + K_PCID] === pcid
      && key[k + K_EP4TA] === ep4ta) {
      found = c;
      break;
    }
    if (lastUse[c] < lastUse[victim]) victim = c;
  }
  if (found < 0) {
    found = victim;
    flushContext(found);
    const k = found << 3;
    key[k + K_VCPU] = vcpu;
    key[k + K_ROOT] = rootKey;
    key[k + K_VPID] = vpid;
    key[k + K_PCID] = pcid;
    key[k + K_EP4TA] = ep4ta;
    key[k + K_MODE] = -1;
    key[k + K_DEBUG] = 0;
    key[k + K_APIC_PAGE] = -1;
  }
  lastUse[found] = useClock[0];
  ACTIVE[ACTIVE_CONTEXT] = found;
  ACTIVE[ACTIVE_BANK] = found * CONTEXT_WORDS;
  return ACTIVE[ACTIVE_BANK];
}

/** After CR3 or CR4.PCIDE changed: makes the context of the current PCID active (other tags stay). */
export function switchPcid(): void {
  const k = ACTIVE[ACTIVE_CONTEXT] << 3;
  if (key[k + K_PCID] !== currentPcid()) activateContext(key[k + K_VPID], key[k + K_EP4TA], key[k + K_ROOT] === 1);
}

function currentPcid(): number {
  return R[CR4] & CR4_PCIDE ? R[CR3] & 0xfff : 0;
}

/** Word offset of the active context's supervisor data bank. */
export function activeBank(): number {
  syncControls();
  return ACTIVE[ACTIVE_BANK];
}

/** The bank (state word TLBB) for explicit accesses at user (1) or supervisor (0) privilege, with regard to alignment checking and SMAP. */
export function bankFor(user: number): number {
  syncControls();
  if (user === 0) return R[CR4] & CR4_SMAP && R[EFLAGS] & F_AC ? smapBank() : ACTIVE[ACTIVE_BANK];
  if (R[EFLAGS] & F_AC && R[CR0] & CR0_AM) return EMPTY_BANK;
  return ACTIVE[ACTIVE_BANK] + USER_BANK_OFFSET;
}

/** The SMAP bank, with nothing in it that another context has left. */
function smapBank(): number {
  const c = ACTIVE[ACTIVE_CONTEXT];
  if (smap[SMAP_OWNER] !== c) {
    clearSmapBank();
    smap[SMAP_OWNER] = c;
  }
  return SMAP_BANK;
}

function clearSmapBank(): void {
  for (let n = smap[SMAP_COUNT] - 1; n >= 0; n--) clearEntry((SMAP_BANK >> 2) + smapList[n]);
  smap[SMAP_COUNT] = 0;
}

/** The code bank for fetches at user (1) or supervisor (0) privilege. */
export function codeBankFor(user: number): number {
  syncControls();
  return ACTIVE[ACTIVE_BANK] + CODE_BANK_OFFSET + user * USER_BANK_OFFSET;
}

/** Flushes the active context if a control bit that its entries' rights were computed from has changed. */
function syncControls(): void {
  const cr4 = R[CR4];
  switchPcid();
  const c = ACTIVE[ACTIVE_CONTEXT], k = c << 3;
  const mode = (R[CR0] & (CR0_PG | CR0_WP)) | (cr4 & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP))
    | (R[EFER] & EFER_NXE) | R[LMA];
  if (key[k + K_MODE] !== mode || key[k + K_APIC_PAGE] !== ACTIVE[APIC_ACCESS_PAGE]) {
    key[k + K_MODE] = mode;
    key[k + K_APIC_PAGE] = ACTIVE[APIC_ACCESS_PAGE];
    flushContext(c);
  }
  if (R[DR7] & 0xff) syncBreakpoints(c);
  else key[k + K_DEBUG] = 0;
}

/** Pages with data breakpoints must not be cached: flushes when breakpoints differ from those the context was filled under (0: none). */
function syncBreakpoints(c: number): void {
  let hash = R[DR7];
  for (let i = 0; i < 8; i++) hash = (Math.imul(hash, 0x01000193) ^ R[DR0 + i]) | 0;
  hash |= 1;
  const k = c << 3;
  if (key[k + K_DEBUG] !== hash) {
    key[k + K_DEBUG] = hash;
    flushContext(c);
  }
}

/** After MOV to a debug register: the pages of enabled data breakpoints leave the TLB. */
export function updateDataBreakpoints(): void {
  syncControls();
}

// --- Filling ---

/** Caches a data translation: `page` is a buffer page, `kind` any of PAGE_GLOBAL, PAGE_LARGE, PAGE_HUGE (other bits are ignored). */
export function fillData(bank: number, lo: number, hi: number, page: number, writable: boolean, kind: number): void {
  const i = ((lo >>> 10) & 4092) | bank;
  const tag = lo & -4096;
  if (bank === SMAP_BANK && T[i] === 1) smapList[smap[SMAP_COUNT]++] = (i - SMAP_BANK) >> 2;
  T[i] = tag;
  T[i + 1] = hi;
  T[i + 2] = (page << 12) - tag;
  T[i + 3] = writable ? tag : 1;
  if (bank !== SMAP_BANK) recordFill(i, lo, kind);
}

/** Caches a fetch translation in the code bank beside data bank `bank`. */
export function fillCode(bank: number, lo: number, hi: number, page: number, kind: number): void {
  const i = ((lo >>> 10) & 4092) | (bank + CODE_BANK_OFFSET);
  T[i] = lo & -4096;
  T[i + 1] = hi;
  T[i + 2] = page << 12;
  recordFill(i, lo, kind);
}

function recordFill(i: number, lo: number, kind: number): void {
  const entry = i >> 2, c = entry >> 12;
  let flags = (entryFlags[entry] & (ENTRY_LOCAL_LIST | ENTRY_GLOBAL_LIST)) | (kind & PAGE_KIND);
  if (kind & PAGE_GLOBAL) {
    if ((flags & ENTRY_GLOBAL_LIST) === 0) {
      globalList[(c << 12) + globalCount[c]++] = entry & 4095;
      flags |= ENTRY_GLOBAL_LIST;
    }
  } else if ((flags & ENTRY_LOCAL_LIST) === 0) {
    localList[(c << 12) + localCount[c]++] = entry & 4095;
    flags |= ENTRY_LOCAL_LIST;
  }
  entryFlags[entry] = flags;
  if (kind & (PAGE_LARGE | PAGE_HUGE)) {
    largeRegions[(c << 10) | (lo >>> 22)] = 1;
    if (kind & PAGE_HUGE) hasHuge[c] = 1;
  }
}

// --- Flushing one context ---

function clearEntry(entry: number): void {
  const i = entry << 2;
  T[i] = 1;
  T[i + 3] = 1;
}

function flushContext(c: number): void {
  const base = c << 12;
  for (let n = globalCount[c] - 1; n >= 0; n--) {
    const entry = base + globalList[base + n];
    clearEntry(entry);
    entryFlags[entry] = 0;
  }
  for (let n = localCount[c] - 1; n >= 0; n--) {
    const entry = base + localList[base + n];
    clearEntry(entry);
    entryFlags[entry] = 0;
  }
  globalCount[c] = 0;
  localCount[c] = 0;
  largeRegions.fill(0, c << 10, (c + 1) << 10);
  hasHuge[c] = 0;
  if (c === smap[SMAP_OWNER]) clearSmapBank();
}

function flushContextNonGlobal(c: number): void {
  const base = c << 12;
  for (let n = localCount[c] - 1; n >= 0; n--) {
    const entry = base + localList[base + n];
    const flags = entryFlags[entry];
    if ((flags & PAGE_GLOBAL) === 0) clearEntry(entry);
    entryFlags[entry] = flags & ~ENTRY_LOCAL_LIST;
  }
  localCount[c] = 0;
  if (c === smap[SMAP_OWNER]) clearSmapBank();
}

/** Drops the translations of one linear page, with all pieces of a larger page that covers it. */
function flushContextPage(c: number, lo: number, hi: number): void {
  for (let bank = 0; bank < CONTEXT_WORDS; bank += BANK_WORDS) dropTag(c * CONTEXT_WORDS + bank, lo, hi);
  if (hasHuge[c] || largeRegions[(c << 10) | (lo >>> 22)]) {
    dropPieces(c, localList, localCount[c], lo, hi);
    dropPieces(c, globalList, globalCount[c], lo, hi);
  }
  if (c === smap[SMAP_OWNER]) clearSmapBank();
}

/** Drops the pieces of large pages in the 4 MiB (1 GiB) region around an address. */
function dropPieces(c: number, list: Uint16Array, count: number, lo: number, hi: number): void {
  const base = c << 12;
  for (let n = 0; n < count; n++) {
    const entry = base + list[base + n], flags = entryFlags[entry];
    if ((flags & (PAGE_LARGE | PAGE_HUGE)) === 0) continue;
    const i = entry << 2, mask = flags & PAGE_HUGE ? -0x40000000 : -0x400000;
    if (T[i + 1] === hi && ((T[i] ^ lo) & mask) === 0) clearEntry(entry);
  }
}

// --- Flushing by the architecture's rules (SDM 3A 4.10.4, 3C 29.4.3); all of them concern the current logical processor ---

function isMine(c: number): boolean {
  return key[(c << 3) + K_VCPU] === R[VCPU];
}

function vpidOf(c: number): number {
  return key[(c << 3) + K_VPID];
}

function pcidOf(c: number): number {
  return key[(c << 3) + K_PCID];
}

function activeVpid(): number {
  return vpidOf(ACTIVE[ACTIVE_CONTEXT]);
}

function flushVpid(vpid: number): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) === vpid) flushContext(c);
}

/** CR4.PGE, PAE, PSE, PCIDE or CR0.PG changed: everything of the current VPID, globals included. */
export function flushAll(): void {
  flushVpid(activeVpid());
}

/** MOV to CR3 and task switches: the current VPID and PCID, globals stay. Call after CR3 has its new value. */
export function flushNonGlobal(): void {
  switchPcid();
  const active = ACTIVE[ACTIVE_CONTEXT] << 3;
  for (let c = 0; c < CONTEXTS; c++) {
    if (isMine(c) && vpidOf(c) === key[active + K_VPID] && key[(c << 3) + K_PCID] === key[active + K_PCID]) flushContextNonGlobal(c);
  }
}

/** INVLPG: one linear page of the current VPID, global or not. */
export function flushPage(lo: number, hi: number): void {
  invvpidAddress(activeVpid(), lo, hi);
}

/**
 * A page fault or EPT violation invalidates what the active context holds for the page (SDM 3A 4.10.4.1, 3C 29.4.3.1). Its data translations go;
 * its fetch translations only if a fetch faulted, so that copy-on-write faults leave decoded code findable.
 */
export function dropFaultingPage(lo: number, hi: number, fetch: boolean): void {
  const c = ACTIVE[ACTIVE_CONTEXT];
  if (fetch) {
    flushContextPage(c, lo, hi);
    return;
  }
  dropTag(c * CONTEXT_WORDS, lo, hi);
  dropTag(c * CONTEXT_WORDS + USER_BANK_OFFSET, lo, hi);
  if (c === smap[SMAP_OWNER]) dropFromSmapBank(lo, hi);
}

/** Empties the SMAP bank if it holds the page. */
function dropFromSmapBank(lo: number, hi: number): void {
  const i = ((lo >>> 10) & 4092) | SMAP_BANK;
  if (T[i] === (lo & -4096) && T[i + 1] === hi) clearSmapBank();
}

function dropTag(bank: number, lo: number, hi: number): void {
  const i = ((lo >>> 10) & 4092) | bank;
  if (T[i] === (lo & -4096) && T[i + 1] === hi) clearEntry(i >> 2);
}

/** INVPCID type 0: one linear page of a PCID of the current VPID. */
export function invpcidAddress(pcid: number, lo: number, hi: number): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) === activeVpid() && pcidOf(c) === pcid) flushContextPage(c, lo, hi);
}

/** INVPCID type 1: a PCID of the current VPID, globals stay. */
export function invpcidSingle(pcid: number): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) === activeVpid() && pcidOf(c) === pcid) flushContextNonGlobal(c);
}

/** INVPCID type 3: every PCID of the current VPID, globals stay. */
export function invpcidAllRetainingGlobals(): void {
  invvpidSingleRetainingGlobals(activeVpid());
}

/** VM entry or exit without VPID: everything of VPID 0. */
export function flushVpid0(): void {
  flushVpid(0);
}

/** INVVPID type 0: one linear page of a VPID. */
export function invvpidAddress(vpid: number, lo: number, hi: number): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) === vpid) flushContextPage(c, lo, hi);
}

/** INVVPID type 1. */
export function invvpidSingle(vpid: number): void {
  flushVpid(vpid);
}

/** INVVPID type 2: all VPIDs but 0. */
export function invvpidAll(): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) !== 0) flushContext(c);
}

/** INVVPID type 3: one VPID, globals stay. */
export function invvpidSingleRetainingGlobals(vpid: number): void {
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && vpidOf(c) === vpid) flushContextNonGlobal(c);
}

/** INVEPT type 1: guest-physical and combined translations of one EP4TA (EPTP >>> 12). */
export function inveptSingle(ep4ta: number): void {
  clearGpaCache(ep4ta);
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && key[(c << 3) + K_EP4TA] === ep4ta) flushContext(c);
}

/** INVEPT type 2: those of all EP4TAs. */
export function inveptAll(): void {
  clearAllGpaCaches();
  for (let c = 0; c < CONTEXTS; c++) if (isMine(c) && key[(c << 3) + K_EP4TA] !== -1) flushContext(c);
}

/** All translations of all processors: the physical map changed, or the machine was reset or restored. */
export function flushEverything(): void {
  clearAllGpaCaches();
  for (let c = 0; c < CONTEXTS; c++) flushContext(c);
}

/** A RAM page gained decoded code: no entry of any context may let stores bypass the check for it. */
export function protectCodePage(ramPage: number): void {
  for (let c = 0; c < CONTEXTS; c++) {
    protectInList(c, localList, localCount[c], ramPage);
    protectInList(c, globalList, globalCount[c], ramPage);
  }
  for (let n = 0; n < smap[SMAP_COUNT]; n++) protectEntry(SMAP_BANK + (smapList[n] << 2), ramPage << 12);
}

function protectEntry(i: number, target: number): void {
  const tag = T[i + 3];
  if (tag !== 1 && (((tag & ~WATCHED) + T[i + 2]) | 0) === target) T[i + 3] = 1;
}

function protectInList(c: number, list: Uint16Array, count: number, ramPage: number): void {
  const base = c << 12;
  for (let n = 0; n < count; n++) protectEntry((base + list[base + n]) << 2, ramPage << 12);
}

// --- Video memory ---

/** Clears the marks of written pages of video memory and watches for new stores to them. */
export function clearVideoDirty(): void {
  VIDEO_DIRTY.fill(0);
  for (let c = 0; c < CONTEXTS; c++) {
    watchInList(c, localList, localCount[c]);
    watchInList(c, globalList, globalCount[c]);
  }
  for (let n = 0; n < smap[SMAP_COUNT]; n++) watchEntry(SMAP_BANK + (smapList[n] << 2));
}

function watchInList(c: number, list: Uint16Array, count: number): void {
  const base = c << 12;
  for (let n = 0; n < count; n++) watchEntry((base + list[base + n]) << 2);
}

function watchEntry(i: number): void {
  const tag = T[i + 3];
  if (tag === 1 || (tag & WATCHED) !== 0) return;
  const page = (tag + T[i + 2]) >>> 12;
  if (page >= videoPage && page < ramPages) T[i + 3] = tag | WATCHED;
}

activateContext(0, -1, true);
