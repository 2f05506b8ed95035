/** The command line, understood. */
import type { Breakpoint } from '../observe/stops';
import { parseBreakpoint } from './breakpoints';
import { parseMatrix } from './matrix/arguments';
import type { MatrixArguments } from './matrix/arguments';
import { UsageError } from './usage';

/** `l1` is the machine's COM1; `vga` and `l2vga`: the text on the screen of the machine, or of its guest. */
export type ConsoleLevel = 'l1' | 'com2' | 'com3' | 'com4' | 'l2' | 'l3' | 'vga' | 'l2vga';
/** Consoles of guests. */
export type GuestLevel = 'l2' | 'l3';
export type ScreenName = 'l1' | 'l2';

/** A screen to be written to a file at the end. */
export interface ScreenFile {
  screen: ScreenName;
  path: string;
}

export interface Watch {
  level: ConsoleLevel;
  pattern: RegExp;
}

export interface Send extends Watch {
  /** Where the text is typed. */
  into: ConsoleLevel;
  text: Uint8Array;
}

export type SerialTarget = { kind: 'stdio' } | { kind: 'file'; path: string };

export type TraceKind = 'exits' | 'instructions' | 'io';

export interface RunArguments {
  /** Demo or configuration file; null with --kernel or --bios. */
  config: string | null;
  set: string[];
  /** By port number, or level of a guest. */
  serial: Map<number | GuestLevel, SerialTarget>;
  until: Watch | null;
  sends: Send[];
  maxInstructions: number;
  timeoutSeconds: number;
  stats: string | null;
  /** Pictures as PNG, and screens as text. */
  screenshots: ScreenFile[];
  screenTexts: ScreenFile[];
  trace: Set<TraceKind>;
  /** Where to stop. */
  breakpoints: Breakpoint[];
  /** Print a table of VM exits at the end. */
  exits: boolean;
  dumpState: string | null;
  dumpMemory: { start: number; length: number }[];
  kernel: string | null;
  append: string | null;
  initrd: string | null;
  modules: string[];
  bios: string | null;
  memory: string | null;
  vcpus: string | null;
  /** Which tiers of the engine execute guest code. */
  engine: 'interpreter' | 'jit' | 'both';
}

export type Command = { kind: 'help' } | { kind: 'version' } | { kind: 'run'; run: RunArguments } | { kind: 'matrix'; matrix: MatrixArguments };

export const CONSOLES: readonly ConsoleLevel[] = ['l1', 'com2', 'com3', 'com4', 'l2', 'l3', 'vga', 'l2vga'];
const TRACE_KINDS: readonly string[] = ['exits', 'instructions', 'io'];

/** Options of `run` that take a value. */
const OPTIONS = new Set([
  '--set', '--serial', '--until', '--send', '--max-instructions', '--timeout', '--stats', '--screenshot', '--screen-text', '--trace', '--break', '--dump-state', '--dump-memory',
  '--kernel', '--append', '--initrd', '--module', '--bios', '--memory', '--vcpus', '--engine',
]);
/** Options without a value. */
const FLAGS = new Set(['--exits']);
/** Options that may be given once. */
const SINGLE = new Set([
  '--until', '--max-instructions', '--timeout', '--stats', '--dump-state', '--kernel', '--append', '--initrd', '--bios', '--memory', '--vcpus', '--engine',
]);

export function parseArguments(args: readonly string[]): Command {
  if (args.length === 0) throw new UsageError('no command given');
  if (args.includes('--help') || args.includes('-h') || args[0] === 'help') return { kind: 'help' };
  if (args[0] === '--version') return { kind: 'version' };
  if (args[0] === 'matrix') return { kind: 'matrix', matrix: parseMatrix(args.slice(1)) };
  if (args[0] !== 'run') throw new UsageError(`unknown command \`${args[0]}\``);
  return { kind: 'run', run: parseRun(args.slice(1)) };
}

function parseRun(args: readonly string[]): RunArguments {
  const run: RunArguments = {
    config: null, set: [], serial: new Map(), until: null, sends: [], maxInstructions: Infinity, timeoutSeconds: Infinity, stats: null, screenshots: [], screenTexts: [],
    trace: new Set(), breakpoints: [], exits: false, dumpState: null, dumpMemory: [], kernel: null, append: null, initrd: null, modules: [], bios: null, memory: null, vcpus: null, engine: 'jit',
  };
  const seen = new Set<string>();
  for (let n = 0; n < args.length; n++) {
    if (!args[n].startsWith('-')) {
      if (run.config !== null) throw new UsageError(`two machines to run: \`${run.config}\` and \`${args[n]}\``);
      run.config = args[n];
      continue;
    }
    const equals = args[n].indexOf('=');
    const option = equals < 0 ? args[n] : args[n].slice(0, equals);
    if (FLAGS.has(args[n])) {
      run.exits = true;
      continue;
    }
    if (!OPTIONS.has(option)) throw new UsageError(`unknown option \`${option}\``);
    if (SINGLE.has(option) && seen.has(option)) throw new UsageError(`${option} is given twice`);
    seen.add(option);
    const value = equals < 0 ? args[++n] : args[n].slice(equals + 1);
    if (value === undefined) throw new UsageError(`${option} needs a value`);
    takeOption(run, option, value);
  }
  checkTogether(run);
  return run;
}

function takeOption(run: RunArguments, option: string, value: string): void {
  switch (option) {
    case '--set': run.set.push(value); break;
    case '--serial': takeSerial(run, value); break;
    case '--until': run.until = parseWatch(option, value); break;
    case '--send': run.sends.push(parseSend(value)); break;
    case '--max-instructions': run.maxInstructions = parseCount(option, value); break;
    case '--engine': run.engine = parseEngine(value); break;
    case '--timeout': run.timeoutSeconds = parseSeconds(value); break;
    case '--stats': run.stats = value; break;
    case '--screenshot': run.screenshots.push(parseScreenFile(value)); break;
    case '--screen-text': run.screenTexts.push(parseScreenFile(value)); break;
    case '--trace':
      for (const kind of value.split(',')) {
        if (!isTraceKind(kind)) throw new UsageError(`--trace ${kind}: one of ${TRACE_KINDS.join(', ')}`);
        run.trace.add(kind);
      }
      break;
    case '--break': run.breakpoints.push(parseBreakpoint(value, run.breakpoints.length + 1)); break;
    case '--dump-state': run.dumpState = value; break;
    case '--dump-memory': run.dumpMemory.push(parseRange(value)); break;
    case '--kernel': run.kernel = value; break;
    case '--append': run.append = value; break;
    case '--initrd': run.initrd = value; break;
    case '--module': run.modules.push(value); break;
    case '--bios': run.bios = value; break;
    case '--memory': run.memory = value; break;
    default: run.vcpus = value;
  }
}

function isTraceKind(text: string): text is TraceKind {
  return TRACE_KINDS.includes(text);
}

function checkTogether(run: RunArguments): void {
  const direct: [string, unknown][] = [
    ['--kernel', run.kernel], ['--bios', run.bios], ['--append', run.append], ['--initrd', run.initrd], ['--memory', run.memory],
    ['--vcpus', run.vcpus], ['--module', run.modules[0] ?? null],
  ];
  if (run.config !== null) {
    const given = direct.find(([, value]) => value !== null);
    if (given !== undefined) throw new UsageError(`${given[0]} is for running without a configuration; use --set with one`);
  } else if (run.kernel !== null && run.bios !== null) {
    throw new UsageError('--kernel and --bios exclude each other');
  } else if (run.kernel === null && run.bios === null) {
    throw new UsageError('nothing to run: name a demo or a configuration, or give --kernel or --bios');
  }
  if (run.bios !== null && (run.append !== null || run.initrd !== null || run.modules.length > 0)) {
    throw new UsageError('--append, --initrd and --module belong to --kernel');
  }
  if (run.dumpMemory.length > 0 && run.dumpState === null) throw new UsageError('--dump-memory needs --dump-state, which names its files');
  if (run.engine === 'both') checkForBoth(run);
  const terminals = [...run.serial.values()].filter((target) => target.kind === 'stdio');
  if (terminals.length > 1) throw new UsageError('only one serial port can be connected to the terminal');
}

/** What a run with two machines does not do. */
function checkForBoth(run: RunArguments): void {
  const given: [string, boolean][] = [
    ['--trace', run.trace.size > 0], ['--break', run.breakpoints.length > 0], ['--exits', run.exits], ['--dump-state', run.dumpState !== null], ['--screenshot', run.screenshots.length > 0], ['--screen-text', run.screenTexts.length > 0],
    ['a screen in --until and --send', [...run.sends, ...run.until === null ? [] : [run.until]].some(({ level }) => level === 'vga' || level === 'l2vga')],
  ];
  const found = given.find(([, isGiven]) => isGiven);
  if (found !== undefined) throw new UsageError(`${found[0]} is for a run with one engine, not for --engine both`);
}

function takeSerial(run: RunArguments, value: string): void {
  const found = /^([0-3]|l2|l3)=(stdio|file:(.+))$/s.exec(value);
  if (found === null) throw new UsageError(`--serial ${value}: N=stdio or N=file:PATH with N from 0 to 3`);
  const [, port, target, path] = found;
  const isGuest = port === 'l2' || port === 'l3';
  if (isGuest && target === 'stdio') throw new UsageError(`--serial ${port} can only be written to a file`);
  const key = isGuest ? port : Number(port);
  if (run.serial.has(key)) throw new UsageError(`--serial ${port} is given twice`);
  run.serial.set(key, path === undefined ? { kind: 'stdio' } : { kind: 'file', path });
}

function parseLevel(option: string, value: string): { level: ConsoleLevel; rest: string } {
  const found = /^([a-z0-9]+):(.*)$/s.exec(value);
  const level = CONSOLES.find((name) => name === found?.[1]);
  if (found === null || level === undefined) throw new UsageError(`${option} ${value}: must start with ${CONSOLES.map((name) => `${name}:`).join(', ')}`);
  return { level, rest: found[2] };
}

/** FILE, or l2=FILE. */
function parseScreenFile(value: string): ScreenFile {
  const guest = value.startsWith('l2=');
  return { screen: guest ? 'l2' : 'l1', path: guest ? value.slice('l2='.length) : value };
}

function parsePattern(option: string, text: string): RegExp {
  if (text === '') throw new UsageError(`${option}: an empty regular expression`);
  try {
    return new RegExp(text, 'm');
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseWatch(option: string, value: string): Watch {
  const { level, rest } = parseLevel(option, value);
  return { level, pattern: parsePattern(option, rest) };
}

/** LEVEL:TEXT@REGEX, or INTO/LEVEL:TEXT@REGEX; the first @ that is not escaped separates. */
function parseSend(value: string): Send {
  const other = /^([a-z0-9]+)\/(?=[a-z0-9]+:)/.exec(value);
  const { level, rest } = parseLevel('--send', other === null ? value : value.slice(other[0].length));
  const into = other === null ? level : CONSOLES.find((name) => name === other[1]);
  if (into === undefined) throw new UsageError(`--send ${value}: ${other?.[1]} is no console`);
  const found = /^((?:[^\\@]|\\.)*)@(.*)$/s.exec(rest);
  if (found === null) throw new UsageError(`--send ${value}: TEXT@REGEX is expected after ${level}:`);
  return { level, into, text: unescape(found[1]), pattern: parsePattern('--send', found[2]) };
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', e: '\x1b', '\\': '\\', '@': '@' };

function unescape(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const piece of text.match(/\\x[0-9a-fA-F]{2}|\\.|[^\\]+/gs) ?? []) {
    if (/^\\x..$/s.test(piece)) bytes.push(Number.parseInt(piece.slice(2), 16));
    else if (piece.startsWith('\\')) {
      const plain = ESCAPES[piece[1]];
      if (plain === undefined) throw new UsageError(`--send: unknown escape \`${piece}\``);
      bytes.push(plain.charCodeAt(0));
    } else bytes.push(...new TextEncoder().encode(piece));
  }
  return Uint8Array.from(bytes);
}

const UNITS: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

function parseCount(option: string, value: string): number {
  const found = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(value.replaceAll('_', ''));
  const count = found === null ? Number.NaN : Number(found[1]) * UNITS[found[2]];
  if (!(count >= 1)) throw new UsageError(`${option} ${value}: a number of instructions is expected`);
  return Math.floor(count);
}

function parseSeconds(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(seconds > 0)) throw new UsageError(`--timeout ${value}: a number of seconds is expected`);
  return seconds;
}

/** START:LEN, decimal or 0x hexadecimal. */
function parseRange(value: string): { start: number; length: number } {
  const found = /^(0x[0-9a-f]+|\d+):(0x[0-9a-f]+|\d+)$/i.exec(value);
  const start = Number(found?.[1]), length = Number(found?.[2]);
  if (found === null || start > 2 ** 40 || length < 1 || length > 2 ** 30) throw new UsageError(`--dump-memory ${value}: START:LEN is expected, up to 1 GiB`);
  return { start, length };
}

function parseEngine(value: string): RunArguments['engine'] {
  if (value !== 'interpreter' && value !== 'jit' && value !== 'both') throw new UsageError(`--engine ${value}: interpreter, jit or both is expected`);
  return value;
}
