import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  APIC_BASE, CPL, CR0, CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR3, CR4, CR4_PAE, CS, EFER, EFER_LMA, EFER_LME, FEATURE_CONTROL, LMA, MISC_ENABLE, MODE, R, RDX, RIP,
  SEG_AR, SEG_BASE, SIPI_VECTOR, VMX_MODE, VMX_OFF, VMX_ROOT, ACTIVITY,
} from '../../../src/cpu/state';
import { MODE_FLAT } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import { writeCr0, writeCr3, writeCr4, writeDebugRegister, debugRegisterLo } from '../../../src/cpu/control-registers';
import { cpuConfig, configureCpu } from '../../../src/cpu/features';
import { CPUID_RESULT, cpuid } from '../../../src/cpu/cpuid';
import { MSRS, msrValue, readMsr, unknownMsrAccesses, writeMsr } from '../../../src/cpu/msr';
import { resetCpu, startBySipi } from '../../../src/cpu/reset';
import { memView } from '../../../src/cpu/mmu/memory';
import { updateMode } from '../../../src/cpu/modes';
import { setSegment } from '../../../src/cpu/segments';
import { createBareCpu } from '../../support/bare-cpu';

const defaults = { ...cpuConfig };

beforeAll(() => createBareCpu(4));
beforeEach(() => resetCpu(0));
afterEach(() => configureCpu(defaults));

function leaf(eax: number, ecx = 0): number[] {
  cpuid(eax, ecx);
  return [...CPUID_RESULT].map((word) => word >>> 0);
}

describe('CPUID', () => {
  it('shows the model', () => {
    expect(leaf(0)).toEqual([0x15, 0x756e6547, 0x6c65746e, 0x49656e69]);
    expect(leaf(1)).toEqual([0x206a7, 0x10800, 0x01ba2221, 0x0f8bfbff]);
    expect(leaf(7)).toEqual([0, 0x100481, 4, 1 << 29]);
    expect(leaf(0x80000001)).toEqual([0, 0, 0x101, 0x2c100800]);
    expect(leaf(0x80000007)[3]).toBe(0x100);
    expect(leaf(0x80000008)[0]).toBe(0x3028);
    expect(leaf(0x15)).toEqual([1, 1, 1e9, 0]);
  });

  it('answers leaves that do not exist with the highest basic one', () => {
    expect(leaf(0x40000000)).toEqual(leaf(0x15));
    expect(leaf(0x80000009)).toEqual(leaf(0x15));
  });

  it('follows the APIC base, the number of CPUs, and hides VMX', () => {
    R[APIC_BASE] &= ~0x800;
    expect(leaf(1)[3] & 0x200).toBe(0);
    configureCpu({ vcpus: 4, nestedVmx: false });
    expect(leaf(1)[3] >>> 28).toBe(1);
    expect((leaf(1)[1] >>> 16) & 255).toBe(4);
    expect(leaf(1)[2] & 0x20).toBe(0);
    expect(leaf(0xb, 1).slice(0, 3)).toEqual([2, 4, 0x201]);
    expect(leaf(4, 3)[0] >>> 26).toBe(3);
  });

  it('applies overrides but never shows what is not implemented', () => {
    configureCpu({
      cpuidOverrides: [
        { leaf: 1, subleaf: null, reg: 2, set: (1 << 25) | (1 << 31), clear: 1 },
        { leaf: 0x80000001, subleaf: null, reg: 3, set: 0, clear: 1 << 20 },
      ],
    });
    expect(leaf(1)[2]).toBe(0x81ba2220);
    expect(leaf(0x80000001)[3] & (1 << 20)).toBe(0);
    expect(writeMsr(0xc0000080, 0x800, 0)).toBe(false);
  });
});

describe('MSRs', () => {
  it('do not overlap', () => {
    const seen = new Set<number>();
    for (const msr of MSRS) {
      for (let i = 0; i < msr.count; i++) {
        expect(seen.has(msr.index + i), msr.name).toBe(false);
        seen.add(msr.index + i);
      }
    }
  });

  it('refuse values they cannot hold', () => {
    expect(writeMsr(0x277, 0x02070406, 0)).toBe(false);
    expect(writeMsr(0x277, 0x00070406, 0x01070405)).toBe(true);
    expect(writeMsr(0x200, 0xc0000002, 0)).toBe(false);
    expect(writeMsr(0x200, 0xc0000006, 0)).toBe(true);
    expect(writeMsr(0x201, 0xc0000800 | 0, 0x100)).toBe(false);
    expect(writeMsr(0x2ff, 0xc06, 0)).toBe(true);
    expect(writeMsr(0xc0000082, 0, 0x8000)).toBe(false);
    expect(writeMsr(0x1b, 0xfee00901 | 0, 0)).toBe(false);
    expect(writeMsr(0x17, 0, 0)).toBe(false);
    expect(writeMsr(0x401, 1, 0)).toBe(false);
    expect(writeMsr(0x401, 0, 0)).toBe(true);
  });

  it('FEATURE_CONTROL is locked, with VMX or without', () => {
    expect(readMsr(0x3a)).toBe(true);
    expect(msrValue[0]).toBe(5);
    expect(writeMsr(0x3a, 5, 0)).toBe(false);
    R[FEATURE_CONTROL] = 0;
    expect(writeMsr(0x3a, 8, 0)).toBe(false);
    expect(writeMsr(0x3a, 5, 0)).toBe(true);
    configureCpu({ nestedVmx: false });
    resetCpu(0);
    readMsr(0x3a);
    expect(msrValue[0]).toBe(1);
    expect(readMsr(0x480)).toBe(false);
  });

  it('unknown ones fault and are counted, or read zero in a relaxed machine', () => {
    expect(readMsr(0xc0010015)).toBe(false);
    expect(unknownMsrAccesses.get(0xc0010015)).toBe(1);
    configureCpu({ msrRelaxed: true });
    expect(readMsr(0xc0010015)).toBe(true);
    expect([...msrValue]).toEqual([0, 0]);
    expect(writeMsr(0xc0010015, 1, 2)).toBe(true);
  });

  it('XD disable hides NX', () => {
    expect(writeMsr(0xc0000080, 0x800, 0)).toBe(true);
    expect(writeMsr(0xc0000080, 0, 0)).toBe(true);
    writeMsr(0x1a0, R[MISC_ENABLE], 4);
    expect(leaf(0x80000001)[3] & (1 << 20)).toBe(0);
    expect(writeMsr(0xc0000080, 0x800, 0)).toBe(false);
  });
});

describe('control registers', () => {
  const fails = (action: () => void): void => expect(action).toThrow(FAULT as Error);

  it('refuse impossible combinations', () => {
    fails(() => writeCr0(CR0_PG | CR0_NE));
    fails(() => writeCr0(CR0_PE | 0x20000000));
    fails(() => writeCr4(0x40000, 0));
    fails(() => writeCr4(0, 1));
    fails(() => writeCr3(0, 0x100));
    R[VMX_MODE] = VMX_ROOT;
    R[CR4] = 0x2000;
    fails(() => writeCr0(CR0_PE | CR0_PG));
    fails(() => writeCr4(0, 0));
    R[VMX_MODE] = VMX_OFF;
  });

  it('enter and leave IA-32e mode', () => {
    for (let i = 0; i < 0x4000; i += 4) memView.setInt32(0x1000 + i, 0, true);
    memView.setInt32(0x1000, 0x2003, true);
    memView.setInt32(0x2000, 0x83, true);
    writeCr0(CR0_PE | CR0_NE);
    setSegment(CS, 8, 0, -1, 0xc09b);
    writeMsr(0xc0000080, EFER_LME, 0);
    fails(() => writeCr0(CR0_PE | CR0_NE | CR0_PG));
    writeCr4(CR4_PAE, 0);
    writeCr3(0x1000, 0);
    writeCr0(CR0_PE | CR0_NE | CR0_PG);
    expect(R[EFER] & EFER_LMA).toBe(EFER_LMA);
    expect(R[LMA]).toBe(1);
    expect(writeMsr(0xc0000080, 0, 0)).toBe(false);
    fails(() => writeCr4(0, 0));
    writeCr0(CR0_PE | CR0_NE);
    expect(R[LMA]).toBe(0);
    expect(R[CR0]).toBe(CR0_PE | CR0_NE | CR0_ET);
  });

  it('load the PDPTEs and refuse reserved bits in them', () => {
    for (let i = 0; i < 32; i += 4) memView.setInt32(0x1000 + i, 0, true);
    memView.setInt32(0x1000, 0x2001, true);
    writeCr0(CR0_PE | CR0_NE);
    writeCr4(CR4_PAE, 0);
    writeCr3(0x1000, 0);
    memView.setInt32(0x1008, 0x2007, true);
    fails(() => writeCr0(CR0_PE | CR0_NE | CR0_PG));
    memView.setInt32(0x1008, 0x2001, true);
    writeCr0(CR0_PE | CR0_NE | CR0_PG);
    memView.setInt32(0x1008, 0x2007, true);
    fails(() => writeCr3(0x1000, 0));
    expect(R[CR3]).toBe(0x1000);
  });

  it('debug registers keep their fixed bits', () => {
    writeDebugRegister(6, 0, 0);
    expect(debugRegisterLo(6) >>> 0).toBe(0xffff0ff0);
    writeDebugRegister(7, 0xdc00, 0);
    expect(debugRegisterLo(7)).toBe(0x400);
    fails(() => writeDebugRegister(7, 0, 1));
  });
});

describe('reset and modes', () => {
  it('starts at the reset vector', () => {
    expect(R[SEG_BASE + 2 * CS] >>> 0).toBe(0xffff0000);
    expect(R[RIP]).toBe(0xfff0);
    expect(R[RDX]).toBe(0x206a7);
    expect(R[CR0] >>> 0).toBe(0x60000010);
    expect(R[ACTIVITY]).toBe(0);
  });

  it('other processors wait for the SIPI', () => {
    resetCpu(1);
    expect(R[ACTIVITY]).toBe(3);
    R[SIPI_VECTOR] = 0x9a;
    startBySipi();
    expect(R[ACTIVITY]).toBe(0);
    expect(R[SEG_BASE + 2 * CS]).toBe(0x9a000);
    expect(R[RIP]).toBe(0);
  });

  it('flat mode needs four flat segments that no check can refuse', () => {
    writeCr0(CR0_PE | CR0_NE);
    setSegment(CS, 8, 0, -1, 0xc09b);
    for (const s of [0, 2, 3]) setSegment(s, 0x10, 0, -1, 0xc093);
    updateMode();
    expect(R[MODE] & MODE_FLAT).toBe(MODE_FLAT);
    R[SEG_AR + 3] = 0xc091;
    updateMode();
    expect(R[MODE] & MODE_FLAT).toBe(0);
    R[SEG_AR + 3] = 0xc093;
    R[SEG_AR + 2] = 0xc0f3;
    updateMode();
    expect(R[CPL]).toBe(3);
  });
});
