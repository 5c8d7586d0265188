import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { handler as describeActivities } from '../../functions/describe-activities.ts';
import { Activities } from '../../functions/lib/contracts.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import type { Activity } from '../../sandbox/group/activities.ts';
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
function launched(endedAt: number, changes: Partial<Activity> = {}): void {
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

  it('says when the last activity was, and the outcomes of the launches of the minute before', async () => {
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
        news: true,
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
      { Namespace: 'CircleCIRunnerAutoscaler', Dimensions: [['Fleet']], Metrics: metrics },
    ]);
  });

  it('says what the launches ask of a warm pool only if the workflow is to size it', async () => {
    for (const at of [-50, -40, -30]) launched(at);
    expect(await described()).not.toHaveProperty('launchDemand');
    // Each boot took a minute; they began within 20 s.
    expect((await described(0, { warmPoolAuto: true })).launchDemand).toEqual({ peak: 3, resting: false });
    expect((await described(3_600, { warmPoolAuto: true })).launchDemand).toEqual({ peak: 3, resting: true });
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
    { case: 'it opened in the minute before', earlier: [-50, -40], news: true },
    { case: 'it opened earlier', earlier: [-500, -400, -300], news: false },
  ])('tells of a shortage, which is tried again every 2 minutes, once: $case', async ({ earlier, news }) => {
    const shortage = 'UnfulfillableCapacity - There is no capacity available that matches your request.';
    for (const at of [...earlier, -30]) failed(at, shortage);
    const { breaker, failedLaunches } = await described();
    expect(breaker).toMatchObject({ open: true, kind: 'shortage', news });
    expect(failedLaunches).toBeGreaterThan(0);
  });

  it.each([
    { case: 'a moment before this minute', at: -1, news: true },
    { case: 'at the beginning of the minute before', at: -60, news: true },
    { case: 'earlier', at: -61, news: false },
    { case: 'in this very minute, which the next execution tells', at: 0, news: false },
  ])('is news of a failure $case: $news', async ({ at, news }) => {
    for (const earlier of [-500, -400, -300]) failed(earlier);
    failed(at);
    const { breaker, failedLaunches } = await described(40);
    expect(breaker).toMatchObject({ open: true, news });
    expect(failedLaunches).toBe(news ? 1 : 0);
    expect(published.values()).toEqual({ BreakerOpen: [1], ...(news && { FailedLaunches: [1] }) });
  });

  it('stays open with nothing new to tell, for as long as nothing launches', async () => {
    for (const at of [-50, -40, -30]) failed(at);
    for (const minute of [1, 2, 60, 1_440]) {
      expect((await described(minute * 60)).breaker).toMatchObject({ open: true, news: false, failures: 3 });
    }
    // The canary was due after 1.5 minutes. Half an hour later, nothing has wanted an instance.
    expect(published.values()).toEqual({ BreakerOpen: [1, 1] });
  });

  const minuteOf = (instant: string | null) =>
    Math.floor((Date.parse(instant ?? '') - EXECUTION_START) / 60_000);

  it('counts each failure, and tells of it, in exactly one of the executions, which start once a minute', async () => {
    const ends = fc.array(fc.integer({ min: -59, max: 300 }), { minLength: 1, maxLength: 8 });
    /** Where in its minute each execution reads the activities. */
    const offsets = fc.array(fc.nat({ max: 59_999 }), { minLength: 7, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(ends, offsets, async (ends, offsets) => {
        group = new AutoScalingGroup(group.settings, new Agenda(), new TaskQueue());
        aws.groups.set(NAME, group);
        let counted = 0;
        let before = Number.NEGATIVE_INFINITY;
        const told: string[] = [];
        for (const [minute, offset] of offsets.entries()) {
          const now = minute * 60 + offset / 1_000;
          // What has ended since the execution before.
          for (const end of ends.filter((end) => end > before && end <= now)) failed(end);
          before = now;
          const { failedLaunches, breaker, lastAt } = await described(now, { breakerFailures: 1 });
          counted += failedLaunches;
          expect(breaker.open && breaker.news).toBe(failedLaunches > 0 && minuteOf(lastAt) < minute);
          if (breaker.open && breaker.news) told.push(breaker.canaryAt);
        }
        expect(counted).toBe(ends.length);
        expect(new Set(told).size).toBe(told.length);
      }),
    );
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

  it('says that the fallback is in force, once an execution', async () => {
    refused(-900, SPOT);
    await described(-1, { onDemandPercentage: 25 });
    await described(0, { onDemandPercentage: 25 });
    expect(published.values()).toEqual({ SpotFallback: [1] });
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
    const told = await described(0, { onDemandPercentage: 25 });
    expect(told).toMatchObject({ breaker: { open: true, kind: 'spot-role' } });
    expect(told).not.toHaveProperty('spotShortageAt');
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
