/** What a guest can use of VMX itself: the page-modification log, #VE, VM functions, the shadow VMCS, scaled time, PAUSE loops. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FAULT_KIND, FAULT_VECTOR, R, RAX, RBX, RCX, VMX_MODE, VMX_NON_ROOT } from '../../src/cpu/state';
import { FK_EXCEPTION, FK_VM_EXIT } from '../../src/cpu/fault';
import { beginSlice, resetClock, writeTsc } from '../../src/cpu/clock';
import { load32, store32 } from '../../src/cpu/mmu/access';
import { physRead32, physWrite32, physWrite64 } from '../../src/cpu/mmu/physical';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import * as I from '../../src/vmx/intercepts';
import { vmxHandlers } from '../../src/vmx/instructions';
import { EPT_PML4, VMCS_B, memoryRecord, plain, ready, registerRecord, run, vmread, vmwrite } from './machine';

const LOG = 0x21000, AREA = 0x22000, LIST = 0x23000, OTHER_PML4 = 0x24000, BITMAP = 0x25000;
/** A page under test in the third 2 MiB page. */
const PAGE = 0x400000, ENTRY = 0x1a010;
const PROC = 0x84006172 | 0, PROC2 = 0x22;

function launch(...changes: [number, number, number?][]): void {
  ready();
  for (const [encoding, lo, hi] of changes) expect(vmwrite(encoding, lo, hi ?? 0)).toBe('succeed');
  plain('vmlaunch');
  expect(R[VMX_MODE]).toBe(VMX_NON_ROOT);
}

/** An access by an instruction: what it ended in. */
function access(action: () => void): 'done' | 'exit' | number {
  return run(() => {
    registerRecord();
    R[FAULT_KIND] = 0;
    action();
  }) === 'ok' ? 'done' : R[FAULT_KIND] === FK_VM_EXIT ? 'exit' : R[FAULT_KIND] === FK_EXCEPTION ? R[FAULT_VECTOR] : -1;
}

describe('the page-modification log', () => {
  beforeEach(() => {
    launch([0x401e, PROC2 | (1 << 17)], [0x200e, LOG], [0x0812, 1], [0x201a, EPT_PML4 | 0x5e]);
  });

  it('takes each page once, in 4 KiB steps, until its dirty flag is cleared', () => {
    expect(access(() => { load32(PAGE, 0); })).toBe('done');
    expect(V[F.PML_INDEX] & 0xffff).toBeLessThanOrEqual(1);
    V[F.PML_INDEX] = 1;
    expect(access(() => { store32(PAGE + 0x1234, 0, 5); })).toBe('done');
    expect(physRead32(LOG + 8)).toBe(PAGE + 0x1000);
    expect(V[F.PML_INDEX]).toBe(0);
    expect(access(() => { store32(PAGE + 0x1238, 0, 5); })).toBe('done');
    expect(V[F.PML_INDEX]).toBe(0);
    expect(physRead32(ENTRY) & 0x300).toBe(0x300);
  });

  it('exits when it is full, with nothing changed', () => {
    expect(access(() => { load32(PAGE, 0); })).toBe('done');
    V[F.PML_INDEX] = 0xffff;
    expect(access(() => { store32(PAGE, 0, 5); })).toBe('exit');
    expect(physRead32(ENTRY) & 0x300).toBe(0x100);
    I.performPendingExit();
    expect(V[F.EXIT_REASON]).toBe(62);
  });
});

describe('#VE', () => {
  beforeEach(() => {
    launch([0x401e, PROC2 | (1 << 18)], [0x202a, AREA], [0x0004, 0x1234]);
    physWrite64(ENTRY, 0, 0);
  });

  it('takes the place of an EPT violation', () => {
    expect(access(() => { load32(PAGE + 8, 0); })).toBe(20);
    expect([0, 4, 8, 16, 24, 32].map((at) => physRead32(AREA + at))).toEqual([48, -1, 0x581, PAGE + 8, PAGE + 8, 0x1234]);
    // The area is in use now.
    expect(access(() => { load32(PAGE + 8, 0); })).toBe('exit');
  });

  it('can be suppressed by the entry', () => {
    physWrite64(ENTRY, 0, 0x80000000 | 0);
    expect(access(() => { load32(PAGE, 0); })).toBe('exit');
    expect(physRead32(AREA)).toBe(0);
  });
});

describe('VMFUNC', () => {
  it('switches to an EPT pointer of the list', () => {
    launch([0x401e, PROC2 | (1 << 13)], [0x2018, 1], [0x2024, LIST]);
    physWrite64(OTHER_PML4, 0x19007, 0);
    physWrite64(LIST + 8, OTHER_PML4 | 0x1e, 0);
    R[RAX] = 0;
    R[RCX] = 1;
    run(() => vmxHandlers.vmfunc(registerRecord()));
    expect(R[VMX_MODE]).toBe(VMX_NON_ROOT);
    expect(V[F.EPT_POINTER]).toBe(OTHER_PML4 | 0x1e);
    R[RCX] = 2;
    run(() => vmxHandlers.vmfunc(registerRecord()));
    expect(V[F.EXIT_REASON]).toBe(59);
  });

  it('is #UD beyond function 63', () => {
    launch([0x401e, PROC2 | (1 << 13)], [0x2018, 1], [0x2024, LIST]);
    R[RAX] = 64;
    expect(access(() => vmxHandlers.vmfunc(registerRecord()))).toBe(6);
  });
});

describe('a shadow VMCS', () => {
  it('is what VMREAD and VMWRITE of the guest reach where the bitmaps allow', () => {
    ready();
    physWrite32(VMCS_B, 0x80000011 | 0);
    for (const [encoding, lo] of [[0x401e, PROC2 | (1 << 14)], [0x2026, BITMAP], [0x2028, BITMAP], [0x2800, VMCS_B]]) vmwrite(encoding, lo);
    vmwrite(0x2800, VMCS_B, 0);
    plain('vmlaunch');
    const own = V[F.GUEST_RSP];
    expect(vmwrite(0x681c, 0x77, 0x1)).toBe('succeed');
    expect(vmread(0x681c)).toBe('succeed');
    expect([R[RBX], R[RBX + 1], V[F.GUEST_RSP]]).toEqual([0x77, 1, own]);
    physWrite32(BITMAP + (0x681c >> 3), 1 << (0x681c & 7));
    run(() => { R[RCX] = 0x681c; vmxHandlers.vmread(registerRecord(1, 3)); });
    expect(V[F.EXIT_REASON]).toBe(23);
  });
});

describe('time', () => {
  it('is scaled, then offset', () => {
    launch([0x4002, PROC | 8], [0x401e, PROC2 | (1 << 25)], [0x2032, 0, 0x18000], [0x2010, 5, 0]);
    resetClock();
    writeTsc(0x10000001, 0x20);
    // 3/2 of 20_1000_0001h is 30_1800_0001h (and a half).
    expect(I.tscWordsForGuest() >>> 0).toBe(0x18000006);
  });

  it('is measured in PAUSE loops of ring 0', () => {
    launch([0x401e, PROC2 | (1 << 10)], [0x4020, 50], [0x4022, 30]);
    beginSlice(100_000);
    let rounds = 0;
    while (R[VMX_MODE] === VMX_NON_ROOT && rounds < 100) {
      run(() => { I.interceptPause(memoryRecord(0)); });
      rounds++;
    }
    expect(V[F.EXIT_REASON]).toBe(40);
    expect(rounds).toBeGreaterThan(20);
  });
});
