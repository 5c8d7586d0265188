import { Aws, Duration } from 'aws-cdk-lib';
import { Alarm, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { logicalId } from './fleet-settings.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { METRIC_NAMESPACE, type ScalingWorkflow } from './scaling-workflow.ts';

/** The topic that everybody named as `alarmEmail` is told by, and the alarms that speak to it. */
export class Alarms extends Construct {
  private readonly topic: Topic;

  constructor(scope: Construct, id: string, fleets: RunnerFleet[], workflow: ScalingWorkflow) {
    super(scope, id);
    this.topic = new Topic(this, 'Topic', { displayName: 'CircleCI runner autoscaler', enforceSSL: true });
    // The policy that `enforceSSL` makes takes the place of the topic's default one, which let alarms speak.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    for (const email of new Set(fleets.flatMap((fleet) => fleet.config.alarmEmail ?? []))) {
      this.topic.addSubscription(new EmailSubscription(email));
    }

    for (const { config } of fleets) {
      this.alarm(
        `${logicalId(config.name)}StepFailed`,
        `Fleet ${config.name} does not follow its queue: a step of the workflow failed in 3 of the last 5 minutes. Capacity stays as it was. See docs/operations.md, "A step fails".`,
        new Metric({
          namespace: METRIC_NAMESPACE,
          metricName: 'StepFailed',
          dimensionsMap: { Fleet: config.name },
          statistic: 'Sum',
          period: Duration.minutes(1),
        }),
      );
    }
    const { stateMachine } = workflow;
    this.alarm(
      'ExecutionsFailed',
      'Executions of the workflow failed in 3 of the last 5 minutes: fleets do not follow their queues. See docs/operations.md, "Executions fail".',
      stateMachine.metricFailed({ period: Duration.minutes(1) }),
    );
    this.alarm(
      'ExecutionsTimedOut',
      'Executions of the workflow ran out of time in 3 of the last 5 minutes, which the plan of the polls should rule out. See docs/operations.md, "Executions time out".',
      stateMachine.metricTimedOut({ period: Duration.minutes(1) }),
    );
  }

  /** One bad minute is not a page; three of five are. */
  private alarm(id: string, alarmDescription: string, metric: Metric): void {
    const alarm = new Alarm(this, id, {
      metric,
      alarmDescription,
      threshold: 1,
      evaluationPeriods: 5,
      datapointsToAlarm: 3,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
    alarm.addOkAction(new SnsAction(this.topic));
  }
}
