; run: --bios IMAGE
; A 386 test as a ROM at the reset vector, in real mode: arithmetic with its flags as checksums over operand tables, shifts, BCD,
; multiplication and division, bit instructions, string instructions, stack frames, transfers, addressing, exceptions, unreal mode,
; and virtual-8086 mode (SDM vol 2; 3A chapters 20 and 9.9). POST codes go to port 80h, text to COM1.
bits 16
org 0

ROM_SEG  equ 0xf000
DATA_SEG equ 0x1000           ; 64 KiB of scratch
STACK_SEG equ 0x2000
DEFINED  equ 0x8d5            ; all status flags

%macro POST 1
  push ax
  mov al, %1
  out 0x80, al
  pop ax
%endmacro
%macro PRINT 1+
  push si
  call print_inline
  db %1, 0
  pop si
%endmacro
%macro PRINTLN 1+
  PRINT %1, 10
%endmacro
%macro SHOW 2
  PRINT %1, '='
  push dword %2
  call put_hex32
%endmacro
%macro SHOWLN 2
  SHOW %1, %2
  PRINT 10
%endmacro
; Adds a 32-bit value to the checksum in [ss:sum].
%macro SUM 1
  rol dword [ss:sum], 5
  add dword [ss:sum], %1
%endmacro
%macro SUMLN 1
  PRINT %1, ' '
  push dword [ss:sum]
  call put_hex32
  PRINT 10
  mov dword [ss:sum], 0
%endmacro
; Checksum of flags under a mask; EBX is lost.
%macro SUMFLAGS 1
  pushfd
  pop ebx
  and ebx, %1
  SUM ebx
%endmacro

; Stack segment variables (the stack itself grows from 0xff00 down).
sum equ 0x100
event_count equ 0x104
event_ip equ 0x108
event_cs equ 0x10a
event_flags equ 0x10c
event_vector equ 0x10e
resume_ip equ 0x110
resume_sp equ 0x112
keep equ 0x114
keep2 equ 0x118
return_ip equ 0x11c            ; of tests that move the stack pointer

start:
  cli
  mov ax, STACK_SEG
  mov ss, ax
  mov sp, 0xff00
  mov ax, DATA_SEG
  mov ds, ax
  mov es, ax
  call serial_init
  POST 0x01
  mov dword [ss:sum], 0
  call make_ivt
  call test_alu
  call test_shift
  call test_bcd
  call test_muldiv
  call test_bits
  call test_string
  call test_stack
  call test_transfer
  call test_address
  call test_exceptions
  call test_misc
  call test_unreal
  call test_v86
  POST 0xff
  PRINTLN "done"
  mov dx, 0x3fd
.drain:
  in al, dx
  test al, 0x40
  jz .drain
  mov al, 0
  out 0xf4, al
  mov si, shutdown_text
  mov dx, 0x8900
  mov cx, 8
.next:
  cs lodsb
  out dx, al
  loop .next
  cli
.halt:
  hlt
  jmp .halt

serial_init:
  mov dx, 0x3fb
  mov al, 0x83
  out dx, al
  mov dx, 0x3f8
  mov al, 1
  out dx, al
  inc dx
  mov al, 0
  out dx, al
  mov dx, 0x3fb
  mov al, 3
  out dx, al
  ret

putc:
  push dx
  push ax
  mov dx, 0x3fd
.wait:
  in al, dx
  test al, 0x20
  jz .wait
  pop ax
  mov dx, 0x3f8
  out dx, al
  pop dx
  ret

; Text follows the call.
print_inline:
  pushf
  push bp
  push ax
  mov bp, sp
  mov si, [bp + 6]
.next:
  mov al, [cs:si]
  inc si
  test al, al
  jz .end
  call putc
  jmp .next
.end:
  mov [bp + 6], si
  pop ax
  pop bp
  popf
  ret

put_hex32:
  pushf
  push eax
  push cx
  push bp
  mov bp, sp
  mov cx, 8
.digit:
  rol dword [bp + 12], 4
  mov al, [bp + 12]
  and al, 15
  cmp al, 10
  sbb al, 0x69
  das
  call putc
  loop .digit
  pop bp
  pop cx
  pop eax
  popf
  ret 4

; Every vector records its address and goes on at resume_ip. Entered by the near call of the vector's stub.
make_ivt:
  push es
  xor ax, ax
  mov es, ax
  xor di, di
  mov ax, stubs
  mov cx, 64
.next:
  stosw
  mov word [es:di], ROM_SEG
  add di, 2
  add ax, 3
  loop .next
  pop es
  ret
stubs:
%rep 64
  call event
%endrep
event:
  mov [ss:keep2], eax
  pop ax
  sub ax, stubs + 3
  push dx
  push bx
  xor dx, dx
  mov bx, 3
  div bx
  mov [ss:event_vector], ax
  pop bx
  pop dx
  inc dword [ss:event_count]
  pop word [ss:event_ip]
  pop word [ss:event_cs]
  pop word [ss:event_flags]
  mov ax, STACK_SEG
  mov ss, ax
  mov sp, [ss:resume_sp]
  push dword 2
  popfd
  mov eax, [ss:keep2]
  jmp [ss:resume_ip]

; TRY "name", instruction: says what it raises.
%macro TRY 2+
  mov word [ss:resume_ip], %%after
  mov [ss:resume_sp], sp
  mov word [ss:event_vector], -1
%%at:
  %2
%%after:
  PRINT %1, ': '
  push word %%at
  call report
%endmacro
report:
  pushf
  push eax
  push bp
  mov bp, sp
  movzx eax, word [ss:event_vector]
  cmp ax, -1
  jne .event
  PRINTLN "ok"
  jmp .end
.event:
  PRINT "vector "
  push eax
  call put_hex32
  movzx eax, word [ss:event_ip]
  sub ax, [bp + 10]
  cmp ax, 0x40
  jae .far
  SHOWLN " at", eax
  jmp .end
.far:
  movzx eax, word [ss:event_cs]
  SHOW " cs", eax
  movzx eax, word [ss:event_ip]
  SHOWLN " ip", eax
.end:
  pop bp
  pop eax
  popf
  ret 2

; ---------------------------------------------------------------------------------------------------------------------
; Runs the code at BP for all pairs (EAX, ECX) of the table, EDX a third value, with all status flags clear and set; sums EAX, EDX and the flags
; under the mask on the stack.
pair_mask equ 0x120
pair_i equ 0x124
pair_j equ 0x126
pair_flags equ 0x128
run_pairs:
  mov word [ss:pair_i], 0
.outer:
  mov word [ss:pair_j], 0
.inner:
  mov dword [ss:pair_flags], 2
.flags:
  mov si, [ss:pair_i]
  mov eax, [cs:values + si]
  mov si, [ss:pair_j]
  mov ecx, [cs:values + si]
  mov edx, eax
  xor edx, ecx
  rol edx, 7
  push dword [ss:pair_flags]
  popfd
  call bp
  pushfd
  SUM eax
  SUM edx
  pop ebx
  and ebx, [ss:pair_mask]
  SUM ebx
  xor dword [ss:pair_flags], DEFINED
  cmp dword [ss:pair_flags], 2
  jne .flags
  add word [ss:pair_j], 4
  cmp word [ss:pair_j], values_end - values
  jb .inner
  add word [ss:pair_i], 4
  cmp word [ss:pair_i], values_end - values
  jb .outer
  ret
; PAIRS name, mask, instruction
%macro PAIRS 3+
  jmp %%over
%%code:
  %3
  ret
%%over:
  mov dword [ss:pair_mask], %2
  mov bp, %%code
  call run_pairs
  SUMLN %1
%endmacro
%macro ALU 1
  PAIRS %str(%1 al cl), DEFINED, %1 al, cl
  PAIRS %str(%1 ah dl), DEFINED, %1 ah, dl
  PAIRS %str(%1 ax cx), DEFINED, %1 ax, cx
  PAIRS %str(%1 eax ecx), DEFINED, %1 eax, ecx
  PAIRS %str(%1 al imm), DEFINED, %1 al, 0x81
  PAIRS %str(%1 ax imm), DEFINED, %1 ax, 0x8123
  PAIRS %str(%1 eax imm), DEFINED, %1 eax, 0x81234567
  PAIRS %str(%1 dx simm), DEFINED, %1 dx, byte -3
  PAIRS %str(%1 edx simm), DEFINED, %1 edx, byte -3
%endmacro
%macro LOGIC 1
  PAIRS %str(%1 al cl), DEFINED & ~0x10, %1 al, cl
  PAIRS %str(%1 ax cx), DEFINED & ~0x10, %1 ax, cx
  PAIRS %str(%1 eax ecx), DEFINED & ~0x10, %1 eax, ecx
  PAIRS %str(%1 dx imm), DEFINED & ~0x10, %1 dx, 0x8123
%endmacro
test_alu:
  POST 0x02
  PRINTLN "-- arithmetic"
  ALU add
  ALU adc
  ALU sub
  ALU sbb
  ALU cmp
  LOGIC and
  LOGIC or
  LOGIC xor
  LOGIC test
  PAIRS "inc al", DEFINED, inc al
  PAIRS "inc ax", DEFINED, inc ax
  PAIRS "inc eax", DEFINED, inc eax
  PAIRS "dec dl", DEFINED, dec dl
  PAIRS "dec dx", DEFINED, dec dx
  PAIRS "dec edx", DEFINED, dec edx
  PAIRS "neg al", DEFINED, neg al
  PAIRS "neg ax", DEFINED, neg ax
  PAIRS "neg eax", DEFINED, neg eax
  PAIRS "not ax", DEFINED, not ax
  PAIRS "not eax", DEFINED, not eax
  PAIRS "xadd al dl", DEFINED, xadd al, dl
  PAIRS "xadd eax edx", DEFINED, xadd eax, edx
  PAIRS "cmpxchg cx dx", DEFINED, cmpxchg cx, dx
  PAIRS "cmpxchg edx ecx", DEFINED, cmpxchg edx, ecx
  PAIRS "cbw", DEFINED, cbw
  PAIRS "cwde", DEFINED, cwde
  PAIRS "cwd", DEFINED, cwd
  PAIRS "cdq", DEFINED, cdq
  PAIRS "lahf", DEFINED, lahf
  PAIRS "sahf", DEFINED, sahf
  PAIRS "cmc", DEFINED, cmc
  PAIRS "movsx ax", DEFINED, movsx ax, cl
  PAIRS "movsx eax", DEFINED, movsx eax, cx
  PAIRS "movzx eax", DEFINED, movzx eax, cl
  PAIRS "bswap", DEFINED, bswap eax
  PAIRS "xchg", DEFINED, xchg ax, dx
  PAIRS "lea", DEFINED, lea eax, [ecx + edx * 4 + 0x12345]
  PAIRS "lea 16", DEFINED, {a32 lea ax, [ecx + edx * 8 - 1]}
  PAIRS "lea a16", DEFINED, {lea eax, [bp + si + 0x1234]}
  ret

; ---------------------------------------------------------------------------------------------------------------------
; Shifts by CL over the counts 0-33; flags: OF only for a count of 1, AF never.
%macro SHIFTS 1
  SHIFTONE %str(%1 al), {%1 al, cl}, 8
  SHIFTONE %str(%1 ax), {%1 ax, cl}, 16
  SHIFTONE %str(%1 eax), {%1 eax, cl}, 32
  PAIRS %str(%1 dx 1), DEFINED & ~0x10, %1 dx, 1
  PAIRS %str(%1 edx 1), DEFINED & ~0x10, %1 edx, 1
  PAIRS %str(%1 dl 1), DEFINED & ~0x10, %1 dl, 1
  PAIRS %str(%1 dx 5), DEFINED & ~0x810, %1 dx, 5
  PAIRS %str(%1 edx 31), DEFINED & ~0x810, %1 edx, 31
%endmacro
shift_mask equ 0x130
%macro SHIFTONE 3
  jmp %%over
%%code:
  %2
  ret
%%over:
  mov bp, %%code
  mov word [ss:shift_mask], %3
  call run_shifts
  SUMLN %1
%endmacro
run_shifts:
  mov word [ss:pair_i], 0
.value:
  mov word [ss:pair_j], 0
.count:
  mov dword [ss:pair_flags], 2
.flags:
  mov si, [ss:pair_i]
  mov eax, [cs:values + si]
  mov cx, [ss:pair_j]
  mov edx, eax
  rol edx, 13
  xor edx, 0x5a5a1234
  push dword [ss:pair_flags]
  popfd
  call bp
  pushfd
  SUM eax
  pop ebx
  ; What is defined depends on the count modulo 32: 0 changes nothing; from the operand's width on CF is not.
  mov cx, [ss:pair_j]
  and cx, 31
  jz .all
  and ebx, DEFINED & ~0x10
  cmp cx, 1
  je .carry
  and ebx, ~0x800
.carry:
  cmp cx, [ss:shift_mask]
  jb .all
  and ebx, ~1
.all:
  SUM ebx
  xor dword [ss:pair_flags], DEFINED
  cmp dword [ss:pair_flags], 2
  jne .flags
  inc word [ss:pair_j]
  cmp word [ss:pair_j], 34
  jb .count
  add word [ss:pair_i], 4
  cmp word [ss:pair_i], values_end - values
  jb .value
  ret
test_shift:
  POST 0x03
  PRINTLN "-- shifts"
  SHIFTS rol
  SHIFTS ror
  SHIFTS rcl
  SHIFTS rcr
  SHIFTS shl
  SHIFTS shr
  SHIFTS sar
  SHIFTONE "shld eax", {shld eax, edx, cl}, 32
  SHIFTONE "shrd eax", {shrd eax, edx, cl}, 32
  PAIRS "shld ax 1", DEFINED & ~0x10, shld ax, dx, 1
  PAIRS "shrd ax 1", DEFINED & ~0x10, shrd ax, dx, 1
  PAIRS "shld ax 9", DEFINED & ~0x810, shld ax, dx, 9
  PAIRS "shrd ax 15", DEFINED & ~0x810, shrd ax, dx, 15
  ret

; ---------------------------------------------------------------------------------------------------------------------
; BCD over all AL and the flags.
%macro BCD 3+
  jmp %%over
%%code:
  %3
  ret
%%over:
  mov bp, %%code
  mov dword [ss:pair_mask], %2
  call run_bcd
  SUMLN %1
%endmacro
run_bcd:
  mov word [ss:pair_i], 0
.value:
  mov dword [ss:pair_flags], 2
.flags:
  mov eax, 0x12340900
  mov al, [ss:pair_i]
  mov ecx, 0
  push dword [ss:pair_flags]
  popfd
  call bp
  pushfd
  SUM eax
  pop ebx
  and ebx, [ss:pair_mask]
  SUM ebx
  ; The four combinations of CF and AF.
  add dword [ss:pair_flags], 1
  cmp dword [ss:pair_flags], 3
  je .flags
  cmp dword [ss:pair_flags], 0x14
  je .next
  mov dword [ss:pair_flags], 0x12
  cmp byte [ss:keep], 0
  mov byte [ss:keep], 1
  je .flags
  mov dword [ss:pair_flags], 0x13
  cmp byte [ss:keep + 1], 0
  mov byte [ss:keep + 1], 1
  je .flags
.next:
  mov word [ss:keep], 0
  inc word [ss:pair_i]
  cmp word [ss:pair_i], 256
  jb .value
  ret
test_bcd:
  POST 0x04
  PRINTLN "-- decimal"
  mov word [ss:keep], 0
  BCD "daa", DEFINED & ~0x800, daa
  BCD "das", DEFINED & ~0x800, das
  BCD "aaa", 0x11, aaa
  BCD "aas", 0x11, aas
  BCD "aam", 0xc4, aam
  BCD "aam 16", 0xc4, aam 16
  BCD "aad", 0xc4, aad
  BCD "aad 7", 0xc4, aad 7
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_muldiv:
  POST 0x05
  PRINTLN "-- multiplication and division"
  PAIRS "mul cl", 0x801, mul cl
  PAIRS "mul cx", 0x801, mul cx
  PAIRS "mul ecx", 0x801, mul ecx
  PAIRS "imul cl", 0x801, imul cl
  PAIRS "imul cx", 0x801, imul cx
  PAIRS "imul ecx", 0x801, imul ecx
  PAIRS "imul ax cx", 0x801, imul ax, cx
  PAIRS "imul eax ecx", 0x801, imul eax, ecx
  PAIRS "imul ax cx imm", 0x801, imul ax, cx, 0x1234
  PAIRS "imul eax ecx imm", 0x801, imul eax, ecx, -77777
  PAIRS "imul ax cx simm", 0x801, imul ax, cx, byte -7
  PAIRS "imul edx ecx simm", 0x801, imul edx, ecx, byte 100
  ; Divisions that overflow raise #DE: the event leaves EAX as it was.
  %macro DIVISION 2+
    jmp %%over
  %%code:
    mov word [ss:resume_ip], %%fault
    mov [ss:resume_sp], sp
    mov ebx, edx
    and edx, 0xff
    %2
    ret
  %%fault:
    rol eax, 3
    ret
  %%over:
    mov bp, %%code
    mov dword [ss:pair_mask], 0
    mov dword [ss:event_count], 0
    call run_pairs
    PRINT %1, ' faults'
    push dword [ss:event_count]
    call put_hex32
    SUMLN " sum"
  %endmacro
  DIVISION "div cl", div cl
  DIVISION "div cx", div cx
  DIVISION "div ecx", div ecx
  DIVISION "idiv cl", idiv cl
  DIVISION "idiv cx", idiv cx
  DIVISION "idiv ecx", idiv ecx
  DIVISION "idiv ch", idiv ch
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_bits:
  POST 0x06
  PRINTLN "-- bits"
  PAIRS "bt", 1, bt eax, ecx
  PAIRS "bts", 1, bts eax, ecx
  PAIRS "btr", 1, btr ax, cx
  PAIRS "btc", 1, btc eax, ecx
  PAIRS "bt imm", 1, bt eax, 37
  PAIRS "btc imm", 1, btc ax, 21
  PAIRS "bsf", 0x40, bsf eax, ecx
  PAIRS "bsr", 0x40, bsr eax, ecx
  PAIRS "bsf 16", 0x40, bsf dx, cx
  PAIRS "bsr 16", 0x40, bsr dx, cx
  ; Bit offsets reach beyond the operand in memory, in both directions.
  mov di, 0x8000
  mov cx, 64
  xor eax, eax
  mov di, 0x7f80
  rep stosd
  mov ecx, -37
.bit:
  bts [0x8000], ecx
  SUMFLAGS 1
  btc dword [0x8000], ecx
  SUMFLAGS 1
  bts [0x8000], cx
  SUMFLAGS 1
  add ecx, 13
  cmp ecx, 200
  jl .bit
  call sum_area
  SUMLN "bt memory"
  ; SETcc and Jcc over all flag combinations
  mov cx, 0
.flags:
  mov ax, cx
  and ax, 0x8d5
  or ax, 2
  push ax
  popf
  %macro COND 1
    set%1 al
    pushf
    movzx eax, al
    SUM eax
    popf
    mov eax, 5
    j%1 %%taken
    mov eax, 9
    %%taken:
    pushf
    SUM eax
    popf
  %endmacro
  COND o
  COND no
  COND b
  COND nb
  COND z
  COND nz
  COND be
  COND a
  COND s
  COND ns
  COND p
  COND np
  COND l
  COND ge
  COND le
  COND g
  inc cx
  cmp cx, 0x900
  jb .flags
  SUMLN "conditions"
  ; LOOP and JCXZ by address size
  mov ecx, 0x10003
  xor eax, eax
.loop16:
  inc eax
  loop .loop16
  SHOW "loop", eax
  SHOWLN " ecx", ecx
  mov ecx, 0x10003
  xor eax, eax
.loop32:
  inc eax
  a32 loop .loop32
  SHOW "loop a32", eax
  SHOWLN " ecx", ecx
  mov ecx, 0x10000
  xor eax, eax
  jcxz .zero16
  inc eax
.zero16:
  jecxz .zero32
  add eax, 2
.zero32:
  SHOWLN "jcxz", eax
  mov cx, 5
  xor ax, ax
.loopne:
  inc ax
  cmp ax, 3
  loopne .loopne
  SHOWLN "loopne", ecx
  mov cx, 5
  xor ax, ax
.loope:
  inc ax
  cmp ax, ax
  loope .loope
  SHOWLN "loope", ecx
  ret

; Sums 256 bytes at DS:7F80h.
sum_area:
  push si
  push cx
  push eax
  mov si, 0x7f80
  mov cx, 64
  pushf
  cld
.next:
  lodsd
  SUM eax
  loop .next
  popf
  pop eax
  pop cx
  pop si
  ret
; Fills 256 bytes at DS:7F80h with a pattern.
fill_area:
  pushad
  pushf
  cld
  push ds
  pop es
  mov di, 0x7f80
  mov cx, 64
  mov eax, 0x12345678
.next:
  stosd
  imul eax, eax, 0x19660d
  add eax, 0x3c6ef35f
  loop .next
  popf
  popad
  ret

; ---------------------------------------------------------------------------------------------------------------------
%macro STRING 2+
  call fill_area
  mov esi, 0x7fa0
  mov edi, 0x7fc1
  mov ecx, 9
  mov eax, 0x9abcdef0
  %2
  pushfd
  pop ebx
  and ebx, DEFINED
  SUM ebx
  SUM eax
  SUM ecx
  SUM esi
  SUM edi
  cld
  call sum_area
  SUMLN %1
%endmacro
%macro STRINGS 1
  STRING %str(%1 b), %1b
  STRING %str(%1 w), %1w
  STRING %str(%1 d), %1d
  std
  STRING %str(%1 b std), %1b
  std
  STRING %str(%1 d std), %1d
%endmacro
%macro REPEATED 2
  STRING %str(%1 %2 b), %1 %2b
  STRING %str(%1 %2 w), %1 %2w
  STRING %str(%1 %2 d), %1 %2d
  std
  STRING %str(%1 %2 b std), %1 %2b
  std
  STRING %str(%1 %2 w std), %1 %2w
  std
  STRING %str(%1 %2 d std), %1 %2d
  STRING %str(%1 a32 %2 w), a32 %1 %2w
%endmacro
test_string:
  POST 0x07
  PRINTLN "-- strings"
  STRINGS movs
  STRINGS stos
  STRINGS lods
  STRINGS scas
  STRINGS cmps
  REPEATED rep, movs
  REPEATED rep, stos
  REPEATED rep, lods
  REPEATED repe, cmps
  REPEATED repne, cmps
  REPEATED repe, scas
  REPEATED repne, scas
  ; Found and not found
  call fill_area
  mov di, 0x7f80
  mov al, [0x7fb3]
  mov cx, 0x100
  repne scasb
  SHOW "found cx", ecx
  SHOWLN " di", edi
  mov cx, 0
  cmp al, al
  repne scasb
  SUMFLAGS DEFINED
  SUMLN "no iteration"
  ; Segment overrides
  push cs
  pop es
  mov di, 0x7fc0
  push ds
  pop es
%macro body1 0
  mov si, values
  mov cx, 20
  rep cs movsb
%endmacro
  STRING "movs cs", body1
%macro body2 0
  mov si, resume_ip
  ss lodsw
%endmacro
  STRING "lods ss", body2
%macro body3 0
  mov si, values
  repe cs cmpsb
%endmacro
  STRING "cmps cs", body3
%macro body4 0
  mov bx, 0x7f80
  mov al, 0x21
  xlatb
%endmacro
  STRING "xlat", body4
%macro body5 0
  mov ebx, 0xffff0000 + values
  mov al, 0x12
  cs xlatb
%endmacro
  STRING "xlat cs", body5
  ; SI wraps at 64 KiB

  mov word [0xfffe], 0x1122
  mov word [0], 0x3344
  mov esi, 0x5fffe
  mov ecx, 0xa0002
  rep lodsw
  SHOW "wrap eax", eax
  SHOW " esi", esi
  SHOWLN " ecx", ecx
  mov esi, 0xfffc
  mov edi, 0x1000
%macro body6 0
  mov si, 0xfffd
  movsd
%endmacro
  TRY "movsd at FFFDh", body6
  mov si, 0xfffe
  mov cx, 3
  TRY "rep movsd into the limit", rep movsd
  SHOW "ecx", ecx
  SHOWLN " esi", esi
  mov word [ss:0x200], 0x77
  ; INS, OUTS
  mov dx, 0x80
  mov si, 0x7f80
  mov cx, 3
  rep outsb
  SHOW "outs cx", ecx
  SHOWLN " si", esi
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_stack:
  pop word [ss:return_ip]
  POST 0x08
  PRINTLN "-- stack"
  mov [ss:keep], sp
  mov eax, 0x11111111
  mov ecx, 0x22222222
  mov edx, 0x33333333
  mov ebx, 0x44444444
  mov ebp, 0x55555555
  mov esi, 0x66666666
  mov edi, 0x77777777
  pusha
  mov bp, sp
  %assign n 0
  %rep 8
    movzx eax, word [bp + n]
    SUM eax
    %assign n n + 2
  %endrep
  mov word [bp + 6], 0x1234
  popa
  SUM eax
  SUM esp
  SUM edi
  SUMLN "pusha"
  mov eax, 0x11111111
  mov esp, 0xff00
  pushad
  mov bp, sp
  %assign n 0
  %rep 8
    mov eax, [ss:word_at + n]
    SUM eax
    %assign n n + 4
  %endrep
  popad
  SUM eax
  SUM esp
  SUM ebp
  SUMLN "pushad"
  mov sp, 0xff00
  push sp
  pop ax
  movzx eax, ax
  SHOW "push sp", eax
  push esp
  pop eax
  SHOW " push esp", eax
  mov sp, 0x8000
  push word 0x7000
  pop sp
  SHOW " pop sp", esp
  mov sp, 0xff00
  mov ax, sp
  push ax
  push word [ss:0x100]
  pop word [ss:0x180]
  mov bp, sp
  mov word [bp - 2], 0
  mov sp, 0xff00
  push dword 0x12345678
  mov bp, sp
  pop dword [bp - 4]
  mov eax, [bp - 4]
  SHOWLN " pop mem", eax
  push byte -5
  pop ax
  push dword -5
  pop ecx
  movzx eax, ax
  SHOW "push imm8", eax
  SHOWLN " dword", ecx
  mov ax, DATA_SEG
  mov ds, ax
  push ds
  pop ax
  push dword 0xffffffff
  pop eax
  o32 push ds
  pop eax
  SHOWLN "push ds 32", eax
  ; ENTER and LEAVE with nesting
  mov ebp, 0x1fe00
  mov word [ss:0xfdfe], 0xa1a1
  mov word [ss:0xfdfc], 0xb2b2
  mov word [ss:0xfdfa], 0xc3c3
  mov esp, 0xff00
  enter 0x10, 0
  SHOW "enter 0 bp", ebp
  SHOW " sp", esp
  leave
  SHOW " leave bp", ebp
  SHOWLN " sp", esp
  enter 0x10, 1
  SHOW "enter 1 bp", ebp
  SHOWLN " sp", esp
  leave
  mov ebp, 0x1fe00
  enter 0x20, 4
  SHOW "enter 4 bp", ebp
  SHOW " sp", esp
  push dword [ss:0xfefc]
  pop eax
  SHOW " ", eax
  push dword [ss:0xfef8]
  pop eax
  SHOW " ", eax
  push dword [ss:0xfef4]
  pop eax
  SHOWLN " ", eax
  mov sp, 0xff00
  mov ebp, 0xfe00
  enter 0x20, 33
  SHOW "enter 33 bp", ebp
  SHOWLN " sp", esp
  mov esp, 0xff00
  mov ebp, 0xfe00
  o32 enter 0x20, 3
  SHOW "enter 32 bp", ebp
  SHOW " sp", esp
  o32 leave
  SHOW " bp", ebp
  SHOWLN " sp", esp
  ; Flags images
  mov sp, 0xff00
  push word 0xffff & ~0x0100
  popf
  pushf
  pop ax
  movzx eax, ax
  SHOW "popf", eax
  push dword 2
  popfd
  pushfd
  pop eax
  SHOW " popfd", eax
  push dword 0x00240002
  popfd
  pushfd
  pop eax
  SHOW " AC ID", eax
  push word 2
  popf
  pushfd
  pop eax
  SHOWLN " kept", eax
  push dword 2
  popfd
  std
  sti
  stc
  pushf
  pop ax
  movzx eax, ax
  SHOWLN "std sti stc", eax
  cld
  cli
  ; SP wraps around 0 by words, but a straddling access faults.
  mov ax, STACK_SEG
  mov sp, 0
  push ax
  SHOWLN "push at 0", esp
  mov sp, 0xff00
%macro body7 0
  mov sp, 2
  push eax
%endmacro
  TRY "push dword at 2", body7
  mov sp, 0xff00
  jmp [ss:return_ip]


word_at equ 0xff00 - 32

; ---------------------------------------------------------------------------------------------------------------------
test_transfer:
  pop word [ss:return_ip]
  POST 0x09
  PRINTLN "-- transfers"
  mov sp, 0xfe00
  mov [ss:keep], sp
  call near_proc
  SHOWLN "near", eax
  mov ax, near_proc
  call ax
  mov word [0x100], near_proc
  mov word [0x102], ROM_SEG
  call [0x100]
  SHOWLN "near mem", eax
  call ROM_SEG:far_proc
  SHOWLN "far", eax
  mov word [0x100], far_proc
  call far [0x100]
  mov dword [0x104], far_proc32
  mov word [0x108], ROM_SEG
  call far dword [0x104]
  SHOWLN "sp", esp
  push word 1
  push word 2
  push word 3
  call ret_n
  SHOWLN "ret 6", esp
  push word 1
  push word 2
  call ROM_SEG:retf_n
  SHOWLN "retf 4", esp
  call dword ROM_SEG:far_proc32
  SHOWLN "far 32", esp
  call dword near_proc32
  SHOWLN "near 32", esp
  pushf
  push cs
  push word .iret_here
  iret
.iret_here:
  SHOWLN "iret", esp
  pushfd
  push dword ROM_SEG
  push dword .iretd_here
  iretd
.iretd_here:
  SHOWLN "iretd", esp
  TRY "int 20h", int 0x20
  TRY "int3", int3
  TRY "into off", into
  mov al, 0x7f
%macro body8 0
  inc al
  into
%endmacro
  TRY "into", body8
  ; INT clears IF and TF, and pushes them.
  mov word [ss:resume_ip], .int_after
  mov [ss:resume_sp], sp
  sti
  int 0x21
.int_after:
  movzx eax, word [ss:event_flags]
  pushf
  pop cx
  movzx ecx, cx
  SHOW "int flags", eax
  SHOWLN " now", ecx
  ; 16-bit code whose jump target has upper bits: limit 64 KiB.
  TRY "jmp dword beyond", jmp dword 0x10000 + near_proc
  TRY "call dword beyond", call dword 0x12345678
%macro body9 0
  push dword 0x10000
  o32 ret
%endmacro
  TRY "ret dword beyond", body9
%macro body10 0
  push dword ROM_SEG
  push dword 0x10000
  o32 retf
%endmacro
  TRY "retf dword beyond", body10
%macro body11 0
  db 0x66, 0xea
  dd 0x10000
  dw ROM_SEG
%endmacro
  TRY "jmp far dword beyond", body11
%macro body12 0
  pushfd
  push dword ROM_SEG
  push dword 0x10000
  iretd
%endmacro
  TRY "iretd beyond", body12
  ; Execution off the end of the segment: copied to RAM at the very end of the data segment.
  mov byte [0xfffe], 0x90
  mov byte [0xffff], 0x90
  TRY "ip runs into the limit", jmp DATA_SEG:0xfffe
  mov byte [0xffff], 0xb8
  TRY "instruction over the limit", jmp DATA_SEG:0xffff
  mov word [0xfffe], 0x10eb             ; JMP +10h wraps to 10h with a 16-bit operand
  mov byte [0x10], 0xf4
  mov word [0x10], 0x0b0f
  TRY "jmp short wraps", jmp DATA_SEG:0xfffe
  mov sp, 0xff00
  jmp [ss:return_ip]
near_proc:
  mov eax, 0x1111
  ret
far_proc:
  mov eax, 0x2222
  retf
far_proc32:
  o32 retf
near_proc32:
  o32 ret
ret_n:
  ret 6
retf_n:
  retf 4

; ---------------------------------------------------------------------------------------------------------------------
%macro EA 1
  lea eax, [%1]
  SUM eax
  mov eax, [%1]
  SUM eax
%endmacro
test_address:
  POST 0x0a
  PRINTLN "-- addressing"
  ; A pattern in the data segment and one in the stack segment
  push es
  push ds
  pop es
  xor di, di
  mov cx, 0x3f00
  mov eax, 0x01020304
.fill:
  stosd
  add eax, 0x04050607
  loop .fill
  pop es
  mov eax, 0xffff0010
  mov ecx, 0x00000123
  mov edx, 0x00000042
  mov ebx, 0x12341020
  mov ebp, 0x56783040
  mov esi, 0x9abc0506
  mov edi, 0xdef00708
  EA bx + si
  EA bx + di
  EA si
  EA di
  EA bx
  EA bx + si + 0x7f
  EA bx + di - 0x80
  EA si + 0x1234
  EA di - 0x300
  EA 0x1234
  EA bx + 0x4321
  EA bx + si + 0xfff0 - 0x1000
  SUMLN "16 bit"
  lea eax, [bp + si]
  SUM eax
  lea eax, [bp + di + 5]
  SUM eax
  lea eax, [bp]
  SUM eax
  lea ax, [bp - 0x3041]
  SUM eax
  mov eax, [ds:bp + si]
  SUM eax
  mov eax, [ds:bp + 2]
  SUM eax
  SUMLN "bp"
  mov ebx, 0x1020
  mov ebp, 0x3040
  mov esi, 0x506
  mov edi, 0x708
  EA ecx
  EA edx + 4
  EA ebx + 0x1234
  EA esi + edi * 2
  EA edi + edx * 4 - 8
  EA ecx + ebx * 8 + 0x33
  EA nosplit ecx * 8
  EA nosplit ebx * 4 + 0x123
  EA 0x4567
  lea eax, [esp + 4]
  SUM eax
  lea eax, [esp + ecx * 2]
  SUM eax
  lea eax, [ebp + edx]
  SUM eax
  lea eax, [edx + ebp * 2]
  SUM eax
  mov eax, [ds:ebp + edx]
  SUM eax
  mov eax, [edx + ebp * 2]
  SUM eax
  SUMLN "32 bit"
  mov [ss:0x400], eax
  mov ebp, 0x400
  xor eax, eax
  mov eax, [ebp]
  SUM eax
  mov eax, [ebp + edx - 0x42]
  SUM eax
  mov eax, [esp]
  SUMLN "stack segment"
  mov word [0x150], 0x6789
  mov word [0x152], 0x3000
  les bx, [0x150]
  mov ax, es
  movzx eax, ax
  SHOW "les", eax
  SHOWLN " bx", ebx
  lfs ebx, [0x14e]
  mov ax, fs
  movzx eax, ax
  SHOW "lfs", eax
  SHOWLN " ebx", ebx
  mov ax, DATA_SEG
  mov es, ax
  mov ax, 0x8e00
  mov ds, ax
  mov ax, DATA_SEG
  mov ds, ax
  mov eax, -1
  mov eax, ds
  SHOWLN "mov eax, ds", eax
  mov bl, 0x11
  mov al, [0x150]
  mov [0x160], al
  mov ax, [0x151]
  mov [0x161], ax
  mov eax, [0x150]
  mov [0x163], eax
  SHOW "moffs", [0x160]
  SHOWLN " ", [0x164]
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_exceptions:
  POST 0x0b
  PRINTLN "-- exceptions"
  TRY "word at FFFFh", mov ax, [0xffff]
  TRY "dword at FFFDh", mov eax, [0xfffd]
  TRY "dword at FFFCh", mov eax, [0xfffc]
  TRY "byte at FFFFh", mov al, [0xffff]
  TRY "store", mov [0xffff], ax
  mov bp, 0xffff
  TRY "stack word at FFFFh", mov ax, [bp]
  mov ebx, 0x10000
  TRY "32-bit offset", mov al, [ebx]
  mov ebx, 0xffff0000
  TRY "32-bit offset high", mov al, [ebx]
  TRY "jmp ebx", jmp ebx
%macro body13 0
  xor cx, cx
  div cx
%endmacro
  TRY "div 0", body13
  TRY "aam 0", aam 0
  mov word [0x100], 5
  mov word [0x102], 10
  mov ax, 4
  TRY "bound below", bound ax, [0x100]
  mov ax, 10
  TRY "bound", bound ax, [0x100]
  mov ax, 11
  TRY "bound above", bound ax, [0x100]
  TRY "ud2", ud2
  TRY "lock nop", {db 0xf0, 0x90}
  TRY "lock inc reg", {db 0xf0, 0x40}
  TRY "arpl", arpl ax, cx
  TRY "lar", lar ax, cx
  TRY "lsl", lsl ax, cx
  TRY "verr", verr ax
  TRY "verw", verw ax
  TRY "sldt", sldt ax
  TRY "str", str ax
  TRY "lldt", lldt ax
  TRY "ltr", ltr ax
  TRY "mov cs", {db 0x8e, 0xc8}
%macro body14 0
  times 15 db 0x26
  db 0x90
%endmacro
  TRY "16 bytes", body14
%macro body15 0
  times 14 db 0x26
  db 0x90
%endmacro
  TRY "15 bytes", body15
  TRY "mov cr1", {db 0x0f, 0x20, 0xc8}
  TRY "les reg", {db 0xc4, 0xc0}
  TRY "jmp far reg", {db 0xff, 0xe8}
  TRY "int1", {db 0xf1}
  mov eax, cr0
  or al, 8
  mov cr0, eax
  TRY "fpu ts", fnop
  TRY "wait ts only", wait
  or al, 0xa
  mov cr0, eax
  TRY "wait ts mp", wait
  and al, 0xf1
  or al, 4
  mov cr0, eax
  TRY "fpu em", fnop
  TRY "wait em", wait
  and al, 0xf1
  mov cr0, eax
  ; The IVT is limited by IDTR.
  lidt [cs:short_idt]
  TRY "int 5 in the table", int 5
  ; INT 20h is beyond: #GP is not (13 needs 13 * 4 + 3).
  TRY "int 20h beyond", int 0x20
  lidt [cs:full_idt]
  ; Trap flag
  mov word [ss:resume_ip], .trapped
  mov [ss:resume_sp], sp
  push word 0x102
  popf
.traced:
  nop
.not_reached:
  nop
.trapped:
  movzx eax, word [ss:event_vector]
  SHOW "tf vector", eax
  movzx eax, word [ss:event_ip]
  sub eax, .traced
  SHOW " at", eax
  movzx eax, word [ss:event_flags]
  SHOWLN " flags", eax
  ret
short_idt:
  dw 13 * 4 + 3
  dd 0
full_idt:
  dw 0x3ff
  dd 0

; ---------------------------------------------------------------------------------------------------------------------
test_misc:
  POST 0x0c
  PRINTLN "-- system"
  mov dword [0x100], -1
  mov dword [0x104], -1
  sidt [0x100]
  SHOW "sidt", [0x100]
  SHOWLN " ", [0x104]
  mov dword [0x100], 0x56781234
  mov dword [0x104], 0xffff9abc
  lgdt [0x100]
  sgdt [0x110]
  mov eax, [0x112]
  SHOW "lgdt 16", eax
  o32 lgdt [0x100]
  sgdt [0x110]
  SHOWLN " 32", [0x112]
  xor eax, eax
  smsw ax
  SHOW "smsw", eax
  mov eax, 0xffffffff
  mov cr2, eax
  mov ecx, cr2
  SHOWLN " cr2", ecx
  mov eax, 0x12345678
  mov cr3, eax
  mov ecx, cr3
  SHOW "cr3", ecx
  xor eax, eax
  mov cr3, eax
  mov eax, 0x12340400
  mov dr7, eax
  mov ecx, dr7
  SHOW " dr7", ecx
  mov eax, 0x400
  mov dr7, eax
  mov eax, 0xabcdef01
  mov dr3, eax
  mov ecx, dr3
  SHOW " dr3", ecx
  mov eax, 0
  mov dr6, eax
  mov ecx, dr6
  SHOWLN " dr6", ecx
  TRY "mov dr4", mov eax, dr4
  ret

; ---------------------------------------------------------------------------------------------------------------------
test_unreal:
  POST 0x0d
  PRINTLN "-- unreal mode"
  lgdt [cs:rom_gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  ; Still the real-mode CS; loads now take descriptors.
  mov bx, 8
  mov gs, bx
  mov bx, 0x10
  mov fs, bx
  and al, 0xfe
  mov cr0, eax
  mov ebx, 0x110000
  mov dword [gs:ebx], 0x600dcafe
  mov eax, [gs:ebx]
  SHOWLN "gs beyond 1 MiB", eax
  ; A real-mode load changes selector and base, not the limit.
  mov ax, DATA_SEG
  mov gs, ax
  mov ebx, 0x110000 - DATA_SEG * 16
  mov eax, [gs:ebx]
  SHOWLN "reloaded", eax
  TRY "fs limit 0FFFh inside", mov eax, [fs:0xffc]
  TRY "fs beyond", mov eax, [fs:0xffd]
  mov ax, 0x1000
  mov fs, ax
  TRY "fs beyond after load", mov eax, [fs:0xffd]
  ; A16 and address 0-1 MiB wrap with A20: FFFF:0010 is the byte at 100000h.
  mov byte [gs:ebx], 0x5a
  mov ax, 0xffff
  mov es, ax
  mov ecx, 0x100000 - DATA_SEG * 16
  mov dword [gs:ecx], 0xfeedface
  mov eax, [es:0x10]
  SHOWLN "FFFF:0010", eax
  ; Back to 64 KiB
  mov eax, cr0
  or al, 1
  mov cr0, eax
  mov bx, 0x18
  mov fs, bx
  mov gs, bx
  and al, 0xfe
  mov cr0, eax
  mov ax, DATA_SEG
  mov fs, ax
  mov gs, ax
  mov es, ax
  ret

  align 8
rom_gdt:
  dq 0
  dw 0xffff, 0, 0x9300, 0x00cf        ; 08h flat data
  dw 0x0fff, 0, 0x9301, 0             ; 10h data at 10000h, limit FFFh
  dw 0xffff, 0, 0x9300, 0             ; 18h real-mode data
  dw 0xffff, 0, 0x9b0f, 0x004f & 0x40 ; 20h 32-bit code at F0000h
  dw 0xffff, 0, 0x9b0f, 0             ; 28h 16-bit code at F0000h
  dw 0xffff, 0, 0x9302, 0             ; 30h 16-bit stack at 20000h
rom_gdtr:
  dw $ - rom_gdt - 1
  dd 0xf0000 + rom_gdt

%include "rom386-v86.inc"

; ---------------------------------------------------------------------------------------------------------------------
shutdown_text: db 'Shutdown'
  align 4
values:
  dd 0, 1, 2, 0x0f, 0x10, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff
  dd 0x12345678, 0x9abcdef0, 0x55aa55aa, 0xfffffff0, 0xdeadbeef, 0x00ff8001
values_end:

  times 0xfff0 - ($ - $$) db 0xff
  jmp ROM_SEG:start
  times 0x10000 - ($ - $$) db 0
