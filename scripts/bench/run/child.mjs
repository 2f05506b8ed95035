/** A measured run in a Node process of its own, which prints JSON lines. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from '../errors.mjs';

/**
 * @param {string} script @param {unknown} spec given in a file, whose name is the argument @param {number} timeoutSeconds
 * @returns {Promise<any[]>}
 */
export async function runChild(script, spec, timeoutSeconds) {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-bench-'));
  const file = join(folder, 'spec.json');
  writeFileSync(file, JSON.stringify(spec));
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '', errors = '';
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
      child.stdout.on('data', (bytes) => {
        output += bytes;
      });
      child.stderr.on('data', (bytes) => {
        errors += bytes;
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        if (code === 0) resolve(output.trim().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)));
        else reject(new BenchError(`${script} failed (${code ?? `${signal}, ${timeoutSeconds} s were allowed`})\n${errors.slice(-1500)}`));
      });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
