; EPT: permissions of every level, misconfigurations, qualification and addresses of violations, by data accesses, fetches and page walks;
; large pages; unrestricted guests; INVEPT and INVVPID (SDM 3C 28.3, 27.2.1, 30.3).
%include "common64.inc"
%include "vmx64.inc"

TEST_GPA equ 1 << 39          ; a PML4 entry of its own
TEST_VA equ 0x8000000000

main:
  mov edi, 14
  mov rsi, page_fault
  mov eax, 0x8e
  call set_gate
  call vmx_start
  READMSR 0x48b
  shr rax, 32
  test al, 2
  jnz .have
  PRINTLN "no EPT"
  ret
.have:
  call build
  call test_identity
  call test_permissions
  call test_leaf
  call test_reserved
  call test_walk
  call test_large
  call test_fields
  call test_real
  call test_flush
  ret

; In the guest: counts and skips, by RAX = address to go on at.
page_fault:
  mov rax, cr2
  mov [guest_fault], rax
  pop qword [guest_error]
  add rsp, 40
  vmcall

build:
  ; 4 GiB one to one with 2 MiB pages, and the test page at TEST_GPA by 4 KiB
  mov rax, ept_pdpt + 7
  mov [ept_pml4], rax
  mov rax, ept_test_pdpt + 7
  mov [ept_pml4 + 8], rax
  mov rax, ept_test_dir + 7
  mov [ept_test_pdpt], rax
  mov rax, ept_test_table + 7
  mov [ept_test_dir], rax
  mov rax, test_page + 0x37
  mov [ept_test_table], rax
  mov rdi, ept_pdpt
  mov eax, ept_dirs + 7
  mov ecx, 4
.pdpt:
  mov [rdi], rax
  add rdi, 8
  add rax, 4096
  loop .pdpt
  mov rdi, ept_dirs
  mov eax, 0xb7                 ; write-back, 2 MiB
  mov ecx, 2048
.page:
  mov [rdi], rax
  add rdi, 8
  add rax, 0x200000
  loop .page
  ; The guest's own tables of 4 KiB pages: TEST_VA is TEST_GPA
  mov qword [pml4 + 8], guest_pdpt + 0x27
  mov qword [guest_pdpt], guest_dir + 0x27
  mov qword [guest_dir], guest_table + 0x27
  mov rax, TEST_GPA + 0x67
  mov [guest_table], rax
  mov dword [test_page], 0x90c1010f             ; VMCALL at the page's start
  mov dword [test_page + 8], 0x12345678
  VMWR V_EPTP, ept_pml4 + 0x1e
  VMSET V_PROC, PROC_SECONDARY
  VMSET V_PROC2, PROC2_EPT
  ret

flush:
  push rax
  mov rax, [eptp_now]
  mov [descriptor], rax
  mov qword [descriptor + 8], 0
  mov eax, 1
  invept rax, [descriptor]
  jbe .bad
  pop rax
  ret
.bad:
  PRINT "INVEPT failed "
  pop rax
  ret

g_read:
  mov eax, [rcx]
  vmcall
g_write:
  mov [rcx], eax
  vmcall
g_fetch:
  jmp rcx
g_rmw:
  inc dword [rcx]
  vmcall
g_push:
  lea rsp, [rcx + 16]
  push rax
  vmcall
; Runs the guest at RBX with RCX = [access_address] and prints its exit in short: '.' for VMCALL, M misconfiguration, V and the qualification of a violation.
access:
  mov rax, rbx
  mov ecx, G_RIP
  vmwrite rcx, rax
  call vmx_fresh
  mov rax, [access_address]
  mov [guest_rcx], rax
  call enter
  VMRD X_REASON
  cmp eax, 18
  je .good
  cmp eax, 48
  je .violation
  cmp eax, 49
  je .misconfiguration
  PRINT "?"
  push rax
  call put_hex32
  ret
.good:
  PRINT " ."
  ret
.misconfiguration:
  PRINT " M"
  ret
.violation:
  PRINT " V"
  VMRD X_QUALIFICATION
  push rax
  shr eax, 8
  and eax, 15
  mov al, [hex_digits + rax]
  call putc
  pop rax
  jmp put_hex8
; Enters and comes back, printing nothing.
enter:
  push rbx
  push rbp
  push r12
  push r13
  push r14
  push r15
  VMWR H_RSP, rsp
  VMWR H_RIP, .exit
  mov rax, [guest_rax]
  mov rcx, [guest_rcx]
  cmp qword [vmx_launched], 0
  jne .resume
  vmlaunch
  jmp .failed
.resume:
  vmresume
.failed:
  PRINT "VMfail"
.exit:
  mov [guest_rax], rax
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbp
  pop rbx
  VMRD X_REASON
  test eax, eax
  js .end
  mov qword [vmx_launched], 1
.end:
  ret
three:
  mov rbx, g_read
  call access
  mov rbx, g_write
  call access
  mov rbx, g_fetch
  call access
  ret

test_identity:
  PRINTLN "-- basics"
  mov rax, TEST_VA
  mov [access_address], rax
  FROM g_read
  mov [guest_rcx], rax
  mov qword [eptp_now], ept_pml4 + 0x1e
  call three
  NEWLINE
  SHOWLN32 "written", [test_page]
  mov dword [test_page], 0x90c1010f
  ret

; All eight permissions at each level
test_permissions:
  PRINTLN "-- permissions"
  mov r12, ept_test_table
  call .level
  mov r12, ept_test_dir
  call .level
  mov r12, ept_test_pdpt
  call .level
  mov r12, ept_pml4 + 8
  call .level
  ret
.level:
  xor r13d, r13d
.next:
  mov r14, [r12]
  mov rax, r14
  and rax, ~7
  or rax, r13
  mov [r12], rax
  call flush
  mov eax, r13d
  call put_hex8
  mov dword [test_page], 0x90c1010f
  call three
  PRINT ' |'
  mov [r12], r14
  inc r13d
  cmp r13d, 8
  jb .next
  NEWLINE
  mov dword [test_page], 0x90c1010f
  ret

test_leaf:
  PRINTLN "-- memory types"
  mov rbx, g_read
  xor r13d, r13d
.next:
  mov rax, [ept_test_table]
  and rax, ~0x38
  mov rcx, r13
  shl rcx, 3
  or rax, rcx
  mov [ept_test_table], rax
  call flush
  call access
  inc r13d
  cmp r13d, 8
  jb .next
  mov rax, [ept_test_table]
  and rax, ~0x38
  or rax, 0x30
  mov [ept_test_table], rax
  NEWLINE
  ret

; Every bit of the entry at each level, with an access that is otherwise allowed, and with the entry absent
test_reserved:
  PRINTLN "-- single bits"
  mov r12, ept_test_table
  call .level
  mov r12, ept_test_dir
  call .level
  mov r12, ept_test_pdpt
  call .level
  mov r12, ept_pml4 + 8
  call .level
  ret
.level:
  mov r13d, 3
.next:
  ; Address bits within the physical width just go elsewhere.
  cmp r13d, 12
  jb .try
  cmp r13d, 40
  jb .skip
.try:
  mov r14, [r12]
  mov rax, r14
  btc rax, r13
  mov [r12], rax
  call flush
  mov rbx, g_read
  call access
  mov rax, r14
  btc rax, r13
  and rax, ~7
  mov [r12], rax
  call flush
  call access
  mov [r12], r14
.skip:
  inc r13d
  cmp r13d, 64
  jb .next
  NEWLINE
  ret

; Permissions for the page of the guest's page table, by the state of its A and D flags
test_walk:
  PRINTLN "-- page walks"
  ; The guest's page table gets a 4 KiB EPT entry: split its 2 MiB page.
  mov rax, guest_table
  shr rax, 21
  lea r12, [ept_dirs + rax * 8]
  shl rax, 21
  or rax, 0x37
  mov rdi, ept_split
  mov ecx, 512
.fill:
  mov [rdi], rax
  add rdi, 8
  add rax, 4096
  loop .fill
  push qword [r12]
  mov rax, ept_split + 7
  mov [r12], rax
  mov rax, guest_table
  shr rax, 12
  and eax, 511
  lea r12, [ept_split + rax * 8]
  xor r13d, r13d
.flags:
  xor r14d, r14d
.next:
  mov rax, [r12]
  and rax, ~7
  or rax, r14
  mov [r12], rax
  call flush
  mov eax, r13d
  call put_hex8
  mov eax, r14d
  call put_hex8
  mov dword [test_page], 0x90c1010f
  xor ebx, ebx
.op:
  mov rax, TEST_GPA + 7
  or rax, r13
  mov [guest_table], rax
  call flush
  push rbx
  mov rbx, [operations + rbx * 8]
  call access
  PRINT "/"
  mov rax, [guest_table]
  call put_hex8
  pop rbx
  inc ebx
  cmp ebx, 3
  jb .op
  PRINT " |"
  inc r14d
  cmp r14d, 8
  jb .next
  NEWLINE
  add r13d, 0x20
  cmp r13d, 0x80
  jb .flags
  or qword [r12], 7
  mov rax, TEST_GPA + 0x67
  mov [guest_table], rax
  mov dword [test_page], 0x90c1010f
  ; A guest page fault comes before the EPT violation of the page, the violation of the table before both.
  mov rax, TEST_GPA + 0x65
  mov [guest_table], rax
  and qword [ept_test_table], ~7
  or qword [ept_test_table], 1
  call flush
  mov rbx, g_write
  call access
  SHOWLN " guest page fault", [guest_fault]
  or qword [ept_test_table], 7
  mov rax, TEST_GPA + 0x67
  mov [guest_table], rax
  call flush
  pop rax
  mov rdx, guest_table
  shr rdx, 21
  mov [ept_dirs + rdx * 8], rax
  ret

test_large:
  PRINTLN "-- 2 MiB page"
  mov rax, [ept_test_dir]
  push rax
  mov rax, test_page
  and rax, ~0x1fffff
  or rax, 0xb7
  mov [ept_test_dir], rax
  ; The guest's page must have the same offset.
  mov rdx, test_page
  and edx, 0x1ff000
  mov rax, TEST_GPA + 0x67
  or rax, rdx
  mov [guest_table], rax
  call flush
  mov dword [test_page], 0x90c1010f
  call three
  mov dword [test_page], 0x90c1010f
  mov r13d, 12
.bit:
  btc [ept_test_dir], r13d
  call flush
  mov rbx, g_read
  call access
  btc [ept_test_dir], r13d
  inc r13d
  cmp r13d, 21
  jb .bit
  NEWLINE
  xor r13d, r13d
.next:
  mov rax, [ept_test_dir]
  and rax, ~7
  or rax, r13
  mov [ept_test_dir], rax
  call flush
  mov dword [test_page], 0x90c1010f
  call three
  PRINT " |"
  inc r13d
  cmp r13d, 8
  jb .next
  NEWLINE
  pop rax
  mov [ept_test_dir], rax
  mov rax, TEST_GPA + 0x67
  mov [guest_table], rax
  call flush
  mov dword [test_page], 0x90c1010f
  ret

; Addresses, access kinds, and vectoring
test_fields:
  PRINTLN "-- addresses"
  FROM g_read
  and qword [ept_test_table], ~2
  call flush
  %macro VIOLATION 3
    AT %2
    mov rax, %3
    mov [guest_rcx], rax
    RUN %1
    FIELD "linear", X_LINEAR
    FIELDLN " physical", X_GPA
  %endmacro
  mov qword [guest_rax], 5
  VIOLATION "write", g_write, TEST_VA + 0x124
  VIOLATION "rmw", g_rmw, TEST_VA + 0xffc
  VIOLATION "push", g_push, TEST_VA + 0x100
  and qword [ept_test_table], ~7
  call flush
  VIOLATION "read", g_read, TEST_VA + 0x128
  VIOLATION "fetch", g_fetch, TEST_VA + 0x13
  ; A page that begins below and ends in the test page
  mov qword [guest_table + 4096 - 8], 0
  mov rax, other_page + 0x67
  mov [guest_table + 8], rax
  mov rax, TEST_GPA + 0x67
  mov [guest_table + 16], rax
  VIOLATION "crossing", g_read, TEST_VA + 0x1ffe
  VIOLATION "crossing write", g_write, TEST_VA + 0x1fff
  ; Misconfiguration: the address too
  or qword [ept_test_table], 2
  call flush
  VIOLATION "misconfiguration", g_read, TEST_VA + 0x128
  or qword [ept_test_table], 7
  call flush
  ; Event delivery that meets a violation: the IDT in the test page
  mov rax, TEST_GPA
  VMWR G_IDTR_BASE, TEST_VA
  and qword [ept_test_table], ~7
  call flush
  AT g_int
  RUN "int 33h"
  FIELD "linear", X_LINEAR
  FIELD " physical", X_GPA
  FIELDLN " length", X_LENGTH
  AT g_int
  VMWR V_ENTRY_INFO, INJECT | 0x202
  RUN "injected nmi"
  FIELD "linear", X_LINEAR
  FIELDLN " interruptibility", G_INTERRUPTIBILITY
  VMWR V_ENTRY_INFO, 0
  or qword [ept_test_table], 7
  call flush
  VMWR G_IDTR_BASE, idt
  ; The guest's CR3 points to nowhere.
  VMWR G_CR3, TEST_GPA + 0x200000
  AT g_int
  RUN "cr3"
  FIELD "linear", X_LINEAR
  FIELDLN " physical", X_GPA
  mov rax, cr3
  mov ecx, G_CR3
  vmwrite rcx, rax
  ret
g_int:
  int 0x33
  vmcall

; Unrestricted guests: no paging, and real mode
test_real:
  PRINTLN "-- unrestricted guest"
  READMSR 0x48b
  shr rax, 32
  test al, PROC2_UNRESTRICTED
  jnz .have
  PRINTLN "none"
  ret
.have:
  VMSET V_PROC2, PROC2_UNRESTRICTED
  ; Real mode: code at 6000h, segment 600h
  mov rsi, real_code
  mov edi, 0x6000
  mov ecx, real_end - real_code
  rep movsb
  FROM 0x100
  mov qword [vmx_base], 0
  VMCLR V_ENTRY, ENTRY_IA32E
  VMRD G_CR0
  and eax, 0x7ffffffe
  mov ecx, G_CR0
  vmwrite rcx, rax
  VMRD G_CR4
  mov [saved_cr4], rax
  VMWR G_CR4, 0x2000
  VMWR G_EFER, 0
  AT 0
%assign n 0
%rep 6
  VMWR G_ES + 2 * n, 0x600
  VMWR G_BASES + 2 * n, 0x6000
  VMWR G_LIMITS + 2 * n, 0xffff
  %if n == 1
    VMWR G_RIGHTS + 2 * n, 0x9b
  %else
    VMWR G_RIGHTS + 2 * n, 0x93
  %endif
%assign n n + 1
%endrep
  VMWR G_RSP, 0xf00
  VMWR 0x4812, 0x3ff
  VMWR G_IDTR_BASE, 0x7000
  mov dword [0x7000 + 0x20 * 4], 0x06000040     ; INT 20h to 600:40h
  RUN "real mode"
  mov rax, [guest_rax]
  SHOWLN "rax", rax
  FIELD "cs", G_CS
  FIELDLN " rsp", G_RSP
  call vmx_skip
  RUN "interrupt"
  FIELD "rsp", G_RSP
  FIELDLN " flags", G_RFLAGS
  call vmx_skip
  RUN "iret"
  call vmx_skip
  RUN "protected mode"
  FIELD "cr0", G_CR0
  FIELD " cs", G_CS
  FIELDLN " rights", G_RIGHTS + 2
  ; A fault in real mode without room in the table: a triple fault exits.
  VMWR G_RIP, 0x7fff
  VMWR 0x4812, 0
  VMWR G_LIMITS + 2, 0xffff
  mov word [0x6000 + 0x7fff], 0x0b0f
  RUN "no vector"
  VMWR 0x4812, 256 * 16 - 1
  VMWR G_IDTR_BASE, idt
  ; From unpaged protected mode into IA-32e mode by itself: the control follows.
  VMWR G_CS, SEL_CODE32
  VMWR G_BASES + 2, 0
  VMWR G_LIMITS + 2, 0xffffffff
  VMWR G_RIGHTS + 2, 0xc09b
%assign n 0
%rep 6
  %if n != 1
    VMWR G_ES + 2 * n, SEL_DATA
    VMWR G_BASES + 2 * n, 0
    VMWR G_LIMITS + 2 * n, 0xffffffff
    VMWR G_RIGHTS + 2 * n, 0xc093
  %endif
%assign n n + 1
%endrep
  VMRD G_CR0
  or eax, 1
  and eax, 0x7fffffff
  mov ecx, G_CR0
  vmwrite rcx, rax
  VMWR V_MSR_BITMAP, msr_bitmap
  VMSET V_PROC, PROC_MSR_BITMAP
  AT g_long
  FROM g_long
  RUN "into long mode"
  VMRD V_ENTRY
  and eax, ENTRY_IA32E
  SHOW "ia-32e control", rax
  VMRD G_EFER
  SHOW " efer field", rax
  FIELDLN " cs rights", G_RIGHTS + 2
  ; As it was
  VMSET V_ENTRY, ENTRY_IA32E
  VMWR G_CS, SEL_CODE
  VMWR G_RIGHTS + 2, 0xa09b
  VMWR G_EFER, 0xd00
  mov rax, cr0
  mov ecx, G_CR0
  vmwrite rcx, rax
  VMWR G_CR4, [saved_cr4]
  VMCLR V_PROC2, PROC2_UNRESTRICTED
  ; Without the control an unpaged guest cannot be entered.
  VMRD G_CR0
  and eax, 0x7fffffff
  mov ecx, G_CR0
  vmwrite rcx, rax
  AT g_read
  RUN "unpaged, restricted"
  mov rax, cr0
  mov ecx, G_CR0
  vmwrite rcx, rax
  ret
bits 16
real_code:
  mov ax, cs
  shl eax, 16
  mov ax, [0x10]
  mov sp, 0xe00
  jmp .over
  times 0x10 - ($ - real_code) db 0
  dw 0x1234
.over:
  vmcall
  int 0x20
  nop
  vmcall
  mov eax, cr0
  or al, 1
  mov cr0, eax
  vmcall
  times 0x40 - ($ - real_code) db 0x90
  vmcall
  iret
real_end:
bits 32
g_long:
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, pml4
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x900
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  jmp SEL_CODE:.long
.long:
bits 64
  mov eax, 1
  inc rax
  vmcall

; INVEPT and INVVPID operands
%macro RESULT 1
  pushfq
  pop rax
  and eax, 0x8d5
  PRINT %1, ': '
  push rax
  call put_hex32
  VMRD V_ERROR
  SHOWLN32 " error", eax
%endmacro
%macro INVE 3
  call set_error
  mov rax, %3
  mov [descriptor], rax
  mov qword [descriptor + 8], 0
  mov rax, %2
  invept rax, [descriptor]
  RESULT %1
%endmacro
%macro INVV 4
  call set_error
  mov rax, %3
  mov [descriptor], rax
  mov rax, %4
  mov [descriptor + 8], rax
  mov rax, %2
  invvpid rax, [descriptor]
  RESULT %1
%endmacro
; Leaves 12 in the VM-instruction error
set_error:
  mov ecx, 0xfffe
  vmread rax, rcx
  ret
test_flush:
  PRINTLN "-- INVEPT, INVVPID"
  INVE "single", 1, ept_pml4 + 0x1e
  INVE "global", 2, 0
  INVE "type 0", 0, 0
  INVE "type 3", 3, 0
  INVE "wide type", 0x100000001, ept_pml4 + 0x1e
  INVE "memory type 1", 1, ept_pml4 + 0x19
  INVE "walk length", 1, ept_pml4 + 0x16
  INVE "reserved", 1, ept_pml4 + 0x9e
  INVE "beyond the width", 1, (1 << 41) + 0x1e
  INVV "address", 0, 1, 0x1000
  INVV "address, vpid 0", 0, 0, 0x1000
  INVV "address not canonical", 0, 1, 0x8000000000000000
  INVV "address, vpid 17 bits", 0, 0x10001, 0
  INVV "single", 1, 1, 0x8000000000000000
  INVV "single, vpid 0", 1, 0, 0
  INVV "all", 2, 0, 0
  INVV "all, reserved", 2, 0x10000, 0
  INVV "retaining globals", 3, 1, 0
  INVV "retaining globals, vpid 0", 3, 0, 0
  INVV "type 4", 4, 1, 0
  mov rbx, 0x8000000000000000
  mov eax, 1
  TRY "invept not canonical", invept rax, [rbx]
  TRY "invvpid not canonical", invvpid rax, [rbx]
  mov rbx, TEST_VA + 0x100000
  TRY "invept not mapped", invept rax, [rbx]
  USER "invept in ring 3", invept rax, [descriptor]
  ; Translations of a guest stay until they are invalidated, at the latest; changed rights need no more than INVEPT.
  ret

[section .data]
  align 8
operations: dq g_read, g_write, g_fetch
access_address: dq 0
eptp_now: dq 0
guest_fault: dq 0
guest_error: dq 0
saved_cr4: dq 0
  align 16
descriptor: dq 0, 0
  align 4096
ept_pml4: times 4096 db 0
ept_pdpt: times 4096 db 0
ept_dirs: times 4 * 4096 db 0
ept_test_pdpt: times 4096 db 0
ept_test_dir: times 4096 db 0
ept_test_table: times 4096 db 0
ept_split: times 4096 db 0
guest_pdpt: times 4096 db 0
guest_dir: times 4096 db 0
guest_table: times 4096 db 0
test_page: times 4096 db 0
other_page: times 4096 db 0
msr_bitmap: times 4096 db 0
[section .text]
