import type { Lesson } from './lesson';

export const EPT_VIOLATION: Lesson = {
  id: 'ept-violation',
  title: '3. An EPT violation',
  text: [
    'The guest has page tables of its own, which it believes lead to physical memory. They lead to guest-physical addresses, and the EPT tables of the hypervisor translate those once more.',
    'This guest writes to 600000h. Its own tables map that, but EPT maps only the first 4 MiB: an EPT violation, reason 48 (30h). The exit qualification says what kind of access it was, “guest-physical address” where.',
    'The hypervisor gives it a page of 2 MiB and enters again without moving RIP: the same instruction is executed once more, and now it works. This is how a hypervisor gives memory only when it is used.',
    'Try: give only the right to read (b1h instead of b7h): the write violates EPT again, with another qualification, for ever. Let the guest write to 800000h too.',
  ],
  l1: String.raw`; Lesson 3: memory on demand.
%include "vmx.inc"

main:
        call    vmx_on
        call    make_guest

.next:
        call    run_guest
        cmp     eax, REASON_EPT_VIOLATION
        jne     .other

        get     rbx, EXIT_QUALIFICATION ; SDM 3C table 28-7: bit 0 read, 1 write, 2 fetch
        show    "EPT violation, qualification ", rbx
        get     rbx, GUEST_PHYSICAL
        show    "  guest-physical ", rbx
        get     rcx, GUEST_LINEAR
        show    "  guest-linear ", rcx

        ; Map the 2 MiB around it to memory behind the guest's own.
        shr     rbx, 21                 ; number of the page, and of its entry
        mov     rax, rbx
        shl     rax, 21
        add     rax, GUEST_MEMORY + 0xb7        ; rwx, write-back, 2 MiB
        mov     [abs EPT_PD + rbx * 8], rax
        show    "  mapped by EPT entry ", rax
        jmp     .next

.other:
        show    "VM exit, reason ", rax
        ret
`,
  l2: String.raw`; The guest writes where it has no memory, and reads it back.
bits 64
default rel
org 0x10000

        mov     byte [abs 0x600000], 'Z'
        mov     al, [abs 0x600000]
        mov     [letter], al
        lea     rsi, [text]
        mov     ecx, text_end - text
        mov     dx, 0x3f8
        rep outsb
        hlt

text:   db "L2: I wrote Z to 600000h and read back "
letter: db "?", 13, 10
text_end:
`,
};
