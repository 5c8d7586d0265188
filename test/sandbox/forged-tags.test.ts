import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  OUTSIDE_TAG,
  PAUSED_AT_TAG,
  PAUSED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
} from '../../functions/lib/tags.ts';
import { formatWithheld } from '../../functions/lib/withheld.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const TAGS = [
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  OUTSIDE_TAG,
  PAUSED_AT_TAG,
  PAUSED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
];

/** What somebody may write into a tag: numbers as the records have them, words of the workflow, or anything. */
const value = fc.oneof(
  fc
    .array(fc.oneof(fc.integer({ min: -1, max: 100 }), fc.integer({ min: 0, max: 4_000_000_000 })), {
      // As many as the longest record has, and one more.
      maxLength: 17,
    })
    .chain((numbers) => fc.constantFrom(' ', ',', '/').map((separator) => numbers.join(separator))),
  fc.constantFrom('true', 'drain', 'breaker', 'workflow', 'pause', 'spot-shortage', '2026-01-05T09:00:00Z'),
  fc.string({ maxLength: 30 }),
);
const forged = fc.uniqueArray(fc.tuple(fc.constantFrom(...TAGS), value), {
  selector: ([tag]) => tag,
  minLength: 1,
  maxLength: TAGS.length,
});

it('whatever somebody writes into the tags of a group, it gets no more instances than tasks, and no job is killed', async () => {
  const property = fc.asyncProperty(forged, async (tags) => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, concurrency: { limit: 20, fleets: ['linux'] } }, [
      ...jobs(3),
      ...jobs(4, 600, 150),
    ]);
    let most = 0;
    sandbox.watch = () => {
      most = Math.max(most, world.group.desired);
    };
    sandbox.agenda.plan(120, () => {
      for (const [tag, text] of tags) world.group.tags.set(tag, text);
    });
    await sandbox.runUntil(300);
    expect(Math.max(most, world.group.desired)).toBeLessThanOrEqual(7);
    expect(world.queue.tasks.filter(({ killed }) => killed)).toEqual([]);
  });
  await fc.assert(property, { numRuns: 15 });
});

/** The start of the sandbox, in seconds since the epoch, as the records have their times. */
const START = SANDBOX_START.getTime() / 1_000;
const time = fc.oneof(
  fc.integer({ min: -3_600, max: 7_200 }).map((seconds) => START + seconds),
  fc.nat(4_000_000_000),
);
const count = fc.oneof(
  { weight: 19, arbitrary: fc.nat(20) },
  { weight: 1, arbitrary: fc.constantFrom(1_000_000, 999_999_999_999) },
);
const record = fc
  .record({
    since: time,
    unused: count,
    canaries: count,
    lastAt: time,
    unclaimed: count,
    running: count,
    level: count,
    came: count,
    outside: count,
    claimed: count,
    claimedAt: time,
    idleSeconds: count,
    inService: count,
    risen: count,
    mostRunning: count,
    idlersNow: fc.option(count, { nil: undefined }),
  })
  .map(formatWithheld);

it.each([
  { case: 'more tasks outside than run', tag: `${START} 3 0 ${START} 4 0 0 0 1000000 0 ${START} 2 0 0 0` },
  { case: 'a count that no step accepts', tag: `${START} 3 0 ${START} 5 0 0 0 0 9999999 ${START} 2 0 0 0` },
])(
  'a record of withheld tasks that somebody forged, with $case, does not keep the queue from draining',
  async ({ tag }) => {
    await drains(tag);
  },
);

it('whatever record of withheld tasks somebody forges, the queue drains', async () => {
  await fc.assert(fc.asyncProperty(record, drains), { numRuns: 20 });
});

it.each(['4 4', '999999 999999', '3 1', '0 0'])(
  'a record of tasks outside that somebody forged, %s, does not keep a job waiting',
  async (tag) => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2 }, [...jobs(4, 300), ...jobs(3, 60, 180)]);
    sandbox.agenda.plan(170, () => {
      world.group.tags.set(OUTSIDE_TAG, tag);
    });
    await sandbox.runUntil(900);
    const waits = world.queue.tasks.map(({ queuedAt, startedAt = 900 }) => startedAt - queuedAt);
    expect(Math.max(...waits)).toBeLessThan(130);
  },
);

/** Writes the record just before the second jobs come: an execution in which no task waits removes it. */
async function drains(tag: string): Promise<void> {
  const sandbox = await openSandbox();
  const world = sandbox.addFleet(LINUX, [...jobs(2, 60), ...jobs(4, 60, 180)]);
  sandbox.agenda.plan(179, () => {
    world.group.tags.set(WITHHELD_TAG, tag);
  });
  for (let until = 600; until <= 7_200 && world.queue.ended < 6; until += 600) await sandbox.runUntil(until);
  expect(world.queue.ended).toBe(6);
}
