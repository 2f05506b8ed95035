; Local APIC and IOAPIC: registers and their writable bits, self-IPIs and priorities, EOI, level and edge, masks, software and global
; disable, timer modes and dividers, TSC deadline, errors, destination modes; IOAPIC entries with the PIT and the UART (SDM 3A chapter 10; 82093AA).
%include "common64.inc"

LAPIC equ 0xfee00000
IOAPIC equ 0xfec00000
%define APIC(r) r15 + (r)

main:
  mov r15d, LAPIC
  mov r14d, IOAPIC
  ; Vectors 30h-FFh count.
  mov edi, 0x30
  mov rsi, irq_stubs
.next:
  mov eax, 0x8e
  call set_gate
  add rsi, 16
  inc edi
  cmp edi, 0x100
  jb .next
  mov dword [APIC(0x350)], 0x10000
  mov dword [APIC(0x360)], 0x10000
  call test_registers
  call test_ipi
  call test_priority
  call test_timer
  call test_deadline
  call test_disable
  call test_errors
  call test_ioapic
  call test_base
  ret

  align 16
irq_stubs:
%assign v 0x30
%rep 0xd0
  align 16
  push qword v
  jmp near irq_event
%assign v v + 1
%endrep
irq_event:
  push rax
  push rcx
  mov rcx, [irq_count]
  and ecx, 15
  mov rax, [rsp + 16]
  mov [irq_log + rcx], al
  inc qword [irq_count]
  cmp qword [irq_hook], 0
  je .eoi
  call [irq_hook]
.eoi:
  cmp qword [no_eoi], 0
  jne .end
  mov dword [APIC(0xb0)], 0
.end:
  pop rcx
  pop rax
  add rsp, 8
  iretq

; Prints what arrived since the last time.
%macro IRQS 1
  cli
  PRINT %1, ':'
  call print_irqs
%endmacro
print_irqs:
  push rcx
  push rax
  xor ecx, ecx
.next:
  cmp rcx, [irq_count]
  jae .end
  PRINT " "
  mov al, [irq_log + rcx]
  call put_hex8
  inc ecx
  jmp .next
.end:
  NEWLINE
  mov qword [irq_count], 0
  pop rax
  pop rcx
  ret
%macro OPEN 0
  sti
  nop
  nop
  nop
%endmacro
; Writes %2 to register %1 and shows what is read back.
%macro REG 2
  mov dword [APIC(%1)], %2
  PRINT %str(%1), '='
  push rax
  mov eax, [APIC(%1)]
  xchg rax, [rsp]
  call put_hex32
  NEWLINE
%endmacro
%macro SELF 1
  mov dword [APIC(0x300)], 0x40000 + (%1)
%endmacro

test_registers:
  PRINTLN "-- registers"
  READMSR 0x1b
  SHOWLN "base", rax
  mov eax, [APIC(0x30)]
  and eax, 0xff00fff0
  SHOWLN32 "version & class", eax
  SHOWLN32 "id", [APIC(0x20)]
  REG 0xf0, 0x1ff
  REG 0x80, 0xffffffff
  REG 0x80, 0
  REG 0xd0, 0xffffffff
  REG 0xd0, 0x01000000
  REG 0xe0, 0
  REG 0xe0, 0xffffffff
  REG 0x320, 0x10000
  REG 0x340, 0xffffffff
  REG 0x340, 0x10000
  REG 0x350, 0xfffeffff & ~0x700
  REG 0x350, 0x10000
  REG 0x360, 0x10000
  REG 0x370, 0xffffffff
  REG 0x370, 0x10000
  REG 0x380, 0
  REG 0x3e0, 0xffffffff
  REG 0x3e0, 0xb
  REG 0x310, 0xffffffff
  REG 0x310, 0
  ; ISR, IRR, TMR are read-only.
  mov dword [APIC(0x200)], -1
  mov dword [APIC(0x100)], -1
  SHOW32 "irr", [APIC(0x200)]
  SHOWLN32 " isr", [APIC(0x100)]
  ; CR8 is TPR[7:4].
  mov eax, 7
  mov cr8, rax
  SHOW32 "tpr by cr8", [APIC(0x80)]
  mov dword [APIC(0x80)], 0x3a
  mov rax, cr8
  SHOW " cr8 by tpr", rax
  SHOWLN32 " ppr", [APIC(0xa0)]
  mov dword [APIC(0x80)], 0
  ret

test_ipi:
  PRINTLN "-- interprocessor interrupts"
  mov dword [APIC(0x310)], 0
  SELF 0x41
  SHOW32 "irr", [APIC(0x220)]
  SHOWLN32 " icr", [APIC(0x300)]
  OPEN
  IRQS "self"
  mov dword [APIC(0x300)], 0x00004042
  OPEN
  IRQS "physical"
  mov dword [APIC(0x300)], 0x00080043
  OPEN
  IRQS "all including self"
  mov dword [APIC(0x300)], 0x000c0044
  OPEN
  IRQS "all but self"
  mov dword [APIC(0x310)], 0xff000000
  mov dword [APIC(0x300)], 0x00004045
  OPEN
  IRQS "broadcast"
  mov dword [APIC(0x310)], 0x09000000
  mov dword [APIC(0x300)], 0x00004046
  OPEN
  IRQS "nobody"
  mov dword [APIC(0xd0)], 0x04000000
  mov dword [APIC(0x310)], 0x04000000
  mov dword [APIC(0x300)], 0x00004847
  OPEN
  IRQS "logical flat"
  mov dword [APIC(0x310)], 0x08000000
  mov dword [APIC(0x300)], 0x00004848
  OPEN
  IRQS "logical flat other"
  mov dword [APIC(0xe0)], 0x0fffffff
  mov dword [APIC(0xd0)], 0x24000000
  mov dword [APIC(0x310)], 0x24000000
  mov dword [APIC(0x300)], 0x00004849
  OPEN
  IRQS "cluster"
  mov dword [APIC(0x310)], 0x34000000
  mov dword [APIC(0x300)], 0x0000484a
  OPEN
  IRQS "other cluster"
  mov dword [APIC(0x310)], 0x24000000
  mov dword [APIC(0x300)], 0x0000494b
  OPEN
  IRQS "lowest priority"
  mov dword [APIC(0xe0)], 0xffffffff
  mov dword [APIC(0xd0)], 0x01000000
  mov dword [APIC(0x310)], 0
  ; The same vector twice while pending: one interrupt. Once in service: another.
  SELF 0x50
  SELF 0x50
  OPEN
  IRQS "coalesced"
  ret

test_priority:
  PRINTLN "-- priorities"
  SELF 0x51
  SELF 0x71
  SELF 0x61
  OPEN
  IRQS "highest first"
  ; The same class does not nest, a higher one does.
  mov qword [irq_hook], .nest
  SELF 0x61
  OPEN
  mov qword [irq_hook], 0
  IRQS "nested"
  SHOW32 "ppr in service", [seen]
  SHOWLN32 " isr", [seen + 8]
  ; TPR
  mov dword [APIC(0x80)], 0x60
  SELF 0x62
  SELF 0x72
  OPEN
  IRQS "tpr 60h"
  mov dword [APIC(0x80)], 0x5f
  OPEN
  IRQS "tpr 5Fh"
  mov dword [APIC(0x80)], 0
  ; Without EOI nothing of the class comes.
  mov qword [no_eoi], 1
  SELF 0x63
  OPEN
  IRQS "first"
  SELF 0x65
  SELF 0x52
  SELF 0x75
  OPEN
  IRQS "no eoi"
  SHOW32 "isr", [APIC(0x130)]
  SHOW32 " irr", [APIC(0x230)]
  SHOWLN32 " ppr", [APIC(0xa0)]
  mov dword [APIC(0xb0)], 0
  SHOWLN32 "after eoi isr", [APIC(0x130)]
  mov qword [no_eoi], 0
  mov dword [APIC(0xb0)], 0
  OPEN
  IRQS "rest"
  ; EOI with nothing in service does nothing.
  mov dword [APIC(0xb0)], 0
  SELF 0x53
  OPEN
  IRQS "again"
  ret
.nest:
  mov qword [irq_hook], 0
  SELF 0x6f
  SELF 0x55
  SELF 0x81
  sti
  nop
  nop
  cli
  mov eax, [APIC(0xa0)]
  mov [seen], rax
  mov eax, [APIC(0x130)]
  mov [seen + 8], rax
  ret

%macro WAITTSC 1
  push qword %1
  call wait_tsc
%endmacro
wait_tsc:
  push rax
  push rcx
  push rdx
  rdtsc
  mov ecx, eax
.next:
  rdtsc
  sub eax, ecx
  cmp eax, [rsp + 32]
  jb .next
  pop rdx
  pop rcx
  pop rax
  ret 8

test_timer:
  PRINTLN "-- timer"
  mov dword [APIC(0x3e0)], 0xb
  mov dword [APIC(0x320)], 0x54
  mov dword [APIC(0x380)], 100000
  mov eax, [APIC(0x390)]
  cmp eax, 100000
  ja .bad
  test eax, eax
  jz .bad
  PRINTLN "counts"
  jmp .good
.bad:
  SHOWLN32 "current", eax
.good:
  sti
  call wait_irqs
  IRQS "one-shot"
  SHOW32 "current", [APIC(0x390)]
  SHOWLN32 " initial", [APIC(0x380)]
  WAITTSC 1000000
  OPEN
  IRQS "no second"
  mov dword [APIC(0x320)], 0x20055
  mov dword [APIC(0x380)], 50000
  sti
.three:
  cmp qword [irq_count], 3
  jb .three
  cli
  mov dword [APIC(0x320)], 0x30055
  mov qword [irq_count], 3
  IRQS "periodic"
  SELF 0x57
  OPEN
  mov qword [irq_count], 0
  ; Masked: it counts, but does not ask.
  mov dword [APIC(0x320)], 0x10056
  mov dword [APIC(0x380)], 1000
  WAITTSC 1000000
  OPEN
  IRQS "masked"
  SHOWLN32 "current", [APIC(0x390)]
  ; Writing 0 stops it.
  mov dword [APIC(0x320)], 0x56
  mov dword [APIC(0x380)], 10000000
  mov dword [APIC(0x380)], 0
  SHOWLN32 "stopped", [APIC(0x390)]
  WAITTSC 1000000
  OPEN
  IRQS "stopped"
  ; A mode change leaves the count running.
  mov dword [APIC(0x320)], 0x10056
  mov dword [APIC(0x380)], 0x7fffffff
  mov dword [APIC(0x320)], 0x30056
  mov eax, [APIC(0x390)]
  shr eax, 28
  SHOWLN32 "mode change", eax
  mov dword [APIC(0x380)], 0
  ; HLT waits for it.
  mov dword [APIC(0x320)], 0x58
  mov dword [APIC(0x380)], 300000
  sti
  hlt
  cli
  IRQS "hlt"
  mov dword [APIC(0x320)], 0x10000
  ret

wait_irqs:
  push rcx
  mov ecx, 100000000
.next:
  cmp qword [irq_count], 0
  jne .end
  dec ecx
  jnz .next
.end:
  pop rcx
  ret

test_deadline:
  PRINTLN "-- TSC deadline"
  mov eax, 1
  cpuid
  test ecx, 1 << 24
  jnz .have
  PRINTLN "none"
  ret
.have:
  mov dword [APIC(0x320)], 0x40059
  SHOWLN32 "lvt", [APIC(0x320)]
  mov dword [APIC(0x380)], 1000
  SHOWLN32 "initial count is ignored", [APIC(0x390)]
  rdtsc
  shl rdx, 32
  or rax, rdx
  add rax, 200000
  mov rbx, rax
  WRITEMSR 0x6e0, rax
  READMSR 0x6e0
  sub rax, rbx
  SHOWLN "armed, differs by", rax
  sti
  call wait_irqs
  cli
  rdtsc
  shl rdx, 32
  or rax, rdx
  cmp rax, rbx
  jb .early
  IRQS "deadline"
  jmp .then
.early:
  IRQS "early"
.then:
  READMSR 0x6e0
  SHOWLN "disarmed", rax
  WRITEMSR 0x6e0, 1
  OPEN
  IRQS "in the past"
  rdtsc
  shl rdx, 32
  or rax, rdx
  add rax, 2000000
  WRITEMSR 0x6e0, rax
  WRITEMSR 0x6e0, 0
  WAITTSC 4000000
  OPEN
  IRQS "cancelled"
  mov dword [APIC(0x320)], 0x59
  WRITEMSR 0x6e0, 12345
  READMSR 0x6e0
  SHOWLN "in another mode", rax
  mov dword [APIC(0x320)], 0x10000
  ret

test_disable:
  PRINTLN "-- software disable"
  mov dword [APIC(0x320)], 0x5a
  mov dword [APIC(0x370)], 0x5b
  mov dword [APIC(0xf0)], 0xff
  SHOW32 "lvt timer", [APIC(0x320)]
  SHOWLN32 " error", [APIC(0x370)]
  mov dword [APIC(0x320)], 0x5a
  SHOWLN32 "cannot unmask", [APIC(0x320)]
  SELF 0x5c
  OPEN
  IRQS "disabled"
  mov dword [APIC(0xf0)], 0x1ff
  OPEN
  SHOWLN32 "lvt timer", [APIC(0x320)]
  mov dword [APIC(0x370)], 0x10000
  mov qword [irq_count], 0
  SELF 0x5d
  OPEN
  IRQS "enabled"
  ret

test_errors:
  PRINTLN "-- errors"
  mov dword [APIC(0x370)], 0x5e
  mov dword [APIC(0x280)], 0
  mov dword [APIC(0x280)], 0
  SHOW32 "esr", [APIC(0x280)]
  mov dword [APIC(0x300)], 0x40005
  SHOW32 " before the write", [APIC(0x280)]
  mov dword [APIC(0x280)], 0
  mov eax, [APIC(0x280)]
  and eax, ~0x40
  SHOW32 " illegal vector", eax
  mov dword [APIC(0x280)], 0
  SHOWLN32 " cleared", [APIC(0x280)]
  OPEN
  IRQS "error interrupt"
  mov dword [APIC(0x370)], 0x10000
  mov dword [APIC(0x280)], 0
  mov dword [APIC(0x280)], 0
  ret

; Writes IOAPIC register AL = value EDX; reads it into EDX
ioapic_write:
  mov [r14], eax
  mov [r14 + 0x10], edx
  ret
ioapic_read:
  mov [r14], eax
  mov edx, [r14 + 0x10]
  ret
%macro IOWRITE 2
  mov eax, %1
  mov edx, %2
  call ioapic_write
%endmacro
%macro IOREAD 2
  mov eax, %1
  call ioapic_read
  SHOWLN32 %2, edx
%endmacro
test_ioapic:
  PRINTLN "-- IOAPIC"
  mov eax, 1
  call ioapic_read
  and edx, 0xff0000
  SHOWLN32 "entries", edx
  IOWRITE 0x10 + 2 * 5, 0xfffeffff & ~0x5000
  IOREAD 0x10 + 2 * 5, "entry 5 low"
  IOWRITE 0x11 + 2 * 5, 0xffffffff
  IOREAD 0x11 + 2 * 5, "entry 5 high"
  IOWRITE 0x10 + 2 * 5, 0x10000
  IOWRITE 0x11 + 2 * 5, 0
  ; PIT, pin 2, edge
  IOWRITE 0x11 + 2 * 2, 0
  IOWRITE 0x10 + 2 * 2, 0x80
  call pit_shot
  sti
  call wait_irqs
  IRQS "pit"
  ; Masked: the edge is lost.
  IOWRITE 0x10 + 2 * 2, 0x10081
  call pit_shot
  WAITTSC 3000000
  OPEN
  IRQS "masked"
  IOWRITE 0x10 + 2 * 2, 0x10000
  ; UART: COM2 (IRQ 3), transmitter-empty interrupt, level-triggered
  mov dx, 0x2fc
  mov al, 8
  out dx, al
  mov dx, 0x2f9
  mov al, 0
  out dx, al
  IOWRITE 0x11 + 2 * 3, 0
  IOWRITE 0x10 + 2 * 3, 0x8082
  mov qword [no_eoi], 1
  mov dx, 0x2f9
  mov al, 2
  out dx, al
  sti
  call wait_irqs
  IRQS "uart level"
  IOREAD 0x10 + 2 * 3, "remote irr"
  SHOWLN32 "tmr", [APIC(0x1c0)]
  ; EOI while the line is still high: again.
  mov dword [APIC(0xb0)], 0
  sti
  call wait_irqs
  IRQS "after eoi"
  ; Line low, then EOI: nothing.
  mov dx, 0x2fa
  in al, dx
  and eax, 15
  SHOWLN32 "iir", eax
  mov dword [APIC(0xb0)], 0
  OPEN
  IRQS "line low"
  IOREAD 0x10 + 2 * 3, "remote irr"
  mov qword [no_eoi], 0
  ; Masked while the line rises: level comes after unmasking.
  IOWRITE 0x10 + 2 * 3, 0x18083
  mov dx, 0x2f9
  mov al, 0
  out dx, al
  mov al, 2
  out dx, al
  OPEN
  IRQS "masked level"
  mov qword [irq_hook], .drop
  IOWRITE 0x10 + 2 * 3, 0x8083
  OPEN
  IRQS "unmasked"
  mov qword [irq_hook], 0
  IOWRITE 0x10 + 2 * 3, 0x10000
  ; Edge-triggered: one per rise
  mov dx, 0x2f9
  mov al, 0
  out dx, al
  IOWRITE 0x10 + 2 * 3, 0x84
  mov al, 2
  mov dx, 0x2f9
  out dx, al
  OPEN
  IRQS "uart edge"
  mov dword [APIC(0xb0)], 0
  OPEN
  IRQS "no second"
  mov al, 0
  out dx, al
  ; Logical destination, lowest priority
  IOWRITE 0x11 + 2 * 3, 0x01000000
  IOWRITE 0x10 + 2 * 3, 0x985
  mov al, 2
  mov dx, 0x2f9
  out dx, al
  OPEN
  IRQS "logical"
  mov al, 0
  out dx, al
  IOWRITE 0x11 + 2 * 3, 0x02000000
  IOWRITE 0x10 + 2 * 3, 0x886
  mov al, 2
  mov dx, 0x2f9
  out dx, al
  OPEN
  IRQS "to nobody"
  mov al, 0
  out dx, al
  IOWRITE 0x10 + 2 * 3, 0x10000
  mov dx, 0x2fc
  mov al, 0
  out dx, al
  ret
.drop:
  push rdx
  mov dx, 0x2fa
  in al, dx
  pop rdx
  ret
pit_shot:
  mov al, 0x30
  out 0x43, al
  mov al, 0x10
  out 0x40, al
  mov al, 0
  out 0x40, al
  ret

test_base:
  PRINTLN "-- IA32_APIC_BASE"
  %macro BADBASE 2
    mov ecx, 0x1b
    rdmsr
    or eax, (%2) & 0xffffffff
    or edx, (%2) >> 32
    TRY %1, wrmsr
  %endmacro
  BADBASE "bit 0", 1
  BADBASE "bit 9", 0x200
  BADBASE "bit 52", 1 << 52
  mov dword [APIC(0x80)], 0x30
  mov ecx, 0x1b
  rdmsr
  and eax, ~0x800
  TRY "disable", wrmsr
  mov eax, 1
  cpuid
  shr edx, 9
  and edx, 1
  SHOWLN32 "cpuid apic", edx
  SHOW32 "version", [APIC(0x30)]
  mov dword [APIC(0x80)], 0x55
  SHOWLN32 " tpr", [APIC(0x80)]
  mov ecx, 0x1b
  rdmsr
  or eax, 0x800
  TRY "enable", wrmsr
  mov eax, 1
  cpuid
  shr edx, 9
  and edx, 1
  SHOW32 "cpuid apic", edx
  SHOW32 " svr", [APIC(0xf0)]
  SHOW32 " tpr", [APIC(0x80)]
  SHOW32 " lint0", [APIC(0x350)]
  SHOWLN32 " dfr", [APIC(0xe0)]
  mov ecx, 0x1b
  rdmsr
  and eax, 0xfff
  or eax, 0xfed40000
  wrmsr
  mov dword [APIC(0x80)], 0x40
  mov ebx, 0xfed40000
  mov eax, [rbx + 0xf0]
  SHOWLN32 "moved: svr", eax
  mov ecx, 0x1b
  rdmsr
  and eax, 0xfff
  or eax, 0xfee00000
  wrmsr
  mov dword [APIC(0xf0)], 0x1ff
  SELF 0x99
  OPEN
  IRQS "works"
  ret

[section .data]
  align 16
irq_count: dq 0
irq_hook: dq 0
no_eoi: dq 0
irq_log: times 16 db 0
seen: dq 0, 0, 0, 0
[section .text]
