/** Downloads against a real server on this machine. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { downloadImage } from '../../src/worker/images';
import { DownloadError } from '../../src/worker/problems';

const CONTENTS = Buffer.alloc(1_000_000, 7);

describe('downloadImage', () => {
  let server: Server, base = '';
  const quiet = (): void => undefined;

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/sub/good') response.writeHead(200, { 'Content-Length': CONTENTS.length }).end(CONTENTS);
      else if (request.url === '/sub/page') response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>fallback');
      else if (request.url === '/sub/denied') response.writeHead(403).end();
      else if (request.url === '/sub/cut') {
        response.writeHead(200, { 'Content-Length': CONTENTS.length });
        response.write(CONTENTS.subarray(0, 1000), () => response.destroy());
      } else response.writeHead(404).end();
    });
    await new Promise<void>((done) => {
      server.listen(0, '127.0.0.1', done);
    });
    const address = server.address();
    base = typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}/sub/index.html` : '';
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('downloads relative to the page, telling the progress', async () => {
    const told: [number, number | null][] = [];
    const blob = await downloadImage('good', base, (file, received, total) => {
      expect(file).toBe('good');
      told.push([received, total]);
    });
    expect(new Uint8Array(await blob.arrayBuffer()).every((byte) => byte === 7)).toBe(true);
    expect(told[0]).toEqual([0, CONTENTS.length]);
    expect(told.at(-1)).toEqual([CONTENTS.length, CONTENTS.length]);
    expect(told.every(([received], n) => n === 0 || received >= told[n - 1][0])).toBe(true);
  });

  it.each([
    ['none', 'missing'], ['page', 'missing'], ['denied', 'refused'], ['cut', 'network'], ['http://127.0.0.1:1/x', 'network'],
  ])('tells why %s cannot be had', async (file, kind) => {
    const error: unknown = await downloadImage(file, base, quiet).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DownloadError);
    expect(error).toMatchObject({ kind, file });
  });
});
