import { expect, it } from 'vitest';
import { describeLife, expectGone, type Instance, launch, live, world } from '../harness.ts';
import {
  becomesAmazonLinux,
  canHoldLocks,
  haveUpdated,
  holding,
  holdsLock,
  type Lock,
  updatesAreDue,
} from '../trouble.ts';

/** What an adopter's install script may be: each command once, and the first failure ends it. */
const INSTALL = '#!/bin/sh\nset -e\napt-get update\napt-get install -y compiler\n';

/** Expects that a job was claimed and found what the install script installs. */
async function expectWorked(instance: Instance): Promise<void> {
  const { heard, machine } = instance;
  expect(heard(), machine.console).toMatchObject({
    claims: 1,
    finished: [{ outcome: 0, output: 'compiled\n' }],
  });
  await expectGone(instance, { hook: 'CONTINUE' });
}

describeLife('an instance whose package manager is busy from the start', () => {
  const locks: Lock[] = ['lists', 'dpkg'];
  const apt = [90, 25, 5].flatMap((seconds) => locks.map((lock) => ({ lock, seconds })));

  it.each(apt)('waits for the lock of $lock, held for $seconds s', async ({ lock, seconds }) => {
    const instance = await launch({ install: INSTALL, fleet: { bootTimeout: 300 }, task: 'compiler' });
    holdsLock(instance.machine, lock, seconds);
    await live(instance, 280);
    await expectWorked(instance);
  });

  it.each([90, 25, 5])('waits for the lock of rpm, held for %i s', async (seconds) => {
    const install = '#!/bin/sh\nset -e\ndnf install -y compiler\n';
    const instance = await launch({ install, fleet: { bootTimeout: 300 }, task: 'compiler' });
    await becomesAmazonLinux(instance.machine, world.downloads);
    holdsLock(instance.machine, 'rpm', seconds);
    await live(instance, 280);
    await expectWorked(instance);
  });

  it('gets the runner from the repository of the vendor, whose script hides that apt failed', async () => {
    const install = `#!/bin/sh\nset -e\ncurl -fsS ${world.downloads}/runner/script.deb.sh | bash
apt-get install -y circleci-runner compiler\n`;
    const instance = await launch({ install, fleet: { bootTimeout: 300 }, task: 'compiler' });
    holdsLock(instance.machine, 'lists', 15);
    await live(instance, 280);
    await expectWorked(instance);
  });
});

describeLife('an instance whose install script meets a lock', () => {
  it.each([
    { lock: 'lists' as const, command: 'apt-get update' },
    { lock: 'dpkg' as const, command: 'dpkg --install /var/cache/apt/archives/compiler_*.deb' },
  ])('of $lock runs it again', async ({ lock, command }) => {
    const install = `#!/bin/sh
set -e
apt-get update
apt-get install -y --download-only compiler
if [ ! -e /var/lib/met ]; then
  touch /var/lib/met
  systemd-run --quiet --service-type=notify ${holding(lock, 10)}
fi
${command}
apt-get install -y compiler
`;
    const instance = await launch({ install, fleet: { bootTimeout: 240 }, task: 'compiler' });
    canHoldLocks(instance.machine);
    await live(instance, 280);
    await expectWorked(instance);
  });

  it('of rpm runs it again', async () => {
    const install = `#!/bin/sh
set -e
if [ ! -e /var/lib/met ]; then
  touch /var/lib/met
  mkdir -p /var/lib/rpm
  systemd-run --quiet --service-type=notify ${holding('rpm', 10)}
fi
dnf install -y compiler
`;
    const instance = await launch({ install, fleet: { bootTimeout: 240 }, task: 'compiler' });
    await becomesAmazonLinux(instance.machine, world.downloads);
    canHoldLocks(instance.machine);
    await live(instance, 280);
    await expectWorked(instance);
  });
});

describeLife('an instance whose daily updates are due', () => {
  it('runs them when its user data do nothing about it', async () => {
    const instance = await launch({ userData: '#!/bin/sh\nsleep 1\n', stock: true });
    updatesAreDue(instance.machine);
    instance.machine.start();
    await instance.machine.shows('Finished apt-daily.service', 120);
    await instance.machine.stop();
    expect(await haveUpdated(instance.machine)).toBe(true);
  });

  it('installs what jobs need, and runs none of them beside a job', async () => {
    const instance = await launch({ install: INSTALL, task: 'sleep 12; compiler' });
    updatesAreDue(instance.machine);
    await live(instance);
    await expectWorked(instance);
    expect(await haveUpdated(instance.machine)).toBe(false);
  });
});
