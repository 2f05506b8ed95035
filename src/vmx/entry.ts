/**
 * VM entry (SDM 3C chapter 27): checks, loading of guest state, MSR-load list, event injection.
 */
import {
  R, ACTIVITY, CR0, CR0_PG, CR3, CR4, CURP, DEBUGCTL, DR7, EFER, EFER_LMA, EFER_LME, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, INHIBIT,
  LMA, MEMHI, NMI_BLOCKED, PAT, PDPTE, PENDING_DB, PERF_GLOBAL_CTRL, RIP, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP,
  VMX_MODE, VMX_NON_ROOT, CODE64, EFLAGS, F_RF, F_VM, RF64,
} from '../cpu/state';
import { DR7_FIXED_ONES, DR7_WRITABLE } from '../cpu/control-registers';
import { setFlags } from '../cpu/flags';
import { deliverEvent } from '../cpu/interrupts';
import { updateMode } from '../cpu/modes';
import { startResumeFlag } from '../cpu/resume-flag';
import { physRead64, physicalAddress } from '../cpu/mmu/physical';
import { forgetFlagsSet } from '../cpu/mmu/ept';
import { flushVpid0 } from '../cpu/mmu/tlb';
import { noteEntry } from '../observe/guests';
import { V } from './vmcs';
import * as F from './fields';
import { controlsGood, controlsGoodThisTime, secondaryControls } from './entry-checks-controls';
import { hostStateGood } from './entry-checks-host';
import {
  GUEST_STATE_GOOD, guestControlRegistersGood, guestMemoryStateQualification, guestNonRegisterStateGood, guestSegmentsGood, guestUsesPaePaging,
} from './entry-checks-guest';
import {
  BLOCKING_BY_MOV_SS, BLOCKING_BY_NMI, ENTRY_IA32E_GUEST, ENTRY_LOAD_DEBUG, ENTRY_LOAD_EFER, ENTRY_LOAD_PAT, ENTRY_LOAD_PERF_GLOBAL, INFO_HAS_ERROR, TYPE_NMI, TYPE_OTHER,
  TYPE_SOFTWARE_EXCEPTION, TYPE_SOFTWARE_INTERRUPT, eptEnabled, virtualNmis, vpidEnabled,
} from './controls';
import { CR0_KEPT, exitForFailedEntry } from './exit';
import { EXIT_REASON_ENTRY_GUEST_STATE, EXIT_REASON_ENTRY_MSR_LOAD } from './exit-reasons';
import { loadMsrList } from './msr-lists';
import {
  CHECKED_GUEST_VM, CHECKED_HOST_LMA, CURRENT_VMCS, DELIVERY_INFO, DIRTY, DIRTY_CONTROLS, DIRTY_GUEST_CR, DIRTY_GUEST_SEGMENTS, DIRTY_HOST,
  APIC_EXIT_REASON, IRET_UNBLOCKED_AT, MTF_PENDING, PIN, PROC, PROC2, VIRTUAL_NMI_BLOCKED,
} from './state';
import { activateGuestTranslation } from './translation';
import { startVirtualInterrupts } from './virtual-interrupts';
import { armBoundaryEvents, setInterruptShadow, shadowFromInterruptibility, startPreemptionTimer } from './windows';

const ERROR_INVALID_CONTROLS = 7, ERROR_INVALID_HOST = 8;

/** Pending debug exceptions: an enabled breakpoint was met, or a single step ended. Bits 3:0 alone are no event. */
const PENDING_ENABLED_BREAKPOINT = 0x1000, PENDING_BS = 0x4000;

// --- Checks (27.2, 27.3.1) ---

/** Checks of controls and host state: 0, or the VM-instruction error. */
function checkControlsAndHost(): number {
  if (R[DIRTY] & DIRTY_CONTROLS) {
    if (!controlsGood()) return ERROR_INVALID_CONTROLS;
    R[DIRTY] &= ~DIRTY_CONTROLS;
  }
  if (!controlsGoodThisTime()) return ERROR_INVALID_CONTROLS;
  if (R[DIRTY] & DIRTY_HOST || R[CHECKED_HOST_LMA] !== R[LMA]) {
    if (!hostStateGood()) return ERROR_INVALID_HOST;
    R[DIRTY] &= ~DIRTY_HOST;
    R[CHECKED_HOST_LMA] = R[LMA];
  }
  return 0;
}

/** Checks of guest state: GUEST_STATE_GOOD or the exit qualification. */
function checkGuest(): number {
  if (R[DIRTY] & DIRTY_GUEST_CR) {
    if (!guestControlRegistersGood()) return 0;
    R[DIRTY] &= ~DIRTY_GUEST_CR;
  }
  const vm = V[F.GUEST_RFLAGS] & F_VM;
  if (R[DIRTY] & DIRTY_GUEST_SEGMENTS || R[CHECKED_GUEST_VM] !== vm) {
    if (!guestSegmentsGood()) return 0;
    R[DIRTY] &= ~DIRTY_GUEST_SEGMENTS;
    R[CHECKED_GUEST_VM] = vm;
  }
  return guestNonRegisterStateGood() ? guestMemoryStateQualification() : 0;
}

// --- Loading (27.3.2) ---

function loadGuestRegisters(): void {
  const controls = V[F.ENTRY_CONTROLS];
  R[CR0] = (R[CR0] & CR0_KEPT) | (V[F.GUEST_CR0] & ~CR0_KEPT);
  R[CR3] = V[F.GUEST_CR3];
  R[CR3 + 1] = V[F.GUEST_CR3 + 1];
  R[CR4] = V[F.GUEST_CR4];
  if (controls & ENTRY_LOAD_DEBUG) {
    R[DR7] = (V[F.GUEST_DR7] & DR7_WRITABLE) | DR7_FIXED_ONES;
    R[DEBUGCTL] = V[F.GUEST_DEBUGCTL];
    R[DEBUGCTL + 1] = V[F.GUEST_DEBUGCTL + 1];
  }
  R[SYSENTER_CS] = V[F.GUEST_SYSENTER_CS];
  R[SYSENTER_ESP] = V[F.GUEST_SYSENTER_ESP];
  R[SYSENTER_ESP + 1] = V[F.GUEST_SYSENTER_ESP + 1];
  R[SYSENTER_EIP] = V[F.GUEST_SYSENTER_EIP];
  R[SYSENTER_EIP + 1] = V[F.GUEST_SYSENTER_EIP + 1];
  if (controls & ENTRY_LOAD_EFER) R[EFER] = V[F.GUEST_EFER];
  else if (controls & ENTRY_IA32E_GUEST) R[EFER] |= EFER_LMA | EFER_LME;
  else R[EFER] &= V[F.GUEST_CR0] & CR0_PG ? ~(EFER_LMA | EFER_LME) : ~EFER_LMA;
  if (controls & ENTRY_LOAD_PAT) {
    R[PAT] = V[F.GUEST_PAT];
    R[PAT + 1] = V[F.GUEST_PAT + 1];
  }
  if (controls & ENTRY_LOAD_PERF_GLOBAL) {
    R[PERF_GLOBAL_CTRL] = V[F.GUEST_PERF_GLOBAL];
    R[PERF_GLOBAL_CTRL + 1] = V[F.GUEST_PERF_GLOBAL + 1];
  }
  for (let s = 0; s < 8; s++) {
    const n = 2 * s;
    R[SEG_SEL + s] = V[F.GUEST_ES_SELECTOR + n];
    R[SEG_LIMIT + s] = V[F.GUEST_ES_LIMIT + n];
    R[SEG_AR + s] = V[F.GUEST_ES_ACCESS_RIGHTS + n];
    R[SEG_BASE + n] = V[F.GUEST_ES_BASE + n];
    R[SEG_BASE + n + 1] = V[F.GUEST_ES_BASE + n + 1];
  }
  R[GDTR_LIMIT] = V[F.GUEST_GDTR_LIMIT];
  R[IDTR_LIMIT] = V[F.GUEST_IDTR_LIMIT];
  R[GDTR_BASE] = V[F.GUEST_GDTR_BASE];
  R[GDTR_BASE + 1] = V[F.GUEST_GDTR_BASE + 1];
  R[IDTR_BASE] = V[F.GUEST_IDTR_BASE];
  R[IDTR_BASE + 1] = V[F.GUEST_IDTR_BASE + 1];
  R[RSP] = V[F.GUEST_RSP];
  R[RSP + 1] = V[F.GUEST_RSP + 1];
  R[RIP] = V[F.GUEST_RIP];
  R[RIP + 1] = V[F.GUEST_RIP + 1];
  setFlags(V[F.GUEST_RFLAGS]);
  if (R[EFLAGS] & F_RF) startResumeFlag();
}

/** Interruptibility, activity, pending debug exceptions. */
function loadGuestNonRegisterState(): void {
  const interruptibility = V[F.GUEST_INTERRUPTIBILITY];
  const nmiBlocked = interruptibility & BLOCKING_BY_NMI ? 1 : 0;
  if (virtualNmis()) {
    R[VIRTUAL_NMI_BLOCKED] = nmiBlocked;
    R[NMI_BLOCKED] = 0;
  } else {
    R[NMI_BLOCKED] = nmiBlocked;
  }
  const shadow = shadowFromInterruptibility(interruptibility);
  if (shadow !== 0) setInterruptShadow(shadow);
  else R[INHIBIT] = 0;
  R[ACTIVITY] = V[F.GUEST_ACTIVITY];
  const pending = V[F.GUEST_PENDING_DEBUG];
  R[PENDING_DB] = pending & (PENDING_ENABLED_BREAKPOINT | PENDING_BS) ? pending & (PENDING_BS | 15) : 0;
}

/** PDPTEs: from the VMCS with EPT, from memory (already checked) without. */
function loadGuestPdptes(): void {
  if (eptEnabled()) {
    for (let i = 0; i < 8; i++) R[PDPTE + i] = V[F.GUEST_PDPTE0 + i];
  } else if (guestUsesPaePaging()) {
    const table = (V[F.GUEST_CR3] & ~31) >>> 0;
    for (let i = 0; i < 8; i += 2) {
      R[PDPTE + i] = physRead64(table + 4 * i);
      R[PDPTE + i + 1] = R[MEMHI];
    }
  }
}

// --- Event injection (27.6) ---

function injectEvent(info: number): void {
  const type = (info >> 8) & 7, vector = info & 0xff;
  if (type === TYPE_OTHER) {
    R[MTF_PENDING] = 1;
    return;
  }
  R[INHIBIT] = 0;
  // The injected event takes the pending debug exceptions with it, but for a software one in the shadow of MOV SS (27.7.3).
  const software = type === TYPE_SOFTWARE_INTERRUPT || type === TYPE_SOFTWARE_EXCEPTION;
  if (!software || !(V[F.GUEST_INTERRUPTIBILITY] & BLOCKING_BY_MOV_SS)) R[PENDING_DB] = 0;
  if (type === TYPE_NMI) {
    if (virtualNmis()) R[VIRTUAL_NMI_BLOCKED] = 1;
    else R[NMI_BLOCKED] = 1;
  }
  let length = 0;
  if (type >= TYPE_SOFTWARE_INTERRUPT) {
    // The event returns to the instruction after the one it stands for.
    length = V[F.ENTRY_INSTRUCTION_LENGTH];
    const lo = R[RIP], next = (lo + length) | 0;
    R[RIP] = next;
    if (next >>> 0 < lo >>> 0 && R[CODE64] !== 0) R[RIP + 1]++;
  }
  deliverEvent(type, vector, (info & INFO_HAS_ERROR) !== 0, V[F.ENTRY_EXCEPTION_ERROR], length, true);
}

/**
 * Enters the guest of the current VMCS. Returns 0, or the VM-instruction error with nothing changed. When it returns 0 the machine stands at an instruction
 * boundary of the guest, or, after a failed entry or an exit during event injection, of the host.
 */
export function enterGuest(): number {
  const error = checkControlsAndHost();
  if (error !== 0) return error;
  const qualification = checkGuest();

  // The controls in force from here on; a failed entry needs VPID for its flush.
  R[PIN] = V[F.PIN_CONTROLS];
  R[PROC] = V[F.PROCESSOR_CONTROLS];
  R[PROC2] = secondaryControls();
  if (qualification !== GUEST_STATE_GOOD) {
    exitForFailedEntry(EXIT_REASON_ENTRY_GUEST_STATE, qualification);
    return 0;
  }

  // From here on the machine is at a boundary: RIP is exact.
  R[CURP] = 0;
  R[VMX_MODE] = VMX_NON_ROOT;
  R[DELIVERY_INFO] = 0;
  R[MTF_PENDING] = R[APIC_EXIT_REASON] = 0;
  RF64[IRET_UNBLOCKED_AT >> 1] = 0;
  loadGuestRegisters();
  loadGuestPdptes();
  loadGuestNonRegisterState();
  startVirtualInterrupts();
  startPreemptionTimer();
  activateGuestTranslation();
  if (!vpidEnabled()) {
    flushVpid0();
    // Flags that the hypervisor has cleared in its EPT entries are set anew, and their pages logged, although it has not told us by INVEPT.
    if (eptEnabled()) forgetFlagsSet();
  }
  updateMode();

  if (V[F.ENTRY_MSR_LOAD_COUNT] !== 0) {
    const bad = loadMsrList(F.ENTRY_MSR_LOAD_ADDRESS, F.ENTRY_MSR_LOAD_COUNT);
    if (bad !== 0) {
      exitForFailedEntry(EXIT_REASON_ENTRY_MSR_LOAD, bad);
      return 0;
    }
  }
  V[F.REGION_LAUNCHED] = 1;
  const eptp = eptEnabled() ? physicalAddress(V[F.EPT_POINTER], V[F.EPT_POINTER + 1]) : 0;
  V[F.REGION_GUEST] = noteEntry(physicalAddress(R[CURRENT_VMCS], R[CURRENT_VMCS + 1]), eptp, V[F.REGION_GUEST]);

  const info = V[F.ENTRY_INTERRUPTION_INFO];
  if (info < 0) {
    injectEvent(info);
    if (R[VMX_MODE] !== VMX_NON_ROOT) return 0;
  }
  armBoundaryEvents();
  return 0;
}
