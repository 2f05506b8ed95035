/**
 * The JavaScript text of a region: some blocks of a few neighbouring pages as one function, from the same texts as the interpreter's (semantics/), with
 * literal operands.
 *
 *   function region(e) { locals... for (;;) { L: for (;;) switch (e) { case 0: ... case 1: ... }  e = leave(x, n, flags...); if (e < 0) return ...; } }
 *
 * Each case is an entry. A block that only one other block of the region jumps to stands inside that block's text; jumps to other entries set e and go
 * round L, jumps back to the entry a text stands in go round a loop of their own. The instruction budget (n) and the lazy flags are locals; registers
 * are in R. Whatever is not plain - a TLB miss, a page crossing, a device, an end of the budget, a jump out - sets x and breaks L, with the state exactly
 * as before the instruction (or block) concerned: leave() puts the locals back into R and finds out where to go on (regions.ts).
 *
 * A jump to another page asks the code TLB whether that page is still where it was, as looking its block up would.
 *
 * x = value << 3 | what, what being one of LEAVE_*.
 */
import { AMASK, BUD, CODE_BANK, EAT, ENGINE_STATE, FRH, FRL, FSH, FSL, FT, FX, IPB, RIP, TLBB } from '../state';
import { C, MODE_FLAT, MODE_SIZE_MASK } from '../record';
import { TLB_MASK } from '../mmu/tlb';
import { BLOCK_CROSSING, CURRENT_PAGE } from './blocks';
import { KIND_GENERIC, KIND_GENERIC_END, KINDS, REGION_KILLED } from './kinds';
import { REGISTER_LOCALS, useLocals } from './register-locals';
import type { KnownWords } from './register-locals';
import { below, forRegion } from './semantics/vocabulary';
import type { Operands } from './semantics/vocabulary';

/** The interpreter goes on at record `value`. */
export const LEAVE_RECORD = 0;
/** The link word C[value] is to be followed. */
export const LEAVE_LINK = 1;
/** RIP is set. */
export const LEAVE_LOOKUP = 2;
/** Block `value` does not fit into the budget any more. */
export const LEAVE_BUDGET = 3;
/** Block `value` has to be found afresh. */
export const LEAVE_AGAIN = 4;

/** State word: what a region returns (kinds.ts). */
export const RESULT = ENGINE_STATE + 9;

/**
 * A region's indirect jumps to other pages: 16 entries of four words by address, [RIP low, RIP high, host offset of the page, case]. What lies in the words of
 * a free entry is no address.
 */
export const JUMP_WORDS_PER_REGION = 64;
const JUMP_MASK = JUMP_WORDS_PER_REGION - 4;

/** A table of jumps without entries. */
export function noJumps(): Int32Array {
  return new Int32Array(JUMP_WORDS_PER_REGION).fill(0x10000);
}

/** Enters a jump to the RIP given by two words, in a page at a host offset, to a case of the region. */
export function noteJump(jumps: Int32Array, lo: number, hi: number, host: number, entry: number): void {
  const at = (lo ^ (lo >>> 6)) & JUMP_MASK;
  jumps[at] = lo;
  jumps[at + 1] = hi;
  jumps[at + 2] = host;
  jumps[at + 3] = entry;
}

/** Text of an exit. */
function exit(value: number, what: number): string {
  return `x=${(value << 3) | what};break L;`;
}

/** One block of a region as its text needs it. */
export interface RegionBlock {
  /** First record. */
  readonly P: number;
  /** Its first word (the one in C may be a `region` record). */
  readonly word: number;
  /** Instructions. */
  readonly count: number;
  /** Number within the region. */
  readonly index: number;
  /** Its page, as an index into the region's pages. */
  readonly page: number;
}

/** A page that a region has code in: pages from the region's first page in linear addresses, and place in the memory buffer. */
export interface RegionPage {
  readonly delta: number;
  readonly host: number;
}

export interface RegionText {
  readonly source: string;
  /** Blocks that are entries, by case number. */
  readonly entries: readonly number[];
  /** Handlers called, by number. */
  readonly handlers: ReadonlySet<number>;
}

const FLAG_LOCALS: readonly (readonly [number, string])[] = [[FT, 'ft'], [FRL, 'fl'], [FRH, 'fh'], [FSL, 'sl'], [FSH, 'sh'], [FX, 'fx']];
/** Arguments that carry the flags, for functions over lazy flags (flag-words.ts) and leave(). */
export const FLAG_ARGUMENTS = 'ft,fl,fh,sl,sh,fx';

const PUT_BACK = `R[${BUD}]=n;${FLAG_LOCALS.map(([word, local]) => `R[${word}]=${local};`).join('')}`;
const FETCH = `n=R[${BUD}];${FLAG_LOCALS.map(([word, local]) => `${local}=R[${word}];`).join('')}tb=R[${TLBB}];cb=R[${CODE_BANK}];`;

const ADDRESSES = /^(ea|easeg|easegd|ea32)$/;
const IS_ADDRESS = KINDS.map((kind) => ADDRESSES.test(kind.name));

/** Nesting of blocks at most: V8's parser and compiler recurse. */
const MAX_DEPTH = 12;

/** Text of the value of a literal as an operand. */
function literal(value: number): string {
  return value < 0 ? `(${value})` : String(value);
}

/** Block of the region at an offset from the page of `from`, 0 if there is none. */
export type Target = (from: RegionBlock, offset: number) => number;

class Emitter {
  private readonly handlers = new Set<number>();
  private readonly caseOf = new Map<number, number>();
  private loops = false;
  private current = 0;

  private readonly blocks: ReadonlyMap<number, RegionBlock>;
  private readonly pages: readonly RegionPage[];
  private readonly entries: readonly number[];
  private readonly copyOf: (P: number) => number;
  private readonly targetOf: Target;
  private readonly mark: boolean;
  private readonly is64: boolean;
  /** RIP is the linear address. */
  private readonly flat: boolean;

  constructor(blocks: ReadonlyMap<number, RegionBlock>, pages: readonly RegionPage[], entries: readonly number[], copyOf: (P: number) => number, targetOf: Target, mark: boolean) {
    this.targetOf = targetOf;
    this.blocks = blocks;
    this.pages = pages;
    this.entries = entries;
    this.copyOf = copyOf;
    this.mark = mark;
    this.flat = (C[entries[0] - 2] & MODE_FLAT) !== 0;
    this.is64 = (C[entries[0] - 2] & MODE_SIZE_MASK) === 2;
    entries.forEach((P, index) => this.caseOf.set(P, index));
  }

  text(): RegionText {
    const cases = this.entries.map((P, index) => this.caseText(P, index));
    const locals = 'let a=0,h=0,p=0,i=0,t=0,u=0,v=0,w=0,xl=0,xh=0,yl=0,yh=0,zl=0,zh=0,al=0,ah=0,x=0,'
      + `${REGISTER_LOCALS},`
      + `n=R[${BUD}],${FLAG_LOCALS.map(([word, local]) => `${local}=R[${word}]`).join()},tb=R[${TLBB}],cb=R[${CODE_BANK}];`;
    const source = `return function region(e){${locals}for(;;){L:for(;;)switch(e){\n${cases.join('\n')}\ndefault:return 0;}`
      + `e=leave(x,n,${FLAG_ARGUMENTS},a,h,region,JUMPS)|0;if(e<0)return R[${RESULT}]|0;}}`;
    return { source, entries: this.entries, handlers: this.handlers };
  }

  private caseText(P: number, index: number): string {
    this.current = index;
    this.loops = false;
    const body = this.blockText(P, false, new Map());
    const inLoop = this.loops ? `B${index}:for(;;){${body.replaceAll('@fall;', `break B${index};`)}}` : body.replaceAll('@fall;', '');
    return `case ${index}:${inLoop}`;
  }

  /** Goes from block `from` to the block at P, or leaves through the link word at `link` when the region does not have it. */
  private jump(from: RegionBlock, P: number, link: number, known: KnownWords): string {
    const block = this.blocks.get(P);
    if (P <= 0 || block === undefined) return exit(link, LEAVE_LINK);
    if (block.page === from.page) return this.enter(P, known);
    const page = this.pages[block.page];
    return `${this.findPage(page.delta - this.pages[from.page].delta)}if(${this.pageHolds(page.host)}){R[${IPB}]=t;R[${IPB + 1}]=v;R[${CURRENT_PAGE}]=${page.host};`
      + `${this.enter(P, known)}}else{${exit(link, LEAVE_LINK)}}`;
  }

  /** Puts the linear address of the page `pages` pages on into t, v, and its slot of the code TLB into i. */
  private findPage(pages: number): string {
    const bytes = literal(pages * 4096);
    const high = this.is64 ? `R[${IPB + 1}]${pages < 0 ? '-1' : ''}+${below('t', bytes)}|0` : '0';
    return `t=R[${IPB}]+${bytes}|0;v=${high};i=(t>>>10&4092|cb)&${TLB_MASK};`;
  }

  private pageHolds(host: number): string {
    return `T[i]===t&&T[i+1|0]===v&&T[i+2|0]===${literal(host)}`;
  }

  private enter(P: number, known: KnownWords): string {
    const index = this.caseOf.get(P);
    if (index === undefined) return this.blockText(P, true, new Map(known));
    if (index === this.current) {
      this.loops = true;
      return `continue B${index};`;
    }
    return index === this.current + 1 ? '@fall;' : `e=${index};continue L;`;
  }

  /** Operands of the record at `at`; `start` is the first record of its instruction, `addressed` says that the record before left an address in al, ah. */
  private operands(block: RegionBlock, at: number, word: number, addressed: boolean): Operands {
    const k = (n: number): string => literal(C[at + n]);
    const base = word >>> 24;
    return {
      d: String((word >>> 10) & 127),
      s: String((word >>> 17) & 127),
      b: String(base),
      k,
      address: (n) => {
        const displacement = C[at + n];
        if (base === EAT && addressed) return displacement === 0 ? 'a=al;h=ah;' : `a=al+${k(n)}|0;h=${this.high('ah', displacement)};`;
        if (displacement === 0) return `a=R[${base}];h=${this.is64 ? `R[${base + 1}]` : '0'};`;
        return `a=R[${base}]+${k(n)}|0;h=${this.high(`R[${base + 1}]`, displacement)};`;
      },
      addressLow: `a=${base === EAT && addressed ? 'al' : `R[${base}]`}+${k(1)}|0;`,
      follow: (words, which) => `@${at + words + which};`,
      arrive: (lo, hi) => `t=${lo}-R[${IPB}]|0;if(t>>>0<4096&&${hi}===R[${IPB + 1}]&&(u=ENTRIES${block.page}[t])>=0){e=u;continue L;}`
        + `${this.flat ? this.arriveElsewhere(lo, hi) : ''}R[${RIP}]=${lo};R[${RIP + 1}]=${hi};${exit(0, LEAVE_LOOKUP)}`,
      landed: exit(0, LEAVE_LOOKUP),
      handler: `H${C[at + 5]}`,
    };
  }

  /** Goes to an address of another page of the region, if control went there before and the page is still in the code TLB. */
  private arriveElsewhere(lo: string, hi: string): string {
    return `u=(${lo}^${lo}>>>6)&${JUMP_MASK};i=(${lo}>>>10&4092|cb)&${TLB_MASK};`
      + `if(JUMPS[u]===${lo}&&JUMPS[u+1|0]===${hi}&&T[i]===(${lo}&-4096)&&T[i+1|0]===${hi}&&T[i+2|0]===JUMPS[u+2|0])`
      + `{R[${IPB}]=${lo}&-4096;R[${IPB + 1}]=${hi};R[${CURRENT_PAGE}]=T[i+2|0];e=JUMPS[u+3|0];continue L;}`;
  }

  /** Block that the link word at `link` stands for, 0 if the region does not have it. */
  private target(from: RegionBlock, link: number): number {
    return this.targetOf(from, C[link + 2]);
  }

  /** High word of base + displacement whose low word is in a. */
  private high(base: string, displacement: number): string {
    if (!this.is64) return '0';
    return displacement < 0 ? `${base}-1+${below('a', literal(displacement))}|0` : `${base}+${below('a', literal(displacement))}|0`;
  }

  private blockText(P: number, nested: boolean, known: KnownWords): string {
    const block = this.blocks.get(P);
    if (block === undefined) throw new Error('a region jumps to a block that it does not have');
    let text = nested && this.mark ? `SEEN[${block.index}]=1;` : '';
    if ((C[P - 2] & BLOCK_CROSSING) !== 0) text += `${this.findPage(1)}if(!(${this.pageHolds(C[P - 8])})){${exit(P, LEAVE_AGAIN)}}`;
    text += `n=n-${block.count}|0;if(n<0){${exit(P, LEAVE_BUDGET)}}`;
    let at = P, word = block.word, start = 0;
    for (const end = C[P - 5]; at < end;) {
      const id = word & 1023, kind = KINDS[id];
      const isGeneric = id === KIND_GENERIC || id === KIND_GENERIC_END;
      const isAddress = IS_ADDRESS[id];
      const addressed = start !== 0;
      const operands = this.operands(block, at, word, addressed);
      let body = this.withLiterals(kind.body(operands), word);
      if (isAddress) body = body.replace(`R[${EAT}]=a;R[${EAT + 1}]=`, 'al=a;ah=');
      if (!isGeneric) body = useLocals(body, known);
      // A handler reads its record; the block's first word is about to become the region's.
      const record = at === P ? (isGeneric ? this.copyOf(P) : P) : at;
      if (isGeneric) this.handlers.add(C[at + 5]);
      const miss = `{${exit(addressed ? start : at, LEAVE_RECORD)}}`;
      body = forRegion(body, miss, PUT_BACK, FETCH);
      // After a handler: it may have changed any register, and its store may have hit this very code.
      if (isGeneric) known.clear();
      if (id === KIND_GENERIC) body += `if(R[${REGION_KILLED}]!==0){${exit(at + kind.words, LEAVE_RECORD)}}`;
      body = body.replace(/\bP\b/g, String(record));
      text += body.replace(/@(\d+);/g, (_, link: string) => this.jump(block, this.target(block, Number(link)), Number(link), known));
      start = isAddress ? at : 0;
      at += kind.words;
      if (kind.ends) break;
      word = C[at];
    }
    return text;
  }

  /** Flags in locals, the record's first word as a number, addresses without a mask. */
  private withLiterals(body: string, word: number): string {
    let text = body.replaceAll(`&R[${AMASK}]`, this.is64 ? '|0' : '&0').replaceAll(`R[${TLBB}]`, 'tb');
    for (const [flag, local] of FLAG_LOCALS) text = text.replaceAll(`R[${flag}]`, local);
    return text.replace(/\b(getCf|getOf|getPf|getSf)\(\)/g, `$1(${FLAG_ARGUMENTS})`)
      .replace(/setCarryOverflow\((.*?)\);/g, `w=$1;if((ft&7)===0)fx=fx&-2050|w;else{fx=w|getAf(${FLAG_ARGUMENTS})<<4;ft=6;}`)
      .replace(/\bW\b/g, literal(word));
  }
}

/** Blocks of the region that each block's last record may go to directly. */
export type Successors = (P: number) => readonly number[];

/**
 * Which blocks have to be entries: the first, those that no block of the region jumps to directly (they are returned or jumped to through a
 * register), those with several predecessors, and those in `wanted`.
 */
export function chooseEntries(blocks: readonly number[], first: number, successors: Successors, wanted: ReadonlySet<number>): number[] {
  const predecessors = new Map<number, number>();
  for (const P of blocks) {
    for (const next of new Set(successors(P))) if (next !== P && blocks.includes(next)) predecessors.set(next, (predecessors.get(next) ?? 0) + 1);
    // Loops go back to entries, and the text of a block stands in one place.
    const all = successors(P);
    if (all.includes(P)) predecessors.set(P, 2);
    if (all.length === 2 && all[0] === all[1]) predecessors.set(all[0], 2);
  }
  const entries = new Set(blocks.filter((P) => P === first || wanted.has(P) || predecessors.get(P) !== 1));
  // Blocks nested too deep become entries too.
  const visit = (P: number, depth: number): void => {
    for (const next of successors(P)) {
      if (entries.has(next) || !blocks.includes(next)) continue;
      if (depth >= MAX_DEPTH) {
        entries.add(next);
        visit(next, 0);
      } else visit(next, depth + 1);
    }
  };
  for (const P of entries) visit(P, 0);
  return blocks.filter((P) => entries.has(P));
}

/**
 * Text of the region with these blocks and entries. `copyOf` gives a copy of a block's first record that stays what it is. With
 * `mark`, nested blocks note that they ran in SEEN.
 */
export function regionText(
  blocks: ReadonlyMap<number, RegionBlock>, pages: readonly RegionPage[], entries: readonly number[], copyOf: (P: number) => number, targetOf: Target, mark: boolean,
): RegionText {
  return new Emitter(blocks, pages, entries, copyOf, targetOf, mark).text();
}
