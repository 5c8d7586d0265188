import { describe, expect, it } from 'vitest';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { isScalerSecretOf } from '../../infra/fleet-secret.ts';
import { alarmsOver, NEEDS_YOU } from '../../sandbox/alarms.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { type FleetWorld, SANDBOX_TOKEN, type Sandbox } from '../../sandbox/sandbox.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { jobs, LINUX, oneFleet, openSandbox } from '../support/sandbox.ts';

const HOUR = 3_600;

/** Makes it this many seconds since the settings of a fleet were deployed. */
function deployedAgo(sandbox: Sandbox, { name }: FleetWorld, seconds: number): void {
  const parameter = settingsParameter(SANDBOX_STACK, name);
  sandbox.aws.parameterDates.set(parameter, SANDBOX_START.getTime() / 1_000 + sandbox.now - seconds);
}

/** A fleet with waiting tasks, whose stack made the secret. */
async function withoutTokens(awaitsTokens?: true) {
  const fleet = await oneFleet({ queued: 3 });
  const { sandbox, world } = fleet;
  sandbox.aws.secrets.set(world.settings.scalerSecretName, undefined);
  if (awaitsTokens) sandbox.deploy(world, { awaitsTokens });
  return fleet;
}

describe('an execution of a fleet whose tokens nobody has stored', () => {
  it('succeeds, says what it waits for, and asks CircleCI nothing', async () => {
    const { sandbox, world, execute } = await withoutTokens(true);
    const { status, path, startedAt, endedAt } = await execute();
    expect(status).toBe('SUCCEEDED');
    expect(path.slice(-2).map(({ state }) => state)).toEqual(['Breaker Open?', 'Waits For Tokens']);
    expect(path.at(-1)?.output).toMatchObject({
      settings: {
        waits: expect.stringMatching(
          /^waits for its tokens: .* Store them: npm run secrets -- linux\. From 2026-01-06 \d\d:\d\d UTC on, a missing token is a failure\.$/,
        ),
      },
    });
    expect(endedAt - startedAt).toBeLessThan(10_000);
    expect(sandbox.circleci.requests).toBe(0);
    expect(world.group.desired).toBe(0);
    expect(sandbox.workflow.messages).toEqual([]);
  });

  it('publishes a heartbeat and that it waits, and counts no failure', async () => {
    const { sandbox, execute } = await withoutTokens(true);
    await execute();
    expect(sandbox.workflow.metrics).toMatchObject([
      { name: 'PollDuration', dimensions: { Fleet: 'linux' } },
      { name: 'AwaitingTokens', dimensions: { Fleet: 'linux' }, value: 1 },
    ]);
  });

  it('follows the queue as soon as they are stored', async () => {
    const { sandbox, world, execute } = await withoutTokens(true);
    await execute();
    const secret = { resource_class: world.settings.resourceClass, circle_token: SANDBOX_TOKEN };
    sandbox.aws.secrets.set(world.settings.scalerSecretName, JSON.stringify(secret));
    expect((await execute()).status).toBe('SUCCEEDED');
    expect(world.group.desired).toBe(3);
  });

  it('fails a day after the deployment, as somebody may have forgotten the fleet', async () => {
    const { sandbox, world, execute } = await withoutTokens(true);
    deployedAgo(sandbox, world, 24 * HOUR - 60);
    expect((await execute()).status).toBe('SUCCEEDED');
    deployedAgo(sandbox, world, 24 * HOUR);
    expect(await execute()).toMatchObject({ status: 'FAILED', error: 'SecretUnset' });
  });

  it('fails if nobody knows when it was deployed', async () => {
    const { sandbox, execute } = await withoutTokens(true);
    sandbox.aws.parameterDates.clear();
    expect(await execute()).toMatchObject({ status: 'FAILED', error: 'SecretUnset' });
  });

  it('fails if somebody else made the secret', async () => {
    const { execute } = await withoutTokens();
    expect(await execute()).toMatchObject({ status: 'FAILED', error: 'SecretUnset' });
  });

  it.each([
    { case: 'is deleted', value: null, error: 'SecretNotFound' },
    { case: 'is malformed', value: 'a token', error: 'SecretMalformed' },
  ])('fails if the secret $case, because that is no wait', async ({ value, error }) => {
    const { sandbox, world, execute } = await withoutTokens(true);
    const { scalerSecretName } = world.settings;
    if (value === null) sandbox.aws.secrets.delete(scalerSecretName);
    else sandbox.aws.secrets.set(scalerSecretName, value);
    expect(await execute()).toMatchObject({ status: 'FAILED', error });
  });
});

describe('the alarms of a fleet whose tokens nobody has stored', () => {
  const [config] = fleetsWith({ linux: {} });
  const minutes = 30;

  /** The alarms that ring in half an hour, with jobs that wait. */
  async function ringing(arrange: (sandbox: Sandbox, world: FleetWorld) => void = () => undefined) {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, jobs(3, 60));
    sandbox.deploy(world, { awaitsTokens: true });
    sandbox.aws.secrets.set(world.settings.scalerSecretName, undefined);
    arrange(sandbox, world);
    await sandbox.runUntil(minutes * 60);
    if (config === undefined) throw new Error('There is no fleet');
    const run = { metrics: sandbox.workflow.metrics, executions: world.executions, minutes };
    expect(world.executions.length).toBeGreaterThanOrEqual(minutes - 1);
    return alarmsOver([config], { ...run, startedAt: SANDBOX_START.getTime() })
      .filter(({ ringings }) => ringings.length > 0)
      .map(({ heading, ringings }) => ({ heading, ringings: ringings.length, from: ringings[0]?.from ?? 0 }));
  }

  it('are silent', async () => expect(await ringing()).toEqual([]));

  it('tell of it once when a day is over', async () => {
    const over = 10;
    const alarms = await ringing((sandbox, world) => deployedAgo(sandbox, world, 24 * HOUR - over * 60));
    expect(alarms.map(({ heading }) => heading)).toEqual([
      NEEDS_YOU,
      'Scaler Not Running',
      'Secrets Unreadable',
    ]);
    for (const { ringings, from } of alarms) {
      expect(ringings).toBe(1);
      expect(from).toBeGreaterThan(over);
      expect(from).toBeLessThanOrEqual(over + 8);
    }
  });
});

it.each([
  { name: 'circleci-runners/linux/scaler', made: true },
  { name: 'circleci-runners/linux/runner', made: false },
  { name: 'circleci-runners/a/b/scaler', made: false },
  { name: 'other/linux/scaler', made: false },
  { name: 'circleci-runners/scaler', made: false },
  { name: 'acme/circleci', made: false },
])('a stack of the app made $name: $made', ({ name, made }) =>
  expect(isScalerSecretOf('circleci-runners', name)).toBe(made),
);
