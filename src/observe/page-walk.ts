/**
 * A page walk for people (SDM 3A chapter 4, 3C 28.3): from a linear address through the guest's tables (32-bit, PAE, 4-level) and EPT to host memory, entry
 * by entry, and why the access faults, as the MMU (cpu/mmu/paging.ts, ept.ts) would decide it. Reads memory only: sets no flag, uses and fills no cache.
 * Left out: the APIC-access page, page-modification logging, and #VE in place of EPT violations.
 */
import {
  CPL, CR0, CR0_WP, CR3, CR4, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER, EFER_NXE, F_AC, LMA, PDPTE,
} from '../cpu/state';
import {
  EPT_EXECUTE, EPT_EXECUTE_USER, EPT_READ, EPT_WRITE, FOR_FINAL_ACCESS, FOR_PAGE_WALK, LINEAR_EXECUTE_DISABLE, LINEAR_USER, LINEAR_WRITABLE, eptCapabilities, isMisconfigured,
} from '../cpu/mmu/ept';
import { mem32, ramPages } from '../cpu/mmu/memory';
import { pagingCapabilities } from '../cpu/mmu/paging';
import { PAGE_MMIO, PHYSICAL_WIDTH, pageCode } from '../cpu/mmu/physical';
import type { Context } from './contexts';
import { hex, hex64 } from './hex';
import type { Words64 } from './hex';
import { pageFaultText } from './register-bits';

export type AccessKind = 'read' | 'write' | 'fetch';

/** One entry that the walk goes through. */
export interface WalkEntry {
  /** PML4E, PDPTE, PDE, PTE; with EPT in front for those of EPT. */
  name: string;
  index: number;
  /** Where the entry lies: guest-physical for guest tables, host-physical for EPT. 16 digits; empty for PDPTE registers. */
  address: string;
  /** 16 digits, 8 for 32-bit paging. */
  value: string;
  /** Rights and flags that are set, by name. */
  flags: string[];
  /** `table`, or the size of the page that the entry maps. */
  maps: string;
  /** How the entry's own address was translated, where EPT is on. */
  through: WalkEntry[];
  /** What is wrong with it; null if nothing. */
  problem: string | null;
}

export interface WalkFault {
  kind: '#PF' | '#GP' | 'EPT violation' | 'EPT misconfiguration';
  /** Error code of #PF, qualification of an EPT violation. */
  code: number;
  /** Guest-physical address of an EPT exit, 16 digits. */
  guestPhysical: string | null;
  text: string;
}

export interface WalkResult {
  linear: string;
  paging: 'off' | '32-bit' | 'PAE' | '4-level';
  entries: WalkEntry[];
  guestPhysical: string | null;
  /** EPT entries for the final access; empty without EPT. */
  ept: WalkEntry[];
  hostPhysical: string | null;
  /** What is at the end. */
  memory: 'RAM' | 'ROM' | 'device' | 'nothing' | null;
  /** Combined rights: paging, and EPT's. */
  rights: string;
  fault: WalkFault | null;
}

const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80;
/** Bit of an EPT entry for execution at user-mode linear addresses, and its distance from EPT_EXECUTE_USER. */
const ENTRY_EXECUTE_USER = 0x400, EXECUTE_USER_SHIFT = 6;
const PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16;
const NAMES = ['PTE', 'PDE', 'PDPTE', 'PML4E'];
const SIZES = ['4 KiB page', '2 MiB page', '1 GiB page'];

/** Thrown inside a walk where it ends in a fault. */
class WalkEnd {
  readonly fault: WalkFault;

  constructor(fault: WalkFault) {
    this.fault = fault;
  }
}

/** Entry at a host-physical address; outside memory all ones, as the MMU has it. */
function readEntry(lo: number, hi: number): Words64 {
  const code = pageCode(lo, hi);
  if (code < 0) return [-1, -1];
  const at = (code << 10) | ((lo >>> 2) & 0x3ff);
  return [mem32[at], mem32[at + 1]];
}

/** Byte offset of the entry for an address in a table of `level` (0 = last). */
function entryOffset(level: number, lo: number, hi: number): number {
  return level === 3 ? (hi >>> 4) & 0xff8 : level === 2 ? ((hi << 5) | (lo >>> 27)) & 0xff8 : level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8;
}

function offsetMask(level: number): number {
  return level === 0 ? 0xfff : level === 1 ? 0x1fffff : 0x3fffffff;
}

export class PageWalker {
  private readonly context: Context;
  private readonly access: AccessKind;
  private readonly user: boolean;
  private readonly write: boolean;
  private readonly fetch: boolean;
  private lo = 0;
  private hi = 0;
  /** LINEAR_* rights of the address, for EPT. */
  private linearRights = LINEAR_USER | LINEAR_WRITABLE;

  /** `user`: at privilege level 3; else as a supervisor. */
  constructor(context: Context, access: AccessKind, user: boolean) {
    this.context = context;
    this.access = access;
    this.user = user;
    this.write = access === 'write';
    this.fetch = access === 'fetch';
  }

  walk(lo: number, hi: number): WalkResult {
    const { words } = this.context;
    const long = words[LMA] !== 0, paged = words[CR0] < 0;
    // Outside IA-32e mode linear addresses have 32 bits.
    this.lo = lo;
    this.hi = long ? hi : 0;
    const result: WalkResult = {
      linear: hex64(lo, this.hi), paging: !paged ? 'off' : long ? '4-level' : words[CR4] & CR4_PAE ? 'PAE' : '32-bit', entries: [], guestPhysical: null, ept: [],
      hostPhysical: null, memory: null, rights: '', fault: null,
    };
    try {
      const [pageLo, pageHi] = this.throughTables(result);
      result.guestPhysical = hex64(pageLo, pageHi);
      const userFetch = this.context.modeBasedExecute && (this.linearRights & LINEAR_USER) !== 0;
      const need = this.fetch ? (userFetch ? EPT_EXECUTE_USER : EPT_EXECUTE) : this.write ? EPT_WRITE : EPT_READ;
      const [hostLo, hostHi] = this.throughEpt(pageLo, pageHi, need, FOR_FINAL_ACCESS, result.ept);
      result.hostPhysical = hex64(hostLo, hostHi);
      const code = pageCode(hostLo, hostHi);
      result.memory = code >= ramPages ? 'ROM' : code >= 0 ? 'RAM' : code === PAGE_MMIO ? 'device' : 'nothing';
    } catch (end) {
      if (!(end instanceof WalkEnd)) throw end;
      result.fault = end.fault;
    }
    return result;
  }

  private throughTables(result: WalkResult): Words64 {
    switch (result.paging) {
      case 'off': return [this.lo, 0];
      case '32-bit': return this.walk32(result);
      case 'PAE': return this.walkPae(result);
      default:
        if (this.hi >> 15 !== 0 && this.hi >> 15 !== -1) throw new WalkEnd({ kind: '#GP', code: 0, guestPhysical: null, text: 'the address is not canonical' });
        return this.walkLong(result, 3, this.context.words[CR3] & -4096, this.context.words[CR3 + 1] & 0xfffff, 0);
    }
  }

  // --- Guest paging ---

  private walkPae(result: WalkResult): Words64 {
    const index = this.lo >>> 30;
    const [low, high] = this.pdpte(index);
    const entry: WalkEntry = {
      name: 'PDPTE', index, address: '', value: hex64(low, high), flags: low & P ? ['P'] : [], maps: 'table', through: [], problem: null,
    };
    result.entries.push(entry);
    if ((low & P) === 0) this.pageFault(entry, 'not present', 0);
    return this.walkLong(result, 1, low & -4096, high & 0xfffff, 0x7ff00000);
  }

  /** PDPTE register; in contexts that only a VMCS describes, from memory. */
  private pdpte(index: number): Words64 {
    const { words, pdptesKnown } = this.context;
    if (pdptesKnown) return [words[PDPTE + 2 * index], words[PDPTE + 2 * index + 1]];
    const host = this.throughEpt((words[CR3] & -32) + 8 * index, 0, EPT_READ, FOR_PAGE_WALK, []);
    return readEntry(host[0], host[1]);
  }

  /** 4-level paging from PML4, PAE paging from the page directory. `reserved`: further reserved bits of the high word. */
  private walkLong(result: WalkResult, top: number, tableLo: number, tableHi: number, reserved: number): Words64 {
    const { words } = this.context;
    const reservedHi = PHYSICAL_WIDTH[1] | reserved | (words[EFER] & EFER_NXE ? 0 : -0x80000000);
    let rights = US | RW, noExecute = 0;
    for (let level = top; ; level--) {
      const offset = entryOffset(level, this.lo, this.hi);
      const entry = this.entry(NAMES[level], offset >>> 3, tableLo | offset, tableHi);
      result.entries.push(entry);
      const [low, high] = this.fetchEntry(entry, tableLo | offset, tableHi);
      entry.value = hex64(low, high);
      entry.flags = entryFlags(low, high, level, words[EFER]);
      if ((low & P) === 0) this.pageFault(entry, 'not present', 0);
      if ((high & reservedHi) !== 0) this.pageFault(entry, 'reserved bits are set', PF_PRESENT | PF_RESERVED);
      rights &= low;
      noExecute |= high;
      const isLeaf = level === 0 || (low & PS) !== 0;
      if (isLeaf && level > 0) this.checkLargePage(entry, level, low);
      result.rights = pagingRights(rights, noExecute, this.context);
      if (!isLeaf) {
        entry.maps = 'table';
        this.noteAccessed(entry, tableLo | offset, tableHi, low, A);
        tableLo = low & -4096;
        tableHi = high & 0xfffff;
        continue;
      }
      entry.maps = SIZES[level];
      this.permit(entry, rights, noExecute);
      this.noteAccessed(entry, tableLo | offset, tableHi, low, this.write ? A | D : A);
      return [(low & ~offsetMask(level)) | (this.lo & offsetMask(level)), high & 0xfffff];
    }
  }

  private checkLargePage(entry: WalkEntry, level: number, low: number): void {
    const bad = level === 3 || (level === 2 && (!pagingCapabilities.page1G || (low & 0x3fffe000) !== 0)) || (level === 1 && (low & 0x1fe000) !== 0);
    if (bad) this.pageFault(entry, 'reserved bits are set', PF_PRESENT | PF_RESERVED);
  }

  private walk32(result: WalkResult): Words64 {
    const { words } = this.context;
    const directoryLo = (words[CR3] & -4096) | ((this.lo >>> 20) & 0xffc);
    const directory = this.entry('PDE', this.lo >>> 22, directoryLo, 0);
    result.entries.push(directory);
    const [pde] = this.fetchEntry(directory, directoryLo, 0);
    directory.value = hex(pde, 8);
    directory.flags = entryFlags(pde, 0, 1, 0);
    if ((pde & P) === 0) this.pageFault(directory, 'not present', 0);
    result.rights = pagingRights(pde, 0, this.context);
    if (pde & PS && words[CR4] & CR4_PSE) {
      directory.maps = '4 MiB page';
      const high = (pde >>> 13) & 0xff;
      if ((pde & 0x200000) !== 0 || (high & PHYSICAL_WIDTH[1]) !== 0) this.pageFault(directory, 'reserved bits are set', PF_PRESENT | PF_RESERVED);
      this.permit(directory, pde, 0);
      this.noteAccessed(directory, directoryLo, 0, pde, this.write ? A | D : A);
      return [(pde & -0x400000) | (this.lo & 0x3fffff), high];
    }
    directory.maps = 'table';
    this.noteAccessed(directory, directoryLo, 0, pde, A);
    const tableLo = (pde & -4096) | ((this.lo >>> 10) & 0xffc);
    const entry = this.entry('PTE', (this.lo >>> 12) & 0x3ff, tableLo, 0);
    result.entries.push(entry);
    const [pte] = this.fetchEntry(entry, tableLo, 0);
    entry.value = hex(pte, 8);
    entry.flags = entryFlags(pte, 0, 0, 0);
    entry.maps = SIZES[0];
    if ((pte & P) === 0) this.pageFault(entry, 'not present', 0);
    result.rights = pagingRights(pde & pte, 0, this.context);
    this.permit(entry, pde & pte, 0);
    this.noteAccessed(entry, tableLo, 0, pte, this.write ? A | D : A);
    return [(pte & -4096) | (this.lo & 0xfff), 0];
  }

  private entry(name: string, index: number, lo: number, hi: number): WalkEntry {
    return { name, index, address: hex64(lo, hi), value: '', flags: [], maps: '', through: [], problem: null };
  }

  private fetchEntry(entry: WalkEntry, lo: number, hi: number): Words64 {
    const [hostLo, hostHi] = this.throughEpt(lo, hi, EPT_READ, FOR_PAGE_WALK, entry.through);
    return readEntry(hostLo, hostHi);
  }

  /** Setting A or D is a write to the entry, which EPT has to allow. */
  private noteAccessed(entry: WalkEntry, lo: number, hi: number, low: number, wanted: number): void {
    if ((low & wanted) === wanted) return;
    this.throughEpt(lo, hi, EPT_READ | EPT_WRITE, FOR_PAGE_WALK, [], entry);
  }

  /** Access rights (SDM 3A 4.6). `rights`: U/S and R/W of all levels. */
  private permit(entry: WalkEntry, rights: number, noExecute: number): void {
    const { words, rflags } = this.context;
    this.linearRights = (rights & US ? LINEAR_USER : 0) | (rights & RW ? LINEAR_WRITABLE : 0) | (noExecute < 0 ? LINEAR_EXECUTE_DISABLE : 0);
    if (this.user && (rights & US) === 0) this.pageFault(entry, 'a supervisor page', PF_PRESENT);
    if (!this.user && (rights & US) !== 0) {
      if (this.fetch && words[CR4] & CR4_SMEP) this.pageFault(entry, 'a user page (SMEP)', PF_PRESENT);
      if (!this.fetch && words[CR4] & CR4_SMAP && ((rflags & F_AC) === 0 || words[CPL] === 3)) this.pageFault(entry, 'a user page (SMAP)', PF_PRESENT);
    }
    const writable = (rights & RW) !== 0 || (!this.user && (words[CR0] & CR0_WP) === 0);
    if (this.write && !writable) this.pageFault(entry, 'read-only', PF_PRESENT);
    if (this.fetch && noExecute < 0) this.pageFault(entry, 'not executable (XD)', PF_PRESENT);
  }

  private pageFault(entry: WalkEntry, problem: string, bits: number): never {
    const { words } = this.context;
    entry.problem = problem;
    // I/D is reported only where a fetch can be told from a read (SDM 3A 4.7).
    const tellsFetch = (words[CR4] & CR4_SMEP) !== 0 || ((words[CR4] & CR4_PAE) !== 0 && (words[EFER] & EFER_NXE) !== 0);
    const code = bits | (this.write ? PF_WRITE : 0) | (this.user ? PF_USER : 0) | (this.fetch && tellsFetch ? PF_FETCH : 0);
    throw new WalkEnd({
      kind: '#PF', code, guestPhysical: null, text: `${entry.name}: ${problem}; ${this.access} by ${this.user ? 'user' : 'supervisor'}, error code 0x${hex(code)} (${pageFaultText(code)})`,
    });
  }

  // --- EPT ---

  /** Guest-physical to host-physical; the entries met are added to `entries`. `blamed`: guest entry whose flags are to be written. */
  private throughEpt(lo: number, hi: number, access: number, purpose: number, entries: WalkEntry[], blamed: WalkEntry | null = null): Words64 {
    const { eptp } = this.context;
    if (eptp === null) return [lo, hi];
    const flagsOn = (eptp[0] & 0x40) !== 0;
    const need = flagsOn && purpose === FOR_PAGE_WALK ? access | EPT_WRITE : access;
    const present = this.context.modeBasedExecute ? 7 | ENTRY_EXECUTE_USER : 7;
    let tableLo = eptp[0] & -4096, tableHi = eptp[1], rights = present;
    for (let level = 3; ; level--) {
      const offset = entryOffset(level, lo, hi);
      const entry: WalkEntry = {
        name: `EPT ${NAMES[level]}`, index: offset >>> 3, address: hex64(tableLo | offset, tableHi), value: '', flags: [], maps: 'table', through: [], problem: null,
      };
      entries.push(entry);
      const [low, high] = readEntry(tableLo | offset, tableHi);
      entry.value = hex64(low, high);
      entry.flags = eptFlags(low, level, flagsOn, this.context.modeBasedExecute);
      if ((low & present) === 0) this.eptViolation(entry, 'not present', lo, hi, need, 0, purpose, blamed);
      if (isMisconfigured(level, low, high & PHYSICAL_WIDTH[1])) {
        entry.problem = misconfiguration(level, low, high & PHYSICAL_WIDTH[1]);
        throw new WalkEnd({ kind: 'EPT misconfiguration', code: 0, guestPhysical: hex64(lo, hi), text: `${entry.name}: ${entry.problem}, for guest-physical 0x${hex64(lo, hi)}` });
      }
      rights &= low;
      if (level > 0 && (low & 0x80) === 0) {
        tableLo = low & -4096;
        tableHi = high & 0xfffff;
        continue;
      }
      entry.maps = SIZES[level];
      const allowed = (rights & 7) | ((rights & ENTRY_EXECUTE_USER) >> EXECUTE_USER_SHIFT);
      if ((allowed & need) !== need) this.eptViolation(entry, `rights are ${eptRights(allowed)}`, lo, hi, need, allowed, purpose, blamed);
      return [(low & ~offsetMask(level)) | (lo & offsetMask(level)), high & 0xfffff];
    }
  }

  private eptViolation(entry: WalkEntry, problem: string, lo: number, hi: number, need: number, rights: number, purpose: number, blamed: WalkEntry | null): never {
    entry.problem = problem;
    const what = purpose === FOR_FINAL_ACCESS ? 'the access itself' : blamed === null ? 'reading a table entry' : `setting flags in the ${blamed.name}`;
    if (blamed !== null) blamed.problem = 'EPT does not let its accessed or dirty flag be set';
    const code = purpose | ((rights & 7) << 3) | ((rights & EPT_EXECUTE_USER) << 2) | (need & EPT_EXECUTE_USER ? EPT_EXECUTE : need)
      | (purpose === FOR_FINAL_ACCESS ? this.linearRights : 0);
    throw new WalkEnd({
      kind: 'EPT violation', code, guestPhysical: hex64(lo, hi),
      text: `${entry.name}: ${problem}, ${eptRights(need)} needed for ${what}, guest-physical 0x${hex64(lo, hi)}`,
    });
  }
}

function eptRights(rights: number): string {
  return `${rights & 1 ? 'r' : '-'}${rights & 2 ? 'w' : '-'}${rights & 4 ? 'x' : '-'}${rights & EPT_EXECUTE_USER ? 'u' : ''}`;
}

const MEMORY_TYPES = ['UC', 'WC', 'reserved type', 'reserved type', 'WT', 'WP', 'WB', 'reserved type'];

function eptFlags(low: number, level: number, accessedDirty: boolean, modeBasedExecute: boolean): string[] {
  const isLeaf = level === 0 || (low & 0x80) !== 0;
  const flags = [eptRights((low & 7) | (modeBasedExecute ? (low & ENTRY_EXECUTE_USER) >> EXECUTE_USER_SHIFT : 0))];
  if (isLeaf && (low & 7) !== 0) flags.push(MEMORY_TYPES[(low >> 3) & 7]);
  if (accessedDirty && low & 0x100) flags.push('A');
  if (accessedDirty && isLeaf && low & 0x200) flags.push('D');
  return flags;
}

function misconfiguration(level: number, low: number, reservedHi: number): string {
  if ((low & 3) === EPT_WRITE) return 'writable but not readable';
  if ((low & EPT_READ) === 0 && !eptCapabilities.executeOnly) return 'execute-only is not offered';
  const isLeaf = level === 0 || (level < 3 && (low & 0x80) !== 0);
  const type = (low >> 3) & 7;
  if (reservedHi === 0 && isLeaf && (type === 2 || type === 3 || type === 7)) return 'reserved memory type';
  return 'reserved bits are set';
}

function entryFlags(low: number, high: number, level: number, efer: number): string[] {
  const flags: string[] = [];
  if (low & P) flags.push('P');
  flags.push(low & RW ? 'W' : 'R', low & US ? 'U' : 'S');
  if (high < 0 && efer & EFER_NXE) flags.push('XD');
  if (low & A) flags.push('A');
  const isLeaf = level === 0 || (low & PS) !== 0;
  if (isLeaf && low & D) flags.push('D');
  if (isLeaf && low & 0x100) flags.push('G');
  if (low & 8) flags.push('PWT');
  if (low & 16) flags.push('PCD');
  return flags;
}

/** Rights of all levels together. */
function pagingRights(rights: number, noExecute: number, context: Context): string {
  const executable = noExecute >= 0 || (context.words[EFER] & EFER_NXE) === 0;
  return `r${rights & RW ? 'w' : '-'}${executable ? 'x' : '-'} ${rights & US ? 'user' : 'supervisor'}`;
}
