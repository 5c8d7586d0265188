import { Aspects, type Environment } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type * as z from 'zod';
import type { Deployment } from '../fleets/deployment.ts';
import { type FleetConfig, FleetsInvalid, loadFleets, loadSettings } from '../fleets/load.ts';
import { faultOfStackName, STACK_NAME } from '../fleets/names.ts';
import { RELEASE_FILE, withRelease } from '../fleets/runner-release.ts';
import type { TOP_SETTINGS } from '../fleets/settings/top.ts';
import { rememberFleetsFile } from './advised-app.ts';
import {
  type FleetProps,
  type ScalerObjects,
  settingsOf,
  vpcOf,
  vpcToCheck,
  withObjects,
} from './fleet-props.ts';
import { faultOfRunbookUrl } from './runbook.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { type AppStacks, GrowingStacks } from './stacks.ts';

type Top = { [Name in keyof typeof TOP_SETTINGS]: z.input<(typeof TOP_SETTINGS)[Name]> };

export interface CircleCiRunnersProps<Name extends string = string> {
  /**
   * Fleets by their names, which are added as `addFleet` adds them.
   *
   * Default: none. Add fleets with `addFleet`, or name a `fleetsFile`.
   */
  fleets?: Record<Name, FleetProps>;
  /**
   * Path of a `fleets.yaml` that has all fleets, and the settings of all fleets. Paths in it are relative to its folder. No
   * fleets can be added to those of a file.
   *
   * Default: no file is read.
   */
  fleetsFile?: string;
  /**
   * The name of the shared stack, and the prefix of every other name.
   *
   * Default: the context `stack`, or else `circleci-runners`.
   */
  name?: string;
  /**
   * A KMS key that encrypts the secrets, the alarm topic, the dead-letter queue, the logs and the root volumes, as an object
   * whose ARN is known, or an ARN. The guardrails must list it in `encryptionKeys`. Not with `fleetsFile`.
   *
   * Default: keys of AWS.
   */
  encryptionKey?: IKey | string;
  /**
   * Where the functions of the workflows run, as objects or by ids, and whom they trust, for a CircleCI server of a private
   * network. `docs/private-network.md` lists the endpoints that a VPC then needs. Not with `fleetsFile`.
   *
   * Default: the functions run in no VPC of yours, and trust the public authorities.
   */
  scaler?: Top['scaler'] | ScalerObjects;
  /** Maximum cost of the instances of all fleets together, in US dollars an hour. Not with `fleetsFile`. Default: none. */
  maxHourlyCost?: Top['maxHourlyCost'];
  /**
   * The concurrency of your CircleCI plan in tasks, and the fleets that share it: those that it names, or else all, with those
   * that are added later. Beside `fleets` it names some of these; without `fleets`, it may name fleets that `addFleet` adds.
   * Not with `fleetsFile`. Default: none.
   */
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
 * fleet. The stacks are made in the scope, which is an `App` or a `Stage`. Fleets are added with `addFleet`, by the prop
 * `fleets`, or from a file. What depends on all fleets is made when the app is synthesised.
 *
 * The context also has the paths of the guardrails (`guardrails`) and of the pinned release of CircleCI's runner (`runner`,
 * or `current` for the release of the day), and the address of the runbook (`runbookUrl`).
 */
export class CircleCiRunners<Name extends string = string> extends Construct {
  /** The stacks: the shared one, and those of the fleets in the order in which they were added. */
  readonly stacks: AppStacks;
  /** The fleets by their names, with those that were added. */
  readonly fleets: Readonly<Record<Name, RunnerFleet>>;
  /** The topic that receives the alarms of all fleets, to subscribe whom they should reach. */
  readonly alarmTopic: ITopic;
  /** The state machine that the schedules of all fleets start. It is referred to by its name. */
  readonly stateMachine: IStateMachine;
  private readonly deployment: Deployment;
  /** The path of the pinned release, or `current`. */
  private readonly release: string;
  private readonly growing: GrowingStacks;
  private readonly top: CheckedTop;
  private readonly vpc: ScalerObjects | undefined;
  private readonly fleetsFile: string | undefined;
  /** The settings of the fleets of the app, as a file would have them. */
  private readonly settings = new Map<string, object>();
  private readonly made: Record<string, RunnerFleet> = {};
  /** Whether all was checked together: `concurrency` may name fleets that `addFleet` does not know yet. */
  private checked = true;
  private completed = false;

  /**
   * @throws FleetsInvalid with every fault of the settings, and with all that the guardrails do not allow. The synthesis throws
   * it if the app has no fleet, or if `concurrency` names a fleet that was not added.
   */
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
    this.deployment = {
      stack: name,
      guardrails: guardrails === undefined ? undefined : String(guardrails),
    };
    this.release = context('runner', RELEASE_FILE);
    const { fleets, fleetsFile, scaler, env } = props;
    if (fleetsFile !== undefined) {
      refuseBesideFile(props);
      rememberFleetsFile(this, name, fleetsFile);
    }
    this.fleetsFile = fleetsFile;
    this.vpc = scaler !== undefined && 'vpc' in scaler ? scaler : undefined;
    this.top = topOf(props);

    const given: [string, FleetProps][] = Object.entries(fleets ?? {});
    const configs =
      fleetsFile === undefined
        ? fleets === undefined
          ? []
          : this.check(checkedSettings(given), this.top)
        : loadFleets(fleetsFile, this.deployment);
    const pinned = this.withRelease(configs);
    const encryptionKey = fleetsFile === undefined ? this.top.encryptionKey : configs[0]?.encryptionKey;
    this.growing = new GrowingStacks(scope, name, { encryptionKey, env });
    this.stacks = this.growing.stacks;
    this.fleets = this.made as Record<Name, RunnerFleet>;
    this.alarmTopic = this.stacks.shared.alarmTopic;
    this.stateMachine = this.stacks.shared.stateMachine;
    for (const config of pinned) this.grow(config, fleets?.[config.name as Name] ?? {});
    // Aspects run first in a synthesis. This construct is made before the stacks, so they are visited when they are complete.
    if (fleetsFile === undefined) Aspects.of(this).add({ visit: () => this.complete() });
    else this.complete();
  }

  /**
   * Adds a fleet, with a stack of its own. The order counts: the first fleet with an image builds it for those that have the
   * same, and fleets take turns to poll.
   *
   * @param name A letter and at most 31 more letters, digits, hyphens and underscores; it does not begin with `x-`.
   * @param props Paths in it are relative to the folder in which the app runs.
   * @throws FleetsInvalid with every fault of the fleets so far, and with all that the guardrails do not allow them; if the name is
   * taken; with `fleetsFile`; or after the synthesis.
   */
  addFleet(name: string, props: FleetProps): RunnerFleet {
    if (this.fleetsFile !== undefined)
      throw new FleetsInvalid(
        `${name}: must be in ${this.fleetsFile}, which has all fleets of the app: write it there, or leave out fleetsFile and call addFleet for each fleet`,
      );
    if (this.completed)
      throw new FleetsInvalid(
        `${name}: must be added before the app is synthesised: call addFleet before app.synth() and before Template.fromStack()`,
      );
    if (this.settings.has(name))
      throw new FleetsInvalid(
        `${name}: must be the name of one fleet, and the app has one of this name: choose another name, or take the fleet that fleets.${name} is`,
      );
    const { concurrency, ...top } = this.top;
    const plans = concurrency && plansSoFar(concurrency, [...this.settings.keys(), name]);
    const configs = this.check(checkedSettings([[name, props]]), {
      ...top,
      ...(plans && { concurrency: plans }),
    });
    const [config] = this.withRelease(configs.filter((each) => each.name === name));
    if (config === undefined) throw new Error(`${name} is no fleet of its settings`);
    this.checked = concurrency === undefined;
    return this.grow(config, props);
  }

  /** Checks these fleets with those that the app has already, which they join if there is no fault. */
  private check(added: [string, object][], top: CheckedTop): FleetConfig[] {
    const settings = [...this.settings, ...added];
    const configs = loadSettings({ ...top, ...Object.fromEntries(settings) }, 'The app', this.deployment);
    for (const [name, each] of added) this.settings.set(name, each);
    return configs;
  }

  private withRelease(configs: FleetConfig[]): FleetConfig[] {
    return this.release === 'current' ? configs : withRelease(configs, this.release);
  }

  private grow(config: FleetConfig, props: Partial<FleetProps>): RunnerFleet {
    const whole = {
      ...withObjects(config, props),
      ...(this.vpc && { scaler: { ...config.scaler, ...vpcOf(this.vpc) } }),
    };
    const { runnerFleet } = this.growing.add(whole, props.machineImage);
    this.made[config.name] = runnerFleet;
    return runnerFleet;
  }

  /** Makes what depends on all fleets. */
  private complete(): void {
    if (this.completed) return;
    const { fleets } = this.stacks;
    if (fleets.length === 0)
      throw new FleetsInvalid(
        `${this.node.path} must have at least one fleet: call addFleet, or give it fleets or a fleetsFile`,
      );
    if (!this.checked) {
      const plans = new Map(this.check([], this.top).map(({ name, concurrency }) => [name, concurrency]));
      for (const { config } of fleets) config.concurrency = plans.get(config.name);
    }
    this.completed = true;
    this.growing.complete();
  }
}

/** What a `fleets.yaml` would say of all fleets together. */
interface CheckedTop extends Partial<Pick<Top, 'maxHourlyCost' | 'concurrency'>> {
  encryptionKey?: string;
  scaler?: object;
}

/** The plans without the fleets that come later, or nothing if all do. */
function plansSoFar(concurrency: NonNullable<Top['concurrency']>, names: string[]): Top['concurrency'] {
  const soFar = [concurrency].flat().flatMap((plan) => {
    if (!Array.isArray(plan.fleets)) return [plan];
    const fleets = plan.fleets.filter((name) => names.includes(name));
    return fleets.length > 0 ? [{ ...plan, fleets }] : [];
  });
  if (soFar.length === 0) return undefined;
  return Array.isArray(concurrency) ? soFar : soFar[0];
}

/** @throws FleetsInvalid if the file says the same as another prop, or may do so. */
function refuseBesideFile(props: CircleCiRunnersProps): void {
  if (props.fleets !== undefined)
    throw new FleetsInvalid(
      'fleetsFile: must be left out with fleets: keep all fleets in the file, or all in the app',
    );
  const alone = (['encryptionKey', 'scaler', 'maxHourlyCost', 'concurrency'] as const).find(
    (setting) => props[setting] !== undefined,
  );
  if (alone !== undefined)
    throw new FleetsInvalid(
      `${alone}: must be left out with fleetsFile: set it in the file, ${props.fleetsFile}`,
    );
}

/** What a `fleets.yaml` would say of these fleets. */
function checkedSettings(fleets: [string, FleetProps][]): [string, object][] {
  const parts = fleets.map(([name, props]) => ({ name, ...settingsOf(name, props) }));
  const faults = parts.flatMap((part) => part.faults);
  if (faults.length > 0) throw new FleetsInvalid(faults.join('\n'));
  return parts.map(({ name, settings }) => [name, settings]);
}

function topOf({ encryptionKey, scaler, maxHourlyCost, concurrency }: CircleCiRunnersProps): CheckedTop {
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
  };
}
