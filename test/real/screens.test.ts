/** Screens of real software, by the built command line: the machine's own VGA, and its guest's as L0 sees it. Needs the images (npm run images). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const HANG_GUARD_SECONDS = 900;
const COLUMNS = 80, ROWS = 25;

/** Runs a demo; the screen's text and what the third serial port sent. */
function run(demo: string, screen: 'l1' | 'l2', ...args: string[]): { status: number | null; output: string; text: string; com3: string } {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-screens-'));
  const textFile = join(folder, 'screen.txt'), com3File = join(folder, 'com3.txt');
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    'dist/cli/nestbox.js', 'run', demo, '--timeout', String(HANG_GUARD_SECONDS), '--serial', `2=file:${com3File}`,
    '--screen-text', screen === 'l1' ? textFile : `l2=${textFile}`, ...args,
  ], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const text = readFileSync(textFile, 'utf8'), com3 = readFileSync(com3File, 'latin1');
  rmSync(folder, { recursive: true, force: true });
  return { status, output: stdout + stderr, text, com3 };
}

/** Halfwords that QEMU's monitor printed for `xp /Nhx`. */
function dumpedHalfwords(monitor: string): number[] {
  return [...monitor.matchAll(/^[0-9a-f]+: ((?:0x[0-9a-f]{4} ?)+)/gm)].flatMap(([, words]) => words.trim().split(' ').map(Number));
}

describe('screens', () => {
  it('L2’s VGA text is, cell for cell, what QEMU says its screen holds; keys typed there reach L2', () => {
    // The monitor is asked when the screen has come to rest at the prompt.
    const { status, output, text, com3 } = run('kvm-qemu-vga', 'l2',
      '--send', 'l2vga:echo $((6*7))x\\n@l2#', '--send', `com3/l2vga:xp /${COLUMNS * ROWS}hx 0xb8000\\n@^42x\\s+l2#`, '--until', 'com3:b8f90:[^\\n]*\\n');
    expect(status, output).toBe(0);
    const cells = dumpedHalfwords(com3);
    expect(cells).toHaveLength(COLUMNS * ROWS);
    const lines = Array.from({ length: ROWS }, (_, row) => String.fromCharCode(...cells.slice(row * COLUMNS, (row + 1) * COLUMNS).map((cell) => cell & 0xff)).trimEnd());
    expect(text.split('\n').slice(0, ROWS)).toEqual(lines);
    expect(text).toMatch(/^SeaBIOS/);
    expect(text).toContain('L2: Linux');
  }, HANG_GUARD_SECONDS * 1000);

  it('SeaBIOS and its VGA BIOS come up to the boot menu, which answers to Esc', () => {
    const { status, output } = run('seabios', 'l1', '--send', 'vga:\\e@Press ESC for boot menu', '--until', 'vga:Select boot device');
    expect(status, output).toBe(0);
  }, HANG_GUARD_SECONDS * 1000);

  it('memtest86+ draws its screen', () => {
    const { status, output, text } = run('memtest', 'l1', '--until', 'vga:<Enter> to start testing');
    expect(status, output).toBe(0);
    expect(text).toContain('Memtest86+ v');
    expect(text).toMatch(/Memory {2}: {3}32MB/);
  }, HANG_GUARD_SECONDS * 1000);
});
