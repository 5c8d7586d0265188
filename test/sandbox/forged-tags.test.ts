import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  PAUSED_AT_TAG,
  PAUSED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
} from '../../functions/lib/tags.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const TAGS = [
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
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
      maxLength: 13,
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
