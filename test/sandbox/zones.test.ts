import { expect, it } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';

const { otherZone, relaunch } = DURATIONS;

/** When EC2 refuses, and when an instance launches, in seconds, until a time. */
function triesUntil(seconds: number, fault: (now: number) => LaunchFault | undefined): string[] {
  const agenda = new Agenda();
  const tries: string[] = [];
  const group = new AutoScalingGroup(
    {
      name: 'runners',
      minSize: 0,
      maxSize: 10,
      durations: DURATIONS,
      newInstancesProtectedFromScaleIn: true,
      launchFault: fault,
      watch: (at, _, kind) => {
        if (kind === 'refused' || kind === 'launches') tries.push(`${kind} ${at}`);
      },
    },
    agenda,
    new TaskQueue(),
  );
  group.setDesiredCapacity(2);
  agenda.advance(seconds);
  return tries;
}

it('a group tries each of its three zones, and all of them again later, if none has the type', () => {
  const second = 2 * otherZone + relaunch;
  expect(triesUntil(second + 2 * otherZone, () => 'no-type')).toEqual(
    [0, otherZone, 2 * otherZone, second, second + otherZone, second + 2 * otherZone].map(
      (at) => `refused ${at}`,
    ),
  );
});

it('a group launches in another zone a second later, if one zone lacks the type', () => {
  expect(triesUntil(100, () => 'unplaced')).toEqual([
    'refused 0',
    'refused 0',
    `launches ${otherZone}`,
    `launches ${otherZone}`,
  ]);
});
