import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
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

const MOTO_PORT = 5000;

/** A group as a test sees it: what moto says of it. */
export interface GroupState {
  desired: number;
  members: string[];
  unhealthy: string[];
}

type Fault = (call: InstanceCall) => Answer | undefined;

/** The AWS of instances: moto, and what moto lacks: launch hooks, a group's minimum, instances without a group. */
export class Aws {
  /** Asked before each answer, by instance. */
  readonly faults = new Map<string, Fault>();
  /** Results of launch lifecycle hooks by instance; `undefined` while it waits. */
  readonly hooks = new Map<string, 'CONTINUE' | 'ABANDON' | undefined>();
  readonly #api: InstanceAws;
  /** By instance, the group that it was launched for. */
  readonly #groups = new Map<string, { name: string; minimum: number }>();
  readonly #left: (instanceId: string) => void;
  #moto: ChildProcess | undefined;
  #autoScaling = new AutoScalingClient({});

  /**
   * @param left Called when an instance has been terminated in its group.
   * @param clockOf What time it is for AWS while a client at an address asks, in milliseconds.
   */
  constructor(left: (instanceId: string) => void, clockOf: (address: string) => number) {
    this.#left = left;
    this.#api = new InstanceAws((call, request, body) => this.#answer(call, request, body), clockOf);
  }

  get calls(): InstanceCall[] {
    return this.#api.calls;
  }

  /** @param python The `bin` folder of a Python environment with moto. */
  async open(python: string, host: string, port: number): Promise<void> {
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
    await this.#api.listen(host, port);
  }

  close(): void {
    this.#api.close();
    this.#moto?.kill('SIGKILL');
  }

  /** SHA-256 of each object, by its bucket and key. */
  readonly sha256 = new Map<string, string>();

  /** A bucket, or an object in it, as a deployment uploads it. */
  async putObject(path: string, body: string | undefined): Promise<void> {
    this.sha256.set(
      path,
      createHash('sha256')
        .update(body ?? '')
        .digest('hex'),
    );
    const authorization = 'AWS4-HMAC-SHA256 Credential=moto/20260101/us-east-1/s3/aws4_request';
    const answer = await fetch(`http://localhost:${MOTO_PORT}/${path}`, {
      method: 'PUT',
      headers: { authorization },
      body: body ?? null,
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Creates a group, and returns its first member, which is launching; the rest are other instances. */
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

  /** Takes an instance out of its group, as an operator may. */
  async detach(instanceId: string): Promise<void> {
    await this.#autoScaling.send(
      new DetachInstancesCommand({
        AutoScalingGroupName: this.#groups.get(instanceId)?.name,
        InstanceIds: [instanceId],
        ShouldDecrementDesiredCapacity: true,
      }),
    );
  }

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
    if (answer.ok && leaving) this.#left(instanceId);
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
        this.#left(InstanceId);
      }
    }
    return success(action);
  }
}
