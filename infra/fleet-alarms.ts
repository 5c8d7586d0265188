import { type AlarmBase, AlarmRule, CompositeAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { alarmsOfFleet } from '../statemachine/alarms.ts';
import { firstStepsOf } from '../statemachine/first-steps.ts';
import { descriptionOf, metricAlarm, notify, outageOf, ringing } from './alarms.ts';
import { fleetMetric } from './metrics.ts';

export interface FleetAlarmsProps {
  app: string;
  config: FleetConfig;
  /** The topics that they notify. */
  topicArns: string[];
}

/** A fleet's alarms, and the composite alarm over those that need a person. */
export class FleetAlarms extends Construct {
  /** The alarms by their kinds, the composite alarm first. */
  readonly byKind: Record<string, AlarmBase>;

  /** The names of a fleet's alarms, the composite alarm first. */
  static namesOf = (app: string, config: FleetConfig): string[] =>
    ['NeedsYou', ...Object.keys(alarmsOfFleet(config))].map((kind) => nameOf(app, config, kind));

  constructor(scope: Construct, id: string, { app, config, topicArns }: FleetAlarmsProps) {
    super(scope, id);
    const { name } = config;
    const settings = Object.entries(alarmsOfFleet(config));
    const steps: Record<string, string[]> = firstStepsOf(name);
    const made = settings.map(([kind, { metric, statistic, ...setting }]) => {
      const alarm = metricAlarm(this, kind, {
        ...setting,
        app,
        alarmName: nameOf(app, config, kind),
        metric: fleetMetric({ app, fleet: name }, metric, statistic, setting.period),
        wrong: `Fleet ${name}: ${setting.wrong}`,
        steps: steps[kind] ?? [],
      });
      if (setting.route === 'direct') notify(alarm, topicArns);
      return [kind, alarm] as const;
    });
    const rings = settings.flatMap(([kind, { route }]) => {
      const rings = ringing(nameOf(app, config, kind));
      if (route === 'NeedsYou unless Outage')
        return AlarmRule.allOf(rings, AlarmRule.not(ringing(outageOf(app))));
      return route === 'NeedsYou' ? rings : [];
    });
    const needsYou = new CompositeAlarm(this, 'NeedsYou', {
      compositeAlarmName: nameOf(app, config, 'NeedsYou'),
      alarmDescription: descriptionOf(this, {
        app,
        wrong: `Fleet ${name} needs you: something is wrong with its secret, its token, its group, its launches or its schedule, and usually does not repair itself.`,
        steps: steps.NeedsYou ?? [],
        heading: 'Fleet Needs You',
      }),
      alarmRule: AlarmRule.anyOf(...rings),
    });
    needsYou.node.addDependency(...made.map(([, alarm]) => alarm));
    notify(needsYou, topicArns);
    this.byKind = { NeedsYou: needsYou, ...Object.fromEntries(made) };
  }
}

/** Names for the rules and for the commands of the runbook. */
const nameOf = (app: string, { name }: FleetConfig, kind: string) => `${groupNameOf(app, name)}-${kind}`;
