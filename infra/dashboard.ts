import { Aws, CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import {
  type AlarmBase,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IWidget,
  MathExpression,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { FleetMetric } from '../statemachine/alarms.ts';
import { FAILURES, type Failure } from '../statemachine/failures.ts';
import type { Alarms } from './alarms.ts';
import { fleetMetric, groupMetric } from './metrics.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import type { ScalingWorkflow } from './scaling-workflow.ts';

const CONSOLE = 'https://console.aws.amazon.com';
const WHOLE_ROW = 24;
const RUNBOOK = 'Each alarm has a section in `docs/operations.md`.';

export interface FleetsDashboardProps {
  fleets: RunnerFleet[];
  workflow: ScalingWorkflow;
  alarms: Alarms;
}

/** The dashboard: rows for each fleet, and rows for what all fleets share. */
export class FleetsDashboard extends Dashboard {
  constructor(scope: Construct, id: string, { fleets, workflow, alarms }: FleetsDashboardProps) {
    const { stateMachine, schedules } = workflow;
    const { stackName } = Stack.of(scope);
    const workflowLink = `[workflow](${CONSOLE}/states/home?region=${Aws.REGION}#/express-statemachines/view/${stateMachine.stateMachineArn})`;
    super(scope, id, {
      dashboardName: stackName,
      widgets: [
        ...fleets.flatMap((fleet) =>
          rowsOf(fleet, workflowLink, alarms.ofFleets.get(fleet.config.name) ?? []),
        ),
        [text(`## All fleets\n\n${workflowLink}. ${RUNBOOK}`)],
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
            left: fleets.flatMap(({ config: { name } }) =>
              ['p50', 'p99'].map((percentile) =>
                fleetMetric(name, 'PollDuration', percentile).with({ label: `${name} ${percentile}` }),
              ),
            ),
          }),
        ],
        [status('Alarms of all fleets', alarms.ofStack)],
      ],
    });

    new CfnOutput(Stack.of(scope), 'DashboardUrl', {
      value: `${CONSOLE}/cloudwatch/home?region=${Aws.REGION}#dashboards/dashboard/${stackName}`,
    });
  }
}

/** A fleet's links, graphs and alarms. */
function rowsOf({ config, groupName }: RunnerFleet, workflowLink: string, alarms: AlarmBase[]): IWidget[][] {
  const measured = (metric: FleetMetric, statistic: string, label: string) =>
    fleetMetric(config.name, metric, statistic).with({ label });
  const group = `[Auto Scaling group](${CONSOLE}/ec2/home?region=${Aws.REGION}#AutoScalingGroupDetails:id=${groupName};view=details)`;
  return [
    [
      text(
        `## Fleet ${config.name}\n\nResource class \`${config.resourceClass}\`, ${group}, ${workflowLink}. ${RUNBOOK}`,
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
      graph('Estimated queue wait (s)', WHOLE_ROW / 4, { left: [queueWait(config.name)] }),
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
    [status(`Alarms of fleet ${config.name}`, alarms)],
  ];
}

/**
 * By Little's law, the mean wait is the length of the queue divided by the rate at which tasks leave it. While no task
 * leaves, the expression assumes one, so the true wait is at least that.
 */
function queueWait(fleet: string): MathExpression {
  return new MathExpression({
    expression: 'FILL(unclaimed, 0) * PERIOD(unclaimed) / IF(FILL(claimed, 0) > 0, FILL(claimed, 0), 1)',
    usingMetrics: {
      unclaimed: fleetMetric(fleet, 'UnclaimedTasks', 'Average'),
      claimed: fleetMetric(fleet, 'ClaimedTasks', 'Sum'),
    },
    // Few tasks leave in one minute, so a shorter period would be noise.
    period: Duration.minutes(5),
    label: 'wait',
  });
}

const text = (markdown: string) => new TextWidget({ markdown, width: WHOLE_ROW, height: 2 });

const graph = (
  title: string,
  width: number,
  lines: { left: (MathExpression | ReturnType<typeof fleetMetric>)[]; stacked?: boolean },
) => new GraphWidget({ title, width, height: 6, leftYAxis: { min: 0, showUnits: false }, ...lines });

const status = (title: string, alarms: AlarmBase[]) =>
  new AlarmStatusWidget({ title, alarms, width: WHOLE_ROW, height: 3 });
