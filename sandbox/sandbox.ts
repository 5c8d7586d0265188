import { capacityOf } from '../fleets/effective.ts';
import type { PlanConcurrency } from '../fleets/settings/top.ts';
import { CIRCLECI_CLOUD } from '../functions/lib/circleci-url.ts';
import type { CapacitySettings, DeployedSettings } from '../functions/lib/contracts.ts';
import { learnedParameter, settingsParameter } from '../functions/lib/fleet-names.ts';
import { parseLearned } from '../functions/lib/learned.ts';
import { effectiveSettings, largestMaximum } from '../functions/lib/schedules.ts';
import { keptForGood } from '../functions/lib/spare-runners.ts';
import { Agenda } from './agenda.ts';
import {
  AutoScalingGroup,
  type AutoScalingGroupSettings,
  type Reuse,
  type ShownEventKind,
} from './auto-scaling-group.ts';
import { Aws, type AwsClients, SANDBOX_STACK } from './aws.ts';
import { CircleCi } from './circleci.ts';
import { VirtualClock } from './clock.ts';
import { DURATIONS, type Durations } from './group/durations.ts';
import { planFaults } from './group/faults.ts';
import { wholeIdleHours } from './idle-hours.ts';
import { evenlySpread } from './latency.ts';
import { SCHEDULE_SECONDS, Schedule } from './schedule.ts';
import { spreadBeside } from './spread.ts';
import { type Task, TaskQueue } from './task-queue.ts';
import { SANDBOX_START } from './trace.ts';
import {
  type EndedExecution,
  FLEET_TOPIC,
  type FunctionsWorld,
  type Replacement,
  SILENT,
  Workflow,
} from './workflow.ts';

/** The token that the embedded CircleCI accepts. Tests check that it appears in no log. */
export const SANDBOX_TOKEN = 'CCIPAT_sandbox_0123456789abcdef';

/** How long the sandbox waits for a change while jobs are queued, before it gives up. */
const STALLED_SECONDS = 24 * 3_600;

export interface SandboxOptions {
  /** Handlers in place of the real functions, by state name. */
  replace?: Record<string, Replacement>;
  /** Where the functions log. Default: nowhere. */
  log?: FunctionsWorld['log'];
  /** Draws the jitter of retries, at least 0 and less than 1. Default: the same numbers in each sandbox. */
  random?: () => number;
  /** How many executions to keep for each fleet. Default: all. */
  keepExecutions?: number;
  /** Whether to keep the metrics. A run over days has millions of them. Default: true. */
  keepMetrics?: boolean;
  /** What second 0 is, a whole second in milliseconds since the epoch. Default: `SANDBOX_START`. */
  startsAt?: number;
  /**
   * Whether to pass over whole hours in which all executions do the same, and only to count those. Their metrics and
   * requests are missing then, and faults that come at a time must not be planned. Default: false.
   */
  passOverIdleHours?: boolean;
  /**
   * Whether each fleet waits for a second of its own, as in an account. It moves all polls of a fleet by the same time, so
   * figures are the same without. Default: false.
   */
  spread?: boolean;
}

export interface SandboxFleet extends CapacitySettings {
  name: string;
  resourceClass: string;
  pollIntervalSeconds: number;
  /** Default: 60. */
  quietPollIntervalSeconds?: number;
  /** Default: 3 launches in 15 minutes. */
  breaker?: { failures: number; windowSeconds: number };
  durations?: Partial<Durations>;
  newInstancesProtectedFromScaleIn?: boolean;
  /** The percentage of On-Demand instances in a fleet with Spot capacity. Default: no Spot capacity. */
  onDemandPercentage?: number;
  /** How many of the first instances of such a fleet are On-Demand. Default: 0. */
  onDemandBase?: number;
  launchFault?: AutoScalingGroupSettings['launchFault'];
  /** Default: EC2 takes no Spot instance back. */
  interruptedAfter?: AutoScalingGroupSettings['interruptedAfter'];
  /** Whether CircleCI runs a job again if its instance is taken away. Default: the job ends there. */
  retries?: boolean;
  /** The plan's concurrency as the fleet is deployed, and the names of the fleets that share it. */
  concurrency?: PlanConcurrency;
  /** For how long its group has been there, without a scaling activity. Default: a day. */
  ageSeconds?: number;
  /** How many runners of the class are outside the group. Default: 0. */
  foreignRunners?: number;
  /** Default: it learns no number of spare runners. */
  spareRunners?: DeployedSettings['spareRunners'];
  /** Default: `single-task`. */
  reuse?: Reuse;
  /** How many stopped instances the warm pool keeps. Default: no warm pool. */
  warmPoolSize?: number | 'auto';
}

/** An event of a job or an instance. */
export interface SandboxEvent {
  /** Seconds from the start. */
  at: number;
  fleet: string;
  /** The instance, or `-` for a queued job or a refused launch. */
  subject: string;
  kind: ShownEventKind | 'queued';
}

/** A fleet in the embedded world. */
export interface FleetWorld {
  name: string;
  /** As the fleet was deployed last; `Sandbox.deploy` changes them. */
  settings: DeployedSettings;
  queue: TaskQueue;
  group: AutoScalingGroup;
  executions: EndedExecution[];
  /** The number of all executions by outcome; `executions` may have only the last ones. */
  outcomes: { succeeded: number; failed: number };
  /** Executions so far, including those that have not ended. */
  started: number;
}

/**
 * The embedded world: CircleCI, AWS, groups and runners around the real workflow, on a virtual clock. Sandboxes share
 * nothing, so several can run at the same time in one process.
 */
export class Sandbox {
  readonly clock: VirtualClock;
  readonly agenda = new Agenda();
  readonly circleci: CircleCi;
  readonly aws: Aws;
  readonly workflow: Workflow;
  readonly fleets = new Map<string, FleetWorld>();
  readonly schedule: Schedule;
  /** Called for each event in the world. */
  watch: ((events: SandboxEvent) => void) | undefined;
  /** Called at the end of each execution. */
  ended: ((fleet: string, execution: EndedExecution) => void) | undefined;
  hoursPassedOver = 0;
  /** How many seconds the clock of the functions is ahead of the workflow's. If it is behind, below 0. */
  functionsAheadSeconds = 0;
  readonly #keepMetrics: boolean;
  /** How many executions to keep for each fleet. */
  readonly #keep: number;
  readonly #startsAt: number;
  readonly #spread: boolean;

  private constructor(clock: VirtualClock, aws: Aws, clients: AwsClients, options: SandboxOptions) {
    const circleci = new CircleCi(() => this.catchUp(), clock.sleep);
    this.clock = clock;
    this.circleci = circleci;
    this.aws = aws;
    aws.beforeAnswer = () => this.catchUp();
    this.workflow = new Workflow({
      clock,
      random: options.random ?? evenlySpread(),
      functions: {
        ...clients,
        fetch: circleci.fetch,
        timeout: clock.timeout,
        memory: new Map(),
        now: () => clock.now() + this.functionsAheadSeconds * 1_000,
        log: options.log ?? SILENT,
      },
      replace: options.replace,
      spread: options.spread ?? false,
    });
    this.schedule = new Schedule(
      this,
      () => [...this.fleets.values()].map((world) => this.#execute(world)),
      (due) => (options.passOverIdleHours ? this.#passOver(due) : due),
    );
    this.#keep = options.keepExecutions ?? Number.POSITIVE_INFINITY;
    this.#keepMetrics = options.keepMetrics ?? true;
    this.#startsAt = clock.now();
    this.#spread = options.spread ?? false;
    circleci.tokens.add(SANDBOX_TOKEN);
  }

  /** Opens a sandbox without fleets. */
  static async open(options: SandboxOptions = {}): Promise<Sandbox> {
    const clock = new VirtualClock(new Date(options.startsAt ?? SANDBOX_START));
    const aws = new Aws(clock.sleep);
    return new Sandbox(clock, aws, await aws.clients(), options);
  }

  /** Seconds from the start. */
  get now(): number {
    return (this.clock.now() - this.#startsAt) / 1_000;
  }

  catchUp(): void {
    this.agenda.advance(this.now);
  }

  /** Adds a fleet with its secret, its group and its jobs. */
  addFleet(fleet: SandboxFleet, tasks: Pick<Task, 'queuedAt' | 'durationSeconds'>[] = []): FleetWorld {
    const settings: DeployedSettings = {
      resourceClass: fleet.resourceClass,
      circleciUrl: CIRCLECI_CLOUD,
      scalerSecretName: `${SANDBOX_STACK}/${fleet.name}/scaler`,
      groupName: `${SANDBOX_STACK}-${fleet.name}`,
      capacity: capacityOf(fleet),
      pollIntervalSeconds: fleet.pollIntervalSeconds,
      quietPollIntervalSeconds: fleet.quietPollIntervalSeconds ?? 60,
      breakerFailures: fleet.breaker?.failures ?? 3,
      breakerWindowSeconds: fleet.breaker?.windowSeconds ?? 900,
      onDemandPercentage: fleet.onDemandPercentage ?? 100,
      warmPoolAuto: fleet.warmPoolSize === 'auto',
      alarmTopicArn: FLEET_TOPIC,
      ...(this.#spread && { spreadSeconds: spreadBeside(this.fleets.values(), fleet) }),
      ...(fleet.spareRunners && { spareRunners: fleet.spareRunners }),
      ...(fleet.concurrency && {
        concurrency: {
          limit: fleet.concurrency.limit,
          groups: fleet.concurrency.fleets.map((name) => `${SANDBOX_STACK}-${name}`),
        },
      }),
    };
    const queue = new TaskQueue();
    const group = new AutoScalingGroup(
      {
        name: settings.groupName,
        startsAt: this.#startsAt,
        ageSeconds: fleet.ageSeconds,
        minSize: 0,
        maxSize: largestMaximum(settings.capacity),
        durations: { ...DURATIONS, ...fleet.durations },
        newInstancesProtectedFromScaleIn: fleet.newInstancesProtectedFromScaleIn ?? true,
        ...(fleet.onDemandPercentage !== undefined && { onDemandPercentage: fleet.onDemandPercentage }),
        ...(fleet.onDemandBase !== undefined && { onDemandBase: fleet.onDemandBase }),
        reuse: fleet.reuse ?? 'single-task',
        ...(fleet.warmPoolSize !== undefined && {
          warmPoolSize: fleet.warmPoolSize === 'auto' ? 0 : fleet.warmPoolSize,
        }),
        ...(fleet.launchFault && { launchFault: fleet.launchFault }),
        ...(fleet.interruptedAfter && { interruptedAfter: fleet.interruptedAfter }),
        retries: fleet.retries ?? false,
        watch: (at, subject, kind) => this.watch?.({ at, fleet: fleet.name, subject, kind }),
      },
      this.agenda,
      queue,
    );
    group.addForeignRunners(fleet.foreignRunners ?? 0);
    const secret = { resource_class: fleet.resourceClass, circle_token: SANDBOX_TOKEN };
    this.aws.secrets.set(settings.scalerSecretName, JSON.stringify(secret));
    this.aws.groups.set(settings.groupName, group);
    this.circleci.classes.set(fleet.resourceClass, queue);
    const date = (seconds: number) => this.#startsAt + seconds * 1_000;
    this.circleci.runners.set(fleet.resourceClass, () =>
      group.runners.map(({ name, firstConnected, lastConnected, lastUsed }) => ({
        name,
        firstConnected: date(firstConnected),
        lastConnected: date(lastConnected),
        lastUsed: lastUsed === undefined ? undefined : date(lastUsed),
      })),
    );
    for (const task of tasks) {
      this.agenda.plan(task.queuedAt, () => {
        queue.add({ ...task });
        this.watch?.({ at: task.queuedAt, fleet: fleet.name, subject: '-', kind: 'queued' });
        group.offerWork();
      });
    }
    const world = {
      name: fleet.name,
      settings,
      queue,
      group,
      executions: [],
      outcomes: { succeeded: 0, failed: 0 },
      started: 0,
    };
    this.fleets.set(fleet.name, world);
    this.deploy(world, {});
    return world;
  }

  /** Lets faults of counts, claims and the group's maximum size begin and end in their windows. */
  planFaults({ queue, group, settings }: FleetWorld, faults: Parameters<typeof planFaults>[0]): void {
    planFaults(faults, {
      agenda: this.agenda,
      jobs: queue,
      offerAll: () => group.offerAll(),
      setMaximumSize: (size = largestMaximum(settings.capacity)) => group.setMaximumSize(size),
    });
  }

  /** Sets how many tasks all fleets together may run: CircleCI hands out none beyond that. */
  limitPlan(limit: number): void {
    const worlds = [...this.fleets.values()];
    const freed = () => void worlds.map(({ group }) => group.offerAll());
    const plan = { limit, queues: worlds.map(({ queue }) => queue), freed };
    for (const { queue } of worlds) queue.plan = plan;
  }

  /** Deploys a fleet with other settings, as a new version of its parameter. */
  deploy(world: FleetWorld, changes: Partial<DeployedSettings>): void {
    world.settings = { ...world.settings, ...changes };
    const name = settingsParameter(SANDBOX_STACK, world.name);
    const { parameters, parameterDates } = this.aws;
    parameters.set(name, [...(parameters.get(name) ?? []), JSON.stringify(world.settings)]);
    parameterDates.set(name, this.#startsAt / 1_000 + this.agenda.now);
  }

  /** Runs one execution of a fleet's workflow now. One at a time: it advances the clock. */
  execute(fleet: string): Promise<EndedExecution> {
    return this.clock.run(this.#execute(this.fleet(fleet)));
  }

  /** @throws Error if there is no such fleet. */
  fleet(name: string): FleetWorld {
    const world = this.fleets.get(name);
    if (world === undefined) throw new Error(`The sandbox has no fleet ${name}`);
    return world;
  }

  /** Runs the schedules of all fleets until this many seconds from the start. */
  runUntil(seconds: number): Promise<void> {
    return this.clock.run(this.schedule.run(() => this.now >= seconds));
  }

  /**
   * Runs the schedules of all fleets until all jobs have ended and all instances beyond `minReplicas` have left.
   *
   * @param stalledSeconds After this time without a change, it gives up. Default: a day.
   * @throws Error if no instance comes for the jobs that are left.
   */
  async drain(expectedTasks: number, stalledSeconds = STALLED_SECONDS): Promise<void> {
    let changedAt = 0;
    let before = '';
    await this.clock.run(
      this.schedule.run(() => {
        const worlds = [...this.fleets.values()];
        const ended = worlds.reduce((sum, { queue }) => sum + queue.ended, 0);
        const size = worlds.reduce((sum, { group }) => sum + group.size, 0);
        const queued = worlds.reduce((sum, { queue }) => sum + queue.tasks.length, 0);
        const state = `${queued} ${ended} ${size}`;
        if (state !== before || worlds.some(({ queue }) => queue.running > 0)) changedAt = this.now;
        before = state;
        if (ended < expectedTasks && this.now - Math.max(changedAt, this.agenda.next ?? 0) > stalledSeconds) {
          const hours = stalledSeconds / 3_600;
          throw new Error(
            `${expectedTasks - ended} jobs never ran: no instance came for them in ${hours} hours`,
          );
        }
        return ended >= expectedTasks && worlds.every((world) => world.group.left <= this.#keeps(world));
      }),
    );
  }

  /** How many runners stay if no job comes any more. */
  #keeps({ name, settings }: FleetWorld): number {
    const { minReplicas } = effectiveSettings(settings.capacity, this.clock.now()).inForce;
    const { spareRunners } = settings;
    if (spareRunners === undefined) return minReplicas;
    const written = this.aws.parameters.get(learnedParameter(SANDBOX_STACK, name))?.at(-1);
    const { spares } = parseLearned(written ?? '') ?? {};
    const seconds = Math.floor(this.clock.now() / 1_000);
    return Math.max(minReplicas, keptForGood(spares, [], spareRunners, seconds));
  }

  /**
   * Counts the executions of the idle hours that begin now. Whole hours keep the minute at which counts are checked.
   *
   * @param due When the next execution is due, in seconds.
   * @returns When it is due after those hours.
   */
  #passOver(due: number): number {
    const worlds = [...this.fleets.values()];
    const hours = wholeIdleHours(worlds, this.clock.now(), {
      // At least one execution is left before the next event.
      from: this.#startsAt + (due + SCHEDULE_SECONDS) * 1_000,
      to: this.#startsAt + (this.agenda.next ?? 0) * 1_000,
    });
    const executions =
      ((hours * 3_600) / SCHEDULE_SECONDS) * this.schedule.starts(due / SCHEDULE_SECONDS).length;
    for (const world of worlds) {
      world.started += executions;
      world.outcomes.succeeded += executions;
    }
    this.hoursPassedOver += hours;
    return due + hours * 3_600;
  }

  async #execute(world: FleetWorld): Promise<EndedExecution> {
    world.started += 1;
    const execution = await this.workflow.run(`${world.name}-${world.started}`, {
      fleet: world.name,
    });
    world.outcomes[execution.status === 'SUCCEEDED' ? 'succeeded' : 'failed'] += 1;
    world.executions.push(execution);
    if (world.executions.length > this.#keep) world.executions.shift();
    if (!this.#keepMetrics) this.workflow.metrics.length = 0;
    this.ended?.(world.name, execution);
    return execution;
  }
}
