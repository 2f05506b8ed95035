/**
 * The opcode table: every instruction form of the CPU as a typed row, parsed from the family files once at
 * start. The decoder, the disassembler, the assembler and the random tester all read this list, so an encoding is
 * written down in one place only. Row format: docs/internals.md, "Opcode table".
 */
import { parseRows } from './rows';
import type { OpcodeRow } from './rows';
import { INTEGER_ROWS } from './integer';
import { SYSTEM_ROWS } from './system';
import { X87_ROWS } from './x87';
import { MMX_ROWS } from './mmx';
import { SSE_ROWS } from './sse';
import { VMX_ROWS } from './vmx';

export * from './rows';

/** Every row of the CPU, in the order in which they are matched: the first row that fits wins. */
export const ALL_ROWS: readonly OpcodeRow[] = [INTEGER_ROWS, SYSTEM_ROWS, X87_ROWS, MMX_ROWS, SSE_ROWS, VMX_ROWS].flatMap(parseRows);
