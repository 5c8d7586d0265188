import { describe, expect, it } from 'vitest';
import {
  COMPLETE,
  describeLife,
  expectGone,
  launch,
  live,
  type Scenario,
  TERMINATE,
  world,
} from '../harness.ts';

describeLife('an instance', () => {
  describe('that cannot become a runner leaves at once, and its launch is abandoned:', () => {
    const cases: { case: string; scenario: Scenario; says: string }[] = [
      {
        case: 'the token is wrong',
        scenario: { inputs: { runnerSecretName: 'runners/bad' } },
        says: 'claim refused',
      },
      {
        case: 'there is no secret',
        scenario: { inputs: { runnerSecretName: 'runners/none' } },
        says: 'secret runners/none: ResourceNotFoundException',
      },
      {
        case: 'the secret has no value',
        scenario: { inputs: { runnerSecretName: 'runners/unset' } },
        says: 'secret runners/unset',
      },
      {
        case: 'the secret is no token',
        scenario: { inputs: { runnerSecretName: 'runners/json' } },
        says: 'the runner secret must be the resource class token',
      },
      {
        case: 'the release of the runner cannot be had',
        scenario: { environment: { RUNNER_RELEASES_URL: `${world.downloads}/nowhere` }, stock: true },
        says: 'nowhere/manifest.json: HTTP status 404',
      },
      {
        case: 'the release of the runner is not what the fleet takes it for',
        scenario: { fleet: { runner: { version: '3.1.13', sha256: '0'.repeat(64) } } },
        says: 'did NOT match',
      },
      {
        case: 'the install script fails',
        scenario: { inputs: { installObject: 'scripts/failing' } },
        says: 'no compiler for you',
      },
      {
        case: 'the install script cannot be had',
        scenario: { inputs: { installObject: 'scripts/none' } },
        says: 'failed in line',
      },
    ];

    it.each(cases)('$case', async ({ scenario, says }) => {
      await world.aws.putObject('scripts/failing', '#!/bin/sh\necho no compiler for you\nexit 7\n');
      const instance = await launch({ ...scenario, task: 'true' });
      await live(instance);
      expect(instance.machine.console).toContain(says);
      expect(instance.heard().claims).toBe(0);
      expect(instance.calls()).toEqual([`${TERMINATE} true`, `${COMPLETE} ABANDON`]);
      await expectGone(instance, { hook: 'ABANDON' });
    });

    it('no group wants it', async () => {
      const instance = await launch({ targetState: 'none', fleet: { bootTimeout: 4 }, task: 'true' });
      await live(instance);
      expect(instance.machine.console).toContain('no group wants this instance in service');
      expect(instance.heard().claims).toBe(0);
      await expectGone(instance, { hook: 'ABANDON' });
    });
  });

  it('whose boot hangs leaves when it is too old', async () => {
    await world.aws.putObject('scripts/hanging', '#!/bin/sh\nsleep 1000\n');
    const instance = await launch({ inputs: { ageLimitSeconds: 4, installObject: 'scripts/hanging' } });
    await live(instance);
    expect(instance.calls()).toEqual([`${TERMINATE} true`, `${COMPLETE} ABANDON`]);
    await expectGone(instance, { hook: 'ABANDON' });
  });

  it('whose boot takes longer than half its time makes sure that it is still awaited', async () => {
    await world.aws.putObject('scripts/slow', '#!/bin/sh\nsleep 5\n');
    const slow = { fleet: { bootTimeout: 8 }, inputs: { installObject: 'scripts/slow' }, task: 'true' };
    const awaited = await launch(slow);
    await live(awaited);
    expect(awaited.calls()[0]).toBe('RecordLifecycleActionHeartbeat');
    await expectGone(awaited, { hook: 'CONTINUE' });

    const late = await launch(slow);
    world.aws.hooks.set(late.id, 'ABANDON');
    await live(late);
    expect(late.heard().claims).toBe(0);
    expect(late.calls()).toContain(`${TERMINATE} true`);
  });
});
