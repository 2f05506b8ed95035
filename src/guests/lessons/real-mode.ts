import type { Lesson } from './lesson';

export const REAL_MODE: Lesson = {
  id: 'real-mode',
  title: '6. A guest in real mode',
  text: [
    'Early VT-x wanted guests with protection and paging on. “Unrestricted guest” lifts that: a guest may start in real mode, as every PC does when it is switched on. EPT still confines it.',
    'The lesson turns the 64-bit guest of the others into one of 16 bits: the control “IA-32e mode guest” off, unrestricted guest on, CR0 without PE and PG, and segments of 64 KiB whose base is 16 times the selector.',
    'Try: change the CS selector to 7C0h and org to 0: the same address in other words; the base must then be 7C00h, or VM entry fails with reason 33 (21h). Let the guest set CR0.PE.',
  ],
  l1: String.raw`; Lesson 6: a guest that starts as a PC does.
%define GUEST_ENTRY 0x7c00
%include "vmx.inc"

main:
        call    vmx_on
        call    make_guest

        ; The guest is no 64-bit guest: ENTRY_CONTROLS bit 9 off.
        get     rax, ENTRY_CONTROLS
        btr     eax, 9
        set     ENTRY_CONTROLS, rax
        allow   PROC_CONTROLS2, 1 << 7  ; unrestricted guest

        ; CR0 without PE and PG, CR4 without PAE.
        get     rax, GUEST_CR0
        and     eax, 0x7ffffffe
        set     GUEST_CR0, rax
        get     rax, GUEST_CR4
        btr     eax, 5
        set     GUEST_CR4, rax

        ; All six segments: selector 0, base 0, 64 KiB. Code is 9Bh, data 93h.
        mov     ebx, 0
.segment:
        lea     eax, [rbx + 0x0800]     ; selector
        xor     ecx, ecx
        vmwrite rax, rcx
        lea     eax, [rbx + GUEST_ES_BASE]
        vmwrite rax, rcx
        lea     eax, [rbx + GUEST_ES_LIMIT]
        mov     ecx, 0xffff
        vmwrite rax, rcx
        lea     eax, [rbx + GUEST_ES_RIGHTS]
        mov     ecx, 0x93
        vmwrite rax, rcx
        add     ebx, 2
        cmp     ebx, 12
        jb      .segment
        set     GUEST_ES_RIGHTS + 2, 0x9b
        set     GUEST_IDTR_LIMIT, 0x3ff ; the vector table at 0
        say     "the guest starts in real mode at 0000:7C00"

        call    run_guest
        show    "VM exit, reason ", rax
        get     rbx, GUEST_RIP
        show    "  at guest IP ", rbx
        get     rbx, GUEST_CR0
        show    "  guest CR0 = ", rbx
        ret
`,
  l2: String.raw`; The guest: 16-bit code as in a boot sector.
bits 16
org 0x7c00

        mov     word [0x21 * 4], service        ; its own INT 21h
        mov     word [0x21 * 4 + 2], cs
        mov     si, text
        int     0x21
        hlt

service:
        mov     dx, 0x3f8
.next:
        lodsb
        test    al, al
        jz      .done
        out     dx, al
        jmp     .next
.done:
        iret

text:   db "L2: real mode, and INT 21h works", 13, 10, 0
`,
};
