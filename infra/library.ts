/** What the package exports to the CDK apps of others. */
export type { FleetsFile } from '../fleets/fleet.ts';
export { FleetsInvalid } from '../fleets/load.ts';
export { addStacks, type Stacks, type StacksProps } from './stacks.ts';
