/* The handlers of system.c, and its ring 3. */
        .intel_syntax noprefix
        .text

        .globl  page_fault_entry
page_fault_entry:
        push    rax
        push    rcx
        mov     rax, cr2
        shr     rax, 12
        and     eax, 511
        mov     rcx, [fault_entries]
        lea     rcx, [rcx + rax * 8]
        shl     rax, 12
        add     rax, [fault_physical]
        mov     [rcx], rax
        pop     rcx
        pop     rax
        add     rsp, 8                  /* error code */
        iretq

        /* RAX = 0: count the call; 1: back to user_calls. */
        .globl  system_call_entry
system_call_entry:
        swapgs
        mov     [user_stack], rsp
        mov     rsp, [kernel_stack]
        test    eax, eax
        jnz     leave_user
        push    rcx
        push    r11
        push    rdi
        call    count_call
        pop     rdi
        pop     r11
        pop     rcx
        mov     rsp, [user_stack]
        swapgs
        sysretq
leave_user:
        swapgs
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret

count_call:
        inc     qword ptr [system_calls]
        xor     eax, eax
        ret

        .globl  user_calls
user_calls:
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
        mov     [kernel_stack], rsp
        mov     rbx, rdi
        mov     ecx, OFFSET in_user
        mov     r11d, 2
        sysretq
in_user:
        xor     eax, eax
        syscall
        dec     rbx
        jnz     in_user
        mov     eax, 1
        syscall

        .bss
        .balign 8
kernel_stack: .quad 0
user_stack:   .quad 0
