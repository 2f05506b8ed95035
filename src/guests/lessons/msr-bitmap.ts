import type { Lesson } from './lesson';

export const MSR_BITMAP: Lesson = {
  id: 'msr-bitmap',
  title: '4. The MSR bitmap',
  text: [
    'Without “use MSR bitmaps” every RDMSR and WRMSR exits. With it, a page of four bitmaps decides for each register: reading 0-1FFFh, reading C0000000h-C0001FFFh, and the same for writing. A bit that is 1 means exit.',
    'The guest reads two registers. IA32_PAT (277h) is not in the bitmap: the guest gets the real one, and the hypervisor never hears of it. IA32_APIC_BASE (1Bh) is: the hypervisor makes a value up.',
    'Try: set the bit for 277h too (byte 4Eh, bit 7). Let the guest write an MSR: the bitmap for writing begins at byte 800h.',
  ],
  l1: String.raw`; Lesson 4: choose which MSRs exit.
%include "vmx.inc"

main:
        call    vmx_on
        call    make_guest
        allow   PROC_CONTROLS, 1 << 28  ; use MSR bitmaps
        bts     dword [abs MSR_BITMAP], 0x1b    ; reading MSR 1Bh exits

.next:
        call    run_guest
        cmp     eax, REASON_RDMSR
        jne     .other
        mov     rbx, [guest_rcx]
        show    "the guest reads MSR ", rbx
        mov     eax, 0xc0ffee
        mov     [guest_rax], rax        ; low half; the high half is EDX
        mov     qword [guest_rdx], 0
        call    skip_instruction
        jmp     .next

.other:
        show    "VM exit, reason ", rax
        ret
`,
  l2: String.raw`; The guest reads two MSRs and prints them.
bits 64
default rel
org 0x10000

        mov     esp, 0x10000
        mov     ecx, 0x277              ; IA32_PAT
        rdmsr
        lea     rsi, [text_pat]
        call    print
        mov     ecx, 0x1b               ; IA32_APIC_BASE
        rdmsr
        lea     rsi, [text_apic]
        call    print
        hlt

; Prints the text at RSI and EAX in hexadecimal.
print:
        mov     ebx, eax
        mov     dx, 0x3f8
.text:
        lodsb
        test    al, al
        jz      .number
        out     dx, al
        jmp     .text
.number:
        mov     ecx, 8
.digit:
        rol     ebx, 4
        mov     eax, ebx
        and     eax, 15
        lea     rsi, [digits]
        mov     al, [rsi + rax]
        out     dx, al
        loop    .digit
        mov     al, 13
        out     dx, al
        mov     al, 10
        out     dx, al
        ret

text_pat:  db "L2: low half of IA32_PAT = ", 0
text_apic: db "L2: low half of IA32_APIC_BASE = ", 0
digits:    db "0123456789ABCDEF"
`,
};
