/**
 * SSE data movement (SDM 2A-2B: MOVAPS, MOVDQU, MOVSS, MOVD, ...): loads, stores and register copies, which keep every
 * bit as it is. Non-temporal hints have no effect. Keys with the suffix Store have the memory or r/m operand as destination;
 * suffix 64 is the REX.W form.
 */
import { R, LA, MEMHI, EAT, RDI } from '../state';
import { C, recAddressSize, recSegment, type Handler } from '../record';
import { checkCanonical, segmentAddress, readRm32, readRm64, writeRm32, writeRm64 } from '../operands';
import { checkAlignment, probeWrite, store8 } from '../mmu/access';
import { advance } from '../fpu/memory';
import { reportPendingError } from '../fpu/stack';
import { enterMmxState } from '../mmx/operands';
import {
  copy128, enterSse, isMemory, loadAligned, loadMemory32, loadMemory64, loadUnaligned, mmx, rmRegister, setMmx, source128,
  source64, storeAligned, storeMemory32, storeMemory64, storeUnaligned, target,
} from './operands';
import { signMaskBytes } from './swar';

function moveAligned(p: number): void {
  enterSse();
  const d = target(p);
  if (isMemory(p)) loadAligned(p, d);
  else copy128(d, rmRegister(p));
}

function moveUnaligned(p: number): void {
  enterSse();
  const d = target(p);
  if (isMemory(p)) loadUnaligned(p, d);
  else copy128(d, rmRegister(p));
}

function moveAlignedStore(p: number): void {
  enterSse();
  if (isMemory(p)) storeAligned(p, target(p));
  else copy128(rmRegister(p), target(p));
}

function moveUnalignedStore(p: number): void {
  enterSse();
  if (isMemory(p)) storeUnaligned(p, target(p));
  else copy128(rmRegister(p), target(p));
}

function movss(p: number): void {
  enterSse();
  const d = target(p);
  if (isMemory(p)) {
    R[d] = loadMemory32(p);
    R[d + 1] = 0;
    R[d + 2] = 0;
    R[d + 3] = 0;
  } else R[d] = R[rmRegister(p)];
}

function movssStore(p: number): void {
  enterSse();
  if (isMemory(p)) storeMemory32(p, R[target(p)]);
  else R[rmRegister(p)] = R[target(p)];
}

function movsd(p: number): void {
  enterSse();
  const d = target(p);
  if (isMemory(p)) {
    loadMemory64(p, d);
    R[d + 2] = 0;
    R[d + 3] = 0;
  } else {
    const s = rmRegister(p);
    R[d] = R[s];
    R[d + 1] = R[s + 1];
  }
}

function movsdStore(p: number): void {
  enterSse();
  const s = target(p);
  if (isMemory(p)) storeMemory64(p, s);
  else {
    const d = rmRegister(p);
    R[d] = R[s];
    R[d + 1] = R[s + 1];
  }
}

/** MOVLPS, MOVLPD from memory. */
function moveLow(p: number): void {
  enterSse();
  loadMemory64(p, target(p));
}

/** MOVHPS, MOVHPD from memory. */
function moveHigh(p: number): void {
  enterSse();
  loadMemory64(p, target(p) + 2);
}

function moveLowStore(p: number): void {
  enterSse();
  storeMemory64(p, target(p));
}

function moveHighStore(p: number): void {
  enterSse();
  storeMemory64(p, target(p) + 2);
}

function movhlps(p: number): void {
  enterSse();
  const d = target(p), s = rmRegister(p);
  R[d] = R[s + 2];
  R[d + 1] = R[s + 3];
}

function movlhps(p: number): void {
  enterSse();
  const d = target(p), s = rmRegister(p);
  R[d + 2] = R[s];
  R[d + 3] = R[s + 1];
}

function movq(p: number): void {
  const s = source64(p), d = target(p);
  R[d] = R[s];
  R[d + 1] = R[s + 1];
  R[d + 2] = 0;
  R[d + 3] = 0;
}

function movqStore(p: number): void {
  enterSse();
  const s = target(p);
  if (isMemory(p)) storeMemory64(p, s);
  else {
    const d = rmRegister(p);
    R[d] = R[s];
    R[d + 1] = R[s + 1];
    R[d + 2] = 0;
    R[d + 3] = 0;
  }
}

/** MOVD xmm, r/m32. */
function movdXmm(p: number): void {
  enterSse();
  const v = readRm32(p), d = target(p);
  R[d] = v;
  R[d + 1] = 0;
  R[d + 2] = 0;
  R[d + 3] = 0;
}

/** MOVQ xmm, r/m64. */
function movdXmm64(p: number): void {
  enterSse();
  const v = readRm64(p), d = target(p);
  R[d] = v;
  R[d + 1] = R[MEMHI];
  R[d + 2] = 0;
  R[d + 3] = 0;
}

function movdXmmStore(p: number): void {
  enterSse();
  writeRm32(p, R[target(p)]);
}

function movdXmmStore64(p: number): void {
  enterSse();
  const s = target(p);
  writeRm64(p, R[s], R[s + 1]);
}

function movddup(p: number): void {
  const s = source64(p), d = target(p), lo = R[s], hi = R[s + 1];
  R[d] = lo;
  R[d + 1] = hi;
  R[d + 2] = lo;
  R[d + 3] = hi;
}

function movsldup(p: number): void {
  const s = source128(p), d = target(p), a = R[s], b = R[s + 2];
  R[d] = a;
  R[d + 1] = a;
  R[d + 2] = b;
  R[d + 3] = b;
}

function movshdup(p: number): void {
  const s = source128(p), d = target(p), a = R[s + 1], b = R[s + 3];
  R[d] = a;
  R[d + 1] = a;
  R[d + 2] = b;
  R[d + 3] = b;
}

/** MOVQ2DQ xmm, mm. */
function movq2dq(p: number): void {
  enterSse();
  reportPendingError();
  enterMmxState();
  const s = mmx(C[p + 1] >> 4), d = target(p);
  R[d] = R[s];
  R[d + 1] = R[s + 1];
  R[d + 2] = 0;
  R[d + 3] = 0;
}

/** MOVDQ2Q mm, xmm. */
function movdq2q(p: number): void {
  enterSse();
  reportPendingError();
  const s = rmRegister(p);
  setMmx(C[p + 1], R[s], R[s + 1]);
}

function setGeneral(p: number, value: number): void {
  const n = (C[p + 1] & 15) << 1;
  R[n] = value;
  R[n + 1] = 0;
}

function movmskps(p: number): void {
  enterSse();
  const s = rmRegister(p);
  setGeneral(p, (R[s] >>> 31) | ((R[s + 1] >>> 30) & 2) | ((R[s + 2] >>> 29) & 4) | ((R[s + 3] >>> 28) & 8));
}

function movmskpd(p: number): void {
  enterSse();
  const s = rmRegister(p);
  setGeneral(p, (R[s + 1] >>> 31) | ((R[s + 3] >>> 30) & 2));
}

function pmovmskb(p: number): void {
  enterSse();
  const s = rmRegister(p);
  setGeneral(p, signMaskBytes(R[s]) | (signMaskBytes(R[s + 1]) << 4) | (signMaskBytes(R[s + 2]) << 8) | (signMaskBytes(R[s + 3]) << 12));
}

/** MOVNTI: not an SSE-state instruction, so CR0.EM and CR0.TS do not matter. */
function movnti(p: number): void {
  storeMemory32(p, R[(C[p + 1] & 15) << 1]);
}

function movnti64(p: number): void {
  storeMemory64(p, (C[p + 1] & 15) << 1);
}

/** MASKMOVDQU: bytes of reg whose mask byte (in rm) has bit 7 set go to DS:rDI. All 16 bytes must be writable, whatever the mask. */
function maskmovdqu(p: number): void {
  enterSse();
  const s = target(p), m = rmRegister(p);
  const mask = signMaskBytes(R[m]) | (signMaskBytes(R[m + 1]) << 4) | (signMaskBytes(R[m + 2]) << 8) | (signMaskBytes(R[m + 3]) << 12);
  const size = recAddressSize(p), segment = recSegment(p);
  R[EAT] = size === 0 ? R[RDI] & 0xffff : R[RDI];
  R[EAT + 1] = size === 2 ? R[RDI + 1] : 0;
  segmentAddress(segment, R[EAT], R[EAT + 1], 16, true);
  if (size === 2) checkCanonical(segment, R[LA], R[LA + 1], 16);
  const lo = R[LA], hi = R[LA + 1];
  checkAlignment(lo, hi, 8);
  probeWrite(lo, hi, 16);
  for (let i = 0; i < 16; i++) {
    if (((mask >> i) & 1) === 0) continue;
    advance(lo, hi, i);
    store8(R[LA], R[LA + 1], (R[s + (i >> 2)] >>> ((i & 3) << 3)) & 255);
  }
}

export const moveHandlers: Record<string, Handler> = {
  movaps: moveAligned, movapd: moveAligned, movdqa: moveAligned, movntdqa: moveAligned,
  movapsStore: moveAlignedStore, movapdStore: moveAlignedStore, movdqaStore: moveAlignedStore,
  movntps: moveAlignedStore, movntpd: moveAlignedStore, movntdq: moveAlignedStore,
  movups: moveUnaligned, movupd: moveUnaligned, movdqu: moveUnaligned, lddqu: moveUnaligned,
  movupsStore: moveUnalignedStore, movupdStore: moveUnalignedStore, movdquStore: moveUnalignedStore,
  movss, movssStore, movsdXmm: movsd, movsdXmmStore: movsdStore,
  movlps: moveLow, movlpd: moveLow, movhps: moveHigh, movhpd: moveHigh,
  movlpsStore: moveLowStore, movlpdStore: moveLowStore, movhpsStore: moveHighStore, movhpdStore: moveHighStore,
  movhlps, movlhps, movqXmm: movq, movqXmmStore: movqStore,
  movdXmm, movdXmm64, movdXmmStore, movdXmmStore64,
  movddup, movsldup, movshdup, movq2dq, movdq2q, movmskps, movmskpd, pmovmskbXmm: pmovmskb,
  movnti, movnti64, maskmovdqu,
};
