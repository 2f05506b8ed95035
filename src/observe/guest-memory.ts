/** Bytes of the guest that runs now, for onlookers. Nothing changes, and no device is read. */
import { translateLinear } from '../cpu/mmu/inspect';
import { pageCode, physRead8 } from '../cpu/mmu/physical';

const FOUR_GIB = 0x100000000;

/** The byte at a linear address (lo, hi) + offset; 0 where there is no memory. */
export function peekLinear(lo: number, hi: number, offset: number): number {
  const sum = (lo >>> 0) + offset;
  const carry = sum < 0 ? -1 : sum >= FOUR_GIB ? 1 : 0;
  const found = translateLinear(sum | 0, (hi + carry) | 0);
  return found < 0 || pageCode(found | 0, Math.floor(found / FOUR_GIB)) < 0 ? 0 : physRead8(found);
}

/** A little-endian value of 1, 2 or 4 bytes there. */
export function peekLinearValue(lo: number, hi: number, offset: number, size: number): number {
  let value = 0;
  for (let byte = size - 1; byte >= 0; byte--) value = (value << 8) | peekLinear(lo, hi, offset + byte);
  return value;
}
