/**
 * Small instructions on flags and the accumulator: CBW/CWDE/CDQE, CWD/CDQ/CQO, LAHF SAHF, CLC STC CMC CLD STD, SALC, XLAT (SDM 2).
 */
import type { Handler } from '../record';
import { R, R8, R16, EAT, EFLAGS, LA, RAX, RBX, RDX, F_AF, F_CF, F_DF, F_PF, F_SF, F_ZF } from '../state';
import { recAddressSize, recOperandSize, recSegment } from '../record';
import { segmentAddress, setReg32 } from '../operands';
import { changeStatusFlags, getCf, getStatusFlags } from '../flags';
import { load8 } from '../mmu/access';

const AH = 1; // index into R8
const LOW_FLAGS = F_SF | F_ZF | F_AF | F_PF | F_CF;

/** CBW, CWDE, CDQE: doubles the accumulator's width with its sign. */
function cwde(p: number): void {
  switch (recOperandSize(p)) {
    case 0: R16[0] = (R[RAX] << 24) >> 24; break;
    case 1: setReg32(0, (R[RAX] << 16) >> 16); break;
    default: R[RAX + 1] = R[RAX] >> 31; break;
  }
}

/** CWD, CDQ, CQO: fills rDX with the accumulator's sign. */
function cdq(p: number): void {
  switch (recOperandSize(p)) {
    case 0: R16[8] = (R[RAX] << 16) >> 31; break;
    case 1: setReg32(2, R[RAX] >> 31); break;
    default: R[RDX] = R[RDX + 1] = R[RAX + 1] >> 31; break;
  }
}

function lahf(): void {
  R8[AH] = (getStatusFlags() & LOW_FLAGS) | 2;
}

function sahf(): void {
  changeStatusFlags(LOW_FLAGS, R8[AH]);
}

/** AL = the byte at DS:[rBX + AL]; the segment may be overridden. */
function xlat(p: number): void {
  const size = recAddressSize(p);
  const lo = (R[RBX] + R8[0]) | 0;
  R[EAT] = size === 0 ? lo & 0xffff : lo;
  R[EAT + 1] = size === 2 ? (R[RBX + 1] + (lo >>> 0 < R[RBX] >>> 0 ? 1 : 0)) | 0 : 0;
  segmentAddress(recSegment(p), R[EAT], R[EAT + 1], 1, false);
  R8[0] = load8(R[LA], R[LA + 1]);
}

export const flagConversionHandlers: Record<string, Handler> = {
  cwde, cdq, lahf, sahf, xlat,
  clc: () => changeStatusFlags(F_CF, 0),
  stc: () => changeStatusFlags(F_CF, F_CF),
  cmc: () => changeStatusFlags(F_CF, getCf() ^ 1),
  cld: () => { R[EFLAGS] &= ~F_DF; },
  std: () => { R[EFLAGS] |= F_DF; },
  salc: () => { R8[0] = -getCf(); },
};
