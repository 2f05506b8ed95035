/**
 * SSE comparisons, minimum and maximum (SDM 2A CMPPS, COMISD, MINPD ...; volume 1 table 11-1). Relations are worked out
 * on host numbers; NaN and denormal operands are recognised on the way.
 */
import { R, RF32, RF64, MXCSR, F_CF, F_PF, F_ZF } from '../state';
import { C, type Handler } from '../record';
import { setStatusFlags } from '../flags';
import { source32, source64, source128, target, RESULT } from './operands';
import { RAISED, DAZ, DE, IE, deliverExceptions } from './mxcsr';
import { classify, writeZero, FLOAT32, FLOAT64, CLASS_DENORMAL, CLASS_QNAN, CLASS_SNAN, type Format } from './softfloat';
import { isPlain32 } from './f32';
import { isPlain64 } from './f64';

const LESS = 0, EQUAL = 1, GREATER = 2, UNORDERED = 3;

function relation(x: number, y: number): number {
  return x < y ? LESS : x > y ? GREATER : EQUAL;
}

/** Relation of two elements of which one is a NaN, an infinity or a denormal; `signaling`: a QNaN is invalid too. */
function relationSpecial(format: Format, a: number, b: number, x: number, y: number, signaling: boolean): number {
  const ca = classify(format, a), cb = classify(format, b);
  if (ca >= CLASS_QNAN || cb >= CLASS_QNAN) {
    if (signaling || ca === CLASS_SNAN || cb === CLASS_SNAN) R[RAISED] |= IE;
    return UNORDERED;
  }
  if (ca === CLASS_DENORMAL || cb === CLASS_DENORMAL) {
    if ((R[MXCSR] & DAZ) === 0) R[RAISED] |= DE;
    else return relation(ca === CLASS_DENORMAL ? 0 : x, cb === CLASS_DENORMAL ? 0 : y);
  }
  return relation(x, y);
}

function relation32(a: number, b: number, signaling: boolean): number {
  const x = RF32[a], y = RF32[b];
  return isPlain32(x) && isPlain32(y) ? relation(x, y) : relationSpecial(FLOAT32, a, b, x, y, signaling);
}

function relation64(a: number, b: number, signaling: boolean): number {
  const x = RF64[a >> 1], y = RF64[b >> 1];
  return isPlain64(x) && isPlain64(y) ? relation(x, y) : relationSpecial(FLOAT64, a, b, x, y, signaling);
}

// --- COMISS, UCOMISS, COMISD, UCOMISD ---

function setFlagsFromRelation(r: number): void {
  deliverExceptions();
  setStatusFlags(r === GREATER ? 0 : r === LESS ? F_CF : r === EQUAL ? F_ZF : F_ZF | F_PF | F_CF);
}

function comiss(p: number): void {
  const s = source32(p);
  R[RAISED] = 0;
  setFlagsFromRelation(relation32(target(p), s, true));
}

function ucomiss(p: number): void {
  const s = source32(p);
  R[RAISED] = 0;
  setFlagsFromRelation(relation32(target(p), s, false));
}

function comisd(p: number): void {
  const s = source64(p);
  R[RAISED] = 0;
  setFlagsFromRelation(relation64(target(p), s, true));
}

function ucomisd(p: number): void {
  const s = source64(p);
  R[RAISED] = 0;
  setFlagsFromRelation(relation64(target(p), s, false));
}

// --- CMPccPS and the like ---

/** For predicate i (EQ LT LE UNORD NEQ NLT NLE ORD): bit r set if it holds for relation r. */
const PREDICATES = new Uint8Array([0b0010, 0b0001, 0b0011, 0b1000, 0b1101, 0b1110, 0b1100, 0b0111]);
/** Predicates LT LE NLT NLE signal invalid on QNaN operands. */
const SIGNALING = 0b01100110;

function compareMask32(predicate: number, a: number, b: number): number {
  return (PREDICATES[predicate] >> relation32(a, b, ((SIGNALING >> predicate) & 1) !== 0)) & 1 ? -1 : 0;
}

function compareMask64(predicate: number, a: number, b: number): number {
  return (PREDICATES[predicate] >> relation64(a, b, ((SIGNALING >> predicate) & 1) !== 0)) & 1 ? -1 : 0;
}

function cmpps(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3] & 7;
  R[RAISED] = 0;
  const m0 = compareMask32(i, d, s), m1 = compareMask32(i, d + 1, s + 1);
  const m2 = compareMask32(i, d + 2, s + 2), m3 = compareMask32(i, d + 3, s + 3);
  deliverExceptions();
  R[d] = m0;
  R[d + 1] = m1;
  R[d + 2] = m2;
  R[d + 3] = m3;
}

function cmpss(p: number): void {
  const s = source32(p), d = target(p);
  R[RAISED] = 0;
  const m = compareMask32(C[p + 3] & 7, d, s);
  deliverExceptions();
  R[d] = m;
}

function cmppd(p: number): void {
  const s = source128(p), d = target(p), i = C[p + 3] & 7;
  R[RAISED] = 0;
  const m0 = compareMask64(i, d, s), m1 = compareMask64(i, d + 2, s + 2);
  deliverExceptions();
  R[d] = m0;
  R[d + 1] = m0;
  R[d + 2] = m1;
  R[d + 3] = m1;
}

function cmpsd(p: number): void {
  const s = source64(p), d = target(p);
  R[RAISED] = 0;
  const m = compareMask64(C[p + 3] & 7, d, s);
  deliverExceptions();
  R[d] = m;
  R[d + 1] = m;
}

// --- MIN, MAX: the second operand unless the first is strictly less (greater); NaN operands are invalid ---

function choose32(out: number, a: number, b: number, wanted: number): void {
  const from = relation32(a, b, true) === wanted ? a : b;
  if ((R[MXCSR] & DAZ) !== 0 && classify(FLOAT32, from) === CLASS_DENORMAL) writeZero(FLOAT32, out, R[from] >>> 31);
  else R[out] = R[from];
}

function choose64(out: number, a: number, b: number, wanted: number): void {
  const from = relation64(a, b, true) === wanted ? a : b;
  if ((R[MXCSR] & DAZ) !== 0 && classify(FLOAT64, from) === CLASS_DENORMAL) writeZero(FLOAT64, out, R[from + 1] >>> 31);
  else {
    R[out] = R[from];
    R[out + 1] = R[from + 1];
  }
}

function choosePacked32(p: number, wanted: number): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  for (let i = 0; i < 4; i++) choose32(RESULT + i, d + i, s + i, wanted);
  deliverExceptions();
  for (let i = 0; i < 4; i++) R[d + i] = R[RESULT + i];
}

function chooseScalar32(p: number, wanted: number): void {
  const s = source32(p), d = target(p);
  R[RAISED] = 0;
  choose32(RESULT, d, s, wanted);
  deliverExceptions();
  R[d] = R[RESULT];
}

function choosePacked64(p: number, wanted: number): void {
  const s = source128(p), d = target(p);
  R[RAISED] = 0;
  choose64(RESULT, d, s, wanted);
  choose64(RESULT + 2, d + 2, s + 2, wanted);
  deliverExceptions();
  for (let i = 0; i < 4; i++) R[d + i] = R[RESULT + i];
}

function chooseScalar64(p: number, wanted: number): void {
  const s = source64(p), d = target(p);
  R[RAISED] = 0;
  choose64(RESULT, d, s, wanted);
  deliverExceptions();
  R[d] = R[RESULT];
  R[d + 1] = R[RESULT + 1];
}

export const compareHandlers: Record<string, Handler> = {
  comiss, ucomiss, comisd, ucomisd, cmpps, cmpss, cmppd, cmpsdXmm: cmpsd,
  minps: (p) => choosePacked32(p, LESS), maxps: (p) => choosePacked32(p, GREATER),
  minss: (p) => chooseScalar32(p, LESS), maxss: (p) => chooseScalar32(p, GREATER),
  minpd: (p) => choosePacked64(p, LESS), maxpd: (p) => choosePacked64(p, GREATER),
  minsd: (p) => chooseScalar64(p, LESS), maxsd: (p) => chooseScalar64(p, GREATER),
};
