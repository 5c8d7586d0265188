import { type Activity, DescribeScalingActivitiesCommand } from '@aws-sdk/client-auto-scaling';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup, type AutoScalingGroupSettings } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws } from '../support/aws.ts';

const { request, boot, leaveCall, idleTimeout, launchHook, relaunch } = DURATIONS;
const READY = request + boot;
const LEAVES = READY + idleTimeout + leaveCall;
const STARTS_AT = Date.parse('2026-01-05T08:00:00Z');

const { aws, autoScaling } = await embeddedAws();
let agenda: Agenda;

beforeEach(() => {
  agenda = new Agenda();
  aws.groups.clear();
});

function group(settings: Partial<AutoScalingGroupSettings> = {}): AutoScalingGroup {
  const runners = new AutoScalingGroup(
    {
      name: 'runners',
      minSize: 0,
      maxSize: 1_000,
      durations: DURATIONS,
      startsAt: STARTS_AT,
      newInstancesProtectedFromScaleIn: true,
      onDemandPercentage: 0,
      ...settings,
    },
    agenda,
    new TaskQueue(),
  );
  aws.groups.set(runners.settings.name, runners);
  return runners;
}

/** A group that asked for an instance at second 0. */
function one(settings: Partial<AutoScalingGroupSettings> = {}): AutoScalingGroup {
  const runners = group(settings);
  runners.setDesiredCapacity(1);
  return runners;
}

const first = (fault: LaunchFault) => {
  const faults = [fault];
  return () => faults.shift();
};

async function activities(MaxRecords?: number, AutoScalingGroupName = 'runners'): Promise<Activity[]> {
  const command = new DescribeScalingActivitiesCommand({ AutoScalingGroupName, MaxRecords });
  return (await autoScaling.send(command)).Activities ?? [];
}

/** Seconds from the start. */
const second = (date: Date | undefined) =>
  date === undefined ? undefined : (date.getTime() - STARTS_AT) / 1_000;

/** What an activity came to, in a line. */
const line = ({ Description, StatusCode, StartTime, EndTime }: Activity) =>
  `${second(StartTime)}-${second(EndTime) ?? ''} ${StatusCode}: ${Description?.split('.')[0]}`;

const lines = async (most?: number) => (await activities(most)).map(line);

const INSTANCE = `i-${'1'.padStart(17, '0')}`;
const NEXT_INSTANCE = `i-${'2'.padStart(17, '0')}`;
const LAUNCH = `Launching a new EC2 instance: ${INSTANCE}`;
const NEXT_LAUNCH = `Launching a new EC2 instance: ${NEXT_INSTANCE}`;
const TERMINATION = `Terminating EC2 instance: ${INSTANCE}`;

describe('the activity of a launch', () => {
  it.each([
    { case: 'is asked for', at: 0, StatusCode: 'PreInService', Progress: 30 },
    { case: 'is pending', at: request, StatusCode: 'MidLifecycleAction', Progress: 60 },
    { case: 'has almost booted', at: READY - 1, StatusCode: 'MidLifecycleAction', Progress: 60 },
    { case: 'is in service', at: READY, StatusCode: 'Successful', Progress: 100, EndTime: READY },
  ])('is $StatusCode when the instance $case', async ({ at, StatusCode, Progress, EndTime }) => {
    one();
    agenda.advance(at);
    const [activity, ...others] = await activities();
    expect(activity).toMatchObject({ Description: LAUNCH, StatusCode, Progress });
    expect(activity?.StatusMessage).toBeUndefined();
    expect([second(activity?.StartTime), second(activity?.EndTime)]).toEqual([0, EndTime]);
    expect(others).toEqual([]);
  });

  it('has every field, as the SDK reads it', async () => {
    one({ launchFault: () => 'failing' });
    agenda.advance(READY);
    const StatusMessage =
      "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 00000001-0000-4000-a000-000000000000 was abandoned: Lifecycle Action Completed with ABANDON Result";
    expect((await activities()).at(-1)).toEqual({
      ActivityId: '00000001-0000-4000-8000-000000000000',
      AutoScalingGroupName: 'runners',
      Description: `${LAUNCH}.  Status Reason: ${StatusMessage}`,
      Cause:
        'At 2026-01-05T08:00:00Z an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to 1.',
      StartTime: new Date('2026-01-05T08:00:00.000Z'),
      EndTime: new Date('2026-01-05T08:00:33.000Z'),
      StatusCode: 'Cancelled',
      StatusMessage,
      Progress: 100,
      Details: '{"Subnet ID":"subnet-0123456789abcdef0","Availability Zone":"eu-west-1a"}',
    });
  });

  it('says by how much the group grows, for all instances that are asked for at once', async () => {
    const runners = group();
    runners.setDesiredCapacity(2);
    runners.setDesiredCapacity(5);
    const causes = (await activities()).map(({ Cause }) => Cause?.replace(/.*increasing/, ''));
    expect(causes).toEqual([
      ...Array(3).fill(' the capacity from 2 to 5.'),
      ...Array(2).fill(' the capacity from 0 to 2.'),
    ]);
  });

  it('is gone if desired capacity falls before the launch has begun', async () => {
    const runners = one();
    agenda.advance(request - 1);
    runners.setDesiredCapacity(0);
    agenda.advance(1_000);
    expect(await activities()).toEqual([]);
  });

  it('is gone if desired capacity falls while an instance that nothing protects boots', async () => {
    const runners = one({ newInstancesProtectedFromScaleIn: false });
    agenda.advance(request + 1);
    runners.setDesiredCapacity(0);
    agenda.advance(1_000);
    expect(await lines()).toEqual([`${request + 1}-${request + 1} Successful: ${TERMINATION}`]);
  });
});

describe('a launch that fails', () => {
  const hookSays = (result: string) =>
    new RegExp(
      `^Instance failed to complete user's Lifecycle Action: Lifecycle Action with token [0-9a-f-]{36} was abandoned: ${result}$`,
    );

  it.each([
    {
      fault: 'refused',
      StatusCode: 'Failed',
      seconds: 0,
      says: /^We currently do not have sufficient m7g\.large capacity .* Launching EC2 instance failed\.$/,
      next: `${relaunch}- PreInService: ${LAUNCH}`,
    },
    {
      fault: 'no-spot',
      StatusCode: 'Failed',
      seconds: 0,
      says: /^Could not launch Spot Instances\. UnfulfillableCapacity - .* Launching EC2 instance failed\.$/,
      next: `${relaunch}- PreInService: ${LAUNCH}`,
    },
    {
      fault: 'dead',
      StatusCode: 'Cancelled',
      seconds: request + launchHook,
      says: hookSays('Heartbeat Timeout'),
      next: `${request + launchHook}- PreInService: ${NEXT_LAUNCH}`,
    },
    {
      fault: 'failing',
      StatusCode: 'Cancelled',
      seconds: request + boot / 3,
      says: hookSays('Lifecycle Action Completed with ABANDON Result'),
      next: `${request + boot / 3}-${request + boot / 3} Successful: ${TERMINATION}`,
    },
    {
      fault: 'lost',
      StatusCode: 'Cancelled',
      seconds: request + boot / 2,
      says: /^Instance became unhealthy while waiting for instance to be in InService state\. Termination Reason: Server\.Spot/,
      next: `${request + boot / 2}- PreInService: ${NEXT_LAUNCH}`,
    },
  ] as const)('because it is $fault says why', async ({ fault, StatusCode, seconds, says, next }) => {
    one({ launchFault: first(fault) });
    agenda.advance(Math.max(seconds, fault === 'refused' || fault === 'no-spot' ? relaunch : 0));
    const all = await activities();
    const failed = all.find(({ StatusMessage }) => StatusMessage !== undefined);
    expect(failed).toMatchObject({ StatusCode, StatusMessage: expect.stringMatching(says), Progress: 100 });
    expect([second(failed?.StartTime), second(failed?.EndTime)]).toEqual([0, seconds]);
    expect(failed?.Description).toMatch(/^Launching a new EC2 instance(: i-\w{17})?\. {2}Status Reason: /);
    expect(failed?.Description?.endsWith(failed.StatusMessage ?? '-')).toBe(true);
    expect(all.filter((activity) => activity !== failed).map(line)).toEqual([next]);
  });

  it('names no instance if EC2 refused it, and is recorded again at each try', async () => {
    one({ launchFault: () => 'refused' });
    agenda.advance(2 * relaunch);
    expect(await lines()).toEqual(
      [2 * relaunch, relaunch, 0].map((at) => `${at}-${at} Failed: Launching a new EC2 instance`),
    );
  });

  it('ends in a whole second, and so may end before it began', async () => {
    const runners = group({ launchFault: () => 'refused' });
    agenda.advance(7.25);
    runners.setDesiredCapacity(1);
    const [{ StartTime, EndTime } = {} as Activity] = await activities();
    expect([second(StartTime), second(EndTime)]).toEqual([7.25, 7]);
  });
});

describe('the activity of a termination', () => {
  it('says that the instance asked for it, and that desired capacity fell', async () => {
    const runners = group();
    runners.setDesiredCapacity(3);
    agenda.advance(READY + idleTimeout + leaveCall);
    const [third, , oldest] = await activities();
    expect(oldest).toMatchObject({ Description: TERMINATION, StatusCode: 'Successful', Progress: 100 });
    expect(oldest?.Cause).toBe(
      `At 2026-01-05T08:06:38Z instance ${INSTANCE} was taken out of service in response to a user request, shrinking the capacity from 3 to 2.`,
    );
    expect(third?.Cause).toContain('shrinking the capacity from 1 to 0.');
  });

  it('says nothing of capacity at the minimum, where the instance is replaced', async () => {
    group({ minSize: 1 });
    agenda.advance(LEAVES);
    const all = await activities();
    expect(all.map(line)).toEqual([
      `${LEAVES}- PreInService: ${NEXT_LAUNCH}`,
      `${LEAVES}-${LEAVES} Successful: ${TERMINATION}`,
      `0-${READY} Successful: ${LAUNCH}`,
    ]);
    expect(all[1]?.Cause).toBe(
      `At 2026-01-05T08:06:38Z instance ${INSTANCE} was taken out of service in response to a user request.`,
    );
  });

  it('says that the group chose the instance, if desired capacity was lowered by somebody', async () => {
    const runners = one({ newInstancesProtectedFromScaleIn: false });
    agenda.advance(READY + 1);
    runners.setDesiredCapacity(0);
    expect((await activities())[0]?.Cause).toBe(
      `At 2026-01-05T08:01:34Z an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from 1 to 0.  At 2026-01-05T08:01:34Z instance ${INSTANCE} was selected for termination.`,
    );
  });
});

describe('the record', () => {
  it('has first what is in progress, then the newest', async () => {
    const runners = group({ launchFault: (now) => (now === 20 ? 'refused' : undefined) });
    for (const at of [0, 10, 20, 30]) {
      agenda.advance(at);
      runners.setDesiredCapacity(runners.desired + 1);
    }
    agenda.advance(READY);
    expect((await lines()).map((text) => text.split(':')[0])).toEqual([
      '30- MidLifecycleAction',
      '30- MidLifecycleAction',
      '10- MidLifecycleAction',
      '20-20 Failed',
      `0-${READY} Successful`,
    ]);
  });

  it.each([
    { asked: undefined, answered: 100 },
    { asked: 7, answered: 7 },
    { asked: 100, answered: 100 },
    { asked: 1_000, answered: 100 },
  ])('answers $answered of many activities when asked for $asked', async ({ asked, answered }) => {
    group().setDesiredCapacity(150);
    agenda.advance(READY);
    expect(await lines(asked)).toHaveLength(answered);
  });

  it('is read whatever the group is called', async () => {
    const name = 'run &amp; "<jobs>"';
    one({ name });
    expect((await activities(1, name))[0]).toMatchObject({ AutoScalingGroupName: name, Description: LAUNCH });
  });

  it('counts from the epoch by default, or from the start of the agenda', async () => {
    aws.groups.set(
      'runners',
      new AutoScalingGroup(
        {
          name: 'runners',
          minSize: 1,
          maxSize: 1,
          durations: DURATIONS,
          newInstancesProtectedFromScaleIn: true,
        },
        new Agenda(5),
        new TaskQueue(),
      ),
    );
    expect((await activities())[0]?.StartTime).toEqual(new Date(5_000));
  });

  it('is empty for a group that never launched', async () => {
    group();
    expect(await activities()).toEqual([]);
  });

  it('does not exist for a group that does not', async () => {
    const thrown = await activities().catch((error) => error);
    expect(thrown).toMatchObject({
      name: 'ValidationError',
      message: 'AutoScalingGroup name not found - AutoScalingGroup runners not found',
      $metadata: { httpStatusCode: 400 },
    });
  });

  it('gives each activity an id of its own', async () => {
    one({ launchFault: () => 'refused' });
    agenda.advance(50 * relaunch);
    const ids = (await activities()).map(({ ActivityId }) => ActivityId);
    expect(new Set(ids).size).toBe(51);
  });

  it('keeps the newest few hundred, and all that are in progress', () => {
    const runners = group({ launchFault: (now) => (now > 0 ? 'refused' : undefined) });
    runners.setDesiredCapacity(700);
    for (let at = 1; at < request; at += 0.001) {
      agenda.advance(at);
      runners.setDesiredCapacity(701);
    }
    const kept = runners.activities.newest();
    expect(kept.filter(({ endedAt }) => endedAt === undefined)).toHaveLength(700);
    const ended = kept.filter(({ endedAt }) => endedAt !== undefined);
    expect(ended.length).toBeGreaterThanOrEqual(200);
    expect(ended.length).toBeLessThan(1_000);
    expect(ended[0]?.startedAt).toBeGreaterThan(STARTS_AT + (request - 0.01) * 1_000);
  });

  it('always has one launch in progress for each member that is not in service yet', async () => {
    const fault = fc.constantFrom('refused', 'no-spot', 'dead', 'failing', 'lost', undefined);
    const change = fc.record({ after: fc.integer({ min: 0, max: 200 }), desired: fc.nat({ max: 8 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 12 }),
        fc.array(change, { maxLength: 12 }),
        fc.boolean(),
        async (faults, changes, newInstancesProtectedFromScaleIn) => {
          agenda = new Agenda();
          const runners = group({ launchFault: () => faults.shift(), newInstancesProtectedFromScaleIn });
          for (const { after, desired } of changes) {
            agenda.advance(agenda.now + after);
            runners.setDesiredCapacity(desired);
            const inService = runners.instances.filter(({ state }) => state === 'InService').length;
            const inProgress = (await activities()).filter(({ EndTime }) => EndTime === undefined);
            expect(inProgress).toHaveLength(runners.size - inService);
          }
          agenda.advance(10_000);
          expect((await activities()).filter(({ EndTime }) => EndTime === undefined)).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('reads the same times to come into service as its whole record, as long as no launch has failed', () => {
    const change = fc.record({ after: fc.integer({ min: 0, max: 200 }), desired: fc.nat({ max: 150 }) });
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0, 20),
        (changes, warmPoolSize) => {
          agenda = new Agenda();
          const runners = group({ warmPoolSize });
          for (const { after, desired } of changes) {
            agenda.advance(agenda.now + after);
            runners.setDesiredCapacity(desired);
            const until = STARTS_AT + agenda.now * 1_000;
            const window = { after: until - 60_000, until };
            const { launches } = runners.activities.record(false, window);
            const took = launches.flatMap((launch) =>
              launch.outcome === 'succeeded' ? [launch.endedAt - launch.startedAt] : [],
            );
            expect([...runners.activities.readyTimes(window)]).toEqual(took);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
