/**
 * Chooses and writes encodings: every row of the mnemonic at every operand size is tried against the operands, and the
 * shortest encoding that fits wins (the first among equals), as NASM does.
 */
import { ALL_ROWS, MAP_0F, MAP_0F38, MAP_0F3A, MODRM_DIGIT, MODRM_FIXED, MODRM_NONE, MOD_MEMORY, MOD_REGISTER } from '../../cpu/opcodes/table';
import type { OpcodeRow } from '../../cpu/opcodes/table';
import { operandKind, widthBits } from '../../cpu/opcodes/operand-kinds';
import type { OperandKind } from '../../cpu/opcodes/operand-kinds';
import { ALIASES, SIZED_BY_ADDRESS, SIZED_BY_OPERAND, STRING_MNEMONICS, STRING_SUFFIX, storesWord } from '../../cpu/opcodes/mnemonics';
import { mistake, SourceError } from './errors';
import type { Address, Operand } from './operands';
import type { Register } from './registers';

/** A way a mnemonic can be meant: a row, with what the spelling fixes. */
interface Form {
  readonly row: OpcodeRow;
  readonly kinds: readonly OperandKind[];
  /** Operand size that the spelling demands, 0 if it does not. */
  readonly operandBits: number;
  readonly addressBits: number;
}

const forms = new Map<string, Form[]>();

function addForm(name: string, row: OpcodeRow, operandBits: number, addressBits: number, kinds: readonly OperandKind[]): void {
  const list = forms.get(name);
  const form = { row, kinds, operandBits, addressBits };
  if (list === undefined) forms.set(name, [form]);
  else list.push(form);
}

function buildForms(): void {
  for (const row of ALL_ROWS) {
    const kinds = row.operands.map(operandKind);
    const element = kinds.find((kind) => kind.role === 'source' || kind.role === 'destination');
    if (element !== undefined && STRING_MNEMONICS.includes(row.mnemonic)) {
      for (const bits of element.width === 8 ? [8] : kinds.some((kind) => kind.role === 'fixed' && kind.number === 2) ? [16, 32] : [16, 32, 64]) addForm(row.mnemonic + STRING_SUFFIX[bits], row, bits, 0, []);
      continue;
    }
    const byOperand = SIZED_BY_OPERAND[row.mnemonic], byAddress = SIZED_BY_ADDRESS[row.mnemonic];
    byOperand?.forEach((name, n) => {
      if (name !== '') addForm(name, row, 16 << n, 0, kinds);
    });
    byAddress?.forEach((name, n) => addForm(name, row, 0, 16 << n, kinds));
    if (byOperand?.includes(row.mnemonic) !== true && byAddress === undefined) addForm(row.mnemonic, row, 0, 0, kinds);
  }
}

buildForms();

/** True for names that are instructions (aliases included). */
export function isMnemonic(name: string): boolean {
  return forms.has(ALIASES.get(name) ?? name);
}

export interface InstructionPrefixes {
  /** F0, F2, F3 and segment prefixes written before the mnemonic, in order. */
  readonly bytes: readonly number[];
  /** o16 o32 o64, a16 a32 a64; 0 without. */
  readonly operandBits: number;
  readonly addressBits: number;
}

export interface EncodeContext {
  readonly bits: 16 | 32 | 64;
  /** Address of the instruction. */
  readonly address: bigint;
  /** The encoding must have at least this length: what an earlier pass chose, so that sizes only grow. */
  readonly least: number;
}

/** Bytes of one encoding under construction. */
interface Candidate {
  readonly bytes: number[];
  /** Width of a memory operand without size keyword, 0 if the operands say it or there is none. */
  readonly guessedBits: number;
  /** The row wants REX.W: among equals the others go first. */
  readonly wide: boolean;
}

const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Encodes an instruction. Throws SourceError when no form fits. */
export function encode(name: string, operands: readonly Operand[], prefixes: InstructionPrefixes, context: EncodeContext): number[] {
  const mnemonic = ALIASES.get(name) ?? name;
  const list = forms.get(mnemonic) ?? mistake(`unknown instruction ${name}`);
  const candidates: Candidate[] = [];
  let problem: SourceError | undefined;
  for (const variant of operandVariants(mnemonic, operands, prefixes, context.bits)) {
    for (const form of list) {
      if (form.kinds.length !== variant.operands.length) continue;
      if (context.bits === 64 ? form.row.invalid64 : form.row.only64) continue;
      for (const operandBits of operandSizes(form, variant.prefixes, context.bits)) {
        try {
          const candidate = encodeForm(form, operandBits, variant.operands, variant.prefixes, context);
          if (candidate !== undefined) candidates.push(candidate);
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          problem ??= error;
        }
      }
    }
    // XCHG has a short form in one order only.
    if (candidates.length > 0 && mnemonic !== 'xchg') break;
  }
  if (candidates.length === 0) throw problem ?? new SourceError(explain(name, list, operands, context.bits));
  const guesses = new Set(candidates.map((candidate) => candidate.guessedBits).filter((bits) => bits !== 0));
  if (guesses.size > 1) mistake('the size of the memory operand is not clear: write byte, word, dword or qword before it');
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    if (candidate.bytes.length < context.least) continue;
    if (best === undefined || candidate.bytes.length < best.bytes.length || (candidate.bytes.length === best.bytes.length && best.wide && !candidate.wide)) best = candidate;
  }
  return (best ?? candidates[candidates.length - 1]).bytes;
}

function explain(name: string, list: readonly Form[], operands: readonly Operand[], bits: number): string {
  if (list.every((form) => (bits === 64 ? form.row.invalid64 : form.row.only64))) return `${name} does not exist in ${bits}-bit code`;
  if (bits !== 64 && operands.some((operand) => operand.kind === 'register' && (operand.register.bits === 64 || operand.register.number > 7))) {
    return `${bits}-bit code does not have this register`;
  }
  return `${name} does not take these operands`;
}

/** The operands as written, then the spellings that mean the same: swapped operands, implied x87 and IMUL operands, loop counters. */
function operandVariants(
  mnemonic: string, operands: readonly Operand[], prefixes: InstructionPrefixes, bits: number,
): { operands: readonly Operand[]; prefixes: InstructionPrefixes }[] {
  const variants = [{ operands, prefixes }];
  const add = (changed: readonly Operand[]): void => {
    variants.push({ operands: changed, prefixes });
  };
  const [first, second] = operands;
  // The upper half of a 64-bit register is cleared by a 32-bit write, which takes fewer bytes.
  if (bits === 64 && first?.kind === 'register' && first.register.registers === 'general' && first.register.bits === 64) {
    const low: Operand = { ...first, register: resized(first.register, 32) };
    const small = second?.kind === 'immediate' && !second.strict && second.size === 0 && (!second.known || (second.value >= 0n && second.value <= 0xffffffffn));
    const selector = second?.kind === 'register' && second.register.registers === 'segment';
    if (mnemonic === 'mov' && (small || selector)) variants.unshift({ operands: [low, second], prefixes });
    if (mnemonic === 'sldt' && operands.length === 1) variants.unshift({ operands: [low], prefixes });
  }
  if (operands.length === 2 && (mnemonic === 'xchg' || mnemonic === 'test')) add([second, first]);
  if (operands.length === 2 && mnemonic === 'imul' && second.kind === 'immediate') add([first, first, second]);
  if (operands.length === 2 && mnemonic.startsWith('loop') && second.kind === 'register') {
    return [{ operands: [first], prefixes: { ...prefixes, addressBits: second.register.bits } }];
  }
  if (operands.length === 2 && (mnemonic === 'blendvps' || mnemonic === 'blendvpd' || mnemonic === 'pblendvb')) add([...operands, register('xmm0', 'xmm', 0, 128)]);
  if (mnemonic.startsWith('f')) {
    const top = register('st0', 'x87', 0, 80), next = register('st1', 'x87', 1, 80);
    if (operands.length === 0) variants.push({ operands: [next], prefixes }, { operands: [next, top], prefixes }, { operands: [top, next], prefixes });
    if (operands.length === 1 && first.kind === 'register' && first.register.registers === 'x87') {
      if (first.to) variants[0] = { operands: [first, top], prefixes };
      else variants.push({ operands: [top, first], prefixes }, { operands: [first, top], prefixes });
    }
    if (operands.length === 2 && first.kind === 'register' && first.register.name === 'st0') add([second]);
  }
  if (operands.length === 2 && first.kind === 'register' && second.kind === 'register' && mnemonic === 'mov') {
    // MOV with a segment register moves 16 bits, whatever the width of the general register's name.
    if (first.register.registers === 'segment' && second.register.registers === 'general') add([first, { ...second, register: resized(second.register, 16) }]);
  }
  return variants;
}

function register(name: string, registers: Register['registers'], number: number, bits: number): Operand {
  return { kind: 'register', register: { name, registers, number, bits, rex: '' }, to: false };
}

function resized(one: Register, bits: number): Register {
  return { ...one, bits, rex: '' };
}

/** Operand sizes to try, the one without prefix first. */
function operandSizes(form: Form, prefixes: InstructionPrefixes, bits: number): readonly number[] {
  const { row } = form;
  const wanted = prefixes.operandBits !== 0 ? prefixes.operandBits : form.operandBits === 8 ? 0 : form.operandBits;
  const usual = bits === 16 ? 16 : 32;
  let possible: readonly number[];
  if (bits === 64 && row.forced64) possible = [64];
  else if (bits === 64 && row.default64) possible = [64, 16];
  else if (row.mnemonic === 'bswap') possible = bits === 64 ? [32, 64] : [32];
  else if (row.rexW === 1) possible = bits === 64 ? [64] : [];
  else if (row.prefix === '66' || row.prefix === 'NP') possible = bits === 64 && row.rexW < 0 ? [usual, 64] : [usual];
  else if (bits === 64 && row.rexW < 0) possible = [32, 16, 64];
  else possible = bits === 16 ? [16, 32] : [32, 16];
  const depends = wanted !== 0 || form.kinds.some((kind) => typeof kind.width === 'string' && kind.width !== 'none');
  if (!depends) return possible.slice(0, 1);
  return wanted === 0 ? possible : possible.filter((size) => size === wanted);
}

// --- One row at one operand size ---

interface Parts {
  rex: number;
  rexNeeded: boolean;
  rexForbidden: boolean;
  reg: number;
  rm: Operand | undefined;
  opcodeRegister: number;
  address: Address | undefined;
  immediates: { value: bigint; bytes: number }[];
  relative: { target: bigint; known: boolean; bytes: number } | undefined;
  moffs: bigint | undefined;
  guessedBits: number;
}

function encodeForm(
  form: Form, operandBits: number, operands: readonly Operand[], prefixes: InstructionPrefixes, context: EncodeContext,
): Candidate | undefined {
  const { row } = form;
  const parts: Parts = {
    rex: 0, rexNeeded: false, rexForbidden: false, reg: row.modrm === MODRM_DIGIT ? row.modrmValue : 0, rm: undefined, opcodeRegister: 0,
    address: undefined, immediates: [], relative: undefined, moffs: undefined, guessedBits: 0,
  };
  for (let i = 0; i < operands.length; i++) if (!place(form.kinds[i], operands[i], operandBits, form, parts, context)) return undefined;
  if (row.mod === MOD_MEMORY && parts.rm?.kind === 'register') return undefined;
  if (row.mod === MOD_REGISTER && parts.rm?.kind === 'memory') return undefined;
  // XCHG EAX, EAX would be NOP, which does not clear the upper half.
  if (row.mnemonic === 'xchg' && row.plusReg && context.bits === 64 && operandBits === 32 && parts.opcodeRegister === 0) return undefined;
  return assembleBytes(form, operandBits, parts, prefixes, context);
}

/** True when a register operand decides the width of a memory operand beside it, so that nothing is guessed. */
function pinsWidth(form: Form, kind: OperandKind): boolean {
  return form.kinds.some((other) => other !== kind && other.registers === 'general' && other.width === kind.width && (other.role === 'reg' || other.role === 'fixed'))
    || kind.registers === 'xmm' || kind.registers === 'mmx';
}

/** Fits one operand into its place; false if it does not fit. */
function place(kind: OperandKind, operand: Operand, operandBits: number, form: Form, parts: Parts, context: EncodeContext): boolean {
  const bits = widthBits(kind.width, operandBits);
  switch (operand.kind) {
    case 'register': return placeRegister(kind, operand.register, bits, form, parts, context);
    case 'memory': {
      if (!kind.memory) return false;
      const isFar = kind.width === 'far';
      // LDS and the like need no `far`: their register has the size.
      const isPointerLoad = /^l[defgs]s$/.test(form.row.mnemonic);
      if (isFar ? !operand.far && !isPointerLoad : operand.far) return false;
      if (storesWord(form.row.mnemonic, form.row.operands)) {
        if ((operand.size !== 0 && operand.size !== 16) || operandBits !== (context.bits === 16 ? 16 : 32)) return false;
        parts.rm = operand;
        parts.address = operand.address;
        return true;
      }
      const width = isFar ? operandBits : bits;
      if (operand.size !== 0 && width !== 0 && operand.size !== width) return false;
      if (operand.size === 0 && width !== 0 && !isPointerLoad && !pinsWidth(form, kind)) {
        const usual = context.bits === 64 && (form.row.default64 || form.row.forced64) ? 64 : context.bits === 16 ? 16 : 32;
        // Branches, stack instructions and far pointers have a usual size; so has what only comes in 32 and 64 bits.
        const hasUsual = isFar || form.row.default64 || form.row.forced64 || kind.width === 'y';
        if (hasUsual && operandBits !== usual) return false;
        if (!hasUsual) parts.guessedBits = width;
      }
      const { address } = operand;
      if (kind.role === 'moffs') {
        if (address.base !== undefined || address.index !== undefined || address.ripRelative) return false;
        // In 64-bit code the full offset is meant only when it is written [qword x].
        if (context.bits === 64 && !(address.bits === 64 && address.sized)) return false;
        parts.moffs = address.displacement;
        parts.address = address;
        return true;
      }
      parts.rm = operand;
      parts.address = address;
      return true;
    }
    case 'immediate':
      // Nothing but a keyword can give PUSH another size than the usual one.
      if (kind.role === 'immediate' && form.row.default64 && operand.size === 0 && operandBits !== context.bits) return false;
      return placeImmediate(kind, operand, bits, operandBits, parts, context);
    case 'far':
      if (kind.role !== 'far' || (operand.size !== 0 && operand.size !== operandBits)) return false;
      if (operand.size === 0 && operandBits !== (context.bits === 16 ? 16 : 32)) return false;
      parts.immediates.push({ value: operand.offset, bytes: operandBits / 8 }, { value: operand.selector, bytes: 2 });
      return true;
  }
}

function placeRegister(kind: OperandKind, register: Register, bits: number, form: Form, parts: Parts, context: EncodeContext): boolean {
  if (register.registers !== kind.registers) return false;
  if (register.registers === 'general' && register.bits !== bits) return false;
  if (context.bits !== 64 && (register.number > 7 && register.registers !== 'control' || register.bits === 64 && register.registers === 'general' || register.rex === 'needed')) return false;
  if (register.rex === 'needed') parts.rexNeeded = true;
  if (register.rex === 'forbidden') parts.rexForbidden = true;
  const { number } = register;
  switch (kind.role) {
    case 'fixed': return kind.number === number;
    case 'rm':
      if (!kind.register) return false;
      parts.rm = { kind: 'register', register, to: false };
      if (number > 7) parts.rex |= 1;
      return true;
    case 'reg':
      parts.reg = number & 7;
      if (number > 7) parts.rex |= 4;
      return context.bits === 64 || number < 8;
    case 'opcode':
      parts.opcodeRegister = number & 7;
      if (number > 7) parts.rex |= 1;
      return form.row.plusReg;
    default: return false;
  }
}

function fits32(value: bigint): boolean {
  return value >= -0x80000000n && value <= 0x7fffffffn;
}

function fitsUnsignedOrSigned(value: bigint, bits: number): boolean {
  if (bits >= 64) return true;
  return value >= -(1n << BigInt(bits - 1)) && value < 1n << BigInt(bits);
}

function placeImmediate(
  kind: OperandKind, operand: Extract<Operand, { kind: 'immediate' }>, bits: number, operandBits: number, parts: Parts, context: EncodeContext,
): boolean {
  const { value, known, size, strict } = operand;
  switch (kind.role) {
    case 'one': return known && value === 1n && !strict && size === 0;
    case 'relative': {
      if (kind.width === 8 ? operand.distance === 'near' : operand.distance === 'short') return false;
      if (operand.distance === 'far') return false;
      if (kind.width !== 8 && operandBits !== (size !== 0 ? size : context.bits)) return false;
      parts.relative = { target: value, known, bytes: kind.width === 8 ? 1 : operandBits === 16 ? 2 : 4 };
      return true;
    }
    case 'immediate': break;
    default: return false;
  }
  switch (kind.width) {
    case 8:
      if ((size !== 0 && size !== 8) || (known && !fitsUnsignedOrSigned(value, 8))) return false;
      parts.immediates.push({ value, bytes: 1 });
      return true;
    case 16:
      if ((size !== 0 && size !== 16) || (known && !fitsUnsignedOrSigned(value, 16))) return false;
      parts.immediates.push({ value, bytes: 2 });
      return true;
    case 's8': {
      if (strict ? size !== 8 : size !== 0 && size !== 8 && size !== operandBits && !(operandBits === 64 && size === 32)) return false;
      if (known && !fitsUnsignedOrSigned(value, operandBits)) return false;
      const narrow = BigInt.asIntN(operandBits, value);
      if (known && (narrow < -128n || narrow > 127n)) return false;
      parts.immediates.push({ value, bytes: 1 });
      return true;
    }
    case 'z':
      if (size !== 0 && size !== operandBits && !(operandBits === 64 && size === 32)) return false;
      if (known && !(operandBits === 64 ? fits32(value) : fitsUnsignedOrSigned(value, operandBits))) return false;
      parts.immediates.push({ value, bytes: operandBits === 16 ? 2 : 4 });
      return true;
    case 'v':
      if ((size !== 0 && size !== bits) || (known && !fitsUnsignedOrSigned(value, bits))) return false;
      parts.immediates.push({ value, bytes: bits / 8 });
      return true;
    default: return false;
  }
}

// --- Bytes ---

function pushValue(bytes: number[], value: bigint, count: number): void {
  let rest = BigInt.asUintN(64, value);
  for (let i = 0; i < count; i++) {
    bytes.push(Number(rest & 0xffn));
    rest >>= 8n;
  }
}

function assembleBytes(form: Form, operandBits: number, parts: Parts, prefixes: InstructionPrefixes, context: EncodeContext): Candidate | undefined {
  const { row } = form;
  const bytes: number[] = [...prefixes.bytes];
  const address = parts.address;
  const addressBits = address?.bits ?? (form.addressBits || prefixes.addressBits || context.bits);
  if (context.bits === 64 ? addressBits === 16 : addressBits === 64) return undefined;
  if (address !== undefined && address.segment >= 0) bytes.push(SEGMENT_PREFIX[address.segment]);
  const mandatory = row.prefix === '' || row.prefix === 'NP' ? 0 : parseInt(row.prefix, 16);
  const isByte = form.operandBits === 8;
  let rex = parts.rex;
  if (!isByte && mandatory !== 0x66) {
    const plain = context.bits === 64 ? (row.default64 || row.forced64 ? 64 : 32) : context.bits;
    if (operandBits === 64 && plain !== 64) rex |= 8;
    else if (operandBits !== plain) {
      if (row.prefix === 'NP') return undefined;
      if (operandBits === 64) return undefined;
      bytes.push(0x66);
    }
  } else if (operandBits === 64 && !isByte && !row.forced64) rex |= 8;
  if (row.rexW === 1) rex |= 8;
  if (addressBits !== context.bits) bytes.push(0x67);
  if (mandatory !== 0) bytes.push(mandatory);
  if (address?.base !== undefined && address.base.number > 7) rex |= 1;
  if (address?.index !== undefined && address.index.number > 7) rex |= 2;
  if (rex !== 0 || parts.rexNeeded) {
    if (parts.rexForbidden || context.bits !== 64) return undefined;
    bytes.push(0x40 | rex);
  }
  if (row.map === MAP_0F || row.map === MAP_0F38 || row.map === MAP_0F3A) bytes.push(0x0f);
  if (row.map === MAP_0F38) bytes.push(0x38);
  if (row.map === MAP_0F3A) bytes.push(0x3a);
  bytes.push(row.opcode | parts.opcodeRegister);
  const immediateBytes = parts.immediates.reduce((sum, immediate) => sum + immediate.bytes, 0);
  if (row.modrm === MODRM_FIXED) bytes.push(row.modrmValue);
  else if (row.modrm !== MODRM_NONE) {
    if (parts.rm === undefined) {
      // LFENCE and the like: any register field does.
      if (row.mod !== MOD_REGISTER) return undefined;
      bytes.push(0xc0 | (parts.reg << 3));
    } else if (parts.rm.kind === 'register') bytes.push(0xc0 | (parts.reg << 3) | (parts.rm.register.number & 7));
    else if (address === undefined || !pushAddress(bytes, address, parts.reg, context, immediateBytes)) return undefined;
  }
  if (parts.moffs !== undefined) pushValue(bytes, parts.moffs, addressBits / 8);
  for (const immediate of parts.immediates) pushValue(bytes, immediate.value, immediate.bytes);
  if (parts.relative !== undefined && !pushRelative(bytes, parts.relative, operandBits, context)) return undefined;
  return { bytes, guessedBits: parts.guessedBits, wide: row.rexW === 1 };
}

function pushRelative(bytes: number[], relative: { target: bigint; known: boolean; bytes: number }, operandBits: number, context: EncodeContext): boolean {
  const distance = relative.target - (context.address + BigInt(bytes.length + relative.bytes));
  // In 16-bit code a branch wraps within 64 KiB.
  const wrapped = operandBits === 16 && relative.bytes === 2 ? BigInt.asIntN(16, distance) : distance;
  const limit = 1n << BigInt(8 * relative.bytes - 1);
  if (relative.known && (wrapped < -limit || wrapped >= limit)) return false;
  pushValue(bytes, wrapped, relative.bytes);
  return true;
}

/** ModRM.rm of 16-bit addresses by base and index register numbers (16 = none). */
const FORMS_16: readonly (readonly [number, number])[] = [[3, 6], [3, 7], [5, 6], [5, 7], [6, 16], [7, 16], [5, 16], [3, 16]];

function pushAddress(bytes: number[], address: Address, reg: number, context: EncodeContext, immediateBytes: number): boolean {
  const { displacement, base, index } = address;
  const modrm = (mod: number, rm: number): number => (mod << 6) | (reg << 3) | rm;
  if (address.bits === 16) {
    const value = BigInt.asIntN(16, displacement);
    if (base === undefined && index === undefined) {
      bytes.push(modrm(0, 6));
      pushValue(bytes, displacement, 2);
      return true;
    }
    const numbers = [base?.number ?? 16, index?.number ?? 16];
    if (address.scale !== 1) return mistake('16-bit addresses have no scale');
    const rm = FORMS_16.findIndex(([b, i]) => (b === numbers[0] && i === numbers[1]) || (b === numbers[1] && i === numbers[0]));
    if (rm < 0) return mistake('16-bit addresses are made of BX or BP and SI or DI');
    const bytesNeeded = value === 0n && rm !== 6 ? 0 : value >= -128n && value <= 127n ? 1 : 2;
    bytes.push(modrm(bytesNeeded, rm));
    pushValue(bytes, value, bytesNeeded);
    return true;
  }
  if (address.ripRelative) {
    bytes.push(modrm(0, 5));
    const distance = displacement - (context.address + BigInt(bytes.length + 4 + immediateBytes));
    if (address.known && !fits32(distance)) return mistake('the address is too far away for RIP-relative addressing');
    pushValue(bytes, distance, 4);
    return true;
  }
  const value = address.bits === 32 ? BigInt.asIntN(32, displacement) : displacement;
  if (address.known && !(fits32(value) || (address.bits === 32 && fitsUnsignedOrSigned(displacement, 32)))) {
    return mistake('the displacement does not fit 32 signed bits');
  }
  if (base === undefined) {
    if (index === undefined && context.bits !== 64) bytes.push(modrm(0, 5));
    else bytes.push(modrm(0, 4), (scaleBits(address.scale) << 6) | (((index?.number ?? 4) & 7) << 3) | 5);
    pushValue(bytes, value, 4);
    return true;
  }
  const needsDisplacement = (base.number & 7) === 5;
  const size = value === 0n && !needsDisplacement ? 0 : value >= -128n && value <= 127n ? 1 : 4;
  const mod = size === 0 ? 0 : size === 1 ? 1 : 2;
  if (index !== undefined || (base.number & 7) === 4) {
    bytes.push(modrm(mod, 4), (scaleBits(address.scale) << 6) | (((index?.number ?? 4) & 7) << 3) | (base.number & 7));
  } else bytes.push(modrm(mod, base.number & 7));
  pushValue(bytes, value, size);
  return true;
}

function scaleBits(scale: number): number {
  return scale === 8 ? 3 : scale === 4 ? 2 : scale === 2 ? 1 : 0;
}
