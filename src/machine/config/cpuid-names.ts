/**
 * Names of the `cpuid="host,..."` form of xl.cfg(5): numeric fields and feature bits with their places in CPUID
 * (SDM 2A, CPUID; AMD APM 3, appendix E). Names that this CPU never shows are here too, so that switching them off is no error.
 */

export interface CpuidPlace {
  leaf: number;
  subleaf: number | null;
  /** 0 EAX, 1 EBX, 2 ECX, 3 EDX. */
  reg: number;
  bit: number;
  /** Width in bits. */
  bits: number;
}

/** Numeric fields that are one run of bits; family and model are composed and handled apart. */
export const CPUID_FIELDS: Readonly<Record<string, CpuidPlace>> = {
  maxleaf: { leaf: 0, subleaf: null, reg: 0, bit: 0, bits: 32 },
  stepping: { leaf: 1, subleaf: null, reg: 0, bit: 0, bits: 4 },
  brandid: { leaf: 1, subleaf: null, reg: 1, bit: 0, bits: 8 },
  clflush: { leaf: 1, subleaf: null, reg: 1, bit: 8, bits: 8 },
  proccount: { leaf: 1, subleaf: null, reg: 1, bit: 16, bits: 8 },
  localapicid: { leaf: 1, subleaf: null, reg: 1, bit: 24, bits: 8 },
  procpkg: { leaf: 4, subleaf: 0, reg: 0, bit: 26, bits: 6 },
  nc: { leaf: 0x80000008, subleaf: null, reg: 2, bit: 0, bits: 8 },
  apicidsize: { leaf: 0x80000008, subleaf: null, reg: 2, bit: 12, bits: 4 },
  maxhvleaf: { leaf: 0x40000000, subleaf: null, reg: 0, bit: 0, bits: 8 },
};

/** Feature bits per register: `bit:name`, several names for one bit separated by commas. */
const FEATURE_LISTS: readonly { leaf: number; subleaf: number | null; reg: number; names: string }[] = [
  {
    leaf: 1, subleaf: null, reg: 2,
    names: `0:sse3,pni 1:pclmulqdq 2:dtes64 3:monitor 4:dscpl 5:vmx 6:smx 7:est 8:tm2 9:ssse3 10:cntxid 12:fma 13:cmpxchg16,cx16 14:xtpr
      15:pdcm 17:pcid 18:dca 19:sse4-1,sse4_1,sse4.1 20:sse4-2,sse4_2,sse4.2 21:x2apic 22:movbe 23:popcnt 24:tsc-deadline 25:aes,aesni
      26:xsave 27:osxsave 28:avx 29:f16c 30:rdrand 31:hypervisor`,
  },
  {
    leaf: 1, subleaf: null, reg: 3,
    names: `0:fpu 1:vme 2:de 3:pse 4:tsc 5:msr 6:pae 7:mce 8:cmpxchg8,cx8 9:apic 11:sysenter,sep 12:mtrr 13:pge 14:mca 15:cmov 16:pat
      17:pse36 18:psn 19:clfsh,clflush-insn 21:ds 22:acpi 23:mmx 24:fxsr 25:sse 26:sse2 27:ss 28:htt 29:tm 30:ia64 31:pbe`,
  },
  { leaf: 6, subleaf: null, reg: 0, names: '2:arat' },
  {
    leaf: 7, subleaf: 0, reg: 1,
    names: `0:fsgsbase 1:tsc-adjust 3:bmi1 4:hle 5:avx2 7:smep 8:bmi2 9:erms 10:invpcid 11:rtm 12:cmt 14:mpx 16:avx512f 17:avx512dq
      18:rdseed 19:adx 20:smap 23:clflushopt 24:clwb 25:proc-trace 28:avx512cd 29:sha 30:avx512bw 31:avx512vl`,
  },
  { leaf: 7, subleaf: 0, reg: 2, names: '0:prefetchwt1 1:avx512-vbmi 2:umip 3:pku 4:ospke 22:rdpid' },
  { leaf: 7, subleaf: 0, reg: 3, names: '10:md-clear 14:serialize 26:ibrsb 27:stibp 28:l1d-flush 29:arch-caps 31:ssbd' },
  {
    leaf: 0x80000001, subleaf: null, reg: 2,
    names: `0:lahfsahf,lahf_lm,lahf-lm 1:cmplegacy 2:svm 3:extapic 4:altmovcr8 5:abm,lzcnt 6:sse4a 7:misalignsse 8:3dnowprefetch 9:osvw 10:ibs
      11:xop 12:skinit 13:wdt 15:lwp 16:fma4 17:tce 19:nodeid 21:tbm 22:topoext 23:perfctr-core 24:perfctr-nb`,
  },
  { leaf: 0x80000001, subleaf: null, reg: 3, names: '11:syscall 20:nx 22:mmxext 25:ffxsr 26:page1gb 27:rdtscp 29:lm 30:3dnowext 31:3dnow' },
  { leaf: 0x80000007, subleaf: null, reg: 3, names: '8:invtsc' },
];

export const CPUID_FEATURES: ReadonlyMap<string, CpuidPlace> = new Map(
  FEATURE_LISTS.flatMap(({ leaf, subleaf, reg, names }) =>
    names.trim().split(/\s+/).flatMap((entry) => {
      const colon = entry.indexOf(':');
      const place: CpuidPlace = { leaf, subleaf, reg, bit: Number(entry.slice(0, colon)), bits: 1 };
      return entry.slice(colon + 1).split(',').map((name) => [name, place] as const);
    })),
);
