/**
 * VM-entry checks of the host-state area and of the address-space size (SDM 3C 27.2.2-27.2.4). Skipped while neither the area nor the
 * controls nor the CPU's own LMA have changed since they last passed.
 */
import { R, LMA, CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME } from '../cpu/state';
import { eferAllowedBits } from '../cpu/features';
import { isValidPerfGlobalControl } from '../cpu/msr';
import { V } from './vmcs';
import * as F from './fields';
import { cr0FixedBitsGood, cr4FixedBitsGood, withinPhysicalWidth } from './capabilities';
import { ENTRY_IA32E_GUEST, EXIT_HOST_64, EXIT_LOAD_EFER, EXIT_LOAD_PAT, EXIT_LOAD_PERF_GLOBAL } from './controls';

/** The 64-bit value at `word` is a canonical 48-bit linear address. */
export function canonicalField(word: number): boolean {
  const top = V[word + 1] >> 15;
  return top === 0 || top === -1;
}

/** Every byte of a PAT value names a memory type (0, 1, 4, 5, 6, 7). */
export function patGood(lo: number, hi: number): boolean {
  for (let shift = 0; shift < 32; shift += 8) {
    const a = (lo >>> shift) & 0xff, b = (hi >>> shift) & 0xff;
    if (a > 7 || b > 7 || a === 2 || a === 3 || b === 2 || b === 3) return false;
  }
  return true;
}

/** IA32_PERF_GLOBAL_CTRL can hold the value at `word`. */
export function perfGlobalGood(word: number): boolean {
  return isValidPerfGlobalControl(V[word], V[word + 1]);
}

/** An EFER field: no reserved bit, LMA and (if `lmeMatters`) LME equal to the address-space size of the VMCS. */
export function eferGood(word: number, long: boolean, lmeMatters: boolean): boolean {
  const efer = V[word];
  if (V[word + 1] !== 0 || efer & ~eferAllowedBits()) return false;
  if (((efer & EFER_LMA) !== 0) !== long) return false;
  return !lmeMatters || ((efer & EFER_LME) !== 0) === long;
}

/** Host selector: RPL and TI clear. */
function goodSelector(word: number): boolean {
  return (V[word] & 7) === 0;
}

/** All checks of host state; false = VM entry fails with error 8. */
export function hostStateGood(): boolean {
  const exit = V[F.EXIT_CONTROLS];
  const host64 = (exit & EXIT_HOST_64) !== 0;
  const cr4 = V[F.HOST_CR4];

  // 27.2.2 control registers and MSRs.
  if (!cr0FixedBitsGood(V[F.HOST_CR0], false) || V[F.HOST_CR0 + 1] !== 0) return false;
  if (!cr4FixedBitsGood(cr4) || V[F.HOST_CR4 + 1] !== 0) return false;
  if (!withinPhysicalWidth(V[F.HOST_CR3 + 1])) return false;
  if (!canonicalField(F.HOST_SYSENTER_ESP) || !canonicalField(F.HOST_SYSENTER_EIP)) return false;
  if (exit & EXIT_LOAD_PAT && !patGood(V[F.HOST_PAT], V[F.HOST_PAT + 1])) return false;
  if (exit & EXIT_LOAD_PERF_GLOBAL && !perfGlobalGood(F.HOST_PERF_GLOBAL)) return false;
  if (exit & EXIT_LOAD_EFER && !eferGood(F.HOST_EFER, host64, true)) return false;

  // 27.2.3 segment and descriptor-table registers.
  if (!goodSelector(F.HOST_ES_SELECTOR) || !goodSelector(F.HOST_CS_SELECTOR) || !goodSelector(F.HOST_SS_SELECTOR)
    || !goodSelector(F.HOST_DS_SELECTOR) || !goodSelector(F.HOST_FS_SELECTOR) || !goodSelector(F.HOST_GS_SELECTOR)
    || !goodSelector(F.HOST_TR_SELECTOR)) return false;
  if (V[F.HOST_CS_SELECTOR] === 0 || V[F.HOST_TR_SELECTOR] === 0) return false;
  if (!host64 && V[F.HOST_SS_SELECTOR] === 0) return false;
  if (!canonicalField(F.HOST_FS_BASE) || !canonicalField(F.HOST_GS_BASE) || !canonicalField(F.HOST_TR_BASE)
    || !canonicalField(F.HOST_GDTR_BASE) || !canonicalField(F.HOST_IDTR_BASE)) return false;

  // 27.2.4 address-space size.
  const guest64 = (V[F.ENTRY_CONTROLS] & ENTRY_IA32E_GUEST) !== 0;
  if (R[LMA] === 0 ? host64 || guest64 : !host64) return false;
  if (host64) return (cr4 & CR4_PAE) !== 0 && canonicalField(F.HOST_RIP);
  return !guest64 && (cr4 & CR4_PCIDE) === 0 && V[F.HOST_RIP + 1] === 0;
}
