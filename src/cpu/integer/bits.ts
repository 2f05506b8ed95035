/**
 * Bit instructions: BT BTS BTR BTC, BSF BSR, POPCNT, CRC32 (SDM 2A, 2B).
 *
 * A register bit number addresses memory as a bit string: it is signed and may lie far outside the operand. BT family
 * changes CF only. BSF and BSR of zero leave the destination alone and set ZF; their other flags stay as they are.
 */
import type { Handler } from '../record';
import { R, EAT, LA, MEMHI, F_CF, F_ZF } from '../state';
import { recAddressSize, recImmediate, recIsMemory, recOperandSize, recReg, recSegment } from '../record';
import { checkCanonical, effectiveOffset, readRm8, readRmV, segmentAddress, setReg, setReg32 } from '../operands';
import { changeStatusFlags, setStatusFlags } from '../flags';
import { probeOperand } from '../mmu/access';
import { commitV, loadV, modifyV, storeV } from './read-modify-write';

const TEST = 0, SET = 1, RESET = 2, COMPLEMENT = 3;

/** Linear address, in R[LA], of the word that holds bit (offsetLo, offsetHi) of the bit string at the memory operand. */
function bitStringAddress(p: number, size: number, offsetLo: number, offsetHi: number, write: boolean): void {
  const bytes = 2 << size;
  effectiveOffset(p);
  const lo = ((offsetLo >>> 3) | (offsetHi << 29)) & -bytes, hi = offsetHi >> 3;
  const sum = (R[EAT] + lo) | 0;
  const addressSize = recAddressSize(p);
  const high = addressSize === 2 ? (R[EAT + 1] + hi + (sum >>> 0 < lo >>> 0 ? 1 : 0)) | 0 : 0;
  const segment = recSegment(p);
  segmentAddress(segment, addressSize === 0 ? sum & 0xffff : sum, high, bytes, write);
  if (addressSize === 2) checkCanonical(segment, R[LA], R[LA + 1], bytes);
}

function bitOperation(p: number, operation: number, immediate: boolean): void {
  const size = recOperandSize(p), reg = 2 * recReg(p);
  const bit = (immediate ? recImmediate(p) : R[reg]) & ((16 << size) - 1);
  const string = !immediate && recIsMemory(p);
  let lo: number;
  if (string) {
    const offsetLo = size === 0 ? (R[reg] << 16) >> 16 : R[reg];
    bitStringAddress(p, size, offsetLo, size === 2 ? R[reg + 1] : offsetLo >> 31, operation !== TEST);
    if (operation !== TEST) probeOperand(R[LA], R[LA + 1], 2 << size);
    lo = loadV(size);
  } else lo = operation === TEST ? readRmV(p) : modifyV(p);
  let hi = R[MEMHI];
  const mask = 1 << (bit & 31), inHigh = bit >= 32;
  const carry = ((inHigh ? hi : lo) & mask) !== 0 ? 1 : 0;
  if (operation !== TEST) {
    const old = inHigh ? hi : lo;
    const changed = operation === SET ? old | mask : operation === RESET ? old & ~mask : old ^ mask;
    if (inHigh) hi = changed;
    else lo = changed;
    if (string) storeV(size, lo, hi);
    else commitV(p, lo, hi);
  }
  changeStatusFlags(F_CF, carry);
}

function bsf(p: number): void {
  const size = recOperandSize(p), lo = readRmV(p), hi = R[MEMHI];
  if (lo === 0 && hi === 0) {
    changeStatusFlags(F_ZF, F_ZF);
    return;
  }
  const word = lo !== 0 ? lo : hi;
  setReg(recReg(p), size, (lo !== 0 ? 31 : 63) - Math.clz32(word & -word), 0);
  changeStatusFlags(F_ZF, 0);
}

function bsr(p: number): void {
  const size = recOperandSize(p), lo = readRmV(p);
  const hi = size === 2 ? R[MEMHI] : 0, low = size === 0 ? lo & 0xffff : lo;
  if (low === 0 && hi === 0) {
    changeStatusFlags(F_ZF, F_ZF);
    return;
  }
  setReg(recReg(p), size, hi !== 0 ? 63 - Math.clz32(hi) : 31 - Math.clz32(low), 0);
  changeStatusFlags(F_ZF, 0);
}

/** Ones in a word. */
function countOnes(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function popcnt(p: number): void {
  const size = recOperandSize(p), lo = readRmV(p);
  const ones = countOnes(size === 0 ? lo & 0xffff : lo) + (size === 2 ? countOnes(R[MEMHI]) : 0);
  setReg(recReg(p), size, ones, 0);
  setStatusFlags(ones === 0 ? F_ZF : 0);
}

/** CRC-32C (polynomial 11EDC6F41h, bit-reflected) of each byte value. */
const CRC32C = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  CRC32C[byte] = crc;
}

function crcBytes(start: number, word: number, bytes: number): number {
  let crc = start;
  for (let i = 0; i < bytes; i++) crc = (crc >>> 8) ^ CRC32C[(crc ^ (word >>> (8 * i))) & 255];
  return crc;
}

function crc32Byte(p: number): void {
  const value = readRm8(p), reg = recReg(p);
  setReg32(reg, crcBytes(R[2 * reg], value, 1));
}

function crc32(p: number): void {
  const size = recOperandSize(p), lo = readRmV(p), hi = R[MEMHI], reg = recReg(p);
  let crc = crcBytes(R[2 * reg], lo, size === 0 ? 2 : 4);
  if (size === 2) crc = crcBytes(crc, hi, 4);
  setReg32(reg, crc);
}

export const bitHandlers: Record<string, Handler> = {
  bt: (p) => bitOperation(p, TEST, false),
  bts: (p) => bitOperation(p, SET, false),
  btr: (p) => bitOperation(p, RESET, false),
  btc: (p) => bitOperation(p, COMPLEMENT, false),
  bti: (p) => bitOperation(p, TEST, true),
  btsi: (p) => bitOperation(p, SET, true),
  btri: (p) => bitOperation(p, RESET, true),
  btci: (p) => bitOperation(p, COMPLEMENT, true),
  bsf, bsr, popcnt, crc32b: crc32Byte, crc32,
};
