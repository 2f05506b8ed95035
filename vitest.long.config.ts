/** `npm run test:long`: boots that take minutes, one after the other. They need the images (npm run images) and the built command line. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    environment: 'node',
    pool: 'forks',
    fileParallelism: false,
  },
});
