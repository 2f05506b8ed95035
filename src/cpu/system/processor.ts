/**
 * CPUID, RDMSR, WRMSR, RDTSC, RDTSCP, RDPMC, HLT, PAUSE, INVD, WBINVD, SWAPGS, RDFSBASE and its kin, and the instructions that are #UD on this model although their
 * encodings are taken (SDM vol 2).
 *
 * Caches are not modelled: INVD and WBINVD only check privilege.
 */
import {
  R, ACTIVITY, CPL, CR0, CR0_PE, CR4, CR4_FSGSBASE, CR4_PCE, CR4_TSD, FS, GS, KERNEL_GS_BASE, MEMHI, RAX, RBX, RCX, RDX, SEG_BASE, TSC_AUX,
} from '../state';
import type { Handler } from '../record';
import { recOperandSize, recRm } from '../record';
import { raiseGp, raiseUd } from '../fault';
import { endSliceNow } from '../clock';
import { CPUID_RESULT, cpuid } from '../cpuid';
import { msrValue, readMsr, writeMsr } from '../msr';
import { hasFeature } from '../features';
import { setReg } from '../operands';
import { isCanonical } from '../segments';
import { noteSpinning } from '../turn';
import { msrObserver } from '../../observe/exit-log';
import { interceptMsr, interceptPause, interceptSimple, tscWordsForGuest } from '../../vmx/intercepts';
import { readVirtualX2apic, virtualMsrValue, writeVirtualX2apic } from '../../vmx/apic-virtualization';
import { rdtscpEnabled } from '../../vmx/controls';
import {
  EXIT_REASON_CPUID, EXIT_REASON_HLT, EXIT_REASON_INVD, EXIT_REASON_RDPMC, EXIT_REASON_RDTSC, EXIT_REASON_RDTSCP,
  EXIT_REASON_WBINVD,
} from '../../vmx/exit-reasons';
import { isGuest, requireCpl0 } from './privilege';

const HALTED = 1;

function set32(word: number, value: number): void {
  R[word] = value;
  R[word + 1] = 0;
}

function executeCpuid(p: number): void {
  if (isGuest() && interceptSimple(EXIT_REASON_CPUID, p)) return;
  cpuid(R[RAX], R[RCX]);
  set32(RAX, CPUID_RESULT[0]);
  set32(RBX, CPUID_RESULT[1]);
  set32(RCX, CPUID_RESULT[2]);
  set32(RDX, CPUID_RESULT[3]);
}

function rdmsr(p: number): void {
  requireCpl0();
  const index = R[RCX];
  let value = msrValue;
  if (isGuest()) {
    if (interceptMsr(index, false, p)) return;
    if (readVirtualX2apic(index)) value = virtualMsrValue;
  }
  if (msrObserver !== null) msrObserver(index, false);
  if (value === msrValue && !readMsr(index)) raiseGp(0);
  set32(RAX, value[0]);
  set32(RDX, value[1]);
}

function wrmsr(p: number): void {
  requireCpl0();
  if (isGuest() && (interceptMsr(R[RCX], true, p) || writeVirtualX2apic(R[RCX], R[RAX], R[RDX]))) return;
  if (msrObserver !== null) msrObserver(R[RCX], true);
  if (!writeMsr(R[RCX], R[RAX], R[RDX])) raiseGp(0);
}

/** CR4.TSD restricts RDTSC and RDTSCP to ring 0. */
function checkTimeStampDisable(): void {
  if (R[CR4] & CR4_TSD && R[CPL] !== 0) raiseGp(0);
}

function giveTsc(): void {
  const lo = tscWordsForGuest();
  set32(RAX, lo);
  set32(RDX, R[MEMHI]);
}

function rdtsc(p: number): void {
  checkTimeStampDisable();
  if (isGuest() && interceptSimple(EXIT_REASON_RDTSC, p)) return;
  giveTsc();
}

function rdtscp(p: number): void {
  if (!hasFeature('rdtscp') || (isGuest() && !rdtscpEnabled())) raiseUd();
  checkTimeStampDisable();
  if (isGuest() && interceptSimple(EXIT_REASON_RDTSCP, p)) return;
  giveTsc();
  set32(RCX, R[TSC_AUX]);
}

/** The performance counters stand still at 0, as their MSRs do. */
const PERFORMANCE_COUNTERS = 8;

function rdpmc(p: number): void {
  if ((R[CR4] & CR4_PCE) === 0 && R[CPL] !== 0 && (R[CR0] & CR0_PE) !== 0) raiseGp(0);
  if (isGuest() && interceptSimple(EXIT_REASON_RDPMC, p)) return;
  if (R[RCX] >>> 0 >= PERFORMANCE_COUNTERS) raiseGp(0);
  set32(RAX, 0);
  set32(RDX, 0);
}

function hlt(p: number): void {
  requireCpl0();
  if (isGuest() && interceptSimple(EXIT_REASON_HLT, p)) return;
  R[ACTIVITY] = HALTED;
  endSliceNow();
}

function pause(p: number): void {
  if (isGuest() && interceptPause(p)) return;
  noteSpinning();
}

function invd(p: number): void {
  requireCpl0();
  if (isGuest()) interceptSimple(EXIT_REASON_INVD, p);
}

function wbinvd(p: number): void {
  requireCpl0();
  if (isGuest()) interceptSimple(EXIT_REASON_WBINVD, p);
}

function swapgs(): void {
  requireCpl0();
  const base = SEG_BASE + 2 * GS, lo = R[base], hi = R[base + 1];
  R[base] = R[KERNEL_GS_BASE];
  R[base + 1] = R[KERNEL_GS_BASE + 1];
  R[KERNEL_GS_BASE] = lo;
  R[KERNEL_GS_BASE + 1] = hi;
}

// --- RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE ---

function readBase(s: number): Handler {
  return (p) => {
    if ((R[CR4] & CR4_FSGSBASE) === 0) raiseUd();
    setReg(recRm(p), recOperandSize(p), R[SEG_BASE + 2 * s], R[SEG_BASE + 2 * s + 1]);
  };
}

function writeBase(s: number): Handler {
  return (p) => {
    if ((R[CR4] & CR4_FSGSBASE) === 0) raiseUd();
    const n = 2 * recRm(p), hi = recOperandSize(p) === 2 ? R[n + 1] : 0;
    if (!isCanonical(hi)) raiseGp(0);
    R[SEG_BASE + 2 * s] = R[n];
    R[SEG_BASE + 2 * s + 1] = hi;
  };
}

export const processorHandlers: Record<string, Handler> = {
  cpuid: executeCpuid, rdmsr, wrmsr, rdtsc, rdtscp, rdpmc, hlt, pause, invd, wbinvd, swapgs,
  rdfsbase: readBase(FS), rdgsbase: readBase(GS), wrfsbase: writeBase(FS), wrgsbase: writeBase(GS),
  ud: () => raiseUd(),
};
