/* Into the guest and back, and the guest's image. */
        .intel_syntax noprefix
        .text

        .globl  launch_guest
launch_guest:
        mov     rbx, [guest_registers + 24]
        mov     rax, [guest_registers]
        vmlaunch
        ret

        /* The host's RSP is the top of the monitor's own stack. */
        .globl  vm_exit_entry
vm_exit_entry:
        mov     [guest_registers + 0x00], rax
        mov     [guest_registers + 0x08], rcx
        mov     [guest_registers + 0x10], rdx
        mov     [guest_registers + 0x18], rbx
        mov     [guest_registers + 0x28], rbp
        mov     [guest_registers + 0x30], rsi
        mov     [guest_registers + 0x38], rdi
        mov     [guest_registers + 0x40], r8
        mov     [guest_registers + 0x48], r9
        mov     [guest_registers + 0x50], r10
        mov     [guest_registers + 0x58], r11
        mov     [guest_registers + 0x60], r12
        mov     [guest_registers + 0x68], r13
        mov     [guest_registers + 0x70], r14
        mov     [guest_registers + 0x78], r15
        call    handle_exit
        mov     rax, [guest_registers + 0x00]
        mov     rcx, [guest_registers + 0x08]
        mov     rdx, [guest_registers + 0x10]
        mov     rbx, [guest_registers + 0x18]
        mov     rbp, [guest_registers + 0x28]
        mov     rsi, [guest_registers + 0x30]
        mov     rdi, [guest_registers + 0x38]
        mov     r8, [guest_registers + 0x40]
        mov     r9, [guest_registers + 0x48]
        mov     r10, [guest_registers + 0x50]
        mov     r11, [guest_registers + 0x58]
        mov     r12, [guest_registers + 0x60]
        mov     r13, [guest_registers + 0x68]
        mov     r14, [guest_registers + 0x70]
        mov     r15, [guest_registers + 0x78]
        vmresume
        mov     edi, OFFSET resume_text
        xor     esi, esi
        call    fail

        .section .rodata
resume_text:
        .asciz  "VMRESUME failed"

        .bss
        .balign 16
        .skip   16384
        .globl  monitor_stack_top
monitor_stack_top:

        .section .payload, "aw"
        .incbin PAYLOAD_FILE
