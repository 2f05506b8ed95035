/**
 * What the page and the machine's worker say to each other. Both directions are discriminated unions; byte arrays are
 * transferred, not copied.
 */

import type { TextScreen } from '../devices/vga/text-screen';
import type { BuiltinSources } from '../guests/builtin';
import type { Lesson } from '../guests/lessons';
import type { InspectorAnswer, InspectorQuery } from '../observe/inspector';
import type { Breakpoint, StepGoal, Stop } from '../observe/stops';

/**
 * A serial console of the page: `l1` and `l1-1` to `l1-3` are the machine's COM1 to COM4, `l2` the COM1 of the first guest machine as L0 observes
 * it, `l2-2` and so on that of later ones.
 */
export type ConsoleName = 'l1' | 'l2' | `l1-${number}` | `l2-${number}`;

/** The machine's serial port `port`, 0 = COM1. */
export function portConsole(port: number): ConsoleName {
  return port === 0 ? 'l1' : `l1-${port}`;
}

/** Guest machine `machine`, from 1. */
export function guestConsole(machine: number): ConsoleName {
  return machine === 1 ? 'l2' : `l2-${machine}`;
}

/** What a console belongs to: a port of the machine, or a guest machine. */
export function consoleOwner(name: ConsoleName): { port: number } | { machine: number } {
  const [level, index] = name.split('-');
  return level === 'l1' ? { port: Number(index ?? 0) } : { machine: Number(index ?? 1) };
}

/** A screen of the page: 0 is the machine's own, others are guest machines by number. */
export type ScreenId = number;

/** A machine that L1, or one of its guests, runs. */
export interface GuestMachineReport {
  /** From 1, in the order of first entry. */
  number: number;
  /** 2 for guests of L1, 3 for guests of those. */
  level: number;
  /** Virtual time at which it was first seen, and first seen to be over (null while it is not), seconds since power-on. */
  since: number;
  stoppedAt: number | null;
}

/** Requests of the page. `start` comes first and once: a worker is one power-on of one machine. */
export type Request =
  | {
    type: 'start';
    /** The configuration's name, for messages. */
    name: string;
    /** Its text, in xl.cfg format. */
    config: string;
    /** URL that the configuration's file names are relative to. */
    base: string;
    /** Files that an earlier worker downloaded, or that people dropped on the page. */
    images: ReadonlyMap<string, Blob>;
    /** The playground's lesson whose programs the built-in guests are; null: the program's own. */
    lesson: string | null;
    /** What the built-in guests are assembled from, where it differs from those. */
    sources: Partial<BuiltinSources>;
    /** Load the machine, but do not run it yet. */
    paused: boolean;
  }
  | { type: 'run' }
  | { type: 'pause' }
  /** Keys typed into a console. */
  | { type: 'input'; console: ConsoleName; bytes: Uint8Array<ArrayBuffer> }
  /** For editors, at any time: the built-in guests as they come with the program ... */
  | { type: 'sources' }
  /** ... and what is wrong with these. Answered in order. */
  | { type: 'assemble'; sources: Partial<BuiltinSources> }
  /** So many bytes of `serial` messages have been displayed. */
  | { type: 'consumed'; bytes: number }
  /** The page shows a screen, or no longer. `steady`: draw without blinking. */
  | { type: 'watch'; screen: ScreenId; on: boolean; steady: boolean }
  /** The last `frame` of a screen has been shown. */
  | { type: 'shown'; screen: ScreenId }
  /** A key goes down or up, by its position (KeyboardEvent.code). */
  | { type: 'key'; screen: ScreenId; code: string; down: boolean }
  /** The mouse moved right, up, its wheel towards the user; buttons held: left 1, right 2, middle 4. */
  | { type: 'mouse'; screen: ScreenId; dx: number; dy: number; dz: number; buttons: number }
  /** Runs to the goal, then pauses. */
  | { type: 'step'; goal: StepGoal }
  /** Replaces all breakpoints. */
  | { type: 'breakpoints'; breakpoints: readonly Breakpoint[] }
  /** The inspector was opened or closed: record VM exits or not. */
  | { type: 'record'; on: boolean }
  /** A question of the inspector; answered by `inspection` with the same id, between two portions of execution. */
  | { type: 'inspect'; id: number; query: InspectorQuery };

/** How far the start of a machine has come. The order of the names is the order of the stages. */
export const STAGES = ['download', 'load', 'l1', 'vmx-on', 'launch', 'l2'] as const;
export type StageName = (typeof STAGES)[number];

export interface Stage {
  name: StageName;
  /** For `download`: the file, and its bytes so far and in all (null if the server does not say). */
  download: { file: string; received: number; total: number | null } | null;
}

/** Shares of real time since the last sample; their sum is 1. */
export interface TimeShares {
  /** Nestbox's own work: loading files, building the engine, messages. */
  l0: number;
  l1: number;
  l2: number;
  /** Level 3 and deeper. */
  l3: number;
  /** Waiting: every processor halts. */
  idle: number;
}

export interface Statistics {
  /** Guest instructions per microsecond of real time. */
  mips: number;
  /** VM exits per second of real time. */
  exitsPerSecond: number;
  shares: TimeShares;
  /** Since power-on. */
  instructions: number;
  exits: number;
  guestSeconds: number;
}

/** Something that keeps the machine from running, for people. */
export interface Problem {
  /** What happened. */
  title: string;
  why: string;
  /** What can be done about it. */
  remedies: string[];
  /** Processor state, stack trace and the like; empty if there is none. */
  details: string;
  /** A problem that more time may solve: images that are still being built. */
  waiting: boolean;
}

/** A line of a source that cannot be assembled. */
export interface SourceError {
  source: keyof BuiltinSources;
  /** From 1. */
  line: number;
  message: string;
}

/** News of the worker. */
export type Report =
  | { type: 'sources'; sources: BuiltinSources; lessons: readonly Lesson[]; includes: Readonly<Record<string, string>> }
  | { type: 'assembled'; errors: readonly SourceError[] }
  | { type: 'stage'; stage: Stage }
  /** A file has been downloaded; hand it to the next worker. */
  | { type: 'image'; name: string; blob: Blob }
  | { type: 'serial'; console: ConsoleName; bytes: Uint8Array<ArrayBuffer> }
  /** Lines of a screen from `top` on: pixels 0xAABBGGRR. `text`: what a text mode shows; null in graphics modes. */
  | { type: 'frame'; screen: ScreenId; width: number; height: number; top: number; pixels: Int32Array<ArrayBuffer>; text: TextScreen | null }
  | { type: 'statistics'; statistics: Statistics }
  /** The guest machines have changed: all of them. */
  | { type: 'machines'; machines: GuestMachineReport[] }
  | { type: 'log'; text: string }
  /** The machine pauses at a step's end or a breakpoint, or because it was asked to. */
  | { type: 'paused'; stop: Stop }
  /** A step takes longer: the machine runs. */
  | { type: 'resumed' }
  /** `answer` is null while there is no machine. */
  | { type: 'inspection'; id: number; answer: InspectorAnswer | null }
  /** Something went wrong in a guest; the machine runs on. */
  | { type: 'trouble'; problem: Problem }
  /** The machine runs no more. `crashed`: not by its own will. */
  | { type: 'stopped'; crashed: boolean; problem: Problem }
  /** The machine could not be started. */
  | { type: 'failed'; problem: Problem };
