import { randomUUID } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { expect, it } from 'vitest';
import { buildComponent, type ImageInputs, testComponent } from '../../../userdata/image-component.ts';
import { buildImage, run, started } from '../build-image.ts';
import { describeLife, expectGone, type Instance, launch, live, world } from '../harness.ts';
import { MIRROR } from '../mirror.ts';

/** What a job of the fleet needs, from the archive, which takes a second to list its packages. */
const INSTALL = '#!/bin/sh\nset -e\napt-get update\napt-get install -y compiler\n';

/** The same with many packages, from a repository of realistic size. */
const installFrom = (mirror: string) =>
  `#!/bin/sh\nset -e\necho 'deb [trusted=yes] ${mirror} ./' >/etc/apt/sources.list\napt-get update\napt-get install -y tools\n`;

/** The fleet for which the image is built. */
async function fleet(install = INSTALL): Promise<{ inputs: ImageInputs; installObject: string }> {
  const installObject = `scripts/${randomUUID()}`;
  await world.aws.putObject(installObject, install);
  const installSha256 = world.aws.sha256.get(installObject);
  return {
    installObject,
    inputs: {
      fleet: {
        runner: { version: '3.1.13', sha256: world.runnerSha256 },
        instanceTypes: ['m7i.large'],
        instanceRequirements: undefined,
        docker: false,
        httpProxy: undefined,
        noProxy: undefined,
        logs: false,
      },
      installObject,
      installSha256,
    },
  };
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1_000_000)} MB`;

/** How long each part of a boot took, in milliseconds, as the boot says it. */
function timesOf({ machine }: Instance): { line: string; own: number; whole: number } {
  const line = /boot: times: false \d+ (.*)/.exec(machine.console)?.[1];
  if (line === undefined) throw new Error(`The boot does not say how long it took:\n${machine.console}`);
  const [network = 0, ...own] = line
    .trim()
    .split(' ')
    .map((hundredths) => Number(hundredths) * 10);
  const share = own.reduce((sum, ms) => sum + ms, 0);
  return { line, own: share, whole: network + share };
}

describeLife('an image that is built', () => {
  it('passes its tests, and its boots run a job without installing anything, in a fraction of the time', async () => {
    const { url, indexBytes } = await world.openMirror();
    const { inputs, installObject } = await fleet(installFrom(url));
    const { image, said, builder } = await buildImage(launch, inputs);
    expect(said).toMatch(/install script: \d+ ms[\s\S]*runner: \d+ ms[\s\S]*nothing is left behind/);
    expect(builder.machine.read('etc/machine-id')).toBe('');
    expect(lstatSync(`${builder.machine.root}/var/lib/dbus/machine-id`).isSymbolicLink()).toBe(true);

    const tested = await run(await started(launch, image), testComponent(inputs), 'test');
    expect(tested.match(/^image-test: .*$/gm)).toEqual([
      'image-test: ok: a boot has nothing to install',
      'image-test: ok: the runner starts',
      'image-test: the version that the runner reports: 3.1.13',
      'image-test: ok: the runner is the pinned 3.1.13',
      "image-test: ok: the firewall's rules load",
      'image-test: ok: the units verify',
      'image-test: ok: no updates run by themselves',
      'image-test: ok: there is a task user',
    ]);

    const boot = (of?: string) =>
      launch({
        fleet: { runner: inputs.fleet.runner },
        inputs: { installObject },
        task: 'compiler',
        ...(of === undefined ? { stock: true } : { image: of }),
      });
    const [stock, built] = [await boot(), await boot(image)];
    for (const instance of [stock, built]) {
      await live(instance);
      expect(instance.heard().finished).toEqual([{ outcome: 0, output: 'compiled\n' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    }
    expect(stock.machine.console).toMatch(/boot: install script: \d+ ms/);
    expect(built.machine.console).not.toMatch(/boot: (install script|runner|nftables): /);
    // Nothing but AWS and CircleCI: no package index, no key, no release.
    expect(world.servicesOf(stock.id)).toEqual(['aws.internal', 'circleci.internal', 'downloads.internal']);
    expect(world.servicesOf(built.id)).toEqual(['aws.internal', 'circleci.internal']);
    const [before, after] = [timesOf(stock), timesOf(built)];
    const ratio = (part: 'own' | 'whole') => (after[part] / before[part]).toFixed(2);
    const { listed, installed, bytes, pace } = MIRROR;
    console.log(
      `package repository: ${listed} packages listed in ${megabytes(indexBytes)}, ${installed} of them installed in ${megabytes(installed * bytes)}; ${pace.latency} ms to the first byte, ${megabytes(pace.rate)}/s`,
    );
    console.log(
      `boot, stock and built: our scripts ${before.own} and ${after.own} ms (${ratio('own')}), since systemd ${before.whole} and ${after.whole} ms (${ratio('whole')})\n  stock: ${before.line}\n  built: ${after.line}`,
    );
    // It was 0.14 to 0.27 on a busy machine with two processors. What a boot leaves out is held above.
    expect(after.own).toBeLessThan(before.own / 2);
  });

  it('is not made if the install script leaves a credential behind', async () => {
    const { inputs, installObject } = await fleet();
    await world.aws.putObject(
      installObject,
      '#!/bin/sh\nmkdir -p /root/.aws && echo secret >/root/.aws/credentials\n',
    );
    const installSha256 = world.aws.sha256.get(installObject);
    const builder = await started(launch);
    await expect(
      run(builder, buildComponent({ ...inputs, installSha256 }), 'build', 'validate'),
    ).rejects.toThrow(/LeftBehind failed:\n[\s\S]*the image would have \/root\/\.aws/);
  });

  it('does not pass its tests if a boot would still install something', async () => {
    const { inputs } = await fleet();
    const stock = await started(launch);
    await expect(run(stock, testComponent(inputs), 'test')).rejects.toThrow(
      /FAILED: a boot has nothing to install[\s\S]*FAILED: the runner starts/,
    );
  });
});
