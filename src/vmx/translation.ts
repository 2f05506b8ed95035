/**
 * Which address translation is in force: EPT, the APIC-access page and the TLB context (SDM 3C 29.4), for guest and host. The flushes that
 * entries and exits without VPID demand are made by those.
 */
import { R, VMX_MODE, VMX_NON_ROOT } from '../cpu/state';
import { disableEpt, ep4taOf, setApicAccessPage, setEptp } from '../cpu/mmu/ept';
import { activateContext } from '../cpu/mmu/tlb';
import { V } from './vmcs';
import * as F from './fields';
import {
  eptEnabled, modeBasedExecuteControl, pageModificationLogging, virtualizationExceptions, virtualizeApicAccesses, vpidEnabled,
} from './controls';

/** Translation of the guest of the current VMCS, by the controls in force. */
export function activateGuestTranslation(): void {
  let ep4ta = -1;
  if (eptEnabled()) {
    setEptp(V[F.EPT_POINTER], V[F.EPT_POINTER + 1], pageModificationLogging(), virtualizationExceptions(), modeBasedExecuteControl());
    ep4ta = ep4taOf(V[F.EPT_POINTER], V[F.EPT_POINTER + 1]);
  } else disableEpt();
  const page = (V[F.APIC_ACCESS_ADDRESS] >>> 12) | (V[F.APIC_ACCESS_ADDRESS + 1] << 20);
  setApicAccessPage(virtualizeApicAccesses() ? page : -1);
  activateContext(vpidEnabled() ? V[F.VPID] : 0, ep4ta, false);
}

/** Translation of the host, and outside VMX operation. */
export function activateHostTranslation(): void {
  disableEpt();
  setApicAccessPage(-1);
  activateContext(0, -1, true);
}

/** Translation of whatever the running vCPU is in the middle of: after its state was put into R and V. */
export function resumeTranslation(): void {
  if (R[VMX_MODE] === VMX_NON_ROOT) activateGuestTranslation();
  else activateHostTranslation();
}
