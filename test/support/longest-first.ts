import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The test files that take longest, the longest first. */
const LONGEST = [
  'test/local/examples.test.ts',
  'test/local/watch.test.ts',
  'test/local/operator.test.ts',
  'test/local/remedies.test.ts',
  'test/local/deployed.test.ts',
  'test/local/package.test.ts',
  'test/local/leaving-together.test.ts',
  'test/hours/workflow.test.ts',
  'test/hours/withheld-launches.test.ts',
  'test/hours/guards-launches.test.ts',
  'test/hours/idle-hours.test.ts',
  'test/hours/guards.test.ts',
  'test/hours/random-traces.test.ts',
  'test/hours/alarm-thresholds.test.ts',
  'test/userdata/boot.test.ts',
  'test/hours/concurrency.test.ts',
  'test/hours/fallback.test.ts',
  'test/simulator/optimise.test.ts',
  'test/cli/optimise.test.ts',
  'test/sandbox/fault-matrix.test.ts',
  'test/infra/stack.test.ts',
  'test/cli/start.test.ts',
  'test/infra/app.test.ts',
  'test/infra/validation.test.ts',
  'test/infra/node-function.test.ts',
];

/**
 * Starts the longest test files first, so that no worker runs one alone at the end. Vitest does so with the durations
 * of an earlier run. In a fresh clone it starts the largest files first, and some of these are small.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
