/** Headless Chromium: the bench's page with its worker, and the product's page. Both built as for production. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { build } from 'vite';
import { listen, staticServer } from '../../serve/static-server.mjs';
import { BenchError } from '../errors.mjs';
import { secondsOfThread } from '../run/cpu-time.mjs';

const CANDIDATES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const WORKER_THREAD = 'DedicatedWorker';

const executable = () => CANDIDATES.find((path) => path !== undefined && existsSync(path));

/** Null, or why it cannot be used. */
export function chromiumProblem() {
  return executable() === undefined ? 'no Chromium (Debian: chromium; or name one in CHROMIUM)' : null;
}

export function launchChromium() {
  return chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'] });
}

/**
 * Builds the bench's page and serves it, with the images beside it.
 * @param {string} root @param {string} folder @param {string} guests
 */
export async function serveBench(root, folder, guests) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await build({
    configFile: false, root: join(root, 'scripts', 'bench', 'chromium'), base: './', logLevel: 'error', publicDir: false,
    worker: { format: 'es' }, build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
  });
  symlinkSync(join(root, 'public', 'images'), join(folder, 'images'));
  symlinkSync(guests, join(folder, 'guests'));
  return serve(folder);
}

/** @param {string} folder */
export async function serve(folder) {
  const server = staticServer(folder, { isolate: true });
  const port = await listen(server, '127.0.0.1', 0);
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * Runs a specification (run/machine-run.ts) in a worker of a new browser. CPU time is that of the worker's thread where the system
 * tells (Linux), else real time.
 * @param {string} url @param {object} spec @param {number} timeoutSeconds
 * @returns {Promise<{ marks: any[], result: any }>}
 */
export async function runInChromium(url, spec, timeoutSeconds) {
  const browser = await launchChromium();
  try {
    const page = await (await browser.newContext()).newPage();
    /** @type {any[]} */
    const marks = [];
    /** @type {string | null} */
    let thread = null;
    /** @type {Promise<any>} */
    const finished = new Promise((resolve, reject) => {
      setTimeout(() => reject(new BenchError(`Chromium: no end after ${timeoutSeconds} s`)), timeoutSeconds * 1000).unref();
      void page.exposeFunction('benchMessage', (/** @type {string} */ text) => {
        const message = JSON.parse(text);
        if (message.kind === 'error') return reject(new BenchError(`Chromium: ${message.message}`));
        if (message.kind === 'result') return resolve(message);
        thread ??= findWorkerThread();
        const seconds = thread === null ? null : secondsOfThread(thread);
        const { wall } = message.times;
        marks.push({ ...message, times: { wall, process: seconds ?? wall, thread: seconds ?? wall } });
      }).then(() => page.goto(`${url}index.html`)).then(() => page.evaluate((text) => window.startRun(JSON.parse(text)), JSON.stringify(spec))).catch(reject);
    });
    const result = await finished;
    return { marks, result };
  } finally {
    await browser.close();
  }
}

/** The thread of the only worker among this process's descendants: the one that has computed most. */
function findWorkerThread() {
  /** @type {{ path: string, seconds: number }[]} */
  const threads = [];
  for (const pid of descendants(process.pid)) {
    let names;
    try {
      names = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    for (const name of names) {
      const path = `/proc/${pid}/task/${name}`;
      try {
        if (readFileSync(`${path}/comm`, 'latin1').startsWith(WORKER_THREAD)) threads.push({ path, seconds: secondsOfThread(path) ?? 0 });
      } catch {
        // The thread has ended meanwhile.
      }
    }
  }
  return threads.sort((a, b) => b.seconds - a.seconds)[0]?.path ?? null;
}

/** @param {number} root @returns {number[]} */
function descendants(root) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  if (!existsSync('/proc/self/stat')) return [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))?.[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // The process has ended meanwhile.
    }
  }
  const found = [root];
  for (let n = 0; n < found.length; n++) found.push(...(children.get(found[n]) ?? []));
  return found.slice(1);
}

/**
 * Milliseconds from the start of a navigation to the product's page until its second console shows something, with a warm cache.
 * @param {string} url @param {number} loads
 */
export async function firstOutputTimes(url, loads) {
  const browser = await launchChromium();
  try {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    const times = [];
    for (let n = 0; n <= loads; n++) {
      await page.goto('about:blank');
      await page.goto(`${url}#demo=builtin`);
      const shown = await page.waitForFunction(() => {
        const rows = document.querySelector('[data-console=l2] .xterm-rows');
        return rows !== null && (rows.textContent ?? '').trim() !== '' ? performance.now() : 0;
      }, undefined, { polling: 'raf', timeout: 60_000 });
      // The first load fills the cache.
      if (n > 0) times.push(await shown.jsonValue());
    }
    return times;
  } finally {
    await browser.close();
  }
}
