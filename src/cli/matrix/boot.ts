/** Boots one pair, in a process of its own: `nestbox run` with the demo's configuration, changed as the pair needs it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyChanges, changesBetween } from '../../machine/config';
import type { CellFigures } from '../../matrix/results';
import { readConfigFile } from '../files';
import { EXIT_MATCHED } from '../usage';
import type { Recipe } from './systems';

export interface BootResult {
  boots: boolean;
  /** How far it came, if it does not boot. */
  why: string;
  figures: CellFigures | null;
}

/** Real time between looks at L1's console. */
const LOOK_MS = 2000;
/** What chooses the guest, on L1's kernel command line. */
const GUEST_WORDS = /\bl2=[\w-]+(?: l2\w+=[^\s"]+)*/;

/** What differs from the demo's configuration. */
export function changesOf(recipe: Recipe, hap: boolean): string {
  const { text } = readConfigFile(recipe.demo);
  let changed = text;
  if (recipe.words !== null) {
    if (!GUEST_WORDS.test(text)) throw new Error(`the demo ${recipe.demo} has no word l2= to replace`);
    changed = changed.replace(GUEST_WORDS, recipe.words);
  }
  if (!hap) changed = applyChanges(changed, 'hap = 0');
  return changesBetween(text, changed);
}

export async function bootPair(program: string, recipe: Recipe, hap: boolean, timeoutSeconds: number): Promise<BootResult> {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-matrix-'));
  const file = (name: string): string => join(folder, name);
  const read = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '');
  try {
    writeFileSync(file('machine.cfg'), applyChanges(readConfigFile(recipe.demo).text, changesOf(recipe, hap)));
    const { code, errors } = await runChild([
      program, 'run', file('machine.cfg'), '--until', recipe.until, '--stats', file('stats.json'), '--serial', `0=file:${file('l1.txt')}`,
      '--serial', `l2=file:${file('l2.txt')}`, '--screen-text', `l2=${file('screen.txt')}`,
      '--max-instructions', String(hap ? recipe.limit.ept : recipe.limit.shadow), '--timeout', String(timeoutSeconds),
    ], () => givenUp(read('l1.txt')));
    const stats: unknown = read('stats.json') === '' ? null : JSON.parse(read('stats.json'));
    const figures = figuresOf(stats);
    if (code === EXIT_MATCHED) return { boots: true, why: '', figures };
    return { boots: false, why: failure(errors, figures, read('l1.txt'), read('l2.txt') + read('screen.txt')), figures };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What L1's scripts and QEMU say when there will be no guest; empty if they did not. Nothing else would end the run soon: an idle L1 retires few instructions. */
export function givenUp(l1: string): string {
  return /^(?:L\d \([\w-]+\)(?: has ended|: the VMM ended).*|L\d: this image has no .*|.*KVM internal error.*)$/m.exec(l1)?.[0].replaceAll(/[^\x20-\x7e]/g, '').replace(/^l1# (?:\[6n)?/, '') ?? '';
}

/** `ask`: why the run is to be ended; asked now and then. */
function runChild(args: readonly string[], ask: () => string): Promise<{ code: number | null; errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    const timer = setInterval(() => {
      const why = ask();
      if (why === '') return;
      errors += `nestbox: L1 gave up: ${why}\n`;
      clearInterval(timer);
      child.kill();
    }, LOOK_MS);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      resolve({ code, errors });
    });
  });
}

function figuresOf(stats: unknown): CellFigures | null {
  if (typeof stats !== 'object' || stats === null || !('instructions' in stats && 'exits' in stats && 'cpuSeconds' in stats)) return null;
  const exits = Object.values(stats.exits as Record<string, number>).reduce((sum, count) => sum + count, 0);
  return { instructions: stats.instructions as Record<string, number>, exits, cpuSeconds: Math.round(Number(stats.cpuSeconds) * 10) / 10 };
}

/** How far a boot came: how the run ended, at which stage, and the last words. */
export function failure(errors: string, figures: CellFigures | null, l1: string, l2: string): string {
  const ending = /^nestbox: (.*)$/m.exec(errors)?.[1].replace(/; \w+ did not show .*$/, '') ?? 'the run ended without a word';
  if (figures === null) return ending;
  const inGuests = figures.instructions.total - (figures.instructions.l1 ?? 0);
  if (lastLine(l2) !== '') return `${ending}; L2 came to “${lastLine(l2)}”`;
  if (lastLine(l1) === '') return `${ending}; nothing on L1’s console`;
  return `${ending}; ${inGuests === 0 ? 'no VM entry' : 'nothing on L2’s console'}, L1 came to “${lastLine(l1)}”`;
}

/** The last line with something in it, other than a prompt, short and without control sequences. */
function lastLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replace(/[^\x20-\x7e\n]/g, '');
  return plain.split('\n').map((line) => line.trim()).findLast((line) => line !== '' && !/^l\d#$/.test(line))?.slice(0, 120) ?? '';
}
