import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Jobs, type JobTable, tableOf } from '../../simulator/job-table.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { loadTrace } from '../../simulator/traces/load.ts';
import { WORKLOADS, weekly } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from '../simulator/choices.ts';
import { realTrace } from '../support/trace-files.ts';

const peer = (name: string, parameters: Record<string, number> = {}): PolicyChoice => ({
  name,
  parameters,
  maxReplicas: Number.POSITIVE_INFINITY,
});

const read = new Map<string, JobTable>();

async function jobsOf(trace: string, skip: (note: string) => void): Promise<JobTable> {
  const file = realTrace(trace);
  const known = read.get(file);
  if (known !== undefined) return known;
  if (!existsSync(file)) skip(`${file} is not there`);
  const jobs = tableOf((await loadTrace(file)).jobs);
  read.set(file, jobs);
  return jobs;
}

/** The reference lowers the desired capacity when the instance is gone. EC2 Auto Scaling lowers it in the call before. */
const REFERENCE_WORLD = { ...WORLD, leaveCall: WORLD.leave };

function outcome(jobs: Jobs, choice: PolicyChoice): Outcome {
  return simulateOne(jobs, choice, REFERENCE_WORLD);
}

describe('an independent reference replay of the same model is matched within 3 %:', () => {
  it.for([
    { trace: 'bitcoin_core.csv', policy: 'circleci-tutorial', wait: 121.4, hours: 5_616 },
    { trace: 'bitcoin_core.csv', policy: 'mro', wait: 96.2, hours: 5_531 },
    { trace: 'bitcoin_core.csv', policy: 'buildkite', wait: 65.0, hours: 7_493 },
    { trace: 'firefox_b_linux.csv', policy: 'circleci-tutorial', wait: 109.4, hours: 7_906 },
    { trace: 'firefox_b_linux.csv', policy: 'mro', wait: 103.9, hours: 7_823 },
    { trace: 'firefox_b_linux.csv', policy: 'buildkite', wait: 28.0, hours: 9_368 },
  ])('$policy on $trace', async ({ trace, policy, wait, hours }, { skip }) => {
    const { waitSeconds, instanceHours } = outcome(await jobsOf(trace, skip), peer(policy));
    expect(Math.abs(waitSeconds.mean / wait - 1)).toBeLessThan(0.03);
    expect(Math.abs(instanceHours / hours - 1)).toBeLessThan(0.03);
  });
});

describe('the effect of settings in that reference is matched within 5 %:', () => {
  const warmPool = (size: number) => ({ warmPool: { size } });
  const reuse = (idleTimeout: number) => ({ reuse: 'continuous', idleTimeout });
  it.for([
    { trace: 'bitcoin_core.csv', set: {}, wait: 96, overhead: 0.095 },
    { trace: 'bitcoin_core.csv', set: warmPool(20), wait: 35, overhead: 0.142 },
    { trace: 'bitcoin_core.csv', set: warmPool(50), wait: 32, overhead: 0.145 },
    { trace: 'bitcoin_core.csv', set: reuse(600), wait: 65, overhead: 0.48 },
    { trace: 'bitcoin_core.csv', set: { ...warmPool(200), ...reuse(120) }, wait: 25, overhead: 0.213 },
    { trace: 'firefox_b_linux.csv', set: {}, wait: 104, overhead: 0.158 },
    { trace: 'firefox_b_linux.csv', set: warmPool(50), wait: 57, overhead: 0.217 },
    { trace: 'firefox_b_linux.csv', set: warmPool(200), wait: 40, overhead: 0.239 },
    { trace: 'firefox_b_linux.csv', set: reuse(600), wait: 28, overhead: 0.386 },
    { trace: 'firefox_b_linux.csv', set: { ...warmPool(200), ...reuse(120) }, wait: 14, overhead: 0.197 },
  ])('$set on $trace', async ({ trace, set, wait, overhead }, { skip }) => {
    // The reference polls every 5 s, however long nothing has happened.
    const found = outcome(await jobsOf(trace, skip), ours(plainFleet({ quietPollInterval: '5s', ...set })));
    expect(Math.abs(found.waitSeconds.mean / wait - 1)).toBeLessThan(0.05);
    expect(Math.abs((found.overhead ?? Number.NaN) / overhead - 1)).toBeLessThan(0.05);
  });
});

/** Figures of the replay that met the reference, kept so that a change of it shows wherever the tests run. */
describe('the figures of generated workloads are those that matched the reference:', () => {
  it.each([
    { policy: 'ours', wait: 99.498, hours: 677.988, launches: 7715, unused: 0, killed: 0 },
    { policy: 'circleci-tutorial', wait: 112.692, hours: 690.714, launches: 7956, unused: 241, killed: 0 },
    { policy: 'cdk-tutorial-2022', wait: 233.58, hours: 474.726, launches: 7715, unused: 0, killed: 3967 },
    { policy: 'mro', wait: 98.547, hours: 677.988, launches: 7715, unused: 0, killed: 0 },
    { policy: 'buildkite', wait: 16.232, hours: 919.368, launches: 1446, unused: 187, killed: 0 },
    { policy: 'vela', wait: 131.225, hours: 677.988, launches: 7715, unused: 0, killed: 0 },
    { policy: 'webhook', wait: 37.212, hours: 748.88, launches: 3114, unused: 405, killed: 0 },
    { policy: 'cdk-github-runners', wait: 93, hours: 677.988, launches: 7715, unused: 0, killed: 0 },
    { policy: 'runs-on', wait: 93, hours: 677.988, launches: 7715, unused: 0, killed: 0 },
    { policy: 'gitlab', wait: 10.693, hours: 1101.329, launches: 931, unused: 121, killed: 0 },
  ])('$policy on a busy week', ({ policy, ...expected }) => {
    const found = outcome(weekly(1, 7, 2), policy === 'ours' ? ours() : peer(policy));
    expect({
      wait: found.waitSeconds.mean,
      hours: found.instanceHours,
      launches: found.launches,
      unused: found.unusedLaunches,
      killed: found.jobsKilled,
    }).toEqual(expected);
  });
});

describe('a generated workload', () => {
  it.each(Object.entries(WORKLOADS))('%s is the same for the same seed, and sorted', (_, { generate }) => {
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
