/**
 * A run of v86 (npm's package, its wasm JIT) in a Node process of its own: `node v86-run.mjs SPEC.json`, with SPEC { kernel, cmdline,
 * memoryMb }. Prints a JSON line per mark, as node-run does.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { ConsoleMarks } from '../run/console-marks.mjs';
import { processSeconds, threadSeconds } from '../run/cpu-time.mjs';

const spec = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const folder = dirname(createRequire(import.meta.url).resolve('v86/build/libv86.mjs'));
const { V86 } = await import(pathToFileURL(join(folder, 'libv86.mjs')).href);
const kernel = readFileSync(spec.kernel);

/** @type {string[]} */
const lines = [];
const marks = new ConsoleMarks([], (mark) => {
  lines.push(JSON.stringify({ ...mark, times: { thread: threadSeconds(), process: processSeconds(), wall: performance.now() / 1000 } }));
});
const emulator = new V86({
  wasm_path: join(folder, 'v86.wasm'), memory_size: spec.memoryMb * 1024 * 1024, vga_memory_size: 2 * 1024 * 1024, autostart: true,
  multiboot: { buffer: kernel.buffer.slice(kernel.byteOffset, kernel.byteOffset + kernel.length) }, cmdline: spec.cmdline,
  disable_keyboard: true, disable_mouse: true, disable_speaker: true,
});
emulator.add_listener('serial0-output-byte', (/** @type {number} */ byte) => {
  marks.add('l1', byte);
  if (!marks.done) return;
  writeFileSync(1, `${lines.join('\n')}\n`);
  process.exit(0);
});
