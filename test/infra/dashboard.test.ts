import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { UNITS } from '../../functions/lib/metric-units.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { EACH_FLEET, threeFleets } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(threeFleets());

const Widget = z.object({
  type: z.string(),
  x: z.number(),
  y: z.number(),
  width: z.number(),
  height: z.number(),
  properties: z.object({
    title: z.string().optional(),
    markdown: z.string().optional(),
    stacked: z.boolean().optional(),
    alarms: z.array(z.string()).default([]),
    metrics: z.array(z.array(z.unknown())).default([]),
  }),
});
const { widgets } = z
  .object({ widgets: z.array(Widget) })
  .parse(JSON.parse(String(template.the('AWS::CloudWatch::Dashboard').properties.DashboardBody)));

/** A line of a graph; an expression has nothing but its settings. */
const Settings = z.looseObject({ expression: z.string().optional(), stat: z.string().optional() });
const lines = widgets.flatMap(({ properties }) => properties.metrics);
const metrics = lines.filter(([first]) => typeof first === 'string');
const expressions = lines
  .filter(([first]) => typeof first === 'object')
  .map(([settings]) => Settings.parse(settings).expression);

/** The widgets from a heading to the next. */
function under(heading: string) {
  const first = widgets.findIndex(({ properties }) => properties.markdown?.startsWith(`## ${heading}\n`));
  const next = widgets.findIndex(({ type }, index) => type === 'text' && index > first);
  if (first < 0) throw new Error(`No text begins with ${heading}`);
  return widgets.slice(first, next < 0 ? undefined : next);
}
const metricsOf = (title: string, among: z.infer<typeof Widget>[]) =>
  among
    .filter(({ properties }) => properties.title === title)
    .flatMap(({ properties }) => properties.metrics.map(([, metric]) => metric));
const alarmsNamed = (pattern: RegExp) =>
  ['CompositeAlarm', 'Alarm'].flatMap((type) =>
    template
      .all(`AWS::CloudWatch::${type}`)
      .map(({ properties }) => String(properties.AlarmName))
      .filter((name) => pattern.test(name))
      .map((name) =>
        /-(arm|linux-large|owned)-/.test(name)
          ? `arn:aws:cloudwatch:eu-west-1:111122223333:alarm:${name}`
          : `${type}(${name}).Arn`,
      ),
  );

describe('the dashboard', () => {
  it('has the name of the stack', () => {
    expect(template.the('AWS::CloudWatch::Dashboard').properties.DashboardName).toBe('circleci-runners');
  });

  it('shows only metrics that something publishes', () => {
    const put = (namespace: string, names: string[], dimension: string, values: string[]) =>
      names.flatMap((name) => values.map((value) => [namespace, name, dimension, value].join(' ')));
    const fleets = EACH_FLEET.map(({ name }) => name);
    const groups = template.all('AWS::AutoScaling::AutoScalingGroup').map(({ properties }) => properties);
    const known = new Set([
      ...put(
        'CircleCIRunnerAutoscaler/circleci-runners',
        [...Object.keys(FAILURES), ...Object.keys(UNITS)],
        'Fleet',
        fleets,
      ),
      ...put(
        'AWS/AutoScaling',
        ['GroupDesiredCapacity', 'GroupInServiceInstances', 'GroupPendingInstances'],
        'AutoScalingGroupName',
        groups.map(({ AutoScalingGroupName }) => String(AutoScalingGroupName)),
      ),
      ...put(
        'AWS/States',
        ['ExecutionsStarted', 'ExecutionsSucceeded', 'ExecutionsFailed', 'ExecutionsTimedOut'],
        'StateMachineArn',
        ['StateMachine(circleci-runners)'],
      ),
      ...put('AWS/Scheduler', ['TargetErrorThrottledCount'], 'ScheduleGroup', [
        String(template.the('AWS::Scheduler::ScheduleGroup').properties.Name),
      ]),
    ]);
    const strange = metrics.filter((line) => !known.has(line.slice(0, 4).join(' ')));
    // A group publishes metrics only if they are enabled; without a list, it publishes all of them.
    for (const { MetricsCollection } of groups)
      expect(MetricsCollection).toEqual([{ Granularity: '1Minute' }]);
    expect(metrics.length).toBeGreaterThan(50);
    expect(strange).toEqual([]);
  });

  it('is a grid in which nothing overlaps', () => {
    const taken = new Set<string>();
    for (const { x, y, width, height } of widgets) {
      for (let column = x; column < x + width; column++) {
        for (let row = y; row < y + height; row++) {
          expect(column).toBeLessThan(24);
          expect(taken).not.toContain(`${column}/${row}`);
          taken.add(`${column}/${row}`);
        }
      }
    }
  });
});

describe.each(EACH_FLEET)('the rows of fleet $name', ({ name }) => {
  const rows = under(`Fleet ${name}`);

  it('describe the fleet and link to its resources', () => {
    expect(rows[0]?.properties.markdown).toBe(
      [
        `## Fleet ${name}`,
        '',
        `Resource class \`acme/${name}\`, [Auto Scaling group](https://console.aws.amazon.com/ec2/home?region=eu-west-1#AutoScalingGroupDetails:id=circleci-runners-${name};view=details), [workflow](https://console.aws.amazon.com/states/home?region=eu-west-1#/express-statemachines/view/StateMachine(circleci-runners)). Each alarm has a section in \`docs/operations.md\`.`,
      ].join('\n'),
    );
  });

  it('show the queue, the wait, failures and launches', () => {
    expect(rows.map(({ properties }) => properties.title)).toEqual([
      undefined,
      'Queue and capacity',
      'Estimated queue wait (s)',
      'Failures by kind',
      'Launches',
      'Parts of a boot until its runner is up (s)',
      'First task after the runner is up, and resume from a warm pool (s)',
      `Alarms of fleet ${name}`,
    ]);
    expect(metricsOf('Queue and capacity', rows)).toEqual([
      'UnclaimedTasks',
      'RunningTasks',
      'GroupDesiredCapacity',
      'GroupInServiceInstances',
      'GroupPendingInstances',
    ]);
    expect(metricsOf('Failures by kind', rows)).toEqual(Object.keys(FAILURES));
    expect(metricsOf('Launches', rows)).toEqual(['Launches', 'FailedLaunches', 'BreakerOpen']);
    expect(rows.filter(({ properties }) => properties.stacked)).toHaveLength(2);
    expect(metricsOf('Parts of a boot until its runner is up (s)', rows)).toEqual(
      Array.from({ length: 5 }, () => 'BootSeconds'),
    );
    const others = rows.flatMap(({ properties }) =>
      properties.metrics.filter(([namespace, , dimension, value]) =>
        namespace === 'AWS/AutoScaling'
          ? dimension !== 'AutoScalingGroupName' || value !== `circleci-runners-${name}`
          : dimension === 'Fleet' && value !== name,
      ),
    );
    expect(others).toEqual([]);
  });

  it('show its alarms', () => {
    const [shown = []] = rows.flatMap(({ type, properties }) =>
      type === 'alarm' ? [properties.alarms] : [],
    );
    expect(shown).toEqual(alarmsNamed(new RegExp(`^circleci-runners-${name}-[A-Za-z]+$`)));
    expect(shown).toHaveLength(23);
  });
});

describe('the rows of all fleets', () => {
  const rows = under('All fleets');

  it('show how executions end, how long polls take, and the alarms', () => {
    expect(metricsOf('Executions', rows)).toEqual([
      'ExecutionsStarted',
      'ExecutionsSucceeded',
      'ExecutionsFailed',
      'ExecutionsTimedOut',
      'TargetErrorThrottledCount',
    ]);
    const durations = rows.flatMap(({ properties }) =>
      properties.title?.startsWith('Duration') ? properties.metrics : [],
    );
    expect(
      durations.map(([, metric, , fleet, settings]) => [metric, fleet, Settings.parse(settings).stat]),
    ).toEqual(
      EACH_FLEET.flatMap(({ name }) => [
        ['PollDuration', name, 'p50'],
        ['PollDuration', name, 'p99'],
      ]),
    );
    expect(rows.at(-1)?.properties.alarms).toEqual(alarmsNamed(/^circleci-runners-[A-Za-z]+$/));
  });
});

describe('the estimated wait', () => {
  const FUNCTIONS = {
    FILL: (series: number | undefined, value: number) => series ?? value,
    PERIOD: () => 300,
    IF: (condition: boolean, yes: number, no: number) => (condition ? yes : no),
  };
  const estimate = (unclaimed: number | undefined, claimed: number | undefined) =>
    new Function('unclaimed', 'claimed', ...Object.keys(FUNCTIONS), `return ${expressions[0]}`)(
      unclaimed,
      claimed,
      ...Object.values(FUNCTIONS),
    );

  it('is the same sum for each fleet', () => {
    expect(expressions).toHaveLength(EACH_FLEET.length);
    expect(new Set(expressions).size).toBe(1);
  });

  it.each([
    { unclaimed: 4, claimed: 20, seconds: 60 },
    { unclaimed: 0.5, claimed: 5, seconds: 30 },
    { unclaimed: 0, claimed: 5, seconds: 0 },
    { unclaimed: 2, claimed: undefined, seconds: 600 },
    { unclaimed: 2, claimed: 0, seconds: 600 },
    { unclaimed: undefined, claimed: undefined, seconds: 0 },
  ])(
    'is $seconds s with $unclaimed unclaimed tasks on average and $claimed claims in 5 minutes',
    ({ unclaimed, claimed, seconds }) => {
      expect(estimate(unclaimed, claimed)).toBe(seconds);
    },
  );
});
