/** A bare vCPU in 64-bit mode with identity-mapped memory, for tests that call VMX instruction handlers directly. */
import {
  C, INFO, GENERIC_WORDS,
} from '../../src/cpu/record';
import {
  R, RU, BUD, CR0, CR3, CR4, CURP, CS, DS, EFER, EFLAGS, ES, F_CF, F_ZF, FS, FT, FX, GS, IPB, LDTR, RAX, RBX, RCX, RIP, RSP, SEG_AR, SEG_BASE,
  SEG_LIMIT, SEG_SEL, SS, TR, VMX_MODE, FEATURE_CONTROL,
} from '../../src/cpu/state';
import { FAULT } from '../../src/cpu/fault';
import { getFlags } from '../../src/cpu/flags';
import { configureCpu } from '../../src/cpu/features';
import { resetClock } from '../../src/cpu/clock';
import { disableEpt } from '../../src/cpu/mmu/ept';
import { physRead32, physWrite32, physWrite64, setUpRam } from '../../src/cpu/mmu/physical';
import { activateContext } from '../../src/cpu/mmu/tlb';
import { updateMode } from '../../src/cpu/modes';
import { platform } from '../../src/cpu/platform';
import { resetCpu } from '../../src/cpu/reset';
import { resetGuests } from '../../src/observe/guests';
import { V } from '../../src/vmx/vmcs';
import * as F from '../../src/vmx/fields';
import { vmxHandlers } from '../../src/vmx/instructions';

export const PML4 = 0x1000;
export const VMXON_REGION = 0x10000, VMCS_A = 0x11000, VMCS_B = 0x12000;
export const IO_BITMAPS = 0x14000, MSR_BITMAP = 0x16000, VIRTUAL_APIC = 0x17000, EPT_PML4 = 0x18000, MSR_LIST = 0x1b000;
/** Where pointer operands are put. */
export const OPERAND = 0x20000;
export const HOST_RIP = 0x30000, HOST_RSP = 0x38000, GUEST_RIP = 0x40000, GUEST_RSP = 0x48000;

/** Record index that the tests use. */
export const P = 64;

export const shutdowns: string[] = [];

function segment(s: number, selector: number, ar: number): void {
  R[SEG_SEL + s] = selector;
  R[SEG_AR + s] = ar;
  R[SEG_LIMIT + s] = -1;
  R[SEG_BASE + 2 * s] = R[SEG_BASE + 2 * s + 1] = 0;
}

/** 64-bit mode, CPL 0, VMX enabled but off, first 8 MiB identity-mapped. */
export function powerOn(options: Parameters<typeof configureCpu>[0] = {}): void {
  configureCpu({ nestedVmx: true, ept: true, cpuidOverrides: [], vcpus: 1, msrRelaxed: false, perfGlobalControl: false, ...options });
  setUpRam(8 << 20, 0xc0000000);
  resetClock();
  resetGuests();
  resetCpu(0);
  V.fill(0);
  disableEpt();
  activateContext(0, -1, true);
  shutdowns.length = 0;
  platform.shutdown = (detail) => { shutdowns.push(detail); };
  R[FEATURE_CONTROL] = 5;
  physWrite64(PML4, 0x2003, 0);
  physWrite64(0x2000, 0x3003, 0);
  for (let n = 0; n < 4; n++) physWrite64(0x3000 + 8 * n, (n << 21) | 0x83, 0);
  R[CR0] = 0x80050033 | 0;
  R[CR3] = PML4;
  R[CR4] = 0x20a0;
  R[EFER] = 0xd01;
  segment(CS, 0x10, 0xa09b);
  for (const s of [SS, DS, ES, FS, GS]) segment(s, 0x18, 0xc093);
  segment(TR, 0x40, 0x8b);
  R[SEG_LIMIT + TR] = 0x67;
  segment(LDTR, 0, 0x10000);
  R[EFLAGS] = 2;
  R[FT] = R[FX] = 0;
  R[RIP] = HOST_RIP;
  R[RIP + 1] = 0;
  R[RSP] = HOST_RSP;
  updateMode();
}

/** Puts a record of the given length at the present RIP in place and makes it the instruction in progress, as the engine does. */
function begin(header: number, operands: number, displacement: number, length: number): void {
  C.fill(0, P, P + GENERIC_WORDS);
  C[P] = header | (length << 10);
  C[P + 1] = operands;
  C[P + 2] = displacement;
  const rip = R[RIP];
  R[IPB] = rip & ~0xfff;
  R[IPB + 1] = R[RIP + 1];
  INFO[P] = (rip & 0xfff) | (1 << 12);
  R[RIP] = rip + length;
  R[CURP] = P;
  // The engine charges a block on entry; the clock counts what is not yet done back.
  R[BUD]--;
}

/** A record whose operand is memory at an absolute address; reg is ModRM.reg. Returns the record. */
export function memoryRecord(address: number, reg = 0, length = 4): number {
  begin((2 << 14) | (2 << 16) | (1 << 21) | (DS << 22), reg | (16 << 8) | (16 << 13), address, length);
  return P;
}

/** A record with register operands: ModRM.reg and ModRM.rm. */
export function registerRecord(reg = 0, rm = 0, length = 3): number {
  begin((2 << 14) | (2 << 16) | (DS << 22), reg | (rm << 4) | (16 << 8) | (16 << 13), 0, length);
  return P;
}

/** Runs a handler; returns 'ok', or 'fault' when a guest fault was thrown. The instruction is over afterwards. */
export function run(action: () => void): 'ok' | 'fault' {
  try {
    action();
    return 'ok';
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
    return 'fault';
  } finally {
    R[CURP] = 0;
  }
}

/** Outcome of a VMX instruction by its flags: 'succeed', 'invalid', or the number of a VMfailValid. */
export function outcome(): string | number {
  const flags = getFlags();
  if (flags & F_CF) return 'invalid';
  return flags & F_ZF ? V[F.INSTRUCTION_ERROR] : 'succeed';
}

/** VMX instruction with a pointer operand. */
export function withPointer(name: string, lo: number, hi = 0): string | number {
  physWrite64(OPERAND, lo, hi);
  const result = run(() => vmxHandlers[name](memoryRecord(OPERAND)));
  return result === 'fault' ? 'fault' : outcome();
}

/** VMX instruction without operand. */
export function plain(name: string): string | number {
  const result = run(() => vmxHandlers[name](registerRecord()));
  return result === 'fault' ? 'fault' : outcome();
}

/** VMWRITE of (lo, hi) through RAX, encoding in RCX. */
export function vmwrite(encoding: number, lo: number, hi = 0): string | number {
  R[RCX] = encoding;
  R[RCX + 1] = 0;
  R[RAX] = lo;
  R[RAX + 1] = hi;
  run(() => vmxHandlers.vmwrite(registerRecord(1, 0)));
  return outcome();
}

/** VMREAD to RBX, encoding in RCX: the outcome; the value is in RBX. */
export function vmread(encoding: number): string | number {
  R[RCX] = encoding;
  R[RCX + 1] = 0;
  run(() => vmxHandlers.vmread(registerRecord(1, 3)));
  return outcome();
}

/** Value of a field as a 64-bit integer. */
export function fieldValue(encoding: number): bigint {
  if (vmread(encoding) !== 'succeed') throw new Error(`VMREAD ${encoding.toString(16)}`);
  return BigInt(RU[RBX]) | (BigInt(RU[RBX + 1]) << 32n);
}

/** VMX operation with VMCS_A current and clear. */
export function enterVmxRoot(): void {
  for (const region of [VMXON_REGION, VMCS_A, VMCS_B]) physWrite32(region, 0x11);
  withPointer('vmxon', VMXON_REGION);
  withPointer('vmclear', VMCS_A);
  withPointer('vmptrld', VMCS_A);
}

/** Fills the current VMCS with a 64-bit guest and a 64-bit host that pass all checks; EPT and VPID on, few exits. */
export function fillVmcs(): void {
  const fields: [number, number, number?][] = [
    [0x4000, 0x16], [0x4002, 0x84006172 | 0], [0x401e, 0x22], [0x400c, 0x36ffb], [0x4012, 0x13fb],
    [0x0000, 1], [0x201a, EPT_PML4 | 0x1e],
    [0x4004, 0], [0x2800, -1, -1],
    // Host.
    [0x0c00, 0x18], [0x0c02, 0x10], [0x0c04, 0x18], [0x0c06, 0x18], [0x0c08, 0], [0x0c0a, 0], [0x0c0c, 0x40],
    [0x6c00, 0x80050033 | 0], [0x6c02, PML4], [0x6c04, 0x20a0], [0x6c06, 0x1234], [0x6c08, 0x5678, -1], [0x6c0a, 0x9000], [0x6c0c, 0xa000],
    [0x6c0e, 0xb000], [0x6c14, HOST_RSP], [0x6c16, HOST_RIP + 0x100],
    // Guest.
    [0x6800, 0x80050033 | 0], [0x6802, PML4], [0x6804, 0x20a0], [0x681a, 0x400], [0x681c, GUEST_RSP], [0x681e, GUEST_RIP], [0x6820, 2],
    [0x6816, 0xc000], [0x6818, 0xd000], [0x4810, 0xffff], [0x4812, 0xffff],
    [0x0802, 0x10], [0x0800, 0x18], [0x0804, 0x18], [0x0806, 0x18], [0x0808, 0x18], [0x080a, 0x18], [0x080c, 0], [0x080e, 0x40],
    [0x4802, -1], [0x4800, -1], [0x4804, -1], [0x4806, -1], [0x4808, -1], [0x480a, -1], [0x480c, 0], [0x480e, 0x67],
    [0x4816, 0xa09b], [0x4814, 0xc093], [0x4818, 0xc093], [0x481a, 0xc093], [0x481c, 0xc093], [0x481e, 0xc093], [0x4820, 0x10000], [0x4822, 0x8b],
  ];
  for (const [encoding, lo, hi] of fields) {
    if (vmwrite(encoding, lo, hi ?? 0) !== 'succeed') throw new Error(`VMWRITE ${encoding.toString(16)}`);
  }
  // EPT: 8 MiB identity-mapped, write-back.
  physWrite64(EPT_PML4, 0x19007, 0);
  physWrite64(0x19000, 0x1a007, 0);
  for (let n = 0; n < 4; n++) physWrite64(0x1a000 + 8 * n, (n << 21) | 0xb7, 0);
}

/** A filled VMCS in VMX root operation, ready for VMLAUNCH. */
export function ready(options: Parameters<typeof configureCpu>[0] = {}): void {
  powerOn(options);
  enterVmxRoot();
  fillVmcs();
}

/** Exit reason with bit 31, unsigned. */
export function exitReason(): number {
  return V[F.EXIT_REASON] >>> 0;
}

export function inGuest(): boolean {
  return R[VMX_MODE] === 2;
}

/** 32-bit word of physical memory. */
export { physRead32 };
