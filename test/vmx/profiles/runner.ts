/**
 * Guests under the engine for the tests of profiles: a host of a few instructions that enters the guest and halts at each VM exit, so that a test looks at the exit, changes the VMCS,
 * and resumes. The VMCS starts as a page of zeroes in which only the fields below are set: VirtualBox relies on that, and nobody else may mind.
 */
import { ACTIVITY, CR4, FEATURE_CONTROL, R, RAX, RIP, VMX_MODE, VMX_NON_ROOT } from '../../../src/cpu/state';
import { configureCpu } from '../../../src/cpu/features';
import { physWrite32, physWrite64, physWriteBytes } from '../../../src/cpu/mmu/physical';
import { assemble } from '../../../src/guests/assembler/assembler';
import { platform } from '../../../src/cpu/platform';
import * as F from '../../../src/vmx/fields';
import { DIRTY, DIRTY_ALL } from '../../../src/vmx/state';
import { V } from '../../../src/vmx/vmcs';
import { resetVmx } from '../../../src/vmx/vcpu';
import { loadAssembly } from '../../support/assembled';
import { createBareCpu, enterMode, PAGE_TABLES, run, shutdownReason } from '../../support/bare-cpu';
import { profileConfig } from '../../support/profiles';

export const HOST = 0x10000, VMXON_REGION = 0x30000, VMCS = 0x31000, EPT = 0x32000, MSR_BITMAP = 0x38000, VIRTUAL_APIC = 0x39000, MSR_LISTS = 0x3a000;
export const GUEST = 0x40000, GUEST_TABLES = 0x50000, GUEST_IDT = 0x60000, GUEST_STACK = 0x70000, GUEST_DATA = 0x80000;

/** The least of controls: secondary, EPT and VPID on. */
export const PIN = 0x16, PROC = 0x84006172 | 0, PROC2 = 0x22, EXIT = 0x36ffb, ENTRY_32 = 0x11fb, ENTRY_64 = 0x13fb;
export const UNRESTRICTED = 0x80;

/** Field and value: low, high word. */
export type Change = readonly [number, number, number?];

const HOST_CODE = `
        vmxon [vmxon_pointer]
        jbe failed
        vmclear [vmcs_pointer]
        jbe failed
        vmptrld [vmcs_pointer]
        jbe failed
        vmlaunch
failed: mov r15d, 0xbad
        hlt
exit:   hlt
        vmresume
        jmp failed
reload: vmclear [vmcs_pointer]
        jbe failed
        vmptrld [vmcs_pointer]
        vmlaunch
        jmp failed
align 8
vmxon_pointer: dq ${VMXON_REGION}
vmcs_pointer: dq ${VMCS}
`;

let exitLabel = 0, reloadLabel = 0;

/** Builds the engine, once per test file. */
export function createCpu(): void {
  createBareCpu(16);
}

/** Points the CPU options at those of a profile's machine; one processor. */
export function becomeProfile(name: string, settings = ''): void {
  const config = profileConfig(name, settings);
  configureCpu({
    nestedVmx: config.nestedVmx, ept: config.ept, cpuidOverrides: config.cpuid, vcpus: 1, msrRelaxed: config.msrRelaxed, perfGlobalControl: config.perfGlobalControl,
  });
}

/** Writes a field of the VMCS in memory. */
function store([encoding, lo, hi]: Change): void {
  const at = VMCS + 4 * F.fieldWord(encoding);
  physWrite32(at, lo);
  if (((encoding >> 13) & 1) !== 0) physWrite32(at + 4, hi ?? 0);
}

function clear(from: number, bytes: number): void {
  for (let n = 0; n < bytes; n += 4) physWrite32(from + n, 0);
}

/** Identity-mapped: 16 MiB by EPT, write-back; the first 4 KiB pages of it separately where tests change entries. */
function buildEpt(): void {
  clear(EPT, 0x5000);
  physWrite64(EPT, (EPT + 0x1000) | 7, 0);
  physWrite64(EPT + 0x1000, (EPT + 0x2000) | 7, 0);
  // The top of 4 GiB, where processors start, is the guest's code.
  physWrite64(EPT + 0x1018, (EPT + 0x4000) | 7, 0);
  physWrite64(EPT + 0x4ff8, 0x2000b7, 0);
  for (let n = 0; n < 8; n++) physWrite64(EPT + 0x2000 + 8 * n, (n << 21) | 0xb7, 0);
}

/** The guest's own long-mode tables: 16 MiB, user pages. */
function buildGuestTables(): void {
  clear(GUEST_TABLES, 0x3000);
  physWrite64(GUEST_TABLES, (GUEST_TABLES + 0x1000) | 7, 0);
  physWrite64(GUEST_TABLES + 0x1000, (GUEST_TABLES + 0x2000) | 7, 0);
  for (let n = 0; n < 8; n++) physWrite64(GUEST_TABLES + 0x2000 + 8 * n, (n << 21) | 0x87, 0);
}

const HOST_FIELDS = (): Change[] => [
  [0x0c00, 0x10], [0x0c02, 8], [0x0c04, 0x10], [0x0c06, 0x10], [0x0c0c, 0x30], [0x6c00, 0x80000031 | 0], [0x6c02, PAGE_TABLES], [0x6c04, 0x2630], [0x6c14, 0x8000], [0x6c16, exitLabel],
];

/** Control words and segments of a guest in 16-bit real mode, 32-bit flat or 64-bit code. */
function guestFields(bits: 16 | 32 | 64): Change[] {
  const long = bits === 64, real = bits === 16;
  const code = long ? 0xa09b : real ? 0x9b : 0xc09b, data = real ? 0x93 : 0xc093, limit = real ? 0xffff : -1;
  return [
    [0x4000, PIN], [0x4002, PROC], [0x401e, long ? PROC2 : PROC2 | UNRESTRICTED], [0x400c, EXIT], [0x4012, long ? ENTRY_64 : ENTRY_32], [0x0000, 1], [0x201a, EPT | 0x1e], [0x2800, -1, -1],
    [0x6800, long ? 0x80000031 | 0 : real ? 0x30 : 0x31], [0x6802, long ? GUEST_TABLES : 0], [0x6804, long ? 0x2630 : 0x2600], [0x681c, real ? 0xfff0 : GUEST_STACK],
    [0x681e, real ? 0 : GUEST], [0x6820, 2], [0x6818, real ? 0 : GUEST_IDT], [0x4812, real ? 0x3ff : 0xfff],
    [0x0802, real ? GUEST >> 4 : 8], [0x6808, real ? GUEST : 0], [0x4802, limit], [0x4816, code], [0x080e, 0x30], [0x480e, 0x67], [0x4822, 0x8b], [0x4820, 0x10000],
    ...[0, 2, 3, 4, 5].flatMap((s): Change[] => [[0x0800 + 2 * s, real ? 0 : 0x10], [0x4800 + 2 * s, limit], [0x4814 + 2 * s, data]]),
  ];
}

/** Address of a label of the guest's code. */
let guestLabel: (label: string) => number = () => 0;
export function at(label: string): number {
  return guestLabel(label);
}

/**
 * Puts a guest into place and enters it; `changes` may need its labels. Ends at its first exit or when the budget is used up. Real-mode code is assembled for origin 0 of its segment.
 */
export function enter(bits: 16 | 32 | 64, code: string, changes: () => readonly Change[] = () => [], budget = 20_000): void {
  platform.shutdown = (detail) => { throw new Error(detail); };
  enterMode(64);
  resetVmx();
  R[CR4] |= 0x2000;
  R[FEATURE_CONTROL] = 5;
  clear(VMCS, 0x1000);
  clear(GUEST_IDT, 0x1000);
  clear(VIRTUAL_APIC, 0x1000);
  clear(MSR_BITMAP, 0x1000);
  physWrite32(VMXON_REGION, 0x11);
  physWrite32(VMCS, 0x11);
  buildEpt();
  buildGuestTables();
  guestLabel = bits === 16 ? loadRealMode(code) : loadAssembly(bits, GUEST, `default abs\n${code}`);
  const host = loadAssembly(64, HOST, `default abs\n${HOST_CODE}`);
  exitLabel = host('exit');
  reloadLabel = host('reload');
  for (const change of [...HOST_FIELDS(), ...guestFields(bits), ...changes()]) store(change);
  run(budget);
}

/** Real-mode code: at the start of its segment, labels are offsets in it. */
function loadRealMode(code: string): (label: string) => number {
  const result = assemble(code, { bits: 16, origin: 0n });
  if (!result.ok) throw new Error(result.errors.map((error) => JSON.stringify(error)).join('\n'));
  physWriteBytes(GUEST, result.bytes);
  return (label) => Number(result.symbols.get(label));
}

/** Changes the current VMCS and goes on to the next exit. `reload`: by VMCLEAR, VMPTRLD and VMLAUNCH. */
export function resume(changes: readonly Change[] = [], reload = false, budget = 20_000): void {
  for (const [encoding, lo, hi] of changes) {
    const word = F.fieldWord(encoding);
    V[word] = lo;
    V[word + 1] = hi ?? 0;
  }
  R[DIRTY] = DIRTY_ALL;
  R[ACTIVITY] = 0;
  if (reload) R[RIP] = reloadLabel;
  run(budget);
}

/** Goes on after the instruction that exited. */
export function skip(changes: readonly Change[] = []): void {
  resume([[0x681e, V[F.GUEST_RIP] + V[F.EXIT_INSTRUCTION_LENGTH]], ...changes]);
}

/** Exit reason of the last VM exit; 'guest' while the guest runs, or what went wrong. */
export function reason(): number | string {
  if (R[VMX_MODE] === VMX_NON_ROOT) return 'guest';
  if (shutdownReason() !== '') return shutdownReason();
  if (R[RAX + 30] === 0xbad) return `VM-instruction error ${V[F.INSTRUCTION_ERROR]}`;
  return V[F.EXIT_REASON] >>> 0;
}

/** A field of the current VMCS, low word. */
export function field(encoding: number): number {
  return V[F.fieldWord(encoding)];
}
