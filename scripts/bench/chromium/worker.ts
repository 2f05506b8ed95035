/** A measured run in a worker; the clock is real time, CPU time is taken from outside. */
import { runMachine } from '../run/machine-run';
import type { RunSpec } from '../run/machine-run';

/** The worker's file lies in a folder beside them. */
const base = new URL('..', self.location.href);

async function fetchImage(name: string): Promise<Uint8Array> {
  const response = await fetch(new URL(name, base));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

self.addEventListener('message', async ({ data }: MessageEvent<RunSpec>) => {
  const send = (message: object): void => self.postMessage(JSON.stringify(message));
  try {
    const stats = await runMachine(
      data, fetchImage, () => ({ wall: performance.now() / 1000 }), send,
      () => new Promise((resolve) => {
        setTimeout(resolve, 0);
      }),
    );
    send({ kind: 'result', stats });
  } catch (error) {
    send({ kind: 'error', message: error instanceof Error ? error.message : String(error) });
  }
});
