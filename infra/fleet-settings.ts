import * as z from 'zod';
import { faultOfCron, isTimeZone } from '../functions/lib/schedules.ts';

/**
 * The definition of `fleets.yaml`, the one file an adopter edits. It parses the file (config.ts), generates
 * `fleets.schema.json` for editors (schema.ts), and its descriptions are the reference in docs/configuration.md.
 */

/** Not `z.int`: its fault would keep the rules about two settings from being checked. */
const wholeNumber = (what: string, least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}, ${what}`;
  return z
    .number({ error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error })
    .meta({ type: 'integer', minimum: least, maximum: most });
};

/** A text by its pattern; editors show the message as well. */
const text = (what: string, pattern: RegExp) => {
  const error = `must be ${what}`;
  return z.string({ error }).regex(pattern, { error }).meta({ patternErrorMessage: error });
};

const flag = (what: string) => z.boolean({ error: 'must be true or false' }).default(false).describe(what);

const SECONDS = { s: 1, m: 60, h: 3_600 };

/** Seconds, or a number with its unit: `5`, `5s`, `5m`, `5h`. */
const duration = (what: string, least: number, most: number) => {
  const error = `must be ${what} from ${least} s to ${most} s: seconds, or a number with its unit such as 5s, 5m or 5h`;
  const number = z.int({ error }).min(least, { error }).max(most, { error });
  const withUnit = z
    .string({ error })
    .regex(/^\d+\s*[smh]$/, { error })
    .meta({ patternErrorMessage: error });
  return z
    .union([number, withUnit], { error })
    .transform((value) =>
      typeof value === 'number'
        ? value
        : Number.parseInt(value, 10) * SECONDS[value.at(-1) as keyof typeof SECONDS],
    )
    .refine((seconds) => seconds >= least && seconds <= most, { error });
};

/** A whole number, or a percentage: `3`, `20%`. */
function shareOrNumber(what: string, most: number, mostPercent: number) {
  const error = `must be a whole number from 0 to ${most}, or a percentage from 0% to ${mostPercent}% such as 20%, ${what}`;
  const number = z.int({ error }).min(0, { error }).max(most, { error });
  const share = z
    .string({ error })
    .regex(/^\d{1,4}%$/, { error })
    .meta({ patternErrorMessage: error });
  return z
    .union([number, share], { error })
    .refine((value) => typeof value === 'number' || Number.parseInt(value, 10) <= mostPercent, { error });
}

const TIME_ZONE_FAULT = 'must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC';

/** https://circleci.com/docs/reference/runner-api: namespace, slash, class. */
const RESOURCE_CLASS = /^[a-z0-9_-]+\/[A-Za-z0-9:_+-]+$/;

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html */
const MOST_RESOURCES = 500;

/** So many fleets of the least settings have room in a stack. That these numbers are right, a test tells. */
export const MOST_FLEETS = 18;

/** So many have room whatever they ask for; a VPC is most of it. */
export const MOST_FLEETS_WITH_VPC = 11;

const ROOM = `a CloudFormation stack holds at most ${MOST_RESOURCES} resources`;

const FLEET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const FLEET_NAME_FAULT =
  'must be named by a letter and at most 31 more letters, digits, hyphens and underscores';

/** Scheme, host, perhaps a port and a path: what the API's paths can be appended to, and a shell can quote. */
const SERVER_URL = /^(?=.{1,261}$)https?:\/\/[A-Za-z0-9.-]+(:\d+)?(\/[A-Za-z0-9._~/-]*)?$/;

const SECRET_NAME = /^[A-Za-z0-9/_+=.@-]{1,512}$/;

const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
const isInstanceType = (value: unknown) => typeof value === 'string' && INSTANCE_TYPE.test(value);

/**
 * EC2 launches no instance whose metadata would show another tag.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
 */
const INSTANCE_TAG = /^(?!aws:|\.{1,2}$|_index$)[a-z0-9+=.,_:@-]{1,128}$/i;

export const VpcOfYours = z.strictObject({
  vpcId: text('the id of a VPC, such as vpc-0123456789abcdef0', /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/).describe(
    'The VPC.',
  ),
  subnetIds: z
    .array(
      text('the id of a subnet, such as subnet-0123456789abcdef0', /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of subnets of the VPC' },
    )
    .min(1, { error: 'must name at least one subnet of the VPC' })
    .describe('Subnets of the VPC, from which instances can reach the internet.'),
  // A network interface takes no more: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
  securityGroupIds: z
    .array(
      text('the id of a security group, such as sg-0123456789abcdef0', /^sg-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of security groups of the VPC' },
    )
    .min(1, { error: 'must name at least one security group of the VPC, or be left out' })
    .max(16, { error: 'must be at most 16 security groups' })
    .optional()
    .describe(
      'Security groups of the VPC that instances are in, and that let them out. Without them one is made, which lets nothing in.',
    ),
});

/** A version of machine runner 3, and the SHA-256 of its archive for the fleet's architecture. */
export const Runner = z.strictObject(
  {
    version: text('a version of machine runner 3, such as 3.1.13', /^[0-9A-Za-z.+-]{1,32}$/).describe(
      'The version.',
    ),
    sha256: text('the SHA-256 of the archive for Linux, 64 hexadecimal digits', /^[0-9a-f]{64}$/).describe(
      "SHA-256 of the version's archive for Linux and the fleet's architecture.",
    ),
  },
  { error: 'must be the version and sha256 of a release of machine runner 3' },
);

/** In a fleet, and in its schedules. */
const LEVERS = {
  minReplicas: wholeNumber('the runners without a task to keep', 0, 10_000),
  maxReplicas: wholeNumber('the most instances to have', 1, 10_000),
  headroom: shareOrNumber(
    'the runners without a task to keep while there are tasks, or their share of the tasks',
    10_000,
    1_000,
  ),
  maxSurge: wholeNumber('the most launches to ask for at once; left out, there is no limit', 1, 10_000),
};

const cron = (what: string) =>
  z
    .string({ error: `must be a cron of five fields such as "0 8 * * MON-FRI", ${what}` })
    .superRefine((given, context) => {
      const fault = faultOfCron(given);
      if (fault === undefined) return;
      const message = `must be a cron of five fields such as "0 8 * * MON-FRI", ${what} (${fault})`;
      context.addIssue({ code: 'custom', message });
    });

/** Settings that are others for some time, again and again. */
export const ScalingSchedule = z
  .strictObject(
    {
      name: text('a name of 1 to 64 characters, without control characters', /^[^\p{Cc}]{1,64}$/u)
        .optional()
        .describe('A name, for people.'),
      start: cron('when the schedule begins').describe('When it begins: a cron of five fields.'),
      end: cron('when the schedule ends').describe('When it ends: a cron of five fields.'),
      timezone: z
        .string({ error: TIME_ZONE_FAULT })
        .refine(isTimeZone, { error: TIME_ZONE_FAULT })
        .default('UTC')
        .describe('The time zone of both crons, by its name in the IANA database.'),
      minReplicas: LEVERS.minReplicas.optional().describe("In place of the fleet's."),
      maxReplicas: LEVERS.maxReplicas.optional().describe("In place of the fleet's."),
      headroom: LEVERS.headroom.optional().describe("In place of the fleet's."),
      maxSurge: LEVERS.maxSurge.optional().describe("In place of the fleet's."),
      scaleDownDelay: z
        .never({
          error:
            'cannot be scheduled: how long an idle runner stays is settled when its instance launches (idleTimeout, recycleAfter)',
        })
        .optional(),
    },
    { error: 'must be a map of start, end, and the settings that are others from the one to the other' },
  )
  .refine(({ start, end }) => start !== end, {
    path: ['end'],
    error: 'must differ from start, or the schedule never ends',
    when: ({ value }) => typeof Object(value).end === 'string',
  });

/** From the fewest to the most of something; without the most, any number. */
const range = (what: string, most: number) =>
  z
    .strictObject(
      {
        min: wholeNumber(`the fewest ${what}`, 1, most).describe(`The fewest ${what}.`),
        max: wholeNumber(`the most ${what}`, 1, most).optional().describe(`The most ${what}.`),
      },
      { error: `must be a map of min and max, the fewest and the most ${what}` },
    )
    .refine(({ min, max = most }) => max >= min, {
      path: ['max'],
      error: ({ input }) => `must be at least min (${Object(input).min})`,
    });

/**
 * Instance types by what they have. Those with accelerators, bare metal ones and earlier generations are never meant.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRequirements.html
 */
export const InstanceRequirements = z.strictObject(
  {
    architecture: z
      .enum(['arm64', 'x86_64'], { error: 'must be arm64 (Graviton) or x86_64' })
      .describe('Of the processor: `arm64` (Graviton) or `x86_64` (Intel and AMD).'),
    vCpus: range('vCPUs', 1_024).describe('How many vCPUs: `min`, and `max` unless any number will do.'),
    memoryGiB: range('GiB of memory', 32_768).describe(
      'How much memory in GiB: `min`, and `max` unless any amount will do.',
    ),
    burstable: flag('Whether types with burstable performance, such as t4g.large, are meant too.'),
    excluded: z
      .array(text('an instance type or some of them, such as m5.large, m5.* or r*', /^[a-z0-9.*-]{1,30}$/), {
        error: 'must be a list of instance types such as [m5.large, r*]',
      })
      .max(400, { error: 'must be at most 400 instance types' })
      .default([])
      .describe('Types that are not meant, with `*` for any text.'),
  },
  { error: 'must be a map of architecture, vCpus and memoryGiB' },
);

/** How much of the group is Spot capacity. */
export const Spot = z.strictObject(
  {
    percentage: wholeNumber('the percentage of instances above onDemandBase that are Spot', 1, 100)
      .default(100)
      .describe('Percentage of the instances above `onDemandBase` that are Spot.'),
    onDemandBase: wholeNumber('the number of On-Demand instances that come first', 0, 10_000)
      .default(0)
      .describe('The first so many instances are On-Demand.'),
  },
  { error: 'must be a map of percentage and onDemandBase; {} makes all instances Spot' },
);

/** When launches have failed so often that no more are tried. */
export const Breaker = z.strictObject(
  {
    failures: wholeNumber('the number of failed launches that open the breaker', 1, 100)
      .default(3)
      .describe('So many failed launches without a success between them open the breaker.'),
    window: duration('a time', 60, 86_400)
      .prefault('15m')
      .describe('Within this time the launches must have failed.'),
  },
  { error: 'must be a map of failures and window; {} is 3 failures within 15m' },
);

/** The images that their makers publish for each region. */
const STOCK_IMAGES = ['ubuntu', 'amazon-linux'] as const;
export type StockImage = (typeof STOCK_IMAGES)[number];

export const isStock = (image: string): image is StockImage => STOCK_IMAGES.some((stock) => stock === image);

const IMAGE_ID = /^ami-([0-9a-f]{8}|[0-9a-f]{17})$/;

/**
 * A parameter's name, by its path or after `ssm:`, and perhaps a version or a label of it.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
 */
const IMAGE_PARAMETER = /^(?:ssm:|(?=\/))([A-Za-z0-9_./-]{1,1011}(?::[A-Za-z0-9_.-]{1,100})?)$/;

/** The name of the parameter that holds the image's id, if the image is told so. */
export const imageParameter = (image: string): string | undefined => IMAGE_PARAMETER.exec(image)?.[1];

const Image = z.union(
  [
    z.enum(STOCK_IMAGES),
    text('the id of an image, such as ami-0123456789abcdef0', IMAGE_ID),
    text('the name of a Systems Manager parameter, such as /acme/runner or ssm:runner', IMAGE_PARAMETER),
  ],
  {
    error:
      'must be ubuntu, amazon-linux, the id of an image such as ami-0123456789abcdef0, or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner',
  },
);

/** Instances that have booted once and stand by: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html */
export const WarmPool = z.strictObject(
  {
    size: z
      .union(
        [
          wholeNumber('the number of instances that stand by, or auto', 0, 10_000),
          z.literal('auto', { error: 'must be auto' }),
        ],
        {
          error: 'must be a whole number from 0 to 10000, the number of instances that stand by, or auto',
        },
      )
      .describe(
        'How many instances stand by, whatever runs; at most `maxReplicas`. `auto`: as many as were launched within one boot at the busiest of the recent times.',
      ),
    state: z
      .enum(['stopped', 'hibernated'], { error: 'must be stopped or hibernated' })
      .default('stopped')
      .describe(
        'How they wait. `hibernated` instances wake with their memory, and need an instance type and an image that can hibernate, and a root volume with room for all of the memory beside the image.',
      ),
  },
  { error: 'must be a map of size and state, such as { size: 5 }' },
);

const Network = z.union([z.enum(['default-vpc', 'new-vpc']), VpcOfYours], {
  error: 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours',
});

export const Fleet = z
  .strictObject(
    {
      resourceClass: text('a resource class, namespace/class', RESOURCE_CLASS).describe(
        'The CircleCI resource class whose tasks the fleet runs, as namespace/class.',
      ),
      instanceTypes: z
        .array(text('an EC2 instance type such as m7g.large', INSTANCE_TYPE), {
          error: 'must be a list of EC2 instance types such as [m7g.large]',
        })
        .min(1, { error: 'must name at least one EC2 instance type, such as [m7g.large]' })
        .optional()
        .describe(
          'EC2 instance types in order of preference, all of one architecture. The image follows from it. Either these or `instanceRequirements` must be given.',
        ),
      instanceRequirements: InstanceRequirements.optional().describe(
        'Instead of `instanceTypes`, what they must have: `architecture` (`arm64` or `x86_64`), `vCpus` and `memoryGiB` (maps of `min` and `max`), and perhaps `burstable` (false) and `excluded`, a list such as `[r*]`. Of those that fit, EC2 takes the cheapest, and for Spot the cheapest that it has much of; never one much dearer than another that fits.',
      ),
      minReplicas: LEVERS.minReplicas
        .default(0)
        .describe(
          'So many runners without a task are kept at any time, beside the busy ones, up to maxReplicas. [The levers](how-it-decides.md#the-levers).',
        ),
      maxReplicas: LEVERS.maxReplicas.describe(
        "The most instances that the group may have. CircleCI recommends the plan's concurrency limit for self-hosted runners.",
      ),
      headroom: LEVERS.headroom
        .default(0)
        .describe(
          'So many runners without a task are kept while there are tasks, up to maxReplicas: a number, or a share of the tasks such as 20%, rounded up. Where minReplicas is more, that counts.',
        ),
      maxSurge: LEVERS.maxSurge
        .optional()
        .describe(
          'How many launches one poll may ask for beyond the instances that are pending or in service. Without it, as many as tasks want: a rise is never delayed.',
        ),
      scaleDownDelay: duration('a time', 0, 86_400)
        .optional()
        .describe(
          "How long runners without a task stay at least after demand has fallen, as in CircleCI's orchestrator. Here each leaves by itself after idleTimeout, which must be as long; it changes nothing else.",
        ),
      recycleAfter: duration('a time', 10, 604_800)
        .optional()
        .describe(
          'Where minReplicas, of the fleet or of a schedule, keeps runners: how long one waits for a task before a fresh instance takes its place; in place of idleTimeout, and at least that. Without it 1h, or idleTimeout if that is longer.',
        ),
      schedules: z
        .array(ScalingSchedule, { error: 'must be a list of schedules' })
        .max(20, { error: 'must be at most 20 schedules' })
        .default([])
        .describe(
          'Times at which minReplicas, maxReplicas, headroom and maxSurge are others: each from a fire of the cron `start` to the next fire of `end`, in `timezone` (UTC). Of several in force the first counts. [Schedules](how-it-decides.md#schedules).',
        ),
      pollInterval: duration('an interval', 1, 60)
        .prefault('5s')
        .describe('How often CircleCI is asked for the counts: seconds, or with a unit, from 1 s to 60 s.'),
      quietPollInterval: duration('an interval', 1, 60)
        .prefault('60s')
        .describe(
          'How often CircleCI is asked at least, however long nothing has happened: from pollInterval to 60 s. The longer that is, the more seldom: every 15 s after an hour. [What each costs](cost.md).',
        ),
      idleTimeout: duration('a time', 10, 86_400)
        .prefault('5m')
        .describe('How long a runner waits for a task before it leaves; longer than three poll intervals.'),
      reuse: z
        .enum(['single-task', 'continuous'], { error: 'must be single-task or continuous' })
        .default('single-task')
        .describe(
          'How many tasks an instance runs. `single-task`: one, on a clean machine. `continuous`: one after the other, until none comes for idleTimeout; a job then finds the files, processes and Docker state that those before it left. [What that gives up](instance-life.md#reuse).',
        ),
      warmPool: WarmPool.optional().describe(
        'Instances that have installed all and wait, stopped, to be launched in seconds: `size` of them, `stopped` (or `hibernated`) by their `state`. Their volumes are paid for. AWS has no warm pool for Spot.',
      ),
      maxRunTime: duration('a time', 60, 432_000)
        .prefault('5h')
        .describe('How long one task may run before the runner ends it.'),
      bootTimeout: duration('a time', 120, 7_200)
        .prefault('10m')
        .describe(
          'How long a launched instance may take until its runner is up. After that the group gives it up and replaces it.',
        ),
      breaker: Breaker.prefault({ failures: 3, window: '15m' }).describe(
        'When launches stop that only fail: after `failures` (3) of them within `window` (15m) without a success. One at a time is tried until one succeeds.',
      ),
      circleciUrl: text('a URL such as https://runner.circleci.com, without a query or a user', SERVER_URL)
        .default('https://runner.circleci.com')
        .describe("CircleCI's runner API: the Cloud's, or https://<server-host> for CircleCI Server."),
      image: Image.default('ubuntu').describe(
        'The image of the instances: the current Ubuntu 24.04 LTS, or Amazon Linux 2023, as they are published for the region; [one of yours](instance-life.md#an-image-of-your-own) by its id; or a Systems Manager parameter that holds its id, by its path such as `/acme/runner`, or as `ssm:name`. A parameter is read at each launch.',
      ),
      rootDevice: text(
        'the name of a root device, such as /dev/sda1 or /dev/xvda',
        /^\/dev\/[a-z][a-z0-9]{2,15}$/,
      )
        .optional()
        .describe(
          'The root device of an image of yours, so that its volume gets the size of `rootVolumeSize` and is encrypted. Without it the volume is as the image has it.',
        ),
      runner: Runner.optional().describe(
        "A release of machine runner 3 by its version and SHA-256. Without it, instances install the newest package of CircleCI's repository.",
      ),
      spot: Spot.optional().describe(
        'Makes instances Spot, for less money: `percentage` (100) of those above `onDemandBase` (0). EC2 can take them back with a notice of two minutes.',
      ),
      unsafeRetries: flag(
        'Whether CircleCI runs a job again, elsewhere, if its runner is told to end, as when EC2 takes a Spot instance back. Unsafe for jobs that must not run twice.',
      ),
      network: Network.default('default-vpc').describe(
        "Where instances run: the account's default VPC, one made for the fleet (public subnets, no NAT gateway), or a VPC of yours: its `vpcId` and `subnetIds`, and perhaps `securityGroupIds` in place of the one that is made.",
      ),
      rootVolumeSize: wholeNumber('the size of the root volume in GiB', 8, 16_384)
        .optional()
        .describe(
          'Size of the encrypted gp3 root volume in GiB; 30 unless told. With an image of yours it needs `rootDevice`.',
        ),
      keyPairName: text('the name of an EC2 key pair', /^[\x20-\x7e]{1,255}$/)
        .optional()
        .describe('An EC2 key pair for SSH. Without it no key is installed.'),
      sshCidr: text('an IPv4 range such as 203.0.113.7/32', z.regexes.cidrv4)
        .optional()
        .describe('From where SSH is let in. Without it no port is open.'),
      sessionManager: flag(
        'Whether Session Manager reaches the instances. Their role may do what that takes.',
      ),
      allowInstanceMetadata: flag(
        "Whether jobs reach the instance's metadata, and with it the rights of its role. Better give jobs rights by CircleCI's OpenID Connect tokens.",
      ),
      logs: flag(
        'Whether the log of boots and runners goes to CloudWatch Logs as well. It is always on the console output.',
      ),
      install: text('the path of a script', /\S/)
        .optional()
        .describe(
          "A script, by its path beside this file, that installs what the fleet's jobs need. It runs as root at boot.",
        ),
      scalerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with resource_class and circle_token. Without it the stack makes one, without a value.',
        ),
      runnerSecretName: text('the name of a secret, not its ARN', SECRET_NAME)
        .optional()
        .describe(
          'An existing secret with the resource class token. Without it the stack makes one, without a value.',
        ),
      alarmEmail: text('an e-mail address', z.regexes.email)
        .optional()
        .describe("Who is told of the fleet's alarms. AWS asks that address to confirm first."),
      alarmTopicArn: text(
        'the ARN of a standard SNS topic, such as arn:aws:sns:eu-west-1:111122223333:alarms',
        /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
      )
        .optional()
        .describe(
          "An SNS topic of yours, in the stack's region, that is told of the fleet's alarms as well. Its policy must let CloudWatch publish.",
        ),
      starvingAfter: duration('a time', 300, 21_600)
        .prefault('15m')
        .describe(
          'How long tasks may wait, with none claimed and fewer instances than maxReplicas, until an alarm rings; longer than instances take to come up. Rounded up to whole minutes.',
        ),
      tags: z
        .record(
          text(
            'a tag of 1 to 128 letters, digits and + - = . , _ : @ that does not begin with aws:',
            INSTANCE_TAG,
          ),
          text('a text of at most 256 characters, in quotes if it looks like a number', /^.{0,256}$/),
          { error: 'must be a map of tags to their values' },
        )
        .default({})
        .describe("Tags of all of the fleet's resources, instances and volumes included."),
    },
    { error: 'must be a map of settings' },
  )
  // `when`: a rule about two settings is checked as soon as these two are sound, whatever else is wrong.
  .refine((fleet) => fleet.maxReplicas >= fleet.minReplicas, {
    path: ['maxReplicas'],
    error: ({ input }) => `must be at least minReplicas (${Object(input).minReplicas})`,
    when: (parsed) => sound(parsed, 'minReplicas', 'maxReplicas'),
  })
  .refine((fleet) => fleet.quietPollInterval >= fleet.pollInterval, {
    path: ['quietPollInterval'],
    error: ({ input }) => `must be at least pollInterval (${Object(input).pollInterval} s)`,
    when: (parsed) => sound(parsed, 'quietPollInterval', 'pollInterval'),
  })
  .refine((fleet) => fleet.idleTimeout > 3 * fleet.pollInterval, {
    path: ['idleTimeout'],
    error: ({ input }) =>
      `must be longer than three times pollInterval (${Object(input).pollInterval} s), or runners leave before they are needed`,
    when: (parsed) => sound(parsed, 'idleTimeout', 'pollInterval'),
  })
  .refine((fleet) => (fleet.scaleDownDelay ?? 0) <= fleet.idleTimeout, {
    path: ['scaleDownDelay'],
    error: ({ input }) => `must be at most idleTimeout (${Object(input).idleTimeout} s)`,
    when: (parsed) => sound(parsed, 'scaleDownDelay', 'idleTimeout'),
  })
  .refine((fleet) => fleet.recycleAfter === undefined || fleet.recycleAfter >= fleet.idleTimeout, {
    path: ['recycleAfter'],
    error: ({ input }) => `must be at least idleTimeout (${Object(input).idleTimeout} s)`,
    when: (parsed) => sound(parsed, 'recycleAfter', 'idleTimeout'),
  })
  .check(
    z.superRefine(
      (fleet, context) => {
        fleet.schedules.forEach((schedule, index) => {
          const { minReplicas = fleet.minReplicas, maxReplicas = fleet.maxReplicas } = Object(schedule);
          // Whether they are numbers at all, others tell; and the fleet's own two are compared above.
          if (!(minReplicas > maxReplicas && fleet.minReplicas <= fleet.maxReplicas)) return;
          const [own, message] =
            Object(schedule).maxReplicas === undefined
              ? ['minReplicas', `must be at most maxReplicas of the fleet (${maxReplicas})`]
              : ['maxReplicas', `must be at least minReplicas (${minReplicas}) while it is in force`];
          context.addIssue({ code: 'custom', path: ['schedules', index, own], message });
        });
      },
      {
        when: (parsed) =>
          sound(parsed, 'minReplicas', 'maxReplicas') && Array.isArray(Object(parsed.value).schedules),
      },
    ),
  )
  .refine(
    ({ image, rootDevice, rootVolumeSize }) =>
      rootVolumeSize === undefined || isStock(image) || rootDevice !== undefined,
    {
      path: ['rootVolumeSize'],
      error:
        'must come with rootDevice, because only the maker of an image knows what its root device is called',
      when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice', 'rootVolumeSize') && isMap(value),
    },
  )
  .refine(({ image, rootDevice }) => rootDevice === undefined || !isStock(image), {
    path: ['rootDevice'],
    error: 'must be left out, unless image is one of yours: those of ubuntu and amazon-linux are known',
    when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice') && isMap(value),
  })
  .refine((fleet) => fleet.sshCidr === undefined, {
    path: ['sshCidr'],
    error: 'must be left out with securityGroupIds, which say themselves what is let in',
    when: ({ value }) => isMap(value) && Object(value.network).securityGroupIds !== undefined,
  })
  .refine(({ instanceTypes, instanceRequirements }) => Boolean(instanceTypes ?? instanceRequirements), {
    path: ['instanceTypes'],
    error: 'must be a list of EC2 instance types such as [m7g.large], unless there are instanceRequirements',
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'instanceTypes', 'instanceRequirements'),
  })
  .refine(({ instanceTypes, instanceRequirements }) => !(instanceTypes && instanceRequirements), {
    path: ['instanceRequirements'],
    error: 'must be left out, or instanceTypes must: the one or the other says what is launched',
    when: ({ value }) => isMap(value),
  })
  .refine(
    ({ image, instanceRequirements }) => !instanceRequirements || !imageParameter(image)?.includes(':'),
    {
      path: ['image'],
      error:
        'must be a parameter without a version or a label, because with instanceRequirements it is read by CloudFormation, as it is at the deployment',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'image'),
    },
  )
  .refine((fleet) => Number(fleet.warmPool?.size) <= fleet.maxReplicas, {
    path: ['warmPool', 'size'],
    error: ({ input }) => `must be at most maxReplicas (${Object(input).maxReplicas}), or auto`,
    when: (parsed) =>
      sound(parsed, 'maxReplicas') && Number.isInteger(Object(Object(parsed.value).warmPool).size),
  })
  // Several instance types may be warm since November 2025, if they are On-Demand:
  // https://aws.amazon.com/about-aws/whats-new/2025/11/ec2-auto-scaling-warm-pool-mixed-instances-policies/
  .refine((fleet) => fleet.spot === undefined, {
    path: ['spot'],
    error:
      'must be left out with warmPool, which AWS has for On-Demand instances alone; or leave out warmPool',
    when: ({ value }) => isMap(value) && value.warmPool !== undefined,
  })
  .refine((fleet) => !fleet.instanceTypes?.some((type) => /\.metal/.test(type)), {
    path: ['instanceTypes'],
    error:
      'must not be bare metal with a hibernated warmPool, which it cannot do; with the state stopped it can',
    when: ({ value }) =>
      Object(Object(value).warmPool).state === 'hibernated' &&
      Array.isArray(Object(value).instanceTypes) &&
      Object(value).instanceTypes.every(isInstanceType),
  })
  .refine((fleet) => fleet.warmPool?.state !== 'hibernated', {
    path: ['warmPool', 'state'],
    error:
      'must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or give instanceTypes that can',
    when: ({ value }) => isMap(value) && value.instanceRequirements !== undefined && isMap(value.warmPool),
  })
  .refine(({ instanceTypes = [] }) => new Set(instanceTypes.map(architectureOf)).size <= 1, {
    path: ['instanceTypes'],
    error: 'must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image',
    when: ({ value }) =>
      Array.isArray(Object(value).instanceTypes) && Object(value).instanceTypes.every(isInstanceType),
  })
  .describe('A fleet: an Auto Scaling group of runners for one CircleCI resource class.');

/** Whether these settings were parsed to numbers, and no fault was found with them. */
function sound({ value, issues }: z.core.ParsePayload, ...keys: string[]): boolean {
  return keys.every((key) => Number.isInteger(Object(value)[key])) && !faulty(issues, ...keys);
}

/** Whether a fault was found with one of these settings. */
const faulty = (issues: z.core.ParsePayload['issues'], ...keys: string[]) =>
  issues.some(({ path = [] }) => keys.includes(String(path[0])));

export const Fleets = z
  .record(z.string(), Fleet, { error: 'must be a map of fleet names to their settings' })
  .check(
    z.superRefine(
      (fleets, context) => {
        const fault = (path: string[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        const { length } = Object.keys(fleets);
        if (length === 0) fault([], 'must have at least one fleet');
        if (length > MOST_FLEETS)
          fault(
            [],
            `must have at most ${MOST_FLEETS} fleets, got ${length}: ${ROOM}. Put the others into another file, for another stack: -c fleets=FILE -c stack=NAME`,
          );
        const ids = new Map<string, string>();
        const classes = new Map<string, string>();
        for (const [name, fleet] of Object.entries(fleets)) {
          if (!FLEET_NAME.test(name)) fault([name], FLEET_NAME_FAULT);
          const id = logicalId(name).toLowerCase();
          const twin = ids.get(id);
          if (twin !== undefined)
            fault([name], `must differ from ${twin} in more than hyphens, underscores and case`);
          ids.set(id, name);
          const resourceClass = Object(fleet).resourceClass;
          const rival = classes.get(resourceClass);
          if (rival !== undefined) {
            fault(
              [name, 'resourceClass'],
              `must differ from that of ${rival}: two fleets for one resource class would both launch for each task`,
            );
          }
          if (typeof resourceClass === 'string') classes.set(resourceClass, name);
        }
      },
      { when: ({ value }) => isMap(value) },
    ),
  )
  .meta({
    description: `Fleets by name: letters, digits, hyphens and underscores, a letter first. At most ${MOST_FLEETS}, or ${MOST_FLEETS_WITH_VPC} if a VPC is made for each: ${ROOM}.`,
    minProperties: 1,
    maxProperties: MOST_FLEETS,
    propertyNames: { pattern: FLEET_NAME.source, patternErrorMessage: FLEET_NAME_FAULT },
  });

export type FleetSettings = z.infer<typeof Fleet>;

/** `linux-large` as CloudFormation outputs spell it: `LinuxLarge`. */
export function logicalId(fleetName: string): string {
  return fleetName
    .split(/[-_]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

export type Architecture = 'arm64' | 'x86_64';

/**
 * Architecture of an instance type's processor, by its name: a `g` among the letters behind the generation is
 * Graviton. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export function architectureOf(instanceType: string): Architecture {
  return /^(a1|[a-z]+\d+[a-z-]*g[a-z0-9]*)\./.test(instanceType) ? 'arm64' : 'x86_64';
}

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
