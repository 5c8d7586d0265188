import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
  GetTemplateCommand,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import {
  CloudWatchLogsClient,
  CreateLogStreamCommand,
  FilterLogEventsCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { leaveOutUnknown } from '../../cli/local-aws/template.ts';
import { writeBundle } from '../../infra/function-bundles.ts';
import { REPLACING } from '../support/replacing.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

/**
 * The templates of the last release, deployed to a local AWS with the functions of today, and upgraded by the CDK to the
 * present ones. `npm run record-release` writes the templates.
 */

const SHARED = 'circleci-runners';
const FLEET = `${SHARED}-linux`;
const TOKEN = 'resource-class-token-of-before';
const BUCKET = 'released-functions';
const LINE = 'a line of before';

const released = z
  .object({
    version: z.string(),
    stacks: z.record(
      z.string(),
      z.looseObject({
        Resources: z.record(
          z.string(),
          z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).optional() }),
        ),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync('test/local/released.json', 'utf8')));

let aws: LocalAws;
let gate: Gate;
let folder: string;
let cloudFormation: CloudFormationClient;
let autoScaling: AutoScalingClient;

/** By stack and logical id, the physical ids of what has state or runs jobs. */
type Ids = Record<string, Record<string, string | undefined>>;
let before: Ids;
let after: Ids;
let members: { before: unknown; after: unknown };

/** Uploads the code of a function, as the deployment of the release did. */
async function upload(name: string): Promise<string> {
  const code = join(folder, name);
  writeBundle(name, code);
  const files = Object.fromEntries(
    readdirSync(code).map((file) => [file, new Uint8Array(readFileSync(join(code, file)))]),
  );
  const key = `${name}.zip`;
  await put(`${BUCKET}/${key}`, zipSync(files));
  return key;
}

/** A request to S3, whose signature the local AWS does not check. */
async function put(path: string, body?: Uint8Array): Promise<void> {
  const authorization =
    'AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0';
  const answer = await fetch(`${aws.environment.AWS_ENDPOINT_URL}/${path}`, {
    method: 'PUT',
    headers: { authorization },
    ...(body && { body: Buffer.from(body) }),
  });
  if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
}

/** A template of the release without what only the CDK's own deployments have. */
async function templateOf(stack: string): Promise<string> {
  const { Parameters, Rules, ...template } = structuredClone(released.stacks[stack]) ?? { Resources: {} };
  for (const { Type, Properties } of Object.values(template.Resources)) {
    if (Type !== 'AWS::Lambda::Function' || Properties === undefined) continue;
    const name = String(Properties.FunctionName).slice(SHARED.length + 1);
    Properties.Code = { S3Bucket: BUCKET, S3Key: await upload(name) };
  }
  return leaveOutUnknown(JSON.stringify(template)).template;
}

/** Of more than 51,200 bytes, CloudFormation takes a template from S3 only. */
async function uploadTemplate(name: string, template: string): Promise<string> {
  const path = `${BUCKET}/${name}.json`;
  await put(path, Buffer.from(template));
  return `${aws.environment.AWS_ENDPOINT_URL}/${path}`;
}

async function settled(StackName: string, wanted: string): Promise<void> {
  for (let waited = 0; waited < 120; waited += 1) {
    const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
    const [{ StackStatus, StackStatusReason } = {}] = Stacks;
    if (StackStatus === wanted) return;
    if (/FAILED|ROLLBACK/.test(String(StackStatus)))
      throw new Error(`${StackName}: ${StackStatus}, ${StackStatusReason}`);
    await sleep(1_000);
  }
  throw new Error(`${StackName} is not ${wanted}`);
}

async function physicalIds(): Promise<Ids> {
  const stacks = [SHARED, FLEET].map(async (StackName) => {
    const { StackResources = [] } = await cloudFormation.send(
      new DescribeStackResourcesCommand({ StackName }),
    );
    const kept = StackResources.filter(({ ResourceType = '' }) => ResourceType in REPLACING);
    return [
      StackName,
      Object.fromEntries(kept.map((each) => [each.LogicalResourceId, each.PhysicalResourceId])),
    ];
  });
  return Object.fromEntries(await Promise.all(stacks));
}

async function instances() {
  const { AutoScalingGroups: [found] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [FLEET] }),
  );
  return (found?.Instances ?? []).map(({ InstanceId }) => InstanceId).toSorted();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'upgrade-test-'));
  ({ aws, gate } = await startGatedAws());
  cloudFormation = new CloudFormationClient({});
  autoScaling = new AutoScalingClient({});
  const region = aws.environment.AWS_REGION;
  await put(
    BUCKET,
    Buffer.from(
      `<CreateBucketConfiguration><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`,
    ),
  );
  for (const StackName of [SHARED, FLEET]) {
    const TemplateURL = await uploadTemplate(StackName, await templateOf(StackName));
    await cloudFormation.send(
      new CreateStackCommand({ StackName, TemplateURL, Capabilities: ['CAPABILITY_IAM'] }),
    );
    await settled(StackName, 'CREATE_COMPLETE');
  }
  await new SecretsManagerClient({}).send(
    new PutSecretValueCommand({ SecretId: `${SHARED}/linux/runner`, SecretString: TOKEN }),
  );
  const logs = new CloudWatchLogsClient({});
  const stream = { logGroupName: `/${SHARED}/linux/instances`, logStreamName: 'i-1' };
  await logs.send(new CreateLogStreamCommand(stream));
  await logs.send(
    new PutLogEventsCommand({ ...stream, logEvents: [{ timestamp: Date.now(), message: LINE }] }),
  );
  await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: FLEET, DesiredCapacity: 2 }));
  before = await physicalIds();
  const running = await instances();
  const file = join(folder, 'fleets.yaml');
  const fleet = { resourceClass: 'acme/linux', instanceTypes: ['m7g.large'], maxReplicas: 20, logs: true };
  writeFileSync(file, stringify({ linux: fleet }));
  await aws.deploy(file, () => undefined);
  after = await physicalIds();
  members = { before: running, after: await instances() };
});

afterAll(() => {
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

describe(`an upgrade from ${released.version} on a local AWS`, () => {
  it('is one: the templates have changed', async () => {
    const { TemplateBody = '' } = await cloudFormation.send(new GetTemplateCommand({ StackName: SHARED }));
    expect(JSON.parse(TemplateBody).Resources).not.toEqual(released.stacks[SHARED]?.Resources);
    for (const StackName of [SHARED, FLEET]) await settled(StackName, 'UPDATE_COMPLETE');
  });

  it.each([SHARED, FLEET])('replaces nothing that has state or runs jobs in %s', (stack) => {
    expect(Object.keys(before[stack] ?? {}).length).toBeGreaterThan(10);
    expect(after[stack]).toMatchObject(before[stack] ?? {});
  });

  it('leaves instances alone, and names no desired capacity', async () => {
    expect(members.before).toEqual([expect.any(String), expect.any(String)]);
    expect(members.after).toEqual(members.before);
    // AWS then leaves it as it is. MiniStack writes the minimum size, as for a new group, so it is not compared here.
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-autoscaling-autoscalinggroup.html
    const { TemplateBody = '' } = await cloudFormation.send(new GetTemplateCommand({ StackName: FLEET }));
    for (const { Resources } of [released.stacks[FLEET], JSON.parse(TemplateBody)])
      expect(Object.values(Resources).map((resource) => Object(resource).Properties)).not.toContainEqual(
        expect.objectContaining({ DesiredCapacity: expect.anything() }),
      );
  });

  it('keeps tokens and logs', async () => {
    const { SecretString } = await new SecretsManagerClient({}).send(
      new GetSecretValueCommand({ SecretId: `${SHARED}/linux/runner` }),
    );
    expect(SecretString).toBe(TOKEN);
    const { events = [] } = await new CloudWatchLogsClient({}).send(
      new FilterLogEventsCommand({ logGroupName: `/${SHARED}/linux/instances` }),
    );
    expect(events.map(({ message }) => message)).toContain(LINE);
  });

  it('would show a replacement: a topic with another name has another id', async () => {
    const { TemplateBody = '' } = await cloudFormation.send(new GetTemplateCommand({ StackName: SHARED }));
    const template = JSON.parse(TemplateBody);
    const [id = ''] = Object.keys(template.Resources).filter(
      (each) => template.Resources[each].Type === 'AWS::SNS::Topic',
    );
    template.Resources[id].Properties.TopicName = 'another-name';
    await cloudFormation.send(
      new UpdateStackCommand({
        StackName: SHARED,
        TemplateURL: await uploadTemplate('replaced', JSON.stringify(template)),
        Capabilities: ['CAPABILITY_IAM'],
      }),
    );
    await settled(SHARED, 'UPDATE_COMPLETE');
    expect((await physicalIds())[SHARED]?.[id]).not.toBe(after[SHARED]?.[id]);
  });
});
