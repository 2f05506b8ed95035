/**
 * `npm start`: serves the page at once; builds it first only if it is missing or older than its sources. Where apt exists, the images
 * of the Linux demos are built behind it, with progress in the terminal and in the page.
 *
 *   npm start -- [--port N] [--host ADDRESS] [--no-images]
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { listen, staticServer } from './serve/static-server.mjs';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const PAGE = join(ROOT, 'dist', 'page');
const SOURCES = ['src', 'index.html', 'public/demos', 'public/favicon.svg', 'scripts/vite-demos.ts', 'vite.config.ts', 'package-lock.json'];
/** How far the build of the images is; the page reads it (scripts/images/progress.mjs). */
const PROGRESS = join(ROOT, 'public', 'images', 'progress.json');
const DEFAULT_PORT = 5173;

/** @param {string} path @returns {number} time of the latest change in or below it, milliseconds */
function lastChange(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, entry) => Math.max(latest, lastChange(join(path, entry))), stat.mtimeMs);
}

function pageIsCurrent() {
  const built = statSync(join(PAGE, 'index.html'), { throwIfNoEntry: false });
  return built !== undefined && SOURCES.every((source) => lastChange(join(ROOT, source)) <= built.mtimeMs);
}

/** Runs a Node program of the project; resolves to its exit code. @param {string[]} args */
function runNode(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  process.once('exit', () => child.kill());
  return new Promise((done) => {
    child.once('exit', (code) => done(code ?? 1));
    child.once('error', () => done(1));
  });
}

/** @param {string} tool */
function hasTool(tool) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Tells the page, before it is served, whether a build of the images is about to run: what an interrupted one left behind would mislead it. */
function announceBuild(/** @type {boolean} */ isComing) {
  const line = { n: 1, m: 1, stage: 'looking at what is there', state: 'running', bytes: 0, total: 0, message: '' };
  mkdirSync(dirname(PROGRESS), { recursive: true });
  if (isComing) writeFileSync(PROGRESS, `${JSON.stringify(line)}\n`);
  else rmSync(PROGRESS, { force: true });
}

async function buildImages() {
  const code = await runNode([join(ROOT, 'scripts', 'images.mjs')]);
  console.log(code === 0 ? 'The images of the Linux demos are ready.' : 'Not all images could be built (see above); the other demos work.');
}

function usage(message) {
  console.error(`npm start: ${message}\nUsage: npm start -- [--port N] [--host ADDRESS] [--no-images]`);
  process.exit(2);
}

function readArguments() {
  try {
    const { values } = parseArgs({ options: { port: { type: 'string' }, host: { type: 'string' }, 'no-images': { type: 'boolean' } } });
    const port = Number(values.port ?? DEFAULT_PORT);
    if (!Number.isInteger(port) || port < 0 || port > 65535) return usage(`--port ${values.port}: not a port number`);
    return { port, host: values.host ?? '127.0.0.1', images: values['no-images'] !== true };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const { port, host, images } = readArguments();
if (!pageIsCurrent()) {
  console.log('Building the page ...');
  const vite = join(ROOT, 'node_modules', 'vite');
  if (!existsSync(vite)) {
    console.error('The packages are not installed: run npm ci first.');
    process.exit(1);
  }
  const bin = JSON.parse(readFileSync(join(vite, 'package.json'), 'utf8')).bin.vite;
  if ((await runNode([join(vite, bin), 'build', '--logLevel', 'warn'])) !== 0) process.exit(1);
}
const canBuildImages = images && hasTool('apt-get');
if (images) announceBuild(canBuildImages);
const server = staticServer(PAGE);
const taken = await listen(server, host, port).catch((error) => {
  console.error(`npm start: cannot listen on ${host}:${port}: ${error.message}`);
  process.exit(1);
});
console.log(`\n  Nestbox: http://${host.includes(':') ? `[${host}]` : host === '127.0.0.1' ? 'localhost' : host}:${taken}/\n`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
if (canBuildImages) await buildImages();
else if (images) console.log('The Linux demos need images that are made from Debian packages with apt, which is not here; the built-in demo needs none.');
