/**
 * Binary64 element operations for SSE2: quick paths in host doubles, which round to nearest as the guest's do.
 *
 * A quick path takes operands that are zero or normal and keeps the result when it is comfortably inside the normal
 * range. Whether the result is exact, and on which side of it the exact value lies, comes from error-free transforms
 * (Knuth's two-sum, Dekker's product); that gives the precision flag and the directed roundings. Everything else goes to
 * softfloat.ts. Arguments are word indices into R.
 */
import { R, RF64, MXCSR } from '../state';
import { RAISED, PE, QUICK, QUICK_BITS, RC_SHIFT, NEAREST, DOWN, UP, roundingControl } from './mxcsr';
import { FLOAT64, OP_ADD, OP_SUB, OP_MUL, OP_DIV, softBinary, softSqrt } from './softfloat';

export const MIN_NORMAL64 = 2.2250738585072014e-308;
export const MAX_FINITE64 = 1.7976931348623157e308;
/** Inside these bounds every intermediate of the error-free transforms is exact. */
const SAFE_LOW = 2 ** -900, SAFE_HIGH = 2 ** 900;
/** Sums below this leave two-sum room (2^1023). */
const SUM_HIGH = 2 ** 1023;
/** Dekker's splitting constant 2^27 + 1. */
const SPLITTER = 134217729;

/** True for zeros and normal numbers. */
export function isPlain64(x: number): boolean {
  const m = Math.abs(x);
  return (m >= MIN_NORMAL64 && m <= MAX_FINITE64) || m === 0;
}

/** True when r = x op y, rounded to nearest, is right and raises nothing but possibly the precision exception. */
function isQuick64(x: number, y: number, r: number): boolean {
  const m = Math.abs(r);
  return m > MIN_NORMAL64 && m < MAX_FINITE64 && isPlain64(x) && isPlain64(y);
}

/**
 * Writes the nearest double r of an exact value that differs from it by something of the sign of `error` (0: exact),
 * adjusted to the rounding mode. |r| must be strictly between the smallest and largest normal numbers.
 */
export function writeRounded64(out: number, r: number, error: number): void {
  RF64[out >> 1] = r;
  if (error === 0) return;
  R[RAISED] |= PE;
  const control = (R[MXCSR] >> RC_SHIFT) & 3;
  if (control === NEAREST) return;
  if (control === DOWN ? error > 0 : control === UP ? error < 0 : (error > 0) === (r > 0)) return;
  // One unit in the last place towards the exact value: outwards if error and result have the same sign.
  const lo = R[out];
  if ((error > 0) === (r > 0)) {
    R[out] = lo + 1;
    if (lo === -1) R[out + 1]++;
  } else {
    R[out] = lo - 1;
    if (lo === 0) R[out + 1]--;
  }
}

/** a * b - p, exactly, for p = the rounded product, all within the safe range. */
function productError(a: number, b: number, p: number): number {
  const ta = SPLITTER * a, ah = ta - (ta - a), al = a - ah;
  const tb = SPLITTER * b, bh = tb - (tb - b), bl = b - bh;
  return al * bl - (((p - ah * bh) - al * bh) - ah * bl);
}

function sum64(op: number, out: number, a: number, b: number, x: number, y: number): void {
  if (isPlain64(x) && isPlain64(y)) {
    const r = x + y, m = Math.abs(r);
    if (m > MIN_NORMAL64 && m < SUM_HIGH) {
      const t = r - x;
      writeRounded64(out, r, (x - (r - t)) + (y - t));
      return;
    }
    if (m === 0 && roundingControl() !== DOWN) {
      RF64[out >> 1] = r;
      return;
    }
  }
  softBinary(op, FLOAT64, out, a, b);
}

export function add64(out: number, a: number, b: number): void {
  sum64(OP_ADD, out, a, b, RF64[a >> 1], RF64[b >> 1]);
}

export function sub64(out: number, a: number, b: number): void {
  sum64(OP_SUB, out, a, b, RF64[a >> 1], -RF64[b >> 1]);
}

export function mul64(out: number, a: number, b: number): void {
  const x = RF64[a >> 1], y = RF64[b >> 1], r = x * y, m = Math.abs(r);
  if (m > SAFE_LOW && m < SAFE_HIGH && Math.abs(x) < SAFE_HIGH && Math.abs(y) < SAFE_HIGH && isPlain64(x) && isPlain64(y)) {
    writeRounded64(out, r, productError(x, y, r));
  } else if (m === 0 && (x === 0 || y === 0) && isPlain64(x) && isPlain64(y)) RF64[out >> 1] = r;
  else if ((R[MXCSR] & QUICK_BITS) === QUICK && isQuick64(x, y, r)) RF64[out >> 1] = r;
  else softBinary(OP_MUL, FLOAT64, out, a, b);
}

export function div64(out: number, a: number, b: number): void {
  const x = RF64[a >> 1], y = RF64[b >> 1], r = x / y, m = Math.abs(r);
  const ax = Math.abs(x), ay = Math.abs(y);
  if (ax > SAFE_LOW && ax < SAFE_HIGH && ay > SAFE_LOW && ay < SAFE_HIGH && m > SAFE_LOW && m < SAFE_HIGH) {
    const p = r * y, rest = (x - p) - productError(r, y, p);
    writeRounded64(out, r, y > 0 ? rest : -rest);
  } else if (m === 0 && x === 0 && ay >= MIN_NORMAL64) RF64[out >> 1] = r;
  else if ((R[MXCSR] & QUICK_BITS) === QUICK && isQuick64(x, y, r)) RF64[out >> 1] = r;
  else softBinary(OP_DIV, FLOAT64, out, a, b);
}

export function sqrt64(out: number, a: number): void {
  const x = RF64[a >> 1];
  if (x > SAFE_LOW && x < SAFE_HIGH) {
    const r = Math.sqrt(x), p = r * r;
    writeRounded64(out, r, (x - p) - productError(r, r, p));
  } else softSqrt(FLOAT64, out, a);
}
