/**
 * Drives one session for the page: starts it, runs it in slices short enough that messages are handled in between, keeps its time and real time
 * together, and reports. It knows real time and timers only through `HostServices`, so that it can be tested without either.
 */
import type { BuiltinSources } from '../guests/builtin';
import type { MachineConfig } from '../machine/config';
import { textScreen } from '../devices/vga/text-screen';
import type { Vga } from '../devices/vga/vga';
import type { GuestMachines } from '../observe/guest-machines';
import { GuestList } from './guest-list';
import { InputQueue } from './input-queue';
import type { ImageSource, Outcome, SessionOutputs, SessionStats } from '../machine/session';
import type { GuestTrouble } from '../observe/guest-trouble';
import type { InspectorAnswer, InspectorQuery } from '../observe/inspector';
import type { Breakpoint, StepGoal, Stop } from '../observe/stops';
import { Meter } from './meter';
import type { Counters } from './meter';
import { Pacer } from './pacer';
import { guestProblem, startProblem, stopProblem, workerProblem } from './problems';
import { consoleOwner, guestConsole, portConsole } from './protocol';
import type { ConsoleName, Problem, Report, Request, ScreenId } from './protocol';
import { ScreenSender } from './screens';
import { SerialBatch } from './serial-batch';
import { StageTracker } from './stages';

/** What the host needs of a Session. */
export interface HostedSession {
  readonly outcome: Outcome;
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly level: number;
  readonly debugExit: number | null;
  /** Only input can make it go on. */
  readonly waiting: boolean;
  readonly guests: Pick<GuestMachines, 'all' | 'stopped'>;
  /** Serial port (0 = COM1) that L1 wires to its guest's console; null if none. */
  readonly config: { readonly l2Serial: number | null; readonly l3Serial: number | null; readonly l2Monitor: number | null };
  /** The machine's display adapter, and those of its guests by number, as L0 sees them. */
  readonly vga: Vga | null;
  guestVga(number: number): Vga | null;
  /** Real time from the start of `boot()` to wait before the first instruction. */
  readonly warmUpMs: number;
  boot(): Promise<void>;
  run(cycles: number): Outcome;
  sendSerial(port: number, bytes: ArrayLike<number>): void;
  key(code: string, down: boolean): boolean;
  mouse(dx: number, dy: number, dz: number, buttons: number): void;
  /** What to send to the guest's monitor for a key or the mouse. */
  guestKey(code: string, down: boolean): string;
  guestMouse(dx: number, dy: number, dz: number, buttons: number): string;
  stats(): SessionStats;
}

/** What the host needs of the inspector and of observe/stops.ts. */
export interface HostedInspector {
  setBreakpoints(list: readonly Breakpoint[]): void;
  resumeTowards(goal: StepGoal | null): void;
  takeStop(): Stop | null;
  /** Where the machine stands. */
  stopHere(): Stop;
  /** The machine has stopped for people. */
  noteStop(): void;
  record(on: boolean): void;
  answer(query: InspectorQuery): InspectorAnswer;
}

export interface HostServices {
  inspector: HostedInspector;
  createSession(config: MachineConfig, images: ImageSource, outputs: SessionOutputs, sources: Partial<BuiltinSources>): HostedSession;
  /** Reads a configuration; throws ConfigError. */
  readConfig(text: string, name: string): MachineConfig;
  /** Downloads a file of the configuration, telling its progress. */
  download(file: string, progress: (file: string, received: number, total: number | null) => void): Promise<Blob>;
  report(report: Report, transfer?: Transferable[]): void;
  /** True once the guest has executed VMXON. */
  vmxOn(): boolean;
  /** What has gone wrong in a guest since the last call. */
  takeTrouble(): GuestTrouble | null;
  /** The processor's state for people. */
  processorState(): string;
  /** Real time in milliseconds. */
  now(): number;
  /** Calls back after at least so many milliseconds, 0 = as soon as waiting messages are handled. Replaces a call still outstanding. */
  wake(ms: number): void;
}

/** The character of an empty cell. */
const BLANK = 0x20;
/** Real time between looks at messages. */
const TURN_MS = 14;
/** Real time that one portion of execution should take. */
const PORTION_MS = 4;
const LEAST_PORTION = 100_000, MOST_PORTION = 2_000_000;
/** Real time between messages with serial output: one frame. */
const FLUSH_MS = 16;
const STATISTICS_MS = 200;
/** Bytes that the page may be behind before the machine waits for it. */
const MOST_UNDISPLAYED = 1 << 20;
/** Virtual time that a key press is worth at once, in cycles, even if the allowance is used up. */
const INPUT_CYCLES = 200_000;

export class MachineHost {
  private readonly services: HostServices;
  private readonly stages: StageTracker;
  private readonly batches = new Map<ConsoleName, SerialBatch>();
  private readonly guestList = new GuestList();
  private readonly keys = new InputQueue();
  private readonly screens: ScreenSender;
  private readonly meter: Meter;
  private readonly pacer: Pacer;
  private session: HostedSession | null = null;
  private booted = false;
  private paused = false;
  private stopped = false;
  private tscHz = 1;
  private portion = LEAST_PORTION;
  private undisplayed = 0;
  private flushedAt = 0;
  private sleptAt = -1;
  private inputWaits = false;
  /** A step was asked for and its goal is not reached. */
  private stepping = false;
  private breakpoints: readonly Breakpoint[] = [];
  private lastLog = '';
  /** What went wrong in a guest last. */
  private trouble: Problem | null = null;

  constructor(services: HostServices) {
    this.services = services;
    this.stages = new StageTracker((stage) => services.report({ type: 'stage', stage }));
    this.screens = new ScreenSender((report, transfer) => services.report(report, transfer));
    this.meter = new Meter(services.now());
    this.pacer = new Pacer(services.now());
  }

  /** Starts the machine of a configuration. Never rejects: a failure is reported. */
  async start({ name, config: text, images: known, sources, paused }: Omit<Extract<Request, { type: 'start' }>, 'type' | 'base' | 'lesson'>): Promise<void> {
    const services = this.services;
    this.paused = paused;
    try {
      const config = services.readConfig(text, `${name}.cfg`);
      for (const warning of config.warnings) this.log(`${name}.cfg:${warning.line}: ${warning.key}: ${warning.message}`);
      this.tscHz = config.tscHz;
      const session = services.createSession(config, this.imageSource(config, known), {
        serial: (port, byte) => this.batch(portConsole(port)).add(byte),
        observed: (console, byte) => this.batch(guestConsole(console.machine)).add(byte),
        debugText: (byte) => this.batch(portConsole(0)).add(byte),
        log: (message) => this.log(message),
      }, sources);
      this.stages.reach(fileCount(config) > 0 ? 'download' : 'load');
      const begun = services.now();
      await session.boot();
      this.session = session;
      this.booted = true;
      services.inspector.setBreakpoints(this.breakpoints);
      this.stages.reach('l1');
      this.pacer.resume(services.now());
      this.meter.restart(services.now(), this.counters(session));
      if (this.paused) this.reportPause(services.inspector.stopHere());
      else services.wake(Math.max(0, session.warmUpMs - (services.now() - begun)));
    } catch (error) {
      this.stopped = true;
      services.report({ type: 'failed', problem: startProblem(name, error) });
    }
  }

  run(): void {
    if (!this.paused) return;
    this.services.inspector.resumeTowards(null);
    this.resume();
    this.services.wake(0);
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.stepping = false;
    if (this.session === null || !this.booted || this.stopped) return;
    this.services.inspector.resumeTowards(null);
    this.flush(this.services.now());
    this.reportPause(this.services.inspector.stopHere());
  }

  /** Runs to a goal, then pauses. A short step is complete when this returns. */
  step(goal: StepGoal): void {
    if (this.session === null || !this.booted || this.stopped) return;
    this.services.inspector.resumeTowards(goal);
    this.stepping = true;
    this.resume();
    // A step need not wait for the time that an idle machine may not live yet.
    this.inputWaits = true;
    this.turn();
    if (this.stepping) this.services.report({ type: 'resumed' });
  }

  setBreakpoints(list: readonly Breakpoint[]): void {
    this.breakpoints = list;
    this.services.inspector.setBreakpoints(list);
  }

  record(on: boolean): void {
    this.services.inspector.record(on);
  }

  inspect(id: number, query: InspectorQuery): void {
    const answer = this.session === null || !this.booted ? null : this.services.inspector.answer(query);
    this.services.report({ type: 'inspection', id, answer });
  }

  /** Real time begins to count for the machine again. */
  private resume(): void {
    this.paused = false;
    this.sleptAt = -1;
    if (this.session === null || !this.booted) return;
    const now = this.services.now();
    this.pacer.resume(now);
    this.meter.restart(now, this.counters(this.session));
  }

  private reportPause(stop: Stop): void {
    this.services.inspector.noteStop();
    this.services.report({ type: 'paused', stop });
  }

  /** Keys for a console. */
  input(console: ConsoleName, bytes: Uint8Array): void {
    const session = this.session;
    if (session === null || !this.booted || this.stopped) return;
    const owner = consoleOwner(console);
    if ('machine' in owner && this.guestList.isStopped(owner.machine)) {
      this.log(`guest machine ${owner.machine} has stopped: it takes no keys`);
      return;
    }
    const level = 'port' in owner ? 1 : this.guestList.levelOf(owner.machine);
    const port = 'port' in owner ? owner.port : level === 2 ? session.config.l2Serial : session.config.l3Serial;
    if (port === null) {
      this.log(`this configuration does not say how keys reach L${level} (nestbox_l2_serial, nestbox_l3_serial)`);
      return;
    }
    this.keys.add(port, bytes);
    this.inputWaits = true;
    if (!this.paused) this.services.wake(0);
  }

  watch(screen: ScreenId, on: boolean, steady: boolean): void {
    if (on) this.screens.watch(screen, steady);
    else this.screens.unwatch(screen);
    this.drawScreens(this.services.now());
  }

  shown(screen: ScreenId): void {
    this.screens.shown(screen);
    // What has changed meanwhile; while the machine runs, the next turn looks.
    if (this.paused || this.stopped) this.drawScreens(this.services.now());
  }

  /** A key of the machine's keyboard, or of a guest's. */
  key(screen: ScreenId, code: string, down: boolean): void {
    this.reach(screen, (session) => session.key(code, down), (session) => session.guestKey(code, down));
  }

  mouse(screen: ScreenId, dx: number, dy: number, dz: number, buttons: number): void {
    this.reach(screen, (session) => session.mouse(dx, dy, dz, buttons), (session) => session.guestMouse(dx, dy, dz, buttons));
  }

  /** Input for the machine itself, or for a guest by the monitor that L1 has on a serial port. */
  private reach(screen: ScreenId, own: (session: HostedSession) => void, ofGuest: (session: HostedSession) => string): void {
    const session = this.session;
    if (session === null || !this.booted || this.stopped) return;
    if (screen === 0) {
      own(session);
    } else {
      const port = session.config.l2Monitor;
      if (port === null) {
        this.log('this configuration does not say how keys reach the guest’s screen (nestbox_l2_monitor)');
        return;
      }
      const command = ofGuest(session);
      if (command === '') return;
      this.keys.add(port, new TextEncoder().encode(command));
    }
    this.inputWaits = true;
    if (!this.paused) this.services.wake(0);
  }

  private drawScreens(now: number): void {
    const session = this.session;
    if (session === null || !this.booted) return;
    this.screens.update(now, () => this.services.now(), (screen) => (screen === 0 ? session.vga : session.guestVga(screen)));
  }

  consumed(bytes: number): void {
    const waited = this.undisplayed > MOST_UNDISPLAYED;
    this.undisplayed -= bytes;
    if (waited && this.undisplayed <= MOST_UNDISPLAYED && !this.paused) this.services.wake(0);
  }

  /** One turn: runs the machine until messages should be looked at, and arranges for the next. */
  turn(): void {
    const session = this.session;
    if (session === null || this.paused || this.stopped) return;
    const services = this.services;
    const begin = services.now();
    if (this.sleptAt >= 0) this.meter.addWaiting(begin - this.sleptAt);
    this.sleptAt = -1;
    this.pacer.earn(begin);
    // The page has to catch up; its next `consumed` wakes us.
    if (this.undisplayed > MOST_UNDISPLAYED) return;
    let stop: Stop | null;
    try {
      stop = this.runUntil(session, begin, begin + TURN_MS);
    } catch (error) {
      this.stopped = true;
      this.flush(services.now());
      services.report({ type: 'failed', problem: workerProblem(error) });
      return;
    }
    this.afterRunning(session, stop);
  }

  /** Executes portions until real time `until`, until the machine has no virtual time left to live, or to a stop for people, which is returned. */
  private runUntil(session: HostedSession, begin: number, until: number): Stop | null {
    let now = begin;
    let forced = this.inputWaits ? INPUT_CYCLES : 0;
    this.inputWaits = false;
    while (now < until) {
      this.keys.feed(session.guestSeconds, session.waiting, (port, bytes) => session.sendSerial(port, bytes));
      const cycles = Math.floor(Math.min(this.portion, Math.max(this.pacer.available * this.tscHz, forced)));
      if (cycles <= 0) break;
      const seconds = session.guestSeconds;
      const outcome = session.run(cycles);
      const before = now;
      now = this.services.now();
      this.meter.addRunning(now - before);
      this.pacer.spend(session.guestSeconds - seconds);
      this.pacer.earn(now);
      this.learnSpeed(cycles, now - before);
      forced = 0;
      const stop = this.services.inspector.takeStop();
      if (stop !== null) return stop;
      if (outcome !== 'running' || session.waiting) break;
    }
    return null;
  }

  /** A portion of `cycles` took `ms`: the next should take PORTION_MS. */
  private learnSpeed(cycles: number, ms: number): void {
    // What was cut short says nothing about larger ones.
    if (cycles < this.portion && ms < PORTION_MS) return;
    const factor = Math.max(0.5, Math.min(2, PORTION_MS / Math.max(ms, 1e-3)));
    this.portion = Math.max(LEAST_PORTION, Math.min(MOST_PORTION, cycles * factor));
  }

  private afterRunning(session: HostedSession, stop: Stop | null): void {
    const services = this.services;
    const now = services.now();
    this.watchStages(session);
    const machines = this.guestList.look(session.guests, session.guestSeconds);
    if (machines !== null) services.report({ type: 'machines', machines });
    const trouble = services.takeTrouble();
    if (trouble !== null) {
      this.trouble = guestProblem(trouble, services.processorState());
      services.report({ type: 'trouble', problem: this.trouble });
    }
    const ended = session.outcome !== 'running' || stop !== null;
    const keysWait = session.waiting && this.keys.waiting > 0;
    if (keysWait) this.inputWaits = true;
    const wait = keysWait ? 0 : session.waiting ? STATISTICS_MS : this.pacer.wait;
    if (ended || wait > 0 || now - this.flushedAt >= FLUSH_MS) this.flush(now);
    this.drawScreens(now);
    if (ended || this.meter.age(now) >= STATISTICS_MS) {
      services.report({ type: 'statistics', statistics: this.meter.sample(now, this.counters(session)) });
      this.watchGuestScreen(session);
    }
    if (session.outcome !== 'running') {
      this.stopped = true;
      const problem = stopProblem(session.outcome, session.level, session.debugExit, this.lastLog, services.processorState());
      // A hypervisor that gives up because of its guest: the guest's trouble explains it.
      const because = session.outcome === 'halted' ? this.trouble : null;
      services.report({ type: 'stopped', crashed: session.outcome === 'crash', problem: because === null ? problem : { ...because, why: `${because.why} ${problem.title}.` } });
      return;
    }
    if (stop !== null) {
      this.paused = true;
      this.stepping = false;
      this.reportPause(stop);
      return;
    }
    if (wait > 0) this.sleptAt = now;
    services.wake(wait);
  }

  private watchStages(session: HostedSession): void {
    if (this.stages.has('l2')) return;
    if (!this.stages.has('vmx-on') && this.services.vmxOn()) this.stages.reach('vmx-on');
    if (!this.stages.has('launch') && (session.stats().instructions.l2 ?? 0) > 0) this.stages.reach('launch');
    if (this.batch(guestConsole(1)).size > 0) this.stages.reach('l2');
  }

  /** A guest's first words may also be on its screen. */
  private watchGuestScreen(session: HostedSession): void {
    if (this.stages.has('l2') || !this.stages.has('launch')) return;
    const vga = session.guestVga(1);
    const text = vga === null ? null : textScreen(vga);
    if (text !== null && text.cells.some((cell) => (cell & 0xff) !== 0 && (cell & 0xff) !== BLANK)) this.stages.reach('l2');
  }

  private batch(console: ConsoleName): SerialBatch {
    let batch = this.batches.get(console);
    if (batch === undefined) {
      batch = new SerialBatch(console);
      this.batches.set(console, batch);
    }
    return batch;
  }

  private flush(now: number): void {
    this.flushedAt = now;
    for (const batch of this.batches.values()) {
      if (batch.size === 0) continue;
      const bytes = batch.take();
      this.undisplayed += bytes.length;
      this.services.report({ type: 'serial', console: batch.console, bytes }, [bytes.buffer]);
    }
  }

  private counters(session: HostedSession): Counters {
    const { instructions, exits, guestSeconds } = session.stats();
    let exitCount = 0;
    for (const count of Object.values(exits)) exitCount += count;
    return { instructions: instructions.total, l1Instructions: instructions.l1 ?? 0, l2Instructions: instructions.l2 ?? 0, exits: exitCount, guestSeconds };
  }

  private log(text: string): void {
    this.lastLog = text;
    this.services.report({ type: 'log', text });
  }

  private imageSource(config: MachineConfig, known: ReadonlyMap<string, Blob>): ImageSource {
    let left = fileCount(config);
    return async (file) => {
      let blob = known.get(file);
      if (blob === undefined) {
        blob = await this.services.download(file, (name, received, total) => this.stages.download(name, received, total));
        this.services.report({ type: 'image', name: file, blob });
      }
      const bytes = new Uint8Array(await blob.arrayBuffer());
      if (--left === 0) this.stages.reach('load');
      return bytes;
    };
  }
}

/** Files that a session of this configuration asks for. */
function fileCount(config: MachineConfig): number {
  const boot = config.boot;
  return boot.kind === 'kernel' ? 1 + boot.modules.length : boot.kind === 'rom' ? (config.display === null ? 1 : 2) : 0;
}
