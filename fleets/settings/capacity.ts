import * as z from 'zod';
import { faultOfCron, isTimeZone } from '../../functions/lib/schedules.ts';
import { duration, flag, shareOrNumber, text, wholeNumber } from './parts.ts';

/** How many instances a fleet has, when, and for how long. */

const TIME_ZONE_FAULT = 'must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC';

/** The settings that a schedule can override. */
const SCHEDULABLE = {
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
const ScalingSchedule = z
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
      minReplicas: SCHEDULABLE.minReplicas.optional().describe("In place of the fleet's."),
      maxReplicas: SCHEDULABLE.maxReplicas.optional().describe("In place of the fleet's."),
      headroom: SCHEDULABLE.headroom.optional().describe("In place of the fleet's."),
      maxSurge: SCHEDULABLE.maxSurge.optional().describe("In place of the fleet's."),
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
const Spot = z.strictObject(
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
const Breaker = z.strictObject(
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
const WarmPool = z.strictObject(
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
  minReplicas: SCHEDULABLE.minReplicas
    .default(0)
    .describe(
      'So many runners without a task are kept at any time, beside the busy ones, up to maxReplicas. [Capacity settings](how-it-decides.md#capacity-settings).',
    ),
  maxReplicas: SCHEDULABLE.maxReplicas.describe(
    "The most instances that the group may have. CircleCI recommends the plan's concurrency limit for self-hosted runners.",
  ),
  headroom: SCHEDULABLE.headroom
    .default(0)
    .describe(
      'So many runners without a task are kept while there are tasks, up to maxReplicas: a number, or a share of the tasks such as 20%, rounded up. Where minReplicas is more, that counts.',
    ),
  maxSurge: SCHEDULABLE.maxSurge
    .optional()
    .describe(
      'How many launches one poll may ask for beyond the instances that are pending or in service. Without it, as many as tasks want: a rise is never delayed.',
    ),
  schedules: z
    .array(ScalingSchedule, { error: 'must be a list of schedules' })
    .max(20, { error: 'must be at most 20 schedules' })
    .default([])
    .describe(
      'Times at which minReplicas, maxReplicas, headroom and maxSurge are others: each from a fire of the cron `start` to the next fire of `end`, in `timezone` (UTC). Of several in force the first counts. [Schedules](how-it-decides.md#schedules).',
    ),
  reuse: z
    .enum(['single-task', 'continuous'], { error: 'must be single-task or continuous' })
    .default('single-task')
    .describe(
      'How many tasks an instance runs. `single-task`: one, on a clean machine. `continuous`: one after the other, until none comes for idleTimeout; a job then finds the files, processes and Docker state that those before it left. [What that gives up](instance-life.md#reuse).',
    ),
  warmPool: WarmPool.optional().describe(
    'Instances that have installed all and wait, stopped, to be launched in seconds: `size` of them, `stopped` (or `hibernated`) by their `state`. Their volumes are paid for. AWS has no warm pool for Spot.',
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
