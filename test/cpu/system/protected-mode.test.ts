import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  CPL, CR0, CR0_PE, CR0_TS, CS, DS, EFLAGS, F_IF, F_NT, F_VIF, F_VM, R, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, SEG_AR, SEG_BASE, SEG_SEL, SS, TR,
} from '../../../src/cpu/state';
import { platform } from '../../../src/cpu/platform';
import { memView } from '../../../src/cpu/mmu/memory';
import { createBareCpu, enterMode, run } from '../../support/bare-cpu';
import { loadAssembly } from '../../support/assembled';

const CODE = 0x10000, IDT = 0x20000;

/**
 * 32-bit tables at 10000h: flat kernel code 8, data 10h, user code 1Bh, data 23h, TSS 28h (9000h), second TSS 30h (9100h), call gate 38h to `gated`
 * (two parameters, DPL 3), task gate 40h, 16-bit code 48h and data 50h.
 */
function program(main: string, gates: string): string {
  return `
        lgdt [gdtr]
        lidt [idtr]
        mov dword [0x9004], 0x7000
        mov dword [0x9008], 0x10
        mov word [0x9066], 0x88
        mov ax, 0x28
        ltr ax
${gates}
        jmp main
align 16
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
        dq 0x00cffb000000ffff
        dq 0x00cff3000000ffff
        dw 0xfff, 0x9000, 0x8900, 0
        dw 0x67, 0x9100, 0x8900, 0
        dw gated - 0x10000, 8, 0xec02, 1
        dw 0, 0x30, 0xe500, 0
        dq 0x00009b000000ffff
        dq 0x000093000000ffff
gdtr:   dw $ - gdt - 1
        dd gdt
idtr:   dw 0x7ff
        dd ${IDT}
main:
${main}
`;
}

function gate(vector: number, label: string, type = 0x8e): string {
  const at = IDT + 8 * vector;
  return `
        mov eax, ${label}
        mov word [${at}], ax
        mov dword [${at + 2}], ${(type << 24) | 8}
        shr eax, 16
        mov word [${at + 6}], ax`;
}

const TO_USER = `
        push dword 0x23
        push dword 0x5000
        push dword 0x202
        push dword 0x1b
        push dword user
        iretd`;

function toVirtual8086(flags: number): string {
  return `
        mov ax, 0x10
        push dword 0x44             ; GS FS DS ES
        push dword 0x33
        push dword 0x22
        push dword 0x11
        push dword 0x400            ; SS
        push dword 0x1000           ; ESP
        push dword ${0x20000 | flags}
        push dword 0x1000           ; CS
        push dword v86 - 0x10000
        iretd`;
}

beforeAll(() => createBareCpu(16));
beforeEach(() => {
  enterMode(32);
  for (let i = 0; i < 0x800; i += 4) memView.setInt32(IDT + i, 0, true);
  for (let i = 0; i < 0x1000; i += 4) memView.setInt32(0x9000 + i, 0, true);
});

describe('protected mode events', () => {
  it('switch stacks through the TSS and return', () => {
    loadAssembly(32, CODE, program(`${TO_USER}
user:   mov edi, 1
        int 0x30
        mov esi, 2
        int 0x31                    ; DPL 0: #GP
handler: mov ebx, esp
        mov edx, [esp + 12]
        iretd
gp:     pop eax
        mov ecx, [esp + 16]
        hlt
gated:`, gate(0x30, 'handler', 0xee) + gate(0x31, 'handler') + gate(13, 'gp')));
    run();
    expect(R[RBX]).toBe(0x7000 - 20);
    expect(R[RDX]).toBe(0x5000);
    expect(R[RDI]).toBe(1);
    expect(R[RSI]).toBe(2);
    expect(R[RAX]).toBe(0x31 * 8 + 2);
    expect(R[RCX]).toBe(0x23);
  });

  it('copy parameters through a call gate and return to the outer ring', () => {
    loadAssembly(32, CODE, program(`${TO_USER}
user:   push dword 0x1111
        push dword 0x2222
        call 0x38:0
        mov edi, esp
        mov esi, cs
        int 0x30
gated:  mov eax, [esp + 8]
        mov ebx, [esp + 12]
        mov ecx, [esp + 16]
        mov ebp, esp
        retf 8
stop:   hlt`, gate(0x30, 'stop', 0xee)));
    run();
    expect(R[RAX]).toBe(0x2222);
    expect(R[RBX]).toBe(0x1111);
    expect(R[RCX]).toBe(0x4ff8);
    expect(R[RBP]).toBe(0x7000 - 24);
    expect(R[RDI]).toBe(0x5000);
    expect(R[RSI]).toBe(0x1b);
  });

  it('segment loads check presence, type and privilege', () => {
    loadAssembly(32, CODE, program(`
        mov ax, 0x20
        mov ds, ax
        mov ax, 0x58                ; beyond the limit
        mov es, ax
        hlt
gp:     pop eax
        hlt
gated:`, gate(13, 'gp')));
    run();
    expect(R[RAX]).toBe(0x58);
    expect(R[SEG_SEL + DS]).toBe(0x20);
  });

  it('VERR, VERW, LAR, LSL look at descriptors without faulting', () => {
    loadAssembly(32, CODE, program(`
        mov dx, 8
        verw dx
        setz al
        verr dx
        setz ah
        mov dx, 0x28
        lsl ebx, dx
        lar ecx, dx
        mov dx, 0x7f8
        lar esi, dx
        setz dl
        hlt
gated:`, ''));
    run();
    expect(R[RAX] & 0xffff).toBe(0x0100);
    expect(R[RBX]).toBe(0xfff);
    expect(R[RCX]).toBe(0x8b00);
    expect(R[RDX] & 255).toBe(0);
  });
});

describe('task switches', () => {
  it('CALL to a TSS saves the old task, nests, and IRET comes back', () => {
    loadAssembly(32, CODE, program(`
        mov dword [0x9100 + 0x20], task
        mov dword [0x9100 + 0x24], 2
        mov dword [0x9100 + 0x38], 0x6000
        mov dword [0x9100 + 0x28], 0xabc
        mov dword [0x9100 + 0x48], 0x10
        mov dword [0x9100 + 0x4c], 8
        mov dword [0x9100 + 0x50], 0x10
        mov dword [0x9100 + 0x54], 0x10
        mov ebp, 0x77
        mov eax, 0x123
        call 0x30:0
        mov edi, [0x9100 + 0x28]
        hlt
task:   inc eax
        mov [0x9200], eax
        mov bx, [0x9100]
        mov [0x9204], bx
        str bx
        mov [0x9206], bx
        pushfd
        pop dword [0x9208]
        iretd
gated:`, ''));
    run();
    expect(R[RDI]).toBe(0xabd);
    expect(R[RAX]).toBe(0x123);
    expect(R[RBP]).toBe(0x77);
    expect(memView.getInt32(0x9200, true)).toBe(0xabd);
    expect(memView.getInt16(0x9204, true)).toBe(0x28);
    expect(memView.getInt16(0x9206, true)).toBe(0x30);
    expect(memView.getInt32(0x9208, true) & F_NT).toBe(F_NT);
    expect(R[SEG_SEL + TR]).toBe(0x28);
    expect(R[EFLAGS] & F_NT).toBe(0);
    expect(R[CR0] & CR0_TS).toBe(CR0_TS);
  });

  it('a task gate in the IDT switches, and a bad segment of the new task is #TS there', () => {
    const label = loadAssembly(32, CODE, program(`
        mov dword [0x9100 + 0x20], task
        mov dword [0x9100 + 0x24], 2
        mov dword [0x9100 + 0x38], 0x6000
        mov dword [0x9100 + 0x48], 0x10
        mov dword [0x9100 + 0x4c], 8
        mov dword [0x9100 + 0x50], 0x10
        mov dword [0x9100 + 0x54], 0x28
        mov dword [${IDT + 8 * 0x32}], 0x300000
        mov dword [${IDT + 8 * 0x32 + 4}], 0xe500
        int 0x32
        hlt
task:   hlt
ts:     pop eax
        pop ebx
        str ecx
        hlt
gated:`, gate(10, 'ts')));
    run();
    expect(R[RAX]).toBe(0x28);
    expect(R[RBX]).toBe(label('task'));
    expect(R[RCX]).toBe(0x30);
  });
});

describe('virtual-8086 mode', () => {
  it('runs real-mode addressing and leaves through ring 0 with its segments saved', () => {
    loadAssembly(32, CODE, program(`${toVirtual8086(0x3002)}
bits 16
v86:    mov ax, 0x900
        mov ds, ax
        mov word [0x300], 0x5678
        mov bx, sp
        int 0x30
bits 32
handler: mov esi, [esp + 12]         ; ESP
        mov edi, [esp + 24]          ; DS
        mov ecx, ds
        mov edx, [esp + 8]
        hlt
gated:`, gate(0x30, 'handler', 0xee)));
    run();
    expect(memView.getUint16(0x9300, true)).toBe(0x5678);
    expect(R[RBX] & 0xffff).toBe(0x1000);
    expect(R[RSI]).toBe(0x1000);
    expect(R[RDI]).toBe(0x900);
    expect(R[RCX]).toBe(0);
    expect(R[RDX] & F_VM).toBe(F_VM);
    expect(R[EFLAGS] & F_VM).toBe(0);
    expect(R[CPL]).toBe(0);
  });

  it('INT n with IOPL below 3 is #GP, and with VME goes to the 8086 vector table when the bitmap says so', () => {
    loadAssembly(32, CODE, program(`
        mov eax, cr4
        or eax, 1
        mov cr4, eax
        mov dword [4 * 0x31], 0x10000000 + isr - 0x10000
        mov dword [0x9068 + 6], 1   ; redirection bitmap at 68h: 0x30 -> monitor
${toVirtual8086(0x2)}
bits 16
v86:    sti
        int 0x31
        int 0x30
isr:    mov si, 5
        iret
bits 32
gp:     mov eax, [esp]
        mov ebx, [esp + 12]
        hlt
gated:`, gate(13, 'gp')));
    run();
    expect(R[RSI] & 0xffff).toBe(5);
    expect(R[RAX]).toBe(0);
    expect(R[RBX] & (F_VIF | F_IF)).toBe(F_VIF);
  });

  it('checks the I/O bitmap', () => {
    loadAssembly(32, CODE, program(`
        mov byte [0x9000 + 0x88 + 0x80 / 8], 0x02
${toVirtual8086(0x3002)}
bits 16
v86:    in al, 0x80
        mov bl, 1
        in al, 0x81
        mov bl, 2
bits 32
gp:     hlt
gated:`, gate(13, 'gp')));
    platform.readPort = (port) => port;
    run();
    expect(R[RAX] & 255).toBe(0x80);
    expect(R[RBX] & 255).toBe(1);
  });
});

describe('mode switches and strings', () => {
  it('real mode to protected mode, to 16-bit code, back to real mode with unreal limits', () => {
    enterMode(16);
    loadAssembly(16, 0x8000, `
        cs lgdt [gdtr]
        mov eax, cr0
        inc ax
        mov cr0, eax
        jmp dword 8:pm
bits 32
pm:     mov ax, 0x10
        mov ds, ax
        mov ss, ax
        mov dword [0x100000], 0x87654321
        jmp 0x18:pm16
bits 16
pm16:   mov eax, cr0
        dec ax
        mov cr0, eax
        jmp 0:real
real:   xor ax, ax
        mov ss, ax
        mov ebx, 0x100000
        mov ecx, [ebx]
        mov es, ax
        hlt
align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
        dq 0x00009b000000ffff
gdtr:   dw 31
        dd gdt`);
    run();
    expect(R[RCX] >>> 0).toBe(0x87654321);
    expect(R[CR0] & CR0_PE).toBe(0);
    expect(R[SEG_BASE + 2 * CS]).toBe(0);
    expect(R[SEG_AR + CS] & 15).toBe(3);
    expect(R[SEG_SEL + SS]).toBe(0);
  });

  it('real-mode INT pushes three words and IRET restores them', () => {
    enterMode(16);
    loadAssembly(16, 0x8000, `
        mov word [4 * 0x21], handler
        mov word [4 * 0x21 + 2], 0
        lidt [cs:idtr]
        mov sp, 0x7000
        sti
        int 0x21
        mov di, sp
        hlt
handler: mov si, sp
        pushf
        pop bx
        iret
idtr:   dw 0x3ff
        dd 0`);
    run();
    expect(R[RSI] & 0xffff).toBe(0x6ffa);
    expect(R[RDI] & 0xffff).toBe(0x7000);
    expect(R[RBX] & F_IF).toBe(0);
    expect(R[EFLAGS] & F_IF).toBe(F_IF);
  });

  it('REP INSW and REP OUTSB move any number of elements', () => {
    let next = 0;
    const written: number[] = [];
    platform.readPort = () => next++;
    platform.writePort = (_port, _size, value) => {
      written.push(value);
    };
    loadAssembly(32, CODE, program(`
        mov edi, 0x40000
        mov ecx, 3000
        mov dx, 0x1f0
        rep insw
        mov esi, 0x40000
        mov ecx, 4
        rep outsb
        hlt
gated:`, ''));
    run();
    expect(next).toBe(3000);
    expect(R[RCX]).toBe(0);
    expect(R[RDI]).toBe(0x40000 + 6000);
    expect(memView.getUint16(0x40000 + 2 * 2999, true)).toBe(2999);
    expect(written).toEqual([0, 0, 1, 0]);
    expect(R[RSP]).toBe(0x8000);
  });
});
