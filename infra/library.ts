/** What the package exports to the CDK apps of others. */
export { FleetsInvalid } from '../fleets/load.ts';
export type { FleetMetric } from '../statemachine/alarms.ts';
export { CircleCiRunners, type CircleCiRunnersProps } from './circleci-runners.ts';
export type { FleetObjects, FleetProps, ScalerObjects } from './fleet-props.ts';
export { RunnerFleet } from './runner-fleet.ts';
export type { AppStacks } from './stacks.ts';
