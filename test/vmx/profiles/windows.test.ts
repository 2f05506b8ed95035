/**
 * What Windows (XP to 8) and its boot code use of the processor when it is a guest: each case is a piece of guest code that must run in VMX non-root operation without an exit, up to
 * the CPUID that ends it, or exit just there where the SDM has it exit.
 */
import '../../support/bare-cpu';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KERNEL_GS_BASE, R, RAX, RBX, RCX, RDX } from '../../../src/cpu/state';
import { physRead32, physWrite32, physWrite64 } from '../../../src/cpu/mmu/physical';
import { at, becomeProfile, createCpu, enter, field, GUEST, GUEST_DATA, GUEST_IDT, GUEST_TABLES, MSR_BITMAP, PROC, reason } from './runner';
import type { Change } from './runner';

const MSR_BITMAPS: readonly Change[] = [[0x4002, PROC | (1 << 28)], [0x2004, MSR_BITMAP]];
const PD = 0x90000, PT = 0x91000;
const R8 = RAX + 16, R9 = RAX + 18;

beforeAll(createCpu);
beforeEach(() => becomeProfile('windows'));

/** Words of memory. */
function put(base: number, ...values: number[]): void {
  values.forEach((value, n) => physWrite32(base + 4 * n, value));
}

/** A 32-bit interrupt gate at privilege 3. */
function gate32(vector: number, label: string, selector = 8): void {
  put(GUEST_IDT + 8 * vector, (selector << 16) | (at(label) & 0xffff), (at(label) & 0xffff0000) | 0xee00);
}

const GDT = `
align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
        dq 0x00009b000000ffff, 0x000093000000ffff, 0x00cf9b000000ffff`;
const withGdt = (): Change[] => [[0x6816, at('gdt')], [0x4810, 0x47]];

describe('real mode', () => {
  it('starts at the reset vector: CS F000h at FFFF0000h', () => {
    enter(16, 'mov bx, 0x1234\nmov ax, cs\ncpuid', () => {
      // The page at 4 GiB - 2 MiB is the memory at 2 MiB: the code is copied to where its end is.
      for (let n = 0; n < 16; n += 4) physWrite32(0x3ffff0 + n, physRead32(GUEST + n));
      return [[0x0802, 0xf000], [0x6808, 0xffff0000 | 0], [0x681e, 0xfff0]];
    });
    expect([reason(), R[RBX] & 0xffff, field(0x681e)]).toEqual([10, 0x1234, 0xfff5]);
  });

  it('becomes "unreal": limits of 4 GiB stay after protected mode was left', () => {
    enter(16, `
        lgdt [pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp short next
next:   mov bx, 0x10
        mov ds, bx
        and al, 0xfe
        mov cr0, eax
        xor bx, bx
        mov ds, bx
        mov dword [dword 0x80000], 0x600d
        mov ecx, [dword 0x80000]
        cpuid
pointer: dw 0x17
        dd ${GUEST} + gdt
align 8
gdt:    dq 0, 0x00009b000000ffff, 0x00cf93000000ffff`, () => [[0x0806, GUEST >> 4], [0x680c, GUEST]]);
    expect([reason(), physRead32(GUEST_DATA), field(0x4806)]).toEqual([10, 0x600d, -1]);
  });

  it('calls interrupts through the table at 0', () => {
    enter(16, 'int 0x10\nmov cx, ax\ncpuid\nservice: mov ax, 0x4f02\niret', () => {
      put(4 * 0x10, ((GUEST >> 4) << 16) | at('service'));
      return [];
    });
    expect([reason(), R[RCX] & 0xffff]).toEqual([10, 0x4f02]);
  });
});

describe('virtual-8086 mode', () => {
  /** From ring 0 into v86 mode by IRET; its code lies at 8000h and ends in a HLT, which is #GP there. */
  const enterV86 = (flags: number): string => `
        mov eax, cr4
        or eax, 1
        mov cr4, eax
        push 0
        push 0
        push 0
        push 0
        push 0
        push 0x7f00
        push ${0x20000 | flags}
        push 0x800
        push 0
        iret
fault:  cpuid`;

  function run(code: number[], flags: number, redirected: boolean): void {
    enter(32, `${enterV86(flags)}\nother: mov ebx, 0x0bad\ncpuid`, () => {
      // TSS at A0000h: ESP0, SS0, the I/O bitmap behind the redirection bitmap.
      for (let n = 0; n < 0x200; n += 4) physWrite32(0xa0000 + n, 0);
      put(0xa0004, 0x7f000, 0x10);
      put(0xa0064, 0x00880000);
      put(0xa0068, redirected ? 0 : -1, redirected ? 0 : -1);
      put(0x8000, ...[0, 1, 2, 3].map((n) => code.slice(4 * n, 4 * n + 4).reduce((word, byte, i) => word | (byte << (8 * i)), 0)));
      // INT 21h handler of the 8086 table at 0:9000h: MOV AX, 1234h; IRET.
      put(4 * 0x21, 0x9000);
      put(0x9000, 0xcf1234b8 | 0);
      gate32(13, 'fault', 0x40);
      gate32(0x21, 'other', 0x40);
      return [
        [0x6816, gdtAt()], [0x4810, 0x47], [0x080e, 0x30], [0x6814, 0xa0000], [0x480e, 0x1ff], [0x4822, 0x8b], [0x0802, 0x40], [0x681c, 0x7f000],
      ];
    });
  }
  /** The guest's descriptors, apart from its code. */
  function gdtAt(): number {
    put(0xb0000, 0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300);
    put(0xb0040, 0x0000ffff, 0x00cf9b00);
    return 0xb0000;
  }

  it('with VME, INT n goes to the 8086 table without leaving the mode', () => {
    // INT 21h; MOV BX, AX; HLT, which is #GP in ring 3.
    run([0xcd, 0x21, 0x89, 0xc3, 0xf4], 0x3002, true);
    expect([reason(), R[RBX] & 0xffff]).toEqual([10, 0x1234]);
  });

  it('and through the IDT where the redirection bitmap says so', () => {
    run([0xcd, 0x21, 0x89, 0xc3, 0xf4], 0x3002, false);
    expect([reason(), R[RBX]]).toEqual([10, 0x0bad]);
  });

  it('with VME, CLI and STI change VIF at IOPL 0', () => {
    // STI; PUSHF; POP BX; HLT.
    run([0xfb, 0x9c, 0x5b, 0xf4], 0x2, true);
    expect([reason(), R[RBX] & 0x3200]).toEqual([10, 0x3200]);
  });
});

describe('paging', () => {
  const flat32: Change[] = [[0x6800, 0x80000031 | 0], [0x6802, PD]];

  it('of two levels', () => {
    enter(32, 'mov dword [0x400004], 5\nmov ebx, [0x400004]\ncpuid', () => {
      put(PD, PT | 7, (PT + 0x1000) | 7);
      for (let n = 0; n < 1024; n++) put(PT + 4 * n, (n << 12) | 7);
      put(PT + 0x1000, GUEST_DATA | 7);
      return [...flat32, [0x6804, 0x2600]];
    });
    expect([reason(), R[RBX], physRead32(GUEST_DATA + 4)]).toEqual([10, 5, 5]);
  });

  it('with 4 MiB pages, and PSE-36 beyond 4 GiB', () => {
    enter(32, 'mov ebx, [0x400000]\nmov ecx, [0x800000]\ncpuid', () => {
      put(PD, 0x87, 0x00000087, 0x00002087);
      put(0, 0x77);
      return [...flat32, [0x6804, 0x2610]];
    });
    // The third names 4 GiB: no RAM in the EPT there, so the exit has its guest-physical address.
    expect([reason(), R[RBX], field(0x2400), field(0x6400) & 1]).toEqual([48, 0x77, 0, 1]);
  });

  it('PAE with NX: fetches fault, reads do not', () => {
    enter(32, 'mov ebx, [0x200000]\nmov eax, 0x200000\njmp eax', () => {
      physWrite64(PD, PT | 1, 0);
      physWrite64(PT, 0x83, 0);
      physWrite64(PT + 8, 0x83, 0x80000000 | 0);
      put(0, 0x900f0b);
      return [[0x6800, 0x80000031 | 0], [0x6802, PD], [0x6804, 0x2620], [0x280a, PT | 1], [0x4004, 1 << 14], [0x4012, 0x11fb | (1 << 15)], [0x2806, 0x800]];
    });
    expect([reason(), field(0x4404), field(0x4406), field(0x6400)]).toEqual([0, 0x80000b0e | 0, 0x11, 0x200000]);
  });

  it('of four levels with 1 GiB pages', () => {
    enter(64, 'mov rax, 0x8000400000\nmov ebx, [rax]\ncpuid', () => {
      put(0x400000, 0x1234);
      physWrite64(GUEST_TABLES + 8, PD | 7, 0);
      physWrite64(PD, 0x87, 0);
      return [];
    });
    expect([reason(), R[RBX]]).toEqual([10, 0x1234]);
  });
});

describe('task gates', () => {
  it('for #DF and NMI exit as task switch, with the gate as source and the event as vectoring information', () => {
    enter(32, 'int 0x20\ncpuid', () => {
      put(0xb0000, 0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300, 0x00000067, 0x0000890a);
      put(GUEST_IDT + 8 * 0x20, 0x180000, 0xe500);
      return [[0x6816, 0xb0000], [0x4810, 0x1f]];
    });
    expect([reason(), field(0x6400), field(0x4408), field(0x440c)]).toEqual([9, 0xc0000018 | 0, 0x80000420 | 0, 2]);
  });
});

describe('instructions', () => {
  it.each<[string, string, number[], (() => readonly Change[])?]>([
    ['CMPXCHG8B', 'mov dword [0x80000], 1\nmov dword [0x80004], 2\nmov eax, 1\nmov edx, 2\nmov ebx, 3\nmov ecx, 4\nlock cmpxchg8b [0x80000]\nsetz r8b\nmov ebx, [0x80004]\nmovzx r8d, r8b', [4, 1]],
    ['CMPXCHG16B', 'mov qword [0x80000], 1\nmov qword [0x80008], 2\nmov eax, 1\nmov edx, 2\nmov ebx, 3\nmov ecx, 4\nlock cmpxchg16b [0x80000]\nsetz r8b\nmov ebx, [0x80008]\nmovzx r8d, r8b', [4, 1]],
    ['LAHF and SAHF', 'mov ah, 0xd5\nsahf\nmov eax, 0\nlahf\nmov ebx, eax\nmov r8d, 1', [0xd700, 1]],
    ['PREFETCHW', 'prefetchw [0x80000]\nmov ebx, 1\nmov r8d, 2', [1, 2]],
    ['SWAPGS, and KERNEL_GS_BASE written without an exit', 'mov ecx, 0xc0000102\nmov eax, 0x80000\nxor edx, edx\nwrmsr\nmov dword [0x80010], 9\nswapgs\nmov ebx, [gs:0x10]\nswapgs\nrdmsr\nmov r8d, eax', [9, 0x80000], () => MSR_BITMAPS],
    ['CR8', 'mov eax, 5\nmov cr8, rax\nmov rbx, cr8\nmov r8, cr8', [0, 0]],
    ['self-modified code', 'mov r8d, 2\nagain: mov ebx, 1\nmov byte [again + 1], 7\ndec r8d\njnz again', [7, 0]],
    ['RDTSC twice', 'rdtsc\nmov r8d, eax\nrdtsc\nsub eax, r8d\nmov ebx, eax\nmov r8d, 1', [2, 1]],
  ])('%s', (_what, code, [ebx, r8], changes) => {
    enter(64, `${code}\ncpuid`, changes);
    expect([reason(), R[RBX], R[R8]]).toEqual([10, ebx, r8]);
  });

  it('SYSCALL and SYSRET between the rings', () => {
    enter(64, `
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x00100008
        wrmsr
        inc ecx
        mov eax, kernel
        xor edx, edx
        wrmsr
        inc ecx
        inc ecx
        mov eax, 0x200
        wrmsr
        mov ecx, user
        mov r11d, 2
        o64 sysret
user:   mov ebx, 0x111
        syscall
kernel: mov r8d, ebx
        mov r9d, ecx
        cpuid${GDT}`, () => [...MSR_BITMAPS, ...withGdt()]);
    expect([reason(), R[R8], R[R9], field(0x0802) & 3]).toEqual([10, 0x111, at('kernel'), 0]);
  });

  it('SYSENTER to what the MSRs say', () => {
    enter(64, `mov ecx, 0x174\nmov eax, 8\nxor edx, edx\nwrmsr\ninc ecx\nmov eax, 0x7f000\nwrmsr\ninc ecx\nmov eax, target\nwrmsr\nsysenter\ntarget: mov rbx, rsp\ncpuid${GDT}`, () => [...MSR_BITMAPS, ...withGdt()]);
    expect([reason(), R[RBX], field(0x0802)]).toEqual([10, 0x7f000, 8]);
  });

  it('#NM for the FPU of another thread, then FXSAVE and FXRSTOR of all of it', () => {
    enter(64, `
        fninit
        fld1
        mov eax, 0x1234
        movd xmm3, eax
        fxsave [0x80000]
        mov rax, cr0
        or al, 8
        mov cr0, rax
        fldz
        fxrstor [0x80000]
        movd ebx, xmm3
        fnstsw ax
        mov r8d, eax
        cpuid
lazy:   clts
        inc r9d
        iretq${GDT}`, () => {
      put(GUEST_IDT + 16 * 7, 0x80000 | (at('lazy') & 0xffff), (at('lazy') & 0xffff0000) | 0x8e00, 0, 0);
      return withGdt();
    });
    // FTW of the image: only physical register 7 is in use.
    expect([reason(), R[RBX], R[R8] & 0x3800, R[R9], physRead32(GUEST_DATA + 4) & 0xff]).toEqual([10, 0x1234, 0x3800, 1, 0x80]);
  });

  it('debug registers: a data breakpoint is a #DB of the guest', () => {
    enter(64, `
        mov eax, 0x80020
        mov dr0, rax
        mov eax, 0x000d0401
        mov dr7, rax
        mov dword [0x80020], 1
        mov ebx, 0x77
        cpuid
trap:   mov r8, dr6
        iretq${GDT}`, () => {
      put(GUEST_IDT + 16, 0x80000 | (at('trap') & 0xffff), (at('trap') & 0xffff0000) | 0x8e00, 0, 0);
      return withGdt();
    });
    expect([reason(), R[RBX], R[R8] & 0xf]).toEqual([10, 0x77, 1]);
  });

  it('an expand-down data segment ends below its limit', () => {
    enter(32, 'mov ax, 0x18\nmov ds, ax\nmov dword [0x80000], 6\nmov ebx, [0x80000]\nmov ecx, [0x7fffc]\ncpuid\nfault: cpuid', () => {
      // Base 0, limit 7Fh pages, expand-down, writable, B and G set: valid from 80000h.
      put(0xb0000, 0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300, 0x0000007f, 0x00c09700);
      gate32(13, 'fault');
      return [[0x6816, 0xb0000], [0x4810, 0x1f]];
    });
    expect([reason(), R[RBX], field(0x681e)]).toEqual([10, 6, at('fault')]);
  });
});

describe('MSRs that it reads and writes as a guest', () => {
  it.each([0x17, 0x8b, 0x1a0, 0xfe, 0x2ff, 0x179, 0xce, 0x198, 0x11e, 0x277, 0x1b, 0x10])('%i is read without an exit where the bitmap lets it, and exits where not', (index) => {
    enter(64, `mov ecx, ${index}\nrdmsr\ncpuid`, () => MSR_BITMAPS);
    expect(reason()).toBe(10);
    enter(64, `mov ecx, ${index}\nrdmsr\ncpuid`);
    expect(reason()).toBe(31);
    enter(64, `mov ecx, ${index}\nrdmsr\ncpuid`, () => {
      physWrite32(MSR_BITMAP + (index >> 5) * 4, 1 << (index & 31));
      return MSR_BITMAPS;
    });
    expect([reason(), R[RCX]]).toEqual([31, index]);
  });

  it('KERNEL_GS_BASE is the guest\'s own register: no list saves it by itself', () => {
    enter(64, 'mov ecx, 0xc0000102\nmov eax, 0x4444\nxor edx, edx\nwrmsr\ncpuid', () => MSR_BITMAPS);
    expect([reason(), R[KERNEL_GS_BASE], R[RDX]]).toEqual([10, 0x4444, 0]);
  });
});
