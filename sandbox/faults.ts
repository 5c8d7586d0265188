import { LAUNCH_SUSPENDED_TAG } from '../functions/lib/tags.ts';
import { FAILURES } from '../statemachine/failures.ts';
import type { AwsFault } from './aws.ts';
import type { CircleCiFault } from './circleci.ts';
import { ALWAYS, type Faults, LaunchFaults } from './group/faults.ts';
import { NO_LATENCY } from './latency.ts';
import { type FleetWorld, SANDBOX_TOKEN, type Sandbox } from './sandbox.ts';

/** Where a fault happens. */
export interface Stage {
  sandbox: Sandbox;
  world: FleetWorld;
}

type FailureState = (typeof FAILURES)[keyof typeof FAILURES];

/** What can go wrong around the workflow, and what it is to do. */
export interface Fault {
  name: string;
  /** Makes what stands for it in the sandbox begin; `calm` ends it. */
  begin: (stage: Stage) => void;
  /** The state in which each execution that it hits is to end, and the error; without it, all are to succeed. */
  ends?: { state: FailureState; error: string };
  /** The heading of the alarm that is to ring, if that is not the state; without either, none is to. */
  rings?: string;
  /** Whether the fleet is of Spot capacity. */
  spot?: true;
  /** Whether launches fail. */
  ofLaunches?: true;
  /** Whether instances come that do nothing. */
  idlers?: true;
  /** Whether running jobs lose their instance. */
  kills?: true;
  /** Why an alarm rings later than after 10 minutes, or longer than 10 minutes after it. */
  late?: string;
  /** Why only some executions fail, so that alarms come and go. */
  unsteady?: string;
}

/** Ends whatever a fault began. */
export function calm({ sandbox, world }: Stage): void {
  const secret = { resource_class: world.input.resourceClass, circle_token: SANDBOX_TOKEN };
  sandbox.circleci.fault = () => undefined;
  sandbox.circleci.latency = () => NO_LATENCY;
  sandbox.aws.fault = () => undefined;
  sandbox.aws.staleness = 0;
  sandbox.aws.secrets.set(world.input.scalerSecretName, JSON.stringify(secret));
  sandbox.workflow.fault = () => undefined;
  sandbox.deliveries = 1;
  inflict(world, {});
  if (!world.group.tags.has(LAUNCH_SUSPENDED_TAG)) world.group.resumeProcesses(['Launch']);
  sandbox.functionsAheadSeconds = 0;
}

/** Lets these faults of launches and instances happen from now on, in place of others. */
function inflict({ group }: FleetWorld, faults: Partial<Faults>): void {
  const { ofLaunch, interruptedAfter } = new LaunchFaults(faults);
  group.settings.launchFault = ofLaunch;
  group.settings.interruptedAfter = interruptedAfter;
}

const both = (count: unknown): CircleCiFault => ({
  status: 200,
  body: JSON.stringify({ unclaimed_task_count: count, running_runner_tasks: count }),
});

const answer = (status: number, message: string): CircleCiFault => ({
  status,
  body: JSON.stringify({ message }),
});

const PAGE = '<html><body>Service Unavailable</body></html>';

const circleci =
  (fault: CircleCiFault, hits: (path: string) => boolean = () => true): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.circleci.fault = ({ path }) => (hits(path) ? fault : undefined);
  };

const refuses = (error: string) => ({ state: FAILURES.CircleCiRefuses, error });
const unavailable = (error: string) => ({ state: FAILURES.CircleCiUnavailable, error });

const OF_CIRCLECI: Fault[] = [
  {
    name: 'CircleCI answers 401',
    begin: circleci(answer(401, 'Unauthorized')),
    ends: refuses('CircleCiUnauthorized'),
  },
  {
    name: 'CircleCI answers 403',
    begin: circleci(answer(403, 'Forbidden')),
    ends: refuses('CircleCiUnauthorized'),
  },
  {
    name: 'CircleCI answers 404',
    begin: circleci(answer(404, 'Not found')),
    ends: refuses('CircleCiNotFound'),
  },
  {
    name: 'CircleCI answers 400',
    begin: circleci(answer(400, 'Bad request')),
    ends: refuses('CircleCiRejected'),
  },
  {
    name: 'CircleCI redirects to a login',
    begin: circleci({ status: 302, headers: { location: '/login' }, body: '' }),
    ends: refuses('CircleCiRejected'),
  },
  {
    name: 'CircleCI answers 429, Retry-After 2 s, to every request',
    begin: circleci({ status: 429, headers: { 'retry-after': '2' }, body: '' }),
    ends: unavailable('CircleCiRateLimited'),
  },
  {
    name: 'CircleCI answers 429, Retry-After 1 h',
    begin: circleci({ status: 429, headers: { 'retry-after': '3600' }, body: '' }),
    ends: unavailable('CircleCiRateLimited'),
  },
  {
    name: 'CircleCI answers 500',
    begin: circleci(answer(500, 'Internal error')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 503 with a page',
    begin: circleci({ status: 503, body: PAGE }),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 200 with a page',
    begin: circleci({ status: 200, body: PAGE }),
    ends: unavailable('CircleCiNotJson'),
  },
  {
    name: 'CircleCI answers JSON cut short',
    begin: circleci({ status: 200, body: '{"unclaimed_task_count":' }),
    ends: unavailable('CircleCiNotJson'),
  },
  {
    name: 'CircleCI answers JSON without the count',
    begin: circleci({ status: 200, body: '{}' }),
    ends: unavailable('CircleCiInvalidCount'),
  },
  ...[
    { count: 'below 0', value: -1 },
    { count: 'that is a fraction', value: 1.5 },
    { count: 'above a million', value: 1_000_001 },
    { count: 'as text', value: '3' },
    { count: 'of null', value: null },
  ].map(({ count, value }) => ({
    name: `CircleCI answers a count ${count}`,
    begin: circleci(both(value)),
    ends: unavailable('CircleCiInvalidCount'),
  })),
  {
    name: 'CircleCI resets connections',
    begin: circleci('reset'),
    ends: unavailable('CircleCiUnreachable'),
  },
  {
    name: 'CircleCI hangs',
    begin: circleci('hang'),
    ends: unavailable('CircleCiTimeout'),
  },
  {
    name: 'CircleCI answers 500 for unclaimed tasks alone',
    begin: circleci(answer(500, 'Internal error'), (path) => !path.endsWith('/running')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 500 for running tasks alone',
    begin: circleci(answer(500, 'Internal error'), (path) => path.endsWith('/running')),
    ends: unavailable('CircleCiUnavailable'),
  },
  {
    name: 'CircleCI answers 500 to every fifth request',
    begin: ({ sandbox }) => {
      sandbox.circleci.fault = () =>
        sandbox.circleci.requests % 5 === 0 ? answer(500, 'Internal error') : undefined;
    },
  },
  {
    name: 'CircleCI answers 429, Retry-After 2 s, to every fifth request',
    begin: ({ sandbox }) => {
      sandbox.circleci.fault = () =>
        sandbox.circleci.requests % 5 === 0
          ? { status: 429, headers: { 'retry-after': '2' }, body: '' }
          : undefined;
    },
    ends: unavailable('CircleCiRateLimited'),
    unsteady: 'only where an execution has no time left to wait',
  },
  {
    name: 'CircleCI takes 3 s for each answer',
    begin: ({ sandbox }) => {
      sandbox.circleci.latency = () => [3, 0];
    },
  },
];

const aws =
  (action: string, fault: AwsFault): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.aws.fault = (asked) => (asked === action ? fault : undefined);
  };

const secretIs =
  (value: string | undefined): Fault['begin'] =>
  ({ sandbox, world }) => {
    sandbox.aws.secrets.set(world.input.scalerSecretName, value);
  };

const unreadable = (error: string) => ({ state: FAILURES.SecretsUnreadable, error });

const OF_SECRETS: Fault[] = [
  {
    name: 'Secrets Manager throttles',
    begin: aws('GetSecretValue', { status: 400, code: 'ThrottlingException', message: 'Rate exceeded' }),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'Secrets Manager denies access',
    begin: aws('GetSecretValue', { status: 400, code: 'AccessDeniedException', message: 'not authorized' }),
    ends: unreadable('SecretDenied'),
  },
  {
    name: 'Secrets Manager calls the request invalid',
    begin: aws('GetSecretValue', { status: 400, code: 'InvalidParameterException', message: 'Invalid name' }),
    ends: unreadable('SecretNotFound'),
  },
  {
    name: 'Secrets Manager answers 500',
    begin: aws('GetSecretValue', { status: 500, code: 'InternalServiceError', message: 'Internal error' }),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'Secrets Manager resets connections',
    begin: aws('GetSecretValue', 'reset'),
    ends: unreadable('SecretsManagerUnavailable'),
  },
  {
    name: 'the secret is deleted',
    begin: ({ sandbox, world }) => sandbox.aws.secrets.delete(world.input.scalerSecretName),
    ends: unreadable('SecretNotFound'),
  },
  {
    name: 'the secret is marked for deletion',
    begin: aws('GetSecretValue', {
      status: 400,
      code: 'InvalidRequestException',
      message: "You can't perform this operation on the secret because it was marked for deletion.",
    }),
    ends: unreadable('SecretNotFound'),
  },
  { name: 'the secret has no value', begin: secretIs(undefined), ends: unreadable('SecretUnset') },
  { name: 'the secret is malformed', begin: secretIs('a token'), ends: unreadable('SecretMalformed') },
  {
    name: 'the secret is of another resource class',
    begin: secretIs(JSON.stringify({ resource_class: 'acme/macos', circle_token: SANDBOX_TOKEN })),
    ends: unreadable('SecretMismatch'),
  },
];

const THROTTLED: AwsFault = { status: 400, code: 'Throttling', message: 'Rate exceeded' };

/** Each call of the group, the state in which its failure ends, and the error of a request that is invalid. */
const OF_GROUP: Fault[] = [
  { action: 'DescribeScalingActivities', state: FAILURES.GroupUnreadable, invalid: 'GroupNotFound' },
  { action: 'DescribeAutoScalingGroups', state: FAILURES.GroupUnreadable, invalid: 'GroupNotFound' },
  { action: 'SetDesiredCapacity', state: FAILURES.GroupUpdateRefused, invalid: 'GroupUpdateRefused' },
].flatMap(({ action, state, invalid }) => [
  {
    name: `${action} is throttled`,
    begin: aws(action, THROTTLED),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
  {
    name: `${action} is denied`,
    begin: aws(action, { status: 403, code: 'AccessDenied', message: 'not authorized' }),
    ends: { state, error: 'AutoScalingDenied' },
  },
  {
    name: `${action} finds no group`,
    begin: aws(action, 'no group'),
    ends: { state, error: invalid },
  },
  {
    name: `${action} is invalid`,
    begin: aws(action, { status: 400, code: 'ValidationError', message: 'invalid' }),
    ends: { state, error: invalid },
  },
  {
    name: `${action} answers 500`,
    begin: aws(action, { status: 500, code: 'InternalFailure', message: 'Internal error' }),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
  {
    name: `${action} resets connections`,
    begin: aws(action, 'reset'),
    ends: { state, error: 'AutoScalingUnavailable' },
  },
]);

/** As Lambda, or a service that the workflow calls itself, names it. */
const named = (name: string, message: string) => Object.assign(new Error(message), { name });

const failing =
  (faults: Record<string, Error | 'hang'>): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.workflow.fault = (state) => faults[state];
  };

/** A step in a branch, and one outside. */
const OF_LAMBDA: Fault[] = ['Count Running', 'Describe Activities'].flatMap((step) => [
  {
    name: `Lambda throttles ${step}`,
    begin: failing({ [step]: named('Lambda.TooManyRequestsException', 'Rate Exceeded.') }),
    ends: { state: FAILURES.StepBroken, error: 'Lambda.TooManyRequestsException' },
  },
  {
    name: `${step} is timed out by Lambda`,
    begin: failing({ [step]: named('Sandbox.Timedout', 'Error: Task timed out after 8.00 seconds') }),
    ends: { state: FAILURES.ExecutionOverTime, error: 'Sandbox.Timedout' },
  },
  {
    name: `${step} hangs`,
    begin: failing({ [step]: 'hang' }),
    ends: { state: FAILURES.ExecutionOverTime, error: 'States.Timeout' },
  },
  {
    name: `${step} crashes`,
    begin: failing({ [step]: new TypeError('Cannot read properties of undefined') }),
    ends: { state: FAILURES.StepBroken, error: 'TypeError' },
  },
]);

const OF_DECISIONS: Fault[] = [
  {
    name: 'a decision breaks a law',
    begin: failing({
      'Compute Capacity': named(
        'DecisionInvalid',
        'DecisionInvalid: What was decided must not be: 61 is above maxReplicas (60). Capacity is held.',
      ),
    }),
    ends: { state: FAILURES.DecisionInvalid, error: 'DecisionInvalid' },
  },
];

const CLOUDWATCH_DOWN = { 'Count Failure': named('CloudWatch.InternalServiceFault', 'Internal error') };
const SNS_DOWN = { 'Announce Failure': named('Sns.InternalErrorException', 'Internal error') };

const OF_MORE_AT_ONCE: Fault[] = [
  { name: 'CircleCI answers 500, and CloudWatch is down', services: CLOUDWATCH_DOWN },
  {
    name: 'CircleCI answers 500, and CloudWatch and SNS are down',
    services: { ...CLOUDWATCH_DOWN, ...SNS_DOWN },
  },
].map(({ name, services }) => ({
  name,
  begin: (stage) => {
    circleci(answer(500, 'Internal error'))(stage);
    failing(services)(stage);
  },
  ends: unavailable('CircleCiUnavailable'),
  rings: 'Executions Failed',
}));

const launches =
  (faults: Partial<Faults>): Fault['begin'] =>
  ({ world }) => {
    inflict(world, faults);
  };

const FAILED_LAUNCHES = 'failed launches are looked at for 15 minutes';
const OF_LAUNCHES = [
  { name: 'EC2 has no capacity', begin: launches({ shortages: [ALWAYS] }), late: FAILED_LAUNCHES },
  {
    name: 'instances boot and never come alive',
    begin: launches({ deadInstances: [ALWAYS] }),
    late: 'an instance has 10 minutes to come up',
  },
  {
    name: 'boots fail',
    begin: launches({ bootFailures: [ALWAYS] }),
    late: 'the next canary may be 30 minutes away',
  },
  {
    name: 'EC2 takes booting instances back',
    begin: launches({ lostInstances: [ALWAYS] }),
    late: FAILED_LAUNCHES,
  },
].map((fault): Fault => ({ ...fault, rings: 'Breaker Open', ofLaunches: true }));

const OF_THE_WORLD: Fault[] = [
  { name: 'EC2 has no Spot capacity', begin: launches({ spotShortages: [ALWAYS] }), spot: true },
  {
    name: 'EC2 takes Spot Instances back, after 10 minutes on average',
    begin: launches({ spotInterruptions: 6 }),
    spot: true,
    kills: true,
  },
  {
    name: 'runners come into service and take no task',
    begin: launches({ deafRunners: [ALWAYS] }),
    rings: 'Starving',
    late: 'tasks have to wait for 15 minutes',
    idlers: true,
  },
  {
    name: 'a person suspends the Launch process of the group',
    begin: ({ world }) => {
      world.group.suspendedProcesses.add('Launch');
    },
    rings: 'Starving',
    late: 'tasks have to wait for 15 minutes',
  },
  {
    name: "the functions' clock is 90 s ahead",
    begin: ({ sandbox }) => {
      sandbox.functionsAheadSeconds = 90;
    },
    rings: 'Starving',
    late: 'nothing fails: each decision comes too late to be written',
  },
  {
    name: "the functions' clock is 90 s behind",
    begin: ({ sandbox }) => {
      sandbox.functionsAheadSeconds = -90;
    },
  },
  {
    name: 'the group is described as it was 20 s ago',
    begin: ({ sandbox }) => {
      sandbox.aws.staleness = 20;
    },
  },
  {
    name: 'DescribeAutoScalingGroups is throttled at every third call',
    begin: ({ sandbox }) => {
      const action = 'DescribeAutoScalingGroups';
      sandbox.aws.fault = (asked) =>
        asked === action && (sandbox.aws.calls.get(action) ?? 0) % 3 === 0 ? THROTTLED : undefined;
    },
  },
  {
    name: 'the workflow is not started',
    begin: ({ sandbox }) => {
      sandbox.deliveries = 0;
    },
    rings: 'Scaler Not Running',
  },
  {
    name: 'the workflow is started twice each minute',
    begin: ({ sandbox }) => {
      sandbox.deliveries = 2;
    },
  },
];

export const FAULTS: Fault[] = [
  { name: 'nothing goes wrong', begin: () => undefined },
  ...OF_CIRCLECI,
  ...OF_SECRETS,
  ...OF_GROUP,
  ...OF_LAMBDA,
  ...OF_DECISIONS,
  ...OF_MORE_AT_ONCE,
  ...OF_LAUNCHES,
  ...OF_THE_WORLD,
];
