import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { Poll } from '../../functions/lib/contracts.ts';
import { LIMITS, pace } from '../../functions/lib/pacing.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { HANDLERS } from '../../sandbox/workflow.ts';
import { definition, machines, seconds, state, type Task } from '../support/definition.ts';
import { EXECUTION_START, firstPoll, secondsIn } from '../support/inputs.ts';
import { at, attempts, type Data, delays, failing, longest, timeout } from '../support/worst-case.ts';

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
  it('the end of the execution, within its minute', () => {
    expect(seconds).toBe(LIMITS.executionSeconds);
    expect(seconds).toBeLessThan(60);
  });

  it('the worst case of Compute Capacity', () => {
    expect(longest(task('Compute Capacity'), {})).toBe(LIMITS.computeSeconds);
  });

  it.each(Object.keys(HANDLERS))('the worst case of the alarm of %s', (name) => {
    expect(longest(task(`${name} Alarm`), {})).toBe(LIMITS.alarmSeconds);
  });

  it.each([...COUNTING, 'Update Group'])('the attempts of %s, and the wait between them', (name) => {
    expect(attempts(task(name))).toBe(LIMITS.attempts);
    expect(delays(task(name))).toBe(LIMITS.retrySeconds * (LIMITS.attempts - 1));
  });

  it('the time of each attempt in the first poll', () => {
    expect(state(definition, 'First Poll')).toMatchObject({
      Parameters: { timeoutSeconds: LIMITS.attemptSeconds },
    });
  });

  it('and in every other poll, which takes it from the plan', () => {
    for (const name of COUNTING) expect(task(name).TimeoutSecondsPath).toBe('$.poll.timeoutSeconds');
    expect(task('Update Group').TimeoutSecondsPath).toBe('$.plan.updateTimeoutSeconds');
  });
});

describe('the worst case', () => {
  const secrets = state(definition, 'Read Secrets');
  const observe = state(definition, 'Observe');
  const compute = state(definition, 'Compute Capacity');
  const update = state(definition, 'Update Group');

  /** The longest that a poll takes until its failure is reported, by the time that each attempt has. */
  const poll = new Map(
    from(1, LIMITS.attemptSeconds).map((timeoutSeconds) => {
      const data = { poll: { timeoutSeconds } };
      const computed = longest(compute, data) + failing(definition, compute, data);
      return [
        timeoutSeconds,
        longest(observe, data) + Math.max(failing(definition, observe, data), computed),
      ];
    }),
  );
  const write = new Map(
    from(1, LIMITS.attemptSeconds).map((updateTimeoutSeconds) => {
      const data = { plan: { updateTimeoutSeconds } };
      return [
        updateTimeoutSeconds,
        { succeeds: longest(update, data), fails: failing(definition, update, data) },
      ];
    }),
  );

  /** When the latest thing ends that is planned so late in the execution, with everything that it may lead to. */
  function latest(every: number, elapsed: number, writes: boolean): number {
    // A poll that is due when its counts come in took no time: only the limits speak against another one.
    const current = firstPoll({ dueAt: secondsIn(elapsed) });
    const plan = pace(current, every, EXECUTION_START + elapsed * 1_000, { write: writes });
    const writing = write.get(plan.updateTimeoutSeconds) ?? { succeeds: 0, fails: 0 };
    const written = elapsed + timeout(task('Compute Capacity'), {}) + writing.succeeds;
    const due = (Date.parse(plan.next.dueAt) - EXECUTION_START) / 1_000;
    const polled = plan.again
      ? Math.max(due, written) + (poll.get(plan.next.timeoutSeconds) ?? Number.NaN)
      : 0;
    return Math.max(writing.fails > 0 ? written + writing.fails : 0, polled);
  }

  it('of reading the secrets ends in time, and so does a first poll after it', () => {
    const read = longest(secrets, {});
    expect(read + failing(definition, secrets, {})).toBeLessThanOrEqual(seconds - SLACK_SECONDS);
    expect(read + (poll.get(LIMITS.attemptSeconds) ?? Number.NaN)).toBeLessThanOrEqual(
      seconds - SLACK_SECONDS,
    );
  });

  it('of what is planned ends in time, whenever it is planned and whatever the interval', () => {
    let worst = { end: 0, every: 0, elapsed: 0, writes: false };
    for (const every of INTERVALS) {
      for (let elapsed = 0; elapsed <= seconds; elapsed += 0.125) {
        for (const writes of [false, true]) {
          const end = latest(every, elapsed, writes);
          if (end > worst.end) worst = { end, every, elapsed, writes };
        }
      }
    }
    expect(worst.end, JSON.stringify(worst)).toBeLessThanOrEqual(seconds - SLACK_SECONDS);
  });

  it('of what is planned ends in time, to the millisecond', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...INTERVALS),
        fc.nat({ max: seconds * 1_000 }),
        fc.boolean(),
        (every, elapsed, writes) => {
          expect(latest(every, elapsed / 1_000, writes)).toBeLessThanOrEqual(seconds - SLACK_SECONDS);
        },
      ),
      { numRuns: 4_000 },
    );
  });
});

describe('an adversary who picks how long each step takes, and what it sees,', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: EXECUTION_START });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  interface Adversary {
    /** A share, between 0 and 1, of what the step may take at the worst. */
    takes: () => number;
    sees: () => { retryAfterSeconds: number } | { unclaimed: number };
  }

  /**
   * Walks one execution through the definition, with the real Compute Capacity, and returns the number of its
   * polls, and how many seconds after its start it could have ended at the latest, had any one step failed.
   */
  async function walk({ takes, sees }: Adversary, every: number): Promise<{ polls: number; end: number }> {
    const data: Data = {};
    let now = 0;
    let end = 0;
    let polls = 0;
    let name = definition.StartAt;
    for (;;) {
      const current = state(definition, name);
      end = Math.max(end, now + longest(current, data) + failing(definition, current, data));
      if (current.Type === 'Succeed' || current.Type === 'Fail') return { polls, end };
      if (current.Type === 'Choice') {
        const says = ({ Variable, BooleanEquals }: (typeof current.Choices)[number]) =>
          at(data, Variable) === BooleanEquals;
        name = current.Choices.find(says)?.Next ?? current.Default;
        continue;
      }
      if (current.Type === 'Wait') {
        const due = Date.parse(z.string().parse(at(data, current.TimestampPath))) - EXECUTION_START;
        // AWS drops the milliseconds: https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
        now = Math.max(now, Math.floor(due / 1_000));
      }
      if (name === 'First Poll') data.poll = firstPoll();
      if (name === 'Next Poll') data.poll = at(data, '$.plan.poll');
      if (name === 'Observe') polls += 1;
      if (polls > seconds) throw new Error('The polls never end');
      if (name === 'Compute Capacity') {
        const attempt = timeout(task(name), data);
        const startsAt = now + takes() * (longest(current, data) - attempt);
        const readsClockAt = startsAt + takes() * attempt;
        now = readsClockAt + takes() * (startsAt + attempt - readsClockAt);
        vi.setSystemTime(EXECUTION_START + readsClockAt * 1_000);
        const plan = await computed(data.poll, every, sees());
        if (plan === undefined) return { polls, end };
        data.plan = plan;
      } else {
        now += takes() * longest(current, data);
      }
      name = z.string().parse(current.Next);
    }
  }

  /** The plan, or `undefined` if the rate limit does not let the execution go on. */
  async function computed(poll: unknown, pollIntervalSeconds: number, unclaimed: object) {
    const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
    const observed = { unclaimed, running: { running: 0 }, group: { desired: 1, members } };
    const fleet = { fleet: 'linux', execution: 'linux-1', minReplicas: 0, maxReplicas: 10 };
    const input = { ...fleet, pollIntervalSeconds, poll: Poll.parse(poll), observed };
    return computeCapacity(input).catch((error: Error) => {
      if (error.name !== 'CircleCiRateLimited') throw error;
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
  const sights = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ unclaimed: fc.nat({ max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ retryAfterSeconds: fc.integer({ min: 1, max: 40 }) }) },
    ),
    { minLength: 1, maxLength: 20 },
  );

  it('never gets an execution beyond its timeout', async () => {
    await fc.assert(
      fc.asyncProperty(shares, sights, fc.constantFrom(...INTERVALS), async (shares, sights, every) => {
        const adversary = { takes: inTurn(shares), sees: inTurn(sights) };
        const { end } = await walk(adversary, every);
        expect(end).toBeLessThanOrEqual(seconds - SLACK_SECONDS);
      }),
      { numRuns: 750 },
    );
  });

  it('gets a poll at each point of the grid if nothing takes any time', async () => {
    for (const every of INTERVALS.filter((interval) => interval >= LIMITS.computeSeconds)) {
      const { polls } = await walk({ takes: () => 0, sees: () => ({ unclaimed: 1 }) }, every);
      expect(polls).toBe(Math.floor(LIMITS.lastPollSeconds / every) + 1);
    }
  });

  it('gets hardly any poll if everything takes all the time it may', async () => {
    for (const every of INTERVALS) {
      const { polls } = await walk({ takes: () => 1, sees: () => ({ unclaimed: 3 }) }, every);
      expect(polls).toBeLessThanOrEqual(2);
    }
  });
});

describe('the interpreter', () => {
  it('ends every execution before it times out, however slow the functions are', async () => {
    const delays = fc.array(fc.oneof(fc.nat({ max: 1_000 }), fc.nat({ max: 10_000 })), {
      minLength: 1,
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(delays, fc.constantFrom(...INTERVALS), async (milliseconds, pollIntervalSeconds) => {
        const delay = inTurn(milliseconds);
        const slow = Object.entries(HANDLERS).map(([name, handler]) => [
          name,
          async (input: unknown) => {
            await new Promise((resolve) => setTimeout(resolve, delay()));
            return handler(input);
          },
        ]);
        const sandbox = await Sandbox.open({ replace: Object.fromEntries(slow) });
        const jitter = vi.spyOn(Math, 'random').mockReturnValue(0.999_999);
        try {
          const bounds = { minReplicas: 1, maxReplicas: 10 };
          sandbox.addFleet({ name: 'slow', resourceClass: 'acme/linux', ...bounds, pollIntervalSeconds });
          const { status, startedAt, endedAt } = await sandbox.execute('slow');
          expect(status).not.toBe('TIMED_OUT');
          expect(endedAt - startedAt).toBeLessThanOrEqual((seconds - SLACK_SECONDS) * 1_000);
        } finally {
          jitter.mockRestore();
          sandbox.close();
        }
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
