/** Whole guests under the engine: a small hypervisor in assembly that logs its exits, and guests that provoke them. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CR4, EFLAGS, F_IF, R, RAX, RBX, RCX, RSI, SIGNALS, SIG_INTR, FEATURE_CONTROL, VMX_MODE, VMX_ROOT } from '../../src/cpu/state';
import { clockNow } from '../../src/cpu/clock';
import { physRead32, physWrite32, physWrite64 } from '../../src/cpu/mmu/physical';
import { platform } from '../../src/cpu/platform';
import { fieldWord } from '../../src/vmx/fields';
import { resetVmx } from '../../src/vmx/vcpu';
import { createBareCpu, enterMode, PAGE_TABLES, run, shutdownReason } from '../support/bare-cpu';
import { loadAssembly } from '../support/assembled';

const CODE = 0x10000, VMXON_REGION = 0x30000, VMCS = 0x31000, EPT = 0x32000, LOG = 0x40000, GUEST_TABLES = 0x50000, GUEST_IDT = 0x60000;
const GUEST_STACK = 0x70000;
const PROC = 0x84006172 | 0;

/** VMX, then run the guest until it executes VMCALL; each exit is logged as (reason, qualification, guest RIP, IDT-vectoring), 16 bytes each. RSI counts them. */
const HYPERVISOR = `
        vmxon [vmxon_pointer]
        jbe failed
        vmptrld [vmcs_pointer]
        jbe failed
        mov dword [log_end], ${LOG}
        mov dword [log_count], 0
        vmlaunch
failed: mov r15d, 0xbad
        hlt
exit:   push rax
        push rcx
        push rdx
        push rsi
        push rdi
        mov edi, [log_end]
        mov esi, [log_count]
        mov ecx, 0x4402
        vmread rax, rcx
        mov [rdi], eax
        mov ebp, eax
        mov ecx, 0x6400
        vmread rax, rcx
        mov [rdi + 4], eax
        mov ecx, 0x681e
        vmread rax, rcx
        mov [rdi + 8], eax
        mov ecx, 0x4408
        vmread rdx, rcx
        mov [rdi + 12], edx
        add edi, 16
        inc esi
        mov [log_end], edi
        mov [log_count], esi
        cmp ebp, 18
        je done
        cmp esi, 200
        je done
        cmp ebp, 10                 ; CPUID, HLT, I/O, RDMSR, WRMSR, CR access, INVLPG: skip
        je skip
        cmp ebp, 12
        je skip
        cmp ebp, 30
        je skip
        cmp ebp, 28
        je skip
        cmp ebp, 48                 ; EPT violation: map the page at 1 GiB
        je map
        cmp ebp, 7                  ; interrupt window: close it, inject vector 33
        je window
        cmp ebp, 52                 ; preemption timer: stop it
        je timer
        cmp ebp, 1
        je interrupt
        jmp resume
skip:   mov ecx, 0x440c
        vmread rdx, rcx
        add rax, rdx
        mov ecx, 0x681e
        vmwrite rcx, rax
        jmp resume
map:    mov dword [${EPT + 0x1000 + 8}], ${EPT + 0x3000 + 7}
        jmp resume
window: mov ecx, 0x4002
        mov eax, ${PROC >>> 0}
        vmwrite rcx, rax
        mov ecx, 0x4016
        mov eax, 0x80000021
        vmwrite rcx, rax
        jmp resume
timer:  mov ecx, 0x4000
        mov eax, 0x16
        vmwrite rcx, rax
        jmp resume
interrupt:
        mov ecx, 0x4404
        vmread rax, rcx
        mov [${LOG - 16}], eax
resume: pop rdi
        pop rsi
        pop rdx
        pop rcx
        pop rax
        vmresume
        mov r15d, 0xbad2
        hlt
done:   pop rdi
        add rsp, 8                  ; RSI counts the exits
        pop rdx
        pop rcx
        pop rax
        hlt
align 8
log_end: dd 0
log_count: dd 0
vmxon_pointer: dq ${VMXON_REGION}
vmcs_pointer: dq ${VMCS}
guest:
`;

type Change = [number, number, number?];

function field(encoding: number, lo: number, hi = 0): void {
  physWrite32(VMCS + 4 * fieldWord(encoding), lo);
  if ((encoding >> 13) & 1) physWrite32(VMCS + 4 * fieldWord(encoding) + 4, hi);
}

/** Address of the guest's first instruction. */
let guestStart = 0;

/** Runs a guest under the hypervisor; returns its exits. */
function runGuest(code: string, changes: Change[] = [], budget = 100_000): { reason: number; qualification: number; rip: number; vectoring: number }[] {
  const label = loadAssembly(64, CODE, `default abs\n${HYPERVISOR}${code}`);
  const guest = guestStart = label('guest');
  physWrite32(VMXON_REGION, 0x11);
  for (let n = 0; n < 4096; n += 4) physWrite32(VMCS + n, 0);
  physWrite32(VMCS, 0x11);
  const all: Change[] = [
    [0x4000, 0x16], [0x4002, PROC], [0x401e, 0x22], [0x400c, 0x36ffb], [0x4012, 0x13fb], [0x0000, 1], [0x201a, EPT | 0x1e], [0x2800, -1, -1],
    [0x0c00, 0x10], [0x0c02, 8], [0x0c04, 0x10], [0x0c06, 0x10], [0x0c0c, 0x30],
    [0x6c00, 0x80000031 | 0], [0x6c02, PAGE_TABLES], [0x6c04, 0x2630], [0x6c14, 0x8000], [0x6c16, label('exit')],
    [0x6800, 0x80000031 | 0], [0x6802, GUEST_TABLES], [0x6804, 0x2630], [0x681c, GUEST_STACK], [0x681e, guest], [0x6820, 2], [0x6818, GUEST_IDT], [0x4812, 0xfff],
    [0x0802, 8], [0x4802, -1], [0x4816, 0xa09b], [0x080e, 0x30], [0x480e, 0x67], [0x4822, 0x8b], [0x4820, 0x10000],
    ...[0, 2, 3, 4, 5].flatMap((s): Change[] => [[0x0800 + 2 * s, 0x10], [0x4800 + 2 * s, -1], [0x4814 + 2 * s, 0xc093]]),
    [0x6816, label('gdt')], [0x4810, 0x1f],
    ...changes,
  ];
  for (const [encoding, lo, hi] of all) field(encoding, lo, hi);
  // Guest page tables: 2 MiB identity-mapped from 0, and 1 GiB + 2 MiB page 0. EPT: first 2 MiB; 1 GiB only after a violation.
  for (let n = 0; n < 0x4000; n += 4) physWrite32(GUEST_TABLES + n, 0);
  physWrite64(GUEST_TABLES, (GUEST_TABLES + 0x1000) | 7, 0);
  physWrite64(GUEST_TABLES + 0x1000, (GUEST_TABLES + 0x2000) | 7, 0);
  physWrite64(GUEST_TABLES + 0x1008, (GUEST_TABLES + 0x3000) | 7, 0);
  physWrite64(GUEST_TABLES + 0x2000, 0x87, 0);
  physWrite64(GUEST_TABLES + 0x3000, 0x40000087, 0);
  for (let n = 0; n < 0x4000; n += 4) physWrite32(EPT + n, 0);
  physWrite64(EPT, (EPT + 0x1000) | 7, 0);
  physWrite64(EPT + 0x1000, (EPT + 0x2000) | 7, 0);
  physWrite64(EPT + 0x2000, 0xb7, 0);
  physWrite64(EPT + 0x3000, 0xb7, 0);
  run(budget);
  const exits = [];
  for (let n = 0; n < R[RSI]; n++) {
    const at = LOG + 16 * n;
    exits.push({ reason: physRead32(at) >>> 0, qualification: physRead32(at + 4), rip: physRead32(at + 8) - guest, vectoring: physRead32(at + 12) });
  }
  return exits;
}

/** Gate of the guest's IDT in its own code, to a label. */
function gate(vector: number, label: string): string {
  return `
        mov dword [${GUEST_IDT + 16 * vector}], ${label} & 0xffff | 0x80000
        mov dword [${GUEST_IDT + 16 * vector + 4}], ${label} & 0xffff0000 | 0x8e00`;
}

const GUEST_GDT = `
align 8
gdt:    dq 0
        dq 0x00af9b000000ffff
        dq 0x00cf93000000ffff
        dq 0
`;

beforeAll(() => createBareCpu(16));
beforeEach(() => {
  enterMode(64);
  resetVmx();
  R[CR4] |= 0x2000;
  R[FEATURE_CONTROL] = 5;
  for (let n = 0; n < 0x1000; n += 4) physWrite32(GUEST_IDT + n, 0);
});

describe('a guest under the engine', () => {
  it('exits for CPUID and VMCALL and computes in between', () => {
    const exits = runGuest(`
        mov eax, 5
        mov ebx, 0
again:  add ebx, eax
        cpuid
        dec eax
        jnz again
        vmcall
${GUEST_GDT}`);
    expect(exits.map((e) => e.reason)).toEqual([10, 10, 10, 10, 10, 18]);
    expect(R[VMX_MODE]).toBe(VMX_ROOT);
    expect([R[RAX], R[RBX]]).toEqual([0, 15]);
    expect(shutdownReason()).toBe('');
  });

  it('repeats an instruction after an EPT violation was mended', () => {
    const exits = runGuest(`
        mov rbx, 0x40001230
        mov dword [rbx], 0x12345678
        mov ecx, [0x1230]
        vmcall
${GUEST_GDT}`);
    expect(exits.map((e) => e.reason)).toEqual([48, 18]);
    // A user-mode, writable linear address, as always without paging.
    expect(exits[0].qualification).toBe(0x782);
    expect(R[RCX]).toBe(0x12345678);
  });

  it('takes its own exceptions without an exit, and lets the bitmap have them', () => {
    const code = `${gate(6, 'undefined')}
first:  ud2
        vmcall
undefined:
        add qword [rsp], 2
        mov ecx, 77
        iretq
${GUEST_GDT}`;
    expect(runGuest(code).map((e) => e.reason)).toEqual([18]);
    expect(R[RCX]).toBe(77);
    enterMode(64);
    resetVmx();
    R[CR4] |= 0x2000;
    const exits = runGuest(code, [[0x4004, 1 << 6]], 3000);
    expect(exits[0].reason).toBe(0);
  });

  it('injects an event when the interrupt window opens', () => {
    const exits = runGuest(`${gate(33, 'handler')}
        mov ecx, 0
        nop
        sti
        nop
after:  nop
        vmcall
handler:
        mov rbx, [rsp]
        mov ecx, 99
        iretq
${GUEST_GDT}`, [[0x4002, PROC | 4]]);
    expect(exits.map((e) => e.reason)).toEqual([7, 18]);
    expect(R[RCX]).toBe(99);
    // STI blocks for one instruction.
    expect(R[RBX]).toBe(guestStart + exits[0].rip);
    expect(exits[1].rip - exits[0].rip).toBe(1);
  });

  it('stops at the preemption timer on the exact instruction', () => {
    const exits = runGuest(`
        mov ecx, 0
spin:   inc ecx
        cmp ecx, 1000
        jne spin
        vmcall
${GUEST_GDT}`, [[0x4000, 0x56], [0x482e, 160]]);
    expect(exits.map((e) => e.reason)).toEqual([52, 18]);
    expect(R[RCX]).toBe(1000);
  });

  it('single-steps with the monitor trap flag', () => {
    const exits = runGuest(`
        nop
        mov eax, 1
        jmp over
        ud2
over:   push rax
        vmcall
${GUEST_GDT}`, [[0x4002, PROC | (1 << 27)]]);
    expect(exits.map((e) => [e.reason, e.rip])).toEqual([[37, 1], [37, 6], [37, 10], [37, 11], [18, 11]]);
  });

  it('single-steps the iterations of a string instruction', () => {
    const exits = runGuest(`
        mov edi, 0x3e000
        mov ecx, 3
here:   rep stosb
        vmcall
${GUEST_GDT}`, [[0x4002, PROC | (1 << 27)]]);
    expect(exits.map((e) => [e.reason, e.rip])).toEqual([[37, 5], [37, 10], [37, 10], [37, 10], [37, 12], [18, 12]]);
    expect(R[RCX]).toBe(0);
  });

  it('exits for an external interrupt whether or not the guest allows it', () => {
    platform.acknowledgeInterrupt = () => {
      R[SIGNALS] &= ~SIG_INTR;
      return 0x41;
    };
    R[SIGNALS] |= SIG_INTR;
    const exits = runGuest(`
        nop
        vmcall
${GUEST_GDT}`, [[0x4000, 0x17], [0x400c, 0x36ffb | (1 << 15)]]);
    expect(exits.map((e) => e.reason)).toEqual([1, 18]);
    expect(exits[0].rip).toBe(0);
    expect(physRead32(LOG - 16)).toBe(0x80000041 | 0);
    expect(R[EFLAGS] & F_IF).toBe(0);
  });

  it('reports the event whose delivery hit an EPT violation', () => {
    // The stack lies in the region that is mapped by the violation handler only.
    const exits = runGuest(`${gate(0x80, 'handler')}
        mov rsp, 0x40008000
trap:   int 0x80
        vmcall
handler:
        mov rcx, [rsp]
        iretq
${GUEST_GDT}`);
    expect(exits.map((e) => e.reason)).toEqual([48, 18]);
    expect(exits[0].vectoring).toBe(0x80000480 | 0);
    expect(exits[1].rip - exits[0].rip).toBe(2);
  });

  it('costs the same virtual time however often it exits', () => {
    const before = clockNow();
    runGuest(`
        mov ecx, 100
again:  cpuid
        dec ecx
        jnz again
        vmcall
${GUEST_GDT}`);
    expect(clockNow() - before).toBeGreaterThan(100 * 20);
    expect(R[RCX]).toBe(0);
  });
});
