/** The programs of the host that the image build runs: finding them, running them, and saying which package has them. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian package of each tool, for messages. */
const PACKAGE_OF = { 'apt-get': 'apt', 'apt-cache': 'apt', 'dpkg-deb': 'dpkg', tar: 'tar', gcc: 'gcc and libc6-dev', strip: 'binutils', xz: 'xz-utils' };

/** Something the build needs is not there, or a tool failed. The message is for the user; no stack is shown. */
export class ImageError extends Error {}

/** @param {string} tool @returns {string | null} its path */
export function findTool(tool) {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, tool);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this directory
    }
  }
  return null;
}

/** @param {...keyof typeof PACKAGE_OF} tools */
export function requireTools(...tools) {
  const missing = tools.filter((tool) => findTool(tool) === null);
  if (missing.length === 0) return;
  const list = missing.map((tool) => `${tool} (Debian package ${PACKAGE_OF[tool]})`).join(', ');
  throw new ImageError(`missing on this machine: ${list}`);
}

/**
 * Runs a tool to its end.
 * @param {string} tool
 * @param {string[]} args
 * @param {{ cwd?: string, input?: Buffer, allowFailure?: boolean }} options
 * @returns {Promise<{ stdout: Buffer, stderr: string, code: number }>}
 */
export function run(tool, args, { cwd, input, allowFailure = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { cwd, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    /** @type {Buffer[]} */
    const stdout = [];
    let stderr = '';
    child.stdout?.on('data', (chunk) => stdout.push(chunk));
    child.stderr?.on('data', (chunk) => (stderr += chunk));
    child.on('error', (error) => reject(new ImageError(`${tool} does not start: ${error.message}`)));
    child.on('close', (code) => {
      const result = { stdout: Buffer.concat(stdout), stderr, code: code ?? -1 };
      if (code === 0 || allowFailure) resolve(result);
      else reject(new ImageError(`${[tool, ...args].join(' ')}\n  failed with code ${code}:\n${indent(stderr)}`));
    });
    if (input !== undefined && child.stdin !== null) {
      child.stdin.on('error', () => {}); // a tool that stops reading says why on stderr
      child.stdin.end(input);
    }
  });
}

/** @param {string} text the last lines of it */
function indent(text) {
  return text.trim().split('\n').slice(-12).map((line) => `    ${line}`).join('\n');
}
