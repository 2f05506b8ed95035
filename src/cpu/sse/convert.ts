/**
 * SSE conversions between binary32, binary64 and integers, and ROUNDPS/SS/PD/SD (SDM 2A-2B CVT*, ROUND*; volume 1
 * 11.5.2.1: the integer indefinite is the most negative integer).
 *
 * Keys: suffix 64 is the REX.W form with a 64-bit general register.
 */
import { R, RF32, RF64, MEMHI } from '../state';
import { C, type Handler } from '../record';
import { readRm32, readRm64, setReg32 } from '../operands';
import { reportPendingError } from '../fpu/stack';
import { enterMmxState } from '../mmx/operands';
import {
  copy128, enterSse, isMemory, loadMemory64, mmx, set128, setMmx, source128, source32, source64, target,
  OPERAND, RESULT,
} from './operands';
import { RAISED, IE, PE, DE, NEAREST, DOWN, UP, TRUNCATE, deliverExceptions, denormalsAreZeros, roundingControl } from './mxcsr';
import {
  FLOAT32, FLOAT64, CLASS_DENORMAL, CLASS_SNAN, classify, softFromInt64, softNarrow, writeZero,
} from './softfloat';
import { writeRounded32, MIN_NORMAL32, MAX_FINITE32 } from './f32';
import { MAX_FINITE64, MIN_NORMAL64, writeRounded64 } from './f64';

const TWO32 = 4294967296, TWO52 = 4503599627370496, TWO63 = 9223372036854775808;

/** x rounded to an integer; a zero result may have either sign. */
function roundToInteger(x: number, control: number): number {
  switch (control) {
    case NEAREST:
      if (x >= TWO52 || x <= -TWO52) return x;
      return x >= 0 ? x + TWO52 - TWO52 : x - TWO52 + TWO52;
    case DOWN: return Math.floor(x);
    case UP: return Math.ceil(x);
    default: return Math.trunc(x);
  }
}

// --- Floating point to integer (x is exact in a double, or NaN) ---

function toInt32(x: number, control: number): number {
  const r = roundToInteger(x, control);
  if (r >= -2147483648 && r <= 2147483647) {
    if (r !== x) R[RAISED] |= PE;
    return r | 0;
  }
  R[RAISED] |= IE;
  return 0x80000000 | 0;
}

/** Result in R[RESULT], R[RESULT + 1]. */
function toInt64(x: number, control: number): void {
  const r = roundToInteger(x, control);
  if (r >= -TWO63 && r < TWO63) {
    if (r !== x) R[RAISED] |= PE;
    const hi = Math.floor(r / TWO32);
    R[RESULT] = r - hi * TWO32;
    R[RESULT + 1] = hi;
  } else {
    R[RAISED] |= IE;
    R[RESULT] = 0;
    R[RESULT + 1] = 0x80000000;
  }
}

/** Binary32 value at word w, a denormal read as zero under DAZ. */
function value32(w: number): number {
  const x = RF32[w];
  return denormalsAreZeros() && Math.abs(x) < MIN_NORMAL32 ? 0 : x;
}

function value64(w: number): number {
  const x = RF64[w >> 1];
  return denormalsAreZeros() && Math.abs(x) < MIN_NORMAL64 ? 0 : x;
}

function generalFrom(p: number, x: number, control: number): void {
  R[RAISED] = 0;
  const v = toInt32(x, control);
  deliverExceptions();
  setReg32(C[p + 1] & 15, v);
}

function general64From(p: number, x: number, control: number): void {
  R[RAISED] = 0;
  toInt64(x, control);
  deliverExceptions();
  const n = (C[p + 1] & 15) << 1;
  R[n] = R[RESULT];
  R[n + 1] = R[RESULT + 1];
}

function fourFrom32(p: number, control: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  const a = toInt32(value32(s), control), b = toInt32(value32(s + 1), control);
  const c = toInt32(value32(s + 2), control), d = toInt32(value32(s + 3), control);
  deliverExceptions();
  set128(target(p), a, b, c, d);
}

function twoFrom64(p: number, control: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  const a = toInt32(value64(s), control), b = toInt32(value64(s + 2), control);
  deliverExceptions();
  set128(target(p), a, b, 0, 0);
}

/** CVTPS2PI, CVTTPS2PI. */
function mmxFrom32(p: number, control: number): void {
  enterSse();
  reportPendingError();
  const s = source64(p);
  R[RAISED] = 0;
  const a = toInt32(value32(s), control), b = toInt32(value32(s + 1), control);
  // The change to MMX state comes before a SIMD exception: the manuals do not say so, but processors do.
  enterMmxState();
  deliverExceptions();
  setMmx(C[p + 1], a, b);
}

/** CVTPD2PI, CVTTPD2PI. */
function mmxFrom64(p: number, control: number): void {
  enterSse();
  reportPendingError();
  const s = source128(p);
  R[RAISED] = 0;
  const a = toInt32(value64(s), control), b = toInt32(value64(s + 2), control);
  enterMmxState();
  deliverExceptions();
  setMmx(C[p + 1], a, b);
}

// --- Integer to floating point ---

function int32To32(out: number, v: number): void {
  const r = Math.fround(v);
  writeRounded32(out, r, v - r);
}

function cvtsi2ss(p: number): void {
  enterSse();
  const v = readRm32(p), d = target(p);
  R[RAISED] = 0;
  int32To32(RESULT, v);
  deliverExceptions();
  R[d] = R[RESULT];
}

function cvtsi2ss64(p: number): void {
  enterSse();
  const lo = readRm64(p), d = target(p);
  R[RAISED] = 0;
  softFromInt64(FLOAT32, RESULT, lo, R[MEMHI]);
  deliverExceptions();
  R[d] = R[RESULT];
}

function cvtsi2sd(p: number): void {
  enterSse();
  const v = readRm32(p);
  RF64[target(p) >> 1] = v;
}

function cvtsi2sd64(p: number): void {
  enterSse();
  const lo = readRm64(p) >>> 0, hi = R[MEMHI] * TWO32, d = target(p), r = hi + lo, t = r - hi;
  R[RAISED] = 0;
  writeRounded64(RESULT, r, (hi - (r - t)) + (lo - t));
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

function cvtdq2ps(p: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  for (let i = 0; i < 4; i++) int32To32(RESULT + i, R[s + i]);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function cvtdq2pd(p: number): void {
  const s = source64(p), d = target(p) >> 1, a = R[s], b = R[s + 1];
  RF64[d] = a;
  RF64[d + 1] = b;
}

/** MMX or memory source of CVTPI2PS and CVTPI2PD: first word. */
function sourceMmx(p: number): number {
  if (isMemory(p)) {
    loadMemory64(p, OPERAND);
    return OPERAND;
  }
  return mmx(C[p + 1] >> 4);
}

/** With a memory operand CVTPI2PS and CVTPI2PD leave the x87 state alone (SDM 2A CVTPI2PD; processors treat both alike). */
function cvtpi2ps(p: number): void {
  enterSse();
  if (!isMemory(p)) reportPendingError();
  const s = sourceMmx(p), d = target(p);
  R[RAISED] = 0;
  int32To32(RESULT, R[s]);
  int32To32(RESULT + 1, R[s + 1]);
  if (!isMemory(p)) enterMmxState();
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

function cvtpi2pd(p: number): void {
  enterSse();
  if (!isMemory(p)) reportPendingError();
  const s = sourceMmx(p), d = target(p) >> 1, a = R[s], b = R[s + 1];
  if (!isMemory(p)) enterMmxState();
  RF64[d] = a;
  RF64[d + 1] = b;
}

// --- Between the two formats ---

function widen(out: number, a: number): void {
  const x = RF32[a];
  if (x !== x) {
    const w = R[a];
    if (classify(FLOAT32, a) === CLASS_SNAN) R[RAISED] |= IE;
    R[out] = w << 29;
    R[out + 1] = (w & (0x80000000 | 0)) | 0x7ff80000 | ((w & 0x7fffff) >> 3);
  } else if (classify(FLOAT32, a) === CLASS_DENORMAL) {
    if (denormalsAreZeros()) writeZero(FLOAT64, out, R[a] >>> 31);
    else {
      R[RAISED] |= DE;
      RF64[out >> 1] = x;
    }
  } else RF64[out >> 1] = x;
}

function narrow(out: number, a: number): void {
  const x = RF64[a >> 1], r = Math.fround(x), m = Math.abs(r);
  if (m > MIN_NORMAL32 && m < MAX_FINITE32) writeRounded32(out, r, x - r);
  else softNarrow(out, a);
}

function cvtss2sd(p: number): void {
  const s = source32(p), d = target(p);
  R[RAISED] = 0;
  widen(RESULT, s);
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

function cvtps2pd(p: number): void {
  const s = source64(p);
  R[RAISED] = 0;
  widen(RESULT, s);
  widen(RESULT + 2, s + 1);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function cvtsd2ss(p: number): void {
  const s = source64(p);
  R[RAISED] = 0;
  narrow(RESULT, s);
  deliverExceptions();
  R[target(p)] = R[RESULT];
}

function cvtpd2ps(p: number): void {
  const s = source128(p);
  R[RAISED] = 0;
  narrow(RESULT, s);
  narrow(RESULT + 1, s + 2);
  deliverExceptions();
  set128(target(p), R[RESULT], R[RESULT + 1], 0, 0);
}

// --- SSE4.1 ROUND: imm8 1:0 mode, 2 use MXCSR.RC, 3 suppress the precision exception ---

function roundElement32(out: number, a: number, mode: number): void {
  const x = value32(a);
  if (Math.abs(x) <= MAX_FINITE32) {
    const r = roundToInteger(x, mode & 4 ? roundingControl() : mode & 3);
    if (r !== x && (mode & 8) === 0) R[RAISED] |= PE;
    const negative = R[a] & (0x80000000 | 0);
    RF32[out] = r;
    R[out] |= negative;
  } else {
    if (classify(FLOAT32, a) === CLASS_SNAN) R[RAISED] |= IE;
    R[out] = x !== x ? R[a] | 0x400000 : R[a];
  }
}

function roundElement64(out: number, a: number, mode: number): void {
  const x = value64(a);
  if (Math.abs(x) <= MAX_FINITE64) {
    const r = roundToInteger(x, mode & 4 ? roundingControl() : mode & 3);
    if (r !== x && (mode & 8) === 0) R[RAISED] |= PE;
    const negative = R[a + 1] & (0x80000000 | 0);
    RF64[out >> 1] = r;
    R[out + 1] |= negative;
  } else {
    if (classify(FLOAT64, a) === CLASS_SNAN) R[RAISED] |= IE;
    const lo = R[a], hi = R[a + 1];
    R[out] = lo;
    R[out + 1] = x !== x ? hi | 0x80000 : hi;
  }
}

function roundps(p: number): void {
  const s = source128(p), mode = C[p + 3];
  R[RAISED] = 0;
  for (let i = 0; i < 4; i++) roundElement32(RESULT + i, s + i, mode);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function roundpd(p: number): void {
  const s = source128(p), mode = C[p + 3];
  R[RAISED] = 0;
  roundElement64(RESULT, s, mode);
  roundElement64(RESULT + 2, s + 2, mode);
  deliverExceptions();
  copy128(target(p), RESULT);
}

function roundss(p: number): void {
  const s = source32(p);
  R[RAISED] = 0;
  roundElement32(RESULT, s, C[p + 3]);
  deliverExceptions();
  R[target(p)] = R[RESULT];
}

function roundsd(p: number): void {
  const s = source64(p), d = target(p);
  R[RAISED] = 0;
  roundElement64(RESULT, s, C[p + 3]);
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

export const convertHandlers: Record<string, Handler> = {
  cvtss2si: (p) => { const s = source32(p); generalFrom(p, value32(s), roundingControl()); },
  cvttss2si: (p) => { const s = source32(p); generalFrom(p, value32(s), TRUNCATE); },
  cvtsd2si: (p) => { const s = source64(p); generalFrom(p, value64(s), roundingControl()); },
  cvttsd2si: (p) => { const s = source64(p); generalFrom(p, value64(s), TRUNCATE); },
  cvtss2si64: (p) => { const s = source32(p); general64From(p, value32(s), roundingControl()); },
  cvttss2si64: (p) => { const s = source32(p); general64From(p, value32(s), TRUNCATE); },
  cvtsd2si64: (p) => { const s = source64(p); general64From(p, value64(s), roundingControl()); },
  cvttsd2si64: (p) => { const s = source64(p); general64From(p, value64(s), TRUNCATE); },
  cvtps2dq: (p) => fourFrom32(p, roundingControl()), cvttps2dq: (p) => fourFrom32(p, TRUNCATE),
  cvtpd2dq: (p) => twoFrom64(p, roundingControl()), cvttpd2dq: (p) => twoFrom64(p, TRUNCATE),
  cvtps2pi: (p) => mmxFrom32(p, roundingControl()), cvttps2pi: (p) => mmxFrom32(p, TRUNCATE),
  cvtpd2pi: (p) => mmxFrom64(p, roundingControl()), cvttpd2pi: (p) => mmxFrom64(p, TRUNCATE),
  cvtsi2ss, cvtsi2ss64, cvtsi2sd, cvtsi2sd64, cvtdq2ps, cvtdq2pd, cvtpi2ps, cvtpi2pd,
  cvtss2sd, cvtps2pd, cvtsd2ss, cvtpd2ps,
  roundps, roundpd, roundss, roundsd,
};
