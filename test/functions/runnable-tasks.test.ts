import { describe, expect, it } from 'vitest';
import { concurrencyShare } from '../../functions/lib/concurrency.ts';
import type { PollSettings, PollState } from '../../functions/lib/contracts.ts';
import { decidePoll } from '../../functions/lib/poll.ts';
import { runnableTasks, withLevels } from '../../functions/lib/runnable-tasks.ts';
import { EXECUTION_START } from '../support/inputs.ts';

const members = (inService: number, more = {}) => ({
  pending: 0,
  inService,
  leaving: 0,
  standby: 0,
  ...more,
});

describe('waiting tasks count as far as the fleet can run them', () => {
  it.each([
    { case: 'up to maxReplicas', of: { maxReplicas: 2 }, counted: 0 },
    { case: 'up to maxReplicas, with room for one more', of: { maxReplicas: 3 }, counted: 1 },
    { case: 'up to what maxHourlyCost allows', of: { affordable: 4 }, counted: 2 },
    { case: "up to the group's maximum size", of: { maxSize: 3 }, counted: 1 },
    { case: 'not while it drains', of: { paused: 'drain' as const }, counted: 0 },
    { case: 'not while it is paused', of: { paused: 'true' as const }, counted: 0 },
    {
      case: 'on instances that boot while it drains',
      of: { paused: 'drain' as const, members: members(2, { pending: 3 }) },
      counted: 3,
    },
    { case: 'not behind an open breaker', of: { launchLimit: 0 }, counted: 0 },
    { case: 'on the canary of an open breaker', of: { launchLimit: 1 }, counted: 1 },
    { case: 'as far as CircleCI hands them out', of: { withheldLimit: 0 }, counted: 0 },
    {
      case: 'on idle members above a lowered maximum',
      of: { maxReplicas: 2, members: members(6) },
      counted: 4,
    },
    { case: 'beside tasks on other runners', of: { maxReplicas: 2, members: members(0) }, counted: 2 },
    { case: 'on idle runners outside the group', of: { maxReplicas: 2, otherRunners: 5 }, counted: 5 },
    {
      case: 'on an idle member in standby',
      of: { maxReplicas: 2, members: members(2, { standby: 1 }) },
      counted: 1,
    },
    { case: 'all, if there are few', of: { unclaimed: 3 }, counted: 3 },
  ])('$case', ({ of, counted }) => {
    const busy = { unclaimed: 98, running: 2, members: members(2), maxReplicas: 200 };
    expect(runnableTasks({ ...busy, ...of })).toBe(counted);
  });
});

describe('withLevels', () => {
  it('writes what the other fleets read, and nothing if they read already that there is none', () => {
    const situation = {
      unclaimed: 3,
      running: 2,
      desired: 2,
      members: members(2),
      minReplicas: 0,
      maxReplicas: 9,
      launchProcess: { suspended: false, byBreaker: false },
    };
    const decision = { from: 2, desired: 2, change: false, reasons: [] };
    const busy = withLevels(decision, {}, situation, EXECUTION_START);
    expect(busy).toMatchObject({ change: true, levels: { unclaimed: 3, running: 2 } });
    const idle = { ...situation, unclaimed: 0, running: 0 };
    const { levels } = withLevels(decision, {}, idle, EXECUTION_START);
    expect(levels).toMatchObject({ unclaimed: 0, running: 0 });
    expect(withLevels(decision, { levels }, idle, EXECUTION_START)).toBe(decision);
  });
});

describe("the plan's concurrency", () => {
  /** What a fleet with 98 waiting tasks writes for the others at the end of an execution. */
  function written(maxReplicas: number, busy: number, paused: 'false' | 'drain') {
    const settings: PollSettings = {
      capacity: { minReplicas: 0, maxReplicas },
      pollIntervalSeconds: 60,
      quietPollIntervalSeconds: 60,
      onDemandPercentage: 100,
      executionStartedAt: EXECUTION_START - 30_000,
      concurrency: { limit: 10, position: 0 },
    };
    const state: PollState = {
      poll: {
        number: 9,
        dueAt: EXECUTION_START,
        timeoutSeconds: 4,
      },
      activities: { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } },
    };
    const group = {
      desired: busy,
      members: members(busy),
      launchProcess: { suspended: false, byBreaker: false },
      paused,
    };
    const observation = { unclaimed: { unclaimed: 98 }, running: { running: busy }, group };
    return decidePoll(state, observation, settings, EXECUTION_START).decision.levels;
  }

  it.each([
    { case: 'is at its maxReplicas', maxReplicas: 2, busy: 2, paused: 'false' as const, share: 8 },
    { case: 'drains', maxReplicas: 20, busy: 0, paused: 'drain' as const, share: 10 },
    { case: 'can run them', maxReplicas: 20, busy: 2, paused: 'false' as const, share: 5 },
  ])(
    'is divided with a fleet that has 98 waiting tasks and $case',
    ({ maxReplicas, busy, paused, share }) => {
      const levels = written(maxReplicas, busy, paused);
      expect(levels).toMatchObject({ running: busy });
      const own = { unclaimed: 50, running: 5 };
      expect(concurrencyShare(10, 1, own, [{ present: busy, levels }], EXECUTION_START)).toBe(share);
    },
  );
});
