import { expect, it } from 'vitest';
import { COMPLETE, describeLife, expectGone, launch, live, TERMINATE, world } from '../harness.ts';
import { haveUpdated, updatesAreDue } from '../trouble.ts';

describeLife('an instance of a warm pool', () => {
  it('is prepared, stopped without leaving, and claims work only when it is wanted in service', async () => {
    await world.aws.putObject('scripts/counting', '#!/bin/sh\necho installed >>/var/lib/installed\n');
    const instance = await launch({
      targetState: 'Warmed:Stopped',
      inputs: { installObject: 'scripts/counting' },
      task: 'cat /var/lib/installed',
    });
    instance.machine.start();
    await instance.machine.until(
      () => world.aws.hooks.get(instance.id) === 'CONTINUE',
      90,
      'it is initialised',
    );
    expect(() => instance.machine.read('etc/autoscaler/runner.yaml')).toThrow('ENOENT');
    await instance.machine.stop();
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`]);
    expect(instance.heard().claims).toBe(0);

    instance.metadata.set('autoscaling/target-lifecycle-state', 'InService');
    world.aws.hooks.set(instance.id, undefined);
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'installed\n' }]);
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('that is kept running claims work once it is wanted in service', async () => {
    const instance = await launch({ targetState: 'Warmed:Running', task: 'true' });
    instance.machine.start();
    await instance.machine.until(
      () => world.aws.hooks.get(instance.id) === 'CONTINUE',
      90,
      'it is initialised',
    );
    expect(instance.heard().claims).toBe(0);
    world.aws.hooks.set(instance.id, undefined);
    instance.metadata.set('autoscaling/target-lifecycle-state', 'InService');
    await instance.machine.off(90);
    expect(instance.heard().claims).toBe(1);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('that cannot be prepared is given up', async () => {
    const instance = await launch({
      targetState: 'Warmed:Stopped',
      inputs: { installObject: 'scripts/none' },
    });
    await live(instance);
    expect(instance.calls()).toEqual([`${COMPLETE} ABANDON`]);
    expect(world.aws.hooks.get(instance.id)).toBe('ABANDON');
  });

  it('runs no updates beside its job, although they became due while it was stopped', async () => {
    const instance = await launch({ targetState: 'Warmed:Stopped', task: 'sleep 15' });
    instance.machine.start();
    await instance.up();
    await instance.machine.stop();
    updatesAreDue(instance.machine);
    instance.metadata.set('autoscaling/target-lifecycle-state', 'InService');
    world.aws.hooks.set(instance.id, undefined);
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    expect(await haveUpdated(instance.machine)).toBe(false);
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
