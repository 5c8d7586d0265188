import { describe, expect, it } from 'vitest';
import { bootsAtMaximum, isAtMaximum } from '../../functions/lib/at-maximum.ts';
import type { Situation } from '../../functions/lib/capacity.ts';

const members = (inService: number, pending: number) => ({ pending, inService, leaving: 0, standby: 0 });

/** Ten members of at most ten: six run tasks, four boot, and a task waits. */
const FULL: Situation = {
  unclaimed: 5,
  running: 6,
  desired: 10,
  members: members(6, 4),
  minReplicas: 0,
  maxReplicas: 10,
  launchProcess: { suspended: false, byBreaker: false },
};
const SAME = { from: 10, desired: 10 };

describe('isAtMaximum', () => {
  it.each<{ case: string; when?: Partial<Situation>; decided?: typeof SAME; is: boolean }>([
    { case: 'full', is: true },
    {
      case: 'half of the members in service work',
      when: { running: 4, members: members(8, 2), unclaimed: 7 },
      is: true,
    },
    { case: 'fewer do', when: { running: 3, members: members(7, 3), unclaimed: 8 }, is: false },
    {
      case: 'none is in service, and none runs',
      when: { running: 0, members: members(0, 10), unclaimed: 11 },
      is: false,
    },
    { case: 'as many tasks as runners', when: { unclaimed: 4 }, is: false },
    { case: 'the desired capacity stays below', decided: { from: 9, desired: 9 }, is: false },
    {
      case: 'one has left, and its place is taken',
      when: { members: members(6, 3) },
      decided: { from: 9, desired: 10 },
      is: true,
    },
    { case: 'one is missing', when: { members: members(6, 3) }, is: false },
    {
      case: 'there are as many as the lowered maximum, below the desired capacity before',
      when: { members: members(6, 2), maxReplicas: 8 },
      decided: { from: 10, desired: 8 },
      is: true,
    },
    { case: 'tasks wait for the plan, with idle members', when: { running: 1, concurrency: 1 }, is: true },
    { case: 'one more may run', when: { running: 1, concurrency: 2 }, is: false },
    { case: 'nothing waits for the plan', when: { unclaimed: 0, running: 1, concurrency: 1 }, is: false },
  ])('$case: $is', ({ when, decided = SAME, is }) => {
    expect(isAtMaximum({ ...FULL, ...when }, decided)).toBe(is);
  });
});

describe('bootsAtMaximum', () => {
  it.each<{ case: string; when?: Partial<Situation>; bootSeconds?: number; is: boolean }>([
    { case: 'some boot, and all others work', bootSeconds: 10, is: true },
    { case: 'for just less than seven minutes', bootSeconds: 419, is: true },
    { case: 'for seven minutes', bootSeconds: 420, is: false },
    { case: 'the last launch failed', is: false },
    { case: 'none boots', when: { members: members(10, 0), running: 10 }, bootSeconds: 10, is: false },
    { case: 'one in service does nothing', when: { running: 5, unclaimed: 6 }, bootSeconds: 10, is: false },
    { case: 'more tasks run than members are in service', when: { running: 7 }, bootSeconds: 10, is: true },
    { case: 'no task waits for one', when: { unclaimed: 4 }, bootSeconds: 10, is: false },
  ])('$case: $is', ({ when, bootSeconds, is }) => {
    expect(bootsAtMaximum({ ...FULL, ...when }, SAME, { bootSeconds })).toBe(is);
  });
});
