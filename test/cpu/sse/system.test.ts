/** Availability, alignment, MXCSR and MMX-state rules of the SSE instructions, and stores to memory through rDI. */
import { describe, it, expect, beforeEach, vi } from 'vitest';
import { C } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import {
  R, R8, CR0, CR4, CR0_EM, CR0_NE, CR0_PE, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT, FAULT_ERROR, FAULT_VECTOR, FP_EXP, FP_MANT, FP_VALID, FSW, FTOP,
  MXCSR, RDI, XMM, X_GP, X_MF, X_NM, X_UD, X_XM,
} from '../../../src/cpu/state';
import { sseHandlers } from '../../../src/cpu/sse';
import { load8, load32, store32 } from '../../../src/cpu/mmu/access';
import { enableSse } from './oracle';

vi.mock('../../../src/cpu/mmu/access', async () => (await import('./mock-access')).mockAccess());

const BASE = 0x1000;

/** Executes the handler with XMM1/MM1 in reg, XMM2/MM2 in rm, or memory at rDI + displacement; returns the vector raised, -1 if none. */
function run(key: string, displacement = -1, immediate = 0): number {
  const isMemory = displacement >= 0;
  C[1000] = (2 << 16) | (3 << 22) | (isMemory ? 1 << 21 : 0);
  C[1001] = 1 | (isMemory ? 7 << 8 : (2 << 4) | (16 << 8)) | (16 << 13);
  C[1002] = isMemory ? displacement : 0;
  C[1003] = immediate;
  try {
    sseHandlers[key](1000);
  } catch (e) {
    if (e !== FAULT) throw e;
    return R[FAULT_VECTOR];
  }
  return -1;
}

beforeEach(() => {
  enableSse();
  R[MXCSR] = 0x1f80;
  R[FSW] = 0;
  R[FTOP] = 3;
  R[FP_VALID] = 0;
});

describe('availability', () => {
  it('is refused with #UD by CR0.EM and CR4.OSFXSR, with #NM by CR0.TS', () => {
    for (const key of ['addps', 'movaps', 'pxorXmm', 'movdXmm', 'cvtsi2sd', 'ucomisd', 'pslldq', 'pcmpistri', 'movmskps', 'ldmxcsr', 'pextrd']) {
      const at = key === 'ldmxcsr' ? 0 : -1;
      R[CR0] = CR0_PE | CR0_TS;
      expect(run(key, at), key).toBe(X_NM);
      R[CR0] = CR0_PE | CR0_EM | CR0_TS;
      expect(run(key, at), key).toBe(X_UD);
      R[CR0] = CR0_PE | CR0_TS;
      R[CR4] = 0;
      expect(run(key, at), key).toBe(X_UD);
      enableSse();
    }
  });

  it('does not concern MOVNTI and the fences', () => {
    R[CR0] = CR0_PE | CR0_EM | CR0_TS;
    R[CR4] = 0;
    expect(run('movnti', 0)).toBe(-1);
    expect(run('mfence')).toBe(-1);
  });
});

describe('alignment', () => {
  it('is required of 128-bit memory operands except the unaligned moves and string comparisons', () => {
    for (const key of ['movaps', 'movdqaStore', 'movntdq', 'movntdqa', 'addps', 'pandXmm', 'pshufd', 'cvtdq2ps']) {
      expect(run(key, 8), key).toBe(X_GP);
      expect(R[FAULT_ERROR]).toBe(0);
      expect(run(key, 0), key).toBe(-1);
    }
    for (const key of ['movups', 'movdqu', 'movdquStore', 'lddqu', 'pcmpistri', 'pcmpestrm', 'movhps', 'addsd', 'punpcklqdq']) {
      expect(run(key, 5), key).toBe(key === 'punpcklqdq' ? X_GP : -1);
    }
  });
});

describe('MXCSR', () => {
  it('is loaded and stored, reserved bits raising #GP(0)', () => {
    store32(BASE, 0, 0xffbf);
    expect(run('ldmxcsr', 0)).toBe(-1);
    expect(R[MXCSR]).toBe(0xffbf);
    store32(BASE, 0, 0x10000);
    expect(run('ldmxcsr', 0)).toBe(X_GP);
    expect(R[MXCSR]).toBe(0xffbf);
    expect(run('stmxcsr', 4)).toBe(-1);
    expect(load32(BASE + 4, 0)).toBe(0xffbf);
  });

  it('unmasked exceptions raise #XM, or #UD without CR4.OSXMMEXCPT, and leave the destination', () => {
    R[XMM + 4] = 0x3f800000;
    R[XMM + 8] = 0;
    R[MXCSR] = 0x1f80 & ~0x200;
    expect(run('divss')).toBe(X_XM);
    expect(R[MXCSR]).toBe(0x1d84);
    expect(R[XMM + 4]).toBe(0x3f800000);
    R[CR4] &= ~CR4_OSXMMEXCPT;
    expect(run('divss')).toBe(X_UD);
    expect(R[CR4]).toBe(CR4_OSFXSR);
  });
});

describe('MMX operands', () => {
  it('turn the x87 state into MMX state', () => {
    R[FP_MANT + 4] = 5;
    R[FP_MANT + 5] = -7;
    expect(run('cvtpi2pd')).toBe(-1);
    expect([R[FTOP], R[FP_VALID]]).toEqual([0, 0xff]);
    expect([R[XMM + 5], R[XMM + 7]]).toEqual([0x40140000, 0xc01c0000 | 0]);
    R[FTOP] = 3;
    R[FP_VALID] = 0;
    R[FP_EXP + 1] = 0;
    R[XMM + 8] = 0x40200000;
    R[XMM + 9] = 0xc0600000;
    expect(run('cvttps2pi')).toBe(-1);
    expect([R[FTOP], R[FP_VALID], R[FP_EXP + 1], R[FP_MANT + 2], R[FP_MANT + 3]]).toEqual([0, 0xff, 0xffff, 2, -3]);
  });

  it('leave it alone in CVTPI2PD from memory', () => {
    expect(run('cvtpi2pd', 0)).toBe(-1);
    expect([R[FTOP], R[FP_VALID]]).toEqual([3, 0]);
  });

  it('report a pending x87 exception first', () => {
    R[CR0] |= CR0_NE;
    R[FSW] = 0x81;
    expect(run('movq2dq')).toBe(X_MF);
    expect(run('cvtps2pi')).toBe(X_MF);
    expect(run('cvtpi2ps', 0)).toBe(-1);
    expect(run('cvtpi2pd', 0)).toBe(-1);
    expect(run('addps')).toBe(-1);
  });
});

describe('MASKMOVDQU', () => {
  it('stores the selected bytes at rDI', () => {
    for (let i = 0; i < 4; i++) {
      store32(BASE + 4 * i, 0, -1);
      R[XMM + 4 + i] = 0x04030201 + 0x04040404 * i;
      R[XMM + 8 + i] = 0;
    }
    expect(run('maskmovdqu')).toBe(-1);
    for (const i of [3, 4, 9, 15]) R8[(XMM + 8) * 4 + i] = 0x80;
    R8[(XMM + 8) * 4 + 7] = 0x7f;
    expect(run('maskmovdqu')).toBe(-1);
    const stored = Array.from({ length: 16 }, (_, i) => load8(BASE + i, 0));
    expect(stored).toEqual(Array.from({ length: 16 }, (_, i) => ([3, 4, 9, 15].includes(i) ? i + 1 : 255)));
    expect(R[RDI]).toBe(BASE);
  });
});
