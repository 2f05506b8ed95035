/**
 * What a write to a control or debug register does: the checks, the consequences for paging and mode, and the flushes (SDM 3A 2.5, 4.1.2,
 * 4.10.4.1, 10.8.5; 3B 18.2; VMX fixed bits 3C 24.8).
 *
 * The write functions raise #GP(0) and change nothing when the value is not allowed. Privilege and VM exits are the instructions' business.
 */
import {
  R, CODE64, CR0, CR0_AM, CR0_CD, CR0_EM, CR0_ET, CR0_MP, CR0_NE, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR3, CR4, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PSE, CR4_SMEP,
  DR0, DR6, DR7, EFER, EFER_LMA, EFER_LME, EFER_NXE, LMA, MISC_ENABLE, SEG_AR, CS, AR_L, X_TS,
} from './state';
import { raiseError, raiseGp } from './fault';
import { endSliceNow } from './clock';
import { cpuConfig, cr4AllowedBits, eferAllowedBits } from './features';
import { flushAll, flushNonGlobal, switchPcid, updateDataBreakpoints } from './mmu/tlb';
import { loadPdptes } from './mmu/paging';
import { updateMode } from './modes';
import { cr0AllowedByVmx, cr4AllowedByVmx } from '../vmx/capabilities';

const CR0_DEFINED = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

/** True when PAE paging with its four registers is in use for the given CR0, CR4 and EFER. */
function usesPdptes(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 && (efer & EFER_LMA) === 0;
}

/** Writes CR0 (the high word is 0; reserved bits are ignored). */
export function writeCr0(value: number): void {
  const old = R[CR0], cr4 = R[CR4];
  const cr0 = (value & CR0_DEFINED) | CR0_ET;
  if ((cr0 & (CR0_PG | CR0_PE)) === CR0_PG || (cr0 & (CR0_NW | CR0_CD)) === CR0_NW || !cr0AllowedByVmx(cr0)) raiseGp(0);
  const changed = old ^ cr0;
  let efer = R[EFER];
  if (changed & CR0_PG) {
    if (cr0 & CR0_PG) {
      if (efer & EFER_LME) {
        if ((cr4 & CR4_PAE) === 0 || R[SEG_AR + CS] & AR_L) raiseGp(0);
        efer |= EFER_LMA;
      }
    } else {
      if (R[CODE64] || cr4 & CR4_PCIDE) raiseGp(0);
      efer &= ~EFER_LMA;
    }
  }
  if (changed & (CR0_PG | CR0_CD | CR0_NW) && usesPdptes(cr0, cr4, efer) && !loadPdptes(R[CR3])) raiseGp(0);
  R[CR0] = cr0;
  R[EFER] = efer;
  if (changed & CR0_PG) flushAll();
  updateMode();
}

/** Writes CR3. With process-context identifiers bit 63 asks that nothing be flushed; it is not stored. */
export function writeCr3(lo: number, hi: number): void {
  const tagged = (R[CR4] & CR4_PCIDE) !== 0;
  const high = tagged ? hi & 0x7fffffff : hi;
  if (high >>> (cpuConfig.physicalAddressBits - 32) !== 0) raiseGp(0);
  if (usesPdptes(R[CR0], R[CR4], R[EFER]) && !loadPdptes(lo)) raiseGp(0);
  R[CR3] = lo;
  R[CR3 + 1] = high;
  if (tagged && hi < 0) switchPcid();
  else flushNonGlobal();
  updateMode();
}

/** The CR3 load of a task switch: bad PDPTEs are #TS(0) of the new task. */
export function loadCr3ForTask(cr3: number): void {
  if (usesPdptes(R[CR0], R[CR4], R[EFER]) && !loadPdptes(cr3)) raiseError(X_TS, 0);
  R[CR3] = cr3;
  R[CR3 + 1] = 0;
  flushNonGlobal();
}

/** Writes CR4. */
export function writeCr4(lo: number, hi: number): void {
  if (hi !== 0 || (lo & ~cr4AllowedBits()) !== 0 || !cr4AllowedByVmx(lo)) raiseGp(0);
  if (R[LMA] && (lo & CR4_PAE) === 0) raiseGp(0);
  const changed = R[CR4] ^ lo;
  if (changed & lo & CR4_PCIDE && (R[LMA] === 0 || (R[CR3] & 0xfff) !== 0)) raiseGp(0);
  const pagingBits = CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP;
  if (changed & pagingBits && usesPdptes(R[CR0], lo, R[EFER]) && !loadPdptes(R[CR3])) raiseGp(0);
  R[CR4] = lo;
  if (changed & pagingBits || changed & ~lo & CR4_PCIDE) flushAll();
  updateMode();
}

/** Writes IA32_EFER; LMA is read-only. False: #GP. */
export function writeEfer(lo: number, hi: number): boolean {
  const old = R[EFER];
  // IA32_MISC_ENABLE[34] takes NX away.
  const allowed = R[MISC_ENABLE + 1] & 4 ? eferAllowedBits() & ~EFER_NXE : eferAllowedBits();
  if (hi !== 0 || (lo & ~allowed) !== 0) return false;
  if ((lo ^ old) & EFER_LME && R[CR0] & CR0_PG) return false;
  R[EFER] = (lo & ~EFER_LMA) | (old & EFER_LMA);
  updateMode();
  return true;
}

/** LMSW: PE, MP, EM, TS from a 16-bit value; PE cannot be cleared. */
export function machineStatusWord(value: number): number {
  const old = R[CR0];
  return (old & ~(CR0_MP | CR0_EM | CR0_TS)) | (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
}

// --- Debug registers ---

const DR6_FIXED_ONES = 0xffff0ff0 | 0, DR6_WRITABLE = 0xe00f;
export const DR7_FIXED_ONES = 0x400, DR7_WRITABLE = 0xffff23ff | 0;
const DR7_ENABLES = 0xff;

/** Writes debug register 0-3, 6 or 7. High words of DR6 and DR7 must be 0. */
export function writeDebugRegister(n: number, lo: number, hi: number): void {
  if (n >= 6 && hi !== 0) raiseGp(0);
  if (n === 6) R[DR6] = (lo & DR6_WRITABLE) | DR6_FIXED_ONES;
  else {
    if (n === 7) R[DR7] = (lo & DR7_WRITABLE) | DR7_FIXED_ONES;
    else {
      R[DR0 + 2 * n] = lo;
      R[DR0 + 2 * n + 1] = hi;
    }
    updateDataBreakpoints();
    updateMode();
    // Instruction breakpoints are the run loop's.
    if (R[DR7] & DR7_ENABLES) endSliceNow();
  }
}

/** Low word of debug register 0-3, 6 or 7. */
export function debugRegisterLo(n: number): number {
  return n === 6 ? R[DR6] : n === 7 ? R[DR7] : R[DR0 + 2 * n];
}

/** High word of debug register 0-3, 6 or 7. */
export function debugRegisterHi(n: number): number {
  return n >= 6 ? 0 : R[DR0 + 2 * n + 1];
}
