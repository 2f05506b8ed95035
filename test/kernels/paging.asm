; Paging outside IA-32e mode: 32-bit and PAE, all combinations of P, W, U at both levels (and NX), WP, large pages, error codes, CR2,
; accessed and dirty bits, reserved bits, page-crossing accesses, TLB and INVLPG, global pages, PDPTEs (SDM 3A chapter 4).
%include "common32.inc"

LINEAR equ 0x40000000         ; page under test (PDE 100h; PAE: PDPTE 1, PDE 0)
PAGE_A equ 0x400000
PAGE_B equ 0x401000

main:
  mov eax, cr4
  or eax, 0x10                ; PSE
  mov cr4, eax
  call build_tables
  mov dword [mode_pae], 0
  mov eax, page_dir
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  PRINTLN "-- 32-bit paging"
  mov dword [pde_slot], page_dir + 0x400
  mov dword [pte_slot], page_table
  call matrix
  call test_specials
  PRINTLN "-- 4 MiB pages"
  call large_matrix
  ; PAE
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, pdpt
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov dword [mode_pae], 1
  mov dword [pde_slot], pae_dir1
  mov dword [pte_slot], pae_table
  PRINTLN "-- PAE paging"
  call matrix
  PRINTLN "-- 2 MiB pages"
  call large_matrix
  PRINTLN "-- NX"
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x800
  wrmsr
  call nx_matrix
  call test_reserved
  call test_pdptes
  ret

build_tables:
  ; Identity map of 128 MiB for all, in 4 MiB pages and for PAE in 2 MiB pages.
  mov edi, page_dir
  mov eax, 0x87
  mov ecx, 32
.dir:
  mov [edi], eax
  add edi, 4
  add eax, 0x400000
  loop .dir
  mov edi, pae_dir0
  mov eax, 0x87
  mov ecx, 64
.pae:
  mov [edi], eax
  mov dword [edi + 4], 0
  add edi, 8
  add eax, 0x200000
  loop .pae
  mov dword [pdpt], pae_dir0 + 1
  mov dword [pdpt + 8], pae_dir1 + 1
  mov dword [PAGE_A], 0x0b0f90c3      ; RET
  mov dword [PAGE_B], 0x0b0f90c3
  ret

; Does access EDX (0 read, 1 write, 2 fetch; +4 in ring 3) to [access_at]; AL = '.' or the error code as a character.
do_access:
  mov dword [resume_at], .fault
  push ebp
  push edi
  mov [resume_esp], esp
  mov edi, [access_at]
  test edx, 4
  jnz .user
  mov dword [event_vector], -1
  cmp edx, 1
  je .write
  cmp edx, 2
  je .fetch
  mov eax, [edi]
  jmp .ok
.write:
  mov dword [edi], 0x0b0f90c3
  jmp .ok
.fetch:
  call edi
.ok:
  mov al, '.'
  pop edi
  pop ebp
  ret
.fault:
  pop edi
  pop ebp
  cmp dword [event_vector], 0x80
  je .good
  cmp dword [event_vector], 14
  jne .strange
  mov eax, [event_cr2]
  cmp eax, [access_at]
  jne .strange
  mov eax, [event_error]
  cmp eax, 31
  ja .strange
  mov al, [letters + eax]
  ret
.good:
  mov al, '.'
  ret
.strange:
  mov al, '?'
  ret
.user:
  mov eax, user_read
  cmp edx, 5
  jb .go
  mov eax, user_write
  je .go
  mov eax, user_fetch
.go:
  push dword SEL_UDATA
  push dword ring3_top
  push dword 2
  push dword SEL_UCODE
  push eax
  mov ax, SEL_UDATA
  mov ds, ax
  mov es, ax
  iretd
user_read:
  mov eax, [edi]
  int 0x80
user_write:
  mov dword [edi], 0x0b0f90c3
  int 0x80
user_fetch:
  call edi
  int 0x80

; One access with fresh entries EBX (PDE) and ECX (PTE); prints the result and the accessed and dirty bits it left.
one_access:
  pushad
  mov esi, [pde_slot]
  mov eax, ebx
  mov [esi], eax
  mov eax, [pde_high]
  cmp dword [mode_pae], 0
  je .pte
  mov [esi + 4], eax
.pte:
  mov esi, [pte_slot]
  mov [esi], ecx
  mov eax, [pte_high]
  cmp dword [mode_pae], 0
  je .flush
  mov [esi + 4], eax
.flush:
  mov eax, cr3
  mov cr3, eax
  call do_access
  call put_char
  ; A of PDE, A and D of PTE
  mov esi, [pde_slot]
  mov eax, [esi]
  shr eax, 5
  and eax, 1
  test byte [esi], 0x80
  jnz .large
  mov esi, [pte_slot]
  mov edx, [esi]
  shr edx, 4
  and edx, 6
  or eax, edx
  jmp .put
.large:
  mov edx, [esi]
  shr edx, 5
  and edx, 2
  or eax, edx
.put:
  add al, '0'
  call put_char
  popad
  ret
put_char:
  push edx
  call putc
  pop edx
  ret

; All P W U of PDE and PTE, six accesses, both WP.
matrix:
  mov dword [access_at], LINEAR
  mov dword [pde_high], 0
  mov dword [pte_high], 0
  xor ebp, ebp
.wp:
  mov eax, cr0
  and eax, ~0x10000
  test ebp, ebp
  jz .set
  or eax, 0x10000
.set:
  mov cr0, eax
  SHOWLN "wp", ebp
  xor ebx, ebx
.pde:
  xor ecx, ecx
  mov eax, ebx
  call put_hex8
.pte:
  PRINT " "
  xor edx, edx
.access:
  push ebx
  push ecx
  add ebx, page_table
  or ecx, PAGE_A
  cmp dword [mode_pae], 0
  je .two
  sub ebx, page_table
  add ebx, pae_table
.two:
  call one_access
  pop ecx
  pop ebx
  inc edx
  cmp edx, 3
  jne .next
  mov edx, 4
.next:
  cmp edx, 7
  jb .access
  inc ecx
  cmp ecx, 8
  jb .pte
  NEWLINE
  inc ebx
  cmp ebx, 8
  jb .pde
  inc ebp
  cmp ebp, 2
  jb .wp
  ret

large_matrix:
  xor ebp, ebp
.wp:
  mov eax, cr0
  and eax, ~0x10000
  test ebp, ebp
  jz .set
  or eax, 0x10000
.set:
  mov cr0, eax
  SHOW "wp", ebp
  xor ebx, ebx
.pde:
  PRINT " "
  xor edx, edx
.access:
  push ebx
  or ebx, PAGE_A | 0x80
  xor ecx, ecx
  call one_access
  pop ebx
  inc edx
  cmp edx, 3
  jne .next
  mov edx, 4
.next:
  cmp edx, 7
  jb .access
  inc ebx
  cmp ebx, 8
  jb .pde
  NEWLINE
  inc ebp
  cmp ebp, 2
  jb .wp
  ret

nx_matrix:
  mov dword [access_at], LINEAR
  mov edi, 0
.case:
  mov eax, edi
  shl eax, 31
  mov [pte_high], eax
  mov eax, edi
  shr eax, 1
  shl eax, 31
  mov [pde_high], eax
  mov eax, edi
  call put_hex8
  PRINT " "
  xor edx, edx
.access:
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 7
  call one_access
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 5
  call one_access
  mov ebx, pae_table + 3
  mov ecx, PAGE_A + 7
  call one_access
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 6
  call one_access
  mov ebx, PAGE_A + 0x87
  call one_access
  inc edx
  cmp edx, 3
  jne .next
  mov edx, 4
.next:
  cmp edx, 7
  jb .access
  NEWLINE
  inc edi
  cmp edi, 4
  jb .case
  ret

; Reserved bits: in a PDE or PTE they fault with RSVD whatever else the entry says.
test_reserved:
  PRINTLN "-- reserved bits"
  xor ebx, ebx
.nxe:
  mov ecx, 0xc0000080
  rdmsr
  and eax, ~0x800
  mov edx, ebx
  shl edx, 11
  or eax, edx
  xor edx, edx
  wrmsr
  SHOW "nxe", ebx
  push ebx
  xor edi, edi
.bit:
  ; Bit 52 + EDI of PTE, PDE, large PDE, read in ring 0
  mov eax, 1
  mov ecx, edi
  add ecx, 20
  shl eax, cl
  mov dword [pde_high], 0
  mov [pte_high], eax
  PRINT " "
  xor edx, edx
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 7
  call one_access
  mov [pde_high], eax
  mov dword [pte_high], 0
  call one_access
  mov ebx, PAGE_A + 0x87
  call one_access
  inc edi
  cmp edi, 12
  jb .bit
  NEWLINE
  pop ebx
  inc ebx
  cmp ebx, 2
  jb .nxe
  mov dword [pde_high], 0
  mov dword [pte_high], 0
  ; Bits 13-20 of a 2 MiB page, ring 3 write
  mov edi, 12
.low:
  mov eax, 1
  mov ecx, edi
  shl eax, cl
  mov ebx, PAGE_A + 0x87
  or ebx, eax
  mov edx, 5
  call one_access
  inc edi
  cmp edi, 21
  jb .low
  NEWLINE
  ; Not present: reserved bits do not matter
  mov dword [pte_high], 0x7ff00000
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 6
  mov edx, 0
  call one_access
  mov dword [pte_high], 0
  NEWLINE
  ret

test_pdptes:
  PRINTLN "-- PDPTEs"
  ; They are read at MOV CR3 only; reserved bits are #GP there.
  mov ebx, pae_table + 7
  mov ecx, PAGE_A + 7
  mov edx, 0
  call one_access
  mov dword [pdpt + 8], 0
  mov dword [pde_high], 0
  mov edi, LINEAR
  invlpg [edi]
  TRY "cached", mov eax, [LINEAR]
  mov eax, cr3
  TRY "mov cr3", mov cr3, eax
  TRY "not present", mov eax, [LINEAR]
  %macro BADPDPTE 2
    mov dword [pdpt + 8], pae_dir1 + 1 + %2
    mov eax, cr3
    TRY %1, mov cr3, eax
  %endmacro
  BADPDPTE "bit 1", 2
  BADPDPTE "bit 2", 4
  BADPDPTE "bit 3 pwt", 8
  BADPDPTE "bit 4 pcd", 16
  BADPDPTE "bit 5", 0x20
  BADPDPTE "bit 8", 0x100
  BADPDPTE "bits 9-11", 0xe00
  mov dword [pdpt + 8], pae_dir1 + 1
  mov dword [pdpt + 12], 0x80000000
  mov eax, cr3
  TRY "bit 63", mov cr3, eax
  mov dword [pdpt + 8], pae_dir1
  TRY "bit 63 of an absent one", mov cr3, eax
  mov dword [pdpt + 12], 0
  mov dword [pdpt + 8], pae_dir1 + 1
  TRY "good", mov cr3, eax
  ; CR4.PAE, PGE and PSE changes reload them too; so does CR0.
  mov dword [pdpt + 8], pae_dir1 + 3
  mov eax, cr4
  xor eax, 0x80
  TRY "cr4.pge", mov cr4, eax
  mov eax, cr4
  xor eax, 0x04
  TRY "cr4.tsd", mov cr4, eax
  mov eax, cr0
  xor eax, 0x40000000
  TRY "cr0.cd", mov cr0, eax
  mov eax, cr0
  xor eax, 0x10000
  TRY "cr0.wp", mov cr0, eax
  mov dword [pdpt + 8], pae_dir1 + 1
  mov eax, cr3
  mov cr3, eax
  ; Other ways into #GP
  mov eax, cr0
  and eax, ~1
  TRY "pg without pe", mov cr0, eax
  mov eax, cr0
  or eax, 0x20000000
  and eax, ~0x40000000
  TRY "nw without cd", mov cr0, eax
  mov eax, cr4
  or eax, 0x80000000
  TRY "cr4 reserved", mov cr4, eax
  mov eax, cr4
  or eax, 0x1000
  TRY "cr4.la57", mov cr4, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x100
  TRY "efer.lme with paging", wrmsr
  or eax, 0x200
  TRY "efer reserved", wrmsr
  ret

test_specials:
  PRINTLN "crossing"
  ; Two pages: the second with other rights; CR2 names the byte that faults, and nothing is written before.
  mov dword [page_dir + 0x400], page_table + 7
  mov dword [page_table], PAGE_A + 7
  mov dword [page_table + 4], 0
  call flush
  mov dword [PAGE_A + 0xffc], 0x11111111
  TRY "read", mov eax, [LINEAR + 0xffe]
  TRY "write", mov dword [LINEAR + 0xffd], 0x22222222
  SHOWLN "kept", [PAGE_A + 0xffc]
  TRY "fetch", call LINEAR + 0x1000
  mov dword [PAGE_A + 0xffc], 0x00b89090      ; MOV EAX, imm32 over the edge
  TRY "fetch over the edge", call LINEAR + 0xffc

  mov dword [page_table + 4], PAGE_B + 5
  call flush
  mov dword [PAGE_A + 0xffc], 0x11111111
  mov eax, cr0
  or eax, 0x10000
  mov cr0, eax
  TRY "write protected second", mov dword [LINEAR + 0xffd], 0x22222222
  SHOWLN "kept", [PAGE_A + 0xffc]
  TRY "rmw", add dword [LINEAR + 0xffe], 0x01010101
  SHOWLN "kept", [PAGE_A + 0xffc]
  TRY "lock rmw", lock add dword [LINEAR + 0xffe], 0x01010101
  TRY "fstp", fstp qword [LINEAR + 0xffc]
  fninit
  mov [keep_esp], esp
  TRY "pop mem", {pop dword [LINEAR + 0x1000]}
  mov eax, esp
  sub eax, [keep_esp]
  SHOWLN "esp moved", eax
  mov esp, [keep_esp]
  ; String operations stop in the middle and can be continued.
  mov edi, LINEAR + 0xff0
  mov ecx, 8
  mov eax, 0x5a5a5a5a
  cld
  TRY "rep stosd", rep stosd
  SHOW "ecx", [result_ecx]
  SHOWLN " edi", edi
  mov edi, LINEAR + 0x1004
  mov ecx, 8
  std
  TRY "rep stosd down", rep stosd
  cld
  SHOW "ecx", [result_ecx]
  SHOWLN " edi", edi
  mov esi, PAGE_B
  mov edi, LINEAR + 0xffd
  mov ecx, 3
  TRY "rep movsd crossing", rep movsd
  SHOW "ecx", [result_ecx]
  SHOW " esi", esi
  SHOWLN " edi", edi
  ; Read-only first, missing second page: the read part of a RMW faults for the write.
  mov dword [page_table + 4], 0
  call flush
  TRY "cmpxchg8b", cmpxchg8b [LINEAR + 0x1000]
  TRY "bt", bt dword [LINEAR + 0x1000], 0
  TRY "bts", bts dword [LINEAR + 0x1000], 0
  TRY "xchg", xchg [LINEAR + 0x1000], eax
  TRY "test", test dword [LINEAR + 0x1000], 1
  TRY "setc", setc [LINEAR + 0x1000]
  TRY "sgdt", sgdt [LINEAR + 0x1000]
  TRY "fxsave", fxsave [LINEAR + 0x1000]
  TRY "fnstenv", fnstenv [LINEAR + 0xff0]
  TRY "lgdt", lgdt [LINEAR + 0xffe]
  mov edi, LINEAR + 0x1000
  mov dx, 0x80
  TRY "insb", insb
  TRY "invlpg", invlpg [LINEAR + 0x1000]
  TRY "clflush", clflush [LINEAR + 0x1000]
  TRY "prefetch", prefetcht0 [LINEAR + 0x1000]
  TRY "bound", bound eax, [LINEAR + 0x1000]
  TRY "lds", lds eax, [LINEAR + 0xffd]
  mov ax, SEL_DATA
  mov ds, ax
  PRINTLN "translation caching"
  ; A stale translation may be used until INVLPG; after it the new one must be.
  mov dword [page_table], PAGE_A + 7
  call flush
  mov dword [PAGE_A], 0xaaaaaaaa
  mov dword [PAGE_B], 0xbbbbbbbb
  mov eax, [LINEAR]
  mov dword [page_table], PAGE_B + 7
  invlpg [LINEAR + 0x123]
  mov eax, [LINEAR]
  SHOWLN "after invlpg", eax
  mov dword [page_table], PAGE_A + 7
  mov eax, cr3
  mov cr3, eax
  mov eax, [LINEAR]
  SHOWLN "after cr3", eax
  ; Rights can be raised without a flush: the fault looks at memory again.
  mov dword [page_table], PAGE_A + 5
  call flush
  mov eax, [LINEAR]
  mov dword [page_table], PAGE_A + 7
  TRY "raised rights", mov [LINEAR], eax
  ; Global pages survive CR3, not a change of CR4.PGE.
  mov eax, cr4
  or eax, 0x80
  mov cr4, eax
  mov dword [page_table], PAGE_A + 0x107
  call flush
  mov eax, [LINEAR]
  mov dword [page_table], PAGE_B + 7
  mov eax, cr4
  xor eax, 0x80
  mov cr4, eax
  mov eax, [LINEAR]
  SHOWLN "global after pge", eax
  ; Dirty bit of a page first read, then written
  mov dword [page_table], PAGE_A + 7
  call flush
  mov eax, [LINEAR]
  mov eax, [page_table]
  and eax, 0xfff
  SHOW "read", eax
  mov [LINEAR], eax
  mov eax, [page_table]
  and eax, 0xfff
  SHOWLN " written", eax
  ; Descriptor and IDT accesses are supervisor ones even from ring 3; the stack push of an event faults as supervisor.
  mov dword [PAGE_A], 0x0b0f90c3
  mov dword [PAGE_B], 0x0b0f90c3
  mov eax, cr0
  and eax, ~0x10000
  mov cr0, eax
  ret

flush:
  mov eax, cr3
  mov cr3, eax
  ret

[section .data]
letters: db '0123456789abcdefghijklmnopqrstuv'
  align 4
mode_pae: dd 0
pde_slot: dd 0
pte_slot: dd 0
pde_high: dd 0
pte_high: dd 0
access_at: dd 0
keep_esp: dd 0
  align 4096
page_dir: times 4096 db 0
page_table: times 4096 db 0
pdpt: times 4096 db 0
pae_dir0: times 4096 db 0
pae_dir1: times 4096 db 0
pae_table: times 4096 db 0
