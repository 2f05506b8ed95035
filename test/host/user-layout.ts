/**
 * Where the random test's code and data lie, in the native runner and in our CPU alike, and the records that describe a test case and
 * its outcome (native-runner.c has the same structures). Offsets into the pool name a byte of memory on both sides.
 *
 * 64-bit code runs as in any Linux process. 32-bit code runs in compatibility mode with flat segments but for GS, 16-bit code with all
 * segments from the LDT.
 */

export type Bits = 16 | 32 | 64;

export const PAGE = 4096;
export const READ = 1, WRITE = 2, EXECUTE = 4;

export type AreaName = 'near' | 'nearReadOnly' | 'far' | 'low' | 'state' | 'stack' | 'selfModifying' | 'code';

export interface Area {
  readonly name: AreaName;
  readonly linear: number;
  /** First page in the pool, and number of pages. */
  readonly first: number;
  readonly pages: number;
  readonly protection: number;
  /** Compared with the pattern after each case. */
  readonly compare: boolean;
}

/** Segment registers in the order of the native runner's records. */
export const CS = 0, SS = 1, DS = 2, ES = 3, FS = 4, GS = 5;

export interface Segment {
  readonly selector: number;
  readonly base: number;
  /** In bytes; FFFFFFFFh: no limit. */
  readonly limit: number;
}

export interface LdtEntry {
  readonly base: number;
  readonly limit: number;
  readonly code: boolean;
  /** D/B. */
  readonly big: boolean;
}

export interface Layout {
  readonly bits: Bits;
  readonly areas: readonly Area[];
  /** CS SS DS ES FS GS. */
  readonly segments: readonly Segment[];
  readonly ldt: readonly LdtEntry[];
  /** 64-bit code that saves the state; 32-bit code enters it by the far jump at `exit32`. */
  readonly stub: number;
  readonly exit32: number;
}

export const POOL_PAGES = 14;
/** The first pages of the pool start each case with the batch's pattern; the others hold code. */
export const PATTERN_PAGES = 10;
/** Page with x87 and SSE images, control words and decimal numbers that only instructions in need of them use. */
export const STATE_PAGE = 6;
export const CODE_PAGE = 10, CODE_PAGES = 4;

function areas(at: Record<Exclude<AreaName, 'nearReadOnly'>, number>): Area[] {
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

/** Selectors as in Linux; LDT selectors are 8 * index + 7. */
export const USER_CS32 = 0x23, USER_DATA = 0x2b, USER_CS64 = 0x33;

const FLAT = 0xffffffff;
const NULL_SEGMENT: Segment = { selector: 0, base: 0, limit: 0 };
const FLAT_DATA: Segment = { selector: USER_DATA, base: 0, limit: FLAT };
const HIGH = 0x123500000000;

/** 64-bit code: code, far data and stack lie across boundaries of 4 GiB. */
const LAYOUT_64: Layout = {
  bits: 64,
  areas: areas({
    near: HIGH + 0x100000, far: HIGH + 0x100000000 - PAGE, low: 0x26ad5000, state: 0x3b713000, stack: HIGH + 0x200000000 - PAGE,
    selfModifying: HIGH + 0x8000, code: HIGH - 2 * PAGE,
  }),
  segments: [{ selector: USER_CS64, base: 0, limit: FLAT }, FLAT_DATA, FLAT_DATA, FLAT_DATA, NULL_SEGMENT, { selector: 0, base: 0x08000000, limit: 0 }],
  ldt: [],
  stub: HIGH + 0x51230000,
  exit32: 0,
};

const LOW_32 = 0x33c5b000;

/** 32-bit code: far data lies across the sign boundary. The other addresses are such as random values seldom hit. */
const LAYOUT_32: Layout = {
  bits: 32,
  areas: areas({
    near: 0x274e9000, far: 0x80000000 - PAGE, low: LOW_32, state: 0x3b713000, stack: 0x4a6d2000, selfModifying: 0x1a2bc000, code: 0x1a2b4000,
  }),
  segments: [{ selector: USER_CS32, base: 0, limit: FLAT }, FLAT_DATA, FLAT_DATA, FLAT_DATA, NULL_SEGMENT, { selector: 7, base: LOW_32, limit: 0xffb }],
  ldt: [{ base: LOW_32, limit: 0xffb, code: false, big: true }],
  stub: 0x51230000,
  exit32: 0x51230800,
};

const CODE_16 = 0x1a2b4000, DATA_16 = CODE_16 + 0x7000, EXTRA_16 = 0x274e9010, STACK_16 = 0x4a6d2000, STATE_16 = 0x3b713000, LOW_16 = 0x33c5b000;

/** 16-bit code: each area in a segment of its own but for the self-modifying page, which is code and data. */
const LAYOUT_16: Layout = {
  bits: 16,
  areas: areas({
    near: DATA_16 + 0x5000, far: EXTRA_16 + 0x6ff0, low: LOW_16, state: STATE_16, stack: STACK_16 + 0x6000, selfModifying: CODE_16 + 0x9000, code: CODE_16 + 0x1000,
  }),
  segments: [
    { selector: 0x0f, base: CODE_16, limit: 0xffff }, { selector: 0x27, base: STACK_16, limit: 0xffff }, { selector: 0x17, base: DATA_16, limit: 0xffff },
    { selector: 0x1f, base: EXTRA_16, limit: 0xffff }, { selector: 0x2f, base: STATE_16, limit: 0xfff }, { selector: 7, base: LOW_16, limit: 0xffb },
  ],
  ldt: [
    { base: LOW_16, limit: 0xffb, code: false, big: true }, { base: CODE_16, limit: 0xffff, code: true, big: false }, { base: DATA_16, limit: 0xffff, code: false, big: false },
    { base: EXTRA_16, limit: 0xffff, code: false, big: false }, { base: STACK_16, limit: 0xffff, code: false, big: false }, { base: STATE_16, limit: 0xfff, code: false, big: false },
  ],
  stub: 0x51230000,
  exit32: 0x51230800,
};

export function layoutOf(bits: Bits): Layout {
  return bits === 64 ? LAYOUT_64 : bits === 32 ? LAYOUT_32 : LAYOUT_16;
}

export function areaOf(layout: Layout, name: AreaName): Area {
  const area = layout.areas.find((one) => one.name === name);
  if (area === undefined) throw new Error(`no area ${name}`);
  return area;
}

// --- struct test ---
export const CASE_BYTES = 1096, CASE_PATCHES = 8, CASE_CODE_BYTES = 160;
/** CASE_TARGET: RIP. */
export const CASE_TARGET = 0, CASE_CODE_OFFSET = 8, CASE_CODE_LENGTH = 12, CASE_PATCH_COUNT = 16, CASE_RELOAD = 20, CASE_GPR = 24, CASE_FLAGS = 152;
export const CASE_PATCH = 168, CASE_CODE = 424, CASE_FX = 584;
export const PATCH_BYTES = 32, PATCH_DATA = 16;

// --- struct reply ---
export const REPLY_BYTES = 704;
export const REPLY_GPR = 0, REPLY_RIP = 128, REPLY_FLAGS = 136, REPLY_KIND = 144, REPLY_ERROR = 148, REPLY_CR2 = 152, REPLY_SELECTORS = 160;
export const REPLY_DIFFERENCES = 172, REPLY_FX = 192;

/** Outcome kinds besides exception vectors. */
export const KIND_EXIT = 0x100, KIND_TIMEOUT = 0x101;
/** Our side: a wild branch led into the stub, where the native runner has code and we have not. */
export const KIND_ASTRAY = 0x102;
