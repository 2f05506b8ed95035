/** Condition codes as expressions over the lazy flags (SDM 1 appendix B). */
import { FK_EXPLICIT, FK_LOGIC, FK_SUB } from '../../flags';
import { FRH, FRL, FSH, FSL, FT, FX } from '../../state';

const KIND = `(R[${FT}]&7)`;
const ZERO = `(${KIND}===${FK_EXPLICIT}?(R[${FX}]&64)!==0:(R[${FRL}]|R[${FRH}])===0)`;
const SIGN = `(${KIND}===${FK_EXPLICIT}?(R[${FX}]&128)!==0:R[${FRH}]<0)`;
const LESS_WORDS = `(R[${FSH}]===R[${FRH}]?R[${FSL}]>>>0<R[${FRL}]>>>0:R[${FSH}]>>>0<R[${FRH}]>>>0)`;
const CARRY = `(${KIND}===${FK_SUB}?${LESS_WORDS}:${KIND}===${FK_LOGIC}?false:getCf()!==0)`;
const LESS = '(getSf()!==getOf())';

/** Text of a boolean expression for condition code 0-15. */
export function conditionText(code: number): string {
  const not = code & 1 ? '!' : '';
  switch (code >> 1) {
    case 0: return `${not}(getOf()!==0)`;
    case 1: return not + CARRY;
    case 2: return not + ZERO;
    case 3: return `${not}(${CARRY}||${ZERO})`;
    case 4: return not + SIGN;
    case 5: return `${not}(getPf()!==0)`;
    case 6: return not + LESS;
    default: return `${not}(${LESS}||${ZERO})`;
  }
}

/** Suffixes of Jcc, SETcc, CMOVcc by condition code. */
export const CONDITION_SUFFIXES = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'] as const;

type CompareSize = 32 | 64;

/** x < y unsigned / signed over words xl xh yl yh. */
function unsignedBelow(size: CompareSize, x: string, y: string): string {
  return size === 64 ? `(${x}h===${y}h?${x}l>>>0<${y}l>>>0:${x}h>>>0<${y}h>>>0)` : `(${x}l>>>0<${y}l>>>0)`;
}
function signedLess(size: CompareSize, x: string, y: string): string {
  return size === 64 ? `(${x}h===${y}h?${x}l>>>0<${y}l>>>0:${x}h<${y}h)` : `(${x}l<${y}l)`;
}

/**
 * Condition after CMP x, y (after SUB too), straight from the operands; null where the flags have to be asked (overflow, parity). `z` is
 * the difference. Narrow operands are sign-extended, so the 32-bit text serves them.
 */
export function compareCondition(code: number, size: CompareSize): string | null {
  const not = code & 1 ? '!' : '';
  switch (code >> 1) {
    case 1: return not + unsignedBelow(size, 'x', 'y');
    case 2: return size === 64 ? `${not}(((xl^yl)|(xh^yh))===0)` : `${not}(xl===yl)`;
    case 3: return code & 1 ? unsignedBelow(size, 'y', 'x') : `!${unsignedBelow(size, 'y', 'x')}`;
    case 4: return size === 64 ? `${not}(zh<0)` : `${not}(zl<0)`;
    case 6: return not + signedLess(size, 'x', 'y');
    case 7: return code & 1 ? signedLess(size, 'y', 'x') : `!${signedLess(size, 'y', 'x')}`;
    default: return null;
  }
}

/** Condition after a logical operation with result z. */
export function logicCondition(code: number, size: CompareSize): string | null {
  const not = code & 1 ? '!' : '';
  const zero = size === 64 ? '((zl|zh)===0)' : '(zl===0)', negative = size === 64 ? '(zh<0)' : '(zl<0)';
  switch (code >> 1) {
    case 2: return not + zero;
    case 4: case 6: return not + negative;
    case 7: return `${not}(${negative}||${zero})`;
    default: return null;
  }
}
