import { expect, it } from 'vitest';
import { describeScript, Instance } from './instance.ts';

const NOTHING = { nft: '', 'systemd-analyze': '', systemctl: 'echo masked', id: '' };

/** Tests an image that has this runner, prepared with the release that the fleet pins, or with any. */
async function testImage(runner: string, { version = '3.1.13', pinned = true, commands = {} } = {}) {
  const instance = await Instance.start({
    commands: { ...NOTHING, 'circleci-runner': runner, ...commands },
    kept: { prepared: ` ${version} false \n`, ...(pinned && { [`runner-${version}`]: '' }) },
    environment: { INSTALL_OBJECT: '', RUNNER_VERSION: version, DOCKER: 'false', UPDATES: 'apt-daily.timer' },
  });
  const { status, stderr } = await instance.run('image-test');
  const said = stderr.split('\n').filter((line) => /runner (starts|reports|is)/.test(line));
  return { status, said: said.map((line) => line.replace('image-test: ', '')) };
}

describeScript('the test of an image', () => {
  it.each(['echo 3.1.13', 'echo circleci-runner version v3.1.13-8921-4a09ff7', 'echo version: 3.1.13 >&2'])(
    'passes a runner that reports the pinned release: %s',
    async (runner) => {
      expect(await testImage(runner)).toEqual({
        status: 0,
        said: [
          'ok: the runner starts',
          'the version that the runner reports: 3.1.13',
          'ok: the runner is the pinned 3.1.13',
        ],
      });
    },
  );

  it('compares the number of a release whose name has more', async () => {
    const { status } = await testImage('echo 3.1.13', { version: '3.1.13-8921-4a09ff7' });
    expect(status).toBe(0);
  });

  it.each(['3.1.1', '13.1.13', '3.1.130'])('fails a runner that reports %s', async (version) => {
    const { status, said } = await testImage(`echo version ${version}`);
    expect(said).toContain(`the version that the runner reports: ${version}`);
    expect(said).toContain('FAILED: the runner is the pinned 3.1.13');
    expect(status).toBe(1);
  });

  it('passes any release that the image below had, if the fleet pins none', async () => {
    const { status, said } = await testImage('echo 2.9.0', { pinned: false });
    expect({ status, said }).toEqual({
      status: 0,
      said: ['ok: the runner starts', 'the version that the runner reports: 2.9.0'],
    });
  });

  it('passes a runner that reports no version, because no document says that it must', async () => {
    const { status, said } = await testImage('echo unknown flag >&2; exit 80');
    expect(said).toContain('the version that the runner reports: none');
    expect(status).toBe(0);
  });

  it.each([
    { case: 'crashes', runner: 'kill -SEGV $$' },
    { case: 'cannot run on this machine', runner: 'exit 126' },
    { case: 'does not end', runner: '', commands: { timeout: 'exit 124' } },
  ])('fails a runner that $case', async ({ runner, commands = {} }) => {
    const { status, said } = await testImage(runner, { commands });
    expect(said).toContain('FAILED: the runner starts');
    expect(status).toBe(1);
  });
});
