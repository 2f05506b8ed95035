/**
 * The virtual local APIC's own work (SDM 3C 30.1, 30.2, 30.6): TPR, PPR, EOI and self-IPI virtualisation, evaluation and delivery of virtual
 * interrupts, posted-interrupt processing. RVI and SVI live in the guest-interrupt-status field of the current VMCS, everything else in the
 * virtual-APIC page.
 */
import { R, CURP } from '../cpu/state';
import { deliverEvent, EVENT_EXTERNAL } from '../cpu/interrupts';
import { physRead32, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { platform } from '../cpu/platform';
import { V } from './vmcs';
import * as F from './fields';
import { virtualInterruptDelivery } from './controls';
import { EXIT_REASON_TPR_BELOW_THRESHOLD, EXIT_REASON_VIRTUALIZED_EOI } from './exit-reasons';
import { VIRTUAL_INTERRUPT_RECOGNIZED } from './state';
import { requestApicExit, requestAttention } from './windows';

/** Offsets in the virtual-APIC page. */
export const VTPR = 0x80, VEOI = 0xb0, VICR_LOW = 0x300, VICR_HIGH = 0x310;
const VPPR = 0xa0, VISR = 0x100, VIRR = 0x200;

/** Outstanding notification: bit 0 of the dword after the 256 posted requests. */
const PI_NOTIFICATION_OFFSET = 32, PI_OUTSTANDING = 1;

/** Host-physical address of the virtual-APIC page. */
export function virtualApicPage(): number {
  return physicalAddress(V[F.VIRTUAL_APIC_ADDRESS], V[F.VIRTUAL_APIC_ADDRESS + 1]);
}

// --- RVI, SVI and the 256-bit registers ---

function requestingVector(): number {
  return V[F.GUEST_INTERRUPT_STATUS] & 0xff;
}

function servicedVector(): number {
  return (V[F.GUEST_INTERRUPT_STATUS] >> 8) & 0xff;
}

function setRequestingVector(vector: number): void {
  V[F.GUEST_INTERRUPT_STATUS] = (V[F.GUEST_INTERRUPT_STATUS] & 0xff00) | vector;
}

function setServicedVector(vector: number): void {
  V[F.GUEST_INTERRUPT_STATUS] = (V[F.GUEST_INTERRUPT_STATUS] & 0xff) | (vector << 8);
}

/** Host-physical address of the dword with a vector's bit in VISR or VIRR, whose eight dwords lie 16 bytes apart. */
function registerDword(register: number, vector: number): number {
  return virtualApicPage() + register + ((vector >> 5) << 4);
}

function setVectorBit(register: number, vector: number): void {
  const at = registerDword(register, vector);
  physWrite32(at, physRead32(at) | (1 << (vector & 31)));
}

function clearVectorBit(register: number, vector: number): void {
  const at = registerDword(register, vector);
  physWrite32(at, physRead32(at) & ~(1 << (vector & 31)));
}

/** Highest vector set in VISR or VIRR, 0 if none. */
function highestVector(register: number): number {
  const base = virtualApicPage() + register;
  for (let n = 7; n >= 0; n--) {
    const bits = physRead32(base + 16 * n);
    if (bits !== 0) return 32 * n + 31 - Math.clz32(bits);
  }
  return 0;
}

// --- The virtualisations (30.1) ---

/** VTPR bits 7:0. */
export function virtualTpr(): number {
  return physRead32(virtualApicPage() + VTPR) & 0xff;
}

/** PPR virtualisation (30.1.3). */
function virtualizePpr(): void {
  const tpr = virtualTpr(), serviced = servicedVector();
  physWrite32(virtualApicPage() + VPPR, tpr >> 4 >= serviced >> 4 ? tpr : serviced & 0xf0);
}

/** TPR virtualisation, after VTPR was written (30.1.2). */
export function virtualizeTpr(): void {
  if (virtualInterruptDelivery()) {
    virtualizePpr();
    evaluate();
  } else if (isVirtualTprBelowThreshold()) requestApicExit(EXIT_REASON_TPR_BELOW_THRESHOLD, 0);
}

/** VTPR bits 7:4 are less than the TPR threshold. */
export function isVirtualTprBelowThreshold(): boolean {
  const threshold = V[F.TPR_THRESHOLD] & 15;
  return threshold !== 0 && virtualTpr() >> 4 < threshold;
}

/** EOI virtualisation (30.1.4). */
export function virtualizeEoi(): void {
  const vector = servicedVector();
  clearVectorBit(VISR, vector);
  setServicedVector(highestVector(VISR));
  virtualizePpr();
  // The four 64-bit fields of the bitmap are neighbours.
  if ((V[F.EOI_EXIT_BITMAP0 + (vector >> 5)] >> (vector & 31)) & 1) requestApicExit(EXIT_REASON_VIRTUALIZED_EOI, vector);
  else evaluate();
}

/** Self-IPI virtualisation (30.1.5). */
export function virtualizeSelfIpi(vector: number): void {
  setVectorBit(VIRR, vector);
  setRequestingVector(Math.max(requestingVector(), vector));
  evaluate();
}

// --- Evaluation and delivery (30.2) ---

/** Evaluates pending virtual interrupts: the highest one is recognized if its class is above VPPR's. */
function evaluate(): void {
  const priority = physRead32(virtualApicPage() + VPPR) & 0xff;
  R[VIRTUAL_INTERRUPT_RECOGNIZED] = requestingVector() >> 4 > priority >> 4 ? 1 : 0;
  if (R[VIRTUAL_INTERRUPT_RECOGNIZED] !== 0) requestAttention();
}

/** Part of VM entry, when the guest's state is loaded: PPR virtualisation and evaluation (27.3.2.5). */
export function startVirtualInterrupts(): void {
  R[VIRTUAL_INTERRUPT_RECOGNIZED] = 0;
  if (!virtualInterruptDelivery()) return;
  virtualizePpr();
  evaluate();
}

/** Delivers the recognized virtual interrupt through the guest's IDT. At an instruction boundary that allows it (30.2.2). */
export function deliverVirtualInterrupt(): void {
  const vector = requestingVector();
  setVectorBit(VISR, vector);
  setServicedVector(vector);
  physWrite32(virtualApicPage() + VPPR, vector & 0xf0);
  clearVectorBit(VIRR, vector);
  setRequestingVector(highestVector(VIRR));
  R[VIRTUAL_INTERRUPT_RECOGNIZED] = 0;
  deliverEvent(EVENT_EXTERNAL, vector, false, 0, 0);
}

// --- Posted interrupts (30.6) ---

/** The notification vector has been acknowledged: dismisses it and moves the posted requests into VIRR. */
export function processPostedInterrupts(): void {
  R[CURP] = 0;
  const descriptor = physicalAddress(V[F.POSTED_INTERRUPT_DESCRIPTOR], V[F.POSTED_INTERRUPT_DESCRIPTOR + 1]);
  const notification = descriptor + PI_NOTIFICATION_OFFSET;
  physWrite32(notification, physRead32(notification) & ~PI_OUTSTANDING);
  platform.endOfInterrupt();
  const requests = virtualApicPage() + VIRR;
  let highest = 0;
  for (let n = 0; n < 8; n++) {
    const posted = physRead32(descriptor + 4 * n);
    if (posted === 0) continue;
    physWrite32(descriptor + 4 * n, 0);
    physWrite32(requests + 16 * n, physRead32(requests + 16 * n) | posted);
    highest = 32 * n + 31 - Math.clz32(posted);
  }
  setRequestingVector(Math.max(requestingVector(), highest));
  evaluate();
}
