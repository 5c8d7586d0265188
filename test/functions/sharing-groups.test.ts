import { expect, it } from 'vitest';
import { describeGroup } from '../../functions/lib/auto-scaling.ts';
import { TASKS_TAG } from '../../functions/lib/tags.ts';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { embeddedAws } from '../support/aws.ts';

const { aws, autoScaling } = await embeddedAws();
const agenda = new Agenda();

function addGroup(name: string, desired: number, tasks: string): void {
  const group = new AutoScalingGroup(
    { name, minSize: 0, maxSize: 10, durations: DURATIONS, newInstancesProtectedFromScaleIn: true },
    agenda,
    new TaskQueue(),
  );
  aws.groups.set(name, group);
  group.setDesiredCapacity(desired);
  group.tags.set(TASKS_TAG, tasks);
}

it('describeGroup reads the groups that share a plan in one request, in the order of the names, and one that is gone as empty', async () => {
  addGroup('b', 2, '1 2 0 2 1767600000');
  addGroup('own', 0, '4 3 0 3 1767600050');
  addGroup('a', 1, 'something else');
  agenda.advance(DURATIONS.request);
  aws.calls.clear();
  const { sharers, levels, members } = await describeGroup(autoScaling, 'own', ['b', 'own', 'gone', 'a']);
  expect(sharers).toEqual([
    { present: 2, levels: { unclaimed: 1, running: 2, elsewhere: 0, present: 2, at: 1_767_600_000 } },
    { present: 0 },
    { present: 1 },
  ]);
  expect(levels).toEqual({ unclaimed: 4, running: 3, elsewhere: 0, present: 3, at: 1_767_600_050 });
  expect(members.inService + members.pending).toBe(0);
  expect(aws.calls.get('DescribeAutoScalingGroups')).toBe(1);
});
