import { defineConfig } from 'vitest/config';

/** All rows of the fault matrix, which take minutes: `npm test` plays some of them. Each file takes half the rows. */
export default defineConfig({
  test: {
    include: ['test/matrix/**/*.test.ts'],
    isolate: false,
    maxWorkers: '100%',
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    testTimeout: 300_000,
  },
});
