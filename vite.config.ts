/** The page: Preact under React's names, one module worker, relative URLs so that any static host can serve `dist/page/` from any path. */
import { defineConfig } from 'vite';
import { demos } from './scripts/vite-demos.ts';
import { PREACT } from './scripts/preact.ts';
import { assemblyTabs } from './scripts/vite-assembly.ts';
import { namedNumbersInPlace } from './scripts/vite-constants.ts';
import { offline } from './scripts/vite-offline.ts';
import { smallLibraries } from './scripts/vite-libraries.ts';
import { sharedWorker } from './scripts/vite-worker.ts';

/** They allow SharedArrayBuffer; the page works without. */
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  base: './',
  // Unknown paths are 404, not the page: a missing image must be seen as missing.
  appType: 'mpa',
  plugins: [demos(), sharedWorker(), smallLibraries(), namedNumbersInPlace(), assemblyTabs(), offline()],
  resolve: { alias: PREACT },
  worker: { format: 'es' },
  build: {
    outDir: 'dist/page',
    target: 'es2022',
    // Browsers that run the page know rel=modulepreload.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    // The demos plugin copies what belongs beside the page.
    copyPublicDir: false,
    rolldownOptions: { optimization: { inlineConst: { mode: 'all', pass: 3 } } },
  },
  server: {
    headers: ISOLATION,
    // The images and the command line's own bundle change while the page is being served.
    watch: { ignored: ['**/public/images/**', '**/dist/**'] },
  },
  preview: { headers: ISOLATION },
});
