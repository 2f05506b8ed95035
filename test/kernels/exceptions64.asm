; Exceptions and transfers in 64-bit mode: frames, IST, canonical checks, SYSCALL, SYSRET, SYSENTER, SYSEXIT, IRET, far transfers,
; segment loads, compatibility mode, instructions that 64-bit mode lacks (SDM 3A 5.8, 6.14; vol 2).
%include "common64.inc"

NONCANONICAL equ 0x0000800000001000

%macro syscall_call 1 ; any argument
  mov byte [sysret_back], 1
  syscall
%endmacro
%macro iret_user 1 ; any argument
  mov rax, rsp
  push qword SEL_UDATA
  push rax
  push qword 0x202
  push qword SEL_UCODE
  mov rax, user_int
  push rax
  iretq
%endmacro
%macro popf_user 1 ; any argument
  push qword 0x247fd7 & ~0x100
  popfq
%endmacro
main:
  call test_frames
  call test_canonical
  call test_segments
  call test_far
  call test_iret
  call test_syscall
  call test_sysenter
  call test_undefined
  call test_compat
  call test_user
  call test_alignment
  call test_paging
  ret

test_frames:
  PRINTLN "-- frames"
  TRY "ud2", ud2
  SHOW "ss", [event_ss]
  SHOW " new ss", [event_new_ss]
  mov rax, [event_frame]
  and eax, 15
  SHOWLN " alignment", rax
  ; The frame is aligned to 16 bytes whatever RSP was.
%assign n 1
%rep 3
  mov rbx, rsp
  sub rsp, n * 5
  TRY "int", int 0x80
  mov rax, [event_rsp]
  sub rax, rbx
  SHOW "rsp", rax
  mov rax, rbx
  sub rax, [event_frame]
  SHOWLN " below", rax
  mov rsp, rbx
%assign n n + 1
%endrep
  ; IST
  mov edi, 6
  mov rsi, stubs + 6 * 16
  mov eax, 0x18e
  call set_gate
  TRY "ud2 ist", ud2
  mov rax, ist1_top
  sub rax, [event_frame]
  SHOWLN "below ist1", rax
  mov rax, NONCANONICAL
  xchg rax, [tss + 36]
  mov edi, 12
  push rax
  mov rsi, stubs + 12 * 16
  mov eax, 0x28e
  call set_gate
  TRY "ist not canonical", ud2
  pop rax
  mov [tss + 36], rax
  mov edi, 6
  mov rsi, stubs + 6 * 16
  mov eax, 0x8e
  call set_gate
  USER "user ud2", ud2
  SHOW "ss", [event_ss]
  SHOW " new ss", [event_new_ss]
  SHOW " cs", [event_cs]
  SHOWLN " flags", [event_flags]
  ; Gates: not present, wrong type, non-canonical offset, bad selectors, DPL
  %macro GATE 2+
    mov edi, 0x90
    mov rsi, stubs + 0x90 * 16
    mov eax, 0x8e
    call set_gate
    %2
    TRY %1, int 0x90
  %endmacro
  GATE "good", nop
  GATE "not present", mov byte [idt + 0x905], 0x0e
  GATE "trap gate", mov byte [idt + 0x905], 0x8f
  GATE "task gate", mov byte [idt + 0x905], 0x85
  GATE "call gate", mov byte [idt + 0x905], 0x8c
  GATE "16-bit gate", mov byte [idt + 0x905], 0x86
  GATE "null selector", mov word [idt + 0x902], 0
  GATE "data selector", mov word [idt + 0x902], SEL_DATA
  GATE "32-bit code", mov word [idt + 0x902], SEL_CODE32
  GATE "dpl 3 code", mov word [idt + 0x902], SEL_UCODE
  GATE "selector beyond", mov word [idt + 0x902], 0xfff8
  GATE "offset not canonical", mov dword [idt + 0x908], 0x8000
  USER "user int 90h dpl 0", int 0x90
  USER "user int3", int3
  USER "user int 3", {db 0xcd, 3}
  USER "user int1", {db 0xf1}
  USER "user int 0", int 0
  mov word [idtr], 0x80 * 16 + 14
  lidt [idtr]
  TRY "idt limit", int 0x80
  mov word [idtr], 256 * 16 - 1
  lidt [idtr]
  ; RSP0 not canonical: #SS(0) is delivered on the same bad stack, so it takes an IST.
  mov rax, NONCANONICAL
  xchg rax, [tss + 4]
  push rax
  USER "rsp0 not canonical", ud2
  pop rax
  mov [tss + 4], rax
  ret

test_canonical:
  PRINTLN "-- canonical addresses"
  mov rbx, NONCANONICAL
  mov rcx, 0x00007ffffffffffc
  mov rdx, -4
  TRY "read", mov eax, [rbx]
  TRY "write", mov [rbx], eax
  TRY "rbp", mov eax, [rbp + rbx]
  push rbp
  mov rbp, rbx
  TRY "stack segment", mov eax, [rbp]
  pop rbp
  TRY "rbx with ss prefix", mov eax, [ss:rbx]
  TRY "last bytes", mov eax, [rcx]
  TRY "wrap at the top", mov rax, [rdx]
  TRY "jmp", jmp rbx
  TRY "call", call rbx
  TRYBEGIN
    push rbx
    ret
  TRYEND "ret"
  mov rbx, NONCANONICAL
  TRY "lgdt", lgdt [rbx]
  mov word [scratch], 0xffff
  mov [scratch + 2], rbx
  TRY "lgdt base", lgdt [scratch]
  TRY "lidt base", lidt [scratch]
  TRY "invlpg", invlpg [rbx]
  TRY "clflush", clflush [rbx]
  TRY "prefetch", prefetchnta [rbx]
  TRY "lea", lea rax, [rbx]
  TRY "nop", nop dword [rbx]
  mov rsi, rbx
  mov rdi, scratch
  TRY "movsb", movsb
  mov rdi, rbx
  TRY "stosb", stosb
  mov ecx, 0
  TRY "rep stosb 0", rep stosb
  mov rbp, rsp
  ; A push on a bad stack: #SS through its IST gate
  TRYBEGIN
    mov rsp, rbx
    push rax
  TRYEND "push"
  mov rsp, rbp
  TRYBEGIN
    mov rsp, rbx
    pop rax
  TRYEND "pop"
  mov rsp, rbp
  TRYBEGIN
    mov rsp, rbx
    call here_near
  TRYEND "call on a bad stack"
  mov rsp, rbp
  TRYBEGIN
    mov rbp, rbx
    leave
  TRYEND "leave"
  %macro BADMSR 2
    mov ecx, %2
    xor eax, eax
    mov edx, 0x8000
    TRY %1, wrmsr
  %endmacro
  BADMSR "fs base", 0xc0000100
  BADMSR "gs base", 0xc0000101
  BADMSR "kernel gs base", 0xc0000102
  BADMSR "lstar", 0xc0000082
  BADMSR "cstar", 0xc0000083
  BADMSR "sysenter eip", 0x176
  BADMSR "sysenter esp", 0x175
  BADMSR "fmask", 0xc0000084
  BADMSR "star", 0xc0000081
  BADMSR "tsc_aux", 0xc0000103
  WRITEMSR 0xc0000081, 0
  WRITEMSR 0xc0000083, 0
  WRITEMSR 0xc0000084, 0
  mov rax, 0x00007fffffffffff
  mov rdx, rax
  shr rdx, 32
  mov ecx, 0xc0000100
  TRY "fs base canonical", wrmsr
  TRY "fs sum not canonical", mov al, [fs:1]
  WRITEMSR 0xc0000100, 0xffff800000000000
  TRY "fs sum wraps", mov al, [fs:-1]
  WRITEMSR 0xc0000100, 0
here_near:
  ret

test_segments:
  PRINTLN "-- segment loads"
  mov rax, 0x123456789abc
  WRITEMSR 0xc0000100, rax
  xor eax, eax
  TRY "mov fs, 0", mov fs, eax
  READMSR 0xc0000100
  SHOWLN "fs base", rax
  WRITEMSR 0xc0000101, 0x1234
  mov eax, SEL_DATA
  mov gs, eax
  READMSR 0xc0000101
  SHOWLN "gs base after a load", rax
  xor eax, eax
  TRY "mov ss, 0", mov ss, eax
  mov eax, 3
  TRY "mov ss, 3", mov ss, eax
  mov eax, SEL_DATA | 1
  TRY "mov ss, rpl 1", mov ss, eax
  mov eax, SEL_CODE
  TRY "mov ss, code", mov ss, eax
  TRY "mov ds, code", mov ds, eax
  mov eax, SEL_TSS
  TRY "mov ds, tss", mov ds, eax
  mov eax, 0xfff8
  TRY "mov ds, beyond", mov ds, eax
  xor eax, eax
  TRY "mov ds, 0", mov ds, eax
  TRY "use ds 0", mov eax, [scratch]
  mov eax, SEL_DATA
  mov ds, eax
  TRY "push fs", push fs
  add rsp, 8
  push qword -1
  add rsp, 8
  push fs
  SHOWLN "pushed", [rsp]
  add rsp, 8
  mov rax, -1
  mov rax, ds
  SHOWLN "mov rax, ds", rax
  mov rax, -1
  mov ax, ds
  SHOWLN "mov ax, ds", rax
  mov rax, -1
  str rax
  SHOW "str rax", rax
  mov rax, -1
  str eax
  SHOW " eax", rax
  mov rax, -1
  str ax
  SHOWLN " ax", rax
  mov rax, -1
  smsw rax
  SHOW "smsw rax", rax
  mov rax, -1
  smsw eax
  SHOW " eax", rax
  mov rax, -1
  smsw ax
  SHOWLN " ax", rax
  mov rax, -1
  sldt rax
  SHOWLN "sldt rax", rax
  mov eax, SEL_DATA
  lar rcx, rax
  SHOW "lar", rcx
  lsl rcx, rax
  SHOWLN " lsl", rcx
  mov eax, SEL_TSS
  xor ecx, ecx
  lar rcx, rax
  SHOW "lar tss", rcx
  lsl rcx, rax
  SHOWLN " lsl", rcx
  %macro LARTYPE 1
    mov dword [gdt + SEL_FREE + 4], 0x8000 | (%1) << 8
    mov eax, SEL_FREE
    mov ecx, 0x77
    lar ecx, eax
    SHOW32 "  lar", ecx
    mov ecx, 0x77
    lsl ecx, eax
    SHOWLN32 " lsl", ecx
  %endmacro
%assign t 0
%rep 16
  LARTYPE t
%assign t t + 1
%endrep
  ; A 16-byte descriptor's upper half must be all there, and of type 0.
  mov dword [gdt + SEL_FREE + 4], 0x8200
  mov eax, SEL_FREE
  TRY "lldt", lldt ax
  mov dword [gdt + SEL_FREE + 12], 0x1000
  TRY "lldt upper type", lldt ax
  mov dword [gdt + SEL_FREE + 12], 0
  mov dword [gdt + SEL_FREE + 8], 0x8000
  TRY "lldt not canonical", lldt ax
  mov dword [gdt + SEL_FREE + 8], 0
  mov eax, GDT_ENTRIES * 8 - 8
  mov dword [gdt + GDT_ENTRIES * 8 - 4], 0x8200
  TRY "lldt half outside", lldt ax
  mov dword [gdt + SEL_FREE + 4], 0x8900
  mov dword [gdt + SEL_FREE + 8], 0x8000
  mov eax, SEL_FREE
  TRY "ltr not canonical", ltr ax
  mov dword [gdt + SEL_FREE + 8], 0
  mov eax, SEL_TSS
  TRY "ltr busy", ltr ax
  mov dword [gdt + SEL_FREE + 4], 0x8100
  mov eax, SEL_FREE
  TRY "ltr 16", ltr ax
  xor eax, eax
  lldt ax
  ret

%macro TRYRETF 5 ; name, ss, rsp, cs, rip
  mov rbp, rsp
  push qword %2
  mov rax, %3
  push rax
  push qword %4
  mov rax, %5
  push rax
  TRY %1, {o64 retf}
  mov rsp, rbp
%endmacro
test_far:
  PRINTLN "-- far transfers"
  mov dword [far_ptr], here_far
  mov word [far_ptr + 4], SEL_CODE
  TRY "jmp m16:32", jmp far dword [far_ptr]
  mov qword [far_ptr], here_far
  mov word [far_ptr + 8], SEL_CODE
  TRYBEGIN
    db 0x48
    jmp far [far_ptr]
  TRYEND "jmp m16:64"
  mov word [far_ptr + 8], SEL_CODE32
  mov word [far_ptr + 8], 0
  TRYBEGIN
    db 0x48
    jmp far dword [far_ptr]
  TRYEND "jmp null"
  mov word [far_ptr + 8], SEL_DATA
  TRYBEGIN
    db 0x48
    jmp far dword [far_ptr]
  TRYEND "jmp data"
  mov word [far_ptr + 8], SEL_TSS
  TRYBEGIN
    db 0x48
    jmp far dword [far_ptr]
  TRYEND "jmp tss"
  mov rax, NONCANONICAL
  mov [far_ptr], rax
  mov word [far_ptr + 8], SEL_CODE
  TRYBEGIN
    db 0x48
    jmp far dword [far_ptr]
  TRYEND "jmp not canonical"
  ; A code segment with both L and D set
  mov rax, 0x00ef9b000000ffff
  mov [gdt + SEL_FREE], rax
  mov qword [far_ptr], here_far
  mov word [far_ptr + 8], SEL_FREE
  TRYBEGIN
    db 0x48
    jmp far dword [far_ptr]
  TRYEND "jmp L and D"
  ; 64-bit call gate
  mov rax, here_gate
  mov [gdt + SEL_FREE], ax
  mov word [gdt + SEL_FREE + 2], SEL_CODE
  mov word [gdt + SEL_FREE + 4], 0xec00
  shr rax, 16
  mov [gdt + SEL_FREE + 6], ax
  shr rax, 16
  mov [gdt + SEL_FREE + 8], rax
  mov word [far_ptr + 4], SEL_FREE
  TRY "call gate", call far dword [far_ptr]
  TRY "jmp gate", jmp far dword [far_ptr]
  USERBEGIN
    call far dword [far_ptr]
  USEREND "user call gate"
  SHOW "cs", [event_cs]
  SHOW " ss", [event_ss]
  mov rax, ring0_top
  sub rax, [event_rsp]
  SHOWLN " below rsp0", rax
  mov word [gdt + SEL_FREE + 2], SEL_CODE32
  TRY "gate to 32-bit code", call far dword [far_ptr]
  mov word [gdt + SEL_FREE + 2], SEL_CODE
  mov dword [gdt + SEL_FREE + 12], 0x100
  TRY "gate upper type", call far dword [far_ptr]
  mov dword [gdt + SEL_FREE + 12], 0
  mov dword [gdt + SEL_FREE + 8], 0x8000
  TRY "gate not canonical", call far dword [far_ptr]
  mov dword [gdt + SEL_FREE + 8], 0
  mov word [gdt + SEL_FREE + 4], 0xe400
  TRY "16-bit gate", call far dword [far_ptr]
  TRYRETF "retf", 0, 0, SEL_CODE, here_far
  TRYRETF "retf null", 0, 0, 0, here_far
  TRYRETF "retf not canonical", 0, 0, SEL_CODE, NONCANONICAL
  TRYRETF "retf outer", SEL_UDATA, ring3_top, SEL_UCODE, user_int
  SHOWLN "ss", [event_ss]
  TRYRETF "retf outer null ss", 3, ring3_top, SEL_UCODE, user_int
  SHOWLN "ss", [event_ss]
  TRYRETF "retf outer null ss rpl 0", 0, ring3_top, SEL_UCODE, user_int
  TRYRETF "retf compat null ss", 3, ring3_top, SEL_UCODE32, user_int
  TRYRETF "retf outer rsp not canonical", SEL_UDATA, NONCANONICAL, SEL_UCODE, user_int
  ret
here_far:
  jmp [resume_at]
here_gate:
  int 0x81
user_int:
  int 0x80

%macro TRYIRET 6 ; name, ss, rsp, flags, cs, rip
  mov rbp, rsp
  push qword %2
  mov rax, %3
  push rax
  push qword %4
  push qword %5
  mov rax, %6
  push rax
  TRY %1, iretq
  mov rsp, rbp
%endmacro
test_iret:
  PRINTLN "-- IRETQ"
  TRYIRET "same", SEL_DATA, rbp, 2, SEL_CODE, here_far
  TRYIRET "same null ss", 0, rbp, 2, SEL_CODE, here_null
  mov eax, SEL_DATA
  mov ss, eax
  TRYIRET "same ss rpl 3", SEL_UDATA, rbp, 2, SEL_CODE, here_far
  TRYIRET "flags", SEL_DATA, rbp, 0x247ed7, SEL_CODE, here_flags
  SHOWLN "flags", [result_rax]
  TRYIRET "vm flag", SEL_DATA, rbp, 0x20002, SEL_CODE, here_flags
  SHOWLN "flags", [result_rax]
  TRYIRET "user", SEL_UDATA, ring3_top, 0x3202, SEL_UCODE, user_int
  SHOWLN "flags", [event_flags]
  TRYIRET "user null ss", 3, ring3_top, 2, SEL_UCODE, user_int
  TRYIRET "user null ss rpl 0", 0, ring3_top, 2, SEL_UCODE, user_int
  TRYIRET "user ring 0 ss", SEL_DATA, ring3_top, 2, SEL_UCODE, user_int
  TRYIRET "user compat", SEL_UDATA, ring3_top, 2, SEL_UCODE32, user_int
  SHOWLN "cs", [event_cs]
  TRYIRET "user rip not canonical", SEL_UDATA, ring3_top, 2, SEL_UCODE, NONCANONICAL
  TRYIRET "rip not canonical", SEL_DATA, rbp, 2, SEL_CODE, NONCANONICAL
  TRYIRET "rsp not canonical", SEL_DATA, NONCANONICAL, 2, SEL_CODE, here_int
  SHOWLN "rsp", [event_rsp]
  TRYIRET "null cs", SEL_DATA, rbp, 2, 0, here_far
  mov rbp, rsp
  push qword 0x4002
  popfq
  TRY "nt", iretq
  mov rsp, rbp
  push qword 2
  popfq
  ; IRETD in 64-bit mode pops five doublewords too.
  mov rbp, rsp
  sub rsp, 32
  mov dword [rsp], here_far
  mov dword [rsp + 4], SEL_CODE
  mov dword [rsp + 8], 2
  mov eax, ebp
  mov [rsp + 12], eax
  mov dword [rsp + 16], SEL_DATA
  TRY "iretd", iretd
  mov rsp, rbp
  ret
here_null:
  mov eax, ss
  mov [result_rax], rax
  jmp [resume_at]
here_flags:
  pushfq
  pop rax
  push qword 2
  popfq
  jmp [resume_at]
here_int:
  int 0x80

test_syscall:
  PRINTLN "-- SYSCALL"
  TRY "sce off", syscall
  USER "user sce off", syscall
  READMSR 0xc0000080
  or eax, 1
  WRITEMSR 0xc0000080, rax
  mov rax, (SEL_UCODE32 << 48) | (SEL_CODE << 32) | 0x12345678
  WRITEMSR 0xc0000081, rax
  WRITEMSR 0xc0000082, syscall_entry
  WRITEMSR 0xc0000084, 0x47700
  mov qword [user_rflags], 0x3ed7
  USERBEGIN
    syscall
syscall_next:
  USEREND "syscall"
  mov qword [user_rflags], 2
  SHOW "r11", [saved + 8]
  SHOW " flags", [saved + 16]
  SHOW " cs", [saved + 24]
  SHOW " ss", [saved + 32]
  mov rax, [saved]
  sub rax, syscall_next
  SHOWLN " rcx-", rax
  SHOW "after sysret flags", [event_flags]
  SHOW " cs", [event_cs]
  SHOWLN " ss", [event_ss]
  mov byte [sysret_32], 1
  USERBEGIN
    syscall
  USEREND "sysret 32"
  SHOW "cs", [event_cs]
  SHOWLN " ss", [event_ss]
  mov byte [sysret_32], 0
  mov rcx, NONCANONICAL
  mov r11, 2
  TRY "sysret not canonical", o64 sysret
  USER "user sysret", o64 sysret
  TRY "syscall in ring 0", syscall_call 0
  ; RF, VM are cleared, reserved bits ignored by SYSRET
  mov rcx, user_int
  mov r11, -1
  mov rbp, rsp
  TRYBEGIN
    mov rsp, ring3_top
    o64 sysret
  TRYEND "sysret flags -1"
  mov rsp, rbp
  SHOWLN "flags", [event_flags]
  ret
syscall_entry:
  mov [saved], rcx
  mov [saved + 8], r11
  mov eax, cs
  mov [saved + 24], rax
  mov eax, ss
  mov [saved + 32], rax
  mov r10, rsp
  mov rsp, ring0_top
  pushfq
  pop qword [saved + 16]
  mov rsp, r10
  cmp byte [sysret_back], 1
  je .back
  cmp byte [sysret_32], 1
  je .short
  o64 sysret
.short:
  o32 sysret
.back:
  mov byte [sysret_back], 0
  jmp rcx

test_sysenter:
  PRINTLN "-- SYSENTER"
  WRITEMSR 0x174, 0
  TRY "cs 0", sysenter
  WRITEMSR 0x174, SEL_CODE | 3
  WRITEMSR 0x175, ring0_top
  WRITEMSR 0x176, sysenter_entry
  mov qword [user_rflags], 0x202
  USERBEGIN
    sysenter
  USEREND "sysenter"
  SHOW "cs", [saved]
  SHOW " ss", [saved + 8]
  SHOW " rsp-", [saved + 16]
  SHOWLN " flags", [saved + 24]
  mov qword [user_rflags], 2
  ; SYSEXIT to 64-bit and to 32-bit code; selectors follow from the MSR.
  WRITEMSR 0x174, SEL_CODE
  mov rcx, ring3_top
  mov rdx, user_int
  TRY "sysexit 64", o64 sysexit
  SHOW "cs", [event_cs]
  SHOWLN " ss", [event_ss]
  mov rcx, ring3_top
  mov rdx, user_int
  TRY "sysexit 32", o32 sysexit
  SHOW "cs", [event_cs]
  SHOWLN " ss", [event_ss]
  mov rcx, ring3_top
  mov rdx, NONCANONICAL
  TRY "sysexit rip not canonical", o64 sysexit
  mov rcx, NONCANONICAL
  mov rdx, user_int
  TRY "sysexit rsp not canonical", o64 sysexit
  USER "user sysexit", o64 sysexit
  WRITEMSR 0x174, 0
  mov rcx, ring3_top
  mov rdx, user_int
  TRY "sysexit cs 0", o64 sysexit
  ret
sysenter_entry:
  mov eax, cs
  mov [saved], rax
  mov eax, ss
  mov [saved + 8], rax
  mov rax, rsp
  sub rax, ring0_top
  mov [saved + 16], rax
  pushfq
  pop qword [saved + 24]
  int 0x82

test_undefined:
  PRINTLN "-- not in 64-bit mode"
  %macro OPCODE 2+
    TRY %1, {db %2}
  %endmacro
  OPCODE "push es", 0x06
  OPCODE "pop es", 0x07
  OPCODE "push cs", 0x0e
  OPCODE "push ss", 0x16
  OPCODE "push ds", 0x1e
  OPCODE "daa", 0x27
  OPCODE "das", 0x2f
  OPCODE "aaa", 0x37
  OPCODE "aas", 0x3f
  OPCODE "pusha", 0x60
  OPCODE "popa", 0x61
  OPCODE "bound", 0x62, 0x00
  OPCODE "82", 0x82, 0xc0, 0
  OPCODE "call far", 0x9a, 0, 0, 0, 0, 8, 0
  OPCODE "les", 0xc4, 0x00
  OPCODE "lds", 0xc5, 0x00
  OPCODE "into", 0xce
  OPCODE "aam", 0xd4, 10
  OPCODE "aad", 0xd5, 10
  OPCODE "salc", 0xd6
  OPCODE "jmp far", 0xea, 0, 0, 0, 0, 8, 0
  OPCODE "mov cs", 0x8e, 0xc8
  OPCODE "mov cr1", 0x0f, 0x20, 0xc8
  OPCODE "mov cr5", 0x0f, 0x20, 0xe8
  OPCODE "mov cr9", 0x44, 0x0f, 0x20, 0xc8
  OPCODE "mov dr8", 0x44, 0x0f, 0x21, 0xc0
  OPCODE "lock mov cr0", 0xf0, 0x0f, 0x20, 0xc0
  OPCODE "rex then 66", 0x48, 0x66, 0x89, 0xc0
  OPCODE "lock nop", 0xf0, 0x90
  OPCODE "16 bytes", 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
  OPCODE "15 bytes", 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
  OPCODE "vmcall outside", 0x0f, 0x01, 0xc1
  OPCODE "xgetbv", 0x0f, 0x01, 0xd0
  OPCODE "rdpid", 0xf3, 0x0f, 0xc7, 0xf8
  OPCODE "ud0", 0x0f, 0xff, 0xc0
  OPCODE "ud1", 0x0f, 0xb9, 0xc0
  OPCODE "0f 04", 0x0f, 0x04
  OPCODE "0f 24", 0x0f, 0x24, 0xc0
  OPCODE "0f a6", 0x0f, 0xa6, 0xc0
  OPCODE "f1", 0xf1
  OPCODE "lock cmpxchg16b reg", 0xf0, 0x48, 0x0f, 0xc7, 0xc8
  mov rbx, scratch + 8
  TRY "cmpxchg16b misaligned", cmpxchg16b [rbx]
  TRY "movaps misaligned", movaps xmm0, [rbx]
  TRY "fxsave misaligned", fxsave [rbx]
  ; Prefixes without meaning here
  mov eax, SEL_DATA
  mov es, eax
  TRYBEGIN
    db 0x26
    mov eax, [scratch]
  TRYEND "es override"
  ret

test_compat:
  PRINTLN "-- compatibility mode"
  %macro COMPAT 3
    mov dword [far_ptr], %2
    mov word [far_ptr + 4], %3
    mov rbp, rsp
    TRY %1, jmp far dword [far_ptr]
    mov rsp, rbp
  %endmacro
  COMPAT "int from 32-bit code", code32_int, SEL_CODE32
  SHOW "cs", [event_cs]
  SHOWLN " ss", [event_ss]
  COMPAT "daa", code32_daa, SEL_CODE32
  COMPAT "syscall", code32_syscall, SEL_CODE32
  COMPAT "rex is dec", code32_rex, SEL_CODE32
  COMPAT "lidt 6 bytes", code32_sidt, SEL_CODE32
  SHOWLN "sidt", [saved]
  COMPAT "mov cr0 pg off", code32_pg, SEL_CODE32
  COMPAT "lme off", code32_lme, SEL_CODE32
  COMPAT "pae off", code32_pae, SEL_CODE32
  COMPAT "r8 kept", code32_high, SEL_CODE32
  SHOWLN "rax", [result_rax]
  COMPAT "task gate", code32_tss, SEL_CODE32
  COMPAT "limit", code32_limit, SEL_CODE32
  COMPAT "vmxon", code32_vmx, SEL_CODE32
  ret
bits 32
code32_int:
  int 0x80
code32_daa:
  daa
  int 0x81
code32_syscall:
  syscall
code32_rex:
  mov eax, 5
  db 0x48
  nop
  cmp eax, 4
  je .good
  ud2
.good:
  int 0x82
code32_sidt:
  mov dword [saved], -1
  mov dword [saved + 4], -1
  sidt [saved]
  int 0x83
code32_pg:
  mov eax, cr0
  and eax, 0xfffffffe
  mov cr0, eax
code32_lme:
  mov ecx, 0xc0000080
  rdmsr
  and eax, ~0x100
  wrmsr
code32_pae:
  mov eax, cr4
  and eax, ~0x20
  mov cr4, eax
code32_high:
  mov eax, -1
  inc eax
  dec eax
  int 0x84
code32_tss:
  jmp SEL_TSS:0
code32_limit:
  mov eax, SEL_FREE + 16
  mov dword [gdt + SEL_FREE + 16], 0x00000fff
  mov dword [gdt + SEL_FREE + 20], 0x00409200
  mov fs, ax
  mov al, [fs:0x1000]
code32_vmx:
  db 0x0f, 0x01, 0xc2
bits 64

test_user:
  PRINTLN "-- ring 3"
  USER "hlt", hlt
  USER "cli", cli
  USER "in", in al, 0x80
  USER "mov cr0", mov rax, cr0
  USER "mov cr8", mov rax, cr8
  USER "mov dr7", mov rax, dr7
  USER "rdmsr", rdmsr
  USER "swapgs", swapgs
  USER "lgdt", lgdt [gdtr]
  USER "sgdt", sgdt [scratch]
  USER "str", str ax
  USER "smsw", smsw ax
  USER "invlpg", invlpg [scratch]
  USER "wbinvd", wbinvd
  USER "rdtsc", rdtsc
  USER "rdtscp", rdtscp
  USER "iretq same", iret_user 0
  USER "popfq", popf_user 0
  SHOWLN "flags", [event_flags]
  mov rax, cr4
  or eax, 4
  mov cr4, rax
  USER "rdtsc tsd", rdtsc
  USER "rdtscp tsd", rdtscp
  TRY "rdtsc tsd ring 0", rdtsc
  mov rax, cr4
  and eax, ~4
  mov cr4, rax
  ; I/O bitmap
  mov word [tss + 102], 104
  ret

test_alignment:
  PRINTLN "-- alignment checks"
  mov rax, cr0
  or eax, 0x40000
  mov cr0, rax
  mov qword [user_rflags], 0x40002
  mov rbx, scratch
  %macro ALIGNED 2+
    USER %1, %2
  %endmacro
  USER "word at 1", mov ax, [scratch + 1]
  USER "dword at 2", mov eax, [scratch + 2]
  USER "qword at 4", mov rax, [scratch + 4]
  USER "byte at 1", mov al, [scratch + 1]
  USER "dword at 4", mov eax, [scratch + 4]
  USER "store at 2", mov [scratch + 2], eax
  USER "movsd at 4", movsd xmm0, [scratch + 4]
  USER "fld qword at 4", fld qword [scratch + 4]
  USER "fld tword at 4", fld tword [scratch + 4]
  USER "fld tword at 8", fld tword [scratch + 8]
  USER "fnsave at 2", fnstenv [scratch + 2]
  USER "sgdt at 1", sgdt [scratch + 1]
  USER "cmpxchg8b at 4", cmpxchg8b [scratch + 4]
  USERBEGIN
    sub rsp, 4
    push rax
  USEREND "push"
  USERBEGIN
    mov rsi, scratch + 1
    lodsw
  USEREND "lodsw"
  mov qword [user_rflags], 2
  USER "ac off", mov eax, [scratch + 2]
  mov rax, cr0
  and eax, ~0x40000
  mov cr0, rax
  ret

test_paging:
  PRINTLN "-- 4-level paging"
  ; A 4 KiB page at 8000000000h (PML4 entry 1)
  mov qword [pml4 + 8], my_pdpt + 7
  mov qword [my_pdpt], my_dir + 7
  mov qword [my_dir], my_table + 7
  mov qword [my_table], scratch_page + 7
  mov rdi, 0x8000000000
  mov dword [scratch_page], 0x0b0f90c3
  TRY "read", mov eax, [rdi]
  SHOW "a bits", [pml4 + 8]
  SHOW " ", [my_dir]
  SHOWLN " ", [my_table]
  TRY "write", mov dword [rdi], 0x0b0f90c3
  SHOWLN "dirty", [my_table]
  TRY "fetch", call rdi
  %macro ENTRY 3
    mov rax, cr3
    mov cr3, rax
    mov rax, [%2]
    push rax
    mov rcx, %3
    xor rax, rcx
    mov [%2], rax
    mov rax, cr3
    mov cr3, rax
    TRY %1, mov al, [rdi]
    TRY %1, mov byte [rdi], 0xc3
    TRY %1, call rdi
    USER %1, mov al, [rdi]
    pop rax
    mov [%2], rax
  %endmacro
  ENTRY "pml4e p", pml4 + 8, 1
  ENTRY "pdpte p", my_pdpt, 1
  ENTRY "pde p", my_dir, 1
  ENTRY "pte p", my_table, 1
  ENTRY "pml4e w", pml4 + 8, 2
  ENTRY "pdpte w", my_pdpt, 2
  ENTRY "pml4e u", pml4 + 8, 4
  ENTRY "pte u", my_table, 4
  ENTRY "pml4e ps", pml4 + 8, 0x80
  ENTRY "pdpte ps", my_pdpt, 0x80
  ENTRY "pde ps", my_dir, 0x80
  ENTRY "pml4e nx", pml4 + 8, 1 << 63
  ENTRY "pdpte nx", my_pdpt, 1 << 63
  ENTRY "pde nx", my_dir, 1 << 63
  ENTRY "pte nx", my_table, 1 << 63
  ENTRY "pml4e 51", pml4 + 8, 1 << 51
  ENTRY "pdpte 51", my_pdpt, 1 << 51
  ENTRY "pde 51", my_dir, 1 << 51
  ENTRY "pte 51", my_table, 1 << 51
  ENTRY "pte 52-62", my_table, 0x7ff << 52
  ENTRY "pml4e 52-62", pml4 + 8, 0x7ff << 52
  ENTRY "pml4e g", pml4 + 8, 0x100
  READMSR 0xc0000080
  and eax, ~0x800
  WRITEMSR 0xc0000080, rax
  ENTRY "pte nx, nxe off", my_table, 1 << 63
  READMSR 0xc0000080
  or eax, 0x800
  WRITEMSR 0xc0000080, rax
  ; CR3 reserved bits
  mov rax, cr3
  bts rax, 52
  TRY "cr3 bit 52", mov cr3, rax
  mov rax, cr3
  bts rax, 63
  TRY "cr3 bit 63", mov cr3, rax
  mov rax, cr3
  or rax, 0x18
  TRY "cr3 pwt pcd", mov cr3, rax
  mov rax, cr0
  bts rax, 32
  TRY "cr0 bit 32", mov cr0, rax
  mov rax, cr4
  bts rax, 32
  TRY "cr4 bit 32", mov cr4, rax
  mov rax, cr4
  and eax, ~0x20
  TRY "cr4.pae off", mov cr4, rax
  mov rax, cr0
  btr rax, 31
  TRY "cr0.pg off in 64-bit mode", mov cr0, rax
  mov rax, cr0
  btr rax, 0
  TRY "cr0.pe off", mov cr0, rax
  mov eax, 16
  TRY "cr8 16", mov cr8, rax
  mov eax, 5
  TRY "cr8 5", mov cr8, rax
  mov rax, cr8
  SHOWLN "cr8", rax
  xor eax, eax
  mov cr8, rax
  mov rax, 0x100000000
  TRY "dr6 high", mov dr6, rax
  TRY "dr7 high", mov dr7, rax
  TRY "dr0 high", mov dr0, rax
  ret

[section .data]
  align 16
far_ptr: dq 0, 0
  align 16
scratch: times 256 dq 0
saved: times 8 dq 0
sysret_32: db 0
sysret_back: db 0
  align 4096
my_pdpt: times 4096 db 0
my_dir: times 4096 db 0
my_table: times 4096 db 0
scratch_page: times 4096 db 0
