/**
 * `npm run bench`: how fast the machine is, beside the emulators that could be picked instead, on one machine in one run.
 * Options: npm run bench -- --help. What is measured and how: docs/performance.md.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HELP, parseArguments } from './arguments.mjs';
import { chromiumProblem, serveBench } from './chromium/browser.mjs';
import { BenchError } from './errors.mjs';
import { buildGuests } from './guests/build.mjs';
import { allMetrics } from './metrics.mjs';
import { bochsProblem } from './peers/bochs.mjs';
import { tcgProblem } from './peers/tcg.mjs';
import { v86Problem } from './peers/v86.mjs';
import { asMarkdown, asText, replaceGenerated, tables } from './report.mjs';
import { bundleRun } from './run/ours.mjs';
import { SECTION_RUNS } from './sections.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, 'node_modules', '.cache', 'bench');
const PROBLEMS = { bochs: bochsProblem, tcg: tcgProblem, v86: v86Problem };

/** Stops before anything is measured if something is not there. @param {string[]} sections */
function checkNeeds(sections) {
  for (const name of sections) {
    const needs = SECTION_RUNS[/** @type {keyof typeof SECTION_RUNS} */ (name)];
    if (needs.images && !existsSync(join(root, 'public', 'images', 'l1-mini.cpio'))) throw new BenchError(`${name} needs the images of the KVM demo: npm run images`);
    if (needs.page && !existsSync(join(root, 'dist', 'page', 'index.html'))) throw new BenchError(`${name} needs the built page: npm run build`);
  }
}

/** @param {import('./arguments.mjs').BenchArguments} options */
async function bench(options) {
  checkNeeds(options.sections);
  const say = (/** @type {string} */ text) => process.stderr.write(`  ${text}\n`);
  /** @type {Record<string, string>} */
  const missing = {};
  /** @type {Set<string>} */
  const peers = new Set();
  for (const peer of options.peers) {
    const problem = PROBLEMS[/** @type {keyof typeof PROBLEMS} */ (peer)]();
    if (problem === null) peers.add(peer);
    else missing[peer] = problem;
  }
  const browserProblem = chromiumProblem();
  if (browserProblem !== null) missing.chromium = browserProblem;
  const sections = options.sections.filter((name) => browserProblem === null || !SECTION_RUNS[/** @type {keyof typeof SECTION_RUNS} */ (name)].chromium);
  for (const [name, problem] of Object.entries(missing)) process.stderr.write(`bench: ${name} is left out: ${problem}\n`);

  const guests = buildGuests(join(cache, 'guests'));
  const bundle = await bundleRun(root, cache);
  const server = sections.includes('chromium') ? await serveBench(root, join(cache, 'page'), join(cache, 'guests')) : null;
  /** @type {import('./metrics.mjs').Measurements} */
  const measurements = { rounds: {}, values: {} };
  /** @type {string[]} */
  const failures = [];
  const started = Date.now();
  try {
    for (let round = 1; round <= options.rounds; round++) {
      for (const name of sections) {
        process.stderr.write(`round ${round} of ${options.rounds}: ${name} (${((Date.now() - started) / 1000).toFixed(0)} s)\n`);
        try {
          await SECTION_RUNS[/** @type {keyof typeof SECTION_RUNS} */ (name)].run({
            root, bundle, guests, benchUrl: server?.url ?? null, quick: options.quick, engine: options.engine, peers, measurements, say,
          });
        } catch (error) {
          // What was measured before is worth keeping.
          if (!(error instanceof BenchError)) throw error;
          failures.push(`round ${round}, ${name}: ${error.message}`);
          process.stderr.write(`bench: ${error.message}\n`);
        }
      }
    }
  } finally {
    server?.close();
  }
  return { metrics: allMetrics(measurements), missing, measurements, sections, failures };
}

async function main() {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const { metrics, missing, measurements, sections, failures } = await bench(options);
  const shown = tables(metrics);
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.versions.node}`;
  const absent = Object.entries(missing).map(([name, problem]) => `${name}: ${problem}`);
  process.stdout.write(`${shown.map(asText).join('\n\n')}\n\n${machine}; ${options.rounds} rounds${options.quick ? ', quick: these numbers mean nothing' : ''}\n${absent.map((line) => `missing: ${line}\n`).join('')}${failures.map((line) => `FAILED: ${line}\n`).join('')}`);
  if (failures.length > 0) process.exitCode = 1;
  if (options.json !== null) {
    const report = { version: 1, machine, engine: options.engine ?? 'default', rounds: options.rounds, quick: options.quick, sections, missing, failures, metrics, raw: measurements };
    writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
  }
  if (options.writeDocs && failures.length === 0) {
    const file = join(root, 'docs', 'performance.md');
    const text = [`${machine}. Median of ${options.rounds} rounds.`, ...absent.map((line) => `Not measured: ${line}.`), ...shown.map(asMarkdown)].join('\n\n');
    writeFileSync(file, replaceGenerated(readFileSync(file, 'utf8'), text));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
