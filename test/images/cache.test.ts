import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StepCache, cacheKey, hashFiles } from '../../scripts/images/cache.mjs';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nestbox-cache-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('cacheKey', () => {
  it('does not depend on the order of keys, but on every value', () => {
    expect(cacheKey({ a: 1, b: { c: 2, d: [3] } })).toBe(cacheKey({ b: { d: [3], c: 2 }, a: 1 }));
    const keys = [{ a: 1 }, { a: 2 }, { b: 1 }, { a: [1, 2] }, { a: [2, 1] }, { a: null }, {}].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('hashFiles', () => {
  it('changes with contents and with their order', () => {
    const [a, b] = ['a', 'b'].map((name) => join(root, name)) as [string, string];
    writeFileSync(a, 'one');
    writeFileSync(b, 'two');
    const before = hashFiles([a, b]);
    expect(hashFiles([b, a])).not.toBe(before);
    writeFileSync(b, 'three');
    expect(hashFiles([a, b])).not.toBe(before);
  });
});

describe('StepCache', () => {
  const write = (text: string) => (directory: string) => writeFileSync(join(directory, 'result'), text);

  it('does a step once for the same inputs', async () => {
    const cache = new StepCache(root);
    const first = await cache.step('step', { input: 1 }, write('first'));
    const second = await cache.step('step', { input: 1 }, write('second'));
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(second.key).toBe(first.key);
    expect(readFileSync(join(second.directory, 'result'), 'utf8')).toBe('first');
  });

  it('does it again for other inputs, and drops the old result', async () => {
    const cache = new StepCache(root);
    const old = await cache.step('step', { input: 1 }, write('old'));
    const other = await cache.step('step-with-a-longer-name', { input: 1 }, write('other'));
    const next = await cache.step('step', { input: 2 }, write('new'));
    expect(next.cached).toBe(false);
    expect(readFileSync(join(next.directory, 'result'), 'utf8')).toBe('new');
    expect(existsSync(old.directory)).toBe(false);
    expect(existsSync(other.directory)).toBe(true);
  });

  it('leaves nothing behind when a step fails, and keeps the old result', async () => {
    const cache = new StepCache(root);
    const old = await cache.step('step', { input: 1 }, write('old'));
    await expect(
      cache.step('step', { input: 2 }, () => {
        throw new Error('no network');
      }),
    ).rejects.toThrow('no network');
    expect(readdirSync(root)).toEqual([old.directory.slice(root.length + 1)]);
    expect((await cache.step('step', { input: 2 }, write('new'))).cached).toBe(false);
  });
});
