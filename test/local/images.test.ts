import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  EC2Client,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { listen } from './alarms.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

const run = promisify(execFile);
const ssm = () => new SSMClient({});
const ec2 = () => new EC2Client({});

/** Where the image is from which fleets' images are built. */
const SOURCE = '/acme/runner';
const IN_USE = 'circleci-runners:image-in-use';

let aws: LocalAws;
let gate: Gate;
let folder: string;
let stock: string;
let received: Awaited<ReturnType<typeof listen>>;

const fleet = (image: unknown) => ({
  resourceClass: 'acme/linux',
  instanceTypes: ['m7g.large'],
  maxReplicas: 10,
  image,
  rootDevice: '/dev/xvda',
});

async function registered(Name: string): Promise<string> {
  const { ImageId = '' } = await ec2().send(
    new RegisterImageCommand({
      Name,
      Architecture: 'arm64',
      RootDeviceName: '/dev/xvda',
      VirtualizationType: 'hvm',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: 'snap-0123456789abcdef0' } }],
    }),
  );
  return ImageId;
}

/** EC2 Image Builder is not there, so no build publishes an image: the command does, as a person does. */
const imageCommand = async (...words: string[]) =>
  JSON.parse(
    (
      await run(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'image', ...words, '--json'], {
        env: process.env,
      })
    ).stdout,
  );

const imageOf = async (name: string) =>
  (await ssm().send(new GetParameterCommand({ Name: `/circleci-runners/images/${name}` }))).Parameter?.Value;

async function isMarked(image: string): Promise<boolean> {
  const { Images: [found] = [] } = await ec2().send(new DescribeImagesCommand({ ImageIds: [image] }));
  return (found?.Tags ?? []).some(({ Key, Value }) => Key === IN_USE && Value === 'circleci-runners');
}

/** The event that CloudWatch sends when the breaker of a fleet opens. */
async function breakerOpens(name: string): Promise<void> {
  const { FunctionError, Payload } = await new LambdaClient({}).send(
    new InvokeCommand({
      FunctionName: 'circleci-runners-images',
      Payload: JSON.stringify({
        source: 'aws.cloudwatch',
        'detail-type': 'CloudWatch Alarm State Change',
        time: new Date().toISOString(),
        detail: { alarmName: `circleci-runners-${name}-BreakerOpen`, state: { value: 'ALARM' } },
      }),
    }),
  );
  expect(FunctionError, Buffer.from(Payload ?? []).toString()).toBeUndefined();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'images-test-'));
  const built = { build: 'weekly', from: SOURCE };
  writeFileSync(
    join(folder, 'fleets.yaml'),
    stringify({ linux: fleet(built), again: { ...fleet(built), resourceClass: 'acme/again' } }),
  );
  ({ aws, gate } = await startGatedAws());
  stock = await registered('stock');
  await ssm().send(new PutParameterCommand({ Name: SOURCE, Value: stock, Type: 'String' }));
  await aws.deploy(join(folder, 'fleets.yaml'), () => undefined);
  received = await listen();
});

afterAll(() => {
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

describe('fleets that share a built image, on a local AWS', () => {
  it('are deployed with all but the pipeline, which is there once', () => {
    const leftOut = Object.values(aws.leftOut).map(({ Type }) => Type);
    expect(leftOut.filter((type) => type === 'AWS::ImageBuilder::ImagePipeline')).toHaveLength(1);
  });

  it.each(['linux', 'again'])(
    'launch %s from a parameter that has the source until a build succeeds',
    async (name) => {
      expect(await imageOf(name)).toBe(stock);
      const { LaunchTemplateVersions: [version] = [] } = await ec2().send(
        new DescribeLaunchTemplateVersionsCommand({
          LaunchTemplateName: `circleci-runners-${name}`,
          Versions: ['$Latest'],
        }),
      );
      expect(version?.LaunchTemplateData?.ImageId).toBe(`resolve:ssm:/circleci-runners/images/${name}`);
    },
  );

  it('get images one by one, and go back by the command', async () => {
    const [first, second] = [await registered('first'), await registered('second')];
    await imageCommand('use', first, 'linux');
    await imageCommand('use', second, 'linux');
    expect([await imageOf('linux'), await imageOf('again')]).toEqual([second, stock]);
    expect([await isMarked(first), await isMarked(second)]).toEqual([false, true]);
    expect(await imageCommand('rollback', 'linux')).toEqual({ fleet: 'linux', image: first, before: second });
    expect(await imageOf('linux')).toBe(first);
    expect([await isMarked(first), await isMarked(second)]).toEqual([true, false]);
  });

  it('are rolled back by the deployed function if the breaker opens, once, with one message', async () => {
    const bad = await registered('bad');
    await imageCommand('use', bad, 'again');
    await breakerOpens('again');
    await breakerOpens('again');
    expect(await imageOf('again')).toBe(stock);
    const told = (await received()).filter(({ Subject }) => Subject === 'An image was rolled back: again');
    expect(told).toHaveLength(1);
    expect(told[0]?.Message).toContain(`Image that failed: ${bad}\nImage in use: ${stock}`);
  });

  it('keep the image in use when they are deployed again', async () => {
    const before = await imageOf('linux');
    expect(before).not.toBe(stock);
    await aws.deploy(join(folder, 'fleets.yaml'), () => undefined);
    expect(await imageOf('linux')).toBe(before);
  });
});

it('was sent only what AWS takes', () => gate.expectSound('images.test.ts'));
