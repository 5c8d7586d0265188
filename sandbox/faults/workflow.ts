import { FAILURES } from '../../statemachine/failures.ts';
import { answer, circleci, unavailable } from './circleci.ts';
import type { Fault } from './fault.ts';

/** As Lambda, or a service that the workflow calls itself, names it. */
const named = (name: string, message: string) => Object.assign(new Error(message), { name });

const failing =
  (faults: Record<string, Error | 'hang'>): Fault['begin'] =>
  ({ sandbox }) => {
    sandbox.workflow.fault = (state) => faults[state];
  };

/** A step in a branch, and one outside. */
export const OF_LAMBDA: Fault[] = ['Count Running', 'Describe Activities'].flatMap((step) => [
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

export const OF_DECISIONS: Fault[] = [
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

export const OF_MORE_AT_ONCE: Fault[] = [
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
