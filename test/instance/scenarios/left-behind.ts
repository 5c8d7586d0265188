import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { refusal } from '../../support/instance-aws.ts';
import { describeLife, expectGone, launch, live, TERMINATE, world } from '../harness.ts';

/** What install scripts and jobs leave behind on an instance. */

/** A job's own service, which systemd starts for the job's user at every boot, and which asks for the role. */
const SPY = `cat >~/spy <<'END'
imds=http://169.254.169.254/latest
while sleep 0.3; do
  token=$(curl -sS -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token) || continue
  curl -fsS -m 3 -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/iam/security-credentials/runner-role
done >>~/stolen 2>&1
END
mkdir -p ~/.config/systemd/user/default.target.wants
printf '[Service]\\nExecStart=/bin/sh %%h/spy\\n' >~/.config/systemd/user/spy.service
ln -s ../spy.service ~/.config/systemd/user/default.target.wants/spy.service
echo ready; sync; sleep 200`;

describeLife('what is left behind', () => {
  it('by an install script goes on after the boot, which does not wait for it', async () => {
    const instance = await launch({
      install: '#!/bin/sh\nsleep 4321 &\necho the script is done\n',
      task: 'sleep 12; pgrep --full "sleep 4321" >/dev/null && echo still there',
    });
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'still there\n' }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('by a job does not reach the role after a power cut, however long leaving takes', async () => {
    const instance = await launch({
      // Stock images let a user do this for itself, by polkit, which these machines lack.
      install:
        '#!/bin/sh\nset -e\nid circleci >/dev/null 2>&1 || useradd --create-home --shell /bin/bash circleci\nloginctl enable-linger circleci\n',
      task: SPY,
    });
    const read = (path: string) => {
      try {
        return instance.machine.read(path);
      } catch {
        return '';
      }
    };
    instance.machine.start();
    await instance.up(120);
    const spy = 'home/circleci/.config/systemd/user/spy.service';
    await instance.machine.until(() => read(spy).includes('ExecStart'), 60, 'the job has left its service');
    await sleep(3_000);
    await instance.machine.cut();
    let throttled = 0;
    world.aws.faults.set(instance.id, ({ action }) => {
      if (action !== TERMINATE || throttled === 4) return undefined;
      throttled += 1;
      return refusal('Throttling', 'Rate exceeded');
    });
    await live(instance);
    expect(throttled).toBe(4);
    // It was there, and was refused.
    expect(read('home/circleci/stolen')).toContain('curl:');
    expect(read('home/circleci/stolen')).not.toContain('AccessKeyId');
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('in an image that claims to be prepared does not keep the boot from installing the runner', async () => {
    const instance = await launch({ task: 'true', stock: true });
    instance.machine.write('var/lib/autoscaler/prepared', '  false \n');
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0 }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });
});
