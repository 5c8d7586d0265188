import type { Environment } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type * as z from 'zod';
import { FleetsInvalid, loadFleets, loadSettings } from '../fleets/load.ts';
import { faultOfStackName, STACK_NAME } from '../fleets/names.ts';
import { RELEASE_FILE, withRelease } from '../fleets/runner-release.ts';
import type { TOP_SETTINGS } from '../fleets/settings/top.ts';
import {
  type FleetObjects,
  type FleetProps,
  type ScalerObjects,
  settingsOf,
  vpcOf,
  vpcToCheck,
  withObjects,
} from './fleet-props.ts';
import { faultOfRunbookUrl } from './runbook.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { type AppStacks, stacksOf } from './stacks.ts';

type Top = { [Name in keyof typeof TOP_SETTINGS]: z.input<(typeof TOP_SETTINGS)[Name]> };

export interface CircleCiRunnersProps<Name extends string = string> {
  /**
   * The fleets by their names. A name has a letter and at most 31 more letters, digits, hyphens and underscores. Paths are
   * relative to the folder in which the app runs.
   *
   * Default: the file that the context `fleets` names, or else `fleets.yaml` in that folder.
   */
  fleets?: Record<Name, FleetProps>;
  /**
   * The name of the shared stack, and the prefix of every other name.
   *
   * Default: the context `stack`, or else `circleci-runners`.
   */
  name?: string;
  /**
   * A KMS key that encrypts the secrets, the alarm topic, the dead-letter queue, the logs and the root volumes, as an object
   * whose ARN is known, or an ARN. The guardrails must list it in `encryptionKeys`. Only with `fleets`.
   *
   * Default: keys of AWS.
   */
  encryptionKey?: IKey | string;
  /**
   * Where the functions of the workflows run, as objects or by ids, and whom they trust, for a CircleCI server of a private
   * network. `docs/private-network.md` lists the endpoints that a VPC then needs. Only with `fleets`.
   *
   * Default: the functions run in no VPC of yours, and trust the public authorities.
   */
  scaler?: Top['scaler'] | ScalerObjects;
  /** Maximum cost of the instances of all fleets together, in US dollars an hour. Only with `fleets`. Default: none. */
  maxHourlyCost?: Top['maxHourlyCost'];
  /** The concurrency of your CircleCI plan, and the fleets that share it. Only with `fleets`. Default: none. */
  concurrency?: Top['concurrency'];
  /**
   * The account and the Region of all stacks.
   *
   * Default: those of the credentials with which the CDK deploys.
   */
  env?: Environment;
}

/**
 * All that runs your fleets: a stack that they share (workflow, functions, alarm topic, dashboard), and a stack for each
 * fleet. The stacks are made in the scope, which is an `App` or a `Stage`.
 *
 * The context also has the paths of the guardrails (`guardrails`) and of the pinned release of CircleCI's runner (`runner`,
 * or `current` for the release of the day), and the address of the runbook (`runbookUrl`).
 */
export class CircleCiRunners<Name extends string = string> extends Construct {
  /** The stacks: the shared one, and those of the fleets in their order. */
  readonly stacks: AppStacks;
  /** The fleets by their names. */
  readonly fleets: Readonly<Record<Name, RunnerFleet>>;
  /** The topic that receives the alarms of all fleets, to subscribe whom they should reach. */
  readonly alarmTopic: ITopic;
  /** The state machine that the schedules of all fleets start. */
  readonly stateMachine: IStateMachine;

  /** @throws FleetsInvalid with every fault of the settings, and with all that the guardrails do not allow. */
  constructor(scope: Construct, id: string, props: CircleCiRunnersProps<Name> = {}) {
    super(scope, id);
    const context = (key: string, otherwise: string) => String(this.node.tryGetContext(key) ?? otherwise);
    const name = props.name ?? context('stack', STACK_NAME);
    const fault = faultOfStackName(name);
    if (fault !== undefined)
      throw new FleetsInvalid(
        `${props.name === undefined ? '-c stack' : 'name'} ${fault}, got ${JSON.stringify(name)}`,
      );
    const faultOfUrl = faultOfRunbookUrl(this);
    if (faultOfUrl !== undefined) throw new FleetsInvalid(faultOfUrl);
    const guardrails: unknown = this.node.tryGetContext('guardrails');
    const deployment = {
      stack: name,
      guardrails: guardrails === undefined ? undefined : String(guardrails),
    };
    const alone = (['encryptionKey', 'scaler', 'maxHourlyCost', 'concurrency'] as const).find(
      (setting) => props.fleets === undefined && props[setting] !== undefined,
    );
    if (alone !== undefined)
      throw new FleetsInvalid(`${alone}: must be left out without fleets: set it in the fleets file`);
    const checked =
      props.fleets === undefined
        ? loadFleets(context('fleets', 'fleets.yaml'), deployment)
        : loadSettings(fileOf(props), 'The app', deployment);
    const runner = context('runner', RELEASE_FILE);
    const configs = runner === 'current' ? checked : withRelease(checked, runner);
    const objects: Record<string, FleetObjects> = props.fleets ?? {};
    const { scaler } = props;

    this.stacks = stacksOf(
      scope,
      name,
      configs.map((config) => ({
        ...withObjects(config, objects[config.name] ?? {}),
        ...(scaler !== undefined && 'vpc' in scaler && { scaler: { ...config.scaler, ...vpcOf(scaler) } }),
      })),
      { images: (fleet) => objects[fleet]?.machineImage, env: props.env },
    );
    this.fleets = Object.fromEntries(
      this.stacks.fleets.map(({ fleet, runnerFleet }) => [fleet, runnerFleet]),
    ) as Record<Name, RunnerFleet>;
    this.alarmTopic = this.stacks.shared.alarmTopic;
    this.stateMachine = this.stacks.shared.stateMachine;
  }
}

/** What a `fleets.yaml` with these fleets would say. */
function fileOf({ fleets, encryptionKey, scaler, maxHourlyCost, concurrency }: CircleCiRunnersProps): object {
  const parts = Object.entries(fleets ?? {}).map(([name, props]) => ({ name, ...settingsOf(name, props) }));
  const faults = parts.flatMap((part) => part.faults);
  if (faults.length > 0) throw new FleetsInvalid(faults.join('\n'));
  return {
    ...(encryptionKey && {
      encryptionKey: typeof encryptionKey === 'string' ? encryptionKey : encryptionKey.keyArn,
    }),
    ...(scaler && {
      scaler:
        'vpc' in scaler
          ? {
              ...vpcToCheck(scaler),
              ...(scaler.httpProxy !== undefined && { httpProxy: scaler.httpProxy }),
              ...(scaler.noProxy !== undefined && { noProxy: scaler.noProxy }),
              ...(scaler.caCertificates && { caCertificates: scaler.caCertificates }),
            }
          : scaler,
    }),
    ...(maxHourlyCost !== undefined && { maxHourlyCost }),
    ...(concurrency && { concurrency }),
    ...Object.fromEntries(parts.map(({ name, settings }) => [name, settings])),
  };
}
