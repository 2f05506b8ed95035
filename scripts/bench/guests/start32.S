/*
 * Entry of the 32-bit workloads: a multiboot 1 kernel in flat protected mode without paging. The first instruction of the image is
 * also its entry, for the bench's monitor.
 */
        .intel_syntax noprefix
        .section .start, "ax"
        .globl  _start
_start: jmp     begin
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

begin:  cli
        cld
        mov     esp, 0x2100000
        mov     edi, OFFSET bss_start
        mov     ecx, OFFSET bss_end
        sub     ecx, edi
        xor     eax, eax
        rep     stosb
        mov     dword ptr [heap], 0x1000000
        push    [ebx + 16]              /* multiboot information: the command line */
        call    run_command_line
