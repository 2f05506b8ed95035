/** Source lines for every row of the opcode table: each operand in a few shapes, for the comparisons with NASM and objdump. */
import { ALL_ROWS } from '../../../src/cpu/opcodes/table';
import type { OpcodeRow } from '../../../src/cpu/opcodes/table';
import { generalRegisterName, operandKind, widthBits } from '../../../src/cpu/opcodes/operand-kinds';
import type { OperandKind } from '../../../src/cpu/opcodes/operand-kinds';
import { SIZED_BY_ADDRESS, SIZED_BY_OPERAND, STRING_MNEMONICS, STRING_SUFFIX, storesWord } from '../../../src/cpu/opcodes/mnemonics';

export type Bits = 16 | 32 | 64;

const KEYWORD: Record<number, string> = { 8: 'byte ', 16: 'word ', 32: 'dword ', 64: 'qword ', 80: 'tword ', 128: '' };

const MEMORY: Record<Bits, readonly string[]> = {
  16: ['[bx+si]', '[bp+4]', '[0x1234]', '[eax+ecx*4+0x12345678]'],
  32: ['[eax]', '[ebp+esi*8-4]', '[0x12345678]', '[esp+0x1000]', '[ecx*4+8]', '[fs:edi]', '[bx+di+2]'],
  64: ['[rax]', '[r13+r12*2+0x7f]', '[rel $+100]', '[abs 0x1234]', '[rsp-0x1000]', '[gs:r9*8+4]', '[r12]', '[rbp]', '[eax+ebx]'],
};

function registers(kind: OperandKind, bits: number, code: Bits): string[] {
  switch (kind.registers) {
    case 'general': {
      const numbers = code === 64 ? [1, 6, 11] : bits === 8 ? [1, 3] : [1, 6];
      const names = numbers.map((n) => generalRegisterName(n, bits, code === 64));
      return bits === 8 && code !== 64 ? [...names, 'dh'] : names;
    }
    case 'mmx': return ['mm3', 'mm6'];
    case 'xmm': return code === 64 ? ['xmm2', 'xmm12'] : ['xmm2', 'xmm7'];
    case 'segment': return ['es', 'fs'];
    case 'control': return ['cr0', 'cr4'];
    case 'debug': return ['dr3', 'dr7'];
    case 'x87': return ['st3'];
    case 'none': return [];
  }
}

function immediates(kind: OperandKind, bits: number): string[] {
  switch (kind.width) {
    case 8: return ['0x12', '200'];
    case 16: return ['0x1234'];
    case 's8': return ['5', '-3'];
    case 'z': return bits === 16 ? ['0x1234'] : ['0x12345', '-70000'];
    case 'v': return bits === 64 ? ['0x123456789abc', '-7'] : bits === 32 ? ['0x12345678'] : ['0x4321'];
    default: return [];
  }
}

/** Spellings of one operand. */
function shapes(row: OpcodeRow, kind: OperandKind, operandBits: number, code: Bits): string[] {
  const bits = widthBits(kind.width, operandBits);
  switch (kind.role) {
    case 'rm': {
      const list = kind.register ? registers(kind, bits, code) : [];
      if (kind.memory) {
        const width = storesWord(row.mnemonic, row.operands) ? 16 : bits;
        // NASM refuses size keywords where only one size is possible.
        const single = kind.registers === 'mmx' || kind.registers === 'xmm' || /^(l[defgs]s|vm\w+|clflush|prefetch\w*)$/.test(row.mnemonic);
        const keyword = single ? (row.mnemonic === 'vmread' || row.mnemonic === 'vmwrite' ? KEYWORD[width] : '') : kind.width === 'far' ? `${KEYWORD[operandBits]}far ` : KEYWORD[width] ?? '';
        list.push(...MEMORY[code].map((memory) => keyword + memory));
      }
      return list;
    }
    case 'reg': case 'opcode': return registers(kind, bits, code);
    case 'immediate': return immediates(kind, operandBits);
    case 'relative': return kind.width === 8 ? ['short $+20', '$-30'] : ['near $+20', '$+1000'];
    case 'far': return ['0x12:0x3456'];
    case 'moffs': return code === 64 ? ['[qword 0x123456789abc]'] : code === 32 ? ['[0x12345678]'] : ['[0x1234]'];
    case 'fixed':
      return kind.registers === 'general' ? [generalRegisterName(kind.number, bits, false)] : [kind.registers === 'segment' ? row.operands[0].toLowerCase() : kind.registers === 'xmm' ? 'xmm0' : 'st0'];
    case 'one': return ['1'];
    case 'source': case 'destination': return [];
  }
}

/** Lines of source for a row in code of `code` bits. */
export function sourceLines(row: OpcodeRow, code: Bits): string[] {
  if (code === 64 ? row.invalid64 : row.only64 || row.rexW === 1) return [];
  const kinds = row.operands.map(operandKind);
  const element = kinds.find((kind) => kind.role === 'source' || kind.role === 'destination');
  if (element !== undefined && STRING_MNEMONICS.includes(row.mnemonic)) {
    const isPort = row.mnemonic === 'ins' || row.mnemonic === 'outs';
    const sizes = element.width === 8 ? [8] : code === 64 && !isPort ? [16, 32, 64] : [16, 32];
    return sizes.flatMap((bits) => [row.mnemonic + STRING_SUFFIX[bits], `rep ${row.mnemonic}${STRING_SUFFIX[bits]}`]);
  }
  const sized = SIZED_BY_OPERAND[row.mnemonic];
  if (sized !== undefined) return sized.filter((name, n) => name !== '' && (n < 2 || code === 64) && !(code === 64 && n === 1 && row.default64));
  const byAddress = SIZED_BY_ADDRESS[row.mnemonic];
  if (byAddress !== undefined) return (code === 64 ? byAddress.slice(1) : byAddress.slice(0, 2)).map((name) => `${name} $+9`);
  const depends = kinds.some((kind) => typeof kind.width === 'string' && kind.width !== 'none');
  let sizes: number[] = [code];
  if (depends) {
    sizes = code === 64 ? (row.forced64 ? [64] : row.default64 ? [64, 16] : [16, 32, 64]) : [16, 32];
    if (row.rexW === 1) sizes = [64];
    if (row.operands.some((operand) => /^[JA]/.test(operand))) sizes = [code];
  }
  const lines: string[] = [];
  for (const operandBits of sizes) {
    const choices = kinds.map((kind) => shapes(row, kind, operandBits, code));
    if (choices.some((choice) => choice.length === 0)) continue;
    const most = Math.max(1, ...choices.map((choice) => choice.length));
    for (let i = 0; i < most; i++) {
      const operands = choices.map((choice) => choice[i % choice.length]);
      const keyword = row.mnemonic === 'push' && kinds[0].role === 'immediate' && operandBits !== code ? KEYWORD[operandBits] : '';
      lines.push(`${row.mnemonic} ${keyword}${operands.join(', ')}`.trim());
    }
  }
  return lines;
}

/** All distinct lines for a code size. */
export function allLines(code: Bits): string[] {
  return [...new Set(ALL_ROWS.flatMap((row) => sourceLines(row, code)))];
}
