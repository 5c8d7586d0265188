import { defineConfig } from 'vitest/config';

/** Tests of what `npm pack` makes: they install it as others do, so they need npm's registry. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    globalSetup: 'test/support/temporary-folder.ts',
    hookTimeout: 300_000,
    // It ends a test that hangs. On a machine that is busy with other work, tests may take many times as long.
    testTimeout: 300_000,
    reporters: ['verbose'],
  },
});
