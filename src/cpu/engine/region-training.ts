/**
 * Training of compiled regions. V8 compiles only the paths it has seen, so a region whose rarer blocks had not run yet when it was
 * optimised would be thrown back to slow code at the first visit of each. Every block of a new region therefore runs a few times on made-up
 * registers, with memory that leads to one scratch page and with all outside effects (slow paths, handlers, links) switched off.
 */
import { BUD, ENGINE_STATE, FRH, FRL, FSH, FSL, FT, FX, R, STATE_BYTES, TLBB } from '../state';
import type { Handler } from '../record';
import { FAULT } from '../fault';
import { mem8, TRAINING_PAGE } from '../mmu/memory';
import { commitRmw, slowRead, slowRmw, slowWrite16, slowWrite32, slowWrite64, slowWrite8 } from '../mmu/slow';
import { T, TRAINING_BANK } from '../mmu/tlb';
import { lookup } from './blocks';
import { link } from './link';

/** State word: 1 while a region is being trained. */
const TRAINING = ENGINE_STATE + 4;
const ROUNDS = 10;
const BANK_WORDS = 4096;

/** Makes the page of a linear address lead to the training page. */
function mapTrainingPage(lo: number, hi: number): number {
  const i = ((lo >>> 10) & 4092) | TRAINING_BANK, tag = lo & -4096;
  T[i] = T[i + 3] = tag;
  T[i + 1] = hi;
  T[i + 2] = TRAINING_PAGE - tag;
  return TRAINING_PAGE + (lo & 4095);
}

/** What a region calls outside itself, in forms that do nothing during training. */
export const TRAINABLE = {
  slowRead: (lo: number, hi: number, size: number, p: number): number => (R[TRAINING] !== 0 ? mapTrainingPage(lo, hi) : slowRead(lo, hi, size, p)),
  slowRmw: (lo: number, hi: number, size: number, p: number): number => (R[TRAINING] !== 0 ? mapTrainingPage(lo, hi) : slowRmw(lo, hi, size, p)),
  commitRmw: (): void => {
    if (R[TRAINING] === 0) commitRmw();
  },
  slowWrite8: (lo: number, hi: number, value: number, p: number): void => {
    if (R[TRAINING] !== 0) mapTrainingPage(lo, hi);
    else slowWrite8(lo, hi, value, p);
  },
  slowWrite16: (lo: number, hi: number, value: number, p: number): void => {
    if (R[TRAINING] !== 0) mapTrainingPage(lo, hi);
    else slowWrite16(lo, hi, value, p);
  },
  slowWrite32: (lo: number, hi: number, value: number, p: number): void => {
    if (R[TRAINING] !== 0) mapTrainingPage(lo, hi);
    else slowWrite32(lo, hi, value, p);
  },
  slowWrite64: (lo: number, hi: number, valueLo: number, valueHi: number, p: number): void => {
    if (R[TRAINING] !== 0) mapTrainingPage(lo, hi);
    else slowWrite64(lo, hi, valueLo, valueHi, p);
  },
  lookup: (): number => (R[TRAINING] !== 0 ? 0 : lookup()),
  link: (P: number, which: number): number => (R[TRAINING] !== 0 ? 0 : link(P, which)),
};

/** A handler that does nothing during training. */
export function trainableHandler(handler: Handler): Handler {
  return (p) => {
    if (R[TRAINING] === 0) handler(p);
  };
}

const VALUES = [0, 1, -1, 7, 0x7fffffff, -0x80000000, 0x1000, -0x1000];

function fillState(round: number, block: number): void {
  for (let n = 0; n < 16; n++) {
    R[2 * n] = VALUES[(round * 3 + n * (round & 1) + block) & 7] + (round >> 2);
    R[2 * n + 1] = round % 3 === 0 ? R[2 * n] >> 31 : VALUES[(round + n) & 3];
  }
  R[FT] = (round % 7) | ((round & 3) << 8);
  R[FX] = (round * 0x155) & 0x8d5;
  R[FRL] = VALUES[round & 7];
  R[FRH] = round & 2 ? R[FRL] : VALUES[(round + 1) & 7];
  R[FSL] = VALUES[(round * 3) & 7];
  R[FSH] = round & 4 ? R[FRH] : R[FSL];
}

/** Runs each case of a region, whose blocks have the given lengths, a few times. Leaves no trace in the machine. */
export function trainRegion(region: (entry: number) => number, lengths: readonly number[]): void {
  const saved = R.slice(0, STATE_BYTES / 4);
  R[TRAINING] = 1;
  R[TLBB] = TRAINING_BANK;
  for (let round = 0; round < ROUNDS; round++) {
    mem8.fill(round % 3 === 0 ? 0 : round * 37, TRAINING_PAGE, TRAINING_PAGE + 4096 + 64);
    if (round % 4 === 0) T.fill(1, TRAINING_BANK, TRAINING_BANK + BANK_WORDS);
    for (let block = 0; block < lengths.length; block++) {
      fillState(round, block);
      // Just enough for this block: the region returns at the next one.
      R[BUD] = lengths[block];
      try {
        region(block);
      } catch (thrown) {
        if (thrown !== FAULT) throw thrown;
      }
    }
  }
  T.fill(1, TRAINING_BANK, TRAINING_BANK + BANK_WORDS);
  R.set(saved);
}
