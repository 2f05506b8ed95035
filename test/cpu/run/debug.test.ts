/** Debug exceptions, RFLAGS.RF and interrupt shadows on a bare CPU (SDM 3B 18.2-18.3, 3A 6.8.3, 6.9). */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ACTIVITY, CR4, DEBUGCTL, DR0, DR7, EFLAGS, F_IF, F_RF, F_TF, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, PENDING_DB, R, RCX, RDI, SIGNALS, SIG_INTR, SIG_NMI, TSC_ADJUST, RAX, RDX,
} from '../../../src/cpu/state';
import { clockNow } from '../../../src/cpu/clock';
import { updateMode } from '../../../src/cpu/modes';
import { runSlice } from '../../../src/cpu/run';
import { physRead32, physWrite32 } from '../../../src/cpu/mmu/physical';
import { platform } from '../../../src/cpu/platform';
import { createBareCpu, enterMode, run, shutdownReason } from '../../support/bare-cpu';
import { loadAssembly } from '../../support/assembled';

const CODE = 0x10000, GDT = 0x20000, IDT = 0x21000, LOG = 0x30000, DATA = 0x40000;
const ENTRY = 16;
const BS = 0x4000, BD = 0x2000, BT = 0x8000;
const DR6_ONES = 0xffff0ff0 | 0;

interface Event {
  vector: number;
  eip: number;
  flags: number;
  dr6: number;
}

/** Handlers of #DB, NMI, #UD, #GP and interrupt 20h: each logs vector, EIP, EFLAGS and DR6. #DB clears DR6 and sets RF in the image, as debuggers do. */
const HANDLERS = `
debug:  push 1
        jmp log
nmi:    push 2
        jmp log
undefined:
        push 6
        jmp log
external:
        push 0x20
log:    push eax
        push ebx
        mov ebx, [log_end]
        mov eax, [esp + 8]
        mov [ebx], eax
        mov eax, [esp + 12]
        mov [ebx + 4], eax
        mov eax, [esp + 20]
        mov [ebx + 8], eax
        mov eax, dr6
        mov [ebx + 12], eax
        add ebx, ${ENTRY}
        mov [log_end], ebx
        mov eax, ${DR6_ONES >>> 0}
        mov dr6, eax
        cmp dword [esp + 8], 1
        jne .not_debug
        or dword [esp + 20], ${F_RF}
.not_debug:
        cmp dword [esp + 8], 6
        jne .not_undefined
        add dword [esp + 12], 2
.not_undefined:
        pop ebx
        pop eax
        add esp, 4
        iret
gp:     add esp, 4
        push 13
        jmp log
align 4
log_end: dd ${LOG}
`;

let label: (name: string) => number;

function gate(vector: number, target: number): void {
  physWrite32(IDT + 8 * vector, (8 << 16) | (target & 0xffff));
  physWrite32(IDT + 8 * vector + 4, (target & 0xffff0000) | 0x8e00);
}

function load(code: string): void {
  label = loadAssembly(32, CODE, `${code}\n        hlt\n${HANDLERS}`);
  gate(1, label('debug'));
  gate(2, label('nmi'));
  gate(6, label('undefined'));
  gate(13, label('gp'));
  gate(0x20, label('external'));
}

function logged(): Event[] {
  const events = [];
  for (let at = LOG; at < physRead32(label('log_end')); at += ENTRY) {
    events.push({ vector: physRead32(at), eip: physRead32(at + 4), flags: physRead32(at + 8), dr6: physRead32(at + 12) });
  }
  return events;
}

function execute(code: string, prepare: () => void = () => undefined, budget = 5000): Event[] {
  load(code);
  prepare();
  updateMode();
  run(budget);
  expect(shutdownReason()).toBe('');
  return logged();
}

/** Breakpoint n of the given kind (0 execute, 1 write, 2 I/O, 3 read or write) and length (0 = 1, 1 = 2, 3 = 4 bytes). */
function breakpoint(n: number, address: number, kind: number, length: number): void {
  R[DR0 + 2 * n] = address;
  R[DR7] |= (2 << (2 * n)) | (kind << (16 + 4 * n)) | (length << (18 + 4 * n));
}

const conditions = (event: Event): number => event.dr6 & 0xe00f;
const hasRf = (event: Event): boolean => (event.flags & F_RF) !== 0;

beforeAll(() => createBareCpu(16));
function prepareMode(): void {
  enterMode(32);
  R[IDTR_BASE] = IDT;
  R[IDTR_LIMIT] = 0x7ff;
  R[GDTR_BASE] = GDT;
  R[GDTR_LIMIT] = 0x7f;
  physWrite32(GDT, 0);
  physWrite32(GDT + 4, 0);
  physWrite32(GDT + 8, 0x0000ffff);
  physWrite32(GDT + 12, 0x00cf9b00);
  physWrite32(GDT + 16, 0x0000ffff);
  physWrite32(GDT + 20, 0x00cf9300);
}

beforeEach(prepareMode);

describe('instruction breakpoints', () => {
  it('are faults before the instruction, and RF in the image lets it pass once', () => {
    const events = execute(`
        mov ecx, 3
again:  inc edx
here:   dec ecx
        jnz again`, () => breakpoint(2, label('here'), 0, 0));
    expect(events.map((e) => e.eip)).toEqual([label('here'), label('here'), label('here')]);
    expect(events.map(conditions)).toEqual([4, 4, 4]);
    expect(events.some(hasRf)).toBe(false);
    expect(R[RCX]).toBe(0);
  });

  it('are not met by other lengths than one byte, nor by the instruction after MOV SS', () => {
    const events = execute(`
        mov ax, ss
        nop
here:   nop
        mov ss, ax
there:  inc ecx
        nop`, () => {
      breakpoint(0, label('here'), 0, 3);
      breakpoint(1, label('there'), 0, 0);
    });
    expect(events).toEqual([]);
  });

  it('meet a repeated string instruction once', () => {
    const events = execute(`
        mov esi, ${DATA}
        mov edi, ${DATA + 0x100}
        mov ecx, 5
        nop
here:   rep movsb`, () => breakpoint(0, label('here'), 0, 0));
    expect(events.map((e) => e.eip)).toEqual([label('here')]);
    expect(R[RCX]).toBe(0);
  });
});

describe('RF', () => {
  it('ends with the first instruction after the IRET that loaded it', () => {
    const events = execute(`
        pushfd
        or dword [esp], ${F_RF}
        push cs
        push .next
        iret
.next:  nop
        int 0x20`);
    expect(events.map((e) => [e.vector, hasRf(e)])).toEqual([[0x20, false]]);
  });

  it('is still in the frame of an interrupt before that instruction', () => {
    platform.acknowledgeInterrupt = () => {
      R[SIGNALS] &= ~SIG_INTR;
      return 0x20;
    };
    const code = (instructions: string): string => `
        pushfd
        or dword [esp], ${F_RF | F_IF}
        push cs
        push .next
        cli
        ${instructions}
        iret
.next:  nop
        cli`;
    const [event] = execute(code(''), () => { R[SIGNALS] |= SIG_INTR; });
    expect([event.vector, event.eip, hasRf(event)]).toEqual([0x20, physRead32(R[8] - 12), true]);
  });

  it('is 1 in the frames of faults, 0 in those of INT n', () => {
    const events = execute(`
        ud2
        int 0x20`);
    expect(events.map((e) => [e.vector, hasRf(e)])).toEqual([[6, true], [0x20, false]]);
  });

  it('is never pushed by PUSHF', () => {
    execute(`
        pushfd
        or dword [esp], ${F_RF}
        push cs
        push .next
        iret
.next:  pushfd
        pop eax`);
    expect(R[RAX] & F_RF).toBe(0);
  });
});

describe('single-stepping', () => {
  const step = `
        pushfd
        or dword [esp], ${F_TF}
        popfd`;
  const stop = `
        pushfd
        and dword [esp], ${~F_TF >>> 0}
        popfd`;

  it('begins after the instruction that follows POPF', () => {
    const events = execute(`${step}
one:    nop
two:    nop
${stop}`);
    expect(events[0].eip).toBe(label('two'));
    expect(events.every((e) => conditions(e) === BS)).toBe(true);
    // NOP, NOP, PUSHF, AND, POPF.
    expect(events).toHaveLength(5);
  });

  it('traps after each iteration of a string instruction, with RF but for the last', () => {
    const events = execute(`
        mov esi, ${DATA}
        mov edi, ${DATA + 0x100}
        mov ecx, 3
${step}
here:   rep movsb
after:
${stop}`);
    expect(events.slice(0, 3).map((e) => [e.eip, hasRf(e)])).toEqual([[label('here'), true], [label('here'), true], [label('after'), false]]);
  });

  it('does not trap after MOV SS', () => {
    const events = execute(`
        mov ax, ss
${step}
one:    mov ss, ax
two:    nop
three:
${stop}`);
    expect(events[0].eip).toBe(label('three'));
  });

  it('with BTF traps after branches that are taken', () => {
    const events = execute(`
        xor ecx, ecx
${step}
        nop
        jecxz near1
        nop
near1:  test ecx, ecx
        jnz near2
        nop
near2:
${stop}`, () => { R[DEBUGCTL] = 2; });
    expect(events[0].eip).toBe(label('near1'));
    // The trap cleared BTF: from there on every instruction.
    expect(events[1].eip).toBe(label('near1') + 2);
    expect(R[DEBUGCTL]).toBe(0);
  });

  it('traps not at all after INT n, whose handler has TF clear', () => {
    const events = execute(`${step}
        int 0x20
after:  nop
${stop}`);
    expect(events[0].vector).toBe(0x20);
    expect(events[0].flags & F_TF).toBe(F_TF);
    expect([events[1].vector, events[1].eip]).toEqual([1, label('after') + 1]);
  });
});

describe('data breakpoints', () => {
  it('are traps after the instruction, by kind, length and alignment', () => {
    const events = execute(`
        mov eax, [${DATA + 4}]
a:      mov dword [${DATA + 5}], 1
b:      mov byte [${DATA + 8}], 1
c:      mov eax, [${DATA + 0x1d}]
d:      mov word [${DATA + 2}], 1
e:      mov word [${DATA + 3}], 1
f:`, () => {
      breakpoint(0, DATA + 4, 1, 3);
      breakpoint(1, DATA + 9, 1, 1);
      breakpoint(3, DATA + 0x20, 3, 0);
    });
    expect(events.map((e) => [e.eip, conditions(e)])).toEqual([
      // Bytes 5-8: the four at 4, and the two at 8 (the address is aligned to the length).
      [label('b'), 3], [label('c'), 2], [label('d'), 8], [label('f'), 1],
    ]);
    expect(events.some(hasRf)).toBe(false);
  });

  it('stop a string instruction after the iteration', () => {
    const events = execute(`
        mov edi, ${DATA}
        mov ecx, 100
        mov al, 7
here:   rep stosb
after:`, () => breakpoint(0, DATA + 40, 1, 0));
    expect(events.map((e) => [e.eip, hasRf(e)])).toEqual([[label('here'), true]]);
    expect([R[RDI], R[RCX]]).toEqual([DATA + 100, 0]);
  });

  it('wait until after the instruction that follows MOV SS', () => {
    const events = execute(`
        mov word [${DATA}], 0x10
first:  mov ss, [${DATA}]
        nop
after:  nop`, () => breakpoint(0, DATA, 3, 1));
    expect(events.map((e) => [e.eip, conditions(e)])).toEqual([[label('first'), 1], [label('after'), 1]]);
  });

  it('met by an instruction that faults are forgotten', () => {
    // The second operand of the exchange lies beyond the segment limit.
    const events = execute(`
        mov esi, ${DATA}
        mov edi, 0
        mov ax, 0x18
        mov es, ax
here:   movsb`, () => {
      // A read-only segment.
      physWrite32(GDT + 24, 0x0000ffff);
      physWrite32(GDT + 28, 0x00cf9100);
      breakpoint(0, DATA, 3, 0);
    }, 25);
    expect(events[0].vector).toBe(13);
    expect(hasRf(events[0])).toBe(true);
    expect(conditions(events[0])).toBe(0);
    expect(R[PENDING_DB]).toBe(0);
  });
});

describe('I/O breakpoints', () => {
  it('are traps after the instruction, if CR4.DE is set', () => {
    const code = `
        in al, 0x71
a:      in ax, 0x72
b:      mov dx, 0x73
        out dx, eax
c:      in al, 0x75
d:`;
    const prepare = (): void => breakpoint(1, 0x72, 2, 1);
    expect(execute(code, prepare)).toEqual([]);
    prepareMode();
    R[CR4] |= 8;
    expect(execute(code, prepare).map((e) => [e.eip, conditions(e)])).toEqual([[label('b'), 2], [label('c'), 2]]);
  });

  it('stop a string instruction after the iteration', () => {
    R[CR4] |= 8;
    const events = execute(`
        mov dx, 0x72
        mov edi, ${DATA}
        mov ecx, 3
here:   rep insb
after:`, () => breakpoint(0, 0x72, 2, 0));
    expect(events.map((e) => [e.eip, hasRf(e)])).toEqual([[label('here'), true], [label('here'), true], [label('after'), false]]);
  });
});

describe('debug registers', () => {
  it('are guarded by DR7.GD: a fault that clears it', () => {
    const events = execute(`
        mov eax, ${0x2400}
        mov dr7, eax
here:   mov ebx, dr7`);
    expect(events.map((e) => [e.eip, conditions(e), hasRf(e)])).toEqual([[label('here'), BD, true]]);
    expect(R[DR7]).toBe(0x400);
  });

  it('report a task whose T flag is set before its first instruction', () => {
    const TSS1 = 0x22000, TSS2 = 0x22100;
    const tss = (at: number, slot: number): void => {
      physWrite32(GDT + 8 * slot, ((at & 0xffff) << 16) | 0x67);
      physWrite32(GDT + 8 * slot + 4, (at >>> 16) | 0x8900);
      for (let n = 0; n < 0x68; n += 4) physWrite32(at + n, 0);
    };
    const events = execute(`
        mov ax, 0x20
        ltr ax
        jmp 0x28:0
task:   nop`, () => {
      tss(TSS1, 4);
      tss(TSS2, 5);
      for (const [offset, value] of [[0x20, label('task')], [0x24, 2], [0x38, 0x7000], [0x48, 0x10], [0x4c, 8], [0x50, 0x10], [0x54, 0x10], [0x58, 0x10], [0x5c, 0x10], [0x64, 1]]) {
        physWrite32(TSS2 + offset, value);
      }
    });
    expect(events.map((e) => [e.eip, conditions(e)])).toEqual([[label('task'), BT]]);
  });
});

describe('interrupt shadows', () => {
  beforeEach(() => {
    platform.acknowledgeInterrupt = () => {
      R[SIGNALS] &= ~SIG_INTR;
      return 0x20;
    };
  });

  it('STI holds interrupts off for exactly one instruction', () => {
    const [event] = execute(`
        cli
        nop
        sti
        nop
here:   nop
        nop
        cli`, () => { R[SIGNALS] |= SIG_INTR; });
    expect([event.vector, event.eip]).toEqual([0x20, label('here')]);
  });

  it('MOV SS holds NMIs and interrupts off for exactly one instruction; the NMI goes first', () => {
    const code = `
        mov ax, ss
        mov ss, ax
first:  mov ecx, 1
second: mov edx, 2`;
    for (const [at, where] of [[1, -2], [2, 5], [3, 5], [4, 10]]) {
      prepareMode();
      load(code);
      R[EFLAGS] |= F_IF;
      let due = at;
      runSlice({
        nextDeadline: () => due,
        runDue: () => {
          due = Infinity;
          R[SIGNALS] |= SIG_INTR | SIG_NMI;
        },
        get stopped() { return R[ACTIVITY] !== 0; },
      }, 500);
      // Interrupts are off in the NMI's handler.
      expect(logged().map((e) => [e.vector, e.eip])).toEqual([[2, label('first') + where], [0x20, label('first') + where]]);
    }
  });
});

describe('the time-stamp counter', () => {
  it('can be set to any 64-bit value and counts on from there', () => {
    load(`
        mov ecx, 0x10
        mov eax, 0xffffffff
        mov edx, 0x80000001
        wrmsr
        nop
        rdtsc`);
    run(100);
    // One cycle for each of WRMSR and NOP.
    expect([R[RAX], R[RDX] >>> 0]).toEqual([1, 0x80000002]);
    expect((R[TSC_ADJUST] + clockNow()) | 0).toBe(3);
  });
});
