import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import pMap from 'p-map';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { capacityOf } from '../../fleets/effective.ts';
import { loadFleets } from '../../fleets/load.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';

const run = promisify(execFile);

const EXAMPLES = readdirSync('examples').filter((name) => existsSync(`examples/${name}/fleets.yaml`));

let aws: LocalAws;

/** Why an example could not be deployed. */
let failures: Map<string, string>;

const stackOf = (name: string) => `example-${name}`;

// All beside each other in one account, each as an app of its own. The local AWS knows no warm pool: that is left out.
beforeAll(async () => {
  aws = await LocalAws.start(() => undefined);
  aws.adopt();
  failures = new Map();
  const deploy = (name: string) =>
    aws
      .deploy(fleetsFileOf(name), () => undefined, { stack: stackOf(name) })
      .catch((error: Error) => failures.set(name, error.message));
  // They wait half of their time.
  await pMap(EXAMPLES, deploy, { concurrency: 3 });
});

afterAll(() => aws?.stop());

/**
 * The example's file as the local AWS can deploy it under a stack's name of its own. Where instance types are given by attributes, CloudFormation reads the image's
 * parameter, which the local AWS does not publish; so that example names an image.
 */
function fleetsFileOf(name: string): string {
  const file = `examples/${name}/fleets.yaml`;
  const text = readFileSync(file, 'utf8');
  let changed = text;
  if (loadFleets(file, { stack: stackOf(name) }).some((fleet) => fleet.instanceRequirements !== undefined)) {
    changed = `${changed.trimEnd()}\n  image: ami-0123456789abcdef0\n`;
  }
  if (changed === text) return file;
  const copy = join(aws.folder, `${name}.yaml`);
  writeFileSync(copy, changed);
  return copy;
}

/** One of the project's own commands, as `npm run` starts it; tells how it ended. */
async function command(name: string, ...words: string[]) {
  const ended = await run(process.execPath, ['--import', 'tsx', 'cli/main.ts', name, ...words], {
    env: process.env,
  }).catch((error) => error);
  return { status: ended.code ?? 0, stdout: String(ended.stdout) };
}

describe.each(EXAMPLES)('the example %s', (name) => {
  const stack = stackOf(name);
  const fleets = loadFleets(`examples/${name}/fleets.yaml`, { stack });
  const [first] = fleets;

  it('can be deployed, with a group for each of its fleets', async () => {
    expect(failures.get(name)).toBeUndefined();
    const { AutoScalingGroups = [] } = await new AutoScalingClient({}).send(
      new DescribeAutoScalingGroupsCommand({}),
    );
    const groups = AutoScalingGroups.filter(({ AutoScalingGroupName = '' }) =>
      AutoScalingGroupName.startsWith(`${stack}-`),
    );
    expect(new Map(groups.map((group) => [group.AutoScalingGroupName, group.MaxSize]))).toEqual(
      new Map(fleets.map((fleet) => [`${stack}-${fleet.name}`, largestMaximum(capacityOf(fleet))])),
    );
  });

  it('has a workflow that waits for its token, and is found by the name of its stack', async () => {
    const { status, stdout } = await command('execute', first?.name ?? '', '--stack', stack, '--json');
    expect(status).toBe(1);
    // Secrets of an organisation's own are not there either.
    const error = first?.scalerSecretName === undefined ? 'SecretUnset' : 'SecretNotFound';
    expect(JSON.parse(stdout)).toMatchObject({ status: 'FAILED', error });
  });

  it('has its fleets paused by name', async () => {
    const names = fleets.map((fleet) => fleet.name);
    const { status, stdout } = await command('pause', ...names, '--stack', stack);
    expect(status).toBe(0);
    for (const fleet of names) expect(stdout).toContain(`Fleet ${fleet} is paused`);
  });
});
