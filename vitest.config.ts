import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/local/**',
      'test/instance/**',
      'test/matrix/**',
      'test/hours/**',
      'test/terminal/**',
      'test/userdata/**',
      'test/report/**',
      'test/site/**',
      'test/package/**',
    ],
    setupFiles: ['test/support/random-seed.ts'],
    globalSetup: ['test/support/temporary-folder.ts', 'test/support/bundled-commands.ts'],
    // The files of a worker share its modules: importing the SDK and the CDK for each takes longer than many tests.
    isolate: false,
    // By default, Vitest leaves one core alone; with the two cores of most CI machines that doubles the time.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    // On Node.js 20, each process would warn that the AWS SDK will stop supporting it.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    // It ends a test that hangs. On a machine that is busy with other work, tests may take many times as long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
