import { defineConfig } from 'vitest/config';

/** The rows of the fault matrix that `npm test` leaves, which take minutes. Each file takes half of them. */
export default defineConfig({
  test: {
    include: ['test/matrix/**/*.test.ts'],
    globalSetup: 'test/support/temporary-folder.ts',
    isolate: false,
    maxWorkers: '100%',
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    testTimeout: 300_000,
  },
});
