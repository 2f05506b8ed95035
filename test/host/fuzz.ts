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
import { clearCode, createUserCpu, placeCode, runUserCase, setPattern } from './user-cpu';
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

function count1(map: Map<number, number>, key: number): void {
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

/** Runs the test. */
export async function fuzz(program: string, options: FuzzOptions): Promise<FuzzResult> {
  const layout = layoutOf(options.bits);
  const generator = new CaseGenerator(layout, options.only), rng = new Rng();
  const runner = new NativeRunner(program, options.bits);
  const failures: string[] = [], completed = new Map<number, number>(), faulted = new Map<number, number>(), kinds = new Map<number, number>();
  const first = options.first ?? 0;
  let done = 0;
  while (done < options.count && failures.length < options.maxFailures) {
    // Batches are aligned, so that a case is the same whatever range it is run in.
    const start = first + done, batch = Math.floor(start / BATCH);
    const count = Math.min(options.count - done, (batch + 1) * BATCH - start);
    const pattern = makePattern(rng.start(options.seed, ~batch));
    const cases = new Uint8Array(count * CASE_BYTES), plans: CasePlan[] = [];
    for (let i = 0; i < count; i++) plans.push(generator.make(rng.start(options.seed, start + i), cases, i * CASE_BYTES, start + i));
    const native = runner.run(pattern, cases, count);
    // 16- and 32-bit code in turns in compatibility mode and in legacy protected mode.
    createUserCpu(layout, options.bits !== 64 && batch % 2 === 1);
    setPattern(pattern);
    const patternView = new DataView(pattern.buffer);
    const host = await native;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const view = new DataView(cases.buffer, i * CASE_BYTES);
      const plan = plans[i], entry = Number(view.getBigUint64(CASE_TARGET, true));
      const kind = host.readUInt32LE(at + REPLY_KIND);
      count1(kinds, kind);
      const ended = kind === KIND_EXIT ? plan.starts.length - 1 : endIndex(plan, Number(host.readBigUInt64LE(at + REPLY_RIP)) - entry);
      for (let n = 0; n < ended; n++) if (plan.rows[n] >= 0) count1(completed, plan.rows[n]);
      if (kind !== KIND_EXIT && ended >= 0 && plan.rows[ended] >= 0) count1(faulted, plan.rows[ended]);
      const share = (start + i) % 8;
      const manners: Manner[] = share === 0 ? ['blocks', 'blocks'] : share < 3 ? ['stepped', 'blocks'] : ['blocks'];
      if ((start + i) % COMPILED_SHARE === 0) manners.push('compiled');
      for (const [turn, manner] of manners.entries()) {
        if (turn === 0 || plan.selfModifying) placeCode(cases, i * CASE_BYTES);
        const outcome = runUserCase(cases, i * CASE_BYTES, manner);
        const found = compareOutcomes(layout, plan, entry, host, at, outcome, patternView);
        if (found.length > 0) {
          if (failures.length < options.maxFailures) failures.push(describeFailure(layout, plan, cases, i * CASE_BYTES, pattern, turn === 0 ? manner : `${manner}, again`, start + i, found));
          break;
        }
      }
      if (!plan.selfModifying) clearCode(cases, i * CASE_BYTES);
      at = (at + REPLY_BYTES + 8 * host.readUInt32LE(at + REPLY_DIFFERENCES) + 15) & ~15;
    }
    done += count;
    options.progress?.(done, failures.length);
  }
  runner.close();
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
