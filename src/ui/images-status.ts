/**
 * Which images the server has, and how far their build is, from the two files that the build keeps (scripts/images/): manifest.json
 * lists what is finished, progress.json has one JSON line per step. Neither need exist.
 */

export interface BuildProgress {
  state: 'running' | 'done' | 'failed';
  /** Step n of m. */
  n: number;
  m: number;
  stage: string;
  /** Bytes of this step so far and in all; 0 where unknown. */
  bytes: number;
  total: number;
  message: string;
}

/** A finished image. */
export interface ImageEntry {
  /** 0 if the manifest does not say. */
  bytes: number;
  /** SHA-256; empty if the manifest does not say. */
  hash: string;
}

export interface ImagesStatus {
  /** Finished images by their paths relative to the page. */
  images: ReadonlyMap<string, ImageEntry>;
  /** Null where nobody has built or is building images. */
  build: BuildProgress | null;
}

export const NO_IMAGES: ImagesStatus = { images: new Map(), build: null };

const FOLDER = 'images/';

async function fetchText(path: string): Promise<string | null> {
  try {
    const response = await fetch(path, { cache: 'no-cache' });
    const isPage = (response.headers.get('content-type') ?? '').startsWith('text/html');
    return response.ok && !isPage ? await response.text() : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** The images that a manifest lists, by path. */
export function parseManifest(text: string): Map<string, ImageEntry> {
  const manifest = parseJson(text);
  const list = Array.isArray(manifest) ? manifest : isRecord(manifest) && Array.isArray(manifest.images) ? manifest.images : [];
  const images = new Map<string, ImageEntry>();
  for (const entry of list as unknown[]) {
    if (!isRecord(entry) || typeof entry.name !== 'string') continue;
    images.set(FOLDER + entry.name, {
      bytes: typeof entry.bytes === 'number' ? entry.bytes : 0, hash: typeof entry.sha256 === 'string' ? entry.sha256 : '',
    });
  }
  return images;
}

/** State of the build after these lines; null if there are none. An incomplete last line is being written: it is left out. */
export function parseProgress(text: string): BuildProgress | null {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).trimEnd().split('\n');
  const last = parseJson(lines[lines.length - 1]);
  if (!isRecord(last)) return null;
  const number = (key: string): number => (typeof last[key] === 'number' ? last[key] : 0);
  const word = (key: string): string => (typeof last[key] === 'string' ? last[key] : '');
  const over = word('stage') === 'all';
  return {
    state: !over ? 'running' : word('state') === 'failed' ? 'failed' : 'done',
    n: number('n'), m: number('m'), stage: over ? '' : word('stage'), bytes: number('bytes'), total: number('total'), message: word('message'),
  };
}

export async function fetchImagesStatus(): Promise<ImagesStatus> {
  const [manifest, progress] = await Promise.all([fetchText(`${FOLDER}manifest.json`), fetchText(`${FOLDER}progress.json`)]);
  return { images: manifest === null ? new Map() : parseManifest(manifest), build: progress === null ? null : parseProgress(progress) };
}
