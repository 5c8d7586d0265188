import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { functionsOfWorkflow } from '../../statemachine/definition.ts';
import { address } from '../support/serve.ts';
import { documentedCommands, forVersion1 } from './documented-commands.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

const run = promisify(execFile);

const TOKEN = 'CCIPAT_operator_0123456789abcdef';

let aws: LocalAws;
let gate: Gate;
let server: Server;
let folder: string;
let outputs: Record<string, string>;
const circleci = new CircleCi();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'operator-test-'));
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 2, running: 0 });
  server = await circleci.listen();
  const fleet = {
    resourceClass: 'acme/linux',
    instanceTypes: ['m7g.large'],
    maxReplicas: 10,
    circleciUrl: address(server),
  };
  writeFileSync(join(folder, 'fleets.yaml'), stringify({ linux: fleet }));
  ({ aws, gate } = await startGatedAws());
  outputs = await aws.deploy(join(folder, 'fleets.yaml'), () => undefined);
});

afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

/** One of the project's own commands, as `npm run` starts it, with its JSON. */
async function command(name: string, ...words: string[]) {
  const { stdout } = await run(
    process.execPath,
    ['--import', 'tsx', 'cli/main.ts', name, ...words, '--json'],
    { env: process.env },
  );
  return JSON.parse(stdout);
}

/** Reads until the answer is such: the schedule of the fleet starts executions once a minute. */
async function until<T>(seconds: number, read: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (let waited = 0; ; waited += 3) {
    const answer = await read();
    if (holds(answer) || waited >= seconds) return answer;
    await sleep(3_000);
  }
}

/** The group and the settings of the fleet 19 times more, under other names. */
async function nineteenMoreGroups(): Promise<void> {
  const autoScaling = new AutoScalingClient({});
  const ssm = new SSMClient({});
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['circleci-runners-linux'] }),
  );
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: '/circleci-runners/fleets/linux' }));
  for (let index = 1; index < 20; index += 1) {
    const name = `circleci-runners-fleet-${index}`;
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: name,
        MinSize: 0,
        MaxSize: 10,
        LaunchTemplate: {
          LaunchTemplateId: group?.LaunchTemplate?.LaunchTemplateId,
          Version: group?.LaunchTemplate?.Version,
        },
        AvailabilityZones: group?.AvailabilityZones,
        Tags: [
          {
            Key: 'circleci-runners:stack',
            Value: 'circleci-runners',
            ResourceId: name,
            PropagateAtLaunch: false,
          },
        ],
      }),
    );
    await ssm.send(
      new PutParameterCommand({
        Name: `/circleci-runners/fleets/fleet-${index}`,
        Value: Parameter?.Value,
        Type: 'String',
      }),
    );
  }
}

/** Passes calls on to the local AWS, and counts them. */
async function countedCalls() {
  const operations: string[] = [];
  const target = new URL(process.env.AWS_ENDPOINT_URL ?? '');
  const proxy = createServer(async (incoming, answer) => {
    const body = await buffer(incoming);
    const named = `${incoming.headers['x-amz-target'] ?? ''}`.split('.')[1];
    operations.push(named ?? new URLSearchParams(`${body}`).get('Action') ?? `${incoming.url}`);
    const { method, url: path, headers } = incoming;
    const call = request(target, { method, path, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    call.on('error', () => answer.destroy());
    call.end(body);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  return {
    url: address(proxy),
    of: (operation: string) => operations.filter((each) => each === operation).length,
    total: () => operations.length,
  };
}

describe('the commands of an operator, about a deployed app', () => {
  it('say that nothing is decided, and what the fleet waits for', async () => {
    const explained = await until(
      90,
      () => command('explain', 'linux', '--last', '10m'),
      ({ awaiting }) => awaiting !== undefined,
    );
    expect(explained.missing).toEqual([]);
    expect(explained.failures).toEqual([]);
    expect(explained.now).toMatch(/^Nothing launches now: the fleet waits for its tokens: the secret /);
    const { fleets } = await command('status', 'linux');
    expect(fleets[0]).toMatchObject({ decision: null, alarms: [] });
    expect(fleets[0].waits).toMatch(/^waits for its tokens/);
  });

  it('say what was decided, and what the group did', async () => {
    await new SecretsManagerClient({}).send(
      new PutSecretValueCommand({
        SecretId: outputs.LinuxScalerSecretName ?? 'circleci-runners/linux/scaler',
        SecretString: JSON.stringify({
          resource_class: 'acme/linux',
          circleci_url: address(server),
          circle_token: TOKEN,
        }),
      }),
    );
    const shown = await until(
      130,
      () => command('status'),
      ({ fleets }) => fleets[0].desired === 2,
    );
    expect(shown.missing).toEqual([]);
    const [fleet] = shown.fleets;
    expect(fleet).toMatchObject({
      fleet: 'linux',
      resourceClass: 'acme/linux',
      queue: 2,
      running: 0,
      desired: 2,
      limits: { minReplicas: 0, maxReplicas: 10 },
      members: { inService: 2 },
      breaker: 'closed',
      paused: null,
    });
    expect(fleet.instances).toHaveLength(2);
    // Members of MiniStack's groups are no instances of its EC2, so their age is not known here.
    expect(fleet.instances[0].doing).toMatch(/^in service, launched /);
    expect(fleet.decision.reasons).toContainEqual(
      expect.stringMatching(/2 unclaimed \+ 0 running = 2 wanted/),
    );

    const explained = await command('explain', 'linux');
    expect(explained.changes[0]).toMatchObject({ from: 0, desired: 2 });
    expect(explained.waits.at(-1)).toMatchObject({ most: 2, decided: 0 });
  });

  it('check what is deployed', async () => {
    const examine = async (): Promise<{ check: string; level: string; says: string; remedy: string }[]> => {
      const { findings } = await command('doctor', '--fleets', join(folder, 'fleets.yaml')).catch(
        ({ stdout }) => JSON.parse(stdout),
      );
      return findings;
    };
    // On a busy machine, the emulator answers some checks too late.
    const findings = await until(90, examine, (found) => !found.some(({ says }) => /TooLate/.test(says)));
    const levelsOf = (name: string) =>
      findings.filter(({ check }) => check === name).map(({ level }) => level);
    for (const check of ['bootstrap', 'settings', 'group', 'schedule', 'polls']) {
      expect({ check, levels: levelsOf(check) }).toEqual({ check, levels: ['ok'] });
    }
    // On a busy machine, the emulator answers some polls too late, and an alarm rings.
    expect(findings.filter(({ check, level }) => level === 'fail' && check !== 'alarms')).toEqual([]);
    expect(
      findings.filter(
        ({ says, remedy }) => /^not checked/.test(says) && !/does not have this call$/.test(remedy),
      ),
    ).toEqual([]);
    // MiniStack gives a secret without a value an empty one, so the missing token of the runners is not noticed here.
    expect(levelsOf('tokens')[0]).toBe('ok');
    expect(JSON.stringify(findings)).not.toContain(TOKEN);
  });

  it('read 20 fleets with one description of groups, and an hour with one look at each log', async () => {
    await nineteenMoreGroups();
    const calls = await countedCalls();
    const endpoint = process.env.AWS_ENDPOINT_URL;
    process.env.AWS_ENDPOINT_URL = calls.url;
    onTestFinished(() => {
      process.env.AWS_ENDPOINT_URL = endpoint;
    });
    const { fleets, missing } = await command('status');
    expect(missing).toEqual([]);
    expect(fleets).toHaveLength(20);
    expect(calls.of('DescribeAutoScalingGroups')).toBe(1);
    // 100 to a page, and parameters 10.
    expect(calls.of('DescribeInstances')).toBeLessThanOrEqual(1);
    expect(calls.of('GetParametersByPath')).toBe(2);
    // The decisions, and what kept fleets from deciding.
    expect(calls.of('FilterLogEvents')).toBe(2);
    const [before, logsBefore] = [calls.total(), calls.of('FilterLogEvents')];
    expect(before).toBeLessThan(15);

    await command('explain', 'linux', '--last', '1h');
    expect(calls.of('DescribeAutoScalingGroups')).toBe(2);
    expect(calls.of('FilterLogEvents') - logsBefore).toBeLessThanOrEqual(2 * functionsOfWorkflow().length);
    expect(calls.total() - before).toBeLessThan(40);
  });
});

describe('a command of the AWS CLI in the documents', () => {
  /** MiniStack has no such action, so these are only parsed. */
  const ONLY_PARSED =
    /^aws (ec2 create-image|ec2 get-console-output|ec2 get-ebs-default-kms-key-id|autoscaling set-instance-protection|autoscaling suspend-processes) /;
  const [executed, parsed] = [
    documentedCommands().filter((shown) => !ONLY_PARSED.test(`${shown} `)),
    documentedCommands().filter((shown) => ONLY_PARSED.test(`${shown} `)),
  ];
  let path: string;

  beforeAll(async () => {
    path = `${resolve(await pythonEnvironment('test/local/moto.txt', () => undefined))}:${process.env.PATH}`;
  });

  /** Runs a command with what an operator puts in the place of the words in capitals. Rejects with what it says. */
  async function shell(shown: string): Promise<string> {
    const line = forVersion1(shown)
      .replace('https://sqs.REGION.amazonaws.com/ACCOUNT', `${process.env.AWS_ENDPOINT_URL}/000000000000`)
      .replaceAll('FLEET', 'linux')
      .replaceAll('INSTANCE', 'i-0123456789abcdef0')
      .replaceAll(/\b(ami|i)-ID\b/g, '$1-0123456789abcdef0');
    // Version 1 reads the variable AWS_ENDPOINT_URL, but not for SQS.
    const words = ['-c', `${line} --endpoint-url "$AWS_ENDPOINT_URL"`];
    const { stdout } = await run('bash', words, { env: { ...process.env, PATH: path } });
    return stdout;
  }

  it.each(executed)('runs: %s', async (shown) => {
    await expect(shell(shown)).resolves.not.toContain('null');
  });

  it.each(parsed)('parses: %s', async (shown) => {
    await expect(shell(`${shown} --generate-cli-skeleton`)).resolves.toMatch(/^\{/);
    await expect(shell(shown)).rejects.toThrow('InvalidAction');
  });
});

it('was sent only what AWS takes', () => gate.expectSound('operator.test.ts'));
