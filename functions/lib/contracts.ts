import * as z from 'zod/mini';
import { FAILURE_KINDS } from './launch-failures.ts';

/** A count of tasks or instances: whole, at least 0, and small enough to be one. */
export const Count = z.int().check(z.minimum(0), z.maximum(1_000_000));

const Text = z.string().check(z.minLength(1));
const Percentage = z.int().check(z.minimum(0), z.maximum(100));
/** A time: text in the workflow's JSON, milliseconds since the epoch in the functions. */
const Instant = z.codec(z.iso.datetime({ offset: true }), z.number(), {
  decode: (text) => Date.parse(text),
  encode: (at) => new Date(at).toISOString(),
});

const Seconds = z.int().check(z.minimum(1));

/** Part of the input of every step, so that its log line names the execution. */
const Trace = {
  fleet: Text,
  /** Name of the execution in the Step Functions console. */
  execution: Text,
};

/** When one poll of an execution is due, and what the polls before it have seen. */
export const Poll = z.object({
  /** 1 for the first poll of an execution. */
  number: Count,
  executionStartedAt: Instant,
  /** The counting steps start then, or later if the poll before was slow. */
  dueAt: Instant,
  /** How long each attempt of a counting step may take; shorter towards the end of the execution. */
  timeoutSeconds: Seconds,
  /** What the polls before this one have seen; explained in claims.ts. */
  seen: z.optional(
    z.object({ unclaimed: Count, running: Count, claimed: Count, waiting: z.boolean(), idle: z.boolean() }),
  ),
});
export type Poll = z.infer<typeof Poll>;

/** What a counting step has to know of its poll. */
const CountedIn = z.omit(Poll, { dueAt: true, seen: true });

export const ReadSecretsInput = z.object({ ...Trace, resourceClass: Text, scalerSecretName: Text });

/** Input of Count Unclaimed and of Count Running. */
export const CountInput = z.object({
  ...Trace,
  resourceClass: Text,
  circleciUrl: z.url({ protocol: /^https?$/ }),
  scalerSecretName: Text,
  poll: CountedIn,
});
export type CountInput = z.infer<typeof CountInput>;

/** CircleCI answered with status 429 and wants to be left alone for so long. */
const RateLimited = z.object({ retryAfterSeconds: Count });
export const UnclaimedAnswer = z.union([z.object({ unclaimed: Count }), RateLimited]);
export const RunningAnswer = z.union([z.object({ running: Count }), RateLimited]);

export const DescribeGroupInput = z.object({ ...Trace, groupName: Text, poll: CountedIn });

/** The Auto Scaling group as Describe Group hands it on; the counts are explained in capacity.ts. */
export const Group = z.object({
  desired: Count,
  members: z.object({ pending: Count, inService: Count, leaving: Count, standby: Count }),
  /** The group's maximum size. */
  maxSize: z.optional(Count),
  launchProcess: z.object({ suspended: z.boolean(), byBreaker: z.boolean(), byAws: z.optional(z.boolean()) }),
  /** Whether a person wants its capacity held, or nothing launched; in tags.ts. */
  paused: z.enum(['false', 'true', 'drain']),
  /** Explained in spot.ts; not of a group with one launch template and nothing else. */
  purchase: z.optional(z.object({ onDemandPercentage: Percentage, byFallback: z.boolean() })),
  /** The group's warm pool, if it has one: how many instances it is to hold, and their state. */
  warmPool: z.optional(z.object({ size: Count, state: z.enum(['Stopped', 'Hibernated', 'Running']) })),
});
export type Group = z.infer<typeof Group>;

export const DescribeActivitiesInput = z.object({
  ...Trace,
  groupName: Text,
  breakerFailures: z.int().check(z.minimum(1)),
  breakerWindowSeconds: Seconds,
  onDemandPercentage: z._default(Percentage, 100),
  /** Whether the warm pool is the workflow's to size. */
  warmPoolAuto: z.boolean(),
});

/** What has become of the group's launches, read once in each execution; the breaker is explained in breaker.ts. */
export const Activities = z.object({
  /** When the group's last scaling activity began or ended; `null` if it has had none. */
  lastAt: z.nullable(Instant),
  /** Launches that failed in the minute before, without those that EC2 refused and a later launch made up for. */
  failedLaunches: Count,
  /** Launches that EC2 refused in the minute before because the zone never has the instance type. */
  placementRefusals: z.optional(Count),
  /** Launches that came into service in the minute before. */
  cameInService: Count,
  /** When a launch last failed for want of Spot capacity. */
  spotShortageAt: z.optional(Instant),
  /** What the launches ask of the warm pool, if that is the workflow's to size; explained in warm-pool.ts. */
  launchDemand: z.optional(z.object({ peak: Count, resting: z.boolean() })),
  breaker: z.discriminatedUnion('open', [
    z.object({ open: z.literal(false) }),
    z.object({
      open: z.literal(true),
      /** Whether a launch failed in the minute before and nobody was notified of it yet. */
      news: z.boolean(),
      failures: Count,
      kind: z.enum(FAILURE_KINDS),
      reason: z.string(),
      canaryAt: Instant,
    }),
  ]),
});
export type Activities = z.infer<typeof Activities>;

/** The settings that decide with the counts; each is explained in capacity.ts. */
const LEVERS = {
  minReplicas: Count,
  maxReplicas: Count,
  headroom: z.optional(z.union([Count, z.string().check(z.regex(/^\d{1,4}%$/))])),
  maxSurge: z.optional(z.int().check(z.minimum(1))),
};
const Levers = z.object(LEVERS);
export type Levers = z.infer<typeof Levers>;

/** When some of the settings are others; explained in schedules.ts. */
const ScalingSchedule = z.object({
  name: z.optional(Text),
  /** Crons of five fields, by the clocks of the time zone. */
  start: Text,
  end: Text,
  /** A name of the IANA time zone database. */
  timezone: Text,
  ...z.partial(Levers).shape,
});
export type ScalingSchedule = z.infer<typeof ScalingSchedule>;

/** A fleet's settings of its capacity, as its EventBridge schedule hands them over: nothing that it does not set. */
export const CapacitySettings = z.object({ ...LEVERS, schedules: z.optional(z.array(ScalingSchedule)) });
export type CapacitySettings = z.infer<typeof CapacitySettings>;

/** What stays the same for all polls of an execution. */
const PollSettings = z.object({
  capacity: CapacitySettings,
  pollIntervalSeconds: Seconds,
  /** The longest interval of an idle fleet: see pacing.ts. */
  quietPollIntervalSeconds: Seconds,
  /** Of the instances beyond the base, as the fleet is configured; 100 without Spot capacity. */
  onDemandPercentage: z._default(Percentage, 100),
  executionStartedAt: Instant,
});
export type PollSettings = z.infer<typeof PollSettings>;

/** What each poll of an execution hands on to the next one: all that may change from poll to poll. */
const PollState = z.object({
  /** Without the start of the execution, which is a setting. */
  poll: z.omit(Poll, { executionStartedAt: true }),
  /** Read once, at the start. A poll that sees an instance launch puts off the breaker's canary: see poll.ts. */
  activities: Activities,
});
export type PollState = z.infer<typeof PollState>;

/** What one poll has read. */
const Observation = z.object({ unclaimed: UnclaimedAnswer, running: RunningAnswer, group: Group });
export type Observation = z.infer<typeof Observation>;

export const ComputeCapacityInput = z.object({
  ...Trace,
  ...PollSettings.shape,
  ...PollState.shape,
  observed: Observation,
});
export type ComputeCapacityInput = z.infer<typeof ComputeCapacityInput>;

/** What Compute Capacity decides: this poll's capacity, and the next poll if one fits into the execution. */
export const Plan = z.object({
  decision: z.object({
    from: Count,
    desired: Count,
    change: z.boolean(),
    launchProcess: z.optional(z.enum(['suspend', 'resume'])),
    onDemandPercentage: z.optional(Percentage),
    warmPoolSize: z.optional(Count),
    reasons: z.array(z.string()),
  }),
  /**
   * `TimeoutSeconds` for each attempt of Update Group. At least 1, also if nothing is written: a state's
   * timeout must be.
   */
  updateTimeoutSeconds: Seconds,
  again: z.boolean(),
  next: PollState,
});
export type Plan = z.infer<typeof Plan>;

export const UpdateGroupInput = z.object({
  ...Trace,
  groupName: Text,
  decision: Plan.shape.decision,
  again: z.boolean(),
});
