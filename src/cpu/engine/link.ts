/** Direct links between blocks of a page. */
import { R, AMASK, IPB, RIP } from '../state';
import { C } from '../record';
import { BLOCK_CROSSING, BLOCK_UNLINKED, codeEpoch, lookup } from './blocks';

/**
 * Goes from the jump whose words start after C[P] to its taken (1) or next (2) target, and remembers the way when it stays in the page.
 */
export function link(P: number, which: number): number {
  const delta = C[P + 2 + which];
  const lo = (R[IPB] + delta) | 0;
  R[RIP + 1] = (R[IPB + 1] + (delta >> 31) + (lo >>> 0 < delta >>> 0 ? 1 : 0)) & R[AMASK];
  R[RIP] = lo;
  const epoch = codeEpoch;
  const block = lookup();
  if (delta >>> 0 < 4096 && epoch === codeEpoch && (C[block - 2] & (BLOCK_CROSSING | BLOCK_UNLINKED)) === 0) C[P + which] = block;
  return block;
}
