import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type JobTable, tableOf } from '../../simulator/job-table.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { loadTrace } from '../../simulator/traces/load.ts';
import { WORKLOADS, type WorkloadName } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from '../simulator/choices.ts';
import { REAL_TRACES } from '../support/trace-files.ts';

const FLEETS: Parameters<typeof plainFleet>[0][] = [
  {},
  { warmPool: { size: 50 } },
  { warmPool: { size: 200 } },
  { reuse: 'continuous', idleTimeout: 30, pollInterval: '5s' },
  { reuse: 'continuous', idleTimeout: 120, warmPool: { size: 200 } },
  { pollInterval: '15s' },
  { pollInterval: '60s', warmPool: { size: 200 } },
  { maxReplicas: 30 },
];

/** As many launches may come to nothing before any is held. */
const NEVER_HELD = { breaker: { failures: 100 } };

const traces: Record<string, () => Promise<JobTable>> = {
  ...Object.fromEntries(REAL_TRACES.map((file) => [file, async () => tableOf((await loadTrace(file)).jobs)])),
  ...Object.fromEntries(
    Object.keys(WORKLOADS).map((name) => [
      name,
      () => Promise.resolve(tableOf(WORKLOADS[name as WorkloadName].generate(1))),
    ]),
  ),
};

it.for(Object.keys(traces))(
  'no launch is held while CircleCI hands out all tasks of %s',
  { timeout: 300_000 },
  async (trace, { skip }) => {
    if (REAL_TRACES.includes(trace) && !existsSync(trace)) skip(`${trace} is not there`);
    const jobs = await traces[trace]?.();
    if (jobs === undefined) throw new Error(`There is no ${trace}`);
    for (const fleet of FLEETS) {
      // The call that ends an instance may take as long as the end itself.
      for (const world of [WORLD, { ...WORLD, leaveCall: WORLD.leave }]) {
        const mean = (settings: typeof fleet) =>
          simulateOne(jobs, ours(plainFleet(settings)), world).waitSeconds.mean;
        const waits = [mean(fleet), mean({ ...fleet, ...NEVER_HELD })];
        expect(Math.max(...waits) / Math.min(...waits), JSON.stringify(fleet)).toBeLessThan(1.001);
      }
    }
  },
);
