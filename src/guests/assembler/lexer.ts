/**
 * Splits a line of NASM source into tokens: names, numbers (0x.., ..h, 0b.., ..b, 0o.., decimal, with _; floating point),
 * strings ('..' ".." verbatim, `..` with C escapes) and punctuation.
 */
import { mistake } from './errors';

export type Token =
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly bytes: readonly number[] }
  | { readonly kind: 'symbol'; readonly text: string };

const NAME = /[A-Za-z_.?@$][\w.?@$#~]*/y;
const FLOAT = /\d[\d_]*\.\d*(?:[eE][+-]?\d+)?|\d[\d_]*[eE][+-]\d+/y;
const NUMBER = /\d\w*/y;
const SYMBOL = /<<|>>|<=|>=|==|!=|<>|&&|\|\||\/\/|%%|[-+*/%&|^~()[\],:=<>!?{}]/y;
const SPACE = /\s*/y;

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Value of a number token as NASM writes numbers. */
export function parseNumber(source: string): bigint {
  const text = source.toLowerCase().replaceAll('_', '');
  const forms: [RegExp, string][] = [
    [/^0[xh]([0-9a-f]+)$/, '0x'], [/^0[by]([01]+)$/, '0b'], [/^0[oq]([0-7]+)$/, '0o'], [/^0[dt](\d+)$/, ''],
    [/^(\d+)[dt]?$/, ''], [/^([01]+)[by]$/, '0b'], [/^([0-7]+)[oq]$/, '0o'], [/^(\d[0-9a-f]*)[hx]$/, '0x'],
  ];
  for (const [pattern, prefix] of forms) {
    const digits = pattern.exec(text)?.[1];
    if (digits !== undefined) return BigInt(prefix + digits);
  }
  return mistake(`${source} is not a number`);
}

const ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, 0: 0, a: 7, b: 8, e: 27, f: 12, v: 11 };
const encoder = new TextEncoder();

/** Reads the string that opens at `at`; returns its bytes and the position after the closing quote. */
function readString(text: string, at: number): { bytes: number[]; end: number } {
  const quote = text[at];
  const bytes: number[] = [];
  let i = at + 1;
  for (; i < text.length && text[i] !== quote; i++) {
    if (quote === '`' && text[i] === '\\') {
      i++;
      const code = /^x[0-9a-fA-F]{1,2}/.exec(text.slice(i))?.[0];
      if (code !== undefined) {
        bytes.push(parseInt(code.slice(1), 16));
        i += code.length - 1;
      } else bytes.push(ESCAPES[text[i]] ?? text.charCodeAt(i));
    } else {
      const character = String.fromCodePoint(text.codePointAt(i) ?? 0);
      bytes.push(...encoder.encode(character));
      i += character.length - 1;
    }
  }
  if (i >= text.length) mistake('a string is not closed');
  return { bytes, end: i + 1 };
}

/** The line up to its comment: a semicolon outside strings. */
export function stripComment(line: string): string {
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (quote !== '') {
      if (c === '\\' && quote === '`') i++;
      else if (c === quote) quote = '';
    } else if (c === ';') return line.slice(0, i);
    else if (c === "'" || c === '"' || c === '`') quote = c;
  }
  return line;
}

/** Tokens of a line without comment. */
export function tokenize(line: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; ;) {
    at += match(SPACE, line, at)?.length ?? 0;
    if (at >= line.length) return tokens;
    const c = line[at];
    if (c === "'" || c === '"' || c === '`') {
      const { bytes, end } = readString(line, at);
      tokens.push({ kind: 'string', bytes });
      at = end;
      continue;
    }
    const float = match(FLOAT, line, at);
    if (float !== undefined) {
      tokens.push({ kind: 'float', value: Number(float.replaceAll('_', '')) });
      at += float.length;
      continue;
    }
    const number = match(NUMBER, line, at);
    if (number !== undefined) {
      tokens.push({ kind: 'number', value: parseNumber(number) });
      at += number.length;
      continue;
    }
    const name = match(NAME, line, at);
    if (name !== undefined) {
      tokens.push({ kind: 'name', text: name });
      at += name.length;
      continue;
    }
    const symbol = match(SYMBOL, line, at);
    if (symbol === undefined) mistake(`unexpected character ${c}`);
    tokens.push({ kind: 'symbol', text: symbol });
    at += symbol.length;
  }
}
