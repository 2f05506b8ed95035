import { beforeEach, describe, expect, it } from 'vitest';
import {
  R, RAX, RCX, CPL, CR0, CR0_PE, CR4, EFLAGS, FAULT_VECTOR, FEATURE_CONTROL, INHIBIT, INHIBIT_AT, RF64, F_VM, VMX_MODE, VMX_OFF, VMX_ROOT, X_GP, X_UD,
} from '../../src/cpu/state';
import { clockNow } from '../../src/cpu/clock';
import { physRead32, physWrite32, physWrite64 } from '../../src/cpu/mmu/physical';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import { vmxHandlers } from '../../src/vmx/instructions';
import {
  enterVmxRoot, fillVmcs, inGuest, memoryRecord, OPERAND, outcome, plain, powerOn, ready, run, VMCS_A, VMCS_B, VMXON_REGION, withPointer,
} from './machine';

const POINTERS = ['vmclear', 'vmptrld', 'vmptrst'];
const PLAIN = ['vmxoff', 'vmlaunch', 'vmresume', 'vmcall'];

describe('VMXON', () => {
  beforeEach(() => {
    powerOn();
    physWrite32(VMXON_REGION, 0x11);
  });

  it('enters root operation without current VMCS', () => {
    expect(withPointer('vmxon', VMXON_REGION)).toBe('succeed');
    expect(R[VMX_MODE]).toBe(VMX_ROOT);
    expect(withPointer('vmptrst', 0)).toBe('succeed');
    expect(physRead32(OPERAND)).toBe(-1);
    expect(physRead32(OPERAND + 4)).toBe(-1);
  });

  it('is #UD without CR4.VMXE', () => {
    R[CR4] &= ~0x2000;
    expect(withPointer('vmxon', VMXON_REGION)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
  });

  it.each([
    ['CR0.NE is 0', () => { R[CR0] &= ~0x20; }],
    ['IA32_FEATURE_CONTROL does not allow it', () => { R[FEATURE_CONTROL] = 1; }],
    ['IA32_FEATURE_CONTROL is not locked', () => { R[FEATURE_CONTROL] = 4; }],
    ['CPL is 3', () => { R[CPL] = 3; }],
  ])('is #GP when %s', (_why, spoil) => {
    spoil();
    expect(withPointer('vmxon', VMXON_REGION)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_GP);
    expect(R[VMX_MODE]).toBe(VMX_OFF);
  });

  it('fails without VMCS to hold an error for a bad region', () => {
    expect(withPointer('vmxon', VMXON_REGION + 8)).toBe('invalid');
    expect(withPointer('vmxon', VMXON_REGION, 0x100)).toBe('invalid');
    physWrite32(VMXON_REGION, 0x80000011);
    expect(withPointer('vmxon', VMXON_REGION)).toBe('invalid');
    expect(R[VMX_MODE]).toBe(VMX_OFF);
  });

  it('fails with 15 in root operation', () => {
    enterVmxRoot();
    expect(withPointer('vmxon', VMXON_REGION)).toBe(15);
    expect(plain('vmxoff')).toBe('succeed');
    expect(R[VMX_MODE]).toBe(VMX_OFF);
    expect(withPointer('vmxon', VMXON_REGION)).toBe('succeed');
  });
});

describe('VMX instructions', () => {
  it.each([...POINTERS, ...PLAIN, 'invept', 'invvpid', 'vmread', 'vmwrite'])('%s is #UD outside VMX operation and in the wrong mode', (name) => {
    powerOn();
    expect(withPointer(name, 0)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
    enterVmxRoot();
    R[EFLAGS] |= F_VM;
    expect(withPointer(name, 0)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
    R[EFLAGS] &= ~F_VM;
    R[CR0] &= ~CR0_PE;
    expect(withPointer(name, 0)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
  });

  it.each([...POINTERS, ...PLAIN, 'invept', 'invvpid', 'vmread', 'vmwrite'])('%s is #GP(0) in root operation at CPL 3', (name) => {
    ready();
    R[CPL] = 3;
    expect(withPointer(name, 0)).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_GP);
  });

  it('VMFUNC is #UD', () => {
    ready();
    expect(plain('vmfunc')).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
  });

  it('VMCALL in root operation fails with 1', () => {
    ready();
    expect(plain('vmcall')).toBe(1);
  });
});

describe('VMCLEAR and VMPTRLD', () => {
  beforeEach(() => ready());

  it.each([['vmclear', 2, 3], ['vmptrld', 9, 10]])('%s refuses bad addresses (%i) and the VMXON region (%i)', (name, badAddress, isVmxon) => {
    expect(withPointer(name, VMCS_B + 16)).toBe(badAddress);
    expect(withPointer(name, VMCS_B, 0x100)).toBe(badAddress);
    expect(withPointer(name, VMXON_REGION)).toBe(isVmxon);
  });

  it('VMPTRLD wants the revision, of an ordinary or a shadow VMCS', () => {
    physWrite32(VMCS_B, 0x80000011 | 0);
    expect(withPointer('vmptrld', VMCS_B)).toBe('succeed');
    expect(plain('vmlaunch')).toBe('invalid');
    expect(withPointer('vmptrld', VMCS_A)).toBe('succeed');
    for (const revision of [0, 0x12, 0x80000012 | 0, -1]) {
      physWrite32(VMCS_B, revision);
      expect(withPointer('vmptrld', VMCS_B)).toBe(11);
    }
    expect(withPointer('vmptrld', 0x3f000000)).toBe(11);
  });

  it('errors are VMfailInvalid when there is no current VMCS', () => {
    expect(withPointer('vmclear', VMCS_A)).toBe('succeed');
    expect(withPointer('vmptrld', VMXON_REGION)).toBe('invalid');
    expect(plain('vmlaunch')).toBe('invalid');
    expect(plain('vmcall')).toBe('invalid');
  });

  it('VMPTRST stores the current pointer', () => {
    expect(withPointer('vmptrst', 0)).toBe('succeed');
    expect(physRead32(OPERAND)).toBe(VMCS_A);
    expect(physRead32(OPERAND + 4)).toBe(0);
  });

  it('VMCLEAR clears the launch state of a VMCS that is not current', () => {
    expect(plain('vmlaunch')).toBe('succeed');
    expect(inGuest()).toBe(true);
    // Out again, by a VM exit.
    expect(plain('vmcall')).toBe('succeed');
    expect(inGuest()).toBe(false);
    expect(withPointer('vmptrld', VMCS_B)).toBe('succeed');
    expect(withPointer('vmclear', VMCS_A)).toBe('succeed');
    expect(withPointer('vmptrld', VMCS_A)).toBe('succeed');
    expect(plain('vmresume')).toBe(5);
    expect(plain('vmlaunch')).toBe('succeed');
    expect(inGuest()).toBe(true);
  });
});

describe('VMLAUNCH and VMRESUME', () => {
  beforeEach(() => ready());

  it('depend on the launch state', () => {
    expect(plain('vmresume')).toBe(5);
    expect(plain('vmlaunch')).toBe('succeed');
    plain('vmcall');
    expect(plain('vmlaunch')).toBe(4);
    expect(plain('vmresume')).toBe('succeed');
    expect(inGuest()).toBe(true);
  });

  it('fail with 26 right after MOV SS, before anything else', () => {
    R[INHIBIT] = 2;
    RF64[INHIBIT_AT >> 1] = clockNow();
    expect(plain('vmresume')).toBe(26);
    R[INHIBIT] = 1;
    RF64[INHIBIT_AT >> 1] = clockNow();
    expect(plain('vmresume')).toBe(5);
  });
});

describe('INVEPT and INVVPID', () => {
  beforeEach(() => ready());

  function invalidate(name: string, type: number, words: number[], typeHi = 0): string | number {
    physWrite64(OPERAND, words[0], words[1]);
    physWrite64(OPERAND + 8, words[2], words[3]);
    R[RCX] = type;
    R[RCX + 1] = typeHi;
    return run(() => vmxHandlers[name](memoryRecord(OPERAND, 1))) === 'fault' ? 'fault' : outcome();
  }

  it('INVEPT knows the types 1 and 2', () => {
    expect(invalidate('invept', 1, [0x1801e, 0, 0, 0])).toBe('succeed');
    expect(invalidate('invept', 2, [0, 0, 0, 0])).toBe('succeed');
    for (const type of [0, 3, 4, 0x80000000 | 0]) expect(invalidate('invept', type, [0x1801e, 0, 0, 0])).toBe(28);
    expect(invalidate('invept', 2, [0, 0, 0, 0], 1)).toBe(28);
    // A bad EPT pointer: memory type 1, walk length 3, reserved bit, too wide.
    for (const [lo, hi] of [[0x18019, 0], [0x18016, 0], [0x1809e, 0], [0x1801e, 0x100]]) {
      expect(invalidate('invept', 1, [lo, hi, 0, 0])).toBe(28);
    }
  });

  it('INVVPID knows the types 0 to 3', () => {
    for (const type of [0, 1, 2, 3]) expect(invalidate('invvpid', type, [1, 0, 0x1000, 0])).toBe('succeed');
    expect(invalidate('invvpid', 4, [1, 0, 0, 0])).toBe(28);
    for (const type of [0, 1, 3]) expect(invalidate('invvpid', type, [0, 0, 0, 0])).toBe(28);
    expect(invalidate('invvpid', 2, [0, 0, 0, 0])).toBe('succeed');
    expect(invalidate('invvpid', 1, [0x10001, 0, 0, 0])).toBe(28);
    expect(invalidate('invvpid', 1, [1, 1, 0, 0])).toBe(28);
    expect(invalidate('invvpid', 0, [1, 0, 0, 0x8000])).toBe(28);
  });

  it('are #UD when EPT is hidden', () => {
    powerOn({ ept: false });
    enterVmxRoot();
    expect(invalidate('invept', 2, [0, 0, 0, 0])).toBe('fault');
    expect(R[FAULT_VECTOR]).toBe(X_UD);
  });
});

describe('VMX instructions in a guest', () => {
  it('exit with displacement and operand information', () => {
    ready();
    fillVmcs();
    plain('vmlaunch');
    R[RAX] = 0x777;
    const rip = V[F.GUEST_RIP];
    run(() => vmxHandlers.vmptrld(memoryRecord(0x12345, 0, 7)));
    expect(inGuest()).toBe(false);
    expect(V[F.EXIT_REASON]).toBe(21);
    expect(V[F.EXIT_QUALIFICATION]).toBe(0x12345);
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(7);
    expect(V[F.GUEST_RIP]).toBe(rip);
    // 64-bit address, DS, no base, no index.
    expect(V[F.EXIT_INSTRUCTION_INFO]).toBe((2 << 7) | (3 << 15) | (1 << 22) | (1 << 27));
  });
});
