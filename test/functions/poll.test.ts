import { describe, expect, it } from 'vitest';
import type { Decision, Situation } from '../../functions/lib/capacity.ts';
import type { Observation, PollSettings, PollState } from '../../functions/lib/contracts.ts';
import { concludePoll, decidePoll, planRest } from '../../functions/lib/poll.ts';
import { EXECUTION_START } from '../support/inputs.ts';

/** Milliseconds since the epoch, so many seconds into the execution. */
const at = (seconds: number) => EXECUTION_START + seconds * 1_000;

const SETTINGS: PollSettings = {
  capacity: { minReplicas: 0, maxReplicas: 10 },
  pollIntervalSeconds: 5,
  quietPollIntervalSeconds: 30,
  onDemandPercentage: 100,
  executionStartedAt: at(0),
};

const FIRST: PollState = {
  poll: { number: 1, dueAt: at(0), timeoutSeconds: 8 },
  activities: { lastAt: at(-60), failedLaunches: 0, cameInService: 0, breaker: { open: false } },
};

const MEMBERS = { pending: 0, inService: 2, leaving: 0, standby: 0 };
const LAUNCH_PROCESS = { suspended: false, byBreaker: false };
const OBSERVATION: Observation = {
  unclaimed: { unclaimed: 3 },
  running: { running: 2 },
  group: { desired: 2, members: MEMBERS, launchProcess: LAUNCH_PROCESS, paused: 'false' },
};

const SITUATION: Situation = {
  unclaimed: 3,
  running: 2,
  desired: 2,
  members: MEMBERS,
  minReplicas: 0,
  maxReplicas: 10,
  launchProcess: LAUNCH_PROCESS,
};

describe('a decision that is handed in', () => {
  const conclude = (decision: Partial<Decision>) =>
    concludePoll(
      { decision: { from: 2, desired: 2, change: false, reasons: [], ...decision }, situation: SITUATION },
      FIRST,
      SETTINGS,
      at(0.3),
    );

  it.each<{ case: string; decision: Partial<Decision>; fault: string }>([
    {
      case: 'rises above maxReplicas',
      decision: { desired: 11, change: true },
      fault: '11 is above maxReplicas (10)',
    },
    {
      case: 'falls below the members',
      decision: { desired: 1, change: true },
      fault: '1 is below the 2 members that are pending or in service',
    },
    {
      case: 'claims to change nothing, and does',
      decision: { desired: 5 },
      fault: 'from 2 to 5 is a change',
    },
    {
      case: 'is no number of instances',
      decision: { desired: Number.NaN, change: true },
      fault: 'NaN is not a number of instances',
    },
  ])('fails with DecisionInvalid if it $case', ({ decision, fault }) => {
    expect(() => conclude(decision)).toThrow(
      expect.objectContaining({
        name: 'DecisionInvalid',
        message: `What was decided must not be: ${fault}. Capacity is held.`,
      }),
    );
  });

  it('is taken as it is if it breaks no law', () => {
    const decision = { from: 2, desired: 4, change: true, reasons: ['handed in'] };
    expect(conclude(decision)).toMatchObject({ decision, again: true, metrics: { UnclaimedTasks: 3 } });
  });
});

describe('a poll', () => {
  it('leaves what it was given as it was', () => {
    const given = structuredClone({ FIRST, OBSERVATION, SETTINGS });
    const first = decidePoll(FIRST, OBSERVATION, SETTINGS, at(0.3));
    expect(decidePoll(FIRST, OBSERVATION, SETTINGS, at(0.3))).toEqual(first);
    expect({ FIRST, OBSERVATION, SETTINGS }).toEqual(given);
  });

  it('that changes nothing hands on what planRest alone hands on', () => {
    const settled = { ...OBSERVATION, unclaimed: { unclaimed: 0 } };
    const { decision, again, next } = decidePoll(FIRST, settled, SETTINGS, at(0));
    expect(decision.change).toBe(false);
    expect(planRest({ ...SITUATION, unclaimed: 0 }, FIRST, SETTINGS, at(0), false)).toMatchObject({
      again,
      next,
    });
  });
});
