/** VM-exit instruction information and displacement (SDM 3C 28.2.5, tables 28-8 to 28-15) from a decoded record. */
import { R, RIP } from '../cpu/state';
import {
  recAddressSize, recBase, recDisplacement, recIndex, recIsMemory, recOperandSize, recReg, recRm, recScale, recSegment,
} from '../cpu/record';

const NO_REGISTER = 16, RIP_RELATIVE = 17;
const INFO_REGISTER_OPERAND = 1 << 10, INFO_NO_INDEX = 1 << 22, INFO_NO_BASE = 1 << 27;

/** The displacement of the last memoryInformation(): low and high word of the exit qualification. */
export const DISPLACEMENT = new Int32Array(2);

/** The part that all memory operands share: scale, address size, segment, index, base. Fills DISPLACEMENT. RIP holds the next instruction. */
export function memoryInformation(p: number): number {
  const disp = recDisplacement(p);
  DISPLACEMENT[0] = disp;
  DISPLACEMENT[1] = disp >> 31;
  if (!recIsMemory(p)) {
    DISPLACEMENT[0] = DISPLACEMENT[1] = 0;
    return INFO_REGISTER_OPERAND;
  }
  const base = recBase(p), index = recIndex(p);
  let info = (recAddressSize(p) << 7) | (recSegment(p) << 15);
  info |= index < NO_REGISTER ? recScale(p) | (index << 18) : INFO_NO_INDEX;
  if (base < NO_REGISTER) return info | (base << 23);
  if (base === RIP_RELATIVE) {
    const next = R[RIP], lo = (next + disp) | 0;
    DISPLACEMENT[0] = lo;
    DISPLACEMENT[1] = (R[RIP + 1] + (disp >> 31) + (lo >>> 0 < next >>> 0 ? 1 : 0)) | 0;
  }
  return info | INFO_NO_BASE;
}

/** VMREAD and VMWRITE: reg1 = the r/m register of a register operand, reg2 = the register with the encoding. */
export function vmreadInformation(p: number): number {
  return memoryInformation(p) | (recIsMemory(p) ? 0 : recRm(p) << 3) | (recReg(p) << 28);
}

/** INVEPT, INVVPID, INVPCID: reg2 = the register with the type. */
export function invalidationInformation(p: number): number {
  return memoryInformation(p) | (recReg(p) << 28);
}

/** LGDT, SGDT, LIDT, SIDT; `identity`: 0 SGDT, 1 SIDT, 2 LGDT, 3 LIDT. */
export function gdtrIdtrInformation(p: number, identity: number): number {
  return memoryInformation(p) | (recOperandSize(p) === 0 ? 0 : 1 << 11) | (identity << 28);
}

/** LLDT, SLDT, LTR, STR; `identity`: 0 SLDT, 1 STR, 2 LLDT, 3 LTR. */
export function ldtrTrInformation(p: number, identity: number): number {
  return memoryInformation(p) | (recIsMemory(p) ? 0 : recRm(p) << 3) | (identity << 28);
}

/** INS and OUTS: address size and, for OUTS, segment. */
export function stringIoInformation(p: number, isIn: boolean): number {
  return (recAddressSize(p) << 7) | (isIn ? 0 : recSegment(p) << 15);
}
