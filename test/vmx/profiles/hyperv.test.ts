/**
 * What Hyper-V and VMware's hypervisors are known to use of VMX beyond the common: virtual NMIs, every interrupt through the hypervisor, the virtual APIC, PERF_GLOBAL_CTRL, all
 * INVVPID types, and the instruction exits that Xen had to add for them. The evidence is indirect: neither was run.
 */
import '../../support/bare-cpu';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ACTIVITY, PAT, PERF_GLOBAL_CTRL, R, RAX, RBX, RCX, SIGNALS, SIG_INTR, EFER } from '../../../src/cpu/state';
import { physRead32, physWrite32, physWrite64 } from '../../../src/cpu/mmu/physical';
import { msrValue, readMsr, writeMsr } from '../../../src/cpu/msr';
import { platform } from '../../../src/cpu/platform';
import { loadAssembly } from '../../support/assembled';
import { run } from '../../support/bare-cpu';
import {
  at, becomeProfile, createCpu, enter, ENTRY_64, EXIT, field, GUEST_DATA, GUEST_IDT, HOST, PIN, PROC, PROC2, reason, resume, skip, VIRTUAL_APIC,
} from './runner';
import type { Change } from './runner';

const VIRTUAL_NMIS = 0x28, NMI_WINDOW = 1 << 22, INTERRUPT_WINDOW = 4, TPR_SHADOW = 1 << 21, UNCONDITIONAL_IO = 1 << 24;
const ENTRY_PERF_GLOBAL = 1 << 13, EXIT_PERF_GLOBAL = 1 << 12;
const IRETQ_GATE = 0x8e00;

beforeAll(createCpu);

/** A 64-bit interrupt gate to a label, and descriptors for the code it names. */
function gates(...vectors: [number, string][]): readonly Change[] {
  for (const [vector, label] of vectors) {
    physWrite32(GUEST_IDT + 16 * vector, 0x80000 | (at(label) & 0xffff));
    physWrite32(GUEST_IDT + 16 * vector + 4, (at(label) & 0xffff0000) | IRETQ_GATE);
    physWrite32(GUEST_IDT + 16 * vector + 8, 0);
  }
  return [[0x6816, at('gdt')], [0x4810, 0x1f]];
}

const GDT = `
align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0`;

describe.each(['hyperv', 'esxi', 'workstation'])('PERF_GLOBAL_CTRL of %s', (name) => {
  beforeEach(() => becomeProfile(name));

  it('is storage for as many counters as a processor of the kind has', () => {
    expect(writeMsr(0x38f, 0xff, 7)).toBe(true);
    expect([readMsr(0x38f), msrValue[0], msrValue[1]]).toEqual([true, 0xff, 7]);
    for (const [lo, hi] of [[0x100, 0], [0, 8], [-1, -1]]) expect(writeMsr(0x38f, lo, hi)).toBe(false);
    expect([readMsr(0x38f), msrValue[0]]).toEqual([true, 0xff]);
  });

  it('is loaded at entry and exit', () => {
    enter(64, 'mov ecx, 0x38f\nrdmsr\nmov ebx, eax\nmov eax, 0x0f\nwrmsr\ncpuid', () => [
      [0x4012, ENTRY_64 | ENTRY_PERF_GLOBAL], [0x2808, 3, 7], [0x400c, EXIT | EXIT_PERF_GLOBAL], [0x2c04, 0x81, 1], [0x4002, PROC | (1 << 28)], [0x2004, 0x38000],
    ]);
    expect([reason(), R[RBX], R[PERF_GLOBAL_CTRL], R[PERF_GLOBAL_CTRL + 1]]).toEqual([10, 3, 0x81, 1]);
    // No exit saves it: the field is what it was.
    expect([field(0x2808), field(0x2c04)]).toEqual([3, 0x81]);
  });

  it('stays where no control loads it', () => {
    enter(64, 'mov ecx, 0x38f\nmov eax, 0x0f\nxor edx, edx\nwrmsr\ncpuid', () => [[0x4002, PROC | (1 << 28)], [0x2004, 0x38000], [0x2808, 3], [0x2c04, 5]]);
    expect([reason(), R[PERF_GLOBAL_CTRL]]).toEqual([10, 0x0f]);
  });

  it.each<[string, Change[], number | string]>([
    ['guest value with reserved bits', [[0x4012, ENTRY_64 | ENTRY_PERF_GLOBAL], [0x2808, 0x100]], 0x80000021],
    ['guest value with reserved high bits', [[0x4012, ENTRY_64 | ENTRY_PERF_GLOBAL], [0x2808, 0, 0x10]], 0x80000021],
    ['host value with reserved bits', [[0x400c, EXIT | EXIT_PERF_GLOBAL], [0x2c04, 1 << 9]], 'VM-instruction error 8'],
    ['the same without the controls', [[0x2808, 0x100], [0x2c04, 1 << 9]], 10],
  ])('%s', (_what, changes, result) => {
    enter(64, 'cpuid', () => changes);
    expect(reason()).toBe(result);
  });
});

it('PERF_GLOBAL_CTRL controls are refused on other machines', () => {
  becomeProfile('windows');
  enter(64, 'cpuid', () => [[0x4012, ENTRY_64 | ENTRY_PERF_GLOBAL]]);
  expect(reason()).toBe('VM-instruction error 7');
  expect([writeMsr(0x38f, -1, -1), readMsr(0x38f), msrValue[0]]).toEqual([true, true, 0]);
});

describe('virtual NMIs', () => {
  beforeEach(() => becomeProfile('hyperv'));

  it('are injected, block the next until IRET, and the NMI window opens then', () => {
    enter(64, `start: inc ebx\ncpuid\njmp start\nnmi: cpuid\niretq${GDT}`, () => [[0x4000, PIN | VIRTUAL_NMIS], [0x4016, 0x80000202 | 0], ...gates([2, 'nmi'])]);
    // In the handler: blocked.
    expect([reason(), field(0x681e), field(0x4824) & 8]).toEqual([10, at('nmi'), 8]);
    skip([[0x4002, PROC | NMI_WINDOW]]);
    // The IRET ended the blocking: the window, before the next instruction.
    expect([reason(), field(0x681e), field(0x4824) & 8]).toEqual([8, at('start'), 0]);
    resume([[0x4002, PROC], [0x4016, 0x80000202 | 0]]);
    expect([reason(), field(0x681e)]).toEqual([10, at('nmi')]);
  });

  it('cannot be had without NMI exiting, nor their window without them', () => {
    enter(64, 'cpuid', () => [[0x4000, PIN | 0x20]]);
    expect(reason()).toBe('VM-instruction error 7');
    enter(64, 'cpuid', () => [[0x4000, PIN | 8], [0x4002, PROC | NMI_WINDOW]]);
    expect(reason()).toBe('VM-instruction error 7');
  });
});

describe('the root partition: its devices are its own, its interrupts come through the hypervisor', () => {
  beforeEach(() => becomeProfile('hyperv'));

  it('ports do not exit with empty bitmaps, and do where a bit is set', () => {
    const written: number[] = [];
    platform.writePort = (port) => { written.push(port); };
    enter(64, 'mov al, 1\nout 0x80, al\nmov dx, 0x3f8\nout dx, al\nmov dx, 0xcf8\nout dx, eax\ncpuid', () => {
      for (let n = 0; n < 0x2000; n += 4) physWrite32(0x90000 + n, 0);
      physWrite32(0x90000 + (0xcf8 >> 3), 1);
      return [[0x4002, PROC | (1 << 25)], [0x2000, 0x90000], [0x2002, 0x91000]];
    });
    expect([reason(), field(0x6400) >>> 16]).toEqual([30, 0xcf8]);
    expect(written).toEqual([0x80, 0x3f8]);
  });

  it('each interrupt exits acknowledged, and is injected when the guest can take it', () => {
    let vector = 0x50;
    platform.acknowledgeInterrupt = () => {
      R[SIGNALS] &= ~SIG_INTR;
      return vector++;
    };
    enter(64, `again: cpuid\nnop\nsti\nnop\ncli\njmp again\nirq: inc r8d\niretq${GDT}`, () => [
      [0x4000, PIN | VIRTUAL_NMIS | 1], [0x400c, EXIT | (1 << 15)], ...gates([0x50, 'irq'], [0x51, 'irq'], [0x52, 'irq']),
    ]);
    for (let n = 0; n < 3; n++) {
      expect([reason(), R[RAX + 16]]).toEqual([10, n]);
      R[SIGNALS] |= SIG_INTR;
      skip();
      expect([reason(), field(0x4404)]).toEqual([1, (0x80000050 | 0) + n]);
      // Interrupts are off in the guest: wait for the window.
      resume([[0x4002, PROC | INTERRUPT_WINDOW]]);
      expect(reason()).toBe(7);
      resume([[0x4002, PROC], [0x4016, (0x80000050 | 0) + n]]);
    }
    expect([reason(), R[RAX + 16]]).toEqual([10, 3]);
  });
});

describe.each(['hyperv', 'esxi', 'workstation'])('the TPR shadow of %s', (name) => {
  beforeEach(() => becomeProfile(name));
  const shadow: Change[] = [[0x4002, PROC | TPR_SHADOW], [0x2012, VIRTUAL_APIC], [0x401c, 3]];

  it('serves CR8 without exits until the priority falls below the threshold', () => {
    enter(64, 'mov rax, cr8\nmov ebx, eax\nmov eax, 5\nmov cr8, rax\nmov rcx, cr8\nmov eax, 2\nmov cr8, rax\nnop', () => {
      physWrite32(VIRTUAL_APIC + 0x80, 0x90);
      return shadow;
    });
    expect([reason(), R[RBX], R[RCX], physRead32(VIRTUAL_APIC + 0x80)]).toEqual([43, 9, 5, 0x20]);
  });

  it('serves the TPR in memory too, and exits for other registers (XP writes it all the time)', () => {
    enter(64, 'mov dword [0x600080], 0x70\nmov ebx, [0x600080]\nmov ecx, [0x600300]\ncpuid', () => [...shadow, [0x401c, 0], [0x401e, PROC2 | 1], [0x2014, 0x600000]]);
    expect([reason(), R[RBX], field(0x6400)]).toEqual([44, 0x70, 0x300]);
  });
});

describe('INVVPID', () => {
  it.each<[number, number, number, number, string]>([
    [0, 1, 0x1000, 0, 'succeed'], [1, 1, 0, 0, 'succeed'], [2, 0, 0, 0, 'succeed'], [3, 1, 0, 0, 'succeed'],
    [0, 0, 0x1000, 0, 'error 28'], [1, 0, 0, 0, 'error 28'], [3, 0, 0, 0, 'error 28'], [4, 1, 0, 0, 'error 28'], [0, 1, 0, 0x8000, 'error 28'], [1, 0x10001, 0, 0, 'error 28'],
  ])('type %i of VPID %i, address (%i, %i): %s', (type, vpid, lo, hi, result) => {
    becomeProfile('hyperv');
    enter(64, 'cpuid');
    expect(reason()).toBe(10);
    // By the host, which stands after its exit.
    physWrite64(GUEST_DATA, vpid, 0);
    physWrite64(GUEST_DATA + 8, lo, hi);
    loadAssembly(64, HOST, `default abs\nmov eax, ${type}\ninvvpid rax, [${GUEST_DATA}]\nseta bl\nsetz cl\nmovzx r8d, bl\nmovzx r9d, cl\nhlt`);
    R[ACTIVITY] = 0;
    run();
    expect(R[RAX + 16] === 1 ? 'succeed' : R[RAX + 18] === 1 ? `error ${field(0x4400)}` : 'invalid').toBe(result);
  });
});

describe.each(['esxi', 'workstation'])('the instruction exits of %s', (name) => {
  beforeEach(() => becomeProfile(name));

  it.each<[string, string, Change, number]>([
    ['RDPMC', 'xor ecx, ecx\nrdpmc', [0x4002, PROC | (1 << 11)], 15], ['PAUSE', 'pause', [0x4002, PROC | (1 << 30)], 40], ['RDTSC', 'rdtsc', [0x4002, PROC | (1 << 12)], 16],
    ['HLT', 'hlt', [0x4002, PROC | 0x80], 12], ['INVLPG', 'invlpg [0x1000]', [0x4002, PROC | 0x200], 14], ['WBINVD', 'wbinvd', [0x401e, PROC2 | 0x40], 54],
    ['SGDT', 'sgdt [0x80000]', [0x401e, PROC2 | 4], 46], ['SIDT', 'sidt [0x80000]', [0x401e, PROC2 | 4], 46], ['LGDT', 'lgdt [0x80000]', [0x401e, PROC2 | 4], 46],
    ['LIDT', 'lidt [0x80000]', [0x401e, PROC2 | 4], 46], ['SLDT', 'sldt ax', [0x401e, PROC2 | 4], 47], ['STR', 'str ax', [0x401e, PROC2 | 4], 47],
    ['LLDT', 'xor eax, eax\nlldt ax', [0x401e, PROC2 | 4], 47], ['LTR', 'mov eax, 0x30\nltr ax', [0x401e, PROC2 | 4], 47],
    ['CR8 load', 'mov cr8, rax', [0x4002, PROC | (1 << 19)], 28], ['CR8 store', 'mov rax, cr8', [0x4002, PROC | (1 << 20)], 28],
    ['port 5658h', 'mov edx, 0x5658\nin eax, dx', [0x4002, PROC | UNCONDITIONAL_IO], 30],
  ])('%s exits with its control', (_what, code, change, expected) => {
    enter(64, `${code}\ncpuid`, () => [change]);
    expect(reason()).toBe(expected);
    skip();
    expect(reason()).toBe(10);
  });

  it.each(['pause', 'rdtsc', 'wbinvd', 'invlpg [0x1000]', 'sgdt [0x80000]', 'sidt [0x80000]', 'sldt ax', 'str ax', 'xor eax, eax\nlldt ax'])('%s does not without', (code) => {
    enter(64, `${code}\ncpuid`);
    expect(reason()).toBe(10);
  });

  it('port 5658h without an exit floats: EAX becomes all ones, EBX stays', () => {
    platform.readPort = () => -1;
    enter(64, 'mov eax, 0x564d5868\nmov ebx, 0x12345678\nmov ecx, 10\nmov edx, 0x5658\nin eax, dx\nmov r8d, eax\nmov r9d, ebx\ncpuid');
    expect([reason(), R[RAX + 16], R[RAX + 18]]).toEqual([10, -1, 0x12345678]);
  });

  it('PAT and EFER are exchanged by the controls', () => {
    enter(64, `mov ecx, 0x277\nrdmsr\nmov ebx, eax\nmov eax, 0x01010101\nmov edx, eax\nwrmsr\nmov ecx, 0xc0000080\nrdmsr\nmov r8d, eax\ncpuid`, () => [
      [0x4002, PROC | (1 << 28)], [0x2004, 0x38000], [0x4012, ENTRY_64 | (3 << 14)], [0x2804, 0x06060606, 0x06060606], [0x2806, 0x501],
      [0x400c, EXIT | (15 << 18)], [0x2c00, 0x00070406, 0x00070406], [0x2c02, 0xd01],
    ]);
    expect([reason(), R[RBX], R[RAX + 16], field(0x2804), field(0x2806), R[PAT], R[EFER]]).toEqual([10, 0x06060606, 0x501, 0x01010101, 0x501, 0x00070406, 0xd01]);
  });

  it('the IA-32e guest control follows the guest at exits', () => {
    enter(64, 'cpuid');
    expect(field(0x4012) & 0x200).toBe(0x200);
    enter(32, 'cpuid');
    expect(field(0x4012) & 0x200).toBe(0);
  });
});
