/**
 * What the CPU reads from the current TSS besides task switches: inner stacks, the I/O permission bitmap and the interrupt
 * redirection bitmap (SDM 3A 8.2.1, 8.7, 20.3.3; vol 1 19.5.2).
 */
import { R, RU, LMA, MEMHI, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, TR, X_TS } from './state';
import { raiseError } from './fault';
import { loadSys16, loadSys32, loadSys64, loadSys8 } from './mmu/access';

/** Address of byte `offset` of the TSS. */
const AT = new Int32Array(2);

function locate(offset: number): void {
  const base = R[SEG_BASE + 2 * TR];
  AT[0] = base + offset;
  AT[1] = R[LMA] !== 0 ? R[SEG_BASE + 2 * TR + 1] + (AT[0] >>> 0 < base >>> 0 ? 1 : 0) : 0;
}

/** The stack that innerStack() or innerStack64() found: pointer (64 bits), SS selector. */
export const INNER = new Int32Array(3);

/** SS:ESP for privilege level `cpl` from a 16- or 32-bit TSS into INNER; #TS(TR) when the TSS is too short. */
export function readInnerStack(cpl: number): void {
  const is32 = (R[SEG_AR + TR] & 8) !== 0;
  const offset = is32 ? 4 + 8 * cpl : 2 + 4 * cpl;
  if (offset + (is32 ? 5 : 3) > RU[SEG_LIMIT + TR]) raiseError(X_TS, R[SEG_SEL + TR] & 0xfffc);
  locate(offset);
  const lo = AT[0], hi = AT[1];
  INNER[0] = is32 ? loadSys32(lo, hi) : loadSys16(lo, hi);
  INNER[1] = 0;
  locate(offset + (is32 ? 4 : 2));
  INNER[2] = loadSys16(AT[0], AT[1]);
}

/** RSP0-RSP2 (slot 0-2) or IST1-IST7 (slot 4-10) of a 64-bit TSS into INNER; #TS(TR) when the TSS is too short. */
export function readInnerStack64(slot: number): void {
  const offset = 4 + 8 * slot;
  if (offset + 7 > RU[SEG_LIMIT + TR]) raiseError(X_TS, R[SEG_SEL + TR] & 0xfffc);
  locate(offset);
  INNER[0] = loadSys64(AT[0], AT[1]);
  INNER[1] = R[MEMHI];
}

/** Slot of IST entry 1-7 for readInnerStack64(). */
export function istSlot(ist: number): number {
  return 3 + ist;
}

/** Offset of the I/O bitmap, or -1 when the TSS (of 386 form or later) has none. */
function ioBitmapOffset(): number {
  if ((R[SEG_AR + TR] & 8) === 0 || RU[SEG_LIMIT + TR] < 103) return -1;
  locate(102);
  return loadSys16(AT[0], AT[1]);
}

/** True when the I/O bitmap allows an access of `size` bytes at `port`. */
export function ioBitmapAllows(port: number, size: number): boolean {
  const base = ioBitmapOffset();
  if (base < 0) return false;
  const offset = base + (port >> 3);
  if (offset + 1 > RU[SEG_LIMIT + TR]) return false;
  locate(offset);
  const bitmap = loadSys16(AT[0], AT[1]) >> (port & 7);
  return (bitmap & ((1 << size) - 1)) === 0;
}

/** Bit of the software interrupt redirection bitmap (the 32 bytes before the I/O bitmap): 0 = stays in the 8086 program, 1 = goes to the monitor. */
export function interruptRedirectionBit(vector: number): number {
  const base = ioBitmapOffset();
  const offset = base - 32 + (vector >> 3);
  if (base < 0 || offset < 0 || offset > RU[SEG_LIMIT + TR]) return 1;
  locate(offset);
  return (loadSys8(AT[0], AT[1]) >> (vector & 7)) & 1;
}
