; run: --kernel IMAGE --vcpus 4
; Several processors: INIT and SIPI, what INIT leaves, IPIs of all kinds, NMI, lowest priority, locked instructions, TSC and APIC ids,
; a task handed to processors in HLT; INIT in VMX root and non-root operation, the wait-for-SIPI state of a guest (SDM 3A 8.4, 10.6; 3C 25.2, 28.2).
%include "common64.inc"
%include "vmx64.inc"

TRAMPOLINE equ 0x8000
%define APIC(r) r15 + (r)

main:
  mov r15d, 0xfee00000
  mov dword [APIC(0xf0)], 0x1ff
  mov edi, 0x60
  mov rsi, ipi_handler
  mov eax, 0x8e
  call set_gate
  mov edi, 2
  mov rsi, nmi_handler
  mov eax, 0x8e
  call set_gate
  ; Trampoline below 1 MiB
  mov rsi, trampoline
  mov edi, TRAMPOLINE
  mov ecx, trampoline_end - trampoline
  rep movsb
  PRINTLN "-- start"
  ; INIT, then SIPI to all others
  mov dword [APIC(0x310)], 0
  mov dword [APIC(0x300)], 0x000c4500
  call delay
  mov dword [APIC(0x300)], 0x000c4600 | (TRAMPOLINE >> 12)
  call delay
  mov eax, [started]
  SHOWLN32 "started", eax
  ; A second SIPI is not looked at.
  mov dword [APIC(0x300)], 0x000c4600 | (TRAMPOLINE >> 12)
  call delay
  mov eax, [started]
  SHOWLN32 "after a second sipi", eax
  mov ecx, 1
.show:
  mov rbx, rcx
  shl rbx, 6
  SHOW32 "id", [cpu_data + rbx]
  SHOW32 " version", [cpu_data + rbx + 4]
  SHOW32 " cr0", [cpu_data + rbx + 8]
  SHOW32 " edx", [cpu_data + rbx + 12]
  SHOW32 " base", [cpu_data + rbx + 16]
  SHOW32 " svr", [cpu_data + rbx + 20]
  SHOWLN32 " cpuid", [cpu_data + rbx + 24]
  inc ecx
  cmp ecx, 4
  jb .show
  READMSR 0x1b
  SHOWLN "base of the first", rax
  call test_work
  call test_ipis
  call test_again
  call test_vmx
  ret

delay:
  push rax
  push rcx
  push rdx
  rdtsc
  mov ecx, eax
.next:
  pause
  rdtsc
  sub eax, ecx
  cmp eax, 2000000
  jb .next
  pop rdx
  pop rcx
  pop rax
  ret

ipi_handler:
  push rax
  push rcx
  mov ecx, 0xfee00000
  mov eax, [rcx + 0x20]
  shr eax, 24
  lock inc dword [ipis + rax * 4]
  mov dword [rcx + 0xb0], 0
  pop rcx
  pop rax
  iretq
nmi_handler:
  push rax
  push rcx
  mov ecx, 0xfee00000
  mov eax, [rcx + 0x20]
  shr eax, 24
  lock inc dword [nmis + rax * 4]
  pop rcx
  pop rax
  iretq

; All others call [job] with EAX = id; waits until they are done.
%macro JOB 1
  mov qword [job], %1
  call run_job
%endmacro
run_job:
  mov dword [done], 0
  lock inc dword [generation]
  ; They may sleep in HLT.
  mov dword [APIC(0x300)], 0x000c4061
.wait:
  pause
  cmp dword [done], 3
  jne .wait
  ret

test_work:
  PRINTLN "-- work"
  mov edi, 0x61
  mov rsi, quiet_handler
  mov eax, 0x8e
  call set_gate
  JOB .locked
  SHOWLN32 "locked increments", [counter]
  mov dword [counter], 0
  JOB .exchange
  SHOWLN32 "spin lock", [counter]
  ; Time stamps agree
  rdtsc
  mov [stamp], eax
  JOB .stamps
  rdtsc
  mov ecx, eax
  sub ecx, [stamp]
  mov ebx, 1
.check:
  mov eax, [stamps + rbx * 4]
  sub eax, [stamp]
  cmp eax, ecx
  ja .bad
  inc ebx
  cmp ebx, 4
  jb .check
  PRINTLN "time stamps in order"
  ret
.bad:
  PRINTLN "time stamps differ"
  ret
.locked:
  mov ecx, 10000
.one:
  lock inc dword [counter]
  dec ecx
  jnz .one
  ret
.exchange:
  mov edx, 1000
.again:
  mov eax, 1
.spin:
  pause
  xchg eax, [spinlock]
  test eax, eax
  jnz .spin
  mov eax, [counter]
  inc eax
  pause
  mov [counter], eax
  mov dword [spinlock], 0
  dec edx
  jnz .again
  ret
.stamps:
  mov ebx, eax
  rdtsc
  mov [stamps + rbx * 4], eax
  ret
quiet_handler:
  push rax
  mov eax, 0xfee00000
  mov dword [rax + 0xb0], 0
  pop rax
  iretq

%macro COUNTS 1
  call delay
  PRINT %1, ':'
  mov rsi, ipis
  call print_counts
%endmacro
%macro NMICOUNTS 1
  call delay
  PRINT %1, ':'
  mov rsi, nmis
  call print_counts
%endmacro
print_counts:
  mov ecx, 4
.next:
  PRINT " "
  mov eax, [rsi]
  call put_hex8
  mov dword [rsi], 0
  add rsi, 4
  loop .next
  NEWLINE
  ret
test_ipis:
  PRINTLN "-- interrupts by processor"
  sti
  mov dword [APIC(0x310)], 2 << 24
  mov dword [APIC(0x300)], 0x4060
  COUNTS "to 2"
  mov dword [APIC(0x300)], 0x000c4060
  COUNTS "all others"
  mov dword [APIC(0x300)], 0x00084060
  COUNTS "all"
  mov dword [APIC(0x300)], 0x00044060
  COUNTS "self"
  mov dword [APIC(0x310)], 0xff << 24
  mov dword [APIC(0x300)], 0x4060
  COUNTS "broadcast"
  mov dword [APIC(0x310)], 0x0a << 24
  mov dword [APIC(0x300)], 0x4860
  COUNTS "logical 1 and 3"
  mov dword [APIC(0x310)], 0x0f << 24
  mov dword [APIC(0x300)], 0x4860
  COUNTS "logical all"
  mov dword [APIC(0x310)], 7 << 24
  mov dword [APIC(0x300)], 0x4060
  COUNTS "nobody"
  mov dword [APIC(0x310)], 3 << 24
  mov dword [APIC(0x300)], 0x4400
  NMICOUNTS "nmi to 3"
  mov dword [APIC(0x300)], 0x000c4400
  NMICOUNTS "nmi to all others"
  cli
  ret

; INIT stops a processor; SIPI starts it again, with its APIC reset.
test_again:
  PRINTLN "-- INIT again"
  mov dword [APIC(0x310)], 1 << 24
  mov dword [APIC(0x300)], 0x4500
  call delay
  mov dword [APIC(0x300)], 0x4060
  COUNTS "in wait for sipi"
  mov dword [APIC(0x300)], 0x4600 | (TRAMPOLINE >> 12)
  call delay
  SHOWLN32 "started", [started]
  SHOWLN32 "cr0", [cpu_data + 64 + 8]
  mov dword [APIC(0x300)], 0x4060
  COUNTS "again"
  ; The processors count their stacks by id, so that a job works as before.
  mov dword [counter], 0
  JOB test_work.locked
  SHOWLN32 "counter", [counter]
  ret

; Processor 1 in VMX operation; the others idle
test_vmx:
  mov eax, 1
  cpuid
  test ecx, 1 << 5
  jnz .have
  ret
.have:
  PRINTLN "-- VMX"
  mov dword [stage], 0
  mov qword [job], .processor1
  mov dword [done], 0
  lock inc dword [generation]
  mov dword [APIC(0x300)], 0x000c4061
  mov eax, 1
  call wait_stage
  ; INIT is held back in root operation.
  mov dword [APIC(0x310)], 1 << 24
  mov dword [APIC(0x300)], 0x4500
  mov dword [stage], 2
  mov eax, 3
  call wait_stage
  PRINTLN "init blocked in root operation"
  mov dword [stage], 4
  mov eax, 5
  call wait_stage
  SHOWLN "then exits", [reason]
  mov dword [stage], 6
  ; A guest waiting for SIPI
  mov eax, 7
  call wait_stage
  call delay
  mov dword [APIC(0x300)], 0x4060
  mov dword [APIC(0x300)], 0x4400
  call delay
  mov eax, [stage]
  SHOWLN32 "neither interrupt nor nmi wake it", eax
  mov dword [APIC(0x300)], 0x4633
  mov eax, 8
  call wait_stage
  SHOW "sipi exits", [reason]
  SHOWLN " vector", [qualification]
  ; Active: SIPI is ignored.
  mov dword [APIC(0x300)], 0x4633
  mov dword [stage], 9
  mov eax, 10
  call wait_stage
  SHOWLN "ignored when active", [reason]
  ; INIT pending at VMXOFF resets.
  mov dword [APIC(0x300)], 0x4500
  mov dword [stage], 11
  call delay
  mov eax, [stage]
  SHOWLN32 "after vmxoff", eax
  mov dword [APIC(0x300)], 0x4600 | (TRAMPOLINE >> 12)
  call delay
  SHOWLN32 "started", [started]
  ret
wait_stage:
  pause
  cmp [stage], eax
  jne wait_stage
  ret
test_vmx.processor1:
  cmp eax, 1
  je .mine
  ret
.mine:
  mov rax, cr3
  call vmx_start
  mov dword [stage], 1
.stage2:
  pause
  cmp dword [stage], 2
  jne .stage2
  mov ecx, 1000
.some:
  pause
  loop .some
  mov dword [stage], 3
.stage4:
  pause
  cmp dword [stage], 4
  jne .stage4
  VMWR G_RIP, g_spin
  call vmx_fresh
  call enter_quiet
  mov [reason], rax
  mov dword [stage], 5
.stage6:
  pause
  cmp dword [stage], 6
  jne .stage6
  ; Wait for SIPI
  VMWR G_ACTIVITY, 3
  VMSET V_PIN, PIN_EXTINT | PIN_NMI
  mov dword [stage], 7
  call enter_quiet
  mov [reason], rax
  VMRD X_QUALIFICATION
  mov [qualification], rax
  mov dword [stage], 8
.stage9:
  pause
  cmp dword [stage], 9
  jne .stage9
  VMWR G_ACTIVITY, 0
  VMWR G_RIP, g_call
  VMCLR V_PIN, PIN_EXTINT | PIN_NMI
  call enter_quiet
  mov [reason], rax
  mov dword [stage], 10
.stage11:
  pause
  cmp dword [stage], 11
  jne .stage11
  vmxoff
  mov dword [stage], 12
  ret
g_spin:
  pause
  jmp g_spin
g_call:
  vmcall
enter_quiet:
  VMWR H_RSP, rsp
  VMWR H_RIP, .exit
  cmp qword [vmx_launched], 0
  jne .resume
  vmlaunch
.resume:
  vmresume
.exit:
  mov qword [vmx_launched], 1
  VMRD X_REASON
  ret

; --- What the other processors run ---
bits 16
trampoline:
  cli
  mov ebx, edx                ; as INIT leaves it
  mov eax, cr0
  mov ecx, eax
  xor ax, ax
  mov ds, ax
  o32 lgdt [TRAMPOLINE + .pointer - trampoline]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword SEL_CODE32:.protected
  align 4
.pointer:
  dw GDT_ENTRIES * 8 - 1
  dd gdt
bits 32
.protected:
  mov ax, SEL_DATA
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov gs, ax
  mov esi, ecx
  mov eax, 0x620
  mov cr4, eax
  mov eax, pml4
  mov cr3, eax
  mov ecx, 0xc0000080
  xor edx, edx
  mov eax, 0x900
  wrmsr
  mov eax, 0x80010013
  mov cr0, eax
  jmp SEL_CODE:ap_start
trampoline_end:
bits 64
ap_start:
  mov r15d, 0xfee00000
  mov eax, [APIC(0x20)]
  shr eax, 24
  mov ebp, eax
  ; Stack by id
  imul ecx, ebp, 4096
  lea rsp, [ap_stacks + 4096 + rcx]
  mov ecx, ebp
  shl ecx, 6
  mov [cpu_data + rcx], ebp
  mov eax, [APIC(0x30)]
  and eax, 0xff0000f0
  mov [cpu_data + rcx + 4], eax
  mov [cpu_data + rcx + 8], esi
  and ebx, 0xf000
  mov [cpu_data + rcx + 12], ebx
  mov eax, [APIC(0xf0)]
  mov [cpu_data + rcx + 20], eax
  mov edi, ecx
  mov ecx, 0x1b
  rdmsr
  mov [cpu_data + rdi + 16], eax
  mov eax, 1
  cpuid
  shr ebx, 24
  mov [cpu_data + rdi + 24], ebx
  lidt [idtr]
  mov dword [APIC(0xf0)], 0x1ff
  mov dword [APIC(0xe0)], -1
  mov eax, 1
  mov ecx, ebp
  shl eax, cl
  shl eax, 24
  mov [APIC(0xd0)], eax
  mov r14d, [generation]
  lock inc dword [started]
ap_idle:
  cmp r14d, [generation]
  jne .work
  sti
  hlt
  cli
  jmp ap_idle
.work:
  mov r14d, [generation]
  mov eax, ebp
  call [job]
  lock inc dword [done]
  jmp ap_idle

[section .data]
  align 64
cpu_data: times 4 * 64 db 0
ipis: times 4 dd 0
nmis: times 4 dd 0
stamps: times 4 dd 0
stamp: dd 0
started: dd 0
generation: dd 0
done: dd 0
counter: dd 0
spinlock: dd 0
stage: dd 0
  align 8
job: dq 0
reason: dq 0
qualification: dq 0
ap_stacks: times 4 * 4096 db 0
[section .text]
