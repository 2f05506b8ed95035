/** vmx.inc: what the lessons' hypervisors have in common, so that each lesson shows only what it is about. NASM syntax. */
export const VMX_INC_SOURCE = String.raw`; vmx.inc: the dull part of a small hypervisor.
;
; It boots (multiboot 1, then 64-bit mode), calls "main", and stops when main returns.
; For main it has these helpers. All of them keep every register that they do not
; return something in.
;
;   say "text"              a line on the console (COM1)
;   show "text", value      a line with a number; value: a 64-bit register or memory
;   vmx_on                  CPUID, IA32_FEATURE_CONTROL, CR0, CR4, VMXON, a VMCS
;   make_guest              memory, EPT and VMCS of a 64-bit guest; it runs the module
;   set FIELD, value        VMWRITE of a constant or a register
;   get register, FIELD     VMREAD
;   allow FIELD, bits       switches on bits of a control field, if the processor can
;   run_guest               enters the guest; returns with the exit reason in RAX. The
;                           guest's serial port is served on the way
;   skip_instruction        moves the guest past the instruction that exited
;
; The guest's registers are at guest_rax, guest_rcx, ... while it does not run.
;
; "SDM" is Intel's Software Developer's Manual; VMX is in volume 3C.

org 0x100000

; --- Memory: ours below 4 MiB, the guest's 4 MiB after it ---
TABLES          equ 0x200000            ; our page tables: PML4, PDPT, one PD
VMXON_REGION    equ 0x204000
VMCS_REGION     equ 0x205000
EPT_TABLES      equ 0x206000            ; EPT PML4, PDPT, PD
EPT_PD          equ EPT_TABLES + 0x2000
MSR_BITMAP      equ 0x209000            ; one page, all zero
IDT             equ 0x20a000            ; empty: nothing may go wrong here
STACK_TOP       equ 0x210000
GUEST_MEMORY    equ 0x400000            ; the guest's address 0
GUEST_BYTES     equ 0x400000
GUEST_TABLES    equ 0x1000              ; in the guest: its page tables
%ifndef GUEST_ENTRY
%define GUEST_ENTRY 0x10000             ; in the guest: its image and the end of its stack
%endif
COM1            equ 0x3f8

; --- Model-specific registers ---
IA32_FEATURE_CONTROL equ 0x3a
IA32_VMX_BASIC       equ 0x480
IA32_EFER            equ 0xc0000080

; --- Fields of the VMCS (SDM 3D appendix B) ---
EPT_POINTER          equ 0x201a
MSR_BITMAPS          equ 0x2004
GUEST_PHYSICAL       equ 0x2400
PIN_CONTROLS         equ 0x4000
PROC_CONTROLS        equ 0x4002
EXCEPTION_BITMAP     equ 0x4004
EXIT_CONTROLS        equ 0x400c
ENTRY_CONTROLS       equ 0x4012
ENTRY_INTERRUPT_INFO equ 0x4016
ENTRY_ERROR_CODE     equ 0x4018
PROC_CONTROLS2       equ 0x401e
INSTRUCTION_ERROR    equ 0x4400
EXIT_REASON          equ 0x4402
EXIT_INTERRUPT_INFO  equ 0x4404
EXIT_LENGTH          equ 0x440c
GUEST_CS_SELECTOR    equ 0x0802         ; ES 0800, CS 0802, SS, DS, FS, GS, LDTR, TR
GUEST_ES_LIMIT       equ 0x4800         ; the same order
GUEST_ES_RIGHTS      equ 0x4814
GUEST_ES_BASE        equ 0x6806
GUEST_IDTR_LIMIT     equ 0x4812
GUEST_INTERRUPTIBILITY equ 0x4824
EXIT_QUALIFICATION   equ 0x6400
GUEST_LINEAR         equ 0x640a
GUEST_CR0            equ 0x6800
GUEST_CR3            equ 0x6802
GUEST_CR4            equ 0x6804
GUEST_RSP            equ 0x681c
GUEST_RIP            equ 0x681e
GUEST_RFLAGS         equ 0x6820
HOST_CR0             equ 0x6c00
HOST_CR3             equ 0x6c02
HOST_CR4             equ 0x6c04
HOST_RSP             equ 0x6c14

; --- Exit reasons (SDM 3D appendix C) ---
REASON_EXCEPTION     equ 0
REASON_CPUID         equ 10
REASON_HLT           equ 12
REASON_VMCALL        equ 18
REASON_IO            equ 30
REASON_RDMSR         equ 31
REASON_WRMSR         equ 32
REASON_EPT_VIOLATION equ 48

%macro say 1+
        call    print_here
        db      %1, 13, 10, 0
%endmacro

%macro show 2
        push    rax
        mov     rax, %2
        call    print_here
        db      %1, 0
        call    print_hex
        pop     rax
%endmacro

%macro set 2
        push    rax
        push    rcx
        mov     rcx, %2
        mov     eax, %1
        vmwrite rax, rcx
        pop     rcx
        pop     rax
%endmacro

%macro get 2
        push    %2
        call    read_field
        pop     %1
%endmacro

%macro allow 2
        push    %1
        push    %2
        call    allow_bits
%endmacro

; ===========================================================================
; From the boot loader to main
; ===========================================================================
bits 32

image:
align 4, db 0
header:
        dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
        dd header, image, 0, GUEST_MEMORY + GUEST_BYTES, start  ; 0: to the end of the file

start:
        cli
        cld
        mov     esp, STACK_TOP
        mov     [multiboot_info], ebx
        mov     dword [TABLES], TABLES + 0x1000 + 3
        mov     dword [TABLES + 0x1000], TABLES + 0x2000 + 3
        mov     edi, TABLES + 0x2000
        call    map_one_gib
        mov     eax, cr4
        or      eax, 1 << 5             ; PAE
        mov     cr4, eax
        mov     eax, TABLES
        mov     cr3, eax
        mov     ecx, IA32_EFER
        rdmsr
        or      eax, 1 << 8             ; long mode
        wrmsr
        mov     eax, cr0
        or      eax, 1 << 31            ; paging
        mov     cr0, eax
        lgdt    [gdt_pointer]
        jmp     CODE64:long_mode

; Fills the page directory at EDI with 2 MiB pages, one to one. 16, 32 and 64-bit
; code would write this alike; here it is 32-bit code.
map_one_gib:
        mov     eax, 0x83               ; present, writable, 2 MiB
        mov     ecx, 512
.next:
        mov     [edi], eax
        add     eax, 0x200000
        add     edi, 8
        loop    .next
        ret

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
        mov     eax, TASK               ; VMX wants a task register; nobody uses it
        ltr     ax
        call    main
stop:
        say     "-- end --"
.forever:
        cli
        hlt
        jmp     .forever

; ===========================================================================
; Into VMX operation (SDM 3C 24.7)
; ===========================================================================
vmx_on:
        mov     eax, 1
        cpuid
        test    ecx, 1 << 5
        jnz     .has_vmx
        say     "this processor has no VMX"
        jmp     stop
.has_vmx:
        mov     ecx, IA32_FEATURE_CONTROL
        rdmsr
        test    eax, 1
        jnz     .locked
        or      eax, 5                  ; lock, VMX outside SMX
        wrmsr
.locked:
        mov     ecx, 0x486              ; IA32_VMX_CR0_FIXED0: bits that must be 1
        rdmsr
        mov     rbx, cr0
        or      ebx, eax
        mov     cr0, rbx
        mov     ecx, 0x488              ; IA32_VMX_CR4_FIXED0, with CR4.VMXE
        rdmsr
        mov     rbx, cr4
        or      ebx, eax
        mov     cr4, rbx
        mov     ecx, IA32_VMX_BASIC     ; both regions begin with the revision
        rdmsr
        and     eax, 0x7fffffff
        mov     [abs VMXON_REGION], eax
        mov     [abs VMCS_REGION], eax
        vmxon   [pointer_vmxon]
        jbe     .failed                 ; CF or ZF: VMfail
        vmclear [pointer_vmcs]
        jbe     .failed
        vmptrld [pointer_vmcs]
        jbe     .failed
        ret
.failed:
        say     "VMXON, VMCLEAR or VMPTRLD failed"
        jmp     stop

; ===========================================================================
; A guest
; ===========================================================================
make_guest:
        ; Its image: the boot loader's first module.
        mov     ebx, [multiboot_info]
        mov     ebx, [rbx + 24]         ; mods_addr: start, end
        mov     esi, [rbx]
        mov     ecx, [rbx + 4]
        sub     ecx, esi
        mov     edi, GUEST_MEMORY + GUEST_ENTRY
        rep movsb

        ; EPT (SDM 3C 29.3): its 4 MiB are two pages of 2 MiB.
        mov     dword [abs EPT_TABLES], EPT_TABLES + 0x1000 + 7
        mov     dword [abs EPT_TABLES + 0x1000], EPT_PD + 7
        mov     dword [abs EPT_PD], GUEST_MEMORY + 0xb7         ; rwx, write-back, 2 MiB
        mov     dword [abs EPT_PD + 8], GUEST_MEMORY + 0x200000 + 0xb7

        ; Its own page tables: one GiB, one to one.
        mov     ebx, GUEST_MEMORY + GUEST_TABLES
        mov     dword [rbx], GUEST_TABLES + 0x1000 + 3
        mov     dword [rbx + 0x1000], GUEST_TABLES + 0x2000 + 3
        mov     eax, 0x83
        xor     ecx, ecx
.page:
        mov     [rbx + rcx * 8 + 0x2000], eax
        add     eax, 0x200000
        inc     ecx
        cmp     ecx, 512
        jb      .page

        ; Its VMCS: fields with values known beforehand, then the others.
        lea     rsi, [vmcs_values]
.field:
        mov     eax, [rsi]
        cmp     eax, -1
        je      .fields_done
        mov     rbx, [rsi + 4]
        vmwrite rax, rbx
        add     rsi, 12
        jmp     .field
.fields_done:
        mov     rbx, cr0
        set     HOST_CR0, rbx
        set     GUEST_CR0, rbx
        mov     rbx, cr4
        set     HOST_CR4, rbx
        set     GUEST_CR4, rbx
        mov     rbx, cr3
        set     HOST_CR3, rbx
        allow   PIN_CONTROLS, 0
        allow   PROC_CONTROLS, 1 << 7 | 1 << 24         ; exit on HLT and on all I/O
        allow   PROC_CONTROLS, -(1 << 31)               ; bit 31: secondary controls
        allow   PROC_CONTROLS2, 1 << 1                  ; EPT
        allow   EXIT_CONTROLS, 1 << 9                   ; we are a 64-bit host
        allow   ENTRY_CONTROLS, 1 << 9                  ; and this is a 64-bit guest
        ret

; allow FIELD, bits: two words on the stack. Every control has an MSR with the bits that
; must be 1 (low half) and those that may be (high half), SDM 3D appendix A.
allow_bits:
        push    rax
        push    rcx
        push    rdx
        push    rbx
        mov     rcx, [rsp + 48]         ; field
        mov     ebx, [rsp + 40]         ; bits
        vmread  rax, rcx
        or      ebx, eax
        push    rcx
        lea     rdx, [control_msrs]
.find:
        cmp     [rdx], ecx
        je      .found
        add     rdx, 8
        jmp     .find
.found:
        mov     ecx, [rdx + 4]
        rdmsr
        pop     rcx
        or      ebx, eax
        mov     eax, ebx
        and     ebx, edx
        cmp     eax, ebx
        je      .possible
        say     "this processor cannot do what was asked for"
        jmp     stop
.possible:
        vmwrite rcx, rbx
        pop     rbx
        pop     rdx
        pop     rcx
        pop     rax
        ret     16

control_msrs:
        dd      PIN_CONTROLS, 0x481, PROC_CONTROLS, 0x482, EXIT_CONTROLS, 0x483
        dd      ENTRY_CONTROLS, 0x484, PROC_CONTROLS2, 0x48b

; get: replaces the field number on the stack by the field's value.
read_field:
        push    rax
        mov     rax, [rsp + 16]
        vmread  rax, rax
        mov     [rsp + 16], rax
        pop     rax
        ret

; Runs the guest until something else than its serial port makes it exit.
run_guest:
        call    enter_guest
        cmp     eax, REASON_IO
        jne     .done
        get     rax, EXIT_QUALIFICATION ; bit 3: IN; SDM 3C table 28-5
        test    eax, 8
        jz      .next                   ; OUT: nothing to do, L0 has seen the byte
        mov     byte [guest_rax], 0x60  ; IN: ready to send, nothing received
.next:
        call    skip_instruction
        jmp     run_guest
.done:
        ret

; One VM entry and the VM exit that ends it; RAX = basic exit reason.
enter_guest:
        push    rbx
        push    rcx
        push    rdx
        push    rsi
        push    rdi
        push    rbp
        push    r8
        push    r9
        push    r10
        push    r11
        push    r12
        push    r13
        push    r14
        push    r15
        mov     eax, HOST_RSP
        vmwrite rax, rsp
        cmp     byte [launched], 1
        mov     rax, [guest_rax]        ; MOV leaves the flags alone
        mov     rcx, [guest_rcx]
        mov     rdx, [guest_rdx]
        mov     rbx, [guest_rbx]
        mov     rbp, [guest_rbp]
        mov     rsi, [guest_rsi]
        mov     rdi, [guest_rdi]
        mov     r8, [guest_r8]
        mov     r9, [guest_r9]
        mov     r10, [guest_r10]
        mov     r11, [guest_r11]
        mov     r12, [guest_r12]
        mov     r13, [guest_r13]
        mov     r14, [guest_r14]
        mov     r15, [guest_r15]
        je      .again
        vmlaunch
        jmp     .failed
.again:
        vmresume
.failed:
        get     rax, INSTRUCTION_ERROR
        show    "VM entry refused, VM-instruction error ", rax
        jmp     stop

; The processor comes here from the guest, with the guest's general registers.
vm_exit:
        mov     [guest_rax], rax
        mov     [guest_rcx], rcx
        mov     [guest_rdx], rdx
        mov     [guest_rbx], rbx
        mov     [guest_rbp], rbp
        mov     [guest_rsi], rsi
        mov     [guest_rdi], rdi
        mov     [guest_r8], r8
        mov     [guest_r9], r9
        mov     [guest_r10], r10
        mov     [guest_r11], r11
        mov     [guest_r12], r12
        mov     [guest_r13], r13
        mov     [guest_r14], r14
        mov     [guest_r15], r15
        cld
        mov     byte [launched], 1
        get     rax, EXIT_REASON
        test    eax, eax
        jns     .entered
        and     eax, 0xffff             ; bit 31: the guest state was refused
        show    "VM entry failed, reason ", rax
        jmp     stop
.entered:
        movzx   eax, ax
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     r11
        pop     r10
        pop     r9
        pop     r8
        pop     rbp
        pop     rdi
        pop     rsi
        pop     rdx
        pop     rcx
        pop     rbx
        ret

skip_instruction:
        push    rax
        push    rbx
        get     rax, GUEST_RIP
        get     rbx, EXIT_LENGTH
        add     rax, rbx
        set     GUEST_RIP, rax
        set     GUEST_INTERRUPTIBILITY, 0 ; STI and MOV SS block for one instruction only
        pop     rbx
        pop     rax
        ret

; ===========================================================================
; Text
; ===========================================================================

; Prints the zero-terminated text behind the CALL, and returns behind the text.
print_here:
        xchg    rsi, [rsp]
        push    rax
        push    rdx
.next:
        lodsb
        test    al, al
        jz      .done
        call    put_char
        jmp     .next
.done:
        pop     rdx
        pop     rax
        xchg    rsi, [rsp]
        ret

put_char:
        push    rdx
        push    rax
        mov     dx, COM1 + 5
.busy:
        in      al, dx
        test    al, 0x20
        jz      .busy
        pop     rax
        mov     dx, COM1
        out     dx, al
        pop     rdx
        ret

; Prints RAX in hexadecimal, and ends the line.
print_hex:
        push    rbx
        push    rcx
        push    rax
        mov     rbx, rax
        mov     ecx, 60
.skip:                                  ; no zeros in front
        mov     rax, rbx
        shr     rax, cl
        jnz     .digit
        sub     ecx, 4
        jns     .skip
        xor     ecx, ecx
.digit:
        mov     rax, rbx
        shr     rax, cl
        and     eax, 15
        cmp     al, 10
        jb      .decimal
        add     al, 'A' - '0' - 10
.decimal:
        add     al, '0'
        call    put_char
        sub     ecx, 4
        jns     .digit
        call    print_here
        db      "h", 13, 10, 0
        pop     rax
        pop     rcx
        pop     rbx
        ret

; ===========================================================================
; Tables
; ===========================================================================
align 16, db 0
gdt:    dq 0
CODE64  equ $ - gdt
        dq 0x00af9b000000ffff
DATA    equ $ - gdt
        dq 0x00cf93000000ffff
TASK    equ $ - gdt
        dw 103, (tss - image) & 0xffff
        db ((tss - image + 0x100000) >> 16) & 0xff, 0x89, 0, 0
        dq 0
gdt_pointer:
        dw $ - gdt - 1
        dq gdt
pointer_vmxon: dq VMXON_REGION
pointer_vmcs:  dq VMCS_REGION

%macro field 2
        dd %1
        dq %2
%endmacro
; A guest segment by number (ES = 0 ... TR = 7): selector, limit, access rights.
%macro segment_fields 4
        field 0x0800 + 2 * %1, %2
        field GUEST_ES_BASE + 2 * %1, 0
        field GUEST_ES_LIMIT + 2 * %1, %3
        field GUEST_ES_RIGHTS + 2 * %1, %4
%endmacro

vmcs_values:
        field 0x2800, -1                ; VMCS link pointer: none
        field EPT_POINTER, EPT_TABLES + (3 << 3) + 6
        field MSR_BITMAPS, MSR_BITMAP
        segment_fields 0, 0x10, 0xffffffff, 0xc093
        segment_fields 1, 0x08, 0xffffffff, 0xa09b
        segment_fields 2, 0x10, 0xffffffff, 0xc093
        segment_fields 3, 0x10, 0xffffffff, 0xc093
        segment_fields 4, 0, 0, 0x10000 ; FS, GS, LDTR: unusable
        segment_fields 5, 0, 0, 0x10000
        segment_fields 6, 0, 0, 0x10000
        segment_fields 7, 0x18, 0x67, 0x8b
        field GUEST_CR3, GUEST_TABLES
        field 0x681a, 0x400             ; DR7
        field GUEST_RSP, GUEST_ENTRY
        field GUEST_RIP, GUEST_ENTRY
        field GUEST_RFLAGS, 2
        field 0x0c00, DATA              ; the host: ES, CS, SS, DS, FS, GS, TR
        field 0x0c02, CODE64
        field 0x0c04, DATA
        field 0x0c06, DATA
        field 0x0c08, 0
        field 0x0c0a, 0
        field 0x0c0c, TASK
        field 0x6c0a, tss               ; bases: TR, GDTR, IDTR
        field 0x6c0c, gdt
        field 0x6c0e, IDT
        field 0x6c16, vm_exit           ; RIP
        dd -1

align 8, db 0
multiboot_info: dq 0
launched:       dq 0
guest_rax:      dq 0
guest_rcx:      dq 0
guest_rdx:      dq 0
guest_rbx:      dq 0
guest_rbp:      dq 0
guest_rsi:      dq 0
guest_rdi:      dq 0
guest_r8:       dq 0
guest_r9:       dq 0
guest_r10:      dq 0
guest_r11:      dq 0
guest_r12:      dq 0
guest_r13:      dq 0
guest_r14:      dq 0
guest_r15:      dq 0
align 16, db 0
tss:            times 104 db 0
`;
