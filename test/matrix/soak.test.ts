import { expect, it } from 'vitest';
import { playEpisode } from '../../bench/soak-episode.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { randomNumbers } from '../../sandbox/trace.ts';

/** Each is a subject of its own, so that all of them overlap. */
const SUBJECTS = [
  /hands out no tasks$/,
  /^CircleCI counts 4 running tasks/,
  /^the plan lets/,
  /^CircleCI lets 1 task run/,
  /^a sixth of the launches/,
  /^no zone has/,
].map((name) => FAULTS.filter((fault) => name.test(fault.name)));

it.each([1, 2])(
  'with claims refused, phantom tasks, limits of the plan and refusing zones at random, no job is lost and none waits unseen: %i',
  async (seed) => {
    expect(SUBJECTS.every(({ length }) => length === 1)).toBe(true);
    const { wrong, totals } = await playEpisode(randomNumbers(seed), SUBJECTS);
    expect(wrong).toEqual([]);
    expect(totals).toMatchObject({ killed: 0, neverRun: 0, outOfBounds: 0, stuckAlarms: 0, silentSpells: 0 });
    expect(totals.overlappingMinutes).toBeGreaterThan(30);
  },
);
