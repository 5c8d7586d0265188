import { readTrace } from '../sandbox/trace.ts';
import { PEERS, type PolicyChoice } from '../simulator/peers.ts';
import { simulateOne } from '../simulator/simulate.ts';
import { weekly } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';

/**
 * How long a replay takes, and how much memory, for each policy in one thread: of the trace that is named, if one
 * is, and of months with ever more jobs, for which the time should grow as the jobs do.
 */

const OURS: PolicyChoice = {
  name: 'ours',
  settings: {
    pollInterval: 5,
    quietPollInterval: 5,
    idleTimeout: 300,
    minReplicas: 0,
    maxReplicas: 1_000_000,
  },
};
const CHOICES = [OURS, ...PEERS.map(({ name }) => ({ name, levers: {}, maxReplicas: 1_000_000 }))];

const MONTH_DAYS = 30;
/** Pipelines beyond a usual day's for a month of about 62,500, 250,000 and a million jobs. */
const BUSY = [4.13, 16.5, 66];

const [, , trace] = process.argv;
const months = BUSY.map((busy) => ({
  name: `${MONTH_DAYS} days`,
  jobs: () => weekly(1, MONTH_DAYS, busy),
}));
const named = trace === undefined ? [] : [{ name: trace, jobs: () => readTrace(trace) }];

for (const { name, jobs: make } of [...named, ...months]) {
  const jobs = make();
  for (const choice of CHOICES) {
    const start = performance.now();
    const { waitSeconds } = simulateOne(jobs, choice, WORLD);
    const seconds = (performance.now() - start) / 1_000;
    const micros = (seconds * 1e6) / jobs.length;
    const megabytes = process.resourceUsage().maxRSS / 1_024;
    console.log(
      `${name}, ${jobs.length} jobs, ${choice.name}: ${seconds.toFixed(2)} s, ${micros.toFixed(1)} us a job, mean wait ${waitSeconds.mean.toFixed(1)} s, so far at most ${megabytes.toFixed(0)} MB`,
    );
  }
}
