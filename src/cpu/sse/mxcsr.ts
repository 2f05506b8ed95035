/**
 * MXCSR (SDM 1 10.2.3, 11.5): exception flags, masks, rounding control, and delivery of SIMD floating-point exceptions.
 *
 * Element operations (f32.ts, f64.ts, softfloat.ts) add the exceptions they meet to the word RAISED. A handler clears
 * it, computes every element into scratch, then calls deliverExceptions() before it changes its destination.
 */
import { R, CR4, CR4_OSXMMEXCPT, MXCSR, SCRATCH, X_XM } from '../state';
import { raise, raiseUd } from '../fault';

export const IE = 1, DE = 2, ZE = 4, OE = 8, UE = 0x10, PE = 0x20;
/** Exceptions found on operands before computing; unmasked, they keep the others from being reported. */
const PRE_COMPUTATION = IE | DE | ZE;
export const DAZ = 0x40;
/** Mask bits are the flag bits shifted left by 7. */
export const MASK_SHIFT = 7;
export const UNDERFLOW_MASK = UE << MASK_SHIFT, OVERFLOW_MASK = OE << MASK_SHIFT, PRECISION_MASK = PE << MASK_SHIFT;
export const FTZ = 0x8000;
export const RC_SHIFT = 13;
/** Rounding control values. */
export const NEAREST = 0, DOWN = 1, UP = 2, TRUNCATE = 3;
/** Bits that may be set by LDMXCSR (MXCSR_MASK of FXSAVE). */
export const MXCSR_VALID = 0xffff;

/** Exceptions of the instruction in progress. */
export const RAISED = SCRATCH + 52;

/** MXCSR bits that decide whether an inexact result needs any work ... */
export const QUICK_BITS = PE | PRECISION_MASK | (3 << RC_SHIFT);
/** ... and their value when it does not: round to nearest, precision exception masked and already recorded. */
export const QUICK = PE | PRECISION_MASK;

export function roundingControl(): number {
  return (R[MXCSR] >> RC_SHIFT) & 3;
}

export function denormalsAreZeros(): boolean {
  return (R[MXCSR] & DAZ) !== 0;
}

/** Records the exceptions in RAISED; delivers #XM (or #UD without CR4.OSXMMEXCPT) if one is unmasked. */
export function deliverExceptions(): void {
  if (R[RAISED] !== 0) recordExceptions();
}

function recordExceptions(): void {
  let raised = R[RAISED];
  const csr = R[MXCSR];
  const unmasked = raised & ~(csr >> MASK_SHIFT);
  if ((unmasked & PRE_COMPUTATION) !== 0) raised &= PRE_COMPUTATION;
  R[MXCSR] = csr | raised;
  if (unmasked !== 0) {
    if ((R[CR4] & CR4_OSXMMEXCPT) === 0) raiseUd();
    raise(X_XM);
  }
}
