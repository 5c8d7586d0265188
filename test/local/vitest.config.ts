import { defineConfig } from 'vitest/config';
import { LongestFirst } from '../support/longest-first.ts';

/** Tests that need Python: the app deployed to a local AWS, and its calls against another one. */
export default defineConfig({
  test: {
    include: ['test/local/**/*.test.ts'],
    env: {
      // `npm test` and cfn-lint check the templates against CloudFormation's rules, which take most of a synthesis.
      CDK_VALIDATION: 'false',
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
    globalSetup: ['test/support/temporary-folder.ts', 'test/local/environments.ts'],
    // They mostly wait; but one local AWS that runs already cannot be bootstrapped by two of them.
    fileParallelism: !process.env.AWS_ENDPOINT_URL,
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    hookTimeout: 400_000,
    testTimeout: 180_000,
    reporters: ['verbose'],
  },
});
