/** MOV to and from control and debug registers, CLTS, LMSW, SMSW, INVLPG, INVPCID (SDM vol 2; VM exits 3C 26.1.3, 26.3). */
import {
  R, CODE64, CR0, CR0_TS, CR2, CR3, CR4, CR4_DE, CR4_PCIDE, DR7, EAT, LA, MEMHI, PENDING_DB, X_DB,
} from '../state';
import type { Handler } from '../record';
import { recIsMemory, recOperandSize, recReg, recRm, recSegment } from '../record';
import { raise, raiseGp, raiseUd } from '../fault';
import { effectiveOffset, memoryAddress, readRm16, segmentAddress, setReg, writeRm16 } from '../operands';
import {
  debugRegisterHi, debugRegisterLo, machineStatusWord, writeCr0, writeCr3, writeCr4, writeDebugRegister,
} from '../control-registers';
import { DB_GENERAL_DETECT, DR7_GD } from '../interrupts';
import { hasFeature } from '../features';
import { load64 } from '../mmu/access';
import { flushAll, flushPage, invpcidAddress, invpcidAllRetainingGlobals, invpcidSingle } from '../mmu/tlb';
import { updateMode } from '../modes';
import { platform } from '../platform';
import { isCanonical } from '../segments';
import {
  crReadValueLo, crWriteValueHi, crWriteValueLo, interceptClts, interceptInvlpg, interceptInvpcid, interceptLmsw, interceptMovDr, interceptMovFromCr, interceptMovToCr,
} from '../../vmx/intercepts';
import { invpcidEnabled } from '../../vmx/controls';
import { checkUserModePrevention, isGuest, requireCpl0 } from './privilege';

function isControlRegister(n: number): boolean {
  return n === 0 || (n >= 2 && n <= 4) || (n === 8 && R[CODE64] !== 0);
}

/** CR0 or CR4 as the running program sees it. */
function visibleControl(n: number): number {
  if (isGuest()) return crReadValueLo(n);
  return n === 0 ? R[CR0] : R[CR4];
}

function setRegister(n: number, lo: number, hi: number): void {
  R[2 * n] = lo;
  R[2 * n + 1] = R[CODE64] ? hi : 0;
}

function movFromControl(p: number): void {
  const cr = recReg(p), gpr = recRm(p);
  if (!isControlRegister(cr)) raiseUd();
  requireCpl0();
  if (isGuest() && interceptMovFromCr(cr, gpr, p)) return;
  switch (cr) {
    case 2: setRegister(gpr, R[CR2], R[CR2 + 1]); break;
    case 3: setRegister(gpr, R[CR3], R[CR3 + 1]); break;
    case 8: setRegister(gpr, platform.readCr8(), 0); break;
    default: setRegister(gpr, visibleControl(cr), 0); break;
  }
}

function movToControl(p: number): void {
  const cr = recReg(p), gpr = recRm(p);
  if (!isControlRegister(cr)) raiseUd();
  requireCpl0();
  let lo = R[2 * gpr], hi = R[CODE64] ? R[2 * gpr + 1] : 0;
  if (cr !== 2 && isGuest()) {
    if (interceptMovToCr(cr, gpr, lo, hi, p)) return;
    lo = crWriteValueLo();
    hi = crWriteValueHi();
  }
  switch (cr) {
    case 0:
      if (hi !== 0) raiseGp(0);
      writeCr0(lo);
      break;
    case 2:
      R[CR2] = lo;
      R[CR2 + 1] = hi;
      break;
    case 3: writeCr3(lo, hi); break;
    case 4: writeCr4(lo, hi); break;
    default:
      if (hi !== 0 || (lo & ~15) !== 0) raiseGp(0);
      platform.writeCr8(lo);
  }
}

/** Number of the debug register with DR4 and DR5 resolved; #UD for those with CR4.DE, and for DR8-DR15. */
function debugRegisterNumber(p: number): number {
  const n = recReg(p);
  if (n > 7 || ((n === 4 || n === 5) && R[CR4] & CR4_DE)) raiseUd();
  return n === 4 || n === 5 ? n + 2 : n;
}

/** DR7.GD turns any access into a #DB. */
function checkGeneralDetect(): void {
  if ((R[DR7] & DR7_GD) === 0) return;
  R[PENDING_DB] |= DB_GENERAL_DETECT;
  raise(X_DB);
}

function movFromDebug(p: number): void {
  const dr = debugRegisterNumber(p);
  requireCpl0();
  if (isGuest() && interceptMovDr(recReg(p), recRm(p), true, p)) return;
  checkGeneralDetect();
  setRegister(recRm(p), debugRegisterLo(dr), debugRegisterHi(dr));
}

function movToDebug(p: number): void {
  const dr = debugRegisterNumber(p), gpr = recRm(p);
  requireCpl0();
  if (isGuest() && interceptMovDr(recReg(p), gpr, false, p)) return;
  checkGeneralDetect();
  writeDebugRegister(dr, R[2 * gpr], R[CODE64] ? R[2 * gpr + 1] : 0);
}

function clts(p: number): void {
  requireCpl0();
  if (isGuest()) {
    if (interceptClts(p)) return;
    R[CR0] = crWriteValueLo();
  } else R[CR0] &= ~CR0_TS;
}

function lmsw(p: number): void {
  requireCpl0();
  const source = readRm16(p);
  if (isGuest()) {
    if (!interceptLmsw(source, recIsMemory(p), p)) writeCr0(crWriteValueLo());
  } else writeCr0(machineStatusWord(source));
}

function smsw(p: number): void {
  checkUserModePrevention();
  const value = visibleControl(0);
  if (recIsMemory(p)) writeRm16(p, value);
  else setReg(recRm(p), recOperandSize(p), value, 0);
}

function invlpg(p: number): void {
  requireCpl0();
  effectiveOffset(p);
  segmentAddress(recSegment(p), R[EAT], R[EAT + 1], 1, false);
  const lo = R[LA], hi = R[LA + 1];
  if (isGuest() && interceptInvlpg(lo, hi, p)) return;
  if (!isCanonical(hi)) return;
  flushPage(lo, hi);
  updateMode();
}

const INVPCID_ADDRESS = 0, INVPCID_SINGLE = 1, INVPCID_ALL = 2, INVPCID_ALL_BUT_GLOBAL = 3;

function invpcid(p: number): void {
  if (!hasFeature('invpcid') || (isGuest() && !invpcidEnabled())) raiseUd();
  requireCpl0();
  if (isGuest() && interceptInvpcid(p)) return;
  memoryAddress(p, 16, false);
  const lo = R[LA], hi = R[LA + 1], second = (lo + 8) | 0;
  const pcid = load64(lo, hi), reserved = R[MEMHI];
  const linearLo = load64(second, second >>> 0 < lo >>> 0 ? (hi + 1) | 0 : hi), linearHi = R[MEMHI];
  const n = 2 * recReg(p), type = R[n];
  if (type >>> 0 > INVPCID_ALL_BUT_GLOBAL || (R[CODE64] !== 0 && R[n + 1] !== 0) || pcid >>> 12 !== 0 || reserved !== 0) raiseGp(0);
  if (type <= INVPCID_SINGLE && pcid !== 0 && (R[CR4] & CR4_PCIDE) === 0) raiseGp(0);
  if (type === INVPCID_ADDRESS && !isCanonical(linearHi)) raiseGp(0);
  switch (type) {
    case INVPCID_ADDRESS: invpcidAddress(pcid, linearLo, linearHi); break;
    case INVPCID_SINGLE: invpcidSingle(pcid); break;
    case INVPCID_ALL: flushAll(); break;
    default: invpcidAllRetainingGlobals(); break;
  }
  updateMode();
}

export const controlMoveHandlers: Record<string, Handler> = {
  movfromcr: movFromControl, movtocr: movToControl, movfromdr: movFromDebug, movtodr: movToDebug, clts, lmsw, smsw, invlpg, invpcid,
};
