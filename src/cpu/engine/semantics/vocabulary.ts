/**
 * The words that instruction semantics are written in: text of JavaScript for reading and writing operands, forming
 * addresses, loading, storing and setting flags. Whoever assembles the text decides where operands come from
 * (Operands): fields of the current record in the interpreter, integer literals in translated regions.
 *
 * Local names available to the text: P record index, W its first word; a, h address; p host offset; i, t, u, v, w scratch;
 * xl xh, yl yh, zl zh operand and result words. Narrow values are kept sign-extended in the low word.
 */
import { AMASK, FRH, FRL, FSH, FSL, FT, FX, RIP, TLBB } from '../../state';
import { TLB_MASK } from '../../mmu/tlb';

/** Marks around calls of handlers. The interpreter keeps budget and flags in R and needs nothing there; a region keeps them in locals, which it puts back before and fetches after. */
export const OUTSIDE = '@outside;', INSIDE = '@inside;';

/** Expressions for a record's operands. */
export interface Operands {
  /** Index into R (64/32/16-bit forms) or R8 (8-bit forms) of destination and source registers. */
  readonly d: string;
  readonly s: string;
  /** Index into R of the base of the memory operand. */
  readonly b: string;
  /** Puts the linear address of [base + displacement k(n)] into a, h. */
  readonly address: (n: number) => string;
  /** Puts the low word of [base + displacement k(1)] into a. */
  readonly addressLow: string;
  /** Record words after the first: k(1) is usually the displacement or immediate. */
  readonly k: (n: number) => string;
  /** Goes to the taken (1) or next (2) target of the jump whose words start after P + at. */
  readonly follow: (at: number, which: 1 | 2) => string;
  /** Goes on at the RIP given by words lo and hi. */
  readonly arrive: (lo: string, hi: string) => string;
  /** Goes on at RIP, wherever a handler has put it. */
  readonly landed: string;
  /** The handler function of a generic record. */
  readonly handler: string;
}

/** Finds the block at RIP. */
export const LOOKUP = 't=lookup()|0;';

/** Where the interpreter finds operands: fields of W and the words after it. */
export const RECORD_OPERANDS: Operands = {
  d: '(W>>>10&127)',
  s: '(W>>>17&127)',
  b: '(W>>>24)',
  address: recordAddress,
  addressLow: 'a=R[(W>>>24)]+C[P+1|0]|0;',
  k: (n) => `C[P+${n}|0]`,
  follow: (at, which) => `t=C[P+${at + which}|0];if(t===0)t=link(P+${at}|0,${which})|0;`,
  arrive: (lo, hi) => `R[${RIP}]=${lo};R[${RIP + 1}]=${hi};${LOOKUP}`,
  landed: LOOKUP,
  handler: 'GENERIC_HANDLERS[C[P+5|0]]',
};

/** A kind of record: how it executes. */
export interface RecordKind {
  readonly name: string;
  /** Words per record. */
  readonly words: number;
  readonly body: (o: Operands) => string;
  /** The body ends the block: it leaves the next block in t. */
  readonly ends?: boolean;
}

export type Size = 8 | 16 | 32 | 64;
export const SIZES: readonly Size[] = [8, 16, 32, 64];
export const SIZE_LOG: Record<Size, number> = { 8: 0, 16: 1, 32: 2, 64: 3 };

/** Carry out of x + y, given the sum's word and an addend, or borrow of x - y: text of a 0/1 integer. */
export function below(x: string, y: string): string {
  return `(((${x}>>>0)<(${y}>>>0))|0)`;
}

/** Reads a register into v+'l' (and v+'h'). */
export function readReg(size: Size, index: string, v: string): string {
  switch (size) {
    case 64: return `i=${index};${v}l=R[i];${v}h=R[i+1|0];`;
    case 32: return `${v}l=R[${index}];`;
    case 16: return `${v}l=R[${index}]<<16>>16;`;
    case 8: return `${v}l=R8[${index}]<<24>>24;`;
  }
}

/** Writes words l (and hi) to a register; a 32-bit write clears the high half. */
export function writeReg(size: Size, index: string, l: string, hi: string): string {
  switch (size) {
    case 64: return `i=${index};R[i]=${l};R[i+1|0]=${hi};`;
    case 32: return `i=${index};R[i]=${l};R[i+1|0]=0;`;
    case 16: return `R16[${index}<<1]=${l};`;
    case 8: return `R8[${index}]=${l};`;
  }
}

/** Linear address of [base + displacement k(n)] in a, h. */
export function address(o: Operands, n = 1): string {
  return o.address(n);
}

/** The same from fields of a record. */
function recordAddress(n: number): string {
  return `t=C[P+${n}|0];i=(W>>>24);a=R[i]+t|0;h=(R[i+1|0]+(t>>31)+${below('a', 't')})&R[${AMASK}];`;
}

const SLOT = `i=(a>>>10&4092|R[${TLBB}])&${TLB_MASK};`;

function tagMatches(size: Size, word: number): string {
  return `T[i+${word}|0]===(${size === 8 ? 'a' : `a+${size / 8 - 1}`}&-4096)&&T[i+1|0]===h`;
}

/** Around what happens where the TLB does not serve an access: the interpreter takes the slow path, a region leaves for the interpreter. */
const MISS = '@miss{', END_MISS = '}@;';
/** Around the completion of a read-modify-write that took the slow path. */
const COMMIT = '@commit{';
const MISSES = /@miss\{.*?\}@;/g, COMMITS = /@commit\{.*?\}@;/g;

/** What an instruction does in a case that is left to the interpreter. */
export function rarely(text: string): string {
  return MISS + text + END_MISS;
}

/** Text for the interpreter: slow paths in place, budget always in R[BUD]. */
export function forInterpreter(text: string): string {
  return text.replaceAll(MISS, '{').replaceAll(COMMIT, '{').replaceAll(END_MISS, '}').replaceAll(OUTSIDE, '').replaceAll(INSIDE, '');
}

/** Text for a region: `miss` replaces each slow path, `outside` and `inside` stand around calls of handlers. */
export function forRegion(text: string, miss: string, outside: string, inside: string): string {
  return text.replace(MISSES, miss).replace(COMMITS, '').replaceAll(OUTSIDE, outside).replaceAll(INSIDE, inside);
}

/** Loads from a, h into v. */
export function load(size: Size, v: string): string {
  const find = `${SLOT}if(${tagMatches(size, 0)})p=T[i+2|0]+a>>>0;else ${rarely(`p=slowRead(a,h,${size / 8},P)>>>0;`)}`;
  return find + loadAt(size, v);
}

/** Loads from host offset p into v. */
export function loadAt(size: Size, v: string): string {
  switch (size) {
    case 64: return `${v}l=dv.getInt32(p,true);${v}h=dv.getInt32(p+4,true);`;
    case 32: return `${v}l=dv.getInt32(p,true);`;
    case 16: return `${v}l=dv.getInt16(p,true);`;
    case 8: return `${v}l=B8[p]<<24>>24;`;
  }
}

/** Stores words l (and hi) to a, h. */
export function store(size: Size, l: string, hi: string): string {
  return `${SLOT}if(${tagMatches(size, 3)}){p=T[i+2|0]+a>>>0;${storeAt(size, l, hi)}}else ${rarely(`slowWrite${size}(a,h,${l},${size === 64 ? `${hi},` : ''}P);`)}`;
}

function storeAt(size: Size, l: string, hi: string): string {
  switch (size) {
    case 64: return `dv.setInt32(p,${l},true);dv.setInt32(p+4,${hi},true);`;
    case 32: return `dv.setInt32(p,${l},true);`;
    case 16: return `dv.setInt16(p,${l},true);`;
    case 8: return `B8[p]=${l};`;
  }
}

/** Read-modify-write at a, h: loads into v, runs `modify`, stores l (and hi). */
export function modifyMemory(size: Size, v: string, modify: string, l: string, hi: string): string {
  return `${SLOT}if(${tagMatches(size, 3)})p=T[i+2|0]+a>>>0;else ${rarely(`p=slowRmw(a,h,${size / 8},P)>>>0;`)}`
    + loadAt(size, v) + modify + storeAt(size, l, hi) + `${COMMIT}if(p>=SCRATCH)commitRmw();${END_MISS}`;
}

/** High word as lazy flags want it: its own at 64 bits, a copy of the low word below. */
function flagHigh(size: Size, v: string): string {
  return size === 64 ? `${v}h` : `${v}l`;
}

/** Result in v, no operand kept: FK_LOGIC, FK_INC, FK_DEC. */
export function flagsFromResult(kind: number, size: Size, v: string): string {
  return `R[${FT}]=${kind | (SIZE_LOG[size] << 8)};R[${FRL}]=${v}l;R[${FRH}]=${flagHigh(size, v)};`;
}

/** Result in v, remembered operand in s: FK_ADD, FK_SUB. */
export function flagsFromOperand(kind: number, size: Size, v: string, s: string): string {
  return flagsFromResult(kind, size, v) + `R[${FSL}]=${s}l;R[${FSH}]=${flagHigh(size, s)};`;
}

/** Result in v, CF AF OF given as an expression in RFLAGS positions: FK_RESULT. */
export function flagsExplicit(kind: number, size: Size, v: string, bits: string): string {
  return flagsFromResult(kind, size, v) + `R[${FX}]=${bits};`;
}

/** Truncates v's low word to the operand size, sign-extended. */
export function narrow(size: Size, v: string): string {
  return size === 16 ? `${v}l=${v}l<<16>>16;` : size === 8 ? `${v}l=${v}l<<24>>24;` : '';
}
