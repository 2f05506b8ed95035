/**
 * Translation for onlookers (inspector, debugger, traces): nothing changes, no flags are set, nothing is cached, rights are ignored.
 */
import { R, CR0, CR3, CR4, LMA, PDPTE, CR4_PAE, CR4_PSE } from '../state';
import { EPT, EPT_ENABLED } from './ept';
import { mem32 } from './memory';
import { pageCode, physicalAddress } from './physical';

/** The page-aligned result of the last walk step: [0] low, [1] high word. */
const step = new Int32Array(2);

/** Reads a 64-bit table entry at a host-physical address into `step`; false outside memory. */
function readEntry(lo: number, hi: number): boolean {
  const code = pageCode(lo, hi);
  if (code < 0) return false;
  const at = (code << 10) | ((lo >>> 2) & 0x3ff);
  step[0] = mem32[at];
  step[1] = mem32[at + 1];
  return true;
}

/** Guest-physical to host-physical with the EPTP given, as a double; -1 where EPT maps nothing. */
export function translateGuestPhysicalQuietly(eptpLo: number, eptpHi: number, lo: number, hi: number): number {
  let tableLo = eptpLo & -4096, tableHi = eptpHi & 0xfffff;
  for (let level = 3; ; level--) {
    const offset = level === 3 ? (hi >>> 4) & 0xff8 : level === 2 ? ((hi << 5) | (lo >>> 27)) & 0xff8 : level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8;
    // A write-only or write-execute entry is a misconfiguration.
    if (!readEntry(tableLo | offset, tableHi) || (step[0] & 7) === 0 || (step[0] & 3) === 2) return -1;
    if (level === 0 || (level < 3 && (step[0] & 0x80) !== 0)) return physicalAddress(merge(step[0], lo, level), step[1] & 0xfffff);
    tableLo = step[0] & -4096;
    tableHi = step[1] & 0xfffff;
  }
}

/** Frame address of a leaf at a level, with the offset of the address translated. */
function merge(leafLo: number, lo: number, level: number): number {
  const offsetMask = level === 0 ? 0xfff : level === 1 ? 0x1fffff : 0x3fffffff;
  return (leafLo & ~offsetMask) | (lo & offsetMask);
}

/** Guest-physical of the running processor to host-physical as a double; -1 if unmapped. */
export function guestToHostPhysical(lo: number, hi: number): number {
  return EPT[EPT_ENABLED] ? translateGuestPhysicalQuietly(EPT[1], EPT[2], lo, hi) : physicalAddress(lo, hi);
}

/** Reads a guest's table entry into `step`; false outside memory. */
function readGuestEntry(lo: number, hi: number): boolean {
  const host = guestToHostPhysical(lo, hi);
  return host >= 0 && readEntry(host | 0, (host / 0x100000000) | 0);
}

/** Linear address of the running processor to host-physical (L1-physical) as a double; -1 if not mapped. */
export function translateLinear(lo: number, hi: number): number {
  const guestPhysical = linearToGuestPhysical(lo, hi);
  return guestPhysical < 0 ? -1 : guestToHostPhysical(guestPhysical | 0, Math.floor(guestPhysical / 0x100000000));
}

/** Linear address of the running processor to its guest-physical one as a double; -1 if its page tables map nothing. */
export function linearToGuestPhysical(lo: number, hi: number): number {
  if (R[CR0] >= 0) return physicalAddress(lo, 0);
  if (!R[LMA] && (R[CR4] & CR4_PAE) === 0) return translate32(lo);
  let level = 3, tableLo = R[CR3] & -4096, tableHi = R[CR3 + 1] & 0xfffff;
  if (!R[LMA]) {
    const pdpte = PDPTE + ((lo >>> 30) << 1);
    if ((R[pdpte] & 1) === 0) return -1;
    level = 1;
    tableLo = R[pdpte] & -4096;
    tableHi = R[pdpte + 1] & 0xfffff;
  }
  for (; ; level--) {
    const offset = level === 3 ? (hi >>> 4) & 0xff8 : level === 2 ? ((hi << 5) | (lo >>> 27)) & 0xff8 : level === 1 ? (lo >>> 18) & 0xff8 : (lo >>> 9) & 0xff8;
    if (!readGuestEntry(tableLo | offset, tableHi) || (step[0] & 1) === 0) return -1;
    if (level === 0 || (level < 3 && (step[0] & 0x80) !== 0)) return physicalAddress(merge(step[0], lo, level), step[1] & 0xfffff);
    tableLo = step[0] & -4096;
    tableHi = step[1] & 0xfffff;
  }
}

function translate32(lo: number): number {
  if (!readGuestEntry((R[CR3] & -4096) | ((lo >>> 20) & 0xffc), 0) || (step[0] & 1) === 0) return -1;
  const directory = step[0];
  if (directory & 0x80 && R[CR4] & CR4_PSE) return physicalAddress((directory & -0x400000) | (lo & 0x3fffff), (directory >>> 13) & 0xff);
  if (!readGuestEntry((directory & -4096) | ((lo >>> 10) & 0xffc), 0) || (step[0] & 1) === 0) return -1;
  return physicalAddress((step[0] & -4096) | (lo & 0xfff), 0);
}
