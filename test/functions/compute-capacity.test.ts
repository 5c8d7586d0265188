import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { handler } from '../../functions/compute-capacity.ts';
import { Plan } from '../../functions/lib/contracts.ts';
import { EXECUTION_START, firstPoll, secondsIn } from '../support/inputs.ts';
import { failure } from '../support/said.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: EXECUTION_START });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Observed {
  unclaimed: object;
  running: object;
  group?: object;
}

/** What the step plans when these observations come in so many seconds into the execution. */
async function computed(observed: Observed, elapsedSeconds = 0.3) {
  vi.setSystemTime(EXECUTION_START + elapsedSeconds * 1_000);
  const members = { pending: 0, inService: 2, leaving: 0, standby: 0 };
  const answer = await handler({
    fleet: 'linux',
    execution: 'linux-1',
    minReplicas: 0,
    maxReplicas: 10,
    pollIntervalSeconds: 5,
    poll: firstPoll({ dueAt: secondsIn(Math.floor(elapsedSeconds / 5) * 5) }),
    observed: { group: { desired: 2, members }, ...observed },
  });
  return z.parse(Plan, answer);
}

const limited = (seconds: number) => ({ retryAfterSeconds: seconds });

describe('Compute Capacity', () => {
  it('plans the rise, the time to write it, and the next poll', async () => {
    expect(await computed({ unclaimed: { unclaimed: 3 }, running: { running: 2 } })).toEqual({
      decision: {
        desired: 5,
        change: true,
        reasons: ['3 unclaimed + 2 running = 5 wanted', 'desired capacity rises from 2 to 5'],
      },
      updateTimeoutSeconds: 4,
      again: true,
      poll: firstPoll({ number: 2, dueAt: secondsIn(5) }),
    });
  });

  it('takes a count of 0 for what it is', async () => {
    const { decision } = await computed({ unclaimed: { unclaimed: 0 }, running: { running: 0 } });
    expect(decision).toMatchObject({ desired: 2, change: false });
  });

  it.each([
    { case: 'no count of unclaimed tasks', unclaimed: limited(7), running: { running: 2 }, seconds: 7 },
    { case: 'no count of running tasks', unclaimed: { unclaimed: 3 }, running: limited(12), seconds: 12 },
    { case: 'neither count', unclaimed: limited(9), running: limited(3), seconds: 9 },
  ])(
    'holds when CircleCI allows $case for now, and waits as long as it must',
    async ({ seconds, ...counts }) => {
      const { decision, again, poll } = await computed(counts);
      expect(decision).toEqual({
        desired: 2,
        change: false,
        reasons: [`held: CircleCI allows no request for ${seconds} s`],
      });
      expect(again).toBe(true);
      expect(Date.parse(poll.dueAt)).toBeGreaterThanOrEqual(EXECUTION_START + 300 + seconds * 1_000);
    },
  );

  it('fails with CircleCiRateLimited when that wait has come not to fit any more', async () => {
    const thrown = await failure(computed({ unclaimed: limited(9), running: { running: 2 } }, 45));
    expect(thrown.name).toBe('CircleCiRateLimited');
    expect(thrown.message).toContain('no request for 9 s. Capacity is held.');
  });

  it('plans no poll that does not fit any more', async () => {
    expect(await computed({ unclaimed: { unclaimed: 0 }, running: { running: 2 } }, 50.3)).toMatchObject({
      again: false,
    });
  });

  it('leaves a change to the next execution when there is no time to write it, and says so', async () => {
    const observed = { unclaimed: { unclaimed: 3 }, running: { running: 2 } };
    const { decision, again, updateTimeoutSeconds } = await computed(observed, 53);
    expect(decision).toEqual({
      desired: 2,
      change: false,
      reasons: [
        '3 unclaimed + 2 running = 5 wanted',
        'desired capacity rises from 2 to 5',
        'not written: too late in this execution, the next one counts afresh',
      ],
    });
    expect(updateTimeoutSeconds).toBe(1);
    expect(again).toBe(false);
  });

  it.each([
    { case: 'a count is missing', observed: { unclaimed: {}, running: { running: 2 } } },
    { case: 'a count is negative', observed: { unclaimed: { unclaimed: -1 }, running: { running: 2 } } },
    { case: 'the counts are mixed up', observed: { unclaimed: { running: 2 }, running: { unclaimed: 3 } } },
    {
      case: 'the group is missing',
      observed: { unclaimed: { unclaimed: 3 }, running: { running: 2 }, group: {} },
    },
  ])('fails with InputInvalid when $case', async ({ observed }) => {
    expect(await failure(computed(observed))).toMatchObject({ name: 'InputInvalid' });
  });
});
