/**
 * Our CPU as the native runner's twin: user-mode code at CPL 3 under 4-level paging with the same linear addresses, protections, selectors
 * and segment bases as a Linux process. Every exception goes through a real IDT to a handler that halts at CPL 0, whose address
 * tells the vector and whose stack frame the state. Sequences end by a jump to a HLT, which is #GP at CPL 3.
 */
import {
  R, RU, ACTIVITY, CR0, CR0_AM, CR0_ET, CR0_MP, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR2, CR3, CR4, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_PAE, CR4_PGE, CS, DS, EFER, EFER_LMA,
  EFER_LME, EFER_NXE, EFER_SCE, ES, FCW, FP_EXP, FP_MANT, FP_VALID, FS, FTOP, GDTR_BASE, GDTR_LIMIT, GS, IDTR_BASE, IDTR_LIMIT, INHIBIT, LDTR, MXCSR, PENDING_DB,
  RIP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SIGNALS, SS, TR, XMM, X_AC, X_DF, X_GP, X_PF, X_TS, X_UD,
} from '../../src/cpu/state';
import { lookup, setStepping } from '../../src/cpu/engine/blocks';
import { compileRegion } from '../../src/cpu/engine/regions';
import { FAULT } from '../../src/cpu/fault';
import { setFlags } from '../../src/cpu/flags';
import { setControlWord, setStatusWord, statusWord } from '../../src/cpu/fpu/stack';
import { mem32, mem8, memView } from '../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../src/cpu/mmu/physical';
import { flushEverything } from '../../src/cpu/mmu/tlb';
import { updateMode } from '../../src/cpu/modes';
import { resetCpu } from '../../src/cpu/reset';
import { runSlice } from '../../src/cpu/run';
import { createBareCpu } from '../support/bare-cpu';
import {
  CASE_CODE, CASE_CODE_BYTES, CASE_CODE_LENGTH, CASE_CODE_OFFSET, CASE_FLAGS, CASE_FX, CASE_GPR, CASE_PATCH, CASE_PATCH_COUNT, CASE_TARGET, CODE_PAGE, EXECUTE, KIND_ASTRAY, KIND_EXIT, KIND_TIMEOUT,
  PAGE, PATCH_BYTES, PATCH_DATA, PATTERN_PAGES, POOL_PAGES, REPLY_BYTES, REPLY_CR2, REPLY_DIFFERENCES, REPLY_ERROR, REPLY_FLAGS, REPLY_FX, REPLY_GPR,
  REPLY_KIND, REPLY_RIP, REPLY_SELECTORS, USER_CS32, USER_CS64, WRITE, layoutOf,
} from './user-layout';
import type { Area, Layout } from './user-layout';

/** How a case is executed: by the interpreter in blocks or one instruction at a time, or compiled by the second tier (after it ran in blocks). */
export type Manner = 'blocks' | 'stepped' | 'compiled';

// --- Physical memory ---
const TABLES = 0x10000, TABLES_END = 0x40000, SYSTEM_PAGES = 0x40000, EXIT_PAGE = 0x50000, POOL = 0x100000;
const GDT_AT = 0, IDT_AT = 0x1000, TSS_AT = 0x2000, HANDLERS_AT = 0x3000, STACK_TOP = 0x5000, LDT_AT = 0x800, LDT_LIMIT = 63, SYSTEM_PAGE_COUNT = 5;
/** The system pages, in the kernel half, where user code cannot read them. */
const SYSTEM_HI = 0xffff9000;
const HLT = 0xf4, INT3 = 0xcc;
const BUDGET = 200000;

let layout: Layout = layoutOf(64);
let nextTable = TABLES;

/** Physical address of a pool page: not in order, so that neighbours in linear memory are none in physical memory. */
function poolPage(page: number): number {
  return POOL + (POOL_PAGES - 1 - page) * PAGE;
}

function physicalOf(offset: number): number {
  return poolPage(offset >>> 12) + (offset & 4095);
}

function entryAt(table: number, index: number): number {
  const at = table + 8 * index;
  let next = memView.getUint32(at, true) & ~0xfff;
  if (next === 0) {
    next = nextTable;
    nextTable += PAGE;
    if (nextTable > TABLES_END) throw new Error('out of page tables');
    memView.setUint32(at, next | 7, true);
    memView.setUint32(at + 4, 0, true);
  }
  return next;
}

/** Maps one page; `linear` below 2^48 as a number. */
function mapPage(linear: number, physical: number, flags: number, noExecute: boolean): void {
  const page = Math.floor(linear / PAGE);
  const low = page % 0x8000000, pml4 = Math.floor(page / 0x8000000);
  const pt = entryAt(entryAt(entryAt(TABLES, pml4), (low >>> 18) & 511), (low >>> 9) & 511);
  memView.setUint32(pt + 8 * (low & 511), physical | flags, true);
  memView.setUint32(pt + 8 * (low & 511) + 4, noExecute ? 0x80000000 : 0, true);
}

function mapArea(area: Area): void {
  for (let i = 0; i < area.pages; i++) {
    mapPage(area.linear + i * PAGE, poolPage(area.first + i), 5 | (area.protection & WRITE ? 2 : 0), (area.protection & EXECUTE) === 0);
  }
}

function put64(at: number, lo: number, hi: number): void {
  memView.setUint32(at, lo, true);
  memView.setUint32(at + 4, hi, true);
}

function buildSystemPages(): void {
  const gdt = SYSTEM_PAGES + GDT_AT, idt = SYSTEM_PAGES + IDT_AT, tss = SYSTEM_PAGES + TSS_AT;
  mem8.fill(0, SYSTEM_PAGES, SYSTEM_PAGES + SYSTEM_PAGE_COUNT * PAGE);
  put64(gdt + 0x08, 0x0000ffff, 0x00cf9b00);
  put64(gdt + 0x10, 0x0000ffff, 0x00af9b00);
  put64(gdt + 0x18, 0x0000ffff, 0x00cf9300);
  put64(gdt + 0x20, 0x0000ffff, 0x00cffb00);
  put64(gdt + 0x28, 0x0000ffff, 0x00cff300);
  put64(gdt + 0x30, 0x0000ffff, 0x00affb00);
  // TSS (busy) and LDT, which only LAR, LSL and error codes look at.
  put64(gdt + 0x40, (TSS_AT << 16) | 0x67, 0x00008b00);
  put64(gdt + 0x48, SYSTEM_HI, 0);
  put64(gdt + 0x50, (LDT_AT << 16) | LDT_LIMIT, 0x00008200);
  put64(gdt + 0x58, SYSTEM_HI, 0);
  layout.ldt.forEach(({ base, limit, code, big }, index) => {
    put64(SYSTEM_PAGES + LDT_AT + 8 * index, ((limit & 0xffff) | ((base & 0xffff) << 16)) >>> 0,
      (((base >>> 16) & 0xff) | ldtRights(code, big) << 8 | (limit & 0xf0000) | (base & 0xff000000)) >>> 0);
  });
  for (let vector = 0; vector < 256; vector++) {
    const dpl = vector === 3 || vector === 4 ? 3 : 0;
    put64(idt + 16 * vector, ((0x10 << 16) | (HANDLERS_AT + vector)) >>> 0, 0x8e01 | (dpl << 13));
    put64(idt + 16 * vector + 8, SYSTEM_HI, 0);
  }
  put64(tss + 0x24, STACK_TOP, SYSTEM_HI);
  put64(tss + 4, STACK_TOP, SYSTEM_HI);
  // The I/O bitmap lies beyond the limit: there is none.
  memView.setUint16(tss + 102, 0x68, true);
  mem8.fill(HLT, SYSTEM_PAGES + HANDLERS_AT, SYSTEM_PAGES + HANDLERS_AT + 256);
  for (let i = 0; i < SYSTEM_PAGE_COUNT; i++) mapPage(SYSTEM_HI * 0x100000000 % 0x1000000000000 + i * PAGE, SYSTEM_PAGES + i * PAGE, 3, false);
}

/** Builds the CPU in the state of a Linux process of this layout. Once per process; further calls only change the layout. */
export function createUserCpu(of: Layout): void {
  layout = of;
  if (mem8.length === 0) createBareCpu(4);
  resetCpu(0);
  mem8.fill(0, TABLES, TABLES_END);
  nextTable = TABLES + PAGE;
  for (const area of layout.areas) mapArea(area);
  mapPage(layout.stub, EXIT_PAGE, 5, false);
  physWriteBytes(EXIT_PAGE, new Uint8Array(PAGE).fill(HLT));
  buildSystemPages();
  for (let page = 0; page < POOL_PAGES; page++) physWriteBytes(poolPage(page), new Uint8Array(PAGE).fill(INT3));
  R[CR3] = TABLES;
  R[CR4] = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
  R[EFER] = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
  R[CR0] = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP | CR0_WP | CR0_AM;
  R[GDTR_BASE] = GDT_AT;
  R[IDTR_BASE] = IDT_AT;
  R[GDTR_BASE + 1] = R[IDTR_BASE + 1] = SYSTEM_HI;
  R[GDTR_LIMIT] = 0x7f;
  R[IDTR_LIMIT] = 0xfff;
  setSegment(TR, 0x40, TSS_AT, SYSTEM_HI, 0x67, 0x8b);
  if (layout.ldt.length > 0) setSegment(LDTR, 0x50, LDT_AT, SYSTEM_HI, 8 * layout.ldt.length - 1, 0x82);
  else setSegment(LDTR, 0, 0, 0, 0, 0x10000);
  flushEverything();
}

function setSegment(s: number, selector: number, baseLo: number, baseHi: number, limit: number, ar: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_BASE + 2 * s] = baseLo;
  R[SEG_BASE + 2 * s + 1] = baseHi;
  R[SEG_LIMIT + s] = limit;
  R[SEG_AR + s] = ar;
}

/** CS SS DS ES FS GS. */
const SEGMENT_ORDER = [CS, SS, DS, ES, FS, GS];

/** Access rights of an LDT segment as Linux makes them: DPL 3, present, accessed. */
function ldtRights(code: boolean, big: boolean): number {
  return (code ? 0xfb : 0xf3) | (big ? 0x4000 : 0);
}

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

function execute(): void {
  if (!stepping) runSlice(runnable, BUDGET);
  else for (let n = 0; n < BUDGET && R[ACTIVITY] === 0; n++) runSlice(runnable, 1);
}

function loadState(at: Int32Array, base: number): void {
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
  const vector = (R[RIP] - HANDLERS_AT - 1) | 0;
  if (R[ACTIVITY] !== 1 || RU[RIP + 1] !== SYSTEM_HI || vector < 0 || vector > 255) {
    reply32[REPLY_KIND / 4] = KIND_TIMEOUT;
    reply32[REPLY_RIP / 4] = R[RIP];
    reply32[REPLY_RIP / 4 + 1] = R[RIP + 1];
  } else {
    let frame = (SYSTEM_PAGES + STACK_TOP - 40) >>> 2;
    if (vector < 32 && HAS_ERROR[vector] !== 0) reply32[REPLY_ERROR / 4] = mem32[frame - 2];
    reply32[REPLY_RIP / 4] = mem32[frame];
    reply32[REPLY_RIP / 4 + 1] = mem32[frame + 1];
    reply16[REPLY_SELECTORS / 2] = mem32[frame += 2];
    reply32[REPLY_FLAGS / 4] = mem32[frame += 2];
    reply32[REPLY_GPR / 4 + 8] = mem32[frame += 2];
    reply32[REPLY_GPR / 4 + 9] = mem32[frame + 1];
    reply16[REPLY_SELECTORS / 2 + 1] = mem32[frame + 2];
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

/** Executes the case at cases[at], whose code has been placed. */
export function runUserCase(cases: Uint8Array, at: number, manner: Manner): UserOutcome {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const patches = view.getUint32(CASE_PATCH_COUNT, true);
  for (let n = 0; n < patches; n++) {
    const patch = CASE_PATCH + n * PATCH_BYTES, offset = view.getUint32(patch, true), length = view.getUint32(patch + 4, true);
    for (let i = 0; i < length; i++) mem8[physicalOf(offset + i)] = cases[at + patch + PATCH_DATA + i];
  }
  loadState(new Int32Array(cases.buffer, cases.byteOffset + at, CASE_FX / 4 + 128), 0);
  stepping = manner === 'stepped';
  if (manner === 'compiled') compileCode();
  execute();
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
