import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { checkFleets, type FleetConfig } from '../fleets/load.ts';
import { STACK_NAME } from '../fleets/names.ts';
import { functionsAtOnce } from '../fleets/own-second.ts';
import { stacksOf } from '../infra/stacks.ts';
import {
  FLEET_STANDING,
  type MeasuredUsage,
  monthlyCost,
  STACK_STANDING,
  standingCost,
} from '../sandbox/cost.ts';
import { CHECKED, UNCHECKED } from './aws-limits.ts';

/** The numbers of fleets that the page is about. */
export const SIZES = [20, 100, 500, 1_000];

const MINUTES_PER_MONTH = 43_800;

/** Price of a request to Parameter Store with higher throughput: https://aws.amazon.com/systems-manager/pricing/ */
const PARAMETER_REQUEST = 0.05 / 1e4;

/** A published quota of AWS, and how much of it fleets use. */
interface Quota {
  what: string;
  /** The default of an account and Region. */
  quota: number;
  source: string;
  /** Whether the number is not the one of the page of AWS, but of older copies or other pages. */
  unverified?: true;
  /** What moves it. */
  remedy: string;
  used: (fleets: number) => number;
}

const fleetsOf = (count: number): FleetConfig[] =>
  checkFleets(
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `fleet-${index}`,
        { resourceClass: `acme/class-${index}`, instanceTypes: ['m7g.large'], maxReplicas: 20 },
      ]),
    ),
    'fleets.yaml',
  );

/** The number of resources of each type in the templates for that many fleets. */
function resourcesFor(count: number): Map<string, number> {
  const outdir = mkdtempSync(join(tmpdir(), 'limits-'));
  const app = new App({
    outdir,
    context: { 'aws:cdk:bundling-stacks': [] },
    builtinCloudFormationValidation: false,
    treeMetadata: false,
  });
  const { shared, fleets } = stacksOf(app, STACK_NAME, fleetsOf(count));
  const numbers = new Map([['stacks', 1 + fleets.length]]);
  for (const stack of [shared, ...fleets]) {
    const resources: { Type: string }[] = Object.values(Template.fromStack(stack).toJSON().Resources);
    for (const { Type } of resources) numbers.set(Type, (numbers.get(Type) ?? 0) + 1);
  }
  rmSync(outdir, { recursive: true });
  return numbers;
}

/** How many resources of a type any number of fleets has: those of the shared stack, and those of each fleet. */
function resourceCounter(): (type: string) => (fleets: number) => number {
  const [one, two] = [resourcesFor(1), resourcesFor(2)];
  return (type) => {
    const [ofOne, ofTwo] = [one.get(type) ?? 0, two.get(type) ?? 0];
    return (fleets) => ofOne + (fleets - 1) * (ofTwo - ofOne);
  };
}

function quotas({ busy }: MeasuredUsage): Quota[] {
  const resources = resourceCounter();
  // Each step of an execution reads the settings of its fleet.
  const readsAMinute = Object.values(busy.invocations).reduce((sum, times) => sum + times, 0);
  return [
    {
      what: 'requests for parameters a second, if no function has the settings in memory',
      quota: 40,
      source: 'https://docs.aws.amazon.com/general/latest/gr/ssm.html',
      remedy:
        'enable higher throughput of Parameter Store (up to 10,000 a second, unverified), or a longer `pollInterval`. Functions keep settings for 5 minutes, so the true number is lower',
      used: (fleets) => Math.ceil((fleets * readsAMinute) / 60),
    },
    {
      what: 'requests for parameters a second, if all functions have the settings in memory',
      quota: 40,
      source: 'https://docs.aws.amazon.com/general/latest/gr/ssm.html',
      remedy: 'the same. Each execution reads them once',
      used: (fleets) => Math.ceil(fleets / 60),
    },
    {
      what: 'requests a second that write what fleets have learned (`spareRunners`, `warmPool: { size: auto }`), if tasks arrive in each minute',
      quota: 3,
      source: 'https://docs.aws.amazon.com/general/latest/gr/ssm.html',
      remedy: 'the same (10 a second). What is not written is learned again',
      used: (fleets) => Math.ceil(fleets / 60),
    },
    {
      what: 'concurrent executions of Lambda, if all schedules start in the same second',
      quota: 1_000,
      source: 'https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html',
      remedy:
        'raise the quota (a new account has 10), or a longer `pollInterval`; `npm run doctor` compares it',
      used: (fleets) => functionsAtOnce(fleetsOf(fleets)),
    },
    {
      what: 'Auto Scaling groups',
      quota: 500,
      source: 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html',
      remedy: 'raise the quota',
      used: resources('AWS::AutoScaling::AutoScalingGroup'),
    },
    {
      what: 'IAM roles, in all Regions',
      quota: 1_000,
      source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html',
      remedy: 'raise the quota (at most 5,000)',
      used: resources('AWS::IAM::Role'),
    },
    {
      what: 'instance profiles, in all Regions',
      quota: 1_000,
      source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html',
      remedy: 'raise the quota (at most 5,000)',
      used: resources('AWS::IAM::InstanceProfile'),
    },
    {
      what: 'stacks',
      quota: 2_000,
      unverified: true,
      source: 'https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html',
      remedy: 'raise the quota. Older pages say 200, so look at the quota of your account',
      used: resources('stacks'),
    },
    {
      what: 'alarms',
      quota: 5_000,
      unverified: true,
      source: 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html',
      remedy: 'raise the quota, if the account has one',
      used: (fleets) =>
        ['Alarm', 'CompositeAlarm'].reduce(
          (sum, kind) => sum + resources(`AWS::CloudWatch::${kind}`)(fleets),
          0,
        ),
    },
    {
      what: 'security groups',
      quota: 2_500,
      source: 'https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html',
      remedy: 'raise the quota, or share `securityGroupIds` of your own',
      used: resources('AWS::EC2::SecurityGroup'),
    },
    {
      what: 'launch templates',
      quota: 5_000,
      source: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html',
      remedy: 'raise the quota',
      used: resources('AWS::EC2::LaunchTemplate'),
    },
    {
      what: 'standard parameters',
      quota: 10_000,
      source: 'https://docs.aws.amazon.com/general/latest/gr/ssm.html',
      remedy: 'advanced parameters',
      used: resources('AWS::SSM::Parameter'),
    },
  ];
}

const row = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
const table = (head: string[], rows: string[]) => [row(...head), row(...head.map(() => '---')), ...rows];
const grouped = (amount: number) => Math.round(amount).toLocaleString('en-US');

const nameOf = ({ what, unverified }: Pick<Quota, 'what' | 'unverified'>) =>
  unverified ? `${what} (unverified)` : what;

const linked = (limit: string, source?: string) => (source === undefined ? limit : `[${limit}](${source})`);
const settingsOf = (settings: string[]) => settings.map((name) => `\`${name}\``).join(', ');

/** The limits that a setting can meet, as a section of the page. */
const ofSettings = (): string[] => [
  '',
  '## What a setting can meet',
  '',
  'These are checked when the file is read. A value beyond one is refused by the name of its setting.',
  '',
  ...table(
    ['limit', 'settings'],
    CHECKED.map(({ limit, source, settings }) => row(linked(limit, source), settingsOf(settings))),
  ),
  '',
  'These are not checked, for a reason:',
  '',
  ...table(
    ['limit', 'settings', 'why'],
    UNCHECKED.map(({ limit, source, settings, why }) =>
      row(linked(limit, source), settingsOf(settings), why),
    ),
  ),
];

/** The page on how many fleets an account takes. */
export function limits(): string {
  const usage: MeasuredUsage = JSON.parse(
    readFileSync(new URL('../sandbox/usage.json', import.meta.url), 'utf8'),
  );
  const all = quotas(usage);
  const shared = standingCost(STACK_STANDING).alarms;
  const costOf = (kind: 'busy' | 'idle', fleets: number) =>
    grouped(shared + fleets * monthlyCost([{ share: 1, usage: usage[kind] }], FLEET_STANDING).total);
  const cell = ({ quota, used }: Quota, fleets: number) =>
    used(fleets) > quota ? `**${grouped(used(fleets))}**` : grouped(used(fleets));
  const first = (fleets: number) =>
    all.reduce((most, quota) =>
      quota.used(fleets) / quota.quota > most.used(fleets) / most.quota ? quota : most,
    );
  const over = (fleets: number) => all.filter(({ quota, used }) => used(fleets) > quota).length;
  return `${[
    '# How many fleets an account takes',
    '',
    '`npm run generate` writes this page. It counts resources in the templates of fleets with the fewest settings, and takes',
    'the requests of a busy fleet from executions in the sandbox, as [the costs](cost.md) do. The quotas are the defaults that',
    'AWS publishes for an account and Region.',
    '',
    '## Which quota is met first',
    '',
    '"Unverified" numbers are not those of the page of AWS that is linked: its text was not to be had, and older copies or',
    'other pages have them. The Service Quotas console shows the quota of your account.',
    '',
    ...table(
      ['fleets', 'met first', 'of the quota', 'quotas exceeded', 'US dollars a month, all idle', 'all busy'],
      SIZES.map((fleets) => {
        const met = first(fleets);
        return row(
          grouped(fleets),
          nameOf(met),
          `${Math.round((100 * met.used(fleets)) / met.quota)} %`,
          over(fleets),
          costOf('idle', fleets),
          costOf('busy', fleets),
        );
      }),
    ),
    '',
    'The costs are at list prices, without the instances. "Idle" fleets are polled once a minute, "busy" ones every 5 s.',
    '',
    '## Each quota',
    '',
    'A number in bold exceeds the quota. Request more in the Service Quotas console before you deploy that many fleets.',
    '',
    ...table(
      ['quota', 'default', ...SIZES.map((fleets) => `${grouped(fleets)} fleets`), 'what moves it'],
      all.map((quota) =>
        row(
          `[${nameOf(quota)}](${quota.source})`,
          grouped(quota.quota),
          ...SIZES.map((fleets) => cell(quota, fleets)),
          quota.remedy,
        ),
      ),
    ),
    '',
    '- The schedule of a fleet keeps the second in which it was made, so fleets that were deployed one after the other are',
    '  spread over the minute, and so are their first reads of parameters. If all schedules start in the same second, the names',
    '  of the fleets spread these reads over 5 s: 200 fleets read 40 parameters a second. A read that is throttled is tried',
    '  again twice, in 3 s and at random times.',
    '- `network: new-vpc` makes a VPC for each fleet that has it, and an account has 5 VPCs in a Region. Name an existing',
    '  network instead.',
    '- The vCPUs of the instances have quotas of their own. `npm run doctor` compares them with `maxReplicas`.',
    '- AWS publishes no quota for the API of EC2 Auto Scaling, which throttles by a token bucket. A busy fleet sends',
    `  ${usage.busy.invocations['Describe Group']} requests a minute for its group. If executions fail with \`AutoScalingUnavailable\`, raise \`pollInterval\`.`,
    '- A thousand fleets do not meet the quotas of Secrets Manager and CloudWatch Logs (unverified).',
    '- A synthesis of 1,000 fleets takes 40 s on one core, and less than 2 GB of memory: `node --import tsx',
    '  bench/synthesis.ts` measures it, and fails above 60 s. It checks one template of each kind of fleet against the rules of',
    '  CloudFormation: fleets that differ in their names only are of one kind. Each further kind takes about 25 ms.',
    '  `CDK_VALIDATION=false npx cdk deploy --all` leaves all checks out.',
    `- Higher throughput of Parameter Store costs at least ${grouped(1_000 * MINUTES_PER_MONTH * PARAMETER_REQUEST)} dollars a month for 1,000 fleets: one request a minute each.`,
    ...ofSettings(),
  ].join('\n')}\n`;
}
