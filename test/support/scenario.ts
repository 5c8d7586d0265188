import type { ScalingSchedule, ScalingSettings } from '../../functions/lib/contracts.ts';
import { effectiveSettings } from '../../functions/lib/schedules.ts';
import type { AwsFault } from '../../sandbox/aws.ts';
import type { CircleCiFault } from '../../sandbox/circleci.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { NO_JOB } from '../../sandbox/group/job-queue.ts';
import type { Latency } from '../../sandbox/latency.ts';
import { type FleetWorld, Sandbox, type SandboxEvent } from '../../sandbox/sandbox.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import type { EndedExecution, Metric, Replacement } from '../../sandbox/workflow.ts';
import type { ActivitiesJson } from './inputs.ts';
import { LINUX } from './sandbox.ts';

/** A fleet, its jobs, and what goes wrong when, in seconds: plain data, to be printed, shrunk and played again. */
export interface Scenario {
  /** Unless a schedule says otherwise. */
  minReplicas: number;
  maxReplicas: number;
  pollIntervalSeconds: number;
  headroom?: number | string | undefined;
  maxSurge?: number | undefined;
  schedules?: readonly ScalingSchedule[] | undefined;
  breaker: { failures: number; windowSeconds: number };
  jobs: { queuedAt: number; durationSeconds: number }[];
  faults: Fault[];
}

export type Fault = { from: number; to: number } & (
  | { kind: 'launches'; how: LaunchFault }
  | { kind: 'circleci'; how: keyof typeof CIRCLECI_FAULTS }
  | { kind: 'aws'; action: AwsAction; how: keyof typeof AWS_FAULTS }
  /** `DescribeAutoScalingGroups` shows the group as it was this many seconds before. */
  | { kind: 'stale'; seconds: number }
  /** Each request of a function takes up to this many seconds, part of them before it arrives. */
  | { kind: 'slow'; seconds: number }
  /** The schedule delivers twice; the second execution starts `offset` seconds later. */
  | { kind: 'twice'; offset: number }
  /** Tasks that run on runners of the class outside the group. */
  | { kind: 'foreign'; tasks: number }
  /** A person terminates an instance that runs no job. */
  | { kind: 'taken out'; replaced: boolean }
  /** A person sets the desired capacity. */
  | { kind: 'by hand'; desired: number }
  /** A person lowers the group's maximum, and maxReplicas with it or not. */
  | { kind: 'smaller'; maxSize: number; maxReplicasToo: boolean }
);

type FaultOf<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>;

export const CIRCLECI_FAULTS = {
  '503': { status: 503, body: '' },
  '404': { status: 404, body: '{"message":"Not found"}' },
  '401': { status: 401, body: '{"message":"Unauthorized"}' },
  '429': { status: 429, headers: { 'retry-after': '7' }, body: '' },
  page: { status: 200, body: '<html>Down</html>' },
  reset: 'reset',
  hang: 'hang',
} as const satisfies Record<string, CircleCiFault>;

export const AWS_FAULTS = {
  throttled: { status: 400, code: 'Throttling', message: 'Rate exceeded' },
  denied: { status: 400, code: 'AccessDenied', message: 'not authorized' },
  reset: 'reset',
} as const satisfies Record<string, AwsFault>;

export const AWS_ACTIONS = [
  'GetSecretValue',
  'DescribeScalingActivities',
  'DescribeAutoScalingGroups',
  'SetDesiredCapacity',
] as const;
/** What it takes to hold a group back while the breaker is open. */
export const BREAKER_ACTIONS = ['SuspendProcesses', 'ResumeProcesses'] as const;
type AwsAction = (typeof AWS_ACTIONS | typeof BREAKER_ACTIONS)[number];

/** Without these no execution succeeds. */
const READS: readonly AwsAction[] = [
  'GetSecretValue',
  'DescribeScalingActivities',
  'DescribeAutoScalingGroups',
];

/** A launch that has ended: the instance came into service, or never will. */
export interface Ending {
  startedAt: number;
  endedAt: number;
  succeeded: boolean;
}

export interface Played {
  /** The laws that were broken, each with the second; empty if all is well. */
  broken: string[];
  world: FleetWorld;
  events: SandboxEvent[];
  metrics: Metric[];
  /** When the last job had ended; `undefined` if jobs are left. */
  drainedAt: number | undefined;
  /** When each launch began that EC2 took on, and was not taken back before there was an instance. */
  launchedAt: number[];
  endings: Ending[];
  /** How long it took. */
  seconds: number;
}

/** When the last fault is over and the last job is queued. */
export const calmFrom = ({ faults, jobs }: Scenario): number =>
  Math.max(0, ...faults.map(({ to }) => to), ...jobs.map(({ queuedAt }) => queuedAt));

/**
 * The longest time between two polls of a fleet that is not idle. None starts after 50 s, and after one that
 * has written so late that no other fits, the next is that of the next execution.
 */
export function longestGap({ pollIntervalSeconds: every }: Scenario): number {
  const late = Math.ceil(44.5 / every) * every;
  const last = late <= 50 ? late : Math.floor(50 / every) * every;
  return Math.max(every, 60 - last);
}

const { request } = DURATIONS;

/** The longest time that an execution lasts, and that a retry comes after what it goes by, in seconds. */
const EXECUTION = 61;
const RETRIED = 10;

/**
 * Plays a scenario in a sandbox of its own, with the real workflow, and judges each change of the group and
 * each write by the laws that hold at any moment. It is over as soon as one is broken.
 *
 * @param until When it is over, whatever is left to do, in seconds.
 * @param early Whether it is over as soon as nothing is left to do and no fault is to come.
 */
export async function play(scenario: Scenario, until: number, early = true): Promise<Played> {
  const { faults, jobs, headroom, maxSurge, schedules, ...fleet } = scenario;
  const sandbox: Sandbox = await Sandbox.open({
    replace: {
      'Describe Activities': (...call) => judge.describing(...call),
      'Update Group': (...call) => judge.updating(...call),
    },
  });
  const world = sandbox.addFleet(
    {
      ...LINUX,
      ...fleet,
      ...(headroom !== undefined && { headroom }),
      ...(maxSurge !== undefined && { maxSurge }),
      ...(schedules !== undefined && { schedules: [...schedules] }),
      ...(faults.some((fault) => fault.kind === 'launches' && fault.how === 'no-spot') && {
        onDemandPercentage: 0,
      }),
      launchFault: (at) => find(faults, 'launches', at)?.how,
    },
    jobs,
  );
  const judge = new Judge(scenario, sandbox, world);
  const { group, queue } = world;

  const execute = async (name: string) => {
    sandbox.catchUp();
    const execution = await sandbox.workflow.run(name, { fleet: world.name });
    world.outcomes[execution.status === 'SUCCEEDED' ? 'succeeded' : 'failed'] += 1;
    world.executions.push(execution);
    judge.executed(execution);
  };
  const { sleep } = sandbox.clock;
  const over = () => {
    if (judge.broken.length > 0 || sandbox.now >= until) return true;
    const drained = queue.ended === jobs.length && group.size <= judge.inForce(0).minReplicas;
    return early && drained && sandbox.now > calmFrom(scenario);
  };
  const schedule = async () => {
    const underway: Promise<void>[] = [];
    for (let minute = 0; !over(); minute += 1) {
      underway.push(execute(`linux-${minute}`));
      const twice = find(faults, 'twice', sandbox.now);
      if (twice) {
        if (twice.offset > 0) await sleep(twice.offset);
        underway.push(execute(`linux-${minute}-again`));
      }
      await sleep((minute + 1) * 60 - sandbox.now);
      sandbox.catchUp();
    }
    await Promise.all(underway);
  };

  inflict(scenario, sandbox, world, judge);
  await sandbox.clock.run(schedule());
  judge.atTheEnd();
  const { broken, events, launchedAt, endings } = judge;
  const drainedAt = Math.max(0, ...queue.tasks.map(({ endedAt }) => endedAt ?? Number.POSITIVE_INFINITY));
  return {
    broken,
    world,
    events,
    metrics: sandbox.workflow.metrics,
    drainedAt: queue.tasks.length === jobs.length && Number.isFinite(drainedAt) ? drainedAt : undefined,
    launchedAt,
    endings,
    seconds: Math.max(0, ...events.map(({ at }) => at)),
  };
}

/** The first fault of a kind that lasts at that time, or has ended up to this many seconds before. */
const find = <Kind extends Fault['kind']>(faults: Fault[], kind: Kind, at: number, after = 0) =>
  faults.find(
    (fault): fault is FaultOf<Kind> => fault.kind === kind && at >= fault.from && at < fault.to + after,
  );

const executionOf = (stepInput: unknown): string => (stepInput as { execution: string }).execution;

/** The laws that hold whatever goes wrong, and what it takes to know whether they do. */
class Judge {
  readonly broken: string[] = [];
  readonly events: SandboxEvent[] = [];
  readonly endings: Ending[] = [];
  readonly launchedAt: number[] = [];
  /** Instances that a person has taken out, whose launches did not fail. */
  readonly takenOut = new Set<string>();
  /** The maxReplicas of the executions that are under way, and until when. */
  limits: { until: number; maxReplicas: number }[];
  /** Tasks as CircleCI counts them. */
  readonly counts: { readonly unclaimed: number; readonly running: number };
  /** The group's own, for everybody but the workflow. */
  readonly setDesired: (desired: number) => void;

  readonly #scenario: Scenario;
  readonly #sandbox: Sandbox;
  readonly #world: FleetWorld;
  /** When the launches began that are under way, by instance. */
  readonly #launching = new Map<string, number>();
  /** How many members were pending or in service, with the time from which that holds. */
  readonly #presence = [{ at: 0, present: 0 }];
  /** When the last launch had failed, for each execution that knows the breaker to be open. */
  readonly #open = new Map<string, number | undefined>();
  /** What the executions that are in Update Group had decided, and what the group's desired capacity was then. */
  readonly #writing = new Map<string, { from: number; desired: number; found: number }>();

  constructor(scenario: Scenario, sandbox: Sandbox, world: FleetWorld) {
    this.#scenario = scenario;
    this.#sandbox = sandbox;
    this.#world = world;
    this.limits = [{ until: Number.POSITIVE_INFINITY, maxReplicas: scenario.maxReplicas }];
    const { group, queue } = world;
    const foreign = () => this.#during('foreign')?.tasks ?? 0;
    this.counts = {
      get unclaimed() {
        return queue.unclaimed;
      },
      get running() {
        return queue.running + foreign();
      },
    };
    this.setDesired = group.setDesiredCapacity.bind(group);
    group.setDesiredCapacity = (desired) => {
      this.#write(desired);
      this.setDesired(desired);
    };
    sandbox.watch = (event) => this.#record(event);
  }

  /** In place of Describe Activities. */
  async describing(...[input, describeActivities]: Parameters<Replacement>): Promise<unknown> {
    const lastFailure = this.#failures.at(-1)?.endedAt;
    const answer = await describeActivities(input);
    const { breaker } = answer as ActivitiesJson;
    // If it is slow, what it has read may be over when it has arrived.
    if (!this.#during('slow')) this.#breaker(breaker.open);
    this.#open.set(executionOf(input), breaker.open ? lastFailure : undefined);
    return answer;
  }

  /** In place of Update Group. */
  async updating(...[input, updateGroup]: Parameters<Replacement>): Promise<unknown> {
    const execution = executionOf(input);
    const { decision } = input as { decision: { from: number; desired: number } };
    // An attempt that was timed out goes on, as it does in Lambda; nobody knows what that one found.
    const found = this.#writing.has(execution) ? Number.NaN : this.#world.group.desired;
    this.#writing.set(execution, { ...decision, found });
    try {
      return await updateGroup(input);
    } finally {
      this.#writing.delete(execution);
    }
  }

  executed({ name, status, startedAt, endedAt }: EndedExecution): void {
    const { faults } = this.#scenario;
    const { group } = this.#world;
    const { now } = this.#sandbox;
    const minReplicas = Math.min(this.inForce(0).minReplicas, this.inForce(EXECUTION).minReplicas);
    if (status === 'TIMED_OUT') this.#breach(`${name} was timed out`);
    if (status !== 'SUCCEEDED') return;

    const startedSeconds = now - (endedAt - startedAt) / 1_000;
    for (const fault of faults) {
      const needed = fault.kind === 'circleci' || (fault.kind === 'aws' && READS.includes(fault.action));
      if (needed && fault.from <= startedSeconds && now < fault.to) {
        this.#breach(`${name} succeeded, during ${JSON.stringify(fault)}`);
      }
    }

    const calm = faults.every(({ from, to }) => now < from || now > to + EXECUTION);
    const left = this.events.findLast(({ kind }) => kind === 'leaves')?.at ?? 0;
    const follows = calm && now > left + EXECUTION && this.#open.get(name) === undefined;
    if (follows && group.desired < minReplicas) {
      this.#breach(`desired capacity ${group.desired}, below minReplicas ${minReplicas}`);
    }
  }

  atTheEnd(): void {
    const { queue, outcomes } = this.#world;
    for (const { queuedAt, startedAt, endedAt, durationSeconds } of queue.tasks) {
      if (startedAt === undefined || endedAt === undefined) continue;
      if (startedAt < queuedAt || Math.abs(endedAt - startedAt - durationSeconds) > 1e-6) {
        this.#breach(`a job queued at ${queuedAt} ran from ${startedAt} to ${endedAt}`);
      }
    }
    const claims = this.events.filter(({ kind }) => kind === 'claims').map(({ subject }) => subject);
    if (new Set(claims).size !== claims.length) this.#breach('an instance ran two jobs');
    const counted = this.#sandbox.workflow.metrics.filter(({ dimensions }) => 'Step' in dimensions);
    if (counted.length !== outcomes.failed) {
      this.#breach(`${outcomes.failed} executions failed, and ${counted.length} failures were counted`);
    }
  }

  /** The settings that were in force that many seconds ago. */
  inForce(secondsAgo: number): ScalingSettings {
    const at = SANDBOX_START.getTime() + (this.#sandbox.now - secondsAgo) * 1_000;
    return effectiveSettings(this.#world.settings.capacity, at).inForce;
  }

  /** How many instances are wanted, by the settings that were in force that many seconds ago. */
  #wanted(secondsAgo: number): number {
    const { minReplicas, headroom = 0 } = this.inForce(secondsAgo);
    const tasks = this.counts.unclaimed + this.counts.running;
    const ahead =
      typeof headroom === 'string' ? Math.ceil((tasks * Number.parseInt(headroom, 10)) / 100) : headroom;
    return tasks + Math.max(minReplicas, tasks > 0 ? ahead : 0);
  }

  get #failures(): Ending[] {
    return this.endings.filter(({ succeeded }) => !succeeded);
  }

  #during<Kind extends Fault['kind']>(kind: Kind, after = 0): FaultOf<Kind> | undefined {
    return find(this.#scenario.faults, kind, this.#sandbox.now, after);
  }

  #breach(law: string): void {
    this.broken.push(`${Math.round(this.#sandbox.now * 10) / 10} s: ${law}`);
  }

  #record(event: SandboxEvent): void {
    const { group } = this.#world;
    const { maxReplicas } = this.#scenario;
    const { at, subject, kind } = event;
    this.events.push(event);
    const present = group.instances.filter(({ state }) => state !== 'Terminating').length;
    if (this.#presence.at(-1)?.present !== present) this.#presence.push({ at, present });
    if (kind === 'killed') this.#breach(`the job on ${subject} was killed`);
    if (group.size > maxReplicas) this.#breach(`${group.size} instances, above maxReplicas ${maxReplicas}`);

    const startedAt = this.#launching.get(subject);
    if (kind === 'launches') this.#launching.set(subject, at);
    if (kind === 'refused') this.endings.push({ startedAt: at, endedAt: at, succeeded: false });
    if (startedAt === undefined) return;
    if (kind === 'pending') this.launchedAt.push(startedAt);
    if (kind !== 'ready' && kind !== 'leaves') return;
    this.#launching.delete(subject);
    const takenBack = at < startedAt + request || this.takenOut.has(subject);
    if (!takenBack) this.endings.push({ startedAt, endedAt: at, succeeded: kind === 'ready' });
  }

  #breaker(open: boolean): void {
    const { failures, windowSeconds } = this.#scenario.breaker;
    const lastSuccess = this.endings.findLast(({ succeeded }) => succeeded)?.endedAt ?? -1;
    // Activities end in whole seconds, so what ended in the same second may count as before or after.
    const possible = this.#failures.filter(({ endedAt }) => endedAt >= Math.floor(lastSuccess));
    const certain = possible.filter(({ endedAt }) => endedAt >= Math.floor(lastSuccess) + 1);
    const within = (streak: Ending[], seconds: number) =>
      streak.some(({ endedAt }, index) => {
        const first = streak[index - failures + 1];
        return first !== undefined && endedAt - first.endedAt <= seconds;
      });
    if (open && !within(possible, windowSeconds + 1)) {
      this.#breach(`breaker open after ${possible.length} failures`);
    }
    if (!open && within(certain, windowSeconds - 1)) {
      this.#breach(`breaker closed after ${certain.length} failures`);
    }
  }

  /** How long ago it may have been that the workflow saw what it goes by, in seconds. */
  get #hindsight(): number {
    const stale = this.#during('stale', EXECUTION)?.seconds ?? 0;
    const slow = this.#during('slow', EXECUTION)?.seconds ?? 0;
    const retried = this.#during('circleci', RETRIED) || this.#during('aws', RETRIED) ? RETRIED : 0;
    return stale + 4 * slow + retried;
  }

  #write(desired: number): void {
    const { group } = this.#world;
    const { now } = this.#sandbox;
    const back = this.#hindsight;
    const wrote = `desired capacity from ${group.desired} to ${desired}`;
    const rises = desired > group.desired;
    const present = this.#presence
      .filter((_, index, all) => (all[index + 1]?.at ?? now) >= now - back)
      .map(({ present }) => present);

    const limits = this.limits.filter(({ until }) => now < until).map(({ maxReplicas }) => maxReplicas);
    if (rises && desired > Math.max(...limits)) this.#breach(`${wrote}, above maxReplicas`);
    if (!rises && desired < Math.min(...present)) {
      this.#breach(`${wrote}, below ${Math.min(...present)} pending or in service`);
    }
    const outage = this.#during('circleci');
    if (outage && outage.from < now - back - RETRIED) this.#breach(`${wrote}, without CircleCI`);
    if (back === 0) {
      const wanted = Math.max(this.#wanted(0), this.#wanted(RETRIED));
      if (rises && desired > wanted) this.#breach(`${wrote}, for ${wanted} wanted`);
    }
    const { maxSurge = Number.POSITIVE_INFINITY } = this.#scenario;
    const there = this.#presence
      .filter((_, index, all) => (all[index + 1]?.at ?? now) >= now - back - RETRIED)
      .map(({ present }) => present);
    if (rises && desired > Math.max(...there) + maxSurge) {
      this.#breach(`${wrote}, with maxSurge ${maxSurge} and ${Math.max(...there)} pending or in service`);
    }
    const settled = ({ from, desired, found }: { from: number; desired: number; found: number }) =>
      found === group.desired && (desired > from ? found >= desired : found !== from);
    const writing = [...this.#writing.values()];
    if (!this.#during('stale', EXECUTION) && writing.length > 0 && writing.every(settled)) {
      this.#breach(`${wrote}, which another execution had settled`);
    }
    if (rises && desired > (present.at(-1) ?? 0)) this.#canary(desired, Math.max(...present), wrote);
  }

  /** What may launch if all the executions that may have written this know the breaker to be open. */
  #canary(desired: number, present: number, wrote: string): void {
    const { group } = this.#world;
    const lastFailures = [...this.#writing.keys()].map((execution) => this.#open.get(execution));
    if (lastFailures.includes(undefined)) return;
    if (desired > present + 1) this.#breach(`${wrote}, breaker open, ${present} pending or in service`);
    if (this.#hindsight > 0) return;
    const sinceFailure = this.#sandbox.now - Math.floor(Math.min(...lastFailures.map((at = 0) => at)));
    if (sinceFailure < 120) this.#breach(`${wrote}, breaker open, ${sinceFailure} s after a launch failed`);
    if (group.instances.some(({ state }) => state === 'Pending')) {
      this.#breach(`${wrote}, breaker open, and one is pending`);
    }
  }
}

/**
 * Lets the scenario's faults happen.
 *
 * @returns What ends that.
 */
function inflict(scenario: Scenario, sandbox: Sandbox, world: FleetWorld, judge: Judge): void {
  const { faults, maxReplicas } = scenario;
  const { group } = world;
  sandbox.circleci.classes.set(LINUX.resourceClass, judge.counts);
  sandbox.circleci.fault = () => {
    const fault = find(faults, 'circleci', sandbox.now);
    return fault && CIRCLECI_FAULTS[fault.how];
  };
  sandbox.aws.fault = (action) => {
    const ofAction = faults.filter((fault) => fault.kind === 'aws' && fault.action === action);
    const fault = find(ofAction, 'aws', sandbox.now);
    return fault && AWS_FAULTS[fault.how];
  };
  sandbox.aws.beforeAnswer = () => {
    sandbox.catchUp();
    sandbox.aws.staleness = find(faults, 'stale', sandbox.now)?.seconds ?? 0;
  };
  const at = (second: number, happen: () => void) => sandbox.agenda.plan(second, happen);
  for (const fault of faults) {
    if (fault.kind === 'taken out') at(fault.from, () => takeOut(fault.replaced));
    if (fault.kind === 'by hand') {
      at(fault.from, () => judge.setDesired(Math.min(fault.desired, group.settings.maxSize)));
    }
    if (fault.kind === 'smaller') {
      at(fault.from, () => shrink(fault, Math.min(fault.maxSize, maxReplicas)));
      at(fault.to, () => {
        group.settings.maxSize = maxReplicas;
        sandbox.deploy(world, { capacity: { ...world.settings.capacity, maxReplicas } });
        judge.limits.push({ until: Number.POSITIVE_INFINITY, maxReplicas });
      });
    }
  }
  slowDown(sandbox, () => find(faults, 'slow', sandbox.now)?.seconds ?? 0);

  function takeOut(replaced: boolean): void {
    const idle = group.instances.filter(({ job }) => job === NO_JOB);
    const instance = idle.find(({ state }) => state !== 'Terminating');
    if (instance === undefined) return;
    const { desired } = group;
    const { maxSize } = group.settings;
    judge.takenOut.add(instance.id);
    group.setInstanceProtection(instance, false);
    group.settings.maxSize = maxReplicas;
    judge.setDesired(group.size - 1);
    judge.setDesired(replaced ? desired : Math.max(desired - 1, 0));
    group.settings.maxSize = maxSize;
  }

  function shrink({ from, to, maxReplicasToo }: FaultOf<'smaller'>, maxSize: number): void {
    group.settings.maxSize = maxSize;
    if (group.desired > maxSize) judge.setDesired(maxSize);
    if (!maxReplicasToo) return;
    sandbox.deploy(world, { capacity: { ...world.settings.capacity, maxReplicas: maxSize } });
    // An execution keeps the version of the settings that it began with.
    judge.limits = [
      { until: from + EXECUTION, maxReplicas },
      { until: to, maxReplicas: maxSize },
    ];
  }
}

/** Lets each request take time: a part before it arrives, and a part before its answer does. */
function slowDown(sandbox: Sandbox, seconds: () => number): void {
  let requests = 0;
  const latency = (): Latency => {
    requests += 1;
    const [before, after] = [(requests * 0.618_034) % 1, (requests * 0.414_214) % 1];
    return [(seconds() * before) / 2, (seconds() * after) / 2];
  };
  sandbox.circleci.latency = latency;
  sandbox.aws.latency = latency;
}
