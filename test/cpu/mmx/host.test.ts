/** Every MMX instruction against the host's processor, register and memory forms. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { MMX_ROWS } from '../../../src/cpu/opcodes/mmx';
import { parseRows, type OpcodeRow } from '../../../src/cpu/opcodes/rows';
import { mmxHandlers } from '../../../src/cpu/mmx';
import { encode, hostIsUsable, prepareCore, runOnCore, runOnHost, show80, type Case, type Outcome } from '../../host/x87-host';
import { Random } from '../../host/x87-values';

vi.mock('../../../src/cpu/mmu/access', () => import('../../host/flat-memory'));

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x80008000, 0x80808080, 0x7fff8001];

function word(random: Random): number {
  return random.below(3) === 0 ? random.pick(INTERESTING) : random.word();
}

function makeCase(random: Random, row: OpcodeRow): Case {
  const memoryAllowed = row.mod !== 2 && row.operands.some((operand) => /^[QEM]/.test(operand));
  const memory = memoryAllowed && (row.mod === 1 || random.below(2) === 0);
  const shift = /^ps[lr][la]/.test(row.mnemonic);
  const immediate = shift ? random.below(80) : random.word() & 255;
  // A general register operand is RCX.
  const general = row.operands.some((operand) => /^[ERG]/.test(operand));
  const rm = general && !row.operands.includes('Nq') ? 1 : random.below(8);
  const reg = row.operands.includes('Nq') && general ? 1 : random.below(8);
  const { code, modrm } = encode(row, memory, reg, rm, immediate);
  const registers = new Uint8Array(80);
  const view = new DataView(registers.buffer);
  const small = shift && row.operands[1] === 'Qq' && random.below(2) === 0;
  for (let i = 0; i < 8; i++) {
    view.setUint32(10 * i, small ? random.below(70) : word(random), true);
    view.setUint32(10 * i + 4, small ? 0 : word(random), true);
    view.setUint16(10 * i + 8, random.word() & 0xffff, true);
  }
  const data = new Uint8Array(64);
  const memoryView = new DataView(data.buffer);
  for (let i = 0; i < 16; i++) memoryView.setUint32(4 * i, small && i < 2 ? (i === 0 ? random.below(70) : 0) : word(random), true);
  return {
    row, code, modrm, immediate, rexW: row.rexW === 1, control: 0x37f, status: (random.word() & 0x477f) | (random.below(8) << 11), tags: random.word() & 0xffff,
    registers, rcx: random.bits64(), flags: random.word() & 0x8d5, memory: data,
  };
}

function show(outcome: Outcome): string {
  const registers = Array.from({ length: 8 }, (_, i) => show80(outcome.registers, i)).join(' ');
  return `sw ${outcome.status.toString(16)} tw ${outcome.tags.toString(16)} fl ${outcome.flags.toString(16)} rcx ${outcome.rcx.toString(16)} mem ${Buffer.from(outcome.memory.subarray(0, 16)).toString('hex')} ${registers}`;
}

describe.runIf(hostIsUsable())('MMX against the host processor', () => {
  beforeAll(prepareCore);

  it('results and state are identical', () => {
    const random = new Random(2024);
    const cases: Case[] = [];
    for (const row of parseRows(MMX_ROWS)) for (let n = 0; n < 200; n++) cases.push(makeCase(random, row));
    const hosts = runOnHost(cases);
    const failures: string[] = [];
    const counts = new Map<string, number>();
    cases.forEach((test, i) => {
      const core = runOnCore(test, mmxHandlers[test.row.handler]);
      if (show(core) === show(hosts[i])) return;
      const count = (counts.get(test.row.handler) ?? 0) + 1;
      counts.set(test.row.handler, count);
      if (count < 4) failures.push(`${test.row.mnemonic} ${Buffer.from(test.code).toString('hex')}\n host ${show(hosts[i])}\n core ${show(core)}`);
    });
    if (failures.length > 0) expect.fail(`${[...counts].map(([k, v]) => `${k}:${v}`).join(' ')}\n${failures.slice(0, 30).join('\n')}`);
  });
});
