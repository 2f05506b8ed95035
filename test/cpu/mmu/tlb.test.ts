import { beforeEach, describe, expect, it, vi } from 'vitest';
vi.mock('../../../src/cpu/engine/blocks', async () => (await import('./mocks')).blocks);
vi.mock('../../../src/vmx/intercepts', async () => (await import('./mocks')).intercepts);
vi.mock('../../../src/vmx/apic-virtualization', async () => (await import('./mocks')).apicVirtualization);

import { CR3, CR4, CR4_PCIDE, CR4_PGE, R, VCPU } from '../../../src/cpu/state';
import { load32, store32 } from '../../../src/cpu/mmu/access';
import { translateFetch } from '../../../src/cpu/mmu/slow';
import { physWrite32, physWrite64 } from '../../../src/cpu/mmu/physical';
import {
  activateContext, codeBankFor, flushAll, flushEverything, flushNonGlobal, flushPage, flushVpid0, inveptSingle, invpcidAddress, invpcidAllRetainingGlobals, invpcidSingle,
  invvpidAddress, invvpidAll,
  invvpidSingle, invvpidSingleRetainingGlobals, protectCodePage, T, bankFor, USER_BANK_OFFSET,
} from '../../../src/cpu/mmu/tlb';
import { blocks, clearLog, log } from './mocks';
import {
  G, P, PD, PDPT, PML4, PS, PT, RW, US, A, D, entry64, freshMachine, longMode, longTables, refresh, setUser,
} from './tables';

// Linear page n shows data page n; after swap() the tables say otherwise, and a stale translation still shows the old value.
const OLD = 0x100000, NEW = 0x200000;

function mapPages(target: number): void {
  entry64(PT, 1, target + 0x1000, P | RW | US | A | D);
  entry64(PT, 2, target + 0x2000, P | RW | US | G | A | D);
}

function swap(): void {
  mapPages(NEW);
}

const local = (): number => load32(0x1000, 0);
const global = (): number => load32(0x2000, 0);
const OLD_LOCAL = 1, OLD_GLOBAL = 2, NEW_LOCAL = 101, NEW_GLOBAL = 102;

beforeEach(() => {
  clearLog();
  freshMachine();
  longTables();
  mapPages(OLD);
  physWrite32(OLD + 0x1000, OLD_LOCAL);
  physWrite32(OLD + 0x2000, OLD_GLOBAL);
  physWrite32(NEW + 0x1000, NEW_LOCAL);
  physWrite32(NEW + 0x2000, NEW_GLOBAL);
  longMode(PML4);
});

describe('flushing', () => {
  beforeEach(() => {
    expect([local(), global()]).toEqual([OLD_LOCAL, OLD_GLOBAL]);
    swap();
    expect([local(), global()]).toEqual([OLD_LOCAL, OLD_GLOBAL]);
  });

  it('MOV CR3 keeps global pages', () => {
    flushNonGlobal();
    expect([local(), global()]).toEqual([NEW_LOCAL, OLD_GLOBAL]);
    flushNonGlobal();
    flushAll();
    expect([local(), global()]).toEqual([NEW_LOCAL, NEW_GLOBAL]);
  });

  it('without CR4.PGE nothing is global', () => {
    R[CR4] &= ~CR4_PGE;
    refresh();
    expect(global()).toBe(NEW_GLOBAL);
    mapPages(OLD);
    flushNonGlobal();
    expect(global()).toBe(OLD_GLOBAL);
  });

  it('INVLPG drops one page, global or not, in both banks', () => {
    setUser(1);
    mapPages(OLD);
    expect(local()).toBe(OLD_LOCAL);
    swap();
    flushPage(0x1fff, 0);
    expect(local()).toBe(NEW_LOCAL);
    setUser(0);
    expect(local()).toBe(NEW_LOCAL);
    expect(global()).toBe(OLD_GLOBAL);
    flushPage(0x2004, 0);
    expect(global()).toBe(NEW_GLOBAL);
  });

  it('a page that changes between local and global is flushed as what it is', () => {
    entry64(PT, 1, OLD + 0x1000, P | RW | G);
    flushPage(0x1000, 0);
    expect(local()).toBe(OLD_LOCAL);
    entry64(PT, 1, NEW + 0x1000, P | RW);
    flushNonGlobal();
    expect(local()).toBe(OLD_LOCAL);
    flushPage(0x1000, 0);
    expect(local()).toBe(NEW_LOCAL);
    entry64(PT, 1, OLD + 0x1000, P | RW);
    flushNonGlobal();
    expect(local()).toBe(OLD_LOCAL);
  });

  it('different linear pages in the same slot do not mix', () => {
    entry64(PD, 2, PT, P | RW | US);
    expect(load32(0x401000, 0)).toBe(NEW_LOCAL);
    expect(load32(0x1000, 0)).toBe(NEW_LOCAL);
    entry64(PML4, 1, PDPT, P | RW);
    expect(load32(0x1000, 0x80)).toBe(NEW_LOCAL);
    expect(() => load32(0x1000, 0x100)).toThrow();
  });
});

it('INVLPG of a large page drops all its pieces and spares its neighbours', () => {
  entry64(PD, 2, 0, P | RW | PS | G);
  expect(load32(0x400000 + OLD + 0x1000, 0)).toBe(OLD_LOCAL);
  expect(load32(0x400000 + OLD + 0x2000, 0)).toBe(OLD_GLOBAL);
  expect(local()).toBe(OLD_LOCAL);
  swap();
  entry64(PD, 2, 0x200000, P | RW | PS);
  physWrite32(0x200000 + OLD + 0x1000, 7);
  physWrite32(0x200000 + OLD + 0x2000, 8);
  flushPage(0x5ff000, 0);
  expect(load32(0x400000 + OLD + 0x1000, 0)).toBe(7);
  expect(load32(0x400000 + OLD + 0x2000, 0)).toBe(8);
  expect(local()).toBe(OLD_LOCAL);
});

it('many fills, flushed often, stay consistent', () => {
  for (let n = 0; n < 512; n++) {
    entry64(PT, n, 0x400000 + n * 4096, P | RW | US | (n & 1 ? G : 0));
    physWrite32(0x400000 + n * 4096, n);
    physWrite32(0x800000 + n * 4096, 1000 + n);
  }
  flushAll();
  for (let round = 0; round < 6; round++) {
    const base = round & 1 ? 1000 : 0, frames = round & 1 ? 0x800000 : 0x400000;
    for (let n = 0; n < 512; n++) entry64(PT, n, frames + n * 4096, P | RW | US | (n & 1 ? G : 0));
    flushNonGlobal();
    for (let n = 0; n < 512; n += 2) expect(load32(n * 4096, 0)).toBe(base + n);
    if (round > 0) expect(load32(4096, 0)).toBe(1);
    else for (let n = 1; n < 512; n += 2) expect(load32(n * 4096, 0)).toBe(n);
  }
});

describe('contexts', () => {
  it('VPIDs are kept apart and INVVPID types reach the right ones', () => {
    const see = (vpid: number): number[] => {
      activateContext(vpid, -1, vpid === 0);
      refresh();
      return [local(), global()];
    };
    const old = [OLD_LOCAL, OLD_GLOBAL], fresh = [NEW_LOCAL, NEW_GLOBAL];
    const fill = (): void => {
      flushEverything();
      mapPages(OLD);
      for (const vpid of [0, 1, 2]) expect(see(vpid)).toEqual(old);
      swap();
      for (const vpid of [0, 1, 2]) expect(see(vpid)).toEqual(old);
    };
    fill();
    invvpidSingle(1);
    expect([see(0), see(1), see(2)]).toEqual([old, fresh, old]);
    fill();
    invvpidAll();
    expect([see(0), see(1), see(2)]).toEqual([old, fresh, fresh]);
    fill();
    invvpidSingleRetainingGlobals(2);
    expect([see(0), see(1), see(2)]).toEqual([old, old, [NEW_LOCAL, OLD_GLOBAL]]);
    fill();
    invvpidAddress(2, 0x2000, 0);
    expect([see(0), see(1), see(2)]).toEqual([old, old, [OLD_LOCAL, NEW_GLOBAL]]);
    fill();
    flushVpid0();
    expect([see(0), see(1), see(2)]).toEqual([fresh, old, old]);
    fill();
    see(1);
    flushAll();
    expect([see(0), see(1), see(2)]).toEqual([old, fresh, old]);
    fill();
    inveptSingle(5);
    expect([see(0), see(1), see(2)]).toEqual([old, old, old]);
  });

  it('a context is flushed when it is recycled', () => {
    expect(local()).toBe(OLD_LOCAL);
    for (let vpid = 1; vpid <= 20; vpid++) activateContext(vpid, -1, false);
    swap();
    activateContext(0, -1, true);
    refresh();
    expect(local()).toBe(NEW_LOCAL);
  });

  it('logical processors do not share translations', () => {
    expect(local()).toBe(OLD_LOCAL);
    R[VCPU] = 1;
    activateContext(0, -1, true);
    refresh();
    swap();
    expect(local()).toBe(NEW_LOCAL);
    flushAll();
    R[VCPU] = 0;
    activateContext(0, -1, true);
    refresh();
    expect(local()).toBe(OLD_LOCAL);
  });

  it('PCIDs have contexts of their own', () => {
    R[CR4] |= CR4_PCIDE;
    R[CR3] = PML4 | 1;
    flushNonGlobal();
    refresh();
    expect(local()).toBe(OLD_LOCAL);
    R[CR3] = PML4 | 2;
    refresh();
    swap();
    expect(local()).toBe(NEW_LOCAL);
    R[CR3] = PML4 | 1;
    refresh();
    expect(local()).toBe(OLD_LOCAL);
    flushNonGlobal();
    expect(local()).toBe(NEW_LOCAL);
  });

  it('INVPCID reaches the PCID it names, with and without globals', () => {
    R[CR4] |= CR4_PCIDE;
    const use = (pcid: number): void => {
      R[CR3] = PML4 | pcid;
      refresh();
    };
    const fillBoth = (): void => {
      mapPages(OLD);
      for (const pcid of [1, 2]) {
        use(pcid);
        flushAll();
      }
      for (const pcid of [1, 2]) {
        use(pcid);
        expect([local(), global()]).toEqual([OLD_LOCAL, OLD_GLOBAL]);
      }
      swap();
      use(7);
    };
    const seen = (pcid: number): number[] => {
      use(pcid);
      return [local(), global()];
    };
    fillBoth();
    invpcidAddress(1, 0x1000, 0);
    expect(seen(1)).toEqual([NEW_LOCAL, OLD_GLOBAL]);
    expect(seen(2)).toEqual([OLD_LOCAL, OLD_GLOBAL]);
    fillBoth();
    invpcidSingle(2);
    expect(seen(1)).toEqual([OLD_LOCAL, OLD_GLOBAL]);
    expect(seen(2)).toEqual([NEW_LOCAL, OLD_GLOBAL]);
    fillBoth();
    invpcidAllRetainingGlobals();
    expect(seen(1)).toEqual([NEW_LOCAL, OLD_GLOBAL]);
    expect(seen(2)).toEqual([NEW_LOCAL, OLD_GLOBAL]);
    fillBoth();
    flushAll();
    expect(seen(1)).toEqual([NEW_LOCAL, NEW_GLOBAL]);
    expect(seen(2)).toEqual([NEW_LOCAL, NEW_GLOBAL]);
  });

  it('without PCIDs all is PCID 0, whatever CR3 held', () => {
    R[CR4] |= CR4_PCIDE;
    R[CR3] = PML4 | 5;
    refresh();
    R[CR4] &= ~CR4_PCIDE;
    refresh();
    expect(local()).toBe(OLD_LOCAL);
    swap();
    invpcidAddress(0, 0x1000, 0);
    expect(local()).toBe(NEW_LOCAL);
  });
});

/** True if the active code bank knows linear page `lo`. */
function knowsCode(lo: number): boolean {
  const i = ((lo >>> 10) & 4092) | codeBankFor(0);
  return T[i] === lo && T[i + 1] === 0;
}

describe('fetch translations', () => {
  it('go with INVLPG of their page, MOV CR3 and another context, not with other pages', () => {
    expect(translateFetch(0x1000, 0)).toBe(OLD + 0x1000);
    expect(knowsCode(0x1000)).toBe(true);
    flushPage(0x2000, 0);
    expect(knowsCode(0x1000)).toBe(true);
    flushPage(0x1000, 0);
    expect(knowsCode(0x1000)).toBe(false);
    translateFetch(0x1000, 0);
    flushNonGlobal();
    expect(knowsCode(0x1000)).toBe(false);
    translateFetch(0x1000, 0);
    activateContext(9, -1, false);
    expect(knowsCode(0x1000)).toBe(false);
  });

  it('a fetch sees the new page after INVLPG', () => {
    expect(translateFetch(0x1000, 0)).toBe(OLD + 0x1000);
    swap();
    expect(translateFetch(0x1004, 0)).toBe(OLD + 0x1004);
    flushPage(0x1000, 0);
    expect(translateFetch(0x1004, 0)).toBe(NEW + 0x1004);
  });
});

describe('pages with decoded code', () => {
  it('lose their write tags in every bank and report writes from then on', () => {
    setUser(1);
    store32(0x1000, 0, 5);
    setUser(0);
    store32(0x1000, 0, 6);
    const slot = (0x1000 >>> 10) & 4092;
    expect(T[slot | bankFor(0)]).toBe(0x1000);
    expect(T[(slot | bankFor(0)) + 3]).toBe(0x1000);
    const page = (OLD + 0x1000) >>> 12;
    blocks.PAGE_HAS_CODE[page] = 1;
    protectCodePage(page);
    expect(T[(slot | bankFor(0)) + 3]).toBe(1);
    expect(T[(slot | bankFor(0) + USER_BANK_OFFSET) + 3]).toBe(1);
    expect(T[slot | bankFor(0)]).toBe(0x1000);
    store32(0x1004, 0, 7);
    expect(log.invalidated).toEqual([[OLD + 0x1004, 4]]);
    expect(load32(0x1004, 0)).toBe(7);
    physWrite64(OLD + 0x1010, 1, 2);
    expect(log.invalidated.slice(1)).toEqual([[OLD + 0x1010, 4], [OLD + 0x1014, 4]]);
  });
});
