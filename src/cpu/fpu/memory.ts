/** x87 memory operands: checks before anything changes, and walking over the larger images (environment, FSAVE and FXSAVE areas, ten-byte operands). */
import { R, LA, MODE } from '../state';
import { MODE_SIZE_MASK } from '../record';
import { memoryAddress } from '../operands';
import { checkAlignment, probeRead, probeWrite } from '../mmu/access';

/**
 * R[LA] = linear address of the record's operand of `bytes` bytes; raises whatever the access will raise. `alignment`: what #AC demands (SDM 3A
 * table 6-7): the operand's size, 8 for ten bytes, the operand size for images.
 */
export function openOperand(p: number, bytes: number, alignment: number, write: boolean): void {
  memoryAddress(p, bytes, write);
  checkAlignment(R[LA], R[LA + 1], alignment);
  if (write) probeWrite(R[LA], R[LA + 1], bytes);
  else probeRead(R[LA], R[LA + 1], bytes);
}

/** R[LA] = the linear address `bytes` beyond (lo, hi); wraps at 4 GiB outside 64-bit code. */
export function advance(lo: number, hi: number, bytes: number): void {
  const low = (lo + bytes) | 0;
  R[LA] = low;
  R[LA + 1] = (R[MODE] & MODE_SIZE_MASK) === 2 ? (hi + (low >>> 0 < lo >>> 0 ? 1 : 0)) | 0 : 0;
}
