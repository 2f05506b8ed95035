import { beforeEach, describe, expect, it } from 'vitest';
import { configureCpu, cr4AllowedBits } from '../../src/cpu/features';
import { msrValue, readVmxCapabilityMsr } from '../../src/vmx/capabilities';
import { VMCS_FIELDS } from '../../src/vmx/fields';

function read(index: number): { lo: number; hi: number } {
  expect(readVmxCapabilityMsr(index)).toBe(true);
  return { lo: msrValue[0] >>> 0, hi: msrValue[1] >>> 0 };
}

beforeEach(() => configureCpu({ nestedVmx: true, ept: true, cpuidOverrides: [] }));

describe('VMX capability MSRs', () => {
  it('are all absent without nested virtualization', () => {
    configureCpu({ nestedVmx: false });
    for (let index = 0x480; index <= 0x493; index++) expect(readVmxCapabilityMsr(index)).toBe(false);
  });

  it('have the TRUE MSRs, a write-back VMCS of 4 KiB and INS/OUTS information', () => {
    const { lo, hi } = read(0x480);
    expect(lo & 0x80000000).toBe(0);
    expect(hi & 0x1fff).toBe(4096);
    expect((hi >>> 18) & 15).toBe(6);
    expect((hi >>> 22) & 1).toBe(1);
    expect((hi >>> 23) & 1).toBe(1);
  });

  it.each([[0x481, 0x48d, 0x16], [0x482, 0x48e, 0x0401e172], [0x483, 0x48f, 0x36dff], [0x484, 0x490, 0x11ff]])(
    '%s and its TRUE counterpart differ in the default-1 class only', (old, trueMsr, default1) => {
      const a = read(old), b = read(trueMsr);
      expect(a.hi).toBe(b.hi);
      expect(a.lo).toBe((b.lo | default1) >>> 0);
      expect(a.lo & ~a.hi).toBe(0);
    });

  it('allow loading and saving of PAT and EFER on both sides', () => {
    const exit = read(0x48f).hi, entry = read(0x490).hi;
    expect((exit >>> 19) & 1).toBe((entry >>> 14) & 1);
    expect((exit >>> 21) & 1).toBe((entry >>> 15) & 1);
    expect((exit >>> 12) & 1).toBe((entry >>> 13) & 1);
  });

  it('offer MONITOR and MWAIT exiting although CPUID has no MONITOR', () => {
    expect(read(0x48e).hi & (1 << 29)).not.toBe(0);
    expect(read(0x48e).hi & (1 << 10)).not.toBe(0);
  });

  it('fix CR4 to the bits that the CPU accepts', () => {
    expect(read(0x488).lo).toBe(0x2000);
    expect(read(0x489).lo).toBe(cr4AllowedBits() >>> 0);
    expect(read(0x486).lo).toBe(0x80000021);
    expect(read(0x487).lo).toBe(0xffffffff);
  });

  it('name the highest field index', () => {
    const highest = Math.max(...VMCS_FIELDS.map((f) => (f.encoding >> 1) & 0x1ff));
    expect(read(0x48a).lo).toBe(2 * highest);
    expect(read(0x48a).lo).toBe(0x32);
  });

  it('store LMA on exit when unrestricted guests are offered, and have no reserved bits in MISC', () => {
    const misc = read(0x485);
    expect(misc.lo & 0x20).toBe(0x20);
    expect(misc.lo & 0x80007e00).toBe(0);
    expect(read(0x48b).hi & 0x80).toBe(0x80);
  });

  it('offer what CPUID shows: RDTSCP, INVPCID', () => {
    expect(read(0x48b).hi & 0x1008).toBe(0x1008);
    configureCpu({ cpuidOverrides: [{ leaf: 7, subleaf: 0, reg: 1, set: 0, clear: 1 << 10 }, { leaf: 0x80000001, subleaf: null, reg: 3, set: 0, clear: 1 << 27 }] });
    expect(read(0x48b).hi & 0x1008).toBe(0);
    configureCpu({ cpuidOverrides: [] });
  });

  it('have no unknown bits in the EPT capabilities, and EPTP switching as the one VM function', () => {
    expect(read(0x48c).lo).toBe(0x06734141);
    expect(read(0x491)).toEqual({ lo: 1, hi: 0 });
  });

  it('hide EPT, VPID, unrestricted guest and what rests on them together', () => {
    configureCpu({ ept: false });
    expect(read(0x48b).hi & (0x2 | 0x20 | 0x80 | 0x2000 | 0x20000 | 0x40000 | 0x400000)).toBe(0);
    expect(readVmxCapabilityMsr(0x48c)).toBe(false);
    expect(readVmxCapabilityMsr(0x491)).toBe(false);
  });
});
