/**
 * Binary32 element operations for SSE, computed in host doubles: a double result rounded to single is the correctly
 * rounded single result for + - * / and square root (53 >= 2 * 24 + 2 bits), and differences in double tell
 * exactly whether and in which direction it was rounded. The rest is as in f64.ts.
 */
import { R, RF32, MXCSR } from '../state';
import { RAISED, PE, RC_SHIFT, NEAREST, DOWN, UP, roundingControl } from './mxcsr';
import { FLOAT32, OP_ADD, OP_SUB, OP_MUL, OP_DIV, softBinary, softSqrt } from './softfloat';

export const MIN_NORMAL32 = 1.1754943508222875e-38;
export const MAX_FINITE32 = 3.4028234663852886e38;

/** True for zeros and numbers that are normal in binary32. */
export function isPlain32(x: number): boolean {
  const m = Math.abs(x);
  return (m >= MIN_NORMAL32 && m <= MAX_FINITE32) || m === 0;
}

/** |r| strictly between the smallest and the largest normal number. */
function isInside(r: number): boolean {
  const m = Math.abs(r);
  return m > MIN_NORMAL32 && m < MAX_FINITE32;
}

/** Writes the single r nearest to an exact value that differs from it by something of the sign of `error`, adjusted to the rounding mode. */
export function writeRounded32(out: number, r: number, error: number): void {
  RF32[out] = r;
  if (error === 0) return;
  R[RAISED] |= PE;
  const control = (R[MXCSR] >> RC_SHIFT) & 3;
  if (control === NEAREST) return;
  if (control === DOWN ? error > 0 : control === UP ? error < 0 : (error > 0) === (r > 0)) return;
  R[out] += (error > 0) === (r > 0) ? 1 : -1;
}

function sum32(op: number, out: number, a: number, b: number, x: number, y: number): void {
  if (isPlain32(x) && isPlain32(y)) {
    const s = x + y, r = Math.fround(s);
    if (isInside(r)) {
      const d = s - r, t = s - x;
      writeRounded32(out, r, d !== 0 ? d : (x - (s - t)) + (y - t));
      return;
    }
    if (r === 0 && roundingControl() !== DOWN) {
      RF32[out] = r;
      return;
    }
  }
  softBinary(op, FLOAT32, out, a, b);
}

export function add32(out: number, a: number, b: number): void {
  sum32(OP_ADD, out, a, b, RF32[a], RF32[b]);
}

export function sub32(out: number, a: number, b: number): void {
  sum32(OP_SUB, out, a, b, RF32[a], -RF32[b]);
}

export function mul32(out: number, a: number, b: number): void {
  const x = RF32[a], y = RF32[b];
  if (isPlain32(x) && isPlain32(y)) {
    const p = x * y, r = Math.fround(p);
    if (isInside(r) || p === 0) {
      writeRounded32(out, r, p - r);
      return;
    }
  }
  softBinary(OP_MUL, FLOAT32, out, a, b);
}

export function div32(out: number, a: number, b: number): void {
  const x = RF32[a], y = RF32[b];
  if (isPlain32(x) && isPlain32(y) && y !== 0) {
    const r = Math.fround(x / y);
    if (isInside(r) || x === 0) {
      const rest = x - r * y;
      writeRounded32(out, r, y > 0 ? rest : -rest);
      return;
    }
  }
  softBinary(OP_DIV, FLOAT32, out, a, b);
}

export function sqrt32(out: number, a: number): void {
  const x = RF32[a];
  if (x >= MIN_NORMAL32 && x <= MAX_FINITE32) {
    const r = Math.fround(Math.sqrt(x));
    writeRounded32(out, r, x - r * r);
  } else softSqrt(FLOAT32, out, a);
}
