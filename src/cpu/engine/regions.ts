/**
 * The second tier: regions. A region is a JavaScript function made from blocks around a hot one (region-text.ts); inside it, operands
 * are literals and jumps between its blocks cost little. The text of every instruction is the record kind's own (semantics/), so the two tiers
 * cannot differ in meaning, and each block still takes its exact length off the budget before it starts, so they do not differ in
 * time either. What is not plain computation a region leaves to the interpreter, from the very instruction on.
 *
 * A region is compiled, trained (region-training.ts), and installed some time later, when V8 has optimised it in the background. Installing replaces the
 * first word of each entry block by a `region` record; the original is kept beside it. When bytes under any block of a region are
 * written, the whole region is dropped; pages where that happens often get no more.
 */
import {
  BUD, CODE64, CODE_BANK, ENGINE_STATE, FRH, FRL, FSH, FSL, FT, FX, IPB, R, RIP,
} from '../state';
import { C, INFO, MODE_FLAT } from '../record';
import { T } from '../mmu/tlb';
import { BLOCK_CROSSING, BLOCK_DEAD, BLOCK_UNLINKED, codeEpoch, copyRecord, CURRENT_PAGE, findBlockAt, lookup } from './blocks';
import { GENERIC_HANDLERS } from './handlers';
import { KIND_GENERIC_END, KIND_REGION, KINDS, REGION_KILLED } from './kinds';
import { link } from './link';
import { JUMP_WORDS } from './semantics/control';
import * as flagWords from './flag-words';
import { chooseEntries, LEAVE_AGAIN, LEAVE_BUDGET, LEAVE_LINK, LEAVE_LOOKUP, LEAVE_RECORD, noJumps, noteJump, regionText, RESULT } from './region-text';
import type { RegionBlock, RegionPage, Target } from './region-text';
import { heat, isTraining, noteTrainingExit, SEEN, trainableHandler, trainRegion } from './region-training';
import type { TrainingStart } from './region-training';

/** Instructions per region at most: V8 gives up on functions over 60 KB of bytecode, and small ones are optimised sooner. */
const MAX_INSTRUCTIONS = 200;
const MAX_BLOCKS = 96;
/** Up to here a region also takes blocks that were not seen to be hot. */
const FILL_INSTRUCTIONS = 110;
/** Pages per region, and how far they may lie from the first one, in pages. */
const MAX_PAGES = 4, MAX_DISTANCE = 0x20000;
/** Entry points at most, and instructions in all regions; beyond, everything is dropped and starts afresh. */
const MAX_ENTRIES = 1 << 16, MAX_TOTAL = 50_000;
/** Regions that a page may lose to writes within a window of tiering.ts before it gets no more. */
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

function usable(block: number, mode: number): boolean {
  return block > 0 && (C[block - 2] & ~BLOCK_CROSSING) === mode && (C[block - 2] === mode || ((mode & MODE_FLAT) !== 0 && C[block - 8] >= 0)) && (C[block] & 1023) !== 0;
}

/** Offsets, from the block's own page, of what its last record goes to directly. */
function directOffsets(P: number): number[] {
  const { at, word } = terminator(P);
  if (!LINKED[word & 1023]) return [];
  const links = at + KINDS[word & 1023].words - JUMP_WORDS;
  // A jump that is always or never taken has one target only.
  return [C[links + 2], C[links + 3]].filter((_, which) => which === 0 || !/^(jmp|next|call\d+)$/.test(KINDS[word & 1023].name));
}

/** Offset that a call, or an instruction of which one only knows that it ends the block, comes back to; -1 if there is none. */
function returnOffset(P: number): number {
  const { at, word } = terminator(P);
  const id = word & 1023;
  if (!RETURNS_HERE[id]) return -1;
  return id === KIND_GENERIC_END ? (INFO[at] & 4095) + ((word >>> 10) & 15) : C[at + JUMP_WORDS];
}

/** Blocks and pages of a region that is being put together. */
export class Draft {
  readonly pages: RegionPage[] = [];
  readonly blocks = new Map<number, RegionBlock>();
  /** Blocks that calls return to. */
  readonly returns = new Set<number>();
  instructions = 0;
  readonly head: number;
  private readonly mode: number;
  private worth: (P: number) => boolean;
  private room = MAX_INSTRUCTIONS;

  constructor(head: number, worth: (P: number) => boolean) {
    this.head = head;
    this.worth = worth;
    this.mode = C[head - 2] & ~BLOCK_CROSSING;
    this.pages.push({ delta: 0, host: C[head - 3] & -4096 });
    this.add(head, 0);
    this.gather();
  }

  /** Block of the region at an offset from the page of `from`, 0 if there is none. */
  readonly target: Target = (from, offset) => {
    const page = this.pages.findIndex(({ delta }) => delta === this.pages[from.page].delta + (offset >> 12));
    if (page < 0) return 0;
    const block = findBlockAt(this.pages[page].host + (offset & 4095), this.mode);
    return this.blocks.has(block) ? block : 0;
  };

  successors(P: number): number[] {
    const block = this.blocks.get(P);
    return block === undefined ? [] : directOffsets(P).map((offset) => this.target(block, offset)).filter((next) => next > 0);
  }

  /**
   * Adds executed blocks that can be reached from the head, nearest first: those that are worth it until the region is full, then others that lie next to
   * them until it is half full. (What was left out by chance would make the region be left often, and compiled again.)
   */
  private gather(): void {
    this.reachAll();
    this.worth = () => true;
    this.room = FILL_INSTRUCTIONS;
    this.reachAll();
  }

  private reachAll(): void {
    for (const block of this.blocks.values()) {
      for (const offset of directOffsets(block.P)) this.reach(block, offset);
      const back = returnOffset(block.P);
      if (back < 0) continue;
      const next = this.reach(block, back);
      if (next > 0) this.returns.add(next);
    }
  }

  /** Block at an offset from the page of `from`; it joins the region if there is room. 0 if it cannot. */
  private reach(from: RegionBlock, offset: number): number {
    const page = this.pageAt(this.pages[from.page].delta + (offset >> 12));
    if (page < 0) return 0;
    const P = findBlockAt(this.pages[page].host + (offset & 4095), this.mode);
    if (this.blocks.has(P)) return P;
    if (!usable(P, this.mode) || !this.worth(P) || this.blocks.size >= MAX_BLOCKS || this.instructions + countOf(P) > this.room) return 0;
    this.add(P, page);
    return P;
  }

  private add(P: number, page: number): void {
    const count = countOf(P);
    this.blocks.set(P, { P, word: wordOf(P), count, index: this.blocks.size, page });
    this.instructions += count;
  }

  /** Index of the page `delta` pages from the head's, -1 if it cannot be told where it is, or there are too many. */
  private pageAt(delta: number): number {
    const known = this.pages.findIndex((page) => page.delta === delta);
    if (known >= 0 || this.pages.length >= MAX_PAGES || Math.abs(delta) > MAX_DISTANCE || (this.mode & MODE_FLAT) === 0) return known;
    const bytes = delta * 4096;
    const lo = (R[IPB] + bytes) | 0;
    const hi = R[CODE64] === 0 ? 0 : (R[IPB + 1] + (bytes >> 31) + (lo >>> 0 < bytes >>> 0 ? 1 : 0)) | 0;
    const i = ((lo >>> 10) & 4092) | R[CODE_BANK];
    if (T[i] !== lo || T[i + 1] !== hi) return -1;
    return this.pages.push({ delta, host: T[i + 2] }) - 1;
  }

  /** Blocks in the order of their addresses. */
  inOrder(): number[] {
    const place = ({ page, P }: RegionBlock): number => this.pages[page].delta * 4096 + (C[P - 3] & 4095);
    return [...this.blocks.values()].sort((a, b) => place(a) - place(b)).map(({ P }) => P);
  }
}

// --- Leaving a region ---

/**
 * Puts the budget and the flags back into R and finds where to go on. Returns a case of the same region; or -1, with what the `region` record wants
 * (kinds.ts) in R[RESULT]. Arguments: see region-text.ts; (a, h) is the address of the access that was to be made, if any.
 */
function leave(
  x: number, n: number, ft: number, fl: number, fh: number, sl: number, sh: number, fx: number, a: number, h: number, region: RegionFunction,
  jumps: Int32Array,
): number {
  if (isTraining()) return noteTrainingExit(x, a, h, jumps);
  R[BUD] = n;
  R[FT] = ft;
  R[FRL] = fl;
  R[FRH] = fh;
  R[FSL] = sl;
  R[FSH] = sh;
  R[FX] = fx;
  const value = x >> 3;
  let block: number;
  switch (x & 7) {
    case LEAVE_RECORD:
      R[RESULT] = -value;
      return -1;
    case LEAVE_BUDGET:
      R[CUT_AT] = value;
      R[BUD] = n + countOf(value);
      comeTo(value);
      R[RESULT] = 0;
      return -1;
    case LEAVE_LINK:
      block = C[value];
      if (block === 0) block = link(value - 1, 1);
      break;
    case LEAVE_AGAIN:
      comeTo(value);
      block = lookup();
      break;
    default:
      block = lookup();
      break;
  }
  const word = C[block];
  if ((word & 1023) === KIND_REGION && REGION_FUNCTIONS[word >>> 10] === region) {
    R[REGION_KILLED] = 0;
    const entry = REGION_CASES[word >>> 10];
    if ((x & 7) === LEAVE_LOOKUP) noteJump(jumps, R[RIP], R[RIP + 1], R[CURRENT_PAGE], entry);
    return entry;
  }
  R[RESULT] = block;
  return -1;
}

/** RIP becomes the start of a block of the current page. */
function comeTo(P: number): void {
  R[RIP] = R[IPB] + (INFO[P] & 4095);
  R[RIP + 1] = R[IPB + 1];
}

// --- Compiling, installing, dropping ---

/** What a region around block `head`, which is about to run, would consist of, of blocks that are `worth` it; null if there can be none. */
export function draftRegion(head: number, worth: (P: number) => boolean = () => true): Draft | null {
  if (!usable(head, C[head - 2] & ~BLOCK_CROSSING) || (C[head - 2] & (BLOCK_DEAD | BLOCK_UNLINKED)) !== 0) return null;
  return new Draft(head, worth);
}

/** True for a block that an installed region contains. */
export function isCompiled(block: number): boolean {
  return (regionsOfBlock.get(block)?.size ?? 0) > 0;
}

/** True for code in a page that has lost many regions to writes lately. */
export function isVolatile(block: number): boolean {
  return (losses.get(C[block - 3] >>> 12) ?? 0) >= MAX_LOSSES;
}

/** What was lost to writes so far no longer counts. */
export function forgetLosses(): void {
  losses.clear();
}

/** Compiles and trains a region; null if there is no room. */
export function prepareRegion(draft: Draft): Region | null {
  if (compile === null) return null;
  const { blocks, head, pages, instructions } = draft;
  const page = C[head - 3] >>> 12;
  if (REGION_FUNCTIONS.length + blocks.size > MAX_ENTRIES || REGION_STATS.instructions + instructions > MAX_TOTAL) {
    dropAll();
    return null;
  }
  const ordered = draft.inOrder();
  const copies = new Map<number, number>();
  const copyOf = (P: number): number => {
    let copy = copies.get(P);
    if (copy === undefined) {
      const word = wordOf(P);
      copy = copyRecord(P, word, KINDS[word & 1023].words);
      copies.set(P, copy);
    }
    return copy;
  };
  const name = `region-${(C[head - 3] >>> 0).toString(16)}`;
  let characters = 0;
  const build = (entryBlocks: readonly number[], mark: boolean): RegionFunction => {
    const text = regionText(blocks, pages, entryBlocks, copyOf, draft.target, mark);
    const jumps = noJumps();
    const extra: Record<string, unknown> = { ...flagWords, leave, SEEN, JUMPS: jumps };
    pages.forEach((_, index) => {
      extra[`ENTRIES${index}`] = new Int8Array(4096).fill(-1);
    });
    const starts = entryBlocks.map((P, index): TrainingStart => {
      const offset = INFO[P] & 4095, { page: at } = blocks.get(P) as RegionBlock;
      (extra[`ENTRIES${at}`] as Int8Array)[offset] = index;
      return { key: offset, delta: pages[at].delta };
    });
    for (const number of text.handlers) extra[`H${number}`] = trainableHandler(number, GENERIC_HANDLERS[number]);
    const run = (compile as Compile)(text.source, name, extra) as RegionFunction;
    trainRegion(run, text.source, starts, codePages(ordered, draft), jumps);
    characters = text.source.length;
    return run;
  };
  const wanted = new Set(draft.returns);
  const successors = (P: number): number[] => draft.successors(P);
  let entryBlocks = chooseEntries(ordered, head, successors, wanted);
  SEEN.fill(0);
  let run = build(entryBlocks, true);
  // Nested blocks that training did not reach would throw V8's code away at their first visit: they become entries, where training can start.
  const unseen = ordered.filter((P) => !entryBlocks.includes(P) && SEEN[(blocks.get(P) as RegionBlock).index] === 0);
  if (unseen.length > 0) {
    unseen.forEach((P) => wanted.add(P));
    entryBlocks = chooseEntries(ordered, head, successors, wanted);
    run = build(entryBlocks, false);
  }
  heat(run, characters);
  if ([...copies.values()].includes(0)) return null;
  REGION_STATS.compiled++;
  return { blocks: ordered, entryBlocks, instructions, page, run, entries: [], epoch: codeEpoch };
}

/** The region's pages, and those that its crossing blocks go on in. */
function codePages(blocks: readonly number[], draft: Draft): RegionPage[] {
  const crossing = blocks.filter((P) => (C[P - 2] & BLOCK_CROSSING) !== 0);
  return [...crossing.map((P) => ({ delta: draft.pages[(draft.blocks.get(P) as RegionBlock).page].delta + 1, host: C[P - 8] })), ...draft.pages];
}

/** Makes a prepared region executable, if its blocks still live. */
export function installRegion(region: Region): boolean {
  if (region.epoch !== codeEpoch || !region.blocks.every((P) => usable(P, C[P - 2] & ~BLOCK_CROSSING & ~BLOCK_DEAD & ~BLOCK_UNLINKED))) return false;
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
  const draft = draftRegion(head);
  const region = draft === null ? null : prepareRegion(draft);
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
  for (const region of regions) {
    drop(region);
    REGION_STATS.killed++;
    losses.set(region.page, (losses.get(region.page) ?? 0) + 1);
  }
  regionsOfBlock.delete(block);
}
