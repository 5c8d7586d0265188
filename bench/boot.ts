import { fileURLToPath } from 'node:url';
import { buildImage } from '../test/instance/build-image.ts';
import { isolated } from '../test/instance/isolation.ts';
import { Machine } from '../test/instance/machine.ts';
import { World } from '../test/instance/world.ts';
import { metadataOf } from '../test/support/metadata-service.ts';
import { runnerUserData } from '../userdata/user-data.ts';

/**
 * What the scripts add to a boot, on machines that really boot: the user data, and the boot unit until the runner is started.
 * Of a stock image, whose boots install the runner, and of an image that is built from it with the components of the pipeline.
 * Our share of a boot of the built image is to be at most 1 s.
 */

const RUNS = 5;

const FLEET = { runner: undefined, docker: false, instanceTypes: ['m7i.large'] };

/** A machine with this image, not yet switched on. */
async function machineOf(world: World, image: string, name: string, own?: string) {
  const id = await world.aws.createGroup(name, { desired: 1, minimum: 0 });
  const rendered = runnerUserData({
    fleet: {
      ...FLEET,
      circleciUrl: world.circleciUrl,
      idleTimeout: 0,
      maxRunTime: 60,
      reuse: 'single-task',
      bootTimeout: 120,
      unsafeRetries: false,
      allowInstanceMetadata: false,
    },
    groupName: name,
    runnerSecretName: 'runners/good',
    installObject: undefined,
    installSha256: undefined,
    logGroupName: undefined,
  });
  const metadata = metadataOf(id, own === undefined ? 'InService' : undefined);
  world.heard.set(id, { claims: 0, finished: [] });
  return new Machine(image, world, { metadata, userData: own ?? rendered });
}

/** Milliseconds of our scripts in one boot, as the boot itself says. */
async function ownShare(world: World, image: string, name: string): Promise<number> {
  const machine = await machineOf(world, image, name);
  try {
    machine.start();
    await machine.off(60);
    const line = /boot: times: false \d+ \d+ (.*)/.exec(machine.console)?.[1];
    if (line === undefined) throw new Error(`The boot does not say how long it took:\n${machine.console}`);
    return line
      .trim()
      .split(' ')
      .reduce((sum, hundredths) => sum + Number(hundredths) * 10, 0);
  } finally {
    await machine.discard();
  }
}

if (process.env.INSTANCE_SKIPPED !== undefined) {
  console.log(`boot: skipped, because ${process.env.INSTANCE_SKIPPED}`);
} else if (process.env.INSTANCE_IMAGE === undefined) {
  await isolated([process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url)]);
} else {
  const stock = process.env.INSTANCE_IMAGE;
  const world = new World();
  await world.open(process.env.INSTANCE_PYTHON ?? '');
  const { image } = await buildImage(
    async ({ userData, image = stock }) => ({ machine: await machineOf(world, image, 'builder', userData) }),
    {
      fleet: {
        ...FLEET,
        instanceRequirements: undefined,
        httpProxy: undefined,
        noProxy: undefined,
        logs: false,
      },
      installObject: undefined,
      installSha256: undefined,
    },
  );
  const shares: Record<'stock' | 'built', number[]> = { stock: [], built: [] };
  // By turns, so that both see the same load of the machine that runs this.
  for (let run = 0; run < RUNS; run += 1) {
    shares.stock.push(await ownShare(world, stock, `stock-${run}`));
    shares.built.push(await ownShare(world, image, `built-${run}`));
  }
  world.close();
  const shown = (of: number[]) => {
    const sorted = of.toSorted((a, b) => a - b);
    return `${sorted[Math.floor(RUNS / 2)]} ms (median of ${RUNS}; ${sorted[0]} to ${sorted.at(-1)} ms)`;
  };
  console.log(
    `boot: our scripts take ${shown(shares.built)} of a boot of a built image, and ${shown(shares.stock)} of the stock image`,
  );
  process.exit();
}
