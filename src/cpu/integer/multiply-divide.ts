/**
 * MUL, one-operand IMUL, DIV, IDIV (SDM 2A, 2B). The engine lowers the two- and three-operand IMUL itself.
 *
 * Undefined flags: after a multiplication SF, ZF and PF describe the low half of the product and AF is 0; a
 * division leaves all flags alone.
 */
import type { Handler } from '../record';
import { R, R8, R16, MEMHI, RAX, RDX, F_CF, F_OF, X_DE } from '../state';
import { recOperandSize } from '../record';
import { readRm8, readRmV, setReg32 } from '../operands';
import { setResultFlags } from '../flags';
import { raise } from '../fault';
import {
  PRODUCT, QUOTIENT, REMAINDER, divideSigned128, divideUnsigned128, multiplyHighUnsigned32, multiplySigned64, multiplyUnsigned64,
} from './wide';

const AX = 0, DX = 8; // indices into R16

/** CF = OF = `overflow`; narrow results sign-extended and passed twice. */
function productFlags(lo: number, hi: number, overflow: boolean): void {
  setResultFlags(lo, hi, overflow ? F_CF | F_OF : 0);
}

function mulByte(p: number): void {
  const product = R8[0] * readRm8(p);
  R16[AX] = product;
  productFlags((product << 24) >> 24, (product << 24) >> 24, product > 0xff);
}

function imulByte(p: number): void {
  const product = ((R8[0] << 24) >> 24) * ((readRm8(p) << 24) >> 24);
  R16[AX] = product;
  const low = (product << 24) >> 24;
  productFlags(low, low, low !== product);
}

function mul(p: number): void {
  const source = readRmV(p);
  switch (recOperandSize(p)) {
    case 0: {
      const product = Math.imul(R16[AX], source & 0xffff);
      R16[AX] = product;
      R16[DX] = product >>> 16;
      const low = (product << 16) >> 16;
      productFlags(low, low, product >>> 16 !== 0);
      break;
    }
    case 1: {
      const a = R[RAX], low = Math.imul(a, source), high = multiplyHighUnsigned32(a, source);
      setReg32(0, low);
      setReg32(2, high);
      productFlags(low, low, high !== 0);
      break;
    }
    default:
      multiplyUnsigned64(R[RAX], R[RAX + 1], source, R[MEMHI]);
      storeProduct();
      productFlags(PRODUCT[0], PRODUCT[1], (PRODUCT[2] | PRODUCT[3]) !== 0);
  }
}

function imul(p: number): void {
  const source = readRmV(p);
  switch (recOperandSize(p)) {
    case 0: {
      const product = ((R[RAX] << 16) >> 16) * source;
      R16[AX] = product;
      R16[DX] = product >> 16;
      const low = (product << 16) >> 16;
      productFlags(low, low, low !== product);
      break;
    }
    case 1: {
      const a = R[RAX], low = Math.imul(a, source);
      const high = (multiplyHighUnsigned32(a, source) - (a < 0 ? source : 0) - (source < 0 ? a : 0)) | 0;
      setReg32(0, low);
      setReg32(2, high);
      productFlags(low, low, high !== low >> 31);
      break;
    }
    default: {
      multiplySigned64(R[RAX], R[RAX + 1], source, R[MEMHI]);
      storeProduct();
      const sign = PRODUCT[1] >> 31;
      productFlags(PRODUCT[0], PRODUCT[1], PRODUCT[2] !== sign || PRODUCT[3] !== sign);
    }
  }
}

function storeProduct(): void {
  R[RAX] = PRODUCT[0];
  R[RAX + 1] = PRODUCT[1];
  R[RDX] = PRODUCT[2];
  R[RDX + 1] = PRODUCT[3];
}

function divByte(p: number): void {
  const divisor = readRm8(p), dividend = R16[AX];
  if (dividend >> 8 >= divisor) raise(X_DE);
  R8[0] = (dividend / divisor) | 0;
  R8[1] = dividend % divisor;
}

function idivByte(p: number): void {
  const divisor = (readRm8(p) << 24) >> 24, dividend = (R16[AX] << 16) >> 16;
  if (divisor === 0) raise(X_DE);
  const quotient = (dividend / divisor) | 0;
  if (quotient !== (quotient << 24) >> 24) raise(X_DE);
  R8[0] = quotient;
  R8[1] = dividend % divisor;
}

function div(p: number): void {
  const divisor = readRmV(p);
  switch (recOperandSize(p)) {
    case 0: {
      const dividend = ((R16[DX] << 16) | R16[AX]) >>> 0, d = divisor & 0xffff;
      if (R16[DX] >= d) raise(X_DE);
      R16[AX] = dividend / d;
      R16[DX] = dividend % d;
      break;
    }
    case 1:
      if (R[RDX] >>> 0 >= divisor >>> 0) raise(X_DE);
      divideUnsigned128(R[RAX], R[RDX], 0, 0, divisor, 0);
      setReg32(0, QUOTIENT[0]);
      setReg32(2, REMAINDER[0]);
      break;
    default:
      if (!divideUnsigned128(R[RAX], R[RAX + 1], R[RDX], R[RDX + 1], divisor, R[MEMHI])) raise(X_DE);
      storeQuotient();
  }
}

function idiv(p: number): void {
  const divisor = readRmV(p);
  switch (recOperandSize(p)) {
    case 0: {
      const dividend = (R16[DX] << 16) | R16[AX];
      if (divisor === 0) raise(X_DE);
      const quotient = Math.trunc(dividend / divisor);
      if (quotient !== (quotient << 16) >> 16) raise(X_DE);
      R16[AX] = quotient;
      R16[DX] = dividend % divisor;
      break;
    }
    case 1: {
      const sign = R[RDX] >> 31;
      if (!divideSigned128(R[RAX], R[RDX], sign, sign, divisor, divisor >> 31) || QUOTIENT[1] !== QUOTIENT[0] >> 31) raise(X_DE);
      setReg32(0, QUOTIENT[0]);
      setReg32(2, REMAINDER[0]);
      break;
    }
    default:
      if (!divideSigned128(R[RAX], R[RAX + 1], R[RDX], R[RDX + 1], divisor, R[MEMHI])) raise(X_DE);
      storeQuotient();
  }
}

function storeQuotient(): void {
  R[RAX] = QUOTIENT[0];
  R[RAX + 1] = QUOTIENT[1];
  R[RDX] = REMAINDER[0];
  R[RDX + 1] = REMAINDER[1];
}

export const multiplyDivideHandlers: Record<string, Handler> = {
  mulb: mulByte, mul, imul1b: imulByte, imul1: imul, divb: divByte, div, idivb: idivByte, idiv,
};
