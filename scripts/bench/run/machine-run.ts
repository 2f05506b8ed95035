/** One run of our machine under measurement; the same in Node and in a worker. */
import { clockNow, idleCycles } from '../../../src/cpu/clock';
import { setTieringClock } from '../../../src/cpu/engine/tiering';
import { useSecondTier } from '../../../src/cpu/run';
import { parseArguments } from '../../../src/cli/arguments';
import { applySetting, interpretSettings, parseXlConfig } from '../../../src/machine/config';
import { Session, WARM_UP_MS } from '../../../src/machine/session';
import type { ImageSource, SessionStats } from '../../../src/machine/session';
import { instructionsAtLevel } from '../../../src/observe/guests';
import { ConsoleMarks } from './console-marks.mjs';
import type { Mark, Wait } from './console-marks.mjs';

export interface RunSpec {
  /** A configuration's text, in the format of docs/config.md. */
  config: string;
  settings: string[];
  /** Null: what the command line does without --engine. */
  engine: 'interpreter' | 'jit' | null;
  waits: Wait[];
  /** Virtual cycles after which the run is given up. */
  limit: number;
}

export interface Sample extends Mark {
  /** Seconds of the measuring clocks since the first guest instruction. */
  times: Record<string, number>;
  /** Instructions retired since power-on: all, and those of guests of the guest. */
  instructions: number;
  l2Instructions: number;
}

export interface RunResult extends SessionStats {
  /** The guest's RAM. */
  memoryBytes: number;
}

const STEP_CYCLES = 1_000_000;
const COM1 = 0;

export function defaultEngine(): 'interpreter' | 'jit' {
  const command = parseArguments(['run', 'builtin']);
  if (command.kind !== 'run' || command.run.engine === 'both') throw new Error('the command line has no default engine');
  return command.run.engine;
}

/**
 * Boots and runs until every awaited text was seen or the workloads are done. `read` reads the measuring clocks in seconds; it is
 * called inside the instruction that completes a mark. `breathe` is awaited between portions.
 */
export async function runMachine(
  spec: RunSpec, images: ImageSource, read: () => Record<string, number>, emit: (sample: Sample) => void, breathe: () => Promise<void>,
): Promise<RunResult> {
  const settings = parseXlConfig(spec.config, 'bench');
  for (const text of spec.settings) applySetting(settings, text, 'bench');
  let start: Record<string, number> = {};
  const marks = new ConsoleMarks(spec.waits, (mark: Mark) => {
    const times = read();
    for (const clock of Object.keys(times)) times[clock] -= start[clock];
    emit({ ...mark, times, instructions: session.instructions, l2Instructions: instructionsAtLevel(2) });
  });
  const session = new Session(interpretSettings(settings, 'bench'), images, {
    serial: (port, byte) => {
      if (port === COM1) marks.add('l1', byte);
    },
    observed: (console, byte) => {
      if (console.level === 2) marks.add('l2', byte);
    },
    debugText: () => undefined,
    log: () => undefined,
  });
  setTieringClock(() => performance.now());
  useSecondTier((spec.engine ?? defaultEngine()) === 'jit');
  await session.boot();
  await new Promise((resolve) => {
    setTimeout(resolve, WARM_UP_MS);
  });
  start = read();
  while (!marks.done) {
    const idle = idleCycles();
    const outcome = session.run(STEP_CYCLES - (clockNow() % STEP_CYCLES));
    if (marks.done) break;
    if (outcome !== 'running') throw new Error(`the guest ended (${outcome}) before it had shown everything`);
    if (session.waiting) throw new Error('the guest halts and waits before it has shown everything');
    if (clockNow() > spec.limit) throw new Error('the guest takes far too long');
    if (idleCycles() === idle) await breathe();
  }
  return { ...session.stats(), memoryBytes: session.config.memoryMiB * 1024 * 1024 };
}
