import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pythonEnvironment } from '../../cli/local-aws/python.ts';
import { EMULATED, NEVER_TO_AWS } from './models/emulated.ts';
import { judge } from './models/judge.ts';
import { type Model, modelsOf } from './models/model.ts';
import type { Recorded } from './models/recorded.ts';
import { sentByScripts, sentByTypeScript, sentByWorkflows } from './models/sent.ts';
import { isFile } from './models/wire.ts';

/**
 * Each request that a function, a command, a script of an instance or a state of the workflow sends in the other tests,
 * against the model that AWS publishes of the service. The emulators check little of it.
 */

const run = promisify(execFile);
let modelOf: (service: string) => Model;
let folder: string;
let requests: Recorded[];

beforeAll(async () => {
  modelOf = modelsOf(await pythonEnvironment('test/local/moto.txt', () => undefined));
  folder = mkdtempSync(join(tmpdir(), 'requests-test-'));
  const file = join(folder, 'requests.jsonl');
  // A test that fails here fails in `npm test` too, and says there why. What it sent still counts.
  await run(process.execPath, [VITEST, 'run', '--config', 'test/local/models/recorded.config.ts'], {
    env: { ...process.env, REQUESTS: file, VITEST: undefined },
    maxBuffer: 2 ** 26,
  }).catch(() => undefined);
  requests = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
});

/** Operations that the recorded tests do not send: another test of this folder judges each, or they never reach AWS. */
const ELSEWHERE = [...Object.values(EMULATED).flat(), ...NEVER_TO_AWS.operations];

const judgedOperations = () =>
  new Set(requests.flatMap((request) => (isFile(request) ? [] : [judge(request, modelOf).operation])));

const VITEST = 'node_modules/vitest/vitest.mjs';

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the requests of all tests', () => {
  it('have what the service requires, and nothing that it refuses', () => {
    const faults = requests.flatMap((request) => {
      if (isFile(request)) return [];
      const { operation, faults } = judge(request, modelOf);
      return faults.map((fault) => `${operation}: ${fault}`);
    });
    expect([...new Set(faults)]).toEqual([]);
  });

  it.each([
    { who: 'the functions and the commands', sent: sentByTypeScript(), least: 50 },
    { who: 'the workflow', sent: sentByWorkflows(), least: 2 },
    { who: 'the instances', sent: sentByScripts(), least: 5 },
  ])('are all that $who send', ({ sent, least }) => {
    const operations = [...new Set(sent.map(({ operation }) => operation))];
    expect(operations.length).toBeGreaterThanOrEqual(least);
    const judged = judgedOperations();
    expect(
      operations.filter((operation) => !judged.has(operation) && !ELSEWHERE.includes(operation)),
    ).toEqual([]);
  });

  it('lack only operations that other tests of this folder judge', () => {
    const judged = judgedOperations();
    const sent = new Set(sentByTypeScript().map(({ operation }) => operation));
    // The CDK CLI is not of this project.
    const ours = ELSEWHERE.filter((operation) => !operation.startsWith('cloudformation '));
    expect(ours.filter((operation) => judged.has(operation) || !sent.has(operation))).toEqual([]);
  });
});

describe('a planted fault', () => {
  const json = (target: string, scope: string, input: object): Recorded => ({
    method: 'POST',
    url: '/',
    headers: { 'x-amz-target': target, scope },
    body: JSON.stringify(input),
  });
  const query = (scope: string, parameters: Record<string, string>): Recorded => ({
    method: 'POST',
    url: '/',
    headers: { scope },
    body: new URLSearchParams(parameters).toString(),
  });
  const tag = (key: string, value: string) =>
    query('autoscaling', {
      Action: 'CreateOrUpdateTags',
      Version: '2011-01-01',
      'Tags.member.1.Key': key,
      'Tags.member.1.Value': value,
    });

  it.each<{ what: string; request: Recorded; fault: string | undefined }>([
    { what: 'a sound tag', request: tag('k', 'v'), fault: undefined },
    {
      what: 'a tag whose key is too long',
      request: tag('k'.repeat(129), 'v'),
      fault: 'Tags[0].Key must have 1 to 128 characters',
    },
    {
      what: 'a missing member',
      request: query('autoscaling', {
        Action: 'SetDesiredCapacity',
        Version: '2011-01-01',
        AutoScalingGroupName: 'g',
      }),
      fault: 'DesiredCapacity is missing',
    },
    {
      what: 'a member that is none',
      request: query('autoscaling', {
        Action: 'SetDesiredCapacity',
        Version: '2011-01-01',
        AutoScalingGroupName: 'g',
        DesiredCapacity: '1',
        Desired: '1',
      }),
      fault: 'Desired is no member',
    },
    {
      what: 'a text for a number',
      request: query('autoscaling', {
        Action: 'SetDesiredCapacity',
        Version: '2011-01-01',
        AutoScalingGroupName: 'g',
        DesiredCapacity: 'many',
      }),
      fault: 'DesiredCapacity must be a number',
    },
    {
      what: 'a wrong enumeration',
      request: json('AWSStepFunctions.ListExecutions', 'states', {
        stateMachineArn: 'a',
        statusFilter: 'BROKEN',
      }),
      fault: 'statusFilter must be one of RUNNING, ',
    },
    {
      what: 'a wrong enumeration of a state of the workflow',
      request: {
        service: 'monitoring',
        operation: 'PutMetricData',
        input: { Namespace: 'n', MetricData: [{ MetricName: 'm', Value: 1, Unit: 'Counts' }] },
      },
      fault: 'MetricData[0].Unit must be one of ',
    },
    {
      what: 'a parameter name that is too long',
      request: json('AmazonSSM.GetParameter', 'ssm', { Name: 'n'.repeat(2_049) }),
      fault: 'Name must have 1 to 2048 characters',
    },
  ])('is noticed: $what', ({ request, fault }) => {
    const { faults } = judge(request, modelOf);
    if (fault === undefined) expect(faults).toEqual([]);
    else expect(faults).toEqual([expect.stringContaining(fault)]);
  });

  it('is noticed: a pattern that does not match', () => {
    const request: Recorded = {
      method: 'GET',
      url: '/schedules/a%20b?groupName=fleets',
      headers: { scope: 'scheduler' },
      body: '',
    };
    expect(judge(request, modelOf).faults).toEqual([expect.stringContaining('Name must match ')]);
  });
});
