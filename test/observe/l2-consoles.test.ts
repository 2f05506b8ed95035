import { beforeEach, describe, expect, it } from 'vitest';
import { C, OPSIZE_32 } from '../../src/cpu/record';
import { CR0, CURP, EFLAGS, F_DF, LA, R, RCX, RIP } from '../../src/cpu/state';
import { beginSlice, resetClock } from '../../src/cpu/clock';
import { physWrite32, physWriteBytes, setUpRam } from '../../src/cpu/mmu/physical';
import { ioObserver } from '../../src/observe/exit-log';
import { noteEntry, noteExit, resetGuests } from '../../src/observe/guests';
import { EXIT_REASON_IO } from '../../src/vmx/exit-reasons';
import { REGION_GUEST, REGION_LAUNCHED } from '../../src/vmx/fields';
import { GUEST_ID } from '../../src/vmx/state';
import { BUD } from '../../src/cpu/state';
import { L2Consoles } from '../../src/observe/l2-consoles';

const COM1 = 0x3f8;
let seen: string[];
let consoles: L2Consoles | undefined;

/** What is kept in each VMCS. */
const marks = new Map<number, number>();

/** The VMCS, launched, with its mark, in memory. */
function enter(vmcs: number, eptp: number): void {
  const mark = noteEntry(vmcs, eptp, marks.get(vmcs) ?? 0);
  marks.set(vmcs, mark);
  physWrite32(vmcs + 4 * REGION_LAUNCHED, 1);
  physWrite32(vmcs + 4 * REGION_GUEST, mark);
}

/** Guest with this VMCS runs until it does port output. */
function out(vmcs: number, eptp: number, port: number, value: number, size = 1): void {
  enter(vmcs, eptp);
  ioObserver?.(R[GUEST_ID], port, size, false, value, false, false);
  noteExit(EXIT_REASON_IO);
}

function outString(vmcs: number, linear: number, count: number, rip: number, instructions: number): void {
  enter(vmcs, 0x1000);
  beginSlice(instructions + 1);
  R[BUD] -= instructions;
  R[LA] = linear;
  R[LA + 1] = 0;
  R[RCX] = count;
  R[RIP] = rip;
  ioObserver?.(R[GUEST_ID], COM1, 1, false, linear, true, true);
  noteExit(EXIT_REASON_IO);
}

const text = (word: string) => new TextEncoder().encode(word);

describe('L2 consoles', () => {
  beforeEach(() => {
    R.fill(0);
    marks.clear();
    resetClock();
    resetGuests();
    setUpRam(1 << 20, 0xc0000000);
    seen = [];
    consoles?.detach();
    consoles = new L2Consoles((console, byte) => {
      seen[console.machine] = (seen[console.machine] ?? '') + String.fromCharCode(byte);
    });
    consoles.attach();
    R[CR0] = 0;
    C[10] = OPSIZE_32 << 16;
    R[CURP] = 10;
  });

  it('shows what a guest writes to the data register, but not the divisor or loopback', () => {
    out(0x5000, 0x1000, COM1 + 3, 0x83);
    out(0x5000, 0x1000, COM1, 1);
    out(0x5000, 0x1000, COM1 + 3, 0x03);
    out(0x5000, 0x1000, COM1 + 4, 0x1b);
    out(0x5000, 0x1000, COM1, 'x'.charCodeAt(0));
    out(0x5000, 0x1000, COM1 + 4, 0x0b);
    for (const c of 'hi') out(0x5000, 0x1000, COM1, c.charCodeAt(0));
    out(0x5000, 0x1000, 0x2f8, 0x21);
    // A word access reaches the next register as well.
    out(0x5000, 0x1000, COM1, 0x0021, 2);
    expect(seen).toEqual([undefined, 'hi!']);
  });

  it('keeps machines apart, takes processors with one EPT pointer together, and survives a new pointer', () => {
    out(0x5000, 0x1000, COM1, 0x61);
    out(0x6000, 0x2000, COM1, 0x62);
    out(0x7000, 0x1000, COM1, 0x63);
    out(0x5000, 0x3000, COM1, 0x64);
    out(0x8000, 0, COM1, 0x65);
    expect(seen).toEqual([undefined, 'acd', 'b', 'e']);
  });

  it('reads string output from the guest, once, also when it is emulated in parts', () => {
    physWriteBytes(0x8000, text('hello, world'));
    outString(0x5000, 0x8000, 12, 0x100, 5);
    expect(seen[1]).toBe('hello, world');
    // The hypervisor did five elements; the guest comes back to the same instruction for the rest.
    outString(0x5000, 0x8005, 7, 0x100, 0);
    expect(seen[1]).toBe('hello, world');
    // The same string again, by the same instruction, later.
    outString(0x5000, 0x8000, 12, 0x100, 50);
    expect(seen[1]).toBe('hello, worldhello, world');
    R[EFLAGS] = F_DF;
    outString(0x5000, 0x8004, 5, 0x200, 9);
    expect(seen[1].slice(24)).toBe('olleh');
  });

  it('stops at unmapped memory and when detached', () => {
    outString(0x5000, 0x7fffff00, 2, 0x100, 3);
    expect(seen[1]).toBe('\0\0');
    consoles?.detach();
    expect(ioObserver).toBeNull();
  });
});
