/** The page: React, one module worker, relative URLs so that any static host can serve `dist/` from any path. */
import { defineConfig } from 'vite';
import react from '@vitejs/plugin-react';

export default defineConfig({
  base: './',
  plugins: [react()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist/page',
    target: 'es2022',
  },
  server: {
    // The images and the command line's own bundle change while the page is being served.
    watch: { ignored: ['**/public/images/**', '**/dist/**'] },
  },
});
