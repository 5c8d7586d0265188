import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  DescribeAutoScalingGroupsCommand,
  DetachInstancesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type Answer, InstanceAws, type InstanceCall, refusal, success } from '../support/instance-aws.ts';
import { type Metadata, MetadataService } from '../support/metadata-service.ts';
import { makeDownloads } from './downloads.ts';

/** The bridge that all instances are on, and the services of the outside world at its address. */
const HOST = '10.77.0.1';
const AWS_PORT = 4566;
const MOTO_PORT = 5000;
const DOWNLOADS_PORT = 8000;
const CIRCLECI_PORT = 8001;

const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });

/** A task that CircleCI has for a runner. */
export interface Task {
  /** Shell commands. */
  command: string;
}

/** What CircleCI heard of a runner. */
export interface Heard {
  claims: number;
  finished: { outcome: number | string; output: string }[];
}

/** A group as a test sees it: what moto says of it, and the launch hooks, which no emulator has. */
export interface GroupState {
  desired: number;
  members: string[];
  unhealthy: string[];
}

type Fault = (call: InstanceCall) => Answer | undefined;

/**
 * The world around instances, in a network namespace of its own: IMDSv2 at its true addresses, EC2 Auto Scaling,
 * Secrets Manager and S3 by moto, CircleCI, and package repositories.
 */
export class World {
  readonly downloads = `http://${HOST}:${DOWNLOADS_PORT}`;
  readonly awsUrl = `http://${HOST}:${AWS_PORT}`;
  readonly circleciUrl = `http://${HOST}:${CIRCLECI_PORT}`;
  /** SHA-256 of the archive of release 3.1.13. */
  runnerSha256 = '';
  /** What an instance asks CircleCI for, by its name; one task each. */
  readonly tasks = new Map<string, Task>();
  readonly heard = new Map<string, Heard>();
  /** Configuration and log that CloudWatch agents sent. */
  readonly shipped: string[] = [];
  /** Asked before each answer of AWS, by instance. */
  readonly faults = new Map<string, Fault>();
  /** Results of launch lifecycle hooks by instance; `undefined` while it waits. */
  readonly hooks = new Map<string, 'CONTINUE' | 'ABANDON' | undefined>();
  readonly #metadata = new Map<string, Metadata>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'downloads-'));
  readonly #servers: Server[] = [];
  readonly #imds = new MetadataService((address) => this.#metadata.get(address));
  readonly #aws = new InstanceAws((call, request, body) => this.#answer(call, request, body));
  /** By instance, the group that it was launched for. */
  readonly #groups = new Map<string, { name: string; minimum: number }>();
  #moto: ChildProcess | undefined;
  #autoScaling = new AutoScalingClient({});
  #machines = 0;

  get calls(): InstanceCall[] {
    return this.#aws.calls;
  }

  /** @param python The `bin` folder of a Python environment with moto. */
  async open(python: string): Promise<void> {
    ip('link', 'set', 'lo', 'up');
    // With an address of its own, or it takes that of a port, another one whenever an instance comes or goes.
    ip('link', 'add', 'outside', 'address', '02:00:00:00:00:01', 'type', 'bridge');
    ip('address', 'add', `${HOST}/16`, 'dev', 'outside');
    ip('address', 'add', '169.254.169.254/32', 'dev', 'outside');
    ip('-6', 'address', 'add', 'fd00:ec2::1/64', 'dev', 'outside', 'nodad');
    ip('-6', 'address', 'add', 'fd00:ec2::254/128', 'dev', 'outside', 'nodad');
    ip('link', 'set', 'outside', 'up');
    // The hop limit of 1: an answer does not reach what lies a hop behind an instance, such as a container.
    execFileSync('nft', ['-f', '-'], {
      input:
        'table ip hops { chain out { type filter hook output priority 0; ip saddr 169.254.169.254 ip ttl set 1; }; }\n',
    });
    await this.#imds.listen('169.254.169.254', 80);
    await this.#imds.listen('fd00:ec2::254', 80);
    this.runnerSha256 = makeDownloads(this.#folder, this.downloads).sha256;
    await this.#serve(DOWNLOADS_PORT, (method, path, body) => {
      if (method === 'POST') {
        this.shipped.push(body);
        return { status: 200, body: '' };
      }
      try {
        return { status: 200, body: readFileSync(join(this.#folder, normalize(path))) };
      } catch {
        return { status: 404, body: '' };
      }
    });
    await this.#serve(CIRCLECI_PORT, (_, path, body, token) => this.#circleci(path, body, token));
    this.#moto = spawn(join(python, 'moto_server'), ['-H', '127.0.0.1', '-p', String(MOTO_PORT)], {
      stdio: 'ignore',
    });
    const endpoint = `http://localhost:${MOTO_PORT}`;
    while (!(await fetch(`${endpoint}/moto-api/data.json`).catch(() => undefined))) await sleep(200);
    const settings = {
      endpoint,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'moto', secretAccessKey: 'moto' },
    };
    this.#autoScaling = new AutoScalingClient(settings);
    await this.#autoScaling.send(
      new CreateLaunchConfigurationCommand({
        LaunchConfigurationName: 'any',
        ImageId: 'ami-12c6146b',
        InstanceType: 't3.micro',
      }),
    );
    const secrets = new SecretsManagerClient(settings);
    for (const [Name, SecretString] of Object.entries({
      'runners/good': 'good-token\n',
      'runners/bad': 'bad-token',
      'runners/json': '{"token": "good-token"}',
    })) {
      await secrets.send(new CreateSecretCommand({ Name, SecretString }));
    }
    await secrets.send(new CreateSecretCommand({ Name: 'runners/unset' }));
    await this.putObject('scripts', undefined);
    await this.#aws.listen(HOST, AWS_PORT);
  }

  close(): void {
    this.#imds.close();
    this.#aws.close();
    for (const server of this.#servers) server.close();
    this.#moto?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }

  /** A bucket, or an object in it, as a deployment uploads it. */
  async putObject(path: string, body: string | undefined): Promise<void> {
    const authorization = 'AWS4-HMAC-SHA256 Credential=moto/20260101/us-east-1/s3/aws4_request';
    const answer = await fetch(`http://localhost:${MOTO_PORT}/${path}`, {
      method: 'PUT',
      headers: { authorization },
      body: body ?? null,
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** A group whose first member is launching; the rest of its members are others' instances. */
  async createGroup(
    name: string,
    { desired, minimum }: { desired: number; minimum: number },
  ): Promise<string> {
    await this.#autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: name,
        LaunchConfigurationName: 'any',
        MinSize: 0,
        MaxSize: 10,
        DesiredCapacity: desired,
        NewInstancesProtectedFromScaleIn: true,
        AvailabilityZones: ['eu-west-1a'],
      }),
    );
    const [instanceId = ''] = (await this.group(name)).members;
    this.#groups.set(instanceId, { name, minimum });
    this.hooks.set(instanceId, undefined);
    this.heard.set(instanceId, { claims: 0, finished: [] });
    return instanceId;
  }

  async group(name: string): Promise<GroupState> {
    const answer = await this.#autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
    );
    const [group] = answer.AutoScalingGroups ?? [];
    const instances = group?.Instances ?? [];
    return {
      desired: group?.DesiredCapacity ?? Number.NaN,
      members: instances.flatMap(({ InstanceId }) => InstanceId ?? []),
      unhealthy: instances.flatMap(({ InstanceId, HealthStatus }) =>
        HealthStatus === 'Healthy' ? [] : (InstanceId ?? []),
      ),
    };
  }

  /** Somebody takes an instance out of its group. */
  async detach(instanceId: string): Promise<void> {
    await this.#autoScaling.send(
      new DetachInstancesCommand({
        AutoScalingGroupName: this.#groups.get(instanceId)?.name,
        InstanceIds: [instanceId],
        ShouldDecrementDesiredCapacity: true,
      }),
    );
  }

  /** A network namespace for an instance, from which its metadata are these. Returns its path. */
  connect(metadata: Metadata): string {
    this.#machines += 1;
    const number = this.#machines;
    const name = `instance-${number}`;
    const port = `port-${number}`;
    const inside = (...words: string[]) => ip('-n', name, ...words);
    ip('netns', 'add', name);
    ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('link', 'set', port, 'master', 'outside', 'up');
    inside('link', 'set', 'lo', 'up');
    inside('address', 'add', `10.77.1.${number}/16`, 'dev', 'eth0');
    inside('-6', 'address', 'add', `fd00:ec2::1:${number}/64`, 'dev', 'eth0', 'nodad');
    inside('link', 'set', 'eth0', 'up');
    inside('route', 'add', 'default', 'via', HOST);
    // As Docker would.
    ip('netns', 'exec', name, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    this.#metadata.set(`10.77.1.${number}`, metadata);
    this.#metadata.set(`fd00:ec2::1:${number}`, metadata);
    return `/run/netns/${name}`;
  }

  async #serve(
    port: number,
    answer: (
      method: string,
      path: string,
      body: string,
      token: string,
    ) => { status: number; body: string | Buffer },
  ): Promise<void> {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', url = '', headers } = request;
      const { pathname } = new URL(url, this.downloads);
      const { status, body: text } = answer(method, pathname, body, headers.authorization ?? '');
      response.writeHead(status).end(text);
    }).listen(port, HOST);
    await once(server, 'listening');
    this.#servers.push(server);
  }

  #circleci(path: string, body: string, token: string): { status: number; body: string } {
    if (token !== 'Bearer good-token') return { status: 401, body: '{}' };
    const { name, ...more } = JSON.parse(body);
    const heard = this.heard.get(name);
    if (heard === undefined) return { status: 404, body: '{}' };
    if (path === '/finished') {
      heard.finished.push(more);
      return { status: 200, body: '{}' };
    }
    const task = this.tasks.get(name);
    this.tasks.delete(name);
    if (task !== undefined) heard.claims += 1;
    return { status: 200, body: JSON.stringify(task ?? null) };
  }

  /** Moto's answer, but for what moto does not know: launch hooks, a group's minimum, instances without a group. */
  async #answer(
    call: InstanceCall,
    { url = '', method = '', headers }: IncomingMessage,
    body: string,
  ): Promise<Answer> {
    const { action, parameters } = call;
    const instanceId = parameters.InstanceId ?? '';
    const fault = this.faults.get(instanceId)?.(call);
    if (fault !== undefined) return fault;
    if (action === 'RecordLifecycleActionHeartbeat' || action === 'CompleteLifecycleAction')
      return this.#lifecycleAction(call);
    const leaving = action === 'TerminateInstanceInAutoScalingGroup';
    const group = this.#groups.get(instanceId);
    if (leaving && group !== undefined) {
      const { desired, members } = await this.group(group.name);
      if (!members.includes(instanceId)) {
        return refusal(
          'ValidationError',
          `Instance Id not found - No managed instance found for instance ID ${instanceId}`,
        );
      }
      if (parameters.ShouldDecrementDesiredCapacity === 'true' && desired <= group.minimum) {
        return refusal(
          'ValidationError',
          `Currently, desiredSize equals minSize (${group.minimum}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
        );
      }
    }
    const { host: _, 'content-length': __, ...kept } = headers;
    const answer = await fetch(`http://localhost:${MOTO_PORT}${url}`, {
      method,
      headers: kept as Record<string, string>,
      body: method === 'GET' ? null : body,
    });
    if (answer.ok && leaving) this.#setTargetState(instanceId, 'Terminated');
    return { status: answer.status, body: await answer.text() };
  }

  async #lifecycleAction({ action, parameters }: InstanceCall): Promise<Answer> {
    const { InstanceId = '', LifecycleHookName, AutoScalingGroupName, LifecycleActionResult } = parameters;
    const group = this.#groups.get(InstanceId);
    const waits = this.hooks.has(InstanceId) && this.hooks.get(InstanceId) === undefined;
    if (
      !waits ||
      LifecycleHookName !== 'launch' ||
      group === undefined ||
      AutoScalingGroupName !== group.name
    ) {
      return refusal('ValidationError', `No active Lifecycle Action found with instance ID ${InstanceId}`);
    }
    if (LifecycleActionResult === 'CONTINUE' || LifecycleActionResult === 'ABANDON') {
      this.hooks.set(InstanceId, LifecycleActionResult);
      // What the group gives up it replaces, unless it has left already.
      if (
        LifecycleActionResult === 'ABANDON' &&
        (await this.group(group.name)).members.includes(InstanceId)
      ) {
        await this.#autoScaling.send(
          new TerminateInstanceInAutoScalingGroupCommand({
            InstanceId,
            ShouldDecrementDesiredCapacity: false,
          }),
        );
        this.#setTargetState(InstanceId, 'Terminated');
      }
    }
    return success(action);
  }

  #setTargetState(instanceId: string, state: string): void {
    for (const metadata of this.#metadata.values()) {
      if (metadata.get('instance-id') === instanceId)
        metadata.set('autoscaling/target-lifecycle-state', state);
    }
  }
}
