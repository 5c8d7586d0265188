import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import {
  describeGroup,
  resumeLaunchProcess,
  setDesiredCapacity,
  setOnDemandPercentage,
  suspendLaunchProcess,
} from '../../functions/lib/auto-scaling.ts';
import { describeActivities } from '../../functions/lib/scaling-activities.ts';
import { LAUNCH_SUSPENDED_TAG, OUTSIDE_TAG, PAUSED_TAG } from '../../functions/lib/tags.ts';
import type { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws, embeddedGroup } from '../support/aws.ts';
import { failure } from '../support/said.ts';

const NAME = 'circleci-runner-autoscaler-linux';

const ACTIVE = { suspended: false, byBreaker: false };

const { aws, autoScaling } = await embeddedAws();
let agenda: Agenda;
let group: AutoScalingGroup;

beforeEach(() => {
  ({ agenda, group } = embeddedGroup(aws, NAME));
});

/** A group with a member in each of the lifecycle states. */
function membersIn(lifecycleStates: string[]): void {
  group.setDesiredCapacity(lifecycleStates.length);
  agenda.advance(DURATIONS.request);
  for (const [index, instance] of group.instances.entries()) {
    Object.defineProperty(instance, 'state', { value: lifecycleStates[index] });
  }
}

describe('describeGroup', () => {
  it('reads an empty group', async () => {
    const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
    expect(await describeGroup(autoScaling, NAME)).toEqual({
      desired: 0,
      maxSize: 10,
      members,
      launchProcess: ACTIVE,
      paused: 'false',
    });
  });

  it('reads desired capacity and members', async () => {
    membersIn(['InService', 'Pending', 'InService', 'Terminating', 'Standby', 'Pending:Wait']);
    const members = { pending: 2, inService: 2, leaving: 1, standby: 1 };
    expect(await describeGroup(autoScaling, NAME)).toEqual({
      desired: 6,
      maxSize: 10,
      members,
      launchProcess: ACTIVE,
      paused: 'false',
    });
  });

  it.each([
    { state: 'Pending', counts: 'pending' },
    { state: 'Pending:Wait', counts: 'pending' },
    { state: 'Pending:Proceed', counts: 'pending' },
    { state: 'InService', counts: 'inService' },
    { state: 'Terminating', counts: 'leaving' },
    { state: 'Terminating:Wait', counts: 'leaving' },
    { state: 'Terminating:Proceed', counts: 'leaving' },
    { state: 'Terminating:Retained', counts: 'leaving' },
    { state: 'Terminated', counts: 'leaving' },
    { state: 'Detaching', counts: 'leaving' },
    { state: 'Detached', counts: 'leaving' },
    { state: 'EnteringStandby', counts: 'standby' },
    { state: 'Standby', counts: 'standby' },
    { state: 'SomethingNew', counts: 'inService' },
  ])('a member that is $state counts as $counts', async ({ state, counts }) => {
    membersIn([state]);
    const nobody = { pending: 0, inService: 0, leaving: 0, standby: 0 };
    expect((await describeGroup(autoScaling, NAME)).members).toEqual({ ...nobody, [counts]: 1 });
  });

  it.each(['Warmed:Pending', 'Warmed:Pending:Wait', 'Warmed:Stopped', 'Warmed:Hibernated', 'Warmed:Running'])(
    'an instance of the warm pool, %s, is no member',
    async (state) => {
      membersIn([state, 'InService']);
      const members = { pending: 0, inService: 1, leaving: 0, standby: 0 };
      expect((await describeGroup(autoScaling, NAME)).members).toEqual(members);
    },
  );

  it('reads the warm pool that a group has', async () => {
    const settings = { ...group.settings, warmPoolSize: 4 };
    aws.groups.set(NAME, new AutoScalingGroup(settings, agenda, new TaskQueue()));
    expect((await describeGroup(autoScaling, NAME)).warmPool).toEqual({ size: 4, state: 'Stopped' });
  });

  it('is GroupNotFound if there is none of that name', async () => {
    aws.groups.clear();
    const thrown = await failure(describeGroup(autoScaling, NAME));
    expect(thrown.name).toBe('GroupNotFound');
    expect(thrown.message).toContain(`No Auto Scaling group is named ${NAME}`);
  });

  it('is GroupUnreadable if what makes a group is missing', async () => {
    group.desired = Number.NaN;
    const thrown = await failure(describeGroup(autoScaling, NAME));
    expect(thrown.name).toBe('GroupUnreadable');
    expect(thrown.message).toContain('DesiredCapacity');
  });
});

describe('the scale-in protection of a group', () => {
  const lacking = async () => (await describeGroup(autoScaling, NAME)).unprotected;
  beforeEach(() => {
    group.setDesiredCapacity(2);
    agenda.advance(DURATIONS.request + DURATIONS.boot);
    expect(group.instances.map(({ state }) => state)).toEqual(['InService', 'InService']);
  });

  it('is there while new instances and members in service have it', async () => {
    expect(await lacking()).toBeUndefined();
  });

  it('is not if new instances do not get it', async () => {
    group.settings.newInstancesProtectedFromScaleIn = false;
    expect(await lacking()).toBe(true);
    group.settings.newInstancesProtectedFromScaleIn = true;
  });

  it('is not if one member in service does not have it', async () => {
    const [, member] = group.instances;
    if (member !== undefined) group.setInstanceProtection(member, false);
    expect(await lacking()).toBe(true);
  });

  it('is not judged by a member that boots or leaves', async () => {
    group.setDesiredCapacity(3);
    agenda.advance(agenda.now + DURATIONS.request);
    const booting = group.instances.find(({ state }) => state === 'Pending');
    expect(booting).toBeDefined();
    if (booting !== undefined) booting.protectedFromScaleIn = false;
    expect(await lacking()).toBeUndefined();
  });
});

const sent = z.object({ body: z.string() });

describe('the tag by which a person pauses', () => {
  it.each([
    { value: undefined, paused: 'false' },
    { value: 'false', paused: 'false' },
    { value: 'true', paused: 'true' },
    { value: 'drain', paused: 'drain' },
  ])('is read: $value means $paused', async ({ value, paused }) => {
    if (value !== undefined) group.tags.set(PAUSED_TAG, value);
    expect((await describeGroup(autoScaling, NAME)).paused).toBe(paused);
  });

  it('holds capacity if it has another value, and the error says what is allowed', async () => {
    group.tags.set(PAUSED_TAG, 'yes');
    const { name, message } = await failure(describeGroup(autoScaling, NAME));
    expect(name).toBe('GroupUnreadable');
    expect(message).toContain(`${PAUSED_TAG} must be true, drain or false, got "yes"`);
  });
});

describe('the tag of tasks outside', () => {
  it.each([
    { value: undefined, tasksOutside: undefined },
    { value: '3 5', tasksOutside: { outside: 3, running: 5 } },
    { value: 'many', tasksOutside: undefined },
  ])('is read: $value', async ({ value, tasksOutside }) => {
    if (value !== undefined) group.tags.set(OUTSIDE_TAG, value);
    expect((await describeGroup(autoScaling, NAME)).tasksOutside).toEqual(tasksOutside);
  });
});

describe('setDesiredCapacity', () => {
  it('sends the group and the number, and nothing else', async () => {
    const wire = vi.spyOn(autoScaling.config.requestHandler, 'handle');
    await setDesiredCapacity(autoScaling, NAME, 7);
    const parameters = new URLSearchParams(sent.parse(wire.mock.lastCall?.[0]).body);
    wire.mockRestore();
    expect(Object.fromEntries(parameters)).toEqual({
      Action: 'SetDesiredCapacity',
      Version: '2011-01-01',
      AutoScalingGroupName: NAME,
      DesiredCapacity: '7',
    });
  });

  it('sets it, and a second time it does no harm', async () => {
    await setDesiredCapacity(autoScaling, NAME, 7);
    await setDesiredCapacity(autoScaling, NAME, 7);
    expect(group.desired).toBe(7);
    expect(group.size).toBe(7);
  });

  it('is GroupUpdateRefused above the maximum, and the message says which and why', async () => {
    const thrown = await failure(setDesiredCapacity(autoScaling, NAME, 11));
    expect(thrown.name).toBe('GroupUpdateRefused');
    expect(thrown.message).toContain(NAME);
    expect(thrown.message).toContain('11 is above max value 10');
    expect(group.desired).toBe(0);
  });

  it('is GroupUpdateRefused if there is no such group', async () => {
    aws.groups.clear();
    expect(await failure(setDesiredCapacity(autoScaling, NAME, 1))).toMatchObject({
      name: 'GroupUpdateRefused',
    });
  });
});

/** The requests of a call, as they are on the wire. */
async function requestsOf(call: () => Promise<void>) {
  const wire = vi.spyOn(autoScaling.config.requestHandler, 'handle');
  await call();
  const requests = wire.mock.calls.map(([request]) => new URLSearchParams(sent.parse(request).body));
  wire.mockRestore();
  return requests.map((parameters) => Object.fromEntries(parameters));
}

describe('the Launch process', () => {
  const process = { AutoScalingGroupName: NAME, 'ScalingProcesses.member.1': 'Launch' };
  const tag = {
    'Tags.member.1.ResourceId': NAME,
    'Tags.member.1.ResourceType': 'auto-scaling-group',
    'Tags.member.1.Key': LAUNCH_SUSPENDED_TAG,
  };

  it('is put on record as suspended by the breaker, and then suspended', async () => {
    expect(await requestsOf(() => suspendLaunchProcess(autoScaling, NAME))).toEqual([
      expect.objectContaining({
        Action: 'CreateOrUpdateTags',
        ...tag,
        'Tags.member.1.Value': 'breaker',
        'Tags.member.1.PropagateAtLaunch': 'false',
      }),
      expect.objectContaining({ Action: 'SuspendProcesses', ...process }),
    ]);
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual({ suspended: true, byBreaker: true });
  });

  it('is put on record as suspended for a drain', async () => {
    const [record] = await requestsOf(() => suspendLaunchProcess(autoScaling, NAME, 'drain'));
    expect(record).toMatchObject({ Action: 'CreateOrUpdateTags', ...tag, 'Tags.member.1.Value': 'drain' });
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual({ suspended: true, byBreaker: true, forDrain: true });
  });

  it.each([
    { reason: 'User suspended at 2026-01-05T08:00:00Z', by: {} },
    { reason: 'Administratively suspended: launches have failed for 24 hours', by: { byAws: true } },
  ])('is suspended by a person or by AWS: $reason', async ({ reason, by }) => {
    group.suspendedProcesses.add('Launch');
    group.suspensionReason = reason;
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual({ suspended: true, byBreaker: false, ...by });
  });

  it('is resumed, and then taken off the record', async () => {
    await suspendLaunchProcess(autoScaling, NAME);
    expect(await requestsOf(() => resumeLaunchProcess(autoScaling, NAME))).toEqual([
      expect.objectContaining({ Action: 'ResumeProcesses', ...process }),
      expect.objectContaining({ Action: 'DeleteTags', ...tag }),
    ]);
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual(ACTIVE);
  });

  it('is known to be suspended by somebody else', async () => {
    group.suspendedProcesses.add('Launch').add('AZRebalance');
    group.tags.set('team', 'ours');
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual({ suspended: true, byBreaker: false });
  });

  it('goes on if another process is suspended', async () => {
    group.suspendedProcesses.add('AZRebalance');
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual(ACTIVE);
  });

  it('is on record as ours if it could not be suspended after that', async () => {
    aws.fault = (action) =>
      action === 'SuspendProcesses' ? { status: 400, code: 'Throttling', message: 'later' } : undefined;
    expect(await failure(suspendLaunchProcess(autoScaling, NAME))).toMatchObject({
      name: 'AutoScalingUnavailable',
    });
    const { launchProcess } = await describeGroup(autoScaling, NAME);
    expect(launchProcess).toEqual({ suspended: false, byBreaker: true });
  });
});

describe('how a group buys its instances', () => {
  const tag = { 'Tags.member.1.ResourceId': NAME, 'Tags.member.1.Key': 'circleci-runners:on-demand-for' };
  const writes = async (percentage: number) =>
    (await requestsOf(() => setOnDemandPercentage(autoScaling, NAME, percentage))).slice(1);
  const distribution = (percentage: string) =>
    expect.objectContaining({
      Action: 'UpdateAutoScalingGroup',
      'MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy': 'prioritized',
      'MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity': '0',
      'MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity': percentage,
      'MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy': 'price-capacity-optimized',
    });

  it('is put on record, and then written with all else of it as it is', async () => {
    group.onDemandPercentage = 25;
    expect(await writes(100)).toEqual([
      expect.objectContaining({ Action: 'CreateOrUpdateTags', ...tag }),
      distribution('100'),
    ]);
    expect((await describeGroup(autoScaling, NAME)).purchase).toEqual({
      onDemandPercentage: 100,
      byFallback: true,
    });
  });

  it('is as configured again, and then taken off the record', async () => {
    group.onDemandPercentage = 25;
    await setOnDemandPercentage(autoScaling, NAME, 100);
    expect(await writes(25)).toEqual([
      distribution('25'),
      expect.objectContaining({ Action: 'DeleteTags', ...tag }),
    ]);
    expect((await describeGroup(autoScaling, NAME)).purchase).toEqual({
      onDemandPercentage: 25,
      byFallback: false,
    });
  });

  it('is only taken off the record if a deployment has written it', async () => {
    group.onDemandPercentage = 25;
    group.tags.set('circleci-runners:on-demand-for', 'spot-shortage');
    expect(await writes(25)).toEqual([expect.objectContaining({ Action: 'DeleteTags', ...tag })]);
  });

  it('is nothing that a group without a policy has', async () => {
    expect(await describeGroup(autoScaling, NAME)).not.toHaveProperty('purchase');
    expect(await writes(100)).toEqual([]);
  });
});

describe.each([
  {
    action: 'DescribeAutoScalingGroups',
    invalid: 'GroupNotFound',
    call: () => describeGroup(autoScaling, NAME),
  },
  {
    action: 'DescribeScalingActivities',
    invalid: 'GroupNotFound',
    call: () => describeActivities(autoScaling, NAME),
  },
  {
    action: 'SetDesiredCapacity',
    invalid: 'GroupUpdateRefused',
    call: () => setDesiredCapacity(autoScaling, NAME, 1),
  },
  {
    action: 'CreateOrUpdateTags',
    invalid: 'GroupUpdateRefused',
    call: () => suspendLaunchProcess(autoScaling, NAME),
  },
  {
    action: 'ResumeProcesses',
    invalid: 'GroupUpdateRefused',
    call: () => resumeLaunchProcess(autoScaling, NAME),
  },
])('$action', ({ action, invalid, call }) => {
  it.each<{ code: string; status: number; error: string }>([
    { code: 'AccessDenied', status: 403, error: 'AutoScalingDenied' },
    { code: 'AccessDeniedException', status: 400, error: 'AutoScalingDenied' },
    { code: 'UnauthorizedOperation', status: 403, error: 'AutoScalingDenied' },
    { code: 'ValidationError', status: 400, error: invalid },
    { code: 'ValidationException', status: 400, error: invalid },
    { code: 'Throttling', status: 400, error: 'AutoScalingUnavailable' },
    { code: 'RequestLimitExceeded', status: 503, error: 'AutoScalingUnavailable' },
    { code: 'ResourceContention', status: 500, error: 'AutoScalingUnavailable' },
    { code: 'ServiceUnavailable', status: 503, error: 'AutoScalingUnavailable' },
    { code: 'InternalFailure', status: 500, error: 'AutoScalingUnavailable' },
  ])('is $error after $code, in one attempt', async ({ code, status, error }) => {
    aws.fault = () => ({ status, code, message: 'this is why' });
    const thrown = await failure(call());
    expect(thrown.name).toBe(error);
    expect(thrown.message).toContain(`group ${NAME}: ${code}`);
    expect(thrown.message).toContain('this is why');
    expect(aws.calls.get(action)).toBe(1);
  });

  it('is AutoScalingUnavailable if the connection breaks twice', async () => {
    aws.fault = () => 'reset';
    const thrown = await failure(call());
    expect(thrown.name).toBe('AutoScalingUnavailable');
    expect(thrown.message).toContain('ECONNRESET');
    expect(aws.calls.get(action)).toBe(2);
  });
});
