/** A bare CPU for tests: RAM, identity-mapped paging for 64-bit code, no devices. Code runs until it executes HLT or an instruction budget ends. */
import {
  R, ACTIVITY, CR0, CR0_ET, CR0_PE, CR0_PG, CR0_NE, CR3, CR4, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_PAE, CR4_PSE, CS, DS, EFER, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, ES,
  FS, GS, IDTR_LIMIT, RIP, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SS,
} from '../../src/cpu/state';
import { attachPlatform, platform } from '../../src/cpu/platform';
import { clockNow, resetClock } from '../../src/cpu/clock';
import { allocateRam, mem8, memView, ramBytes } from '../../src/cpu/mmu/memory';
import { mapRam, resetPhysicalMap } from '../../src/cpu/mmu/physical';
import { flushEverything } from '../../src/cpu/mmu/tlb';
import { updateMode } from '../../src/cpu/modes';
import { resetCpu } from '../../src/cpu/reset';
import { buildEngine, runSlice } from '../../src/cpu/run';

/** Where page tables, and the state a test may use, lie. */
export const PAGE_TABLES = 0x1000;

let shutdownDetail = '';

/** What the CPU said when it shut down, '' if it did not. */
export function shutdownReason(): string {
  return shutdownDetail;
}

/** Allocates RAM and builds the engine, once per test file. */
export function createBareCpu(megabytes = 16, kindCounts?: Float64Array): void {
  resetPhysicalMap();
  allocateRam(megabytes << 20);
  mapRam(0, ramBytes, 0);
  attachPlatform({
    ...platform,
    readPort: (_port, size) => (size === 4 ? -1 : size === 2 ? 0xffff : 0xff),
    writePort: () => undefined,
    acknowledgeInterrupt: () => 0xff,
    shutdown: (detail) => {
      shutdownDetail = detail;
    },
  });
  buildEngine(kindCounts);
}

function setFlatSegment(s: number, selector: number, ar: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_BASE + 2 * s] = R[SEG_BASE + 2 * s + 1] = 0;
  R[SEG_LIMIT + s] = -1;
  R[SEG_AR + s] = ar;
}

/** Resets the CPU into the given code size: 64-bit with 2 MiB identity pages over the RAM (user-accessible), 32-bit flat without paging, or 16-bit real mode. */
export function enterMode(bits: 16 | 32 | 64): void {
  resetClock();
  resetCpu(0);
  flushEverything();
  shutdownDetail = '';
  if (bits === 16) {
    for (const s of [ES, CS, SS, DS, FS, GS]) {
      R[SEG_SEL + s] = 0;
      R[SEG_BASE + 2 * s] = 0;
      R[SEG_LIMIT + s] = 0xffff;
      R[SEG_AR + s] = 0x93;
    }
  } else {
    R[CR0] = CR0_PE | CR0_ET | CR0_NE;
    R[CR4] = CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (const s of [ES, SS, DS, FS, GS]) setFlatSegment(s, 0x10, 0xc093);
    setFlatSegment(CS, 8, bits === 64 ? 0xa09b : 0xc09b);
    if (bits === 64) {
      memView.setUint32(PAGE_TABLES, (PAGE_TABLES + 0x1000) | 7, true);
      memView.setUint32(PAGE_TABLES + 0x1000, (PAGE_TABLES + 0x2000) | 7, true);
      for (let n = 0; n < 512; n++) {
        memView.setUint32(PAGE_TABLES + 0x2000 + 8 * n, n * 0x200000 < ramBytes ? (n * 0x200000) | 0xe7 : 0, true);
        memView.setUint32(PAGE_TABLES + 0x2004 + 8 * n, 0, true);
      }
      R[CR3] = PAGE_TABLES;
      R[CR4] |= CR4_PAE | CR4_PSE;
      R[EFER] = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
      R[CR0] |= CR0_PG;
    }
  }
  R[IDTR_LIMIT] = 0;
  R[RSP] = 0x8000;
  R[RSP + 1] = 0;
  updateMode();
}

/** Puts code at a physical address and points RIP at it. */
export function loadCode(at: number, bytes: ArrayLike<number>): void {
  mem8.set(Array.from(bytes), at);
  R[RIP] = at;
  R[RIP + 1] = 0;
}

/** Runs until HLT, shutdown or `budget` cycles; returns cycles used. */
export function run(budget = 100000): number {
  const start = clockNow();
  runSlice({ nextDeadline: () => Infinity, runDue: () => undefined, get stopped() { return R[ACTIVITY] !== 0; } }, budget);
  return clockNow() - start;
}
