/**
 * Read-modify-write access to the r/m operand of a generic record: the read raises whatever the write would raise, so
 * that nothing is half done when the write comes. One vCPU runs at a time, so LOCK needs nothing more.
 */
import { R, R8, LA, MEMHI } from '../state';
import { recIsMemory, recOperandSize, recRm } from '../record';
import { byteIndex, memoryAddress, readRmV, setReg } from '../operands';
import { load16, load32, load64, load8, probeOperand, store16, store32, store64, store8 } from '../mmu/access';

/** Loads a value of operand size 0, 1 or 2 at R[LA]: low word (16 bits sign-extended), high word (copy of the low below 64 bits) in R[MEMHI]. */
export function loadV(operandSize: number): number {
  if (operandSize === 2) return load64(R[LA], R[LA + 1]);
  const value = operandSize === 1 ? load32(R[LA], R[LA + 1]) : (load16(R[LA], R[LA + 1]) << 16) >> 16;
  R[MEMHI] = value;
  return value;
}

/** Stores a value of operand size 0, 1 or 2 at R[LA]. */
export function storeV(operandSize: number, lo: number, hi: number): void {
  switch (operandSize) {
    case 0: store16(R[LA], R[LA + 1], lo); break;
    case 1: store32(R[LA], R[LA + 1], lo); break;
    default: store64(R[LA], R[LA + 1], lo, hi); break;
  }
}

/** Reads the r/m operand as readRmV does, having made sure that it can be written. */
export function modifyV(p: number): number {
  if (!recIsMemory(p)) return readRmV(p);
  const size = recOperandSize(p);
  memoryAddress(p, 2 << size, true);
  probeOperand(R[LA], R[LA + 1], 2 << size);
  return loadV(size);
}

/** Writes the operand last read by modifyV; a 32-bit register is zero-extended. */
export function commitV(p: number, lo: number, hi: number): void {
  const size = recOperandSize(p);
  if (recIsMemory(p)) storeV(size, lo, hi);
  else setReg(recRm(p), size, lo, hi);
}

/** Reads the 8-bit r/m operand, sign-extended, having made sure that it can be written. */
export function modify8(p: number): number {
  if (!recIsMemory(p)) return (R8[byteIndex(p, recRm(p))] << 24) >> 24;
  memoryAddress(p, 1, true);
  probeOperand(R[LA], R[LA + 1], 1);
  return (load8(R[LA], R[LA + 1]) << 24) >> 24;
}

/** Writes the operand last read by modify8. */
export function commit8(p: number, value: number): void {
  if (recIsMemory(p)) store8(R[LA], R[LA + 1], value);
  else R8[byteIndex(p, recRm(p))] = value;
}
