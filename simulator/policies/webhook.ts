import { PLAIN, peer } from '../policy.ts';

/**
 * terraform-aws-github-runner (github-aws-runners): a webhook for each job that is queued goes through a queue,
 * which delays it by 0 to 30 s (its default), to a Lambda function that launches an instance, if the job still
 * waits. Runners take one job after the other, unless they are ephemeral. A function on a schedule of five
 * minutes terminates those that are idle and at least five minutes old, but none that never registered.
 */
export const webhook = peer({
  name: 'webhook',
  about: 'terraform-aws-github-runner: a launch for each job that is queued',
  parameters: {
    delay: { what: 'time for which the queue keeps a job back', unit: 'seconds', default: 30 },
    sweep: { what: 'time between two sweeps that end idle runners', unit: 'seconds', default: 300 },
    leastAge: { what: 'minimum age at which a sweep ends a runner', unit: 'seconds', default: 300 },
    ephemeral: { what: '1 if a runner takes one job only, else 0', default: 0 },
  },
  policy: ({ delay, sweep, leastAge, ephemeral }, maxReplicas) => ({
    ...PLAIN,
    name: 'webhook',
    scaler: { kind: 'webhook', delay, onlyIfQueued: ephemeral === 0 },
    reuse: ephemeral === 0,
    leavesAt: (idleSince, { requestedAt }) =>
      (Math.floor(Math.max(idleSince, requestedAt + leastAge) / sweep) + 1) * sweep,
    failedBoot: 'stays',
    maxReplicas,
  }),
});
