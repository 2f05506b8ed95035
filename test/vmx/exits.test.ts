import { beforeEach, describe, expect, it } from 'vitest';
import {
  R, RF64, ACTIVITY, CURP, CR0, CR4, CS, DR7, EFER, EFLAGS, F_RF, FAULT_KIND, GDTR_BASE, GS, IDTR_LIMIT, INHIBIT, INHIBIT_AT, LA, NMI_BLOCKED, PENDING_DB,
  RAX, RBX, RIP, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SIG_INIT, SIG_INTR, SIG_NMI, SIGNALS, SS, TR, VMX_MODE, LDTR, SIG_ATTENTION,
} from '../../src/cpu/state';
import { clockNow, resetClock, skipIdle } from '../../src/cpu/clock';
import { FK_VM_EXIT, PF_ADDRESS } from '../../src/cpu/fault';
import { getFlags, setFlags } from '../../src/cpu/flags';
import { physRead32, physRead8, physWrite32, physWrite64, physWrite8 } from '../../src/cpu/mmu/physical';
import { platform } from '../../src/cpu/platform';
import { addExitObserver, addIoObserver } from '../../src/observe/exit-log';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import * as I from '../../src/vmx/intercepts';
import { virtualApicRead, virtualApicWrite } from '../../src/vmx/apic-virtualization';
import {
  exitReason, fieldValue, GUEST_RIP, HOST_RIP, HOST_RSP, inGuest, IO_BITMAPS, memoryRecord, MSR_BITMAP, MSR_LIST, plain, ready, registerRecord, run,
  shutdowns, VIRTUAL_APIC, vmwrite,
} from './machine';

const PROC = 0x84006172 | 0;

/** Launches the good VMCS with changes. */
function launch(...changes: [number, number, number?][]): void {
  ready();
  for (const [encoding, lo, hi] of changes) vmwrite(encoding, lo, hi ?? 0);
  plain('vmlaunch');
  expect(inGuest()).toBe(true);
}

function expectExit(reason: number, qualification = 0): void {
  expect(inGuest()).toBe(false);
  expect(exitReason()).toBe(reason);
  expect(V[F.EXIT_QUALIFICATION]).toBe(qualification);
}

/** Gives the instruction in progress up as finished: the next boundary. */
function nextBoundary(): void {
  run(() => { registerRecord(); });
}

let removeIoObserver = (): void => undefined;
let removeExitObserver = (): void => undefined;

beforeEach(() => {
  removeIoObserver();
  removeExitObserver();
});

describe('a VM exit', () => {
  it('saves the guest and loads the host', () => {
    launch();
    R[RSP] = 0x48800;
    R[SEG_BASE + 2 * GS + 1] = 0x7fff;
    I.interceptSimple(10, registerRecord(0, 0, 2));
    expectExit(10);
    expect(V[F.GUEST_RIP]).toBe(GUEST_RIP);
    expect(V[F.GUEST_RSP]).toBe(0x48800);
    expect(V[F.GUEST_ES_BASE + 2 * GS + 1]).toBe(0x7fff);
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(2);
    expect(R[VMX_MODE]).toBe(1);
    expect([R[RIP], R[RSP], getFlags(), R[DR7]]).toEqual([HOST_RIP + 0x100, HOST_RSP, 2, 0x400]);
    expect([R[SEG_SEL + CS], R[SEG_AR + CS], R[SEG_LIMIT + CS]]).toEqual([0x10, 0xa09b, -1]);
    expect([R[SEG_SEL + SS], R[SEG_AR + SS]]).toEqual([0x18, 0xc093]);
    expect([R[SEG_SEL + GS], R[SEG_AR + GS], R[SEG_BASE + 2 * GS], R[SEG_BASE + 2 * GS + 1]]).toEqual([0, 0x10000, 0x5678, -1]);
    expect([R[SEG_SEL + TR], R[SEG_AR + TR], R[SEG_LIMIT + TR], R[SEG_BASE + 2 * TR]]).toEqual([0x40, 0x8b, 0x67, 0x9000]);
    expect(R[SEG_AR + LDTR]).toBe(0x10000);
    expect([R[GDTR_BASE], R[IDTR_LIMIT]]).toEqual([0xa000, 0xffff]);
    expect([R[CR0], R[CR4], R[EFER] & 0x500]).toEqual([0x80050033 | 0, 0x20a0, 0x500]);
  });

  it('clears the valid bit of the injected event and comes back by VMRESUME', () => {
    launch([0x4016, 0x80000700 | 0]);
    I.interceptSimple(10, registerRecord());
    expect(V[F.ENTRY_INTERRUPTION_INFO]).toBe(0x700);
    expect(plain('vmresume')).toBe('succeed');
    expect(R[RIP]).toBe(GUEST_RIP);
  });

  it('keeps the cache bits of CR0', () => {
    launch();
    R[CR0] |= 0x60000000;
    I.interceptSimple(10, registerRecord());
    expect(R[CR0]).toBe(0xe0050033 | 0);
    expect(V[F.GUEST_CR0]).toBe(0xe0050033 | 0);
  });

  it('stores the interrupt shadow and the activity state', () => {
    launch();
    R[INHIBIT] = 1;
    RF64[INHIBIT_AT >> 1] = clockNow();
    I.interceptSimple(18, registerRecord());
    expect(V[F.GUEST_INTERRUPTIBILITY]).toBe(1);
    expect(R[INHIBIT]).toBe(0);
    launch([0x4000, 0x17]);
    R[ACTIVITY] = 1;
    expect(I.interceptExternalInterrupt()).toBe(true);
    expect(V[F.GUEST_ACTIVITY]).toBe(1);
    expect(R[ACTIVITY]).toBe(0);
  });

  it('stores and loads MSR lists', () => {
    ready();
    // LSTAR and KERNEL_GS_BASE: stored on exit, loaded on entry and exit.
    const [store, load, entry] = [MSR_LIST, MSR_LIST + 0x100, MSR_LIST + 0x200];
    physWrite64(store, 0xc0000082, 0);
    physWrite64(load, 0xc0000082, 0);
    physWrite64(load + 8, 0x1111, 0);
    physWrite64(entry, 0xc0000102, 0);
    physWrite64(entry + 8, 0x2222, 0);
    physWrite64(entry + 16, 0xc0000082, 0);
    physWrite64(entry + 24, 0x3333, 0);
    for (const [e, v] of [[0x400e, 1], [0x2006, store], [0x4010, 1], [0x2008, load], [0x4014, 2], [0x200a, entry]]) vmwrite(e, v);
    plain('vmlaunch');
    expect(inGuest()).toBe(true);
    I.interceptSimple(10, registerRecord());
    expect(physRead32(store + 8)).toBe(0x3333);
    plain('vmresume');
    I.interceptSimple(10, registerRecord());
    expect(physRead32(store + 8)).toBe(0x3333);
  });

  it.each([['FS base', 0xc0000100], ['microcode', 0x8b], ['unknown', 0x12345]])('fails an entry with %s in the MSR-load list (exit 34)', (_name, index) => {
    ready();
    physWrite64(MSR_LIST, 0xc0000082, 0);
    physWrite64(MSR_LIST + 16, index, 0);
    vmwrite(0x4014, 2);
    vmwrite(0x200a, MSR_LIST);
    plain('vmlaunch');
    expectExit(0x80000022, 2);
    expect(R[RIP]).toBe(HOST_RIP + 0x100);
    expect(V[F.REGION_LAUNCHED]).toBe(0);
  });

  it('aborts when the MSR-store list is bad', () => {
    launch([0x400e, 1], [0x2006, MSR_LIST]);
    physWrite64(MSR_LIST, 0x12345, 0);
    I.interceptSimple(10, registerRecord());
    expect(shutdowns).toHaveLength(1);
    expect(R[ACTIVITY]).toBe(2);
    expect(V[F.REGION_ABORT]).toBe(1);
  });

  it('tells its observer', () => {
    const seen: number[][] = [];
    removeExitObserver = addExitObserver((...data) => { seen.push(data); });
    launch();
    I.interceptSimple(10, registerRecord());
    expect(seen).toEqual([[10, 0, GUEST_RIP, 0]]);
  });
});

describe('instruction exits', () => {
  it.each([
    [12, 7], [15, 11], [16, 12], [51, 12], [36, 10], [39, 29],
  ])('reason %i by bit %i of the processor-based controls', (reason, bit) => {
    launch();
    expect(I.interceptSimple(reason, registerRecord())).toBe(false);
    expect(inGuest()).toBe(true);
    launch([0x4002, PROC | (1 << bit)]);
    expect(I.interceptSimple(reason, registerRecord())).toBe(true);
    expectExit(reason);
  });

  it.each([10, 11, 13, 55])('reason %i always', (reason) => {
    launch();
    expect(I.interceptSimple(reason, registerRecord())).toBe(true);
    expectExit(reason);
  });

  it('WBINVD by bit 6 of the secondary controls', () => {
    launch();
    expect(I.interceptSimple(54, registerRecord())).toBe(false);
    launch([0x401e, 0x62]);
    expect(I.interceptSimple(54, registerRecord())).toBe(true);
  });

  it('INVLPG with its linear address', () => {
    launch([0x4002, PROC | (1 << 9)]);
    expect(I.interceptInvlpg(0x1234000, 0x7fff, registerRecord())).toBe(true);
    expectExit(14, 0x1234000);
    expect(V[F.EXIT_QUALIFICATION + 1]).toBe(0x7fff);
  });

  it('clear RF, other exits keep it', () => {
    launch();
    R[EFLAGS] |= F_RF;
    I.interceptSimple(10, registerRecord());
    expect(V[F.GUEST_RFLAGS] & F_RF).toBe(0);
    launch([0x4000, 0x17]);
    R[EFLAGS] |= F_RF;
    I.interceptExternalInterrupt();
    expect(V[F.GUEST_RFLAGS] & F_RF).toBe(F_RF);
  });
});

describe('I/O exits', () => {
  it('by the unconditional control', () => {
    launch();
    expect(I.interceptIo(0x3f8, 1, false, false, false, false, registerRecord())).toBe(false);
    launch([0x4002, PROC | (1 << 24)]);
    expect(I.interceptIo(0x3f8, 1, false, false, false, false, registerRecord(0, 0, 1))).toBe(true);
    expectExit(30, 0x3f80000);
  });

  it.each([
    ['IN AL, 60h', 0x60, 1, true, false, false, true, 0x600048],
    ['OUT DX, EAX', 0xcf8, 4, false, false, false, false, 0xcf80003],
    ['REP INSW', 0x1f0, 2, true, true, true, false, 0x1f00039],
  ])('qualification of %s', (_name, port, size, isIn, isString, isRep, isImmediate, qualification) => {
    launch([0x4002, PROC | (1 << 24)]);
    R[LA] = 0x5000;
    I.interceptIo(port, size, isIn, isString, isRep, isImmediate, registerRecord());
    expectExit(30, qualification);
    if (isString) {
      expect(V[F.GUEST_LINEAR_ADDRESS]).toBe(0x5000);
      expect(V[F.EXIT_INSTRUCTION_INFO]).toBe(2 << 7);
    }
  });

  it('by any bit of the bitmaps, or by wrapping past FFFFh', () => {
    const bitmaps: [number, number][] = [[0x4002, PROC | (1 << 25) | (1 << 24)], [0x2000, IO_BITMAPS], [0x2002, IO_BITMAPS + 0x1000]];
    const exits = (port: number, size: number): boolean => {
      launch(...bitmaps);
      physWrite8(IO_BITMAPS + 0x7f, 0x10); // port 3FCh
      physWrite8(IO_BITMAPS + 0x1000, 1); // port 8000h
      return I.interceptIo(port, size, true, false, false, false, registerRecord());
    };
    expect(exits(0x3fc, 1)).toBe(true);
    expect(exits(0x3f9, 4)).toBe(true);
    expect(exits(0x3f8, 4)).toBe(false);
    expect(exits(0x3fd, 1)).toBe(false);
    expect(exits(0x7ffd, 4)).toBe(true);
    expect(exits(0x8001, 1)).toBe(false);
    expect(exits(0xffff, 2)).toBe(true);
    expect(exits(0xffff, 1)).toBe(false);
  });

  it('show the value of OUT to the observer', () => {
    const seen: unknown[] = [];
    removeIoObserver = addIoObserver((...data) => { seen.push(data); });
    launch([0x4002, PROC | (1 << 24)]);
    R[RAX] = 0x12345641;
    I.interceptIo(0x3f8, 1, false, false, false, false, registerRecord());
    expect(seen).toEqual([[1, 0x3f8, 1, false, 0x41, false, false]]);
  });
});

describe('MSR exits', () => {
  it('without bitmaps always', () => {
    launch();
    expect(I.interceptMsr(0x10, false, registerRecord())).toBe(true);
    expectExit(31);
    launch();
    expect(I.interceptMsr(0x10, true, registerRecord())).toBe(true);
    expectExit(32);
  });

  it.each([
    [0x10, false, 2], [0xc0000082 | 0, false, 0x400 + 16], [0x1fff, true, 0x800 + 0x3ff], [0xc0000080 | 0, true, 0xc00 + 16],
  ])('of MSR %i (write %s) by the bitmap byte %i', (index, isWrite, byte) => {
    for (const bits of [0, 1 << (index & 7)]) {
      launch([0x4002, PROC | (1 << 28)], [0x2004, MSR_BITMAP]);
      for (let n = 0; n < 4096; n += 4) physWrite32(MSR_BITMAP + n, 0);
      physWrite8(MSR_BITMAP + byte, bits);
      expect(I.interceptMsr(index, isWrite, registerRecord())).toBe(bits !== 0);
      if (bits === 0) expect(I.interceptMsr(index + 0x2000, isWrite, registerRecord())).toBe(true);
    }
  });
});

describe('control-register exits', () => {
  it('MOV to CR0 when an owned bit would differ from its shadow', () => {
    const owned: [number, number][] = [[0x6000, 0x21], [0x6004, 0x01]];
    launch(...owned);
    // Owned: PE and NE. Shadow: PE = 1, NE = 0. Writing NE = 0 changes nothing; real NE stays 1.
    expect(I.interceptMovToCr(0, 3, 0x80010011 | 0, 0, registerRecord())).toBe(false);
    expect(I.crWriteValueLo()).toBe(0x80010031 | 0);
    expect(I.interceptMovToCr(0, 3, 0x80010031 | 0, 0, registerRecord())).toBe(true);
    expectExit(28, 0x300);
    launch(...owned);
    expect(I.crReadValueLo(0)).toBe((0x80050033 & ~0x20) | 0);
  });

  it('MOV to and from CR3', () => {
    launch();
    expect(I.interceptMovToCr(3, 0, 0x5000, 0, registerRecord())).toBe(false);
    expect(I.interceptMovFromCr(3, 0, registerRecord())).toBe(false);
    launch([0x4002, PROC | (1 << 15) | (1 << 16)], [0x400a, 2], [0x6008, 0x5000], [0x600a, 0x6000, 1], [0x600c, 0x7000]);
    expect(I.interceptMovToCr(3, 0, 0x5000, 0, registerRecord())).toBe(false);
    expect(I.interceptMovToCr(3, 0, 0x6000, 1, registerRecord())).toBe(false);
    expect(I.interceptMovFromCr(3, 9, registerRecord())).toBe(true);
    expectExit(28, 0x913);
    plain('vmresume');
    expect(I.interceptMovToCr(3, 2, 0x7000, 0, registerRecord())).toBe(true);
    expectExit(28, 0x203);
  });

  it('CLTS and LMSW', () => {
    launch([0x6000, 8], [0x6004, 8]);
    expect(I.interceptClts(registerRecord())).toBe(true);
    expectExit(28, 0x20);
    launch([0x6000, 8], [0x6004, 0]);
    expect(I.interceptClts(registerRecord())).toBe(false);
    launch([0x6000, 1], [0x6004, 0]);
    expect(I.interceptLmsw(1, false, registerRecord())).toBe(true);
    expectExit(28, 0x10030);
    // PE shown as 1: LMSW cannot clear it, so it does not exit.
    launch([0x6000, 1], [0x6004, 1]);
    expect(I.interceptLmsw(0xa, false, registerRecord())).toBe(false);
    expect(I.crWriteValueLo() & 0xf).toBe(0xb);
    launch([0x6000, 8], [0x6004, 0]);
    expect(I.interceptLmsw(8, true, memoryRecord(0x5000))).toBe(true);
    expectExit(28, 0x80070);
  });

  it('CR8 by its own controls', () => {
    launch([0x4002, PROC | (1 << 19) | (1 << 20)]);
    expect(I.interceptMovToCr(8, 1, 5, 0, registerRecord())).toBe(true);
    expectExit(28, 0x108);
    plain('vmresume');
    expect(I.interceptMovFromCr(8, 1, registerRecord())).toBe(true);
    expectExit(28, 0x118);
  });

  it('CR8 with the TPR shadow: the virtual TPR, and an exit below the threshold', () => {
    launch([0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401c, 0]);
    expect(I.interceptMovToCr(8, 1, 7, 0, registerRecord())).toBe(true);
    expect(physRead32(VIRTUAL_APIC + 0x80)).toBe(0x70);
    expect(I.interceptMovFromCr(8, 3, registerRecord())).toBe(true);
    expect(R[RBX]).toBe(7);
    expect(inGuest()).toBe(true);
    run(() => I.interceptMovToCr(8, 1, 16, 0, registerRecord()));
    expect(R[FAULT_KIND]).toBe(1);
    I.interceptSimple(10, registerRecord());
    vmwrite(0x401c, 5);
    plain('vmresume');
    expect(inGuest()).toBe(true);
    const rip = R[RIP];
    run(() => I.interceptMovToCr(8, 1, 4, 0, registerRecord(0, 0, 4)));
    expect(R[SIGNALS] & SIG_ATTENTION).not.toBe(0);
    expect(I.apicExitAtBoundary()).toBe(true);
    expectExit(43);
    expect(V[F.GUEST_RIP]).toBe(rip + 4);
  });

  it('MOV DR', () => {
    launch();
    expect(I.interceptMovDr(7, 0, false, registerRecord())).toBe(false);
    launch([0x4002, PROC | (1 << 23)]);
    expect(I.interceptMovDr(6, 12, true, registerRecord())).toBe(true);
    expectExit(29, 0xc16);
  });
});

describe('descriptor-table exits', () => {
  it('carry identity, operand and displacement', () => {
    launch([0x401e, 0x26]);
    expect(I.interceptDescriptorTable(46, 2, memoryRecord(0x6000, 2))).toBe(true);
    expectExit(46, 0x6000);
    expect(V[F.EXIT_INSTRUCTION_INFO]).toBe((2 << 7) | (1 << 11) | (3 << 15) | (1 << 22) | (1 << 27) | (2 << 28));
    launch([0x401e, 0x26]);
    expect(I.interceptDescriptorTable(47, 3, registerRecord(3, 5))).toBe(true);
    expect(V[F.EXIT_INSTRUCTION_INFO]).toBe((1 << 10) | (5 << 3) | (3 << 28));
  });
});

describe('exception exits', () => {
  it('follow the exception bitmap', () => {
    launch([0x4004, 1 << 13]);
    expect(I.interceptException(6, 3, false, 0, 0)).toBe(false);
    expect(I.interceptException(13, 3, true, 0x10, 0)).toBe(true);
    expectExit(0);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0x80000b0d | 0);
    expect(V[F.EXIT_INTERRUPTION_ERROR]).toBe(0x10);
    expect(V[F.GUEST_RFLAGS] & F_RF).toBe(F_RF);
  });

  it.each([
    [1 << 14, 0, 0, 5, true], [1 << 14, 1, 1, 2, false], [1 << 14, 1, 1, 3, true], [0, 1, 1, 2, true], [0, 1, 1, 3, false], [0, 0, 0, 5, false],
  ])('#PF with bitmap %i, mask %i, match %i, error %i: %s', (bitmap, mask, match, error, exits) => {
    launch([0x4004, bitmap], [0x4006, mask], [0x4008, match]);
    PF_ADDRESS[0] = 0x1234;
    PF_ADDRESS[1] = 0x55;
    expect(I.interceptException(14, 3, true, error, 0)).toBe(exits);
    if (exits) {
      expectExit(0, 0x1234);
      expect(V[F.EXIT_QUALIFICATION + 1]).toBe(0x55);
    }
  });

  it('#DB gives its conditions as qualification and is not pending any more', () => {
    launch([0x4004, 2]);
    R[PENDING_DB] = 0x4001;
    expect(I.interceptException(1, 3, false, 0, 0)).toBe(true);
    expectExit(0, 0x4001);
    expect(V[F.GUEST_PENDING_DEBUG]).toBe(0);
  });

  it('INT3 exits with its own RIP, type 6 and length', () => {
    launch([0x4004, 8]);
    const rip = R[RIP];
    registerRecord(0, 0, 1);
    expect(I.interceptException(3, 6, false, 0, 1)).toBe(true);
    expect(V[F.GUEST_RIP]).toBe(rip);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0x80000603 | 0);
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(1);
  });

  it('during the delivery of another event report that event', () => {
    launch([0x4004, 1 << 14]);
    I.noteDelivery(0, 0x30, false, 0, 0, 2);
    I.interceptException(14, 3, true, 0, 0);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0x80000030 | 0);
    launch([0x4004, 1 << 14]);
    I.noteDelivery(4, 0x80, false, 0, 2, 2);
    I.interceptException(14, 3, true, 0, 0);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0x80000480 | 0);
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(2);
    launch([0x4004, 1 << 14]);
    I.noteDelivery(3, 13, true, 0x18, 0, 2);
    I.interceptException(14, 3, true, 0, 0);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0x80000b0d | 0);
    expect(V[F.IDT_VECTORING_ERROR]).toBe(0x18);
    // The double fault itself is no exit during delivery; a finished delivery leaves nothing.
    launch([0x4004, 1 << 8]);
    I.noteDelivery(3, 14, true, 0, 0, 2);
    I.interceptException(8, 3, true, 0, 0);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0);
    launch([0x4004, 1 << 14]);
    I.noteDelivery(0, 0x30, false, 0, 0, 2);
    I.endDelivery();
    I.interceptException(14, 3, true, 0, 0);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0);
  });

  it('save the STI shadow that a faulting instruction ran in, but not for a fault in the delivery of an interrupt after it', () => {
    const shadowOneStepBack = (): void => {
      R[CURP] = 0;
      R[INHIBIT] = 1;
      RF64[INHIBIT_AT >> 1] = clockNow() - 1;
    };
    launch([0x4004, 1 << 14]);
    shadowOneStepBack();
    I.interceptException(14, 3, true, 0, 0);
    expect(V[F.GUEST_INTERRUPTIBILITY]).toBe(1);
    for (const type of [0, 2]) {
      launch([0x4004, 1 << 14]);
      shadowOneStepBack();
      I.noteDelivery(type, 0x30, false, 0, 0, 2);
      I.interceptException(14, 3, true, 0, 0);
      expect(V[F.GUEST_INTERRUPTIBILITY] & 3).toBe(0);
    }
  });

  it('triple fault', () => {
    launch();
    I.noteDelivery(3, 8, true, 0, 0, 2);
    expect(I.interceptTripleFault()).toBe(true);
    expectExit(2);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0);
  });

  it('task switch with selector, source and length', () => {
    launch();
    const rip = R[RIP];
    registerRecord(0, 0, 7);
    expect(I.interceptTaskSwitch(0x48, 2)).toBe(true);
    expectExit(9, 0x80000048 | 0);
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(7);
    expect(V[F.GUEST_RIP]).toBe(rip);
  });
});

describe('interrupts and NMIs', () => {
  it('external interrupts stay pending, or are acknowledged', () => {
    launch();
    expect(I.interceptExternalInterrupt()).toBe(false);
    launch([0x4000, 0x17]);
    R[SIGNALS] |= SIG_INTR;
    expect(I.interceptExternalInterrupt()).toBe(true);
    expectExit(1);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0);
    expect(R[SIGNALS]).toBe(SIG_INTR);
    launch([0x4000, 0x17], [0x400c, 0x36ffb | (1 << 15)]);
    platform.acknowledgeInterrupt = () => 0x31;
    expect(I.interceptExternalInterrupt()).toBe(true);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0x80000031 | 0);
  });

  it('NMIs exit and leave NMIs blocked', () => {
    launch();
    R[SIGNALS] |= SIG_NMI;
    expect(I.interceptNmi()).toBe(false);
    launch([0x4000, 0x1e]);
    R[SIGNALS] |= SIG_NMI;
    expect(I.interceptNmi()).toBe(true);
    expectExit(0);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0x80000202 | 0);
    expect(V[F.GUEST_INTERRUPTIBILITY]).toBe(0);
    expect(R[NMI_BLOCKED]).toBe(1);
    expect(R[SIGNALS] & SIG_NMI).toBe(0);
  });

  it('virtual NMIs: blocking belongs to the guest, and IRET ends it', () => {
    launch([0x4000, 0x3e], [0x4824, 8]);
    R[SIGNALS] |= SIG_NMI;
    expect(R[NMI_BLOCKED]).toBe(0);
    expect(I.interceptNmi()).toBe(true);
    expect(V[F.GUEST_INTERRUPTIBILITY]).toBe(8);
    launch([0x4000, 0x3e], [0x4824, 8], [0x4004, 1 << 13]);
    registerRecord(0, 0, 2);
    I.nmiUnblockedByIret();
    expect(I.interceptException(13, 3, true, 0, 0)).toBe(true);
    expect(V[F.EXIT_INTERRUPTION_INFO]).toBe(0x80001b0d | 0);
    expect(V[F.GUEST_INTERRUPTIBILITY]).toBe(0);
  });

  it('INIT and SIPI', () => {
    launch();
    R[SIGNALS] |= SIG_INIT;
    expect(I.interceptInit()).toBe(true);
    expectExit(3);
    expect(R[SIGNALS] & SIG_INIT).toBe(0);
    launch([0x4826, 3]);
    expect(R[ACTIVITY]).toBe(3);
    expect(I.interceptInit()).toBe(false);
    expect(I.interceptSipi(0x9a)).toBe(true);
    expectExit(4, 0x9a);
    expect(V[F.GUEST_ACTIVITY]).toBe(3);
  });
});

describe('windows, monitor trap flag, preemption timer', () => {
  it('interrupt window: at once with IF, after STI one instruction later, without IF not at all', () => {
    launch([0x4002, PROC | 4], [0x6820, 0x202]);
    expect(R[SIGNALS] & SIG_ATTENTION).not.toBe(0);
    expect(I.vmxBoundary()).toBe(true);
    expectExit(7);

    launch([0x4002, PROC | 4], [0x6820, 0x202], [0x4824, 1]);
    expect(I.vmxBoundary()).toBe(false);
    expect(I.vmxTimerDeadline()).toBe(clockNow() + 1);
    nextBoundary();
    expect(I.vmxBoundary()).toBe(true);
    expectExit(7);

    launch([0x4002, PROC | 4]);
    expect(R[SIGNALS] & SIG_ATTENTION).toBe(0);
    setFlags(0x202);
    I.noteInterruptFlagSet();
    expect(R[SIGNALS] & SIG_ATTENTION).not.toBe(0);
    expect(I.vmxBoundary()).toBe(true);
  });

  it('NMI window: when virtual NMIs are not blocked', () => {
    launch([0x4000, 0x3e], [0x4002, PROC | (1 << 22)]);
    expect(I.vmxBoundary()).toBe(true);
    expectExit(8);
    launch([0x4000, 0x3e], [0x4002, PROC | (1 << 22)], [0x4824, 8]);
    expect(I.vmxBoundary()).toBe(false);
    expect(R[SIGNALS] & SIG_ATTENTION).toBe(0);
    I.nmiUnblockedByIret();
    expect(R[SIGNALS] & SIG_ATTENTION).not.toBe(0);
    expect(I.vmxBoundary()).toBe(true);
    expectExit(8);
  });

  it('monitor trap flag: after one instruction, or after the delivery of an event', () => {
    launch([0x4002, PROC | (1 << 27)]);
    expect(I.vmxBoundary()).toBe(false);
    expect(I.vmxTimerDeadline()).toBe(clockNow() + 1);
    nextBoundary();
    expect(I.vmxBoundary()).toBe(true);
    expectExit(37);
    expect(V[F.GUEST_RIP]).toBe(GUEST_RIP + 3);
    launch([0x4002, PROC | (1 << 27)]);
    I.noteDelivery(3, 6, false, 0, 0, 2);
    I.endDelivery();
    expect(I.vmxBoundary()).toBe(true);
    expectExit(37);
  });

  it('injected MTF exits before the first instruction', () => {
    launch([0x4016, 0x80000700 | 0]);
    expect(I.vmxBoundary()).toBe(true);
    expectExit(37);
    expect(V[F.GUEST_RIP]).toBe(GUEST_RIP);
  });

  it('preemption timer counts TSC / 4 and is saved on exit', () => {
    ready();
    resetClock();
    skipIdle(1000);
    for (const [e, v] of [[0x4000, 0x56], [0x400c, 0x36ffb | (1 << 22)], [0x482e, 10]]) vmwrite(e, v);
    plain('vmlaunch');
    expect(inGuest()).toBe(true);
    const start = clockNow();
    const deadline = (Math.floor(start / 4) + 10) * 4;
    expect(I.vmxTimerDeadline()).toBe(deadline);
    expect(I.vmxBoundary()).toBe(false);
    skipIdle(deadline - 8);
    I.interceptSimple(10, registerRecord());
    expect(fieldValue(0x482e)).toBe(2n);
    plain('vmresume');
    skipIdle(I.vmxTimerDeadline());
    expect(I.vmxBoundary()).toBe(true);
    expectExit(52);
    expect(fieldValue(0x482e)).toBe(0n);
    plain('vmresume');
    expect(I.vmxTimerDeadline()).toBeLessThanOrEqual(clockNow());
    expect(I.vmxBoundary()).toBe(true);
    expectExit(52);
  });

  it('a pending single step exits as #DB before the windows', () => {
    launch([0x4002, PROC | 4], [0x6820, 0x202], [0x6822, 0x4000], [0x4004, 2]);
    expect(I.vmxBoundary()).toBe(true);
    expectExit(0, 0x4000);
  });
});

describe('time', () => {
  it('the TSC offset is added modulo 2^64', () => {
    launch([0x4002, PROC | 8], [0x2010, -1000, -1]);
    skipIdle(5000);
    expect(I.tscForGuest()).toBe(clockNow() - 1000);
    launch([0x4002, PROC | 8], [0x2010, 0x10, 0x20]);
    expect(I.tscForGuest()).toBe(clockNow() + 0x2000000010);
    launch([0x2010, 0x10, 0x20]);
    expect(I.tscForGuest()).toBe(clockNow());
  });
});

describe('exits from memory accesses', () => {
  it('EPT violations and misconfigurations', () => {
    launch();
    registerRecord(0, 0, 5);
    I.setPendingEptExit(48, 0x181, 0x7000, 0x7f, 0x123456, 2);
    I.performPendingExit();
    expectExit(48, 0x181);
    expect(fieldValue(0x2400)).toBe(0x200123456n);
    expect(fieldValue(0x640a)).toBe(0x7f00007000n);
    expect(V[F.GUEST_RIP]).toBe(GUEST_RIP);
    expect(V[F.GUEST_RFLAGS] & F_RF).toBe(F_RF);
    launch();
    registerRecord(0, 0, 6);
    I.setPendingEptExit(49, 0, 0, 0, 0xfee00000 | 0, 0);
    I.performPendingExit();
    expectExit(49);
    expect(fieldValue(0x2400)).toBe(0xfee00000n);
    // Hypervisors skip MMIO instructions by it.
    expect(V[F.EXIT_INSTRUCTION_LENGTH]).toBe(6);
  });

  it('the APIC-access page serves TPR and exits for the rest', () => {
    launch([0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401e, 0x23], [0x2014, 0x13000]);
    virtualApicWrite(0x80, 4, 0x23);
    expect(physRead8(VIRTUAL_APIC + 0x80)).toBe(0x23);
    expect(virtualApicRead(0x80, 4)).toBe(0x23);
    registerRecord();
    const result = run(() => { virtualApicRead(0x320, 4); });
    expect(result).toBe('fault');
    expect(R[FAULT_KIND]).toBe(FK_VM_EXIT);
    I.performPendingExit();
    expectExit(44, 0x320);
    plain('vmresume');
    run(() => virtualApicWrite(0x300, 4, 1));
    I.performPendingExit();
    expectExit(44, 0x1300);
    plain('vmresume');
    I.noteDelivery(0, 0x30, false, 0, 0, 2);
    run(() => virtualApicWrite(0x300, 4, 1));
    I.performPendingExit();
    expectExit(44, 0x3300);
    expect(V[F.IDT_VECTORING_INFO]).toBe(0x80000030 | 0);
  });
});
