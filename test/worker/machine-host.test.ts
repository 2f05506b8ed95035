/** The worker's driver with a session, a clock and timers that the test controls. */
import { describe, expect, it } from 'vitest';
import { readMachineConfig } from '../../src/machine/config';
import { LoadError } from '../../src/machine/loaders/load-error';
import type { ImageSource, Outcome, SessionOutputs, SessionStats } from '../../src/machine/session';
import type { GuestMachine } from '../../src/observe/guest-machines';
import { enterTextMode } from '../../src/devices/vga/text-mode';
import { Vga } from '../../src/devices/vga/vga';
import { VideoMemory } from '../../src/devices/vga/video-memory';
import { MachineHost } from '../../src/worker/machine-host';
import type { HostedSession, HostServices } from '../../src/worker/machine-host';
import { DownloadError } from '../../src/worker/problems';
import type { Stop } from '../../src/observe/stops';
import type { Report } from '../../src/worker/protocol';

const CONFIG = 'kernel = "images/kernel"\nramdisk = "images/initrd"\nmemory = 64\nnestbox_l2_serial = 1\n';

const STOP: Stop = { cause: 'pause', breakpoint: null, text: 'paused', instructions: 7, level: 1, vcpu: 0, linear: '0000000000001234' };

/** 50 million instructions per second; idles while `busy` is false. */
class FakeSession implements HostedSession {
  outcome: Outcome = 'running';
  instructions = 0;
  guestSeconds = 0;
  level = 1;
  debugExit: number | null = null;
  waiting = false;
  busy = true;
  l2Instructions = 0;
  readonly config = { l2Serial: 1, l3Serial: 2, l2Monitor: 2 };
  vga: Vga | null = null;
  readonly machines: GuestMachine[] = [];
  readonly over = new Set<GuestMachine>();
  readonly guests = { all: () => this.machines, stopped: (machine: GuestMachine) => this.over.has(machine) };
  readonly typed: string[] = [];
  /** What happens in the next run. */
  next: (() => void) | null = null;
  readonly world: World;
  readonly images: ImageSource;
  readonly outputs: SessionOutputs;

  constructor(world: World, images: ImageSource, outputs: SessionOutputs) {
    this.world = world;
    this.images = images;
    this.outputs = outputs;
  }

  readonly warmUpMs = 0;

  async boot(): Promise<void> {
    await this.images('images/kernel');
    await this.images('images/initrd');
  }

  run(cycles: number): Outcome {
    this.next?.();
    this.next = null;
    this.guestSeconds += cycles / 1e9;
    if (this.busy) {
      this.instructions += cycles;
      this.world.time += cycles / 50_000;
    } else this.world.time += 0.05;
    return this.outcome;
  }

  sendSerial(port: number, bytes: ArrayLike<number>): void {
    this.typed.push(`${port}:${String.fromCharCode(...Array.from(bytes))}`);
  }

  guestVga(): Vga | null {
    return null;
  }

  key(code: string, down: boolean): boolean {
    this.typed.push(`${code} ${down ? 'down' : 'up'}`);
    return true;
  }

  mouse(...movement: number[]): void {
    this.typed.push(`mouse ${movement.join(' ')}`);
  }

  guestKey(code: string, down: boolean): string {
    return down ? `sendkey ${code}\n` : '';
  }

  guestMouse(): string {
    return 'mouse\n';
  }

  stats(): SessionStats {
    const l2 = this.l2Instructions;
    const console = { bytes: 0, hash: '' };
    return {
      outcome: this.outcome, instructions: { total: this.instructions, l1: this.instructions - l2, ...(l2 > 0 ? { l2 } : {}) },
      exits: { hlt: 3, 'io-instruction': 4 }, guestSeconds: this.guestSeconds, debugExit: null, consoles: { l1: console, l2: console },
    };
  }
}

class World {
  time = 0;
  /** Time of the call that was asked for. */
  wakeAt: number | null = null;
  vmxOn = false;
  session: FakeSession | null = null;
  readonly reports: Report[] = [];
  readonly downloads: string[] = [];
  stop: Stop | null = null;
  readonly wishes: string[] = [];
  readonly services: HostServices = {
    inspector: {
      setBreakpoints: (list) => this.wishes.push(`breakpoints ${list.length}`),
      resumeTowards: (goal) => this.wishes.push(`resume ${goal}`),
      takeStop: () => {
        const { stop } = this;
        this.stop = null;
        return stop;
      },
      stopHere: () => STOP,
      noteStop: () => this.wishes.push('note'),
      record: (on) => this.wishes.push(`record ${on}`),
      answer: () => ({ ask: 'histogram', rows: [] }),
    },
    createSession: (_config, images, outputs) => {
      this.session = new FakeSession(this, images, outputs);
      return this.session;
    },
    readConfig: readMachineConfig,
    download: (file, progress) => {
      this.downloads.push(file);
      progress(file, 1, 2);
      return Promise.resolve(new Blob([file]));
    },
    report: (report) => this.reports.push(report),
    vmxOn: () => this.vmxOn,
    takeTrouble: () => null,
    processorState: () => 'rip 1234',
    now: () => this.time,
    wake: (ms) => {
      this.wakeAt = this.time + ms;
    },
  };
  readonly host = new MachineHost(this.services);

  async start(text = CONFIG, known: ReadonlyMap<string, Blob> = new Map()): Promise<void> {
    await this.host.start({ name: 'test', config: text, images: known, sources: {}, paused: false });
  }

  /** Does what timers would do until then. */
  pass(ms: number): void {
    const end = this.time + ms;
    while (this.wakeAt !== null && this.wakeAt <= end) {
      this.time = Math.max(this.time, this.wakeAt);
      this.wakeAt = null;
      this.host.turn();
    }
    this.time = Math.max(this.time, end);
  }

  of<T extends Report['type']>(type: T): Extract<Report, { type: T }>[] {
    return this.reports.filter((report): report is Extract<Report, { type: T }> => report.type === type);
  }

  machine(): FakeSession {
    if (this.session === null) throw new Error('not started');
    return this.session;
  }
}

describe('MachineHost', () => {
  it('downloads, tells the stages in order, and runs at full speed while busy', async () => {
    const world = new World();
    await world.start();
    world.pass(1000);
    expect(world.downloads).toEqual(['images/kernel', 'images/initrd']);
    expect(world.of('image').map((report) => report.name)).toEqual(['images/kernel', 'images/initrd']);
    expect(world.machine().instructions).toBeGreaterThan(49_000_000);
    world.vmxOn = true;
    world.pass(50);
    world.machine().l2Instructions = 5;
    world.pass(50);
    world.machine().outputs.observed({ machine: 1, level: 2 }, 0x68);
    world.pass(50);
    const names = world.of('stage').map((report) => report.stage.name);
    expect(names).toEqual(['download', 'download', 'download', 'load', 'l1', 'vmx-on', 'launch', 'l2']);
    expect(world.of('statistics')[0].statistics.mips).toBeCloseTo(50, 0);
    expect(world.of('statistics').length).toBeGreaterThanOrEqual(4);
  });

  it('uses files that are known already', async () => {
    const world = new World();
    const blob = new Blob(['k']);
    await world.start(CONFIG, new Map([['images/kernel', blob]]));
    expect(world.downloads).toEqual(['images/initrd']);
  });

  it('lets an idle machine follow real time and shows it as idle', async () => {
    const world = new World();
    await world.start();
    world.machine().busy = false;
    world.pass(10_000);
    expect(world.machine().guestSeconds).toBeGreaterThan(9.8);
    expect(world.machine().guestSeconds).toBeLessThan(10.3);
    expect(world.of('statistics').at(-1)?.statistics.shares.idle).toBeGreaterThan(0.9);
  });

  it('sleeps while only input can wake the machine, and wakes for it at once', async () => {
    const world = new World();
    await world.start();
    const machine = world.machine();
    machine.busy = false;
    machine.waiting = true;
    world.pass(1000);
    expect(world.wakeAt ?? 0).toBeGreaterThan(world.time);
    world.host.input('l2', Uint8Array.of(0x61));
    world.host.input('l1', Uint8Array.of(0x62));
    expect(world.wakeAt).toBe(world.time);
    world.pass(1);
    expect(machine.typed).toEqual(['1:a', '0:b']);
  });

  it('types pasted text no faster than a serial line, and all of it even if time stands still between', async () => {
    const world = new World();
    await world.start();
    const machine = world.machine();
    const text = 'x'.repeat(1000);
    world.host.input('l1', new TextEncoder().encode(text));
    const before = machine.guestSeconds;
    while (machine.typed.join('').replaceAll('0:', '').length < 1000 && machine.guestSeconds < before + 5) world.pass(10);
    expect(machine.typed.map((one) => one.slice(2)).join('')).toBe(text);
    expect(machine.typed.every((one) => one.length <= 2 + 16)).toBe(true);
    expect(machine.guestSeconds - before).toBeGreaterThan((1000 - 16) / 11_520);
    // Only input can wake this one: its clock does not move.
    machine.typed.length = 0;
    machine.waiting = true;
    machine.run = () => 'running';
    world.host.input('l1', new TextEncoder().encode(text));
    world.pass(1000);
    expect(machine.typed.map((one) => one.slice(2)).join('')).toBe(text);
  });

  it('reports guest machines when they appear and when they are over, and gives those no keys', async () => {
    const world = new World();
    await world.start();
    const machine = world.machine();
    const first: GuestMachine = { number: 1, level: 2, guests: [] };
    machine.machines.push(first);
    world.pass(100);
    expect(world.of('machines').map((report) => report.machines)).toEqual([[{ number: 1, level: 2, since: expect.any(Number) as number, stoppedAt: null }]]);
    machine.machines.push({ number: 2, level: 3, guests: [] });
    machine.over.add(first);
    world.pass(100);
    const { machines } = world.of('machines').at(-1) ?? { machines: [] };
    expect(machines.map((one) => one.stoppedAt === null)).toEqual([false, true]);
    expect(world.of('machines')).toHaveLength(2);
    world.host.input('l2', Uint8Array.of(0x61));
    world.host.input('l2-2', Uint8Array.of(0x62));
    world.pass(20);
    expect(machine.typed).toEqual(['2:b']);
    machine.outputs.observed({ machine: 2, level: 3 }, 0x33);
    world.pass(50);
    expect(world.of('serial').map((report) => report.console)).toEqual(['l2-2']);
  });

  it('pauses, and no time passes for the machine', async () => {
    const world = new World();
    await world.start();
    world.pass(100);
    world.host.pause();
    world.pass(20);
    const { guestSeconds } = world.machine();
    world.pass(60_000);
    expect(world.machine().guestSeconds).toBe(guestSeconds);
    world.machine().busy = false;
    world.host.run();
    world.pass(10);
    expect(world.machine().guestSeconds - guestSeconds).toBeGreaterThan(0);
    expect(world.machine().guestSeconds - guestSeconds).toBeLessThan(0.2);
  });

  it('steps to a goal, pauses there, and says where', async () => {
    const world = new World();
    await world.start();
    world.pass(50);
    world.host.pause();
    expect(world.of('paused').map((report) => report.stop)).toEqual([STOP]);
    const machine = world.machine();
    // Reached at once: the page is not told that the machine runs.
    machine.next = () => {
      world.stop = { ...STOP, cause: 'step', text: 'one step' };
    };
    const { instructions } = machine;
    world.host.step('instruction');
    expect(world.of('paused').at(-1)?.stop.text).toBe('one step');
    expect(world.of('resumed')).toEqual([]);
    expect(machine.instructions).toBeGreaterThan(instructions);
    // Not reached soon: it runs on until it is.
    world.host.step('exit');
    expect(world.of('resumed').length).toBe(1);
    world.pass(100);
    machine.next = () => {
      world.stop = { ...STOP, cause: 'breakpoint', breakpoint: 3 };
    };
    world.pass(100);
    expect(world.of('paused').at(-1)?.stop.breakpoint).toBe(3);
    const before = machine.instructions;
    world.pass(1000);
    expect(machine.instructions).toBe(before);
    world.host.run();
    world.pass(50);
    expect(machine.instructions).toBeGreaterThan(before);
    expect(world.wishes.filter((wish) => wish.startsWith('resume'))).toEqual(['resume null', 'resume instruction', 'resume exit', 'resume null']);
  });

  it('answers the inspector while paused and while running, and nothing before there is a machine', async () => {
    const world = new World();
    const query = { ask: 'histogram', filter: { reasons: null, level: null, vcpu: null } } as const;
    world.host.inspect(1, query);
    await world.start();
    world.host.inspect(2, query);
    world.host.pause();
    world.host.inspect(3, query);
    expect(world.of('inspection').map(({ id, answer }) => [id, answer?.ask ?? null])).toEqual([[1, null], [2, 'histogram'], [3, 'histogram']]);
  });

  it('batches output and waits for a page that falls behind', async () => {
    const world = new World();
    await world.start();
    const machine = world.machine();
    machine.next = () => {
      for (let n = 0; n < 1_500_000; n++) machine.outputs.serial(0, n);
      machine.outputs.serial(1, 0x78);
    };
    world.pass(100);
    const serial = world.of('serial');
    expect(serial.map((report) => [report.console, report.bytes.length])).toEqual([['l1', 1_500_000], ['l1-1', 1]]);
    expect(serial[0].bytes[259]).toBe(3);
    const { instructions } = machine;
    world.pass(1000);
    expect(machine.instructions).toBe(instructions);
    world.host.consumed(1_500_001);
    world.pass(100);
    expect(machine.instructions).toBeGreaterThan(instructions);
  });

  it('tells how the machine ended', async () => {
    const world = new World();
    await world.start();
    const machine = world.machine();
    machine.next = () => {
      machine.outputs.serial(0, 0x21);
      machine.outputs.log('triple fault at 10h');
      machine.outcome = 'crash';
      machine.level = 2;
    };
    world.pass(100);
    expect(world.of('serial')[0].bytes).toEqual(Uint8Array.of(0x21));
    const [stopped] = world.of('stopped');
    expect(stopped.crashed).toBe(true);
    expect(stopped.problem).toMatchObject({ title: 'L2 crashed', why: expect.stringContaining('Triple fault at 10h'), details: 'rip 1234' });
    expect(world.wakeAt).toBeNull();
  });

  it('explains why a machine cannot start', async () => {
    const failing = async (change: (world: World) => void, text = CONFIG): Promise<string> => {
      const world = new World();
      change(world);
      await world.start(text);
      world.pass(100);
      const [failed] = world.of('failed');
      return `${failed.problem.title}: ${failed.problem.why}`;
    };
    const refuse = (error: Error) => (world: World): void => {
      world.services.download = () => Promise.reject(error);
    };
    expect(await failing(() => undefined, 'kernel = "k"\nmemory = "much"\n')).toMatch(/configuration of “test” is refused: memory: .*line 2/);
    expect(await failing(refuse(new DownloadError('images/kernel', 'http://h/images/kernel', 'missing', 'gone')))).toMatch(/needs an image .*http:\/\/h\/images\/kernel/);
    expect(await failing(refuse(new DownloadError('k', 'http://h/k', 'network', 'no answer')))).toMatch(/could not be downloaded: No answer\./);
    expect(await failing(refuse(new LoadError('k', 'not a kernel')))).toMatch(/“k” cannot be booted: Not a kernel\./);
    expect(await failing(refuse(new RangeError('Array buffer allocation failed')))).toMatch(/not enough memory/);
    expect(await failing(refuse(new Error('odd')))).toMatch(/Nestbox itself failed: Odd\./);
  });

  it('reports an exception of the machine and stops', async () => {
    const world = new World();
    await world.start();
    world.machine().next = () => {
      throw new TypeError('broken');
    };
    world.pass(100);
    expect(world.of('failed')[0].problem.details).toContain('TypeError: broken');
    expect(world.wakeAt).toBeNull();
  });

  it('sends a screen while the page shows it, one picture at a time', async () => {
    const world = new World();
    await world.start();
    const vga = new Vga(new VideoMemory(new Uint8Array(0x40000), new Uint8Array(64), () => undefined), () => 0);
    enterTextMode(vga);
    world.machine().vga = vga;
    world.pass(50);
    expect(world.of('frame')).toEqual([]);
    world.host.watch(0, true, true);
    expect(world.of('frame')).toHaveLength(1);
    expect(world.of('frame')[0]).toMatchObject({ screen: 0, width: 720, height: 400, top: 0, text: { columns: 80, rows: 25, cursor: 0 } });
    // The third row changes twice, the page takes one picture.
    vga.memory.write(0x18000 + 2 * 80 * 2, 2, 0x1741);
    world.pass(100);
    expect(world.of('frame')).toHaveLength(1);
    vga.memory.write(0x18000 + 2 * 80 * 2 + 2, 2, 0x1742);
    world.host.shown(0);
    world.pass(100);
    expect(world.of('frame')).toHaveLength(2);
    expect(world.of('frame')[1]).toMatchObject({ top: 32 });
    expect(world.of('frame')[1].pixels.length).toBe(16 * 720);
    world.host.shown(0);
    world.host.watch(0, false, true);
    vga.memory.write(0x18000, 2, 0x1743);
    world.pass(100);
    expect(world.of('frame')).toHaveLength(2);
  });

  it('takes keys and the mouse to the machine, and to a guest through its monitor', async () => {
    const world = new World();
    await world.start();
    world.host.key(0, 'KeyA', true);
    world.host.key(0, 'KeyA', false);
    world.host.mouse(0, 1, -2, 0, 1);
    world.host.key(1, 'KeyB', true);
    world.host.key(1, 'KeyB', false);
    world.pass(200);
    const { typed } = world.machine();
    expect(typed.slice(0, 3)).toEqual(['KeyA down', 'KeyA up', 'mouse 1 -2 0 1']);
    expect(typed.slice(3).map((text) => text.replace('2:', '')).join('')).toBe('sendkey KeyB\n');
  });
});
