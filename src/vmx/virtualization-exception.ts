/**
 * Virtualization exceptions (SDM 3C 26.5.7): an EPT violation goes to the guest itself as #VE, with its data in the virtualization-exception
 * information area.
 */
import { R, CR0, CR0_PE, X_VE } from '../cpu/state';
import { raise } from '../cpu/fault';
import { physRead32, physWrite16, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { V } from './vmcs';
import * as F from './fields';
import { EXIT_REASON_EPT_VIOLATION } from './exit-reasons';
import { DELIVERY_INFO } from './state';
import { iretJustUnblockedNmi } from './windows';

/** The guest writes 0 here to make the next #VE possible. */
const BUSY = 4;

/**
 * Raises #VE for an EPT violation whose entry does not suppress it; returns if the guest cannot take one now: in real mode, during event
 * delivery, or while the information area is in use.
 */
export function raiseVirtualizationException(
  qualification: number, linearLo: number, linearHi: number, guestPhysicalLo: number, guestPhysicalHi: number,
): void {
  const area = physicalAddress(V[F.VIRTUALIZATION_EXCEPTION_ADDRESS], V[F.VIRTUALIZATION_EXCEPTION_ADDRESS + 1]);
  if ((R[CR0] & CR0_PE) === 0 || R[DELIVERY_INFO] < 0 || physRead32(area + BUSY) !== 0) return;
  physWrite32(area, EXIT_REASON_EPT_VIOLATION);
  physWrite32(area + BUSY, -1);
  physWrite32(area + 8, iretJustUnblockedNmi(false) ? qualification | 0x1000 : qualification);
  physWrite32(area + 12, 0);
  physWrite32(area + 16, linearLo);
  physWrite32(area + 20, linearHi);
  physWrite32(area + 24, guestPhysicalLo);
  physWrite32(area + 28, guestPhysicalHi);
  physWrite16(area + 32, V[F.EPTP_INDEX]);
  raise(X_VE);
}
