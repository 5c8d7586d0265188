import { defineConfig } from 'vitest/config';

/** Scenarios of an instance's life, on machines that really boot. */
export default defineConfig({
  test: {
    include: ['test/instance/**/*.test.ts'],
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    // Machines mostly wait.
    maxConcurrency: 14,
    hookTimeout: 60_000,
    testTimeout: 300_000,
    reporters: ['verbose'],
  },
});
