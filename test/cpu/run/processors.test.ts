/** Several processors on one machine: start-up, interprocessor interrupts, turns (SDM 3A 8.4, 10.6; scheduler.ts). */
import { describe, expect, it } from 'vitest';
import { clockNow, instructionCount, resetClock } from '../../../src/cpu/clock';
import { physRead32, physRead8, physWrite32 } from '../../../src/cpu/mmu/physical';
import { updateMode } from '../../../src/cpu/modes';
import { buildEngine, RUN_IDLE } from '../../../src/cpu/run';
import { runMachine } from '../../../src/cpu/scheduler';
import { ACTIVITY, CR0, CR4, CS, DS, ES, FS, GDTR_BASE, GDTR_LIMIT, GS, R, RIP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SS } from '../../../src/cpu/state';
import { restoreVcpus, saveVcpus, vcpuWords } from '../../../src/cpu/vcpus';
import { createMachine } from '../../../src/machine/machine';
import type { Machine } from '../../../src/machine/machine';
import { loadAssembly } from '../../support/assembled';

const TRAMPOLINE = 0x8000, CODE = 0x10000;
const LAPIC = 0xfee00000;
const ICR_LOW = LAPIC + 0x300, ICR_HIGH = LAPIC + 0x310, EOI = LAPIC + 0xb0, SVR = LAPIC + 0xf0, APIC_ID = LAPIC + 0x20;
const ALL_BUT_SELF = 0xc0000;
/** Per processor, 16 bytes each: started, IPIs, NMIs, spare. */
const COUNTERS = 0x30000;
/** Who took each ticket. */
const TRACE = 0x100000;

/** Real mode to flat 32-bit code, where all processors share descriptor tables. */
const START = `
        cli
        lgdt [cs:gdtr - ${TRAMPOLINE}]
        mov eax, 1
        mov cr0, eax
        jmp dword 8:${CODE}
gdtr:   dw 0x17
        dd gdt
align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
`;

/**
 * Every processor comes to `entry` and from there to `main` (processor 0) or `other`, with EBX at its counters and ESP set. Vector 40h counts
 * interprocessor interrupts.
 */
function program(text: string): string {
  return `
entry:  mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        lidt [idtr]
        mov eax, [${APIC_ID}]
        shr eax, 24
        mov ebx, eax
        shl ebx, 4
        add ebx, ${COUNTERS}
        mov esp, eax
        shl esp, 12
        add esp, 0x50000
        mov dword [${SVR}], 0x1ff
        lock inc dword [ebx]
        test eax, eax
        jnz other
main:
${text}
ipi:    inc dword [ebx + 4]
        mov dword [${EOI}], 0
        iret
nmi:    inc dword [ebx + 8]
        iret
align 8
idtr:   dw 0x7ff
        dd 0x20000
; Sends the ICR command in EAX.
send:   mov [${ICR_LOW}], eax
        ret
; INIT and two SIPIs to all others, waits until ECX of them have started.
start_others:
        mov eax, ${ALL_BUT_SELF | 0x4500}
        call send
        mov eax, ${ALL_BUT_SELF | 0x4600 | TRAMPOLINE >> 12}
        call send
        call send
        mov edx, ${COUNTERS + 16}
.next:  pause
        cmp dword [edx], 0
        je .next
        add edx, 16
        loop .next
        ret
`;
}

let machine: Machine;

function boot(vcpus: number, text: string): (label: string) => number {
  machine = createMachine({ memoryMb: 4, vcpus }, {
    serialOutput: () => undefined, debugText: () => undefined, debugExit: () => undefined, poweredOff: () => undefined, log: () => undefined,
  });
  buildEngine();
  resetClock();
  machine.reset();
  R[GDTR_BASE] = loadAssembly(16, TRAMPOLINE, START)('gdt');
  R[GDTR_LIMIT] = 0x17;
  const label = loadAssembly(32, CODE, program(text));
  for (const [vector, name] of [[2, 'nmi'], [0x40, 'ipi']] as const) {
    physWrite32(0x20000 + 8 * vector, (8 << 16) | (label(name) & 0xffff));
    physWrite32(0x20000 + 8 * vector + 4, (label(name) & 0xffff0000) | 0x8e00);
  }
  for (let n = 0; n < 128; n += 4) physWrite32(COUNTERS + n, 0);
  R[CR0] = 1;
  R[CR4] = 0;
  for (const s of [ES, CS, SS, DS, FS, GS]) {
    R[SEG_SEL + s] = s === CS ? 8 : 16;
    R[SEG_BASE + 2 * s] = 0;
    R[SEG_LIMIT + s] = -1;
    R[SEG_AR + s] = s === CS ? 0xc09b : 0xc093;
  }
  R[RIP] = CODE;
  updateMode();
  return label;
}

const EXIT = `
        mov al, 0
        out 0xf4, al
        hlt
`;

/** Runs until the program writes to the debug-exit port, in portions of `portion` cycles. */
function finish(portion = 100_000, most = 20_000_000): void {
  for (let used = 0; used < most && !machine.stopped; used += portion) runMachine(machine, portion);
  expect(machine.reason).toBe('debug-exit');
}

const counter = (vcpu: number, n: number): number => physRead32(COUNTERS + 16 * vcpu + 4 * n);

const SLEEP = `
other:  sti
.sleep: hlt
        jmp .sleep
`;

describe('several processors', () => {
  it('start by INIT and SIPI, once', () => {
    boot(8, `
        mov ecx, 7
        call start_others
        ${EXIT}${SLEEP}`);
    finish();
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((vcpu) => counter(vcpu, 0))).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('a processor can be sent back to wait, and started again', () => {
    boot(2, `
        mov ecx, 1
        call start_others
        mov dword [${COUNTERS + 16}], 0
        mov ecx, 1
        call start_others
        ${EXIT}${SLEEP}`);
    finish();
    expect(counter(1, 0)).toBe(1);
  });

  it('take broadcast and directed interrupts and NMIs at once', () => {
    boot(4, `
        mov ecx, 3
        call start_others
        mov ecx, 50
round:  rdtsc
        mov esi, eax
        mov eax, ${ALL_BUT_SELF | 0x4040}
        call send
wait:   mov eax, [${COUNTERS + 16 + 4}]
        add eax, [${COUNTERS + 32 + 4}]
        add eax, [${COUNTERS + 48 + 4}]
        add eax, ecx
        add eax, ecx
        add eax, ecx
        cmp eax, 153
        jne wait
        rdtsc
        sub eax, esi
        cmp eax, [longest]
        jb shorter
        mov [longest], eax
shorter:
        loop round
        mov dword [${ICR_HIGH}], 0x02000000
        mov eax, 0x4400
        call send
waitnmi:
        cmp dword [${COUNTERS + 32 + 8}], 1
        jne waitnmi
        ${EXIT}
longest: dd 0${SLEEP}`);
    finish();
    expect([1, 2, 3].map((vcpu) => [counter(vcpu, 1), counter(vcpu, 2)])).toEqual([[50, 0], [50, 1], [50, 0]]);
    expect(counter(0, 1)).toBe(0);
  });

  it('answer an interprocessor interrupt within a few instructions of their own', () => {
    const label = boot(2, `
        mov ecx, 1
        call start_others
        mov dword [${ICR_HIGH}], 0x01000000
        rdtsc
        mov esi, eax
        mov eax, 0x4040
        call send
wait:   cmp dword [${COUNTERS + 16 + 4}], 1
        jne wait
        rdtsc
        sub eax, esi
        mov [took], eax
        ${EXIT}
took:   dd 0${SLEEP}`);
    finish();
    expect(physRead32(label('took'))).toBeLessThan(50);
  });

  it('lose no wake-up between STI and HLT, wherever turns end', () => {
    boot(2, `
        mov ecx, 1
        call start_others
        mov dword [${ICR_HIGH}], 0x01000000
        xor edi, edi
round:  inc edi
        mov ecx, edi
        shl ecx, 4
delay:  loop delay
        mov [flag], edi
        mov eax, 0x4040
        call send
wait:   pause
        cmp [seen], edi
        jne wait
        cmp edi, 400
        jne round
        ${EXIT}
flag:   dd 0
seen:   dd 0
other:  cli
        mov eax, [flag]
        cmp eax, [seen]
        jne got
        nop
        nop
        sti
        hlt
        jmp other
got:    mov [seen], eax
        sti
        jmp other
`);
    finish(1_000_000, 60_000_000);
  });

  it('run the same way however the caller cuts the time', () => {
    const text = `
        mov ecx, 3
        call start_others
        mov ecx, 2000
work:   mov eax, 1
        lock xadd [ticket], eax
        mov byte [eax + ${TRACE}], 0
        pause
        loop work
        mov al, 0
        out 0xf4, al
        hlt
ticket: dd 0
other:  mov edx, [${APIC_ID}]
        shr edx, 24
.work:  mov eax, 1
        lock xadd [ticket], eax
        mov [eax + ${TRACE}], dl
        jmp .work
`;
    const runs = [100_000, 777, 1_000_000].map((portion) => {
      const label = boot(4, text);
      finish(portion);
      let hash = 0;
      const tickets = physRead32(label('ticket'));
      for (let n = 0; n < tickets; n++) hash = (Math.imul(hash, 31) + physRead8(TRACE + n)) | 0;
      return [instructionCount(), clockNow(), tickets, hash];
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
    expect(runs[0][2]).toBeGreaterThan(2000);
  });

  it('skip idle time together, and are idle only when all sleep for good', () => {
    boot(3, `
        mov ecx, 2
        call start_others
        ; One-shot local timer, a million cycles.
        mov dword [${LAPIC + 0x3e0}], 0xb
        mov dword [${LAPIC + 0x320}], 0x40
        mov dword [${LAPIC + 0x380}], 1000000
        sti
        hlt
        cli
        hlt${SLEEP}`);
    const before = clockNow();
    for (let n = 0; n < 30 && runMachine(machine, 100_000) !== RUN_IDLE; n++);
    expect(machine.reason).toBe(null);
    expect(clockNow() - before).toBeGreaterThan(1_000_000);
    expect(instructionCount()).toBeLessThan(50_000);
    expect(counter(0, 1)).toBe(1);
    expect([0, 1, 2].map((vcpu) => vcpuWords(vcpu)[ACTIVITY])).toEqual([1, 1, 1]);
  });

  it('go on from a snapshot where they were', () => {
    const text = `
        mov ecx, 1
        call start_others
        mov ecx, 60000
work:   lock inc dword [shared]
        loop work
        ${EXIT}
shared: dd 0
other:  lock add dword [shared], 3
        jmp other
`;
    const label = boot(2, text);
    runMachine(machine, 55_555);
    const saved = { machine: machine.save(), vcpus: saveVcpus(), shared: physRead32(label('shared')) };
    finish();
    const end = [physRead32(label('shared')), clockNow()];
    boot(2, text);
    machine.restore(saved.machine);
    restoreVcpus(saved.vcpus);
    physWrite32(label('shared'), saved.shared);
    finish();
    expect([physRead32(label('shared')), clockNow()]).toEqual(end);
  });
});
