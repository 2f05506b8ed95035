/** Page-modification logging (SDM 3C 29.3.6): guest-physical pages whose EPT dirty flag becomes 1 are written down in a page of 512 entries, from the last. */
import { FK_VM_EXIT, abandon } from '../cpu/fault';
import { physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { V } from './vmcs';
import * as F from './fields';
import { setPendingPmlExit } from './intercepts';

const ENTRIES = 512;

/** Before an accessed or a dirty flag is set: with a full log abandons the instruction with a VM exit. */
export function requireLogSpace(): void {
  if (V[F.PML_INDEX] < ENTRIES) return;
  setPendingPmlExit();
  abandon(FK_VM_EXIT);
}

/** Logs the page of a guest-physical address whose dirty flag is being set; there must be space. */
export function logPageModification(guestPhysicalLo: number, guestPhysicalHi: number): void {
  const index = V[F.PML_INDEX];
  const entry = physicalAddress(V[F.PML_ADDRESS], V[F.PML_ADDRESS + 1]) + 8 * index;
  physWrite32(entry, guestPhysicalLo & -4096);
  physWrite32(entry + 4, guestPhysicalHi);
  V[F.PML_INDEX] = (index - 1) & 0xffff;
}
