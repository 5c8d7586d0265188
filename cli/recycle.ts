import {
  AutoScalingClient,
  type AutoScalingGroup,
  type Instance,
  type LaunchTemplateSpecification,
} from '@aws-sdk/client-auto-scaling';
import { CreateTagsCommand, DescribeLaunchTemplateVersionsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { Command } from 'commander';
import { FleetsInvalid } from '../fleets/load.ts';
import { instancesById } from '../functions/lib/ec2-instances.ts';
import { sentence } from '../functions/lib/sentence.ts';
import { RECYCLE_TAG } from '../functions/lib/tags.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { stackOption } from './command-line/arguments.ts';
import { namedFleet, refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import { fleetGroups } from './deployed/groups.ts';
import type { Terminal } from './terminal/terminal.ts';

/** AWS accepts up to 1,000 in a call. Smaller batches lose less if a call fails. */
const BATCH = 100;

const define = ({ terminal }: Shell) =>
  new Command('npm run recycle --')
    .description(
      'Replaces the instances of a deployed fleet that have an older launch template or image than a new launch would get. Idle instances leave within seconds, busy ones after their job. The command tags the instances, and each instance reads its own tag. The group replaces those that tasks and minReplicas need.',
    )
    .argument('<fleet>', 'a deployed fleet')
    .option('--all', 'also mark instances that have the newest launch template and image')
    .option('--json', 'print only one JSON object')
    .option('--fleets <file>', 'refuse a fleet that this file does not have (default: read no file)')
    .addOption(stackOption())
    .action((fleet: string, options: Options) => recycleFleet(fleet, options, terminal));

/** AWS did not do what a correct command line asked for. */
class RecycleFailed extends Error {
  override readonly name = 'RecycleFailed';
}

interface Options {
  all?: boolean;
  json?: boolean;
  fleets?: string;
  stack: string;
}

/** An instance as the command prints it. */
interface Listed {
  instance: string;
  state: string;
  /** Version of the launch template that it was launched from. */
  version: string;
  /** Id of the image that it was launched from; `unknown` if EC2 does not know the instance any more. */
  image: string;
}

async function recycleFleet(
  fleet: string,
  { all = false, json = false, fleets, stack }: Options,
  terminal: Terminal,
): Promise<void> {
  if (fleets !== undefined) namedFleet(fleets, fleet, undefined, { stack });
  const groups = await fleetGroups(stack, new AutoScalingClient(AWS_CLIENT));
  const found = groups.find((each) => each.fleet === fleet);
  if (found === undefined)
    return refuseUnknown(
      stack,
      groups.map((each) => each.fleet),
      fleet,
    );
  const { group: groupName, described: group } = found;
  const template = templateOf(group);
  const newest = template.Version;
  const ec2 = new EC2Client(AWS_CLIENT);
  // Instances in other states leave already.
  const present = (group.Instances ?? []).filter(({ LifecycleState = '' }) =>
    /^(Pending|InService|Standby|EnteringStandby)/.test(LifecycleState),
  );
  const known = await instancesById(
    ec2,
    present.flatMap(({ InstanceId }) => InstanceId ?? []),
  );
  const images = new Map(known.map(({ InstanceId, ImageId }) => [InstanceId, ImageId]));
  // Read last: a build may publish an image meanwhile, and instances of it must not be marked as old.
  const image = await imageOfLaunches(template, ec2);
  const members = present.map((instance) => listed(instance, images));
  const chosen = members.filter(
    (member) => all || member.version !== newest || isAnotherImage(member.image, image),
  );
  const kept = members.filter((member) => !chosen.includes(member));

  const about = `Fleet ${fleet}, launch template version ${newest}${image === undefined ? '' : `, image ${image}`}`;
  if (!json && terminal.isWatched)
    terminal.note(terminal.colours.dim(`${about}: marking ${chosen.length} ...`));
  const gone = await mark(
    chosen.map(({ instance }) => instance),
    ec2,
  );
  const marked = chosen.filter(({ instance }) => !gone.has(instance));
  if (json) {
    terminal.print(JSON.stringify({ fleet, group: groupName, newest, image, all, marked, kept }));
    return;
  }
  terminal.printProse(`${about}: ${marked.length} of ${members.length} instances marked.`);
  for (const { instance, state, version, image } of marked) {
    terminal.print(`  ${instance}  ${state.padEnd(12)}  version ${version}  ${image}`);
  }
  if (marked.length > 0)
    terminal.printProse('Idle instances leave within seconds, busy ones after their job.');
  else if (kept.length > 0)
    terminal.printProse('All instances have the newest launch template and image. --all marks them too.');
}

/** The launch template of a group, in the version that it launches from. */
type Template = LaunchTemplateSpecification & { Version: string };

/**
 * The version that the group launches from: each deployment that changes the launch template writes it there.
 *
 * @throws RecycleFailed if somebody changed the group so that it names no version.
 */
function templateOf(group: AutoScalingGroup): Template {
  const specification =
    group.LaunchTemplate ?? group.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  const version = specification?.Version ?? 'no version';
  if (/^\d+$/.test(version)) return { ...specification, Version: version };
  throw new RecycleFailed(
    `${group.AutoScalingGroupName} must launch from a numbered version of its launch template, got ${version}. Deploy the stack again: npx cdk deploy --all --revert-drift`,
  );
}

/**
 * The id of the image that a new launch gets: a launch template may name a parameter, whose value changes without a new
 * version. `undefined` if EC2 does not tell.
 */
async function imageOfLaunches(
  { LaunchTemplateId, LaunchTemplateName, Version }: Template,
  ec2: EC2Client,
): Promise<string | undefined> {
  const { LaunchTemplateVersions: [version] = [] } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({
      // EC2 takes one of them only.
      ...(LaunchTemplateId === undefined ? { LaunchTemplateName } : { LaunchTemplateId }),
      Versions: [Version],
      ResolveAlias: true,
    }),
  );
  const image = version?.LaunchTemplateData?.ImageId;
  return image?.startsWith('ami-') ? image : undefined;
}

const isAnotherImage = (image: string, ofLaunches: string | undefined) =>
  image !== UNKNOWN && ofLaunches !== undefined && image !== ofLaunches;

const UNKNOWN = 'unknown';

const listed = (
  { InstanceId = '', LifecycleState, LaunchTemplate }: Instance,
  images: ReadonlyMap<string | undefined, string | undefined>,
): Listed => ({
  instance: InstanceId,
  state: LifecycleState ?? UNKNOWN,
  version: LaunchTemplate?.Version ?? UNKNOWN,
  image: images.get(InstanceId) ?? UNKNOWN,
});

/** Marks instances, and returns those that were already gone. Marking an instance twice does no harm. */
async function mark(ids: string[], ec2: EC2Client): Promise<Set<string>> {
  const tag = { Key: RECYCLE_TAG, Value: new Date().toISOString() };
  const gone = new Set<string>();
  for (let start = 0; start < ids.length; ) {
    const batch = ids.slice(start, start + BATCH).filter((id) => !gone.has(id));
    try {
      if (batch.length > 0) await ec2.send(new CreateTagsCommand({ Resources: batch, Tags: [tag] }));
      start += BATCH;
    } catch (thrown) {
      const error = thrown as Error;
      // One missing instance makes the whole call fail; the message names it.
      const missing = batch.filter(
        (id) => error.name.startsWith('InvalidInstanceID') && error.message.includes(id),
      );
      if (missing.length === 0) {
        throw new RecycleFailed(
          `${error.name}: ${sentence(error.message)} ${start} of ${ids.length} instances were marked. Solve this, then run the command again; a second run does no harm.`,
        );
      }
      for (const id of missing) gone.add(id);
    }
  }
  return gone;
}

export const recycle: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  expectedErrors: [RecycleFailed],
  describeError: nameAndMessage,
  aws: 'stack',
};
