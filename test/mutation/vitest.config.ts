import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests of pure functions come first and slow ones last: a mutant dies at the first test that fails, and most die early. */
const ORDER = [
  'poll',
  'poll-record',
  'capacity',
  'breaker',
  'claims',
  'pacing',
  'spot',
  'warm-pool',
  'zero',
  'zero-check',
  'concurrency',
  'kept-runners',
  'at-maximum',
  'arrivals',
  'learned-contexts',
  'withheld',
  'runnable-tasks',
  'spare-runners',
  'learned',
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
  'metrics',
  'orchestrator',
].map((name) => `/${name}.test.ts`);

/** They take seconds for each mutant that survives. The others detect 99 % of those in the decision core without them. */
const TOO_SLOW = ['elsewhere', 'decision'].map((name) => `test/functions/${name}.test.ts`);

class FastFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = ORDER.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? ORDER.length : found;
    };
    return files.toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/functions/*.test.ts'],
    exclude: TOO_SLOW,
    globalSetup: 'test/support/temporary-folder.ts',
    setupFiles: ['test/support/random-seed.ts'],
    sequence: { sequencer: FastFirst },
    fileParallelism: false,
    isolate: false,
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    testTimeout: 60_000,
  },
});
