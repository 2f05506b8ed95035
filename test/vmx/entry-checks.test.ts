import { describe, expect, it } from 'vitest';
import { LMA, R, RIP } from '../../src/cpu/state';
import { physWrite32, physWrite64, physWrite8 } from '../../src/cpu/mmu/physical';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import {
  exitReason, HOST_RIP, inGuest, plain, ready, VIRTUAL_APIC, VMCS_A, VMCS_B, vmwrite, IO_BITMAPS, MSR_BITMAP, MSR_LIST,
} from './machine';

/** A change to the good VMCS: [encoding, low, high]. */
type Change = [number, number, number?];

const PROC = 0x84006172 | 0;
const FAIL_33 = 0x80000021;

/** Launches the VMCS with the given changes: 'guest', a VM-instruction error, or 'exit reason:qualification'. */
function launch(...changes: Change[]): string | number {
  ready();
  return apply(changes);
}

function apply(changes: Change[]): string | number {
  for (const [encoding, lo, hi] of changes) expect(vmwrite(encoding, lo, hi ?? 0)).toBe('succeed');
  const result = plain('vmlaunch');
  if (inGuest()) return 'guest';
  if (R[RIP] === HOST_RIP + 0x100) return `${exitReason().toString(16)}:${V[F.EXIT_QUALIFICATION]}`;
  return result;
}

const GUEST_STATE = `${FAIL_33.toString(16)}:0`;

describe('VM entry', () => {
  it('succeeds with the good VMCS', () => expect(launch()).toBe('guest'));

  it('loads the guest and exits back to the host', () => {
    launch();
    expect(R[RIP]).toBe(V[F.GUEST_RIP]);
    plain('vmcall');
    expect(exitReason()).toBe(18);
    expect(R[RIP]).toBe(HOST_RIP + 0x100);
  });
});

describe('checks of control fields (error 7)', () => {
  const cases: [string, ...Change[]][] = [
    ['pin-based: a bit that must be 1', [0x4000, 0x06]],
    ['pin-based: posted interrupts', [0x4000, 0x96]],
    ['pin-based: bit 8', [0x4000, 0x116]],
    ['processor-based: a bit that must be 1', [0x4002, PROC & ~2]],
    ['processor-based: bit 0', [0x4002, PROC | 1]],
    ['secondary: virtualize x2APIC', [0x401e, 0x32]],
    ['secondary: RDRAND exiting', [0x401e, 0x822]],
    ['VM functions: bit 1', [0x401e, 0x2022], [0x2018, 2]],
    ['VM functions: bit 32', [0x401e, 0x2022], [0x2018, 0, 1]],
    ['EPTP list not aligned', [0x401e, 0x2022], [0x2018, 1], [0x2024, 0x1008]],
    ['EPTP list too high', [0x401e, 0x2022], [0x2018, 1], [0x2024, 0x1000, 0x100]],
    ['EPTP switching without EPT', [0x401e, 0x2020], [0x2018, 1], [0x2024, 0x1000]],
    ['VMREAD bitmap not aligned', [0x401e, 0x4022], [0x2026, 0x1001]],
    ['VMWRITE bitmap too high', [0x401e, 0x4022], [0x2028, 0, 0x100]],
    ['PML address not aligned', [0x401e, 0x20022], [0x200e, 0x10]],
    ['PML without EPT', [0x401e, 0x20020]],
    ['#VE information area not aligned', [0x401e, 0x40022], [0x202a, 0x800]],
    ['mode-based execute control without EPT', [0x401e, 0x400020]],
    ['TSC multiplier 0', [0x401e, 0x2000022], [0x2032, 0]],
    ['exit: a bit that must be 1', [0x400c, 0x36ffb & ~1]],
    ['exit: load PERF_GLOBAL_CTRL', [0x400c, 0x36ffb | 0x1000]],
    ['entry: a bit that must be 1', [0x4012, 0x13fb & ~1]],
    ['entry: load PERF_GLOBAL_CTRL', [0x4012, 0x13fb | 0x2000]],
    ['entry: to SMM', [0x4012, 0x13fb | 0x400]],
    ['five CR3 targets', [0x400a, 5]],
    ['I/O bitmap A not aligned', [0x4002, PROC | (1 << 25)], [0x2000, IO_BITMAPS + 1], [0x2002, IO_BITMAPS + 0x1000]],
    ['I/O bitmap B too high', [0x4002, PROC | (1 << 25)], [0x2000, IO_BITMAPS], [0x2002, 0, 0x100]],
    ['MSR bitmap not aligned', [0x4002, PROC | (1 << 28)], [0x2004, MSR_BITMAP + 8]],
    ['virtual NMIs without NMI exiting', [0x4000, 0x36]],
    ['NMI window without virtual NMIs', [0x4000, 0x1e], [0x4002, PROC | (1 << 22)]],
    ['virtual-APIC page not aligned', [0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC + 4]],
    ['TPR threshold above 15', [0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401c, 16]],
    ['TPR threshold above the virtual TPR', [0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401c, 3]],
    ['APIC-access page not aligned', [0x401e, 0x23], [0x2014, 0x13008]],
    ['VPID 0', [0x0000, 0]],
    ['EPT pointer: memory type 1', [0x201a, 0x18019]],
    ['EPT pointer: 5 levels', [0x201a, 0x18026]],
    ['EPT pointer: reserved bit 7', [0x201a, 0x1809e]],
    ['EPT pointer: too high', [0x201a, 0x1801e, 0x100]],
    ['unrestricted guest without EPT', [0x401e, 0xa0]],
    ['save preemption timer without the timer', [0x400c, 0x36ffb | (1 << 22)]],
    ['exit MSR-store list not aligned', [0x400e, 1], [0x2006, MSR_LIST + 8]],
    ['exit MSR-load list beyond the address width', [0x4010, 2], [0x2008, 0xfffffff0 | 0, 0xff]],
    ['entry MSR-load list not aligned', [0x4014, 1], [0x200a, MSR_LIST + 1]],
    ['injection: type 1', [0x4016, 0x80000120 | 0]],
    ['injection: reserved bit 12', [0x4016, 0x80001020 | 0]],
    ['injection: other event, vector 1', [0x4016, 0x80000701 | 0]],
    ['injection: NMI with vector 3', [0x4016, 0x80000203 | 0]],
    ['injection: exception 32', [0x4016, 0x80000320 | 0]],
    ['injection: #GP without error code', [0x4016, 0x8000030d | 0]],
    ['injection: #UD with error code', [0x4016, 0x80000b06 | 0]],
    ['injection: external interrupt with error code', [0x4016, 0x8000080e | 0]],
    ['injection: error code wider than 16 bits', [0x4016, 0x80000b0d | 0], [0x4018, 0x10000]],
    ['injection: software interrupt of length 16', [0x4016, 0x80000480 | 0], [0x401a, 16]],
    ['injection: INT3 of length 16', [0x4016, 0x80000603 | 0], [0x401a, 16]],
  ];
  it.each(cases)('%s', (_name, ...changes) => expect(launch(...changes)).toBe(7));

  it('compares the TPR threshold with the virtual TPR only while APIC accesses are not virtualised', () => {
    ready();
    physWrite8(VIRTUAL_APIC + 0x80, 0x30);
    expect(apply([[0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401c, 3]])).toBe('guest');
    expect(launch([0x4002, PROC | (1 << 21)], [0x2012, VIRTUAL_APIC], [0x401c, 3], [0x401e, 0x23], [0x2014, 0x13000])).toBe('guest');
  });

  it('ignores addresses of features that are off', () => {
    expect(launch([0x2000, 1], [0x2004, 1], [0x2012, 1], [0x2014, 1], [0x401c, 0xff], [0x2006, 1])).toBe('guest');
  });

  it('looks at the secondary controls only when they are activated', () => {
    expect(launch([0x4002, PROC & 0x7fffffff], [0x401e, -1])).toBe('guest');
  });

  it('fails again until the field is corrected', () => {
    expect(launch([0x400a, 5])).toBe(7);
    expect(plain('vmlaunch')).toBe(7);
    vmwrite(0x400a, 4);
    expect(apply([])).toBe('guest');
  });
});

describe('checks of the host-state area (error 8)', () => {
  const NON_CANONICAL = 0x8000;
  const cases: [string, ...Change[]][] = [
    ['CR0.NE = 0', [0x6c00, 0x80050013 | 0]],
    ['CR0.PG = 0', [0x6c00, 0x50033]],
    ['CR0 bit 32', [0x6c00, 0x80050033 | 0, 1]],
    ['CR4.VMXE = 0', [0x6c04, 0xa0]],
    ['CR4 reserved bit', [0x6c04, 0x800020a0 | 0]],
    ['CR3 too wide', [0x6c02, 0, 0x100]],
    ['SYSENTER_ESP not canonical', [0x6c10, 0, NON_CANONICAL]],
    ['SYSENTER_EIP not canonical', [0x6c12, 0, NON_CANONICAL]],
    ['PAT type 2', [0x400c, 0x36ffb | (1 << 19)], [0x2c00, 0x00070206, 0]],
    ['PAT type 8', [0x400c, 0x36ffb | (1 << 19)], [0x2c00, 0, 0x08000000]],
    ['EFER reserved bit', [0x400c, 0x36ffb | (1 << 21)], [0x2c02, 0x502]],
    ['EFER.LMA = 0', [0x400c, 0x36ffb | (1 << 21)], [0x2c02, 0x100]],
    ['EFER.LME = 0', [0x400c, 0x36ffb | (1 << 21)], [0x2c02, 0x400]],
    ['ES with RPL', [0x0c00, 0x1b]],
    ['CS with TI', [0x0c02, 0x14]],
    ['SS with RPL', [0x0c04, 0x19]],
    ['DS with TI', [0x0c06, 0x1c]],
    ['FS with RPL', [0x0c08, 1]],
    ['GS with TI', [0x0c0a, 4]],
    ['TR with RPL', [0x0c0c, 0x43]],
    ['CS null', [0x0c02, 0]],
    ['TR null', [0x0c0c, 0]],
    ['FS base not canonical', [0x6c06, 0, NON_CANONICAL]],
    ['GS base not canonical', [0x6c08, 0, NON_CANONICAL]],
    ['TR base not canonical', [0x6c0a, 0, NON_CANONICAL]],
    ['GDTR base not canonical', [0x6c0c, 0, NON_CANONICAL]],
    ['IDTR base not canonical', [0x6c0e, 0, NON_CANONICAL]],
    ['host address-space size 0 on a 64-bit host', [0x400c, 0x36ffb & ~0x200]],
    ['CR4.PAE = 0', [0x6c04, 0x2080]],
    ['RIP not canonical', [0x6c16, 0, NON_CANONICAL]],
  ];
  it.each(cases)('%s', (_name, ...changes) => expect(launch(...changes)).toBe(8));

  it('sees that the CPU itself has left IA-32e mode', () => {
    ready();
    R[LMA] = 0;
    R[58] = 1;
    expect(apply([])).toBe(8);
  });
});

describe('checks of the guest-state area (exit 33)', () => {
  const NON_CANONICAL = 0x8000;
  const UG: Change = [0x401e, 0xa2];
  const cases: [string, ...Change[]][] = [
    ['CR0.NE = 0', [0x6800, 0x80050013 | 0]],
    ['CR0.PE = 0', [0x6800, 0x80050032 | 0]],
    ['CR0.PG = 0 without unrestricted guest', [0x6800, 0x50033], [0x4012, 0x11fb]],
    ['CR0.PG without PE', UG, [0x6800, 0x80050032 | 0]],
    ['CR4.VMXE = 0', [0x6804, 0xa0]],
    ['CR4 reserved bit', [0x6804, 0x800020a0 | 0]],
    ['IA-32e mode without PAE', [0x6804, 0x2080]],
    ['IA-32e mode without paging', UG, [0x6800, 0x50033]],
    ['CR3 too wide', [0x6802, 0, 0x100]],
    ['DEBUGCTL reserved bit', [0x4012, 0x13ff], [0x2802, 4]],
    ['DR7 bit 32', [0x4012, 0x13ff], [0x681a, 0x400, 1]],
    ['SYSENTER_ESP not canonical', [0x6824, 0, NON_CANONICAL]],
    ['SYSENTER_EIP not canonical', [0x6826, 0, NON_CANONICAL]],
    ['PAT type 3', [0x4012, 0x53fb], [0x2804, 3]],
    ['EFER reserved bit', [0x4012, 0x93fb], [0x2806, 0x502]],
    ['EFER.LMA = 0', [0x4012, 0x93fb], [0x2806, 0x100]],
    ['EFER.LME = 0', [0x4012, 0x93fb], [0x2806, 0x400]],
    ['TR with TI', [0x080e, 0x44]],
    ['LDTR usable with TI', [0x080c, 0x4c], [0x4820, 0x82]],
    ['SS.RPL differs from CS.RPL', [0x0804, 0x1b]],
    ['FS base not canonical', [0x680e, 0, NON_CANONICAL]],
    ['GS base not canonical', [0x6810, 0, NON_CANONICAL]],
    ['TR base not canonical', [0x6814, 0, NON_CANONICAL]],
    ['LDTR base not canonical', [0x4820, 0x82], [0x6812, 0, NON_CANONICAL]],
    ['CS base above 4 GiB', [0x6808, 0, 1]],
    ['SS base above 4 GiB', [0x680a, 0, 1]],
    ['CS: data type', [0x4816, 0xa093]],
    ['CS: not accessed', [0x4816, 0xa09a]],
    ['CS: system', [0x4816, 0xa08b]],
    ['CS: not present', [0x4816, 0xa01b]],
    ['CS: reserved bit 8', [0x4816, 0xa19b]],
    ['CS: reserved bit 17', [0x4816, 0x2a09b]],
    ['CS: L and D', [0x4816, 0xe09b]],
    ['CS: DPL differs from SS.DPL', [0x4816, 0xa0fb]],
    ['CS: type 3 without unrestricted guest', [0x4816, 0x8093]],
    ['CS: small limit with G', [0x4802, 0x12345]],
    ['CS: big limit without G', [0x4816, 0x209b]],
    ['SS: read-only', [0x4818, 0xc091]],
    ['SS: code', [0x4818, 0xc09b]],
    ['SS: DPL differs from RPL', [0x4818, 0xc0f3]],
    ['SS: not present', [0x4818, 0xc013]],
    ['DS: not accessed', [0x481a, 0xc092]],
    ['DS: code not readable', [0x481a, 0xc099]],
    ['DS: DPL below RPL', [0x0806, 0x1b]],
    ['ES: system', [0x4814, 0xc083]],
    ['FS: not present', [0x481c, 0xc013]],
    ['GS: limit does not fit', [0x480a, 0x12345]],
    ['TR: unusable', [0x4822, 0x1008b]],
    ['TR: 16-bit in IA-32e mode', [0x4822, 0x83]],
    ['TR: not busy', [0x4822, 0x89]],
    ['TR: not present', [0x4822, 0x0b]],
    ['TR: S set', [0x4822, 0x9b]],
    ['TR: limit does not fit', [0x480e, 0x100000]],
    ['LDTR: wrong type', [0x4820, 0x83]],
    ['LDTR: not present', [0x4820, 0x02]],
    ['GDTR limit above FFFFh', [0x4810, 0x10000]],
    ['IDTR limit above FFFFh', [0x4812, 0x10000]],
    ['GDTR base not canonical', [0x6816, 0, NON_CANONICAL]],
    ['IDTR base not canonical', [0x6818, 0, NON_CANONICAL]],
    ['RIP bits 63:48 not all equal', [0x681e, 0, 0x10000]],
    ['RIP above 4 GiB in compatibility mode', [0x4816, 0xc09b], [0x681e, 0, 1]],
    ['RFLAGS bit 1 clear', [0x6820, 0]],
    ['RFLAGS bit 3', [0x6820, 0x0a]],
    ['RFLAGS bit 22', [0x6820, 0x400002]],
    ['RFLAGS bit 32', [0x6820, 2, 1]],
    ['RFLAGS.VM in IA-32e mode', [0x6820, 0x20002]],
    ['external interrupt with IF = 0', [0x4016, 0x80000030 | 0]],
    ['activity state 4', [0x4826, 4]],
    ['HLT at DPL 3', [0x4826, 1], [0x0804, 0x1b], [0x0802, 0x13], [0x4818, 0xc0f3], [0x4816, 0xa0fb]],
    ['HLT with STI blocking', [0x4826, 1], [0x4824, 1], [0x6820, 0x202]],
    ['#UD into HLT', [0x4826, 1], [0x4016, 0x80000306 | 0]],
    ['external interrupt into shutdown', [0x4826, 2], [0x4016, 0x80000030 | 0], [0x6820, 0x202]],
    ['NMI into wait-for-SIPI', [0x4826, 3], [0x4016, 0x80000202 | 0]],
    ['interruptibility reserved bit', [0x4824, 0x20]],
    ['blocking by STI and MOV SS', [0x4824, 3], [0x6820, 0x202]],
    ['blocking by STI with IF = 0', [0x4824, 1]],
    ['external interrupt with STI blocking', [0x4824, 1], [0x6820, 0x202], [0x4016, 0x80000030 | 0]],
    ['NMI with MOV SS blocking', [0x4824, 2], [0x4016, 0x80000202 | 0]],
    ['NMI with virtual NMIs blocked', [0x4000, 0x3e], [0x4824, 8], [0x4016, 0x80000202 | 0]],
    ['blocking by SMI', [0x4824, 4]],
    ['pending debug reserved bit', [0x6822, 0x10]],
    ['pending debug bit 32', [0x6822, 0, 1]],
    ['MOV SS blocking with TF but without BS', [0x4824, 2], [0x6820, 0x102]],
    ['MOV SS blocking with BS but without TF', [0x4824, 2], [0x6822, 0x4000]],
  ];
  it.each(cases)('%s', (_name, ...changes) => expect(launch(...changes)).toBe(GUEST_STATE));

  it('reports a bad link pointer with qualification 4', () => {
    const bad = `${FAIL_33.toString(16)}:4`;
    expect(launch([0x2800, VMCS_B + 8])).toBe(bad);
    expect(launch([0x2800, VMCS_B, 0x100])).toBe(bad);
    expect(launch([0x2800, VMCS_A])).toBe(bad);
    ready();
    physWrite32(VMCS_B, 0x80000011);
    expect(apply([[0x2800, VMCS_B]])).toBe(bad);
    expect(launch([0x2800, VMCS_B])).toBe('guest');
  });

  const PAE: Change[] = [[0x4012, 0x11fb], [0x6800, 0x80050033 | 0], [0x4816, 0xc09b]];

  it('reports bad PDPTEs with qualification 2', () => {
    const bad = `${FAIL_33.toString(16)}:2`;
    expect(launch(...PAE, [0x280a, 0x1003])).toBe(bad);
    expect(launch(...PAE, [0x2810, 0x1001, 0x100])).toBe(bad);
    expect(launch(...PAE, [0x280a, 0x1001])).toBe('guest');
    // Without EPT they come from memory at CR3.
    ready();
    physWrite64(0x21000, 0x1001, 0);
    physWrite64(0x21008, 0x1023, 0);
    const noEpt: Change[] = [[0x401e, 0x20], [0x6802, 0x21000]];
    expect(apply([...PAE, ...noEpt])).toBe(bad);
    ready();
    physWrite64(0x21000, 0x1001, 0);
    expect(apply([...PAE, ...noEpt])).toBe('guest');
  });

  const REAL: Change[] = [
    UG, [0x4012, 0x11fb], [0x6800, 0x30], [0x6804, 0x2000], [0x0802, 0xf000], [0x6808, 0xf0000], [0x4802, 0xffff], [0x4816, 0x93],
    ...[0x0800, 0x0804, 0x0806, 0x0808, 0x080a].map((e): Change => [e, 0]), ...[0x4800, 0x4804, 0x4806, 0x4808, 0x480a].map((e): Change => [e, 0xffff]),
    ...[0x4814, 0x4818, 0x481a, 0x481c, 0x481e].map((e): Change => [e, 0x93]), [0x681e, 0xfff0],
  ];

  it('accepts real mode for an unrestricted guest', () => {
    expect(launch(...REAL)).toBe('guest');
    expect(launch(...REAL, [0x6800, 0x10])).toBe(GUEST_STATE);
    // SS.DPL must be 0 in real mode.
    expect(launch(...REAL, [0x4818, 0xf3])).toBe(GUEST_STATE);
    // Exceptions have no error code there.
    expect(launch(...REAL, [0x4016, 0x80000b0d | 0])).toBe(7);
  });

  const VIRTUAL_8086: Change[] = [
    [0x4012, 0x11fb], [0x6800, 0x80000031 | 0], [0x6804, 0x2000], [0x6820, 0x20002], [0x681e, 0x100],
    ...[0, 1, 2, 3, 4, 5].flatMap((s): Change[] => [
      [0x0800 + 2 * s, 0x1000 + s], [0x6806 + 2 * s, (0x1000 + s) << 4], [0x4800 + 2 * s, 0xffff], [0x4814 + 2 * s, 0xf3],
    ]),
  ];

  it('accepts virtual-8086 mode, with exactly its segments', () => {
    expect(launch(...VIRTUAL_8086)).toBe('guest');
    for (let s = 0; s < 6; s++) {
      expect(launch(...VIRTUAL_8086, [0x6806 + 2 * s, 0x777])).toBe(GUEST_STATE);
      expect(launch(...VIRTUAL_8086, [0x4800 + 2 * s, 0x1ffff])).toBe(GUEST_STATE);
      expect(launch(...VIRTUAL_8086, [0x4814 + 2 * s, 0x93])).toBe(GUEST_STATE);
    }
  });

  it('leaves the guest area, the launch state and the injection alone, and loads the host', () => {
    expect(launch([0x4824, 4], [0x4016, 0x80000202 | 0])).toBe(GUEST_STATE);
    expect(V[F.ENTRY_INTERRUPTION_INFO]).toBe(0x80000202 | 0);
    expect(V[F.REGION_LAUNCHED]).toBe(0);
    expect(R[RIP]).toBe(HOST_RIP + 0x100);
    vmwrite(0x4824, 0);
    vmwrite(0x4016, 0);
    expect(apply([])).toBe('guest');
  });

  it('keeps checking what was not corrected', () => {
    expect(launch([0x6804, 0xa0])).toBe(GUEST_STATE);
    expect(apply([])).toBe(GUEST_STATE);
    expect(apply([[0x4816, 0xa19b]])).toBe(GUEST_STATE);
    expect(apply([[0x6804, 0x20a0]])).toBe(GUEST_STATE);
    expect(apply([[0x4816, 0xa09b]])).toBe('guest');
  });
});
