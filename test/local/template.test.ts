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

/** The synthesised template against the schemas of its resources, by cfn-lint: https://github.com/aws-cloudformation/cfn-lint */

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
};

const Template = z.looseObject({
  Resources: z.record(
    z.string(),
    z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).optional() }),
  ),
});
type Template = z.infer<typeof Template>;

const synthesised = (): Template =>
  Template.parse(StackTemplate.fromStack(appOf(fleetsWith(FLEETS)).stack).toJSON());

/** What is wrong with a template: rule, resource and message of each error. */
async function faultsOf(template: Template): Promise<string[]> {
  const file = join(folder, 'template.json');
  writeFileSync(file, JSON.stringify(template));
  const words = [
    '--format',
    'json',
    '--non-zero-exit-code',
    'none',
    '--regions',
    'eu-west-1',
    '--template',
    file,
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
  const template = synthesised();
  const first = (type: string) => {
    const found = Object.values(template.Resources).find((resource) => resource.Type === type);
    if (found?.Properties === undefined) throw new Error(`The template has no ${type}`);
    return found.Properties;
  };
  first('AWS::CloudWatch::Alarm').ComparisonOperator = 'Above';
  first('AWS::SecretsManager::Secret').Nmae = 'x';
  delete first('AWS::Scheduler::Schedule').FlexibleTimeWindow;
  const faults = await faultsOf(template);
  for (const part of ["'Above' is not one of", 'Nmae', 'FlexibleTimeWindow'])
    expect(faults).toContainEqual(expect.stringContaining(part));
});
