import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { capacityOf } from '../../fleets/effective.ts';
import { loadFleets } from '../../fleets/load.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';

const run = promisify(execFile);

const EXAMPLES = readdirSync('examples').filter((name) => existsSync(`examples/${name}/fleets.yaml`));

let aws: LocalAws;

/** The deployment of each example, with the reason if it failed. */
const deployments = new Map<string, Promise<string | undefined>>();

const stackOf = (name: string) => `example-${name}`;

/** What the example's own guardrails allow, if it has any. */
const guardrailsOf = (name: string) => {
  const file = `examples/${name}/guardrails.yaml`;
  return existsSync(file) ? file : undefined;
};

/** How the example is deployed. */
const deploymentOf = (name: string) => ({ stack: stackOf(name), guardrails: guardrailsOf(name) });

// All in one account, each as an app of its own. The local AWS knows no warm pool: that is left out.
beforeAll(async () => {
  aws = await LocalAws.start(() => undefined);
  aws.adopt();
});

/** Why an example could not be deployed. The next one is deployed beside it, because a deployment waits half of its time. */
function failureOf(name: string): Promise<string | undefined> {
  const next = EXAMPLES[EXAMPLES.indexOf(name) + 1];
  for (const each of [name, ...(next === undefined ? [] : [next])]) {
    if (deployments.has(each)) continue;
    const deployed = aws
      .deploy(fleetsFileOf(each), () => undefined, deploymentOf(each))
      .then(
        () => undefined,
        (error: Error) => error.message,
      );
    deployments.set(each, deployed);
  }
  return deployments.get(name) ?? Promise.resolve('it was not deployed');
}

afterAll(() => aws?.stop());

/**
 * The example's file as the local AWS can deploy it under a stack's name of its own. Where instance types are given by attributes, CloudFormation reads the image's
 * parameter, which the local AWS does not publish; so that example names an image.
 */
function fleetsFileOf(name: string): string {
  const file = `examples/${name}/fleets.yaml`;
  const text = readFileSync(file, 'utf8');
  let changed = text;
  if (loadFleets(file, deploymentOf(name)).some((fleet) => fleet.instanceRequirements !== undefined)) {
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
  const fleets = loadFleets(`examples/${name}/fleets.yaml`, deploymentOf(name));
  const [first] = fleets;

  it('can be deployed, with a group for each of its fleets', { timeout: 400_000 }, async () => {
    expect(await failureOf(name)).toBeUndefined();
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
    const answer = JSON.parse(stdout);
    if (first?.scalerSecretName === undefined) {
      expect({ status, answer }).toMatchObject({ status: 0, answer: { status: 'SUCCEEDED' } });
      expect(answer.waits).toMatch(/^waits for its tokens/);
    } else {
      // Secrets of an organisation's own are not there either.
      expect({ status, answer }).toMatchObject({ status: 1, answer: { error: 'SecretNotFound' } });
    }
  });

  it('has its fleets paused by name', async () => {
    const names = fleets.map((fleet) => fleet.name);
    const { status, stdout } = await command('pause', ...names, '--stack', stack);
    expect(status).toBe(0);
    for (const fleet of names) expect(stdout).toContain(`Fleet ${fleet} is paused`);
  });

  const readme = readFileSync(`examples/${name}/README.md`, 'utf8');

  it('is shown by the commands of its README', async () => {
    const [shown = '', explained = ''] = [...readme.matchAll(/^npm run (status|explain) -- (.*)$/gm)].map(
      ([, said, words]) => `${said} ${words}`,
    );
    const status = await command(...(`${shown} --json`.split(' ') as [string]));
    expect(
      JSON.parse(status.stdout)
        .fleets.map(({ fleet }: { fleet: string }) => fleet)
        .toSorted(),
    ).toEqual(fleets.map((fleet) => fleet.name).toSorted());
    const why = await command(...(`${explained} --json`.split(' ') as [string]));
    expect(JSON.parse(why.stdout).now).toMatch(/^Nothing launches now: /);
  });

  it('is removed by the command of its README', async () => {
    const [, words = ''] = /`npx cdk (destroy [^`]+)`/.exec(readme) ?? [];
    const more = ['-c', 'runner=current', '--force'];
    const guardrails = guardrailsOf(name);
    if (guardrails !== undefined) more.push('-c', `guardrails=${guardrails}`);
    const given = words.replace(`fleets=examples/${name}/fleets.yaml`, `fleets=${fleetsFileOf(name)}`);
    await run('npx', ['cdk', ...given.split(/\s+/), ...more], { env: process.env });
    const { AutoScalingGroups = [] } = await new AutoScalingClient({}).send(
      new DescribeAutoScalingGroupsCommand({}),
    );
    const left = AutoScalingGroups.map(({ AutoScalingGroupName = '' }) => AutoScalingGroupName);
    expect(left.filter((group) => group.startsWith(`${stack}-`))).toEqual([]);
  });
});
