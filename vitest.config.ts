import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/local/**', 'test/instance/**', 'test/report/**'],
    env: {
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
    testTimeout: 30_000,
    // Vitest leaves one core alone unless told; with the two of most CI machines that doubles the time.
    maxWorkers: '100%',
  },
});
