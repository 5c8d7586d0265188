import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { firstSecond, spreadOf } from '../../fleets/own-second.ts';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { computeTimeout, LIMITS, pace } from '../../functions/lib/pacing.ts';
import { KeptMetrics } from '../../sandbox/kept-metrics.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { HANDLERS, type Replacement, SILENT } from '../../sandbox/workflow.ts';
import {
  at,
  chosen,
  definition,
  machines,
  seconds,
  state,
  successors,
  type Task,
} from '../support/definition.ts';
import {
  type ActivitiesJson,
  activities,
  deployedSettings,
  EXECUTION_START,
  firstPoll,
  openBreaker,
  type PlanJson,
  parsedPoll,
  readerOf,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { attempts, type Data, delays, failing, longest, timeout } from '../support/worst-case.ts';

/** Kept free at the end for the transitions between states, which the definition gives no time. */
const SLACK_SECONDS = 0.5;

function task(name: string): Task {
  const found = machines().find(({ States }) => name in States)?.States[name];
  if (found?.Type !== 'Task') throw new Error(`${name} is no Task state`);
  return found;
}

const COUNTING = ['Count Unclaimed', 'Count Running', 'Describe Group'];

const from = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const INTERVALS = from(1, 60);

describe('the limits that the polls are planned by are those of the definition:', () => {
  it('the end of the execution, which outlasts its minute by no more than a second', () => {
    expect(LIMITS.executionSeconds).toBeLessThanOrEqual(61);
    // Each fleet polls from a second of its own.
    expect(seconds).toBe(LIMITS.executionSeconds + LIMITS.spreadSeconds);
  });

  it('the second before its first function, which is no later than the second from which it polls', () => {
    const waits = Object.values(definition.States).map((each) => (each.Type === 'Wait' ? each.Seconds : 0));
    expect(Math.max(...waits.map((wait) => wait ?? 0))).toBe(4);
    for (const pollInterval of INTERVALS) {
      const fleets = Array.from({ length: 200 }, (_, index) => ({ name: `fleet-${index}`, pollInterval }));
      for (const [name, second] of spreadOf(fleets)) {
        expect(firstSecond(name)).toBeLessThanOrEqual(second);
        expect(second).toBeLessThanOrEqual(LIMITS.spreadSeconds);
      }
    }
  });

  it('the time of each attempt of Compute Capacity: in the first poll, in which its container may start, and later', () => {
    expect(task('Compute Capacity').TimeoutSecondsPath).toBe('$.poll.computeTimeoutSeconds');
    expect(state(definition, 'First Poll')).toMatchObject({
      Parameters: { poll: { computeTimeoutSeconds: LIMITS.firstComputeSeconds } },
    });
    expect(computeTimeout({ number: 1 })).toBe(LIMITS.firstComputeSeconds);
    expect(computeTimeout({ number: 2 })).toBe(LIMITS.laterComputeSeconds);
    const later = { poll: { computeTimeoutSeconds: LIMITS.laterComputeSeconds } };
    expect(longest(task('Compute Capacity'), later)).toBe(LIMITS.computeSeconds);
    expect(LIMITS.firstComputeSeconds).toBeLessThanOrEqual(LIMITS.computeSeconds);
  });

  it.each(
    Object.keys(definition.States).filter((name) => HANDLERS[name] !== undefined || name === 'Observe'),
  )('the longest report of a failure of %s', (name) => {
    expect(failing(definition, state(definition, name), {})).toBe(LIMITS.reportSeconds);
  });

  it('and nothing in a branch of Observe, which fails on to the report at once', () => {
    for (const machine of machines().slice(1)) {
      for (const each of Object.values(machine.States)) expect(failing(machine, each, {})).toBe(0);
    }
  });

  it.each([...COUNTING, 'Compute Capacity', 'Update Group'])(
    'the attempts of %s, and the wait between them',
    (name) => {
      expect(attempts(task(name))).toBe(LIMITS.attempts);
      expect(delays(task(name))).toBe(LIMITS.retrySeconds * (LIMITS.attempts - 1));
    },
  );

  it('the time of each attempt in the first poll', () => {
    expect(state(definition, 'First Poll')).toMatchObject({
      Parameters: { poll: { timeoutSeconds: LIMITS.attemptSeconds } },
    });
  });

  it('and in every other poll, which takes it from the plan', () => {
    for (const name of COUNTING) expect(task(name).TimeoutSecondsPath).toBe('$.poll.timeoutSeconds');
    expect(task('Update Group').TimeoutSecondsPath).toBe('$.updateTimeoutSeconds');
  });
});

describe('the worst case', () => {
  const before = ['Read Settings', 'Describe Activities', 'Announce Breaker'].map((name) =>
    state(definition, name),
  );
  const observe = state(definition, 'Observe');
  const compute = state(definition, 'Compute Capacity');
  const update = state(definition, 'Update Group');

  /** The longest that a poll takes until its failure is reported, by the time that each attempt has. */
  function pollOf(timeoutSeconds: number, computeTimeoutSeconds: number): number {
    const data = { poll: { timeoutSeconds, computeTimeoutSeconds } };
    const computed = longest(compute, data) + failing(definition, compute, data);
    return longest(observe, data) + Math.max(failing(definition, observe, data), computed);
  }
  const poll = new Map(
    from(1, LIMITS.attemptSeconds).map((timeoutSeconds) => [
      timeoutSeconds,
      pollOf(timeoutSeconds, LIMITS.laterComputeSeconds),
    ]),
  );
  const write = new Map(
    from(1, LIMITS.attemptSeconds).map((updateTimeoutSeconds) => {
      const data = { updateTimeoutSeconds };
      return [
        updateTimeoutSeconds,
        { succeeds: longest(update, data), fails: failing(definition, update, data) },
      ];
    }),
  );

  const computeSeconds = new Map(
    [1, 2].map((number) => {
      const data = { poll: { computeTimeoutSeconds: computeTimeout({ number }) } };
      return [number, timeout(task('Compute Capacity'), data)];
    }),
  );

  /** When everything has ended that a poll at `elapsed` can lead to, in its slowest course. */
  function latest(every: number, elapsed: number, writes: boolean, number: number): number {
    return latestOf(pollAt(elapsed, number), every, elapsed, writes);
  }

  /** A poll that is due when its counts come in took no time: only the limits speak against another one. */
  const pollAt = (elapsed: number, number: number) => parsedPoll({ number, dueAt: secondsIn(elapsed) });

  function latestOf(
    current: ReturnType<typeof pollAt>,
    every: number,
    elapsed: number,
    writes: boolean,
  ): number {
    const plan = pace(current, every, EXECUTION_START + elapsed * 1_000, { write: writes });
    const writing = write.get(plan.updateTimeoutSeconds) ?? { succeeds: 0, fails: 0 };
    const written = elapsed + (computeSeconds.get(current.number) ?? Number.NaN) + writing.succeeds;
    const due = (plan.next.dueAt - EXECUTION_START) / 1_000;
    const polled = plan.again
      ? Math.max(due, written) + (poll.get(plan.next.timeoutSeconds) ?? Number.NaN)
      : 0;
    return Math.max(writing.fails > 0 ? written + writing.fails : 0, polled);
  }

  it('of everything before the polls ends in time, and so does a first poll after it', () => {
    let elapsed = 0;
    for (const each of before) {
      elapsed += longest(each, {});
      expect(elapsed + failing(definition, each, {})).toBeLessThanOrEqual(
        LIMITS.executionSeconds - SLACK_SECONDS,
      );
    }
    expect(elapsed + pollOf(LIMITS.attemptSeconds, LIMITS.firstComputeSeconds)).toBeLessThanOrEqual(
      LIMITS.executionSeconds - SLACK_SECONDS,
    );
  });

  it('of what is planned ends in time, whenever it is planned and whatever the interval', () => {
    let worst = { end: 0, every: 0, elapsed: 0, writes: false };
    for (let elapsed = 0; elapsed <= LIMITS.executionSeconds; elapsed += 0.125) {
      const [first, later] = [pollAt(elapsed, 1), pollAt(elapsed, 2)];
      for (const every of INTERVALS) {
        for (const writes of [false, true]) {
          const end = Math.max(
            latestOf(first, every, elapsed, writes),
            latestOf(later, every, elapsed, writes),
          );
          if (end > worst.end) worst = { end, every, elapsed, writes };
        }
      }
    }
    expect(worst.end, JSON.stringify(worst)).toBeLessThanOrEqual(LIMITS.executionSeconds - SLACK_SECONDS);
  });

  it('of a plan ends in time, to the millisecond', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...INTERVALS),
        fc.nat({ max: LIMITS.executionSeconds * 1_000 }),
        fc.boolean(),
        fc.constantFrom(1, 2),
        (every, elapsed, writes, number) => {
          expect(latest(every, elapsed / 1_000, writes, number)).toBeLessThanOrEqual(
            LIMITS.executionSeconds - SLACK_SECONDS,
          );
        },
      ),
      { numRuns: 4_000 },
    );
  });
});

const SETTINGS = { version: 1, alarmTopicArn: 'arn:aws:sns:eu-west-1:000000000000:alarms', once: false };

describe('an adversary who picks how long each step takes, and what it sees,', () => {
  let clock = EXECUTION_START;
  let deployed = deployedSettings();
  const compute = computeCapacity.with({
    now: () => clock,
    log: SILENT,
    settings: readerOf(() => deployed),
    metrics: new KeptMetrics(
      () => clock,
      () => undefined,
    ),
  });

  interface Adversary {
    /** A share, between 0 and 1, of the longest time that the step may take. */
    takes: () => number;
    sees: () => { retryAfterSeconds: number } | { unclaimed: number };
    activities: ActivitiesJson;
    /** Of the input of the execution. */
    hash?: string;
  }

  interface Intervals {
    every: number;
    everyIfQuiet: number;
  }

  /**
   * Walks one execution through the definition, with the real Compute Capacity, and returns the number of its
   * polls, and how many seconds after its start it could have ended at the latest, had any one step failed.
   */
  async function walk(
    { takes, sees, activities, hash = '00' }: Adversary,
    intervals: Intervals,
  ): Promise<{ polls: number; end: number; path: Set<string> }> {
    let data: Data = { input: {}, hash };
    const path = new Set<string>();
    let now = 0;
    let end = 0;
    let polls = 0;
    let name = definition.StartAt;
    for (;;) {
      const current = state(definition, name);
      path.add(name);
      end = Math.max(end, now + longest(current, data) + failing(definition, current, data));
      if (current.Type === 'Succeed' || current.Type === 'Fail') return { polls, end, path };
      if (current.Type === 'Choice') {
        name = chosen(current, data);
        continue;
      }
      if (current.Type === 'Wait') {
        // Times count from the fleet's own second, which ends this wait.
        const due =
          current.TimestampPath === undefined
            ? 0
            : Date.parse(z.string().parse(at(data, current.TimestampPath))) - EXECUTION_START;
        if (current.OutputPath !== undefined)
          data = z.record(z.string(), z.unknown()).parse(at(data, current.OutputPath));
        // AWS drops the milliseconds: https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
        now = Math.max(now, Math.floor(due / 1_000));
      }
      if (name === 'Read Settings') data.settings = { ...SETTINGS, pollsFrom: secondsIn(0) };
      if (name === 'Describe Activities') data.activities = activities;
      if (name === 'First Poll')
        data = {
          settings: SETTINGS,
          activities: data.activities,
          poll: { ...firstPoll(), computeTimeoutSeconds: LIMITS.firstComputeSeconds },
        };
      if (name === 'Observe') polls += 1;
      if (polls > LIMITS.executionSeconds) throw new Error('The polls never end');
      if (name === 'Compute Capacity') {
        const attempt = timeout(task(name), data);
        const startsAt = now + takes() * (longest(current, data) - attempt);
        const readsClockAt = startsAt + takes() * attempt;
        now = readsClockAt + takes() * (startsAt + attempt - readsClockAt);
        clock = EXECUTION_START + readsClockAt * 1_000;
        const plan = await computed(data, intervals, sees());
        if (plan === undefined) return { polls, end, path };
        data = { ...plan };
      } else {
        now += takes() * longest(current, data);
      }
      name = z.string().parse(current.Next);
    }
  }

  /** The plan, or `undefined` if the rate limit does not let the execution go on. */
  async function computed(
    { settings, poll, activities }: Data,
    { every, everyIfQuiet }: Intervals,
    unclaimed: object,
  ): Promise<PlanJson | undefined> {
    const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
    const launchProcess = { suspended: false, byBreaker: false };
    // What one task wants is there already.
    const desired = 'unclaimed' in unclaimed && unclaimed.unclaimed === 1 ? 2 : 1;
    const observed = {
      unclaimed,
      running: { running: 0 },
      group: { desired, members, launchProcess, paused: 'false' },
    };
    deployed = deployedSettings({
      capacity: { minReplicas: 1, maxReplicas: 10 },
      pollIntervalSeconds: every,
      quietPollIntervalSeconds: everyIfQuiet,
    });
    const input = { ...TASK, settings, executionStartedAt: secondsIn(0), poll, activities, observed };
    return compute(input).catch((error: Error) => {
      if (error.name !== 'CircleCiRateLimited') throw error;
      return undefined;
    });
  }

  const shares = fc.array(
    fc.oneof(
      fc.constantFrom(0, 1),
      fc.double({ min: 0, max: 0.1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    { minLength: 1, maxLength: 60 },
  );
  const observations = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ unclaimed: fc.nat({ max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ retryAfterSeconds: fc.integer({ min: 1, max: 40 }) }) },
    ),
    { minLength: 1, maxLength: 20 },
  );

  const histories = fc.record({
    lastAt: fc.constantFrom(null, secondsIn(-30), secondsIn(-3_600)),
    breaker: fc.oneof(
      fc.constant<ActivitiesJson['breaker']>({ open: false }),
      fc
        .record({ canaryInSeconds: fc.integer({ min: -60, max: 120 }), isNew: fc.boolean() })
        .map(({ canaryInSeconds, isNew }) => ({ ...openBreaker(canaryInSeconds), isNew })),
    ),
  });
  const hashes = fc.constantFrom('00', '44', '77', 'aa', 'ff');
  const interval = fc.constantFrom(...INTERVALS);
  const intervals = fc.record({ every: interval, everyIfQuiet: interval });

  it('never gets an execution beyond its timeout', async () => {
    const walked = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        shares,
        observations,
        histories,
        intervals,
        hashes,
        async (shares, seen, history, intervals, hash) => {
          const world = {
            takes: inTurn(shares),
            sees: inTurn(seen),
            activities: activities(history),
            hash,
          };
          const { end, path } = await walk(world, intervals);
          expect(end).toBeLessThanOrEqual(LIMITS.executionSeconds - SLACK_SECONDS);
          for (const name of path) walked.add(name);
        },
      ),
      { numRuns: 750 },
    );
    // Everything but what a failure leads to, whose time is added up in each step, and the end of an execution that waits for
    // its tokens, after which nothing takes time.
    const others = new Set([...reportOfFailures(), 'Waits For Tokens']);
    const expected = Object.keys(definition.States).filter((name) => !others.has(name));
    expect([...walked].toSorted()).toEqual(expected.toSorted());
  });

  /** The states that only failed executions reach. */
  function reportOfFailures(): Set<string> {
    const found = new Set<string>();
    const follow = (name: string): void => {
      if (found.has(name)) return;
      found.add(name);
      successors(state(definition, name)).forEach(follow);
    };
    for (const each of Object.values(definition.States)) {
      if ('Catch' in each)
        for (const { Next } of each.Catch.filter((rule) => rule.Next !== each.Next)) follow(Next);
    }
    return found;
  }

  it('gets a poll at each point of the grid if nothing takes any time', async () => {
    for (const every of INTERVALS.filter((interval) => interval >= LIMITS.computeSeconds)) {
      const busy = { takes: () => 0, sees: () => ({ unclaimed: 1 }), activities: activities() };
      const { polls } = await walk(busy, { every, everyIfQuiet: 60 });
      expect(polls).toBe(Math.floor(LIMITS.lastPollSeconds / every) + 1);
      const idle = {
        takes: () => 0,
        sees: () => ({ unclaimed: 0 }),
        activities: activities({ lastAt: null }),
      };
      expect((await walk(idle, { every: 1, everyIfQuiet: every })).polls).toBe(polls);
    }
  });

  it('gets hardly any poll if everything takes all the time it may', async () => {
    const opened = { ...openBreaker(0), isNew: true } as const;
    for (const every of INTERVALS) {
      const slow = {
        takes: () => 1,
        sees: () => ({ unclaimed: 3 }),
        activities: activities({ breaker: opened }),
      };
      const { polls } = await walk(slow, { every, everyIfQuiet: every });
      expect(polls).toBeLessThanOrEqual(2);
    }
  });
});

describe('the interpreter', () => {
  const tasks = machines()
    .flatMap(({ States }) => Object.entries(States))
    .filter(([, { Type }]) => Type === 'Task')
    .map(([name]) => name);

  it('ends every execution before it times out, however slow functions and services are', async () => {
    const delays = fc.array(fc.oneof(fc.nat({ max: 1_000 }), fc.nat({ max: 10_000 })), {
      minLength: 1,
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(delays, fc.constantFrom(...INTERVALS), async (milliseconds, pollIntervalSeconds) => {
        const delay = inTurn(milliseconds);
        const slow: Replacement = async (input, real) => {
          await sandbox.clock.sleep(delay() / 1_000);
          return real(input);
        };
        const replace = Object.fromEntries(tasks.map((name) => [name, slow]));
        // The longest jitter.
        const sandbox = await Sandbox.open({ replace, random: () => 0.999_999, spread: true });
        const bounds = { minReplicas: 1, maxReplicas: 10 };
        sandbox.addFleet({ name: 'slow', resourceClass: 'acme/linux', ...bounds, pollIntervalSeconds });
        const { status, startedAt, endedAt } = await sandbox.execute('slow');
        expect(status).not.toBe('TIMED_OUT');
        expect(endedAt - startedAt).toBeLessThanOrEqual((seconds - SLACK_SECONDS) * 1_000);
      }),
      { numRuns: 40, interruptAfterTimeLimit: 20_000 },
    );
  });
});

/** Gives one of them at each call, and begins again after the last. */
function inTurn<T>(values: T[]): () => T {
  let next = 0;
  return () => {
    const [value] = values.slice(next++ % values.length);
    if (value === undefined) throw new Error('There is nothing to give');
    return value;
  };
}
