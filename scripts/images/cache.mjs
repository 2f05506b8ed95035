/**
 * The build's cache: a step is done again only if its inputs changed. Inputs are package checksums, hashes of the
 * project's own files, and results of earlier steps; all go into one key, and the results lie in a directory of that
 * name. A directory appears by renaming, so that an interrupted step leaves nothing that looks finished.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** @param {Uint8Array | string} data @returns {string} SHA-256 in hexadecimal */
export function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}

/** @param {string[]} paths @returns {string} one hash over the contents, in the given order */
export function hashFiles(paths) {
  return sha256(paths.map((path) => sha256(readFileSync(path))).join('\n'));
}

/**
 * @param {unknown} inputs plain data; the order of an object's keys does not matter
 * @returns {string}
 */
export function cacheKey(inputs) {
  return sha256(JSON.stringify(sorted(inputs))).slice(0, 20);
}

/** @param {unknown} value @returns {unknown} */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}

export class StepCache {
  #root;

  /** @param {string} root directory of the cache, made when needed */
  constructor(root) {
    this.#root = root;
  }

  /**
   * @param {string} name of the step
   * @param {unknown} inputs everything its result depends on
   * @param {(directory: string) => void | Promise<void>} produce writes the result into the (empty) directory
   * @returns {Promise<{ directory: string, key: string, cached: boolean }>}
   */
  async step(name, inputs, produce) {
    const key = cacheKey(inputs);
    const directory = join(this.#root, `${name}-${key}`);
    if (existsSync(directory)) return { directory, key, cached: true };
    const unfinished = `${directory}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    try {
      await produce(unfinished);
      this.#dropOlder(name);
      renameSync(unfinished, directory);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
    return { directory, key, cached: false };
  }

  /**
   * Results of the same step for other inputs are not kept: some are a hundred megabytes.
   * @param {string} name
   */
  #dropOlder(name) {
    for (const entry of readdirSync(this.#root)) {
      if (entry.slice(0, entry.lastIndexOf('-')) === name && !entry.endsWith('.unfinished')) rmSync(join(this.#root, entry), { recursive: true });
    }
  }
}
