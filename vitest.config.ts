import { defineConfig } from 'vitest/config';

/** They set variables that the functions' logger and metrics read only once, when they are imported. */
const APART = [
  'test/functions/step.test.ts',
  'test/sandbox/logs.test.ts',
  'test/statemachine/time-budget.test.ts',
];

const EACH = {
  env: {
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  },
  // It ends a test that hangs. On a machine that is busy with other work, tests may take many times as long.
  testTimeout: 300_000,
  hookTimeout: 300_000,
};

export default defineConfig({
  test: {
    globalSetup: ['test/support/temporary-folder.ts', 'test/support/bundled-commands.ts'],
    // Vitest leaves one core alone unless told; with the two of most CI machines that doubles the time.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          ...EACH,
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: ['test/local/**', 'test/instance/**', 'test/report/**', ...APART],
          // The files of a worker share its modules: to import the SDK and the CDK for each takes longer than many tests.
          isolate: false,
        },
      },
      { test: { ...EACH, name: 'apart', include: APART } },
    ],
  },
});
