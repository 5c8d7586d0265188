/**
 * The first things to do about each alarm, most likely first. A notification has them in its own text, for people without
 * a checkout of this repository at hand. docs/operations.md has the rest.
 */

const HEALTH = 'See the AWS Health Dashboard: an incident passes by itself.';
export const RESTORE = 'npx cdk deploy --all --revert-drift';

/** For the alarms of a fleet. */
export const firstStepsOf = (fleet: string) =>
  ({
    NeedsYou: [
      'Open this alarm in the CloudWatch console. It lists the alarms under it; one that rings says what is wrong and what to do.',
      `Ask what holds the fleet up: npm run explain -- ${fleet}`,
      `After the repair, run an execution at once: npm run execute -- ${fleet}`,
    ],
    NotRunning: [
      'Look at the executions of the workflow in the Step Functions console. If they fail, another alarm says why.',
      "If there are none, look at the fleet's schedule in the EventBridge Scheduler console: somebody may have disabled it.",
      `If the schedule is gone or changed, restore it: ${RESTORE}`,
    ],
    SecretsUnreadable: [
      'Open a failed execution in the Step Functions console. Its error says what is wrong with the secret.',
      `Store the tokens again: npm run secrets -- ${fleet}`,
      `If the error is SecretDenied, somebody changed a role: ${RESTORE}`,
    ],
    CircleCiRefuses: [
      'Check in CircleCI that the personal API token is not revoked, and that its owner sees the resource class.',
      `Store a token that CircleCI accepts: npm run secrets -- ${fleet}`,
      'Compare resourceClass in fleets.yaml with CircleCI, letter by letter.',
    ],
    CircleCiUnavailable: [
      'See https://status.circleci.com. An incident passes by itself, and the next poll catches up in one step.',
      'If the error is CircleCiRateLimited, find out who else uses the token, or raise pollInterval.',
      'If this fleet has a CircleCI server of yours, check circleciUrl and the way there: npm run doctor',
    ],
    GroupUnreadable: [
      `If somebody deleted the Auto Scaling group or changed a role, restore it: ${RESTORE}`,
      HEALTH,
    ],
    DecisionInvalid: [
      'Deploy again, because half a deployment does this: npx cdk deploy --all',
      "If it goes on, deploy the previous version, and send the maintainers the execution's input.",
    ],
    GroupUpdateRefused: [
      `If somebody changed the limits of the Auto Scaling group or a role, restore them: ${RESTORE}`,
      HEALTH,
    ],
    ExecutionOverTime: [
      'See https://status.circleci.com and the AWS Health Dashboard: slow answers pass by themselves.',
      'If they do not, raise pollInterval for the fleet and deploy.',
    ],
    StepBroken: [
      'If somebody has just deployed, deploy the previous version.',
      "If the error is about throttling, raise the account's quota of concurrent executions of AWS Lambda.",
      HEALTH,
    ],
    Starving: [
      `Ask why nothing launches, and what the launches led to: npm run explain -- ${fleet}`,
      'If no instance comes, look at the activity history of the Auto Scaling group, and whether somebody suspended its Launch process.',
      'If instances come and leave without a job, check the resource class token, and in CircleCI whether the resource class is paused.',
    ],
    Saturated: [
      'Raise maxReplicas in fleets.yaml and deploy.',
      'If the wait is acceptable, disable the actions of this alarm.',
    ],
    CostLimitReached: [
      'If the wait costs more than instances, raise maxHourlyCost in fleets.yaml and deploy.',
      'For more instances for the same money, use cheaper instanceTypes: each counts at the price of the most expensive one.',
      'If the wait is acceptable, disable the actions of this alarm.',
    ],
    BreakerOpen: [
      `Read why launches fail: npm run explain -- ${fleet}, or the activity history of the Auto Scaling group.`,
      'Correct the cause: the resource class token, the install script, the network, a quota, the instance types.',
      'Push a job if none waits. The breaker closes by itself with the next launch that succeeds.',
    ],
    TasksWithheld: [
      "Look in CircleCI whether the plan's concurrency is used up, or the resource class is paused.",
      `Store the token of this resource class: npm run secrets -- ${fleet}`,
      'It ends by itself when CircleCI hands out tasks again.',
    ],
    TasksElsewhere: [
      'Look at the runners of the class in CircleCI. If you know them all, set otherRunners to their number and deploy.',
      `If you do not know one, delete the resource class token in CircleCI, make another, and store it: npm run secrets -- ${fleet}`,
      'Then rotate what the jobs on that runner could read.',
    ],
    ZoneUnusable: [
      `Find the zones without the instance types: npm run zones -- ${fleet}`,
      'Set zones in fleets.yaml as it says, or use instance types that all zones have, and deploy.',
    ],
    SpotUnavailable: [
      'Add instanceTypes and subnets in more zones: Spot capacity differs by both.',
      'If launches failed with MaxSpotInstanceCountExceeded, raise the Spot quota of the account.',
      'If the cost is acceptable, leave the alarm.',
    ],
    MaximumSizeTooSmall: [
      `Restore the maximum size of the Auto Scaling group: ${RESTORE}`,
      'If the lower size is intended, lower maxReplicas in fleets.yaml and deploy.',
    ],
    PausedWithTasks: [
      `When the work is done for which somebody paused the fleet: npm run resume -- ${fleet}`,
      'If it must stay paused, leave the alarm.',
    ],
    CountsDoubtful: [
      'Compare resourceClass in fleets.yaml with CircleCI, letter by letter.',
      `Store a personal API token whose owner sees the class: npm run secrets -- ${fleet}`,
      `See what contradicts the counts: npm run doctor -- ${fleet}`,
    ],
    ProtectionOff: [
      `Restore the protection of new instances: ${RESTORE}`,
      'Set scale-in protection for the members of the Auto Scaling group that lack it, or wait until they have left.',
    ],
    LeftBehind: [
      `See what was found, and since when: npm run reconcile -- ${fleet}`,
      `Remove what cannot be running a job: npm run reconcile -- ${fleet} --apply`,
      'Look at the rest before you end it by hand. To keep an instance or a volume, tag it circleci-runners:keep.',
    ],
    LaunchesFailing: [
      `Read why launches fail: npm run explain -- ${fleet}, or the activity history of the Auto Scaling group.`,
      'Look for what the failed ones have in common: an instance type, a zone, Spot, a download.',
      'If EC2 has no capacity, add instanceTypes and zones. The group tries again by itself.',
    ],
  }) satisfies Record<string, string[]>;

/** For the messages about the image that is built for a fleet. */
export const imageStepsOf = (fleet: string) =>
  ({
    ImageBuildFailed: [
      'Read the end of the log that this message names: the last step says what failed.',
      'If a download failed, or EC2 had no capacity, build again: npm run image -- build FLEET',
      'Otherwise correct the install script, and deploy. Until a build succeeds, instances have the image before it.',
    ].map((step) => step.replace('FLEET', fleet)),
    ImageRolledBack: [
      'Read why the boots failed: npm run explain -- FLEET',
      'Correct the install script or what it downloads, deploy, and build again: npm run image -- build FLEET',
      'If the image was not the cause, use it again: npm run image -- use IMAGE FLEET',
    ].map((step) => step.replace('FLEET', fleet)),
  }) satisfies Record<string, string[]>;

/** For the alarms of all fleets. */
export const FIRST_STEPS = {
  Outage: [
    'See https://status.circleci.com and the AWS Health Dashboard: an incident passes by itself, and no job is lost.',
    'Open this alarm in the CloudWatch console. It lists the alarms under it; one that rings says what is wrong and what to do.',
    'If somebody has just deployed, deploy the previous version.',
  ],
  ExecutionsFailed: [
    'Open a failed execution in the Step Functions console. Its graph shows the kind of the failure, its cause what to do.',
    'See https://status.circleci.com and the AWS Health Dashboard: an incident passes by itself.',
    'If somebody has just deployed, deploy the previous version.',
  ],
  ExecutionsTimedOut: [
    'See the AWS Health Dashboard: an incident passes by itself, and each minute starts a new execution.',
    'If there is none, raise pollInterval, and tell the maintainers what you saw.',
  ],
  ExecutionsThrottled: [
    'Find what else in the account starts executions, and slow it down.',
    'Or request a higher quota in the Service Quotas console.',
  ],
  ReconcileFailed: [
    'Open a failed execution in the Step Functions console. Its error says what AWS did not give.',
    `If access is denied, somebody changed a role: ${RESTORE}`,
    HEALTH,
  ],
  DeliveryFailing: [
    'Read ERROR_CODE in the attributes of a message of the dead-letter queue.',
    `If access is denied, or the state machine does not exist, restore it: ${RESTORE}`,
    HEALTH,
  ],
} satisfies Record<string, string[]>;
