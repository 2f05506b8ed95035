/**
 * VM-entry checks of the control fields (SDM 3C 27.2.1): the first two are skipped while no field they depend on has been written
 * since they last passed, the third depends on state outside the VMCS or on fields that change with every entry.
 */
import { physRead8, physicalAddress } from '../cpu/mmu/physical';
import { CR0_PE } from '../cpu/state';
import { V } from './vmcs';
import * as F from './fields';
import {
  CR3_TARGETS, EPT_ACCESSED_DIRTY_SUPPORTED, entryControlsAllowed, exitControlsAllowed, pinControlsAllowed, processorControlsAllowed,
  functionsAllowed, secondaryControlsAllowed, withinPhysicalWidth,
} from './capabilities';
import {
  EXIT_ACKNOWLEDGE_INTERRUPT, PIN_EXTERNAL_INTERRUPT, PIN_NMI, PIN_POSTED_INTERRUPTS, PIN_PREEMPTION_TIMER, PIN_VIRTUAL_NMIS, PROC_IO_BITMAPS,
  PROC_MSR_BITMAPS, PROC_NMI_WINDOW, PROC_SECONDARY, PROC_TPR_SHADOW, PROC2_APIC_ACCESSES, PROC2_APIC_REGISTERS, PROC2_EPT, PROC2_INTERRUPT_DELIVERY,
  PROC2_UNRESTRICTED_GUEST, PROC2_VIRTUAL_X2APIC, PROC2_MODE_BASED_EXECUTE, PROC2_PML, PROC2_TSC_SCALING, PROC2_VIRTUALIZATION_EXCEPTION,
  PROC2_VM_FUNCTIONS, PROC2_VMCS_SHADOWING, PROC2_VPID, FUNCTION_EPTP_SWITCHING, EXIT_SAVE_PREEMPTION_TIMER, ENTRY_DEACTIVATE_DUAL_MONITOR,
  ENTRY_TO_SMM, TYPE_HARDWARE_EXCEPTION, TYPE_NMI, TYPE_OTHER, INFO_HAS_ERROR, TYPE_SOFTWARE_INTERRUPT,
} from './controls';

/** Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
const ERROR_CODE_VECTORS = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

/** A page address field: 4 KiB-aligned and within MAXPHYADDR. */
function goodPage(word: number): boolean {
  return (V[word] & 0xfff) === 0 && withinPhysicalWidth(V[word + 1]);
}

/** An MSR list: 16-byte aligned, and its last byte within MAXPHYADDR. */
function goodMsrList(addressWord: number, countWord: number): boolean {
  const count = V[countWord] >>> 0;
  if (count === 0) return true;
  const lo = V[addressWord] >>> 0, hi = V[addressWord + 1];
  if (lo & 15 || !withinPhysicalWidth(hi)) return false;
  const lastHi = hi + Math.floor((lo + count * 16 - 1) / 0x100000000);
  return withinPhysicalWidth(lastHi);
}

/** The secondary controls, 0 if not activated. */
export function secondaryControls(): number {
  return V[F.PROCESSOR_CONTROLS] & PROC_SECONDARY ? V[F.SECONDARY_CONTROLS] : 0;
}

/** An EPT pointer that VM entry accepts (SDM 3C 25.6.11, 27.2.1.1); also for INVEPT. */
export function eptPointerGood(lo: number, hi: number): boolean {
  const memoryType = lo & 7;
  if (memoryType !== 0 && memoryType !== 6) return false;
  if (((lo >> 3) & 7) !== 3) return false;
  if (lo & 0x40 && !EPT_ACCESSED_DIRTY_SUPPORTED) return false;
  return (lo & 0xf80) === 0 && withinPhysicalWidth(hi);
}

/** Posted interrupts need virtual-interrupt delivery and acknowledged interrupts; the vector is below 256, the descriptor 64-byte aligned. */
function postedInterruptsGood(secondary: number): boolean {
  if (!(secondary & PROC2_INTERRUPT_DELIVERY) || !(V[F.EXIT_CONTROLS] & EXIT_ACKNOWLEDGE_INTERRUPT)) return false;
  return V[F.POSTED_INTERRUPT_VECTOR] < 256 && (V[F.POSTED_INTERRUPT_DESCRIPTOR] & 63) === 0 && withinPhysicalWidth(V[F.POSTED_INTERRUPT_DESCRIPTOR + 1]);
}

/** VM-execution control fields (27.2.1.1), but for the TPR threshold. */
function executionControlsGood(): boolean {
  const pin = V[F.PIN_CONTROLS], proc = V[F.PROCESSOR_CONTROLS];
  if (!pinControlsAllowed(pin) || !processorControlsAllowed(proc)) return false;
  if (proc & PROC_SECONDARY && !secondaryControlsAllowed(V[F.SECONDARY_CONTROLS])) return false;
  const secondary = secondaryControls();
  if (V[F.CR3_TARGET_COUNT] >>> 0 > CR3_TARGETS) return false;
  if (proc & PROC_IO_BITMAPS && !(goodPage(F.IO_BITMAP_A) && goodPage(F.IO_BITMAP_B))) return false;
  if (proc & PROC_MSR_BITMAPS && !goodPage(F.MSR_BITMAP)) return false;
  if (proc & PROC_TPR_SHADOW) {
    if (!goodPage(F.VIRTUAL_APIC_ADDRESS)) return false;
    if ((secondary & PROC2_INTERRUPT_DELIVERY) === 0 && V[F.TPR_THRESHOLD] & ~15) return false;
  } else if (secondary & (PROC2_VIRTUAL_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY)) return false;
  if (secondary & PROC2_INTERRUPT_DELIVERY && !(pin & PIN_EXTERNAL_INTERRUPT)) return false;
  if (pin & PIN_POSTED_INTERRUPTS && !postedInterruptsGood(secondary)) return false;
  if (pin & PIN_VIRTUAL_NMIS && !(pin & PIN_NMI)) return false;
  if (proc & PROC_NMI_WINDOW && !(pin & PIN_VIRTUAL_NMIS)) return false;
  if (secondary & PROC2_APIC_ACCESSES) {
    if (!goodPage(F.APIC_ACCESS_ADDRESS) || secondary & PROC2_VIRTUAL_X2APIC) return false;
  }
  if (secondary & PROC2_VPID && V[F.VPID] === 0) return false;
  if (secondary & PROC2_EPT) {
    if (!eptPointerGood(V[F.EPT_POINTER], V[F.EPT_POINTER + 1])) return false;
  } else if (secondary & (PROC2_UNRESTRICTED_GUEST | PROC2_MODE_BASED_EXECUTE | PROC2_PML)) return false;
  if (secondary & PROC2_PML && !goodPage(F.PML_ADDRESS)) return false;
  if (secondary & PROC2_VM_FUNCTIONS && !functionControlsGood(secondary)) return false;
  if (secondary & PROC2_VMCS_SHADOWING && !(goodPage(F.VMREAD_BITMAP) && goodPage(F.VMWRITE_BITMAP))) return false;
  if (secondary & PROC2_VIRTUALIZATION_EXCEPTION && !goodPage(F.VIRTUALIZATION_EXCEPTION_ADDRESS)) return false;
  return !(secondary & PROC2_TSC_SCALING) || (V[F.TSC_MULTIPLIER] | V[F.TSC_MULTIPLIER + 1]) !== 0;
}

/** VM-function controls: only what MSR 491h allows; EPTP switching needs EPT and a list. */
function functionControlsGood(secondary: number): boolean {
  const functions = V[F.FUNCTION_CONTROLS];
  if (functions & ~functionsAllowed() || V[F.FUNCTION_CONTROLS + 1] !== 0) return false;
  return !(functions & FUNCTION_EPTP_SWITCHING) || ((secondary & PROC2_EPT) !== 0 && goodPage(F.EPTP_LIST_ADDRESS));
}

/** VM-exit control fields (27.2.1.2). */
function exitControlsGood(): boolean {
  const exit = V[F.EXIT_CONTROLS];
  if (!exitControlsAllowed(exit)) return false;
  if (exit & EXIT_SAVE_PREEMPTION_TIMER && !(V[F.PIN_CONTROLS] & PIN_PREEMPTION_TIMER)) return false;
  return goodMsrList(F.EXIT_MSR_STORE_ADDRESS, F.EXIT_MSR_STORE_COUNT) && goodMsrList(F.EXIT_MSR_LOAD_ADDRESS, F.EXIT_MSR_LOAD_COUNT);
}

/** VM-entry control fields (27.2.1.3), but for event injection. */
function entryControlsGood(): boolean {
  const entry = V[F.ENTRY_CONTROLS];
  if (!entryControlsAllowed(entry)) return false;
  if (entry & (ENTRY_TO_SMM | ENTRY_DEACTIVATE_DUAL_MONITOR)) return false;
  return goodMsrList(F.ENTRY_MSR_LOAD_ADDRESS, F.ENTRY_MSR_LOAD_COUNT);
}

/** All checks that depend on control fields only. */
export function controlsGood(): boolean {
  return executionControlsGood() && exitControlsGood() && entryControlsGood();
}

/** VM-entry interruption information, error code and instruction length (27.2.1.3). */
function injectionGood(info: number): boolean {
  const type = (info >> 8) & 7, vector = info & 0xff;
  if (info & 0x7ffff000 || type === 1) return false;
  if (type === TYPE_OTHER && vector !== 0) return false;
  if (type === TYPE_NMI && vector !== 2) return false;
  if (type === TYPE_HARDWARE_EXCEPTION && vector > 31) return false;
  const unrestricted = secondaryControls() & PROC2_UNRESTRICTED_GUEST;
  // Real mode, which only an unrestricted guest can be in, pushes no error codes.
  const takesError = type === TYPE_HARDWARE_EXCEPTION && ((ERROR_CODE_VECTORS >> vector) & 1) !== 0
    && (unrestricted === 0 || (V[F.GUEST_CR0] & CR0_PE) !== 0);
  if (((info & INFO_HAS_ERROR) !== 0) !== takesError) return false;
  if (info & INFO_HAS_ERROR && V[F.ENTRY_EXCEPTION_ERROR] >>> 16) return false;
  if (type >= TYPE_SOFTWARE_INTERRUPT && type !== TYPE_OTHER) {
    // MSR 485h bit 30: the length may be 0.
    if (V[F.ENTRY_INSTRUCTION_LENGTH] >>> 0 > 15) return false;
  }
  return true;
}

/** Checks of control fields that must be made at every entry: event injection, and the TPR threshold against the virtual TPR. */
export function controlsGoodThisTime(): boolean {
  const info = V[F.ENTRY_INTERRUPTION_INFO];
  if (info < 0 && !injectionGood(info)) return false;
  if (V[F.PROCESSOR_CONTROLS] & PROC_TPR_SHADOW && V[F.TPR_THRESHOLD] !== 0) {
    if ((secondaryControls() & (PROC2_APIC_ACCESSES | PROC2_INTERRUPT_DELIVERY)) === 0) {
      const virtualTpr = physRead8(physicalAddress(V[F.VIRTUAL_APIC_ADDRESS], V[F.VIRTUAL_APIC_ADDRESS + 1]) + 0x80);
      if ((V[F.TPR_THRESHOLD] & 15) > virtualTpr >> 4) return false;
    }
  }
  return true;
}
