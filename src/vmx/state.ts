/**
 * The VMX words of a vCPU outside the architectural registers: R[VMX_STATE ..], saved and switched with the rest of R.
 * The decoded current VMCS is in vmcs.ts.
 */
import { VMX_STATE } from '../cpu/state';
import type { WordRun } from '../cpu/state';

/** Physical address of the VMXON region, 64 bits. */
export const VMXON_POINTER = VMX_STATE;
/** Physical address of the current VMCS, 64 bits; meaningful if CURRENT_VALID. */
export const CURRENT_VMCS = VMX_STATE + 2;
/** 1 while there is a current VMCS. */
export const CURRENT_VALID = VMX_STATE + 4;

/** Groups of fields changed since VM entry last found them good: OR of DIRTY_*. */
export const DIRTY = VMX_STATE + 5;
export const DIRTY_CONTROLS = 1, DIRTY_HOST = 2, DIRTY_GUEST_CR = 4, DIRTY_GUEST_SEGMENTS = 8;
export const DIRTY_ALL = 15;
/** LMA (bit 0) of the CPU when the host area was last found good. */
export const CHECKED_HOST_LMA = VMX_STATE + 6;
/** RFLAGS.VM of the guest when its segments were last found good. */
export const CHECKED_GUEST_VM = VMX_STATE + 7;

/** Control words in force in non-root operation, so that predicates need not look at the VMCS (secondary is 0 when not activated). */
export const PIN = VMX_STATE + 8;
export const PROC = VMX_STATE + 9;
export const PROC2 = VMX_STATE + 10;

/** 1 while virtual NMIs are blocked (virtual-NMI control on). */
export const VIRTUAL_NMI_BLOCKED = VMX_STATE + 11;
/** 1: an MTF VM exit is due at this boundary. */
export const MTF_PENDING = VMX_STATE + 12;
/** Reason of the trap-like VM exit that the virtual APIC has asked for (TPR below threshold, virtualised EOI, APIC write); 0 = none. */
export const APIC_EXIT_REASON = VMX_STATE + 13;
/** Clock value at which VM entry completed: the monitor trap flag acts one instruction later. RF64 index: ENTERED_AT >> 1. */
export const ENTERED_AT = VMX_STATE + 14;
/** Clock value at which the VMX-preemption timer reaches 0; RF64 index: TIMER_DEADLINE >> 1. */
export const TIMER_DEADLINE = VMX_STATE + 16;
/** Clock value before the IRET that last removed NMI blocking, plus 1 (0 = none); RF64 index: IRET_UNBLOCKED_AT >> 1. */
export const IRET_UNBLOCKED_AT = VMX_STATE + 18;

/** Event whose delivery is under way, in IDT-vectoring format with bit 31; 0 = none. */
export const DELIVERY_INFO = VMX_STATE + 20;
export const DELIVERY_ERROR = VMX_STATE + 21;
export const DELIVERY_LENGTH = VMX_STATE + 22;

/** The VM exit that waits for performPendingExit(). */
export const PENDING_REASON = VMX_STATE + 23;
export const PENDING_QUALIFICATION = VMX_STATE + 24;
/** 1 if PENDING_LINEAR holds an address. */
export const PENDING_HAS_LINEAR = VMX_STATE + 25;
export const PENDING_LINEAR = VMX_STATE + 26;
export const PENDING_GUEST_PHYSICAL = VMX_STATE + 28;
/** Length of the instruction in progress when the pending exit was recorded, 0 at a boundary. */
export const PENDING_LENGTH = VMX_STATE + 30;

/** Interrupt shadow at the start of the instruction in progress when the pending exit was recorded. */
export const PENDING_SHADOW = VMX_STATE + 31;
/** Number of the guest that runs or ran last (observe/guests.ts). */
export const GUEST_ID = VMX_STATE + 32;
/** Number of the guest that asked for an entry of its own with its last exit, 0 = none (observe/guests.ts). */
export const LAUNCHER_ID = VMX_STATE + 33;
/** Exit qualification that goes with APIC_EXIT_REASON. */
export const APIC_EXIT_QUALIFICATION = VMX_STATE + 40;
/** 1 if VM entry left the guest in an inactive state: no instruction of its own ends the monitor trap flag's wait. */
export const ENTERED_ASLEEP = VMX_STATE + 42;
/** 1 while a pending virtual interrupt is recognized (SDM 3C 30.2.1). */
export const VIRTUAL_INTERRUPT_RECOGNIZED = VMX_STATE + 41;
/** RFLAGS image of the event in DELIVERY_INFO. */
export const DELIVERY_FLAGS = VMX_STATE + 34;
/** Clock value of the last PAUSE in ring 0 since VM entry (-Infinity: none), and of the one that began the loop it is in; RF64 index: word >> 1. */
export const PAUSE_AT = VMX_STATE + 36;
export const PAUSE_LOOP_FROM = VMX_STATE + 38;

function run(name: string, at: number, words: number): WordRun {
  return { name, at, words, count: 1 };
}

/**
 * Of these words, what software can see at an instruction boundary (as ARCHITECTURAL_WORDS in src/cpu/state.ts, which see). The contents of the current VMCS
 * are in vmcs.ts.
 */
export const ARCHITECTURAL_VMX_WORDS: readonly WordRun[] = [
  run('vmxon pointer', VMXON_POINTER, 2), run('current vmcs', CURRENT_VMCS, 2), run('current vmcs valid', CURRENT_VALID, 1), run('pin-based controls', PIN, 1),
  run('processor-based controls', PROC, 1), run('secondary controls', PROC2, 1), run('virtual nmi blocked', VIRTUAL_NMI_BLOCKED, 1), run('mtf exit pending', MTF_PENDING, 1),
  run('apic exit pending', APIC_EXIT_REASON, 1), run('apic exit qualification', APIC_EXIT_QUALIFICATION, 1), run('virtual interrupt recognized', VIRTUAL_INTERRUPT_RECOGNIZED, 1),
  run('entered at', ENTERED_AT, 2), run('preemption timer ends at', TIMER_DEADLINE, 2), run('pause at', PAUSE_AT, 2), run('pause loop from', PAUSE_LOOP_FROM, 2),
];

/** The others: what saves checks, what is meaningless between instructions, and who is whose guest. */
export const BOOKKEEPING_VMX_WORDS: readonly WordRun[] = [
  run('dirty', DIRTY, 1), run('checked host lma', CHECKED_HOST_LMA, 1), run('checked guest vm', CHECKED_GUEST_VM, 1), run('iret unblocked at', IRET_UNBLOCKED_AT, 2),
  run('delivery', DELIVERY_INFO, 3), run('pending exit', PENDING_REASON, 9), run('guest', GUEST_ID, 1), run('launcher', LAUNCHER_ID, 1), run('delivery flags', DELIVERY_FLAGS, 1),
];
