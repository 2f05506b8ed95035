/**
 * SSE floating-point arithmetic: ADD SUB MUL DIV SQRT packed and scalar, ADDSUB, HADD, HSUB, DPPS, DPPD, RCP, RSQRT
 * (SDM 2A-2B). Element operations are in f32.ts and f64.ts.
 */
import { R, RF32 } from '../state';
import { C, type Handler } from '../record';
import { copy128, set128, source128, source32, source64, target, RESULT, WORK } from './operands';
import { packed32, packed64, scalar32, scalar64, type Binary } from './specialise';
import { RAISED, deliverExceptions } from './mxcsr';
import { add32, sub32, mul32, div32, sqrt32 } from './f32';
import { add64, sub64, mul64, div64, sqrt64 } from './f64';
import { FLOAT32, classify, writeQuiet, CLASS_DENORMAL, CLASS_INFINITY, CLASS_QNAN, CLASS_ZERO } from './softfloat';

type Unary = (out: number, a: number) => void;

function sqrtPacked32(p: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  for (let i = 0; i < 4; i++) sqrt32(RESULT + i, s + i);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function sqrtPacked64(p: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  sqrt64(RESULT, s);
  sqrt64(RESULT + 2, s + 2);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function sqrtss(p: number): void {
  const s = source32(p), d = target(p);
  R[RAISED] = 0;
  sqrt32(RESULT, s);
  deliverExceptions();
  R[d] = R[RESULT];
}

function sqrtsd(p: number): void {
  const s = source64(p), d = target(p);
  R[RAISED] = 0;
  sqrt64(RESULT, s);
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

// --- SSE3 ---

function addsubps(p: number): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  sub32(RESULT, d, s);
  add32(RESULT + 1, d + 1, s + 1);
  sub32(RESULT + 2, d + 2, s + 2);
  add32(RESULT + 3, d + 3, s + 3);
  deliverExceptions();
  copy128(d, RESULT);
}

function addsubpd(p: number): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  sub64(RESULT, d, s);
  add64(RESULT + 2, d + 2, s + 2);
  deliverExceptions();
  copy128(d, RESULT);
}

function horizontal32(p: number, f: Binary): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  f(RESULT, d, d + 1);
  f(RESULT + 1, d + 2, d + 3);
  f(RESULT + 2, s, s + 1);
  f(RESULT + 3, s + 2, s + 3);
  deliverExceptions();
  copy128(d, RESULT);
}

function horizontal64(p: number, f: Binary): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  f(RESULT, d, d + 2);
  f(RESULT + 2, s, s + 2);
  deliverExceptions();
  copy128(d, RESULT);
}

// --- SSE4.1 dot products: products, then sums in the order the SDM gives; each stage delivers its exceptions ---

function dpps(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3];
  R[RAISED] = 0;
  for (let k = 0; k < 4; k++) {
    if ((i >> (4 + k)) & 1) mul32(WORK + k, d + k, s + k);
    else R[WORK + k] = 0;
  }
  deliverExceptions();
  add32(RESULT, WORK, WORK + 1);
  add32(RESULT + 1, WORK + 2, WORK + 3);
  deliverExceptions();
  add32(RESULT + 2, RESULT, RESULT + 1);
  deliverExceptions();
  for (let k = 0; k < 4; k++) R[d + k] = (i >> k) & 1 ? R[RESULT + 2] : 0;
}

function dppd(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3];
  R[RAISED] = 0;
  set128(WORK, 0, 0, 0, 0);
  if (i & 0x10) mul64(WORK, d, s);
  if (i & 0x20) mul64(WORK + 2, d + 2, s + 2);
  deliverExceptions();
  add64(RESULT, WORK, WORK + 2);
  deliverExceptions();
  const lo = R[RESULT], hi = R[RESULT + 1], first = i & 1 ? -1 : 0, second = i & 2 ? -1 : 0;
  set128(d, lo & first, hi & first, lo & second, hi & second);
}

// --- Reciprocal estimates: 12 significant bits after the point, error below 2^-12.9; no exceptions, ignore MXCSR ---

/** Rounds the binary32 at `out` to 12 fraction bits and flushes denormal results to zero. */
function shorten(out: number): void {
  const v = (R[out] + 0x400) & ~0x7ff;
  R[out] = (v & 0x7f800000) === 0 ? v & (0x80000000 | 0) : v;
}

function reciprocal(out: number, a: number): void {
  const c = classify(FLOAT32, a), negative = R[a] & (0x80000000 | 0);
  if (c >= CLASS_QNAN) writeQuiet(FLOAT32, out, a);
  else if (c === CLASS_INFINITY) R[out] = negative;
  else if (c === CLASS_ZERO || c === CLASS_DENORMAL) R[out] = negative | 0x7f800000;
  else {
    RF32[out] = 1 / RF32[a];
    shorten(out);
  }
}

function reciprocalRoot(out: number, a: number): void {
  const c = classify(FLOAT32, a), negative = R[a] & (0x80000000 | 0);
  if (c >= CLASS_QNAN) writeQuiet(FLOAT32, out, a);
  else if (c === CLASS_ZERO || c === CLASS_DENORMAL) R[out] = negative | 0x7f800000;
  else if (negative) R[out] = 0xffc00000 | 0;
  else if (c === CLASS_INFINITY) R[out] = 0;
  else {
    RF32[out] = 1 / Math.sqrt(RF32[a]);
    shorten(out);
  }
}

function estimatePacked(p: number, f: Unary): void {
  const s = source128(p);
  for (let i = 0; i < 4; i++) f(RESULT + i, s + i);
  copy128(target(p), RESULT);
}

function estimateScalar(p: number, f: Unary): void {
  const s = source32(p);
  f(target(p), s);
}

export const arithmeticHandlers: Record<string, Handler> = {
  addps: packed32(add32, '+'), subps: packed32(sub32, '-'), mulps: packed32(mul32, '*'), divps: packed32(div32, '/'),
  addss: scalar32(add32, '+'), subss: scalar32(sub32, '-'), mulss: scalar32(mul32, '*'), divss: scalar32(div32, '/'),
  addpd: packed64(add64, '+'), subpd: packed64(sub64, '-'), mulpd: packed64(mul64, '*'), divpd: packed64(div64, '/'),
  addsd: scalar64(add64, '+'), subsd: scalar64(sub64, '-'), mulsd: scalar64(mul64, '*'), divsd: scalar64(div64, '/'),
  sqrtps: sqrtPacked32, sqrtss, sqrtpd: sqrtPacked64, sqrtsd,
  addsubps, addsubpd,
  haddps: (p) => horizontal32(p, add32), hsubps: (p) => horizontal32(p, sub32),
  haddpd: (p) => horizontal64(p, add64), hsubpd: (p) => horizontal64(p, sub64),
  dpps, dppd,
  rcpps: (p) => estimatePacked(p, reciprocal), rcpss: (p) => estimateScalar(p, reciprocal),
  rsqrtps: (p) => estimatePacked(p, reciprocalRoot), rsqrtss: (p) => estimateScalar(p, reciprocalRoot),
};
