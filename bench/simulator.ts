import { tableOf } from '../simulator/job-table.ts';
import { PEERS, type PolicyChoice } from '../simulator/peers.ts';
import { plainFleet } from '../simulator/plain-fleet.ts';
import { simulateOne } from '../simulator/simulate.ts';
import { loadTrace } from '../simulator/traces/load.ts';
import { weekly } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';

/**
 * How long a replay takes in one thread, and how much memory: of the trace that is named, if one is, under each
 * policy; and of months with ever more jobs, for which the time should grow as the jobs do, under one of each kind.
 */

const OURS: PolicyChoice = {
  name: 'ours',
  settings: { ...plainFleet({ quietPollInterval: 5 }), maxReplicas: 1_000_000 },
};
const CHOICES = [OURS, ...PEERS.map(({ name }) => ({ name, parameters: {}, maxReplicas: 1_000_000 }))];

const KINDS = CHOICES.filter(({ name }) => ['ours', 'buildkite', 'webhook'].includes(name));

const MONTH_DAYS = 30;
/** By how much busier than usual; months of about 67,000, 270,000 and 1,080,000 jobs. */
const BUSY = [4.13, 16.5, 66];

const [, , trace] = process.argv;
const months = BUSY.map((busy) => ({
  name: `${MONTH_DAYS} days`,
  jobs: async () => weekly(1, MONTH_DAYS, busy),
  choices: KINDS,
}));
const named =
  trace === undefined
    ? []
    : [{ name: trace, jobs: async () => (await loadTrace(trace)).jobs, choices: CHOICES }];

for (const { name, jobs: make, choices } of [...named, ...months]) {
  const jobs = tableOf(await make());
  for (const choice of choices) {
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
