/**
 * What the driver of a lockstep run and its two realms say to each other. A realm is a thread with a machine of its own (a machine's state is
 * module-level); it answers one command after the other. All of it is plain data.
 */
import type { MachineConfig } from '../../machine/config';
import type { Outcome, SessionStats } from '../../machine/session';
import type { NamedValue } from '../../observe/state-digest';

export type Engine = 'interpreter' | 'jit';
export const ENGINES: readonly [Engine, Engine] = ['interpreter', 'jit'];

/** What a realm is started with. */
export interface RealmData {
  engine: Engine;
  config: MachineConfig;
  /** Configuration file, beside which images are looked for. */
  configPath: string | null;
}

/** Bytes typed into a serial port. */
export interface Input {
  port: number;
  bytes: Uint8Array;
}

/** Type, then run. The same steps in the same order give the same machine. */
export interface Step {
  inputs: Input[];
  /** Virtual cycles. */
  cycles: number;
}

/** Pages of RAM to hash. */
export interface PageRange {
  first: number;
  pages: number;
}

/** Output channels besides the serial ports 0-3. */
export const CHANNEL_L2 = 4, CHANNEL_DEBUG = 5;

/** A machine where a step has ended. All of it must be equal in both realms. */
export interface Boundary {
  clock: number;
  instructions: number;
  outcome: Outcome;
  waiting: boolean;
  /** Hashes of what a guest can see. */
  processors: number;
  devices: number;
  /** Of the pages asked for. */
  memory: number;
  /** Bytes put out since the boundary before: channel * 256 + byte. */
  output: number[];
  log: string[];
  /** The engine broke down: what it threw. Nothing more can be asked of this realm. */
  error: string;
}

/** A machine's state in full but for the contents of memory. */
export interface Details {
  values: NamedValue[];
  /** Saved state by device, as JSON. */
  devices: NamedValue[];
  pageHashes: Int32Array;
}

/** A word of RAM: index from its start. */
export type RamWord = number;

/** An instruction of a trace. */
export interface TracedInstruction {
  rip: bigint;
  length: number;
  hostPhysical: number;
  line: string;
  /** Which of the watched things it changed. */
  changed: string[];
}

export type Command =
  | { kind: 'boot' }
  | { kind: 'run'; step: Step; memory: PageRange }
  /** Several steps of which nothing is compared. */
  | { kind: 'replay'; steps: Step[] }
  /** Remembers this boundary, to which 'rewind' goes back. */
  | { kind: 'snapshot' }
  | { kind: 'rewind' }
  | { kind: 'details' }
  | { kind: 'page'; page: number }
  /** Single-steps and watches values by name and words of RAM. */
  | { kind: 'trace'; cycles: number; values: string[]; words: RamWord[] }
  | { kind: 'stats' };

/** What each command is answered with. */
export interface Answers {
  boot: { ramPages: number };
  run: Boundary;
  replay: { error: string };
  snapshot: null;
  rewind: null;
  details: Details;
  page: Int32Array;
  trace: TracedInstruction[];
  stats: SessionStats;
}

export type CommandOf<K extends Command['kind']> = Extract<Command, { kind: K }>;

/** Message from a realm: the answer, or why there is none. */
export type Message = { answer: Answers[keyof Answers] } | { failure: string; expected: boolean };

/** Name of a RAM word in reports and traces. */
export function ramWordName(word: RamWord): string {
  return `ram ${(word * 4).toString(16).padStart(8, '0')}`;
}
