/**
 * The virtual local APIC as far as the TPR shadow and the APIC-access page go (SDM 3C 30.1-30.4): CR8 and the TPR register are served from the
 * virtual-APIC page, every other access to the APIC-access page exits. Left out: APIC-register virtualisation, virtual-interrupt
 * delivery, x2APIC virtualisation, posted interrupts.
 */
import { FK_VM_EXIT, abandon, raiseGp } from '../cpu/fault';
import { physRead8, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { V } from './vmcs';
import * as F from './fields';
import { tprShadow } from './controls';
import { setPendingApicAccessExit } from './intercepts';
import { noteVirtualTpr } from './windows';

const TPR = 0x80;
const ACCESS_READ = 0, ACCESS_WRITE = 1;

function virtualTprAddress(): number {
  return physicalAddress(V[F.VIRTUAL_APIC_ADDRESS], V[F.VIRTUAL_APIC_ADDRESS + 1]) + TPR;
}

/** MOV from CR8 with the TPR shadow: VTPR bits 7:4. */
export function readShadowedTpr(): number {
  return physRead8(virtualTprAddress()) >> 4;
}

/** MOV to CR8 with the TPR shadow: VTPR = value << 4, upper bytes cleared; #GP(0) for reserved bits. */
export function writeShadowedTpr(lo: number, hi: number): void {
  if (lo & ~15 || hi !== 0) raiseGp(0);
  physWrite32(virtualTprAddress(), lo << 4);
  noteVirtualTpr();
}

function exitForAccess(offset: number, accessType: number): never {
  setPendingApicAccessExit(offset, accessType);
  abandon(FK_VM_EXIT);
}

/** The access lies in the low 4 bytes of the TPR register and can be virtualised (30.4.2, 30.4.3). */
function isVirtualTpr(offset: number, size: number): boolean {
  return tprShadow() && offset >= TPR && offset + size <= TPR + 4;
}

/** Data read of 1, 2 or 4 bytes (other sizes exit) at an offset of the APIC-access page: the value, or abandons the instruction with an APIC-access exit. */
export function virtualApicRead(offset: number, size: number): number {
  if (!isVirtualTpr(offset, size)) exitForAccess(offset, ACCESS_READ);
  const at = virtualTprAddress() + offset - TPR;
  let value = 0;
  for (let n = 0; n < size; n++) value |= physRead8(at + n) << (8 * n);
  return value;
}

/** Data write, like virtualApicRead(). Only the low byte of the register is kept. */
export function virtualApicWrite(offset: number, size: number, value: number): void {
  if (!isVirtualTpr(offset, size)) exitForAccess(offset, ACCESS_WRITE);
  if (offset !== TPR) return;
  physWrite32(virtualTprAddress(), value & 0xff);
  noteVirtualTpr();
}
