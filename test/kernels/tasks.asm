; Hardware task switches: JMP, CALL, IRET and gates, 16- and 32-bit TSS, nesting, busy bits, faults of the old and of the new task,
; debug trap, interrupts through task gates (SDM 3A chapter 8).
%include "common32.inc"

T1 equ SEL_FREE             ; 32-bit task
T2 equ SEL_FREE + 8         ; another
T16 equ SEL_FREE + 16       ; 16-bit task
G1 equ SEL_FREE + 24        ; task gate to T1
X0 equ SEL_FREE + 32        ; scratch
X1 equ SEL_FREE + 40
L1 equ SEL_FREE + 48        ; LDT
TDF equ SEL_FREE + 56
DATA16 equ SEL_FREE + 64
CODE16 equ SEL_FREE + 72

; Fills TSS %1 with entry %2 and stack %3.
%macro TASK 3
  push dword %3
  push dword %2
  push dword %1
  call make_task
  add esp, 12
%endmacro

; Prints the busy bits of the main task, T1, T2, T16.
%macro BUSY 1
  PRINT %1, ': busy '
  mov al, [gdt + SEL_TSS + 5]
  call put_hex8
  mov al, [gdt + T1 + 5]
  call put_hex8
  mov al, [gdt + T2 + 5]
  call put_hex8
  mov al, [gdt + T16 + 5]
  call put_hex8
  NEWLINE
%endmacro

main:
  SETDESC T1, tss1, 0x67, 0x89, 0
  SETDESC T2, tss2, 0x67, 0x89, 0
  SETDESC T16, tss16, 0x2b, 0x81, 0
  SETDESC TDF, tssdf, 0x67, 0x89, 0
  SETGATE G1, T1, 0, 0xe5, 0
  SETDESC L1, ldt, 0x1f, 0x82, 0
  SETDESC DATA16, 0, 0xffff, 0x93, 0
  SETDESC CODE16, 0, 0xfffff, 0x9b, 0x8

  PRINTLN "-- JMP and back"
  TASK tss1, task_jmp, stack1
  mov eax, 0x1234
  mov ebx, 0x5678
  stc
  jmp T1:0
  pushfd
  pop edx
  SHOW "back eax", eax
  SHOW " ebx", ebx
  SHOWLN " flags", edx
  mov eax, cr0
  SHOWLN "cr0", eax
  clts
  SHOW "seen eax", [seen]
  SHOW " tr", [seen + 4]
  SHOW " flags", [seen + 8]
  SHOWLN " link", [tss1]
  BUSY "after jmp"
  SHOW "tss eip", [tss + 0x20]
  SHOW " flags", [tss + 0x24]
  SHOW " eax", [tss + 0x28]
  SHOWLN " cs", [tss + 0x4c]
  SHOWLN "tss1 eip-", [tss1 + 0x20]

  PRINTLN "-- CALL and IRET"
  TASK tss1, task_call, stack1
  mov dword [tss1], 0xabcd0000
  call T1:0x1234
  pushfd
  pop edx
  SHOW "flags", edx
  SHOW " seen flags", [seen + 8]
  SHOWLN " link", [tss1]
  BUSY "in call"
  mov al, [seen_busy]
  call put_hex8
  mov al, [seen_busy + 1]
  call put_hex8
  NEWLINE
  SHOWLN "tss1 flags", [tss1 + 0x24]
  ; Called again it goes on after its IRET.
  call G1:0
  SHOWLN "again", [seen]
  BUSY "after"
  clts

  PRINTLN "-- 16-bit TSS"
  call make_task16
  mov eax, 0xaaaa1111
  mov ebx, 0xbbbb2222
  call T16:0
  SHOW "eax", eax
  SHOW " seen eax", [seen]
  SHOW " esp", [seen + 4]
  SHOWLN " flags", [seen + 8]
  SHOWLN "link", [tss16]
  mov ax, SEL_UDATA
  mov fs, ax
  mov gs, ax
  SHOWLN "saved ip", [tss16 + 0xe]
  clts

  PRINTLN "-- faults before the switch"
  TASK tss1, task_call, stack1
  or byte [gdt + T1 + 5], 2
  TRY "jmp busy", jmp T1:0
  TRY "call busy", call T1:0
  TRY "gate busy", call G1:0
  and byte [gdt + T1 + 5], 0xfd
  and byte [gdt + T1 + 5], 0x7f
  TRY "jmp np", jmp T1:0
  TRY "gate np target", call G1:0
  or byte [gdt + T1 + 5], 0x80
  mov byte [gdt + T1], 0x66
  TRY "limit", jmp T1:0
  mov byte [gdt + T1], 0x67
  mov byte [gdt + T16], 0x2a
  TRY "limit 16", jmp T16:0
  mov byte [gdt + T16], 0x2b
  mov byte [gdt + G1 + 5], 0x65
  TRY "gate np", jmp G1:0
  mov byte [gdt + G1 + 5], 0x85
  TRY "gate rpl", jmp (G1 | 3):0
  TRY "tss rpl", jmp (T1 | 3):0
  mov byte [gdt + G1 + 5], 0xe5
  SETGATE X0, L1, 0, 0xe5, 0
  TRY "gate to ldt", jmp X0:0
  SETGATE X0, 0, 0, 0xe5, 0
  TRY "gate null", jmp X0:0
  SETGATE X0, 0xfff8, 0, 0xe5, 0
  TRY "gate beyond", jmp X0:0
  SETGATE X0, T1 | 4, 0, 0xe5, 0
  TRY "gate ldt selector", jmp X0:0
  ; IRET with NT
  %macro NTIRET 2
    mov word [tss], %2
    TRYNT %1
  %endmacro
  %macro TRYNT 1
    mov dword [resume_at], %%after
    mov dword [try_at], %%at
    mov [resume_esp], esp
    mov dword [event_vector], -1
    push dword 0x4002
    popfd
  %%at:
    iretd
  %%after:
    PRINT %1, ': '
    call report
  %endmacro
  NTIRET "iret link null", 0
  NTIRET "iret link data", SEL_DATA
  NTIRET "iret link available", T1
  NTIRET "iret link beyond", 0xfff8
  NTIRET "iret link ldt", 4
  SETDESC X1, tss1, 0x67, 0x0b, 0
  NTIRET "iret link np", X1
  SETDESC X1, tss1, 0x66, 0x8b, 0
  NTIRET "iret link limit", X1
  BUSY "unchanged"

  PRINTLN "-- faults of the new task"
  %macro BADTASK 3+
    TASK tss1, task_call, stack1
    and byte [gdt + T1 + 5], 0xfd
    %3
    mov dword [tss1 + 0x20], task_never
    call bad_task
    PRINT %1, ': '
    call report
    call fix_task
  %endmacro
  BADTASK "cs null", 0, mov dword [tss1 + 0x4c], 0
  BADTASK "cs data", 0, mov dword [tss1 + 0x4c], SEL_DATA
  BADTASK "cs dpl", 0, mov dword [tss1 + 0x4c], SEL_UCODE & ~3
  SETDESC X0, 0, 0xfffff, 0x1b, 0xc
  BADTASK "cs np", 0, mov dword [tss1 + 0x4c], X0
  BADTASK "cs beyond", 0, mov dword [tss1 + 0x4c], 0xfff8
  BADTASK "ss null", 0, mov dword [tss1 + 0x50], 0
  BADTASK "ss code", 0, mov dword [tss1 + 0x50], SEL_CODE
  BADTASK "ss dpl", 0, mov dword [tss1 + 0x50], SEL_UDATA
  SETDESC X0, 0, 0xfffff, 0x13, 0xc
  BADTASK "ss np", 0, mov dword [tss1 + 0x50], X0
  BADTASK "ds code", 0, mov dword [tss1 + 0x54], SEL_TSS
  BADTASK "ds np", 0, mov dword [tss1 + 0x54], X0
  BADTASK "es beyond", 0, mov dword [tss1 + 0x48], 0xfff8
  BADTASK "gs dpl", 0, mov dword [tss1 + 0x5c], SEL_DATA | 3
  SETDESC X0, 0, 0xfffff, 0x99, 0xc
  BADTASK "fs execute-only", 0, mov dword [tss1 + 0x58], X0
  BADTASK "ldt data", 0, mov dword [tss1 + 0x60], SEL_DATA
  SETDESC X0, ldt, 0x1f, 0x02, 0
  BADTASK "ldt np", 0, mov dword [tss1 + 0x60], X0
  BADTASK "ldt beyond", 0, mov dword [tss1 + 0x60], 0xfff8
  BADTASK "ldt ti", 0, mov dword [tss1 + 0x60], L1 | 4
  SETDESC X0, 0, 0xff, 0x9b, 0x4
  BADTASK "eip beyond", 0, mov dword [tss1 + 0x4c], X0

  PRINTLN "-- LDT, T bit, interrupts"
  TASK tss1, task_ldt, stack1
  mov dword [ldt + 8], 0x0000ffff
  mov dword [ldt + 12], 0x00cf9300
  mov dword [tss1 + 0x60], L1
  mov dword [tss1 + 0x54], 0xc
  mov dword [tss1 + 0x5c], 3
  call T1:0
  SHOW "sldt", [seen]
  SHOW " ds", [seen + 4]
  SHOWLN " gs", [seen + 8]
  sldt eax
  SHOWLN "sldt after", eax
  ; T bit: #DB before the first instruction.
  TASK tss1, task_call, stack1
  mov word [tss1 + 0x64], 1
  mov dword [idt + 8], 0
  push dword debug_handler
  push dword 1
  call set_interrupt
  xor eax, eax
  mov dr6, eax
  call T1:0
  SHOW "dr6", [seen_dr6]
  mov eax, [seen_eip]
  sub eax, task_call
  SHOWLN " eip-", eax
  ; Interrupt through a task gate; the error code is pushed on the new stack.
  TASK tss1, task_handler, stack1
  mov dword [idt + 0x90 * 8], T1 << 16
  mov dword [idt + 0x90 * 8 + 4], 0x8500
  stc
  int 0x90
  SHOW "int: esp used", [seen]
  SHOW " link", [tss1]
  SHOW " nt", [seen + 8]
  pushfd
  pop eax
  SHOWLN " flags", eax
  TASK tss1, task_handler_error, stack1
  mov eax, [idt + 13 * 8]
  mov [keep], eax
  mov eax, [idt + 13 * 8 + 4]
  mov [keep + 4], eax
  mov dword [idt + 13 * 8], T1 << 16
  mov dword [idt + 13 * 8 + 4], 0x8500
  mov dword [gp_skip], gp_after
  mov eax, 0x1230
gp_at:
  mov ds, ax
gp_after:
  mov ax, SEL_DATA
  mov ds, ax
  mov eax, [keep]
  mov [idt + 13 * 8], eax
  mov eax, [keep + 4]
  mov [idt + 13 * 8 + 4], eax
  SHOW "gp: esp used", [seen]
  SHOW " error", [seen + 4]
  mov eax, [seen + 12]
  sub eax, gp_at
  SHOWLN " eip-", eax
  ; Vector whose gate's TSS is busy.
  or byte [gdt + T1 + 5], 2
  TRY "int busy", int 0x90
  and byte [gdt + T1 + 5], 0xfd
  mov byte [idt + 0x90 * 8 + 5], 0x05
  TRY "int np gate", int 0x90
  mov dword [idt + 0x90 * 8], SEL_DATA << 16
  mov byte [idt + 0x90 * 8 + 5], 0x85
  TRY "int bad tss", int 0x90
  TRY "int beyond", int 0xff
  mov word [idtr], 0xff * 8 + 6
  lidt [idtr]
  TRY "int 255 beyond", int 0xff
  TRY "int 254", int 0xfe
  clts
  ; Double fault through a task gate: the stack segment becomes unusable, so that the next fault has no stack.
  TASK tssdf, task_df, stackdf
  mov dword [idt + 8 * 8], TDF << 16
  mov dword [idt + 8 * 8 + 4], 0x8500
  mov [df_esp], esp
  SETDESC X0, stack1 - 0x100, 0x7f, 0x93, 4
  mov ax, X0
  mov ss, ax
  mov esp, 0x1000
  push eax
df_never:
  PRINTLN "not reached"
df_after:
  mov ax, SEL_DATA
  mov ss, ax
  mov esp, [df_esp]
  SHOW "df: error", [seen]
  SHOW " esp", [seen + 4]
  SHOW " ss", [seen + 8]
  SHOWLN " link", [tssdf]
  PRINTLN "-- paging"
  call test_paging
  ret

; New page tables in the task: TSS CR3 is loaded, and #PF within a task switch.
test_paging:
  mov edi, page_dir
  mov eax, 0x83
  mov ecx, 32
.fill:
  mov [edi], eax
  mov [edi + 4096], eax
  add edi, 4
  add eax, 0x400000
  loop .fill
  mov dword [page_dir + 4096 + 31 * 4], 0x83  ; 7C00000h maps 0 in the task's tables
  mov eax, cr4
  or eax, 0x10
  mov cr4, eax
  mov eax, page_dir
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  TASK tss1, task_cr3, stack1
  mov dword [tss1 + 0x1c], page_dir + 4096
  mov dword [tss + 0x1c], page_dir
  mov dword [0x7000], 0x55aa1234
  mov dword [0x7c07000], 0x11223344
  mov eax, [0x7c07000]
  SHOWLN "old mapping", eax
  call T1:0
  mov eax, cr3
  sub eax, page_dir
  SHOW "cr3", eax
  SHOW " seen", [seen]
  mov eax, [0x7c07000]
  SHOWLN " back", eax
  SHOWLN "tss1 cr3 kept", [tss1 + 0x1c]
  ; A TSS in a page that is not there
  mov dword [page_dir + 20 * 4], 0
  mov eax, cr3
  mov cr3, eax
  SETDESC X0, 0x5000000, 0x67, 0x89, 0
  TRY "tss not mapped", call X0:0
  BUSY "after pf"
  clts
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  ret

; [tss, entry, stack]
make_task:
  pushad
  mov edi, [esp + 36]
  mov ecx, 26
  xor eax, eax
  rep stosd
  mov edi, [esp + 36]
  mov eax, [esp + 40]
  mov [edi + 0x20], eax
  mov eax, [esp + 44]
  mov [edi + 0x38], eax
  mov dword [edi + 0x24], 2
  mov dword [edi + 4], ring0_top
  mov dword [edi + 8], SEL_DATA
  mov eax, SEL_DATA
  mov [edi + 0x48], eax
  mov dword [edi + 0x4c], SEL_CODE
  mov [edi + 0x50], eax
  mov [edi + 0x54], eax
  mov [edi + 0x58], eax
  mov [edi + 0x5c], eax
  mov dword [edi + 0x28], 0x11110000
  mov eax, cr3
  mov [edi + 0x1c], eax
  mov word [edi + 0x66], 0x68
  popad
  ret

make_task16:
  mov edi, tss16
  mov ecx, 11
  xor eax, eax
  rep stosd
  ; Code at 6000h: a jump to the 32-bit continuation.
  mov byte [0x6000], 0xea             ; 32-bit far jump in a 16-bit segment needs 66h
  mov dword [0x6000], 0xea66
  mov dword [0x6002], task16_body
  mov word [0x6006], SEL_CODE
  mov word [tss16 + 0xe], 0x6000
  mov word [tss16 + 0x10], 0x8d7
  mov word [tss16 + 0x12], 0x4444
  mov word [tss16 + 0x1a], 0x5f00
  mov word [tss16 + 0x22], SEL_DATA
  mov word [tss16 + 0x24], CODE16
  mov word [tss16 + 0x26], DATA16
  mov word [tss16 + 0x28], SEL_DATA
  ret
task16_body:
  mov [seen], eax
  mov [seen + 4], esp
  pushfd
  pop dword [seen + 8]
  iretd

; [vector, handler]
set_interrupt:
  push eax
  push edx
  mov edx, [esp + 12]
  mov eax, [esp + 16]
  mov [idt + edx * 8], ax
  mov word [idt + edx * 8 + 2], SEL_CODE
  mov word [idt + edx * 8 + 4], 0x8e00
  shr eax, 16
  mov [idt + edx * 8 + 6], ax
  pop edx
  pop eax
  ret 8

; Calls T1 expecting a fault in it; the event handler records and resumes here.
bad_task:
  mov dword [resume_at], .after
  mov dword [try_at], task_never
  mov [resume_esp], esp
  mov dword [event_vector], -1
  call T1:0
.after:
  ret

; Back into the main task after a fault in T1.
fix_task:
  push eax
  PRINT "    tr "
  str eax
  push eax
  call put_hex
  SHOW " link", [tss1]
  SHOW " cs", [event_cs]
  SHOWLN " flags", [event_flags]
  and byte [gdt + SEL_TSS + 5], 0xfd
  and byte [gdt + T1 + 5], 0xfd
  mov ax, SEL_TSS
  ltr ax
  xor eax, eax
  lldt ax
  mov ax, SEL_DATA
  mov fs, ax
  mov gs, ax
  clts
  pop eax
  ret

task_never:
  PRINTLN "not reached"
  jmp [resume_at]

task_jmp:
  mov [seen], eax
  str [seen + 4]
  pushfd
  pop dword [seen + 8]
  jmp SEL_TSS:0
task_call:
  mov eax, 1
.again:
  mov [seen], eax
  pushfd
  pop dword [seen + 8]
  mov al, [gdt + SEL_TSS + 5]
  mov [seen_busy], al
  mov al, [gdt + T1 + 5]
  mov [seen_busy + 1], al
  iretd
  mov eax, 2
  jmp .again
task_ldt:
  sldt [seen]
  mov [seen + 4], ds
  mov [seen + 8], gs
  iretd
task_handler:
  mov eax, stack1
  sub eax, esp
  mov [seen], eax
  pushfd
  pop dword [seen + 8]
  iretd
task_handler_error:
  mov eax, stack1
  sub eax, esp
  mov [seen], eax
  pop dword [seen + 4]
  mov eax, [tss + 0x20]
  mov [seen + 12], eax
  mov eax, [gp_skip]
  mov [tss + 0x20], eax
  iretd
task_df:
  pop dword [seen]
  mov eax, [tss + 0x38]
  mov [seen + 4], eax
  mov eax, [tss + 0x50]
  mov [seen + 8], eax
  mov dword [tss + 0x20], df_after
  mov dword [tss + 0x50], SEL_DATA
  iretd
task_cr3:
  mov eax, [0x7c07000]
  mov [seen], eax
  iretd
debug_handler:
  push eax
  mov eax, dr6
  mov [seen_dr6], eax
  mov eax, [esp + 4]
  mov [seen_eip], eax
  pop eax
  iretd

[section .data]
  align 16
tss1: times 26 dd 0
  align 16
tss2: times 26 dd 0
  align 16
tss16: times 11 dd 0
  align 16
tssdf: times 26 dd 0
  align 16
ldt: times 4 dq 0
keep: dd 0, 0
seen: dd 0, 0, 0, 0
seen_busy: dd 0
seen_dr6: dd 0
seen_eip: dd 0
gp_skip: dd 0
df_esp: dd 0
  times 1024 db 0
stack1:
  times 1024 db 0
stackdf:
  align 4096
page_dir: times 8192 db 0
