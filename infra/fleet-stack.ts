import { Aspects, Stack, type StackProps } from 'aws-cdk-lib';
import type { IMachineImage } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { BuiltImage } from '../fleets/built-images.ts';
import { deployedSettingsOf } from '../fleets/deployed-settings.ts';
import { idleTimes, learns } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { fleetStackName } from '../fleets/names.ts';
import { lifetimesOf } from '../userdata/lifetimes.ts';
import type { AllFleets } from './all-fleets.ts';
import { EncryptionKey } from './encryption.ts';
import { FleetParameter } from './fleet-parameter.ts';
import { FleetSchedule, ReconcileSchedule } from './fleet-schedule.ts';
import { isScalerSecretOf } from './fleet-secret.ts';
import { FirstHeartbeat, GroupSettings } from './group-settings.ts';
import { LearnedParameter } from './learned-parameter.ts';
import { RunnerFleet } from './runner-fleet.ts';
import { Shared } from './shared.ts';

export interface FleetStackProps extends StackProps {
  /** Name of the app, which is the name of the shared stack. */
  app: string;
  config: FleetConfig;
  /** The second from which it polls beside the other fleets. Default: the first one that its name allows. */
  spreadSeconds?: number | undefined;
  /** An image in place of the configured one. */
  machineImage?: IMachineImage | undefined;
  /** The image of the fleet, if it is built. Default: it is not. */
  image?: BuiltImage | undefined;
  /** All fleets of the app. Until it is complete, `concurrency` of the fleet may lack some of those that share its plan. */
  allFleets: AllFleets;
}

/** Everything that one fleet has for itself, as a table of contents. It refers to the shared stack by names. */
export class FleetStack extends Stack {
  /** The name of the fleet. */
  readonly fleet: string;
  readonly config: FleetConfig;
  readonly runnerFleet: RunnerFleet;

  constructor(
    scope: Construct,
    { app, config, spreadSeconds, machineImage, image, allFleets, ...props }: FleetStackProps,
  ) {
    super(scope, fleetStackName(app, config.name), {
      // Commands know the stack by this name, in a stage as well.
      stackName: fleetStackName(app, config.name),
      description: `CircleCI runners of fleet ${config.name}`,
      // Templates with a line for each brace would take a third more of the 1 MB that CloudFormation allows.
      suppressTemplateIndentation: true,
      ...props,
    });
    this.fleet = config.name;
    this.config = config;
    if (config.encryptionKey !== undefined) Aspects.of(this).add(new EncryptionKey(config.encryptionKey));
    const { topicArn } = new Shared(this, app);

    const fleet = new RunnerFleet(this, 'Fleet', {
      app,
      config,
      machineImage,
      allFleets,
      builtImage: image?.builder.name === config.name ? image : undefined,
    });
    this.runnerFleet = fleet;
    const parameter = new FleetParameter(this, 'Parameter', {
      app,
      fleet: config.name,
      allFleets,
      settings: () => ({
        ...deployedSettingsOf(app, config, spreadSeconds),
        scalerSecretName: fleet.scalerSecret.secretName,
        ...(isScalerSecretOf(app, fleet.scalerSecret.secretName) && { awaitsTokens: true }),
        runnerSecretName: fleet.runnerSecret.secretName,
        groupName: fleet.groupName,
        alarmTopicArn: config.alarmTopicArn ?? topicArn,
        lifetimes: lifetimesOf({ ...config, idleTimeout: idleTimes(config).seconds }),
        ...(image !== undefined && {
          // As ARNs have it.
          imageBuiltBy: fleetStackName(app, image.builder.name).toLowerCase(),
        }),
        ...(fleet.imageParameter && { imageSource: fleet.imageParameter.source }),
      }),
    });
    // Its function reads in the settings which image the fleet begins with.
    fleet.imageParameter?.node.addDependency(parameter);
    if (learns(config)) new LearnedParameter(this, 'Learned', { app, fleet: config.name });
    const schedule = new FleetSchedule(this, 'Schedule', { app, config });
    // CloudFormation makes the schedule after the settings that its executions read, and after all that may fail, so that
    // no instance is launched for a fleet whose creation is rolled back. It deletes the schedule before the Auto Scaling
    // group, so that nothing is launched into a group on its way out.
    const alarms = Object.values(fleet.alarms);
    const { NotRunning, NeedsYou, ...others } = fleet.alarms;
    const heartbeat = new FirstHeartbeat(this, { app, fleet: config.name });
    // Late, because the alarm waits five minutes for the next heartbeat: that of the first execution.
    heartbeat.node.addDependency(parameter, ...Object.values(others), fleet.warmPool ?? fleet.group);
    NotRunning?.node.addDependency(heartbeat);
    schedule.node.addDependency(parameter, ...alarms, fleet.warmPool ?? fleet.group);
    const reconcile = new ReconcileSchedule(this, 'ReconcileSchedule', { app, config });
    reconcile.node.addDependency(parameter, fleet.group);
    const settings = new GroupSettings(this, { app, fleet: config.name });
    // Made last and deleted first: while its deletion is refused, the fleet is whole and follows its queue.
    settings.node.addDependency(fleet, parameter, schedule, reconcile, ...alarms);
  }
}
