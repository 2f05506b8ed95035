/**
 * The exception for a non-canonical address met by a dense record in 64-bit code: #SS(0) when the access is relative to the stack segment, that is,
 * to rSP or rBP, #GP(0) otherwise (SDM 1 3.3.7.1; SDM 3A 6.15, interrupts 12 and 13). Dense records do not say how their address came about, so the
 * instruction is decoded once more.
 */
import { R, IPB, MODE, RSP, SS, X_GP, X_SS } from '../state';
import { INFO } from '../record';
import { raiseError } from '../fault';
import { ALL_ROWS } from '../opcodes/table';
import { fetchByte } from '../mmu/slow';
import { D, D_ROW, D_SEGMENT, DECODE_TRUNCATED, decode } from './decoder';

/** Instructions that address the stack besides their operand. */
const STACK_ROWS = new Set(['push', 'pop', 'call', 'ret', 'leave']);

const bytes = new Uint8Array(16);

/** True if (lo, hi) is no 48-bit address in canonical form. */
export function isNonCanonical(hi: number): boolean {
  return hi >> 15 !== 0 && hi >> 15 !== -1;
}

/** Raises #SS(0) or #GP(0) for the access of record p at a non-canonical address whose low word is `lo`. */
export function raiseNonCanonical(lo: number, p: number): never {
  raiseError(p !== 0 && usesStackSegment(lo, p) ? X_SS : X_GP, 0);
}

function usesStackSegment(lo: number, p: number): boolean {
  let length = DECODE_TRUNCATED;
  for (let available = 0; length === DECODE_TRUNCATED && available < 15;) {
    const at = (R[IPB] + (INFO[p] & 4095) + available) | 0;
    bytes[available++] = fetchByte(at, (R[IPB + 1] + (at >>> 0 < R[IPB] >>> 0 ? 1 : 0)) | 0);
    length = decode(bytes, 0, available, R[MODE]);
  }
  if (length < 0) return false;
  const { mnemonic } = ALL_ROWS[D[D_ROW]];
  // LEAVE takes the value at rBP; the others address within 8 bytes of rSP.
  if (mnemonic === 'leave' || (STACK_ROWS.has(mnemonic) && Math.abs((lo - R[RSP]) | 0) <= 8)) return true;
  return D[D_SEGMENT] === SS;
}
