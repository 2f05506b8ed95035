/** A short run of the random comparison with the host's processor; `npm run test:host` is the long one. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { NativeRunnerDied, buildNativeRunner } from '../host/native';
import { coverage, fuzz } from '../host/fuzz';
import type { Bits } from '../host/user-layout';

function runner(): string | undefined {
  try {
    return buildNativeRunner(fileURLToPath(new URL('../..', import.meta.url)));
  } catch {
    return undefined;
  }
}

const program = runner();
const COUNT = 3000;

describe.runIf(program !== undefined)('random user-mode sequences against the host processor', () => {
  for (const bits of [64, 32, 16] as Bits[]) {
    it(`${bits}-bit code agrees`, async ({ skip }) => {
      const result = await fuzz(program ?? '', { bits, count: COUNT, seed: 20261122, only: [], maxFailures: 5 }).catch((error: unknown) => {
        // Some kernels have no segments and no compatibility mode for processes.
        if (bits !== 64 && error instanceof NativeRunnerDied) skip(error.message);
        throw error;
      });
      expect(result.failures.join('\n\n')).toBe('');
      expect(result.cases).toBe(COUNT);
      // Nearly every instruction form takes part even in a short run.
      const rows = coverage(result, bits);
      expect(rows.filter((row) => row.completed + row.faulted > 0).length).toBeGreaterThan(0.85 * rows.length);
    }, 60_000);
  }
});
