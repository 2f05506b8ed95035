# Multiboot 1 entry, long mode with a 4 GiB identity map, exception stubs, and the two sides of a VM entry.
.set HOST_RSP, 0x6c14
.code32
.section .multiboot, "a"
.balign 4
.long 0x1badb002, 0, -0x1badb002

.text
.globl _start
_start:
  cli
  mov $stack_top, %esp
  # PML4 -> PDPT -> 4 page directories of 2 MiB pages, user-accessible.
  movl $pdpt + 7, pml4
  movl $pd + 0x0007, pdpt
  movl $pd + 0x1007, pdpt + 8
  movl $pd + 0x2007, pdpt + 16
  movl $pd + 0x3007, pdpt + 24
  mov $pd, %edi
  mov $0x87, %eax
1: mov %eax, (%edi)
  movl $0, 4(%edi)
  add $8, %edi
  add $0x200000, %eax
  jnc 1b
  mov $pml4, %eax
  mov %eax, %cr3
  mov $0x620, %eax             # PAE, OSFXSR, OSXMMEXCPT
  mov %eax, %cr4
  mov $0xc0000080, %ecx
  rdmsr
  or $0x100, %eax
  wrmsr
  mov $0x80000033, %eax
  mov %eax, %cr0
  lgdt gdt_pointer
  ljmp $8, $1f
.code64
1: mov $16, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  mov $stack_top, %rsp
  # TSS descriptor base.
  mov $tss, %eax
  mov %ax, gdt + 0x2a
  shr $16, %eax
  mov %al, gdt + 0x2c
  mov %ah, gdt + 0x2f
  mov $0x28, %eax
  ltr %ax
  call main
1: hlt
  jmp 1b

# --- Exceptions and interrupts: 256 stubs of 16 bytes ---
.balign 16
.globl stubs
stubs:
.set n, 0
.rept 256
  .balign 16
  .if (n != 8) && (n != 10) && (n != 11) && (n != 12) && (n != 13) && (n != 14) && (n != 17)
  push $0
  .endif
  pushq $n
  jmp stub_common
  .set n, n + 1
.endr
stub_common:
  push %rax
  push %rcx
  push %rdx
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  cld
  lea 72(%rsp), %rdi           # vector, error, RIP, CS, RFLAGS, RSP, SS
  call on_exception
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq

# --- VM entry: int vm_run(int resume); 0 after a VM exit, else RFLAGS of the failed instruction ---
.globl vm_run
vm_run:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  mov $HOST_RSP, %eax
  vmwrite %rsp, %rax
  mov %edi, vm_resume_flag
  mov regs + 8, %rcx
  mov regs + 16, %rdx
  mov regs + 24, %rbx
  mov regs + 40, %rbp
  mov regs + 48, %rsi
  mov regs + 56, %rdi
  mov regs + 64, %r8
  mov regs + 72, %r9
  mov regs + 80, %r10
  mov regs + 88, %r11
  mov regs + 96, %r12
  mov regs + 104, %r13
  mov regs + 112, %r14
  mov regs + 120, %r15
  cmpl $0, vm_resume_flag
  mov regs, %rax
  jne 1f
  vmlaunch
  jmp 2f
1: vmresume
2: pushf
  popq vm_flags
  jmp 3f
.globl vm_exit_entry
vm_exit_entry:
  movq $0, vm_flags
3: mov %rax, regs
  mov %rcx, regs + 8
  mov %rdx, regs + 16
  mov %rbx, regs + 24
  mov %rbp, regs + 40
  mov %rsi, regs + 48
  mov %rdi, regs + 56
  mov %r8, regs + 64
  mov %r9, regs + 72
  mov %r10, regs + 80
  mov %r11, regs + 88
  mov %r12, regs + 96
  mov %r13, regs + 104
  mov %r14, regs + 112
  mov %r15, regs + 120
  mov vm_flags, %eax
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret

# u64 vm_enter(u64 registers[16], int resume): like vm_run, for any processor: RFLAGS of a failed entry, 0 after a VM exit.
.globl vm_enter, vm_enter_exit
vm_enter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rdi
  mov $HOST_RSP, %eax
  vmwrite %rsp, %rax
  test %esi, %esi
  mov (%rdi), %rax
  mov 8(%rdi), %rcx
  mov 16(%rdi), %rdx
  mov 24(%rdi), %rbx
  mov 48(%rdi), %rsi
  mov 56(%rdi), %rdi
  jne 1f
  vmlaunch
  jmp 2f
1: vmresume
2: pushf
  pop %rax
  pop %rdi
  jmp 3f
vm_enter_exit:
  xchg %rdi, (%rsp)
  mov %rax, (%rdi)
  mov %rcx, 8(%rdi)
  mov %rdx, 16(%rdi)
  mov %rbx, 24(%rdi)
  mov %rsi, 48(%rdi)
  pop %rax
  mov %rax, 56(%rdi)
  xor %eax, %eax
3: pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret

# --- Start of the other processors: copied to a page below 1 MiB ---
.globl trampoline, trampoline_end, next_stack
trampoline:
.code16
  cli
  xor %ax, %ax
  mov %ax, %ds
  lgdtl gdt_pointer_low - trampoline + 0x8000
  mov $0x620, %eax
  mov %eax, %cr4
  mov $pml4, %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx
  rdmsr
  or $0x900, %eax
  wrmsr
  mov $0x80000033, %eax
  mov %eax, %cr0
  ljmpl $8, $processor_start
gdt_pointer_low:
  .word gdt_end - gdt - 1
  .long gdt
trampoline_end:
.code64
processor_start:
  mov $16, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $-4096, %rsp
  lock xadd %rsp, next_stack
  call processor_main
1: hlt
  jmp 1b

# int launch_after_mov_ss(void): RFLAGS of a VMLAUNCH in the shadow of MOV SS.
.globl launch_after_mov_ss
launch_after_mov_ss:
  mov %ss, %eax
  mov %eax, %ss
  vmlaunch
  pushf
  pop %rax
  ret

.data
.balign 16
.globl gdt
gdt:
  .quad 0
  .quad 0x00af9b000000ffff     # 08 64-bit code
  .quad 0x00cf93000000ffff     # 10 data
  .quad 0x00cff3000000ffff     # 18 user data
  .quad 0x00affb000000ffff     # 20 user 64-bit code
  .quad 0x0000890000000067, 0  # 28 TSS
  .quad 0x00cf9b000000ffff     # 38 32-bit code
  .quad 0x0000890000000067, 0  # 40 another TSS
gdt_end:
gdt_pointer:
  .word gdt_end - gdt - 1
  .long gdt
  .long 0
.globl regs, vm_flags
regs: .fill 16, 8, 0
vm_flags: .quad 0
vm_resume_flag: .long 0
.balign 8
next_stack: .quad stacks_top

.bss
.balign 4096
.globl pml4, pdpt, pd, tss
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 4 * 4096
tss: .skip 4096
  .skip 16384
.globl stack_top
stack_top:
  .balign 4096
  .skip 8 * 4096
stacks_top:
  .section .note.GNU-stack, "", @progbits
