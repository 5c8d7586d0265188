import { expect, it } from 'vitest';
import { choosePolicies } from '../../cli/replays/policies.ts';

it.each([
  { set: 'mro.idleTimeout=1h30m', parameters: { idleTimeout: 5_400 } },
  { set: 'mro.idleTimeout=90', parameters: { idleTimeout: 90 } },
  { set: 'mro.pollInterval=1s', parameters: { pollInterval: 1 } },
  { set: 'mro.headroom=2', parameters: { headroom: 2 } },
])('--set $set sets a parameter of that policy', ({ set, parameters }) => {
  const { choices } = choosePolicies({ policies: 'mro', set: [set] });
  expect(choices).toEqual([expect.objectContaining({ name: 'mro', parameters })]);
});

it('--set takes the durations of fleets.yaml for ours', () => {
  expect(choosePolicies({ set: ['maxRunTime=1h30m'] }).fleet.maxRunTime).toBe(5_400);
});

it.each(['mro.headroom=1h', 'mro.headroom= ', 'mro.headroom=Infinity', 'mro.idleTimeout=5 minutes'])(
  '--set %s is refused',
  (set) => {
    expect(() => choosePolicies({ set: [set] })).toThrow(/must be/);
  },
);
