/** Where the instruction in progress begins. */
import { R, CURP, IPB, RIP, CODE64 } from './state';
import { INFO } from './record';

/**
 * Sets RIP to the start of the instruction in progress, from its record; does nothing at an instruction boundary (R[CURP] = 0), where RIP is
 * exact. Afterwards the machine is at a boundary.
 */
export function rewindToInstruction(): void {
  const p = R[CURP];
  if (p === 0) return;
  R[CURP] = 0;
  const base = R[IPB], lo = (base + (INFO[p] & 4095)) | 0;
  R[RIP] = lo;
  R[RIP + 1] = R[CODE64] !== 0 ? (R[IPB + 1] + (lo >>> 0 < base >>> 0 ? 1 : 0)) | 0 : 0;
}
