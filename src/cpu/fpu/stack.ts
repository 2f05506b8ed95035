/**
 * The x87 register stack, and what every x87 instruction does around its arithmetic: availability (#NM, pending #MF), last
 * instruction and data pointers, stack faults, and posting exceptions to the status word (SDM 1 8.1, 8.5, 8.6; SDM 3A 2.5, 13.1).
 *
 * With CR0.NE = 0 a pending error is signalled on the FERR# pin (fpuErrorPin), which a PC wires to IRQ 13 (SDM 1 D.1). The waiting
 * instruction then goes on and the interrupt follows it, instead of freezing the processor until the interrupt comes.
 */
import {
  R, FP_MANT, FP_EXP, FCW, FSW, FTOP, FP_VALID, FOP, FIP, FDP, FCS, FDS, CR0, CR0_EM, CR0_TS, CR0_NE, EAT, IPB, SEG_SEL, CS, MODE, X_NM,
  X_MF,
} from '../state';
import { INFO, MODE_SIZE_MASK, recModRm, recSegment } from '../record';
import { raise } from '../fault';
import {
  W, Z, FLAGS, CONTROL, FE_INVALID, FE_DENORMAL, FE_ZERO_DIVIDE, ROUNDED_UP, setIndefinite,
} from './float80';

// Status word bits beyond the six exception flags.
export const SW_STACK_FAULT = 0x40, SW_SUMMARY = 0x80, SW_C0 = 0x100, SW_C1 = 0x200, SW_C2 = 0x400, SW_C3 = 0x4000, SW_BUSY = 0x8000;
/** C0, C2 and C3: the relation after a comparison. */
export const SW_RELATION = SW_C0 | SW_C2 | SW_C3;
const EXCEPTIONS = 0x3f;
/** Unmasked, these leave the operands as they are. */
const BEFORE_COMPUTING = FE_INVALID | FE_DENORMAL | FE_ZERO_DIVIDE;

let errorPin: (asserted: boolean) => void = () => undefined;

/**
 * Connects the FERR# pin, used while CR0.NE = 0: `setLevel(true)` each time a waiting instruction finds an unmasked error pending,
 * `setLevel(false)` when the error is cleared. IGNNE# is the machine's affair: it may disregard the pin.
 */
export function fpuErrorPin(setLevel: (asserted: boolean) => void): void {
  errorPin = setLevel;
}

// --- Before the instruction ---

/** Entry of a waiting x87 instruction: #NM, pending #MF. */
export function enterWaiting(): void {
  if ((R[CR0] & (CR0_EM | CR0_TS)) !== 0 || (R[FSW] & SW_SUMMARY) !== 0) unavailable();
}

function unavailable(): void {
  enterControl();
  reportPendingError();
}

/** Entry of a non-waiting control instruction: #NM only. */
export function enterControl(): void {
  if ((R[CR0] & (CR0_EM | CR0_TS)) !== 0) raise(X_NM);
}

/** Raises the #MF that is pending, or signals FERR#. */
export function reportPendingError(): void {
  if ((R[FSW] & SW_SUMMARY) === 0) return;
  if ((R[CR0] & CR0_NE) !== 0) raise(X_MF);
  errorPin(true);
}

/** Records the instruction as the last non-control one; `opcode`: low three bits of its first byte (D8-DF). */
export function noteInstruction(p: number, opcode: number): void {
  const base = R[IPB], lo = (base + (INFO[p] & 4095)) | 0;
  R[FIP] = lo;
  R[FIP + 1] = (R[MODE] & MODE_SIZE_MASK) === 2 ? (R[IPB + 1] + (lo >>> 0 < base >>> 0 ? 1 : 0)) | 0 : 0;
  R[FCS] = R[SEG_SEL + CS];
  R[FOP] = (opcode << 8) | recModRm(p);
}

/** Records the instruction and its memory operand, whose offset effectiveOffset() has left in R[EAT]. */
export function noteMemoryInstruction(p: number, opcode: number): void {
  noteInstruction(p, opcode);
  R[FDP] = R[EAT];
  R[FDP + 1] = R[EAT + 1];
  R[FDS] = R[SEG_SEL + recSegment(p)];
}

/** Prepares the softfloat: no exceptions yet, control as the control word says. */
export function beginArithmetic(): void {
  W[FLAGS] = 0;
  W[CONTROL] = R[FCW];
}

// --- Registers ---

/** True when ST(i) is empty. */
export function isEmpty(i: number): boolean {
  return ((R[FP_VALID] >> ((R[FTOP] + i) & 7)) & 1) === 0;
}

/** Work operand `slot` = ST(i). */
export function loadRegister(i: number, slot: number): void {
  const n = (R[FTOP] + i) & 7;
  W[slot] = R[FP_MANT + 2 * n];
  W[slot + 1] = R[FP_MANT + 2 * n + 1];
  W[slot + 2] = R[FP_EXP + n];
}

/** ST(i) = work operand `slot`, tagged valid. */
export function storeRegister(i: number, slot: number): void {
  const n = (R[FTOP] + i) & 7;
  R[FP_MANT + 2 * n] = W[slot];
  R[FP_MANT + 2 * n + 1] = W[slot + 1];
  R[FP_EXP + n] = W[slot + 2] & 0xffff;
  R[FP_VALID] |= 1 << n;
}

/** Frees ST(i). */
export function freeRegister(i: number): void {
  R[FP_VALID] &= ~(1 << ((R[FTOP] + i) & 7));
}

export function pop(): void {
  R[FP_VALID] &= ~(1 << R[FTOP]);
  R[FTOP] = (R[FTOP] + 1) & 7;
}

/** Pushes work operand `slot`; the caller has checked that ST(7) is empty. */
export function push(slot: number): void {
  R[FTOP] = (R[FTOP] - 1) & 7;
  storeRegister(0, slot);
}

// --- Exceptions ---

/**
 * Posts W[FLAGS] to the status word, replacing C1. True when the operation takes effect (results, pops); an unmasked
 * exception detected before computing prevents that.
 */
export function postExceptions(): boolean {
  return post(W[FLAGS]);
}

/** Like postExceptions; no unmasked exception except inexact lets the result through (stores to memory). */
export function postStoreExceptions(): boolean {
  const flags = W[FLAGS];
  const blocking = flags & 0x1f & ~R[FCW];
  // What cannot be stored is not rounded either.
  if ((blocking & ~BEFORE_COMPUTING) !== 0) return post(flags & ~(ROUNDED_UP | 0x20)) && false;
  return post(flags) && blocking === 0;
}

function post(flags: number): boolean {
  const status = R[FSW] & ~SW_C1;
  if (flags === 0) {
    R[FSW] = status;
    return true;
  }
  const unmasked = flags & ~R[FCW] & EXCEPTIONS;
  if ((unmasked & BEFORE_COMPUTING) !== 0) {
    flags &= (flags & SW_STACK_FAULT) !== 0 ? ~0 : BEFORE_COMPUTING;
    R[FSW] = status | flags | SW_SUMMARY | SW_BUSY;
    return false;
  }
  R[FSW] = status | flags | (unmasked !== 0 ? SW_SUMMARY | SW_BUSY : 0);
  return true;
}

/** An operand register is empty. True when masked; Z is then the indefinite. */
export function stackUnderflow(): boolean {
  setIndefinite(Z);
  return post(FE_INVALID | SW_STACK_FAULT);
}

/** The register to push into is not empty. True when masked; Z is then the indefinite. */
export function stackOverflow(): boolean {
  setIndefinite(Z);
  return post(FE_INVALID | SW_STACK_FAULT | SW_C1);
}

/** Checks for room and pushes the indefinite on a masked overflow: true when there is room. */
export function checkRoom(): boolean {
  if (((R[FP_VALID] >> ((R[FTOP] - 1) & 7)) & 1) === 0) return true;
  if (stackOverflow()) push(Z);
  return false;
}

/** Makes ES and B agree with the exception flags and masks, after either was loaded. */
export function updateSummary(): void {
  if ((R[FSW] & ~R[FCW] & EXCEPTIONS) !== 0) R[FSW] |= SW_SUMMARY | SW_BUSY;
  else clearSummary();
}

/** No unmasked exception is pending any more. */
export function clearSummary(): void {
  if ((R[FSW] & SW_SUMMARY) !== 0 && (R[CR0] & CR0_NE) === 0) errorPin(false);
  R[FSW] &= ~(SW_SUMMARY | SW_BUSY);
}

/** Loads the control word; its reserved bits read 0, bit 6 reads 1. */
export function setControlWord(value: number): void {
  R[FCW] = (value & 0x1f3f) | 0x40;
  updateSummary();
}

/** Loads the status word, TOP included. */
export function setStatusWord(value: number): void {
  R[FTOP] = (value >> 11) & 7;
  // ES and B follow from the flags and masks, whatever the image says.
  R[FSW] = (R[FSW] & (SW_SUMMARY | SW_BUSY)) | (value & 0x477f);
  updateSummary();
}

/** The status word as programs see it. */
export function statusWord(): number {
  return (R[FSW] & ~0x3800) | (R[FTOP] << 11);
}

/** The full tag word: 0 valid, 1 zero, 2 special, 3 empty for each physical register (SDM 1 8.1.7). */
export function tagWord(): number {
  let tags = 0;
  for (let n = 7; n >= 0; n--) {
    const exp = R[FP_EXP + n] & 0x7fff, hi = R[FP_MANT + 2 * n + 1];
    let tag = 3;
    if ((R[FP_VALID] >> n) & 1) {
      if (exp === 0) tag = (hi | R[FP_MANT + 2 * n]) === 0 ? 1 : 2;
      else tag = exp === 0x7fff || hi >= 0 ? 2 : 0;
    }
    tags = (tags << 2) | tag;
  }
  return tags;
}

/** Loads a full tag word; only emptiness is kept, the rest follows from the contents. */
export function setTagWord(tags: number): void {
  let valid = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) !== 3) valid |= 1 << n;
  R[FP_VALID] = valid;
}

/** FNINIT (SDM 2A); the data registers keep their contents. */
export function initializeFpu(): void {
  clearSummary();
  R[FCW] = 0x37f;
  R[FSW] = 0;
  R[FTOP] = 0;
  R[FP_VALID] = 0;
  R[FOP] = 0;
  R[FIP] = 0;
  R[FIP + 1] = 0;
  R[FDP] = 0;
  R[FDP + 1] = 0;
  R[FCS] = 0;
  R[FDS] = 0;
}
