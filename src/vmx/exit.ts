/**
 * VM exits (SDM 3C chapter 28): recording why, saving the guest, loading the host. The order of the SDM: exit information, guest state,
 * MSR-store list, host state, MSR-load list.
 *
 * Left out: SMM, Intel PT, CET, user interrupts, and the I/O RCX, RSI, RDI, RIP fields, which only SMM code may rely on.
 */
import {
  R, ACTIVITY, AR_UNUSABLE, CR0, CR3, CR4, CR4_PAE, CR4_PCIDE, CS, DEBUGCTL, DR7, DS, EFER, EFER_LMA, EFER_LME, ES, F_RF, FS,
  GDTR_BASE, GDTR_LIMIT, GS, IDTR_BASE, IDTR_LIMIT, INHIBIT, LDTR, LMA, NMI_BLOCKED, PAT, PDPTE, PENDING_DB, PERF_GLOBAL_CTRL, RIP, RSP, CR0_PG, RU, MEMHI,
  SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SIG_ATTENTION, SIGNALS, SS, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TR, VMX_MODE, VMX_ROOT, CURP, CODE64,
} from '../cpu/state';
import { endSliceNow } from '../cpu/clock';
import { getFlags, setFlags } from '../cpu/flags';
import { recLength } from '../cpu/record';
import { rewindToInstruction } from '../cpu/rip';
import { updateMode } from '../cpu/modes';
import { platform } from '../cpu/platform';
import { physRead64, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { flushVpid0 } from '../cpu/mmu/tlb';
import { exitCounts, exitObserver } from '../observe/exit-log';
import { noteExit } from '../observe/guests';
import { V } from './vmcs';
import * as F from './fields';
import {
  BLOCKING_BY_NMI, eptEnabled, ENTRY_IA32E_GUEST, EXIT_HOST_64, EXIT_LOAD_EFER, EXIT_LOAD_PAT, EXIT_LOAD_PERF_GLOBAL, EXIT_SAVE_DEBUG, EXIT_SAVE_EFER, EXIT_SAVE_PAT,
  EXIT_SAVE_PREEMPTION_TIMER, INFO_HAS_ERROR, INFO_NMI_UNBLOCKED, INFO_VALID, TYPE_SOFTWARE_INTERRUPT, virtualNmis, vpidEnabled,
} from './controls';
import { pdpteGood } from './entry-checks-guest';
import { EXIT_REASON_ENTRY_FAILURE } from './exit-reasons';
import { loadMsrList, storeMsrList } from './msr-lists';
import {
  APIC_EXIT_REASON, CURRENT_VMCS, DELIVERY_ERROR, DELIVERY_INFO, DELIVERY_LENGTH, MTF_PENDING, PIN, PROC, PROC2, VIRTUAL_NMI_BLOCKED,
} from './state';
import { activateHostTranslation } from './translation';
import { interruptShadow, iretJustUnblockedNmi, preemptionTimerLeft } from './windows';

/** CR0 bits that VM entry and VM exit leave as they are: ET, NW, CD and the reserved bits. */
export const CR0_KEPT = 0x7ffaffd0 | 0;
/** VMX-abort indicators (SDM 3C 28.7). */
const ABORT_MSR_STORE = 1, ABORT_HOST_PDPTE = 2, ABORT_MSR_LOAD = 4;

const PENDING_DB_CONDITIONS = 0xf, PENDING_DB_BS = 0x4000, PENDING_DB_ENABLED_BREAKPOINT = 0x1000;

const HOST_CODE_AR = 0xa09b, HOST_CODE_32_AR = 0xc09b, HOST_DATA_AR = 0xc093, HOST_TSS_AR = 0x8b;

// --- Guest state (28.3) ---

/** Saves the guest's registers; `shadow` is the interrupt shadow at the exit, `rflags` the image to save. RIP is taken as it is. */
function saveGuestState(rflags: number, shadow: number): void {
  const controls = V[F.EXIT_CONTROLS];
  V[F.GUEST_CR0] = R[CR0];
  V[F.GUEST_CR0 + 1] = 0;
  V[F.GUEST_CR3] = R[CR3];
  V[F.GUEST_CR3 + 1] = R[CR3 + 1];
  V[F.GUEST_CR4] = R[CR4];
  V[F.GUEST_CR4 + 1] = 0;
  if (controls & EXIT_SAVE_DEBUG) {
    V[F.GUEST_DR7] = R[DR7];
    V[F.GUEST_DR7 + 1] = 0;
    V[F.GUEST_DEBUGCTL] = R[DEBUGCTL];
    V[F.GUEST_DEBUGCTL + 1] = R[DEBUGCTL + 1];
  }
  if (controls & EXIT_SAVE_PAT) {
    V[F.GUEST_PAT] = R[PAT];
    V[F.GUEST_PAT + 1] = R[PAT + 1];
  }
  if (controls & EXIT_SAVE_EFER) {
    V[F.GUEST_EFER] = R[EFER];
    V[F.GUEST_EFER + 1] = 0;
  }
  V[F.GUEST_SYSENTER_CS] = R[SYSENTER_CS];
  V[F.GUEST_SYSENTER_ESP] = R[SYSENTER_ESP];
  V[F.GUEST_SYSENTER_ESP + 1] = R[SYSENTER_ESP + 1];
  V[F.GUEST_SYSENTER_EIP] = R[SYSENTER_EIP];
  V[F.GUEST_SYSENTER_EIP + 1] = R[SYSENTER_EIP + 1];
  for (let s = 0; s < 8; s++) {
    const n = 2 * s;
    V[F.GUEST_ES_SELECTOR + n] = R[SEG_SEL + s];
    V[F.GUEST_ES_LIMIT + n] = R[SEG_LIMIT + s];
    V[F.GUEST_ES_ACCESS_RIGHTS + n] = R[SEG_AR + s];
    V[F.GUEST_ES_BASE + n] = R[SEG_BASE + n];
    V[F.GUEST_ES_BASE + n + 1] = R[SEG_BASE + n + 1];
  }
  V[F.GUEST_GDTR_LIMIT] = R[GDTR_LIMIT];
  V[F.GUEST_IDTR_LIMIT] = R[IDTR_LIMIT];
  V[F.GUEST_GDTR_BASE] = R[GDTR_BASE];
  V[F.GUEST_GDTR_BASE + 1] = R[GDTR_BASE + 1];
  V[F.GUEST_IDTR_BASE] = R[IDTR_BASE];
  V[F.GUEST_IDTR_BASE + 1] = R[IDTR_BASE + 1];
  V[F.GUEST_RSP] = R[RSP];
  V[F.GUEST_RSP + 1] = R[RSP + 1];
  V[F.GUEST_RIP] = R[RIP];
  V[F.GUEST_RIP + 1] = R[RIP + 1];
  V[F.GUEST_RFLAGS] = rflags;
  V[F.GUEST_RFLAGS + 1] = 0;

  const nmiBlocked = virtualNmis() ? R[VIRTUAL_NMI_BLOCKED] : R[NMI_BLOCKED];
  V[F.GUEST_INTERRUPTIBILITY] = shadow | (nmiBlocked !== 0 ? BLOCKING_BY_NMI : 0);
  V[F.GUEST_ACTIVITY] = R[ACTIVITY];
  const pending = R[PENDING_DB];
  V[F.GUEST_PENDING_DEBUG] = pending === 0 ? 0
    : (pending & (PENDING_DB_CONDITIONS | PENDING_DB_BS)) | (pending & PENDING_DB_CONDITIONS ? PENDING_DB_ENABLED_BREAKPOINT : 0);
  V[F.GUEST_PENDING_DEBUG + 1] = 0;
  // MSR 485h bit 5: the guest's LMA is stored in the entry controls.
  V[F.ENTRY_CONTROLS] = R[LMA] !== 0 ? V[F.ENTRY_CONTROLS] | ENTRY_IA32E_GUEST : V[F.ENTRY_CONTROLS] & ~ENTRY_IA32E_GUEST;
  if (eptEnabled()) for (let i = 0; i < 8; i++) V[F.GUEST_PDPTE0 + i] = R[PDPTE + i];
  if (controls & EXIT_SAVE_PREEMPTION_TIMER) V[F.PREEMPTION_TIMER_VALUE] = preemptionTimerLeft();
}

// --- Host state (28.5) ---

function loadHostSegment(s: number, selectorWord: number, ar: number): void {
  const selector = V[selectorWord];
  R[SEG_SEL + s] = selector;
  R[SEG_AR + s] = selector === 0 && s !== CS ? AR_UNUSABLE : ar;
  R[SEG_LIMIT + s] = -1;
  R[SEG_BASE + 2 * s] = 0;
  R[SEG_BASE + 2 * s + 1] = 0;
}

/** PDPTEs of a host in PAE paging: false if one has reserved bits set. */
function loadHostPdptes(): boolean {
  const table = (V[F.HOST_CR3] & ~31) >>> 0;
  for (let i = 0; i < 4; i++) {
    const lo = physRead64(table + 8 * i);
    if (!pdpteGood(lo, R[MEMHI])) return false;
    R[PDPTE + 2 * i] = lo;
    R[PDPTE + 2 * i + 1] = R[MEMHI];
  }
  return true;
}

/** Loads the host-state area and enters VMX root operation. Returns 0 or the VMX-abort indicator. */
function loadHostState(): number {
  const controls = V[F.EXIT_CONTROLS];
  const host64 = (controls & EXIT_HOST_64) !== 0;
  R[CR0] = (R[CR0] & CR0_KEPT) | (V[F.HOST_CR0] & ~CR0_KEPT);
  R[CR3] = V[F.HOST_CR3];
  R[CR3 + 1] = V[F.HOST_CR3 + 1];
  R[CR4] = host64 ? V[F.HOST_CR4] | CR4_PAE : V[F.HOST_CR4] & ~CR4_PCIDE;
  R[DR7] = 0x400;
  R[DEBUGCTL] = R[DEBUGCTL + 1] = 0;
  R[SYSENTER_CS] = V[F.HOST_SYSENTER_CS];
  R[SYSENTER_ESP] = V[F.HOST_SYSENTER_ESP];
  R[SYSENTER_ESP + 1] = V[F.HOST_SYSENTER_ESP + 1];
  R[SYSENTER_EIP] = V[F.HOST_SYSENTER_EIP];
  R[SYSENTER_EIP + 1] = V[F.HOST_SYSENTER_EIP + 1];
  if (controls & EXIT_LOAD_EFER) R[EFER] = V[F.HOST_EFER];
  else R[EFER] = host64 ? R[EFER] | EFER_LMA | EFER_LME : R[EFER] & ~(EFER_LMA | EFER_LME);
  if (controls & EXIT_LOAD_PAT) {
    R[PAT] = V[F.HOST_PAT];
    R[PAT + 1] = V[F.HOST_PAT + 1];
  }
  if (controls & EXIT_LOAD_PERF_GLOBAL) {
    R[PERF_GLOBAL_CTRL] = V[F.HOST_PERF_GLOBAL];
    R[PERF_GLOBAL_CTRL + 1] = V[F.HOST_PERF_GLOBAL + 1];
  }

  loadHostSegment(CS, F.HOST_CS_SELECTOR, host64 ? HOST_CODE_AR : HOST_CODE_32_AR);
  loadHostSegment(SS, F.HOST_SS_SELECTOR, HOST_DATA_AR);
  loadHostSegment(DS, F.HOST_DS_SELECTOR, HOST_DATA_AR);
  loadHostSegment(ES, F.HOST_ES_SELECTOR, HOST_DATA_AR);
  loadHostSegment(FS, F.HOST_FS_SELECTOR, HOST_DATA_AR);
  loadHostSegment(GS, F.HOST_GS_SELECTOR, HOST_DATA_AR);
  R[SEG_BASE + 2 * FS] = V[F.HOST_FS_BASE];
  R[SEG_BASE + 2 * FS + 1] = V[F.HOST_FS_BASE + 1];
  R[SEG_BASE + 2 * GS] = V[F.HOST_GS_BASE];
  R[SEG_BASE + 2 * GS + 1] = V[F.HOST_GS_BASE + 1];
  R[SEG_SEL + TR] = V[F.HOST_TR_SELECTOR];
  R[SEG_AR + TR] = HOST_TSS_AR;
  R[SEG_LIMIT + TR] = 0x67;
  R[SEG_BASE + 2 * TR] = V[F.HOST_TR_BASE];
  R[SEG_BASE + 2 * TR + 1] = V[F.HOST_TR_BASE + 1];
  R[SEG_SEL + LDTR] = 0;
  R[SEG_AR + LDTR] = AR_UNUSABLE;
  R[SEG_LIMIT + LDTR] = 0;
  R[SEG_BASE + 2 * LDTR] = R[SEG_BASE + 2 * LDTR + 1] = 0;
  R[GDTR_BASE] = V[F.HOST_GDTR_BASE];
  R[GDTR_BASE + 1] = V[F.HOST_GDTR_BASE + 1];
  R[IDTR_BASE] = V[F.HOST_IDTR_BASE];
  R[IDTR_BASE + 1] = V[F.HOST_IDTR_BASE + 1];
  R[GDTR_LIMIT] = R[IDTR_LIMIT] = 0xffff;

  R[RIP] = V[F.HOST_RIP];
  R[RIP + 1] = V[F.HOST_RIP + 1];
  R[RSP] = V[F.HOST_RSP];
  R[RSP + 1] = V[F.HOST_RSP + 1];
  setFlags(2);

  R[INHIBIT] = 0;
  R[PENDING_DB] = 0;
  R[ACTIVITY] = 0;
  const vpid = vpidEnabled();
  R[VMX_MODE] = VMX_ROOT;
  R[PIN] = R[PROC] = R[PROC2] = 0;
  R[DELIVERY_INFO] = 0;
  R[MTF_PENDING] = R[APIC_EXIT_REASON] = 0;
  R[SIGNALS] &= ~SIG_ATTENTION;
  if (R[SIGNALS] !== 0) endSliceNow();

  activateHostTranslation();
  let abort = 0;
  if (!host64 && (R[CR4] & CR4_PAE) !== 0 && (R[CR0] & CR0_PG) !== 0 && !loadHostPdptes()) abort = ABORT_HOST_PDPTE;
  if (!vpid) flushVpid0();
  updateMode();
  return abort;
}

/** The processor gives up on the VMCS (28.7): the reason is left in its region and the vCPU shuts down. */
function vmxAbort(indicator: number): void {
  V[F.REGION_ABORT] = indicator;
  physWrite32(physicalAddress(R[CURRENT_VMCS], R[CURRENT_VMCS + 1]) + 4, indicator);
  R[ACTIVITY] = 2;
  platform.shutdown(`VMX abort ${indicator}: ${['', 'MSR-store list', 'host PDPTE', '', 'MSR-load list'][indicator]}`);
}

function enterHost(): void {
  const abort = loadHostState();
  if (abort !== 0) vmxAbort(abort);
  else if (V[F.EXIT_MSR_LOAD_COUNT] !== 0 && loadMsrList(F.EXIT_MSR_LOAD_ADDRESS, F.EXIT_MSR_LOAD_COUNT) !== 0) vmxAbort(ABORT_MSR_LOAD);
}

// --- The exit itself ---

/** IDT-vectoring information (28.2.4): the event whose delivery this exit interrupts. */
function recordVectoring(): void {
  const info = R[DELIVERY_INFO];
  V[F.IDT_VECTORING_INFO] = info;
  if (info >= 0) return;
  if (info & INFO_HAS_ERROR) V[F.IDT_VECTORING_ERROR] = R[DELIVERY_ERROR];
  if (((info >> 8) & 7) >= TYPE_SOFTWARE_INTERRUPT) V[F.EXIT_INSTRUCTION_LENGTH] = R[DELIVERY_LENGTH];
}

/**
 * Performs a VM exit. RIP and all other registers hold what is to be saved; instruction length and information, guest-linear and
 * guest-physical address have been put into V by the caller where the reason defines them.
 */
export function vmExit(
  reason: number, qualificationLo: number, qualificationHi: number, interruptionInfo: number, rflags: number, shadow: number,
): void {
  V[F.EXIT_REASON] = reason;
  V[F.EXIT_QUALIFICATION] = qualificationLo;
  V[F.EXIT_QUALIFICATION + 1] = qualificationHi;
  V[F.EXIT_INTERRUPTION_INFO] = interruptionInfo;
  recordVectoring();
  V[F.ENTRY_INTERRUPTION_INFO] &= ~INFO_VALID;
  exitCounts[reason]++;
  saveGuestState(rflags, shadow);
  if (exitObserver !== null) exitObserver(reason, qualificationLo, R[RIP], R[RIP + 1]);
  noteExit(reason);
  if (V[F.EXIT_MSR_STORE_COUNT] !== 0 && !storeMsrList()) vmxAbort(ABORT_MSR_STORE);
  else enterHost();
}

/** Exit caused by the instruction of record p (fault-like: RIP is saved as its start); `info` is the instruction information. Returns true. */
export function exitForInstruction(p: number, reason: number, qualificationLo: number, qualificationHi: number, info: number): boolean {
  V[F.EXIT_INSTRUCTION_LENGTH] = recLength(p);
  V[F.EXIT_INSTRUCTION_INFO] = info;
  const shadow = interruptShadow();
  rewindToInstruction();
  vmExit(reason, qualificationLo, qualificationHi, 0, getFlags() & ~F_RF, shadow);
  return true;
}

/** Exit at an instruction boundary, RIP exact. Returns true. */
export function exitAtBoundary(reason: number, interruptionInfo: number, qualification = 0): boolean {
  R[CURP] = 0;
  vmExit(reason, qualification, 0, interruptionInfo, getFlags(), interruptShadow());
  return true;
}

/** Interruption information with bit 12 if the exit hit an IRET that had just unblocked NMIs and no event delivery was under way. */
export function withNmiUnblocking(info: number): number {
  return R[DELIVERY_INFO] >= 0 && iretJustUnblockedNmi(R[CURP] === 0) ? info | INFO_NMI_UNBLOCKED : info;
}

/**
 * A VM entry that failed after the host-state checks (27.8): only reason and qualification are recorded, the guest area stays, host state and MSR-load list
 * are loaded. `basicReason` is 33 or 34.
 */
export function exitForFailedEntry(basicReason: number, qualification: number): void {
  V[F.EXIT_REASON] = basicReason | EXIT_REASON_ENTRY_FAILURE;
  V[F.EXIT_QUALIFICATION] = qualification;
  V[F.EXIT_QUALIFICATION + 1] = 0;
  exitCounts[basicReason]++;
  if (exitObserver !== null) exitObserver(basicReason | EXIT_REASON_ENTRY_FAILURE, qualification, V[F.GUEST_RIP], V[F.GUEST_RIP + 1]);
  R[CURP] = 0;
  enterHost();
}

/** Moves RIP back by `length` bytes. */
export function rewindRipBy(length: number): void {
  const lo = R[RIP];
  R[RIP] = lo - length;
  if (RU[RIP] > lo >>> 0 && R[CODE64] !== 0) R[RIP + 1]--;
}
