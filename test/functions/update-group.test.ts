import { beforeEach, describe, expect, it } from 'vitest';
import { parseLevels } from '../../functions/lib/concurrency.ts';
import {
  LAUNCH_SUSPENDED_TAG,
  OUTSIDE_TAG,
  PAUSED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
} from '../../functions/lib/tags.ts';
import { formatWithheld, parseWithheld } from '../../functions/lib/withheld.ts';
import { handler as updateGroup } from '../../functions/update-group.ts';
import type { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { embeddedAws, embeddedGroup } from '../support/aws.ts';
import { deployedSettings, readerOf, TASK } from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

const NAME = 'circleci-runner-autoscaler-linux';

const published = publishedMetrics();
const { aws, autoScaling } = await embeddedAws();
const handler = updateGroup.with({
  log: SILENT,
  autoScaling,
  metrics: published.metrics,
  settings: readerOf(() => deployedSettings({ groupName: NAME })),
});
/** Three launches have come to nothing. */
const WITHHELD = {
  since: 100,
  unused: 3,
  canaries: 0,
  lastAt: 200,
  unclaimed: 5,
  running: 0,
  level: 0,
  came: 0,
  outside: 0,
  claimed: 0,
  claimedAt: 100,
  idleSeconds: 0,
  inService: 0,
  risen: 0,
  mostRunning: 0,
};

let agenda: Agenda;
let group: AutoScalingGroup;

beforeEach(() => {
  ({ agenda, group } = embeddedGroup(aws, NAME));
});

/** Writes a decision. By default more polls follow. */
const update = (
  from: number,
  desired: number,
  again = true,
  launchProcess?: 'suspend' | 'resume',
  forDrain?: true,
) =>
  handler({
    ...TASK,
    decision: { from, desired, change: true, launchProcess, forDrain, reasons: ['because'] },
    again,
  });

describe('Update Group', () => {
  it.each<{ case: string; found: number; from: number; to: number; ends: number; launches?: number }>([
    { case: 'writes a rise', found: 2, from: 2, to: 5, ends: 5, launches: 3 },
    { case: 'writes the rest of a rise that another began', found: 4, from: 2, to: 5, ends: 5, launches: 1 },
    { case: 'does not write what another has written', found: 5, from: 2, to: 5, ends: 5 },
    { case: 'does not take back what another has written', found: 7, from: 2, to: 5, ends: 7 },
    { case: 'writes a fall', found: 5, from: 5, to: 2, ends: 2 },
    { case: 'does not write a fall over what another has written', found: 6, from: 5, to: 2, ends: 6 },
  ])('$case', async ({ found, from, to, ends, launches }) => {
    group.setDesiredCapacity(found);
    const written = found !== ends;
    expect(await update(from, to)).toEqual({ desired: ends, written });
    expect(group.desired).toBe(ends);
    expect(Object.fromEntries(aws.calls)).toEqual({
      DescribeAutoScalingGroups: 1,
      ...(written && { SetDesiredCapacity: 1 }),
    });
    expect(published.values()).toEqual(launches === undefined ? {} : { Launches: [launches] });
  });

  it.each(['true', 'drain'])(
    'launches nothing if somebody has paused the fleet meanwhile: %s',
    async (how) => {
      const pooled = new AutoScalingGroup({ ...group.settings, warmPoolSize: 1 }, agenda, new TaskQueue());
      aws.groups.set(NAME, pooled);
      pooled.setDesiredCapacity(2);
      pooled.tags.set(PAUSED_TAG, how);
      const decision = { from: 2, desired: 5, change: true, warmPoolSize: 5, reasons: ['because'] };
      expect(await handler({ ...TASK, decision, again: true })).toEqual({ desired: 2, written: false });
      expect([...aws.calls.keys()]).toEqual(['DescribeAutoScalingGroups']);
      // What was launched for a fleet that drains can still be cancelled.
      expect(await update(2, 0)).toEqual({ desired: 0, written: true });
    },
  );

  it.each([
    { case: 'a higher count', before: { unused: 2 }, unused: 3 },
    { case: 'the same count', before: { unused: 3 }, unused: 3 },
    { case: 'a lower one of another record', before: { unused: 9, since: 50 }, unused: 3 },
    { case: 'not a count that another execution has passed meanwhile', before: { unused: 4 }, unused: 4 },
  ])('records of tasks that are not handed out: $case', async ({ before, unused }) => {
    group.tags.set(WITHHELD_TAG, formatWithheld({ ...WITHHELD, ...before }));
    const decision = { from: 0, desired: 0, change: true, withheld: WITHHELD, reasons: ['because'] };
    await handler({ ...TASK, decision, again: false });
    expect(parseWithheld(group.tags.get(WITHHELD_TAG) ?? '')?.unused).toBe(unused);
  });

  it.each([
    { case: 'over an older one', before: WITHHELD, withheld: { ...WITHHELD, running: 4 }, running: 4 },
    { case: 'over none', before: undefined, withheld: WITHHELD, running: 0 },
    { case: 'that has ended', before: WITHHELD, withheld: null, running: undefined },
    { case: 'that has ended twice', before: undefined, withheld: null, running: undefined },
  ])('writes a record $case', async ({ before, withheld, running }) => {
    if (before !== undefined) group.tags.set(WITHHELD_TAG, formatWithheld(before));
    const decision = { from: 0, desired: 0, change: true, withheld, reasons: ['because'] };
    await handler({ ...TASK, decision, again: false });
    expect(parseWithheld(group.tags.get(WITHHELD_TAG) ?? '')?.running).toBe(running);
  });

  it.each([
    { case: 'over an older one', before: '3 3', tasksOutside: { outside: 2, running: 5 }, after: '2 5' },
    { case: 'over none', before: undefined, tasksOutside: { outside: 2, running: 5 }, after: '2 5' },
    { case: 'that has ended', before: '3 3', tasksOutside: null, after: undefined },
    { case: 'unless nothing was decided', before: '3 3', tasksOutside: undefined, after: '3 3' },
  ])('writes a record of tasks outside $case', async ({ before, tasksOutside, after }) => {
    if (before !== undefined) group.tags.set(OUTSIDE_TAG, before);
    const decision = { from: 0, desired: 0, change: true, tasksOutside, reasons: ['because'] };
    await handler({ ...TASK, decision, again: false });
    expect(group.tags.get(OUTSIDE_TAG)).toBe(after);
  });

  it('writes its tasks for the fleets that share its plan, if they were decided', async () => {
    const levels = { unclaimed: 1, running: 2, elsewhere: 3, present: 4, at: 5 };
    await update(0, 0);
    expect(group.tags.has(TASKS_TAG)).toBe(false);
    const decision = { from: 0, desired: 0, change: true, levels, reasons: ['because'] };
    await handler({ ...TASK, decision, again: false });
    expect(parseLevels(group.tags.get(TASKS_TAG) ?? '')).toEqual(levels);
  });

  it.each([
    { case: 'writes the share of On-Demand instances', mixed: true, decided: 30, reads: 2, writes: 1 },
    { case: 'leaves it if none was decided', mixed: true, decided: undefined, reads: 1, writes: undefined },
    { case: 'leaves a group that buys one kind', mixed: false, decided: 30, reads: 1, writes: undefined },
  ])('$case', async ({ mixed, decided, reads, writes }) => {
    const settings = { ...group.settings, ...(mixed && { onDemandPercentage: 100 }) };
    const bought = new AutoScalingGroup(settings, agenda, new TaskQueue());
    aws.groups.set(NAME, bought);
    const decision = {
      from: 0,
      desired: 0,
      change: true,
      onDemandPercentage: decided,
      reasons: ['because'],
    };
    await handler({ ...TASK, decision, again: true });
    expect(aws.calls.get('DescribeAutoScalingGroups')).toBe(reads);
    expect(aws.calls.get('UpdateAutoScalingGroup')).toBe(writes);
    if (mixed) expect(bought.onDemandPercentage).toBe(decided ?? 100);
  });

  it('sizes the warm pool last, once, and only if there is one', async () => {
    const decision = { from: 0, desired: 2, change: true, warmPoolSize: 5, reasons: ['because'] };
    const write = () => handler({ ...TASK, decision, again: true });
    await write();
    expect(aws.calls.has('PutWarmPool')).toBe(false);

    const pooled = new AutoScalingGroup({ ...group.settings, warmPoolSize: 1 }, agenda, new TaskQueue());
    aws.groups.set(NAME, pooled);
    aws.calls.clear();
    await write();
    expect([...aws.calls.keys()]).toEqual(['DescribeAutoScalingGroups', 'SetDesiredCapacity', 'PutWarmPool']);
    expect(pooled.warmPool).toMatchObject({ size: 5 });
    await write();
    expect(aws.calls.get('PutWarmPool')).toBe(1);
  });

  it('gives the warm pool no more instances than the group may have, whatever the event says', async () => {
    const pooled = new AutoScalingGroup({ ...group.settings, warmPoolSize: 1 }, agenda, new TaskQueue());
    aws.groups.set(NAME, pooled);
    const decision = { from: 0, desired: 0, change: true, warmPoolSize: 1_000, reasons: ['because'] };
    await handler({ ...TASK, decision, again: true });
    expect(pooled.warmPool).toMatchObject({ size: 10 });
  });

  it('does not fall below what has begun to launch since it was decided', async () => {
    group.setDesiredCapacity(5);
    agenda.advance(DURATIONS.request);
    expect(await update(5, 2)).toEqual({ desired: 5, written: false });
    expect(group.size).toBe(5);
  });

  it('reads before it writes', async () => {
    const order: string[] = [];
    aws.fault = (action) => {
      order.push(action);
      return undefined;
    };
    await update(0, 3);
    expect(order).toEqual(['DescribeAutoScalingGroups', 'SetDesiredCapacity']);
  });

  describe('the Launch process', () => {
    const asked = () => [...aws.calls.keys()].filter((action) => action !== 'DescribeAutoScalingGroups');
    const suspended = () => [...group.suspendedProcesses];

    it('is suspended before launches are cancelled, and resumed after they are asked for', async () => {
      group.setDesiredCapacity(3);
      await update(3, 1, true, 'suspend');
      expect(asked()).toEqual(['CreateOrUpdateTags', 'SuspendProcesses', 'SetDesiredCapacity']);
      expect(suspended()).toEqual(['Launch']);
      aws.calls.clear();
      await update(1, 2, true, 'resume');
      expect(asked()).toEqual(['SetDesiredCapacity', 'ResumeProcesses', 'DeleteTags']);
      expect(suspended()).toEqual([]);
      expect(group.size).toBe(2);
    });

    it('is suspended with no capacity to write, once', async () => {
      expect(await update(0, 0, true, 'suspend')).toEqual({ desired: 0, written: false });
      expect(suspended()).toEqual(['Launch']);
      aws.calls.clear();
      await update(0, 0, true, 'suspend');
      expect(asked()).toEqual([]);
    });

    it('is on record for the drain or for the breaker, whichever was decided last', async () => {
      await update(0, 0, true, 'suspend');
      aws.calls.clear();
      await update(0, 0, true, 'suspend', true);
      expect(asked()).toEqual(['CreateOrUpdateTags', 'SuspendProcesses']);
      expect(group.tags.get(LAUNCH_SUSPENDED_TAG)).toBe('drain');
      aws.calls.clear();
      await update(0, 0, true, 'suspend', true);
      expect(asked()).toEqual([]);
      await update(0, 0, true, 'suspend');
      expect(group.tags.get(LAUNCH_SUSPENDED_TAG)).toBe('breaker');
      expect(suspended()).toEqual(['Launch']);
    });

    it('stays as it is if somebody else has suspended it meanwhile', async () => {
      group.suspendedProcesses.add('Launch');
      await update(0, 1, true, 'suspend');
      await update(1, 2, true, 'resume');
      expect(asked()).toEqual(['SetDesiredCapacity']);
      expect(suspended()).toEqual(['Launch']);
    });

    it('is left alone if nothing was decided about it', async () => {
      await update(0, 1, true, 'suspend');
      await update(1, 2);
      expect(suspended()).toEqual(['Launch']);
      expect(group.size).toBe(0);
    });
  });

  it.each([
    { case: 'with what it wrote', found: 0, expected: { Launches: [3], ExecutionsSucceeded: [1] } },
    { case: 'with nothing to write', found: 3, expected: { ExecutionsSucceeded: [1] } },
  ])('tells of the success of the execution if it is the last step, $case', async ({ found, expected }) => {
    group.setDesiredCapacity(found);
    await update(0, 3, false);
    expect(published.values()).toEqual(expected);
  });

  it('publishes by the fleet and nothing else', async () => {
    await update(0, 3);
    expect(published.lines()).toMatchObject([{ Fleet: 'linux', Launches: 3 }]);
    expect(published.lines()[0]?._aws.CloudWatchMetrics).toEqual([
      {
        Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
        Dimensions: [['Fleet']],
        Metrics: [{ Name: 'Launches', Unit: 'Count' }],
      },
    ]);
  });

  it.each([
    { case: 'cannot read', action: 'DescribeAutoScalingGroups' },
    { case: 'cannot write', action: 'SetDesiredCapacity' },
  ])('publishes no launch and no success if it $case', async ({ action }) => {
    aws.fault = (asked) =>
      asked === action ? { status: 503, code: 'ServiceUnavailable', message: 'not now' } : undefined;
    expect(await failure(update(0, 3, false))).toMatchObject({ name: 'AutoScalingUnavailable' });
    expect(group.desired).toBe(0);
    expect(published.lines()).toEqual([]);
  });

  it('fails with GroupUpdateRefused if the group does not accept it', async () => {
    expect(await failure(update(0, 11))).toMatchObject({ name: 'GroupUpdateRefused' });
    expect(published.lines()).toEqual([]);
  });

  it('fails with GroupNotFound if there is no such group any more', async () => {
    aws.groups.clear();
    expect(await failure(update(0, 3))).toMatchObject({ name: 'GroupNotFound' });
  });
});
