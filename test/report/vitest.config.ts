import { defineConfig } from 'vitest/config';

/** Tests that need Chromium: the page of a report, as a reader has it. */
export default defineConfig({
  test: {
    include: ['test/report/**/*.test.ts'],
    globalSetup: 'test/support/temporary-folder.ts',
    env: {
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
    hookTimeout: 120_000,
    testTimeout: 60_000,
    reporters: ['verbose'],
  },
});
