/** Unit tests: test/ mirrors src/. Each file has its own process, since a machine's state is module-level. */
import { defineConfig } from 'vitest/config';
import { PREACT } from './scripts/preact.ts';

// Vitest's failure report needs Map.groupBy, which Node 20 does not have yet.
if (!('groupBy' in Map)) {
  Object.defineProperty(Map, 'groupBy', {
    value: <K, V>(items: Iterable<V>, keyOf: (item: V) => K): Map<K, V[]> => {
      const groups = new Map<K, V[]>();
      for (const item of items) {
        const key = keyOf(item);
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [item]);
        else group.push(item);
      }
      return groups;
    },
  });
}

export default defineConfig({
  resolve: { alias: PREACT },
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    exclude: ['test/long/**'],
    environment: 'node',
    pool: 'forks',
    testTimeout: 30_000,
  },
});
