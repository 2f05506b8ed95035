/**
 * The contexts that a vCPU has: what it executes now; the guest of its current VMCS while the hypervisor runs; the hypervisor that waits in the
 * host-state area while the guest runs; and a guest as it was at a recorded VM exit. Each is given as an array of state words (cpu/state.ts), so that
 * one view serves all. Nothing here changes the machine; call at instruction boundaries only.
 */
import {
  R, RF64, ACTIVITY, AMASK, AR_L, BUD, CODE64, CPL, CR0, CR0_PE, CR3, CR4, CS, DEBUGCTL, DR7, EFER, EFER_LMA, EFER_LME, EFLAGS, FT, F_VM, GDTR_BASE, GDTR_LIMIT, IDTR_BASE,
  IDTR_LIMIT, LMA, PAT, PDPTE, RIP, RSP, SEG_AR, SEG_BASE, SEG_LIMIT, SEG_SEL, SS, STATE_BYTES, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TR, VCPU, VMX_MODE,
  VMX_NON_ROOT, VMX_ROOT, FS, GS, LDTR, AR_DB, INHIBIT_AT, DS, ES,
} from '../cpu/state';
import { getFlags } from '../cpu/flags';
import { vcpuCount, vcpuWords } from '../cpu/vcpus';
import { ENTRY_IA32E_GUEST, ENTRY_LOAD_EFER, EXIT_HOST_64, EXIT_LOAD_EFER, EXIT_LOAD_PAT, PROC2_EPT, PROC2_MODE_BASED_EXECUTE, PROC_SECONDARY } from '../vmx/controls';
import { CR0_KEPT } from '../vmx/exit';
import * as F from '../vmx/fields';
import { CURRENT_VALID, GUEST_ID } from '../vmx/state';
import { vmcsOfVcpu } from '../vmx/vcpu';
import { allGuests, levelNow } from './guests';
import type { Words64 } from './hex';

/** `exit`: the guest at a recorded exit. */
export type ContextKind = 'now' | 'guest' | 'host' | 'exit';

export interface ContextChoice {
  vcpu: number;
  kind: ContextKind;
  /** Sequence number of the exit for kind `exit`. */
  exit?: number;
}

export interface Context {
  readonly vcpu: number;
  readonly kind: ContextKind;
  /** 1 for the machine's own software, 2 for its guests, ... */
  readonly level: number;
  /** State words as in cpu/state.ts. The lazy flags in them are not valid: see `rflags`. */
  readonly words: Int32Array;
  readonly rflags: number;
  /** The general registers are those of this context; false where its hypervisor keeps them in its own memory. */
  readonly generalKnown: boolean;
  /** The VMCS has no place for it: x87, SSE, most MSRs, CR2. */
  readonly othersKnown: boolean;
  /** EPT pointer that its guest-physical addresses go through; null: they are host-physical. */
  readonly eptp: Words64 | null;
  /** EPT tells execution at user-mode linear addresses from that at supervisor-mode ones. */
  readonly modeBasedExecute: boolean;
  /** PDPTEs are in `words`; else PAE paging has to read them from memory. */
  readonly pdptesKnown: boolean;
}

/** A general-register image beside a VMCS image, as recorded at an exit. */
export interface ExitImage {
  readonly vcpu: number;
  readonly level: number;
  readonly vmcs: Int32Array;
  readonly general: Int32Array;
  /** EFER of the guest: the VMCS need not have it. */
  readonly efer: number;
}

type EptOfContext = Pick<Context, 'eptp' | 'modeBasedExecute'>;
const NO_EPT: EptOfContext = { eptp: null, modeBasedExecute: false };

/** EPT of a guest by its VMCS. */
function eptOf(vmcs: Int32Array): EptOfContext {
  const secondary = vmcs[F.PROCESSOR_CONTROLS] & PROC_SECONDARY ? vmcs[F.SECONDARY_CONTROLS] : 0;
  if ((secondary & PROC2_EPT) === 0) return NO_EPT;
  return { eptp: [vmcs[F.EPT_POINTER], vmcs[F.EPT_POINTER + 1]], modeBasedExecute: (secondary & PROC2_MODE_BASED_EXECUTE) !== 0 };
}

/** First of the seven words that hold RFLAGS in their lazy form. */
const LAZY_FLAGS_WORDS = EFLAGS + 1 - FT;

/** RFLAGS of a vCPU, running or not. */
function flagsOf(words: Int32Array): number {
  if (words === R) return getFlags();
  const kept = R.slice(FT, FT + LAZY_FLAGS_WORDS);
  R.set(words.subarray(FT, FT + LAZY_FLAGS_WORDS), FT);
  const flags = getFlags();
  R.set(kept, FT);
  return flags;
}

/**
 * Calls `action` with a vCPU's words in R, as if it were the running one, and puts everything back. For reading what is written to look at R
 * (MSRs); the action must not touch memory through the MMU.
 */
export function withVcpuInR<T>(vcpu: number, action: () => T): T {
  const words = vcpuWords(vcpu), kept = R.slice();
  const budget = R[BUD], stamp = RF64[INHIBIT_AT >> 1];
  if (words !== R) {
    R.set(words);
    R[BUD] = budget;
    RF64[INHIBIT_AT >> 1] = stamp;
  }
  try {
    return action();
  } finally {
    R.set(kept);
  }
}

/** Words that follow from the rest (cpu/modes.ts does the same for the running vCPU). */
function deriveMode(words: Int32Array, rflags: number): void {
  const lma = words[EFER] & EFER_LMA ? 1 : 0;
  words[LMA] = lma;
  words[CODE64] = lma !== 0 && (words[SEG_AR + CS] & AR_L) !== 0 ? 1 : 0;
  words[AMASK] = words[CODE64] !== 0 ? -1 : 0;
  words[CPL] = (words[CR0] & CR0_PE) === 0 ? 0 : rflags & F_VM ? 3 : (words[SEG_AR + SS] >> 5) & 3;
}

function copy64(words: Int32Array, word: number, vmcs: Int32Array, field: number): void {
  words[word] = vmcs[field];
  words[word + 1] = vmcs[field + 1];
}

/** EFER of a guest (SDM 3C 27.3.2.1): what entry does not load from the VMCS stays as it is in the processor. */
function guestEfer(vmcs: Int32Array, now: number): number {
  const entry = vmcs[F.ENTRY_CONTROLS], efer = entry & ENTRY_LOAD_EFER ? vmcs[F.GUEST_EFER] : now;
  return entry & ENTRY_IA32E_GUEST ? efer | EFER_LMA | EFER_LME : efer & ~EFER_LMA;
}

/** The guest's registers as far as its VMCS has them. */
function guestWords(vmcs: Int32Array, efer: number): Int32Array {
  const words = new Int32Array(STATE_BYTES / 4);
  words[CR0] = vmcs[F.GUEST_CR0];
  copy64(words, CR3, vmcs, F.GUEST_CR3);
  words[CR4] = vmcs[F.GUEST_CR4];
  words[EFER] = efer;
  words[DR7] = vmcs[F.GUEST_DR7];
  copy64(words, DEBUGCTL, vmcs, F.GUEST_DEBUGCTL);
  copy64(words, PAT, vmcs, F.GUEST_PAT);
  words[SYSENTER_CS] = vmcs[F.GUEST_SYSENTER_CS];
  copy64(words, SYSENTER_ESP, vmcs, F.GUEST_SYSENTER_ESP);
  copy64(words, SYSENTER_EIP, vmcs, F.GUEST_SYSENTER_EIP);
  for (let s = 0; s < 8; s++) {
    words[SEG_SEL + s] = vmcs[F.GUEST_ES_SELECTOR + 2 * s];
    words[SEG_LIMIT + s] = vmcs[F.GUEST_ES_LIMIT + 2 * s];
    words[SEG_AR + s] = vmcs[F.GUEST_ES_ACCESS_RIGHTS + 2 * s];
    copy64(words, SEG_BASE + 2 * s, vmcs, F.GUEST_ES_BASE + 2 * s);
  }
  words[GDTR_LIMIT] = vmcs[F.GUEST_GDTR_LIMIT];
  words[IDTR_LIMIT] = vmcs[F.GUEST_IDTR_LIMIT];
  copy64(words, GDTR_BASE, vmcs, F.GUEST_GDTR_BASE);
  copy64(words, IDTR_BASE, vmcs, F.GUEST_IDTR_BASE);
  copy64(words, RSP, vmcs, F.GUEST_RSP);
  copy64(words, RIP, vmcs, F.GUEST_RIP);
  words[ACTIVITY] = vmcs[F.GUEST_ACTIVITY];
  words[VMX_MODE] = VMX_NON_ROOT;
  for (let n = 0; n < 8; n++) words[PDPTE + n] = vmcs[F.GUEST_PDPTE0 + n];
  deriveMode(words, vmcs[F.GUEST_RFLAGS]);
  return words;
}

const HOST_CODE_64 = 0xa09b, HOST_CODE_32 = 0xc09b, HOST_DATA = 0xc093, HOST_TSS = 0x8b, UNUSABLE = 0x10000, HOST_RFLAGS = 2;

/** The hypervisor's registers as the next VM exit loads them (SDM 3C 28.5). */
function hostWords(vmcs: Int32Array, now: Int32Array): Int32Array {
  const words = new Int32Array(STATE_BYTES / 4);
  const host64 = (vmcs[F.EXIT_CONTROLS] & EXIT_HOST_64) !== 0;
  words[CR0] = (now[CR0] & CR0_KEPT) | (vmcs[F.HOST_CR0] & ~CR0_KEPT);
  copy64(words, CR3, vmcs, F.HOST_CR3);
  words[CR4] = vmcs[F.HOST_CR4];
  if (vmcs[F.EXIT_CONTROLS] & EXIT_LOAD_EFER) words[EFER] = vmcs[F.HOST_EFER];
  else words[EFER] = host64 ? now[EFER] | EFER_LMA | EFER_LME : now[EFER] & ~(EFER_LMA | EFER_LME);
  words[DR7] = 0x400;
  copy64(words, PAT, vmcs[F.EXIT_CONTROLS] & EXIT_LOAD_PAT ? vmcs : now, vmcs[F.EXIT_CONTROLS] & EXIT_LOAD_PAT ? F.HOST_PAT : PAT);
  words[SYSENTER_CS] = vmcs[F.HOST_SYSENTER_CS];
  copy64(words, SYSENTER_ESP, vmcs, F.HOST_SYSENTER_ESP);
  copy64(words, SYSENTER_EIP, vmcs, F.HOST_SYSENTER_EIP);
  const selectors: [segment: number, field: number, rights: number][] = [
    [ES, F.HOST_ES_SELECTOR, HOST_DATA], [CS, F.HOST_CS_SELECTOR, host64 ? HOST_CODE_64 : HOST_CODE_32], [SS, F.HOST_SS_SELECTOR, HOST_DATA],
    [DS, F.HOST_DS_SELECTOR, HOST_DATA], [FS, F.HOST_FS_SELECTOR, HOST_DATA], [GS, F.HOST_GS_SELECTOR, HOST_DATA], [TR, F.HOST_TR_SELECTOR, HOST_TSS],
  ];
  for (const [s, field, rights] of selectors) {
    words[SEG_SEL + s] = vmcs[field];
    words[SEG_LIMIT + s] = s === TR ? 0x67 : -1;
    words[SEG_AR + s] = vmcs[field] === 0 && s !== CS && s !== TR ? UNUSABLE : rights;
  }
  words[SEG_AR + LDTR] = UNUSABLE;
  copy64(words, SEG_BASE + 2 * FS, vmcs, F.HOST_FS_BASE);
  copy64(words, SEG_BASE + 2 * GS, vmcs, F.HOST_GS_BASE);
  copy64(words, SEG_BASE + 2 * TR, vmcs, F.HOST_TR_BASE);
  copy64(words, GDTR_BASE, vmcs, F.HOST_GDTR_BASE);
  copy64(words, IDTR_BASE, vmcs, F.HOST_IDTR_BASE);
  words[GDTR_LIMIT] = words[IDTR_LIMIT] = 0xffff;
  copy64(words, RIP, vmcs, F.HOST_RIP);
  copy64(words, RSP, vmcs, F.HOST_RSP);
  words[VMX_MODE] = VMX_ROOT;
  deriveMode(words, HOST_RFLAGS);
  return words;
}

function levelOfGuest(id: number): number {
  return allGuests()[id - 1]?.level ?? 2;
}

/** The contexts that a vCPU has at this moment, `now` first. */
export function contextKinds(vcpu: number): ContextKind[] {
  const words = vcpuWords(vcpu);
  if (words[CURRENT_VALID] === 0) return ['now'];
  return ['now', words[VMX_MODE] === VMX_NON_ROOT ? 'host' : 'guest'];
}

/** Level of a context of a vCPU. */
export function levelOfContext(vcpu: number, kind: ContextKind): number {
  const words = vcpuWords(vcpu);
  if (kind === 'host') return 1;
  if (kind === 'guest') return levelOfGuest(vmcsOfVcpu(vcpu)[F.REGION_GUEST]);
  if (vcpu === R[VCPU]) return levelNow();
  return words[VMX_MODE] === VMX_NON_ROOT ? levelOfGuest(words[GUEST_ID]) : 1;
}

/** A context of a vCPU; null if there is none such now. `exitImage`: what was recorded, for kind `exit`. */
export function contextOf(choice: ContextChoice, exitImage: ExitImage | null = null): Context | null {
  const { vcpu, kind } = choice;
  if (kind === 'exit') return exitImage === null ? null : exitContext(exitImage);
  if (vcpu < 0 || vcpu >= vcpuCount() || !contextKinds(vcpu).includes(kind)) return null;
  const now = vcpuWords(vcpu), vmcs = vmcsOfVcpu(vcpu), level = levelOfContext(vcpu, kind);
  if (kind === 'now') {
    return {
      vcpu, kind, level, words: now, rflags: flagsOf(now), generalKnown: true, othersKnown: true,
      ...(now[VMX_MODE] === VMX_NON_ROOT ? eptOf(vmcs) : NO_EPT), pdptesKnown: true,
    };
  }
  if (kind === 'guest') return guestContext(vcpu, kind, level, vmcs, guestEfer(vmcs, now[EFER]));
  return { vcpu, kind, level, words: hostWords(vmcs, now), rflags: HOST_RFLAGS, generalKnown: false, othersKnown: false, ...NO_EPT, pdptesKnown: false };
}

function guestContext(vcpu: number, kind: ContextKind, level: number, vmcs: Int32Array, efer: number): Context {
  const ept = eptOf(vmcs);
  return {
    vcpu, kind, level, words: guestWords(vmcs, efer), rflags: vmcs[F.GUEST_RFLAGS], generalKnown: false, othersKnown: false, ...ept, pdptesKnown: ept.eptp !== null,
  };
}

function exitContext(image: ExitImage): Context {
  const context = guestContext(image.vcpu, 'exit', image.level, image.vmcs, image.efer);
  // RSP is the VMCS's.
  image.general.forEach((value, word) => {
    if (word !== RSP && word !== RSP + 1) context.words[word] = value;
  });
  return { ...context, generalKnown: true };
}

/** Code size of a context in bits. */
export function codeBitsOf(context: Context): 16 | 32 | 64 {
  return context.words[CODE64] !== 0 ? 64 : context.words[SEG_AR + CS] & AR_DB ? 32 : 16;
}

/** Linear address of RIP. */
export function linearRip({ words }: Context): Words64 {
  if (words[CODE64] !== 0) return [words[RIP], words[RIP + 1]];
  return [(words[RIP] + words[SEG_BASE + 2 * CS]) | 0, 0];
}
