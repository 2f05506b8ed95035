/** Privilege and mode checks that many system instructions share. */
import { R, CPL, CR0, CR0_PE, CR4, CR4_UMIP, EFLAGS, F_VM, VMX_MODE, VMX_NON_ROOT } from '../state';
import { raiseGp, raiseUd } from '../fault';

/** #GP(0) unless CPL = 0 (always so in real mode; never in virtual-8086 mode). */
export function requireCpl0(): void {
  if (R[CPL] !== 0) raiseGp(0);
}

/** CR4.UMIP: #GP(0) for SGDT, SIDT, SLDT, STR and SMSW outside ring 0. */
export function checkUserModePrevention(): void {
  if (R[CR4] & CR4_UMIP && R[CPL] !== 0) raiseGp(0);
}

/** #UD in real and virtual-8086 mode. */
export function requireProtectedMode(): void {
  if ((R[CR0] & CR0_PE) === 0 || (R[EFLAGS] & F_VM) !== 0) raiseUd();
}

/** True in VMX non-root operation: the instruction may have to exit. */
export function isGuest(): boolean {
  return R[VMX_MODE] === VMX_NON_ROOT;
}
