import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeLife, type Instance, launch } from '../harness.ts';

/** The files on an instance's disk that hold a text. */
const holding = ({ machine }: Instance, text: string) =>
  spawnSync('grep', ['-rlF', '--devices=skip', text, '.'], { cwd: machine.root, encoding: 'utf8' })
    .stdout.split('\n')
    .filter((path) => path !== '' && !/^\.\/(proc|sys|dev|run)\//.test(path));

/** The resource class token that a runner was configured with. */
function tokenOf({ machine }: Instance): string {
  const [, token] = /auth_token: "(.+)"/.exec(machine.read('etc/autoscaler/runner.yaml')) ?? [];
  return token ?? expect.fail('there is no token');
}

/** An instance whose runner is up, with the script, and with what people and jobs leave there. */
async function used(): Promise<{ instance: Instance; token: string; clean: () => Promise<string> }> {
  const instance = await launch({ install: '#!/bin/sh\necho installed\n', task: 'sleep 60' });
  const { machine } = instance;
  machine.start();
  await instance.up();
  machine.write('root/clean-image', readFileSync('examples/clean-image.sh', 'utf8'), 0o755);
  return { instance, token: tokenOf(instance), clean: () => machine.run('/root/clean-image') };
}

describeLife('an image of an instance', () => {
  it('holds no token, credential or log after clean-image.sh, and what the next boot does not repeat', async () => {
    const { instance, token, clean } = await used();
    const { machine } = instance;
    machine.write('root/.bash_history', `export CIRCLECI_RUNNER_API_AUTH_TOKEN=${token}\n`);
    machine.write('home/circleci/.docker/config.json', `{"auths": "${token}"}`);
    machine.write('var/log/app/job.log', `debug ${token}\n`);
    machine.write('var/lib/autoscaler/work/task/.env', `TOKEN=${token}\n`);
    machine.write('etc/ssh/ssh_host_ed25519_key', 'private');
    expect(holding(instance, token).length).toBeGreaterThan(4);

    expect(await clean()).toContain('clean-image: clean.');
    expect(holding(instance, token)).toEqual([]);
    expect(holding(instance, 'private').filter((path) => path.includes('ssh_host'))).toEqual([]);
    expect(machine.read('etc/machine-id')).toBe('');
    const kept = execFileSync('ls', [join(machine.root, 'var/lib/autoscaler')], { encoding: 'utf8' });
    expect(kept).toMatch(/^installed-[0-9a-f]{64}$/m);
    expect(machine.read('usr/bin/circleci-runner').length).toBeGreaterThan(0);
  });

  it('is not called clean if the token is where nobody looks for it', async () => {
    const { instance, token, clean } = await used();
    instance.machine.write('opt/somewhere/else.json', `{"token": "${token}"}`);
    await expect(clean()).rejects.toMatchObject({
      stderr: expect.stringContaining('still in:\n/opt/somewhere/else.json'),
    });
  });
});
