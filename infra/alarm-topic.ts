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

/** The stack's topic, which tells everybody named as `alarmEmail`, and the topics of the adopter beside it. */
export class AlarmTopic extends Topic {
  /** Each topic that is told of what concerns all fleets. */
  readonly arns: string[];

  constructor(scope: Construct, id: string, { fleets }: AlarmTopicProps) {
    super(scope, id, { displayName: 'CircleCI runner autoscaler', enforceSSL: true });
    // The policy that `enforceSSL` makes takes the place of the topic's default one, which let alarms speak.
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

  /** Each topic that is told of a fleet's alarms. */
  arnsOf({ alarmTopicArn }: FleetConfig): string[] {
    return alarmTopicArn === undefined ? [this.topicArn] : [this.topicArn, alarmTopicArn];
  }

  /** The topic that the workflow itself speaks to about a fleet. */
  arnOf({ alarmTopicArn }: FleetConfig): string {
    return alarmTopicArn ?? this.topicArn;
  }
}
