import {
  AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
  SuspendProcessesCommand,
} from '@aws-sdk/client-auto-scaling';
import { Command } from 'commander';
import { forApp } from '../functions/lib/advice.ts';
import { PAUSED_AT_TAG, PAUSED_TAG } from '../functions/lib/tags.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { readSetup } from './aws/place.ts';
import { unknownCall } from './aws/unknown-call.ts';
import { stackOption } from './command-line/arguments.ts';
import { refuseUnknown } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage } from './command-line/run.ts';
import { fleetGroups } from './deployed/groups.ts';
import type { Terminal } from './terminal/terminal.ts';

/** The value that each command writes into the tag of the fleet's group. */
const COMMANDS = {
  pause: {
    value: 'true',
    does: 'Pauses fleets. Their capacity stays as it is, even if jobs wait, until you resume them. Instances leave after their job. No deployment is needed; the next poll applies it.',
    done: 'is paused. Its capacity is held',
  },
  drain: {
    value: 'drain',
    does: 'Drains fleets. Nothing launches, and instances leave after their jobs, until you resume the fleets. No deployment is needed; the next poll applies it.',
    done: 'drains. Nothing launches, and its instances leave after their jobs',
  },
  resume: {
    value: undefined,
    does: 'Resumes paused or drained fleets. They follow their queues again from the next poll.',
    done: 'follows its queue again',
  },
} as const;

type Action = keyof typeof COMMANDS;

interface Options {
  json?: boolean;
  stack: string;
}

/** The endpoint is an emulator of AWS that has no processes to suspend. */
class DrainImpossible extends Error {
  override readonly name = 'DrainImpossible';
}

/** One of the three commands. */
const commandFor = (action: Action): CliCommand => ({
  define: ({ terminal }) =>
    new Command(`npm run ${action} --`)
      .description(COMMANDS[action].does)
      .argument('<fleet...>', 'one or more deployed fleets')
      .option('--json', 'print only one JSON object for each fleet')
      .addOption(stackOption())
      .action((fleets: string[], options: Options) => setAll(action, fleets, options, terminal)),
  expectedErrors: [DrainImpossible],
  describeError: nameAndMessage,
  aws: 'stack',
});

export const pause = commandFor('pause');
export const drain = commandFor('drain');
export const resume = commandFor('resume');

async function setAll(action: Action, fleets: string[], options: Options, terminal: Terminal): Promise<void> {
  const { value, done } = COMMANDS[action];
  const { stack } = options;
  const autoScaling = new AutoScalingClient(AWS_CLIENT);
  const groups = new Map((await fleetGroups(stack, autoScaling)).map((group) => [group.fleet, group]));
  refuseUnknown(stack, [...groups.keys()], fleets);
  if (action === 'drain') await refuseWithoutProcesses(stack, fleets, autoScaling);
  for (const fleet of new Set(fleets)) {
    const { group = '', desired = 0, described } = groups.get(fleet) ?? {};
    await setTag(group, value, autoScaling);
    const instances = described?.Instances?.length ?? 0;
    if (options.json)
      terminal.print(
        JSON.stringify({ fleet, paused: value ?? 'false', desiredCapacity: desired, instances }),
      );
    else terminal.printProse(`Fleet ${fleet} ${done}. Desired capacity ${desired}, instances ${instances}.`);
  }
  if (!options.json && value !== undefined) {
    const words = [...new Set(fleets)];
    terminal.printProse(
      forApp({ app: stack, fleetsFile: undefined }, `To end this: npm run resume -- ${words.join(' ')}`),
    );
  }
}

/**
 * Asks an endpoint that may be an emulator of AWS for the call by which the workflow drains a fleet, about a group that does not
 * exist. Without that call, each execution would fail after the drain, and also after it is ended.
 *
 * @throws DrainImpossible
 */
async function refuseWithoutProcesses(
  app: string,
  fleets: readonly string[],
  client: AutoScalingClient,
): Promise<void> {
  const { endpoint } = readSetup(process.env);
  if (endpoint === undefined) return;
  const probe = { AutoScalingGroupName: `${app}-no-group`, ScalingProcesses: ['Launch'] };
  const refusal = await client.send(new SuspendProcessesCommand(probe)).then(
    () => undefined,
    (error: Error) => error,
  );
  if (refusal === undefined || unknownCall(refusal, endpoint) === undefined) return;
  const pauseInstead = `Nothing was changed. Pause instead: npm run pause -- ${[...new Set(fleets)].join(' ')}`;
  throw new DrainImpossible(
    `Draining needs the call SuspendProcesses, which the AWS at ${endpoint} does not have (${refusal.name}). After a drain, each execution would fail there, also after resume. ${forApp({ app, fleetsFile: undefined }, pauseInstead)}`,
  );
}

async function setTag(
  groupName: string,
  value: string | undefined,
  client: AutoScalingClient,
): Promise<void> {
  const tag = (Key: string) => ({ ResourceId: groupName, ResourceType: 'auto-scaling-group', Key });
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
