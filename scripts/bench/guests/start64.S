/*
 * Entry of the 64-bit images, workloads and monitor: a multiboot 1 kernel that maps the first 4 GiB one to one with 2 MiB pages,
 * goes to 64-bit mode and calls image_main(multiboot information). A hypervisor without unrestricted guest enters at the address
 * at offset 8 instead, in 64-bit mode with such a mapping of its own.
 */
        .intel_syntax noprefix
        .section .start, "ax"
        .globl  _start
        .code32
_start: jmp     begin
        .balign 8
        .long   begin64, 0
        .long   0x1badb002, 0, -0x1badb002

begin:  cli
        cld
        mov     ebp, ebx
        mov     edi, OFFSET boot_tables /* six pages: PML4, PDPT, four page directories */
        mov     ecx, 6 * 1024
        xor     eax, eax
        rep     stosd
        mov     edi, OFFSET boot_tables
        lea     eax, [edi + 0x1007]     /* present, writable, user */
        mov     [edi], eax
        lea     ebx, [edi + 0x1000]
        mov     ecx, 4
1:      add     eax, 0x1000
        mov     [ebx], eax
        add     ebx, 8
        loop    1b
        lea     ebx, [edi + 0x2000]
        mov     eax, 0x87               /* present, writable, user, 2 MiB */
        mov     ecx, 2048
2:      mov     [ebx], eax
        add     ebx, 8
        add     eax, 0x200000
        loop    2b

        mov     eax, cr4
        or      eax, 0x20               /* PAE */
        mov     cr4, eax
        mov     cr3, edi
        mov     ecx, 0xc0000080         /* IA32_EFER: LME, SCE */
        rdmsr
        or      eax, 0x101
        wrmsr
        mov     eax, cr0
        or      eax, 0x80010020         /* PG, WP, NE */
        mov     cr0, eax
        lgdt    [gdt_pointer]
        mov     ebx, ebp
        ljmp    0x18, begin64

        .code64
begin64:
        cli
        cld
        lgdt    [gdt_pointer]
        mov     eax, 0x20
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        xor     eax, eax
        mov     fs, eax
        mov     gs, eax
        mov     esp, OFFSET boot_stack_top
        mov     ebx, ebx
        mov     edi, OFFSET bss_start
        mov     ecx, OFFSET bss_end
        sub     ecx, edi
        rep     stosb
        push    0x18
        mov     eax, OFFSET in_code_segment
        push    rax
        rex.w   retf
in_code_segment:
        mov     edi, ebx
        call    image_main
3:      hlt
        jmp     3b

        .globl  gdt
        .balign 16
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08h: code, 32 bits */
        .quad   0x00cf93000000ffff      /* 10h: data */
        .quad   0x00af9b000000ffff      /* 18h: code, 64 bits */
        .quad   0x00cf93000000ffff      /* 20h: data */
        .quad   0x00cffb000000ffff      /* 28h: user code, 32 bits */
        .quad   0x00cff3000000ffff      /* 30h: user data */
        .quad   0x00affb000000ffff      /* 38h: user code, 64 bits */
        .globl  tss_descriptor
tss_descriptor:
        .quad   0, 0                    /* 40h */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .quad   gdt

        /* Not in .bss, which is cleared when they are in use already. */
        .section .boot, "aw", @nobits
        .balign 4096
boot_tables:
        .skip   6 * 4096
        .skip   16384
boot_stack_top:
