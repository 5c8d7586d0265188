import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPoll, type PollHistory } from '../../functions/lib/claims.ts';
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

  it('let as many more members be idle, beside those of minReplicas, and are then not counted', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2, durations: { idleTimeout: 3_600 } }, []);
    world.queue.phantoms = 4;
    await sandbox.runUntil(20 * MINUTE);
    expect(world.group.desired).toBe(6);
    const late = sandbox.clock.now() - 10 * MINUTE * 1_000;
    expect(sandbox.workflow.metrics.filter(({ name, at }) => name === 'TasksElsewhere' && at > late)).toEqual(
      [],
    );
  });

  it('are expected if otherRunners says so', async () => {
    expect((await stolen({ otherRunners: 20 })).published).toEqual([]);
    expect((await stolen({ otherRunners: 19 })).published).not.toEqual([]);
  });
});
