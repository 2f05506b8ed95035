/**
 * ENTER, LEAVE, PUSHA, POPA and BOUND (SDM 2A, 2B). Registers change only after every access has succeeded.
 */
import type { Handler } from '../record';
import { R, LA, MEMHI, MODE, RBP, RSP, SS, X_BR } from '../state';
import { MODE_SIZE_MASK, MODE_STACK32, recImmediate, recImmediateHigh, recOperandSize, recReg } from '../record';
import { checkCanonical, getRegLo, memoryAddress, segmentAddress, setReg } from '../operands';
import { raise } from '../fault';
import { load16, load32, probeOperand } from '../mmu/access';
import { loadV, storeV } from './read-modify-write';

/** Size of the stack pointer: 0 = SP, 1 = ESP, 2 = RSP. */
function stackSize(): number {
  const mode = R[MODE];
  return (mode & MODE_SIZE_MASK) === 2 ? 2 : mode & MODE_STACK32 ? 1 : 0;
}

/** Offset in the stack left by stackOffset, cut to the stack size; low word first. */
const OFFSET = new Int32Array(2);

/** OFFSET = register word `base` plus `delta` (signed). */
function stackOffset(base: number, delta: number): void {
  const size = stackSize(), lo = (R[base] + delta) | 0;
  OFFSET[0] = size === 0 ? lo & 0xffff : lo;
  OFFSET[1] = size === 2 ? (R[base + 1] + (delta >> 31) + (lo >>> 0 < delta >>> 0 ? 1 : 0)) | 0 : 0;
}

/** Linear address, in R[LA], of the `bytes` bytes of stack at register word `base` plus `delta`; OFFSET as stackOffset leaves it. */
function stackAddress(base: number, delta: number, bytes: number, write: boolean): void {
  stackOffset(base, delta);
  segmentAddress(SS, OFFSET[0], OFFSET[1], bytes, write);
  if (stackSize() === 2) checkCanonical(SS, R[LA], R[LA + 1], bytes);
}

function setStackPointer(lo: number, hi: number): void {
  setReg(RSP >> 1, stackSize(), lo, hi);
}

function enter(p: number): void {
  const size = recOperandSize(p), bytes = 2 << size;
  const allocation = recImmediate(p) & 0xffff, level = recImmediateHigh(p) & 31;
  // The whole frame is probed before anything is written, so that a fault leaves the stack as it was.
  const frameBytes = level === 0 ? bytes : bytes * (level + 1);
  for (let at = bytes; at <= frameBytes; at += bytes) {
    stackAddress(RSP, -at, bytes, true);
    probeOperand(R[LA], R[LA + 1], bytes);
  }
  stackAddress(RSP, -frameBytes - allocation, bytes, true);
  probeOperand(R[LA], R[LA + 1], bytes);
  stackAddress(RSP, -bytes, bytes, true);
  storeV(size, R[RBP], R[RBP + 1]);
  const frameLo = OFFSET[0], frameHi = OFFSET[1];
  for (let i = 1; i < level; i++) {
    stackAddress(RBP, -i * bytes, bytes, false);
    const lo = loadV(size), hi = R[MEMHI];
    stackAddress(RSP, -(i + 1) * bytes, bytes, true);
    storeV(size, lo, hi);
  }
  if (level !== 0) {
    stackAddress(RSP, -frameBytes, bytes, true);
    storeV(size, frameLo, frameHi);
  }
  stackOffset(RSP, -frameBytes - allocation);
  setStackPointer(OFFSET[0], OFFSET[1]);
  setReg(RBP >> 1, size, frameLo, frameHi);
}

function leave(p: number): void {
  const size = recOperandSize(p);
  stackAddress(RBP, 0, 2 << size, false);
  const lo = loadV(size), hi = R[MEMHI];
  stackOffset(RBP, 2 << size);
  setStackPointer(OFFSET[0], OFFSET[1]);
  setReg(RBP >> 1, size, lo, hi);
}

function pusha(p: number): void {
  const size = recOperandSize(p), bytes = 2 << size;
  for (let n = 0; n < 8; n++) {
    stackAddress(RSP, -bytes * (n + 1), bytes, true);
    probeOperand(R[LA], R[LA + 1], bytes);
  }
  for (let n = 0; n < 8; n++) {
    stackAddress(RSP, -bytes * (n + 1), bytes, true);
    storeV(size, R[2 * n], 0);
  }
  setStackPointer(OFFSET[0], OFFSET[1]);
}

const POPPED = new Int32Array(8);

function popa(p: number): void {
  const size = recOperandSize(p), bytes = 2 << size;
  for (let n = 0; n < 8; n++) {
    stackAddress(RSP, bytes * n, bytes, false);
    POPPED[7 - n] = loadV(size);
  }
  const lo = (R[RSP] + 8 * bytes) | 0;
  for (let n = 0; n < 8; n++) if (n !== RSP >> 1) setReg(n, size, POPPED[n], 0);
  setStackPointer(lo, 0);
}

function bound(p: number): void {
  const size = recOperandSize(p), bytes = 2 << size;
  memoryAddress(p, 2 * bytes, false);
  const linearLo = R[LA], next = (linearLo + bytes) | 0;
  const lower = size === 0 ? (load16(linearLo, 0) << 16) >> 16 : load32(linearLo, 0);
  const upper = size === 0 ? (load16(next, 0) << 16) >> 16 : load32(next, 0);
  const index = getRegLo(recReg(p), size);
  if (index < lower || index > upper) raise(X_BR);
}

export const stackFrameHandlers: Record<string, Handler> = { enter, leave, pusha, popa, bound };
