import type { Lesson } from './lesson';

export const FIRST_EXIT: Lesson = {
  id: 'first-exit',
  title: '2. The first VM exit',
  text: [
    'VMLAUNCH starts the guest that the VMCS describes. It runs at full speed until it does something that the hypervisor must see: here, CPUID. That is a VM exit: the processor stores the guest’s state in the VMCS, loads the host’s, and says why in the field “exit reason”.',
    'The hypervisor answers in the guest’s place. It puts registers into the guest that no processor would give, moves RIP past the instruction, and enters again with VMRESUME.',
    'Try: answer with your own twelve letters. Leave out “call skip_instruction”: the guest executes the same CPUID for ever, and exits/s shows it.',
  ],
  l1: String.raw`; Lesson 2: run a guest, see why it exits, answer, and let it go on.
%include "vmx.inc"

main:
        call    vmx_on
        call    make_guest

.next:
        call    run_guest               ; VMLAUNCH, later VMRESUME
        show    "VM exit, reason ", rax
        cmp     eax, REASON_CPUID
        je      .cpuid
        cmp     eax, REASON_HLT
        je      .hlt
        say     "I did not expect that"
        ret

.cpuid:
        get     rbx, GUEST_RIP
        show    "  at guest RIP ", rbx
        get     rbx, EXIT_LENGTH
        show    "  length of the instruction ", rbx
        mov     rbx, [guest_rax]
        show    "  the guest asked for leaf ", rbx

        ; Our answer: twelve letters in EBX, EDX, ECX.
        mov     eax, 'Nest'
        mov     [guest_rbx], rax
        mov     eax, 'boxL'
        mov     [guest_rdx], rax
        mov     eax, 'ab! '
        mov     [guest_rcx], rax
        call    skip_instruction
        jmp     .next

.hlt:
        say     "the guest has halted"
        ret
`,
  l2: String.raw`; The guest asks CPUID for the processor's maker, and prints the answer.
bits 64
default rel
org 0x10000

        xor     eax, eax
        cpuid
        mov     [maker], ebx
        mov     [maker + 4], edx
        mov     [maker + 8], ecx
        lea     rsi, [text]
        mov     ecx, text_end - text
        mov     dx, 0x3f8
        rep outsb
        hlt

text:   db "L2: my processor says it is made by "
maker:  times 12 db "?"
        db 13, 10
text_end:
`,
};
