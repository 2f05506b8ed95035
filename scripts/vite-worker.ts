/**
 * Vite plugin: the worker as a part of the page's own build, where Vite would build it apart. What both need (configurations, links' compression, names) is then
 * there once, in a chunk of its own; what the machine consists of stays in the worker's. Builds only: the development server does without bundles.
 */
import { resolve } from 'node:path';
import type { Plugin } from 'vite';

/** What the page may have of the processor: plain facts. Anything with state would cost the worker's machine its speed. */
const FACTS = /\/src\/(?:cpu\/(?:features|control-bits|mmu\/limits)|vmx\/exit-reasons)\.ts$/, PROCESSOR = /\/src\/(?:cpu|vmx)\//;
const IMPORTED = '../worker/worker?worker', MODULE = '\0nestbox-worker', SOURCE = 'src/worker/worker.ts';

export function sharedWorker(): Plugin {
  let root = '';
  return {
    name: 'nestbox-worker',
    apply: 'build',
    enforce: 'pre',
    configResolved(config) {
      root = config.root;
    },
    resolveId: (id) => (id === IMPORTED ? MODULE : undefined),
    load(id) {
      if (id !== MODULE) return undefined;
      const chunk = this.emitFile({ type: 'chunk', id: resolve(root, SOURCE), name: 'worker' });
      return `export default function (options) { return new Worker(import.meta.ROLLUP_FILE_URL_${chunk}, { ...options, type: 'module' }); }`;
    },
    generateBundle(_options, bundle) {
      for (const output of Object.values(bundle)) {
        if (output.type !== 'chunk' || output.name === 'worker') continue;
        const wrong = output.moduleIds.filter((id) => PROCESSOR.test(id) && !FACTS.test(id) && (output.modules[id]?.renderedLength ?? 0) > 0);
        if (wrong.length > 0) this.error(`${output.fileName} has parts of the processor, which belong in the worker alone: ${wrong.join(', ')}`);
      }
    },
  };
}
