import { Aws } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import type { RunnerFleet } from './runner-fleet.ts';

export interface AlarmTopicProps {
  fleets: RunnerFleet[];
}

/** The stack's topic, to which each `alarmEmail` is subscribed, and the adopters' topics beside it. */
export class AlarmTopic extends Topic {
  /** The topics that receive the alarms of the stack. */
  readonly arns: string[];

  constructor(scope: Construct, id: string, { fleets }: AlarmTopicProps) {
    super(scope, id, { displayName: 'CircleCI runner autoscaler', enforceSSL: true });
    // The policy of `enforceSSL` replaces the topic's default policy, which allowed alarms to publish.
    this.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    for (const email of new Set(fleets.flatMap(({ config }) => config.alarmEmail ?? []))) {
      this.addSubscription(new EmailSubscription(email));
    }
    this.arns = [...new Set(fleets.flatMap(({ config }) => this.arnsOf(config)))];
  }

  /** The topics that receive a fleet's alarms. */
  arnsOf({ alarmTopicArn }: FleetConfig): string[] {
    return alarmTopicArn === undefined ? [this.topicArn] : [this.topicArn, alarmTopicArn];
  }

  /** The topic to which the workflow itself publishes about a fleet. */
  arnOf({ alarmTopicArn }: FleetConfig): string {
    return alarmTopicArn ?? this.topicArn;
  }
}
