/**
 * The VMX capability MSRs 480h-491h (SDM 3D appendix A), computed from the machine's configuration, and the checks that
 * follow from them: allowed control bits, fixed bits of CR0 and CR4, which VMCS fields exist.
 *
 * nestedVmx = false hides all of it. ept = false hides EPT, VPID and unrestricted guest, so that a hypervisor must
 * shadow the page tables of its guests.
 */
import { R, CR0_PE, CR0_PG, VMX_MODE, VMX_OFF, VMX_NON_ROOT } from '../cpu/state';
import { cpuConfig, cr4AllowedBits, hasFeature } from '../cpu/features';
import { eptCapabilities } from '../cpu/mmu/ept';
import { VMCS_FIELDS } from './fields';
import type { FieldFeature } from './fields';
import {
  ENTRY_LOAD_PERF_GLOBAL, EXIT_LOAD_PERF_GLOBAL, FUNCTION_EPTP_SWITCHING, PROC2_APIC_ACCESSES, PROC2_APIC_REGISTERS, PROC2_DESCRIPTOR_TABLE, PROC2_EPT, PROC2_INTERRUPT_DELIVERY, PROC2_INVPCID,
  PROC2_MODE_BASED_EXECUTE, PROC2_PAUSE_LOOP, PROC2_PML, PROC2_RDTSCP, PROC2_TSC_SCALING, PROC2_UNRESTRICTED_GUEST, PROC2_VIRTUALIZATION_EXCEPTION,
  PROC2_VM_FUNCTIONS, PROC2_VMCS_SHADOWING, PROC2_VIRTUAL_X2APIC, PROC2_VPID, PROC2_WBINVD, unrestrictedGuest,
} from './controls';

/** VMCS revision identifier. */
export const VMCS_REVISION = 0x11;
/** Bit 31 of a region's revision word: a shadow VMCS. */
export const SHADOW_INDICATOR = 0x80000000 | 0;
/** MSR 485h bits 4:0: the VMX-preemption timer counts down each time this bit of the TSC changes. KVM does without the timer if it counts faster than 429 MHz; long loops of conformance tests want it fast. */
export const PREEMPTION_TIMER_SHIFT = 2;
/** Number of CR3-target values (MSR 485h bits 24:16). */
export const CR3_TARGETS = 4;

// --- Allowed-0 (low: must be 1) and allowed-1 (high: may be 1) settings. The old MSRs differ from the TRUE ones in the default-1 class only. ---
const PIN_LOW = 0x16, PIN_HIGH = 0xff;
const PROC_LOW = 0x0401e172, PROC_TRUE_LOW = 0x04006172, PROC_HIGH = 0xfff9fffe | 0;
const PROC2_ALWAYS = PROC2_APIC_ACCESSES | PROC2_DESCRIPTOR_TABLE | PROC2_WBINVD | PROC2_PAUSE_LOOP | PROC2_VMCS_SHADOWING | PROC2_TSC_SCALING
  | PROC2_VIRTUAL_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY;
const PROC2_WITH_EPT = PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED_GUEST | PROC2_VM_FUNCTIONS | PROC2_PML | PROC2_VIRTUALIZATION_EXCEPTION
  | PROC2_MODE_BASED_EXECUTE;
const EXIT_LOW = 0x36dff, EXIT_TRUE_LOW = 0x36dfb, EXIT_HIGH = 0x7fefff;
const ENTRY_LOW = 0x11ff, ENTRY_TRUE_LOW = 0x11fb, ENTRY_HIGH = 0xd3ff;
/** LMA stored in the entry controls, HLT + shutdown + wait-for-SIPI, 4 CR3 targets, VMWRITE to any field, injection with length 0. */
const MISC_LOW = 0x600401e0 | PREEMPTION_TIMER_SHIFT;
export const CR0_FIXED0 = 0x80000021 | 0;
export const CR4_FIXED0 = 0x2000;
/**
 * Execute-only, 4 levels, UC, WB, 2 MiB and 1 GiB pages, accessed and dirty flags, advanced information for EPT violations, INVEPT single and global, all
 * INVVPID types.
 */
const EPT_VPID_LOW = 0x06734141, EPT_VPID_HIGH = 0xf01;

/** EPTP bit 6 may be set. */
export const EPT_ACCESSED_DIRTY_SUPPORTED = (EPT_VPID_LOW & (1 << 21)) !== 0;

const MSR_VMX_BASIC = 0x480, MSR_VMX_EPT_VPID = 0x48c, MSR_VMX_VMFUNC = 0x491, MSR_VMX_LAST = 0x491;

/** Value left by readVmxCapabilityMsr: low and high word. */
export const msrValue = new Int32Array(2);

function give(hi: number, lo: number): boolean {
  msrValue[0] = lo;
  msrValue[1] = hi;
  return true;
}

/** EPT, VPID and unrestricted guest are offered. */
export function eptOffered(): boolean {
  return cpuConfig.ept;
}

/** May-be-1 bits of the secondary processor-based controls. */
export function secondaryAllowed(): number {
  let bits = PROC2_ALWAYS;
  if (eptOffered()) bits |= PROC2_WITH_EPT;
  if (hasFeature('rdtscp')) bits |= PROC2_RDTSCP;
  if (hasFeature('invpcid')) bits |= PROC2_INVPCID;
  return bits;
}

/** May-be-1 bits of the VM-exit controls. */
function exitAllowed(): number {
  return EXIT_HIGH | (cpuConfig.perfGlobalControl ? EXIT_LOAD_PERF_GLOBAL : 0);
}

/** May-be-1 bits of the VM-entry controls. */
function entryAllowed(): number {
  return ENTRY_HIGH | (cpuConfig.perfGlobalControl ? ENTRY_LOAD_PERF_GLOBAL : 0);
}

/** VM functions that can be enabled (low word of MSR 491h). */
export function functionsAllowed(): number {
  return secondaryAllowed() & PROC2_VM_FUNCTIONS ? FUNCTION_EPTP_SWITCHING : 0;
}

/** Reads capability MSR `index` (480h-491h) into msrValue; false = the MSR does not exist (#GP). */
export function readVmxCapabilityMsr(index: number): boolean {
  if (!hasFeature('vmx') || index < MSR_VMX_BASIC || index > MSR_VMX_LAST) return false;
  switch (index) {
    // Write-back VMCS of 4 KiB, INS/OUTS information, TRUE MSRs.
    case 0x480: return give(0x00d81000, VMCS_REVISION);
    case 0x481: case 0x48d: return give(PIN_HIGH, PIN_LOW);
    case 0x482: return give(PROC_HIGH, PROC_LOW);
    case 0x483: return give(exitAllowed(), EXIT_LOW);
    case 0x484: return give(entryAllowed(), ENTRY_LOW);
    case 0x485: return give(0, MISC_LOW);
    case 0x486: return give(0, CR0_FIXED0);
    case 0x487: return give(0, -1);
    case 0x488: return give(0, CR4_FIXED0);
    case 0x489: return give(0, cr4AllowedBits());
    case 0x48a: return give(0, 2 * highestFieldIndex());
    case 0x48b: return give(secondaryAllowed(), 0);
    case MSR_VMX_EPT_VPID: return eptOffered() && give(EPT_VPID_HIGH, EPT_VPID_LOW);
    case MSR_VMX_VMFUNC: return functionsAllowed() !== 0 && give(0, functionsAllowed());
    case 0x48e: return give(PROC_HIGH, PROC_TRUE_LOW);
    case 0x48f: return give(exitAllowed(), EXIT_TRUE_LOW);
    default: return give(entryAllowed(), ENTRY_TRUE_LOW);
  }
}

// --- Control words against the TRUE MSRs (SDM 3C 27.2.1.1-27.2.1.3) ---
function allowed(value: number, low: number, high: number): boolean {
  return (value & low) === low && (value & ~high) === 0;
}

export function pinControlsAllowed(value: number): boolean { return allowed(value, PIN_LOW, PIN_HIGH); }
export function processorControlsAllowed(value: number): boolean { return allowed(value, PROC_TRUE_LOW, PROC_HIGH); }
export function secondaryControlsAllowed(value: number): boolean { return allowed(value, 0, secondaryAllowed()); }
export function exitControlsAllowed(value: number): boolean { return allowed(value, EXIT_TRUE_LOW, exitAllowed()); }
export function entryControlsAllowed(value: number): boolean { return allowed(value, ENTRY_TRUE_LOW, entryAllowed()); }

// --- CR0 and CR4 in VMX operation (SDM 3C 24.8) ---

/** CR0 (low word) satisfies the fixed bits; with `unrestricted`, PE and PG are free. */
export function cr0FixedBitsGood(lo: number, unrestricted: boolean): boolean {
  const fixed = unrestricted ? CR0_FIXED0 & ~(CR0_PE | CR0_PG) : CR0_FIXED0;
  return (lo & fixed) === fixed;
}

/** CR4 (low word) satisfies the fixed bits. */
export function cr4FixedBitsGood(lo: number): boolean {
  return (lo & CR4_FIXED0) === CR4_FIXED0 && (lo & ~cr4AllowedBits()) === 0;
}

/** A CR0 value that may be loaded in the present VMX mode; MOV to CR0, LMSW and CLTS raise #GP(0) otherwise. */
export function cr0AllowedByVmx(lo: number): boolean {
  const mode = R[VMX_MODE];
  return mode === VMX_OFF || cr0FixedBitsGood(lo, mode === VMX_NON_ROOT && unrestrictedGuest());
}

/** A CR4 value that may be loaded in the present VMX mode; MOV to CR4 raises #GP(0) otherwise. */
export function cr4AllowedByVmx(lo: number): boolean {
  return R[VMX_MODE] === VMX_OFF || (lo & CR4_FIXED0) === CR4_FIXED0;
}

/** A physical address (lo, hi) lies within MAXPHYADDR. */
export function withinPhysicalWidth(hi: number): boolean {
  return hi >>> (cpuConfig.physicalAddressBits - 32) === 0;
}

// --- VMCS fields ---
/** By encoding (15 bits): word index of the field in the decoded VMCS, or -1 if this CPU does not have it. */
export const FIELD_WORD = new Int16Array(0x8000).fill(-1);

/** Secondary controls that bring fields; all other features are always there. */
const CONTROL_OF_FEATURE: Partial<Record<FieldFeature, number>> = {
  ept: PROC2_EPT, vpid: PROC2_VPID, virtualizationException: PROC2_VIRTUALIZATION_EXCEPTION, pml: PROC2_PML, vmFunctions: PROC2_VM_FUNCTIONS,
  vmcsShadowing: PROC2_VMCS_SHADOWING, tscScaling: PROC2_TSC_SCALING, pauseLoop: PROC2_PAUSE_LOOP,
};

/** The machine has the fields of this feature. */
export function fieldOffered(feature: FieldFeature): boolean {
  if (feature === 'perfGlobalControl') return cpuConfig.perfGlobalControl;
  const control = CONTROL_OF_FEATURE[feature];
  return control === undefined || (secondaryAllowed() & control) !== 0;
}

function highestFieldIndex(): number {
  let highest = 0;
  for (const f of VMCS_FIELDS) if (fieldOffered(f.feature)) highest = Math.max(highest, (f.encoding >> 1) & 0x1ff);
  return highest;
}

/** Brings FIELD_WORD in line with cpuConfig, and the EPT walker with MSR 48Ch: called at VMXON and after a restore. */
export function prepareVmx(): void {
  eptCapabilities.executeOnly = (EPT_VPID_LOW & 1) !== 0;
  eptCapabilities.page1G = (EPT_VPID_LOW & (1 << 17)) !== 0;
  FIELD_WORD.fill(-1);
  for (const f of VMCS_FIELDS) {
    if (!fieldOffered(f.feature)) continue;
    FIELD_WORD[f.encoding] = f.word;
    // Access type "high" exists for 64-bit fields only and names the upper half.
    if (((f.encoding >> 13) & 3) === 1) FIELD_WORD[f.encoding | 1] = f.word + 1;
  }
}
