; Model-specific registers and CPUID: which exist, what they hold, what is refused (SDM 4; SDM 2A CPUID).
%include "common64.inc"

; Tries a read; then prints the value or the fault
%macro READ 2
  mov ecx, %2
  TRYBEGIN
    rdmsr
  TRYEND %1
%endmacro
%macro SHOWMSR 2
  READMSR %2
  SHOWLN %1, rax
%endmacro
; Writes, prints the fault or what is read back, and restores.
%macro WRITE 3
  mov ecx, %2
  mov rax, %3
  call write_back
  PRINTLN " ", %1
%endmacro
write_back:
  mov r8, rax
  rdmsr
  mov r10d, eax
  mov r11d, edx
  mov rax, r8
  mov rdx, rax
  shr rdx, 32
  mov qword [resume_at], .fault
  mov [resume_rsp], rsp
  wrmsr
  rdmsr
  shl rdx, 32
  mov eax, eax
  or rax, rdx
  push rax
  call put_hex
  mov eax, r10d
  mov edx, r11d
  wrmsr
  ret
.fault:
  mov rax, [event_vector]
  call put_hex8
  PRINT "------"
  ret

main:
  call test_existence
  call test_values
  call test_cpuid
  ret

test_existence:
  PRINTLN "-- existence"
  READ "tsc", 0x10
  READ "platform id", 0x17
  READ "feature control", 0x3a
  READ "tsc adjust", 0x3b
  READ "microcode", 0x8b
  READ "mtrrcap", 0xfe
  READ "misc enable", 0x1a0
  READ "mcg cap", 0x179
  READ "mc0", 0x400
  READ "mc5 misc", 0x417
  READ "mc6", 0x418
  READ "mc31", 0x47c
  READ "vmx basic", 0x480
  READ "x2apic id", 0x802
  READ "efer", 0xc0000080
  READ "tsc ratio", 0xc0000104
  READ "amd", 0xc0010015
  READ "hypervisor", 0x40000000
  READ "kvm clock", 0x4b564d00
  READ "nothing", 0x12345678
  READ "all ones", 0xffffffff
  mov ecx, 0x12345678
  TRY "write nothing", wrmsr
  mov ecx, 0x480
  TRY "write vmx basic", wrmsr
  mov ecx, 0xfe
  TRY "write mtrrcap", wrmsr
  mov ecx, 0x3a
  rdmsr
  TRY "write locked feature control", wrmsr
  ; Only ECX counts.
  mov rcx, 0xffffffff00000010
  TRY "rcx high", rdmsr
  mov rax, -1
  mov rdx, -1
  mov ecx, 0x17
  rdmsr
  SHOW "rax", rax
  SHOWLN " rdx", rdx
  ret

test_values:
  PRINTLN "-- values"
  WRITE "sysenter cs", 0x174, 0x1234
  WRITE "sysenter esp", 0x175, 0x123456789abc
  WRITE "sysenter eip", 0x176, 0xffff800000000000
  WRITE "pat", 0x277, 0x0707070707070707
  WRITE "pat 2", 0x277, 0x0706050401000707 
  WRITE "pat type 2", 0x277, 0x0007040600070402
  WRITE "pat type 3", 0x277, 0x0307040600070406
  WRITE "pat type 8", 0x277, 0x0007040800070406
  WRITE "kernel gs", 0xc0000102, 0x123456789abc
  WRITE "kernel gs canonical", 0xc0000102, 0x8000000000000000
  WRITE "star", 0xc0000081, 0x123456789abcdef0
  WRITE "fmask", 0xc0000084, 0xffffffff
  WRITE "tsc_aux", 0xc0000103, 0xffffffff
  WRITE "efer sce", 0xc0000080, 0xd01
  WRITE "efer lma written 0", 0xc0000080, 0x901
  WRITE "efer lme off", 0xc0000080, 0xc01
  WRITE "efer reserved", 0xc0000080, 0xf01
  WRITE "efer svme", 0xc0000080, 0x1d01
  WRITE "efer high", 0xc0000080, 0x100000d01
  WRITE "mtrr base", 0x200, 0x12345006
  WRITE "mtrr base type 2", 0x200, 0x12345002
  WRITE "mtrr base type 7", 0x200, 0x12345007
  WRITE "mtrr base reserved", 0x200, 0x12345106
  WRITE "mtrr base wide", 0x200, 0x0100000000000006
  WRITE "mtrr mask", 0x201, 0xf00000800
  WRITE "mtrr mask reserved", 0x201, 0xf00000801
  WRITE "mtrr fixed", 0x250, 0x0605040100060606
  WRITE "mtrr fixed type 2", 0x250, 0x0605040200060606
  WRITE "mtrr default", 0x2ff, 0xc06
  WRITE "mtrr default reserved", 0x2ff, 0x1c06
  WRITE "debugctl", 0x1d9, 3
  WRITE "mc0 ctl 0", 0x400, 0
  WRITE "mc0 ctl ones", 0x400, 0xffffffffffffffff
  WRITE "mc0 ctl other", 0x400, 0x8000000000000000
  WRITE "mc0 status 0", 0x401, 0
  WRITE "mc0 status 1", 0x401, 1
  WRITE "mc0 addr", 0x402, 0xffffffffffffffff
  WRITE "mc1 misc", 0x407, 0x1234567890
  WRITE "misc enable", 0x1a0, 0x00850809
  WRITE "apic base high", 0x1b, 0x1000000fee00900
  mov ecx, 0x10
  xor eax, eax
  xor edx, edx
  wrmsr
  rdmsr
  cmp eax, 10000
  ja .far
  PRINTLN "tsc written"
.far:
  mov ecx, 0x10
  mov edx, 0x12345678
  wrmsr
  rdtsc
  SHOWLN "tsc high", rdx
  rdtscp
  SHOWLN "rdtscp high", rdx
  SHOWLN "aux", rcx
  ret

test_cpuid:
  PRINTLN "-- cpuid"
  mov eax, 0
  cpuid
  SHOW32 "0", eax
  mov [text], ebx
  mov [text + 4], edx
  mov [text + 8], ecx
  PRINT " "
  mov rsi, text
  call puts
  NEWLINE
  ; Upper halves are cleared.
  mov rax, -1
  mov rbx, -1
  mov rcx, -1
  mov rdx, -1
  mov eax, 0x80000003
  cpuid
  shr rax, 32
  shr rbx, 32
  shr rcx, 32
  shr rdx, 32
  or rax, rbx
  or rax, rcx
  or rax, rdx
  SHOWLN "high", rax
  TRY "monitor", monitor
  TRY "xsave", xsave [text]
  TRY "rdrand", rdrand eax
  TRY "aesenc", aesenc xmm0, xmm1
  TRY "crc32", crc32 eax, ebx
  TRY "popcnt", popcnt eax, ebx
  TRY "lzcnt runs as bsr", lzcnt eax, ebx
  TRY "andn", andn eax, ebx, ecx
  TRY "vaddps", vaddps xmm0, xmm1, xmm2
  TRY "rdpmc", rdpmc
  ret

[section .data]
  align 64
text: times 256 db 0
[section .text]
