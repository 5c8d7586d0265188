import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Job, readTrace } from '../../sandbox/trace.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { WORKLOADS, weekly } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';

/** Traces of real jobs that the project does not contain; whoever has them has them beside it. */
const TRACES = '../shared/traces';

const peer = (name: string, levers: Record<string, number> = {}): PolicyChoice => ({
  name,
  levers,
  maxReplicas: Number.POSITIVE_INFINITY,
});

function outcome(jobs: Job[], choice: PolicyChoice): Outcome {
  return simulateOne(jobs, choice, WORLD);
}

describe('an independent reference replay, of the same model and by another hand, is met within 3 %:', () => {
  it.for([
    { trace: 'bitcoin_core.csv', policy: 'seed', wait: 121.4, hours: 5_616 },
    { trace: 'bitcoin_core.csv', policy: 'mro', wait: 96.2, hours: 5_531 },
    { trace: 'bitcoin_core.csv', policy: 'buildkite', wait: 65.0, hours: 7_493 },
    { trace: 'firefox_b_linux.csv', policy: 'seed', wait: 109.4, hours: 7_906 },
    { trace: 'firefox_b_linux.csv', policy: 'mro', wait: 103.9, hours: 7_823 },
    { trace: 'firefox_b_linux.csv', policy: 'buildkite', wait: 28.0, hours: 9_368 },
  ])('$policy on $trace', ({ trace, policy, wait, hours }, { skip }) => {
    const file = `${TRACES}/${trace}`;
    if (!existsSync(file)) skip(`${file} is not there`);
    const { waitSeconds, instanceHours } = outcome(readTrace(file), peer(policy));
    expect(Math.abs(waitSeconds.mean / wait - 1)).toBeLessThan(0.03);
    expect(Math.abs(instanceHours / hours - 1)).toBeLessThan(0.03);
  });
});

/** Figures of the replay that met the reference, kept so that a change of it shows wherever the tests run. */
describe('the figures of generated workloads are as they were when the reference was met:', () => {
  it.each([
    { policy: 'ours', wait: 99.498, hours: 677.988, launches: 7715, ghosts: 0, killed: 0 },
    { policy: 'seed', wait: 112.692, hours: 690.714, launches: 7956, ghosts: 241, killed: 0 },
    { policy: 'cdk-tutorial-2022', wait: 233.58, hours: 474.726, launches: 7715, ghosts: 0, killed: 3967 },
    { policy: 'mro', wait: 98.547, hours: 677.988, launches: 7715, ghosts: 0, killed: 0 },
    { policy: 'buildkite', wait: 16.232, hours: 919.368, launches: 1446, ghosts: 187, killed: 0 },
    { policy: 'vela', wait: 131.225, hours: 677.988, launches: 7715, ghosts: 0, killed: 0 },
    { policy: 'webhook', wait: 37.212, hours: 748.88, launches: 3114, ghosts: 405, killed: 0 },
    { policy: 'cdk-github-runners', wait: 93, hours: 677.988, launches: 7715, ghosts: 0, killed: 0 },
    { policy: 'runs-on', wait: 93, hours: 677.988, launches: 7715, ghosts: 0, killed: 0 },
    { policy: 'gitlab', wait: 10.693, hours: 1101.329, launches: 931, ghosts: 121, killed: 0 },
  ])('$policy on a busy week', ({ policy, ...expected }) => {
    const found = outcome(weekly(1, 7, 2), policy === 'ours' ? ours() : peer(policy));
    expect({
      wait: found.waitSeconds.mean,
      hours: found.instanceHours,
      launches: found.launches,
      ghosts: found.ghostLaunches,
      killed: found.jobsKilled,
    }).toEqual(expected);
  });
});

describe('a generated workload', () => {
  it.each(Object.entries(WORKLOADS))('%s is the same for the same seed, and in order', (_, { generate }) => {
    const jobs = generate(3);
    expect(generate(3)).toEqual(jobs);
    expect(generate(4)).not.toEqual(jobs);
    expect(jobs.length).toBeGreaterThan(5);
    for (const [number, { queuedAt, durationSeconds }] of jobs.entries()) {
      expect(queuedAt).toBeGreaterThanOrEqual(jobs[number - 1]?.queuedAt ?? 0);
      expect(durationSeconds).toBeGreaterThan(0);
    }
  });
});
