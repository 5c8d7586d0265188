import { readFileSync } from 'node:fs';
import validate from 'asl-validator';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { RepairLeftoversInput } from '../../functions/lib/contracts.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsOf, MINIMAL } from '../support/fleets.ts';

const source = readFileSync('statemachine/reconcile.asl.json', 'utf8');
const Task = z.object({
  Type: z.literal('Task'),
  Resource: z.string(),
  Parameters: z.record(z.string(), z.string()),
  TimeoutSeconds: z.number(),
  Retry: z
    .array(z.object({ IntervalSeconds: z.number(), MaxAttempts: z.number(), BackoffRate: z.number() }))
    .default([]),
});
const Machine = z.object({
  TimeoutSeconds: z.number(),
  States: z.record(z.string(), z.looseObject({ Type: z.string() })),
});
const machine = Machine.parse(JSON.parse(source));
const tasks = Object.entries(machine.States).flatMap(([name, state]) =>
  state.Type === 'Task' ? [{ name, ...Task.parse(state) }] : [],
);
const template = SynthesisedTemplate.of(fleetsOf(MINIMAL));

it('is a valid definition, and deployed as it is', () => {
  const arns = source.replaceAll(/\$\{(\w+)\}/g, 'arn:aws:lambda:eu-west-1:000000000000:function:$1');
  expect(validate(JSON.parse(arns))).toMatchObject({ isValid: true });
  const deployed = template.the('AWS::StepFunctions::StateMachine', 'Reconcile').properties;
  expect(deployed).toMatchObject({ StateMachineType: 'EXPRESS', DefinitionString: source });
  expect(deployed.DefinitionSubstitutions).toEqual({
    FindLeftoversFunctionArn: 'Function(circleci-runners-find-leftovers).Arn',
    RepairLeftoversFunctionArn: 'Function(circleci-runners-repair-leftovers).Arn',
  });
});

it('has a function for each Task, with its name', () => {
  for (const { name, Resource } of tasks) expect(Resource).toBe(`\${${name.replaceAll(' ', '')}FunctionArn}`);
});

it('gives each function what its contract asks for', () => {
  const contracts = {
    // The whole input of the execution, so that the function can refuse what must not be there.
    'Find Leftovers': ['execution', 'input'],
    'Repair Leftovers': Object.keys(RepairLeftoversInput.shape),
  };
  for (const { name, Parameters } of tasks) {
    const keys = Object.keys(Parameters).map((key) => key.replace(/\.\$$/, ''));
    expect(keys.toSorted()).toEqual(contracts[name as keyof typeof contracts].toSorted());
  }
});

it('ends by itself in time: after a timeout of the machine, no state says what failed', () => {
  const worst = tasks.reduce(
    (sum, { TimeoutSeconds, Retry }) =>
      sum +
      TimeoutSeconds +
      Retry.reduce(
        (more, { IntervalSeconds, MaxAttempts, BackoffRate }) =>
          more + MaxAttempts * (TimeoutSeconds + IntervalSeconds * BackoffRate ** MaxAttempts),
        0,
      ),
    0,
  );
  expect(worst).toBeLessThan(machine.TimeoutSeconds);
  // https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
  expect(machine.TimeoutSeconds).toBeLessThan(300);
  for (const name of ['find-leftovers', 'repair-leftovers']) {
    const timeout = template
      .all('AWS::Lambda::Function')
      .find(({ properties }) => properties.FunctionName === `circleci-runners-${name}`)?.properties.Timeout;
    for (const { TimeoutSeconds } of tasks) expect(timeout).toBeGreaterThan(TimeoutSeconds);
  }
});

it('repairs nothing twice: what acts is not retried', () => {
  expect(tasks.find(({ name }) => name === 'Repair Leftovers')?.Retry).toEqual([]);
});
