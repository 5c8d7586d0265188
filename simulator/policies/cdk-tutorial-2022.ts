import { Grid, idleFor, PLAIN, peer } from '../policy.ts';

/**
 * CircleCI's CDK tutorial of 2022: as `circleci-tutorial`, but `min(unclaimed, max)` is written, and nothing protects
 * instances from scale-in. A running task is no longer unclaimed, so the group terminates busy instances.
 * The termination policy chooses which; here it is the oldest. A killed job ends, and nothing runs it again.
 */
export const cdkTutorial2022 = peer({
  name: 'cdk-tutorial-2022',
  about: "CircleCI's CDK tutorial of 2022, without protection from scale-in",
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 60 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 300 },
  },
  policy: ({ pollInterval, idleTimeout }, maxReplicas) => ({
    ...PLAIN,
    name: 'cdk-tutorial-2022',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: ({ unclaimed }) => ({ desired: unclaimed }),
      writesAlways: true,
      requests: { ci: 1, aws: 1, write: 0, start: 0 },
      startedEvery: pollInterval,
    },
    leavesAt: idleFor(idleTimeout),
    leaving: 'stops',
    failedBoot: 'stays',
    protectedFromScaleIn: false,
    maxReplicas,
  }),
});
