import { expect, it } from 'vitest';
import type { USERS_OF_PACKAGE } from '../downloads.ts';
import { describeLife, expectGone, launch, live, world } from '../harness.ts';

/** What a shell has of its login, by name; what belongs to one session or one shell is left out. */
const LOGIN = `env | grep -vE '^(_|PWD|OLDPWD|SHLVL|TERM|XDG_[A-Z_]*|DBUS_SESSION_BUS_ADDRESS|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MAIL|LS_COLORS)=' | sort
umask
id
ulimit -n -u -c -l`;

describeLife('an instance on which the package of the runner', () => {
  it.each([
    { makes: 'makes a user with a home directory and a shell', folder: 'runner' },
    { makes: 'makes a system user without a shell or a home directory', folder: 'runner-nologin' },
    { makes: 'makes a user whose home directory does not exist', folder: 'runner-homeless' },
    { makes: 'makes no user', folder: 'runner-userless' },
  ] satisfies { makes: string; folder: keyof typeof USERS_OF_PACKAGE }[])(
    '$makes runs tasks at home, and the unit of the package does not run',
    async ({ folder }) => {
      const install = `#!/bin/sh\nset -e\ncurl -fsS ${world.downloads}/${folder}/script.deb.sh | bash
apt-get install -y circleci-runner\n`;
      const task =
        'id -un; cd && touch file && pwd; sleep 2; systemctl is-active circleci-runner.service; true';
      const instance = await launch({ install, task, stock: true });
      await live(instance);
      expect(instance.heard(), instance.machine.console).toMatchObject({
        claims: 1,
        finished: [{ outcome: 0, output: expect.stringMatching(/^circleci\n\/\S+\/circleci\S*\n/) }],
      });
      expect(instance.heard().finished[0]?.output).not.toMatch(/^active$/m);
      await expectGone(instance, { hook: 'CONTINUE' });
    },
  );
});

describeLife('an instance that configures what a login has', () => {
  it('gives its tasks the same environment, umask, groups and limits', async () => {
    const instance = await launch({ task: `cat <<'END' >~/login\n${LOGIN}\nEND\nbash ~/login; sleep 15` });
    const { machine } = instance;
    machine.write('etc/environment', 'FROM_ENVIRONMENT="a value"\n');
    machine.write('etc/profile.d/more.sh', 'export PATH="$PATH:/opt/more/bin" FROM_PROFILE=yes\numask 027\n');
    machine.write('etc/security/limits.d/more.conf', 'circleci - nofile 4096\ncirclecy - nproc 1000\n');
    machine.start();
    await machine.shows('claimed a task', 90);
    const login = await machine.run(
      ...['systemd-run', '--quiet', '--wait', '--pipe'],
      ...['su', '--login', 'circleci', '--command', LOGIN],
    );
    await machine.off(90);
    expect(instance.heard().finished[0]?.output).toBe(login);
    expect(login).toContain('FROM_PROFILE=yes');
    expect(login).toContain('FROM_ENVIRONMENT=a value');
  });
});
