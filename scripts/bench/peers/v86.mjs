/** npm's v86, a PC in JavaScript and WebAssembly, for 32-bit work. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '../run/child.mjs';

/** Null, or why it cannot be used. */
export function v86Problem() {
  try {
    createRequire(import.meta.url).resolve('v86/build/libv86.mjs');
    return null;
  } catch {
    return 'not installed (npm ci)';
  }
}

/** @param {{ kernel: string, cmdline: string, memoryMb: number, timeoutSeconds: number }} run */
export function runV86({ timeoutSeconds, ...spec }) {
  return runChild(join(dirname(fileURLToPath(import.meta.url)), 'v86-run.mjs'), spec, timeoutSeconds);
}
