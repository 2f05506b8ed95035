/** Memory and code of a context for people. Reads memory only: device registers are left alone, and nothing changes. */
import { CODE64 } from '../cpu/state';
import { disassemble } from '../cpu/disassembler';
import type { CodeBits } from '../cpu/disassembler';
import { mem8 } from '../cpu/mmu/memory';
import { pageCode } from '../cpu/mmu/physical';
import { translateGuestPhysicalQuietly } from '../cpu/mmu/inspect';
import { codeBitsOf, linearRip } from './contexts';
import type { Context } from './contexts';
import { codeBase } from './cpu-view';
import { addWords, hex, hex64 } from './hex';
import type { Words64 } from './hex';
import { PageWalker } from './page-walk';

export type AddressSpace = 'linear' | 'guestPhysical' | 'hostPhysical';

const TWO_32 = 0x100000000;
/** Where there is no memory that can be shown. */
export const NO_BYTE = -1;

/** Host-physical address (double) of an address of a context; -1 where nothing is mapped. Access rights are ignored. */
export function hostAddress(context: Context, space: AddressSpace, lo: number, hi: number): number {
  if (space === 'hostPhysical') return (lo >>> 0) + (hi >>> 0) * TWO_32;
  if (space === 'guestPhysical') {
    const { eptp } = context;
    return eptp === null ? (lo >>> 0) + (hi >>> 0) * TWO_32 : translateGuestPhysicalQuietly(eptp[0], eptp[1], lo, hi);
  }
  // A user page is read as a user does, so that SMAP is no obstacle.
  for (const user of [false, true]) {
    const { hostPhysical } = new PageWalker(context, 'read', user).walk(lo, hi);
    if (hostPhysical !== null) return Number.parseInt(hostPhysical, 16);
  }
  return -1;
}

/** Bytes from an address on; NO_BYTE where there is no memory. */
export function readMemory(context: Context, space: AddressSpace, lo: number, hi: number, length: number): Int16Array {
  const bytes = new Int16Array(length).fill(NO_BYTE);
  for (let done = 0; done < length;) {
    const [atLo, atHi] = addWords(lo, hi, done);
    const n = Math.min(length - done, 4096 - (atLo & 4095));
    const host = hostAddress(context, space, atLo, atHi);
    const code = host < 0 ? -1 : pageCode(host | 0, Math.floor(host / TWO_32));
    if (code >= 0) for (let k = 0; k < n; k++) bytes[done + k] = mem8[code * 4096 + (host & 4095) + k];
    done += n;
  }
  return bytes;
}

export interface CodeLine {
  /** Linear address, 16 digits. */
  linear: string;
  /** Bytes in hexadecimal, without spaces. */
  bytes: string;
  /** Empty where nothing can be read. */
  text: string;
  /** RIP is here. */
  current: boolean;
  /** Linear address of a branch target or RIP-relative operand, 16 digits. */
  target: string | null;
}

export interface CodeView {
  bits: CodeBits;
  lines: CodeLine[];
}

/** Longest instruction. */
const LONGEST = 15;

/** Address as the disassembler wants it: offset in the code segment. */
function offsetOf(context: Context, [lo, hi]: Words64): bigint {
  if (context.words[CODE64] !== 0) return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return BigInt((lo - codeBase(context.words)) >>> 0);
}

function linearOfOffset(context: Context, offset: bigint): string {
  if (context.words[CODE64] !== 0) return offset.toString(16).padStart(16, '0');
  return hex64((Number(offset & 0xffffffffn) + codeBase(context.words)) | 0, 0);
}

/** Bytes up to the first that cannot be read. */
function readable(bytes: Int16Array): Uint8Array {
  const end = bytes.indexOf(NO_BYTE);
  return Uint8Array.from(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Addresses outside 64-bit code have 32 bits. */
function advance(context: Context, [lo, hi]: Words64, bytes: number): Words64 {
  const [nextLo, nextHi] = addWords(lo, hi, bytes);
  return [nextLo, context.words[CODE64] !== 0 ? nextHi : 0];
}

function linesFrom(context: Context, from: Words64, count: number, bits: CodeBits, rip: Words64): CodeLine[] {
  const lines: CodeLine[] = [];
  const bytes = readMemory(context, 'linear', from[0], from[1], count * LONGEST);
  let done = 0;
  for (let n = 0; n < count; n++) {
    const at = advance(context, from, done);
    const code = readable(bytes.subarray(done, done + LONGEST));
    const current = at[0] === rip[0] && at[1] === rip[1];
    if (code.length === 0) {
      lines.push({ linear: hex64(...at), bytes: '', text: '', current, target: null });
      break;
    }
    const decoded = disassemble(code, 0, offsetOf(context, at), bits);
    lines.push({
      linear: hex64(...at), bytes: [...code.subarray(0, decoded.length)].map((byte) => hex(byte, 2)).join(''), text: decoded.text, current,
      target: decoded.target === undefined ? null : linearOfOffset(context, decoded.target),
    });
    done += decoded.length;
  }
  return lines;
}

/** Start of the instructions before an address: instructions have no marks, so the longest run that ends exactly there is taken. */
function startBefore(context: Context, at: Words64, count: number, bits: CodeBits): { start: Words64; lines: number } {
  const reach = Math.min(count * 8, 200);
  const from = advance(context, at, -reach);
  const bytes = readMemory(context, 'linear', from[0], from[1], reach);
  // Whole instructions from each place to the address, by dynamic programming from the end; -1: there is no such run.
  const runs = new Int16Array(reach + 1).fill(-1), next = new Int16Array(reach + 1);
  runs[reach] = 0;
  for (let n = reach - 1; n >= 0; n--) {
    const code = readable(bytes.subarray(n, Math.min(n + LONGEST, reach)));
    if (code.length === 0) continue;
    const { length, valid } = disassemble(code, 0, 0n, bits);
    if (!valid || runs[n + length] < 0) continue;
    runs[n] = runs[n + length] + 1;
    next[n] = n + length;
  }
  // The earliest place with a run; later places may be in the middle of one of its instructions.
  let place = runs.findIndex((run) => run > 0);
  if (place < 0) return { start: at, lines: 0 };
  while (runs[place] > count) place = next[place];
  return { start: advance(context, from, place), lines: runs[place] };
}

/** Disassembles around a linear address, or RIP if null, at the context's code size or `bits`. */
export function viewCode(context: Context, at: Words64 | null, before: number, after: number, bits: CodeBits | null = null): CodeView {
  const size = bits ?? codeBitsOf(context);
  const rip = linearRip(context), anchor = at ?? rip;
  const { start, lines } = before > 0 ? startBefore(context, anchor, before, size) : { start: anchor, lines: 0 };
  return { bits: size, lines: linesFrom(context, start, lines + after, size, rip) };
}
