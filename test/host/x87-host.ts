/**
 * Runs one instruction on the host's processor (x87-oracle.c, compiled when first needed) and on the handlers of src/cpu/fpu and
 * src/cpu/mmx, from the same machine state, for tests to compare. The test file puts flat-memory.ts in the place of mmu/access.ts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { arch } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  R, RU, RAX, RCX, RDI, CR0, CR0_ET, CR0_NE, CR0_PE, CS, DS, FCW, FP_EXP, FP_MANT, MODE, SEG_AR, SEG_SEL, CODE64, AMASK,
} from '../../src/cpu/state';
import { C, INFO, MODE_FLAT, type Handler } from '../../src/cpu/record';
import { getStatusFlags, setStatusFlags } from '../../src/cpu/flags';
import { setControlWord, setStatusWord, setTagWord, statusWord, tagWord } from '../../src/cpu/fpu/stack';
import { memory as mem8 } from './flat-memory';
import type { OpcodeRow } from '../../src/cpu/opcodes/rows';

/** One execution: machine code, x87 state (registers as ST(0)..ST(7)), RCX and 64 bytes of memory at [RAX]. */
export interface Case {
  readonly row: OpcodeRow;
  readonly code: number[];
  readonly modrm: number;
  readonly immediate: number;
  readonly rexW: boolean;
  control: number;
  status: number;
  /** Full tag word. */
  tags: number;
  /** 80 bytes, ST(0) first. */
  registers: Uint8Array;
  rcx: bigint;
  flags: number;
  memory: Uint8Array;
}

export interface Outcome {
  control: number;
  status: number;
  tags: number;
  registers: Uint8Array;
  rcx: bigint;
  rax: bigint;
  flags: number;
  memory: Uint8Array;
}

const REQUEST = 208, REPLY = 200;
const MEMORY_AT = 0x2000;
let program = '';

/** True where the oracle can run: an x86-64 machine with gcc. */
export function hostIsUsable(): boolean {
  if (arch() !== 'x64' || process.platform !== 'linux') return false;
  try {
    program = compile();
    return true;
  } catch {
    return false;
  }
}

function compile(): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const cache = fileURLToPath(new URL('../../node_modules/.cache/host', import.meta.url));
  mkdirSync(cache, { recursive: true });
  const output = `${cache}/x87-oracle`;
  execFileSync('gcc', ['-O1', '-mno-red-zone', '-o', output, `${here}x87-oracle.c`], { stdio: 'pipe' });
  return output;
}

/** Machine code of a row: memory operand [RAX], or register number `rm` in ModRM.rm and `reg` in ModRM.reg. */
export function encode(row: OpcodeRow, memory: boolean, reg: number, rm: number, immediate: number): { code: number[]; modrm: number } {
  const code: number[] = [];
  if (row.prefix === '66' || row.prefix === 'F3' || row.prefix === 'F2') code.push(parseInt(row.prefix, 16));
  if (row.rexW === 1) code.push(0x48);
  code.push(...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][row.map], row.opcode);
  let modrm = 0;
  if (row.modrm === 1) modrm = (memory ? 0 : 0xc0) | (reg << 3) | (memory ? 0 : rm);
  else if (row.modrm === 2) modrm = (memory ? 0 : 0xc0) | (row.modrmValue << 3) | (memory ? 0 : rm);
  else modrm = row.modrmValue;
  if (row.modrm !== 0) code.push(modrm);
  if (row.operands.includes('Ib')) code.push(immediate & 255);
  return { code, modrm };
}

/** Executes all cases on the host. */
export function runOnHost(cases: readonly Case[]): Outcome[] {
  const input = Buffer.alloc(cases.length * REQUEST);
  cases.forEach((test, i) => {
    const at = i * REQUEST;
    input[at] = test.code.length;
    input.set(test.code, at + 1);
    const image = at + 16;
    input.writeUInt16LE(test.control, image);
    input.writeUInt16LE(test.status, image + 4);
    input.writeUInt16LE(test.tags, image + 8);
    input.set(test.registers, image + 28);
    input.writeBigUInt64LE(test.rcx, at + 128);
    input.writeBigUInt64LE(BigInt(test.flags | 0x202), at + 136);
    input.set(test.memory, at + 144);
  });
  const result = spawnSync(program, { input, maxBuffer: 1 << 30 });
  const output = result.stdout;
  if (output.length !== cases.length * REPLY) throw new Error(`the oracle died in case ${Math.floor(output.length / REPLY)} (${result.signal})`);
  return cases.map((_, i) => {
    const at = i * REPLY;
    return {
      control: output.readUInt16LE(at),
      status: output.readUInt16LE(at + 4),
      tags: output.readUInt16LE(at + 8),
      registers: new Uint8Array(output.subarray(at + 28, at + 108)),
      rcx: output.readBigUInt64LE(at + 112),
      flags: Number(output.readBigUInt64LE(at + 120) & 0x8d5n),
      rax: output.readBigUInt64LE(at + 128),
      memory: new Uint8Array(output.subarray(at + 136, at + 200)),
    };
  });
}

/** 64-bit code without paging: addresses are physical. */
export function prepareCore(): void {
  R[CR0] = CR0_PE | CR0_ET | CR0_NE;
  R[MODE] = 2 | MODE_FLAT;
  R[CODE64] = 1;
  R[AMASK] = -1;
  R[SEG_AR + DS] = 0xc093;
  R[SEG_SEL + CS] = 8;
}

const RECORD = 64;

/** Executes one case with the handler. */
export function runOnCore(test: Case, handler: Handler): Outcome {
  setControlWord(test.control);
  setStatusWord(test.status);
  setTagWord(test.tags);
  const top = (test.status >> 11) & 7;
  const view = new DataView(test.registers.buffer, test.registers.byteOffset);
  for (let i = 0; i < 8; i++) {
    const n = (top + i) & 7;
    R[FP_MANT + 2 * n] = view.getInt32(10 * i, true);
    R[FP_MANT + 2 * n + 1] = view.getInt32(10 * i + 4, true);
    R[FP_EXP + n] = view.getUint16(10 * i + 8, true);
  }
  mem8.set(test.memory, MEMORY_AT);
  R[RAX] = R[RDI] = MEMORY_AT;
  R[RAX + 1] = R[RDI + 1] = 0;
  R[RCX] = Number(test.rcx & 0xffffffffn) | 0;
  R[RCX + 1] = Number(test.rcx >> 32n) | 0;
  setStatusFlags(test.flags);
  const memory = test.modrm < 0xc0;
  C[RECORD] = (test.code.length << 10) | ((test.rexW ? 2 : 1) << 14) | (2 << 16) | (memory ? 1 << 21 : 0) | (DS << 22);
  C[RECORD + 1] = ((test.modrm >> 3) & 7) | ((test.modrm & 7) << 4) | (RAX << 8) | (16 << 13) | (test.modrm << 24);
  C[RECORD + 2] = 0;
  C[RECORD + 3] = test.immediate;
  C[RECORD + 4] = 0;
  INFO[RECORD] = 0x123;
  handler(RECORD);
  const registers = new Uint8Array(80);
  const out = new DataView(registers.buffer);
  const newTop = (statusWord() >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const n = (newTop + i) & 7;
    out.setInt32(10 * i, R[FP_MANT + 2 * n], true);
    out.setInt32(10 * i + 4, R[FP_MANT + 2 * n + 1], true);
    out.setUint16(10 * i + 8, R[FP_EXP + n], true);
  }
  return {
    control: R[FCW],
    status: statusWord(),
    tags: tagWord(),
    registers,
    rcx: (BigInt(RU[RCX + 1]) << 32n) | BigInt(RU[RCX]),
    rax: (BigInt(RU[RAX + 1]) << 32n) | BigInt(RU[RAX]),
    flags: getStatusFlags(),
    memory: mem8.slice(MEMORY_AT, MEMORY_AT + 64),
  };
}

/** An 80-bit value as text: sign and exponent, significand. */
export function show80(registers: Uint8Array, i: number): string {
  const hex = (from: number, count: number) =>
    Array.from({ length: count }, (_, k) => registers[10 * i + from + count - 1 - k].toString(16).padStart(2, '0')).join('');
  return `${hex(8, 2)}:${hex(0, 8)}`;
}
