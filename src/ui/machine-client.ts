/**
 * The page's side of the machine: owns the worker, keeps what it reports as one immutable snapshot for React, and routes console bytes
 * past React to the terminals.
 */
import type { AnswerTo, InspectorAnswer, InspectorQuery } from '../observe/inspector';
import type { Breakpoint, StepGoal, Stop } from '../observe/stops';
import { makeProblem, workerProblem } from '../worker/problems';
import type { ConsoleName, GuestMachineReport, Problem, Report, Request, ScreenId, Stage, StageName, Statistics } from '../worker/protocol';
import type { Demo } from './demos';
import type { Description } from './links/description';

export type MachineStatus = 'off' | 'starting' | 'running' | 'paused' | 'stopped' | 'failed';

export interface MachineSnapshot {
  demo: Demo | null;
  /** All that the machine is made of. */
  description: Description | null;
  status: MachineStatus;
  stage: Stage | null;
  /** Real time from the start to each stage, seconds. */
  reached: Partial<Record<StageName, number>>;
  statistics: Statistics | null;
  /** The machines that L1 and its guests run, the first to run first. */
  guests: readonly GuestMachineReport[];
  problem: Problem | null;
  /** It stopped, and not by its own will. */
  crashed: boolean;
  log: readonly string[];
  /** Where the machine pauses; null while it runs. */
  stop: Stop | null;
  /** Where it was asked to run to and has not come yet. */
  stepping: StepGoal | null;
  breakpoints: readonly Breakpoint[];
}

/** A terminal. */
export interface ConsoleSink {
  /** Displays bytes, then calls back. */
  write(bytes: Uint8Array, displayed: () => void): void;
  clear(): void;
}

export type Frame = Extract<Report, { type: 'frame' }>;

/** A screen. */
export interface ScreenSink {
  /** Shows a frame. */
  show(frame: Frame): void;
  clear(): void;
}

export type WorkerFactory = () => Worker;

const MOST_LOG_LINES = 200;
const OFF: MachineSnapshot = { demo: null, description: null, status: 'off', stage: null, reached: {}, statistics: null, guests: [], problem: null, crashed: false, log: [], stop: null, stepping: null, breakpoints: [] };

export class MachineClient {
  private readonly createWorker: WorkerFactory;
  private readonly base: string;
  private worker: Worker | null = null;
  private snapshot = OFF;
  private readonly listeners = new Set<() => void>();
  private readonly sinks = new Map<ConsoleName, ConsoleSink>();
  /** Output that came before its terminal. */
  private early: { console: ConsoleName; bytes: Uint8Array }[] = [];
  /** Files of this and earlier starts; a reset need not download them again. */
  private readonly images = new Map<string, Blob>();
  private readonly screens = new Map<ScreenId, { sink: ScreenSink; steady: boolean }>();
  private startedAt = 0;
  private startPaused = false;
  private recording = false;
  private nextInspection = 1;
  private readonly inspections = new Map<number, (answer: InspectorAnswer | null) => void>();

  /** `base`: URL of the page, which names of files are relative to. */
  constructor(createWorker: WorkerFactory, base: string) {
    this.createWorker = createWorker;
    this.base = base;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getSnapshot = (): MachineSnapshot => this.snapshot;

  attachConsole(console: ConsoleName, sink: ConsoleSink): () => void {
    this.sinks.set(console, sink);
    const early = this.early.filter((one) => one.console === console);
    this.early = this.early.filter((one) => one.console !== console);
    for (const { bytes } of early) this.display(console, bytes);
    return () => {
      if (this.sinks.get(console) === sink) this.sinks.delete(console);
    };
  }

  /** A file of the visitor's, by the name that a configuration has for it. */
  addFile(name: string, file: Blob): void {
    this.images.set(name, file);
  }

  /** Switches the machine off, and on again as this one; `paused`: ready for its first instruction. */
  start(description: Description, paused = false): void {
    const { demo, lesson, sources, files } = description;
    const before = this.snapshot.description;
    // Breakpoints are addresses and habits of one program: they outlast a reset and a changed configuration, not a change of demo or lesson.
    const breakpoints = before !== null && before.demo.name === demo.name && before.lesson === lesson ? this.snapshot.breakpoints : [];
    this.off();
    this.startPaused = paused;
    for (const { name, bytes } of files) this.images.set(name, new Blob([bytes]));
    this.startedAt = performance.now();
    this.update({ ...OFF, demo, description, status: 'starting', breakpoints });
    let worker: Worker;
    try {
      worker = this.createWorker();
    } catch (error) {
      this.update({ status: 'failed', problem: workerProblem(error) });
      return;
    }
    this.worker = worker;
    worker.addEventListener('message', (event: MessageEvent<Report>) => {
      if (this.worker === worker) this.receive(event.data);
    });
    worker.addEventListener('error', (event) => {
      if (this.worker === worker) this.workerFailed(event);
    });
    this.send({ type: 'start', name: demo.name, config: demo.config, base: this.base, images: this.images, lesson, sources, paused });
    if (this.snapshot.breakpoints.length > 0) this.send({ type: 'breakpoints', breakpoints: this.snapshot.breakpoints });
    if (this.recording) this.send({ type: 'record', on: true });
    for (const [screen, { steady }] of this.screens) this.send({ type: 'watch', screen, on: true, steady });
  }

  /** Power off and on. */
  reset(): void {
    if (this.snapshot.description !== null) this.start(this.snapshot.description);
  }

  /** Shows a problem instead of a machine. */
  refuse(problem: Problem): void {
    this.off();
    this.update({ ...OFF, status: 'failed', problem });
  }

  run(): void {
    if (this.snapshot.status !== 'paused') return;
    this.send({ type: 'run' });
    this.update({ status: 'running', stop: null, stepping: null });
  }

  /** Runs to a goal, then pauses. */
  step(goal: StepGoal): void {
    const { status } = this.snapshot;
    if (status !== 'paused' && status !== 'running') return;
    this.send({ type: 'step', goal });
    this.update({ stepping: goal });
  }

  /** The visitor has read what went wrong in a guest. */
  dismissProblem(): void {
    this.update({ problem: null });
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.send({ type: 'breakpoints', breakpoints });
    this.update({ breakpoints });
  }

  /** Whether VM exits are recorded one by one; kept over a reset. */
  record(on: boolean): void {
    if (on === this.recording) return;
    this.recording = on;
    this.send({ type: 'record', on });
  }

  /** Asks the machine; null if there is none, or it was switched off meanwhile. */
  inspect<Q extends InspectorQuery>(query: Q): Promise<AnswerTo<Q> | null> {
    if (this.worker === null) return Promise.resolve(null);
    const id = this.nextInspection++;
    this.send({ type: 'inspect', id, query });
    return new Promise((resolve) => {
      this.inspections.set(id, (answer) => resolve(answer as AnswerTo<Q> | null));
    });
  }

  pause(): void {
    if (this.snapshot.status !== 'running') return;
    this.send({ type: 'pause' });
    this.update({ status: 'paused' });
  }

  /** Keys typed into a console. */
  type(console: ConsoleName, bytes: Uint8Array<ArrayBuffer>): void {
    this.send({ type: 'input', console, bytes }, [bytes.buffer]);
  }

  /** Shows a screen in `sink` until the function returned is called. `steady`: nothing blinks. */
  watchScreen(screen: ScreenId, sink: ScreenSink, steady: boolean): () => void {
    this.screens.set(screen, { sink, steady });
    this.send({ type: 'watch', screen, on: true, steady });
    return () => {
      if (this.screens.get(screen)?.sink !== sink) return;
      this.screens.delete(screen);
      this.send({ type: 'watch', screen, on: false, steady });
    };
  }

  /** A key of a screen's keyboard, by its position. */
  key(screen: ScreenId, code: string, down: boolean): void {
    this.send({ type: 'key', screen, code, down });
  }

  /** See the request `mouse`. */
  mouse(screen: ScreenId, dx: number, dy: number, dz: number, buttons: number): void {
    this.send({ type: 'mouse', screen, dx, dy, dz, buttons });
  }

  private off(): void {
    this.worker?.terminate();
    this.worker = null;
    this.forgetInspections();
    this.early = [];
    for (const sink of this.sinks.values()) sink.clear();
    for (const { sink } of this.screens.values()) sink.clear();
  }

  /** Nobody will answer them any more. */
  private forgetInspections(): void {
    for (const resolve of this.inspections.values()) resolve(null);
    this.inspections.clear();
  }

  private send(request: Request, transfer: Transferable[] = []): void {
    this.worker?.postMessage(request, transfer);
  }

  private receive(report: Report): void {
    switch (report.type) {
      case 'stage':
        this.enterStage(report.stage);
        break;
      case 'image':
        this.images.set(report.name, report.blob);
        break;
      case 'serial':
        this.display(report.console, report.bytes);
        break;
      case 'frame':
        this.screens.get(report.screen)?.sink.show(report);
        this.send({ type: 'shown', screen: report.screen });
        break;
      case 'statistics':
        this.update({ statistics: report.statistics });
        break;
      case 'machines':
        this.update({ guests: report.machines });
        break;
      case 'log':
        this.update({ log: [...this.snapshot.log.slice(1 - MOST_LOG_LINES), report.text] });
        break;
      case 'trouble':
        this.update({ problem: report.problem });
        break;
      case 'stopped':
        this.update({ status: 'stopped', problem: report.problem, crashed: report.crashed });
        break;
      case 'paused':
        this.update({ status: 'paused', stop: report.stop, stepping: null });
        break;
      case 'resumed':
        this.update({ status: 'running', stop: null });
        break;
      case 'inspection':
        this.inspections.get(report.id)?.(report.answer);
        this.inspections.delete(report.id);
        break;
      case 'failed':
        this.update({ status: 'failed', problem: report.problem });
        break;
    }
  }

  private enterStage(stage: Stage): void {
    const seconds = (performance.now() - this.startedAt) / 1000;
    const { reached, status } = this.snapshot;
    this.update({
      stage,
      reached: stage.name in reached ? reached : { ...reached, [stage.name]: seconds },
      status: status === 'starting' && stage.name === 'l1' ? (this.startPaused ? 'paused' : 'running') : status,
    });
  }

  private display(console: ConsoleName, bytes: Uint8Array): void {
    const sink = this.sinks.get(console);
    if (sink === undefined) {
      this.early.push({ console, bytes });
      return;
    }
    const worker = this.worker, count = bytes.length;
    sink.write(bytes, () => {
      if (this.worker === worker) this.send({ type: 'consumed', bytes: count });
    });
  }

  /** A plain event says that the program could not be fetched; an ErrorEvent, that it threw. */
  private workerFailed(event: Event): void {
    event.preventDefault();
    this.worker?.terminate();
    this.worker = null;
    this.forgetInspections();
    const problem = !(event instanceof ErrorEvent) ? makeProblem('The machine’s worker could not be loaded', 'The server has stopped, or serves an incomplete build.', [
      'Check that the server still runs, then press Reset or reload the page.',
    ]) : workerProblem(event.error instanceof Error ? event.error : `${event.message} (${event.filename}:${event.lineno})`);
    this.update({ status: 'failed', problem });
  }

  private update(change: Partial<MachineSnapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of this.listeners) listener();
  }
}
