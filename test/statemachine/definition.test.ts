import { existsSync } from 'node:fs';
import validate from 'asl-validator';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import * as errors from '../../functions/lib/errors.ts';
import { HANDLERS } from '../../sandbox/workflow.ts';
import { definition, machines, source, state, successors, type Task } from '../support/definition.ts';

const ARN = 'arn:aws:lambda:eu-west-1:000000000000:function:$1';
const PLACEHOLDER = /^\$\{(\w+)FunctionArn\}$/;

const named = machines().flatMap((machine) => Object.entries(machine.States));
const tasks = named.filter((entry): entry is [string, Task] => entry[1].Type === 'Task');
const functions = tasks.filter(([, { Resource }]) => PLACEHOLDER.test(Resource));
const services = tasks.filter(([, { Resource }]) => !PLACEHOLDER.test(Resource));

const pascal = (name: string) => name.replaceAll(' ', '');
/** The kinds of failure that may be of a fleet that is not deployed, so that nothing may name it. */
const UNNAMED = ['Settings Unreadable', 'Settings Unavailable'];
const kebab = (name: string) => name.toLowerCase().replaceAll(' ', '-');

/** Every string in a piece of JSON, object keys included. */
function strings(json: unknown): string[] {
  if (typeof json === 'string') return [json];
  if (typeof json !== 'object' || json === null) return [];
  return [...(Array.isArray(json) ? [] : Object.keys(json)), ...Object.values(json).flatMap(strings)];
}

const everyString = strings(JSON.parse(source));

/** All states that a machine may go through from one of its states on, that one included. */
function from(start: string, machine = definition): Set<string> {
  const reached = new Set<string>();
  const reach = (name: string): void => {
    if (reached.has(name)) return;
    reached.add(name);
    successors(state(machine, name)).forEach(reach);
  };
  reach(start);
  return reached;
}

describe('the definition', () => {
  it('is what asl-validator accepts, once the ARNs are in place', () => {
    const deployed = z.record(z.string(), z.unknown());
    const { isValid, errorsText } = validate(
      deployed.parse(JSON.parse(source.replaceAll(/\$\{(\w+)FunctionArn\}/g, ARN))),
    );
    expect(errorsText('\n')).toBe('');
    expect(isValid).toBe(true);
  });

  it("has whole strings substituted and nothing else: the ARNs of what it calls and of the stack's topic", () => {
    const substituted = everyString.filter((text) => text.includes('${'));
    const functionArns = Object.keys(HANDLERS).map((name) => `\${${pascal(name)}FunctionArn}`);
    const expected = [
      ...functionArns,
      ...[
        'AlarmTopicArn',
        'CloudWatchPutMetricDataArn',
        'CloudWatchPutMetricDataArn',
        'MetricNamespace',
        'MetricNamespace',
        'SnsPublishArn',
        'SnsPublishArn',
        'StackName',
        'StackName',
      ].map((name) => ['$', `{${name}}`].join('')),
    ];
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
      const reached = from(machine.StartAt, machine);
      expect([...reached].toSorted()).toEqual(Object.keys(machine.States).toSorted());
    }
  });
});

describe('the state data', () => {
  it('is small: the input of the execution names the fleet, and functions read its settings by their version', () => {
    const read = everyString.flatMap((text) => text.match(/\$\$\.Execution\.Input\.\w+/g) ?? []);
    expect(new Set(read)).toEqual(new Set(['$$.Execution.Input.fleet']));
  });

  it("is the fleet's settings, then their version, the record of the launches and the poll, and then the plan alone", () => {
    const [settings, first, compute, wait] = [
      'Read Settings',
      'First Poll',
      'Compute Capacity',
      'Wait For Next Poll',
    ].map((name) => state(definition, name));
    expect(settings).toHaveProperty('ResultPath', '$.settings');
    expect(first).not.toHaveProperty('ResultPath');
    expect(first).toHaveProperty('Parameters', {
      settings: {
        'version.$': '$.settings.version',
        'alarmTopicArn.$': '$.settings.alarmTopicArn',
        'once.$': '$.settings.once',
      },
      'activities.$': '$.activities',
      poll: expect.anything(),
    });
    expect(compute).not.toHaveProperty('ResultPath');
    expect(wait).toHaveProperty('OutputPath', '$.next');
  });

  it('is the step, the error, the cause and the topic, and nothing else, from the reading of a failure on', () => {
    const failed = [...from('Read Failure')].map((name) => [name, state(definition, name)] as const);
    for (const [name, each] of failed) {
      if (each.Type !== 'Pass') continue;
      const keys = Object.keys(each.Parameters ?? {}).map((key) => key.replace(/\.\$$/, ''));
      const cause = name === 'Read Message' ? 'thrown' : 'cause';
      const topic = UNNAMED.includes(name) ? [] : ['alarmTopicArn'];
      expect(keys.filter((key) => !['metric', 'outage'].includes(key))).toEqual([
        'step',
        'error',
        cause,
        ...topic,
      ]);
      expect(each.ResultPath ?? '$').toBe('$');
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

  it('if it is tried again, then with backoff and full jitter', () => {
    for (const { MaxAttempts, IntervalSeconds, BackoffRate, JitterStrategy } of task.Retry) {
      expect(MaxAttempts).toBeGreaterThan(0);
      expect(IntervalSeconds).toBeGreaterThan(0);
      expect(BackoffRate).toBeGreaterThan(1);
      expect(JitterStrategy).toBe('FULL');
    }
  });
});

describe.each(functions)('%s', (name, task) => {
  const machine = machines().find(({ States }) => name in States) ?? definition;

  it('is tried again', () => {
    expect(task.Retry.length).toBeGreaterThan(0);
  });

  it('names itself when it fails', () => {
    expect(task.Catch).toMatchObject([{ Next: `${name} Failed`, ResultPath: '$.failure' }]);
    const failure = {
      'Error.$': `States.Format('${name}/{}', $.failure.Error)`,
      'Cause.$': '$.failure.Cause',
    };
    expect(state(machine, `${name} Failed`)).toMatchObject(
      name === 'Read Settings'
        ? // Without settings, messages go to the stack's topic.
          {
            Type: 'Pass',
            Parameters: { failure, settings: { alarmTopicArn: ['$', '{AlarmTopicArn}'].join('') } },
          }
        : { Type: 'Pass', Parameters: failure, ResultPath: '$.failure' },
    );
  });

  it('leads from its failure through the reading of it and a kind of failure to the one Fail state', () => {
    const next = successors(state(machine, `${name} Failed`));
    if (machine === definition) {
      expect(next).toEqual(['Read Failure']);
    } else {
      // A branch can only fail as a whole: with the name of its step in the error, which Observe catches.
      expect(next).toEqual([`${name} Ends`]);
      expect(state(machine, `${name} Ends`)).toMatchObject({
        Type: 'Fail',
        ErrorPath: '$.failure.Error',
        CausePath: '$.failure.Cause',
      });
    }
  });

  it('gets its fleet and its execution', () => {
    const fleet = machine === definition ? '$$.Execution.Input.fleet' : '$.fleet';
    // Whatever else is in the input of the execution, Read Settings refuses it.
    const named = name === 'Read Settings' ? { 'input.$': '$$.Execution.Input' } : { 'fleet.$': fleet };
    expect(task.Parameters).toMatchObject({ ...named, 'execution.$': '$$.Execution.Name' });
  });

  it('reads the settings that its execution began with', () => {
    if (name === 'Read Settings') return;
    const given = z
      .looseObject({ 'settings.$': z.string().optional(), settings: z.unknown().optional() })
      .parse(task.Parameters);
    expect(given['settings.$'] ?? given.settings).toEqual(
      given.settings === undefined ? '$.settings' : { 'version.$': '$.settings.version' },
    );
  });

  it('has its timeout, if that is from the state data, before and after its parameters are made', () => {
    // AWS reads it from the parameters, emulators from the state's input.
    const { TimeoutSecondsPath: path } = task;
    if (path === undefined) return;
    const [, key] = path.split('.');
    expect(task.Parameters).toMatchObject({ [`${key}.$`]: `$.${key}` });
  });
});

describe('Observe', () => {
  const observe = state(definition, 'Observe');
  if (observe.Type !== 'Parallel') throw new Error('Observe is no Parallel state');

  it('passes to each branch the input of its function', () => {
    const paths = observe.Branches.flatMap(({ States }) => Object.values(States))
      .filter((each) => each.Type === 'Task')
      .flatMap((each) => Object.values(each.Parameters).map(String));
    for (const path of paths.filter((path) => !path.startsWith('$$'))) {
      const [, key = ''] = path.split('.');
      expect(Object.keys(observe.Parameters)).toContain(key === 'fleet' ? 'fleet.$' : key);
    }
    expect(observe.Parameters).toMatchObject({
      'fleet.$': '$$.Execution.Input.fleet',
      settings: { 'version.$': '$.settings.version' },
    });
    expect(observe.Parameters.poll).toEqual({
      'number.$': '$.poll.number',
      'executionStartedAt.$': '$.poll.executionStartedAt',
      'timeoutSeconds.$': '$.poll.timeoutSeconds',
    });
  });

  it('lets a branch that names its step be read, and names itself for everything else', () => {
    expect(observe.Catch).toEqual([
      { ErrorEquals: ['States.ALL'], ResultPath: '$.failure', Next: 'Step Named?' },
    ]);
    expect(successors(state(definition, 'Step Named?'))).toEqual(['Read Failure', 'Observe Failed']);
    expect(successors(state(definition, 'Observe Failed'))).toEqual(['Read Failure']);
  });
});

describe('what a failure leads to', () => {
  const kinds = successors(state(definition, 'Which Failure?'));
  const counted = kinds.filter((kind) => !UNNAMED.includes(kind));

  it('is one state for each of the nine kinds, and a second one for settings', () => {
    expect(kinds.toSorted()).toEqual([
      'CircleCI Refuses',
      'CircleCI Unavailable',
      'Decision Invalid',
      'Execution Over Time',
      'Group Unreadable',
      'Group Update Refused',
      'Secrets Unreadable',
      'Settings Unavailable',
      'Settings Unreadable',
      'Step Broken',
    ]);
  });

  it('is one of them, whatever failed: no other way leads to the metric, nor to the end', () => {
    const into = (name: string) =>
      Object.entries(definition.States)
        .filter(([, each]) => successors(each).includes(name))
        .map(([each]) => each);
    // Whether a fleet is deployed is not known until its settings are read, and no metric may name another.
    expect(into('Count Failure').toSorted()).toEqual(counted.toSorted());
    expect(into('Count Outage').toSorted()).toEqual(UNNAMED.toSorted());
    expect(new Set(into('Failed'))).toEqual(new Set(['Count Failure', 'Announce Failure', 'Count Outage']));
    expect(into('Announce Failure')).toEqual(['Count Failure']);
  });

  it.each(counted)('%s names its metric, and its own heading in docs/operations.md', (kind) => {
    const each = state(definition, kind);
    if (each.Type !== 'Pass') throw new Error(`${kind} is no Pass state`);
    const { metric, 'cause.$': cause } = z
      .looseObject({ metric: z.string(), 'cause.$': z.string() })
      .parse(each.Parameters);
    expect(metric).toBe(pascal(kind).replace('CircleCI', 'CircleCi'));
    expect(cause).toMatch(
      /^States\.Format\('.*\{\} See docs\/operations\.md#[a-z-]+', (\$\.step, )?\$\.cause\)$/,
    );
    expect(cause).toContain(` See docs/operations.md#${kebab(kind)}'`);
  });

  it('is never success, and no other poll', () => {
    const reached = from('Read Failure');
    for (const name of ['Done', 'Observe', 'Update Group']) expect(reached).not.toContain(name);
    const ends = [...reached].filter((name) => successors(state(definition, name)).length === 0);
    expect(ends).toEqual(['Failed']);
  });
});

describe('Count Outage', () => {
  it('counts for all fleets whether it is an outage, and names no fleet', () => {
    const { Parameters } = serviceTask('Count Outage');
    const { MetricData } = z
      .looseObject({ MetricData: z.array(z.unknown()) })
      .parse(serviceTask('Count Failure').Parameters);
    expect(Parameters).toEqual({
      Namespace: ['$', '{MetricNamespace}'].join(''),
      MetricData: MetricData.slice(-1),
    });
    expect(strings(Parameters).filter((text) => /fleet|input/i.test(text))).toEqual([]);
  });
});

describe('Count Failure', () => {
  const task = serviceTask('Count Failure');

  it('counts the failure for the fleet, for the fleet and the step, and whether it is an outage', () => {
    const fleet = { Name: 'Fleet', 'Value.$': '$$.Execution.Input.fleet' };
    const step = { Name: 'Step', 'Value.$': '$.step' };
    const metric = { 'MetricName.$': '$.metric', Value: 1, Unit: 'Count' };
    expect(task.Resource).toBe(['$', '{CloudWatchPutMetricDataArn}'].join(''));
    expect(task.Parameters).toEqual({
      Namespace: ['$', '{MetricNamespace}'].join(''),
      MetricData: [
        { ...metric, Dimensions: [fleet] },
        { ...metric, Dimensions: [fleet, step] },
        {
          MetricName: 'OutageFailures',
          'Value.$': '$.outage',
          Unit: 'Count',
          Dimensions: [{ Name: 'Stack', Value: ['$', '{StackName}'].join('') }],
        },
      ],
    });
  });

  it('is tried again, and if CloudWatch cannot be reached at all, the failure is announced', () => {
    expect(task.Retry.map(({ ErrorEquals }) => ErrorEquals)).toEqual([['States.ALL']]);
    expect(task.Next).toBe('Failed');
    expect(task.Catch.map(({ Next }) => Next)).toEqual(['Announce Failure']);
  });
});

describe.each(['Announce Failure', 'Announce Breaker'])('%s', (name) => {
  const task = serviceTask(name);

  it("sends it to the fleet's topic", () => {
    expect(task.Resource).toBe(['$', '{SnsPublishArn}'].join(''));
    const topic = name === 'Announce Failure' ? '$.alarmTopicArn' : '$.settings.alarmTopicArn';
    expect(task.Parameters).toMatchObject({ 'TopicArn.$': topic });
  });

  it('goes on in the same way whether or not the message could be sent', () => {
    expect(task.Catch.map(({ Next }) => Next)).toEqual([task.Next]);
  });

  it('has a subject that SNS takes, for the longest possible names', () => {
    // https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    const [, format = ''] = /^States\.Format\('(.*?)',/.exec(String(task.Parameters['Subject.$'])) ?? [];
    const longest = Object.keys(HANDLERS).toSorted((a, b) => b.length - a.length)[0] ?? '';
    expect(format).toMatch(/^[\w{}][\x20-\x7e]*$/);
    const fleet = 'a'.repeat(32);
    expect(format.replaceAll('{}', fleet).length + longest.length).toBeLessThanOrEqual(100);
  });
});

describe.each(services)('%s', (_, task) => {
  it('leaves the state as it was, but for its own failure', () => {
    expect(task.ResultPath).toBeNull();
    for (const { ResultPath } of task.Catch) expect(['$.notCounted', '$.notPublished']).toContain(ResultPath);
  });
});

describe('the breaker', () => {
  it('is announced only when it is open and that is new, and held open in the graph either way', () => {
    const question = state(definition, 'Breaker Open?');
    expect(question).toMatchObject({
      Choices: [
        { condition: { Variable: '$.settings.waits', IsPresent: true }, Next: 'Waits For Tokens' },
        { condition: { Variable: '$.activities.breaker.open', BooleanEquals: false }, Next: 'First Poll' },
        {
          condition: { Variable: '$.activities.breaker.isNew', BooleanEquals: true },
          Next: 'Announce Breaker',
        },
      ],
      Default: 'Breaker Open',
    });
    expect(successors(state(definition, 'Announce Breaker'))).toEqual(['Breaker Open', 'Breaker Open']);
    expect(successors(state(definition, 'Breaker Open'))).toEqual(['First Poll']);
  });

  it('is announced with the reason, the time of the next canary, and what to do', () => {
    const message = String(serviceTask('Announce Breaker').Parameters['Message.$']);
    for (const path of ['failures', 'reason', 'canaryAt'])
      expect(message).toContain(`$.activities.breaker.${path}`);
    expect(message).toContain('See docs/operations.md#breaker-open');
  });
});

function serviceTask(name: string): Task {
  const [, task] = services.find(([candidate]) => candidate === name) ?? [];
  if (task === undefined) throw new Error(`${name} calls no service`);
  return task;
}

/** Errors that may be gone at the next attempt, and those that stay until somebody repairs something. */
const PASSING = [
  'AutoScalingUnavailable',
  'CircleCiNotJson',
  'CircleCiTimeout',
  'CircleCiUnavailable',
  'CircleCiUnreachable',
  'SecretsManagerUnavailable',
  'SettingsUnavailable',
];
const LASTING = [
  'SettingsDenied',
  'SettingsMalformed',
  'SettingsNotFound',
  'AutoScalingDenied',
  'CircleCiInvalidCount',
  'CircleCiNotFound',
  'CircleCiTooLong',
  'CircleCiRateLimited',
  'CircleCiRejected',
  'CircleCiUnauthorized',
  'DecisionInvalid',
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
  const isOurs = (name: string) => !/^(States|Lambda|Sandbox|Runtime)\./.test(name);

  it('are thrown by a function, or by AWS around it', () => {
    const ours = rules.flat(2).filter(isOurs);
    expect(failures).toEqual(expect.arrayContaining(ours));
  });

  it('are thrown by a function, or by AWS around it, also where the kinds of failure are distinguished', () => {
    const question = JSON.stringify(state(definition, 'Which Failure?'));
    const compared = [...question.matchAll(/"\$\.error","String(?:Equals|Matches)":"([^"]+)"/g)].map(
      ([, error = '']) => error,
    );
    expect(compared.length).toBeGreaterThan(failures.length / 3);
    for (const error of compared.filter(isOurs)) {
      const prefix = error.replace(/\*$/, '');
      expect(
        failures.filter((name) => name === error || (prefix !== error && name.startsWith(prefix))),
      ).not.toEqual([]);
    }
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

  const counting = PASSING.filter((name) => /^(CircleCi|SecretsManager|Settings)/.test(name));
  it.each([
    { step: 'Read Settings', passing: ['SecretsManagerUnavailable', 'SettingsUnavailable'] },
    { step: 'Describe Activities', passing: ['AutoScalingUnavailable', 'SettingsUnavailable'] },
    { step: 'Count Unclaimed', passing: counting },
    { step: 'Count Running', passing: counting },
    { step: 'Describe Group', passing: ['AutoScalingUnavailable', 'SettingsUnavailable'] },
    { step: 'Compute Capacity', passing: ['SettingsUnavailable'] },
    { step: 'Update Group', passing: ['AutoScalingUnavailable', 'SettingsUnavailable'] },
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
