/** Builds paging structures by hand for the MMU tests. Addresses are host-physical doubles; entries take flags as doubles or small integers. */
import {
  ACCESS_USER, CODE64, CPL, CR0, CR0_PE, CR0_PG, CR0_WP, CR3, CR4, CR4_PAE, CR4_PGE, CR4_PSE, EFER, EFER_LMA, EFER_LME, EFER_NXE, EFLAGS,
  DR7, FAULT_ERROR, FAULT_HAS_ERROR, FAULT_KIND, FAULT_VECTOR, LMA, PENDING_DB, R, SIGNALS, TLBB, CURP, AMASK,
} from '../../../src/cpu/state';
import { FAULT, PF_ADDRESS } from '../../../src/cpu/fault';
import { physRead32, physWrite32, physWrite64, setUpRam } from '../../../src/cpu/mmu/physical';
import { activateContext, bankFor, flushEverything } from '../../../src/cpu/mmu/tlb';
import { disableEpt, setApicAccessPage } from '../../../src/cpu/mmu/ept';

export const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100;
/** Bit 63. */
export const NX = -0x80000000;

export const MIB = 1 << 20;

/** A machine with 16 MiB of RAM, paging off, supervisor. */
export function freshMachine(bytes = 16 * MIB, hole = 0xc0000000): void {
  R.fill(0);
  R[EFLAGS] = 2;
  setUpRam(bytes, hole);
  flushEverything();
  disableEpt();
  setApicAccessPage(-1);
  activateContext(0, -1, true);
  setUser(0);
}

/** Chooses the privilege of accesses and of fetches, as updateMode() does. */
export function setUser(user: number): void {
  R[CPL] = user ? 3 : 0;
  R[ACCESS_USER] = user;
  R[TLBB] = bankFor(user);
}

/** To be called after changing control registers. */
export function refresh(): void {
  setUser(R[ACCESS_USER]);
}

export function longMode(cr3: number): void {
  R[CR0] = CR0_PE | CR0_PG | CR0_WP;
  R[CR4] = CR4_PAE | CR4_PGE;
  R[EFER] = EFER_LME | EFER_LMA | EFER_NXE;
  R[LMA] = 1;
  R[CODE64] = 1;
  R[AMASK] = -1;
  R[CR3] = cr3;
  R[CR3 + 1] = 0;
  refresh();
}

export function paeMode(cr3: number): void {
  R[CR0] = CR0_PE | CR0_PG | CR0_WP;
  R[CR4] = CR4_PAE | CR4_PGE;
  R[EFER] = EFER_NXE;
  R[CR3] = cr3;
  refresh();
}

export function mode32(cr3: number): void {
  R[CR0] = CR0_PE | CR0_PG | CR0_WP;
  R[CR4] = CR4_PSE | CR4_PGE;
  R[CR3] = cr3;
  refresh();
}

/** Writes entry `index` of the 64-bit table at `table`. */
export function entry64(table: number, index: number, target: number, flags: number, high = 0): void {
  physWrite64(table + 8 * index, (target | flags) | 0, (Math.floor(target / 0x100000000) | high) | 0);
}

export function entry32(table: number, index: number, value: number): void {
  physWrite32(table + 4 * index, value | 0);
}

/** Low word of entry `index` of a 64-bit table. */
export function flagsOf64(table: number, index: number): number {
  return physRead32(table + 8 * index) & 0xfff;
}

export function flagsOf32(table: number, index: number): number {
  return physRead32(table + 4 * index) & 0xfff;
}

export const PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000;

/** 4-level tables at PML4..PT: linear 0 to 2 MiB through one page table, with all rights above it. */
export function longTables(): void {
  entry64(PML4, 0, PDPT, P | RW | US);
  entry64(PDPT, 0, PD, P | RW | US);
  entry64(PD, 0, PT, P | RW | US);
}

export interface Fault { kind: number; vector: number; error: number; hasError: boolean; address: number }

/** Runs `action`, which must end in a guest fault. */
export function faultOf(action: () => void): Fault {
  R[FAULT_KIND] = 0;
  try {
    action();
  } catch (e) {
    if (e !== FAULT) throw e;
    return {
      kind: R[FAULT_KIND], vector: R[FAULT_VECTOR], error: R[FAULT_ERROR], hasError: R[FAULT_HAS_ERROR] === 1,
      address: (PF_ADDRESS[0] >>> 0) + (PF_ADDRESS[1] >>> 0) * 0x100000000,
    };
  }
  throw new Error('expected a guest fault');
}

/** #PF error code of `action`. */
export function pageFaultOf(action: () => void): number {
  const f = faultOf(action);
  if (f.kind !== 1 || f.vector !== 14) throw new Error(`expected #PF, got kind ${f.kind} vector ${f.vector}`);
  return f.error;
}

export function clearDebugState(): void {
  R[DR7] = 0;
  R[PENDING_DB] = 0;
  R[SIGNALS] = 0;
  R[CURP] = 0;
}
