/** The server of `npm start`. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen, staticServer } from '../../scripts/serve/static-server.mjs';

describe('staticServer', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-static-'));
  let server: Server, port = 0;

  beforeAll(async () => {
    mkdirSync(join(folder, 'root', 'sub'), { recursive: true });
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    writeFileSync(join(folder, 'root', 'index.html'), '<p>page');
    writeFileSync(join(folder, 'root', 'sub', 'a b.js'), 'code');
    server = staticServer(join(folder, 'root'));
    port = await listen(server, '127.0.0.1', 0);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** fetch() would normalise the paths. */
  function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
    return new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        }).on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      }).on('error', reject).end();
    });
  }

  it('serves files with their types and isolates the page', async () => {
    expect(await get('/')).toMatchObject({ status: 200, body: '<p>page', headers: { 'content-type': 'text/html; charset=utf-8', 'cross-origin-opener-policy': 'same-origin' } });
    expect(await get('/sub/a%20b.js?x=1')).toMatchObject({ status: 200, body: 'code', headers: { 'content-length': '4' } });
    expect(await get('/', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await get('/', {}, 'POST')).toMatchObject({ status: 405 });
  });

  it('answers 304 to who has the file already', async () => {
    const { headers } = await get('/');
    expect(await get('/', { 'If-None-Match': headers.etag ?? '' })).toMatchObject({ status: 304, body: '' });
    writeFileSync(join(folder, 'root', 'index.html'), '<p>another page');
    expect(await get('/', { 'If-None-Match': headers.etag ?? '' })).toMatchObject({ status: 200, body: '<p>another page' });
  });

  it.each(['/none', '/sub/', '/../secret.txt', '/%2e%2e/secret.txt', '/sub/..%2f..%2fsecret.txt', '/%00', '/%zz'])('has no file for %s', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  it('takes the next port where one is in use', async () => {
    const second = staticServer(folder);
    expect(await listen(second, '127.0.0.1', port)).toBeGreaterThan(port);
    second.close();
  });
});
