import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { capacityOf } from '../../fleets/effective.ts';
import { loadFleets } from '../../fleets/load.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { ec2Xml, json, resultXml } from '../support/aws-stand-in.ts';
import { expectCleanTerminal, startOnTerminal } from '../support/aws-terminal.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { deployedSettings } from '../support/inputs.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_states_0123456789abcdef';
const MINUTE = 60_000;

/** An instance in each state, with its age in minutes. */
const MEMBERS = [
  { id: 'i-00000000000000001', state: 'Pending', minutes: 2.2 },
  { id: 'i-00000000000000002', state: 'Pending:Wait', minutes: 3.2 },
  { id: 'i-0000000000000001d', state: 'InService', minutes: 20.2, what: 'idle' },
  { id: 'i-0000000000000002b', state: 'InService', minutes: 32.2, what: 'with a task' },
  { id: 'i-00000000000000105', state: 'InService', minutes: 301, what: 'whose runner is lost' },
  { id: 'i-00000000000000006', state: 'Terminating:Wait', minutes: 361 },
  { id: 'i-00000000000000007', state: 'Standby', minutes: 421 },
  { id: 'i-00000000000000008', state: 'Warmed:Stopped', minutes: 601 },
];
/** Of the warm pool. */
const POOL = [
  { id: 'i-0000000000000000a', state: 'Warmed:Stopped', minutes: 180 },
  { id: 'i-0000000000000000b', state: 'Warmed:Pending:Wait', minutes: 3.2 },
];
/** In no group any more. */
const DETACHED = { id: 'i-0000000000000000d', minutes: 541 };

let aws: DoctorAws;
let folder: string;
let file: string;

beforeEach(async () => {
  const now = Date.now();
  const ago = (minutes: number) => now - minutes * MINUTE;
  const iso = (minutes: number) => new Date(ago(minutes)).toISOString();
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 3, running: 1 });
  const connected = (name: string, minutes: number, lastUsed?: number) => ({
    name,
    firstConnected: ago(minutes),
    lastConnected: now,
    lastUsed,
  });
  circleci.runners.set('acme/linux', () => [
    connected('i-0000000000000001d', 18, undefined),
    connected('i-0000000000000002b', 30, ago(5)),
  ]);
  const circleciUrl = await serve(circleci);

  folder = mkdtempSync(join(tmpdir(), 'states-'));
  file = join(folder, 'fleets.yaml');
  const settings = {
    resourceClass: 'acme/linux',
    instanceTypes: ['m7g.large'],
    maxReplicas: 10,
    image: 'ami-01234567',
    circleciUrl,
  };
  writeFileSync(file, stringify({ linux: settings }));
  const [fleet] = loadFleets(file);
  if (fleet === undefined) throw new Error('There is no fleet');

  aws = await new DoctorAws().listen();
  aws.groups = [
    {
      fleet: 'linux',
      desired: 6,
      version: '3',
      members: MEMBERS,
      pool: POOL,
      suspended: { AZRebalance: 'User suspended' },
    },
  ];
  for (const { id, minutes } of MEMBERS) aws.launchedAt.set(id, new Date(ago(minutes)));
  const instance = ({ id, minutes }: { id: string; minutes: number }) =>
    `<item><instanceId>${id}</instanceId><instanceState><name>running</name></instanceState><launchTime>${iso(minutes)}</launchTime></item>`;
  aws.changed.set(
    'DescribeInstances',
    ec2Xml(
      'DescribeInstances',
      `<reservationSet><item><instancesSet>${[...MEMBERS, ...POOL, DETACHED].map(instance).join('')}</instancesSet></item></reservationSet>`,
    ),
  );
  aws.changed.set(
    'DescribeAutoScalingInstances',
    resultXml('DescribeAutoScalingInstances', '<AutoScalingInstances/>'),
  );
  aws.changed.set('DescribeVolumes', ec2Xml('DescribeVolumes', '<volumeSet/>'));
  const activity = (description: string, status: string, begun: number, ended?: number, message = '') =>
    `<member><Description>${description}</Description><StatusCode>${status}</StatusCode><StatusMessage>${message}</StatusMessage><StartTime>${iso(begun)}</StartTime>${ended === undefined ? '' : `<EndTime>${iso(ended)}</EndTime>`}</member>`;
  aws.activities.set(
    'circleci-runners-linux',
    [
      activity('Launching a new EC2 instance: i-00000000000000001', 'InProgress', 2.2),
      activity('Launching a new EC2 instance: i-00000000000000002', 'InProgress', 3.2),
      activity(
        'Launching a new EC2 instance',
        'Failed',
        10,
        9.9,
        'We currently do not have sufficient m7g.large capacity in the Availability Zone you requested (eu-west-1a). Launching EC2 instance failed.',
      ),
      activity('Launching a new EC2 instance: i-0000000000000001d', 'Successful', 20.2, 18.7),
      activity('Terminating EC2 instance: i-00000000000000006', 'InProgress', 350),
      activity('Moving EC2 instance to Standby: i-00000000000000007', 'Successful', 400, 400),
    ].join(''),
  );
  aws.parameters.set(
    '/circleci-runners/fleets/linux',
    JSON.stringify(
      deployedSettings({
        circleciUrl,
        scalerSecretName: 'circleci-runners/linux/scaler',
        runnerSecretName: 'circleci-runners/linux/runner',
        groupName: 'circleci-runners-linux',
        alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms',
        capacity: capacityOf(fleet),
        lifetimes: { bootSeconds: 600, idleSeconds: 300, runSeconds: 10_800, ageLimitSeconds: 14_400 },
      }),
    ),
  );
  const secret = { resource_class: 'acme/linux', circleci_url: circleciUrl, circle_token: TOKEN };
  aws.changed.set('GetSecretValue', json({ SecretString: JSON.stringify(secret) }));
  const alarm = { AlarmName: 'circleci-runners-linux-LeftBehind', StateValue: 'ALARM' };
  aws.changed.set('DescribeAlarms', json({ MetricAlarms: [alarm], CompositeAlarms: [] }));
  const members = { pending: 2, inService: 3, leaving: 1, standby: 1 };
  const decided = (seconds: number, from: number, desired: number, reasons: string[]) => ({
    timestamp: now - seconds * 1_000,
    message: JSON.stringify({
      message: 'Compute Capacity',
      fleet: 'linux',
      execution: 'e-1',
      poll: 1,
      unclaimed: 3,
      running: 1,
      members,
      decision: { from, desired, change: from !== desired, reasons },
    }),
  });
  aws.logs.set('/aws/lambda/circleci-runners-compute-capacity', [
    decided(200, 5, 6, ['3 unclaimed + 3 running = 6 wanted', 'desired capacity rises from 5 to 6']),
    decided(10, 6, 6, [
      '3 unclaimed + 1 running = 4 wanted',
      'held at 6: only an instance knows whether it is idle',
    ]),
    decided(5, 6, 6, [
      '3 unclaimed + 1 running = 4 wanted',
      'held at 6: only an instance knows whether it is idle',
    ]),
  ]);
  const error = { name: 'CircleCiTimeout', message: 'CircleCiTimeout: no whole answer in time.' };
  aws.logs.set('/aws/lambda/circleci-runners-count-running', [
    {
      timestamp: now - 9 * MINUTE,
      message: JSON.stringify({
        level: 'ERROR',
        message: 'Count Running',
        fleet: 'linux',
        execution: 'e-0',
        error,
      }),
    },
  ]);
});

afterEach(() => {
  aws.close();
  rmSync(folder, { recursive: true });
});

/** What differs from run to run: addresses, times of the day, and a few seconds. */
const steady = (line: string) =>
  line
    .replace(address(aws.server), 'ENDPOINT')
    .replace(/http:\/\/127\.0\.0\.1:\d+/, 'CIRCLECI')
    .replaceAll(/\d\d:\d\d:\d\d/g, 'HH:MM:SS')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d to (\d{4}-\d\d-\d\d )?\d\d:\d\d/g, 'DAY HH:MM to HH:MM')
    .replaceAll(/ +1?\d s\b/g, ' 5 s')
    .trimEnd();

describe.each([
  { columns: 80, rows: 24 },
  { columns: 120, rows: 40 },
])('a fleet with instances in every state, on a terminal of $columns x $rows', (size) => {
  it.each([
    { command: 'status', words: ['linux'], code: 0 },
    { command: 'status of all fleets', words: [], code: 0 },
    { command: 'explain', words: ['linux'], code: 0 },
    { command: 'reconcile', words: ['linux'], code: 1 },
    { command: 'doctor', words: ['linux'], code: 1 },
  ])('$command', async ({ command, words, code }) => {
    const [name = ''] = command.split(' ');
    const pty = startOnTerminal(address(aws.server), { ...size, cwd: folder }, name, ...words);
    expect(await pty.end()).toBe(code);
    // In the hour after midnight, the time has two dates, and the sentence is folded at another word.
    const shown = pty.screen.lines.map(steady).join('\n');
    const unfolded = shown.replace(/UTC: \d+ polls[^.]*\./, (text) => text.replaceAll('\n', ' '));
    expect(`\n${unfolded}\n`).toMatchSnapshot();
    expectCleanTerminal(pty, size);
  });
});
