import { describe, expect, it } from 'vitest';
import { PAUSED_TAG } from '../../functions/lib/tags.ts';
import { type Alarm, alarmsOver, NEEDS_YOU } from '../../sandbox/alarms.ts';
import type { FleetWorld, Sandbox, SandboxFleet } from '../../sandbox/sandbox.ts';
import { type Job, SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;

interface Played {
  queued?: Job[];
  fleet?: Partial<SandboxFleet>;
  /** What happens at these minutes. */
  events?: Record<number, (stage: { sandbox: Sandbox; world: FleetWorld }) => void>;
  /** How many tasks the plan lets run. */
  plan?: number;
  minutes?: number;
}

/** The alarms of a fleet that ring in a run, without the one that notifies of others. */
async function alarmsIn({
  queued = [],
  fleet = {},
  events = {},
  plan,
  minutes = 30,
}: Played): Promise<Alarm[]> {
  const [linux] = fleetsWith({ linux: {} });
  if (linux === undefined) throw new Error('There is no fleet');
  const config = { ...linux, affordable: fleet.affordable };
  const sandbox = await openSandbox();
  const world = sandbox.addFleet({ ...LINUX, ...fleet }, queued);
  if (plan !== undefined) sandbox.limitPlan(plan);
  for (const [minute, happens] of Object.entries(events))
    sandbox.agenda.plan(Number(minute) * MINUTE, () => happens({ sandbox, world }));
  await sandbox.runUntil(minutes * MINUTE);
  const run = {
    metrics: sandbox.workflow.metrics,
    executions: world.executions,
    startedAt: SANDBOX_START.getTime(),
    minutes,
  };
  return alarmsOver([config], run).filter(
    ({ ringings, heading }) => ringings.length > 0 && heading !== NEEDS_YOU,
  );
}

const rung = async (played: Played) => (await alarmsIn(played)).map(({ heading }) => heading);

describe('an alarm rings above its number and not below it:', () => {
  const dollars = { affordable: 5 };
  const shared = { concurrency: { limit: 6, fleets: ['linux'] } };
  it.each([
    { limit: 'maxReplicas', most: 10, fleet: {} },
    { limit: "the plan's concurrency", most: 6, fleet: shared, plan: 6 },
  ])('Saturated, at $limit', async ({ most, fleet, plan }) => {
    const given = { fleet, minutes: 20, ...(plan !== undefined && { plan }) };
    expect(await rung({ ...given, queued: jobs(most, HOUR) })).toEqual([]);
    expect(await rung({ ...given, queued: jobs(most + 1, HOUR) })).toEqual(['Saturated']);
  });

  it('Cost Limit Reached, at maxHourlyCost', async () => {
    const given = { fleet: dollars, minutes: 20 };
    expect(await rung({ ...given, queued: jobs(5, HOUR) })).toEqual([]);
    expect(await rung({ ...given, queued: jobs(6, HOUR) })).toEqual(['Cost Limit Reached']);
  });

  it.each(
    [5, 59, 121].flatMap((from) => [
      { alarm: 'Saturated', from, most: 10, fleet: {}, plan: undefined },
      { alarm: 'Saturated', from, most: 6, fleet: shared, plan: 6 },
      { alarm: 'Cost Limit Reached', from, most: 5, fleet: dollars, plan: undefined },
    ]),
  )(
    '$alarm, within 17 minutes after a task more than $most began to wait, $from s after the start',
    async ({ alarm, from, most, fleet, plan }) => {
      const given = { fleet, minutes: 20, ...(plan !== undefined && { plan }) };
      const [rings, ...others] = await alarmsIn({ ...given, queued: jobs(most + 1, HOUR, from) });
      expect(rings?.heading).toBe(alarm);
      expect(rings?.ringings[0]?.from).toBeLessThanOrEqual(Math.floor(from / MINUTE) + 17);
      expect(others).toEqual([]);
    },
  );

  it('a higher maxHourlyCost ends Cost Limit Reached', async () => {
    const ends = async (affordable: number) => {
      const raise = ({ sandbox, world }: Stage) => {
        world.group.setMaximumSize(affordable);
        sandbox.deploy(world, { capacity: { ...world.settings.capacity, affordable } });
      };
      const given = { fleet: dollars, minutes: 50, queued: jobs(7, HOUR), events: { 20: raise } };
      const alarms = await alarmsIn(given);
      expect(alarms.map(({ heading }) => heading)).toEqual(['Cost Limit Reached']);
      return alarms.flatMap(({ ringings }) => ringings.map(({ until }) => until));
    };
    expect(await ends(7)).toEqual([expect.any(Number)]);
    expect(await ends(6)).toEqual([undefined]);
  });

  it('Tasks Run Elsewhere, with otherRunners', async () => {
    const elsewhere = (tasks: number) =>
      rung({
        fleet: { otherRunners: 4 },
        minutes: 16,
        events: {
          0: ({ world }) => {
            world.queue.phantoms = tasks;
          },
        },
      });
    expect(await elsewhere(4)).toEqual([]);
    expect(await elsewhere(5)).toEqual(['Tasks Run Elsewhere']);
  });

  const forMinutes = (minutes: number, begin: number, from: (s: Stage) => void, to: (s: Stage) => void) => ({
    [begin]: from,
    [begin + minutes]: to,
  });
  type Stage = { sandbox: Sandbox; world: FleetWorld };

  it.each([
    {
      heading: 'Tasks Run Elsewhere',
      below: 7,
      above: 11,
      from: ({ world }: Stage) => {
        world.queue.phantoms = 4;
      },
      to: ({ world }: Stage) => {
        world.queue.phantoms = 0;
      },
    },
    {
      heading: 'Jobs Wait For A Paused Fleet',
      below: 4,
      above: 6,
      from: ({ world }: Stage) => world.group.tags.set(PAUSED_TAG, 'true'),
      to: ({ world }: Stage) => world.group.tags.delete(PAUSED_TAG),
      queued: jobs(3, 100, 10 * MINUTE),
    },
    {
      heading: 'Counts Doubtful',
      below: 2,
      above: 4,
      from: ({ sandbox }: Stage) => sandbox.circleci.lies.set(LINUX.resourceClass, 'unknown class'),
      to: ({ sandbox }: Stage) => sandbox.circleci.lies.clear(),
      queued: jobs(3, 100, 10 * MINUTE),
    },
    {
      heading: 'Tasks Not Handed Out',
      below: 2,
      above: 8,
      from: ({ world }: Stage) => {
        world.queue.limit = 0;
      },
      to: ({ world }: Stage) => {
        world.queue.limit = Number.POSITIVE_INFINITY;
        world.group.offerAll();
      },
      queued: jobs(8, 100, 10 * MINUTE),
    },
  ])(
    '$heading, after $below and after $above minutes',
    async ({ heading, below, above, from, to, queued }) => {
      const lasting = (minutes: number) =>
        rung({ ...(queued && { queued }), events: forMinutes(minutes, 10, from, to) });
      expect(await lasting(below)).toEqual([]);
      expect(await lasting(above)).toEqual([heading]);
    },
  );

  it.each([{ seconds: 10 * MINUTE }, { seconds: 2 * HOUR }])(
    'Tasks Not Handed Out, within 15 minutes, if one task of $seconds s comes every 2 minutes and 2 may run',
    async ({ seconds }) => {
      const queued = Array.from({ length: 20 }, (_, number) => ({
        queuedAt: number * 2 * MINUTE,
        durationSeconds: seconds,
      }));
      // The third task waits from minute 4 on.
      expect(await rung({ queued, plan: 2, minutes: 4 + 15 })).toContain('Tasks Not Handed Out');
    },
  );
});
