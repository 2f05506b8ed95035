/** Every integer instruction form with a handler, against the host CPU (test/host/integer-oracle.c), on values that favour edges. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { C } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import { getStatusFlags, setFlags } from '../../../src/cpu/flags';
import { AMASK, FAULT_VECTOR, MEMHI, MODE, R, RDI, X_DE } from '../../../src/cpu/state';
import { INTEGER_ROWS } from '../../../src/cpu/opcodes/integer';
import { MAP_0F38, MAP_ONE_BYTE, MODRM_DIGIT, MODRM_NONE, parseRows } from '../../../src/cpu/opcodes/rows';
import type { OpcodeRow } from '../../../src/cpu/opcodes/rows';
import { integerHandlers } from '../../../src/cpu/integer';

const MEMORY_BYTES = 256, BASE = 0x1000;
const memory = vi.hoisted(() => new DataView(new ArrayBuffer(256)));

vi.mock('../../../src/cpu/mmu/access', () => {
  const at = (lo: number): number => lo - 0x1000;
  return {
    load8: (lo: number) => memory.getUint8(at(lo)),
    load16: (lo: number) => memory.getUint16(at(lo), true),
    load32: (lo: number) => memory.getInt32(at(lo), true),
    load64: (lo: number) => {
      R[MEMHI] = memory.getInt32(at(lo) + 4, true);
      return memory.getInt32(at(lo), true);
    },
    store8: (lo: number, _hi: number, v: number) => memory.setUint8(at(lo), v),
    store16: (lo: number, _hi: number, v: number) => memory.setUint16(at(lo), v, true),
    store32: (lo: number, _hi: number, v: number) => memory.setInt32(at(lo), v, true),
    store64: (lo: number, _hi: number, v: number, w: number) => {
      memory.setInt32(at(lo), v, true);
      memory.setInt32(at(lo) + 4, w, true);
    },
    probeOperand: () => undefined,
  };
});

// Offsets in struct test of the oracle.
const CASE_BYTES = 96 + MEMORY_BYTES, AT_GPR = 16, AT_FLAGS = 80, AT_MODE = 88, AT_SIGNAL = 92, AT_MEMORY = 96;
const SIGFPE = 8;
const LETTERS: Record<string, number> = { c: 1, p: 4, a: 0x10, z: 0x40, s: 0x80, o: 0x800 };
/** Registers that the oracle loads and returns. */
const USED = [0, 1, 2, 3, 6];
const REG = 2, RM = 3, EDGE_CASES = 60;

interface Form {
  readonly row: OpcodeRow;
  readonly name: string;
  /** 0, 1, 2. */
  readonly size: number;
  readonly isMemory: boolean;
  readonly rm: number;
  readonly immediate: number | undefined;
}

let seed = 0x2545f491;
function random(): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed;
}

const EDGES = [0, 1, 2, -1, -2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, 9, 0x99, 0x9a, 8, 16, 17, 31, 32, 33, 63, 64];
function word(): number {
  return (random() & 3) === 0 ? random() : EDGES[(random() >>> 0) % EDGES.length];
}

function formsOf(row: OpcodeRow): Form[] {
  const forms: Form[] = [];
  const byte = row.operands.some((operand) => operand === 'Eb');
  const sized = row.operands.some((operand) => /[vy]$/.test(operand)) || row.mnemonic === 'cwde' || row.mnemonic === 'cdq';
  const sizes = row.rexW === 1 ? [2] : row.rexW === 0 ? [1] : sized ? (row.invalid64 ? [0, 1] : [0, 1, 2]) : [1];
  const immediates = row.operands.includes('Ib') ? (row.mnemonic.startsWith('aa') ? [10, 16, 0, 7] : [0, 1, 5, 9, 17, 31, 33, 63]) : [undefined];
  for (const size of sizes) {
    for (const immediate of immediates) {
      const operand = row.operands.find((one) => /^[EM]/.test(one));
      const add = (isMemory: boolean, rm: number, how: string): void => {
        forms.push({ row, size, isMemory, rm, immediate, name: `${row.mnemonic} ${row.operands.join()} ${byte ? 8 : 16 << size} ${how} ${immediate ?? ''}` });
      };
      if (operand === undefined) add(false, RM, '');
      else {
        if (operand[0] === 'E') {
          add(false, RM, 'register');
          if (row.operands.some((one) => one[0] === 'G')) add(false, REG, 'same register');
          add(false, 0, 'accumulator');
        }
        add(true, 7, 'memory');
      }
    }
  }
  return forms;
}

function machineCode(form: Form): number[] {
  const { row } = form;
  const bytes: number[] = [];
  if (form.size === 0) bytes.push(0x66);
  if (row.prefix !== '') bytes.push(parseInt(row.prefix, 16));
  if (form.size === 2) bytes.push(0x48);
  if (row.map !== MAP_ONE_BYTE) bytes.push(0x0f);
  if (row.map === MAP_0F38) bytes.push(0x38);
  bytes.push(row.opcode);
  if (row.modrm !== MODRM_NONE) bytes.push((form.isMemory ? 0 : 0xc0) | ((row.modrm === MODRM_DIGIT ? row.modrmValue : REG) << 3) | form.rm);
  if (form.immediate !== undefined) bytes.push(form.immediate);
  return bytes;
}

/** Flags that the architecture leaves undefined for this case, as a mask. */
function undefinedFlags(form: Form, cl: number): number {
  const { row } = form;
  let mask = [...row.undefinedFlags].reduce((sum, letter) => sum | LETTERS[letter], 0);
  if (/^(rcl|rcr|shld|shrd)$/.test(row.mnemonic)) {
    const raw = (form.immediate ?? (row.operands.includes('CL') ? cl : 1)) & (form.size === 2 ? 63 : 31);
    if (raw !== 1) mask |= LETTERS.o;
    if (raw === 0) mask = 0;
    if (/^sh/.test(row.mnemonic) && form.size === 0 && raw > 16) mask = 0xfff;
  }
  return mask;
}

function runOurs(view: DataView, form: Form): number {
  for (const n of USED) {
    R[2 * n] = view.getInt32(AT_GPR + 8 * n, true);
    R[2 * n + 1] = view.getInt32(AT_GPR + 8 * n + 4, true);
  }
  R[RDI] = BASE + MEMORY_BYTES / 2;
  R[RDI + 1] = 0;
  const is64 = !form.row.invalid64;
  R[MODE] = is64 ? 6 : 5;
  R[AMASK] = is64 ? -1 : 0;
  setFlags(view.getInt32(AT_FLAGS, true) | 2);
  for (let i = 0; i < MEMORY_BYTES; i++) memory.setUint8(i, view.getUint8(AT_MEMORY + i));
  const code = machineCode(form);
  C[100] = (form.size << 14) | ((is64 ? 2 : 1) << 16) | (form.isMemory ? 1 << 21 : 0) | (3 << 22) | (form.size === 2 ? 1 << 25 : 0) | (code.length << 10);
  C[101] = REG | (form.rm << 4) | (7 << 8) | (16 << 13);
  C[102] = 0;
  C[103] = form.immediate ?? 0;
  try {
    integerHandlers[form.row.handler](100);
    return 0;
  } catch (error) {
    if (error !== FAULT) throw error;
    return R[FAULT_VECTOR] === X_DE ? SIGFPE : 100 + R[FAULT_VECTOR];
  }
}

function compare(form: Form, before: DataView, after: DataView): string | undefined {
  const signal = runOurs(before, form);
  const hostSignal = after.getInt32(AT_SIGNAL, true);
  if (signal !== hostSignal) return `signal ${signal}, host ${hostSignal}`;
  if (signal !== 0) return undefined;
  const mask = 0x8d5 & ~undefinedFlags(form, before.getUint8(AT_GPR + 8));
  const flags = getStatusFlags() & mask, hostFlags = after.getInt32(AT_FLAGS, true) & mask;
  if (flags !== hostFlags) return `flags ${flags.toString(16)}, host ${hostFlags.toString(16)}`;
  // A 16-bit double shift by more than 16 has no defined result either.
  if (/^sh[lr]d$/.test(form.row.mnemonic) && mask === 0) return undefined;
  for (const n of USED) {
    const lo = R[2 * n], hi = R[2 * n + 1];
    const hostLo = after.getInt32(AT_GPR + 8 * n, true), hostHi = form.row.invalid64 ? hi : after.getInt32(AT_GPR + 8 * n + 4, true);
    if (lo !== hostLo || hi !== hostHi) {
      return `r${n} = ${(hi >>> 0).toString(16)}:${(lo >>> 0).toString(16)}, host ${(hostHi >>> 0).toString(16)}:${(hostLo >>> 0).toString(16)}`;
    }
  }
  for (let i = 0; i < MEMORY_BYTES; i++) if (memory.getUint8(i) !== after.getUint8(AT_MEMORY + i)) return `memory byte ${i}`;
  return undefined;
}

const SKIPPED = /^(movs|stos|lods|cmps|scas|enter|leave|pusha|popa|bound|xlat|cld|std)$/;

describe('integer handlers on the host CPU', () => {
  it('agree with it in results, flags and faults', () => {
    const rows = parseRows(INTEGER_ROWS).filter((row) => integerHandlers[row.handler] !== undefined && !SKIPPED.test(row.mnemonic));
    const forms = rows.flatMap(formsOf);
    expect(forms.length).toBeGreaterThan(300);
    const directory = mkdtempSync(join(tmpdir(), 'integer-oracle-'));
    const program = join(directory, 'oracle');
    execFileSync('gcc', ['-O1', '-o', program, join(import.meta.dirname, '../../host/integer-oracle.c')]);
    const input = new Uint8Array(forms.length * EDGE_CASES * CASE_BYTES);
    const views: DataView[] = [];
    forms.forEach((form, f) => {
      const code = machineCode(form);
      for (let k = 0; k < EDGE_CASES; k++) {
        const view = new DataView(input.buffer, (f * EDGE_CASES + k) * CASE_BYTES, CASE_BYTES);
        views.push(view);
        for (let i = 0; i < 16; i++) view.setUint8(i, code[i] ?? 0x90);
        for (const n of USED) {
          view.setInt32(AT_GPR + 8 * n, word(), true);
          view.setInt32(AT_GPR + 8 * n + 4, form.row.invalid64 ? 0 : word(), true);
        }
        // Bit strings must stay within the memory; divisions should fit now and then.
        if (/^bt/.test(form.row.mnemonic) && form.isMemory && form.immediate === undefined) {
          const offset = random() % 900;
          view.setInt32(AT_GPR + 16, offset, true);
          view.setInt32(AT_GPR + 20, offset >> 31, true);
        }
        if (/div/.test(form.row.mnemonic) && k % 2 === 0) {
          const small = random() & 1 ? 0 : random() & 7;
          view.setInt32(AT_GPR + 16, small, true);
          view.setInt32(AT_GPR + 20, form.size === 2 ? 0 : word(), true);
        }
        view.setInt32(AT_FLAGS, random() & 0x8d5, true);
        view.setInt32(AT_MODE, form.row.invalid64 ? 32 : 64, true);
        for (let i = 0; i < MEMORY_BYTES; i += 4) view.setInt32(AT_MEMORY + i, word(), true);
        if (/^cmpxchg/.test(form.row.mnemonic) && k % 2 === 0) {
          for (let i = 0; i < 8; i++) view.setUint8(AT_MEMORY + MEMORY_BYTES / 2 + i, view.getUint8(AT_GPR + i));
          if (form.row.mnemonic === 'cmpxchg8b') view.setInt32(AT_MEMORY + MEMORY_BYTES / 2 + 4, view.getInt32(AT_GPR + 16, true), true);
          if (form.row.mnemonic === 'cmpxchg16b') for (let i = 0; i < 8; i++) view.setUint8(AT_MEMORY + MEMORY_BYTES / 2 + 8 + i, view.getUint8(AT_GPR + 16 + i));
          for (let i = 0; i < 8; i++) view.setUint8(AT_GPR + 8 * RM + i, view.getUint8(AT_GPR + i));
        }
      }
    });
    const output = spawnSync(program, { input, maxBuffer: 1 << 28 }).stdout;
    expect(output.length).toBe(input.length);
    const differences: string[] = [];
    const perForm = new Map<string, number>();
    views.forEach((view, i) => {
      const form = forms[Math.floor(i / EDGE_CASES)];
      const after = new DataView(output.buffer, output.byteOffset + i * CASE_BYTES, CASE_BYTES);
      const difference = compare(form, view, after);
      if (difference === undefined) return;
      const count = (perForm.get(form.name) ?? 0) + 1;
      perForm.set(form.name, count);
      if (count === 1) differences.push(`${form.name}: ${difference}`);
    });
    expect(differences).toEqual([]);
  });
});
