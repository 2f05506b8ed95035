import { describe, expect, it } from 'vitest';
import { interpretSettings, parseXlConfig } from '../../src/machine/config';
import { LoadError } from '../../src/machine/loaders/load-error';
import { Session } from '../../src/machine/session';
import { ConsoleHash } from '../../src/machine/console-hash';
import { elf, multiboot1Header } from './loaders/images';

interface Run {
  session: Session;
  serial: string[];
  /** What guests' consoles showed, by level. */
  observed: string[];
  log: string[];
}

async function start(code: readonly number[], settings = ''): Promise<Run> {
  const kernel = elf(false, 0x10000c, [{ physical: 0x100000, data: [...multiboot1Header(0), ...code], memory: 0x1000 }]).bytes;
  const config = interpretSettings(parseXlConfig(`kernel = "k"\nmemory = 16\n${settings}`, 'test'), 'test');
  const serial: string[] = [], observed: string[] = [], log: string[] = [];
  const session = new Session(config, () => Promise.resolve(kernel), {
    serial: (port, byte) => {
      serial[port] = (serial[port] ?? '') + String.fromCharCode(byte);
    },
    observed: ({ level }, byte) => {
      observed[level] = (observed[level] ?? '') + String.fromCharCode(byte);
    },
    debugText: () => undefined,
    log: (text) => log.push(text),
  });
  await session.boot();
  return { session, serial, observed, log };
}

/** mov dx, 3F8h; then mov al, c; out dx, al for each character. */
const print = (text: string) => [0x66, 0xba, 0xf8, 0x03, ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee])];
const CLI_HLT = [0xfa, 0xf4];
const debugExit = (value: number) => [0xb0, value, 0xe6, 0xf4];

describe('Session', () => {
  it('runs a multiboot kernel to its debug exit, the same each time', async () => {
    const outcomes = [];
    for (let run = 0; run < 2; run++) {
      const { session, serial } = await start([...print('Hi'), ...debugExit(3)]);
      expect(session.run(1_000_000)).toBe('debug-exit');
      expect(serial[0]).toBe('Hi');
      const stats = session.stats();
      expect(stats).toMatchObject({ outcome: 'debug-exit', debugExit: 3, exits: {}, instructions: { total: 7, l1: 7 } });
      expect(stats.consoles.l1.bytes).toBe(2);
      outcomes.push(stats.consoles.l1.hash);
      // A stopped machine stays stopped.
      expect(session.run(1000)).toBe('debug-exit');
    }
    expect(outcomes[0]).toBe(outcomes[1]);
  });

  it('tells power-off, halt, reset and crash apart', async () => {
    expect((await start(CLI_HLT)).session.run(1_000_000)).toBe('halted');
    // mov dx, B004h; mov ax, 2000h; out dx, ax: sleep type 0 with SLP_EN.
    expect((await start([0x66, 0xba, 0x04, 0xb0, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, 0xeb, 0xfe])).session.run(1_000_000)).toBe('power-off');
    const reset = [0xb0, 0x06, 0x66, 0xba, 0xf9, 0x0c, 0xee, 0xeb, 0xfe];
    expect((await start(reset, 'on_reboot="destroy"')).session.run(1_000_000)).toBe('reset');
    // lidt of an empty table, then ud2: triple fault.
    const crash = await start([0x0f, 0x01, 0x1d, 0x20, 0x00, 0x10, 0x00, 0x0f, 0x0b]);
    expect(crash.session.run(1_000_000)).toBe('crash');
    expect(crash.log.join()).toMatch(/triple fault|shutdown/);
  });

  it('loads afresh after a reset that restarts', async () => {
    const { session, serial } = await start([...print('x'), 0xb0, 0x06, 0x66, 0xba, 0xf9, 0x0c, 0xee, 0xeb, 0xfe]);
    expect(session.run(100)).toBe('running');
    expect(serial[0].length).toBeGreaterThan(1);
  });

  it('delivers serial input to the guest', async () => {
    // Waits for data ready on COM1 and sends it back plus one.
    const echo = [0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0x66, 0xba, 0xf8, 0x03, 0xec, 0xfe, 0xc0, 0xee, 0xeb, 0xed];
    const { session, serial } = await start(echo);
    session.run(1000);
    session.sendSerial(0, [0x61, 0x62]);
    session.run(10_000);
    expect(serial[0]).toBe('bc');
    expect(session.sendToGuest(2, [1])).toBe(false);
  });

  it('takes what L1 passes on for the console of a guest that has no serial port', async () => {
    // Both on COM1, so that one helper writes; the port does not matter.
    const wired = await start([...print('ok'), ...debugExit(0)], 'nestbox_l2_serial=0\nnestbox_l2_console="wired"');
    wired.session.run(1000);
    expect(wired.observed[2]).toBe('ok');
    expect(wired.session.stats().consoles.l2.bytes).toBe(2);
    const { session, observed } = await start([...print('ok'), ...debugExit(0)], 'nestbox_l2_serial=0');
    session.run(1000);
    expect(observed).toEqual([]);
  });

  it('passes on what loaders say', async () => {
    await expect(start([], 'kernel = "k"\nmemory = 2\nramdisk = "m"').then(() => 'loaded')).resolves.toBe('loaded');
    const config = interpretSettings(parseXlConfig('kernel = "k"', 'test'), 'test');
    const outputs = { serial: () => undefined, observed: () => undefined, debugText: () => undefined, log: () => undefined };
    await expect(new Session(config, () => Promise.resolve(new Uint8Array(5)), outputs).boot()).rejects.toThrow(LoadError);
    await expect(new Session(config, () => Promise.reject(new Error('gone')), outputs).boot()).rejects.toThrow('gone');
  });
});

describe('ConsoleHash', () => {
  it('is FNV-1a', () => {
    const hash = (text: string) => {
      const h = new ConsoleHash();
      for (const c of text) h.add(c.charCodeAt(0));
      return h.hex;
    };
    expect(hash('')).toBe('cbf29ce484222325');
    expect(hash('a')).toBe('af63dc4c8601ec8c');
    expect(hash('foobar')).toBe('85944171f73967e8');
  });
});
