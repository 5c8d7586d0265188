import { Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  type AlarmBase,
  AlarmRule,
  ComparisonOperator,
  CompositeAlarm,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import {
  type AlarmSettings,
  alarmsOfFleet,
  badFrom,
  STACK_ALARMS,
  type StackAlarm,
} from '../statemachine/alarms.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { fleetMetric, outageMetric } from './metrics.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import type { ScalingWorkflow } from './scaling-workflow.ts';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html */
const MOST_ACTIONS = 5;

export interface AlarmsProps {
  fleets: RunnerFleet[];
  workflow: ScalingWorkflow;
  topic: AlarmTopic;
}

/** All alarms: those that watch a metric each, and the composite alarms over them that notify you. */
export class Alarms extends Construct {
  /** The alarms of each fleet by its name, the composite alarm first. */
  readonly ofFleets = new Map<string, AlarmBase[]>();
  /** The alarms of the stack, the composite alarms first. */
  readonly ofStack: AlarmBase[];
  private readonly topic: AlarmTopic;

  constructor(scope: Construct, id: string, { fleets, workflow, topic }: AlarmsProps) {
    super(scope, id);
    this.topic = topic;
    const configs = fleets.map(({ config }) => config);
    const metrics = stackMetrics(workflow);
    const kinds = Object.keys(STACK_ALARMS) as StackAlarm[];
    const shared = kinds.map((kind) => {
      const settings = STACK_ALARMS[kind];
      const threshold = badFrom(kind, configs.length);
      return this.alarm(kind, this.name(kind), metrics[kind], settings.wrong, settings, threshold);
    });
    const outage = this.outage(shared);
    this.ofStack = [outage, ...shared];
    for (const config of configs) this.ofFleets.set(config.name, this.alarmsOf(config, outage));
  }

  /** A fleet's alarms, and the composite alarm over those that need a person. */
  private alarmsOf(config: FleetConfig, outage: CompositeAlarm): AlarmBase[] {
    const { name } = config;
    const settings = Object.entries(alarmsOfFleet(config));
    const alarms = settings.map(([kind, { metric, statistic, ...alarm }]) => {
      const made = this.alarm(
        `${logicalId(name)}${kind}`,
        this.name(kind, name),
        fleetMetric(name, metric, statistic),
        `Fleet ${name}: ${alarm.wrong}`,
        alarm,
      );
      if (alarm.route === 'direct') notify(made, this.topic.arnsOf(config));
      return made;
    });
    const rings = settings.flatMap(([kind, { route }]) => {
      const rings = ringing(this.name(kind, name));
      if (route === 'NeedsYou unless Outage')
        return AlarmRule.allOf(rings, AlarmRule.not(ringing(this.name('Outage'))));
      return route === 'NeedsYou' ? rings : [];
    });
    const needsYou = new CompositeAlarm(this, `${logicalId(name)}NeedsYou`, {
      compositeAlarmName: this.name('NeedsYou', name),
      alarmDescription: `Fleet ${name} needs you: something is wrong with its secret, its token, its group, its launches or its schedule, and mostly does not repair itself.${runbookReference('Fleet Needs You')}`,
      alarmRule: AlarmRule.anyOf(...rings),
    });
    needsYou.node.addDependency(...alarms, outage);
    notify(needsYou, this.topic.arnsOf(config));
    return [needsYou, ...alarms];
  }

  /** The composite alarm over outages. */
  private outage(shared: AlarmBase[]): CompositeAlarm {
    const outage = new CompositeAlarm(this, 'Outage', {
      compositeAlarmName: this.name('Outage'),
      alarmDescription: `Fleets do not follow their queues, and no fleet of yours is the cause: CircleCI, AWS or the autoscaler itself has an outage.${runbookReference('Outage')}`,
      alarmRule: AlarmRule.anyOf(...Object.keys(STACK_ALARMS).map((kind) => ringing(this.name(kind)))),
    });
    outage.node.addDependency(...shared);
    const { arns } = this.topic;
    notify(outage, arns.slice(0, MOST_ACTIONS));
    for (let first = MOST_ACTIONS; first < arns.length; first += MOST_ACTIONS) {
      const kind = `OutageTopics${first / MOST_ACTIONS + 1}`;
      const relay = new CompositeAlarm(this, kind, {
        compositeAlarmName: this.name(kind),
        alarmDescription: `Notifies more topics of ${this.name('Outage')}.${runbookReference('Outage')}`,
        alarmRule: ringing(this.name('Outage')),
      });
      relay.node.addDependency(outage);
      notify(relay, arns.slice(first, first + MOST_ACTIONS));
    }
    return outage;
  }

  private alarm(
    id: string,
    alarmName: string,
    metric: IMetric,
    wrong: string,
    { heading, minutes: [bad, of], bad: badIs }: AlarmSettings,
    threshold = 1,
  ): Alarm {
    return new Alarm(this, id, {
      alarmName,
      alarmDescription: `${wrong}${runbookReference(heading)}`,
      metric,
      threshold,
      evaluationPeriods: of,
      datapointsToAlarm: bad,
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

  /** Names for the rules and for the commands of the runbook. */
  private name(kind: string, fleet?: string): string {
    return [Stack.of(this).stackName, fleet, kind].filter((part) => part !== undefined).join('-');
  }
}

/** The metric that each alarm of the stack watches. */
function stackMetrics({ stateMachine, schedules }: ScalingWorkflow): Record<StackAlarm, IMetric> {
  const period = Duration.minutes(1);
  return {
    ExecutionsFailed: outageMetric(Stack.of(stateMachine).stackName, stateMachine.metricFailed({ period })),
    ExecutionsTimedOut: stateMachine.metricTimedOut({ period }),
    ExecutionsThrottled: schedules.metricTargetThrottled({ period, statistic: 'Sum' }),
    DeliveryFailing: schedules.metricSentToDLQ({ period, statistic: 'Sum' }),
  };
}

const runbookReference = (heading: string) => ` See docs/operations.md, "${heading}".`;

/** By its name, not its ARN, so that the length of a rule is known here and people can read it. */
const ringing = (alarmName: string) => AlarmRule.fromString(`ALARM("${alarmName}")`);

/** Notifies topics when an alarm rings, and when it is over. */
function notify(alarm: AlarmBase, topicArns: string[]): void {
  for (const alarmActionArn of topicArns) {
    alarm.addAlarmAction({ bind: () => ({ alarmActionArn }) });
    alarm.addOkAction({ bind: () => ({ alarmActionArn }) });
  }
}
