import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { readFleets } from '../../fleets/load.ts';

/**
 * What CircleCI's configuration reference says about the parts that the examples use. It knows no other key, so a
 * misspelt one is a fault here as it is there: https://circleci.com/docs/reference/configuration-reference/
 */
const DURATION = z.string().regex(/^\d+[smh]$/);

const Run = z.union([
  z.string(),
  z.strictObject({
    name: z.string().optional(),
    command: z.string(),
    shell: z.string().optional(),
    environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    background: z.boolean().optional(),
    working_directory: z.string().optional(),
    no_output_timeout: DURATION.optional(),
    when: z.enum(['always', 'on_success', 'on_fail']).optional(),
  }),
]);

const Step = z.union([
  z.literal('checkout'),
  z.strictObject({ run: Run }),
  z.strictObject({
    store_artifacts: z.strictObject({ path: z.string(), destination: z.string().optional() }),
  }),
  z.strictObject({ store_test_results: z.strictObject({ path: z.string() }) }),
]);

const Job = z.strictObject({
  machine: z.literal(true),
  resource_class: z.string().regex(/^[a-z0-9_-]+\/[A-Za-z0-9:_+-]+$/),
  parallelism: z.int().positive().optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  steps: z.array(Step).min(1),
});

const WorkflowJob = z.union([
  z.string(),
  z.record(
    z.string(),
    z.strictObject({
      requires: z.array(z.string()).optional(),
      context: z.union([z.string(), z.array(z.string())]).optional(),
    }),
  ),
]);

const Config = z.strictObject({
  version: z.literal(2.1),
  jobs: z.record(z.string(), Job),
  workflows: z.record(z.string(), z.strictObject({ jobs: z.array(WorkflowJob).min(1) })),
});

const EXAMPLES = readdirSync('examples').filter((name) =>
  existsSync(`examples/${name}/.circleci/config.yml`),
);

it('there are examples of jobs', () => {
  expect(EXAMPLES).toEqual(['caches', 'docker', 'gpu', 'graviton', 'monorepo', 'nodejs']);
});

describe.each(EXAMPLES)('the jobs of the example %s', (name) => {
  const given = parse(readFileSync(`examples/${name}/.circleci/config.yml`, 'utf8'));
  const { jobs, workflows } = Config.parse(given);

  it('are all run by a workflow, and require jobs of the same workflow', () => {
    const used = Object.values(workflows).flatMap((workflow) => {
      const names = workflow.jobs.flatMap((job) => (typeof job === 'string' ? [job] : Object.keys(job)));
      const required = workflow.jobs.flatMap((job) =>
        typeof job === 'string' ? [] : Object.values(job).flatMap(({ requires = [] }) => requires),
      );
      expect(required.filter((job) => !names.includes(job))).toEqual([]);
      return names;
    });
    expect(new Set(used)).toEqual(new Set(Object.keys(jobs)));
  });

  it('name classes that a fleet of the example has', () => {
    const file = `examples/${name}/fleets.yaml`;
    if (!existsSync(file)) return;
    const classes = readFleets(file).map(({ resourceClass }) => resourceClass);
    for (const job of Object.values(jobs)) expect(classes).toContain(job.resource_class);
  });

  it('refuses a key that CircleCI does not know', () => {
    const [first = ''] = Object.keys(jobs);
    const misspelt = {
      ...given,
      jobs: { ...given.jobs, [first]: { ...given.jobs[first], resourceclass: 'a/b' } },
    };
    expect(Config.safeParse(misspelt).success).toBe(false);
  });
});
