import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LifecycleState } from '@aws-sdk/client-auto-scaling';
import pc from 'picocolors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DecisionRecord } from '../../cli/deployed/decisions.ts';
import { parseGroup } from '../../cli/deployed/groups.ts';
import type { FleetImage } from '../../cli/deployed/images.ts';
import { type FleetStatus, fleetStatuses, shortTime } from '../../cli/status/fleet-status.ts';
import type { StatusReading } from '../../cli/status/reads.ts';
import { noteOf, statusDetails, statusTable } from '../../cli/status/screen.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { deployedSettings } from '../support/inputs.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address, serve } from '../support/serve.ts';

const NOW = Date.parse('2026-01-05T09:00:00Z');
const PLAIN = pc.createColors(false);

const SETTINGS = deployedSettings({
  groupName: 'circleci-runners-linux',
  capacity: {
    minReplicas: 0,
    maxReplicas: 10,
    schedules: [
      { name: 'office', start: '0 8 * * 1-5', end: '0 18 * * 1-5', timezone: 'UTC', minReplicas: 2 },
    ],
  },
});

const REASONS = [
  'schedule 1, office (0 8 * * 1-5 UTC) is in force: minReplicas 2',
  '3 unclaimed + 2 running = 5 wanted',
  'raised to 7: 2 without a task (minReplicas)',
  'desired capacity rises from 4 to 7',
];

const record = (secondsAgo: number, more: Partial<DecisionRecord> = {}): DecisionRecord => ({
  at: NOW - secondsAgo * 1_000,
  fleet: 'linux',
  execution: 'e-1',
  poll: 1,
  unclaimed: 3,
  running: 2,
  members: { pending: 1, inService: 3, leaving: 0, standby: 0 },
  decision: { from: 4, desired: 7, change: true, reasons: REASONS },
  ...more,
});

const group = (more: object = {}) =>
  parseGroup('linux', {
    AutoScalingGroupName: 'circleci-runners-linux',
    MinSize: 0,
    MaxSize: 10,
    DesiredCapacity: 7,
    DefaultCooldown: 300,
    AvailabilityZones: [],
    HealthCheckType: 'EC2',
    CreatedTime: new Date(NOW - 86_400_000),
    Instances: [
      ...['InService', 'InService', 'InService', 'Pending:Wait', 'Terminating:Wait', 'Warmed:Stopped'].map(
        (state, index) => ({
          InstanceId: `i-0000000000000000${index}`,
          InstanceType: 'm7g.large',
          LifecycleState: state as LifecycleState,
          AvailabilityZone: 'eu-west-1a',
          HealthStatus: 'Healthy',
          ProtectedFromScaleIn: true,
        }),
      ),
    ],
    ...more,
  });

const reading = (more: Partial<StatusReading> = {}): StatusReading => ({
  groups: [group()],
  pools: new Map(),
  launchedAt: new Map([
    ['i-00000000000000000', NOW - 600_000],
    ['i-00000000000000003', NOW - 40_000],
  ]),
  decisions: [record(9), record(4)],
  awaiting: [],
  alarms: [],
  settings: new Map([['linux', SETTINGS]]),
  hours: new Map([['circleci-runners-linux', 100]]),
  boots: new Map(),
  images: new Map(),
  runners: new Map(),
  missing: [],
  ...more,
});

function statusOf(more: Partial<StatusReading> = {}): FleetStatus {
  const [status] = fleetStatuses('circleci-runners', reading(more), new Map(), NOW);
  if (status === undefined) throw new Error('There is no status');
  return status;
}

const tag = (Key: string, Value: string) => ({ Key, Value });

describe('the status of a fleet', () => {
  it('has all that was read', () => {
    expect(statusOf()).toMatchObject({
      queue: 3,
      running: 2,
      desired: 7,
      limits: { minReplicas: 2, maxReplicas: 10 },
      members: { pending: 1, inService: 3, leaving: 1, standby: 0 },
      busy: 2,
      nextPollSeconds: 1,
      breaker: 'closed',
      paused: null,
      monthCost: 8.16,
    });
    expect(statusOf().instances.map(({ doing }) => doing)).toEqual([
      'in service, launched 10 min ago',
      'in service, launched at an unknown time',
      'in service, launched at an unknown time',
      'boots for 40 s',
      'leaves',
    ]);
  });

  it('says what a count of 0 was not checked against, whichever poll came last', () => {
    const reasons = [...REASONS, 'the counts were not checked against the fleets of runners: status 503'];
    const first = record(9, { decision: { from: 4, desired: 4, change: false, reasons } });
    const status = statusOf({ decisions: [first, record(4, { poll: 2 })] });
    expect(status.notChecked).toEqual(['the fleets of runners: status 503']);
    expect(statusDetails(status, 80, PLAIN)).toContain(
      'Not checked a count of 0, against the fleets of runners: status 503',
    );
    expect(statusOf({ decisions: [first, record(4)] }).notChecked).toEqual([]);
  });

  it.each<{ case: string; more: Partial<StatusReading>; note: string }>([
    { case: 'a schedule', more: {}, note: 'schedule 1, office' },
    {
      case: 'alarms, without the composite one over them',
      more: {
        alarms: [
          'circleci-runners-linux-NeedsYou',
          'circleci-runners-linux-CircleCiRefuses',
          'circleci-runners-linux-Starving',
          'circleci-runners-linux-b-BreakerOpen',
          'circleci-runners-Outage',
        ],
      },
      note: '! CircleCI Refuses +1',
    },
    { case: 'no decision', more: { decisions: [] }, note: 'no decision in 2 min' },
    {
      case: 'that a new fleet has not decided yet',
      more: { decisions: [], groups: [group({ CreatedTime: new Date(NOW - 299_000) })] },
      note: 'first execution due',
    },
    {
      case: 'no decision of a fleet that should have its first one',
      more: { decisions: [], groups: [group({ CreatedTime: new Date(NOW - 301_000) })] },
      note: 'no decision in 2 min',
    },
    {
      case: 'that the decisions are not known',
      more: { decisions: [], missing: ['the last decisions (AccessDeniedException)'] },
      note: 'decisions not read',
    },
    {
      case: 'that executions fail at the tokens, after the fleet has waited for them',
      more: {
        decisions: [],
        awaiting: [
          { at: NOW - 70_000, fleet: 'linux', waits: 'waits for its tokens' },
          {
            at: NOW - 10_000,
            fleet: 'linux',
            waits: undefined,
            failure: { name: 'SecretNotFound', message: 'Secret x is marked for deletion.' },
          },
        ],
      },
      note: 'executions fail',
    },
    {
      case: 'a pause',
      more: { groups: [group({ Tags: [tag('circleci-runners:paused', 'true')] })] },
      note: 'paused',
    },
    {
      case: 'a drain',
      more: { groups: [group({ Tags: [tag('circleci-runners:paused', 'drain')] })] },
      note: 'drains',
    },
    {
      case: 'a pause before the alarms that ring all the same',
      more: {
        groups: [group({ Tags: [tag('circleci-runners:paused', 'true')] })],
        alarms: ['circleci-runners-linux-Starving'],
      },
      note: 'paused, ! Starving',
    },
    {
      case: 'a drain, and not that it suspends launches',
      more: {
        groups: [
          group({
            Tags: [tag('circleci-runners:paused', 'drain')],
            SuspendedProcesses: [{ ProcessName: 'Launch' }],
          }),
        ],
      },
      note: 'drains',
    },
    {
      case: 'a pause before failing executions',
      more: {
        groups: [group({ Tags: [tag('circleci-runners:paused', 'drain')] })],
        awaiting: [
          {
            at: NOW,
            fleet: 'linux',
            waits: undefined,
            failure: { name: 'SecretNotFound', message: 'Gone.' },
          },
        ],
      },
      note: 'drains, executions fail',
    },
    {
      case: 'the breaker',
      more: { groups: [group({ Tags: [tag('circleci-runners:launch-suspended-by', 'breaker')] })] },
      note: 'breaker open',
    },
    {
      case: 'a drain, which suspends Launch itself',
      more: {
        groups: [
          group({
            SuspendedProcesses: [{ ProcessName: 'Launch' }],
            Tags: [
              tag('circleci-runners:paused', 'drain'),
              tag('circleci-runners:launch-suspended-by', 'drain'),
            ],
          }),
        ],
      },
      note: 'drains',
    },
    {
      case: 'a fleet that was resumed, before its next poll',
      more: {
        groups: [
          group({
            SuspendedProcesses: [{ ProcessName: 'Launch' }],
            Tags: [tag('circleci-runners:launch-suspended-by', 'drain')],
          }),
        ],
      },
      note: 'resumes with the next poll',
    },
    {
      case: 'a suspended process, and not the one that each deployment suspends',
      more: {
        groups: [group({ SuspendedProcesses: [{ ProcessName: 'AZRebalance' }, { ProcessName: 'Launch' }] })],
      },
      note: 'suspended: Launch',
    },
    {
      case: 'what holds the capacity while tasks wait',
      more: {
        decisions: [
          record(4, {
            decision: { from: 10, desired: 10, change: false, reasons: ['capped at maxReplicas (10)'] },
          }),
        ],
      },
      note: 'capped at maxReplicas (10)',
    },
    { case: 'nothing', more: { settings: new Map() }, note: 'ok' },
  ])('names first: $case', ({ more, note }) => {
    expect(noteOf(statusOf(more)).text).toBe(note);
  });

  it('leaves out what is not known', () => {
    const unknown = statusOf({ decisions: [], settings: new Map(), hours: new Map(), launchedAt: new Map() });
    expect(unknown).toMatchObject({
      queue: null,
      limits: null,
      busy: null,
      monthCost: null,
      decision: null,
      nextPollSeconds: null,
    });
  });

  describe('with the runners that CircleCI lists', () => {
    const IDS = [0, 1, 2].map((index) => `i-0000000000000000${index}`);
    const IN_SERVICE = IDS.map((InstanceId) => ({ InstanceId, LifecycleState: 'InService' }));
    const runner = (index: number, lastUsed?: number, lastConnected = NOW - 20_000) => ({
      name: IDS[index] ?? '',
      firstConnected: NOW - 540_000,
      lastConnected,
      lastUsed,
    });
    const doing = (listed: ReturnType<typeof runner>[], running: number | undefined) =>
      statusOf({
        groups: [group({ Instances: IN_SERVICE })],
        runners: new Map([['linux', listed]]),
        decisions: [record(4, { running })],
        launchedAt: new Map(IDS.map((id) => [id, NOW - 600_000])),
      })
        .instances.slice(0, 3)
        .map((instance) => instance.doing.replace('; launched 10 min ago', ''));

    it.each([
      {
        case: 'who is idle, and who may be busy',
        listed: [runner(0), runner(1, NOW - 300_000), runner(2)],
        running: 1,
        says: [
          'idle for 9 min, no task so far',
          'may run a task: last used 5 min ago',
          'idle for 9 min, no task so far',
        ],
      },
      {
        case: 'that all are idle if no task runs',
        listed: [runner(0), runner(1, NOW - 300_000), runner(2)],
        running: 0,
        says: [
          'idle for 9 min, no task so far',
          'idle: last used 5 min ago',
          'idle for 9 min, no task so far',
        ],
      },
      {
        case: 'that all are busy if there is a task for each',
        listed: [runner(0, NOW - 40_000), runner(1, NOW - 300_000), runner(2, NOW - 300_000)],
        running: 3,
        says: [
          'runs a task: last used 40 s ago',
          'runs a task: last used 5 min ago',
          'runs a task: last used 5 min ago',
        ],
      },
      {
        case: 'nobody idle who was used after the count',
        listed: [runner(0, NOW - 10_000), runner(1, NOW - 300_000), runner(2)],
        running: 0,
        says: [
          'may run a task: last used 10 s ago',
          'idle: last used 5 min ago',
          'idle for 9 min, no task so far',
        ],
      },
      {
        case: 'nobody busy for certain beside a runner of somebody else',
        listed: [0, 1, 2]
          .map((index) => runner(index, NOW - 300_000))
          .concat({ ...runner(0), name: 'laptop' }),
        running: 3,
        says: Array(3).fill('may run a task: last used 5 min ago'),
      },
      {
        case: 'nobody idle whom the count contradicts',
        listed: [runner(0), runner(1, NOW - 300_000), runner(2)],
        running: 2,
        says: [
          "no task so far, by CircleCI's list",
          'may run a task: last used 5 min ago',
          "no task so far, by CircleCI's list",
        ],
      },
      {
        case: 'nobody idle without a count',
        listed: [runner(0), runner(1, NOW - 300_000)],
        running: undefined,
        says: [
          "no task so far, by CircleCI's list",
          'may run a task: last used 5 min ago',
          'CircleCI lists no runner of it',
        ],
      },
      {
        case: 'who is silent, used or not',
        listed: [
          runner(0, undefined, NOW - 1_500_000),
          runner(1, NOW - 1_600_000, NOW - 1_500_000),
          runner(2),
        ],
        running: 0,
        says: [
          'its runner was last seen 25 min ago',
          'its runner was last seen 25 min ago',
          'idle for 9 min, no task so far',
        ],
      },
    ])('says $case', ({ listed, running, says }) => {
      expect(doing(listed, running)).toEqual(says);
    });

    it('has their times as numbers, and none of a member that is not in service', () => {
      const { instances } = statusOf({ runners: new Map([['linux', [runner(1, NOW - 300_000)]]]) });
      expect(instances.map((instance) => instance.runner)).toEqual([
        null,
        { connected: 540, contact: 20, used: 300 },
        null,
        null,
        null,
      ]);
      expect(instances.slice(3).map((instance) => instance.doing)).toEqual(['boots for 40 s', 'leaves']);
    });

    it('says nobody busy for certain beside a member that leaves with a task', () => {
      const listed = [0, 1, 2].map((index) => runner(index, NOW - 300_000));
      const of = { runners: new Map([['linux', listed]]), decisions: [record(4, { running: 3 })] };
      expect(statusOf(of).instances[0]?.doing).toMatch(/^may run a task/);
    });

    it('calls no runner idle whose last use is listed in a form that is not known', () => {
      const runners = new Map([['linux', [runner(0, Number.NaN), runner(1), runner(2)]]]);
      const { instances } = statusOf({ runners, decisions: [record(4, { running: 0 })] });
      expect(instances[0]?.doing).toMatch(/^may run a task: last use not known/);
      expect(instances[0]?.runner).toEqual({ connected: 540, contact: 20, used: null });
    });

    it('leaves out a launch at an unknown time', () => {
      const runners = new Map([['linux', [runner(0), runner(1), runner(2)]]]);
      const { instances } = statusOf({
        runners,
        launchedAt: new Map(),
        decisions: [record(4, { running: 0 })],
      });
      expect(instances[0]?.doing).toBe('idle for 9 min, no task so far');
    });

    it('fits 80 columns with the longest times', () => {
      const old = { ...runner(0, NOW - 5_940_000), firstConnected: NOW - 5_940_000 };
      const launchedAt = new Map(IDS.map((id) => [id, NOW - 5_940_000]));
      for (const listed of [
        [old],
        [{ ...old, lastUsed: undefined }],
        [{ ...old, lastUsed: Number.NaN }],
        [{ ...old, lastConnected: NOW - 5_940_000 }],
        [],
      ])
        for (const running of [1, 3, undefined]) {
          const of = {
            runners: new Map([['linux', listed]]),
            launchedAt,
            decisions: [record(4, { running })],
          };
          const lines = statusDetails(statusOf(of), 80, PLAIN);
          expect(lines.filter((line) => line.startsWith('  i-') && line.endsWith('...'))).toEqual([]);
        }
    });
  });

  it.each([
    [0, '0 s'],
    [99, '99 s'],
    [100, '2 min'],
    [5_969, '99 min'],
    [5_970, '2 h'],
    [172_800, '2 d'],
  ])('has times in one number: %i', (seconds, text) => expect(shortTime(seconds)).toBe(text));
});

describe('the screen', () => {
  const twenty = Array.from({ length: 20 }, (_, index) => ({
    ...statusOf(),
    fleet: index === 7 ? 'a-fleet-with-the-longest-name-32' : `fleet-${index}`,
    alarms: index === 3 ? ['Tasks Run Elsewhere', 'Starving'] : [],
  }));

  it.each([80, 120])('has 20 fleets in 24 rows of %i columns', (columns) => {
    const lines = statusTable(twenty, columns, PLAIN);
    expect(lines.length).toBeLessThanOrEqual(22);
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
  });

  it('is a table', () => {
    expect(statusTable(twenty.slice(2, 9), 80, PLAIN).join('\n')).toMatchInlineSnapshot(`
      "fleet            queue  run desired   up boot polled    USD  state
      fleet-2              3    2       7    3    1    4 s   8.16  schedule 1, office
      fleet-3              3    2       7    3    1    4 s   8.16  ! Tasks Run Else...
      fleet-4              3    2       7    3    1    4 s   8.16  schedule 1, office
      fleet-5              3    2       7    3    1    4 s   8.16  schedule 1, office
      fleet-6              3    2       7    3    1    4 s   8.16  schedule 1, office
      a-fleet-with-...     3    2       7    3    1    4 s   8.16  schedule 1, office
      fleet-8              3    2       7    3    1    4 s   8.16  schedule 1, office"
    `);
  });

  it('says how long the boots of the last day took', () => {
    const boots = new Map([['linux', { Resume: { mean: 12, boots: 2 } }]]);
    expect(statusDetails(statusOf({ boots }), 80, PLAIN)).toContain(
      'Boots       12 s from the warm pool, mean of 2 boots',
    );
  });

  it('says which built image launches have, and whether the last build failed', () => {
    const of = (lastBuild: FleetImage['lastBuild']) => {
      const images = new Map([['linux', { image: 'ami-00000000000000002', at: NOW - 60_000, lastBuild }]]);
      return statusDetails(statusOf({ images }), 120, PLAIN).find((line) => line.startsWith('Image'));
    };
    const inUse = 'Image       ami-00000000000000002 since 2026-01-05 08:59 UTC';
    const build = { build: '1.0.7/3', created: '2026-01-04T03:00:00.000Z' };
    expect(of(undefined)).toBe(`${inUse}; nothing was built yet`);
    expect(of({ ...build, status: 'AVAILABLE' })).toBe(
      `${inUse}; last build 1.0.7/3 AVAILABLE of 2026-01-04 03:00 UTC`,
    );
    expect(of({ ...build, status: 'FAILED' })).toMatch(/last build 1\.0\.7\/3 FAILED of .*, see the/);
    expect(statusDetails(statusOf(), 80, PLAIN).join()).not.toContain('Image ');
  });

  it('has what the warm pool is doing', () => {
    const states = ['Warmed:Stopped', 'Warmed:Pending:Wait', 'Warmed:Running', 'Warmed:Hibernated'];
    const instances = [...states, 'Warmed:Terminating:Wait'].map((lifecycleState, index) => ({
      instance: `i-${index}`,
      lifecycleState,
    }));
    const status = statusOf({
      groups: [group({ WarmPoolConfiguration: { MinSize: 5 }, WarmPoolSize: 4 })],
      pools: new Map([['circleci-runners-linux', instances]]),
      launchedAt: new Map([
        ['i-0', NOW - 7_200_000],
        ['i-1', NOW - 40_000],
      ]),
    });
    expect(status.warmPool?.instances?.[0]).toEqual({
      instance: 'i-0',
      state: 'Warmed:Stopped',
      age: 7_200,
      doing: 'stopped in the warm pool, launched 2 h ago',
    });
    expect(status.members).toMatchObject({ pending: 1, inService: 3 });
    const lines = statusDetails(status, 80, PLAIN);
    expect(lines.slice(lines.indexOf('Warm pool   5 instances'), lines.length).slice(0, 6)).toEqual([
      'Warm pool   5 instances',
      '  i-0  stopped in the warm pool, launched 2 h ago',
      '  i-1  boots for the warm pool, launched 40 s ago',
      '  i-2  runs in the warm pool, launched at an unknown time',
      '  i-3  hibernated in the warm pool, launched at an unknown time',
      '  i-4  leaves the warm pool',
    ]);
  });

  it('has a column of warm pools if a fleet has one', () => {
    const pooled = group({ WarmPoolConfiguration: { MinSize: 1 }, WarmPoolSize: 2 });
    const fleets = [statusOf({ groups: [pooled] }), { ...statusOf(), fleet: 'arm' }];
    expect(statusTable(fleets, 80, PLAIN).join('\n')).toMatchInlineSnapshot(`
      "fleet queue  run desired   up boot warm polled    USD  state
      linux     3    2       7    3    1    2    4 s   8.16  schedule 1, office
      arm       3    2       7    3    1    -    4 s   8.16  schedule 1, office"
    `);
    expect(fleets[0]?.warmPool).toEqual({ size: 2, instances: null });
  });

  it.each([80, 120])('has all about one fleet in %i columns', (columns) => {
    const lines = statusDetails(statusOf(), columns, PLAIN);
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines.join('\n')).toMatchSnapshot();
  });
});

describe('a fleet that waits for its tokens', () => {
  const waits = 'waits for its tokens: store them';
  const waiting = (secondsAgo: number, fleet = 'linux') => [{ at: NOW - secondsAgo * 1_000, fleet, waits }];

  it('says so until it decides', () => {
    const status = statusOf({ decisions: [], awaiting: waiting(20) });
    expect(noteOf(status)).toEqual({ text: 'waits for its tokens', level: 'warning' });
    expect(statusDetails(status, 80, PLAIN)).toContain(`Decision    none: the fleet ${waits}`);
    expect(statusOf({ awaiting: waiting(60) }).waits).toBe(null);
    const other = statusOf({ decisions: [], awaiting: waiting(20, 'arm') });
    expect(noteOf(other).text).toBe('no decision in 2 min');
  });

  it.each<{ more: Partial<StatusReading>; says: string }>([
    { more: {}, says: 'none in the last 2 min: npm run explain -- linux says why' },
    {
      more: { groups: [group({ CreatedTime: new Date(NOW) })] },
      says: 'none yet: the fleet is new, and its first execution is due',
    },
    {
      more: { missing: ['the last decisions (ThrottlingException)'] },
      says: 'not known: the log of the decisions was not read',
    },
    {
      more: {
        awaiting: [
          {
            at: NOW,
            fleet: 'linux',
            waits: undefined,
            failure: { name: 'SecretNotFound', message: 'There is none.' },
          },
        ],
      },
      says: 'none: executions fail. SecretNotFound: There is none.',
    },
  ])('has in its details: $says', ({ more, says }) => {
    expect(statusDetails(statusOf({ decisions: [], ...more }), 80, PLAIN)).toContain(`Decision    ${says}`);
  });
});

describe('npm run status', () => {
  let aws: OperatorAws;
  /** Where the command keeps in which account it found the stack. */
  let folder: string;

  beforeEach(async () => {
    aws = await new OperatorAws().listen();
    folder = mkdtempSync(join(tmpdir(), 'operator-test-'));
    haveFleets(20);
  });

  /** Deploys this number of fleets, each with an instance and a decision. */
  function haveFleets(count: number): void {
    const at = Date.now() - 3_000;
    aws.groups = Array.from({ length: count }, (_, index) => ({
      fleet: `fleet-${`${index}`.padStart(2, '0')}`,
      desired: index,
      members: [{ id: `i-${index}`, state: 'InService' }],
    }));
    aws.launchedAt.set('i-3', new Date(at - 297_000));
    for (const { fleet } of aws.groups)
      aws.parameters.set(`/circleci-runners/fleets/${fleet}`, JSON.stringify(deployedSettings()));
    aws.logs.set(
      '/aws/lambda/circleci-runners-compute-capacity',
      aws.groups.map(({ fleet, desired }) => ({
        timestamp: at,
        message: JSON.stringify({ ...record(0), message: 'Compute Capacity', fleet, running: desired }),
      })),
    );
  }

  afterEach(() => {
    aws.close();
    rmSync(folder, { recursive: true });
  });

  const command = (...words: string[]) => runAgainstAws(address(aws.server), 'status', words);

  const callsOfReads = () =>
    Object.fromEntries(
      ['DescribeAutoScalingGroups', 'DescribeInstances', 'FilterLogEvents', 'GetParametersByPath'].map(
        (operation) => [operation, aws.calls(operation)],
      ),
    );

  it('reads the image of a fleet whose image is built, and shows the rest if that fails', async () => {
    const settings = JSON.stringify(deployedSettings({ imageBuiltBy: 'circleci-runners-fleet-03' }));
    aws.parameters.set('/circleci-runners/fleets/fleet-03', settings);
    const { status, stdout } = await command('fleet-03');
    expect(status).toBe(0);
    // This stand-in knows neither EC2 Image Builder nor the versions of parameters.
    expect(stdout).toMatch(/^Not read: [\s\S]*the image \(/m);
    expect((await command('fleet-04')).stdout).not.toContain('the image (');
  });

  it('says that executions fail although every fleet has decided something a minute ago', async () => {
    const error = { name: 'SecretNotFound', message: 'Secret x is marked for deletion.' };
    const message = JSON.stringify({ level: 'ERROR', message: 'Read Settings', fleet: 'fleet-03', error });
    aws.logs.set('/aws/lambda/circleci-runners-read-settings', [{ timestamp: Date.now() - 1_000, message }]);
    const { stdout } = await command();
    expect(stdout).toMatch(/^fleet-03 .* executions fail\nfleet-04 .* ok$/m);
  });

  it('says what fleets wait for that have decided nothing', async () => {
    const waits = 'waits for its tokens: store them';
    const message = JSON.stringify({ level: 'INFO', message: 'Read Settings', fleet: 'fleet-03', waits });
    aws.logs.clear();
    aws.logs.set('/aws/lambda/circleci-runners-read-settings', [{ timestamp: Date.now() - 3_000, message }]);
    const { stdout } = await command();
    expect(stdout).toMatch(/^fleet-03 .* waits for its to.*\nfleet-04 .* no decision in 2/m);
    expect(aws.calls('FilterLogEvents')).toBe(2);
  });

  it('reads 20 fleets with one call to each service, within 2 s', async () => {
    const { status, stdout, stderr } = await command();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toHaveLength(1 + 20 + 1 + 1);
    expect(stdout).toMatch(/^fleet-03 {5}3 {4}3 {7}3 {4}1 {4}0 +\d s {6}- {2}ok$/m);
    expect(callsOfReads()).toEqual({
      DescribeAutoScalingGroups: 1,
      DescribeInstances: 1,
      // The decisions, and what kept fleets from deciding.
      FilterLogEvents: 2,
      // Ten parameters a call, which AWS does not exceed.
      GetParametersByPath: 2,
    });
    // The best of some, because the first one imports the SDK, and other tests run beside it.
    const seconds: number[] = [];
    for (let run = 0; run < 5; run += 1) {
      const began = performance.now();
      await command();
      seconds.push((performance.now() - began) / 1_000);
    }
    expect(Math.min(...seconds)).toBeLessThan(2);
  });

  it('reads more than 50 fleets with at most one call for each 50 groups', async () => {
    haveFleets(120);
    const { stdout } = await command();
    expect(stdout).toMatch(/^fleet-119 /m);
    expect(callsOfReads()).toEqual({
      DescribeAutoScalingGroups: 2,
      DescribeInstances: 1,
      // The decisions, and what kept fleets from deciding.
      FilterLogEvents: 2,
      GetParametersByPath: 12,
    });
  });

  describe('beside CircleCI', () => {
    const TOKEN = 'CCIPAT_status_0123456789abcdef';
    let circleci: CircleCi;

    beforeEach(async () => {
      circleci = new CircleCi();
      circleci.tokens.add(TOKEN);
      circleci.classes.set('acme/linux', { unclaimed: 3, running: 0 });
      const now = Date.now();
      circleci.runners.set('acme/linux', () => [
        { name: 'i-3', firstConnected: now - 119_000, lastConnected: now - 1_000 },
      ]);
      const circleciUrl = await serve(circleci);
      const settings = deployedSettings({ circleciUrl });
      aws.parameters.set('/circleci-runners/fleets/fleet-03', JSON.stringify(settings));
      aws.secrets.set(
        settings.scalerSecretName,
        JSON.stringify({ resource_class: 'acme/linux', circleci_url: circleciUrl, circle_token: TOKEN }),
      );
      const at = Date.now() - 3_000;
      const message = JSON.stringify({
        ...record(0),
        message: 'Compute Capacity',
        fleet: 'fleet-03',
        running: 0,
      });
      aws.logs.set('/aws/lambda/circleci-runners-compute-capacity', [{ timestamp: at, message }]);
    });

    it('says what the runner of each member in service does, of one fleet only', async () => {
      const { stdout } = await command('fleet-03');
      expect(stdout).toMatch(/^ {2}i-3 {2}idle for 2 min, no task so far; launched 5 min ago$/m);
      expect(stdout).not.toMatch(/each runner does/);
      const { fleets } = JSON.parse((await command('fleet-03', '--json')).stdout);
      expect(fleets[0].instances[0].runner).toEqual({
        connected: expect.closeTo(119, -1),
        contact: expect.closeTo(1, -1),
        used: null,
      });
      expect(stdout).not.toContain(TOKEN);
      const before = aws.calls('GetSecretValue');
      expect(before).toBe(2);
      await command();
      await command('--json');
      expect(aws.calls('GetSecretValue')).toBe(before);
    });

    it('reads no secret of a fleet that has no member in service', async () => {
      for (const each of aws.groups) each.members = [{ id: 'i-3', state: 'Pending' }];
      expect((await command('fleet-03')).stdout).not.toMatch(/each runner does/);
      expect(aws.calls('GetSecretValue')).toBe(0);
    });

    it.each<{ case: string; make: () => void; why: string }>([
      { case: 'the secret may not be read', make: () => aws.secrets.clear(), why: 'SecretDenied' },
      { case: 'the token is refused', make: () => circleci.tokens.clear(), why: 'CircleCI answered 401' },
      {
        case: 'nobody is listed',
        make: () => circleci.runners.clear(),
        why: 'CircleCI lists none of the resource class: status 404',
      },
      {
        case: 'CircleCI does not answer',
        make: () => {
          circleci.fault = () => 'hang';
        },
        why: 'CircleCiTimeout',
      },
    ])('says in one line why that is not known if $case, in time', async ({ make, why }) => {
      make();
      const began = performance.now();
      const { status, stdout } = await command('fleet-03');
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^ {2}i-3 {2}in service, launched 5 min ago$/m);
      expect(stdout.replaceAll(/\n {2}(?=\S)/g, ' ')).toContain(`what each runner does (${why})`);
    });
  });

  it('refuses a file of prices that was named and cannot be read', async () => {
    const { status, stderr } = await command('--fleets', join(folder, 'other.yaml'));
    expect(stderr).toContain('other.yaml cannot be read: ENOENT');
    expect(status).toBe(2);
  });

  it('says what could not be read, and shows the rest', async () => {
    expect((await command()).stdout).toMatch(/^Not read: .*the alarms \(\w+\)/m);
  });

  it('says which fleet has lost its group, also if it is named', async () => {
    aws.groups = aws.groups.filter(({ fleet }) => fleet !== 'fleet-03');
    const says =
      'The Auto Scaling group of fleet fleet-03 is gone, so each of its executions fails. Restore it: npx cdk deploy --all --revert-drift';
    const inOneLine = (text: string) => text.replaceAll(/\s+/g, ' ');
    expect(inOneLine((await command()).stdout)).toContain(says);
    expect(JSON.parse((await command('--json')).stdout)).toMatchObject({ gone: ['fleet-03'] });
    const { status, stderr } = await command('fleet-03');
    expect(status).toBe(2);
    expect(inOneLine(stderr)).toContain(says);
    aws.groups = [];
    expect(inOneLine((await command()).stdout)).toContain(says);
  });

  it('reads the instances of the warm pool of a fleet, and of all only for JSON', async () => {
    const [first, second] = aws.groups;
    Object.assign(first ?? {}, { pool: [{ id: 'i-warm', state: 'Warmed:Stopped' }] });
    Object.assign(second ?? {}, { pool: [] });
    aws.launchedAt.set('i-warm', new Date(Date.now() - 7_200_000));
    expect((await command()).stdout).toMatch(
      / warm polled .*\nfleet-00 +3 +0 +0 +1 +0 +1 .*\nfleet-01 .* 0 +\d s /,
    );
    expect(aws.calls('DescribeWarmPool')).toBe(0);
    expect((await command('fleet-00')).stdout).toContain(
      'Warm pool   1 instance\n  i-warm  stopped in the warm pool, launched 2 h ago\n',
    );
    expect(aws.calls('DescribeWarmPool')).toBe(1);
    const { fleets } = JSON.parse((await command('--json')).stdout);
    expect(fleets.slice(0, 3).map(({ warmPool }: FleetStatus) => warmPool)).toMatchObject([
      { size: 1, instances: [{ instance: 'i-warm', state: 'Warmed:Stopped' }] },
      { size: 0, instances: [] },
      null,
    ]);
  });

  it('prints JSON', async () => {
    const { stdout } = await command('fleet-03', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      stack: 'circleci-runners',
      fleets: [{ fleet: 'fleet-03', desired: 3, instances: [{ doing: 'in service, launched 5 min ago' }] }],
    });
  });

  it.each([
    { words: ['fleet-99'], says: /^The fleet must be a deployed one \(fleet-00, .*\), got "fleet-99"$/m },
    { words: ['--watch', '--json'], says: /--watch shows a screen/ },
    { words: ['--every', '5s'], says: /--every only works with --watch/ },
    { words: ['--watch'], says: /--watch needs a terminal/ },
    {
      words: ['--stack', 'other'],
      says: /^Stack other has no fleets\. Deploy it first: npx cdk deploy --all -c fleets=FILE -c stack=other$/m,
    },
  ])('refuses $words', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  });
});
