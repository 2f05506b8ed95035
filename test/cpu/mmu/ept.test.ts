import { beforeEach, describe, expect, it, vi } from 'vitest';
vi.mock('../../../src/cpu/engine/blocks', async () => (await import('./mocks')).blocks);
vi.mock('../../../src/vmx/intercepts', async () => (await import('./mocks')).intercepts);
vi.mock('../../../src/vmx/apic-virtualization', async () => (await import('./mocks')).apicVirtualization);

import { PDPTE, R } from '../../../src/cpu/state';
import { FK_VM_EXIT } from '../../../src/cpu/fault';
import { load32, load8, store32, store8 } from '../../../src/cpu/mmu/access';
import { translateFetch } from '../../../src/cpu/mmu/slow';
import { translateLinear } from '../../../src/cpu/mmu/inspect';
import { loadPdptes } from '../../../src/cpu/mmu/paging';
import { physRead32, physWrite32 } from '../../../src/cpu/mmu/physical';
import { disableEpt, eptCapabilities, setApicAccessPage, setEptp } from '../../../src/cpu/mmu/ept';
import { activateContext, flushAll, inveptAll, inveptSingle, invvpidSingle } from '../../../src/cpu/mmu/tlb';
import { clearLog, log } from './mocks';
import {
  A, D, P, PD, PDPT, PML4, PT, RW, US, entry64, faultOf, flagsOf64, freshMachine, longMode, longTables, paeMode, refresh,
} from './tables';

// Guest-physical = host-physical, through 4 KiB pages for the first 2 MiB and a 2 MiB page for the next.
const E4 = 0x10000, E3 = 0x11000, E2 = 0x12000, E1 = 0x13000;
const WB = 6 << 3, RWX = 7, LARGE = 0x80;
const DATA = 0x80000;
const VIOLATION = 48, MISCONFIG = 49;

function enterGuest(eptFlags = 0x1e): void {
  setEptp(E4 | eptFlags, 0);
  activateContext(1, E4 >>> 12, false);
  refresh();
}

/** The exit that `action` ends in: [reason, qualification, linear low and high, guest-physical low and high]. */
function exitOf(action: () => void): number[] {
  log.exits.length = 0;
  expect(faultOf(action).kind).toBe(FK_VM_EXIT);
  return log.exits[0];
}

beforeEach(() => {
  clearLog();
  freshMachine();
  eptCapabilities.executeOnly = false;
  eptCapabilities.page1G = false;
  entry64(E4, 0, E3, RWX);
  entry64(E3, 0, E2, RWX);
  entry64(E2, 0, E1, RWX);
  entry64(E2, 1, 0x200000, RWX | WB | LARGE);
  for (let n = 0; n < 512; n++) entry64(E1, n, n * 4096, RWX | WB);
  physWrite32(DATA, 1234);
});

/** Final access to a user-mode, writable linear address. */
const FINAL = 0x780;

describe('guest without paging', () => {
  beforeEach(() => enterGuest());

  it('translates linear = guest-physical', () => {
    entry64(E1, 5, DATA, RWX | WB);
    expect(load32(0x5000, 0)).toBe(1234);
    expect(translateFetch(0x5010, 0)).toBe(DATA + 0x10);
    expect(translateLinear(0x5010, 0)).toBe(DATA + 0x10);
    physWrite32(0x234560, 99);
    expect(load32(0x234560, 0)).toBe(99);
  });

  it('qualifies violations by access and rights', () => {
    const linear = 0x5008;
    const cases: [number, string, number][] = [
      [0, 'read', 1], [0, 'write', 2], [0, 'fetch', 4],
      [1, 'write', 2 | 8], [1, 'fetch', 4 | 8],
      [3, 'fetch', 4 | 8 | 16],
      [5, 'write', 2 | 8 | 32],
    ];
    for (const [rights, kind, qualification] of cases) {
      entry64(E1, 5, DATA, rights === 0 ? 0 : rights | WB);
      inveptAll();
      const access = kind === 'read' ? () => load8(linear, 0) : kind === 'write' ? () => store8(linear, 0, 1) : () => translateFetch(linear, 0);
      expect(exitOf(access)).toEqual([VIOLATION, qualification | FINAL, linear, 0, linear, 0]);
      if (rights & 1) expect(load32(0x5000, 0)).toBe(1234);
    }
  });

  it('ANDs rights over the levels and reports none when an upper entry is absent', () => {
    entry64(E2, 0, E1, 1);
    expect(exitOf(() => store8(0x5000, 0, 1))[1]).toBe(2 | 8 | FINAL);
    entry64(E3, 0, 0, 0);
    expect(exitOf(() => load8(0x7000, 0))).toEqual([VIOLATION, 1 | FINAL, 0x7000, 0, 0x7000, 0]);
    expect(exitOf(() => load8(0x40000000, 0))).toEqual([VIOLATION, 1 | FINAL, 0x40000000, 0, 0x40000000, 0]);
  });

  it('finds every misconfiguration, before any violation', () => {
    const bad: [number, number, number, number][] = [];
    for (const rights of [2, 6, 4]) for (const [table, index] of [[E4, 0], [E3, 0], [E2, 0], [E1, 5]]) bad.push([table, index, rights | (table === E1 ? WB : 0), 0]);
    for (const type of [2, 3, 7]) bad.push([E1, 5, 1 | (type << 3), 0], [E2, 0, 1 | LARGE | (type << 3), 0]);
    for (const bit of [3, 4, 5, 6]) for (const table of [E4, E3, E2]) bad.push([table, 0, 1 | (1 << bit), 0]);
    bad.push([E4, 0, 1 | LARGE, 0], [E3, 0, 1 | LARGE | WB, 0], [E2, 0, 1 | LARGE | WB | 0x1000, 0], [E2, 0, 1 | LARGE | WB | 0x100000, 0]);
    for (const table of [E4, E3, E2, E1]) bad.push([table, table === E1 ? 5 : 0, table === E1 ? 1 | WB : 1, 0x100]);
    const targets = new Map([[E4, E3], [E3, E2], [E2, E1], [E1, DATA]]);
    for (const [table, index, flags, high] of bad) {
      const target = flags & LARGE ? 0 : targets.get(table) ?? 0;
      entry64(table, index, target, flags, high);
      inveptAll();
      const exit = exitOf(() => store8(0x5000, 0, 1));
      expect([table, flags, exit[0], exit[1], exit[4]]).toEqual([table, flags, MISCONFIG, 0, 0x5000]);
      entry64(table, index, targets.get(table) ?? 0, table === E1 ? RWX | WB : RWX);
    }
    entry64(E2, 0, E1, 1);
    entry64(E1, 5, DATA, 1 | (7 << 3));
    inveptAll();
    expect(exitOf(() => store8(0x5000, 0, 1))[0]).toBe(MISCONFIG);
  });

  it('accepts ignored bits and configured features', () => {
    entry64(E1, 5, DATA, RWX | WB | 0xf00 | 0x40, 0xfff00000 | 0);
    entry64(E2, 0, E1, RWX | 0xf00, 0x7ff00000);
    expect(load32(0x5000, 0)).toBe(1234);
    eptCapabilities.executeOnly = true;
    entry64(E1, 5, DATA, 4 | WB);
    inveptAll();
    expect(translateFetch(0x5000, 0)).toBe(DATA);
    expect(exitOf(() => load8(0x5000, 0))[1]).toBe(1 | 32 | FINAL);
    eptCapabilities.page1G = true;
    entry64(E3, 0, 0, RWX | WB | LARGE);
    inveptAll();
    expect(load32(DATA, 0)).toBe(1234);
  });

  it('keeps translations until INVEPT, but not those of a violation', () => {
    entry64(E1, 5, DATA, 1 | WB);
    expect(load32(0x5000, 0)).toBe(1234);
    entry64(E1, 5, 0x90000, 1 | WB);
    invvpidSingle(1);
    // The linear translation has gone, the guest-physical one may stay.
    expect(load32(0x5000, 0)).toBe(1234);
    expect(exitOf(() => store8(0x5000, 0, 1))[1]).toBe(2 | 8 | FINAL);
    entry64(E1, 5, 0x90000, RWX | WB);
    store32(0x5000, 0, 5);
    expect(physRead32(0x90000)).toBe(5);
    entry64(E1, 5, DATA, RWX | WB);
    expect(load32(0x5000, 0)).toBe(5);
    inveptSingle(E4 >>> 12);
    expect(load32(0x5000, 0)).toBe(1234);
  });

  it('is left behind by a VM exit', () => {
    entry64(E1, 5, DATA, RWX | WB);
    physWrite32(0x5000, 77);
    expect(load32(0x5000, 0)).toBe(1234);
    disableEpt();
    activateContext(0, -1, true);
    refresh();
    expect(load32(0x5000, 0)).toBe(77);
    enterGuest();
    expect(load32(0x5000, 0)).toBe(1234);
  });
});

describe('guest with 4-level paging', () => {
  beforeEach(() => {
    longTables();
    entry64(PT, 5, 0x6000, P | RW | US);
    entry64(E1, 6, DATA, RWX | WB);
    longMode(PML4);
    enterGuest();
  });

  it('translates in two dimensions', () => {
    expect(load32(0x5000, 0)).toBe(1234);
    expect(translateLinear(0x5000, 0)).toBe(DATA);
    expect(flagsOf64(PT, 5) & (A | D)).toBe(A);
    store32(0x5000, 0, 8);
    expect(flagsOf64(PT, 5) & (A | D)).toBe(A | D);
    expect(physRead32(DATA)).toBe(8);
  });

  it('tells violations of table reads, of A updates and of the final access apart', () => {
    const linear = 0x5008;
    for (const [table, index] of [[PML4, 0], [PDPT, 0], [PD, 0], [PT, 5]]) {
      const page = table >>> 12;
      entry64(E1, page, table, 0);
      inveptAll();
      expect(exitOf(() => store8(linear, 0, 1))).toEqual([VIOLATION, 1 | 0x80, linear, 0, table + 8 * index, 0]);
      // Readable only: the accessed flag cannot be set.
      entry64(E1, page, table, 1 | WB);
      expect(exitOf(() => load8(linear, 0))).toEqual([VIOLATION, 3 | 8 | 0x80, linear, 0, table + 8 * index, 0]);
      entry64(E1, page, table, RWX | WB);
    }
    entry64(E1, 6, DATA, 1 | WB);
    inveptAll();
    expect(load32(0x5000, 0)).toBe(1234);
    expect(exitOf(() => store8(linear, 0, 1))).toEqual([VIOLATION, 2 | 8 | FINAL, linear, 0, 0x6008, 0]);
    // With A and D set, read-only tables do.
    for (const table of [PML4, PDPT, PD, PT]) entry64(E1, table >>> 12, table, 1 | WB);
    entry64(PT, 5, 0x6000, P | RW | US | A | D);
    entry64(E1, 6, DATA, RWX | WB);
    inveptAll();
    store8(linear, 0, 3);
    expect(physRead32(DATA + 8)).toBe(3);
  });

  it('raises the guest page fault before looking at the final page', () => {
    entry64(E1, 6, DATA, 0);
    entry64(PT, 5, 0x6000, P);
    inveptAll();
    expect(faultOf(() => store8(0x5000, 0, 1)).vector).toBe(14);
    expect(log.exits).toEqual([]);
  });

  it('maintains EPT accessed and dirty flags and counts table reads as writes', () => {
    enterGuest(0x5e);
    expect(load32(0x5000, 0)).toBe(1234);
    expect(flagsOf64(E1, 6) & 0x300).toBe(0x100);
    expect(flagsOf64(E4, 0) & 0x300).toBe(0x100);
    expect(flagsOf64(E1, PT >>> 12) & 0x300).toBe(0x300);
    store32(0x5000, 0, 1);
    expect(flagsOf64(E1, 6) & 0x300).toBe(0x300);
    entry64(E1, PT >>> 12, PT, 1 | WB);
    inveptAll();
    expect(exitOf(() => load8(0x5000, 0))).toEqual([VIOLATION, 3 | 8 | 0x80, 0x5000, 0, PT + 40, 0]);
    entry64(E1, PT >>> 12, PT, 0);
    expect(exitOf(() => load8(0x5000, 0))).toEqual([VIOLATION, 3 | 0x80, 0x5000, 0, PT + 40, 0]);
  });

  it('hands linear accesses to the APIC-access page over, whatever maps them', () => {
    expect(load32(0x5000, 0)).toBe(1234);
    setApicAccessPage(DATA >>> 12);
    refresh();
    expect(load32(0x5080, 0)).toBe(0x12345678);
    store32(0x5080, 0, 9);
    store8(0x50b0, 0, 1);
    expect(log.apic).toEqual([['read', 0x80, 4], ['write', 0x80, 4, 9], ['write', 0xb0, 1, 1]]);
    expect(faultOf(() => translateFetch(0x5010, 0)).kind).toBe(FK_VM_EXIT);
    expect(log.apic[3]).toEqual(['exit', 0x10, 2]);
    setApicAccessPage(-1);
    refresh();
    expect(load32(0x5000, 0)).toBe(1234);
    expect(log.apic.length).toBe(4);
  });
});

it('loads PDPTEs through EPT, without a linear address', () => {
  entry64(PDPT, 0, PD, P);
  entry64(PD, 0, PT, P | RW);
  entry64(PT, 5, DATA, P | RW);
  entry64(E1, 0x20, PDPT, RWX | WB);
  paeMode(0x20000);
  enterGuest();
  expect(loadPdptes(0x20000)).toBe(true);
  expect(R[PDPTE]).toBe(PD | P);
  expect(load32(0x5000, 0)).toBe(1234);
  entry64(E1, 0x20, PDPT, 0);
  inveptAll();
  flushAll();
  // The loaded ones serve on.
  expect(load32(0x5000, 0)).toBe(1234);
  expect(exitOf(() => loadPdptes(0x20000))).toEqual([VIOLATION, 1, 0, 0, 0x20000, 0]);
});
