import { expect, it } from 'vitest';
import { refusal } from '../../support/instance-aws.ts';
import { COMPLETE, describeLife, expectGone, launch, live, TERMINATE, WITH_BOX, world } from '../harness.ts';

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

  it('finishes a task that takes longer than systemd allows a reboot', async () => {
    const instance = await launch({ task: 'sleep 25' });
    // 30 minutes on every machine: https://www.freedesktop.org/software/systemd/man/latest/systemd.special.html
    for (const target of ['reboot', 'poweroff'])
      instance.machine.write(
        `etc/systemd/system/${target}.target.d/00-short.conf`,
        '[Unit]\nJobTimeoutSec=8\n',
      );
    instance.machine.start();
    await instance.up();
    await instance.machine.run('systemctl', '--no-block', 'reboot');
    await instance.machine.off(150);
    expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
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

  it('finishes a task that runs a container first', async () => {
    const instance = await launch({
      docker: true,
      fleet: { docker: true },
      install: WITH_BOX,
      task: 'docker run --rm box /bin/sh -c "sleep 10; echo from the container"',
    });
    instance.machine.start();
    await instance.up(180);
    await instance.machine.run('systemctl', '--no-block', 'reboot');
    await instance.machine.off(120);
    expect(instance.heard()).toMatchObject({
      claims: 1,
      finished: [{ outcome: 0, output: 'from the container\n' }],
    });
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});

describeLife('an instance with a task goes on with it when', () => {
  const RUN_AGAIN = `cloud-init clean --logs
cloud-init init
cloud-init modules --mode=final`;

  it.each([
    { what: 'its boot unit is restarted', command: 'systemctl restart autoscaler-boot.service' },
    { what: 'its boot unit is killed', command: 'systemctl kill --signal=KILL autoscaler-boot.service' },
    { what: 'its watch is killed', command: 'systemctl kill --signal=KILL autoscaler-watch.service' },
    { what: 'cloud-init runs its user data again', command: RUN_AGAIN },
    {
      what: 'its boot unit is restarted while AWS refuses all',
      command: 'systemctl restart autoscaler-boot.service',
      refuses: true,
    },
  ])('$what', async ({ command, refuses = false }) => {
    const instance = await launch({ task: 'sleep 30; echo end' });
    instance.machine.start();
    await instance.machine.shows('claimed a task', 90);
    if (refuses) {
      let refused = 0;
      world.aws.faults.set(instance.id, () => {
        refused += 1;
        return refused <= 3 ? refusal('AccessDenied', 'No.', 403) : undefined;
      });
    }
    await instance.machine.run('sh', '-c', `${command} || true`);
    await instance.machine.off(120);
    expect(instance.heard(), instance.machine.console).toMatchObject({
      claims: 1,
      finished: [{ outcome: 0, output: 'end\n' }],
    });
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
