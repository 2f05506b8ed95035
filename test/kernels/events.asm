; Events in 32-bit protected mode: nested exceptions and double faults, error codes with EXT, NMIs and their blocking, interrupts through
; the two 8259s, x87 errors by #MF and by IRQ 13, SIMD exceptions, SYSENTER and SYSEXIT, protected-mode virtual interrupts.
%include "common32.inc"

LAPIC equ 0xfee00000

main:
  mov edi, 0xfee00000
  call test_double
  call test_ext
  call test_nmi
  call test_pic
  call test_fpu
  call test_sysenter
  call test_pvi
  ret

; Makes the gate of vector %1 absent or present again.
%macro ABSENT 1
  and byte [idt + (%1) * 8 + 5], 0x7f
%endmacro
%macro PRESENT 1
  or byte [idt + (%1) * 8 + 5], 0x80
%endmacro

test_double:
  PRINTLN "-- nested exceptions (their gate is absent)"
  %macro NESTED 3+
    ABSENT %2
    TRY %1, %3
    PRESENT %2
  %endmacro
  NESTED "#DE", 0, {aam 0}
  NESTED "#BP", 3, int3
  NESTED "int 3", 3, {db 0xcd, 3}
  NESTED "int 80h", 0x80, int 0x80
  NESTED "#BR", 5, {bound eax, [bounds]}
  NESTED "#UD", 6, ud2
  NESTED "int1", 1, {db 0xf1}
  mov eax, 0xfff8
  NESTED "#GP", 13, mov ds, ax
  SETDESC SEL_FREE, 0, 0xfffff, 0x13, 0xc
  mov eax, SEL_FREE
  NESTED "#NP", 11, mov ds, ax
  NESTED "#SS", 12, mov ss, ax
  mov eax, cr0
  or eax, 8
  mov cr0, eax
  NESTED "#NM", 7, fnop
  clts
  mov word [tss], 0
  %macro nt_iret 0
    push dword 0x4002
    popfd
    iretd
  %endmacro
  NESTED "#TS", 10, nt_iret
  ; The handler's selector is bad: #GP of the same event.
  %macro BADGATE 3+
    push dword [idt + (%2) * 8]
    mov word [idt + (%2) * 8 + 2], SEL_DATA
    TRY %1, %3
    pop dword [idt + (%2) * 8]
  %endmacro
  BADGATE "#UD data", 6, ud2
  BADGATE "#DE data", 0, {aam 0}
  BADGATE "int 80h data", 0x80, int 0x80
  mov eax, 0xfff8
  BADGATE "#GP data", 13, mov ds, ax
  ; IDT too short
  mov word [idtr], 5 * 8 + 7
  lidt [idtr]
  TRY "beyond: triple", nop
  mov word [idtr], 13 * 8 + 7
  lidt [idtr]
  TRY "int 14 beyond the table", {db 0xcd, 14}
  mov word [idtr], 256 * 8 - 1
  lidt [idtr]
  ; #PF during delivery, and #PF of #PF
  PRINTLN "-- with paging"
  mov edi, page_dir
  mov eax, 0x83
  mov ecx, 32
.map:
  mov [edi], eax
  add edi, 4
  add eax, 0x400000
  loop .map
  mov eax, cr4
  or eax, 0x10
  mov cr4, eax
  mov eax, page_dir
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  NESTED "#PF", 14, mov al, [0x40000000]
  mov eax, 0xfff8
  ABSENT 13
  NESTED "#GP then #DF", 14, mov ds, ax
  PRESENT 13
  ; The gate's table lies in an absent page: every event is #PF while delivering.
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  ret

test_ext:
  PRINTLN "-- EXT"
  mov edi, LAPIC
  mov dword [edi + 0xf0], 0x1ff
  %macro IPI 1
    mov dword [edi + 0x300], 0x00040000 + %1
  %endmacro
  ABSENT 0x60
  mov dword [resume_at], .done
  mov [resume_esp], esp
  mov dword [event_vector], -1
  IPI 0x60
  sti
  nop
  nop
  nop
.done:
  cli
  mov dword [edi + 0xb0], 0
  SHOW "vector", [event_vector]
  SHOWLN " error", [event_error]
  PRESENT 0x60
  mov word [idt + 0x60 * 8 + 2], 0xfff8
  mov dword [resume_at], .done2
  IPI 0x60
  sti
  nop
  nop
  nop
.done2:
  cli
  mov dword [edi + 0xb0], 0
  SHOW "vector", [event_vector]
  SHOWLN " error", [event_error]
  mov word [idt + 0x60 * 8 + 2], SEL_CODE
  ret

; Logging handlers
%macro HANDLER 2 ; vector, label
  push dword %2
  push dword %1
  call set_interrupt
%endmacro
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

test_nmi:
  PRINTLN "-- NMI"
  HANDLER 2, nmi_handler
  mov edi, LAPIC
  mov eax, [edi + 0x20]
  mov [edi + 0x310], eax
  mov dword [nmis], 0
  call send_nmi
  SHOWLN "nmis", [nmis]
  ; Two while blocked: one is latched and comes after IRET.
  mov dword [nmi_again], 2
  call send_nmi
  SHOW "nmis", [nmis]
  SHOWLN " while blocked", [nmis_blocked]
  mov dword [nmi_again], 0
  ; Blocking ends with any IRET, even of an inner exception handler.
  mov dword [nmi_mode], 1
  mov dword [nmis], 0
  HANDLER 6, ud_return
  call send_nmi
  SHOW "nmis", [nmis]
  SHOWLN " seen inside", [nmis_blocked]
  mov dword [nmi_mode], 0
  ; IRET that faults ends it too
  ; NMI ignores IF and is held off by MOV SS.
  cli
  mov dword [nmis], 0
  mov eax, ss
  mov [edi + 0x300], dword 0x4400
  nop
  nop
  SHOWLN "if 0", [nmis]
  HANDLER 6, stubs + 6 * 16
  ret
send_nmi:
  mov dword [edi + 0x300], 0x4400
  nop
  nop
  nop
  nop
  ret
nmi_handler:
  inc dword [nmis]
  cmp dword [nmi_mode], 1
  je .inner
.loop:
  cmp dword [nmi_again], 0
  je .end
  dec dword [nmi_again]
  call send_nmi
  push dword [nmis]
  pop dword [nmis_blocked]
  jmp .loop
.end:
  iretd
.inner:
  mov dword [nmi_mode], 2
  call send_nmi
  ud2
  push dword [nmis]
  pop dword [nmis_blocked]
  iretd
ud_return:
  add dword [esp], 2
  iretd

test_pic:
  PRINTLN "-- 8259"
  ; Vectors 20h and 28h
  mov al, 0x11
  out 0x20, al
  out 0xa0, al
  mov al, 0x20
  out 0x21, al
  mov al, 0x28
  out 0xa1, al
  mov al, 4
  out 0x21, al
  mov al, 2
  out 0xa1, al
  mov al, 1
  out 0x21, al
  out 0xa1, al
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
%assign v 0x20
%rep 16
  HANDLER v, pic_handlers + (v - 0x20) * 16
%assign v v + 1
%endrep
  ; LINT0 as ExtINT
  mov edi, LAPIC
  mov dword [edi + 0x350], 0x700
  in al, 0x21
  call put_hex8
  in al, 0xa1
  call put_hex8
  NEWLINE
  ; PIT channel 0 one-shot
  mov dword [irqs], 0
  mov al, 0x30
  out 0x43, al
  mov al, 0xe8
  out 0x40, al
  mov al, 3
  out 0x40, al
  mov al, 0xfe
  out 0x21, al
  sti
  call wait_irq
  cli
  SHOW "irqs", [irqs]
  SHOWLN " last", [last_irq]
  ; Interrupt request and in-service registers
  mov dword [no_eoi], 1
  mov dword [irqs], 0
  mov al, 0x30
  out 0x43, al
  mov al, 0x10
  out 0x40, al
  mov al, 0
  out 0x40, al
  sti
  call wait_irq
  cli
  mov al, 0x0b
  out 0x20, al
  in al, 0x20
  call put_hex8
  mov al, 0x0a
  out 0x20, al
  in al, 0x20
  and al, 0xfe
  call put_hex8
  mov al, 0x60
  out 0x20, al
  mov al, 0x0b
  out 0x20, al
  in al, 0x20
  call put_hex8
  NEWLINE
  mov dword [no_eoi], 0
  ; Periodic mode: three
  mov dword [irqs], 0
  mov al, 0x34
  out 0x43, al
  mov al, 0x00
  out 0x40, al
  mov al, 0x10
  out 0x40, al
  sti
.three:
  cmp dword [irqs], 3
  jb .three
  cli
  PRINTLN "three"
  ; The timer stops asking when masked.
  mov al, 0xff
  out 0x21, al
  mov al, 0x30
  out 0x43, al
  ; RTC through the slave: update interrupt off, periodic at 1024 Hz
  mov dword [irqs], 0
  mov al, 0x0b
  out 0x70, al
  in al, 0x71
  push eax
  mov al, 0x0a
  out 0x70, al
  mov al, 0x26
  out 0x71, al
  mov al, 0x0b
  out 0x70, al
  mov al, 0x42
  out 0x71, al
  mov al, 0x0c
  out 0x70, al
  in al, 0x71
  mov al, 0xfb
  out 0x21, al
  mov al, 0xfe
  out 0xa1, al
  sti
  call wait_irq
  cli
  SHOW "irqs", [irqs]
  SHOW " last", [last_irq]
  mov al, 0x0c
  out 0x70, al
  in al, 0x71
  and eax, 0xf0
  SHOWLN " status c", eax
  ; Without reading status C there is no second one.
  mov al, 0x0c
  out 0x70, al
  in al, 0x71
  mov dword [irqs], 0
  sti
  call wait_irq
  nop
  mov ecx, 100000
.settle:
  dec ecx
  jnz .settle
  mov dword [irqs], 0
  mov ecx, 2000000
.none:
  dec ecx
  jnz .none
  cli
  SHOWLN "without status c", [irqs]
  mov al, 0x0b
  out 0x70, al
  pop eax
  out 0x71, al
  mov al, 0x0c
  out 0x70, al
  in al, 0x71
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
  ret
wait_irq:
  mov ecx, 20000000
.next:
  cmp dword [irqs], 0
  jne .end
  dec ecx
  jnz .next
.end:
  ret
  align 16
pic_handlers:
%assign v 0
%rep 16
  align 16
  push dword v
  jmp near pic_event
%assign v v + 1
%endrep
pic_event:
  pop dword [last_irq]
  inc dword [irqs]
  push eax
  cmp dword [no_eoi], 0
  jne .end
  mov al, 0x20
  cmp dword [last_irq], 8
  jb .master
  out 0xa0, al
.master:
  out 0x20, al
.end:
  pop eax
  iretd

test_fpu:
  PRINTLN "-- x87 and SSE exceptions"
  mov eax, cr0
  or eax, 0x22
  mov cr0, eax
  fninit
  fldcw [unmasked]
  fld1
  fldz
  TRY "divide", {fdivp st1, st0}
  TRY "#MF", fwait
  fninit
  fldcw [unmasked]
  fldz
  fld1
  fdivrp st1, st0
  TRY "no-wait", fnstsw ax
  SHOWLN "status", [result_eax]
  TRY "#MF at fld", fld1
  TRY "fnclex", fnclex
  TRY "after fnclex", fwait
  ; IRQ 13 with NE = 0
  mov eax, cr0
  and eax, ~0x20
  mov cr0, eax
  mov al, 0xfb
  out 0x21, al
  mov al, 0xdf
  out 0xa1, al
  mov dword [irqs], 0
  fninit
  fldcw [unmasked]
  fldz
  fld1
  fdivrp st1, st0
  sti
  fnop
  nop
  nop
  cli
  SHOW "irqs", [irqs]
  SHOWLN " last", [last_irq]
  mov al, 0
  out 0xf0, al
  fnclex
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
  mov eax, cr0
  or eax, 0x20
  mov cr0, eax
  fninit
  ; SIMD
  mov eax, cr4
  or eax, 0x600
  mov cr4, eax
  ldmxcsr [mxcsr_unmasked]
  xorps xmm0, xmm0
  movups xmm1, [ones]
  TRY "#XM", divps xmm1, xmm0
  stmxcsr [scratch]
  SHOWLN "mxcsr", [scratch]
  mov eax, cr4
  and eax, ~0x400
  mov cr4, eax
  TRY "#UD without osxmmexcpt", divps xmm1, xmm0
  mov eax, cr4
  and eax, ~0x200
  mov cr4, eax
  TRY "osfxsr off", addps xmm1, xmm0
  mov eax, cr4
  or eax, 0x600
  mov cr4, eax
  mov dword [scratch], 0x10000
  TRY "ldmxcsr reserved", ldmxcsr [scratch]
  mov eax, cr0
  or eax, 8
  mov cr0, eax
  TRY "sse ts", addps xmm1, xmm0
  TRY "fxsave ts", fxsave [fx_area]
  TRY "emms ts", emms
  TRY "wait ts", fwait
  mov eax, cr0
  and eax, ~8
  or eax, 4
  mov cr0, eax
  TRY "sse em", addps xmm1, xmm0
  TRY "emms em", emms
  TRY "fxsave em", fxsave [fx_area]
  TRY "fninit em", fninit
  TRY "sfence em", sfence
  mov eax, cr0
  and eax, ~4
  mov cr0, eax
  mov dword [scratch], 0x1f80
  ldmxcsr [scratch]
  fninit
  ret

test_sysenter:
  PRINTLN "-- SYSENTER"
  mov ecx, 0x174
  xor eax, eax
  xor edx, edx
  wrmsr
  TRY "cs 0", sysenter
  mov ecx, 0x174
  mov eax, SEL_CODE
  wrmsr
  mov ecx, 0x175
  mov eax, ring0_top
  wrmsr
  mov ecx, 0x176
  mov eax, sysenter_entry
  wrmsr
  mov edx, user_code
  mov ecx, ring3_top
  mov dword [resume_at], .after
  mov dword [try_at], user_code
  mov [resume_esp], esp
  push dword 0x3202
  popfd
  sysexit
.after:
  PRINT "sysenter: "
  call report
  SHOW "cs", [seen]
  SHOW " ss", [seen + 4]
  SHOW " esp", [seen + 8]
  SHOW " flags", [seen + 12]
  SHOW " user cs", [seen + 16]
  SHOWLN " user ss", [seen + 20]
  ret
user_code:
  mov eax, cs
  mov ebx, ss
  mov ebp, SEL_UDATA
  mov ds, bp
  mov [seen + 16], eax
  mov [seen + 20], ebx
  sysenter
sysenter_entry:
  mov eax, cs
  mov [seen], eax
  mov eax, ss
  mov [seen + 4], eax
  mov eax, esp
  sub eax, ring0_top
  mov [seen + 8], eax
  pushfd
  pop dword [seen + 12]
  int 0x80

%macro PVI 3+ ; name, flags, instruction
  jmp %%over
%%code:
  %3
  int 0x81
%%over:
  mov dword [resume_at], %%after
  mov dword [try_at], %%code
  mov [resume_esp], esp
  mov dword [event_vector], -1
  push dword SEL_UDATA
  push dword ring3_top
  push dword %2
  push dword SEL_UCODE
  push dword %%code
  iretd
%%after:
  PRINT %1, ': '
  SHOW "flags", [event_flags]
  PRINT " "
  call report
%endmacro
test_pvi:
  PRINTLN "-- protected-mode virtual interrupts"
  mov eax, cr4
  or eax, 2
  mov cr4, eax
  PVI "cli", 0x80002, cli
  PVI "sti", 2, sti
  PVI "sti vip", 0x100002, sti
  PVI "cli iopl 3", 0x83202, cli
  PVI "sti iopl 3", 0x3002, sti
  %macro pushpopf 0
    push dword 0x3ed7
    popfd
  %endmacro
  PVI "popfd", 0x80202, pushpopf
  %macro pushf_keep 0
    pushfd
    pop eax
  %endmacro
  PVI "pushfd", 0x80002, pushf_keep
  SHOWLN "eax", [result_eax]
  mov eax, cr4
  and eax, ~2
  mov cr4, eax
  PVI "cli without pvi", 0x80002, cli
  ret

[section .data]
  align 16
ones: dd 1.0, 1.0, 1.0, 1.0
fx_area: times 512 db 0
bounds: dd 0x7fffffff, 0x7fffffff
unmasked: dw 0x37b
  align 4
mxcsr_unmasked: dd 0x1d80
scratch: dd 0, 0, 0, 0
seen: times 8 dd 0
nmis: dd 0
nmis_blocked: dd 0
nmi_again: dd 0
nmi_mode: dd 0
irqs: dd 0
last_irq: dd 0
no_eoi: dd 0
  align 4096
page_dir: times 4096 db 0
