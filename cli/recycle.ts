import {
  AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  type Instance,
} from '@aws-sdk/client-auto-scaling';
import { CreateTagsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { Command } from 'commander';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { RECYCLE_TAG } from '../functions/lib/tags.ts';
import { stackOption, UsageError } from './command-line/arguments.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import type { Terminal } from './terminal/terminal.ts';

/** AWS takes up to 1,000 in a call; fewer make progress visible, and an error small. */
const BATCH = 100;

const define = ({ terminal }: Shell) =>
  new Command('npm run recycle --')
    .description(
      "Has a deployed fleet's instances that are not of its newest launch template leave: idle ones within seconds,\nbusy ones after their job. It tags them; each sees its own tag. New ones come as tasks or minReplicas want them.",
    )
    .argument('<fleet>', 'a fleet of fleets.yaml that is deployed')
    .option('--all', 'those of the newest launch template as well, as for a new image behind a parameter')
    .option('--json', 'print one JSON object and nothing else')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action((fleet: string, options: Options) => recycleFleet(fleet, options, terminal));

/** What could not be done, though the command was right. */
class RecycleFailed extends Error {
  override readonly name = 'RecycleFailed';
}

interface Options {
  all?: boolean;
  json?: boolean;
  fleets: string;
  stack: string;
}

/** An instance as the listing has it. */
interface Listed {
  instance: string;
  state: string;
  /** Version of the launch template that it was launched from. */
  version: string;
}

async function recycleFleet(
  fleet: string,
  { all = false, json = false, fleets, stack }: Options,
  terminal: Terminal,
): Promise<void> {
  const names = loadFleets(fleets).map(({ name }) => name);
  if (!names.includes(fleet)) {
    throw new UsageError(
      `The fleet must be one of ${fleets} (${names.join(', ')}), got ${JSON.stringify(fleet)}`,
    );
  }
  const groupName = `${stack}-${fleet}`;
  const group = await describe(groupName);
  if (group === undefined) {
    throw new UsageError(`Fleet ${fleet} is not deployed by stack ${stack}. Deploy it first: npx cdk deploy`);
  }
  const newest = versionOf(group);
  // Those that leave are on their way already.
  const members = (group.Instances ?? [])
    .filter(({ LifecycleState = '' }) => /^(Pending|InService|Standby|EnteringStandby)/.test(LifecycleState))
    .map(listed);
  const chosen = members.filter(({ version }) => all || version !== newest);
  const kept = members.filter((member) => !chosen.includes(member));

  const about = `Fleet ${fleet}, launch template version ${newest}`;
  if (!json && terminal.isWatched)
    terminal.note(terminal.colours.dim(`${about}: marking ${chosen.length} ...`));
  const gone = await mark(chosen.map(({ instance }) => instance));
  const marked = chosen.filter(({ instance }) => !gone.has(instance));
  if (json) {
    terminal.print(JSON.stringify({ fleet, group: groupName, newest, all, marked, kept }));
    return;
  }
  terminal.print(`${about}: ${marked.length} of ${members.length} instances marked.`);
  for (const { instance, state, version } of marked) {
    terminal.print(`  ${instance}  ${state.padEnd(12)}  version ${version}`);
  }
  if (marked.length > 0) terminal.print('Idle ones leave within seconds, busy ones after their job.');
  else if (kept.length > 0) terminal.print('All are of the newest version; --all marks them too.');
}

async function describe(groupName: string): Promise<AutoScalingGroup | undefined> {
  const { AutoScalingGroups = [] } = await new AutoScalingClient({}).send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] }),
  );
  return AutoScalingGroups[0];
}

/**
 * The version that the group launches from: each deployment that changes the launch template writes it there.
 *
 * @throws RecycleFailed if somebody has told the group otherwise.
 */
function versionOf(group: AutoScalingGroup): string {
  const specification =
    group.LaunchTemplate ?? group.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  const version = specification?.Version ?? 'no version';
  if (/^\d+$/.test(version)) return version;
  throw new RecycleFailed(
    `${group.AutoScalingGroupName} must launch from a numbered version of its launch template, as a deployment has it; it launches from ${version}. Deploy the stack again.`,
  );
}

const listed = ({ InstanceId = '', LifecycleState, LaunchTemplate }: Instance): Listed => ({
  instance: InstanceId,
  state: LifecycleState ?? 'unknown',
  version: LaunchTemplate?.Version ?? 'unknown',
});

/** Marks instances, and returns those that had gone by then. Marking one twice does no harm. */
async function mark(ids: string[]): Promise<Set<string>> {
  const ec2 = new EC2Client({});
  const tag = { Key: RECYCLE_TAG, Value: new Date().toISOString() };
  const gone = new Set<string>();
  for (let start = 0; start < ids.length; ) {
    const batch = ids.slice(start, start + BATCH).filter((id) => !gone.has(id));
    try {
      if (batch.length > 0) await ec2.send(new CreateTagsCommand({ Resources: batch, Tags: [tag] }));
      start += BATCH;
    } catch (thrown) {
      const error = thrown as Error;
      // One of them makes the whole call fail; the message names it.
      const missing = batch.filter(
        (id) => error.name.startsWith('InvalidInstanceID') && error.message.includes(id),
      );
      if (missing.length === 0) {
        throw new RecycleFailed(
          `${error.name}: ${error.message.replace(/\.$/, '')}. ${start} of ${ids.length} instances were marked. Run it again once that is mended: it does no harm.`,
        );
      }
      for (const id of missing) gone.add(id);
    }
  }
  return gone;
}

export const recycle: CliCommand = {
  define,
  wrongInput: [FleetsInvalid],
  failure: [RecycleFailed],
  otherwise: nameAndMessage,
};
