import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../cli/local-aws.ts';
import { pythonEnvironment } from '../../cli/python.ts';

/**
 * What MiniStack cannot do, scale-in protection, suspended processes and instances that leave, against moto,
 * which answers these calls as AWS does.
 */

const run = promisify(execFile);
const REQUIREMENTS = fileURLToPath(new URL('./moto.txt', import.meta.url));
const USERDATA = fileURLToPath(new URL('../../userdata/', import.meta.url));
const GROUP = 'calls-test';

let moto: ChildProcess;
let endpoint: string;
let autoScaling: AutoScalingClient;

beforeAll(async () => {
  const bin = await pythonEnvironment(REQUIREMENTS, () => undefined);
  const port = await freePort();
  endpoint = `http://localhost:${port}`;
  moto = spawn(resolve(bin, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'moto',
    AWS_SECRET_ACCESS_KEY: 'moto',
  });
  for (let attempt = 0; attempt < 120; attempt += 1) {
    if (await fetch(`${endpoint}/moto-api/data.json`).catch(() => undefined)) break;
    await sleep(500);
  }
  autoScaling = new AutoScalingClient({});
});

afterAll(async () => {
  moto?.kill('SIGKILL');
});

beforeEach(async () => {
  await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' });
});

async function createGroup(desired: number, least = 0) {
  await autoScaling.send(
    new CreateLaunchConfigurationCommand({
      LaunchConfigurationName: GROUP,
      ImageId: 'ami-12c6146b',
      InstanceType: 't3.micro',
    }),
  );
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: GROUP,
      LaunchConfigurationName: GROUP,
      MinSize: least,
      MaxSize: 10,
      DesiredCapacity: desired,
      NewInstancesProtectedFromScaleIn: true,
      AvailabilityZones: ['eu-west-1a'],
    }),
  );
}

async function group() {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
  );
  const [found] = answer.AutoScalingGroups ?? [];
  if (found === undefined) throw new Error('The group is gone');
  return {
    desired: found.DesiredCapacity,
    ids: (found.Instances ?? []).flatMap((instance) => instance.InstanceId ?? []),
    protectedInstances: (found.Instances ?? []).filter((instance) => instance.ProtectedFromScaleIn).length,
    suspended: (found.SuspendedProcesses ?? []).map((process_) => process_.ProcessName),
  };
}

const about = { fleet: 'calls', execution: 'e-1' };
const poll = {
  number: 1,
  executionStartedAt: '2026-01-05T08:00:00Z',
  dueAt: '2026-01-05T08:00:00Z',
  timeoutSeconds: 8,
};

describe('the steps against a group with scale-in protection', () => {
  it('counts the members and the desired capacity', async () => {
    const { handler } = await import('../../functions/describe-group.ts');
    await createGroup(3);
    const answer = await handler({ ...about, groupName: GROUP, poll });
    expect(answer).toEqual({ desired: 3, members: { pending: 0, inService: 3, leaving: 0, standby: 0 } });
  });

  it('sets the desired capacity, and launches follow', async () => {
    const { handler } = await import('../../functions/update-group.ts');
    await createGroup(1);
    const decision = { desired: 4, change: true, reasons: [] };
    await handler({
      ...about,
      groupName: GROUP,
      plan: { decision, updateTimeoutSeconds: 4, again: false, poll },
    });
    expect(await group()).toMatchObject({ desired: 4 });
    expect((await group()).ids).toHaveLength(4);
  });

  it('keeps protected instances even if desired capacity falls under them', async () => {
    const { handler } = await import('../../functions/update-group.ts');
    await createGroup(3);
    const decision = { desired: 0, change: true, reasons: [] };
    await handler({
      ...about,
      groupName: GROUP,
      plan: { decision, updateTimeoutSeconds: 4, again: false, poll },
    });
    expect((await group()).ids).toHaveLength(3);
  });
});

describe('the settings of a group', () => {
  let cloudFormation: Server;
  let answers: { Status: string; Reason?: string }[];

  beforeAll(async () => {
    cloudFormation = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        answers.push(JSON.parse(body));
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(cloudFormation, 'listening');
  });

  beforeEach(() => {
    answers = [];
  });

  afterAll(() => {
    cloudFormation.close();
  });

  async function send(type: 'Create' | 'Delete') {
    const { handler } = await import('../../infra/group-settings-handler.ts');
    await handler({
      RequestType: type,
      ResponseURL: `http://127.0.0.1:${(cloudFormation.address() as AddressInfo).port}/`,
      StackId: 's',
      RequestId: 'r',
      LogicalResourceId: 'l',
      ResourceProperties: { GroupName: GROUP },
    });
  }

  it('has AZRebalance suspended once it is created', async () => {
    await createGroup(1);
    await send('Create');
    expect(answers).toMatchObject([{ Status: 'SUCCESS' }]);
    expect((await group()).suspended).toEqual(['AZRebalance']);
  });

  it('lets protected instances go when the stack is deleted', async () => {
    await createGroup(3);
    expect((await group()).protectedInstances).toBe(3);
    await send('Delete');
    expect(answers).toMatchObject([{ Status: 'SUCCESS' }]);
    expect((await group()).protectedInstances).toBe(0);
  });
});

describe("the instance's scripts", () => {
  let metadata: Server;
  let lib: string;
  let instanceId = '';

  beforeAll(async () => {
    lib = mkdtempSync(join(tmpdir(), 'userdata-'));
    for (const script of ['instance-metadata', 'aws-call', 'read-secret', 'leave-group']) {
      symlinkSync(join(USERDATA, `${script}.sh`), join(lib, script));
    }
    metadata = createServer((request, response) => {
      if (request.method === 'PUT' && request.url === '/latest/api/token') return response.end('imds-token');
      if (request.headers['x-aws-ec2-metadata-token'] !== 'imds-token') return response.writeHead(401).end();
      const items: Record<string, string> = {
        'instance-id': instanceId,
        'iam/security-credentials/': 'role',
        'iam/security-credentials/role': JSON.stringify({
          AccessKeyId: 'moto',
          SecretAccessKey: 'moto',
          Token: 't',
        }),
      };
      const item = items[(request.url ?? '').replace('/latest/meta-data/', '')];
      return item === undefined ? response.writeHead(404).end() : response.end(item);
    }).listen(0, '127.0.0.1');
    await once(metadata, 'listening');
  });

  afterAll(() => {
    metadata.close();
    rmSync(lib, { recursive: true });
  });

  function script(name: string, ...words: string[]) {
    const imds = `http://127.0.0.1:${(metadata.address() as AddressInfo).port}`;
    return run(join(lib, name), words, {
      env: {
        PATH: process.env.PATH,
        AWS_REGION: 'eu-west-1',
        AWS_ENDPOINT_URL: endpoint,
        IMDS_URL: imds,
        GROUP_NAME: GROUP,
        POWER_OFF: 'echo powered off',
      },
    });
  }

  it('leave the group, and lower its desired capacity by their own instance', async () => {
    await createGroup(3);
    instanceId = (await group()).ids[0] ?? '';
    await script('leave-group');
    const after = await group();
    expect(after.desired).toBe(2);
    expect(after.ids).toHaveLength(2);
    expect(after.ids).not.toContain(instanceId);
  });

  it('power off if the group cannot be left', async () => {
    instanceId = 'i-0123456789abcdef0';
    const { stdout } = await script('leave-group');
    expect(stdout).toContain('powered off');
  });

  it('read a secret, and name it when it has no value', async () => {
    const secrets = new SecretsManagerClient({});
    await secrets.send(new CreateSecretCommand({ Name: 'calls/runner', SecretString: 'the "token"\\n' }));
    expect((await script('read-secret', 'calls/runner')).stdout).toBe('the "token"\\n');
    await secrets.send(new CreateSecretCommand({ Name: 'calls/unset' }));
    await expect(script('read-secret', 'calls/unset')).rejects.toThrow(/calls\/unset/);
  });
});
