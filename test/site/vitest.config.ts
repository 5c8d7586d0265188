import { defineConfig } from 'vitest/config';

/** Tests of the documentation's site, as it is built, in Chromium. */
export default defineConfig({
  test: {
    include: ['test/site/**/*.test.ts'],
    globalSetup: 'test/support/temporary-folder.ts',
    hookTimeout: 240_000,
    testTimeout: 60_000,
    reporters: ['verbose'],
  },
});
