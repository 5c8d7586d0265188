import { Aws } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';

/** The app's topic, to which each `alarmEmail` is subscribed, and the adopters' topics beside it. */
export class AlarmTopic extends Topic {
  constructor(scope: Construct, id: string, { topicName }: { topicName: string }) {
    super(scope, id, { topicName, displayName: 'CircleCI runner autoscaler', enforceSSL: true });
    // The policy of `enforceSSL` replaces the topic's default policy, which allowed alarms to publish.
    this.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
  }

  /** Subscribes the `alarmEmail` of each fleet that the app has not subscribed itself. */
  subscribe(fleets: readonly FleetConfig[]): void {
    for (const email of new Set(fleets.flatMap(({ alarmEmail }) => alarmEmail ?? [])))
      if (this.node.tryFindChild(email) === undefined) this.addSubscription(new EmailSubscription(email));
  }

  /** The topics that receive the alarms of all fleets. */
  arnsFor(fleets: readonly FleetConfig[]): string[] {
    return [...new Set([this.topicArn, ...fleets.flatMap(({ alarmTopicArn }) => alarmTopicArn ?? [])])];
  }
}

/** The topics that receive a fleet's alarms. */
export const topicsOf = ({ alarmTopicArn }: FleetConfig, shared: string): string[] =>
  alarmTopicArn === undefined ? [shared] : [shared, alarmTopicArn];
