/** MOV, PUSH and POP of segment registers, LDS LES LFS LGS LSS (SDM vol 2). */
import { R, RSP, LA, SEG_SEL, ES, CS, SS, DS, FS, GS, MEMHI } from '../state';
import type { Handler } from '../record';
import { recIsMemory, recOperandSize, recReg, recRm } from '../record';
import { raiseUd } from '../fault';
import { memoryAddress, readRm16, setReg, writeRm16 } from '../operands';
import { load16, load32, load64 } from '../mmu/access';
import { loadSegment } from '../segments';
import { popV, pushSelector } from '../stack';
import { SHADOW_MOV_SS, startInterruptShadow } from './flag-control';

/** MOV r/m, Sreg: memory takes 16 bits, a register is zero-extended to the operand size. */
function movFromSegment(p: number): void {
  const s = recReg(p) & 7;
  if (s > GS) raiseUd();
  if (recIsMemory(p)) writeRm16(p, R[SEG_SEL + s]);
  else setReg(recRm(p), recOperandSize(p), R[SEG_SEL + s], 0);
}

function movToSegment(p: number): void {
  const s = recReg(p) & 7;
  if (s > GS || s === CS) raiseUd();
  loadSegment(s, readRm16(p));
  if (s === SS) startInterruptShadow(SHADOW_MOV_SS);
}

function pushSegment(s: number): Handler {
  return (p) => pushSelector(recOperandSize(p), R[SEG_SEL + s]);
}

function popSegment(s: number): Handler {
  return (p) => {
    const oldLo = R[RSP], oldHi = R[RSP + 1];
    const selector = popV(recOperandSize(p)) & 0xffff;
    const newLo = R[RSP], newHi = R[RSP + 1];
    // The stack pointer must not have moved if the load faults.
    R[RSP] = oldLo;
    R[RSP + 1] = oldHi;
    loadSegment(s, selector);
    R[RSP] = newLo;
    R[RSP + 1] = newHi;
    if (s === SS) startInterruptShadow(SHADOW_MOV_SS);
  };
}

function loadFarPointer(s: number): Handler {
  return (p) => {
    const size = recOperandSize(p), bytes = 2 << size;
    memoryAddress(p, bytes + 2, false);
    const lo = R[LA], hi = R[LA + 1];
    const offsetLo = size === 2 ? load64(lo, hi) : size === 1 ? load32(lo, hi) : load16(lo, hi);
    const offsetHi = size === 2 ? R[MEMHI] : 0;
    const at = (lo + bytes) | 0;
    loadSegment(s, load16(at, (hi + (at >>> 0 < lo >>> 0 ? 1 : 0)) | 0));
    setReg(recReg(p), size, offsetLo, offsetHi);
  };
}

export const segmentMoveHandlers: Record<string, Handler> = {
  movfromseg: movFromSegment, movtoseg: movToSegment,
  pushes: pushSegment(ES), pushcs: pushSegment(CS), pushss: pushSegment(SS), pushds: pushSegment(DS), pushfs: pushSegment(FS), pushgs: pushSegment(GS),
  popes: popSegment(ES), popss: popSegment(SS), popds: popSegment(DS), popfs: popSegment(FS), popgs: popSegment(GS),
  les: loadFarPointer(ES), lds: loadFarPointer(DS), lss: loadFarPointer(SS), lfs: loadFarPointer(FS), lgs: loadFarPointer(GS),
};
