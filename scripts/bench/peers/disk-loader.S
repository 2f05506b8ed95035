/*
 * Boot sector and loader of the disks that carry bench guests into a PC with nothing but a BIOS (Bochs). The host has worked out
 * beforehand what goes where: a table of (first sector, sectors, address), the entry point and its EAX and EBX. BIOS reads
 * (INT 13h AH=42h) go to a buffer below 1 MiB, and from there to the address through segments that keep a limit of 4 GiB from
 * protected mode. The byte on port E9h at the end tells the host that the guest proper starts.
 */
        .intel_syntax noprefix
        .code16
        .globl  _start

        .set    STAGE2_SECTORS, 7
        .set    BUFFER_SEGMENT, 0x1000
        .set    BUFFER, 0x10000
        .set    CHUNK_SECTORS, 64

        .text
_start:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        mov     [drive], dl
        sti
        cld
        mov     si, OFFSET packet
        mov     ah, 0x42
        int     0x13
        jc      failed
        jmp     stage2

failed: mov     al, '!'
        out     0xe9, al
halted: hlt
        jmp     halted

drive:  .byte   0
        .balign 4
packet: .byte   16, 0                   /* disk address packet */
reads:  .word   STAGE2_SECTORS
        .word   0x7e00, 0               /* offset, segment */
first:  .long   1, 0

gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08h: code, 32 bits, 4 GiB */
        .quad   0x00cf93000000ffff      /* 10h: data, 4 GiB */
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55

stage2: in      al, 0x92                /* A20 */
        or      al, 2
        and     al, 0xfe
        out     0x92, al

        cli                             /* 4 GiB limits for DS and ES, back in real mode */
        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     1f
1:      mov     bx, 0x10
        mov     ds, bx
        mov     es, bx
        and     al, 0xfe
        mov     cr0, eax
        jmp     2f
2:      xor     ax, ax
        mov     ds, ax
        mov     es, ax
        sti

        mov     word ptr [packet + 4], 0
        mov     word ptr [packet + 6], BUFFER_SEGMENT
        mov     bp, OFFSET table
next:   mov     eax, [bp]               /* segments end with a count of 0 */
        mov     [first], eax
        mov     ecx, [bp + 4]
        mov     edi, [bp + 8]
        add     bp, 12
        test    ecx, ecx
        jz      enter
chunk:  mov     eax, CHUNK_SECTORS
        cmp     ecx, eax
        jae     3f
        mov     eax, ecx
3:      mov     [reads], ax
        push    eax
        push    ecx
        push    edi
        push    bp
        mov     si, OFFSET packet
        mov     dl, [drive]
        mov     ah, 0x42
        int     0x13
        jc      failed
        cli                             /* the BIOS may have reloaded the segments with 64 KiB limits */
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 0x10
        mov     ds, bx
        mov     es, bx
        and     al, 0xfe
        mov     cr0, eax
        xor     bx, bx
        mov     ds, bx
        mov     es, bx
        pop     bp
        pop     edi
        pop     edx
        pop     eax
        mov     ecx, eax
        shl     ecx, 7                  /* sectors to doublewords */
        mov     esi, BUFFER
        cld
        addr32 rep movsd
        sti
        add     [first], eax
        sub     edx, eax
        mov     ecx, edx
        jnz     chunk
        jmp     next

enter:  cli
        mov     al, 0xff                /* nothing of the BIOS's interrupts is left on */
        out     0x21, al
        out     0xa1, al
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea              /* JMP 08h:in_protected */
        .long   in_protected
        .word   0x08

        .code32
in_protected:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     ss, ax
        mov     esp, 0x7c00
        mov     al, '@'
        out     0xe9, al
        mov     ecx, [start]
        mov     eax, [start_eax]
        mov     ebx, [start_ebx]
        xor     esi, esi
        xor     edi, edi
        xor     ebp, ebp
        jmp     ecx

        .org    512 + 1024              /* the host writes from here on */
start:    .long 0
start_eax: .long 0
start_ebx: .long 0
table:  .org    512 + STAGE2_SECTORS * 512
