/**
 * Disassembler: formats what the decoder found in Intel syntax as NASM writes it, so that the text can be assembled again.
 * 16, 32 and 64-bit code. Prefixes that have no meaning for an instruction are not shown.
 */
import {
  D, D_ADSIZE, D_BASE, D_DISP, D_IMM, D_IMM2, D_IMM_HIGH, D_INDEX, D_LOCK, D_MEMORY, D_OPSIZE, D_REG, D_REPEAT, D_REX, D_RM, D_ROW,
  D_SCALE, D_SEGMENT, decode,
} from './engine/decoder';
import { ALL_ROWS } from './opcodes/table';
import type { OpcodeRow } from './opcodes/table';
import { operandKind, registerName, generalRegisterName, widthBits, SEGMENT_NAMES } from './opcodes/operand-kinds';
import type { OperandKind } from './opcodes/operand-kinds';
import { SIZED_BY_ADDRESS, SIZED_BY_OPERAND, SIZE_SILENT, STRING_MNEMONICS, STRING_SUFFIX, storesWord } from './opcodes/mnemonics';

export interface DisassembledInstruction {
  /** Bytes it takes; 1 for bytes that are no instruction. */
  readonly length: number;
  /** Mnemonic with prefixes and operands. */
  readonly text: string;
  /** False for bytes that are no instruction (text is a `db`). */
  readonly valid: boolean;
  /** Target of a relative branch, or linear offset of a RIP-relative operand; undefined if there is none. */
  readonly target: bigint | undefined;
}

/** Code size in bits. */
export type CodeBits = 16 | 32 | 64;

const SIZE_KEYWORDS: Record<number, string> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 80: 'tword', 128: 'oword' };

/** A number as the text shows it: small ones in decimal, others in hexadecimal. */
function hex(value: bigint): string {
  if (value < 0n) return `-${hex(-value)}`;
  return value < 10n ? value.toString() : `0x${value.toString(16)}`;
}

/** The fields of D that formatting needs, by name. */
class Formatter {
  readonly row: OpcodeRow;
  readonly bits: CodeBits;
  readonly operandBits: number;
  readonly addressBits: number;
  /** Address of the next instruction. */
  readonly next: bigint;
  target: bigint | undefined;
  private immediates = 0;

  constructor(bits: CodeBits, next: bigint) {
    this.row = ALL_ROWS[D[D_ROW]];
    this.bits = bits;
    this.operandBits = 16 << D[D_OPSIZE];
    this.addressBits = 16 << D[D_ADSIZE];
    this.next = next;
  }

  text(): string {
    const row = this.row;
    const operands: string[] = [];
    const kinds = row.operands.map(operandKind);
    const isString = STRING_MNEMONICS.includes(row.mnemonic) && kinds.some((kind) => kind.role === 'source' || kind.role === 'destination');
    let mnemonic = row.mnemonic;
    if (isString) {
      const element = kinds.find((kind) => kind.role === 'source' || kind.role === 'destination');
      const bits = element === undefined ? 0 : widthBits(element.width, this.operandBits);
      // INS and OUTS have no 64-bit elements.
      mnemonic += STRING_SUFFIX[bits === 64 && kinds.some((kind) => kind.role === 'fixed' && kind.number === 2) ? 32 : bits] ?? '';
    } else {
      mnemonic = SIZED_BY_OPERAND[mnemonic]?.[D[D_OPSIZE]] ?? SIZED_BY_ADDRESS[mnemonic]?.[D[D_ADSIZE]] ?? mnemonic;
      for (const kind of kinds) if (kind.role !== 'one' || row.operands.length === 2) operands.push(this.operand(kind));
    }
    // The bytes of `xchg r8, rax` with REX.B clear are NOP and the other way round.
    if (row.mnemonic === 'nop' && row.modrm === 0 && (D[D_REX] & 1) !== 0) {
      return `xchg ${generalRegisterName(8, this.operandBits, true)}, ${generalRegisterName(0, this.operandBits, true)}`;
    }
    const head = this.prefixes(isString) + mnemonic;
    return operands.length === 0 ? head : `${head} ${operands.join(', ')}`;
  }

  private prefixes(isString: boolean): string {
    let text = D[D_LOCK] ? 'lock ' : '';
    const repeat = D[D_REPEAT];
    if (this.row.repeat !== 0 && repeat !== 0) text += this.row.repeat === 1 ? (repeat === 1 ? 'rep ' : 'repne ') : repeat === 1 ? 'repe ' : 'repne ';
    if (isString || this.row.mnemonic === 'xlat') {
      if (D[D_SEGMENT] !== 3) text += `${SEGMENT_NAMES[D[D_SEGMENT]]} `;
      if (this.addressBits !== this.bits) text += `a${this.addressBits} `;
    }
    if (SIZE_SILENT.includes(this.row.mnemonic) && this.operandBits !== this.usualBits()) text += `o${this.operandBits} `;
    return text;
  }

  /** Operand size without prefixes. */
  private usualBits(): number {
    return this.bits === 64 && (this.row.default64 || this.row.forced64) ? 64 : this.bits === 16 ? 16 : 32;
  }

  private operand(kind: OperandKind): string {
    const bits = widthBits(kind.width, this.operandBits);
    const rex = D[D_REX] !== 0;
    switch (kind.role) {
      case 'rm':
        return D[D_MEMORY] && kind.memory ? this.memory(kind, bits) : registerName(kind.registers, kind.registers === 'x87' || kind.registers === 'mmx' ? D[D_RM] & 7 : D[D_RM], bits, rex);
      case 'reg':
        return registerName(kind.registers, kind.registers === 'segment' ? D[D_REG] & 7 : D[D_REG], this.bits === 64 || kind.registers === 'general' ? bits : 32, rex);
      case 'opcode': return generalRegisterName(D[D_RM], bits, rex);
      case 'immediate': {
        // PUSH: nothing else shows its size.
        const size = this.row.mnemonic === 'push' && this.operandBits !== this.usualBits() ? `${SIZE_KEYWORDS[this.operandBits]} ` : '';
        return size + this.immediate(kind);
      }
      case 'relative': return this.relative();
      case 'far': return `${hex(BigInt(D[D_IMM_HIGH] & 0xffff))}:${hex(BigInt(D[D_IMM] >>> 0) & (this.operandBits === 16 ? 0xffffn : 0xffffffffn))}`;
      case 'moffs': {
        const value = (BigInt(D[D_IMM] >>> 0) << 32n) | BigInt(D[D_DISP] >>> 0);
        return `[${this.segment(3)}${this.addressBits === this.bits ? '' : `a${this.addressBits} `}${this.bits === 64 && this.addressBits === 64 ? 'qword ' : ''}${hex(value)}]`;
      }
      case 'fixed': return kind.registers === 'general' ? generalRegisterName(kind.number, bits, rex) : registerName(kind.registers, kind.number, bits, rex);
      case 'one': return '1';
      case 'source': case 'destination': return '';
    }
  }

  private immediate(kind: OperandKind): string {
    if (this.immediates++ > 0) return hex(BigInt(D[D_IMM2] & 0xff));
    const lo = BigInt(D[D_IMM] >>> 0);
    switch (kind.width) {
      case 's8': return hex(BigInt(D[D_IMM]));
      case 'z':
        if (this.operandBits === 16) return hex(lo & 0xffffn);
        return hex(this.operandBits === 64 ? BigInt(D[D_IMM]) : lo);
      case 'v': {
        if (this.operandBits === 64) return hex((BigInt(D[D_IMM_HIGH] >>> 0) << 32n) | lo);
        return hex(this.operandBits === 16 ? lo & 0xffffn : lo);
      }
      case 16: return hex(lo & 0xffffn);
      default: return hex(lo & 0xffn);
    }
  }

  private relative(): string {
    const target = this.next + BigInt(D[D_IMM]);
    this.target = BigInt.asUintN(this.operandBits === 16 ? 16 : this.bits === 64 ? 64 : 32, target);
    return hex(this.target);
  }

  /** "fs:" when the segment is not the one the address would use by itself. */
  private segment(usual: number): string {
    return D[D_SEGMENT] === usual ? '' : `${SEGMENT_NAMES[D[D_SEGMENT]]}:`;
  }

  /** True when another operand shows the size of the memory operand, or nothing but 128 bits is possible. */
  private sizeIsPlain(kind: OperandKind, width: number): boolean {
    return width === 128 || this.row.operands.map(operandKind).some((other) => other.registers === 'general' && other.role !== 'rm' && (other.role !== 'fixed' || other.number === 0)
      && widthBits(other.width, this.operandBits) === width && other.width === kind.width);
  }

  private memory(kind: OperandKind, bits: number): string {
    const base = D[D_BASE], index = D[D_INDEX], disp = D[D_DISP];
    const width = storesWord(this.row.mnemonic, this.row.operands) ? 16 : bits;
    let keyword = SIZE_KEYWORDS[width] !== undefined && !this.sizeIsPlain(kind, width) ? `${SIZE_KEYWORDS[width]} ` : '';
    if (kind.width === 'far') keyword = this.row.operands.length === 2 ? '' : `${this.operandBits === this.usualBits() ? '' : `${SIZE_KEYWORDS[this.operandBits]} `}far `;
    const segment = this.segment(base === 4 || base === 5 ? 2 : 3);
    if (base === 17) {
      this.target = BigInt.asUintN(this.addressBits, this.next + BigInt(disp));
      return `${keyword}[${segment}rel ${hex(this.target)}]`;
    }
    const parts: string[] = [];
    if (base < 16) parts.push(generalRegisterName(base, this.addressBits, true));
    if (index < 16) parts.push(generalRegisterName(index, this.addressBits, true) + (D[D_SCALE] > 0 || base === 16 ? `*${1 << D[D_SCALE]}` : ''));
    let text = parts.join('+');
    if (parts.length === 0) {
      const size = this.addressBits === this.bits ? '' : this.addressBits === 16 ? 'word ' : this.addressBits === 32 ? 'dword ' : 'qword ';
      text = `${size}${hex(this.bits === 64 ? BigInt(disp) & (this.addressBits === 32 ? 0xffffffffn : 0xffffffffffffffffn) : BigInt(disp >>> 0) & (this.addressBits === 16 ? 0xffffn : 0xffffffffn))}`;
    } else if (disp !== 0) text += disp < 0 ? `-${hex(BigInt(-disp))}` : `+${hex(BigInt(disp))}`;
    return `${keyword}[${segment}${text}]`;
  }
}

/**
 * Disassembles the instruction at bytes[offset], which stands at `address` (offset within the code segment, or RIP). Bytes that are no
 * instruction, or one cut off by the end of the array, come out as one `db`.
 */
export function disassemble(bytes: Uint8Array, offset: number, address: bigint, bits: CodeBits): DisassembledInstruction {
  const length = decode(bytes, offset, bytes.length, bits === 16 ? 0 : bits === 32 ? 1 : 2);
  if (length <= 0) return { length: 1, text: `db ${hex(BigInt(bytes[offset] ?? 0))}`, valid: false, target: undefined };
  const formatter = new Formatter(bits, address + BigInt(length));
  return { length, text: formatter.text(), valid: true, target: formatter.target };
}
