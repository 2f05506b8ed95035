import type { Lesson } from './lesson';

export const INJECT_INTERRUPT: Lesson = {
  id: 'inject-interrupt',
  title: '5. Inject an interrupt',
  text: [
    'A guest’s devices are the hypervisor’s invention, and so are their interrupts. The field “VM-entry interruption information” makes the processor deliver an event as part of VM entry, through the guest’s own IDT, as if a device had asked for it.',
    'This guest sets up an IDT and halts. Each time it does, the hypervisor injects vector 30h, three times. Bit 31 says that the field counts, bits 10:8 are the type (0 = external interrupt), bits 7:0 the vector.',
    'skip_instruction also clears “blocking by STI”: the guest executed STI just before HLT, and VM entry refuses to inject an interrupt while that blocks.',
    'Try: inject a vector that the guest has no gate for. It gets a general protection fault, has no handler for that either, and the exit says triple fault (reason 2).',
  ],
  l1: String.raw`; Lesson 5: a timer that does not exist.
%include "vmx.inc"

VECTOR  equ 0x30

main:
        call    vmx_on
        call    make_guest
        mov     r12, 3                  ; ticks

.next:
        call    run_guest
        cmp     eax, REASON_HLT
        jne     .other
        test    r12, r12
        jz      .enough
        dec     r12
        call    skip_instruction        ; past the HLT
        set     ENTRY_INTERRUPT_INFO, 1 << 31 | VECTOR
        say     "the guest waits: inject vector 30h"
        jmp     .next

.enough:
        say     "the guest waits; no more ticks"
        ret
.other:
        show    "VM exit, reason ", rax
        ret
`,
  l2: String.raw`; The guest waits for interrupts and counts them.
bits 64
default rel
org 0x10000

        mov     esp, 0x10000
        lgdt    [gdt_pointer]
        lidt    [idt_pointer]
.wait:
        sti
        hlt
        jmp     .wait

; The handler of vector 30h.
tick:
        push    rax
        push    rcx
        push    rdx
        push    rsi
        inc     byte [number]
        lea     rsi, [text]
        mov     ecx, text_end - text
        mov     dx, 0x3f8
        rep outsb
        pop     rsi
        pop     rdx
        pop     rcx
        pop     rax
        iretq

text:   db "L2: interrupt number "
number: db "0", 13, 10
text_end:

align 16, db 0
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw 23
        dq gdt
idt:    times 0x30 dq 0, 0              ; gates of 16 bytes; only the last is present
        dw (tick - $$) & 0xffff, 0x08, 0x8e00, 1   ; $$ is 10000h: its high word is 1
        dd 0, 0
idt_pointer:
        dw 16 * 0x31 - 1
        dq idt
`,
};
