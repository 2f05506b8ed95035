/** The virtual local APIC by direct calls (SDM 3C chapter 30). The conformance kernel (test/kernels/vmx/apic.c) does the same from inside, at length. */
import { beforeEach, describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { R, EFLAGS, F_IF, FAULT_KIND, SIG_INTR, SIGNALS } from '../../src/cpu/state';
import { FK_EXCEPTION, FK_VM_EXIT } from '../../src/cpu/fault';
import { physRead32, physWrite32 } from '../../src/cpu/mmu/physical';
import { platform } from '../../src/cpu/platform';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import * as I from '../../src/vmx/intercepts';
import { readVirtualX2apic, virtualApicRead, virtualApicWrite, virtualMsrValue, writeVirtualX2apic } from '../../src/vmx/apic-virtualization';
import { VIRTUAL_INTERRUPT_RECOGNIZED } from '../../src/vmx/state';
import { exitReason, inGuest, plain, ready, run, VIRTUAL_APIC, vmwrite } from './machine';

const REGISTERS = 0x100, DELIVERY = 0x200, X2APIC = 0x10, ACCESSES = 1;
const PI = 0x16000, NOTIFICATION = 0xf2;

/** A guest with these secondary controls, the TPR shadow, external-interrupt exiting with acknowledge, and posted interrupts if there is delivery. */
function launch(secondary: number, status = 0, tpr = 0): void {
  ready();
  vmwrite(0x4000, 0x17 | (secondary & DELIVERY ? 0x80 : 0));
  vmwrite(0x4002, 0x84206172 | 0);
  vmwrite(0x401e, 0x22 | secondary);
  vmwrite(0x400c, 0x36ffb | 0x8000);
  vmwrite(0x2012, VIRTUAL_APIC);
  vmwrite(0x2014, 0x13000);
  vmwrite(0x2016, PI);
  vmwrite(0x0002, NOTIFICATION);
  vmwrite(0x0810, status);
  physWrite32(VIRTUAL_APIC + 0x80, tpr);
  plain('vmlaunch');
  expect(inGuest()).toBe(true);
}

const recognized = (): boolean => R[VIRTUAL_INTERRUPT_RECOGNIZED] !== 0;
const dword = (offset: number): number => physRead32(VIRTUAL_APIC + offset);

beforeEach(() => {
  platform.endOfInterrupt = () => undefined;
});

describe('evaluation of virtual interrupts', () => {
  it('happens at entry: the class of RVI against VPPR', () => {
    for (const [status, tpr, expected, ppr] of [[0x41, 0, true, 0], [0x41, 0x40, false, 0x40], [0x5041, 0x10, false, 0x50], [0x3041, 0x3f, true, 0x3f], [0, 0, false, 0]] as const) {
      launch(DELIVERY, status, tpr);
      expect(recognized(), `${status}`).toBe(expected);
      expect(dword(0xa0)).toBe(ppr);
    }
  });

  it('follows TPR, EOI and self-IPI virtualisation', () => {
    launch(DELIVERY | ACCESSES, 0x7141, 0);
    physWrite32(VIRTUAL_APIC + 0x130, 1 << 17);
    expect(recognized()).toBe(false);
    virtualApicWrite(0xb0, 4, 0);
    expect(V[F.GUEST_INTERRUPT_STATUS]).toBe(0x41);
    expect(recognized()).toBe(true);
    virtualApicWrite(0x80, 4, 0x40);
    expect(recognized()).toBe(false);
    virtualApicWrite(0x300, 4, 0x40051);
    expect(V[F.GUEST_INTERRUPT_STATUS]).toBe(0x51);
    expect(dword(0x220)).toBe(1 << 17);
    expect(recognized()).toBe(true);
  });

  it('exits after an EOI whose vector is in the bitmap, before anything else', () => {
    launch(DELIVERY | ACCESSES, 0x7100, 0);
    V[F.EOI_EXIT_BITMAP0 + 3] = 1 << 17;
    virtualApicWrite(0xb0, 4, 0);
    expect(I.apicExitAtBoundary()).toBe(true);
    expect([exitReason(), V[F.EXIT_QUALIFICATION], V[F.GUEST_INTERRUPT_STATUS]]).toEqual([45, 0x71, 0]);
  });
});

describe('posted interrupts', () => {
  it('move to VIRR without an exit', () => {
    launch(DELIVERY);
    physWrite32(PI + 8, 1 << 5);
    physWrite32(PI + 28, 1);
    physWrite32(PI + 32, 0xff01);
    let ended = 0;
    platform.acknowledgeInterrupt = () => NOTIFICATION;
    platform.endOfInterrupt = () => { ended++; };
    R[SIGNALS] |= SIG_INTR;
    expect(I.interceptExternalInterrupt()).toBe(true);
    expect(inGuest()).toBe(true);
    expect(ended).toBe(1);
    expect([physRead32(PI + 8), physRead32(PI + 28), physRead32(PI + 32)]).toEqual([0, 0, 0xff00]);
    expect([dword(0x220), dword(0x270), V[F.GUEST_INTERRUPT_STATUS]]).toEqual([1 << 5, 1, 0xe0]);
    expect(recognized()).toBe(true);
  });

  it('exit with any other vector', () => {
    launch(DELIVERY);
    platform.acknowledgeInterrupt = () => 0x33;
    R[SIGNALS] |= SIG_INTR;
    expect(I.interceptExternalInterrupt()).toBe(true);
    expect([exitReason(), V[F.EXIT_INTERRUPTION_INFO]]).toEqual([1, 0x80000033 | 0]);
  });
});

describe('registers', () => {
  it('are read from the page, or exit', () => {
    launch(REGISTERS | ACCESSES);
    physWrite32(VIRTUAL_APIC + 0x320, 0x12345678);
    expect(virtualApicRead(0x320, 4)).toBe(0x12345678);
    expect(virtualApicRead(0x321, 2)).toBe(0x3456);
    for (const [offset, size] of [[0xa0, 4], [0x324, 4], [0x322, 4], [0x320, 8], [0x390, 4]]) {
      expect(run(() => { virtualApicRead(offset, size); }), `${offset}`).toBe('fault');
      expect(R[FAULT_KIND]).toBe(FK_VM_EXIT);
    }
  });

  it('written without virtualisation of their own exit after the instruction', () => {
    launch(REGISTERS | ACCESSES);
    virtualApicWrite(0x320, 4, 0x20031);
    expect(dword(0x320)).toBe(0x20031);
    expect(I.apicExitAtBoundary()).toBe(true);
    expect([exitReason(), V[F.EXIT_QUALIFICATION]]).toEqual([56, 0x320]);
  });

  it('are MSRs in x2APIC mode', () => {
    launch(X2APIC);
    physWrite32(VIRTUAL_APIC + 0x80, 0x35);
    expect(readVirtualX2apic(0x802)).toBe(false);
    expect(readVirtualX2apic(0x808)).toBe(true);
    expect(virtualMsrValue[0]).toBe(0x35);
    expect(writeVirtualX2apic(0x80b, 0, 0)).toBe(false);
    expect(writeVirtualX2apic(0x808, 0x20, 0)).toBe(true);
    expect(dword(0x80)).toBe(0x20);
    expect(run(() => { writeVirtualX2apic(0x808, 0x120, 0); })).toBe('fault');
    expect(R[FAULT_KIND]).toBe(FK_EXCEPTION);
    launch(X2APIC | REGISTERS | DELIVERY);
    expect(readVirtualX2apic(0x8ff)).toBe(true);
    expect(writeVirtualX2apic(0x83f, 0x8, 0)).toBe(true);
    expect(I.apicExitAtBoundary()).toBe(true);
    expect([exitReason(), V[F.EXIT_QUALIFICATION]]).toEqual([56, 0x3f0]);
  });
});

describe('a recognized virtual interrupt', () => {
  it('waits for RFLAGS.IF', () => {
    launch(DELIVERY, 0x41);
    expect(R[EFLAGS] & F_IF).toBe(0);
    expect(I.vmxBoundary()).toBe(false);
    expect(V[F.GUEST_INTERRUPT_STATUS]).toBe(0x41);
  });
});
