/**
 * The current VMCS, decoded (SDM 3C 25.2): V holds the whole VMCS region, one 8-byte slot per field at the word index that fields.ts
 * gives. It is read from memory by VMPTRLD and written back by VMCLEAR, by VMPTRLD of another VMCS and by VMXOFF, so a region in memory is
 * self-contained after VMCLEAR, and an all-zero region (but for the revision) is a VMCS whose fields are all 0.
 */
import { physReadBytes, physRead32, physWrite32, physWriteBytes, physicalAddress } from '../cpu/mmu/physical';
import { R } from '../cpu/state';
import * as F from './fields';
import { CURRENT_VALID, CURRENT_VMCS, DIRTY, DIRTY_ALL, DIRTY_CONTROLS, DIRTY_GUEST_CR, DIRTY_GUEST_SEGMENTS, DIRTY_HOST } from './state';

/** The decoded current VMCS. */
export const V = new Int32Array(F.VMCS_WORDS);
const BYTES = new Uint8Array(V.buffer);

/** By word index: the groups of entry checks (DIRTY_*) that a change of the field makes necessary. */
export const FIELD_DIRTY = new Uint8Array(F.VMCS_WORDS);

/** Fields that no cached check depends on: they are checked at every entry, or not at all. */
const CHECKED_ALWAYS = new Set([
  F.TSC_OFFSET, F.EXCEPTION_BITMAP, F.PF_ERROR_MASK, F.PF_ERROR_MATCH, F.ENTRY_INTERRUPTION_INFO, F.ENTRY_EXCEPTION_ERROR, F.ENTRY_INSTRUCTION_LENGTH,
  F.CR0_MASK, F.CR4_MASK, F.CR0_SHADOW, F.CR4_SHADOW, F.HOST_RSP, F.GUEST_RSP, F.GUEST_RIP, F.GUEST_RFLAGS, F.GUEST_INTERRUPTIBILITY,
  F.GUEST_ACTIVITY, F.GUEST_PENDING_DEBUG, F.PREEMPTION_TIMER_VALUE, F.GUEST_INTERRUPT_STATUS, F.EOI_EXIT_BITMAP0, F.EOI_EXIT_BITMAP0 + 2,
  F.EOI_EXIT_BITMAP0 + 4, F.EOI_EXIT_BITMAP0 + 6, F.VMCS_LINK_POINTER, F.EXECUTIVE_VMCS, F.PML_INDEX, F.EPTP_INDEX, F.PLE_GAP, F.PLE_WINDOW,
]);
/** Words on which the other groups depend too. */
const CONTROL_WORDS = new Set([F.PIN_CONTROLS, F.PROCESSOR_CONTROLS, F.SECONDARY_CONTROLS, F.EXIT_CONTROLS, F.ENTRY_CONTROLS]);
const SEGMENT_NAME = /^guest (ES|CS|SS|DS|FS|GS|LDTR|TR|GDTR|IDTR) /;

for (const f of F.VMCS_FIELDS) {
  let groups = 0;
  if (CONTROL_WORDS.has(f.word)) groups = DIRTY_ALL;
  else if (f.word === F.GUEST_CR0) groups = DIRTY_GUEST_CR | DIRTY_GUEST_SEGMENTS;
  else if (CHECKED_ALWAYS.has(f.word) || f.area === 'information') groups = 0;
  else if (f.area === 'control') groups = DIRTY_CONTROLS;
  else if (f.area === 'host') groups = DIRTY_HOST;
  else groups = SEGMENT_NAME.test(f.name) ? DIRTY_GUEST_SEGMENTS : DIRTY_GUEST_CR;
  FIELD_DIRTY[f.word] = groups;
  FIELD_DIRTY[f.word + 1] = groups;
}

/** (lo, hi) is the current-VMCS pointer. */
export function isCurrentVmcs(lo: number, hi: number): boolean {
  return R[CURRENT_VALID] !== 0 && R[CURRENT_VMCS] === lo && R[CURRENT_VMCS + 1] === hi;
}

/** Writes the decoded VMCS back to its region and forgets it: there is no current VMCS afterwards. */
export function releaseVmcs(): void {
  if (R[CURRENT_VALID] === 0) return;
  physWriteBytes(physicalAddress(R[CURRENT_VMCS], R[CURRENT_VMCS + 1]), BYTES);
  R[CURRENT_VALID] = 0;
}

/** Makes the region at (lo, hi) the current VMCS; the previous one is written back. */
export function makeVmcsCurrent(lo: number, hi: number): void {
  if (isCurrentVmcs(lo, hi)) return;
  releaseVmcs();
  physReadBytes(physicalAddress(lo, hi), BYTES);
  R[CURRENT_VMCS] = lo;
  R[CURRENT_VMCS + 1] = hi;
  R[CURRENT_VALID] = 1;
  R[DIRTY] = DIRTY_ALL;
}

/** Revision word of the region at (lo, hi), shadow indicator included. */
export function regionRevision(lo: number, hi: number): number {
  if (isCurrentVmcs(lo, hi)) return V[F.REGION_REVISION];
  return physRead32(physicalAddress(lo, hi));
}

/** VMCLEAR: the region in memory is complete and its launch state is clear; if it was current there is no current VMCS any more. */
export function clearVmcs(lo: number, hi: number): void {
  if (isCurrentVmcs(lo, hi)) {
    V[F.REGION_LAUNCHED] = 0;
    releaseVmcs();
  } else {
    physWrite32(physicalAddress(lo, hi) + 4 * F.REGION_LAUNCHED, 0);
  }
}
