import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests of pure functions come first and slow ones last: a mutant dies at the first test that fails, and most die early. */
const ORDER = [
  'poll',
  'capacity',
  'breaker',
  'claims',
  'pacing',
  'spot',
  'warm-pool',
  'schedules',
  'errors',
  'decide',
  'compute-capacity',
  'update-group',
  'scaling-activities',
  'secrets',
  'auto-scaling',
  'circleci',
  'step',
  'orchestrator',
  'decision',
  'describe-activities',
].map((name) => `/${name}.test.ts`);

class FastFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => ORDER.findIndex((name) => moduleId.endsWith(name));
    return files.toSorted((a, b) => place(a) - place(b));
  }
}

/** As in vitest.config.ts: this one sets variables that the logger reads only once. */
const APART = ['test/functions/step.test.ts'];

const EACH = {
  env: { POWERTOOLS_LOG_LEVEL: 'SILENT', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
  testTimeout: 60_000,
};

export default defineConfig({
  test: {
    sequence: { sequencer: FastFirst },
    fileParallelism: false,
    projects: [
      {
        test: {
          ...EACH,
          name: 'together',
          include: ['test/functions/*.test.ts'],
          exclude: APART,
          isolate: false,
        },
      },
      { test: { ...EACH, name: 'apart', include: APART } },
    ],
  },
});
