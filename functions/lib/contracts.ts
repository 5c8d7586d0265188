import * as z from 'zod/mini';
import { CircleCiUrl } from './circleci-url.ts';
import { FAILURE_KINDS } from './launch-failures.ts';
import type { Learned } from './learned.ts';

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
const Version = z.int().check(z.minimum(1));

/**
 * Input of an execution. It names a fleet; everything that decides comes from the deployment, so nothing else is
 * accepted.
 */
export const ExecutionInput = z.strictObject({
  fleet: Text,
  /** Whether to end after the first poll, as `npm run execute` does. */
  once: z.optional(z.boolean()),
});
export type ExecutionInput = z.infer<typeof ExecutionInput>;

/** Input of Read Settings: the whole input of the execution, because it may be anything. */
export const ReadSettingsInput = z.pipe(
  z.object({ execution: Text, startedAt: Instant, input: ExecutionInput }),
  z.transform(({ input: { fleet, once = false }, ...others }) => ({ ...others, fleet, once })),
);

/** Every step's input: whose settings the step reads, and the execution that its log line names. */
const Task = {
  fleet: Text,
  /** The settings that the execution began with; see settings.ts. */
  settings: z.object({ version: Version }),
  /** Name of the execution in the Step Functions console. */
  execution: Text,
};

/** When one poll of an execution is due, and what the polls before it have seen. */
export const Poll = z.object({
  /** 1 for the first poll of an execution. */
  number: Count,
  /** The second from which the fleet polls: up to `spreadSeconds` after the start of the execution. */
  executionStartedAt: Instant,
  /** The counting steps start then, or later if the poll before was slow. */
  dueAt: Instant,
  /** How long each attempt of a counting step may take; shorter towards the end of the execution. */
  timeoutSeconds: Seconds,
  /** What the polls before this one have seen; explained in claims.ts. */
  seen: z.optional(
    z.object({
      unclaimed: Count,
      running: Count,
      claimed: Count,
      waiting: z.boolean(),
      idle: z.boolean(),
      idlePolls: z._default(Count, 0),
      idlers: z.optional(Count),
      idlersNow: z.optional(Count),
      idleSum: z.optional(Count),
      inService: z.optional(Count),
      inServiceFirst: z.optional(Count),
      outside: z.optional(Count),
      surplus: z.optional(Count),
      mostRunning: z._default(Count, 0),
      elsewhere: z.optional(Count),
    }),
  ),
  /** What arrived in the execution until this poll, if the fleet learns from it: seconds since the epoch, and tasks. */
  arrivals: z.optional(z.array(z.readonly(z.tuple([z.int(), Count])))),
  /** The version of what the fleet had learned before this execution; 0 for nothing. Without it, it was not read. */
  learned: z.optional(Count),
});
export type Poll = z.infer<typeof Poll>;

/** What a counting step has to know of its poll. */
const CountedIn = z.omit(Poll, { dueAt: true, seen: true, arrivals: true, learned: true });

/** Input of Count Unclaimed and of Count Running. */
export const CountInput = z.object({ ...Task, poll: CountedIn });
export type CountInput = z.infer<typeof CountInput>;

/** CircleCI answered with status 429, and allows no request for this time. */
const RateLimited = z.object({ retryAfterSeconds: Count });
export const UnclaimedAnswer = z.union([z.object({ unclaimed: Count }), RateLimited]);
/** What CircleCI says beside a count of 0; explained in zero.ts. */
const ZeroCheck = z.object({
  inventory: z.optional(z.union([Count, z.literal('refused')])),
  fleet: z.optional(z.union([z.object({ queued: Count, running: Count }), z.literal('unknown')])),
  unseen: Count,
  skipped: z.array(z.string()),
});
export const RunningAnswer = z.union([
  z.object({ running: Count, check: z.optional(ZeroCheck) }),
  RateLimited,
]);

export const DescribeGroupInput = z.object({ ...Task, poll: CountedIn });

/** What happened since runners were found idle while tasks waited; explained in withheld.ts. Times are seconds. */
const Withheld = z.object({
  since: z.int(),
  unused: Count,
  canaries: Count,
  lastAt: z.int(),
  unclaimed: Count,
  running: Count,
  level: Count,
  came: Count,
  outside: Count,
  claimed: Count,
  claimedAt: z.int(),
  // An execution that a deployment interrupts has a record without these.
  idleSeconds: z._default(z.int(), 0),
  inService: z._default(Count, 0),
  risen: z._default(Count, 0),
  mostRunning: z._default(Count, 0),
  idlersNow: z.optional(Count),
});

/** A fleet's tasks for the fleets that share a plan with it; explained in concurrency.ts. */
const TaskLevels = z.object({
  unclaimed: Count,
  running: Count,
  elsewhere: Count,
  present: Count,
  at: z.int(),
});

/** Tasks that run outside the group; explained in outside.ts. */
const TasksOutside = z.object({ outside: Count, running: Count });

/** The Auto Scaling group as Describe Group hands it on; the counts are explained in capacity.ts. */
export const Group = z.object({
  desired: Count,
  members: z.object({ pending: Count, inService: Count, leaving: Count, standby: Count }),
  /** The group's maximum size. */
  maxSize: z.optional(Count),
  launchProcess: z.object({
    suspended: z.boolean(),
    byBreaker: z.boolean(),
    forDrain: z.optional(z.literal(true)),
    byAws: z.optional(z.boolean()),
  }),
  /** Whether a person wants its capacity held, or nothing launched; in tags.ts. */
  paused: z.enum(['false', 'true', 'drain']),
  /** When a person paused it, if the command wrote that down. */
  pausedAt: z.optional(z.string()),
  /** Whether scale-in may take a member away; explained in capacity.ts. Left out if not. */
  unprotected: z.optional(z.literal(true)),
  withheld: z.optional(Withheld),
  tasksOutside: z.optional(TasksOutside),
  levels: z.optional(TaskLevels),
  /** When the group was created, in seconds; only of a young group, for pacing.ts. */
  createdAt: z.optional(z.int()),
  /** The other fleets of the plan, in the order of the settings. */
  sharers: z.optional(z.array(z.object({ present: Count, levels: z.optional(TaskLevels) }))),
  /** Explained in spot.ts; not of a group with one launch template and nothing else. */
  purchase: z.optional(z.object({ onDemandPercentage: Percentage, byFallback: z.boolean() })),
  /** The group's warm pool, if it has one: how many instances it is to hold, and their state. */
  warmPool: z.optional(z.object({ size: Count, state: z.enum(['Stopped', 'Hibernated', 'Running']) })),
});
export type Group = z.infer<typeof Group>;

export const DescribeActivitiesInput = z.object(Task);

/** What has become of the group's launches, read once in each execution; the breaker is explained in breaker.ts. */
export const Activities = z.object({
  /** When the group's last scaling activity began or ended; `null` if it has had none. */
  lastAt: z.nullable(Instant),
  /** Launches that failed since the last count, without those that EC2 refused and a later launch made up for. */
  failedLaunches: Count,
  /** Launches that EC2 refused since the last count because the zone never has the instance type. */
  placementRefusals: z.optional(Count),
  /** Launches that came into service since the last count (counted-launches.ts), and whether more may have than were read. */
  cameInService: Count,
  moreCame: z.optional(z.boolean()),
  /** When a launch last came into service. */
  lastReadyAt: z.optional(Instant),
  /** For how many seconds the oldest instance boots, 0 if none does. Not there if the last launch failed, or ended an hour ago. */
  bootSeconds: z.optional(Count),
  /** How many launches may come to nothing before only canaries launch. */
  breakerFailures: z.optional(Count),
  /** When a launch last failed because EC2 lacked Spot capacity. */
  spotShortageAt: z.optional(Instant),
  /** How long launches took to come into service, in seconds: the median, if the fleet learns how many spare runners to keep. */
  readySeconds: z.optional(Count),
  /** What the launches ask of the warm pool, if that is the workflow's to size; explained in warm-pool.ts. */
  launchDemand: z.optional(z.object({ peak: Count, today: z._default(Count, 0), resting: z.boolean() })),
  breaker: z.discriminatedUnion('open', [
    z.object({ open: z.literal(false) }),
    z.object({
      open: z.literal(true),
      /** Whether a launch failed since the last count and nobody was notified of it yet. */
      isNew: z.boolean(),
      failures: Count,
      kind: z.enum(FAILURE_KINDS),
      reason: z.string(),
      canaryAt: Instant,
    }),
  ]),
});
export type Activities = z.infer<typeof Activities>;

/** The settings that decide with the counts; each is explained in capacity.ts. */
const SCALING_SETTINGS = {
  minReplicas: Count,
  maxReplicas: Count,
  headroom: z.optional(z.union([Count, z.string().check(z.regex(/^\d{1,4}%$/))])),
  maxSurge: z.optional(z.int().check(z.minimum(1))),
};
const ScalingSettings = z.object(SCALING_SETTINGS);
export type ScalingSettings = z.infer<typeof ScalingSettings>;

/** When some of the settings are others; explained in schedules.ts. */
const ScalingSchedule = z.object({
  name: z.optional(Text),
  /** Crons of five fields, by the clocks of the time zone. */
  start: Text,
  end: Text,
  /** A name of the IANA time zone database. */
  timezone: Text,
  ...z.partial(ScalingSettings).shape,
});
export type ScalingSchedule = z.infer<typeof ScalingSchedule>;

/** A fleet's settings of its capacity, as its EventBridge schedule hands them over: nothing that it does not set. */
export const CapacitySettings = z.object({
  ...SCALING_SETTINGS,
  /** How many instances `maxHourlyCost` allows, computed at the deployment. */
  affordable: z.optional(z.int().check(z.minimum(1))),
  /** How many runners of the class are outside the group, as the fleet's owner knows. */
  otherRunners: z.optional(Count),
  schedules: z.optional(z.array(ScalingSchedule)),
});
export type CapacitySettings = z.infer<typeof CapacitySettings>;

/** The settings that are in force at a time. */
export type InForceSettings = Omit<CapacitySettings, 'schedules'>;

/**
 * A fleet's settings as the deployment writes them, as JSON, into a parameter of Systems Manager. The functions read
 * them from there, so that neither an execution's input nor a crafted event can set any of them.
 */
export const DeployedSettings = z.object({
  resourceClass: Text,
  circleciUrl: CircleCiUrl,
  scalerSecretName: Text,
  /**
   * Whether a stack of the app made the scaler secret, without a value. Until it has one, the fleet waits for its tokens. The
   * same of a secret that somebody else made is a failure. Default: it is one.
   */
  awaitsTokens: z.optional(z.literal(true)),
  groupName: Text,
  /** Topic of the workflow's own messages. */
  alarmTopicArn: Text,
  capacity: CapacitySettings,
  pollIntervalSeconds: Seconds,
  /** The longest interval of an idle fleet: see pacing.ts. */
  quietPollIntervalSeconds: Seconds,
  /** How long after the start of an execution the fleet begins to poll: see fleets/own-second.ts. Default: at once. */
  spreadSeconds: z.optional(Count),
  breakerFailures: z.int().check(z.minimum(1)),
  breakerWindowSeconds: Seconds,
  /** Of the instances beyond the base, as the fleet is configured; 100 without Spot capacity. */
  onDemandPercentage: Percentage,
  /** Whether the workflow sizes the warm pool. */
  warmPoolAuto: z.boolean(),
  /** By what the fleet learns how many spare runners to keep; explained in spare-runners.ts. Without it, it does not. */
  spareRunners: z.optional(
    z.object({
      idleCost: z.number().check(z.minimum(0)),
      waitingCost: z.number().check(z.minimum(0)),
      max: z.optional(Count),
      stays: z.optional(Count),
    }),
  ),
  /** The secret with the resource class token, which the functions may not read. */
  runnerSecretName: z.optional(Text),
  /** How long an instance and its job may last, in seconds; reconcile-evidence.ts explains each. */
  lifetimes: z.optional(
    z.object({ bootSeconds: Seconds, idleSeconds: Seconds, runSeconds: Seconds, ageLimitSeconds: Seconds }),
  ),
  /** The most that the fleet costs an hour, in US dollars. Only deployments read it, if `fleets.yaml` has the fleet no more. */
  mostHourlyCost: z.optional(z.number()),
  /** Whether the workflow that finds what is left behind also repairs it. Default: it only reports. */
  reconcile: z.optional(z.literal('repair')),
  /** The name of the image that EC2 Image Builder makes for the fleet, as ARNs have it. Default: none is made. */
  imageBuiltBy: z.optional(Text),
  /** The image on which that one is built: an id, or `ssm:` and the name of the parameter with the id. */
  imageSource: z.optional(Text),
  /** The plan's concurrency, and the groups of all fleets that share it. */
  concurrency: z.optional(z.object({ limit: Count, groups: z.array(Text) })),
});
export type DeployedSettings = z.infer<typeof DeployedSettings>;

/** What the state keeps of the settings: their version, and where the workflow's own messages go. */
const SettingsReference = z.object({
  version: Version,
  alarmTopicArn: Text,
  /** Whether the execution ends after its first poll. */
  once: z.boolean(),
});

/** What stays the same for all polls of an execution. */
export interface PollSettings
  extends Pick<
    DeployedSettings,
    'capacity' | 'pollIntervalSeconds' | 'quietPollIntervalSeconds' | 'onDemandPercentage' | 'spareRunners'
  > {
  /** How many tasks all fleets of the plan may run, and where this fleet is among them. */
  concurrency?: { limit: number; position: number } | undefined;
  /** What the fleet had learned before this execution; explained in learned.ts. */
  learned?: Learned | undefined;
  /** Milliseconds since the epoch. */
  executionStartedAt: number;
}

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
  ...Task,
  settings: SettingsReference,
  executionStartedAt: Instant,
  ...PollState.shape,
  observed: Observation,
});
export type ComputeCapacityInput = z.infer<typeof ComputeCapacityInput>;

/** What Compute Capacity decides: this poll's capacity, and the next poll if one fits into the execution. */
export const Plan = z.object({
  settings: SettingsReference,
  decision: z.object({
    from: Count,
    desired: Count,
    change: z.boolean(),
    launchProcess: z.optional(z.enum(['suspend', 'resume'])),
    forDrain: z.optional(z.literal(true)),
    onDemandPercentage: z.optional(Percentage),
    warmPoolSize: z.optional(Count),
    withheld: z.optional(z.nullable(Withheld)),
    tasksOutside: z.optional(z.nullable(TasksOutside)),
    levels: z.optional(TaskLevels),
    reasons: z.array(z.string()),
  }),
  /**
   * `TimeoutSeconds` for each attempt of Update Group. At least 1, also if nothing is written: a state's
   * timeout must be.
   */
  updateTimeoutSeconds: Seconds,
  again: z.boolean(),
  next: z.object({
    settings: SettingsReference,
    activities: Activities,
    poll: z.extend(PollState.shape.poll, {
      executionStartedAt: Instant,
      /** `TimeoutSeconds` for each attempt of Compute Capacity. */
      computeTimeoutSeconds: Seconds,
    }),
  }),
});
export type Plan = z.infer<typeof Plan>;

export const UpdateGroupInput = z.object({
  ...Task,
  decision: Plan.shape.decision,
  again: z.boolean(),
});

/** Input of Find Leftovers: the whole input of the execution, which must name a fleet and nothing else. */
export const FindLeftoversInput = z.pipe(
  z.object({ execution: Text, input: z.strictObject({ fleet: Text }) }),
  z.transform(({ input: { fleet }, execution }) => ({ fleet, execution })),
);

/** Input of Repair Leftovers: the keys of what was found. It repairs only what it finds again. */
export const RepairLeftoversInput = z.object({ fleet: Text, execution: Text, found: z.array(Text) });
