/**
 * `npm run test:lockstep`: the interpreter against the JIT. First random loops (bundled into one module: only there V8 treats the CPU's state as
 * constants), then the demos that are there, booted with `--engine both`. Options: npm run test:lockstep -- --help
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'node_modules', '.cache', 'lockstep', 'random.mjs');
const args = process.argv.slice(2);

/** @param {string[]} command @returns {boolean} it succeeded */
function run(command) {
  return spawnSync(process.execPath, command, { stdio: ['ignore', 'inherit', 'inherit'], cwd: root }).status === 0;
}

/** Boots to a prompt, and what that needs. */
const BOOTS = [
  { args: ['builtin', '--send', 'l2:exits\\r@l2# ', '--until', 'l2:VM exits so far'], needs: 'dist/cli/nestbox.js' },
  ...[[], ['--set', 'hap=0'], ['--set', 'vcpus=2']].map((more) => (
    { args: ['kvm-amd64', ...more, '--send', 'l2:uname -sm\\r@l2# ', '--until', 'l2:Linux x86_64'], needs: 'public/images/l1-mini.cpio' })),
];

const bundle = await rolldown({ input: join(root, 'test', 'lockstep', 'main.ts'), platform: 'node', external: [/^node:/] });
await bundle.write({ file: output, format: 'esm', codeSplitting: false });
await bundle.close();
let good = run([output, ...args]);
if (!args.includes('--no-boots') && !args.includes('--help')) {
  good = run([join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--config', 'vite.cli.config.ts', '--logLevel', 'error']) && good;
  for (const boot of BOOTS) {
    const isThere = existsSync(join(root, boot.needs));
    console.log(`\n== ${boot.args.slice(0, boot.args.indexOf('--until')).join(' ')} with both engines${isThere ? '' : `: ${boot.needs} is missing (npm run images)`}`);
    good = isThere && run(['dist/cli/nestbox.js', 'run', ...boot.args, '--engine', 'both']) && good;
  }
}
process.exitCode = good ? 0 : 1;
