; Debug exceptions in 64-bit mode: single-step, instruction, data and I/O breakpoints, general detect, RF, the shadows of MOV SS and STI,
; DR6 and DR7, BTF, INT1, NMI-free interrupt windows by a self-IPI (SDM 3B chapter 18; 3A 6.8).
%include "common64.inc"

%macro wrmsr_btf 0
  mov ecx, 0x1d9
  mov eax, 2
  xor edx, edx
  wrmsr
%endmacro

main:
  ; #DB and INT3 go to a handler that logs and returns.
  mov edi, 1
  mov rsi, db_handler
  mov eax, 0x8e
  call set_gate
  mov edi, 3
  mov rsi, bp_handler
  mov eax, 0xee
  call set_gate
  mov edi, 0x50
  mov rsi, irq_handler
  mov eax, 0x8e
  call set_gate
  call test_registers
  call test_step
  call test_code
  call test_data
  call test_io
  call test_shadow
  call test_detect
  call test_user
  call test_windows
  ret

; Logs: address relative to [base], DR6, vector; up to 16.
db_handler:
  push rax
  push rcx
  push rdx
  mov rcx, [log_count]
  cmp rcx, 24
  jae .end
  shl rcx, 4
  mov rax, [rsp + 24]
  sub rax, [base]
  mov [log + rcx], rax
  mov rax, dr6
  mov [log + rcx + 8], rax
  inc qword [log_count]
  mov rax, [rsp + 40]
  mov [db_flags], rax
  xor eax, eax
  mov dr6, rax
  cmp qword [set_rf], 0
  je .end
  or dword [rsp + 40], 0x10000
.end:
  cmp qword [clear_tf], 0
  je .keep
  and dword [rsp + 40], ~0x100
.keep:
  pop rdx
  pop rcx
  pop rax
  iretq
bp_handler:
  push rax
  push rcx
  mov rcx, [log_count]
  shl rcx, 4
  mov rax, [rsp + 16]
  sub rax, [base]
  mov [log + rcx], rax
  mov rax, 0xbbbb
  mov [log + rcx + 8], rax
  inc qword [log_count]
  pop rcx
  pop rax
  iretq
irq_handler:
  push rax
  push rcx
  mov rcx, [log_count]
  shl rcx, 4
  mov rax, [rsp + 16]
  sub rax, [base]
  mov [log + rcx], rax
  mov rax, 0x1111
  mov [log + rcx + 8], rax
  inc qword [log_count]
  mov eax, 0xfee00000
  mov dword [rax + 0xb0], 0
  pop rcx
  pop rax
  iretq

; Prints and clears the log: "name: offset/dr6 ..."
%macro LOG 1
  push qword 2
  popfq
  PRINT %1, ':'
  call print_log
%endmacro
print_log:
  push rax
  push rcx
  push rsi
  xor ecx, ecx
.next:
  cmp rcx, [log_count]
  jae .end
  PRINT ' '
  mov rsi, rcx
  shl rsi, 4
  mov eax, [log + rsi]
  call put_hex8
  PRINT '/'
  push qword [log + rsi + 8]
  call put_hex32
  inc ecx
  jmp .next
.end:
  NEWLINE
  mov qword [log_count], 0
  pop rsi
  pop rcx
  pop rax
  ret

%macro BASE 0
  mov qword [base], %%here
%%here:
%endmacro
; Code between STEP and LOG is single-stepped; offsets count from the POPFQ's end.
%macro STEP 0
  push qword 0x102
  mov qword [base], %%here
  popfq
%%here:
%endmacro
%macro UNSTEP 0
  push qword 2
  popfq
%endmacro

test_registers:
  PRINTLN "-- registers"
  mov rax, dr6
  SHOW "dr6", rax
  mov rax, dr7
  SHOWLN " dr7", rax
  mov eax, 0xffffffff
  mov dr6, rax
  mov rax, dr6
  SHOW "dr6 ones", rax
  xor eax, eax
  mov dr6, rax
  mov rax, dr6
  SHOWLN " zeroes", rax
  mov eax, 0xffffd400
  mov dr7, rax
  mov rax, dr7
  SHOW "dr7 ones", rax
  xor eax, eax
  mov dr7, rax
  mov rax, dr7
  SHOWLN " zeroes", rax
  mov rax, 0x123456789abcdef0
  mov dr2, rax
  mov rax, dr2
  SHOWLN "dr2", rax
  mov rax, cr4
  and eax, ~8
  mov cr4, rax
  TRY "mov dr4 without de", mov rax, dr4
  SHOWLN "dr4", [result_rax]
  TRY "mov dr5 without de", mov rax, dr5
  SHOWLN "dr5", [result_rax]
  mov rax, cr4
  or eax, 8
  mov cr4, rax
  TRY "mov dr4 with de", mov rax, dr4
  TRY "mov to dr5 with de", mov dr5, rax
  mov rax, cr4
  and eax, ~8
  mov cr4, rax
  xor eax, eax
  mov dr2, rax
  ret

test_step:
  PRINTLN "-- single step"
  STEP
    nop
    nop
    mov eax, 5
  UNSTEP
  LOG "nop"
  STEP
    mov ecx, 3
    mov rdi, scratch
    rep stosb
  UNSTEP
  LOG "rep"
  STEP
    call .sub
    nop
  UNSTEP
  LOG "call"
  STEP
    jmp .skip
    nop
.skip:
  UNSTEP
  LOG "jmp"
  STEP
    int 0x50                ; the handler runs without TF
.back:
  UNSTEP
  LOG "after int"
  STEP
    int3
    nop
  UNSTEP
  LOG "int3"
  STEP
    db 0xf1
    nop
  UNSTEP
  LOG "int1"
  STEP
    pushfq
    pop rax
    nop
  UNSTEP
  LOG "pushfq"
  SHOWLN "tf in image", rax
  STEP
    cpuid
    rdtsc
    mov rax, cr0
    nop
  UNSTEP
  LOG "system"
  STEP
    mov eax, ss
    mov ss, eax
    nop
    nop
  UNSTEP
  LOG "mov ss"
  STEP
    mov eax, ss
    mov ss, eax
    mov ss, eax
    nop
    nop
  UNSTEP
  LOG "mov ss twice"
  STEP
    sti
    nop
    cli
    nop
  UNSTEP
  LOG "sti"
  ; IRETQ that sets TF: the first trap comes after the next instruction.
  mov rax, rsp
  push qword SEL_DATA
  push rax
  push qword 0x102
  push qword SEL_CODE
  push qword .iret_target
  mov qword [base], .iret_target
  iretq
.iret_target:
  nop
  nop
  UNSTEP
  LOG "iretq"
  ; BTF
  TRY "btf", wrmsr_btf
  mov qword [clear_tf], 0
  STEP
    nop
    nop
    jmp .btf1
    nop
.btf1:
    nop
    jmp .btf2
    nop
.btf2:
    nop
  UNSTEP
  LOG "btf"
  mov ecx, 0x1d9
  TRY "rdmsr", rdmsr
  SHOWLN "debugctl", rax
  ret
.sub:
  ret

; Sets DR0 to %1 and DR7 to %2
%macro BREAK 2
  mov rax, %1
  mov dr0, rax
  mov rax, %2
  mov dr7, rax
%endmacro
%macro UNBREAK 0
  xor eax, eax
  mov dr7, rax
%endmacro

test_code:
  PRINTLN "-- instruction breakpoints"
  mov qword [set_rf], 1
  BASE
  BREAK .code1, 2
  nop
.code1:
  nop
  nop
  UNBREAK
  SHOWLN "flags", [db_flags]
  LOG "nop"
  ; A breakpoint in the middle of an instruction never hits; a disabled one sets no exception.
  BASE
  BREAK .code2 + 1, 2
.code2:
  mov eax, 5
  UNBREAK
  LOG "middle"
  ; Two at one place
  BASE
  mov rax, .code3
  mov dr1, rax
  BREAK .code3, 0x0a
  nop
.code3:
  nop
  UNBREAK
  LOG "two"
  ; Another matches without being enabled: its bit may show in DR6, masked here by not setting it.
  ; On a REP instruction the breakpoint hits once when RF is set
  BASE
  BREAK .code4, 2
  mov ecx, 3
  mov rdi, scratch
.code4:
  rep stosb
  UNBREAK
  LOG "rep"
  ; With TF: fault first, then the trap of the instruction before is its own event.
  STEP
    nop
    mov rax, .code5
    mov dr0, rax
    mov eax, 2
    mov dr7, rax
.code5:
    nop
  UNSTEP
  LOG "tf and code"
  UNBREAK
  ; RF set by POPFQ is ignored, by IRETQ honoured.
  BREAK .code6, 2
  BASE
  push qword 0x10002
  popfq
.code6:
  nop
  UNBREAK
  LOG "popfq rf"
  BREAK .code7, 2
  BASE
  mov rax, rsp
  push qword SEL_DATA
  push rax
  push qword 0x10002
  push qword SEL_CODE
  push qword .code7
  iretq
.code7:
  nop
  UNBREAK
  LOG "iretq rf"
  ; RF in pushed images: faults set it, traps and interrupts do not.
  TRY "ud2", ud2
  SHOWLN "flags", [event_flags]
  TRY "int 80h", int 0x80
  SHOWLN "flags", [event_flags]
  mov qword [set_rf], 0
  ; After MOV SS the breakpoint on the next instruction is not recognized.
  BREAK .code8, 2
  BASE
  mov eax, ss
  mov ss, eax
.code8:
  nop
  UNBREAK
  LOG "after mov ss"
  ret

test_data:
  PRINTLN "-- data breakpoints"
  ; LEN and RW of breakpoint 0 are bits 16-19: RW 1 write, 3 read or write; LEN 0, 1, 3 (4 bytes), 2 (8 bytes).
  mov rbx, scratch
  BREAK scratch, 0x00010002
  BASE
  mov byte [rbx], 1
  nop
  UNBREAK
  LOG "write"
  BREAK scratch, 0x00010002
  BASE
  mov al, [rbx]
  mov byte [rbx + 1], 1
  mov dword [rbx - 3], 0
  mov dword [rbx - 4], 0
  nop
  UNBREAK
  LOG "write: others"
  BREAK scratch, 0x00030002
  BASE
  mov al, [rbx]
  mov byte [rbx], 1
  inc byte [rbx]
  test byte [rbx], 1
  nop
  UNBREAK
  LOG "read or write"
  BREAK scratch + 4, 0x000d0002
  BASE
  mov byte [rbx + 3], 0
  mov byte [rbx + 4], 0
  mov byte [rbx + 7], 0
  mov byte [rbx + 8], 0
  mov dword [rbx + 2], 0
  mov qword [rbx], 0
  nop
  UNBREAK
  LOG "4 bytes"
  BREAK scratch + 8, 0x00090002
  BASE
  mov byte [rbx + 7], 0
  mov byte [rbx + 8], 0
  mov byte [rbx + 15], 0
  mov byte [rbx + 16], 0
  movups [rbx], xmm0
  nop
  UNBREAK
  LOG "8 bytes"
  BREAK scratch + 0x10, 0x000d0002
  BASE
  mov rsi, rbx
  mov rdi, scratch + 0xe
  mov ecx, 8
  rep movsb
  nop
  UNBREAK
  LOG "rep movsb"
  SHOWLN "ecx", rcx
  BREAK scratch, 0x00010002
  BASE
  xchg [rbx], al
  push qword [rbx]
  pop qword [rbx]
  fst dword [rbx]
  cmpxchg [rbx], cl
  setc [rbx]
  nop
  UNBREAK
  LOG "various"
  ; The stack
  mov rax, rsp
  sub rax, 8
  mov dr0, rax
  mov eax, 0x00010002
  mov dr7, rax
  BASE
  push rax
  pop rax
  UNBREAK
  LOG "push"
  ; Two breakpoints at once, one enabled locally, one globally
  mov rax, scratch
  mov dr1, rax
  BREAK scratch, 0x00110009
  BASE
  mov [rbx], eax
  nop
  UNBREAK
  LOG "two"
  ; A fault keeps a data breakpoint from being reported? The instruction did not complete.
  BREAK scratch, 0x00010002
  BASE
  mov rsi, 0x8000000000
  mov rdi, rbx
  TRY "faulting movsb", movsb
  UNBREAK
  LOG "no trap"
  ; Across a page
  BREAK scratch_page, 0x00010002
  BASE
  mov dword [scratch_page - 2], 0
  nop
  UNBREAK
  LOG "crossing"
  ret

test_io:
  PRINTLN "-- I/O breakpoints"
  BREAK 0x80, 0x00020002
  BASE
  out 0x80, al
  nop
  UNBREAK
  LOG "without de"
  mov rax, cr4
  or eax, 8
  mov cr4, rax
  BREAK 0x80, 0x00020002
  BASE
  out 0x80, al
  in al, 0x80
  out 0x81, al
  mov dx, 0x7f
  in ax, dx
  mov dx, 0x80
  mov rsi, scratch
  mov ecx, 2
  rep outsb
  nop
  UNBREAK
  LOG "with de"
  mov rax, cr4
  and eax, ~8
  mov cr4, rax
  ret

test_shadow:
  PRINTLN "-- MOV SS and data breakpoints"
  ; A data breakpoint of MOV SS, mem is delivered after the next instruction; not lost.
  mov rbx, scratch
  mov word [rbx], SEL_DATA
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  nop
  nop
  UNBREAK
  LOG "mov ss, mem"
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  int3
  nop
  UNBREAK
  LOG "mov ss, mem; int3"
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  int 0x50
  nop
  UNBREAK
  LOG "mov ss, mem; int"
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  db 0xf1
  nop
  UNBREAK
  LOG "mov ss, mem; int1"
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  int 1
  nop
  UNBREAK
  LOG "mov ss, mem; int 1"
  STEP
    mov eax, ss
    mov ss, eax
    db 0xf1
    db 0xf1
    nop
  UNSTEP
  LOG "mov ss; int1; int1"
  ; DR6.BS and the other conditions are not cleared by the processor, nor set without cause.
  mov eax, 0x4002
  mov dr6, rax
  BREAK scratch, 0x00010002
  BASE
  mov [rbx], ecx
  UNBREAK
  LOG "dr6 sticky"
  BREAK scratch, 0x00030002
  BASE
  mov ss, [rbx]
  TRY "ud2", ud2
  UNBREAK
  LOG "mov ss, mem; ud2"
  ret

test_detect:
  PRINTLN "-- general detect"
  BASE
  mov eax, 0x2000
  mov dr7, rax
  mov qword [fault_skip], 3
  mov edi, 1
  mov rsi, gd_handler
  mov eax, 0x8e
  call set_gate
.access:
  mov rax, dr0
  nop
  mov edi, 1
  mov rsi, db_handler
  mov eax, 0x8e
  call set_gate
  mov rax, dr7
  SHOW "dr7", rax
  mov rax, [log]
  add rax, [base]
  mov rcx, .access
  sub rax, rcx
  SHOW " at", rax
  SHOWLN " dr6", [log + 8]
  mov qword [log_count], 0
  xor eax, eax
  mov dr7, rax
  mov dr6, rax
  ret
gd_handler:
  push rax
  mov rax, [rsp + 8]
  sub rax, [base]
  mov [log], rax
  mov rax, dr6
  mov [log + 8], rax
  mov rax, dr7
  mov [log + 16], rax
  xor eax, eax
  mov dr6, rax
  add qword [rsp + 8], 3
  pop rax
  iretq

test_user:
  PRINTLN "-- ring 3"
  mov qword [user_rflags], 0x102
  mov qword [clear_tf], 0
  USERBEGIN
    mov qword [base], .user1
.user1:
    nop
    nop
  USEREND "stepped"
  LOG "log"
  ; SYSCALL with TF masked: no trap in the kernel; the trap of SYSRET's target comes after one instruction.
  READMSR 0xc0000080
  or eax, 1
  WRITEMSR 0xc0000080, rax
  mov rax, (SEL_UCODE32 << 48) | (SEL_CODE << 32)
  WRITEMSR 0xc0000081, rax
  WRITEMSR 0xc0000082, .syscall
  WRITEMSR 0xc0000084, 0x47700
  mov qword [base], .after_syscall
  USERBEGIN
    nop
    syscall
.after_syscall:
    nop
    nop
  USEREND "syscall"
  LOG "log"
  mov qword [user_rflags], 2
  ret
.syscall:
  o64 sysret

; Interrupt windows: a self-IPI is pending while IF is 0.
%macro SELFIPI 0
  mov dword [r15 + 0x300], 0x00040050
%endmacro
test_windows:
  PRINTLN "-- interrupt windows"
  mov r15d, 0xfee00000
  mov dword [r15 + 0xf0], 0x1ff
  SELFIPI
  BASE
  sti
  nop
  nop
  cli
  LOG "sti"
  SELFIPI
  BASE
  sti
  sti
  nop
  nop
  cli
  LOG "sti sti"
  SELFIPI
  BASE
  sti
  cli
  nop
  sti
  nop
  nop
  cli
  LOG "sti cli"
  SELFIPI
  BASE
  sti
  mov eax, ss
  mov ss, eax
  nop
  nop
  cli
  LOG "sti, later mov ss"
  push qword 0x202
  SELFIPI
  BASE
  popfq
  nop
  nop
  cli
  LOG "popfq"
  SELFIPI
  mov rax, rsp
  push qword SEL_DATA
  push rax
  push qword 0x202
  push qword SEL_CODE
  push qword .iret_target
  mov qword [base], .iret_target
  iretq
.iret_target:
  nop
  nop
  cli
  LOG "iretq"
  SELFIPI
  BASE
  sti
  hlt
  nop
  cli
  LOG "sti hlt"
  ; Already enabled: the IPI comes right after the store.
  sti
  nop
  BASE
  mov dword [r15 + 0x300], 0x00040050
  nop
  nop
  nop
  nop
  cli
  LOG "enabled"
  ; MOV SS while enabled holds it back by one instruction.
  mov eax, ss
  SELFIPI
  push qword 0x202
  mov qword [base], .popped
  popfq
.popped:
  mov ss, eax
  nop
  cli
  LOG "popfq, mov ss"
  ; TPR and CR8 hold vectors back.
  mov eax, 5
  mov cr8, rax
  SELFIPI
  BASE
  sti
  nop
  nop
  xor eax, eax
  mov cr8, rax
  nop
  cli
  LOG "cr8"
  ; TF and an interrupt: the trap first.
  SELFIPI
  push qword 0x302
  mov qword [base], .both
  popfq
.both:
  nop
  nop
  nop
  push qword 2
  popfq
  LOG "tf and interrupt"
  ret

[section .data]
  align 16
base: dq 0
log_count: dq 0
db_flags: dq 0
set_rf: dq 0
clear_tf: dq 0
fault_skip: dq 0
log: times 64 dq 0
scratch: times 64 dq 0
  align 4096
  times 4096 db 0
scratch_page: times 4096 db 0
[section .text]
