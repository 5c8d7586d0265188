import { describe, expect, it } from 'vitest';
import * as errors from '../../functions/lib/errors.ts';
import { FLEET_TOPIC, HANDLERS, STACK_TOPIC } from '../../sandbox/workflow.ts';
import { chosen, definition, state } from '../support/definition.ts';
import { type ActivitiesJson, activities, openBreaker } from '../support/inputs.ts';
import { oneFleet } from '../support/sandbox.ts';

const GROUP_ERRORS = [
  'AutoScalingDenied',
  'AutoScalingUnavailable',
  'GroupNotFound',
  'GroupUnreadable',
  'GroupUpdateRefused',
];

/** The errors of settings that cannot be read. No metric names their fleet: it is not known to be deployed. */
const SETTINGS_ERRORS = ['SettingsDenied', 'SettingsMalformed', 'SettingsNotFound', 'SettingsUnavailable'];

/** Those of the fleet or of the input, and not of Systems Manager. */
const OF_ITS_SETTINGS = ['SettingsDenied', 'SettingsMalformed', 'SettingsNotFound', 'InputInvalid'];

/** Each kind of failure, with its metric and its heading, and the errors that are of that kind in any step. */
const KINDS = [
  {
    kind: 'Secrets Unreadable',
    metric: 'SecretsUnreadable',
    heading: 'secrets-unreadable',
    of: [
      'SecretDenied',
      'SecretMalformed',
      'SecretMismatch',
      'SecretNotFound',
      'SecretUnset',
      'SecretsManagerUnavailable',
    ],
  },
  {
    kind: 'CircleCI Refuses',
    metric: 'CircleCiRefuses',
    heading: 'circleci-refuses',
    of: ['CircleCiNotFound', 'CircleCiRejected', 'CircleCiUnauthorized'],
  },
  {
    kind: 'CircleCI Unavailable',
    metric: 'CircleCiUnavailable',
    heading: 'circleci-unavailable',
    of: [
      'CircleCiInvalidCount',
      'CircleCiNotJson',
      'CircleCiRateLimited',
      'CircleCiTimeout',
      'CircleCiTooLong',
      'CircleCiUnavailable',
      'CircleCiUnreachable',
    ],
  },
  { kind: 'Group Unreadable', metric: 'GroupUnreadable', heading: 'group-unreadable', of: [] },
  {
    kind: 'Decision Invalid',
    metric: 'DecisionInvalid',
    heading: 'decision-invalid',
    of: ['DecisionInvalid', 'InputInvalid'],
  },
  { kind: 'Group Update Refused', metric: 'GroupUpdateRefused', heading: 'group-update-refused', of: [] },
  {
    kind: 'Execution Over Time',
    metric: 'ExecutionOverTime',
    heading: 'execution-over-time',
    of: ['States.Timeout', 'Sandbox.Timedout'],
  },
  {
    kind: 'Step Broken',
    metric: 'StepBroken',
    heading: 'step-broken',
    of: [
      'Error',
      'Lambda.ServiceException',
      'Lambda.TooManyRequestsException',
      'Lambda.Unknown',
      'Runtime.ExitError',
      'Runtime.ImportModuleError',
      'States.DataLimitExceeded',
      'States.TaskFailed',
      'TypeError',
      'ZodError',
    ],
  },
];

const STEPS = [...Object.keys(HANDLERS), 'Observe'];

/** The kind that a failure is to be of. */
function kindOf(step: string, error: string): string {
  const ofItsSettings = OF_ITS_SETTINGS.includes(error) ? 'Settings Unreadable' : 'Settings Unavailable';
  if (SETTINGS_ERRORS.includes(error)) return ofItsSettings;
  // Before its settings are read, no fleet is known; only then can its secret be wrong.
  if (step === 'Read Settings' && !error.startsWith('Secret')) return ofItsSettings;
  if (GROUP_ERRORS.includes(error))
    return step === 'Update Group' ? 'Group Update Refused' : 'Group Unreadable';
  const kind = KINDS.find(({ of }) => of.includes(error));
  if (kind === undefined) throw new Error(`${error} is of no kind`);
  return kind.kind;
}

describe('a function that Lambda throttles', () => {
  const THROTTLED = 'Lambda.TooManyRequestsException';
  const advice =
    'Lambda throttled it: the account has no concurrent execution left. See Functions throttled in docs/operations.md. Lambda said: Rate Exceeded.';

  it.each(['Describe Activities', 'Count Running', 'Compute Capacity', 'Update Group'])(
    'is %s: a broken step, with what to do in its cause',
    async (step) => {
      const { execution, states, counted } = await executed({ [step]: failing(THROTTLED, 'Rate Exceeded.') });
      expect(execution).toMatchObject({ status: 'FAILED', error: THROTTLED });
      expect(execution.cause).toBe(`${step} broke. ${advice} See docs/operations.md#step-broken`);
      expect(states).toContain('Function Throttled');
      expect(counted.map(({ name }) => name)).toEqual(['StepBroken', 'StepBroken']);
    },
  );

  it('is Read Settings: no metric names the fleet, and the cause says what to do', async () => {
    const { execution, states, counted } = await executed({
      'Read Settings': failing(THROTTLED, 'Rate Exceeded.'),
    });
    expect(execution.cause).toBe(`${advice} See docs/operations.md#settings-unreadable`);
    expect(states.slice(-3)).toEqual(['Settings Unavailable', 'Count Outage', 'Failed']);
    expect(counted).toEqual([]);
  });
});

describe('Which Failure?', () => {
  const question = state(definition, 'Which Failure?');
  if (question.Type !== 'Choice') throw new Error('Which Failure? is no Choice state');

  const all = [...GROUP_ERRORS, ...SETTINGS_ERRORS, ...KINDS.flatMap(({ of }) => of)];

  it('is asked of every error that a function throws', () => {
    const thrown = Object.values(errors).map((StepError) => new StepError('').name);
    expect(all).toEqual(expect.arrayContaining(thrown));
  });

  it.each(all)('knows what %s means in each step', (error) => {
    for (const step of STEPS)
      expect([step, chosen(question, { step, error, cause: '' })]).toEqual([step, kindOf(step, error)]);
  });
});

/** A function that fails with an error of that name, as Lambda reports it. */
const failing =
  (name: string, message = 'this is why') =>
  async () => {
    throw Object.assign(new Error(message), { name });
  };
const never = () => new Promise(() => undefined);

/** One execution, with a task that waits, in which something is replaced. */
async function executed(replace: Record<string, (input: unknown) => Promise<unknown>>) {
  const { sandbox, execute } = await oneFleet({ queued: 1, replace });
  const execution = await execute();
  const { metrics, messages } = sandbox.workflow;
  const kinds = KINDS.map(({ metric }) => metric);
  const states = execution.path.map(({ state }) => state);
  const outages = metrics
    .filter(({ name }) => name === 'OutageFailures')
    .map(({ value, dimensions }) => ({ value, dimensions }));
  return {
    execution,
    states,
    messages,
    outages,
    counted: metrics.filter(({ name }) => kinds.includes(name)),
  };
}

/** An error that each step may well fail with. */
const EXAMPLES = [
  { step: 'Read Settings', error: 'SecretDenied' },
  { step: 'Describe Activities', error: 'GroupNotFound' },
  { step: 'Count Unclaimed', error: 'CircleCiUnauthorized' },
  { step: 'Count Running', error: 'CircleCiTimeout' },
  { step: 'Describe Group', error: 'AutoScalingUnavailable' },
  { step: 'Compute Capacity', error: 'DecisionInvalid' },
  { step: 'Update Group', error: 'GroupUpdateRefused' },
];
const about = (name: string) => {
  const found = KINDS.find(({ kind }) => kind === name);
  if (found === undefined) throw new Error(`There is no kind ${name}`);
  return found;
};

describe.each(EXAMPLES)('an execution whose step $step fails', ({ step, error }) => {
  const readFromFunction = [
    'Read Failure',
    'Thrown By Function?',
    'Read Message',
    'Take Message',
    'Error Named?',
  ];

  it.each(
    [
      { name: error, kind: kindOf(step, error) },
      { name: 'TypeError', kind: kindOf(step, 'TypeError') },
      { name: 'SecretsManagerUnavailable', kind: 'Secrets Unreadable' },
    ].filter(({ kind }) => !kind.startsWith('Settings')),
  )('with $name is counted as $kind, and ends in that error', async ({ name, kind }) => {
    const { metric, heading } = about(kind);
    const { execution, states, counted, messages } = await executed({ [step]: failing(name) });

    expect(execution).toMatchObject({ status: 'FAILED', error: name });
    const broke = kind === 'Step Broken' ? `${step} broke. ` : '';
    expect(execution.cause).toBe(`${broke}this is why See docs/operations.md#${heading}`);
    expect(states.slice(-9)).toEqual([
      ...readFromFunction,
      'Which Failure?',
      kind,
      'Count Failure',
      'Failed',
    ]);
    expect(states).toContain(`${step} Failed`);
    expect(counted.map(({ name, value, dimensions }) => ({ name, value, dimensions }))).toEqual([
      { name: metric, value: 1, dimensions: { Fleet: 'linux' } },
      { name: metric, value: 1, dimensions: { Fleet: 'linux', Step: step } },
    ]);
    expect(messages).toEqual([]);
  });

  it('because it does not end is counted as Execution Over Time', async () => {
    // Until the settings are read, no fleet is known: see the settings that cannot be read below.
    if (step === 'Read Settings') return;
    const { execution, states, counted } = await executed({ [step]: never });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(execution.cause).toContain(`${step} did not end in the time that this execution had for it.`);
    expect(execution.cause).toContain('See docs/operations.md#execution-over-time');
    expect(states.slice(-6)).toEqual([
      'Read Failure',
      'Thrown By Function?',
      'Which Failure?',
      'Execution Over Time',
      'Count Failure',
      'Failed',
    ]);
    expect(counted.map(({ name, dimensions }) => [name, dimensions.Step])).toEqual([
      ['ExecutionOverTime', undefined],
      ['ExecutionOverTime', step],
    ]);
  });

  it('is sent anyway if CloudWatch cannot be reached', async () => {
    const { execution, states, counted, messages } = await executed({
      [step]: failing(error),
      'Count Failure': failing('CloudWatch.ServiceUnavailableException'),
    });
    expect(execution).toMatchObject({ status: 'FAILED', error });
    expect(execution.cause).toMatch(/^this is why See docs/);
    expect(states.slice(-3)).toEqual(['Count Failure', 'Announce Failure', 'Failed']);
    expect(counted).toEqual([]);
    const topicArn = step === 'Read Settings' ? STACK_TOPIC : FLEET_TOPIC;
    expect(messages).toMatchObject([{ topicArn, subject: `${step} failed: fleet linux` }]);
    expect(messages[0]?.message).toContain(`${error}: this is why See docs/operations.md#`);
  });

  it('ends in its own error, not in theirs, if neither CloudWatch nor SNS can be reached', async () => {
    const { execution, messages } = await executed({
      [step]: failing(error),
      'Count Failure': never,
      'Announce Failure': failing('Sns.InternalErrorException'),
    });
    expect(execution).toMatchObject({ status: 'FAILED', error });
    expect(execution.cause).toMatch(/^this is why See docs/);
    expect(messages).toEqual([]);
  });
});

describe('an execution whose settings cannot be read', () => {
  it.each([
    { step: 'Read Settings', error: 'SettingsNotFound', outage: 0 },
    { step: 'Read Settings', error: 'SettingsMalformed', outage: 0 },
    { step: 'Read Settings', error: 'InputInvalid', outage: 0 },
    { step: 'Read Settings', error: 'SettingsUnavailable', outage: 1 },
    { step: 'Read Settings', error: 'TypeError', outage: 1 },
    { step: 'Describe Group', error: 'SettingsUnavailable', outage: 1 },
    { step: 'Update Group', error: 'SettingsDenied', outage: 0 },
  ])(
    'because $step fails with $error ends in that error, is an outage ($outage) and names no fleet in a metric',
    async ({ step, error, outage }) => {
      const { execution, states, counted, messages, outages } = await executed({ [step]: failing(error) });
      expect(execution).toMatchObject({ status: 'FAILED', error });
      expect(execution.cause).toBe('this is why See docs/operations.md#settings-unreadable');
      const kind = outage === 1 ? 'Settings Unavailable' : 'Settings Unreadable';
      expect(states.slice(-4)).toEqual(['Which Failure?', kind, 'Count Outage', 'Failed']);
      expect(outages).toEqual([{ value: outage, dimensions: { Stack: 'circleci-runners' } }]);
      expect(counted).toEqual([]);
      expect(messages).toEqual([]);
    },
  );

  it('because Read Settings does not end ends in time', async () => {
    const { execution, states, counted } = await executed({ 'Read Settings': never });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(states.slice(-3)).toEqual(['Settings Unavailable', 'Count Outage', 'Failed']);
    expect(counted).toEqual([]);
  });

  it('ends in its own error if CloudWatch cannot be reached', async () => {
    const { execution, outages } = await executed({
      'Read Settings': failing('SettingsNotFound'),
      'Count Outage': failing('CloudWatch.ServiceUnavailableException'),
    });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'SettingsNotFound' });
    expect(outages).toEqual([]);
  });

  it('because another deployment has replaced them goes on with the version that it began with', async () => {
    const { sandbox, world, execute } = await oneFleet({ queued: 1 });
    const execution = execute();
    sandbox.deploy(world, { capacity: { minReplicas: 0, maxReplicas: 1 } });
    expect(await execution).toMatchObject({ status: 'SUCCEEDED' });
  });
});

describe('what starts an execution', () => {
  it.each([
    { case: 'another address', input: { fleet: 'linux', circleciUrl: 'https://evil.example' } },
    { case: 'another secret', input: { fleet: 'linux', scalerSecretName: 'core-banking/db' } },
    { case: 'another group', input: { fleet: 'linux', groupName: 'production-web' } },
    {
      case: 'another limit',
      input: { fleet: 'linux', capacity: { minReplicas: 1_000, maxReplicas: 10_000 } },
    },
    { case: 'a fleet that is not deployed', input: { fleet: 'windows' } },
    { case: 'no fleet', input: {} },
    { case: 'how many polls it makes', input: { fleet: 'linux', once: 12 } },
    { case: 'a version of the settings', input: { fleet: 'linux', settings: { version: 1 } } },
  ])('cannot name $case: no request leaves, and no metric names it', async ({ input }) => {
    const { sandbox, world } = await oneFleet({ queued: 5 });
    const execution = await sandbox.clock.run(sandbox.workflow.run('attack', input as never));
    expect(execution.status).toBe('FAILED');
    expect(execution.path.map(({ state }) => state).slice(-3)).toEqual([
      'Settings Unreadable',
      'Count Outage',
      'Failed',
    ]);
    expect(sandbox.circleci.requests).toBe(0);
    expect(sandbox.aws.calls.get('GetSecretValue')).toBeUndefined();
    // Which is no outage, so nobody can ring Outage with inputs of his own.
    expect(sandbox.workflow.metrics).toMatchObject([{ name: 'OutageFailures', value: 0 }]);
    expect(Object.keys(sandbox.workflow.metrics[0]?.dimensions ?? {})).toEqual(['Stack']);
    expect(world.group.desired).toBe(0);
  });
});

describe('a failure', () => {
  it('is counted if CloudWatch can be reached at the second attempt', async () => {
    const attempts: unknown[] = [];
    const { execution, states } = await executed({
      'Read Settings': failing('SecretUnset'),
      'Count Failure': async (input) => {
        attempts.push(input);
        if (attempts.length === 1) throw new Error('not now');
        return {};
      },
    });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'SecretUnset' });
    expect(attempts).toHaveLength(2);
    expect(states).not.toContain('Announce Failure');
  });

  it.each(['Read Settings', 'Count Unclaimed'])(
    'of %s with braces, quotes and slashes in its message arrives as it was said',
    async (step) => {
      const message = 'got {"errorMessage": "a/b {}"}, \'quoted\', https://acme.example/x\nand more';
      const { execution } = await executed({ [step]: failing('SecretMalformed', message) });
      expect(execution.cause).toBe(`${message} See docs/operations.md#secrets-unreadable`);
    },
  );

  it('is read by the name in its message where an emulator hides its name', async () => {
    const hidden = failing('Runtime.HandlerError', 'CircleCiNotFound: no such class: acme/linux');
    const { execution, states, counted } = await executed({ 'Count Running': hidden });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'CircleCiNotFound' });
    expect(states).toContain('Read Name');
    expect(counted[0]?.name).toBe('CircleCiRefuses');
  });

  it('in Observe itself, and in none of its steps, is counted for Observe', () => {
    const step = state(definition, 'Step Named?');
    if (step.Type !== 'Choice') throw new Error('Step Named? is no Choice state');
    const next = (error: string) => chosen(step, { failure: { Error: error, Cause: '' } });
    expect(next('States.DataLimitExceeded')).toBe('Observe Failed');
    expect(next('Count Running/States.Timeout')).toBe('Read Failure');
    expect(state(definition, 'Observe Failed')).toMatchObject({
      Parameters: { 'Error.$': "States.Format('Observe/{}', $.failure.Error)", 'Cause.$': '$.failure.Cause' },
      ResultPath: '$.failure',
    });
  });
});

describe('an open breaker', () => {
  const found = (breaker: ActivitiesJson['breaker']) => async () => activities({ breaker });
  const opened = { ...openBreaker(3_600), isNew: true } as const;

  it('that is new is sent to the topic, with the reason and the time of the next canary', async () => {
    const { execution, states, messages } = await executed({ 'Describe Activities': found(opened) });
    expect(execution.status).toBe('SUCCEEDED');
    expect(states.slice(0, 10)).toEqual([
      'Hash Input',
      'Own Second?',
      'Wait 3 Seconds',
      'Read Settings',
      'Wait For Own Second',
      'Describe Activities',
      'Breaker Open?',
      'Announce Breaker',
      'Breaker Open',
      'First Poll',
    ]);
    // Once, to suspend the Launch process.
    expect(states.filter((name) => name === 'Update Group')).toHaveLength(1);
    expect(messages).toMatchObject([{ topicArn: FLEET_TOPIC, subject: 'Breaker open: fleet linux' }]);
    for (const part of [
      '3 launches failed',
      opened.reason,
      opened.canaryAt,
      'docs/operations.md#breaker-open',
    ])
      expect(messages[0]?.message).toContain(part);
  });

  it('that is not new is shown in the graph, and not sent again', async () => {
    const { states, messages } = await executed({ 'Describe Activities': found(openBreaker(3_600)) });
    expect(states).toContain('Breaker Open');
    expect(states).not.toContain('Announce Breaker');
    expect(messages).toEqual([]);
  });

  it('that is closed is neither', async () => {
    const { states } = await executed({ 'Describe Activities': found({ open: false }) });
    expect(states.filter((name) => name.includes('Breaker'))).toEqual(['Breaker Open?']);
  });

  it.each([
    { case: 'fails', announce: failing('Sns.InternalErrorException') },
    { case: 'does not answer', announce: never },
  ])('does not stop the polls if SNS $case', async ({ announce }) => {
    const { execution, states, messages, counted } = await executed({
      'Describe Activities': found(opened),
      'Announce Breaker': announce,
    });
    expect(execution.status).toBe('SUCCEEDED');
    expect(states).toContain('Observe');
    expect([messages, counted]).toEqual([[], []]);
  });
});
