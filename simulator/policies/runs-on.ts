import { idleFor, PLAIN, peer } from '../policy.ts';

/**
 * RunsOn: a webhook for each job that is queued launches an instance, for one job; `pool` stopped instances
 * stand by if there is a pool. Its images boot faster than most (in less than 25 s, by its own account); here every
 * policy has the same boot time. A pool of running instances is not replayed.
 */
export const runsOn = peer({
  name: 'runs-on',
  about: 'RunsOn: an instance for each job, from a stopped pool if there is one',
  parameters: {
    delay: { what: 'time from the webhook to the launch', unit: 'seconds', default: 0 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 600 },
    pool: { what: 'stopped instances that stand by', default: 0 },
  },
  policy: ({ delay, idleTimeout, pool }, maxReplicas) => ({
    ...PLAIN,
    name: 'runs-on',
    scaler: { kind: 'webhook', delay, onlyIfQueued: false },
    leavesAt: idleFor(idleTimeout),
    warmPool: pool,
    maxReplicas,
  }),
});
