import { Duration, Token } from 'aws-cdk-lib';
import type { IMachineImage, ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type * as z from 'zod';
import type { Fleet } from '../fleets/fleet.ts';
import type { FleetConfig } from '../fleets/load.ts';
import type { DURATION_SETTINGS } from '../fleets/settings/durations.ts';

/** The settings of a fleet, as `fleets.yaml` has them. */
type Settings = z.input<typeof Fleet>;

type DurationSetting = keyof typeof DURATION_SETTINGS;

/**
 * A fleet: the settings of `fleets.yaml`, which `docs/configuration.md` describes with units and defaults, and objects of
 * the CDK where the file has ids and names. Durations are `Duration.minutes(5)`, seconds, or texts such as `5m`.
 *
 * The guardrails are about `fleets.yaml`. They see no ids and names that only a deployment knows: whoever writes the app is
 * trusted with the objects in it. If the guardrails list `networks`, they refuse a `vpc` whose ids are not known yet.
 */
export type FleetProps = Omit<Settings, DurationSetting> & {
  [Name in DurationSetting]?: Settings[Name] | Duration;
} & FleetObjects;

/** Where the functions run that all fleets share. */
export interface ScalerObjects {
  /** The VPC. */
  vpc: IVpc;
  /**
   * The subnets of `vpc`, from which CircleCI and AWS can be reached.
   *
   * Default: its private subnets with a way out.
   */
  vpcSubnets?: SubnetSelection;
  /**
   * Security groups of `vpc` for the functions. They must allow outbound HTTPS.
   *
   * Default: a new one that allows no inbound traffic.
   */
  securityGroups?: ISecurityGroup[];
  /**
   * URL of a proxy for HTTPS of the functions, without user and password. The guardrails must list it in `scalerProxies`.
   *
   * Default: none.
   */
  httpProxy?: string;
  /** Hosts, and domains that begin with a dot, that the functions reach without `httpProxy`. Default: none. */
  noProxy?: string[];
  /** Path of a PEM file with authorities that the functions trust beside the public ones. Default: none. */
  caCertificates?: string;
}

/** What a fleet uses of your CDK app. */
export interface FleetObjects {
  /**
   * The VPC of the instances.
   *
   * Default: what `network` says, which is the account's default VPC if nothing else is set.
   */
  vpc?: IVpc;
  /**
   * The subnets of `vpc`, from which instances can reach the internet.
   *
   * Default: its private subnets with a way out.
   */
  vpcSubnets?: SubnetSelection;
  /**
   * Security groups of `vpc` for the instances. They must allow outbound traffic.
   *
   * Default: a new one that allows no inbound traffic.
   */
  securityGroups?: ISecurityGroup[];
  /**
   * The image of the instances. It must have systemd, apt or dnf, and curl 7.87 or newer; `rootDevice` names its root device.
   *
   * Default: what `image` says, which is Ubuntu 24.04 if nothing else is set.
   */
  machineImage?: IMachineImage;
  /**
   * A secret with `resource_class` and `circle_token`, in the account and Region of the fleet. Fleets may share one that lists
   * their classes. Grant its key to the functions yourself if it has one of its own.
   *
   * Default: the fleet's stack makes a secret without a value.
   */
  scalerSecret?: ISecret;
  /**
   * A secret with the resource class token. Default: the fleet's stack makes a secret without a value.
   */
  runnerSecret?: ISecret;
  /** A topic that also receives the fleet's alarms. Its policy must allow CloudWatch to publish. Default: none. */
  alarmTopic?: ITopic;
}

/** Stands for an id that only a deployment knows, while the settings are checked. */
const UNKNOWN = '00000000';

const known = (id: string, otherwise: string) => (Token.isUnresolved(id) ? otherwise : id);

/** Each pair cannot be set together: one says the same as the other. */
const SAME = {
  vpc: 'network',
  machineImage: 'image',
  scalerSecret: 'scalerSecretName',
  runnerSecret: 'runnerSecretName',
  alarmTopic: 'alarmTopicArn',
} as const;

/** The settings of a fleet as `fleets.yaml` would have them, so that they are checked by the same rules. */
export function settingsOf(name: string, props: FleetProps): { settings: Settings; faults: string[] } {
  const { vpc, vpcSubnets, securityGroups, machineImage, scalerSecret, runnerSecret, alarmTopic, ...plain } =
    props;
  const faults = Object.entries(SAME).flatMap(([object, setting]) =>
    props[object as keyof FleetProps] !== undefined && props[setting] !== undefined
      ? [`${name}.${object}: must be left out if ${setting} is set, which says the same`]
      : [],
  );
  if (vpc === undefined && (vpcSubnets ?? securityGroups) !== undefined)
    faults.push(`${name}.${vpcSubnets ? 'vpcSubnets' : 'securityGroups'}: must be left out without vpc`);
  const settings = Object.fromEntries(
    Object.entries(plain).map(([key, value]) => [key, value instanceof Duration ? value.toSeconds() : value]),
  ) as Settings;
  if (vpc !== undefined)
    settings.network = vpcToCheck({
      vpc,
      ...(vpcSubnets && { vpcSubnets }),
      ...(securityGroups && { securityGroups }),
    });
  if (machineImage !== undefined) settings.image = `ami-${UNKNOWN}`;
  return { settings, faults };
}

/** The ids of a VPC. */
export function vpcOf({ vpc, vpcSubnets, securityGroups }: ScalerObjects) {
  return {
    vpcId: vpc.vpcId,
    subnetIds: vpc.selectSubnets(vpcSubnets).subnets.map(({ subnetId }) => subnetId),
    ...(securityGroups && { securityGroupIds: securityGroups.map(({ securityGroupId }) => securityGroupId) }),
  };
}

/** The same, with a text for each id that only a deployment knows. */
export function vpcToCheck(objects: ScalerObjects) {
  const { vpcId, subnetIds, securityGroupIds } = vpcOf(objects);
  const knownOf = (ids: string[], kind: string) =>
    ids.map((id, index) => known(id, `${kind}-${index.toString(16).padStart(8, '0')}`));
  return {
    vpcId: known(vpcId, `vpc-${UNKNOWN}`),
    subnetIds: knownOf(subnetIds, 'subnet'),
    ...(securityGroupIds && { securityGroupIds: knownOf(securityGroupIds, 'sg') }),
  };
}

/** A checked fleet with the ids and names of its objects. */
export function withObjects(config: FleetConfig, objects: FleetObjects): FleetConfig {
  const { vpc, vpcSubnets, securityGroups, scalerSecret, runnerSecret, alarmTopic } = objects;
  return {
    ...config,
    ...(vpc && {
      network: vpcOf({ vpc, ...(vpcSubnets && { vpcSubnets }), ...(securityGroups && { securityGroups }) }),
    }),
    ...(scalerSecret && { scalerSecretName: scalerSecret.secretName }),
    ...(runnerSecret && { runnerSecretName: runnerSecret.secretName }),
    ...(alarmTopic && { alarmTopicArn: alarmTopic.topicArn }),
  };
}
