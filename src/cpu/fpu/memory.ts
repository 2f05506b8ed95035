/** Walking over the larger x87 memory images (environment, FSAVE and FXSAVE areas, ten-byte operands). */
import { R, LA, MODE } from '../state';
import { MODE_SIZE_MASK } from '../record';

/** R[LA] = the linear address `bytes` beyond (lo, hi); wraps at 4 GiB outside 64-bit code. */
export function advance(lo: number, hi: number, bytes: number): void {
  const low = (lo + bytes) | 0;
  R[LA] = low;
  R[LA + 1] = (R[MODE] & MODE_SIZE_MASK) === 2 ? (hi + (low >>> 0 < lo >>> 0 ? 1 : 0)) | 0 : 0;
}
