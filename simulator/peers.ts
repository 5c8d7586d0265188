import type { Learned } from '../functions/lib/learned.ts';
import { buildkite } from './policies/buildkite.ts';
import { cdkGithubRunners } from './policies/cdk-github-runners.ts';
import { cdkTutorial2022 } from './policies/cdk-tutorial-2022.ts';
import { circleciTutorial } from './policies/circleci-tutorial.ts';
import { gitlab } from './policies/gitlab.ts';
import { mro } from './policies/mro.ts';
import { type OursSettings, ours } from './policies/ours.ts';
import { runsOn } from './policies/runs-on.ts';
import { vela } from './policies/vela.ts';
import { webhook } from './policies/webhook.ts';
import type { Peer, Policy } from './policy.ts';
import { WORLD, type World, worldOf } from './world.ts';

/** What teams use instead, in the order of the tables. */
export const PEERS: Peer[] = [
  circleciTutorial,
  cdkTutorial2022,
  mro,
  buildkite,
  vela,
  webhook,
  cdkGithubRunners,
  runsOn,
  gitlab,
];

/** A policy as plain values, so that it can be sent to another thread. */
export type PolicyChoice =
  | { name: 'ours'; settings: OursSettings; learned?: Learned | undefined }
  | { name: string; parameters: Record<string, number>; maxReplicas: number };

/**
 * Creates a policy, without any state from earlier polls.
 *
 * @param startsAt The date of second 0, in milliseconds since the epoch.
 */
export function policyOf(choice: PolicyChoice, startsAt = WORLD.startsAt): Policy {
  if ('settings' in choice) return ours(choice.settings, startsAt, choice.learned);
  const chosen = PEERS.find((candidate) => candidate.name === choice.name);
  if (chosen === undefined) throw new Error(`There is no policy ${choice.name}`);
  return chosen.policy({ ...defaultParameters(chosen), ...choice.parameters }, choice.maxReplicas);
}

/** The world in which a policy is replayed. The image of the other scalers is not built. */
export const worldFor = (choice: PolicyChoice, world: World): World =>
  'settings' in choice ? worldOf(world, choice.settings) : world;

/** How the image of a policy's fleet is built; `undefined` if it is not. */
export const imageOf = (choice: PolicyChoice) =>
  'settings' in choice ? choice.settings.imageBuild : undefined;

export const defaultParameters = ({ parameters }: Peer): Record<string, number> =>
  Object.fromEntries(Object.entries(parameters).map(([name, parameter]) => [name, parameter.default]));
