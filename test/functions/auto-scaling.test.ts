import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { autoScaling, describeGroup, setDesiredCapacity } from '../../functions/lib/auto-scaling.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup, DURATIONS } from '../../sandbox/auto-scaling-group.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws } from '../support/aws.ts';
import { failure } from '../support/said.ts';

const NAME = 'circleci-runner-autoscaler-linux';

const aws = embeddedAws();
let agenda: Agenda;
let group: AutoScalingGroup;

beforeEach(() => {
  agenda = new Agenda();
  group = new AutoScalingGroup(
    { name: NAME, minSize: 0, maxSize: 10, durations: DURATIONS, newInstancesProtectedFromScaleIn: true },
    agenda,
    new TaskQueue(),
  );
  aws.groups.clear();
  aws.groups.set(NAME, group);
});

/** A group with a member in each of the lifecycle states. */
function membersIn(lifecycleStates: string[]): void {
  group.setDesiredCapacity(lifecycleStates.length);
  agenda.advance(DURATIONS.request);
  for (const [index, instance] of group.instances.entries()) {
    Object.assign(instance, { state: lifecycleStates[index] });
  }
}

describe('describeGroup', () => {
  it('reads an empty group', async () => {
    const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
    expect(await describeGroup(NAME)).toEqual({ desired: 0, members });
  });

  it('reads desired capacity and members', async () => {
    membersIn(['InService', 'Pending', 'InService', 'Terminating', 'Standby', 'Pending:Wait']);
    const members = { pending: 2, inService: 2, leaving: 1, standby: 1 };
    expect(await describeGroup(NAME)).toEqual({ desired: 6, members });
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
    expect((await describeGroup(NAME)).members).toEqual({ ...nobody, [counts]: 1 });
  });

  it('is GroupNotFound if there is none of that name', async () => {
    aws.groups.clear();
    const thrown = await failure(describeGroup(NAME));
    expect(thrown.name).toBe('GroupNotFound');
    expect(thrown.message).toContain(`No Auto Scaling group is named ${NAME}`);
  });

  it('is GroupUnreadable if what makes a group is missing', async () => {
    group.desired = Number.NaN;
    const thrown = await failure(describeGroup(NAME));
    expect(thrown.name).toBe('GroupUnreadable');
    expect(thrown.message).toContain('DesiredCapacity');
  });
});

describe('setDesiredCapacity', () => {
  const sent = z.object({ body: z.string() });

  it('sends the group and the number, and nothing else', async () => {
    const wire = vi.spyOn(autoScaling.config.requestHandler, 'handle');
    await setDesiredCapacity(NAME, 7);
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
    await setDesiredCapacity(NAME, 7);
    await setDesiredCapacity(NAME, 7);
    expect(group.desired).toBe(7);
    expect(group.size).toBe(7);
  });

  it('is GroupUpdateRefused above the maximum, and the message says which and why', async () => {
    const thrown = await failure(setDesiredCapacity(NAME, 11));
    expect(thrown.name).toBe('GroupUpdateRefused');
    expect(thrown.message).toContain(NAME);
    expect(thrown.message).toContain('11 is above max value 10');
    expect(group.desired).toBe(0);
  });

  it('is GroupUpdateRefused if there is no such group', async () => {
    aws.groups.clear();
    expect(await failure(setDesiredCapacity(NAME, 1))).toMatchObject({ name: 'GroupUpdateRefused' });
  });
});

describe.each([
  { action: 'DescribeAutoScalingGroups', call: () => describeGroup(NAME) },
  { action: 'SetDesiredCapacity', call: () => setDesiredCapacity(NAME, 1) },
])('$action', ({ action, call }) => {
  it.each<{ code: string; status: number; error: string }>([
    { code: 'AccessDenied', status: 403, error: 'AutoScalingDenied' },
    { code: 'AccessDeniedException', status: 400, error: 'AutoScalingDenied' },
    { code: 'UnauthorizedOperation', status: 403, error: 'AutoScalingDenied' },
    { code: 'ValidationError', status: 400, error: 'GroupUpdateRefused' },
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

  it('is AutoScalingUnavailable if the connection breaks', async () => {
    aws.fault = () => 'reset';
    const thrown = await failure(call());
    expect(thrown.name).toBe('AutoScalingUnavailable');
    expect(thrown.message).toContain('ECONNRESET');
    expect(aws.calls.get(action)).toBe(1);
  });
});
