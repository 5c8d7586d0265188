import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { type DeployedSettings, Plan } from '../../functions/lib/contracts.ts';
import { learnedParameter } from '../../functions/lib/fleet-names.ts';
import { type Learned, parseLearned } from '../../functions/lib/learned.ts';
import { decidePoll } from '../../functions/lib/poll.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { embeddedAws } from '../support/aws.ts';
import {
  activities,
  deployedSettings,
  EMPTY_GROUP,
  EXECUTION_START,
  firstPoll,
  readerOf,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { publishedMetrics } from './published.ts';

const { aws, learned } = await embeddedAws();
const PARAMETER = learnedParameter(SANDBOX_STACK, TASK.fleet);
const DAY = 24 * 3_600;

let now = EXECUTION_START;
let deployed: DeployedSettings = deployedSettings();
let log: string[] = [];
const keep = (...words: unknown[]) => void log.push(String(words[0]));
const handler = computeCapacity.with({
  now: () => now,
  log: { debug: () => undefined, info: keep, error: keep },
  metrics: publishedMetrics(() => now).metrics,
  settings: readerOf(() => deployed),
  learned,
});

const SPARES = { idleCost: 1, waitingCost: 1 };
/** Half of the times, three more tasks come after one or none. */
const KNOWS_THREE = { a1: [20, 0, 0, 20], a2: [20, 0, 0, 20] };

/** What was learned until this many seconds ago. */
function memory(ago: number, changes: Partial<Learned['spares']> = {}): Learned {
  const at = EXECUTION_START / 1_000 - ago;
  return {
    version: 1,
    spares: {
      at,
      readySeconds: 90,
      learnedUntil: at - 98,
      fadedAt: at - 100,
      arrivals: [[at - 60, 1]],
      counts: { unclaimed: 0, running: 0 },
      seen: KNOWS_THREE,
      ...changes,
    },
  };
}

const stored = () => aws.parameters.get(PARAMETER) ?? [];
const latest = () => parseLearned(stored().at(-1) ?? '');
const calls = (action: string) => aws.calls.get(action) ?? 0;

interface Asked {
  waiting?: number;
  minute?: number;
  once?: boolean;
  poll?: object;
}

/** The decision of a poll with tasks that wait and no instance. By default it is the last one of its execution. */
async function polled({ waiting = 1, minute = 0, once = true, poll = {} }: Asked = {}) {
  now = EXECUTION_START + minute * 60_000 + 300;
  const { executionStartedAt, ...first } = firstPoll({ dueAt: secondsIn(minute * 60) });
  return z.decode(
    Plan,
    await handler({
      ...TASK,
      settings: { version: 1, once, alarmTopicArn: 'arn:aws:sns:eu-west-1:000000000000:alarms' },
      executionStartedAt: secondsIn(minute * 60),
      poll: { ...first, ...poll },
      activities: activities(),
      observed: {
        unclaimed: { unclaimed: waiting },
        running: { running: 0 },
        group: EMPTY_GROUP,
      },
    }),
  );
}

beforeEach(() => {
  aws.parameters.clear();
  deployed = deployedSettings({ spareRunners: SPARES });
  log = [];
});

describe('what a fleet has learned', () => {
  it.each<{ case: string; there: string[]; desired: number }>([
    { case: 'was never there, or is lost', there: [], desired: 1 },
    { case: 'is empty, as after a deployment', there: ['{}'], desired: 1 },
    { case: 'is not JSON', there: ['{"version": 1, '], desired: 1 },
    { case: "is somebody else's", there: ['["a", "list"]'], desired: 1 },
    { case: 'is of another version', there: [JSON.stringify({ ...memory(60), version: 2 })], desired: 1 },
    {
      case: 'has other types',
      there: [JSON.stringify({ version: 1, spares: { ...memory(60).spares, seen: { a1: [-1] } } })],
      desired: 1,
    },
    { case: 'is of a minute ago', there: [JSON.stringify(memory(60))], desired: 4 },
    { case: 'is a month old', there: [JSON.stringify(memory(30 * DAY))], desired: 4 },
    {
      case: 'is of a time that is still to come',
      there: [JSON.stringify(memory(-DAY))],
      desired: 4,
    },
  ])('$case: the tasks are served, and it is learned from here on', async ({ there, desired }) => {
    if (there.length > 0) aws.parameters.set(PARAMETER, there);
    const { decision } = await polled();
    expect(decision.desired).toBe(desired);
    expect(stored()).toHaveLength(there.length + 1);
    expect(latest()?.spares).toMatchObject({ at: EXECUTION_START / 1_000, counts: { unclaimed: 1 } });
    expect(log).toEqual(['Compute Capacity']);
  });

  it('fades while it is old', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(14 * DAY))]);
    await polled();
    expect(latest()?.spares?.seen.a2?.[3]).toBe(10);
  });

  it('cannot be read: the poll decides as if nothing was learned, and leaves it alone', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(60))]);
    aws.fault = (action) =>
      action === 'GetParameter' ? { status: 500, code: 'InternalServerError', message: 'no' } : undefined;
    const { decision, next } = await polled();
    expect(decision.desired).toBe(1);
    expect(stored()).toEqual([JSON.stringify(memory(60))]);
    expect(log[0]).toContain('did not give what the fleet has learned');
    expect(next.poll.learned).toBeUndefined();
    aws.fault = () => undefined;
    await polled({ poll: { number: 2 } });
    expect(stored()).toHaveLength(1);
  });

  it('cannot be written: the poll decides, and says so in the log', async () => {
    aws.fault = (action) =>
      action === 'PutParameter' ? { status: 400, code: 'ThrottlingException', message: 'no' } : undefined;
    const { decision } = await polled();
    expect(decision.desired).toBe(1);
    expect(stored()).toEqual([]);
    expect(log[0]).toContain('did not take what the fleet has learned');
  });

  it('has two writers: the last one counts, and the next execution reads it', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(60))]);
    // Both began with the first version. The second one has written when the first one ends.
    const { next } = await polled({ once: false });
    const { executionStartedAt: _, dueAt: __, computeTimeoutSeconds: ___, ...poll } = next.poll;
    await polled({ waiting: 5 });
    const other = latest();
    await polled({ poll });
    expect(stored()).toHaveLength(3);
    expect(latest()).not.toEqual(other);
    const { next: later } = await polled({ minute: 1, once: false });
    expect(later.poll.learned).toBe(3);
  });

  it('is written only if something arrived', async () => {
    aws.parameters.set(PARAMETER, ['{}']);
    await polled({ waiting: 0 });
    expect(calls('PutParameter')).toBe(0);
  });

  it('is read once in an execution, and written once', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(60))]);
    let poll = {};
    for (let number = 1; number <= 11; number += 1) {
      const { next, again } = await polled({ once: number === 11, poll });
      const { executionStartedAt: _, dueAt: __, computeTimeoutSeconds: ___, ...rest } = next.poll;
      poll = rest;
      expect(again).toBe(number < 11);
    }
    expect(calls('GetParameter')).toBe(1);
    expect(calls('PutParameter')).toBe(1);
  });

  it('is no part of the state of an execution', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(60))]);
    const { next } = await polled({ once: false });
    expect(next.poll).toMatchObject({ learned: 1, arrivals: [[EXECUTION_START / 1_000, 1]] });
    expect(JSON.stringify(next)).not.toContain(JSON.stringify(KNOWS_THREE.a1));
  });

  it('is not read for a fleet that does not learn', async () => {
    deployed = deployedSettings();
    await polled();
    expect(calls('GetParameter') + calls('PutParameter')).toBe(0);
  });

  it('is in the reasons', async () => {
    aws.parameters.set(PARAMETER, [JSON.stringify(memory(60))]);
    const { decision } = await polled();
    expect(decision.reasons).toContain(
      'raised to 4: 3 without a task (spareRunners: 20 of 40 times like this, 3 or more tasks came within 98 s; an hour of waiting costs 1 dollars, an idle one 1)',
    );
  });
});

describe('whatever the parameter has', () => {
  const whole = fc.oneof(fc.nat(10), fc.nat(2_000), fc.constant(EXECUTION_START / 1_000), fc.nat());
  const spares = fc.record({
    at: whole,
    readySeconds: whole,
    learnedUntil: whole,
    fadedAt: whole,
    arrivals: fc.array(fc.tuple(whole, whole), { maxLength: 8 }),
    counts: fc.record({ unclaimed: whole, running: whole }),
    seen: fc.dictionary(
      fc.constantFrom('a1', 'a2', 's0', 's3'),
      fc.array(fc.oneof(fc.nat(50), fc.double({ min: 0, max: 1e300, noNaN: true })), { maxLength: 64 }),
    ),
  });

  it('a decision keeps to its bounds, and what it learns fits into the parameter', async () => {
    await fc.assert(
      fc.asyncProperty(spares, fc.nat(8), async (drawn, waiting) => {
        aws.parameters.set(PARAMETER, [JSON.stringify({ version: 1, spares: drawn })]);
        const { decision } = await polled({ waiting });
        expect(decision.desired).toBeGreaterThanOrEqual(waiting);
        expect(decision.desired).toBeLessThanOrEqual(10);
        expect((stored().at(-1) ?? '').length).toBeLessThanOrEqual(4_096);
        if (stored().length > 1) expect(latest()).toBeDefined();
      }),
    );
  });

  it.each([
    { case: 'the maximum of spare runners', spareRunners: { ...SPARES, max: 2 }, desired: 3 },
    { case: 'maxReplicas', capacity: { maxReplicas: 3 }, desired: 3 },
    { case: 'maxHourlyCost', capacity: { affordable: 2 }, desired: 2 },
    { case: 'maxSurge', capacity: { maxSurge: 2 }, desired: 2 },
    { case: "the plan's concurrency", concurrency: { limit: 3, position: 0 }, desired: 3 },
    {
      case: 'an open breaker',
      breaker: { open: true, isNew: false, failures: 3, kind: 'boot', reason: 'no', canaryAt: 0 } as const,
      desired: 1,
    },
    { case: 'minReplicas, if they are more', capacity: { minReplicas: 5 }, desired: 6 },
    { case: 'headroom, if it is more', capacity: { headroom: 4 }, desired: 5 },
  ])(
    'spare runners are bounded by $case',
    ({ spareRunners = SPARES, capacity, concurrency, breaker, desired }) => {
      const { decision } = decidePoll(
        {
          poll: { number: 1, dueAt: EXECUTION_START, timeoutSeconds: 8 },
          activities: {
            lastAt: null,
            failedLaunches: 0,
            cameInService: 0,
            breaker: breaker ?? { open: false },
          },
        },
        {
          unclaimed: { unclaimed: 1 },
          running: { running: 0 },
          group: EMPTY_GROUP,
        },
        {
          capacity: { minReplicas: 0, maxReplicas: 10, ...capacity },
          pollIntervalSeconds: 5,
          quietPollIntervalSeconds: 60,
          onDemandPercentage: 100,
          executionStartedAt: EXECUTION_START,
          spareRunners,
          concurrency,
          learned: memory(60),
        },
        EXECUTION_START,
      );
      expect(decision.desired).toBe(desired);
    },
  );
});
