import { idleFor, PLAIN, peer } from '../policy.ts';

/**
 * CloudSnorkel/cdk-github-runners: a webhook for each job that is queued starts a Step Functions execution that
 * launches an instance, for one job. If another runner has claimed the job, the instance waits about ten minutes and
 * powers itself off.
 */
export const cdkGithubRunners = peer({
  name: 'cdk-github-runners',
  about: 'CloudSnorkel/cdk-github-runners: an execution and an instance for each job',
  parameters: {
    delay: { what: 'time from the webhook to the launch', unit: 'seconds', default: 0 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 600 },
  },
  policy: ({ delay, idleTimeout }, maxReplicas) => ({
    ...PLAIN,
    name: 'cdk-github-runners',
    scaler: { kind: 'webhook', delay, onlyIfQueued: false },
    leavesAt: idleFor(idleTimeout),
    maxReplicas,
  }),
});
