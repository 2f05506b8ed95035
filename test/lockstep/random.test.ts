/** A short run of random loops, interpreted and compiled; `npm run test:lockstep` is the long one. */
import '../support/bare-cpu';
import { describe, expect, it } from 'vitest';
import { R, RSI } from '../../src/cpu/state';
import type { Bits } from '../host/user-layout';
import { breakCompiledXor } from './hot';
import { compareLoops } from './random-loops';

const COUNT = 20;

describe('random loops, interpreted and compiled', () => {
  for (const bits of [64, 32, 16] as Bits[]) {
    it(`${bits}-bit code agrees at every boundary`, () => {
      const { failures, compiled, boundaries, programs } = compareLoops({ bits, count: COUNT, seed: 20261122, maxFailures: 3 });
      expect(failures.join('\n\n')).toBe('');
      expect(programs).toBe(COUNT);
      expect(compiled).toBeGreaterThan(4 * COUNT);
      expect(boundaries).toBeGreaterThan(10 * COUNT);
    }, 60_000);
  }

  it('a register damaged in one of them is found and named', () => {
    const { failures } = compareLoops({
      bits: 64, count: 1, seed: 5, maxFailures: 1,
      sabotage: (engine, cycles) => {
        if (engine === 'jit' && cycles > 1000) R[RSI] ^= 0x10000;
      },
    });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/^64-bit program 0 of seed 5: the engines differ after \d+ instructions/);
    expect(failures[0]).toMatch(/^ {2}rsi +interpreter [0-9a-f]{16} {2}jit [0-9a-f]{16}$/m);
  }, 60_000);

  // Last: compiled code stays wrong.
  it('a wrong instruction of compiled code is found, in the block that has it', () => {
    breakCompiledXor();
    const { failures } = compareLoops({ bits: 64, count: 300, seed: 1, maxFailures: 1 });
    expect(failures).toHaveLength(1);
    const lines = failures[0].split('\n'), block = lines.findIndex((line) => line.includes('--- block ---'));
    expect(lines.find((line) => line.startsWith('  rax '))).toMatch(/interpreter [0-9a-f]{16} {2}jit [0-9a-f]{16}$/);
    expect(lines.slice(Math.max(0, block)).join('\n')).toMatch(/ (lock )?xor /);
  }, 60_000);
});
