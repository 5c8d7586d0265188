import { describe, expect, it } from 'vitest';
import type { Fault } from '../../sandbox/faults/fault.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { type EndedExecution, HANDLERS } from '../../sandbox/workflow.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { counted, failuresIn, oneFleet, secondsTaken, seeOperations, visits } from '../support/sandbox.ts';

/** The metric of a state that names a failure. */
const metricOf = (state: string) =>
  Object.entries(FAILURES).find(([, heading]) => heading === state)?.[0] ?? '';

/** What stands in the graph from where a failure is known to the end. */
const ending = ({ path }: EndedExecution) =>
  path.slice(path.findIndex(({ state }) => state === 'Which Failure?') + 1).map(({ state }) => state);

/** The step that an execution failed in, as it says itself. */
const failedIn = (execution: EndedExecution) =>
  Object.keys(HANDLERS).filter((step) => visits(execution, `${step} Failed`).length > 0);

/** A fleet of 2 instances that needs 5. */
async function short(options: Parameters<typeof oneFleet>[0] = {}) {
  const fleet = await oneFleet({ queued: 5, ...options });
  fleet.world.group.setDesiredCapacity(2);
  return { ...fleet, begin: (fault: Fault) => fault.begin(fleet) };
}

const FAILING = FAULTS.flatMap((fault) =>
  fault.ends && !fault.unsteady && !fault.rings ? [{ ...fault, ends: fault.ends }] : [],
);

/** Whether a function said what is wrong, and not Lambda or the workflow. */
const isOfFunction = ({ ends }: (typeof FAILING)[number]) => !/[.]|TypeError/.test(ends.error);

describe('an execution that fails', () => {
  it.each(FAILING)('as $name, holds capacity, and says so', async (fault) => {
    const { sandbox, world, execute, begin } = await short();
    begin(fault);
    const execution = await execute();
    const { state, error } = fault.ends;

    expect(execution).toMatchObject({ status: 'FAILED', error });
    expect(execution.cause).toContain(seeOperations(state));
    expect(execution.cause?.endsWith(seeOperations(state))).toBe(true);
    // Sentences end once, and what a function said ends before the link.
    expect(execution.cause).not.toMatch(/(?<!\.)\.\.(?!\.)|\.{4}/);
    if (isOfFunction(fault)) expect(execution.cause).toMatch(/[.!?)] See docs\//);
    expect(ending(execution)).toEqual([state, 'Count Failure', 'Failed']);
    expect(secondsTaken(execution)).toBeLessThan(61);
    expect(world.group.desired).toBe(2);

    const [step = ''] = failedIn(execution);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual(counted(metricOf(state), step));
    expect(sandbox.workflow.messages).toEqual([]);
  });

  it.each(FAILING.filter(isOfFunction))(
    'as $name, begins its cause with what the function said',
    async (fault) => {
      const { execute, begin } = await short();
      begin(fault);
      expect((await execute()).cause).toMatch(new RegExp(`^${fault.ends.error}: \\w`));
    },
  );

  it('because the definition and the functions do not match holds capacity, and reports it', async () => {
    const { sandbox, world, execute } = await short({
      replace: { 'Describe Group': async () => ({ desired: 2, instances: [] }) },
    });
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'InputInvalid' });
    expect(execution.cause).toMatch(/^InputInvalid: Compute Capacity: .*observed\.group\.members/s);
    expect(ending(execution)).toEqual(['Decision Invalid', 'Count Failure', 'Failed']);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual(counted('DecisionInvalid', 'Compute Capacity'));
    expect(world.group.desired).toBe(2);
  });

  it('does not ask CircleCI while the secret cannot be read', async () => {
    const { sandbox, execute } = await oneFleet();
    sandbox.aws.secrets.clear();
    await execute();
    expect(sandbox.circleci.requests).toBe(0);
  });
});

describe('a message of AWS that ends with', () => {
  const calls = [
    'GetSecretValue',
    'GetParameter',
    'DescribeScalingActivities',
    'DescribeAutoScalingGroups',
    'SetDesiredCapacity',
  ];
  const codes = ['AccessDeniedException', 'ThrottlingException', 'ValidationException'];
  const all = ['no full stop', 'one.', 'two..'].flatMap((message) =>
    calls.flatMap((call) => codes.map((code) => ({ message, call, code }))),
  );

  it.each(all)('$message ends once in the cause: $code of $call', async ({ message, call, code }) => {
    const { sandbox, execute } = await short();
    sandbox.aws.fault = (action) => (action === call ? { status: 400, code, message } : undefined);
    const { status, cause = '' } = await execute();
    expect(status).toBe('FAILED');
    expect(cause).toContain(`${message.replace(/\.+$/, '')}. `);
    expect(cause).not.toContain('..');
    expect(cause).toMatch(/[.?] See docs\//);
  });
});

describe.each([
  { step: 'Count Unclaimed', path: '/api/v3/runner/tasks' },
  { step: 'Count Running', path: '/api/v3/runner/tasks/running' },
])('an execution that fails in $step alone', ({ step, path }) => {
  it.each(FAILING.filter(({ name }) => name.startsWith('CircleCI') && !name.endsWith('alone')))(
    'as $name',
    async (fault) => {
      const { sandbox, world, execute, begin } = await short();
      begin(fault);
      const { fault: answer } = sandbox.circleci;
      sandbox.circleci.fault = (request) => (request.path === path ? answer(request) : undefined);

      const execution = await execute();
      expect(execution).toMatchObject({ status: 'FAILED', error: fault.ends.error });
      expect(ending(execution)[0]).toBe(fault.ends.state);
      // Only Compute Capacity knows that no poll got counts.
      const waited = execution.path.filter(({ state }) => state === 'Compute Capacity').length > 0;
      const failed = waited ? 'Compute Capacity' : step;
      expect(failuresIn(sandbox.workflow.metrics)).toEqual(counted(metricOf(fault.ends.state), failed));
      expect(waited).toBe(fault.name.includes('Retry-After 2 s'));
      expect(world.group.desired).toBe(2);
      expect(sandbox.aws.calls.has('SetDesiredCapacity')).toBe(false);
    },
  );
});

// Until the settings are read, no fleet is known: test/statemachine/failures.test.ts has the failures of Read Settings.
const STEPS = Object.keys(HANDLERS).filter((step) => step !== 'Read Settings');

describe.each(STEPS)('when the function of %s', (step) => {
  const crash = async () => {
    throw new TypeError("Cannot read properties of undefined (reading 'count')");
  };
  const hang = () => new Promise(() => {});

  it('crashes, the execution fails of that', async () => {
    const { sandbox, world, execute } = await short({ replace: { [step]: crash } });
    const execution = await execute();
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'TypeError',
      cause: `${step} broke. Cannot read properties of undefined (reading 'count')${seeOperations('Step Broken')}`,
    });
    expect(ending(execution)).toEqual(['Step Broken', 'Count Failure', 'Failed']);
    expect(world.group.desired).toBe(2);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual(counted('StepBroken', step));
  });

  it('hangs forever, the execution fails in good time', async () => {
    const { sandbox, world, execute } = await short({ replace: { [step]: hang } });
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(execution.cause).toMatch(new RegExp(`^${step} did not end in the time that this execution had`));
    expect(ending(execution)).toEqual(['Execution Over Time', 'Count Failure', 'Failed']);
    expect(visits(execution, step)[0]?.retries).toBeGreaterThan(0);
    expect(secondsTaken(execution)).toBeLessThan(61);
    expect(world.group.desired).toBe(2);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual(counted('ExecutionOverTime', step));
  });

  it.each([
    { does: 'refuses', service: crash },
    { does: 'hangs', service: hang },
  ])('crashes and CloudWatch $does, the workflow sends the failure itself', async ({ service }) => {
    const { sandbox, execute } = await short({ replace: { [step]: crash, 'Count Failure': service } });
    const execution = await execute();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'TypeError' });
    expect(ending(execution)).toEqual(['Step Broken', 'Count Failure', 'Announce Failure', 'Failed']);
    const { alarmTopicArn } = sandbox.fleet('linux').settings;
    expect(sandbox.workflow.messages).toMatchObject([
      { topicArn: alarmTopicArn, subject: `${step} failed: fleet linux` },
    ]);
    expect(sandbox.workflow.messages[0]?.message).toContain(`TypeError: ${execution.cause}`);
    expect(failuresIn(sandbox.workflow.metrics)).toEqual([]);
  });

  it.each([
    { do: 'refuse', service: crash },
    { do: 'hang', service: hang },
  ])(
    'crashes and CloudWatch and SNS $do, the execution still ends with the first error',
    async ({ service }) => {
      const replace = { [step]: crash, 'Count Failure': service, 'Announce Failure': service };
      const { execute } = await short({ replace });
      const execution = await execute();
      expect(execution).toMatchObject({ status: 'FAILED', error: 'TypeError' });
      expect(execution.cause).toMatch(new RegExp(`^${step} broke\\. Cannot read`));
      expect(secondsTaken(execution)).toBeLessThan(61);
    },
  );

  it("is reported by an emulator without its error's name, the name is read from the message", async () => {
    const emulated = async () => {
      const error = new Error('CircleCiNotFound: https://runner.circleci.com answered 404');
      throw Object.assign(error, { name: 'Runtime.HandlerError' });
    };
    const { execute } = await short({ replace: { [step]: emulated } });
    const execution = await execute();
    expect(execution).toMatchObject({
      error: 'CircleCiNotFound',
      cause: `CircleCiNotFound: https://runner.circleci.com answered 404${seeOperations('CircleCI Refuses')}`,
    });
    expect(ending(execution)).toEqual(['CircleCI Refuses', 'Count Failure', 'Failed']);
  });
});
