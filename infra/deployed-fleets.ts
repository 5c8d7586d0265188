import { setTimeout as sleep } from 'node:timers/promises';
import { Annotations } from 'aws-cdk-lib';
import * as z from 'zod';
import { FleetsInvalid } from '../fleets/load.ts';
import { fleetStackName } from '../fleets/names.ts';
import {
  adviceAboutUndeclared,
  type DeployedParts,
  faultsWithUndeclared,
  rightsLost,
  type UndeclaredFleet,
  undeclaredFleets,
} from '../fleets/undeclared.ts';
import { forApp } from '../functions/lib/advice.ts';
import { settingsParameter } from '../functions/lib/fleet-names.ts';
import { PAUSED_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { advisedApp } from './advised-app.ts';
import type { AppStacks } from './stacks.ts';

/** A deployed group of any app. */
export interface DeployedGroup {
  app: string;
  fleet: string;
  maxSize: number;
  draining: boolean;
}

/** How long the synthesis waits for the account, in milliseconds. */
const DEADLINE = 2_000;

/** The largest page: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
const PAGE = 100;

/**
 * The groups of all apps in the account and Region that the CDK deploys to. A synthesis works without them: there are none
 * if the CDK has no credentials, if they are for another account or may not read groups, or if AWS does not answer in time.
 *
 * @param env What the CDK CLI says about its target: https://docs.aws.amazon.com/cdk/v2/guide/environments.html
 */
export async function deployedGroups(env: NodeJS.ProcessEnv, deadline = DEADLINE): Promise<DeployedGroup[]> {
  return (await groupsIfRead(env, deadline)) ?? [];
}

/** The same, or `undefined` if the CDK has credentials and the groups could not be read with them. */
async function groupsIfRead(env: NodeJS.ProcessEnv, deadline: number): Promise<DeployedGroup[] | undefined> {
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = env;
  if (account === undefined || region === undefined) return [];
  return within(deadline, (signal) => readGroups(account, region, signal));
}

/**
 * The settings of deployed fleets, by their names. Those that cannot be read in time are left out, as are those that are
 * no settings.
 */
export async function deployedParts(
  env: NodeJS.ProcessEnv,
  app: string,
  fleets: string[],
  deadline = DEADLINE,
): Promise<Map<string, DeployedParts>> {
  const { CDK_DEFAULT_REGION: region } = env;
  if (fleets.length === 0 || region === undefined) return new Map();
  return (await within(deadline, (signal) => readParts(region, app, fleets, signal))) ?? new Map();
}

/** What this gives in time; `undefined` if it fails. */
async function within<Given>(
  deadline: number,
  given: (abortSignal: AbortSignal) => Promise<Given>,
): Promise<Given | undefined> {
  const end = new AbortController();
  const late = sleep(deadline, undefined, { signal: end.signal }).catch(() => undefined);
  try {
    return await Promise.race([given(end.signal), late]);
  } catch {
    return undefined;
  } finally {
    end.abort();
  }
}

async function readGroups(
  account: string,
  region: string,
  abortSignal: AbortSignal,
): Promise<DeployedGroup[]> {
  const { AutoScalingClient, paginateDescribeAutoScalingGroups } = await import(
    '@aws-sdk/client-auto-scaling'
  );
  const client = new AutoScalingClient({ region, maxAttempts: 1 });
  const asked = { Filters: [{ Name: 'tag-key', Values: [STACK_TAG] }], MaxRecords: PAGE };
  const found: DeployedGroup[] = [];
  for await (const page of paginateDescribeAutoScalingGroups({ client }, asked, { abortSignal })) {
    for (const group of page.AutoScalingGroups ?? []) {
      const { AutoScalingGroupName: name = '', AutoScalingGroupARN: arn = '', Tags = [] } = group;
      const app = Tags.find(({ Key }) => Key === STACK_TAG)?.Value ?? '';
      // The app may have other credentials than the CDK CLI, which chooses its own with --profile.
      if (arn.split(':')[4] === account && name.startsWith(`${app}-`))
        found.push({
          app,
          fleet: name.slice(app.length + 1),
          maxSize: group.MaxSize ?? 0,
          draining: Tags.some(({ Key, Value }) => Key === PAUSED_TAG && Value === 'drain'),
        });
    }
  }
  return found;
}

const Parts = z.object({
  resourceClass: z.string(),
  mostHourlyCost: z.number().optional(),
  concurrency: z.object({ groups: z.array(z.string()) }).optional(),
  scalerSecretName: z.string().optional(),
  runnerSecretName: z.string().optional(),
  alarmTopicArn: z.string().optional(),
  spareRunners: z.unknown().optional(),
  warmPoolAuto: z.boolean().optional(),
  onDemandPercentage: z.number().optional(),
  reconcile: z.string().optional(),
});

/** The most names in a call: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html */
const NAMES = 10;

async function readParts(
  region: string,
  app: string,
  fleets: string[],
  abortSignal: AbortSignal,
): Promise<Map<string, DeployedParts>> {
  const { GetParametersCommand, SSMClient } = await import('@aws-sdk/client-ssm');
  const client = new SSMClient({ region, maxAttempts: 1 });
  const found = new Map<string, DeployedParts>();
  const path = settingsParameter(app, '');
  for (let start = 0; start < fleets.length; start += NAMES) {
    const Names = fleets.slice(start, start + NAMES).map((fleet) => path + fleet);
    const { Parameters = [] } = await client.send(new GetParametersCommand({ Names }), { abortSignal });
    for (const { Name = '', Value = '' } of Parameters) {
      const parts = partsIn(Value);
      if (parts !== undefined) found.set(Name.slice(path.length), parts);
    }
  }
  return found;
}

function partsIn(value: string): DeployedParts | undefined {
  try {
    return Parts.parse(JSON.parse(value));
  } catch {
    return undefined;
  }
}

/** Compares what the stacks are going to be with what is in the account, as far as it can be read. */
export async function compareWithAccount(
  stacks: AppStacks,
  env: NodeJS.ProcessEnv,
  deadline = DEADLINE,
): Promise<void> {
  const deployed = await groupsIfRead(env, deadline);
  if (deployed === undefined) {
    const { shared } = stacks;
    const advised = advisedApp(shared, shared.stackName);
    Annotations.of(shared).addWarningV2(
      'circleci-runner-autoscaler:account-not-read',
      forApp(
        advised,
        `The Auto Scaling groups of the account could not be read within ${deadline / 1_000} s, so the file was not compared with what is deployed. If a deployed fleet is not in the file, a deployment can take rights that it needs. Compare them first: npm run doctor`,
      ),
    );
    return;
  }
  const undeclared = undeclaredOf(stacks, deployed).map(({ fleet }) => fleet);
  compareWithDeployed(stacks, deployed, await deployedParts(env, stacks.shared.stackName, undeclared));
}

/** The deployed groups of the app whose fleets the file does not have. */
const undeclaredOf = ({ shared, fleets }: AppStacks, deployed: DeployedGroup[]) =>
  undeclaredFleets(
    deployed.filter(({ app }) => app === shared.stackName),
    fleets.map(({ fleet }) => fleet),
  );

/**
 * Warns of deployed fleets that the file does not have.
 *
 * @param parts The settings of these fleets.
 * @throws FleetsInvalid if a stack of this app is one of another app already, or if the fleets of the file and these
 * fleets are together what the file alone must not be.
 */
export function compareWithDeployed(
  stacks: AppStacks,
  deployed: DeployedGroup[],
  parts: Map<string, DeployedParts>,
): void {
  const { shared, fleets } = stacks;
  const app = shared.stackName;
  const own = new Set([app, ...fleets.map(({ stackName }) => stackName)]);
  for (const { app: other, fleet } of deployed.filter((group) => group.app !== app)) {
    const taken = [other, fleetStackName(other, fleet)].find((stack) => own.has(stack));
    if (taken !== undefined)
      throw new FleetsInvalid(
        `The stack ${taken} must not be one of another app, got that of app ${other} with fleet ${fleet}. Rename the fleet, or choose another -c stack. See docs/operations.md, "Have more than one app"`,
      );
  }
  const undeclared = undeclaredOf(stacks, deployed).map(
    ({ fleet, maxSize, draining }): UndeclaredFleet => ({
      fleet,
      instances: maxSize,
      draining,
      settings: parts.get(fleet),
    }),
  );
  const configs = fleets.map(({ config }) => config);
  const faults = faultsWithUndeclared(app, configs, undeclared);
  if (faults.length > 0)
    throw new FleetsInvalid(
      [
        'Fleets that are deployed and that the fleets file does not have keep running:',
        ...faults,
        'See docs/operations.md, "Remove a fleet, or everything".',
      ].join('\n  '),
    );
  for (const other of undeclared) {
    const { fleet, settings } = other;
    const uncounted =
      settings === undefined
        ? ' Its settings could not be read, so its resource class and cost are not compared.'
        : settings.mostHourlyCost === undefined
          ? ' An older version deployed it, so its cost is not counted.'
          : '';
    const lost = rightsLost(app, configs, other);
    const rights =
      settings === undefined
        ? `, but a deployment of ${app} may take rights that only it needs: to secrets and a topic of its own, to buy Spot Instances, to keep what it learns, and to end what it leaves behind. To keep it whole, put it back into the file`
        : lost.length > 0
          ? ` until it is drained, and a deployment of ${app} takes its rights ${lost.join(' and ')}`
          : '';
    Annotations.of(shared).addWarningV2(
      `circleci-runner-autoscaler:undeclared-${fleet}`,
      `Fleet ${fleet} is deployed, and the fleets file does not have it. It keeps running${rights}.${uncounted} To remove it: ${adviceAboutUndeclared(app, fleet)}`,
    );
  }
}
