/**
 * Which code gets compiled, and when. The run loop looks every few thousand instructions at which block is about to run, so that counting costs the
 * interpreter nothing. A block met often within a window of recent samples (a rate, not a total: lukewarm code stays interpreted) becomes the head of
 * a region. The region is installed some time later, when V8 has had time to optimise it; until then the interpreter goes on.
 */
import { C } from '../record';
import { R } from '../state';
import { KIND_REGION } from './kinds';
import { CUT_AT, installRegion, prepareRegion } from './regions';
import type { Region } from './regions';

/** Instructions between two samples, on average. */
const SAMPLE_CYCLES = 12_000;
/** A window of samples, and how many of them a block needs to be worth compiling. */
const WINDOW_SAMPLES = 4096, HOT_SAMPLES = 40;
/** Samples that V8 is given per instruction of a region (about 0.4 ms of compilation). */
const SAMPLES_PER_INSTRUCTION = 5;

let samples = 0;
/** Regions that wait for V8, oldest first, and the sample at which the first may be installed. */
const waiting: Region[] = [];
let installAt = 0;

/** Instructions until the next sample: not always the same, lest it keep step with a loop. */
export function sampleLength(): number {
  return SAMPLE_CYCLES + ((samples * 389) & 1023);
}

function delayOf(region: Region): number {
  return 40 + region.instructions * SAMPLES_PER_INSTRUCTION;
}

/** Notes that the block P is about to run. True if code was replaced: the block has to be looked up again. */
export function sample(P: number): boolean {
  samples++;
  if (waiting.length > 0 && samples >= installAt) {
    const region = waiting.shift();
    if (region !== undefined) installRegion(region);
    if (waiting.length > 0) installAt = samples + delayOf(waiting[0]);
    return true;
  }
  // Inside a region, where it ended by chance.
  if (P === R[CUT_AT]) {
    R[CUT_AT] = 0;
    return false;
  }
  const window = (samples / WINDOW_SAMPLES) | 0;
  const word = C[P - 7];
  const count = word >> 8 === window ? Math.min(255, (word & 255) + 1) : 1;
  C[P - 7] = (window << 8) | count;
  if (count < HOT_SAMPLES || (C[P] & 1023) === KIND_REGION || waiting.some((region) => region.blocks.includes(P))) return false;
  C[P - 7] = (window + 1) << 8;
  const region = prepareRegion(P);
  if (region === null) return true;
  if (waiting.length === 0) installAt = samples + delayOf(region);
  waiting.push(region);
  return true;
}
