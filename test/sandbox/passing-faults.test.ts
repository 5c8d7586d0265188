import { describe, expect, it } from 'vitest';
import type { AwsFault } from '../../sandbox/aws.ts';
import type { CircleCiFault } from '../../sandbox/circleci.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { failuresIn, oneFleet, polledAt, retriesOf, visits } from '../support/sandbox.ts';

describe('a fault that passes', () => {
  it.each<{ case: string; fault: CircleCiFault }>([
    { case: 'one status 500', fault: { status: 500, body: '' } },
    { case: 'one page instead of JSON', fault: { status: 200, body: '<html>Bad gateway</html>' } },
    { case: 'one connection that hangs', fault: 'hang' },
  ])('in CircleCI, $case, costs one retry and is no failure', async ({ fault }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? fault : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Count Unclaimed')[0]?.retries).toBe(1);
    expect(retriesOf(execution)).toBe(1);
    expect(world.group.desired).toBe(5);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
  });

  it('in CircleCI, one connection that was lost, costs no retry and no line in the log', async () => {
    const errors: string[] = [];
    const log = { ...SILENT, error: (message: string) => errors.push(message) };
    const { sandbox, world, execute } = await oneFleet({ log, queued: 5 });
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? 'reset' : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(retriesOf(execution)).toBe(0);
    expect(errors).toEqual([]);
    expect(world.group.desired).toBe(5);
  });

  it('in CircleCI, one status 429, costs a poll and no retry', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    const limited = { status: 429, headers: { 'retry-after': '2' }, body: '' };
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? limited : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(retriesOf(execution)).toBe(0);
    expect(visits(execution, 'Count Unclaimed')[0]?.output).toEqual({ retryAfterSeconds: 2 });
    expect(visits(execution, 'Compute Capacity')[0]?.output).toMatchObject({
      decision: { change: false, reasons: ['held: CircleCI allows no request for 2 s'] },
    });
    expect(visits(execution, 'Update Group')[0]?.at).toBe(execution.startedAt + 5_000);
    expect(world.group.desired).toBe(5);
  });

  it('in CircleCI, a long 429, delays the next poll by its Retry-After', async () => {
    const { sandbox, execute } = await oneFleet({ queued: 5 });
    const limited = { status: 429, headers: { 'retry-after': '18' }, body: '' };
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? limited : undefined);
    expect(polledAt(await execute()).slice(0, 4)).toEqual([0, 18, 20, 25]);
  });

  it('in CircleCI, a 429 at the last poll, ends the execution well with the counts of the polls before', async () => {
    const { sandbox, execute } = await oneFleet({ queued: 5 });
    const limited = { status: 429, headers: { 'retry-after': '30' }, body: '' };
    const startedAt = sandbox.clock.now();
    sandbox.circleci.fault = () => (sandbox.clock.now() - startedAt >= 45_000 ? limited : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Count Unclaimed').at(-1)?.output).toEqual({ retryAfterSeconds: 30 });
    expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
    expect(sandbox.workflow.metrics.map(({ name }) => name)).toContain('ExecutionsSucceeded');
  });

  it.each<{ action: string; step: string; fault: AwsFault }>(
    [
      { action: 'GetSecretValue', step: 'Read Settings', code: 'ThrottlingException' },
      { action: 'DescribeScalingActivities', step: 'Describe Activities', code: 'Throttling' },
      { action: 'DescribeAutoScalingGroups', step: 'Describe Group', code: 'Throttling' },
      { action: 'SetDesiredCapacity', step: 'Update Group', code: 'Throttling' },
    ].flatMap(({ action, step, code }) => [
      { action, step, fault: { status: 400, code, message: '' } },
      { action, step, fault: { status: 503, code: 'ServiceUnavailable', message: '' } },
    ]),
  )('of $action, $fault, costs $step one retry and is no failure', async ({ action, step, fault }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    sandbox.aws.fault = (asked) =>
      asked === action && sandbox.aws.calls.get(action) === 1 ? fault : undefined;

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, step)[0]?.retries).toBe(1);
    expect(retriesOf(execution)).toBe(1);
    expect(world.group.desired).toBe(5);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
  });

  it.each([
    'GetParameter',
    'GetSecretValue',
    'DescribeScalingActivities',
    'DescribeAutoScalingGroups',
    'SetDesiredCapacity',
  ])('of %s, one connection that was lost, costs no retry and no line in the log', async (action) => {
    const errors: string[] = [];
    const log = { ...SILENT, error: (message: string) => errors.push(message) };
    const { sandbox, world, execute } = await oneFleet({ log, queued: 5 });
    sandbox.aws.fault = (asked) =>
      asked === action && sandbox.aws.calls.get(action) === 1 ? 'reset' : undefined;

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(retriesOf(execution)).toBe(0);
    expect(errors).toEqual([]);
    expect(world.group.desired).toBe(5);
  });

  it.each(['Lambda.TooManyRequestsException', 'Lambda.Unknown', 'Sandbox.Timedout'])(
    'of Lambda, one %s of each step, costs each a retry and is no failure',
    async (name) => {
      const { sandbox, world, execute } = await oneFleet({ queued: 5 });
      const struck = new Set<string>();
      sandbox.workflow.fault = (state) => {
        if (struck.has(state)) return undefined;
        struck.add(state);
        return Object.assign(new Error(''), { name });
      };
      const execution = await execute();
      expect(execution.status).toBe('SUCCEEDED');
      expect(retriesOf(execution)).toBe(7);
      expect(world.group.desired).toBe(5);
      expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
    },
  );

  it('of Lambda, a container of Compute Capacity that starts slowly in the first poll, costs no retry', async () => {
    let sleep = async (_: number): Promise<void> => undefined;
    const { sandbox, world, execute } = await oneFleet({
      queued: 5,
      replace: {
        'Compute Capacity': async (input, real) => {
          const { poll } = input as { poll: { number: number } };
          if (poll.number === 1) await sleep(2.5);
          return real(input);
        },
      },
    });
    sleep = sandbox.clock.sleep;
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'SUCCEEDED' });
    expect(retriesOf(execution)).toBe(0);
    expect(world.group.desired).toBe(5);
  });
});
