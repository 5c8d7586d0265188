import { describe, expect, it } from 'vitest';
import type { Starts } from '../../sandbox/schedule.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

describe('schedules that start executions', () => {
  it.each<{ case: string; starts: Starts; at: string[] }>([
    { case: 'on time', starts: () => [0], at: ['00:00', '01:00', '02:00'] },
    { case: 'twice', starts: () => [0, 0], at: ['00:00', '00:00', '01:00', '01:00', '02:00', '02:00'] },
    {
      case: 'twice, 40 s apart',
      starts: () => [0, 40],
      at: ['00:00', '00:40', '01:00', '01:40', '02:00', '02:40'],
    },
    {
      case: '59 s late and on time',
      starts: (minute) => [minute % 2 === 0 ? 59 : 0],
      at: ['00:59', '01:00', '02:59'],
    },
    { case: 'every second time', starts: (minute) => (minute % 2 === 0 ? [0] : []), at: ['00:00', '02:00'] },
  ])('$case', async ({ starts, at }) => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, pollIntervalSeconds: 20 }, jobs(2, 600));
    sandbox.schedule.starts = starts;
    // Minute by minute: an execution that goes on is neither lost nor started again.
    for (let minute = 1; minute <= 3; minute += 1) await sandbox.runUntil(60 * minute);
    sandbox.schedule.starts = () => [];
    await sandbox.runUntil(300);
    const started = world.executions.map(({ startedAt }) => new Date(startedAt).toISOString().slice(14, 19));
    expect(started.toSorted()).toEqual(at);
    expect(world.outcomes).toEqual({ succeeded: at.length, failed: 0 });
  });
});
