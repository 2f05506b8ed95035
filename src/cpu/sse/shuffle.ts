/**
 * SSE-SSE4.1 rearrangement of elements (SDM 2B): unpack, pack, shuffle, blend, insert, extract, widen, PALIGNR, MPSADBW.
 * Handlers gather what they need before writing, since source and target may be the same register.
 */
import { R, R8, R16, MEMHI, XMM } from '../state';
import { C, type Handler } from '../record';
import { readRm32, readRm64, setReg32, writeRm32, writeRm64 } from '../operands';
import {
  copy128, enterSse, isMemory, loadMemory8, loadMemory16, loadMemory32, rmRegister, set128, source128, source16, source32,
  source64, storeMemory8, storeMemory16, target, RESULT, WORK,
} from './operands';
import { packDoublewordsSigned, packDoublewordsUnsigned, packWordsSigned, packWordsUnsigned, select } from './swar';
import { extractBytes } from './shift';

function immediate(p: number): number {
  return C[p + 3] & 255;
}

// --- Unpack: interleave the low or high halves ---

/** Bytes 1:0 of a and b interleaved. */
function interleaveLow(a: number, b: number): number {
  return (a & 255) | ((b & 255) << 8) | ((a & 0xff00) << 8) | ((b & 0xff00) << 16);
}
/** Bytes 3:2 of a and b interleaved. */
function interleaveHigh(a: number, b: number): number {
  return ((a >>> 16) & 255) | ((b >>> 8) & 0xff00) | ((a >>> 8) & 0xff0000) | (b & 0xff000000);
}
function lowWords(a: number, b: number): number { return (a & 0xffff) | (b << 16); }
function highWords(a: number, b: number): number { return (a >>> 16) | (b & 0xffff0000); }

function unpackBytes(p: number, half: number): void {
  const s = source128(p) + half, d = target(p), a = R[d + half], b = R[d + half + 1], x = R[s], y = R[s + 1];
  set128(d, interleaveLow(a, x), interleaveHigh(a, x), interleaveLow(b, y), interleaveHigh(b, y));
}

function unpackWords(p: number, half: number): void {
  const s = source128(p) + half, d = target(p), a = R[d + half], b = R[d + half + 1], x = R[s], y = R[s + 1];
  set128(d, lowWords(a, x), highWords(a, x), lowWords(b, y), highWords(b, y));
}

function unpackDoublewords(p: number, half: number): void {
  const s = source128(p) + half, d = target(p), a = R[d + half], b = R[d + half + 1], x = R[s], y = R[s + 1];
  set128(d, a, x, b, y);
}

function punpcklqdq(p: number): void {
  const s = source128(p), d = target(p), x = R[s], y = R[s + 1];
  R[d + 2] = x;
  R[d + 3] = y;
}

function punpckhqdq(p: number): void {
  const s = source128(p), d = target(p), x = R[s + 2], y = R[s + 3];
  R[d] = R[d + 2];
  R[d + 1] = R[d + 3];
  R[d + 2] = x;
  R[d + 3] = y;
}

const punpcklbw: Handler = (p) => unpackBytes(p, 0);
const punpckhbw: Handler = (p) => unpackBytes(p, 2);
const punpcklwd: Handler = (p) => unpackWords(p, 0);
const punpckhwd: Handler = (p) => unpackWords(p, 2);
const punpckldq: Handler = (p) => unpackDoublewords(p, 0);
const punpckhdq: Handler = (p) => unpackDoublewords(p, 2);

// --- Pack ---

function pack(p: number, f: (a: number, b: number) => number): void {
  const s = source128(p), d = target(p), x = R[s], y = R[s + 1], z = R[s + 2], w = R[s + 3];
  set128(d, f(R[d], R[d + 1]), f(R[d + 2], R[d + 3]), f(x, y), f(z, w));
}

// --- Shuffle ---

function pshufd(p: number): void {
  const s = source128(p), i = C[p + 3];
  set128(target(p), R[s + (i & 3)], R[s + ((i >> 2) & 3)], R[s + ((i >> 4) & 3)], R[s + ((i >> 6) & 3)]);
}

/** Two of the four 16-bit words at word s, chosen by two bits each. */
function twoWords(s: number, i: number): number {
  return (R16[(s << 1) + (i & 3)]) | (R16[(s << 1) + ((i >> 2) & 3)] << 16);
}

function pshuflw(p: number): void {
  const s = source128(p), i = C[p + 3];
  set128(target(p), twoWords(s, i), twoWords(s, i >> 4), R[s + 2], R[s + 3]);
}

function pshufhw(p: number): void {
  const s = source128(p), i = C[p + 3];
  set128(target(p), R[s], R[s + 1], twoWords(s + 2, i), twoWords(s + 2, i >> 4));
}

function shufps(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3];
  set128(d, R[d + (i & 3)], R[d + ((i >> 2) & 3)], R[s + ((i >> 4) & 3)], R[s + ((i >> 6) & 3)]);
}

function shufpd(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3], a = d + ((i & 1) << 1), b = s + (i & 2);
  set128(d, R[a], R[a + 1], R[b], R[b + 1]);
}

function pshufb(p: number): void {
  const s = source128(p), d = target(p), from = d << 2, control = s << 2, to = RESULT << 2;
  for (let i = 0; i < 16; i++) {
    const c = R8[control + i];
    R8[to + i] = c & 0x80 ? 0 : R8[from + (c & 15)];
  }
  copy128(d, RESULT);
}

function palignr(p: number): void {
  const s = source128(p), d = target(p), n = immediate(p);
  if (n > 31) {
    set128(d, 0, 0, 0, 0);
    return;
  }
  copy128(WORK, s);
  copy128(WORK + 4, d);
  if (n > 15) {
    copy128(WORK, WORK + 4);
    set128(WORK + 4, 0, 0, 0, 0);
  }
  extractBytes(d, n & 15);
}

// --- Blend ---

/** Words of the source whose bit of `mask` is set replace the target's. */
function blendWords(d: number, s: number, mask: number): void {
  if (mask & 1) R[d] = R[s];
  if (mask & 2) R[d + 1] = R[s + 1];
  if (mask & 4) R[d + 2] = R[s + 2];
  if (mask & 8) R[d + 3] = R[s + 3];
}

function blendps(p: number): void {
  const s = source128(p);
  blendWords(target(p), s, C[p + 3]);
}

function blendpd(p: number): void {
  const s = source128(p), i = C[p + 3];
  blendWords(target(p), s, (i & 1 ? 3 : 0) | (i & 2 ? 12 : 0));
}

function pblendw(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3];
  for (let k = 0; k < 4; k++) {
    const m = ((i >> (2 * k)) & 1 ? 0xffff : 0) | ((i >> (2 * k + 1)) & 1 ? 0xffff0000 : 0);
    R[d + k] = select(m, R[s + k], R[d + k]);
  }
}

function blendvps(p: number): void {
  const s = source128(p);
  blendWords(target(p), s, (R[XMM] >>> 31) | ((R[XMM + 1] >>> 30) & 2) | ((R[XMM + 2] >>> 29) & 4) | ((R[XMM + 3] >>> 28) & 8));
}

function blendvpd(p: number): void {
  const s = source128(p);
  blendWords(target(p), s, (R[XMM + 1] < 0 ? 3 : 0) | (R[XMM + 3] < 0 ? 12 : 0));
}

function pblendvb(p: number): void {
  const s = source128(p), d = target(p);
  for (let k = 0; k < 4; k++) {
    const signs = R[XMM + k] & 0x80808080;
    R[d + k] = select((signs - (signs >>> 7)) | signs, R[s + k], R[d + k]);
  }
}

// --- Insert and extract ---

function pinsrb(p: number): void {
  enterSse();
  const v = isMemory(p) ? loadMemory8(p) : R8[((C[p + 1] >> 4) & 15) << 3];
  R8[(target(p) << 2) + (C[p + 3] & 15)] = v;
}

function pinsrw(p: number): void {
  enterSse();
  const v = isMemory(p) ? loadMemory16(p) : R16[((C[p + 1] >> 4) & 15) << 2];
  R16[(target(p) << 1) + (C[p + 3] & 7)] = v;
}

function pinsrd(p: number): void {
  enterSse();
  const v = readRm32(p);
  R[target(p) + (C[p + 3] & 3)] = v;
}

function pinsrq(p: number): void {
  enterSse();
  const v = readRm64(p), d = target(p) + ((C[p + 3] & 1) << 1);
  R[d] = v;
  R[d + 1] = R[MEMHI];
}

function pextrb(p: number): void {
  enterSse();
  const v = R8[(target(p) << 2) + (C[p + 3] & 15)];
  if (isMemory(p)) storeMemory8(p, v);
  else setReg32((C[p + 1] >> 4) & 15, v);
}

/** PEXTRW r/m16 (SSE4.1 form: the XMM register is ModRM.reg). */
function pextrwStore(p: number): void {
  enterSse();
  const v = R16[(target(p) << 1) + (C[p + 3] & 7)];
  if (isMemory(p)) storeMemory16(p, v);
  else setReg32((C[p + 1] >> 4) & 15, v);
}

/** PEXTRW r32, xmm (SSE2 form: the XMM register is ModRM.rm). */
function pextrw(p: number): void {
  enterSse();
  setReg32(C[p + 1] & 15, R16[(rmRegister(p) << 1) + (C[p + 3] & 7)]);
}

/** PEXTRD, EXTRACTPS. */
function pextrd(p: number): void {
  enterSse();
  writeRm32(p, R[target(p) + (C[p + 3] & 3)]);
}

function pextrq(p: number): void {
  enterSse();
  const s = target(p) + ((C[p + 3] & 1) << 1);
  writeRm64(p, R[s], R[s + 1]);
}

function insertps(p: number): void {
  enterSse();
  const i = C[p + 3], d = target(p);
  const v = isMemory(p) ? loadMemory32(p) : R[rmRegister(p) + ((i >> 6) & 3)];
  R[d + ((i >> 4) & 3)] = v;
  if (i & 1) R[d] = 0;
  if (i & 2) R[d + 1] = 0;
  if (i & 4) R[d + 2] = 0;
  if (i & 8) R[d + 3] = 0;
}

// --- Widen (PMOVSX, PMOVZX) ---

function pmovzxbw(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), interleaveLow(a, 0), interleaveHigh(a, 0), interleaveLow(b, 0), interleaveHigh(b, 0));
}

function pmovzxbd(p: number): void {
  const s = source32(p), a = R[s];
  set128(target(p), a & 255, (a >>> 8) & 255, (a >>> 16) & 255, a >>> 24);
}

function pmovzxbq(p: number): void {
  const s = source16(p), a = R[s];
  set128(target(p), a & 255, 0, (a >>> 8) & 255, 0);
}

function pmovzxwd(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), a & 0xffff, a >>> 16, b & 0xffff, b >>> 16);
}

function pmovzxwq(p: number): void {
  const s = source32(p), a = R[s];
  set128(target(p), a & 0xffff, 0, a >>> 16, 0);
}

function pmovzxdq(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), a, 0, b, 0);
}

/** Bytes 1:0 of a as sign-extended 16-bit words. */
function widenBytes(a: number): number {
  return (((a << 24) >> 24) & 0xffff) | (((a << 16) >> 24) << 16);
}

function pmovsxbw(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), widenBytes(a), widenBytes(a >> 16), widenBytes(b), widenBytes(b >> 16));
}

function pmovsxbd(p: number): void {
  const s = source32(p), a = R[s];
  set128(target(p), (a << 24) >> 24, (a << 16) >> 24, (a << 8) >> 24, a >> 24);
}

function pmovsxbq(p: number): void {
  const s = source16(p), a = (R[s] << 24) >> 24, b = (R[s] << 16) >> 24;
  set128(target(p), a, a >> 31, b, b >> 31);
}

function pmovsxwd(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), (a << 16) >> 16, a >> 16, (b << 16) >> 16, b >> 16);
}

function pmovsxwq(p: number): void {
  const s = source32(p), a = (R[s] << 16) >> 16, b = R[s] >> 16;
  set128(target(p), a, a >> 31, b, b >> 31);
}

function pmovsxdq(p: number): void {
  const s = source64(p), a = R[s], b = R[s + 1];
  set128(target(p), a, a >> 31, b, b >> 31);
}

// --- MPSADBW ---

/** Eight sums of absolute differences of four bytes: a sliding window of the target against one group of the source. */
function mpsadbw(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3];
  const first = (d << 2) + (i & 4), group = (s << 2) + ((i & 3) << 2);
  for (let k = 0; k < 8; k++) {
    let sum = 0;
    for (let j = 0; j < 4; j++) sum += Math.abs(R8[first + k + j] - R8[group + j]);
    R16[(RESULT << 1) + k] = sum;
  }
  copy128(d, RESULT);
}

export const shuffleHandlers: Record<string, Handler> = {
  punpcklbwXmm: punpcklbw, punpckhbwXmm: punpckhbw, punpcklwdXmm: punpcklwd, punpckhwdXmm: punpckhwd,
  punpckldqXmm: punpckldq, punpckhdqXmm: punpckhdq, unpcklps: punpckldq, unpckhps: punpckhdq,
  punpcklqdq, punpckhqdq, unpcklpd: punpcklqdq, unpckhpd: punpckhqdq,
  packsswbXmm: (p) => pack(p, packWordsSigned),
  packuswbXmm: (p) => pack(p, packWordsUnsigned),
  packssdwXmm: (p) => pack(p, packDoublewordsSigned),
  packusdw: (p) => pack(p, packDoublewordsUnsigned),
  pshufd, pshuflw, pshufhw, shufps, shufpd, pshufbXmm: pshufb, palignrXmm: palignr,
  blendps, blendpd, pblendw, blendvps, blendvpd, pblendvb,
  pinsrb, pinsrwXmm: pinsrw, pinsrd, pinsrq, pextrb, pextrwXmm: pextrw, pextrwStore, pextrd, pextrq, extractps: pextrd, insertps,
  pmovzxbw, pmovzxbd, pmovzxbq, pmovzxwd, pmovzxwq, pmovzxdq,
  pmovsxbw, pmovsxbd, pmovsxbq, pmovsxwd, pmovsxwq, pmovsxdq, mpsadbw,
};
