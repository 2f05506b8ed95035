/** Runs demos by the built command line, as a user would. Needs the images (npm run images) and dist/cli (npm run build:cli). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DemoRun {
  status: number | null;
  output: string;
  stats: {
    instructions: { total: number; l1: number; l2: number; l3?: number };
    exits: Record<string, number>;
    consoles: Record<string, { bytes: number; hash: string }>;
  };
}

/** `seconds` is generous: only there so that a hang ends. */
export function runDemo(demo: string, seconds: number, ...args: string[]): DemoRun {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-real-'));
  const statsFile = join(folder, 'stats.json');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['dist/cli/nestbox.js', 'run', demo, '--stats', statsFile, '--timeout', String(seconds), ...args],
    { encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  const stats = JSON.parse(readFileSync(statsFile, 'utf8')) as DemoRun['stats'];
  rmSync(folder, { recursive: true, force: true });
  return { status, output: stdout + stderr, stats };
}
