import { describe, expect, it } from 'vitest';
import { ImageCache } from '../../src/worker/image-cache';
import type { ImageStore } from '../../src/worker/image-cache';

const BASE = 'http://host/sub/';

class MemoryStore implements ImageStore {
  readonly entries = new Map<string, Response>();
  full = false;
  match(url: string): Promise<Response | undefined> {
    return Promise.resolve(this.entries.get(url)?.clone());
  }
  put(url: string, response: Response): Promise<void> {
    if (this.full) return Promise.reject(new DOMException('no room', 'QuotaExceededError'));
    this.entries.set(url, response);
    return Promise.resolve();
  }
  keys(): Promise<readonly { url: string }[]> {
    return Promise.resolve([...this.entries.keys()].map((url) => ({ url })));
  }
  delete(url: string): Promise<boolean> {
    return Promise.resolve(this.entries.delete(url));
  }
}

function make(store: ImageStore, manifest: string | null, log: string[] = []): ImageCache {
  return new ImageCache({ open: () => Promise.resolve(store), fetchText: () => Promise.resolve(manifest), log: (text) => log.push(text) }, BASE);
}

const manifest = (hash: string): string => JSON.stringify({ images: [{ name: 'k', sha256: hash }, { name: 'k2', sha256: 'zz' }] });

describe('ImageCache', () => {
  it('gives back what it was given, as long as the manifest names that version', async () => {
    const store = new MemoryStore();
    const cache = make(store, manifest('aa'));
    expect(await cache.get('images/k')).toBeNull();
    await cache.put('images/k', new Blob(['one']));
    await cache.put('images/k2', new Blob(['other']));
    expect(await (await cache.get('images/k'))?.text()).toBe('one');
    const later = make(store, manifest('bb'));
    expect(await later.get('images/k')).toBeNull();
    await later.put('images/k', new Blob(['two']));
    expect([...store.entries.keys()].toSorted()).toEqual([`${BASE}images/k2?sha256=zz`, `${BASE}images/k?sha256=bb`]);
  });

  it('keeps nothing that the manifest does not name', async () => {
    const store = new MemoryStore();
    for (const text of [null, '', '{', '[]', '{"images":5}']) {
      const cache = make(store, text);
      await cache.put('images/k', new Blob(['one']));
      await cache.put('https://else/k', new Blob(['one']));
      expect(await cache.get('images/k')).toBeNull();
    }
    expect(store.entries.size).toBe(0);
  });

  it('says when the storage is full, and works on', async () => {
    const store = new MemoryStore(), log: string[] = [];
    store.full = true;
    await make(store, manifest('aa'), log).put('images/k', new Blob(['one']));
    expect(log).toEqual([expect.stringContaining('storage for this page is full')]);
  });
});
