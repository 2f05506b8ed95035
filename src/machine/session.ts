/**
 * One run of a configured machine, for whoever drives it (the command line, the worker): files in, bytes out, and time in
 * portions of virtual cycles. There is one session per realm.
 */
import { clockNow, instructionCount, resetClock } from '../cpu/clock';
import { buildEngine, RUN_IDLE } from '../cpu/run';
import { runMachine } from '../cpu/scheduler';
import { HALTED, WAIT_FOR_SIPI } from '../cpu/reset';
import { ACTIVITY, EFLAGS, F_IF, SIGNALS, SIG_INIT, SIG_NMI, SIG_SIPI, VMX_MODE, VMX_NON_ROOT } from '../cpu/state';
import { someVcpuActive, vcpuCount, vcpuWords } from '../cpu/vcpus';
import { scanCodes } from '../devices/ps2-scan-codes';
import type { Vga } from '../devices/vga/vga';
import { exitCounts } from '../observe/exit-log';
import { exitReasonName } from '../observe/exit-names';
import { instructionsAtLevel, levelNow, resetGuests } from '../observe/guests';
import { GuestMachines } from '../observe/guest-machines';
import { GuestScreens } from '../observe/guest-screens';
import { L2Consoles } from '../observe/l2-consoles';
import type { GuestConsole } from '../observe/l2-consoles';
import { resetStops, watched } from '../observe/stops';
import { buildBuiltin } from '../guests/builtin';
import type { BuiltinSources } from '../guests/builtin';
import { ConfigError } from './config';
import type { MachineConfig } from './config';
import { ConsoleHash } from './console-hash';
import { leaveFirmwareState } from './firmware';
import { leaveScreen } from './firmware-screen';
import { DEFAULT_RTC_START } from './layout';
import { loadImage } from './loaders';
import { applyEntryState } from './loaders/entry-state';
import { LoadError } from './loaders/load-error';
import type { BootFile, BootModule } from './loaders/boot-request';
import { loadRom } from './loaders/rom';
import type { RomImage } from './loaders/rom';
import { createMachine } from './machine';
import { MonitorInput } from './monitor-input';
import type { Machine, MachineState, StopReason } from './machine';
import { rewind, takeSnapshot } from './snapshot';
import type { MachineSnapshot } from './snapshot';

/** Gets a file that a configuration names; throws with a message for people if there is none. */
export type ImageSource = (name: string) => Promise<Uint8Array>;

export interface SessionOutputs {
  /** A byte from one of the machine's serial ports (0 = COM1). */
  serial(port: number, byte: number): void;
  /** A byte of a guest machine's console: of its first serial port as observed from outside, or through the port that L1 connects to it. */
  observed(console: GuestConsole, byte: number): void;
  /** A byte of the debug text ports. */
  debugText(byte: number): void;
  /** Something people may want to know. */
  log(text: string): void;
}

/** `halted`: the processor halts and nothing can wake it. */
export type Outcome = 'running' | 'halted' | StopReason;

export interface SessionStats {
  outcome: Outcome;
  /** Retired instructions: in all, and by level (l1, l2, ...) as far as there were any. */
  instructions: Record<string, number>;
  /** VM exits by reason. */
  exits: Record<string, number>;
  guestSeconds: number;
  /** Value written to the debug-exit port. */
  debugExit: number | null;
  /** Console of L1 (its COM1), of its guests (`l2`), and of theirs (`l3`) if there are any: bytes and FNV-1a hash. */
  consoles: Record<'l1' | 'l2', { bytes: number; hash: string }> & { l3?: { bytes: number; hash: string } };
}

export interface SessionSnapshot {
  machine: MachineSnapshot;
  outcome: Outcome;
  waiting: boolean;
  debugExit: number | null;
}

/** Ends the observations of the session before. */
let stopObserving: () => void = () => undefined;

const COM1 = 0;
/**
 * Real time, in milliseconds from the start of `boot()`, that V8 should be given to optimise the engine before the first instruction: until then it runs the
 * interpreter ten times slower, and compiles it twice.
 */
export const WARM_UP_MS = 900;
/** With so many bytes of files a boot is long enough for that to pay; smaller guests show something at once, however slowly. */
const LONG_BOOT_BYTES = 4 << 20;

/** A guest of L1, and a guest of that. */
const L2 = 2, L3 = 3;
/** Levels that statistics tell apart. */
const LEVELS = 7;

interface LoadedFiles {
  kernel: BootFile | null;
  modules: BootModule[];
}

interface Firmware {
  rom: RomImage | null;
  /** What firmware runs for the display adapter. */
  vgaBios: Uint8Array | null;
}

export class Session {
  readonly config: MachineConfig;
  /** The machines that L1 and its guests run. */
  readonly guests = new GuestMachines();
  private readonly guestScreens = new GuestScreens(this.guests);
  private readonly guestInput = new MonitorInput();
  debugExit: number | null = null;
  /** Real time from the start of `boot()` to wait before the first instruction. */
  warmUpMs = 0;
  private readonly images: ImageSource;
  private readonly outputs: SessionOutputs;
  private readonly sources: Partial<BuiltinSources>;
  private machine: Machine | null = null;
  private state: Outcome = 'running';
  private idle = false;
  private readonly hashes = { l1: new ConsoleHash(), l2: new ConsoleHash(), l3: new ConsoleHash() };

  /** `sources`: what `kernel = "builtin"` is assembled from, where it differs from the program's own. */
  constructor(config: MachineConfig, images: ImageSource, outputs: SessionOutputs, sources: Partial<BuiltinSources> = {}) {
    this.config = config;
    this.images = images;
    this.outputs = outputs;
    this.sources = sources;
  }

  get outcome(): Outcome {
    return this.state;
  }

  /** The processor halts, nothing is scheduled, and only input from outside can wake it: running on is of no use before there is some. */
  get waiting(): boolean {
    return this.idle && this.state === 'running';
  }

  /** While every processor halts: virtual cycles until the next device event (Infinity if there is none); else 0. */
  get cyclesUntilEvent(): number {
    return someVcpuActive() ? 0 : Math.max(0, this.running().nextDeadline() - clockNow());
  }

  /**
   * Builds the machine, reads the files and loads them, ready for the first instruction. The engine comes first: V8 optimises it in the background while
   * files are read.
   */
  async boot(): Promise<void> {
    const firmware = await this.readFirmware();
    const machine = this.build(firmware);
    buildEngine();
    const files = await this.readFiles();
    const bytes = [files.kernel, ...files.modules].reduce((sum, file) => sum + (file?.bytes.length ?? 0), 0);
    this.warmUpMs = bytes >= LONG_BOOT_BYTES ? WARM_UP_MS : 0;
    this.machine = machine;
    exitCounts.fill(0);
    resetGuests();
    resetStops();
    this.observe();
    // Building the engine executes code; power-on is now.
    resetClock();
    machine.loader = () => this.load(machine, firmware, files);
    machine.reset();
  }

  /** Runs for up to `cycles` of virtual time, or to where observe/stops.ts is asked to stop. */
  run(cycles: number): Outcome {
    const machine = this.running();
    if (this.state !== 'running') return this.state;
    this.idle = runMachine(watched(machine), cycles) === RUN_IDLE;
    if (machine.stopped) this.state = machine.reason ?? 'power-off';
    else if (haltedForGood()) this.state = 'halted';
    return this.state;
  }

  /** Types bytes into one of the machine's serial ports. */
  sendSerial(port: number, bytes: ArrayLike<number>): void {
    this.running().serialInput(port, bytes);
  }

  /** Types bytes into the serial port of the machine that leads to the console of its guest, or of that one's guest; false if the configuration names none. */
  sendToGuest(level: 2 | 3, bytes: ArrayLike<number>): boolean {
    const port = level === L2 ? this.config.l2Serial : this.config.l3Serial;
    if (port === null) return false;
    this.sendSerial(port, bytes);
    return true;
  }

  /** A key of the machine's keyboard goes down or up, by its position as in the UI Events specification (`KeyA`, `Enter`); false if there is no such key. */
  key(code: string, down: boolean): boolean {
    const codes = scanCodes(code, down);
    if (codes === null) return false;
    this.running().i8042.keys(codes);
    return true;
  }

  /** The mouse: movement right, up and of the wheel towards the user; buttons held: left 1, right 2, middle 4. */
  mouse(dx: number, dy: number, dz: number, buttons: number): void {
    this.running().i8042.moveMouse(dx, dy, dz, buttons);
  }

  /** What to send to the guest's monitor (serial port config.l2Monitor) so that a key of the guest's keyboard goes down or up; empty if nothing. */
  guestKey(code: string, down: boolean): string {
    return this.guestInput.key(code, down);
  }

  /** The same for the guest's mouse; as mouse(). */
  guestMouse(dx: number, dy: number, dz: number, buttons: number): string {
    return this.guestInput.mouse(dx, dy, dz, buttons);
  }

  /** The display adapter of guest machine `number` as L0 sees it; null if it has used none, or is not there. */
  guestVga(number: number): Vga | null {
    const machine = this.guests.all().find((known) => known.number === number);
    return machine === undefined ? null : this.guestScreens.of(machine);
  }

  /** The machine's display adapter; null if it has none. */
  get vga(): Vga | null {
    return this.running().vga;
  }

  /** Instructions retired since power-on. */
  get instructions(): number {
    return instructionCount();
  }

  /** Virtual time since power-on, in seconds. */
  get guestSeconds(): number {
    return clockNow() / this.config.tscHz;
  }

  /** Level that executes now: 1 for the machine's own software. */
  get level(): number {
    return levelNow();
  }

  /** The machine as it is, for rewind(). */
  snapshot(): SessionSnapshot {
    return { machine: takeSnapshot(this.running()), outcome: this.state, waiting: this.idle, debugExit: this.debugExit };
  }

  /** Goes back to a snapshot of this session. What was put out since stays put out. */
  rewind({ machine, outcome, waiting, debugExit }: SessionSnapshot): void {
    rewind(this.running(), machine);
    this.state = outcome;
    this.idle = waiting;
    this.debugExit = debugExit;
  }

  /** State of the devices, as they save it. */
  deviceState(): MachineState {
    return this.running().save();
  }

  stats(): SessionStats {
    const instructions: Record<string, number> = { total: this.instructions };
    for (let level = 1; level <= LEVELS; level++) {
      const count = instructionsAtLevel(level);
      if (count > 0) instructions[`l${level}`] = count;
    }
    const exits: Record<string, number> = {};
    exitCounts.forEach((count, reason) => {
      if (count > 0) exits[exitReasonName(reason)] = count;
    });
    const console = (hash: ConsoleHash): { bytes: number; hash: string } => ({ bytes: hash.bytes, hash: hash.hex });
    return {
      outcome: this.state, instructions, exits, guestSeconds: this.guestSeconds, debugExit: this.debugExit,
      consoles: { l1: console(this.hashes.l1), l2: console(this.hashes.l2), ...(this.hashes.l3.bytes > 0 && { l3: console(this.hashes.l3) }) },
    };
  }

  /** Listens to what L1's guests do, in place of an earlier session. */
  private observe(): void {
    stopObserving();
    const consoles = new L2Consoles((console, byte) => this.guestOutput(console, byte), this.guests);
    if (!this.config.l2Wired) consoles.attach();
    this.guestScreens.attach();
    stopObserving = () => {
      consoles.detach();
      this.guestScreens.detach();
    };
  }

  /** Powers the machine on. */
  private build(firmware: Firmware): Machine {
    const { config } = this;
    try {
      return createMachine({
        memoryMb: config.memoryMiB, vcpus: config.vcpus, tscHz: config.tscHz, acpi: config.acpi, hpet: config.hpet, apic: config.apic,
        rtcStart: DEFAULT_RTC_START + config.rtcOffset, hap: config.ept, nestedhvm: config.nestedVmx, cpuid: config.cpuid,
        msrRelaxed: config.msrRelaxed, perfGlobalControl: config.perfGlobalControl,
        videoMb: config.display?.videoMiB ?? 0, vgaBios: firmware.vgaBios, rom: firmware.rom,
        onReboot: config.restartOnReset ? 'restart' : 'stop', onCrash: 'stop',
      }, {
        serialOutput: (port, byte) => this.serialOutput(port, byte),
        debugText: (byte) => this.outputs.debugText(byte),
        debugExit: (value) => {
          this.debugExit = value;
        },
        poweredOff: () => undefined,
        log: (text) => this.outputs.log(text),
      });
    } catch (error) {
      // The one thing a checked configuration can ask for in vain.
      if (!(error instanceof RangeError)) throw error;
      throw new ConfigError(config.name || 'configuration', 0, 'memory', `${config.memoryMiB} MiB cannot be had here (${error.message})`);
    }
  }

  private running(): Machine {
    if (this.machine === null) throw new Error('the session was not booted');
    return this.machine;
  }

  private serialOutput(port: number, byte: number): void {
    if (port === COM1) this.hashes.l1.add(byte);
    if (this.config.l2Wired && port === this.config.l2Serial) this.guestOutput(this.wiredGuest(), byte);
    this.outputs.serial(port, byte);
  }

  /** The guest whose console L1 passes on: the one that it started last. */
  private wiredGuest(): GuestConsole {
    return { machine: this.guests.all().findLast((machine) => machine.level === L2)?.number ?? 1, level: L2 };
  }

  private guestOutput(console: GuestConsole, byte: number): void {
    if (console.level === L2) this.hashes.l2.add(byte);
    else if (console.level === L3) this.hashes.l3.add(byte);
    this.outputs.observed(console, byte);
  }

  /** What has to be there before the machine is built. */
  private async readFirmware(): Promise<Firmware> {
    const { boot, display } = this.config;
    if (boot.kind !== 'rom') return { rom: null, vgaBios: null };
    const rom = loadRom({ name: boot.image, bytes: await this.images(boot.image) });
    return { rom, vgaBios: display === null ? null : await this.images(display.bios) };
  }

  private async readFiles(): Promise<LoadedFiles> {
    const boot = this.config.boot;
    if (boot.kind === 'builtin') return builtinFiles(this.sources);
    if (boot.kind === 'rom') return { kernel: null, modules: [] };
    const kernel = { name: boot.kernel, bytes: await this.images(boot.kernel) };
    const modules: BootModule[] = [];
    for (const { file, args } of boot.modules) modules.push({ name: file, args, bytes: await this.images(file) });
    return { kernel, modules };
  }

  /** After every reset: memory and vCPU 0 as the loader of the configured software leaves them. */
  private load(machine: Machine, firmware: Firmware, files: LoadedFiles): void {
    if (firmware.rom !== null) applyEntryState(firmware.rom.entry);
    if (files.kernel === null) return;
    const { vcpus, acpi, apic, hpet, boot } = this.config;
    const tables = leaveFirmwareState({ vcpus, acpi, apic, hpet });
    const screen = machine.vga === null ? null : leaveScreen(machine.vga, boot.kind === 'kernel' ? boot.cmdline : '');
    applyEntryState(loadImage({
      kernel: files.kernel, modules: files.modules, cmdline: boot.kind === 'kernel' ? boot.cmdline : '', rsdp: tables.rsdp,
      rsdpBytes: tables.rsdpBytes, screen,
    }, machine.loadMemory));
  }
}

function builtinFiles(sources: Partial<BuiltinSources>): LoadedFiles {
  const images = buildBuiltin(sources);
  if (!images.ok) throw new LoadError('builtin', images.errors.map(({ source, line, message }) => `${source} line ${line}: ${message}`).join('\n'));
  return { kernel: { name: 'l1', bytes: images.kernel }, modules: [{ name: 'l2', args: '', bytes: images.module }] };
}

/**
 * Every processor has executed HLT with interrupts off, or waits for a start-up IPI, and no NMI or INIT is on its way. (Non-root operation is left
 * alone: there the hypervisor's interrupts end a halt whatever the guest's flags say.)
 */
function haltedForGood(): boolean {
  for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) {
    const words = vcpuWords(vcpu);
    const sleeps = words[ACTIVITY] === WAIT_FOR_SIPI || (words[ACTIVITY] === HALTED && (words[EFLAGS] & F_IF) === 0);
    if (!sleeps || words[VMX_MODE] === VMX_NON_ROOT || (words[SIGNALS] & (SIG_NMI | SIG_INIT | SIG_SIPI)) !== 0) return false;
  }
  return true;
}
