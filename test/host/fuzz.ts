/**
 * The random differential test: batches of random user-mode cases are executed by the host's processor and by our CPU, in blocks and
 * partly also instruction by instruction and from the block cache, and compared.
 */
import { disassemble } from '../../src/cpu/disassembler';
import { CaseGenerator } from './random-instructions';
import type { CasePlan } from './random-code';
import { ROWS, rowsFor } from './random-rows';
import { Rng, putStatePage, putVector } from './random-values';
import { NativeRunner } from './native';
import { compareOutcomes, endIndex, kindName } from './compare';
import { clearCode, createUserCpu, followsPlan, placeCode, runUserCase, setPattern } from './user-cpu';
import type { Manner } from './user-cpu';
import {
  CASE_BYTES, CASE_CODE, CASE_CODE_LENGTH, CASE_FLAGS, CASE_FX, CASE_GPR, CASE_TARGET, KIND_EXIT, PAGE, PATTERN_PAGES, REPLY_BYTES, REPLY_DIFFERENCES, REPLY_KIND, REPLY_RIP,
  STATE_PAGE, layoutOf,
} from './user-layout';
import type { Bits, Layout } from './user-layout';

export interface FuzzOptions {
  readonly bits: Bits;
  /** Number of sequences. */
  readonly count: number;
  readonly seed: number;
  /** Mnemonics or handler keys to concentrate on; empty: everything. */
  readonly only: readonly string[];
  /** Index of the first case: with count 1, executes one case again. */
  readonly first?: number;
  /** Stop after so many cases with differences. */
  readonly maxFailures: number;
  /** Called after each batch. */
  readonly progress?: (done: number, failures: number) => void;
}

export interface FuzzResult {
  readonly cases: number;
  readonly failures: string[];
  /** Executions per row that completed and that raised an exception, by row index of the opcode table. */
  readonly completed: Map<number, number>;
  readonly faulted: Map<number, number>;
  /** How cases ended, by kind. */
  readonly kinds: Map<number, number>;
}

const BATCH = 1000;
/** One in so many cases is compiled too, which takes long. */
const COMPILED_SHARE = 40;

function makePattern(rng: Rng): Uint8Array<ArrayBuffer> {
  const pattern = new Uint8Array(PATTERN_PAGES * PAGE), view = new DataView(pattern.buffer);
  for (let at = 0; at < pattern.length; at += 16) putVector(rng, view, at);
  putStatePage(rng, view, STATE_PAGE * PAGE);
  // The self-modifying page is the last: breakpoints around its code.
  pattern.fill(0xcc, (PATTERN_PAGES - 1) * PAGE);
  return pattern;
}

function increment(map: Map<number, number>, key: number): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

/** A case as text: code, initial state, differences. */
function describeFailure(layout: Layout, plan: CasePlan, cases: Uint8Array, at: number, pattern: Uint8Array, manner: string, index: number, found: readonly string[]): string {
  const view = new DataView(cases.buffer, cases.byteOffset + at);
  const length = view.getUint32(CASE_CODE_LENGTH, true), target = view.getBigUint64(CASE_TARGET, true);
  const code = cases.subarray(at + CASE_CODE, at + CASE_CODE + length);
  const lines = [`case ${index} (${layout.bits}-bit, ${manner})`];
  plan.starts.forEach((start, i) => {
    const end = plan.starts[i + 1] ?? length;
    const bytes = code.subarray(start, end);
    const { text } = disassemble(code, start, target + BigInt(start), layout.bits);
    lines.push(`  ${(target + BigInt(start)).toString(16)}  ${Buffer.from(bytes).toString('hex').padEnd(24)} ${text}${plan.undefinedBefore[i] ? `  (undefined flags ${plan.undefinedBefore[i].toString(16)})` : ''}`);
  });
  const registers: string[] = [];
  for (let n = 0; n < (layout.bits === 64 ? 16 : 8); n++) registers.push(view.getBigUint64(CASE_GPR + 8 * n, true).toString(16));
  lines.push(`  gpr ${registers.join(' ')}`);
  lines.push(`  flags ${view.getUint32(CASE_FLAGS, true).toString(16)} fcw ${view.getUint16(CASE_FX, true).toString(16)} fsw ${view.getUint16(CASE_FX + 2, true).toString(16)} tags ${view.getUint8(CASE_FX + 4).toString(16)} mxcsr ${view.getUint32(CASE_FX + 24, true).toString(16)}`);
  for (const line of found) {
    lines.push(`  ${line}`);
    const register = /^(st|xmm)(\d+)/.exec(line);
    if (register !== null) {
      const from = CASE_FX + (register[1] === 'st' ? 32 : 160) + 16 * Number(register[2]);
      lines.push(`    was ${Buffer.from(cases.subarray(at + from, at + from + (register[1] === 'st' ? 10 : 16))).reverse().toString('hex')}`);
    }
    const memory = /^memory ([0-9a-f]+)/.exec(line);
    if (memory !== null) lines.push(`    was ${new DataView(pattern.buffer).getUint32(parseInt(memory[1], 16), true).toString(16)}`);
  }
  return lines.join('\n');
}

/** Cases of one batch and what memory holds before each; `host`: the replies of the native runner. */
interface Batch {
  readonly number: number;
  readonly start: number;
  readonly count: number;
  readonly pattern: Uint8Array<ArrayBuffer>;
  readonly cases: Uint8Array<ArrayBuffer>;
  readonly plans: CasePlan[];
  readonly host: Promise<Buffer>;
}

/** How our CPU executes case `index`: always in fresh blocks or stepped first, partly again from the block cache, partly compiled. */
function mannersOf(index: number): Manner[] {
  const share = index % 8;
  const manners: Manner[] = share === 0 ? ['blocks', 'blocks'] : share < 3 ? ['stepped', 'blocks'] : ['blocks'];
  if (index % COMPILED_SHARE === 0) manners.push('compiled');
  return manners;
}

/** One run of the test. */
class Fuzzer {
  readonly failures: string[] = [];
  readonly completed = new Map<number, number>();
  readonly faulted = new Map<number, number>();
  readonly kinds = new Map<number, number>();
  private readonly options: FuzzOptions;
  private readonly layout: Layout;
  private readonly generator: CaseGenerator;
  private readonly runner: NativeRunner;
  private readonly rng = new Rng();

  constructor(program: string, options: FuzzOptions) {
    this.options = options;
    this.layout = layoutOf(options.bits);
    this.generator = new CaseGenerator(this.layout, options.only);
    this.runner = new NativeRunner(program, options.bits);
  }

  close(): void {
    this.runner.close();
  }

  /** Makes cases from `start` to at most `end` and hands them to the native runner. Batches are aligned, so that a case is the same in whatever range it is run. */
  start(start: number, end: number): Batch {
    const { rng } = this, { seed } = this.options;
    const number = Math.floor(start / BATCH), count = Math.min(end, (number + 1) * BATCH) - start;
    const pattern = makePattern(rng.start(seed, ~number));
    const cases = new Uint8Array(count * CASE_BYTES), plans: CasePlan[] = [];
    for (let i = 0; i < count; i++) plans.push(this.generator.make(rng.start(seed, start + i), cases, i * CASE_BYTES, start + i));
    return { number, start, count, pattern, cases, plans, host: this.runner.run(pattern, cases, count) };
  }

  /** Executes a batch here and compares. */
  compare(batch: Batch, host: Buffer): void {
    // 16- and 32-bit code in turns in compatibility mode and in legacy protected mode.
    createUserCpu(this.layout, this.options.bits !== 64 && batch.number % 2 === 1);
    setPattern(batch.pattern);
    let at = 0;
    for (let i = 0; i < batch.count; i++) {
      const entry = Number(new DataView(batch.cases.buffer, i * CASE_BYTES).getBigUint64(CASE_TARGET, true));
      this.count(batch.plans[i], host, at, entry);
      this.compareCase(batch, i, entry, host, at);
      at = (at + REPLY_BYTES + 8 * host.readUInt32LE(at + REPLY_DIFFERENCES) + 15) & ~15;
    }
  }

  private count(plan: CasePlan, host: Buffer, at: number, entry: number): void {
    const kind = host.readUInt32LE(at + REPLY_KIND);
    increment(this.kinds, kind);
    const ended = kind === KIND_EXIT ? plan.starts.length - 1 : endIndex(plan, Number(host.readBigUInt64LE(at + REPLY_RIP)) - entry);
    for (let n = 0; n < ended; n++) if (plan.rows[n] >= 0) increment(this.completed, plan.rows[n]);
    if (kind !== KIND_EXIT && ended >= 0 && plan.rows[ended] >= 0) increment(this.faulted, plan.rows[ended]);
  }

  private compareCase(batch: Batch, i: number, entry: number, host: Buffer, at: number): void {
    const { cases, pattern } = batch, plan = batch.plans[i], index = batch.start + i;
    const patternView = new DataView(pattern.buffer);
    for (const [turn, manner] of mannersOf(index).entries()) {
      if (turn === 0 || plan.selfModifying) placeCode(cases, i * CASE_BYTES);
      const outcome = runUserCase(cases, i * CASE_BYTES, manner);
      const found = compareOutcomes(this.layout, plan, entry, host, at, outcome, patternView);
      if (found.length === 0) continue;
      if (plan.wild.length > 0) {
        placeCode(cases, i * CASE_BYTES);
        if (!followsPlan(cases, i * CASE_BYTES, plan)) break;
      }
      this.failures.push(describeFailure(this.layout, plan, cases, i * CASE_BYTES, pattern, turn === 0 ? manner : `${manner}, again`, index, found));
      break;
    }
    if (!plan.selfModifying) clearCode(cases, i * CASE_BYTES);
  }
}

/** Runs the test; the native runner works on a batch while ours works on the one before. */
export async function fuzz(program: string, options: FuzzOptions): Promise<FuzzResult> {
  const fuzzer = new Fuzzer(program, options);
  const first = options.first ?? 0, end = first + options.count;
  let done = 0, next: Batch | undefined = fuzzer.start(first, end);
  while (next !== undefined) {
    const batch: Batch = next, host = await batch.host;
    const more = batch.start + batch.count < end && fuzzer.failures.length < options.maxFailures;
    next = more ? fuzzer.start(batch.start + batch.count, end) : undefined;
    fuzzer.compare(batch, host);
    done += batch.count;
    options.progress?.(done, fuzzer.failures.length);
  }
  fuzzer.close();
  const { failures, completed, faulted, kinds } = fuzzer;
  return { cases: done, failures, completed, faulted, kinds };
}

export interface RowCoverage {
  readonly name: string;
  readonly completed: number;
  readonly faulted: number;
}

/** Rows by number of executions, rarest first. */
export function coverage(result: FuzzResult, bits: Bits): RowCoverage[] {
  return rowsFor(bits)
    .map((info) => ({ name: info.name, completed: result.completed.get(info.index) ?? 0, faulted: result.faulted.get(info.index) ?? 0 }))
    .sort((a, b) => a.completed + a.faulted - b.completed - b.faulted);
}

export { ROWS, kindName };
