/** Memory of one small operand in place of src/cpu/mmu/access.ts, for tests of instruction families. */
import { R, MEMHI } from '../../../src/cpu/state';

/** Linear address of the memory operand. */
export const MEMORY_BASE = 0x1000;
/** Its bytes. */
export const memory = new DataView(new ArrayBuffer(64));

/** The functions of src/cpu/mmu/access.ts over the one memory operand. */
export function mockAccess(): Record<string, unknown> {
  const at = (lo: number): number => lo - MEMORY_BASE;
  return {
    load8: (lo: number) => memory.getUint8(at(lo)),
    load16: (lo: number) => memory.getUint16(at(lo), true),
    load32: (lo: number) => memory.getInt32(at(lo), true),
    load64: (lo: number) => {
      R[MEMHI] = memory.getInt32(at(lo) + 4, true);
      return memory.getInt32(at(lo), true);
    },
    load128: (lo: number, _hi: number, word: number) => {
      for (let i = 0; i < 4; i++) R[word + i] = memory.getInt32(at(lo) + 4 * i, true);
    },
    store8: (lo: number, _hi: number, v: number) => memory.setUint8(at(lo), v),
    store16: (lo: number, _hi: number, v: number) => memory.setUint16(at(lo), v, true),
    store32: (lo: number, _hi: number, v: number) => memory.setInt32(at(lo), v, true),
    store64: (lo: number, _hi: number, v: number, w: number) => {
      memory.setInt32(at(lo), v, true);
      memory.setInt32(at(lo) + 4, w, true);
    },
    store128: (lo: number, _hi: number, word: number) => {
      for (let i = 0; i < 4; i++) memory.setInt32(at(lo) + 4 * i, R[word + i], true);
    },
    checkAlignment: () => undefined,
    probeOperand: () => undefined,
    probeRead: () => undefined,
    probeWrite: () => undefined,
  };
}
