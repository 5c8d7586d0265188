import { expect, it } from 'vitest';
import { COMPLETE, describeLife, expectGone, launch, live, TERMINATE, world } from '../harness.ts';

describeLife('an instance that is rebooted', () => {
  it('finishes its task first, and leaves', async () => {
    const instance = await launch({ task: 'sleep 8' });
    instance.machine.start();
    await instance.up();
    await instance.machine.run('systemctl', '--no-block', 'reboot');
    await instance.machine.off(90);
    expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('by a power cut leaves without another task: it is no clean machine', async () => {
    const instance = await launch({ task: 'sleep 100' });
    instance.machine.start();
    await instance.up();
    await instance.machine.cut();
    world.tasks.set(instance.id, { command: 'true' });
    await live(instance);
    expect(instance.machine.console).toContain('rebooted after its runner had started');
    expect(instance.heard()).toMatchObject({ claims: 1, finished: [] });
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('by its install script boots again, and makes sure that it is still awaited', async () => {
    await world.aws.putObject(
      'scripts/rebooting',
      '#!/bin/sh\n[ -e /var/lib/again ] && exit 0\ntouch /var/lib/again\nsystemctl reboot --force\nsleep 60\n',
    );
    const instance = await launch({ inputs: { installObject: 'scripts/rebooting' }, task: 'true' });
    await live(instance);
    expect(instance.heard().claims).toBe(1);
    expect(instance.calls()[0]).toBe('RecordLifecycleActionHeartbeat');
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
