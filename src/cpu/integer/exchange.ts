/**
 * CMPXCHG, CMPXCHG8B, CMPXCHG16B, XADD (SDM 2A, 2D). The destination must be writable even when it is not changed.
 */
import type { Handler } from '../record';
import { R, R8, LA, MEMHI, RAX, RBX, RCX, RDX, F_ZF } from '../state';
import { recIsMemory, recOperandSize, recReg } from '../record';
import { byteIndex, getRegHi, getRegLo, memoryAddress, requireAligned16, setReg, setReg32 } from '../operands';
import { changeStatusFlags, setAddFlags, setSubFlags } from '../flags';
import { raiseGp } from '../fault';
import { load64, probeOperand, store64 } from '../mmu/access';
import { commit8, commitV, modify8, modifyV } from './read-modify-write';

function cmpxchgByte(p: number): void {
  const destination = modify8(p), accumulator = (R8[0] << 24) >> 24;
  const equal = destination === accumulator;
  commit8(p, equal ? R8[byteIndex(p, recReg(p))] : destination);
  if (!equal) R8[0] = destination;
  const difference = ((accumulator - destination) << 24) >> 24;
  setSubFlags(0, difference, difference, accumulator, accumulator);
}

function cmpxchg(p: number): void {
  const size = recOperandSize(p), reg = 2 * recReg(p);
  const lo = modifyV(p), hi = R[MEMHI];
  const accLo = getRegLo(0, size), accHi = getRegHi(0, size);
  if (lo === accLo && hi === accHi) commitV(p, R[reg], R[reg + 1]);
  else {
    // An unequal register destination is not written: it keeps its upper half.
    if (recIsMemory(p)) commitV(p, lo, hi);
    setReg(0, size, lo, hi);
  }
  let differenceLo = (accLo - lo) | 0, differenceHi: number;
  if (size === 2) differenceHi = (accHi - hi - (accLo >>> 0 < lo >>> 0 ? 1 : 0)) | 0;
  else {
    if (size === 0) differenceLo = (differenceLo << 16) >> 16;
    differenceHi = differenceLo;
  }
  setSubFlags(size + 1, differenceLo, differenceHi, accLo, accHi);
}

function cmpxchg8b(p: number): void {
  memoryAddress(p, 8, true);
  const linearLo = R[LA], linearHi = R[LA + 1];
  probeOperand(linearLo, linearHi, 8);
  const lo = load64(linearLo, linearHi), hi = R[MEMHI];
  if (lo === R[RAX] && hi === R[RDX]) {
    store64(linearLo, linearHi, R[RBX], R[RCX]);
    changeStatusFlags(F_ZF, F_ZF);
  } else {
    store64(linearLo, linearHi, lo, hi);
    setReg32(0, lo);
    setReg32(2, hi);
    changeStatusFlags(F_ZF, 0);
  }
}

function cmpxchg16b(p: number): void {
  requireAligned16(p);
  memoryAddress(p, 16, true);
  const linearLo = R[LA], linearHi = R[LA + 1];
  if ((linearLo & 15) !== 0) raiseGp();
  probeOperand(linearLo, linearHi, 16);
  const w0 = load64(linearLo, linearHi), w1 = R[MEMHI];
  const w2 = load64(linearLo + 8, linearHi), w3 = R[MEMHI];
  if (w0 === R[RAX] && w1 === R[RAX + 1] && w2 === R[RDX] && w3 === R[RDX + 1]) {
    store64(linearLo, linearHi, R[RBX], R[RBX + 1]);
    store64(linearLo + 8, linearHi, R[RCX], R[RCX + 1]);
    changeStatusFlags(F_ZF, F_ZF);
  } else {
    store64(linearLo, linearHi, w0, w1);
    store64(linearLo + 8, linearHi, w2, w3);
    R[RAX] = w0;
    R[RAX + 1] = w1;
    R[RDX] = w2;
    R[RDX + 1] = w3;
    changeStatusFlags(F_ZF, 0);
  }
}

function xaddByte(p: number): void {
  const destination = modify8(p), index = byteIndex(p, recReg(p));
  const sum = ((destination + R8[index]) << 24) >> 24;
  // The source register first: with both the same, the sum stays.
  if (recIsMemory(p)) {
    commit8(p, sum);
    R8[index] = destination;
  } else {
    R8[index] = destination;
    commit8(p, sum);
  }
  setAddFlags(0, sum, sum, destination, destination);
}

function xadd(p: number): void {
  const size = recOperandSize(p), reg = recReg(p);
  const lo = modifyV(p), hi = R[MEMHI];
  let sumLo = (lo + R[2 * reg]) | 0, sumHi: number;
  if (size === 2) sumHi = (hi + R[2 * reg + 1] + (sumLo >>> 0 < lo >>> 0 ? 1 : 0)) | 0;
  else {
    if (size === 0) sumLo = (sumLo << 16) >> 16;
    sumHi = sumLo;
  }
  if (recIsMemory(p)) {
    commitV(p, sumLo, sumHi);
    setReg(reg, size, lo, hi);
  } else {
    setReg(reg, size, lo, hi);
    commitV(p, sumLo, sumHi);
  }
  setAddFlags(size + 1, sumLo, sumHi, lo, hi);
}

export const exchangeHandlers: Record<string, Handler> = { cmpxchgb: cmpxchgByte, cmpxchg, cmpxchg8b, cmpxchg16b, xaddb: xaddByte, xadd };
