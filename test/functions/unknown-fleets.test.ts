import { beforeEach, describe, expect, it } from 'vitest';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { handler as describeActivities } from '../../functions/describe-activities.ts';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { handler as repairLeftovers } from '../../functions/repair-leftovers.ts';
import { handler as updateGroup } from '../../functions/update-group.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { embeddedAws } from '../support/aws.ts';
import { LIFETIMES, NOW } from '../support/fleet-seen.ts';
import {
  activities,
  deployedSettings,
  EMPTY_GROUP,
  EXECUTION_START,
  firstPoll,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { LeftoverAccount, LISTED } from '../support/leftover-account.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

const published = publishedMetrics();
const { aws, autoScaling, secrets, settings } = await embeddedAws();
/** Of the functions that reconcile; also whoever asks CircleCI. */
let requests: string[] = [];
const answered = (operation: string, answer: object) => {
  requests.push(operation);
  return answer;
};
const account = new LeftoverAccount(answered);
const world = {
  log: SILENT,
  autoScaling,
  secrets,
  clients: account.clients(),
  fetch: async (url: string | URL | Request) =>
    answered(String(url), new Response(JSON.stringify(LISTED))) as Response,
  settings,
  metrics: published.metrics,
  now: () => EXECUTION_START,
};

/** Each function that publishes metrics or changes something, with an event that makes it do so. */
const FUNCTIONS = {
  'Compute Capacity': (fleet: string) =>
    computeCapacity.with(world)({
      ...TASK,
      fleet,
      settings: { version: 1, alarmTopicArn: 'arn:aws:sns:eu-west-1:000000000000:alarms', once: false },
      executionStartedAt: secondsIn(0),
      poll: firstPoll(),
      activities: activities(),
      observed: {
        unclaimed: { unclaimed: 3 },
        running: { running: 0 },
        group: EMPTY_GROUP,
      },
    }),
  'Describe Activities': (fleet: string) => describeActivities.with(world)({ ...TASK, fleet }),
  'Update Group': (fleet: string) =>
    updateGroup.with(world)({
      ...TASK,
      fleet,
      decision: { from: 0, desired: 3, change: true, reasons: ['because'] },
      again: false,
    }),
  'Find Leftovers': (fleet: string) =>
    findLeftovers.with({ ...world, now: () => NOW })({ execution: 'linux-1', input: { fleet } }),
  'Repair Leftovers': (fleet: string) =>
    repairLeftovers.with({ ...world, now: () => NOW })({
      fleet,
      execution: 'linux-1',
      found: ['in no group i-0000000e'],
    }),
};

beforeEach(() => {
  aws.parameters.set(settingsParameter(SANDBOX_STACK, 'linux'), [
    JSON.stringify(
      deployedSettings({ reconcile: 'repair', runnerSecretName: 'linux/runner', lifetimes: LIFETIMES }),
    ),
  ]);
  aws.secrets.set(
    deployedSettings().scalerSecretName,
    JSON.stringify({ resource_class: 'acme/linux', circle_token: 'CCIPAT_unknown_fleets' }),
  );
  requests = [];
  account.writes.length = 0;
});

describe.each(Object.entries(FUNCTIONS))('a direct invocation of %s', (_, invoke) => {
  it.each(['windows', 'linux-2', '../production', 'x'.repeat(200)])(
    'makes no metric of a fleet that is called %j and not deployed, and calls nothing',
    async (fleet) => {
      const before = aws.calls.get('DescribeAutoScalingGroups') ?? 0;
      expect((await failure(invoke(fleet))).name).toBe('SettingsNotFound');
      expect(published.lines()).toEqual([]);
      expect(aws.calls.get('DescribeAutoScalingGroups') ?? 0).toBe(before);
      expect(requests).toEqual([]);
    },
  );
});

describe('a direct invocation for a fleet that is deployed', () => {
  it.each(['Compute Capacity', 'Find Leftovers'] as const)(
    'makes metrics of that fleet alone: %s',
    async (name) => {
      await FUNCTIONS[name]('linux');
      expect(published.lines()).not.toEqual([]);
      expect(published.lines().every(({ Fleet }) => Fleet === 'linux')).toBe(true);
    },
  );

  it('reads that fleet and repairs it: Repair Leftovers', async () => {
    await FUNCTIONS['Repair Leftovers']('linux');
    expect(requests).toContain('DescribeInstances');
    expect(requests).toContain('https://runner.circleci.com/api/v3/runner?resource-class=acme%2Flinux');
    expect(account.writes).toEqual([{ operation: 'TerminateInstances', names: ['i-0000000e'] }]);
  });
});
