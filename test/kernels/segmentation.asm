; Protected-mode segmentation: segment loads and their error codes, limits, expand-down and 16-bit segments, LAR LSL VERR VERW
; ARPL, far transfers, call gates with parameters, IRET, LDT, privilege changes (SDM 3A chapters 3, 5; vol 2).
%include "common32.inc"

S0  equ SEL_FREE            ; scratch descriptors
S1  equ SEL_FREE + 8
S2  equ SEL_FREE + 16
S3  equ SEL_FREE + 24
S4  equ SEL_FREE + 32
S5  equ SEL_FREE + 40
S6  equ SEL_FREE + 48
S7  equ SEL_FREE + 56
R1CODE equ (SEL_FREE + 64) | 1
R1DATA equ (SEL_FREE + 72) | 1
LOW_CODE equ 0x6000         ; reachable by 16-bit offsets

; Loads selector %2 into segment register %1 (through AX).
%macro TRYSEG 2
  mov eax, %2
  TRY "mov %1, %2", mov %1, ax
%endmacro

; Runs label %2 in ring 3; it comes back by an exception or INT 80h-8Fh.
%macro USERX 2
  mov dword [resume_at], %%after
  mov dword [try_at], %2
  mov [resume_esp], esp
  mov dword [event_vector], -1
  push dword SEL_UDATA
  push dword ring3_top
  push dword 2
  push dword SEL_UCODE
  push dword %2
  iretd
%%after:
  call save_result
  PRINT %1, ': '
  call report
%endmacro

main:
  call test_loads
  call test_limits
  call test_inspect
  call test_far
  call test_gates
  call test_iret
  call test_user
  call test_system
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_loads:
  PRINTLN "-- segment loads"
  SETDESC S0, 0x1000, 0xfff, 0x13, 4      ; not present data
  SETDESC S1, 0x1000, 0xfff, 0x98, 4      ; execute-only code
  SETDESC S2, 0x1000, 0xfff, 0x9a, 4      ; readable code, not accessed
  SETDESC S3, 0x1000, 0xfff, 0x90, 4      ; read-only data
  SETDESC S4, 0x1000, 0xfff, 0x92, 4      ; writable data, not accessed
  SETDESC S5, 0x1000, 0xfff, 0xb2, 4      ; writable data, DPL 1
  SETDESC S6, 0x1000, 0xfff, 0x9e, 4      ; conforming readable code
  SETDESC S7, 0x1000, 0xfff, 0x82, 0      ; LDT descriptor
  TRYSEG ds, 0
  TRYSEG ds, 3
  mov ax, SEL_DATA
  mov ds, ax
  TRYSEG ss, 0
  TRYSEG ss, 3
  TRYSEG ds, S0
  TRYSEG ss, S0
  TRYSEG es, S1
  TRYSEG es, S2
  TRYSEG ss, S2
  TRYSEG es, S3
  TRYSEG ss, S3
  TRYSEG fs, S4
  SHOWLN "accessed", [gdt + S4 + 4]
  TRYSEG ss, S5
  TRYSEG ss, (S5 | 1)
  TRYSEG ds, S5
  TRYSEG ds, (S5 | 1)
  TRYSEG ds, (S5 | 2)
  TRYSEG ds, (S4 | 3)
  TRYSEG ds, (SEL_DATA | 1)
  TRYSEG es, S6
  TRYSEG es, (S6 | 3)
  TRYSEG gs, S7
  TRYSEG ss, S7
  TRYSEG gs, SEL_TSS
  TRYSEG ds, (GDT_ENTRIES * 8)
  TRYSEG ds, (GDT_ENTRIES * 8 - 8)
  TRYSEG ds, 4
  TRYSEG ds, 0xc
  TRYSEG ss, (SEL_DATA | 3)
  TRYSEG ss, (GDT_ENTRIES * 8 + 2)
  mov eax, SEL_DATA
  TRY "mov cs", {db 0x8e, 0xc8}
  TRY "mov seg 6", {db 0x8e, 0xf0}
  TRY "mov seg 7 store", {db 0x8c, 0xf8}
  push dword S0
  TRY "pop ds np", pop ds
  SHOWLN "esp kept", [event_error]
  add esp, 4
  push dword 0x1234fff8
  TRY "pop es beyond", pop es
  add esp, 4
  TRY "les np", les eax, [cs:far_np]
  SHOWLN "eax", eax
  TRY "lss null", lss eax, [cs:far_null]
  TRY "lds null", lds ebx, [cs:far_null]
  SHOWLN "ebx", [cs:result_ebx]
  mov ax, SEL_DATA
  mov ds, ax
  TRY "lfs reg", {db 0x0f, 0xb4, 0xc0}
  ; Upper bits of a selector store: 32-bit register zero-extended, memory 16 bits.
  mov eax, -1
  mov eax, ds
  SHOWLN "mov eax, ds", eax
  mov dword [scratch], -1
  mov [scratch], ds
  SHOWLN "mov [mem], ds", [scratch]
  mov eax, -1
  o16 mov ax, ds
  SHOWLN "mov ax, ds", eax
  mov dword [scratch], -1
  push dword -1
  add esp, 4
  push ds
  SHOWLN "push ds", [esp]
  add esp, 4
  ; Using a null segment faults, loading does not.
  xor eax, eax
  mov gs, ax
  TRY "read gs null", mov eax, [gs:0]
  TRY "write gs null", mov [gs:0], eax
  ret

; ---------------------------------------------------------------------------------------------------------------------
; Runs reads and writes of all sizes around the edges of segment FS.
%macro PROBE 3 ; name, selector, list of offsets follows in label
  mov eax, %2
  mov fs, ax
  PRINT %1, ':'
  mov esi, %3
  call probe_offsets
%endmacro

probe_offsets:
.next:
  mov edi, [esi]
  cmp edi, 0x7fffffff
  je .end
  NEWLINE
  PRINT "  "
  push edi
  call put_hex
  PRINT " "
  %macro ONE 1+
    mov dword [resume_at], %%bad
    mov [resume_esp], esp
    %1
    mov eax, 0x2d
    jmp %%put
  %%bad:
    mov eax, [event_vector]
    add al, '0'
    cmp al, '9'
    jbe %%put
    add al, 'A' - 10 - '0'
  %%put:
    push edx
    call putc
    pop edx
  %endmacro
  ONE mov al, [fs:edi]
  ONE mov ax, [fs:edi]
  ONE mov eax, [fs:edi]
  ONE fld qword [fs:edi]
  fninit
  ONE fld tword [fs:edi]
  fninit
  ONE movups xmm0, [fs:edi]
  ONE mov [fs:edi], al
  ONE mov [fs:edi], ax
  ONE mov [fs:edi], eax
  ONE fst qword [fs:edi]
%macro body1 0
  fld1
  fstp tword [fs:edi]
%endmacro
  ONE body1
  fninit
  ONE movups [fs:edi], xmm0
  ONE lock inc dword [fs:edi]
  ONE test dword [fs:edi], 1
  mov [keep_esp], esp
  ONE push dword [fs:edi]
  mov esp, [keep_esp]
  ONE a16 mov eax, [fs:di]
  add esi, 4
  jmp .next
.end:
  NEWLINE
  ret

test_limits:
  PRINTLN "-- limits"
  mov eax, cr4
  or eax, 0x200
  mov cr4, eax
  fninit
  SETDESC S0, area, 0xfff, 0x93, 4
  SETDESC S1, area - 0x1000, 0xfff, 0x97, 4       ; expand-down, 32 bit
  SETDESC S2, area - 0x1000, 0xfff, 0x97, 0       ; expand-down, 16 bit
  SETDESC S3, area, 0xfff, 0x91, 4                ; read-only
  SETDESC S4, area, 0xfff, 0x9b, 4                ; readable code
  SETDESC S5, area, 0xfff, 0x99, 4                ; execute-only
  SETDESC S6, 0, 0xfffff, 0x93, 0xc               ; flat
  SETDESC S7, 0, 0xfffff, 0x97, 0xc               ; expand-down with the largest limit: nothing
  PROBE "up", S0, edge_offsets
  PROBE "down 32", S1, down_offsets
  PROBE "down 16", S2, down16_offsets
  PROBE "read-only", S3, edge_offsets
  PROBE "code", S4, edge_offsets
  PROBE "flat", S6, flat_offsets
  PROBE "down none", S7, flat_offsets
  SETDESC S1, 0, 0, 0x97, 0xc                     ; expand-down, limit FFFh: all but the first page
  PROBE "down page", S1, down_offsets
  ; The stack segment raises #SS.
  PRINTLN "stack"
  SETDESC S0, stack_area, 0xff, 0x93, 4
  %macro ONSTACK 3+
    mov [ss_saved_esp], esp
    mov dword [resume_at], %%after
    mov [resume_esp], esp
    mov dword [event_vector], -1
    mov dword [try_at], %%at
    mov eax, S0
    mov ecx, %2
    mov ss, ax
    mov esp, ecx
    %%at:
    %3
    %%after:
    mov ecx, SEL_DATA
    mov edx, esp
    mov ss, cx
    mov esp, [ss_saved_esp]
    mov [result_edx], edx
    PRINT %1, ': '
    call report
  %endmacro
  ; The event itself cannot be delivered on a full stack, so these run in a task of ring 1 (see test_gates) or with room.
  ONSTACK "mov above", 0x80, mov eax, [esp + 0x80]
  ONSTACK "mov last", 0x80, mov eax, [esp + 0x7c]
%macro body2 0
  mov ebp, 0xfd
  mov eax, [ebp]
%endmacro
  ONSTACK "mov ebp above", 0x80, body2
%macro body3 0
  mov ebp, 0xfd
  mov eax, [ds:ebp]
%endmacro
  ONSTACK "mov ebp ds", 0x80, body3
%macro body4 0
  mov eax, 0x100
  mov al, [ss:eax]
%endmacro
  ONSTACK "mov ss: eax", 0x80, body4
  ret

; ---------------------------------------------------------------------------------------------------------------------
%macro INSPECT 1
  mov ecx, %1
  PRINT "  ", %str(%1)
  call inspect
%endmacro
inspect:
  mov eax, 0x11111111
  lar eax, ecx
  call .flag
  SHOW " lar", eax
  mov eax, 0x11111111
  lsl eax, ecx
  call .flag
  SHOW " lsl", eax
  mov eax, 0x11111111
  o16 lar ax, cx
  SHOW " lar16", eax
  mov eax, 0x11111111
  o16 lsl ax, cx
  SHOW " lsl16", eax
  verr cx
  PRINT " verr"
  call .flag
  verw cx
  PRINT " verw"
  call .flag
  NEWLINE
  ret
.flag:
  jz .set
  PRINT " -"
  ret
.set:
  PRINT " Z"
  ret

test_inspect:
  PRINTLN "-- LAR LSL VERR VERW"
%assign t 0
%rep 16
  SETDESC S0, 0x12345678, 0x54321, 0x80 | t, 0x9
  mov eax, t
  call put_hex8
  INSPECT S0
%assign t t + 1
%endrep
%assign t 0
%rep 16
  SETDESC S0, 0x12345678, 0x54321, 0x90 | t, 0x5
  mov eax, t + 0x10
  call put_hex8
  INSPECT S0
%assign t t + 1
%endrep
  SETDESC S0, 0, 0xfffff, 0x12, 0xc
  INSPECT S0
  SETDESC S0, 0, 0xfffff, 0xb2, 0xc
  INSPECT S0
  INSPECT (S0 | 1)
  INSPECT (S0 | 2)
  SETDESC S0, 0, 0xfffff, 0xbe, 0xc
  INSPECT (S0 | 2)
  INSPECT (S0 | 3)
  INSPECT 0
  INSPECT 3
  INSPECT GDT_ENTRIES * 8
  ; Memory operand, flags other than ZF unchanged.
  mov word [scratch], SEL_DATA
  push dword 0x8d7
  popfd
  lar eax, [scratch]
  pushfd
  pop ebx
  SHOWLN "flags", ebx
  push dword 2
  popfd
  PRINTLN "ARPL"
  %macro TESTARPL 2
    mov eax, %1
    mov edx, %2
    arpl ax, dx
    pushfd
    pop ebx
    and ebx, 0x40
    SHOW "  eax", eax
    SHOWLN " zf", ebx
  %endmacro
  TESTARPL 0xffff0010, 0x1b
  TESTARPL 0x13, 0x18
  TESTARPL 0x12, 0x12
  TESTARPL 0x11, 0xfff3
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_far:
  PRINTLN "-- far transfers"
  SETDESC S0, 0, 0xfffff, 0x1b, 0xc       ; code not present
  SETDESC S1, 0, 0xfffff, 0xbb, 0xc       ; code DPL 1
  SETDESC S2, 0, 0xfffff, 0x9f, 0xc       ; conforming code DPL 0
  SETDESC S3, 0, 0xfffff, 0xff, 0xc       ; conforming code DPL 3
  SETDESC S4, 0, 0x0ffff, 0x9b, 0x4       ; code with limit 64 KiB
  SETDESC S5, 0, 0xfffff, 0x99, 0xc       ; execute-only
  SETDESC S6, 0, 0xfffff, 0x9a, 0xc       ; not accessed
  TRY "jmp null", jmp 0:here_far
  TRY "jmp 3", jmp 3:here_far
  TRY "jmp data", jmp SEL_DATA:here_far
  TRY "jmp np", jmp S0:here_far
  TRY "jmp dpl 1", jmp S1:here_far
  TRY "jmp conforming", jmp S2:here_far
  TRY "jmp conforming dpl 3", jmp S3:here_far
  TRY "jmp beyond the limit", jmp S4:here_far
  TRY "jmp rpl 3", jmp (SEL_CODE | 3):here_far
  TRY "jmp conforming rpl 3", jmp (S2 | 3):here_far
  TRY "jmp beyond gdt", jmp (GDT_ENTRIES * 8):here_far
  TRY "jmp ldt selector", jmp 0xc:here_far
  TRY "jmp execute-only", jmp S5:here_far
  TRY "jmp not accessed", jmp S6:here_far
  SHOWLN "accessed", [gdt + S6 + 4]
  TRY "call beyond the limit", call S4:here_far
  TRY "call np", call S0:here_far
  TRY "call code", call SEL_CODE:far_return
  mov dword [LOW_CODE], 0x000f9090          ; nop, nop, ud2
  mov word [LOW_CODE + 2], 0x0b0f
  TRY "call 16", {call word SEL_CODE:LOW_CODE}
  TRY "jmp mem", jmp far [far_code]
  TRY "call mem", call far [far_return_ptr]
  TRY "jmp far reg", {db 0xff, 0xe8}
  TRY "call far reg", {db 0xff, 0xd8}
  ; RETF
  %macro TRYRETF 3
    mov [keep_esp], esp
    push dword %2
    push dword %3
    TRY %1, retf
    mov esp, [keep_esp]
  %endmacro
  TRYRETF "retf null", 0, here_far
  TRYRETF "retf data", SEL_DATA, here_far
  TRYRETF "retf np", S0, here_far
  TRYRETF "retf dpl 1", S1, here_far
  TRYRETF "retf conforming dpl 3", S3, here_far
  TRYRETF "retf beyond", S4, here_far
  TRYRETF "retf beyond gdt", 0xfff8, here_far
  TRYRETF "retf code", SEL_CODE, here_far
  ; To ring 3 with a bad stack selector.
  %macro TRYOUTER 5
    mov [keep_esp], esp
    push dword %5
    push dword %4
    push dword %2
    push dword %3
    TRY %1, retf
    mov esp, [keep_esp]
  %endmacro
  SETDESC S7, 0, 0xfffff, 0x73, 0xc
  TRYOUTER "retf outer", SEL_UCODE, user_int, ring3_top, SEL_UDATA
  SHOWLN "ss", [event_ss]
  TRYOUTER "retf outer ss null", SEL_UCODE, user_int, ring3_top, 0
  TRYOUTER "retf outer ss rpl", SEL_UCODE, user_int, ring3_top, SEL_UDATA & ~3
  TRYOUTER "retf outer ss dpl", SEL_UCODE, user_int, ring3_top, SEL_DATA | 3
  TRYOUTER "retf outer ss np", SEL_UCODE, user_int, ring3_top, S7 | 3
  TRYOUTER "retf outer ss code", SEL_UCODE, user_int, ring3_top, SEL_UCODE
  TRYOUTER "retf outer cs dpl 0", SEL_CODE | 3, user_int, ring3_top, SEL_UDATA
  TRYOUTER "retf outer eip", S3 | 3, 0, ring3_top, SEL_UDATA
  mov [keep_esp], esp
  ; Data segments that the outer ring may not use become null.
  mov eax, SEL_DATA
  mov fs, ax
  mov eax, SEL_UDATA
  mov gs, ax
  TRYOUTER "retf outer seg", SEL_UCODE, user_segs, ring3_top, SEL_UDATA
  SHOW "ds", [event_ds]
  SHOW " es", [result_ecx]
  SHOW " fs", [result_ebx]
  SHOWLN " gs", [result_edx]
  ret

here_far:
  jmp [ss:resume_at]
far_return:
  retf
user_int:
  int 0x80
user_segs:
  mov ecx, es
  mov ebx, fs
  mov edx, gs
  int 0x81

; ---------------------------------------------------------------------------------------------------------------------
test_gates:
  PRINTLN "-- call gates"
  SETDESC S0, 0, 0xfffff, 0xbb, 0xc       ; code DPL 1
  SETDESC S1, 0, 0xfffff, 0x9f, 0xc       ; conforming code DPL 0
  SETDESC S2, 0, 0xfffff, 0x93, 0xc
  SETDESC R1DATA & ~3, 0, 0xfffff, 0xb3, 0xc
  mov dword [tss + 16], R1DATA
  SETGATE S4, SEL_CODE, gate_same, 0xec, 0
  TRY "call gate same", call S4:0x12345678
  SETGATE S4, SEL_CODE, here_far, 0xec, 0
  TRY "jmp gate same", jmp S4:0
  SETGATE S4, SEL_CODE, gate_same, 0x8c, 0
  TRY "gate rpl 1", call (S4 | 1):0
  SETGATE S4, SEL_CODE, gate_same, 0x6c, 0
  TRY "gate np", call S4:0
  SETGATE S4, 0, gate_same, 0xec, 0
  TRY "gate null target", call S4:0
  SETGATE S4, SEL_DATA, gate_same, 0xec, 0
  TRY "gate data target", call S4:0
  SETGATE S4, S0, gate_same, 0xec, 0
  TRY "gate dpl 1 target", call S4:0
  SETGATE S4, 0xfff8, gate_same, 0xec, 0
  TRY "gate target beyond", call S4:0
  SETGATE S4, SEL_CODE, gate_same, 0xee, 0
  TRY "interrupt gate", call S4:0
  ; 16-bit gate: the upper half of the offset is ignored
  SETGATE S4, SEL_CODE, LOW_CODE | 0x10000, 0xe4, 0
  TRY "gate 16", call S4:0
  ; From ring 3 with parameters
  SETGATE S5, SEL_CODE, gate_inner, 0xec, 3
  USERX "inner gate", user_gate
  SHOW "args", [arg_words]
  SHOW " ", [arg_words + 4]
  SHOW " ", [arg_words + 8]
  SHOW " ret cs", [arg_words + 12]
  SHOW " esp diff", [arg_words + 16]
  SHOWLN " ss", [arg_words + 20]
  SETGATE S5, S0 | 0, gate_ring1, 0xec, 2
  USERX "gate to ring 1", user_gate
  SHOW "cs", [arg_words]
  SHOW " ss", [arg_words + 4]
  SHOWLN " arg", [arg_words + 8]
  SETGATE S5, SEL_CODE, gate_inner, 0x8c, 0
  USERX "gate dpl 0", user_gate
  SETGATE S5, S1, gate_conforming, 0xec, 2
  USERX "gate conforming", user_gate
  SETGATE S5, SEL_CODE, gate_inner, 0xec, 0
  USERX "jmp gate inner", user_jmp_gate
  ; A bad stack in the TSS (of ring 1, so that the exception has a stack).
  SETGATE S5, S0 | 0, gate_ring1, 0xec, 2
  %macro BADSTACK 2
    mov dword [tss + 16], %2
    USERX %1, user_gate
  %endmacro
  BADSTACK "ss1 null", 0
  BADSTACK "ss1 rpl 3", SEL_UDATA
  BADSTACK "ss1 rpl 0", SEL_DATA
  BADSTACK "ss1 dpl 0", SEL_DATA | 1
  BADSTACK "ss1 beyond", 0xfff9
  BADSTACK "ss1 code", S0 | 1
  SETDESC S6, 0, 0xfffff, 0x33, 0xc
  BADSTACK "ss1 np", S6 | 1
  SETDESC S6, 0, 0xfffff, 0xb1, 0xc
  BADSTACK "ss1 read-only", S6 | 1
  SETDESC S6, stack_area, 0x1f, 0xb3, 0x4
  mov dword [tss + 12], 0x14
  BADSTACK "ss1 small", S6 | 1
  mov dword [tss + 12], 0x18
  BADSTACK "ss1 exact", S6 | 1
  mov dword [tss + 12], 0x20
  BADSTACK "ss1 above", S6 | 1
  mov dword [tss + 12], ring1_top
  mov dword [tss + 16], R1DATA
  ; The limit of the TSS bounds the stack fields.
  SETDESC S6, tss, 12 + 4, 0x89, 0
  mov eax, S6
  TRY "ltr small", ltr ax
  USERX "tss limit ss1", user_gate
  SETDESC S6, tss, 12 + 5, 0x89, 0
  mov eax, S6
  ltr ax
  USERX "tss limit exact", user_gate
  and byte [gdt + SEL_TSS + 5], 0xfd
  mov eax, SEL_TSS
  ltr ax
  SETGATE S5, S0 | 0, gate_ring1_16, 0xe4, 3
  BADSTACK "gate 16 to ring 1", R1DATA
  SHOW "esp", [event_esp]
  SHOWLN " arg", [arg_words]
  ; Return with RET n to the outer ring
  SETGATE S5, SEL_CODE, gate_retn, 0xec, 2
  USERX "retf n", user_gate_ret
  SHOWLN "esp moved", [result_eax]
  ret

gate_same:
  retf
gate_inner:
  mov eax, [esp + 8]
  mov [arg_words], eax
  mov eax, [esp + 12]
  mov [arg_words + 4], eax
  mov eax, [esp + 16]
  mov [arg_words + 8], eax
  mov eax, [esp + 4]
  mov [arg_words + 12], eax
  mov eax, ring0_top
  sub eax, esp
  mov [arg_words + 16], eax
  mov eax, [esp + 24]
  mov [arg_words + 20], eax
  int 0x82
gate_ring1:
  mov eax, cs
  mov [arg_words], eax
  mov eax, ss
  mov [arg_words + 4], eax
  mov eax, [esp + 8]
  mov [arg_words + 8], eax
  int 0x83
gate_ring1_16 equ LOW_CODE
gate_conforming:
  mov eax, cs
  int 0x84
gate_retn:
  retf 8
user_gate:
  mov ax, SEL_UDATA
  mov ds, ax
  push dword 0x11111111
  push dword 0x22222222
  push dword 0x33333333
  call S5 | 3:0
  int 0x85
user_jmp_gate:
  jmp S5 | 3:0
user_gate_ret:
  mov ax, SEL_UDATA
  mov ds, ax
  push dword 0x11111111
  push dword 0x22222222
  mov ebx, esp
  call S5 | 3:0
  mov eax, esp
  sub eax, ebx
  int 0x86

; ---------------------------------------------------------------------------------------------------------------------
%macro TRYIRET 4 ; name, cs, eip, eflags
  mov [keep_esp], esp
  push dword %4
  push dword %2
  push dword %3
  TRY %1, iretd
  mov esp, [keep_esp]
%endmacro
%macro TRYIRETOUT 6 ; name, cs, eip, eflags, esp, ss
  mov [keep_esp], esp
  push dword %6
  push dword %5
  push dword %4
  push dword %2
  push dword %3
  TRY %1, iretd
  mov esp, [keep_esp]
%endmacro
test_iret:
  PRINTLN "-- IRET"
  SETDESC S0, 0, 0xfffff, 0x1b, 0xc
  SETDESC S1, 0, 0xfffff, 0xbb, 0xc
  TRYIRET "same", SEL_CODE, iret_here, 0x002
  TRYIRET "flags", SEL_CODE, iret_flags, 0x247fd7 & ~0x4300
  SHOWLN "flags", [result_eax]
  TRYIRET "null", 0, iret_here, 2
  TRYIRET "data", SEL_DATA, iret_here, 2
  TRYIRET "np", S0, iret_here, 2
  TRYIRET "dpl 1", S1, iret_here, 2
  TRYIRET "beyond", 0xfff8, iret_here, 2
  TRYIRETOUT "outer", SEL_UCODE, user_flags, 0x3002, ring3_top, SEL_UDATA
  SHOWLN "flags", [event_flags]
  TRYIRETOUT "outer user popf", SEL_UCODE, user_popf, 0x2, ring3_top, SEL_UDATA
  SHOWLN "flags", [event_flags]
  TRYIRETOUT "outer iopl popf", SEL_UCODE, user_popf, 0x3002, ring3_top, SEL_UDATA
  SHOWLN "flags", [event_flags]
  TRYIRETOUT "outer ss null", SEL_UCODE, user_flags, 2, ring3_top, 0
  TRYIRETOUT "outer ss dpl", SEL_UCODE, user_flags, 2, ring3_top, SEL_DATA
  TRYIRETOUT "ring 1", S1 | 1, user_flags, 2, ring1_top, R1DATA
  TRYIRETOUT "ring 1 ss 3", S1 | 1, user_flags, 2, ring1_top, SEL_UDATA
  ; 16-bit IRET keeps the upper half of EFLAGS
  mov [keep_esp], esp
  push dword 0x240002
  popfd
  push word 0x8d7
  push word SEL_CODE
  push word 0x1234
  TRY "iret 16 beyond", o16 iret
  mov esp, [keep_esp]
  push dword 2
  popfd
  ret
iret_here:
  jmp [ss:resume_at]
iret_flags:
  pushfd
  pop eax
  push dword 2
  popfd
  jmp [ss:resume_at]
user_flags:
  int 0x80
user_popf:
  push dword 0x257fd7 & ~0x100
  popfd
  int 0x80

; ---------------------------------------------------------------------------------------------------------------------
%macro USERTRY 2+
  jmp %%over
%%code:
  mov ecx, SEL_UDATA
  mov ds, cx
  mov es, cx
  mov fs, cx
  mov gs, cx
%%insn:
  %2
  int 0x80
%%over:
  mov dword [resume_at], %%after
  mov dword [try_at], %%insn
  mov [resume_esp], esp
  mov dword [event_vector], -1
  push dword SEL_UDATA
  push dword ring3_top
  push dword [user_eflags]
  push dword SEL_UCODE
  push dword %%code
  iretd
%%after:
  PRINT %1, ': '
  call report
%endmacro
test_user:
  PRINTLN "-- privileged instructions in ring 3"
  mov dword [user_eflags], 2
  call privileged
  PRINTLN "-- with IOPL 3"
  mov dword [user_eflags], 0x3002
  call privileged
  ret
privileged:
  USERTRY "hlt", hlt
  USERTRY "cli", cli
  USERTRY "sti", sti
  USERTRY "clts", clts
  USERTRY "lgdt", lgdt [gdtr]
  USERTRY "lidt", lidt [idtr]
  USERTRY "sgdt", sgdt [scratch]
  USERTRY "sidt", sidt [scratch]
  USERTRY "sldt", sldt ax
  USERTRY "str", str ax
  USERTRY "smsw", smsw ax
%macro body5 0
  mov ax, 0
  lldt ax
%endmacro
  USERTRY "lldt", body5
%macro body6 0
  mov ax, 0
  ltr ax
%endmacro
  USERTRY "ltr", body6
  USERTRY "lmsw", lmsw ax
  USERTRY "mov cr0", mov eax, cr0
  USERTRY "mov to cr3", mov cr3, eax
  USERTRY "mov cr1", {db 0x0f, 0x20, 0xc8}
  USERTRY "mov dr0", mov eax, dr0
  USERTRY "mov to dr7", mov dr7, eax
  USERTRY "invlpg", invlpg [0]
  USERTRY "invd", invd
  USERTRY "wbinvd", wbinvd
  USERTRY "rdmsr", rdmsr
  USERTRY "wrmsr", wrmsr
  USERTRY "rdtsc", rdtsc
%macro body7 0
  mov ecx, 0x55
  rdpmc
%endmacro
  USERTRY "rdpmc", body7
  USERTRY "in", in al, 0x80
%macro body8 0
  mov dx, 0x80
  out dx, al
%endmacro
  USERTRY "out dx", body8
  USERTRY "int3", int3
  USERTRY "int 3", {db 0xcd, 3}
  USERTRY "into off", into
%macro body9 0
  mov al, 0x7f
  inc al
  into
%endmacro
  USERTRY "into on", body9
  USERTRY "int 0x20", int 0x20
  USERTRY "int 0x85", int 0x85
  USERTRY "int1", {db 0xf1}
%macro body10 0
  xor eax, eax
  cpuid
%endmacro
  USERTRY "cpuid", body10
  USERTRY "sysexit", sysexit
%macro body11 0
  mov ax, SEL_DATA
  mov ds, ax
%endmacro
  USERTRY "mov ds, 0 ring", body11
%macro body12 0
  mov ax, SEL_UDATA & ~3
  mov ss, ax
%endmacro
  USERTRY "mov ss, rpl", body12
  USERTRY "jmp ring 0", jmp SEL_CODE:0
%macro body13 0
  mov ecx, SEL_DATA
  xor eax, eax
  lar eax, ecx
%endmacro
  USERTRY "lar ring 0", body13
  SHOWLN "eax", [result_eax]
%macro body14 0
  mov dx, 0x80
  mov edi, scratch
  insb
%endmacro
  USERTRY "ins", body14
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_system:
  PRINTLN "-- LLDT LTR LGDT"
  SETDESC S0, ldt, 4 * 8 - 1, 0x82, 0
  SETDESC S1, ldt, 4 * 8 - 1, 0x02, 0
  SETDESC S2, tss, 0x67, 0x8b, 0
  SETDESC S3, tss, 0x67, 0x09, 0
  SETDESC S4, tss, 0x67, 0x81, 0
  mov eax, 0
  TRY "lldt null", lldt ax
  mov eax, S0
  TRY "lldt", lldt ax
  sldt eax
  SHOWLN "sldt", eax
  mov eax, S1
  TRY "lldt np", lldt ax
  mov eax, SEL_DATA
  TRY "lldt data", lldt ax
  mov eax, S0 | 4
  TRY "lldt ti", lldt ax
  mov eax, 0xfff8
  TRY "lldt beyond", lldt ax
  mov eax, 0
  TRY "ltr null", ltr ax
  mov eax, S2
  TRY "ltr busy", ltr ax
  mov eax, S3
  TRY "ltr np", ltr ax
  mov eax, S0
  TRY "ltr ldt", ltr ax
  mov eax, S4
  TRY "ltr 16", ltr ax
  SHOWLN "busy", [gdt + S4 + 4]
  mov dword [gdt + SEL_TSS + 4], 0x00008900
  mov eax, tss
  mov [gdt + SEL_TSS + 2], ax
  shr eax, 16
  mov [gdt + SEL_TSS + 4], al
  mov eax, SEL_TSS
  TRY "ltr", ltr ax
  str eax
  SHOWLN "str", eax
  mov eax, -1
  o16 str ax
  SHOWLN "str ax", eax
  ; LDT segments
  mov dword [ldt + 8], 0x0000ffff
  mov dword [ldt + 12], 0x00cf9300
  mov eax, S0
  lldt ax
  TRYSEG fs, 0xc
  TRYSEG fs, 4
  TRYSEG fs, 0x14
  TRYSEG fs, 0x24
  TRYSEG ss, 0xc
  TRYSEG ss, 0x24
  mov eax, 0
  lldt ax
  ; SGDT, SIDT store 6 bytes with either operand size
  mov dword [scratch], -1
  mov dword [scratch + 4], -1
  sgdt [scratch]
  SHOW "sgdt", [scratch]
  SHOWLN " ", [scratch + 4]
  mov dword [scratch + 4], -1
  o16 sidt [scratch]
  SHOW "sidt", [scratch]
  SHOWLN " ", [scratch + 4]
  ; LMSW cannot clear PE; SMSW forms
  mov eax, -1
  smsw eax
  SHOWLN "smsw", eax
  mov eax, 0
  lmsw ax
  mov eax, 8
  lmsw ax
  mov eax, cr0
  SHOWLN "cr0", eax
  clts
  TRY "lock nop", {db 0xf0, 0x90}
  TRY "lock mov", {db 0xf0, 0x89, 0x05, 0, 0, 0, 0}
  TRY "lock add reg", {db 0xf0, 0x01, 0xc0}
  TRY "lock add mem", lock add dword [scratch], 1
  TRY "lock cmp", {db 0xf0, 0x39, 0x05, 0, 0, 0, 0}
  TRY "lock bt", {db 0xf0, 0x0f, 0xba, 0x25, 0, 0, 0, 0, 1}
  TRY "lock bts", {lock bts dword [scratch], 1}
  TRY "lock test", {db 0xf0, 0x85, 0x05, 0, 0, 0, 0}
  TRY "lock xchg", {lock xchg [scratch], eax}
%macro body15 0
  times 14 db 0x66
  db 0x90
%endmacro
  TRY "15 bytes", body15
%macro body16 0
  times 15 db 0x66
  db 0x90
%endmacro
  TRY "16 bytes", body16
%macro body17 0
  times 9 db 0x3e
  db 0x81, 0xc0
  dd 1
%endmacro
  TRY "15 bytes imm", body17
%macro body18 0
  times 10 db 0x3e
  db 0x81, 0xc0
  dd 1
%endmacro
  TRY "16 bytes imm", body18
  TRY "ud0", {db 0x0f, 0xff, 0xc0}
  TRY "ud1", {db 0x0f, 0xb9, 0xc0}
  TRY "8f /1", {db 0x8f, 0xc8}
  TRY "fe /2", {db 0xfe, 0xd0}
  TRY "ff /7", {db 0xff, 0xf8}
  TRY "c6 /1", {db 0xc6, 0xc8, 0}
  TRY "f6 /1", {db 0xf6, 0xc8, 0xff}
  TRY "d0 /6", {db 0xd0, 0xf0}
  TRY "82 /0", {db 0x82, 0xc0, 0}
  TRY "lea reg", {db 0x8d, 0xc0}
  TRY "bound reg", {db 0x62, 0xc0}
  TRY "salc", {db 0xd6}
  TRY "0f 0a", {db 0x0f, 0x0a}
  TRY "0f 01 d0", {db 0x0f, 0x01, 0xd0}
  TRY "aam 0", aam 0
%macro body19 0
  xor ecx, ecx
  div ecx
%endmacro
  TRY "div 0", body19
%macro body20 0
  mov eax, 0x80000000
  cdq
  mov ecx, -1
  idiv ecx
%endmacro
  TRY "idiv min", body20
  mov dword [scratch], 10
  mov dword [scratch + 4], 20
  mov eax, 9
  TRY "bound below", bound eax, [scratch]
  mov eax, 10
  TRY "bound low", bound eax, [scratch]
  mov eax, 20
  TRY "bound high", bound eax, [scratch]
  mov eax, 21
  TRY "bound above", bound eax, [scratch]
  ret

[section .data]
  align 16
far_np: dd 0x1234
  dw S0
  align 4
far_null: dd 0x5678
  dw 0
  align 4
far_code: dd here_far
  dw SEL_CODE
  align 4
far_return_ptr: dd far_return
  dw SEL_CODE
  align 4
scratch: dd 0, 0, 0, 0
keep_esp: dd 0
ss_saved_esp: dd 0
user_eflags: dd 2
arg_words: times 8 dd 0
edge_offsets: dd 0, 0xff6, 0xff7, 0xff0, 0xff1, 0xff8, 0xff9, 0xffc, 0xffd, 0xffe, 0xfff, 0x1000, 0xffffffff, 0xfffffffc, 0x7fffffff
down_offsets: dd 0x1000, 0xfff, 0xffe, 0xffd, 0xffc, 0xff8, 0xff0, 0x1ff0, 0, 0xffffffff, 0xfffffffd, 0x7fffffff
down16_offsets: dd 0x1000, 0xfff, 0x1ff0, 0xfff0, 0xfff1, 0xfff8, 0xfffc, 0xfffd, 0xfffe, 0xffff, 0x10000, 0, 0x7fffffff
flat_offsets: dd 0, 0x7ffffff, 0xffffffff, 0xfffffffe, 0xfffffffd, 0xfffffff1, 0x7fffffff
  align 16
ldt: times 8 * 8 db 0
  align 4096
area: times 0x11000 db 0
stack_area: times 256 db 0
