/**
 * Writing RFLAGS as a whole: which bits an instruction may change at the present privilege (SDM vol 2 POPF, IRET), and telling the
 * run loop when interrupts or single-stepping become possible.
 */
import {
  R, CPL, CR0, CR0_PE, EFLAGS, F_AC, F_DF, F_ID, F_IF, F_IOPL, F_NT, F_RF, F_STATUS, F_TF, F_VIF, F_VIP, F_VM, SIGNALS, VMX_MODE, VMX_NON_ROOT,
} from './state';
import { getFlags, setFlags } from './flags';
import { endSliceNow } from './clock';
import { updateMode } from './modes';
import { startResumeFlag } from './resume-flag';
import { noteInterruptFlagSet } from '../vmx/intercepts';

/** I/O privilege level, 0-3. */
export function iopl(): number {
  return (R[EFLAGS] >> 12) & 3;
}

/**
 * Replaces the RFLAGS bits in `mask` by those of `value`. The slice ends when single-stepping begins, or when interrupts become
 * enabled while one waits, so that the run loop sees it after this instruction.
 */
export function writeFlags(value: number, mask: number): void {
  const old = getFlags();
  const now = (old & ~mask) | (value & mask);
  setFlags(now);
  const turnedOn = now & ~old;
  // Alignment checking selects another TLB bank.
  if ((now ^ old) & F_AC) updateMode();
  if (turnedOn & F_TF) endSliceNow();
  if (value & mask & F_RF) startResumeFlag();
  if (turnedOn & F_IF) afterInterruptsEnabled();
}

/** RFLAGS.IF went from 0 to 1: whatever waited for it is looked at after this instruction. */
export function afterInterruptsEnabled(): void {
  if (R[VMX_MODE] === VMX_NON_ROOT) noteInterruptFlagSet();
  if (R[SIGNALS] !== 0) endSliceNow();
}

/** Bits that POPF and IRET may change in protected or real mode at the current CPL: always, by IOPL, or at CPL 0. */
export function changeableFlags(): number {
  let mask = F_STATUS | F_TF | F_DF | F_NT | F_AC | F_ID;
  const cpl = R[CPL];
  if (cpl === 0) mask |= F_IOPL | F_IF;
  else if (cpl <= iopl()) mask |= F_IF;
  return mask;
}

/** Bits that IRET may change in protected mode: besides those of POPF, RF, and at CPL 0 the virtual interrupt bits. With 16-bit operands only the low half. */
export function iretFlags(operandSize: number): number {
  let mask = changeableFlags() | F_RF;
  if (R[CPL] === 0 && (R[CR0] & CR0_PE) !== 0) mask |= F_VIF | F_VIP;
  return operandSize === 0 ? mask & 0xffff : mask;
}

/** Everything an IRET to virtual-8086 mode loads. */
export const V86_RETURN_FLAGS = F_STATUS | F_TF | F_IF | F_DF | F_IOPL | F_NT | F_RF | F_VM | F_AC | F_VIF | F_VIP | F_ID;
