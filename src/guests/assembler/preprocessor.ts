/**
 * The preprocessor, the common part of NASM's: %define (also with parameters), %xdefine, %undef, %assign, %strlen, %macro with %1.. %0 %{1}
 * %%local names, defaults, %rotate and rest parameters, %unmacro, %rep with %exitrep, %include, conditions (%if, %ifdef, %ifmacro, %ifidn, %ifid,
 * %ifnum, %ifstr, %ifempty, their n, i and %elif forms), %error and %warning; %i forms of the definitions ignore case. struc, istruc and
 * at are macros here as there. It turns the source into the lines that are assembled.
 */
import { mistake, SourceError } from './errors';
import type { AssemblyError } from './errors';
import { evaluate, parseExpression, TokenReader } from './expression';
import { parseNumber, stripComment, tokenize } from './lexer';

export interface SourceLine {
  readonly text: string;
  /** Line of the source it came from (of the macro call for macro bodies), from 1. */
  readonly line: number;
}

interface Definition {
  readonly name: string;
  /** Defined by %idefine: in any case. */
  readonly anyCase: boolean;
  readonly parameters: readonly string[] | undefined;
  readonly text: string;
}

interface Macro {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** The last parameter takes the rest of the line. */
  readonly greedy: boolean;
  /** What the parameters from `least` on are if the call leaves them out. */
  readonly defaults: readonly string[];
  readonly anyCase: boolean;
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

/** The macro call in which a line stands: its parameters, turned by %rotate. */
interface Call {
  parameters: string[];
  /** Prefix of its %%names. */
  readonly prefix: string;
}

/** A structure whose members, or an instance of which, is being written. */
interface Structure {
  readonly name: string;
  /** Label at the start of the instance; empty while the structure itself is defined. */
  readonly start: string;
}

/** Thrown by %exitrep up to its %rep. */
class ExitRepeat extends Error {}

class Preprocessor {
  readonly output: SourceLine[] = [];
  readonly errors: AssemblyError[] = [];
  private readonly definitions = new Map<string, Definition>();
  private readonly macros = new Map<string, Macro[]>();
  private readonly includes: Readonly<Record<string, string>>;
  private call: Call | null = null;
  private structure: Structure | null = null;
  private expansions = 0;
  private work = 0;

  constructor(defines: Readonly<Record<string, string>>, includes: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(defines)) this.setDefinition(name, text);
    this.includes = includes;
  }

  private setDefinition(name: string, text: string, parameters?: readonly string[], anyCase = false): void {
    this.definitions.set(anyCase ? `i:${name.toLowerCase()}` : name, { name, parameters, text, anyCase });
  }

  private definition(name: string): Definition | undefined {
    return this.definitions.get(name) ?? this.definitions.get(`i:${name.toLowerCase()}`);
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
    const { line } = lines[at];
    const text = this.withParameters(lines[at].text);
    const directive = /^\s*%(\w+)\b\s*(.*)$/.exec(text);
    // %1 at the start of a line is a parameter that has been replaced, or that the call did not give.
    if (directive === null || /^\d/.test(directive[1])) {
      this.ordinary(this.expand(text), line, depth);
      return at + 1;
    }
    const rest = directive[2];
    const word = directive[1].toLowerCase();
    if (/^if/.test(word)) return this.conditional(lines, at, depth);
    switch (word) {
      case 'define': case 'xdefine': case 'idefine': case 'ixdefine': this.define(rest, word.endsWith('xdefine'), word.startsWith('i')); return at + 1;
      case 'undef': this.definitions.delete(this.definitions.has(rest.trim()) ? rest.trim() : `i:${rest.trim().toLowerCase()}`); return at + 1;
      case 'assign': case 'iassign': {
        const [, name, value] = /^(\S+)\s+(.+)$/.exec(rest) ?? mistake('%assign needs a name and a value');
        this.setDefinition(name, this.constant(value).toString(), undefined, word === 'iassign');
        return at + 1;
      }
      case 'strlen': {
        const [, name, value] = /^(\S+)\s+(.+)$/.exec(rest) ?? mistake('%strlen needs a name and a string');
        const [string, ...more] = tokenize(this.expand(value));
        if (string?.kind !== 'string' || more.length > 0) mistake('%strlen needs a name and a string');
        this.setDefinition(name, String(string.bytes.length));
        return at + 1;
      }
      case 'error': case 'fatal': return mistake(rest.trim().replace(/^(["'])(.*)\1$/, '$2'));
      case 'warning': case 'line': case 'pragma': return at + 1;
      case 'include': return this.include(rest, line, depth, at);
      case 'macro': case 'imacro': {
        const end = this.matching(lines, at, /^\s*%i?macro\b/i, /^\s*%endm(acro)?\b/i, '%endmacro');
        this.macro(rest, lines.slice(at + 1, end), word === 'imacro');
        return end + 1;
      }
      case 'unmacro': {
        const [, name, least] = /^(\S+)(?:\s+(\d+))?/.exec(rest) ?? mistake('%unmacro needs a name');
        const key = name.toLowerCase();
        this.macros.set(key, (this.macros.get(key) ?? []).filter((macro) => least !== undefined && macro.least !== Number(least)));
        return at + 1;
      }
      case 'rotate': {
        const call = this.call ?? mistake('%rotate is only possible in a macro');
        const count = call.parameters.length, by = count === 0 ? 0 : ((Number(this.constant(rest)) % count) + count) % count;
        call.parameters = [...call.parameters.slice(by), ...call.parameters.slice(0, by)];
        return at + 1;
      }
      case 'rep': {
        const end = this.matching(lines, at, /^\s*%rep\b/i, /^\s*%endrep\b/i, '%endrep');
        this.repeat(lines.slice(at + 1, end), this.constant(rest), depth);
        return end + 1;
      }
      case 'exitrep': throw new ExitRepeat();
      default: return mistake(`%${word} is not supported here`);
    }
  }

  private repeat(body: readonly SourceLine[], count: bigint, depth: number): void {
    try {
      for (let n = count; n > 0n; n--) {
        this.count();
        this.run(body, depth + 1);
      }
    } catch (error) {
      if (!(error instanceof ExitRepeat)) throw error;
    }
  }

  private include(rest: string, line: number, depth: number, at: number): number {
    const name = rest.trim().replace(/^(["'`])(.*)\1$/, '$2');
    if (!Object.hasOwn(this.includes, name)) mistake(`there is no file ${name} to include`);
    const before = this.errors.length;
    this.run(joinLines(this.includes[name]).map((included) => ({ text: included.text, line })), depth + 1);
    for (let n = before; n < this.errors.length; n++) this.errors[n] = { line, message: `in ${name}: ${this.errors[n].message}` };
    return at + 1;
  }

  /** A line that is no directive: a macro call, or a line for the assembler. */
  private ordinary(text: string, line: number, depth: number): void {
    this.count();
    const call = /^(\s*[\w.?@$#~]+\s*:)?\s*([A-Za-z_.?@$][\w.?@$#~]*)(?:\s+(.*))?$/.exec(text);
    const candidates = call === null ? undefined : this.macros.get(call[2].toLowerCase())?.filter((macro) => macro.anyCase || macro.name === call[2]);
    if (call === null || candidates === undefined || candidates.length === 0) {
      if (call !== null && this.structureLine(call[2].toLowerCase(), call[3] ?? '', line)) return;
      if (text.trim() !== '') this.output.push({ text, line });
      return;
    }
    const argumentText = call[3]?.trim() ?? '';
    const given = argumentText === '' ? [] : splitArguments(argumentText);
    const macro = candidates.find((one) => given.length >= one.least && (given.length <= one.most || one.greedy));
    if (macro === undefined) mistake(`macro ${call[2]} does not take ${given.length} parameters`);
    if (macro.greedy && given.length > macro.most) given.splice(macro.most - 1, given.length, given.slice(macro.most - 1).join(','));
    for (let n = given.length; n < macro.most && n - macro.least < macro.defaults.length; n++) given.push(macro.defaults[n - macro.least]);
    if (call[1] !== undefined) this.output.push({ text: call[1], line });
    const before = this.call;
    this.call = { parameters: given, prefix: `..@${++this.expansions}.` };
    try {
      this.run(macro.body.map((one) => ({ text: one.text, line })), depth + 1);
    } finally {
      this.call = before;
    }
  }

  /** A line with the parameters of the macro call that it belongs to. */
  private withParameters(text: string): string {
    const { call } = this;
    if (call === null || !text.includes('%')) return text;
    return text.replace(/%%(\w+)|%\{(\d+)\}|%(\d+)/g, (_, local?: string, braced?: string, number?: string) => {
      if (local !== undefined) return call.prefix + local;
      const n = Number(braced ?? number);
      return n === 0 ? String(call.parameters.length) : call.parameters[n - 1] ?? '';
    });
  }

  /** struc, endstruc, istruc, at and iend; false for any other line. */
  private structureLine(word: string, rest: string, line: number): boolean {
    const put = (...texts: string[]): true => {
      for (const text of texts) this.output.push({ text, line });
      return true;
    };
    const inside = this.structure;
    switch (word) {
      case 'struc': {
        const [name, offset] = splitArguments(rest);
        this.structure = { name, start: '' };
        return put(`absolute ${offset ?? '0'}`, `${name}:`);
      }
      case 'endstruc': {
        if (inside === null || inside.start !== '') mistake('endstruc without struc');
        this.structure = null;
        return put(`${inside.name}_size equ ($ - ${inside.name})`, 'section .text');
      }
      case 'istruc': {
        this.structure = { name: rest.trim(), start: `..@${++this.expansions}.istruc` };
        return put(`${this.structure.start}:`);
      }
      case 'at': {
        if (inside === null || inside.start === '') return false;
        const [member, ...data] = splitArguments(rest);
        put(`times (${member} - ${inside.name}) - ($ - ${inside.start}) db 0`);
        return data.length === 0 || put(data.join(','));
      }
      case 'iend': {
        if (inside === null || inside.start === '') mistake('iend without istruc');
        this.structure = null;
        return put(`times ${inside.name}_size - ($ - ${inside.start}) db 0`);
      }
      default: return false;
    }
  }

  private define(rest: string, now: boolean, anyCase: boolean): void {
    const [, name, parameters, text] = /^([^\s(]+)(?:\(([^)]*)\))?\s*(.*)$/.exec(rest.trim()) ?? mistake('%define needs a name');
    this.setDefinition(
      name, now ? this.expand(text) : text.trim(), parameters === undefined ? undefined : parameters.split(',').map((one) => one.trim()), anyCase,
    );
  }

  private macro(head: string, body: readonly SourceLine[], anyCase: boolean): void {
    const [, name, least, most, plus, rest] = /^(\S+)\s+(\d+)(?:-(\d+|\*))?(\+)?(?:\.nolist)?\s*(.*)$/.exec(head) ?? mistake('%macro needs a name and a number of parameters');
    const defaults = rest.trim() === '' ? [] : splitArguments(rest);
    const macro: Macro = {
      name, least: Number(least), most: most === '*' ? Infinity : Number(most ?? least), greedy: plus !== undefined, defaults, anyCase, body,
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
      const found = /^\s*%(if\w*|elif\w*|else|endif)\b\s*(.*)$/i.exec(lines[i].text);
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
      active = !taken && (word === 'else' || this.condition(word.replace(/^(el)?if/, ''), this.withParameters(found[2])));
      taken ||= active;
    }
    return mistake('%endif is missing');
  }

  /** `kind`: what follows %if or %elif. */
  private condition(kind: string, rest: string): boolean {
    if (kind === '') return this.constant(rest) !== 0n;
    const positive = this.positiveCondition(kind, rest);
    if (positive !== undefined) return positive;
    const negative = kind.startsWith('n') ? this.positiveCondition(kind.slice(1), rest) : undefined;
    return negative === undefined ? mistake(`%if${kind} is not supported here`) : !negative;
  }

  private positiveCondition(kind: string, rest: string): boolean | undefined {
    switch (kind) {
      case 'def': return this.definition(rest.trim()) !== undefined;
      case 'macro': {
        const [, name, count] = /^(\S+)(?:\s+(\d+))?/.exec(rest.trim()) ?? mistake('%ifmacro needs a name');
        return (this.macros.get(name.toLowerCase()) ?? []).some((macro) => (
          (macro.anyCase || macro.name === name) && (count === undefined || (Number(count) >= macro.least && (Number(count) <= macro.most || macro.greedy)))
        ));
      }
      case 'idn': case 'idni': {
        const [left, right] = splitArguments(this.expand(rest)).map((text) => text.replaceAll(/\s+/g, ' '));
        return kind === 'idn' ? left === right : left.toLowerCase() === right?.toLowerCase();
      }
      case 'empty': return this.expand(rest).trim() === '';
      case 'id': return /^[A-Za-z_.?@$][\w.?@$#~]*$/.test(this.expand(rest).trim());
      case 'num': return isNumber(this.expand(rest).trim());
      case 'str': {
        const tokens = tokenize(this.expand(rest));
        return tokens.length === 1 && tokens[0].kind === 'string';
      }
      default: return undefined;
    }
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
      const definition = hidden.includes(name) ? undefined : this.definition(name);
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

function isNumber(text: string): boolean {
  if (!/^-?\d/.test(text)) return false;
  try {
    parseNumber(text.replace(/^-/, ''));
    return true;
  } catch {
    return false;
  }
}

/** Lines without comments; a backslash at the end joins a line with the next. */
function joinLines(source: string): SourceLine[] {
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
  return lines;
}

/** Expands a source; `defines` are names defined before its first line, `includes` the files that %include finds. */
export function preprocess(
  source: string, defines: Readonly<Record<string, string>>, includes: Readonly<Record<string, string>>,
): { lines: SourceLine[]; errors: AssemblyError[] } {
  const preprocessor = new Preprocessor(defines, includes);
  try {
    preprocessor.run(joinLines(source), 0);
  } catch (error) {
    if (!(error instanceof ExitRepeat)) throw error;
    preprocessor.errors.push({ line: 1, message: '%exitrep without %rep' });
  }
  return { lines: preprocessor.output, errors: preprocessor.errors };
}
