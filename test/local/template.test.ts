import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Template as StackTemplate } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { appOf } from '../infra/template.ts';
import { fleetsWith } from '../support/fleets.ts';

/** The synthesised templates against the schemas of its resources, by cfn-lint: https://github.com/aws-cloudformation/cfn-lint */

const run = promisify(execFile);
let folder: string;
let lint: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'template-test-'));
  lint = resolve(await pythonEnvironment('test/local/moto.txt', () => undefined), 'cfn-lint');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FLEETS = {
  linux: {},
  spot: { spot: '{}', logs: 'true', network: 'new-vpc', tags: '{team: ci}', docker: 'true' },
  pool: { warmPool: '{size: 1}', alarmEmail: 'ops@acme.example', sshRerun: '{cidr: 203.0.113.0/24}' },
  built: {
    image: '{build: weekly, docker: true, keep: 5}',
    warmPool: '{size: 1}',
    tags: '{team: ci}',
    rootVolume: '{size: 50, iops: 4000, throughput: 500, initializationRate: 300}',
    logs: 'true',
  },
  once: { image: '{build: once, from: ami-0123456789abcdef0}', rootDevice: '/dev/xvda', network: 'new-vpc' },
};

const Template = z.looseObject({
  Resources: z.record(
    z.string(),
    z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).optional() }),
  ),
});
type Template = z.infer<typeof Template>;

/** The templates of the app: that of the stack which all fleets share, and one for each fleet. */
function synthesised(): Template[] {
  const { shared, fleets } = appOf(fleetsWith(FLEETS)).stacks;
  return [shared, ...fleets].map((stack) => Template.parse(StackTemplate.fromStack(stack).toJSON()));
}

/** What is wrong with templates: rule, resource and message of each error. */
async function faultsOf(templates: Template[]): Promise<string[]> {
  const files = templates.map((template, index) => {
    const file = join(folder, `template-${index}.json`);
    writeFileSync(file, JSON.stringify(template));
    return file;
  });
  const words = [
    '--format',
    'json',
    '--non-zero-exit-code',
    'none',
    '--regions',
    'eu-west-1',
    '--template',
    ...files,
  ];
  const { stdout } = await run(lint, words, { maxBuffer: 2 ** 26 });
  const matches: { Level: string; Message: string; Rule: { Id: string }; Location: { Path: unknown[] } }[] =
    JSON.parse(stdout);
  return matches
    .filter(({ Level }) => Level === 'Error')
    .map(({ Rule, Location, Message }) => `${Rule.Id} ${Location.Path?.join('/')}: ${Message}`)
    .filter((fault) => !FALSE_ALARM.test(fault));
}

/** Amazon States Language has `Parameters` in a Parallel state: https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html */
const FALSE_ALARM =
  /^E3601 .*\/States\/Observe\/Parameters: Additional properties are not allowed \('Parameters'/;

it('has only properties that their resources have, with values that they take', async () => {
  expect(await faultsOf(synthesised())).toEqual([]);
});

it('is noticed: a planted fault of each kind', async () => {
  const templates = synthesised();
  const first = (type: string) => {
    const found = templates
      .flatMap(({ Resources }) => Object.values(Resources))
      .find((resource) => resource.Type === type);
    if (found?.Properties === undefined) throw new Error(`No template has a ${type}`);
    return found.Properties;
  };
  first('AWS::CloudWatch::Alarm').ComparisonOperator = 'Above';
  first('AWS::SecretsManager::Secret').Nmae = 'x';
  delete first('AWS::Scheduler::Schedule').FlexibleTimeWindow;
  delete first('AWS::ImageBuilder::ImagePipeline').InfrastructureConfigurationArn;
  const faults = await faultsOf(templates);
  for (const part of [
    "'Above' is not one of",
    'Nmae',
    'FlexibleTimeWindow',
    "'InfrastructureConfigurationArn' is a required property",
  ])
    expect(faults).toContainEqual(expect.stringContaining(part));
});
