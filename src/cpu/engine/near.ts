/**
 * Handler functions for near control transfers and stack instructions with 16-bit operands or a stack that is not flat: the cases for which the
 * engine has no records. Handlers of transfers run with RIP at the next instruction.
 */
import {
  R, CODE64, CS, MEMHI, RCX, RIP, RSP, SEG_LIMIT, RU, R16, EAT, LA, SS, SEG_AR, AR_DB,
} from '../state';
import {
  C, recAddressSize, recImmediate, recIsMemory, recOperandSize, recRm, recSegment,
} from '../record';
import type { Handler } from '../record';
import { condition, getZf } from '../flags';
import { raiseGp } from '../fault';
import { effectiveOffset, memoryAddress, moffsOffset, readRmV, segmentAddress, setReg, writeRmV } from '../operands';
import { popV, pushV } from '../stack';
import { CONDITION_SUFFIXES } from './semantics/conditions';

/** Jumps to an absolute offset in CS after the checks of a near transfer (SDM 2, JMP). */
function jumpTo(lo: number, hi: number, operandSize: number): void {
  if (operandSize === 0) {
    lo &= 0xffff;
    hi = 0;
  } else if (R[CODE64] === 0) hi = 0;
  if (R[CODE64] !== 0) {
    if (((hi >> 15) + 1) >>> 0 > 1) raiseGp(0);
  } else if (lo >>> 0 > RU[SEG_LIMIT + CS]) raiseGp(0);
  R[RIP] = lo;
  R[RIP + 1] = hi;
}

/** Checks a target before anything else changes (CALL pushes first otherwise). */
function checkTarget(lo: number, hi: number, operandSize: number): void {
  if (R[CODE64] !== 0 && operandSize !== 0) {
    if (((hi >> 15) + 1) >>> 0 > 1) raiseGp(0);
  } else if ((operandSize === 0 ? lo & 0xffff : lo >>> 0) > RU[SEG_LIMIT + CS] && R[CODE64] === 0) raiseGp(0);
}

function jumpRelative(p: number): void {
  const rel = recImmediate(p);
  const lo = (R[RIP] + rel) | 0;
  jumpTo(lo, (R[RIP + 1] + (rel >> 31) + (lo >>> 0 < rel >>> 0 ? 1 : 0)) | 0, recOperandSize(p));
}

/** Decrements rCX at address size; returns true while it is not zero. */
function countDown(p: number): boolean {
  switch (recAddressSize(p)) {
    case 0: return (R16[2 * RCX] = R16[2 * RCX] - 1) << 16 !== 0;
    case 1:
      R[RCX] = R[RCX] - 1;
      R[RCX + 1] = 0;
      return R[RCX] !== 0;
    default:
      R[RCX + 1] = R[RCX + 1] - (R[RCX] === 0 ? 1 : 0);
      R[RCX] = R[RCX] - 1;
      return (R[RCX] | R[RCX + 1]) !== 0;
  }
}

/** rCX - 1 at address size is not zero (LOOP checks its target before it counts). */
function loop(p: number, also: boolean): void {
  const savedLo = R[RCX], savedHi = R[RCX + 1];
  if (!countDown(p) || !also) return;
  const lo = R[RCX], hi = R[RCX + 1];
  R[RCX] = savedLo;
  R[RCX + 1] = savedHi;
  jumpRelative(p);
  R[RCX] = lo;
  R[RCX + 1] = hi;
}

function counterIsZero(p: number): boolean {
  switch (recAddressSize(p)) {
    case 0: return R16[2 * RCX] === 0;
    case 1: return R[RCX] === 0;
    default: return (R[RCX] | R[RCX + 1]) === 0;
  }
}

/** Stack pointer moved by `bytes` at the stack's address size. */
function addToStackPointer(bytes: number): void {
  if (R[CODE64] !== 0) {
    const lo = (R[RSP] + bytes) | 0;
    R[RSP + 1] = R[RSP + 1] + (lo >>> 0 < bytes >>> 0 ? 1 : 0);
    R[RSP] = lo;
  } else if (R[SEG_AR + SS] & AR_DB) R[RSP] = R[RSP] + bytes;
  else R16[2 * RSP] = R[RSP] + bytes;
}

function ret(p: number): void {
  const size = recOperandSize(p);
  const savedLo = R[RSP], savedHi = R[RSP + 1];
  const lo = popV(size), hi = size === 2 ? R[MEMHI] : 0;
  const afterLo = R[RSP], afterHi = R[RSP + 1];
  R[RSP] = savedLo;
  R[RSP + 1] = savedHi;
  jumpTo(lo, hi, size);
  R[RSP] = afterLo;
  R[RSP + 1] = afterHi;
}

export const nearHandlers: Record<string, Handler> = {
  'engine-address'(p) {
    // Words 3 and 4: bytes accessed (0: none, LEA) and whether they are written.
    const bytes = C[p + 3];
    if (bytes === 0) {
      effectiveOffset(p);
      return;
    }
    memoryAddress(p, bytes, C[p + 4] !== 0);
    R[EAT] = R[LA];
    R[EAT + 1] = R[LA + 1];
  },
  'engine-moffs'(p) {
    moffsOffset(p);
    segmentAddress(recSegment(p), R[EAT], R[EAT + 1], C[p + 4] & 255, C[p + 4] > 255);
    R[EAT] = R[LA];
    R[EAT + 1] = R[LA + 1];
  },
  push(p) {
    const size = recOperandSize(p);
    const lo = readRmV(p);
    pushV(size, lo, R[MEMHI]);
  },
  'push-immediate'(p) {
    const imm = recImmediate(p);
    pushV(recOperandSize(p), imm, imm >> 31);
  },
  pop(p) {
    const size = recOperandSize(p);
    if (!recIsMemory(p)) {
      const lo = popV(size);
      setReg(recRm(p), size, lo, R[MEMHI]);
      return;
    }
    // The address is formed with the stack pointer already moved, and a fault on the store undoes the move.
    const savedLo = R[RSP], savedHi = R[RSP + 1];
    const lo = popV(size), hi = R[MEMHI];
    const afterLo = R[RSP], afterHi = R[RSP + 1];
    let done = false;
    try {
      writeRmV(p, lo, hi);
      done = true;
    } finally {
      R[RSP] = done ? afterLo : savedLo;
      R[RSP + 1] = done ? afterHi : savedHi;
    }
  },
  call(p) {
    const rel = recImmediate(p);
    const lo = (R[RIP] + rel) | 0;
    const hi = (R[RIP + 1] + (rel >> 31) + (lo >>> 0 < rel >>> 0 ? 1 : 0)) | 0;
    const size = recOperandSize(p);
    checkTarget(lo, hi, size);
    pushV(size, R[RIP], R[RIP + 1]);
    jumpTo(lo, hi, size);
  },
  'call-indirect'(p) {
    const size = recOperandSize(p);
    const lo = readRmV(p), hi = R[MEMHI];
    checkTarget(lo, hi, size);
    pushV(size, R[RIP], R[RIP + 1]);
    jumpTo(lo, hi, size);
  },
  jmp: jumpRelative,
  'jmp-indirect'(p) {
    const lo = readRmV(p);
    jumpTo(lo, R[MEMHI], recOperandSize(p));
  },
  ret,
  'ret-immediate'(p) {
    ret(p);
    addToStackPointer(recImmediate(p));
  },
  jrcxz(p) {
    if (counterIsZero(p)) jumpRelative(p);
  },
  loop(p) { loop(p, true); },
  loope(p) { loop(p, getZf() === 1); },
  loopne(p) { loop(p, getZf() === 0); },
  ...Object.fromEntries(CONDITION_SUFFIXES.map((suffix, code): [string, Handler] => [`j${suffix}`, (p) => {
    if (condition(code) !== 0) jumpRelative(p);
  }])),
};
