/** `npm run bench`: its arithmetic, its command line, and a quick run of one small section. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../../scripts/bench/arguments.mjs';
import { allMetrics, BARS, kernelMean, metric } from '../../../scripts/bench/metrics.mjs';
import type { Metric } from '../../../scripts/bench/metrics.mjs';
import { elfPieces, multibootImage } from '../../../scripts/bench/peers/bochs-disk.mjs';
import { asMarkdown, asText, formatNumber, replaceGenerated, tables } from '../../../scripts/bench/report.mjs';
import { ConsoleMarks } from '../../../scripts/bench/run/console-marks.mjs';
import type { Mark } from '../../../scripts/bench/run/console-marks.mjs';
import { geometricMean, median, spread } from '../../../scripts/bench/statistics.mjs';
import { commandLine, kernelTokens, roundSamples, warmRounds } from '../../../scripts/bench/workloads.mjs';
import type { RoundSample } from '../../../scripts/bench/workloads.mjs';

describe('statistics', () => {
  it('takes medians, spreads and geometric means', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(spread([9, 10, 12])).toBeCloseTo(0.15);
    expect(spread([7])).toBe(0);
    expect(geometricMean([1, 10, 100])).toBeCloseTo(10);
  });
});

describe('arguments', () => {
  it('knows its options', () => {
    expect(parseArguments([])).toMatchObject({ rounds: 3, quick: false, engine: null, peers: ['bochs', 'tcg', 'v86'], json: null });
    expect(parseArguments(['--only', 'exits,memory', '--rounds=5', '--engine', 'jit', '--json', 'a.json', '--peers', 'none'])).toMatchObject({
      sections: ['exits', 'memory'], rounds: 5, engine: 'jit', json: 'a.json', peers: [],
    });
    expect(parseArguments(['--quick']).rounds).toBe(1);
    expect(parseArguments(['--quick', '--rounds', '2']).rounds).toBe(2);
  });

  it.each([
    [['--only', 'kernel'], /there is no `kernel`; there are kernels/], [['--rounds', '0'], /not a number/], [['--json'], /needs a value/],
    [['--engine', 'fast'], /there is no `fast`/], [['--fast'], /unknown option `--fast`/], [['exits'], /unknown option `exits`/],
    [['--quick', '--write-docs'], /quick run measures nothing/],
  ])('refuses %j', (args, message) => {
    expect(() => parseArguments(args)).toThrow(message);
  });
});

describe('console marks', () => {
  function read(waits: ConstructorParameters<typeof ConsoleMarks>[0], input: readonly ['l1' | 'l2', string][]): { marks: Mark[]; done: boolean } {
    const marks: Mark[] = [];
    const console = new ConsoleMarks(waits, (mark) => marks.push(mark));
    for (const [level, text] of input) for (const byte of Buffer.from(text)) console.add(level, byte);
    return { marks, done: console.done };
  }

  it('finds the rounds of workloads', () => {
    const { marks, done } = read([], [['l1', '\n@start\r\n@b sha 0\r\n@e sha 0 abc\n'], ['l2', '@b not 0\n'], ['l1', '@done\n']]);
    expect(marks).toEqual([{ kind: 'begin', name: 'sha', round: 0, checksum: '' }, { kind: 'end', name: 'sha', round: 0, checksum: 'abc' }]);
    expect(done).toBe(true);
  });

  it('waits for texts in their order', () => {
    const waits = [{ console: 'l1' as const, text: 'L1: Linux', name: 'l1' }, { console: 'l2' as const, text: 'l2# ', name: 'l2' }];
    expect(read(waits, [['l2', 'l2# '], ['l1', 'boot\nL1: Linux']])).toMatchObject({ marks: [{ name: 'l1' }], done: false });
    expect(read(waits, [['l1', 'L1: Linux 6\n'], ['l2', 'x\nl2# ']])).toMatchObject({ marks: [{ name: 'l1' }, { name: 'l2' }], done: true });
  });
});

/** Rounds of a run in which every kernel executes at `mips`, `counted` or not. */
function kernelRounds(mips: number, longer: boolean, counted: boolean): RoundSample[] {
  return kernelTokens(false, longer, 4).flatMap((token, index) => Array.from({ length: token.rounds }, (_, round) => {
    const instructions = token.n * 1000, seconds = instructions / 1e6 / mips * (round < token.rounds / 2 && token.rounds > 1 ? 5 : 1);
    return { token: index, name: token.name, n: token.n, round, seconds, processSeconds: seconds, instructions: counted ? instructions : 0, checksum: '1' };
  }));
}

describe('metrics', () => {
  it('pairs marks with tokens and leaves out the cold rounds', () => {
    const tokens = [{ name: 'sha', n: 10, rounds: 4 }];
    const marks = [0, 1, 2, 3].flatMap((round) => ['begin', 'end'].map((kind, edge) => ({
      kind, name: 'sha', round, checksum: 'a', times: { process: round * 10 + edge * (4 - round) }, instructions: round * 100 + edge * 7,
    })));
    const samples = roundSamples(tokens, marks);
    expect(samples.map(({ seconds, instructions }) => [seconds, instructions])).toEqual([[4, 7], [3, 7], [2, 7], [1, 7]]);
    expect(warmRounds(samples, 'sha').map(({ round }) => round)).toEqual([2, 3]);
    expect(() => roundSamples(tokens, marks.slice(2))).toThrow('3 rounds instead of 4');
    expect(commandLine(tokens)).toBe('sha:10:4');
  });

  it('compares with peers by our instruction counts, also where their rounds are longer', () => {
    const metrics = allMetrics({
      rounds: { 'node.kern64': [kernelRounds(300, false, true), kernelRounds(330, false, true)], 'bochs.kern64': [kernelRounds(100, false, false), kernelRounds(100, false, false)], 'tcg.kern64': [kernelRounds(1000, true, false)] },
      values: { 'bootL1.node.seconds': [5, 6], 'bootL1.bochs.seconds': [10, 10] },
    });
    expect(metrics['kernels64.node.mips'].median).toBeCloseTo(315);
    expect(metrics['kernels64.vsBochs'].values).toEqual([expect.closeTo(3), expect.closeTo(3.3)]);
    expect(metrics['kernels64.vsBochs']).toMatchObject({ bar: 3, met: true });
    expect(metrics['kernels64.vsTcg'].median).toBeCloseTo(0.3);
    expect(metrics['kernels64.vsTcg'].met).toBe(false);
    expect(metrics['cold.node.mips'].median).toBeCloseTo(315);
    expect(metrics['bootL1.vsBochs']).toMatchObject({ median: expect.closeTo(0.55) as number, met: true });
    expect(metrics['kernels32.vsV86']).toBeUndefined();
  });

  it('leaves arith out of the mean', () => {
    expect(kernelMean({ sha: 2, lz: 2, qsort: 2, hash: 8, tree: 8, sm: 8, flat: 4, arith: 1e9 })).toBeCloseTo(4);
  });

  it('holds values against bars in the right direction', () => {
    expect(metric('memory.overheadMB', 'MB', [400]).met).toBe(false);
    expect(metric('memory.overheadMB', 'MB', [350]).met).toBe(true);
    expect(metric('flat.node.mips', 'MIPS', [79]).met).toBe(false);
    expect(metric('cold.bochs.mips', 'MIPS', [1]).met).toBeNull();
  });
});

describe('report', () => {
  it('shows every bar, measured or not, and only rows with numbers elsewhere', () => {
    const metrics: Record<string, Metric> = { 'exits.cpuid.perSecond': metric('exits.cpuid.perSecond', '/s', [600_000, 700_000]) };
    const shown = tables(metrics);
    expect(shown.map(({ title }) => title)).toEqual(['Bars', 'VM exits, round trips a second']);
    expect(asText(shown[0])).toMatch(/exits\.cpuid\.perSecond \(\/s\)\s+650,000\s+8 %\s+≥ 500,000\s+met/);
    expect(asMarkdown(shown[1])).toContain('| Nestbox, Node | 650,000 | - | - | - | - |');
    expect(asMarkdown(shown[1])).not.toContain('Bochs');
    expect(formatNumber(12.345)).toBe('12.3');
  });

  it('replaces the generated part of the document', () => {
    const document = readFileSync('docs/performance.md', 'utf8');
    const replaced = replaceGenerated(document, 'NEW');
    expect(replaced).toMatch(/-->\nNEW\n<!-- bench: end -->/);
    expect(replaceGenerated(replaced, 'NEW')).toBe(replaced);
    expect(() => replaceGenerated('none', 'x')).toThrow('no place');
  });
});

describe('disks for Bochs', () => {
  it('takes an ELF file apart', () => {
    const elf = Buffer.alloc(52 + 32 + 4);
    elf.write('\x7fELF\x01\x01\x01', 'latin1');
    elf.writeUInt32LE(0x400010, 24);
    elf.writeUInt32LE(52, 28);
    elf.writeUInt16LE(32, 42);
    elf.writeUInt16LE(1, 44);
    [1, 84, 0x400000, 0x400000, 4, 4096].forEach((word, n) => elf.writeUInt32LE(word, 52 + 4 * n));
    elf.write('code', 84);
    const { pieces, entry, eax, ebx } = multibootImage(elf, 'test', 'sha:1:1');
    expect({ entry, eax }).toEqual({ entry: 0x400010, eax: 0x2badb002 });
    expect(pieces[0]).toEqual({ address: 0x400000, bytes: Buffer.from('code') });
    const info = Buffer.from(pieces[1].bytes);
    expect(pieces[1].address).toBe(ebx);
    expect(info.toString('latin1', info.readUInt32LE(16) - ebx)).toBe('sha:1:1\0');
    expect(() => elfPieces(Buffer.from('nothing'), 'kernel')).toThrow('kernel is not an ELF file');
  });
});

describe('npm run bench', () => {
  it('says what is wrong with its options', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/bench/main.mjs', '--only', 'nothing'], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'bench: --only: there is no `nothing`; there are kernels, boots, exits, system, memory, page, chromium\n' });
  });

  it('runs a section quickly and writes its JSON', () => {
    const folder = mkdtempSync(join(tmpdir(), 'nestbox-bench-test-'));
    const file = join(folder, 'bench.json');
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/bench/main.mjs', '--quick', '--only', 'exits,system', '--peers', 'none', '--json', file], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('VM exits, round trips a second');
    const report = JSON.parse(readFileSync(file, 'utf8')) as { version: number; metrics: Record<string, Metric>; raw: { rounds: Record<string, RoundSample[][]> } };
    rmSync(folder, { recursive: true, force: true });
    expect(report.version).toBe(1);
    expect(report.metrics['exits.cpuid.perSecond']).toMatchObject({ unit: '/s', bar: BARS['exits.cpuid.perSecond'].bar, values: [expect.any(Number) as number] });
    expect(report.metrics['hap.gain.switch'].median).toBeGreaterThan(1);
    // The exits have happened, and a bare machine, a guest and a guest without EPT have computed the same.
    expect(report.raw.rounds['node.exits'][0].every(({ n, checksum }) => Number.parseInt(checksum, 16) === n)).toBe(true);
    const calls = ['node', 'node.l2', 'node.shadow'].map((subject) => report.raw.rounds[`${subject}.system`][0].find(({ name }) => name === 'syscall')?.checksum);
    expect(calls).toEqual(['7d0', '7d0', '7d0']);
  }, 600_000);
});
