/** The matrix: its command line, its cells, and the table made of them. No boots: those are in test/real/matrix.test.ts. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../../src/cli/arguments';
import { columnName, parseMatrix } from '../../../src/cli/matrix/arguments';
import { changesOf, failure, givenUp } from '../../../src/cli/matrix/boot';
import { matrixMarkdown } from '../../../src/cli/matrix/markdown';
import { knownResults, resultsText } from '../../../src/cli/matrix/matrix';
import { GUESTS, HYPERVISORS, pairOf } from '../../../src/cli/matrix/systems';
import { UsageError } from '../../../src/cli/usage';
import { applyChanges, readMachineConfig } from '../../../src/machine/config';
import { isMatrixResults } from '../../../src/matrix/results';
import type { MatrixCell } from '../../../src/matrix/results';
import { describeCell } from '../../../src/ui/matrix';
import { makeDemo } from '../../../src/ui/demos';

const demoText = (name: string): string => readFileSync(`public/demos/${name}.cfg`, 'utf8');
const recipes = HYPERVISORS.flatMap((hypervisor) => GUESTS.flatMap((guest) => [true, false].flatMap((hap) => {
  const pair = pairOf(hypervisor.id, guest.id, hap);
  return 'recipe' in pair ? [{ name: `${columnName(hypervisor.id, hap)}/${guest.id}`, hap, recipe: pair.recipe }] : [];
})));

function boots(hypervisor: string, guest: string, hap = true): MatrixCell {
  const found = knownResults([]).cells.find((cell) => cell.hypervisor === hypervisor && cell.guest === guest && cell.hap === hap);
  if (found === undefined) throw new Error('no such cell');
  return { ...found, state: 'boots', date: '2026-01-02', figures: { instructions: { total: 1_540_000_000, l1: 1_000_000_000, l2: 540_000_000 }, exits: 6120, cpuSeconds: 17.5 } };
}

describe('the command line of the matrix', () => {
  it('chooses cells', () => {
    const all = parseMatrix([]);
    expect(all).toEqual({ cells: null, json: null, table: null, timeoutSeconds: 3600, tableOnly: false });
    const { cells, ...rest } = parseMatrix(['--only', 'kvm,xen-pvh-hap0', '--cell=kvm-qemu/grub', '--cell', 'kvm-hap0/linux-686', '--json', 'r.json', '--table=t.md', '--timeout', '60']);
    expect(rest).toEqual({ json: 'r.json', table: 't.md', timeoutSeconds: 60, tableOnly: false });
    const chosen = recipes.filter(({ name, hap }) => {
      const [column, guest] = name.split('/');
      return cells?.({ hypervisor: column.replace('-hap0', ''), hap, guest });
    });
    expect(chosen.map(({ name }) => name)).toEqual(['kvm/linux-amd64', 'kvm/linux-686', 'kvm-hap0/linux-686', 'kvm-qemu/grub', 'xen-pvh-hap0/linux-amd64', 'xen-pvh-hap0/grub']);
    expect(parseArguments(['matrix', '--table-only'])).toMatchObject({ kind: 'matrix', matrix: { tableOnly: true } });
    expect(parseArguments(['matrix', '--help']).kind).toBe('help');
  });

  it('refuses what it does not understand', () => {
    const cases: [string[], RegExp][] = [
      [['--only', 'vmware'], /no such hypervisor; there are builtin, kvm/], [['--only', 'kvm,'], /no such hypervisor/], [['--only'], /needs a value/], [['--only='], /needs a value/],
      [['--cell', 'kvm'], /L1\/L2/], [['--cell', 'kvm/a/b'], /L1\/L2/], [['--cell', 'kvm/windows'], /no such guest; there are builtin, linux-amd64/], [['--cell', 'esx/grub'], /no such hypervisor/],
      [['--timeout', '0'], /seconds/], [['--timeout', 'soon'], /seconds/], [['--json', 'a', '--json', 'b'], /twice/], [['kvm'], /chosen with --cell/], [['--until', 'x'], /unknown option `--until`/],
      [['--table-only', '--only', 'kvm'], /boots nothing/],
    ];
    for (const [args, reason] of cases) {
      expect(() => parseMatrix(args), args.join(' ')).toThrow(UsageError);
      expect(() => parseMatrix(args), args.join(' ')).toThrow(reason);
    }
  });
});

describe('cells', () => {
  it.each(recipes)('$name is a demo with changes that make a machine', ({ recipe, hap }) => {
    const text = demoText(recipe.demo), config = readMachineConfig(applyChanges(text, changesOf(recipe, hap)), 'x.cfg');
    expect(config.ept).toBe(hap);
    if (recipe.words !== null) expect(JSON.stringify(config)).toContain(recipe.words);
    // The command line of `run` takes what it is to wait for, and the demo has the image that holds the guest.
    expect(parseArguments(['run', recipe.demo, '--until', recipe.until]).kind).toBe('run');
    if (recipe.holds !== null) expect(makeDemo(recipe.demo, text).files).toContain(`images/${recipe.holds.image}`);
  });

  it('that are demos as they are change nothing', () => {
    const plain = recipes.filter(({ recipe, hap }) => hap && recipe.words === null);
    expect(plain.length).toBeGreaterThanOrEqual(9);
    for (const { recipe, hap } of plain) expect(changesOf(recipe, hap)).toBe('');
  });

  it('without a recipe have a reason', () => {
    const { cells } = knownResults([]);
    expect(cells).toHaveLength(HYPERVISORS.length * GUESTS.length * 2);
    for (const { state, why } of cells) expect(why === '').toBe(state === 'not run');
    expect(pairOf('xen-pvh', 'linux-686-pae', true)).toMatchObject({ state: 'impossible', why: expect.stringContaining('triple fault') });
    expect(pairOf('builtin', 'builtin', false)).toMatchObject({ state: 'impossible' });
  });

  it('keep what an earlier run found, unless they have no recipe any more', () => {
    const earlier = [boots('kvm', 'linux-amd64'), { ...boots('kvm', 'grub'), why: 'stale' }];
    const { cells } = knownResults(earlier);
    expect(cells.find((cell) => cell.hypervisor === 'kvm' && cell.guest === 'linux-amd64' && cell.hap)).toEqual(earlier[0]);
    expect(cells.find((cell) => cell.hypervisor === 'kvm' && cell.guest === 'linux-amd64' && !cell.hap)?.state).toBe('not run');
    expect(cells.find((cell) => cell.hypervisor === 'kvm' && cell.guest === 'grub' && cell.hap)).toMatchObject({ state: 'impossible', figures: null });
  });

  it('that do not boot say how far they came', () => {
    const figures = (l2: number) => ({ instructions: { total: 100 + l2, l1: 100 }, exits: 0, cpuSeconds: 1 });
    const limit = 'nestbox: stopped after 100 instructions; l2 did not show /^l2# /\n';
    expect(failure(limit, figures(5), 'L1: Linux\nl1# ', 'Booting\n\x1b[1mpanic: no root\x1b[0m\r\n')).toBe('stopped after 100 instructions; L2 came to “panic: no root”');
    expect(failure(limit, figures(5), 'L1: Linux\nl1# ', '')).toBe('stopped after 100 instructions; nothing on L2’s console, L1 came to “L1: Linux”');
    expect(failure(limit, figures(0), 'L1: Linux\nl1# ', '\n')).toBe('stopped after 100 instructions; no VM entry, L1 came to “L1: Linux”');
    expect(failure(limit, figures(0), '', '')).toBe('stopped after 100 instructions; nothing on L1’s console');
    expect(failure('nestbox: images/xen: there is no such file\n', null, '', '')).toBe('images/xen: there is no such file');
    expect(failure('', null, '', '')).toMatch(/without a word/);
  });
});

describe('a run', () => {
  it('ends when L1 says that there will be no guest', () => {
    expect(givenUp('L2 (grub) starts now; its console is\n\nl1# ')).toBe('');
    expect(givenUp('L2 (pvh-i386) starts now\nl1# \nL2 (pvh-i386) has ended.\r\n')).toBe('L2 (pvh-i386) has ended.');
    expect(givenUp('L3 (amd64): the VMM ended with code 3.')).toBe('L3 (amd64): the VMM ended with code 3.');
    expect(givenUp('L2: this image has no grub guest.\n')).toBe('L2: this image has no grub guest.');
    expect(givenUp('l1# \x1b[6nKVM internal error. Suberror: 1\n')).toBe('KVM internal error. Suberror: 1');
  });
});

describe('the table', () => {
  const failed: MatrixCell = { ...boots('kvm', 'linux-686'), state: 'fails', why: 'stopped; L2 came to “a | b <c>”' };
  const results = knownResults([boots('kvm', 'linux-amd64'), failed, boots('kvm', 'linux-amd64', false)]);
  const text = matrixMarkdown(results);

  it('has a row for each guest and what the runs took', () => {
    expect(text).toContain('| Linux amd64 | – | **boots** · **boots** | not run | not run | not run | not run |');
    expect(text).toContain('| Linux 686 | – | fails · not run | not run | – | not run | no image |');
    expect(text).toContain('| KVM, small VMM | 1 | Linux amd64 | **boots** | 1.54 G | 540 M | 6120 | 17.5 | 2026-01-02 |');
    expect(text).toContain('| KVM, small VMM | 1 | Linux 686 | stopped; L2 came to “a \\| b &lt;c>” |');
    expect(text).toContain('| KVM, small VMM | 1, 0 | memtest86+ x64, memtest86+ ia32, GRUB, SeaBIOS, iPXE, GNU Mach | the small VMM has neither BIOS nor VGA |');
    for (const name of ['Windows XP Mode', 'RHEL 6', 'Hyper-V', 'VMware ESX', 'Workstation', 'Windows 8']) expect(text).toContain(name);
    const columns = text.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split(/(?<!\\)\|/).length);
    // Words, pairs, runs, reasons, media: each table has as many cells in all its rows.
    expect(new Set(columns)).toEqual(new Set([4, 5, 6, 9, 11]));
  });

  it('is what the committed results say, and those are of this version', () => {
    const committed: unknown = JSON.parse(readFileSync('public/matrix.json', 'utf8'));
    if (!isMatrixResults(committed)) throw new Error('not results');
    const advice = 'npx nestbox matrix --table-only brings both up to date';
    expect(resultsText(knownResults(committed.cells)), advice).toBe(readFileSync('public/matrix.json', 'utf8'));
    expect(readFileSync('docs/matrix.md', 'utf8'), advice).toBe(matrixMarkdown(committed));
  });

  it('is told to visitors of the page in words', () => {
    expect(describeCell(boots('kvm', 'linux-amd64', false))).toBe('Without EPT: boots; 1.5 G instructions, 6120 VM exits, 17.5 s of processor time; 2026-01-02');
    expect(describeCell(failed)).toContain('fails; stopped; L2 came to');
  });
});
