import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildComponent, type ImageInputs, testComponent } from '../../../userdata/image-component.ts';
import { describeLife, expectGone, type Instance, launch, live, world } from '../harness.ts';

/** What a job of the fleet needs, from the archive, which takes a second to list its packages. */
const INSTALL = '#!/bin/sh\nset -e\napt-get update\napt-get install -y compiler\n';

/** User data that do nothing: those of the machines on which EC2 Image Builder builds and tests. */
const NOTHING = '#cloud-boothook\n#!/bin/sh\necho the machine is up >/dev/console\n';

const PATH = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';

interface Document {
  phases: { name: string; steps: { name: string; inputs: { commands: string[] } }[] }[];
}

/** Runs the phases of a component on a machine as EC2 Image Builder does: each step is a script of root's. */
async function run({ machine }: Instance, component: string, ...phases: string[]): Promise<string> {
  const output: string[] = [];
  const document: Document = parse(component);
  for (const { name, inputs } of document.phases
    .filter((phase) => phases.includes(phase.name))
    .flatMap(({ steps }) => steps)) {
    machine.write('root/step', inputs.commands.join('\n'));
    const environment = Object.entries(machine.environment).map(([key, value]) => `${key}=${value}`);
    output.push(
      await machine
        .run('env', '-i', PATH, ...environment, 'bash', '-c', 'bash /root/step 2>&1')
        .catch((error) => {
          throw new Error(`Step ${name} failed:\n${error.stdout}${error.stderr}`);
        }),
    );
  }
  await machine.run('rm', '/root/step');
  return output.join('');
}

/** A machine that is on, and whose cloud-init has ended. */
async function started(image?: string): Promise<Instance> {
  const instance = await launch({
    userData: NOTHING,
    targetState: 'none',
    ...(image !== undefined && { image }),
  });
  const { machine } = instance;
  machine.start();
  await machine.shows('the machine is up', 60);
  const ended = () =>
    machine.run('timeout', '5', 'systemctl', 'is-active', 'cloud-final.service').then(
      () => true,
      () => false,
    );
  for (const end = Date.now() + 60_000; !(await ended()); await sleep(200))
    if (Date.now() > end) throw new Error(`cloud-init has not ended:\n${machine.console}`);
  return instance;
}

/** The fleet for which the image is built. */
async function fleet(): Promise<{ inputs: ImageInputs; installObject: string }> {
  const installObject = `scripts/${randomUUID()}`;
  await world.aws.putObject(installObject, INSTALL);
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

/** Makes the image as EC2 Image Builder does, and returns its folders and what the build said. */
async function build(inputs: ImageInputs): Promise<{ image: string; said: string; builder: Instance }> {
  const builder = await started();
  const said = await run(builder, buildComponent(inputs), 'build', 'validate');
  await builder.machine.stop();
  return { image: builder.machine.snapshot(), said, builder };
}

/** How long the boot unit takes until it starts the runner, in milliseconds, by the journal. */
async function ownShare({ machine }: Instance): Promise<number> {
  const journal = await machine.inspect('journalctl', '--output=short-unix', '--no-pager');
  const at = (text: string) => {
    const line = journal.split('\n').find((candidate) => candidate.includes(text));
    if (line === undefined) throw new Error(`"${text}" is not in the journal:\n${journal}`);
    return Number.parseFloat(line) * 1_000;
  };
  return at('boot: runner start:') - at('Starting autoscaler-boot.service');
}

describeLife('an image that is built', () => {
  it('passes its tests, and its boots run a job without installing anything, in half the time', async () => {
    const { inputs, installObject } = await fleet();
    const { image, said, builder } = await build(inputs);
    expect(said).toMatch(/install script: \d+ ms[\s\S]*runner: \d+ ms[\s\S]*nothing is left behind/);
    expect(builder.machine.read('etc/machine-id')).toBe('');

    const tested = await run(await started(image), testComponent(inputs), 'test');
    expect(tested.match(/^image-test: .*$/gm)).toEqual([
      'image-test: ok: a boot has nothing to install',
      'image-test: ok: the runner starts',
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
        ...(of !== undefined && { image: of }),
      });
    const [stock, built] = [await boot(), await boot(image)];
    for (const instance of [stock, built]) {
      await live(instance);
      expect(instance.heard().finished).toEqual([{ outcome: 0, output: 'compiled\n' }]);
      await expectGone(instance, { hook: 'CONTINUE' });
    }
    expect(stock.machine.console).toMatch(/boot: install script: \d+ ms/);
    expect(built.machine.console).not.toMatch(/boot: (install script|runner|nftables): /);
    const [before, after] = [await ownShare(stock), await ownShare(built)];
    console.log(`boot unit until the runner: ${before.toFixed(0)} ms stock, ${after.toFixed(0)} ms built`);
    expect(after).toBeLessThan(before / 2);
  });

  it('is not made if the install script leaves a credential behind', async () => {
    const { inputs, installObject } = await fleet();
    await world.aws.putObject(
      installObject,
      '#!/bin/sh\nmkdir -p /root/.aws && echo secret >/root/.aws/credentials\n',
    );
    const installSha256 = world.aws.sha256.get(installObject);
    const builder = await started();
    await expect(
      run(builder, buildComponent({ ...inputs, installSha256 }), 'build', 'validate'),
    ).rejects.toThrow(/LeftBehind failed:\n[\s\S]*the image would have \/root\/\.aws/);
  });

  it('does not pass its tests if a boot would still install something', async () => {
    const { inputs } = await fleet();
    const stock = await started();
    await expect(run(stock, testComponent(inputs), 'test')).rejects.toThrow(
      /FAILED: a boot has nothing to install[\s\S]*FAILED: the runner starts/,
    );
  });
});
