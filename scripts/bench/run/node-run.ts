/**
 * A run of our machine in a Node process of its own: `node node-run.mjs SPEC.json`. Prints a JSON line per mark, and a last one with
 * the statistics and the memory that the process used.
 */
import { existsSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { processSeconds, threadSeconds } from './cpu-time.mjs';
import { defaultEngine, runMachine } from './machine-run';
import type { RunSpec } from './machine-run';

const TURN_MS = 40;

/**
 * Resident bytes of this process that are not the guest's RAM: all mappings but the one that is as large as that. Null where the
 * kernel does not tell.
 */
function residentOutside(ramBytes: number): number | null {
  if (!existsSync('/proc/self/smaps')) return null;
  let outside = 0;
  let size = 0;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const [, key, kilobytes] = /^(Size|Rss): +(\d+) kB/.exec(line) ?? [];
    if (key === 'Size') size = Number(kilobytes) * 1024;
    else if (key === 'Rss' && (size < ramBytes || size > ramBytes * 1.1)) outside += Number(kilobytes) * 1024;
  }
  return outside;
}

const spec = JSON.parse(readFileSync(process.argv[2], 'utf8')) as RunSpec & { publicFolder: string };
const lines: string[] = [];
const images = async (name: string): Promise<Uint8Array> => new Uint8Array(readFileSync(existsSync(name) ? name : `${spec.publicFolder}/${name}`));
let turn = performance.now();
const stats = await runMachine(
  spec, images,
  () => ({ thread: threadSeconds(), process: processSeconds(), wall: performance.now() / 1000 }),
  (sample) => lines.push(JSON.stringify(sample)),
  async () => {
    if (performance.now() - turn < TURN_MS) return;
    await nextTurn();
    turn = performance.now();
  },
);
lines.push(JSON.stringify({ kind: 'result', stats, engine: spec.engine ?? defaultEngine(), overheadBytes: residentOutside(stats.memoryBytes) }));
process.stdout.write(`${lines.join('\n')}\n`);
