import { Grid, idleFor, neverForced, PLAIN, peer } from '../policy.ts';

/**
 * CircleCI's Machine Runner Orchestrator, whose machines are Kubernetes' and take one task each. Every 5 s:
 * `clamp(unclaimed + running + headroom, minReplicas, maxReplicas)`, the headroom only while there is work, and
 * then at most `maxSurge` more than are ready. A machine leaves after `idleTimeout` and is never forced to.
 * Without headroom this is level polling and nothing else.
 */
export const mro = peer({
  name: 'mro',
  about: "CircleCI's Machine Runner Orchestrator: level polling every 5 s",
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 5 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 300 },
    minReplicas: { what: 'the fewest instances to keep', default: 0 },
    headroom: { what: 'instances beyond what is wanted, while there is work', default: 0 },
    maxSurge: { what: 'the most instances beyond those ready', default: Number.POSITIVE_INFINITY },
  },
  policy: ({ pollInterval, idleTimeout, minReplicas, headroom, maxSurge }, maxReplicas) => ({
    ...PLAIN,
    name: 'mro',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: (observation) => {
        const work = observation.unclaimed + observation.running;
        const wanted = Math.min(Math.max(work + (work > 0 ? headroom : 0), minReplicas), maxReplicas);
        return {
          desired: neverForced(Math.min(wanted, observation.members.inService + maxSurge), observation),
        };
      },
      requests: { ci: 2, aws: 1, write: 1, start: 0 },
    },
    leavesAt: idleFor(idleTimeout),
    keeps: () => minReplicas,
    maxReplicas,
  }),
});
