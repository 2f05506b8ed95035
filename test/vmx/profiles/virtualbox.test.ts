/** What VirtualBox 4.3 does with VMX, item by item: its way of setting up, entering and leaving, as its source has it. */
import '../../support/bare-cpu';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ACTIVITY, CPL, CR0, CR3, CR4, EFER, FEATURE_CONTROL, GDTR_BASE, GDTR_LIMIT, KERNEL_GS_BASE, LMA, LSTAR, R, RAX, RBX, RCX, RIP, SIGNALS, SIG_INTR, STAR, TSC_AUX, FMASK, VMX_MODE, VMX_OFF,
} from '../../../src/cpu/state';
import { physRead32, physWrite32, physWrite64 } from '../../../src/cpu/mmu/physical';
import { msrValue, readMsr } from '../../../src/cpu/msr';
import { platform } from '../../../src/cpu/platform';
import { PREEMPTION_TIMER_SHIFT } from '../../../src/vmx/capabilities';
import { resetVmx } from '../../../src/vmx/vcpu';
import { loadAssembly } from '../../support/assembled';
import { enterMode, run } from '../../support/bare-cpu';
import {
  becomeProfile, createCpu, enter, ENTRY_32, ENTRY_64, EPT, EXIT, field, GUEST, GUEST_DATA, HOST, MSR_BITMAP, MSR_LISTS, PIN, PROC, PROC2, reason, resume, skip, UNRESTRICTED, VMCS,
  VMXON_REGION,
} from './runner';
import type { Change } from './runner';

const MSR_BITMAPS = 1 << 28, UNCONDITIONAL_IO = 1 << 24, MOV_DR = 1 << 23;

beforeAll(createCpu);
beforeEach(() => becomeProfile('virtualbox'));

function msr(index: number): { lo: number; hi: number } {
  expect(readMsr(index)).toBe(true);
  return { lo: msrValue[0], hi: msrValue[1] };
}

describe('controls from the old capability MSRs only', () => {
  const old = (index: number, wanted: number): number => (msr(index).lo | wanted) & msr(index).hi;

  it('with nested paging: the CR3 bits are cleared although the old MSR says they are always 1', () => {
    enter(64, 'mov rax, cr3\nmov cr3, rax\nmov dword [0x80000], 7\ncpuid', () => [
      [0x4000, old(0x481, 9)], [0x4002, old(0x482, 0x80000080 | 0) & ~0x18000], [0x400c, old(0x483, 0x200)], [0x4012, old(0x484, 0x204)],
    ]);
    expect([reason(), physRead32(GUEST_DATA)]).toEqual([10, 7]);
  });

  it('with shadow paging: as the old MSR says, and CR3 accesses exit', () => {
    becomeProfile('virtualbox', 'hap = 0');
    enter(64, 'mov rax, cr3\nmov cr3, rax\ncpuid', () => [
      [0x4000, old(0x481, 9)], [0x4002, old(0x482, 0x80)], [0x401e, 0], [0x400c, old(0x483, 0x200)], [0x4012, old(0x484, 0x204)],
    ]);
    expect([reason(), field(0x6400)]).toEqual([28, 0x13]);
    skip();
    expect([reason(), field(0x6400)]).toEqual([28, 3]);
    skip();
    expect(reason()).toBe(10);
  });

  it('reads the timer rate from MISC, where it is the one the timer has', () => expect(msr(0x485).lo & 31).toBe(PREEMPTION_TIMER_SHIFT));
});

describe('a VMCS that was allocated as zeroes', () => {
  it('has 0 in every field that is never written, and enters', () => {
    enter(64, 'cpuid');
    expect(reason()).toBe(10);
    for (const encoding of [0x400a, 0x400e, 0x4010, 0x4014, 0x2000, 0x2002, 0x2004, 0x4006, 0x4008, 0x2010, 0x4016, 0x4018, 0x401a, 0x6008, 0x600a, 0x4824, 0x4826, 0x6822]) {
      expect(field(encoding), encoding.toString(16)).toBe(0);
    }
  });
});

describe('VMXON and VMXOFF', () => {
  const CYCLE = `
        mov rax, cr4
        or eax, 0x2000
        mov cr4, rax
        vmxon [region]
        jbe bad
        invept rbx, [descriptor]
        jbe bad
        vmxoff
        jbe bad
        mov rax, cr4
        and eax, ~0x2000
        mov cr4, rax`;
  const DATA = `
bad:    mov r15d, 0xbad
        hlt
align 8
region: dq ${VMXON_REGION}
descriptor: dq 0, 0`;

  beforeEach(() => {
    enterMode(64);
    resetVmx();
    R[FEATURE_CONTROL] = 5;
    physWrite32(VMXON_REGION, 0x11);
  });

  it('are the probe, and come and go for every use, each with INVEPT of everything', () => {
    loadAssembly(64, HOST, `default abs\nmov ebx, 2\nmov ecx, 5\nagain:${CYCLE}\ndec ecx\njnz again\nmov r15d, 0x600d\nhlt${DATA}`);
    run();
    expect([R[RAX + 30], R[VMX_MODE], R[CR4] & 0x2000]).toEqual([0x600d, VMX_OFF, 0]);
  });

  it('VMXON in VMX operation fails without starting anything, which is how another hypervisor is noticed', () => {
    R[CR4] |= 0x2000;
    loadAssembly(64, HOST, `default abs\nvmxon [region]\njbe bad\nvmxon [region]\nsetbe al\nmovzx r15d, al\nhlt${DATA}`);
    run();
    expect([R[RAX + 30], R[VMX_MODE]]).toEqual([1, 1]);
  });

  it('lock and bit 2 of FEATURE_CONTROL are enough: bit 1 (inside SMX) is not needed', () => {
    R[FEATURE_CONTROL] = 5;
    loadAssembly(64, HOST, `default abs\nmov ebx, 2${CYCLE}\nmov r15d, 0x600d\nhlt${DATA}`);
    run();
    expect(R[RAX + 30]).toBe(0x600d);
  });
});

describe('the VMCS around every run', () => {
  it('is cleared, loaded and launched again, and keeps its fields', () => {
    enter(64, 'again: inc ebx\ncpuid\njmp again');
    for (let n = 1; n <= 3; n++) {
      expect([reason(), R[RBX] > 0, field(0x681e)]).toEqual([10, true, GUEST + 2]);
      resume([[0x681e, GUEST]], true);
    }
  });

  it('is launched after VMCLEAR only, resumed without', () => {
    enter(64, 'cpuid\ncpuid\ncpuid');
    const host = loadAssembly(64, HOST, `default abs\nvmlaunch\nhlt\nnext: vmclear [p]\nvmptrld [p]\nvmresume\nhlt\nalign 8\np: dq ${VMCS}`);
    R[ACTIVITY] = 0;
    run();
    expect(field(0x4400)).toBe(4);
    R[ACTIVITY] = 0;
    R[RIP] = host('next');
    run();
    expect(field(0x4400)).toBe(5);
  });
});

describe('interrupts are not acknowledged at exits', () => {
  it.each([[0, 0, 0, true], [1 << 15, 0x80000051 | 0, 1, false]])('acknowledgement control %i', (control, info, taken, left) => {
    let acknowledged = 0;
    platform.acknowledgeInterrupt = () => {
      acknowledged++;
      R[SIGNALS] &= ~SIG_INTR;
      return 0x51;
    };
    enter(64, 'cpuid\nnop\njmp $', () => [[0x4000, PIN | 1], [0x400c, EXIT | control]]);
    R[SIGNALS] |= SIG_INTR;
    skip();
    expect([reason(), field(0x4404), acknowledged, (R[SIGNALS] & SIG_INTR) !== 0]).toEqual([1, info, taken, left]);
    R[SIGNALS] &= ~SIG_INTR;
  });
});

describe('unconditional I/O exiting', () => {
  it.each([
    ['in al, 0x60', 0x600048], ['out 0x80, al', 0x800040], ['mov dx, 0x1f0\nin eax, dx', 0x1f0000b], ['mov dx, 0x3f8\nout dx, ax', 0x3f80001],
    ['mov dx, 0xcfc\ninsd', 0xcfc001b], ['mov dx, 0x1f0\nrep outsw', 0x1f00031],
  ])('%s', (code, qualification) => {
    enter(64, `mov edi, ${GUEST_DATA}\nmov esi, ${GUEST_DATA}\nmov ecx, 3\n${code}\ncpuid`, () => [[0x4002, PROC | UNCONDITIONAL_IO]]);
    expect([reason(), field(0x6400)]).toEqual([30, qualification]);
    skip();
    expect(reason()).toBe(10);
  });
});

describe('MOV DR exiting', () => {
  it('is switched on and off between entries', () => {
    enter(64, 'mov rax, dr7\nmov dr0, rax\ncpuid', () => [[0x4002, PROC | MOV_DR]]);
    expect([reason(), field(0x6400)]).toEqual([29, 0x17]);
    resume([[0x4002, PROC]]);
    expect(reason()).toBe(10);
  });
});

describe('MSRs that are exchanged by lists at every entry and exit', () => {
  const NAMES = [0xc0000081, 0xc0000082, 0xc0000084, 0xc0000102, 0xc0000103];
  const WORDS = [STAR, LSTAR, FMASK, KERNEL_GS_BASE, TSC_AUX];
  const entry = (list: number, n: number): number => MSR_LISTS + 0x100 * list + 16 * n;

  it('are the guest\'s in the guest, and the host\'s again outside', () => {
    NAMES.forEach((index, n) => {
      for (const list of [0, 1]) {
        physWrite64(entry(list, n), index | 0, 0);
        physWrite64(entry(list, n) + 8, list === 0 ? 0x1000 + n : 0x2000 + n, 0);
      }
    });
    // The guest adds 10h to each; the same area is stored at the exit and loaded at the next entry.
    const add = NAMES.map((index) => `mov ecx, ${index}\nrdmsr\nadd eax, 16\nwrmsr`).join('\n');
    enter(64, `again: ${add}\ncpuid\njmp again`, () => [
      [0x4002, PROC | MSR_BITMAPS], [0x2004, MSR_BITMAP], [0x401e, PROC2 | 8], [0x4014, 5], [0x200a, MSR_LISTS], [0x400e, 5], [0x2006, MSR_LISTS], [0x4010, 5], [0x2008, MSR_LISTS + 0x100],
    ]);
    for (let round = 1; round <= 3; round++) {
      expect(reason()).toBe(10);
      expect(NAMES.map((_, n) => physRead32(entry(0, n) + 8))).toEqual(NAMES.map((_, n) => 0x1000 + n + 16 * round));
      expect(WORDS.map((word) => R[word])).toEqual(NAMES.map((_, n) => 0x2000 + n));
      resume([[0x681e, GUEST]], round === 2);
    }
  });
});

describe('EFER is not exchanged', () => {
  const READ_EFER = 'mov ecx, 0xc0000080\nrdmsr\nmov ebx, eax\ncpuid';

  it('a 64-bit guest sees the host\'s SCE and NXE with its own LMA and LME', () => {
    enter(64, READ_EFER, () => [[0x4002, PROC | MSR_BITMAPS], [0x2004, MSR_BITMAP]]);
    expect([reason(), R[RBX]]).toEqual([10, 0xd01]);
  });

  it('a 32-bit guest has LMA and LME off, SCE and NXE still on, and the host has all back', () => {
    enter(32, READ_EFER, () => [
      [0x4002, PROC | MSR_BITMAPS], [0x2004, MSR_BITMAP], [0x6800, 0x80000031 | 0], [0x6802, 0x90000], [0x6804, 0x2610], ...bigPages(),
    ]);
    expect([reason(), R[RBX], R[EFER], R[LMA]]).toEqual([10, 0x801, 0xd01, 1]);
  });
});

/** A page directory of 4 MiB pages at 90000h, identity-mapped. */
function bigPages(): Change[] {
  for (let n = 0; n < 4; n++) physWrite32(0x90000 + 4 * n, (n << 22) | 0x87);
  return [];
}

describe('MMIO by EPT misconfiguration', () => {
  it('exits with the guest-physical address, and the mended entry holds at once', () => {
    enter(64, `mov dword [0x600010], 5\ncpuid`, () => {
      physWrite64(EPT + 0x2018, 0x6000b6, 0);
      return [];
    });
    expect([reason(), field(0x2400)]).toEqual([49, 0x600010]);
    physWrite64(EPT + 0x2018, 0x6000b7, 0);
    resume();
    expect([reason(), physRead32(0x600010)]).toEqual([10, 5]);
  });
});

describe('segments', () => {
  it('FS and GS bases of unusable segments survive entry and exit', () => {
    const unusable: Change[] = [[0x481c, 0x10000], [0x481e, 0x10000], [0x680e, 0x12345678, 0x7fff], [0x6810, 0x9abcdef0 | 0, -1]];
    enter(64, 'cpuid\ncpuid', () => unusable);
    for (let n = 0; n < 2; n++) {
      expect([reason(), field(0x680e), field(0x6810), field(0x481c) & 0x10000]).toEqual([10, 0x12345678, 0x9abcdef0 | 0, 0x10000]);
      skip();
    }
  });

  it('CPL is the DPL of SS, whatever the selectors say', () => {
    // Real mode with selectors that end in 3: HLT is privileged and must be let through to its exit.
    enter(16, 'hlt', () => [[0x4002, PROC | 0x80], [0x0802, (GUEST >> 4) | 3], [0x0804, 3], [0x6804, 0x2600]]);
    expect(reason()).toBe(12);
    // Ring 3: #GP instead, which the exception bitmap shows.
    enter(64, 'hlt', () => [[0x4002, PROC | 0x80], [0x4004, 1 << 13], [0x0802, 0x1b], [0x4816, 0xa0fb], [0x0804, 0x13], [0x4818, 0xc0f3]]);
    expect([reason(), field(0x4404)]).toEqual([0, 0x80000b0d | 0]);
    expect(R[CPL]).toBe(0);
  });

  it('an unusable SS still has the CPL in its DPL', () => {
    enter(64, 'hlt', () => [[0x4002, PROC | 0x80], [0x4004, 1 << 13], [0x0802, 0x1b], [0x4816, 0xa0fb], [0x0804, 3], [0x4818, 0x10060]]);
    expect(reason()).toBe(0);
    expect((field(0x4818) >>> 5) & 3).toBe(3);
  });
});

describe('a 32-bit host', () => {
  it('prepares the VMCS in 32-bit code, leaves VMX, and runs the 64-bit guest from a switcher in 64-bit code', () => {
    enter(64, 'mov rbx, 0x1122334455667788\ncpuid', () => []);
    expect(reason()).toBe(10);
    // The same fields, but for three that 32-bit code writes afterwards.
    const host = loadAssembly(32, HOST, `
        vmxon [region]
        jbe bad
        vmclear [vmcs]
        vmptrld [vmcs]
        mov eax, 0x681e         ; natural width: 32 bits, the high half becomes 0
        mov ebx, ${GUEST}
        vmwrite eax, ebx
        mov eax, 0x2010         ; 64 bits in two halves
        mov ebx, 0x11111111
        vmwrite eax, ebx
        inc eax
        mov ebx, 0x22222222
        vmwrite eax, ebx
        mov eax, 0x6c16
        mov ebx, back
        vmwrite eax, ebx
        vmclear [vmcs]
        vmxoff
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, 0x1000
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 0x18:long
bad:    mov ebp, 0xbad
        hlt
align 8
region: dq ${VMXON_REGION}
vmcs:   dq ${VMCS}
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
bits 64
long:   vmxon [abs region]
        vmptrld [abs vmcs]
        vmlaunch
        mov ebp, 0xbad
        hlt
back:   mov eax, 0x2010
        vmread rcx, rax
        vmclear [abs vmcs]
        vmxoff
        hlt
`);
    // 32-bit paging with 4 MiB pages for the 32-bit part; the long-mode tables of the test's CPU stay at 1000h.
    enterMode(32);
    resetVmx();
    R[FEATURE_CONTROL] = 5;
    bigPages();
    R[CR3] = 0x90000;
    R[CR4] |= 0x2010;
    R[CR0] |= 0x80000000;
    R[GDTR_BASE] = host('gdt');
    R[GDTR_LIMIT] = 0x1f;
    R[RIP] = HOST;
    run();
    expect([R[RAX + 10], R[LMA], R[VMX_MODE], R[RCX], R[RCX + 1], R[RBX], R[RBX + 1]]).toEqual([0, 1, VMX_OFF, 0x11111111, 0x22222222, 0x55667788, 0x11223344]);
  });
});

describe('unrestricted guests', () => {
  it('are used with EPT only: without it the control is refused', () => {
    enter(16, 'cpuid', () => [[0x4012, ENTRY_32]]);
    expect(reason()).toBe(10);
    enter(16, 'cpuid', () => [[0x401e, UNRESTRICTED]]);
    expect(reason()).toBe('VM-instruction error 7');
    enter(64, 'cpuid', () => [[0x401e, 0], [0x4012, ENTRY_64]]);
    expect(reason()).toBe(10);
  });
});
