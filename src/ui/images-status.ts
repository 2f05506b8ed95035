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

export interface ImagesStatus {
  /** Paths of finished images relative to the page. */
  images: ReadonlySet<string>;
  /** Null where nobody has built or is building images. */
  build: BuildProgress | null;
}

export const NO_IMAGES: ImagesStatus = { images: new Set(), build: null };

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

/** Paths of the images that a manifest lists. */
export function parseManifest(text: string): Set<string> {
  const manifest = parseJson(text);
  const list = Array.isArray(manifest) ? manifest : isRecord(manifest) && Array.isArray(manifest.images) ? manifest.images : [];
  const images = new Set<string>();
  for (const entry of list as unknown[]) {
    if (isRecord(entry) && typeof entry.name === 'string') images.add(FOLDER + entry.name);
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
  return { images: manifest === null ? new Set() : parseManifest(manifest), build: progress === null ? null : parseProgress(progress) };
}
