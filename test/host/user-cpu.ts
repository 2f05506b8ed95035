/**
 * Our CPU as the native runner's twin: user-mode code at CPL 3 in the system of user-tables.ts. Every exception goes through a real IDT to a
 * handler that halts at CPL 0, whose address tells the vector and whose stack frame the state. Sequences end by a jump to a HLT,
 * which is #GP at CPL 3.
 */
import {
  R, RU, ACTIVITY, CR2, CS, DS, ES, FCW, FP_EXP, FP_MANT, FP_VALID, FS, FTOP, GS, INHIBIT, MXCSR, PENDING_DB, RIP, SEG_SEL, SIGNALS, SS, XMM, X_AC, X_DF, X_GP, X_PF, X_TS,
  X_UD,
} from '../../src/cpu/state';
import { lookup, setStepping } from '../../src/cpu/engine/blocks';
import { compileRegion } from '../../src/cpu/engine/regions';
import { FAULT } from '../../src/cpu/fault';
import { setFlags } from '../../src/cpu/flags';
import { setControlWord, setStatusWord, statusWord } from '../../src/cpu/fpu/stack';
import { mem32, mem8 } from '../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../src/cpu/mmu/physical';
import { updateMode } from '../../src/cpu/modes';
import { runSlice } from '../../src/cpu/run';
import type { CasePlan } from './random-code';
import { createBareCpu } from '../support/bare-cpu';
import {
  CASE_CODE, CASE_CODE_BYTES, CASE_CODE_LENGTH, CASE_CODE_OFFSET, CASE_FLAGS, CASE_FX, CASE_GPR, CASE_PATCH, CASE_PATCH_COUNT, CASE_TARGET, CODE_PAGE, KIND_ASTRAY, KIND_EXIT, KIND_TIMEOUT,
  PAGE, PATCH_BYTES, PATCH_DATA, PATTERN_PAGES, REPLY_BYTES, REPLY_CR2, REPLY_DIFFERENCES, REPLY_ERROR, REPLY_FLAGS, REPLY_FX, REPLY_GPR,
  REPLY_KIND, REPLY_RIP, REPLY_SELECTORS, USER_CS32, USER_CS64, layoutOf,
} from './user-layout';
import type { Layout } from './user-layout';
import { HANDLERS_AT, INT3, buildUserSystem, frameWord, ldtRights, physicalOf, poolPage, setSegment, system } from './user-tables';

/** How a case is executed: by the interpreter in blocks or one instruction at a time, or compiled by the second tier (after it ran in blocks). */
export type Manner = 'blocks' | 'stepped' | 'compiled';

const BUDGET = 200000;

let layout: Layout = layoutOf(64);

/** Brings the CPU into the state of a process of this layout; `legacy`: outside long mode. */
export function createUserCpu(of: Layout, legacy: boolean): void {
  layout = of;
  if (mem8.length === 0) createBareCpu(4);
  buildUserSystem(of, legacy);
}

/** CS SS DS ES FS GS. */
const SEGMENT_ORDER = [CS, SS, DS, ES, FS, GS];

function loadSegments(): void {
  layout.segments.forEach(({ selector, base, limit }, i) => {
    const entry = selector & 4 ? layout.ldt[selector >> 3] : undefined;
    const ar = entry !== undefined ? ldtRights(entry.code, entry.big) : selector === 0 ? 0x10000 : selector === USER_CS64 ? 0xa0fb : selector === USER_CS32 ? 0xc0fb : 0xc0f3;
    setSegment(SEGMENT_ORDER[i], selector, base, 0, limit | 0, ar);
  });
}

/** The pattern in force: what memory holds before each case. */
let pattern: Uint8Array = new Uint8Array(PATTERN_PAGES * PAGE);
let pattern32 = new Int32Array(pattern.buffer);

/** Puts a batch's pattern into memory. `bytes`: PATTERN_PAGES pages. */
export function setPattern(bytes: Uint8Array<ArrayBuffer>): void {
  pattern = bytes;
  pattern32 = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let page = 0; page < PATTERN_PAGES; page++) restorePage(page);
}

/** The self-modifying page may hold decoded code. */
function restorePage(page: number): void {
  const bytes = pattern.subarray(page * PAGE, (page + 1) * PAGE);
  if (page === PATTERN_PAGES - 1) physWriteBytes(poolPage(page), bytes);
  else mem8.set(bytes, poolPage(page));
}

let stepping = false;
const runnable = {
  nextDeadline: () => Infinity,
  runDue: () => undefined,
  get stopped(): boolean {
    return R[ACTIVITY] !== 0;
  },
};

/** `watch` is called before each instruction when stepping. */
function execute(watch?: () => void): void {
  if (!stepping) runSlice(runnable, BUDGET);
  else {
    for (let n = 0; n < BUDGET && R[ACTIVITY] === 0; n++) {
      watch?.();
      runSlice(runnable, 1);
    }
  }
}

/** Registers, flags and segments as a case record says: word index `base` of `at`. */
export function loadState(at: Int32Array, base: number): void {
  for (let n = 0; n < 32; n++) R[n] = at[base + CASE_GPR / 4 + n];
  R[RIP] = at[base + CASE_TARGET / 4];
  R[RIP + 1] = at[base + CASE_TARGET / 4 + 1];
  setFlags(at[base + CASE_FLAGS / 4]);
  const fx = base + CASE_FX / 4;
  setControlWord(at[fx] & 0xffff);
  setStatusWord(at[fx] >>> 16);
  R[FP_VALID] = at[fx + 1] & 0xff;
  R[MXCSR] = at[fx + 6];
  for (let i = 0; i < 8; i++) {
    const n = (R[FTOP] + i) & 7;
    R[FP_MANT + 2 * n] = at[fx + 8 + 4 * i];
    R[FP_MANT + 2 * n + 1] = at[fx + 9 + 4 * i];
    R[FP_EXP + n] = at[fx + 10 + 4 * i] & 0xffff;
  }
  for (let w = 0; w < 64; w++) R[XMM + w] = at[fx + 40 + w];
  R[ACTIVITY] = R[SIGNALS] = R[PENDING_DB] = R[INHIBIT] = 0;
  R[CR2] = R[CR2 + 1] = 0;
  loadSegments();
  updateMode();
}

const HAS_ERROR = new Uint8Array(32);
for (const vector of [X_DF, X_TS, X_TS + 1, X_TS + 2, X_GP, X_PF, X_AC]) HAS_ERROR[vector] = 1;

const replyBytes = new Uint8Array(REPLY_BYTES);
const reply32 = new Int32Array(replyBytes.buffer), reply16 = new Uint16Array(replyBytes.buffer);

function storeState(): void {
  reply32.fill(0);
  for (let n = 0; n < 32; n++) reply32[REPLY_GPR / 4 + n] = R[n];
  const vector = (R[RIP] - system.lo - HANDLERS_AT - 1) | 0;
  if (R[ACTIVITY] !== 1 || RU[RIP + 1] !== system.hi || vector < 0 || vector > 255) {
    reply32[REPLY_KIND / 4] = KIND_TIMEOUT;
    reply32[REPLY_RIP / 4] = R[RIP];
    reply32[REPLY_RIP / 4 + 1] = R[RIP + 1];
  } else {
    if (vector < 32 && HAS_ERROR[vector] !== 0) reply32[REPLY_ERROR / 4] = mem32[frameWord(-1) >>> 2];
    reply32[REPLY_RIP / 4] = mem32[frameWord(0) >>> 2];
    reply16[REPLY_SELECTORS / 2] = mem32[frameWord(1) >>> 2];
    reply32[REPLY_FLAGS / 4] = mem32[frameWord(2) >>> 2];
    reply32[REPLY_GPR / 4 + 8] = mem32[frameWord(3) >>> 2];
    reply16[REPLY_SELECTORS / 2 + 1] = mem32[frameWord(4) >>> 2];
    if (!system.legacy) {
      reply32[REPLY_RIP / 4 + 1] = mem32[(frameWord(0) >>> 2) + 1];
      reply32[REPLY_GPR / 4 + 9] = mem32[(frameWord(3) >>> 2) + 1];
    }
    const rip = (reply32[REPLY_RIP / 4] >>> 0) + (reply32[REPLY_RIP / 4 + 1] >>> 0) * 0x100000000;
    // 32-bit code may also leave by the 64-bit entry of the stub.
    const exited = vector === X_GP && (rip === layout.exit32 || rip === layout.stub), astray = !exited && rip >= layout.stub && rip < layout.stub + PAGE;
    // The 32-bit exit is a far jump, which 64-bit code does not have.
    const misfit = exited && rip === layout.exit32 && reply16[REPLY_SELECTORS / 2] === USER_CS64;
    reply32[REPLY_KIND / 4] = misfit ? X_UD : exited ? KIND_EXIT : astray ? KIND_ASTRAY : vector;
    if (exited) reply32[REPLY_ERROR / 4] = 0;
    if (vector === X_PF) {
      reply32[REPLY_CR2 / 4] = R[CR2];
      reply32[REPLY_CR2 / 4 + 1] = R[CR2 + 1];
    }
  }
  reply16[REPLY_SELECTORS / 2 + 2] = R[SEG_SEL + DS];
  reply16[REPLY_SELECTORS / 2 + 3] = R[SEG_SEL + ES];
  reply16[REPLY_SELECTORS / 2 + 4] = R[SEG_SEL + FS];
  reply16[REPLY_SELECTORS / 2 + 5] = R[SEG_SEL + GS];
  const fx = REPLY_FX / 4;
  reply32[fx] = (R[FCW] & 0xffff) | (statusWord() << 16);
  reply32[fx + 1] = R[FP_VALID];
  reply32[fx + 6] = R[MXCSR];
  for (let i = 0; i < 8; i++) {
    const n = (R[FTOP] + i) & 7;
    reply32[fx + 8 + 4 * i] = R[FP_MANT + 2 * n];
    reply32[fx + 9 + 4 * i] = R[FP_MANT + 2 * n + 1];
    reply32[fx + 10 + 4 * i] = R[FP_EXP + n];
  }
  for (let w = 0; w < 64; w++) reply32[fx + 40 + w] = R[XMM + w];
}

/** Memory that differs from the pattern, as (pool offset, new word) pairs, in order; memory is restored. */
function collectDifferences(out: number[]): void {
  for (const area of layout.areas) {
    if (!area.compare) continue;
    for (let page = area.first; page < area.first + area.pages; page++) {
      const now = Buffer.from(mem8.buffer, mem8.byteOffset + poolPage(page), PAGE);
      if (now.compare(pattern, page * PAGE, (page + 1) * PAGE) === 0) continue;
      const from = poolPage(page) >>> 2, before = (page * PAGE) >>> 2;
      for (let w = 0; w < PAGE / 4; w++) {
        if (mem32[from + w] !== pattern32[before + w]) out.push(page * PAGE + 4 * w, mem32[from + w]);
      }
      restorePage(page);
    }
  }
}

export interface UserOutcome {
  /** struct reply; valid until the next case. */
  readonly reply: Uint8Array;
  readonly differences: number[];
}

/** Puts a case's code into memory. Not needed again to execute the same case once more, then from the block cache. */
export function placeCode(cases: Uint8Array, at: number): void {
  writeCode(cases, at, cases, at + CASE_CODE);
}

/** Puts breakpoints in place of a case's code, for wild branches of later cases to find. */
export function clearCode(cases: Uint8Array, at: number): void {
  writeCode(cases, at, BREAKPOINTS, 0);
}

const BREAKPOINTS = new Uint8Array(CASE_CODE_BYTES).fill(INT3);

function writeCode(cases: Uint8Array, at: number, bytes: Uint8Array, from: number): void {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const offset = view.getUint32(CASE_CODE_OFFSET, true), length = view.getUint32(CASE_CODE_LENGTH, true);
  for (let done = 0; done < length;) {
    const step = Math.min(length - done, PAGE - ((offset + done) & 4095));
    physWriteBytes(physicalOf(offset + done), bytes, from + done, step);
    done += step;
  }
}

/** Hands the code at RIP to the second tier. */
function compileCode(): void {
  setStepping(false);
  try {
    compileRegion(lookup());
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
  }
}

/**
 * Executes the case once more, one instruction at a time: false if a wild branch led into the middle of its code, where flags may be read that are
 * undefined.
 */
export function followsPlan(cases: Uint8Array, at: number, plan: CasePlan): boolean {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const entry = view.getUint32(CASE_TARGET, true), length = view.getUint32(CASE_CODE_LENGTH, true);
  let previous = -1, follows = true;
  runUserCase(cases, at, 'stepped', () => {
    const offset = (R[RIP] - entry) | 0;
    if (offset < 0 || offset >= length) return;
    if (plan.wild.includes(previous)) follows = false;
    previous = plan.starts.indexOf(offset);
    if (previous < 0) follows = false;
  });
  return follows;
}

/** Puts the memory contents that a case asks for in place. */
export function applyPatches(cases: Uint8Array, at: number): void {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const patches = view.getUint32(CASE_PATCH_COUNT, true);
  for (let n = 0; n < patches; n++) {
    const patch = CASE_PATCH + n * PATCH_BYTES, offset = view.getUint32(patch, true), length = view.getUint32(patch + 4, true);
    for (let i = 0; i < length; i++) mem8[physicalOf(offset + i)] = cases[at + patch + PATCH_DATA + i];
  }
}

/** Executes the case at cases[at], whose code has been placed. */
export function runUserCase(cases: Uint8Array, at: number, manner: Manner, watch?: () => void): UserOutcome {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const patches = view.getUint32(CASE_PATCH_COUNT, true);
  applyPatches(cases, at);
  loadState(new Int32Array(cases.buffer, cases.byteOffset + at, CASE_FX / 4 + 128), 0);
  stepping = manner === 'stepped';
  if (manner === 'compiled') compileCode();
  execute(watch);
  storeState();
  const differences: number[] = [];
  collectDifferences(differences);
  for (let n = 0; n < patches; n++) {
    const patch = CASE_PATCH + n * PATCH_BYTES, offset = view.getUint32(patch, true), length = view.getUint32(patch + 4, true);
    if (offset >= CODE_PAGE * PAGE) continue;
    for (let i = 0; i < length; i++) mem8[physicalOf(offset + i)] = pattern[offset + i];
  }
  reply32[REPLY_DIFFERENCES / 4] = differences.length / 2;
  return { reply: replyBytes, differences };
}
