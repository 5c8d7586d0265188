import { Grid, idleFor, neverForced, PLAIN, peer } from '../policy.ts';

/**
 * GitLab Runner's taskscaler: every 3 s, `ceil((in use + max(idle, factor x in use)) / capacity)` instances; in
 * use are the jobs that run and those that wait. Instances take one job after the other, and the runner manager
 * removes them after 20 idle minutes. `capacity` is 1 here: one job is one slot.
 * An instance whose boot failed is not removed.
 */
export const gitlab = peer({
  name: 'gitlab',
  about: "GitLab Runner's taskscaler: idle capacity in proportion to the work",
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 3 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 1_200 },
    idle: { what: 'idle instances to keep', default: 0 },
    factor: { what: 'idle instances for each one in use', default: 0 },
  },
  policy: ({ pollInterval, idleTimeout, idle, factor }, maxReplicas) => ({
    ...PLAIN,
    name: 'gitlab',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: (observation) => {
        const inUse = observation.unclaimed + observation.running;
        return { desired: neverForced(Math.ceil(inUse + Math.max(idle, factor * inUse)), observation) };
      },
      requests: { ci: 1, aws: 1, write: 1, start: 0 },
    },
    reuse: true,
    leavesAt: idleFor(idleTimeout),
    failedBoot: 'stays',
    keeps: () => idle,
    maxReplicas,
  }),
});
