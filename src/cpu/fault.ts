/**
 * Guest faults in flight. A handler that cannot complete calls one of the raise functions; they record what
 * happened in the state words and throw one pooled object, which the run loop catches, restores the state at
 * the start of the instruction (see currentRip in engine.ts) and delivers. Host bugs throw ordinary errors.
 */
import { R, FAULT_KIND, FAULT_VECTOR, FAULT_ERROR, FAULT_HAS_ERROR, CR2, X_GP, X_PF, X_UD } from './state';

/** An exception (FAULT_VECTOR, FAULT_ERROR if FAULT_HAS_ERROR) is to be delivered at the start of the instruction. */
export const FK_EXCEPTION = 1;
/** A VM exit is due at the start of the instruction; its data wait in src/vmx (EPT violation, APIC access, ...). */
export const FK_VM_EXIT = 2;
/** Look up the code again and execute the instruction afresh (it had no effect yet). */
export const FK_RETRY = 3;
/** State, RIP included, is already what it has to be (a VM exit or event delivery was completed inside): just go on. */
export const FK_DONE = 4;

class GuestFault {}
/** The only object ever thrown for a guest fault. */
export const FAULT = new GuestFault();

/** Raises exception `vector` without error code. */
export function raise(vector: number): never {
  R[FAULT_KIND] = FK_EXCEPTION;
  R[FAULT_VECTOR] = vector;
  R[FAULT_HAS_ERROR] = 0;
  R[FAULT_ERROR] = 0;
  throw FAULT;
}

/** Raises exception `vector` with a 16-bit (for #PF 32-bit) error code. */
export function raiseError(vector: number, errorCode: number): never {
  R[FAULT_KIND] = FK_EXCEPTION;
  R[FAULT_VECTOR] = vector;
  R[FAULT_HAS_ERROR] = 1;
  R[FAULT_ERROR] = errorCode;
  throw FAULT;
}

/** Raises #GP(errorCode). */
export function raiseGp(errorCode = 0): never {
  raiseError(X_GP, errorCode);
}

/** Raises #UD. */
export function raiseUd(): never {
  raise(X_UD);
}

/** Where #PF delivery finds the faulting linear address: CR2 is only written when the fault is delivered, not when it exits to a hypervisor. */
export const PF_ADDRESS = new Int32Array(2);

/** Raises #PF(errorCode) for a linear address. */
export function raisePf(linearLo: number, linearHi: number, errorCode: number): never {
  PF_ADDRESS[0] = linearLo;
  PF_ADDRESS[1] = linearHi;
  raiseError(X_PF, errorCode);
}

/** Writes the pending page-fault address to CR2; called by event delivery. */
export function commitCr2(): void {
  R[CR2] = PF_ADDRESS[0];
  R[CR2 + 1] = PF_ADDRESS[1];
}

/** Abandons the instruction with the given kind (FK_VM_EXIT, FK_RETRY, FK_DONE). */
export function abandon(kind: number): never {
  R[FAULT_KIND] = kind;
  throw FAULT;
}
