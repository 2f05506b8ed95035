/**
 * The second tier: regions. A region is a JavaScript function made from the blocks of one guest page around a hot one; inside it, operands
 * are literals and jumps between its blocks cost nothing. The text of every instruction is the record kind's own (semantics/), so the two tiers
 * cannot differ in meaning, and each block still takes its exact length off the budget before it starts, so they do not differ in
 * time either. Faults find their instruction by the record, as in the interpreter.
 *
 * A compiled block's first word becomes a `region` record; the original is kept beside it. When bytes under any block of a region
 * are written, the whole region is dropped. A store by an instruction inside the region that is being executed is undone and executed
 * again by the interpreter (it has not happened yet when the block dies), so that stale code never runs.
 */
import {
  AMASK, BUD, CURP, ENGINE_STATE, IPB, R, RIP,
} from '../state';
import { C, INFO, MODE_SIZE_MASK } from '../record';
import { abandon, FK_RETRY } from '../fault';
import { BLOCK_CROSSING, BLOCK_DEAD, BLOCK_UNLINKED, copyRecord, findBlockAt } from './blocks';
import { GENERIC_HANDLERS } from './handlers';
import { KIND_GENERIC, KIND_GENERIC_END, KIND_REGION, KINDS } from './kinds';
import { JUMP_WORDS } from './semantics/control';
import type { Operands } from './semantics/vocabulary';
import { TRAINABLE, trainableHandler, trainRegion } from './region-training';

/** State word: 1 while a region function runs. */
export const IN_REGION = ENGINE_STATE + 2;
/** State word: 1 if some region was dropped since the running one was entered. */
export const REGION_KILLED = ENGINE_STATE + 3;

/** Instructions per region at most: V8 gives up on functions over 60 KB of bytecode, and small ones are optimised sooner. */
const MAX_INSTRUCTIONS = 200;
const MAX_BLOCKS = 48;
/** Entry points at most; beyond, everything is dropped and starts afresh. */
const MAX_ENTRIES = 1 << 16;

export type RegionFunction = (entry: number) => number;
/** Function, case and block of each entry point; the number of an entry point is in bits 31:10 of its `region` record. */
export const REGION_FUNCTIONS: RegionFunction[] = [];
export const REGION_CASES = new Int32Array(MAX_ENTRIES);
const entryBlock = new Int32Array(MAX_ENTRIES);
const entryOriginal = new Int32Array(MAX_ENTRIES);
const entryCount = new Int32Array(MAX_ENTRIES);

/** Blocks whose code each region contains, and regions that contain each block. */
const regionBlocks = new Map<number, number[]>();
const regionEntries = new Map<number, number[]>();
const regionsOfBlock = new Map<number, number[]>();
let nextRegion = 1;

/** Names that region texts use besides the interpreter's. */
type Compile = (source: string, name: string, extra: Record<string, unknown>) => unknown;
let compile: Compile | null = null;

/** Connects the compiler of the present engine; forgets all regions. */
export function initRegions(compiler: Compile): void {
  compile = compiler;
  forgetRegions();
}

/** Drops everything; the blocks are gone already or about to go. */
export function forgetRegions(): void {
  REGION_FUNCTIONS.length = 0;
  regionBlocks.clear();
  regionEntries.clear();
  regionsOfBlock.clear();
  R[REGION_KILLED] = 1;
}

/** Counters for tools: regions compiled, guest instructions in them, regions dropped by writes. */
export const REGION_STATS = { compiled: 0, instructions: 0, killed: 0 };

// --- Choosing the blocks ---

function wordOf(P: number): number {
  const word = C[P];
  return (word & 1023) === KIND_REGION ? entryOriginal[word >>> 10] : word;
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

function successors(P: number): number[] {
  const { at, word } = terminator(P);
  const id = word & 1023;
  const found: number[] = [];
  if (LINKED[id]) {
    const links = at + KINDS[id].words - JUMP_WORDS;
    found.push(C[links], C[links + 1]);
  }
  if (RETURNS_HERE[id]) {
    const next = id === KIND_GENERIC_END ? (INFO[at] & 4095) + ((word >>> 10) & 15) : C[at + JUMP_WORDS];
    if (next > 0 && next < 4096) found.push(findBlockAt((C[P - 3] & -4096) + next, C[P - 2]));
  }
  return found.filter((block) => usable(block, P));
}

/** Executed blocks of the page that can be reached from `head`, nearest first, in page order. */
function gather(head: number): number[] {
  const blocks = [head];
  let instructions = countOf(head);
  for (let n = 0; n < blocks.length && blocks.length < MAX_BLOCKS; n++) {
    for (const block of successors(blocks[n])) {
      if (blocks.includes(block)) continue;
      if (instructions + countOf(block) > MAX_INSTRUCTIONS || blocks.length >= MAX_BLOCKS) continue;
      instructions += countOf(block);
      blocks.push(block);
    }
  }
  return blocks.sort((a, b) => (C[a - 3] & 4095) - (C[b - 3] & 4095));
}

// --- Emitting ---

const REGISTER_D = 10, REGISTER_S = 17, REGISTER_B = 24;

/** Operands of the record at `at` as literals. `caseOf` gives the case number of a block of this region, -1 for others. */
function literals(at: number, word: number, caseOf: (block: number) => number, fallsInto: number): Operands {
  const isCall = /^call(32|64)$/.test(KINDS[word & 1023].name);
  return {
    d: String((word >>> REGISTER_D) & 127),
    s: String((word >>> REGISTER_S) & 127),
    b: String(word >>> REGISTER_B),
    k: (n) => `(${C[at + n]})`,
    follow: (words, which) => {
      const target = caseOf(C[at + words + which]);
      const leave = `t=C[${at + words + which}];if(t===0)t=link(${at + words},${which})|0;return t;`;
      if (target < 0) return leave;
      // The push of a call may have hit this very code.
      const guard = isCall ? `if(R[${REGION_KILLED}]!==0){${leave}}` : '';
      return guard + (target === fallsInto ? '' : `e=${target};continue L;`);
    },
    arrive: `u=C[t];if((u&1023)===${KIND_REGION}&&REGION_FUNCTIONS[u>>>10]===region){e=REGION_CASES[u>>>10];continue L;}return t;`,
    handler: `H${C[at + 5]}`,
  };
}

/** Text of one block as a case of the region's switch. */
function blockText(P: number, index: number, caseOf: (block: number) => number, handlers: Set<number>): string {
  const offset = INFO[P] & 4095;
  let text = `case ${index}:n=R[${BUD}]-${countOf(P)}|0;if(n<0){R[${RIP}]=R[${IPB}]+${offset}|0;R[${RIP + 1}]=R[${IPB + 1}];return 0;}R[${BUD}]=n;`;
  let at = P;
  let word = wordOf(P);
  for (const end = C[P - 5]; at < end;) {
    const kind = KINDS[word & 1023];
    const isGeneric = (word & 1023) === KIND_GENERIC || (word & 1023) === KIND_GENERIC_END;
    if (isGeneric) handlers.add(C[at + 5]);
    // A handler reads its record; the block's first word is about to become the region's.
    const record = isGeneric && at === P ? copyRecord(at, word, kind.words) : at;
    if (record === 0) return '';
    text += `P=${record};${(word & 1023) === KIND_GENERIC_END ? `W=${word};` : ''}{${kind.body(literals(at, word, caseOf, index + 1))}}`;
    at += kind.words;
    if (kind.ends) break;
    word = C[at];
  }
  return text;
}

function dropEntriesOf(block: number): void {
  const word = C[block];
  if ((word & 1023) !== KIND_REGION) return;
  C[block] = entryOriginal[word >>> 10];
  C[block - 1] = entryCount[word >>> 10];
}

/** Compiles the region around block `head`. False if there is no room or it makes no sense. */
export function compileRegion(head: number): boolean {
  if (compile === null || !usable(head, head)) return false;
  const blocks = gather(head);
  if (REGION_FUNCTIONS.length + blocks.length > MAX_ENTRIES) return false;
  const cases = new Map(blocks.map((block, index) => [block, index]));
  const handlers = new Set<number>();
  const caseOf = (block: number): number => cases.get(block) ?? -1;
  const texts = blocks.map((block, index) => blockText(block, index, caseOf, handlers));
  if (texts.includes('')) return false;
  const body = texts.join('\n');
  // The mode is fixed: addresses need no mask in 64-bit code and have no high word elsewhere.
  const is64 = (C[head - 2] & MODE_SIZE_MASK) === 2;
  const masked = body.replaceAll(`&R[${AMASK}]`, is64 ? '|0' : '&0');
  const source = `return function region(e){let a=0,h=0,p=0,i=0,t=0,u=0,v=0,w=0,xl=0,xh=0,yl=0,yh=0,zl=0,zh=0,n=0,P=0,W=0;L:for(;;)switch(e){\n${masked}\ndefault:return 0;}}`;
  const extra: Record<string, unknown> = { REGION_FUNCTIONS, REGION_CASES, ...TRAINABLE };
  for (const number of handlers) extra[`H${number}`] = trainableHandler(GENERIC_HANDLERS[number]);
  const region = compile(source, `region-${(C[head - 3] >>> 0).toString(16)}`, extra) as RegionFunction;
  trainRegion(region, blocks.map(countOf));
  const id = nextRegion++;
  const entries: number[] = [];
  blocks.forEach((block, index) => {
    dropEntriesOf(block);
    const entry = REGION_FUNCTIONS.push(region) - 1;
    REGION_CASES[entry] = index;
    entryBlock[entry] = block;
    entryOriginal[entry] = C[block];
    entryCount[entry] = C[block - 1];
    C[block] = KIND_REGION | (entry << 10);
    C[block - 1] = 0;
    entries.push(entry);
    const list = regionsOfBlock.get(block);
    if (list === undefined) regionsOfBlock.set(block, [id]);
    else list.push(id);
  });
  regionBlocks.set(id, blocks);
  regionEntries.set(id, entries);
  REGION_STATS.compiled++;
  REGION_STATS.instructions += blocks.reduce((sum, block) => sum + countOf(block), 0);
  return true;
}

function neverEntered(): number {
  throw new Error('a dropped region was entered');
}

/** Drops the regions that contain a block whose bytes are about to change. Call before the block is killed. */
export function dropRegionsOf(block: number): void {
  const ids = regionsOfBlock.get(block);
  if (ids === undefined) return;
  for (const id of ids) {
    const entries = regionEntries.get(id);
    const blocks = regionBlocks.get(id);
    if (entries === undefined || blocks === undefined) continue;
    for (const entry of entries) {
      const owner = entryBlock[entry];
      if (C[owner] === (KIND_REGION | (entry << 10))) {
        C[owner] = entryOriginal[entry];
        C[owner - 1] = entryCount[entry];
      }
      REGION_FUNCTIONS[entry] = neverEntered;
    }
    for (const member of blocks) {
      if (member !== block) regionsOfBlock.set(member, (regionsOfBlock.get(member) ?? []).filter((other) => other !== id));
    }
    regionBlocks.delete(id);
    regionEntries.delete(id);
    REGION_STATS.killed++;
  }
  regionsOfBlock.delete(block);
  R[REGION_KILLED] = 1;
}

/**
 * After regions were dropped because of a store: if the storing instruction is in the middle of a block that a region executes, it is
 * abandoned (the store has not happened) and executed again by the interpreter.
 */
export function leaveDroppedRegion(): void {
  const p = R[CURP];
  if (R[IN_REGION] !== 0 && R[REGION_KILLED] !== 0 && p !== 0 && INFO[p] >>> 12 !== 1) abandon(FK_RETRY);
}
