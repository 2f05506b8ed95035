/**
 * The CPU model: machine options that the guest can see, and one list of the CPUID feature bits (SDM 2A, CPUID).
 *
 * The model is a phase of what the CPU can do, in the clothes of a Sandy Bridge without AVX and AES (a real SKU class). What a
 * bit switches (CR4 and EFER bits, MSRs) is derived from the list here, so that hiding a feature hides all of it.
 */
import { CR4_FSGSBASE, CR4_PCIDE, CR4_SMAP, CR4_SMEP, CR4_UMIP, CR4_VMXE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from './control-bits';

/** One change to a CPUID result, applied after the model's own values. */
export interface CpuidOverride {
  leaf: number;
  /** Null: every subleaf. */
  subleaf: number | null;
  /** 0 EAX, 1 EBX, 2 ECX, 3 EDX. */
  reg: number;
  /** Bits forced to 1 and to 0. */
  set: number;
  clear: number;
}

export interface CpuConfig {
  /** Offer VMX to the guest. */
  nestedVmx: boolean;
  /** Offer EPT, VPID and unrestricted guest to the guest's hypervisor. */
  ept: boolean;
  cpuidOverrides: CpuidOverride[];
  /** Number of virtual CPUs. */
  vcpus: number;
  /** Frequency of the TSC and of the virtual clock, in Hz. */
  tscHz: number;
  /** Unknown MSRs read zero and ignore writes instead of raising #GP. */
  msrRelaxed: boolean;
  /** IA32_PERF_GLOBAL_CTRL is storage, and VM entries and exits can load it: some hypervisors insist although there is no PMU. */
  perfGlobalControl: boolean;
  /** MAXPHYADDR, 33 to 40. */
  physicalAddressBits: number;
}

/** The options of the machine that is running; change them with configureCpu() before the machine starts. */
export const cpuConfig: CpuConfig = {
  nestedVmx: true,
  ept: true,
  cpuidOverrides: [],
  vcpus: 1,
  tscHz: 1e9,
  msrRelaxed: false,
  perfGlobalControl: false,
  physicalAddressBits: 40,
};

/** CR4 bits that this CPU has whatever CPUID shows: VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT. */
const CR4_ALWAYS = 0x7ff;
/** CR4 bits that come with a feature. */
const CR4_BY_FEATURE: readonly (readonly [string, number])[] = [
  ['vmx', CR4_VMXE], ['umip', CR4_UMIP], ['fsgsbase', CR4_FSGSBASE], ['pcid', CR4_PCIDE], ['smep', CR4_SMEP], ['smap', CR4_SMAP],
];

/** CPUID signature (family 6, model 2Ah, stepping 7), also the value of EDX after reset. */
export const CPU_SIGNATURE = 0x000206a7;

/** Leaves and registers that hold feature bits: [leaf, register]. */
export const FEATURE_WORDS = [[1, 3], [1, 2], [7, 1], [7, 2], [7, 3], [0x80000001, 3], [0x80000001, 2], [0x80000007, 3], [6, 0]] as const;
const W_1_EDX = 0, W_1_ECX = 1, W_7_EBX = 2, W_7_ECX = 3, W_7_EDX = 4, W_EXT_EDX = 5, W_EXT_ECX = 6, W_POWER_EDX = 7, W_THERMAL_EAX = 8;

/** One CPUID feature bit that this CPU implements. */
export interface Feature {
  readonly name: string;
  /** Index into FEATURE_WORDS. */
  readonly word: number;
  readonly bit: number;
}

function bits(word: number, names: string): Feature[] {
  return names.trim().split(/\s+/).map((entry) => {
    const [bit, name] = entry.split(':');
    return { name, word, bit: Number(bit) };
  });
}

/**
 * Every feature bit the CPU has. Left out, with their instructions and registers: XSAVE and AVX, AES, PCLMUL, MONITOR,
 * RDRAND, the PMU.
 */
export const FEATURES: readonly Feature[] = [
  ...bits(W_1_EDX, `0:fpu 1:vme 2:de 3:pse 4:tsc 5:msr 6:pae 7:mce 8:cx8 9:apic 11:sep 12:mtrr 13:pge 14:mca 15:cmov 16:pat 17:pse36
    19:clfsh 23:mmx 24:fxsr 25:sse 26:sse2 27:ss 28:htt`),
  ...bits(W_1_ECX, '0:sse3 5:vmx 9:ssse3 13:cx16 17:pcid 19:sse4_1 20:sse4_2 21:x2apic 23:popcnt 24:tsc_deadline'),
  ...bits(W_7_EBX, '0:fsgsbase 7:smep 10:invpcid 20:smap'),
  ...bits(W_7_ECX, '2:umip'),
  ...bits(W_7_EDX, '29:arch_capabilities'),
  ...bits(W_EXT_EDX, '11:syscall 20:nx 26:page1gb 27:rdtscp 29:lm'),
  ...bits(W_EXT_ECX, '0:lahf_lm 8:prefetchw'),
  ...bits(W_POWER_EDX, '8:constant_tsc'),
  ...bits(W_THERMAL_EAX, '2:arat'),
];

/** CPUID.1:ECX[31]: a hypervisor is present. Bare metal says no, but an override may force it. */
const HYPERVISOR_BIT = 0x80000000 | 0;

/** The feature words as the guest sees them, overrides applied. */
const featureWords = new Int32Array(FEATURE_WORDS.length);

/** True when the guest is shown the feature. */
export function hasFeature(name: string): boolean {
  const feature = FEATURES.find((candidate) => candidate.name === name);
  return feature !== undefined && ((featureWords[feature.word] >>> feature.bit) & 1) !== 0;
}

/** A feature word (index into FEATURE_WORDS) as the guest sees it. */
export function featureWord(index: number): number {
  return featureWords[index];
}

/** Derived masks: [0] CR4 bits that may be set, [1] EFER bits that may be set. */
const MASKS = new Int32Array(2);

/** CR4 bits that may be 1 on this machine: those of the features it shows. */
export function cr4AllowedBits(): number {
  return MASKS[0];
}

/** EFER bits that may be 1. */
export function eferAllowedBits(): number {
  return MASKS[1];
}

function overrideWord(index: number, value: number): number {
  const [leaf, reg] = FEATURE_WORDS[index];
  let implemented = leaf === 1 && reg === 2 ? HYPERVISOR_BIT : 0;
  for (const feature of FEATURES) if (feature.word === index) implemented |= 1 << feature.bit;
  let word = value;
  for (const change of cpuConfig.cpuidOverrides) {
    if (change.leaf >>> 0 !== leaf || change.reg !== reg || (change.subleaf ?? 0) !== 0) continue;
    // Whatever is asked for, only what is implemented can be shown.
    word = ((word | change.set) & ~change.clear) & implemented;
  }
  return word;
}

function recompute(): void {
  featureWords.fill(0);
  for (const feature of FEATURES) {
    if (feature.name === 'htt' && cpuConfig.vcpus === 1) continue;
    featureWords[feature.word] |= 1 << feature.bit;
  }
  for (let i = 0; i < FEATURE_WORDS.length; i++) featureWords[i] = overrideWord(i, featureWords[i]);
  // No override brings VMX back that the machine does not offer.
  if (!cpuConfig.nestedVmx) featureWords[W_1_ECX] &= ~(1 << 5);
  MASKS[0] = CR4_ALWAYS;
  for (const [feature, bit] of CR4_BY_FEATURE) if (hasFeature(feature)) MASKS[0] |= bit;
  MASKS[1] = (hasFeature('lm') ? EFER_SCE | EFER_LME | EFER_LMA : 0) | (hasFeature('nx') ? EFER_NXE : 0);
}

/** Changes machine options. Before power-on only: code that runs has looked at them. */
export function configureCpu(options: Partial<CpuConfig>): void {
  Object.assign(cpuConfig, options);
  recompute();
}

recompute();
