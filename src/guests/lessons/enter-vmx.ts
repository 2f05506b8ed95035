import type { Lesson } from './lesson';

export const ENTER_VMX: Lesson = {
  id: 'enter-vmx',
  title: '1. Enter VMX',
  text: [
    'A processor with VT-x works as it always did until software executes VMXON. From then on it is in VMX root operation: a hypervisor.',
    'VMXON has conditions: CPUID must show VMX, the firmware must not have locked it off in IA32_FEATURE_CONTROL, CR0.NE and CR4.VMXE must be set, and it wants a page of memory that begins with the revision of the processor’s VMX structures.',
    'Try: leave out the line that sets CR4.VMXE. VMXON then raises #UD, there is no handler for it, and the machine resets for ever. Write a wrong revision into the page: VMXON fails with CF = 1.',
  ],
  l1: String.raw`; Lesson 1: into VMX operation and out again. No guest yet.
%include "vmx.inc"

main:
        mov     eax, 1
        cpuid
        bt      ecx, 5                  ; CPUID.1:ECX.VMX
        jnc     .no_vmx
        say     "CPUID shows VMX"

        mov     ecx, IA32_FEATURE_CONTROL
        rdmsr
        shl     rdx, 32
        or      rax, rdx
        show    "IA32_FEATURE_CONTROL = ", rax  ; bit 0: locked, bit 2: VMX allowed
        test    eax, 1
        jnz     .locked
        or      eax, 5
        wrmsr
.locked:

        mov     rax, cr0
        or      eax, 1 << 5             ; CR0.NE: VMX wants it
        mov     cr0, rax
        mov     rax, cr4
        or      eax, 1 << 13            ; CR4.VMXE: without it VMXON is no instruction
        mov     cr4, rax

        mov     ecx, IA32_VMX_BASIC
        rdmsr
        and     eax, 0x7fffffff
        show    "VMX revision = ", rax
        mov     [abs VMXON_REGION], eax ; the page must begin with it

        vmxon   [pointer_vmxon]
        jc      .refused
        say     "VMXON: this is VMX root operation"

        vmxon   [pointer_vmxon]         ; once more: that is an error
        jc      .again_refused
        say     "a second VMXON worked?"
.again_refused:
        say     "a second VMXON fails: CF = 1"

        vmxoff
        say     "VMXOFF: an ordinary computer again"
        ret

.refused:
        say     "VMXON failed"
        ret
.no_vmx:
        say     "this processor has no VMX"
        ret
`,
  l2: String.raw`; This lesson starts no guest.
bits 64
org 0x10000
        hlt
`,
};
