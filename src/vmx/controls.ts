/**
 * Bits of the VM-execution, VM-exit and VM-entry control words (SDM 3C 25.6-25.8), and predicates over the words in force in
 * non-root operation (copied to R[PIN], R[PROC], R[PROC2] at VM entry).
 */
import { R } from '../cpu/state';
import { PIN, PROC, PROC2 } from './state';

// --- Pin-based ---
export const PIN_EXTERNAL_INTERRUPT = 1, PIN_NMI = 1 << 3, PIN_VIRTUAL_NMIS = 1 << 5, PIN_PREEMPTION_TIMER = 1 << 6;
export const PIN_POSTED_INTERRUPTS = 1 << 7;

// --- Primary processor-based ---
export const PROC_INTERRUPT_WINDOW = 1 << 2, PROC_TSC_OFFSETTING = 1 << 3, PROC_HLT = 1 << 7, PROC_INVLPG = 1 << 9, PROC_MWAIT = 1 << 10;
export const PROC_RDPMC = 1 << 11, PROC_RDTSC = 1 << 12, PROC_CR3_LOAD = 1 << 15, PROC_CR3_STORE = 1 << 16, PROC_CR8_LOAD = 1 << 19;
export const PROC_CR8_STORE = 1 << 20, PROC_TPR_SHADOW = 1 << 21, PROC_NMI_WINDOW = 1 << 22, PROC_MOV_DR = 1 << 23;
export const PROC_UNCONDITIONAL_IO = 1 << 24, PROC_IO_BITMAPS = 1 << 25, PROC_MTF = 1 << 27, PROC_MSR_BITMAPS = 1 << 28;
export const PROC_MONITOR = 1 << 29, PROC_PAUSE = 1 << 30, PROC_SECONDARY = 1 << 31;

// --- Secondary processor-based ---
export const PROC2_APIC_ACCESSES = 1, PROC2_EPT = 2, PROC2_DESCRIPTOR_TABLE = 4, PROC2_RDTSCP = 8, PROC2_VIRTUAL_X2APIC = 16, PROC2_VPID = 32;
export const PROC2_WBINVD = 64, PROC2_UNRESTRICTED_GUEST = 128, PROC2_APIC_REGISTERS = 256, PROC2_INTERRUPT_DELIVERY = 512;
export const PROC2_PAUSE_LOOP = 1024, PROC2_INVPCID = 4096, PROC2_VM_FUNCTIONS = 1 << 13, PROC2_VMCS_SHADOWING = 1 << 14, PROC2_PML = 1 << 17;
export const PROC2_VIRTUALIZATION_EXCEPTION = 1 << 18, PROC2_MODE_BASED_EXECUTE = 1 << 22, PROC2_TSC_SCALING = 1 << 25;

// --- VM-function controls ---
export const FUNCTION_EPTP_SWITCHING = 1;

// --- VM exit ---
export const EXIT_SAVE_DEBUG = 1 << 2, EXIT_HOST_64 = 1 << 9, EXIT_ACKNOWLEDGE_INTERRUPT = 1 << 15, EXIT_SAVE_PAT = 1 << 18;
export const EXIT_LOAD_PERF_GLOBAL = 1 << 12;
export const EXIT_LOAD_PAT = 1 << 19, EXIT_SAVE_EFER = 1 << 20, EXIT_LOAD_EFER = 1 << 21, EXIT_SAVE_PREEMPTION_TIMER = 1 << 22;

// --- VM entry ---
export const ENTRY_LOAD_DEBUG = 1 << 2, ENTRY_IA32E_GUEST = 1 << 9, ENTRY_TO_SMM = 1 << 10, ENTRY_DEACTIVATE_DUAL_MONITOR = 1 << 11;
export const ENTRY_LOAD_PERF_GLOBAL = 1 << 13, ENTRY_LOAD_PAT = 1 << 14, ENTRY_LOAD_EFER = 1 << 15;

// --- Interruption information (entry, exit, IDT-vectoring) ---
export const INFO_VALID = 1 << 31, INFO_HAS_ERROR = 1 << 11, INFO_NMI_UNBLOCKED = 1 << 12;
export const TYPE_EXTERNAL = 0, TYPE_NMI = 2, TYPE_HARDWARE_EXCEPTION = 3, TYPE_SOFTWARE_INTERRUPT = 4;
export const TYPE_PRIVILEGED_SOFTWARE_EXCEPTION = 5, TYPE_SOFTWARE_EXCEPTION = 6, TYPE_OTHER = 7;

// --- Guest interruptibility state (SDM 3C table 25-3) ---
export const BLOCKING_BY_STI = 1, BLOCKING_BY_MOV_SS = 2, BLOCKING_BY_SMI = 4, BLOCKING_BY_NMI = 8;

// --- Predicates in non-root operation ---
export function externalInterruptExiting(): boolean { return (R[PIN] & PIN_EXTERNAL_INTERRUPT) !== 0; }
export function nmiExiting(): boolean { return (R[PIN] & PIN_NMI) !== 0; }
export function virtualNmis(): boolean { return (R[PIN] & PIN_VIRTUAL_NMIS) !== 0; }
export function preemptionTimerActive(): boolean { return (R[PIN] & PIN_PREEMPTION_TIMER) !== 0; }
export function interruptWindowExiting(): boolean { return (R[PROC] & PROC_INTERRUPT_WINDOW) !== 0; }
export function nmiWindowExiting(): boolean { return (R[PROC] & PROC_NMI_WINDOW) !== 0; }
export function monitorTrapFlag(): boolean { return (R[PROC] & PROC_MTF) !== 0; }
export function tprShadow(): boolean { return (R[PROC] & PROC_TPR_SHADOW) !== 0; }
export function tscOffsetting(): boolean { return (R[PROC] & PROC_TSC_OFFSETTING) !== 0; }
export function msrBitmaps(): boolean { return (R[PROC] & PROC_MSR_BITMAPS) !== 0; }
export function eptEnabled(): boolean { return (R[PROC2] & PROC2_EPT) !== 0; }
export function vpidEnabled(): boolean { return (R[PROC2] & PROC2_VPID) !== 0; }
export function unrestrictedGuest(): boolean { return (R[PROC2] & PROC2_UNRESTRICTED_GUEST) !== 0; }
export function postedInterrupts(): boolean { return (R[PIN] & PIN_POSTED_INTERRUPTS) !== 0; }
export function virtualizeX2apicMode(): boolean { return (R[PROC2] & PROC2_VIRTUAL_X2APIC) !== 0; }
export function apicRegisterVirtualization(): boolean { return (R[PROC2] & PROC2_APIC_REGISTERS) !== 0; }
export function virtualInterruptDelivery(): boolean { return (R[PROC2] & PROC2_INTERRUPT_DELIVERY) !== 0; }
export function virtualizeApicAccesses(): boolean { return (R[PROC2] & PROC2_APIC_ACCESSES) !== 0; }
export function descriptorTableExiting(): boolean { return (R[PROC2] & PROC2_DESCRIPTOR_TABLE) !== 0; }
export function pauseLoopExiting(): boolean { return (R[PROC2] & PROC2_PAUSE_LOOP) !== 0; }
export function vmFunctionsEnabled(): boolean { return (R[PROC2] & PROC2_VM_FUNCTIONS) !== 0; }
export function vmcsShadowing(): boolean { return (R[PROC2] & PROC2_VMCS_SHADOWING) !== 0; }
export function pageModificationLogging(): boolean { return (R[PROC2] & PROC2_PML) !== 0; }
export function virtualizationExceptions(): boolean { return (R[PROC2] & PROC2_VIRTUALIZATION_EXCEPTION) !== 0; }
export function modeBasedExecuteControl(): boolean { return (R[PROC2] & PROC2_MODE_BASED_EXECUTE) !== 0; }
export function tscScaling(): boolean { return (R[PROC2] & PROC2_TSC_SCALING) !== 0; }
/** INVPCID is #UD in non-root operation unless this control is on. */
export function invpcidEnabled(): boolean { return (R[PROC2] & PROC2_INVPCID) !== 0; }
/** RDTSCP is #UD in non-root operation unless this control is on. */
export function rdtscpEnabled(): boolean { return (R[PROC2] & PROC2_RDTSCP) !== 0; }
