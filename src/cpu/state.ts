/**
 * The architectural state of the vCPU that is running, in one buffer with typed views.
 *
 * Everything an instruction may read or write lives here as 32-bit words, so that a snapshot is a copy of
 * the buffer, a vCPU switch copies a few hundred words, and generated code addresses state with constants.
 * 64-bit quantities take two consecutive words, low word first, at an even index.
 *
 * Words 0-127 can be named by the 7-bit operand fields of packed records (see record.ts); the rest cannot.
 */

/** Bytes of state per vCPU. */
export const STATE_BYTES = 4096;

export const STATE = new ArrayBuffer(STATE_BYTES);
/** 32-bit view: the main one. */
export const R = new Int32Array(STATE);
/** Unsigned 32-bit view. */
export const RU = new Uint32Array(STATE);
/** 16-bit view: general register n is R16[4 * n]. */
export const R16 = new Uint16Array(STATE);
/** 8-bit view: low byte of general register n is R8[8 * n], AH CH DH BH are R8[1], R8[9], R8[17], R8[25]. */
export const R8 = new Uint8Array(STATE);
/** Double view, for SSE2 scalars and for instruction-count stamps. */
export const RF64 = new Float64Array(STATE);
/** Float view, for SSE scalars. */
export const RF32 = new Float32Array(STATE);

// --- Operand-addressable words ---
export const RAX = 0, RCX = 2, RDX = 4, RBX = 6, RSP = 8, RBP = 10, RSI = 12, RDI = 14;
export const R8Q = 16, R9Q = 18, R10Q = 20, R11Q = 22, R12Q = 24, R13Q = 26, R14Q = 28, R15Q = 30;
/** Always zero: the base of an address without base register. */
export const ZERO = 32;
/** Linear address left by an effective-address micro-record for the record after it. */
export const EAT = 34;
/**
 * rIP of offset 0 of the page that executes: rIP = IPB + page offset of the instruction. Serves as base of
 * RIP-relative operands. 64 bits.
 */
export const IPB = 36;
/** rIP. Only right at block boundaries and inside block-ending handlers; elsewhere see currentRip(). 64 bits. */
export const RIP = 38;

// --- Execution bookkeeping ---
/** Instructions left before the run loop must look at events; every block subtracts its length on entry. */
export const BUD = 40;
/** Record index of the instruction in progress when a slow path was called, 0 when RIP is exact. */
export const CURP = 41;
/** Mask of the high word of effective addresses: -1 in 64-bit code, 0 elsewhere. */
export const AMASK = 42;
/** Word offset of the active bank in the data TLB (OR-ed into the index); differs for user and supervisor. */
export const TLBB = 43;

// --- Lazy flags (flags.ts) ---
/** Kind of the last flag-setting operation, one of FK_*. */
export const FT = 44;
/** Its result, 64 bits; narrower results are sign-extended to 32 bits and stored in BOTH words. */
export const FRL = 45, FRH = 46;
/** Its remembered operand (ADD: either operand, SUB: the minuend), stored like the result. */
export const FSL = 47, FSH = 48;
/** Explicit CF, AF, OF (kind FK_RESULT), or all six status flags (kind FK_EXPLICIT), in RFLAGS positions. */
export const FX = 49;
/** RFLAGS without the six status flags (CF PF AF ZF SF OF); bit 1 always set. */
export const EFLAGS = 50;
/** Linear address formed by effectiveAddress() for handlers written as functions. 64 bits. */
export const LA = 52;
/** High word of the value that a 64-bit load returned (the low word is its return value). */
export const MEMHI = 54;

// --- Privilege and mode ---
/** Current privilege level 0-3 (= SS.DPL). */
export const CPL = 56;
/** 1 while EFER.LMA = 1. */
export const LMA = 57;
/** 1 while executing 64-bit code (LMA and CS.L). */
export const CODE64 = 58;
/** VMX_OFF, VMX_ROOT or VMX_NON_ROOT. */
export const VMX_MODE = 59;
export const VMX_OFF = 0, VMX_ROOT = 1, VMX_NON_ROOT = 2;
/** Word offset of the active bank in the code TLB. */
export const CODE_BANK = 60;
/** Decoding mode bits (record.ts MODE_*). */
export const MODE = 61;
/** Interrupt shadow: 0 none, 1 by STI, 2 by MOV SS / POP SS; valid only at the instant INHIBIT_AT. */
export const INHIBIT = 62;
/** 1 while NMIs are blocked (SDM 3A 6.7.1). */
export const NMI_BLOCKED = 63;
/** Activity state: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI (numbering of VMCS field 4826h). */
export const ACTIVITY = 64;
/** Event lines into this vCPU: OR of SIG_*. */
export const SIGNALS = 65;
/** INTR pin (from the LAPIC, or the PIC through LINT0). */
export const SIG_INTR = 1;
export const SIG_NMI = 2, SIG_INIT = 4, SIG_SIPI = 8;
/** Something the run loop must look at before the next instruction, in whatever state (pending #DB, VMX windows, MTF). */
export const SIG_ATTENTION = 16;
/** Vector of a latched SIPI. */
export const SIPI_VECTOR = 66;
/** Debug conditions met by the instruction just finished, DR6-shaped; a #DB trap is due at the boundary. */
export const PENDING_DB = 67;
/** Index of this vCPU = its initial APIC id. */
export const VCPU = 68;
/** Interrupt shadow applies to the boundary at which the instruction count equals this (RF64 index). */
export const INHIBIT_AT = 70; // word index; use RF64[INHIBIT_AT >> 1]
/** Privilege used by memory accesses: 1 = user, 0 = supervisor. Follows CPL, forced to 0 for implicit supervisor accesses. */
export const ACCESS_USER = 72;
/** PENDING_DB as it was when the slice began: conditions that MOV SS holds off. */
export const DEFERRED_DB = 73;

// --- Fault in flight (fault.ts) ---
export const FAULT_KIND = 74, FAULT_VECTOR = 75, FAULT_ERROR = 76, FAULT_HAS_ERROR = 77;

/** RFLAGS.RF holds at the boundary where the instruction count equals this, and is over afterwards (rflags.ts). RF64 index: RF_AT >> 1. */
export const RF_AT = 78;

// --- Control, debug and model-specific registers ---
export const CR0 = 80;
/** 64 bits: linear address of the last page fault. */
export const CR2 = 82;
/** 64 bits. */
export const CR3 = 84;
export const CR4 = 86;
/** EFER, low word (high word is always 0). */
export const EFER = 87;
/** DR0-DR3, 64 bits each. */
export const DR0 = 88;
export const DR6 = 96, DR7 = 97;
export const GDTR_BASE = 98, GDTR_LIMIT = 100;
export const IDTR_BASE = 102, IDTR_LIMIT = 101;
export const STAR = 104, LSTAR = 106, CSTAR = 108, FMASK = 110, KERNEL_GS_BASE = 112;
export const TSC_AUX = 114;
export const SYSENTER_CS = 115;
export const SYSENTER_ESP = 116, SYSENTER_EIP = 118;
export const PAT = 120, MISC_ENABLE = 122, DEBUGCTL = 124;
/** IA32_APIC_BASE, 64 bits. */
export const APIC_BASE = 126;
/** Added to the virtual clock to give IA32_TIME_STAMP_COUNTER (WRMSR 10h moves it); 64 bits. */
export const TSC_ADJUST = 128;
/** IA32_FEATURE_CONTROL. */
export const FEATURE_CONTROL = 130;
/** PDPTE0-3 as loaded by MOV CR3 in PAE mode, 64 bits each. */
export const PDPTE = 132;

// --- Segments: ES CS SS DS FS GS LDTR TR = 0..7 ---
export const ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;
/** Selector of segment s: R[SEG_SEL + s]. */
export const SEG_SEL = 144;
/** Limit in bytes (granularity applied): RU[SEG_LIMIT + s]. */
export const SEG_LIMIT = 152;
/**
 * Access rights of segment s in the VMCS format (SDM 3C 25.4.1): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
 * D/B 14, G 15, unusable 16.
 */
export const SEG_AR = 160;
/** 64-bit base of segment s: R[SEG_BASE + 2 * s] low, next word high. */
export const SEG_BASE = 168;

// --- SSE: XMM0-15, four words each, 16-byte aligned ---
export const XMM = 192;
export const MXCSR = 256;

// --- x87: physical register i (not relative to TOP) ---
/** Significand of physical register i, 64 bits: R[FP_MANT + 2 * i]. MMX register i is the same words. */
export const FP_MANT = 260;
/** Sign (bit 15) and biased exponent of physical register i: R[FP_EXP + i]. */
export const FP_EXP = 276;
/** Control word; status word without TOP; TOP 0-7; tag bits: bit i set = physical register i is NOT empty. */
export const FCW = 284, FSW = 285, FTOP = 286, FP_VALID = 287;
/** Last x87 opcode (11 bits), instruction pointer (64 bits), data pointer (64 bits), and their selectors. */
export const FOP = 288, FIP = 290, FDP = 292, FCS = 294, FDS = 295;

// --- MTRRs (stored, no effect on caching): fixed 11 x 64 bit, variable 8 x (base, mask), default type ---
export const MTRR_FIXED = 296;
export const MTRR_VARIABLE = 320;
export const MTRR_DEF_TYPE = 352;
/** Scratch words for the execution engine and instruction families: not state, not saved, meaningless between instructions. */
export const SCRATCH = 384; // 128 words up to 511
/** VMX per-vCPU words (owned by src/vmx): 512..767. */
export const VMX_STATE = 512;
/** Other MSR storage (owned by src/cpu/msr.ts): 768..895. */
export const MSR_STORE = 768;
/** IA32_PERF_GLOBAL_CTRL, 64 bits. */
export const PERF_GLOBAL_CTRL = MSR_STORE + 126;
/** Free for the engine (owned by src/cpu/engine): 896..1023. */
export const ENGINE_STATE = 896;

// --- Which of these words are the guest's ---

/** Consecutive words of one meaning. */
export interface WordRun {
  readonly name: string;
  /** First word. */
  readonly at: number;
  /** Words of one item: 2 for 64 bits. */
  readonly words: number;
  /** Items in a row. */
  readonly count: number;
}

function run(name: string, at: number, words: number, count = 1): WordRun {
  return { name, at, words, count };
}

/**
 * Everything above that software can see, as it is at an instruction boundary: what two engines must agree on (src/observe/state-digest.ts). Whoever adds a word
 * enters it here or below. Not here because their value needs interpretation: the flags, SIGNALS, INHIBIT. VMX words are in src/vmx/state.ts.
 */
export const ARCHITECTURAL_WORDS: readonly WordRun[] = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'].map((name, n) => run(name, RAX + 2 * n, 2)),
  run('rip', RIP, 2), run('cpl', CPL, 1), run('lma', LMA, 1), run('64-bit code', CODE64, 1), run('vmx mode', VMX_MODE, 1),
  run('nmi blocked', NMI_BLOCKED, 1), run('activity', ACTIVITY, 1), run('sipi vector', SIPI_VECTOR, 1), run('pending debug', PENDING_DB, 1), run('vcpu', VCPU, 1),
  run('cr0', CR0, 1), run('cr2', CR2, 2), run('cr3', CR3, 2), run('cr4', CR4, 1), run('efer', EFER, 1), run('dr', DR0, 2, 4), run('dr6', DR6, 1), run('dr7', DR7, 1),
  run('gdtr base', GDTR_BASE, 2), run('gdtr limit', GDTR_LIMIT, 1), run('idtr base', IDTR_BASE, 2), run('idtr limit', IDTR_LIMIT, 1),
  run('star', STAR, 2), run('lstar', LSTAR, 2), run('cstar', CSTAR, 2), run('fmask', FMASK, 2), run('kernel gs base', KERNEL_GS_BASE, 2), run('tsc aux', TSC_AUX, 1),
  run('sysenter cs', SYSENTER_CS, 1), run('sysenter esp', SYSENTER_ESP, 2), run('sysenter eip', SYSENTER_EIP, 2), run('pat', PAT, 2), run('misc enable', MISC_ENABLE, 2),
  run('debugctl', DEBUGCTL, 2), run('apic base', APIC_BASE, 2), run('tsc adjust', TSC_ADJUST, 2), run('feature control', FEATURE_CONTROL, 1), run('pdpte', PDPTE, 2, 4),
  ...['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'].flatMap((name, s) => [
    run(name, SEG_SEL + s, 1), run(`${name} limit`, SEG_LIMIT + s, 1), run(`${name} rights`, SEG_AR + s, 1), run(`${name} base`, SEG_BASE + 2 * s, 2),
  ]),
  run('xmm', XMM, 4, 16), run('mxcsr', MXCSR, 1), run('fpr significand', FP_MANT, 2, 8), run('fpr exponent', FP_EXP, 1, 8), run('fcw', FCW, 1), run('fsw', FSW, 1),
  run('fpu top', FTOP, 1), run('fpu valid', FP_VALID, 1), run('fop', FOP, 1), run('fip', FIP, 2), run('fdp', FDP, 2), run('fcs', FCS, 1), run('fds', FDS, 1),
  run('mtrr fixed', MTRR_FIXED, 2, 11), run('mtrr variable', MTRR_VARIABLE, 2, 16), run('mtrr default', MTRR_DEF_TYPE, 2), run('msr store', MSR_STORE, 2, 64),
];

/** The others: the engine's bookkeeping, forms of the above that are quicker to use, and what is meaningless between instructions. */
export const BOOKKEEPING_WORDS: readonly WordRun[] = [
  run('zero', ZERO, 2), run('effective address', EAT, 2), run('rip of the page', IPB, 2), run('budget', BUD, 1), run('record', CURP, 1), run('address mask', AMASK, 1),
  run('tlb bank', TLBB, 1), run('lazy flags', FT, 1, 7), run('linear address', LA, 2), run('high word of a load', MEMHI, 1), run('code TLB bank', CODE_BANK, 1), run('mode', MODE, 1),
  run('inhibit', INHIBIT, 1), run('signals', SIGNALS, 1), run('inhibit at', INHIBIT_AT, 2), run('access privilege', ACCESS_USER, 1), run('deferred debug', DEFERRED_DB, 1),
  run('fault', FAULT_KIND, 1, 4), run('rf at', RF_AT, 2), run('scratch', SCRATCH, 1, 128), run('engine', ENGINE_STATE, 1, 128),
];

// --- RFLAGS bits ---
export const F_CF = 1, F_PF = 4, F_AF = 0x10, F_ZF = 0x40, F_SF = 0x80, F_TF = 0x100, F_IF = 0x200, F_DF = 0x400;
export const F_OF = 0x800, F_IOPL = 0x3000, F_NT = 0x4000, F_RF = 0x10000, F_VM = 0x20000, F_AC = 0x40000;
export const F_VIF = 0x80000, F_VIP = 0x100000, F_ID = 0x200000;
/** The six status flags, the ones kept lazily. */
export const F_STATUS = 0x8d5;

// --- CR0, CR4, EFER bits ---
export const CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 0x10, CR0_NE = 0x20, CR0_WP = 0x10000, CR0_AM = 0x40000;
export const CR0_NW = 0x20000000, CR0_CD = 0x40000000, CR0_PG = 0x80000000 | 0;
export * from './control-bits';

// --- Segment access-rights bits ---
export const AR_S = 0x10, AR_P = 0x80, AR_AVL = 0x1000, AR_L = 0x2000, AR_DB = 0x4000, AR_G = 0x8000, AR_UNUSABLE = 0x10000;

// --- Exception vectors ---
export const X_DE = 0, X_DB = 1, X_NMI = 2, X_BP = 3, X_OF = 4, X_BR = 5, X_UD = 6, X_NM = 7, X_DF = 8, X_TS = 10, X_NP = 11;
export const X_SS = 12, X_GP = 13, X_PF = 14, X_MF = 16, X_AC = 17, X_MC = 18, X_XM = 19, X_VE = 20;
