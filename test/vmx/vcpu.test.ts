import { describe, expect, it } from 'vitest';
import { R, VCPU, VMX_MODE, VMX_NON_ROOT, VMX_OFF, VMX_ROOT } from '../../src/cpu/state';
import { EPT, EPT_ENABLED } from '../../src/cpu/mmu/ept';
import { onVcpuSwitch, resetVcpus, restoreVcpus, saveVcpus, switchVcpu } from '../../src/cpu/vcpus';
import { allGuests, currentGuest, cyclesAtLevel, levelNow } from '../../src/observe/guests';
import { BUD } from '../../src/cpu/state';
import { physWrite32 } from '../../src/cpu/mmu/physical';
import * as I from '../../src/vmx/intercepts';
import { resetVmx, restoreVmx, saveVmx } from '../../src/vmx/vcpu';
import {
  enterVmxRoot, fieldValue, fillVmcs, inGuest, plain, powerOn, ready, registerRecord, VMCS_A, VMCS_B, vmwrite, withPointer,
} from './machine';

describe('VMX state beside R', () => {
  it('follows the running vCPU', () => {
    powerOn({ vcpus: 2 });
    resetVcpus(2);
    resetVmx();
    let switches = 0;
    onVcpuSwitch(() => { switches++; });
    powerOn({ vcpus: 2 });
    enterVmxRoot();
    fillVmcs();
    plain('vmlaunch');
    expect(EPT[EPT_ENABLED]).toBe(1);
    switchVcpu(1);
    expect([R[VCPU], R[VMX_MODE], EPT[EPT_ENABLED]]).toEqual([1, VMX_OFF, 0]);
    switchVcpu(0);
    expect([R[VCPU], R[VMX_MODE], EPT[EPT_ENABLED]]).toEqual([0, VMX_NON_ROOT, 1]);
    expect(switches).toBe(2);
    I.interceptSimple(10, registerRecord());
    expect(fieldValue(0x681e)).toBe(0x40000n);
  });

  it('survives a snapshot in the middle of a guest', () => {
    powerOn();
    resetVcpus(1);
    resetVmx();
    ready();
    plain('vmlaunch');
    const saved = { vcpus: saveVcpus(), vmx: saveVmx() };
    // Somebody else's machine in between.
    powerOn();
    resetVmx();
    expect(allGuests()).toHaveLength(0);
    restoreVcpus(saved.vcpus);
    restoreVmx(saved.vmx);
    expect(inGuest()).toBe(true);
    expect(EPT[EPT_ENABLED]).toBe(1);
    expect(currentGuest()?.vmcsPointer).toBe(VMCS_A);
    I.interceptSimple(10, registerRecord());
    expect(R[VMX_MODE]).toBe(VMX_ROOT);
    expect(fieldValue(0x4402)).toBe(10n);
  });
});

describe('guests', () => {
  it('are told apart by their VMCS, not by its page', () => {
    ready();
    plain('vmlaunch');
    const first = currentGuest();
    I.interceptSimple(10, registerRecord());
    // Moving a guest to another processor clears its VMCS, and it stays the same guest.
    withPointer('vmclear', VMCS_A);
    withPointer('vmptrld', VMCS_A);
    plain('vmlaunch');
    expect(currentGuest()).toBe(first);
    I.interceptSimple(10, registerRecord());
    // The page is freed, cleared and used for another guest.
    withPointer('vmclear', VMCS_A);
    for (let n = 4; n < 4096; n += 4) physWrite32(VMCS_A + n, 0);
    withPointer('vmptrld', VMCS_A);
    fillVmcs();
    plain('vmlaunch');
    expect(currentGuest()?.id).toBe(2);
    expect(allGuests()).toHaveLength(2);
  });

  it('of several processors are charged for their own time', () => {
    powerOn({ vcpus: 2 });
    resetVcpus(2);
    resetVmx();
    powerOn({ vcpus: 2 });
    enterVmxRoot();
    fillVmcs();
    plain('vmlaunch');
    R[BUD] -= 100;
    switchVcpu(1);
    expect(levelNow()).toBe(1);
    R[BUD] -= 1000;
    switchVcpu(0);
    expect(levelNow()).toBe(2);
    R[BUD] -= 10;
    expect(cyclesAtLevel(2)).toBe(110);
    I.interceptSimple(10, registerRecord());
    expect(allGuests()[0].counters[71]).toBe(111);
  });


  it('know their parent by its VMLAUNCH or VMRESUME exit, and count their cycles', () => {
    ready();
    expect(levelNow()).toBe(1);
    plain('vmlaunch');
    expect(levelNow()).toBe(2);
    R[BUD] -= 100;
    // The guest launches a guest of its own: L1 enters VMCS_B on its behalf.
    plain('vmlaunch');
    expect(levelNow()).toBe(1);
    withPointer('vmclear', VMCS_B);
    withPointer('vmptrld', VMCS_B);
    fillVmcs();
    plain('vmlaunch');
    expect(levelNow()).toBe(3);
    const [l2, l3] = allGuests();
    expect([l2.level, l2.parent, l2.vmcsPointer]).toEqual([2, 0, VMCS_A]);
    expect([l3.level, l3.parent, l3.vmcsPointer]).toEqual([3, l2.id, VMCS_B]);
    expect(l2.counters[20]).toBe(1);
    expect(cyclesAtLevel(2)).toBeGreaterThanOrEqual(100);
    // An exit of L3 that L1 reflects into L2, which then continues L3.
    I.interceptSimple(10, registerRecord());
    withPointer('vmptrld', VMCS_A);
    vmwrite(0x681e, 0x41000);
    plain('vmresume');
    expect(levelNow()).toBe(2);
    expect(currentGuest()).toBe(l2);
    plain('vmresume');
    withPointer('vmptrld', VMCS_B);
    plain('vmresume');
    expect(currentGuest()).toBe(l3);
    expect(l3.level).toBe(3);
  });
});
