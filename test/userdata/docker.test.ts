import { expect, it } from 'vitest';
import { describeScript, Instance } from './instance.ts';

/** Commands that leave their arguments in the record and do nothing. */
const NOTHING = { systemctl: '', 'apt-get': '', groupadd: '' };

describeScript('docker', () => {
  it.each([
    { family: 'Ubuntu', commands: NOTHING, manager: 'apt-get', wanted: /\binstall\b.* docker\.io$/ },
    {
      family: 'Amazon Linux',
      commands: { systemctl: '', dnf: '', groupadd: '' },
      manager: 'dnf',
      wanted: /\binstall\b.* docker$/,
    },
  ])('installs the package of $family, and enables it', async ({ commands, manager, wanted }) => {
    const instance = await Instance.start({ commands });
    const { status } = await instance.run('docker');
    expect(status).toBe(0);
    expect(instance.commands(manager).at(-1)).toMatch(wanted);
    expect(instance.commands('systemctl')).toEqual(['enable --now docker.service']);
  });

  it('takes the Docker that the image has, and makes the group that it may lack', async () => {
    const instance = await Instance.start({ commands: { ...NOTHING, dockerd: '' } });
    const { status } = await instance.run('docker');
    expect(status).toBe(0);
    expect(instance.commands('groupadd')).toEqual(['--force docker']);
    expect(instance.commands('apt-get')).toEqual([]);
    expect(instance.commands('systemctl')).toEqual(['enable --now docker.service']);
  });

  it.each([
    { case: 'the package cannot be installed', commands: { ...NOTHING, 'apt-get': 'exit 100' } },
    { case: 'Docker does not start', commands: { ...NOTHING, dockerd: '', systemctl: 'exit 1' } },
  ])('fails, so that the boot tries again, if $case', async ({ commands }) => {
    const instance = await Instance.start({ commands });
    expect((await instance.run('docker')).status).not.toBe(0);
  });
});
