import { describe, expect, it } from 'vitest';
import { NO_FAULTS } from '../../sandbox/group/faults.ts';
import { tableOf } from '../../simulator/job-table.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { ReplayStalled } from '../../simulator/replay.ts';
import { samplesOf } from '../../simulator/report/samples.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { inThreads } from '../../simulator/threads.ts';
import { WORKLOADS } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';

const jobs = tableOf(WORKLOADS['fan-out'].generate(1));

const CHOICES: PolicyChoice[] = [
  ours(),
  ...['circleci-tutorial', 'mro', 'buildkite'].map((name) => ({ name, parameters: {}, maxReplicas: 1_000 })),
];

const faults = { ...NO_FAULTS, seed: 3, bootFailures: [{ from: 0, to: 3_600, share: 0.5 }] };

describe('replays in threads', () => {
  it('give the same outcomes as without threads, in the order of the tasks', async () => {
    const tasks = CHOICES.map((choice) => ({ kind: 'outcome' as const, jobs, choice, world: WORLD, faults }));
    const outcomes = await inThreads(tasks, () => undefined);
    expect(outcomes).toEqual(CHOICES.map((choice) => simulateOne(jobs, choice, WORLD, { faults })));
  });

  it('give the same data for the charts of a report', async () => {
    const tasks = CHOICES.map((choice) => ({ kind: 'samples' as const, jobs, choice, world: WORLD, faults }));
    const samples = await inThreads(tasks, () => undefined);
    const progress = () => undefined;
    expect(samples).toEqual(CHOICES.map((choice) => samplesOf(jobs, choice, WORLD, { faults, progress })));
  });

  it('report the number of ended jobs over all tasks', async () => {
    const tasks = CHOICES.map((choice) => ({ kind: 'outcome' as const, jobs, choice, world: WORLD, faults }));
    const counts: number[] = [];
    await inThreads(tasks, (ended) => counts.push(ended));
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBe(jobs.length * tasks.length);
  });

  it('fail as without threads, and the threads continue with other tasks', async () => {
    const [choice = ours()] = CHOICES;
    const task = { kind: 'outcome' as const, jobs, choice, world: WORLD, faults: NO_FAULTS };
    const never = { ...task, choice: { name: 'mro', parameters: {}, maxReplicas: 0 } };
    await expect(inThreads([never], () => undefined)).rejects.toThrow(ReplayStalled);
    const [outcome] = await inThreads([task], () => undefined);
    expect(outcome?.jobs).toBe(jobs.length);
  });
});
