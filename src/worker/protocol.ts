/**
 * What the page and the machine's worker say to each other. Both directions are discriminated unions; byte arrays are
 * transferred, not copied.
 */

/** A console of the page: L1's COM1, or L2's COM1 as L0 observes it. */
export type ConsoleName = 'l1' | 'l2';

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
    /** Files that an earlier worker downloaded. */
    images: ReadonlyMap<string, Blob>;
  }
  | { type: 'run' }
  | { type: 'pause' }
  /** Keys typed into a console. */
  | { type: 'input'; console: ConsoleName; bytes: Uint8Array<ArrayBuffer> }
  /** So many bytes of `serial` messages have been displayed. */
  | { type: 'consumed'; bytes: number };

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
  /** Level 2 and deeper. */
  l2: number;
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

/** News of the worker. */
export type Report =
  | { type: 'stage'; stage: Stage }
  /** A file has been downloaded; hand it to the next worker. */
  | { type: 'image'; name: string; blob: Blob }
  | { type: 'serial'; console: ConsoleName; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'statistics'; statistics: Statistics }
  | { type: 'log'; text: string }
  /** The machine runs no more. `crashed`: not by its own will. */
  | { type: 'stopped'; crashed: boolean; problem: Problem }
  /** The machine could not be started. */
  | { type: 'failed'; problem: Problem };
