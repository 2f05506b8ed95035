/** One of the two machines of a lockstep run, inside its thread: does what the driver commands. */
import type { MessagePort } from 'node:worker_threads';
import { clockNow } from '../../cpu/clock';
import { mem32, ramPages } from '../../cpu/mmu/memory';
import { useSecondTier } from '../../cpu/run';
import { ConfigError } from '../../machine/config';
import { LoadError } from '../../machine/loaders/load-error';
import { Session } from '../../machine/session';
import type { SessionSnapshot } from '../../machine/session';
import { hashMemory, hashProcessors, hashText, pageHashes, pageWords, processorValues } from '../../observe/state-digest';
import type { NamedValue } from '../../observe/state-digest';
import { FileError, imageSource } from '../files';
import { nextInstruction } from '../trace';
import { CHANNEL_DEBUG, CHANNEL_L2, ramWordName } from './protocol';
import type { Answers, Boundary, Command, Details, Message, PageRange, RealmData, RamWord, Step, TracedInstruction } from './protocol';

/** How a realm runs its machine; a test may put something between. */
export type Runner = (session: Session, cycles: number) => void;

export class Realm {
  private readonly session: Session;
  private readonly runner: Runner;
  private readonly engine: RealmData['engine'];
  private output: number[] = [];
  private log: string[] = [];
  private error = '';
  private snapshot: SessionSnapshot | null = null;

  constructor({ engine, config, configPath }: RealmData, runner: Runner = (session, cycles) => session.run(cycles)) {
    this.engine = engine;
    this.runner = runner;
    this.session = new Session(config, imageSource(configPath), {
      serial: (port, byte) => this.output.push(port * 256 + byte),
      observed: (console, byte) => {
        if (console.level === 2) this.output.push(CHANNEL_L2 * 256 + byte);
      },
      debugText: (byte) => this.output.push(CHANNEL_DEBUG * 256 + byte),
      log: (text) => this.log.push(text),
    });
  }

  async answer(command: Command): Promise<Answers[keyof Answers]> {
    switch (command.kind) {
      case 'boot':
        useSecondTier(this.engine === 'jit');
        await this.session.boot();
        return { ramPages };
      case 'run':
        this.run(command.step);
        return this.boundary(command.memory);
      case 'replay':
        for (const step of command.steps) this.run(step);
        this.output = [];
        this.log = [];
        return { error: this.error };
      case 'snapshot':
        this.snapshot = this.session.snapshot();
        return null;
      case 'rewind':
        if (this.snapshot === null) throw new Error('there is no snapshot');
        this.session.rewind(this.snapshot);
        this.error = '';
        return null;
      case 'details': return this.details();
      case 'page': return pageWords(command.page);
      case 'trace': return this.trace(command.cycles, new Set(command.values), command.words);
      case 'stats': return this.session.stats();
    }
  }

  private run({ inputs, cycles }: Step): void {
    if (this.error !== '') return;
    for (const { port, bytes } of inputs) this.session.sendSerial(port, bytes);
    try {
      this.runner(this.session, cycles);
    } catch (error) {
      this.error = error instanceof Error ? error.stack ?? error.message : String(error);
    }
  }

  private boundary({ first, pages }: PageRange): Boundary {
    const { session, output, log, error } = this;
    this.output = [];
    this.log = [];
    const { outcome, waiting, instructions } = session;
    return {
      clock: clockNow(), instructions, outcome, waiting, processors: hashProcessors(), devices: hashText(JSON.stringify(this.devices())),
      memory: hashMemory(first, pages), output, log, error,
    };
  }

  private devices(): NamedValue[] {
    // The clock is compared by itself: where the current slice ends is the engine's business.
    return Object.entries(this.session.deviceState()).filter(([name]) => name !== 'clock').map(([name, state]) => [name, JSON.stringify(state)]);
  }

  private details(): Details {
    return { values: processorValues(), devices: this.devices(), pageHashes: pageHashes() };
  }

  private trace(cycles: number, names: ReadonlySet<string>, words: readonly RamWord[]): TracedInstruction[] {
    const watched = (): NamedValue[] => [
      ...processorValues().filter(([name]) => names.has(name)), ...words.map((word): NamedValue => [ramWordName(word), String(mem32[word])]),
    ];
    const trace: TracedInstruction[] = [];
    let before = watched();
    for (const end = clockNow() + cycles; clockNow() < end && this.error === '';) {
      const idle = this.session.cyclesUntilEvent;
      const instruction = nextInstruction();
      this.run({ inputs: [], cycles: Math.min(Math.max(1, idle), end - clockNow()) });
      const after = watched();
      const old = new Map(before);
      if (idle === 0) trace.push({ ...instruction, changed: after.filter(([name, value]) => old.get(name) !== value).map(([name]) => name) });
      before = after;
      if (this.session.outcome !== 'running' || this.session.waiting) break;
    }
    return trace;
  }
}

/** Answers the driver for as long as it asks. */
export function serveRealm(port: MessagePort, realm: Realm): void {
  const reply = async (command: Command): Promise<Message> => {
    try {
      return { answer: await realm.answer(command) };
    } catch (error) {
      const expected = error instanceof ConfigError || error instanceof LoadError || error instanceof FileError;
      return { failure: error instanceof Error ? (expected ? error.message : error.stack ?? error.message) : String(error), expected };
    }
  };
  port.on('message', (command: Command) => {
    void reply(command).then((message) => port.postMessage(message));
  });
}
