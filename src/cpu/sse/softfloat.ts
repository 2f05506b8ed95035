/**
 * Exact binary32 and binary64 arithmetic for the operands and modes the quick paths of f32.ts and f64.ts leave aside:
 * NaN, infinity, denormal operands or results, overflow, zero division, and results near the ends of the range (SDM 1
 * 4.8-4.9, 11.5; appendix E of volume 1 for NaN results and masked responses). Uses BigInt: rare by construction.
 *
 * Operands and results are word indices into R; exceptions are added to R[RAISED].
 */
import { R, MXCSR } from '../state';
import {
  RAISED, IE, DE, ZE, OE, UE, PE, DAZ, FTZ, NEAREST, DOWN, UP, OVERFLOW_MASK, UNDERFLOW_MASK, roundingControl,
} from './mxcsr';

/** A binary interchange format. */
export interface Format {
  /** Words an element occupies. */
  readonly words: number;
  /** Significand bits with the hidden one. */
  readonly precision: number;
  /** Bits of the significand field in the word that also holds sign and exponent. */
  readonly highBits: number;
  /** Exponent bias. */
  readonly bias: number;
  /** All-ones exponent. */
  readonly maxExponent: number;
}

export const FLOAT32: Format = { words: 1, precision: 24, highBits: 23, bias: 127, maxExponent: 255 };
export const FLOAT64: Format = { words: 2, precision: 53, highBits: 20, bias: 1023, maxExponent: 2047 };

export const CLASS_ZERO = 0, CLASS_DENORMAL = 1, CLASS_NORMAL = 2, CLASS_INFINITY = 3, CLASS_QNAN = 4, CLASS_SNAN = 5;

export const OP_ADD = 0, OP_SUB = 1, OP_MUL = 2, OP_DIV = 3;

/** Index of the word with sign and exponent. */
function high(format: Format, word: number): number {
  return word + format.words - 1;
}

/** Class of the element at `word`, not considering DAZ. */
export function classify(format: Format, word: number): number {
  const h = R[high(format, word)];
  const exponent = (h >> format.highBits) & format.maxExponent;
  if (exponent !== 0 && exponent !== format.maxExponent) return CLASS_NORMAL;
  const fraction = (h & ((1 << format.highBits) - 1)) | (format.words === 2 ? R[word] : 0);
  if (exponent === 0) return fraction === 0 ? CLASS_ZERO : CLASS_DENORMAL;
  if (fraction === 0) return CLASS_INFINITY;
  return (h & (1 << (format.highBits - 1))) !== 0 ? CLASS_QNAN : CLASS_SNAN;
}

/** As classify, with denormals counted as zeros under DAZ. */
function classifyOperand(format: Format, word: number): number {
  const c = classify(format, word);
  return c === CLASS_DENORMAL && (R[MXCSR] & DAZ) !== 0 ? CLASS_ZERO : c;
}

function sign(format: Format, word: number): number {
  return R[high(format, word)] >>> 31;
}

/** Power of two of the lowest significand bit of a finite element. */
function lowExponent(format: Format, word: number): number {
  const e = (R[high(format, word)] >> format.highBits) & format.maxExponent;
  return (e === 0 ? 1 : e) - format.bias - (format.precision - 1);
}

/** Integer significand of a finite element. */
function significand(format: Format, word: number): bigint {
  const h = R[high(format, word)];
  const hidden = ((h >> format.highBits) & format.maxExponent) !== 0 ? 1 << format.highBits : 0;
  const top = (h & ((1 << format.highBits) - 1)) | hidden;
  return format.words === 1 ? BigInt(top) : (BigInt(top) << 32n) | BigInt(R[word] >>> 0);
}

function write(format: Format, out: number, negative: number, exponentField: number, fraction: bigint): void {
  const top = (negative << 31) | (exponentField << format.highBits);
  if (format.words === 1) R[out] = top | Number(fraction);
  else {
    R[out] = Number(fraction & 0xffffffffn);
    R[out + 1] = top | Number(fraction >> 32n);
  }
}

export function writeZero(format: Format, out: number, negative: number): void {
  write(format, out, negative, 0, 0n);
}

export function writeInfinity(format: Format, out: number, negative: number): void {
  write(format, out, negative, format.maxExponent, 0n);
}

/** The QNaN floating-point indefinite: the answer to an invalid operation. */
export function writeIndefinite(format: Format, out: number): void {
  R[RAISED] |= IE;
  write(format, out, 1, format.maxExponent, 1n << BigInt(format.precision - 2));
}

/** Copies a NaN, made quiet. */
export function writeQuiet(format: Format, out: number, nan: number): void {
  const h = R[high(format, nan)] | (1 << (format.highBits - 1));
  if (format.words === 2) R[out] = R[nan];
  R[high(format, out)] = h;
}

/** NaN result of a two-operand instruction: the first operand if it is a NaN, else the second. */
function propagateNan(format: Format, out: number, a: number, aClass: number, b: number, bClass: number): void {
  if (aClass === CLASS_SNAN || bClass === CLASS_SNAN) R[RAISED] |= IE;
  writeQuiet(format, out, aClass >= CLASS_QNAN ? a : b);
}

function bitLength(v: bigint): number {
  const s = v.toString(16);
  return 4 * s.length - (s.length === 0 ? 0 : Math.clz32(parseInt(s[0], 16)) - 28);
}

/** Does rounding add one unit, for a value with `half`/`rest` bits below an integer of parity `odd`? */
function roundsUp(control: number, negative: number, odd: boolean, half: boolean, rest: boolean): boolean {
  switch (control) {
    case NEAREST: return half && (rest || odd);
    case DOWN: return negative !== 0 && (half || rest);
    case UP: return negative === 0 && (half || rest);
    default: return false;
  }
}

let roundInexact = false;

/** value >> shift (shift may be negative: exact) rounded; roundInexact tells whether anything was lost. */
function roundShift(value: bigint, shift: number, sticky: boolean, control: number, negative: number): bigint {
  if (shift <= 0) {
    // The callers give sticky values at least two bits to spare, so shift is positive whenever sticky is set.
    roundInexact = false;
    return value << BigInt(-shift);
  }
  const n = BigInt(shift), kept = value >> n, lost = value & ((1n << n) - 1n), halfway = 1n << (n - 1n);
  const half = (lost & halfway) !== 0n, rest = sticky || (lost & (halfway - 1n)) !== 0n;
  roundInexact = half || rest;
  return roundsUp(control, negative, (kept & 1n) !== 0n, half, rest) ? kept + 1n : kept;
}

/**
 * Rounds (-1)^negative * (value + something in (0, 1) if sticky) * 2^exponent, value > 0, into `out`, with the masked
 * responses to overflow and underflow (SDM 1 4.9.1, 11.5.2). Tininess is detected after rounding.
 */
export function roundAndWrite(format: Format, out: number, negative: number, value: bigint, exponent: number, sticky: boolean): void {
  const control = roundingControl(), csr = R[MXCSR], precision = format.precision;
  const length = bitLength(value);
  const emin = 1 - format.bias;
  let top = length - 1 + exponent;
  let rounded = roundShift(value, length - precision, sticky, control, negative);
  const inexact = roundInexact;
  if (rounded >> BigInt(precision) !== 0n) {
    rounded >>= 1n;
    top++;
  }
  if (top > format.bias) {
    R[RAISED] |= OE;
    if (inexact || (csr & OVERFLOW_MASK) !== 0) R[RAISED] |= PE;
    const toInfinity = control === NEAREST || control === (negative ? DOWN : UP);
    if (toInfinity) writeInfinity(format, out, negative);
    else write(format, out, negative, format.maxExponent - 1, (1n << BigInt(precision - 1)) - 1n);
    return;
  }
  if (top < emin) {
    if ((csr & UNDERFLOW_MASK) === 0) {
      R[RAISED] |= inexact ? UE | PE : UE;
      writeZero(format, out, negative);
      return;
    }
    if ((csr & FTZ) !== 0) {
      R[RAISED] |= UE | PE;
      writeZero(format, out, negative);
      return;
    }
    const fraction = roundShift(value, emin - precision + 1 - exponent, sticky, control, negative);
    if (roundInexact) R[RAISED] |= UE | PE;
    // A carry into the hidden bit makes the smallest normal number.
    write(format, out, negative, 0, 0n);
    const w = high(format, out);
    if (format.words === 2) {
      R[out] = Number(fraction & 0xffffffffn);
      R[w] |= Number(fraction >> 32n);
    } else R[w] |= Number(fraction);
    return;
  }
  if (inexact) R[RAISED] |= PE;
  write(format, out, negative, top + format.bias, rounded & ((1n << BigInt(precision - 1)) - 1n));
}

/** out = a op b. */
export function softBinary(op: number, format: Format, out: number, a: number, b: number): void {
  const ca = classifyOperand(format, a), cb = classifyOperand(format, b);
  if (ca >= CLASS_QNAN || cb >= CLASS_QNAN) {
    propagateNan(format, out, a, ca, b, cb);
    return;
  }
  const sa = sign(format, a), sb = sign(format, b);
  switch (op) {
    case OP_ADD: addSigned(format, out, a, ca, sa, b, cb, sb); break;
    case OP_SUB: addSigned(format, out, a, ca, sa, b, cb, sb ^ 1); break;
    case OP_MUL: multiply(format, out, a, ca, b, cb, sa ^ sb); break;
    default: divide(format, out, a, ca, b, cb, sa ^ sb); break;
  }
}

function noteDenormal(ca: number, cb: number): void {
  if (ca === CLASS_DENORMAL || cb === CLASS_DENORMAL) R[RAISED] |= DE;
}

function addSigned(format: Format, out: number, a: number, ca: number, sa: number, b: number, cb: number, sb: number): void {
  if (ca === CLASS_INFINITY || cb === CLASS_INFINITY) {
    if (ca === cb && sa !== sb) writeIndefinite(format, out);
    else {
      noteDenormal(ca, cb);
      writeInfinity(format, out, ca === CLASS_INFINITY ? sa : sb);
    }
    return;
  }
  noteDenormal(ca, cb);
  const ea = lowExponent(format, a), eb = lowExponent(format, b), e = Math.min(ea, eb);
  let x = ca === CLASS_ZERO ? 0n : significand(format, a) << BigInt(ea - e);
  let y = cb === CLASS_ZERO ? 0n : significand(format, b) << BigInt(eb - e);
  if (sa) x = -x;
  if (sb) y = -y;
  const sum = x + y;
  if (sum === 0n) writeZero(format, out, sa === sb ? sa : roundingControl() === DOWN ? 1 : 0);
  else roundAndWrite(format, out, sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, e, false);
}

function multiply(format: Format, out: number, a: number, ca: number, b: number, cb: number, negative: number): void {
  if (ca === CLASS_INFINITY || cb === CLASS_INFINITY) {
    if (ca === CLASS_ZERO || cb === CLASS_ZERO) writeIndefinite(format, out);
    else {
      noteDenormal(ca, cb);
      writeInfinity(format, out, negative);
    }
    return;
  }
  noteDenormal(ca, cb);
  if (ca === CLASS_ZERO || cb === CLASS_ZERO) writeZero(format, out, negative);
  else {
    roundAndWrite(
      format, out, negative, significand(format, a) * significand(format, b), lowExponent(format, a) + lowExponent(format, b), false,
    );
  }
}

function divide(format: Format, out: number, a: number, ca: number, b: number, cb: number, negative: number): void {
  if ((ca === CLASS_INFINITY && cb === CLASS_INFINITY) || (ca === CLASS_ZERO && cb === CLASS_ZERO)) {
    writeIndefinite(format, out);
    return;
  }
  if (ca === CLASS_INFINITY) {
    noteDenormal(ca, cb);
    writeInfinity(format, out, negative);
    return;
  }
  if (cb === CLASS_ZERO) {
    R[RAISED] |= ZE;
    writeInfinity(format, out, negative);
    return;
  }
  noteDenormal(ca, cb);
  if (ca === CLASS_ZERO || cb === CLASS_INFINITY) {
    writeZero(format, out, negative);
    return;
  }
  const shift = 2 * format.precision + 3;
  const dividend = significand(format, a) << BigInt(shift), divisor = significand(format, b);
  const quotient = dividend / divisor;
  const sticky = quotient * divisor !== dividend;
  roundAndWrite(format, out, negative, quotient, lowExponent(format, a) - lowExponent(format, b) - shift, sticky);
}

function squareRoot(v: bigint): bigint {
  let x = 1n << BigInt((bitLength(v) + 1) >> 1);
  for (;;) {
    const y = (x + v / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}

/** out = sqrt(a). */
export function softSqrt(format: Format, out: number, a: number): void {
  const c = classifyOperand(format, a), negative = sign(format, a);
  if (c >= CLASS_QNAN) {
    if (c === CLASS_SNAN) R[RAISED] |= IE;
    writeQuiet(format, out, a);
  } else if (c === CLASS_ZERO) writeZero(format, out, negative);
  else if (negative) writeIndefinite(format, out);
  else if (c === CLASS_INFINITY) writeInfinity(format, out, 0);
  else {
    if (c === CLASS_DENORMAL) R[RAISED] |= DE;
    const e = lowExponent(format, a);
    let shift = 2 * format.precision + 6;
    if (((e - shift) & 1) !== 0) shift++;
    const scaled = significand(format, a) << BigInt(shift);
    const root = squareRoot(scaled);
    roundAndWrite(format, out, 0, root, (e - shift) / 2, root * root !== scaled);
  }
}

/** Narrows binary64 at `a` to binary32 at `out`. */
export function softNarrow(out: number, a: number): void {
  const c = classifyOperand(FLOAT64, a), negative = sign(FLOAT64, a);
  if (c >= CLASS_QNAN) {
    if (c === CLASS_SNAN) R[RAISED] |= IE;
    const hi = R[a + 1];
    R[out] = (hi & (0x80000000 | 0)) | 0x7fc00000 | ((hi & 0xfffff) << 3) | (R[a] >>> 29);
  } else if (c === CLASS_INFINITY) writeInfinity(FLOAT32, out, negative);
  else if (c === CLASS_ZERO) writeZero(FLOAT32, out, negative);
  else {
    if (c === CLASS_DENORMAL) R[RAISED] |= DE;
    roundAndWrite(FLOAT32, out, negative, significand(FLOAT64, a), lowExponent(FLOAT64, a), false);
  }
}

/** Converts a signed 64-bit integer to binary32 or binary64. */
export function softFromInt64(format: Format, out: number, lo: number, hi: number): void {
  const v = (BigInt(hi) << 32n) | BigInt(lo >>> 0);
  if (v === 0n) writeZero(format, out, 0);
  else roundAndWrite(format, out, v < 0n ? 1 : 0, v < 0n ? -v : v, 0, false);
}
