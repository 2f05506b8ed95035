/** LGDT SGDT LIDT SIDT LLDT SLDT LTR STR, and the inspection of selectors by LAR LSL VERR VERW ARPL (SDM vol 2; 3A 2.4, 5.10). */
import {
  R, AR_P, AR_S, CODE64, CPL, F_ZF, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, LA, LDTR, LMA, MEMHI, SEG_SEL, TR, X_GP, X_NP, R16, AR_UNUSABLE, SEG_AR,
} from '../state';
import type { Handler } from '../record';
import { recIsMemory, recOperandSize, recReg, recRm } from '../record';
import { raiseError, raiseGp } from '../fault';
import { changeStatusFlags } from '../flags';
import { memoryAddress, readRm16, setReg, writeRm16 } from '../operands';
import { load16, load32, load64, probeWrite, store16, store32, store64 } from '../mmu/access';
import {
  SYS_CALL, SYS_CALL16, SYS_LDT, SYS_TASK_GATE, SYS_TSS, SYS_TSS16, SYS_TSS16_BUSY, SYS_TSS_BUSY, TYPE_CODE, TYPE_CONFORMING, TYPE_READABLE,
  TYPE_WRITABLE, DESC, descriptorLimit, descriptorRights, isCanonical, isNull, markBusy, readDescriptor, readDescriptorUpperHalf, setNullSegment,
  setSegmentFromDescriptor, tryReadDescriptor,
} from '../segments';
import { interceptDescriptorTable } from '../../vmx/intercepts';
import { EXIT_REASON_GDTR_IDTR, EXIT_REASON_LDTR_TR } from '../../vmx/exit-reasons';
import { checkUserModePrevention, isGuest, requireCpl0, requireProtectedMode } from './privilege';

// Instruction identities of the exit's instruction information (SDM 3C tables 28-10, 28-11).
const IDENTITY_SGDT = 0, IDENTITY_SIDT = 1, IDENTITY_LGDT = 2, IDENTITY_LIDT = 3;
const IDENTITY_SLDT = 0, IDENTITY_STR = 1, IDENTITY_LLDT = 2, IDENTITY_LTR = 3;

/** LGDT and LIDT: `base` and `limit` are the state words of the register. */
function loadTableRegister(p: number, base: number, limit: number, identity: number): void {
  requireCpl0();
  if (isGuest() && interceptDescriptorTable(EXIT_REASON_GDTR_IDTR, identity, p)) return;
  const wide = R[CODE64] !== 0;
  memoryAddress(p, wide ? 10 : 6, false);
  const lo = R[LA], hi = R[LA + 1];
  const newLimit = load16(lo, hi);
  const at = (lo + 2) | 0, atHigh = (hi + (at >>> 0 < 2 ? 1 : 0)) | 0;
  let baseLo: number, baseHi = 0;
  if (wide) {
    baseLo = load64(at, atHigh);
    baseHi = R[MEMHI];
    if (!isCanonical(baseHi)) raiseGp(0);
  } else {
    baseLo = load32(at, atHigh);
    if (recOperandSize(p) === 0) baseLo &= 0xffffff;
  }
  R[base] = baseLo;
  R[base + 1] = baseHi;
  R[limit] = newLimit;
}

/** SGDT and SIDT. */
function storeTableRegister(p: number, base: number, limit: number, identity: number): void {
  checkUserModePrevention();
  if (isGuest() && interceptDescriptorTable(EXIT_REASON_GDTR_IDTR, identity, p)) return;
  const bytes = R[CODE64] ? 10 : 6;
  memoryAddress(p, bytes, true);
  const lo = R[LA], hi = R[LA + 1];
  probeWrite(lo, hi, bytes);
  store16(lo, hi, R[limit]);
  const at = (lo + 2) | 0, atHigh = (hi + (at >>> 0 < 2 ? 1 : 0)) | 0;
  if (bytes === 10) store64(at, atHigh, R[base], R[base + 1]);
  else store32(at, atHigh, R[base]);
}

/** SLDT and STR: memory takes 16 bits, a register is zero-extended. */
function storeSelector(p: number, s: number, identity: number): void {
  requireProtectedMode();
  checkUserModePrevention();
  if (isGuest() && interceptDescriptorTable(EXIT_REASON_LDTR_TR, identity, p)) return;
  if (recIsMemory(p)) writeRm16(p, R[SEG_SEL + s]);
  else setReg(recRm(p), recOperandSize(p), R[SEG_SEL + s], 0);
}

/** Base of the 16-byte descriptor must be canonical. */
function checkSystemBase(code: number): void {
  if (R[LMA] && !isCanonical(DESC[2])) raiseGp(code);
}

function lldt(p: number): void {
  requireProtectedMode();
  requireCpl0();
  if (isGuest() && interceptDescriptorTable(EXIT_REASON_LDTR_TR, IDENTITY_LLDT, p)) return;
  const selector = readRm16(p), code = selector & 0xfffc;
  if (isNull(selector)) {
    setNullSegment(LDTR, selector);
    return;
  }
  if (selector & 4) raiseGp(code);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights();
  if ((ar & 0x1f) !== SYS_LDT) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  readDescriptorUpperHalf(selector, X_GP);
  checkSystemBase(code);
  setSegmentFromDescriptor(LDTR, selector);
}

function ltr(p: number): void {
  requireProtectedMode();
  requireCpl0();
  if (isGuest() && interceptDescriptorTable(EXIT_REASON_LDTR_TR, IDENTITY_LTR, p)) return;
  const selector = readRm16(p), code = selector & 0xfffc;
  if (isNull(selector)) raiseGp(0);
  if (selector & 4) raiseGp(code);
  readDescriptor(selector, X_GP);
  const ar = descriptorRights(), type = ar & 0x1f;
  if (type !== SYS_TSS && (type !== SYS_TSS16 || R[LMA] !== 0)) raiseGp(code);
  if ((ar & AR_P) === 0) raiseError(X_NP, code);
  readDescriptorUpperHalf(selector, X_GP);
  checkSystemBase(code);
  markBusy(true);
  setSegmentFromDescriptor(TR, selector);
}

// --- LAR, LSL, VERR, VERW ---

function setZf(on: boolean): void {
  changeStatusFlags(F_ZF, on ? F_ZF : 0);
}

/** The selector's descriptor is in DESC and visible at CPL and RPL (conforming code always is). System descriptors: only the given types, as a bit mask. */
function isVisible(selector: number, systemTypes: number): boolean {
  if (isNull(selector) || ((selector & 4) !== 0 && (R[SEG_AR + LDTR] & AR_UNUSABLE) !== 0) || !tryReadDescriptor(selector)) return false;
  const ar = descriptorRights(), dpl = (ar >> 5) & 3;
  if ((ar & AR_S) === 0 && ((systemTypes >> (ar & 15)) & 1) === 0) return false;
  if ((ar & (AR_S | TYPE_CODE | TYPE_CONFORMING)) === (AR_S | TYPE_CODE | TYPE_CONFORMING)) return true;
  return dpl >= R[CPL] && dpl >= (selector & 3);
}

const LSL_TYPES = (1 << SYS_TSS16) | (1 << SYS_LDT) | (1 << SYS_TSS16_BUSY) | (1 << SYS_TSS) | (1 << SYS_TSS_BUSY);
const LAR_TYPES = LSL_TYPES | (1 << SYS_CALL16) | (1 << SYS_TASK_GATE) | (1 << SYS_CALL);
const LONG_LSL_TYPES = (1 << SYS_LDT) | (1 << SYS_TSS) | (1 << SYS_TSS_BUSY), LONG_LAR_TYPES = LONG_LSL_TYPES | (1 << SYS_CALL);

function lar(p: number): void {
  requireProtectedMode();
  const visible = isVisible(readRm16(p), R[LMA] ? LONG_LAR_TYPES : LAR_TYPES);
  if (visible) setReg(recReg(p), recOperandSize(p), DESC[1] & 0x00ffff00, 0);
  setZf(visible);
}

function lsl(p: number): void {
  requireProtectedMode();
  const visible = isVisible(readRm16(p), R[LMA] ? LONG_LSL_TYPES : LSL_TYPES);
  if (visible) setReg(recReg(p), recOperandSize(p), descriptorLimit(), 0);
  setZf(visible);
}

function verr(p: number): void {
  requireProtectedMode();
  const visible = isVisible(readRm16(p), 0);
  setZf(visible && (descriptorRights() & (TYPE_CODE | TYPE_READABLE)) !== TYPE_CODE);
}

function verw(p: number): void {
  requireProtectedMode();
  const visible = isVisible(readRm16(p), 0);
  setZf(visible && (descriptorRights() & (TYPE_CODE | TYPE_WRITABLE)) === TYPE_WRITABLE);
}

function arpl(p: number): void {
  requireProtectedMode();
  const destination = readRm16(p), rpl = R16[4 * recReg(p)] & 3;
  if ((destination & 3) < rpl) {
    writeRm16(p, (destination & ~3) | rpl);
    setZf(true);
  } else setZf(false);
}

export const descriptorTableHandlers: Record<string, Handler> = {
  lgdt: (p) => loadTableRegister(p, GDTR_BASE, GDTR_LIMIT, IDENTITY_LGDT),
  lidt: (p) => loadTableRegister(p, IDTR_BASE, IDTR_LIMIT, IDENTITY_LIDT),
  sgdt: (p) => storeTableRegister(p, GDTR_BASE, GDTR_LIMIT, IDENTITY_SGDT),
  sidt: (p) => storeTableRegister(p, IDTR_BASE, IDTR_LIMIT, IDENTITY_SIDT),
  sldt: (p) => storeSelector(p, LDTR, IDENTITY_SLDT),
  str: (p) => storeSelector(p, TR, IDENTITY_STR),
  lldt, ltr, lar, lsl, verr, verw, arpl,
};
