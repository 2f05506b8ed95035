import { beforeEach, describe, expect, it } from 'vitest';
import { R, RAX, RBX, RCX, CODE64, LMA } from '../../src/cpu/state';
import { physRead32, physWrite32 } from '../../src/cpu/mmu/physical';
import { VMCS_FIELDS, fieldWord, VMCS_WORDS } from '../../src/vmx/fields';
import { vmxHandlers } from '../../src/vmx/instructions';
import { enterVmxRoot, fieldValue, memoryRecord, outcome, OPERAND, powerOn, registerRecord, run, VMCS_A, vmread, VMCS_B, vmwrite, withPointer } from './machine';

beforeEach(() => {
  powerOn({ perfGlobalControl: true });
  enterVmxRoot();
});

const writable = VMCS_FIELDS.filter((f) => f.area !== 'information');

describe('the list of VMCS fields', () => {
  it('gives every field a slot of its own inside the region, beyond its header', () => {
    const words = new Set(VMCS_FIELDS.map((f) => f.word));
    expect(words.size).toBe(VMCS_FIELDS.length);
    for (const word of words) {
      expect(word).toBeGreaterThan(3);
      expect(word + 1).toBeLessThan(VMCS_WORDS);
    }
  });

  it('agrees with the encoding about width and area', () => {
    for (const f of VMCS_FIELDS) {
      expect(f.encoding & 1).toBe(0);
      expect(fieldWord(f.encoding)).toBe(f.word);
      expect(f.bits).toBe([16, 64, 32, 64][(f.encoding >> 13) & 3]);
    }
  });
});

describe('VMREAD and VMWRITE', () => {
  it('keep each field in its width, apart from all others', () => {
    writable.forEach((f, n) => expect(vmwrite(f.encoding, 0x01230000 + n, 0x45670000 + n)).toBe('succeed'));
    writable.forEach((f, n) => {
      const all = (BigInt(0x45670000 + n) << 32n) | BigInt(0x01230000 + n);
      expect(fieldValue(f.encoding)).toBe(BigInt.asUintN(f.bits, all));
    });
  });

  it('reach the high half of 64-bit fields by odd encodings, and of no others', () => {
    for (const f of VMCS_FIELDS) {
      if (f.bits === 64 && !f.natural) {
        if (f.area !== 'information') {
          vmwrite(f.encoding, 0x11111111, 0x22222222);
          vmwrite(f.encoding | 1, 0x33333333, 0x44444444);
          expect(fieldValue(f.encoding)).toBe(0x3333333311111111n);
        }
        expect(vmread(f.encoding | 1)).toBe('succeed');
        expect(R[RBX + 1]).toBe(0);
      } else expect(vmread(f.encoding | 1)).toBe(12);
    }
  });

  it('know no encoding outside the list', () => {
    const known = new Set(VMCS_FIELDS.flatMap((f) => (f.bits === 64 && !f.natural ? [f.encoding, f.encoding | 1] : [f.encoding])));
    for (let encoding = 0; encoding < 0x8000; encoding++) {
      if (!known.has(encoding) && encoding % 7 === 0) expect(vmread(encoding)).toBe(12);
    }
    expect(vmread(0x10000 | 0x681e)).toBe(12);
    R[RCX] = 0x681e;
    R[RCX + 1] = 1;
    run(() => vmxHandlers.vmread(registerRecord(1, 3)));
    expect(outcome()).toBe(12);
  });

  it('write exit information too', () => {
    for (const f of VMCS_FIELDS) if (f.area === 'information') expect(vmwrite(f.encoding, 1)).toBe('succeed');
  });

  it('move 32 bits outside 64-bit mode', () => {
    vmwrite(0x6802, 0x1000, 5);
    R[CODE64] = 0;
    R[1] = 0;
    R[RCX] = 0x6802;
    R[RAX] = 0x2000;
    // 32-bit protected mode: LMA is 0 as well.
    const lma = R[LMA];
    R[LMA] = 0;
    run(() => vmxHandlers.vmwrite(registerRecord(1, 0)));
    R[LMA] = lma;
    R[CODE64] = 1;
    expect(fieldValue(0x6802)).toBe(0x2000n);
  });

  it('write to memory, and nothing on failure', () => {
    vmwrite(0x681e, 0x1234, 0);
    R[RCX] = 0x681e;
    R[RCX + 1] = 0;
    run(() => vmxHandlers.vmread(memoryRecord(OPERAND, 1)));
    expect(physRead32(OPERAND)).toBe(0x1234);
    R[RCX] = 0x7ffe;
    run(() => vmxHandlers.vmread(memoryRecord(OPERAND, 1)));
    expect(outcome()).toBe(12);
    expect(physRead32(OPERAND)).toBe(0x1234);
  });

  it('have no EPT and VPID fields when EPT is hidden', () => {
    powerOn({ ept: false, perfGlobalControl: true });
    enterVmxRoot();
    for (const f of VMCS_FIELDS) {
      const hidden = ['ept', 'vpid', 'pml', 'vmFunctions', 'virtualizationException'].includes(f.feature);
      expect(vmread(f.encoding)).toBe(hidden ? 12 : 'succeed');
    }
  });
});

it('PERF_GLOBAL_CTRL has fields only on machines that have it', () => {
  for (const offered of [true, false]) {
    powerOn({ perfGlobalControl: offered });
    enterVmxRoot();
    for (const encoding of [0x2808, 0x2809, 0x2c04, 0x2c05]) expect(vmread(encoding)).toBe(offered ? 'succeed' : 12);
  }
});

describe('VMCS regions', () => {
  it('are complete in memory after VMCLEAR, and a copy loads like the original', () => {
    writable.forEach((f, n) => vmwrite(f.encoding, 77 + n, n));
    expect(withPointer('vmclear', VMCS_A)).toBe('succeed');
    expect(vmread(0x681e)).toBe('invalid');
    for (let n = 0; n < 4096; n += 4) {
      physWrite32(VMCS_B + n, physRead32(VMCS_A + n));
    }
    expect(withPointer('vmptrld', VMCS_B)).toBe('succeed');
    writable.forEach((f, n) => {
      expect(fieldValue(f.encoding)).toBe(BigInt.asUintN(f.bits, (BigInt(n) << 32n) | BigInt(77 + n)));
    });
  });

  it('of zeroes hold fields of zero', () => {
    withPointer('vmptrld', VMCS_B);
    for (const f of VMCS_FIELDS) expect(fieldValue(f.encoding)).toBe(0n);
  });

  it('keep their values when another becomes current', () => {
    vmwrite(0x681e, 0x1111);
    withPointer('vmptrld', VMCS_B);
    vmwrite(0x681e, 0x2222);
    withPointer('vmptrld', VMCS_A);
    expect(fieldValue(0x681e)).toBe(0x1111n);
    withPointer('vmptrld', VMCS_B);
    expect(fieldValue(0x681e)).toBe(0x2222n);
  });
});
