/**
 * Model-specific registers (SDM volume 4), in one list: index, name, what a read gives, what a write may do.
 *
 * Unlisted indexes are #GP(0), or read zero and ignore writes on a machine with msrRelaxed; the range of hypervisor interfaces (40000000h) is always #GP,
 * because this is bare hardware. Performance monitoring, branch records,
 * thermal and power registers read zero and ignore writes: some systems touch them without looking at CPUID.
 */
import {
  R, APIC_BASE, CSTAR, DEBUGCTL, EFER, FEATURE_CONTROL, FMASK, FS, GS, KERNEL_GS_BASE, LSTAR, MISC_ENABLE, MSR_STORE, MTRR_DEF_TYPE, MTRR_FIXED,
  MTRR_VARIABLE, MEMHI, PAT, PERF_GLOBAL_CTRL, SEG_BASE, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TSC_AUX,
} from './state';
import { writeTsc } from './clock';
import { writeEfer } from './control-registers';
import { cpuConfig, hasFeature } from './features';
import { platform } from './platform';
import { isCanonical } from './segments';
import { msrValue as vmxMsrValue, readVmxCapabilityMsr } from '../vmx/capabilities';
import { tscWordsForGuest } from '../vmx/intercepts';

/** Value of the last readMsr(): low word, high word. */
export const msrValue = new Int32Array(2);

/** One MSR, or a run of `count` equal ones. Read and write return false for #GP(0). */
export interface Msr {
  readonly index: number;
  readonly count: number;
  readonly name: string;
  readonly read: (index: number) => boolean;
  readonly write: (lo: number, hi: number, index: number) => boolean;
}

function give(lo: number, hi: number): boolean {
  msrValue[0] = lo;
  msrValue[1] = hi;
  return true;
}

const never = (): boolean => false;
const ignored = (): boolean => true;
type Rule = (lo: number, hi: number) => boolean;
const anything: Rule = () => true;
const canonical: Rule = (_lo, hi) => isCanonical(hi);
const highZero: Rule = (_lo, hi) => hi === 0;

// --- Kinds of entries ---

/** 64 bits of state words; a write is stored if the rule allows it. */
function stored(index: number, name: string, word: number, rule: Rule): Msr {
  return {
    index, name, count: 1,
    read: () => give(R[word], R[word + 1]),
    write: (lo, hi) => {
      if (!rule(lo, hi)) return false;
      R[word] = lo;
      R[word + 1] = hi;
      return true;
    },
  };
}

/** One state word; the high word reads 0 and is not stored. */
function storedWord(index: number, name: string, word: number, rule: Rule): Msr {
  return {
    index, name, count: 1,
    read: () => give(R[word], 0),
    write: (lo, hi) => {
      if (!rule(lo, hi)) return false;
      R[word] = lo;
      return true;
    },
  };
}

/** A constant; writes are #GP. */
function constant(index: number, name: string, value: () => readonly [number, number]): Msr {
  return {
    index, name, count: 1,
    read: () => {
      const [lo, hi] = value();
      return give(lo, hi);
    },
    write: never,
  };
}

/** Reads a constant (zero), ignores writes. */
function inert(index: number, name: string, count = 1, lo = 0, hi = 0): Msr {
  return { index, name, count, read: () => give(lo, hi), write: ignored };
}

/** #GP even on a machine with msrRelaxed: that it reads zero would promise something. */
function absent(index: number, name: string, count: number): Msr {
  return { index, name, count, read: never, write: never };
}

// --- Rules ---

/** Each byte of a memory-type register (PAT, fixed MTRRs) is one of `types` (bit mask). */
function typesAllowed(lo: number, hi: number, types: number): boolean {
  for (let shift = 0; shift < 32; shift += 8) {
    const a = (lo >>> shift) & 255, b = (hi >>> shift) & 255;
    if (a > 7 || b > 7 || ((types >> a) & 1) === 0 || ((types >> b) & 1) === 0) return false;
  }
  return true;
}

/** UC, WC, WT, WP, WB; PAT also UC-. */
const MTRR_TYPES = 0x73, PAT_TYPES = 0xf3;
const patAllowed: Rule = (lo, hi) => typesAllowed(lo, hi, PAT_TYPES);

function isMtrrType(type: number): boolean {
  return type <= 6 && ((MTRR_TYPES >> type) & 1) !== 0;
}

function withinPhysicalWidth(hi: number): boolean {
  return hi >>> (cpuConfig.physicalAddressBits - 32) === 0;
}

/** IA32_PAT may hold this value (also a VM-entry check). */
export function isValidPat(lo: number, hi: number): boolean {
  return patAllowed(lo, hi);
}

function setTsc(lo: number, hi: number): boolean {
  writeTsc(lo, hi);
  platform.tscWritten();
  return true;
}

const APIC_BASE_RESERVED = 0x2ff, APIC_BASE_X2APIC = 0x400, APIC_BASE_ENABLE = 0x800;

function writeApicBase(lo: number, hi: number): boolean {
  if (lo & APIC_BASE_RESERVED || !withinPhysicalWidth(hi)) return false;
  // x2APIC mode is entered from xAPIC mode, and left by disabling the APIC (SDM 3A 10.12.5).
  const enabled = (lo & APIC_BASE_ENABLE) !== 0, x2apic = (lo & APIC_BASE_X2APIC) !== 0;
  const wasEnabled = (R[APIC_BASE] & APIC_BASE_ENABLE) !== 0, wasX2apic = (R[APIC_BASE] & APIC_BASE_X2APIC) !== 0;
  if (x2apic ? !enabled || !wasEnabled || !hasFeature('x2apic') : enabled && wasX2apic) return false;
  R[APIC_BASE] = lo;
  R[APIC_BASE + 1] = hi;
  platform.apicBaseWritten(lo, hi);
  return true;
}

const FEATURE_CONTROL_LOCK = 1;

function writeFeatureControl(lo: number, hi: number): boolean {
  const supported = FEATURE_CONTROL_LOCK | (hasFeature('vmx') ? 4 : 0);
  if (R[FEATURE_CONTROL] & FEATURE_CONTROL_LOCK || hi !== 0 || (lo & ~supported) !== 0) return false;
  R[FEATURE_CONTROL] = lo;
  return true;
}

/** Fast strings, thermal control, BTS and PEBS unavailable, speed-step, MONITOR, limit CPUID, xTPR, and XD disable in the high word. */
const MISC_ENABLE_LOW = 0x00c51889 | 0, MISC_ENABLE_HIGH = 0x4;
const MISC_ENABLE_FIXED = 0x1800;

function writeMiscEnable(lo: number, hi: number): boolean {
  R[MISC_ENABLE] = (lo & MISC_ENABLE_LOW) | MISC_ENABLE_FIXED;
  R[MISC_ENABLE + 1] = hi & MISC_ENABLE_HIGH;
  return true;
}

/** LBR and BTF. */
const debugctlAllowed: Rule = (lo, hi) => hi === 0 && (lo & ~3) === 0;

function writeTscDeadline(lo: number, hi: number): boolean {
  platform.writeTscDeadline(lo, hi);
  return true;
}

function readTscDeadline(): boolean {
  platform.readTscDeadline();
  return give(platform.msrValue[0], platform.msrValue[1]);
}

function segmentBase(index: number, name: string, s: number): Msr {
  return stored(index, name, SEG_BASE + 2 * s, canonical);
}

function fixedMtrr(index: number, name: string, slot: number): Msr {
  return stored(index, name, MTRR_FIXED + 2 * slot, (lo, hi) => typesAllowed(lo, hi, MTRR_TYPES));
}

/** Eight pairs of base (type 7:0, address) and mask (valid 11, address). */
function variableMtrrs(): Msr[] {
  const list: Msr[] = [];
  for (let i = 0; i < 8; i++) {
    list.push(stored(0x200 + 2 * i, `MTRR_PHYSBASE${i}`, MTRR_VARIABLE + 4 * i,
      (lo, hi) => (lo & 0xf00) === 0 && isMtrrType(lo & 255) && withinPhysicalWidth(hi)));
    list.push(stored(0x201 + 2 * i, `MTRR_PHYSMASK${i}`, MTRR_VARIABLE + 4 * i + 2,
      (lo, hi) => (lo & 0x7ff) === 0 && withinPhysicalWidth(hi)));
  }
  return list;
}

const MCE_BANKS = 6;

/** Word of a bank register's storage, from its MSR index; CTL, (STATUS,) ADDR and MISC have eight words a bank. */
function machineCheckWord(index: number): number {
  return MSR_STORE + 2 * (index - 0x400);
}

/**
 * Machine-check bank registers. Nothing is ever reported: the status can only be cleared, address and additional information are storage.
 * CTL takes all zeroes or all ones; old kernels leave out bits 0 or 10 of the latter.
 */
const machineCheckBanks: Msr = {
  index: 0x400, count: 4 * MCE_BANKS, name: 'MCi_CTL/STATUS/ADDR/MISC',
  read: (index) => give(R[machineCheckWord(index)], R[machineCheckWord(index) + 1]),
  write: (lo, hi, index) => {
    const kind = index & 3;
    if (kind === 1 && (lo | hi) !== 0) return false;
    if (kind === 0 && (lo | hi) !== 0 && ((lo | 0x401) !== -1 || hi !== -1)) return false;
    R[machineCheckWord(index)] = lo;
    R[machineCheckWord(index) + 1] = hi;
    return true;
  },
};

/** MSRs that exist only with a CPUID feature. */
function onlyWith(feature: string, msr: Msr): Msr {
  return {
    ...msr,
    read: (index) => hasFeature(feature) && msr.read(index),
    write: (lo, hi, index) => hasFeature(feature) && msr.write(lo, hi, index),
  };
}

/** Eight general counters, three fixed ones. */
const PERF_GLOBAL_LOW = 0xff, PERF_GLOBAL_HIGH = 7;

/** IA32_PERF_GLOBAL_CTRL may hold this value (also a VM-entry check). */
export function isValidPerfGlobalControl(lo: number, hi: number): boolean {
  return (lo & ~PERF_GLOBAL_LOW) === 0 && (hi & ~PERF_GLOBAL_HIGH) === 0;
}

const perfGlobalStorage = stored(0x38f, 'PERF_GLOBAL_CTRL', PERF_GLOBAL_CTRL, isValidPerfGlobalControl);
/** Storage on machines that say so, for hypervisors that load it with each VM entry; else inert like its neighbours. */
const perfGlobalControl: Msr = {
  ...perfGlobalStorage,
  write: (lo, hi, index) => !cpuConfig.perfGlobalControl || perfGlobalStorage.write(lo, hi, index),
};

/** RDCL_NO, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, PBRSB_NO. */
const ARCH_CAPABILITIES = 0x0100e179;
/** Eight variable ranges, fixed ranges, write combining. */
const MTRR_CAPABILITIES = 0x508;
/** A revision so high that nobody tries to load microcode. */
const MICROCODE_REVISION = 0x2f;

/** Every MSR of the CPU. */
export const MSRS: readonly Msr[] = [
  constant(0x000, 'P5_MC_ADDR', () => [0, 0]),
  constant(0x001, 'P5_MC_TYPE', () => [0, 0]),
  { index: 0x010, count: 1, name: 'TIME_STAMP_COUNTER', read: () => give(tscWordsForGuest(), R[MEMHI]), write: setTsc },
  constant(0x017, 'PLATFORM_ID', () => [0, 0]),
  { index: 0x01b, count: 1, name: 'APIC_BASE', read: () => give(R[APIC_BASE], R[APIC_BASE + 1]), write: writeApicBase },
  inert(0x02a, 'EBL_CR_POWERON'),
  inert(0x02c, 'EBC_FREQUENCY_ID', 1, 1 << 24),
  { index: 0x03a, count: 1, name: 'FEATURE_CONTROL', read: () => give(R[FEATURE_CONTROL], 0), write: writeFeatureControl },
  { index: 0x079, count: 1, name: 'BIOS_UPDT_TRIG', read: never, write: ignored },
  inert(0x08b, 'BIOS_SIGN_ID', 1, 0, MICROCODE_REVISION),
  inert(0x0c1, 'PMC0-7', 8),
  inert(0x0cd, 'FSB_FREQ', 1, 3),
  constant(0x0ce, 'PLATFORM_INFO', () => [Math.round(cpuConfig.tscHz / 1e8) << 8, 0]),
  constant(0x0fe, 'MTRRCAP', () => [MTRR_CAPABILITIES, 0]),
  onlyWith('arch_capabilities', constant(0x10a, 'ARCH_CAPABILITIES', () => [ARCH_CAPABILITIES, 0])),
  inert(0x11e, 'BBL_CR_CTL3', 1, 0xbe702111 | 0),
  inert(0x140, 'MISC_FEATURES_ENABLES'),
  storedWord(0x174, 'SYSENTER_CS', SYSENTER_CS, anything),
  stored(0x175, 'SYSENTER_ESP', SYSENTER_ESP, canonical),
  stored(0x176, 'SYSENTER_EIP', SYSENTER_EIP, canonical),
  constant(0x179, 'MCG_CAP', () => [MCE_BANKS, 0]),
  inert(0x17a, 'MCG_STATUS, MCG_CTL', 2),
  inert(0x186, 'PERFEVTSEL0-7', 8),
  inert(0x198, 'PERF_STATUS', 1, 1000, 0x400),
  inert(0x199, 'PERF_CTL'),
  inert(0x19a, 'CLOCK_MODULATION, THERM_INTERRUPT, THERM_STATUS', 3),
  { index: 0x1a0, count: 1, name: 'MISC_ENABLE', read: () => give(R[MISC_ENABLE], R[MISC_ENABLE + 1]), write: writeMiscEnable },
  inert(0x1a1, 'MISC_1A1, TEMPERATURE_TARGET', 2),
  inert(0x1b0, 'ENERGY_PERF_BIAS'),
  inert(0x1c8, 'LBR_SELECT, LASTBRANCH_TOS', 2),
  storedWord(0x1d9, 'DEBUGCTL', DEBUGCTL, debugctlAllowed),
  inert(0x1db, 'LASTBRANCH_FROM_IP - LASTINT_TO_IP', 4),
  inert(0x1fc, 'POWER_CTL'),
  ...variableMtrrs(),
  fixedMtrr(0x250, 'MTRR_FIX64K_00000', 0),
  fixedMtrr(0x258, 'MTRR_FIX16K_80000', 1),
  fixedMtrr(0x259, 'MTRR_FIX16K_A0000', 2),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((i) => fixedMtrr(0x268 + i, `MTRR_FIX4K_${(0xc0000 + 0x8000 * i).toString(16).toUpperCase()}`, 3 + i)),
  stored(0x277, 'PAT', PAT, patAllowed),
  inert(0x280, 'MCi_CTL2', MCE_BANKS),
  stored(0x2ff, 'MTRR_DEF_TYPE', MTRR_DEF_TYPE, (lo, hi) => hi === 0 && (lo & ~0xcff) === 0 && isMtrrType(lo & 255)),
  inert(0x345, 'PERF_CAPABILITIES'),
  inert(0x38d, 'FIXED_CTR_CTRL, PERF_GLOBAL_STATUS', 2),
  perfGlobalControl,
  inert(0x390, 'PERF_GLOBAL_OVF_CTRL'),
  inert(0x3f1, 'PEBS_ENABLE'),
  machineCheckBanks,
  {
    index: 0x480, count: 0x12, name: 'VMX capabilities',
    read: (index) => readVmxCapabilityMsr(index) && give(vmxMsrValue[0], vmxMsrValue[1]), write: never,
  },
  inert(0x600, 'DS_AREA'),
  inert(0x606, 'RAPL_POWER_UNIT'),
  inert(0x611, 'PKG_ENERGY_STATUS'),
  inert(0x619, 'DRAM_ENERGY_STATUS'),
  inert(0x639, 'PP0_ENERGY_STATUS'),
  inert(0x641, 'PP1_ENERGY_STATUS'),
  inert(0x680, 'LASTBRANCH_0-15_FROM_IP', 16),
  inert(0x6c0, 'LASTBRANCH_0-15_TO_IP', 16),
  onlyWith('tsc_deadline', { index: 0x6e0, count: 1, name: 'TSC_DEADLINE', read: readTscDeadline, write: writeTscDeadline }),
  {
    index: 0x800, count: 0x100, name: 'x2APIC',
    read: (index) => platform.readX2apic(index) && give(platform.msrValue[0], platform.msrValue[1]),
    write: (lo, hi, index) => platform.writeX2apic(index, lo, hi),
  },
  absent(0x40000000, 'hypervisor interfaces', 0x200),
  { index: 0xc0000080, count: 1, name: 'EFER', read: () => give(R[EFER], 0), write: writeEfer },
  stored(0xc0000081, 'STAR', STAR, anything),
  stored(0xc0000082, 'LSTAR', LSTAR, canonical),
  stored(0xc0000083, 'CSTAR', CSTAR, canonical),
  stored(0xc0000084, 'FMASK', FMASK, anything),
  segmentBase(0xc0000100, 'FS_BASE', FS),
  segmentBase(0xc0000101, 'GS_BASE', GS),
  stored(0xc0000102, 'KERNEL_GS_BASE', KERNEL_GS_BASE, canonical),
  storedWord(0xc0000103, 'TSC_AUX', TSC_AUX, highZero),
];

/** By index (as int32). */
const byIndex = new Map<number, Msr>();
for (const msr of MSRS) for (let i = 0; i < msr.count; i++) byIndex.set((msr.index + i) | 0, msr);

/** Accesses to MSRs that this CPU does not have since power-on, by index: for the observer. */
export const unknownMsrAccesses = new Map<number, number>();

function unknown(index: number): boolean {
  const before = unknownMsrAccesses.get(index >>> 0) ?? 0;
  unknownMsrAccesses.set(index >>> 0, before + 1);
  if (cpuConfig.msrRelaxed && before === 0) platform.unknownMsr(index >>> 0);
  return cpuConfig.msrRelaxed;
}

/** RDMSR without its privilege check: the value is in msrValue; false = #GP(0). */
export function readMsr(index: number): boolean {
  const msr = byIndex.get(index | 0);
  if (msr !== undefined) return msr.read(index >>> 0);
  give(0, 0);
  return unknown(index);
}

/** WRMSR without its privilege check; false = #GP(0) and nothing changed. */
export function writeMsr(index: number, lo: number, hi: number): boolean {
  const msr = byIndex.get(index | 0);
  if (msr !== undefined) return msr.write(lo, hi, index >>> 0);
  return unknown(index);
}
