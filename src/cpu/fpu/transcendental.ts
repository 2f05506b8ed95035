/**
 * F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FPTAN, FPATAN (SDM 2A, SDM 1 8.3.10) on the work operands of float80.ts.
 *
 * Values are BigInt significands with an exponent; series are summed in fixed point with FRACTION bits, as factors close to one
 * that multiply the argument, so that tiny results keep their relative accuracy. Results are correct to far more than 64 bits before
 * their one rounding. These instructions are rare; allocation does not matter.
 */
import {
  W, A, B, Z, FLAGS, FE_DENORMAL, FE_INEXACT, FE_ZERO_DIVIDE, EXP_MASK, SIGN, BIAS, PC_64, copyNumber, invalid, isInfinity, isZero,
  normalizeOperand, roundPack, screenOperand, screenOperands, setInfinity, setNumber, setZero,
} from './float80';

const FRACTION = 160n;
const ONE = 1n << FRACTION;

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0], 16)) + 28;
}

/** Rounds (-1)^sign * value * 2^exponent into Z; `exact` = false: the true value has further bits below. */
function roundBig(sign: number, value: bigint, exponent: number, exact: boolean): void {
  const length = bitLength(value), shift = length - 96;
  let sticky = exact ? 0 : 1;
  let top: bigint;
  if (shift > 0) {
    top = value >> BigInt(shift);
    if (top << BigInt(shift) !== value) sticky = 1;
  } else top = value << BigInt(-shift);
  const hi = Number(top >> 64n) | 0, lo = Number((top >> 32n) & 0xffffffffn) | 0, ext = Number(top & 0xffffffffn) | sticky;
  roundPack(sign, exponent + length - 1 + BIAS, hi, lo, ext | 0, PC_64);
}

/** Significand of operand `slot` (normalized) and, in `unpackedExponent`, the power of two of its last bit. */
function unpack(slot: number): bigint {
  unpackedExponent = normalizeOperand(slot) - BIAS - 63;
  return (BigInt(W[slot + 1] >>> 0) << 32n) | BigInt(W[slot] >>> 0);
}
let unpackedExponent = 0;

/** value * 2^exponent in fixed point, truncated. */
function toFixed(value: bigint, exponent: number): bigint {
  const shift = exponent + Number(FRACTION);
  return shift >= 0 ? value << BigInt(shift) : -shift > 400 ? 0n : value >> BigInt(-shift);
}

function multiplyFixed(a: bigint, b: bigint): bigint {
  return (a * b) >> FRACTION;
}

/** Sum of square^n * sign^n / (2n + 1): atan (alternating) and atanh, divided by their argument. */
function oddSeries(square: bigint, alternating: boolean): bigint {
  let sum = ONE, power = ONE;
  for (let n = 3n; power !== 0n; n += 2n) {
    power = multiplyFixed(power, square);
    if (alternating) power = -power;
    sum += power / n;
    if (power === -1n) break;
  }
  return sum;
}

/** Integer square root. */
function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function arctanInverse(n: bigint): bigint {
  return oddSeries(ONE / (n * n), true) / n;
}

/** pi / 4 by Machin's formula, ln 2 = 2 atanh(1/3). */
const QUARTER_PI = 4n * arctanInverse(5n) - arctanInverse(239n);
const LN2 = (2n * oddSeries(ONE / 9n, false)) / 3n;
/**
 * The processors reduce arguments of trigonometric functions with a pi of 66 significant bits (SDM 1 8.3.8); we give the same results.
 * This is pi * 2^64.
 */
const PI_66 = (QUARTER_PI << 2n) >> (FRACTION - 64n);

// --- Trigonometry ---

/** Reduced argument: (-1)^sign * value * 2^exponent, magnitude at most pi/4, and the quadrant. */
let reducedValue = 0n, reducedExponent = 0, reducedSign = 0, quadrant = 0;

/** Reduces |A|, which is finite and below 2^63, to the nearest multiple of pi/2. */
function reduce(): void {
  const value = unpack(A);
  reducedSign = 0;
  quadrant = 0;
  reducedValue = value;
  reducedExponent = unpackedExponent;
  const fixed = toFixed(value, unpackedExponent);
  if (fixed <= QUARTER_PI) return;
  // In units of 2^-(FRACTION); the argument is exact because it is above 1/2.
  const halfPi = PI_66 << (FRACTION - 65n);
  const multiple = (2n * fixed + halfPi) / (2n * halfPi);
  const rest = fixed - multiple * halfPi;
  quadrant = Number(multiple & 3n);
  reducedSign = rest < 0n ? SIGN : 0;
  reducedValue = rest < 0n ? -rest : rest;
  reducedExponent = -Number(FRACTION);
}

function reducedSquare(): bigint {
  const fixed = toFixed(reducedValue, reducedExponent);
  return multiplyFixed(fixed, fixed);
}

/** sin(x) / x for the reduced argument. */
function sineFactor(): bigint {
  const square = reducedSquare();
  if (square === 0n) return ONE - 1n;
  let sum = ONE, term = ONE;
  for (let n = 2n; term !== 0n; n += 2n) {
    term = -multiplyFixed(term, square) / (n * (n + 1n));
    sum += term;
  }
  return sum;
}

function cosine(): bigint {
  const square = reducedSquare();
  if (square === 0n) return ONE - 1n;
  let sum = ONE, term = ONE;
  for (let n = 1n; term !== 0n; n += 2n) {
    term = -multiplyFixed(term, square) / (n * (n + 1n));
    sum += term;
  }
  return sum;
}

/** Z = sine of the reduced argument turned by `quarterTurns`, with the sign given. */
function roundSine(sign: number, quarterTurns: number): void {
  const turns = (quadrant + quarterTurns) & 3;
  if (turns & 2) sign ^= SIGN;
  if (turns & 1) roundBig(sign, cosine(), -Number(FRACTION), false);
  else if (reducedValue === 0n) setZero(Z, sign);
  else roundBig(sign ^ reducedSign, reducedValue * sineFactor(), reducedExponent - Number(FRACTION), false);
}

/** True when A is finite but too large for the trigonometric instructions: C2 = 1, operand unchanged. */
export function isOutOfTrigonometricRange(): boolean {
  const exp = W[A + 2] & EXP_MASK;
  return exp >= BIAS + 63 && exp !== EXP_MASK && W[A + 1] < 0;
}

/** NaNs, infinities, noted denormals of the trigonometric instructions: true when Z is final. */
function screenAngle(): boolean {
  if (screenOperand()) return true;
  if (isInfinity(A)) {
    invalid();
    return true;
  }
  return false;
}

/** Z = sin A. */
export function sine(): void {
  if (screenAngle()) return;
  if (isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  const sign = W[A + 2] & SIGN;
  reduce();
  roundSine(sign, 0);
}

/** Z = cos A. */
export function cosineOf(): void {
  if (screenAngle()) return;
  if (isZero(A)) {
    setNumber(Z, BIAS, 0x80000000 | 0, 0);
    return;
  }
  reduce();
  roundSine(0, 1);
}

/** Z = tan A. */
export function tangent(): void {
  if (screenAngle()) return;
  if (isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  let sign = W[A + 2] & SIGN;
  reduce();
  sign ^= reducedSign;
  const fraction = Number(FRACTION);
  const opposite = reducedValue * sineFactor(), adjacent = cosine();
  // tan = opposite * 2^reducedExponent / adjacent, both factors scaled by 2^FRACTION.
  if (quadrant & 1) roundBig(sign ^ SIGN, (adjacent << (2n * FRACTION)) / opposite, -reducedExponent - 2 * fraction, false);
  else roundBig(sign, (opposite << FRACTION) / adjacent, reducedExponent - fraction, false);
}

/** atan(k / 32) for k = 1..32, made when first needed. */
const ARCTANGENTS: bigint[] = [];

/** Arctangent of numerator / denominator <= 1, times 2^FRACTION: above 1/64 as is; for smaller ratios see arctangentFactor. */
function arctangent(ratio: bigint): bigint {
  const k = Number((ratio * 32n + (ONE >> 1n)) >> FRACTION);
  if (k === 0) return multiplyFixed(ratio, oddSeries(multiplyFixed(ratio, ratio), true));
  if (ARCTANGENTS.length === 0) {
    // atan(c) with c = k/32 by halving twice: tan(a/2) = c / (1 + sqrt(1 + c^2)).
    for (let i = 0n; i <= 32n; i++) {
      let c = (i * ONE) / 32n;
      for (let halving = 0; halving < 2; halving++) c = (c << FRACTION) / (ONE + integerRoot((ONE << FRACTION) + c * c));
      ARCTANGENTS.push(4n * multiplyFixed(c, oddSeries(multiplyFixed(c, c), true)));
    }
  }
  const c = (BigInt(k) * ONE) / 32n;
  const rest = ((ratio - c) << FRACTION) / (ONE + multiplyFixed(ratio, c));
  return ARCTANGENTS[k] + multiplyFixed(rest, oddSeries(multiplyFixed(rest, rest), true));
}

/** Z = (-1)^sign * quarters * pi/4. */
function roundQuarterPi(sign: number, quarters: bigint): void {
  roundBig(sign, QUARTER_PI * quarters, -Number(FRACTION), false);
}

/** Z = angle of the point (x, y) = (B, A), from -pi to pi. */
export function arctangent2(): void {
  if (screenOperands()) return;
  const sign = W[A + 2] & SIGN, left = (W[B + 2] & SIGN) !== 0;
  if (isInfinity(A)) {
    roundQuarterPi(sign, isInfinity(B) ? (left ? 3n : 1n) : 2n);
    return;
  }
  if (isZero(A) || isInfinity(B)) {
    if (left) roundQuarterPi(sign, 4n);
    else setZero(Z, sign);
    return;
  }
  if (isZero(B)) {
    roundQuarterPi(sign, 2n);
    return;
  }
  const fraction = Number(FRACTION);
  const y = unpack(A), yExponent = unpackedExponent, x = unpack(B), xExponent = unpackedExponent;
  const steep = yExponent > xExponent || (yExponent === xExponent && y > x);
  const numerator = steep ? x : y, denominator = steep ? y : x;
  const difference = steep ? xExponent - yExponent : yExponent - xExponent;
  const quotient = (numerator << FRACTION) / denominator, exact = quotient * denominator === numerator << FRACTION;
  const ratio = toFixed(quotient, difference - fraction);
  if (!steep && !left && ratio < ONE >> 6n) {
    // Small angle: ratio * (1 - ratio^2 / 3 ...), exact to the last bit however small.
    const factor = oddSeries(multiplyFixed(ratio, ratio), true);
    roundBig(sign, quotient * factor - (exact && factor === ONE ? 1n : 0n), difference - 2 * fraction, false);
    return;
  }
  let angle = arctangent(ratio);
  if (steep) angle = left ? 2n * QUARTER_PI + angle : 2n * QUARTER_PI - angle;
  else if (left) angle = 4n * QUARTER_PI - angle;
  roundBig(sign, angle, -fraction, false);
}

// --- Exponential and logarithm ---

/** Z = 2^A - 1 for |A| <= 1; other arguments are left as they are (undefined by the SDM). */
export function exponentialMinusOne(): void {
  if (screenOperand()) return;
  const sign = W[A + 2] & SIGN, exp = W[A + 2] & EXP_MASK;
  if (isInfinity(A)) {
    if (sign) setNumber(Z, SIGN | BIAS, 0x80000000 | 0, 0);
    else copyNumber(A, Z);
    return;
  }
  if (isZero(A)) {
    copyNumber(A, Z);
    return;
  }
  if (exp >= BIAS) {
    const one = exp === BIAS && W[A + 1] === (0x80000000 | 0) && W[A] === 0;
    copyNumber(A, Z);
    if (one && sign) W[Z + 2]--;
    // Reported inexact even where it happens to be exact.
    W[FLAGS] |= FE_INEXACT;
    return;
  }
  const value = unpack(A), exponent = unpackedExponent;
  let t = multiplyFixed(toFixed(value, exponent), LN2);
  if (sign) t = -t;
  // (e^t - 1) / t
  let sum = ONE, term = ONE;
  for (let n = 2n; term !== 0n; n++) {
    term = (term * t) / (n * ONE);
    sum += term;
  }
  roundBig(sign, value * multiplyFixed(LN2, sum), exponent - Number(FRACTION), false);
}

/** Binary logarithm of value * 2^exponent as logValue * 2^logExponent, sign in logSign; relative accuracy kept near one. */
let logValue = 0n, logExponent = 0, logSign = 0, logExact = false;

function binaryLogarithm(value: bigint, exponent: number): void {
  const length = bitLength(value);
  let power = exponent + length - 1;
  // Significand m / 2^bits in [3/4, 3/2).
  let bits = BigInt(length - 1);
  if (value * 2n >= 3n << bits) {
    power++;
    bits++;
  }
  const unit = 1n << bits;
  const difference = value - unit;
  logSign = 0;
  logExact = difference === 0n;
  if (logExact) {
    logSign = power < 0 ? SIGN : 0;
    logValue = BigInt(Math.abs(power));
    logExponent = 0;
    return;
  }
  oneLogarithm(difference < 0n ? -difference : difference, value + unit, difference < 0n ? SIGN : 0);
  if (power === 0) return;
  // Added in fixed point; the fraction is at most 0.585, so nothing is lost.
  const fraction = toFixed(logValue, logExponent);
  const sum = BigInt(power) * ONE + (logSign ? -fraction : fraction);
  logSign = sum < 0n ? SIGN : 0;
  logValue = sum < 0n ? -sum : sum;
  logExponent = -Number(FRACTION);
}

/** log2((1 + z) / (1 - z)) for z = numerator / denominator of the given sign, |z| <= 1/3. */
function oneLogarithm(numerator: bigint, denominator: bigint, sign: number): void {
  // z with FRACTION significant bits or more, however small.
  const shift = Math.max(0, bitLength(denominator) - bitLength(numerator)) + Number(FRACTION);
  const z = (numerator << BigInt(shift)) / denominator;
  const fixed = toFixed(z, -shift);
  const factor = ((2n * oddSeries(multiplyFixed(fixed, fixed), false)) << FRACTION) / LN2;
  logSign = sign;
  logValue = z * factor;
  logExponent = -shift - Number(FRACTION);
}

/** Z = B * logarithm found. */
function roundLogarithm(): void {
  const sign = (W[B + 2] & SIGN) ^ logSign;
  if (logValue === 0n || isZero(B)) {
    setZero(Z, sign);
    return;
  }
  if (isInfinity(B)) {
    setInfinity(Z, sign);
    return;
  }
  const y = unpack(B);
  roundBig(sign, y * logValue, unpackedExponent + logExponent, logExact);
  // As in exponentialMinusOne.
  W[FLAGS] |= FE_INEXACT;
}

/** Z = B * log2 A. */
export function logarithm(): void {
  const before = W[FLAGS];
  if (screenOperands()) return;
  const ySign = W[B + 2] & SIGN;
  if (isZero(A)) {
    if (isZero(B)) {
      W[FLAGS] = before;
      invalid();
    } else {
      if (!isInfinity(B)) W[FLAGS] = before | FE_ZERO_DIVIDE;
      setInfinity(Z, ySign ^ SIGN);
    }
    return;
  }
  if (W[A + 2] & SIGN) {
    W[FLAGS] = before;
    invalid();
    return;
  }
  if (isInfinity(A)) {
    if (isZero(B)) {
      W[FLAGS] = before;
      invalid();
    } else setInfinity(Z, ySign);
    return;
  }
  const x = unpack(A);
  binaryLogarithm(x, unpackedExponent);
  if (logValue === 0n && isInfinity(B)) {
    W[FLAGS] = before;
    invalid();
    return;
  }
  roundLogarithm();
}

/** Z = B * log2(A + 1). */
export function logarithmOfOnePlus(): void {
  const before = W[FLAGS];
  if (screenOperands()) return;
  const sign = W[A + 2] & SIGN, ySign = W[B + 2] & SIGN;
  if (isZero(A)) {
    if (isInfinity(B)) {
      W[FLAGS] = before;
      invalid();
    } else setZero(Z, ySign ^ sign);
    return;
  }
  if (isInfinity(A)) {
    if (sign || isZero(B)) {
      W[FLAGS] = before;
      invalid();
    } else setInfinity(Z, ySign);
    return;
  }
  const exp = W[A + 2] & EXP_MASK;
  if (sign && exp >= BIAS) {
    // At or below -1: outside the domain.
    W[FLAGS] = before & ~FE_DENORMAL;
    invalid();
    return;
  }
  const x = unpack(A), exponent = unpackedExponent;
  logExact = false;
  if (exp < BIAS - 1) {
    // |x| < 1/2: z = x / (2 + x).
    const unit = 1n << BigInt(Math.min(-exponent, 4000));
    if (-exponent > 4000) {
      // So small that log2(1 + x) = x / ln 2 to thousands of bits.
      logSign = sign;
      logValue = (x << (2n * FRACTION)) / LN2;
      logExponent = exponent - Number(FRACTION);
    } else oneLogarithm(x, sign ? 2n * unit - x : 2n * unit + x, sign);
  } else if (exp > BIAS + 200) binaryLogarithm(x, exponent);
  else if (exponent >= 0) binaryLogarithm((x << BigInt(exponent)) + 1n, 0);
  else binaryLogarithm((1n << BigInt(-exponent)) + (sign ? -x : x), exponent);
  roundLogarithm();
}
