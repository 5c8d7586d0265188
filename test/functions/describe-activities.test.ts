import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { handler as describeActivities } from '../../functions/describe-activities.ts';
import { cameInService } from '../../functions/lib/activities.ts';
import { Activities } from '../../functions/lib/contracts.ts';
import { countingWindow } from '../../functions/lib/counted-launches.ts';
import { COUNTED_TAG } from '../../functions/lib/tags.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import type { RecordedActivity } from '../../sandbox/group/activities.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { embeddedAws } from '../support/aws.ts';
import {
  type ActivitiesJson,
  deployedSettings,
  EXECUTION_START,
  readerOf,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

const NAME = 'circleci-runner-autoscaler-linux';

const published = publishedMetrics();
const { aws, autoScaling } = await embeddedAws();
let now = EXECUTION_START;
let deployed = deployedSettings();
const handler = describeActivities.with({
  now: () => now,
  log: SILENT,
  autoScaling,
  metrics: published.metrics,
  settings: readerOf(() => deployed),
});
let group: AutoScalingGroup;

beforeEach(() => {
  group = new AutoScalingGroup(
    { name: NAME, minSize: 0, maxSize: 10, durations: DURATIONS, newInstancesProtectedFromScaleIn: true },
    new Agenda(),
    new TaskQueue(),
  );
  aws.groups.clear();
  aws.groups.set(NAME, group);
});

/** A launch that ended `endedAt` seconds after the tests' execution started. Most ended before: -50 is 50 s before. */
function launched(endedAt: number, changes: Partial<RecordedActivity> = {}): void {
  const activity = group.activities.launch(1, { from: 0, to: 1 });
  const ended = {
    startedAt: EXECUTION_START + (endedAt - 60) * 1_000,
    endedAt: EXECUTION_START + endedAt * 1_000,
  };
  Object.assign(activity, { status: 'Successful', ...ended }, changes);
}
const abandoned = 'Lifecycle Action was abandoned: Heartbeat Timeout';
const failed = (endedAt: number, statusMessage = abandoned) =>
  launched(endedAt, { status: 'Cancelled', statusMessage });

/** The step's answer, `elapsedSeconds` after the execution started. */
async function described(elapsedSeconds = 0, settings = {}): Promise<ActivitiesJson> {
  now = EXECUTION_START + elapsedSeconds * 1_000;
  deployed = deployedSettings({ groupName: NAME, ...settings });
  const answer = await handler(TASK);
  z.parse(Activities, answer);
  return answer;
}

describe('Describe Activities', () => {
  it('says that nothing has ever happened to a new group', async () => {
    expect(await described()).toEqual({
      lastAt: null,
      breakerFailures: 3,
      failedLaunches: 0,
      cameInService: 0,
      breaker: { open: false },
    });
    expect(published.lines()).toEqual([]);
  });

  it('says when the last activity was, and the outcomes of the launches since the last count', async () => {
    launched(-3_600);
    launched(-50);
    launched(-20);
    failed(-10);
    expect(await described()).toEqual({
      lastAt: secondsIn(-10),
      lastReadyAt: secondsIn(-20),
      breakerFailures: 3,
      failedLaunches: 1,
      cameInService: 2,
      breaker: { open: false },
    });
    expect(published.values()).toEqual({ FailedLaunches: [1] });
  });

  it('says that launches only fail, why, and when the next may be tried', async () => {
    for (const at of [-500, -400, -300]) failed(at);
    failed(-30, 'Authentication Failure');
    expect(await described()).toEqual({
      lastAt: secondsIn(-30),
      breakerFailures: 3,
      failedLaunches: 1,
      cameInService: 0,
      breaker: {
        open: true,
        isNew: true,
        failures: 4,
        kind: 'boot',
        reason: 'Authentication Failure',
        // It began a minute before it failed, long after the breaker had opened: the first canary.
        canaryAt: secondsIn(-30 + 240),
      },
    });
    expect(published.values()).toEqual({ FailedLaunches: [1], BreakerOpen: [1] });
  });

  it('publishes by the fleet and nothing else', async () => {
    for (const at of [-50, -40, -30]) failed(at);
    await described();
    expect(published.lines()).toMatchObject([{ Fleet: 'linux', FailedLaunches: 3, BreakerOpen: 1 }]);
    const metrics = ['FailedLaunches', 'BreakerOpen'].map((Name) => ({ Name, Unit: 'Count' }));
    expect(published.lines()[0]?._aws.CloudWatchMetrics).toEqual([
      { Namespace: 'CircleCIRunnerAutoscaler/circleci-runners', Dimensions: [['Fleet']], Metrics: metrics },
    ]);
  });

  it('says what the launches ask of a warm pool only if the workflow is to size it', async () => {
    for (const at of [-50, -40, -30]) launched(at);
    expect(await described()).not.toHaveProperty('launchDemand');
    // Each boot took a minute; they began within 20 s.
    expect((await described(0, { warmPoolAuto: true })).launchDemand).toEqual({
      peak: 3,
      today: 3,
      resting: false,
    });
    expect((await described(3_600, { warmPoolAuto: true })).launchDemand).toEqual({
      peak: 3,
      today: 3,
      resting: true,
    });
  });

  it.each([
    { case: 'as many failures as are set', settings: { breakerFailures: 2 }, open: true },
    { case: 'fewer', settings: { breakerFailures: 3 }, open: false },
    { case: 'a shorter window', settings: { breakerFailures: 2, breakerWindowSeconds: 60 }, open: false },
  ])("goes by the fleet's own settings: $case", async ({ settings, open }) => {
    failed(-300);
    failed(-200);
    expect((await described(0, settings)).breaker.open).toBe(open);
  });

  it.each([
    { case: 'it opened since the last count', earlier: [-50, -40], isNew: true },
    { case: 'it opened earlier', earlier: [-500, -400, -300], isNew: false },
  ])(
    'announces a shortage, which is tried again every 2 minutes, once: $case',
    async ({ earlier, isNew }) => {
      const shortage = 'UnfulfillableCapacity - There is no capacity available that matches your request.';
      for (const at of [...earlier, -30]) failed(at, shortage);
      const { breaker, failedLaunches } = await described();
      expect(breaker).toMatchObject({ open: true, kind: 'shortage', isNew });
      expect(failedLaunches).toBeGreaterThan(0);
    },
  );

  it.each([
    { case: '2 s before, so that no other can end in the same second', at: 38, isNew: true },
    { case: 'less than 2 s before, which the next execution announces', at: 39, isNew: false },
    { case: 'almost 5 minutes before', at: -259, isNew: true },
    { case: 'earlier', at: -260, isNew: false },
  ])('announces a failure $case: $isNew', async ({ at, isNew }) => {
    for (const earlier of [-500, -400, -300]) failed(earlier);
    failed(at);
    const { breaker, failedLaunches } = await described(40);
    expect(breaker).toMatchObject({ open: true, isNew });
    expect(failedLaunches).toBe(isNew ? 1 : 0);
    expect(published.values()).toEqual({ BreakerOpen: [1], ...(isNew && { FailedLaunches: [1] }) });
  });

  it.each([
    { case: 'later than what was counted last', counted: -51, failures: 1 },
    { case: 'with what was counted last', counted: -50, failures: 0 },
    { case: 'before what was counted last', counted: -49, failures: 0 },
    { case: 'with a record from the future, which somebody else wrote', counted: 61, failures: 1 },
    { case: 'with a record that is no date', counted: Number.NaN, failures: 1 },
  ])('counts a launch that ended $case: $failures', async ({ counted, failures }) => {
    failed(-50);
    group.tags.set(COUNTED_TAG, String(EXECUTION_START / 1_000 + counted));
    expect((await described()).failedLaunches).toBe(failures);
  });

  it('records the end of the last launch that it counted, and nothing if it counts none', async () => {
    failed(-50);
    launched(-40);
    failed(-1);
    await described();
    expect(group.tags.get(COUNTED_TAG)).toBe(String(EXECUTION_START / 1_000 - 40));
    expect(aws.calls.get('CreateOrUpdateTags')).toBe(1);
    await described(0);
    expect(aws.calls.get('CreateOrUpdateTags')).toBe(1);
  });

  it('reads no record while no launch has ended in the last 5 minutes', async () => {
    launched(-301);
    await described();
    expect(aws.calls.get('DescribeAutoScalingGroups')).toBeUndefined();
  });

  it('answers if nothing can be put on record, and counts again in the next execution', async () => {
    failed(-50);
    aws.fault = (action) =>
      action === 'CreateOrUpdateTags' ? { status: 400, code: 'Throttling', message: '' } : undefined;
    expect((await described()).failedLaunches).toBe(1);
    expect((await described(60)).failedLaunches).toBe(1);
    aws.fault = () => undefined;
    expect((await described(120)).failedLaunches).toBe(1);
    expect((await described(180)).failedLaunches).toBe(0);
  });

  it.each([
    {
      case: 'the group cannot be read',
      action: 'DescribeAutoScalingGroups',
      code: 'Throttling',
      error: 'AutoScalingUnavailable',
    },
    {
      case: 'the role may not write the tag',
      action: 'CreateOrUpdateTags',
      code: 'AccessDenied',
      error: 'AutoScalingDenied',
    },
  ])('fails with $error if $case, and publishes nothing', async ({ action, code, error }) => {
    failed(-50);
    aws.fault = (asked) => (asked === action ? { status: 400, code, message: '' } : undefined);
    expect((await failure(described())).name).toBe(error);
    expect(published.lines()).toEqual([]);
  });

  it('stays open with nothing new to tell, for as long as nothing launches', async () => {
    for (const at of [-50, -40, -30]) failed(at);
    expect((await described()).breaker).toMatchObject({ open: true, isNew: true });
    for (const minute of [1, 2, 60, 1_440]) {
      expect((await described(minute * 60)).breaker).toMatchObject({ open: true, isNew: false, failures: 3 });
    }
    // The canary was due after 1.5 minutes. Half an hour later, nothing has wanted an instance.
    expect(published.values()).toEqual({ BreakerOpen: [1, 1, 1], FailedLaunches: [3] });
  });

  /** When each start of a schedule reads the activities, in seconds: late by up to 59 s, skipped, or twice. */
  const starts = fc
    .array(
      fc.record({
        late: fc.nat({ max: 58_999 }),
        times: fc.constantFrom(0, 1, 1, 1, 2),
        apart: fc.integer({ min: 1_000, max: 30_000 }),
      }),
      { minLength: 7, maxLength: 12 },
    )
    .filter((minutes) => !minutes.some(({ times }, at) => times === 0 && minutes[at + 1]?.times === 0))
    .map((minutes) =>
      minutes
        .flatMap(({ late, times, apart }, minute) => {
          const at = minute * 60 + late / 1_000;
          return [at, at + apart / 1_000].slice(0, times);
        })
        .concat((minutes.length + 1) * 60)
        .sort((a, b) => a - b),
    );

  it('counts each launch in exactly one execution, if starts are late, skipped or doubled', async () => {
    const ends = fc.array(fc.record({ at: fc.integer({ min: -59, max: 600 }), fails: fc.boolean() }), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(ends, starts, async (ends, starts) => {
        group = new AutoScalingGroup(group.settings, new Agenda(), new TaskQueue());
        aws.groups.set(NAME, group);
        const last = starts.at(-1) ?? 0;
        const counted = { failed: 0, came: 0 };
        let before = Number.NEGATIVE_INFINITY;
        const announced: string[] = [];
        for (const now of starts) {
          // What has ended since the execution before.
          for (const { at, fails } of ends) {
            if (at > before && at <= now) fails ? failed(at) : launched(at);
          }
          before = now;
          const { failedLaunches, cameInService, breaker } = await described(now, { breakerFailures: 1 });
          counted.failed += failedLaunches;
          counted.came += cameInService;
          if (breaker.open && breaker.isNew) announced.push(breaker.canaryAt);
        }
        const settled = ends.filter(({ at }) => at <= last - 2);
        expect(counted).toEqual({
          failed: settled.filter(({ fails }) => fails).length,
          came: settled.filter(({ fails }) => !fails).length,
        });
        expect(new Set(announced).size).toBe(announced.length);
      }),
    );
  });

  it.each([
    { launches: 40, failures: 2, calls: 2 },
    { launches: 120, failures: 20, calls: 4 },
    { launches: 230, failures: 0, calls: 5, moreCame: true },
    { launches: 300, failures: 50, came: 250, failed: 0, calls: 5, moreCame: true },
  ])('counts the $launches launches and $failures failures of a minute in $calls calls', async (given) => {
    const { launches, failures, calls, came = launches, failed: counted = failures, moreCame } = given;
    // As many have left.
    const turnover = (number: number, endedAt: number) => {
      for (let launch = 0; launch < number; launch += 1) {
        launched(endedAt);
        launched(endedAt, { of: 'termination' });
      }
    };
    turnover(300, -400);
    for (let launch = 0; launch < failures; launch += 1) failed(-40);
    turnover(launches, -30);
    aws.calls.clear();
    const answer = await described();
    expect(answer).toMatchObject({ cameInService: came, failedLaunches: counted });
    expect(answer.moreCame).toBe(moreCame);
    expect(aws.calls.get('DescribeScalingActivities')).toBe(calls);
    // A replay reads as many.
    const window = countingWindow(now, undefined);
    const { launches: read, moreToCount } = group.activities.record(false, window);
    expect([cameInService(read, window), moreToCount]).toEqual([came, moreCame]);
  });

  it('counts a launch once if others push it into the next answer while the record is read', async () => {
    for (let launch = 0; launch < 300; launch += 1) launched(-400);
    for (let launch = 0; launch < 150; launch += 1) launched(-30);
    aws.calls.clear();
    // A launch begins before each answer but the first.
    aws.fault = () => {
      if ((aws.calls.get('DescribeScalingActivities') ?? 0) > 1)
        group.activities.launch(2, { from: 0, to: 1 });
      return undefined;
    };
    expect(await described()).toMatchObject({ cameInService: 150 });
    expect(aws.calls.get('DescribeScalingActivities')).toBe(3);
  });

  it('reads on if 100 activities of other instances come between those of launches that it counts', async () => {
    for (let launch = 0; launch < 200; launch += 1) launched(-400);
    for (let launch = 0; launch < 60; launch += 1) launched(-50);
    for (let left = 0; left < 200; left += 1) launched(-20, { of: 'termination' });
    for (let launch = 0; launch < 10; launch += 1) launched(-10);
    expect(await described()).toMatchObject({ cameInService: 70 });
  });

  it.each([
    { case: '0.1 s and 59.9 s past the minute, in turn', offsets: [0.1, 59.9, 0.1, 59.9, 0.1] },
    { case: '59.9 s and 0.1 s past the minute, in turn', offsets: [59.9, 0.1, 59.9, 0.1, 59.9] },
  ])('counts three failures three times, started $case', async ({ offsets }) => {
    let counted = 0;
    let before = Number.NEGATIVE_INFINITY;
    for (const [minute, offset] of offsets.entries()) {
      const now = minute * 60 + offset;
      for (const end of [50, 110, 130]) if (end > before && end <= now) failed(end);
      before = now;
      counted += (await described(now)).failedLaunches;
    }
    expect(counted).toBe(3);
  });

  it.each([
    { code: 'AccessDenied', status: 403, error: 'AutoScalingDenied' },
    { code: 'ValidationError', status: 400, error: 'GroupNotFound' },
    { code: 'Throttling', status: 400, error: 'AutoScalingUnavailable' },
  ])('fails with $error after $code, and publishes nothing', async ({ code, status, error }) => {
    aws.fault = () => ({ status, code, message: 'this is why' });
    const thrown = await failure(described());
    expect(thrown.name).toBe(error);
    expect(thrown.message).toContain('this is why');
    expect(aws.calls.get('DescribeScalingActivities')).toBe(1);
    expect(published.lines()).toEqual([]);
  });

  it('hands a Spot shortage on for the fallback, and none of it to the breaker', async () => {
    const SHORTAGE =
      'Could not launch Spot Instances. UnfulfillableCapacity - None. Launching EC2 instance failed.';
    for (const at of [-50, -40, -30]) failed(at, SHORTAGE);
    expect(await described(0, { onDemandPercentage: 25 })).toMatchObject({
      spotShortageAt: secondsIn(-30),
      failedLaunches: 0,
      breaker: { open: false },
    });
    const ofOnDemand = await described(0, { onDemandPercentage: 100 });
    expect(ofOnDemand).toMatchObject({ breaker: { open: true, kind: 'shortage' } });
    expect(ofOnDemand).not.toHaveProperty('spotShortageAt');
  });

  const SPOT =
    'Could not launch Spot Instances. UnfulfillableCapacity - None. Launching EC2 instance failed.';
  const refused = (endedAt: number, statusMessage: string) =>
    launched(endedAt, {
      status: 'Failed',
      instance: 0,
      startedAt: EXECUTION_START + endedAt * 1_000,
      statusMessage,
    });

  it('says that there is no Spot capacity until an instance launches after the fallback, for up to an hour', async () => {
    refused(-900, SPOT);
    launched(-100, { startedAt: EXECUTION_START - 200_000 });
    await described(-1, { onDemandPercentage: 25 });
    await described(1, { onDemandPercentage: 25 });
    await described(2_699, { onDemandPercentage: 25 });
    expect(published.values()).toEqual({ SpotFallback: [1, 1, 1] });
    await described(2_700, { onDemandPercentage: 25 });
    launched(60, { startedAt: EXECUTION_START + 1_000 });
    await described(61, { onDemandPercentage: 25 });
    expect(published.values()).toEqual({ SpotFallback: [1, 1, 1] });
  });

  it.each([
    { failures: 1, succeeded: 19, published: [1] },
    { failures: 1, succeeded: 20, published: undefined },
    { failures: 2, succeeded: 38, published: [2] },
  ])(
    'counts $failures failed launches beside $succeeded others: $published, because some of many always fail',
    async ({ failures, succeeded, published: metric }) => {
      for (let launch = 0; launch < succeeded; launch += 1) launched(-50);
      for (let launch = 0; launch < failures; launch += 1) failed(-40);
      expect(await described()).toMatchObject({ failedLaunches: failures });
      expect(published.values().FailedLaunches).toEqual(metric);
    },
  );

  it('says for how long instances boot, unless the last launch failed', async () => {
    launched(-300);
    expect(await described()).toMatchObject({ bootSeconds: 0 });
    launched(0, { status: 'PreInService', startedAt: EXECUTION_START - 100_000 });
    launched(0, { status: 'PreInService', startedAt: EXECUTION_START - 20_000 });
    expect(await described()).toMatchObject({ bootSeconds: 100 });
    failed(-10);
    expect(await described()).not.toHaveProperty('bootSeconds');
  });

  it('says that of no launch that ended an hour ago', async () => {
    launched(-3_601);
    expect(await described()).not.toHaveProperty('bootSeconds');
  });

  it('counts shortages of Spot that go on although the fallback should be in force', async () => {
    for (const at of [-400, -380, -350]) refused(at, SPOT);
    expect(await described(0, { onDemandPercentage: 25 })).toMatchObject({ breaker: { open: false } });
    for (const at of [-50, -40, -30]) refused(at, SPOT);
    expect(await described(0, { onDemandPercentage: 25 })).toMatchObject({
      failedLaunches: 3,
      breaker: { open: true, kind: 'shortage' },
    });
  });

  it.each([
    { case: '300 s after the first, before the fallback holds everywhere', earlier: -310, counted: 0 },
    { case: '301 s after the first', earlier: -311, counted: 1 },
    { case: '899 s after one, while the fallback is in force', earlier: -909, counted: 1 },
    { case: '900 s after one, when the fallback has ended', earlier: -910, counted: 0 },
  ])('counts $counted shortages of Spot that end $case', async ({ earlier, counted }) => {
    for (const at of [earlier, -10]) refused(at, SPOT);
    expect(await described(0, { onDemandPercentage: 25 })).toMatchObject({ failedLaunches: counted });
  });

  it('counts a shortage of On-Demand capacity in a fleet with Spot capacity', async () => {
    refused(-10, SPOT.replace('Spot Instances', 'On-Demand Instances'));
    const summary = await described(0, { onDemandPercentage: 25 });
    expect(summary).toMatchObject({ failedLaunches: 1 });
    expect(summary).not.toHaveProperty('spotShortageAt');
  });

  it('hands a failure of Spot that is no shortage to the breaker', async () => {
    const message =
      'Could not launch Spot Instances. AuthFailure.ServiceLinkedRoleCreationNotPermitted - The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances. Launching EC2 instance failed.';
    for (const at of [-50, -40, -30]) refused(at, message);
    const activities = await described(0, { onDemandPercentage: 25 });
    expect(activities).toMatchObject({ breaker: { open: true, kind: 'spot-role' } });
    expect(activities).not.toHaveProperty('spotShortageAt');
  });

  it('counts refusals by zone, and as failed launches only those that no other launch made up for', async () => {
    const message =
      'Could not launch On-Demand Instances. Unsupported - Your requested instance type (m7g.large) is not supported in your requested Availability Zone (eu-west-1c). Launching EC2 instance failed.';
    for (const at of [-50, -49, -48]) refused(at, message);
    expect(await described()).toMatchObject({
      placementRefusals: 3,
      failedLaunches: 3,
      breaker: { open: true, kind: 'placement' },
    });
    group.tags.clear();
    launched(30, { startedAt: EXECUTION_START - 47_000, endedAt: undefined, status: 'MidLifecycleAction' });
    expect(await described()).toMatchObject({
      placementRefusals: 3,
      failedLaunches: 0,
      breaker: { open: false },
    });
    expect(published.values()).toMatchObject({ PlacementRefusals: [3, 3], FailedLaunches: [3] });
  });

  it('opens the breaker if On-Demand launches fail as well', async () => {
    const SHORTAGE =
      'Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient m7g.large capacity. Launching EC2 instance failed.';
    for (const at of [-50, -40, -30]) failed(at, SHORTAGE);
    expect(await described(0, { onDemandPercentage: 25 })).toMatchObject({ breaker: { open: true } });
  });
});
