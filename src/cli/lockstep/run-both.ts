/** `nestbox run --engine both`: the interpreter and the JIT in lockstep, compared at every step; the first difference ends the run. */
import { fileURLToPath } from 'node:url';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineConfig } from '../../machine/config';
import type { SessionStats } from '../../machine/session';
import type { RunArguments } from '../arguments';
import { ConsoleWatch } from '../console-watch';
import { exitOf } from '../ending';
import type { Ending } from '../ending';
import { SerialOutputs, writeOutput } from '../outputs';
import { connectTerminal } from '../terminal';
import { EXIT_DIFFERENT } from '../usage';
import { narrow } from './narrow';
import { compareBoundaries, Pair } from './pair';
import type { RealmSource } from './pair';
import { CHANNEL_DEBUG, CHANNEL_L2 } from './protocol';
import type { Boundary, Input, PageRange, Step } from './protocol';
import { differenceReport, firstReport } from './report';

/** Virtual cycles of a step; as in a run with one engine, so that the JIT compiles the same at the same time. */
const STEP_CYCLES = 1_000_000;
/** All of RAM is compared once in so many steps, a part at each: hashing it whole would take longer than the step. */
const MEMORY_PARTS = 64;
const COM1 = 0;
const WAIT_MS = 10;

/** Tells people something. */
type Say = (text: string) => void;
const say: Say = (text) => void process.stderr.write(`nestbox: ${text}\n`);

/** The two machines and what was done to them since power-on. */
export class Lockstep {
  readonly steps: Step[] = [];
  private readonly source: RealmSource;
  private readonly pair: Pair;
  private readonly say: Say;

  private constructor(source: RealmSource, pair: Pair, tell: Say) {
    this.source = source;
    this.pair = pair;
    this.say = tell;
  }

  static async boot(source: RealmSource, tell: Say): Promise<Lockstep> {
    return new Lockstep(source, await Pair.boot(source), tell);
  }

  /** Does a step in both; the boundary after it, or null if they differ there. `wholeMemory`: compare all of RAM. */
  async step(step: Step, wholeMemory = false): Promise<Boundary | null> {
    this.steps.push(step);
    const pages = Math.ceil(this.pair.ramPages / MEMORY_PARTS);
    const part: PageRange = { first: (this.steps.length % MEMORY_PARTS) * pages, pages };
    const [a, b] = await this.pair.run(step, wholeMemory ? this.pair.allPages : part);
    const disagreements = compareBoundaries(a, b);
    if (disagreements.length === 0 && a.error === '') return a;
    if (disagreements.length === 0) throw new Error(`both engines broke down: ${a.error}`);
    this.say(firstReport(disagreements, a.clock));
    return null;
  }

  /** The report on the difference that step() met. */
  async explain(): Promise<string> {
    await this.pair.end();
    const found = await narrow(this.source, this.steps, MEMORY_PARTS + 1, this.say);
    return found === null ? 'the difference did not come back when both did the same again: an engine does not do the same every time' : differenceReport(found);
  }

  async stats(): Promise<SessionStats> {
    return this.pair.realms[0].call('stats', {});
  }

  async end(): Promise<void> {
    await this.pair.end();
  }
}

class BothRun {
  private readonly args: RunArguments;
  private readonly config: MachineConfig;
  private readonly serial: SerialOutputs;
  private readonly watch: ConsoleWatch;
  private readonly lockstep: Lockstep;
  /** Typed since the last boundary. */
  private inputs: Input[] = [];
  private last: Boundary | null = null;
  private listening = false;
  private quit = false;

  constructor(args: RunArguments, config: MachineConfig, lockstep: Lockstep) {
    this.args = args;
    this.config = config;
    this.lockstep = lockstep;
    this.serial = new SerialOutputs(args);
    this.watch = new ConsoleWatch(args.sends, args.until);
  }

  async main(): Promise<number> {
    const disconnect = this.connectInput();
    const started = performance.now();
    let ending: Ending | 'different';
    try {
      ending = await this.loop(started + this.args.timeoutSeconds * 1000);
    } finally {
      disconnect();
      this.serial.close();
    }
    if (ending === 'different') {
      say(await this.lockstep.explain());
      return EXIT_DIFFERENT;
    }
    const seconds = (performance.now() - started) / 1000;
    // An engine that hangs answers no more.
    if (ending === 'time limit') await Promise.race([this.conclude(seconds, ending), sleep(WAIT_MS * 100)]);
    else return this.conclude(seconds, ending);
    return exitOf(ending, this.args, this.watch.missing, { outcome: 'running', debugExit: null, instructions: 0 }).code;
  }

  private connectInput(): () => void {
    const port = this.serial.terminal;
    if (port === null || (this.args.serial.size === 0 && !process.stdin.isTTY)) return () => undefined;
    this.listening = true;
    return connectTerminal((bytes) => this.inputs.push({ port, bytes }), () => {
      this.quit = true;
    });
  }

  private async loop(deadline: number): Promise<Ending | 'different'> {
    const { args } = this;
    for (;;) {
      const left = args.maxInstructions - (this.last?.instructions ?? 0);
      const cycles = Math.min(left, STEP_CYCLES - ((this.last?.clock ?? 0) % STEP_CYCLES));
      const ending = left <= 0 ? 'instruction limit' : await this.turn(cycles, deadline);
      if (ending === null) continue;
      // What the last steps wrote where nobody has looked yet.
      if (ending === 'time limit' || ending === 'different') return ending;
      return await this.lockstep.step({ inputs: [], cycles: 0 }, true) === null ? 'different' : ending;
    }
  }

  /** One step; null if the run goes on. */
  private async turn(cycles: number, deadline: number): Promise<Ending | 'different' | null> {
    const inputs = this.inputs;
    this.inputs = [];
    const step = this.lockstep.step({ inputs, cycles });
    const boundary = Number.isFinite(deadline) ? await Promise.race([step, sleep(Math.max(0, deadline - performance.now()), 'late' as const, { ref: false })]) : await step;
    if (boundary === 'late') return 'time limit';
    if (boundary === null) return 'different';
    this.last = boundary;
    this.show(boundary);
    if (this.watch.check((level, text) => this.inputs.push({ port: level === 'l1' ? COM1 : this.config.l2Serial ?? COM1, bytes: text }))) return 'matched';
    const waiting = boundary.waiting && this.inputs.length === 0;
    if (boundary.outcome !== 'running' || (waiting && !this.listening)) return 'guest';
    if (this.quit) return 'quit';
    if (waiting) await sleep(WAIT_MS);
    return null;
  }

  private show({ output, log }: Boundary): void {
    for (const item of output) {
      const channel = item >> 8, byte = item & 255;
      if (channel === CHANNEL_DEBUG) process.stderr.write(Uint8Array.of(byte));
      else if (channel === CHANNEL_L2) {
        this.watch.add('l2', byte);
        this.serial.write('l2', byte);
      } else {
        if (channel === COM1) this.watch.add('l1', byte);
        this.serial.write(channel, byte);
      }
    }
    for (const text of log) say(text);
    this.serial.flush();
  }

  private async conclude(wallSeconds: number, ending: Ending): Promise<number> {
    const stats = await this.lockstep.stats();
    const { outcome, debugExit, instructions: { total } } = stats;
    const { code, text } = exitOf(ending, this.args, this.watch.missing, { outcome, debugExit, instructions: total });
    if (text !== '') say(text);
    const boundaries = this.lockstep.steps.length;
    say(`interpreter and JIT agree: ${boundaries} boundaries compared in ${total} instructions`);
    if (this.args.stats !== null) {
      const mips = wallSeconds > 0 ? total / wallSeconds / 1e6 : 0;
      writeOutput(this.args.stats, `${JSON.stringify({ exitCode: code, ...stats, boundaries, wallSeconds, mips }, null, 2)}\n`);
    }
    return code;
  }
}

/** Exit code of the whole command. */
export async function runBoth(args: RunArguments, config: MachineConfig, configPath: string | null): Promise<number> {
  // The bundle that this is part of serves a realm when it is started as a thread (main.ts).
  const lockstep = await Lockstep.boot({ program: fileURLToPath(import.meta.url), config, configPath }, say);
  try {
    return await new BothRun(args, config, lockstep).main();
  } finally {
    await lockstep.end();
  }
}
