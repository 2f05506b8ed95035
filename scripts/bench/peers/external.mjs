/** Emulators as other programs: their consoles are read, and with each mark their CPU time from /proc. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ConsoleMarks } from '../run/console-marks.mjs';
import { secondsOf } from '../run/cpu-time.mjs';
import { BenchError } from '../errors.mjs';

/** @typedef {import('../run/console-marks.mjs').Wait} Wait */
/** @typedef {import('../run/console-marks.mjs').Mark & { times: Record<string, number> }} TimedMark */

/** @param {string} program */
export function isInstalled(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/**
 * Runs a program until its consoles have shown everything, then kills it.
 * @param {{
 *   program: string, args: string[], cwd: string, waits: Wait[], timeoutSeconds: number,
 *   consoles: (child: import('node:child_process').ChildProcess) => Partial<Record<'l1' | 'l2', import('node:stream').Readable>>,
 *   started?: (child: import('node:child_process').ChildProcess, started: () => void) => void,
 * }} run `started` calls its second argument when the guest proper starts; without it, time counts from the program's start
 * @returns {Promise<TimedMark[]>}
 */
export function runExternal({ program, args, cwd, waits, timeoutSeconds, consoles, started }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TERM: 'xterm' } });
    const pid = child.pid ?? 0;
    /** @type {TimedMark[]} */
    const timed = [];
    let zero = 0, ended = false, tail = '';
    const end = (/** @type {Error | null} */ error) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      child.kill('SIGKILL');
      if (error === null) resolve(timed);
      else reject(error);
    };
    const timer = setTimeout(() => end(new BenchError(`${program}: no end after ${timeoutSeconds} s. ${tail}`)), timeoutSeconds * 1000);
    started?.(child, () => {
      zero = secondsOf(pid) ?? 0;
    });
    // One look at the clock per piece of output: what arrives together happened together.
    let now = 0;
    const marks = new ConsoleMarks(waits, (mark) => timed.push({ ...mark, times: { process: now - zero } }));
    for (const [level, stream] of Object.entries(consoles(child))) {
      stream.on('data', (/** @type {Buffer} */ bytes) => {
        now = secondsOf(pid) ?? now;
        tail = (tail + bytes.toString('latin1')).slice(-300);
        for (const byte of bytes) marks.add(/** @type {'l1' | 'l2'} */ (level), byte);
        if (marks.done) end(null);
      });
    }
    child.stderr?.on('data', (/** @type {Buffer} */ bytes) => {
      tail = (tail + bytes.toString('latin1')).slice(-300);
    });
    child.on('error', (error) => end(new BenchError(`${program}: ${error.message}`)));
    child.on('exit', (code, signal) => setTimeout(() => end(new BenchError(`${program} ended (${code ?? signal}) before its guest had shown everything. ${tail}`)), 100));
  });
}
