/**
 * Training of compiled regions. V8 compiles only the paths it has seen, so a region whose rarer paths had not run yet when it was
 * optimised would be thrown back to slow code at the first visit of each. Every entry of a new region therefore runs a few times on made-up
 * registers, with memory that leads to one scratch page and with all outside effects (handlers, links) switched off. Afterwards the function is
 * called empty until V8 finds it hot: it is optimised in the background while the interpreter goes on.
 */
import { BUD, CODE_BANK, ENGINE_STATE, FRH, FRL, FSH, FSL, FT, FX, IPB, R, RIP, RSP, STATE_BYTES, TLBB } from '../state';
import type { Handler } from '../record';
import { mem8, memView, TRAINING_PAGE } from '../mmu/memory';
import { T, TRAINING_BANK, TRAINING_CODE_BANK } from '../mmu/tlb';
import { LEAVE_BUDGET, LEAVE_LOOKUP, LEAVE_RECORD, noJumps, noteJump, RESULT } from './region-text';
import type { RegionPage } from './region-text';

/** State word: 1 while a region is being trained. */
const TRAINING = ENGINE_STATE + 4;
/** State words: the last exit's x, and the linear address at which it was about to access memory. */
const EXIT = ENGINE_STATE + 5, MISSED = ENGINE_STATE + 6;
/** State word: 1 after a jump out of the region led back into it. */
const CAME_BACK = ENGINE_STATE + 10;
/** Starts per entry. */
const ROUNDS = 28;
/** Constants tried at most. */
const MAX_CONSTANTS = 40;
/** TLB misses repaired per start at most. */
const MAX_MISSES = 40;
/** Instructions that a start may execute. */
const BUDGET = 400;
const BANK_WORDS = 4096;

/** By number of a block within the region: 1 if training of the marked text ran it. */
export const SEEN = new Uint8Array(256);

/** Where training starts: a case of the region, its offset in its page, and that page in pages from the region's first. */
export interface TrainingStart {
  readonly key: number;
  readonly delta: number;
}

/** True while a region runs for training. */
export function isTraining(): boolean {
  return R[TRAINING] !== 0;
}

/** Notes how a training run ended. */
export function noteTrainingExit(x: number, lo: number, hi: number, jumps: Int32Array): number {
  R[EXIT] = x;
  R[MISSED] = lo;
  R[MISSED + 1] = hi;
  R[RESULT] = 0;
  if ((x & 7) === LEAVE_LOOKUP) {
    // The next time, the jump is known.
    const rip = R[RIP], i = ((rip >>> 10) & 4092) | TRAINING_CODE_BANK;
    if (T[i] !== (rip & -4096) || T[i + 1] !== R[RIP + 1]) {
      T[i] = rip & -4096;
      T[i + 1] = R[RIP + 1];
      T[i + 2] = 0;
    }
    noteJump(jumps, rip, R[RIP + 1], T[i + 2], 0);
  }
  // Some jumps out come back into the region at once.
  if ((x & 7) === LEAVE_RECORD || (x & 7) === LEAVE_BUDGET || R[CAME_BACK] !== 0) return -1;
  R[CAME_BACK] = 1;
  return 0;
}

const trainable: Handler[] = [];

/** Handler `number` in a form that does nothing during training. */
export function trainableHandler(number: number, handler: Handler): Handler {
  return trainable[number] ??= (p) => {
    if (R[TRAINING] === 0) handler(p);
  };
}

/** Makes the page of the access that missed lead to the training page. False if the access crosses pages or was no access. */
function mapMissedPage(): boolean {
  const lo = R[MISSED], hi = R[MISSED + 1], i = ((lo >>> 10) & 4092) | TRAINING_BANK, tag = lo & -4096;
  if (T[i] === tag && T[i + 1] === hi) return false;
  T[i] = T[i + 3] = tag;
  T[i + 1] = hi;
  T[i + 2] = TRAINING_PAGE - tag;
  return true;
}

/** As addresses, all lie in pages that do not share a TLB entry. */
const VALUES = [0, 1, -1, 7, 0x7fffefff, -0x7fffb000, 0x1000, -0x1000, 0x20, 0x61, 2, 0x100];

let seed = 1;
/** Constants of the region's text: comparisons with them should turn out both ways. */
let constants: readonly number[] = VALUES;

function pick(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  const from = (seed >>> 29) & 1 ? constants : VALUES;
  return from[(seed >>> 8) % from.length];
}

/** Immediate operands in a region's text. */
function constantsOf(text: string): number[] {
  const found = new Set([...text.matchAll(/\byl=\(?(-?\d+)\)?;/g)].map(([, digits]) => Number(digits)));
  return found.size === 0 ? [0] : [...found].sort((a, b) => a - b).slice(0, MAX_CONSTANTS);
}

/** Rounds after the first ROUNDS: in each, one constant is everywhere. */
function constantOf(round: number): number {
  return constants[round - ROUNDS];
}

function fillState(round: number): void {
  const same = round < ROUNDS ? pick() : constantOf(round), sameHigh = pick();
  for (let n = 0; n < 16; n++) {
    // Equal registers, small ones, wild ones.
    R[2 * n] = round >= ROUNDS || round % 4 === 0 ? same : round % 4 === 1 ? same + (n & 3) - 1 : pick();
    R[2 * n + 1] = round % 7 < 3 ? R[2 * n] >> 31 : round % 7 < 5 ? 0 : round % 7 === 5 ? pick() : sameHigh + ((seed >>> 9) & 1);
  }
  R[RSP] = 0x7000 + (round & 7) * 8;
  R[RSP + 1] = 0;
  R[FT] = (round % 7) | ((round & 3) << 8);
  R[FX] = (round * 0x155) & 0x8d5;
  R[FRL] = pick();
  R[FRH] = round & 2 ? R[FRL] : pick();
  R[FSL] = pick();
  R[FSH] = round & 4 ? R[FRH] : R[FSL];
}

/** Contents of the page that all memory leads to: values of the same kinds, all equal, close to each other, or with high words of zero. */
const PATTERNS = Array.from({ length: 14 }, (_, n) => {
  const same = pick();
  return Int32Array.from({ length: 1024 + 16 }, (__, word) => (n % 7 === 0 ? same : n % 7 < 3 && word & 1 ? 0 : n % 7 === 3 ? same + (word & 3) - 1 : pick()));
}).map((words) => new Uint8Array(words.buffer));

function fillPage(round: number, key: number): void {
  if (round < ROUNDS) mem8.set(PATTERNS[(round + key) % PATTERNS.length], TRAINING_PAGE);
  else for (let at = 0; at < 4096 + 64; at += 4) memView.setInt32(TRAINING_PAGE + at, constantOf(round), true);
}

/** Makes the code TLB know the region's pages, the first of which is at linear address 0. */
function mapCode(pages: readonly RegionPage[]): void {
  for (const { delta, host } of pages) {
    const lo = delta * 4096, i = ((lo >>> 10) & 4092) | TRAINING_CODE_BANK;
    T[i] = lo;
    T[i + 1] = lo >> 31;
    T[i + 2] = host;
  }
}

/** Bytes of code V8 wants to have seen executed, per byte of a function's own code, before it optimises the function: with room to spare. */
const INTERRUPT_BUDGET = 132_000, SIZE_PER_TICK = 150, TICKS = 3, CODE_PER_CHARACTER = 1.7;

/** Calls a trained region empty until V8 must have found it hot. Each call counts as if the whole function had run. `characters`: length of its text. */
export function heat(region: (entry: number) => number, characters: number): void {
  const size = characters * CODE_PER_CHARACTER;
  const calls = Math.min(20_000, (2 * INTERRUPT_BUDGET * (TICKS + size / SIZE_PER_TICK)) / size + 50);
  for (let n = 0; n < calls; n++) region(-1);
}

/**
 * Runs each case of a region a few times and leaves no trace in the machine. `starts` belong to the cases; the same block takes the same paths in every
 * version of a region. `pages` are what the code TLB has to know, `jumps` is the region's table.
 */
export function trainRegion(
  region: (entry: number) => number, text: string, starts: readonly TrainingStart[], pages: readonly RegionPage[], jumps: Int32Array,
): void {
  constants = constantsOf(text);
  const saved = R.slice(0, STATE_BYTES / 4);
  R[TRAINING] = 1;
  R[TLBB] = TRAINING_BANK;
  R[CODE_BANK] = TRAINING_CODE_BANK;
  T.fill(1, TRAINING_BANK, TRAINING_BANK + BANK_WORDS);
  T.fill(1, TRAINING_CODE_BANK, TRAINING_CODE_BANK + BANK_WORDS);
  for (let round = 0; round < ROUNDS + constants.length; round++) {
    starts.forEach(({ key, delta }, entry) => {
      seed = Math.imul(key + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b);
      fillState(round);
      mapCode(pages);
      R[IPB] = delta * 4096;
      R[IPB + 1] = delta >> 31;
      R[BUD] = BUDGET;
      const start = R.slice(0, FX + 1);
      for (let misses = 0; misses < MAX_MISSES; misses++) {
        // The same start leads to the same place, one access further.
        fillPage(round, key);
        R[EXIT] = -1;
        R[CAME_BACK] = 0;
        region(entry);
        const jumpsOut = R[CAME_BACK] !== 0 && misses === 0;
        if (!jumpsOut && ((R[EXIT] & 7) !== LEAVE_RECORD || !mapMissedPage())) break;
        R.set(start);
      }
    });
  }
  jumps.set(noJumps());
  T.fill(1, TRAINING_BANK, TRAINING_BANK + BANK_WORDS);
  // Nothing of the machine's is in the training page.
  mem8.fill(0, TRAINING_PAGE, TRAINING_PAGE + 4096 + 64);
  R.set(saved);
}
