/**
 * Progress of the image build, for two readers: lines `[n/m] stage ... bytes` on the terminal, and JSON lines in
 * progress.json, which the page polls. A JSON line is a ProgressLine; the last line that a stage has is its state, and
 * `stage: "all"` ends the build.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * @typedef {{ n: number, m: number, stage: string, state: 'running' | 'done' | 'cached' | 'failed' | 'skipped', bytes: number, total: number, message: string }} ProgressLine
 * n of m stages; bytes so far and in total (0 where unknown)
 */

export class Progress {
  #path;
  #m;
  #n = 0;
  #stage = '';

  /** @param {string} path of progress.json @param {number} stages */
  constructor(path, stages) {
    this.#path = path;
    this.#m = stages;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
  }

  /** Begins the next stage. @param {string} stage @param {number} total bytes, 0 if unknown */
  begin(stage, total = 0) {
    this.#n++;
    this.#stage = stage;
    this.#record('running', 0, total, '');
  }

  /** @param {number} bytes @param {number} total */
  advance(bytes, total) {
    this.#record('running', bytes, total, '');
  }

  /**
   * Ends the stage.
   * @param {'done' | 'cached' | 'failed' | 'skipped'} state
   * @param {number} bytes
   * @param {string} message
   */
  end(state, bytes = 0, message = '') {
    this.#record(state, bytes, bytes, message);
    const size = bytes === 0 ? '' : `  ${megabytes(bytes)}`;
    const note = state === 'done' ? '' : `  (${state})`;
    console.log(`[${this.#n}/${this.#m}] ${this.#stage}${size}${note}${message === '' ? '' : `  ${message}`}`);
  }

  /** @param {boolean} complete @param {string} message */
  finish(complete, message) {
    this.#n = this.#m;
    this.#stage = 'all';
    this.#record(complete ? 'done' : 'failed', 0, 0, message);
    console.log(message);
  }

  /** @param {ProgressLine['state']} state @param {number} bytes @param {number} total @param {string} message */
  #record(state, bytes, total, message) {
    /** @type {ProgressLine} */
    const line = { n: this.#n, m: this.#m, stage: this.#stage, state, bytes, total, message };
    appendFileSync(this.#path, JSON.stringify(line) + '\n');
  }
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
