/** The bench's page: runs what it is told to in a worker, as the product's page does, and passes its marks on. */
import type { RunSpec } from '../run/machine-run';

declare global {
  interface Window {
    /** Given by the bench: called for every message of the worker. */
    benchMessage(text: string): void;
    startRun(spec: RunSpec): void;
  }
}

window.startRun = (spec) => {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'bench' });
  worker.addEventListener('message', ({ data }: MessageEvent<string>) => window.benchMessage(data));
  worker.addEventListener('error', ({ message }) => window.benchMessage(JSON.stringify({ kind: 'error', message })));
  worker.postMessage(spec);
};
