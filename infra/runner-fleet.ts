import { Annotations, CfnOutput, Stack, Tags } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { warningsAbout } from '../fleets/warnings.ts';
import { FleetSecret, secretNameOf } from './fleet-secret.ts';
import { InstallScript } from './install-script.ts';
import { InstanceLog } from './instance-log.ts';
import { InstanceRole } from './instance-role.ts';
import { RunnerLaunchTemplate } from './launch-template.ts';
import { RunnerGroup } from './runner-group.ts';
import { RunnerImage } from './runner-image.ts';
import { RunnerNetwork } from './runner-network.ts';
import { RunnerWarmPool } from './runner-warm-pool.ts';

export interface RunnerFleetProps {
  app: string;
  config: FleetConfig;
}

/** Everything that one fleet has for itself, as a table of contents. */
export class RunnerFleet extends Construct {
  readonly config: FleetConfig;
  readonly groupName: string;
  readonly scalerSecret: FleetSecret;
  readonly runnerSecret: FleetSecret;
  readonly group: RunnerGroup;
  readonly warmPool: RunnerWarmPool | undefined;

  constructor(scope: Construct, id: string, { app, config }: RunnerFleetProps) {
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
    const image = new RunnerImage(this, 'Image', { fleet: config });
    const install =
      config.installFile === undefined
        ? undefined
        : new InstallScript(this, 'Install', { file: config.installFile });
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
    const warmPool =
      config.warmPool && new RunnerWarmPool(this, 'WarmPool', { warmPool: config.warmPool, group });

    runnerSecret.allowRead(role);
    group.allowMembers(role);
    install?.allowRead(role);
    log?.allowWrite(role);
    if (config.sessionManager) role.allowSessionManager();

    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);
    for (const warning of warningsAbout(config))
      Annotations.of(this).addWarningV2(warning.id, warning.message);
    const output = (what: string, value: string) => new CfnOutput(Stack.of(this), what, { value });
    output('GroupName', groupName);
    output('ScalerSecretName', scalerSecret.secretName);
    output('RunnerSecretName', runnerSecret.secretName);

    this.config = config;
    this.groupName = groupName;
    this.scalerSecret = scalerSecret;
    this.runnerSecret = runnerSecret;
    this.group = group;
    this.warmPool = warmPool;
  }
}
