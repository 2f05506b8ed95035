/**
 * Everything that a guest can see of its machine at an instruction boundary, as numbers that two runs can compare: processors (registers with the
 * flags worked out, VMX state and current VMCS), memory, and, handed in by whoever has them, devices. Looking changes nothing.
 *
 * Which state words belong to it is said beside the words (ARCHITECTURAL_WORDS in src/cpu/state.ts and src/vmx/state.ts). Left out is what the engine
 * keeps for itself: TLB, decoded code, links, lazy flags, stamps whose meaning is part of something else here.
 */
import { clockNow, instructionCount } from '../cpu/clock';
import { getFlags } from '../cpu/flags';
import { mem32, ramPages } from '../cpu/mmu/memory';
import {
  ARCHITECTURAL_WORDS, EFLAGS, F_RF, FT, INHIBIT, INHIBIT_AT, R, RF_AT, SIG_ATTENTION, SIGNALS, VCPU,
} from '../cpu/state';
import type { WordRun } from '../cpu/state';
import { vcpuCount, vcpuDoubles, vcpuWords } from '../cpu/vcpus';
import { REGION_GUEST, VMCS_FIELDS, VMCS_WORDS } from '../vmx/fields';
import { ARCHITECTURAL_VMX_WORDS, CURRENT_VALID } from '../vmx/state';
import { vmcsOfVcpu } from '../vmx/vcpu';

/** A value with a name; hexadecimal digits, as wide as the value. */
export type NamedValue = [name: string, value: string];

const RUNS: readonly WordRun[] = [...ARCHITECTURAL_WORDS, ...ARCHITECTURAL_VMX_WORDS];
const PAGE_WORDS = 1024;
/** FNV-1a, 32 bits, over words instead of bytes. */
const HASH_START = 0x811c9dc5 | 0, HASH_FACTOR = 0x01000193;

/** Without a machine around it there is the one processor in R. */
function processors(): number {
  return Math.max(1, vcpuCount());
}

/** RFLAGS of a vCPU, running or not. RF holds only at the boundary for which it is noted. */
function flagsOf(words: Int32Array, running: boolean, doubles: Float64Array): number {
  if (running) return doubles[RF_AT >> 1] === instructionCount() ? getFlags() : getFlags() & ~F_RF;
  // The lazy flags are worked out in R: lend it those of this vCPU.
  const saved = R.slice(FT, EFLAGS + 1);
  R.set(words.subarray(FT, EFLAGS + 1), FT);
  const flags = getFlags();
  R.set(saved, FT);
  return flags;
}

/** The values that are not a word as it stands, in the order of COMPUTED_NAMES. */
function computedOf(vcpu: number): [flags: number, shadow: number, signals: number] {
  const words = vcpuWords(vcpu), doubles = vcpuDoubles(vcpu), running = vcpu === R[VCPU];
  // For a vCPU that waits its turn, the shadow was judged when it was suspended.
  const shadow = !running || doubles[INHIBIT_AT >> 1] === clockNow() ? words[INHIBIT] : 0;
  // SIG_ATTENTION asks the run loop to look at what is here anyway.
  return [flagsOf(words, running, doubles), shadow, words[SIGNALS] & ~SIG_ATTENTION];
}

const COMPUTED_NAMES = ['rflags', 'interrupt shadow', 'signals'] as const;

function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, HASH_FACTOR);
  return mixed ^ (mixed >>> 15);
}

/** Hash of all processors. */
export function hashProcessors(): number {
  let hash = HASH_START;
  for (let vcpu = 0; vcpu < processors(); vcpu++) {
    const words = vcpuWords(vcpu);
    for (const { at, words: size, count } of RUNS) for (let w = at; w < at + size * count; w++) hash = mix(hash, words[w]);
    for (const value of computedOf(vcpu)) hash = mix(hash, value);
    if (words[CURRENT_VALID] === 0) continue;
    const fields = vmcsOfVcpu(vcpu);
    for (let w = 0; w < VMCS_WORDS; w++) if (w !== REGION_GUEST) hash = mix(hash, fields[w]);
  }
  return hash;
}

function digits(words: Int32Array, at: number, size: number): string {
  let text = '';
  for (let w = size - 1; w >= 0; w--) text += (words[at + w] >>> 0).toString(16).padStart(8, '0');
  return text;
}

/** The same state in words that people know. With several vCPUs, names say which. */
export function processorValues(): NamedValue[] {
  const values: NamedValue[] = [];
  for (let vcpu = 0; vcpu < processors(); vcpu++) {
    const words = vcpuWords(vcpu);
    const add = (name: string, value: string): number => values.push([processors() > 1 ? `vcpu ${vcpu}: ${name}` : name, value]);
    for (const { name, at, words: size, count } of RUNS) {
      for (let n = 0; n < count; n++) add(count === 1 ? name : name + n, digits(words, at + n * size, size));
    }
    computedOf(vcpu).forEach((value, n) => add(COMPUTED_NAMES[n], (value >>> 0).toString(16).padStart(8, '0')));
    if (words[CURRENT_VALID] === 0) continue;
    const fields = vmcsOfVcpu(vcpu);
    // The first slots are the region's own words.
    for (let w = 0; w < 4; w++) if (w !== REGION_GUEST) add(`vmcs header word ${w}`, digits(fields, w, 1));
    for (const { name, word } of VMCS_FIELDS) add(`vmcs ${name}`, digits(fields, word, 2));
  }
  return values;
}

/** Hash of plain data, as devices save it. */
export function hashText(text: string): number {
  let hash = HASH_START;
  for (let n = 0; n < text.length; n++) hash = mix(hash, text.charCodeAt(n));
  return hash;
}

/** Hash of the words [from, to) of memory. Four independent chains, since one alone waits for its multiplications. */
function hashWords(from: number, to: number): number {
  let a = HASH_START, b = 1, c = 2, d = 3;
  for (let w = from; w < to; w += 4) {
    a = Math.imul(a ^ mem32[w], HASH_FACTOR);
    b = Math.imul(b ^ mem32[w + 1], HASH_FACTOR);
    c = Math.imul(c ^ mem32[w + 2], HASH_FACTOR);
    d = Math.imul(d ^ mem32[w + 3], HASH_FACTOR);
    // Products pass nothing downwards: without turning, high bits would reach nothing but high bits, and cancel.
    a = (a << 13) | (a >>> 19);
    b = (b << 13) | (b >>> 19);
    c = (c << 13) | (c >>> 19);
    d = (d << 13) | (d >>> 19);
  }
  return mix(mix(mix(a, b), c), d);
}

/** Hash of `pages` pages of RAM from page `first`, as far as there is RAM. */
export function hashMemory(first: number, pages: number): number {
  return hashWords(first * PAGE_WORDS, Math.min(first + pages, ramPages) * PAGE_WORDS);
}

/** Hash of each page of RAM. */
export function pageHashes(): Int32Array {
  const hashes = new Int32Array(ramPages);
  for (let page = 0; page < ramPages; page++) hashes[page] = hashMemory(page, 1);
  return hashes;
}

/** Contents of a page of RAM. */
export function pageWords(page: number): Int32Array {
  return mem32.slice(page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
}
