import { describe, expect, it } from 'vitest';
import type { AwsFault } from '../../sandbox/aws.ts';
import type { CircleCiFault } from '../../sandbox/circleci.ts';
import { type FleetWorld, SANDBOX_TOKEN, type Sandbox } from '../../sandbox/sandbox.ts';
import { HANDLERS, type Metric } from '../../sandbox/workflow.ts';
import {
  counts,
  jobs,
  LINUX,
  oneFleet,
  openSandbox,
  polledAt,
  secondsTaken,
  visits,
} from '../support/sandbox.ts';

/** What an alarm state puts when a step of a fleet has failed. */
const stepFailed = (step: string, fleet = 'linux') =>
  [{ Fleet: fleet }, { Fleet: fleet, Step: step }].map((dimensions) => ({
    namespace: 'CircleCIRunnerAutoscaler',
    name: 'StepFailed',
    dimensions,
  }));

const put = (metrics: Metric[]) => metrics.map(({ at: _, ...metric }) => metric);

describe('an execution', () => {
  it('gives 3 unclaimed and 2 running tasks 5 instances', async () => {
    const { sandbox, world, execute } = await oneFleet({ fleet: { durations: { boot: 10 } } });
    for (const task of jobs(2)) world.queue.add({ ...task });
    await execute();
    for (const task of jobs(3)) world.queue.add({ ...task });
    expect(counts(world.queue)).toMatchObject({ unclaimed: 3, running: 2 });

    const { status, path } = await execute();
    expect(status).toBe('SUCCEEDED');
    expect(path.find(({ state }) => state === 'Update Group')?.output).toMatchObject({
      updated: { desired: 5 },
    });
    expect(world.group.desired).toBe(5);
    expect(sandbox.workflow.metrics).toEqual([]);
  });

  it('keeps busy members even if CircleCI counts nothing any more', async () => {
    const { sandbox, world } = await oneFleet({ queued: 4 });
    await sandbox.runUntil(120);
    expect(counts(world.queue)).toMatchObject({ unclaimed: 0, running: 4 });
    const nothing = '{"unclaimed_task_count":0,"running_runner_tasks":0}';
    sandbox.circleci.fault = () => ({ status: 200, body: nothing });
    await sandbox.runUntil(300);

    expect(world.outcomes).toEqual({ succeeded: 5, failed: 0 });
    expect(world.group.desired).toBe(4);
    expect(world.group.size).toBe(4);
    expect(sandbox.aws.calls.get('SetDesiredCapacity')).toBe(1);
  });

  it('cancels launches that have not begun when their tasks are gone', async () => {
    const { sandbox, world, execute } = await oneFleet({
      queued: 4,
      fleet: { durations: { request: 1_000 } },
    });
    sandbox.agenda.plan(12, () => {
      while (world.queue.claim(12)) {
        // another runner of the class, outside the group, takes them all
      }
      for (const task of world.queue.tasks.slice(1)) world.queue.end(task, 12, 'done');
    });
    await execute();
    expect(counts(world.queue)).toMatchObject({ unclaimed: 0, running: 1 });
    expect(world.group.desired).toBe(1);
  });

  it('goes through the definition as it is drawn', async () => {
    const { execute } = await oneFleet({ queued: 1, fleet: { pollIntervalSeconds: 60 } });
    const { path } = await execute();
    expect(path.map(({ state }) => state)).toEqual([
      'Read Secrets',
      'First Poll',
      'Observe',
      'Count Unclaimed',
      'Count Running',
      'Describe Group',
      'Compute Capacity',
      'Capacity Changes?',
      'Update Group',
      'Another Poll?',
      'Done',
    ]);
  });

  it.each([
    { every: 5, polls: [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50] },
    { every: 20, polls: [0, 20, 40] },
    { every: 60, polls: [0] },
  ])('polls every $every s, and is over before the next one starts', async ({ every, polls }) => {
    const { execute } = await oneFleet({ fleet: { pollIntervalSeconds: every } });
    const execution = await execute();
    expect(polledAt(execution)).toEqual(polls);
    expect(secondsTaken(execution)).toBeLessThan(59);
  });

  it('takes a function that answers nothing for one that answers null, as Lambda does', async () => {
    const { execute } = await oneFleet({
      queued: 1,
      fleet: { pollIntervalSeconds: 60 },
      replace: { 'Update Group': async () => undefined },
    });
    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Update Group')[0]?.output).toMatchObject({ updated: null });
  });

  it('follows the queue from poll to poll', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, [...jobs(1), ...jobs(2, 600, 8), ...jobs(20, 600, 31)]);
    sandbox.catchUp();
    const execution = await sandbox.execute('linux');
    const desired = visits(execution, 'Update Group').map(({ output }) => output);
    expect(desired).toMatchObject([
      { updated: { desired: 1 } },
      { updated: { desired: 3 } },
      { updated: { desired: 10 } },
    ]);
    expect(world.group.desired).toBe(10);
  });
});

const html = '<html>Bad gateway</html>';
const CIRCLECI_FAULTS: { case: string; fault: CircleCiFault; error: string }[] = [
  { case: '401', fault: { status: 401, body: '{"message":"Unauthorized"}' }, error: 'CircleCiUnauthorized' },
  { case: '403', fault: { status: 403, body: '{"message":"Forbidden"}' }, error: 'CircleCiUnauthorized' },
  { case: '404', fault: { status: 404, body: '{"message":"Not found"}' }, error: 'CircleCiNotFound' },
  { case: '400', fault: { status: 400, body: '{"message":"Bad"}' }, error: 'CircleCiRejected' },
  {
    case: 'a redirect',
    fault: { status: 302, headers: { location: '/login' }, body: '' },
    error: 'CircleCiRejected',
  },
  {
    case: '429 for an hour',
    fault: { status: 429, headers: { 'retry-after': '3600' }, body: '' },
    error: 'CircleCiRateLimited',
  },
  { case: '429 again and again', fault: { status: 429, body: '' }, error: 'CircleCiRateLimited' },
  { case: '500', fault: { status: 500, body: '' }, error: 'CircleCiUnavailable' },
  { case: '503', fault: { status: 503, body: html }, error: 'CircleCiUnavailable' },
  { case: '200 with a page', fault: { status: 200, body: html }, error: 'CircleCiNotJson' },
  { case: '200 cut short', fault: { status: 200, body: '{"unclaimed' }, error: 'CircleCiNotJson' },
  { case: '200 without the count', fault: { status: 200, body: '{}' }, error: 'CircleCiInvalidCount' },
  {
    case: '200 with a count below 0',
    fault: { status: 200, body: '{"unclaimed_task_count":-1,"running_runner_tasks":-1}' },
    error: 'CircleCiInvalidCount',
  },
  { case: 'a connection that breaks', fault: 'reset', error: 'CircleCiUnreachable' },
  { case: 'a connection that hangs', fault: 'hang', error: 'CircleCiTimeout' },
];

const QUESTIONS = [
  { step: 'Count Unclaimed', paths: ['/api/v3/runner/tasks'] },
  { step: 'Count Running', paths: ['/api/v3/runner/tasks/running'] },
];

describe.each(QUESTIONS)('when all that CircleCI has for $step is', ({ step, paths }) => {
  it.each(CIRCLECI_FAULTS)(
    '$case, capacity is held, $error is reported, and the metrics are put',
    async ({ fault, error }) => {
      const { sandbox, world, execute } = await oneFleet({ queued: 5 });
      world.group.setDesiredCapacity(2);
      sandbox.circleci.fault = ({ path }) => (paths.includes(path) ? fault : undefined);

      const execution = await execute();
      expect(execution).toMatchObject({ status: 'FAILED', error });
      expect(execution.cause).toMatch(
        new RegExp(`^${error}: .*https://runner\\.circleci\\.com|^${error}: CircleCI allows`),
      );
      expect(world.group.desired).toBe(2);
      expect(sandbox.aws.calls.has('SetDesiredCapacity')).toBe(false);
      expect(put(sandbox.workflow.metrics)).toEqual(stepFailed(step));
      expect(secondsTaken(execution)).toBeLessThan(59);
    },
  );
});

describe('when CircleCI answers neither question', () => {
  it.each(CIRCLECI_FAULTS)('but $case, capacity is held and $error is reported', async ({ fault, error }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    world.group.setDesiredCapacity(2);
    sandbox.circleci.fault = () => fault;

    expect(await execute()).toMatchObject({ status: 'FAILED', error });
    expect(world.group.desired).toBe(2);
    expect(sandbox.workflow.metrics.map(({ dimensions }) => dimensions)).toContainEqual({ Fleet: 'linux' });
  });
});

describe('a fault that passes', () => {
  it.each<{ case: string; fault: CircleCiFault }>([
    { case: 'one status 500', fault: { status: 500, body: '' } },
    { case: 'one page instead of JSON', fault: { status: 200, body: html } },
    { case: 'one connection that breaks', fault: 'reset' },
    { case: 'one connection that hangs', fault: 'hang' },
  ])('of CircleCI, $case, costs one retry and no alarm', async ({ fault }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? fault : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Count Unclaimed')[0]?.retries).toBe(1);
    expect(execution.path.reduce((sum, { retries }) => sum + retries, 0)).toBe(1);
    expect(world.group.desired).toBe(5);
    expect(sandbox.workflow.metrics).toEqual([]);
  });

  it('of CircleCI, one status 429, costs a poll and no retry', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    const limited = { status: 429, headers: { 'retry-after': '2' }, body: '' };
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? limited : undefined);

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, 'Count Unclaimed')[0]).toMatchObject({
      retries: 0,
      output: { retryAfterSeconds: 2 },
    });
    expect(visits(execution, 'Compute Capacity')[0]?.output).toMatchObject({
      plan: { decision: { change: false, reasons: ['held: CircleCI allows no request for 2 s'] } },
    });
    expect(visits(execution, 'Update Group')[0]?.at).toBe(execution.startedAt + 5_000);
    expect(world.group.desired).toBe(5);
  });

  it('of CircleCI, a long 429, is waited for in full', async () => {
    const { sandbox, execute } = await oneFleet({ queued: 5 });
    const limited = { status: 429, headers: { 'retry-after': '18' }, body: '' };
    sandbox.circleci.fault = () => (sandbox.circleci.requests === 1 ? limited : undefined);
    expect(polledAt(await execute()).slice(0, 4)).toEqual([0, 18, 20, 25]);
  });

  it.each<{ action: string; step: string; fault: AwsFault }>([
    {
      action: 'GetSecretValue',
      step: 'Read Secrets',
      fault: { status: 400, code: 'ThrottlingException', message: '' },
    },
    { action: 'GetSecretValue', step: 'Read Secrets', fault: 'reset' },
    {
      action: 'DescribeAutoScalingGroups',
      step: 'Describe Group',
      fault: { status: 400, code: 'Throttling', message: '' },
    },
    { action: 'DescribeAutoScalingGroups', step: 'Describe Group', fault: 'reset' },
    {
      action: 'SetDesiredCapacity',
      step: 'Update Group',
      fault: { status: 503, code: 'ServiceUnavailable', message: '' },
    },
    { action: 'SetDesiredCapacity', step: 'Update Group', fault: 'reset' },
  ])('of $action costs $step one retry and no alarm', async ({ action, step, fault }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    sandbox.aws.fault = (asked) =>
      asked === action && sandbox.aws.calls.get(action) === 1 ? fault : undefined;

    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(visits(execution, step)[0]?.retries).toBe(1);
    expect(world.group.desired).toBe(5);
    expect(sandbox.workflow.metrics).toEqual([]);
  });
});

describe('a fault of AWS or of the set-up that stays', () => {
  const always = (action: string, status: number, code: string) => (sandbox: Sandbox) => {
    sandbox.aws.fault = (asked) => (asked === action ? { status, code, message: 'this is why' } : undefined);
  };
  const secret =
    (value: string | undefined) =>
    (sandbox: Sandbox, { input }: FleetWorld) => {
      sandbox.aws.secrets.set(input.scalerSecretName, value);
    };

  it.each<{
    case: string;
    step: string;
    error: string;
    arrange: (sandbox: Sandbox, world: FleetWorld) => void;
  }>([
    {
      case: 'no secret',
      step: 'Read Secrets',
      error: 'SecretNotFound',
      arrange: (sandbox) => sandbox.aws.secrets.clear(),
    },
    {
      case: 'a secret without a value',
      step: 'Read Secrets',
      error: 'SecretUnset',
      arrange: secret(undefined),
    },
    {
      case: 'a malformed secret',
      step: 'Read Secrets',
      error: 'SecretMalformed',
      arrange: secret(SANDBOX_TOKEN),
    },
    {
      case: 'a secret of another class',
      step: 'Read Secrets',
      error: 'SecretMismatch',
      arrange: secret(JSON.stringify({ resource_class: 'acme/macos', circle_token: SANDBOX_TOKEN })),
    },
    {
      case: 'a forbidden secret',
      step: 'Read Secrets',
      error: 'SecretDenied',
      arrange: always('GetSecretValue', 400, 'AccessDeniedException'),
    },
    {
      case: 'a throttled Secrets Manager',
      step: 'Read Secrets',
      error: 'SecretsManagerUnavailable',
      arrange: always('GetSecretValue', 400, 'ThrottlingException'),
    },
    {
      case: 'no group',
      step: 'Describe Group',
      error: 'GroupNotFound',
      arrange: (sandbox) => sandbox.aws.groups.clear(),
    },
    {
      case: 'a forbidden description',
      step: 'Describe Group',
      error: 'AutoScalingDenied',
      arrange: always('DescribeAutoScalingGroups', 403, 'AccessDenied'),
    },
    {
      case: 'a throttled description',
      step: 'Describe Group',
      error: 'AutoScalingUnavailable',
      arrange: always('DescribeAutoScalingGroups', 400, 'Throttling'),
    },
    {
      case: 'a forbidden update',
      step: 'Update Group',
      error: 'AutoScalingDenied',
      arrange: always('SetDesiredCapacity', 403, 'AccessDenied'),
    },
    {
      case: 'a throttled update',
      step: 'Update Group',
      error: 'AutoScalingUnavailable',
      arrange: always('SetDesiredCapacity', 400, 'Throttling'),
    },
    {
      case: 'a group whose maximum is below maxReplicas',
      step: 'Update Group',
      error: 'GroupUpdateRefused',
      arrange: (_, { group }) => {
        group.settings.maxSize = 4;
      },
    },
  ])('$case: $step fails with $error', async ({ step, error, arrange }) => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5 });
    world.group.setDesiredCapacity(2);
    arrange(sandbox, world);

    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error });
    expect(execution.cause).toMatch(new RegExp(`^${error}: `));
    expect(world.group.desired).toBe(2);
    expect(put(sandbox.workflow.metrics)).toEqual(stepFailed(step));
  });

  it('does not let CircleCI be asked while the secret cannot be read', async () => {
    const { sandbox, execute } = await oneFleet();
    sandbox.aws.secrets.clear();
    await execute();
    expect(sandbox.circleci.requests).toBe(0);
  });
});

describe.each(Object.keys(HANDLERS))('when the function of %s', (step) => {
  const crash = async () => {
    throw new TypeError("Cannot read properties of undefined (reading 'count')");
  };

  it('crashes, the execution fails with that error, and capacity is held', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 5, replace: { [step]: crash } });
    expect(await execute()).toMatchObject({
      status: 'FAILED',
      error: 'TypeError',
      cause: "Cannot read properties of undefined (reading 'count')",
    });
    expect(world.group.desired).toBe(0);
    expect(put(sandbox.workflow.metrics)).toEqual(stepFailed(step));
  });

  it('hangs for ever, the execution fails with States.Timeout in good time', async () => {
    const { sandbox, world, execute } = await oneFleet({
      queued: 5,
      replace: { [step]: () => new Promise(() => {}) },
    });
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(visits(execution, step)[0]?.retries).toBeGreaterThan(0);
    expect(secondsTaken(execution)).toBeLessThan(59);
    expect(world.group.desired).toBe(0);
    expect(put(sandbox.workflow.metrics)).toEqual(stepFailed(step));
  });

  it.each([
    { case: 'refuses', alarm: crash },
    { case: 'hangs', alarm: () => new Promise(() => {}) },
  ])('fails and CloudWatch $case too, the execution still ends with the first error', async ({ alarm }) => {
    const fail = async () => {
      throw new RangeError('the first one');
    };
    const { execute } = await oneFleet({ queued: 5, replace: { [step]: fail, [`${step} Alarm`]: alarm } });
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'RangeError', cause: 'the first one' });
    expect(visits(execution, `${step} Alarm`)).toHaveLength(1);
  });

  it("is reported by an emulator without its error's name, the name is read from the message", async () => {
    const emulated = async () => {
      const error = new Error('CircleCiNotFound: https://runner.circleci.com answered 404');
      throw Object.assign(error, { name: 'Runtime.HandlerError' });
    };
    const { execute } = await oneFleet({ queued: 5, replace: { [step]: emulated } });
    expect(await execute()).toMatchObject({
      error: 'CircleCiNotFound',
      cause: 'CircleCiNotFound: https://runner.circleci.com answered 404',
    });
  });
});

describe('two fleets', () => {
  const MACOS = { ...LINUX, name: 'macos', resourceClass: 'acme/macos' };

  it.each<{ case: string; arrange: (sandbox: Sandbox, linux: FleetWorld) => void }>([
    {
      case: 'CircleCI hangs for',
      arrange: (sandbox) => {
        sandbox.circleci.fault = ({ resourceClass }) => (resourceClass === 'acme/linux' ? 'hang' : undefined);
      },
    },
    { case: 'CircleCI does not know', arrange: (sandbox) => sandbox.circleci.classes.delete('acme/linux') },
    {
      case: 'there is no secret of',
      arrange: (sandbox, { input }) => sandbox.aws.secrets.delete(input.scalerSecretName),
    },
    {
      case: 'there is no group of',
      arrange: (sandbox, { input }) => sandbox.aws.groups.delete(input.groupName),
    },
  ])('do not touch each other when $case one of them', async ({ arrange }) => {
    const sandbox = await openSandbox();
    const linux = sandbox.addFleet(LINUX, jobs(3));
    const macos = sandbox.addFleet(MACOS, jobs(4));
    sandbox.catchUp();
    arrange(sandbox, linux);
    await sandbox.runUntil(180);

    expect(linux.outcomes).toEqual({ succeeded: 0, failed: 3 });
    expect(linux.group.desired).toBe(0);
    expect(macos.outcomes).toEqual({ succeeded: 3, failed: 0 });
    expect(macos.group.desired).toBe(4);
    expect(macos.executions.map(polledAt)).toEqual(Array(3).fill([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]));
    expect(new Set(sandbox.workflow.metrics.map(({ dimensions }) => dimensions.Fleet))).toEqual(
      new Set(['linux']),
    );
  });
});

describe('the token', () => {
  it('may be rotated in the middle of an execution', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 2, fleet: { name: 'rotating' } });
    const secret = { resource_class: LINUX.resourceClass, circle_token: 'CCIPAT_rotated' };
    sandbox.agenda.plan(22, () => {
      sandbox.circleci.tokens.clear();
      sandbox.circleci.tokens.add('CCIPAT_rotated');
      sandbox.aws.secrets.set(world.input.scalerSecretName, JSON.stringify(secret));
    });
    const execution = await execute();
    expect(execution.status).toBe('SUCCEEDED');
    expect(polledAt(execution)).toHaveLength(11);
    expect(execution.path.every(({ retries }) => retries === 0)).toBe(true);
  });

  it.each<{ case: string; fault: CircleCiFault | undefined }>([
    { case: 'when all is well', fault: undefined },
    {
      case: 'when CircleCI refuses it and echoes it',
      fault: { status: 401, body: `{"message":"${SANDBOX_TOKEN}"}` },
    },
    {
      case: 'when a proxy echoes the request',
      fault: { status: 200, body: `Circle-Token: ${SANDBOX_TOKEN}` },
    },
    { case: 'when CircleCI fails and echoes it', fault: { status: 500, body: SANDBOX_TOKEN } },
  ])('is in no state, no cause and no metric $case', async ({ fault }) => {
    const { sandbox, execute } = await oneFleet({ queued: 2 });
    sandbox.circleci.fault = () => fault;
    const execution = await execute();
    expect(JSON.stringify([execution, sandbox.workflow.metrics])).not.toContain(SANDBOX_TOKEN);
    expect(JSON.stringify(execution)).toContain('circleci-runner-autoscaler/linux/scaler');
  });
});
