/**
 * Runs SSE instruction forms on the host CPU (test/host/sse-oracle.c) and on the handlers, and compares all registers.
 *
 * Fixed operands: XMM1 (or ECX, MM1) in ModRM.reg, XMM2 (or EAX, MM2) in ModRM.rm, memory at [rdi]. The machine code
 * comes from the opcode rows, so the comparison checks the encodings too. Test files mock mmu/access with mock-access.ts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { C } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import { getStatusFlags, setFlags } from '../../../src/cpu/flags';
import {
  R, AMASK, CODE64, CR0, CR4, FAULT_ERROR, FAULT_VECTOR, FP_MANT, MODE, MXCSR, RAX, RCX, RDI, RDX, XMM, X_GP, X_XM, CR4_OSFXSR,
  CR4_OSXMMEXCPT, F_STATUS,
} from '../../../src/cpu/state';
import { MEMORY_BASE, memory } from './mock-access';
import type { OpcodeRow } from '../../../src/cpu/opcodes/rows';
import { sseHandlers } from '../../../src/cpu/sse';

/** Bytes of a case, and the offsets of its parts (struct state of the oracle). */
export const CASE_BYTES = 144;
export const AT_XMM = 16, AT_MEMORY = 64, AT_RAX = 80, AT_MM1 = 104, AT_MXCSR = 120, AT_SIGNAL = 124, AT_FLAGS = 128;
const SIGFPE = 8, SIGSEGV = 11;

/** A deterministic source of words (xorshift). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 1;
  }
  word(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x;
  }
  below(n: number): number {
    return (this.word() >>> 0) % n;
  }
}

/** One instruction with its operands chosen. */
export interface Form {
  readonly row: OpcodeRow;
  readonly name: string;
  readonly isMemory: boolean;
  /** ModRM.rm names the register of ModRM.reg. */
  readonly isAliased: boolean;
  readonly immediate: number;
  readonly bytes: readonly number[];
}

function isImmediate(row: OpcodeRow): boolean {
  return row.operands.includes('Ib');
}

/** Does some operand of the row name a general register through ModRM.rm (or ModRM.reg)? */
function isGeneral(row: OpcodeRow, letters: string): boolean {
  return row.operands.some((operand) => letters.includes(operand[0]) && operand !== 'Ib');
}

function encode(row: OpcodeRow, rm: number, isMemory: boolean, immediate: number): number[] {
  const bytes: number[] = [];
  if (row.prefix !== 'NP' && row.prefix !== '') bytes.push(parseInt(row.prefix, 16));
  if (row.rexW === 1) bytes.push(0x48);
  bytes.push(0x0f);
  if (row.map === 2) bytes.push(0x38);
  if (row.map === 3) bytes.push(0x3a);
  const reg = row.modrm === 2 ? row.modrmValue : 1;
  bytes.push(row.opcode, isMemory ? (reg << 3) | 7 : 0xc0 | (reg << 3) | rm);
  if (isImmediate(row)) bytes.push(immediate & 255);
  return bytes;
}

/** The register, aliased and memory forms of a row with the given immediate. */
export function formsOf(row: OpcodeRow, immediate: number): Form[] {
  const forms: Form[] = [];
  const make = (rm: number, isMemory: boolean, isAliased: boolean): void => {
    const bytes = encode(row, rm, isMemory, immediate);
    const name = `${row.mnemonic} ${row.operands.join(',')} ${bytes.map((b) => b.toString(16)).join(' ')}`;
    forms.push({ row, name, isMemory, isAliased, immediate, bytes });
  };
  const general = isGeneral(row, 'ER');
  if (row.mod !== 1) {
    make(general ? 0 : 2, false, false);
    if (!general && row.operands.every((operand) => 'VWUI'.includes(operand[0])) && row.modrm === 1) make(1, false, true);
  }
  if (row.mod !== 2) make(0, true, false);
  return forms;
}

/** Compiles the oracle once. */
function oracle(): string {
  const source = 'test/host/sse-oracle.c', binary = 'node_modules/.cache/sse-oracle';
  if (!existsSync(binary) || statSync(binary).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync('node_modules/.cache', { recursive: true });
    execFileSync('gcc', ['-O1', '-o', binary, source]);
  }
  return binary;
}

/** Executes all cases (CASE_BYTES each) on the host. */
export function runOnHost(cases: Uint8Array): Uint8Array {
  const result = spawnSync(oracle(), { input: cases, maxBuffer: cases.length + 4096 });
  if (result.status !== 0) throw new Error(`oracle failed: ${result.status} ${result.signal}`);
  return result.stdout;
}

/** True where the host can play oracle: x86-64 Linux with gcc. */
export function hasOracle(): boolean {
  if (process.arch !== 'x64' || process.platform !== 'linux') return false;
  try {
    oracle();
    return true;
  } catch {
    return false;
  }
}

const RECORD = 1000;

/** The generic record the decoder would make. */
export function buildRecord(form: Form): number {
  const { row } = form;
  const size = row.rexW === 1 ? 2 : 1;
  const rm = isGeneral(row, 'ER') ? 0 : form.isAliased ? 1 : 2;
  const reg = row.modrm === 2 ? row.modrmValue : 1;
  C[RECORD] = (form.bytes.length << 10) | (size << 14) | (2 << 16) | (form.isMemory ? 1 << 21 : 0) | (3 << 22);
  C[RECORD + 1] = reg | (form.isMemory ? 0 : rm << 4) | ((form.isMemory ? 7 : 16) << 8) | (16 << 13);
  C[RECORD + 2] = 0;
  C[RECORD + 3] = (form.immediate << 24) >> 24;
  C[RECORD + 4] = 0;
  return RECORD;
}

/** 64-bit flat mode with SSE enabled. */
export function enableSse(): void {
  R[CR0] = 1;
  R[CR4] = CR4_OSFXSR | CR4_OSXMMEXCPT;
  R[MODE] = 2 | 4;
  R[CODE64] = 1;
  R[AMASK] = -1;
  R[RDI] = MEMORY_BASE;
  R[RDI + 1] = 0;
}

/** Executes one case on the handlers, in place. */
export function runOnHandlers(form: Form, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CASE_BYTES);
  const words = (at: number, count: number, word: number): void => {
    for (let i = 0; i < count; i++) R[word + i] = view.getInt32(at + 4 * i, true);
  };
  enableSse();
  words(AT_XMM, 12, XMM);
  words(AT_RAX, 2, RAX);
  words(AT_RAX + 8, 2, RCX);
  words(AT_RAX + 16, 2, RDX);
  words(AT_MM1, 4, FP_MANT + 2);
  R[MXCSR] = view.getInt32(AT_MXCSR, true);
  setFlags(view.getInt32(AT_FLAGS, true));
  for (let i = 0; i < 16; i++) memory.setUint8(i, bytes[AT_MEMORY + i]);
  let signal = 0;
  try {
    sseHandlers[form.row.handler](buildRecord(form));
  } catch (e) {
    if (e !== FAULT) throw e;
    if (R[FAULT_VECTOR] === X_XM) signal = SIGFPE;
    else if (R[FAULT_VECTOR] === X_GP && R[FAULT_ERROR] === 0) signal = SIGSEGV;
    else signal = 1000 + R[FAULT_VECTOR];
  }
  const back = (at: number, count: number, word: number): void => {
    for (let i = 0; i < count; i++) view.setInt32(at + 4 * i, R[word + i], true);
  };
  back(AT_XMM, 12, XMM);
  back(AT_RAX, 2, RAX);
  back(AT_RAX + 8, 2, RCX);
  back(AT_RAX + 16, 2, RDX);
  back(AT_MM1, 4, FP_MANT + 2);
  view.setInt32(AT_MXCSR, R[MXCSR], true);
  view.setInt32(AT_SIGNAL, signal, true);
  view.setInt32(AT_FLAGS, getStatusFlags(), true);
  for (let i = 0; i < 16; i++) bytes[AT_MEMORY + i] = memory.getUint8(i);
}

/** Fills the fixed parts of a case: random registers and status flags, quiet MXCSR. */
export function fillCase(bytes: Uint8Array, form: Form, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CASE_BYTES);
  bytes.fill(0, 0, 16);
  bytes.set(form.bytes, 0);
  bytes[form.bytes.length] = 0xc3;
  for (let at = AT_XMM; at < AT_MXCSR; at += 4) view.setInt32(at, random.word(), true);
  view.setInt32(AT_MXCSR, 0x1f80, true);
  view.setInt32(AT_SIGNAL, 0, true);
  view.setInt32(AT_FLAGS, (random.word() & F_STATUS) | 2, true);
  view.setInt32(AT_FLAGS + 4, 0, true);
}

function hex(bytes: Uint8Array, at: number, count: number): string {
  let s = '';
  for (let i = count - 4; i >= 0; i -= 4) {
    s += new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + i, true).toString(16).padStart(8, '0') + (i ? '_' : '');
  }
  return s;
}

/** A case in words. */
export function describeCase(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CASE_BYTES);
  return `xmm0=${hex(bytes, 16, 16)} xmm1=${hex(bytes, 32, 16)} xmm2=${hex(bytes, 48, 16)} mem=${hex(bytes, 64, 16)} rax=${hex(bytes, 80, 8)}`
    + ` rcx=${hex(bytes, 88, 8)} rdx=${hex(bytes, 96, 8)} mm1=${hex(bytes, 104, 8)} mm2=${hex(bytes, 112, 8)}`
    + ` mxcsr=${view.getUint32(AT_MXCSR, true).toString(16)} signal=${view.getUint32(AT_SIGNAL, true)}`
    + ` flags=${(view.getUint32(AT_FLAGS, true) & F_STATUS).toString(16)}`;
}

/** Offset of the first byte in which the two outcomes differ, -1 if they agree. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let i = AT_XMM; i < AT_FLAGS; i++) if (a[i] !== b[i]) return i;
  const flags = (x: Uint8Array): number => new DataView(x.buffer, x.byteOffset).getInt32(AT_FLAGS, true) & F_STATUS;
  return flags(a) === flags(b) ? -1 : AT_FLAGS;
}

/**
 * Runs `count` cases of each form on both sides; `prepare` may overwrite operands and MXCSR of a filled case. Returns descriptions of
 * the first few differences.
 */
export function compareForms(forms: readonly Form[], count: number, seed: number, prepare: (bytes: Uint8Array, random: Random, form: Form) => void): string[] {
  const random = new Random(seed), all = new Uint8Array(forms.length * count * CASE_BYTES);
  const slice = (buffer: Uint8Array, n: number): Uint8Array => buffer.subarray(n * CASE_BYTES, (n + 1) * CASE_BYTES);
  forms.forEach((form, f) => {
    for (let i = 0; i < count; i++) {
      const bytes = slice(all, f * count + i);
      fillCase(bytes, form, random);
      prepare(bytes, random, form);
    }
  });
  const host = runOnHost(all), failures: string[] = [], perForm = new Map<string, number>();
  forms.forEach((form, f) => {
    for (let i = 0; i < count; i++) {
      const n = f * count + i, before = slice(all, n).slice(), ours = slice(all, n);
      runOnHandlers(form, ours);
      const at = firstDifference(ours, slice(host, n));
      if (at < 0) continue;
      const seen = perForm.get(form.name) ?? 0;
      perForm.set(form.name, seen + 1);
      if (seen === 0 && failures.length < 12) {
        failures.push(`${form.name} differs at ${at}\n  in   ${describeCase(before)}\n  ours ${describeCase(ours)}\n  host ${describeCase(slice(host, n))}`);
      }
    }
  });
  if (perForm.size > 0) failures.push([...perForm].map(([name, n]) => `${name}: ${n} of ${count}`).join('\n'));
  return failures;
}

