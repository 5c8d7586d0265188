import { describe, expect, it } from 'vitest';
import type { FleetWorld, Sandbox } from '../../sandbox/sandbox.ts';
import { failuresIn, jobs, LINUX, openSandbox, polledAt } from '../support/sandbox.ts';

const MACOS = { ...LINUX, name: 'macos', resourceClass: 'acme/macos' };

describe('two fleets', () => {
  it.each<{ case: string; arrange: (sandbox: Sandbox, linux: FleetWorld) => void }>([
    {
      case: 'CircleCI hangs for',
      arrange: (sandbox) => {
        sandbox.circleci.fault = ({ resourceClass }) => (resourceClass === 'acme/linux' ? 'hang' : undefined);
      },
    },
    { case: 'CircleCI does not know', arrange: (sandbox) => sandbox.circleci.classes.delete('acme/linux') },
    {
      case: 'there is no secret of',
      arrange: (sandbox, { settings }) => sandbox.aws.secrets.delete(settings.scalerSecretName),
    },
    {
      case: 'there is no group of',
      arrange: (sandbox, { settings }) => sandbox.aws.groups.delete(settings.groupName),
    },
  ])('do not touch each other when $case one of them', async ({ arrange }) => {
    const sandbox = await openSandbox();
    const linux = sandbox.addFleet(LINUX, jobs(3));
    const macos = sandbox.addFleet(MACOS, jobs(4));
    sandbox.catchUp();
    arrange(sandbox, linux);
    await sandbox.runUntil(180);

    expect(linux.outcomes).toEqual({ succeeded: 0, failed: 3 });
    expect(linux.group.desired).toBe(0);
    expect(macos.outcomes).toEqual({ succeeded: 3, failed: 0 });
    expect(macos.group.desired).toBe(4);
    expect(macos.executions.map(polledAt)).toEqual(Array(3).fill([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]));
    const failing = failuresIn(sandbox.workflow.metrics).map(({ dimensions }) => dimensions.Fleet);
    expect(new Set(failing)).toEqual(new Set(['linux']));
  });

  it('do not touch each other when launches of one of them fail', async () => {
    const sandbox = await openSandbox();
    const linux = sandbox.addFleet({ ...LINUX, launchFault: () => 'failing' }, jobs(3));
    const macos = sandbox.addFleet(MACOS, jobs(4));
    sandbox.catchUp();
    await sandbox.runUntil(240);

    expect(linux.queue.unclaimed).toBe(3);
    expect(macos.queue).toMatchObject({ unclaimed: 0, running: 4 });
    const open = sandbox.workflow.metrics.filter(({ name }) => name === 'BreakerOpen');
    expect(new Set(open.map(({ dimensions }) => dimensions.Fleet))).toEqual(new Set(['linux']));
  });
});
