import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ACTIVITY, AR_UNUSABLE, CPL, CR2, CS, EFLAGS, F_IF, FS, NMI_BLOCKED, R, RAX, RBX, RCX, RDI, RDX, RIP, RSI, RSP, SEG_AR, SEG_BASE, SEG_SEL, SS, R8Q, R9Q } from '../../../src/cpu/state';
import { deliverEvent, EVENT_NMI } from '../../../src/cpu/interrupts';
import { memView } from '../../../src/cpu/mmu/memory';
import { createBareCpu, enterMode, run, shutdownReason } from '../../support/bare-cpu';
import { loadAssembly } from '../../support/assembled';

const CODE = 0x10000;

/** GDT, TSS and a subroutine that loads them and fills in the IDT; `gates` are texts from gate(). */
function tables(gates: string): string {
  return `
default abs
align 16
gdt:    dq 0
        dq 0x00af9b000000ffff      ; 08 kernel code
        dq 0x00cf93000000ffff      ; 10 kernel data
        dq 0x00cffb000000ffff      ; 18 user code 32
        dq 0x00cff3000000ffff      ; 20 user data
        dq 0x00affb000000ffff      ; 28 user code 64
        dw 0x67, tss, 0x8900, 0    ; 30 TSS (below 64 KiB + base in place)
        dq 0
gdtr:   dw $ - gdt - 1
        dq gdt
idtr:   dw 0xfff
        dq 0x20000
tss:    equ 0x9000
setup:  lgdt [gdtr]
        lidt [idtr]
        mov dword [tss + 4], 0x7000
        mov dword [tss + 8], 0
        mov dword [tss + 0x24], 0x6000
        mov dword [tss + 0x28], 0
        mov ax, 0x30
        ltr ax
${gates}
        ret
`;
}

function gate(vector: number, label: string, type = 0x8e, ist = 0): string {
  return `
        mov eax, ${label}
        mov word [0x20000 + 16 * ${vector}], ax
        mov word [0x20000 + 16 * ${vector} + 2], 8
        mov byte [0x20000 + 16 * ${vector} + 4], ${ist}
        mov byte [0x20000 + 16 * ${vector} + 5], ${type}
        shr eax, 16
        mov word [0x20000 + 16 * ${vector} + 6], ax
        mov dword [0x20000 + 16 * ${vector} + 8], 0`;
}

function program(main: string, gates: string): string {
  return `
        call setup
        jmp main
${tables(gates)}
main:
${main}
`;
}

const TO_USER = `
        push qword 0x23
        push qword 0x5000
        push qword 0x202
        push qword 0x2b
        push qword user
        iretq`;

beforeAll(() => createBareCpu(16));
beforeEach(() => {
  enterMode(64);
  for (let i = 0; i < 0x1000; i += 4) memView.setInt32(0x20000 + i, 0, true);
});

describe('IA-32e event delivery', () => {
  it('pushes SS, RSP, RFLAGS, CS, RIP on an aligned stack without privilege change', () => {
    const label = loadAssembly(64, CODE, program(`
        mov rsp, 0x8008
        stc
bad:    ud2
handler: pop rax
        pop rbx
        pop rcx
        pop rdx
        pop rsi
        hlt`, gate(6, 'handler')));
    run();
    expect(R[RAX]).toBe(label('bad'));
    expect(R[RBX]).toBe(8);
    expect(R[RCX] & 0x10001).toBe(0x10001);
    expect(R[RDX]).toBe(0x8008);
    expect(R[RSI]).toBe(0x10);
    expect(R[SEG_SEL + SS]).toBe(0x10);
  });

  it('reports a page fault with error code and CR2', () => {
    const label = loadAssembly(64, CODE, program(`
        mov rbx, 0xffff800012345678
bad:    mov [rbx], eax
        hlt
handler: pop rax
        pop rcx
        hlt`, gate(14, 'handler')));
    run();
    expect(R[RAX]).toBe(2);
    expect(R[RCX]).toBe(label('bad'));
    expect(R[CR2] >>> 0).toBe(0x12345678);
    expect(R[CR2 + 1] >>> 0).toBe(0xffff8000);
  });

  it('goes from ring 3 to the stack in the TSS and back', () => {
    const label = loadAssembly(64, CODE, program(`${TO_USER}
user:   mov edi, 1
        int 0x80
        mov r9d, 7
        hlt                         ; #GP in ring 3
handler: mov rsi, rsp
        mov edx, cs
        mov r8d, ss
        iretq
gp:     pop rax
        pop rbx
        pop rcx
        hlt`, gate(0x80, 'handler', 0xee) + gate(13, 'gp')));
    run();
    expect(R[RDI]).toBe(1);
    expect(R[RSI]).toBe(0x7000 - 40);
    expect(R[RDX]).toBe(8);
    expect(R[R8Q]).toBe(0);
    expect(R[R9Q]).toBe(7);
    expect(R[RAX]).toBe(0);
    expect(R[RCX]).toBe(0x2b);
    expect(R[RBX]).toBeGreaterThan(label('user'));
    expect(R[CPL]).toBe(0);
  });

  it('refuses INT n from ring 3 through a gate of DPL 0, with the gate in the error code', () => {
    const label = loadAssembly(64, CODE, program(`${TO_USER}
user:   int 0x81
        hlt
handler: hlt
gp:     pop rax
        pop rbx
        hlt`, gate(0x81, 'handler') + gate(13, 'gp')));
    run();
    expect(R[RAX]).toBe(0x81 * 8 + 2);
    expect(R[RBX]).toBe(label('user'));
  });

  it('uses an IST stack', () => {
    loadAssembly(64, CODE, program(`
        ud2
handler: mov rax, rsp
        hlt`, gate(6, 'handler', 0x8e, 1)));
    run();
    expect(R[RAX]).toBe(0x6000 - 40);
  });

  it('turns a missing handler into a double fault and a missing double-fault handler into shutdown', () => {
    loadAssembly(64, CODE, program(`
        mov ax, 0x7ff8
        mov ds, ax
        hlt
df:     pop rax
        mov edi, 8
        hlt`, gate(8, 'df')));
    run();
    expect(R[RDI]).toBe(8);
    expect(R[RAX]).toBe(0);
    enterMode(64);
    for (let i = 0; i < 0x1000; i += 4) memView.setInt32(0x20000 + i, 0, true);
    loadAssembly(64, CODE, program('        ud2', ''));
    run();
    expect(R[ACTIVITY]).toBe(2);
    expect(shutdownReason()).toContain('triple fault');
  });

  it('keeps the base of a null FS on the way to user mode, though the segment may not be used there', () => {
    loadAssembly(64, CODE, program(`${TO_USER}
user:   jmp user`, ''));
    // As a VM exit or a VM entry leaves it: null, yet usable, with DPL 0.
    R[SEG_SEL + FS] = 0;
    R[SEG_AR + FS] = 0xc093;
    R[SEG_BASE + 2 * FS] = 0x4004f380;
    R[SEG_BASE + 2 * FS + 1] = 0x7f;
    run(200);
    expect(R[CPL]).toBe(3);
    expect([R[SEG_SEL + FS], R[SEG_AR + FS] & AR_UNUSABLE]).toEqual([0, AR_UNUSABLE]);
    expect([R[SEG_BASE + 2 * FS], R[SEG_BASE + 2 * FS + 1]]).toEqual([0x4004f380, 0x7f]);
  });

  it('blocks NMIs from their delivery until IRET', () => {
    loadAssembly(64, CODE, program(`
        hlt
        mov ebx, 5
        hlt
nmi:    mov eax, 3
        hlt
        iretq`, gate(2, 'nmi')));
    run();
    deliverEvent(EVENT_NMI, 2, false, 0, 0);
    run();
    expect(R[RAX]).toBe(3);
    expect(R[NMI_BLOCKED]).toBe(1);
    R[ACTIVITY] = 0;
    run();
    expect(R[RBX]).toBe(5);
    expect(R[NMI_BLOCKED]).toBe(0);
  });
});

describe('fast system calls', () => {
  const MSRS = `
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x00180008
        wrmsr
        mov ecx, 0xc0000082
        mov eax, entry
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x200
        wrmsr
        mov eax, 0x174`;

  it('SYSCALL and SYSRET change ring, flags and stack selector', () => {
    const label = loadAssembly(64, CODE, program(`${MSRS}
${TO_USER}
user:   syscall
after:  mov edi, 9
        hlt
entry:  mov rbx, rcx
        mov esi, ss
        pushfq
        pop rdx
        mov r8, r11
        o64 sysret
gp:     mov r9d, cs
        mov rax, [rsp + 16]
        hlt`, gate(13, 'gp')));
    run();
    expect(R[RBX]).toBe(label('after'));
    expect(R[RSI]).toBe(0x10);
    expect(R[RDX] & F_IF).toBe(0);
    expect(R[R8Q] & F_IF).toBe(F_IF);
    expect(R[RDI]).toBe(9);
    expect(R[RAX]).toBe(0x2b);
    expect(R[R9Q]).toBe(8);
    expect(R[SEG_SEL + CS]).toBe(8);
  });

  it('SYSRET to a non-canonical address is #GP in ring 0', () => {
    loadAssembly(64, CODE, program(`${MSRS}
        mov rcx, 0x0000800000000000
        mov r11d, 2
        mov rsp, 0x4800
        o64 sysret
entry:
gp:     mov rax, [rsp + 16]
        mov rbx, [rsp + 32]
        hlt`, gate(13, 'gp')));
    run();
    expect(R[RAX]).toBe(8);
    expect(R[RBX]).toBe(0x4800);
  });
});

describe('control of interrupts and registers', () => {
  it('SWAPGS exchanges the bases and RDMSR shows them', () => {
    loadAssembly(64, CODE, program(`
        mov ecx, 0xc0000101
        mov eax, 0x1111
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000102
        mov eax, 0x2222
        mov edx, 0xffff8000
        wrmsr
        swapgs
        mov ecx, 0xc0000101
        rdmsr
        hlt`, ''));
    run();
    expect(R[RAX]).toBe(0x2222);
    expect(R[RDX] >>> 0).toBe(0xffff8000);
  });

  it('RDFSBASE and WRGSBASE are there with CR4.FSGSBASE', () => {
    loadAssembly(64, CODE, program(`
        mov rax, cr4
        or eax, 0x10000
        mov cr4, rax
        mov rax, 0xffff812345678000
        wrgsbase rax
        mov rcx, 0x1122334455
        wrfsbase ecx
        rdgsbase rbx
        rdfsbase rdx
        rdgsbase esi
        hlt`, ''));
    run();
    expect([R[RBX] >>> 0, R[RBX + 1] >>> 0]).toEqual([0x45678000, 0xffff8123]);
    expect([R[RDX] >>> 0, R[RDX + 1]]).toEqual([0x22334455, 0]);
    expect([R[RSI] >>> 0, R[RSI + 1]]).toEqual([0x45678000, 0]);
  });

  it('STAC and CLAC change RFLAGS.AC; INVPCID of a bad type is #GP(0)', () => {
    const label = loadAssembly(64, CODE, program(`
        stac
        pushfq
        clac
        pushfq
        mov eax, 4
bad:    invpcid rax, [rsp]
        hlt
gp:     pop rbx
        pop rcx
        mov rsi, [rsp + 32]
        mov rdi, [rsp + 40]
        hlt`, gate(13, 'gp')));
    run();
    expect(R[RBX]).toBe(0);
    expect(R[RCX]).toBe(label('bad'));
    expect(R[RSI] & 0x40000).toBe(0);
    expect(R[RDI] & 0x40000).toBe(0x40000);
  });

  it('WRMSR of a non-canonical base is #GP(0)', () => {
    const label = loadAssembly(64, CODE, program(`
        mov ecx, 0xc0000100
        mov edx, 0x00008000
bad:    wrmsr
        hlt
gp:     pop rbx
        pop rcx
        hlt`, gate(13, 'gp')));
    run();
    expect(R[RBX]).toBe(0);
    expect(R[RCX]).toBe(label('bad'));
  });

  it('clearing CR0.PG or CR4.PAE in 64-bit code is #GP(0)', () => {
    loadAssembly(64, CODE, program(`
        mov rax, cr0
        btr eax, 31
        mov cr0, rax
        hlt
gp:     inc edi
        mov rax, cr4
        btr eax, 5
        mov cr4, rax
        hlt`, gate(13, 'gp')));
    run(300);
    expect(R[RDI]).toBeGreaterThan(1);
  });

  it('far return to compatibility mode and far jump back', () => {
    loadAssembly(64, CODE, program(`
        push qword 0x40
        push qword compat
        o64 retf
bits 32
compat: mov ebx, 0x1234
        dec eax                     ; REX.W in 64-bit code
        inc ebx
        jmp 8:back
bits 64
back:   mov rcx, 0x123456789
        hlt`, '').replace('gdtr:', '        dq 0x00cf9b000000ffff\ngdtr:'));
    run();
    expect(R[RBX]).toBe(0x1235);
    expect(R[RCX + 1]).toBe(1);
    expect(R[RIP]).toBeGreaterThan(CODE);
    expect(R[EFLAGS] & 0x20000).toBe(0);
    expect(R[RSP]).toBe(0x8000);
  });
});
