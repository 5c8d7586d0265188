import { describe, expect, it } from 'vitest';
import { COMPLETE, describeLife, expectGone, launch, live, TERMINATE, world } from '../harness.ts';
import { becomesAmazonLinux } from '../trouble.ts';

describeLife('an instance', () => {
  describe('with a task', () => {
    it('runs it as the task user, tells the group that it is up, and leaves', async () => {
      const instance = await launch({
        task: 'id -un; pwd; echo "$HOME"; cat /proc/self/oom_score_adj; nice; echo done >file; sleep 5',
      });
      await live(instance);
      expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 0 }] });
      expect(instance.heard().finished[0]?.output.split('\n')).toEqual([
        'circleci',
        '/var/lib/autoscaler/work/task',
        '/home/circleci',
        '500',
        '0',
        '',
      ]);
      expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('leaves in the same way when it fails', async () => {
      const instance = await launch({ task: 'exit 3' });
      await live(instance);
      expect(instance.heard()).toMatchObject({ claims: 1, finished: [{ outcome: 3 }] });
      await expectGone(instance, { hook: 'CONTINUE' });
    });

    it('keeps the token from it, and from every log', async () => {
      const instance = await launch({
        task: 'env; ps auxwwe; cat /etc/autoscaler/runner.yaml; ls -la /etc/autoscaler; sleep 3; echo end',
      });
      instance.machine.start();
      await instance.machine.shows('claimed a task', 90);
      expect(await instance.machine.run('stat', '--format=%a %U', '/etc/autoscaler/runner.yaml')).toBe(
        '600 root\n',
      );
      await instance.machine.off(90);
      const output = instance.heard().finished[0]?.output ?? '';
      expect(output).toContain('end\n');
      expect(output).toMatch(/runner.yaml: Permission denied/);
      const journal = await instance.machine.inspect('journalctl', '--directory=/var/log/journal', '--quiet');
      for (const text of [output, instance.machine.console, journal]) {
        expect(text).not.toContain('good-token');
        expect(text).not.toContain('instance-session-token');
        expect(text).not.toContain('instance/secret+key');
      }
    });

    it('has its work cleaned up, and no runner that starts again', async () => {
      const instance = await launch({ task: 'touch file' });
      await live(instance);
      expect(
        await instance.machine.inspect('sh', '-c', 'ls /var/lib/autoscaler/work 2>/dev/null || true'),
      ).toBe('');
      expect(
        await instance.machine.inspect('sh', '-c', 'ls /etc/systemd/system/multi-user.target.wants'),
      ).not.toContain('circleci-runner.service');
      expect(instance.heard().claims).toBe(1);
    });

    it('ends a task that runs for too long, and leaves', async () => {
      const instance = await launch({ task: 'sleep 100', fleet: { maxRunTime: 4 } });
      await live(instance);
      expect(instance.heard().finished).toMatchObject([{ outcome: 'took too long' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    });
  });

  it('without a task idles out, and leaves', async () => {
    const instance = await launch({ fleet: { idleTimeout: 6 } });
    await live(instance);
    expect(instance.heard()).toEqual({ claims: 0, finished: [] });
    expect(instance.machine.console).toContain('idle for too long');
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('whose runner ends well at once had a good launch', async () => {
    const instance = await launch({ fleet: { idleTimeout: 0 } });
    await live(instance);
    expect(instance.calls()).toEqual([`${COMPLETE} CONTINUE`, `${TERMINATE} true`]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('installs the release that the fleet pins', async () => {
    const instance = await launch({
      fleet: { runner: { version: '3.1.13', sha256: world.runnerSha256 } },
      task: 'id -un',
    });
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('of an image of another instance is what its own user data say, and installs nothing that is there', async () => {
    const installSha256 = '5ca1ab1e'.padEnd(64, '0');
    const inputs = { installObject: 'scripts/none', installSha256 };
    const instance = await launch({ inputs, task: 'id -un' });
    instance.machine.write('var/lib/autoscaler/instance', 'INSTANCE_ID=i-0fedcba9876543210\n', 0o644);
    instance.machine.write(`var/lib/autoscaler/installed-${installSha256}`, '', 0o644);
    await live(instance);
    expect(instance.machine.console).not.toContain('install script');
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('of Amazon Linux installs with dnf, the runner as well if its install script does', async () => {
    const install = `#!/bin/sh\nset -e\ncurl -fsS ${world.downloads}/runner/script.rpm.sh | bash
dnf install -y circleci-runner compiler\n`;
    const instance = await launch({ install, task: 'id -un; compiler' });
    await becomesAmazonLinux(instance.machine, world.downloads);
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\ncompiled\n' }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('of Amazon Linux without an install script needs no package manager', async () => {
    const instance = await launch({ task: 'id -un' });
    await becomesAmazonLinux(instance.machine, world.downloads);
    await instance.machine.inspect('rm', '/usr/bin/dnf');
    await live(instance);
    expect(instance.heard().finished).toMatchObject([{ outcome: 0, output: 'circleci\n' }]);
    await expectGone(instance, { hook: 'CONTINUE' });
  });

  it('has units that systemd finds no fault with', async () => {
    const instance = await launch();
    await live(instance);
    const verify = 'systemd-analyze verify --man=no /etc/systemd/system/autoscaler-*.service 2>&1';
    expect(await instance.machine.inspect('sh', '-c', verify)).toBe('');
  });
});
