import { type AutoScalingClient, SuspendProcessesCommand } from '@aws-sdk/client-auto-scaling';
import { Command } from 'commander';
import { forApp } from '../functions/lib/advice.ts';
import { readSetup } from './aws/place.ts';
import { unknownCall } from './aws/unknown-call.ts';
import { type CliCommand, nameAndMessage } from './command-line/run.ts';
import { pausingCommand } from './deployed/pausing.ts';

/** The endpoint is an emulator of AWS that has no processes to suspend. */
class DrainImpossible extends Error {
  override readonly name = 'DrainImpossible';
}

export const drain: CliCommand = {
  define: ({ terminal }) =>
    pausingCommand(
      new Command('npm run drain --').description(
        'Drains fleets. Nothing launches, and instances leave after their jobs, or with reuse when they are idle, until you resume the fleets. No deployment is needed; the next poll applies it.',
      ),
      {
        value: 'drain',
        done: 'drains. Nothing launches, and its instances leave after their jobs, or with reuse when they are idle',
        check: refuseWithoutProcesses,
      },
      terminal,
    ),
  expectedErrors: [DrainImpossible],
  describeError: nameAndMessage,
  aws: 'stack',
};

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
  const pauseInstead = `Nothing was changed. Pause instead: npm run pause -- ${fleets.join(' ')}`;
  throw new DrainImpossible(
    `Draining needs the call SuspendProcesses, which the AWS at ${endpoint} does not have (${refusal.name}). After a drain, each execution would fail there, also after resume. ${forApp({ app, fleetsFile: undefined }, pauseInstead)}`,
  );
}
