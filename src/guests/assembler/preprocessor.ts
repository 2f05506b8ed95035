/**
 * The preprocessor, a small part of NASM's: %define (also with parameters), %undef, %assign, %macro/%endmacro with %1.. %0 and
 * %%local names, %rep/%endrep, %if %ifdef %ifndef %elif %else %endif, %error. It turns the source into the lines that are assembled.
 */
import { mistake, SourceError } from './errors';
import type { AssemblyError } from './errors';
import { evaluate, parseExpression, TokenReader } from './expression';
import { stripComment, tokenize } from './lexer';

export interface SourceLine {
  readonly text: string;
  /** Line of the source it came from (of the macro call for macro bodies), from 1. */
  readonly line: number;
}

interface Definition {
  readonly parameters: readonly string[] | undefined;
  readonly text: string;
}

interface Macro {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** The last parameter takes the rest of the line. */
  readonly greedy: boolean;
  readonly body: readonly SourceLine[];
}

const MAX_DEPTH = 64;
/** Lines, macro calls and repetitions that the source may expand to. */
const MAX_EXPANSION = 200000;
/** Characters of a line after expansion. */
const MAX_LINE = 65536;
/** Names, and strings to skip. */
const PIECES = /'[^']*'|"[^"]*"|`(?:\\.|[^`\\])*`|[A-Za-z_.?@$][\w.?@$#~]*|\d\w*/g;

/** Splits macro or %define arguments at commas outside strings, brackets and braces; braces around an argument are dropped. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0, quote = '', start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === "'" || c === '"' || c === '`') quote = c;
    else if (c === '(' || c === '[' || c === '{') depth++;
    else if (c === ')' || c === ']' || c === '}') depth--;
    else if (c === ',' && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim().replace(/^\{(.*)\}$/, '$1'));
}

class Preprocessor {
  readonly output: SourceLine[] = [];
  readonly errors: AssemblyError[] = [];
  private readonly definitions = new Map<string, Definition>();
  private readonly macros = new Map<string, Macro[]>();
  private expansions = 0;
  private work = 0;

  constructor(defines: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(defines)) this.definitions.set(name, { parameters: undefined, text });
  }

  run(lines: readonly SourceLine[], depth: number): void {
    if (depth > MAX_DEPTH) mistake('macros are nested too deeply');
    for (let at = 0; at < lines.length && this.work <= MAX_EXPANSION;) {
      const { text, line } = lines[at];
      try {
        at = this.step(lines, at, depth);
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        this.errors.push({ line, message: error.message });
        // Without its end a block makes no sense of what follows.
        if (/^\s*%(macro|rep|if)/i.test(text)) return;
        at++;
      }
    }
  }

  /** Counts what is done, so that a short source cannot keep us busy for ever. */
  private count(): void {
    if (++this.work > MAX_EXPANSION) mistake('the source expands to too many lines');
  }

  /** Handles lines[at] and what belongs to it; returns the index after it. */
  private step(lines: readonly SourceLine[], at: number, depth: number): number {
    const { text, line } = lines[at];
    const directive = /^\s*%([a-z]+)\b\s*(.*)$/i.exec(text);
    if (directive === null) {
      this.ordinary(this.expand(text), line, depth);
      return at + 1;
    }
    const [, word, rest] = directive;
    switch (word.toLowerCase()) {
      case 'define': case 'xdefine': this.define(rest, word.toLowerCase() === 'xdefine'); return at + 1;
      case 'undef': this.definitions.delete(rest.trim()); return at + 1;
      case 'assign': {
        const [, name, value] = /^(\S+)\s+(.+)$/.exec(rest) ?? mistake('%assign needs a name and a value');
        this.definitions.set(name, { parameters: undefined, text: this.constant(value).toString() });
        return at + 1;
      }
      case 'error': return mistake(rest.trim());
      case 'macro': {
        const end = this.matching(lines, at, /^\s*%i?macro\b/i, /^\s*%endm(acro)?\b/i, '%endmacro');
        this.macro(rest, lines.slice(at + 1, end));
        return end + 1;
      }
      case 'rep': {
        const end = this.matching(lines, at, /^\s*%rep\b/i, /^\s*%endrep\b/i, '%endrep');
        const body = lines.slice(at + 1, end);
        for (let n = this.constant(rest); n > 0n; n--) {
          this.count();
          this.run(body, depth + 1);
        }
        return end + 1;
      }
      case 'if': case 'ifdef': case 'ifndef': return this.conditional(lines, at, depth);
      default: return mistake(`%${word} is not supported here`);
    }
  }

  /** A line that is no directive: a macro call, or a line for the assembler. */
  private ordinary(text: string, line: number, depth: number): void {
    this.count();
    const call = /^(\s*[\w.?@$#~]+\s*:)?\s*([A-Za-z_.?@$][\w.?@$#~]*)(?:\s+(.*))?$/.exec(text);
    const candidates = call === null ? undefined : this.macros.get(call[2].toLowerCase());
    if (call === null || candidates === undefined) {
      if (text.trim() !== '') this.output.push({ text, line });
      return;
    }
    const argumentText = call[3]?.trim() ?? '';
    const given = argumentText === '' ? [] : splitArguments(argumentText);
    const macro = candidates.find((one) => given.length >= one.least && (given.length <= one.most || one.greedy));
    if (macro === undefined) mistake(`macro ${call[2]} does not take ${given.length} parameters`);
    if (macro.greedy && given.length > macro.most) given.splice(macro.most - 1, given.length, given.slice(macro.most - 1).join(','));
    if (call[1] !== undefined) this.output.push({ text: call[1], line });
    const prefix = `..@${++this.expansions}.`;
    const body = macro.body.map((one) => ({
      text: one.text.replace(/%%(\w+)|%\{(\d+)\}|%(\d+)/g, (_, local?: string, braced?: string, number?: string) => {
        if (local !== undefined) return prefix + local;
        const n = Number(braced ?? number);
        return n === 0 ? String(given.length) : given[n - 1] ?? '';
      }),
      line,
    }));
    this.run(body, depth + 1);
  }

  private define(rest: string, now: boolean): void {
    const [, name, parameters, text] = /^([^\s(]+)(?:\(([^)]*)\))?\s*(.*)$/.exec(rest.trim()) ?? mistake('%define needs a name');
    this.definitions.set(name, {
      parameters: parameters === undefined ? undefined : parameters.split(',').map((one) => one.trim()),
      text: now ? this.expand(text) : text.trim(),
    });
  }

  private macro(head: string, body: readonly SourceLine[]): void {
    const [, name, least, most, plus] = /^(\S+)\s+(\d+)(?:-(\d+|\*))?(\+)?/.exec(head) ?? mistake('%macro needs a name and a number of parameters');
    const macro: Macro = {
      name, least: Number(least), most: most === '*' ? Infinity : Number(most ?? least), greedy: plus !== undefined, body,
    };
    const list = this.macros.get(name.toLowerCase());
    if (list === undefined) this.macros.set(name.toLowerCase(), [macro]);
    else list.push(macro);
  }

  /** Index of the line that closes the block opened at `at`. */
  private matching(lines: readonly SourceLine[], at: number, open: RegExp, close: RegExp, name: string): number {
    let depth = 0;
    for (let i = at; i < lines.length; i++) {
      if (open.test(lines[i].text)) depth++;
      else if (close.test(lines[i].text) && --depth === 0) return i;
    }
    return mistake(`${name} is missing`);
  }

  private conditional(lines: readonly SourceLine[], at: number, depth: number): number {
    let nesting = 0, taken = false, active = false, start = at + 1;
    for (let i = at; i < lines.length; i++) {
      const found = /^\s*%(if\w*|elif|else|endif)\b\s*(.*)$/i.exec(lines[i].text);
      if (found === null) continue;
      const word = found[1].toLowerCase();
      if (word.startsWith('if')) {
        if (nesting++ > 0) continue;
      } else if (nesting > 1) {
        if (word === 'endif') nesting--;
        continue;
      }
      if (active) this.run(lines.slice(start, i), depth + 1);
      start = i + 1;
      if (word === 'endif') return i + 1;
      active = !taken && (word === 'else' || this.condition(word, found[2]));
      taken ||= active;
    }
    return mistake('%endif is missing');
  }

  private condition(word: string, rest: string): boolean {
    if (word === 'ifdef') return this.definitions.has(rest.trim());
    if (word === 'ifndef') return !this.definitions.has(rest.trim());
    return this.constant(rest) !== 0n;
  }

  private constant(text: string): bigint {
    const reader = new TokenReader(tokenize(this.expand(text)));
    const value = evaluate(parseExpression(reader, ''), {
      lookup: (name) => mistake(`${name} is not known to the preprocessor`), here: 0n, start: 0n,
    });
    if (!reader.done) mistake('unexpected text after the expression');
    return value.constant;
  }

  /** Replaces defined names, also in what replaced them. */
  private expand(text: string, hidden: readonly string[] = []): string {
    if (this.definitions.size === 0) return text;
    let result = '', last = 0;
    PIECES.lastIndex = 0;
    for (let found = PIECES.exec(text); found !== null; found = PIECES.exec(text)) {
      const name = found[0];
      const definition = hidden.includes(name) ? undefined : this.definitions.get(name);
      if (definition === undefined) continue;
      let end = PIECES.lastIndex, body = definition.text;
      if (definition.parameters !== undefined) {
        const call = this.callArguments(text, end);
        if (call === undefined) continue;
        end = call.end;
        const { parameters } = definition;
        body = body.replace(PIECES, (piece) => {
          const n = parameters.indexOf(piece);
          return n < 0 ? piece : call.given[n] ?? '';
        });
      }
      const replaced = this.expand(body, [...hidden, name]);
      if (result.length + replaced.length > MAX_LINE) mistake('the line expands to too much text');
      result += text.slice(last, found.index) + replaced;
      last = end;
      PIECES.lastIndex = end;
    }
    return result + text.slice(last);
  }

  /** The parenthesised arguments that start at `at`, if any. */
  private callArguments(text: string, at: number): { given: string[]; end: number } | undefined {
    const open = /^\s*\(/.exec(text.slice(at));
    if (open === null) return undefined;
    let depth = 0;
    for (let i = at; i < text.length; i++) {
      if (text[i] === '(') depth++;
      else if (text[i] === ')' && --depth === 0) return { given: splitArguments(text.slice(at + open[0].length, i)), end: i + 1 };
    }
    return mistake('a parenthesis is not closed');
  }
}

/** Expands a source; `defines` are names defined before its first line. */
export function preprocess(source: string, defines: Readonly<Record<string, string>>): { lines: SourceLine[]; errors: AssemblyError[] } {
  const lines: SourceLine[] = [];
  let pending = '', first = 0;
  source.split(/\r?\n/).forEach((raw, index) => {
    const text = stripComment(raw);
    if (pending === '') first = index + 1;
    if (text.endsWith('\\')) {
      pending += text.slice(0, -1);
      return;
    }
    lines.push({ text: pending + text, line: first });
    pending = '';
  });
  const preprocessor = new Preprocessor(defines);
  preprocessor.run(lines, 0);
  return { lines: preprocessor.output, errors: preprocessor.errors };
}
