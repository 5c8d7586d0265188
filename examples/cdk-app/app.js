import { App, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { CircleCiRunners } from 'circleci-runner-autoscaler';

const app = new App();

// What the app has already: a network, a bucket with tools, and a topic for whoever is on call.
const platform = new Stack(app, 'example-cdk-app-platform');
const vpc = new Vpc(platform, 'Vpc', {
  maxAzs: 2,
  natGateways: 0,
  subnetConfiguration: [{ name: 'public', subnetType: SubnetType.PUBLIC }],
});
const tools = new Bucket(platform, 'Tools', { enforceSSL: true, removalPolicy: RemovalPolicy.DESTROY });
const onCall = new Topic(platform, 'OnCall', { enforceSSL: true });

// What is new.
const runners = new CircleCiRunners(app, 'Runners', { name: 'example-cdk-app' });
const linux = runners.addFleet('linux', {
  resourceClass: 'acme/linux',
  instanceTypes: ['m7i.large'],
  maxReplicas: 10,
  idleTimeout: Duration.minutes(7),
  vpc,
  vpcSubnets: { subnetType: SubnetType.PUBLIC },
  alarmTopic: onCall,
});

// The install script may read the bucket. Jobs may not.
tools.grantRead(linux);
runners.alarmTopic.addSubscription(new EmailSubscription('ci@example.com'));
