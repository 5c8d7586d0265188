import { expect, it } from 'vitest';
import { similarTo } from '../../fleets/similar.ts';

const NAMES = ['maxReplicas', 'minReplicas', 'resourceClass', 'docker', 'logs', 'memoryGiB', 'throughput'];

it.each([
  { given: 'maxReplica', nearest: 'maxReplicas' },
  { given: 'MAXREPLICAS', nearest: 'maxReplicas' },
  { given: 'resource_class', nearest: 'resourceClass' },
  { given: 'thruput', nearest: 'throughput' },
  { given: 'log', nearest: 'logs' },
  { given: 'memory', nearest: 'memoryGiB' },
  { given: 'token', nearest: undefined },
  { given: 'hourlyBudget', nearest: undefined },
  { given: 'x', nearest: undefined },
  { given: '', nearest: undefined },
])('the name like "$given" is $nearest', ({ given, nearest }) => {
  expect(similarTo(given, NAMES)).toBe(nearest);
});

it('nothing is like a name where there are none', () => {
  expect(similarTo('maxReplicas', [])).toBeUndefined();
});
