/**
 * The command line as one file. Everything is bundled into one module scope, because V8 treats the module-level state
 * of the machine as constants there; names are kept, so that profiles and stack traces stay readable.
 */
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  build: {
    ssr: 'src/cli/main.ts',
    outDir: 'dist/cli',
    target: 'node20',
    minify: false,
    rollupOptions: {
      output: { entryFileNames: 'nestbox.js', banner: '#!/usr/bin/env node', codeSplitting: false },
    },
  },
  ssr: { noExternal: true },
});
