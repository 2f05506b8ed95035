/** Memory operands of SSE instructions: the short way for 64-bit code forms the addresses that memoryAddress() does. */
import { describe, it, expect, vi } from 'vitest';
import { C } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import { memoryAddress } from '../../../src/cpu/operands';
import { R, FAULT_VECTOR, FS, LA, MODE, RSP, SEG_BASE, X_GP, X_SS } from '../../../src/cpu/state';
import { sseHandlers } from '../../../src/cpu/sse';
import { Random, enableSse } from './oracle';

const accessed = vi.hoisted(() => ({ lo: 0, hi: 0 }));
vi.mock('../../../src/cpu/mmu/access', async () => ({
  ...(await import('./mock-access')).mockAccess(),
  load128: (lo: number, hi: number) => {
    accessed.lo = lo;
    accessed.hi = hi;
  },
}));

/** Address that MOVDQU xmm, m128 accesses with the record at 1000, or the vector raised. */
function accessedBy(): string {
  try {
    sseHandlers.movdqu(1000);
  } catch (e) {
    if (e !== FAULT) throw e;
    return `vector ${R[FAULT_VECTOR]}`;
  }
  return `${accessed.hi} ${accessed.lo}`;
}

function expected(): string {
  try {
    memoryAddress(1000, 16, false);
  } catch (e) {
    if (e !== FAULT) throw e;
    return `vector ${R[FAULT_VECTOR]}`;
  }
  return `${R[LA + 1]} ${R[LA]}`;
}

function record(addressSize: number, segment: number, base: number, index: number, scale: number, displacement: number): void {
  C[1000] = (5 << 10) | (1 << 21) | (addressSize << 16) | (segment << 22);
  C[1001] = 1 | (base << 8) | (index << 13) | (scale << 18);
  C[1002] = displacement;
}

describe('SSE memory operands', () => {
  it('are where the general address calculation puts them', () => {
    const random = new Random(7);
    enableSse();
    R[SEG_BASE + 2 * FS] = 0x12345000;
    R[SEG_BASE + 2 * FS + 1] = 0x7000;
    const outcomes = new Set<string>();
    for (let i = 0; i < 20000; i++) {
      for (let n = 0; n < 32; n += 2) {
        R[n] = random.below(3) === 0 ? random.below(40) - 20 : random.word();
        R[n + 1] = [0, -1, 0x7fff, -0x8000, random.word() >> 16, 1][random.below(6)];
      }
      record(random.below(8) === 0 ? 1 : 2, random.below(8) === 0 ? FS : 3 - random.below(2), random.below(18), random.below(2) ? 16 : random.below(16),
        random.below(4), random.below(2) ? random.word() : random.below(64) - 32);
      const address = expected();
      expect(accessedBy()).toBe(address);
      outcomes.add(address.startsWith('vector') ? address : 'address');
    }
    expect([...outcomes].sort()).toEqual(['address', `vector ${X_SS}`, `vector ${X_GP}`]);
  });

  it('wrap at 4 GiB in 32-bit code', () => {
    enableSse();
    R[MODE] = 1 | 4;
    R[RSP] = -8;
    record(1, 3, RSP >> 1, 16, 0, 0x18);
    R[SEG_BASE + 6] = 0;
    expect(accessedBy()).toBe('0 16');
  });
});
