import { describe, expect, it } from 'vitest';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { ALWAYS, LaunchFaults } from '../../sandbox/group/faults.ts';
import type { FleetWorld, SandboxFleet } from '../../sandbox/sandbox.ts';
import { type Job, SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';
import { STARTS } from '../support/starts.ts';

/** Alarms that judge the supply, at scales at which another number would hide what is wrong. */

const MINUTE = 60;

interface Played {
  fleet: Partial<SandboxFleet>;
  queued: Job[];
  minutes: number;
  starts?: string;
  /** What happens at minute 10. */
  happens?: (world: FleetWorld) => void;
}

/** The alarms that ring without those over others, each with the minutes from and until which it does. */
async function rung({ fleet, queued, minutes, starts = 'on time', happens }: Played) {
  const [config] = fleetsWith({ linux: {} });
  if (config === undefined) throw new Error('There is no fleet');
  const sandbox = await openSandbox();
  sandbox.schedule.starts = STARTS[starts] ?? (() => [0]);
  const world = sandbox.addFleet({ ...LINUX, ...fleet }, queued);
  if (happens) sandbox.agenda.plan(10 * MINUTE, () => happens(world));
  await sandbox.runUntil(minutes * MINUTE);
  const { metrics } = sandbox.workflow;
  const { executions } = world;
  return alarmsOver([config], { metrics, executions, startedAt: SANDBOX_START.getTime(), minutes }).filter(
    ({ heading, ringings }) => ringings.length > 0 && heading !== 'Fleet Needs You',
  );
}

describe.each(['on time', 'skipped every second time', 'late by another time each minute'])(
  'with starts that are %s,',
  (starts) => {
    it.each([
      { boot: 90, seconds: 60 },
      { boot: 300, seconds: 60 },
      { boot: 300, seconds: 1_200 },
    ])(
      'Saturated rings once for a maximum of 1, with boots of $boot s and jobs of $seconds s',
      async ({ boot, seconds }) => {
        const alarms = await rung({
          fleet: { maxReplicas: 1, durations: { boot } },
          queued: jobs(40, seconds),
          minutes: 90,
          starts,
        });
        expect(alarms.map(({ heading, ringings }) => [heading, ringings.length])).toEqual([['Saturated', 1]]);
        expect(alarms[0]?.ringings[0]?.from).toBeLessThanOrEqual(20);
      },
    );

    it('Starving rings once if nothing launches, although runners that are reused claim tasks', async () => {
      const alarms = await rung({
        fleet: { maxReplicas: 50, reuse: 'continuous' },
        queued: [...jobs(5, 50), ...jobs(200, 300, 10 * MINUTE + 5)],
        minutes: 60,
        starts,
        happens: ({ group }) => group.suspendProcesses(['Launch'], 'by a person'),
      });
      expect(alarms.map(({ heading, ringings }) => [heading, ringings.length])).toEqual([['Starving', 1]]);
      // A job waits from minute 10 on.
      expect(alarms[0]?.ringings[0]?.from).toBeLessThanOrEqual(10 + (starts === 'on time' ? 15 : 18));
    });

    it.each([7 * MINUTE, 20 * MINUTE, 40 * MINUTE])(
      'Spot Unavailable rings once if a job comes every %s s and there is no Spot capacity',
      async (every) => {
        const { ofLaunch } = new LaunchFaults({ spotShortages: [ALWAYS] });
        const alarms = await rung({
          fleet: { onDemandPercentage: 0, launchFault: ofLaunch },
          queued: Array.from({ length: (4 * 60 * MINUTE) / every }, (_, job) => ({
            queuedAt: job * every,
            durationSeconds: 120,
          })),
          minutes: 240,
          starts,
        });
        expect(alarms.map(({ heading, ringings }) => [heading, ringings.length])).toEqual([
          ['Spot Unavailable', 1],
        ]);
      },
    );
  },
);
