import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { buildComponent, type ImageInputs } from '../../userdata/image-component.ts';
import type { Machine } from './machine.ts';

/** Makes images as EC2 Image Builder does, with the documents of the pipeline. */

/** An instance. A build needs its machine. */
interface Built {
  machine: Machine;
}

type Launch<Of extends Built> = (scenario: {
  userData: string;
  targetState: 'none';
  stock: true;
  image?: string;
}) => Promise<Of>;

/** User data that do nothing: those of the machines on which EC2 Image Builder builds and tests. */
const NOTHING = '#cloud-boothook\n#!/bin/sh\necho the machine is up >/dev/console\n';

const PATH = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';

interface Document {
  phases: { name: string; steps: { name: string; inputs: { commands: string[] } }[] }[];
}

/** Runs the phases of a component on a machine as EC2 Image Builder does: each step is a script of root's. */
export async function run({ machine }: Built, component: string, ...phases: string[]): Promise<string> {
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
export async function started<Of extends Built>(launch: Launch<Of>, image?: string): Promise<Of> {
  const instance = await launch({
    userData: NOTHING,
    targetState: 'none',
    stock: true,
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

/** Makes the image as EC2 Image Builder does, and returns its folders and what the build said. */
export async function buildImage<Of extends Built>(
  launch: Launch<Of>,
  inputs: ImageInputs,
): Promise<{ image: string; said: string; builder: Of }> {
  const builder = await started(launch);
  const said = await run(builder, buildComponent(inputs), 'build', 'validate');
  await builder.machine.stop();
  return { image: builder.machine.snapshot(), said, builder };
}
