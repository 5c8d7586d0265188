import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { describeActivities } from '../../functions/lib/scaling-activities.ts';
import type { Agenda } from '../../sandbox/agenda.ts';
import type { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import type { RecordedActivity } from '../../sandbox/group/activities.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { instanceId } from '../../sandbox/group/instance.ts';
import { embeddedAws, embeddedGroup } from '../support/aws.ts';
import { EXECUTION_START } from '../support/inputs.ts';
import { failure } from '../support/said.ts';

const NAME = 'circleci-runner-autoscaler-linux';

const { aws, autoScaling } = await embeddedAws();
let agenda: Agenda;
let group: AutoScalingGroup;

beforeEach(() => {
  ({ agenda, group } = embeddedGroup(aws, NAME));
});

const sent = z.object({ body: z.string() });

describe('describeActivities', () => {
  const NUMBER = 0x123456789ab;
  const INSTANCE = instanceId(NUMBER);
  /** In place of an instance, of a launch that EC2 refused. */
  const NONE = 0;
  const LAUNCH = `Launching a new EC2 instance: ${INSTANCE}`;
  const startedAt = EXECUTION_START + 555;
  const endedAt = EXECUTION_START + 120_000;

  /** An activity as the group would record it, but for these changes. */
  function recorded(changes: Partial<RecordedActivity>): void {
    const activity = group.activities.launch(NUMBER, { from: 0, to: 1 });
    Object.assign(activity, { startedAt }, changes);
  }

  it('reads that nothing has happened to a new group', async () => {
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [],
      boots: [],
      complete: true,
      lastAt: undefined,
    });
  });

  it('asks for the last 100 activities of the group, and nothing else', async () => {
    const wire = vi.spyOn(autoScaling.config.requestHandler, 'handle');
    await describeActivities(autoScaling, NAME);
    const parameters = new URLSearchParams(sent.parse(wire.mock.lastCall?.[0]).body);
    wire.mockRestore();
    expect(Object.fromEntries(parameters)).toEqual({
      Action: 'DescribeScalingActivities',
      Version: '2011-01-01',
      AutoScalingGroupName: NAME,
      MaxRecords: '100',
    });
  });

  it('reads on while no launch among them succeeded, up to 500 of them', async () => {
    const failing = (launches: number) => {
      for (let launch = 0; launch < launches; launch += 1) recorded({ status: 'Failed', endedAt });
    };
    const asked = async () => {
      aws.calls.clear();
      const { launches, complete } = await describeActivities(autoScaling, NAME);
      return { launches: launches.length, complete, calls: aws.calls.get('DescribeScalingActivities') };
    };
    failing(100);
    expect(await asked()).toEqual({ launches: 100, complete: true, calls: 1 });
    failing(50);
    expect(await asked()).toEqual({ launches: 150, complete: true, calls: 2 });
    failing(400);
    expect(await asked()).toEqual({ launches: 500, complete: false, calls: 5 });
    recorded({ status: 'Successful', endedAt });
    expect(await asked()).toEqual({ launches: 100, complete: false, calls: 1 });
  });

  it('reads a launch that succeeded', async () => {
    recorded({ status: 'Successful', endedAt });
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [{ outcome: 'succeeded', startedAt, endedAt }],
      boots: [{ startedAt, endedAt }],
      complete: true,
      lastAt: endedAt,
    });
  });

  it.each([
    'PendingSpotBidPlacement',
    'WaitingForSpotInstanceId',
    'WaitingForInstanceId',
    'PreInService',
    'InProgress',
    'MidLifecycleAction',
    'WaitingForInstanceWarmup',
    'SomethingNew',
  ])('reads a launch in status %s as under way', async (status) => {
    recorded({ status: status as RecordedActivity['status'] });
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [{ outcome: 'underway', startedAt }],
      boots: [],
      complete: true,
      lastAt: startedAt,
    });
  });

  it.each([
    {
      case: 'that EC2 refused',
      status: 'Failed',
      instance: NONE,
      kind: 'refused',
      without: { noInstance: true },
    },
    {
      case: 'whose instance never came into service',
      status: 'Failed',
      instance: NUMBER,
      kind: 'boot',
      without: {},
    },
    { case: 'that was given up', status: 'Cancelled', instance: NUMBER, kind: 'boot', without: {} },
  ] as const)('reads a launch $case as $kind', async ({ status, instance, kind, without }) => {
    recorded({ status, endedAt, instance, statusMessage: 'This is why.' });
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [{ outcome: 'failed', startedAt, endedAt, kind, ...without, reason: 'This is why.' }],
      boots: [],
      complete: true,
      lastAt: endedAt,
    });
  });

  it('reads the kind of a failure, and whether it is of Spot capacity', async () => {
    const statusMessage =
      'Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches your request. Launching EC2 instance failed.';
    recorded({ status: 'Failed', endedAt, instance: NONE, statusMessage });
    expect((await describeActivities(autoScaling, NAME)).launches).toMatchObject([
      { kind: 'shortage', spot: true },
    ]);
  });

  it('reads a launch that has no instance yet as under way without one', async () => {
    recorded({ instance: NONE });
    expect((await describeActivities(autoScaling, NAME)).launches).toEqual([
      { outcome: 'underway', startedAt, noInstance: true },
    ]);
  });

  const INTO = 'into the warm pool';
  const FROM = 'warm launch';
  const abandoned = 'Lifecycle Action with token 0 was abandoned: Heartbeat Timeout';
  const message =
    'We currently do not have sufficient m7g.large capacity in the Availability Zone you requested (eu-west-1a).';

  it.each<{ case: string; changes: Partial<RecordedActivity>; launches: object[]; boots: number }>([
    {
      case: 'out of the pool as a launch, and as no boot',
      changes: { of: FROM, status: 'Successful' },
      launches: [{ outcome: 'succeeded' }],
      boots: 0,
    },
    {
      case: 'out of the pool that failed as a failed boot',
      changes: { of: FROM, status: 'Cancelled', statusMessage: abandoned },
      launches: [{ outcome: 'failed', kind: 'boot' }],
      boots: 0,
    },
    {
      case: 'out of the pool that EC2 has no capacity for as a shortage',
      changes: { of: FROM, status: 'Failed', statusMessage: message },
      launches: [{ outcome: 'failed', kind: 'shortage' }],
      boots: 0,
    },
    {
      case: 'into the pool as no launch: nothing is in service by it, and no runner has started',
      changes: { of: INTO, status: 'Successful' },
      launches: [],
      boots: 1,
    },
    {
      case: 'into the pool that is under way as no launch yet',
      changes: { of: INTO, status: 'MidLifecycleAction' },
      launches: [],
      boots: 0,
    },
    {
      case: 'into the pool that never got warm as a failed boot',
      changes: { of: INTO, status: 'Cancelled', statusMessage: abandoned },
      launches: [{ outcome: 'failed', kind: 'boot' }],
      boots: 0,
    },
    {
      case: 'into the pool that EC2 has no capacity for as a shortage',
      changes: {
        of: INTO,
        instance: NONE,
        status: 'Failed',
        statusMessage: message,
      },
      launches: [{ outcome: 'failed', kind: 'shortage' }],
      boots: 0,
    },
  ])('reads a launch $case', async ({ changes, launches, boots }) => {
    recorded({ endedAt, ...changes });
    const read = await describeActivities(autoScaling, NAME);
    expect(read.launches).toMatchObject(launches);
    expect(read.launches).toHaveLength(launches.length);
    expect(read.boots).toHaveLength(boots);
    expect(read.lastAt).toBe(endedAt);
  });

  it('reads 500 activities for the size of a warm pool, whatever they say', async () => {
    for (let launch = 0; launch < 250; launch += 1) recorded({ status: 'Successful', endedAt });
    aws.calls.clear();
    expect((await describeActivities(autoScaling, NAME, { all: true })).launches).toHaveLength(250);
    expect(aws.calls.get('DescribeScalingActivities')).toBe(3);
  });

  it('says that it failed, if EC2 Auto Scaling says no more than that', async () => {
    recorded({ status: 'Cancelled', endedAt });
    expect((await describeActivities(autoScaling, NAME)).launches).toEqual([
      { outcome: 'failed', startedAt, endedAt, kind: 'boot', reason: LAUNCH },
    ]);
  });

  it('takes a launch that was taken back before there was an instance for none', async () => {
    recorded({ status: 'Cancelled', endedAt, instance: NONE });
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [],
      boots: [],
      complete: true,
      lastAt: endedAt,
    });
  });

  it('takes nothing but launches for launches, and all of it for something that happened', async () => {
    recorded({ status: 'Successful', endedAt });
    recorded({
      status: 'Successful',
      startedAt: endedAt + 1_000,
      endedAt: endedAt + 60_000,
      of: 'termination',
    });
    recorded({
      status: 'Failed',
      startedAt: endedAt + 2_000,
      endedAt: endedAt + 3_000,
      of: 'detachment',
    });
    expect(await describeActivities(autoScaling, NAME)).toEqual({
      launches: [{ outcome: 'succeeded', startedAt, endedAt }],
      boots: [{ startedAt, endedAt }],
      complete: true,
      lastAt: endedAt + 60_000,
    });
  });

  it('reads what a true group records', async () => {
    const refused = group.activities.refuse('refused', { from: 0, to: 1 });
    refused.statusMessage = 'Authentication Failure. Launching EC2 instance failed.';
    group.setDesiredCapacity(1);
    agenda.advance(DURATIONS.request + DURATIONS.boot);
    const { launches } = await describeActivities(autoScaling, NAME);
    expect(launches.map(({ outcome }) => outcome)).toEqual(['succeeded', 'failed']);
  });

  it('is GroupNotFound if there is none of that name', async () => {
    aws.groups.clear();
    const thrown = await failure(describeActivities(autoScaling, NAME));
    expect(thrown.name).toBe('GroupNotFound');
    expect(thrown.message).toContain(NAME);
  });

  const activity = {
    Description: LAUNCH,
    StatusCode: 'Successful',
    StartTime: '2026-01-05T08:00:00.555Z',
    EndTime: '2026-01-05T08:02:00Z',
  };
  it.each([
    { lacks: 'StatusCode', unreadable: true },
    { lacks: 'StartTime', unreadable: true },
    { lacks: 'EndTime', unreadable: false },
    { lacks: 'Description', unreadable: false },
  ])('is GroupUnreadable if an activity lacks its $lacks: $unreadable', async ({ lacks, unreadable }) => {
    const elements = Object.entries(activity)
      .filter(([name]) => name !== lacks)
      .map(([name, value]) => `<${name}>${value}</${name}>`);
    const answer = `<DescribeScalingActivitiesResponse><DescribeScalingActivitiesResult><Activities><member>${elements.join('')}</member></Activities></DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>`;
    const wire = vi.spyOn(autoScaling.config.requestHandler, 'handle').mockResolvedValueOnce({
      response: {
        statusCode: 200,
        headers: { 'content-type': 'text/xml' },
        body: new TextEncoder().encode(answer),
      },
    } as never);
    try {
      const described = describeActivities(autoScaling, NAME);
      if (unreadable) {
        const { name, message } = await failure(described);
        expect(name).toBe('GroupUnreadable');
        expect(message).toContain(NAME);
        expect(message).toContain(lacks);
      } else {
        expect(Number.isInteger((await described).lastAt)).toBe(true);
      }
    } finally {
      wire.mockRestore();
    }
  });
});
