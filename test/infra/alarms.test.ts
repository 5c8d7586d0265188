import { readFileSync } from 'node:fs';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import type { FleetConfig } from '../../fleets/load.ts';
import { STACK_NAME } from '../../fleets/names.ts';
import { fileIn } from '../../fleets/repository.ts';
import { descriptionOf } from '../../infra/alarms.ts';
import { CircleCiRunners } from '../../infra/circleci-runners.ts';
import { stacksOf } from '../../infra/stacks.ts';
import { alarmsOfFleet, badOutageFailures } from '../../statemachine/alarms.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { EACH_FLEET, fleetsOf, fleetsWith, MINIMAL, threeFleets } from '../support/fleets.ts';
import { emptyApp, SynthesisedTemplate } from './template.ts';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));

const template = SynthesisedTemplate.of(threeFleets());
const alarms = template.all('AWS::CloudWatch::Alarm');
const composites = template.all('AWS::CloudWatch::CompositeAlarm');
const named = (name: string) => {
  const alarm = [...alarms, ...composites].find(({ properties }) => properties.AlarmName === name);
  if (alarm === undefined) throw new Error(`No alarm is called ${name}`);
  return alarm.properties;
};

const KINDS = [
  { kind: 'SecretsUnreadable', heading: 'Secrets Unreadable' },
  { kind: 'CircleCiRefuses', heading: 'CircleCI Refuses' },
  { kind: 'CircleCiUnavailable', heading: 'CircleCI Unavailable' },
  { kind: 'GroupUnreadable', heading: 'Group Unreadable' },
  { kind: 'DecisionInvalid', heading: 'Decision Invalid' },
  { kind: 'GroupUpdateRefused', heading: 'Group Update Refused' },
  { kind: 'ExecutionOverTime', heading: 'Execution Over Time' },
  { kind: 'StepBroken', heading: 'Step Broken' },
];
const OF_FLEET = [
  {
    kind: 'NotRunning',
    heading: 'Scaler Not Running',
    metric: 'PollDuration',
    statistic: 'SampleCount',
    minutes: [5, 5],
    bad: 'none',
  },
  ...KINDS.map((failure) => ({
    ...failure,
    metric: failure.kind,
    statistic: 'Sum',
    minutes: [3, 5],
    bad: 'any',
  })),
  {
    kind: 'Starving',
    heading: 'Starving',
    metric: 'Starving',
    statistic: 'Minimum',
    minutes: 'starvingAfter',
    period: 3,
    bad: 'any',
  },
  {
    kind: 'Saturated',
    heading: 'Saturated',
    metric: 'AtMaximum',
    statistic: 'Maximum',
    minutes: [15, 15],
    period: 3,
    bad: 'any',
  },
  {
    kind: 'BreakerOpen',
    heading: 'Breaker Open',
    metric: 'BreakerOpen',
    statistic: 'Maximum',
    minutes: [1, 3],
    bad: 'any',
  },
  {
    kind: 'TasksWithheld',
    heading: 'Tasks Not Handed Out',
    metric: 'TasksWithheld',
    statistic: 'Maximum',
    minutes: [1, 3],
    bad: 'any',
  },
  {
    kind: 'TasksElsewhere',
    heading: 'Tasks Run Elsewhere',
    metric: 'TasksElsewhere',
    statistic: 'Maximum',
    minutes: [12, 12],
    period: 3,
    bad: 'any',
  },
  {
    kind: 'LeftBehind',
    heading: 'Left Behind',
    metric: 'LeftBehind',
    statistic: 'Maximum',
    minutes: [4, 70],
    bad: 'any',
  },
  {
    kind: 'ZoneUnusable',
    heading: 'Zone Unusable',
    metric: 'PlacementRefusals',
    statistic: 'Sum',
    minutes: [10, 360],
    period: 10,
    bad: 'any',
  },
  {
    kind: 'SpotUnavailable',
    heading: 'Spot Unavailable',
    metric: 'SpotFallback',
    statistic: 'Maximum',
    minutes: [90, 120],
    period: 3,
    bad: 'any',
  },
  {
    kind: 'MaximumSizeTooSmall',
    heading: 'Maximum Size Too Small',
    metric: 'MaximumSizeTooSmall',
    statistic: 'Maximum',
    minutes: [3, 5],
    bad: 'any',
  },
  {
    kind: 'PausedWithTasks',
    heading: 'Jobs Wait For A Paused Fleet',
    metric: 'PausedWithTasks',
    statistic: 'Maximum',
    minutes: [5, 10],
    bad: 'any',
  },
  {
    kind: 'CountsDoubtful',
    heading: 'Counts Doubtful',
    metric: 'CountsDoubtful',
    statistic: 'Maximum',
    minutes: [3, 5],
    bad: 'any',
  },
  {
    kind: 'ProtectionOff',
    heading: 'Scale-In Protection Off',
    metric: 'ProtectionOff',
    statistic: 'Maximum',
    minutes: [3, 5],
    bad: 'any',
  },
  {
    kind: 'LaunchesFailing',
    heading: 'Launches Failing',
    metric: 'FailedLaunches',
    statistic: 'Sum',
    minutes: [3, 15],
    bad: 'any',
  },
];
const SCHEDULES = [{ Name: 'ScheduleGroup', Value: 'circleci-runners' }];
const STATE_MACHINE = [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners)' }];
const OF_ALL = [
  {
    kind: 'ExecutionsTimedOut',
    heading: 'Executions Timed Out',
    namespace: 'AWS/States',
    metric: 'ExecutionsTimedOut',
    dimensions: STATE_MACHINE,
    bad: 3,
  },
  {
    kind: 'ExecutionsThrottled',
    heading: 'Executions Throttled',
    namespace: 'AWS/Scheduler',
    metric: 'TargetErrorThrottledCount',
    dimensions: SCHEDULES,
    bad: 3,
  },
  {
    kind: 'DeliveryFailing',
    heading: 'Delivery Failing',
    namespace: 'AWS/Scheduler',
    metric: 'InvocationsSentToDeadLetterCount',
    dimensions: SCHEDULES,
    bad: 3,
  },
];

describe.each(EACH_FLEET)('of fleet $name, the alarm', ({ name }) => {
  const starvingMinutes = name === 'linux-large' ? 18 : 12;

  it.each(OF_FLEET)(
    '$kind watches $metric',
    ({ kind, heading, metric, statistic, minutes, bad, period = 1 }) => {
      const [badMinutes = 0, ofMinutes = 0] =
        typeof minutes === 'string' ? [starvingMinutes, starvingMinutes] : minutes;
      expect(named(`circleci-runners-${name}-${kind}`)).toMatchObject({
        Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
        MetricName: metric,
        Dimensions: [{ Name: 'Fleet', Value: name }],
        Statistic: statistic,
        Period: 60 * period,
        Threshold: 1,
        DatapointsToAlarm: badMinutes / period,
        EvaluationPeriods: ofMinutes / period,
        ...(bad === 'none'
          ? { ComparisonOperator: 'LessThanThreshold', TreatMissingData: 'breaching' }
          : { ComparisonOperator: 'GreaterThanOrEqualToThreshold', TreatMissingData: 'notBreaching' }),
        AlarmDescription: expect.stringMatching(
          `^Fleet ${name}: [^"]*\\.\n\nDo this first:\n1\\. [^"]*\n\nSee docs/operations\\.md, "${heading}"\\.$`,
        ),
      });
    },
  );
});

describe('of the stack, the alarm', () => {
  it.each(OF_ALL)('$kind watches $metric of $namespace by the minute', (alarm) => {
    expect(named(`circleci-runners-${alarm.kind}`)).toMatchObject({
      Namespace: alarm.namespace,
      MetricName: alarm.metric,
      Dimensions: alarm.dimensions,
      Statistic: 'Sum',
      Period: 60,
      // Of three fleets: one that fails on its own is no outage.
      Threshold: 2,
      DatapointsToAlarm: alarm.bad,
      EvaluationPeriods: 5,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmDescription: expect.stringMatching(`\nSee docs/operations\\.md, "${alarm.heading}"\\.$`),
    });
  });
});

it('the alarm for a failing search for what is left behind rings after half an hour', () => {
  expect(named('circleci-runners-ReconcileFailed')).toMatchObject({
    Namespace: 'AWS/States',
    MetricName: 'ExecutionsFailed',
    Dimensions: [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners-reconcile)' }],
    Statistic: 'Sum',
    Period: 60,
    Threshold: 1,
    DatapointsToAlarm: 3,
    EvaluationPeriods: 60,
    TreatMissingData: 'notBreaching',
  });
});

describe('the alarm for failures of all fleets', () => {
  it('watches failed executions that are counted as outages, or not counted at all', () => {
    const { Metrics, ...alarm } = named('circleci-runners-ExecutionsFailed');
    expect(alarm).toMatchObject({
      Threshold: 2,
      DatapointsToAlarm: 3,
      EvaluationPeriods: 5,
      TreatMissingData: 'notBreaching',
      AlarmDescription: expect.stringMatching(/\nSee docs\/operations\.md, "Executions Failed"\.$/),
    });
    const outages = {
      Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
      MetricName: 'OutageFailures',
      Dimensions: [{ Name: 'Stack', Value: 'circleci-runners' }],
    };
    const failed = { Namespace: 'AWS/States', MetricName: 'ExecutionsFailed', Dimensions: STATE_MACHINE };
    expect(Metrics).toEqual([
      expect.objectContaining({ Expression: 'IF(bad > 0, bad)' }),
      {
        Id: 'bad',
        Expression: 'MAX([FILL(outages, 0), FILL(failed, 0) - FILL(counted, 0)])',
        ReturnData: false,
      },
      ...[
        { Id: 'failed', Metric: failed, Stat: 'Sum' },
        { Id: 'counted', Metric: outages, Stat: 'SampleCount' },
        { Id: 'outages', Metric: outages, Stat: 'Sum' },
      ].map(({ Id, ...stat }) => ({
        Id,
        MetricStat: { ...stat, Period: 60 },
        ReturnData: false,
      })),
    ]);
  });

  it.each([
    { fleets: 1, bad: 1 },
    { fleets: 2, bad: 2 },
    { fleets: 200, bad: 2 },
    { fleets: 201, bad: 3 },
    { fleets: 1_000, bad: 10 },
  ])('of $fleets fleets rings from $bad failures a minute', ({ fleets, bad }) => {
    expect(badOutageFailures(fleets)).toBe(bad);
  });

  it('counts a failure for each kind that Outage is about, and for no other', () => {
    const { States } = JSON.parse(readFileSync('statemachine/autoscale.asl.json', 'utf8'));
    const routes = alarmsOfFleet(threeFleets()[0] as FleetConfig);
    for (const [kind, state] of Object.entries(FAILURES)) {
      expect(States[state].Parameters.outage).toBe(Number(routes[kind]?.route === 'Outage'));
    }
    const [, , ofAll] = States['Count Failure'].Parameters.MetricData;
    expect(ofAll).toMatchObject({ MetricName: 'OutageFailures', 'Value.$': '$.outage' });
  });
});

describe('all alarms', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  const all = [...alarms, ...composites];
  const headings = all.map(({ properties }) => {
    const [, heading] =
      /\nSee docs\/operations\.md, "(.+)"\.$/.exec(String(properties.AlarmDescription)) ?? [];
    return heading;
  });

  it('are these, and no others', () => {
    expect(all.map(({ properties }) => properties.AlarmName).toSorted()).toEqual(
      [
        ...EACH_FLEET.flatMap(({ name }) =>
          [...OF_FLEET.map(({ kind }) => kind), 'NeedsYou'].map((kind) => `circleci-runners-${name}-${kind}`),
        ),
        ...OF_ALL.map(({ kind }) => `circleci-runners-${kind}`),
        'circleci-runners-ExecutionsFailed',
        'circleci-runners-ReconcileFailed',
        'circleci-runners-Outage',
      ].toSorted(),
    );
  });

  it.each([...new Set(headings)])('that name "%s" have that heading in the runbook', (heading) => {
    expect(operations).toContain(`\n## ${heading}\n`);
  });

  it('watch one metric each, for which CloudWatch bills, but for one', () => {
    const withMath = alarms.filter(({ properties }) => 'Metrics' in properties);
    expect(withMath.map(({ properties }) => properties.AlarmName)).toEqual([
      'circleci-runners-ExecutionsFailed',
    ]);
  });

  it('say with the settings of the fleet what happened, and what to do first', () => {
    expect(named('circleci-runners-linux-large-Starving').AlarmDescription).toMatch(
      /^Fleet linux-large: for 18 minutes, tasks have waited and none was claimed, or nothing has launched for them: instances do not come, or their runners take no tasks\.\n/,
    );
    expect(named('circleci-runners-arm-CircleCiRefuses').AlarmDescription).toBe(
      [
        'Fleet arm: in 3 of the last 5 minutes, CircleCI refused the token or the resource class. The group keeps its capacity and does not follow the queue.',
        '',
        'Do this first:',
        '1. Check in CircleCI that the personal API token is not revoked, and that its owner sees the resource class.',
        '2. Store a token that CircleCI accepts: npm run secrets -- arm',
        '3. Compare resourceClass in fleets.yaml with CircleCI, letter by letter.',
        '',
        'See docs/operations.md, "CircleCI Refuses".',
      ].join('\n'),
    );
  });

  it.each(all.map(({ properties: { AlarmName, AlarmDescription } }) => [AlarmName, AlarmDescription]))(
    '%s has up to three first steps, with commands that exist, in what CloudWatch takes',
    (_, description) => {
      const lines = String(description).split('\n');
      const steps = lines.filter((line) => /^\d\. /.test(line));
      expect(steps.length).toBeGreaterThan(1);
      expect(steps.length).toBeLessThan(4);
      for (const [, script = ''] of String(description).matchAll(/npm run ([a-z:]+)/g))
        expect(Object.keys(scripts)).toContain(script);
      // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html, for a fleet with the
      // longest name.
      expect(`${description}`.length).toBeLessThan(1_024 - 4 * 32);
    },
  );
});

describe('the description of an alarm of another app', () => {
  const described = (fleets: string, steps: string[]) => {
    const app = new App({ context: { fleets } });
    return descriptionOf(new Stack(app, 'team-b'), { app: 'team-b', wrong: 'No.', steps, heading: 'Outage' });
  };

  it('names the app and its file in each command', () => {
    expect(described('teams/b.yaml', ['npm run secrets -- linux', 'npx cdk deploy --all'])).toContain(
      '1. npm run secrets -- --fleets teams/b.yaml --stack team-b linux\n2. npx cdk deploy --all -c fleets=teams/b.yaml -c stack=team-b',
    );
  });

  it('names no file of other machines', () => {
    expect(described('/etc/b.yaml', ['npx cdk deploy --all'])).toContain('-c fleets=FILE -c stack=team-b');
  });

  it('leaves the file out if CloudWatch would not take it', () => {
    const text = described(`${'long/'.repeat(200)}b.yaml`, ['npx cdk deploy --all']);
    expect(text).toContain('-c fleets=FILE -c stack=team-b');
    expect(text.length).toBeLessThanOrEqual(1_024);
  });
});

describe('an address of the runbook', () => {
  const synthesised = (runbookUrl: unknown) => {
    const app = emptyApp();
    app.node.setContext('runbookUrl', runbookUrl);
    app.node.setContext('runner', 'current');
    return app;
  };

  it('is in each alarm, in the causes of failures and on the dashboard', () => {
    const app = synthesised('https://wiki.acme.example/runners/operations.md');
    const { shared, fleets } = stacksOf(app, STACK_NAME, fleetsOf(MINIMAL));
    const texts = [shared, ...fleets].map((stack) => JSON.stringify(Template.fromStack(stack).toJSON()));
    expect(texts.join('')).toContain('See https://wiki.acme.example/runners/operations.md#circleci-refuses"');
    expect(texts.join('')).toContain(
      'See https://wiki.acme.example/runners/operations.md#settings-unreadable',
    );
    expect(texts.join('')).toContain('[the runbook](https://wiki.acme.example/runners/operations.md)');
    expect(texts.join('')).not.toContain('docs/operations.md');
  });

  it.each(['http://wiki.acme.example', 'wiki', 'https://a.example/#top', 'https://a b', 7, ''])(
    'is refused: %j',
    (url) => {
      expect(() => new CircleCiRunners(synthesised(url), 'Runners')).toThrow(
        `-c runbookUrl must be the https address of docs/operations.md as your people read it, without #, got ${JSON.stringify(url)}`,
      );
    },
  );
});

it('the alarm on missing heartbeats is made after a first one, which comes late, and before the schedule', () => {
  /** What the resource of fleet arm depends on whose id begins so. */
  const dependencies = (type: string, id: string) => {
    const found = template.all(type).find((each) => each.id.startsWith(id));
    return [found?.attributes.DependsOn].flat().map(String);
  };
  expect(dependencies('AWS::CloudWatch::Alarm', 'ArmAlarmsNotRunning')).toEqual(['ArmFirstHeartbeat']);
  const before = dependencies('Custom::circleci-runners-fleet', 'ArmFirstHeartbeat').join();
  expect(before).toMatch(/ArmFleetGroup/);
  expect(before).toMatch(/ArmAlarmsStarving/);
  expect(before).not.toMatch(/NeedsYou|Schedule/);
  expect(dependencies('AWS::Scheduler::Schedule', 'ArmSchedule').join()).toContain('ArmAlarmsNotRunning');
});

describe('without runbookUrl, the runbook is', () => {
  it.each([
    {
      repository: 'https://github.com/acme/runners',
      is: 'https://github.com/acme/runners/blob/HEAD/docs/operations.md',
    },
    {
      repository: { type: 'git', url: 'git+https://github.com/acme/runners.git' },
      is: 'https://github.com/acme/runners/blob/HEAD/docs/operations.md',
    },
    { repository: 'github:acme/runners', is: 'https://github.com/acme/runners/blob/HEAD/docs/operations.md' },
    { repository: 'acme/runners', is: 'https://github.com/acme/runners/blob/HEAD/docs/operations.md' },
    {
      repository: 'https://gitlab.com/acme/ci/runners/',
      is: 'https://gitlab.com/acme/ci/runners/-/blob/HEAD/docs/operations.md',
    },
    {
      repository: 'gitlab:acme/ci/runners',
      is: 'https://gitlab.com/acme/ci/runners/-/blob/HEAD/docs/operations.md',
    },
    {
      repository: 'https://gitlab.com/acme/ci/runners/-/tree/main',
      is: 'https://gitlab.com/acme/ci/runners/-/blob/HEAD/docs/operations.md',
    },
    ...[
      'https://github.com/acme/runners/tree/main',
      'https://github.com/acme/runners/issues?q=is:open',
      'https://somebody:password@github.com/acme/runners.git',
      'ssh://git@github.com/acme/runners',
      'git+ssh://git@github.com:22/acme/runners.git',
      'git@github.com:acme/runners.git',
      'git://github.com/acme/runners.git',
      'git+https://github.com/acme/runners.git#main',
      'github:acme/runners#v1',
    ].map((repository) => ({
      repository,
      is: 'https://github.com/acme/runners/blob/HEAD/docs/operations.md',
    })),
    {
      repository: { url: 'https://github.com/acme/ci.git', directory: './packages/runners/' },
      is: 'https://github.com/acme/ci/blob/HEAD/packages/runners/docs/operations.md',
    },
    {
      repository: { url: 'https://github.com/acme/ci.git', directory: 'CI tools/#1' },
      is: 'https://github.com/acme/ci/blob/HEAD/CI%20tools/%231/docs/operations.md',
    },
  ])('in the repository $repository', ({ repository, is }) =>
    expect(fileIn(repository, 'docs/operations.md')).toBe(is),
  );

  it.each([
    { repository: undefined },
    { repository: 'https://git.acme.example/ci/runners' },
    { repository: 'https://github.com/acme' },
    { repository: 'https://github.com' },
    { repository: 'ssh://git@git.acme.example/ci/runners' },
    { repository: 'bitbucket:acme/runners' },
    { repository: 'gist:11081aaa281' },
    { repository: './acme/runners' },
    { repository: { url: 'https://github.com/acme/ci', directory: 'runners/../..' } },
    { repository: 'https://[' },
    { repository: 'http://github.com/acme/runners' },
    { repository: {} },
    { repository: 7 },
  ])('a file of the checkout if the repository is $repository', ({ repository }) =>
    expect(fileIn(repository, 'docs/operations.md')).toBeUndefined(),
  );

  it('what package.json says', () => {
    const { repository } = JSON.parse(readFileSync('package.json', 'utf8'));
    const url = fileIn(repository, 'docs/operations.md');
    const [alarm] = alarms;
    expect(`${alarm?.properties.AlarmDescription}`.split('\n').at(-1)).toContain(
      url === undefined ? 'See docs/operations.md, "' : `See ${url}#`,
    );
  });
});

describe('the topics', () => {
  const topic = 'arn:aws:sns:eu-west-1:111122223333:circleci-runners';
  const builds = 'arn:aws:sns:eu-west-1:111122223333:builds';

  it.each([
    { alarm: 'circleci-runners-Outage', topics: ['Topic(circleci-runners)', builds] },
    { alarm: 'circleci-runners-arm-NeedsYou', topics: [topic] },
    { alarm: 'circleci-runners-arm-Saturated', topics: [topic] },
    { alarm: 'circleci-runners-arm-ZoneUnusable', topics: [topic] },
    { alarm: 'circleci-runners-arm-LeftBehind', topics: [topic] },
    { alarm: 'circleci-runners-linux-large-LeftBehind', topics: [topic, builds] },
    { alarm: 'circleci-runners-ReconcileFailed', topics: ['Topic(circleci-runners)', builds] },
    { alarm: 'circleci-runners-arm-SpotUnavailable', topics: [topic] },
    { alarm: 'circleci-runners-linux-large-NeedsYou', topics: [topic, builds] },
    { alarm: 'circleci-runners-linux-large-ZoneUnusable', topics: [topic, builds] },
    { alarm: 'circleci-runners-linux-large-SpotUnavailable', topics: [topic, builds] },
    { alarm: 'circleci-runners-arm-PausedWithTasks', topics: [topic] },
    { alarm: 'circleci-runners-linux-large-PausedWithTasks', topics: [topic, builds] },
    { alarm: 'circleci-runners-owned-PausedWithTasks', topics: [topic] },
    { alarm: 'circleci-runners-owned-ZoneUnusable', topics: [topic] },
    { alarm: 'circleci-runners-owned-SpotUnavailable', topics: [topic] },
    { alarm: 'circleci-runners-linux-large-Saturated', topics: [topic, builds] },
    { alarm: 'circleci-runners-owned-NeedsYou', topics: [topic] },
    { alarm: 'circleci-runners-owned-Saturated', topics: [topic] },
  ])('$topics are notified when $alarm starts and ends', ({ alarm, topics }) => {
    expect(named(alarm)).toMatchObject({ AlarmActions: topics, OKActions: topics });
  });

  it('are notified by no other alarm', () => {
    const speaking = [...alarms, ...composites].filter(({ properties }) =>
      ['AlarmActions', 'OKActions', 'InsufficientDataActions'].some((actions) => actions in properties),
    );
    expect(speaking).toHaveLength(20);
  });

  it('of several fleets are notified once', () => {
    const fleets = fleetsWith({
      a: { alarmTopicArn: builds },
      b: { alarmTopicArn: builds },
      c: { alarmTopicArn: `${builds}-c` },
    });
    const outage = SynthesisedTemplate.of(fleets).the('AWS::CloudWatch::CompositeAlarm', 'AlarmsOutage');
    expect(outage.properties.AlarmActions).toEqual(['Topic(circleci-runners)', builds, `${builds}-c`]);
  });

  it.each(['Outage', 'ReconcileFailed'])(
    'of %s may be more than the five that an alarm can notify',
    (kind) => {
      const topics = Array.from({ length: 11 }, (_, index) => `${builds}-${index}`);
      const fleets = SynthesisedTemplate.of(
        fleetsWith(
          Object.fromEntries(topics.map((arn, index) => [`fleet-${index}`, { alarmTopicArn: arn }])),
        ),
      );
      const notified = ['Alarm', 'CompositeAlarm'].flatMap((type) =>
        fleets.all(`AWS::CloudWatch::${type}`).flatMap(({ properties }) => {
          const { AlarmName, AlarmRule, AlarmActions } = properties;
          return String(AlarmName).startsWith(`circleci-runners-${kind}`)
            ? [{ AlarmName, AlarmRule, AlarmActions }]
            : [];
        }),
      );
      expect(notified.map(({ AlarmName }) => AlarmName)).toEqual(
        ['', 'Topics2', 'Topics3'].map((end) => `circleci-runners-${kind}${end}`),
      );
      expect(notified.flatMap(({ AlarmActions }) => AlarmActions)).toEqual([
        'Topic(circleci-runners)',
        ...topics,
      ]);
      for (const { AlarmActions } of notified) expect(Object(AlarmActions).length).toBeLessThanOrEqual(5);
      for (const { AlarmRule } of notified.slice(1))
        expect(AlarmRule).toBe(`ALARM("circleci-runners-${kind}")`);
    },
  );

  it("allow alarms to publish to the stack's own topic, in spite of its policy", () => {
    expect(template.the('AWS::SNS::TopicPolicy').properties).toMatchObject({
      Topics: ['Topic(circleci-runners)'],
      PolicyDocument: {
        Statement: expect.arrayContaining([
          {
            Sid: expect.any(String),
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
            Resource: 'Topic(circleci-runners)',
            Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
          },
        ]),
      },
    });
  });

  it('subscribe each address once', () => {
    expect(template.all('AWS::SNS::Subscription').map(({ properties }) => properties)).toEqual([
      { Protocol: 'email', Endpoint: 'ops@acme.example', TopicArn: 'Topic(circleci-runners)' },
    ]);
  });
});
