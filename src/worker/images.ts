/** The files that a configuration names: downloaded with progress, relative to the page, or taken from what was downloaded before. */
import { DownloadError } from './problems';

export type DownloadProgress = (file: string, received: number, total: number | null) => void;

/** Progress is told at most this often, in bytes. */
const PROGRESS_STEP = 256 * 1024;

/** Downloads one file; `base` as in the page's request. */
export async function downloadImage(file: string, base: string, progress: DownloadProgress): Promise<Blob> {
  const url = new URL(file, base);
  if (url.protocol === 'local:') throw new DownloadError(file, url.href, 'missing', 'it was not dropped on this page');
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new DownloadError(file, url.href, 'network', error instanceof Error ? error.message : String(error), url.origin !== new URL(base).origin);
  }
  // Development servers and some hosts answer unknown paths with their start page.
  const isPage = (response.headers.get('content-type') ?? '').startsWith('text/html');
  if (response.status === 404 || (response.ok && isPage)) throw new DownloadError(file, url.href, 'missing', 'the server has no such file');
  if (!response.ok || response.body === null) throw new DownloadError(file, url.href, 'refused', `the server answered ${response.status} ${response.statusText}`.trim());
  return new Blob(await readBody(response.body, file, url.href, contentLength(response), progress));
}

/** Null if unknown; a compressed transfer is longer when unpacked, so its length says nothing. */
function contentLength(response: Response): number | null {
  const length = response.headers.get('content-length');
  return length === null || response.headers.has('content-encoding') ? null : Number(length);
}

async function readBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>>, file: string, url: string, total: number | null, progress: DownloadProgress,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const reader = body.getReader();
  let received = 0, told = 0;
  progress(file, 0, total);
  for (;;) {
    let result: ReadableStreamReadResult<Uint8Array<ArrayBuffer>>;
    try {
      result = await reader.read();
    } catch (error) {
      throw new DownloadError(file, url, 'network', `the transfer broke off after ${received} bytes (${error instanceof Error ? error.message : String(error)})`);
    }
    if (result.done) break;
    chunks.push(result.value);
    received += result.value.length;
    if (received - told >= PROGRESS_STEP) {
      told = received;
      progress(file, received, total);
    }
  }
  if (total !== null && received < total) throw new DownloadError(file, url, 'network', `the transfer ended after ${received} of ${total} bytes`);
  progress(file, received, total);
  return chunks;
}
