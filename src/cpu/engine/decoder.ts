/**
 * Instruction decoder (SDM 2 chapter 2): prefixes, opcode maps, ModRM, SIB, displacement, immediates. Table-driven from the
 * opcode rows and allocation-free: the fields of the instruction last decoded are left in D.
 */
import { ALL_ROWS, MODRM_DIGIT, MODRM_FIXED, MODRM_NONE, MODRM_REG, MOD_ANY, MOD_MEMORY } from '../opcodes/table';
import type { OpcodeRow } from '../opcodes/table';
import { MODE_SIZE_MASK } from '../record';

/** Fields of the decoded instruction. */
export const D = new Int32Array(32);
/** Index into ALL_ROWS. */
export const D_ROW = 0;
export const D_LENGTH = 1;
/** 0 = 16, 1 = 32, 2 = 64 bits. */
export const D_OPSIZE = 2, D_ADSIZE = 3;
/** 0 none, 1 F3, 2 F2. */
export const D_REPEAT = 4;
export const D_LOCK = 5;
/** Effective segment of the memory operand (override applied). */
export const D_SEGMENT = 6;
/** REX prefix byte, 0 if there is none. */
export const D_REX = 7;
export const D_66 = 8;
export const D_MODRM = 9;
/** ModRM.reg and .rm with REX bits; rm also serves opcode+r forms. */
export const D_REG = 10, D_RM = 11;
export const D_MEMORY = 12;
/** 0-15, 16 none, 17 RIP; 0-15, 16 none; log2. */
export const D_BASE = 13, D_INDEX = 14, D_SCALE = 15;
export const D_DISP = 16;
/** First immediate (low, high word), second immediate. */
export const D_IMM = 17, D_IMM_HIGH = 18, D_IMM2 = 19;
export const D_OPCODE = 20;

/** decode() results other than a length. */
export const DECODE_TRUNCATED = -1, DECODE_INVALID = -2, DECODE_TOO_LONG = -3;

// --- Immediate kinds per row ---
const IMM_NONE = 0, IMM_8S = 1, IMM_8U = 2, IMM_16 = 3, IMM_Z = 4, IMM_V = 5, IMM_REL8 = 6, IMM_RELZ = 7, IMM_FAR = 8, IMM_MOFFS = 9;

const IMMEDIATE_OF: Record<string, number> = {
  Ib: IMM_8U, sIb: IMM_8S, Iw: IMM_16, Iz: IMM_Z, Iv: IMM_V, Jb: IMM_REL8, Jz: IMM_RELZ, Ap: IMM_FAR, Ob: IMM_MOFFS, Ov: IMM_MOFFS,
};

const rowImmediate = new Uint8Array(ALL_ROWS.length);
const rowImmediate2 = new Uint8Array(ALL_ROWS.length);
/** 1 = operand size defaults to 64 in 64-bit mode, 2 = forced. */
const rowSize64 = new Uint8Array(ALL_ROWS.length);
const rowLock = new Uint8Array(ALL_ROWS.length);
const rowModRm = new Uint8Array(ALL_ROWS.length);

// --- Lookup: entry index = 64-bit 13 | REX.W 12 | prefix 11:10 | map 9:8 | opcode 7:0 ---
/** 0 undefined, n > 0: row n - 1 whatever ModRM is, n < 0: group -n - 1 by ModRM byte. */
const entries = new Int32Array(1 << 14);
/** Per group 256 row numbers + 1. */
let groups = new Int16Array(0);
/** 1 if the opcode takes a ModRM byte (so that the length of undefined ones is right). */

const PREFIX_INDEX: Record<string, number> = { NP: 0, '66': 1, F3: 2, F2: 3 };

function rowFits(row: OpcodeRow, is64: number, w: number, prefix: number): boolean {
  if (is64 ? row.invalid64 : row.only64) return false;
  if (row.rexW >= 0 && row.rexW !== w) return false;
  return row.prefix === '' || PREFIX_INDEX[row.prefix] === prefix;
}

function modRmFits(row: OpcodeRow, modrm: number): boolean {
  const isRegister = modrm >= 0xc0;
  if (row.mod !== MOD_ANY && (row.mod === MOD_MEMORY) === isRegister) return false;
  if (row.modrm === MODRM_DIGIT) return ((modrm >> 3) & 7) === row.modrmValue;
  if (row.modrm === MODRM_FIXED) return modrm === row.modrmValue;
  return row.modrm === MODRM_REG;
}

function buildTables(): void {
  const byOpcode = new Map<number, number[]>();
  ALL_ROWS.forEach((row, index) => {
    const kinds = row.operands.map((operand) => IMMEDIATE_OF[operand] ?? IMM_NONE).filter((kind) => kind !== IMM_NONE);
    rowImmediate[index] = kinds[0] ?? IMM_NONE;
    rowImmediate2[index] = kinds[1] ?? IMM_NONE;
    rowSize64[index] = row.forced64 ? 2 : row.default64 ? 1 : 0;
    rowLock[index] = row.lock ? 1 : 0;
    rowModRm[index] = row.modrm === MODRM_NONE ? 0 : 1;
    for (let op = row.opcode; op <= row.opcode + (row.plusReg ? 7 : 0); op++) {
      const key = (row.map << 8) | op;
      const list = byOpcode.get(key);
      if (list === undefined) byOpcode.set(key, [index]);
      else list.push(index);
    }
  });
  const groupList: Int16Array[] = [];
  const groupByText = new Map<string, number>();
  for (const [key, all] of byOpcode) {
    // A row that names the mandatory prefix goes before one that does not; otherwise the first row wins.
    const ordered = [...all].sort((a, b) => Number(ALL_ROWS[a].prefix === '') - Number(ALL_ROWS[b].prefix === '') || a - b);
    for (let variant = 0; variant < 16; variant++) {
      const is64 = variant >> 3, w = (variant >> 2) & 1, prefix = variant & 3;
      if (w === 1 && is64 === 0) continue;
      const rows = ordered.filter((index) => rowFits(ALL_ROWS[index], is64, w, prefix));
      if (rows.length === 0) continue;
      const at = (is64 << 13) | (w << 12) | (prefix << 10) | key;
      if (rowModRm[rows[0]] === 0) {
        entries[at] = rows[0] + 1;
        continue;
      }
      const text = rows.join();
      let group = groupByText.get(text);
      if (group === undefined) {
        const table = new Int16Array(256);
        for (let modrm = 0; modrm < 256; modrm++) table[modrm] = (rows.find((index) => modRmFits(ALL_ROWS[index], modrm)) ?? -1) + 1;
        group = groupList.push(table) - 1;
        groupByText.set(text, group);
      }
      entries[at] = -group - 1;
    }
  }
  groups = new Int16Array(groupList.length * 256);
  groupList.forEach((table, index) => groups.set(table, index * 256));
}

buildTables();

// ModRM.rm of 16-bit addressing: base, index.
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3], INDEX16 = [6, 7, 6, 7, 16, 16, 16, 16];

function readI32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/**
 * Decodes the instruction at bytes[start], of which bytes before `end` may be looked at. Returns its length and
 * fills D, or DECODE_TRUNCATED (needs bytes beyond end), DECODE_INVALID (#UD), DECODE_TOO_LONG (#GP: over 15 bytes).
 */
export function decode(bytes: Uint8Array, start: number, end: number, mode: number): number {
  const codeSize = mode & MODE_SIZE_MASK;
  const is64 = codeSize === 2;
  let at = start, rex = 0, repeat = 0, lock = 0, size66 = 0, size67 = 0, segment = -1, byte = 0;
  // Prefixes; REX counts only directly before the opcode.
  for (;;) {
    if (at - start >= 15) return DECODE_TOO_LONG;
    if (at >= end) return DECODE_TRUNCATED;
    byte = bytes[at++];
    if (is64 && (byte & 0xf0) === 0x40) {
      rex = byte;
      continue;
    }
    if (byte === 0x66) size66 = 1;
    else if (byte === 0x67) size67 = 1;
    else if (byte === 0xf3) repeat = 1;
    else if (byte === 0xf2) repeat = 2;
    else if (byte === 0xf0) lock = 1;
    else if (byte === 0x64) segment = 4;
    else if (byte === 0x65) segment = 5;
    else if (byte === 0x2e || byte === 0x36 || byte === 0x3e || byte === 0x26) {
      // In 64-bit mode these are accepted and ignored.
      if (!is64) segment = byte === 0x2e ? 1 : byte === 0x36 ? 2 : byte === 0x3e ? 3 : 0;
    } else break;
    rex = 0;
  }
  let map = 0;
  if (byte === 0x0f) {
    if (at >= end) return at - start >= 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
    byte = bytes[at++];
    map = 1;
    if (byte === 0x38 || byte === 0x3a) {
      map = byte === 0x38 ? 2 : 3;
      if (at >= end) return at - start >= 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
      byte = bytes[at++];
    }
  }
  const prefix = repeat === 1 ? 2 : repeat === 2 ? 3 : size66;
  const entry = entries[(is64 ? 1 << 13 : 0) | ((rex & 8) << 9) | (prefix << 10) | (map << 8) | byte];
  if (entry === 0) return DECODE_INVALID;
  D[D_OPCODE] = byte;
  D[D_REX] = rex;
  D[D_66] = size66;
  D[D_REPEAT] = repeat;
  const adSize = is64 ? 2 - size67 : codeSize ^ size67;
  D[D_ADSIZE] = adSize;
  let row: number, memory = 0;
  let base = 16, index = 16, scale = 0, disp = 0;
  if (entry > 0) {
    row = entry - 1;
    D[D_RM] = (byte & 7) | ((rex & 1) << 3);
    D[D_MODRM] = 0;
    D[D_REG] = 0;
  } else {
    if (at >= end) return at - start >= 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
    let modrm = bytes[at++];
    // MOV to and from control and debug registers takes a register whatever mod says (SDM 2, MOV).
    if (map === 1 && (byte & 0xfc) === 0x20) modrm |= 0xc0;
    row = groups[(-entry - 1) * 256 + modrm] - 1;
    if (row < 0) return DECODE_INVALID;
    D[D_MODRM] = modrm;
    D[D_REG] = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    D[D_RM] = (modrm & 7) | ((rex & 1) << 3);
    if (modrm < 0xc0) {
      memory = 1;
      const mod = modrm >> 6, rm = modrm & 7;
      let dispBytes = mod === 1 ? 1 : mod === 2 ? (adSize === 0 ? 2 : 4) : 0;
      if (adSize === 0) {
        if (mod === 0 && rm === 6) dispBytes = 2;
        else {
          base = BASE16[rm];
          index = INDEX16[rm];
        }
      } else if (rm === 4) {
        if (at >= end) return at - start >= 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
        const sib = bytes[at++];
        scale = sib >> 6;
        index = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (index === 4) {
          index = 16;
          scale = 0;
        }
        if ((sib & 7) === 5 && mod === 0) dispBytes = 4;
        else base = (sib & 7) | ((rex & 1) << 3);
      } else if (rm === 5 && mod === 0) {
        dispBytes = 4;
        if (is64) base = 17;
      } else base = rm | ((rex & 1) << 3);
      if (dispBytes !== 0) {
        if (at + dispBytes > end) return at + dispBytes - start > 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
        disp = dispBytes === 1 ? (bytes[at] << 24) >> 24 : dispBytes === 2 ? ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16 : readI32(bytes, at);
        at += dispBytes;
      }
    }
  }
  D[D_ROW] = row;
  D[D_MEMORY] = memory;
  D[D_BASE] = base;
  D[D_INDEX] = index;
  D[D_SCALE] = scale;
  D[D_DISP] = disp;
  // rBP and rSP based addresses default to SS.
  D[D_SEGMENT] = segment >= 0 ? segment : base === 4 || base === 5 ? 2 : 3;
  let opSize: number;
  if (is64) {
    const kind = rowSize64[row];
    opSize = kind === 2 || (rex & 8) !== 0 ? 2 : kind === 1 ? (size66 ? 0 : 2) : 1 - size66;
  } else opSize = codeSize ^ size66;
  D[D_OPSIZE] = opSize;
  D[D_IMM] = 0;
  D[D_IMM_HIGH] = 0;
  D[D_IMM2] = 0;
  const immediate = rowImmediate[row];
  if (immediate !== IMM_NONE) {
    const bytesNeeded = immediateBytes(immediate, opSize, adSize) + (rowImmediate2[row] === IMM_NONE ? 0 : 1);
    if (at + bytesNeeded > end) return at + bytesNeeded - start > 15 ? DECODE_TOO_LONG : DECODE_TRUNCATED;
    readImmediate(bytes, at, immediate, opSize, adSize);
    if (rowImmediate2[row] !== IMM_NONE) D[D_IMM2] = bytes[at + bytesNeeded - 1];
    at += bytesNeeded;
  }
  if (at - start > 15) return DECODE_TOO_LONG;
  if (lock && (rowLock[row] === 0 || memory === 0)) return DECODE_INVALID;
  D[D_LOCK] = lock;
  D[D_LENGTH] = at - start;
  return at - start;
}

function immediateBytes(kind: number, opSize: number, adSize: number): number {
  switch (kind) {
    case IMM_8S: case IMM_8U: case IMM_REL8: return 1;
    case IMM_16: return 2;
    case IMM_Z: case IMM_RELZ: return opSize === 0 ? 2 : 4;
    case IMM_V: return opSize === 0 ? 2 : opSize === 1 ? 4 : 8;
    case IMM_FAR: return opSize === 0 ? 4 : 6;
    default: return adSize === 0 ? 2 : adSize === 1 ? 4 : 8;
  }
}

function readImmediate(bytes: Uint8Array, at: number, kind: number, opSize: number, adSize: number): void {
  let lo = 0, hi = 0;
  switch (kind) {
    case IMM_8S: case IMM_REL8:
      lo = (bytes[at] << 24) >> 24;
      hi = lo >> 31;
      break;
    case IMM_8U: lo = bytes[at]; break;
    case IMM_16: lo = bytes[at] | (bytes[at + 1] << 8); break;
    case IMM_Z: case IMM_RELZ: case IMM_V:
      if (opSize === 0) lo = ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16;
      else lo = readI32(bytes, at);
      hi = kind === IMM_V && opSize === 2 ? readI32(bytes, at + 4) : lo >> 31;
      break;
    case IMM_FAR:
      // Offset in the first immediate, selector in the second.
      lo = opSize === 0 ? bytes[at] | (bytes[at + 1] << 8) : readI32(bytes, at);
      hi = opSize === 0 ? bytes[at + 2] | (bytes[at + 3] << 8) : bytes[at + 4] | (bytes[at + 5] << 8);
      break;
    default: {
      // moffs: a displacement of address size, its high word in the immediate.
      D[D_DISP] = adSize === 0 ? bytes[at] | (bytes[at + 1] << 8) : readI32(bytes, at);
      lo = adSize === 2 ? readI32(bytes, at + 4) : 0;
      D[D_MEMORY] = 1;
      break;
    }
  }
  D[D_IMM] = lo;
  D[D_IMM_HIGH] = hi;
}
