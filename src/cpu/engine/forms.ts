/**
 * How each opcode row is lowered: its shape, and the record kinds for its register and memory forms by operand size. Rows without
 * a shape of their own run through a handler function.
 */
import { ALL_ROWS } from '../opcodes/table';
import type { OpcodeRow } from '../opcodes/table';
import { handlerNumber } from './handlers';
import { kindIdOrNone } from './kinds';
import { CONDITION_SUFFIXES } from './semantics/conditions';

/** Shapes of lowering (lower.ts). */
export const FORM = {
  GENERIC: 0, EG: 1, GE: 2, EI: 3, AI: 4, E: 5, Z: 6, SHIFT_IMMEDIATE: 7, SHIFT_ONE: 8, GEI: 9, LEA: 10, ZI: 11, LOAD_MOFFS: 12, STORE_MOFFS: 13,
  XCHG_Z: 14, NOP: 15, BSWAP: 16, STACK: 17, JCC: 18, JRCXZ: 19, JMP: 20, JMP_E: 21, CALL: 22, CALL_E: 23, RET: 24, RET_I: 25, STRING: 26,
} as const;

export interface Form {
  readonly shape: number;
  /** Operand size is 8 bits. */
  readonly isByte: boolean;
  /** Bytes of a memory or register source that differs from the operand size (MOVZX, MOVSX), else 0. */
  readonly sourceBytes: number;
  readonly writesMemory: boolean;
  readonly hasImmediate: boolean;
  /** Condition code of Jcc. */
  readonly condition: number;
  readonly ends: boolean;
  /** 90h: XCHG with rAX when REX.B names another register. */
  readonly isXchgWithRex: boolean;
}

const BITS = [8, 16, 32, 64];

export const formOf: Form[] = [];
/** Record kind of the register form by row * 4 + size log2 of bytes; -1 if there is none. */
export const rowRegister = new Int16Array(ALL_ROWS.length * 4).fill(-1);
/** Record kind of the memory form, likewise. */
export const rowMemory = new Int16Array(ALL_ROWS.length * 4).fill(-1);
/** Handler number of the row's handler function, -1 if it has none. */
export const rowHandler = new Int16Array(ALL_ROWS.length);

/** Handlers of the engine itself. */
export const HANDLER_ADDRESS = handlerNumber('engine-address');
export const HANDLER_MOFFS = handlerNumber('engine-moffs');

const ARITHMETIC = new Set(['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'test']);
const SHIFTS = new Set(['shl', 'shr', 'sar', 'rol', 'ror']);
const UNARY = new Set(['inc', 'dec', 'neg', 'not']);

/** Shape of a row and the names of its kinds: register and memory name by operand size in bits. */
interface Lowering {
  shape: number;
  register?: (bits: number) => string;
  memory?: (bits: number) => string;
}

function lowering(row: OpcodeRow): Lowering {
  const { mnemonic } = row;
  const operands = row.operands.join();
  const first = row.operands[0] ?? '';
  const named = (suffix: string) => (bits: number): string => `${mnemonic}${bits}${suffix}`;
  const immediate = /^(sI|I)/.test(row.operands[1] ?? '');
  if (ARITHMETIC.has(mnemonic) || mnemonic === 'mov' || mnemonic === 'xchg') {
    if (operands === 'Zv,rAX') return { shape: FORM.XCHG_Z, register: named('rr') };
    if (/^E[bv],G[bv]$/.test(operands)) return { shape: FORM.EG, register: named('rr'), memory: named('mr') };
    if (/^G[bv],E[bv]$/.test(operands)) return { shape: FORM.GE, register: named('rr'), memory: named('rm') };
    if (first[0] === 'E' && immediate) return { shape: FORM.EI, register: named('ri'), memory: named('mi') };
    if ((first === 'AL' || first === 'rAX') && immediate) return { shape: FORM.AI, register: named('ri') };
    if (first[0] === 'Z' && immediate) return { shape: FORM.ZI, register: named('ri') };
    if (/^(AL|rAX),O/.test(operands)) return { shape: FORM.LOAD_MOFFS, memory: named('rm') };
    if (/^O[bv],/.test(operands)) return { shape: FORM.STORE_MOFFS, memory: named('mr') };
  }
  if (UNARY.has(mnemonic)) return first[0] === 'Z' ? { shape: FORM.Z, register: named('r') } : { shape: FORM.E, register: named('r'), memory: named('m') };
  if (SHIFTS.has(mnemonic)) {
    const count = row.operands[1];
    if (count === 'CL') return { shape: FORM.E, register: named('rc'), memory: named('mc') };
    return { shape: count === '1' ? FORM.SHIFT_ONE : FORM.SHIFT_IMMEDIATE, register: named('ri'), memory: named('mi') };
  }
  if (mnemonic === 'imul' && row.operands.length === 2) return { shape: FORM.GE, register: named('rr'), memory: named('rm') };
  if (mnemonic === 'imul' && row.operands.length === 3) return { shape: FORM.GEI, register: named('rri'), memory: named('rmi') };
  if (mnemonic === 'movzx' || mnemonic === 'movsx' || mnemonic === 'movsxd') return extension(row);
  if (mnemonic === 'lea') return { shape: FORM.LEA, register: named('') };
  if (mnemonic === 'bswap') return { shape: FORM.BSWAP };
  if (mnemonic === 'nop' || row.handler === 'nop') return { shape: FORM.NOP };
  if (mnemonic.startsWith('set') && first === 'Eb') return { shape: FORM.E, register: () => `${mnemonic}r`, memory: () => `${mnemonic}m` };
  if (mnemonic.startsWith('cmov')) return { shape: FORM.GE, register: named('rr'), memory: named('rm') };
  if (mnemonic === 'push' && /^(Zv|Iz|sIb|Ev)$/.test(first)) {
    return { shape: FORM.STACK, register: named(immediateOf(first) ? 'i' : 'r'), memory: named('m') };
  }
  if (mnemonic === 'pop' && /^(Zv|Ev)$/.test(first)) return { shape: FORM.STACK, register: named('r') };
  if (mnemonic === 'leave') return { shape: FORM.STACK, register: named('') };
  if (mnemonic === 'jrcxz') return { shape: FORM.JRCXZ };
  if (mnemonic === 'jmp' && first[0] === 'J') return { shape: FORM.JMP };
  if (mnemonic === 'jmp' && first === 'Ev') return { shape: FORM.JMP_E, register: named('r'), memory: named('m') };
  if (mnemonic === 'call' && first === 'Jz') return { shape: FORM.CALL, register: named('') };
  if (mnemonic === 'call' && first === 'Ev') return { shape: FORM.CALL_E, register: named('r'), memory: named('m') };
  if (mnemonic === 'ret') return first === 'Iw' ? { shape: FORM.RET_I, register: named('i') } : { shape: FORM.RET, register: named('') };
  if (/^(movs|stos|lods)$/.test(mnemonic) && row.map === 0) return { shape: FORM.STRING, register: (bits) => `${mnemonic}${bits}` };
  if (conditionOf(row) >= 0) return { shape: FORM.JCC, register: () => mnemonic };
  return { shape: FORM.GENERIC };
}

function immediateOf(operand: string): boolean {
  return /^s?I/.test(operand);
}

/** MOVZX, MOVSX, MOVSXD; an extension to the same or a smaller size is a plain move. */
function extension(row: OpcodeRow): Lowering {
  const from = row.operands[1] === 'Eb' ? 8 : row.operands[1] === 'Ew' ? 16 : 32;
  const base = row.mnemonic === 'movzx' ? 'movzx' : 'movsx';
  const name = (form: string) => (bits: number): string => (from < bits ? `${base}${from}to${bits}${form}` : `mov${bits}${form}`);
  return { shape: FORM.GE, register: name('rr'), memory: name('rm') };
}

function conditionOf(row: OpcodeRow): number {
  return row.mnemonic[0] === 'j' && row.operands[0]?.[0] === 'J' ? CONDITION_SUFFIXES.indexOf(row.mnemonic.slice(1) as (typeof CONDITION_SUFFIXES)[number]) : -1;
}

ALL_ROWS.forEach((row, index) => {
  const { shape, register, memory } = lowering(row);
  const byteForm = shape !== FORM.GENERIC && (/^[EGZOY]b$/.test(row.operands[0] ?? '') || row.operands[0] === 'AL');
  for (let log = 0; log < 4; log++) {
    if (register) rowRegister[index * 4 + log] = kindIdOrNone(register(BITS[log]));
    if (memory) rowMemory[index * 4 + log] = kindIdOrNone(memory(BITS[log]));
  }
  const source = row.operands[1];
  formOf.push({
    shape,
    isByte: byteForm,
    sourceBytes: /^mov[sz]x/.test(row.mnemonic) ? (source === 'Eb' ? 1 : source === 'Ew' ? 2 : 4) : 0,
    writesMemory: row.mnemonic !== 'cmp' && row.mnemonic !== 'test',
    hasImmediate: row.operands.some(immediateOf),
    condition: Math.max(0, conditionOf(row)),
    ends: row.end,
    isXchgWithRex: row.mnemonic === 'nop' && row.map === 0,
  });
  rowHandler[index] = needsHandler(shape) ? handlerNumber(row.handler, row.protectedOnly) : -1;
});

/** Shapes whose every use is a record kind need no handler function. */
function needsHandler(shape: number): boolean {
  return shape === FORM.GENERIC || shape >= FORM.STACK;
}
