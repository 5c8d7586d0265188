import { describe, expect, it } from 'vitest';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { protect } from '../../sandbox/faults/fault.ts';
import type { FleetWorld, SandboxOptions } from '../../sandbox/sandbox.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const REQUEST = 120;
const QUEUED = 360;
const CANCELLED = 400;
const OVER = 480;

type Act = (world: FleetWorld) => void;

/**
 * Two members run a job for an hour. Four more jobs are queued, and cancelled before their instances are listed. When a
 * group's desired capacity falls, it terminates unprotected members before it cancels launches.
 */
async function played(act: Act, options: SandboxOptions = {}) {
  const sandbox = await openSandbox(options);
  const world = sandbox.addFleet({ ...LINUX, durations: { request: REQUEST } }, [
    ...jobs(2, 3_600),
    ...jobs(4, 600, QUEUED),
  ]);
  sandbox.agenda.plan(QUEUED - 20, () => act(world));
  sandbox.agenda.plan(CANCELLED, () => {
    expect(world.group.desired).toBe(6);
    world.queue.cancelWaiting(CANCELLED);
  });
  await sandbox.runUntil(OVER);
  const { queue, group, executions } = world;
  return {
    killed: queue.tasks.filter(({ killed }) => killed).length,
    running: queue.running,
    desired: group.desired,
    decidedToCancel: executions
      .flatMap(({ path }) => path.filter(({ state }) => state === 'Compute Capacity'))
      .some(({ output }) => {
        const { from, desired } = (output as { decision: { from: number; desired: number } }).decision;
        return desired < from;
      }),
  };
}

describe('launches whose jobs were cancelled', () => {
  it('are cancelled, as long as members are protected', async () => {
    const outcome = { killed: 0, running: 2, desired: 2, decidedToCancel: true };
    expect(await played(() => undefined)).toEqual(outcome);
  });

  it.each<{ case: string; act: Act }>([
    { case: 'of all members and new instances is off', act: (world) => protect(world, false) },
    {
      case: 'of one member is off',
      act: ({ group }) => {
        const [member] = group.instances;
        if (member !== undefined) group.setInstanceProtection(member, false);
      },
    },
    {
      case: 'of new instances is off',
      act: ({ group }) => {
        group.settings.newInstancesProtectedFromScaleIn = false;
      },
    },
  ])('go on while the protection $case, and no job is killed', async ({ act }) => {
    const outcome = { killed: 0, running: 2, desired: 6, decidedToCancel: false };
    expect(await played(act)).toEqual(outcome);
  });

  it('go on if somebody switches the protection off after it was decided to cancel them', async () => {
    let there: FleetWorld | undefined;
    const falls: number[] = [];
    const outcome = await played(
      (world) => {
        there = world;
      },
      {
        replace: {
          'Compute Capacity': async (input, computeCapacity) => {
            const answer = await computeCapacity(input);
            const { from, desired } = (answer as { decision: { from: number; desired: number } }).decision;
            if (desired < from && there !== undefined) {
              falls.push(desired);
              protect(there, false);
            }
            return answer;
          },
        },
      },
    );
    expect(falls).toEqual([2]);
    expect(outcome).toEqual({ killed: 0, running: 2, desired: 6, decidedToCancel: true });
  });
});

describe('the alarm Scale-In Protection Off', () => {
  const MINUTES = 20;
  const [config] = fleetsWith({ linux: {} });
  if (config === undefined) throw new Error('There is no fleet');

  async function rung(act: Act): Promise<string[]> {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, jobs(2, 3_600));
    sandbox.agenda.plan(600, () => act(world));
    await sandbox.runUntil(MINUTES * 60);
    const { metrics } = sandbox.workflow;
    const run = { metrics, executions: [], startedAt: SANDBOX_START.getTime(), minutes: MINUTES };
    const rings = alarmsOver(config ? [config] : [], run).filter(({ ringings }) => ringings.length > 0);
    return rings.map(({ heading, ringings }) => `${heading} from ${ringings[0]?.from}`);
  }

  it.each<{ case: string; act: Act; rings: boolean }>([
    { case: 'nobody changes anything', act: () => undefined, rings: false },
    {
      case: 'somebody switches off the protection of one member',
      act: ({ group }) => {
        const [member] = group.instances;
        if (member !== undefined) group.setInstanceProtection(member, false);
      },
      rings: true,
    },
    {
      case: 'somebody switches off the protection of new instances',
      act: ({ group }) => {
        group.settings.newInstancesProtectedFromScaleIn = false;
      },
      rings: true,
    },
  ])('when $case: $rings', async ({ act, rings }) => {
    const expected = ['Fleet Needs You from 13', 'Scale-In Protection Off from 13'];
    expect(await rung(act)).toEqual(rings ? expected : []);
  });
});
