/**
 * Training of the interpreter's switch. V8 compiles the paths of a function that it has seen executed; the first visit to any other throws the
 * optimised code away, and a function this large then runs ten times slower for a long while. So at start every kind of the switch
 * runs a few dozen times on made-up records: registers small, large, equal, random; TLB misses and hits; both branch outcomes.
 *
 * It happens on a CPU that has just been reset, in a state no guest can reach (64-bit code without paging), and leaves no trace: state,
 * RAM and decoded code are put back afterwards.
 */
import {
  R, STATE_BYTES, AR_L, AR_P, AR_S, BUD, CR0, CR0_PE, CS, EFER, EFER_LMA, FRH, FRL, FSH, FSL, FT, FX, IPB, RBP, RSP, SEG_AR, SEG_BASE, TLBB,
} from '../state';
import { C, INFO, MODE_FLAT, MODE_STACK32 } from '../record';
import { FAULT } from '../fault';
import { mem8, memView } from '../mmu/memory';
import { fillData, flushEverything } from '../mmu/tlb';
import { updateMode } from '../modes';
import { blockBytes, initBlocks, setStepping } from './blocks';
import { decode } from './decoder';
import { handlerNumber } from './handlers';
import { HOT_KINDS } from './hot-kinds';
import type { Interpret } from './interpreter';
import { KINDS, kindId } from './kinds';
import { ENTRY_WORDS, REGION_FUNCTIONS } from './regions';
import { JUMP_WORDS } from './semantics/control';
import { decodeBlock } from './translate';

/** Guest RAM that training scribbles on and clears again. */
const AREA = 0x10000, AREA_BYTES = 0x20000;
/** Stack (return addresses) in the lower half, data in the upper. */
const DATA = 0x20000;
/** A HLT for control transfers to land on. */
const TARGET = AREA;
const ROUNDS = 60;
/** Bytes of made-up code to decode. */
const DECODED_BYTES = 0x4000;
const MODE_CODE64 = 2 | MODE_FLAT, MODE_CODE32 = 1 | MODE_FLAT | MODE_STACK32;
/** Where the made-up records are built: far beyond what blocks use at this time. */
const SCRATCH_RECORDS = 1 << 20;
const STOP = SCRATCH_RECORDS + 256;

/** Handlers that change nothing that matters, for generic records: several, so that V8 does not bet on one. */
const HARMLESS = ['clc', 'stc', 'cmc', 'cld', 'lahf', 'sahf', 'cwde', 'cdq'].map((key) => handlerNumber(key));

/** High word of an address that is not canonical. */
const NON_CANONICAL = 0x10000;

const VALUES = [0, 1, -1, 0x7fffffff, -0x80000000, 5, 0x1234, -77, 0x80, 0xff00];

let seed = 1;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  return seed;
}

function fillRegisters(round: number): void {
  for (let n = 0; n < 16; n++) {
    const small = round % 3 === 0;
    R[2 * n] = round < VALUES.length ? VALUES[(round + (n & 1)) % VALUES.length] : random();
    R[2 * n + 1] = small ? R[2 * n] >> 31 : round % 3 === 1 ? 0 : random();
  }
  R[FT] = round % 7 | ((round % 4) << 8);
  R[FX] = random() & 0x8d5;
  R[FRL] = VALUES[(round >> 1) % 4];
  R[FRH] = round & 4 ? R[FRL] : VALUES[round % 3];
  R[FSL] = VALUES[round % 5];
  R[FSH] = round & 8 ? R[FRH] : R[FSL];
  R[RSP] = AREA + 0x8000 + 8 * (round & 63);
  R[RSP + 1] = 0;
}

/** Values that make both outcomes of comparisons with `base` happen as rounds go by. */
function near(base: number, round: number): number {
  return base + [0, 1, -1, 0, 100, -100, 0][round % 7];
}

function shiftCount(name: string, round: number): number {
  if (!name.includes('64')) return 1 + ((round * 7) % 31);
  return round % 5 === 0 ? 32 : 1 + ((round * 7) % 63);
}

function trainKind(id: number, round: number): void {
  const kind = KINDS[id];
  fillRegisters(round);
  // Destination rAX, source rCX (or both alike), base rBX pointing into the data area.
  const d = 0, s = round % 3 === 1 ? 0 : 2, b = 6;
  const immediate = /^(shl|shr|sar|rol|ror)/.test(kind.name) ? shiftCount(kind.name, round) : round % 5 === 0 ? -1 : round & 15;
  const displacement = /m[ri]/.test(kind.name) ? 8 : 0;
  R[b] = DATA + 0x1000 * (1 + (round & 7)) + (round % 9 === 0 ? 4093 - displacement : (56 * round + 8 * id) & 0xff8);
  R[b + 1] = 0;
  if (round % 4 === 1) {
    // The same page at a linear address whose sum with its addend leaves 32 bits.
    R[b] = R[b] | 0x80000000;
    R[RSP] = R[RSP] | 0x80000000;
    R[RBP] = R[RSP];
    R[RBP + 1] = 0;
    for (const lo of [R[b], (R[b] + 4096) | 0, R[RSP]]) fillData(R[TLBB], lo, 0, (lo & 0x7fffffff) >>> 12, true, 0);
  }
  if (round >= VALUES.length) {
    R[d] = near(immediate, round);
    R[d + 1] = R[d] >> 31;
    R[2] = near(R[d], round + 2);
    R[3] = round % 4 === 0 ? R[d + 1] : R[2] >> 31;
  }
  if (displacement !== 0 && round % 3 === 0) {
    // Memory equal to what it is compared with.
    const at = (R[b] & 0x7fffffff) + displacement, isRegister = /mr/.test(kind.name);
    memView.setInt32(at, isRegister ? R[s] : immediate, true);
    memView.setInt32(at + 4, isRegister ? R[s + 1] : immediate >> 31, true);
  }
  if (/^(call|jmp)64r$/.test(kind.name)) {
    R[s] = TARGET;
    R[s + 1] = round % 10 === 0 ? NON_CANONICAL : 0;
  }
  if (kind.name.startsWith('ret64') && round % 10 === 0) memView.setInt32((R[RSP] & 0x7fffffff) + 4, NON_CANONICAL, true);
  const at = SCRATCH_RECORDS;
  C[at - 1] = 1;
  C[at] = id | (d << 10) | (s << 17) | (b << 24);
  for (let word = 1; word < kind.words; word++) C[at + word] = word === 2 && kind.name.startsWith('easeg') ? SEG_BASE + 8 : word === 1 && displacement !== 0 ? displacement : immediate;
  if (kind.name === 'region') C[at] = id | ((round % 5) << 10);
  else if (kind.name === 'generic' || kind.name === 'generic-end') {
    C[at + 5] = HARMLESS[round & 7];
    C[at] = id | (1 << 10);
  } else if (kind.ends && kind.words > JUMP_WORDS) {
    // The last four words of a jump are links and offsets; a missing link is followed to the HLT.
    C[at + kind.words - 4] = round & 1 ? STOP : 0;
    C[at + kind.words - 3] = round & 1 ? STOP : 0;
    C[at + kind.words - 2] = 0;
    C[at + kind.words - 1] = 0;
  }
  const next = at + kind.words;
  C[next] = kindId('jmp');
  C[next + 1] = STOP;
  INFO[at] = 1 << 12;
  R[IPB] = TARGET;
  R[IPB + 1] = 0;
  R[BUD] = 1;
}

// What compilers mostly emit, as opcode bytes: with and without ModRM, immediates and 0F, among them some that end blocks.
const COMMON_OPCODES = [
  0x89, 0x8b, 0x89, 0x8b, 0x01, 0x03, 0x29, 0x2b, 0x31, 0x33, 0x39, 0x3b, 0x85, 0x84, 0x88, 0x8a, 0x21, 0x23, 0x09, 0x0b, 0x8d, 0x8d, 0x63, 0x83, 0x83, 0x81, 0xc1, 0xd1, 0xd3, 0xc7,
  0xc6, 0xff, 0xf7, 0xf6, 0x80, 0x50, 0x53, 0x55, 0x58, 0x5b, 0x5d, 0xb8, 0xba, 0xe8, 0xe9, 0xeb, 0x74, 0x75, 0x72, 0x7f, 0xc3, 0xa8, 0x3c, 0x05, 0x90, 0x98, 0xc9, 0xa4, 0xaa,
  0x0fb6, 0x0fb7, 0x0fbe, 0x0faf, 0x0f1f, 0x0f84, 0x0f85, 0x0f87, 0x0f94, 0x0f44, 0x0fa3, 0x0fc8, 0x0f10, 0x0f11, 0x0f28, 0x0f6f, 0x0f05, 0x0f01,
];

/** Made-up code, decoded into blocks: V8 has the decoder optimised before the first instruction of a guest. */
function trainDecoder(mode: number): void {
  let at = AREA;
  for (const end = AREA + DECODED_BYTES; at < end;) {
    const opcode = COMMON_OPCODES[(random() >>> 8) % COMMON_OPCODES.length], kind = (random() >>> 20) & 15;
    let to = at;
    if (kind === 0) mem8[to++] = 0x66;
    else if (kind === 1) mem8[to++] = 0x65;
    if (mode === MODE_CODE64 && kind & 8) mem8[to++] = 0x48 | (kind & 7);
    if (opcode > 255) mem8[to++] = 0x0f;
    mem8[to++] = opcode;
    for (let n = 0; n < 12; n++) mem8[to + n] = random() >>> 13;
    // Cut off at the end of a page, now and then.
    decode(mem8, at, at + 1 + (random() >>> 29), mode);
    const length = decode(mem8, at, at + 24, mode);
    at += length > 0 ? length : 0;
  }
  for (let start = AREA; start < at;) start += Math.max(1, blockBytes(decodeBlock(start, mode)));
}

/** Trains `interpret` and the decoder; the CPU must have been reset, and the code cache be empty. */
export function train(interpret: Interpret): void {
  const saved = R.slice(0, STATE_BYTES / 4);
  R[CR0] = CR0_PE;
  R[EFER] = EFER_LMA;
  R[SEG_AR + CS] = AR_L | AR_P | AR_S | 0xb;
  R[SEG_AR + 2] = AR_P | AR_S | 3;
  flushEverything();
  updateMode();
  setStepping(false);
  C[STOP - 1] = 0x7fffffff;
  C[STOP - 2] = 0;
  INFO[STOP] = 1 << 12;
  // A few kinds outside the switch train its default case.
  // A region goes on with a block, at the end of the budget, at a record, or at its own first record.
  const after = SCRATCH_RECORDS + 1;
  // Functions of different making, lest V8 bet on one.
  REGION_FUNCTIONS.push(() => STOP, () => 0, () => -after, () => -SCRATCH_RECORDS, () => 0 - SCRATCH_RECORDS);

  const ids = [...HOT_KINDS, 'rol8ri', 'adc16rr', 'xor16mr', 'bswap64', 'jnp', 'jo', 'jp'].map(kindId);
  for (let round = 0; round < ROUNDS; round++) {
    for (let at = AREA; at < DATA; at += 8) {
      memView.setInt32(at, TARGET, true);
      memView.setInt32(at + 4, 0, true);
    }
    const value = near(round & 15, round >> 1);
    for (let at = DATA; at < AREA + AREA_BYTES; at += 4) memView.setInt32(at, near(value, at >> 3), true);
    mem8[TARGET] = 0xf4;
    ENTRY_WORDS[3] = kindId(['next', 'jmp', 'jne'][round % 3]);
    ENTRY_WORDS[4] = kindId(['mov64rr', 'mov32rr', 'xor32rr'][round % 3]);
    for (const id of ids) {
      if (round % 6 === 0) flushEverything();
      trainKind(id, round);
      try {
        interpret(SCRATCH_RECORDS);
      } catch (thrown) {
        if (thrown !== FAULT) throw thrown;
      }
    }
  }
  initBlocks(mem8.length);
  for (const mode of [MODE_CODE64, MODE_CODE32, MODE_CODE64]) trainDecoder(mode);
  mem8.fill(0, AREA, AREA + AREA_BYTES);
  INFO.fill(0, SCRATCH_RECORDS - 8, STOP + 8);
  R.set(saved);
  flushEverything();
  initBlocks(mem8.length);
}
