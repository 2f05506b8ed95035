/** CPU time of this process, this thread, and other processes, in seconds. */
import { readdirSync, readFileSync } from 'node:fs';

/** First field of schedstat: time on the CPU in nanoseconds. @param {string} path */
const schedstat = (path) => Number(readFileSync(path, 'latin1').split(' ', 1)[0]) / 1e9;

/** The calling thread; where the kernel does not tell, the whole process. */
export function threadSeconds() {
  try {
    return schedstat('/proc/thread-self/schedstat');
  } catch {
    return processSeconds();
  }
}

/** This process, all its threads. */
export function processSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** All living threads of another process; null if it is gone. @param {number} pid */
export function secondsOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + schedstat(`/proc/${pid}/task/${thread}/schedstat`), 0);
  } catch {
    return null;
  }
}

/** A thread of another process; null if it is gone. @param {string} path its folder in /proc */
export function secondsOfThread(path) {
  try {
    return schedstat(`${path}/schedstat`);
  } catch {
    return null;
  }
}
