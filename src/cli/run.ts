/** `nestbox run`: a session under the control of a command line. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { clockNow, idleCycles } from '../cpu/clock';
import { setTieringClock } from '../cpu/engine/tiering';
import { useSecondTier } from '../cpu/run';
import { physReadBytes } from '../cpu/mmu/physical';
import { applySetting, interpretSettings, parseXlConfig } from '../machine/config';
import type { MachineConfig, XlSettings } from '../machine/config';
import { Session } from '../machine/session';
import { keyFor } from '../machine/us-keyboard';
import { Inspector } from '../observe/inspector';
import { setBreakpoints, takeStop } from '../observe/stops';
import { exitTable } from './breakpoints';
import type { ConsoleLevel, RunArguments } from './arguments';
import { ConsoleWatch } from './console-watch';
import { cpuState, cpuStateText } from './cpu-state';
import { imageSource, readConfigFile } from './files';
import { exitOf } from './ending';
import type { Ending } from './ending';
import { runBoth } from './lockstep/run-both';
import { SerialOutputs, writeOutput } from './outputs';
import { screenPicture, screenText } from './screens';
import { connectTerminal } from './terminal';
import { nextInstruction, traceExits, traceIo } from './trace';
import { EXIT_CRASHED, UsageError } from './usage';

/** Virtual cycles between looks at consoles and limits. Fixed, so that typed text arrives at the same instant in every run. */
const STEP_CYCLES = 1_000_000;
/** Real time between turns of the event loop. */
const TURN_MS = 40;
/** Between looks for input while the guest waits for it. */
const WAIT_MS = 10;
/** Consoles of the machine's serial ports. */
const PORT_LEVELS: readonly ConsoleLevel[] = ['l1', 'com2', 'com3', 'com4'];
const EVERY_RUN_WITHOUT_CONFIG = 'nestedhvm = 1\ntype = "hvm"\n';

/** Quotes a string for xl.cfg. */
function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** The settings that --kernel, --bios and their companions amount to. */
function directSettings(run: RunArguments): XlSettings {
  const settings = parseXlConfig(EVERY_RUN_WITHOUT_CONFIG, 'command line');
  const set = (key: string, value: string): void => applySetting(settings, `${key}=${value}`, `--${key}`);
  if (run.kernel !== null) set('kernel', quote(run.kernel));
  if (run.bios !== null) set('bios_path_override', quote(run.bios));
  if (run.append !== null) set('cmdline', quote(run.append));
  const modules = [...(run.initrd === null ? [] : [`"${run.initrd}"`]), ...run.modules];
  if (modules.length > 0) set('ramdisk', `[${modules.map(quote).join(', ')}]`);
  if (run.memory !== null) set('memory', run.memory);
  if (run.vcpus !== null) set('vcpus', run.vcpus);
  return settings;
}

function readConfig(run: RunArguments): { config: MachineConfig; path: string | null } {
  let settings: XlSettings;
  let path: string | null = null;
  if (run.config === null) {
    settings = directSettings(run);
  } else {
    const file = readConfigFile(run.config);
    path = file.path;
    settings = parseXlConfig(file.text, path);
  }
  for (const text of run.set) applySetting(settings, text, '--set');
  return { config: interpretSettings(settings, path ?? 'command line'), path };
}

class Run {
  private readonly args: RunArguments;
  private readonly session: Session;
  private readonly serial: SerialOutputs;
  private readonly watch: ConsoleWatch;
  private quit = false;
  /** The terminal's keys reach the guest. */
  private listening = false;
  private readonly inspector = new Inspector();
  /** Texts typed by --send so far. */
  private typed = 0;
  private started = 0;

  constructor(args: RunArguments, config: MachineConfig, path: string | null) {
    this.args = args;
    this.serial = new SerialOutputs(args);
    this.watch = new ConsoleWatch(args.sends, args.until);
    this.session = new Session(config, imageSource(path), {
      serial: (port, byte) => {
        this.watch.add(PORT_LEVELS[port], byte);
        this.serial.write(port, byte);
      },
      observed: (console, byte) => {
        if (console.level !== 2 && console.level !== 3) return;
        const level = console.level === 2 ? 'l2' : 'l3';
        this.watch.add(level, byte);
        this.serial.write(level, byte);
      },
      debugText: (byte) => process.stderr.write(Uint8Array.of(byte)),
      log: (text) => process.stderr.write(`nestbox: ${text}\n`),
    });
  }

  async main(): Promise<number> {
    useSecondTier(this.args.engine === 'jit');
    setTieringClock(() => performance.now());
    const begin = performance.now();
    await this.session.boot();
    await sleep(Math.max(0, this.session.warmUpMs - (performance.now() - begin)));
    const trace = (line: string): boolean => process.stderr.write(`${line}\n`);
    if (this.args.trace.has('exits')) traceExits(trace);
    if (this.args.trace.has('io')) traceIo(trace);
    setBreakpoints(this.args.breakpoints);
    if (this.args.exits) this.inspector.recorder.start();
    const disconnect = this.connectInput();
    this.started = performance.now();
    let ending: Ending;
    try {
      ending = await this.loop();
    } finally {
      disconnect();
      this.serial.close();
    }
    const wallSeconds = (performance.now() - this.started) / 1000;
    const code = this.report(ending);
    this.writeResults(code, wallSeconds);
    return code;
  }

  /** Keys go to the port that is shown, if this is a terminal or it was asked for. */
  private connectInput(): () => void {
    const port = this.serial.terminal;
    if (port === null || (this.args.serial.size === 0 && !process.stdin.isTTY)) return () => undefined;
    this.listening = true;
    return connectTerminal((bytes) => this.session.sendSerial(port, bytes), () => {
      this.quit = true;
    });
  }

  private async loop(): Promise<Ending> {
    const { session, args } = this;
    const instructionTrace = args.trace.has('instructions');
    const deadline = this.started + args.timeoutSeconds * 1000;
    let turn = this.started;
    let idle = idleCycles();
    for (;;) {
      const left = args.maxInstructions - session.instructions;
      if (left <= 0) return 'instruction limit';
      const outcome = instructionTrace ? this.traced(Math.min(left, STEP_CYCLES)) : session.run(Math.min(left, STEP_CYCLES - (clockNow() % STEP_CYCLES)));
      this.serial.flush();
      const stop = takeStop();
      if (stop !== null) {
        process.stderr.write(`nestbox: ${stop.text}, after ${stop.instructions} instructions, in L${stop.level} on vCPU ${stop.vcpu}\n${nextInstruction().line}\n${cpuStateText()}\n`);
        return 'breakpoint';
      }
      const typed = this.typed;
      for (const level of this.watch.screens) this.watch.show(level, screenText(session, level === 'vga' ? 'l1' : 'l2'));
      if (this.watch.check((level, text) => this.type(level, text))) return 'matched';
      // A guest that waits for input which nobody can give has come to its end.
      const waiting = session.waiting && this.typed === typed;
      if (outcome !== 'running' || (waiting && !this.listening)) return 'guest';
      const now = performance.now();
      if (now >= deadline) return 'time limit';
      if (this.quit) return 'quit';
      if (waiting) await sleep(WAIT_MS);
      else if (now - turn < TURN_MS && idleCycles() - idle < session.config.tscHz / 50) continue;
      else await this.pace(idleCycles() - idle);
      idle = idleCycles();
      turn = performance.now();
    }
  }

  /** Gives way to input; at a terminal an idle guest's time passes no faster than real time. */
  private async pace(idle: number): Promise<void> {
    const interactive = this.serial.terminal !== null && process.stdin.isTTY;
    if (interactive && idle > 0) await sleep(Math.min(100, (idle / this.session.config.tscHz) * 1000));
    else await nextTurn();
  }

  private traced(instructions: number): string {
    const { session } = this;
    for (let n = 0; n < instructions && !session.waiting; n++) {
      const idle = session.cyclesUntilEvent;
      if (idle === 0) process.stderr.write(`${nextInstruction().line}\n`);
      const outcome = session.run(Math.min(Math.max(1, idle), STEP_CYCLES));
      if (outcome !== 'running') return outcome;
    }
    return 'running';
  }

  private type(level: ConsoleLevel, text: Uint8Array): void {
    this.typed++;
    if (level === 'l2' || level === 'l3') this.session.sendToGuest(level === 'l2' ? 2 : 3, text);
    else if (level === 'vga' || level === 'l2vga') this.typeKeys(level, text);
    else this.session.sendSerial(PORT_LEVELS.indexOf(level), text);
  }

  /** Presses and releases keys of the machine's keyboard, or of its guest's. */
  private typeKeys(level: 'vga' | 'l2vga', text: Uint8Array): void {
    for (const byte of text) {
      const press = keyFor(String.fromCharCode(byte));
      if (press === null) continue;
      if (press.shift) this.key(level, 'ShiftLeft', true);
      this.key(level, press.code, true);
      this.key(level, press.code, false);
      if (press.shift) this.key(level, 'ShiftLeft', false);
    }
  }

  private key(level: 'vga' | 'l2vga', code: string, down: boolean): void {
    const { session } = this;
    if (level === 'vga') session.key(code, down);
    else if (session.config.l2Monitor !== null) session.sendSerial(session.config.l2Monitor, new TextEncoder().encode(session.guestKey(code, down)));
  }

  /** Says how it ended and chooses the exit code. */
  private report(ending: Ending): number {
    const { debugExit, outcome, instructions } = this.session;
    const { code, text } = exitOf(ending, this.args, this.watch.missing, { outcome, debugExit, instructions });
    if (text !== '') process.stderr.write(`nestbox: ${text}\n`);
    if (code === EXIT_CRASHED) process.stderr.write(`${cpuStateText()}\n`);
    return code;
  }

  private writeResults(exitCode: number, wallSeconds: number): void {
    const { args, session } = this;
    if (args.exits) process.stderr.write(exitTable(this.inspector));
    if (args.stats !== null) {
      const stats = session.stats();
      const mips = wallSeconds > 0 ? stats.instructions.total / wallSeconds / 1e6 : 0;
      const { user, system } = process.cpuUsage();
      writeOutput(args.stats, `${JSON.stringify({ exitCode, ...stats, wallSeconds, cpuSeconds: (user + system) / 1e6, mips }, null, 2)}\n`);
    }
    for (const { screen, path } of args.screenshots) writeOutput(path, screenPicture(session, screen));
    for (const { screen, path } of args.screenTexts) writeOutput(path, screenText(session, screen));
    if (args.dumpState === null) return;
    const memory = args.dumpMemory.map(({ start, length }) => {
      const bytes = new Uint8Array(length);
      physReadBytes(start, bytes);
      const file = `${args.dumpState}.${start.toString(16)}.bin`;
      writeOutput(file, bytes);
      return { start, length, file };
    });
    writeOutput(args.dumpState, `${JSON.stringify({ ...cpuState(), memory }, null, 2)}\n`);
  }
}

export async function runCommand(args: RunArguments): Promise<number> {
  const { config, path } = readConfig(args);
  for (const { line, key, message } of config.warnings) {
    process.stderr.write(`nestbox: warning: ${path ?? 'command line'}${line > 0 ? `:${line}` : ''}: ${key}: ${message}\n`);
  }
  for (const [level, port] of [['l2', config.l2Serial], ['l3', config.l3Serial]] as const) {
    if (port !== null || !args.sends.some((send) => send.into === level)) continue;
    throw new UsageError(`--send ${level}: the configuration does not say which serial port is wired to the guest (nestbox_${level}_serial)`);
  }
  return args.engine === 'both' ? runBoth(args, config, path) : new Run(args, config, path).main();
}
