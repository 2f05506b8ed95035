/**
 * Stack access: push and pop of the running program, and frames on stacks that are not (yet) current, as far transfers and
 * event delivery build and read them (SDM 1 6.2, 3A 6.12).
 *
 * RSP moves only when the access has succeeded, so an instruction that faults can be restarted.
 */
import {
  R, R16, RU, RSP, SS, LA, MODE, MEMHI, CODE64, CPL, SEG_AR, SEG_BASE, SEG_LIMIT, AR_DB, AR_UNUSABLE, X_SS,
} from './state';
import { MODE_SIZE_MASK, MODE_STACK32 } from './record';
import { raiseError } from './fault';
import { checkCanonical, segmentAddress } from './operands';
import {
  load16, load32, load64, loadSys16, loadSys32, loadSys64, store16, store32, store64, storeSys16, storeSys32, storeSys64,
} from './mmu/access';

/** Bytes of an operand size 0, 1, 2. */
export function operandBytes(operandSize: number): number {
  return 2 << operandSize;
}

/** Checked linear address (LA) of `bytes` bytes at stack offset rSP + displacement. */
function stackAddress(displacement: number, bytes: number, write: boolean): void {
  const mode = R[MODE];
  if ((mode & MODE_SIZE_MASK) === 2) {
    const lo = (R[RSP] + displacement) | 0;
    const carry = displacement < 0 ? (lo >>> 0 > RU[RSP] ? -1 : 0) : lo >>> 0 < RU[RSP] ? 1 : 0;
    const hi = (R[RSP + 1] + carry) | 0;
    checkCanonical(SS, lo, hi, bytes);
    R[LA] = lo;
    R[LA + 1] = hi;
  } else {
    const offset = mode & MODE_STACK32 ? (R[RSP] + displacement) | 0 : (R[RSP] + displacement) & 0xffff;
    segmentAddress(SS, offset, 0, bytes, write);
  }
}

/** Adds to RSP, ESP or SP, by mode. */
export function moveStackPointer(bytes: number): void {
  const mode = R[MODE];
  if ((mode & MODE_SIZE_MASK) === 2) {
    const old = RU[RSP];
    R[RSP] = old + bytes;
    if (bytes < 0) {
      if (RU[RSP] > old) R[RSP + 1]--;
    } else if (RU[RSP] < old) R[RSP + 1]++;
  } else if (mode & MODE_STACK32) {
    R[RSP] = R[RSP] + bytes;
    R[RSP + 1] = 0;
  } else R16[2 * RSP] = R[RSP] + bytes;
}

/** Pushes a value of operand size 0 (16), 1 (32) or 2 (64 bits). */
export function pushV(operandSize: number, lo: number, hi: number): void {
  const bytes = 2 << operandSize;
  stackAddress(-bytes, bytes, true);
  if (operandSize === 2) store64(R[LA], R[LA + 1], lo, hi);
  else if (operandSize === 1) store32(R[LA], R[LA + 1], lo);
  else store16(R[LA], R[LA + 1], lo);
  moveStackPointer(-bytes);
}

/** Pushes a selector: with a 32-bit operand the stack pointer moves by 4 but only 16 bits are written (SDM 2B PUSH, as Core processors do). */
export function pushSelector(operandSize: number, selector: number): void {
  if (operandSize !== 1) return pushV(operandSize, selector, 0);
  stackAddress(-4, 2, true);
  store16(R[LA], R[LA + 1], selector);
  moveStackPointer(-4);
}

/** Reads the value of the given operand size `displacement` bytes above the top of the stack: low word (16-bit zero-extended), high word in R[MEMHI]. RSP stays. */
export function peekV(operandSize: number, displacement: number): number {
  stackAddress(displacement, 2 << operandSize, false);
  if (operandSize === 2) return load64(R[LA], R[LA + 1]);
  R[MEMHI] = 0;
  return operandSize === 1 ? load32(R[LA], R[LA + 1]) : load16(R[LA], R[LA + 1]);
}

/** Pops a value of the given operand size: returns the low word (16-bit zero-extended), high word in R[MEMHI] (0 below 64 bits). */
export function popV(operandSize: number): number {
  const value = peekV(operandSize, 0);
  moveStackPointer(2 << operandSize);
  return value;
}

// --- Frames ---

/** The stack on which a frame is being built: base (64 bits), limit, access rights, pointer (64 bits). */
const FRAME = new Int32Array(8);
const F_BASE = 0, F_LIMIT = 2, F_AR = 3, F_SP = 4, F_USER = 6, F_KIND = 7;
/** How the frame's pointer works: 16, 32 or 64 bits wide. */
const KIND_16 = 0, KIND_32 = 1, KIND_64 = 2;
/** Selector to put into a #SS raised by frame accesses (the new stack's, 0 for the current one). */
const FRAME_ERROR = new Int32Array(1);

/** Starts a frame on the current stack. */
export function frameOnCurrentStack(): void {
  FRAME[F_BASE] = R[SEG_BASE + 2 * SS];
  FRAME[F_LIMIT] = R[SEG_LIMIT + SS];
  FRAME[F_AR] = R[SEG_AR + SS];
  FRAME[F_SP] = R[RSP];
  FRAME[F_SP + 1] = R[RSP + 1];
  FRAME[F_USER] = R[CPL] === 3 ? 1 : 0;
  FRAME[F_KIND] = R[CODE64] !== 0 ? KIND_64 : R[SEG_AR + SS] & AR_DB ? KIND_32 : KIND_16;
  FRAME_ERROR[0] = 0;
}

/** Starts a frame on a legacy stack described by its descriptor; a fault on it is #SS(errorCode). */
export function frameOnSegment(base: number, limit: number, ar: number, sp: number, user: boolean, errorCode: number): void {
  FRAME[F_BASE] = base;
  FRAME[F_LIMIT] = limit;
  FRAME[F_AR] = ar;
  FRAME[F_SP] = sp;
  FRAME[F_SP + 1] = 0;
  FRAME[F_USER] = user ? 1 : 0;
  FRAME[F_KIND] = ar & AR_DB ? KIND_32 : KIND_16;
  FRAME_ERROR[0] = errorCode;
}

/** Starts a frame on a flat 64-bit stack. */
export function frameOnLinear(lo: number, hi: number, user: boolean): void {
  FRAME[F_SP] = lo;
  FRAME[F_SP + 1] = hi;
  FRAME[F_USER] = user ? 1 : 0;
  FRAME[F_KIND] = KIND_64;
  FRAME_ERROR[0] = 0;
}

/** Makes the frame's stack pointer the program's: RSP, ESP or SP by the width of the stack. */
export function commitFrame(): void {
  if (FRAME[F_KIND] === KIND_16) R16[2 * RSP] = FRAME[F_SP];
  else {
    R[RSP] = FRAME[F_SP];
    R[RSP + 1] = FRAME[F_KIND] === KIND_64 ? FRAME[F_SP + 1] : 0;
  }
}

/** Checks `bytes` bytes at the frame's pointer; linear address in LA. */
function frameAddress(bytes: number, write: boolean): void {
  if (FRAME[F_KIND] === KIND_64) {
    checkCanonical(SS, FRAME[F_SP], FRAME[F_SP + 1], bytes);
    R[LA] = FRAME[F_SP];
    R[LA + 1] = FRAME[F_SP + 1];
    return;
  }
  const offset = FRAME[F_KIND] === KIND_32 ? FRAME[F_SP] >>> 0 : FRAME[F_SP] & 0xffff;
  const ar = FRAME[F_AR], limit = FRAME[F_LIMIT] >>> 0, last = offset + bytes - 1;
  let bad = (ar & AR_UNUSABLE) !== 0 || (write && (ar & 2) === 0);
  if ((ar & 0xc) === 4) bad ||= offset <= limit || last > (ar & AR_DB ? 0xffffffff : 0xffff);
  else bad ||= last > limit;
  if (bad) raiseError(X_SS, FRAME_ERROR[0]);
  R[LA] = (FRAME[F_BASE] + offset) | 0;
  R[LA + 1] = 0;
}

function moveFrame(bytes: number): void {
  const old = FRAME[F_SP] >>> 0;
  FRAME[F_SP] = old + bytes;
  if (FRAME[F_KIND] === KIND_64) {
    const now = FRAME[F_SP] >>> 0;
    if (bytes < 0) {
      if (now > old) FRAME[F_SP + 1]--;
    } else if (now < old) FRAME[F_SP + 1]++;
  }
}

/** Aligns a 64-bit frame to 16 bytes (event delivery in IA-32e mode). */
export function alignFrame16(): void {
  FRAME[F_SP] &= ~15;
}

/** Pushes onto the frame. */
export function framePush(operandSize: number, lo: number, hi: number): void {
  moveFrame(-(2 << operandSize));
  frameAddress(2 << operandSize, true);
  const l = R[LA], h = R[LA + 1];
  if (FRAME[F_USER]) {
    if (operandSize === 2) store64(l, h, lo, hi);
    else if (operandSize === 1) store32(l, h, lo);
    else store16(l, h, lo);
  } else if (operandSize === 2) storeSys64(l, h, lo, hi);
  else if (operandSize === 1) storeSys32(l, h, lo);
  else storeSys16(l, h, lo);
}

/** Pops from the frame: low word (16-bit zero-extended), high word in R[MEMHI] (0 below 64 bits). */
export function framePop(operandSize: number): number {
  frameAddress(2 << operandSize, false);
  const l = R[LA], h = R[LA + 1];
  let value: number;
  if (FRAME[F_USER]) value = operandSize === 2 ? load64(l, h) : operandSize === 1 ? load32(l, h) : load16(l, h);
  else value = operandSize === 2 ? loadSys64(l, h) : operandSize === 1 ? loadSys32(l, h) : loadSys16(l, h);
  if (operandSize !== 2) R[MEMHI] = 0;
  moveFrame(2 << operandSize);
  return value;
}

/** Drops bytes from the frame without reading them (RET n). */
export function frameSkip(bytes: number): void {
  moveFrame(bytes);
}
