import * as z from 'zod';
import { faultOfCron, isTimeZone } from '../../functions/lib/schedules.ts';
import { formatDuration } from '../duration.ts';
import { duration, flag, isMap, shareOrNumber, sound, text, wholeNumber } from './parts.ts';

/** How many instances a fleet has, when, and for how long. */

const TIME_ZONE_FAULT = 'must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC';

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

export const CAPACITY_SETTINGS = {
  minReplicas: LEVERS.minReplicas
    .default(0)
    .describe(
      'So many runners without a task are kept at any time, beside the busy ones, up to maxReplicas. [Capacity settings](how-it-decides.md#capacity-settings).',
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
    .describe('How often CircleCI is asked for the counts: seconds, or with a unit, from 1s to 1m.'),
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
  spot: Spot.optional().describe(
    'Makes instances Spot, for less money: `percentage` (100) of those above `onDemandBase` (0). EC2 can take them back with a notice of two minutes.',
  ),
  unsafeRetries: flag(
    'Whether CircleCI runs a job again, elsewhere, if its runner is told to end, as when EC2 takes a Spot instance back. Unsafe for jobs that must not run twice.',
  ),
};

type Capacity = z.infer<z.ZodObject<typeof CAPACITY_SETTINGS>>;

export const CAPACITY_RULES = [
  // `when`: a rule about two settings is checked as soon as these two are sound, whatever else is wrong.
  z.refine<Capacity>((fleet) => fleet.maxReplicas >= fleet.minReplicas, {
    path: ['maxReplicas'],
    error: ({ input }) => `must be at least minReplicas (${Object(input).minReplicas})`,
    when: (parsed) => sound(parsed, 'minReplicas', 'maxReplicas'),
  }),
  z.refine<Capacity>((fleet) => fleet.quietPollInterval >= fleet.pollInterval, {
    path: ['quietPollInterval'],
    error: ({ input }) => `must be at least pollInterval (${formatDuration(Object(input).pollInterval)})`,
    when: (parsed) => sound(parsed, 'quietPollInterval', 'pollInterval'),
  }),
  z.refine<Capacity>((fleet) => fleet.idleTimeout > 3 * fleet.pollInterval, {
    path: ['idleTimeout'],
    error: ({ input }) =>
      `must be longer than three times pollInterval (${formatDuration(Object(input).pollInterval)}), or runners leave before they are needed`,
    when: (parsed) => sound(parsed, 'idleTimeout', 'pollInterval'),
  }),
  z.refine<Capacity>((fleet) => (fleet.scaleDownDelay ?? 0) <= fleet.idleTimeout, {
    path: ['scaleDownDelay'],
    error: ({ input }) => `must be at most idleTimeout (${formatDuration(Object(input).idleTimeout)})`,
    when: (parsed) => sound(parsed, 'scaleDownDelay', 'idleTimeout'),
  }),
  z.refine<Capacity>((fleet) => fleet.recycleAfter === undefined || fleet.recycleAfter >= fleet.idleTimeout, {
    path: ['recycleAfter'],
    error: ({ input }) => `must be at least idleTimeout (${formatDuration(Object(input).idleTimeout)})`,
    when: (parsed) => sound(parsed, 'recycleAfter', 'idleTimeout'),
  }),
  z.superRefine<Capacity>(
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
  z.refine<Capacity>((fleet) => Number(fleet.warmPool?.size) <= fleet.maxReplicas, {
    path: ['warmPool', 'size'],
    error: ({ input }) => `must be at most maxReplicas (${Object(input).maxReplicas}), or auto`,
    when: (parsed) =>
      sound(parsed, 'maxReplicas') && Number.isInteger(Object(Object(parsed.value).warmPool).size),
  }),
  // Several instance types may be warm since November 2025, if they are On-Demand:
  // https://aws.amazon.com/about-aws/whats-new/2025/11/ec2-auto-scaling-warm-pool-mixed-instances-policies/
  z.refine<Capacity>((fleet) => fleet.spot === undefined, {
    path: ['spot'],
    error:
      'must be left out with warmPool, which AWS has for On-Demand instances alone; or leave out warmPool',
    when: ({ value }) => isMap(value) && value.warmPool !== undefined,
  }),
  z.refine<Capacity>((fleet) => fleet.warmPool?.state !== 'hibernated', {
    path: ['warmPool', 'state'],
    error:
      'must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or give instanceTypes that can',
    when: ({ value }) => isMap(value) && value.instanceRequirements !== undefined && isMap(value.warmPool),
  }),
];
