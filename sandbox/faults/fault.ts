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
  /** Whether instances come that do nothing. */
  idlers?: true;
  /** Whether running jobs lose their instance. */
  kills?: true;
  /** Why an alarm rings later than after 10 minutes, or longer than 10 minutes after it. */
  late?: string;
  /** Why only some executions fail, so that alarms come and go. */
  unsteady?: string;
}

/** Ends whatever a fault began. */
export function calm({ sandbox, world }: Stage): void {
  const secret = { resource_class: world.settings.resourceClass, circle_token: SANDBOX_TOKEN };
  sandbox.circleci.fault = () => undefined;
  sandbox.circleci.lies.clear();
  sandbox.circleci.latency = () => NO_LATENCY;
  sandbox.aws.fault = () => undefined;
  sandbox.aws.staleness = 0;
  sandbox.aws.secrets.set(world.settings.scalerSecretName, JSON.stringify(secret));
  sandbox.workflow.fault = () => undefined;
  sandbox.deliveries = 1;
  inflict(world, {});
  const { queue, group } = world;
  queue.limit = Number.POSITIVE_INFINITY;
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
