import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { elf, multiboot1Header } from '../machine/loaders/images';

const NESTBOX = join('dist', 'test-cli', 'nestbox.js');
const directory = mkdtempSync(join(tmpdir(), 'nestbox-cli-'));
const file = (name: string) => join(directory, name);

function nestbox(...args: string[]): { code: number | null; out: string; err: string } {
  const done = spawnSync(process.execPath, [NESTBOX, ...args], { encoding: 'utf8', timeout: 60_000, input: '' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

function kernel(name: string, code: readonly number[]): string {
  const path = file(name);
  writeFileSync(path, elf(false, 0x10000c, [{ physical: 0x100000, data: [...multiboot1Header(0), ...code], memory: 0x1000 }]).bytes);
  return path;
}

const print = (text: string) => [0x66, 0xba, 0xf8, 0x03, ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee])];
const debugExit = (value: number) => [0xb0, value, 0xe6, 0xf4];
const FOREVER = [0xeb, 0xfe];

describe('nestbox run', () => {
  beforeAll(() => {
    execFileSync('npx', ['vite', 'build', '--config', 'vite.cli.config.ts', '--outDir', join('dist', 'test-cli'), '--logLevel', 'error'], { stdio: 'pipe' });
  }, 60_000);

  it('prints help and refuses bad usage with code 2', () => {
    const help = nestbox('--help');
    expect([help.code, help.err]).toEqual([0, '']);
    for (const word of ['--until', '--send', '--set', '--dump-memory', 'Exit codes']) expect(help.out).toContain(word);
    const bad = nestbox('run', '--nonsense', '1');
    expect([bad.code, bad.out]).toEqual([2, '']);
    expect(bad.err).toMatch(/unknown option `--nonsense`/);
  });

  it('stops at breakpoints and counts exits', () => {
    const code = kernel('broken.elf', [...print('ab'), ...debugExit(0)]);
    const met = nestbox('run', '--kernel', code, '--break', 'port:0xf4', '--break', '0x100012');
    expect(met.code).toBe(7);
    // Before the second instruction: MOV DX is four bytes long and the first.
    expect(met.err).toMatch(/linear address 0x0000000000100012, after 2 instructions, in L1 on vCPU 0/);
    expect(met.err).toMatch(/^rip 0000000000100012/m);
    const exits = nestbox('run', 'builtin', '--exits');
    expect(exits.err).toMatch(/^io +99 +63$/m);
  });

  it('explains bad configurations and files with code 2', () => {
    writeFileSync(file('bad.cfg'), 'kernel = "k"\nmemory = "much"\n');
    writeFileSync(file('lost.cfg'), 'kernel = "lost"\n');
    writeFileSync(file('junk'), 'this is not a kernel');
    writeFileSync(file('short'), elf(false, 0x100000, [{ physical: 0x100000, data: multiboot1Header(0), memory: 0x1000 }]).bytes.subarray(0, 0x50));
    const cases: [string[], RegExp][] = [
      [[file('bad.cfg')], /bad\.cfg:2: memory: `much` is not a number/],
      [[file('lost.cfg')], /lost: there is no such file/],
      [[file('none.cfg')], /neither a configuration file nor a demo/],
      [['--kernel', file('junk')], /junk: not a kernel/],
      [['--kernel', file('short')], /short: truncated/],
      [['--kernel', directory], /a directory/],
      [['--bios', file('none')], /no such file/],
      [['--kernel', file('junk'), '--set', 'hap=maybe'], /hap: `maybe` is not a number/],
      [['--kernel', file('junk'), '--send', 'l2:x@y'], /nestbox_l2_serial/],
      [['--kernel', file('junk'), '--serial', `1=file:${file('no/such/dir')}`], /cannot be written/],
    ];
    for (const [args, reason] of cases) {
      const { code, err } = nestbox('run', ...args);
      expect([args, code]).toEqual([args, 2]);
      expect(err).toMatch(reason);
    }
  });

  it('tells by its exit code how the guest ended', () => {
    const hello = kernel('hello', [...print('Hello\n'), ...debugExit(0)]);
    expect(nestbox('run', '--kernel', hello)).toMatchObject({ code: 0, out: 'Hello\n', err: '' });
    const until = nestbox('run', '--kernel', kernel('loop', [...print('ready'), ...FOREVER]), '--until', 'l1:rea.y');
    expect(until).toMatchObject({ code: 0, out: 'ready' });
    expect(nestbox('run', '--kernel', kernel('three', debugExit(3))).code).toBe(6);
    expect(nestbox('run', '--kernel', kernel('halt', [0xfa, 0xf4])).code).toBe(5);
    expect(nestbox('run', '--kernel', kernel('endless', FOREVER), '--max-instructions', '10k', '--until', 'l1:x')).toMatchObject({ code: 3, err: expect.stringMatching(/10000 instructions; l1 did not show/) });
    expect(nestbox('run', '--kernel', kernel('endless', FOREVER), '--timeout', '0.2').code).toBe(3);
    const crash = nestbox('run', '--kernel', kernel('crash', [0x0f, 0x01, 0x1d, 0x20, 0x00, 0x10, 0x00, 0x0f, 0x0b]));
    expect(crash.code).toBe(4);
    expect(crash.err).toMatch(/rip 0000000000100013/);
  });

  it('types what --send says and writes consoles, statistics and state', () => {
    // Prompts, waits for a byte on COM1, sends it back plus one, prompts again.
    const echo = kernel('echo', [
      ...print('$ '), 0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0x66, 0xba, 0xf8, 0x03, 0xec, 0xfe, 0xc0, 0xee, 0xeb, 0xe3]);
    const args = ['run', '--kernel', echo, '--serial', `0=file:${file('com1')}`, '--send', 'l1:a@\\$ ', '--send', 'l1:y@\\$ ', '--until', 'l1:z',
      '--stats', file('stats.json'), '--dump-state', file('state.json'), '--dump-memory', '0x100000:4'];
    const first = nestbox(...args);
    expect(first).toMatchObject({ code: 0, out: '' });
    expect(readFileSync(file('com1'), 'latin1')).toMatch(/^\$ b\$ z/);
    const stats = readFileSync(file('stats.json'), 'utf8');
    expect(JSON.parse(stats)).toMatchObject({ exitCode: 0, outcome: 'running', debugExit: null, exits: {} });
    const state: unknown = JSON.parse(readFileSync(file('state.json'), 'utf8'));
    expect(state).toMatchObject({ codeBits: 32, segments: { cs: { selector: '0008', limit: 'ffffffff' } }, sse: { mxcsr: '00001f80' } });
    expect([...readFileSync(file('state.json.100000.bin'))]).toEqual([0x02, 0xb0, 0xad, 0x1b]);
    nestbox(...args);
    const again: unknown = JSON.parse(readFileSync(file('stats.json'), 'utf8'));
    const withoutTime = (value: unknown) => ({ ...(value as object), wallSeconds: 0, cpuSeconds: 0, mips: 0 });
    expect(withoutTime(again)).toEqual(withoutTime(JSON.parse(stats)));
  });

  it('traces instructions and port accesses', () => {
    const traced = nestbox('run', '--kernel', kernel('traced', [...print('A'), ...debugExit(0)]), '--trace', 'instructions,io');
    expect(traced.code).toBe(0);
    const lines = traced.err.trim().split('\n');
    expect(lines[0]).toMatch(/^0 L1 0008:0010000c\s+66 ba f8 03\s+mov dx, 0x3f8/);
    expect(lines.filter((line) => line.includes(' out8 '))).toEqual([expect.stringMatching(/out8 03f8 <- 41/), expect.stringMatching(/out8 00f4 <- 00/)]);
  });
});
