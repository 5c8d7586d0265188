import { beforeEach, describe, expect, it } from 'vitest';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { handler as describeActivities } from '../../functions/describe-activities.ts';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { handler as updateGroup } from '../../functions/update-group.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { embeddedAws } from '../support/aws.ts';
import {
  activities,
  deployedSettings,
  EXECUTION_START,
  firstPoll,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

const published = publishedMetrics();
const { aws, autoScaling, settings } = await embeddedAws();
const world = {
  log: SILENT,
  autoScaling,
  settings,
  metrics: published.metrics,
  now: () => EXECUTION_START,
};

/** Each function that publishes metrics, with an event that makes it publish some. */
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
        group: {
          desired: 0,
          members: { pending: 0, inService: 0, leaving: 0, standby: 0 },
          launchProcess: { suspended: false, byBreaker: false },
          paused: 'false',
        },
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
};

beforeEach(() => {
  aws.parameters.set(settingsParameter(SANDBOX_STACK, 'linux'), [JSON.stringify(deployedSettings())]);
});

describe.each(Object.entries(FUNCTIONS))('a direct invocation of %s', (_, invoke) => {
  it.each(['windows', 'linux-2', '../production', 'x'.repeat(200)])(
    'makes no metric of a fleet that is called %j and not deployed, and calls nothing',
    async (fleet) => {
      const before = aws.calls.get('DescribeAutoScalingGroups') ?? 0;
      expect((await failure(invoke(fleet))).name).toBe('SettingsNotFound');
      expect(published.lines()).toEqual([]);
      expect(aws.calls.get('DescribeAutoScalingGroups') ?? 0).toBe(before);
    },
  );
});

describe('a direct invocation for a fleet that is deployed', () => {
  it('makes metrics of that fleet alone', async () => {
    await FUNCTIONS['Compute Capacity']('linux');
    expect(published.lines()).not.toEqual([]);
    expect(published.lines().every(({ Fleet }) => Fleet === 'linux')).toBe(true);
  });
});
