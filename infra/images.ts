import { CustomResource, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type EventPattern, Match, Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { builtImageParameter, imageMessagesParameter } from '../functions/lib/fleet-names.ts';
import { IMAGE_IN_USE_TAG, POOL_IMAGE_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { imageStepsOf } from '../statemachine/first-steps.ts';
import { advisedEnvironment } from './advised-app.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { descriptionOf } from './alarms.ts';
import { allowKey } from './encryption.ts';
import { NodeFunction } from './node-function.ts';
import { allow } from './permissions.ts';
import { RunnerImage } from './runner-image.ts';
import { Shared } from './shared.ts';

/** What the texts of the function have where the name of the fleet comes. */
export const FLEET_PLACE = 'FLEET_NAME';

export interface ImagesFunctionProps {
  app: string;
  fleets: FleetConfig[];
  topic: AlarmTopic;
}

/**
 * The function that brings built images to the fleets; see images-handler.ts. Only an app with such a fleet has it. EC2
 * Image Builder could write parameters itself, but only with a role that may also launch instances and pass roles.
 */
export class ImagesFunction extends NodeFunction {
  constructor(scope: Construct, id: string, { app, fleets, topic }: ImagesFunctionProps) {
    const steps = imageStepsOf(FLEET_PLACE);
    super(scope, id, {
      name: 'images',
      description:
        'Publishes images that were built, tells of builds that failed, rolls images back, and refreshes warm pools',
      timeout: Duration.minutes(1),
      environment: {
        ...advisedEnvironment(scope, app),
        TOPIC_ARN: topic.topicArn,
        BUILD_FAILED: descriptionOf(scope, {
          app,
          wrong: `The build of the image of fleet ${FLEET_PLACE} failed. The fleet keeps the image that it has.`,
          steps: steps.ImageBuildFailed,
          heading: 'Image Build Failed',
        }),
        ROLLED_BACK: descriptionOf(scope, {
          app,
          wrong: `Launches of fleet ${FLEET_PLACE} failed within an hour of its new image, so it has the image before it again.`,
          steps: steps.ImageRolledBack,
          heading: 'Image Rolled Back',
        }),
      },
    });
    const role = this.executionRole;
    const stack = Stack.of(scope);
    const parameters = (name: string) =>
      stack.formatArn({ service: 'ssm', resource: 'parameter', resourceName: name.slice(1) });
    const ofApp = 'The path is of this app alone. Fleets have stacks of their own.';
    RunnerImage.allowRead(app, role, fleets, 'ssm:GetParameter');
    allow(role, {
      actions: ['ssm:GetParameterHistory', 'ssm:PutParameter'],
      resources: [parameters(builtImageParameter(app, '*'))],
      wildcard: ofApp,
    });
    const messages = imageMessagesParameter(app);
    new StringParameter(scope, 'ImageMessages', {
      parameterName: messages,
      description: 'Which messages about built images were sent, in its versions, so that none is sent twice',
      stringValue: 'none',
    });
    allow(role, {
      actions: ['ssm:GetParameterHistory', 'ssm:PutParameter'],
      resources: [parameters(messages)],
    });
    allow(role, {
      actions: ['ssm:GetParametersByPath'],
      resources: [parameters(`/${app}/fleets`)],
    });
    allow(role, {
      actions: ['imagebuilder:GetImage'],
      resources: [imagesOf(stack, app)],
      wildcard: 'The images of an app begin with its name. Each build has a number of its own.',
    });
    allow(role, {
      actions: ['ec2:DescribeImages'],
      resources: ['*'],
      wildcard: 'The action supports no resources.',
    });
    allow(role, {
      actions: ['ec2:CreateTags', 'ec2:DeleteTags'],
      resources: [stack.formatArn({ service: 'ec2', account: '', resource: 'image', resourceName: '*' })],
      conditions: {
        'ForAllValues:StringEquals': { 'aws:TagKeys': [IMAGE_IN_USE_TAG] },
        StringEquals: { [`aws:ResourceTag/${STACK_TAG}`]: app },
      },
      wildcard: 'Images have ids that EC2 gives them; a tag restricts them to those of the app.',
    });
    allow(role, { actions: ['sns:Publish'], resources: topic.arnsFor(fleets) });
    allowKey(role, fleets[0]?.encryptionKey, 'sns', 'write');

    const rule = (ruleId: string, description: string, eventPattern: EventPattern) =>
      new Rule(scope, ruleId, {
        description,
        eventPattern,
        targets: [new LambdaFunction(this, { retryAttempts: 8, maxEventAge: Duration.hours(1) })],
      });
    rule('ImageBuilt', 'An image was built, or its build failed', {
      source: ['aws.imagebuilder'],
      detailType: ['EC2 Image Builder Image State Change'],
      resources: Match.prefix(imagesOf(stack, app).slice(0, -1)),
      detail: { state: { status: ['AVAILABLE', 'FAILED'] } },
    });
    if (fleets.some(hasBuiltPool)) this.#refreshPools(scope, app);
    rule('BreakerOpened', 'The breaker of a fleet has opened', {
      source: ['aws.cloudwatch'],
      detailType: ['CloudWatch Alarm State Change'],
      detail: {
        alarmName: Match.wildcard(`${groupNameOf(app, '*')}-BreakerOpen`),
        state: { value: ['ALARM'] },
      },
    });
  }

  /** Compares warm pools with the images in use, also after an event that did not arrive. */
  #refreshPools(scope: Construct, app: string): void {
    const role = this.executionRole;
    allow(role, {
      actions: [
        'autoscaling:DescribeAutoScalingGroups',
        'autoscaling:DescribeWarmPool',
        'ec2:DescribeInstances',
      ],
      resources: ['*'],
      wildcard: 'The actions support no resources.',
    });
    allow(role, {
      actions: ['ec2:TerminateInstances'],
      resources: [Stack.of(scope).formatArn({ service: 'ec2', resource: 'instance', resourceName: '*' })],
      conditions: {
        StringEquals: {
          [`aws:ResourceTag/${STACK_TAG}`]: app,
          [`aws:ResourceTag/${POOL_IMAGE_TAG}`]: 'refresh',
        },
      },
      wildcard:
        'Instances have ids that EC2 gives them; two tags restrict them to fleets with a warm pool of a built image.',
    });
    new Rule(scope, 'PoolsCompared', {
      description: 'Warm pools may have instances of an old image',
      schedule: Schedule.rate(Duration.minutes(10)),
      targets: [new LambdaFunction(this, { retryAttempts: 0 })],
    });
  }
}

/** Whether instances of the fleet wait in a warm pool, with an image that is built for it. */
const hasBuiltPool = ({ imageBuild, warmPool }: FleetConfig) =>
  imageBuild !== undefined && warmPool !== undefined;

/** The ARN of the images that are built for an app. Names in ARNs are in lower case. */
const imagesOf = (stack: Stack, app: string) =>
  stack.formatArn({ service: 'imagebuilder', resource: 'image', resourceName: `${app.toLowerCase()}-*` });

export interface ImageParameterProps {
  app: string;
  fleet: string;
  /** The image that the fleet has until one is built. */
  source: { id: string } | { parameter: string };
}

/**
 * The parameter with the id of the image that was built for a fleet. CloudFormation would write its value again with
 * deployments, and take a built image away. So the function writes it, and only if it is missing. It stays when the fleet is
 * gone, and costs nothing.
 */
export class ImageParameter extends CustomResource {
  /** The image that the fleet has until one is built, as its settings name it. The function takes it from there alone. */
  readonly source: string;

  constructor(scope: Construct, { app, fleet, source }: ImageParameterProps) {
    const first = 'id' in source ? source.id : `ssm:${source.parameter}`;
    super(scope, 'ImageParameter', {
      resourceType: `Custom::${app}-image`,
      serviceToken: new Shared(scope, app).imagesArn,
      removalPolicy: RemovalPolicy.RETAIN,
      properties: {
        GroupName: groupNameOf(app, fleet),
        // So that CloudFormation asks again when it changes.
        Source: first,
      },
    });
    this.source = first;
  }
}
