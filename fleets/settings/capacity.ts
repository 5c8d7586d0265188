import * as z from 'zod';
import { faultOfCron } from '../../functions/lib/schedules.ts';
import { duration, flag, shareOrNumber, text, timeZone, wholeNumber } from './parts.ts';

/** How many instances a fleet has, when, and how they are bought. */

/** The settings that a schedule can override. */
const SCHEDULABLE = {
  minReplicas: wholeNumber('the number of idle runners to keep', 0, 10_000),
  maxReplicas: wholeNumber('the maximum number of instances', 1, 10_000),
  headroom: shareOrNumber(
    'the idle runners to keep while there are tasks, or their share of the tasks',
    10_000,
    1_000,
  ),
  maxSurge: wholeNumber(
    'the maximum number of launches that one poll adds; for no limit, leave it out',
    1,
    10_000,
  ),
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

/** Other values of some settings at certain times. */
const ScalingSchedule = z
  .strictObject(
    {
      name: text('a name of 1 to 64 characters, without control characters', /^[^\p{Cc}]{1,64}$/u)
        .optional()
        .describe('A name, shown where the schedule is in force.'),
      start: cron('when the schedule starts').describe('When the schedule starts: a cron of five fields.'),
      end: cron('when the schedule ends').describe('When the schedule ends: a cron of five fields.'),
      timezone: timeZone().describe('Time zone of both crons, a name of the IANA database.'),
      minReplicas: SCHEDULABLE.minReplicas.optional().describe("Replaces the fleet's minReplicas."),
      maxReplicas: SCHEDULABLE.maxReplicas.optional().describe("Replaces the fleet's maxReplicas."),
      headroom: SCHEDULABLE.headroom.optional().describe("Replaces the fleet's headroom."),
      maxSurge: SCHEDULABLE.maxSurge.optional().describe("Replaces the fleet's maxSurge."),
      scaleDownDelay: z
        .never({
          error:
            'cannot be scheduled, because an instance gets its idle time (idleTimeout, recycleAfter) when it launches',
        })
        .optional(),
    },
    { error: 'must be a map of start, end, and the settings that the schedule replaces' },
  )
  .refine(({ start, end }) => start !== end, {
    path: ['end'],
    error: 'must differ from start, or the schedule never ends',
    when: ({ value }) => typeof Object(value).end === 'string',
  });

/** How much of the group's capacity is Spot. */
const Spot = z.strictObject(
  {
    percentage: wholeNumber('the percentage of instances above onDemandBase that are Spot', 1, 100)
      .default(100)
      .describe('Percentage of the instances above `onDemandBase` that are Spot.'),
    onDemandBase: wholeNumber('the number of On-Demand instances that come first', 0, 10_000)
      .default(0)
      .describe('Number of On-Demand instances that the group has first.'),
  },
  { error: 'must be a map of percentage and onDemandBase; {} makes all instances Spot' },
);

/** When failed launches stop further launches. */
const Breaker = z.strictObject(
  {
    failures: wholeNumber('the number of failed launches that open the breaker', 1, 100)
      .default(3)
      .describe('Number of failed launches, without a success between them, that opens the breaker.'),
    window: duration('a time', 60, 86_400)
      .prefault('15m')
      .describe('Only launches that failed within this time count.'),
  },
  { error: 'must be a map of failures and window; {} is 3 failures within 15m' },
);

/** Instances that have booted once and wait: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html */
const WarmPool = z.strictObject(
  {
    size: z
      .union(
        [
          wholeNumber('the number of instances that wait, or auto', 0, 10_000),
          z.literal('auto', { error: 'must be auto' }),
        ],
        {
          error: 'must be a whole number from 0 to 10000, the number of instances that wait, or auto',
        },
      )
      .describe(
        'Number of instances that wait, at most `maxReplicas`. `auto`: the largest number of launches within the time of one boot, in the last 7 days.',
      ),
    state: z
      .enum(['stopped', 'hibernated'], { error: 'must be stopped or hibernated' })
      .default('stopped')
      .describe(
        'How the instances wait. `hibernated` instances keep their memory. They need an instance type and an image that can hibernate, and a root volume with room for the whole memory beside the image.',
      ),
  },
  { error: 'must be a map of size and state, such as { size: 5 }' },
);

/** The most of SCHEDULABLE. */
const MOST_RUNNERS = 10_000;

/** How many idle runners are kept, as the fleet has learned. */
const SpareRunners = z.union(
  [
    z.literal('auto', { error: 'must be auto' }),
    z.strictObject(
      {
        max: wholeNumber('the maximum number of spare runners', 1, MOST_RUNNERS).describe(
          'Maximum number of spare runners.',
        ),
      },
      { error: 'must be a map of max' },
    ),
  ],
  { error: 'must be auto, or a map of max such as { max: 5 }' },
);

export const CAPACITY_SETTINGS = {
  minReplicas: SCHEDULABLE.minReplicas
    .default(0)
    .describe(
      'Number of idle runners that are kept at any time, beside the busy ones, up to `maxReplicas`. [Capacity settings](how-it-decides.md#capacity-settings).',
    ),
  maxReplicas: SCHEDULABLE.maxReplicas.describe(
    "Maximum number of instances in the group. CircleCI recommends your plan's concurrency limit for self-hosted runners.",
  ),
  headroom: SCHEDULABLE.headroom
    .default(0)
    .describe(
      'Idle runners that are kept while there are tasks, up to `maxReplicas`: a number, or a share of the tasks such as 20%, rounded up. If `minReplicas` is more, it counts instead.',
    ),
  spareRunners: SpareRunners.optional().describe(
    'Idle runners that are kept, as many as pay: `auto`, or `{ max: 5 }` for at most 5. The fleet learns how many tasks arrive while an instance boots, and weighs the price of an idle instance against `waitingCost`. If `minReplicas` or `headroom` is more, it counts instead. [Spare runners](how-it-decides.md#spare-runners).',
  ),
  maxSurge: SCHEDULABLE.maxSurge
    .optional()
    .describe(
      'Maximum number of launches that one poll adds to the instances that are pending or in service. Without a limit, a rise is never delayed.',
    ),
  schedules: z
    .array(ScalingSchedule, { error: 'must be a list of schedules' })
    .max(20, { error: 'must be at most 20 schedules' })
    .default([])
    .describe(
      'Times at which other values of `minReplicas`, `maxReplicas`, `headroom` and `maxSurge` apply. Each schedule starts when its cron `start` fires and ends when its cron `end` fires, in `timezone` (default: UTC). If several are in force, only the first counts. [Schedules](how-it-decides.md#schedules).',
    ),
  otherRunners: wholeNumber('the number of runners of the class outside the group', 0, 10_000)
    .default(0)
    .describe(
      'Number of runners of the resource class that you run outside the group. If more tasks run than the members of the group and these can run, an alarm rings: [Tasks Run Elsewhere](operations.md#tasks-run-elsewhere). It changes no capacity.',
    ),
  reuse: z
    .enum(['single-task', 'continuous'], { error: 'must be single-task or continuous' })
    .default('single-task')
    .describe(
      'How many tasks an instance runs. `single-task`: one, on a clean machine. `continuous`: one after the other, until the runner has been idle for `idleTimeout`. A job then finds the files, processes and Docker state of earlier jobs. [What you give up](instance-life.md#reuse).',
    ),
  warmPool: WarmPool.optional().describe(
    'Instances that have booted once and wait, so that a launch takes seconds. `size`: how many. `state`: `stopped` (default) or `hibernated`. You pay for their volumes. AWS has no warm pools for Spot.',
  ),
  breaker: Breaker.prefault({ failures: 3, window: '15m' }).describe(
    'Stops launches that only fail: after `failures` (default: 3) failed launches within `window` (default: 15m) without a success. Then one instance at a time is launched until one succeeds.',
  ),
  spot: Spot.optional().describe(
    "Buys Spot Instances, which cost less: `percentage` (default: 100) of the instances above `onDemandBase` (default: 0). EC2 can take them back with two minutes' notice. The account needs the service-linked role `AWSServiceRoleForEC2Spot`; if it has none, create it once: `aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`.",
  ),
  unsafeRetries: flag(
    'Whether CircleCI runs a job again on another runner if its runner must end, for example because EC2 takes back a Spot Instance. Unsafe for jobs that must not run twice.',
  ),
};
