/**
 * How a guest reaches its virtual local APIC (SDM 3C 30.3-30.5): CR8, the APIC-access page, and in x2APIC mode the MSRs 800h-8FFh. What a
 * register does when it is written is in virtual-interrupts.ts.
 */
import { FK_VM_EXIT, abandon, raiseGp } from '../cpu/fault';
import { physRead8, physRead32, physWrite8, physWrite32 } from '../cpu/mmu/physical';
import { apicRegisterVirtualization, tprShadow, virtualInterruptDelivery, virtualizeX2apicMode } from './controls';
import { EXIT_REASON_APIC_WRITE } from './exit-reasons';
import { setPendingApicAccessExit } from './intercepts';
import { VEOI, VICR_HIGH, VICR_LOW, VTPR, virtualApicPage, virtualizeEoi, virtualizeSelfIpi, virtualizeTpr, virtualTpr } from './virtual-interrupts';
import { requestApicExit } from './windows';

/** Access types of an APIC-access exit (SDM 3C table 28-6): linear accesses, and guest-physical ones outside and during event delivery. */
export const APIC_ACCESS_READ = 0, APIC_ACCESS_WRITE = 1, APIC_ACCESS_FETCH = 2, APIC_ACCESS_DELIVERY = 3;
export const APIC_ACCESS_PHYSICAL_DELIVERY = 10, APIC_ACCESS_PHYSICAL = 15;

const SELF_IPI = 0x3f0;
const MSR_TPR = 0x808, MSR_EOI = 0x80b, MSR_SELF_IPI = 0x83f;

/** ICR bits of an interrupt that is virtualised as a self-IPI: reserved, delivery status, shorthand, trigger and delivery mode; all but the shorthand 0. */
const ICR_SELF_IPI_MASK = 0xffffb700 | 0, ICR_TO_SELF = 0x40000;

function registers(...numbers: (number | [number, number])[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const n of numbers) {
    if (typeof n === 'number') set[n] = 1;
    else set.fill(1, n[0], n[1] + 1);
  }
  return set;
}

/** Registers (offset >> 4) that APIC-register virtualisation covers: readable (30.4.2) and writable (30.4.3). */
const READABLE = registers(2, 3, 8, 0xb, [0xd, 0xf], [0x10, 0x27], 0x28, 0x30, 0x31, [0x32, 0x37], 0x38, 0x3e);
const WRITABLE = registers(2, 8, 0xb, [0xd, 0xf], 0x28, 0x30, 0x31, [0x32, 0x37], 0x38, 0x3e);

// --- CR8 (30.3) ---

/** MOV from CR8 with the TPR shadow: VTPR bits 7:4. */
export function readShadowedTpr(): number {
  return virtualTpr() >> 4;
}

/** MOV to CR8 with the TPR shadow: VTPR = value << 4, upper bytes cleared; #GP(0) for reserved bits. */
export function writeShadowedTpr(lo: number, hi: number): void {
  if (lo & ~15 || hi !== 0) raiseGp(0);
  physWrite32(virtualApicPage() + VTPR, lo << 4);
  virtualizeTpr();
}

// --- The APIC-access page (30.4) ---

/** Abandons the instruction with an APIC-access exit. */
export function exitForApicAccess(offset: number, accessType: number): never {
  setPendingApicAccessExit(offset, accessType);
  abandon(FK_VM_EXIT);
}

/** At most 32 bits, within the low 4 bytes of an aligned 16-byte region. */
function fitsRegister(offset: number, size: number): boolean {
  return tprShadow() && (offset & 15) + size <= 4;
}

function isReadVirtualized(offset: number, size: number): boolean {
  if (!fitsRegister(offset, size)) return false;
  return apicRegisterVirtualization() ? READABLE[offset >> 4] !== 0 : offset === VTPR;
}

function isWriteVirtualized(offset: number, size: number): boolean {
  if (!fitsRegister(offset, size)) return false;
  if (apicRegisterVirtualization()) return WRITABLE[offset >> 4] !== 0;
  return offset === VTPR || (virtualInterruptDelivery() && (offset === VEOI || offset === VICR_LOW));
}

/** Data read of 1, 2 or 4 bytes (other sizes exit) at an offset of the APIC-access page: the value, or abandons the instruction with an APIC-access exit. */
export function virtualApicRead(offset: number, size: number): number {
  if (!isReadVirtualized(offset, size)) exitForApicAccess(offset, APIC_ACCESS_READ);
  const at = virtualApicPage() + offset;
  let value = 0;
  for (let n = 0; n < size; n++) value |= physRead8(at + n) << (8 * n);
  return value;
}

/** Data write, like virtualApicRead(): into the virtual-APIC page, and then what the register does. */
export function virtualApicWrite(offset: number, size: number, value: number): void {
  if (!isWriteVirtualized(offset, size)) exitForApicAccess(offset, APIC_ACCESS_WRITE);
  const at = virtualApicPage() + offset;
  for (let n = 0; n < size; n++) physWrite8(at + n, (value >> (8 * n)) & 0xff);
  emulateWrite(offset);
}

/** The write of a read-modify-write access is checked first: an exit is reported as that of a write. */
export function checkVirtualApicRmw(offset: number, size: number): void {
  if (!isWriteVirtualized(offset, size)) exitForApicAccess(offset, APIC_ACCESS_WRITE);
}

/** APIC-write emulation (30.4.3.2). VM exits come after the instruction. */
function emulateWrite(offset: number): void {
  const page = virtualApicPage();
  if (offset === VTPR) {
    physWrite32(page + VTPR, virtualTpr());
    virtualizeTpr();
  } else if (offset === VEOI && virtualInterruptDelivery()) {
    physWrite32(page + VEOI, 0);
    virtualizeEoi();
  } else if (offset === VICR_LOW && virtualInterruptDelivery() && isVirtualSelfIpi(physRead32(page + VICR_LOW))) {
    virtualizeSelfIpi(physRead32(page + VICR_LOW) & 0xff);
  } else if (offset >= VICR_HIGH && offset < VICR_HIGH + 4) {
    physWrite32(page + VICR_HIGH, physRead32(page + VICR_HIGH) & 0xff000000);
  } else requestApicExit(EXIT_REASON_APIC_WRITE, offset);
}

/** Fixed, edge-triggered, to self, with a vector of 16 or more. */
function isVirtualSelfIpi(icr: number): boolean {
  return (icr & ICR_SELF_IPI_MASK) === ICR_TO_SELF && (icr & 0xf0) !== 0;
}

// --- MSRs in x2APIC mode (30.5) ---

/** Value of the last readVirtualX2apic(): low and high word. */
export const virtualMsrValue = new Int32Array(2);

/** RDMSR of a guest, past its exits: true if it reads the virtual-APIC page, whatever mode the local APIC is in. */
export function readVirtualX2apic(index: number): boolean {
  if (!virtualizeX2apicMode() || index >>> 8 !== 8 || !(apicRegisterVirtualization() || index === MSR_TPR)) return false;
  const at = virtualApicPage() + ((index & 0xff) << 4);
  virtualMsrValue[0] = physRead32(at);
  virtualMsrValue[1] = physRead32(at + 4);
  return true;
}

/** WRMSR of a guest, past its exits: true if it writes the virtual-APIC page. #GP(0) for reserved bits. */
export function writeVirtualX2apic(index: number, lo: number, hi: number): boolean {
  if (!virtualizeX2apicMode() || !(index === MSR_TPR || (virtualInterruptDelivery() && (index === MSR_EOI || index === MSR_SELF_IPI)))) return false;
  if (hi !== 0 || (index === MSR_EOI ? lo !== 0 : lo & ~0xff)) raiseGp(0);
  const at = virtualApicPage() + ((index & 0xff) << 4);
  physWrite32(at, lo);
  physWrite32(at + 4, 0);
  if (index === MSR_TPR) virtualizeTpr();
  else if (index === MSR_EOI) virtualizeEoi();
  else if (lo & 0xf0) virtualizeSelfIpi(lo);
  else requestApicExit(EXIT_REASON_APIC_WRITE, SELF_IPI);
  return true;
}
