/**
 * CPUID (SDM 2A): the leaves of the CPU model. Feature bits come from features.ts; the rest is here.
 *
 * Leaves that are zero: 3 serial number, 5 MONITOR, 9 DCA, Ah PMU, Dh XSAVE, and those between 0Bh and 15h that are not named below.
 */
import { R, APIC_BASE, MISC_ENABLE, VCPU } from './state';
import { CPU_SIGNATURE, cpuConfig, featureWord } from './features';

/** EAX, EBX, ECX, EDX of the last cpuid(). */
export const CPUID_RESULT = new Int32Array(4);

const MAX_BASIC_LEAF = 0x15, MAX_EXTENDED_LEAF = 0x80000008;
/** With IA32_MISC_ENABLE[22] the basic leaves end at 2. */
const LIMITED_BASIC_LEAF = 2;
const MISC_LIMIT_CPUID = 1 << 22;
/** IA32_MISC_ENABLE[34], in the high word: no NX. */
const MISC_XD_DISABLE = 4;

const VENDOR = 'GenuineIntel';
const BRAND = 'Intel(R) Celeron(R) CPU G530 @ 1.00GHz';

function textWord(text: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (text.charCodeAt(at + i) || 0) << (8 * i);
  return word;
}

function give(a: number, b: number, c: number, d: number): void {
  CPUID_RESULT[0] = a;
  CPUID_RESULT[1] = b;
  CPUID_RESULT[2] = c;
  CPUID_RESULT[3] = d;
}

/** Bits needed to number the cores. */
function coreBits(): number {
  return cpuConfig.vcpus <= 1 ? 0 : 32 - Math.clz32(cpuConfig.vcpus - 1);
}

/** One deterministic cache of leaf 4. Types: 1 data, 2 instruction, 3 unified; 64-byte lines. */
function cache(type: number, level: number, sharing: number, ways: number, sets: number): void {
  const cores = (1 << coreBits()) - 1;
  give((cores << 26) | (sharing << 14) | (1 << 8) | (level << 5) | type, ((ways - 1) << 22) | 63, sets - 1, 0);
}

function cacheLeaf(subleaf: number): void {
  switch (subleaf) {
    case 0: cache(1, 1, 0, 8, 64); break;
    case 1: cache(2, 1, 0, 8, 64); break;
    case 2: cache(3, 2, 0, 8, 512); break;
    case 3: cache(3, 3, (1 << coreBits()) - 1, 8, 4096); break;
    default: give(0, 0, 0, 0);
  }
}

/** Leaf 0Bh: one thread a core, all cores in one package. */
function topologyLeaf(subleaf: number): void {
  const id = R[VCPU];
  if (subleaf === 0) give(0, 1, 0x100, id);
  else if (subleaf === 1) give(coreBits(), cpuConfig.vcpus, 0x201, id);
  else give(0, 0, subleaf & 0xff, id);
}

function modelLeaf(leaf: number, subleaf: number): void {
  switch (leaf) {
    case 0: {
      const max = R[MISC_ENABLE] & MISC_LIMIT_CPUID ? LIMITED_BASIC_LEAF : MAX_BASIC_LEAF;
      give(max, textWord(VENDOR, 0), textWord(VENDOR, 8), textWord(VENDOR, 4));
      break;
    }
    case 1:
      // CLFLUSH line of 8 quadwords, logical processors in the package, initial APIC id.
      give(CPU_SIGNATURE, (R[VCPU] << 24) | (cpuConfig.vcpus << 16) | 0x800, featureWord(1), featureWord(0));
      // The APIC bit follows IA32_APIC_BASE[11].
      if ((R[APIC_BASE] & 0x800) === 0) CPUID_RESULT[3] &= ~0x200;
      break;
    // TLBs, prefetch, "see leaf 4" for caches.
    case 2: give(0x76035a01, 0x00f0b2ff, 0, 0x00ca0000); break;
    case 4: cacheLeaf(subleaf); break;
    case 6: give(featureWord(8), 0, 0, 0); break;
    case 7:
      if (subleaf === 0) give(0, featureWord(2), featureWord(3), featureWord(4));
      else give(0, 0, 0, 0);
      break;
    case 0xb: topologyLeaf(subleaf); break;
    // TSC = crystal * 1 / 1.
    case 0x15: give(1, 1, cpuConfig.tscHz, 0); break;
    case 0x80000000: give(MAX_EXTENDED_LEAF, 0, 0, 0); break;
    case 0x80000001:
      give(0, 0, featureWord(6), featureWord(5));
      if (R[MISC_ENABLE + 1] & MISC_XD_DISABLE) CPUID_RESULT[3] &= ~(1 << 20);
      break;
    case 0x80000002: case 0x80000003: case 0x80000004: {
      const at = 16 * (leaf - 0x80000002);
      give(textWord(BRAND, at), textWord(BRAND, at + 4), textWord(BRAND, at + 8), textWord(BRAND, at + 12));
      break;
    }
    // 256 KiB L2, 8-way, 64-byte lines.
    case 0x80000006: give(0, 0, 0x01006040, 0); break;
    case 0x80000007: give(0, 0, 0, featureWord(7)); break;
    case 0x80000008: give(cpuConfig.physicalAddressBits | (48 << 8), 0, 0, 0); break;
    default: give(0, 0, 0, 0);
  }
}

/** Register of CPUID whose bits features.ts already made subject to the overrides. */
function isFeatureRegister(leaf: number, reg: number): boolean {
  switch (leaf) {
    case 1: return reg >= 2;
    case 7: return reg !== 0;
    case 0x80000001: return reg >= 2;
    case 0x80000007: return reg === 3;
    default: return leaf === 6 && reg === 0;
  }
}

/** Executes CPUID for a leaf and subleaf (EAX, ECX): results in CPUID_RESULT. Leaves beyond the highest give the highest basic leaf. */
export function cpuid(leaf: number, subleaf: number): void {
  leaf >>>= 0;
  subleaf >>>= 0;
  const maxBasic = R[MISC_ENABLE] & MISC_LIMIT_CPUID ? LIMITED_BASIC_LEAF : MAX_BASIC_LEAF;
  const isExtended = leaf >= 0x80000000 && leaf <= MAX_EXTENDED_LEAF;
  const shown = leaf <= maxBasic || isExtended ? leaf : maxBasic;
  modelLeaf(shown, subleaf);
  for (const change of cpuConfig.cpuidOverrides) {
    if (change.leaf >>> 0 !== shown || (change.subleaf !== null && change.subleaf !== subleaf) || isFeatureRegister(shown, change.reg)) continue;
    CPUID_RESULT[change.reg] = (CPUID_RESULT[change.reg] | change.set) & ~change.clear;
  }
}
