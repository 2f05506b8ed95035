/**
 * The system around the user-mode code of the random test: page tables, descriptor tables, a TSS, exception handlers that halt. Like Linux
 * for a process: same linear addresses, protections, selectors and segments. Long mode, or for 16- and 32-bit code also legacy
 * protected mode with PAE paging, which user code cannot tell from compatibility mode.
 */
import {
  R, CR0, CR0_AM, CR0_ET, CR0_MP, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR3, CR4, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_PAE, CR4_PGE, EFER, EFER_LMA, EFER_LME, EFER_NXE,
  EFER_SCE, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, LDTR, PDPTE, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, TR,
} from '../../src/cpu/state';
import { mem8, memView } from '../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../src/cpu/mmu/physical';
import { flushEverything } from '../../src/cpu/mmu/tlb';
import { resetCpu } from '../../src/cpu/reset';
import { EXECUTE, PAGE, POOL_PAGES, WRITE } from './user-layout';
import type { Area, Layout } from './user-layout';

export const HLT = 0xf4, INT3 = 0xcc;

// --- Physical memory ---
export const TABLES = 0x10000, TABLES_END = 0x40000, SYSTEM_PAGES = 0x40000;
const EXIT_PAGE = 0x50000;
export const POOL = 0x100000;
// Offsets into the system pages.
const GDT_AT = 0, LDT_AT = 0x800, IDT_AT = 0x1000, TSS_AT = 0x2000, STACK_TOP = 0x5000;
export const SYSTEM_PAGE_COUNT = 5, HANDLERS_AT = 0x3000;
const LDT_LIMIT = 63, TSS_LIMIT = 0x67;
/** Where the system pages lie, in the kernel's half. */
const LONG_LO = 0, LONG_HI = 0xffff9000, LEGACY_LO = 0xf7a40000;

/** Linear address of the system pages, the mode they were built for. */
export const system = { lo: 0, hi: 0, legacy: false };

/** Physical address of the exception frame's word `n` (0: rIP, upwards), of 8 or 4 bytes. */
export function frameWord(n: number): number {
  return SYSTEM_PAGES + STACK_TOP - (5 - n) * (system.legacy ? 4 : 8);
}

/** Physical address of a pool page: not in order, so that neighbours in linear memory are none in physical memory. */
export function poolPage(page: number): number {
  return POOL + (POOL_PAGES - 1 - page) * PAGE;
}

export function physicalOf(offset: number): number {
  return poolPage(offset >>> 12) + (offset & 4095);
}

// --- Paging ---

let nextTable = TABLES;

/** Table below an entry, made if there is none. PDPT entries of PAE paging have no access rights. */
function tableAt(table: number, index: number, flags: number): number {
  const at = table + 8 * index;
  let next = memView.getUint32(at, true) & ~0xfff;
  if (next === 0) {
    next = nextTable;
    nextTable += PAGE;
    if (nextTable > TABLES_END) throw new Error('out of page tables');
    put64(at, next | flags, 0);
  }
  return next;
}

/** Maps one page; `linear` below 2^48 as a number. */
function mapPage(linear: number, physical: number, flags: number, noExecute: boolean): void {
  const page = Math.floor(linear / PAGE), low = page % 0x8000000;
  const pdpt = system.legacy ? TABLES : tableAt(TABLES, Math.floor(page / 0x8000000), 7);
  const pt = tableAt(tableAt(pdpt, (low >>> 18) & 511, system.legacy ? 1 : 7), (low >>> 9) & 511, 7);
  put64(pt + 8 * (low & 511), physical | flags, noExecute ? 0x80000000 : 0);
}

function mapArea(area: Area): void {
  for (let i = 0; i < area.pages; i++) {
    mapPage(area.linear + i * PAGE, poolPage(area.first + i), 5 | (area.protection & WRITE ? 2 : 0), (area.protection & EXECUTE) === 0);
  }
}

function put64(at: number, lo: number, hi: number): void {
  memView.setUint32(at, lo >>> 0, true);
  memView.setUint32(at + 4, hi >>> 0, true);
}

// --- Descriptors ---

/** Access rights of an LDT segment as Linux makes them: DPL 3, present, accessed. */
export function ldtRights(code: boolean, big: boolean): number {
  return (code ? 0xfb : 0xf3) | (big ? 0x4000 : 0);
}

function putDescriptor(at: number, base: number, limit: number, ar: number): void {
  put64(at, (limit & 0xffff) | ((base & 0xffff) << 16), ((base >>> 16) & 0xff) | (ar << 8) | (limit & 0xf0000) | (base & 0xff000000));
}

function putGate(vector: number): void {
  const handler = system.lo + HANDLERS_AT + vector, rights = 0x8e00 | (vector === 3 || vector === 4 ? 0x6000 : 0);
  const idt = SYSTEM_PAGES + IDT_AT;
  if (system.legacy) put64(idt + 8 * vector, (0x08 << 16) | (handler & 0xffff), (handler & 0xffff0000) | rights);
  else {
    // On the first stack of the interrupt stack table.
    put64(idt + 16 * vector, (0x10 << 16) | (handler & 0xffff), (handler & 0xffff0000) | rights | 1);
    put64(idt + 16 * vector + 8, system.hi, 0);
  }
}

function buildSystemPages(layout: Layout): void {
  const gdt = SYSTEM_PAGES + GDT_AT, tss = SYSTEM_PAGES + TSS_AT;
  mem8.fill(0, SYSTEM_PAGES, SYSTEM_PAGES + SYSTEM_PAGE_COUNT * PAGE);
  // Kernel code of 32 and 64 bits and data; user code of 32 bits, data, code of 64 bits.
  putDescriptor(gdt + 0x08, 0, 0xfffff, 0xc09b);
  putDescriptor(gdt + 0x10, 0, 0xfffff, 0xa09b);
  putDescriptor(gdt + 0x18, 0, 0xfffff, 0xc093);
  putDescriptor(gdt + 0x20, 0, 0xfffff, 0xc0fb);
  putDescriptor(gdt + 0x28, 0, 0xfffff, 0xc0f3);
  putDescriptor(gdt + 0x30, 0, 0xfffff, 0xa0fb);
  // TSS (busy) and LDT are loaded already: only LAR, LSL and faulting loads look here.
  putDescriptor(gdt + 0x40, system.lo + TSS_AT, TSS_LIMIT, 0x8b);
  putDescriptor(gdt + 0x50, system.lo + LDT_AT, LDT_LIMIT, 0x82);
  if (!system.legacy) {
    put64(gdt + 0x48, system.hi, 0);
    put64(gdt + 0x58, system.hi, 0);
  }
  layout.ldt.forEach(({ base, limit, code, big }, index) => putDescriptor(SYSTEM_PAGES + LDT_AT + 8 * index, base, limit, ldtRights(code, big)));
  for (let vector = 0; vector < 256; vector++) putGate(vector);
  const top = system.lo + STACK_TOP;
  if (system.legacy) put64(tss + 4, top, 0x18);
  else {
    put64(tss + 4, top, system.hi);
    put64(tss + 0x24, top, system.hi);
  }
  // The I/O bitmap lies beyond the limit: there is none.
  memView.setUint16(tss + 102, TSS_LIMIT + 1, true);
  mem8.fill(HLT, SYSTEM_PAGES + HANDLERS_AT, SYSTEM_PAGES + HANDLERS_AT + 256);
  const linear = (system.hi * 0x100000000 + system.lo) % 0x1000000000000;
  for (let i = 0; i < SYSTEM_PAGE_COUNT; i++) mapPage(linear + i * PAGE, SYSTEM_PAGES + i * PAGE, 3, false);
}

/** Writes a segment register without checks. */
export function setSegment(s: number, selector: number, baseLo: number, baseHi: number, limit: number, ar: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_BASE + 2 * s] = baseLo;
  R[SEG_BASE + 2 * s + 1] = baseHi;
  R[SEG_LIMIT + s] = limit;
  R[SEG_AR + s] = ar;
}

/** Resets the CPU into the mode and fills its memory. */
export function buildUserSystem(layout: Layout, legacy: boolean): void {
  system.legacy = legacy;
  system.lo = legacy ? LEGACY_LO : LONG_LO;
  system.hi = legacy ? 0 : LONG_HI;
  resetCpu(0);
  mem8.fill(0, TABLES, TABLES_END);
  nextTable = TABLES + PAGE;
  for (const area of layout.areas) mapArea(area);
  mapPage(layout.stub, EXIT_PAGE, 5, false);
  physWriteBytes(EXIT_PAGE, new Uint8Array(PAGE).fill(HLT));
  buildSystemPages(layout);
  for (let page = 0; page < POOL_PAGES; page++) physWriteBytes(poolPage(page), new Uint8Array(PAGE).fill(INT3));
  R[CR3] = TABLES;
  for (let i = 0; i < 8; i++) R[PDPTE + i] = legacy ? memView.getInt32(TABLES + 4 * i, true) : 0;
  R[CR4] = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
  R[EFER] = EFER_NXE | EFER_SCE | (legacy ? 0 : EFER_LME | EFER_LMA);
  R[CR0] = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP | CR0_WP | CR0_AM;
  R[GDTR_BASE] = system.lo + GDT_AT;
  R[IDTR_BASE] = system.lo + IDT_AT;
  R[GDTR_BASE + 1] = R[IDTR_BASE + 1] = system.hi;
  R[GDTR_LIMIT] = 0x7f;
  R[IDTR_LIMIT] = 0xfff;
  setSegment(TR, 0x40, system.lo + TSS_AT, system.hi, TSS_LIMIT, 0x8b);
  if (layout.ldt.length > 0) setSegment(LDTR, 0x50, system.lo + LDT_AT, system.hi, 8 * layout.ldt.length - 1, 0x82);
  else setSegment(LDTR, 0, 0, 0, 0, 0x10000);
  flushEverything();
}
