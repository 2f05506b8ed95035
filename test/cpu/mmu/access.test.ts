import { beforeEach, describe, expect, it, vi } from 'vitest';
vi.mock('../../../src/cpu/engine/blocks', async () => (await import('./mocks')).blocks);
vi.mock('../../../src/vmx/intercepts', async () => (await import('./mocks')).intercepts);
vi.mock('../../../src/vmx/apic-virtualization', async () => (await import('./mocks')).apicVirtualization);

import {
  ACCESS_USER, CR0, CR0_AM, CURP, DR0, DR7, EFLAGS, F_AC, MEMHI, PENDING_DB, R, SCRATCH as SCRATCH_WORDS, SIGNALS, SIG_ATTENTION, TLBB, X_AC,
} from '../../../src/cpu/state';
import { FK_RETRY } from '../../../src/cpu/fault';
import {
  beginSupervisor, endSupervisor, load128, load16, load32, load64, load8, loadSys32, loadSys64, probeRead, probeWrite, store128, store16, store32, store64,
  store8, storeSys32,
} from '../../../src/cpu/mmu/access';
import {
  commitRmw, fetchByte, slowRead, slowRmw, slowWrite16, slowWrite32, slowWrite64, slowWrite8, translateFetch,
} from '../../../src/cpu/mmu/slow';
import { SCRATCH, mem8, memView, ramBytes } from '../../../src/cpu/mmu/memory';
import {
  mapMmio, mapRom, physRead16, physRead32, physRead64, physRead8, physReadBytes, physWrite16, physWrite32, physWrite64, physWrite8, physWriteBytes, setA20,
  unmap, unmapMemory,
} from '../../../src/cpu/mmu/physical';
import type { MmioHandler } from '../../../src/cpu/mmu/physical';
import { flushAll, updateDataBreakpoints } from '../../../src/cpu/mmu/tlb';
import { blocks, clearLog, log } from './mocks';
import {
  MIB, P, PML4, PT, RW, US, clearDebugState, entry64, faultOf, freshMachine, longMode, longTables, pageFaultOf, refresh, setUser,
} from './tables';

class Registers implements MmioHandler {
  readonly name = 'registers';
  readonly calls: unknown[][] = [];
  read(offset: number, size: number): number {
    this.calls.push(['r', offset, size]);
    return 0x40302010 + offset;
  }
  write(offset: number, size: number, value: number): void {
    this.calls.push(['w', offset, size, value]);
  }
}

const DEVICE = 0xfed00000;
let device: Registers;

beforeEach(() => {
  clearLog();
  freshMachine();
  clearDebugState();
  device = new Registers();
  mapMmio(DEVICE, 0x1000, device);
});

describe('physical memory', () => {
  it('reads and writes every width, across pages too', () => {
    for (const at of [0x5000, 0x5ffd, 0x5fff]) {
      physWrite64(at, 0x11223344, -0x55667789);
      expect(physRead64(at)).toBe(0x11223344);
      expect(R[MEMHI]).toBe(-0x55667789);
      expect(physRead32(at + 2) >>> 0).toBe(0x88771122);
      expect(physRead16(at + 3)).toBe(0x7711);
      physWrite16(at, 0xabcd);
      physWrite8(at + 3, 0x99);
      physWrite32(at + 4, -1);
      expect(physRead32(at) >>> 0).toBe(0x9922abcd);
      expect(physRead8(at + 7)).toBe(255);
    }
    const bytes = Uint8Array.from({ length: 9000 }, (_, n) => n * 7);
    physWriteBytes(0x7ff0, bytes);
    const back = new Uint8Array(9000);
    physReadBytes(0x7ff0, back);
    expect(back).toEqual(bytes);
  });

  it('floats where nothing is, and drops writes to ROM', () => {
    expect(physRead32(0x40000000)).toBe(-1);
    physWrite32(0x40000000, 5);
    expect(physRead8(0x500000000)).toBe(255);
    mapRom(0xfffff000, Uint8Array.of(0xea, 1, 2, 3));
    expect(physRead32(0xfffff000)).toBe(0x030201ea);
    expect(physRead8(0xfffff004)).toBe(255);
    physWrite32(0xfffff000, 0);
    store32(0xfffff000 | 0, 0, 0);
    expect(physRead32(0xfffff000)).toBe(0x030201ea);
    expect(load32(0xfffff000 | 0, 0)).toBe(0x030201ea);
    expect(translateFetch(0xfffff001 | 0, 0)).toBeGreaterThanOrEqual(ramBytes);
    unmapMemory(0xfffff000, 0x1000);
    expect(load32(0xfffff000 | 0, 0)).toBe(-1);
    expect(translateFetch(0xfffff000 | 0, 0)).toBe(-1);
  });

  it('puts RAM beyond the hole at 4 GiB', () => {
    freshMachine(32 * MIB, 16 * MIB);
    physWrite32(0x100000000 + 0x1234, 42);
    expect(memView.getInt32(16 * MIB + 0x1234, true)).toBe(42);
    expect(physRead32(16 * MIB)).toBe(-1);
    expect(physRead32(0x100000000 + 16 * MIB)).toBe(-1);
  });

  it('masks address bit 20 while A20 is closed', () => {
    physWrite8(0x100010, 1);
    physWrite8(0x10, 2);
    expect(load8(0x100010, 0)).toBe(1);
    setA20(false);
    expect([load8(0x100010, 0), load8(0x10, 0), physRead8(0x100010)]).toEqual([2, 2, 2]);
    setA20(true);
    expect(load8(0x100010, 0)).toBe(1);
  });

  it('lets device regions share a page, cover RAM and go away', () => {
    const other = new Registers(), high = new Registers();
    physWrite32(0xa0000, 7);
    mapMmio(0xa0000, 0x800, device);
    mapMmio(0xa0800, 0x800, other);
    expect(physRead32(0xa0804)).toBe(0x40302010 + 4);
    expect(other.calls).toEqual([['r', 4, 4]]);
    unmap(0xa0000, 0x800);
    expect(physRead32(0xa0000)).toBe(-1);
    unmap(0xa0000, 0x1000);
    expect(physRead32(0xa0000)).toBe(7);
    mapMmio(0x8000000000, 0x4000, high);
    physWrite32(0x8000003ffc, 1);
    expect(high.calls).toEqual([['w', 0x3ffc, 4, 1]]);
    expect(physRead32(0x8000004000)).toBe(-1);
  });

  it('reports writes to pages with code', () => {
    blocks.PAGE_HAS_CODE[5] = 1;
    physWrite8(0x5001, 1);
    physWrite16(0x5002, 1);
    physWrite32(0x5004, 1);
    physWriteBytes(0x4ff0, new Uint8Array(32));
    expect(log.invalidated).toEqual([[0x5001, 1], [0x5002, 2], [0x5004, 4], [0x5000, 16]]);
  });
});

describe('accesses', () => {
  beforeEach(() => {
    longTables();
    // Linear pages 5 and 6 are far apart in RAM.
    entry64(PT, 5, 0x80000, P | RW | US);
    entry64(PT, 6, 0x20000, P | RW | US);
    longMode(PML4);
  });

  it('cross pages in every width and alignment', () => {
    for (const hit of [false, true]) {
      for (let k = 1; k < 16; k++) {
        const at = 0x6000 - k;
        if (!hit) flushAll();
        for (let n = 0; n < 16; n++) R[SCRATCH_WORDS + (n >> 2)] = 0;
        R.set([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c], SCRATCH_WORDS);
        store128(at, 0, SCRATCH_WORDS);
        for (let n = 0; n < 16; n++) expect(mem8[n < k ? 0x81000 - k + n : 0x20000 + n - k]).toBe(n);
        load128(at, 0, SCRATCH_WORDS + 4);
        expect([...R.subarray(SCRATCH_WORDS + 4, SCRATCH_WORDS + 8)]).toEqual([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]);
        expect(load64(at, 0)).toBe(0x03020100);
        expect(R[MEMHI]).toBe(0x07060504);
        expect(load32(at, 0)).toBe(0x03020100);
        store64(at, 0, -1, 0x01020304);
        expect(load32(at + 4, 0)).toBe(0x01020304);
        store32(at, 0, -0x12345678);
        expect(load32(at, 0)).toBe(-0x12345678);
      }
    }
    store16(0x5fff, 0, 0xbeef);
    expect([mem8[0x80fff], mem8[0x20000], load16(0x5fff, 0)]).toEqual([0xef, 0xbe, 0xbeef]);
  });

  it('write nothing when the second page faults', () => {
    entry64(PT, 6, 0x20000, P | US);
    flushAll();
    physWrite32(0x80ffc, 0x55555555);
    for (const store of [() => store16(0x5fff, 0, 0), () => store32(0x5ffe, 0, 0), () => store64(0x5ffc, 0, 0, 0), () => store128(0x5ffc, 0, 0)]) {
      const f = faultOf(store);
      expect([f.vector, f.error, f.address]).toEqual([14, 3, 0x6000]);
    }
    expect(physRead32(0x80ffc)).toBe(0x55555555);
    expect(faultOf(() => slowRmw(0x5ffe, 0, 4, 0)).address).toBe(0x6000);
  });

  it('wrap or continue beyond 4 GiB according to the mode', () => {
    entry64(PT, 0, 0x20000, P | RW);
    entry64(0x2000, 3, 0x6000, P | RW);
    entry64(0x6000, 511, 0x7000, P | RW);
    entry64(0x7000, 511, 0x80000, P | RW);
    physWrite32(0x20000, 0x1234);
    expect(faultOf(() => load32(-2, 0)).address).toBe(0x100000000);
    entry64(0x2000, 4, 0x3000, P | RW);
    expect(load32(-2, 0) >>> 16).toBe(0x1234);
  });

  it('probe without changing anything but accessed and dirty flags', () => {
    entry64(PT, 7, 0x30000, P | US);
    probeRead(0x5000, 0, 0x3000);
    probeWrite(0x5ff0, 0, 0x100);
    expect(faultOf(() => probeWrite(0x5ff0, 0, 0x1011)).address).toBe(0x7000);
    expect(faultOf(() => probeRead(0x5ff0, 0, 0x2011)).address).toBe(0x8000);
    probeWrite(0x5ff0, 0, 0x1010);
    expect(pageFaultOf(() => probeWrite(0x7ffc, 0, 4))).toBe(3);
  });

  it('use supervisor rights for implicit accesses', () => {
    entry64(PT, 9, 0x40000, P | RW);
    physWrite64(0x40000, 5, 6);
    setUser(1);
    expect(loadSys32(0x9000, 0)).toBe(5);
    expect(loadSys64(0x9000, 0)).toBe(5);
    expect(R[MEMHI]).toBe(6);
    storeSys32(0x9004, 0, 7);
    expect(physRead32(0x40004)).toBe(7);
    expect(pageFaultOf(() => load8(0x9000, 0))).toBe(5);
    expect(pageFaultOf(() => loadSys32(0xa000, 0))).toBe(0);
    expect(pageFaultOf(() => storeSys32(0xa000, 0, 0))).toBe(2);
    expect(R[ACCESS_USER]).toBe(1);
    const bank = R[TLBB];
    const saved = beginSupervisor();
    expect(load32(0x9000, 0)).toBe(5);
    endSupervisor(saved);
    expect([R[ACCESS_USER], R[TLBB]]).toEqual([1, bank]);
  });

  it('check alignment with CR0.AM and EFLAGS.AC at CPL 3 only', () => {
    store32(0x5001, 0, 1);
    setUser(1);
    R[CR0] |= CR0_AM;
    refresh();
    store32(0x5001, 0, 1);
    R[EFLAGS] |= F_AC;
    refresh();
    for (const access of [() => load16(0x5001, 0), () => load32(0x5002, 0), () => store64(0x5004, 0, 0, 0), () => store16(0x5003, 0, 0)]) {
      const f = faultOf(access);
      expect([f.vector, f.error, f.hasError]).toEqual([X_AC, 0, true]);
    }
    store32(0x5004, 0, 44);
    expect(load32(0x5004, 0)).toBe(44);
    expect(load8(0x5005, 0)).toBe(0);
    expect(loadSys32(0x5001, 0)).toBe((44 << 24) | 1);
    setUser(0);
    expect(load32(0x5001, 0)).toBe((44 << 24) | 1);
  });
});

describe('devices', () => {
  it('see each access once, 8 bytes as two', () => {
    const at = DEVICE | 0;
    R[CURP] = 100;
    expect(load32(at + 8, 0)).toBe(0x40302018);
    expect(load16(at, 0)).toBe(0x2010);
    expect(load8(at + 1, 0)).toBe(0x11);
    expect(load64(at, 0)).toBe(0x40302010);
    expect(R[MEMHI]).toBe(0x40302014);
    store8(at, 0, 0x1ff);
    store16(at + 2, 0, 5);
    store32(at + 4, 0, -1);
    store64(at + 8, 0, 1, 2);
    expect(device.calls).toEqual([
      ['r', 8, 4], ['r', 0, 2], ['r', 1, 1], ['r', 0, 4], ['r', 4, 4],
      ['w', 0, 1, 0xff], ['w', 2, 2, 5], ['w', 4, 4, -1], ['w', 8, 4, 1], ['w', 12, 4, 2],
    ]);
    expect(log.blockEnds).toBe(8);
  });

  it('are not touched when the instruction has to be decoded again', () => {
    R[CURP] = 100;
    log.refuseBlockEnd = true;
    expect(faultOf(() => load32(DEVICE | 0, 0)).kind).toBe(FK_RETRY);
    expect(faultOf(() => store32(DEVICE | 0, 0, 1)).kind).toBe(FK_RETRY);
    expect(faultOf(() => slowRmw(DEVICE | 0, 0, 4, 100)).kind).toBe(FK_RETRY);
    physWrite32(0xfecff000, 0);
    expect(faultOf(() => store64((DEVICE - 4) | 0, 0, 1, 2)).kind).toBe(FK_RETRY);
    expect(device.calls).toEqual([]);
  });

  it('get the code bytes fetched from them', () => {
    expect(translateFetch(DEVICE | 0, 0)).toBe(-1);
    expect(fetchByte((DEVICE + 3) | 0, 0)).toBe(0x13);
    physWrite8(0x5000, 0x90);
    expect(fetchByte(0x5000, 0)).toBe(0x90);
  });
});

describe('entry points for generated code', () => {
  it('return RAM offsets or assembled bytes', () => {
    expect(slowRead(0x5004, 0, 4, 11)).toBe(0x5004);
    expect(R[CURP]).toBe(11);
    R[CURP] = 0;
    expect(slowRead(0x5ffe, 0, 4, 0)).toBe(SCRATCH);
    const at = slowRead(DEVICE | 0, 0, 8, 0);
    expect(at).toBeGreaterThanOrEqual(SCRATCH);
    expect(memView.getInt32(at + 4, true)).toBe(0x40302014);
    slowWrite8(0x5000, 0, 1, 0);
    slowWrite16(0x5001, 0, 0x302, 0);
    slowWrite32(0x5003, 0, 0x07060504, 0);
    slowWrite64(0x5007, 0, 0x0b0a0908, 0x0f0e0d0c, 0);
    for (let n = 0; n < 15; n++) expect(mem8[0x5000 + n]).toBe(n + 1);
  });

  it('do read-modify-write in RAM, on code, across pages and on devices', () => {
    const increment = (lo: number): number => {
      const at = slowRmw(lo, 0, 4, 0);
      memView.setInt32(at, memView.getInt32(at, true) + 1, true);
      if (at >= SCRATCH) commitRmw();
      return at;
    };
    expect(increment(0x5000)).toBe(0x5000);
    expect(physRead32(0x5000)).toBe(1);
    physWrite32(0x6ffe, 0x00ffffff);
    expect(increment(0x6ffe)).toBeGreaterThanOrEqual(SCRATCH);
    expect(physRead32(0x6ffe)).toBe(0x01000000);
    blocks.PAGE_HAS_CODE[8] = 1;
    expect(increment(0x8000)).toBeGreaterThanOrEqual(SCRATCH);
    expect(physRead32(0x8000)).toBe(1);
    expect(log.invalidated).toEqual([[0x8000, 4]]);
    increment(DEVICE | 0);
    expect(device.calls).toEqual([['r', 0, 4], ['w', 0, 4, 0x40302011]]);
  });
});

describe('data breakpoints', () => {
  it('trap on what they watch, and only that', () => {
    load32(0x5000, 0);
    R[DR0] = 0x5004;
    R[DR0 + 2] = 0x5010;
    // DR0: writes, 4 bytes; DR1: reads and writes, 2 bytes.
    R[DR7] = 1 | 8 | (0xd << 16) | (0x7 << 20);
    updateDataBreakpoints();
    load32(0x5004, 0);
    store32(0x5000, 0, 1);
    store32(0x5008, 0, 1);
    expect(R[PENDING_DB]).toBe(0);
    store64(0x5000, 0, 1, 1);
    expect([R[PENDING_DB], R[SIGNALS] & SIG_ATTENTION]).toEqual([1, SIG_ATTENTION]);
    R[PENDING_DB] = 0;
    store8(0x5007, 0, 1);
    expect(R[PENDING_DB]).toBe(1);
    load8(0x5011, 0);
    expect(R[PENDING_DB]).toBe(3);
    R[PENDING_DB] = 0;
    load8(0x5012, 0);
    load16(0x500e, 0);
    expect(R[PENDING_DB]).toBe(0);
    slowRmw(0x500c, 0, 8, 0);
    expect(R[PENDING_DB]).toBe(2);
    R[PENDING_DB] = 0;
    R[DR7] = 0;
    updateDataBreakpoints();
    store32(0x5004, 0, 1);
    expect(R[PENDING_DB]).toBe(0);
  });
});
