/**
 * Bundles the random differential test into one module and runs it: V8 treats the CPU's state as constants only within one
 * module scope, without which the CPU is many times slower. Options: npm run test:host -- --help
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'node_modules', '.cache', 'host', 'fuzz.mjs');
const bundle = await rolldown({ input: join(root, 'test', 'host', 'main.ts'), platform: 'node', external: [/^node:/] });
await bundle.write({ file: output, format: 'esm', codeSplitting: false });
await bundle.close();
process.exitCode = spawnSync(process.execPath, [output, ...process.argv.slice(2)], { stdio: 'inherit', cwd: root }).status ?? 1;
