/**
 * The built-in L2: a guest operating system of one page. The built-in L1 (or another hypervisor that keeps to the same conventions)
 * starts it in 64-bit mode. NASM syntax; the playground shows it for editing.
 */
export const BUILTIN_L2_SOURCE = String.raw`; The guest: it believes that it owns a PC, and talks through its first serial port.
;
; How it is started (the hypervisor's promises):
;   - 64-bit mode, the image at address 10000h, entry at its first byte
;   - 4 MiB of memory, mapped one to one by page tables below 8000h
;   - a stack that ends at 10000h
;   - interrupts off
; Every IN, OUT, CPUID, HLT and VMCALL below makes the processor leave the guest and
; ask the hypervisor: a VM exit. All other instructions run at full speed.

bits 64
default rel
org 0x10000

COM1        equ 0x3f8           ; data register of the serial port
LINE_STATUS equ COM1 + 5        ; bit 0: a byte has arrived, bit 5: ready to send
LINE_BYTES  equ 78

start:
        lea     rsi, [hello]
        call    print

prompt:
        lea     rsi, [prompt_text]
        call    print
        lea     rdi, [line]     ; the line typed so far is line .. rdi

next_key:
        call    read_key
        cmp     al, 13          ; Enter
        je      line_done
        cmp     al, 8           ; Backspace, as terminals send it: 8 or 127
        je      rub_out
        cmp     al, 127
        je      rub_out
        cmp     al, ' '
        jb      next_key        ; other control characters
        lea     rdx, [line + LINE_BYTES]
        cmp     rdi, rdx
        je      next_key        ; the line is full
        stosb
        call    put_char        ; echo
        jmp     next_key

rub_out:
        lea     rdx, [line]
        cmp     rdi, rdx
        je      next_key
        dec     rdi
        lea     rsi, [rub_out_text]
        call    print
        jmp     next_key

line_done:
        mov     byte [rdi], 0
        lea     rsi, [new_line]
        call    print
        lea     rdx, [line]
        cmp     rdi, rdx
        je      prompt          ; an empty line

        lea     rdi, [command_help]
        call    is_command
        je      do_help
        lea     rdi, [command_cpuid]
        call    is_command
        je      do_cpuid
        lea     rdi, [command_exits]
        call    is_command
        je      do_exits
        lea     rdi, [command_halt]
        call    is_command
        je      do_halt

        lea     rsi, [you_said] ; anything else is repeated
        call    print
        lea     rsi, [line]
        call    print
        lea     rsi, [new_line]
        call    print
        jmp     prompt

do_help:
        lea     rsi, [help_text]
        call    print
        jmp     prompt

; CPUID leaf 40000000h is where hypervisors sign with twelve letters.
do_cpuid:
        mov     eax, 0x40000000
        cpuid
        lea     rdi, [signature]
        mov     [rdi], ebx
        mov     [rdi + 4], ecx
        mov     [rdi + 8], edx
        lea     rsi, [signature_text]
        call    print
        jmp     prompt

; A hypercall: VMCALL with RAX = 1 returns the number of VM exits so far.
do_exits:
        mov     eax, 1
        vmcall
        call    print_number
        lea     rsi, [exits_text]
        call    print
        jmp     prompt

; HLT with interrupts off can never end: the hypervisor will notice.
do_halt:
        lea     rsi, [halt_text]
        call    print
        cli
.forever:
        hlt
        jmp     .forever

; --- Subroutines ---

; Compares the typed line with the name at RDI; ZF = 1 if they are equal.
is_command:
        lea     rsi, [line]
.next:
        mov     al, [rsi]
        cmp     al, [rdi]
        jne     .done
        test    al, al
        jz      .done           ; both ended: ZF = 1
        inc     rsi
        inc     rdi
        jmp     .next
.done:
        ret

; Waits for a key and returns it in AL. HLT lets the hypervisor sleep until one comes.
read_key:
        mov     dx, LINE_STATUS
        in      al, dx
        test    al, 1
        jnz     .ready
        sti
        hlt
        jmp     read_key
.ready:
        mov     dx, COM1
        in      al, dx
        ret

; Prints the zero-terminated text at RSI.
print:
        lodsb
        test    al, al
        jz      .done
        call    put_char
        jmp     print
.done:
        ret

; Sends AL.
put_char:
        push    rax
        mov     dx, LINE_STATUS
.busy:
        in      al, dx
        test    al, 0x20
        jz      .busy
        pop     rax
        mov     dx, COM1
        out     dx, al
        ret

; Prints RAX in decimal.
print_number:
        lea     rsi, [number_end]
        mov     ecx, 10
.digit:
        xor     edx, edx
        div     rcx             ; RAX = quotient, RDX = next digit from the right
        add     dl, '0'
        dec     rsi
        mov     [rsi], dl
        test    rax, rax
        jnz     .digit
        jmp     print

; --- Data ---

hello:          db 13, 10, "hello from L2", 13, 10, "Type help and press Enter.", 13, 10, 0
prompt_text:    db "l2# ", 0
new_line:       db 13, 10, 0
rub_out_text:   db 8, " ", 8, 0
you_said:       db "you said: ", 0
help_text:      db "help   this text", 13, 10
                db "cpuid  ask CPUID who runs this machine", 13, 10
                db "exits  ask the hypervisor (VMCALL) how often I left to it", 13, 10
                db "halt   stop this guest", 13, 10
                db "Anything else is repeated.", 13, 10, 0
exits_text:     db " VM exits so far", 13, 10, 0
halt_text:      db "good night", 13, 10, 0
command_help:   db "help", 0
command_cpuid:  db "cpuid", 0
command_exits:  db "exits", 0
command_halt:   db "halt", 0
signature_text: db "the hypervisor signs as '"
signature:      times 12 db " "
                db "'", 13, 10, 0

number:         times 20 db 0
number_end:     db 0
line:           times LINE_BYTES + 1 db 0
`;
