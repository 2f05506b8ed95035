/**
 * What a VM exit means, in one line: the exit qualification decoded (SDM 3C 28.2.1, tables 28-1 to 28-10), and the registers that say what was
 * asked for where the qualification does not (CPUID, RDMSR, VMCALL, ...).
 */
import * as E from '../vmx/exit-reasons';
import { hex, hex64 } from './hex';
import { decodeBits, exceptionName, interruptionText, pageFaultText, DR6_BITS } from './register-bits';

/** What is known of an exit: values of VMCS fields, and some registers of the guest at that moment. 64-bit values as two words. */
export interface ExitFacts {
  /** Exit reason field, with the entry-failure bit. */
  reason: number;
  qualificationLo: number;
  qualificationHi: number;
  /** VM-exit interruption information and error code. */
  interruptionInfo: number;
  interruptionError: number;
  /** IDT-vectoring information. */
  vectoringInfo: number;
  guestLinearLo: number;
  guestLinearHi: number;
  guestPhysicalLo: number;
  guestPhysicalHi: number;
  raxLo: number;
  raxHi: number;
  rcxLo: number;
  rdxLo: number;
}

const GENERAL = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15'];

function address(lo: number, hi: number): string {
  return `0x${hi === 0 ? hex(lo) : hex(hi) + hex(lo, 8)}`;
}

/** An MSR by name for the best known ones, else by number. */
const MSR_NAMES: Record<number, string> = {
  0x10: 'IA32_TIME_STAMP_COUNTER', 0x1b: 'IA32_APIC_BASE', 0x3a: 'IA32_FEATURE_CONTROL', 0x3b: 'IA32_TSC_ADJUST', 0x8b: 'IA32_BIOS_SIGN_ID', 0x174: 'IA32_SYSENTER_CS',
  0x175: 'IA32_SYSENTER_ESP', 0x176: 'IA32_SYSENTER_EIP', 0x1a0: 'IA32_MISC_ENABLE', 0x1d9: 'IA32_DEBUGCTL', 0x277: 'IA32_PAT', 0x2ff: 'IA32_MTRR_DEF_TYPE',
  0x6e0: 'IA32_TSC_DEADLINE', 0x80b: 'IA32_X2APIC_EOI', 0x830: 'IA32_X2APIC_ICR', 0xc0000080: 'IA32_EFER', 0xc0000081: 'IA32_STAR', 0xc0000082: 'IA32_LSTAR',
  0xc0000083: 'IA32_CSTAR', 0xc0000084: 'IA32_FMASK', 0xc0000100: 'IA32_FS_BASE', 0xc0000101: 'IA32_GS_BASE', 0xc0000102: 'IA32_KERNEL_GS_BASE',
  0xc0000103: 'IA32_TSC_AUX',
};

/** An MSR as its number and, for the best known ones, its name. */
export function msrText(index: number): string {
  const name = MSR_NAMES[index >>> 0];
  return `0x${hex(index)}${name === undefined ? '' : ` ${name}`}`;
}

function exceptionText(f: ExitFacts): string {
  if (f.interruptionInfo >= 0) return '';
  const vector = f.interruptionInfo & 0xff, type = (f.interruptionInfo >> 8) & 7;
  if (type === 2) return 'NMI';
  const hasError = (f.interruptionInfo & 0x800) !== 0;
  const name = exceptionName(vector);
  if (vector === 14 && type === 3) return `${name} at ${address(f.qualificationLo, f.qualificationHi)}: ${pageFaultText(f.interruptionError)}`;
  if (vector === 1) {
    const conditions = decodeBits(f.qualificationLo, DR6_BITS);
    return `${name}${conditions.length > 0 ? ` ${conditions.join(' ')}` : ''}`;
  }
  return `${name}${hasError ? ` error 0x${hex(f.interruptionError)}` : ''}`;
}

/** Table 28-2. */
function taskSwitchText(lo: number): string {
  const source = ['CALL', 'IRET', 'JMP', 'task gate in the IDT'][lo >>> 30];
  return `to selector 0x${hex(lo & 0xffff, 4)} by ${source}`;
}

/** Table 28-3. */
function controlRegisterText(lo: number, f: ExitFacts): string {
  const cr = lo & 15, register = GENERAL[(lo >> 8) & 15];
  switch ((lo >> 4) & 3) {
    case 0: return `MOV to CR${cr} from ${register}`;
    case 1: return `MOV from CR${cr} to ${register}`;
    case 2: return 'CLTS';
    default: return `LMSW 0x${hex(lo >>> 16, 4)}${lo & 64 ? ` from memory at ${address(f.guestLinearLo, f.guestLinearHi)}` : ''}`;
  }
}

/** Table 28-5. */
function ioText(lo: number, f: ExitFacts): string {
  const size = (lo & 7) + 1, isIn = (lo & 8) !== 0, isString = (lo & 16) !== 0, isRep = (lo & 32) !== 0;
  const port = `0x${hex(lo >>> 16)}`, width = `${8 * size} bits`;
  if (isString) return `${isRep ? 'REP ' : ''}${isIn ? 'INS' : 'OUTS'} port ${port}, ${width}, memory at ${address(f.guestLinearLo, f.guestLinearHi)}${isRep ? `, count ${hex(f.rcxLo)}h` : ''}`;
  const operand = lo & 64 ? ' (immediate)' : '';
  if (isIn) return `IN port ${port}${operand}, ${width}`;
  const value = size === 4 ? f.raxLo : f.raxLo & (size === 2 ? 0xffff : 0xff);
  const character = size === 1 && value >= 0x20 && value < 0x7f ? ` '${String.fromCharCode(value)}'` : '';
  return `OUT port ${port}${operand}, ${width} = 0x${hex(value, 2 * size)}${character}`;
}

/** Table 28-6. */
const APIC_ACCESSES: Record<number, string> = {
  0: 'linear read', 1: 'linear write', 2: 'linear instruction fetch', 3: 'linear access during event delivery', 4: 'guest-physical access during monitoring',
  10: 'guest-physical access during event delivery', 15: 'guest-physical access for an instruction',
};

/** Bits 11:9, where a processor reports them: rights of the linear address. */
function linearRightsText(lo: number): string {
  const names = decodeBits(lo, [[9, 'user'], [10, 'writable'], [11, 'XD']]);
  return names.length === 0 ? '' : ` (${names.join(', ')})`;
}

/** Table 28-7. */
function eptViolationText(lo: number, f: ExitFacts): string {
  const access = [lo & 1 ? 'read' : '', lo & 2 ? 'write' : '', lo & 4 ? 'fetch' : ''].filter((name) => name !== '').join('+');
  const rights = `${lo & 8 ? 'r' : '-'}${lo & 16 ? 'w' : '-'}${lo & 32 ? 'x' : '-'}${lo & 64 ? 'u' : ''}`;
  const linear = address(f.guestLinearLo, f.guestLinearHi);
  const cause = (lo & 0x80) === 0 ? 'loading PDPTEs' : lo & 0x100 ? `linear ${linear}${linearRightsText(lo)}` : `page walk of linear ${linear}`;
  return `${access} of guest-physical ${address(f.guestPhysicalLo, f.guestPhysicalHi)} (EPT allows ${rights}), ${cause}${lo & 0x1000 ? ', NMI unblocking due to IRET' : ''}`;
}

/** Section 27.8. */
function entryFailureText(basicReason: number, lo: number): string {
  if (basicReason === E.EXIT_REASON_ENTRY_MSR_LOAD) return `VM entry failed: entry ${lo} of the MSR-load list`;
  if (basicReason === E.EXIT_REASON_ENTRY_MACHINE_CHECK) return 'VM entry failed: machine check';
  const why = ['invalid guest state', '', 'PDPTE loading', 'NMI injection while blocked by STI', 'VMCS link pointer'][lo] ?? `qualification ${lo}`;
  return `VM entry failed: ${why}`;
}

/** Displacement of the instruction's memory operand (28.2.1): the whole address for RIP-relative operands. */
function displacementText(lo: number, hi: number): string {
  if (hi === -1) return `memory operand with displacement -0x${hex(-lo)}`;
  return `memory operand with displacement ${address(lo, hi)}`;
}

/** The exit's details for people; empty where reason and instruction say everything. */
export function describeExit(f: ExitFacts): string {
  const basicReason = f.reason & 0xffff, lo = f.qualificationLo, hi = f.qualificationHi;
  if (f.reason < 0) return entryFailureText(basicReason, lo);
  const detail = reasonDetail(basicReason, lo, hi, f);
  const vectoring = interruptionText(f.vectoringInfo);
  if (vectoring.length === 0) return detail;
  return `${detail}${detail === '' ? '' : ', '}while delivering ${vectoring.join(' ')}`;
}

function reasonDetail(basicReason: number, lo: number, hi: number, f: ExitFacts): string {
  switch (basicReason) {
    case E.EXIT_REASON_EXCEPTION_NMI: return exceptionText(f);
    case E.EXIT_REASON_EXTERNAL_INTERRUPT: return f.interruptionInfo < 0 ? `vector 0x${hex(f.interruptionInfo & 0xff)}` : 'not acknowledged';
    case E.EXIT_REASON_SIPI: return `start-up vector 0x${hex(lo & 0xff, 2)}`;
    case E.EXIT_REASON_TASK_SWITCH: return taskSwitchText(lo);
    case E.EXIT_REASON_CPUID: return `leaf 0x${hex(f.raxLo)}, subleaf 0x${hex(f.rcxLo)}`;
    case E.EXIT_REASON_INVLPG: return `linear ${address(lo, hi)}`;
    case E.EXIT_REASON_VMCALL: return `RAX = 0x${hex64(f.raxLo, f.raxHi)}`;
    case E.EXIT_REASON_CR_ACCESS: return controlRegisterText(lo, f);
    case E.EXIT_REASON_MOV_DR: return lo & 16 ? `MOV from DR${lo & 7} to ${GENERAL[(lo >> 8) & 15]}` : `MOV to DR${lo & 7} from ${GENERAL[(lo >> 8) & 15]}`;
    case E.EXIT_REASON_IO: return ioText(lo, f);
    case E.EXIT_REASON_RDMSR: return `MSR ${msrText(f.rcxLo)}`;
    case E.EXIT_REASON_WRMSR: return `MSR ${msrText(f.rcxLo)} = 0x${hex64(f.raxLo, f.rdxLo)}`;
    case E.EXIT_REASON_MWAIT: return lo & 1 ? 'monitoring hardware armed' : 'monitoring hardware not armed';
    case E.EXIT_REASON_APIC_ACCESS: {
      const type = (lo >> 12) & 15;
      const offset = type <= 2 ? ` of register 0x${hex(lo & 0xfff, 3)}` : '';
      return `${APIC_ACCESSES[type] ?? `access type ${type}`}${offset}`;
    }
    case E.EXIT_REASON_VIRTUALIZED_EOI: return `vector 0x${hex(lo & 0xff)}`;
    case E.EXIT_REASON_EPT_VIOLATION: return eptViolationText(lo, f);
    case E.EXIT_REASON_EPT_MISCONFIG: return `guest-physical ${address(f.guestPhysicalLo, f.guestPhysicalHi)}`;
    case E.EXIT_REASON_APIC_WRITE: return `register 0x${hex(lo & 0xfff, 3)}`;
    case E.EXIT_REASON_PML_FULL: return lo & 0x1000 ? 'NMI unblocking due to IRET' : '';
    case E.EXIT_REASON_XSETBV: return `XCR${hex(f.rcxLo)} = 0x${hex64(f.raxLo, f.rdxLo)}`;
    case E.EXIT_REASON_VMCLEAR: case E.EXIT_REASON_VMPTRLD: case E.EXIT_REASON_VMPTRST: case E.EXIT_REASON_VMREAD: case E.EXIT_REASON_VMWRITE:
    case E.EXIT_REASON_VMXON: case E.EXIT_REASON_GDTR_IDTR: case E.EXIT_REASON_LDTR_TR: case E.EXIT_REASON_INVEPT: case E.EXIT_REASON_INVVPID:
    case E.EXIT_REASON_INVPCID:
      return (lo | hi) === 0 ? '' : displacementText(lo, hi);
    default: return '';
  }
}
