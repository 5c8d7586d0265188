import { OF_GROUP, OF_SECRETS } from './aws.ts';
import { OF_CIRCLECI } from './circleci.ts';
import type { Fault } from './fault.ts';
import { OF_DECISIONS, OF_LAMBDA, OF_MORE_AT_ONCE } from './workflow.ts';
import { OF_LAUNCHES, OF_THE_WORLD } from './world.ts';

export const FAULTS: Fault[] = [
  { name: 'nothing goes wrong', begin: () => undefined },
  ...OF_CIRCLECI,
  ...OF_SECRETS,
  ...OF_GROUP,
  ...OF_LAMBDA,
  ...OF_DECISIONS,
  ...OF_MORE_AT_ONCE,
  ...OF_LAUNCHES,
  ...OF_THE_WORLD,
];
