/**
 * The built-in L1: a complete hypervisor for one guest, with EPT, in one assembly file. A multiboot 1 kernel; its first
 * module is the guest. NASM syntax; the playground shows it for editing.
 */
export const BUILTIN_L1_SOURCE = String.raw`; A hypervisor for Intel VT-x that runs one guest, written to be read.
;
; A boot loader (multiboot 1) puts it at 1 MiB in 32-bit protected mode, with the guest's
; image as a module. It switches to 64-bit mode, turns VMX on, maps 4 MiB for the guest
; with EPT, fills in a VMCS and launches. From then on it only answers VM exits.
;
; COM1 is its own console. COM2 becomes the guest's COM1: what the guest sends there
; comes out here, and what arrives here is given to the guest.
;
; "SDM" is Intel's Software Developer's Manual; VMX is in volume 3C.

org 0x100000

; --- Memory layout (all below 8 MiB, cleared by the boot loader) ---
TABLES        equ 0x200000      ; our page tables: PML4, PDPT, one PD
VMXON_REGION  equ 0x204000      ; 4 KiB for the processor's use
VMCS_REGION   equ 0x205000      ; the guest's control structure
EPT_TABLES    equ 0x206000      ; EPT PML4, PDPT, PD
IDT           equ 0x20a000
STACK_TOP     equ 0x210000
GUEST_MEMORY  equ 0x400000      ; the guest's address 0
GUEST_BYTES   equ 0x400000
END_OF_MEMORY equ GUEST_MEMORY + GUEST_BYTES

; --- Where things are inside the guest ---
GUEST_TABLES  equ 0x1000        ; its page tables: PML4, PDPT, PD
GUEST_ENTRY   equ 0x10000       ; its image, entry point, and end of stack

; --- Devices ---
COM1          equ 0x3f8
COM2          equ 0x2f8
LINE_STATUS   equ 5             ; register of a serial port: bit 0 received, bit 5 may send
PIC1          equ 0x20
PIC2          equ 0xa0
IRQ_BASE      equ 0x20          ; vector of IRQ 0

; --- Model-specific registers ---
IA32_FEATURE_CONTROL equ 0x3a
IA32_VMX_BASIC       equ 0x480
IA32_VMX_PINBASED    equ 0x481  ; + 0Ch: the TRUE capability registers
IA32_VMX_PROCBASED   equ 0x482
IA32_VMX_EXIT        equ 0x483
IA32_VMX_ENTRY       equ 0x484
IA32_VMX_CR0_FIXED0  equ 0x486
IA32_VMX_CR0_FIXED1  equ 0x487
IA32_VMX_CR4_FIXED0  equ 0x488
IA32_VMX_CR4_FIXED1  equ 0x489
IA32_VMX_PROCBASED2  equ 0x48b
IA32_EFER            equ 0xc0000080

; --- VMCS fields that code below names (SDM 3D appendix B) ---
PIN_CONTROLS         equ 0x4000
PROC_CONTROLS        equ 0x4002
EXIT_CONTROLS        equ 0x400c
ENTRY_CONTROLS       equ 0x4012
PROC_CONTROLS2       equ 0x401e
INSTRUCTION_ERROR    equ 0x4400
EXIT_REASON          equ 0x4402
EXIT_LENGTH          equ 0x440c
EXIT_QUALIFICATION   equ 0x6400
GUEST_CR0            equ 0x6800
GUEST_CR4            equ 0x6804
GUEST_RIP            equ 0x681e
GUEST_RFLAGS         equ 0x6820
HOST_CR0             equ 0x6c00
HOST_CR3             equ 0x6c02
HOST_CR4             equ 0x6c04

; --- Exit reasons (SDM 3D appendix C) ---
REASON_INTERRUPT     equ 1
REASON_CPUID         equ 10
REASON_HLT           equ 12
REASON_VMCALL        equ 18
REASON_IO            equ 30

; ===========================================================================
; 32-bit part: from the boot loader to 64-bit mode
; ===========================================================================
bits 32

image:
align 4, db 0
header:                         ; multiboot header, "address" form
        dd 0x1badb002
        dd 0x10000
        dd -(0x1badb002 + 0x10000)
        dd header, image, image_end, END_OF_MEMORY, start

start:
        cli
        cld
        mov     esp, STACK_TOP
        mov     [multiboot_info], ebx

        ; Identity-map the first GiB with 2 MiB pages: PML4[0] -> PDPT[0] -> PD.
        mov     dword [TABLES], TABLES + 0x1000 + 3
        mov     dword [TABLES + 0x1000], TABLES + 0x2000 + 3
        mov     edi, TABLES + 0x2000
        mov     eax, 0x83       ; present, writable, 2 MiB
.map:
        mov     [edi], eax
        add     eax, 0x200000
        add     edi, 8
        cmp     edi, TABLES + 0x3000
        jb      .map

        ; SDM 3A 10.8.5: PAE, page tables, EFER.LME, then paging.
        mov     eax, cr4
        or      eax, 1 << 5
        mov     cr4, eax
        mov     eax, TABLES
        mov     cr3, eax
        mov     ecx, IA32_EFER
        rdmsr
        or      eax, 1 << 8
        wrmsr
        mov     eax, cr0
        or      eax, 1 << 31
        mov     cr0, eax
        lgdt    [gdt_pointer]
        jmp     CODE64:long_mode

; ===========================================================================
; 64-bit part
; ===========================================================================
bits 64
default rel

long_mode:
        mov     eax, DATA
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        xor     eax, eax
        mov     fs, ax
        mov     gs, ax
        mov     rsp, STACK_TOP

        ; VMX wants a task register that is not null, so there is a TSS nobody uses.
        mov     eax, TASK
        ltr     ax

        mov     dx, COM1
        call    init_serial
        mov     dx, COM2
        call    init_serial
        call    init_interrupts
        lea     rsi, [text_banner]
        call    print

        call    copy_guest
        call    enable_vmx
        call    build_ept
        call    build_guest_tables
        call    fill_vmcs

        lea     rsi, [text_launch]
        call    print

        ; The guest starts with all general registers zero.
        xor     eax, eax
        xor     ebx, ebx
        xor     ecx, ecx
        xor     edx, edx
        xor     esi, esi
        xor     edi, edi
        xor     ebp, ebp
        xor     r8d, r8d
        xor     r9d, r9d
        xor     r10d, r10d
        xor     r11d, r11d
        xor     r12d, r12d
        xor     r13d, r13d
        xor     r14d, r14d
        xor     r15d, r15d
        vmlaunch

; Reached when VMLAUNCH or VMRESUME did not enter the guest.
entry_failed:
        lea     rsi, [text_entry_failed]
        call    print
        mov     eax, INSTRUCTION_ERROR
        vmread  rax, rax
        call    print_number
        jmp     stop

; Prints the text at RSI and stops for good.
fatal:
        call    print
stop:
        lea     rsi, [text_stop]
        call    print
.forever:
        cli
        hlt
        jmp     .forever

; ===========================================================================
; Setting up
; ===========================================================================

; Copies the first multiboot module into the guest's memory.
copy_guest:
        mov     ebx, [multiboot_info]
        lea     rsi, [text_no_module]
        cmp     dword [rbx + 20], 0     ; mods_count
        je      fatal
        mov     ebx, [rbx + 24]         ; mods_addr: start, end, string, reserved
        mov     esi, [rbx]
        mov     ecx, [rbx + 4]
        sub     ecx, esi
        mov     edi, GUEST_MEMORY + GUEST_ENTRY
        cmp     ecx, GUEST_BYTES - GUEST_ENTRY
        jbe     .fits
        mov     ecx, GUEST_BYTES - GUEST_ENTRY
.fits:
        rep movsb
        ret

; VMXON (SDM 3C 24.7, "Enabling and entering VMX operation").
enable_vmx:
        mov     eax, 1
        cpuid
        lea     rsi, [text_no_vmx]
        test    ecx, 1 << 5
        jz      fatal

        ; The firmware may have locked VMX off; if nobody locked it, lock it on.
        mov     ecx, IA32_FEATURE_CONTROL
        rdmsr
        test    eax, 1
        jnz     .locked
        or      eax, 5                  ; lock, VMX outside SMX
        wrmsr
.locked:
        lea     rsi, [text_vmx_locked]
        test    eax, 4
        jz      fatal

        ; CR0 and CR4 must have the bits of FIXED0 and no others than FIXED1.
        mov     ecx, IA32_VMX_CR0_FIXED0
        rdmsr
        mov     rbx, cr0
        or      ebx, eax
        mov     ecx, IA32_VMX_CR0_FIXED1
        rdmsr
        and     ebx, eax
        mov     cr0, rbx
        mov     ecx, IA32_VMX_CR4_FIXED0
        rdmsr
        mov     rbx, cr4
        or      ebx, eax                ; FIXED0 contains CR4.VMXE
        mov     ecx, IA32_VMX_CR4_FIXED1
        rdmsr
        and     ebx, eax
        mov     cr4, rbx

        ; Both regions begin with the revision that the processor writes.
        mov     ecx, IA32_VMX_BASIC
        rdmsr
        and     eax, 0x7fffffff
        mov     [abs VMXON_REGION], eax
        mov     [abs VMCS_REGION], eax
        lea     rsi, [text_vmxon_failed]
        vmxon   [pointer_vmxon]
        jbe     fatal                   ; CF or ZF: VMfail
        vmclear [pointer_vmcs]
        jbe     fatal
        vmptrld [pointer_vmcs]
        jbe     fatal

        lea     rsi, [text_vmx_on]
        jmp     print

; EPT translates guest-physical to physical addresses (SDM 3C 29.3): the guest's
; 4 MiB are two pages of 2 MiB at GUEST_MEMORY.
build_ept:
        mov     dword [abs EPT_TABLES], EPT_TABLES + 0x1000 + 7           ; read, write, execute
        mov     dword [abs EPT_TABLES + 0x1000], EPT_TABLES + 0x2000 + 7
        mov     dword [abs EPT_TABLES + 0x2000], GUEST_MEMORY + 0xb7      ; + write-back, 2 MiB
        mov     dword [abs EPT_TABLES + 0x2008], GUEST_MEMORY + 0x200000 + 0xb7
        lea     rsi, [text_ept]
        jmp     print

; The guest's own page tables, so that it can start in 64-bit mode: one to one.
build_guest_tables:
        mov     ebx, GUEST_MEMORY + GUEST_TABLES
        mov     dword [rbx], GUEST_TABLES + 0x1000 + 3
        mov     dword [rbx + 0x1000], GUEST_TABLES + 0x2000 + 3
        mov     dword [rbx + 0x2000], 0x83
        mov     dword [rbx + 0x2008], 0x200000 + 0x83
        ret

; VMCS: first the fields with values known beforehand (a table), then the others.
fill_vmcs:
        lea     rsi, [vmcs_values]
.next:
        mov     eax, [rsi]              ; field
        cmp     eax, -1
        je      .controls
        mov     rbx, [rsi + 4]          ; value
        vmwrite rax, rbx
        jbe     .failed
        add     rsi, 12
        jmp     .next

.controls:
        ; Controls: some bits must be 1, some may be 1; two MSRs per control say which
        ; (SDM 3D appendix A). The TRUE ones, if they exist, are 0Ch further on.
        mov     ecx, IA32_VMX_BASIC
        rdmsr
        xor     r8d, r8d
        test    edx, 1 << (55 - 32)
        jz      .no_true
        mov     r8d, 0xc
.no_true:
        mov     ebx, 1 << 0                     ; exit on external interrupts
        lea     ecx, [r8 + IA32_VMX_PINBASED]
        mov     edi, PIN_CONTROLS
        call    write_control
        mov     ebx, 1 << 7 | 1 << 24 | 1 << 31 ; exit on HLT, on all I/O; secondary controls
        lea     ecx, [r8 + IA32_VMX_PROCBASED]
        mov     edi, PROC_CONTROLS
        call    write_control
        lea     rsi, [text_no_ept]
        test    ebx, 1 << 31
        jz      fatal
        mov     ebx, 1 << 1                     ; EPT
        mov     ecx, IA32_VMX_PROCBASED2
        mov     edi, PROC_CONTROLS2
        call    write_control
        lea     rsi, [text_no_ept]
        test    ebx, 1 << 1
        jz      fatal
        mov     ebx, 1 << 9                     ; we are a 64-bit host
        lea     ecx, [r8 + IA32_VMX_EXIT]
        mov     edi, EXIT_CONTROLS
        call    write_control
        mov     ebx, 1 << 9                     ; the guest starts in 64-bit mode
        lea     ecx, [r8 + IA32_VMX_ENTRY]
        mov     edi, ENTRY_CONTROLS
        call    write_control

        ; Host state that is in registers; the guest's CR0 and CR4 are like ours.
        mov     rbx, cr0
        mov     eax, HOST_CR0
        vmwrite rax, rbx
        mov     eax, GUEST_CR0
        vmwrite rax, rbx
        mov     rbx, cr4
        mov     eax, HOST_CR4
        vmwrite rax, rbx
        mov     eax, GUEST_CR4
        vmwrite rax, rbx
        mov     rbx, cr3
        mov     eax, HOST_CR3
        vmwrite rax, rbx
        lea     rsi, [text_vmcs]
        jmp     print

.failed:
        push    rax
        lea     rsi, [text_vmwrite_failed]
        call    print
        pop     rax
        call    print_number
        jmp     stop

; Writes to VMCS field EDI the wish EBX, corrected by the capability MSR ECX: the low
; half has the bits that must be 1, the high half those that may be. Returns it in EBX.
write_control:
        rdmsr
        or      ebx, eax
        and     ebx, edx
        mov     eax, edi
        vmwrite rax, rbx
        ret

; ===========================================================================
; VM exits: the processor comes here with the host state of the VMCS and the
; guest's general registers
; ===========================================================================

; Guest registers on the stack, by offset from RSP in the handlers.
GUEST_RAX equ 0
GUEST_RCX equ 8
GUEST_RDX equ 16
GUEST_RBX equ 24

vm_exit:
        push    r15
        push    r14
        push    r13
        push    r12
        push    r11
        push    r10
        push    r9
        push    r8
        push    rdi
        push    rsi
        push    rbp
        push    rbx
        push    rdx
        push    rcx
        push    rax
        cld
        inc     qword [exits]

        mov     eax, EXIT_REASON
        vmread  rax, rax
        cmp     eax, REASON_IO
        je      handle_io
        cmp     eax, REASON_HLT
        je      handle_hlt
        cmp     eax, REASON_CPUID
        je      handle_cpuid
        cmp     eax, REASON_INTERRUPT
        je      handle_interrupt
        cmp     eax, REASON_VMCALL
        je      handle_vmcall

        ; Anything else: say what happened and stop.
        push    rax
        lea     rsi, [text_unexpected]
        call    print
        pop     rax
        call    print_number
        lea     rsi, [text_at]
        call    print
        mov     eax, GUEST_RIP
        vmread  rax, rax
        call    print_hex
        lea     rsi, [text_qualification]
        call    print
        mov     eax, EXIT_QUALIFICATION
        vmread  rax, rax
        call    print_hex
        jmp     stop

; Moves the guest past the instruction that caused the exit, and goes on.
skip_instruction:
        mov     eax, GUEST_RIP
        vmread  rbx, rax
        mov     ecx, EXIT_LENGTH
        vmread  rcx, rcx
        add     rbx, rcx
        vmwrite rax, rbx

resume_guest:
        pop     rax
        pop     rcx
        pop     rdx
        pop     rbx
        pop     rbp
        pop     rsi
        pop     rdi
        pop     r8
        pop     r9
        pop     r10
        pop     r11
        pop     r12
        pop     r13
        pop     r14
        pop     r15
        vmresume
        jmp     entry_failed

; IN and OUT. The qualification (SDM 3C table 28-5) has the size minus one in bits 2:0,
; the direction in bit 3 (1 = IN) and the port in bits 31:16. The guest sees one device:
; a serial port at 3F8h that is always set up. All other ports are empty.
handle_io:
        inc     qword [exits_io]
        mov     eax, EXIT_QUALIFICATION
        vmread  rbx, rax
        mov     edx, ebx
        shr     edx, 16
        test    ebx, 8
        jnz     .in

        cmp     edx, COM1               ; OUT: only the data register matters
        jne     skip_instruction
        mov     al, [rsp + GUEST_RAX]
        mov     dx, COM2
        call    put_char
        jmp     skip_instruction

.in:
        mov     eax, -1                 ; what an empty port reads as
        cmp     edx, COM1
        je      .from_com2
        cmp     edx, COM1 + LINE_STATUS
        jne     .reply
.from_com2:
        sub     edx, COM1 - COM2
        in      al, dx
.reply:
        ; A byte goes to AL, a word to AX, a doubleword to EAX.
        and     ebx, 7
        jz      .byte
        cmp     ebx, 1
        je      .word
        mov     eax, eax                ; clears the upper half of RAX
        mov     [rsp + GUEST_RAX], rax
        jmp     skip_instruction
.word:
        mov     [rsp + GUEST_RAX], ax
        jmp     skip_instruction
.byte:
        mov     [rsp + GUEST_RAX], al
        jmp     skip_instruction

; HLT: the guest has nothing to do until a key comes, so the whole machine sleeps.
handle_hlt:
        inc     qword [exits_hlt]
        mov     eax, GUEST_RFLAGS
        vmread  rax, rax
        test    eax, 1 << 9             ; interrupts off: it will never wake up
        jz      guest_stopped
.wait:
        call    poll_console
        mov     dx, COM2 + LINE_STATUS
        in      al, dx
        test    al, 1
        jnz     skip_instruction        ; a key for the guest
        sti                             ; takes effect after HLT began
        hlt
        cli
        jmp     .wait

guest_stopped:
        lea     rsi, [text_guest_stopped]
        call    print
        call    print_statistics
        jmp     stop

; CPUID: the real values, but no VMX, and the hypervisor's signature.
handle_cpuid:
        inc     qword [exits_cpuid]
        mov     eax, [rsp + GUEST_RAX]
        mov     ecx, [rsp + GUEST_RCX]
        mov     edi, eax
        cmp     eax, 0x40000000
        je      .signature
        cpuid
        cmp     edi, 1
        jne     .reply
        and     ecx, ~(1 << 5)          ; no VMX
        or      ecx, 1 << 31            ; "a hypervisor is present"
        jmp     .reply
.signature:
        mov     ebx, [signature]
        mov     ecx, [signature + 4]
        mov     edx, [signature + 8]
.reply:
        mov     [rsp + GUEST_RAX], rax
        mov     [rsp + GUEST_RBX], rbx
        mov     [rsp + GUEST_RCX], rcx
        mov     [rsp + GUEST_RDX], rdx
        jmp     skip_instruction

; VMCALL: the guest's hypercalls. RAX = 1: number of exits; others fail with -1.
handle_vmcall:
        mov     rbx, -1
        cmp     qword [rsp + GUEST_RAX], 1
        jne     .reply
        mov     rbx, [exits]
.reply:
        mov     [rsp + GUEST_RAX], rbx
        jmp     skip_instruction

; A device interrupted while the guest ran: take the interrupt now, then go on.
handle_interrupt:
        inc     qword [exits_interrupt]
        sti
        nop                             ; STI takes effect after the next instruction
        cli
        call    poll_console
        jmp     resume_guest

; ===========================================================================
; Our console
; ===========================================================================

; A key on COM1 asks for the statistics.
poll_console:
        mov     dx, COM1 + LINE_STATUS
        in      al, dx
        test    al, 1
        jz      .none
        mov     dx, COM1
        in      al, dx
        call    print_statistics
        jmp     poll_console
.none:
        ret

print_statistics:
        lea     rsi, [text_exits]
        call    print
        mov     rax, [exits]
        call    print_number
        lea     rsi, [text_exits_io]
        call    print
        mov     rax, [exits_io]
        call    print_number
        lea     rsi, [text_exits_hlt]
        call    print
        mov     rax, [exits_hlt]
        call    print_number
        lea     rsi, [text_exits_cpuid]
        call    print
        mov     rax, [exits_cpuid]
        call    print_number
        lea     rsi, [text_exits_interrupt]
        call    print
        mov     rax, [exits_interrupt]
        call    print_number
        lea     rsi, [text_exits_end]
        jmp     print

; Serial port DX: 115200 baud, 8 data bits, interrupt when a byte arrives.
init_serial:
        mov     ebx, edx
        lea     edx, [rbx + 3]          ; line control: divisor access
        mov     al, 0x80
        out     dx, al
        mov     edx, ebx
        mov     al, 1                   ; divisor 1
        out     dx, al
        lea     edx, [rbx + 1]
        xor     eax, eax
        out     dx, al
        lea     edx, [rbx + 3]          ; 8 bits, no parity
        mov     al, 3
        out     dx, al
        lea     edx, [rbx + 4]          ; DTR, RTS, and OUT2, which lets interrupts out
        mov     al, 0x0b
        out     dx, al
        lea     edx, [rbx + 1]          ; interrupt when a byte arrives
        mov     al, 1
        out     dx, al
        ret

; Two interrupts: IRQ 3 (COM2) and IRQ 4 (COM1), at vectors 23h and 24h. They need
; do nothing but end the HLT that waited for them.
init_interrupts:
        lea     rax, [irq_handler]
        mov     edi, IDT + 16 * (IRQ_BASE + 3)
        mov     ecx, 2
.gate:
        mov     [rdi], ax
        mov     word [rdi + 2], CODE64
        mov     word [rdi + 4], 0x8e00  ; present, interrupt gate
        mov     rbx, rax
        shr     rbx, 16
        mov     [rdi + 6], bx
        shr     rbx, 16
        mov     [rdi + 8], ebx
        add     edi, 16
        dec     ecx
        jnz     .gate
        lidt    [idt_pointer]

        ; The two 8259s: edge triggered, vectors from 20h, all masked but IRQ 3 and 4.
        lea     rsi, [pic_program]
        mov     ecx, (pic_program_end - pic_program) / 2
.program:
        movzx   edx, byte [rsi]
        mov     al, [rsi + 1]
        out     dx, al
        add     rsi, 2
        dec     ecx
        jnz     .program
        ret

pic_program:                            ; port, value
        db PIC1, 0x11, PIC1 + 1, IRQ_BASE, PIC1 + 1, 4, PIC1 + 1, 1
        db PIC2, 0x11, PIC2 + 1, IRQ_BASE + 8, PIC2 + 1, 2, PIC2 + 1, 1
        db PIC1 + 1, ~(1 << 3 | 1 << 4) & 0xff, PIC2 + 1, 0xff
pic_program_end:

irq_handler:
        push    rax
        mov     al, 0x20                ; end of interrupt
        out     PIC1, al
        pop     rax
        iretq

; --- Text output on COM1 ---

; Prints the zero-terminated text at RSI.
print:
        mov     dx, COM1
.next:
        lodsb
        test    al, al
        jz      .done
        call    put_char
        jmp     .next
.done:
        ret

; Sends AL to the serial port DX.
put_char:
        push    rax
        add     edx, LINE_STATUS
.busy:
        in      al, dx
        test    al, 0x20
        jz      .busy
        sub     edx, LINE_STATUS
        pop     rax
        out     dx, al
        ret

; Prints RAX in decimal.
print_number:
        mov     ecx, 10
        jmp     print_radix

; Prints RAX in hexadecimal.
print_hex:
        mov     ecx, 16

print_radix:
        lea     rsi, [number_end]
        lea     rdi, [digits]
.digit:
        xor     edx, edx
        div     rcx                     ; RAX = quotient, RDX = next digit from the right
        mov     dl, [rdi + rdx]
        dec     rsi
        mov     [rsi], dl
        test    rax, rax
        jnz     .digit
        jmp     print

; ===========================================================================
; Tables
; ===========================================================================

align 16, db 0
gdt:
        dq 0
CODE64 equ $ - gdt
        dq 0x00af9b000000ffff           ; 64-bit code
DATA   equ $ - gdt
        dq 0x00cf93000000ffff
TASK   equ $ - gdt
        dw tss_end - tss - 1            ; 64-bit TSS, 16 bytes
        dw (tss - image + 0x100000) & 0xffff
        db ((tss - image + 0x100000) >> 16) & 0xff, 0x89, 0, 0
        dq 0
gdt_end:

gdt_pointer:
        dw gdt_end - gdt - 1
        dq gdt
idt_pointer:
        dw 16 * (IRQ_BASE + 16) - 1
        dq IDT
pointer_vmxon:
        dq VMXON_REGION
pointer_vmcs:
        dq VMCS_REGION

; VMCS fields with constant values: field, value.
%macro field 2
        dd %1
        dq %2
%endmacro

; A guest segment: selector, base, limit, access rights, by number (ES = 0 ... TR = 7).
%macro segment_fields 4
        field 0x0800 + 2 * %1, %2
        field 0x6806 + 2 * %1, 0
        field 0x4800 + 2 * %1, %3
        field 0x4814 + 2 * %1, %4
%endmacro

vmcs_values:
        ; Execution controls beside the five words of controls.
        field 0x4004, 0                 ; exception bitmap: no exception exits
        field 0x4006, 0                 ; page-fault error-code mask and match
        field 0x4008, 0
        field 0x400a, 0                 ; CR3 targets
        field 0x6000, 0                 ; CR0, CR4 guest/host masks: all bits are the guest's
        field 0x6002, 0
        field 0x6004, 0                 ; CR0, CR4 read shadows
        field 0x6006, 0
        field 0x400e, 0                 ; no MSRs to store or load
        field 0x4010, 0
        field 0x4014, 0
        field 0x4016, 0                 ; no event to inject
        field 0x2800, -1                ; VMCS link pointer: none
        field 0x201a, EPT_TABLES + (3 << 3) + 6 ; EPT: four levels, write-back

        ; The guest: as after the jump into 64-bit mode.
        segment_fields 0, 0x10, 0xffffffff, 0xc093
        segment_fields 1, 0x08, 0xffffffff, 0xa09b
        segment_fields 2, 0x10, 0xffffffff, 0xc093
        segment_fields 3, 0x10, 0xffffffff, 0xc093
        segment_fields 4, 0, 0, 0x10000 ; FS, GS, LDTR: unusable
        segment_fields 5, 0, 0, 0x10000
        segment_fields 6, 0, 0, 0x10000
        segment_fields 7, 0x18, 0x67, 0x8b
        field 0x6816, 0                 ; GDTR, IDTR
        field 0x4810, 0
        field 0x6818, 0
        field 0x4812, 0
        field 0x6802, GUEST_TABLES      ; CR3
        field 0x681a, 0x400             ; DR7
        field 0x681c, GUEST_ENTRY       ; RSP
        field 0x681e, GUEST_ENTRY       ; RIP
        field 0x6820, 2                 ; RFLAGS
        field 0x6822, 0                 ; pending debug exceptions
        field 0x2802, 0                 ; IA32_DEBUGCTL
        field 0x4824, 0                 ; interruptibility
        field 0x4826, 0                 ; activity: active
        field 0x482a, 0                 ; SYSENTER
        field 0x6824, 0
        field 0x6826, 0

        ; The host: where VM exits go.
        field 0x0c00, DATA              ; ES, CS, SS, DS, FS, GS, TR
        field 0x0c02, CODE64
        field 0x0c04, DATA
        field 0x0c06, DATA
        field 0x0c08, 0
        field 0x0c0a, 0
        field 0x0c0c, TASK
        field 0x6c06, 0                 ; FS, GS, TR, GDTR, IDTR bases
        field 0x6c08, 0
        field 0x6c0a, tss
        field 0x6c0c, gdt
        field 0x6c0e, IDT
        field 0x4c00, 0                 ; SYSENTER
        field 0x6c10, 0
        field 0x6c12, 0
        field 0x6c14, STACK_TOP         ; RSP
        field 0x6c16, vm_exit           ; RIP
        dd -1

; ===========================================================================
; Data
; ===========================================================================

text_banner:          db 13, 10, "Built-in L1: a hypervisor in one assembly file", 13, 10, 0
text_vmx_on:          db "VMX on", 13, 10, 0
text_ept:             db "EPT built: guest-physical 0 - 3FFFFFh at 400000h", 13, 10, 0
text_vmcs:            db "VMCS filled", 13, 10, 0
text_launch:          db "guest launched; its serial port is my COM2", 13, 10
                      db "press a key here for the number of VM exits", 13, 10, 0
text_exits:           db "VM exits: ", 0
text_exits_io:        db " (I/O ", 0
text_exits_hlt:       db ", HLT ", 0
text_exits_cpuid:     db ", CPUID ", 0
text_exits_interrupt: db ", interrupts ", 0
text_exits_end:       db ")", 13, 10, 0
text_guest_stopped:   db "the guest halted with interrupts off", 13, 10, 0
text_unexpected:      db "unexpected VM exit, reason ", 0
text_at:              db " at guest RIP ", 0
text_qualification:   db "h, qualification ", 0
text_entry_failed:    db "VM entry failed, VM-instruction error ", 0
text_vmwrite_failed:  db "VMWRITE failed for field ", 0
text_vmxon_failed:    db "VMXON, VMCLEAR or VMPTRLD failed", 0
text_no_vmx:          db "this processor has no VMX", 0
text_vmx_locked:      db "the firmware has locked VMX off", 0
text_no_ept:          db "this processor has no EPT", 0
text_no_module:       db "no guest: the boot loader gave no module", 0
text_stop:            db 13, 10, "stopped", 13, 10, 0
signature:            db "NestboxDemo1"
digits:               db "0123456789ABCDEF"
number:               times 20 db 0
number_end:           db 0

align 8, db 0
multiboot_info:       dq 0
exits:                dq 0
exits_io:             dq 0
exits_hlt:            dq 0
exits_cpuid:          dq 0
exits_interrupt:      dq 0

align 16, db 0
tss:                  times 104 db 0    ; never used by the processor for anything
tss_end:

image_end:
`;
