/** `nestbox matrix`: boots pairs of hypervisor and guest, and writes what came of it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMatrixResults } from '../../matrix/results';
import type { MatrixCell, MatrixResults } from '../../matrix/results';
import { FileError, PACKAGE_ROOT, readBytes } from '../files';
import { writeOutput } from '../outputs';
import { columnName } from './arguments';
import type { MatrixArguments } from './arguments';
import { bootPair, changesOf } from './boot';
import { matrixMarkdown } from './markdown';
import { GUESTS, HYPERVISORS, MEDIA, pairOf } from './systems';
import type { Recipe } from './systems';

const RESULTS = join(PACKAGE_ROOT, 'public', 'matrix.json'), TABLE = join(PACKAGE_ROOT, 'docs', 'matrix.md');
const MANIFEST = join(PACKAGE_ROOT, 'public', 'images', 'manifest.json');
/** All that were to boot, booted; or one did not. */
const EXIT_ALL = 0, EXIT_SOME = 1;

/** What a pair is known to be before it is run: what an earlier run found, or that there was none. */
function knownCell(hypervisor: string, guest: string, hap: boolean, earlier: readonly MatrixCell[]): MatrixCell {
  const pair = pairOf(hypervisor, guest, hap);
  const cell = { hypervisor, guest, hap, date: null, figures: null };
  if (!('recipe' in pair)) return { ...cell, state: pair.state, why: pair.why, demo: null, changes: '' };
  const found = earlier.find((each) => each.hypervisor === hypervisor && each.guest === guest && each.hap === hap && each.date !== null);
  const { recipe } = pair;
  return { ...cell, state: 'not run', why: '', ...found, demo: recipe.demo, changes: changesOf(recipe, hap) };
}

/** The whole matrix, with what earlier runs found. */
export function knownResults(earlier: readonly MatrixCell[]): MatrixResults {
  const cells = GUESTS.flatMap((guest) => HYPERVISORS.flatMap((hypervisor) => [true, false].map((hap) => knownCell(hypervisor.id, guest.id, hap, earlier))));
  return { version: 1, hypervisors: [...HYPERVISORS], guests: [...GUESTS], cells, media: [...MEDIA] };
}

/** One cell a line, so that what a run changed can be seen. */
export function resultsText({ cells, ...rest }: MatrixResults): string {
  return `${JSON.stringify(rest).slice(0, -1)},"cells":[\n${cells.map((cell) => JSON.stringify(cell)).join(',\n')}\n]}\n`;
}

function readResults(path: string): MatrixCell[] {
  if (!existsSync(path)) return [];
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(readBytes(path)));
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${path}: not JSON`);
  }
  if (!isMatrixResults(value)) throw new FileError(`${path}: not the results of a matrix`);
  return value.cells;
}

/** Why a pair cannot be run here; empty if it can. */
function obstacle({ holds }: Recipe): string {
  if (holds === null) return '';
  const manifest = existsSync(MANIFEST) ? (JSON.parse(readFileSync(MANIFEST, 'utf8')) as { images: { name: string; guests: string[] }[] }) : { images: [] };
  const image = manifest.images.find(({ name }) => name === holds.image);
  if (image === undefined) return `images/${holds.image} is not built here: npm run images`;
  return image.guests.includes(holds.guest) ? '' : `images/${holds.image} is from before this guest was added: npm run images`;
}

/** Boots what was asked for, one after the other. `program`: the command line's own file. */
export async function matrixCommand(args: MatrixArguments, program: string): Promise<number> {
  const json = args.json ?? RESULTS;
  const results = knownResults(readResults(json));
  let failed = 0;
  for (const [index, cell] of results.cells.entries()) {
    const pair = pairOf(cell.hypervisor, cell.guest, cell.hap);
    if (args.tableOnly || (args.cells !== null && !args.cells(cell))) continue;
    const name = `${columnName(cell.hypervisor, cell.hap)}/${cell.guest}`;
    if (!('recipe' in pair)) {
      // In a run of everything this is no news.
      if (args.cells !== null) process.stdout.write(`${name}: ${pair.state}: ${pair.why}\n`);
      continue;
    }
    const why = obstacle(pair.recipe);
    if (why !== '') {
      // A run of everything boots what the images allow.
      if (args.cells !== null) failed++;
      process.stdout.write(`${name}: ${why}\n`);
      continue;
    }
    const outcome = await bootPair(program, pair.recipe, cell.hap, args.timeoutSeconds);
    if (!outcome.boots) failed++;
    results.cells[index] = { ...cell, state: outcome.boots ? 'boots' : 'fails', why: outcome.why, figures: outcome.figures, date: new Date().toISOString().slice(0, 10) };
    const { figures } = outcome;
    const took = figures === null ? '' : `, ${((figures.instructions.total ?? 0) / 1e6).toFixed(0)} M instructions, ${figures.exits} VM exits, ${figures.cpuSeconds} CPU s`;
    process.stdout.write(`${name}: ${outcome.boots ? 'boots' : `fails: ${outcome.why}`}${took}\n`);
    // After each, so that an interrupted run keeps what it found.
    writeOutput(json, resultsText(results));
  }
  writeOutput(json, resultsText(results));
  writeOutput(args.table ?? TABLE, matrixMarkdown(results));
  return failed === 0 ? EXIT_ALL : EXIT_SOME;
}
