import { beforeEach, describe, expect, it, vi } from 'vitest';
vi.mock('../../../src/cpu/engine/blocks', async () => (await import('./mocks')).blocks);
vi.mock('../../../src/vmx/intercepts', async () => (await import('./mocks')).intercepts);
vi.mock('../../../src/vmx/apic-virtualization', async () => (await import('./mocks')).apicVirtualization);

import {
  CR0, CR0_WP, CR4, CR4_PSE, CR4_SMAP, CR4_SMEP, CR3, EFER, EFLAGS, F_AC, MEMHI, PDPTE, R, X_GP,
} from '../../../src/cpu/state';
import { load32, load64, load8, loadSys32, store32, store8 } from '../../../src/cpu/mmu/access';
import { translateFetch } from '../../../src/cpu/mmu/slow';
import { translateLinear } from '../../../src/cpu/mmu/inspect';
import { loadPdptes, pagingCapabilities } from '../../../src/cpu/mmu/paging';
import { physRead32, physWrite32 } from '../../../src/cpu/mmu/physical';
import { flushAll, flushPage } from '../../../src/cpu/mmu/tlb';
import { clearLog } from './mocks';
import {
  A, D, G, MIB, NX, P, PD, PDPT, PML4, PS, PT, RW, US, entry32, entry64, faultOf, flagsOf32, flagsOf64, freshMachine, longMode, longTables, mode32, paeMode,
  pageFaultOf, refresh, setUser,
} from './tables';

const DATA = 0x100000;

beforeEach(() => {
  clearLog();
  freshMachine();
  physWrite32(DATA, 0x11223344);
  physWrite32(DATA + 4, -2);
});

describe('without paging', () => {
  it('maps linear to physical, reads little-endian, and fills the TLB', () => {
    expect(load32(DATA, 0)).toBe(0x11223344);
    expect(load64(DATA, 0)).toBe(0x11223344);
    expect(R[MEMHI]).toBe(-2);
    store8(DATA + 1, 0, 0x1ab);
    expect(load32(DATA, 0)).toBe(0x1122ab44);
    expect(translateFetch(DATA + 5, 0)).toBe(DATA + 5);
    expect(translateLinear(DATA + 5, 0)).toBe(DATA + 5);
  });
});

describe('4-level paging', () => {
  beforeEach(() => {
    longTables();
    longMode(PML4);
  });

  it('translates, and sets A and D as needed', () => {
    entry64(PT, 5, DATA, P | RW);
    expect(load32(0x5000, 0)).toBe(0x11223344);
    for (const [table, index] of [[PML4, 0], [PDPT, 0], [PD, 0]]) expect(flagsOf64(table, index) & A).toBe(A);
    expect(flagsOf64(PT, 5)).toBe(P | RW | A);
    store32(0x5004, 0, 77);
    expect(flagsOf64(PT, 5)).toBe(P | RW | A | D);
    expect(physRead32(DATA + 4)).toBe(77);
    expect(flagsOf64(PD, 0) & D).toBe(0);
  });

  it('uses all 48 bits of the address', () => {
    // Linear FFFF_8123_4567_8000: PML4 258, PDPT 141, PD 43, PT 120.
    entry64(PML4, 258, 0x6000, P | RW);
    entry64(0x6000, 141, 0x7000, P | RW);
    entry64(0x7000, 43, 0x8000, P | RW);
    entry64(0x8000, 120, DATA, P | RW);
    expect(load32(0x45678000, 0xffff8123 | 0)).toBe(0x11223344);
    expect(translateLinear(0x45678000, 0xffff8123 | 0)).toBe(DATA);
  });

  it('raises #GP(0) for non-canonical addresses', () => {
    for (const hi of [0x8000, 0x10000, -0x8001, 0x7fffffff]) {
      const f = faultOf(() => load8(0, hi));
      expect([f.vector, f.error]).toEqual([X_GP, 0]);
    }
    expect(faultOf(() => translateFetch(0, 0x8000)).vector).toBe(X_GP);
    expect(faultOf(() => load32(-2, 0x7fff)).vector).toBe(14);
  });

  it('reports what was missing at each level', () => {
    expect(pageFaultOf(() => load8(0x9000, 0))).toBe(0);
    expect(pageFaultOf(() => store8(0x9000, 0, 1))).toBe(2);
    expect(pageFaultOf(() => translateFetch(0x9000, 0))).toBe(16);
    setUser(1);
    expect(pageFaultOf(() => load8(0x9000, 0))).toBe(4);
    expect(pageFaultOf(() => store8(0x200000, 0, 1))).toBe(6);
    expect(pageFaultOf(() => translateFetch(0, 0x7f00))).toBe(20);
    const f = faultOf(() => load8(0x9123, 0));
    expect(f.address).toBe(0x9123);
    expect(flagsOf64(PML4, 0) & A).toBe(A);
  });

  it('ANDs the rights of all levels', () => {
    const levels: [number, number, number][] = [[PML4, 0, PDPT], [PDPT, 0, PD], [PD, 0, PT], [PT, 3, DATA]];
    for (const [table, index, target] of levels) {
      entry64(PT, 3, DATA, P | RW | US);
      entry64(table, index, target, P | US);
      flushAll();
      setUser(1);
      expect(load32(0x3000, 0)).toBe(0x11223344);
      expect(pageFaultOf(() => store8(0x3000, 0, 1))).toBe(7);
      setUser(0);
      expect(pageFaultOf(() => store8(0x3000, 0, 1))).toBe(3);
      R[CR0] &= ~CR0_WP;
      refresh();
      store8(0x3000, 0, 0x44);
      R[CR0] |= CR0_WP;
      refresh();
      expect(pageFaultOf(() => store8(0x3000, 0, 1))).toBe(3);

      entry64(table, index, target, P | RW);
      flushAll();
      expect(load32(0x3000, 0)).toBe(0x11223344);
      setUser(1);
      expect(pageFaultOf(() => load8(0x3000, 0))).toBe(5);
      expect(pageFaultOf(() => store8(0x3000, 0, 1))).toBe(7);
      expect(pageFaultOf(() => translateFetch(0x3000, 0))).toBe(21);

      entry64(table, index, target, P | RW | US, NX);
      flushAll();
      expect(load32(0x3000, 0)).toBe(0x11223344);
      expect(pageFaultOf(() => translateFetch(0x3000, 0))).toBe(21);
      entry64(table, index, target, P | RW | US);
      setUser(0);
    }
  });

  it('finds reserved bits', () => {
    entry64(PT, 3, DATA, P | RW, NX);
    R[EFER] &= ~0x800;
    refresh();
    expect(pageFaultOf(() => load8(0x3000, 0))).toBe(9);
    expect(pageFaultOf(() => translateFetch(0x3000, 0))).toBe(9);
    R[EFER] |= 0x800;
    entry64(PT, 3, DATA, P | RW, 0x100);
    refresh();
    expect(pageFaultOf(() => store8(0x3000, 0, 0))).toBe(11);
    // Bits 62:52 are ignored, bit 39 is an address bit: nothing there, reads all ones.
    entry64(PT, 3, DATA, P | RW, 0x7ff00000);
    expect(load32(0x3000, 0)).toBe(0x11223344);
    entry64(PT, 4, DATA, P | RW, 0x80);
    expect(load32(0x4000, 0)).toBe(-1);
    entry64(PML4, 1, PDPT, P | RW | PS);
    expect(pageFaultOf(() => load8(0, 0x80))).toBe(9);
    entry64(PD, 1, 0x2000, P | RW | PS);
    expect(pageFaultOf(() => load8(0x200000, 0))).toBe(9);
    entry64(PDPT, 1, 0x200000, P | RW | PS);
    expect(pageFaultOf(() => load8(0x40000000, 0))).toBe(9);
  });

  it('maps 2 MiB and 1 GiB pages', () => {
    entry64(PD, 2, 0, P | RW | PS | 0x1000);
    expect(load32(0x400000 + DATA, 0)).toBe(0x11223344);
    expect(flagsOf64(PD, 2)).toBe(P | RW | PS | A);
    store32(0x400000 + DATA, 0, 5);
    expect(flagsOf64(PD, 2)).toBe(P | RW | PS | A | D);
    entry64(PDPT, 3, 0, P | RW | PS);
    expect(load32((0xc0000000 + DATA) | 0, 0)).toBe(5);
    expect(translateLinear((0xc0000000 + DATA) | 0, 0)).toBe(DATA);
    pagingCapabilities.page1G = false;
    flushAll();
    expect(pageFaultOf(() => load8(0xc0000000 | 0, 0))).toBe(9);
    pagingCapabilities.page1G = true;
  });

  it('keeps supervisors from user pages with SMEP and SMAP', () => {
    entry64(PT, 3, DATA, P | RW | US);
    expect(translateFetch(0x3000, 0)).toBe(DATA);
    R[CR4] |= CR4_SMEP | CR4_SMAP;
    refresh();
    expect(pageFaultOf(() => translateFetch(0x3000, 0))).toBe(17);
    expect(pageFaultOf(() => load8(0x3000, 0))).toBe(1);
    R[EFLAGS] |= F_AC;
    refresh();
    expect(load32(0x3000, 0)).toBe(0x11223344);
    store32(0x3004, 0, 9);
    expect(load32(0x3004, 0)).toBe(9);
    // Implicit accesses, as to descriptor tables, do not look at AC.
    expect(pageFaultOf(() => loadSys32(0x3000, 0))).toBe(1);
    refresh();
    expect(load32(0x3000, 0)).toBe(0x11223344);
    // A flush reaches what was filled under AC.
    entry64(PT, 3, DATA + 0x1000, P | RW | US);
    expect(load32(0x3004, 0)).toBe(9);
    flushPage(0x3000, 0);
    expect(load32(0x3004, 0)).toBe(0);
    R[EFLAGS] &= ~F_AC;
    refresh();
    expect(pageFaultOf(() => load8(0x3000, 0))).toBe(1);
  });
});

describe('PAE paging', () => {
  beforeEach(() => {
    for (let n = 0; n < 4; n++) entry64(PDPT, n, PD, P);
    entry64(PD, 0, PT, P | RW | US);
    entry64(PT, 1, DATA, P | RW);
    paeMode(PDPT);
    expect(loadPdptes(PDPT)).toBe(true);
  });

  it('translates through the PDPTE registers, 2 MiB pages too', () => {
    expect(load32(0x1000, 0)).toBe(0x11223344);
    expect(load32(0x80001000 | 0, 0)).toBe(0x11223344);
    entry64(PD, 511, 0, P | RW | PS);
    expect(load32((0xffe00000 + DATA) | 0, 0)).toBe(0x11223344);
    R[PDPTE + 2] = 0;
    expect(pageFaultOf(() => load8(0x40001000, 0))).toBe(0);
    // The tables in memory do not matter until the next load.
    entry64(PDPT, 0, 0, 0);
    flushAll();
    expect(load32(0x1000, 0)).toBe(0x11223344);
    expect(translateLinear(0x1000, 0)).toBe(DATA);
  });

  it('reserves bits 62:52 and checks NX', () => {
    entry64(PT, 2, DATA, P | RW, 0x00100000);
    expect(pageFaultOf(() => load8(0x2000, 0))).toBe(9);
    entry64(PT, 2, DATA, P | RW, NX);
    expect(load32(0x2000, 0)).toBe(0x11223344);
    expect(pageFaultOf(() => translateFetch(0x2000, 0))).toBe(17);
    R[EFER] = 0;
    refresh();
    expect(pageFaultOf(() => load8(0x2000, 0))).toBe(9);
  });

  it('refuses PDPTEs with reserved bits, unless not present', () => {
    for (const bit of [1, 2, 5, 6, 7, 8]) {
      entry64(PDPT, 3, PD, P | (1 << bit));
      expect(loadPdptes(PDPT)).toBe(false);
      entry64(PDPT, 3, PD, 1 << bit);
      expect(loadPdptes(PDPT)).toBe(true);
    }
    entry64(PDPT, 3, PD, P, 0x100);
    expect(loadPdptes(PDPT)).toBe(false);
    entry64(PDPT, 3, PD, P | 0x18, 0x7f);
    expect(loadPdptes(PDPT)).toBe(true);
  });
});

describe('32-bit paging', () => {
  beforeEach(() => {
    entry32(PD, 0, PT | P | RW | US);
    entry32(PT, 1, DATA | P | RW);
    mode32(PD);
  });

  it('translates and sets A and D', () => {
    store32(0x1000, 0, 9);
    expect(physRead32(DATA)).toBe(9);
    expect(flagsOf32(PD, 0)).toBe(P | RW | US | A);
    expect(flagsOf32(PT, 1)).toBe(P | RW | A | D);
    expect(translateLinear(0x1004, 0)).toBe(DATA + 4);
  });

  it('reports no I bit', () => {
    expect(pageFaultOf(() => translateFetch(0x7000, 0))).toBe(0);
    setUser(1);
    expect(pageFaultOf(() => translateFetch(0x1000, 0))).toBe(5);
    expect(pageFaultOf(() => store8(0x1000, 0, 1))).toBe(7);
  });

  it('maps 4 MiB pages with PSE only, above 4 GiB with PSE-36', () => {
    entry32(PD, 1, P | RW | PS);
    expect(load32(0x400000 + DATA, 0)).toBe(0x11223344);
    R[CR4] &= ~CR4_PSE;
    refresh();
    // Now the entry names a page table at 0, where there is nothing.
    expect(pageFaultOf(() => load8(0x400000 + DATA, 0))).toBe(0);
    R[CR4] |= CR4_PSE;
    refresh();
    entry32(PD, 1, P | RW | PS | 0x200000);
    expect(pageFaultOf(() => load8(0x400000, 0))).toBe(9);
    freshMachine(32 * MIB, 16 * MIB);
    // RAM from 16 MiB appears at 4 GiB.
    physWrite32(0x100000000 + DATA, 4242);
    entry32(PD, 1, P | RW | PS | G | (1 << 13));
    mode32(PD);
    expect(load32(0x400000 + DATA, 0)).toBe(4242);
    expect(translateLinear(0x400000 + DATA, 0)).toBe(0x100000000 + DATA);
    expect(R[CR3]).toBe(PD);
  });
});
