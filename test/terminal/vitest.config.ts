import { defineConfig } from 'vitest/config';

/** The commands in a pseudo-terminal, as processes. */
export default defineConfig({
  test: {
    include: ['test/terminal/**/*.test.ts'],
    globalSetup: ['test/support/temporary-folder.ts', 'test/support/bundled-commands.ts'],
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    maxWorkers: '100%',
    testTimeout: 300_000,
  },
});
