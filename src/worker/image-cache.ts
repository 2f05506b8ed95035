/**
 * Keeps the gallery's images in this browser (Cache API), so that a return visit, or one without a network, need not download them. An entry is
 * known by the SHA-256 that the manifest gives: when an image changes, its old entry goes. Where nothing may be kept, everything is downloaded.
 */

/** Name of the cache; the service worker leaves it alone. */
export const IMAGE_CACHE = 'nestbox-images';
const MANIFEST = 'images/manifest.json';

/** What is used of the Cache API. */
export interface ImageStore {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  keys(): Promise<readonly { readonly url: string }[]>;
  delete(url: string): Promise<boolean>;
}

export interface ImageCacheServices {
  open(): Promise<ImageStore>;
  /** Text of a file beside the page; null if it cannot be had. */
  fetchText(url: string): Promise<string | null>;
  log(text: string): void;
}

function hashesOf(manifest: string | null): Map<string, string> {
  const hashes = new Map<string, string>();
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(manifest ?? '{}');
  } catch {
    return hashes;
  }
  const { images } = (parsed ?? {}) as { images?: unknown };
  if (!Array.isArray(images)) return hashes;
  for (const image of images as { name?: unknown; sha256?: unknown }[]) {
    if (typeof image.name === 'string' && typeof image.sha256 === 'string') hashes.set(`images/${image.name}`, image.sha256);
  }
  return hashes;
}

export class ImageCache {
  private readonly services: ImageCacheServices;
  private readonly base: string;
  private hashes: Promise<Map<string, string>> | null = null;

  /** `base`: URL of the page. */
  constructor(services: ImageCacheServices, base: string) {
    this.services = services;
    this.base = base;
  }

  /** The image, if this very version is kept. */
  async get(file: string): Promise<Blob | null> {
    try {
      const key = await this.key(file);
      const found = key === null ? undefined : await (await this.services.open()).match(key);
      return found === undefined ? null : await found.blob();
    } catch {
      return null;
    }
  }

  /** Keeps the image; one that does not fit is only remarked on. */
  async put(file: string, image: Blob): Promise<void> {
    const key = await this.key(file);
    if (key === null) return;
    try {
      const store = await this.services.open();
      const path = key.split('?', 1)[0];
      for (const { url } of await store.keys()) if (url !== key && url.startsWith(`${path}?`)) await store.delete(url);
      await store.put(key, new Response(image));
    } catch (error) {
      const full = error instanceof DOMException && error.name === 'QuotaExceededError';
      this.services.log(full ? `${file} is not kept for the next visit: the browser’s storage for this page is full` : `${file} is not kept for the next visit: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Null for what is no image of the gallery. */
  private async key(file: string): Promise<string | null> {
    this.hashes ??= this.services.fetchText(new URL(MANIFEST, this.base).href).then(hashesOf);
    const hash = (await this.hashes).get(file);
    return hash === undefined ? null : `${new URL(file, this.base).href}?sha256=${hash}`;
  }
}
