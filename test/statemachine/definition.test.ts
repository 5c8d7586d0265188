import { existsSync } from 'node:fs';
import validate from 'asl-validator';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import * as errors from '../../functions/lib/errors.ts';
import { HANDLERS } from '../../sandbox/workflow.ts';
import {
  definition,
  machines,
  type State,
  source,
  state,
  successors,
  type Task,
} from '../support/definition.ts';

const ARN = 'arn:aws:lambda:eu-west-1:000000000000:function:$1';
const PLACEHOLDER = /^\$\{(\w+)FunctionArn\}$/;

const named = machines().flatMap((machine) => Object.entries(machine.States));
const tasks = named.filter((entry): entry is [string, Task] => entry[1].Type === 'Task');
const functions = tasks.filter(([, { Resource }]) => PLACEHOLDER.test(Resource));
const alarms = tasks.filter(([, { Resource }]) => !PLACEHOLDER.test(Resource));

const pascal = (name: string) => name.replaceAll(' ', '');
const kebab = (name: string) => name.toLowerCase().replaceAll(' ', '-');

/** Every string in a piece of JSON, object keys included. */
function strings(json: unknown): string[] {
  if (typeof json === 'string') return [json];
  if (typeof json !== 'object' || json === null) return [];
  return [...(Array.isArray(json) ? [] : Object.keys(json)), ...Object.values(json).flatMap(strings)];
}

const everyString = strings(JSON.parse(source));

describe('the definition', () => {
  it('is what asl-validator accepts, once the ARNs are in place', () => {
    const deployed = z.record(z.string(), z.unknown());
    const { isValid, errorsText } = validate(
      deployed.parse(JSON.parse(source.replaceAll(/\$\{(\w+)FunctionArn\}/g, ARN))),
    );
    expect(errorsText('\n')).toBe('');
    expect(isValid).toBe(true);
  });

  it('has whole strings substituted and nothing else: the ARNs of its six functions', () => {
    const substituted = everyString.filter((text) => text.includes('${'));
    const expected = Object.keys(HANDLERS).map((name) => `\${${pascal(name)}FunctionArn}`);
    expect(substituted.toSorted()).toEqual(expected.toSorted());
  });

  it('speaks JSONPath and keeps no variables', () => {
    const newer = ['QueryLanguage', 'Assign', 'Arguments', 'Output'];
    expect(everyString.filter((text) => newer.includes(text) || text.includes('{%'))).toEqual([]);
  });

  it.each(Object.keys(HANDLERS))('%s is a Task state with the function of that name', (name) => {
    const [, task] = functions.find(([candidate]) => candidate === name) ?? [];
    expect(task?.Resource).toBe(`\${${pascal(name)}FunctionArn}`);
    expect(existsSync(new URL(`../../functions/${kebab(name)}.ts`, import.meta.url))).toBe(true);
  });

  it('has no function that the sandbox does not run', () => {
    expect(functions.map(([name]) => name).toSorted()).toEqual(Object.keys(HANDLERS).toSorted());
  });

  it('gives no two states the same name', () => {
    const names = named.map(([name]) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('reaches every state', () => {
    for (const machine of machines()) {
      const reached = new Set<string>();
      const reach = (name: string): void => {
        if (reached.has(name)) return;
        reached.add(name);
        successors(state(machine, name)).forEach(reach);
      };
      reach(machine.StartAt);
      expect([...reached].toSorted()).toEqual(Object.keys(machine.States).toSorted());
    }
  });
});

describe.each(tasks)('%s', (_, task) => {
  it('has a timeout', () => {
    expect(
      [task.TimeoutSeconds, task.TimeoutSecondsPath].filter((given) => given !== undefined),
    ).toHaveLength(1);
    if (task.TimeoutSeconds !== undefined) expect(task.TimeoutSeconds).toBeGreaterThan(0);
  });

  it('catches everything, so that nothing fails unseen', () => {
    expect(task.Catch.map(({ ErrorEquals }) => ErrorEquals)).toEqual([['States.ALL']]);
  });
});

describe.each(functions)('%s', (name, task) => {
  it('is tried again with backoff and full jitter', () => {
    expect(task.Retry.length).toBeGreaterThan(0);
    for (const { MaxAttempts, IntervalSeconds, BackoffRate, JitterStrategy } of task.Retry) {
      expect(MaxAttempts).toBeGreaterThan(0);
      expect(IntervalSeconds).toBeGreaterThan(0);
      expect(BackoffRate).toBeGreaterThan(1);
      expect(JitterStrategy).toBe('FULL');
    }
  });

  it('leads through an alarm state of its own to a Fail state when it fails', () => {
    const machine = machines().find(({ States }) => name in States) ?? definition;
    const [caught] = task.Catch;
    expect(caught).toMatchObject({ Next: `${name} Alarm`, ResultPath: '$.failure' });

    const ends = new Set<State['Type']>();
    const seen = new Set<string>();
    const follow = (next: string): void => {
      if (seen.has(next)) return;
      seen.add(next);
      const following = successors(state(machine, next));
      if (following.length === 0) ends.add(state(machine, next).Type);
      following.forEach(follow);
    };
    follow(`${name} Alarm`);
    expect([...ends]).toEqual(['Fail']);
  });

  it('is told which fleet and which execution it works for', () => {
    expect(task.Parameters).toMatchObject({ 'fleet.$': '$.fleet', 'execution.$': '$$.Execution.Name' });
  });
});

describe.each(alarms)('%s', (name, task) => {
  it('counts the failure for the fleet, and for the fleet and the step', () => {
    const fleet = { Name: 'Fleet', 'Value.$': '$.fleet' };
    const step = { Name: 'Step', Value: name.replace(/ Alarm$/, '') };
    const metric = { MetricName: 'StepFailed', Value: 1, Unit: 'Count' };
    expect(task.Resource).toBe('arn:aws:states:::aws-sdk:cloudwatch:putMetricData');
    expect(task.Parameters).toEqual({
      Namespace: 'CircleCIRunnerAutoscaler',
      MetricData: [
        { ...metric, Dimensions: [fleet] },
        { ...metric, Dimensions: [fleet, step] },
      ],
    });
  });

  it('goes on to the same end whether or not the metric could be put, and keeps the failure', () => {
    expect(task.Catch.map(({ Next }) => Next)).toEqual([task.Next]);
    expect(task.ResultPath).toBeNull();
    expect(task.Catch.map(({ ResultPath }) => ResultPath)).not.toContain('$.failure');
  });
});

/** Errors that may be gone at the next attempt, and those that stay until somebody mends something. */
const PASSING = [
  'AutoScalingUnavailable',
  'CircleCiNotJson',
  'CircleCiTimeout',
  'CircleCiUnavailable',
  'CircleCiUnreachable',
  'SecretsManagerUnavailable',
];
const LASTING = [
  'AutoScalingDenied',
  'CircleCiInvalidCount',
  'CircleCiNotFound',
  'CircleCiRateLimited',
  'CircleCiRejected',
  'CircleCiUnauthorized',
  'GroupNotFound',
  'GroupUnreadable',
  'GroupUpdateRefused',
  'InputInvalid',
  'SecretDenied',
  'SecretMalformed',
  'SecretMismatch',
  'SecretNotFound',
  'SecretUnset',
];

describe('the errors that it names', () => {
  const failures = Object.values(errors).map((StepError) => new StepError('').name);
  const rules = named.flatMap(([, each]) => [
    'Retry' in each ? each.Retry.map(({ ErrorEquals }) => ErrorEquals) : [],
    'Catch' in each ? each.Catch.map(({ ErrorEquals }) => ErrorEquals) : [],
  ]);
  const retried = functions.flatMap(([, { Retry }]) => Retry.flatMap(({ ErrorEquals }) => ErrorEquals));

  it('are thrown by a function, or by AWS around it', () => {
    const ours = rules.flat(2).filter((name) => !/^(States|Lambda|Sandbox)\./.test(name));
    expect(failures).toEqual(expect.arrayContaining(ours));
  });

  it('never stand beside States.ALL, and nothing comes after it', () => {
    for (const rule of rules) {
      const all = rule.findIndex((names) => names.includes('States.ALL'));
      if (all === -1) continue;
      expect(rule[all]).toEqual(['States.ALL']);
      expect(all).toBe(rule.length - 1);
    }
  });

  it('are tried again if they may pass, and only then', () => {
    expect(failures.toSorted()).toEqual([...PASSING, ...LASTING].toSorted());
    expect(retried).toEqual(expect.arrayContaining(PASSING));
    for (const name of [...LASTING, 'States.ALL', 'States.TaskFailed']) expect(retried).not.toContain(name);
  });

  const counting = PASSING.filter((name) => /^(CircleCi|SecretsManager)/.test(name));
  it.each([
    { step: 'Read Secrets', passing: ['SecretsManagerUnavailable'] },
    { step: 'Count Unclaimed', passing: counting },
    { step: 'Count Running', passing: counting },
    { step: 'Describe Group', passing: ['AutoScalingUnavailable'] },
    { step: 'Compute Capacity', passing: [] },
    { step: 'Update Group', passing: ['AutoScalingUnavailable'] },
  ])('let $step be tried again after $passing, and when AWS could not run it', ({ step, passing }) => {
    const [, task] = functions.find(([name]) => name === step) ?? [];
    const aws = [
      'Lambda.AWSLambdaException',
      'Lambda.ClientExecutionTimeoutException',
      'Lambda.SdkClientException',
      'Lambda.ServiceException',
      'Lambda.TooManyRequestsException',
      'Lambda.Unknown',
      'Sandbox.Timedout',
      'States.Timeout',
    ];
    expect(task?.Retry.flatMap(({ ErrorEquals }) => ErrorEquals).toSorted()).toEqual(
      [...passing, ...aws].toSorted(),
    );
  });
});
