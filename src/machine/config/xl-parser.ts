/**
 * The syntax of Xen's guest files (xl.cfg(5), libxlu): `key = value` and `key += value`, ended by a newline or `;`; values are
 * numbers, quoted strings and lists of values; `#` starts a comment. There are no expressions.
 */
import { ConfigError } from './config-error';

/** A number keeps its text: Xen does not tell 512 from "512". */
export interface XlAtom {
  kind: 'atom';
  text: string;
  quoted: boolean;
  line: number;
}

export interface XlList {
  kind: 'list';
  items: XlValue[];
  line: number;
}

export type XlValue = XlAtom | XlList;

export interface XlSetting {
  key: string;
  value: XlValue;
  line: number;
  /** Where it stands, for messages. */
  file: string;
}

/** Settings by key: the last assignment counts. */
export type XlSettings = Map<string, XlSetting>;

interface Token {
  kind: 'identifier' | 'atom' | 'punctuation' | 'newline' | 'end';
  text: string;
  quoted: boolean;
  line: number;
  /** Where it stands in the text. */
  start: number;
  end: number;
}

/** Where an assignment stands in the text, for editors. */
export interface XlSpan {
  key: string;
  append: boolean;
  /** From the key to the end of the value. */
  start: number;
  valueStart: number;
  end: number;
}

const SIMPLE_ESCAPES: Record<string, string> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', "'": "'", '"': '"', '\\': '\\',
};

/** Deepest nesting of lists. */
const MAX_DEPTH = 16;

class Lexer {
  private at = 0;
  private tokenStart = 0;
  private line: number;
  private readonly source: string;
  readonly file: string;

  constructor(source: string, file: string, firstLine: number) {
    this.source = source;
    this.file = file;
    this.line = firstLine;
  }

  fail(line: number, reason: string): never {
    throw new ConfigError(this.file, line, '', reason);
  }

  private token(kind: Token['kind'], text: string, quoted = false): Token {
    return { kind, text, quoted, line: this.line, start: this.tokenStart, end: this.at };
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source);
    if (found === null) return null;
    this.at += found[0].length;
    return found[0];
  }

  next(): Token {
    this.match(/(?:[ \t\r]|#[^\n]*)*/y);
    this.tokenStart = this.at;
    if (this.at >= this.source.length) return this.token('end', 'the end of the file');
    const c = this.source[this.at];
    if (c === '\n') {
      const token = this.token('newline', 'the end of the line');
      this.at++;
      this.line++;
      return token;
    }
    if (c === '+' && this.source[this.at + 1] === '=') {
      this.at += 2;
      return this.token('punctuation', '+=');
    }
    if ('=;,[]'.includes(c)) {
      this.at++;
      return this.token('punctuation', c);
    }
    if (c === '"' || c === "'") return this.quoted(c);
    const number = this.match(/[0-9][0-9a-fx]*(?![._0-9a-zA-Z])/y);
    if (number !== null) return this.token('atom', number);
    const word = this.match(/[a-zA-Z_][._0-9a-zA-Z]*/y);
    if (word !== null) {
      if (word === 'True' || word === 'False' || word === 'None') {
        this.fail(this.line, `\`${word}\` is Python, not xl.cfg: write ${word === 'True' ? 1 : 0}`);
      }
      if (!/^[a-z]/.test(word) || /[A-Z]/.test(word)) this.fail(this.line, `\`${word}\` is not a key: keys are in lower case; strings need quotes`);
      return this.token('identifier', word);
    }
    const bad = this.match(/[^\s=;,[\]#]+/y) ?? c;
    return this.fail(this.line, `unexpected \`${bad}\``);
  }

  private quoted(quote: string): Token {
    let text = '';
    const start = this.at++;
    for (;;) {
      const c = this.source[this.at++];
      if (c === undefined || c === '\n') this.fail(this.line, `the string ${this.source.slice(start, start + 20)}... is not closed on its line`);
      if (c === quote) return this.token('atom', text, true);
      text += c === '\\' ? this.escape() : c;
    }
  }

  private escape(): string {
    const octal = this.match(/[0-7]{1,3}/y);
    if (octal !== null) return String.fromCharCode(Number.parseInt(octal, 8));
    const hex = this.match(/x[0-9a-fA-F]{2}/y);
    if (hex !== null) return String.fromCharCode(Number.parseInt(hex.slice(1), 16));
    const c = this.source[this.at++];
    const plain = c === undefined ? undefined : SIMPLE_ESCAPES[c];
    return plain ?? this.fail(this.line, `unknown escape \`\\${c ?? ''}\` in a string`);
  }
}

class Parser {
  private readonly lexer: Lexer;
  private token: Token;
  /** End of the last token taken. */
  private takenTo = 0;

  constructor(lexer: Lexer) {
    this.lexer = lexer;
    this.token = lexer.next();
  }

  private advance(): Token {
    const token = this.token;
    this.takenTo = token.end;
    this.token = this.lexer.next();
    return token;
  }

  private skipNewlines(): void {
    while (this.token.kind === 'newline') this.advance();
  }

  private unexpected(wanted: string): never {
    return this.lexer.fail(this.token.line, `expected ${wanted}, found ${this.token.kind === 'punctuation' ? `\`${this.token.text}\`` : this.token.text}`);
  }

  private is(text: string): boolean {
    return this.token.kind === 'punctuation' && this.token.text === text;
  }

  private ends(): boolean {
    return this.token.kind === 'newline' || this.token.kind === 'end' || this.is(';');
  }

  /** A value and nothing behind it. */
  single(): XlValue {
    const value = this.value(0);
    if (this.token.kind !== 'end') this.unexpected('nothing more');
    return value;
  }

  settings(into: XlSettings, spans: XlSpan[] = []): void {
    for (;;) {
      while (this.token.kind === 'newline' || this.is(';')) this.advance();
      if (this.token.kind === 'end') return;
      if (this.token.kind !== 'identifier') this.unexpected('a key');
      const key = this.advance();
      const append = this.is('+=');
      if (!append && !this.is('=')) this.unexpected('`=` or `+=`');
      this.advance();
      const valueStart = this.token.start;
      assign(into, { key: key.text, value: this.value(0), line: key.line, file: this.lexer.file }, append);
      spans.push({ key: key.text, append, start: key.start, valueStart, end: this.takenTo });
      if (!this.ends()) this.unexpected('the end of the setting');
    }
  }

  private value(depth: number): XlValue {
    const line = this.token.line;
    if (this.token.kind === 'atom') {
      const token = this.advance();
      return { kind: 'atom', text: token.text, quoted: token.quoted, line };
    }
    if (!this.is('[')) this.unexpected('a number, a quoted string or a list');
    if (depth === MAX_DEPTH) this.lexer.fail(line, 'lists are nested too deeply');
    this.advance();
    const items: XlValue[] = [];
    this.skipNewlines();
    while (!this.is(']')) {
      items.push(this.value(depth + 1));
      this.skipNewlines();
      if (this.is(',')) {
        this.advance();
        this.skipNewlines();
      } else if (!this.is(']')) {
        this.unexpected('`,` or `]`');
      }
    }
    this.advance();
    return { kind: 'list', items, line };
  }
}

function assign(settings: XlSettings, setting: XlSetting, append: boolean): void {
  const before = settings.get(setting.key)?.value;
  if (append && before !== undefined) {
    const added = setting.value;
    if (before.kind === 'atom' && added.kind === 'atom') {
      setting.value = { ...added, text: before.text + added.text, quoted: true };
    } else if (before.kind === 'list' && added.kind === 'list') {
      setting.value = { ...added, items: [...before.items, ...added.items] };
    } else {
      throw new ConfigError(setting.file, setting.line, setting.key, `cannot append a ${describe(added)} to a ${describe(before)}`);
    }
  }
  settings.set(setting.key, setting);
}

function describe(value: XlValue): string {
  return value.kind === 'list' ? 'list' : 'string';
}

/** Parses a whole file. */
export function parseXlConfig(source: string, file: string): XlSettings {
  const settings: XlSettings = new Map();
  new Parser(new Lexer(source, file, 1)).settings(settings);
  return settings;
}

/** The assignments of a file in the order of the text. */
export function xlSpans(source: string, file: string): XlSpan[] {
  const spans: XlSpan[] = [];
  new Parser(new Lexer(source, file, 1)).settings(new Map(), spans);
  return spans;
}

/**
 * Applies `KEY=VALUE` or `KEY+=VALUE` as given on a command line. A value that is no number, quoted string or list is taken
 * as a string as it stands.
 */
export function applySetting(settings: XlSettings, text: string, origin: string): void {
  const found = /^\s*([a-z][._0-9a-z]*)\s*(\+?=)\s*(.*)$/s.exec(text);
  if (found === null) throw new ConfigError(origin, 0, '', `\`${text}\` is not KEY=VALUE`);
  const [, key, operator, raw] = found;
  const quotedOrList = /^["'[]/.test(raw), number = /^[0-9][0-9a-fx]*$/.test(raw);
  const value: XlValue = quotedOrList || number
    ? new Parser(new Lexer(raw, `${origin} ${key}`, 1)).single()
    : { kind: 'atom', text: raw, quoted: true, line: 0 };
  assign(settings, { key, value, line: 0, file: origin }, operator === '+=');
}
