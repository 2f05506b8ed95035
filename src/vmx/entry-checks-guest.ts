/**
 * VM-entry checks of the guest-state area (SDM 3C 27.3.1). Each function returns GUEST_STATE_GOOD or the exit qualification of the failed
 * entry (0, 2 for a PDPTE, 4 for the link pointer; SDM 27.8). The checks of control registers and
 * of segments are skipped while nothing they depend on has been written since they last passed.
 */
import { physRead32, physRead64, physicalAddress } from '../cpu/mmu/physical';
import {
  CR0_PE, CR0_PG, CR4_PAE, CR4_PCIDE, MEMHI, R, F_IF, F_TF, F_VM, AR_DB, AR_G, AR_L, AR_P, AR_S, AR_UNUSABLE,
  CS, DS, ES, FS, GS, LDTR, SS, TR,
} from '../cpu/state';
import { V } from './vmcs';
import * as F from './fields';
import { cr0FixedBitsGood, cr4FixedBitsGood, SHADOW_INDICATOR, VMCS_REVISION, withinPhysicalWidth } from './capabilities';
import { secondaryControls } from './entry-checks-controls';
import { canonicalField, eferGood, patGood, perfGlobalGood } from './entry-checks-host';
import {
  BLOCKING_BY_MOV_SS, BLOCKING_BY_NMI, BLOCKING_BY_SMI, BLOCKING_BY_STI, ENTRY_IA32E_GUEST, ENTRY_LOAD_DEBUG, ENTRY_LOAD_EFER,
  ENTRY_LOAD_PAT, ENTRY_LOAD_PERF_GLOBAL, PIN_VIRTUAL_NMIS, PROC2_EPT, PROC2_UNRESTRICTED_GUEST, TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI, TYPE_OTHER, PROC2_VMCS_SHADOWING,
} from './controls';
import { CURRENT_VMCS } from './state';

export const GUEST_STATE_GOOD = -1;
const QUALIFICATION_PDPTE = 2, QUALIFICATION_LINK_POINTER = 4;

/** Bits of DEBUGCTL that this CPU has: LBR (storage only) and BTF. */
const DEBUGCTL_BITS = 3;
const DEBUGCTL_BTF = 2;
/** Reserved bits of RFLAGS: 31:22, 15, 5, 3. */
const RFLAGS_RESERVED = 0xffc08028 | 0;
/** Pending debug exceptions: B3-B0, enabled breakpoint (12), BS (14). */
const PENDING_DEBUG_BITS = 0x500f, PENDING_BS = 0x4000;
const ACTIVITY_ACTIVE = 0, ACTIVITY_HLT = 1, ACTIVITY_SHUTDOWN = 2, ACTIVITY_WAIT_FOR_SIPI = 3;

function isUnrestricted(): boolean {
  return (secondaryControls() & PROC2_UNRESTRICTED_GUEST) !== 0;
}

/** Control registers, debug registers and MSRs (27.3.1.1). */
export function guestControlRegistersGood(): boolean {
  const entry = V[F.ENTRY_CONTROLS];
  const cr0 = V[F.GUEST_CR0], cr4 = V[F.GUEST_CR4];
  const long = (entry & ENTRY_IA32E_GUEST) !== 0;
  if (!cr0FixedBitsGood(cr0, isUnrestricted()) || V[F.GUEST_CR0 + 1] !== 0) return false;
  if (cr0 & CR0_PG && !(cr0 & CR0_PE)) return false;
  if (!cr4FixedBitsGood(cr4) || V[F.GUEST_CR4 + 1] !== 0) return false;
  if (entry & ENTRY_LOAD_DEBUG) {
    if (V[F.GUEST_DEBUGCTL] & ~DEBUGCTL_BITS || V[F.GUEST_DEBUGCTL + 1] !== 0 || V[F.GUEST_DR7 + 1] !== 0) return false;
  }
  if (long) {
    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE)) return false;
  } else if (cr4 & CR4_PCIDE) return false;
  if (!withinPhysicalWidth(V[F.GUEST_CR3 + 1])) return false;
  if (!canonicalField(F.GUEST_SYSENTER_ESP) || !canonicalField(F.GUEST_SYSENTER_EIP)) return false;
  if (entry & ENTRY_LOAD_PAT && !patGood(V[F.GUEST_PAT], V[F.GUEST_PAT + 1])) return false;
  if (entry & ENTRY_LOAD_PERF_GLOBAL && !perfGlobalGood(F.GUEST_PERF_GLOBAL)) return false;
  return !(entry & ENTRY_LOAD_EFER) || eferGood(F.GUEST_EFER, long, (cr0 & CR0_PG) !== 0);
}

function selector(s: number): number { return V[F.GUEST_ES_SELECTOR + 2 * s]; }
function accessRights(s: number): number { return V[F.GUEST_ES_ACCESS_RIGHTS + 2 * s]; }
function isUsable(s: number): boolean { return (accessRights(s) & AR_UNUSABLE) === 0; }

/** Limit and granularity agree: G = 0 allows no limit above FFFFFh, G = 1 none whose low 12 bits are not all ones. */
function granularityGood(s: number): boolean {
  const limit = V[F.GUEST_ES_LIMIT + 2 * s] >>> 0;
  return accessRights(s) & AR_G ? (limit & 0xfff) === 0xfff : limit <= 0xfffff;
}

/** S and P are as `s` wants, no reserved bit is set, and the limit fits the granularity. */
function rightsGood(s: number, descriptorType: number): boolean {
  const ar = accessRights(s);
  return (ar & AR_S) === descriptorType && (ar & AR_P) !== 0 && (ar & 0xfffe0f00) === 0 && granularityGood(s);
}

/** ES..GS in virtual-8086 mode. */
function virtual8086Good(s: number): boolean {
  return V[F.GUEST_ES_BASE + 2 * s] === selector(s) << 4 && V[F.GUEST_ES_BASE + 2 * s + 1] === 0
    && V[F.GUEST_ES_LIMIT + 2 * s] === 0xffff && accessRights(s) === 0xf3;
}

/** Code segment outside virtual-8086 mode. */
function codeSegmentGood(unrestricted: boolean, long: boolean): boolean {
  const ar = accessRights(CS), type = ar & 15, dpl = (ar >> 5) & 3, stackDpl = (accessRights(SS) >> 5) & 3;
  if (type === 3) {
    if (!unrestricted || dpl !== 0) return false;
  } else if (type === 9 || type === 11) {
    if (dpl !== stackDpl) return false;
  } else if (type === 13 || type === 15) {
    if (dpl > stackDpl) return false;
  } else return false;
  if (!rightsGood(CS, AR_S)) return false;
  return !(long && ar & AR_L && ar & AR_DB);
}

function stackSegmentGood(unrestricted: boolean): boolean {
  const ar = accessRights(SS), type = ar & 15, dpl = (ar >> 5) & 3;
  if (!unrestricted && dpl !== (selector(SS) & 3)) return false;
  if (((accessRights(CS) & 15) === 3 || !(V[F.GUEST_CR0] & CR0_PE)) && dpl !== 0) return false;
  if (!isUsable(SS)) return true;
  return (type === 3 || type === 7) && rightsGood(SS, AR_S);
}

/** DS, ES, FS, GS outside virtual-8086 mode. */
function dataSegmentGood(s: number, unrestricted: boolean): boolean {
  if (!isUsable(s)) return true;
  const ar = accessRights(s), type = ar & 15;
  if (!(type & 1) || (type & 8 && !(type & 2))) return false;
  if (!unrestricted && type <= 11 && ((ar >> 5) & 3) < (selector(s) & 3)) return false;
  return rightsGood(s, AR_S);
}

/** Segment and descriptor-table registers (27.3.1.2, 27.3.1.3). */
export function guestSegmentsGood(): boolean {
  const long = (V[F.ENTRY_CONTROLS] & ENTRY_IA32E_GUEST) !== 0;
  const unrestricted = isUnrestricted();
  const virtual8086 = (V[F.GUEST_RFLAGS] & F_VM) !== 0;
  if (selector(TR) & 4 || (isUsable(LDTR) && selector(LDTR) & 4)) return false;
  if (virtual8086) {
    for (let s = ES; s <= GS; s++) if (!virtual8086Good(s)) return false;
  } else {
    if (!unrestricted && (selector(SS) & 3) !== (selector(CS) & 3)) return false;
    if (V[F.GUEST_ES_BASE + 2 * CS + 1] !== 0) return false;
    for (const s of [ES, SS, DS]) if (isUsable(s) && V[F.GUEST_ES_BASE + 2 * s + 1] !== 0) return false;
    if (!codeSegmentGood(unrestricted, long) || !stackSegmentGood(unrestricted)) return false;
    for (const s of [ES, DS, FS, GS]) if (!dataSegmentGood(s, unrestricted)) return false;
  }
  for (const s of [FS, GS, TR]) if (!canonicalField(F.GUEST_ES_BASE + 2 * s)) return false;

  const trType = accessRights(TR) & 15;
  if (!isUsable(TR) || !(trType === 11 || (trType === 3 && !long)) || !rightsGood(TR, 0)) return false;
  if (isUsable(LDTR)) {
    if ((accessRights(LDTR) & 15) !== 2 || !rightsGood(LDTR, 0) || !canonicalField(F.GUEST_ES_BASE + 2 * LDTR)) return false;
  }
  return canonicalField(F.GUEST_GDTR_BASE) && canonicalField(F.GUEST_IDTR_BASE)
    && V[F.GUEST_GDTR_LIMIT] >>> 16 === 0 && V[F.GUEST_IDTR_LIMIT] >>> 16 === 0;
}

/** An event may be injected in this activity state (27.3.1.5). */
function injectionFitsActivity(activity: number, info: number): boolean {
  const type = (info >> 8) & 7, vector = info & 0xff;
  switch (activity) {
    case ACTIVITY_ACTIVE: return true;
    case ACTIVITY_HLT:
      return type === TYPE_EXTERNAL || type === TYPE_NMI || type === TYPE_OTHER
        || (type === TYPE_HARDWARE_EXCEPTION && (vector === 1 || vector === 18));
    case ACTIVITY_SHUTDOWN: return type === TYPE_NMI || (type === TYPE_HARDWARE_EXCEPTION && vector === 18);
    default: return false;
  }
}

/** RIP and RFLAGS (27.3.1.4), activity, interruptibility, pending debug exceptions (27.3.1.5): made at every entry. */
export function guestNonRegisterStateGood(): boolean {
  const entry = V[F.ENTRY_CONTROLS], info = V[F.ENTRY_INTERRUPTION_INFO];
  const type = info < 0 ? (info >> 8) & 7 : -1;
  const rflags = V[F.GUEST_RFLAGS];
  const code64 = (entry & ENTRY_IA32E_GUEST) !== 0 && (accessRights(CS) & AR_L) !== 0;

  // In 64-bit code bits 63:48 must be equal, but bit 47 may differ: execution can have run past the last canonical address.
  const ripTop = V[F.GUEST_RIP + 1] >> 16;
  if (code64 ? ripTop !== 0 && ripTop !== -1 : V[F.GUEST_RIP + 1] !== 0) return false;
  if (rflags & RFLAGS_RESERVED || !(rflags & 2) || V[F.GUEST_RFLAGS + 1] !== 0) return false;
  if (rflags & F_VM && (entry & ENTRY_IA32E_GUEST || !(V[F.GUEST_CR0] & CR0_PE))) return false;
  if (type === TYPE_EXTERNAL && !(rflags & F_IF)) return false;

  const activity = V[F.GUEST_ACTIVITY];
  if (activity < ACTIVITY_ACTIVE || activity > ACTIVITY_WAIT_FOR_SIPI) return false;
  if (activity === ACTIVITY_HLT && accessRights(SS) & 0x60) return false;
  const blocking = V[F.GUEST_INTERRUPTIBILITY];
  if (activity !== ACTIVITY_ACTIVE && blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) return false;
  if (type >= 0 && !injectionFitsActivity(activity, info)) return false;

  if (blocking & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS | BLOCKING_BY_SMI | BLOCKING_BY_NMI)) return false;
  if (blocking & BLOCKING_BY_STI && (blocking & BLOCKING_BY_MOV_SS || !(rflags & F_IF))) return false;
  if (type === TYPE_EXTERNAL && blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) return false;
  if (blocking & BLOCKING_BY_SMI) return false;
  if (type === TYPE_NMI) {
    if (blocking & BLOCKING_BY_MOV_SS) return false;
    if (blocking & BLOCKING_BY_NMI && V[F.PIN_CONTROLS] & PIN_VIRTUAL_NMIS) return false;
  }

  const pending = V[F.GUEST_PENDING_DEBUG];
  if (pending & ~PENDING_DEBUG_BITS || V[F.GUEST_PENDING_DEBUG + 1] !== 0) return false;
  if (blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS) || activity === ACTIVITY_HLT) {
    const stepDue = (rflags & F_TF) !== 0 && (V[F.GUEST_DEBUGCTL] & DEBUGCTL_BTF) === 0;
    if (((pending & PENDING_BS) !== 0) !== stepDue) return false;
  }
  return true;
}

/** VMCS link pointer (27.3.1.5): ~0, or a VMCS region other than the current one. */
export function linkPointerGood(): boolean {
  const lo = V[F.VMCS_LINK_POINTER], hi = V[F.VMCS_LINK_POINTER + 1];
  if ((lo & hi) === -1) return true;
  if (lo & 0xfff || !withinPhysicalWidth(hi)) return false;
  if (lo === R[CURRENT_VMCS] && hi === R[CURRENT_VMCS + 1]) return false;
  // The shadow indicator is as the control says.
  const indicator = secondaryControls() & PROC2_VMCS_SHADOWING ? SHADOW_INDICATOR : 0;
  return physRead32(physicalAddress(lo, hi)) === (VMCS_REVISION | indicator);
}

/** Reserved bits of a present PDPTE in PAE paging: 2:1, 8:5 and the bits above MAXPHYADDR (SDM 3A table 4-8). */
export function pdpteGood(lo: number, hi: number): boolean {
  return (lo & 1) === 0 || ((lo & 0x1e6) === 0 && withinPhysicalWidth(hi));
}

/** The guest will use PAE paging. */
export function guestUsesPaePaging(): boolean {
  return (V[F.GUEST_CR0] & CR0_PG) !== 0 && (V[F.GUEST_CR4] & CR4_PAE) !== 0 && (V[F.ENTRY_CONTROLS] & ENTRY_IA32E_GUEST) === 0;
}

/** PDPTEs of a guest in PAE paging (27.3.1.6): from the VMCS with EPT, else from memory. */
function pdptesGood(): boolean {
  if (!guestUsesPaePaging()) return true;
  if (secondaryControls() & PROC2_EPT) {
    for (let i = 0; i < 8; i += 2) if (!pdpteGood(V[F.GUEST_PDPTE0 + i], V[F.GUEST_PDPTE0 + i + 1])) return false;
    return true;
  }
  const table = (V[F.GUEST_CR3] & ~31) >>> 0;
  for (let i = 0; i < 32; i += 8) {
    const lo = physRead64(table + i);
    if (!pdpteGood(lo, R[MEMHI])) return false;
  }
  return true;
}

/** Link pointer and PDPTEs, which lie in memory: made at every entry. Returns GUEST_STATE_GOOD or the qualification. */
export function guestMemoryStateQualification(): number {
  if (!linkPointerGood()) return QUALIFICATION_LINK_POINTER;
  return pdptesGood() ? GUEST_STATE_GOOD : QUALIFICATION_PDPTE;
}

