/**
 * Which code gets compiled, and when. The run loop looks every few thousand instructions at which block is about to run, so that counting costs the
 * interpreter nothing. Blocks met often within a window of recent samples (a rate, not a total: lukewarm code stays interpreted) become a region. It is installed some time later, when V8 has had time to optimise it; until then the interpreter goes on.
 */
import { C } from '../record';
import { R } from '../state';
import { KIND_REGION } from './kinds';
import { CUT_AT, draftRegion, forgetLosses, installRegion, isCompiled, isVolatile, prepareRegion } from './regions';
import type { Region } from './regions';

/** Instructions between two samples, on average. */
const SAMPLE_CYCLES = 12_000;
/**
 * A window of samples; how many of them all blocks of a region together need for it to be worth compiling (12 million instructions: V8 takes the time of some
 * million interpreted ones for it), and how many its first block needs for a region to be considered.
 */
const WINDOW_SAMPLES = 65_536, HOT_SAMPLES = 1000, WARM_SAMPLES = 25;
/** What the blocks of a region need that are in no other region yet. */
const FRESH_SAMPLES = 250;
const COUNT_MASK = 1023, COUNT_BITS = 10;
/** Samples that V8 is given per instruction of a region at first, and how often as many again while the region is found to be slow still. */
const SAMPLES_PER_INSTRUCTION = 4, MOST_DELAYS = 12;
/** Empty calls by which a region's speed is found, and what one takes at most when it is optimised, in milliseconds. */
const PROBE_CALLS = 2000, FAST_CALL_MS = 0.00006;

let samples = 0;
/** Regions that wait for V8, oldest first, the sample at which the first may be installed, and how often that was put off. */
const waiting: Region[] = [];
let installAt = 0, delays = 0;

let clock: (() => number) | null = null;

/** A clock in milliseconds by which regions are found to be optimised; without one they are taken to be after some time. What guests see does not depend on it. */
export function setTieringClock(now: () => number): void {
  clock = now;
}

/** True unless the clock tells that V8 still runs the region in its slow tiers. */
function isFast(region: Region): boolean {
  if (clock === null) return true;
  const start = clock();
  for (let n = 0; n < PROBE_CALLS; n++) region.run(-1);
  return clock() - start <= PROBE_CALLS * FAST_CALL_MS;
}

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
    const region = waiting[0];
    if (delays++ < MOST_DELAYS && !isFast(region)) installAt = samples + delayOf(region);
    else {
      installRegion(region);
      waiting.shift();
      delays = 0;
      if (waiting.length > 0) installAt = samples + delayOf(waiting[0]);
    }
    return true;
  }
  // Inside a region, where it ended by chance.
  if (P === R[CUT_AT]) {
    R[CUT_AT] = 0;
    return false;
  }
  const window = (samples / WINDOW_SAMPLES) | 0;
  const count = Math.min(COUNT_MASK, samplesOf(P, window) + 1);
  C[P - 7] = (window << COUNT_BITS) | count;
  if (samples % WINDOW_SAMPLES === 0) forgetLosses();
  if (!isTurn(count) || (C[P] & 1023) === KIND_REGION || isVolatile(P) || waiting.some((region) => region.blocks.includes(P))) return false;
  const draft = draftRegion(P, (block) => samplesOf(block, window) > 0);
  if (draft === null || !pays(draft.inOrder(), window)) return false;
  const region = prepareRegion(draft);
  if (region === null) return true;
  if (waiting.length === 0) installAt = samples + delayOf(region);
  waiting.push(region);
  return true;
}

/** Whether a region of these blocks is worth its compilation; where others are already compiled, the rest must be worth it alone. */
function pays(blocks: readonly number[], window: number): boolean {
  const heat = (some: readonly number[]): number => some.reduce((sum, block) => sum + samplesOf(block, window), 0);
  return heat(blocks) >= HOT_SAMPLES && heat(blocks.filter((block) => !isCompiled(block))) >= FRESH_SAMPLES;
}

/** Samples of a block in this window. */
function samplesOf(P: number, window: number): number {
  return C[P - 7] >> COUNT_BITS === window ? C[P - 7] & COUNT_MASK : 0;
}

/** Counts at which a region around the block is considered: WARM_SAMPLES and its doubles. */
function isTurn(count: number): boolean {
  const times = count / WARM_SAMPLES;
  return Number.isInteger(times) && (times & (times - 1)) === 0;
}
