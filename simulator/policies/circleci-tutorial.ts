import { Grid, idleFor, PLAIN, peer } from '../policy.ts';

/**
 * CircleCI's tutorial "Automatically scale self-hosted runners in AWS to meet demand": a Lambda function that a
 * schedule of one minute starts writes `min(unclaimed + running, max)` every time. A runner takes one task, or
 * leaves after a minute without one: `shutdown` stops its instance. The group considers a stopped instance unhealthy.
 * If the desired capacity still counts it, the group replaces it about a minute later, which is an unused launch. An
 * instance whose user data fails is protected from scale-in and stays.
 */
export const circleciTutorial = peer({
  name: 'circleci-tutorial',
  about: "CircleCI's tutorial: a Lambda function each minute",
  parameters: {
    pollInterval: { what: 'time between polls', unit: 'seconds', default: 60 },
    idleTimeout: { what: 'time after which an idle runner leaves', unit: 'seconds', default: 60 },
  },
  policy: ({ pollInterval, idleTimeout }, maxReplicas) => ({
    ...PLAIN,
    name: 'circleci-tutorial',
    scaler: {
      kind: 'polls',
      polls: new Grid(pollInterval),
      target: ({ unclaimed, running }) => ({ desired: unclaimed + running }),
      writesAlways: true,
      requests: { ci: 2, aws: 1, write: 0, start: 0 },
      startedEvery: pollInterval,
    },
    leavesAt: idleFor(idleTimeout),
    leaving: 'stops',
    failedBoot: 'stays',
    maxReplicas,
  }),
});
