/** Turns guest code into blocks of records: decode, lower, mark where each instruction starts. */
import { INFO, MODE_STEP } from '../record';
import { mem8 } from '../mmu/memory';
import { fetchByte, translateFetch } from '../mmu/slow';
import {
  BLOCK_CROSSING, commitBlock, mustEndAfter, reserveBlock,
} from './blocks';
import { decode, D, DECODE_INVALID, DECODE_TOO_LONG, DECODE_TRUNCATED, D_LENGTH } from './decoder';
import { HANDLER_TOO_LONG, HANDLER_UD } from './handlers';
import { beginBlock, emitGeneric, emitNext, ENDS_BLOCK, lastMainRecord, lower, recordsEnd } from './lower';

/** Instructions per block at most. */
const MAX_BLOCK = 64;

/** First record and main record of each instruction of the block being built. */
const starts = new Int32Array(MAX_BLOCK);
const mains = new Int32Array(MAX_BLOCK);
const offsets = new Int32Array(MAX_BLOCK);

function markStarts(count: number): void {
  for (let n = 0; n < count; n++) {
    const info = offsets[n] | ((count - n) << 12);
    // An instruction folded into the record before it has no record of its own.
    if (mains[n] === 0) continue;
    INFO[starts[n]] = info;
    INFO[mains[n]] = info;
  }
}

/** Decodes a block from host offset `start` up to the end of its page. Returns 0 if the first instruction needs bytes of the next page. */
export function decodeBlock(start: number, mode: number): number {
  const block = reserveBlock();
  const page = start - (start & 4095), end = page + 4096;
  const limit = mode & MODE_STEP ? 1 : MAX_BLOCK;
  beginBlock(block, mode);
  let at = start, count = 0;
  for (;;) {
    const length = decode(mem8, at, end, mode);
    if (length === DECODE_TRUNCATED) {
      if (count === 0) return 0;
      emitNext(at - page);
      break;
    }
    starts[count] = recordsEnd();
    offsets[count] = at - page;
    if (length < 0) {
      D[D_LENGTH] = length === DECODE_TOO_LONG ? 15 : 1;
      emitGeneric(length === DECODE_INVALID ? HANDLER_UD : HANDLER_TOO_LONG, true);
      mains[count++] = lastMainRecord();
      at++;
      break;
    }
    const outcome = lower(at - page);
    mains[count++] = lastMainRecord();
    at += length;
    if (outcome === ENDS_BLOCK) break;
    if (count === limit || at === end || mustEndAfter(at - length)) {
      emitNext(at - page);
      break;
    }
  }
  markStarts(count);
  commitBlock(block, recordsEnd(), count, start, at - start, mode);
  return block;
}

const crossing = new Uint8Array(32);

/**
 * Block of the single instruction at a linear address whose bytes lie in two pages, or outside RAM. `hostOffset` is that of its first byte, -1
 * outside RAM. Raises the fetch faults of the second page.
 */
export function decodeCrossing(lo: number, hi: number, hostOffset: number, mode: number): number {
  const offset = lo & 4095;
  const inFirst = 4096 - offset;
  let available = 0, secondPage = -1;
  if (hostOffset >= 0) {
    while (available < inFirst && available < 16) {
      crossing[available] = mem8[hostOffset + available];
      available++;
    }
  }
  let length = DECODE_TRUNCATED;
  while (available < 16) {
    if (available > 0) {
      length = decode(crossing, 0, available, mode);
      if (length !== DECODE_TRUNCATED) break;
    }
    const nextLo = (lo + available) | 0;
    const nextHi = (hi + (nextLo >>> 0 < lo >>> 0 ? 1 : 0)) | 0;
    if (available === inFirst) {
      const second = translateFetch(nextLo, nextHi);
      if (second >= 0) secondPage = Math.floor(second / 4096);
    }
    crossing[available++] = fetchByte(nextLo, nextHi);
  }
  if (length === DECODE_TRUNCATED) length = decode(crossing, 0, available, mode);
  const block = reserveBlock();
  beginBlock(block, mode);
  starts[0] = recordsEnd();
  offsets[0] = offset;
  if (length < 0) {
    D[D_LENGTH] = 1;
    emitGeneric(length === DECODE_INVALID ? HANDLER_UD : HANDLER_TOO_LONG, true);
    mains[0] = lastMainRecord();
    length = 1;
  } else {
    const outcome = lower(offset);
    mains[0] = lastMainRecord();
    if (outcome !== ENDS_BLOCK) emitNext(offset + length);
  }
  markStarts(1);
  // Outside RAM there is no page whose writes could kill the block; it is decoded afresh at every execution.
  const isInRam = hostOffset >= 0;
  commitBlock(block, recordsEnd(), 1, isInRam ? hostOffset : 0, isInRam ? length : 0, mode | BLOCK_CROSSING, secondPage < 0 ? -1 : secondPage * 4096);
  return block;
}

