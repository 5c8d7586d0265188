import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeScript, Instance, realPath } from './instance.ts';

const PROXY = 'http://proxy.acme.example:3128';
const DIRECT = 'localhost,169.254.169.254,fd00:ec2::254,.acme.example';
const ENVIRONMENT = {
  http_proxy: PROXY,
  https_proxy: PROXY,
  HTTP_PROXY: PROXY,
  HTTPS_PROXY: PROXY,
  no_proxy: DIRECT,
  NO_PROXY: DIRECT,
};
const LINES = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);

const COMMANDS = { sed: `exec ${realPath('sed')} "$@"`, mv: `exec ${realPath('mv')} "$@"`, systemctl: '' };

/** An instance with these files of the image's, and the folders that a stock image has. */
async function withFiles(files: Record<string, string>, commands: Record<string, string> = {}) {
  const instance = await Instance.start({ commands: { ...COMMANDS, ...commands } });
  for (const folder of ['etc/profile.d', 'etc/apt/apt.conf.d', 'etc/dnf'])
    mkdirSync(join(instance.folder, folder), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(instance.folder, path), text);
  instance.own();
  const read = (path: string) => readFileSync(join(instance.folder, path), 'utf8');
  return { instance, read };
}

describeScript('proxy', () => {
  it('gives it to logins and sudo by /etc/environment, and leaves what is there', async () => {
    const { instance, read } = await withFiles({ 'etc/environment': 'PATH="/usr/bin:/bin"\nLANG=C\n' });
    expect((await instance.run('proxy', ENVIRONMENT)).status).toBe(0);
    expect(read('etc/environment')).toBe(
      ['PATH="/usr/bin:/bin"', 'LANG=C', '# autoscaler: proxy', ...LINES, '# autoscaler: end', ''].join('\n'),
    );
  });

  it('replaces what it wrote at an earlier boot', async () => {
    const { instance, read } = await withFiles({ 'etc/environment': 'LANG=C\n' });
    await instance.run('proxy', ENVIRONMENT);
    const first = read('etc/environment');
    await instance.run('proxy', { ...ENVIRONMENT, http_proxy: 'http://other:1' });
    expect(read('etc/environment')).toBe(first.replace(PROXY, 'http://other:1'));
  });

  it('gives it to login shells in both spellings', async () => {
    const { instance, read } = await withFiles({});
    await instance.run('proxy', ENVIRONMENT);
    const exported = LINES.map((line) => `export ${line.replace('=', "='")}'\n`).join('');
    expect(read('etc/profile.d/autoscaler-proxy.sh')).toBe(exported);
  });

  it('gives it to apt and dnf, to which sudo does not hand it on', async () => {
    const { instance, read } = await withFiles({
      'etc/dnf/dnf.conf': '[main]\ngpgcheck=1\nproxy=http://old\n',
    });
    await instance.run('proxy', ENVIRONMENT);
    await instance.run('proxy', ENVIRONMENT);
    expect(read('etc/apt/apt.conf.d/99-autoscaler-proxy')).toBe(
      `Acquire::http::Proxy "${PROXY}";\nAcquire::https::Proxy "${PROXY}";\n`,
    );
    expect(read('etc/dnf/dnf.conf')).toBe(`[main]\nproxy=${PROXY}\ngpgcheck=1\n`);
  });

  it('gives it to services, and restarts those that the image started before', async () => {
    const { instance, read } = await withFiles({}, { systemctl: 'case $1 in try-restart) exit 5 ;; esac' });
    expect((await instance.run('proxy', ENVIRONMENT)).status).toBe(0);
    expect(read('etc/systemd/system.conf.d/autoscaler-proxy.conf')).toBe(
      `[Manager]\nDefaultEnvironment=${LINES.join(' ')}\n`,
    );
    expect(instance.commands('systemctl').slice(0, 2)).toEqual([
      'daemon-reload',
      'try-restart --no-block docker.service',
    ]);
  });

  it('fails without a proxy', async () => {
    const { instance } = await withFiles({});
    expect((await instance.run('proxy')).status).not.toBe(0);
  });
});
