import {
  Grid,
  idleFor,
  neverForced,
  PLAIN,
  peer,
  type ScalerObservation,
  type ScalerTarget,
} from '../policy.ts';

/**
 * buildkite-agent-scaler with the Elastic CI Stack for AWS: a Lambda function that starts every minute polls
 * every 10 s and requests `scheduled + running (+ buffer)` agents. Agents take one job after the other and leave
 * after 600 idle seconds, by terminating themselves in the group with a decrement.
 *
 * The stack's defaults also allow no second scale-out within 300 s of the last one; `cooldown` replays that. It
 * is 0 by default, as in the scaler by itself, which is the kinder reading.
 */
export const buildkite = peer({
  name: 'buildkite',
  about: 'buildkite-agent-scaler with the Elastic CI Stack: runners reused',
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 10 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 600 },
    buffer: { what: 'instances beyond what is wanted', default: 0 },
    cooldown: { what: 'time from one scale-out to the next', unit: 'seconds', default: 0 },
  },
  policy: ({ pollInterval, idleTimeout, buffer, cooldown }, maxReplicas) => ({
    ...PLAIN,
    name: 'buildkite',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: withCooldown(buffer, cooldown, maxReplicas),
      requests: { ci: 1, aws: 1, write: 1, start: 0 },
      startedEvery: 60,
    },
    reuse: true,
    leavesAt: idleFor(idleTimeout),
    keeps: () => buffer,
    maxReplicas,
  }),
});

function withCooldown(
  buffer: number,
  cooldown: number,
  maxReplicas: number,
): (observation: ScalerObservation) => ScalerTarget {
  let restsUntil = Number.NEGATIVE_INFINITY;
  return (observation) => {
    const { now, unclaimed, running, desired } = observation;
    const wanted = Math.min(neverForced(unclaimed + running + buffer, observation), maxReplicas);
    if (wanted <= desired) return { desired: wanted };
    if (now < restsUntil) return { desired, until: restsUntil };
    restsUntil = now + cooldown;
    return { desired: wanted };
  };
}
