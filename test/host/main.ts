/** Command line of the random differential test (scripts/host-fuzz.mjs bundles and starts it). */
import { parseArgs } from 'node:util';
import { buildNativeRunner } from './native';
import { coverage, fuzz, kindName } from './fuzz';
import type { RowCoverage } from './fuzz';
import { excludedRows } from './random-rows';
import type { Bits } from './user-layout';

const HELP = `Random user-mode instruction sequences, on this machine's processor and on ours, compared.

  npm run test:host -- [options]

  --count N       sequences per mode (default 1000000)
  --seed S        another set of sequences (default 1)
  --bits 64|32|16 one mode only
  --only NAMES    concentrate on these mnemonics or handler keys, separated by commas
  --first N       start at case N; with --count 1: that case again
  --failures N    stop after so many sequences with differences (default 20)
  --coverage      list every row with its numbers of completed and of refused executions
`;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' }, bits: { type: 'string' }, only: { type: 'string' }, first: { type: 'string', default: '0' },
    failures: { type: 'string', default: '20' }, coverage: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
});

async function runMode(program: string, bits: Bits): Promise<boolean> {
  const started = Date.now();
  let told = started;
  const result = await fuzz(program, {
    bits, count: Number(values.count), seed: Number(values.seed), only: values.only === undefined ? [] : values.only.split(','), first: Number(values.first),
    maxFailures: Number(values.failures),
    progress: (done, failures) => {
      if (Date.now() - told < 10_000) return;
      told = Date.now();
      process.stderr.write(`${bits}-bit: ${done} sequences, ${failures} with differences, ${Math.round(done / (told - started) * 1000)} per second\n`);
    },
  });
  for (const failure of result.failures) process.stdout.write(`${failure}\n\n`);
  const rows = coverage(result, bits), seconds = (Date.now() - started) / 1000;
  const kinds = [...result.kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${kindName(kind)} ${count}`).join(', ');
  process.stdout.write(`${bits}-bit: ${result.cases} sequences in ${seconds.toFixed(1)} s, ${result.failures.length} with differences\n  ended by ${kinds}\n`);
  if (values.only === undefined && result.cases > rows.length) {
    const total = (row: RowCoverage): number => row.completed + row.faulted;
    const never = rows.filter((row) => total(row) === 0), onlyFaults = rows.filter((row) => row.completed === 0 && row.faulted > 0);
    process.stdout.write(`  ${rows.length} rows, each executed at least ${total(rows[0])} times, half of them ${total(rows[rows.length >> 1])} times or more\n`);
    if (never.length > 0) process.stdout.write(`  never executed (${never.length}): ${never.slice(0, 60).map((row) => row.name).join('; ')}\n`);
    process.stdout.write(`  only ever refused: ${onlyFaults.map((row) => row.name.replace(/ \[.*/, '')).join('; ') || 'none'}\n`);
  }
  if (values.coverage) for (const row of rows) process.stdout.write(`  ${String(row.completed).padStart(8)} ${String(row.faulted).padStart(8)}  ${row.name}\n`);
  return result.failures.length === 0;
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(`${HELP}\nNot compared:\n${excludedRows().map((line) => `  ${line}\n`).join('')}`);
    return;
  }
  const program = buildNativeRunner(process.cwd());
  const modes = ([64, 32, 16] as Bits[]).filter((bits) => values.bits === undefined || values.bits === String(bits));
  let good = true;
  for (const bits of modes) good = await runMode(program, bits) && good;
  process.exitCode = good ? 0 : 1;
}

await main();
