/**
 * The second tier: regions. A region is a JavaScript function made from the blocks of one guest page around a hot one (region-text.ts); inside it, operands
 * are literals and jumps between its blocks cost little. The text of every instruction is the record kind's own (semantics/), so the two tiers
 * cannot differ in meaning, and each block still takes its exact length off the budget before it starts, so they do not differ in
 * time either. What is not plain computation a region leaves to the interpreter, from the very instruction on.
 *
 * A region is compiled, trained (region-training.ts), and installed some time later, when V8 has optimised it in the background. Installing replaces the
 * first word of each entry block by a `region` record; the original is kept beside it. When bytes under any block of a region are
 * written, the whole region is dropped; pages where that happens often get no more.
 */
import {
  BUD, ENGINE_STATE, FRH, FRL, FSH, FSL, FT, FX, IPB, R, RIP,
} from '../state';
import { C, INFO } from '../record';
import { BLOCK_CROSSING, BLOCK_DEAD, BLOCK_UNLINKED, codeEpoch, copyRecord, findBlockAt, lookup } from './blocks';
import { GENERIC_HANDLERS } from './handlers';
import { KIND_GENERIC_END, KIND_REGION, KINDS, REGION_KILLED } from './kinds';
import { link } from './link';
import { JUMP_WORDS } from './semantics/control';
import * as flagWords from './flag-words';
import { chooseEntries, LEAVE_LINK, LEAVE_LOOKUP, LEAVE_RECORD, regionText } from './region-text';
import type { RegionBlock } from './region-text';
import { isTraining, noteTrainingExit, SEEN, trainableHandler, trainRegion } from './region-training';

/** Instructions per region at most: V8 gives up on functions over 60 KB of bytecode, and small ones are optimised sooner. */
const MAX_INSTRUCTIONS = 200;
const MAX_BLOCKS = 48;
/** Entry points at most, and instructions in all regions; beyond, everything is dropped and starts afresh. */
const MAX_ENTRIES = 1 << 16, MAX_TOTAL = 50_000;
/** Regions that a page may lose to writes before it gets no more. */
const MAX_LOSSES = 8;

/** State word: the block before which a region ended last because the budget was used up. */
export const CUT_AT = ENGINE_STATE + 8;

export type RegionFunction = (entry: number) => number;
/** Function and case of each entry point, and the first word of its block; the number of an entry point is in bits 31:10 of its `region` record. */
export const REGION_FUNCTIONS: RegionFunction[] = [];
export const REGION_CASES = new Int32Array(MAX_ENTRIES);
export const ENTRY_WORDS = new Int32Array(MAX_ENTRIES);
const entryCount = new Int32Array(MAX_ENTRIES);

export interface Region {
  readonly blocks: readonly number[];
  readonly entryBlocks: readonly number[];
  readonly instructions: number;
  readonly page: number;
  readonly run: RegionFunction;
  /** Entry numbers, once installed. */
  entries: number[];
  readonly epoch: number;
}

const regionsOfBlock = new Map<number, Set<Region>>();
/** Times that a region of the page (host page number) was dropped by a write. */
const losses = new Map<number, number>();

type Compile = (source: string, name: string, extra: Record<string, unknown>) => unknown;
let compile: Compile | null = null;

/** Connects the compiler of the present engine; forgets all regions. */
export function initRegions(compiler: Compile): void {
  compile = compiler;
  losses.clear();
  forgetRegions();
}

/** Forgets everything; the blocks are gone already or about to go. */
export function forgetRegions(): void {
  REGION_FUNCTIONS.length = 0;
  regionsOfBlock.clear();
  REGION_STATS.instructions = 0;
  R[REGION_KILLED] = 1;
}

/** Counters for tools: regions compiled, guest instructions in those alive, regions dropped by writes. */
export const REGION_STATS = { compiled: 0, instructions: 0, killed: 0 };

// --- Choosing the blocks ---

function wordOf(P: number): number {
  const word = C[P];
  return (word & 1023) === KIND_REGION ? ENTRY_WORDS[word >>> 10] : word;
}

function countOf(P: number): number {
  const word = C[P];
  return (word & 1023) === KIND_REGION ? entryCount[word >>> 10] : C[P - 1];
}

/** The block's last record: its position and word. */
function terminator(P: number): { at: number; word: number } {
  let at = P;
  let word = wordOf(P);
  for (const end = C[P - 5]; ;) {
    const kind = KINDS[word & 1023];
    if (kind.ends || at + kind.words >= end) return { at, word };
    at += kind.words;
    word = C[at];
  }
}

/** Kinds whose record ends in links and offsets, and those of them that continue after a return. */
const LINKED = KINDS.map((kind) => kind.ends === true && kind.words > JUMP_WORDS && !/^(call\d+[rm]|generic-end)$/.test(kind.name));
const RETURNS_HERE = KINDS.map((kind) => /^(call\d+[rm]?|generic-end)$/.test(kind.name));

function usable(block: number, like: number): boolean {
  return block > 0 && (C[block - 2] & (BLOCK_CROSSING | BLOCK_DEAD | BLOCK_UNLINKED)) === 0 && C[block - 2] === C[like - 2]
    && (C[block - 3] >>> 12) === (C[like - 3] >>> 12) && (C[block] & 1023) !== 0;
}

/** Blocks that the block's last record goes to directly. */
function directSuccessors(P: number): number[] {
  const { at, word } = terminator(P);
  if (!LINKED[word & 1023]) return [];
  const links = at + KINDS[word & 1023].words - JUMP_WORDS;
  const found = [C[links], C[links + 1]];
  return found.filter((block) => usable(block, P));
}

/** Block that a call, or an instruction of which L0 only knows that it ends the block, comes back to. */
function returnBlock(P: number): number {
  const { at, word } = terminator(P);
  const id = word & 1023;
  if (!RETURNS_HERE[id]) return 0;
  const next = id === KIND_GENERIC_END ? (INFO[at] & 4095) + ((word >>> 10) & 15) : C[at + JUMP_WORDS];
  if (next <= 0 || next >= 4096) return 0;
  const block = findBlockAt((C[P - 3] & -4096) + next, C[P - 2]);
  return usable(block, P) ? block : 0;
}

/** Executed blocks of the page that can be reached from `head`, nearest first, in page order. */
function gather(head: number, returns: Set<number>): number[] {
  const blocks = [head];
  let instructions = countOf(head);
  for (let n = 0; n < blocks.length && blocks.length < MAX_BLOCKS; n++) {
    const back = returnBlock(blocks[n]);
    if (back > 0) returns.add(back);
    for (const block of [...directSuccessors(blocks[n]), back]) {
      if (block === 0 || blocks.includes(block)) continue;
      if (instructions + countOf(block) > MAX_INSTRUCTIONS || blocks.length >= MAX_BLOCKS) continue;
      instructions += countOf(block);
      blocks.push(block);
    }
  }
  return blocks.sort((a, b) => (C[a - 3] & 4095) - (C[b - 3] & 4095));
}

// --- Leaving a region ---

/**
 * Puts the budget and the flags back into R; returns what the `region` record wants (kinds.ts). Arguments: see region-text.ts; (a, h) is the address of the access
 * that was to be made, if any.
 */
function leave(x: number, n: number, ft: number, fl: number, fh: number, sl: number, sh: number, fx: number, a: number, h: number): number {
  if (isTraining()) return noteTrainingExit(x, a, h);
  R[BUD] = n;
  R[FT] = ft;
  R[FRL] = fl;
  R[FRH] = fh;
  R[FSL] = sl;
  R[FSH] = sh;
  R[FX] = fx;
  const value = x >> 2;
  switch (x & 3) {
    case LEAVE_RECORD: return -value;
    case LEAVE_LINK: {
      const block = C[value];
      return block !== 0 ? block : link(value - 1, 1);
    }
    case LEAVE_LOOKUP: return lookup();
    default: {
      R[CUT_AT] = value;
      R[BUD] = n + countOf(value);
      R[RIP] = R[IPB] + (INFO[value] & 4095);
      R[RIP + 1] = R[IPB + 1];
      return 0;
    }
  }
}

// --- Compiling, installing, dropping ---

/** Compiles and trains the region around block `head`; null if there is no room or it makes no sense. */
export function prepareRegion(head: number): Region | null {
  if (compile === null || !usable(head, head)) return null;
  const page = C[head - 3] >>> 12;
  if ((losses.get(page) ?? 0) >= MAX_LOSSES) return null;
  const wanted = new Set<number>();
  const blocks = gather(head, wanted);
  const instructions = blocks.reduce((sum, P) => sum + countOf(P), 0);
  if (REGION_FUNCTIONS.length + blocks.length > MAX_ENTRIES || REGION_STATS.instructions + instructions > MAX_TOTAL) {
    dropAll();
    return null;
  }
  const described = new Map<number, RegionBlock>(blocks.map((P, index) => [P, { P, word: wordOf(P), count: countOf(P), index }]));
  const copies = new Map<number, number>();
  let room = true;
  const copyOf = (P: number): number => {
    let copy = copies.get(P);
    if (copy === undefined) {
      const word = wordOf(P);
      copy = copyRecord(P, word, KINDS[word & 1023].words);
      if (copy === 0) room = false;
      copies.set(P, copy);
    }
    return copy;
  };
  const name = `region-${(C[head - 3] >>> 0).toString(16)}`;
  const build = (entryBlocks: readonly number[], mark: boolean): RegionFunction => {
    const text = regionText(described, entryBlocks, copyOf, mark);
    const entryAt = new Int8Array(4096).fill(-1);
    entryBlocks.forEach((P, index) => {
      entryAt[INFO[P] & 4095] = index;
    });
    const extra: Record<string, unknown> = { ...flagWords, leave, ENTRIES: entryAt, SEEN };
    for (const number of text.handlers) extra[`H${number}`] = trainableHandler(number, GENERIC_HANDLERS[number]);
    const run = (compile as Compile)(text.source, name, extra) as RegionFunction;
    trainRegion(run, text.source.length, entryBlocks.map((P) => INFO[P] & 4095), !mark);
    return run;
  };
  // Nested blocks that training does not reach would throw V8's code away at their first visit: they become entries, where training can start.
  let entryBlocks = chooseEntries(blocks, head, directSuccessors, wanted);
  SEEN.fill(0);
  if (entryBlocks.length < blocks.length) {
    build(entryBlocks, true);
    for (const block of described.values()) if (SEEN[block.index] === 0) wanted.add(block.P);
    entryBlocks = chooseEntries(blocks, head, directSuccessors, wanted);
  }
  const run = build(entryBlocks, false);
  if (!room) return null;
  REGION_STATS.compiled++;
  return { blocks, entryBlocks, instructions, page, run, entries: [], epoch: codeEpoch };
}

/** Makes a prepared region executable, if its blocks still live. */
export function installRegion(region: Region): boolean {
  if (region.epoch !== codeEpoch || !region.blocks.every((P) => usable(P, region.blocks[0]))) return false;
  region.entryBlocks.forEach((P, index) => {
    const word = wordOf(P), count = countOf(P);
    const entry = REGION_FUNCTIONS.push(region.run) - 1;
    REGION_CASES[entry] = index;
    ENTRY_WORDS[entry] = word;
    entryCount[entry] = count;
    C[P] = KIND_REGION | (entry << 10);
    C[P - 1] = 0;
    region.entries.push(entry);
  });
  for (const P of region.blocks) {
    const regions = regionsOfBlock.get(P);
    if (regions === undefined) regionsOfBlock.set(P, new Set([region]));
    else regions.add(region);
  }
  REGION_STATS.instructions += region.instructions;
  return true;
}

/** Compiles the region around block `head` and installs it at once. */
export function compileRegion(head: number): boolean {
  const region = prepareRegion(head);
  return region !== null && installRegion(region);
}

function neverEntered(): number {
  throw new Error('a dropped region was entered');
}

function drop(region: Region): void {
  region.entryBlocks.forEach((P, index) => {
    const entry = region.entries[index];
    if (C[P] === (KIND_REGION | (entry << 10))) {
      C[P] = ENTRY_WORDS[entry];
      C[P - 1] = entryCount[entry];
    }
    REGION_FUNCTIONS[entry] = neverEntered;
  });
  for (const P of region.blocks) regionsOfBlock.get(P)?.delete(region);
  REGION_STATS.instructions -= region.instructions;
  R[REGION_KILLED] = 1;
}

function dropAll(): void {
  const all = new Set<Region>();
  for (const regions of regionsOfBlock.values()) for (const region of regions) all.add(region);
  all.forEach(drop);
  REGION_FUNCTIONS.length = 0;
  regionsOfBlock.clear();
}

/** Drops the regions that contain a block whose bytes are about to change. Call before the block is killed. */
export function dropRegionsOf(block: number): void {
  const regions = regionsOfBlock.get(block);
  if (regions === undefined) return;
  for (const region of [...regions]) {
    drop(region);
    REGION_STATS.killed++;
    losses.set(region.page, (losses.get(region.page) ?? 0) + 1);
  }
  regionsOfBlock.delete(block);
}
