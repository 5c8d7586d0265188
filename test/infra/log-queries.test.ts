import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { threeFleets } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(threeFleets());
const queries = template.all('AWS::Logs::QueryDefinition').map(({ properties }) => ({
  name: String(properties.Name),
  groups: properties.LogGroupNames,
  text: String(properties.QueryString),
}));
const logOf = (step: string) => `LogGroup(/aws/lambda/circleci-runners-${step})`;
const named = (name: string) => queries.find((query) => query.name === `circleci-runners/${name}`);

const ALL_STEPS = [
  'read-settings',
  'describe-activities',
  'count-unclaimed',
  'count-running',
  'describe-group',
  'compute-capacity',
  'update-group',
];

describe('the saved queries', () => {
  it('are these, in a folder with the name of the stack', () => {
    expect(queries.map(({ name }) => name)).toEqual([
      'circleci-runners/Decisions of a fleet',
      'circleci-runners/Failures',
      'circleci-runners/Slow polls',
      'circleci-runners/Breaker and failed launches',
    ]);
  });

  it.each([
    {
      name: 'Decisions of a fleet',
      steps: ['compute-capacity'],
      shows: ['fleet', 'unclaimed', 'running', 'decision.desired', 'decision.reasons.0', 'poll', 'execution'],
    },
    { name: 'Failures', steps: ALL_STEPS, shows: ['fleet', 'error.name', 'error.message', 'execution'] },
    {
      name: 'Slow polls',
      steps: ['compute-capacity'],
      shows: ['fleet', 'pollDurationMs', 'poll', 'execution'],
    },
    {
      name: 'Breaker and failed launches',
      steps: ['describe-activities'],
      shows: ['fleet', 'breaker.open', 'breaker.reason', 'failedLaunches'],
    },
  ])('"$name" reads the logs of $steps', ({ name, steps, shows }) => {
    const query = named(name);
    expect(query?.groups).toEqual(steps.map(logOf));
    const fields = query?.text.split('\n')[0]?.replace('fields ', '').split(', ');
    expect(fields).toEqual(expect.arrayContaining(['@timestamp', ...shows]));
  });

  it.each(queries)('$name has a command on each line, and a limit', ({ text }) => {
    const [first, ...others] = text.split('\n');
    expect(first).toMatch(/^fields /);
    expect(others.filter((line) => !/^(# )?\| (filter|sort|limit) /.test(line))).toEqual([]);
    expect(text).toMatch(/\n\| limit \d+$/);
  });

  it('filter by steps that exist', () => {
    const { States } = JSON.parse(readFileSync('statemachine/autoscale.asl.json', 'utf8'));
    const steps = queries.flatMap(({ text }) =>
      [...text.matchAll(/ message = "([^"]+)"/g)].map(([, step]) => step),
    );
    expect(steps).toEqual(['Compute Capacity', 'Compute Capacity', 'Describe Activities']);
    for (const step of steps) expect(States).toHaveProperty([String(step), 'Type'], 'Task');
  });
});
