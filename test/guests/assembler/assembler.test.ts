/** Directives, expressions, macros and messages of the assembler; NASM is the judge where there is one. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../src/guests/assembler/assembler';

function hex(source: string): string {
  const result = assemble(source);
  return result.ok ? Buffer.from(result.bytes).toString('hex') : `error: ${result.errors.map((error) => `${error.line}: ${error.message}`).join('; ')}`;
}

function nasm(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'nasm-'));
  const input = join(directory, 'in.asm'), output = join(directory, 'out');
  writeFileSync(input, source);
  const { status, stderr } = spawnSync('nasm', ['-f', 'bin', '-w-all', '-o', output, input], { encoding: 'utf8' });
  return status === 0 ? readFileSync(output).toString('hex') : `error: ${stderr}`;
}

function messages(source: string): string[] {
  const result = assemble(source);
  return result.ok ? [] : result.errors.map((error) => `${error.line}: ${error.message}`);
}

const SOURCES: Record<string, string> = {
  'data': `db 1, -1, 'a', "bc", "it's"
dw 'ab', 0x1234, 'abc'
dd 1.5, -2.25, 0x12345678
dq 3.141592653589793, -1
dt 1.0, -0.5
db \`a\\n\\x41\\0\``,
  'numbers': 'dd 0x1f, 1fh, 0b1010, 1010b, 0o17, 17o, 1_000, 0d10, 0ah',
  'expressions': `a equ 5
dd a + 3 * 2, (a + 3) * 2, -a, ~a & 0xff, 1 << 4 | 3, 100 / 7, 100 % 7, -7 // 2, 7 ^ 2, a > 3 && a < 10, 1 << a >> 1
dd a == 5, a != 5, a <= 4 || 1, !a, !0`,
  'labels and local labels': `org 0x7c00
bits 16
start: jmp .end
.loop: dec cx
 jnz .loop
.end: ret
other:
.loop: jmp .loop
 jmp start.loop
 dw start, .loop, $, $$, $ - $$`,
  'long and short jumps': `bits 32
a: jmp b
 jz c
 times 120 nop
b: jmp a
 times 10 nop
c: jz a
 call a
 jmp near a
 jmp short c`,
  'a chain of jumps that grow': `bits 64
${Array.from({ length: 40 }, (_, n) => `l${n}: jmp l${(n * 7 + 13) % 40}\n times ${n % 5} nop`).join('\n')}`,
  'times and padding': `bits 16
org 0x7c00
 mov ax, 1
times 510 - ($ - $$) db 0
 dw 0xaa55
times 3 db 1, 2`,
  'alignment': `bits 32
 nop
align 8
 nop
align 16, db 0xcc
 db 1
alignb 4
 db 2`,
  'reserved space': 'a: db 1\nresb 3\nresd 2\nb: dw b - a',
  'define and assign': `%define SIZE 16
%define twice(x) ((x) * 2)
%define sum(a, b) (a + b)
%assign n 3
%assign n n + 1
 db SIZE, twice(4), sum(1, twice(2)), n
%undef SIZE
SIZE: db 7`,
  'macros': `bits 32
%macro save 2
 push %1
 push %2
%endmacro
%macro count 1-3
 db %0
%endmacro
%macro spin 0
%%again: dec ecx
 jnz %%again
%endmacro
%macro text 1+
 db %1, 0
%endmacro
start: save eax, ebx
 count 1
 count 1, 2, 3
.a: spin
 spin
 jmp .a
 text 'hi', 13, 10`,
  'repetition and conditions': `%assign i 0
%rep 4
 db i
%assign i i + 1
%endrep
%define DEBUG 1
%if i == 4
 db 0x44
%else
 db 0x55
%endif
%ifdef DEBUG
 %ifndef OTHER
 db 0x66
 %endif
%elif 1
 db 0x77
%endif
%ifdef NOPE
 db 1
%else
 db 2
%endif`,
  'default rel and segments': `bits 64
default rel
x: mov eax, [x]
 mov eax, [abs x]
 mov eax, [fs:0x10]
 mov eax, [gs:rax]
 lea rdi, [rel y]
 cmp dword [y], 5
 add qword [y + 8], 0x1000
default abs
 mov eax, [y]
y: dq 0`,
  'address forms': `bits 64
 mov eax, [rax*2]
 mov eax, [rax*3]
 mov eax, [rax*5+4]
 mov eax, [rbx+rax*1]
 mov eax, [rax+rsp]
 mov eax, [rbp+rax]
 mov eax, [4*rcx+rdx-8]
 mov eax, [rax+rax*4]
 mov eax, [2*rax+rax]
 lea eax, [ebx+4]
 mov al, [r13]
 mov [rsp+r12*8+0x80], spl`,
  'size of immediates': `bits 64
 add rax, 127
 add rax, 128
 add rax, -129
 add eax, 0xffffffff
 push 127
 push 128
 push -1
 push word 5
 mov rax, -1
 mov rax, 0x80000000
 mov rax, strict dword 5
 mov eax, strict dword 5
 imul rax, 3
 imul eax, ebx, 1000
 and rsp, -16
 test al, 1
 test eax, 0x100
 shl rax, 1
 shl rax, 5
 add ax, 0xffff
 cmp byte [rdi], 0xff
 mov qword [rax], -5`,
  'prefixes': `bits 32
 rep movsb
 repne scasd
 lock xadd [eax], ecx
 lock cmpxchg8b [edi]
 es lodsb
 a16 rep stosw
 o16 ret
 es mov eax, [ebx]
 a16 loop $
 loop $, cx
 jecxz $
 jcxz $`,
  'x87': `bits 32
 fadd st1
 fadd st0, st1
 fadd to st1
 fadd st1, st0
 faddp
 faddp st2
 fxch
 fxch st3
 fcom
 fstp st1
 fld tword [eax]
 fcomip st0, st1
 fcomi st1
 fsubrp st3, st0
 fucompp
 fnstsw ax
 fstp qword [eax]`,
  'far transfers': `bits 16
 jmp 0x08:label
 jmp dword 0x08:label
 call far [bx]
 jmp dword far [bx]
 retf 4
label: iret
 iretd`,
  'exchange and test with swapped operands': `bits 64
 xchg eax, ecx
 xchg ecx, eax
 xchg rax, r8
 xchg eax, eax
 xchg rax, rax
 xchg [rax], ecx
 xchg ecx, [rax]
 test [rax], ecx
 test ecx, [rax]`,
  'macros with defaults, rotation and nesting': `%macro put 1-3 7, 'x'
 db %1, %2, %3
%endmacro
 put 1
 put 1, 2
 put 1, 2, 3
%macro each 1-*
%rep %0
 db %1
%rotate 1
%endrep
%endmacro
 each 5, 6, 7, 8
%macro outer 1
%macro inner_%1 0
 db 0x43
%endmacro
 inner_%1
%endmacro
 outer 3
%imacro Loud 0
 db 9
%endmacro
 LOUD
%macro quiet 0
 db 1
%endmacro
%unmacro quiet 0
%macro quiet 0
 db 2
%endmacro
 quiet
%macro byname 1
 %ifidni %1,eax
 db 1
 %elifidn %1,ebx
 db 2
 %elifnum %1
 db 3
 %elifstr %1
 db 4
 %elifid %1
 db 5
 %elifempty %1
 db 6
 %endif
%endmacro
 byname EAX
 byname ebx
 byname 0x20
 byname 'str'
 byname word1
 byname {}`,
  'more definitions and conditions': `%idefine Case 5
 db CASE, case
%undef Case
%strlen size 'hello'
 db size
%xdefine before size
%assign size 9
 db before, size
%iassign Big 3
 db BIG
%ifnidn a,b
 db 1
%endif
%ifnmacro none
 db 2
%endif
%macro some 2
%endmacro
%ifmacro some 2
 db 3
%endif
%ifmacro some 3
 db 4
%endif
%ifnum 12
 db 5
%endif
%ifnstr 12
 db 6
%endif
%ifndef x
%elifdef y
 db 7
%else
 db 8
%endif
%assign i 0
%rep 100
%if i == 3
%exitrep
%endif
 db i
%assign i i+1
%endrep
%warning no matter`,
  'structures': `struc point
.x: resd 1
.y: resd 1
.tag: resb 3
alignb 4
.end:
endstruc
struc more, 16
.a: resq 1
endstruc
 bits 32
 mov eax, [ebx + point.y]
 db point_size, more.a, more_size
first:
 istruc point
 at point.x, dd 5
 at point.tag, db 'ab'
 iend
 dd first, $
absolute 0x500
buffer: resb 16
behind: resw 1
section .text
 dd buffer, behind, $`,
  'continued lines and comments': `db 1, \
 2, 3 ; not this
db ';' ; but this
%define long 4 + \
 5
db long`,
  'system and VMX instructions': `bits 64
 vmxon [rax]
 vmptrld [rsp+8]
 vmptrst [abs 0x1000]
 vmclear [rbx+rcx*8]
 vmread rax, rbx
 vmread [rdi], rcx
 vmwrite rax, [rsi]
 vmwrite r8, r15
 vmlaunch
 vmresume
 vmxoff
 vmcall
 vmfunc
 invept rax, [rbx]
 invvpid r9, [rsp]
 lgdt [rax]
 lidt [rel $]
 sgdt [rbx]
 sidt [rcx]
 lldt ax
 ltr word [rax]
 str eax
 sldt rbx
 smsw ax
 lmsw cx
 clts
 invlpg [rax]
 wbinvd
 invd
 rdmsr
 wrmsr
 rdtsc
 rdtscp
 rdpmc
 cpuid
 xgetbv
 xsetbv
 swapgs
 sysenter
 sysexit
 syscall
 sysret
 o64 sysret
 mov cr8, rax
 mov rdx, cr4
 mov dr7, rbx
 lar eax, bx
 lsl ecx, [rdx]
 verr ax
 verw [rbx]
 monitor
 mwait
 pause
 ud2
 iretq
 int3
 int 0x80
 lfence
 clflush [rax]
 fxsave [rdi]
 fxsave64 [rdi]`,
  'segment registers': `bits 32
 mov ds, ax
 mov es, eax
 mov eax, ds
 mov ax, gs
 mov word [eax], fs
 mov [eax], fs
 mov ss, [eax]
 push fs
 pop es`,
};

describe('as NASM assembles', () => {
  it.each(Object.entries(SOURCES))('%s', (_name, source) => {
    expect(hex(source)).toBe(nasm(source));
  });
});

describe('results', () => {
  it('come with symbols and a listing', () => {
    const result = assemble('bits 32\norg 0x1000\nstart: nop\n.in: mov eax, 5\nsize equ $ - start\n\ntimes 2 db 7, 8');
    if (!result.ok) throw new Error(result.errors[0].message);
    expect(result.origin).toBe(0x1000n);
    expect([...result.symbols]).toEqual([['start', 0x1000n], ['start.in', 0x1001n], ['size', 6n]]);
    expect(result.listing).toEqual([
      { line: 3, address: 0x1000n, offset: 0, length: 1 },
      { line: 4, address: 0x1001n, offset: 1, length: 5 },
      { line: 7, address: 0x1006n, offset: 6, length: 4 },
    ]);
  });

  it('take their start from the options', () => {
    const result = assemble('mov rax, [x]\nx: dd VALUE', { bits: 64, origin: 0x4000n, defines: { VALUE: '0x55' } });
    if (!result.ok) throw new Error(result.errors[0].message);
    expect(Buffer.from(result.bytes).toString('hex')).toBe('488b04250840000055000000');
  });
});

describe('%include', () => {
  it('takes the files given, and reports their errors at its own line', () => {
    const includes = { 'a.inc': '%define X 5\n%include "b.inc"\n', 'b.inc': '%macro two 1\n db %1, %1\n%endmacro', 'bad.inc': 'nop\nfoo 1, 2', 'self.inc': '%include "self.inc"' };
    const result = assemble('%include "a.inc"\n two X\n', { includes });
    expect(result.ok && [...result.bytes]).toEqual([5, 5]);
    const bad = assemble('nop\n%include "bad.inc"\n', { includes });
    expect(!bad.ok && bad.errors[0]).toEqual({ line: 2, message: 'unknown instruction foo' });
    const self = assemble('%include "self.inc"', { includes });
    expect(!self.ok && self.errors[0].message).toContain('nested too deeply');
  });
});

describe('messages', () => {
  it.each([
    ['nop\nfoo eax, 1', '2: unknown instruction foo'],
    ['bits 32\nmov eax, bl', '2: mov does not take these operands'],
    ['bits 32\nmov rax, 1', '2: 32-bit code does not have this register'],
    ['bits 64\npusha', '2: pusha does not exist in 64-bit code'],
    ['bits 32\nmov [eax], 1', '2: the size of the memory operand is not clear: write byte, word, dword or qword before it'],
    ['bits 32\njmp nowhere', '2: nowhere is not defined'],
    ['a: nop\na: nop', '2: a is defined twice'],
    ['bits 32\nmov eax, [esp*2]', '2: the stack pointer cannot be an index'],
    ['bits 64\nmov eax, [rax+ebx]', '2: an address cannot mix registers of different sizes'],
    ['db "abc', '1: a string is not closed'],
    ['dd 1 / 0', '1: division by zero'],
    ['db 256', '1: 256 does not fit 1 bytes'],
    ['bits 32\nshort_jump: times 200 nop\njmp short short_jump', '3: jmp does not take these operands'],
    ['%macro m 1\nnop\n%endmacro\nm', '4: macro m does not take 0 parameters'],
    ['%if 1\nnop', '1: %endif is missing'],
    ['%error out of luck', '1: out of luck'],
    ['bits 64\nmov ah, r8b', '2: mov does not take these operands'],
    ['mov ax, 1 2', '1: unexpected text at the end of the line'],
    ['x equ y', '1: y is not defined'],
    ['%include "nothing.inc"', '1: there is no file nothing.inc to include'],
    ['%exitrep', '1: %exitrep without %rep'],
    ['%ifodd 1\n%endif', '1: %ifodd is not supported here'],
    ['nop\nabsolute 5\nnop', '3: only resb and the like are possible after absolute'],
    ['extern x', '1: extern has no meaning in a flat image'],
    ['bits 16\nmov al, 300', '2: mov does not take these operands'],
  ])('%j: %s', (source, message) => {
    expect(messages(source)).toContain(message);
  });

  it('report every line', () => {
    expect(messages('bits 32\nfoo\nmov eax, bl\nbar 1\nmov eax, [ebx+cl]').length).toBeGreaterThanOrEqual(1);
    expect(messages('bits 32\nmov eax, bl\nnop\nmov ecx, [ebx+cl]\njmp x')).toHaveLength(3);
  });

  it('do not run away', () => {
    expect(messages('%macro m 0\nm\n%endmacro\nm').join()).toContain('nested too deeply');
    expect(messages('times 1000000000 db 0').join()).toContain('too large');
    expect(messages('times 60000000 nop').join()).toContain('repeats too much');
    expect(messages(Array.from({ length: 40 }, (_, n) => `%macro m${n} 0\n${n === 0 ? '' : `m${n - 1}\nm${n - 1}`}\n%endmacro`).join('\n') + '\nm39').join()).toContain('too many lines');
    expect(messages(Array.from({ length: 60 }, (_, n) => `%define a${n} a${n + 1} a${n + 1}`).join('\n') + '\na0').join()).toContain('too much text');
    expect(messages(`db ${'('.repeat(5000)}1${')'.repeat(5000)}`).join()).toContain('nested too deeply');
    expect(messages('%rep 1000000000\n%endrep').join()).toContain('too many lines');
    expect(messages('%rep 1000000\nnop\n%endrep').join()).toContain('too many lines');
  });
});
