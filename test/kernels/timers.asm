; Time: 8254 modes, latches, read-back, BCD and the gate of channel 2; port 61h; HPET; ACPI PM timer; RTC; and that all of
; them run at their fixed ratios to the TSC (8254 datasheet; HPET specification 1.0a; ACPI 4.8.3.3; MC146818A).
%include "common64.inc"

HPET equ 0xfed00000

main:
  mov r15d, 0xfee00000
  mov r14d, HPET
  mov dword [r15 + 0xf0], 0x1ff
  mov edi, 0x40
  mov rsi, irq
  mov eax, 0x8e
  call set_gate
  call test_pit
  call test_hpet
  call test_pm
  call test_rtc
  ret
irq:
  inc qword [irqs]
  push rax
  mov eax, 0xfee00000
  mov dword [rax + 0xb0], 0
  pop rax
  iretq

tsc:
  rdtsc
  shl rdx, 32
  or rax, rdx
  ret
; Waits RCX cycles.
wait_cycles:
  push rax
  push rdx
  push rbx
  call tsc
  lea rbx, [rax + rcx]
.next:
  call tsc
  cmp rax, rbx
  jb .next
  pop rbx
  pop rdx
  pop rax
  ret
%macro WAIT 1
  mov ecx, %1
  call wait_cycles
%endmacro
; Waits at least RCX cycles halted, woken by the local APIC's timer.
sleep_cycles:
  push rax
  push rdx
  push rbx
  call tsc
  lea rbx, [rax + rcx]
  mov dword [r15 + 0x3e0], 0x0b ; divide by one
  mov dword [r15 + 0x320], 0x40
.next:
  mov dword [r15 + 0x380], 50000000
  sti
  hlt
  cli
  call tsc
  cmp rax, rbx
  jb .next
  mov dword [r15 + 0x380], 0
  mov dword [r15 + 0x320], 0x10000
  pop rbx
  pop rdx
  pop rax
  ret
%macro SLEEP 1
  mov rcx, %1
  call sleep_cycles
%endmacro
; Programs channel 2: mode control byte, count
%macro CHANNEL2 2
  mov al, %1
  out 0x43, al
  mov al, (%2) & 0xff
  out 0x42, al
  mov al, (%2) >> 8
  out 0x42, al
%endmacro
; AX = latched count of channel 2
latch2:
  mov al, 0x80
  out 0x43, al
  in al, 0x42
  mov ah, al
  in al, 0x42
  xchg al, ah
  movzx eax, ax
  ret
%macro GATE 1
  in al, 0x61
  and al, 0xfc
  or al, %1
  out 0x61, al
%endmacro
%macro OUTPUT 1
  in al, 0x61
  shr al, 5
  and eax, 1
  SHOWLN32 %1, eax
%endmacro
; Status byte of channel 2 by the read-back command
status2:
  mov al, 0xe8
  out 0x43, al
  in al, 0x42
  movzx eax, al
  ret

test_pit:
  PRINTLN "-- 8254"
  GATE 0
  CHANNEL2 0xb0, 0x1000
  call status2
  SHOWLN32 "mode 0, gate low: status", eax
  OUTPUT "output"
  call latch2
  SHOW32 "count", eax
  WAIT 100000
  call latch2
  SHOWLN32 " stands", eax
  GATE 1
  WAIT 100000
  call latch2
  cmp eax, 0x1000
  jae .stuck
  PRINTLN "counts"
.stuck:
  SLEEP 4000000
  OUTPUT "output after the count"
  call latch2
  cmp eax, 0x1000
  jb .no_wrap
  PRINTLN "goes on below zero"
.no_wrap:
  ; New count: output low again
  CHANNEL2 0xb0, 0x8000
  OUTPUT "new count"
  ; Rate: 1193182 Hz against the TSC
  CHANNEL2 0xb0, 0xffff
  WAIT 100000
  call latch2
  mov ebx, eax
  call tsc
  mov rsi, rax
  SLEEP 20000000
  call latch2
  sub ebx, eax
  call tsc
  sub rax, rsi
  mov ecx, 1000000
  imul rbx, rcx
  xor edx, edx
  xchg rax, rbx
  div rbx
  ; Counts per million cycles, at 1 GHz 1193
  SHOWLN "counts per million cycles", rax
  ; Mode 1: one-shot by the gate
  GATE 0
  CHANNEL2 0xb2, 0x100
  OUTPUT "mode 1"
  GATE 1
  OUTPUT "triggered"
  WAIT 1000000
  OUTPUT "over"
  GATE 0
  GATE 1
  OUTPUT "again"
  ; Mode 2: low for one count only
  CHANNEL2 0xb4, 0x100
  call status2
  and eax, 0x3f
  SHOWLN32 "mode 2: status", eax
  mov ecx, 100000
  xor ebx, ebx
.range:
  call latch2
  cmp eax, 0x100
  ja .outside
  test eax, eax
  jz .outside
  loop .range
  jmp .inside
.outside:
  SHOWLN32 "outside", eax
.inside:
  ; Gate low stops, high reloads
  GATE 0
  OUTPUT "gate low"
  ; Mode 3: square wave
  CHANNEL2 0xb6, 0x40
  GATE 1
  xor ebx, ebx
  xor esi, esi
  mov ecx, 1000000
.wave:
  in al, 0x61
  test al, 0x20
  jz .low
  inc ebx
  jmp .next
.low:
  inc esi
.next:
  loop .wave
  mov eax, ebx
  sub eax, esi
  cdq
  xor eax, edx
  sub eax, edx
  cmp eax, 100000
  ja .uneven
  PRINTLN "square wave"
.uneven:
  ; Mode 4: strobe
  CHANNEL2 0xb8, 0x10
  call status2
  and eax, 0x3f
  SHOWLN32 "mode 4: status", eax
  WAIT 1000000
  OUTPUT "output"
  ; BCD
  GATE 0
  CHANNEL2 0xb1, 0x1234
  call latch2
  SHOWLN32 "bcd", eax
  ; One byte only
  mov al, 0x90
  out 0x43, al
  mov al, 0x55
  out 0x42, al
  call status2
  SHOWLN32 "low byte only: status", eax
  mov al, 0x80
  out 0x43, al
  in al, 0x42
  movzx eax, al
  SHOWLN32 "count", eax
  mov al, 0xa0
  out 0x43, al
  mov al, 0x12
  out 0x42, al
  in al, 0x42
  movzx eax, al
  SHOWLN32 "high byte only", eax
  ; A latched count stays until it is read; a second latch is ignored.
  CHANNEL2 0xb0, 0xf000
  GATE 1
  mov al, 0x80
  out 0x43, al
  WAIT 1000000
  mov al, 0x80
  out 0x43, al
  in al, 0x42
  in al, 0x42
  cmp al, 0xef
  jae .latched
  SHOWLN32 "latch lost", eax
.latched:
  ; Null count: set by the control word, cleared when counting
  mov al, 0xb0
  out 0x43, al
  call status2
  and eax, 0x40
  SHOW32 "null count", eax
  mov al, 0
  out 0x42, al
  mov al, 0x40
  out 0x42, al
  WAIT 100000
  call status2
  and eax, 0x40
  SHOWLN32 " then", eax
  ; Refresh toggles
  xor ebx, ebx
  mov ecx, 10000
  in al, 0x61
  mov ah, al
.refresh:
  in al, 0x61
  mov dl, al
  xor dl, ah
  mov ah, al
  shr dl, 4
  and edx, 1
  add ebx, edx
  loop .refresh
  cmp ebx, 1
  jbe .still
  PRINTLN "refresh toggles"
.still:
  GATE 0
  ret

test_hpet:
  PRINTLN "-- HPET"
  mov eax, [r14]
  and eax, 0xe000
  SHOW32 "id", eax
  mov eax, [r14 + 4]
  SHOWLN32 " period", eax
  mov [period], eax
  mov dword [r14 + 0x10], 0
  mov dword [r14 + 0xf0], 0
  mov dword [r14 + 0xf4], 0
  mov eax, [r14 + 0xf0]
  SHOW32 "stopped", eax
  WAIT 10000
  SHOWLN32 " stands", [r14 + 0xf0]
  mov dword [r14 + 0xf0], 0xfffffff0
  mov dword [r14 + 0xf4], 5
  mov dword [r14 + 0x10], 1
  WAIT 100000
  SHOWLN32 "carries", [r14 + 0xf4]
  mov rax, [r14 + 0xf0]
  shr rax, 32
  SHOWLN "64-bit read", rax
  ; Rate
  mov ebx, [r14 + 0xf0]
  call tsc
  mov rsi, rax
  SLEEP 10000000
  mov ecx, [r14 + 0xf0]
  sub ecx, ebx
  call tsc
  sub rax, rsi
  mov rbx, rax
  mov eax, [period]
  imul rax, rcx                 ; femtoseconds
  xor edx, edx
  div rbx                       ; per cycle: 1000000 at 1 GHz
  add rax, 500
  xor edx, edx
  mov ecx, 1000
  div rcx
  SHOWLN "picoseconds per cycle", rax
  ; Timer 0: interrupt by the IOAPIC, one-shot and periodic
  mov dword [r14 + 0x10], 0
  mov eax, [r14 + 0x104]
  SHOWLN32 "timer 0 routes", eax
  bsf ecx, eax
  mov [pin], ecx
  mov ebx, 0xfec00000
  lea eax, [rcx * 2 + 0x11]
  mov [rbx], eax
  mov dword [rbx + 0x10], 0
  lea eax, [rcx * 2 + 0x10]
  mov [rbx], eax
  mov dword [rbx + 0x10], 0x40
  mov eax, [pin]
  shl eax, 9
  or eax, 4
  mov [r14 + 0x100], eax
  mov dword [r14 + 0xf0], 0
  mov dword [r14 + 0xf4], 0
  mov dword [r14 + 0x108], 2000
  mov dword [r14 + 0x10c], 0
  mov qword [irqs], 0
  mov dword [r14 + 0x10], 1
  sti
  WAIT 2000000
  cli
  SHOWLN "one-shot", [irqs]
  mov dword [r14 + 0x10], 0
  mov eax, [r14 + 0x100]
  test eax, 0x10
  jz .end
  or eax, 0x48                  ; periodic, set accumulator
  mov [r14 + 0x100], eax
  mov dword [r14 + 0xf0], 0
  mov dword [r14 + 0xf4], 0
  mov dword [r14 + 0x108], 10000
  mov dword [r14 + 0x108], 10000
  mov qword [irqs], 0
  mov dword [r14 + 0x10], 1
  sti
.three:
  cmp qword [irqs], 3
  jb .three
  cli
  mov eax, [r14 + 0xf0]
  xor edx, edx
  mov ecx, 10000
  div ecx
  SHOWLN32 "three periods", eax
  mov dword [r14 + 0x10], 0
  mov dword [r14 + 0x100], 0
.end:
  ret

; The PM timer's port is in the FADT: found through the RSDP.
test_pm:
  PRINTLN "-- PM timer"
  mov esi, 0xe0000
.rsdp:
  mov rax, 'RSD PTR '
  cmp [rsi], rax
  je .found
  add esi, 16
  cmp esi, 0x100000
  jb .rsdp
  PRINTLN "no RSDP"
  ret
.found:
  mov esi, [rsi + 16]
  mov ecx, [rsi + 4]
  sub ecx, 36
  shr ecx, 2
  add esi, 36
.table:
  lodsd
  cmp dword [rax], 'FACP'
  je .fadt
  loop .table
  PRINTLN "no FADT"
  ret
.fadt:
  mov edx, [rax + 76]
  mov [pm_port], edx
  mov edi, [rax + 112]
  shr edi, 8
  and edi, 1
  in eax, dx
  mov ebx, eax
  call tsc
  mov rsi, rax
  SLEEP 20000000
  mov edx, [pm_port]
  in eax, dx
  sub eax, ebx
  test edi, edi
  jnz .wide
  and eax, 0xffffff
.wide:
  mov ebx, eax
  call tsc
  sub rax, rsi
  mov ecx, 1000000
  imul rbx, rcx
  xor edx, edx
  xchg rax, rbx
  div rbx
  SHOWLN "counts per million cycles", rax
  ret

rtc:
  out 0x70, al
  in al, 0x71
  movzx eax, al
  ret
%macro RTC 1
  mov al, %1
  call rtc
%endmacro
test_rtc:
  PRINTLN "-- RTC"
  RTC 0x0d
  SHOWLN32 "valid", eax
  RTC 0x0b
  and eax, 0x87
  SHOWLN32 "status b", eax
  ; Stop, set 23:59:58 on 28 February 2024, start: it becomes the 29th.
  mov al, 0x0b
  out 0x70, al
  mov al, 0x82
  out 0x71, al
  %macro SETRTC 2
    mov al, %1
    out 0x70, al
    mov al, %2
    out 0x71, al
  %endmacro
  SETRTC 0, 0x58
  SETRTC 2, 0x59
  SETRTC 4, 0x23
  SETRTC 6, 4
  SETRTC 7, 0x28
  SETRTC 8, 2
  SETRTC 9, 0x24
  SETRTC 0x0b, 0x02
  SLEEP 3000000000
.progress:
  RTC 0x0a
  test al, 0x80
  jnz .progress
  RTC 7
  SHOW32 "day", eax
  RTC 4
  SHOW32 " hour", eax
  RTC 2
  SHOW32 " minute", eax
  RTC 0
  cmp eax, 5
  ja .seconds_bad
  RTC 6
  SHOWLN32 " weekday", eax
  ; Binary and twelve-hour modes
  SETRTC 0x0b, 0x84
  SETRTC 4, 0x8c                ; 12 PM
  SETRTC 0, 33
  SETRTC 0x0b, 0x04
  RTC 4
  SHOW32 "hour", eax
  RTC 0
  SHOWLN32 " second", eax
  SETRTC 0x0b, 0x02
  ; CMOS RAM keeps what is written.
  SETRTC 0x50, 0xa7
  RTC 0x50
  SHOWLN32 "ram", eax
  ret
.seconds_bad:
  SHOWLN32 " seconds", eax
  ret

[section .data]
  align 8
irqs: dq 0
period: dd 0
pin: dd 0
pm_port: dd 0
[section .text]
