/**
 * Lowering: one decoded instruction (decoder.ts, D) to records. Hot integer forms become dense records (kinds.ts); everything else
 * becomes a generic record with a handler number. Addresses other than [base + displacement] are formed by a micro-record before, which
 * leaves them in the pseudo register EAT.
 */
import { C, GENERIC_WORDS, MODE_FLAT, MODE_SIZE_MASK, MODE_STACK32, MODE_STEP } from '../record';
import { EAT, FS, IPB, SEG_BASE, ZERO, CS } from '../state';
import {
  D, D_66, D_ADSIZE, D_BASE, D_DISP, D_IMM, D_IMM2, D_IMM_HIGH, D_INDEX, D_LENGTH, D_LOCK, D_MEMORY, D_MODRM, D_OPSIZE, D_REG, D_REPEAT, D_REX,
  D_RM, D_ROW, D_SCALE, D_SEGMENT,
} from './decoder';
import { FORM, formOf, rowHandler, rowMemory, rowRegister, HANDLER_ADDRESS, HANDLER_MOFFS } from './forms';
import { KIND_GENERIC, KIND_GENERIC_END, KINDS, kindId, kindIdOrNone } from './kinds';
import { CONDITION_SUFFIXES } from './semantics/conditions';

/** Result of lower(): the block goes on, or ends here. */
export const GOES_ON = 0, ENDS_BLOCK = 1;

/** Next free word of C. */
let out = 0;
/** Decoding mode of the block being built. */
let mode = 0;
/** Page offset of the instruction being lowered. */
let offset = 0;
/** Main record of the instruction before, if it is a comparison that a jump may join; 0 otherwise. */
let comparison = 0;
/** Record of a flag-setting instruction whose flags nobody has read yet and no fault can show; 0 otherwise. */
let quietable = 0;
/** Main record of the instruction lowered last (an address micro-record may stand before it). */
let mainRecord = 0;
/** Base and displacement of the memory operand, ready for a record. */
let memBase = 0, memDisp = 0;

const EA = kindId('ea'), EASEG = kindId('easeg'), EASEGD = kindId('easegd'), EA32 = kindId('ea32');
const LEA16 = kindId('lea16');
const JMP = kindId('jmp'), NEXT = kindId('next');
const MOV64RI64 = kindId('mov64ri64');
const MOV32RR = kindId('mov32rr');
const JRCXZ = kindId('jrcxz'), JECXZ = kindId('jecxz');

/** Kind of a comparison fused with each condition: FUSED[kind * 16 + condition], 0 if there is none. */
const FUSED = new Int16Array(KINDS.length * 16);
/** Same operation without flags, 0 if there is none. */
const QUIET = new Int16Array(KINDS.length);
KINDS.forEach((kind, id) => {
  CONDITION_SUFFIXES.forEach((suffix, code) => {
    FUSED[id * 16 + code] = Math.max(0, kindIdOrNone(`${kind.name}_j${suffix}`));
  });
  QUIET[id] = Math.max(0, kindIdOrNone(`${kind.name}q`));
});

/** Starts a block whose records begin at `at`. */
export function beginBlock(at: number, blockMode: number): void {
  out = at;
  mode = blockMode;
  comparison = 0;
  quietable = 0;
}

/** Main record of the instruction lowered last, 0 if it was folded into the record before. */
export function lastMainRecord(): number {
  return mainRecord;
}

/** End of the records written so far. */
export function recordsEnd(): number {
  return out;
}

function emitWord(id: number, d: number, s: number, b: number): void {
  C[out++] = id | (d << 10) | (s << 17) | (b << 24);
}

/** R8 index of byte register n. */
function byteRegister(n: number): number {
  return n >= 4 && n < 8 && D[D_REX] === 0 ? 8 * (n - 4) + 1 : 8 * n;
}

function registerIndex(n: number, isByte: boolean): number {
  return isByte ? byteRegister(n) : 2 * n;
}

/** Emits what is needed to name the memory operand as [memBase + memDisp]; `bytes` and `write` matter for segment checks only. */
function lowerAddress(bytes: number, write: boolean): void {
  const base = D[D_BASE], index = D[D_INDEX], disp = D[D_DISP], segment = D[D_SEGMENT];
  const size = mode & MODE_SIZE_MASK;
  const adSize = D[D_ADSIZE];
  const baseIndex = base === 16 ? ZERO : base === 17 ? IPB : 2 * base;
  const indexIndex = index === 16 ? ZERO : 2 * index;
  const ripDisp = base === 17 ? offset + D[D_LENGTH] : 0;
  if (size === 2) {
    const total = disp + ripDisp;
    if (adSize === 2 && total === (total | 0)) {
      if (segment < FS) {
        if (index === 16) {
          memBase = baseIndex;
          memDisp = total;
          return;
        }
        emitWord(EA, indexIndex, D[D_SCALE], baseIndex);
        C[out++] = total;
      } else {
        if (index === 16) emitWord(EASEGD, 0, 0, baseIndex);
        else emitWord(EASEG, indexIndex, D[D_SCALE], baseIndex);
        C[out++] = total;
        C[out++] = SEG_BASE + 2 * segment;
      }
      memBase = EAT;
      memDisp = 0;
      return;
    }
    if (adSize === 1 && segment < FS && base !== 17) {
      emitWord(EA32, indexIndex, D[D_SCALE], baseIndex);
      C[out++] = disp;
      memBase = EAT;
      memDisp = 0;
      return;
    }
  } else if (size === 1 && (mode & MODE_FLAT) !== 0 && adSize === 1 && segment < FS && !(segment === CS && write)) {
    if (index === 16) {
      memBase = baseIndex;
      memDisp = disp;
      return;
    }
    emitWord(EA, indexIndex, D[D_SCALE], baseIndex);
    C[out++] = disp;
    memBase = EAT;
    memDisp = 0;
    return;
  }
  emitGenericWords(KIND_GENERIC, HANDLER_ADDRESS);
  C[out - 3] = bytes;
  C[out - 2] = write ? 1 : 0;
  memBase = EAT;
  memDisp = 0;
}

/** Address of a moffs operand. */
function lowerMoffs(bytes: number, write: boolean): void {
  emitGenericWords(KIND_GENERIC, HANDLER_MOFFS);
  C[out - 2] = bytes | (write ? 256 : 0);
  memBase = EAT;
  memDisp = 0;
}

function emitGenericWords(id: number, handler: number): void {
  C[out] = id | (D[D_LENGTH] << 10) | (D[D_OPSIZE] << 14) | (D[D_ADSIZE] << 16) | (D[D_REPEAT] << 18) | (D[D_LOCK] << 20) | (D[D_MEMORY] << 21)
    | (D[D_SEGMENT] << 22) | (D[D_REX] !== 0 ? 1 << 25 : 0) | (D[D_66] << 26);
  C[out + 1] = D[D_REG] | (D[D_RM] << 4) | (D[D_BASE] << 8) | (D[D_INDEX] << 13) | (D[D_SCALE] << 18) | (D[D_MODRM] << 24);
  C[out + 2] = D[D_DISP];
  C[out + 3] = D[D_IMM];
  C[out + 4] = D[D_IMM2] !== 0 ? D[D_IMM2] : D[D_IMM_HIGH];
  C[out + 5] = handler;
  out += GENERIC_WORDS;
}

/** A generic record for handler `handler` that stands for the whole instruction. */
export function emitGeneric(handler: number, ends: boolean): void {
  mainRecord = out;
  comparison = 0;
  quietable = 0;
  emitGenericWords(ends ? KIND_GENERIC_END : KIND_GENERIC, handler);
}

/** Ends the block before the instruction at page offset `next`. */
export function emitNext(next: number): void {
  emitWord(NEXT, 0, 0, 0);
  emitJumpWords(next, next);
}

function emitJumpWords(taken: number, next: number): void {
  C[out++] = 0;
  C[out++] = 0;
  C[out++] = taken;
  C[out++] = next;
}

/** Records where the main record of a comparison is, and silences flags that it overwrites unread. */
function noteFlagWriter(id: number, main: number, memory: boolean): void {
  if (memory) quietable = 0;
  else if (quietable !== 0) C[quietable] = (C[quietable] & ~1023) | QUIET[C[quietable] & 1023];
  quietable = !memory && QUIET[id] !== 0 && (mode & MODE_STEP) === 0 ? main : 0;
}

/** Bytes of an operand of size log 0-3. */
function bytesOf(sizeLog: number): number {
  return 1 << sizeLog;
}

const FULL_FLAG_WRITERS = new Uint8Array(KINDS.length);
const COMPARISONS = new Uint8Array(KINDS.length);
KINDS.forEach((kind, id) => {
  if (/^(add|sub|and|or|xor|cmp|test|neg|imul)(8|16|32|64)(rr|ri|rm|mr|mi|r|m|rri|rmi)$/.test(kind.name)) FULL_FLAG_WRITERS[id] = 1;
  if (/^(shl|shr|sar)(8|16|32|64)(ri|mi)$/.test(kind.name)) FULL_FLAG_WRITERS[id] = 1;
  if (/^(cmp|test)(8|16|32|64)(rr|ri|rm|mr|mi)$/.test(kind.name)) COMPARISONS[id] = 1;
});

/** True for kinds that neither touch memory, nor faults, nor flags: they keep pending flags pending. */
const FLAG_NEUTRAL = new Uint8Array(KINDS.length);
KINDS.forEach((kind, id) => {
  if (/^(mov(8|16|32|64)(rr|ri)|mov64ri64|movzx.*rr|movsx.*rr|lea\d+|xchg\d+rr|not\d+r|bswap\d+|ea|easeg|easegd|ea32)$/.test(kind.name)) FLAG_NEUTRAL[id] = 1;
});

/** After the main record at `main` was emitted. */
function finish(main: number, memory: boolean): number {
  mainRecord = main;
  const id = C[main] & 1023;
  if (FULL_FLAG_WRITERS[id] !== 0) noteFlagWriter(id, main, memory);
  else if (FLAG_NEUTRAL[id] === 0) {
    // INC, DEC and rotates keep some flags: what was pending stays as it is, but their own flags may turn out dead.
    quietable = !memory && QUIET[id] !== 0 && (mode & MODE_STEP) === 0 ? main : 0;
  }
  comparison = COMPARISONS[id] !== 0 && (mode & MODE_STEP) === 0 ? main : 0;
  return GOES_ON;
}

/**
 * Lowers the instruction in D at page offset `at`. Returns ENDS_BLOCK when nothing may follow in this block.
 */
export function lower(at: number): number {
  offset = at;
  const row = D[D_ROW];
  const form = formOf[row];
  const isByte = form.isByte;
  const sizeLog = isByte ? 0 : D[D_OPSIZE] + 1;
  const at4 = (row << 2) | sizeLog;
  const memory = D[D_MEMORY] !== 0;
  const bytes = bytesOf(sizeLog);
  switch (form.shape) {
    case FORM.EG: {
      if (!memory) emitWord(rowRegister[at4], registerIndex(D[D_RM], isByte), registerIndex(D[D_REG], isByte), 0);
      else {
        lowerAddress(bytes, form.writesMemory);
        emitWord(rowMemory[at4], 0, registerIndex(D[D_REG], isByte), memBase);
        C[out++] = memDisp;
        return finish(out - 2, true);
      }
      return finish(out - 1, false);
    }
    case FORM.GE: {
      if (!memory) {
        emitWord(rowRegister[at4], registerIndex(D[D_REG], isByte), registerIndex(D[D_RM], form.sourceBytes === 0 ? isByte : form.sourceBytes === 1), 0);
        return finish(out - 1, false);
      }
      lowerAddress(form.sourceBytes === 0 ? bytes : form.sourceBytes, false);
      emitWord(rowMemory[at4], registerIndex(D[D_REG], isByte), 0, memBase);
      C[out++] = memDisp;
      return finish(out - 2, true);
    }
    case FORM.EI: {
      if (!memory) {
        emitWord(rowRegister[at4], registerIndex(D[D_RM], isByte), 0, 0);
        C[out++] = immediate(sizeLog);
        return finish(out - 2, false);
      }
      lowerAddress(bytes, form.writesMemory);
      emitWord(rowMemory[at4], 0, 0, memBase);
      C[out++] = memDisp;
      C[out++] = immediate(sizeLog);
      return finish(out - 3, true);
    }
    case FORM.AI: {
      emitWord(rowRegister[at4], 0, 0, 0);
      C[out++] = immediate(sizeLog);
      return finish(out - 2, false);
    }
    case FORM.E: {
      if (!memory) {
        const index = registerIndex(D[D_RM], isByte);
        emitWord(rowRegister[at4], index, index, 0);
        return finish(out - 1, false);
      }
      lowerAddress(bytes, form.writesMemory);
      emitWord(rowMemory[at4], 0, 0, memBase);
      C[out++] = memDisp;
      return finish(out - 2, true);
    }
    case FORM.SHIFT_IMMEDIATE:
    case FORM.SHIFT_ONE: {
      const count = (form.shape === FORM.SHIFT_ONE ? 1 : D[D_IMM]) & (sizeLog === 3 ? 63 : 31);
      if (!memory) {
        const index = registerIndex(D[D_RM], isByte);
        if (count !== 0) {
          emitWord(rowRegister[at4], index, 0, 0);
          C[out++] = count;
          return finish(out - 2, false);
        }
        // No shift; a 32-bit destination is still zero-extended.
        if (sizeLog === 2) emitWord(MOV32RR, index, index, 0);
        else emitWord(MOV64RR, 0, 0, 0);
        return finish(out - 1, false);
      }
      lowerAddress(bytes, true);
      emitWord(count !== 0 ? rowMemory[at4] : TOUCH[sizeLog], 0, 0, memBase);
      C[out++] = memDisp;
      if (count === 0) return finish(out - 2, true);
      C[out++] = count;
      return finish(out - 3, true);
    }
    case FORM.GEI: {
      if (!memory) {
        emitWord(rowRegister[at4], 2 * D[D_REG], 2 * D[D_RM], 0);
        C[out++] = immediate(sizeLog);
        return finish(out - 2, false);
      }
      lowerAddress(bytes, false);
      emitWord(rowMemory[at4], 2 * D[D_REG], 0, memBase);
      C[out++] = memDisp;
      C[out++] = immediate(sizeLog);
      return finish(out - 3, true);
    }
    case FORM.LEA: return lowerLea(at4, sizeLog);
    case FORM.ZI: {
      const index = registerIndex(D[D_RM], isByte);
      if (sizeLog === 3 && D[D_IMM] >> 31 !== D[D_IMM_HIGH]) {
        emitWord(MOV64RI64, index, 0, 0);
        C[out++] = D[D_IMM];
        C[out++] = D[D_IMM_HIGH];
        return finish(out - 3, false);
      }
      emitWord(rowRegister[at4], index, 0, 0);
      C[out++] = immediate(sizeLog);
      return finish(out - 2, false);
    }
    case FORM.LOAD_MOFFS:
    case FORM.STORE_MOFFS: {
      lowerMoffs(bytes, form.shape === FORM.STORE_MOFFS);
      emitWord(rowMemory[at4], 0, 0, memBase);
      C[out++] = memDisp;
      return finish(out - 2, true);
    }
    case FORM.Z: {
      const index = 2 * D[D_RM];
      emitWord(rowRegister[at4], index, index, 0);
      return finish(out - 1, false);
    }
    case FORM.XCHG_Z: {
      emitWord(rowRegister[at4], 2 * D[D_RM], 0, 0);
      return finish(out - 1, false);
    }
    case FORM.NOP: {
      if ((D[D_REX] & 1) !== 0 && D[D_MODRM] === 0 && D[D_MEMORY] === 0 && form.isXchgWithRex) {
        emitWord(XCHG[sizeLog], 2 * D[D_RM], 0, 0);
        return finish(out - 1, false);
      }
      emitWord(MOV64RR, 0, 0, 0);
      return finish(out - 1, false);
    }
    case FORM.BSWAP: {
      if (D[D_OPSIZE] === 0) {
        // Undefined; processors clear the 16 bits.
        emitWord(MOV16RI, 2 * D[D_RM], 0, 0);
        C[out++] = 0;
        return finish(out - 2, false);
      }
      emitWord(D[D_OPSIZE] === 2 ? BSWAP64 : BSWAP32, 2 * D[D_RM], 0, 0);
      return finish(out - 1, false);
    }
    case FORM.STACK: return lowerStack(row);
    case FORM.STRING: return lowerString(row, at4);
    default: return lowerTransfer(row, form.shape);
  }
}

const MOV64RR = kindId('mov64rr');
const TOUCH = [kindId('touch8'), kindId('touch16'), kindId('touch32'), kindId('touch64')];
const XCHG = [0, kindId('xchg16rr'), kindId('xchg32rr'), kindId('xchg64rr')];
const MOV16RI = kindId('mov16ri');
const BSWAP32 = kindId('bswap32'), BSWAP64 = kindId('bswap64');

/** First immediate as a record wants it: sign-extended from the operand size. */
function immediate(sizeLog: number): number {
  const value = D[D_IMM];
  return sizeLog === 0 ? (value << 24) >> 24 : sizeLog === 1 ? (value << 16) >> 16 : value;
}

/** LEA has no access: the address is cut to address size, then to operand size. */
function lowerLea(at4: number, sizeLog: number): number {
  const base = D[D_BASE], adSize = D[D_ADSIZE];
  const total = base === 17 ? D[D_DISP] + offset + D[D_LENGTH] : D[D_DISP];
  const code64 = (mode & MODE_SIZE_MASK) === 2;
  if ((adSize === 2 || (adSize === 1 && (sizeLog < 3 || code64 === false))) && total === (total | 0) && (base !== 17 || adSize === 2)) {
    const baseIndex = base === 16 ? ZERO : base === 17 ? IPB : 2 * base;
    if (D[D_INDEX] === 16) {
      emitWord(rowRegister[at4], 2 * D[D_REG], 0, baseIndex);
      C[out++] = total;
      return finish(out - 2, false);
    }
    emitWord(EA, 2 * D[D_INDEX], D[D_SCALE], baseIndex);
    C[out++] = total;
    emitWord(rowRegister[at4], 2 * D[D_REG], 0, EAT);
    C[out++] = 0;
    return finish(out - 2, false);
  }
  emitGenericWords(KIND_GENERIC, HANDLER_ADDRESS);
  C[out - 3] = 0;
  C[out - 2] = 0;
  emitWord(sizeLog === 1 ? LEA16 : rowRegister[at4], 2 * D[D_REG], 0, EAT);
  C[out++] = 0;
  return finish(out - 2, false);
}

/** True when the stack can be reached without segment work at this operand size (32 or 64 bits). */
function flatStack(): boolean {
  const size = mode & MODE_SIZE_MASK;
  if (size === 2) return D[D_OPSIZE] === 2;
  return size === 1 && D[D_OPSIZE] === 1 && (mode & (MODE_FLAT | MODE_STACK32)) === (MODE_FLAT | MODE_STACK32);
}

/** PUSH, POP of registers, immediates and memory; LEAVE. */
function lowerStack(row: number): number {
  const form = formOf[row];
  if (!flatStack()) {
    emitGeneric(rowHandler[row], false);
    return GOES_ON;
  }
  const at4 = (row << 2) | (D[D_OPSIZE] + 1);
  if (D[D_MEMORY] !== 0) {
    if (rowMemory[at4] < 0) {
      emitGeneric(rowHandler[row], false);
      return GOES_ON;
    }
    lowerAddress(bytesOf(D[D_OPSIZE] + 1), false);
    emitWord(rowMemory[at4], 0, 0, memBase);
    C[out++] = memDisp;
    return finish(out - 2, true);
  }
  const index = 2 * D[D_RM];
  emitWord(rowRegister[at4], index, index, 0);
  if (form.hasImmediate) {
    C[out++] = D[D_IMM];
    return finish(out - 2, true);
  }
  return finish(out - 1, true);
}

/** One MOVS, STOS or LODS; repeated ones are handlers that may pause, and end the block. */
function lowerString(row: number, at4: number): number {
  const size = mode & MODE_SIZE_MASK;
  if (D[D_REPEAT] !== 0 || size === 0 || D[D_ADSIZE] !== size || (mode & MODE_FLAT) === 0 || D[D_SEGMENT] >= FS) {
    emitGeneric(rowHandler[row], true);
    return ENDS_BLOCK;
  }
  emitWord(rowRegister[at4], 0, 0, 0);
  return finish(out - 1, true);
}

/** Near control transfers. 16-bit operand size and unflat stacks take the handlers of near.ts. */
function lowerTransfer(row: number, shape: number): number {
  const size = mode & MODE_SIZE_MASK;
  const wide = D[D_OPSIZE] === size && size !== 0;
  const next = offset + D[D_LENGTH];
  const fused = comparison;
  const target = next + D[D_IMM];
  if (shape === FORM.GENERIC || !wide || target !== (target | 0)) {
    const ends = formOf[row].ends;
    emitGeneric(rowHandler[row], ends);
    return ends ? ENDS_BLOCK : GOES_ON;
  }
  const at4 = (row << 2) | (D[D_OPSIZE] + 1);
  mainRecord = out;
  switch (shape) {
    case FORM.JCC: {
      const id = fused === 0 ? 0 : FUSED[(C[fused] & 1023) * 16 + formOf[row].condition];
      if (id !== 0) {
        C[fused] = (C[fused] & ~1023) | id;
        mainRecord = 0;
      } else emitWord(rowRegister[at4], 0, 0, 0);
      break;
    }
    case FORM.JRCXZ:
      if (D[D_ADSIZE] === 0) {
        emitGeneric(rowHandler[row], true);
        return ENDS_BLOCK;
      }
      emitWord(D[D_ADSIZE] === 2 ? JRCXZ : JECXZ, 0, 0, 0);
      break;
    case FORM.JMP: emitWord(JMP, 0, 0, 0); break;
    default: {
      if (shape !== FORM.JMP_E && !flatStack()) {
        emitGeneric(rowHandler[row], true);
        return ENDS_BLOCK;
      }
      return lowerIndirect(shape, at4, next, target);
    }
  }
  emitJumpWords(target | 0, next);
  return ENDS_BLOCK;
}

function lowerIndirect(shape: number, at4: number, next: number, target: number): number {
  switch (shape) {
    case FORM.CALL:
      emitWord(rowRegister[at4], 0, 0, 0);
      emitJumpWords(target | 0, next);
      return ENDS_BLOCK;
    case FORM.RET:
      emitWord(rowRegister[at4], 0, 0, 0);
      return ENDS_BLOCK;
    case FORM.RET_I:
      emitWord(rowRegister[at4], 0, 0, 0);
      C[out++] = D[D_IMM];
      return ENDS_BLOCK;
    default: {
      const call = shape === FORM.CALL_E;
      if (D[D_MEMORY] === 0) emitWord(rowRegister[at4], 0, 2 * D[D_RM], 0);
      else {
        lowerAddress(bytesOf(D[D_OPSIZE] + 1), false);
        mainRecord = out;
        emitWord(rowMemory[at4], 0, 0, memBase);
      }
      C[out] = memDisp;
      C[out + 1] = 0;
      C[out + 2] = 0;
      C[out + 3] = next;
      out += call ? 4 : 1;
      return ENDS_BLOCK;
    }
  }
}

