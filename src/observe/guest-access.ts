/**
 * What a guest's instruction that left with an EPT violation or misconfiguration reads from and writes to device memory, worked out from the instruction and the registers:
 * MOV, MOVNTI, XCHG, the two-operand arithmetic and logic that modifies memory, INC, DEC, NOT, NEG, and the string instructions with all their elements.
 * The hypervisor will carry the same accesses out.
 *
 * A string is taken to lie contiguous in guest-physical memory from its first element on. Left out: SSE and x87 accesses, PUSH and POP.
 */
import { R, CODE64, CS, EFLAGS, ES, F_DF, F_CF, RAX, RCX, RDI, RIP, RSI, SEG_AR, SEG_BASE, AR_DB } from '../cpu/state';
import { D, D_ADSIZE, D_IMM, D_OPSIZE, D_REG, D_REPEAT, D_REX, D_ROW, D_SEGMENT, decode } from '../cpu/engine/decoder';
import { ALL_ROWS } from '../cpu/opcodes/table';
import type { OpcodeRow } from '../cpu/opcodes/table';
import { getFlags } from '../cpu/flags';
import { linearToGuestPhysical } from '../cpu/mmu/inspect';
import { peekLinear, peekLinearValue } from './guest-memory';

/** Takes the accesses, by guest-physical address; sizes are 1, 2 or 4. */
export interface AccessSink {
  /** The device has memory or registers there. */
  has(guestPhysical: number): boolean;
  read(guestPhysical: number, size: number): number;
  write(guestPhysical: number, size: number, value: number): void;
}

/** Longest instruction. */
const LONGEST = 15;
/** Elements of one string instruction that are looked at. */
const MOST_ELEMENTS = 65536;
const FS = 4;

/** A string instruction last seen, to know its continuation after the hypervisor did a part of it. */
interface StringProgress {
  ripLo: number;
  ripHi: number;
  end: number;
  count: number;
}

export class GuestAccess {
  private readonly sink: AccessSink;
  private readonly code = new Uint8Array(LONGEST);
  private before: StringProgress | null = null;

  constructor(sink: AccessSink) {
    this.sink = sink;
  }

  /** The instruction at RIP touches `guestPhysical`. (Misconfigurations do not tell the linear address.) */
  replay(guestPhysical: number): void {
    const base = R[CODE64] ? 0 : R[SEG_BASE + 2 * CS];
    for (let n = 0; n < LONGEST; n++) this.code[n] = peekLinear((base + R[RIP]) | 0, R[CODE64] ? R[RIP + 1] : 0, n);
    const codeSize = R[CODE64] ? 2 : R[SEG_AR + CS] & AR_DB ? 1 : 0;
    if (decode(this.code, 0, LONGEST, codeSize) <= 0) return;
    const row = ALL_ROWS[D[D_ROW]];
    const first = row.operands[0] ?? '';
    const bytes = accessBytes(row);
    switch (row.mnemonic) {
      case 'movs': return this.moves(bytes);
      case 'stos': return this.stores(guestPhysical, bytes);
      case 'lods':
      case 'scas':
      case 'cmps': this.load(guestPhysical, bytes); return;
      case 'cmp':
      case 'test':
      case 'bt': this.load(guestPhysical, bytes); return;
      default: {
        const writes = /^[EMO]/.test(first);
        if (!writes) this.load(guestPhysical, bytes);
        else this.modify(row, guestPhysical, bytes);
      }
    }
    this.before = null;
  }

  private load(guestPhysical: number, bytes: number): number {
    const size = Math.min(bytes, 4);
    const value = this.sink.read(guestPhysical, size);
    if (bytes === 8) this.sink.read(guestPhysical + 4, 4);
    return value;
  }

  private store(guestPhysical: number, bytes: number, lo: number, hi: number): void {
    this.sink.write(guestPhysical, Math.min(bytes, 4), lo);
    if (bytes === 8) this.sink.write(guestPhysical + 4, 4, hi);
  }

  /** An instruction whose destination is memory. */
  private modify(row: OpcodeRow, guestPhysical: number, bytes: number): void {
    const [lo, hi] = this.sourceValue(row, bytes);
    if (row.mnemonic === 'mov' || row.mnemonic === 'movnti') {
      this.store(guestPhysical, bytes, lo, hi);
      return;
    }
    // Device memory is not modified 8 bytes at a time.
    const old = this.load(guestPhysical, bytes);
    const carry = getFlags() & F_CF;
    let value: number;
    switch (row.mnemonic) {
      case 'xchg': value = lo; break;
      case 'and': value = old & lo; break;
      case 'or': value = old | lo; break;
      case 'xor': value = old ^ lo; break;
      case 'add': value = old + lo; break;
      case 'adc': value = old + lo + carry; break;
      case 'sub': value = old - lo; break;
      case 'sbb': value = old - lo - carry; break;
      case 'inc': value = old + 1; break;
      case 'dec': value = old - 1; break;
      case 'not': value = ~old; break;
      case 'neg': value = -old; break;
      default: return;
    }
    this.store(guestPhysical, bytes, value, 0);
  }

  /** The register or immediate that is the second operand. */
  private sourceValue(row: OpcodeRow, bytes: number): readonly [number, number] {
    const second = row.operands[1] ?? '';
    if (second.startsWith('G')) return bytes === 1 ? [byteRegister(D[D_REG]), 0] : [R[RAX + 2 * D[D_REG]], R[RAX + 2 * D[D_REG] + 1]];
    if (second.startsWith('I') || second.startsWith('sI')) return [D[D_IMM], D[D_IMM] >> 31];
    return [R[RAX], R[RAX + 1]];
  }

  private stores(guestPhysical: number, bytes: number): void {
    const count = elements();
    const step = (R[EFLAGS] & F_DF) !== 0 ? -bytes : bytes;
    for (let n = 0; n < count; n++) {
      if (!this.sink.has(guestPhysical + n * step)) break;
      this.store(guestPhysical + n * step, bytes, R[RAX], R[RAX + 1]);
    }
    this.before = null;
  }

  private moves(bytes: number): void {
    const count = elements();
    const step = (R[EFLAGS] & F_DF) !== 0 ? -bytes : bytes;
    const toLo = stringLinear(ES, RDI), fromLo = stringLinear(D[D_SEGMENT], RSI);
    const toHi = R[CODE64] ? R[RDI + 1] : 0, fromHi = R[CODE64] ? R[RSI + 1] : 0;
    const to = linearToGuestPhysical(toLo, toHi), from = linearToGuestPhysical(fromLo, fromHi);
    const toDevice = to >= 0 && this.sink.has(to), fromDevice = from >= 0 && this.sink.has(from);
    if (fromDevice && toDevice && this.continues(toLo + count * step, count)) return;
    for (let n = 0; n < count; n++) {
      const offset = n * step;
      for (let part = 0; part < bytes; part += 4) {
        const size = Math.min(4, bytes - part);
        const value = fromDevice ? this.sink.read(from + offset + part, size) : peekLinearValue(fromLo, fromHi, offset + part, size);
        if (toDevice && this.sink.has(to + offset)) this.sink.write(to + offset + part, size, value);
      }
    }
  }

  /** True if all elements were taken at an earlier exit of the same instruction: a move within the device must not be done twice. */
  private continues(end: number, count: number): boolean {
    const before = this.before;
    this.before = { ripLo: R[RIP], ripHi: R[RIP + 1], end, count };
    return before !== null && before.ripLo === R[RIP] && before.ripHi === R[RIP + 1] && before.end === end && count < before.count;
  }
}

/** Elements that the instruction has left to do. */
function elements(): number {
  if (D[D_REPEAT] === 0) return 1;
  if (D[D_ADSIZE] === 0) return R[RCX] & 0xffff;
  return D[D_ADSIZE] === 2 && R[RCX + 1] !== 0 ? MOST_ELEMENTS : Math.min(R[RCX] >>> 0, MOST_ELEMENTS);
}

/** Low word of the linear address of a string operand. */
function stringLinear(segment: number, register: number): number {
  const offset = D[D_ADSIZE] === 0 ? R[register] & 0xffff : R[register];
  const based = !R[CODE64] || segment >= FS;
  return based ? (R[SEG_BASE + 2 * segment] + offset) | 0 : offset;
}

/** Bytes of the memory operand. */
function accessBytes(row: OpcodeRow): number {
  const memory = row.operands.find((operand) => /^[EMOXY]/.test(operand)) ?? '';
  if (memory.endsWith('b')) return 1;
  if (memory.endsWith('w')) return 2;
  if (memory.endsWith('d')) return 4;
  return memory.endsWith('y') && D[D_OPSIZE] === 0 ? 4 : 2 << D[D_OPSIZE];
}

/** Byte register n: AH to BH are 4 to 7 without REX. */
function byteRegister(n: number): number {
  const high = D[D_REX] === 0 && n >= 4;
  return (R[RAX + 2 * (high ? n - 4 : n)] >> (high ? 8 : 0)) & 0xff;
}
