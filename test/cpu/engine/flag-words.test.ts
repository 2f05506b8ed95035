/** Lazy flags by value against lazy flags in R. */
import { describe, expect, it } from 'vitest';
import * as flags from '../../../src/cpu/flags';
import * as words from '../../../src/cpu/engine/flag-words';
import { FRH, FRL, FSH, FSL, FT, FX, R } from '../../../src/cpu/state';

const VALUES = [0, 1, -1, 0x7f, 0x80, -0x80, 0x7fff, -0x8000, 0x7fffffff, -0x80000000, 15, 16, 0x55aa55aa];

let seed = 7;
function pick(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  return seed & 64 ? seed : VALUES[(seed >>> 8) % VALUES.length];
}

describe.each([0, 1, 2, 3, 4, 5, 6])('kind %i', (kind) => {
  it.each([0, 1, 2, 3])('size %i', (size) => {
    for (let n = 0; n < 2000; n++) {
      const narrow = size < 3, shift = size === 0 ? 24 : size === 1 ? 16 : 0;
      const low = (pick() << shift) >> shift, operand = (pick() << shift) >> shift;
      const state: [number, number, number, number, number, number] = [
        kind | (size << 8), low, narrow ? low : pick(), operand, narrow ? operand : pick(), pick() & 0x8d5,
      ];
      [FT, FRL, FRH, FSL, FSH, FX].forEach((word, at) => {
        R[word] = state[at];
      });
      for (const name of ['getCf', 'getPf', 'getAf', 'getSf', 'getOf'] as const) expect(words[name](...state), `${name} of ${state}`).toBe(flags[name]());
    }
  });
});
