import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPoll, type PollHistory } from '../../functions/lib/claims.ts';
import { OUTSIDE_TAG } from '../../functions/lib/tags.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

/** What polls see together of these counts: running tasks and members, poll by poll. */
const elsewhere = (...polls: [running: number, members: number][]) =>
  polls.reduce<PollHistory | undefined>(
    (before, [running, members]) =>
      addPoll(before, { unclaimed: 0, running, inService: members, members }).seen,
    undefined,
  )?.elsewhere;

describe('tasks that run elsewhere', () => {
  it.each<{ case: string; polls: [number, number][]; sees: number | undefined }>([
    {
      case: 'members run all tasks',
      polls: [
        [3, 3],
        [2, 3],
      ],
      sees: undefined,
    },
    {
      case: 'more tasks run than there are members',
      polls: [
        [20, 2],
        [18, 4],
      ],
      sees: 14,
    },
    {
      case: 'at one of the polls members may run them all',
      polls: [
        [20, 2],
        [4, 4],
        [20, 2],
      ],
      sees: undefined,
    },
    {
      case: 'the first poll sees none',
      polls: [
        [4, 4],
        [20, 2],
      ],
      sees: undefined,
    },
    { case: 'nobody is there', polls: [[20, 0]], sees: 20 },
  ])('$case: $sees', ({ polls, sees }) => {
    expect(elsewhere(...polls)).toBe(sees);
  });

  it('are never more than at any poll', () => {
    const poll = fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 30 }));
    fc.assert(
      fc.property(fc.array(poll, { minLength: 1, maxLength: 12 }), (polls) => {
        const least = Math.min(...polls.map(([running, members]) => Math.max(running - members, 0)));
        expect(elsewhere(...polls) ?? 0).toBe(least);
      }),
    );
  });
});

describe('20 tasks that runners with a stolen token run', () => {
  const MINUTE = 60;

  async function stolen(fleet: { otherRunners?: number } = {}) {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, ...fleet }, jobs(3, 900, 5 * MINUTE));
    sandbox.agenda.plan(2 * MINUTE, () => {
      world.queue.phantoms = 20;
    });
    await sandbox.runUntil(20 * MINUTE);
    const published = sandbox.workflow.metrics.filter(({ name }) => name === 'TasksElsewhere');
    return { world, published, start: sandbox.clock.now() - 20 * MINUTE * 1_000 };
  }

  it('are counted in each minute, and launch nothing', async () => {
    const { world, published, start } = await stolen();
    const minutes = new Set(published.map(({ at }) => Math.floor((at - start) / (MINUTE * 1_000))));
    for (let minute = 4; minute < 20; minute += 1) expect(minutes).toContain(minute);
    expect(Math.max(...published.map(({ value }) => value))).toBe(20);
    // Three jobs, each with its instance.
    expect(world.group.totals.launches).toBe(3);
  });

  it('are fewer than they are by the members that could run them', async () => {
    const { published } = await stolen();
    expect(published.at(-1)?.value).toBe(20);
  });

  it('are expected if otherRunners says so', async () => {
    expect((await stolen({ otherRunners: 20 })).published).toEqual([]);
    expect((await stolen({ otherRunners: 19 })).published).not.toEqual([]);
  });
});

describe('4 tasks that run elsewhere, beside the idle runners of minReplicas: 2', () => {
  const MINUTE = 60;

  /** @param from When they begin: before the idle runners have come, or later. */
  async function beside(from: number) {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2, durations: { idleTimeout: 3_600 } }, []);
    if (from === 0) world.queue.phantoms = 4;
    sandbox.agenda.plan(from, () => {
      world.queue.phantoms = 4;
    });
    await sandbox.runUntil(40 * MINUTE);
    const late = sandbox.clock.now() - 10 * MINUTE * 1_000;
    const { metrics } = sandbox.workflow;
    const published = metrics.filter(({ name, at }) => name === 'TasksElsewhere' && at > late);
    return { world, sandbox, values: published.map(({ value }) => value) };
  }

  it('are all known if no runner was idle before, and launch nothing', async () => {
    const { world, values } = await beside(0);
    expect(world.group.desired).toBe(2);
    expect(new Set(values)).toEqual(new Set([4]));
    expect(values).toHaveLength(10);
  });

  it('are known but for those that the idle runners could run, and launch two more that are idle', async () => {
    const { world, values } = await beside(10 * MINUTE);
    expect(world.group.desired).toBe(4);
    expect(new Set(values)).toEqual(new Set([2]));
    expect(values).toHaveLength(10);
  });

  it('are forgotten as they end', async () => {
    const { world, sandbox } = await beside(0);
    expect(world.group.tags.get(OUTSIDE_TAG)).toBe('4 4');
    world.queue.phantoms = 1;
    await sandbox.runUntil(42 * MINUTE);
    expect(world.group.tags.get(OUTSIDE_TAG)).toBe('1 1');
    world.queue.phantoms = 0;
    await sandbox.runUntil(44 * MINUTE);
    expect(world.group.tags.has(OUTSIDE_TAG)).toBe(false);
    expect(world.group.desired).toBe(2);
  });

  it('leave each job that comes an instance', async () => {
    const { world, sandbox } = await beside(0);
    for (let number = 0; number < 6; number += 1)
      world.queue.add({ queuedAt: 40 * MINUTE, durationSeconds: 600 });
    await sandbox.runUntil(44 * MINUTE);
    expect(world.queue.unclaimed).toBe(0);
    expect(world.group.desired).toBe(8);
  });
});
