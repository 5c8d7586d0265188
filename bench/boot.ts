import { fileURLToPath } from 'node:url';
import { isolated } from '../test/instance/isolation.ts';
import { Machine } from '../test/instance/machine.ts';
import { World } from '../test/instance/world.ts';
import { metadataOf } from '../test/support/metadata-service.ts';
import { runnerUserData } from '../userdata/user-data.ts';

/**
 * What the scripts add to a boot: the user data, and the boot unit until the runner is started, without the download of
 * the runner, on a machine that really boots. The budget is 2 s.
 */

const RUNS = 9;

/** Milliseconds that the scripts take of one boot, without the download of the runner. */
async function boot(world: World, run: number): Promise<number> {
  const groupName = `boot-${run}`;
  const id = await world.aws.createGroup(groupName, { desired: 1, minimum: 0 });
  const userData = runnerUserData({
    fleet: {
      circleciUrl: world.circleciUrl,
      idleTimeout: 0,
      maxRunTime: 60,
      reuse: 'single-task',
      bootTimeout: 120,
      runner: undefined,
      unsafeRetries: false,
      allowInstanceMetadata: false,
    },
    groupName,
    runnerSecretName: 'runners/good',
    installObject: undefined,
    installSha256: undefined,
    logGroupName: undefined,
  });
  const machine = new Machine(process.env.INSTANCE_IMAGE ?? '', world, {
    metadata: metadataOf(id, 'InService'),
    userData,
  });
  world.heard.set(id, { claims: 0, finished: [] });
  try {
    machine.start();
    await machine.off(60);
    const journal = await machine.inspect('journalctl', '--output=short-unix', '--no-pager');
    const at = (text: string) => {
      const line = journal.split('\n').find((candidate) => candidate.includes(text));
      if (line === undefined) throw new Error(`"${text}" is not in the journal:\n${journal}`);
      return { milliseconds: Number.parseFloat(line) * 1_000, line };
    };
    const runner = Number(/: (\d+) ms$/.exec(at('boot: runner:').line)?.[1]);
    const unit = at('boot: runner start:').milliseconds - at('Starting autoscaler-boot.service').milliseconds;
    return userDataTime(machine.read('var/log/cloud-init.log')) + unit - runner;
  } finally {
    await machine.discard();
  }
}

/** How long cloud-init ran the user data, in milliseconds, by its log: until the line that follows. */
function userDataTime(log: string): number {
  const lines = log.split('\n');
  const start = lines.findIndex((line) =>
    /Running command \['\/var\/lib\/cloud\/instances\/[^']*\/boothooks\//.test(line),
  );
  const at = (line = '') => {
    const [, day, time, milliseconds] = /^(\S+) (\S+),(\d+) /.exec(line) ?? [];
    if (day === undefined) throw new Error(`cloud-init has not run the user data:\n${log}`);
    return Date.parse(`${day}T${time}.${milliseconds}Z`);
  };
  return at(lines[start + 1]) - at(lines[start]);
}

if (process.env.INSTANCE_SKIPPED !== undefined) {
  console.log(`boot: skipped, because ${process.env.INSTANCE_SKIPPED}`);
} else if (process.env.INSTANCE_IMAGE === undefined) {
  await isolated([process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url)]);
} else {
  const world = new World();
  await world.open(process.env.INSTANCE_PYTHON ?? '');
  const added: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    added.push(await boot(world, run));
  }
  world.close();
  added.sort((a, b) => a - b);
  const shown = (milliseconds: number | undefined) => `${(milliseconds ?? Number.NaN).toFixed(0)} ms`;
  console.log(
    `boot: the scripts add ${shown(added[Math.floor(RUNS / 2)])} (median of ${RUNS}; ${shown(added[0])} to ${shown(added.at(-1))}) beside the download of the runner`,
  );
  process.exit();
}
