import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2';
import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListFunctionsCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient, StartSyncExecutionCommand } from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { type OwnAuthority, ownAuthority, serverOptions } from '../support/own-authority.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

/**
 * A fleet of a CircleCI server with a certificate of a private authority, whose functions are deployed into a VPC, on a local
 * AWS. All functions of both workflows ask the server over TLS. MiniStack runs them on this machine, and tells nothing of VPCs.
 */

const TOKEN = 'CCIPAT_server_0123456789abcdef';
const STACK = 'circleci-runners';
/** Where Lambda has the file. */
const DEPLOYED = '/var/task/ca-certificates.pem';
const run = promisify(execFile);

let folder: string;
let fleetsFile: string;
let authority: OwnAuthority;
let aws: LocalAws;
let gate: Gate;
let plain: Server;
let server: ReturnType<typeof createServer>;
let outputs: Record<string, string>;
let lambda: LambdaClient;
const circleci = new CircleCi();
const counts = { unclaimed: 3, running: 0 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'private-server-'));
  authority = ownAuthority(folder);
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', counts);
  plain = await circleci.listen();
  server = createServer(serverOptions(authority), (request, response) => {
    plain.emit('request', request, response);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  ({ aws, gate } = await startGatedAws());
  const { Subnets = [] } = await new EC2Client({}).send(new DescribeSubnetsCommand({}));
  const [{ VpcId } = {}] = Subnets;
  const subnets = Subnets.filter((subnet) => subnet.VpcId === VpcId).map(({ SubnetId }) => SubnetId);
  fleetsFile = join(folder, 'fleets.yaml');
  const file = {
    scaler: { vpcId: VpcId, subnetIds: subnets.slice(0, 2), caCertificates: 'ca.pem' },
    linux: {
      resourceClass: 'acme/linux',
      instanceTypes: ['m7g.large'],
      maxReplicas: 10,
      reconcile: 'repair',
      circleciUrl: circleciUrl(),
      caCertificates: 'ca.pem',
    },
  };
  writeFileSync(fleetsFile, stringify(file));
  outputs = await aws.deploy(fleetsFile, () => undefined);
  lambda = new LambdaClient({});
  const secret = { resource_class: 'acme/linux', circleci_url: circleciUrl(), circle_token: TOKEN };
  await new SecretsManagerClient({}).send(
    new PutSecretValueCommand({
      SecretId: outputs.LinuxScalerSecretName,
      SecretString: JSON.stringify(secret),
    }),
  );
});

afterAll(() => {
  for (const each of [server, plain]) {
    each?.closeAllConnections();
    each?.close();
  }
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const circleciUrl = () => `https://localhost:${Object(server.address()).port}`;

async function functions() {
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  return Functions.filter(({ FunctionName = '' }) => FunctionName.startsWith(`${STACK}-`));
}

/** MiniStack runs the code in another folder than Lambda, so the variable must name another path. */
async function lookFor(file: string): Promise<void> {
  for (const { FunctionName } of await functions()) {
    const { Environment } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
    if (Environment?.Variables?.NODE_EXTRA_CA_CERTS === undefined) continue;
    const Variables = { ...Environment.Variables, NODE_EXTRA_CA_CERTS: file };
    await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables } }));
  }
}

/** One execution of a workflow for the fleet. */
const execute = (stateMachineArn: string | undefined, input: object) =>
  new SFNClient({ disableHostPrefix: true }).send(
    new StartSyncExecutionCommand({ stateMachineArn, input: JSON.stringify({ fleet: 'linux', ...input }) }),
  );

async function desired(): Promise<number | undefined> {
  const { AutoScalingGroups: [group] = [] } = await new AutoScalingClient({}).send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [`${STACK}-linux`] }),
  );
  return group?.DesiredCapacity;
}

/** One of the project's own commands, as `npm run` starts it on the machine of somebody. */
const command = (words: string[], more: NodeJS.ProcessEnv = {}) =>
  run(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...words], {
    env: { ...process.env, ...more },
  }).catch(({ stdout, stderr }) => ({ stdout: String(stdout), stderr: String(stderr) }));

describe('a CircleCI server with a private authority', () => {
  it('is that of functions which have its authority beside their code', async () => {
    const found = await functions();
    const trusting = found.filter(
      ({ Environment }) => Environment?.Variables?.NODE_EXTRA_CA_CERTS === DEPLOYED,
    );
    expect(trusting).toHaveLength(9);
  });

  it('is not asked while the functions do not find the authority, and the error says why', async () => {
    await lookFor(join(folder, 'missing.pem'));
    const execution = await execute(outputs.StateMachineArn, { once: true });
    expect(execution.status).toBe('FAILED');
    expect(execution.cause).toMatch(/unable to verify|self-signed|unable to get/);
    expect(circleci.requests).toBe(0);
    expect(await desired()).toBe(0);
  });

  it('is counted by all steps of the workflow with it, and the group follows', async () => {
    await lookFor(authority.file);
    const execution = await execute(outputs.StateMachineArn, { once: true });
    expect(execution.cause).toBeUndefined();
    expect(execution.status).toBe('SUCCEEDED');
    for (let waited = 0; (await desired()) !== counts.unclaimed && waited < 20; waited += 1) await sleep(500);
    expect(await desired()).toBe(counts.unclaimed);
    expect(circleci.requests).toBeGreaterThan(1);
  });

  it('is asked for its runners by the workflow that finds what is left behind', async () => {
    const before = circleci.requests;
    const arn = outputs.StateMachineArn?.replace(/[^:]+$/, `${STACK}-reconcile`);
    const execution = await execute(arn, {});
    expect(execution.cause).toBeUndefined();
    expect(execution.status).toBe('SUCCEEDED');
    expect(circleci.requests).toBeGreaterThan(before);
  });

  it('is asked by the commands of somebody who names the authority', async () => {
    const doctor = ['doctor', '--json', '--fleets', fleetsFile];
    const tokens = ({ stdout }: { stdout: string }) =>
      JSON.parse(stdout).findings.filter(({ check }: { check: string }) => check === 'tokens');
    const trusting = await command(doctor, { NODE_EXTRA_CA_CERTS: authority.file });
    expect(tokens(trusting)).toContainEqual(
      expect.objectContaining({ level: 'ok', says: expect.stringContaining('counts') }),
    );
    expect(tokens(await command(doctor))).toContainEqual(
      expect.objectContaining({ level: 'fail', remedy: expect.stringContaining('NODE_EXTRA_CA_CERTS') }),
    );
  });
});
