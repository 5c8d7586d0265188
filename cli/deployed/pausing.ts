import {
  AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
} from '@aws-sdk/client-auto-scaling';
import type { Command } from 'commander';
import { forApp } from '../../functions/lib/advice.ts';
import { groupTag } from '../../functions/lib/auto-scaling.ts';
import { PAUSED_AT_TAG, PAUSED_TAG } from '../../functions/lib/tags.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { stackOption } from '../command-line/arguments.ts';
import { refuseUnknown } from '../command-line/fleets.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { fleetGroups } from './groups.ts';

/** What a command does to the fleets that it is given. */
export interface Pausing {
  /** The value of the tag of each group that the workflow reads; `undefined` deletes the tag. */
  value: 'true' | 'drain' | undefined;
  /** What a fleet does from then on, after its name. */
  done: string;
  /** Throws if the fleets of this app cannot have the value, before anything is written. */
  check?: (app: string, fleets: readonly string[], client: AutoScalingClient) => Promise<void>;
}

interface Options {
  json?: boolean;
  stack: string;
}

/** Gives a command its arguments, its options and its action: it writes the tag that pauses fleets, or deletes it. */
export const pausingCommand = (command: Command, pausing: Pausing, terminal: Terminal): Command =>
  command
    .argument('<fleet...>', 'one or more deployed fleets')
    .option('--json', 'print only one JSON object for each fleet')
    .addOption(stackOption())
    .action((fleets: string[], options: Options) => setAll([...new Set(fleets)], pausing, options, terminal));

async function setAll(
  fleets: string[],
  { value, done, check }: Pausing,
  { stack, json }: Options,
  terminal: Terminal,
): Promise<void> {
  const autoScaling = new AutoScalingClient(AWS_CLIENT);
  const groups = new Map((await fleetGroups(stack, autoScaling)).map((group) => [group.fleet, group]));
  refuseUnknown(stack, [...groups.keys()], fleets);
  await check?.(stack, fleets, autoScaling);
  for (const fleet of fleets) {
    const { group = '', desired = 0, described } = groups.get(fleet) ?? {};
    await setTag(group, value, autoScaling);
    const instances = described?.Instances?.length ?? 0;
    if (json)
      terminal.print(
        JSON.stringify({ fleet, paused: value ?? 'false', desiredCapacity: desired, instances }),
      );
    else terminal.printProse(`Fleet ${fleet} ${done}. Desired capacity ${desired}, instances ${instances}.`);
  }
  if (!json && value !== undefined)
    terminal.printProse(
      forApp({ app: stack, fleetsFile: undefined }, `To end this: npm run resume -- ${fleets.join(' ')}`),
    );
}

async function setTag(
  groupName: string,
  value: string | undefined,
  client: AutoScalingClient,
): Promise<void> {
  const tag = (key: string) => groupTag(groupName, key);
  if (value === undefined) {
    await client.send(new DeleteTagsCommand({ Tags: [tag(PAUSED_TAG), tag(PAUSED_AT_TAG)] }));
    return;
  }
  const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const Tags = [
    { ...tag(PAUSED_TAG), Value: value, PropagateAtLaunch: false },
    { ...tag(PAUSED_AT_TAG), Value: at, PropagateAtLaunch: false },
  ];
  await client.send(new CreateOrUpdateTagsCommand({ Tags }));
}
