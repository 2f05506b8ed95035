/**
 * The opcode rows as the random test sees them: which of them it executes, how their flags behave, and which operand sizes they have.
 * Everything that real processors do differently, or that the manuals leave open, is said here or in compare.ts.
 */
import { ALL_ROWS } from '../../src/cpu/opcodes/table';
import type { OpcodeRow } from '../../src/cpu/opcodes/table';
import { operandKind } from '../../src/cpu/opcodes/operand-kinds';
import type { OperandKind } from '../../src/cpu/opcodes/operand-kinds';
import type { Bits } from './user-layout';

export const CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800, STATUS = 0x8d5;

export type Family = 'integer' | 'x87' | 'mmx' | 'sse' | 'system';

export interface RowInfo {
  readonly index: number;
  readonly row: OpcodeRow;
  readonly kinds: readonly OperandKind[];
  readonly family: Family;
  /** Status flags that the row surely defines, leaves undefined, reads. */
  readonly defined: number;
  readonly undefinedFlags: number;
  readonly reads: number;
  /** Has a 66h/REX.W operand size. */
  readonly sized: boolean;
  /** rm operand, if any. */
  readonly rm: OperandKind | undefined;
  readonly reg: OperandKind | undefined;
  /** Results are approximations: only as the last instruction. */
  readonly approximate: '' | 'xmm' | 'x87';
  readonly name: string;
}

/** Rows that cannot be compared with a process of an operating system, and why. */
const EXCLUDED = new Map<string, string>([
  ['cpuid', 'tells the processor model'],
  ['rdtsc', 'tells the time'], ['rdtscp', 'tells the time'], ['rdpmc', 'depends on the kernel'],
  ['syscall', 'enters the kernel'], ['sysenter', 'enters the kernel'], ['sysret', 'privileged, and #UD on AMD'], ['sysexit', 'privileged, and #UD on AMD'],
  ['sgdt', 'UMIP'], ['sidt', 'UMIP'], ['sldt', 'UMIP'], ['str', 'UMIP'], ['smsw', 'UMIP'],
  ['int1', 'Linux takes it as a debugger trap'],
  ['getsec', 'not on AMD'], ['monitor', 'not for users'], ['mwait', 'not for users'], ['xgetbv', 'not advertised by us'], ['xsetbv', 'not advertised by us'],
  ['rsm', 'depends on the mode'],
  ['rdfsbase', 'depends on the kernel'], ['rdgsbase', 'depends on the kernel'],
  ['wrfsbase', 'would take the runner its thread storage'], ['wrgsbase', 'depends on the kernel'],
]);

const SIZED_WITHOUT_OPERAND = new Set(['cwde', 'cdq', 'pusha', 'popa', 'pushf', 'popf', 'iret', 'ret', 'retf', 'enter', 'leave', 'push', 'pop', 'call', 'jmp']);
const X87_APPROXIMATE = new Set(['f2xm1', 'fyl2x', 'fyl2xp1', 'fsin', 'fcos', 'fsincos', 'fptan', 'fpatan']);

const LETTERS: Record<string, number> = { o: OF, s: SF, z: ZF, a: AF, p: PF, c: CF };

function mask(letters: string): number {
  let value = 0;
  for (const letter of letters) value |= LETTERS[letter] ?? 0;
  return value;
}

function familyOf(row: OpcodeRow): Family {
  const feature = row.feature.toLowerCase();
  if (row.operands.some((operand) => /^[PQN]/.test(operand)) || row.mnemonic === 'emms') return 'mmx';
  if ((row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf) || row.mnemonic === 'fwait' || feature === 'fxsr') return 'x87';
  if (/^(sse|ssse)/.test(feature) && row.mnemonic !== 'crc32') return 'sse';
  if (row.cpl0 || /^(in|out|ins|outs|cli|sti|les|lds|lss|lfs|lgs|verr|verw|lar|lsl|arpl|int|int3|into|iret|retf|ud\d|rsm|pause|clflush|lmsw)$/.test(row.mnemonic)
    || row.operands.some((operand) => ['Sw', 'Mp', 'Ap', 'ES', 'CS', 'SS', 'DS', 'FS', 'GS'].includes(operand))) return 'system';
  return 'integer';
}

function describe(row: OpcodeRow, index: number): RowInfo {
  const kinds = row.operands.map(operandKind);
  const undefinedFlags = mask(row.undefinedFlags);
  return {
    index, row, kinds,
    family: familyOf(row),
    defined: mask(row.writes + row.clears + row.sets) & ~undefinedFlags,
    undefinedFlags,
    reads: mask(row.reads),
    sized: row.rexW < 0 && (SIZED_WITHOUT_OPERAND.has(row.mnemonic) || kinds.some((kind) => typeof kind.width === 'string' && kind.width !== 'none')),
    rm: kinds.find((kind) => kind.role === 'rm'),
    reg: kinds.find((kind) => kind.role === 'reg'),
    approximate: X87_APPROXIMATE.has(row.mnemonic) ? 'x87' : /^r(cp|sqrt)[ps]s$/.test(row.mnemonic) ? 'xmm' : '',
    name: `${row.mnemonic} ${row.operands.join(',')} [${row.handler}]`,
  };
}

/** All rows that user-mode code of some size can execute and that can be compared. */
export const ROWS: readonly RowInfo[] = ALL_ROWS.map(describe).filter(({ row }) => !EXCLUDED.has(row.mnemonic) && row.feature !== 'VMX');

/** Rows of the table that the comparison leaves out, with the reason. */
export function excludedRows(): string[] {
  return ALL_ROWS.filter((row) => EXCLUDED.has(row.mnemonic)).map((row) => `${row.mnemonic}: ${EXCLUDED.get(row.mnemonic) ?? ''}`);
}

/** Rows that exist in code of this size. */
export function rowsFor(bits: Bits): RowInfo[] {
  return ROWS.filter(({ row }) => (bits === 64 ? !row.invalid64 : !row.only64 && row.rexW !== 1));
}
