import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  type AlarmBase,
  AlarmRule,
  ComparisonOperator,
  CompositeAlarm,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { type AdvisedApp, forApp } from '../functions/lib/advice.ts';
import { type AlarmSettings, badFrom, STACK_ALARMS, type StackAlarm } from '../statemachine/alarms.ts';
import { FIRST_STEPS } from '../statemachine/first-steps.ts';
import { advisedApp } from './advised-app.ts';
import { outageMetric } from './metrics.ts';
import { runbookReference } from './runbook.ts';
import type { ScalingWorkflow } from './scaling-workflow.ts';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html */
const MOST_ACTIONS = 5;
const LONGEST_DESCRIPTION = 1_024;

/** The alarm of all fleets that notifies you. */
export const outageOf = (app: string): string => `${app}-Outage`;

export interface SharedAlarmsProps {
  app: string;
  /** Number of fleets. */
  fleets: number;
  workflow: ScalingWorkflow;
  /** The state machine that finds what fleets leave behind. */
  reconcile: StateMachine;
  /** The topics that they notify. */
  topicArns: string[];
}

/** The alarms of what all fleets share, and the composite alarm over them that notifies you. */
export class SharedAlarms extends Construct {
  /** The composite alarm first. */
  readonly all: AlarmBase[];

  constructor(
    scope: Construct,
    id: string,
    { app, fleets, workflow, reconcile, topicArns }: SharedAlarmsProps,
  ) {
    super(scope, id);
    const name = (kind: string) => `${app}-${kind}`;
    const metrics = sharedMetrics(app, workflow, reconcile);
    const kinds = Object.keys(STACK_ALARMS) as StackAlarm[];
    const alarms = kinds.map((kind) => {
      const alarm = metricAlarm(this, kind, {
        alarmName: name(kind),
        metric: metrics[kind],
        ...STACK_ALARMS[kind],
        app,
        steps: FIRST_STEPS[kind],
        threshold: badFrom(kind, fleets),
      });
      if (STACK_ALARMS[kind].route === 'direct')
        this.notifyAll(alarm, name(kind), {
          app,
          ...STACK_ALARMS[kind],
          steps: FIRST_STEPS[kind],
          topicArns,
        });
      return alarm;
    });
    const outage = new CompositeAlarm(this, 'Outage', {
      compositeAlarmName: outageOf(app),
      alarmDescription: descriptionOf(this, {
        app,
        wrong:
          'Fleets do not follow their queues, and no fleet of yours is the cause: CircleCI, AWS or the autoscaler itself has an outage.',
        steps: FIRST_STEPS.Outage,
        heading: 'Outage',
      }),
      alarmRule: AlarmRule.anyOf(
        ...kinds.filter((kind) => STACK_ALARMS[kind].route === 'Outage').map((kind) => ringing(name(kind))),
      ),
    });
    outage.node.addDependency(...alarms);
    this.notifyAll(outage, outageOf(app), { app, steps: FIRST_STEPS.Outage, heading: 'Outage', topicArns });
    this.all = [outage, ...alarms];
  }

  /** Notifies any number of topics: beyond the first five, by alarms that ring with this one. */
  private notifyAll(
    alarm: AlarmBase,
    alarmName: string,
    { topicArns, ...said }: { app: string; steps: string[]; heading: string; topicArns: string[] },
  ): void {
    notify(alarm, topicArns.slice(0, MOST_ACTIONS));
    for (let first = MOST_ACTIONS; first < topicArns.length; first += MOST_ACTIONS) {
      const end = `Topics${first / MOST_ACTIONS + 1}`;
      const relay = new CompositeAlarm(this, `${alarm.node.id}${end}`, {
        compositeAlarmName: alarmName + end,
        alarmDescription: descriptionOf(this, { ...said, wrong: `Notifies more topics of ${alarmName}.` }),
        alarmRule: ringing(alarmName),
      });
      relay.node.addDependency(alarm);
      notify(relay, topicArns.slice(first, first + MOST_ACTIONS));
    }
  }
}

/** The metric that each alarm of all fleets watches. */
function sharedMetrics(
  app: string,
  { stateMachine, schedules }: ScalingWorkflow,
  reconcile: StateMachine,
): Record<StackAlarm, IMetric> {
  const period = Duration.minutes(1);
  return {
    ExecutionsFailed: outageMetric(app, stateMachine.metricFailed({ period })),
    ExecutionsTimedOut: stateMachine.metricTimedOut({ period }),
    ExecutionsThrottled: schedules.metricTargetThrottled({ period, statistic: 'Sum' }),
    DeliveryFailing: schedules.metricSentToDLQ({ period, statistic: 'Sum' }),
    ReconcileFailed: reconcile.metricFailed({ period }),
  };
}

/** What a notification says: what is wrong, what to do first, and where to read on. At most 1,024 characters. */
export function descriptionOf(
  scope: Construct,
  { app, wrong, steps, heading }: Pick<AlarmSettings, 'wrong' | 'heading'> & { app: string; steps: string[] },
): string {
  const advised = advisedApp(scope, app);
  const describe = (about: AdvisedApp) => {
    const numbered = steps.map((step, index) => `${index + 1}. ${forApp(about, step)}`);
    return [wrong, '', 'Do this first:', ...numbered, '', runbookReference(scope, heading)].join('\n');
  };
  const whole = describe(advised);
  // The path of the fleets file can be long.
  return whole.length <= LONGEST_DESCRIPTION ? whole : describe({ app, fleetsFile: undefined });
}

/** By its name, not its ARN, so that people can read the rule. */
export const ringing = (alarmName: string) => AlarmRule.fromString(`ALARM("${alarmName}")`);

/** An alarm on one metric. */
export function metricAlarm(
  scope: Construct,
  id: string,
  {
    alarmName,
    metric,
    minutes: [bad, of],
    period = 1,
    bad: badIs,
    threshold = 1,
    ...said
  }: Omit<AlarmSettings, 'route'> & {
    app: string;
    alarmName: string;
    metric: IMetric;
    steps: string[];
    threshold?: number;
  },
): Alarm {
  return new Alarm(scope, id, {
    alarmName,
    alarmDescription: descriptionOf(scope, said),
    metric,
    threshold,
    evaluationPeriods: of / period,
    datapointsToAlarm: bad / period,
    ...(badIs === 'none'
      ? {
          comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
          treatMissingData: TreatMissingData.BREACHING,
        }
      : {
          comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
          treatMissingData: TreatMissingData.NOT_BREACHING,
        }),
  });
}

/** Notifies topics when an alarm rings, and when it is over. */
export function notify(alarm: AlarmBase, topicArns: string[]): void {
  for (const alarmActionArn of topicArns) {
    alarm.addAlarmAction({ bind: () => ({ alarmActionArn }) });
    alarm.addOkAction({ bind: () => ({ alarmActionArn }) });
  }
}
