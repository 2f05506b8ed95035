/**
 * Operands of an instruction: parsed once into a form with expressions, evaluated in every pass. Syntax as in NASM: an optional size
 * keyword, then a register, `[memory]`, a value, or `segment:offset`.
 */
import { mistake } from './errors';
import { evaluate, parseExpression } from './expression';
import type { Expression, Scope, TokenReader } from './expression';
import { parseRegister } from './registers';
import type { Register } from './registers';

/** Bits by size keyword. */
export const SIZE_BITS: Readonly<Record<string, number>> = { byte: 8, word: 16, dword: 32, qword: 64, tword: 80, oword: 128 };

export interface ParsedOperand {
  /** Bits of the size keyword, 0 without. */
  readonly size: number;
  readonly strict: boolean;
  readonly distance: '' | 'short' | 'near' | 'far';
  /** `to` of the x87. */
  readonly to: boolean;
  readonly memory: boolean;
  /** Segment override of a memory operand, or -1. */
  readonly segment: number;
  /** Size keyword inside the brackets: the address size, 0 without. */
  readonly addressBits: number;
  /** `rel` or `abs` inside the brackets. */
  readonly addressing: '' | 'rel' | 'abs';
  readonly expression: Expression;
  /** The segment of `segment:offset`. */
  readonly selector: Expression | undefined;
}

/** Parses one operand up to a comma or the end. */
export function parseOperand(reader: TokenReader, scope: string): ParsedOperand {
  let size = 0, strict = false, to = false, distance: ParsedOperand['distance'] = '';
  for (let word = reader.peekWord(); word !== undefined; word = reader.peekWord()) {
    if (SIZE_BITS[word] !== undefined) size = SIZE_BITS[word];
    else if (word === 'strict') strict = true;
    else if (word === 'to') to = true;
    else if (word === 'short' || word === 'near' || word === 'far') distance = word;
    else if (word !== 'ptr') break;
    reader.at++;
  }
  const common = { size, strict, distance, to };
  if (reader.take('[')) return { ...common, ...parseMemory(reader, scope) };
  const expression = parseExpression(reader, scope);
  const selector = reader.take(':') ? expression : undefined;
  return {
    ...common, memory: false, segment: -1, addressBits: 0, addressing: '', selector,
    expression: selector === undefined ? expression : parseExpression(reader, scope),
  };
}

function parseMemory(
  reader: TokenReader, scope: string,
): Pick<ParsedOperand, 'memory' | 'segment' | 'addressBits' | 'addressing' | 'expression' | 'selector'> {
  let addressBits = 0, segment = -1, addressing: ParsedOperand['addressing'] = '';
  for (let word = reader.peekWord(); word !== undefined; word = reader.peekWord()) {
    if (SIZE_BITS[word] !== undefined) addressBits = SIZE_BITS[word];
    else if (word === 'rel' || word === 'abs') addressing = word;
    else {
      const register = parseRegister(word);
      if (register?.registers !== 'segment') break;
      segment = register.number;
      reader.at++;
      reader.expect(':');
      continue;
    }
    reader.at++;
  }
  const expression = parseExpression(reader, scope);
  reader.expect(']');
  return { memory: true, segment, addressBits, addressing, expression, selector: undefined };
}

/** A memory operand ready for ModRM encoding. */
export interface Address {
  readonly bits: number;
  readonly base: Register | undefined;
  readonly index: Register | undefined;
  /** 1, 2, 4, 8. */
  readonly scale: number;
  readonly displacement: bigint;
  readonly known: boolean;
  /** The displacement is relative to the next instruction. */
  readonly ripRelative: boolean;
  /** The address size was written inside the brackets. */
  readonly sized: boolean;
  readonly segment: number;
}

export type Operand =
  | { readonly kind: 'register'; readonly register: Register; readonly to: boolean }
  | { readonly kind: 'memory'; readonly address: Address; readonly size: number; readonly far: boolean }
  | {
    readonly kind: 'immediate'; readonly value: bigint; readonly known: boolean; readonly size: number; readonly strict: boolean;
    readonly distance: ParsedOperand['distance'];
  }
  | { readonly kind: 'far'; readonly selector: bigint; readonly offset: bigint; readonly size: number };

export interface AddressDefaults {
  /** Code size. */
  readonly bits: number;
  /** `default rel` is in force. */
  readonly relative: boolean;
}

/** Evaluates a parsed operand. */
export function resolveOperand(parsed: ParsedOperand, scope: Scope, defaults: AddressDefaults): Operand {
  const value = evaluate(parsed.expression, scope);
  if (parsed.selector !== undefined) {
    return { kind: 'far', selector: constantOf(parsed.selector, scope), offset: value.constant, size: parsed.size };
  }
  if (parsed.memory) {
    return { kind: 'memory', address: resolveAddress(parsed, value.registers, value.constant, value.known, defaults), size: parsed.size, far: parsed.distance === 'far' };
  }
  if (value.registers.length === 0) {
    return { kind: 'immediate', value: value.constant, known: value.known, size: parsed.size, strict: parsed.strict, distance: parsed.distance };
  }
  const [register, factor] = value.registers[0];
  if (value.registers.length > 1 || factor !== 1n || value.constant !== 0n || parsed.expression.kind !== 'register') mistake('arithmetic with registers needs brackets');
  if (parsed.size !== 0 && register.bits !== 0 && parsed.size !== register.bits) mistake(`${register.name} does not have this size`);
  return { kind: 'register', register, to: parsed.to };
}

function constantOf(expression: Expression, scope: Scope): bigint {
  const value = evaluate(expression, scope);
  if (value.registers.length > 0) mistake('a register cannot stand here');
  return value.constant;
}

function resolveAddress(
  parsed: ParsedOperand, terms: readonly (readonly [Register, bigint])[], displacement: bigint, known: boolean, defaults: AddressDefaults,
): Address {
  // One entry per register.
  const factors = new Map<Register, bigint>();
  for (const [register, factor] of terms) factors.set(register, (factors.get(register) ?? 0n) + factor);
  const list = [...factors].filter(([, factor]) => factor !== 0n);
  for (const [register] of list) if (register.registers !== 'general' || register.bits === 8) mistake(`${register.name} cannot form an address`);
  const bits = list.length > 0 ? list[0][0].bits : parsed.addressBits !== 0 ? parsed.addressBits : defaults.bits;
  if (list.some(([register]) => register.bits !== bits)) mistake('an address cannot mix registers of different sizes');
  if (bits === 16 && defaults.bits === 64) mistake('64-bit code has no 16-bit addresses');
  if (bits === 64 && defaults.bits !== 64) mistake('64-bit addresses exist in 64-bit code only');
  const common = { bits, displacement, known, segment: parsed.segment, sized: parsed.addressBits !== 0 };
  if (list.length === 0) {
    const usesThread = parsed.segment === 4 || parsed.segment === 5;
    const ripRelative = defaults.bits === 64 && parsed.addressBits === 0 && (parsed.addressing === 'rel' || (parsed.addressing === '' && defaults.relative && !usesThread));
    return { ...common, base: undefined, index: undefined, scale: 1, ripRelative };
  }
  if (parsed.addressing === 'rel') mistake('a RIP-relative address has no other register');
  return { ...common, ...chooseBaseAndIndex(list), ripRelative: false };
}

function chooseBaseAndIndex(list: readonly (readonly [Register, bigint])[]): Pick<Address, 'base' | 'index' | 'scale'> {
  const isStack = (register: Register): boolean => register.number === 4 && register.bits !== 16;
  if (list.length > 2) mistake('an address has at most two registers');
  const [first, firstFactor] = list[0];
  if (list.length === 1) {
    if (firstFactor !== 1n && isStack(first)) mistake('the stack pointer cannot be an index');
    switch (firstFactor) {
      case 1n: return { base: first, index: undefined, scale: 1 };
      // Two times as base + index saves the displacement that an index without base needs.
      case 2n: return { base: first, index: first, scale: 1 };
      case 3n: case 5n: case 9n: return { base: first, index: first, scale: Number(firstFactor) - 1 };
      case 4n: case 8n: return { base: undefined, index: first, scale: Number(firstFactor) };
      default: return mistake(`a register cannot be multiplied by ${firstFactor} here`);
    }
  }
  const [second, secondFactor] = list[1];
  let base = first, index = second, factor = secondFactor;
  if (firstFactor !== 1n || (secondFactor === 1n && isStack(second))) {
    base = second;
    index = first;
    factor = firstFactor;
    if (secondFactor !== 1n) mistake('only one register of an address can be scaled');
  }
  if (isStack(index)) mistake('the stack pointer cannot be an index');
  if (factor !== 1n && factor !== 2n && factor !== 4n && factor !== 8n) mistake(`a register cannot be multiplied by ${factor} here`);
  return { base, index, scale: Number(factor) };
}
