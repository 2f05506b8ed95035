/**
 * Segment registers: descriptors in the GDT and LDT, the checks of a segment load, and what is put into the hidden part of the
 * register (SDM 3A 3.4, 5.5-5.7; vol 2 MOV, POP, LDS).
 *
 * Access rights are kept in the VMCS format, which is the descriptor's second dword shifted by 8 (limit bits masked).
 */
import {
  R, RU, CPL, CODE64, LMA, CR0, CR0_PE, EFLAGS, F_VM, GDTR_BASE, GDTR_LIMIT, MODE, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL,
  CS, SS, LDTR, FS, AR_P, AR_S, AR_G, AR_UNUSABLE, X_GP, X_NP, X_SS, MEMHI,
} from './state';
import { MODE_SIZE_MASK } from './record';
import { raiseError, raiseGp } from './fault';
import { loadSys64, storeSys8 } from './mmu/access';
import { updateMode } from './modes';

/** The descriptor that readDescriptor() found: first and second dword, and for 16-byte system descriptors the third and fourth. */
export const DESC = new Int32Array(4);
/** Linear address of that descriptor. */
export const DESC_AT = new Int32Array(2);

/** Type field (bits 3:0 of the access rights) of code segments: code, conforming, readable; of data: expand-down, writable. */
export const TYPE_CODE = 8, TYPE_CONFORMING = 4, TYPE_READABLE = 2, TYPE_WRITABLE = 2, TYPE_ACCESSED = 1;

/** Access rights of a data segment after reset: present, writable, accessed. */
const REAL_MODE_RIGHTS = AR_P | AR_S | TYPE_WRITABLE | TYPE_ACCESSED;

/** System descriptor types. */
export const SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6, SYS_TRAP16 = 7;
export const SYS_TSS = 9, SYS_TSS_BUSY = 11, SYS_CALL = 12, SYS_INT = 14, SYS_TRAP = 15;

/** True in protected mode proper: CR0.PE = 1 and not virtual-8086. */
export function isProtectedMode(): boolean {
  return (R[CR0] & CR0_PE) !== 0 && (R[EFLAGS] & F_VM) === 0;
}

/** True in virtual-8086 mode. */
export function isVirtual8086(): boolean {
  return (R[EFLAGS] & F_VM) !== 0 && (R[CR0] & CR0_PE) !== 0;
}

/** True for selectors 0 to 3. */
export function isNull(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}

/** True when a linear address (its high word) has bits 63:47 all equal. */
export function isCanonical(hi: number): boolean {
  return hi >> 15 === 0 || hi >> 15 === -1;
}

/** Finds the `bytes` bytes of a selector's descriptor; false when they lie outside the table. Address in DESC_AT. */
function locateDescriptor(selector: number, bytes: number): boolean {
  const offset = selector & 0xfff8;
  let lo: number, hi: number, limit: number;
  if (selector & 4) {
    if (R[SEG_AR + LDTR] & AR_UNUSABLE) return false;
    lo = R[SEG_BASE + 2 * LDTR];
    hi = R[SEG_BASE + 2 * LDTR + 1];
    limit = RU[SEG_LIMIT + LDTR];
  } else {
    lo = R[GDTR_BASE];
    hi = R[GDTR_BASE + 1];
    limit = R[GDTR_LIMIT] & 0xffff;
  }
  if (offset + bytes - 1 > limit) return false;
  const at = (lo + offset) | 0;
  DESC_AT[0] = at;
  DESC_AT[1] = R[LMA] !== 0 ? hi + (at >>> 0 < lo >>> 0 ? 1 : 0) : 0;
  return true;
}

/** Reads a selector's descriptor into DESC; false when it lies outside its table. Memory faults are raised. */
export function tryReadDescriptor(selector: number): boolean {
  if (!locateDescriptor(selector, 8)) return false;
  DESC[0] = loadSys64(DESC_AT[0], DESC_AT[1]);
  DESC[1] = R[MEMHI];
  DESC[2] = 0;
  DESC[3] = 0;
  return true;
}

/** Reads a selector's descriptor into DESC; raises `vector`(selector) when it lies outside its table. */
export function readDescriptor(selector: number, vector: number): void {
  if (!tryReadDescriptor(selector)) raiseError(vector, selector & 0xfffc);
}

/** In IA-32e mode, reads the upper half of the 16-byte system descriptor in DESC; raises `vector`(selector) outside the table. */
export function readDescriptorUpperHalf(selector: number, vector: number): void {
  if (R[LMA] === 0) return;
  if (!locateDescriptor(selector, 16)) raiseError(vector, selector & 0xfffc);
  const lo = (DESC_AT[0] + 8) | 0;
  DESC[2] = loadSys64(lo, DESC_AT[1] + (lo >>> 0 < 8 ? 1 : 0));
  DESC[3] = R[MEMHI];
  // The type field over there must be 0.
  if ((DESC[3] & 0x1f00) !== 0) raiseError(vector, selector & 0xfffc);
}

/** Access rights of the descriptor in DESC. */
export function descriptorRights(): number {
  return (DESC[1] >>> 8) & 0xf0ff;
}

/** Low word of the base of the descriptor in DESC. */
export function descriptorBase(): number {
  return (DESC[0] >>> 16) | ((DESC[1] & 0xff) << 16) | (DESC[1] & 0xff000000);
}

/** Limit in bytes (as int32) of the descriptor in DESC. */
export function descriptorLimit(): number {
  const limit = (DESC[0] & 0xffff) | (DESC[1] & 0xf0000);
  return (DESC[1] >>> 8) & AR_G ? (limit << 12) | 0xfff : limit;
}

/** DPL of the descriptor in DESC. */
export function descriptorDpl(): number {
  return (DESC[1] >>> 13) & 3;
}

/** Sets the accessed bit of the segment descriptor in DESC, in memory too. */
export function markAccessed(): void {
  if (DESC[1] & 0x100) return;
  DESC[1] |= 0x100;
  const lo = (DESC_AT[0] + 5) | 0;
  storeSys8(lo, DESC_AT[1] + (lo >>> 0 < 5 ? 1 : 0), DESC[1] >>> 8);
}

/** Sets or clears the busy bit of the TSS descriptor in DESC, in memory too. */
export function markBusy(busy: boolean): void {
  DESC[1] = busy ? DESC[1] | 0x200 : DESC[1] & ~0x200;
  const lo = (DESC_AT[0] + 5) | 0;
  storeSys8(lo, DESC_AT[1] + (lo >>> 0 < 5 ? 1 : 0), DESC[1] >>> 8);
}

/** Fills segment register s from DESC, without checks and without updateMode(). */
export function setSegmentFromDescriptor(s: number, selector: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_AR + s] = descriptorRights();
  R[SEG_LIMIT + s] = descriptorLimit();
  R[SEG_BASE + 2 * s] = descriptorBase();
  R[SEG_BASE + 2 * s + 1] = s >= LDTR ? DESC[2] : 0;
}

/** Fills segment register s with given values, without checks and without updateMode(). Base below 4 GiB. */
export function setSegment(s: number, selector: number, base: number, limit: number, ar: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_AR + s] = ar;
  R[SEG_LIMIT + s] = limit;
  R[SEG_BASE + 2 * s] = base;
  R[SEG_BASE + 2 * s + 1] = 0;
}

/** Puts a null selector into segment register s: unusable, base 0. For SS the DPL is what CPL is taken from. */
export function setNullSegment(s: number, selector: number): void {
  setSegment(s, selector, 0, 0, AR_UNUSABLE | (s === SS ? (selector & 3) << 5 : 0));
}

/**
 * Loads segment register s in real mode: base and selector change, limit and size stay ("unreal mode" relies on it); CS becomes
 * writable, as it is after reset. A register left null by protected mode becomes an ordinary real-mode one (SDM 3A 9.9.2 leaves that open).
 */
export function setRealModeSegment(s: number, selector: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_BASE + 2 * s] = selector << 4;
  R[SEG_BASE + 2 * s + 1] = 0;
  const old = R[SEG_AR + s];
  if (old & AR_UNUSABLE) {
    R[SEG_LIMIT + s] = 0xffff;
    R[SEG_AR + s] = REAL_MODE_RIGHTS;
    return;
  }
  let ar = (old & ~0x60) | AR_P | AR_S;
  if (s === CS || (old & 0xa) === 0) ar = (ar & ~15) | 3;
  R[SEG_AR + s] = ar;
}

/** Loads segment register s in virtual-8086 mode: everything is fixed but the base. */
export function setVirtual8086Segment(s: number, selector: number): void {
  setSegment(s, selector, selector << 4, 0xffff, 0xf3);
}

/**
 * Checks a selector for SS at privilege `cpl` and leaves its descriptor in DESC. Null, privilege and type errors raise `vector`(selector), an
 * absent segment #SS(selector) (SDM 3A 5.7, vol 2 MOV). Not for the null selectors that 64-bit mode allows.
 */
export function checkStackSegment(selector: number, cpl: number, vector: number): void {
  const code = selector & 0xfffc;
  if (code === 0) raiseError(vector, 0);
  readDescriptor(selector, vector);
  const ar = descriptorRights();
  if ((selector & 3) !== cpl || (ar & (AR_S | TYPE_CODE | TYPE_WRITABLE)) !== (AR_S | TYPE_WRITABLE) || ((ar >> 5) & 3) !== cpl) {
    raiseError(vector, code);
  }
  if ((ar & AR_P) === 0) raiseError(X_SS, code);
}

/** Checks a non-null selector for DS, ES, FS or GS and leaves its descriptor in DESC: #GP or `vector`(selector), #NP(selector). */
export function checkDataSegment(selector: number, cpl: number, vector: number): void {
  const code = selector & 0xfffc;
  readDescriptor(selector, vector);
  const ar = descriptorRights();
  if ((ar & AR_S) === 0 || (ar & (TYPE_CODE | TYPE_READABLE)) === TYPE_CODE) raiseError(vector, code);
  if ((ar & (TYPE_CODE | TYPE_CONFORMING)) !== (TYPE_CODE | TYPE_CONFORMING)) {
    const dpl = (ar >> 5) & 3;
    if ((selector & 3) > dpl || cpl > dpl) raiseError(vector, code);
  }
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
}

/** MOV, POP and LxS into ES, SS, DS, FS or GS, in whatever mode. Includes updateMode(). */
export function loadSegment(s: number, selector: number): void {
  if (!isProtectedMode()) {
    if (R[CR0] & CR0_PE) setVirtual8086Segment(s, selector);
    else setRealModeSegment(s, selector);
    if (s < FS) updateMode();
    return;
  }
  if (s === SS) {
    const cpl = R[CPL];
    if (isNull(selector)) {
      if (R[CODE64] === 0 || cpl === 3 || (selector & 3) !== cpl) raiseGp(0);
      setNullSegment(SS, selector);
    } else {
      checkStackSegment(selector, cpl, X_GP);
      markAccessed();
      setSegmentFromDescriptor(SS, selector);
    }
    updateMode();
    return;
  }
  if (isNull(selector)) setNullSegment(s, selector);
  else {
    checkDataSegment(selector, R[CPL], X_GP);
    markAccessed();
    setSegmentFromDescriptor(s, selector);
  }
  // In 64-bit code DS and ES do not matter for decoding; FS and GS never do.
  if (s < FS && (R[MODE] & MODE_SIZE_MASK) !== 2) updateMode();
}

/**
 * After a return to an outer ring: data segments that the new privilege may not use become null (SDM vol 2 RET, IRET). Only selector and
 * rights go, the bases of FS and GS stay: a hypervisor that enters a guest with a null FS that is usable counts on it, as KVM does in KVM.
 */
export function dropPrivilegedSegments(cpl: number): void {
  for (let s = 0; s <= 5; s++) {
    if (s === CS || s === SS) continue;
    const ar = R[SEG_AR + s];
    if (ar & AR_UNUSABLE) continue;
    const conforming = (ar & (TYPE_CODE | TYPE_CONFORMING)) === (TYPE_CODE | TYPE_CONFORMING);
    if (conforming || ((ar >> 5) & 3) >= cpl) continue;
    R[SEG_SEL + s] = 0;
    R[SEG_AR + s] = AR_UNUSABLE;
  }
}
