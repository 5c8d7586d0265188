import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type ImageInputs, testComponent } from '../../userdata/image-component.ts';
import { runnerUserData, type UserDataInputs } from '../../userdata/user-data.ts';
import { metadataOf } from '../support/metadata-service.ts';
import { buildImage, run, started } from './build-image.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { World } from './world.ts';

/** What the scenarios share: one world, and instances that live in it. */

/** The image that fits what scenarios launch if they say nothing else. */
const BUILT: ImageInputs = {
  fleet: {
    runner: undefined,
    instanceTypes: ['m7i.large'],
    instanceRequirements: undefined,
    docker: false,
    httpProxy: undefined,
    noProxy: undefined,
    logs: false,
  },
  installObject: undefined,
  installSha256: undefined,
};

const skipped = process.env.INSTANCE_SKIPPED;
const machines: Machine[] = [];
export const world = new World();

/** The folders of the image that was built from the stock one with the components of the pipeline, if scenarios boot it. */
let built: string | undefined;

beforeAll(async () => {
  if (skipped !== undefined) return;
  await world.open(process.env.INSTANCE_PYTHON ?? '');
  if (process.env.INSTANCE_BUILT === undefined) return;
  const { image, said } = await buildImage(launch, BUILT);
  const tested = await run(await started(launch, image), testComponent(BUILT), 'test');
  console.log(`${said}${tested}`);
  built = image;
}, 300_000);
afterAll(async () => {
  for (const machine of machines) await machine.discard();
  if (skipped === undefined) world.close();
});

/** A `describe` whose scenarios run side by side, and are skipped with the reason where machines cannot run. */
export function describeLife(name: string, scenarios: () => void): void {
  describe
    .skipIf(skipped !== undefined)
    .concurrent(skipped === undefined ? name : `${name} (skipped: ${skipped})`, scenarios);
}

export interface Scenario extends MachineOptions {
  fleet?: Partial<UserDataInputs['fleet']>;
  inputs?: Partial<UserDataInputs>;
  /** What the group wants of the instance; `none` if it is in no group. */
  targetState?: string;
  minimum?: number;
  /** Shell commands of the task that waits for the runner. */
  task?: string;
  /** The fleet's install script. */
  install?: string;
  /** User data of a test's own. */
  userData?: string;
  /** Whether the image has Docker. */
  docker?: boolean;
  /** The folders of another image. */
  image?: string;
  /** Whether it needs the stock image, also where the others boot one that was built: it is about what that image lacks. */
  stock?: boolean;
}

/** An instance of a group of two, not yet switched on; the other one is not of interest. */
export async function launch(scenario: Scenario = {}) {
  const groupName = `group-${randomUUID()}`;
  const id = await world.aws.createGroup(groupName, { desired: 2, minimum: scenario.minimum ?? 0 });
  world.heard.set(id, { claims: 0, finished: [] });
  const installObject = scenario.install === undefined ? undefined : `scripts/${randomUUID()}`;
  if (installObject !== undefined) await world.aws.putObject(installObject, scenario.install);
  const rendered = runnerUserData({
    fleet: {
      circleciUrl: world.circleciUrl,
      // Not the 3 s after which a boot reports its runner.
      idleTimeout: 1,
      maxRunTime: 60,
      reuse: 'single-task',
      bootTimeout: 120,
      runner: undefined,
      unsafeRetries: false,
      allowInstanceMetadata: false,
      ...scenario.fleet,
    },
    groupName,
    runnerSecretName: 'runners/good',
    installObject,
    installSha256:
      world.aws.sha256.get(scenario.inputs?.installObject ?? installObject ?? '') ?? '0'.repeat(64),
    logGroupName: undefined,
    ...scenario.inputs,
  });
  if (scenario.task !== undefined) world.tasks.set(id, { command: scenario.task });
  const { targetState = 'InService' } = scenario;
  const metadata = metadataOf(id, targetState === 'none' ? undefined : targetState);
  const { INSTANCE_IMAGE = '', INSTANCE_IMAGE_DOCKER = '' } = process.env;
  const without = scenario.stock ? INSTANCE_IMAGE : (built ?? INSTANCE_IMAGE);
  const stock = scenario.docker ? `${INSTANCE_IMAGE_DOCKER}:${INSTANCE_IMAGE}` : without;
  const { image = stock } = scenario;
  const { userData = rendered } = scenario;
  const machine = new Machine(image, world, { metadata, userData }, scenario);
  machines.push(machine);
  return {
    id,
    machine,
    metadata,
    heard: () => world.heard.get(id) ?? { claims: 0, finished: [] },
    hook: () => world.aws.hooks.get(id),
    /** Waits until its launch has been reported as a success. */
    up: (seconds = 90) =>
      machine.until(() => world.aws.hooks.get(id) === 'CONTINUE', seconds, 'it has completed its launch'),
    group: () => world.aws.group(groupName),
    /** What the instance asked of EC2 Auto Scaling, in order. */
    calls: () =>
      world.aws.calls
        .filter(({ parameters }) => parameters.InstanceId === id)
        .map(({ action, parameters }) =>
          [action, parameters.ShouldDecrementDesiredCapacity ?? parameters.LifecycleActionResult]
            .filter((word) => word !== undefined)
            .join(' '),
        ),
  };
}

export type Instance = Awaited<ReturnType<typeof launch>>;

/** Switches an instance on, and waits until it is off for good. */
export async function live(instance: Instance, seconds = 150): Promise<void> {
  instance.machine.start();
  await instance.machine.off(seconds);
}

/** Expects what is to be seen outside once an instance is gone. */
export async function expectGone(
  { id, group, machine, calls, hook: result }: Instance,
  { hook, desired = 1 }: { hook: 'CONTINUE' | 'ABANDON'; desired?: number },
): Promise<void> {
  const { members, ...rest } = await group();
  const seen = `${calls().join('\n')}\n${machine.console}`;
  expect({ hook: result(), members: members.length, ...rest }, seen).toEqual({
    hook,
    desired,
    members: desired,
    unhealthy: [],
  });
  expect(members).not.toContain(id);
}

export const TERMINATE = 'TerminateInstanceInAutoScalingGroup';
export const COMPLETE = 'CompleteLifecycleAction';

/** An install script that makes a container image named `box`, of a fleet with `docker: true`. */
export const WITH_BOX = `#!/bin/sh
set -e
mkdir -p /var/box/bin
cp /bin/busybox /var/box/bin/sh
for applet in sleep nc id setuidgid; do ln -s sh "/var/box/bin/$applet"; done
tar --directory /var/box --create . | docker import - box
`;
