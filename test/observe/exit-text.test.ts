/** Every exit reason whose qualification says something is decoded. Values as SDM 3C 28.2.1 lays them out. */
import { describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { describeExit } from '../../src/observe/exit-text';
import type { ExitFacts } from '../../src/observe/exit-text';
import * as E from '../../src/vmx/exit-reasons';

const NOTHING: ExitFacts = {
  reason: 0, qualificationLo: 0, qualificationHi: 0, interruptionInfo: 0, interruptionError: 0, vectoringInfo: 0, guestLinearLo: 0x1234, guestLinearHi: 0,
  guestPhysicalLo: 0xfee00000 | 0, guestPhysicalHi: 1, raxLo: 0x41, raxHi: 0x99, rcxLo: 0xc0000080 | 0, rdxLo: 7,
};
const VALID = 0x80000000 | 0;

function text(reason: number, qualificationLo = 0, more: Partial<ExitFacts> = {}): string {
  return describeExit({ ...NOTHING, reason, qualificationLo, ...more });
}

describe('describeExit', () => {
  it('exceptions', () => {
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, 0xdead000, { interruptionInfo: VALID | 0xb0e, interruptionError: 6 })).toBe('#PF at 0xdead000: not present, write, user');
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, -1, { qualificationHi: -1, interruptionInfo: VALID | 0xb0e, interruptionError: 17 })).toBe('#PF at 0xffffffffffffffff: present, fetch');
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, 0x4001, { interruptionInfo: VALID | 0x301 })).toBe('#DB B0 BS');
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, 0, { interruptionInfo: VALID | 0xb0d, interruptionError: 0x18 })).toBe('#GP error 0x18');
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, 0, { interruptionInfo: VALID | 0x202 })).toBe('NMI');
    expect(text(E.EXIT_REASON_EXCEPTION_NMI, 0, { interruptionInfo: VALID | 0x603 })).toBe('#BP');
  });

  it('events', () => {
    expect(text(E.EXIT_REASON_EXTERNAL_INTERRUPT, 0, { interruptionInfo: VALID | 0xec })).toBe('vector 0xec');
    expect(text(E.EXIT_REASON_EXTERNAL_INTERRUPT)).toBe('not acknowledged');
    expect(text(E.EXIT_REASON_SIPI, 0x9a)).toBe('start-up vector 0x9a');
    expect(text(E.EXIT_REASON_TASK_SWITCH, 0xc0000028 | 0)).toBe('to selector 0x0028 by task gate in the IDT');
    expect(text(E.EXIT_REASON_TASK_SWITCH, 0x28, { vectoringInfo: VALID | 0x308 })).toBe('to selector 0x0028 by CALL, while delivering hardware exception #DF');
    expect(text(E.EXIT_REASON_VIRTUALIZED_EOI, 0x31)).toBe('vector 0x31');
    expect(text(E.EXIT_REASON_PML_FULL, 0x1000)).toBe('NMI unblocking due to IRET');
  });

  it('control and debug registers', () => {
    expect(text(E.EXIT_REASON_CR_ACCESS, 3 | (8 << 8))).toBe('MOV to CR3 from R8');
    expect(text(E.EXIT_REASON_CR_ACCESS, 8 | 0x10 | (2 << 8))).toBe('MOV from CR8 to RDX');
    expect(text(E.EXIT_REASON_CR_ACCESS, 0x20)).toBe('CLTS');
    expect(text(E.EXIT_REASON_CR_ACCESS, 0x30 | (0xfff1 << 16))).toBe('LMSW 0xfff1');
    expect(text(E.EXIT_REASON_CR_ACCESS, 0x70 | (1 << 16))).toBe('LMSW 0x0001 from memory at 0x1234');
    expect(text(E.EXIT_REASON_MOV_DR, 7 | (3 << 8))).toBe('MOV to DR7 from RBX');
    expect(text(E.EXIT_REASON_MOV_DR, 6 | 0x10)).toBe('MOV from DR6 to RAX');
  });

  it('ports', () => {
    expect(text(E.EXIT_REASON_IO, 0x3f8 << 16)).toBe("OUT port 0x3f8, 8 bits = 0x41 'A'");
    expect(text(E.EXIT_REASON_IO, (0x70 << 16) | 0x40)).toBe("OUT port 0x70 (immediate), 8 bits = 0x41 'A'");
    expect(text(E.EXIT_REASON_IO, (0xcfc << 16) | 3)).toBe('OUT port 0xcfc, 32 bits = 0x00000041');
    expect(text(E.EXIT_REASON_IO, (0x3fd << 16) | 8)).toBe('IN port 0x3fd, 8 bits');
    expect(text(E.EXIT_REASON_IO, (0x1f0 << 16) | 8 | 16 | 32 | 1, { rcxLo: 0x100 })).toBe('REP INS port 0x1f0, 16 bits, memory at 0x1234, count 100h');
    expect(text(E.EXIT_REASON_IO, (0x3f8 << 16) | 16)).toBe('OUTS port 0x3f8, 8 bits, memory at 0x1234');
  });

  it('memory', () => {
    expect(text(E.EXIT_REASON_EPT_VIOLATION, 0x182)).toBe('write of guest-physical 0x1fee00000 (EPT allows ---), linear 0x1234');
    expect(text(E.EXIT_REASON_EPT_VIOLATION, 0x80 | 3 | 0x28)).toBe('read+write of guest-physical 0x1fee00000 (EPT allows r-x), page walk of linear 0x1234');
    expect(text(E.EXIT_REASON_EPT_VIOLATION, 0x781 | 0x58)).toBe('read of guest-physical 0x1fee00000 (EPT allows rw-u), linear 0x1234 (user, writable)');
    expect(text(E.EXIT_REASON_EPT_VIOLATION, 4 | 0x1000)).toBe('fetch of guest-physical 0x1fee00000 (EPT allows ---), loading PDPTEs, NMI unblocking due to IRET');
    expect(text(E.EXIT_REASON_EPT_MISCONFIG)).toBe('guest-physical 0x1fee00000');
    expect(text(E.EXIT_REASON_INVLPG, 0x5000, { qualificationHi: 0xffff })).toBe('linear 0xffff00005000');
    expect(text(E.EXIT_REASON_APIC_ACCESS, 0x10b0)).toBe('linear write of register 0x0b0');
    expect(text(E.EXIT_REASON_APIC_ACCESS, 0x3000)).toBe('linear access during event delivery');
    expect(text(E.EXIT_REASON_APIC_ACCESS, 0xf000)).toBe('guest-physical access for an instruction');
    expect(text(E.EXIT_REASON_APIC_WRITE, 0x300)).toBe('register 0x300');
    expect(text(E.EXIT_REASON_MWAIT, 1)).toBe('monitoring hardware armed');
  });

  it('instructions with a memory operand', () => {
    const operands = [
      E.EXIT_REASON_VMCLEAR, E.EXIT_REASON_VMPTRLD, E.EXIT_REASON_VMPTRST, E.EXIT_REASON_VMREAD, E.EXIT_REASON_VMWRITE, E.EXIT_REASON_VMXON, E.EXIT_REASON_GDTR_IDTR,
      E.EXIT_REASON_LDTR_TR, E.EXIT_REASON_INVEPT, E.EXIT_REASON_INVVPID, E.EXIT_REASON_INVPCID,
    ];
    for (const reason of operands) {
      expect(text(reason, 0x40)).toBe('memory operand with displacement 0x40');
      expect(text(reason, -8, { qualificationHi: -1 })).toBe('memory operand with displacement -0x8');
      expect(text(reason)).toBe('');
    }
  });

  it('instructions that say it in registers', () => {
    expect(text(E.EXIT_REASON_CPUID)).toBe('leaf 0x41, subleaf 0xc0000080');
    expect(text(E.EXIT_REASON_VMCALL)).toBe('RAX = 0x0000009900000041');
    expect(text(E.EXIT_REASON_RDMSR)).toBe('MSR 0xc0000080 IA32_EFER');
    expect(text(E.EXIT_REASON_WRMSR)).toBe('MSR 0xc0000080 IA32_EFER = 0x0000000700000041');
    expect(text(E.EXIT_REASON_XSETBV, 0, { rcxLo: 0 })).toBe('XCR0 = 0x0000000700000041');
    expect(text(E.EXIT_REASON_HLT)).toBe('');
  });

  it('entries that failed', () => {
    const failed = (reason: number, qualification: number): string => text(reason | E.EXIT_REASON_ENTRY_FAILURE, qualification);
    expect(failed(E.EXIT_REASON_ENTRY_GUEST_STATE, 0)).toBe('VM entry failed: invalid guest state');
    expect(failed(E.EXIT_REASON_ENTRY_GUEST_STATE, 2)).toBe('VM entry failed: PDPTE loading');
    expect(failed(E.EXIT_REASON_ENTRY_GUEST_STATE, 4)).toBe('VM entry failed: VMCS link pointer');
    expect(failed(E.EXIT_REASON_ENTRY_MSR_LOAD, 3)).toBe('VM entry failed: entry 3 of the MSR-load list');
    expect(failed(E.EXIT_REASON_ENTRY_MACHINE_CHECK, 0)).toBe('VM entry failed: machine check');
  });
});
