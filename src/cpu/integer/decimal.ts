/**
 * Decimal adjustments: DAA DAS AAA AAS AAM AAD (SDM 2A), valid outside 64-bit mode only. Undefined flags follow the result in
 * AL as a logical operation would leave them (CF, AF and OF zero unless defined).
 */
import type { Handler } from '../record';
import { R8, R16, F_AF, F_CF, X_DE } from '../state';
import { recImmediate } from '../record';
import { getAf, getCf, setResultFlags } from '../flags';
import { raise } from '../fault';

const AL = 0, AH = 1; // indices into R8
const AX = 0; // index into R16

/** SF, ZF, PF from AL; the others as given. */
function flagsFromAl(carryAuxOverflow: number): void {
  const al = (R8[AL] << 24) >> 24;
  setResultFlags(al, al, carryAuxOverflow);
}

function daa(): void {
  const al = R8[AL], carry = getCf();
  let flags = 0;
  if ((al & 15) > 9 || getAf()) {
    R8[AL] += 6;
    flags = F_AF | carry | (al > 0xf9 ? F_CF : 0);
  }
  if (al > 0x99 || carry) {
    R8[AL] += 0x60;
    flags |= F_CF;
  } else flags &= ~F_CF;
  flagsFromAl(flags);
}

function das(): void {
  const al = R8[AL], carry = getCf();
  let flags = 0;
  if ((al & 15) > 9 || getAf()) {
    R8[AL] -= 6;
    flags = F_AF | carry | (al < 6 ? F_CF : 0);
  }
  if (al > 0x99 || carry) {
    R8[AL] -= 0x60;
    flags |= F_CF;
  }
  flagsFromAl(flags);
}

function aaa(): void {
  let flags = 0;
  if ((R8[AL] & 15) > 9 || getAf()) {
    R16[AX] += 0x106;
    flags = F_AF | F_CF;
  }
  R8[AL] &= 15;
  flagsFromAl(flags);
}

function aas(): void {
  let flags = 0;
  if ((R8[AL] & 15) > 9 || getAf()) {
    R16[AX] -= 6;
    R8[AH] -= 1;
    flags = F_AF | F_CF;
  }
  R8[AL] &= 15;
  flagsFromAl(flags);
}

function aam(p: number): void {
  const base = recImmediate(p) & 255, al = R8[AL];
  if (base === 0) raise(X_DE);
  R8[AH] = al / base;
  R8[AL] = al % base;
  flagsFromAl(0);
}

function aad(p: number): void {
  R16[AX] = (R8[AL] + R8[AH] * (recImmediate(p) & 255)) & 0xff;
  flagsFromAl(0);
}

export const decimalHandlers: Record<string, Handler> = { daa, das, aaa, aas, aam, aad };
