/** Command line of the long lockstep test (scripts/lockstep.mjs bundles and starts it). */
import '../support/bare-cpu';
import { parseArgs } from 'node:util';
import type { Bits } from '../host/user-layout';
import { compareLoops } from './random-loops';

const HELP = `Interpreter and JIT, compared: random loops, then real boots.

  npm run test:lockstep -- [options]

  --count N        random programs per code size (default 2000)
  --seed S         another set of programs (default 1)
  --bits 64|32|16  one code size only
  --first N        start at program N; with --count 1: that program again
  --failures N     stop after so many programs with differences (default 5)
  --no-boots       random programs only
`;

/** They take a thousand times as long as the others, more or less. */
const LONG_PERCENT = 2;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '2000' }, seed: { type: 'string', default: '1' }, bits: { type: 'string' }, first: { type: 'string', default: '0' },
    failures: { type: 'string', default: '5' }, 'no-boots': { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
});

function runSize(bits: Bits): boolean {
  const started = Date.now();
  let told = started;
  const result = compareLoops({
    bits, count: Number(values.count), seed: Number(values.seed), first: Number(values.first), maxFailures: Number(values.failures),
    longPercent: LONG_PERCENT,
    progress: (done, failures) => {
      if (Date.now() - told < 10_000) return;
      told = Date.now();
      process.stderr.write(`${bits}-bit: ${done} programs, ${failures} with differences\n`);
    },
  });
  for (const failure of result.failures) process.stdout.write(`${failure}\n\n`);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${bits}-bit: ${result.programs} programs (${result.longPrograms} long) in ${seconds} s, ${result.boundaries} boundaries, ${result.compiled} regions compiled, ${result.failures.length} with differences\n`);
  return result.failures.length === 0;
}

if (values.help) process.stdout.write(HELP);
else {
  const sizes = ([64, 32, 16] as Bits[]).filter((bits) => values.bits === undefined || values.bits === String(bits));
  process.exitCode = sizes.map(runSize).every(Boolean) ? 0 : 1;
}
