import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/cli/arguments';
import { ConsoleWatch } from '../../src/cli/console-watch';
import { UsageError } from '../../src/cli/usage';

function run(...args: string[]) {
  const command = parseArguments(['run', ...args]);
  if (command.kind !== 'run') throw new Error('not a run');
  return command.run;
}

describe('command line', () => {
  it('understands every option', () => {
    const parsed = run(
      'kvm-amd64', '--set', 'hap=0', '--set=memory=64', '--serial', '0=stdio', '--serial', '1=file:/tmp/a b', '--serial=l2=file:x', '--serial', 'l3=file:y',
      '--until', 'l2:l2# $', '--send', 'l1:a\\n\\x41\\@b@l1# ', '--send', 'l2:x@@@y', '--send', 'l3:z@l3# ', '--max-instructions', '2G', '--timeout', '1.5',
      '--stats', 's.json', '--trace', 'exits,io', '--dump-state', 'd.json', '--dump-memory', '0x1000:16');
    expect(parsed).toMatchObject({
      config: 'kvm-amd64', set: ['hap=0', 'memory=64'], maxInstructions: 2e9, timeoutSeconds: 1.5, stats: 's.json', dumpState: 'd.json',
      dumpMemory: [{ start: 0x1000, length: 16 }],
    });
    expect([...parsed.serial]).toEqual([[0, { kind: 'stdio' }], [1, { kind: 'file', path: '/tmp/a b' }], ['l2', { kind: 'file', path: 'x' }], ['l3', { kind: 'file', path: 'y' }]]);
    expect([...parsed.trace]).toEqual(['exits', 'io']);
    expect(parsed.until?.pattern.test('\r\nl2# ')).toBe(true);
    expect(parsed.sends.map((send) => [send.level, new TextDecoder().decode(send.text), send.pattern.source])).toEqual([
      ['l1', 'a\nA@b', 'l1# '], ['l2', 'x', '@@y'], ['l3', 'z', 'l3# ']]);
    expect(run('--kernel', 'k', '--append', 'a', '--initrd', 'i', '--module', 'm x', '--module', 'n', '--memory', '64', '--vcpus', '1')).toMatchObject({
      config: null, kernel: 'k', append: 'a', initrd: 'i', modules: ['m x', 'n'], memory: '64', vcpus: '1' });
    expect(run('--bios', 'b')).toMatchObject({ bios: 'b' });
    for (const help of [['--help'], ['help'], ['run', '--help'], ['run', 'x', '-h']]) expect(parseArguments(help).kind).toBe('help');
    expect(parseArguments(['--version']).kind).toBe('version');
  });

  it('understands breakpoints', () => {
    const parsed = run('a', '--exits', '--break', '0xFFFFFFFF81000000', '--break', '0x7c00@L2', '--break', 'exit', '--break=exit:io', '--break', 'exit:48', '--break', 'port:0x3f8', '--break', 'msr:16');
    expect(parsed.exits).toBe(true);
    expect(parsed.breakpoints).toEqual([
      { id: 1, kind: 'address', linear: 'FFFFFFFF81000000', level: null }, { id: 2, kind: 'address', linear: '0000000000007c00', level: 2 },
      { id: 3, kind: 'exit', reason: null }, { id: 4, kind: 'exit', reason: 30 }, { id: 5, kind: 'exit', reason: 48 }, { id: 6, kind: 'port', port: 0x3f8 },
      { id: 7, kind: 'msr', index: 16 },
    ]);
    for (const bad of ['7c00', '0x', 'exit:nonsense', 'port:0x10000', 'port:', 'msr', 'here']) expect(() => run('a', '--break', bad), bad).toThrow(/is expected/);
    expect(() => run('a', '--exits=yes')).toThrow(UsageError);
  });

  it('knows the engines, and what a run with both does not do', () => {
    expect(run('a').engine).toBe('jit');
    for (const engine of ['interpreter', 'jit', 'both'] as const) expect(run('a', '--engine', engine).engine).toBe(engine);
    const without: string[][] = [['--trace', 'io'], ['--dump-state', 'd'], ['--screenshot', 's.png'], ['--until', 'vga:x'], ['--send', 'vga:x@y']];
    for (const options of without) expect(() => run('a', '--engine', 'both', ...options), options.join(' ')).toThrow(/not for --engine both/);
    expect(() => run('a', '--engine', 'all')).toThrow(/interpreter, jit or both/);
  });

  it('refuses what it does not understand', () => {
    const cases: [string[], RegExp][] = [
      [[], /no command/], [['fly'], /unknown command `fly`/], [['run'], /nothing to run/], [['run', 'a', 'b'], /two machines/],
      [['run', 'a', '--warp', '9'], /unknown option `--warp`/], [['run', 'a', '--timeout'], /needs a value/], [['run', 'a', '--timeout', 'soon'], /seconds/],
      [['run', 'a', '--timeout', '0'], /seconds/], [['run', 'a', '--max-instructions', '-1'], /instructions/], [['run', 'a', '--max-instructions', '5x'], /instructions/],
      [['run', 'a', '--until', 'l4:x'], /must start with l1:/], [['run', 'a', '--until', 'l1:('], /--until/], [['run', 'a', '--until', 'l1:'], /empty/],
      [['run', 'a', '--until', 'l1:a', '--until', 'l1:b'], /twice/], [['run', 'a', '--send', 'l1:text'], /TEXT@REGEX/], [['run', 'a', '--send', 'l1:\\q@x'], /escape/],
      [['run', 'a', '--serial', '4=stdio'], /N from 0 to 3/], [['run', 'a', '--serial', '0=tcp:1'], /N=stdio/], [['run', 'a', '--serial', '0=stdio', '--serial', '1=stdio'], /only one/],
      [['run', 'a', '--trace', 'everything'], /one of/], [['run', 'a', '--dump-memory', '0:1'], /needs --dump-state/], [['run', 'a', '--dump-state', 'f', '--dump-memory', '0'], /START:LEN/],
      [['run', 'a', '--kernel', 'k'], /without a configuration/], [['run', '--kernel', 'k', '--bios', 'b'], /exclude/], [['run', '--bios', 'b', '--append', 'x'], /belong to --kernel/],
    ];
    for (const [args, reason] of cases) {
      expect(() => parseArguments(args)).toThrow(UsageError);
      expect(() => parseArguments(args)).toThrow(reason);
    }
  });
});

describe('ConsoleWatch', () => {
  const sends = [{ level: 'l1' as const, into: 'l1' as const, text: Uint8Array.of(1), pattern: /\$ /m }, { level: 'l1' as const, into: 'l1' as const, text: Uint8Array.of(2), pattern: /\$ /m }];
  const until = { level: 'l2' as const, pattern: /^ok$/m };

  it('types in order, each text after what came since the last, and then awaits the end', () => {
    const watch = new ConsoleWatch(sends, until);
    const typed: number[] = [];
    const show = (level: 'l1' | 'l2', text: string) => {
      for (const c of text) watch.add(level, c.charCodeAt(0));
      return watch.check((_, bytes) => typed.push(...bytes));
    };
    expect(show('l2', 'not yet\r\n')).toBe(false);
    expect(show('l1', 'a$')).toBe(false);
    expect(typed).toEqual([]);
    expect(show('l1', ' ')).toBe(false);
    expect(typed).toEqual([1]);
    expect(show('l1', 'more')).toBe(false);
    expect(typed).toEqual([1]);
    expect(watch.missing).toMatch(/awaited by --send/);
    expect(show('l1', '$ ')).toBe(false);
    expect(typed).toEqual([1, 2]);
    expect(watch.missing).toMatch(/l2 did not show/);
    expect(show('l2', 'x\r\nok\r\n')).toBe(true);
  });

  it('keeps matching far into a long output', () => {
    const watch = new ConsoleWatch([], { level: 'l1', pattern: /END/ });
    for (let n = 0; n < 300_000; n++) {
      watch.add('l1', 0x61);
      if (n % 10_000 === 0) expect(watch.check(() => undefined)).toBe(false);
    }
    for (const c of 'END') watch.add('l1', c.charCodeAt(0));
    expect(watch.check(() => undefined)).toBe(true);
  });
});
