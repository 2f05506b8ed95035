/** One image build at a time: a file with the process number of the one that runs. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Ends this process if another build runs.
 * @param {string} path
 * @returns {() => void} gives the lock back
 */
export function takeLock(path) {
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
  } catch {
    const holder = Number(readFileSync(path, 'utf8'));
    if (isAlive(holder)) {
      console.error(`Another build of the images is running (process ${holder}).`);
      process.exit(1);
    }
    writeFileSync(path, String(process.pid)); // left behind by a build that was killed
  }
  const release = () => rmSync(path, { force: true });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      release();
      process.exit(1);
    });
  }
  return release;
}

/** @param {number} pid */
function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
