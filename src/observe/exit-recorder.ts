/**
 * Records VM exits while somebody looks: a ring buffer in typed arrays, filled by the observers of exit-log.ts. While it is off it costs nothing
 * beyond their comparisons with null; what the counters of guests.ts hold is counted in any case.
 */
import {
  CODE64, CS, EFER, R, RAX, RCX, RDX, SEG_AR, SEG_BASE, VCPU, AR_DB, VMX_MODE, VMX_NON_ROOT,
} from '../cpu/state';
import { instructionCount } from '../cpu/clock';
import { translateLinear } from '../cpu/mmu/inspect';
import { mem8 } from '../cpu/mmu/memory';
import { pageCode } from '../cpu/mmu/physical';
import { VMCS_WORDS } from '../vmx/fields';
import * as F from '../vmx/fields';
import { GUEST_ID } from '../vmx/state';
import { V } from '../vmx/vmcs';
import type { ExitImage } from './contexts';
import { addEntryObserver, addExitObserver, setSwitchObserver } from './exit-log';
import type { ExitFacts } from './exit-text';
import { levelNow } from './guests';

/** Longest instruction. */
const CODE_BYTES = 15;
/** Words kept of each exit, see below. */
const WORDS = 18;
const W_REASON = 0, W_QUALIFICATION = 1, W_RIP = 3, W_INTERRUPTION = 5, W_ERROR = 6, W_VECTORING = 7, W_LINEAR = 8, W_PHYSICAL = 10, W_RAX = 12, W_RCX = 14;
const W_RDX = 15, W_GUEST = 16, W_CS_BASE = 17;
/** General registers beside a VMCS image. */
const GENERAL_WORDS = 32;
/** EFER follows. */
const IMAGE_EFER = VMCS_WORDS + GENERAL_WORDS, IMAGE_WORDS = IMAGE_EFER + 1;
const MOST_VCPUS = 32;

/** Which exits are meant; null: all. */
export interface ExitFilter {
  /** Basic reasons. */
  reasons: readonly number[] | null;
  level: number | null;
  vcpu: number | null;
}

export const EVERY_EXIT: ExitFilter = { reasons: null, level: null, vcpu: null };

/** One recorded exit, as numbers. */
export interface RecordedExit extends ExitFacts {
  /** From 0, in the order of recording. */
  sequence: number;
  /** Instructions retired since power-on, the exiting one included. */
  instructions: number;
  vcpu: number;
  level: number;
  /** Number of the guest (guests.ts). */
  guest: number;
  ripLo: number;
  ripHi: number;
  codeBits: 16 | 32 | 64;
  /** Linear address of offset 0 of the code segment (0 in 64-bit code). */
  csBase: number;
  /** Bytes at RIP; empty if they could not be read. */
  code: Uint8Array;
  /** Instructions that the vCPU executed in root operation before it entered a guest again, the entering one included; NaN before that. */
  hypervisorInstructions: number;
  /** A VMCS image was kept and is still there. */
  hasImage: boolean;
}

export class ExitRecorder {
  readonly capacity: number;
  readonly imageCapacity: number;
  private readonly instructions: Float64Array;
  private readonly hypervisor: Float64Array;
  private readonly words: Int32Array;
  private readonly code: Uint8Array;
  /** Bytes of code 3:0, code size 5:4 (0 = 16, 1 = 32, 2 = 64). */
  private readonly codeInfo: Uint8Array;
  private readonly vcpus: Uint8Array;
  private readonly levels: Uint8Array;
  private readonly images: Int32Array;
  private count = 0;
  /** By vCPU: its last exit if no entry followed yet, else -1; instructions of the vCPU at that moment. */
  private readonly open = new Float64Array(MOST_VCPUS).fill(-1);
  private readonly openSince = new Float64Array(MOST_VCPUS);
  /** By vCPU: instructions executed up to its last suspension; and when the running one was resumed. */
  private readonly ran = new Float64Array(MOST_VCPUS);
  private resumedAt = 0;
  private running = 0;
  private detachers: (() => void)[] = [];

  /** Keeps the last `capacity` exits, and VMCS images of the last `imageCapacity`; both powers of two. */
  constructor(capacity = 1 << 15, imageCapacity = 512) {
    this.capacity = capacity;
    this.imageCapacity = imageCapacity;
    this.instructions = new Float64Array(capacity);
    this.hypervisor = new Float64Array(capacity);
    this.words = new Int32Array(capacity * WORDS);
    this.code = new Uint8Array(capacity * CODE_BYTES);
    this.codeInfo = new Uint8Array(capacity);
    this.vcpus = new Uint8Array(capacity);
    this.levels = new Uint8Array(capacity);
    this.images = new Int32Array(imageCapacity * IMAGE_WORDS);
  }

  get recording(): boolean {
    return this.detachers.length > 0;
  }

  /** Sequence numbers recorded so far: 0 to total - 1. */
  get total(): number {
    return this.count;
  }

  /** Oldest sequence number that is still there. */
  get first(): number {
    return Math.max(0, this.count - this.capacity);
  }

  start(): void {
    if (this.recording) return;
    this.open.fill(-1);
    this.ran.fill(0);
    this.running = R[VCPU];
    this.resumedAt = instructionCount();
    this.detachers = [
      addExitObserver((reason, qualificationLo, ripLo, ripHi) => this.noteExit(reason, qualificationLo, ripLo, ripHi)),
      addEntryObserver(() => this.noteEntry()),
      () => setSwitchObserver(null),
    ];
    setSwitchObserver(() => this.noteSwitch());
  }

  /** Stops recording; what was recorded stays. */
  stop(): void {
    for (const detach of this.detachers) detach();
    this.detachers = [];
  }

  /** Forgets everything. */
  clear(): void {
    this.count = 0;
    this.open.fill(-1);
  }

  // --- Recording ---

  private noteSwitch(): void {
    const now = instructionCount();
    this.ran[this.running] += now - this.resumedAt;
    this.running = R[VCPU];
    this.resumedAt = now;
  }

  /** Instructions that the running vCPU executed since recording began. */
  private ranSoFar(): number {
    return this.ran[this.running] + instructionCount() - this.resumedAt;
  }

  private noteEntry(): void {
    const vcpu = R[VCPU], sequence = this.open[vcpu];
    this.open[vcpu] = -1;
    if (sequence >= this.first) this.hypervisor[sequence & (this.capacity - 1)] = this.ranSoFar() - this.openSince[vcpu];
  }

  private noteExit(reason: number, qualificationLo: number, ripLo: number, ripHi: number): void {
    const slot = this.count & (this.capacity - 1), w = slot * WORDS, words = this.words, vcpu = R[VCPU];
    this.instructions[slot] = instructionCount();
    this.hypervisor[slot] = Number.NaN;
    this.vcpus[slot] = vcpu;
    // An entry that failed never left the hypervisor's level: it is told as one of the guest that was meant.
    this.levels[slot] = reason < 0 ? levelNow() + 1 : levelNow();
    words[w + W_REASON] = reason;
    words[w + W_QUALIFICATION] = qualificationLo;
    words[w + W_QUALIFICATION + 1] = V[F.EXIT_QUALIFICATION + 1];
    words[w + W_RIP] = ripLo;
    words[w + W_RIP + 1] = ripHi;
    words[w + W_INTERRUPTION] = reason < 0 ? 0 : V[F.EXIT_INTERRUPTION_INFO];
    words[w + W_ERROR] = V[F.EXIT_INTERRUPTION_ERROR];
    words[w + W_VECTORING] = reason < 0 ? 0 : V[F.IDT_VECTORING_INFO];
    words[w + W_LINEAR] = V[F.GUEST_LINEAR_ADDRESS];
    words[w + W_LINEAR + 1] = V[F.GUEST_LINEAR_ADDRESS + 1];
    words[w + W_PHYSICAL] = V[F.GUEST_PHYSICAL_ADDRESS];
    words[w + W_PHYSICAL + 1] = V[F.GUEST_PHYSICAL_ADDRESS + 1];
    words[w + W_RAX] = R[RAX];
    words[w + W_RAX + 1] = R[RAX + 1];
    words[w + W_RCX] = R[RCX];
    words[w + W_RDX] = R[RDX];
    words[w + W_GUEST] = reason < 0 ? V[F.REGION_GUEST] : R[GUEST_ID];
    words[w + W_CS_BASE] = R[CODE64] !== 0 ? 0 : R[SEG_BASE + 2 * CS];
    const bits = R[CODE64] !== 0 ? 2 : R[SEG_AR + CS] & AR_DB ? 1 : 0;
    this.codeInfo[slot] = (bits << 4) | (reason < 0 || R[VMX_MODE] !== VMX_NON_ROOT ? 0 : this.copyCode(slot, ripLo, ripHi));
    const image = (this.count & (this.imageCapacity - 1)) * IMAGE_WORDS;
    this.images.set(V, image);
    for (let n = 0; n < GENERAL_WORDS; n++) this.images[image + VMCS_WORDS + n] = R[n];
    this.images[image + IMAGE_EFER] = R[EFER];
    this.open[vcpu] = this.count;
    this.openSince[vcpu] = this.ranSoFar();
    this.count++;
  }

  /** Copies the instruction at RIP while the guest's tables are in force; returns the bytes that could be read. */
  private copyCode(slot: number, ripLo: number, ripHi: number): number {
    const lo = R[CODE64] !== 0 ? ripLo : (ripLo + R[SEG_BASE + 2 * CS]) | 0, hi = R[CODE64] !== 0 ? ripHi : 0;
    const inPage = Math.min(CODE_BYTES, 4096 - (lo & 4095));
    if (!this.copyPart(slot, 0, lo, hi, inPage)) return 0;
    if (inPage === CODE_BYTES) return CODE_BYTES;
    const nextLo = (lo + inPage) | 0;
    return this.copyPart(slot, inPage, nextLo, nextLo === 0 && R[CODE64] !== 0 ? hi + 1 : hi, CODE_BYTES - inPage) ? CODE_BYTES : inPage;
  }

  private copyPart(slot: number, at: number, lo: number, hi: number, bytes: number): boolean {
    const host = translateLinear(lo, hi);
    if (host < 0) return false;
    const code = pageCode(host | 0, Math.floor(host / 0x100000000));
    if (code < 0) return false;
    const from = code * 4096 + (host & 4095);
    for (let n = 0; n < bytes; n++) this.code[slot * CODE_BYTES + at + n] = mem8[from + n];
    return true;
  }

  // --- Reading ---

  /** True if the exit is meant by the filter. */
  private matches(slot: number, filter: ExitFilter): boolean {
    if (filter.level !== null && this.levels[slot] !== filter.level) return false;
    if (filter.vcpu !== null && this.vcpus[slot] !== filter.vcpu) return false;
    return filter.reasons === null || filter.reasons.includes(this.words[slot * WORDS + W_REASON] & 0xffff);
  }

  /** Calls `visit` with the sequence numbers of the exits that match, newest first and below `before`, until it returns false. */
  forEach(filter: ExitFilter, visit: (sequence: number) => boolean, before = Infinity): void {
    for (let sequence = Math.min(this.count, before) - 1; sequence >= this.first; sequence--) {
      if (this.matches(sequence & (this.capacity - 1), filter) && !visit(sequence)) return;
    }
  }

  reasonOf(sequence: number): number {
    return this.words[(sequence & (this.capacity - 1)) * WORDS + W_REASON] & 0xffff;
  }

  instructionsOf(sequence: number): number {
    return this.instructions[sequence & (this.capacity - 1)];
  }

  hypervisorInstructionsOf(sequence: number): number {
    return this.hypervisor[sequence & (this.capacity - 1)];
  }

  levelOf(sequence: number): number {
    return this.levels[sequence & (this.capacity - 1)];
  }

  vcpuOf(sequence: number): number {
    return this.vcpus[sequence & (this.capacity - 1)];
  }

  guestOf(sequence: number): number {
    return this.words[(sequence & (this.capacity - 1)) * WORDS + W_GUEST];
  }

  /** A recorded exit; null if it is not there any more. */
  get(sequence: number): RecordedExit | null {
    if (!(sequence >= this.first && sequence < this.count)) return null;
    const slot = sequence & (this.capacity - 1), w = slot * WORDS, words = this.words;
    const info = this.codeInfo[slot];
    return {
      sequence, instructions: this.instructions[slot], vcpu: this.vcpus[slot], level: this.levels[slot], guest: words[w + W_GUEST], reason: words[w + W_REASON],
      qualificationLo: words[w + W_QUALIFICATION], qualificationHi: words[w + W_QUALIFICATION + 1], ripLo: words[w + W_RIP], ripHi: words[w + W_RIP + 1],
      codeBits: ([16, 32, 64] as const)[info >> 4], csBase: words[w + W_CS_BASE], code: this.code.slice(slot * CODE_BYTES, slot * CODE_BYTES + (info & 15)),
      interruptionInfo: words[w + W_INTERRUPTION], interruptionError: words[w + W_ERROR], vectoringInfo: words[w + W_VECTORING],
      guestLinearLo: words[w + W_LINEAR], guestLinearHi: words[w + W_LINEAR + 1], guestPhysicalLo: words[w + W_PHYSICAL],
      guestPhysicalHi: words[w + W_PHYSICAL + 1], raxLo: words[w + W_RAX], raxHi: words[w + W_RAX + 1], rcxLo: words[w + W_RCX], rdxLo: words[w + W_RDX],
      hypervisorInstructions: this.hypervisor[slot], hasImage: this.count - sequence <= this.imageCapacity,
    };
  }

  /** VMCS and general registers as they were at an exit; null if they were not kept that long. */
  imageOf(sequence: number): ExitImage | null {
    const exit = this.get(sequence);
    if (exit === null || !exit.hasImage) return null;
    const at = (sequence & (this.imageCapacity - 1)) * IMAGE_WORDS;
    return {
      vcpu: exit.vcpu, level: exit.level, vmcs: this.images.slice(at, at + VMCS_WORDS), general: this.images.slice(at + VMCS_WORDS, at + IMAGE_EFER), efer: this.images[at + IMAGE_EFER],
    };
  }

  /** The exit of the same guest before this one; -1 if there is none. */
  previousOfGuest(sequence: number): number {
    const guest = this.guestOf(sequence);
    for (let n = sequence - 1; n >= this.first; n--) if (this.guestOf(n) === guest) return n;
    return -1;
  }
}
