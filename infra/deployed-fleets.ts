import { setTimeout as sleep } from 'node:timers/promises';
import { Annotations } from 'aws-cdk-lib';
import { FleetsInvalid } from '../fleets/load.ts';
import { fleetStackName } from '../fleets/names.ts';
import { adviceAboutUndeclared, undeclaredFleets } from '../fleets/undeclared.ts';
import { STACK_TAG } from '../functions/lib/tags.ts';
import type { Stacks } from './stacks.ts';

/** A deployed group of any app. */
export interface DeployedGroup {
  app: string;
  fleet: string;
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
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = env;
  if (account === undefined || region === undefined) return [];
  const end = new AbortController();
  const late = sleep(deadline, [], { signal: end.signal }).catch(() => []);
  try {
    return await Promise.race([readGroups(account, region, end.signal), late]);
  } catch {
    return [];
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
        found.push({ app, fleet: name.slice(app.length + 1) });
    }
  }
  return found;
}

/**
 * Warns of deployed fleets that the file does not have.
 *
 * @throws FleetsInvalid if a stack of this app is one of another app already.
 */
export function compareWithDeployed({ shared, fleets }: Stacks, deployed: DeployedGroup[]): void {
  const app = shared.stackName;
  const own = new Set([app, ...fleets.map(({ stackName }) => stackName)]);
  for (const { app: other, fleet } of deployed.filter((group) => group.app !== app)) {
    const taken = [other, fleetStackName(other, fleet)].find((stack) => own.has(stack));
    if (taken !== undefined)
      throw new FleetsInvalid(
        `The stack ${taken} must not be one of another app, got that of app ${other} with fleet ${fleet}. Rename the fleet, or choose another -c stack. See docs/operations.md, "Have more than one app"`,
      );
  }
  const names = deployed.filter((group) => group.app === app).map(({ fleet }) => fleet);
  const inFile = fleets.map(({ fleet }) => fleet);
  for (const fleet of undeclaredFleets(names, inFile))
    Annotations.of(shared).addWarningV2(
      `circleci-runner-autoscaler:undeclared-${fleet}`,
      `Fleet ${fleet} is deployed, and the fleets file does not have it. It keeps running. To remove it: ${adviceAboutUndeclared(app, fleet)}`,
    );
}
