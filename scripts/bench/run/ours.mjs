/** Our machine in Node: bundled as the command line is, each run in a process of its own. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { BenchError } from '../errors.mjs';
import { runChild } from './child.mjs';

/** Far more virtual time than any run takes. */
const CYCLE_LIMIT = 50e9;
export const DEMO = 'kvm-amd64';
const BARE = 'type = "hvm"\nnestedhvm = 1\nmemory = 256\n';

/** @param {string} root of the project @param {string} folder for what is built @returns {Promise<string>} path of the bundle */
export async function bundleRun(root, folder) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'node-run.mjs');
  const bundle = await rolldown({ input: join(root, 'scripts', 'bench', 'run', 'node-run.ts'), platform: 'node', external: [/^node:/] });
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
  return file;
}

/**
 * The specification of a run (run/machine-run.ts) of a workload image.
 * @param {string} image its name for the image source @param {string} cmdline @param {{ hap: boolean, engine: 'interpreter' | 'jit' | null }} options
 */
export function workloadSpec(image, cmdline, { hap, engine }) {
  return { config: BARE, settings: [`kernel="${image}"`, `cmdline="${cmdline}"`, `hap=${hap ? 1 : 0}`], engine, waits: [], limit: CYCLE_LIMIT };
}

/** What is waited for in the KVM demo: L1's greeting, written when its modules are loaded and its shell starts; L2's shell. */
export const BOOT_WAITS = /** @type {const} */ ([
  { console: 'l1', text: 'L1: Linux', name: 'l1' }, { console: 'l2', text: 'l2# ', name: 'l2' },
]);

/** @param {string} root */
export function readDemo(root) {
  return readFileSync(join(root, 'public', 'demos', `${DEMO}.cfg`), 'utf8');
}

/** @param {string} root @param {{ hap: boolean, engine: 'interpreter' | 'jit' | null }} options */
export function bootSpec(root, { hap, engine }) {
  return { config: readDemo(root), settings: [`hap=${hap ? 1 : 0}`], engine, waits: BOOT_WAITS, limit: CYCLE_LIMIT };
}

/**
 * @param {string} bundle @param {string} root @param {object} spec @param {number} timeoutSeconds
 * @returns {Promise<{ marks: any[], result: any }>}
 */
export async function runOurs(bundle, root, spec, timeoutSeconds) {
  const lines = await runChild(bundle, { ...spec, publicFolder: join(root, 'public') }, timeoutSeconds);
  const result = lines.pop();
  if (result?.kind !== 'result') throw new BenchError('the run ended without a result');
  return { marks: lines, result };
}
