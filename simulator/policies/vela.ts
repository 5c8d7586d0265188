import { Grid, idleFor, PLAIN, peer, type ScalerObservation, type ScalerTarget } from '../policy.ts';

/** The longest wait until every instance is a runner, in seconds. */
const LONGEST_BLOCK = 900;

/**
 * vela-games, the scaler for CircleCI runners of a games studio: every 5 s it adds the unclaimed tasks to the
 * desired capacity, `desired += unclaimed`, and then does nothing until every instance is a named
 * runner, or 15 minutes have passed. A task that an idle runner is about to claim gets an instance of its own.
 * Instances detach themselves. The idle timeout is the user's choice; 300 s here.
 */
export const vela = peer({
  name: 'vela',
  about: 'vela-games: adds what is unclaimed, then waits for all of it',
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 5 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 300 },
  },
  policy: ({ pollInterval, idleTimeout }, maxReplicas) => ({
    ...PLAIN,
    name: 'vela',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: addAndWait(maxReplicas),
      requests: { ci: 1, aws: 1, write: 1, start: 0 },
    },
    leavesAt: idleFor(idleTimeout),
    leaving: 'detaches',
    maxReplicas,
  }),
});

function addAndWait(maxReplicas: number): (observation: ScalerObservation) => ScalerTarget {
  let blockedUntil = Number.NEGATIVE_INFINITY;
  return ({ now, unclaimed, desired, members }) => {
    if (now < blockedUntil && members.inService < desired) return { desired, until: blockedUntil };
    const wanted = Math.min(desired + unclaimed, maxReplicas);
    if (wanted > desired) blockedUntil = now + LONGEST_BLOCK;
    return { desired: wanted };
  };
}
