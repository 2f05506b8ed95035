/**
 * A small static file server for the built page: what any host would do, plus the headers that isolate the page. Files may
 * change or appear while it runs (the images do), so everything is revalidated by its ETag.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { pipeline } from 'node:stream';

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8', '.cfg': 'text/plain; charset=utf-8', '.png': 'image/png', '.webmanifest': 'application/manifest+json', '.map': 'application/json',
};

/** The file behind a URL path, or null. @param {string} root @param {string} pathname */
function fileOf(root, pathname) {
  let decoded;
  try {
    decoded = decodeURIComponent(pathname);
  } catch {
    return null;
  }
  if (decoded.includes('\0')) return null;
  const path = normalize(join(root, decoded));
  if (path !== root && !path.startsWith(root + sep)) return null;
  for (const candidate of [path, join(path, 'index.html')]) {
    const stat = statSync(candidate, { throwIfNoEntry: false });
    if (stat?.isFile()) return { path: candidate, stat };
  }
  return null;
}

/**
 * @param {string} root folder to serve
 * @param {{ isolate?: boolean }} options isolate: send COOP and COEP (default true)
 * @returns {import('node:http').Server}
 */
export function staticServer(root, { isolate = true } = {}) {
  const base = normalize(root).replace(/[\\/]+$/, '');
  return createServer((request, response) => {
    if (isolate) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const file = fileOf(base, (request.url ?? '/').split(/[?#]/, 1)[0]);
    if (file === null) {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('There is no such file.\n');
      return;
    }
    const { path, stat } = file;
    const etag = `"${stat.size.toString(16)}-${Math.round(stat.mtimeMs).toString(16)}"`;
    response.setHeader('ETag', etag);
    response.setHeader('Cache-Control', 'no-cache');
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', 'Content-Length': stat.size });
    if (request.method === 'HEAD') response.end();
    // A visitor who leaves, or a file replaced while it is sent, ends this answer only.
    else pipeline(createReadStream(path), response, () => undefined);
  });
}

/**
 * Listens on `port`, or on the next free one after it.
 * @param {import('node:http').Server} server @param {string} host @param {number} port @param {number} tries
 * @returns {Promise<number>} the port
 */
export function listen(server, host, port, tries = 20) {
  return new Promise((resolve, reject) => {
    const failed = (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code !== 'EADDRINUSE' || tries <= 1) reject(error);
      else listen(server, host, port + 1, tries - 1).then(resolve, reject);
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
