import { LAUNCH_SUSPENDED_TAG, PAUSED_TAG } from '../../functions/lib/tags.ts';
import type { FAILURES } from '../../statemachine/failures.ts';
import { type Faults, LaunchFaults } from '../group/faults.ts';
import { NO_LATENCY } from '../latency.ts';
import { type FleetWorld, SANDBOX_TOKEN, type Sandbox } from '../sandbox.ts';

/** Where a fault happens. */
export interface Stage {
  sandbox: Sandbox;
  world: FleetWorld;
}

type FailureState = (typeof FAILURES)[keyof typeof FAILURES];

/** What can go wrong around the workflow, and what it is to do. */
export interface Fault {
  name: string;
  /** Makes what stands for it in the sandbox begin; `calm` ends it. */
  begin: (stage: Stage) => void;
  /** The state in which each execution that it hits is to end, and the error; without it, all are to succeed. */
  ends?: { state: FailureState; error: string };
  /** The heading of the alarm that is to ring, if that is not the state; without either, none is to. */
  rings?: string;
  /** Whether that alarm notifies by itself. */
  direct?: true;
  /** Whether the fleet is of Spot capacity. */
  spot?: true;
  /** Whether launches fail. */
  ofLaunches?: true;
  /** What decisions say about it. */
  says?: string;
  /** What executions say that wait for something, and so decide nothing. */
  waits?: string;
  /** For how many minutes it lasts. Default: 30. */
  lasts?: number;
  /** What ends the alarm before the fault is over, and rings it once more. */
  ringsAgain?: string;
  /** Whether instances come that do nothing. */
  idlers?: true;
  /** Whether running jobs lose their instance. */
  kills?: true;
  /** Why an alarm rings later than after 10 minutes, or longer than 10 minutes after it. */
  late?: string;
  /** Why only some executions fail, so that alarms come and go. */
  unsteady?: string;
}

/** Changes whenever `calm` ends the faults of a fleet. */
const eras = new WeakMap<FleetWorld, object>();

/** Lets this happen some minutes later, unless `calm` ends the fault before. */
export function afterMinutes(
  { sandbox: { agenda }, world }: Stage,
  minutes: number,
  happen: (now: number) => void,
): void {
  const era = eras.get(world);
  agenda.plan(agenda.now + 60 * minutes, () => {
    if (eras.get(world) === era) happen(agenda.now);
  });
}

/** Lets this happen now and each minute from now on, until `calm` ends the fault. */
export function eachMinute(stage: Stage, happen: () => void): void {
  happen();
  afterMinutes(stage, 1, () => eachMinute(stage, happen));
}

/** Ends whatever a fault began. */
export function calm({ sandbox, world }: Stage): void {
  eras.set(world, {});
  const secret = { resource_class: world.settings.resourceClass, circle_token: SANDBOX_TOKEN };
  sandbox.circleci.fault = () => undefined;
  sandbox.circleci.lies.clear();
  sandbox.circleci.latency = () => NO_LATENCY;
  if (world.settings.awaitsTokens) sandbox.deploy(world, { awaitsTokens: undefined });
  sandbox.aws.fault = () => undefined;
  sandbox.aws.staleness = 0;
  sandbox.aws.secrets.set(world.settings.scalerSecretName, JSON.stringify(secret));
  sandbox.workflow.fault = () => undefined;
  sandbox.schedule.starts = sandbox.schedule.usual;
  inflict(world, {});
  const { queue, group } = world;
  queue.limit = Number.POSITIVE_INFINITY;
  queue.plan = undefined;
  if (world.settings.concurrency) sandbox.deploy(world, { concurrency: undefined });
  queue.phantoms = 0;
  queue.longestLag = 0;
  group.dismissForeignRunners();
  group.offerAll();
  group.setMaximumSize(world.settings.capacity.maxReplicas);
  group.tags.delete(PAUSED_TAG);
  protect(world, true);
  if (!world.group.tags.has(LAUNCH_SUSPENDED_TAG)) world.group.resumeProcesses(['Launch']);
  sandbox.functionsAheadSeconds = 0;
}

/** Protects the members of the group and its new instances from scale-in, or no longer. */
export function protect({ group }: FleetWorld, isProtected: boolean): void {
  group.settings.newInstancesProtectedFromScaleIn = isProtected;
  for (const instance of group.instances) group.setInstanceProtection(instance, isProtected);
}

/** Lets these faults of launches and instances happen from now on, in place of others. */
export function inflict({ group }: FleetWorld, faults: Partial<Faults>): void {
  const { ofLaunch, interruptedAfter } = new LaunchFaults(faults);
  group.settings.launchFault = ofLaunch;
  group.settings.interruptedAfter = interruptedAfter;
}
