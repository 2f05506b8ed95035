/**
 * The assembler of the playground and of the built-in guests: NASM's syntax (a subset), flat binary output, all instructions of this
 * CPU. Encodings come from the opcode table, so what the CPU knows can be written, and nothing else.
 *
 * Directives: bits, use16/32/64, org, default rel/abs, align, alignb, times, db dw dd dq dt do, resb..reso, equ, absolute, struc, section (the
 * order of the source is kept), global. Passes repeat until no address moves; encodings only ever grow, so that this ends.
 */
import { SourceError, mistake } from './errors';
import type { AssemblyError } from './errors';
import { evaluate, fullName, parseExpression, TokenReader } from './expression';
import type { Expression, Scope } from './expression';
import { tokenize } from './lexer';
import type { Token } from './lexer';
import { encode, isMnemonic } from './encoder';
import type { InstructionPrefixes } from './encoder';
import { parseOperand, resolveOperand } from './operands';
import type { ParsedOperand } from './operands';
import { preprocess } from './preprocessor';
import { SEGMENT_NAMES } from '../../cpu/opcodes/operand-kinds';

export type { AssemblyError } from './errors';

export interface AssemblerOptions {
  /** Code size before any `bits`; 16 as in NASM. */
  readonly bits?: 16 | 32 | 64;
  /** Address of the first byte before any `org`. */
  readonly origin?: bigint;
  /** Names defined before the first line, as by %define. */
  readonly defines?: Readonly<Record<string, string>>;
  /** Files that %include finds, by name. Errors in them are reported at the line of the %include. */
  readonly includes?: Readonly<Record<string, string>>;
}

export interface ListingLine {
  /** Line of the source, from 1. */
  readonly line: number;
  readonly address: bigint;
  /** Offset of its bytes in the image, and how many they are. */
  readonly offset: number;
  readonly length: number;
}

export type AssemblyResult =
  | {
    readonly ok: true;
    readonly bytes: Uint8Array;
    /** Address of the first byte. */
    readonly origin: bigint;
    readonly symbols: ReadonlyMap<string, bigint>;
    /** One entry per line that made bytes, in order of address. */
    readonly listing: readonly ListingLine[];
  }
  | { readonly ok: false; readonly errors: readonly AssemblyError[] };

/** Largest image. */
const MAX_IMAGE_BYTES = 64 << 20;
/** Statements, repetitions counted, in one pass. */
const MAX_STATEMENTS = 1000000;
const MAX_PASSES = 40;
const MAX_ERRORS = 50;

type DataItem = { readonly expression: Expression } | { readonly bytes: readonly number[] } | { readonly float: number };

type Action =
  | { readonly kind: 'instruction'; readonly name: string; readonly operands: readonly ParsedOperand[]; readonly prefixes: InstructionPrefixes }
  | { readonly kind: 'data'; readonly width: number; readonly items: readonly DataItem[] }
  | { readonly kind: 'reserve'; readonly width: number; readonly count: Expression }
  | { readonly kind: 'align'; readonly boundary: Expression; readonly fill: Action | undefined }
  | { readonly kind: 'equ'; readonly value: Expression }
  | { readonly kind: 'bits'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'org'; readonly value: Expression }
  /** Null: back to the image. */
  | { readonly kind: 'absolute'; readonly value: Expression | null }
  | { readonly kind: 'default'; readonly relative: boolean }
  | { readonly kind: 'nothing' };

interface Statement {
  readonly line: number;
  readonly label: string | undefined;
  readonly times: Expression | undefined;
  readonly action: Action;
  /** Lengths chosen so far for the repetitions' instruction. */
  least: number;
}

const DATA_WIDTH: Readonly<Record<string, number>> = { db: 1, dw: 2, dd: 4, dq: 8, dt: 10, do: 16 };
const RESERVE_WIDTH: Readonly<Record<string, number>> = { resb: 1, resw: 2, resd: 4, resq: 8, rest: 10, reso: 16 };
const REPEAT_PREFIX: Readonly<Record<string, number>> = {
  lock: 0xf0, rep: 0xf3, repe: 0xf3, repz: 0xf3, repne: 0xf2, repnz: 0xf2,
};
const SEGMENT_BYTE = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const SIZE_PREFIX = /^([oa])(16|32|64)$/;
const DIRECTIVES = ['bits', 'org', 'default', 'align', 'alignb', 'section', 'segment', 'global', 'extern', 'common', 'static', 'absolute', 'use16', 'use32', 'use64', 'cpu', 'equ', 'times'];

// --- Parsing ---

function isKeyword(word: string): boolean {
  return isMnemonic(word) || DATA_WIDTH[word] !== undefined || RESERVE_WIDTH[word] !== undefined || DIRECTIVES.includes(word)
    || REPEAT_PREFIX[word] !== undefined || SIZE_PREFIX.test(word) || SEGMENT_NAMES.includes(word);
}

class LineParser {
  /** Last label without a leading dot: local labels belong to it. */
  scope = '';

  parse(text: string, line: number): Statement | undefined {
    const reader = new TokenReader(tokenize(text));
    let label: string | undefined;
    const first = reader.peek();
    if (first?.kind === 'name') {
      const second = reader.tokens[1] as Token | undefined;
      const colon = second?.kind === 'symbol' && second.text === ':';
      if (colon || !isKeyword(first.text.toLowerCase())) {
        reader.at += colon ? 2 : 1;
        if (!colon && second !== undefined && second.kind !== 'name') mistake(`unknown instruction ${first.text}`);
        // A word alone could be a forgotten operand; NASM takes it as a label, and so does this.
        label = fullName(first.text, this.scope);
        if (!first.text.startsWith('.')) this.scope = label;
        if (!colon && second?.kind === 'name' && !isKeyword(second.text.toLowerCase())) mistake(`unknown instruction ${first.text}`);
      }
    }
    if (reader.done) return label === undefined ? undefined : { line, label, times: undefined, action: { kind: 'nothing' }, least: 0 };
    let times: Expression | undefined;
    if (reader.peekWord() === 'times') {
      reader.at++;
      times = parseExpression(reader, this.scope);
    }
    const bracketed = reader.take('[');
    const action = this.action(reader);
    if (bracketed) reader.expect(']');
    if (!reader.done) mistake('unexpected text at the end of the line');
    if (action.kind === 'equ' && label === undefined) mistake('equ needs a name before it');
    return { line, label, times, action, least: 0 };
  }

  private action(reader: TokenReader): Action {
    const word = reader.peekWord() ?? mistake('expected an instruction or a directive');
    if (DATA_WIDTH[word] !== undefined) {
      reader.at++;
      return { kind: 'data', width: DATA_WIDTH[word], items: this.dataItems(reader, DATA_WIDTH[word]) };
    }
    if (RESERVE_WIDTH[word] !== undefined) {
      reader.at++;
      return { kind: 'reserve', width: RESERVE_WIDTH[word], count: parseExpression(reader, this.scope) };
    }
    switch (word) {
      case 'equ':
        reader.at++;
        return { kind: 'equ', value: parseExpression(reader, this.scope) };
      case 'bits': {
        reader.at++;
        const token = reader.next();
        const bits = token.kind === 'number' ? Number(token.value) : 0;
        return bits === 16 || bits === 32 || bits === 64 ? { kind: 'bits', bits } : mistake('bits is 16, 32 or 64');
      }
      case 'use16': case 'use32': case 'use64':
        reader.at++;
        return { kind: 'bits', bits: word === 'use16' ? 16 : word === 'use32' ? 32 : 64 };
      case 'org':
        reader.at++;
        return { kind: 'org', value: parseExpression(reader, this.scope) };
      case 'default': {
        reader.at++;
        const mode = reader.peekWord();
        reader.at++;
        return mode === 'rel' || mode === 'abs' ? { kind: 'default', relative: mode === 'rel' } : mistake('default is rel or abs');
      }
      case 'align': case 'alignb': {
        reader.at++;
        const boundary = parseExpression(reader, this.scope);
        if (reader.take(',')) return { kind: 'align', boundary, fill: this.action(reader) };
        return { kind: 'align', boundary, fill: word === 'alignb' ? { kind: 'data', width: 1, items: [{ bytes: [0] }] } : undefined };
      }
      case 'absolute':
        reader.at++;
        return { kind: 'absolute', value: parseExpression(reader, this.scope) };
      case 'section': case 'segment':
        reader.at = reader.tokens.length;
        return { kind: 'absolute', value: null };
      case 'global': case 'static': case 'cpu':
        reader.at = reader.tokens.length;
        return { kind: 'nothing' };
      case 'extern': case 'common':
        return mistake(`${word} has no meaning in a flat image`);
      default: return this.instruction(reader);
    }
  }

  private dataItems(reader: TokenReader, width: number): DataItem[] {
    const items: DataItem[] = [];
    do {
      const token = reader.peek(), after = reader.tokens[reader.at + 1] as Token | undefined;
      const alone = after === undefined || (after.kind === 'symbol' && after.text === ',');
      if (token?.kind === 'string' && alone && (width === 1 || token.bytes.length > width || token.bytes.length === 0)) {
        reader.at++;
        items.push({ bytes: padded(token.bytes, width) });
      } else if (token?.kind === 'float' || (token?.kind === 'symbol' && token.text === '-' && after?.kind === 'float')) {
        const negative = reader.take('-');
        const number = reader.next();
        const value = number.kind === 'float' ? number.value : 0;
        items.push({ float: negative ? -value : value });
      } else items.push({ expression: parseExpression(reader, this.scope) });
    } while (reader.take(','));
    return items;
  }

  private instruction(reader: TokenReader): Action {
    const bytes: number[] = [];
    let operandBits = 0, addressBits = 0;
    for (;;) {
      const word = reader.peekWord() ?? mistake('expected an instruction');
      const size = SIZE_PREFIX.exec(word);
      if (REPEAT_PREFIX[word] !== undefined) bytes.push(REPEAT_PREFIX[word]);
      else if (SEGMENT_NAMES.includes(word)) bytes.push(SEGMENT_BYTE[SEGMENT_NAMES.indexOf(word)]);
      else if (size !== null) {
        if (size[1] === 'o') operandBits = Number(size[2]);
        else addressBits = Number(size[2]);
      } else break;
      reader.at++;
      if (reader.done) return { kind: 'data', width: 1, items: [{ bytes }] };
    }
    const name = reader.peekWord() ?? '';
    if (!isMnemonic(name)) mistake(`unknown instruction ${name}`);
    reader.at++;
    const operands: ParsedOperand[] = [];
    if (!reader.done) {
      do operands.push(parseOperand(reader, this.scope)); while (reader.take(','));
    }
    return { kind: 'instruction', name, operands, prefixes: { bytes, operandBits, addressBits } };
  }
}

function padded(bytes: readonly number[], width: number): number[] {
  const result = [...bytes];
  while (result.length % width !== 0) result.push(0);
  return result;
}

/** Bytes of a floating-point number in 4, 8 or 10 bytes. */
function floatBytes(value: number, width: number): number[] {
  const view = new DataView(new ArrayBuffer(10));
  if (width === 4) view.setFloat32(0, value, true);
  else if (width === 8) view.setFloat64(0, value, true);
  else if (width === 10) {
    view.setFloat64(0, value, true);
    const bits = view.getBigUint64(0, true);
    const exponent = Number((bits >> 52n) & 0x7ffn), fraction = bits & 0xfffffffffffffn;
    const special = exponent === 0x7ff;
    if (exponent === 0 && fraction !== 0n) mistake('this number is too small for dt');
    const zero = exponent === 0;
    view.setBigUint64(0, zero ? 0n : (1n << 63n) | (fraction << 11n), true);
    view.setUint16(8, (zero ? 0 : special ? 0x7fff : exponent - 1023 + 16383) | (value < 0 || Object.is(value, -0) ? 0x8000 : 0), true);
  } else mistake('floating-point numbers need dd, dq or dt');
  return [...new Uint8Array(view.buffer, 0, width)];
}

// --- Passes ---

class Output {
  bytes = new Uint8Array(1 << 16);
  length = 0;

  push(added: readonly number[]): void {
    this.reserve(added.length);
    this.bytes.set(added, this.length - added.length);
  }

  fill(value: number, count: number): void {
    this.reserve(count);
    this.bytes.fill(value, this.length - count, this.length);
  }

  /** Appends `count` zero bytes. */
  reserve(count: number): void {
    const end = this.length + count;
    if (end > MAX_IMAGE_BYTES) mistake('the image is too large');
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.length = end;
  }
}

class Pass {
  readonly symbols = new Map<string, bigint>();
  readonly output = new Output();
  readonly listing: ListingLine[] = [];
  readonly errors: AssemblyError[] = [];
  /** Symbols of the pass before. */
  private readonly before: ReadonlyMap<string, bigint>;
  /** In the last passes unknown symbols are errors. */
  private readonly final: boolean;
  private bits: 16 | 32 | 64;
  private relative = false;
  /** Address after `absolute`, where nothing is put out; null in the image. */
  private absolute: bigint | null = null;
  private statements = 0;
  origin: bigint;

  constructor(before: ReadonlyMap<string, bigint>, final: boolean, options: AssemblerOptions) {
    this.before = before;
    this.final = final;
    this.bits = options.bits ?? 16;
    this.origin = options.origin ?? 0n;
  }

  run(statements: readonly Statement[]): void {
    for (const statement of statements) {
      const start = this.output.length;
      const address = this.address();
      try {
        this.statement(statement);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        this.errors.push({ line: statement.line, message: error.message });
        if (this.errors.length >= MAX_ERRORS) return;
      }
      const length = this.output.length - start;
      if (length > 0) this.listing.push({ line: statement.line, address, offset: start, length });
    }
  }

  private address(): bigint {
    return this.absolute ?? this.origin + BigInt(this.output.length);
  }

  private scope(): Scope {
    return {
      lookup: (name) => {
        const value = this.symbols.get(name) ?? this.before.get(name);
        if (value === undefined && this.final) mistake(`${name} is not defined`);
        return value;
      },
      here: this.address(),
      start: this.origin,
    };
  }

  private statement(statement: Statement): void {
    const { label, action } = statement;
    if (label !== undefined) {
      if (this.symbols.has(label)) mistake(`${label} is defined twice`);
      if (action.kind === 'equ') {
        const value = evaluate(action.value, this.scope());
        if (value.registers.length > 0) mistake('a register cannot stand here');
        if (value.known) this.symbols.set(label, value.constant);
        return;
      }
      this.symbols.set(label, this.address());
    }
    const times = statement.times === undefined ? 1 : this.count(statement.times);
    this.statements += times;
    if (this.statements > MAX_STATEMENTS) mistake('the source repeats too much');
    for (let i = 0; i < times; i++) this.perform(action, statement);
  }

  /** A repetition count or size: a number that is not negative. */
  private count(expression: Expression): number {
    const value = evaluate(expression, this.scope());
    if (value.registers.length > 0) mistake('a register cannot stand here');
    if (!value.known) return 0;
    if (value.constant < 0n && this.final) mistake(`${value.constant} is negative`);
    if (value.constant > BigInt(MAX_IMAGE_BYTES)) mistake(`${value.constant} is too large`);
    return value.constant < 0n ? 0 : Number(value.constant);
  }

  private perform(action: Action, statement: Statement): void {
    if (this.absolute !== null && (action.kind === 'instruction' || action.kind === 'data')) mistake('only resb and the like are possible after absolute');
    switch (action.kind) {
      case 'instruction': {
        const scope = this.scope();
        const operands = action.operands.map((operand) => resolveOperand(operand, scope, { bits: this.bits, relative: this.relative }));
        const bytes = encode(action.name, operands, action.prefixes, { bits: this.bits, address: this.address(), least: statement.least });
        statement.least = Math.max(statement.least, bytes.length);
        this.output.push(bytes);
        return;
      }
      case 'data': {
        // $ is the address of the whole line.
        const scope = this.scope();
        for (const item of action.items) this.output.push(this.dataBytes(item, action.width, scope));
        return;
      }
      case 'reserve': this.reserve(this.count(action.count) * action.width); return;
      case 'absolute': {
        const value = action.value === null ? null : evaluate(action.value, this.scope());
        this.absolute = value === null ? null : value.constant;
        return;
      }
      case 'align': this.align(action, statement); return;
      case 'bits': this.bits = action.bits; return;
      case 'default': this.relative = action.relative; return;
      case 'org': {
        const value = evaluate(action.value, this.scope());
        if (this.output.length > 0) mistake('org must come before the first byte');
        this.origin = value.constant;
        return;
      }
      case 'equ': case 'nothing': return;
    }
  }

  private reserve(bytes: number): void {
    if (this.absolute === null) this.output.reserve(bytes);
    else this.absolute += BigInt(bytes);
  }

  private align(action: Extract<Action, { kind: 'align' }>, statement: Statement): void {
    const boundary = this.count(action.boundary);
    if (boundary === 0 || (boundary & (boundary - 1)) !== 0) mistake('the alignment must be a power of two');
    const mask = BigInt(boundary - 1);
    const { fill } = action;
    if (this.absolute !== null) {
      this.absolute += -this.absolute & mask;
      return;
    }
    if (fill === undefined) {
      this.output.fill(0x90, Number(-this.address() & mask));
      return;
    }
    while ((this.address() & mask) !== 0n) {
      if (++this.statements > MAX_STATEMENTS) mistake('the source repeats too much');
      this.perform(fill, { ...statement, least: 0 });
    }
  }

  private dataBytes(item: DataItem, width: number, scope: Scope): readonly number[] {
    if ('bytes' in item) return item.bytes;
    if ('float' in item) return floatBytes(item.float, width);
    const value = evaluate(item.expression, scope);
    if (value.registers.length > 0) mistake('a register cannot stand here');
    const bytes: number[] = [];
    let rest = value.constant;
    const limit = 1n << BigInt(8 * width);
    if (value.known && width < 8 && (rest >= limit || rest < -(limit >> 1n))) mistake(`${rest} does not fit ${width} bytes`);
    for (let i = 0; i < width; i++) {
      bytes.push(Number(rest & 0xffn));
      rest >>= 8n;
    }
    return bytes;
  }
}

function sameSymbols(a: ReadonlyMap<string, bigint>, b: ReadonlyMap<string, bigint>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}

/** Assembles a source text. */
export function assemble(source: string, options: AssemblerOptions = {}): AssemblyResult {
  const { lines, errors: sourceErrors } = preprocess(source, options.defines ?? {}, options.includes ?? {});
  const errors: AssemblyError[] = [...sourceErrors];
  const parser = new LineParser();
  const statements: Statement[] = [];
  for (const { text, line } of lines) {
    try {
      const statement = parser.parse(text, line);
      if (statement !== undefined) statements.push(statement);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      errors.push({ line, message: error.message });
    }
  }
  if (errors.length > 0) return failure(errors);
  let symbols: ReadonlyMap<string, bigint> = new Map();
  for (let n = 0; n < MAX_PASSES; n++) {
    const pass = new Pass(symbols, n > 1, options);
    pass.run(statements);
    const settled = n > 1 && sameSymbols(symbols, pass.symbols);
    if (pass.errors.length > 0 && (settled || n > 2)) return failure(pass.errors);
    if (settled) {
      return {
        ok: true, bytes: pass.output.bytes.slice(0, pass.output.length), origin: pass.origin, symbols: pass.symbols, listing: pass.listing,
      };
    }
    symbols = pass.symbols;
  }
  return failure([{ line: 1, message: 'the addresses do not settle: a size depends on itself' }]);
}

function failure(errors: AssemblyError[]): AssemblyResult {
  errors.sort((a, b) => a.line - b.line);
  return { ok: false, errors };
}
