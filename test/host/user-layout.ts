/**
 * Where the random test's code and data lie, in the native runner and in our CPU alike, and the records that describe a test case and
 * its outcome (native-runner.c has the same structures). Offsets into the pool name a byte of memory on both sides.
 */

export type Bits = 32 | 64;

export const PAGE = 4096;
export const READ = 1, WRITE = 2, EXECUTE = 4;

export interface Area {
  readonly name: 'near' | 'nearReadOnly' | 'far' | 'low' | 'state' | 'stack' | 'selfModifying' | 'code';
  readonly linear: number;
  /** First page in the pool, and number of pages. */
  readonly first: number;
  readonly pages: number;
  readonly protection: number;
  /** Compared with the pattern after each case. */
  readonly compare: boolean;
}

export interface Layout {
  readonly bits: Bits;
  readonly areas: readonly Area[];
  /** Sequences leave by a jump to here. */
  readonly exit: number;
  readonly stub: number;
  /** GS: its base, and in 32-bit code its limit. */
  readonly gsBase: number;
  readonly gsLimit: number;
}

export const POOL_PAGES = 14;
/** The first pages of the pool start each case with the batch's pattern; the others hold code. */
export const PATTERN_PAGES = 10;
/** Page with x87 and SSE images, control words and decimal numbers that only instructions in need of them use. */
export const STATE_PAGE = 6;
export const CODE_PAGE = 10, CODE_PAGES = 4;

function areas(at: Record<'near' | 'far' | 'low' | 'state' | 'stack' | 'selfModifying' | 'code', number>): Area[] {
  return [
    { name: 'near', linear: at.near, first: 0, pages: 2, protection: READ | WRITE, compare: true },
    { name: 'nearReadOnly', linear: at.near + 2 * PAGE, first: 2, pages: 1, protection: READ, compare: false },
    { name: 'far', linear: at.far, first: 3, pages: 2, protection: READ | WRITE, compare: true },
    { name: 'low', linear: at.low, first: 5, pages: 1, protection: READ | WRITE, compare: true },
    { name: 'state', linear: at.state, first: STATE_PAGE, pages: 1, protection: READ | WRITE, compare: true },
    { name: 'stack', linear: at.stack, first: 7, pages: 2, protection: READ | WRITE, compare: true },
    { name: 'selfModifying', linear: at.selfModifying, first: 9, pages: 1, protection: READ | WRITE | EXECUTE, compare: true },
    { name: 'code', linear: at.code, first: CODE_PAGE, pages: CODE_PAGES, protection: READ | EXECUTE, compare: false },
  ];
}

const HIGH = 0x123500000000;

/** 64-bit code: code, far data and stack lie across boundaries of 4 GiB. */
const LAYOUT_64: Layout = {
  bits: 64,
  areas: areas({
    near: HIGH + 0x100000, far: HIGH + 0x100000000 - PAGE, low: 0x26ad5000, state: 0x3b713000, stack: HIGH + 0x200000000 - PAGE,
    selfModifying: HIGH + 0x8000, code: HIGH - 2 * PAGE,
  }),
  exit: HIGH + 0x51230000,
  stub: HIGH + 0x51230000,
  gsBase: 0x08000000,
  gsLimit: 0,
};

/** 32-bit code: far data lies across the sign boundary. The other addresses are such as random values seldom hit. */
const LAYOUT_32: Layout = {
  bits: 32,
  areas: areas({
    near: 0x274e9000, far: 0x80000000 - PAGE, low: 0x33c5b000, state: 0x3b713000, stack: 0x4a6d2000,
    selfModifying: 0x1a2bc000, code: 0x1a2b4000,
  }),
  exit: 0x51230800,
  stub: 0x51230000,
  gsBase: 0x33c5b000,
  gsLimit: 0xffb,
};

export function layoutOf(bits: Bits): Layout {
  return bits === 64 ? LAYOUT_64 : LAYOUT_32;
}

export function areaOf(layout: Layout, name: Area['name']): Area {
  const area = layout.areas.find((one) => one.name === name);
  if (area === undefined) throw new Error(`no area ${name}`);
  return area;
}

/** Selectors as in Linux; index 0 of the LDT is GS in 32-bit code. */
export const USER_CS32 = 0x23, USER_DATA = 0x2b, USER_CS64 = 0x33, LDT_DATA = 7;

// --- struct test ---
export const CASE_BYTES = 1096, CASE_PATCHES = 8, CASE_CODE_BYTES = 160;
export const CASE_TARGET = 0, CASE_CODE_OFFSET = 8, CASE_CODE_LENGTH = 12, CASE_PATCH_COUNT = 16, CASE_RELOAD = 20, CASE_GPR = 24, CASE_FLAGS = 152;
export const CASE_PATCH = 160 + 8, CASE_CODE = 416 + 8, CASE_FX = 576 + 8;
export const PATCH_BYTES = 32, PATCH_DATA = 16;

// --- struct reply ---
export const REPLY_BYTES = 704;
export const REPLY_GPR = 0, REPLY_RIP = 128, REPLY_FLAGS = 136, REPLY_KIND = 144, REPLY_ERROR = 148, REPLY_CR2 = 152, REPLY_SELECTORS = 160;
export const REPLY_DIFFERENCES = 172, REPLY_FX = 192;

/** Outcome kinds besides exception vectors. */
export const KIND_EXIT = 0x100, KIND_TIMEOUT = 0x101;
/** Our side: a wild branch led into the stub, where the native runner has code and we have not. */
export const KIND_ASTRAY = 0x102;
