; Events at the boundaries of VM entries and in guests: injection with interrupt and NMI windows, activity states, the preemption timer
; at zero, pending debug exceptions, the monitor trap flag, pending interrupts, NMIs with virtual NMIs, exceptions and vectoring
; (SDM 3C 26.5-26.7, 27.2-27.4; 25.5).
%include "common64.inc"
%include "vmx64.inc"

main:
  mov edi, 1
  mov rsi, db_return
  mov eax, 0x8f               ; trap gate: IF stays
  call set_gate
  mov edi, 2
  mov rsi, nmi_return
  mov eax, 0x8e
  call set_gate
  mov edi, 0xf1
  mov rsi, ipi_return
  mov eax, 0x8e
  call set_gate
  mov r15d, 0xfee00000
  mov dword [r15 + 0xf0], 0x1ff
  call vmx_start
  call test_intr_window
  call test_nmi_window
  call test_timer_zero
  call test_timer
  call test_debug
  call test_mtf
  call test_pending
  call test_nmi
  call test_exceptions
  call test_vectoring
  call test_injection
  call test_lists
  call test_movss
  ret

db_return:
  inc qword [db_count]
  iretq
nmi_return:
  inc qword [nmi_count]
  iretq
ipi_return:
  inc qword [ipi_count]
  push rax
  mov eax, 0xfee00000
  mov dword [rax + 0xb0], 0
  pop rax
  iretq
%macro SELFIPI 0
  mov dword [r15 + 0x300], 0x000400f1
%endmacro
%macro SELFNMI 0
  mov dword [r15 + 0x310], 0
  mov dword [r15 + 0x300], 0x4400
%endmacro

g_window:
  vmcall
  nop
  sti
  sti
  nop
  vmcall
test_intr_window:
  PRINTLN "-- interrupt window"
  FROM g_window
  AT g_window
  VMSET V_PROC, PROC_INTR_WINDOW
  VMWR G_RFLAGS, 0x202
  RUN "no blocking"
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "injecting"
  VMRD G_RIP
  sub rax, db_return
  SHOWLN "at the handler", rax
  VMCLR V_PROC, PROC_INTR_WINDOW
  RUN "back"
  call vmx_skip
  VMSET V_PROC, PROC_INTR_WINDOW
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "mov ss"
  VMWR G_RIP, g_window + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_STI
  RUN "sti"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  VMWR G_RIP, g_window + 4
  VMWR G_RFLAGS, 2
  RUN "sti sti"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
%ifndef NOHALT
  VMWR G_ACTIVITY, HLT_STATE
  RUN "halted"
  FIELDLN "activity", G_ACTIVITY
  VMWR G_ACTIVITY, HLT_STATE
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "halted, injecting"
  FIELDLN "activity", G_ACTIVITY
%endif
  VMCLR V_PROC, PROC_INTR_WINDOW
  ret

g_nmi_window:
  vmcall
  nop
  nop
  vmcall
test_nmi_window:
  PRINTLN "-- NMI window"
  FROM g_nmi_window
  AT g_nmi_window
  VMSET V_PIN, PIN_NMI | PIN_VNMI
  RUN "first"
  call vmx_skip
  VMSET V_PROC, PROC_NMI_WINDOW
  RUN "no blocking"
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "mov ss"
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "injecting"
  VMWR G_INTERRUPTIBILITY, BLOCK_NMI
  RUN "blocked until iret"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
%ifndef NOHALT
  VMWR G_ACTIVITY, HLT_STATE
  RUN "halted"
  FIELDLN "activity", G_ACTIVITY
  VMWR G_ACTIVITY, HLT_STATE
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "halted, injecting"
%endif
  AT g_nmi_window + 3
  VMWR G_RFLAGS, 0x202
  VMWR G_INTERRUPTIBILITY, BLOCK_STI
  RUN "sti"
  VMSET V_PROC, PROC_INTR_WINDOW
  AT g_nmi_window + 3
  VMWR G_RFLAGS, 0x202
  RUN "both windows"
  VMCLR V_PROC, PROC_NMI_WINDOW | PROC_INTR_WINDOW
  ; Injected NMI with virtual NMIs: blocking by NMI
  AT g_nmi_window + 3
  VMWR V_ENTRY_INFO, INJECT | 0x202
  VMSET V_PROC, PROC_MTF
  RUN "injected nmi, mtf"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  VMCLR V_PROC, PROC_MTF
  RUN "iret"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  AT g_nmi_window + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_NMI
  VMWR V_ENTRY_INFO, INJECT | 0x202
  RUN "nmi while blocked"
  AT g_nmi_window + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  VMWR V_ENTRY_INFO, INJECT | 0x202
  RUN "nmi in mov ss"
  AT g_nmi_window + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  VMWR G_RFLAGS, 0x202
  VMWR V_ENTRY_INFO, INJECT | 0x30
  RUN "interrupt in mov ss"
  AT g_nmi_window + 3
  VMWR V_ENTRY_INFO, INJECT | 0x30
  RUN "interrupt with if 0"
  VMWR V_ENTRY_INFO, 0
  VMCLR V_PIN, PIN_NMI | PIN_VNMI
  ret

g_loop:
  vmcall
  nop
.loop:
  jmp .loop
g_hlt:
  hlt
  vmcall
has_timer:
  READMSR 0x48d
  shr rax, 38
  test al, 1
  ret
test_timer_zero:
  PRINTLN "-- preemption timer at zero"
  call has_timer
  jnz .have
  PRINTLN "none"
  ret
.have:
  FROM g_loop
  AT g_loop
  VMSET V_PIN, PIN_TIMER
  VMWR G_TIMER, 0
  RUN "at once"
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "after injection"
  AT g_loop
  VMWR G_PENDING, 0x1002
  RUN "after the pending debug exception"
  FIELDLN "pending", G_PENDING
  AT g_loop
  VMWR V_EXCEPTIONS, 2
  VMWR G_PENDING, 0x1002
  RUN "which exits"
  FIELDLN "pending", G_PENDING
  VMWR V_EXCEPTIONS, 0
  AT g_loop
  VMWR G_ACTIVITY, HLT_STATE
  RUN "halted"
  FIELDLN "activity", G_ACTIVITY
  AT g_loop
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "mov ss"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  AT g_loop
  VMSET V_PROC, PROC_INTR_WINDOW
  VMWR G_RFLAGS, 0x202
  RUN "before the interrupt window"
  VMCLR V_PROC, PROC_INTR_WINDOW
  AT g_loop
  VMSET V_PROC, PROC_MTF
  RUN "with mtf"
  AT g_loop
  VMWR V_ENTRY_INFO, INJECT | 0x700
  RUN "after an injected mtf"
  VMCLR V_PROC, PROC_MTF
  VMCLR V_PIN, PIN_TIMER
  ret

; Preemption timer running
g_tsc:
  rdtsc
  mov [guest_first], eax
.loop:
  rdtsc
  mov [guest_last], eax
  jmp .loop
test_timer:
  call has_timer
  jnz .have
  ret
.have:
  PRINTLN "-- preemption timer"
  FROM g_tsc
  AT g_tsc
  READMSR 0x485
  mov ecx, eax
  and ecx, 31
  mov [timer_shift], ecx
  VMSET V_PIN, PIN_TIMER
  mov ecx, [timer_shift]
  mov rax, 100000
  shr rax, cl
  mov [timer_start], rax
  VMWR G_TIMER, [timer_start]
  PRINT "runs: "
  call vmx_run_quiet
  VMRD X_REASON
  SHOWLN32 "exit", eax
  mov ecx, [timer_shift]
  mov eax, [guest_first]
  shr eax, cl
  add eax, [timer_start]
  shl eax, cl
  mov edx, [guest_last]
  sub eax, edx
  ; The last stored time stamp lies before the deadline, closely.
  cmp eax, 20000
  ja .bad
  PRINTLN "in time"
  jmp .halt
.bad:
  SHOWLN32 "off", eax
.halt:
  FROM g_hlt
  AT g_hlt
  VMWR G_TIMER, [timer_start]
  RUN "in hlt"
  FIELDLN "activity", G_ACTIVITY
  ; Saved value
  VMSET V_EXIT, EXIT_SAVE_TIMER
  VMRD V_EXIT
  test eax, EXIT_SAVE_TIMER
  jz .end
  FROM g_loop
  AT g_loop
  VMWR G_TIMER, 0x7fffffff
  RUN "vmcall"
  VMRD G_TIMER
  shr eax, 20
  SHOWLN32 "saved", eax
  VMCLR V_EXIT, EXIT_SAVE_TIMER
.end:
  VMCLR V_PIN, PIN_TIMER
  ret
; vmx_run without its line
vmx_run_quiet:
  push rbx
  push rbp
  push r12
  push r13
  push r14
  push r15
  VMWR H_RSP, rsp
  VMWR H_RIP, .exit
  vmresume
  PRINTLN "VMRESUME failed"
.exit:
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbp
  pop rbx
  ret

g_step:
  vmcall
  nop
  nop
  vmcall
test_debug:
  PRINTLN "-- debug exceptions"
  mov eax, 0xffff4ffa
  mov dr6, rax
  FROM g_step
  VMWR V_EXCEPTIONS, 2
  AT g_step + 3
  VMWR G_RFLAGS, 0x102
  RUN "single step"
  FIELD "pending", G_PENDING
  mov rax, dr6
  SHOWLN " dr6", rax
  AT g_step + 3
  VMWR G_RFLAGS, 0x102
  VMWR G_PENDING, 0x5001
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "in a mov ss shadow"
  FIELD "pending", G_PENDING
  mov rax, dr6
  SHOWLN " dr6", rax
  AT g_step + 3
  VMWR G_PENDING, 0x1003
  RUN "pending at entry"
  AT g_step + 3
  VMWR G_PENDING, 0x4000
  VMWR G_RFLAGS, 0x102
  RUN "pending bs"
  ; Delivered to the guest instead
  VMWR V_EXCEPTIONS, 0
  mov qword [db_count], 0
  AT g_step + 3
  VMWR G_PENDING, 0x1003
  RUN "delivered"
  mov rax, dr6
  SHOW "dr6", rax
  SHOWLN " count", [db_count]
  ; An injected #DB changes neither DR6 nor DR7.
  mov eax, 0xffff0ff0
  mov dr6, rax
  AT g_step + 3
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "injected"
  mov rax, dr6
  SHOWLN "dr6", rax
  ; With injection the pending ones are dropped.
  mov qword [db_count], 0
  AT g_step + 3
  VMWR G_PENDING, 0x1003
  VMWR V_ENTRY_INFO, INJECT | 0x2f1
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "injected and pending"
  SHOWLN "count", [db_count]
  ; MOV SS blocking with TF needs BS, and without TF must not have it.
  AT g_step + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  VMWR G_RFLAGS, 0x102
  RUN "mov ss, tf, no bs"
  AT g_step + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  VMWR G_PENDING, 0x4000
  RUN "mov ss, bs, no tf"
  AT g_step + 3
  VMWR G_PENDING, 0x2000
  RUN "pending reserved"
  ret

g_mtf:
  out 0x80, al
.after_out:
  vmcall
g_mtf_cr3:
  mov cr3, rax
  vmcall
g_mtf_int1:
  db 0xf1
  vmcall
g_mtf_hlt:
  hlt
  vmcall
g_mtf_int3:
  int3
  vmcall
g_mtf_rep:
  rep stosb
  vmcall
test_mtf:
  PRINTLN "-- monitor trap flag"
  FROM g_mtf
  VMSET V_PROC, PROC_MTF
  AT g_mtf
  RUN "out"
  AT g_mtf
  VMWR G_RFLAGS, 0x102
  RUN "out with tf"
  FIELDLN "pending", G_PENDING
  mov rax, 0xaaaaaaaaaaaaaaaa
  mov [guest_rax], rax
  AT g_mtf_cr3
  RUN "#GP"
  VMRD G_RIP
  sub rax, stubs + 13 * 16
  SHOWLN "at the handler", rax
  AT g_mtf_int1
  RUN "int1"
  VMRD G_RIP
  sub rax, db_return
  SHOWLN "at the handler", rax
  FROM g_mtf
  AT g_mtf_int3
  RUN "int3"
  VMRD G_RIP
  sub rax, stubs + 3 * 16
  SHOWLN "at the handler", rax
  AT g_mtf_hlt
  RUN "hlt"
  FIELDLN "activity", G_ACTIVITY
  VMCLR V_PROC, PROC_MTF
  AT g_mtf
  VMWR V_ENTRY_INFO, INJECT | 0x700
  RUN "injected mtf"
  AT g_mtf
  VMWR V_ENTRY_INFO, INJECT | 0x701
  RUN "other event, vector 1"
  VMWR V_ENTRY_INFO, 0
  ret

test_pending:
  PRINTLN "-- pending interrupts"
  FROM g_step
  VMSET V_PIN, PIN_EXTINT
  SELFIPI
  AT g_step
  RUN "exits at once"
  AT g_step
  VMWR G_ACTIVITY, HLT_STATE
  RUN "halted"
  FIELDLN "activity", G_ACTIVITY
  VMSET V_EXIT, EXIT_ACK
  AT g_step
  RUN "acknowledged"
  AT g_step
  RUN "no second"
  mov dword [r15 + 0xb0], 0
  VMCLR V_EXIT, EXIT_ACK
  ; Not exiting: it needs IF.
  VMCLR V_PIN, PIN_EXTINT
  SELFIPI
  mov qword [ipi_count], 0
  AT g_step
  RUN "if 0"
  SHOWLN "taken", [ipi_count]
  AT g_step
  VMWR G_RFLAGS, 0x202
  RUN "if 1"
  SHOWLN "taken", [ipi_count]
  ; With injection: the injected event first, the interrupt exits at its handler.
  VMSET V_PIN, PIN_EXTINT
  SELFIPI
  AT g_step
  VMWR V_ENTRY_INFO, INJECT_DB
  RUN "behind an injected event"
  ; MOV SS blocking holds external interrupts back.
  AT g_step + 3
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "in mov ss"
  AT g_step + 3
  VMWR G_RFLAGS, 0x202
  VMWR G_INTERRUPTIBILITY, BLOCK_STI
  RUN "in sti"
  sti
  nop
  nop
  cli
  SHOWLN "taken", [ipi_count]
  VMCLR V_PIN, PIN_EXTINT
  ret

test_nmi:
  PRINTLN "-- NMIs"
  FROM g_step
  VMSET V_PIN, PIN_NMI
  mov qword [nmi_count], 0
  ; Sent in root operation: taken at once. So block them by a running NMI handler: the guest sends it to itself.
  AT g_send_nmi
  FROM g_send_nmi
  RUN "nmi exit"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  ; Now NMIs are blocked in root operation.
  SELFNMI
  nop
  nop
  SHOWLN "while blocked", [nmi_count]
  call do_iret
  SHOWLN "after iret", [nmi_count]
  ; Virtual NMIs: the guest is not blocked by its own
  VMSET V_PIN, PIN_VNMI
  AT g_send_nmi
  VMWR G_INTERRUPTIBILITY, BLOCK_NMI
  RUN "virtual-nmi blocking does not hold it"
  FIELDLN "interruptibility", G_INTERRUPTIBILITY
  call do_iret
  VMCLR V_PIN, PIN_NMI | PIN_VNMI
  ; Not exiting: delivered in the guest; blocking shows in the interruptibility state.
  mov qword [nmi_count], 0
  AT g_send_nmi
  RUN "in the guest"
  SHOWLN "taken", [nmi_count]
  AT g_send_nmi
  VMWR G_INTERRUPTIBILITY, BLOCK_NMI
  RUN "blocked in the guest"
  FIELD "interruptibility", G_INTERRUPTIBILITY
  SHOWLN " taken", [nmi_count]
  ; Blocking went over to root operation.
  SHOWLN "still", [nmi_count]
  call do_iret
  SHOWLN "after iret", [nmi_count]
  ret
g_send_nmi:
  mov eax, 0xfee00000
  mov dword [rax + 0x310], 0
  mov dword [rax + 0x300], 0x4400
.after:
  nop
  nop
  nop
  vmcall
do_iret:
  pop rdx
  mov rcx, rsp
  push qword SEL_DATA
  push rcx
  push qword 2
  push qword SEL_CODE
  push rdx
  iretq

%macro GUESTCODE 2+
%1:
  %2
  vmcall
%endmacro
GUESTCODE g_ud, ud2
GUESTCODE g_int3, int3
GUESTCODE g_int1, db 0xf1
GUESTCODE g_cd3, {db 0xcd, 3}
GUESTCODE g_gp, mov [rax], al
GUESTCODE g_pf, mov [rax], al
GUESTCODE g_pf_read, mov al, [rax]
GUESTCODE g_nm, fnop
GUESTCODE g_de, div cl
g_handler:
  vmcall
%macro GATE 3
  mov edi, %1
  mov rsi, %2
  mov eax, %3
  call set_gate
%endmacro
test_exceptions:
  PRINTLN "-- exceptions"
  GATE 3, g_handler, 0xee
  GATE 14, g_handler, 0x8e
  FROM g_ud
  VMWR V_EXCEPTIONS, 0xffffbfff
  AT g_ud
  RUN "#UD"
  FIELDLN "flags", G_RFLAGS
  AT g_int3
  RUN "int3"
  FIELD "length", X_LENGTH
  FIELDLN " flags", G_RFLAGS
  AT g_int1
  RUN "int1"
  FIELDLN "length", X_LENGTH
  AT g_cd3
  RUN "int 3 goes to the guest"
  mov rax, 0x8000000000000000
  mov [guest_rax], rax
  AT g_gp
  RUN "#GP"
  mov qword [guest_rcx], 0
  AT g_de
  RUN "#DE"
  VMRD G_CR0
  or eax, 8
  mov ecx, G_CR0
  vmwrite rcx, rax
  AT g_nm
  RUN "#NM"
  VMRD G_CR0
  and eax, ~8
  mov ecx, G_CR0
  vmwrite rcx, rax
  ; Page faults by mask and match; CR2 is left alone.
  mov eax, 0x1234
  mov cr2, rax
  mov rax, 0x8000000000
  mov [guest_rax], rax
  VMWR V_EXCEPTIONS, 1 << 14
  AT g_pf
  RUN "#PF"
  mov rax, cr2
  SHOWLN "cr2", rax
  VMWR 0x4006, 2              ; writes only
  VMWR 0x4008, 2
  AT g_pf
  RUN "write, matched"
  AT g_pf_read
  RUN "read, not matched"
  mov rax, cr2
  SHOWLN "cr2", rax
  VMWR V_EXCEPTIONS, 0
  AT g_pf_read
  RUN "read, bitmap clear: matched"
  VMWR 0x4006, 0
  VMWR 0x4008, 0
  ret

; Faults while an event is delivered
g_vector:
  int 0x30
  vmcall
test_vectoring:
  PRINTLN "-- vectoring information"
  GATE 14, stubs + 14 * 16, 0x8e
  FROM g_vector
  mov edi, 0x30
  mov rsi, stubs
  mov eax, 0x0e               ; absent
  call set_gate
  VMWR V_EXCEPTIONS, 1 << 11
  AT g_vector
  RUN "int n, #NP"
  FIELDLN "length", X_LENGTH
  AT g_vector
  VMWR G_RFLAGS, 0x202
  VMWR V_ENTRY_INFO, INJECT | 0x30
  RUN "injected interrupt, #NP"
  AT g_vector
  VMWR V_ENTRY_LENGTH, 2
  VMWR V_ENTRY_INFO, INJECT | 0x430
  RUN "injected int n, #NP"
  FIELDLN "length", X_LENGTH
  AT g_vector
  mov edi, 13
  mov rsi, stubs
  mov eax, 0x0e
  call set_gate
  VMWR V_ENTRY_ERROR, 0x10
  VMWR V_ENTRY_INFO, INJECT | 0xb0d
  RUN "injected #GP, #NP"
  VMRD X_IDT_ERROR
  SHOWLN32 "vectoring error", eax
  VMWR V_EXCEPTIONS, 1 << 8
  AT g_vector
  VMWR V_ENTRY_INFO, INJECT | 0xb0d
  RUN "injected #GP, #NP, #DF"
  VMWR V_EXCEPTIONS, 0
  mov edi, 8
  mov rsi, stubs
  mov eax, 0x0e
  call set_gate
  AT g_vector
  VMWR V_ENTRY_INFO, INJECT | 0xb0d
  RUN "triple fault"
  FIELDLN "activity", G_ACTIVITY
  mov edi, 8
  mov rsi, stubs + 8 * 16
  mov eax, 0x8e
  call set_gate
  mov edi, 13
  mov rsi, stubs + 13 * 16
  mov eax, 0x8e
  call set_gate
  mov edi, 0x30
  mov rsi, stubs + 0x30 * 16
  mov eax, 0x8e
  call set_gate
  ret

test_injection:
  PRINTLN "-- injection checks"
  FROM g_step
  %macro INJECTED 2
    AT g_step
    VMWR V_ENTRY_LENGTH, 1
    VMWR V_ENTRY_ERROR, 0
    VMWR V_ENTRY_INFO, INJECT | (%2)
    RUN %1
    FIELD "info", V_ENTRY_INFO
    NEWLINE
  %endmacro
  INJECTED "type 1", 0x120
  INJECTED "nmi vector 3", 0x203
  INJECTED "exception 32", 0x320
  INJECTED "#GP without error code", 0x30d
  INJECTED "#UD with error code", 0xb06
  INJECTED "int n with error code", 0xc0d
  INJECTED "reserved bit", 0x1301
  GATE 8, g_handler, 0x8e
  INJECTED "#DF with error code", 0xb08
  GATE 8, stubs + 8 * 16, 0x8e
  INJECTED "int3", 0x603
  VMWR V_ENTRY_INFO, 0
  AT g_step
  VMWR V_ENTRY_LENGTH, 0
  VMWR V_ENTRY_INFO, INJECT | 0x603
  RUN "length 0"
  AT g_step
  VMWR V_ENTRY_LENGTH, 16
  VMWR V_ENTRY_INFO, INJECT | 0x603
  RUN "length 16"
  AT g_step
  VMWR V_ENTRY_ERROR, 0x10000
  VMWR V_ENTRY_INFO, INJECT | 0xb0d
  RUN "error code above 15 bits"
  VMWR V_ENTRY_ERROR, 0
  %macro STATE 4
    AT g_step
    VMWR G_ACTIVITY, %2
    VMWR V_ENTRY_INFO, %3
    VMWR G_RFLAGS, %4
    RUN %1
  %endmacro
  STATE "hlt, #UD", 1, INJECT | 0x306, 2
  GATE 18, g_handler, 0x8e
  STATE "hlt, #MC", 1, INJECT | 0x312, 2
  STATE "hlt, int n", 1, INJECT | 0x480, 2
  STATE "shutdown, interrupt", 2, INJECT | 0x30, 0x202
  STATE "shutdown, #DB", 2, INJECT_DB, 2
  STATE "wait for sipi, nmi", 3, INJECT | 0x202, 2
  STATE "state 4", 4, 0, 2
  AT g_step
  VMWR G_ACTIVITY, 1
  VMWR G_INTERRUPTIBILITY, BLOCK_MOVSS
  RUN "hlt in mov ss"
  AT g_step
  VMWR G_INTERRUPTIBILITY, 3
  RUN "both shadows"
  AT g_step
  VMWR G_INTERRUPTIBILITY, BLOCK_STI
  RUN "sti shadow with if 0"
  AT g_step
  VMWR G_INTERRUPTIBILITY, 4
  RUN "smi blocking"
  AT g_step
  VMWR G_INTERRUPTIBILITY, 0x20
  RUN "interruptibility reserved"
  AT g_step
  ret

test_lists:
  PRINTLN "-- MSR lists"
  FROM g_step
  mov dword [msr_list], 0xc0000102
  mov qword [msr_list + 8], 0x31415926
  VMWR V_ENTRY_LOAD, msr_list
  VMWR V_ENTRY_LOAD_COUNT, 1
  mov dword [store_list], 0xc0000102
  VMWR V_EXIT_STORE, store_list
  VMWR V_EXIT_STORE_COUNT, 1
  mov dword [load_list], 0xc0000102
  mov qword [load_list + 8], 0x27182818
  VMWR V_EXIT_LOAD, load_list
  VMWR V_EXIT_LOAD_COUNT, 1
  AT g_step
  RUN "kernel gs base"
  SHOW "stored", [store_list + 8]
  READMSR 0xc0000102
  SHOWLN " loaded", rax
  %macro BADENTRY 3
    mov rax, %2
    mov [msr_list + 16], rax
    mov rax, %3
    mov [msr_list + 24], rax
    VMWR V_ENTRY_LOAD_COUNT, 2
    AT g_step
    RUN %1
  %endmacro
  BADENTRY "fs base", 0xc0000100, 0
  BADENTRY "gs base", 0xc0000101, 0
  BADENTRY "reserved", 0x1c0000102, 0
  BADENTRY "not canonical", 0xc0000102, 0x8000000000000000
  BADENTRY "unknown", 0x12345678, 0
  BADENTRY "x2apic", 0x808, 0
  BADENTRY "microcode", 0x79, 0
  BADENTRY "signature", 0x8b, 0
  BADENTRY "tsc", 0x10, 0x1234567890abcdef
  VMWR V_ENTRY_LOAD_COUNT, 1
  VMWR V_ENTRY_LOAD, 0x900000000
  AT g_step
  RUN "no memory there"
  VMWR V_ENTRY_LOAD, msr_list + 8
  AT g_step
  RUN "not aligned"
  VMWR V_ENTRY_LOAD_COUNT, 0
  VMWR V_EXIT_STORE_COUNT, 0
  VMWR V_EXIT_LOAD_COUNT, 0
  ; The TSC stored is not offset.
  mov qword [store_list], 0x10
  VMWR V_EXIT_STORE_COUNT, 1
  VMWR V_TSC_OFFSET, 1 << 40
  VMSET V_PROC, PROC_TSC_OFFSET
  FROM g_rdtsc
  AT g_rdtsc
  RUN "tsc offset"
  mov rax, [guest_rdx]
  shr rax, 8
  and eax, 0xff
  mov rdx, [store_list + 8]
  shr rdx, 40
  sub eax, edx
  and eax, 0xff
  SHOWLN "offset seen by the guest, not stored", rax
  VMCLR V_PROC, PROC_TSC_OFFSET
  VMWR V_EXIT_STORE_COUNT, 0
  ret
g_rdtsc:
  rdtsc
  vmcall

test_movss:
  PRINTLN "-- VM entry in a MOV SS shadow"
  AT g_step
  mov ecx, 0xffff
  vmwrite rcx, rax
  VMWR H_RSP, rsp
  VMWR H_RIP, .exited
  mov eax, ss
  mov ss, eax
  vmlaunch
  pushfq
  pop rax
  and eax, 0x8d5
  SHOW32 "flags", eax
  VMRD V_ERROR
  SHOWLN32 " error", eax
  vmlaunch
  pushfq
  pop rax
  and eax, 0x8d5
  SHOW32 "flags", eax
  VMRD V_ERROR
  SHOWLN32 " error", eax
  ret
.exited:
  PRINTLN "entered"
  ret

[section .data]
  align 16
msr_list: times 16 dq 0
store_list: times 4 dq 0
load_list: times 4 dq 0
db_count: dq 0
nmi_count: dq 0
ipi_count: dq 0
timer_start: dq 0
timer_shift: dd 0
guest_first: dd 0
guest_last: dd 0
[section .text]
