import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { CHECKS } from '../../cli/doctor/checks.ts';
import { capacityOf, quietPollIntervalOf } from '../../fleets/effective.ts';
import { loadFleets } from '../../fleets/load.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { json, resultXml } from '../support/aws-stand-in.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { awsEnvironment, runAgainstAws } from '../support/in-process.ts';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_doctor_0123456789abcdef';

let aws: DoctorAws;
let folder: string;
let file: string;
let circleci: CircleCi;
/** Writes the fleets file with these changes. */
let rewrite: (changes: object) => void;

beforeEach(async () => {
  circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 0, running: 0 });
  const circleciUrl = await serve(circleci);
  folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  file = join(folder, 'fleets.yaml');
  const settings = {
    resourceClass: 'acme/linux',
    instanceTypes: ['m7g.large'],
    maxReplicas: 10,
    image: 'ami-01234567',
    circleciUrl,
  };
  const scaler = {
    vpcId: 'vpc-00000001',
    subnetIds: ['subnet-00000001', 'subnet-00000002'],
    securityGroupIds: ['sg-00000001'],
  };
  rewrite = (changes) => writeFileSync(file, stringify({ scaler, linux: { ...settings, ...changes } }));
  rewrite({});
  aws = await new DoctorAws().listen();
  aws.groups = [{ fleet: 'linux', desired: 0, version: '3' }];
  aws.changed.set(
    'GetSecretValue',
    json({
      SecretString: JSON.stringify({
        resource_class: 'acme/linux',
        circleci_url: circleciUrl,
        circle_token: TOKEN,
      }),
    }),
  );
  deploy();
  decide(['0 unclaimed + 0 running = 0 wanted']);
});

afterEach(() => {
  aws.close();
  rmSync(folder, { recursive: true });
});

/** Makes the settings of the file the deployed ones. */
function deploy(changes: object = {}): void {
  const [fleet] = loadFleets(file);
  if (fleet === undefined) throw new Error('There is no fleet.');
  aws.parameters.set(
    '/circleci-runners/fleets/linux',
    JSON.stringify({
      resourceClass: fleet.resourceClass,
      circleciUrl: fleet.circleciUrl,
      scalerSecretName: 'circleci-runners/linux/scaler',
      groupName: 'circleci-runners-linux',
      alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms',
      capacity: capacityOf(fleet),
      pollIntervalSeconds: fleet.pollInterval,
      quietPollIntervalSeconds: quietPollIntervalOf(fleet),
      breakerFailures: fleet.breaker.failures,
      breakerWindowSeconds: fleet.breaker.window,
      onDemandPercentage: 100,
      warmPoolAuto: false,
      imageBuiltBy: 'circleci-runners-linux',
      ...changes,
    }),
  );
}

/** Logs a decision. */
function decide(reasons: string[]): void {
  const message = {
    message: 'Compute Capacity',
    fleet: 'linux',
    execution: 'e-1',
    poll: 1,
    members: { pending: 0, inService: 0, leaving: 0, standby: 0 },
    decision: { from: 0, desired: 0, change: false, reasons },
  };
  const timestamp = Date.now() - 4_000;
  aws.logs.set('/aws/lambda/circleci-runners-compute-capacity', [
    { timestamp, message: JSON.stringify(message) },
  ]);
}

const NAMES = new Set(CHECKS.map(({ name }) => name));

async function doctor(...words: string[]) {
  const all = ['--json', '--fleets', file, ...words];
  const { status, stdout } = await runAgainstAws(address(aws.server), 'doctor', all);
  const { findings }: { findings: { check: string; level: string; says: string; remedy?: string }[] } =
    JSON.parse(stdout);
  return { status, findings };
}

const ec2 = (operation: string, content: string) => ({
  body: `<${operation}Response>${content}</${operation}Response>`,
});

it('passes each check where nothing is wrong', async () => {
  const { status, findings } = await doctor();
  expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(new Set(findings.map(({ check }) => check))).toEqual(NAMES);
  expect(status).toBe(0);
});

describe('the managed policies in roles', () => {
  const OWN = 'arn:aws:iam::111122223333:policy/artifacts';
  const OF_AWS = 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess';

  /** What the check finds of the two policies of the fleet. */
  async function found() {
    writeFileSync(join(folder, 'guardrails.yaml'), `instancePolicies: ["${OWN}", "${OF_AWS}"]`);
    appendFileSync(file, `  roles: { instance: ["${OWN}", "${OF_AWS}"] }\n`);
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(folder);
    const { findings } = await doctor();
    return findings.filter(({ check, says }) => check === 'rights' && /polic|iam:/.test(says));
  }

  it('exist', async () => {
    expect(await found()).toMatchObject([{ level: 'ok', says: 'the managed policies in roles exist' }]);
    expect(aws.calls('GetPolicy')).toBe(2);
  });

  it('do not exist: the check says which, before the deployment fails', async () => {
    aws.policies.delete(OWN);
    expect(await found()).toMatchObject([
      {
        level: 'fail',
        says: `${OWN} does not exist`,
        remedy: expect.stringMatching(/^create the policy, or correct roles\.instance in .*fleets\.yaml$/),
      },
    ]);
  });

  it('are not checked without the right to look', async () => {
    aws.changed.set('GetPolicy', 'refused');
    expect(await found()).toMatchObject([
      { level: 'warn', says: 'not checked: AccessDenied: iam:GetPolicy was refused' },
    ]);
  });
});

describe('does not pass the check', () => {
  const CASES: { check: string; level: string; says: RegExp; change: () => void }[] = [
    {
      check: 'bootstrap',
      level: 'fail',
      says: /not bootstrapped/,
      change: () => aws.changed.set('GetParameter', json({ __type: 'ParameterNotFound' }, 400)),
    },
    {
      check: 'rights',
      level: 'warn',
      says: /you may not deploy: arn:aws:iam::111122223333:user\/ann may not assume cdk-hnb659fds-deploy-role-111122223333-eu-west-1, cdk-hnb659fds-file-publishing-role-/,
      change: () => aws.changed.set('AssumeRole', 'refused'),
    },
    {
      check: 'rights',
      level: 'warn',
      says: /root user/,
      change: () => {
        aws.changed.set('AssumeRole', 'refused');
        const root = '<Account>111122223333</Account><Arn>arn:aws:iam::111122223333:root</Arn>';
        aws.changed.set('GetCallerIdentity', resultXml('GetCallerIdentity', root));
      },
    },
    {
      check: 'quotas',
      level: 'warn',
      says: /use 20 vCPUs, and the On-Demand quota is 5$/,
      change: () => aws.changed.set('GetServiceQuota', json({ Quota: { Value: 5 } })),
    },
    {
      check: 'storage',
      level: 'warn',
      says: /use 0\.3 TiB of gp3 volumes, and the EBS quota is 0\.2 TiB$/,
      change: () => aws.changed.set('GetServiceQuota', json({ Quota: { Value: 0.2 } })),
    },
    {
      check: 'storage',
      level: 'fail',
      says: /: subnet-00000002 is in eu-west-1-dub-1a, a local zone$/,
      change: () => {
        const network = { vpcId: 'vpc-00000001', subnetIds: ['subnet-00000001', 'subnet-00000002'] };
        rewrite({ network, rootVolume: { initializationRate: 300 }, rootDevice: '/dev/sda1' });
        const zone = (name: string, type: string) =>
          `<item><zoneName>${name}</zoneName><zoneType>${type}</zoneType></item>`;
        const all = `${zone('eu-west-1a', 'availability-zone')}${zone('eu-west-1-dub-1a', 'local-zone')}`;
        const subnet = (id: number, name: string) =>
          `<item><subnetId>subnet-0000000${id}</subnetId><availabilityZone>${name}</availabilityZone></item>`;
        const both = `${subnet(1, 'eu-west-1a')}${subnet(2, 'eu-west-1-dub-1a')}`;
        aws.changed.set(
          'DescribeAvailabilityZones',
          ec2('DescribeAvailabilityZones', `<availabilityZoneInfo>${all}</availabilityZoneInfo>`),
        );
        aws.changed.set('DescribeSubnets', ec2('DescribeSubnets', `<subnetSet>${both}</subnetSet>`));
      },
    },
    {
      check: 'groups',
      level: 'fail',
      says: /^500 of 500 Auto Scaling groups are in use, and 1 more is needed$/,
      change: () => {
        aws.groups = [];
        const used =
          '<MaxNumberOfAutoScalingGroups>500</MaxNumberOfAutoScalingGroups><NumberOfAutoScalingGroups>500</NumberOfAutoScalingGroups>';
        aws.changed.set('DescribeAccountLimits', resultXml('DescribeAccountLimits', used));
      },
    },
    {
      check: 'concurrency',
      level: 'warn',
      says: /Lambda can run 2$/,
      change: () =>
        aws.changed.set(
          'GET /2016-08-19/account-settings',
          json({ AccountLimit: { UnreservedConcurrentExecutions: 2 } }),
        ),
    },
    {
      check: 'volume key',
      level: 'warn',
      says: /encrypted with the key arn:aws:kms:k/,
      change: () =>
        aws.changed.set(
          'GetEbsDefaultKmsKeyId',
          ec2('GetEbsDefaultKmsKeyId', '<kmsKeyId>arn:aws:kms:k</kmsKeyId>'),
        ),
    },
    {
      check: 'network',
      level: 'fail',
      says: /no default VPC/,
      change: () => aws.changed.set('DescribeVpcs', ec2('DescribeVpcs', '<vpcSet/>')),
    },
    {
      check: 'zones',
      level: 'fail',
      says: /eu-west-1a offers none of its instance types/,
      change: () =>
        aws.changed.set(
          'DescribeInstanceTypeOfferings',
          ec2('DescribeInstanceTypeOfferings', '<instanceTypeOfferingSet/>'),
        ),
    },
    {
      check: 'scaler',
      level: 'fail',
      says: /^subnet-00000001, subnet-00000002: no NAT, and vpc-00000001 has no endpoint .* for autoscaling, ec2, secretsmanager, ssm, so no fleet is polled$/,
      change: () => aws.changed.set('DescribeVpcEndpoints', ec2('DescribeVpcEndpoints', '<vpcEndpointSet/>')),
    },
    {
      check: 'scaler',
      level: 'fail',
      says: /^the region has no sg-00000001$/,
      change: () =>
        aws.changed.set('DescribeSecurityGroups', ec2('DescribeSecurityGroups', '<securityGroupInfo/>')),
    },
    {
      check: 'image',
      level: 'fail',
      says: /no image ami-01234567 is in this region/,
      change: () => aws.changed.set('DescribeImages', ec2('DescribeImages', '<imagesSet/>')),
    },
    {
      check: 'built image',
      level: 'fail',
      says: /image ami-89abcdef does not exist any more/,
      change: () => {
        aws.images = ['ami-01234567'];
      },
    },
    {
      check: 'built image',
      level: 'warn',
      says: /no image was built yet/,
      change: () => aws.changed.set('POST /ListImagePipelineImages', json({ imageSummaryList: [] })),
    },
    {
      check: 'built image',
      level: 'warn',
      says: /the last build of the image, 1\.0\.7\/4, failed/,
      change: () => {
        const arn = 'arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-linux/1.0.7/4';
        const last = { arn, state: { status: 'FAILED' }, dateCreated: '2026-01-06' };
        aws.changed.set('POST /ListImagePipelineImages', json({ imageSummaryList: [last] }));
      },
    },
    {
      check: 'file',
      level: 'warn',
      says: /fleets\.yaml does not have it/,
      change: () => aws.groups.push({ fleet: 'gone', desired: 0, version: '1' }),
    },
    {
      check: 'settings',
      level: 'warn',
      says: /differs from what is deployed: pollInterval/,
      change: () => deploy({ pollIntervalSeconds: 20 }),
    },
    {
      check: 'group',
      level: 'fail',
      says: /no lifecycle hook "launch"/,
      change: () =>
        aws.changed.set('DescribeLifecycleHooks', resultXml('DescribeLifecycleHooks', '<LifecycleHooks/>')),
    },
    {
      check: 'group',
      level: 'fail',
      says: /^its Auto Scaling group is gone, so each execution fails$/,
      change: () => {
        aws.groups = [];
      },
    },
    {
      check: 'group',
      level: 'warn',
      says: /the process Terminate of circleci-runners-linux is suspended: by hand/,
      change: () => {
        aws.groups = [{ fleet: 'linux', desired: 0, version: '3', suspended: { Terminate: 'by hand' } }];
      },
    },
    {
      check: 'group',
      level: 'warn',
      says: /the fleet is paused/,
      change: () => {
        aws.groups = [
          { fleet: 'linux', desired: 0, version: '3', tags: { 'circleci-runners:paused': 'true' } },
        ];
      },
    },
    {
      check: 'tokens',
      level: 'fail',
      says: /the personal API token cannot be used: CircleCI answers 401/,
      change: () => circleci.tokens.clear(),
    },
    {
      check: 'tokens',
      level: 'fail',
      says: /no resource class token is stored/,
      change: () => aws.changed.set('DescribeSecret', json({ Name: 'runner' })),
    },
    {
      check: 'tokens',
      level: 'fail',
      says: /^the secret with the resource class token is marked for deletion/,
      change: () =>
        aws.changed.set(
          'DescribeSecret',
          json({ DeletedDate: 1_767_000_000, VersionIdsToStages: { a: ['AWSCURRENT'] } }),
        ),
    },
    {
      check: 'tokens',
      level: 'fail',
      says: /^the secret with the resource class token does not exist/,
      change: () => aws.changed.set('DescribeSecret', json({ __type: 'ResourceNotFoundException' }, 400)),
    },
    {
      check: 'tokens',
      level: 'fail',
      says: /Secret circleci-runners\/linux\/scaler is marked for deletion/,
      change: () =>
        aws.changed.set(
          'GetSecretValue',
          json({ __type: 'InvalidRequestException', message: 'marked for deletion' }, 400),
        ),
    },
    {
      check: 'polls',
      level: 'fail',
      says: /^nothing is polled, because executions fail: SecretNotFound: Secret x is marked for deletion$/,
      change: () => {
        const line = { message: 'Read Settings', fleet: 'linux' };
        const waits = { ...line, level: 'INFO', waits: 'waits for its tokens' };
        const text = 'SecretNotFound: Secret x is marked for deletion';
        const fails = { ...line, level: 'ERROR', error: { name: 'SecretNotFound', message: text } };
        aws.logs.clear();
        aws.logs.set(
          '/aws/lambda/circleci-runners-read-settings',
          [waits, fails].map((each, index) => ({
            timestamp: Date.now() - 60_000 + index * 30_000,
            message: JSON.stringify(each),
          })),
        );
      },
    },
    {
      check: 'polls',
      level: 'warn',
      says: /^its first execution is due/,
      change: () => {
        aws.logs.clear();
        aws.groups = [{ fleet: 'linux', desired: 0, version: '3', createdAt: new Date(Date.now() - 40_000) }];
      },
    },
    {
      check: 'schedule',
      level: 'fail',
      says: /its schedule is disabled/,
      change: () => aws.changed.set('GET /schedules/circleci-runners-linux', json({ State: 'DISABLED' })),
    },
    {
      check: 'polls',
      level: 'fail',
      says: /no poll succeeded/,
      change: () => aws.logs.clear(),
    },
    {
      check: 'polls',
      level: 'warn',
      says: /the counts are doubtful/,
      change: () => decide(['the counts are doubtful: zero for an hour']),
    },
    {
      check: 'alarms',
      level: 'fail',
      says: /alarms ring: Breaker Open/,
      change: () =>
        aws.changed.set(
          'DescribeAlarms',
          json({ MetricAlarms: [{ AlarmName: 'circleci-runners-linux-BreakerOpen', StateValue: 'ALARM' }] }),
        ),
    },
    {
      check: 'notifications',
      level: 'warn',
      says: /1 of 1 subscriptions to alarms are not confirmed/,
      change: () => {
        const pending =
          '<Subscriptions><member><SubscriptionArn>PendingConfirmation</SubscriptionArn></member></Subscriptions>';
        aws.changed.set('ListSubscriptionsByTopic', resultXml('ListSubscriptionsByTopic', pending));
      },
    },
  ];

  it.each(CASES)('$check: $says', async ({ check, level, says, change }) => {
    change();
    const { status, findings } = await doctor();
    const ofCheck = findings.filter((finding) => finding.check === check && finding.level !== 'ok');
    expect(ofCheck).toContainEqual(
      expect.objectContaining({
        level,
        says: expect.stringMatching(says),
        remedy: expect.stringMatching(/./),
      }),
    );
    if (level === 'fail') expect(status).toBe(1);
    expect(JSON.stringify(findings)).not.toContain(TOKEN);
  });

  it('fails nothing while a new fleet waits for its tokens', async () => {
    deploy({ awaitsTokens: true });
    const unset = { __type: 'ResourceNotFoundException', message: 'no value for staging label: AWSCURRENT' };
    aws.changed.set('GetSecretValue', json(unset, 400));
    aws.changed.set('DescribeSecret', json({ Name: 'runner' }));
    aws.logs.clear();
    const waits = { message: 'Read Settings', level: 'INFO', fleet: 'linux', waits: 'waits for its tokens' };
    aws.logs.set('/aws/lambda/circleci-runners-read-settings', [
      { timestamp: Date.now() - 4_000, message: JSON.stringify(waits) },
    ]);
    const { status, findings } = await doctor();
    expect(findings.filter(({ level }) => level !== 'ok')).toMatchObject([
      {
        check: 'tokens',
        level: 'warn',
        remedy: expect.stringMatching(/^npm run secrets -- --fleets \S+ linux$/),
      },
      {
        check: 'polls',
        level: 'warn',
        remedy: expect.stringMatching(/^npm run secrets -- --fleets \S+ linux$/),
      },
    ]);
    expect(status).toBe(0);
  });

  it('fails of both if nobody has stored them a day after the deployment, as the workflow does', async () => {
    deploy({ awaitsTokens: true });
    aws.deployedAt = Date.now() - 86_400_000;
    const unset = { __type: 'ResourceNotFoundException', message: 'no value for staging label: AWSCURRENT' };
    aws.changed.set('GetSecretValue', json(unset, 400));
    aws.changed.set('DescribeSecret', json({ Name: 'runner' }));
    const { status, findings } = await doctor();
    expect(findings.filter(({ check, level }) => check === 'tokens' && level !== 'ok')).toMatchObject([
      {
        level: 'fail',
        says: expect.stringMatching(/^the personal API token cannot be used: Secret \S+ has no value/),
      },
      { level: 'fail', says: 'no resource class token is stored, so no runner can claim a task' },
    ]);
    expect(status).toBe(1);
  });

  it('and each check has such a case', () => {
    expect(new Set(CASES.map(({ check }) => check))).toEqual(NAMES);
  });
});

it('says of each check that a profile may not make that it is not known', async () => {
  for (const operation of ['GetParameter', 'GetServiceQuota', 'DescribeAccountLimits', 'DescribeVpcs'])
    aws.changed.set(operation, 'refused');
  const { status, findings } = await doctor();
  const unknown = findings.filter(({ says }) => says.startsWith('not checked: '));
  expect(unknown.map(({ check }) => check)).toEqual([
    'bootstrap',
    'rights',
    'quotas',
    'storage',
    'groups',
    'network',
  ]);
  expect(new Set(unknown.map(({ level }) => level))).toEqual(new Set(['warn']));
  expect(status).toBe(0);
});

it('asks for no role where only the deployed fleets are checked', async () => {
  const { stdout } = await runAgainstAws(address(aws.server), 'doctor', ['--deployed-only', '--json']);
  expect(JSON.parse(stdout).findings.length).toBeGreaterThan(5);
  expect(aws.calls('AssumeRole')).toBe(0);
});

describe.each([
  { columns: 80, rows: 24 },
  { columns: 120, rows: 40 },
])('on a terminal of $columns x $rows', (size) => {
  const env = () => ({ ...process.env, ...awsEnvironment(address(aws.server)) });

  it('shows what is right and what is not', async () => {
    aws.changed.set('AssumeRole', 'refused');
    aws.changed.set('DescribeVpcs', ec2('DescribeVpcs', '<vpcSet/>'));
    const pty = new PseudoTerminal(commandWords('doctor'), size, { env: env(), cwd: folder });
    expect(await pty.end()).toBe(1);
    const shown = pty.screen.lines.map((line) =>
      line.replace(address(aws.server), 'ENDPOINT').replace(/was \d+ s ago/, 'was 4 s ago'),
    );
    expect(`\n${shown.join('\n')}\n`).toMatchSnapshot();
    expect(pty.screen.lines.filter((line) => line.length > size.columns)).toEqual([]);
    expect({ cursor: pty.screen.isCursorShown, wraps: pty.screen.wraps }).toEqual({
      cursor: true,
      wraps: true,
    });
    // Colours on a terminal.
    expect(pty.written).toContain('\u001B[31mfail');
  });
});
