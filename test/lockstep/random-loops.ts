/**
 * The JIT against the interpreter on random code that runs in a loop. A program is a ring of the random user-mode sequences that the comparison with
 * the host uses (test/host): the end of each jumps to the next one, the last to the first. It is run twice in the same machine, interpreted
 * and with its code compiled as soon as it has run a little; both runs are stopped at the same awkward cycles and everything a guest can see is
 * compared there. Exceptions lead to the next sequence's start with its registers; a timer interrupts at random cycles and returns.
 */
import { instructionCount, clockNow, endSliceNow, resetClock } from '../../src/cpu/clock';
import { differentValues } from '../../src/cli/lockstep/narrow';
import type { Disagreement } from '../../src/cli/lockstep/pair';
import type { TracedInstruction } from '../../src/cli/lockstep/protocol';
import { differenceReport } from '../../src/cli/lockstep/report';
import { nextInstruction } from '../../src/cli/trace';
import { resetVmx } from '../../src/vmx/vcpu';
import { attachPlatform, platform } from '../../src/cpu/platform';
import { mem32, mem8 } from '../../src/cpu/mmu/memory';
import { runSlice, useSecondTier } from '../../src/cpu/run';
import { ACTIVITY, CPL, R, SIGNALS, SIG_INTR } from '../../src/cpu/state';
import { hashMemory, hashProcessors, processorValues } from '../../src/observe/state-digest';
import type { NamedValue } from '../../src/observe/state-digest';
import { CaseGenerator } from '../host/random-instructions';
import { Rng, putStatePage, putVector } from '../host/random-values';
import { applyPatches, createUserCpu, loadState, placeCode, setPattern } from '../host/user-cpu';
import { HANDLERS_AT, POOL, SYSTEM_PAGES, SYSTEM_PAGE_COUNT, TABLES, TABLES_END } from '../host/user-tables';
import { CASE_BYTES, CASE_CODE, CASE_CODE_LENGTH, CASE_CODE_OFFSET, CASE_TARGET, PAGE, PATTERN_PAGES, POOL_PAGES, STATE_PAGE, layoutOf } from '../host/user-layout';
import type { Bits } from '../host/user-layout';
import { compiledCode, touchCode } from './hot';

/** Sequences in a ring, at most. */
const MAX_SEQUENCES = 5;
/** Cycles of a program, and boundaries from which on code is compiled. */
const PROGRAM_CYCLES = 3000, WARM_BOUNDARIES = 6;
/** Cycles of a program that is left to the JIT's own judgement of what is hot, and how much rarer boundaries and timer interrupts are in it. */
const LONG_CYCLES = 2_000_000, LONG_FACTOR = 1000;
/** The timer's vector: its handler, the last one, is an IRET. */
const TIMER_VECTOR = 255;
/** All memory that a program or the processor on its behalf may write, in pages. */
const WRITTEN: readonly [first: number, pages: number][] = [
  [TABLES / PAGE, (TABLES_END - TABLES) / PAGE], [SYSTEM_PAGES / PAGE, SYSTEM_PAGE_COUNT], [POOL / PAGE, POOL_PAGES],
];
const TRACED = 30;

export type Engine = 'interpreter' | 'jit';

/** Called after each slice; a test may damage one engine's machine. */
export type Sabotage = (engine: Engine, cycles: number) => void;

interface Program {
  bits: Bits;
  legacy: boolean;
  cases: Uint8Array<ArrayBuffer>;
  sequences: number;
  pattern: Uint8Array<ArrayBuffer>;
  /** Cycles at which the timer fires, ascending. */
  ticks: number[];
  /** Slice lengths. */
  slices: number[];
  /** Not compiled by force. */
  long: boolean;
}

function makePattern(rng: Rng): Uint8Array<ArrayBuffer> {
  const pattern = new Uint8Array(PATTERN_PAGES * PAGE), view = new DataView(pattern.buffer);
  for (let at = 0; at < pattern.length; at += 16) putVector(rng, view, at);
  putStatePage(rng, view, STATE_PAGE * PAGE);
  pattern.fill(0xcc, (PATTERN_PAGES - 1) * PAGE);
  return pattern;
}

/** Cycles between events: mostly few, so that they hit the middle of blocks, sometimes many, so that loops run undisturbed. */
function interval(rng: Rng): number {
  return rng.chance(40) ? 1 + rng.below(20) : 1 + rng.below(400);
}

/** Program `index` of a seed; `longPercent`: how many are long ones. */
function makeProgram(bits: Bits, seed: number, index: number, longPercent: number): Program {
  const rng = new Rng().start(seed, index), generator = new CaseGenerator(layoutOf(bits));
  const cases = new Uint8Array(MAX_SEQUENCES * CASE_BYTES), view = new DataView(cases.buffer);
  const wanted = 1 + rng.below(MAX_SEQUENCES), taken: [number, number][] = [];
  let sequences = 0;
  const ends: number[] = [];
  for (let tries = 0; sequences < wanted && tries < 4 * wanted; tries++) {
    const at = sequences * CASE_BYTES;
    const plan = generator.make(rng, cases, at, tries);
    const from = view.getUint32(at + CASE_CODE_OFFSET, true), length = view.getUint32(at + CASE_CODE_LENGTH, true);
    if (taken.some(([start, end]) => from < end && from + length > start)) continue;
    taken.push([from, from + length]);
    ends.push(plan.starts[plan.starts.length - 1]);
    sequences++;
  }
  const entry = (n: number): number => Number(view.getBigUint64(n * CASE_BYTES + CASE_TARGET, true));
  for (let n = 0; n < sequences; n++) {
    // jmp to the next, in place of the way out.
    const at = n * CASE_BYTES + CASE_CODE + ends[n], size = bits === 16 ? 2 : 4;
    const distance = entry((n + 1) % sequences) - (entry(n) + ends[n] + 1 + size);
    view.setUint8(at, 0xe9);
    if (size === 2) view.setInt16(at + 1, distance, true);
    else view.setInt32(at + 1, distance, true);
  }
  const legacy = bits !== 64 && rng.chance(50), pattern = makePattern(rng), ticked = rng.chance(70);
  const long = rng.chance(longPercent), factor = long ? LONG_FACTOR : 1, total = long ? LONG_CYCLES : PROGRAM_CYCLES;
  const ticks: number[] = [], slices: number[] = [];
  if (ticked) for (let cycle = factor * interval(rng); cycle < total; cycle += factor * interval(rng)) ticks.push(cycle + rng.below(factor));
  for (let cycle = 0; cycle < total;) {
    const slice = factor * interval(rng) + rng.below(factor);
    slices.push(slice);
    cycle += slice;
  }
  return { bits, legacy, cases, sequences, pattern, ticks, slices, long };
}

/** The machine with a program in it, executed by one engine. */
class Execution {
  private readonly program: Program;
  private readonly engine: Engine;
  private readonly sabotage: Sabotage | undefined;
  private readonly words: Int32Array;
  private boundary = 0;
  private entered = 0;
  private tick = 0;

  constructor(program: Program, engine: Engine, sabotage?: Sabotage) {
    this.program = program;
    this.engine = engine;
    this.sabotage = sabotage;
    this.words = new Int32Array(program.cases.buffer);
    useSecondTier(engine === 'jit');
    createUserCpu(layoutOf(program.bits), program.legacy);
    resetClock();
    resetVmx();
    mem8.set(program.legacy ? [0xcf] : [0x48, 0xcf], SYSTEM_PAGES + HANDLERS_AT + TIMER_VECTOR);
    setPattern(program.pattern);
    for (let n = 0; n < program.sequences; n++) {
      applyPatches(program.cases, n * CASE_BYTES);
      placeCode(program.cases, n * CASE_BYTES);
    }
    attachPlatform({
      ...platform,
      acknowledgeInterrupt: () => {
        R[SIGNALS] &= ~SIG_INTR;
        return TIMER_VECTOR;
      },
    });
    this.enter();
  }

  private enter(): void {
    loadState(this.words, (this.entered++ % this.program.sequences) * CASE_BYTES / 4);
  }

  run(cycles: number): void {
    this.advance(cycles);
    this.endSlice();
  }

  /** Runs for `cycles`; after a halt of an exception handler the next sequence goes on. */
  advance(cycles: number): void {
    const { ticks } = this.program;
    const runnable = {
      nextDeadline: () => ticks[this.tick] ?? Infinity,
      runDue: () => {
        this.tick++;
        R[SIGNALS] |= SIG_INTR;
        endSliceNow();
      },
      get stopped(): boolean {
        return R[ACTIVITY] !== 0;
      },
    };
    for (const end = clockNow() + cycles; clockNow() < end;) {
      runSlice(runnable, end - clockNow());
      if (R[ACTIVITY] !== 0) this.enter();
    }
  }

  /** What happens between two slices. */
  endSlice(): void {
    this.sabotage?.(this.engine, clockNow());
    this.boundary++;
    // Code at privilege level 0 is the handlers'. The interpreter looks the code up too, for that may set accessed bits.
    if (this.boundary > WARM_BOUNDARIES && R[CPL] === 3) touchCode(this.engine === 'jit' && !this.program.long);
  }
}

function hashWritten(): number {
  return WRITTEN.reduce((hash, [first, pages]) => Math.imul(hash, 31) + hashMemory(first, pages) | 0, 0);
}

/** Hashes at every boundary. */
function hashesOf(program: Program, engine: Engine, sabotage?: Sabotage): number[] {
  const execution = new Execution(program, engine, sabotage), hashes: number[] = [];
  for (const slice of program.slices) {
    execution.run(slice);
    hashes.push(hashProcessors(), hashWritten());
  }
  return hashes;
}

function snapshot(): { values: NamedValue[]; ram: Int32Array } {
  return { values: processorValues(), ram: mem32.slice() };
}

/** Everything the machine shows after `slices`. */
function stateAfter(program: Program, engine: Engine, slices: readonly number[], sabotage?: Sabotage): { values: NamedValue[]; ram: Int32Array } {
  const execution = new Execution(program, engine, sabotage);
  for (const slice of slices) execution.run(slice);
  return snapshot();
}

function disagreementsAfter(program: Program, slices: readonly number[], sabotage?: Sabotage): Disagreement[] {
  const left = stateAfter(program, 'interpreter', slices, sabotage), right = stateAfter(program, 'jit', slices, sabotage);
  const found = differentValues('', left.values, right.values);
  for (const [first, pages] of WRITTEN) {
    for (let w = first * 1024; w < (first + pages) * 1024; w++) {
      if (left.ram[w] !== right.ram[w]) found.push({ name: `ram ${(4 * w).toString(16).padStart(8, '0')}`, values: [(left.ram[w] >>> 0).toString(16), (right.ram[w] >>> 0).toString(16)] });
    }
  }
  return found;
}

/** The last instructions, single-stepped by the interpreter, and what of the named things each changed. */
function trace(program: Program, slices: readonly number[], names: ReadonlySet<string>): TracedInstruction[] {
  const execution = new Execution(program, 'interpreter'), list: TracedInstruction[] = [];
  let left = slices.reduce((sum, slice) => sum + slice, 0);
  for (const slice of slices) {
    const traced = Math.min(slice, Math.max(0, TRACED - (left - slice)));
    if (slice > traced) execution.advance(slice - traced);
    for (let n = 0; n < traced; n++) {
      const instruction = nextInstruction(), before = new Map(processorValues()), ram = mem32.slice();
      execution.advance(1);
      const changed = processorValues().filter(([name, value]) => names.has(name) && before.get(name) !== value).map(([name]) => name);
      for (const name of names) {
        const word = name.startsWith('ram ') ? Number.parseInt(name.slice(4), 16) / 4 : -1;
        if (word >= 0 && ram[word] !== mem32[word]) changed.push(name);
      }
      list.push({ ...instruction, changed });
    }
    execution.endSlice();
    left -= slice;
  }
  return list;
}

/** Finds the first different cycle in the slice `index` and tells about it. */
function explain(program: Program, index: number, sabotage?: Sabotage): string {
  const before = program.slices.slice(0, index);
  let low = 0, high = program.slices[index];
  const differs = (cycles: number): boolean => disagreementsAfter(program, [...before, cycles], sabotage).length > 0;
  if (!differs(high)) return 'the difference did not come back when the program ran again: it depends on what was compiled when';
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (differs(middle)) high = middle;
    else low = middle;
  }
  const slices = [...before, high], disagreements = disagreementsAfter(program, slices, sabotage);
  const lines = trace(program, slices, new Set(disagreements.map(({ name }) => name)));
  return differenceReport({ instructions: instructionCount(), clock: clockNow(), equalClock: clockNow() - 1, disagreements: disagreements.slice(0, 40), trace: lines });
}

export interface LoopResult {
  programs: number;
  /** Regions compiled. */
  compiled: number;
  boundaries: number;
  longPrograms: number;
  /** Reports, with the program's number. */
  failures: string[];
}

export interface LoopOptions {
  bits: Bits;
  count: number;
  seed: number;
  first?: number;
  maxFailures: number;
  /** Percentage of long programs, which the JIT compiles when it finds them hot. */
  longPercent?: number;
  sabotage?: Sabotage;
  progress?: (done: number, failures: number) => void;
}

export function compareLoops({ bits, count, seed, first = 0, maxFailures, longPercent = 0, sabotage, progress }: LoopOptions): LoopResult {
  const before = compiledCode(), failures: string[] = [];
  let boundaries = 0, programs = 0, longPrograms = 0;
  for (let index = first; index < first + count && failures.length < maxFailures; index++) {
    const program = makeProgram(bits, seed, index, longPercent);
    const left = hashesOf(program, 'interpreter', sabotage), right = hashesOf(program, 'jit', sabotage);
    const different = left.findIndex((hash, n) => hash !== right[n]);
    if (different >= 0) failures.push(`${bits}-bit program ${index} of seed ${seed}: ${explain(program, different >> 1, sabotage)}`);
    boundaries += program.slices.length;
    programs++;
    if (program.long) longPrograms++;
    progress?.(programs, failures.length);
  }
  return { programs, compiled: compiledCode() - before, boundaries, longPrograms, failures };
}
