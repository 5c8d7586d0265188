/** What the package exports to the CDK apps of others. */
export { FleetsInvalid } from '../fleets/load.ts';
export { addStacks, type Stacks } from './stacks.ts';
