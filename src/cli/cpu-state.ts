/** The running vCPU's state for people and for other programs: hexadecimal digits, as wide as the register. */
import { getFlags } from '../cpu/flags';
import {
  ACTIVITY, CODE64, CPL, CR0, CR2, CR3, CR4, CS, CSTAR, DEBUGCTL, DR0, DR6, DR7, EFER, FCS, FCW, FDP, FDS, FIP, FMASK, FOP, FP_EXP,
  FP_MANT, FP_VALID, FSW, FTOP, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, KERNEL_GS_BASE, LMA, LSTAR, MXCSR, PAT, R, RIP, RU,
  SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TSC_AUX, VCPU, VMX_MODE, XMM, APIC_BASE,
  AR_DB,
} from '../cpu/state';
import { instructionCount } from '../cpu/clock';
import { levelNow } from '../observe/guests';

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];
const ACTIVITIES = ['active', 'hlt', 'shutdown', 'wait-for-sipi'];
const VMX_MODES = ['off', 'root', 'non-root'];

function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, '0');
}

function hex64(word: number): string {
  return hex(R[word + 1], 8) + hex(R[word], 8);
}

function numbered(count: number, value: (n: number) => string): string[] {
  return Array.from({ length: count }, (_, n) => value(n));
}

/** Code size of the current instruction in bits. */
export function codeBits(): 16 | 32 | 64 {
  return R[CODE64] !== 0 ? 64 : (R[SEG_AR + CS] & AR_DB) !== 0 ? 32 : 16;
}

/** Everything, as plain data for JSON. */
export function cpuState(): Record<string, unknown> {
  const registers = Object.fromEntries(GENERAL.map((name, n) => [name, hex64(2 * n)]));
  const segments = Object.fromEntries(SEGMENTS.map((name, s) => [name, {
    selector: hex(R[SEG_SEL + s], 4), base: hex64(SEG_BASE + 2 * s), limit: hex(RU[SEG_LIMIT + s], 8), accessRights: hex(R[SEG_AR + s], 5),
  }]));
  return {
    instructions: instructionCount(),
    vcpu: R[VCPU],
    level: levelNow(),
    codeBits: codeBits(),
    cpl: R[CPL],
    longMode: R[LMA] !== 0,
    activity: ACTIVITIES[R[ACTIVITY]],
    vmx: VMX_MODES[R[VMX_MODE]],
    registers: { ...registers, rip: hex64(RIP), rflags: hex(getFlags(), 8) },
    segments,
    gdtr: { base: hex64(GDTR_BASE), limit: hex(R[GDTR_LIMIT], 4) },
    idtr: { base: hex64(IDTR_BASE), limit: hex(R[IDTR_LIMIT], 4) },
    control: {
      cr0: hex(R[CR0], 8), cr2: hex64(CR2), cr3: hex64(CR3), cr4: hex(R[CR4], 8), efer: hex(R[EFER], 8),
      dr: numbered(4, (n) => hex64(DR0 + 2 * n)), dr6: hex(R[DR6], 8), dr7: hex(R[DR7], 8),
    },
    msrs: {
      star: hex64(STAR), lstar: hex64(LSTAR), cstar: hex64(CSTAR), fmask: hex64(FMASK), kernelGsBase: hex64(KERNEL_GS_BASE),
      tscAux: hex(R[TSC_AUX], 8), sysenterCs: hex(R[SYSENTER_CS], 8), sysenterEsp: hex64(SYSENTER_ESP), sysenterEip: hex64(SYSENTER_EIP),
      pat: hex64(PAT), debugctl: hex64(DEBUGCTL), apicBase: hex64(APIC_BASE),
    },
    x87: {
      fcw: hex(R[FCW], 4), fsw: hex((R[FSW] & ~0x3800) | (R[FTOP] << 11), 4),
      // Bit i: physical register i is not empty (the abridged tag word of FXSAVE).
      ftw: hex(R[FP_VALID], 2),
      fop: hex(R[FOP], 3), fip: hex64(FIP), fdp: hex64(FDP), fcs: hex(R[FCS], 4), fds: hex(R[FDS], 4),
      st: numbered(8, (n) => {
        const physical = (R[FTOP] + n) & 7;
        return hex(R[FP_EXP + physical] & 0xffff, 4) + hex64(FP_MANT + 2 * physical);
      }),
    },
    mmx: numbered(8, (n) => hex64(FP_MANT + 2 * n)),
    sse: { mxcsr: hex(R[MXCSR], 8), xmm: numbered(16, (n) => hex64(XMM + 4 * n + 2) + hex64(XMM + 4 * n)) },
  };
}

/** What a crash report shows. */
export function cpuStateText(): string {
  const lines: string[] = [];
  for (let n = 0; n < 16; n += 4) lines.push([0, 1, 2, 3].map((i) => `${GENERAL[n + i].padEnd(3)} ${hex64(2 * (n + i))}`).join('  '));
  lines.push(`rip ${hex64(RIP)}  rflags ${hex(getFlags(), 8)}  cpl ${R[CPL]}  ${codeBits()}-bit code  vmx ${VMX_MODES[R[VMX_MODE]]}`);
  SEGMENTS.forEach((name, s) => {
    lines.push(`${name.padEnd(4)} ${hex(R[SEG_SEL + s], 4)}  base ${hex64(SEG_BASE + 2 * s)}  limit ${hex(RU[SEG_LIMIT + s], 8)}  ar ${hex(R[SEG_AR + s], 5)}`);
  });
  lines.push(`gdtr ${hex64(GDTR_BASE)} ${hex(R[GDTR_LIMIT], 4)}  idtr ${hex64(IDTR_BASE)} ${hex(R[IDTR_LIMIT], 4)}`);
  lines.push(`cr0 ${hex(R[CR0], 8)}  cr2 ${hex64(CR2)}  cr3 ${hex64(CR3)}  cr4 ${hex(R[CR4], 8)}  efer ${hex(R[EFER], 8)}`);
  return lines.join('\n');
}
