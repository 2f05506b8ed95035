/**
 * Expressions: 64-bit integers with NASM's operators and priorities, symbols, $ and $$. Inside brackets registers take part,
 * as sums and multiples; `evaluate` collects them beside the constant.
 */
import { mistake } from './errors';
import type { Token } from './lexer';
import { parseRegister } from './registers';
import type { Register } from './registers';

export type Expression =
  | { readonly kind: 'constant'; readonly value: bigint }
  | { readonly kind: 'symbol'; readonly name: string }
  | { readonly kind: 'here' }
  | { readonly kind: 'start' }
  | { readonly kind: 'register'; readonly register: Register }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'choice'; readonly condition: Expression; readonly yes: Expression; readonly no: Expression };

const MAX_NESTING = 100;

/** A position in a token list. */
export class TokenReader {
  readonly tokens: readonly Token[];
  at: number;
  private depth = 0;

  constructor(tokens: readonly Token[], at = 0) {
    this.tokens = tokens;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.tokens.length;
  }

  peek(): Token | undefined {
    return this.tokens[this.at];
  }

  next(): Token {
    const token = this.tokens[this.at++];
    return token ?? mistake('the line ends too early');
  }

  /** Enters (or leaves, with -1) a nested expression. */
  nest(step: number): void {
    this.depth += step;
    if (this.depth > MAX_NESTING) mistake('the expression is nested too deeply');
  }

  /** True, and past it, when the next token is this symbol. */
  take(symbol: string): boolean {
    const token = this.peek();
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.at++;
    return true;
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) mistake(`expected ${symbol}`);
  }

  /** The next token's text in lower case if it is a name, without moving. */
  peekWord(): string | undefined {
    const token = this.peek();
    return token?.kind === 'name' ? token.text.toLowerCase() : undefined;
  }
}

/** Binary operators, weakest first. */
const LEVELS: readonly (readonly string[])[] = [
  ['||'], ['&&'], ['==', '=', '!=', '<>', '<', '<=', '>', '>='], ['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '//', '%', '%%'],
];

/** Parses an expression; local names (.x) are completed with `scope`, the last label without a leading dot. */
export function parseExpression(reader: TokenReader, scope: string, level = 0): Expression {
  if (level === LEVELS.length) return parseUnary(reader, scope);
  let left = parseExpression(reader, scope, level + 1);
  for (;;) {
    const token = reader.peek();
    if (token?.kind !== 'symbol' || !LEVELS[level].includes(token.text)) break;
    reader.at++;
    left = { kind: 'binary', operator: token.text, left, right: parseExpression(reader, scope, level + 1) };
  }
  if (level === 0 && reader.take('?')) {
    reader.nest(1);
    const yes = parseExpression(reader, scope);
    reader.expect(':');
    const no = parseExpression(reader, scope);
    reader.nest(-1);
    return { kind: 'choice', condition: left, yes, no };
  }
  return left;
}

function parseUnary(reader: TokenReader, scope: string): Expression {
  const token = reader.next();
  switch (token.kind) {
    case 'number': return { kind: 'constant', value: token.value };
    case 'string': return { kind: 'constant', value: stringValue(token.bytes) };
    case 'float': return mistake('a floating-point number is only possible in dd, dq and dt');
    case 'name': {
      if (token.text === '$') return { kind: 'here' };
      if (token.text === '$$') return { kind: 'start' };
      const register = parseRegister(token.text);
      if (register !== undefined) return { kind: 'register', register };
      return { kind: 'symbol', name: fullName(token.text, scope) };
    }
    case 'symbol': {
      if (token.text === '(') {
        reader.nest(1);
        const inner = parseExpression(reader, scope);
        reader.nest(-1);
        reader.expect(')');
        return inner;
      }
      if (token.text === '-' || token.text === '+' || token.text === '~' || token.text === '!') {
        reader.nest(1);
        const operand = parseUnary(reader, scope);
        reader.nest(-1);
        return { kind: 'unary', operator: token.text, operand };
      }
      return mistake(`an expression cannot contain ${token.text} here`);
    }
  }
}

/** A character constant: the first character in the lowest byte. */
function stringValue(bytes: readonly number[]): bigint {
  if (bytes.length > 8) mistake('a character constant has at most 8 bytes');
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** Local labels belong to the last ordinary label. */
export function fullName(name: string, scope: string): string {
  const plain = name.startsWith('$') ? name.slice(1) : name;
  return plain.startsWith('.') && !plain.startsWith('..') ? scope + plain : plain;
}

/** What evaluation needs to know about its surroundings. */
export interface Scope {
  /** Value of a symbol; undefined when it is not known (yet). */
  readonly lookup: (name: string) => bigint | undefined;
  readonly here: bigint;
  readonly start: bigint;
}

export interface Value {
  readonly constant: bigint;
  /** False when a symbol was unknown; the constant is then meaningless. */
  readonly known: boolean;
  /** Registers with their factors, in order of appearance. */
  readonly registers: readonly (readonly [Register, bigint])[];
}

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
const constantValue = (constant: bigint, known = true): Value => ({ constant: wrap(constant), known, registers: [] });
const truth = (value: boolean): bigint => (value ? 1n : 0n);

/** Value of an expression. Symbols that `lookup` does not know make it unknown. */
export function evaluate(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'constant': return constantValue(expression.value);
    case 'here': return constantValue(scope.here);
    case 'start': return constantValue(scope.start);
    case 'register': return { constant: 0n, known: true, registers: [[expression.register, 1n]] };
    case 'symbol': {
      const value = scope.lookup(expression.name);
      return value === undefined ? constantValue(0n, false) : constantValue(value);
    }
    case 'unary': {
      const operand = evaluate(expression.operand, scope);
      switch (expression.operator) {
        case '+': return operand;
        case '-': return scale(operand, -1n);
        case '~': return constantValue(~plain(operand), operand.known);
        default: return constantValue(truth(plain(operand) === 0n), operand.known);
      }
    }
    case 'choice': {
      const condition = evaluate(expression.condition, scope);
      return evaluate(plain(condition) !== 0n ? expression.yes : expression.no, scope);
    }
    case 'binary': return binary(expression.operator, evaluate(expression.left, scope), evaluate(expression.right, scope));
  }
}

function scale(value: Value, factor: bigint): Value {
  return {
    constant: wrap(value.constant * factor), known: value.known, registers: value.registers.map(([register, n]) => [register, n * factor]),
  };
}

/** The constant of a value that must not contain registers. */
function plain(value: Value): bigint {
  if (value.registers.length > 0) mistake('a register cannot stand here');
  return value.constant;
}

function binary(operator: string, left: Value, right: Value): Value {
  const known = left.known && right.known;
  if (operator === '+') return { constant: wrap(left.constant + right.constant), known, registers: [...left.registers, ...right.registers] };
  if (operator === '-') return binary('+', left, scale(right, -1n));
  if (operator === '*') {
    if (left.registers.length > 0) return { ...scale(left, plain(right)), known };
    if (right.registers.length > 0) return { ...scale(right, plain(left)), known };
  }
  const a = plain(left), b = plain(right);
  return constantValue(known ? arithmetic(operator, a, b) : 0n, known);
}

function arithmetic(operator: string, a: bigint, b: bigint): bigint {
  const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
  switch (operator) {
    case '*': return a * b;
    case '/': case '//': case '%': case '%%':
      if (b === 0n) mistake('division by zero');
      if (operator === '/') return unsigned(a) / unsigned(b);
      if (operator === '//') return a / b;
      return operator === '%' ? unsigned(a) % unsigned(b) : a % b;
    case '<<': return b < 0n || b > 63n ? 0n : a << b;
    case '>>': return b < 0n || b > 63n ? 0n : unsigned(a) >> b;
    case '&': return a & b;
    case '|': return a | b;
    case '^': return a ^ b;
    case '&&': return truth(a !== 0n && b !== 0n);
    case '||': return truth(a !== 0n || b !== 0n);
    case '==': case '=': return truth(a === b);
    case '!=': case '<>': return truth(a !== b);
    case '<': return truth(a < b);
    case '<=': return truth(a <= b);
    case '>': return truth(a > b);
    default: return truth(a >= b);
  }
}
