import { Annotations, CfnOutput, Stack, Tags } from 'aws-cdk-lib';
import type { AlarmBase, Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import type { Connections, IConnectable, IMachineImage } from 'aws-cdk-lib/aws-ec2';
import type { IGrantable, IPrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { BuiltImage } from '../fleets/built-images.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { warningsAbout } from '../fleets/warnings.ts';
import type { FleetMetric } from '../statemachine/alarms.ts';
import { topicsOf } from './alarm-topic.ts';
import type { AllFleets } from './all-fleets.ts';
import { FleetAlarms } from './fleet-alarms.ts';
import { FleetSecret, secretNameOf } from './fleet-secret.ts';
import { ImagePipeline } from './image-pipeline.ts';
import { ImageParameter } from './images.ts';
import { allowInstall } from './install-permissions.ts';
import { InstallScript } from './install-script.ts';
import { InstanceLog } from './instance-log.ts';
import { InstanceRole } from './instance-role.ts';
import { RunnerLaunchTemplate } from './launch-template.ts';
import { fleetMetric } from './metrics.ts';
import { RunnerGroup } from './runner-group.ts';
import { RunnerImage } from './runner-image.ts';
import { RunnerNetwork } from './runner-network.ts';
import { RunnerWarmPool } from './runner-warm-pool.ts';
import { Shared } from './shared.ts';

export interface RunnerFleetProps {
  app: string;
  config: FleetConfig;
  /** An image in place of the configured one. */
  machineImage?: IMachineImage | undefined;
  /** The image that the fleet's stack builds, for the fleet and those that have the same. Default: none. */
  builtImage?: BuiltImage | undefined;
  /** All fleets of the app, whose scaler secrets its instances must not read. */
  allFleets: AllFleets;
}

/** All that one fleet has for itself. `CircleCiRunners` makes it. */
export class RunnerFleet extends Construct implements IGrantable, IConnectable {
  /** @internal */
  readonly app: string;
  /** @internal */
  readonly config: FleetConfig;
  /** The name of the Auto Scaling group. */
  readonly groupName: string;
  /**
   * The role of the instances. What you grant the fleet is for its `install` script and its boot. **Jobs cannot use it**,
   * because they cannot reach the instance's metadata, unless the fleet has `allowInstanceMetadata`, or `docker`, with which jobs
   * are root. Give rights to jobs by CircleCI's OpenID Connect tokens instead.
   */
  readonly grantPrincipal: IPrincipal;
  /** The network connections of the instances, to open ports to and from them. Port 22 is the default one. */
  readonly connections: Connections;
  /** @internal */
  readonly scalerSecret: FleetSecret;
  /** @internal */
  readonly runnerSecret: FleetSecret;
  /** @internal */
  readonly group: RunnerGroup;
  /** @internal */
  readonly warmPool: RunnerWarmPool | undefined;
  /**
   * The parameter with the id of the image that is built for the fleet.
   *
   * @internal
   */
  readonly imageParameter: ImageParameter | undefined;
  /** The alarms by their kinds, such as `NeedsYou` and `Starving`. The runbook has a heading for each. */
  readonly alarms: Readonly<Record<string, AlarmBase>>;

  /** @internal */
  constructor(
    scope: Construct,
    id: string,
    { app, config, machineImage, builtImage, allFleets }: RunnerFleetProps,
  ) {
    super(scope, id);
    const { name, encryptionKey } = config;
    const groupName = groupNameOf(app, name);

    const scalerSecret = new FleetSecret(this, 'Scaler', {
      existing: config.scalerSecretName,
      name: secretNameOf(app, name, 'scaler'),
      description:
        'The resource class and a personal API token, with which the autoscaler counts tasks: {"resource_class": "...", "circle_token": "..."}',
      encryptionKey,
    });
    const runnerSecret = new FleetSecret(this, 'Runner', {
      existing: config.runnerSecretName,
      name: secretNameOf(app, name, 'runner'),
      description: 'The resource class token, with which runners claim tasks',
      encryptionKey,
    });
    const network = new RunnerNetwork(this, 'Network', { fleet: config });
    const image = new RunnerImage(this, 'Image', { app, fleet: config, machineImage });
    const install =
      (config.installFile ?? config.authoritiesFile) === undefined
        ? undefined
        : new InstallScript(this, 'Install', {
            file: config.installFile,
            authorities: config.authoritiesFile,
          });
    const imageParameter =
      config.imageBuild === undefined || machineImage !== undefined
        ? undefined
        : new ImageParameter(this, { app, fleet: name, source: image.source });
    if (builtImage !== undefined)
      new ImagePipeline(this, 'ImagePipeline', {
        app,
        image: builtImage,
        source: image,
        network,
        install,
        allFleets,
      });
    const log = config.logs ? new InstanceLog(this, 'Logs', { name: `/${app}/${name}` }) : undefined;
    const role = new InstanceRole(this, 'InstanceRole', { app, fleetName: name });
    const launchTemplate = new RunnerLaunchTemplate(this, 'LaunchTemplate', {
      app,
      fleet: config,
      groupName,
      image,
      network,
      role,
      runnerSecret,
      install,
      log,
    });
    const group = new RunnerGroup(this, 'Group', { app, fleet: config, groupName, network, launchTemplate });
    // EC2 Auto Scaling reads the parameter when the group is made.
    if (imageParameter) group.node.addDependency(imageParameter);
    const warmPool =
      config.warmPool && new RunnerWarmPool(this, 'WarmPool', { warmPool: config.warmPool, group });

    runnerSecret.allowRead(role);
    group.allowMembers(role);
    install?.allowRead(role);
    log?.allowWrite(role);
    if (config.sessionManager) role.allowSessionManager();
    allowInstall(role, app, config, allFleets);

    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);
    for (const warning of warningsAbout(config))
      Annotations.of(this).addWarningV2(warning.id, warning.message);
    const output = (what: string, value: string) => new CfnOutput(Stack.of(this), what, { value });
    output('GroupName', groupName);
    output('ScalerSecretName', scalerSecret.secretName);
    output('RunnerSecretName', runnerSecret.secretName);

    // Beside this construct in the tree, not inside it: its logical ids must stay the same in deployed stacks.
    const alarms = new FleetAlarms(scope, 'Alarms', {
      app,
      config,
      topicArns: topicsOf(config, new Shared(this, app).topicArn),
    });
    this.app = app;
    this.config = config;
    this.imageParameter = imageParameter;
    this.alarms = alarms.byKind;
    this.grantPrincipal = role;
    this.connections = launchTemplate.connections;
    this.groupName = groupName;
    this.scalerSecret = scalerSecret;
    this.runnerSecret = runnerSecret;
    this.group = group;
    this.warmPool = warmPool;
  }

  /**
   * A metric of the fleet, with a period of one minute. `docs/operations.md` lists the metrics and when each has data.
   *
   * @param statistic Such as `Maximum` or `Sum`.
   */
  metric(name: FleetMetric, statistic: string, options: MetricOptions = {}): Metric {
    return fleetMetric({ app: this.app, fleet: this.config.name }, name, statistic).with(options);
  }

  /** How many tasks wait for a runner: the maximum of each minute. */
  metricUnclaimedTasks(options?: MetricOptions): Metric {
    return this.metric('UnclaimedTasks', 'Maximum', options);
  }

  /** How many tasks run on any runner of the resource class: the maximum of each minute. */
  metricRunningTasks(options?: MetricOptions): Metric {
    return this.metric('RunningTasks', 'Maximum', options);
  }

  /** How many tasks runners have claimed, by the minute. */
  metricClaimedTasks(options?: MetricOptions): Metric {
    return this.metric('ClaimedTasks', 'Sum', options);
  }

  /** How many instances the group has launched, by the minute. */
  metricLaunches(options?: MetricOptions): Metric {
    return this.metric('Launches', 'Sum', options);
  }

  /** How many launches have failed, by the minute. */
  metricFailedLaunches(options?: MetricOptions): Metric {
    return this.metric('FailedLaunches', 'Sum', options);
  }
}
