import { Aws, Lazy, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnInstanceProfile, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  CfnComponent,
  CfnDistributionConfiguration,
  CfnImagePipeline,
  CfnImageRecipe,
  CfnInfrastructureConfiguration,
  CfnLifecyclePolicy,
} from 'aws-cdk-lib/aws-imagebuilder';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type BuiltImage, buildSchedule, digestOf } from '../fleets/built-images.ts';
import { idleTimes } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { fleetStackName } from '../fleets/names.ts';
import { rootVolumeOf } from '../fleets/settings/image.ts';
import { IMAGE_IN_USE_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { buildComponent, testComponent } from '../userdata/image-component.ts';
import { lifetimesOf } from '../userdata/lifetimes.ts';
import type { AllFleets } from './all-fleets.ts';
import { allowInstall } from './install-permissions.ts';
import type { InstallScript } from './install-script.ts';
import { allow } from './permissions.ts';
import type { RunnerImage } from './runner-image.ts';
import type { RunnerNetwork } from './runner-network.ts';

export interface ImagePipelineProps {
  app: string;
  /** Other fleets may have the image too, and are added to it later. */
  image: BuiltImage;
  /** The image on which it is built. */
  source: RunnerImage;
  /** The network of the fleet in whose stack the pipeline is. */
  network: RunnerNetwork;
  install: InstallScript | undefined;
  /** All fleets of the app, whose scaler secrets builds must not read. */
  allFleets: AllFleets;
}

/** The log group of the builds. Only a name that begins so needs no role that writes it. */
export const buildLogOf = (app: string, builder: string): string =>
  `/aws/imagebuilder/${fleetStackName(app, builder)}`;

/** Tags that EC2 Image Builder gives its machines itself. */
const RESERVED_TAGS = new Set(['createdby', 'ec2imagebuilderarn', 'name', 'tags']);

/** Tests of an image may take so long, in minutes; EC2 Image Builder takes no less. */
const TEST_MINUTES = 60;

/**
 * The pipeline of EC2 Image Builder that makes an image for one fleet or more: what is built on what, tested how, where,
 * when, and how many images are kept. The new image reaches the fleets by the function of images.ts.
 */
export class ImagePipeline extends Construct {
  constructor(
    scope: Construct,
    id: string,
    { app, image, source, network, install, allFleets }: ImagePipelineProps,
  ) {
    super(scope, id);
    const { builder, fleets } = image;
    const { imageBuild: build } = builder;
    if (build === undefined) throw new Error(`Fleet ${builder.name} has an image that nobody builds`);
    const name = fleetStackName(app, builder.name);
    const log = new LogGroup(this, 'Log', {
      logGroupName: buildLogOf(app, builder.name),
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const recipe = recipeOf(this, name, image, source, install);
    const tags = Object.entries(builder.tags).filter(([key]) => !RESERVED_TAGS.has(key.toLowerCase()));
    const infrastructure = new CfnInfrastructureConfiguration(this, 'Infrastructure', {
      name,
      instanceProfileName: new CfnInstanceProfile(this, 'Profile', {
        roles: [builderRole(this, { app, builder, log, install, allFleets }).roleName],
      }).ref,
      // The types of the fleet, which the guardrails allow. So drivers and architecture fit.
      ...(builder.instanceTypes !== undefined && { instanceTypes: builder.instanceTypes }),
      ...network.forBuilds(this),
      instanceMetadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1 },
      terminateInstanceOnFailure: true,
      // A map without any is refused.
      ...(tags.length > 0 && { resourceTags: Object.fromEntries(tags) }),
    });
    const distribution = new CfnDistributionConfiguration(this, 'Distribution', {
      name,
      distributions: [
        {
          region: Aws.REGION,
          amiDistributionConfiguration: {
            Name: `${name} {{ imagebuilder:buildDate }}`,
            AmiTags: { ...builder.tags, [STACK_TAG]: app },
          },
        },
      ],
    });
    const schedule = buildSchedule(build, name);
    const pipeline = new CfnImagePipeline(this, 'Pipeline', {
      name,
      description: Lazy.string({
        produce: () => `Image of ${fleets.map((fleet) => fleet.name).join(', ')}`,
      }),
      imageRecipeArn: recipe.attrArn,
      infrastructureConfigurationArn: infrastructure.attrArn,
      distributionConfigurationArn: distribution.attrArn,
      loggingConfiguration: { imageLogGroupName: log.logGroupName },
      imageTestsConfiguration: { imageTestsEnabled: true, timeoutMinutes: TEST_MINUTES },
      ...(schedule !== undefined && {
        schedule: {
          scheduleExpression: schedule.expression,
          timezone: schedule.timezone,
          // Also if the image below is the same: packages and the runner may be newer.
          pipelineExecutionStartCondition: 'EXPRESSION_MATCH_ONLY',
        },
      }),
    });
    // Before the first build, or EC2 Image Builder makes the group itself, without retention.
    pipeline.node.addDependency(log);
    new CfnLifecyclePolicy(this, 'Retention', {
      name,
      executionRole: retentionRole(this).roleArn,
      resourceType: 'AMI_IMAGE',
      resourceSelection: { recipes: [{ name, semanticVersion: 'x.x.x' }] },
      policyDetails: [
        {
          action: { type: 'DELETE', includeResources: { amis: true, snapshots: true } },
          filter: { type: 'COUNT', value: build.keep },
          exclusionRules: {
            amis: {
              lastLaunched: { unit: 'DAYS', value: Lazy.number({ produce: () => daysInUse(fleets) }) },
              tagMap: { [IMAGE_IN_USE_TAG]: app },
            },
          },
        },
      ],
    });
  }
}

const SECONDS_A_DAY = 86_400;

/** How many days an instance of these fleets may last, and one more, because EC2 knows launches of the last day only late. */
const daysInUse = (fleets: FleetConfig[]): number =>
  1 +
  Math.max(
    ...fleets.map((fleet) =>
      Math.ceil(
        lifetimesOf({ ...fleet, idleTimeout: idleTimes(fleet).seconds }).ageLimitSeconds / SECONDS_A_DAY,
      ),
    ),
  );

/** The largest number in a version: https://docs.aws.amazon.com/imagebuilder/latest/userguide/ibhow-semantic-versioning.html */
const MOST_VERSIONS = 2 ** 30 - 1;

/** EC2 Image Builder changes no component or recipe. So another content is another version. */
const versionOf = (content: unknown) =>
  `1.0.${Number.parseInt(digestOf(content).slice(0, 8), 16) % MOST_VERSIONS}`;

/** What is built on what. */
function recipeOf(
  scope: Construct,
  name: string,
  { builder, fleets }: BuiltImage,
  source: RunnerImage,
  install: InstallScript | undefined,
): CfnImageRecipe {
  const component = (kind: 'build' | 'test', document: typeof buildComponent) => {
    const inputs = { fleet: builder, installSha256: install?.sha256 };
    const contents = document({ ...inputs, installObject: install?.sha256 });
    // A change of the tags replaces the component as well.
    const version = versionOf([contents, builder.tags]);
    const made = new CfnComponent(scope, kind === 'build' ? 'BuildComponent' : 'TestComponent', {
      name: `${name}-${kind}`,
      platform: 'Linux',
      version,
      data: document({ ...inputs, installObject: install?.object }),
    });
    return { version, componentArn: made.attrArn };
  };
  const components = [component('build', buildComponent), component('test', testComponent)];
  const parentImage = source.parent;
  const volume = (size: number) =>
    source.rootDevice === undefined ? undefined : volumeOf(source.rootDevice, builder, size);
  // It must fit into the smallest of the fleets' volumes.
  const smallest = () => Math.min(...fleets.map((fleet) => rootVolumeOf(fleet).size));
  const blockDevice = volume(Lazy.number({ produce: smallest }));
  return new CfnImageRecipe(scope, 'Recipe', {
    name,
    version: Lazy.string({
      produce: () =>
        versionOf([components.map(({ version }) => version), parentImage, volume(smallest()), builder.tags]),
    }),
    parentImage,
    components: components.map(({ componentArn }) => ({ componentArn })),
    ...(blockDevice !== undefined && { blockDeviceMappings: [blockDevice] }),
  });
}

/** The root volume of the image. */
function volumeOf(deviceName: string, builder: FleetConfig, volumeSize: number) {
  const { iops, throughput } = rootVolumeOf(builder);
  return {
    deviceName,
    ebs: {
      volumeSize,
      volumeType: 'gp3',
      encrypted: true,
      deleteOnTermination: true,
      ...(builder.encryptionKey !== undefined && { kmsKeyId: builder.encryptionKey }),
      ...(iops !== undefined && { iops }),
      ...(throughput !== undefined && { throughput }),
    },
  };
}

/**
 * The role of the machines on which images are built and tested: to take commands from EC2 Image Builder, and to download
 * the fleet's install script and do what that may do. It reads no secret of the app and reaches no group. EC2 Image Builder launches them with its own role.
 */
function builderRole(
  scope: Construct,
  {
    app,
    builder,
    log,
    install,
    allFleets,
  }: Pick<ImagePipelineProps, 'app' | 'install' | 'allFleets'> & { builder: FleetConfig; log: LogGroup },
): Role {
  const role = new Role(scope, 'BuilderRole', {
    assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
    description: `Builds and tests the image of fleet ${builder.name}`,
  });
  // As in the managed policies EC2InstanceProfileForImageBuilder and AmazonSSMManagedInstanceCore, as far as builds need it.
  allow(role, {
    actions: [
      'ssm:UpdateInstanceInformation',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
      'ec2messages:AcknowledgeMessage',
      'ec2messages:DeleteMessage',
      'ec2messages:FailMessage',
      'ec2messages:GetEndpoint',
      'ec2messages:GetMessages',
      'ec2messages:SendReply',
    ],
    resources: ['*'],
    wildcard:
      'The permissions by which SSM Agent takes commands. They have no narrower resources: https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html',
  });
  allow(role, {
    actions: ['imagebuilder:GetComponent'],
    resources: [
      Stack.of(scope).formatArn({
        service: 'imagebuilder',
        resource: 'component',
        // In ARNs, names are in lower case.
        resourceName: `${Stack.of(scope).stackName.toLowerCase()}-*`,
      }),
    ],
    wildcard: 'Each change of a component is a new version, which has a new ARN.',
  });
  allow(role, {
    actions: ['s3:GetObject'],
    resources: [`arn:${Aws.PARTITION}:s3:::ec2imagebuilder*`],
    wildcard:
      'The buckets from which EC2 Image Builder loads its own programs have the Region in their names.',
  });
  allow(role, {
    actions: ['kms:Decrypt'],
    resources: ['*'],
    conditions: {
      'ForAnyValue:StringEquals': {
        'kms:EncryptionContextKeys': 'aws:imagebuilder:arn',
        'aws:CalledVia': ['imagebuilder.amazonaws.com'],
      },
    },
    wildcard:
      'The key with which EC2 Image Builder encrypts components is its own. A condition restricts the use.',
  });
  log.grantWrite(role);
  install?.allowRead(role);
  allowInstall(role, app, builder, allFleets);
  return role;
}

/** The role with which EC2 Image Builder deletes old images. As in the managed policy EC2ImageBuilderLifecycleExecutionPolicy. */
function retentionRole(scope: Construct): Role {
  const role = new Role(scope, 'RetentionRole', {
    assumedBy: new ServicePrincipal('imagebuilder.amazonaws.com'),
  });
  const ec2 = (resource: string) =>
    Stack.of(scope).formatArn({ service: 'ec2', account: '', resource, resourceName: '*' });
  const made = { StringEquals: { 'aws:ResourceTag/CreatedBy': 'EC2 Image Builder' } };
  const wildcard = 'A condition restricts them to what EC2 Image Builder has made.';
  allow(role, {
    actions: ['ec2:DeregisterImage', 'ec2:DescribeImageAttribute'],
    resources: [ec2('image')],
    conditions: made,
    wildcard,
  });
  allow(role, { actions: ['ec2:DeleteSnapshot'], resources: [ec2('snapshot')], conditions: made, wildcard });
  allow(role, {
    actions: ['ec2:DescribeImages', 'tag:GetResources'],
    resources: ['*'],
    wildcard: 'The actions support no resources.',
  });
  allow(role, {
    actions: ['imagebuilder:DeleteImage'],
    resources: [
      Stack.of(scope).formatArn({
        service: 'imagebuilder',
        resource: 'image',
        resourceName: `${Stack.of(scope).stackName.toLowerCase()}/*`,
      }),
    ],
    wildcard: 'Each build is an image with a number of its own.',
  });
  return role;
}
