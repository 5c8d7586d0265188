import { Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  type AlarmBase,
  AlarmRule,
  ComparisonOperator,
  CompositeAlarm,
  type IAlarmRule,
  type Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import { type AlarmSettings, alarmsOfFleet, STACK_ALARMS, type StackAlarm } from '../statemachine/alarms.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { fleetMetric } from './metrics.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import type { ScalingWorkflow } from './scaling-workflow.ts';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html */
const MOST_ALARMS_IN_RULE = 100;
const LONGEST_RULE = 10_240;

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
    for (const config of configs) this.ofFleets.set(config.name, this.alarmsOf(config));
    const metrics = stackMetrics(workflow);
    const shared = Object.entries(STACK_ALARMS).map(([kind, settings]) =>
      this.alarm(kind, this.name(kind), metrics[kind as StackAlarm], settings.wrong, settings),
    );
    this.ofStack = [...this.outages(configs, STACK_ALARMS, shared), ...shared];
  }

  /** A fleet's alarms, and the composite alarm over those that need a person. */
  private alarmsOf(config: FleetConfig): AlarmBase[] {
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
    const rings = settings.flatMap(([kind, { route }]) =>
      route === 'NeedsYou' ? ringing(this.name(kind, name)) : [],
    );
    const needsYou = new CompositeAlarm(this, `${logicalId(name)}NeedsYou`, {
      compositeAlarmName: this.name('NeedsYou', name),
      alarmDescription: `Fleet ${name} needs you: something is wrong with its secret, its token, its group or its launches, and mostly does not repair itself.${runbookReference('Fleet Needs You')}`,
      alarmRule: AlarmRule.anyOf(...rings),
    });
    needsYou.node.addDependency(...alarms);
    notify(needsYou, this.topic.arnsOf(config));
    return [needsYou, ...alarms];
  }

  /** The composite alarm over outages, or several of them if one rule over all fleets would be too long for CloudWatch. */
  private outages(
    configs: FleetConfig[],
    settings: Record<string, AlarmSettings>,
    shared: AlarmBase[],
  ): CompositeAlarm[] {
    const rules: IAlarmRule[] = [];
    let inLast: IAlarmRule[] = this.outageRules(settings, undefined, configs);
    for (const config of configs) {
      const more = this.outageRules(alarmsOfFleet(config), config.name, [config]);
      if (!fits(AlarmRule.anyOf(...inLast, ...more))) {
        rules.push(AlarmRule.anyOf(...inLast));
        inLast = [];
      }
      inLast.push(...more);
    }
    rules.push(AlarmRule.anyOf(...inLast));
    return rules.map((alarmRule, index) => {
      const kind = `Outage${index === 0 ? '' : index + 1}`;
      const outage = new CompositeAlarm(this, kind, {
        compositeAlarmName: this.name(kind),
        alarmDescription: `Fleets do not follow their queues, and no fleet of yours is the cause: CircleCI, AWS or the autoscaler itself has an outage.${runbookReference('Outage')}`,
        alarmRule,
      });
      outage.node.addDependency(...shared, ...[...this.ofFleets.values()].flat());
      notify(outage, this.topic.arns);
      return outage;
    });
  }

  /** The terms of the rule of `Outage` for some alarms. A `NeedsYou` of the given fleets may explain them. */
  private outageRules(
    settings: Record<string, AlarmSettings>,
    fleet: string | undefined,
    explaining: FleetConfig[],
  ): IAlarmRule[] {
    const explained = AlarmRule.anyOf(...explaining.map(({ name }) => ringing(this.name('NeedsYou', name))));
    return Object.entries(settings).flatMap(([kind, { route }]) => {
      const rings = ringing(this.name(kind, fleet));
      if (route === 'Outage') return rings;
      if (route === 'Outage if unexplained') return AlarmRule.allOf(rings, AlarmRule.not(explained));
      return [];
    });
  }

  private alarm(
    id: string,
    alarmName: string,
    metric: Metric,
    wrong: string,
    { heading, minutes: [bad, of], bad: badIs }: AlarmSettings,
  ): Alarm {
    return new Alarm(this, id, {
      alarmName,
      alarmDescription: `${wrong}${runbookReference(heading)}`,
      metric,
      threshold: 1,
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
function stackMetrics({ stateMachine, schedules }: ScalingWorkflow): Record<StackAlarm, Metric> {
  const period = Duration.minutes(1);
  return {
    ExecutionsFailed: stateMachine.metricFailed({ period }),
    ExecutionsTimedOut: stateMachine.metricTimedOut({ period }),
    ExecutionsThrottled: schedules.metricTargetThrottled({ period, statistic: 'Sum' }),
    DeliveryFailing: schedules.metricSentToDLQ({ period, statistic: 'Sum' }),
  };
}

const runbookReference = (heading: string) => ` See docs/operations.md, "${heading}".`;

/** By its name, not its ARN, so that the length of a rule is known here and people can read it. */
const ringing = (alarmName: string) => AlarmRule.fromString(`ALARM("${alarmName}")`);

function fits(rule: IAlarmRule): boolean {
  const text = rule.renderAlarmRule();
  const alarms = new Set(text.match(/"[^"]+"/g));
  return alarms.size <= MOST_ALARMS_IN_RULE && text.length <= LONGEST_RULE;
}

/** Notifies topics when an alarm rings, and when it is over. */
function notify(alarm: AlarmBase, topicArns: string[]): void {
  for (const alarmActionArn of topicArns) {
    alarm.addAlarmAction({ bind: () => ({ alarmActionArn }) });
    alarm.addOkAction({ bind: () => ({ alarmActionArn }) });
  }
}
