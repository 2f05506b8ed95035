/**
 * The row format of the opcode table (docs/internals.md, "Opcode table"): what a row means, as a type, and its parser.
 */

/** Opcode maps. */
export const MAP_ONE_BYTE = 0, MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3;

/** Mandatory prefix of a row: none named, or one of NP (no 66/F3/F2), 66, F3, F2. */
export type MandatoryPrefix = '' | 'NP' | '66' | 'F3' | 'F2';

/** What the ModRM byte of a row must look like. */
export const MODRM_NONE = 0, MODRM_REG = 1, MODRM_DIGIT = 2, MODRM_FIXED = 3;

/** Which values of ModRM.mod a row accepts. */
export const MOD_ANY = 0, MOD_MEMORY = 1, MOD_REGISTER = 2;

/** One instruction form. */
export interface OpcodeRow {
  readonly mnemonic: string;
  /** Operands in Intel order and SDM notation (Ev, Gv, Ib, ...). */
  readonly operands: readonly string[];
  readonly prefix: MandatoryPrefix;
  /** MAP_* and the opcode byte within that map (low three bits clear when plusReg). */
  readonly map: number;
  readonly opcode: number;
  /** The row covers opcode .. opcode + 7, register in the low three bits. */
  readonly plusReg: boolean;
  /** MODRM_*: none, /r, /digit, or a whole fixed byte. */
  readonly modrm: number;
  /** The digit of /digit, or the byte of a fixed ModRM; 0 otherwise. */
  readonly modrmValue: number;
  /** MOD_*. */
  readonly mod: number;
  /** -1 = either, 0 or 1 = REX.W must have this value. */
  readonly rexW: number;
  /** Status and control flags by letters (o s z a p c d i t). */
  readonly writes: string;
  readonly reads: string;
  readonly undefinedFlags: string;
  readonly clears: string;
  readonly sets: string;
  /** LOCK is allowed when the destination is memory. */
  readonly lock: boolean;
  /** 0 = not a repeatable string instruction, 1 = REP, 2 = REPE/REPNE. */
  readonly repeat: number;
  /** Valid in 64-bit mode only / invalid in 64-bit mode. */
  readonly only64: boolean;
  readonly invalid64: boolean;
  /** Operand size in 64-bit mode: default 64 (66h gives 16), or always 64. */
  readonly default64: boolean;
  readonly forced64: boolean;
  readonly cpl0: boolean;
  /** Ends a decoded block. */
  readonly end: boolean;
  /** #UD in real and virtual-8086 mode. */
  readonly protectedOnly: boolean;
  /** CPUID feature that brings the row, '' for the base instruction set. */
  readonly feature: string;
  /** Key of the handler. */
  readonly handler: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function fail(line: string, why: string): never {
  throw new Error(`opcode row "${line.trim()}": ${why}`);
}

function parseEncoding(row: Mutable<OpcodeRow>, text: string, line: string): void {
  const bytes: number[] = [];
  const tokens = text.trim().split(/\s+/);
  tokens.forEach((token, at) => {
    const group = /^\/([0-7r])(:mem|:reg)?$/.exec(token);
    if (group) {
      row.modrm = group[1] === 'r' ? MODRM_REG : MODRM_DIGIT;
      row.modrmValue = group[1] === 'r' ? 0 : Number(group[1]);
      row.mod = group[2] === ':mem' ? MOD_MEMORY : group[2] === ':reg' ? MOD_REGISTER : MOD_ANY;
    } else if (/^=[0-9A-F]{2}$/.test(token)) {
      row.modrm = MODRM_FIXED;
      row.modrmValue = parseInt(token.slice(1), 16);
      row.mod = row.modrmValue >= 0xc0 ? MOD_REGISTER : MOD_MEMORY;
    } else if (token === '+r') row.plusReg = true;
    else if (token === 'REX.W') row.rexW = 1;
    else if (token === 'REX.0') row.rexW = 0;
    else if (at === 0 && /^(NP|66|F3|F2)$/.test(token)) row.prefix = token as MandatoryPrefix;
    else if (/^[0-9A-F]{2}$/.test(token)) bytes.push(parseInt(token, 16));
    else fail(line, `unknown encoding token ${token}`);
  });
  const escape = bytes.slice(0, -1).map((byte) => byte.toString(16)).join(' ');
  const map = ['', 'f', 'f 38', 'f 3a'].indexOf(escape);
  if (map < 0) fail(line, 'needs exactly one opcode byte after the map');
  row.map = map;
  row.opcode = bytes[bytes.length - 1];
  if (row.plusReg && (row.opcode & 7) !== 0) fail(line, '+r needs an opcode divisible by eight');
}

function parseAttribute(row: Mutable<OpcodeRow>, token: string, line: string): void {
  const colon = token.indexOf(':');
  if (colon > 0) {
    const value = token.slice(colon + 1);
    switch (token.slice(0, colon)) {
      case 'w': row.writes += value; return;
      case 'r': row.reads += value; return;
      case 'u': row.undefinedFlags += value; return;
      case '0': row.clears += value; return;
      case '1': row.sets += value; return;
      case 'x': row.feature = value; return;
      case 'h': row.handler = value; return;
      default: fail(line, `unknown attribute ${token}`);
    }
  }
  switch (token) {
    case 'lock': row.lock = true; return;
    case 'rep': row.repeat = 1; return;
    case 'repe': row.repeat = 2; return;
    case 'o64': row.only64 = true; return;
    case 'i64': row.invalid64 = true; return;
    case 'd64': row.default64 = true; return;
    case 'f64': row.forced64 = true; return;
    case 'cpl0': row.cpl0 = true; return;
    case 'end': row.end = true; return;
    case 'pm': row.protectedOnly = true; return;
    default: fail(line, `unknown attribute ${token}`);
  }
}

function parseRow(line: string): OpcodeRow {
  const fields = line.split('|').map((field) => field.trim());
  if (fields.length < 3 || fields.length > 4) fail(line, 'needs mnemonic | operands | encoding | attributes');
  const row: Mutable<OpcodeRow> = {
    mnemonic: fields[0],
    operands: fields[1] === '' ? [] : fields[1].split(',').map((operand) => operand.trim()),
    prefix: '', map: 0, opcode: 0, plusReg: false, modrm: MODRM_NONE, modrmValue: 0, mod: MOD_ANY, rexW: -1,
    writes: '', reads: '', undefinedFlags: '', clears: '', sets: '', lock: false, repeat: 0,
    only64: false, invalid64: false, default64: false, forced64: false, cpl0: false, end: false, protectedOnly: false,
    feature: '', handler: fields[0],
  };
  parseEncoding(row, fields[2], line);
  for (const token of (fields[3] ?? '').split(/\s+/)) if (token !== '') parseAttribute(row, token, line);
  return row;
}

/** Parses the lines of a family file; empty lines and lines that start with `#` are skipped. */
export function parseRows(text: string): OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) rows.push(parseRow(trimmed));
  }
  return rows;
}
