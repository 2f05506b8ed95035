/** Stands in for src/cpu/mmu/access.ts in tests of single handlers: 64 KiB of memory, linear = physical, no faults. */
import { R, MEMHI } from '../../src/cpu/state';

export const memory = new Uint8Array(0x10000);
const view = new DataView(memory.buffer);

export function load8(lo: number): number { return view.getUint8(lo); }
export function load16(lo: number): number { return view.getUint16(lo, true); }
export function load32(lo: number): number { return view.getInt32(lo, true); }
export function load64(lo: number): number {
  R[MEMHI] = view.getInt32(lo + 4, true);
  return view.getInt32(lo, true);
}
export function store8(lo: number, _hi: number, value: number): void { view.setUint8(lo, value); }
export function store16(lo: number, _hi: number, value: number): void { view.setUint16(lo, value, true); }
export function store32(lo: number, _hi: number, value: number): void { view.setInt32(lo, value, true); }
export function store64(lo: number, _hi: number, valueLo: number, valueHi: number): void {
  view.setInt32(lo, valueLo, true);
  view.setInt32(lo + 4, valueHi, true);
}
export function checkAlignment(): void {}
export function probeOperand(): void {}
export function probeRead(): void {}
export function probeWrite(): void {}
