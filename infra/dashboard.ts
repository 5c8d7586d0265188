import { Aws, CfnMapping, CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  AlarmStatusWidget,
  Dashboard,
  DashboardVariable,
  DefaultValue,
  GraphWidget,
  type IAlarm,
  type IWidget,
  MathExpression,
  TextWidget,
  Values,
  VariableInputType,
  VariableType,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { UNTIL_RUNNER } from '../functions/lib/boots.ts';
import type { FleetMetric } from '../statemachine/alarms.ts';
import { FAILURES, type Failure } from '../statemachine/failures.ts';
import type { SharedAlarms } from './alarms.ts';
import { FleetAlarms } from './fleet-alarms.ts';
import { bootMetric, fleetMetric, groupMetric } from './metrics.ts';
import { runbookLink } from './runbook.ts';
import type { ScalingWorkflow } from './scaling-workflow.ts';
import { Shared } from './shared.ts';

/** Where each partition has its console. */
const CONSOLES = {
  aws: { host: 'console.aws.amazon.com' },
  'aws-cn': { host: 'console.amazonaws.cn' },
  'aws-us-gov': { host: 'console.amazonaws-us-gov.com' },
};
const WHOLE_ROW = 24;

export interface FleetsDashboardProps {
  app: string;
  fleets: FleetConfig[];
  workflow: ScalingWorkflow;
  alarms: SharedAlarms;
}

/**
 * With more fleets, the dashboard has the rows of one fleet and a menu of all: a dashboard has at most 500 widgets, and a
 * template 1 MB.
 */
export const MOST_FLEETS_IN_ROWS = 40;

/** What the menu replaces by the name of a fleet. No fleet has this name, because it begins with a digit. */
const CHOSEN = '0-CHOSEN-FLEET';

/** The dashboard: rows for each fleet, and rows for what all fleets share. It knows the fleets by their names. */
export class FleetsDashboard extends Dashboard {
  constructor(scope: Construct, id: string, { app, fleets, workflow, alarms }: FleetsDashboardProps) {
    const { stateMachine, schedules } = workflow;
    const consoles = new CfnMapping(scope, 'Consoles', { mapping: CONSOLES });
    const console = `https://${consoles.findInMap(Aws.PARTITION, 'host')}`;
    const workflowLink = `[workflow](${console}/states/home?region=${Aws.REGION}#/express-statemachines/view/${stateMachine.stateMachineArn})`;
    const runbook = runbookLink(scope);
    const [first] = fleets;
    const chosen: FleetConfig | undefined =
      fleets.length > MOST_FLEETS_IN_ROWS && first !== undefined
        ? { ...first, name: CHOSEN, resourceClass: CHOSEN }
        : undefined;
    const shown = chosen === undefined ? fleets : [chosen];
    super(scope, id, {
      dashboardName: app,
      ...(chosen !== undefined && first !== undefined && { variables: [menuOf(fleets, first.name)] }),
      widgets: [
        ...shown.flatMap((fleet) => rowsOf(scope, app, fleet, { console, workflowLink })),
        [text(`## All fleets\n\n${workflowLink}. ${runbook}`)],
        [
          graph('Executions', WHOLE_ROW / 2, {
            left: [
              stateMachine.metricStarted({ label: 'started' }),
              stateMachine.metricSucceeded({ label: 'succeeded' }),
              stateMachine.metricFailed({ label: 'failed' }),
              stateMachine.metricTimedOut({ label: 'timed out' }),
              schedules.metricTargetThrottled({ label: 'throttled', statistic: 'Sum' }),
            ].map((metric) => metric.with({ period: Duration.minutes(1) })),
          }),
          graph('Duration of polls (ms)', WHOLE_ROW / 2, {
            left: shown.flatMap(({ name }) =>
              ['p50', 'p99'].map((percentile) =>
                fleetMetric({ app, fleet: name }, 'PollDuration', percentile).with({
                  label: `${name} ${percentile}`,
                }),
              ),
            ),
          }),
        ],
        [status('Alarms of all fleets', alarms.all)],
      ],
    });

    new CfnOutput(Stack.of(scope), 'DashboardUrl', {
      value: `${console}/cloudwatch/home?region=${Aws.REGION}#dashboards/dashboard/${app}`,
    });
  }
}

/** The menu of all fleets. */
const menuOf = (fleets: FleetConfig[], first: string) =>
  new DashboardVariable({
    id: 'fleet',
    label: 'Fleet',
    type: VariableType.PATTERN,
    value: CHOSEN,
    inputType: VariableInputType.SELECT,
    // Without a default, the graphs are empty until somebody chooses a fleet.
    defaultValue: DefaultValue.value(first),
    values: Values.fromValues(...fleets.map(({ name }) => ({ label: name, value: name }))),
  });

/** A fleet's links, graphs and alarms. */
function rowsOf(
  scope: Construct,
  app: string,
  config: FleetConfig,
  { console, workflowLink }: { console: string; workflowLink: string },
): IWidget[][] {
  const groupName = groupNameOf(app, config.name);
  const shared = new Shared(scope, app);
  const references = new Construct(scope, `AlarmsOf${config.name}`);
  const alarms = FleetAlarms.namesOf(app, config).map((name) =>
    Alarm.fromAlarmArn(references, name, shared.alarmArn(name)),
  );
  const measured = (metric: FleetMetric, statistic: string, label: string) =>
    fleetMetric({ app, fleet: config.name }, metric, statistic).with({ label });
  const group = `[Auto Scaling group](${console}/ec2/home?region=${Aws.REGION}#AutoScalingGroupDetails:id=${groupName};view=details)`;
  return [
    [
      text(
        `## Fleet ${config.name}\n\n${config.name === CHOSEN ? '' : `Resource class \`${config.resourceClass}\`, `}${group}, ${workflowLink}. ${runbookLink(scope)}`,
      ),
    ],
    [
      graph('Queue and capacity', WHOLE_ROW / 4, {
        left: [
          measured('UnclaimedTasks', 'Maximum', 'unclaimed'),
          measured('RunningTasks', 'Maximum', 'running'),
          groupMetric(groupName, 'GroupDesiredCapacity').with({ label: 'desired' }),
          groupMetric(groupName, 'GroupInServiceInstances').with({ label: 'in service' }),
          groupMetric(groupName, 'GroupPendingInstances').with({ label: 'pending' }),
        ],
      }),
      graph('Estimated queue wait (s)', WHOLE_ROW / 4, { left: [queueWait({ app, fleet: config.name })] }),
      graph('Failures by kind', WHOLE_ROW / 4, {
        left: Object.entries(FAILURES).map(([kind, heading]) => measured(kind as Failure, 'Sum', heading)),
        stacked: true,
      }),
      graph('Launches', WHOLE_ROW / 4, {
        left: [
          measured('Launches', 'Sum', 'launches'),
          measured('FailedLaunches', 'Sum', 'failed'),
          measured('BreakerOpen', 'Maximum', 'breaker open'),
        ],
      }),
    ],
    [
      graph('Parts of a boot until its runner is up (s)', WHOLE_ROW / 2, {
        left: UNTIL_RUNNER.map((phase) => bootMetric({ app, fleet: config.name }, phase)),
        stacked: true,
      }),
      graph('First task after the runner is up, and resume from a warm pool (s)', WHOLE_ROW / 2, {
        left: (['FirstClaim', 'Resume'] as const).map((phase) =>
          bootMetric({ app, fleet: config.name }, phase),
        ),
      }),
    ],
    [status(`Alarms of fleet ${config.name}`, alarms)],
  ];
}

/**
 * By Little's law, the mean wait is the length of the queue divided by the rate at which tasks leave it. While no task
 * leaves, the expression assumes one, so the true wait is at least that.
 */
function queueWait(fleet: { app: string; fleet: string }): MathExpression {
  // Few tasks leave in one minute, so a shorter period would be noise.
  const period = Duration.minutes(5);
  return new MathExpression({
    expression: 'FILL(unclaimed, 0) * PERIOD(unclaimed) / IF(FILL(claimed, 0) > 0, FILL(claimed, 0), 1)',
    usingMetrics: {
      unclaimed: fleetMetric(fleet, 'UnclaimedTasks', 'Average').with({ period }),
      claimed: fleetMetric(fleet, 'ClaimedTasks', 'Sum').with({ period }),
    },
    period,
    label: 'wait',
  });
}

const text = (markdown: string) => new TextWidget({ markdown, width: WHOLE_ROW, height: 2 });

const graph = (
  title: string,
  width: number,
  lines: { left: (MathExpression | ReturnType<typeof fleetMetric>)[]; stacked?: boolean },
) => new GraphWidget({ title, width, height: 6, leftYAxis: { min: 0, showUnits: false }, ...lines });

const status = (title: string, alarms: IAlarm[]) =>
  new AlarmStatusWidget({ title, alarms, width: WHOLE_ROW, height: 3 });
