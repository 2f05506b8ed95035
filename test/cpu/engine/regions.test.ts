/** The second tier against the first: same registers, flags, memory and time, instruction for instruction. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clockNow } from '../../../src/cpu/clock';
import { lookup } from '../../../src/cpu/engine/blocks';
import { compileRegion, REGION_STATS } from '../../../src/cpu/engine/regions';
import { getFlags } from '../../../src/cpu/flags';
import { mem8 } from '../../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../../src/cpu/mmu/physical';
import { R, RCX, RIP, RSI, RDI } from '../../../src/cpu/state';
import { assemble } from '../../../src/guests/assembler/assembler';
import { createBareCpu, enterMode, run } from '../../support/bare-cpu';

const CODE = 0x100000, DATA = 0x200000;

interface Outcome {
  registers: number[];
  flags: number;
  cycles: number;
  data: string;
}

function start(bits: 32 | 64, code: Uint8Array): void {
  enterMode(bits);
  physWriteBytes(CODE, code);
  mem8.fill(0, DATA, DATA + 4096);
  for (let n = 0; n < 256; n++) mem8[DATA + n] = (n * 37) & 255;
  R[RIP] = CODE;
  R[RSI] = R[RDI] = DATA;
  R[RCX] = 200;
}

function finish(): Outcome {
  const before = clockNow();
  run(1_000_000);
  return {
    registers: Array.from(R.subarray(0, 32)), flags: getFlags(), cycles: clockNow() - before,
    data: Buffer.from(mem8.subarray(DATA, DATA + 4096)).toString('base64'),
  };
}

/** Runs the program interpreted, then with the regions at its labels compiled. */
function both(bits: 32 | 64, source: string): [Outcome, Outcome] {
  const program = assemble(`bits ${bits}\norg 0x100000\n${source}`, { bits, origin: BigInt(CODE) });
  if (!program.ok) throw new Error(program.errors.map(({ line, message }) => `${line}: ${message}`).join('\n'));
  start(bits, program.bytes);
  const interpreted = finish();
  start(bits, program.bytes);
  const before = REGION_STATS.compiled;
  // Execute once more so that the blocks and their links exist, then compile around the loop's head.
  finish();
  start(bits, program.bytes);
  R[RIP] = Number(program.symbols.get('top'));
  compileRegion(lookup());
  R[RIP] = CODE;
  expect(REGION_STATS.compiled).toBe(before + 1);
  return [interpreted, finish()];
}

beforeAll(() => createBareCpu());
beforeEach(() => enterMode(64));

describe('regions', () => {
  it('agree on arithmetic, memory and flags in 64-bit code', () => {
    const [interpreted, compiled] = both(64, `
      xor eax, eax
      top: add rax, [rsi]
      rol rax, 7
      adc [rdi+8], eax
      imul rdx, rax, 77
      xor rdx, rcx
      mov [rdi+rcx*8], rdx
      dec ecx
      jnz top
      hlt`);
    expect(compiled).toEqual(interpreted);
  });

  it('agree in 32-bit code with calls and returns', () => {
    const [interpreted, compiled] = both(32, `
      top: push ecx
      call sub
      pop ecx
      loop: dec ecx
      jnz top
      hlt
      sub: mov eax, [esi+ecx]
      add [edi], eax
      sbb edx, eax
      ret`);
    expect(compiled).toEqual(interpreted);
  });

  it('give a handler its own record when it comes first in a block', () => {
    const [interpreted, compiled] = both(64, `
      jmp top
      top: btr qword [rdi], 3
      setc al
      add rbx, rax
      bswap rbx
      dec ecx
      jnz top
      hlt`);
    expect(compiled).toEqual(interpreted);
  });

  it('leave at the exact instruction when the budget ends', () => {
    const program = assemble('bits 64\norg 0x100000\ntop: inc rax\nadd rbx, rax\njmp top', { bits: 64, origin: BigInt(CODE) });
    if (!program.ok) throw new Error('does not assemble');
    start(64, program.bytes);
    run(1000);
    R[RIP] = CODE;
    compileRegion(lookup());
    start(64, program.bytes);
    run(1000);
    expect(R[0]).toBe(334);
    expect(R[RIP]).toBe(CODE + 3);
  });

  it('never run code that they have overwritten', () => {
    // The store changes the immediate of the instruction after it, in the middle of the loop.
    const [interpreted, compiled] = both(64, `
      top: mov [rel patch+1], ecx
      patch: mov eax, 0
      add rbx, rax
      dec ecx
      jnz top
      hlt`);
    expect(interpreted.registers[6]).toBe(200 * 201 / 2);
    expect(compiled).toEqual(interpreted);
  });
});
