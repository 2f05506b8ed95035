/**
 * The interpreter: one switch over the hottest record kinds, a table of small functions for the others. Both are assembled from the
 * kinds' texts (kinds.ts) once the memory buffer exists, so that V8 sees every array as a constant.
 */
import {
  R, R8, R16, BUD, IPB, RIP,
} from '../state';
import { C, INFO } from '../record';
import { setCarryOverflow, getCf, getOf, getPf, getSf } from '../flags';
import { raiseGp } from '../fault';
import { mem8, memView, SCRATCH } from '../mmu/memory';
import { T } from '../mmu/tlb';
import { commitRmw, slowRead, slowRmw, slowWrite16, slowWrite32, slowWrite64, slowWrite8 } from '../mmu/slow';
import { multiplySigned64, PRODUCT } from '../integer/wide';
import { lookup } from './blocks';
import { GENERIC_HANDLERS } from './handlers';
import { HOT_KINDS } from './hot-kinds';
import { KIND_REGION, KINDS, kindId } from './kinds';
import { link } from './link';
import { ENTRY_WORDS, initRegions, REGION_CASES, REGION_FUNCTIONS } from './regions';
import { forInterpreter, RECORD_OPERANDS } from './semantics/vocabulary';

const TEMPORARIES = 'let a=0,h=0,p=0,i=0,t=0,u=0,v=0,w=0,xl=0,xh=0,yl=0,yh=0,zl=0,zh=0;';

/** Runs blocks from `t` until one does not fit in R[BUD]; then RIP is that block's first instruction. */
export type Interpret = (t: number) => void;

/** Everything that generated text refers to by name. */
function environment(): Record<string, unknown> {
  return {
    R, R8, R16, C, INFO, T, dv: memView, B8: mem8, SCRATCH, slowRead, slowWrite8, slowWrite16, slowWrite32, slowWrite64, slowRmw, commitRmw,
    getCf, getOf, getPf, getSf, setCarryOverflow, raiseGp, multiplySigned64, PRODUCT, lookup, link, GENERIC_HANDLERS, REGION_FUNCTIONS, REGION_CASES, ENTRY_WORDS,
  };
}

/**
 * Makes the function whose text is `return function name(...) {...}`. It takes what it refers to by name into locals first: V8 then sees the objects as
 * constants everywhere, which it does not for variables of an outer function that are read inside a loop (it lowers accesses before it has folded those).
 */
function compile(source: string, name: string, extra: Record<string, unknown> = {}): unknown {
  const objects = { ...environment(), ...extra };
  const names = Object.keys(objects).filter((key) => new RegExp(`\\b${key}\\b`).test(source));
  const outer = names.map((key) => `${key}:${key}$`).join(), locals = names.map((key) => `${key}=${key}$`).join();
  const body = names.length === 0 ? source : source.replace('{', `{const ${locals};`);
  const make = new Function('E', `"use strict";const {${outer}}=E;${body}\n//# sourceURL=nestbox-${name}.js`) as (objects: Record<string, unknown>) => unknown;
  return make(objects);
}

/** A kind as a function of its own: returns the next record, or for kinds that end a block the next block. */
function compileKind(id: number): (P: number, W: number) => number {
  const kind = KINDS[id];
  const tail = kind.ends ? 'return t;' : `return P+${kind.words}|0;`;
  return compile(`return function(P,W){${TEMPORARIES}${forInterpreter(kind.body(RECORD_OPERANDS))}${tail}}`, kind.name) as (P: number, W: number) => number;
}

/** Ids from here on are kinds that end a block, so that the switch's default can tell them by one comparison. */
const ends = new Uint8Array(1024);
KINDS.forEach((kind, id) => {
  ends[id] = kind.ends ? 1 : 0;
});

/** Text of the interpreter function. */
export function interpreterSource(counts = false): string {
  const cases = HOT_KINDS.map((name) => {
    const kind = KINDS[kindId(name)];
    const tail = kind.ends ? 'continue enter;' : `P=P+${kind.words}|0;continue;`;
    return `case ${kindId(name)}:{${forInterpreter(kind.body(RECORD_OPERANDS))}${tail}}`;
  });
  return `return function interpret(t0){${TEMPORARIES}let P=0,W=0,n=0;t=t0|0;
enter:for(;;){n=R[${BUD}]-C[t-1|0]|0;
if(n<0){R[${RIP}]=R[${IPB}]+(INFO[t]&4095)|0;R[${RIP + 1}]=R[${IPB + 1}];return;}
R[${BUD}]=n;P=t;
for(;;){W=C[P];${counts ? 'COUNTS[W&1023]++;' : ''}switch(W&1023){
${cases.join('\n')}
default:W=W|0;if(ENDS[W&1023]!==0){t=TABLE[W&1023](P,W)|0;continue enter;}P=TABLE[W&1023](P,W)|0;}}}}`;
}

/** Assembles the interpreter for the present memory buffer. With `counts` (1024 words), it also counts executions by kind: slow, for choosing HOT_KINDS. */
export function buildInterpreter(counts?: Float64Array): Interpret {
  initRegions(compile);
  const table = KINDS.map((_, id) => (id === KIND_REGION ? null : compileKind(id)));
  return compile(interpreterSource(counts !== undefined), 'interpreter', { TABLE: table, ENDS: ends, COUNTS: counts }) as Interpret;
}
