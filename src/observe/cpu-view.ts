/** The registers of a context for people: everything that it has, with flags, segments and control registers decoded. */
import {
  ACTIVITY, CPL, CR0, CR0_PE, CR2, CR3, CR4, CS, DR0, DR6, DR7, EFER, FCS, FCW, FDP, FDS, FIP, FOP, FP_EXP, FP_MANT, FP_VALID, FSW, FTOP, F_VM, GDTR_BASE, GDTR_LIMIT,
  IDTR_BASE, IDTR_LIMIT, LMA, MXCSR, NMI_BLOCKED, RIP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, VMX_MODE, XMM, CODE64, DEBUGCTL, PAT, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP,
} from '../cpu/state';
import { instructionCount } from '../cpu/clock';
import { MSRS, msrValue } from '../cpu/msr';
import { codeBitsOf, withVcpuInR } from './contexts';
import type { Context, ContextKind } from './contexts';
import { hex, hex64, hexAt } from './hex';
import * as B from './register-bits';
import type { BitName } from './register-bits';

export interface RegisterView {
  name: string;
  /** Hexadecimal digits, as many as the register is wide. */
  value: string;
  /** What it says; empty for plain numbers. */
  decoded: string[];
}

export interface SegmentView {
  name: string;
  selector: string;
  base: string;
  limit: string;
  rights: string;
  text: string;
}

export interface CpuView {
  vcpu: number;
  kind: ContextKind;
  level: number;
  /** Instructions retired since power-on, by all processors. */
  instructions: number;
  /** Such as "64-bit mode, CPL 0". */
  mode: string;
  codeBits: 16 | 32 | 64;
  activity: string;
  vmx: string;
  /** RSP alone where a hypervisor keeps the others in its own memory. */
  general: RegisterView[];
  rip: string;
  rflags: RegisterView;
  segments: SegmentView[];
  tables: { name: string; base: string; limit: string }[];
  control: RegisterView[];
  debug: RegisterView[];
  msrs: RegisterView[];
  /** Null where they belong to another context. */
  fpu: RegisterView[] | null;
  sse: RegisterView[] | null;
}

const GENERAL_NAMES = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15'];
const SEGMENT_NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'];
const VMX_MODES = ['VMX off', 'VMX root operation', 'VMX non-root operation'];

function register(name: string, value: string, decoded: string[] = []): RegisterView {
  return { name, value, decoded };
}

function withBits(name: string, value: number, table: readonly BitName[]): RegisterView {
  return { name, value: hex(value, 8), decoded: B.decodeBits(value, table) };
}

function modeText({ words, rflags }: Context): string {
  const cpl = `CPL ${words[CPL]}`;
  if ((words[CR0] & CR0_PE) === 0) return 'real mode';
  if (words[CODE64] !== 0) return `64-bit mode, ${cpl}`;
  if (words[LMA] !== 0) return `compatibility mode, ${cpl}`;
  return rflags & F_VM ? 'virtual-8086 mode' : `protected mode, ${cpl}`;
}

function segmentsOf(words: Int32Array): SegmentView[] {
  return SEGMENT_NAMES.map((name, s) => ({
    name, selector: hex(words[SEG_SEL + s], 4), base: hexAt(words, SEG_BASE + 2 * s), limit: hex(words[SEG_LIMIT + s], 8), rights: hex(words[SEG_AR + s], 5),
    text: B.accessRightsText(words[SEG_AR + s]),
  }));
}

function controlOf({ words, othersKnown }: Context): RegisterView[] {
  const list = [withBits('CR0', words[CR0], B.CR0_BITS)];
  if (othersKnown) list.push(register('CR2', hexAt(words, CR2)));
  list.push(register('CR3', hexAt(words, CR3)), withBits('CR4', words[CR4], B.CR4_BITS), withBits('EFER', words[EFER], B.EFER_BITS));
  return list;
}

function debugOf({ words, othersKnown }: Context): RegisterView[] {
  const dr7 = withBits('DR7', words[DR7], B.DR7_BITS);
  if (!othersKnown) return [dr7];
  return [0, 1, 2, 3].map((n) => register(`DR${n}`, hexAt(words, DR0 + 2 * n))).concat(withBits('DR6', words[DR6], B.DR6_BITS), dr7);
}

/** x2APIC registers belong to the device, and reading some of them would count. */
const X2APIC_FIRST = 0x800;

/** All single MSRs of the vCPU, as RDMSR would give them. */
function msrsOf(context: Context): RegisterView[] {
  const { words } = context;
  if (!context.othersKnown) {
    return [
      register('SYSENTER_CS', hex(words[SYSENTER_CS], 16)), register('SYSENTER_ESP', hexAt(words, SYSENTER_ESP)),
      register('SYSENTER_EIP', hexAt(words, SYSENTER_EIP)), register('PAT', hexAt(words, PAT)),
      register('DEBUGCTL', hexAt(words, DEBUGCTL), B.decodeBits(words[DEBUGCTL], B.DEBUGCTL_BITS)),
    ];
  }
  return withVcpuInR(context.vcpu, () => {
    const list: RegisterView[] = [];
    for (const msr of MSRS) {
      if (msr.count !== 1 || msr.index === X2APIC_FIRST || !msr.read(msr.index)) continue;
      list.push(register(`${msr.name} (${hex(msr.index)}h)`, hex64(msrValue[0], msrValue[1])));
    }
    return list;
  });
}

/** Sign, exponent and significand of an x87 register as a number for people. */
function floatText(exponent: number, lo: number, hi: number): string {
  const sign = exponent & 0x8000 ? '-' : '', e = exponent & 0x7fff;
  if (e === 0x7fff) return (hi & 0x7fffffff) === 0 && lo === 0 ? `${sign}infinity` : 'NaN';
  const value = ((hi >>> 0) * 0x100000000 + (lo >>> 0)) * 2 ** -63;
  return value === 0 ? `${sign}0` : `${sign}${(value * 2 ** (e - 16383)).toPrecision(15).replace(/\.?0+(e|$)/, '$1')}`;
}

function fpuOf(words: Int32Array): RegisterView[] {
  const status = (words[FSW] & ~0x3800) | (words[FTOP] << 11);
  const list = [
    register('FCW', hex(words[FCW], 4), B.decodeBits(words[FCW], B.FCW_BITS)), register('FSW', hex(status, 4), B.decodeBits(status, B.FSW_BITS)),
    register('FOP', hex(words[FOP], 3)), register('FIP', `${hex(words[FCS], 4)}:${hexAt(words, FIP)}`), register('FDP', `${hex(words[FDS], 4)}:${hexAt(words, FDP)}`),
  ];
  for (let n = 0; n < 8; n++) {
    const physical = (words[FTOP] + n) & 7, mantissa = FP_MANT + 2 * physical;
    const valid = (words[FP_VALID] & (1 << physical)) !== 0;
    list.push(register(`ST${n}`, `${hex(words[FP_EXP + physical] & 0xffff, 4)} ${hexAt(words, mantissa)}`, [
      valid ? floatText(words[FP_EXP + physical], words[mantissa], words[mantissa + 1]) : 'empty',
    ]));
  }
  return list;
}

function sseOf(words: Int32Array): RegisterView[] {
  const list = [withBits('MXCSR', words[MXCSR], B.MXCSR_BITS)];
  for (let n = 0; n < 16; n++) list.push(register(`XMM${n}`, hexAt(words, XMM + 4 * n + 2) + hexAt(words, XMM + 4 * n)));
  return list;
}

/** Shows a context. */
export function viewCpu(context: Context): CpuView {
  const { words, rflags } = context;
  const blocked = context.othersKnown && words[NMI_BLOCKED] !== 0 ? ', NMIs blocked' : '';
  return {
    vcpu: context.vcpu, kind: context.kind, level: context.level, instructions: instructionCount(), mode: modeText(context), codeBits: codeBitsOf(context),
    activity: `${B.ACTIVITY_NAMES[words[ACTIVITY]] ?? '?'}${blocked}`, vmx: VMX_MODES[words[VMX_MODE]],
    general: GENERAL_NAMES.map((name, n) => register(name, hexAt(words, 2 * n))).filter(({ name }) => context.generalKnown || name === 'RSP'),
    rip: hexAt(words, RIP), rflags: withBits('RFLAGS', rflags, B.RFLAGS_BITS), segments: segmentsOf(words),
    tables: [
      { name: 'GDTR', base: hexAt(words, GDTR_BASE), limit: hex(words[GDTR_LIMIT], 4) }, { name: 'IDTR', base: hexAt(words, IDTR_BASE), limit: hex(words[IDTR_LIMIT], 4) },
    ],
    control: controlOf(context), debug: debugOf(context), msrs: msrsOf(context),
    fpu: context.othersKnown ? fpuOf(words) : null, sse: context.othersKnown ? sseOf(words) : null,
  };
}

/** Linear address of offset 0 of the code segment: 0 in 64-bit code. Words as in Context. */
export function codeBase(words: Int32Array): number {
  return words[CODE64] !== 0 ? 0 : words[SEG_BASE + 2 * CS];
}
